#!/usr/bin/env python3
# test-timeout: 120
"""corod-tutorial(7): each of its steps does what it says, typed as it stands there."""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from corod import PATIENCE, TOP, check, finish, test
from home import CORO, Home


def steps():
    """(command, what comes out) of each line that begins with "$ "."""
    with open(os.path.join(TOP, "man", "corod-tutorial.7"), encoding="utf-8") as f:
        blocks = re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed", f.read(), re.M | re.S)
    found = []
    for block in blocks:
        document = None
        for line in block.replace("\\e", "\\").splitlines():
            if document is not None:
                found[-1][0].append(line)
                document = None if line == "END" else document
            elif line.startswith("$ "):
                found.append(([line[2:]], []))
                document = "END" if line.endswith("<<END") else None
            elif found and block.startswith("$ "):
                found[-1][1].append(line)
    return [("\n".join(command), "".join(l + "\n" for l in out)) for command, out in found]


def check_steps(home):
    """All in one shell, as a person would: a mark behind each ends what it wrote."""
    env = dict(home.env, PATH=os.path.dirname(CORO) + ":" + os.environ["PATH"])
    directory = os.path.join(home.directory, "empty")
    os.mkdir(directory)
    with subprocess.Popen(["sh"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env=env, cwd=directory) as shell:
        for number, (command, wanted) in enumerate(steps()):
            def step(command=command, wanted=wanted):
                shell.stdin.write(b"%s\necho '=== done'\n" % command.encode())
                shell.stdin.flush()
                got = []
                for line in iter(shell.stdout.readline, b""):
                    if line.endswith(b"=== done\n"):
                        break
                    got.append(line.decode())
                pattern = ".*".join(map(re.escape, wanted.split("...")))
                check(re.fullmatch(pattern, "".join(got)), "`%s` gives\n%sinstead of\n%s" % (command, "".join(got), wanted))
            test(step, name="step %d: %s" % (number + 1, command.split("\n")[0]))
        shell.stdin.close()
        shell.wait(PATIENCE)


with Home() as person:
    test(lambda: check(len(steps()) > 20, steps()), name="there are steps")
    check_steps(person)
finish()
