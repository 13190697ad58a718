#!/usr/bin/env python3
"""Layout of the C files, length of files and functions, shell scripts, words that do not belong."""
import os
import re
import shutil

from report import TOP, Report, files, read

FILE_LINES = 500
FUNCTION_LINES = 70
# Paths of the machine where something was written have no place in the project.
PRIVATE = [r"/wor[k]/", r"/roo[t]/", r"/tmp/[b]-"]
for folder in (TOP, os.path.expanduser("~")):
    if folder.count("/") >= 2:
        PRIVATE.append(r"(?<![\w.)}])" + re.escape(folder) + r"\b")


def functions(text):
    """(name, lines) of each function: it opens and ends with a brace in the first column."""
    start = None
    name = ""
    for number, line in enumerate(text.split("\n")):
        match = re.match(r"[A-Za-z_].*?(\w+)\(", line)
        if match:
            start, name = number, match.group(1)
        elif line == "}" and start is not None:
            yield name, number - start + 1
            start = None


def is_shell(path):
    return path.endswith(".sh") or re.match(r"#!.*\b(sh|bash)\n", read(path)[:40]) is not None


report = Report()
sources = files(".c", ".h")
if shutil.which("clang-format"):
    for source in sources:
        report.command(["clang-format", "--dry-run", "-Werror", source], source, cwd=TOP)
else:
    report.skip("no clang-format")

for source in sources:
    lines = read(source).count("\n")
    report.check(lines <= FILE_LINES, "%s has %d lines" % (source, lines))
    for function, lines in functions(read(source)):
        report.check(lines <= FUNCTION_LINES, "%s: %s() has %d lines" % (source, function, lines))

if shutil.which("shellcheck"):
    for script in [f for f in files() if is_shell(f)]:
        report.command(["shellcheck", "--severity=warning", script], script, cwd=TOP)
else:
    report.skip("no shellcheck")

for path in files():
    words = [w for pattern in PRIVATE for w in re.findall(pattern, read(path))]
    report.check(not words, "%s: paths of somebody's machine: %s" % (path, words))
# tests/run takes what is executable: a test that is not would never be run.
for path in files(".py"):
    if re.match(r"tests/(lang|e2e|crash|systemd)/", path) and re.search(r"^(run_tests|finish)\(", read(path), re.M):
        report.check(os.access(os.path.join(TOP, path), os.X_OK), "%s is not executable" % path)
report.end()
