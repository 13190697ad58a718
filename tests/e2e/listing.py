#!/usr/bin/env python3
# test-sanitized: yes
"""coro ls: which jobs, which columns, in which order; what a job without a name is called."""
import json
import os
import pwd
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from corod import equal, run_tests
from home import Home, has

home = Home()


def submit(job):
    return int(home.ok("submit", "-", stdin=json.dumps(job)))


def ids(*args):
    return [j["id"] for j in home.json("ls", *args)]


def rows(*args, **options):
    """The table as lists of cells, its heading first."""
    return [re.split(r"  +", line.strip()) for line in home.ok("ls", *args, **options).splitlines()]


def test_which_jobs():
    labels = [{}, {"team": "red"}, {"team": "red", "urgent": ""}, {"team": "blue"}, {"team": "red"}]
    all_ids = [submit({"name": "which %d" % i, "labels": l,
                       "main": [{"sh": "exit %d" % (3 if i == 3 else 0)}]})
               for i, l in enumerate(labels)]
    home.coro("wait", "all")
    a, b, c, d, e = all_ids
    equal(ids("which*"), all_ids)
    equal(ids("--name", "which [12]"), [b, c])
    equal(ids("which 4", "which 0"), [a, e], "each word brings its own, the newest last")
    equal(ids("--state", "failed", "which*"), [d])
    equal(ids("--state", "failed,succeeded", "which*"), all_ids)
    equal(ids("-s", "failed", "-s", "running", "which*"), [d])
    equal(ids("-l", "team=red"), [b, c, e])
    equal(ids("-l", "team=red", "-l", "urgent"), [c], "all of the labels")
    equal(ids("-l", "urgent", "-l", "team=red", "-n", "1"), [c], "the limit counts what is shown")
    equal(ids("-n", "2", "which*"), [d, e])
    equal(ids("%d,%d-%d" % (e, b, c)), [b, c, e])
    equal(ids("last"), [e])
    equal(ids("all")[-5:], all_ids)
    equal(ids("--owner", pwd.getpwuid(os.getuid()).pw_name, "which*"), all_ids)
    equal(ids("--owner", "4294967294"), [])
    equal(ids("--pool", "nowhere"), [])
    equal(ids("--sort", "name", "-r", "which*"), all_ids[::-1])
    equal(ids("-r", "which*"), all_ids[::-1])


def test_when():
    first = submit({"name": "when", "main": []})
    at = home.json("show", str(first))["created"]
    time.sleep(0.002)  # its microsecond is over
    second = submit({"name": "when", "main": []})
    later = home.json("show", str(second))["created"]
    equal(ids("--since", at, "when"), [first, second])
    equal(ids("--since", later, "when"), [second])
    equal(ids("--until", later, "when"), [first])
    equal(ids("--since", at, "--until", at, "when"), [])
    equal(ids("--since", "1h", "when"), [first, second])
    equal(ids("--until", "1h", "when"), [])
    equal(ids("--until", "2001-02-03", "when"), [])
    r = home.coro("ls", "--since", "sometime")
    equal(r.status, 2)
    has(r.err, '"sometime" is no time')


def test_more_than_a_page():
    begin = submit({"name": "many", "main": []})
    doc = home.file("many.json", '{"name": "many", "main": []}')
    home.ok("submit", *[doc] * 40)
    equal(ids("many")[0], begin + 11, "the newest 30")
    equal(len(ids("-a", "many")), 41)
    equal(len(ids("-n", "35", "many")), 35)
    equal(len(ids("-a", "%d-%d" % (begin, begin + 2000))), 41, "a range wider than a page")


def test_what_a_job_without_a_name_is_called():
    def name(job):
        i = submit(job)
        home.coro("wait", str(i))
        job, = home.json("ls", str(i))
        equal(job["name"], None)
        equal(home.json("show", str(i))["summary"], job["summary"])
        heading, row = rows(str(i), "--columns", "id,name")
        equal(row[1:], [job["summary"]] if job["summary"] else [])
        return job["summary"]
    equal(name({"run": ["echo", "a b", "c"]}), "echo a b c")
    equal(name([{"print": 1}, {"sh": "true\nfalse"}]), "true")
    equal(name({"main": [{"sleep": 0}]}), "sleep")
    equal(name([{"set": {"x": 1}}, {"gather": {"for": "i", "in": [1], "do": {"run": ["true", {"base64": "YQ=="}]}}}]),
          "true …")
    equal(name({"main": []}), None)
    equal(name({"run": ["echo", "é" * 100]}), "echo " + "é" * 36 + "…")
    named = submit({"name": "mine", "main": {"run": ["true"]}})
    equal(rows(str(named), "--columns", "name,command")[1], ["mine", "true"])
    has(home.ok("show", str(named)), "runs       true")


def test_columns():
    i = submit({"name": "columns", "main": {"sh": "exit 3"}})
    home.coro("wait", str(i))
    equal(rows(str(i), "--columns", "exit,id,state"), [["EXIT", "ID", "STATE"], ["3", str(i), "✘ failed"]])
    heading = rows(str(i))[0]
    equal([h for h in heading if h in ("OWNER", "POOL", "PRIORITY", "LABELS")], [], "unused columns")
    equal(rows(str(i), env={"LC_ALL": "C"}, )[1][1], "x failed")
    for wrong, hint in (("colour", "there are id, state,"), ("nam", 'did you mean "name"?'), ("id,", "there are")):
        r = home.coro("ls", "--columns", wrong)
        equal(r.status, 2)
        has(r.err, hint)
    r = home.coro("ls", "--sort", "tme")
    equal(r.status, 2)
    has(r.err, 'did you mean "time"?')
    r = home.coro("ls", "--state", "ended")
    equal(r.status, 2)
    has(r.err, "succeeded")


def test_the_overview_names_them_too():
    submit({"run": ["echo", "overview of it"]})
    home.coro("wait", "last")
    has(home.ok(), "echo overview of it")


if __name__ == "__main__":
    with home:
        run_tests(globals(), sys.argv[1:])
