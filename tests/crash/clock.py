#!/usr/bin/env python3
"""Clocks that jump: within a boot the wall clock moves no deadline, across boots it carries them, and
after a suspend what is overdue comes in the order of deadlines. No command of these jobs needs time
of its own, so that a day passes in no time."""
import datetime
import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from corod import Daemon, check, equal, finish, test, wait_until  # noqa: E402

HOUR = 3600
DAY = 24 * HOUR


def output(d, job):
    with d.client() as c:
        return c.call("job.get", id=job)["output"]


def state(d, job):
    with d.client() as c:
        return c.call("job.get", id=job)["state"]


def submit(d, job):
    with d.client() as c:
        return c.submit(job)


def ended(d, job):
    with d.client() as c:
        return c.finish(job)


def saw(d, job, lines):
    wait_until(lambda: output(d, job) == lines, "output %r" % (lines,))


def sleeper(seconds):
    return [{"print": "sleeps"}, {"sleep": seconds}, {"print": "woke"}]


def sleeping(d, seconds):
    job = submit(d, sleeper(seconds))
    saw(d, job, ["sleeps"])
    return job


def settled(d):
    """What was due has run: a job that was submitted after it has ended."""
    equal(ended(d, submit(d, [{"sleep": 0}, {"return": 1}]))["value"], 1)


def test_time_passes():
    with Daemon(clock=True) as d:
        job = sleeping(d, HOUR)
        d.advance(HOUR - 100)
        settled(d)
        equal(output(d, job), ["sleeps"])
        d.advance(100)
        equal(ended(d, job)["output"], ["sleeps", "woke"])


def test_from_deadline_to_deadline():
    """A day of beats, each of which is seen at its own time."""
    with Daemon(clock=True) as d:
        job = submit(d, {"for": "i", "in": {"range": 24}, "do": [{"sleep": HOUR}, {"print": "${i}"}]})
        d.skip(lambda: state(d, job) == "succeeded")
        equal(ended(d, job)["output"], [str(i) for i in range(24)])


def test_wall_clock_moves_no_deadline():
    """Set forward and back, also while the daemon is away: sleep, timeout and ticker stay."""
    ticker = {"for": "n", "in": {"ticker": HOUR}, "do": [{"print": "beat"}]}
    late = [{"event": {}, "as": "e"},
            {"try": {"wait": "${e}", "timeout": 5 * HOUR},
             "except": [{"type": "TimeoutError", "do": {"print": "timeout"}}]}]
    with Daemon(clock=True) as d:
        slept, beats, bound = sleeping(d, 5 * HOUR), submit(d, ticker), submit(d, late)
        settled(d)
        for jump in (30 * DAY, -60 * DAY, 3 * DAY):
            d.set_wall(jump)
            settled(d)
            d.set_wall(jump)
            d.restart(signal.SIGKILL)
            settled(d)
            equal([output(d, slept), output(d, beats), output(d, bound)], [["sleeps"], [], []])
        for n in range(1, 5):
            d.advance(HOUR)
            saw(d, beats, ["beat"] * n)
            d.set_wall(-DAY if n % 2 else DAY)
        equal([output(d, slept), output(d, bound)], [["sleeps"], []])
        d.advance(HOUR)
        equal(ended(d, slept)["output"], ["sleeps", "woke"])
        equal(ended(d, bound)["output"], ["timeout"])
        with d.client() as c:
            c.call("job.cancel", id=beats)
        equal(ended(d, beats)["state"], "cancelled")


def test_downtime_counts():
    """Across boots the wall clock decides: what is left of a deadline is what is left of it by day."""
    with Daemon(clock=True) as d:
        short, long = sleeping(d, 2 * HOUR), sleeping(d, DAY)
        d.kill_all()
        d.new_boot(downtime=3 * HOUR)
        d.start()
        equal(ended(d, short)["output"], ["sleeps", "woke"])
        d.advance(20 * HOUR)
        settled(d)
        equal(output(d, long), ["sleeps"])
        d.advance(HOUR)
        equal(ended(d, long)["output"], ["sleeps", "woke"])


def test_wall_clock_goes_back_across_boots():
    """A flat battery: the machine comes up months ago. What was waited for stays about as far away."""
    with Daemon(clock=True) as d:
        job = sleeping(d, 2 * HOUR)
        d.advance(HOUR)
        settled(d)
        d.kill_all()
        d.set_wall(-200 * DAY)
        d.new_boot(downtime=100)
        d.start()
        settled(d)
        equal(output(d, job), ["sleeps"])
        d.set_wall(200 * DAY)  # somebody notices; a boot keeps its time
        settled(d)
        equal(output(d, job), ["sleeps"])
        d.advance(HOUR + 120)
        equal(ended(d, job)["output"], ["sleeps", "woke"])


def test_delay_is_no_time_of_day():
    """`delay` counts time that passes, also while nobody runs; a clock that is set changes nothing."""
    with Daemon(clock=True) as d:
        job = submit(d, {"delay": 2 * HOUR, "main": {"print": "now"}})
        d.set_wall(30 * DAY)
        settled(d)
        equal(state(d, job), "scheduled")
        with d.client() as c: # what is shown is a time of day: of the clock as it is now
            at = datetime.datetime.fromisoformat(c.call("job.get", id=job)["at"]).timestamp()
        left = at - d.clock.real_us / 1e6 - time.time()
        check(HOUR < left < 3 * HOUR, "%.1f hours are left" % (left / HOUR))
        sleeps = sleeping(d, 2 * HOUR)
        d.set_wall(DAY)
        with d.client() as c:
            text = c.call("job.explain", id=sleeps)["reasons"][0]["text"]
        check(text.endswith((", 2 h 0 min from now", ", 1 h 59 min from now")), text)
        d.set_wall(-60 * DAY)
        d.stop(signal.SIGKILL)
        d.advance(HOUR)
        d.start()
        settled(d)
        equal(state(d, job), "scheduled")
        d.kill_all()
        d.new_boot(downtime=2 * HOUR)
        d.set_wall(60 * DAY)
        d.start()
        equal(ended(d, job)["output"], ["now"])


def test_at_is_a_time_of_day():
    """`at` follows a clock that is set, forward and back, and is overdue after a downtime."""
    def at(hours):
        seconds = time.time() + d.clock.real_us / 1e6 + hours * HOUR
        text = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
        return submit(d, {"at": text, "main": {"print": "now"}})

    with Daemon(clock=True) as d:
        first, second, third = at(3), at(30), at(60)
        d.advance(2 * HOUR)
        d.set_wall(-HOUR)
        d.advance(1.5 * HOUR)
        settled(d)
        equal(state(d, first), "scheduled")  # it is 2.5 hours later by the clock
        d.advance(HOUR)
        equal(ended(d, first)["output"], ["now"])
        d.set_wall(30 * HOUR)
        equal(ended(d, second)["output"], ["now"])
        d.kill_all()
        d.new_boot(downtime=DAY + 6 * HOUR)
        d.start()
        equal(ended(d, third)["output"], ["now"])


def test_overdue_in_order():
    """Suspended for a day: in the order of (deadline, creation), whoever was started first."""
    waits = [("c", 3), ("a", 1), ("d", 3.5), ("b", 2), ("b2", 2)]
    job = {"task_group": [[{"sleep": s * HOUR}, {"print": name}] for name, s in waits]}
    for strike in (None, signal.SIGKILL):
        with Daemon(clock=True) as d:
            made = submit(d, job)
            settled(d)
            if strike:
                d.stop(strike)
            d.advance(DAY)
            if strike:
                d.start()
            equal(ended(d, made)["output"], ["a", "b", "b2", "c", "d"])


if __name__ == "__main__":
    for name, function in list(globals().items()):
        if name.startswith("test_"):
            test(function)
    finish()
