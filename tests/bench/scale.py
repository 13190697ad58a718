#!/usr/bin/env python3
"""How a daemon does with a long history and with many suspended tasks.

    BUILDDIR=build tests/bench/scale.py [finished jobs] [suspended tasks]

The history is written by SQL into a database that the daemon made. Times are printed, nothing is asserted
but that the answers are right."""
import os
import sqlite3
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from corod import Daemon, check, equal, program  # noqa: E402

JOBS = int(sys.argv[1]) if len(sys.argv) > 1 else 1000000
TASKS = int(sys.argv[2]) if len(sys.argv) > 2 else 100000
SUCCEEDED, FAILED = 6, 7  # proto/state.h


def fill(path, jobs):
    """`jobs` finished jobs of one task with one command each, as a daemon writes them."""
    db = sqlite3.connect(path)
    db.executescript("PRAGMA synchronous = OFF; PRAGMA cache_size = -200000")
    db.execute("INSERT INTO program(sha, text) VALUES(zeroblob(32), '{\"main\": {\"sh\": \"true\"}}')")
    (doc,) = db.execute("SELECT id FROM program").fetchone()
    db.execute("""WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
        INSERT INTO job(id, uuid, uid, gid, name, pool, priority, labels, program, cwd, umask, state, created, started,
            finished, exit, value)
        SELECT i, randomblob(16), ?2, ?2, CASE WHEN i % 10 = 0 THEN 'name' || i END, NULL, 0,
            CASE WHEN i % 10 = 0 THEN '{"k":"v"}' END, ?3, '/home/somebody', 18, ?4, ?5 + i * 1000,
            ?5 + i * 1000, ?5 + i * 1000 + 500, 0, '{"exit":0,"stdout":"","stderr":"","duration":0.01}'
        FROM n""", (jobs, os.getuid(), doc, SUCCEEDED, int((time.time() - 3600) * 1e6)))
    db.execute("""INSERT INTO task(job, id, parent, created, frame)
        SELECT id, 1, 0, created, zeroblob(60) FROM job ORDER BY id""")
    db.execute("""INSERT INTO task_end(job, seq, task, state, finished)
        SELECT id, 1, 1, ?1, finished FROM job ORDER BY id""", (SUCCEEDED,))
    db.execute("""INSERT INTO attempt(number, job, task, boot, launched, started, pid, ended, how, status, duration_us,
            log_bytes, log_in_file, command, output)
        SELECT id, id, 1, '0', created, created, 7, finished, 1, 0, 500, 20, 0, 'true', zeroblob(20)
        FROM job ORDER BY id""")
    db.commit()
    db.close()


def timed(what, function, *args, **more):
    begun = time.monotonic()
    result = function(*args, **more)
    print("%-44s %8.1f ms" % (what, (time.monotonic() - begun) * 1e3), flush=True)
    return result


def listing(c, what, expected=None, **filter):
    worst, pages, got, cursor = 0, 0, 0, {}
    while True:
        begun = time.monotonic()
        reply = c.call("job.list", **filter, **cursor)
        worst = max(worst, time.monotonic() - begun)
        pages += 1
        got += len(reply["jobs"])
        if "next" not in reply or got >= filter.get("limit", 100):
            break
        cursor = {"cursor": reply["next"]}
    print("%-44s %8.1f ms at most, %d pages, %d jobs" % ("job.list " + what, worst * 1e3, pages, got), flush=True)
    if expected is not None:
        equal(got, expected, what)


def history():
    with Daemon(config="keep_jobs = 0\n") as d:
        d.stop()
        path = os.path.join(d.state, "corod.db")
        timed("making %d finished jobs" % JOBS, fill, path, JOBS)
        print("%-44s %8.1f MB" % ("database", os.path.getsize(path) / 1e6))
        timed("start", d.start)
        with d.client() as c:
            for what, n, filter in (
                    ("newest 100", 100, {}),
                    ("a name", 1, {"name": "name%d" % (JOBS // 20 * 10), "limit": 1}),
                    ("no such name", 0, {"name": "nobody"}),
                    ("no such pattern", 0, {"name": "nobody*"}),
                    ("no such label", 0, {"label": "x=y"}),
                    ("no such state", 0, {"state": ["failed"]}),
                    ("no such pool", 0, {"pool": "nowhere"}),
                    ("live ones", 0, {"state": ["running", "queued"]}),
                    ("no such owner", 0, {"owner": "daemon"})):
                listing(c, what, n, **filter)
            equal(timed("job.get of an old one", c.call, "job.get", id=5)["state"], "succeeded")
            job = timed("a new job", c.run, {"main": {"print": 1}})
            equal(job["id"], JOBS + 1)
        timed("coro", subprocess.run, [program("coro"), "--socket", d.socket], stdout=subprocess.DEVNULL, check=True)
        timed("coro ls", subprocess.run, [program("coro"), "--socket", d.socket, "ls"], stdout=subprocess.DEVNULL,
              check=True)
        with d.client() as c:
            begun, had = time.monotonic(), c.call("system.stats")["kept"]["jobs"]
            check(had in (None, JOBS + 1), str(had))
            d.configure("keep_jobs = %d\n" % (JOBS // 2))
            c.call("system.reload")
            worst = 0
            while c.call("system.stats")["kept"]["removed"] < JOBS // 2:
                t = time.monotonic()
                c.call("job.submit", job={"main": {"print": 1}})
                worst = max(worst, time.monotonic() - t)
                if time.monotonic() - begun > 300:
                    break
            print("%-44s %8.1f s, a submission meanwhile took %.1f ms at most" % (
                "removing half of them", time.monotonic() - begun, worst * 1e3))
        timed("restart with kill", d.restart, 9)


def suspended():
    with Daemon() as d:
        with d.client() as c:
            job = timed("%d tasks" % TASKS, c.submit, {"main": [
                {"gather": {"for": "i", "in": {"range": TASKS}, "do": {"wait": "${go}"}}}, {"return": "done"}],
                "input": {}} if False else {"main": [
                    {"event": {}, "as": "go"},
                    {"create_task": {"sleep": 10}, "as": "t"},
                    {"gather": {"for": "i", "in": {"range": TASKS}, "do": [{"wait": "${go}"}]}}]})
            while c.call("system.stats")["live_tasks"] < TASKS:
                time.sleep(0.05)
            c.call("job.get", id=job)
        d.stop(9)
        timed("start with them", d.start)
        with d.client() as c:
            check(c.call("system.stats")["live_tasks"] >= TASKS)


history()
suspended()
