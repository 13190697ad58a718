"""Faults for the checker to find: each changes the records of a good run (a copy of them) as a broken daemon would
have left them, and names the rule that must notice."""
import json
import os
import sqlite3


class Records:
    def __init__(self, directory):
        self.directory = directory

    def path(self, name):
        return os.path.join(self.directory, name)

    def sql(self, text, *params):
        """Runs it; it must have changed something."""
        with sqlite3.connect(self.path("corod.db")) as db:
            changed = db.execute(text, params).rowcount
        db.close()
        assert changed > 0, text

    def one(self, text, *params):
        with sqlite3.connect(self.path("corod.db")) as db:
            return db.execute(text, params).fetchone()

    def all(self, text, *params):
        with sqlite3.connect(self.path("corod.db")) as db:
            return db.execute(text, params).fetchall()

    def job(self, kind):
        return self.one("SELECT id FROM job WHERE name GLOB ?", "*-" + kind)[0]

    def removed(self):
        """The id of the job that a client removed."""
        found = []
        self.told("removed", lambda x: found.append(x["id"]) or x)
        return found[0]

    def ran(self, change):
        """change(list of lines) → the new list."""
        with open(self.path("ran"), encoding="utf-8") as f:
            lines = f.read().splitlines()
        new = change(list(lines))
        assert new != lines
        with open(self.path("ran"), "w", encoding="utf-8") as f:
            f.write("".join(line + "\n" for line in new))

    def leaf(self, job):
        """What the first command of a job is called."""
        return self.leaf_of(self.one("SELECT min(number) FROM attempt WHERE job = ?", job)[0])

    def leaf_of(self, number):
        with open(self.path("ran"), encoding="utf-8") as f:
            return next(line.split()[4] for line in f if line.startswith("s %d " % number))

    def told(self, op, change, kind=""):
        """change(record) of the first of this kind that clients wrote; None: it is taken away."""
        for name in sorted(os.listdir(self.directory)):
            if not name.endswith(".log"):
                continue
            with open(self.path(name), encoding="utf-8") as f:
                records = [json.loads(line) for line in f]
            for i, r in enumerate(records):
                if r["op"] == op and r.get("tag", "").endswith(kind):
                    records[i] = change(r)
                    with open(self.path(name), "w", encoding="utf-8") as f:
                        f.write("".join(json.dumps(x) + "\n" for x in records if x))
                    return
        raise AssertionError("no %s %s" % (op, kind))


def first(lines, mark, word=""):
    return next(i for i, line in enumerate(lines) if line.startswith(mark) and word in line)


def line_again(lines):
    return [*lines, lines[first(lines, "s")]]


def line_gone(lines):
    del lines[first(lines, "s", "-gather")]
    return lines


def other_status(lines):
    i = first(lines, "e0", "-gather")
    return [*lines[:i], "e1" + lines[i][2:], *lines[i + 1:]]


def unknown_attempt(lines):
    return [*lines, "s 999999999 1.1 nobody leaf"]


def other_order(lines):
    """b of a DAG before a has ended."""
    tag = lines[first(lines, "s", "-dag b")].split()[3]
    b = [line for line in lines if line.split()[3:] == [tag, "b"]]
    return [*b, *(line for line in lines if line not in b)]


def second_run(r):
    """A command that was run again, under a number of its own."""
    job = r.job("gather")
    r.sql("INSERT INTO attempt(number, job, task, boot, launched, ended, how, status) SELECT 1000000, job, task, boot,"
          " launched, ended, how, status FROM attempt WHERE job = ? ORDER BY number LIMIT 1", job)
    task, name = r.one("SELECT task, name FROM attempt JOIN job ON job.id = job WHERE number = 1000000")
    leaf = r.leaf(job)
    r.ran(lambda lines: [*lines, "s 1000000 %d.%d %s %s" % (job, task, name, leaf),
                         "e0 1000000 %d.%d %s %s" % (job, task, name, leaf)])


def items(r, change):
    job = r.job("queue")
    value = json.loads(r.one("SELECT value FROM job WHERE id = ?", job)[0])
    longest = max(value, key=len)
    change(longest)
    text = json.dumps(value, separators=(",", ":"))
    r.sql("UPDATE job SET value = ? WHERE id = ?", text, job)
    r.told("ended", lambda x: {**x, "value": value}, "-queue")


def swap(got):
    got[0], got[1] = got[1], got[0]


def swap_output(r, kind, pattern):
    """The first two lines of the pattern."""
    job = r.job(kind)
    a, b = r.one("SELECT min(seq), max(seq) FROM (SELECT seq FROM output WHERE job = ? AND text GLOB ?"
                 " ORDER BY seq LIMIT 2)", job, pattern)
    for old, new in ((a, -1), (b, a), (-1, b)):
        r.sql("UPDATE output SET seq = ? WHERE job = ? AND seq = ?", new, job, old)


def drop_job(r):
    job = r.job("timers")
    for table in ("task", "task_end", "output"):
        r.sql("DELETE FROM %s WHERE job = ?" % table, job)
    r.sql("DELETE FROM job WHERE id = ?", job)


def damage(r):
    """Overwrites a page in the middle of the file."""
    with open(r.path("corod.db"), "r+b") as f:
        size = f.seek(0, 2)
        f.seek(size // 2 // 4096 * 4096)
        f.write(b"\xff" * 4096)


def drop_retry(r):
    job = r.one("SELECT id FROM job WHERE retry_of IS NOT NULL")[0]
    for table in ("task", "task_end", "attempt"):
        r.sql("DELETE FROM %s WHERE job = ?" % table, job)
    r.sql("DELETE FROM job WHERE id = ?", job)


def repeat_what_succeeded(r):
    """A retry runs a command that it was to know the result of."""
    job, of, name = r.one("SELECT id, retry_of, name FROM job WHERE retry_of IS NOT NULL")
    good = [n for n, in r.all("SELECT number FROM attempt WHERE job = ? AND how = 1 AND status = 0", of)]
    leaf = r.leaf_of(good[0])
    r.sql("INSERT INTO attempt(number, job, task, boot, launched, ended, how, status) SELECT 1000000, ?, 2, boot,"
          " launched, ended, how, status FROM attempt WHERE number = ?", job, good[0])
    r.ran(lambda lines: [*lines, "s 1000000 %d.2 %s %s" % (job, name, leaf), "e0 1000000 %d.2 %s %s" % (job, name, leaf)])


def keep_too_long(r):
    r.sql("INSERT INTO job(uuid, uid, gid, pool, priority, program, state, created, finished) SELECT x'01', uid, gid,"
          " 'brief', priority, program, state, created, finished FROM job WHERE id = ?", r.job("dag"))


def unended(lines):
    """The last that a command of a job wrote down that is gone now."""
    del lines[next(i for i, line in enumerate(lines) if line.startswith("e0") and line.split()[3].endswith("-brief"))]
    return lines


def set_job(kind, text):
    return lambda r: r.sql("UPDATE job SET %s WHERE id = ?" % text, r.job(kind))


# The rule that must notice → what is done.
CORRUPTIONS = [
    ("acknowledged", "a job is gone", drop_job),
    ("acknowledged", "an id is another job's", lambda r: r.told("submitted", lambda x: {**x, "id": r.job("dag")}, "-race")),
    ("key", "a second id is told", lambda r: r.told("submitted", lambda x: {**x, "again": True, "existing": False})),
    ("key", "a key makes two jobs", lambda r: r.sql(
        "INSERT INTO job(uuid, uid, gid, name, priority, program, state, created, finished) SELECT x'00', uid, gid, name,"
        " priority, program, state, created, finished FROM job WHERE id = ?", r.job("retry"))),
    ("twice", "a command runs twice", lambda r: r.ran(line_again)),
    ("leaf", "a command runs again under another number", second_run),
    ("never ran", "a success of what never ran", lambda r: r.ran(line_gone)),
    ("status", "another status", lambda r: r.ran(other_status)),
    ("record", "an attempt without record", lambda r: r.ran(unknown_attempt)),
    ("order", "a child does not wait for another", lambda r: r.ran(other_order)),
    ("lost", "an attempt is lost for no reason", lambda r: r.sql("UPDATE attempt SET how = 4 WHERE number = 1")),
    ("record", "one that ran is said not to have started", lambda r: r.sql(
        "UPDATE attempt SET how = 3 WHERE number = 1")),
    ("unfinished", "an attempt has no end", lambda r: r.sql("UPDATE attempt SET ended = NULL WHERE number = 1")),
    ("unfinished", "a job has no end", set_job("group", "finished = NULL, state = 4")),
    ("result", "a wrong value", set_job("gather", "value = '[\"outw1\"]'")),
    ("result", "a wrong state", set_job("race", "state = 7")),
    ("told", "told is another value than stored", lambda r: r.told("ended", lambda x: {**x, "value": 7}, "-dag")),
    ("told", "told is another output than stored", lambda r: r.told("ended", lambda x: {**x, "output": ["?"]}, "-dag")),
    ("cancel", "a cancel is forgotten", set_job("cancel", "state = 6")),
    ("items", "an item is lost", lambda r: items(r, lambda got: got.pop())),
    ("items", "an item is delivered twice", lambda r: items(r, lambda got: got.append(got[-1]))),
    ("order", "items in another order", lambda r: items(r, swap)),
    ("output", "lines are swapped", lambda r: swap_output(r, "lines", "*")),
    ("output", "a line is lost", lambda r: r.sql("DELETE FROM output WHERE job = ? AND seq = 3", r.job("lines"))),
    ("order", "prints of a task are swapped", lambda r: swap_output(r, "locks", "l*")),
    ("log", "a follower misses something", lambda r: r.told("log", lambda x: {**x, "text": x["text"][8:]})),
    ("coro run", "coro run shows a line twice", lambda r: r.told("ran", lambda x: {**x, "stdout": x["stdout"] + "0\n"})),
    ("coro run", "coro run ends with 0", lambda r: r.told("ran", lambda x: {**x, "status": 77})),
    ("rows", "rows of an ended job's queue", lambda r: r.sql(
        "INSERT INTO object(job, id, state) VALUES(?, 1, x'00')", r.job("queue"))),
    ("rows", "an item that nobody will take", lambda r: r.sql(
        "INSERT INTO item(job, object, seq, value) VALUES(?, 1, 1, x'00')", r.job("queue"))),
    ("rows", "a task without end", lambda r: r.sql("DELETE FROM task_end WHERE job = ? AND seq = 1", r.job("dag"))),
    ("removed", "rows of a removed job", lambda r: r.sql(
        "INSERT INTO output(job, seq, kind, at, text) VALUES(?, 1, 0, 0, '')", r.removed())),
    ("stopped", "a held job runs", lambda r: r.sql("UPDATE attempt SET launched = 1 WHERE job = ?", r.job("held"))),
    ("start", "a job starts before its delay is over", lambda r: r.sql(
        "UPDATE attempt SET launched = (SELECT created FROM job WHERE id = job) WHERE job = ?", r.job("delayed"))),
    ("start", "a job starts before another has ended", lambda r: r.sql(
        "UPDATE job SET finished = finished + 60000000 WHERE id = ?", r.job("first"))),
    ("items", "an item goes to two jobs", lambda r: r.sql(
        "UPDATE job SET value = (SELECT value FROM job WHERE name GLOB '*-take2') WHERE name GLOB '*-take1'")),
    ("items", "an item is left in a queue with a name", lambda r: r.sql(
        "INSERT INTO item(job, object, seq, value) VALUES(0, 1, 1, x'00')")),
    ("items", "a client is not given an item", lambda r: r.told("item", lambda x: None)),
    ("items", "an item comes again", lambda r: r.told("item", lambda x: {**x, "op": "done"})),
    ("http", "an answer to what was never asked", lambda r: os.truncate(r.path("http"), 0)),
    ("retry", "what was made again is gone", drop_retry),
    ("retry", "one asking makes two jobs", lambda r: r.sql(
        "INSERT INTO job(uuid, uid, gid, name, priority, program, state, created, finished, retry_of) SELECT x'00', uid,"
        " gid, name, priority, program, state, created, finished, retry_of FROM job WHERE retry_of IS NOT NULL")),
    ("retry", "nobody asked for a retry", lambda r: r.told("retry", lambda x: {**x, "id": 1 << 40})),
    ("leaf", "a retry repeats what succeeded", repeat_what_succeeded),
    ("result", "a retry has a wrong value", lambda r: r.sql(
        "UPDATE job SET value = '[]' WHERE retry_of IS NOT NULL")),
    ("limits", "a job goes before its age", lambda r: r.told(
        "ended", lambda x: {**x, "at": x["at"] + 3600}, "-brief")),
    ("limits", "a job goes when there are not enough others", lambda r: r.told(
        "ended", lambda x: {**x, "at": x["at"] + 3600}, "-few")),
    ("limits", "a job goes before its end", lambda r: r.ran(unended)),
    ("limits", "a job is kept too long", keep_too_long),
    ("unasked", "a job that nobody submitted", lambda r: r.told("submit", lambda x: None, "-timeout")),
    ("database", "a damaged page", damage),
    ("stray", "a process is left over", lambda r: json.dump(["1 sleep"], open(r.path("strays"), "w", encoding="utf-8"))),
]
