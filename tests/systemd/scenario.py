"""What the tests of the system's daemon share: this build installed in a machine of their own, users,
steps one after the other, and what the units say when one of them fails."""
import json
import os
import subprocess
import sys
import time

from machine import Impossible, Machine

BUILDDIR = os.environ.get("BUILDDIR", "build")
UNITS = ("corod.service", "corod-exec.service", "corod-commands.service")
passed = failed = 0


def check(good, text):
    global passed, failed
    if good:
        passed += 1
        print("ok: " + text, flush=True)
    else:
        failed += 1
        print("FAILED: " + text, flush=True)
    return good


def equal(got, want, text):
    return check(got == want, text if got == want else "%s: %r, not %r" % (text, got, want))


class Scenario:
    def __init__(self, machine):
        self.m = machine

    def prepare(self):
        """Before the machine starts: files for it."""

    def coro(self, *argv, user="tester", **more):
        return self.m.run("coro", *argv, user=user, **more)

    def show(self, job):
        return json.loads(self.coro("show", "--json", job).stdout)

    def state(self, job):
        return self.show(job)["state"]

    def submit(self, document):
        return self.coro("submit", "-", stdin=json.dumps(document)).stdout.strip()

    def pid(self, unit):
        return int(self.m.prop(unit, "MainPID"))

    def active(self, unit):
        self.m.until(lambda: self.m.prop(unit, "ActiveState") == "active", unit + " is active")

    def new_pid(self, unit, old):
        """Waits until the unit runs again as another process."""
        self.m.until(lambda: self.pid(unit) not in (0, old), unit + " is started again")
        self.active(unit)

    def install(self):
        m = self.m
        m.run("systemd-sysusers")
        m.run("systemd-tmpfiles", "--create", "--prefix=/run/corod")
        m.run("useradd", "-m", "-u", "4321", "tester")
        m.run("useradd", "-m", "-u", "4322", "other")
        m.run("mkdir", "-m", "777", "/tmp/load")
        m.run("systemctl", "daemon-reload")
        m.run("systemctl", "enable", "--now", "corod.socket", "corod.service")
        for unit in UNITS:
            self.active(unit)
        check(True, "the units start")

    def run(self, steps):
        for name in steps:
            began = time.monotonic()
            try:
                getattr(self, name)()
            except Exception as e:  # a step that can't go on
                check(False, "%s: %s: %s" % (name, type(e).__name__, e))
                return
            finally:
                print("%s: %.1f s" % (name, time.monotonic() - began))

    def what_happened(self):
        for argv in (("journalctl", "-b", "--no-pager", "-n", "120", "-u", "corod*"),
                     ("journalctl", "-b", "--no-pager", "_UID=4321"),
                     ("systemctl", "status", "--no-pager", "corod*")):
            print(self.m.run(*argv, check=False).stdout)


def main(kind, *steps):
    try:
        machine = Machine()
    except (Impossible, OSError) as why:
        print("skipped: %s" % why)
        print("0 passed, 0 failed, 1 skipped")
        sys.exit(0)
    scenario = kind(machine)
    scenario.prepare()
    subprocess.run(["make", "-s", "-C", BUILDDIR, "install", "DESTDIR=" + machine.files],
                   check=True, stdout=subprocess.DEVNULL)
    machine.start()
    scenario.run(steps)
    if failed:
        scenario.what_happened()
    machine.stop()
    print("%d passed, %d failed, 0 skipped" % (passed, failed))
    sys.exit(1 if failed else 0)
