#!/usr/bin/env python3
# test-timeout: 240
# test-sanitized: yes
"""coro map, gather, group: the forms of their command lines, order, limits, files, many items."""
import json
import os
import signal
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from corod import PATIENCE, check, equal, run_tests, wait_until
from fake_daemon import FakeDaemon, HangUp
from home import Home, has

home = Home()


def mapped(*args, **options):
    """The lines of stdout, sorted unless -k is given."""
    lines = home.ok("map", *args, **options).splitlines()
    return lines if "-k" in args else sorted(lines)


def test_forms():
    equal(mapped("-k", "echo", ":::", "b", "a"), ["b", "a"])
    equal(mapped("-k", "echo", "{1}-{2}", ":::", "a", "b", ":::", "1", "2"), ["a-1", "a-2", "b-1", "b-2"])
    equal(mapped("-k", "echo", "{}", "{.}", "{/}", "{//}", "{/.}", "{#}", ":::", "/x/y.z", "q"),
          ["/x/y.z /x/y y.z /x y 1", "q q q . q 2"])
    equal(mapped("-k", "echo", stdin="1\n\n2\n3"), ["1", "2", "3"])
    equal(mapped("-k", "-0", "echo", stdin="a\nb\0c\0"), ["a", "b", "c"])
    one, two = home.file("one", "1\n2\n"), home.file("two", "x\ny\n")
    equal(mapped("-k", "echo", "{2}{1}", "::::", one, two), ["x1", "y1", "x2", "y2"])
    equal(mapped("-k", "echo", "::::", one, ":::", "z"), ["1 z", "2 z"])
    equal(mapped("-k", "echo", "::::", "-", stdin="s\n"), ["s"])
    equal(mapped("-k", "echo {} | tr a-z A-Z; echo {.}", ":::", "a b.c", "it's; exit 9"),
          ["A B.C", "a b", "IT'S; EXIT 9", "it's; exit 9"])
    equal(mapped("-k", "printf '%s\\n'", ":::", "a  b"), ["a  b"])
    equal(home.ok("map", "--dry-run", "echo", "{}", ":::", "a b", "c'd", "e\nf"),
          "echo 'a b'\necho 'c'\\''d'\necho $'e\\012f'\n")
    for args in ([":::", "a"], ["echo", "::::"], ["echo", "::::", "/no/such/file"], ["-j", "x", "echo", ":::", "a"],
                 ["-j", "5%%", "echo", ":::", "a"], ["--halt", "later", "echo", ":::", "a"],
                 ["--resume", "echo", ":::", "a"], ["--delay", "soon", "echo", ":::", "a"]):
        equal(home.coro("map", *args).status, 2, repr(args))
    equal(home.ok("map", "echo", ":::"), "")


def test_the_status_is_the_highest():
    r = home.coro("map", "sh", "-c", "exit {}", ":::", "0", "7", "3")
    equal(r.status, 7)
    has(r.err, "1 of 3 went well, 2 failed", "exited with status 3")


def at_once(*args):
    """How many ran at the same time."""
    with tempfile.TemporaryDirectory() as d:
        script = "touch %s/{#}; ls %s | wc -l; sleep 0.05; rm %s/{#}" % (d, d, d)
        return max(int(n) for n in home.ok("map", *args, "sh", "-c", script, ":::", *map(str, range(12))).split())


def test_so_many_at_once():
    home.ok("pool", "set", "wide", "6")
    cpus = os.cpu_count()
    equal(at_once("-p", "wide", "-j", "1"), 1)
    check(at_once("-p", "wide", "-j", "4") <= 4)
    check(at_once("-p", "wide", "-j", "100%") <= cpus)
    check(at_once("-p", "wide", "-j", "+1") <= cpus + 1)
    check(at_once("-p", "wide") <= 6)
    r = home.coro("map", "-p", "wide", "-j", "9", "echo", ":::", *"abcdefgh")
    has(r.err, "the pool runs 6 at once (`coro pool set wide 9`")


def test_halt_soon():
    r = home.coro("map", "-k", "-j", "1", "--halt", "soon,fail=2", "sh", "-c", "echo {}; exit {}", ":::", *"0130450")
    equal((r.status, r.out.split()), (3, ["0", "1", "3"]))
    has(r.err, "1 of 7 went well, 2 failed, 4 not started")
    r = home.coro("map", "-k", "-j", "1", "--halt", "soon,success=1", "sh", "-c", "echo {}; exit {}", ":::", *"1010")
    equal((r.status, r.out.split()), (1, ["1", "0"]))
    r = home.coro("map", "-k", "-j", "1", "--halt", "soon,fail=50%", "sh", "-c", "echo {}; exit 1", ":::", *"abcd")
    equal(r.out.split(), ["a", "b"])


def test_halt_now():
    began = time.monotonic()
    r = home.coro("map", "-j", "2", "--halt", "now,fail=1", "sh", "-c", "[ {} = 0 ] && exit 5; exec sleep 100",
                  ":::", *"10234")
    equal(r.status, 5, repr(r))
    check(time.monotonic() - began < 60, "it waited for the others")
    r = home.coro("map", "-j", "2", "--halt", "now,success=1", "sh", "-c", "[ {} = 0 ] && exit; exec sleep 100",
                  ":::", *"10234")
    equal(r.status, 0, repr(r))


def test_delay():
    began = time.time()
    times = [float(t) for t in mapped("-k", "--delay", "0.15", "sh", "-c", "date +%s.%N # {}", ":::", *"abc")]
    times.sort()  # a busy machine runs each of them later, none earlier
    check(all(t - began >= 0.15 * n for n, t in enumerate(times)), (began, times))


def test_retries():
    with tempfile.TemporaryDirectory() as d:
        script = "echo once >>%s/{}; echo {}$(wc -l <%s/{}); [ $(wc -l <%s/{}) = 3 ]" % (d, d, d)
        equal(mapped("-k", "--retries", "3", "sh", "-c", script, ":::", "a", "b"),
              ["a1", "a2", "a3", "b1", "b2", "b3"])
        equal(home.coro("map", "--timeout", "0.1", "sleep", ":::", "60").status, 124)


def test_joblog_and_resume():
    with tempfile.TemporaryDirectory() as d:
        log = d + "/log"
        argv = ["map", "-k", "--joblog", log, "sh", "-c",
                "echo \"$1\"; test \"$1\" != b || test -e %s/go" % d, "sh", "{}", ":::"]
        r = home.coro(*argv, "a", "b", "c\nd")
        equal((r.status, r.out), (1, "a\nb\nc\nd\n"))
        with open(log, encoding="utf-8") as f:
            lines = [line.split("\t") for line in f.read().splitlines()]
        equal(lines[0], "Seq Host Starttime JobRuntime Send Receive Exitval Signal Command".split())
        equal([(l[0], l[6], l[7]) for l in lines[1:]], [("1", "0", "0"), ("2", "1", "0"), ("3", "0", "0")])
        open(d + "/go", "w").close()
        argv.insert(2, "--resume")
        r = home.coro(*argv, "new", "c\nd", "b", "a")
        equal((r.status, r.out), (0, "new\nb\n"), "by what is run, not by its place")
        has(r.err, "2 of 4 went well before")
        r = home.coro(*argv, "a", "b")
        equal((r.status, r.out), (0, ""))
        has(r.err, "nothing is left to do")
        with open(log, "a", encoding="utf-8") as f:
            f.write("5\thost\t1\t1\t0\t0\t0\t0\tnot written to its e")
        equal(home.coro(*argv, "a", "b").status, 0)


def test_results():
    with tempfile.TemporaryDirectory() as d:
        out = home.ok("map", "-k", "--results", d + "/r", "sh", "-c", "echo {1}-{2}; echo e >&2", ":::", "a/b", "..",
                      ":::", "1", "")
        equal(out, "a/b-1\na/b-\n..-1\n..-\n")

        def file(*parts):
            with open(os.path.join(d, "r", *parts), encoding="utf-8") as f:
                return f.read()
        equal(file("1", "a\\_b", "2", "1", "stdout"), "a/b-1\n")
        equal(file("1", "\\..", "2", "\\", "stdout"), "..-\n")
        equal(file("1", "a\\_b", "2", "1", "stderr"), "e\n")
        home.ok("map", "--results", d + "/r", "true", ":::", "x" * 1000)
        check(any(n.startswith("x" * 190) for n in os.listdir(d + "/r/1")))


def test_files_that_cannot_be_written():
    """The items run, but it is said and no success."""
    for option, file in (("--joblog", "/dev/full"), ("--results", "/dev/null")):
        r = home.coro("map", option, file, "echo", ":::", "a", "b")
        equal((r.status, sorted(r.out.split())), (125, ["a", "b"]), option)
        equal(r.err.count("coro: " + option), 1, r.err)
    equal(home.coro("map", "--joblog", "/dev/full", "sh", "-c", "exit 3", ":::", "a").status, 3)
    r = home.coro("map", "echo", "::::", "/")
    equal((r.status, r.err), (2, "coro: /: Is a directory\n"))


def test_progress_without_a_terminal():
    fake_out = home.coro("map", "--bar", "true", ":::", *"abc")
    equal(fake_out.status, 0)


def test_json():
    lines = [json.loads(line) for line in home.ok("map", "-k", "--json", "sh", "-c", "echo {}; echo e >&2", ":::",
                                                  "a", "b").splitlines()]
    equal(lines, [{"item": i + 1, "value": v, "stdout": v + "\n", "stderr": "e\n"} for i, v in enumerate("ab")])


def test_gather():
    r = home.coro("gather", "-k", "echo a; sleep 0.1; echo a2", "echo b >&2; exit 3", "echo $HOME")
    equal((r.status, r.out), (3, "a\na2\n%s\n" % os.environ["HOME"]))
    equal(r.err.splitlines()[0], "b")
    equal(home.coro("gather").status, 2)
    equal(home.json("show", "last")["name"], "echo a; sleep 0.1; echo a2 & echo b >&2; exit 3 & echo $HOME")


def test_group():
    began = time.monotonic()
    home.ok("pool", "set", "wide", "6")
    r = home.coro("group", "-p", "wide", "exec sleep 100", "exit 4", "exec sleep 100")
    equal(r.status, 4, repr(r))
    check(time.monotonic() - began < 60, "it waited for the others")
    equal(home.coro("group", "true", "echo x").out, "x\n")
    equal(home.coro("gather", "--timeout", "0.1", "sleep 60").status, 124)


def test_the_daemon_may_die_meanwhile():
    with tempfile.TemporaryDirectory() as d:
        n = 30
        script = "echo {}; [ {} != 7 ] || while [ ! -e %s/go ]; do sleep 0.01; done" % d
        p = home.start("map", "-j", "2", "--joblog", d + "/log", "sh", "-c", script, ":::", *map(str, range(n)))
        wait_until(lambda: home.json("show", "last")["task_counts"].get("succeeded", 0) > 10, "some items")
        os.kill(home.pid(), signal.SIGKILL)
        open(d + "/go", "w").close()
        out, err = p.communicate(timeout=PATIENCE * 2)
        equal(p.returncode, 0, err)
        equal(sorted(map(int, out.split())), list(range(n)), "each item's output once")
        with open(d + "/log", encoding="utf-8") as f:
            equal(sorted(int(l.split("\t")[0]) for l in f.read().splitlines()[1:]), list(range(1, n + 1)))


def test_many_items():
    n = 3000
    values = "".join("%d\n" % i for i in range(n))
    equal(mapped("-k", "-j", "4", "echo", stdin=values), values.split())


def test_a_log_that_breaks_off_goes_on_where_it_was():
    calls = []

    def read(_, p):
        calls.append(p["offset"])
        if len(calls) == 2:
            raise HangUp()
        return {0: {"data": "first ", "encoding": "utf-8", "next": "1:6", "eof": False},
                "1:6": {"data": "second\n", "encoding": "utf-8", "next": "2:0", "eof": True}}[p["offset"]]
    ended = {"id": 1, "state": "succeeded", "exit": 0, "value": None}
    with tempfile.TemporaryDirectory() as d:
        fake = FakeDaemon(d + "/sock", {
            "job.submit": lambda _, p: {"id": 1, "existing": False},
            "event.subscribe": lambda _, p: {"subscription": 1, "seq": 1},
            "job.ends": lambda _, p: {"ends": [{"seq": 1, "task": "1.2", "state": "succeeded"}]},
            "job.attempts": lambda _, p: {"attempts": [{"number": 1, "task": "1.2", "finished": "x"}]},
            "job.wait": lambda _, p: {"jobs": [ended]}, "job.get": lambda _, p: ended,
            "log.read": read})
        with Home() as h:
            h.env["CORO_SOCKET"] = d + "/sock"
            r = h.coro("map", "echo", ":::", "x")
        fake.close()
    equal((r.status, r.out), (0, "first second\n"), repr(r))


if __name__ == "__main__":
    with home:
        run_tests(globals(), sys.argv[1:])
