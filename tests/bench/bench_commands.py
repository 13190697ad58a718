"""Commands: many small ones, one alone, one that writes a lot."""
import os
import statistics
import subprocess
import tempfile
import time

from corod import Daemon, program
from measure import TRUE, Row, asyncio_seconds, bare, in_turn, job_seconds, load, need, rpc, timed, tool


def gather_of(argv, count):
    return {"main": [{"gather": {"for": "i", "in": {"range": count}, "do": {"run": argv}}, "limit": 8},
                     {"return": None}]}


def xargs(count):
    return timed(["sh", "-c", "seq %d | xargs -P8 -I{} %s" % (count, TRUE)])


def parallel(count):
    need("parallel")
    with tempfile.TemporaryDirectory() as home:
        return timed(["sh", "-c", "seq %d | parallel -j8 %s" % (count, TRUE)],
                     env=dict(os.environ, HOME=home, PARALLEL_HOME=home), stderr=subprocess.DEVNULL)


def task_spooler(count):
    need("tsp")
    with tempfile.TemporaryDirectory() as home:
        env = dict(os.environ, TMPDIR=home, TS_SOCKET=os.path.join(home, "socket"), TS_MAXFINISHED="10")
        subprocess.run(["tsp", "-S", "8"], check=True, env=env, stdout=subprocess.DEVNULL)
        try:
            return timed(["sh", "-c", "i=0; while [ $i -lt %d ]; do tsp -n %s; i=$((i+1)); done; tsp -w" %
                          (count, TRUE)], env=env)
        finally:
            subprocess.run(["tsp", "-K"], check=False, env=env)


def nq(count):
    need("nq")
    with tempfile.TemporaryDirectory() as home:
        return timed(["sh", "-c", "i=0; while [ $i -lt %d ]; do nq -q %s; i=$((i+1)); done; nq -w" % (count, TRUE)],
                     env=dict(os.environ, NQDIR=home))


def many(rounds, tiny):
    """Many small commands"""
    count = 100 if tiny else 10000
    few = 20 if tiny else 1000  # for those that take milliseconds for each
    with Daemon() as d, d.client(patience=600) as c:
        c.call("pool.set", name="default", slots=8)
        c.run({"main": {"run": [TRUE]}})
        got = in_turn(rounds,
                      corod=lambda: count / job_seconds(c, gather_of([TRUE], count)),
                      bare=lambda: count / bare(count, 8),
                      pipes=lambda: count / bare(count, 8, "-p"),
                      xargs=lambda: count / xargs(count),
                      asyncio=lambda: count / asyncio_seconds("commands", count),
                      parallel=lambda: few / parallel(few),
                      tsp=lambda: few / task_spooler(few),
                      nq=lambda: few / nq(few),
                      static=lambda: count / job_seconds(c, gather_of([tool("true_static")], count)),
                      bare_static=lambda: count / bare(count, 8, command=tool("true_static")))
    corod = got["corod"]
    names = {"bare": ("vfork, execve, wait in a loop", None), "pipes": ("the same with two pipes each", (">=", 0.75)),
             "xargs": ("xargs -P8", (">=", 1.3)), "asyncio": ("python3 asyncio", None),
             "parallel": ("GNU parallel -j8", (">=", 5)), "tsp": ("task-spooler", None), "nq": ("nq", None)}
    rows = [Row("%d × true in one gather, 8 at a time" % count, corod, "/s")]
    rows += [Row("  of " + names[n][0], got[n], "/s", corod / got[n], names[n][1]) for n in names if n in got]
    rows += [Row("the same with a static program", got["static"], "/s"),
             Row("  of the bare loop", got["bare_static"], "/s", got["static"] / got["bare_static"], (">=", 0.5))]
    return rows


def commit_seconds(tiny):
    """Of one row, by SQLite from one thread."""
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run([tool("store_bench"), home, "0.1" if tiny else "1"], check=True, capture_output=True, text=True)
    words = done.stdout.split()  # "1 rows a batch: store N commits/s N rows/s SQLite N commits/s …"
    return 1 / float(words[words.index("SQLite") + 1])


def alone(rounds, tiny):
    """One command alone"""
    count = 20 if tiny else 500
    steps = [(rpc("job.submit", '{"job":{"main":{"run":["%s"]}}}' % TRUE), 1, '"result":{"id":'),
             (rpc("job.wait", '{"ids":[%i]}'), 1, '"timed_out":false')]
    p50, p99, limit = [], [], []
    with Daemon() as d:
        for _ in range(rounds):
            _, middle, late, _ = load(d.socket, steps, count)
            p50.append(middle)
            p99.append(late)
            limit.append(bare(count, 1, "-p") / count + 2 * commit_seconds(tiny))
    p50, p99, limit = (statistics.median(v) for v in (p50, p99, limit))
    return [Row("submit → true has run → told, 50th percentile", p50 * 1e3, "ms", p50 / limit, ("<=", 2)),
            Row("  of starting it bare, and two commits", limit * 1e3, "ms"),
            Row("  its 99th percentile", p99 * 1e3, "ms", p99 / p50, ("<=", 5))]


def client(rounds, tiny):
    """The client"""
    with tempfile.TemporaryDirectory(prefix="corod-bench-") as home:
        env = dict(os.environ, XDG_STATE_HOME=home, COROD=program("corod"))
        env.pop("CORO_SOCKET", None)
        coro = program("coro")
        cold, warm, spawn = [], [], []
        for _ in range(1 if tiny else max(3, rounds)):
            cold.append(timed([coro, "daemon", "start"], env=env))
            timed([coro, "run", "--", "true"], env=env)
            for _ in range(10 * rounds):
                warm.append(timed([coro, "run", "--", "true"], env=env))
                spawn.append(timed([TRUE]))
            timed([coro, "daemon", "stop"], env=env)
        cold, warm, spawn = (statistics.median(v) for v in (cold, warm, spawn))
        return [Row("coro run -- true, the daemon running", warm * 1e3, "ms", warm / spawn),
                Row("  of starting true alone", spawn * 1e3, "ms"),
                Row("a personal daemon's cold start", cold * 1e3, "ms")]


def output(rounds, tiny):
    """One command that writes a lot"""
    block, n, n_kept = (1 << 20, 8, 4) if tiny else (64 << 20, 160, 8)
    with tempfile.TemporaryDirectory(prefix="corod-bench-") as home:
        source, copy = os.path.join(home, "source"), os.path.join(home, "copy")
        with open(source, "wb") as f:
            f.write(os.urandom(block))
        argv = ["/bin/cat"] + [source] * n
        kept = ["/bin/cat"] + [source] * n_kept

        def copied():
            seconds = timed(["sh", "-c", "%s | cat > %s" % (" ".join(kept), copy)])
            os.unlink(copy)
            return n_kept * block / seconds

        def rate(config, command):
            with Daemon(config=config) as d, d.client(patience=600) as c:
                c.run({"main": {"run": [TRUE]}})
                return (len(command) - 1) * block / job_seconds(c, {"main": [{"run": command}, {"return": None}]})

        got = in_turn(rounds,
                      corod=lambda: rate("", argv),
                      bare=lambda: n * block / bare(1, 1, "-p", command=argv),
                      kept=lambda: rate("log_cap = 1T\n", kept),
                      file=copied)
    return [Row("cat of %d MiB into a log with its cap" % (n * block >> 20), got["corod"] / 1e6, "MB/s"),
            Row("  of a bare loop that reads it and drops it", got["bare"] / 1e6, "MB/s",
                got["corod"] / got["bare"], (">=", 0.8)),
            Row("cat of %d MiB into a log that keeps all" % (n_kept * block >> 20), got["kept"] / 1e6, "MB/s"),
            Row("  of a cat that writes it to a file", got["file"] / 1e6, "MB/s", got["kept"] / got["file"])]


SECTIONS = [client, many, alone, output]
