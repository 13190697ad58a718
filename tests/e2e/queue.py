#!/usr/bin/env python3
# test-timeout: 240
# test-sanitized: yes
"""Objects with names: jobs and clients share them; they outlive jobs and the daemon."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from corod import Daemon, check, equal, run_tests, wait_until  # noqa: E402


def output(c, job):
    return c.call("job.get", id=job)["output"]


def prints(c, job, n):
    wait_until(lambda: len(output(c, job)) >= n, "%d lines of job %s" % (n, job))


def awaits(c, job):
    return [t.get("awaits") for t in c.call("job.tree", id=job)["tasks"]]


def consumer(name, n, more=()):
    return [{"queue": {"name": name}, "as": "q"},
            {"for": "i", "in": {"range": n},
             "do": [{"get": "${q}", "as": "x"}, {"print": "${x}"}, {"task_done": "${q}"}, *more]}]


def producer(name, first, last, more=()):
    return [{"queue": {"name": name}, "as": "q"},
            {"for": "i", "in": {"range": [first, last, 1]},
             "do": [{"put": "${i}", "into": "${q}"}, *more]}]


def test_two_jobs():
    """One waits, and is not stuck; the other puts."""
    with Daemon() as d, d.client() as c:
        getter = c.submit(consumer("orders", 5))
        wait_until(lambda: "an item of queue \"orders\"" in str(awaits(c, getter)), "the getter")
        equal(c.run(producer("orders", 0, 5))["state"], "succeeded")
        done = c.finish(getter)
        equal((done["state"], done["output"]), ("succeeded", [str(i) for i in range(5)]))


def test_it_outlives_jobs_and_daemon():
    with Daemon() as d:
        with d.client() as c:
            equal(c.run(producer("q", 0, 3))["state"], "succeeded")
        d.kill()
        d.start()
        with d.client() as c:
            equal(c.run(consumer("q", 3))["output"], ["0", "1", "2"])
            job = c.run([{"queue": {"name": "q"}, "as": "q"}, {"join": "${q}"},
                         {"return": "${q.qsize}"}])
            equal(job["value"], 0)


def test_waiting_keeps_its_order():
    """Who waits first gets first, whatever job it is in, also behind a restart."""
    with Daemon() as d:
        with d.client() as c:
            jobs = []
            for i in range(6):
                jobs.append(c.submit(consumer("line", 2)))
                wait_until(lambda: "an item" in str(awaits(c, jobs[-1])), "the getter")
        d.kill()
        d.start()
        with d.client() as c:
            for i in range(6):
                equal(c.run(producer("line", i, i + 1))["state"], "succeeded")
                prints(c, jobs[i], 1)
                equal(output(c, jobs[i]), [str(i)])


if __name__ == "__main__":
    run_tests(globals())
