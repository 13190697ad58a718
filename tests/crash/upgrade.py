#!/usr/bin/env python3
"""A database that an earlier corod wrote is migrated by this one, and its jobs go on where they were.

    tests/crash/upgrade.py           reads all tests/crash/schema-N.sql.xz, and one that this build has just written
    tests/crash/upgrade.py --write   writes schema-N.sql.xz of this build's schema: once, when that is released
"""
import contextlib
import glob
import lzma
import os
import sqlite3
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from corod import Daemon, Skip, check, equal, finish, test, wait_until  # noqa: E402

GATED = "while [ ! -e /nowhere/at/all ]; do sleep 0.02; done"
# Jobs as they are when the daemon ends; what must come of them later. "feed": a queue that they wait for.
# The second command runs as attempt 2; a later attempt is one that was made again, because that was lost.
JOBS = {
    "ended": ([{"print": "line"}, {"sh": "echo out; exit 3", "check": False, "as": "r"},
               {"return": ["${r.stdout}", "${r.exit}"]}], ["out", 3]),
    "failed": ([{"raise": {"type": "MyError", "message": "no"}}], "MyError"),
    "sleeps": ([{"print": "a"}, {"sleep": 1}, {"print": "b"}, {"return": "slept"}], "slept"),
    "runs": ([{"sh": "if [ $CORO_ATTEMPT -gt 3 ]; then echo again; else %s; fi" % GATED, "on_lost": "retry", "as": "r"},
              {"return": "${r.stdout}"}], "again"),
    "loses": ([{"try": {"sh": GATED}, "except": [{"type": "LostError", "as": "e", "do": {"return": "${e.type}"}}]}],
              "LostError"),
    "queue": ([{"queue": {"maxsize": 2}, "as": "q"}, {"queue": {"name": "feed"}, "as": "feed"},
               {"gather": [[{"for": "i", "in": {"range": 5}, "do": {"put": "${i}", "into": "${q}"}},
                            {"shutdown": "${q}"}],
                           [{"get": "${feed}", "as": "x"}, {"set": {"got": ["${x}"]}},
                            {"for": "i", "in": "${q}", "do": {"set": {"got": ["...${got}", "${i}"]}}},
                            {"return": "${got}"}]], "as": "r"},
               {"return": "${r[1]}"}], ["fed", 0, 1, 2, 3, 4]),
    "locks": ([{"lock": {}, "as": "l"}, {"event": {}, "as": "e"}, {"queue": {"name": "feed2"}, "as": "feed"},
               {"gather": [[{"with": "${l}", "do": [{"get": "${feed}", "as": "x"}, {"print": "${x}"}]},
                            {"set_event": "${e}"}],
                           [{"wait": "${e}"}, {"with": "${l}", "do": {"print": "second"}}],
                           {"timeout": 100000, "do": [{"wait": "${e}"}, {"return": 7}]}], "as": "r"},
               {"return": "${r[2]}"}], 7),
    "held": ({"hold": True, "main": [{"return": "released"}]}, "released"),
    "delayed": ({"delay": 1, "main": [{"return": "delayed"}]}, "delayed"),
    "pending": ([{"gather": {"for": "i", "in": {"range": 4}, "do": [{"sh": "echo $I", "env": {"I": "${i}"},
                                                                    "pool": "closed", "as": "r"},
                                                                   {"return": "${r.stdout}"}]}, "as": "r"},
                 {"return": "${r}"}], ["0", "1", "2", "3"]),
}


def state_of(c, job):
    return c.call("job.get", id=job)["state"]


def write(directory):
    """A database with jobs in many states; its schema's number and the SQL text that makes it."""
    with Daemon() as d:
        with d.client() as c:
            c.call("pool.set", name="default", slots=8)
            c.call("pool.set", name="closed", slots=1)
            c.call("pool.pause", name="closed")
            ids = {name: c.submit({"main": doc, "cwd": "/"} if isinstance(doc, list) else {**doc, "cwd": "/"},
                                  key=name, env={"PATH": "/usr/bin:/bin"})
                   for name, (doc, _) in JOBS.items()}
            c.finish(ids["ended"])
            c.finish(ids["failed"])
            wait_until(lambda: len(c.call("queue.list")["queues"]) == 2, "queues")
            wait_until(lambda: c.call("system.stats")["running_commands"] == 2, "commands")
        d.stop()
        with contextlib.closing(sqlite3.connect(os.path.join(d.state, "corod.db"))) as db:
            version = db.execute("PRAGMA user_version").fetchone()[0]
            text = "".join("PRAGMA %s = %d;\n" % (name, db.execute("PRAGMA " + name).fetchone()[0])
                           for name in ("application_id", "user_version", "auto_vacuum"))
            with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as f:  # it will be another one
                text += "\n".join(db.iterdump()).replace(f.read().strip(), "another boot") + "\n"
    path = os.path.join(directory, "schema-%d.sql.xz" % version)
    with lzma.open(path, "wt", preset=9, encoding="utf-8") as f:
        f.write(text)
    return path


def read(path):
    """A daemon takes it up: what had ended is as it was, the rest goes on."""
    if os.geteuid() != 0:
        raise Skip("the jobs in it are root's")
    with lzma.open(path, "rt", encoding="utf-8") as f:
        text = f.read()
    d = Daemon()
    os.makedirs(d.state, mode=0o700)
    with contextlib.closing(sqlite3.connect(os.path.join(d.state, "corod.db"))) as db:
        db.executescript(text)
    os.chmod(os.path.join(d.state, "corod.db"), 0o600)
    with d, d.client() as c:
        ids = {name: c.call("job.submit", key=name, job={"main": doc, "cwd": "/"} if isinstance(doc, list)
                            else {**doc, "cwd": "/"}) for name, (doc, _) in JOBS.items()}
        check(all(answer["existing"] for answer in ids.values()), "a key is forgotten")
        c.call("pool.resume", name="closed")
        c.call("job.release", id=ids["held"]["id"])
        c.call("queue.put", name="feed", value="fed")
        c.call("queue.put", name="feed2", value="fed")
        for name, (_, wanted) in JOBS.items():
            got = c.finish(ids[name]["id"])
            if name == "failed":
                equal(got["error"]["type"], wanted)
            else:
                equal((got["state"], got["value"]), ("succeeded", wanted), "%s %s" % (name, got["error"]))
        equal(c.call("job.get", id=ids["ended"]["id"])["output"], ["line"])
        equal(c.call("job.get", id=ids["sleeps"]["id"])["output"], ["a", "b"])
        equal(c.call("job.get", id=ids["locks"]["id"])["output"], ["fed", "second"])
        equal(c.run({"main": {"sh": "echo new"}})["value"]["stdout"], "new")
        d.stop()
        with contextlib.closing(sqlite3.connect(os.path.join(d.state, "corod.db"))) as db:
            equal(db.execute("PRAGMA quick_check").fetchone()[0], "ok")


def write_and_read():
    with tempfile.TemporaryDirectory() as directory:
        read(write(directory))


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        print(write(HERE))
        sys.exit(0)
    test(write_and_read, name="this schema")
    for schema in sorted(glob.glob(os.path.join(HERE, "schema-*.sql.xz"))):
        test(read, schema, name=os.path.basename(schema))
    finish()
