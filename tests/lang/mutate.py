#!/usr/bin/env python3
"""Whether the comparison with asyncio would notice a mistake: each of mutations.py is made in a copy of
the runtime, or of the judge, and looked for with random programs, then with the cases.

  mutate.py [--count N] [--seed N] [--only TEXT] [--runtime | --judge]

Takes minutes, and so is run by hand. Ends with 1 when a mistake was not found.
"""
import argparse
import os
import shutil
import subprocess
import sys
import tempfile

import mutations

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BUILDDIR = os.environ.get("BUILDDIR", os.path.join(TOP, "build"))


def quiet(argv, cwd, **env):
    return subprocess.run(argv, cwd=cwd, env=dict(os.environ, **env), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)


class Copy:
    """A copy of the sources with a build of its own, or only of the judge."""

    def __init__(self, folder, runtime):
        self.runtime = runtime
        self.top = os.path.join(folder, "top")
        shutil.copytree(TOP, self.top, symlinks=True, ignore=shutil.ignore_patterns(
            "build", ".git", "*.pyc", "autom4te.cache"))
        self.lang = os.path.join(self.top, "tests", "lang")
        self.sources = os.path.join(self.top, "daemon", "task") if runtime else self.lang
        self.build = BUILDDIR
        if runtime:
            self.build = os.path.join(folder, "build")
            os.mkdir(self.build)
            self.must([os.path.join(self.top, "configure"), "-q", "--enable-errinj",
                       "CC=" + os.environ.get("CC", "cc"), "CFLAGS=-O1"])

    def must(self, argv):
        done = quiet(argv, self.build)
        if done.returncode:
            sys.exit(done.stdout.decode("utf-8", "replace"))

    def make(self):
        if self.runtime:
            self.must(["make", "-s", "-j2", "tests/lang/run_case"])

    def found(self, args):
        """By random programs, by the cases, or not at all."""
        env = {"BUILDDIR": self.build, "SHRINK_S": "0", "PYTHONDONTWRITEBYTECODE": "1"}
        script = os.path.join(self.lang, "differential.py")
        done = quiet([sys.executable, script, "--no-cases", "--max", "1", "--seed", args.seed,
                      "--count", str(args.count)], self.lang, **env)
        if done.returncode:
            return "random"
        cases = [os.path.join(self.lang, "cases.py")] if self.runtime else [script, "--count", "0"]
        return "cases" if quiet([sys.executable, *cases], self.lang, **env).returncode else "MISSED"

    def mutated(self, name, old, new, args):
        path = os.path.join(self.sources, name)
        with open(path, encoding="utf-8") as f:
            text = f.read()
        if text.count(old) != 1:
            return "STALE (%d times)" % text.count(old)
        try:
            with open(path, "w", encoding="utf-8") as f:
                f.write(text.replace(old, new))
            self.make()
            return self.found(args)
        finally:
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", default="mutate")
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--only", default="")
    parser.add_argument("--runtime", action="store_true")
    parser.add_argument("--judge", action="store_true")
    args = parser.parse_args()
    counts = {}
    for runtime, every in ((True, mutations.RUNTIME), (False, mutations.JUDGE)):
        if (args.judge if runtime else args.runtime):
            continue
        with tempfile.TemporaryDirectory() as folder:
            copy = Copy(folder, runtime)
            copy.make()
            for name, old, new in every:
                if args.only not in name + old:
                    continue
                how = copy.mutated(name, old, new, args)
                counts[how] = counts.get(how, 0) + 1
                print("%-7s %s: %s" % (how, name, " ".join((old + " => " + new).split())[:110]),
                      flush=True)
    print(", ".join("%d %s" % (n, how) for how, n in sorted(counts.items())))
    return 0 if set(counts) <= {"random", "cases"} else 1


if __name__ == "__main__":
    sys.exit(main())
