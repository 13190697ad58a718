#!/usr/bin/env python3
# test-sanitized: yes
"""Commands as jobs have them: what they are shown as, what they give, their line for slots, what is refused."""
import os
import sqlite3
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))
from corod import Daemon, check, equal, run_tests, wait_until  # noqa: E402

daemon = Daemon()
MIB = 1 << 20


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
        many = {"gather": {"for": "i", "in": {"range": 120}, "do": {"sleep": 0}}}
        ended = c.run([{"try": many, "except": [{"as": "e", "do": {"return": "${e.message}"}}]}])
        equal(ended["value"], "too many tasks of all jobs together")
        job = c.submit([{"gather": {"for": "i", "in": {"range": 60}, "do": {"sleep": 1000}}}])
        wait_until(lambda: c.call("system.stats")["live_tasks"] > 50, "60 tasks")
        equal(c.error("job.submit", job=[]).code, -32007)
        c.call("job.cancel", id=job)
        c.finish(job)
        c.run([])
        daemon.configure("")
        c.call("system.reload")


def test_cut_output_is_still_text():
    with daemon.client() as c:
        job = c.run([{"sh": "yes é | head -c 3000001", "as": "r"}, {"return": "${r}"}])
        equal(job["value"]["truncated"], True)
        check(set(job["value"]["stdout"]) == set("é\n"), str(job["value"])[:200])
        check(len(job["value"]["stdout"].encode()) > MIB - 3)


def test_limits_of_resources():
    with daemon.client() as c:
        got = c.run([{"sh": "ulimit -n; ulimit -t; ulimit -c", "limits": {"nofile": 100, "cpu": 7, "core": 0},
                      "as": "r"}, {"return": "${r.stdout}"}])
        equal(got["value"], "100\n7\n0")
        for limits, text in (({"nofiles": 1}, "there is no limit"), ({"cpu": "1"}, "whole number")):
            error = c.run({"run": ["true"], "limits": limits})["error"]
            equal(error["data"]["exit"], 126)
            check(text in error["message"], error)


def test_files_instead_of_pipes():
    with tempfile.TemporaryDirectory() as folder, daemon.client() as client:
        def run(script, **keys):
            return client.run({"main": {"sh": script, "cwd": folder, **keys}})

        def kept(name):
            with open(os.path.join(folder, name), encoding="utf-8") as f:
                return f.read()

        for how in "file", "append", "append", "file":
            done = run("echo out; echo err >&2", stdout={how: "o"}, stderr={how: os.path.join(folder, "e")})
            equal((done["value"]["stdout"], done["value"]["stderr"]), ("", ""))
            equal(kept("e"), kept("o").replace("out", "err"))
            if how == "append":
                check(kept("o").startswith("out\nout\n"), kept("o"))
        equal(kept("o"), "out\n")
        equal(run("cat", stdin={"file": "o"})["value"]["stdout"], "out")
        run("echo out; echo err >&2", stdout={"file": "both"}, stderr="stdout")
        equal(kept("both"), "out\nerr\n")
        equal(run("echo lost; echo kept >&2", stdout={"file": "/dev/null"})["value"]["stderr"], "kept")
        done = run("true", stdout={"file": "no/such/folder"})
        check('cannot open "no/such/folder": No such file or directory' in done["error"]["message"], done["error"])
        equal(done["exit"], 126)
        os.mkfifo(os.path.join(folder, "fifo"))  # nobody reads: an error, not a wait
        check("cannot open" in run("true", stdout={"file": "fifo"})["error"]["message"])
        equal(run("umask 0; echo x", stdout={"file": "mode"})["state"], "succeeded")
        equal(os.stat(os.path.join(folder, "mode")).st_mode & 0o777, 0o644)


def test_a_pool_that_shrank_serves_who_waited_after_a_restart_too():
    with daemon.client() as c:
        c.call("pool.set", name="shrinking", slots=4)
        gate = os.path.join(daemon.directory, "gate")
        hold = {"sh": "while [ ! -e \"$GATE\" ]; do sleep 0.05; done", "pool": "shrinking"}
        job = c.submit([{"gather": [hold, {"run": ["echo", "wide"], "pool": "shrinking", "slots": 4}]}],
                       env=dict(os.environ, GATE=gate))
        wait_until(lambda: [p for p in c.call("pool.list")["pools"] if p["taken"] == 1 and p["waiting"] == 1], "a line")
        c.call("pool.set", name="shrinking", slots=2)
    daemon.restart()
    with open(gate, "w", encoding="ascii"):
        pass
    with daemon.client() as c:
        got = c.finish(job)
        equal(got["state"], "succeeded", str(got["error"]))


def test_a_loop_that_awaits_nothing_can_be_ended():
    loop = {"while": True, "do": []}
    with daemon.client() as c:
        for document in (loop, {"gather": [loop, {"sleep": 1000}]},
                         {"try": [loop], "finally": {"print": "cleaned up"}}):
            job = c.submit([document])
            wait_until(lambda: c.call("job.get", id=job)["state"] == "running", "its start")
            c.call("job.cancel", id=job)
            equal(c.finish(job)["state"], "cancelled")
        equal(c.call("job.get", id=job)["output"], ["cleaned up"])
        got = c.run({"timeout": 0.2, "main": [loop]})
        equal((got["state"], got["error"]["type"]), ("failed", "TimeoutError"))


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
        equal(pool(c, "narrow"), {"name": "narrow", "slots": 1, "taken": 0, "waiting": 0, "paused": False})
        equal(c.run([{"run": ["true"], "pool": "narrow"}])["state"], "succeeded")


def test_a_stop_with_commands_waiting_and_running():
    with daemon.client() as c:
        job = three_for_one_slot(c)
    equal(daemon.stop(), 0)
    daemon.start()
    with daemon.client() as c:
        c.call("job.cancel", id=job)
        equal(c.finish(job)["state"], "cancelled")


if __name__ == "__main__":
    with daemon:
        run_tests(globals(), sys.argv[1:])
