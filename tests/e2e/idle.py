#!/usr/bin/env python3
# test-timeout: 120
"""A daemon that has nothing to do sleeps: no timer is set that only looks whether there is something to do."""
import os
import re
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from corod import Daemon, check, equal, run_tests, wait_until  # noqa: E402

DAY = 86400
CLOCK_BOOTTIME = 7


def next_wakeup(d):
    """Seconds until the timer of its loop is due; None: it is not set."""
    folder = "/proc/%d/fdinfo" % d.process.pid
    for fd in os.listdir(folder):
        with open(os.path.join(folder, fd), encoding="ascii") as f:
            text = f.read()
        if "clockid: %d\n" % CLOCK_BOOTTIME in text:
            seconds, nanos = map(int, re.search(r"it_value: \((\d+), (\d+)\)", text).groups())
            return seconds + nanos / 1e9 if seconds or nanos else None
    raise AssertionError("no timer")


def sleeps(d, least=1000):
    """Passes the moments after which it looks once more, until its next one is that far."""
    def step():
        left = next_wakeup(d)
        if left is None or left > least:
            return True
        d.advance(left)
        return False
    wait_until(step, "a daemon that sleeps")
    return next_wakeup(d)


def sleeps_until(d, least, most, what):
    """Seconds."""
    wait_until(lambda: least < (sleeps(d) or 0) <= most, "a timer until %s" % what)
    return next_wakeup(d)


def test_fresh():
    with Daemon(clock=True) as d, d.client() as c:
        c.call("system.ping")
        equal(sleeps(d), None)


def test_that_ran_jobs():
    with Daemon(clock=True) as d, d.client() as c, d.client() as idle:
        for _ in range(3):
            c.run({"main": [{"sh": "echo"}, {"print": "x"}]})
        idle.start("job.wait", {"ids": [c.submit({"main": {"run": ["sleep", "1000"]}})]})
        sleeps_until(d, 20 * DAY, 30 * DAY, "keep_age")
        c.call("job.remove", ids=[1])
        sleeps(d)
        c.call("job.kill", id=4)


def test_sleepers():
    with Daemon(config="keep_age = 0\n", clock=True) as d, d.client() as c:
        c.submit({"main": {"gather": {"for": "i", "in": {"range": 1000}, "do": {"sleep": 3 * DAY}}}})
        c.run({"main": {"print": 1}})
        sleeps_until(d, 2 * DAY, 3 * DAY, "the sleep's end")


def test_age():
    """The next look is when the oldest is too old."""
    with Daemon(config="keep_age = 10h\n", clock=True) as d, d.client() as c:
        job = c.run({"main": {"print": 1}})["id"]
        d.advance(3600)
        other = c.run({"main": {"print": 1}})["id"]
        d.advance(sleeps_until(d, 8.9 * 3600, 9 * 3600, "the first is too old"))
        wait_until(lambda: [j["id"] for j in c.call("job.list")["jobs"]] == [other], "removal of job %d" % job)
        d.advance(sleeps_until(d, 3000, 3700, "the other is too old"))
        wait_until(lambda: c.call("job.list")["jobs"] == [], "removal of the other")
        equal(sleeps(d), None)


def test_unfinished_messages():
    """Only they are looked after."""
    with Daemon(clock=True) as d, d.client() as c:
        sleeps(d)
        c.write(b'{"jsonrpc"')
        wait_until(lambda: (next_wakeup(d) or DAY) <= 1, "a look after it")
        c.write(b':"2.0","id":1,"method":"system.ping"}\n')
        check("result" in c.receive(), "an answer")
        equal(sleeps(d), None)
        c.write(b'{"jsonrpc":"2.0","id":2,"method":"system.ping"}\n')
        c.socket.shutdown(socket.SHUT_WR)
        check("result" in c.receive(), "an answer")
        equal(sleeps(d), None)


run_tests(globals())
