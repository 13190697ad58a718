#!/usr/bin/env python3
# test-timeout: 240
"""The machine dies at random moments under the load of torture.py: everything is stopped at once and killed, what was
not synced is dropped or torn, and a new daemon and executor begin in another boot with what the disk has. Then the
checker looks: what ran is lost (and retried or failed as the program says), all else is there and goes on.

    tests/crash/machine.py [--deaths N] [--seed N] [--keep DIRECTORY]
"""
import argparse
import contextlib
import glob
import os
import signal
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from corod import (Daemon, built_with_faults, equal, finish, processes_with, program, test, wait_until,  # noqa: E402
                   with_children)
from torture import World, at_work  # noqa: E402


def state(pid):
    """One letter of proc(5); X when there is no such process."""
    try:
        with open("/proc/%d/stat" % pid, encoding="ascii", errors="replace") as f:
            return f.read().rsplit(")", 1)[1].split()[0]
    except OSError:
        return "X"


class Machine(World):
    def __init__(self, seed):
        super().__init__(seed, clock=True)
        self.unsynced = os.path.join(self.daemon.directory, "unsynced")
        with open(self.unsynced, "wb") as f:
            f.write(bytes(16))
        self.daemon.env["COROD_UNSYNCED"] = self.unsynced

    def all_pids(self):
        """All but the clients, which are elsewhere."""
        d = self.daemon
        clients = set(processes_with(program("coro").encode() + b"\0"))
        return with_children(sorted({*([d.process.pid] if d.process else []), *d.holders(), *d.pids()} - clients))

    def freeze(self):
        """Stops all, until nobody is left who could write. One that waits (D) for a child that was stopped between
        fork and exec stays so; one that waits for the disk does not."""
        waits_since = time.monotonic()

        def step():
            nonlocal waits_since
            running = [pid for pid in self.all_pids() if state(pid) not in "TtZX"]
            for pid in running:
                try:
                    os.kill(pid, signal.SIGSTOP)
                except ProcessLookupError:
                    pass
            if any(state(pid) not in "DTtZX" for pid in running):
                waits_since = time.monotonic()
            return not running or time.monotonic() - waits_since > 0.5
        wait_until(step, "standstill")

    def die(self):
        """Kills what is frozen; the disk has what was synced and what it likes of the rest."""
        self.freeze()
        self.note("machine", 1 << 20, 1 << 20)
        for pid in self.all_pids():
            self.kill(pid)
        self.daemon.stop(signal.SIGKILL)
        wait_until(lambda: not self.all_pids(), "the end of all processes")
        for pid in processes_with(program("coro").encode() + b"\0"):  # one that began meanwhile was stopped, too
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self.tear_log()
        self.tear_journal()
        self.daemon.new_boot(downtime=self.rng.random() * 2, uptime=5)
        with open(self.unsynced, "wb") as f:
            f.write(bytes(16))

    def tear_log(self):
        """What was written to the database's log since its last sync: all there, not there, or a part of it."""
        wal = os.path.join(self.daemon.state, "corod.db-wal")
        with open(self.unsynced, "rb") as f:
            begin, end = struct.unpack("qq", f.read(16))
        how = self.rng.choice(("keep", "truncate", "zeros", "garbage"))
        if os.path.exists(wal) and begin < end and how != "keep":
            self.kills["unsynced log: " + how] += 1
            with open(wal, "r+b") as f:
                cut = self.rng.randint(begin, end)
                if how == "truncate" and f.seek(0, 2) <= end:
                    f.truncate(cut)
                else:
                    f.seek(cut)
                    f.write(bytes(end - cut) if how == "zeros" else self.rng.randbytes(end - cut))
        shm = wal[:-3] + "shm"
        if os.path.exists(shm) and self.rng.random() < 0.7:  # never synced
            with open(shm, "r+b") as f:
                f.write(self.rng.randbytes(os.path.getsize(shm)))

    def tear_journal(self):
        """The executor never syncs: of its journal anything may be left."""
        for path in glob.glob(os.path.join(self.daemon.state, "exec", "journal", "*")):
            how = self.rng.choice(("keep", "keep", "truncate", "garbage", "remove"))
            size = os.path.getsize(path)
            cut = self.rng.randint(0, size)
            if how == "remove":
                os.unlink(path)
            elif how != "keep":
                with open(path, "r+b") as f:
                    f.truncate(cut)
                    if how == "garbage":
                        f.seek(cut)
                        f.write(self.rng.randbytes(size - cut))


def deaths(options):
    world = Machine(options.seed)
    with at_work(world, options.keep):
        for n in range(options.deaths):
            time.sleep(world.rng.random() * options.pause)
            world.die()
            world.daemon.start()
            if (n + 1) % 50 == 0:
                print("%d deaths" % (n + 1), flush=True)


def test_what_ran_is_lost():
    """One job each: it fails with LostError, it is retried, it had ended, it only waits."""
    with Daemon(clock=True) as d:
        ran = os.path.join(d.directory, "ran")
        note = "echo $CORO_ATTEMPT $LEAF >>\"$RAN\"; "
        env = {"PATH": "/usr/bin:/bin", "RAN": ran, "GATE": os.path.join(d.directory, "gate")}

        def command(leaf, rest, **keys):
            return {"sh": note + rest, "env": {"LEAF": leaf}, **keys}

        gated = "while [ ! -e \"$GATE\" ]; do sleep 0.02; done; echo went"
        with d.client() as c:
            c.call("pool.set", name="default", slots=8)
            fails = c.submit({"main": command("fails", gated)}, env=env)
            again = c.submit({"main": command("again", gated, on_lost="retry")}, env=env)
            caught = c.submit({"main": [{"try": command("caught", gated), "except": [
                {"type": "LostError", "as": "e", "do": {"return": "${e.type}"}}]}]}, env=env)
            ended = c.finish(c.submit({"main": command("ended", "echo done")}, env=env))
            waits = c.submit({"main": [{"sleep": 3600}, {"return": "slept"}]}, env=env)
        wait_until(lambda: len(open(ran, encoding="ascii").readlines()) == 4, "4 commands")
        d.kill_all()
        with open(env["GATE"], "w", encoding="ascii"):
            pass
        d.new_boot(downtime=1800)
        d.start()
        with d.client() as c:
            equal((c.finish(fails)["state"], c.finish(fails)["error"]["type"]), ("lost", "LostError"))
            equal(c.finish(again)["value"]["stdout"], "went")
            equal(c.finish(caught)["value"], "LostError")
            equal(c.call("job.get", id=ended["id"])["value"], ended["value"])
            d.advance(1790)
            equal(c.call("job.get", id=waits)["state"], "running")
            d.advance(20)
            equal(c.finish(waits)["value"], "slept")
        with open(ran, encoding="ascii") as f:
            equal(sorted(line.split()[1] for line in f), ["again", "again", "caught", "ended", "fails"])


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--deaths", type=int, default=20)
    p.add_argument("--seed", type=int, default=20261120)
    p.add_argument("--pause", type=float, default=1.0)
    p.add_argument("--keep")
    options = p.parse_args()
    print("seed %d" % options.seed)
    test(test_what_ran_is_lost)
    if built_with_faults():
        test(deaths, options, name="%d deaths" % options.deaths)
    finish()


if __name__ == "__main__":
    main()
