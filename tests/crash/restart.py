#!/usr/bin/env python3
# test-timeout: 300
"""Daemon, executor and monitors are killed, stopped and replaced while 100 commands run in a gather. Every
command must have run once, every result must be there, the job's value must be right."""
import os
import shutil
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from corod import Closed, Daemon, RpcError, check, equal, finish, has_ended, program, test, wait_until  # noqa: E402

COMMANDS = 100


class Load:
    """A job of 100 commands, each of which notes that it runs and waits until it may go on."""

    def __init__(self, d, slots=COMMANDS, **gather):
        self.d = d
        self.ran = os.path.join(d.directory, "ran")
        self.gate = os.path.join(d.directory, "gate")
        script = 'echo "$I $CORO_ATTEMPT" >>"$RAN"; while [ ! -e "$GATE" ]; do sleep 0.05; done; echo "r$I"'
        with d.client() as c:
            c.call("pool.set", name="default", slots=slots)
            self.job = c.submit(
                {"main": [{"gather": {"for": "i", "in": {"range": COMMANDS},
                                      "do": {"sh": script, "env": {"I": "${i}"}}},
                           "as": "r", **gather},
                          {"return": "${r}"}]},
                env=dict(os.environ, RAN=self.ran, GATE=self.gate))

    def lines(self):
        try:
            with open(self.ran, encoding="ascii") as f:
                return f.read().splitlines()
        except FileNotFoundError:
            return []

    def wait_running(self, n=COMMANDS):
        wait_until(lambda: len(self.lines()) >= n, "start of %d commands" % n)

    def open_gate(self):
        with open(self.gate, "w", encoding="ascii"):
            pass

    def result(self):
        with self.d.client() as c:
            return c.finish(self.job, 120)

    def check_once(self):
        lines = [line.split() for line in self.lines()]
        equal(sorted(int(i) for i, _ in lines), list(range(COMMANDS)), "commands that ran")
        equal(len({attempt for _, attempt in lines}), COMMANDS, "attempts")

    def check_done(self):
        job = self.result()
        equal(job["state"], "succeeded", str(job.get("error")))
        equal([r["stdout"] for r in job["value"]], ["r%d" % i for i in range(COMMANDS)])
        equal({r["exit"] for r in job["value"]}, {0})
        self.check_once()


def kill_daemon(d):
    d.kill()
    d.start()


def kill_daemon_twice(d):
    d.kill()
    d.start()
    d.kill()
    d.start()


def terminate_daemon(d):
    equal(d.stop(signal.SIGTERM), 0, "exit status")
    d.start()


def stop_daemon(d):
    with d.client() as c:
        c.call("system.shutdown")
    equal(d.process.wait(30), 0, "exit status")
    d.process = None
    d.start()


def upgrade_daemon(d):
    copy = os.path.join(d.directory, "corod-%d" % len(os.listdir(d.directory)))
    shutil.copy2(program("corod"), copy)
    d.stop()
    os.environ["COROD"] = copy
    try:
        d.start()
    finally:
        del os.environ["COROD"]


def kill_executor(d):
    executor = d.executor()
    os.kill(executor, signal.SIGKILL)
    wait_until(lambda: has_ended(executor), "its death")


def kill_both(d):
    kill_executor(d)
    kill_daemon(d)


STRIKES = [kill_daemon, kill_daemon_twice, terminate_daemon, stop_daemon, upgrade_daemon, kill_executor, kill_both]


def while_all_run(strike):
    with Daemon() as d:
        load = Load(d)
        load.wait_running()
        strike(d)
        load.open_gate()
        load.check_done()


def while_some_wait(strike):
    """20 at a time: some have ended, some run, some wait for a slot, starts are on their way."""
    with Daemon() as d:
        load = Load(d, slots=20)
        load.open_gate()
        for n in (10, 40, 70):
            load.wait_running(n)
            strike(d)
        load.check_done()


def test_killed_monitor_loses_its_one_command():
    with Daemon() as d:
        load = Load(d, return_exceptions=True)
        load.wait_running()
        monitors = d.monitors()
        check(len(monitors) >= COMMANDS, "%d monitors" % len(monitors))
        os.kill(monitors[7], signal.SIGKILL)
        load.open_gate()
        job = load.result()
        lost = [r for r in job["value"] if "error" in r]
        equal([r["error"]["type"] for r in lost], ["LostError"])
        fine = [r["stdout"] for r in job["value"] if "error" not in r]
        expected = ["r%d" % i for i in range(COMMANDS)]
        expected.remove(next(e for i, e in enumerate(expected) if "error" in job["value"][i]))
        equal(fine, expected)
        load.check_once()


def test_cancel_while_the_daemon_is_away():
    """A cancel that was acknowledged is carried out, whoever is killed next."""
    with Daemon() as d:
        load = Load(d)
        load.wait_running()
        executor = d.executor()
        os.kill(executor, signal.SIGSTOP)
        try:
            with d.client() as c:
                c.call("job.cancel", id=load.job)
            d.kill()
        finally:
            os.kill(executor, signal.SIGCONT)
        d.start()
        equal(load.result()["state"], "cancelled")
        load.check_once()


def test_key_survives_a_lost_reply():
    """A client that did not hear the answer asks again with the same key: one job."""
    with Daemon() as d:
        document = {"main": {"sh": "echo once >>\"$RAN\""}}
        ran = os.path.join(d.directory, "ran")
        ids = set()
        for _ in range(5):
            try:
                with d.client() as c:
                    c.start("job.submit", {"job": document, "key": "k", "env": {"RAN": ran}})
                    d.kill()
                    c.receive()
            except (Closed, ConnectionError, RpcError):
                pass
            d.start()
            with d.client() as c:
                ids.add(c.call("job.submit", job=document, key="k", env={"RAN": ran})["id"])
        equal(len(ids), 1, "jobs")
        with d.client() as c:
            equal(c.finish(ids.pop())["state"], "succeeded")
        with open(ran, encoding="ascii") as f:
            equal(f.read(), "once\n")


def test_order_and_timers_go_on():
    """Sleeps, prints and variables of suspended tasks are where they were."""
    with Daemon() as d:
        with d.client() as c:
            job = c.submit({
                "define": {"count": {"params": ["who", "pause"], "do": [
                    {"for": "n", "in": {"range": 6}, "do": [
                        {"print": "${who} ${n}"}, {"sleep": "${pause}"}]},
                    {"return": "${who}"}]}},
                "main": {"gather": [{"call": "count", "args": {"who": "a", "pause": 0.2}},
                                    {"call": "count", "args": {"who": "b", "pause": 0.3}}]}})
        for _ in range(6):
            d.restart(signal.SIGKILL)
        with d.client() as c:
            got = c.finish(job)
        equal(got["value"], ["a", "b"])
        for who in "ab":
            equal([line for line in got["output"] if line[0] == who], ["%s %d" % (who, n) for n in range(6)])


for s in STRIKES:
    test(while_all_run, s, name="while all run: " + s.__name__)
for s in STRIKES:
    test(while_some_wait, s, name="while some wait: " + s.__name__)
test(test_killed_monitor_loses_its_one_command)
test(test_cancel_while_the_daemon_is_away)
test(test_key_survives_a_lost_reply)
test(test_order_and_timers_go_on)
finish()
