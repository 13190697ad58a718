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


if __name__ == "__main__":
    with daemon:
        run_tests(globals(), sys.argv[1:])
