#!/usr/bin/env python3
# test-timeout: 200
"""Disks that are full, read-only or broken: nothing is acknowledged that is not kept, people are told what is the matter,
and when there is room everything goes on by itself. Small file systems are mounted in a mount namespace of its own."""
import concurrent.futures
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from corod import (Closed, Daemon, RpcError, Skip, built_with_faults, check, equal, finish, program, test,  # noqa: E402
                   wait_until)

MIB = 1 << 20
STORAGE = -32011  # of proto/errors.def


class Disk:
    """A small file system that a directory is on."""

    def __init__(self, path, size):
        self.path = path
        os.makedirs(path, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%d,mode=0700" % size, "corod-test", path], check=True)
        self.ballast = os.path.join(path, "ballast")

    def fill(self):
        with contextlib.suppress(OSError), open(self.ballast, "ab", buffering=0) as f:
            while f.write(b"x" * 65536):
                pass
        with contextlib.suppress(OSError), open(self.ballast, "ab", buffering=0) as f:
            while f.write(b"x"):
                pass

    def empty(self):
        os.unlink(self.ballast)

    def remount(self, how):
        return subprocess.run(["mount", "-o", "remount," + how, self.path], check=False).returncode == 0

    def unmount(self):
        subprocess.run(["umount", "-l", self.path], check=False)


@contextlib.contextmanager
def daemon_on(size=8 * MIB, of="s"):
    """A daemon whose directory `of` is on a small disk."""
    directory = tempfile.mkdtemp(prefix="corod-")
    os.makedirs(os.path.join(directory, "s"), mode=0o700)
    disk = Disk(os.path.join(directory, of), size)
    try:
        with Daemon(directory=directory) as d:
            yield d, disk
    finally:
        disk.unmount()
        shutil.rmtree(directory, ignore_errors=True)


def stats(d):
    with d.client() as c:
        return c.call("system.stats")


def coro(d, *args):
    return subprocess.run([program("coro"), "--socket", d.socket, *args], stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=20, check=False, text=True)


def trouble(d):
    return wait_until(lambda: stats(d)["storage"] != "ok" and stats(d)["trouble"], "trouble")


def submit_until_refused(d, job):
    """The ids that were acknowledged until the disk was full."""
    known = []
    with d.client(patience=2) as c:
        while True:
            try:
                known.append(c.submit(job))
            except RpcError as e:
                equal(e.code, STORAGE)
                return known
            except TimeoutError:
                return known  # it waits: it may be taken once there is room


def test_full_while_writing():
    """What was acknowledged is there after a kill; what ran meanwhile is told right; new work is refused."""
    with daemon_on() as (d, disk):
        gate = os.path.join(d.directory, "gate")
        big = {"main": {"return": "x" * 30000}}
        with d.client() as c:
            c.call("pool.set", name="default", slots=8)
            running = c.submit({"main": {"sh": "while [ ! -e \"$GATE\" ]; do sleep 0.02; done; echo went"}},
                               env={"GATE": gate, "PATH": os.environ["PATH"]})
            sleeps = c.submit([{"sleep": 0.2}, {"return": "slept"}])
            wait_until(lambda: c.call("job.get", id=running)["tasks"][0]["state"] == "running", "a command")
        disk.fill()
        known = submit_until_refused(d, big)
        text = trouble(d)
        check("space" in text or "full" in text, text)
        for shown in (coro(d), coro(d, "daemon", "status")):
            equal(shown.returncode, 0, shown.stderr)
            check("o space left" in shown.stdout + shown.stderr, "coro says nothing of it: %s" % shown.stdout)
        equal(json.loads(coro(d, "daemon", "status", "--json").stdout)["storage"], "failing")
        with d.client() as c:
            equal(c.error("job.submit", job=[]).code, STORAGE)
        with open(gate, "w", encoding="ascii"):
            pass
        d.kill()
        d.start(wait=False)
        d.kill()
        disk.empty()
        d.start()
        with d.client() as c:
            equal(c.finish(running)["value"]["stdout"], "went")
            equal(c.finish(sleeps)["value"], "slept")
            for job in known:
                equal(c.finish(job)["value"], "x" * 30000)


def test_goes_on_by_itself():
    """Without a restart: a submission that waited is answered, a command that ended is told. What has ended before can
    be read meanwhile; what ends then is not shown before that is kept."""
    with daemon_on() as (d, disk):
        gate = os.path.join(d.directory, "gate")
        with d.client() as c:
            old = c.run({"main": {"return": "old"}})["id"]
            ending = c.submit({"main": {"sleep": 1000}})
            job = c.submit({"main": [{"sh": "while [ ! -e \"$GATE\" ]; do sleep 0.02; done; echo went", "as": "r"},
                                     {"run": ["echo", "next"], "as": "s"}, {"return": ["${r.stdout}", "${s.stdout}"]}]},
                           env={"GATE": gate, "PATH": os.environ["PATH"]})
            wait_until(lambda: c.call("job.get", id=job)["tasks"][0]["state"] == "running", "a command")
            disk.fill()
            known = submit_until_refused(d, {"main": {"return": "x" * 30000}})
            trouble(d)
            cancel = c.start("job.cancel", {"id": ending})
            c.call("system.ping")  # its turn is over
            shown = c.start("job.get", {"id": ending})
            equal(c.call("job.get", id=old)["value"], "old")
            equal(c.call("job.tree", id=old)["state"], "succeeded")
            check(shown not in c.replies and cancel not in c.replies, "what is not kept is shown")
            with open(gate, "w", encoding="ascii"):
                pass
            disk.empty()
            equal(c.wait(shown)["state"], "cancelled")
            c.wait(cancel)
            wait_until(lambda: stats(d)["storage"] == "ok", "that it goes on")
            equal(c.finish(job)["value"], ["went", "next"])
            for k in known:
                equal(c.finish(k)["state"], "succeeded")
            equal(c.run({"main": {"return": 1}})["value"], 1)
        check("storage works again" in d.log(), d.log())


def test_items_on_disk_are_handed_out():
    """A full disk does not keep a client from items that are on it; only what is done waits."""
    with daemon_on() as (d, disk):
        with d.client() as c:
            for i in range(3):
                c.call("queue.put", name="q", value=i)
            disk.fill()
            submit_until_refused(d, {"main": {"return": "x" * 30000}})
            trouble(d)
            for i in range(2):
                equal(c.call("queue.get", name="q"), {"item": i + 1, "value": i})
            done = c.start("queue.done", {"name": "q", "item": 1})
            c.call("system.ping")
            check(done not in c.replies, "it is done before it is on disk")
            disk.empty()
            equal(c.wait(done), {})
            equal(c.call("queue.get", name="q"), {"item": 3, "value": 2})


def test_full_disk_of_the_executor():
    """Output that cannot be kept never passes for all of it; commands start again when there is room."""
    with daemon_on(size=2 * MIB, of="s/exec") as (d, disk):
        with d.client() as c:
            c.call("pool.set", name="default", slots=8)
            equal(c.run({"main": {"sh": "echo before"}})["value"]["stdout"], "before")
            disk.fill()
            big = c.submit({"main": {"sh": "seq 100000"}})
            lines = c.submit([{"set": {"n": 0}}, {"for": "l", "in": {"lines": {"sh": "seq 60000"}}, "do": [
                {"set": {"n": {"expr": {"+": [{"var": "n"}, 1]}}}}]}, {"return": "${n}"}])
            small = [c.submit({"main": {"sh": "echo small"}}) for _ in range(60)]  # the journal's last page has room
            wait_until(lambda: "No space left on device: trying again" in d.log(), "a word about it")
            wait_until(lambda: "No space left" in (stats(d)["trouble"] or ""), "system.stats to say it")
            check("No space left" in coro(d).stdout, "coro says nothing of it")
            disk.empty()
            wait_until(lambda: not stats(d)["trouble"], "the end of the trouble")
            equal({c.finish(job)["value"]["stdout"] for job in small}, {"small"})
            got = c.finish(big, 60)
            text = "\n".join(str(i) for i in range(1, 100001))
            equal(got["state"], "succeeded", str(got["error"]))
            value = got["value"]
            check(value["stdout"] == text or value["truncated"], "cut output passes for all of it")
            got = c.finish(lines, 60)
            check(got["value"] == 60000 or (got["error"] or {}).get("type") == "LostError",
                  "%s %s" % (got["value"], got["error"]))
            equal(c.run({"main": {"sh": "echo after"}})["value"]["stdout"], "after")


def test_read_only():
    """A start on a read-only disk says so and changes nothing; remounted, all is there."""
    with daemon_on() as (d, disk):
        with d.client() as c:
            job = c.submit([{"sleep": 0.5}, {"return": "slept"}])
        d.kill_all()
        if not disk.remount("ro"):
            raise Skip("it cannot be remounted here")
        d.start(wait=False)
        check(d.process.wait(20) != 0, "it started")
        check("ead-only file system" in d.log(), d.log())
        d.process = None
        check(disk.remount("rw"), "remount")
        d.start()
        with d.client() as c:
            equal(c.finish(job)["value"], "slept")


def test_files_that_fail(point):
    """One write, sync or read fails in the middle of commits: it is told, tried again, and nothing is lost."""
    if not built_with_faults():
        raise Skip("a build without --enable-errinj")
    with Daemon() as d:
        d.stop()
        for n in (1, 2, 5, 9, 30):
            d.env["COROD_ERRINJ"] = "%s=%d:fail" % (point, n)
            try:
                d.start()
            except AssertionError as e:  # it may be hit at the start: then it says so, and the next start is good
                check("disk I/O error" in str(e) or "full" in str(e) or "nput/output" in str(e), str(e))
                del d.env["COROD_ERRINJ"]
                d.start()
            known = {}
            with d.client() as c:
                for i in range(20):
                    key = "%s %d %d" % (point, n, i)
                    while key not in known:
                        try:
                            known[key] = c.submit([{"print": key}, {"sh": "echo \"$0\"", "args": [key], "as": "r"},
                                                   {"return": "${r.stdout}"}], key=key)
                        except RpcError as e:
                            equal(e.code, STORAGE)
                        except Closed:
                            check(not d.died(), d.died())
            d.kill()
            d.env.pop("COROD_ERRINJ", None)
            d.start()
            with d.client() as c:
                for key, job in known.items():
                    got = c.finish(job)
                    equal((got["state"], got["output"]), ("succeeded", [key]))
            d.stop(signal.SIGTERM)
        d.start()


TESTS = [test_full_while_writing, test_goes_on_by_itself, test_items_on_disk_are_handed_out,
         test_full_disk_of_the_executor, test_read_only]
POINTS = ("STORE_COMMIT_FULL", "STORE_COMMIT_IOERR", "STORE_FILE_READ", "STORE_FILE_WRITE", "STORE_FILE_FULL",
          "STORE_FILE_SYNC")


def skip():
    raise Skip("only root can mount file systems")


def main():
    if os.geteuid() == 0 and "COROD_TEST_MOUNTS" not in os.environ:
        os.environ["COROD_TEST_MOUNTS"] = "1"
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable, *sys.argv])
    wanted = sys.argv[1:]
    for t in TESTS:
        if not wanted or any(w in t.__name__ for w in wanted):
            test(t if os.geteuid() == 0 else skip, name=t.__name__)
    with concurrent.futures.ThreadPoolExecutor(len(POINTS)) as pool:  # most of it is waiting for the next try
        running = {point: pool.submit(test_files_that_fail, point) for point in POINTS
                   if not wanted or any(w in point for w in wanted)}
        for point, future in running.items():
            test(future.result, name="a file that fails: " + point)
    finish()


if __name__ == "__main__":
    main()
