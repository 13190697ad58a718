"""The daemon: named queues over its socket, listing, cost as it grows, idling."""
import os
import statistics
import time

from corod import Client, Daemon, wait_until
from measure import TRUE, Row, beanstalkd, in_turn, job_seconds, load, redis, rpc, status_bytes


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


def latency(rounds, tiny):
    """Answers while commands run as fast as they can, and 1,000,000 jobs are in the table"""
    count = 50 if tiny else 1000
    rows = []
    with Daemon() as d, d.client(patience=900) as c:
        fill(d, c, 1000 if tiny else 1000000)
        with d.client(patience=900) as background:
            busy = background.submit({"main": {"while": True, "do": {"gather": [{"run": [TRUE]}] * 8}}})
            for method, params in ("system.ping", "{}"), ("job.get", '{"id":1}'), ("job.list", '{"limit":100}'):
                late = [load(d.socket, [(rpc(method, params), 1, '"result"')], count)[2] for _ in range(rounds)]
                rows.append(Row("%s, 99th percentile" % method, statistics.median(late) * 1e3, "ms", target=("<=", 5)))
            background.call("job.cancel", id=busy)
            background.finish(busy, timeout=60)
    return rows


def fill(daemon, client, count):
    """So many ended jobs."""
    have = client.submit({"main": {"return": None}})
    while have < count:
        part = min(count - have, 100000)
        load(daemon.socket, [(rpc("job.submit", '{"job":{"main":{"return":null}}}'), 1, '"result"')], part, 1, 1000)
        have += part
    client.finish(client.submit({"main": {"return": None}}), timeout=600)


def growth(rounds, tiny):
    """Cost of one as their number grows"""
    sizes = [10, 100] if tiny else [1000, 10000, 100000, 1000000]
    rows, costs = [], []
    for size in sizes:
        with Daemon() as d, d.client(patience=900) as c:
            job = {"main": [{"gather": {"for": "i", "in": {"range": size}, "do": {"sleep": 0}}}, {"return": None}]}
            seconds = statistics.median(job_seconds(c, job) for _ in range(min(rounds, 3)))
            costs.append(seconds / size * 1e6)
            rows.append(Row("a gather of %d: one task" % size, costs[-1], "µs"))
    rows[-1].ratio, rows[-1].target = costs[-1] / costs[0], ("<=", 1.5)

    costs = []
    part = 50 if tiny else 5000
    with Daemon() as d, d.client(patience=900) as c:
        for size in sizes:
            fill(d, c, size)
            step = [(rpc("job.submit", '{"job":{"main":{"return":null}}}'), 1, '"result"')]
            costs.append(load(d.socket, step, part, 1, 1000)[0] / part * 1e6)
            rows.append(Row("a job, pipelined, among %d" % size, costs[-1], "µs"))
    rows[-1].ratio, rows[-1].target = costs[-1] / costs[0], ("<=", 1.5)

    costs = []
    with Daemon(config="max_connections_per_user = 6000\n") as d:
        others = []
        for size in (1, 10) if tiny else (1, 100, 5000):
            while len(others) < size:
                others.append(Client(d.socket))
            ping = [(rpc("system.ping", "{}"), 1, '"result"')]
            costs.append(load(d.socket, ping, part, 1)[0] / part * 1e6)
            rows.append(Row("a ping beside %d idle connections" % size, costs[-1], "µs"))
        for other in others:
            other.close()
    rows[-1].ratio, rows[-1].target = costs[-1] / costs[0], ("<=", 1.5)
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
    seconds = 0.2 if tiny else 5
    with Daemon() as d, d.client() as c:
        c.run({"main": {"run": [TRUE]}})
        job = c.submit({"main": {"run": ["sleep", "1000"]}})

        def executors():
            return [p for p in d.pids() if p != d.process.pid and is_executor(p)]

        wait_until(lambda: len(executors()) > 1, "a monitor")
        time.sleep(1)
        pid = d.process.pid
        before = wakeups(pid)
        time.sleep(seconds)
        rate = (wakeups(pid) - before) / seconds
        private = status_bytes(pid, "Private_")
        least = min(status_bytes(p, "Private_Dirty") for p in executors())
        c.call("job.cancel", id=job)
        c.finish(job)
    return [Row("wake-ups a second of an idle daemon", rate, "/s", target=("<=", 0.1)),
            Row("private memory of an idle daemon", private / (1 << 20), "MiB", target=("<=", 6)),
            Row("private memory of a monitor", least / 1024, "KiB", target=("<=", 100))]


SECTIONS = [named_queues, latency, growth, idle]
