#!/usr/bin/env python3
"""How much the rows of long loops take: what does not change is not written with each turn again."""
import json
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
BUILDDIR = os.environ.get("BUILDDIR", os.path.dirname(os.path.dirname(HERE)))
RUN_CASE = os.path.join(BUILDDIR, "tests", "lang", "run_case")
TURNS = 2000
RANGE = {"range": TURNS}
PAUSE = {"sleep": 0.001}
TURN_BYTES = 400  # of the rows of one turn
COMPUTED = {"gather": {"for": "i", "in": RANGE, "do": {"return": "${i}"}}, "as": "l"}
TASKS = [{"set": {"l": []}},
         {"for": "i", "in": RANGE, "do": [
             {"create_task": PAUSE, "as": "t"}, {"set": {"l": ["...${l}", "${t}"]}}]}]

LOOPS = {
    "over a list that was computed": [COMPUTED, {"for": "x", "in": "${l}", "do": PAUSE}],
    "over a part of a variable": [COMPUTED, {"set": {"o": {"l": "${l}"}}},
                                  {"for": "x", "in": "${o.l}", "do": PAUSE}],
    "over tasks": TASKS + [{"for": "t", "in": "${l}", "do": [{"await": "${t}"}, PAUSE]}],
    "beside a large variable": [COMPUTED, {"for": "x", "in": RANGE, "do": PAUSE}],
    "in a function that has it as its argument": {
        "define": {"f": {"params": ["l"], "do": {"for": "x", "in": "${l}", "do": PAUSE}}},
        "main": [COMPUTED, {"await": {"call": "f", "args": {"l": "${l}"}}}]},
}


def written(document, *options):
    """(bytes, how it ended)"""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
        json.dump(document, f)
        f.flush()
        done = subprocess.run([RUN_CASE, "--stats", *options, f.name], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, check=True, timeout=100)
    match = re.search(rb", (\d+) bytes", done.stderr)
    return int(match[1]), done.stdout.decode().splitlines()[-1]


def main():
    failed = 0
    for name, document in LOOPS.items():
        size, end = written(document)
        if size > TURNS * TURN_BYTES or '"succeeded"' not in end:
            failed += 1
            print("FAILED %s: %d bytes, %s" % (name, size, end[:200]))
    print("%d passed, %d failed, 0 skipped" % (len(LOOPS) - failed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
