#!/usr/bin/env python3
# test-timeout: 240
"""coro(1): what it prints, how it ends, which daemon it starts, what it does when that goes away."""
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from corod import BUILDDIR, PATIENCE, TOP, check, equal, has_ended, program, run_tests, wait_until
from fake_daemon import FakeDaemon, HangUp, Refused
from home import CORO, Home, has

EXAMPLES = {
    "bread": {"define": {"worker": {"params": ["id", "delay", "order"], "do": [
        {"print": "${id} starts ${order}"}, {"sleep": "${delay}"}, {"print": "${id} ends ${order}"}]}},
              "main": [{"gather": [
                  {"call": "worker", "args": {"id": 1, "delay": 0.05, "order": "milk"}},
                  {"call": "worker", "args": {"id": 2, "delay": 0.1, "order": "bread"}}]}]},
}


home = Home()


# The personal daemon.

def test_a_daemon_starts_by_itself():
    with Home() as h:
        r = h.coro("--no-start", "ls")
        equal(r.status, 125)
        has(r.err, "no daemon answers")
        equal(h.coro("daemon", "status").status, 125)
        equal(h.ok("run", "--", "echo", "hi"), "hi\n")
        status = h.json("daemon", "status")
        check({"pid", "version", "socket", "state_dir"} <= set(status), status)
        pid = status["pid"]
        equal(status["state_dir"], h.directory + "/corod")
        check(os.getsid(pid) != os.getsid(0), "it is in our session")
        equal(os.readlink("/proc/%d/cwd" % pid), "/")
        equal(os.readlink("/proc/%d/fd/0" % pid), "/dev/null")
        log = h.directory + "/corod/corod.log"
        equal(os.readlink("/proc/%d/fd/2" % pid), log)
        equal(os.stat(log).st_mode & 0o777, 0o600)
        equal(h.ok("--no-start", "run", "echo", "again"), "again\n")
        equal(h.pid(), pid)
        h.ok("daemon", "stop")
        check(has_ended(pid), "it still runs")
        has(h.coro("daemon", "stop").err, "no daemon runs")
        equal(h.ok("daemon", "start"), "")
        check(h.pid() != pid, "the same process")
        equal([j["id"] for j in h.json("ls")], [1, 2])


def test_many_clients_start_one_daemon():
    with Home() as h:
        started = [h.start("add", "true") for _ in range(8)]
        ids = sorted(int(p.communicate(timeout=PATIENCE)[0]) for p in started)
        equal(ids, list(range(1, 9)))
        with open(h.directory + "/corod/corod.log", encoding="utf-8") as f:
            equal(f.read().count(" serves at "), 1, "daemons started")


def test_a_daemon_that_does_not_start_says_why():
    with Home() as h:
        broken = h.file("broken", "#!/bin/sh\necho 'it is broken today' >&2\nexit 1\n")
        os.chmod(broken, 0o755)
        r = h.coro("ls", env={"COROD": broken})
        equal(r.status, 125)
        has(r.err, "it is broken today")
        r = h.coro("ls", env={"COROD": h.directory + "/none"})
        equal(r.status, 125)
        has(r.err, "No such file")
        os.chmod(h.directory + "/corod", 0o777)
        r = h.coro("ls")
        equal(r.status, 125, repr(r))


def test_a_database_that_is_none_is_told_in_one_line():
    with Home() as h:
        path = os.path.join(h.directory, "corod", "corod.db")
        os.mkdir(os.path.dirname(path), 0o700)
        with open(path, "wb") as f:
            f.write(b"shopping list\n" * 100)
        r = h.coro("ls")
        equal((r.status, r.out), (125, ""))
        equal(r.err, "coro: the daemon does not start: %s is no corod database: it is not a SQLite file\n" % path)
        with open(path, "rb") as f:
            equal(f.read(), b"shopping list\n" * 100)


def test_another_socket_is_never_started():
    with Home() as h:
        for args, env in (((), {"CORO_SOCKET": h.directory + "/x"}),
                          (("--socket", h.directory + "/x"), {})):
            r = h.coro(*args, "ls", env=env)
            equal(r.status, 125)
            has(r.err, h.directory + "/x")


# Commands.

def test_exit_statuses():
    for argv, status in ((["true"], 0), (["sh", "-c", "exit 3"], 3), (["sh", "-c", "exit 255"], 255),
                         (["sh", "-c", "kill -9 $$"], 137), (["sh", "-c", "kill -TERM $$"], 143),
                         (["/no/such/program"], 127), (["/etc/passwd"], 126)):
        r = home.coro("run", "--", *argv)
        equal(r.status, status, repr(argv) + repr(r))
        equal(home.coro("wait", "last").status, status, "coro wait after %r" % argv)
        equal(bool(r.err), status > 125 and status != 255 or status == 255, repr(r))
    equal(home.coro("run", "--timeout", "0.1", "sleep", "60").status, 124)
    equal(home.coro("run").status, 2)
    equal(home.coro("run", "--no-such-option", "true").status, 2)
    equal(home.coro("nonsense").status, 2)
    equal(home.coro("show", "999999").status, 125)
    equal(home.coro("wait", "no such name").status, 125)


def test_streams_stay_apart_and_whole():
    r = home.coro("run", "--", "sh", "-c", "echo out; echo err >&2")
    equal((r.out, r.err), ("out\n", "err\n"))
    script = "import os,sys\nb=bytes(range(256))*4096\nfor i in range(4): os.write(1,b)\n"
    out = home.coro("run", "--", "python3", "-c", script, binary=True).out
    equal(len(out), 4 << 20)
    check(out == bytes(range(256)) * 16384, "the bytes differ")


def test_words_are_taken_as_they_are():
    words = ["", " ", "a b", "${x}", "$${x}", "$", "...${x}", '"', "\\", "*", "é", "-n", "--", "\n",
             "{}", "{\"base64\": \"YQ==\"}"]
    show = "import sys,os\nprint([os.fsencode(a) for a in sys.argv[1:]])"
    out = home.ok("run", "--", "python3", "-c", show, *words, b"\xff\xfe")
    equal(eval(out), [w.encode() for w in words] + [b"\xff\xfe"])


def test_the_caller_s_surroundings():
    with tempfile.TemporaryDirectory() as d:
        d = os.path.realpath(d)
        script = 'pwd; umask; echo "$A-$B-$C"; cat'
        r = home.coro("run", "-e", "B=2 ${x}", "-e", "C", "sh", "-c", script, cwd=d,
                      env={"A": "1", "C": "3"}, preexec_fn=lambda: os.umask(0o027), stdin="lost")
        equal(r.out, d + "\n0027\n1-2 ${x}-3\n")
        equal(home.ok("run", "--cwd", d, "pwd"), d + "\n")
        equal(home.ok("run", "--stdin", "cat", stdin="in\n${x}\n"), "in\n${x}\n")
        equal(home.ok("run", "--stdin", "od", "-An", "-tx1", stdin=b"\xff\x00\n"), " ff 00 0a\n")
        equal(home.coro("run", "--cwd", d + "/none", "pwd").status, 2)


def test_add_and_its_options():
    out = home.ok("add", "-n", "a name", "-l", "team=red", "-l", "urgent", "--priority", "7",
                  "--retry", "2", "--", "false")
    check(re.fullmatch(r"\d+\n", out), out)
    equal(home.coro("wait", "a name").status, 1)
    job = home.json("show", out.strip())
    equal((job["name"], job["labels"], job["priority"], job["state"], job["attempts"]["count"]),
          ("a name", {"team": "red", "urgent": ""}, 7, "failed", 2))
    first = json.loads(home.ok("add", "--json", "--key", "only once", "true"))
    again = json.loads(home.ok("add", "--json", "--key", "only once", "true"))
    equal((again["id"], again["existing"]), (first["id"], True))
    r = home.coro("add", "--key", "only once", "false")
    equal(r.status, 125, repr(r))
    limits = home.ok("run", "--mem", "512M", "--cpu", "2m", "--", "sh", "-c", "ulimit -v; ulimit -t")
    equal(limits, "524288\n120\n")
    r = home.coro("run", "--on-end", "echo ended as job $CORO_JOB; exit 7", "--", "sh", "-c", "exit 3")
    equal(r.status, 3, repr(r))
    check(re.fullmatch(r"ended as job \d+\n", r.out), r.out)
    for wrong in (["--mem", "much"], ["--cpu", "-1"], ["--priority", "x"], ["--retry", "0"], ["--timeout", "soon"], ["-e", "=x"]):
        equal(home.coro("add", *wrong, "true").status, 2, repr(wrong))


def interrupted(times, script):
    p = home.start("run", "--", "sh", "-c", script)
    equal(p.stdout.readline(), b"started\n")
    lines = []
    for _ in range(times):
        p.send_signal(signal.SIGINT)
        lines.append(p.stderr.readline().decode())
    p.communicate(timeout=PATIENCE)
    return p.returncode, lines


def test_ctrl_c_once_leaves_it_running():
    with tempfile.TemporaryDirectory() as d:
        status, lines = interrupted(1, "echo started; while [ ! -e %s/go ]; do sleep 0.02; done" % d)
        equal(status, 130)
        number = re.search(r"job (\d+) goes on: `coro log -f", lines[0]).group(1)
        equal(home.json("show", number)["state"], "running")
        open(d + "/go", "w").close()
        equal(home.coro("wait", number).status, 0)


def test_ctrl_c_twice_cancels_it():
    status, lines = interrupted(2, "echo started; exec sleep 60")
    equal(status, 130)
    has(lines[1], "cancelling job")
    equal(home.json("show", "last")["state"], "cancelled")


def test_the_daemon_may_die_meanwhile():
    with tempfile.TemporaryDirectory() as d:
        script = ("import os,sys,time\n"
                  "for i in range(200):\n"
                  "  print(i,flush=True); print('e%%d'%%i,file=sys.stderr,flush=True)\n"
                  "  while i==100 and not os.path.exists('%s/go'): time.sleep(0.01)\n"
                  "sys.exit(9)\n") % d
        p = home.start("run", "--", "python3", "-c", script)
        while p.stdout.readline() != b"100\n":
            pass
        os.kill(home.pid(), signal.SIGKILL)
        gone = wait_until(lambda: next((l for l in iter(p.stderr.readline, b"") if b"went away" in l),
                                       None), "the message")
        has(gone.decode(), "goes on")
        open(d + "/go", "w").close()
        out, err = p.communicate(timeout=PATIENCE)
        equal(p.returncode, 9)
        equal(out.decode(), "".join("%d\n" % i for i in range(101, 200)))
        equal(err.decode().count("went away"), 0)
        equal(err.decode().split()[-1], "e199")


# Documents.

def test_submit():
    check(re.fullmatch(r"\d+\n", home.submit({"print": 1}).out))
    r = home.submit({"main": [{"return": {"a": [1, "é"]}}]}, "-w")
    equal((r.status, json.loads(r.out)), (0, {"a": [1, "é"]}))
    r = home.submit(EXAMPLES["bread"], "-f")
    equal(r.out, "1 starts milk\n2 starts bread\n1 ends milk\n2 ends bread\n")
    r = home.submit({"main": [{"sh": "echo o; echo e >&2"}, {"return": 5}]}, "-w", "-f")
    equal((r.out, r.err), ("o\n5\n", "e\n"))
    r = home.submit({"run": ["sh", "-c", "exit 4"]}, "-w")
    equal((r.status, r.out), (4, ""))
    has(r.err, "CommandError")
    equal(home.submit({"raise": {"type": "ValueError", "message": "no"}}, "-w").status, 1)
    equal(home.submit({"sleep": 60, "timeout": 0.05}, "-w").status, 124)
    a, b = home.file("a.json", '{"print":\n "a"}'), home.file("b.json", '{"print":\r\n "b"}')
    equal(len(home.ok("submit", a, b).split()), 2)


def test_mistakes_have_a_place():
    path = home.file("bad.json", '{"main": [\n  {"print": 1},\n  {"gathr": []},\n'
                                 '  {"run": ["x"],\n   "nme": 3}\n]}')
    for verb in ("check", "submit"):
        r = home.coro(verb, path)
        equal((r.status, r.out), (125, ""))
        has(r.err, path + ':3: /main/1/gathr: unknown verb "gathr" (did you mean "gather"?)',
            path + ":5: /main/2/nme")
        equal(len(r.err.splitlines()), 2)
    path = home.file("broken.json", '{"main":\n [1,\n}')
    r = home.coro("submit", path)
    equal(r.status, 125)
    has(r.err, path + ":3:1: ")
    equal(home.coro("submit", "/no/such/file").status, 125)
    equal(home.coro("submit").status, 2)
    equal(home.ok("check", home.file("good.json", '{"print": 1}')), home.directory + "/good.json: ok\n")
    injected = home.coro("submit", "-", stdin='{"print": 1}, "key": "x"')
    equal(injected.status, 125, repr(injected))


# Looking.

def test_lists_and_ids():
    with Home() as h:
        for i in range(1, 8):
            h.ok("add", "-n", "job%d" % i, "-l", "n=%d" % i, "sh", "-c", "exit %d" % (i % 4))
        equal(h.coro("wait", "1,3,5-7").status, 3)
        equal(h.coro("wait", "4").status, 0)
        h.coro("wait", "1-7")
        rows = h.json("ls")
        equal([r["id"] for r in rows], list(range(1, 8)))
        equal([r["id"] for r in h.json("ls", "-n", "2")], [6, 7])
        equal([r["id"] for r in h.json("ls", "--state", "succeeded")], [4])
        equal([r["id"] for r in h.json("ls", "-l", "n=3")], [3])
        equal([r["id"] for r in h.json("ls", "job[12]")], [1, 2])
        equal([r["id"] for r in h.json("ls", "--since", "1h", "job5")], [5])
        equal(h.json("show", "last")["id"], 7)
        equal(h.json("show", "job2")["id"], 2)
        equal(h.coro("ls", "--state", "odd").status, 2)
        equal(h.coro("wait", "5-99999999").status, 125)
        for word in ("9223372036854775807", "9223372036854775806-9223372036854775807", "0", "8-"):
            equal(h.coro("wait", word).status, 125, word)
        has(h.coro("show", "").err, 'no job with id or name ""')
        has(h.coro("show", "job*").err, 'no job with id or name "job*"')
        h.ok("add", "-n", "a[1]*?", "--hold", "true")
        h.ok("add", "-n", "a1xy", "--hold", "true")
        equal(h.json("cancel", "-n", "a[1]*?"), [8])
        h.ok("cancel", "8,9")
        h.ok("rm", "8,9")
        equal(h.coro("wait", "all").status, 0)
        text = h.ok("ls")
        has(text.splitlines()[0], "ID", "STATE", "NAME", "LABELS", "ERROR")
        check("PRIORITY" not in text and "POOL" not in text, "a column that is not used")
        number = h.ok("add", "sleep", "60").strip()
        equal(h.json("cancel", "-n", "all"), [int(number)])
        h.ok("cancel", "all")
        equal(h.coro("wait", number).status, 130)
        r = h.coro("wait", "--timeout", "0.05", h.ok("add", "sleep", "60").strip())
        equal(r.status, 124)
        r = h.coro("wait", "--any", "last", "4")
        equal(r.status, 0)
        overview = h.json()
        equal(([j["name"] for j in overview["running"]], len(overview["ended"])), (["sleep 60"], 5))
        has(h.ok(), "POOL", "running", "sleep 60", "ended last")
        h.ok("cancel", "last")


def test_ids_that_are_none():
    def refused(word, text, *command):
        r = home.coro(*(command or ("show",)), word)
        equal((r.status, r.err), (125, "coro: " + text + "\n"))
    for word in "0", "18446744073709551616", "1-99999999999999999999":
        refused(word, '"%s": there is no such job id' % word)
    for word in "3-1", "1-2-3":
        refused(word, '"%s" is no range: the lower id comes first, as in 5-8' % word)
    refused("1-10001", '"1-10001": a range has at most 10000 ids', "cancel")
    for command in "show", "cancel", "wait", "explain":
        refused("1.99", '"1.99" is a task: only `coro log` takes one', command)
    for word in "1.x", "1.", "", "é":
        refused(word, 'there is no job with id or name "%s"' % word, "rm")


def test_what_is_empty_is_told():
    for words, text in ((("ls", "no-such-name"), "no jobs"), (("queue", "ls"), "no queues")):
        r = home.coro(*words)
        equal((r.status, r.out, r.err), (0, "", "coro: %s\n" % text))
        equal(home.coro("-q", *words).err, "")
        json.loads(home.ok(*words, "--json"))


def test_words_that_are_none():
    for words, text in ((("ls", "-n", "0"), "--lines: 0 is less than 1"), (("ls", "-n", "x"), '--lines: "x" is no whole number'),
                        (("queue", "get", "q", "-n", "x"), '--lines: "x" is no whole number'),
                        (("add", "--priority", "1001", "true"), "--priority: 1001 is not within -1000 … 1000"),
                        (("events", "-t", "job"), 'there is no type of event "job"; there are job.created job.state '
                         'job.removed task.state output diagnostic attempt.started attempt.ended')):
        r = home.coro(*words)
        equal((r.status, r.err), (2, "coro: %s\n" % text))


def test_a_directory_that_is_gone():
    """Commands do not run in another one instead."""
    d = tempfile.mkdtemp()
    for words in (["add"], ["run", "--"]):
        p = subprocess.run(["sh", "-c", 'cd "$0" && rmdir "$0"; exec "$@"', d, CORO, *words, "true"], env=home.env,
                           capture_output=True, check=False, timeout=PATIENCE)
        equal((p.returncode, p.stderr), (125, b"coro: this directory, where commands would run: No such file or directory\n"))
        os.mkdir(d)
    os.rmdir(d)


def test_show_and_tree():
    job = {"name": "tree", "main": [{"gather": [{"sh": "echo x", "name": "good"},
                                               {"sh": "exit 3", "name": "bad"}],
                                     "return_exceptions": True}]}
    home.submit(job, "-w")
    shown = home.json("show", "last")
    check({"id", "state", "name", "value", "error", "output", "created", "started", "finished",
           "tasks"} <= set(shown), shown)
    has(home.ok("show", "last"), "tree", "succeeded", "value")
    text = home.ok("tree", "last")
    has(text, "├─ ✔ .2 good", "└─ ✘ .3 bad", "CommandError")
    check("\033" not in text, "colours in a pipe")
    has(home.ok("tree", "last", env={"LC_ALL": "C"}), "|- + .2 good", "`- x .3 bad")
    tree = home.json("tree", "last")
    equal([c["name"] for c in tree["tasks"][0]["children"]], ["good", "bad"])
    home.submit({"main": [{"gather": {"for": "i", "in": {"range": 40}, "do": {"sleep": 0}}}]}, "-w")
    has(home.ok("tree", "last"), "… 38 more succeeded")
    equal(len(home.ok("tree", "-a", "last").splitlines()), 41)


def test_log():
    home.submit({"main": [{"print": "printed"},
                          {"sh": "for i in 1 2 3; do echo o$i; done"}, {"sh": "echo e >&2"}]}, "-w")
    equal(home.ok("log"), "o1\no2\no3\ne\n")
    equal(home.ok("log", "last", "--stdout"), "o1\no2\no3\n")
    equal(home.ok("log", "last", "--stderr"), "e\n")
    equal(home.ok("log", "-n", "2"), "o3\ne\n")
    equal(home.ok("log", "-n", "0"), "")
    equal(home.ok("log", "--print"), "printed\n")
    equal(home.ok("log", "-f"), "o1\no2\no3\ne\n")
    number = home.json("show", "last")["id"]
    equal(home.ok("log", "%d.1" % number), "o1\no2\no3\ne\n")
    equal(home.json("log", "--stderr")["data"], "e\n")
    lines = [json.loads(l) for l in home.ok("log", "-f", "--json").splitlines()]
    equal("".join(l["data"] for l in lines), "o1\no2\no3\ne\n")


def test_pools():
    with Home() as h:
        h.ok("pool", "set", "gpu", "2")
        equal([(p["name"], p["slots"]) for p in h.json("pool", "ls") if p["name"] == "gpu"], [("gpu", 2)])
        has(h.ok("pool"), "gpu", "0/2")
        h.ok("add", "-p", "gpu", "true")
        equal(h.json("show", "last")["pool"], "gpu")
        for wrong in (["gpu"], ["gpu", "0"], ["gpu", "x"], ["gpu", "100001"]):
            equal(h.coro("pool", "set", *wrong).status, 2, repr(wrong))
        h.ok("daemon", "drain")
        r = h.coro("add", "true")
        equal(r.status, 125)
        check(h.json("daemon", "status")["draining"], "not draining")


# map.

def test_map():
    r = home.coro("map", "-k", "sh", "-c", "sleep 0.0$1; echo o$1; echo e$1 >&2", "x", "{}", ":::",
                  *"987654321")
    equal((r.status, r.out), (0, "".join("o%s\n" % c for c in "987654321")))
    equal(r.err, "".join("e%s\n" % c for c in "987654321"))
    r = home.coro("map", "-j", "2", "sh", "-c", "exit {}", ":::", "0", "3", "7", "0")
    equal(r.status, 7)
    has(r.err, "3: CommandError", "2 of 4 went well, 2 failed")
    r = home.coro("map", "-k", "echo", stdin="a b\n${x}\n\nc")
    equal(r.out, "a b\n${x}\nc\n")
    r = home.coro("map", "-k0", "echo", "{#}", stdin=b"a\nb\0\xff\0")
    equal(r.out, "1\n2\n")
    r = home.coro("map", "-k", "echo", "{}", "{.}", "{/}", "{//}", "{/.}", "{x}", ":::",
                  "/a/b.c/d.tar.gz", "e.f", "/g", ".h")
    equal(r.out, "/a/b.c/d.tar.gz /a/b.c/d.tar d.tar.gz /a/b.c d.tar {x}\n"
                 "e.f e e.f . e {x}\n/g /g g / g {x}\n.h .h .h . .h {x}\n")
    r = home.coro("map", "-k", "echo", "{1}{2}", ":::", "a", "b", ":::", "1", "2")
    equal(r.out, "a1\na2\nb1\nb2\n")
    equal(home.coro("map", "echo", ":::").status, 0)
    equal(home.coro("map", ":::", "a").status, 2)
    equal(home.coro("map", "/no/such/program", ":::", "a").status, 127)
    lines = [json.loads(l) for l in home.ok("map", "-k", "--json", "echo", ":::", "a", "b").splitlines()]
    equal([(l["item"], l["value"], l["stdout"]) for l in lines], [(1, "a", "a\n"), (2, "b", "b\n")])


def test_map_when_the_daemon_dies():
    with tempfile.TemporaryDirectory() as d:
        script = "echo $1; [ $1 -lt 10 ] || while [ ! -e %s/go ]; do sleep 0.02; done; exit $(($1 == 30))" % d
        p = home.start("map", "-k", "-j", "4", "sh", "-c", script, "x", "{}", ":::",
                       *[str(i) for i in range(40)])
        while p.stdout.readline() != b"9\n":
            pass
        os.kill(home.pid(), signal.SIGKILL)
        open(d + "/go", "w").close()
        out, err = p.communicate(timeout=PATIENCE)
        equal(out.decode(), "".join("%d\n" % i for i in range(10, 40)))
        has(err.decode(), "went away", "39 of 40 went well")
        equal(p.returncode, 1)


# Help, hints, screens.

def test_help():
    listed = re.findall(r"^  (\w+(?: \w+)?)  +", home.ok("help"), re.M)
    check({"run", "map", "submit", "daemon stop", "pool set"} <= set(listed), listed)
    for name in listed:
        for text in (home.ok("help", *name.split()), home.ok(*name.split(), "-h")):
            has(text, "coro " + name, "--json", "--socket")
    equal(home.ok("run", "--help"), home.ok("help", "run"))
    check(re.fullmatch(r"coro \d+\.\d+\.\d+\n", home.ok("--version")))
    has(home.coro("sbumit").err, 'did you mean "submit"')
    has(home.coro("daemon", "stat").err, 'did you mean "daemon')
    has(home.coro("run", "--timeot", "3", "x").err, "timeout")
    equal(home.coro("ls", "--color", "pink").status, 2)
    equal(home.ok("help", "pool"), home.ok("pool", "--help"))


def on_terminal(h, *args, columns=60, shows=None, **env):
    """What coro shows on a terminal; shows(text so far) is called whenever it shows more."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execve(CORO, [CORO, *args], dict(h.env, **env))
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    out = b""
    try:
        while True:
            out += os.read(fd, 65536)
            if shows:
                shows(out.decode(errors="replace"))
    except OSError:
        pass
    os.close(fd)
    os.waitpid(pid, 0)
    return out.decode().replace("\r\n", "\n")


def columns_of(line):
    return len(re.sub(r"\x1b\[[0-9;]*[mK]", "", line))


def test_terminals():
    long = "sh -c 'exit 3' " + "x" * 200
    home.ok("add", "-n", long, "sh", "-c", "exit 3")
    home.coro("wait", "last")
    for args in (("ls",), ("show", "last"), ("tree", "last"), ()):
        # The width is set while coro may already look: it starts over until it saw it.
        text = wait_until(lambda a=args: (lambda t: t if all(
            columns_of(l) <= 60 for l in t.split("\n")) else None)(on_terminal(home, *a)),
            "narrow lines")
        has(text, "\033[", "…")
    check("\033" not in on_terminal(home, "ls", NO_COLOR="1"), "NO_COLOR")
    check("\033" not in on_terminal(home, "ls", TERM="dumb"), "TERM=dumb")
    check("\033" not in on_terminal(home, "--color", "never", "ls"), "--color never")
    has(home.ok("ls", "--color", "always"), "\033[")
    has(home.ok("ls", env={"CLICOLOR_FORCE": "1"}), "\033[")
    with tempfile.TemporaryDirectory() as d:
        def shows(text):  # the last one ends when the line of progress is there
            if "2/3" in text and "ETA" in text:
                open(d + "/go", "w").close()
        script = "[ {} = 0 ] && exit; while [ ! -e %s/go ]; do sleep 0.02; done; exit 1" % d
        text = on_terminal(home, "map", "-j1", "sh", "-c", script, ":::", "0", "0", "1", columns=80, shows=shows)
    has(text, "█", "2/3", "ETA", "1 failed", "2 of 3 went well")


# What only a fake daemon does.

def fake(handlers):
    directory = tempfile.mkdtemp(prefix="coro-")
    d = FakeDaemon(directory + "/sock", handlers)
    h = Home(CORO_SOCKET=directory + "/sock")
    h.env["CORO_SOCKET"] = directory + "/sock"
    return d, h


def test_a_question_is_asked_again():
    """The daemon ends just as it is asked: the next one answers. What changes something is not said twice."""
    asked = []

    def once(name):
        def answer(_, params):
            asked.append(name)
            if asked.count(name) == 1:
                raise HangUp()
            return {"jobs": []}
        return answer

    d, h = fake({"job.list": once("job.list"), "job.submit": once("job.submit")})
    with h:
        equal(h.coro("ls").status, 0)
        equal(asked, ["job.list"] * 2)
        h.coro("add", "--", "true")
        equal(asked.count("job.submit"), 1)
    d.close()


NASTY = "a\033]0;title\007b\u202ec\x9bd\n\r\te\x00f"


def row(**members):
    return dict({"id": 7, "name": NASTY, "owner": NASTY, "uid": 99999, "state": "failed",
                 "priority": 0, "pool": NASTY, "labels": {NASTY.replace("\0", ""): NASTY}, "created":
                 "2026-11-20T08:00:00Z", "started": None, "finished": None, "exit": 5,
                 "error": {"type": NASTY, "message": NASTY}}, **members)


def harmless(text):
    bad = [c for c in text if (ord(c) < 32 and c != "\n") or 127 <= ord(c) < 160 or ord(c) == 0x202e]
    check(not bad, "%r in %r" % (bad, text))
    has(text, "\\x1b]0;title\\x07b")


def test_nothing_obeys_what_a_job_is_called():
    task = {"id": "7.1", "name": NASTY, "state": "running", "created": "2026-11-20T08:00:00Z",
            "awaits": NASTY, "error": {"type": "X", "message": NASTY}, "children": []}
    d, h = fake({"job.list": lambda p, a: {"jobs": [row()]},
                 "pool.list": lambda p, a: {"pools": [{"name": NASTY, "slots": 1, "taken": 0, "waiting": 0}]},
                 "job.get": lambda p, a: row(output=[NASTY], diagnostics=[{"text": NASTY}], value=NASTY,
                                             cwd=NASTY, key=NASTY),
                 "job.tree": lambda p, a: {"tasks": [task], "more": 0},
                 "job.check": lambda p, a: refuse(NASTY)})

    def refuse(text):
        raise Refused(-32015, "no", [{"pointer": text, "message": text, "hint": text}])
    with h:
        for args in (("ls",), (), ("show", "7"), ("tree", "7")):
            harmless(h.ok(*args))
        harmless(h.coro("check", "-", stdin="{}").err)
    d.close()


def test_a_subscription_may_be_lost():
    state = {"follows": 0}

    def follow(peer, params):
        state["follows"] += 1
        first = state["follows"] == 1

        def behind():
            number = state["follows"]
            peer.log(number, b"one\n")
            peer.log(number, b"\xfftwo", attempt=2)
            if first:
                peer.notify("log", subscription=number, lost=True, message="too slow")
            else:
                peer.log(number, b"three\n", attempt=2)
                peer.notify("log", subscription=number, eof=True)
        return {"subscription": state["follows"]}, behind
    d, h = fake({"job.submit": lambda p, a: {"id": 7, "state": "running", "existing": False},
                 "log.follow": follow,
                 "job.wait": lambda p, a: {"jobs": [row(state="succeeded", exit=0)], "timed_out": False}})
    with h:
        r = h.coro("run", "x", binary=True)
        equal((r.status, r.out), (0, b"one\n\xfftwothree\n"))
    d.close()


def test_what_the_cap_dropped_is_told():
    """In a line of its own, and once."""
    state = {"follows": 0}

    def follow(peer, params):
        state["follows"] += 1

        def behind():
            number = state["follows"]
            peer.log(number, b"one\ntw")
            if number == 1:
                peer.log(number, b"ree\nfour\n", dropped=1000)
                peer.notify("log", subscription=number, lost=True, message="too slow")
            else:
                peer.log(number, b"\nfour\n", dropped=1003)
                peer.log(number, b"five\n")
                peer.log(number, b"", dropped=7)
                peer.notify("log", subscription=number, eof=True)
        return {"subscription": state["follows"]}, behind
    d, h = fake({"job.list": lambda p, a: {"jobs": [row()]}, "log.follow": follow})
    with h:
        r = h.coro("log", "-f", "7")
        equal((r.status, r.out), (0, "one\ntw\nree\nfour\nfive\n"))
        notes = ["%d bytes in the middle are not kept" % n for n in (1000, 7)]
        equal(re.findall(r"[0-9]+ bytes.*", r.err), notes)
        state["follows"] = 0
        lines = [json.loads(l) for l in h.ok("log", "-f", "--json", "7").splitlines()]
        equal([(l["data"], l.get("dropped")) for l in lines],
              [("one\ntw", None), ("ree\nfour\n", 1000), ("five\n", None), ("", 7)])
    d.close()


def test_an_answer_that_never_comes():
    def hang_up(peer, params):
        if len(d.params("job.submit")) == 1:
            raise HangUp()
        return {"id": 8, "state": "queued", "existing": True}
    d, h = fake({"job.submit": hang_up})
    with h:
        r = h.coro("add", "true")
        equal(r.status, 125)
        has(r.err, "coro ls")
        equal(len(d.params("job.submit")), 1, "sent without a key")
        d.asked.clear()
        equal(h.ok("add", "--key", "k", "true"), "8\n")
        equal(len(d.params("job.submit")), 2, "sent with a key")
    d.close()


def test_a_daemon_that_always_ends_is_given_up():
    def hang_up(peer, params):
        raise HangUp()
    d, h = fake({"job.wait": hang_up})
    with h:
        p = h.start("wait", "1")
        wait_until(lambda: len(d.params("job.wait")) >= 3, "trying again")
        out, err = p.communicate(timeout=PATIENCE)
        equal(p.returncode, 125)
        has(err.decode(), "again and again")
        equal(err.decode().count("went away"), 1)
        check(len(d.params("job.wait")) < 20, "too often")
    d.close()


def test_replies_that_are_none():
    def raw(data):
        def handler(peer, params):
            peer.raw(data)
            raise HangUp()
        return handler
    for data in (b"", b"nonsense\n", b"[]\n", b"{}\n", b'{"jsonrpc":"2.0","id":1}\n',
                 b'{"jsonrpc":"2.0","id":1,"result":7}\n', b'{"jsonrpc":"2.0","id":1,"error":7}\n',
                 b'{"jsonrpc":"2.0","id":1,"result":{"jobs":7}}\n', b"[" * 100000 + b"\n",
                 b'{"jsonrpc":"2.0","id":1,"result":{"jobs":[7,{"id":"x"}]}}\n'):
        d, h = fake({"job.list": raw(data)})
        with h:
            r = h.coro("ls")
            check(r.status in (0, 125), repr(r))
            check(r.status == 0 or r.err.startswith("coro: "), repr(r))
        d.close()


def test_an_end_without_a_job_is_an_error():
    d, h = fake({"job.submit": lambda p, a: {"id": 7, "state": "queued", "existing": False},
                 "log.follow": lambda p, a: {"subscription": "s"},
                 "job.wait": lambda p, a: {"jobs": [], "timed_out": False}})
    with h:
        r = h.coro("run", "true")
        equal(r.status, 125)
        check("job.wait" in r.err, repr(r))
    d.close()


def test_a_log_with_a_hole_is_read_to_its_end():
    """A reply may bring nothing and have looked at a part only."""
    def read(peer, params):
        at = params.get("offset", 0)
        return {"data": "" if at < 3 else "the end\n", "encoding": "utf-8", "next": at + 1,
                "eof": at == 3}
    d, h = fake({"job.list": lambda p, a: {"jobs": [row()]}, "log.read": read})
    with h:
        r = h.coro("log", "7", "--print")
        equal((r.status, r.out), (0, "the end\n"))
    d.close()


def test_what_cannot_be_written_is_told():
    home.ok("run", "true")
    for words in (["events"], ["events", "-f", "--after", "0"], ["ls"], ["log", "last", "--json"], ["help"]):
        with open("/dev/full", "wb") as full:
            p = subprocess.run([CORO, *words], env=home.env, stdout=full, stderr=subprocess.PIPE, check=False, timeout=PATIENCE)
        equal(p.returncode, 125, words)
        has(p.stderr.decode(), "coro: stdout cannot be written")


def test_errors_are_told():
    d, h = fake({"job.submit": lambda p, a: fail(-32009, "no new work is accepted"),
                 "job.cancel": lambda p, a: fail(-32004, "it has ended")})

    def fail(code, text):
        raise Refused(code, text)
    with h:
        r = h.coro("add", "x")
        equal((r.status, r.err), (125, "coro: no new work is accepted\n"))
        equal(h.coro("cancel", "3").status, 125)
        equal(d.params("job.cancel"), [{"ids": [3]}])
    d.close()


if __name__ == "__main__":
    with home:
        run_tests(globals(), sys.argv[1:])
