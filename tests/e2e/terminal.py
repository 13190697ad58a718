#!/usr/bin/env python3
# test-timeout: 240
"""coro on a real terminal (tmux): what stands on the screen, what keys and signals do."""
import json
import os
import re
import signal
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from corod import check, equal, has_ended, run_tests, wait_until
from home import Home
from screen import Screen

home = Home()
HEAD = "━ jobs ━"


TREE = {"name": "family", "main": [{"gather": [
    {"do": [{"gather": [{"sleep": 600}, {"sleep": 601}]}], "name": "parent"},
    {"sh": "echo $((6 * 7)) of it; exec sleep 600", "name": "child"}]}]}


def times_away(text):
    return re.sub(r" *\d+(\.\d)?(ms|s)\b", " T", text)


def test_watch_shows_what_goes_on():
    home.coro("cancel", "all")
    job = home.submit(TREE).out.strip()
    with Screen(home, 90, 24) as s:
        s.type("coro watch")
        screen = s.until(lambda t: "42 of it" in t and "▶ running" in t and t.endswith("q quit"))
        lines = times_away(screen).split("\n")
        check(lines[0].startswith("coro  1 live  default "), screen)
        check(lines[1].startswith(HEAD) and len(lines[1]) == 90, screen)
        check(re.match(r" +%s ▶ running +T  family" % job, lines[2]), screen)
        tree = lines.index([l for l in lines if l.startswith("─ tasks of " + job)][0])
        shown = [re.sub(r"  ⋯.*", "", l) for l in lines[tree + 1:tree + 6]]
        equal(shown, ["◦ .1 main T", "├─ ◦ .2 parent T", "│  ├─ ◦ .4 sleep T", "│  └─ ◦ .5 sleep T",
                      "└─ ▶ .3 child T"], screen)
        equal(lines[-1], "? keys   tab next part   c cancel   p pause   r retry   q quit")
        # Folding, and the output of one task.
        s.keys("Tab", "Down")
        s.keys("Enter")
        s.until(lambda t: "[+2]" in t and ".4 sleep" not in t)
        s.keys("Right")
        s.until(".4 sleep")
        s.until(lambda t: "output of .2" in t and "42 of it" not in t)
        s.keys("End")
        s.until(lambda t: "output of .3" in t and "42 of it" in t)
        # What happens is seen without a key.
        other = home.ok("add", "-n", "another", "true").strip()
        s.until(lambda t: re.search(r"%s ✔ succeeded .*another" % other, t))
        # Keys are listed, and gone with the next one.
        s.keys("?")
        s.until("the next part of the screen")
        s.keys("x")
        s.until(lambda t: "the next part of the screen" not in t)
        # A job is cancelled after a question.
        s.keys("c")
        s.until("cancel job %s (family)? y or n" % job)
        s.keys("n")
        s.until("? keys")
        equal(home.json("show", job)["state"], "running")
        s.keys("c")
        s.until("y or n")
        s.keys("y")
        s.until(lambda t: re.search(r"%s ⊘ cancelled" % job, t))
        s.keys("c")
        s.until("this job has ended")
        s.keys("q")
        s.until(lambda t: t.endswith("$") and HEAD not in t)


def test_watch_pauses():
    home.coro("cancel", "all")
    job = home.ok("add", "-n", "paused", "sleep", "600").strip()
    with Screen(home) as s:
        s.type("coro watch")
        s.until("▶ running")
        s.keys("p")
        s.until("‖ paused")
        equal(home.json("show", job)["state"], "paused")
        s.keys("p")
        s.until("▶ running")
    home.ok("cancel", job)


def test_watch_fits_the_terminal():
    home.submit(TREE)
    with Screen(home, 40, 12) as s:
        s.type("coro watch")
        s.until(HEAD)
        for columns, rows in ((130, 30), (20, 5), (200, 8), (80, 24)):
            s.tmux("resize-window", "-x", str(columns), "-y", str(rows))
            screen = s.until(lambda t: t.split("\n")[0].startswith("coro") and t.count("\n") == rows - 1 and
                             max(map(len, t.split("\n"))) == columns)
            check(max(map(len, screen.split("\n"))) <= columns, screen)
        s.tmux("resize-window", "-x", "130", "-y", "30")
        s.until(lambda t: re.search(r"tasks of \d+ ─+ ─ output", t))
    home.coro("cancel", "all")


def test_watch_without_utf8_and_color():
    home.submit(TREE)
    with Screen(home, 80, 24, LC_ALL="C", NO_COLOR="1") as s:
        s.type("coro watch")
        screen = s.until(lambda t: all(text in t for text in ("|- . .2 parent", "`- > .3 child", "=" * 20)))
        check(all(ord(c) < 128 for c in screen), screen)
        colored = s.tmux("capture-pane", "-p", "-e")
        check(not re.search(r"\033\[[0-9;]*3[0-7]m", colored), "there are colours: %r" % colored)
    home.coro("cancel", "all")


def test_watch_waits_for_the_daemon():
    with Home() as h, Screen(home) as s:
        h.ok("add", "-n", "before", "true")
        s.type("XDG_STATE_HOME=%s coro watch" % h.directory)
        s.until("before")
        os.kill(h.pid(), signal.SIGKILL)
        s.until("the daemon is away")
        h.ok("add", "-n", "after", "true")
        s.until(lambda t: "after" in t and "away" not in t)
        h.ok("daemon", "stop")
        s.until("the daemon is away")
        time.sleep(1.5)  # it looks for it, but does not start it
        equal(h.coro("daemon", "status").status, 125)
        s.keys("q")


def settings(s, end):
    s.type("clear; stty -a | md5sum; echo %s" % end)
    return s.until(lambda t: re.search(r"^%s$" % end, t, re.M)).split("\n")[0]


def test_the_terminal_is_as_it_was():
    for signo, said in ((signal.SIGTERM, "Terminated"), (signal.SIGHUP, "Hangup"), (signal.SIGINT, ""),
                        (None, "")):
        with Screen(home) as s:
            before = settings(s, "before")
            s.type("echo marked; coro watch")
            s.until(HEAD)
            pid = s.pid()
            if signo:
                os.kill(pid, signo)
            else:
                s.keys("q")
            screen = s.until(lambda t: HEAD not in t and t.endswith("$"))
            check("marked" in screen and said in screen, screen)
            equal(s.tmux("display-message", "-p", "#{cursor_flag} #{alternate_on}").strip(), "1 0")
            equal(settings(s, "after"), before)


def test_a_terminal_that_is_closed_ends_it():
    with Screen(home) as s:
        s.type("coro watch")
        s.until(HEAD)
        pid = s.pid()
    wait_until(lambda: has_ended(pid), "its end")


def test_watch_says_what_it_needs():
    for args in (["watch"], ["watch", "--json"], ["watch", "5"]):
        equal(home.coro(*args).status, 2, repr(args))
    with Screen(home) as s:
        s.type("TERM=nonsense coro watch; echo $?")
        s.until('the terminal "nonsense" is not known')
        s.until("\n125\n")


def test_map_s_live_lines():
    home.coro("cancel", "all")
    with tempfile.TemporaryDirectory() as d:
        with Screen(home, 70, 24) as s:
            s.type("coro map -j2 'echo begin {}; while [ ! -e %s/{} ]; do sleep 0.02; done; echo out {}; [ {} != b ]'"
                   " ::: a b c" % d)
            s.until(lambda t: re.search(r"▶ [ab] +\S+  begin [ab]", t) and re.search(r"░+ 0/3  3 left$", t, re.M))
            open(d + "/b", "w").close()
            s.until(lambda t: "1/3" in t and "1 failed" in t and re.search(r"^begin b\nout b$", t, re.M))
            open(d + "/a", "w").close()
            open(d + "/c", "w").close()
            screen = s.until("2 of 3 went well")
            for line in ("begin a\nout a", "begin c\nout c", "coro: b: CommandError"):
                check(line in screen, screen)
            check("▶" not in screen and "░" not in screen and "left" not in screen, screen)


def test_a_command_that_takes_its_time():
    """A line below its output says so, and is gone with it."""
    home.coro("cancel", "all")
    with tempfile.TemporaryDirectory() as d, Screen(home, 70, 24) as s:
        s.type("coro run -- sh -c 'echo one; while [ ! -e %s/a ]; do sleep 0.02; done; echo two'; echo $?" % d)
        s.until(lambda t: re.search(r"^one\n▶ sh -c .* \d", t, re.M))
        open(d + "/a", "w").close()
        screen = s.until(lambda t: re.search(r"^two\n0$", t, re.M))
        check("▶" not in screen, screen)


def test_what_runs_is_shown_below_the_output():
    home.coro("cancel", "all")
    with tempfile.TemporaryDirectory() as d:
        job = home.file("live.json", json.dumps({"gather": [
            {"sh": "echo one; while [ ! -e %s/a ]; do sleep 0.02; done; echo end" % d},
            {"sh": "while [ ! -e %s/c ]; do sleep 0.02; done; printf 'no end of line'; while [ ! -e %s/b ]; do sleep 0.02; done; echo" % (d, d)}]}))
        with Screen(home, 70, 24) as s:
            s.type("coro submit -f %s" % job)
            s.until(lambda t: "\none\n▶ echo one" in t and "▶ while" in t)
            open(d + "/c", "w").close()
            screen = s.until("no end of line")
            check("▶" not in screen, "in the middle of a line: " + screen)
            open(d + "/b", "w").close()
            screen = s.until("▶ echo one; while")
            check(re.search(r"^no end of line\n▶ echo one.* \d+(\.\d)?(ms|s)$", screen, re.M), screen)
            open(d + "/a", "w").close()
            screen = s.until(lambda t: t.endswith("$"))
            check("▶" not in screen and screen.split("\n")[-2] == "end", screen)


def test_ctrl_c_while_map_is_shown():
    home.coro("cancel", "all")
    with Screen(home, 90, 24) as s:
        s.type("coro map -j2 sleep ::: 600 601; echo status $?")
        s.until("0/2")
        s.keys("C-c")
        screen = s.until("goes on")
        check("░" not in screen, screen)
        s.keys("C-c")
        s.until("status 130")
        check("░" not in s.text(), s.text())


def test_a_narrow_terminal():
    home.submit(TREE)
    home.ok("add", "-n", "a very long name " * 10, "-l", "team=" + "x" * 50, "--", "true")
    for columns in (20, 40, 300):
        with Screen(home, columns, 40) as s:
            for i, line in enumerate(("coro", "coro ls", "coro tree family", "coro timeline family", "coro show",
                                      "coro pool")):
                s.type("clear; %s; echo e$((40+%d))" % (line, i))
                screen = s.until(lambda t: re.search(r"^e%d$" % (40 + i), t, re.M))
                shown = screen.split("\n")
                check(all(len(l) <= columns for l in shown), screen)
                if line == "coro ls":
                    at = [i for i, l in enumerate(shown) if re.match(r" *ID ", l)]
                    check(at and re.match(r" +\d", shown[at[0] + 1]), "a line is wrapped:\n" + screen)
    home.coro("cancel", "all")


if __name__ == "__main__":
    with home:
        run_tests(globals(), sys.argv[1:])
