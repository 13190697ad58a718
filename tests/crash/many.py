#!/usr/bin/env python3
# test-timeout: 120
"""A hundred thousand suspended tasks and a daemon that is killed: they go on in the order in which they would have."""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))
from corod import Daemon, equal, run_tests  # noqa: E402

COUNT = 100000
GROUPS = 10  # of equal deadlines

d = Daemon(clock="still")
d.env["COROD_TEST_DIR"] = d.directory


def lines(client, job):
    found, offset = [], 0
    while True:
        part = client.call("log.read", id=job, stream="output", offset=offset, limit=1 << 20)
        found += part["data"].splitlines()
        offset = part["next"]
        if part["eof"]:
            return found


def test_a_hundred_thousand_go_on_in_their_order():
    d.start()
    deadline = {"expr": {"+": [1, {"%": [{"*": [{"var": "i"}, 7919]}, GROUPS]}]}}
    with d.client(patience=120) as c:
        job = c.submit({"main": [{"gather": {"for": "i", "in": {"range": COUNT}, "do": [{"sleep": deadline}, {"print": "${i}"}]}},
                                 {"return": None}]})
        c.call("job.explain", id=job)  # on disk, all of them asleep
        c.call("system.ping")
    d.kill()
    began = time.monotonic()
    d.start()
    print("taken up in %.2f s" % (time.monotonic() - began))
    d.advance(5.5)  # half of them, all at once
    d.kill()
    d.start()
    with d.client(patience=120) as c:
        d.advance(100)
        equal(c.finish(job, timeout=100)["state"], "succeeded")
        wanted = sorted(range(COUNT), key=lambda i: (i * 7919 % GROUPS, i))
        got = [int(line) for line in lines(c, job)]
        first = next((i for i, pair in enumerate(zip(got, wanted)) if pair[0] != pair[1]), None)
        equal((len(got), first), (COUNT, None), "lines, and the first that is another")


run_tests(globals(), sys.argv[1:])
