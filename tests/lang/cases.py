#!/usr/bin/env python3
# test-timeout: 240
# test-sanitized: yes
"""Cases of the job language: NAME.json (a job) and NAME.out (what it prints) in a folder here.

run_case runs each on virtual time. Its last line, `=> {…}`, is how the job ended; a .out may hold
it, else it is not compared. NAME.result is a pattern for the value: an object may have more keys.
Each case runs once as it is, once with everything thrown away and loaded again at every tick, once
the same at every step, and once with one step a turn. `--update` writes .out files anew.
"""
import concurrent.futures
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
BUILDDIR = os.environ.get("BUILDDIR", os.path.dirname(os.path.dirname(HERE)))
PROGRAM = os.path.join(BUILDDIR, "tests", "lang", "run_case")
MODES = [[], ["--reload"], ["--reload", "--keep", "--budget", "1"], ["--budget", "1"]]
# A thousand calls deep: loaded at every step it takes longer than all others together, so it begins first.
SLOW = "order/recursion"
FACTOR = int(os.environ.get("TEST_FACTOR", "1"))  # how much slower the build is
MAX_OUTPUT = 1 << 20


def fits(pattern, value):
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(
            k in value and fits(v, value[k]) for k, v in pattern.items())
    if isinstance(pattern, list):
        return isinstance(value, list) and len(pattern) == len(value) and all(
            map(fits, pattern, value))
    return pattern == value


def run(path, mode):
    try:
        # What the comparison with asyncio found has no diagnostics: they are no output.
        shown = [] if os.path.basename(os.path.dirname(path)) == "found" else ["--diagnostics"]
        done = subprocess.run([PROGRAM, *shown, *mode, path], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=200 * FACTOR)
    except subprocess.TimeoutExpired as e:
        return (e.output or b"")[:MAX_OUTPUT].decode("utf-8", "replace") + "timeout\n", 1
    return done.stdout[:MAX_OUTPUT].decode("utf-8", "replace"), done.returncode


def read(path):
    try:
        with open(path, encoding="utf-8") as f:
            return f.read()
    except FileNotFoundError:
        return None


def wrong(base, output, status):
    """What is wrong, or None."""
    if status != 0:
        return "status %d" % status
    lines = output.splitlines(True)
    expected = read(base + ".out")
    if expected is None:
        return "there is no .out"
    if "=> " not in expected:
        lines = [line for line in lines if line[:2] not in ("=>", "! ")]
    if "".join(lines) != expected:
        return "another output; expected:\n" + expected
    pattern = read(base + ".result")
    if pattern is not None:
        end = json.loads(output.splitlines()[-1][3:])
        if not fits(json.loads(pattern), end.get("value")):
            return "another value; the pattern:\n" + pattern
    return None


def bases(only):
    """The cases, without .json."""
    for folder in sorted(os.listdir(HERE)):
        folder = os.path.join(HERE, folder)
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
            base, ext = os.path.splitext(os.path.join(folder, name))
            if ext == ".json" and (not only or any(o in base for o in only)):
                yield base


def main():
    counts = [0, 0]
    found = sorted(bases([a for a in sys.argv[1:] if a != "--update"]), key=lambda base: not base.endswith(SLOW))
    if "--update" in sys.argv:
        for base in found:
            with open(base + ".out", "w", encoding="utf-8") as f:
                f.write(run(base + ".json", [])[0])
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        running = [(base, mode, pool.submit(run, base + ".json", mode)) for base in found for mode in MODES
                   if FACTOR == 1 or not base.endswith(SLOW) or "--keep" not in mode]
        for base, mode, future in running:
            output, status = future.result()
            mistake = wrong(base, output, status)
            counts[mistake is not None] += 1
            if mistake:
                print("FAILED %s %s: %s\ngot:\n%s" % (os.path.relpath(base, HERE), " ".join(mode), mistake,
                                                      output[:3000]))
    print("%d passed, %d failed, 0 skipped" % tuple(counts))
    return 1 if counts[1] or not counts[0] else 0

if __name__ == "__main__":
    sys.exit(main())
