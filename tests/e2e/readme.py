#!/usr/bin/env python3
"""Does what README.md says: runs the command lines of its console blocks, in their order, in one empty directory,
and compares what they print with what stands there.

A command line starts with `$ `, or `> ` when it goes on. What follows is its output; `…` in it is anything, and
times, sizes and process ids may differ. A json block behind a line that ends with `NAME`: is the file NAME.
"""
import os
import re
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# What changes the machine on which it is done: not done here; tests/systemd and bootstrap do.
ELSEWHERE = re.compile(r"(\./bootstrap|sudo)\b")
# A time of day, a date, a duration or size with its unit.
VARIES = re.compile(r"\d{4}-\d\d-\d\d[T ]?|\b\d\d?:\d\d(:\d\d)?(\.\d+)?Z?|\b\d+(\.\d+)? ?(ms|s|min|h|MiB|KiB)\b"
                    r"|\bpid \d+")
passed = failed = 0


def blocks(text):
    """(language, the line before, lines) of each fenced block."""
    before, language, lines = "", None, []
    for line in text.split("\n"):
        if line.startswith("```"):
            if language is None:
                language, lines = line[3:].strip(), []
            else:
                yield language, before, lines
                language = None
        elif language is not None:
            lines.append(line)
        elif line.strip():
            before = line.strip()


def commands(lines):
    """(command, expected output lines) of a console block."""
    command, output = None, []
    for line in lines:
        if line.startswith("$ "):
            if command is not None:
                yield command, output
            command, output = line[2:], []
        elif line.startswith("> ") and not output:
            command += "\n" + line[2:]
        else:
            output.append(line)
    if command is not None:
        yield command, output


def plain(line):
    """Without what varies: times, and the width of columns."""
    return re.sub(r" +", " ", VARIES.sub("<varies>", line))


def same(shown, got):
    pattern = ".*".join(re.escape(plain(part)) for part in shown.split("…"))
    return re.fullmatch(pattern, plain(got)) is not None


def agree(shown, got):
    """Whether lines are as shown; a line `…` stands for any number of lines."""
    if not shown:
        return not got
    if shown[0] == "…":
        return any(agree(shown[1:], got[i:]) for i in range(len(got) + 1))
    return bool(got) and same(shown[0], got[0]) and agree(shown[1:], got[1:])


def run(command, shown, env, cwd):
    global passed, failed
    try:
        p = subprocess.run(["bash", "-c", command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, env=env, cwd=cwd, timeout=60)
        got, status = p.stdout.decode("utf-8", "replace").rstrip("\n").split("\n"), p.returncode
    except subprocess.TimeoutExpired:
        got, status = ["(a timeout)"], -1
    while shown and not shown[-1].strip():
        shown.pop()
    got = got if got != [""] else []
    good = agree(shown, got) if shown else status == 0
    if good:
        passed += 1
        print("ok: " + command)
    else:
        failed += 1
        print("FAILED: %s (status %d)\n--- shown\n%s\n--- printed\n%s\n---" %
              (command, status, "\n".join(shown), "\n".join(got)))


def main():
    with open(os.path.join(TOP, "README.md"), encoding="utf-8") as f:
        text = f.read()
    builddir = os.path.abspath(os.environ.get("BUILDDIR", os.path.join(TOP, "build")))
    with tempfile.TemporaryDirectory(prefix="corod-readme-") as home:
        env = {k: v for k, v in os.environ.items() if not k.startswith(("CORO", "XDG_"))}
        env.update(HOME=home, PATH=builddir + ":" + env["PATH"], TERM="dumb", LC_ALL="C.UTF-8",
                   COLUMNS="80", USER="you", LOGNAME="you")
        cwd = os.path.join(home, "work")
        os.mkdir(cwd)
        try:
            for language, before, lines in blocks(text):
                name = re.search(r"`([\w.-]+)`:$", before)
                if language == "json" and name:
                    with open(os.path.join(cwd, name.group(1)), "w") as f:
                        f.write("\n".join(lines) + "\n")
                if language in ("sh", "console"):
                    for command, shown in commands(lines):
                        if not ELSEWHERE.match(command):
                            run(command, shown, env, cwd)
        finally:
            subprocess.run(["coro", "daemon", "stop"], env=env, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
            subprocess.run(["pkill", "-TERM", "-f", home], stdout=subprocess.DEVNULL)
    print("%d passed, %d failed, 0 skipped" % (passed, failed))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
