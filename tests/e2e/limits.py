#!/usr/bin/env python3
# test-timeout: 300
"""What a peer sends may not grow, block or end the daemon: uncommitted work, environments, large commands,
names, logs."""
import contextlib
import os
import sqlite3
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))
from corod import PATIENCE, Daemon, RpcError, check, equal, run_tests, wait_until  # noqa: E402

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


def test_shown_jobs_wait_for_the_disk_in_small_numbers():
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(daemon.client()) for _ in range(8)]
        job = clients[0].submit([{"gather": {"for": "i", "in": {"range": 12000}, "do": {"sleep": 1000}}}])
        wait_until(lambda: clients[0].call("system.stats")["live_tasks"] > 10000, "the tasks")
        before = memory_bytes()
        with database_locked():
            clients[0].start("job.submit", {"job": []})  # something to commit
            asked = [(c, c.start("job.tree", {"id": job})) for c in clients for _ in range(50)]
            wait_until(is_resting, "a rest")
            grown = memory_bytes() - before
            check(grown < 700 * MIB, "it grew by %d MiB" % (grown // MIB))
        answers = []
        for c, request in asked:
            try:
                answers.append(c.wait(request)["more"] > 0)
            except RpcError as e:
                answers.append(e.code)
        equal({True, -32007}, set(answers))
        clients[0].call("job.cancel", id=job)
        clients[0].finish(job)


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


def test_a_command_that_is_too_large_is_refused():
    """Nothing of it is sent, so the executor goes on."""
    with daemon.client() as c:
        job = c.run([{"set": {"a": "x" * (7 * MIB), "b": "${a}${a}"}},
                     {"run": ["true", "${a}"], "stdin": "${b}"}])
        equal((job["state"], job["exit"]), ("failed", 126), job["error"]["message"])
        check("bytes together" in job["error"]["message"], job["error"]["message"])
        equal(c.run([{"run": ["true"]}])["state"], "succeeded")


def test_cut_output_is_still_text():
    with daemon.client() as c:
        job = c.run([{"sh": "yes é | head -c 3000001", "as": "r"}, {"return": "${r}"}])
        equal(job["value"]["truncated"], True)
        check(set(job["value"]["stdout"]) == set("é\n"), str(job["value"])[:200])
        check(len(job["value"]["stdout"].encode()) > MIB - 3)


def test_a_command_is_shown_as_it_was_written():
    script = "echo a; # é" + "é" * 200
    with daemon.client() as c:
        for node, shown in (({"sh": "echo $1\nexit", "args": ["b"]}, "echo $1 exit b"),
                            ({"run": ["echo", "a b"]}, "echo a b"),
                            ({"sh": script}, script.encode()[:200].decode("utf-8", "ignore") + "…")):
            job = c.run([node])
            equal(c.call("job.tree", id=job["id"])["tasks"][0]["attempt"]["command"], shown)


def pool(c, name):
    return [p for p in c.call("pool.list")["pools"] if p["name"] == name][0]


def three_for_one_slot(c):
    """Commands of one job, of which one runs and two wait."""
    c.call("pool.set", name="narrow", slots=1)
    job = c.submit([{"gather": {"for": "i", "in": {"range": 3},
                                "do": {"run": ["sleep", "1000"], "pool": "narrow"}}}])
    wait_until(lambda: pool(c, "narrow")["waiting"] == 2, "the line")
    return job


def test_cancelled_commands_leave_their_line():
    with daemon.client() as c:
        job = three_for_one_slot(c)
        c.call("job.cancel", id=job)
        equal(c.finish(job)["state"], "cancelled")
        equal(pool(c, "narrow"), {"name": "narrow", "slots": 1, "taken": 0, "waiting": 0})
        equal(c.run([{"run": ["true"], "pool": "narrow"}])["state"], "succeeded")


def test_a_stop_with_commands_waiting_and_running():
    with daemon.client() as c:
        job = three_for_one_slot(c)
    equal(daemon.stop(), 0)
    daemon.start()
    with daemon.client() as c:
        c.call("job.cancel", id=job)
        equal(c.finish(job)["state"], "cancelled")


def test_a_long_log_is_read_in_pieces():
    """What is not asked for is passed over, and others have their turn meanwhile."""
    with daemon.client() as c, daemon.client() as other:
        job = c.run([{"sh": "head -c 40000000 /dev/zero; echo behind >&2"}])["id"]
        before = other.call("system.stats")["requests"]
        reading = c.start("log.read", {"id": job, "stream": "stderr"})
        while reading not in c.replies:
            pings = other.call("system.stats")["requests"] - before
            c.socket.setblocking(False)
            try:
                message = c.receive()
                c.replies[message["id"]] = message
            except BlockingIOError:
                pass
            finally:
                c.socket.settimeout(PATIENCE)
        equal(c.wait(reading)["data"], "behind\n")
        check(pings > 3, "%d answers to others" % pings)


def test_a_task_with_too_much_is_cancelled():
    """Once 280 MiB in a row of the database, which takes 256."""
    with daemon.client() as c:
        job = c.run([{"set": {"a": "x" * (7 * MIB)}},
                     *({"set": {"v%d" % i: ["${a}", i]}} for i in range(40)), {"sleep": 1000}])
        equal(job["state"], "cancelled")
        check("bytes" in job["diagnostics"][0], job["diagnostics"])
        equal(c.run([])["state"], "succeeded")


if __name__ == "__main__":
    with daemon:
        run_tests(globals(), sys.argv[1:])
