#!/usr/bin/env python3
# test-timeout: 240
# test-sanitized: yes
"""Steering jobs that live: pause with and without freeze, resume, kill, pools that are paused; all of it survives
kill -9 of the daemon and of the executor."""
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))
from corod import PATIENCE, Daemon, RpcError, check, equal, program, run_tests, wait_until  # noqa: E402

daemon = Daemon()


def state(c, job):
    return c.call("job.get", id=job)["state"]


def pools(c):
    return {p["name"]: p for p in c.call("pool.list")["pools"]}


def mark(text):
    """A word by which the commands of this run are known; a number as sleep takes it."""
    return "%s.%d" % (text, os.getpid())


def processes(text):
    """pid → state letter of the commands that have mark(text) in their command line."""
    found = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % name, "rb") as f:
                words = f.read().split(b"\0")
            with open("/proc/%s/stat" % name, encoding="ascii", errors="replace") as f:
                letter = f.read().rsplit(")", 1)[1].split()[0]
        except OSError:
            continue
        if mark(text).encode() in words and letter != "Z":
            found[int(name)] = letter
    return found


def all_stopped(text, n):
    found = processes(text)
    return len(found) == n and set(found.values()) == {"T"}


def none_stopped(text, n):
    found = processes(text)
    return len(found) == n and "T" not in found.values()


def executor():
    """The pid of corod-exec itself, the parent of the monitors; 0: there is none."""
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % name, "rb") as f:
                line = f.read()
            with open("/proc/%s/comm" % name, encoding="ascii") as f:
                comm = f.read().strip()
        except OSError:
            continue
        if daemon.directory.encode() in line and comm == "corod-exec":
            return int(name)
    return 0


def restart_executor(c):
    old = executor()
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: c.call("system.stats")["executor"] == "up" and executor() not in (0, old),
               "another executor")


def test_what_waits_is_passed_and_keeps_its_place():
    with daemon.client() as c:
        # Each says when it ran: the file is the order.
        order = os.path.join(daemon.directory, "order")
        def say(word):
            return {"sh": "echo %s >>%s" % (word, order), "pool": "one"}
        gate = os.path.join(daemon.directory, "gate")
        first = c.submit({"sh": "while ! test -e %s; do sleep 0.02; done" % gate, "pool": "one"})
        wait_until(lambda: pools(c)["one"]["taken"] == 1, "the first command")
        paused = c.submit([{"gather": [say("a"), say("b"), say("c")]}, {"print": "done"}])
        other = c.submit(say("other"))
        wait_until(lambda: pools(c)["one"]["waiting"] == 4, "four that wait")
        equal(c.call("job.pause", id=paused)["jobs"][0]["state"], "paused")
        equal(c.call("job.pause", ids=[paused])["jobs"][0]["state"], "paused", "twice")
        open(gate, "w").close()
        c.finish(first)
        c.finish(other)
        equal(state(c, paused), "paused")
        equal(pools(c)["one"]["waiting"], 3)
        daemon.restart(signal.SIGKILL)
    with daemon.client() as c:
        equal(state(c, paused), "paused")
        last = c.submit(say("last"))
        c.finish(last)  # would have to wait behind them
        equal(c.call("job.resume", id=paused)["jobs"][0]["state"], "running")
        equal(c.finish(paused)["output"], ["done"])
        with open(order, encoding="ascii") as f:
            equal(f.read().split(), ["other", "last", "a", "b", "c"])


def gated(*program):
    """A program that begins when open_gate() lets it: by then the job is paused."""
    return [{"queue": {"name": "gate"}, "as": "gate"}, {"get": "${gate}"}, *program]


def open_gate(c):
    c.call("queue.put", name="gate", value=1)


def test_the_program_goes_on_as_far_as_it_needs_no_leaf():
    with daemon.client() as c:
        job = c.submit(gated({"sleep": 0.05}, {"print": "slept"}, {"run": ["true"]}, {"print": "ran"}))
        c.call("job.pause", id=job)
        open_gate(c)
        wait_until(lambda: c.call("job.get", id=job)["output"] == ["slept"], "its timer")
        equal(state(c, job), "paused")
        c.call("job.resume", id=job)
        equal(c.finish(job)["output"], ["slept", "ran"])


def test_one_that_needs_nothing_ends_while_it_is_paused():
    with daemon.client() as c:
        job = c.submit(gated({"sleep": 0.05}, {"return": 7}))
        c.call("job.pause", id=job)
        open_gate(c)
        done = c.finish(job)
        equal((done["state"], done["value"]), ("succeeded", 7))
        for method in ("job.pause", "job.resume"):
            error = c.error(method, id=job)
            equal((error.code, error.message), (-32004, "job %d has ended" % job))


def test_what_is_refused():
    with daemon.client() as c:
        job = c.submit({"sleep": 1000})
        error = c.error("job.resume", id=job)
        equal((error.code, error.message), (-32004, "job %d is not paused" % job))
        equal(c.error("job.pause", id=10**9).code, -32003)
        equal(c.error("job.pause", {}).code, -32602)
        equal(c.error("job.pause", id=job, freeze=1).code, -32602)
        equal(c.error("pool.pause", name="nowhere").code, -32003)
        held = c.submit({"main": [], "hold": True})
        error = c.error("job.pause", id=held)
        equal((error.code, error.message), (-32004, "job %d has not started: hold it instead" % held))
        equal(c.call("job.kill", id=held)["jobs"][0]["state"], "cancelled")
        # Of several: an error only when it was possible for none.
        ended = c.submit([])
        c.finish(ended)
        states = [j["state"] for j in c.call("job.pause", ids=[ended, job])["jobs"]]
        equal(states, ["succeeded", "paused"])
        c.call("job.cancel", id=job)
        equal(c.finish(job)["state"], "cancelled")


def tree_of(text):
    """A command whose processes are in a tree of two sessions; how many there are."""
    program = ("import os, sys, time\n"
               "if os.fork() == 0:\n"
               "    os.setsid()\n"
               "    os.fork()\n"
               "os.fork()\n"
               "while True: time.sleep(0.01)\n")
    return {"run": [sys.executable, "-c", program, mark(text)]}, 6


def test_a_frozen_tree_stays_frozen_and_goes_on():
    with daemon.client() as c:
        node, n = tree_of("tree-1")
        job = c.submit(node)
        wait_until(lambda: none_stopped("tree-1", n), "its processes")
        equal(c.call("job.pause", id=job, freeze=True)["jobs"][0]["state"], "paused")
        wait_until(lambda: all_stopped("tree-1", n), "all to be frozen")
        daemon.restart(signal.SIGKILL)
    with daemon.client() as c:
        wait_until(lambda: c.call("system.stats")["executor"] == "up", "the executor")
        check(all_stopped("tree-1", n), "after the daemon's end")
        equal(state(c, job), "paused")
        restart_executor(c)
        check(all_stopped("tree-1", n), "after the executor's end")
        c.call("job.resume", id=job)
        wait_until(lambda: none_stopped("tree-1", n), "all to go on")
        # A pause alone does not thaw what was frozen; freeze can be added to a pause.
        c.call("job.pause", id=job)
        c.call("job.pause", id=job, freeze=True)
        wait_until(lambda: all_stopped("tree-1", n), "all to be frozen again")
        c.call("job.pause", id=job)
        c.run([])
        check(all_stopped("tree-1", n), "paused once more")
        c.call("job.cancel", id=job)  # SIGTERM is taken
        done = c.finish(job, timeout=9)
        equal((done["state"], done["exit"]), ("cancelled", 130))
        wait_until(lambda: not processes("tree-1"), "the end of all its processes")


def test_a_fork_does_not_escape():
    with daemon.client() as c:
        program = ("import os, sys, time\n"
                   "while True:\n"
                   "    pid = os.fork()\n"
                   "    if pid == 0:\n"
                   "        time.sleep(0.02)\n"
                   "        os._exit(0)\n"
                   "    os.waitpid(pid, 0)\n")
        job = c.submit({"run": [sys.executable, "-c", program, mark("forks")]})
        wait_until(lambda: processes("forks"), "it")
        for _ in range(5):
            c.call("job.pause", id=job, freeze=True)
            wait_until(lambda: set(processes("forks").values()) == {"T"}, "all to be frozen")
            frozen = processes("forks")
            c.run({"run": ["sleep", "0.05"]})
            equal(processes("forks"), frozen, "nothing is born")
            c.call("job.resume", id=job)
            wait_until(lambda: "T" not in processes("forks").values(), "all to go on")
        c.call("job.cancel", id=job)
        c.finish(job)


def test_frozen_before_the_executor_knew_of_it():
    with daemon.client() as c:
        os.kill(executor(), signal.SIGSTOP)
        job = c.submit({"run": ["sleep", mark(1003)]})
        wait_until(lambda: c.call("job.tree", id=job)["tasks"][0]["state"] == "running", "its launch")
        c.call("job.pause", id=job, freeze=True)
        os.kill(executor(), signal.SIGCONT)
        wait_until(lambda: all_stopped(1003, 1), "it to be frozen")
        # Resumed while nobody can be told.
        os.kill(executor(), signal.SIGSTOP)
        c.call("job.resume", id=job)
        daemon.kill()
        os.kill(executor(), signal.SIGCONT)
        daemon.start()
    with daemon.client() as c:
        wait_until(lambda: none_stopped(1003, 1), "it to go on")
        # And again, with an executor that dies of it.
        c.call("job.pause", id=job, freeze=True)
        wait_until(lambda: all_stopped(1003, 1), "it to be frozen")
        os.kill(executor(), signal.SIGSTOP)
        c.call("job.resume", id=job)
        os.kill(executor(), signal.SIGKILL)
        wait_until(lambda: none_stopped(1003, 1), "it to go on")
        c.call("job.cancel", id=job)
        c.finish(job)


def test_a_timeout_goes_on_counting():
    with daemon.client() as c:
        job = c.submit({"sh": "trap 'exit 3' TERM; while :; do sleep 0.01; done", "timeout": 2})
        wait_until(lambda: c.call("job.tree", id=job)["tasks"][0]["state"] == "running", "its start")
        c.call("job.pause", id=job, freeze=True)
        done = c.finish(job, timeout=9)
        equal((done["state"], done["exit"]), ("failed", 124))


def test_freezing_what_is_being_ended():
    daemon.configure("kill_grace = 1\n")
    with daemon.client() as c:
        c.call("system.reload")
        ready, told = (os.path.join(daemon.directory, name) for name in ("ready", "told"))
        job = c.submit({"sh": "trap 'touch %s' TERM; touch %s; while :; do sleep 0.01; done" % (told, ready)})
        wait_until(lambda: os.path.exists(ready), "its trap")
        c.call("job.cancel", id=job)
        wait_until(lambda: os.path.exists(told), "its SIGTERM")
        c.call("job.pause", id=job, freeze=True)
        equal(c.finish(job, timeout=9)["state"], "cancelled")
    daemon.configure("")
    with daemon.client() as c:
        c.call("system.reload")


def test_a_frozen_command_that_somebody_kills():
    with daemon.client() as c:
        job = c.submit({"run": ["sleep", mark(1004)]})
        wait_until(lambda: processes(1004), "it")
        c.call("job.pause", id=job, freeze=True)
        wait_until(lambda: all_stopped(1004, 1), "it to be frozen")
        os.kill(list(processes(1004))[0], signal.SIGKILL)
        done = c.finish(job)
        equal((done["state"], done["exit"]), ("failed", 128 + 9))
        c.run({"run": ["true"]})  # whoever comes after it in its cgroup runs


def test_a_paused_pool_starts_nothing():
    with daemon.client() as c:
        runs = c.submit({"run": ["sleep", mark(1005)], "pool": "one"})
        wait_until(lambda: processes(1005), "it")
        equal(c.call("pool.pause", name="one"), {"name": "one", "paused": True})
        c.call("pool.pause", name="default")
        jobs = [c.submit({"run": ["true"], "pool": pool}) for pool in ("one", "default")]
        equal([pools(c)[p]["paused"] for p in ("one", "default")], [True, True])
        c.call("job.cancel", id=runs)
        c.finish(runs)
        before = pools(c)["default"]["slots"]
        daemon.restart(signal.SIGKILL)
    with daemon.client() as c:
        equal([pools(c)[p]["paused"] for p in ("one", "default")], [True, True])
        equal(pools(c)["default"]["slots"], before)
        equal([state(c, job) for job in jobs], ["queued", "queued"])
        c.call("pool.set", name="one", slots=2)
        equal((pools(c)["one"]["paused"], pools(c)["one"]["slots"]), (True, 2))
        c.call("pool.resume", name="one")
        equal(c.finish(jobs[0])["state"], "succeeded")
        equal(state(c, jobs[1]), "queued")
        equal(c.call("pool.resume", name="default"), {"name": "default", "paused": False})
        equal(c.finish(jobs[1])["state"], "succeeded")
        daemon.restart()
    with daemon.client() as c:
        equal([pools(c)[p]["paused"] for p in ("one", "default")], [False, False])


def gone(text):
    return not processes(text)


def rows(sql, *values):
    with sqlite3.connect(os.path.join(daemon.state, "corod.db")) as db:
        return db.execute(sql, values).fetchall()


def test_kill_ends_a_job_at_once():
    with daemon.client() as c:
        marks = [1101, 1102]
        job = c.submit([{"try": {"gather": [
            {"sh": "trap '' TERM; setsid sleep %s & sleep %s & wait; wait; wait" % (mark(1101), mark(1102))},
            {"run": ["sleep", mark(1102)]}, {"sleep": 1000}, [{"lock": {}, "as": "l"}, {"with": "${l}", "do": {"sleep": 9}}]]},
            "finally": {"print": "cleaning up"}}])
        wait_until(lambda: len(processes(1101)) == 1 and len(processes(1102)) == 2, "its commands")
        killed = c.call("job.kill", id=job)["jobs"][0]
        equal((killed["state"], killed["exit"]), ("cancelled", 130))  # it has ended when it is answered
        equal(killed["error"], {"type": "CancelledError", "message": "the job was killed"})
        wait_until(lambda: all(map(gone, marks)), "the end of all its processes", 9)
        done = c.call("job.get", id=job)
        equal(done["output"], [])
        equal(done["diagnostics"], [])
        equal({t["state"] for t in done["tasks"]}, {"cancelled"})
        wait_until(lambda: c.call("job.get", id=job)["attempts"]["running"] == 0, "the ends of its commands")
        equal(sorted(rows("SELECT how, status FROM attempt WHERE job = ?", job)), [(2, 9), (2, 9)])
        equal(rows("SELECT count(*) FROM object WHERE job = ?", job), [(0,)])
        equal(pools(c)["default"]["taken"], 0)
        error = c.error("job.kill", id=job)
        equal((error.code, error.message), (-32004, "job %d has ended" % job))
        equal(c.error("job.kill", id=10**9).code, -32003)


def test_kill_of_those_that_do_not_end():
    swallow = {"while": True, "do": {"try": {"sleep": 1000}, "except": [{"type": "BaseException", "do": []}]}}
    never_awaits = {"while": True, "do": {"set": {"x": 1}}}
    made = {"run": ["sleep", mark(1103)]}
    with daemon.client() as c:
        nodes = (swallow, never_awaits, [{"create_task": never_awaits}, {"sleep": 0}, never_awaits],
                 {"for": "l", "in": {"lines": {"sh": "yes; sleep " + mark(1103)}}, "do": {"sleep": 0}},
                 {"for": "l", "in": {"lines": {"sh": "sleep " + mark(1103)}}, "do": {"sleep": 0}},
                 {"task_group": [made, swallow, [{"raise": {"type": "E"}}]]},
                 {"race": [swallow, made]}, {"retry": 1000000, "run": ["false"]},
                 [{"queue": {}, "as": "q"}, {"put": [1, 2], "into": "${q}"},
                  {"gather": [{"join": "${q}"}, {"sleep": 1000}]}],
                 [{"create_task": swallow, "as": "t"}, {"wait": ["${t}"]}], {"sleep": 1000},
                 [{"create_task": {"raise": {"type": "Unseen"}}, "as": "t"}, {"sleep": 1000}],
                 {"shield": swallow})
        for node, cancelled in [(n, x) for n in nodes for x in (False, True)]:
            job = c.submit({"main": node, "timeout": 1000})
            wait_until(lambda: state(c, job) == "running", "its start")
            c.run([])
            if cancelled:  # in the middle of its end, if that takes a while
                c.call("job.cancel", id=job)
            try:
                equal(c.call("job.kill", id=job)["jobs"][0]["state"], "cancelled", str(node))
            except RpcError as e:
                check(cancelled and e.code == -32004, "%s: %s" % (node, e))
            if not cancelled:
                equal(c.call("job.get", id=job)["diagnostics"], [], str(node))
        wait_until(lambda: gone(1103), "the end of all commands")
        wait_until(lambda: pools(c)["default"]["taken"] == 0, "all slots to be free")
        equal(c.call("system.stats")["live_tasks"], 0)


def test_kill_of_what_waits_or_is_paused_or_frozen():
    with daemon.client() as c:
        c.call("pool.set", name="one", slots=1)
        jobs = [c.submit({"main": {"gather": [{"run": ["sleep", mark(1104)]}] * 3}, "pool": "one"}) for _ in range(3)]
        wait_until(lambda: none_stopped(1104, 1), "the first command")
        c.call("job.pause", id=jobs[0], freeze=True)
        c.call("job.pause", id=jobs[1])
        wait_until(lambda: all_stopped(1104, 1), "it to be frozen")
        for job in (jobs[1], jobs[2], jobs[0]):
            equal(c.call("job.kill", id=job)["jobs"][0]["state"], "cancelled")
        wait_until(lambda: gone(1104), "its end")
        wait_until(lambda: pools(c)["one"]["taken"] == 0, "its slot to be free")
        equal(pools(c)["one"]["waiting"], 0)
        c.run({"run": ["true"], "pool": "one"})


def test_a_slot_is_taken_until_the_killed_command_has_ended():
    with daemon.client() as c:
        job = c.submit({"run": ["sleep", mark(1105)], "pool": "one"})
        wait_until(lambda: none_stopped(1105, 1), "it")
        os.kill(executor(), signal.SIGSTOP)
        c.call("job.kill", id=job)
        next_one = c.submit({"run": ["true"], "pool": "one"})
        c.run([])
        equal((state(c, next_one), pools(c)["one"]["taken"]), ("queued", 1))
        daemon.kill()  # before anybody was told to kill it
        os.kill(executor(), signal.SIGCONT)
        daemon.start()
    with daemon.client() as c:
        wait_until(lambda: gone(1105), "its end")
        equal(c.finish(next_one)["state"], "succeeded")
        equal(rows("SELECT how, status FROM attempt WHERE job = ?", job), [(2, 9)])


def test_kill_of_what_was_not_sent_yet():
    with daemon.client() as c:
        old = executor()
        os.kill(old, signal.SIGKILL)
        wait_until(lambda: c.call("system.stats")["executor"] == "down" or executor() not in (0, old), "the executor's end")
        job = c.submit({"run": ["sleep", mark(1106)]})
        wait_until(lambda: c.call("job.tree", id=job)["tasks"][0]["state"] == "running" or
                   c.call("system.stats")["executor"] == "up", "its launch")
        c.call("job.kill", id=job)
        wait_until(lambda: c.call("system.stats")["executor"] == "up", "another executor")
        wait_until(lambda: c.call("job.get", id=job)["attempts"]["running"] == 0, "the end of its command")
        wait_until(lambda: gone(1106), "its end")
        c.run({"run": ["true"]})


def retry(c, job, **more):
    made = c.call("job.retry", id=job, **more)["jobs"]
    equal(len(made), 1)
    equal(made[0]["retry_of"], job)
    return made[0]["id"]


def test_retry_is_a_new_run_of_the_whole():
    with daemon.client() as c:
        c.call("pool.set", name="two", slots=2)
        document = {"name": "again", "labels": {"a": "b"}, "pool": "two", "priority": 7, "cwd": "down", "umask": "077",
                    "env": {"FROM_JOB": "x"}, "key": "once", "delay": 0.01,
                    "main": [{"sh": "pwd; umask; echo $FROM_JOB $FROM_CLIENT; exit 3"}]}
        os.mkdir(os.path.join(daemon.directory, "down"))
        first = c.submit(document, cwd=daemon.directory, env={"FROM_CLIENT": "y", "PATH": "/bin:/usr/bin"})
        equal(c.finish(first)["exit"], 3)
        daemon.restart(signal.SIGKILL)
    with daemon.client() as c:
        second = retry(c, first)
        done = c.finish(second)
        old = c.call("job.get", id=first)
        for key in ("name", "labels", "pool", "priority", "cwd", "umask", "exit", "uid", "gid", "error"):
            equal(done[key], old[key], key)
        equal((done["retry_of"], done["key"], old["retry_of"], old["key"]), (first, None, None, "once"))
        equal(done["output"], old["output"])
        texts = [c.call("log.read", id=job, stream="stdout")["data"] for job in (first, second)]
        equal(texts, [os.path.join(daemon.directory, "down") + "\n0077\nx y\n"] * 2)
        equal(c.finish(retry(c, second))["retry_of"], second)


def test_an_id_counts_once():
    with daemon.client() as c:
        jobs = [c.submit({"main": {"print": "x"}}) for _ in range(2)]
        for job in jobs:
            c.finish(job)
        made = c.call("job.retry", ids=[jobs[1], jobs[0], jobs[1], jobs[0]])["jobs"]
        equal([j["retry_of"] for j in made], [jobs[1], jobs[0]])
        equal([j["id"] for j in c.call("job.remove", ids=jobs * 2)["jobs"]], jobs)


def test_what_is_not_retried():
    with daemon.client() as c:
        live = c.submit({"sleep": 1000})
        ended = c.run([])["id"]
        error = c.error("job.retry", ids=[ended, live])
        equal((error.code, error.message), (-32004, "job %d has not ended" % live))
        equal(c.error("job.retry", ids=[ended, 10**9]).code, -32003)
        equal(c.error("job.retry", {}).code, -32602)
        c.call("job.kill", id=live)
        for main in ([], {"gather": [{"sleep": 0}]}, [{"sleep": 0}, {"gather": {"for": "x", "in": [], "do": []}}],
                     {"retry": 2, "gather": {"for": "x", "in": [1], "do": []}},
                     {"for": "x", "in": [1], "do": {"gather": {"for": "x", "in": [1], "do": []}}},
                     {"race": [{"sleep": 0}, {"gather": {"for": "x", "in": [1], "do": []}}]}):
            error = c.error("job.retry", id=c.run({"main": main})["id"], failed=True)
            equal(error.code, -32004, str(main))
            check("no gather over items" in error.message, error.message)


# Each item says that it ran; those in the file "bad" fail.
RUN_ITEM = {"sh": "echo $1 >>ran; if grep -qx -- $1 bad; then exit 4; fi; echo did $1", "args": ["${x}"]}


class Items:
    """Jobs over items in a directory of their own."""

    def __init__(self, c, name):
        self.c = c
        self.directory = os.path.join(daemon.directory, name)
        os.mkdir(self.directory)
        self.bad()

    def path(self, name):
        return os.path.join(self.directory, name)

    def bad(self, *items):
        with open(self.path("bad"), "w", encoding="ascii") as f:
            f.write("".join("%s\n" % i for i in items))

    def saw(self):
        if not os.path.exists(self.path("ran")):
            return []
        with open(self.path("ran"), encoding="ascii") as f:
            return sorted(f.read().split())

    def ran(self):
        """What ran since it was asked last."""
        words = self.saw()
        if words:
            os.unlink(self.path("ran"))
        return words

    def submit(self, main, items):
        return self.c.submit({"main": main, "input": {"items": items}}, cwd=self.directory)


def gather(do=RUN_ITEM, **more):
    return {"gather": {"for": "x", "in": "${items}", "do": do}, **more}


def test_retry_of_what_failed():
    with daemon.client() as c:
        shapes = {
            "plain": gather(), "all": gather(return_exceptions=True), "limited": gather(limit=1), "block": [gather()],
            "then": [{"lock": {}, "as": "l"}, {"set": {"y": 1}}, dict(gather(), **{"as": "r"}), {"return": "${r}"}],
            "timed": gather(timeout=1000), "race": [{"event": {}, "as": "e"}, {"race": [gather(), {"wait": "${e}"}]}],
            "call": gather(do={"call": "work", "args": {"x": "${x}"}}),
        }
        for name, main in shapes.items():
            i = Items(c, name)
            i.bad("b", "d")
            job = i.c.submit({"main": main, "input": {"items": ["a", "b", "c", "d", "e", "a"]},
                              "define": {"work": {"params": ["x"], "do": RUN_ITEM}}}, cwd=i.directory)
            c.finish(job)
            before = i.ran()
            again = retry(c, job, failed=True)
            c.finish(again)
            ran = i.ran()
            # The first that fails may end the others before they have run.
            check(ran == ["b", "d"] if name == "all" else ran, "%s: %s after %s" % (name, ran, before))
            i.bad("d")
            third = retry(c, again, failed=True)
            c.finish(third)
            ran = i.ran()
            check(name != "all" or ran == ["b", "d"], "%s: %s" % (name, ran))
            i.bad()
            last = c.finish(retry(c, third, failed=True))
            equal(last["state"], "succeeded", name)
            values = last["value"]
            equal([v["stdout"] for v in values], ["did " + w for w in "abcdea"], name)
            ran = i.ran()
            check(ran == ["d"] if name == "all" else "d" in ran, "%s: %s" % (name, ran))
            equal(last["diagnostics"], [], name)
            equal(last["output"], [], name)
            whole = c.finish(retry(c, last["id"]))
            equal((whole["state"], i.ran()), ("succeeded", list("aabcde")), name)


def test_what_is_given_is_there_after_a_kill():
    with daemon.client() as c:
        i = Items(c, "killed")
        items = list("abcdefgh")
        i.bad("c")
        job = i.submit(gather(return_exceptions=True), items)
        c.finish(job)
        i.ran()
        i.bad()
        again = retry(c, job, failed=True)
        daemon.restart(signal.SIGKILL)
    with daemon.client() as c:
        done = c.finish(again)
        equal([v["stdout"] for v in done["value"]], ["did " + w for w in items])
        equal(i.ran(), ["c"])


def test_successes_of_a_job_that_was_ended_count():
    with daemon.client() as c:
        i = Items(c, "half")
        slow = {"sh": "echo $1 >>ran; test $1 != s || sleep 1000", "args": ["${x}"]}
        for method in ("job.cancel", "job.kill"):
            job = i.submit(gather(do=slow), ["a", "s", "b"])
            wait_until(lambda: c.call("job.get", id=job)["task_counts"].get("succeeded") == 2 and
                       "s" in i.saw(), "two to end, the third to begin")
            c.call(method, id=job)
            c.finish(job)
            equal(i.ran(), ["a", "b", "s"])
            again = retry(c, job, failed=True)
            wait_until(lambda: "s" in i.saw(), "the third")
            c.call(method, id=again)
            c.finish(again)
            equal(i.ran(), ["s"])


def test_values_that_cannot_be_given_are_made_again():
    with daemon.client() as c:
        i = Items(c, "handles")
        do = [{"queue": {}, "as": "q"}, {"sh": "echo $1 >>ran", "args": ["${x}"]},
              {"if": {"==": [{"var": "x"}, "q"]}, "then": {"return": ["${q}"]}}, {"return": {"k": ["${x}", None, 1.5, True]}}]
        first = c.finish(i.submit(gather(do=do), ["a", "q"]))
        i.ran()
        second = c.finish(retry(c, first["id"], failed=True))
        equal(i.ran(), ["q"])
        equal(second["value"], first["value"])
        equal(second["value"][0], {"k": ["a", None, 1.5, True]})


def test_many_items():
    n = 100000
    with daemon.client() as c:
        c.call("pool.set", name="many", slots=100)
        ready = os.path.join(daemon.directory, "many")
        fail_once = {"if": {"==": [{"var": "x"}, 77777]}, "then": {"run": ["test", "-e", ready]}, "else": {"return": "${x}"}}
        main = {"gather": {"for": "x", "in": {"range": n}, "do": fail_once}, "return_exceptions": True}
        job = c.submit({"main": [{"set": {"z": 1}}, dict(main, **{"as": "r"}), {"return": ["${r[5]}", "${r[77777]}", "${r[99999]}"]}]})
        value = c.finish(job, timeout=200)["value"]
        equal((value[0], value[2], value[1]["error"]["type"]), (5, 99999, "CommandError"))
        open(ready, "w", encoding="ascii").close()
        again = c.finish(retry(c, job, failed=True), timeout=200)
        equal((again["value"][0], again["value"][2], again["value"][1]["exit"]), (5, 99999, 0))
        equal(again["attempts"]["count"], 1)
        equal(rows("SELECT count(*) FROM task_end WHERE job = ? AND state = 4", again["id"]), [(n + 1,)])


def test_kill_lets_go_of_what_is_shared():
    with daemon.client() as c:
        lock = {"lock": {"name": "shared"}, "as": "l"}
        holds = c.submit([lock, {"with": "${l}", "do": [{"print": "has it"}, {"sleep": 1000}]}])
        wait_until(lambda: c.call("job.get", id=holds)["output"] == ["has it"], "the lock to be held")
        waits = c.submit([lock, {"with": "${l}", "do": {"print": "has it"}}])
        also = c.submit([lock, {"with": "${l}", "do": {"print": "has it"}}])
        wait_until(lambda: state(c, also) == "running", "both to wait")
        c.call("job.kill", id=waits)
        c.call("job.kill", id=holds)
        equal(c.finish(also)["output"], ["has it"])
        equal(c.call("job.get", id=waits)["output"], [])


def test_kill_and_pause_of_requests():
    with daemon.client() as c, socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(PATIENCE)
        url = "http://127.0.0.1:%d/" % server.getsockname()[1]
        job = c.submit({"http": {"method": "GET", "url": url}})
        with server.accept()[0]:
            c.call("job.pause", id=job, freeze=True)  # what was sent goes on
            equal(c.call("job.kill", id=job)["jobs"][0]["state"], "cancelled")
            wait_until(lambda: c.call("job.get", id=job)["attempts"]["running"] == 0, "the end of its request")
        job = c.submit(gated({"http": {"method": "GET", "url": url}}))
        c.call("job.pause", id=job)
        open_gate(c)
        wait_until(lambda: pools(c)["http"]["waiting"] == 1, "a request that waits")
        c.call("job.resume", id=job)
        with server.accept()[0] as peer:
            peer.recv(4096)
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
            equal(c.finish(job)["value"]["status"], 200)
        equal(pools(c)["http"]["taken"], 0)


def coro(*words, status=0):
    """What `coro` prints."""
    done = subprocess.run([program("coro"), "--socket", daemon.socket, *map(str, words)], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    equal(done.returncode, status, "%s: %s%s" % (words, done.stdout, done.stderr))
    return done.stdout if status == 0 else done.stderr


def test_the_client():
    with daemon.client() as c:
        job = c.submit({"name": "steered", "main": {"run": ["sleep", mark(1107)]}})
        wait_until(lambda: none_stopped(1107, 1), "it")
        coro("pause", "steered")
        equal(json.loads(coro("pause", "--json", "--freeze", job))[0]["state"], "paused")
        check("paused" in coro(), "the overview")
        wait_until(lambda: all_stopped(1107, 1), "it to be frozen")
        coro("resume", "all")
        check("is not paused" in coro("resume", job, status=125))
        coro("kill", "last")
        equal(coro("wait", job, status=130), "")
        check("has not ended" not in coro("retry", "-n", "last"))
        again = int(coro("retry", "last"))
        check("has not ended" in coro("retry", again, status=125))
        coro("kill", again)
        coro("pool", "pause", "one")
        check("paused" in coro("pool", "ls"))
        coro("pool", "resume", "one")
        check("there is no pool" in coro("pool", "pause", "nowhere", status=125))
        i = Items(c, "client")
        i.bad("b")
        first = i.submit(gather(return_exceptions=True, do=[RUN_ITEM, {"return": "${x}"}]), ["a", "b"])
        c.finish(first)
        i.bad()
        i.ran()
        equal(coro("retry", "--failed", "-w", first), '["a", "b"]\n')
        equal(i.ran(), ["b"])


def test_a_command_that_is_lost():
    with daemon.client() as c:
        for kept in (None, "fail", "retry"):
            lost = {"run": ["sleep", mark(1108)]}
            if kept:
                lost["on_lost"] = kept
            for end in ("monitor", "boot"):
                job = c.submit(lost)
                wait_until(lambda: none_stopped(1108, 1), "it")
                command = list(processes(1108))[0]
                if end == "monitor":
                    with open("/proc/%d/stat" % command, encoding="ascii") as f:
                        os.kill(int(f.read().rsplit(")", 1)[1].split()[1]), signal.SIGKILL)
                else:  # as if the machine had died: all is gone, and the boot is another one
                    daemon.kill_all()
                    with sqlite3.connect(os.path.join(daemon.state, "corod.db")) as db:
                        db.execute("UPDATE attempt SET boot = 'another' WHERE ended IS NULL")
                    shutil.rmtree(os.path.join(daemon.state, "exec"))
                    daemon.start()
                    c = daemon.client()
                if kept == "retry":
                    wait_until(lambda: set(processes(1108)) - {command}, "it to run again")
                    c.call("job.kill", id=job)
                else:
                    done = c.finish(job)
                    equal((done["state"], done["exit"], done["error"]["type"]), ("lost", 125, "LostError"), end)
                wait_until(lambda: gone(1108), "the end of its processes")
                wait_until(lambda: c.call("job.get", id=job)["attempts"]["running"] == 0, "the row of its end")
                equal([how for how, in rows("SELECT how FROM attempt WHERE job = ? ORDER BY number", job)],
                      [4, 2] if kept == "retry" else [4], "%s %s" % (kept, end))


if __name__ == "__main__":
    with daemon:
        with daemon.client() as first:  # a test that fails leaves the slots of others alone
            first.call("pool.set", name="default", slots=100)
            first.call("pool.set", name="one", slots=1)
        run_tests(globals(), sys.argv[1:])
