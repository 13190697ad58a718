#!/usr/bin/env python3
"""Figures of this machine, as ratios of things measured side by side in one run (`make bench`).

  bench.py [--rounds N] [--tiny] [--json FILE] [--only NAME]…     --tiny: small numbers, to see that it works

Peers are Debian's packages: parallel task-spooler nq beanstalkd redis-server. One that is not
installed is left out.
"""
import argparse
import json
import os
import platform
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import bench_commands  # noqa: E402
import bench_daemon  # noqa: E402
import bench_tasks  # noqa: E402
from measure import Missing  # noqa: E402

SECTIONS = bench_commands.SECTIONS + bench_tasks.SECTIONS + bench_daemon.SECTIONS


def machine():
    model = "unknown processor"
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        for line in f:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return "%d × %s, Linux %s" % (os.cpu_count(), model, platform.release())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--json")
    parser.add_argument("--only", action="append", choices=[s.__name__ for s in SECTIONS])
    options = parser.parse_args()
    print(machine())
    sections, passed, skipped = [], 0, 0
    for section in SECTIONS:
        if options.only and section.__name__ not in options.only:
            continue
        print("\n%-58s %12s %-9s %7s  %-9s reached" % (section.__doc__, "median", "", "ratio", "aim"), flush=True)
        try:
            rows = section(1 if options.tiny else options.rounds, options.tiny)
        except Missing as e:
            print("skipped: %s is not installed" % e, flush=True)
            skipped += 1
            continue
        passed += 1
        for row in rows:
            if options.tiny:
                row.target = None  # says nothing about speed
            print(row.text(), flush=True)
        sections.append({"name": section.__name__, "title": section.__doc__, "rows": [row.json() for row in rows]})
    if options.json:
        with open(options.json, "w", encoding="utf-8") as f:
            json.dump({"machine": machine(), "rounds": options.rounds, "sections": sections}, f, indent=1)
            f.write("\n")
    print("\n%d passed, 0 failed, %d skipped" % (passed, skipped))


main()
