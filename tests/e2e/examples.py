#!/usr/bin/env python3
"""The examples of the language in a real daemon, in real time: what they print and what they give."""
import glob
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from corod import TOP, Daemon, check, equal, finish, test  # noqa: E402


def fits(pattern, value):
    """An object may have more keys than the pattern names."""
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(k in value and fits(v, value[k]) for k, v in pattern.items())
    if isinstance(pattern, list):
        return isinstance(value, list) and len(pattern) == len(value) and all(map(fits, pattern, value))
    return pattern == value


def example(daemon, base):
    with open(base + ".json", encoding="utf-8") as f:
        document = json.load(f)
    with open(base + ".out", encoding="utf-8") as f:
        lines = [line for line in f.read().splitlines() if not line.startswith("=> ")]
    with daemon.client() as c:
        job = c.run(document)
    equal(job["state"], "succeeded", str(job["error"]))
    equal(job["output"], lines)
    if os.path.exists(base + ".result"):
        with open(base + ".result", encoding="utf-8") as f:
            pattern = json.load(f)
        check(fits(pattern, job["value"]), "%r does not fit %r" % (job["value"], pattern))


with Daemon() as d:
    with d.client() as client:
        client.call("pool.set", name="default", slots=8)
    for path in sorted(glob.glob(os.path.join(TOP, "tests", "lang", "examples", "*.json"))
                       + glob.glob(os.path.join(TOP, "tests", "e2e", "examples", "*.json"))):
        test(example, d, path[:-len(".json")], name=os.path.basename(path))
finish()
