#!/usr/bin/env python3
"""A long life in a short time: round after round of small jobs of every kind, under retention, on a clock that
goes a minute with each round. What the daemon, the executor and their files take stays what it was.

  soak.py [--rounds N] [--jobs N]     a million jobs: --rounds 1000 --jobs 1000
"""
import argparse
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))
from corod import Daemon, check, finish, test, wait_until  # noqa: E402

MIB = 1 << 20
KEPT = 100
KINDS = [
    {"main": [{"print": "a line"}, {"return": 1}]},
    {"main": {"gather": {"for": "i", "in": {"range": 10}, "do": {"sleep": 1}}}},
    {"main": [{"queue": {"maxsize": 2}, "as": "q"},
              {"gather": [{"for": "i", "in": {"range": 5}, "do": {"put": "${i}", "into": "${q}"}},
                          {"for": "i", "in": {"range": 5}, "do": {"get": "${q}"}}]}]},
    {"main": {"try": {"raise": {"type": "ValueError", "message": "on purpose"}}, "except": [{"do": {"sleep": 0}}]}},
    {"name": "timeout", "main": {"try": {"timeout": 0.5, "do": {"sleep": 100}}, "except": [{"do": []}]}},
    {"main": [{"queue": {"name": "shared"}, "as": "q"}, {"put": "x", "into": "${q}"}, {"get": "${q}"}]},
]
# One in so many rounds runs commands too: they take real time.
COMMANDS = {"main": [{"gather": [{"sh": "echo small"}, {"sh": "head -c 100000 /dev/zero | tr '\\0' x"}]},
                     {"for": "l", "in": {"lines": {"sh": "seq 3"}}, "do": {"print": "${l}"}}]}


def rss_bytes(pid):
    with open("/proc/%d/statm" % pid, encoding="ascii") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def folder_bytes(path):
    return sum(os.lstat(os.path.join(folder, f)).st_size
               for folder, _, files in os.walk(path) for f in files if f != "corod.db-wal")


def one_round(d, c, number, jobs):
    some = [dict(KINDS[i % len(KINDS)], labels={"round": str(number)}) for i in range(jobs)]
    some += [COMMANDS] * (number % 5 == 0)
    requests = [c.start("job.submit", {"job": job}) for job in some]
    ids = [c.wait(r)["id"] for r in requests]
    wait_until(lambda: d.advance(1) or c.call("system.stats")["live_jobs"] == 0, "the end of %d jobs" % len(ids))
    wait_until(lambda: d.advance(30) or len(c.call("job.list", limit=500)["jobs"]) <= KEPT, "retention")


def measure(d):
    executors = [p for p in d.pids() if p != d.process.pid]
    return {"daemon": rss_bytes(d.process.pid), "executor": max(map(rss_bytes, executors), default=0),
            "files": folder_bytes(d.state)}


def soak(rounds, jobs):
    with Daemon(clock=True, config="keep_jobs = %d\n" % KEPT) as d, d.client(patience=120) as c:
        half = {}
        for number in range(rounds):
            one_round(d, c, number, jobs)
            now = measure(d)
            if number < (rounds + 1) // 2:
                half = {name: max(size, half.get(name, 0)) for name, size in now.items()}
            if number % max(1, rounds // 20) == 0:
                print("round %d: %s" % (number, ", ".join("%s %.1f MiB" % (n, s / MIB) for n, s in now.items())), flush=True)
            for name, size in now.items():
                check(number < (rounds + 1) // 2 or size <= half[name] + max(2 * MIB, half[name] // 4),
                      "%s: %d bytes in round %d, at most %d in the first half" % (name, size, number, half[name]))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--rounds", type=int, default=20)
    p.add_argument("--jobs", type=int, default=150)
    options = p.parse_args()
    test(soak, options.rounds, options.jobs)
    finish()


main()
