#!/usr/bin/env python3
# test-sanitized: yes
"""coro timeline: a job's tasks over time, as text, as a picture and as JSON."""
import json
import os
import sys
import tempfile
import xml.etree.ElementTree as ET

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from corod import check, equal, run_tests
from fake_daemon import FakeDaemon
from home import Home, has

home = Home()


def at(s):
    return "2026-11-20T08:00:%09.6fZ" % s


def task(number, name, state, created, finished, *children, runs=()):
    attempts = [{"number": 10 * number + i, "command": c, "started": at(s),
                 "finished": e and at(e), **({"exit": x} if e else {})}
                for i, (c, s, e, x) in enumerate(runs)]
    t = {"id": "7.%d" % number, "name": name, "state": state, "created": at(created),
         "finished": finished and at(finished), "children": list(children)}
    if attempts:
        t["attempt"] = attempts[-1]
    if attempts[:-1]:
        t["earlier"] = attempts[:-1]
    return t


TREE = {"id": 7, "name": "<b> & \"c\"", "state": "failed", "created": at(0), "started": at(0),
        "finished": at(10), "more": 3, "tasks": [
            task(1, "main", "failed", 0, 10,
                 task(2, "fetch", "succeeded", 2, 6, runs=[("curl", 3, 5, 0)]),
                 task(3, "run", "failed", 2, 9, runs=[("make all", 6, 9, 2)]),
                 task(4, "sleep", "cancelled", 2, 2),
                 runs=[("a", 0, 1, 0), ("b", 1.5, 2, 1)])]}


def shown(*args, tree=TREE, **env):
    with tempfile.TemporaryDirectory() as d:
        fake = FakeDaemon(d + "/sock", {"job.tree": lambda p, a: tree})
        h = Home()
        with h:
            h.env["CORO_SOCKET"] = d + "/sock"
            out = h.ok("timeline", "7", *args, env=env)
        fake.close()
        return out


def test_very_many():
    """More tasks than a tree has: what is left out is told, and where it is."""
    with Home() as h:
        with open(os.path.join(h.directory, "many.json"), "w", encoding="ascii") as f:
            f.write('{"main": {"gather": {"for": "i", "in": {"range": 10100}, "do": []}}}')
        h.ok("submit", "-w", os.path.join(h.directory, "many.json"))
        for args in (), ("-a",):
            equal(h.ok("tree", *args, "1", env={"LC_ALL": "C.UTF-8"}).splitlines()[-1],
                  "… 101 more tasks (what one of them wrote: coro log 1.N)")
        equal(h.ok("timeline", "1").splitlines()[-1], "and 10001 tasks more (-a: 9900 of them)")
        equal(h.ok("timeline", "-a", "1").splitlines()[-1], "and 101 tasks more")


def test_as_text():
    equal(shown(), """\
                0                                                                        10s
✘ .1 main       ███████────████───────────────────────────────────────────────────────────── 10s
✔   .2 fetch                   ───────████████████████───────                                4.0s
✘   .3 make all                ──────────────────────────────███████████████████████         7.0s
⊘   .4 sleep                   ▏                                                             0ms
and 3 tasks more
""")
    check(all(ord(c) < 128 for c in shown(LC_ALL="C")), "UTF-8 where there is none")
    has(shown(LC_ALL="C"), "#####", "-----")


def test_as_a_picture():
    with tempfile.TemporaryDirectory() as d:
        path = d + "/x.svg"
        equal(shown("--svg", path), "")
        with open(path, encoding="utf-8") as f:
            text = f.read()
    equal(text, shown("--svg", "-"))
    root = ET.fromstring(text)
    ns = "{http://www.w3.org/2000/svg}"
    titles = [t.text for t in root.iter(ns + "title")]
    equal(titles[0], 'Job 7: <b> & "c"')
    has(" ".join(titles), "make all (3.0s)", "curl (2.0s)", "main (10s)")
    has("".join(root.itertext()), "fetch", "and 3 tasks more", "failed, 10s, started")
    boxes = [(float(r.get("x")), float(r.get("width"))) for r in root.iter(ns + "rect")]
    width = float(root.get("viewBox").split()[2])
    check(all(x >= 0 and x + w <= width for x, w in boxes), boxes)
    check("http" not in text.replace("http://www.w3.org/2000/svg", ""), "it needs something else")
    nasty = dict(TREE, name="\x1b]0;x\x07\u202e\x00</svg>")
    ET.fromstring(shown("--svg", "-", tree=nasty))


def test_as_json():
    got = json.loads(shown("--json"))
    equal((got["id"], got["duration"], got["more"]), (7, 10.0, 3))
    equal([(t["task"], t["depth"], t["name"], t["start"], t["end"], len(t["runs"]))
           for t in got["timeline"]],
          [(1, 0, "main", 0, 10, 2), (2, 1, "fetch", 2, 6, 1), (3, 1, "make all", 2, 9, 1),
           (4, 1, "sleep", 2, 2, 0)])
    equal(got["timeline"][0]["runs"][1], {"start": 1.5, "end": 2.0, "state": "failed", "command": "b"})


def test_of_real_jobs():
    home.submit({"main": [{"run": ["true"]}, {"gather": [{"sh": "exit 3"}, {"sleep": 0}],
                                              "return_exceptions": True}, {"sh": "true"}]}, "-w")
    timeline = home.json("timeline")["timeline"]
    equal([r["command"] for r in timeline[0]["runs"]], ["true", "true"])
    equal([r["state"] for r in timeline[1]["runs"]], ["failed"])
    home.ok("add", "sleep", "60")
    live = home.json("timeline")
    equal(live["timeline"][0]["end"], None)
    home.ok("timeline")
    home.ok("cancel", "last")
    equal(home.coro("timeline", "1", "2").status, 2)
    equal(home.coro("timeline", "--svg", "/no/such/place", "1").status, 125)
    empty = home.submit({"main": []}).out.strip()
    home.coro("wait", empty)
    home.ok("timeline", empty)
    ET.fromstring(home.ok("timeline", "--svg", "-", empty))


if __name__ == "__main__":
    with home:
        run_tests(globals(), sys.argv[1:])
