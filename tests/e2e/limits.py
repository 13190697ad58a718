#!/usr/bin/env python3
# test-timeout: 300
"""What a peer sends may not grow, block or end the daemon: uncommitted work, environments, large commands,
names, logs."""
import contextlib
import os
import select
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


def test_what_a_job_prints_is_capped():
    """Also over a restart."""
    daemon.configure("log_cap = 64K\n")
    with daemon.client() as c:
        c.call("system.reload")
        job = c.submit([{"while": True, "do": [{"print": "x" * 1000}]}])
        wait_until(lambda: c.call("job.get", id=job)["diagnostics"], "the cap")
        printed = len(c.call("log.read", id=job, stream="output", offset=0, limit=1 << 20)["data"])
        check(50000 < printed < 65536, printed)
    daemon.restart()
    with daemon.client() as c:
        c.call("job.cancel", id=job)
        equal(c.finish(job)["state"], "cancelled")
        equal(len(c.call("log.read", id=job, stream="output", offset=0, limit=1 << 20)["data"]), printed)
    daemon.configure("")
    daemon.restart()


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
            wait_until(lambda: select.select([c.socket for c in clients], [], [], 0)[0], "a refusal")
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


def test_a_command_that_is_too_large_is_refused():
    """Nothing of it is sent, so the executor goes on."""
    with daemon.client() as c:
        job = c.run([{"set": {"a": "x" * (7 * MIB), "b": "${a}${a}"}},
                     {"run": ["true", "${a}"], "stdin": "${b}"}])
        equal((job["state"], job["exit"]), ("failed", 126), job["error"]["message"])
        check("bytes together" in job["error"]["message"], job["error"]["message"])
        equal(c.run([{"run": ["true"]}])["state"], "succeeded")


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
    """Once 267 MiB in a row of the database, which takes 256: many values, none so large that it has its own."""
    with daemon.client() as c:
        job = c.run([{"set": {"a": "x" * 7000}}, {"set": {"v%d" % i: "${a}" for i in range(40000)}},
                     {"sleep": 1000}])
        equal(job["state"], "cancelled")
        check("bytes" in job["diagnostics"][0], job["diagnostics"])
        equal(c.run([])["state"], "succeeded")


def branches(count, *body):
    return {"gather": {"for": "i", "in": {"range": count}, "do": list(body)}}


TEXT = {"set": {"a": "x" * MIB}}
# Each grows without end, or to some GiB.
GROWING = {
    "strings": [TEXT, {"set": {"s%d" % i: "${a}" * 7 for i in range(500)}}],
    "lists in lists": [{"set": {"l": ["x" * 1000]}}, *[{"set": {"l": ["...${l}", "...${l}"]}}] * 13,
                       *({"set": {"l%d" % i: ["${l}"]}} for i in range(400))],
    "appended": [TEXT, branches(100, {"set": {"l": []}},
                                {"for": "k", "in": {"range": 13}, "do": {"set": {"l": ["...${l}", "${a}${i}"]}}},
                                {"sleep": 1000})],
    "variables of a task": [{"set": {"a": "x" * (7 * MIB)}}, *({"set": {"v%d" % i: ["${a}", i]}} for i in range(40)),
                            {"sleep": 1000}],
    "variables of tasks": [branches(1000, {"set": {"a": "x" * 1000}}, {"set": {"b": "${a}" * 1000}}, {"sleep": 1000})],
    "results": [TEXT, branches(400, {"return": "${a}${i}"})],
    "one result": [TEXT, branches(400, {"return": "${a}"})],
    "items": [TEXT, {"queue": {}, "as": "q"},
              {"for": "i", "in": {"range": 400}, "do": {"put": "${a}${i}", "into": "${q}"}}],
    "errors": [TEXT, branches(400, {"try": [{"raise": {"type": "E", "message": "m", "data": "${a}"}}],
                                    "except": [{"type": "E", "do": [{"sleep": 1000}]}]})],
    "lines": [branches(30, {"for": "line", "in": {"lines": {"sh": "head -c 15000000 /dev/zero | tr '\\0' x; echo; echo"}},
                            "do": [{"sleep": 1000}]})],
}


def test_the_values_of_a_job_are_limited():
    with daemon.client() as c:
        before = memory_bytes()
        other = c.submit([{"for": "i", "in": {"ticker": 0.01}, "do": {"print": "${i}"}}])
        for name, body in GROWING.items():
            job = c.finish(c.submit(body), 120)
            equal(job["state"], "failed", name)
            equal((job["error"]["type"], job["error"]["message"]),
                  ("RuntimeError", "the values of the job take more than 256 MiB"), name)
            with open("/proc/%d/status" % daemon.process.pid, encoding="ascii") as f:
                peak = int(f.read().split("VmHWM:")[1].split()[0]) << 10
            check(peak < before + 900 * MIB, "%s: %d MiB" % (name, peak // MIB))
        equal(c.call("job.get", id=other)["state"], "running")
        c.call("job.cancel", id=other)
        c.finish(other)
        wait_until(lambda: memory_bytes() < before + 250 * MIB, "its memory to be free again")


def test_a_job_at_its_limit_cleans_up():
    with daemon.client() as c:
        job = c.run([TEXT, {"try": [{"set": {"s%d" % i: "${a}" * 7 for i in range(50)}}],
                            "finally": [{"run": ["echo", "cleaned"], "as": "r"}, {"print": "${r.stdout}"}]}])
        equal(job["error"]["type"], "RuntimeError")
        equal(c.call("log.read", id=job["id"], stream="output", offset=0, limit=100)["data"], "cleaned\n")


def test_what_a_job_holds_is_known_after_a_restart():
    """Two thirds before, two thirds after."""
    fill = [{"set": {"%s%d" % (name, i): "${a}" * 7 for i in range(24)}} for name in "st"]
    with daemon.client() as c:
        job = c.submit([TEXT, fill[0], {"print": "filled"}, {"sleep": 3}, fill[1]])
        wait_until(lambda: c.call("log.read", id=job, stream="output", offset=0, limit=100)["data"], "the first")
    daemon.restart()
    with daemon.client() as c:
        equal(c.finish(job, 120)["error"]["type"], "RuntimeError")
        equal(c.run([TEXT, fill[0]])["state"], "succeeded")


def test_a_queue_with_a_name_counts_for_itself():
    """What was put, or got and done with, is not the job's any more."""
    with daemon.client() as c:
        job = c.finish(c.submit([TEXT, {"queue": {"name": "passing", "maxsize": 10}, "as": "q"},
                     {"gather": [{"for": "i", "in": {"range": 400}, "do": {"put": "${a}${i}", "into": "${q}"}},
                                 {"for": "i", "in": {"range": 400}, "do": {"get": "${q}"}}]}]), 120)
        equal(job["state"], "succeeded", job["error"])


if __name__ == "__main__":
    with daemon:
        run_tests(globals(), sys.argv[1:])
