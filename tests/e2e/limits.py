#!/usr/bin/env python3
# test-timeout: 300
# test-sanitized: yes
"""What a peer sends may not grow, block or end the daemon: uncommitted work, environments, large commands,
names, logs."""
import contextlib
import os
import sqlite3
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))
from corod import Daemon, check, equal, run_tests, wait_until  # noqa: E402

daemon = Daemon()
MIB = 1 << 20


def memory_bytes():
    with open("/proc/%d/statm" % daemon.process.pid, encoding="ascii") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def cpu_s():
    with open("/proc/%d/stat" % daemon.process.pid, encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def is_resting():
    """It used no processor for a moment."""
    before = cpu_s()
    time.sleep(0.3)
    return cpu_s() == before


@contextlib.contextmanager
def database_locked():
    """Nothing can be committed meanwhile."""
    db = sqlite3.connect(os.path.join(daemon.state, "corod.db"), timeout=60, isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        db.execute("ROLLBACK")
        db.close()


def test_the_runtime_pauses_while_nothing_can_be_committed():
    with daemon.client() as c:
        job = c.submit([{"while": True, "do": [{"create_task": [{"sleep": 0}], "as": "t"},
                                               {"await": "${t}"}]}])
        before = memory_bytes()
        with database_locked():
            wait_until(is_resting, "a rest")
            grown = memory_bytes() - before
            check(grown < 400 * MIB, "it grew by %d MiB" % (grown // MIB))
            check("time" in c.call("system.ping"))
        c.call("job.cancel", id=job)
        equal(c.finish(job, 120)["state"], "cancelled")


def test_what_is_refused_leaves_nothing_behind():
    environment = {"X": os.urandom(MIB // 4).hex()}
    with daemon.client() as c:
        equal(c.error("job.submit", job={"main": [{"gathr": []}]}, env=environment).code, -32015)
        c.run([])  # committed behind it
    with sqlite3.connect(os.path.join(daemon.state, "corod.db")) as db:
        equal(db.execute("SELECT count(*) FROM environment").fetchone()[0], 0)


def test_there_is_a_limit_to_all_tasks():
    daemon.configure("max_live_tasks = 50\n")
    with daemon.client() as c:
        equal(c.call("system.reload")["changed"], ["max_live_tasks"])
        job = c.submit([{"gather": {"for": "i", "in": {"range": 60}, "do": {"sleep": 1000}}}])
        wait_until(lambda: c.call("system.stats")["live_tasks"] > 50, "60 tasks")
        equal(c.error("job.submit", job=[]).code, -32007)
        c.call("job.cancel", id=job)
        c.finish(job)
        c.run([])
        daemon.configure("")
        c.call("system.reload")


if __name__ == "__main__":
    with daemon:
        run_tests(globals(), sys.argv[1:])
