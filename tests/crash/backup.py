#!/usr/bin/env python3
# test-timeout: 240
"""A backup is made of a daemon at work and put back; the daemon is killed amid removals, backups and a restore.
After a restore nothing is mixed up: commands of before the backup are accounted for, those of after it are
nobody's, numbers are not given twice."""
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from corod import Daemon, check, equal, finish, program, test, wait_until  # noqa: E402

BIG = "head -c 100000 /dev/zero | tr '\\0' x"


def coro(d, *args, **more):
    return subprocess.run([program("coro"), "--socket", d.socket, "daemon", *args], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=False, timeout=120, **more)


def restore(d, path):
    return subprocess.run([*d.argv(), "--restore", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          stdin=subprocess.DEVNULL, check=False, timeout=120, env=d.env,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 30, 1 << 30)))


def backup(d, name="backup.db"):
    path = os.path.join(d.directory, name)
    done = coro(d, "backup", path)
    equal(done.returncode, 0, done.stderr.decode())
    return path


def rows(path, query):
    db = sqlite3.connect("file:%s?mode=ro" % path, uri=True, timeout=30)
    try:
        return db.execute(query).fetchall()
    finally:
        db.close()


def one(path, query):
    return rows(path, query)[0][0]


def database(d):
    return os.path.join(d.state, "corod.db")


def gate(d, name="gate"):
    path = os.path.join(d.directory, name)
    return path, "echo $CORO_ATTEMPT >>%s.ran; while [ ! -e %s ]; do sleep 0.02; done; echo opened" % (path, path)


def ran(path):
    try:
        with open(path + ".ran", encoding="ascii") as f:
            return [int(line) for line in f]
    except FileNotFoundError:
        return []


def test_under_load():
    with Daemon() as d, d.client() as c, d.client() as other:
        jobs = [c.run({"main": [{"print": "x" * 10000}, {"return": i}]})["id"] for i in range(50)]
        pending = [other.start("job.submit", {"job": {"main": {"gather": {
            "for": "i", "in": {"range": 100}, "do": {"print": "${i}"}}}}}) for _ in range(30)]
        path = backup(d)
        for request in pending:
            other.wait(request)
        equal(one(path, "PRAGMA integrity_check"), "ok")
        equal(os.stat(path).st_mode & 0o777, 0o600)
        have = {r[0] for r in rows(path, "SELECT id FROM job")}
        check(have >= set(jobs), "what was answered before is in it")
        equal(one(path, "SELECT count(*) FROM job WHERE id NOT IN (SELECT job FROM task)"), 0, "whole jobs")
        equal(sorted(n for n in os.listdir(d.state) if n.startswith("corod.db")),
              ["corod.db", "corod.db-shm", "corod.db-wal"])
        # Refused: a file that is there, a second one at a time, a piece of none.
        check(coro(d, "backup", path).returncode == 2)
        to_pipe = coro(d, "backup", "-")
        equal(to_pipe.stdout[:15], b"SQLite format 3")
        equal(c.error("system.backup_read", offset=0).code, -32004)
        c.call("system.backup")
        equal(other.error("system.backup").code, -32007)
        equal(c.call("system.backup_read", offset=1 << 40)["eof"], True)
        # Another daemon, from this backup.
        second = Daemon()
        os.mkdir(second.state, 0o700)
        done = restore(second, path)
        equal((done.returncode, done.stderr), (0, b""))
        with second, second.client() as s:
            equal(s.call("job.get", id=jobs[7])["value"], 7)
            new = s.run({"main": {"sh": "echo new"}})
            check(new["id"] > max(have), "a new id")


def test_refused():
    with Daemon() as d:
        with d.client() as c:
            c.run({"main": {"print": 1}})
        path = backup(d)
        running = restore(d, path)
        check(running.returncode == 1 and b"already uses" in running.stderr, running.stderr.decode())
        check(coro(d, "restore", path).returncode == 125, "it runs")
        d.stop()
        with open(database(d), "rb") as f:
            before = f.read()
        text, cut, other, broken = (os.path.join(d.directory, n) for n in ("text", "cut", "other", "broken"))
        with open(text, "w", encoding="ascii") as f:
            f.write("no database\n" * 100)
        with open(path, "rb") as f:
            data = f.read()
        with open(cut, "wb") as f:
            f.write(data[:len(data) // 2])
        with open(broken, "wb") as f:
            f.write(data[:8192] + b"\xff" * 4096 + data[12288:])
        sqlite3.connect(other).execute("CREATE TABLE t(x)").connection.commit()
        for file, why in ((text, "not a SQLite file"), (cut, "shorter"), (other, "another program"),
                          (broken, "damaged"), ("/dev/zero", "not a SQLite file"), (os.path.join(d.directory, "none"), "No such file")):
            done = restore(d, file)
            check(done.returncode == 1 and why in done.stderr.decode(), done.stderr.decode())
            with open(database(d), "rb") as f:
                check(f.read() == before, "the database was touched")
        check(not [n for n in os.listdir(d.state) if "copy" in n or "restoring" in n], str(os.listdir(d.state)))
        d.start()


def test_commands_of_then():
    """One command runs at the backup and ends before the restore, one runs all the time; others come later."""
    with Daemon() as d:
        with d.client() as c:
            c.call("pool.set", name="default", slots=20)
            short, short_script = gate(d, "short")
            long, long_script = gate(d, "long")
            late, late_script = gate(d, "late")
            a = c.submit({"main": [{"sh": short_script}, {"sh": "echo after"}]})
            b = c.submit({"main": {"sh": long_script, "as": "r"}})
            big = c.run({"main": {"sh": BIG}})["id"]
            wait_until(lambda: ran(short) and ran(long), "two commands")
            path = backup(d)
            open(short, "w").close()
            equal(c.finish(a)["state"], "succeeded")
            later = c.submit({"main": {"sh": late_script}})
            c.run({"main": {"sh": BIG}})
            wait_until(lambda: ran(late), "a command after the backup")
            highest = max(ran(late) + ran(short))
            logs = len(os.listdir(os.path.join(d.state, "exec", "log")))
            c.call("job.remove", id=big)
        d.stop()
        done = restore(d, path)
        equal(done.returncode, 0, done.stderr.decode())
        check(logs >= 2)
        d.start()
        with d.client() as c:
            job = c.finish(a)
            equal(job["error"]["type"], "LostError")
            equal(len(ran(short)), 1, "it was not run twice")
            equal(c.error("job.get", id=later).code, -32003)
            wait_until(lambda: "belongs to no job" in d.log(), "a word of it")
            open(long, "w").close()
            equal(c.finish(b)["value"]["stdout"], "opened")
            equal(len(ran(long)), 1)
            new = c.run({"main": {"sh": "echo $CORO_ATTEMPT"}})
            check(int(new["value"]["stdout"]) > highest + 1, "a number was given twice")
            check(new["id"] > later, "an id was given twice")
            equal(c.call("log.read", id=new["id"], stream="stdout")["data"], new["value"]["stdout"] + "\n")
            # Of the commands of after the backup nothing is left.
            known = one(path, "SELECT max(number) FROM attempt")
            wait_until(lambda: not [n for n in os.listdir(os.path.join(d.state, "exec", "log"))
                                    if known < int(n.split(".")[0]) <= highest], "removal of logs of nobody", 60)
        check(not os.path.exists(late), "")
        kept = [n for n in os.listdir(d.state) if ".before-" in n and not n.endswith("-wal")]
        equal(len(kept), 1)
        check(one(os.path.join(d.state, kept[0]), "SELECT max(id) FROM job") >= later, "what was there is kept")


def test_killed_amid_a_restore():
    with Daemon() as d:
        with d.client() as c:
            job = c.run({"main": {"print": "kept"}})["id"]
            path = backup(d)
            c.run({"main": {"print": "later"}})
        d.kill()
        d.env["COROD_ERRINJ"] = "STORE_IN_RESTORE"
        equal(restore(d, path).returncode, -signal.SIGKILL)
        del d.env["COROD_ERRINJ"]
        try:
            d.start()
            check(False, "it started")
        except AssertionError as e:
            check("was interrupted" in str(e), str(e))
        equal(restore(d, path).returncode, 0)
        d.start()
        with d.client() as c:
            equal([j["id"] for j in c.call("job.list")["jobs"]], [job])


def test_a_log_without_its_database():
    """Somebody has moved a database away, but not its log: that is of no other database."""
    with Daemon() as d:
        with d.client() as c:
            job = c.run({"main": {"print": "kept"}})["id"]
            path = backup(d)
            c.run({"main": {"print": "later"}})
        d.kill()
        check(os.stat(database(d) + "-wal").st_size > 0, "there is a log")
        os.rename(database(d), database(d) + ".bad")
        equal(restore(d, path).returncode, 0)
        d.start()
        with d.client() as c:
            equal([j["id"] for j in c.call("job.list")["jobs"]], [job])
        check([n for n in os.listdir(d.state) if ".before-" in n and n.endswith("-wal")], "the log is kept")


def test_killed_when_the_old_database_is_aside():
    """Ids are not given again either: those of then are in what the interrupted restore was to put in place."""
    with Daemon() as d:
        with d.client() as c:
            c.run({"main": []})
            path = backup(d)
            given = [c.run({"main": []})["id"] for _ in range(3)]
        d.kill()
        d.env["COROD_ERRINJ"] = "STORE_IN_RESTORE"
        equal(restore(d, path).returncode, -signal.SIGKILL)
        del d.env["COROD_ERRINJ"]
        for end in ("-wal", ""):
            os.rename(database(d) + end, database(d) + ".before-now" + end)
        equal(restore(d, path).returncode, 0)
        d.start()
        with d.client() as c:
            check(c.run({"main": []})["id"] > max(given), "a new id")


def test_killed_amid_removals():
    for at in 1, 2, 5:
        with Daemon() as d:
            with d.client() as c:
                large = c.submit({"main": {"gather": {"for": "i", "in": {"range": 3000}, "do": {"print": "${i}"}}}})
                commands = c.submit({"main": {"gather": [{"sh": BIG} for _ in range(5)]}})
                kept = c.submit({"main": [{"print": "kept"}, {"sh": BIG}]})
                for job in large, commands, kept:
                    equal(c.finish(job)["state"], "succeeded")
            d.stop()
            d.env["COROD_ERRINJ"] = "RETAIN_AFTER_SLICE=%d" % at
            d.start()
            with d.client() as c:
                try:
                    c.call("job.remove", ids=[large, commands])
                    wait_until(lambda: d.process.poll() is not None, "its death", 20)
                except Exception:  # it died before it answered
                    pass
                equal(d.process.wait(30), -signal.SIGKILL)
            del d.env["COROD_ERRINJ"]
            d.process = None
            d.start()
            with d.client() as c:
                listed = [j["id"] for j in c.call("job.list")["jobs"]]
                equal(listed, [kept])
                wait_until(lambda: one(database(d), "SELECT (SELECT count(*) FROM removal) + "
                                                    "(SELECT count(*) FROM gone_log)") == 0, "removal", 60)
                for table in "task", "task_end", "output", "attempt":
                    equal(rows(database(d), "SELECT DISTINCT job FROM %s" % table), [(kept,)], table)
                wait_until(lambda: len(os.listdir(os.path.join(d.state, "exec", "log"))) == 1, "logs")
                equal(c.call("log.read", id=kept, stream="stdout")["data"][:3], "xxx")


def test_logs_wait_for_the_executor():
    with Daemon() as d:
        with d.client() as c:
            job = c.run({"main": {"sh": BIG}})["id"]
        log = os.path.join(d.state, "exec", "log")
        d.stop()
        executor = [p for p in d.pids()]
        for pid in executor:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not d.pids(), "the executor's end")
        d.args += ["--exec-program", ""]
        d.start()
        with d.client() as c:
            c.call("job.remove", id=job)
            wait_until(lambda: one(database(d), "SELECT count(*) FROM removal") == 0, "removal")
            equal(one(database(d), "SELECT count(*) FROM gone_log"), 1)
            equal(len(os.listdir(log)), 1)
        d.kill()
        del d.args[-2:]
        d.start()
        wait_until(lambda: os.listdir(log) == [], "the log's removal")
        wait_until(lambda: one(database(d), "SELECT count(*) FROM gone_log") == 0, "its row's")


only = sys.argv[1:]
for name, function in list(globals().items()):
    if name.startswith("test_") and (not only or name in only):
        test(function)
finish()
