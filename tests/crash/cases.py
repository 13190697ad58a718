#!/usr/bin/env python3
# test-timeout: 120
"""All cases of the language and all examples in one real daemon at once, with real commands, and the
daemon killed again and again: they print and end as they do on virtual time.

The test owns the clock: it stands still, and goes from deadline to deadline. `sleep` is a program of
the test's own that goes by that clock. `--seed N` kills at other moments.
"""
import glob
import json
import os
import random
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from corod import TOP, Daemon, check, equal, finish, test, wait_until  # noqa: E402

# What needs pretended commands.
ONLY_PRETENDED = {
    "order/command-lost": "a command is lost when its monitor dies: see restart.py",
    "lines/lost": "the same",
    "lines/left-early": "a shell ends at once after its signal, one that is pretended takes 0.23 s",
    "lines/cancelled-while-left": "the same",
    "lines/woken-and-cancelled": "the same; and what comes first at one time is the commands'",
    **{"http/" + name: "a server that is pretended: see tests/e2e/http_leaf.py"
       for name in ("answers", "cancelled", "lost", "wrong_values")},
}
RUN_CASE_JOB = 7  # tests/lang/run_case.c: who awaits whom says the job's number
SEEDS = ("1", "2", "3")
KILLS = 25
SLOTS = 64
SLEEP = '''#!/usr/bin/python3
"""Sleeps by the test's clock. Takes its time to end after SIGTERM, as commands that are pretended."""
import os, signal, struct, sys, time
fd = os.open(os.environ["CASES_CLOCK"], os.O_RDONLY)
place = os.path.join(os.environ["CASES_SLEEPERS"], str(os.getpid()))
def now_us():
    return struct.unpack("q", os.pread(fd, 8, 0))[0]
def register(due_us):
    with open(place + ".new", "w") as f:
        f.write(str(due_us))
    os.rename(place + ".new", place)
    return due_us
def on_term(*_):
    global due_us, status
    if status == 0:
        status = 128 + signal.SIGTERM
        due_us = register(min(due_us, now_us() + 230000))
status = 0
due_us = register(now_us() + round(float(sys.argv[1]) * 1e6))
signal.signal(signal.SIGTERM, on_term)
while now_us() < due_us:
    time.sleep(0.005)
os.unlink(place)
sys.exit(status)
'''
PROGRAMS = {
    "sleep": SLEEP,
    "kill": "#!/bin/sh\nkill -s KILL $$\n",
    "flaky": '#!/bin/sh\necho >>"$CASES_FLAKY"\n[ "$(wc -l <"$CASES_FLAKY")" -ge 3 ]\n',
}


def fits(pattern, value):
    """An object may have more keys than the pattern names."""
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(k in value and fits(v, value[k]) for k, v in pattern.items())
    if isinstance(pattern, list):
        return isinstance(value, list) and len(pattern) == len(value) and all(map(fits, pattern, value))
    return pattern == value


def without_durations(value):
    """How long a command took is its own affair."""
    if isinstance(value, dict):
        return {k: without_durations(v) for k, v in value.items() if k != "duration"}
    return [without_durations(v) for v in value] if isinstance(value, list) else value


class Case:
    def __init__(self, base):
        self.base = base
        self.name = "/".join(base.split("/")[-2:])
        with open(base + ".json", encoding="utf-8") as f:
            self.document = json.load(f)
        with open(base + ".out", encoding="utf-8") as f:
            lines = [line for line in f.read().splitlines() if not line.startswith("! ")]
        ends = [line for line in lines if line.startswith("=> ")]
        self.lines = [line for line in lines if not line.startswith("=> ")]
        self.end = json.loads(ends[0][3:]) if ends else None
        self.pattern = None
        if os.path.exists(base + ".result"):
            with open(base + ".result", encoding="utf-8") as f:
                self.pattern = json.load(f)
        self.id = None

    def check(self, job):
        equal(job["output"], self.lines, "output of job %d" % self.id)
        if self.end:
            equal(job["state"], self.end["state"])
            end = json.loads(json.dumps(self.end).replace(" task %d." % RUN_CASE_JOB, " task %d." % self.id))
            for key in ("value", "error"):
                equal(without_durations(job.get(key)), without_durations(end.get(key)), key)
        if self.pattern is not None and not fits(self.pattern, job["value"]):
            raise AssertionError("%r does not fit %r" % (job["value"], self.pattern))


def cases():
    found = sorted(glob.glob(os.path.join(TOP, "tests", "lang", "*", "*.json"))
                   + glob.glob(os.path.join(TOP, "tests", "e2e", "examples", "*.json")))
    return [c for c in (Case(path[:-len(".json")]) for path in found) if c.name not in ONLY_PRETENDED]


class World:
    """The daemon, its jobs, and their commands."""

    def __init__(self, d, seed):
        self.d = d
        self.random = random.Random(seed)
        self.client = d.client()
        self.programs = os.path.join(d.directory, "bin")
        self.sleepers = os.path.join(d.directory, "sleepers")
        os.mkdir(self.programs)
        os.mkdir(self.sleepers)
        for name, text in PROGRAMS.items():
            path = os.path.join(self.programs, name)
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
            os.chmod(path, 0o755)
        self.kills = 0
        self.client.call("pool.set", name="default", slots=SLOTS)

    def kill(self):
        self.kills += 1
        self.client.close()
        self.d.restart(signal.SIGKILL)
        self.client = self.d.client()

    def submit(self, case, number):
        env = {"PATH": self.programs + ":/usr/bin:/bin", "CASES_CLOCK": self.d.clock.path,
               "CASES_SLEEPERS": self.sleepers,
               "CASES_FLAKY": os.path.join(self.d.directory, "flaky-%d" % number)}
        return self.client.start("job.submit", {"job": case.document, "key": "case %d" % number, "env": env})

    def submit_all(self, every):
        """Some at once; the daemon dies now and then before it has answered."""
        at = 0
        while at < len(every):
            some = every[at:at + self.random.randint(1, 80)]
            requests = [self.submit(case, at + i) for i, case in enumerate(some)]
            if self.kills < KILLS // 3 and self.random.random() < 0.6:
                time.sleep(self.random.random() * 0.02)
                self.kill()
                continue
            for case, request in zip(some, requests):
                case.id = self.client.wait(request)["id"]
            at += len(some)

    def sleeping(self):
        """When those that sleep will wake."""
        due = []
        for name in os.listdir(self.sleepers):
            try:
                os.kill(int(name), 0)
                with open(os.path.join(self.sleepers, name), encoding="ascii") as f:
                    due.append(int(f.read()))
            except (ValueError, OSError):
                pass
        return due

    def quiet(self):
        """(True, when there is something to do) once nothing happens any more."""
        next_us = self.d.clock.next_us()
        pools = self.client.call("pool.list")["pools"]
        taken, waiting = (sum(p[key] for p in pools) for key in ("taken", "waiting"))
        due = self.sleeping()
        now_us = self.d.clock.now_us()
        if next_us in (0, -1) or waiting or taken != len(due) or any(at <= now_us for at in due):
            return None
        if next_us is not None:
            due.append(now_us + next_us)
        return (True, min(due, default=None))

    def settle(self):
        """When there is something to do again; None: never."""
        def twice():
            first = self.quiet()
            if first and self.sleeping():  # their lines may be on the way
                time.sleep(0.1)
            return first if first and self.quiet() == first else None
        return wait_until(twice, "a rest")[1]


def run(world, every):
    world.submit_all(every)
    while True:
        at_us = world.settle()
        if at_us is None:
            return
        world.d.advance((at_us - world.d.clock.now_us()) / 1e6)
        if world.kills < KILLS and world.random.random() < 0.5:
            time.sleep(world.random.choice([0, 0.001, 0.003, 0.01]))
            world.kill()


def main():
    seeds = [sys.argv[sys.argv.index("--seed") + 1]] if "--seed" in sys.argv else SEEDS
    for name, why in ONLY_PRETENDED.items():
        print("not here: %s: %s" % (name, why))
    for seed in seeds:
        every = cases()
        with Daemon(clock="still") as d:
            world = World(d, seed)
            test(run, world, every, name="all cases, killed again and again, seed %s" % seed)
            check(world.kills >= KILLS // 2, "only %d kills" % world.kills)
            for case in every:
                test(ended, world, case, name="%s, seed %s" % (case.name, seed))
    finish()


def ended(world, case):
    case.check(world.client.finish(case.id, 5))


if __name__ == "__main__":
    main()
