#!/usr/bin/env python3
# test-timeout: 400
"""The lines of commands: every line once and in order, also over the daemon's death; a slow reader
stops the command; who leaves the loop ends it."""
import base64
import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))
from corod import Daemon, check, equal, run_tests, wait_until  # noqa: E402

daemon = Daemon()
KIB, MIB = 1 << 10, 1 << 20
OUTPUT_BYTES = 512 * MIB


def collect(command, **document):
    """A job whose value is the list of a command's lines."""
    return {"main": [{"set": {"all": []}},
                     {"for": "line", "in": {"lines": command},
                      "do": {"set": {"all": ["...${all}", "${line}"]}}},
                     {"return": "${all}"}], **document}


def lines(command):
    with daemon.client() as c:
        job = c.run(collect(command))
        equal(job["state"], "succeeded", str(job.get("error")))
        return job["value"]


def path(name):
    return os.path.join(daemon.directory, name)


def read(name):
    try:
        with open(path(name), encoding="utf-8") as f:
            return f.read()
    except FileNotFoundError:
        return ""


def touch(name):
    with open(path(name), "w", encoding="ascii"):
        pass


def output(c, job):
    return c.call("job.get", id=job)["output"]


def python(script, *args):
    return {"run": [sys.executable, "-uc", script, *args]}


def memory_bytes():
    with open("/proc/%d/statm" % daemon.process.pid, encoding="ascii") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def kill_daemon():
    daemon.restart(signal.SIGKILL)


def test_what_a_line_is():
    equal(lines({"run": ["printf", "a\\n\\nb c\\r\\n  d"]}), ["a", "", "b c\r", "  d"])
    equal(lines({"run": ["true"]}), [])
    equal(lines({"sh": "echo out; echo err >&2"}), ["out"])
    equal(lines({"sh": "echo err >&2", "stderr": "stdout"}), ["err"])
    equal(lines({"sh": "echo $1", "args": ["x"]}), ["x"])
    odd = lines({"run": ["printf", "\\377\\376\\nfine\\n"]})
    equal(odd, [{"base64": base64.b64encode(b"\xff\xfe").decode()}, "fine"])


def test_many_lines():
    equal(lines({"run": ["seq", "3000"]}), [str(i + 1) for i in range(3000)])


def test_lines_come_before_the_end():
    with daemon.client() as c:
        job = c.submit(collect({"sh": "echo first; while [ ! -e %s ]; do sleep 0.05; done; echo last"
                                      % path("gate")}))
        wait_until(lambda: "a line of sh" in str(c.call("job.tree", id=job)), "waiting")
        touch("gate")
        equal(c.finish(job)["value"], ["first", "last"])


def test_a_failure_comes_behind_the_lines():
    watched = [{"set": {"all": []}},
               {"try": {"for": "l", "in": {"lines": {"sh": "echo a; echo b; exit 3"}},
                        "do": {"set": {"all": ["...${all}", "${l}"]}}},
                "except": [{"type": "CommandError", "as": "e",
                            "do": {"return": ["${all}", "${e.data.exit}"]}}]}]
    with daemon.client() as c:
        equal(c.run(watched)["value"], [["a", "b"], 3])
        job = c.run(collect({"run": ["/nowhere/such"]}))
        equal([job["error"]["type"], job["error"]["data"]["exit"]], ["CommandError", 127])
    equal(lines({"sh": "echo a; exit 3", "check": False}), ["a"])


def test_long_lines():
    with daemon.client() as c:
        job = c.run([{"for": "l", "in": {"lines": python("print('x' * %d); print('y')" % (5 * MIB))},
                      "do": {"run": ["wc", "-c"], "stdin": "${l}", "as": "n"}},
                     {"return": "${n.stdout}"}])
        equal(job.get("value"), "1", str(job.get("error")))
        job = c.run([{"set": {"n": 0}},
                     {"for": "l", "in": {"lines": python("print('x' * %d); print('y')" % (12 * MIB))},
                      "do": {"set": {"n": {"expr": {"+": [{"var": "n"}, 1]}}}}},
                     {"return": "${n}"}], )
        equal(job.get("value"), 2, str(job.get("error")))
        job = c.run(collect(python("import time\nprint('x' * %d)\nprint('y')\ntime.sleep(1000)" % (17 * MIB))))
        equal(job["error"]["type"], "ValueError")


ENDLESS = """
import signal, sys, time
def end(*_):
    open(sys.argv[1], "a").write("stopped\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
n = 0
while True:
    n += 1
    print(n)
"""


def leave(how, name):
    return [{"set": {"n": 0}},
            {"for": "line", "in": {"lines": python(ENDLESS, path(name))},
             "do": [{"set": {"n": {"expr": {"+": [{"var": "n"}, 1]}}}},
                    {"if": {"==": [{"var": "n"}, 3]}, "then": how}]},
            {"sh": "cat %s" % path(name), "as": "r"},
            {"return": ["${line}", "${r.stdout}"]}]


def test_leaving_the_loop_stops_the_command():
    with daemon.client() as c:
        equal(c.run(leave({"break": None}, "break"))["value"], ["3", "stopped"])
        job = c.run(leave({"raise": {"type": "Mine", "message": "m"}}, "raise"))
        equal([job["error"]["type"], read("raise")], ["Mine", "stopped\n"])
        job = c.run(leave({"return": "early"}, "return"))
        equal([job["value"], read("return")], ["early", "stopped\n"])
        job = c.submit(leave({"sleep": 1000}, "cancel"))
        wait_until(lambda: "sleep" in str(c.call("job.tree", id=job)), "the sleep")
        c.call("job.cancel", id=job)
        equal([c.finish(job)["state"], read("cancel")], ["cancelled", "stopped\n"])
        equal(c.call("system.stats")["running_commands"], 0)


def test_cancelled_while_it_waits():
    with daemon.client() as c:
        job = c.submit([{"for": "l", "do": {"print": "${l}"}, "in": {"lines": {
            "sh": "trap 'echo stopped >%s; exit' TERM; echo a; while :; do sleep 0.05; done" % path("waits")}}}])
        wait_until(lambda: output(c, job) == ["a"], "a line")
        c.call("job.cancel", id=job)
        equal([c.finish(job)["state"], read("waits")], ["cancelled", "stopped\n"])
        job = c.run({"main": [{"timeout": 0.3, "for": "l", "in": {"lines": {"sh": "exec sleep 1000"}},
                               "do": []}]})
        equal(job["error"]["type"], "TimeoutError")


COUNTED = """
import os, sys
line = b"x" * 1023 + b"\\n"
total = 0
while True:
    total += os.write(1, line)
    if total % 65536 == 0:
        with open(sys.argv[1] + ".new", "w") as f:
            f.write(str(total))
        os.rename(sys.argv[1] + ".new", sys.argv[1])
"""


def test_a_slow_reader_stops_the_command():
    gate = path("slow-gate")
    with daemon.client() as c:
        job = c.submit([{"set": {"n": 0}},
                        {"for": "l", "in": {"lines": python(COUNTED, path("count"))},
                         "do": [{"set": {"n": {"expr": {"+": [{"var": "n"}, 1]}}}},
                                {"if": {"==": [{"var": "n"}, 1000]},
                                 "then": {"sh": "while [ ! -e %s ]; do sleep 0.05; done" % gate}},
                                {"if": {"==": [{"var": "n"}, 8000]}, "then": {"break": None}}]},
                        {"return": "${n}"}])

        def rests():
            """Behind what is read there comes nothing more for a while."""
            before = read("count")
            time.sleep(0.7)
            return int(before or 0) >= 1000 * KIB and read("count") == before

        wait_until(rests, "the command's rest")
        written = int(read("count"))
        check(written <= 1000 * KIB + 2 * MIB, "it wrote %d bytes" % written)
        kill_daemon()
    with daemon.client() as c:
        check(int(read("count")) <= 1000 * KIB + 2 * MIB, "it went on")
        touch("slow-gate")
        job = c.finish(job)
        equal(job.get("value"), 8000, str(job))
        check(int(read("count")) <= 8000 * KIB + 2 * MIB)


def test_much_output_takes_no_memory():
    with daemon.client() as c:
        before = memory_bytes()
        job = c.submit([{"set": {"n": 0}},
                     {"for": "l", "in": {"lines": {"sh": "yes $(printf %%0%dd 7) | head -c %d"
                                                          % (16 * KIB - 1, OUTPUT_BYTES)}},
                      "do": {"set": {"n": {"expr": {"+": [{"var": "n"}, 1]}}}}},
                     {"return": "${n}"}])
        job = c.finish(job, 300)
        equal(job.get("value"), OUTPUT_BYTES // (16 * KIB), str(job.get("error")))
        grown = memory_bytes() - before
        check(grown < 300 * MIB, "it grew by %d MiB" % (grown // MIB))
        kept = sum(os.stat(os.path.join(root, name)).st_size
                   for root, _, names in os.walk(os.path.join(daemon.state, "exec", "log"))
                   for name in names)
        check(kept < 150 * MIB, "%d MiB are kept" % (kept // MIB))


def numbers(n, pause_every=0):
    return python("import sys, time\nfor i in range(%d):\n  print(i)\n  if %d and i %% %d == 0: time.sleep(0.02)"
                  % (n, pause_every, pause_every or 1))


def killed_in_the_middle(command, body, n, kills):
    with daemon.client() as c:
        job = c.submit([{"for": "l", "in": {"lines": command}, "do": body}])
    for k in range(kills):
        with daemon.client() as c:
            wait_until(lambda: len(output(c, job)) > n * k // (kills + 1) or
                       c.call("job.get", id=job)["state"] != "running", "more lines")
        kill_daemon()
    with daemon.client() as c:
        equal(c.finish(job, 120)["state"], "succeeded")
        equal(output(c, job), [str(i) for i in range(n)])


def test_each_line_once_when_the_daemon_is_killed():
    killed_in_the_middle(numbers(400, 5), [{"print": "${l}"}], 400, 3)


def test_each_line_once_when_the_command_has_ended():
    """Its output is in the row (small), or in the spool."""
    killed_in_the_middle(numbers(60), [{"sleep": 0.02}, {"print": "${l}"}], 60, 3)
    wide = python("for i in range(60): print(i, '.' * 2000)")
    body = [{"sleep": 0.02}, {"run": ["cut", "-d ", "-f1"], "stdin": "${l}", "as": "n"}, {"print": "${n.stdout}"}]
    killed_in_the_middle(wide, body, 60, 3)


def test_a_command_that_was_lost():
    with daemon.client() as c:
        job = c.submit([{"set": {"n": 0}},
                        {"try": {"for": "l", "in": {"lines": {"sh": "echo a; echo b; printf half; exec sleep 1000"}},
                                 "do": [{"set": {"n": {"expr": {"+": [{"var": "n"}, 1]}}}},
                                        {"print": "${l}"}]},
                         "except": [{"type": "LostError", "do": {"return": "${n}"}}]}])
        wait_until(lambda: output(c, job) == ["a", "b"], "two lines")
        for pid in daemon.monitors():
            os.kill(pid, signal.SIGKILL)
        equal(c.finish(job).get("value"), 2)


def test_what_is_refused():
    with daemon.client() as c:
        for source in ({"lines": {"sleep": 1}}, {"lines": {"run": ["x"], "timeout": 1}}, {"lines": ["x"]},
                       {"lines": {"run": ["x"], "on_lost": "retry"}}, {"lines": {"run": ["x"]}, "range": 3}):
            error = c.error("job.submit", job={"main": [{"for": "l", "in": source, "do": []}]})
            equal(error.code, -32015, str(source))
        error = c.error("job.submit", job=[{"gather": {"for": "l", "in": {"lines": {"run": ["x"]}}, "do": []}}])
        equal(error.code, -32015)


if __name__ == "__main__":
    with daemon:
        run_tests(globals(), sys.argv[1:])
