"""Tasks: submissions, sleepers, switches, queues inside a job."""
import statistics
import threading
import time

from corod import Daemon, wait_until
from measure import Row, asyncio_seconds, in_turn, job_seconds, load, redis, rpc, rss_bytes

HELD = '{"job":{"hold":true,"main":{"run":["/bin/true"]}}}'


def submissions(rounds, tiny):
    """Submissions, each acknowledged when it is on disk"""
    count = 100 if tiny else 50000
    few = 50 if tiny else 5000
    step = [(rpc("job.submit", HELD), 1, '"result"')]
    push = [("LPUSH q hello\\r\\n", 1, ":")]

    def submit(cycles, connections, depth=1):
        with Daemon() as d:
            return cycles / load(d.socket, step, cycles, connections, depth)[0]

    with redis() as port:
        got = in_turn(rounds,
                      pipelined=lambda: submit(count, 1, 1000),
                      one=lambda: submit(few, 1),
                      sixteen=lambda: submit(4 * few, 16),
                      redis_one=lambda: few / load(port, push, few)[0],
                      redis_sixteen=lambda: 4 * few / load(port, push, 4 * few, 16)[0])
    rows = [Row("%d held jobs, pipelined" % count, got["pipelined"], "/s", target=(">=", 50000))]
    for name, text in ("one", "1 connection"), ("sixteen", "16 connections"):
        rows.append(Row("one at a time, " + text, got[name], "/s"))
        if "redis_" + name in got:
            rows.append(Row("  of redis LPUSH, appendfsync always", got["redis_" + name], "/s",
                            got[name] / got["redis_" + name], (">=", 0.5)))
    return rows


def sleep_job(count, seconds):
    return {"main": [{"gather": {"for": "i", "in": {"range": count}, "do": {"sleep": seconds}}}, {"return": None}]}


def sleep_seconds(job):
    """(seconds, resident bytes that it took at most)"""
    with Daemon() as d, d.client(patience=900) as c:
        before = rss_bytes(d.process.pid)
        number = c.submit(job)
        began = time.monotonic()
        peak = 0
        while c.call("job.wait", ids=[number], timeout=0.1)["timed_out"]:
            peak = max(peak, rss_bytes(d.process.pid))
        seconds = time.monotonic() - began
        state = c.call("job.get", id=number)
        if state["state"] != "succeeded":
            raise SystemExit("the job failed: %s" % state["error"])
        return seconds, peak - before


def at_rest(client, seconds):
    """Waits until nothing was committed for so long: what commits alone needed is given back, too."""
    seen, since = None, 0
    while seen is None or time.monotonic() - since < seconds:
        commits = client.call("system.stats")["store"]["commits"]
        if commits != seen:
            seen, since = commits, time.monotonic()
        time.sleep(0.1)


def sleeping_bytes(count, rest):
    """Resident bytes of so many tasks that sleep, all of them on disk; and what is left when they have gone."""
    with Daemon() as d, d.client(patience=900) as c:
        before = rss_bytes(d.process.pid)
        job = c.submit(sleep_job(count, 3600))
        wait_until(lambda: c.call("system.stats")["store"]["statements"] >= count, "the tasks' rows", 300)
        at_rest(c, rest)
        sleeping = rss_bytes(d.process.pid)
        c.call("job.cancel", id=job)
        at_rest(c, rest)
        return sleeping - before, rss_bytes(d.process.pid) - before


def sleepers(rounds, tiny):
    """Tasks that sleep, every one durable"""
    count = 1000 if tiny else 1000000
    # Deadlines that are no order: the multiples of one prime modulo another.
    spread = 1 if tiny else 10
    mixed = {"expr": {"/": [{"%": [{"*": [{"var": "i"}, 7919]}, 1000003]}, 1000003 / spread]}}
    ordered = {"expr": {"/": [{"var": "i"}, count / spread]}}
    sizes, seconds, rival = [], [], []
    for _ in range(min(rounds, 3)):
        took, size = sleep_seconds(sleep_job(count, 1))
        seconds.append(took)
        sizes.append(size / count)
        rival.append(asyncio_seconds("sleepers", count))
    by_order = in_turn(min(rounds, 3), mixed=lambda: sleep_seconds(sleep_job(count, mixed))[0],
                       ordered=lambda: sleep_seconds(sleep_job(count, ordered))[0])
    seconds, sizes, rival = (statistics.median(v) for v in (seconds, sizes, rival))
    sleeping, left = sleeping_bytes(count, 0.5 if tiny else 5)
    return [Row("%d tasks that sleep 1 s in one gather" % count, seconds, "s"),
            Row("  of python3 asyncio", rival, "s", seconds / rival, ("<=", 0.25)),
            Row("  resident memory a task, once they sleep and are on disk", sleeping / count, "bytes",
                target=("<=", 300)),
            Row("  at the most, while they are made or end", sizes, "bytes"),
            Row("  left when they have gone", left / count, "bytes"),
            Row("%d tasks that sleep up to %d s, in no order" % (count, spread), by_order["mixed"], "s",
                by_order["mixed"] / by_order["ordered"], ("<=", 2)),
            Row("  in order", by_order["ordered"], "s")]


def switches(rounds, tiny):
    """Ticks"""
    count = 10000 if tiny else 1000000
    job = {"main": [{"gather": {"for": "i", "in": {"range": 1000}, "do":
                     {"for": "n", "in": {"range": count // 1000}, "do": {"sleep": 0}}}}, {"return": None}]}
    with Daemon() as d, d.client(patience=900) as c:
        got = in_turn(rounds, corod=lambda: count / job_seconds(c, job), asyncio=lambda: count / asyncio_seconds("switches", count))
    return [Row("%d × sleep 0 in 1,000 tasks" % count, got["corod"], "/s"),
            Row("  of python3 asyncio", got["asyncio"], "/s", got["corod"] / got["asyncio"], (">=", 5))]


def queue_job(count, maxsize):
    return {"main": [
        {"queue": {"maxsize": maxsize}, "as": "q"},
        {"gather": [{"for": "i", "in": {"range": count}, "do": {"put": "${i}", "into": "${q}"}},
                    {"for": "i", "in": {"range": count}, "do": {"get": "${q}"}}]},
        {"return": None}]}


def queues(rounds, tiny):
    """A queue between two tasks of a job"""
    count = 1000 if tiny else 200000
    rows = []
    with Daemon() as d, d.client(patience=900) as c:
        for maxsize, what, text in (10, "queue10", "maxsize 10"), (0, "queue", "unbounded"):
            got = in_turn(rounds, corod=lambda m=maxsize: count / job_seconds(c, queue_job(count, m)),
                          asyncio=lambda w=what: count / asyncio_seconds(w, count))
            rows += [Row("put and get, " + text, got["corod"], "/s"),
                     Row("  of asyncio.Queue", got["asyncio"], "/s", got["corod"] / got["asyncio"], (">=", 1))]
    return rows


def lines(rounds, tiny):
    """Lines of a command"""
    count = 10000 if tiny else 10000000
    script = "yes %s | head -n %d" % ("x" * 99, count)
    job = {"main": [
        {"queue": {"maxsize": 100}, "as": "q"},
        {"gather": [
            [{"for": "line", "in": {"lines": {"sh": script}}, "do": {"put": "${line}", "into": "${q}"}},
             {"shutdown": "${q}"}],
            {"for": "line", "in": "${q}", "do": {"task_done": "${q}"}}]},
        {"return": None}]}
    with Daemon() as d, d.client(patience=900) as c:
        before = rss_bytes(d.process.pid)
        peak, ended = [before], threading.Event()

        def watch():
            while not ended.wait(0.1):
                peak.append(rss_bytes(d.process.pid))

        watcher = threading.Thread(target=watch)
        watcher.start()
        got = in_turn(min(rounds, 3), corod=lambda: count / job_seconds(c, job))
        ended.set()
        watcher.join()
    return [Row("%d lines of 100 bytes through a queue of 100" % count, got["corod"], "/s", target=(">=", 300000)),
            Row("  memory that the daemon took for it", (max(peak) - before) / 1e6, "MB")]


SECTIONS = [submissions, sleepers, switches, queues, lines]
