#!/usr/bin/env python3
# test-timeout: 180
# test-sanitized: yes
"""When a job starts: held, at a time, after others; changed before it starts; why it does not start."""
import datetime
import os
import resource
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from corod import Daemon, check, equal, run_tests, wait_until  # noqa: E402
from home import Home  # noqa: E402

HOUR = 3600
HELLO = {"print": "hello"}
FOREVER = {"await": {"sleep": 100000}}
FAIL = {"raise": {"type": "ValueError", "message": "no"}}


def job(main=None, **keys):
    return dict(keys, main=HELLO if main is None else main)


def get(c, i):
    return c.call("job.get", id=i)


def states(c, *ids):
    return [get(c, i)["state"] for i in ids]


def becomes(c, i, state):
    wait_until(lambda: get(c, i)["state"] == state, "job %d being %s" % (i, state))


def same(c, i):
    """It stays as it is: what was submitted after it has run."""
    before = get(c, i)["state"]
    equal(c.run([{"sleep": 0}])["state"], "succeeded")
    equal(get(c, i)["state"], before)
    return before


def later(seconds):
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def texts(reasons):
    """[text, [those below it]] of each."""
    return [[r["text"], texts(r["reasons"])] if r.get("reasons") else r["text"] for r in reasons]


def explain(c, i):
    return texts(c.call("job.explain", id=i)["reasons"])


def cpu_seconds(d, c, method, **params):
    """What the daemon's processor time for a call is: others' work does not count."""
    clock = ~d.process.pid << 3 | 2  # clock_getcpuclockid(3)
    begun = time.clock_gettime(clock)
    c.call(method, **params)
    return time.clock_gettime(clock) - begun


# ---- one condition at a time ----

def test_hold():
    with Daemon() as d, d.client() as c:
        reply = c.call("job.submit", job=job(hold=True))
        equal(reply["state"], "held")
        i = reply["id"]
        equal(same(c, i), "held")
        shown = get(c, i)
        equal([shown["held"], shown["started"], shown["tasks"]], [True, None, []])
        equal([j["id"] for j in c.call("job.list", state=["held"])["jobs"]], [i])
        equal(c.call("job.tree", id=i)["tasks"], [])
        equal(c.call("job.wait", ids=[i], timeout=0.01)["timed_out"], True)
        equal(c.call("job.release", id=i)["jobs"][0]["id"], i)
        done = c.finish(i)
        equal([done["state"], done["output"], "held" in done], ["succeeded", ["hello"], False])
        equal(c.run(job(hold=False))["state"], "succeeded")


def test_delay():
    with Daemon(clock=True) as d:
        with d.client() as c:
            i = c.submit(job(delay=HOUR))
            equal(same(c, i), "scheduled")
            check(get(c, i)["at"] > get(c, i)["created"], "when it starts is shown")
        for jump in (-5 * HOUR, 30 * HOUR):  # a clock that is set changes nothing
            d.set_wall(jump)
            with d.client() as c:
                equal(same(c, i), "scheduled")
        d.advance(HOUR - 100)
        with d.client() as c:
            equal(same(c, i), "scheduled")
        d.advance(100)
        with d.client() as c:
            equal(c.finish(i)["output"], ["hello"])
            equal(c.call("job.submit", job=job(delay=0))["state"], "queued")


def test_at():
    with Daemon(clock=True) as d:
        with d.client() as c:
            first, second = c.submit(job(at=later(HOUR))), c.submit(job(at=later(2 * HOUR)))
            equal(states(c, first, second), ["scheduled"] * 2)
            equal(c.call("job.submit", job=job(at="2001-01-01T00:00:00+01:00"))["state"], "queued")
        d.advance(HOUR)
        with d.client() as c:
            equal(c.finish(first)["state"], "succeeded")
            equal(same(c, second), "scheduled")
        d.set_wall(-10 * HOUR)  # the clock is followed: back …
        d.advance(2 * HOUR)
        with d.client() as c:
            equal(same(c, second), "scheduled")
        d.set_wall(9 * HOUR)  # … and forward
        with d.client() as c:
            equal(c.finish(second)["state"], "succeeded")


def test_after():
    with Daemon() as d, d.client() as c:
        good, bad = c.submit(job(hold=True)), c.submit(job(FAIL, hold=True))
        waiting = [c.submit(job(after=a)) for a in (
            good, [good], str(good), {"ok": [good]}, {"any": good}, {"any": [good, bad]}, {"fail": [bad]},
            {"ok": good, "fail": bad, "any": [good, bad]})]
        equal(set(states(c, *waiting)), {"waiting"})
        equal(get(c, waiting[-1])["after"], {"ok": [good], "any": [good, bad], "fail": [bad]})
        c.call("job.release", id=good)
        for i in waiting[:5]:
            equal(c.finish(i)["state"], "succeeded")
        equal(set(states(c, *waiting[5:])), {"waiting"})
        equal(get(c, waiting[-1])["after"], {"any": [bad], "fail": [bad]})
        c.call("job.release", id=bad)
        for i in waiting:
            equal(c.finish(i)["state"], "succeeded")
        check("after" not in get(c, waiting[-1]), "what has started waits for nothing")


def test_after_what_has_ended():
    with Daemon() as d, d.client() as c:
        good, bad = c.run(job())["id"], c.run(job(FAIL))["id"]
        for after in (good, {"any": [bad, good]}, {"fail": bad}, []):
            equal(c.run(job(after=after))["state"], "succeeded", repr(after))
        for after in (bad, [good, bad], {"fail": good}):
            reply = c.call("job.submit", job=job(after=after))
            equal(reply["state"], "failed", repr(after))
        # What ends in the same moment: looked up and ended at once, in either order.
        for _ in range(30):
            first = c.start("job.submit", {"job": job([])})
            c.send({"jsonrpc": "2.0", "id": 0, "method": "system.ping"})
            i = c.wait(first)["id"]
            equal(c.run(job(after=i))["state"], "succeeded")


def test_impossible():
    with Daemon() as d, d.client() as c:
        bad, gone, good = c.submit(job(FAIL, hold=True)), c.submit(job(hold=True)), c.submit(job(hold=True))
        needs = [c.submit(job(after=[good, bad])), c.submit(job(after=gone)), c.submit(job(after={"fail": good}))]
        below = c.submit(job(after=needs[0]))
        rescue = c.submit(job(after={"fail": below}))
        c.call("job.release", id=bad)
        c.call("job.cancel", id=gone)
        c.call("job.release", id=good)
        for i, text in zip(needs + [below], (
                "job %d failed; this job needs it to succeed" % bad,
                "job %d was cancelled; this job needs it to succeed" % gone,
                "job %d succeeded; this job needs it to fail" % good,
                "job %d failed; this job needs it to succeed" % needs[0])):
            done = c.finish(i)
            equal([done["state"], done["exit"], done["error"], done["started"], done["output"]],
                  ["failed", 125, {"type": "DependencyError", "message": text}, None, []])
            equal(explain(c, i), ["has ended: failed, DependencyError: " + text])
        long = c.run(job({"raise": {"type": "ValueError", "message": "x" * 1000}}))
        equal(explain(c, long["id"]), ["has ended: failed, ValueError"])
        equal(c.finish(rescue)["state"], "succeeded")


def test_no_such_job():
    with Daemon() as d, d.client() as c:
        held = c.submit(job(hold=True))
        for after in (999, [held, 998], {"any": [held + 1]}):  # its own id, too
            e = c.error("job.submit", job=job(after=after))
            equal([e.code, str(e).split(": ", 1)[-1].startswith("there is no job ")], [-32003, True])
        e = c.error("job.submit", job=job(after=list(range(1, 1002))))
        equal(e.code, -32015)
        equal(c.submit(job(hold=True)), held + 1, "nothing was made of them")


def test_keys():
    """A job with a key is there already, whatever it waited for."""
    with Daemon() as d, d.client() as c:
        first = c.submit(job(hold=True))
        document = job(after=first, hold=True)
        i = c.submit(document, key="k")
        reply = c.call("job.submit", job=document, key="k")
        equal([reply["id"], reply["existing"], reply["state"]], [i, True, "held"])
        e = c.error("job.submit", job=job(after=777), key="other")
        equal(e.code, -32003)
        equal(c.call("job.submit", job=job(), key="other")["existing"], False)


# ---- all together ----

def test_all_conditions():
    """It starts when the last one of them is met, in whatever order."""
    for order in ("hta", "ath", "tah", "aht"):
        with Daemon(clock=True) as d:
            with d.client() as c:
                other = c.submit(job(hold=True))
                i = c.submit(job(hold=True, delay=HOUR, at=later(2 * HOUR), after=other))
            for n, what in enumerate(order):
                with d.client() as c:
                    equal(same(c, i), "held" if "h" in order[n:] else "waiting" if "a" in order[n:] else "scheduled")
                    if what == "h":
                        c.call("job.release", id=i)
                    elif what == "a":
                        c.call("job.release", id=other)
                        c.finish(other)
                if what == "t":
                    d.advance(HOUR)
                    with d.client() as c:
                        check(same(c, i) != "succeeded", "both times must have come")
                    d.advance(HOUR)
            with d.client() as c:
                equal(c.finish(i)["output"], ["hello"])


def test_hold_and_release():
    with Daemon() as d, d.client() as c:
        running = c.submit(job(FOREVER))
        waiting, timed = c.submit(job(after=running)), c.submit(job(delay=HOUR))
        equal([j["state"] for j in c.call("job.hold", ids=[waiting, timed])["jobs"]], ["held", "held"])
        equal([j["state"] for j in c.call("job.release", ids=[waiting, timed])["jobs"]], ["waiting", "scheduled"])
        for method, state in (("job.hold", "running"), ("job.release", "running"), ("job.set", "running")):
            e = c.error(method, dict(id=running, **({"priority": 1} if method == "job.set" else {})))
            equal(e.code, -32004)
            check(state in str(e), str(e))
        e = c.error("job.release", id=waiting)
        check(e.code == -32004 and "waiting" in str(e), str(e))
        c.call("job.cancel", id=running)
        c.finish(waiting)
        equal(c.error("job.hold", id=waiting).code, -32004)
        for method in ("job.hold", "job.release", "job.explain"):
            equal(c.error(method, id=99).code, -32003)
        equal(c.error("job.hold").code, -32602)


def test_cancel():
    with Daemon() as d, d.client() as c:
        running = c.submit(job(FOREVER))
        ids = [c.submit(j) for j in (job(hold=True), job(delay=HOUR), job(at=later(HOUR)), job(after=running))]
        equal([j["state"] for j in c.call("job.cancel", ids=ids)["jobs"]], ["cancelled"] * 4)
        for i in ids:
            done = c.finish(i)
            equal([done["exit"], done["started"], done["output"]], [130, None, []])
        equal(c.error("job.cancel", id=ids[0]).code, -32004)
        killed = c.submit(job(after=running))
        equal(c.call("job.kill", id=killed)["jobs"][0]["state"], "cancelled")
        equal(get(c, running)["state"], "running")


def test_set():
    with Daemon(clock=True) as d:
        with d.client() as c:
            c.call("pool.set", name="side", slots=1)
            i = c.submit(job([{"sleep": 0}, {"run": ["true"]}], hold=True, name="old", labels={"a": "1"}, priority=2))
            e = c.error("job.set", id=i, pool="nowhere")
            equal(e.code, -32602)
            equal(c.error("job.set", id=i).code, -32602)
            equal(c.error("job.set", id=i, labels={"a": 1}).code, -32602)
            c.call("job.set", id=i, name="new", pool="side", priority=-7, labels={"b": "2"})

        def shown(c):
            j = get(c, i)
            return [j["name"], j["pool"], j["priority"], j["labels"]]
        with d.client() as c:
            equal(shown(c), ["new", "side", -7, {"b": "2"}])
        d.restart(signal.SIGKILL)
        with d.client() as c:
            equal(shown(c), ["new", "side", -7, {"b": "2"}])
            equal([j["id"] for j in c.call("job.list", name="new", label="b=2", pool="side")["jobs"]], [i])
            c.call("job.set", id=i, name="", labels={})
            equal(shown(c), [None, "side", -7, {}])
            # Time: each takes the place of what was set before.
            equal(c.call("job.set", id=i, delay=HOUR)["jobs"][0]["state"], "held")
            equal(c.call("job.release", id=i)["jobs"][0]["state"], "scheduled")
            c.call("job.set", id=i, at=later(3 * HOUR))
        d.advance(2 * HOUR)
        with d.client() as c:
            equal(same(c, i), "scheduled")
            c.call("job.set", id=i, delay=0)
            equal(c.finish(i)["state"], "succeeded")
            equal(c.error("job.set", id=i, name="x").code, -32004)
            equal(shown(c), [None, "side", -7, {}])


def test_set_priority_counts():
    """Of two that wait in one pool the one that was given a higher priority runs first."""
    with Daemon() as d, d.client() as c:
        c.call("pool.set", name="one", slots=1)
        hold = c.submit(job({"run": ["sleep", "1000"]}, pool="one"))
        becomes(c, hold, "running")
        ids = [c.submit(job([{"run": ["true"]}, {"return": "${n}"}], pool="one", hold=True, input={"n": n}))
               for n in range(3)]
        c.call("job.set", id=ids[2], priority=5)
        c.call("job.set", id=ids[0], priority=-5)
        for i in ids:
            c.call("job.release", id=i)
            becomes(c, i, "queued")
        d.restart(signal.SIGKILL)
        with d.client() as c:
            c.call("job.cancel", id=hold)
            done = [c.finish(i) for i in ids]
            finished = [j["finished"] for j in done]
            check(finished[2] < finished[1] < finished[0], repr(finished))


def test_set_of_what_is_queued():
    """It waits for its first slot: it can be moved, also its commands that say nothing else."""
    with Daemon() as d, d.client() as c:
        for name in ("one", "two"):
            c.call("pool.set", name=name, slots=1)
        busy = [c.submit(job({"run": ["sleep", "1000"]}, pool=p)) for p in ("one", "two")]
        for i in busy:
            becomes(c, i, "running")
        main = {"gather": [{"run": ["true"]}, {"run": ["true"], "priority": 7}, {"run": ["true"], "pool": "two"}]}
        first, second = c.submit(job({"run": ["true"]}, pool="one")), c.submit(job(main, pool="one"))
        becomes(c, first, "queued")
        becomes(c, second, "queued")
        equal(c.error("job.set", id=second, delay=1).code, -32004)

        def positions():
            reasons = c.call("job.explain", id=second)["reasons"][0]["reasons"]
            return [(r["pool"], r["position"]) for r in reasons]
        equal(positions(), [("one", 3), ("one", 1), ("two", 1)])
        c.call("job.set", id=second, priority=1, name="moved")
        equal(positions(), [("one", 2), ("one", 1), ("two", 1)])
        equal([get(c, second)[k] for k in ("priority", "name", "state")], [1, "moved", "queued"])
        d.restart(signal.SIGKILL)
        with d.client() as c:
            wait_until(lambda: positions() == [("one", 2), ("one", 1), ("two", 1)], "the same places")
            c.call("job.set", id=second, pool="two")
            equal(positions(), [("two", 2), ("two", 1), ("two", 3)])
            c.call("job.cancel", id=busy[0])
            equal(c.finish(first)["state"], "succeeded")
            equal(get(c, second)["state"], "queued")
            c.call("job.cancel", id=busy[1])
            equal(c.finish(second)["state"], "succeeded")


def test_hold_of_what_is_queued():
    """It gets no slot until it is released."""
    with Daemon() as d, d.client() as c:
        c.call("pool.set", name="one", slots=1)
        busy = c.submit(job({"run": ["sleep", "1000"]}, pool="one"))
        becomes(c, busy, "running")
        first, second = (c.submit(job({"run": ["true"]}, pool="one")) for _ in range(2))
        becomes(c, second, "queued")
        e = c.error("job.release", id=first)
        equal((e.code, e.message), (-32004, "job %d is not held, it is queued" % first))
        for _ in range(2):
            equal(c.call("job.hold", id=first)["jobs"][0]["state"], "paused")
        d.restart(signal.SIGKILL)
        with d.client() as c:
            equal(states(c, first, second), ["paused", "queued"])
            c.call("job.cancel", id=busy)
            equal(c.finish(second)["state"], "succeeded")
            equal([get(c, first)[k] for k in ("state", "started")], ["paused", None])
            equal(c.call("job.set", id=first, priority=7, pool="default")["jobs"][0]["priority"], 7)
            equal(get(c, first)["state"], "paused")
            equal(c.call("job.release", id=first)["jobs"][0]["id"], first)
            equal(c.finish(first)["state"], "succeeded")
            busy = c.submit(job({"run": ["sleep", "1000"]}))
            becomes(c, busy, "running")
            c.call("job.pause", id=busy)
            for method in "job.hold", "job.release":
                e = c.error(method, id=busy)
                check(e.code == -32004 and "is paused: only one that has not started" in e.message, str(e))


def test_events():
    with Daemon() as d, d.client() as c, d.client() as watcher:
        watcher.call("event.subscribe", filter={"types": ["job.created", "job.state"]})
        first = c.submit(job(hold=True))
        second = c.submit(job(after=first, delay=0.01))
        bad = c.submit(job(after={"fail": first}))
        c.call("job.release", id=first)
        for i in (first, second, bad):
            c.finish(i)
        seen = {first: [], second: [], bad: []}
        while not all(s and s[-1] in ("succeeded", "failed") for s in seen.values()):
            event = watcher.notification()[1]
            seen[event["job"]].append(event["state"])
        # The first of each comes with job.created; they end in the turn in which they start.
        equal(seen[first], ["held", "queued", "succeeded"])
        equal([s for s in seen[second] if s != "scheduled"], ["waiting", "queued", "succeeded"])
        equal(seen[bad], ["waiting", "failed"])


# ---- the daemon goes away ----

def test_kill_in_every_state():
    """Each state is taken up as it was; then it goes on."""
    with Daemon(clock=True) as d:
        with d.client() as c:
            other = c.submit(job(hold=True))
            held, timed = c.submit(job(hold=True)), c.submit(job(delay=HOUR))
            wall, waiting = c.submit(job(at=later(HOUR))), c.submit(job(after={"ok": other, "any": held}))
            both = c.submit(job(hold=True, after=other, delay=2 * HOUR))
            ids = [held, timed, wall, waiting, both]
            before = [{k: j.get(k) for k in ("state", "at", "after", "held", "created")} for j in map(c.call, ["job.get"] * 5, [{"id": i} for i in ids])]
        for _ in range(2):
            d.restart(signal.SIGKILL)
            with d.client() as c:
                after = [{k: j.get(k) for k in ("state", "at", "after", "held", "created")} for j in map(c.call, ["job.get"] * 5, [{"id": i} for i in ids])]
                equal(after, before)
        d.kill()
        d.advance(HOUR)
        d.start()
        with d.client() as c:
            equal([c.finish(i)["state"] for i in (timed, wall)], ["succeeded"] * 2)
            c.call("job.release", ids=[other])
            c.finish(other)
        d.restart(signal.SIGKILL)
        with d.client() as c:
            equal(get(c, waiting)["after"], {"any": [held]})
            equal(get(c, both)["state"], "held")
            c.call("job.release", ids=[held, both])
        d.restart(signal.SIGKILL)
        with d.client() as c:
            equal([c.finish(i)["state"] for i in (held, waiting)], ["succeeded"] * 2)
            equal(get(c, both)["state"], "scheduled")
        d.advance(HOUR)
        with d.client() as c:
            equal(c.finish(both)["state"], "succeeded")


def test_downtime_counts_across_boots():
    with Daemon(clock=True) as d:
        with d.client() as c:
            timed, wall, far = c.submit(job(delay=HOUR)), c.submit(job(at=later(HOUR))), c.submit(job(delay=9 * HOUR))
        d.kill_all()
        d.new_boot(downtime=2 * HOUR)
        d.start()
        with d.client() as c:
            equal([c.finish(i)["state"] for i in (timed, wall)], ["succeeded"] * 2)
            equal(same(c, far), "scheduled")
        d.advance(7 * HOUR)
        with d.client() as c:
            equal(c.finish(far)["state"], "succeeded")


def test_overdue_in_order():
    """By (deadline, id), whichever clock they wait for."""
    with Daemon(clock=True) as d:
        with d.client() as c:
            c.call("pool.set", name="one", slots=1)
            run = {"run": ["true"]}
            ids = [c.submit(job(run, pool="one", **keys)) for keys in (
                {"delay": 3 * HOUR}, {"delay": HOUR}, {"at": later(2 * HOUR)}, {"at": later(HOUR / 2)},
                {"delay": 3 * HOUR - 60})]
        d.kill()
        d.advance(5 * HOUR)
        d.start()
        with d.client() as c:
            starts = {i: c.finish(i)["finished"] for i in ids}
        equal(sorted(ids, key=starts.get), [ids[k] for k in (3, 1, 2, 4, 0)])


def test_end_and_what_follows_are_one_commit():
    """Killed again and again while a chain runs: nothing is lost and nothing runs twice."""
    with Daemon() as d:
        with d.client() as c:
            path = os.path.join(d.directory, "out")
            ids = [c.submit(job({"sh": "echo 0 >> %s" % path}, hold=True))]
            for n in range(1, 30):
                ids.append(c.submit(job({"sh": "echo %d >> %s" % (n, path)}, after=ids[-1])))
            c.call("job.release", id=ids[0])
        for _ in range(8):
            d.restart(signal.SIGKILL)
        with d.client() as c:
            equal(c.finish(ids[-1], 60)["state"], "succeeded")
        with open(path, encoding="ascii") as f:
            equal(f.read().split(), [str(n) for n in range(30)])


def test_lost_job():
    """A job that cannot be taken up any more is lost, and so is what needs it."""
    import sqlite3
    with Daemon() as d:
        with d.client() as c:
            running = c.submit(job(FOREVER))
            needs, any_end = c.submit(job(after=running)), c.submit(job(after={"any": running}))
            becomes(c, running, "running")
        d.stop()
        with sqlite3.connect(os.path.join(d.state, "corod.db")) as db:
            db.execute("UPDATE job SET runtime = NULL WHERE id = ?", (running,))
        db.close()
        d.start()
        with d.client() as c:
            equal(c.finish(running)["state"], "lost")
            done = c.finish(needs)
            equal([done["state"], done["error"]["message"]],
                  ["failed", "job %d was lost; this job needs it to succeed" % running])
            equal(c.finish(any_end)["state"], "succeeded")


# ---- many ----

def test_many():
    """5,000 that wait cost little; a cascade through all of them is no deep recursion."""
    n = 5000
    with Daemon() as d:
        with d.client() as c:
            first = c.submit(job(hold=True))
            requests = [c.start("job.submit", {"job": job(hold=True)}) for _ in range(n)]
            ids = [c.wait(r)["id"] for r in requests]
            equal(c.call("system.stats")["live_tasks"], 0)
            chain = [c.submit(job(after=first))]
            requests = [c.start("job.submit", {"job": job(after=chain[0] + k)}) for k in range(n)]
            chain += [c.wait(r)["id"] for r in requests]
            fan = [c.start("job.submit", {"job": job(after=first)}) for _ in range(n)]
            fan = [c.wait(r)["id"] for r in fan]
        d.restart(signal.SIGKILL)
        with d.client() as c:
            equal(c.call("system.stats")["live_jobs"], 3 * n + 2)
            c.call("job.cancel", id=first)
            for i in (chain[-1], fan[-1]):
                equal(c.finish(i, 60)["error"]["type"], "DependencyError")
            for k in range(0, n, 1000):
                c.call("job.release", ids=ids[k:k + 1000])
            equal(c.finish(ids[-1], 60)["state"], "succeeded")
            wait_until(lambda: c.call("system.stats")["live_jobs"] == 0, "the end of all")


def test_long_chain():
    """The end of the first fails thousands: a bounded number with each commit, and others are served in between. A
    daemon that is killed meanwhile goes on where it was; one that is removed meanwhile has told those that waited."""
    n = 8000
    with Daemon() as d:
        with d.client() as c:
            first = c.submit(job(FAIL, hold=True))
            requests = [c.start("job.submit", {"job": job(after=first + k)}) for k in range(n)]
            ids = [c.wait(r)["id"] for r in requests]
            fan = [c.start("job.submit", {"job": job(after={"fail": first})}) for _ in range(100)]
            fan = [c.wait(r)["id"] for r in fan]
            with d.client() as other:
                subscription = other.call("event.subscribe", filter={"job": [first], "types": ["job.state"]})
                c.start("job.release", {"id": first})
                while other.notification()[1]["state"] != "failed":
                    pass
                live = other.call("system.stats")["live_jobs"]
                check(live > n // 2, "%d of %d were left when the first had ended" % (live, n))
                del subscription
                c.call("job.remove", id=first)
            d.restart(signal.SIGKILL)
        with d.client() as c:
            equal(c.finish(ids[-1], 60)["error"]["message"], "job %d failed; this job needs it to succeed" % ids[-2])
            for i in fan:
                equal(c.finish(i)["state"], "succeeded")
            wait_until(lambda: c.call("system.stats")["live_jobs"] == 0, "the end of all")


def test_killed_while_thousands_are_told():
    """Who had not been told yet how the first ended finds it out after the restart."""
    n = 4000
    with Daemon() as d:
        with d.client() as c:
            first = c.submit(job(hold=True))
            requests = [c.start("job.submit", {"job": job(after={kind: first})}) for _ in range(n)
                        for kind in ("ok", "fail", "any")]
            ids = [c.wait(r)["id"] for r in requests]
            held = c.submit(job(after=first, hold=True))
            with d.client() as other:
                other.call("event.subscribe", filter={"job": [first], "types": ["job.state"]})
                c.start("job.release", {"id": first})
                while other.notification()[1]["state"] != "succeeded":
                    pass
            d.kill()
        d.start()
        with d.client() as c:
            wait_until(lambda: c.call("system.stats")["live_jobs"] == 1, "the end of all")
            for k in range(0, 3 * n, 3 * n // 20 + 1):
                equal(get(c, ids[k])["state"], "failed" if k % 3 == 1 else "succeeded")
            done = get(c, ids[3 * n - 2])
            equal([done["state"], done["error"]["message"]],
                  ["failed", "job %d succeeded; this job needs it to fail" % first])
            c.call("job.remove", id=first)
        d.restart(signal.SIGKILL)
        with d.client() as c:
            c.call("job.release", id=held)
            equal(c.finish(held)["state"], "succeeded")


def test_removed_while_thousands_are_told():
    """Those that waited for it are told first, and found without a look at all for each."""
    n = 10000
    with Daemon() as d, d.client() as c, d.client() as other:
        both = [c.submit(job(hold=True)) for _ in range(2)]
        began = time.monotonic()
        requests = [c.start("job.submit", {"job": job(after=i, hold=True)}) for i in both for _ in range(n)]
        ids = [c.wait(r)["id"] for r in requests]
        submitting = time.monotonic() - began
        other.call("event.subscribe", filter={"job": both[1:], "types": ["job.state"]})
        c.start("job.release", {"ids": both})
        while other.notification()[1]["state"] != "succeeded":
            pass
        began = time.monotonic()
        c.call("job.remove", id=both[1])
        removing = time.monotonic() - began
        check(removing < submitting / 3, "%.3f s, submitting took %.3f s" % (removing, submitting))
        equal(explain(c, ids[-1]), ["is held until it is released"])


def test_drain():
    with Daemon(clock=True) as d:
        with d.client() as c:
            held, timed = c.submit(job(hold=True)), c.submit(job(delay=HOUR))
            c.call("system.drain")
            d.advance(HOUR)
            equal(c.call("job.release", id=held)["jobs"][0]["state"], "queued")
            becomes(c, timed, "queued")
            equal(same_drained(c, held), "queued")
            equal(explain(c, held), ["the daemon is draining: it starts no jobs"])
        d.restart()
        with d.client() as c:
            equal([c.finish(i)["state"] for i in (held, timed)], ["succeeded"] * 2)


def same_drained(c, i):
    for _ in range(5):
        c.call("system.ping")
    return get(c, i)["state"]


# ---- why ----

def test_explain_gates():
    with Daemon() as d, d.client() as c:
        c.call("pool.set", name="gpu", slots=1)
        busy = c.submit(job({"run": ["sleep", "1000"]}, pool="gpu", name="train"))
        becomes(c, busy, "running")
        queued = c.submit(job({"run": ["true"]}, pool="gpu"))
        becomes(c, queued, "queued")
        last = c.submit(job({"run": ["true"]}, pool="gpu"))
        becomes(c, last, "queued")
        slot = "waits for a slot of pool gpu: 1 of 1 taken by %d.1, " % busy
        equal(explain(c, queued), [slot + "next in line"])
        equal(explain(c, last), [slot + "1 before it in line"])
        reason = c.call("job.explain", id=last)["reasons"][0]
        equal({k: reason[k] for k in ("kind", "task", "pool", "position", "holders")},
              {"kind": "slot", "task": "%d.1" % last, "pool": "gpu", "position": 2, "holders": ["%d.1" % busy]})
        wait_until(lambda: "pid" in c.call("job.explain", id=busy)["reasons"][0], "the command's process")
        text = explain(c, busy)[0]
        check(text.startswith("its command runs as process "), text)

        held = c.submit(job(hold=True, after={"ok": queued, "any": busy}, delay=HOUR))
        got = explain(c, held)
        equal(got[0], "is held until it is released")
        check(got[1].startswith("waits until ") and "59 min" in got[1], got[1])
        equal(got[2], ["waits for job %d to succeed, which is queued" % queued, [slot + "next in line"]])
        equal(got[3][0], "waits for job %d (train) to end, which is running" % busy)

        c.call("pool.pause", name="gpu")
        equal(explain(c, queued), [[slot + "next in line",
                                    ["pool gpu is paused: it gives no slots until it is resumed"]]])
        c.call("job.pause", id=queued)
        equal(explain(c, queued)[0], "is paused: its commands get no slots until it is resumed")
        c.call("job.cancel", id=busy)
        c.finish(busy)
        equal(explain(c, busy), ["has ended: cancelled"])


def test_explain_tasks():
    main = [{"as": "q", "queue": {}}, {"as": "l", "lock": {}}, {"as": "e", "event": {}},
            {"as": "t", "create_task": {"gather": [{"sleep": 1000}, {"run": ["sleep", "1000"]}]}},
            {"create_task": {"get": "${q}"}},
            {"task_group": [{"await": "${t}"}, {"with": "${l}", "do": {"wait": "${e}"}}, {"acquire": "${l}"}]}]
    with Daemon() as d, d.client() as c:
        i = c.submit(job(main))
        wait_until(lambda: "pid" in repr(c.call("job.explain", id=i)), "the command's process")
        got = explain(c, i)
        equal(got[0][0], "waits for task_group, 3 tasks left")
        awaits, event, lock = got[0][1]
        equal(awaits[0], "waits for task %d.2" % i)
        equal(awaits[1][0][0], "waits for gather of 2, 0 done")
        sleep, command = awaits[1][0][1]
        check(sleep.startswith("sleeps until ") and "16 min" in sleep, sleep)
        check(command.startswith("its command runs as process "), command)
        equal([event, lock, got[1]], ["waits for event 3", "waits for lock 2", "waits for an item of queue 1"])
        equal(len(got), 2)
        # Two that wait for each other do not end it.
        self_wait = c.submit(job([{"gather": [{"sleep": 500} for _ in range(50)]}]))
        becomes(c, self_wait, "running")
        reply = c.call("job.explain", id=self_wait)
        equal([len(reply["reasons"][0]["reasons"]), reply["more"]], [10, 40])


def test_explain_is_bounded():
    """A chain of jobs that is longer than what is shown; very many that are waited for."""
    with Daemon() as d, d.client() as c:
        i = c.submit(job(FOREVER))
        chain = [c.submit(job(after=i))]
        for _ in range(60):
            chain.append(c.submit(job(after=chain[-1])))
        depth, reasons = 0, c.call("job.explain", id=chain[-1])["reasons"]
        while reasons:
            depth, reasons = depth + 1, reasons[0].get("reasons")
        check(20 <= depth <= 30, "depth %d" % depth)
        reply = c.call("job.explain", id=c.submit(job(after=chain)))
        equal([len(reply["reasons"]), reply["more"]], [10, 51])
        many = c.submit(job({"gather": {"for": "i", "in": {"range": 30000}, "do": {"sleep": 1000}}}))
        becomes(c, many, "running")
        wait_until(lambda: c.call("job.explain", id=many)["more"] == 29990, "many tasks")
        # As many that wait for one slot: it takes no longer than to look at each once.
        c.call("pool.set", name="one", slots=1)
        do = {"run": ["sleep", "1000"], "pool": "one"}
        line = c.submit(job({"gather": {"for": "i", "in": {"range": 30000}, "do": do}}))
        wait_until(lambda: c.call("job.explain", id=line)["more"] == 29990, "a long line")
        took = [cpu_seconds(d, c, method, id=line) for method in ("job.get", "job.explain")]
        check(took[1] < 0.5 + 10 * took[0], "job.get and job.explain take %s" % took)
        # Changing very many of those that wait there does not look at all the others for each.
        ids = [c.submit(job({"run": ["true"]}, pool="one")) for _ in range(1000)]
        took = cpu_seconds(d, c, "job.set", ids=ids, priority=1)
        check(took < 0.15 + 8 * cpu_seconds(d, c, "job.get", id=line), "job.set takes %s" % took)


def test_what_has_not_started_counts():
    """However cheap a job that is held is: there is a limit to those, too."""
    with Daemon() as d, d.client() as c:
        d.configure("max_live_tasks = 3\n")
        c.call("system.reload")
        held = [c.submit(job(hold=True)) for _ in range(3)]
        equal(c.error("job.submit", job=job(hold=True)).code, -32007)
        c.call("job.release", id=held[0])
        c.finish(held[0])
        equal(c.finish(c.submit(job()))["state"], "succeeded")


def limit_files(pid, size):
    """What it writes may not be longer: as a full disk."""
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]))


def test_explain_trouble():
    with Daemon() as d, d.client() as c, d.client() as other:
        i = c.submit(job(hold=True))
        limit_files(d.process.pid, 4096)
        request = c.start("job.release", {"id": i})
        wait_until(lambda: other.call("system.stats")["storage"] == "failing", "trouble")
        reply = other.call("job.explain", id=i)
        equal([reply["state"], [r["kind"] for r in reply["reasons"]]], ["held", ["storage"]])
        limit_files(d.process.pid, resource.RLIM_INFINITY)
        c.wait(request)
        equal(c.finish(i)["state"], "succeeded")
    with Daemon(args=["--exec-program", ""]) as d, d.client() as c:
        i = c.submit(job({"run": ["true"]}))
        becomes(c, i, "queued")
        slot, executor = explain(c, i)
        check(slot.startswith("waits for a slot of pool default: 0 of "), slot)
        check(executor.startswith("the executor is not there"), executor)


# ---- the client ----

def test_client():
    with Home() as h:
        first = h.ok("add", "--hold", "-n", "first", "--", "true").strip()
        second = h.ok("add", "--after", "first", "--delay", "10m", "--", "true").strip()
        third = h.ok("add", "--after-any", "%s-%s" % (first, second), "--after-fail", "last", "--", "true").strip()
        at = h.ok("add", "--at", "2099-12-24 22:30", "--", "true").strip()
        listed = {j["id"]: j for j in h.json("ls")}
        equal(listed[int(second)]["after"], {"ok": [int(first)]})
        equal(listed[int(third)]["after"], {"any": [int(first), int(second)], "fail": [int(second)]})
        equal([listed[int(i)]["state"] for i in (first, second, third, at)], ["held", "waiting", "waiting", "scheduled"])
        out = h.ok("ls", env={"TZ": "UTC"})
        check("after %s; until " % first in out and "until 2099-12-24" in out, out)
        out = h.ok("ls")
        check("after the end of %s, %s; after the failure of %s" % (first, second, second) in out, out)
        check("is held until it is released" in h.ok("explain", first), "explain")
        equal(h.json("explain", first)["reasons"][0]["kind"], "held")
        check("waits" in h.ok("show", second), "show")
        h.ok("hold", second)
        h.ok("set", "--priority", "3", "-l", "k=v", "--name", "two", "--delay", "0", second)
        two = h.json("show", "two")
        equal([two["priority"], two["labels"], "at" in two], [3, {"k": "v"}, False])
        h.ok("release", "1-2")
        h.ok("wait", first, second)
        r = h.coro("release", first)
        check(r.status and "has ended" in r.err, repr(r))
        r = h.coro("add", "--after", "nobody", "--", "true")
        check(r.status and "nobody" in r.err, repr(r))
        r = h.coro("add", "--at", "soon", "--", "true")
        check(r.status and "is no time" in r.err, repr(r))
        r = h.coro("set", first)
        check(r.status == 2 and "what is to be set" in r.err, repr(r))
        r = h.coro("run", "--after", third, "--", "echo", "hi")
        equal(r.status, 125)
        check("DependencyError" in r.err, repr(r))
        equal(h.ok("run", "--after", second, "--delay", "1", "--", "echo", "hi"), "hi\n")


if __name__ == "__main__":
    run_tests(globals(), sys.argv[1:])
