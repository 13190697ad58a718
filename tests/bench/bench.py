#!/usr/bin/env python3
"""Figures of this machine, as ratios of things measured side by side in one run (`make bench`).

  bench.py [--rounds N] [--tiny] [--json FILE]     --tiny: small numbers, to see that it works
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from corod import BUILDDIR, Daemon, program  # noqa: E402

TRUE = "/bin/true"


def bare(count, width, *options):
    """Seconds of a loop of vfork, execve and wait that does nothing else."""
    argv = [os.path.join(BUILDDIR, "tests/bench/bare_loop"), str(count), str(width), *options, TRUE]
    return float(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)


def job_seconds(client, job):
    began = time.monotonic()
    done = client.run(job)
    seconds = time.monotonic() - began
    if done["state"] != "succeeded":
        raise SystemExit("the job failed: %s" % done["error"])
    return seconds


def rss_bytes(pid):
    with open("/proc/%d/statm" % pid, encoding="ascii") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def commands(rounds, count):
    rates = {"corod": [], "bare": [], "pipes": []}
    with Daemon() as d, d.client(patience=600) as c:
        c.call("pool.set", name="default", slots=8)
        job = {"main": [{"gather": {"for": "i", "in": {"range": count}, "do": {"run": [TRUE]}}, "limit": 8},
                        {"return": None}]}
        c.run({"main": {"run": [TRUE]}})
        for _ in range(rounds):
            rates["corod"].append(count / job_seconds(c, job))
            rates["bare"].append(count / bare(count, 8))
            rates["pipes"].append(count / bare(count, 8, "-p"))
    middle = {name: statistics.median(values) for name, values in rates.items()}
    return [("%d × true in one gather, 8 at a time" % count, "%.0f/s" % middle["corod"], None),
            ("  of a bare vfork+execve+wait loop", "%.0f/s" % middle["bare"], middle["corod"] / middle["bare"]),
            ("  of the same with pipes", "%.0f/s" % middle["pipes"], middle["corod"] / middle["pipes"])]


def sleepers(rounds, count):
    seconds, sizes = [], []
    for _ in range(rounds):
        with Daemon() as d, d.client(patience=600) as c:
            before = rss_bytes(d.process.pid)
            job = c.submit({"main": [{"gather": {"for": "i", "in": {"range": count}, "do": {"sleep": 1}}},
                                     {"return": None}]})
            began = time.monotonic()
            peak = 0
            while c.call("job.wait", ids=[job], timeout=0.05)["timed_out"]:
                peak = max(peak, rss_bytes(d.process.pid))
            seconds.append(time.monotonic() - began)
            sizes.append((peak - before) / count)
    return [("%d tasks that sleep 1 s in one gather" % count, "%.2f s" % statistics.median(seconds), None),
            ("  resident memory a task", "%.0f bytes" % statistics.median(sizes), None)]


def client_runs(rounds):
    with tempfile.TemporaryDirectory(prefix="corod-bench-") as home:
        env = dict(os.environ, XDG_STATE_HOME=home, COROD=program("corod"))
        env.pop("CORO_SOCKET", None)
        coro = program("coro")

        def timed(*argv):
            began = time.monotonic()
            subprocess.run([coro, *argv], check=True, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            return time.monotonic() - began

        cold, warm, spawn = [], [], []
        for _ in range(max(3, rounds)):
            cold.append(timed("daemon", "start"))
            timed("run", "--", "true")
            for _ in range(10 * rounds):
                warm.append(timed("run", "--", "true"))
                began = time.monotonic()
                subprocess.run([TRUE], check=True)
                spawn.append(time.monotonic() - began)
            timed("daemon", "stop")
        return [("coro run -- true, the daemon running", "%.1f ms" % (statistics.median(warm) * 1e3),
                 statistics.median(warm) / statistics.median(spawn)),
                ("  of starting true alone", "%.1f ms" % (statistics.median(spawn) * 1e3), None),
                ("a personal daemon's cold start", "%.0f ms" % (statistics.median(cold) * 1e3), None)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--json")
    options = parser.parse_args()
    rounds = 1 if options.tiny else options.rounds
    rows = client_runs(rounds)
    rows += commands(rounds, 100 if options.tiny else 10000)
    rows += sleepers(1 if options.tiny else min(rounds, 3), 1000 if options.tiny else 100000)
    for name, value, ratio in rows:
        print("%-48s %14s %s" % (name, value, "" if ratio is None else "ratio %.2f" % ratio))
    if options.json:
        with open(options.json, "w", encoding="utf-8") as f:
            json.dump([{"name": n.strip(), "value": v, "ratio": r} for n, v, r in rows], f, indent=1)
            f.write("\n")
    print("%d passed, 0 failed, 0 skipped" % len(rows))


main()
