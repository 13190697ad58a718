#!/usr/bin/env python3
# test-timeout: 240
# test-sanitized: yes
"""What is kept of jobs that have ended, and how they are removed: asked for, by age, by number. Nothing of a
removed job is left, nothing of another is touched."""
import os
import sqlite3
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from corod import Daemon, check, equal, run_tests, wait_until  # noqa: E402

BIG = "head -c 100000 /dev/zero | tr '\\0' x"  # more than an end record holds: a log file
TABLES = ["task", "task_end", "output", "attempt", "removal", "gone_log", "object", "item"]

d = Daemon()
d.env["COROD_TEST_DIR"] = d.directory
d.start()


def rows(table, daemon=None):
    db = sqlite3.connect("file:%s/corod.db?mode=ro" % (daemon or d).state, uri=True, timeout=30)
    try:
        return db.execute("SELECT count(*) FROM %s" % table).fetchone()[0]
    finally:
        db.close()


def logs(daemon=None):
    return sorted(os.listdir(os.path.join((daemon or d).state, "exec", "log")))


def all_gone(daemon=None):
    counts = {t: rows(t, daemon) for t in TABLES}
    return not any(counts.values()) and not logs(daemon)


def ids(client, **filter):
    return [j["id"] for j in client.call("job.list", limit=500, **filter)["jobs"]]


def test_removed_wholly():
    with d.client() as c:
        kept = c.submit({"main": [{"print": "kept"}, {"sh": BIG}]})
        gone = c.submit({"main": [{"print": "a"}, {"gather": [{"sh": BIG}, {"sh": "echo small"}, {"sleep": 0}]},
                                  {"queue": {}, "as": "q"}, {"put": 1, "into": "${q}"}]},
                        env={"ONLY": "here"})
        for job in kept, gone:
            equal(c.finish(job)["state"], "succeeded")
        had = len(logs())
        equal(had, 2, "log files")
        result = c.call("job.remove", id=gone)
        equal([(j["id"], j["state"]) for j in result["jobs"]], [(gone, "succeeded")])
        equal(ids(c), [kept])
        for method in "job.get", "job.tree", "log.read", "job.remove", "job.cancel":
            equal(c.error(method, id=gone).code, -32003, method)
        wait_until(lambda: rows("removal") == rows("gone_log") == 0 and len(logs()) == 1, "removal")
        for table in "task", "task_end", "output", "attempt":
            equal(rows("%s WHERE job = %d" % (table, gone)), 0, table)
        equal(rows("program"), 1)
        equal(rows("environment"), 0)
        equal(c.call("log.read", id=kept, stream="stdout")["data"][:3], "xxx")
        c.call("job.remove", ids=[kept])
        wait_until(all_gone, "removal of the rest")
        equal(rows("program"), 0)


def test_live_ones_stay():
    with d.client() as c:
        live = c.submit({"main": {"sleep": 1000}})
        done = c.submit({"main": {"print": 1}})
        c.finish(done)
        error = c.error("job.remove", ids=[done, live])
        equal(error.code, -32004)
        check("cancel it first" in error.message, error.message)
        equal(c.call("job.get", id=done)["state"], "succeeded", "nothing was removed")
        equal(c.error("job.remove", ids=[done, 999999]).code, -32003)
        equal(c.error("job.remove", {}).code, -32602)
        c.call("job.cancel", id=live)
        c.finish(live)
        c.call("job.remove", ids=[done, live])
        wait_until(all_gone, "removal")


def test_ids_are_not_given_again():
    with d.client() as c:
        last = c.submit({"main": {"sh": "true"}})
        c.finish(last)
        number = c.call("job.tree", id=last)["tasks"][0]["attempt"]["number"]
        c.call("job.remove", id=last)
        wait_until(all_gone, "removal")
    d.restart()
    with d.client() as c:
        job = c.submit({"main": {"sh": "true"}})
        equal(job, last + 1)
        c.finish(job)
        equal(c.call("job.tree", id=job)["tasks"][0]["attempt"]["number"], number + 1)
        c.call("job.remove", id=job)


def test_a_program_that_others_have_stays():
    document = {"main": {"print": "shared"}}
    with d.client() as c:
        one, two = (c.submit(document, env={"A": "1"}) for _ in range(2))
        c.finish(one), c.finish(two)
        wait_until(lambda: rows("removal") == 0, "removals before")
        equal((rows("program"), rows("environment")), (1, 1))
        c.call("job.remove", id=one)
        wait_until(lambda: rows("removal") == 0, "removal")
        equal((rows("program"), rows("environment")), (1, 1))
        three = c.submit(document, env={"A": "1"})
        equal(c.finish(three)["output"], ["shared"])
        # Removing and submitting the same, over and over: the row is there whenever it is needed.
        job = three
        c.call("job.remove", id=two)
        for _ in range(50):
            request = c.start("job.remove", {"id": job})
            job = c.submit(document, env={"A": "1"})
            c.wait(request)
            equal(c.finish(job)["output"], ["shared"])
        c.call("job.remove", id=job)
        wait_until(all_gone, "removal")
        equal((rows("program"), rows("environment")), (0, 0))


def test_a_key_is_free_again():
    with d.client() as c:
        first = c.submit({"main": {"print": 1}}, key="once")
        equal(c.submit({"main": {"print": 1}}, key="once"), first)
        c.finish(first)
        c.call("job.remove", id=first)
        second = c.submit({"main": {"print": 2}}, key="once")
        check(second > first, "a new job")
        c.finish(second)
        c.call("job.remove", id=second)


def test_large_jobs_go_in_slices():
    with d.client() as c, d.client() as other:
        large = c.submit({"main": {"gather": {"for": "i", "in": {"range": 20000}, "do": {"print": "${i}"}}}})
        c.finish(large, 100)
        commits = c.call("system.stats")["store"]["commits"]
        c.call("job.remove", id=large)
        equal(ids(c), [])
        # Others are served meanwhile: by commits between those of the removal.
        other.finish(other.submit({"main": {"print": 1}}))
        wait_until(lambda: rows("removal") == 0, "removal", 60)
        commits = c.call("system.stats")["store"]["commits"] - commits
        check(commits > 10, "it was removed at once: in %d commits" % commits)
        equal(rows("task_end"), 1)
        c.call("job.remove", ids=ids(c))
        wait_until(all_gone, "removal")


def test_the_file_shrinks():
    with d.client() as c:
        job = c.submit({"main": {"for": "i", "in": {"range": 200}, "do": {"print": "x" * 50000}}})
        c.finish(job)
        size = os.path.getsize(os.path.join(d.state, "corod.db"))
        wait_until(lambda: os.path.getsize(os.path.join(d.state, "corod.db")) > 8 << 20, "growth")
        c.call("job.remove", id=job)
        wait_until(lambda: os.path.getsize(os.path.join(d.state, "corod.db")) < 3 << 20, "shrinking", 60)
        check(size < 100 << 20)


def test_a_follower_hears_of_it():
    with d.client() as c, d.client() as f:
        # A command that outlives its job, so that the follower still waits.
        gate = os.path.join(d.directory, "gate")
        job = c.submit({"main": {"sh": "while [ ! -e %s ]; do sleep 0.05; done" % gate, "timeout": 0.2,
                                 "leftover": "keep"}})
        events = f.call("event.subscribe")["subscription"]
        check(events)
        c.call("job.cancel", id=job)
        c.finish(job)
        follow = f.call("log.follow", id=job, stream="both")["subscription"]
        c.call("job.remove", id=job)
        seen = []

        def followed():
            return [p for _, p in seen if p.get("subscription") == follow]

        def is_told():
            return any(p.get("eof") or "removed" in p.get("message", "") for p in followed())

        # In either order: the follower is told when it looks again.
        while not any(p.get("type") == "job.removed" for _, p in seen) or not is_told():
            seen.append(f.notification())
        equal([p["job"] for _, p in seen if p.get("type") == "job.removed"], [job])
        check(followed()[-1].get("eof") or "removed" in followed()[-1].get("message", ""), str(seen))
        open(gate, "w").close()
        wait_until(all_gone, "removal")


def test_pools_of_their_own_and_room_for_logs():
    d.configure("keep_pools = tests=2 precious=0/0\nkeep_jobs = 4\n")
    d.restart()
    with d.client() as c:
        for name in "tests", "precious":
            c.call("pool.set", name=name, slots=1)
        done = {p: [c.run({"pool": p, "main": {"print": i}})["id"] for i in range(6)]
                for p in ("tests", "precious", "default")}
        wait_until(lambda: len(ids(c)) == 2 + 6 + 4, "removal by number")
        for name, n in ("tests", 2), ("precious", 6), ("default", 4):
            equal(ids(c, pool=name), done[name][::-1][:n], name)
        c.call("job.remove", ids=ids(c))
        # A reload changes the limits of pools too, again and again.
        done = [c.run({"pool": "tests", "main": {"print": i}})["id"] for i in range(3)]
        for text, n in ("tests=/1h precious=0/0", 3), ("precious=0/0 tests=1", 1):
            d.configure("keep_pools = %s\nkeep_jobs = 4\n" % text)
            equal(c.call("system.reload")["changed"], ["keep_pools"])
            wait_until(lambda: ids(c) == done[::-1][:n], "removal by another number")
        c.call("job.remove", ids=ids(c))
        # The oldest logs go; what they were of stays.
        logged = [c.run({"pool": "precious", "main": {"sh": BIG}})["id"] for _ in range(5)]
        equal(len(logs()), 5)
        d.configure("keep_log_bytes = 250K\n")
        c.call("system.reload")
        wait_until(lambda: len(logs()) == 2, "removal of logs")
        equal(ids(c), logged[::-1])
        equal(c.call("log.read", id=logged[0], stream="stdout")["data"], "")
        equal(c.call("log.read", id=logged[4], stream="stdout")["data"][:3], "xxx")
        c.call("job.remove", ids=logged)
        wait_until(all_gone, "removal")
    for bad in "x", "x=", "=1", "x=-1", "x=1/y":
        d.configure("keep_pools = %s\n" % bad)
        with d.client() as c:
            error = c.error("system.reload")
            check("keep_pools" in error.message, error.message)
    d.configure("")


def test_pages_look_at_a_part_of_the_jobs():
    with d.client() as c:
        old = c.run({"name": "far below", "main": {"print": 1}})["id"]
    d.stop()
    db = sqlite3.connect("%s/corod.db" % d.state)
    columns = [r[1] for r in db.execute("PRAGMA table_info(job)") if r[1] not in ("id", "name")]
    for new in 200000, 200001:
        db.execute("INSERT INTO job(id, name, %s) SELECT %d, 'above', %s FROM job WHERE id = %d" % (
            ", ".join(columns), new, ", ".join(columns), old))
    db.commit()
    db.close()
    d.start()
    with d.client() as c:
        equal(c.submit({"main": {"print": 1}}), 200002)
        page = c.call("job.list", name="far*")
        equal((page["jobs"], page["next"]), ([], str(old + 1)))
        page = c.call("job.list", name="far*", cursor=page["next"])
        equal([j["id"] for j in page["jobs"]], [old])
        check("next" not in page)
        equal([j["id"] for j in c.call("job.list", name="far below")["jobs"]], [old], "by its whole name")
        page = c.call("job.list", name="a*e", limit=1)
        equal(([j["id"] for j in page["jobs"]], page["next"]), ([200001], "200001"))
        equal(len(c.call("job.list", state=["failed"])["jobs"]), 0)
        c.finish(200002)
        c.call("job.remove", ids=[old, 200000, 200001, 200002])
        wait_until(all_gone, "removal")


def test_under_load():
    """Also while so many jobs end that more than are kept are of the last seconds."""
    with Daemon(config="keep_jobs = 1\nkeep_age = 1s\n") as own, own.client() as c:
        def removed():
            for _ in range(5):
                c.run({"main": {"print": 1}})
            return c.call("system.stats")["kept"]["removed"] > 5
        wait_until(removed, "a sweep")


def test_by_number_and_age():
    d.configure("keep_jobs = 3\n")
    d.restart()
    with d.client() as c:
        live = c.submit({"main": {"sleep": 1000}})
        done = [c.run({"main": [{"print": i}, {"sh": BIG}]})["id"] for i in range(8)]
        wait_until(lambda: ids(c, state=["succeeded"]) == sorted(done[-3:], reverse=True), "removal by number")
        wait_until(lambda: len(logs()) == 3 and rows("removal") == 0, "logs of the removed")
        equal(c.call("job.get", id=live)["state"], "running")
        kept = wait_until(lambda: (lambda s: s if s["jobs"] == 3 and s["last_sweep"] else None)(
            c.call("system.stats")["kept"]), "counts")
        equal(kept["removed"], 5)
        check(kept["log_bytes"] >= 300000, str(kept))
        d.configure("keep_age = 1s\n")
        c.call("system.reload")
        wait_until(lambda: ids(c) == [live], "removal by age")
        c.call("job.cancel", id=live)
        wait_until(all_gone, "removal of all")
        wait_until(lambda: c.call("system.stats")["kept"]["jobs"] == 0, "no jobs")


run_tests(globals())
