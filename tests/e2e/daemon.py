#!/usr/bin/env python3
# test-sanitized: yes
"""The daemon's life: start, lock, sockets, readiness, signals, stop, systemd's protocol."""
import os
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))
from corod import Client, Closed, Daemon, PATIENCE, check, equal, program, run_tests, wait_until  # noqa: E402


def run(*args, env=None, **more):
    return subprocess.run([program("corod"), *args], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env=dict(os.environ, **(env or {})), timeout=PATIENCE, **more)


def refused(daemon):
    """What a daemon says that must not start."""
    try:
        daemon.start()
    except AssertionError as e:
        daemon.process = None
        return str(e)
    daemon.stop()
    raise AssertionError("it started")


def test_help_version_and_mistakes():
    p = run("--help")
    equal((p.returncode, p.stderr), (0, ""))
    for word in ("--state-dir", "--socket", "--ready-fd", "--check-config", "max-batch"):
        check(word in p.stdout, "%s in %s" % (word, p.stdout))
    check(run("--version").stdout.startswith("corod "))
    for args in (["--no-such-option"], ["operand"], ["--system", "--user"], ["--max-batch", "x"]):
        p = run(*args)
        equal((p.returncode, p.stdout), (2, ""), args)
        check(p.stderr.startswith("corod: "), p.stderr)


def test_check_config():
    with Daemon() as d:
        args = ["--check-config", "--config", d.config_path]
        equal((run(*args).returncode, run(*args).stderr), (0, ""))
        d.configure("max_batch = 5\nmax_btach = 6\n")
        p = run(*args)
        equal(p.returncode, 2)
        check("conf:2" in p.stderr and "max_batch" in p.stderr, p.stderr)


def test_which_executor():
    """Given, beside the daemon when that is not there, or none: and a reload changes nothing of it."""
    for path, found in ((program("corod-exec"), True), ("/no/such", True), ("", False)):
        with Daemon(args=["--exec-program", path]) as d, d.client() as c:
            if found:
                wait_until(lambda: c.call("system.stats")["executor"] == "up", "the executor")
            else:
                wait_until(lambda: "the executor is away" in d.log(), "a word of it")
                check(not os.path.exists(d.exec_socket))
            c.call("system.reload")
            check("needs a restart []" in d.log(), d.log())


def test_ready_line_and_modes():
    d = Daemon()
    try:
        equal(d.start(), "ready " + d.socket)
        equal(os.stat(d.socket).st_mode & 0o777, 0o600)
        equal(os.stat(d.state).st_mode & 0o777, 0o700)
        wait_until(lambda: os.path.exists(d.exec_socket), "the executor")
        for name in os.listdir(d.state):
            seen_by = os.stat(os.path.join(d.state, name)).st_mode & 0o077
            equal(seen_by, 0o050 if name == "exec" else 0, name)  # the executor's may have the daemon's group
        equal(os.readlink("/proc/%d/cwd" % d.process.pid), "/")
    finally:
        d.end()


def test_a_second_daemon_is_refused():
    with Daemon() as d:
        other = Daemon(directory=d.directory)
        said = refused(other)
        check("another corod, process %d" % d.process.pid in said, said)
        with d.client() as c:
            c.call("system.ping")  # its socket is still its own
        # Another state, the same socket: that is not taken away either.
        third = Daemon(args=["--socket", d.socket])
        check(d.socket in refused(third))
        third.end()
        with d.client() as c:
            equal(c.call("system.stats")["pid"], d.process.pid)


def test_a_stale_socket_is_replaced():
    with Daemon() as d:
        d.kill()
        check(os.path.exists(d.socket))
        d.start()
        with d.client() as c:
            c.call("system.ping")
        d.stop()
        check(not os.path.exists(d.socket))
        with open(d.socket, "w", encoding="ascii") as f:
            f.write("precious")
        said = refused(d)
        check(d.socket in said, said)
        with open(d.socket, encoding="ascii") as f:
            equal(f.read(), "precious")


def test_bad_places():
    with Daemon() as d:
        d.stop()
        d.args = ["--socket", os.path.join(d.directory, "x" * 120)]
        said = refused(d)
        check("107" in said and "x" * 120 in said, said)
        d.args = ["--socket", os.path.join(d.directory, "missing", "socket")]
        check("missing" in refused(d))
        d.args = []
        os.chmod(d.state, 0o777)
        check("others can write" in refused(d))
        os.chmod(d.state, 0o700)
        os.rename(d.state, d.state + "2")
        os.symlink(d.state + "2", d.state)
        check(d.state in refused(d))


def test_a_damaged_database_is_refused_and_kept():
    with Daemon() as d:
        with d.client() as c:
            c.run({"main": []})
        d.stop()
        path = os.path.join(d.state, "corod.db")
        with open(path, "r+b") as f:
            f.write(b"this is no database at all")
        for name in ("corod.db-wal", "corod.db-shm"):
            if os.path.exists(os.path.join(d.state, name)):
                os.unlink(os.path.join(d.state, name))
        with open(path, "rb") as f:
            before = f.read()
        check("corod.db" in refused(d))
        with open(path, "rb") as f:
            equal(f.read() == before, True)


def test_the_state_dir_by_environment():
    with Daemon() as d:
        d.stop()
        home = os.path.join(d.directory, "xdg")
        d.state = os.path.join(home, "corod")
        d.socket = os.path.join(d.state, "corod.sock")
        d.env["XDG_STATE_HOME"] = home
        real = d.argv
        d.argv = lambda: [a for a in real() if a not in ("--state-dir", d.state)]
        equal(d.start(), "ready " + d.socket)


def test_signals_stop_it_and_jobs_go_on():
    with Daemon() as d:
        for signo in (signal.SIGTERM, signal.SIGINT):
            with d.client() as c:
                job = c.submit({"main": [{"sleep": 0.05}, {"return": 1}]})
            equal(d.stop(signo), 0)
            d.start()
            with d.client() as c:
                equal(c.finish(job)["value"], 1)


def test_what_was_asked_before_the_stop_is_answered():
    with Daemon() as d:
        with d.client() as c:
            requests = [c.start("job.submit", {"job": {"main": []}}) for _ in range(60)]
            wait_until(lambda: job_count(d) > 0)
            d.process.send_signal(signal.SIGTERM)
            answered = [m["result"]["id"] for m in c.receive_all() if "result" in m]
        equal(d.process.wait(PATIENCE), 0)
        check(answered and len(answered) <= len(requests))
        d.start()
        with d.client() as c:
            for job in answered:
                equal(c.finish(job)["state"], "succeeded")


def job_count(d):
    with d.client() as c:
        return len(c.call("job.list")["jobs"])


def test_a_killed_daemon_forgets_nothing_it_answered():
    with Daemon() as d:
        with d.client() as c:
            done = [c.run({"main": [{"return": i}]})["id"] for i in range(5)]
            live = c.submit({"main": [{"sleep": 0.2}, {"return": "live"}]})
        d.kill()
        d.start()
        with d.client() as c:
            equal([c.call("job.get", id=i)["value"] for i in done], list(range(5)))
            equal(c.finish(live)["value"], "live")


def test_sighup_reads_the_settings_again():
    with Daemon() as d:
        d.configure("log_level = debug\n")
        d.process.send_signal(signal.SIGHUP)
        wait_until(lambda: '"log_level"' in d.log(), "the reload")
        d.configure("log_level = loud\n")
        d.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "loud" in d.log(), "the complaint")
        with d.client() as c:
            c.call("system.ping")


def test_nothing_of_the_daemons_reaches_a_command():
    env = {"NOTIFY_SOCKET": "/nowhere/x", "SECRET": "1"}
    d = Daemon(env=env)
    with d:
        with d.client() as c:
            job = c.run([{"sh": "ls -l /proc/self/fd; env", "as": "r"},
                         {"return": "${r.stdout}"}], env={"PATH": "/usr/bin:/bin"})
        check("SECRET" not in job["value"] and "NOTIFY" not in job["value"], job["value"])
        fds = [line for line in job["value"].split("\n") if "->" in line]
        equal(len(fds), 4, job["value"])  # 0, 1, 2 and that of ls


class Notified:
    """A daemon with a socket as systemd's."""

    def __init__(self, d, abstract=False):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(PATIENCE)
        path = os.path.join(d.directory, "notify")
        self.socket.bind("\0" + path if abstract else path)
        d.env["NOTIFY_SOCKET"] = "@" + path if abstract else path

    def next(self):
        return self.socket.recv(1000).decode()


class NotifiedDaemon(Daemon):
    def start(self, wait=True):
        env, self.env = self.env, dict(self.env)
        real = subprocess.Popen

        def popen(*args, **more):
            more["env"] = dict(more["env"], **self.notify)
            return real(*args, **more)
        subprocess.Popen = popen
        try:
            return super().start(wait)
        finally:
            subprocess.Popen = real
            self.env = env


def test_systemd_is_told():
    for abstract in (False, True):
        d = NotifiedDaemon()
        n = Notified(d, abstract)
        d.notify = {"NOTIFY_SOCKET": d.env["NOTIFY_SOCKET"], "WATCHDOG_USEC": "200000"}
        with d:
            equal(n.next(), "READY=1")
            for _ in range(3):
                equal(n.next(), "WATCHDOG=1")
            d.process.send_signal(signal.SIGTERM)
            last = n.next()
            while last == "WATCHDOG=1":
                last = n.next()
            equal(last, "STOPPING=1")


# Passes its listening socket as descriptor 3, as systemd does.
ACTIVATE = """
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.%s)
s.bind(sys.argv[1])
%s
ready = int(sys.argv[2])
os.dup2(ready, 9)
os.dup2(s.fileno(), 3)
os.set_inheritable(3, True)
os.environ["LISTEN_FDS"] = "1"
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.argv[3], sys.argv[3:] + ["--ready-fd", "9"])
"""


def activated(d, kind="SOCK_STREAM", listen="s.listen()"):
    read, write = os.pipe()
    with open(d.log_path, "ab") as log:
        d.process = subprocess.Popen(
            [sys.executable, "-c", ACTIVATE % (kind, listen), d.socket + "2", str(write), *d.argv()],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[write], env=d.env)
    os.close(write)
    with os.fdopen(read) as f:
        return f.readline()


def test_socket_activation():
    with Daemon() as d:
        d.stop()
        equal(activated(d), "ready %s\n" % d.socket)
        with Client(d.socket + "2") as c:
            job = c.run([{"sh": "ls /proc/self/fd | wc -l", "as": "r"}, {"return": "${r.stdout}"}],
                        env={"PATH": "/usr/bin:/bin"})
            equal(job["value"], "4")
        check(not os.path.exists(d.socket))
        d.stop()
        check(os.path.exists(d.socket + "2"))  # systemd's, not ours
        os.unlink(d.socket + "2")
        check("no listening unix stream socket" in activated(d, listen=""))
        d.process.wait(PATIENCE)
        os.unlink(d.socket + "2")
        check("no listening unix stream socket" in activated(d, kind="SOCK_DGRAM", listen=""))
        d.process.wait(PATIENCE)


def test_no_descriptors_left():
    with Daemon() as d:
        d.stop()
        d.configure("max_connections_per_user = 1000\n")
        real = d.argv
        d.argv = lambda: ["sh", "-c", 'ulimit -n 60; exec "$@"', "sh", *real()]
        d.start()
        clients = []
        try:
            for _ in range(100):
                clients.append(d.client())
        except OSError:
            pass
        # None is closed before all were looked at: it would make room for another.
        answering, deadline = 0, None
        for c in clients:
            try:
                if answering > 20:  # some of those that are left will never be answered
                    deadline = deadline or time.monotonic() + 2
                    c.socket.settimeout(max(0.01, deadline - time.monotonic()))
                c.call("system.ping")
                answering += 1
            except (OSError, Closed):
                pass
        for c in clients:
            c.close()
        check(20 < answering < 60, answering)
        # It did not spin, and it serves again.
        with open("/proc/%d/stat" % d.process.pid, encoding="ascii") as f:
            check(int(f.read().split()[13]) < 300)

        def again():
            try:
                with d.client() as c:
                    return c.call("system.ping")
            except Exception:
                return None
        wait_until(again, "service")


if __name__ == "__main__":
    run_tests(globals(), sys.argv[1:])
