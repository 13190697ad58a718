#!/usr/bin/env python3
# test-timeout: 300
"""The daemon is killed while tasks of a job hand items and locks to each other: every item is taken
exactly once, in order, and what waits keeps its place. Finished jobs leave no rows of objects."""
import os
import sqlite3
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from corod import Daemon, equal, run_tests, wait_until  # noqa: E402

PUT_ALL = {"for": "i", "in": {"range": "${n}"}, "do": {"put": "${i}", "into": "${q}"}}


def rows(d, table):
    with sqlite3.connect(os.path.join(d.state, "corod.db")) as db:
        return db.execute("SELECT count(*) FROM " + table).fetchone()[0]


def lines(d, job):
    with d.client() as c:
        return c.call("job.get", id=job)["output"]


def finish(d, job):
    with d.client() as c:
        job = c.finish(job, 120)
    equal(job["state"], "succeeded", str(job.get("error")))
    return job


def kill_at(d, job, *counts):
    """Kills the daemon whenever the job has printed so much."""
    for n in counts:
        wait_until(lambda n=n: len(lines(d, job)) >= n, "%d lines" % n)
        d.kill()
        d.start()


def numbers(first, last):
    return [str(i) for i in range(first, last)]


def pipeline(make, extra=()):
    """A producer ahead of a consumer that prints what it gets."""
    n = 150
    with Daemon() as d:
        with d.client() as c:
            job = c.submit({
                "input": {"n": n},
                "main": [
                    {**make, "as": "q"},
                    {"gather": [
                        [PUT_ALL, {"join": "${q}"}, {"shutdown": "${q}"}],
                        {"for": "x", "in": "${q}", "do": [
                            {"print": "${x}"}, {"sleep": 0.005}, {"task_done": "${q}"}, *extra]}]},
                    {"return": "${q.unfinished}"}]})
        kill_at(d, job, 1, 20, 60, 61, 120)
        done = finish(d, job)
        equal(done["output"], numbers(0, n))
        equal(done["value"], 0)
        equal((rows(d, "object"), rows(d, "item")), (0, 0), "rows that are left")


def test_bounded_queue():
    pipeline({"queue": {"maxsize": 3}})


def test_unbounded_queue():
    pipeline({"queue": {}})


def test_priority_queue():
    pipeline({"priority_queue": {}})


def test_lifo_queue_of_one():
    pipeline({"lifo_queue": {"maxsize": 1}})


def test_commands_are_run_once_for_each_item():
    """A command that was started for an item when the daemon is killed is that item's."""
    with Daemon() as d:
        log = os.path.join(d.directory, "ran")
        with d.client() as c:
            job = c.submit({
                "input": {"n": 40},
                "define": {"worker": {"params": ["q"], "do": {
                    "for": "x", "in": "${q}",
                    "do": {"sh": "echo $X >>\"$LOG\"; sleep 0.03", "env": {"X": "${x}"}}}}},
                "main": [
                    {"queue": {"maxsize": 4}, "as": "q"},
                    {"gather": [[PUT_ALL, {"shutdown": "${q}"}],
                                {"call": "worker", "args": {"q": "${q}"}},
                                {"call": "worker", "args": {"q": "${q}"}}]}]},
                env=dict(os.environ, LOG=log))

        def ran():
            try:
                with open(log, encoding="ascii") as f:
                    return f.read().split()
            except FileNotFoundError:
                return []

        for n in (2, 12, 25):
            wait_until(lambda n=n: len(ran()) >= n, "%d commands" % n)
            d.kill()
            d.start()
        finish(d, job)
        equal(sorted(map(int, ran())), list(range(40)))


def test_items_are_rows_of_their_own():
    """What is put is written once; what is put and taken at once is never written."""
    n = 20000
    with Daemon() as d:
        with d.client() as c:
            job = c.submit({
                "input": {"n": n},
                "main": [{"queue": {}, "as": "q"}, PUT_ALL, {"print": "full"}, {"sleep": 1},
                         {"event": {}, "as": "e"},
                         {"create_task": [{"sleep": 0.2}, {"set_event": "${e}"}]}, {"wait": "${e}"},
                         {"set": {"last": -1, "wrong": 0}},
                         {"for": "i", "in": {"range": n}, "do": [
                             {"get": "${q}", "as": "x"},
                             {"if": {"!=": [{"var": "x"}, {"var": "i"}]}, "then": {"set": {"wrong": "${x}"}}}]},
                         {"print": "empty"}, {"sleep": 0.5},
                         {"for": "i", "in": {"range": 1000}, "do": [
                             {"put": "${i}", "into": "${q}"}, {"get": "${q}"}]},
                         {"return": ["${wrong}", "${q.qsize}"]}]})
        wait_until(lambda: "full" in lines(d, job), "all items")
        equal(rows(d, "item"), n)
        d.kill()
        equal(rows(d, "item"), n)
        d.start()
        wait_until(lambda: "empty" in lines(d, job), "no items")
        equal((rows(d, "object"), rows(d, "item")), (2, 0))
        equal(finish(d, job)["value"], [0, 0])


def test_locks_keep_their_order():
    n = 30
    with Daemon() as d:
        with d.client() as c:
            job = c.submit([
                {"lock": {}, "as": "l"}, {"semaphore": 1, "as": "s"}, {"condition": {}, "as": "c"},
                {"barrier": n, "as": "b"}, {"event": {}, "as": "all"},
                {"gather": [
                    {"gather": {"for": "i", "in": {"range": n}, "do": [
                        {"with": "${l}", "do": [{"print": "l${i}"}, {"sleep": 0.01}]},
                        {"with": "${s}", "do": [{"print": "s${i}"}, {"sleep": 0.01}]},
                        {"with": "${c}", "do": [{"wait": "${c}"}, {"print": "c${i}"}]},
                        {"wait": "${b}", "as": "place"},
                        {"return": "${place}"}]}},
                    [{"for": "k", "in": {"range": n}, "do": [
                        {"sleep": 0.04}, {"with": "${c}", "do": {"notify": "${c}", "n": 2}}]},
                     {"for": "k", "in": {"range": n}, "do": [
                        {"sleep": 0.02}, {"with": "${c}", "do": {"notify": "${c}"}}]}]],
                 "as": "r"},
                {"return": "${r[0]}"}])
        kill_at(d, job, 3, 25, 40, 50, 70)
        done = finish(d, job)
        for letter in "lsc":
            equal([x for x in done["output"] if x[0] == letter],
                  ["%s%d" % (letter, i) for i in range(n)])
        equal(sorted(done["value"]), list(range(n)))


if __name__ == "__main__":
    run_tests(globals(), sys.argv[1:])
