"""The daemon: named queues over its socket, listing, cost as it grows, idling."""
import contextlib
import functools
import os
import socket
import time

from corod import Daemon, wait_until
from measure import TRUE, Missing, Row, beanstalkd, endless_load, in_turn, load, redis, rpc, status_bytes


def named_queues(rounds, tiny):
    """A named queue over the socket: put, get, done"""
    count = 50 if tiny else 3000
    corod = [(rpc("queue.put", '{"name":"q","value":"hello"}'), 1, '"result"'),
             (rpc("queue.get", '{"name":"q"}'), 1, '"item":'),
             (rpc("queue.done", '{"name":"q","item":%i}'), 1, '"result"')]
    beanstalk = [("put 0 0 60 5\\r\\nhello\\r\\n", 1, "INSERTED "), ("reserve\\r\\n", 2, "RESERVED "),
                 ("delete %i\\r\\n", 1, "DELETED")]
    redis_cycle = [("LPUSH q hello\\r\\n", 1, ":"), ("RPOPLPUSH q p\\r\\n", 2, "$"), ("LREM p 1 hello\\r\\n", 1, ":1")]
    rows = []
    with Daemon() as d, beanstalkd() as b, redis() as r:
        for clients in 1, 16:
            cycles = count * min(clients, 4)
            got = in_turn(rounds,
                          corod=lambda: cycles / load(d.socket, corod, cycles, clients)[0],
                          beanstalkd=lambda: cycles / load(b, beanstalk, cycles, clients)[0],
                          redis=lambda: cycles / load(r, redis_cycle, cycles, clients)[0])
            rows.append(Row("%d client%s" % (clients, "" if clients == 1 else "s"), got["corod"], "/s"))
            aims = {"beanstalkd": ("beanstalkd -f0", (">=", 2 if clients > 1 else 0.5)),
                    "redis": ("redis, appendfsync always", (">=", 1) if clients > 1 else None)}
            rows += [Row("  of " + aims[name][0], got[name], "/s", got["corod"] / got[name], aims[name][1])
                     for name in aims if name in got]
    return rows


@contextlib.contextmanager
def under_load(daemon, client):
    """Commands, 8 at a time, and pipelined submissions, both as fast as they go."""
    busy = client.submit({"main": {"while": True, "do": {
        "gather": {"for": "i", "in": {"range": 10000}, "do": {"run": [TRUE]}}, "limit": 8}}})
    with endless_load(daemon.socket, SUBMIT, depth=1000):
        yield
    client.call("job.kill", id=busy)
    client.finish(busy, timeout=60)


def late(ask, count):
    """The 99th percentile of so many answers, in milliseconds, asked for with pauses."""
    took = []
    for _ in range(count):
        time.sleep(0.001)
        began = time.monotonic()
        ask()
        took.append(time.monotonic() - began)
    return sorted(took)[count * 99 // 100] * 1e3


def ask_corod(client, method, params):
    client.start(method, params)
    client.receive_text()


def late_redis(address, count):
    if isinstance(address, Missing):
        raise address
    with socket.create_connection(("127.0.0.1", address)) as s:
        return late(lambda: s.sendall(b"PING\r\n") or s.recv(100), count)


def latency(rounds, tiny):
    """Answers under full load, 1,000,000 jobs in the table: 99th percentiles"""
    count = 50 if tiny else 1000
    asked = {"system.ping": {}, "job.get": {"id": 1}, "job.list": {"limit": 100}}
    with Daemon(config=KEEP_ALL) as d, d.client(patience=900) as c, redis() as r:
        fill(d, c, 1000 if tiny else 1000000)
        functions = {m: functools.partial(late, functools.partial(ask_corod, c, m, p), count) for m, p in asked.items()}
        with d.client() as background, under_load(d, background):
            got = in_turn(rounds, **functions, redis=lambda: late_redis(r, count))
    rows = [Row(m, got[m], "ms", target=("<=", 5)) for m in asked]
    return rows + [Row("  (redis PING, beside it)", got["redis"], "ms")] if "redis" in got else rows


KEEP_ALL = "keep_jobs = 0\n"
SUBMIT = rpc("job.submit", '{"job":{"main":{"return":null}}}'), 1, '"result"'
PING = rpc("system.ping", "{}"), 1, '"result"'


def fill(daemon, client, count):
    """So many ended jobs."""
    while count > 0:
        part = min(count, 100000)
        load(daemon.socket, [SUBMIT], part, 1, 1000)
        count -= part
    client.finish(client.submit({"main": {"return": None}}), timeout=600)


def gathers(size, total):
    """Microseconds a task of so many in all, `size` in each gather."""
    job = {"main": [{"gather": {"for": "i", "in": {"range": size}, "do": {"sleep": 0}}}, {"return": None}]}
    with Daemon() as d, d.client(patience=900) as c:
        began = time.monotonic()
        requests = [c.start("job.submit", {"job": job}) for _ in range(total // size)]
        c.call("job.wait", ids=[c.wait(r)["id"] for r in requests])
        return (time.monotonic() - began) / total * 1e6


def burst(daemon, client, step, count, depth=1):
    """Microseconds of one of so many."""
    seconds = load(daemon.socket, [step], count, 1, depth)[0]
    client.finish(client.submit({"main": {"return": None}}))
    return seconds / count * 1e6


def grown(what, got):
    """Rows of {size: cost}: the largest's as a ratio to the smallest's."""
    rows = [Row(what % size, cost, "µs") for size, cost in got.items()]
    rows[-1].ratio, rows[-1].target = rows[-1].value / rows[0].value, ("<=", 1.5)
    return rows


def growth(rounds, tiny):
    """Cost of one as their number grows"""
    sizes = [10, 100] if tiny else [1000, 10000, 100000, 1000000]
    rows = grown("a task, in gathers of %s", in_turn(min(rounds, 3), **{
        str(size): functools.partial(gathers, size, sizes[-1]) for size in sizes}))
    with contextlib.ExitStack() as stack:
        functions = {}
        for size in sizes:
            d = stack.enter_context(Daemon(config=KEEP_ALL))
            c = stack.enter_context(d.client(patience=900))
            fill(d, c, size)
            functions[str(size)] = functools.partial(burst, d, c, SUBMIT, sizes[0], 1000)
        rows += grown("a job, pipelined, among %s", in_turn(1 if tiny else max(rounds, 5), **functions))
    with contextlib.ExitStack() as stack:
        functions = {}
        for size in (1, 10) if tiny else (1, 100, 5000):
            d = stack.enter_context(Daemon(config="max_connections_per_user = 6000\n"))
            others = [stack.enter_context(d.client()) for _ in range(size)]
            functions[str(size)] = functools.partial(burst, d, others[0], PING, 50 if tiny else 20000)
        rows += grown("a ping beside %s idle connections", in_turn(rounds, **functions))
    return rows


def wakeups(pid):
    total = 0
    for task in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/status" % (pid, task), encoding="ascii") as f:
            total += sum(int(line.split()[1]) for line in f if "ctxt_switches" in line)
    return total


def is_executor(pid):
    with open("/proc/%d/cmdline" % pid, "rb") as f:
        return b"corod-exec" in f.read()


def idle(rounds, tiny):
    """Idle"""
    settling, seconds = (0.2, 0.2) if tiny else (15, 10)
    with Daemon() as d, d.client() as c:
        for _ in range(10):
            c.run({"main": {"run": [TRUE]}})
        sleepers = c.submit({"main": {"gather": {"for": "i", "in": {"range": 1000}, "do": {"sleep": 100000}}}})
        job = c.submit({"main": {"run": ["sleep", "1000"]}})

        def executors():
            return [p for p in d.pids() if p != d.process.pid and is_executor(p)]

        wait_until(lambda: len(executors()) > 1, "a monitor")
        time.sleep(settling)  # what has ended is looked at once more
        pids = [d.process.pid], executors()
        before = [sum(map(wakeups, p)) for p in pids]
        time.sleep(seconds)
        rates = [(sum(map(wakeups, p)) - b) / seconds for p, b in zip(pids, before)]
        private = status_bytes(d.process.pid, "Private_")
        least = min(status_bytes(p, "Private_Dirty") for p in executors())
        c.call("job.cancel", ids=[job, sleepers])
        c.finish(job)
    return [Row("wake-ups a second of an idle daemon, 1,000 sleepers", rates[0], "/s", target=("<=", 0.1)),
            Row("  of its executor and monitors", rates[1], "/s", target=("<=", 0.1)),
            Row("private memory of an idle daemon", private / (1 << 20), "MiB", target=("<=", 6)),
            Row("private memory of a monitor", least / 1024, "KiB", target=("<=", 100))]


SECTIONS = [named_queues, latency, growth, idle]
