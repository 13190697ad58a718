#!/usr/bin/env python3
# test-timeout: 180
"""coro completions: what fits where, and how the three shells take it."""
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from corod import Skip, check, equal, run_tests
from home import Home
from screen import Screen

home = Home()


def words(*typed):
    """The candidates for the last word, without what they are."""
    return [line.split("\t")[0] for line in home.ok("completions", "words", "--", *typed).splitlines()]


def test_what_fits():
    one = home.ok("add", "-n", "sleeper", "sleep", "600").strip()
    two = home.ok("add", "-n", "a name", "true").strip()
    home.coro("wait", two)
    check({"run", "ls", "daemon", "pool", "queue"} <= set(words("")), words(""))
    equal(words("da"), ["daemon"])
    equal(words("--color", ""), ["auto", "always", "never"])
    equal(words("--color=a"), ["--color=auto", "--color=always"])
    equal(words("-q", "tim"), ["timeline"])
    equal(words("daemon", "sta"), ["start", "status"])
    equal(words("ls", "--stat"), ["--state"])
    equal(words("ls", "--state", "fa"), ["failed"])
    equal(words("ls", "--state", "failed,su"), ["failed,succeeded"])
    equal(words("ls", "-s", "canc"), ["cancelled"])
    equal(words("events", "-t", "job."), ["job.created", "job.state", "job.removed"])
    equal(words("events", "--type=dia"), ["--type=diagnostic"])
    equal(words("ls", "--columns", "id,na"), ["id,name"])
    equal(words("cancel", ""), [one, two, "last", "all"], "those that have not ended first")
    equal(words("cancel", "sl"), ["sleeper"])
    equal(words("cancel", "a"), ["all"], "a name that needs quotes is no word")
    equal(words("cancel", one + ","), [one + "," + w for w in (one, two, "last", "all")])
    equal(words("log", "-f", one[:-1] or one)[0], one)
    equal(words("add", "--after", one), [one])
    equal(words("run", "-p", "def"), ["default"])
    equal(words("run", "--pool=def"), ["--pool=default"])
    equal(words("pool", "set", "def"), ["default"])
    equal(words("help", "tim"), ["timeline"])
    equal(words("completions", ""), ["bash", "zsh", "fish"])
    equal(words("run", "-n", "x", "ma"), [":command 3"])
    equal(words("run", "make", "-j"), [":command 1"])
    equal(words("run", "--", "make", ""), [":command 2"])
    equal(words("submit", ""), [":files"])
    equal(words("map", "--results", ""), [":directories"])
    equal(words("nonsense", ""), [])
    home.ok("queue", "put", "orders", "1")
    for name in ("o$(touch x)", "o`x`", "o;x", "o x", "o\x1b[31m", "o\u009b31m", "o\u202e", "o'", "-o", "o,1"):
        home.ok("queue", "put", "--", name, "1")
        home.ok("add", "--hold", "-n", name, "true")
    equal(words("queue", "get", "o"), ["orders"], "names that a shell or a terminal would obey")
    equal(words("queue", "get", ""), ["orders"])
    equal(words("cancel", "o"), [])
    home.ok("kill", "3-12")
    line = [l for l in home.ok("completions", "words", "--", "cancel", one).splitlines()][0]
    equal(line, one + "\trunning sleeper")


def test_no_daemon_is_started():
    with Home() as h:
        equal(h.ok("completions", "words", "--", "cancel", ""), "last\tthe newest job\nall\tall of them\n")
        equal(h.coro("daemon", "status").status, 125)


def test_scripts():
    equal(home.coro("completions").status, 2)
    equal(home.coro("completions", "csh").status, 2)
    for shell in ("bash", "zsh", "fish"):
        if shutil.which(shell):
            script = home.ok("completions", shell)
            subprocess.run([shell, "-n"], input=script.encode(), check=True)
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", "-s", "bash", "-e", "SC2207", "-"], input=home.ok("completions", "bash").encode(),
                       check=True)


def in_shell(shell, setup):
    if not shutil.which(shell):
        raise Skip("there is no " + shell)
    with tempfile.TemporaryDirectory() as d:
        rc = {"bash": "rc", "zsh": ".zshrc", "fish": "rc"}[shell]
        with open(os.path.join(d, rc), "w", encoding="utf-8") as f:
            f.write(setup)
        for name in ("some-file.json", "some-other.json"):
            with open(os.path.join(d, name), "w", encoding="utf-8"):
                pass
        command = {"bash": "bash --noprofile --rcfile %s/rc" % d,
                   "zsh": "env ZDOTDIR=%s zsh -d" % d,
                   "fish": "env XDG_CONFIG_HOME=%s HOME=%s fish -N -C 'source %s/rc'" % (d, d, d)}[shell]
        home.ok("add", "-n", "completed-" + shell, "sleep", "600")
        with Screen(home, 100, 24, command) as s:
            s.type("cd " + d)

            def completed(typed, wanted):
                s.keys("C-u")
                s.type("clear")
                s.until(lambda t: t.strip() == "$")
                s.tmux("send-keys", "-l", typed)
                s.keys("Tab")
                s.until("$ " + wanted)
            completed("coro timel", "coro timeline")
            completed("coro daemon stat", "coro daemon status")
            completed("coro ls --rever", "coro ls --reverse")
            completed("coro ls --state succ", "coro ls --state succeeded")
            completed("coro ls --state=succ", "coro ls --state=succeeded")
            completed("coro cancel completed-" + shell[:-1], "coro cancel completed-" + shell)
            completed("coro cancel 999999,las", "coro cancel 999999,last")
            completed("coro run -p defa", "coro run -p default")
            completed("coro submit some-f", "coro submit some-file.json")
            completed("coro run -- shasu", "coro run -- shasum" if shutil.which("shasum") else "coro run -- sha")
            # A list says what each is.
            s.keys("C-u")
            s.type("clear")
            s.until(lambda t: t.strip() == "$")
            s.tmux("send-keys", "-l", "coro cancel ")
            s.keys("Tab", "Tab")
            s.until(" completed-" + shell)


def test_bash():
    in_shell("bash", "PS1='$ '\nsource <(coro completions bash)\n")


def test_zsh():
    in_shell("zsh", "PS1='$ '\nunsetopt prompt_cr prompt_sp\nautoload -U compinit\ncompinit -u -D\n"
             "source <(coro completions zsh)\n")


def test_fish():
    in_shell("fish", "function fish_prompt; echo -n '$ '; end\nset -g fish_greeting\n"
             "set -g fish_autosuggestion_enabled 0\ncoro completions fish | source\n")


if __name__ == "__main__":
    with home:
        run_tests(globals(), sys.argv[1:])
