"""What tests of a running corod share: a personal daemon in a directory of its own, a raw RPC
client, waiting without sleeping blindly, counting.

    from corod import Daemon, check, equal, finish, test, wait_until

    with Daemon() as d:
        c = d.client()
        c.call("system.ping")

With Daemon(clock=True) the test owns the clocks that daemon and executor read (a build with fault
points): d.advance(3600) lets an hour pass in no time, d.skip(condition) passes from deadline to
deadline until condition() is true; d.set_wall() and d.new_boot() do what their names say. Commands
go on in the machine's own time. With clock="still" no time passes but by these.

Programs: $COROD, $COROD_EXEC, $CORO, else those in $BUILDDIR, else in ./build.
"""
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback
import uuid

TOP = os.environ.get("SRCDIR") or os.path.dirname(
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILDDIR = os.path.abspath(os.environ.get("BUILDDIR", os.path.join(TOP, "build")))
# Sanitized builds and busy machines: a deadline only matters when a test fails.
PATIENCE = float(os.environ.get("TEST_PATIENCE", "30"))


def program(name):
    variable = name.upper().replace("-", "_")
    return os.environ.get(variable) or os.path.join(BUILDDIR, name)


def wait_until(condition, what="it", patience=PATIENCE):
    """The first true value of condition(); AssertionError after `patience` seconds."""
    end = time.monotonic() + patience
    pause = 0.001
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("%s did not happen in %g s" % (what, patience))
        time.sleep(pause)
        pause = min(pause * 2, 0.05)


class RpcError(Exception):
    def __init__(self, error):
        super().__init__("%s %s" % (error.get("code"), error.get("message")))
        self.code = error.get("code")
        self.message = error.get("message")
        self.data = error.get("data")


class Closed(Exception):
    """The daemon closed the connection."""


class Client:
    """One connection. Replies may come in any order: those for others are kept."""

    def __init__(self, path, framing="line", patience=PATIENCE):
        self.patience = patience
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(patience)
        self.socket.connect(path)
        self.framing = framing
        self.buffer = b""
        self.last_id = 0
        self.replies = {}
        self.notifications = []

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def write(self, data):
        self.socket.sendall(data)

    def send(self, message):
        """Sends a JSON value (or bytes as they are) as one message."""
        text = message if isinstance(message, bytes) else json.dumps(message).encode()
        if self.framing == "headers":
            self.write(b"Content-Length: %d\r\n\r\n%s" % (len(text), text))
        else:
            self.write(text + b"\n")

    def more(self):
        try:
            data = self.socket.recv(1 << 16)
        except ConnectionResetError:  # it closed with something of ours unread
            data = b""
        if not data:
            raise Closed()
        self.buffer += data

    def receive_text(self):
        """The next message's text."""
        if self.framing == "headers":
            while b"\r\n\r\n" not in self.buffer:
                self.more()
            head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
            size = int(head.split(b":")[1])
            while len(self.buffer) < size:
                self.more()
            text, self.buffer = self.buffer[:size], self.buffer[size:]
            return text
        while b"\n" not in self.buffer:
            self.more()
        text, self.buffer = self.buffer.split(b"\n", 1)
        return text

    def receive(self):
        return json.loads(self.receive_text())

    def receive_all(self):
        """All messages until the daemon closes."""
        messages = []
        try:
            while True:
                messages.append(self.receive())
        except Closed:
            return messages

    def start(self, method, params=None):
        """Sends a request; its id."""
        self.last_id += 1
        message = {"jsonrpc": "2.0", "id": self.last_id, "method": method}
        if params is not None:
            message["params"] = params
        self.send(message)
        return self.last_id

    def wait(self, request):
        """The result of a request; RpcError."""
        while request not in self.replies:
            message = self.receive()
            if "method" in message:
                self.notifications.append(message)
            else:
                self.replies[message["id"]] = message
        reply = self.replies.pop(request)
        if "error" in reply:
            raise RpcError(reply["error"])
        return reply["result"]

    def call(self, method, _params=None, **params):
        return self.wait(self.start(method, params if _params is None else _params))

    def error(self, method, _params=None, **params):
        """The error that a call must end with."""
        try:
            result = self.call(method, _params, **params)
        except RpcError as e:
            return e
        raise AssertionError("%s did not fail: %r" % (method, result))

    def notification(self):
        """The next notification's (method, params)."""
        if not self.notifications:
            message = self.receive()
            if "method" not in message:
                self.replies[message["id"]] = message
                return self.notification()
            self.notifications.append(message)
        message = self.notifications.pop(0)
        return message["method"], message["params"]

    def submit(self, job, **more):
        return self.call("job.submit", dict(more, job=job))["id"]

    def finish(self, job, timeout=PATIENCE):
        """Waits for a job's end; everything about it. The timeout is this test's time."""
        request = self.start("job.wait", {"ids": [job]})
        self.socket.settimeout(timeout)
        try:
            self.wait(request)
        except socket.timeout:
            raise AssertionError("job %d did not end: %s" %
                                 (job, self.call("job.tree", id=job))) from None
        finally:
            self.socket.settimeout(self.patience)
        return self.call("job.get", id=job)

    def run(self, job, **more):
        return self.finish(self.submit(job, **more))


def listeners():
    """What the links to all unix sockets that accept connections say."""
    with open("/proc/net/unix", encoding="ascii", errors="replace") as f:
        return {"socket:[%s]" % line.split()[6] for line in f if " 00010000 " in line}


def holds(pid, targets):
    """Has it one of these (as links in /proc say) open?"""
    try:
        folder = "/proc/%d/fd" % pid
        return any(os.readlink(os.path.join(folder, fd)) in targets for fd in os.listdir(folder))
    except OSError:
        return False


def processes_with(*words):
    """The processes in whose command line all of these words (bytes) are."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/%s/cmdline" % name, "rb") as f:
                    line = f.read()
            except OSError:
                continue
            if all(w in line for w in words):
                found.append(int(name))
    return sorted(found)


def name_of(pid):
    try:
        with open("/proc/%d/comm" % pid, encoding="utf-8", errors="replace") as f:
            return f.read().rstrip("\n")
    except OSError:
        return ""


def parent_of(pid):
    try:
        with open("/proc/%d/stat" % pid, encoding="utf-8", errors="replace") as f:
            return int(f.read().rsplit(")", 1)[1].split()[1])
    except OSError:
        return 0


def has_ended(pid):
    """Also as a zombie: where process 1 waits for nobody, it stays one."""
    try:
        with open("/proc/%d/stat" % pid, encoding="utf-8") as f:
            return f.read().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def built_with_faults():
    """Has the build fault points and clocks for tests (--enable-errinj)?"""
    with open(program("corod"), "rb") as f:
        return b"COROD_ERRINJ_ONCE" in f.read()


def with_children(pids):
    """These processes and all their descendants."""
    children = {}
    for name in os.listdir("/proc"):
        try:
            with open("/proc/%s/stat" % name, encoding="ascii", errors="replace") as f:
                children.setdefault(int(f.read().rsplit(")", 1)[1].split()[1]), []).append(int(name))
        except (OSError, IndexError, ValueError):
            pass
    found = list(pids)
    for pid in found:
        found += [child for child in children.get(pid, []) if child not in found]
    return found


class Clock:
    """The clocks of a daemon and its executor: struct test_clock of proto/clock.h."""

    def __init__(self, path, still=False):
        self.path = path
        self.still = still
        self.boot_us = self.real_us = 0  # shifts
        self.boot_id = ""
        if not os.path.exists(path):
            with open(path, "wb") as f:
                f.write(bytes(64))
        self.fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        if still:  # from now on; 68 bytes are the file then
            self.boot_us = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000
            self.real_us = time.time_ns() // 1000
            os.pwrite(self.fd, struct.pack("i", 1), 64)
            self.set()

    def set(self):
        """Its readers are told by the write."""
        if self.boot_id:
            os.pwrite(self.fd, self.boot_id.encode() + b"\0", 24)
        os.pwrite(self.fd, struct.pack("qq", self.boot_us, self.real_us), 0)

    def now_us(self):
        """What the daemon's boot clock shows."""
        if self.still:
            return self.boot_us
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000 + self.boot_us

    def next_us(self):
        """Until the next deadline of its jobs (0: it is due); None: there is none; -1: it is busy."""
        at = struct.unpack("q", os.pread(self.fd, 8, 16))[0]
        return at if at < 0 else max(0, at - self.now_us()) if at else None


class Daemon:
    """A personal corod in a directory of its own (removed at the end unless $KEEP)."""

    all = []

    def __init__(self, directory=None, config="", args=(), env=None, clock=False):
        Daemon.all.append(self)
        self.own = directory is None
        # Short: a socket's path has at most 107 bytes.
        self.directory = directory or tempfile.mkdtemp(prefix="corod-")
        self.state = os.path.join(self.directory, "s")
        self.socket = os.path.join(self.state, "corod.sock")
        self.exec_socket = os.path.join(self.state, "exec", "socket")
        self.log_path = os.path.join(self.directory, "log")
        self.config_path = os.path.join(self.directory, "conf")
        self.args = list(args)
        self.env = dict(os.environ, **(env or {}))
        self.env.pop("NOTIFY_SOCKET", None)
        self.clock = None
        if clock:
            if not built_with_faults():
                raise Skip("a build without --enable-errinj: its clock is the machine's")
            self.clock = Clock(os.path.join(self.directory, "clock"), clock == "still")
            self.env["COROD_CLOCK"] = self.clock.path
        self.process = None
        self.exit = None
        self.configure(config)

    def configure(self, text):
        with open(self.config_path, "w", encoding="utf-8") as f:
            f.write(text)

    def argv(self):
        return [program("corod"), "--user", "--state-dir", self.state, "--config",
                self.config_path, "--exec-program", program("corod-exec"), *self.args]

    def start(self, wait=True):
        """Starts it and waits until it serves. The text of --ready-fd's line."""
        read, write = os.pipe()
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [*self.argv(), "--ready-fd", str(write)], stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, pass_fds=[write], env=self.env, cwd=self.directory)
        os.close(write)
        if not wait:
            os.close(read)
            return ""
        with os.fdopen(read, "rb") as ready:
            line = ready.readline().decode().rstrip("\n")
        if not line.startswith("ready "):
            self.exit = self.process.wait()
            raise AssertionError("corod did not start: %r\n%s" % (line, self.log()))
        return line

    def client(self, **options):
        return Client(self.socket, **options)

    def died(self):
        """How it ended although nobody ended it, with the end of its log; "" when it runs."""
        if not self.process or self.process.poll() is None:
            return ""
        return "corod ended with %d\n%s\n" % (self.process.poll(), self.log()[-8000:])

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def stop(self, signo=signal.SIGTERM):
        """Ends the daemon (not the executor); its exit status."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signo)
        if self.process:
            self.exit = self.process.wait(PATIENCE)
            self.process = None
        return self.exit

    def kill(self):
        return self.stop(signal.SIGKILL)

    def restart(self, signo=signal.SIGTERM):
        self.stop(signo)
        return self.start()

    def advance(self, seconds):
        """So much time passes at once (as when the machine was suspended)."""
        self.clock.boot_us += round(seconds * 1e6)
        self.clock.real_us += round(seconds * 1e6)
        self.clock.set()

    def skip(self, condition, what="it", patience=PATIENCE):
        """Passes from deadline to deadline of jobs until condition() is true; its value. For jobs
        that only wait for time: commands that run are not waited for."""
        def step():
            value = condition()
            if value:
                return value
            for _ in range(100):  # it may still be busy with what condition() asked
                left_us = self.clock.next_us()
                if left_us != -1:
                    break
                time.sleep(0.0001)
            if left_us and left_us > 0:
                self.advance((left_us + 1) / 1e6)
            return None
        return wait_until(step, what, patience)

    def set_wall(self, seconds):
        """Somebody sets the wall clock forward, or (less than 0) back."""
        self.clock.real_us += round(seconds * 1e6)
        self.clock.set()

    def new_boot(self, downtime=0, uptime=1):
        """For a daemon and executor that do not run: the machine is switched off, is on again after
        `downtime` by its wall clock, and `uptime` ago by its boot clock."""
        self.clock.boot_id = str(uuid.uuid4())
        self.clock.boot_us += round(uptime * 1e6) - self.clock.now_us()
        self.clock.real_us += round(downtime * 1e6)
        self.clock.set()

    def kill_all(self):
        """The daemon, the executor, monitors and commands, as when the machine dies."""
        doomed = with_children([*self.pids(), *([self.process.pid] if self.process else [])])
        for signo in (signal.SIGSTOP, signal.SIGKILL):  # nobody sees another's end
            for pid in doomed:
                try:
                    os.kill(pid, signo)
                except ProcessLookupError:
                    pass
        self.stop(signal.SIGKILL)
        wait_until(lambda: not self.pids(), "the end of all processes")

    def holders(self):
        """Executor and monitors; not what a monitor has forked, which looks the same until it is the command."""
        return [pid for pid in processes_with(b"corod-exec", os.path.join(self.state, "exec").encode())
                if name_of(parent_of(pid)) != "corod-monitor"]

    def executor(self):
        """Of the processes of corod-exec the one that accepts connections."""
        def found():
            accepting = listeners()
            return next((pid for pid in self.holders() if holds(pid, accepting)), None)
        return wait_until(found, "an executor")

    def monitors(self):
        """Those of this executor and of earlier ones."""
        executor = self.executor()
        return [pid for pid in self.holders() if pid != executor]

    def pids(self):
        """All processes that were started for this daemon's directory (executor, monitors,
        commands)."""
        found = []
        for name in os.listdir("/proc"):
            if not name.isdigit() or int(name) == os.getpid():
                continue
            try:
                with open("/proc/%s/cmdline" % name, "rb") as f:
                    line = f.read()
                with open("/proc/%s/environ" % name, "rb") as f:
                    environ = f.read()
            except OSError:
                continue
            mark = self.directory.encode()
            if mark in line or b"COROD_TEST_DIR=" + mark in environ:
                found.append(int(name))
        return found

    def end(self):
        """Ends daemon and executor with all its commands, removes the directory."""
        try:
            self.stop()
        finally:
            if self.process and self.process.poll() is None:
                self.process.kill()
            self.process = None
            for pid in self.pids():
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            if self.own and not os.environ.get("KEEP"):
                shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        self.env["COROD_TEST_DIR"] = self.directory
        try:
            self.start()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_):
        self.end()


class Skip(Exception):
    """Raised by a test that cannot be made here; the text says why."""


passed = failed = skipped = 0


def check(good, text="it is false"):
    if not good:
        raise AssertionError(text)


def equal(got, wanted, text=""):
    if got != wanted:
        raise AssertionError("%sgot %r instead of %r" % (text and text + ": ", got, wanted))


def test(function, *args, name=None):
    """Runs one test; counts it."""
    global passed, failed, skipped
    name = name or function.__name__
    began = time.monotonic()
    try:
        function(*args)
    except Skip as e:
        skipped += 1
        print("skipped %s: %s" % (name, e), flush=True)
    except Exception:
        failed += 1
        print("FAILED %s\n%s" % (name, traceback.format_exc()), flush=True)
        for daemon in Daemon.all:
            if daemon.died():  # the tests that follow have a chance
                print(daemon.died(), flush=True)
                daemon.start()
    else:
        passed += 1
        print("ok %s (%.2f s)" % (name, time.monotonic() - began), flush=True)


def finish():
    """The last line, and the end of the program."""
    print("%d passed, %d failed, %d skipped" % (passed, failed, skipped), flush=True)
    sys.exit(1 if failed or not passed else 0)


def run_tests(module, only=None):
    """Runs every function test_… of a module's dict, in the order of the file."""
    names = [n for n, f in module.items() if n.startswith("test_") and callable(f)]
    for name in names:
        if not only or any(o in name for o in only):
            test(module[name], name=name)
    for daemon in Daemon.all:
        if daemon.process:
            test(end_well, daemon, name="the daemon's end")
    finish()


def end_well(daemon):
    """Its end is part of the test: sanitizers report leaks then."""
    check(daemon.stop() == 0, "it ended with %s\n%s" % (daemon.exit, daemon.log()[-8000:]))
