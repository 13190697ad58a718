#!/usr/bin/env python3
# test-timeout: 300
"""Ten thousand HTTP requests at a time: none is answered before all have come."""
import os
import resource
import sys
import threading

sys.path[0] = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib")
from corod import Daemon, Skip, check, equal, run_tests  # noqa: E402
from http_server import Server  # noqa: E402

MANY = 10000
OTHERS = 2000  # descriptors
MIB = 1 << 20

hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
daemon = Daemon()
server = Server()


def memory_bytes(field):
    with open("/proc/%d/status" % daemon.process.pid, encoding="ascii") as f:
        return int(f.read().split(field + ":")[1].split()[0]) * 1024


def threads():
    return len(os.listdir("/proc/%d/task" % daemon.process.pid))


def cpu_s():
    with open("/proc/%d/stat" % daemon.process.pid, encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def many(url, n):
    """A job that waits at the gate n times at once."""
    server.release.clear()
    server.at_gate, server.gate_size = 0, n
    with daemon.client() as c:
        job = c.submit([{"gather": {"for": "i", "in": {"range": n}, "do": {"http": url}}, "as": "r"},
                        {"return": "${r[0]}"}])
        end = c.finish(job, 240)
    equal(end["state"], "succeeded", str(end["error"]))
    equal((end["value"]["body"], server.at_gate), ("through", n))


def test_many_at_a_time():
    if hard < MANY + OTHERS:
        raise Skip("at most %d descriptors" % hard)
    many(server.url("/gate"), 10)
    before, cpu = memory_bytes("VmRSS"), cpu_s()
    many(server.url("/gate"), MANY)
    used = memory_bytes("VmHWM") - before
    check(used < MANY * 40 * 1024, "%d KiB for each request" % (used / MANY / 1024))
    check(cpu_s() - cpu < 15, "%g s of the processor" % (cpu_s() - cpu))


def test_names():
    """A thread resolves each name, but never many."""
    most, over = [], threading.Event()

    def watch():
        while not over.wait(0.001):
            most.append(threads())
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        many(server.url("/gate", "localhost"), 1000)
    finally:
        over.set()
        watcher.join()
    check(max(most) <= 64 + 8, max(most))


if __name__ == "__main__":
    with daemon:
        run_tests(globals(), sys.argv[1:])
