"""What the benchmarks share: rows of results, rounds in turn, peers' servers, load."""
import contextlib
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from corod import BUILDDIR, wait_until  # noqa: E402

TRUE = "/bin/true"


class Missing(Exception):
    """A peer that is not installed."""


class Row:
    """One figure; ratio: to what, and the least or most that is aimed at."""

    def __init__(self, name, value, unit, ratio=None, target=None):
        self.name, self.value, self.unit, self.ratio, self.target = name, value, unit, ratio, target

    def reached(self):
        """None: nothing is aimed at."""
        if self.target is None:
            return None
        how, limit = self.target
        got = self.value if self.ratio is None else self.ratio
        return got >= limit if how == ">=" else got <= limit

    def text(self):
        ratio = "" if self.ratio is None else "%.2f" % self.ratio
        target = "" if self.target is None else "%s %g" % self.target
        mark = {None: "", True: "yes", False: "NO"}[self.reached()]
        return "%-58s %12s %-9s %7s  %-9s %s" % (self.name, number(self.value), self.unit, ratio, target, mark)

    def json(self):
        return {"name": self.name.strip(), "value": self.value, "unit": self.unit, "ratio": self.ratio,
                "target": self.target and "%s %g" % self.target, "reached": self.reached()}


def number(value):
    return "%.0f" % value if abs(value) >= 100 else "%.3g" % value


def in_turn(rounds, **functions):
    """Calls each function once a round, in turn; the medians by name. One whose program is missing
    is left out, with a word."""
    got = {name: [] for name in functions}
    for _ in range(rounds):
        for name in list(got):
            try:
                got[name].append(functions[name]())
            except Missing as e:
                print("  (%s is left out: %s is not installed)" % (name, e), flush=True)
                del got[name]
    return {name: statistics.median(values) for name, values in got.items()}


def need(command):
    if not shutil.which(command):
        raise Missing(command)
    return command


def tool(name):
    return os.path.join(BUILDDIR, "tests/bench", name)


def timed(argv, **options):
    began = time.monotonic()
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   **{"stderr": subprocess.DEVNULL, **options})
    return time.monotonic() - began


def bare(count, width, *options, command=TRUE):
    """Seconds of a loop of vfork, execve and wait that does nothing else."""
    argv = [tool("bare_loop"), str(count), str(width), *options, *([command] if isinstance(command, str) else command)]
    done = subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return float(done.stdout)


def asyncio_seconds(what, count):
    """Seconds of the same in one process of python3 with asyncio, nothing durable."""
    argv = [sys.executable, os.path.join(HERE, "asyncio_peer.py"), what, str(count)]
    return float(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)


def load_argv(address, steps, cycles, connections, depth):
    if isinstance(address, Missing):
        raise address
    argv = [tool("load"), "-n", str(cycles), "-c", str(connections), "-d", str(depth), str(address)]
    for request, lines, want in steps:
        argv += [request, str(lines), want]
    return argv


def load(address, steps, cycles, connections=1, depth=1):
    """(seconds, p50, p99, most): the last three in seconds for a cycle."""
    argv = load_argv(address, steps, cycles, connections, depth)
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    seconds, *micros = done.stdout.split()
    return float(seconds), *(float(m) / 1e6 for m in micros)


@contextlib.contextmanager
def endless_load(address, step, depth):
    with subprocess.Popen(load_argv(address, [step], 10 ** 8, 1, depth)) as process:
        yield
        if process.poll() is not None:
            raise SystemExit("the load has ended")
        process.kill()


def rpc(method, params):
    """A step of load(): params is JSON text."""
    return '{"jsonrpc":"2.0","id":%%n,"method":"%s","params":%s}\\n' % (method, params)


def job_seconds(client, job):
    began = time.monotonic()
    done = client.run(job)
    seconds = time.monotonic() - began
    if done["state"] != "succeeded":
        raise SystemExit("the job failed: %s" % done["error"])
    return seconds


def status_bytes(pid, field):
    """A field of /proc/PID/smaps_rollup, summed where a name is given by its beginning."""
    total = 0
    with open("/proc/%d/smaps_rollup" % pid, encoding="ascii") as f:
        for line in f:
            if line.startswith(field):
                total += int(line.split()[1]) * 1024
    return total


def rss_bytes(pid):
    with open("/proc/%d/statm" % pid, encoding="ascii") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextlib.contextmanager
def server(argv_of):
    """A peer's server in a directory of its own: argv_of(port, directory) → argv. Yields the port
    for load(), or that it is missing."""
    with tempfile.TemporaryDirectory(prefix="corod-bench-") as directory:
        port = free_port()
        argv = argv_of(port, directory)
        if not shutil.which(argv[0]):
            yield Missing(argv[0])
            return
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)

        def answers():
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                return True

        try:
            wait_until(answers, argv[0])
            yield port
        finally:
            process.kill()
            process.wait()


def redis():
    return server(lambda port, directory: [
        "redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", directory, "--save", "",
        "--appendonly", "yes", "--appendfsync", "always"])


def beanstalkd():
    return server(lambda port, directory: ["beanstalkd", "-l", "127.0.0.1", "-p", str(port), "-b", directory, "-f0"])
