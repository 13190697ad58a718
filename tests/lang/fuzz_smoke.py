#!/usr/bin/env python3
# test-sanitized: yes
"""Runs the fuzzers (tests/fuzz) once over their seeds: the cases and examples here, JsonLogic's
published tests, and the inputs that found something (tests/fuzz/found/FUZZER).

`--seeds DIR` only writes the seeds to DIR/FUZZER, to look for more from there.
"""
import glob
import json
import os
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(HERE)
BUILDDIR = os.environ.get("BUILDDIR", os.path.dirname(TESTS))
FUZZERS = ("program", "expr", "value", "rows")
# How many turns a job lives before it is taken up from its rows.
TURNS = (1, 2, 5, 12, 40)


def documents():
    for path in sorted(glob.glob(os.path.join(HERE, "*", "*.json"))):
        with open(path, "rb") as f:
            yield f.read()


def rules():
    """Of JsonLogic's tests: a rule and its data."""
    with open(os.path.join(HERE, "jsonlogic.json"), encoding="utf-8") as f:
        for case in json.load(f):
            if isinstance(case, dict):
                yield case["rule"], case.get("data")


def expressions(node):
    """What stands in a document wherever a `${` is in it or `expr` says so."""
    if isinstance(node, str) and "${" in node:
        yield node
    elif isinstance(node, dict):
        if "expr" in node:
            yield node
        for value in node.values():
            yield from expressions(value)
    elif isinstance(node, list):
        for value in node:
            yield from expressions(value)


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def seeds_of(fuzzer):
    compact = {"separators": (",", ":"), "ensure_ascii": False}
    if fuzzer == "program":
        yield from documents()
    elif fuzzer == "value":
        yield from documents()
        yield from (b"%c" % kind + tail for kind in range(10)
                    for tail in (b"", b"\0", varint(3) + b"abc", struct.pack("<d", 2.5)))
    elif fuzzer == "rows":
        for i, text in enumerate(documents()):
            yield text + b"\0" + bytes([TURNS[i % len(TURNS)]])
            if i % 4 == 0:
                yield text + b"\0" + bytes([3, i & 255, 5, i * 7 & 255, i & 7])
    else:
        for rule, data in rules():
            yield "\0".join(json.dumps(x, **compact) for x in (
                rule, data if isinstance(data, dict) else {"x": data})).encode()
        variables = json.dumps({"x": [1, "b", {"c": 2.5}], "n": 3, "i": 0, "task": None}, **compact)
        for text in documents():
            for one in expressions(json.loads(text)):
                yield (json.dumps(one, **compact) + "\0" + variables).encode()


def write_seeds(folder):
    """How many there are of each."""
    counts = {}
    for fuzzer in FUZZERS:
        place = os.path.join(folder, fuzzer)
        os.makedirs(place, exist_ok=True)
        found = glob.glob(os.path.join(TESTS, "fuzz", "found", fuzzer, "*"))
        seeds = dict.fromkeys(seeds_of(fuzzer))
        for path in found:
            with open(path, "rb") as f:
                seeds[f.read()] = None
        for i, seed in enumerate(seeds):
            with open(os.path.join(place, "%05d" % i), "wb") as f:
                f.write(seed)
        counts[fuzzer] = len(seeds)
    return counts


def main():
    if sys.argv[1:2] == ["--seeds"]:
        write_seeds(sys.argv[2])
        return 0
    failed = 0
    env = dict(os.environ, UBSAN_OPTIONS="print_stacktrace=1")
    with tempfile.TemporaryDirectory() as folder:
        counts = write_seeds(folder)
        for fuzzer in FUZZERS:
            program = os.path.join(BUILDDIR, "tests", "fuzz", fuzzer)
            done = subprocess.run([program, "-runs=0", os.path.join(folder, fuzzer)], env=env,
                                  cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  timeout=110 * int(os.environ.get("TEST_FACTOR", "1")))
            output = done.stdout.decode("utf-8", "replace")
            # libFuzzer says how many it has read, main.c how many it has run.
            if done.returncode or ("%d files" % counts[fuzzer]) not in output:
                failed += 1
                print("%s: status %d\n%s" % (fuzzer, done.returncode, output[-6000:]))
    print("%d passed, %d failed, 0 skipped" % (len(FUZZERS) - failed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
