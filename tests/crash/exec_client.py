"""A small client of corod-exec's binary protocol (proto/exec.h), for tests."""
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback

HELLO, START, STOP, RESOLVE, SETTLE, FLUSH, REMOVE_LOG, CREDIT, PAUSE = range(1, 10)
STARTED, END, STATE, NOTICE = range(17, 21)
EXITED, SIGNALED, NOT_STARTED, LOST = range(1, 5)
RUNNING, UNKNOWN = 1, 2
STDOUT, STDERR, DROPPED = 1, 2, 3
DEADLINE_S = 20


class Failure(Exception):
    pass


def varint(n):
    out = b""
    while n >= 0x80:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])


def zstring(s):
    s = os.fsencode(s) + b"\0"
    return varint(len(s)) + s


def frame(kind, payload):
    return struct.pack("<IB", len(payload) + 1, kind) + payload


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        if self.at + n > len(self.data):
            raise Failure("a short message")
        self.at += n
        return self.data[self.at - n:self.at]

    def number(self, fmt):
        return struct.unpack("<" + fmt, self.take(struct.calcsize("<" + fmt)))[0]

    def varint(self):
        value = shift = 0
        while True:
            b = self.take(1)[0]
            value |= (b & 0x7F) << shift
            shift += 7
            if not b & 0x80:
                return value

    def svarint(self):
        v = self.varint()
        return v >> 1 ^ -(v & 1)

    def bytes(self):
        return self.take(self.varint())


def parse_end(payload):
    r = Reader(payload)
    e = {"number": r.number("Q"), "outcome": r.number("B")}
    flags = r.number("B")
    e["core"], e["never_ran"], e["stopped"], e["in_file"] = (bool(flags & 1 << i) for i in range(4))
    e["status"], e["error"] = r.svarint(), r.svarint()
    e["text"] = r.bytes()[:-1].decode()
    for key in ("pid", "user_us", "sys_us"):
        e[key] = r.svarint()
    e["maxrss_kib"] = r.varint()
    for key in ("started_us", "ended_us", "duration_us"):
        e[key] = r.svarint()
    e["log_bytes"], e["log_lost"] = r.varint(), r.varint()
    e["output"] = r.bytes()
    if r.at != len(payload):
        raise Failure("an end that is too long")
    return e


def chunks(framed):
    """[(stream, bytes)] of a framed output."""
    out, at = [], 0
    while at < len(framed):
        stream, n = struct.unpack_from("<BI", framed, at)
        if at + 5 + n > len(framed):
            raise Failure("a torn chunk")
        out.append((stream, framed[at + 5:at + 5 + n]))
        at += 5 + n
    return out


def text_of(framed, stream=STDOUT):
    return b"".join(data for s, data in chunks(framed) if s == stream)


def start_payload(number, argv, env=None, cwd=None, stdin=None, uid=None, umask=0o22, grace_ms=300,
                  cap=64 << 20, window=0, merge=False, keep=False, limits=()):
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin"} if env is None else env
    uid = os.getuid() if uid is None else uid
    flags = merge | keep << 1 | (cwd is not None) << 2 | (stdin is not None) << 3
    p = struct.pack("<QIB", number, uid, flags)
    p += varint(umask) + varint(grace_ms) + varint(cap) + varint(window)
    p += varint(len(limits)) + b"".join(varint(r) + varint(s) + varint(h) for r, s, h in limits)
    p += varint(len(argv)) + b"".join(map(zstring, argv))
    p += varint(len(env)) + b"".join(zstring(f"{k}={v}") for k, v in env.items())
    if cwd is not None:
        p += zstring(cwd)
    if stdin is not None:
        p += varint(len(stdin)) + stdin
    return p + bytes(3)  # no files


def wait_until(what, test, deadline_s=DEADLINE_S):
    """Waits until test() is true; returns its value."""
    end = time.monotonic() + deadline_s
    while True:
        value = test()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure(f"waited {deadline_s} s for: {what}")
        time.sleep(0.005)


class Executor:
    """A corod-exec with a state directory of its own."""

    def __init__(self, program, root, options=(), prefix=()):
        self.program, self.root, self.options, self.prefix = program, root, list(options), list(prefix)
        self.state, self.socket = os.path.join(root, "state"), os.path.join(root, "sock")
        self.log = os.path.join(root, "log")
        self.process = None

    def start(self, errinj=None, once=True, env=None):
        environ = {"PATH": os.environ["PATH"], **(env or {})}
        if errinj:
            environ["COROD_ERRINJ"] = errinj
            if once:
                environ["COROD_ERRINJ_ONCE"] = os.path.join(self.root, "errinj-" + str(time.monotonic_ns()))
        log = open(self.log, "ab")
        self.process = subprocess.Popen(
            [*self.prefix, self.program, "--socket", self.socket, "--state", self.state, *self.options],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environ)
        log.close()
        return self

    def kill(self, signo=signal.SIGKILL):
        self.process.send_signal(signo)
        return self.process.wait(DEADLINE_S)

    def restart(self, **options):
        if self.process.poll() is None:
            self.kill()
        return self.start(**options)

    def clean_up(self):
        """Ends what this executor's state directory has running: it, its monitors, their commands."""
        if self.process and self.process.poll() is None:
            self.kill()
        try:
            with open(os.path.join(self.state, "id")) as f:
                mark = b"CORO_EXECUTOR=" + f.read().encode()
        except OSError:
            return
        for pid in processes():
            try:
                with open(f"/proc/{pid}/environ", "rb") as f:
                    ours = mark in f.read()
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    ours = ours or self.state.encode() in f.read().split(b"\0")
                if ours:
                    os.kill(pid, signal.SIGKILL)
            except OSError:
                pass

    def connect(self, highest=0, open_attempts=()):
        def attempt():
            if self.process.poll() is not None:
                raise Failure("corod-exec ended: " + open(self.log).read()[-800:])
            s = socket.socket(socket.AF_UNIX)
            try:
                s.connect(self.socket)
                return Client(s, highest, open_attempts)
            except OSError:  # it may be the socket of one who has just died
                s.close()
                return None
        return wait_until("corod-exec to listen", attempt)


class Client:
    def __init__(self, sock, highest, open_attempts):
        self.sock, self.data, self.got = sock, b"", []
        self.send(HELLO, struct.pack("<IQ", 1, highest) + varint(len(open_attempts)) +
                  b"".join(struct.pack("<Q", n) for n in open_attempts))
        kind, payload = self.wait("hello", lambda k, p: k == HELLO)
        r = Reader(payload)
        self.version, self.highest = r.number("I"), r.number("Q")
        self.boot_id = r.bytes()[:-1].decode()

    def send(self, kind, payload):
        self.sock.sendall(frame(kind, payload))

    def start(self, number, argv, **options):
        self.send(START, start_payload(number, argv, **options))

    def stop(self, number, grace_ms=300):
        self.send(STOP, struct.pack("<QI", number, grace_ms))

    def resolve(self, number, same_boot=True):
        self.send(RESOLVE, struct.pack("<QB", number, same_boot))

    def settle(self, number):
        self.send(SETTLE, struct.pack("<Q", number))

    def simple(self, kind, number):
        self.send(kind, struct.pack("<Q", number))

    def credit(self, number, position):
        self.send(CREDIT, struct.pack("<QQ", number, position))

    def pause(self, number, paused):
        self.send(PAUSE, struct.pack("<QB", number, paused))

    def read(self, timeout):
        if not select.select([self.sock], [], [], timeout)[0]:
            return False
        data = self.sock.recv(1 << 20)
        if not data:
            raise Failure("corod-exec closed the connection")
        self.data += data
        at = 0
        while len(self.data) - at >= 5:
            n, kind = struct.unpack_from("<IB", self.data, at)
            if len(self.data) - at < n + 4:
                break
            self.got.append((kind, self.data[at + 5:at + 4 + n]))
            at += n + 4
        self.data = self.data[at:]
        return True

    def wait(self, what, test, deadline_s=DEADLINE_S):
        """Takes the first message that passes test(kind, payload) out of what came, and returns it."""
        end = time.monotonic() + deadline_s
        while True:
            for i, (kind, payload) in enumerate(self.got):
                if test(kind, payload):
                    return self.got.pop(i)
            left = end - time.monotonic()
            if left <= 0:
                raise Failure(f"waited {deadline_s} s for {what}")
            self.read(left)

    def of(self, kind, number):
        return lambda k, p: k == kind and struct.unpack_from("<Q", p)[0] == number

    def end(self, number, deadline_s=DEADLINE_S):
        return parse_end(self.wait(f"the end of {number}", self.of(END, number), deadline_s)[1])

    def started(self, number):
        payload = self.wait(f"the start of {number}", self.of(STARTED, number))[1]
        return struct.unpack("<QQQ", payload)[1]

    def state(self, number):
        """What RESOLVE says: a state's number, or an end."""
        kind, payload = self.wait(f"what became of {number}", lambda k, p: k in (STATE, END) and
                                  struct.unpack_from("<Q", p)[0] == number)
        return payload[8] if kind == STATE else parse_end(payload)

    def close(self):
        self.sock.close()


class Skip(Exception):
    pass


TESTS = []


def test(f):
    TESTS.append(f)
    return f


def program():
    path = os.environ.get("COROD_EXEC")
    if not path:
        sys.exit("set COROD_EXEC to the corod-exec to test")
    return path


def has_errinj():
    with open(program(), "rb") as f:
        return b"EXEC_BEFORE_S" in f.read()


def processes():
    """{pid: (ppid, session, command name)} of all processes but zombies."""
    out = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat") as f:
                head, tail = f.read().rsplit(")", 1)
        except OSError:
            continue
        fields = tail.split()
        if fields[0] not in "ZX":
            out[int(name)] = (int(fields[1]), int(fields[3]), head.split("(", 1)[1])
    return out


def alive(pid):
    return pid in processes()


def main():
    """Runs the tests whose names have one of the arguments in them (all without arguments)."""
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for f in TESTS:
        if sys.argv[1:] and not any(a in f.__name__ for a in sys.argv[1:]):
            continue
        with tempfile.TemporaryDirectory(prefix="exec.") as root:
            os.chmod(root, 0o755)
            x = Executor(program(), root)
            began = time.monotonic()
            try:
                f(x)
                result, why = "passed", ""
            except Skip as e:
                result, why = "skipped", f": {e}"
            except Exception:
                result = "failed"
                why = "\n" + traceback.format_exc()
                if os.path.exists(x.log):
                    with open(x.log, errors="replace") as log:
                        why += "log:\n" + log.read()[-3000:]
            finally:
                x.clean_up()
            counts[result] += 1
            print(f"{result:8}{f.__name__} ({time.monotonic() - began:.2f} s){why}", flush=True)
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    sys.exit(1 if counts["failed"] or not counts["passed"] else 0)
