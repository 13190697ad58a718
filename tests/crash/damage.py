#!/usr/bin/env python3
# test-timeout: 180
"""A database that is damaged, cut, empty, another's or of another program is refused, said why, and never
changed; one whose damage shows while the daemon runs is not written to any more."""
import hashlib
import os
import sqlite3
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from corod import Daemon, Skip, check, equal, finish, test, wait_until  # noqa: E402

PAGE = 4096


def database(d):
    return os.path.join(d.state, "corod.db")


def files(d):
    """What the database and its log are now."""
    found = {}
    for name in sorted(os.listdir(d.state)):
        if name in ("corod.db", "corod.db-wal"):
            with open(os.path.join(d.state, name), "rb") as f:
                found[name] = hashlib.sha256(f.read()).hexdigest()
    return found


def prepared(d, kill=False):
    d.start()
    with d.client() as c:
        job = c.run({"main": [{"print": "kept"}, {"sh": "true"}]})["id"]
    (d.kill if kill else d.stop)()
    return job


def refused(d, why):
    before = files(d)
    try:
        d.start()
    except AssertionError as e:
        check("did not start" in str(e) and why in str(e), str(e))
    else:
        raise AssertionError("it started: %s" % d.log())
    d.process = None
    equal(files(d), before, "it was changed")


def in_own(function):
    d = Daemon()
    d.env["COROD_TEST_DIR"] = d.directory
    try:
        function(d)
    finally:
        Daemon.all.remove(d)
        d.end()


def test_no_database(d):
    prepared(d)
    with open(database(d), "w", encoding="ascii") as f:
        f.write("this is text\n" * 1000)
    refused(d, "not a SQLite file")


def test_cut(d):
    prepared(d)
    os.truncate(database(d), os.path.getsize(database(d)) // 2)
    refused(d, "shorter than it says")


def test_empty_with_a_log(d):
    prepared(d, kill=True)
    check(os.path.getsize(database(d) + "-wal") > 0)
    os.truncate(database(d), 0)
    refused(d, "it is empty, but its log is not")


def test_broken_page(d):
    prepared(d)
    with open(database(d), "r+b") as f:
        f.seek(PAGE * 4)
        f.write(b"\xff" * PAGE)
    refused(d, "is damaged")


def test_broken_log(d):
    """A log whose end is torn is what every crash leaves: what was whole in it counts."""
    job = prepared(d, kill=True)
    size = os.path.getsize(database(d) + "-wal")
    with open(database(d) + "-wal", "r+b") as f:
        f.truncate(size - 100)
        f.seek(0, 2)
        f.write(b"\xee" * 50)
    d.start()
    with d.client() as c:
        check(c.call("job.list")["jobs"][0]["id"] == job)


def test_newer(d):
    prepared(d)
    db = sqlite3.connect(database(d))
    db.execute("PRAGMA journal_mode = DELETE")
    db.execute("PRAGMA user_version = 1000")
    db.close()
    refused(d, "was written by a newer corod")


def test_another_programs(d):
    prepared(d)
    os.unlink(database(d))
    db = sqlite3.connect(database(d))
    db.execute("CREATE TABLE precious(x)")
    db.close()
    refused(d, "another program")


def test_another_users(d):
    if os.geteuid() != 0:
        raise Skip("it takes root to give a file away")
    prepared(d)
    os.chown(database(d), 12345, 12345)
    refused(d, "belongs to user 12345")
    os.chown(database(d), 0, 0)
    os.chown(d.state, 12345, 12345)
    refused(d, "belongs to user 12345")


def test_no_directory(d):
    """It is made; what cannot be made is said."""
    with open(os.path.join(d.directory, "file"), "w", encoding="ascii"):
        pass
    d.state = os.path.join(d.directory, "file", "s")
    try:
        d.start()
    except AssertionError as e:
        check("Not a directory" in str(e), str(e))
    else:
        raise AssertionError("it started")
    d.process = None
    d.state = os.path.join(d.directory, "new", "s")
    d.start()


def grow(path, jobs):
    """Finished jobs by SQL, so that starting does not check the file wholly."""
    db = sqlite3.connect(path)
    db.execute("PRAGMA synchronous = OFF")
    columns = [r[1] for r in db.execute("PRAGMA table_info(job)") if r[1] not in ("id", "uuid", "value", "key")]
    names = ", ".join(columns)
    db.execute("""WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
        INSERT INTO job(id, uuid, value, %s) SELECT i, randomblob(16), hex(zeroblob(1000)), %s FROM n, job
        WHERE job.id = 1""" % (names, ", ".join("job." + c for c in columns)), (jobs + 10,))
    db.commit()
    (page,) = db.execute("SELECT pageno FROM dbstat WHERE name = 'job' AND pagetype = 'leaf' LIMIT 1 OFFSET ?",
                         (jobs // 8,)).fetchone() if has_dbstat(db) else (None,)
    db.close()
    return page


def has_dbstat(db):
    try:
        db.execute("SELECT 1 FROM dbstat LIMIT 1")
        return True
    except sqlite3.OperationalError:
        return False


def spoil(d, page):
    with open(database(d), "r+b") as f:
        f.seek((page - 1) * PAGE)
        f.write(b"\xff" * PAGE)


def is_stopped(d):
    with d.client() as c:
        stats = wait_until(lambda: (lambda s: s if s["storage"] != "ok" else None)(c.call("system.stats")),
                           "the damage's discovery")
        check("is damaged" in stats["trouble"] and "restore a backup" in stats["trouble"], str(stats))
        error = c.error("job.submit", job={"main": {"print": 1}})
        equal(error.code, -32011)
        check("is damaged" in error.message, error.message)
    before = files(d)
    equal(d.stop(), 0)
    equal(files(d), before, "it was written to")


def test_large_after_an_unclean_end(d):
    """Starting does not wait for the check, which finds it."""
    prepared(d)
    page = grow(database(d), 40000)
    if not page:
        raise Skip("python's sqlite3 has no dbstat")
    check(os.path.getsize(database(d)) > 64 << 20)
    d.start()
    with d.client() as c:
        c.run({"main": {"print": 1}})
    d.kill()
    spoil(d, page)
    d.start()
    is_stopped(d)


def test_a_reader_finds_it(d):
    prepared(d)
    page = grow(database(d), 10000)
    if not page:
        raise Skip("python's sqlite3 has no dbstat")
    spoil(d, page)  # too large to be checked after a clean end
    d.start()
    with d.client() as c:
        c.run({"main": {"print": 1}})
        error = c.error("job.list", name="nobody*", limit=500)
        check(error.code in (-32011, -32603), str(error))
    is_stopped(d)


only = sys.argv[1:]
for name, function in list(globals().items()):
    if name.startswith("test_") and (not only or name in only):
        test(in_own, function, name=name)
finish()
