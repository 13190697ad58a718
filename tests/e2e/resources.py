#!/usr/bin/env python3
# test-timeout: 150
"""What runs out: descriptors, processes, memory. The daemon goes on, bounded, and says what happened."""
import contextlib
import os
import pwd
import resource
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))
from corod import Daemon, Skip, check, equal, program, run_tests, wait_until  # noqa: E402


def cpu_seconds(pid):
    with open("/proc/%d/stat" % pid, encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_bytes(pid):
    with open("/proc/%d/statm" % pid, encoding="ascii") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def open_files(pid):
    return len(os.listdir("/proc/%d/fd" % pid))


def test_no_descriptors_left():
    with Daemon(config="max_connections_per_user = 1000\n") as d, d.client() as c:
        pid = d.process.pid
        equal(c.run({"main": {"run": ["true"]}})["state"], "succeeded")
        room = open_files(pid) + 10
        hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (room, hard))
        others = []
        for _ in range(50):  # more than it can take; the kernel keeps the rest in line
            s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            s.connect(d.socket)
            others.append(s)
        wait_until(lambda: open_files(pid) >= room - 1, "all descriptors used")
        before = cpu_seconds(pid)
        equal(c.run({"main": {"sh": "echo still", "as": "r"}})["state"], "succeeded")
        time.sleep(0.5)  # what is measured: nothing turns in circles meanwhile
        check(cpu_seconds(pid) - before < 0.3, "it is busy with nothing")
        check("descriptor" in d.log() or "Too many open files" in d.log(), d.log())
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard, hard))
        for s in others:
            s.close()
        with d.client() as late:
            late.call("system.ping")


def connect(d):
    """Waits while the kernel's line is full."""
    while True:
        try:
            return d.client()
        except BlockingIOError:
            time.sleep(0.01)


def test_five_thousand_idle_connections():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard < 5200:
        raise Skip("only %d descriptors" % hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with Daemon(config="max_connections_per_user = 6000\n") as d:
        pid = d.process.pid
        with d.client() as c:
            c.call("system.ping")
            before = rss_bytes(pid)
            idle = [connect(d) for _ in range(5000)]
            wait_until(lambda: open_files(pid) > 5000, "5,000 connections")
            each = (rss_bytes(pid) - before) / 5000
            check(each < 8192, "%d bytes for an idle connection" % each)
            equal(c.run({"main": {"return": 7}})["value"], 7)
            idle[4999].call("system.ping")
            for other in idle:
                other.close()
            wait_until(lambda: open_files(pid) < 100, "they are closed")


def test_more_connections_than_a_user_may_have():
    with Daemon(config="max_connections_per_user = 5\n") as d:
        some = [d.client() for _ in range(5)]
        for c in some:
            c.call("system.ping")
        with d.client() as one_more:
            refused = one_more.receive_all()
        check(refused and "max_connections_per_user" in str(refused[0]), str(refused))
        some[0].call("system.ping")


def test_a_follower_that_never_reads():
    with Daemon(config="output_buffer = 64k\n") as d, d.client() as c, d.client() as deaf:
        deaf.call("event.subscribe")
        before = rss_bytes(d.process.pid)
        done = c.run({"main": {"for": "i", "in": {"range": 20000}, "do": {"print": "${i} " + "x" * 1000}}})
        equal(done["state"], "succeeded")
        grown = rss_bytes(d.process.pid) - before
        check(grown < 64 << 20, "%d MiB more" % (grown >> 20))
        while "lost" not in (last := deaf.notification()[1]):
            pass
        check("not read in time" in last["message"], str(last))
        deaf.call("system.ping")  # only the subscription is gone


def test_a_command_that_writes_gigabytes():
    for cap in (1, 16):
        with Daemon(config="log_cap = %dM\n" % cap) as d, d.client() as c:
            before = rss_bytes(d.process.pid)
            done = c.run({"main": [{"sh": "echo first; head -c 2G /dev/zero; echo last", "as": "r"},
                                   {"return": "${r.truncated}"}]}, )
            equal(done["value"], True)
            check(rss_bytes(d.process.pid) - before < 32 << 20, "the daemon took the output into memory")
            logs = os.path.join(d.state, "exec")
            size = sum(os.lstat(os.path.join(folder, f)).st_size for folder, _, files in os.walk(logs) for f in files)
            check(cap << 19 < size < cap + 3 << 20, "%d bytes are kept" % size)


class UserDaemon(Daemon):
    """A personal daemon of another user: root has no limit of processes."""

    def __init__(self, user):
        super().__init__()
        self.user = user
        os.chmod(self.directory, 0o755)
        os.mkdir(self.state, 0o700)
        os.chown(self.state, user.pw_uid, user.pw_gid)

    def as_user(self, *argv):
        return ["setpriv", "--reuid=%d" % self.user.pw_uid, "--regid=%d" % self.user.pw_gid, "--clear-groups",
                "--inh-caps=-all", "--", *argv]

    def argv(self):
        return self.as_user(*super().argv())

    def limit_processes(self, limit):
        """The soft limit of all that run for it."""
        for pid in self.pids():
            subprocess.run(self.as_user("prlimit", "--pid", str(pid), "--nproc=%s:" % limit), check=False,
                           stderr=subprocess.DEVNULL)  # some end meanwhile

    def client_of_user(self):
        os.seteuid(self.user.pw_uid)
        try:
            return self.client()
        finally:
            os.seteuid(0)


@contextlib.contextmanager
def ending(d):
    try:
        yield
    finally:
        d.end()


def test_no_processes_left():
    if os.getuid() != 0:
        raise Skip("needs root, to be somebody else")
    user = pwd.getpwnam("nobody")
    if not os.access(os.path.dirname(program("corod")), os.X_OK):
        raise Skip("the build cannot be reached by others")
    try:
        d = UserDaemon(user)
        d.__enter__()
    except AssertionError as e:
        raise Skip("nobody cannot start it here: %s" % str(e)[:100]) from e
    with ending(d), d.client_of_user() as c:
        equal(c.run({"main": {"run": ["true"]}})["error"], None)
        d.limit_processes(1)
        job = c.submit({"main": {"gather": [{"sh": "/bin/true; echo reached", "as": "r"}, {"sh": "exit 0"}]}})
        wait_until(lambda: "cannot start it now" in d.log() or "cannot be started now" in d.log(), "a warning")
        c.call("system.ping")
        d.limit_processes(1000)
        equal(c.finish(job)["value"][0]["stdout"], "reached")


def test_a_command_without_memory():
    with Daemon() as d, d.client() as c:
        hungry = {"run": [sys.executable, "-c", "x = bytearray(1 << 30)"], "limits": {"as": 200 << 20}}
        check(c.call("job.check", job={"main": hungry}) is not None)
        done = c.run({"main": hungry})
        equal(done["state"], "failed")
        equal(done["error"]["type"], "CommandError")
        c.call("system.ping")


def test_many_small_jobs_leave_nothing_behind():
    """Memory is flat, whatever went through."""
    with Daemon() as d, d.client(patience=120) as c:
        def many(n):
            requests = [c.start("job.submit", {"job": {"main": [{"print": "x"}, {"return": 1}]}}) for _ in range(n)]
            last = [c.wait(r)["id"] for r in requests][-1]
            c.finish(last, timeout=60)

        many(2000)
        before = rss_bytes(d.process.pid)
        for _ in range(5):
            many(2000)
        grown = rss_bytes(d.process.pid) - before
        check(grown < 4 << 20, "%d KiB more after 10,000 jobs" % (grown >> 10))


run_tests(globals(), sys.argv[1:])
