#!/usr/bin/env python3
# test-timeout: 300
"""Load from several clients (kinds.py, load.py) while the daemon, the executor and monitors are killed at random moments
and at every named fault point (proto/errinj.def), then an independent look at what came of it (checker.py).

    tests/crash/torture.py                        what CI runs
    tests/crash/torture.py --kills 1000 --seed 7  a long run; --points N: each fault point N times
    --keep DIRECTORY                              the records of a run with violations go there
    --self-test                                   only the checker's test: it must see each of corrupt.py's faults
"""
import argparse
import collections
import contextlib
import http.server
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import sys
import tempfile
import threading
import time
import unittest.mock

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import checker  # noqa: E402
import corrupt as corruptions  # noqa: E402
import load  # noqa: E402
from kinds import KINDS, LIMITS  # noqa: E402
from corod import TOP, Daemon, built_with_faults, check, finish, program, test, wait_until  # noqa: E402

CLIENTS = 6
SLOTS = 24
# What strikes a monitor, or an attempt that no monitor has yet, loses it.
LOSING = ("EXEC_AFTER_S", "EXEC_MONITOR_GOT_START", "EXEC_BEFORE_EXEC", "EXEC_AFTER_START", "EXEC_BEFORE_E",
          "EXEC_TORN_E")

# Passed once in each process, or once at its start.
MONITORS = ("EXEC_MONITOR_GOT_START", "EXEC_AFTER_START", "EXEC_BEFORE_E", "EXEC_TORN_E", "EXEC_FULL_E", "EXEC_AFTER_E",
            "EXEC_BEFORE_REPORT", "EXEC_AFTER_REPORT", "EXEC_TORN_P", "EXEC_FULL_P", "EXEC_BEFORE_EXEC", "EXEC_ROTATE", "EXEC_ROTATED", "EXEC_BEFORE_DROP",
            "CORE_RECOVERED", "CORE_RESOLVED", "RETAIN_AFTER_SLICE", "STORE_BEFORE_CHECKPOINT")

# Not reached by this load: at the first start (World.begin), when a backup is restored (its own test).
ELSEWHERE = ("STORE_IN_MIGRATION", "STORE_IN_RESTORE")


def fault_points():
    """Name → action, of all rows of errinj.def."""
    with open(os.path.join(TOP, "proto", "errinj.def"), encoding="utf-8") as f:
        rows = re.findall(r'^ERRINJ\((\w+),\s*"(.*)"\)', f.read(), re.M)
    return {name: "fail" if what.startswith("fail:") else "kill" for name, what in rows if name != "NONE"}


class World:
    """A daemon, its clients, and the records of what happens."""

    def __init__(self, seed, kinds=KINDS, clients=CLIENTS, clock=False):
        self.rng = random.Random(seed)
        self.daemon = Daemon(clock=clock, config="keep_pools = %s\n" % " ".join(
            "%s=%d/%d" % (pool, *limit) for pool, limit in LIMITS.items()))
        self.daemon.env["COROD_TEST_DIR"] = self.daemon.directory
        self.records = os.path.join(self.daemon.directory, "records")
        os.mkdir(self.records)
        self.ran = os.path.join(self.records, "ran")
        self.kinds = kinds
        self.ending = False
        self.kills = collections.Counter()
        self.kill_log = open(os.path.join(self.records, "kills"), "w", encoding="utf-8")
        self.armed = 0
        self.server = self.serve()
        self.workers = [load.Worker(self, i, random.Random("%s %d" % (seed, i))) for i in range(clients)]
        self.workers.append(load.CoroRun(self, clients, random.Random("%s run" % seed)))

    def serve(self):
        """An HTTP server that writes down what it is asked."""
        rng = random.Random(1)
        asked = open(os.path.join(self.records, "http"), "w", encoding="utf-8")

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self):
                asked.write("%s %s\n" % (self.command, self.path[1:]))
                asked.flush()
                time.sleep(rng.random() * 0.2)
                self.send_response(200)
                self.send_header("Content-Length", "6")
                self.end_headers()
                self.wfile.write(b"answer")

            do_GET = do_POST = answer

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        server.handle_error = lambda *_: None  # a client that was killed
        self.url = "http://127.0.0.1:%d/" % server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server

    def environment(self, tag):
        return {"PATH": "/usr/bin:/bin", "RAN": self.ran, "TAG": tag, "COROD_TEST_DIR": self.daemon.directory}

    def begin(self, point=None):
        """The first start, if asked for with a fault in the making of the database."""
        if point:
            self.at_point(point, "kill", 1)
        else:
            self.daemon.start()
        with self.daemon.client() as c:
            for pool in ("default", *LIMITS):
                c.call("pool.set", name=pool, slots=SLOTS)
        for w in self.workers:
            w.start()

    def now(self):
        """The wall clock's seconds, as the daemon sees them."""
        return time.time() + (self.daemon.clock.real_us / 1e6 if self.daemon.clock else 0)

    def note(self, kind, may_lose=0, may_strike=0):
        self.kills[kind] += 1
        self.kill_log.write(json.dumps({"t": time.monotonic_ns(), "kind": kind, "may_lose": may_lose,
                                        "may_strike": may_strike}) + "\n")
        self.kill_log.flush()

    # Kills.

    def kill_daemon(self):
        self.note("daemon")
        self.daemon.kill()
        self.daemon.start()

    def kill(self, pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def kill_executor(self):
        self.note("executor", 1)
        self.kill(self.daemon.executor())

    def kill_monitor(self):
        monitors = self.daemon.monitors()
        if monitors:
            self.note("monitor", 1)
            self.kill(self.rng.choice(monitors))

    def kill_both(self):
        self.note("daemon and executor", 1)
        executor = self.daemon.executor()
        for pid in self.rng.sample([executor, self.daemon.process.pid], 2):
            self.kill(pid)
        self.daemon.kill()
        self.daemon.start()

    def kill_all(self):
        holders = self.daemon.holders()
        self.note("daemon, executor and all monitors", len(holders))
        for pid in self.rng.sample(holders, len(holders)):
            self.kill(pid)
        self.daemon.kill()
        self.daemon.start()

    def terminate_daemon(self):
        self.note("daemon asked to end")
        check(self.daemon.stop() == 0, "it ended with %s" % self.daemon.exit)
        self.daemon.start()

    def drain_daemon(self):
        self.note("daemon drained, asked to end")
        with self.daemon.client() as c:
            c.call("system.drain")
        time.sleep(self.rng.random() * 0.2)
        check(self.daemon.stop() == 0, "it ended with %s" % self.daemon.exit)
        self.daemon.start()

    def upgrade_daemon(self):
        self.note("daemon replaced by another program")
        copy = os.path.join(self.daemon.directory, "corod-%d" % sum(self.kills.values()))
        shutil.copy2(program("corod"), copy)
        check(self.daemon.stop() == 0, "it ended with %s" % self.daemon.exit)
        with unittest.mock.patch.dict(os.environ, COROD=copy):
            self.daemon.start()
        os.unlink(copy)

    def terminate_executor(self):
        self.note("executor asked to end")
        try:
            os.kill(self.daemon.executor(), signal.SIGTERM)
        except ProcessLookupError:
            pass

    STRIKES = [kill_daemon] * 6 + [kill_executor] * 3 + [kill_monitor] * 4 + [kill_both] * 3 + [
        terminate_executor, kill_all, terminate_daemon, drain_daemon, upgrade_daemon]

    def strike(self):
        self.rng.choice(self.STRIKES)(self)

    def at_point(self, point, action, n):
        """Daemon and executor start with an armed fault and die of it, or live with it."""
        self.armed += 1
        once = os.path.join(self.daemon.directory, "once-%d" % self.armed)
        n = 1 if point in MONITORS else n
        self.note(point, int(point in LOSING), int(point == "EXEC_TORN_P"))
        armed = {"COROD_ERRINJ": "%s=%d:%s" % (point, n, action), "COROD_ERRINJ_ONCE": once}
        for _ in range(5):
            self.start_armed(armed, point.startswith("EXEC_"))
            try:
                wait_until(lambda: os.path.exists(once), "fault point %s" % point, 5)
                break
            except AssertionError:
                pass  # an executor was just being started, without the fault
        check(os.path.exists(once), "fault point %s was not reached" % point)
        if (action == "kill" or point == "RUN_TORN_FRAME") and not point.startswith("EXEC_"):
            self.daemon.process.wait(20)
            self.daemon.process = None
        else:
            time.sleep(self.rng.random() * 0.3)
            self.daemon.stop(signal.SIGKILL)
        self.daemon.start()

    def start_armed(self, armed, both):
        executor = self.daemon.executor() if both else 0
        self.daemon.stop(signal.SIGKILL)
        if executor:
            self.note("executor", 1)
            self.kill(executor)
            wait_until(lambda: executor not in self.daemon.holders(), "its death")
        env = self.daemon.env
        self.daemon.env = {**env, **armed}
        self.daemon.start(wait=False)
        self.daemon.env = env

    # The end.

    def end(self):
        """No more kills: what was submitted ends, then everything is looked at."""
        self.ending = True
        for w in self.workers:
            w.join(load.Worker.PATIENCE * 2)
        trouble = [w.trouble for w in self.workers if w.trouble] + [
            "%s hangs" % w.name for w in self.workers if w.is_alive()]
        with self.daemon.client() as c:
            wait_until(lambda: not c.call("system.stats")["live_jobs"], "the end of all jobs", 60)
            wait_until(lambda: not c.call("system.stats")["running_commands"], "the end of all commands")
            wait_until(lambda: self.is_tidy(c), "the removal of old jobs")
        check(self.daemon.stop() == 0, "the daemon ended with %s" % self.daemon.exit)
        self.kill_log.close()
        try:
            wait_until(lambda: not self.strays(), "the end of what was stopped", 15)
        except AssertionError:
            pass  # the checker's matter
        self.store_strays()
        with open(os.path.join(self.records, "limits"), "w", encoding="utf-8") as f:
            json.dump({"at": self.now(), "pools": LIMITS}, f)
        for name in ("corod.db", "corod.db-wal"):
            path = os.path.join(self.daemon.state, name)
            if os.path.exists(path):
                shutil.copy(path, self.records)
        check(not trouble, "clients: %r" % trouble)

    def is_tidy(self, client):
        """Is all gone that retention is to remove?"""
        left = {pool: len(client.call("job.list", pool=pool, limit=500)["jobs"]) for pool in LIMITS}
        with contextlib.closing(sqlite3.connect("file:%s/corod.db?mode=ro" % self.daemon.state, uri=True)) as db:
            removals = db.execute("SELECT count(*) FROM removal").fetchone()[0]
        return not removals and all(left[pool] <= limit.jobs for pool, limit in LIMITS.items())

    def strays(self):
        """Commands that still run: all processes of ours but executor and idle monitors."""
        found = []
        for pid in set(self.daemon.pids()) - set(self.daemon.holders()):
            try:
                with open("/proc/%d/cmdline" % pid, "rb") as f:
                    found.append("%d %s" % (pid, f.read().replace(b"\0", b" ").decode(errors="replace")[:200]))
            except OSError:
                pass
        return found

    def show(self):
        """What there is when it did not come to an end."""
        print(self.daemon.log()[-6000:])
        print([w.trouble for w in self.workers if w.trouble])
        try:
            with self.daemon.client(patience=5) as c:
                print(c.call("system.stats"))
                for job in c.call("job.list", limit=500)["jobs"]:
                    if job["state"] in checker.STATES[:6]:
                        print(json.dumps(c.call("job.tree", id=job["id"]))[:1500])
        except Exception as e:  # pylint: disable=broad-except
            print("the daemon does not answer: %r" % e)

    def store_strays(self):
        with open(os.path.join(self.records, "strays"), "w", encoding="utf-8") as f:
            json.dump(self.strays(), f)


def judge(world, keep=None):
    """All violations; the records are kept if there are any."""
    c = checker.Checker(world.records)
    violations = c.check()
    print(", ".join("%s %d" % item for item in sorted(c.counts.items())))
    print("kills: %d (%s)" % (sum(world.kills.values()),
                              ", ".join("%s %d" % item for item in world.kills.most_common())), flush=True)
    if violations and keep:
        shutil.copytree(world.records, keep, dirs_exist_ok=True)
        shutil.copy(world.daemon.log_path, keep)
    check(not violations, "%d violations, the first:\n%s" % (
        len(violations), "\n".join("%s: %s" % v for v in violations[:20])))
    check(c.counts["jobs"] > 0 and c.counts["commands"] > 0, "nothing was done")


@contextlib.contextmanager
def at_work(world, keep, *begin):
    """The world with its clients, from World.begin() to the judgement; a failure shows how it was."""
    try:
        world.begin(*begin)
        yield
        world.end()
        judge(world, keep)
    except BaseException:
        world.ending = True
        world.show()
        raise
    finally:
        world.daemon.end()


def torture(options):
    world = World(options.seed)
    points = [(p, a) for p, a in fault_points().items() if p not in ELSEWHERE] * options.points
    world.rng.shuffle(points)
    began = time.monotonic()
    with at_work(world, options.keep, "STORE_IN_MIGRATION" if options.points else None):
        left = ["strike"] * options.kills + points
        world.rng.shuffle(left)
        for n, what in enumerate(left):
            if n % 10 == 9:
                time.sleep(1 + world.rng.random() / 5)  # so long after a start old jobs are removed
            time.sleep(world.rng.expovariate(1 / options.pause))
            if what == "strike":
                world.strike()
            else:
                world.at_point(*what, world.rng.randint(1, 3))
            if (n + 1) % 100 == 0:
                print("%d kills in %.0f s" % (n + 1, time.monotonic() - began), flush=True)


def find_corruptions():
    """The checker sees what a broken daemon would leave behind: one job of each kind, corrupted in turn."""
    world = World(1, clients=0)
    try:
        world.workers = [load.Worker(world, i, random.Random(i)) for i in range(len(KINDS))]
        for w, kind in zip(world.workers, KINDS):
            w.once = kind
        world.workers.append(load.CoroRun(world, len(KINDS), random.Random(1)))
        world.begin()
        wait_until(lambda: all(w.jobs for w in world.workers), "a job of each client")
        world.end()
        with sqlite3.connect(os.path.join(world.records, "corod.db")) as db:
            db.execute("PRAGMA journal_mode=DELETE")  # no -wal: one file is the whole
        db.close()
        test(judge, world, name="a good run has no violations")
        for rule, what, corrupt in corruptions.CORRUPTIONS:
            test(find_corruption, world.records, rule, corrupt, name="the checker sees: " + what)
    finally:
        world.ending = True
        world.daemon.end()


def find_corruption(records, rule, corrupt):
    with tempfile.TemporaryDirectory() as d:
        copy = shutil.copytree(records, os.path.join(d, "records"))
        corrupt(corruptions.Records(copy))
        try:
            found = checker.Checker(copy).check()
        except sqlite3.DatabaseError:
            found = [("database", "it cannot be read")]
        check(rule in [r for r, _ in found], "%r instead of a violation of %r" % (found[:5], rule))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--kills", type=int, default=40)
    p.add_argument("--points", type=int, default=1)
    p.add_argument("--seed", type=int, default=20261120)
    p.add_argument("--pause", type=float, default=0.15)
    p.add_argument("--keep")
    p.add_argument("--self-test", action="store_true", help="only look whether the checker sees faults")
    p.add_argument("--no-self-test", action="store_true")
    options = p.parse_args()
    print("seed %d" % options.seed)
    if not built_with_faults():
        options.points = 0
    if not options.no_self_test:
        find_corruptions()
    if not options.self_test:
        test(torture, options)
    finish()


if __name__ == "__main__":
    main()
