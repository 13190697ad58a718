#!/usr/bin/env python3
# test-timeout: 300
"""job.simulate and `coro simulate`: the cases of tests/lang, the key simulate, bounds, a client that leaves."""
import glob
import json
import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))
from corod import TOP, Daemon, RpcError, check, equal, program  # noqa: E402
from corod import run_tests, wait_until  # noqa: E402

daemon = Daemon()
# Words that only run_case knows.
SPECIAL = re.compile(r'"(kill|lost|nope|flaky|sha256sum)\b')


def simulate(job, **more):
    with daemon.client() as c:
        return c.call("job.simulate", dict(more, job=job))


def coro(*args, stdin="", status=0):
    p = subprocess.run([program("coro"), "--socket", daemon.socket, *args], input=stdin, text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
    equal(p.returncode, status, "coro %s: %s" % (args, p.stderr))
    return p.stdout


def cases():
    for path in sorted(glob.glob(os.path.join(TOP, "tests", "lang", "*", "*.json"))):
        with open(path, encoding="utf-8") as f:
            text = f.read()
        if os.path.exists(path[:-5] + ".out") and not SPECIAL.search(text):
            yield path, text


def expected(path):
    """The lines of the .out file but diagnostics; job 1 here is job 7 there."""
    with open(path[:-5] + ".out", encoding="utf-8") as f:
        lines = f.read().splitlines()
    return [re.sub(r"\btask 7\.", "task 1.", line) for line in lines if line[:2] != "! "]


def without_diagnostics(line):
    """The end as the cases write it: errors with their data and causes are not compared."""
    return re.sub(r'"error": .*', '"error"', line) if line.startswith("=> ") else line


def test_the_cases():
    n = 0
    with daemon.client() as c:
        for path, text in cases():
            got = c.call("job.simulate", job=json.loads(text))
            lines, wanted = got["output"] + ["=> " + got["end"]], expected(path)
            if not any(line.startswith("=> ") for line in wanted):
                lines.pop()
            equal([without_diagnostics(line) for line in lines],
                  [without_diagnostics(line) for line in wanted], path)
            n += 1
    check(n > 100, "only %d cases" % n)


def test_the_client_prints_a_case():
    n = 0
    for path, _ in cases():
        wanted = expected(path)
        if wanted and wanted[-1].startswith('=> {"state": "succeeded"'):
            equal(coro("simulate", "--output", path).splitlines(), wanted, path)
            n += 1
        if n == 10:
            return
    check(n > 0, "no case")


def test_the_key_simulate():
    got = simulate({"input": {"n": 2}, "main": [
        {"run": ["make"], "simulate": {"duration": "${n}", "stdout": "built\n"}, "as": "r"},
        {"print": "${r.stdout}"},
        {"run": ["cc"], "check": False, "simulate": {"exit": 3, "stderr": "bad"}, "as": "r"},
        {"print": "${r.exit} ${r.stderr}"},
        {"try": {"sh": "x", "simulate": {"signal": 9}}, "except": [
            {"as": "e", "do": {"print": "${e.type} ${e.data.signal}"}}]},
        {"for": "l", "in": {"lines": {"run": ["z"], "simulate": {"stdout": "1\n2\n\n"}}},
         "do": {"print": "line ${l}"}},
        {"for": "l", "in": {"lines": {"sh": "echo ${n}"}}, "do": {"print": "line ${l}"}},
        {"run": ["y"], "simulate": {"lost": True}}]})
    equal(got["output"], ["built", "3 bad", "CommandError 9", "line 1", "line 2", "line ",
                          "line ${n}"])
    equal((got["state"], got["error"]["type"], got["duration"]), ("lost", "LostError", 2))
    with daemon.client() as c:
        equal(c.call("job.list")["jobs"], [], "it is stored")


def test_mistakes_in_the_key():
    with daemon.client() as c:
        e = c.error("job.simulate", job={"run": ["x"], "simulate": {"duraton": 1}})
        equal(e.code, -32015)
        equal(e.data[0]["hint"], 'did you mean "duration"?')
        e = c.error("job.check", job={"run": ["x"], "simulate": {"exit": -1}})
        check("exit" in e.data[0]["message"], e.data)
        got = c.call("job.simulate", job=[{"set": {"x": "a"}},
                                          {"run": ["x"], "simulate": {"exit": "${x}"}}])
        check("exit" in got["error"]["message"], got)


def test_the_timeline():
    got = simulate([{"gather": [{"sleep": 1, "name": "a"}, {"sleep": 2, "name": "b"}]},
                    {"sleep": 0.5}])
    equal([(t["name"], t["start"], t["end"], t["state"]) for t in got["timeline"]],
          [("main", 0, 2.5, "succeeded"), ("a", 0, 1, "succeeded"), ("b", 0, 2, "succeeded")])


def test_the_trace():
    got = simulate({"main": [{"create_task": {"print": "x"}, "name": "t", "as": "t"},
                             {"await": "${t}"}, {"sleep": 1}]}, trace=True)
    rows = [(t["tick"], t["time"], [(h["kind"], h.get("name")) for h in t["ready"]])
            for t in got["trace"]]
    equal(rows[:3], [(1, 0, [("step", "main")]), (2, 0, [("step", "t")]),
                     (3, 0, [("wakeup", "main")])])
    equal(rows[3:5], [(4, 1, [("timer", "main")]), (5, 1, [("wakeup", "main")])])
    check("trace" not in simulate({"sleep": 1}), "a trace that nobody wanted")


def test_bounds():
    forever = {"while": {"==": [1, 1]}, "do": {"sleep": 0}}
    got = simulate(forever)
    equal((got["state"], got["value"]), ("running", None))
    check("10000000" in got["stopped"], got["stopped"])
    equal(got["timeline"][0]["end"], None)
    got = simulate({"for": "i", "in": {"range": 30000}, "do": {"print": "x" * 100}})
    equal((got["state"], got["output_truncated"]), ("succeeded", True))
    check(len(got["output"]) <= 10000, len(got["output"]))
    got = simulate({"for": "i", "in": {"range": 300000}, "do": {"create_task": {"sleep": 9}}})
    check("tasks" in got["stopped"], got["stopped"])
    equal(len(got["timeline"]), 10000)
    check(got["more"] > 0)
    double = {"for": "i", "in": {"range": 23}, "do": {"set": {"x": "${x}${x}"}}}
    many = {"for": "i", "in": {"range": 20},
            "do": {"create_task": {"call": "f", "args": {"s": "${x}"}}}}
    got = simulate({"define": {"f": {"params": ["s"], "do": {"sleep": 1}}},
                    "main": [{"set": {"x": "y"}}, double, many, {"sleep": 2}]})
    check("64 MiB" in got.get("stopped", ""), got.get("error"))


def test_others_are_served():
    """Also while simulations run; and those whose client leaves end with it."""
    forever = {"while": {"==": [1, 1]}, "do": {"sleep": 1}}
    clients = [daemon.client() for _ in range(16)]
    for c in clients:
        c.start("job.simulate", {"job": forever})
        c.call("system.ping")  # it has begun
    with daemon.client() as c:
        def full():
            try:
                c.call("job.simulate", job={"sleep": 1})
            except Exception as e:  # noqa: BLE001
                return e.code == -32007
            return False
        check(full(), "there may be more than 16")
        worst = 0
        for _ in range(20):
            start = time.monotonic()
            c.call("system.ping")
            worst = max(worst, time.monotonic() - start)
        check(worst < 10, "a ping took %g s" % worst)
        for other in clients:
            other.close()
        wait_until(lambda: not full(), "simulations ended with their clients")
        equal(c.run({"return": 1})["value"], 1)


def test_the_daemon_ends():
    """A simulation that is under way is answered."""
    c = daemon.client()
    request = c.start("job.simulate", {"job": {"while": {"==": [1, 1]}, "do": {"sleep": 1}}})
    big = c.start("job.simulate", {"job": {"for": "i", "in": ["x" * 100] * 5000, "do": {"sleep": 1}}})
    c.call("system.ping")
    equal(daemon.stop(), 0)
    for r in (request, big):
        try:
            c.wait(r)
        except RpcError as e:
            equal(e.code, -32009)
    daemon.start()


def test_a_client_leaves_during_the_check():
    """A big document is parsed on the worker."""
    big = {"for": "i", "in": ["x" * 100] * 5000, "do": {"sleep": 1}}
    for _ in range(10):
        c = daemon.client()
        c.start("job.simulate", {"job": big})
        c.close()
    got = simulate(big)
    equal((got["state"], got["duration"]), ("succeeded", 5000))


def test_the_client():
    job = json.dumps([{"gather": [{"sleep": 1, "name": "a"}, {"sleep": 2, "name": "b"}]},
                      {"print": 0.1}, {"return": [0.1, "ä"]}])
    equal(coro("simulate", "--output", "-", stdin=job),
          '0.1\n=> {"state": "succeeded", "value": [0.1, "ä"]}\n')
    out = coro("simulate", "-", stdin=job)
    check(out.startswith('0.1\n=> {"state": "succeeded", "value": [0.1, "ä"]}\n'), out)
    lines = out.splitlines()[2:]
    check(any(re.search(r"\.2 a\b.*[█#]", line) for line in lines), out)
    check("tick 1" in coro("simulate", "--trace", "-", stdin=job))
    equal(json.loads(coro("simulate", "--json", "-", stdin=job))["state"], "succeeded")
    coro("simulate", "-", stdin='{"sh": "exit 3"}', status=3)
    coro("simulate", "-", stdin='{"gathr": []}', status=125)


if __name__ == "__main__":
    with daemon:
        run_tests(globals(), sys.argv[1:])
