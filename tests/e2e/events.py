#!/usr/bin/env python3
# test-sanitized: yes
"""coro events: what is kept, what comes, and what happens when the daemon goes away meanwhile."""
import json
import os
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from corod import PATIENCE, check, equal, run_tests
from home import Home, has

home = Home()


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def test_what_is_kept():
    first = home.ok("add", "-n", "kept", "--", "true").strip()
    home.ok("wait", first)
    events = lines(home.ok("events"))
    seqs = [e["seq"] for e in events]
    equal(seqs, sorted(set(seqs)))
    equal([(e["type"], e["state"]) for e in events if e["type"].startswith("job.")],
          [("job.created", "queued"), ("job.state", "running"), ("job.state", "succeeded")])
    check(all({"seq", "type", "at", "job"} <= set(e) and "subscription" not in e for e in events), events)
    second = home.ok("add", "--", "true").strip()
    home.ok("wait", second)
    equal({e["job"] for e in lines(home.ok("events", "--after", str(seqs[-1])))}, {int(second)})
    equal({e["job"] for e in lines(home.ok("events", first))}, {int(first)})
    equal({e["type"] for e in lines(home.ok("events", "-t", "output", "-t", "job.created"))}, {"job.created"})
    equal(home.ok("events", "--owner", "0" if os.getuid() else "4294967294"), "")


def test_mistakes():
    for args, status in ((["--after", "x"], 2), (["-t", "job.ended"], 2), (["no such job"], 125),
                         (["--after", "1"], 0)):
        equal(home.coro("events", *args).status, status, repr(args))
    has(home.coro("events", "--after", "1").err, "no longer kept")


def test_they_go_on_when_the_daemon_comes_back():
    p = home.start("events", "-f", "--after", "0", "-t", "job.created")
    try:
        def until(name):
            for line in iter(p.stdout.readline, b""):
                if json.loads(line).get("name") == name:
                    return
            raise AssertionError("no event of " + name)
        home.ok("add", "-n", "before", "true")
        until("before")
        os.kill(home.pid(), signal.SIGKILL)
        has(p.stderr.readline().decode(), "the daemon went away, waiting for it")
        home.ok("add", "-n", "behind", "true")
        until("behind")
        has(p.stderr.readline().decode(), "no longer kept")
        p.send_signal(signal.SIGINT)
        equal(p.wait(PATIENCE), -signal.SIGINT)
    finally:
        p.kill()
        p.communicate()


def test_a_log_goes_on_when_the_daemon_comes_back():
    with tempfile.TemporaryDirectory() as d:
        script = "echo before; while [ ! -e %s/go ]; do sleep 0.02; done; echo after; exit 3" % d
        job = home.ok("add", "sh", "-c", script).strip()
        p = home.start("log", "-f", job)
        equal(p.stdout.readline(), b"before\n")
        os.kill(home.pid(), signal.SIGKILL)
        has(p.stderr.readline().decode(), "goes on, waiting for the daemon")
        open(d + "/go", "w").close()
        out, err = p.communicate(timeout=PATIENCE)
        equal((p.returncode, out, err), (0, b"after\n", b""), "each line once")


def test_a_pipe_that_is_closed_ends_it():
    for argv in (["events", "-f", "--after", "0"], ["log", "-f"]):
        home.ok("add", "sh", "-c", "while :; do echo a line; sleep 0.01; done")
        with subprocess.Popen(["true"], stdin=subprocess.PIPE) as gone:
            gone.wait()
            p = home.start(*argv, stdout=gone.stdin)
        equal(p.wait(PATIENCE), -signal.SIGPIPE, repr(argv))
        p.communicate()
        home.ok("cancel", "last")


if __name__ == "__main__":
    with home:
        run_tests(globals(), sys.argv[1:])
