#!/usr/bin/env python3
"""Instructions of the runtime's hot paths, by callgrind: the same on every run of one build, however
busy the machine is (`make bench-counts`).

  counts.py [--update]     compares with counts.tsv; --update writes it anew

The table is of a build without fault points and with the default CFLAGS, by Debian 12's gcc; another
compiler's differ.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TABLE = os.path.join(HERE, "counts.tsv")
RUN_CASE = os.path.join(os.environ.get("BUILDDIR", "build"), "tests/lang/run_case")


def ranged(name, count, body):
    return {"for": name, "in": {"range": count}, "do": body}


def gather(count, body):
    return {"main": [{"gather": ranged("i", count, body)}, {"return": None}]}


def queue(maxsize):
    return lambda n: {"main": [
        {"queue": {"maxsize": maxsize}, "as": "q"},
        {"gather": [ranged("i", n, {"put": "${i}", "into": "${q}"}), ranged("i", n, {"get": "${q}"})]},
        {"return": None}]}


# One more of what it names costs the difference between a job of MANY and one of FEW.
FEW, MANY = 1000, 11000
PATHS = {
    "a task that sleeps": lambda n: gather(n, {"sleep": 1}),
    "a task that runs a command": lambda n: gather(n, {"run": ["true"]}),
    "a switch (sleep: 0)": lambda n: gather(10, ranged("k", n // 10, {"sleep": 0})),
    "a turn of a loop": lambda n: {"main": [ranged("k", n, {"set": {"x": "${k}"}}), {"return": None}]},
    "an expression": lambda n: {"main": [ranged("k", n, {"set": {"x": {"expr": {"+": [{"var": "k"}, 1]}}}}),
                                         {"return": None}]},
    "put and get, unbounded": queue(0),
    "put and get, maxsize 10": queue(10),
    "a call that is awaited": lambda n: {"define": {"f": {"params": ["x"], "do": {"return": "${x}"}}},
                                         "main": [ranged("k", n, {"await": {"call": "f", "args": {"x": "${k}"}}}),
                                                  {"return": None}]},
    "a line that is printed": lambda n: {"main": [ranged("k", n, {"print": "${k}"}), {"return": None}]},
    "an item of a document": lambda n: {"main": {"return": [{"a": i} for i in range(n)]}},
}


def instructions(document):
    with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
        json.dump(document, f)
        f.flush()
        done = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", RUN_CASE, f.name],
                              check=False, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or not found:
        raise SystemExit("valgrind %s: %s" % (done.returncode, done.stderr))
    return int(found.group(1))


def read_table():
    with open(TABLE, encoding="utf-8") as f:
        return dict(line.rstrip("\n").split("\t") for line in f if not line.startswith("#"))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--update", action="store_true")
    options = parser.parse_args()
    kept = read_table() if os.path.exists(TABLE) else {}
    counts = {}
    for name, job in PATHS.items():
        counts[name] = round((instructions(job(MANY)) - instructions(job(FEW))) / (MANY - FEW))
        change = ""
        if kept.get(name):
            change = "%+.1f %%" % (100 * (counts[name] / int(kept[name]) - 1))
        print("%-30s %8d instructions  %s" % (name, counts[name], change), flush=True)
    if options.update:
        with open(TABLE, "w", encoding="utf-8") as f:
            f.write("# Instructions for one more: tests/bench/counts.py\n")
            f.writelines("%s\t%d\n" % row for row in counts.items())
    print("%d passed, 0 failed, 0 skipped" % len(counts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
