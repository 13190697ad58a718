#!/usr/bin/env python3
# test-timeout: 240
# test-sanitized: yes
"""Objects with names: jobs and clients share them; they outlive jobs and the daemon."""
import json
import os
import sqlite3
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from corod import Daemon, RpcError, check, equal, program, run_tests, wait_until  # noqa: E402


def output(c, job):
    return c.call("job.get", id=job)["output"]


def prints(c, job, n):
    wait_until(lambda: len(output(c, job)) >= n, "%d lines of job %s" % (n, job))


def awaits(c, job):
    return [t.get("awaits") for t in c.call("job.tree", id=job)["tasks"]]


def consumer(name, n, more=()):
    return [{"queue": {"name": name}, "as": "q"},
            {"for": "i", "in": {"range": n},
             "do": [{"get": "${q}", "as": "x"}, {"print": "${x}"}, {"task_done": "${q}"}, *more]}]


def producer(name, first, last, more=()):
    return [{"queue": {"name": name}, "as": "q"},
            {"for": "i", "in": {"range": [first, last, 1]},
             "do": [{"put": "${i}", "into": "${q}"}, *more]}]


def test_two_jobs():
    """One waits, and is not stuck; the other puts."""
    with Daemon() as d, d.client() as c:
        getter = c.submit(consumer("orders", 5))
        wait_until(lambda: "an item of queue \"orders\"" in str(awaits(c, getter)), "the getter")
        equal(c.run(producer("orders", 0, 5))["state"], "succeeded")
        done = c.finish(getter)
        equal((done["state"], done["output"]), ("succeeded", [str(i) for i in range(5)]))


def test_it_outlives_jobs_and_daemon():
    with Daemon() as d:
        with d.client() as c:
            equal(c.run(producer("q", 0, 3))["state"], "succeeded")
        d.kill()
        d.start()
        with d.client() as c:
            equal(c.run(consumer("q", 3))["output"], ["0", "1", "2"])
            job = c.run([{"queue": {"name": "q"}, "as": "q"}, {"join": "${q}"},
                         {"return": "${q.qsize}"}])
            equal(job["value"], 0)


def test_waiting_keeps_its_order():
    """Who waits first gets first, whatever job it is in, also behind a restart."""
    with Daemon() as d:
        with d.client() as c:
            jobs = []
            for i in range(6):
                jobs.append(c.submit(consumer("line", 2)))
                wait_until(lambda: "an item" in str(awaits(c, jobs[-1])), "the getter")
        d.kill()
        d.start()
        with d.client() as c:
            for i in range(6):
                equal(c.run(producer("line", i, i + 1))["state"], "succeeded")
                prints(c, jobs[i], 1)
                equal(output(c, jobs[i]), [str(i)])


def test_waiting_in_turns():
    """Tasks of two jobs wait by turns: so they do behind a restart."""
    def turns(name):
        take = [{"get": "${q}", "as": "x"}, {"print": "${x}"}]
        return [{"queue": {"name": "q"}, "as": "q"}, {"queue": {"name": name}, "as": "go"},
                {"task_group": [], "group": "g", "do": {"for": "i", "in": {"range": 4}, "do": [
                    {"get": "${go}"}, {"create_task": take, "in": "${g}"}]}}]
    with Daemon() as d:
        with d.client() as c:
            jobs = {name: c.submit(turns(name)) for name in ("a", "b")}
            for n in range(8):
                c.call("queue.put", name="ab"[n % 2], value=n)
                wait_until(lambda n=n: listed(c, "q")["getters"] == n + 1, "one more")
        d.kill()
        d.start()
        with d.client() as c:
            for n in range(8):
                c.call("queue.put", name="q", value=n)
            equal(c.finish(jobs["a"])["output"], ["0", "2", "4", "6"])
            equal(c.finish(jobs["b"])["output"], ["1", "3", "5", "7"])


def test_locks_of_ended_jobs_are_free():
    """Also of one that was killed with its daemon, and of one that never released it."""
    hold = [{"lock": {"name": "l"}, "as": "l"}, {"semaphore": {"name": "s", "value": 3}, "as": "s"},
            {"acquire": "${l}"}, {"acquire": "${s}"}, {"acquire": "${s}"}, {"print": "has it"}]
    want = [{"lock": {"name": "l"}, "as": "l"}, {"semaphore": {"name": "s"}, "as": "s"},
            {"with": "${l}", "do": [{"print": "in"}]},
            {"gather": {"for": "i", "in": {"range": 3}, "do": {"acquire": "${s}"}}},
            {"print": "all three"}]
    with Daemon() as d:
        with d.client() as c:
            holder = c.submit(hold + [{"sleep": 1000}])
            prints(c, holder, 1)
            waiter = c.submit(want)
            wait_until(lambda: "lock \"l\"" in str(awaits(c, waiter)), "who waits for the lock")
            others = c.call("queue.list")["others"]
            equal([(o["name"], o["holders"], o["job"]) for o in others],
                  [("l", 1, holder), ("s", 1, holder)])
            equal((others[0]["locked"], others[0]["waiting"], others[1]["value"]), (True, 1, 1))
        d.kill()
        d.start()
        with d.client() as c:
            equal(output(c, waiter), [])
            c.call("job.cancel", id=holder)
            equal(c.finish(waiter)["output"], ["in", "all three"])
            equal(c.run(hold)["state"], "succeeded")  # it ends without a release
            equal(c.run(want)["output"], ["in", "all three"])
            others = c.call("queue.list")["others"]
            equal((others[0]["locked"], others[1]["value"]), (False, 3))


def test_damaged_jobs_hold_nothing():
    with Daemon() as d:
        with d.client() as c:
            holder = c.submit([{"lock": {"name": "l"}, "as": "l"}, {"acquire": "${l}"},
                               {"print": "has it"}, {"sleep": 1000}])
            prints(c, holder, 1)
        d.stop()
        with sqlite3.connect(os.path.join(d.state, "corod.db")) as db:
            db.execute("UPDATE job SET runtime = x'00' WHERE id = ?", (holder,))
        d.start()
        with d.client() as c:
            equal(c.finish(holder)["state"], "lost")
            equal(c.run([{"lock": {"name": "l"}, "as": "l"}, {"with": "${l}", "do": []}])["state"],
                  "succeeded")


def test_names_have_one_type():
    with Daemon() as d, d.client() as c:
        equal(c.run([{"queue": {"name": "n", "maxsize": 2}}])["state"], "succeeded")
        job = c.run([{"lifo_queue": {"name": "n"}}])
        equal((job["error"]["type"], job["error"]["message"]),
              ("TypeError", "\"n\" is a queue, not a lifo_queue"))
        job = c.run([{"queue": {"name": "n", "maxsize": 3}}])
        equal((job["error"]["type"], job["error"]["message"]),
              ("ValueError", "queue \"n\" has maxsize 2, not 3"))
        equal(c.run([{"event": {"name": "e"}}])["state"], "succeeded")
        equal(c.error("queue.put", name="e", value=1).message, "\"e\" is an event, no queue")
        c.call("queue.put", name="n", value=1)
        equal(c.run([{"queue": {"name": "n"}, "as": "q"}, {"return": "${q.qsize}"}])["value"], 1)


def test_killed_jobs_hold_nothing():
    """And what waited for a turn in another job goes on: a barrier, a lock."""
    with Daemon() as d, d.client() as c:
        meet = [{"barrier": {"name": "b", "parties": 2}, "as": "b"}, {"lock": {"name": "l"}, "as": "l"},
                {"with": "${l}", "do": [{"print": "in"}, {"wait": "${b}"}]}]
        first = c.submit(meet)
        prints(c, first, 1)
        second = c.submit(meet)
        wait_until(lambda: "lock" in str(awaits(c, second)), "who waits for the lock")
        c.call("job.kill", id=first)
        prints(c, second, 1)
        c.run([{"barrier": {"name": "b", "parties": 2}, "as": "b"}, {"wait": "${b}"}])
        equal(c.finish(second)["state"], "succeeded")


def test_a_simulation_is_alone():
    with Daemon() as d, d.client() as c:
        c.call("queue.put", name="q", value=1)
        doc = [{"queue": {"name": "q"}, "as": "q"}, {"print": "${q.qsize}"}, {"get": "${q}"}]
        s = c.call("job.simulate", job=doc)
        equal((s["output"], s["error"]["type"]), (["0"], "DeadlockError"))
        equal(listed(c, "q")["size"], 1)


# ---- clients ----

def listed(c, name):
    none = {"size": 0, "held": 0, "getters": 0, "putters": 0}
    return ([q for q in c.call("queue.list")["queues"] if q["name"] == name] or [none])[0]


def test_put_get_done():
    values = [None, True, 1, -2.5, "text", [1, [2]], {"b": 1, "a": {"c": None}}, 2**53]
    with Daemon() as d, d.client() as c:
        for n, v in enumerate(values):
            equal(c.call("queue.put", name="q", value=v), {"size": n + 1})
        items = []
        for v in values:
            got = c.call("queue.get", name="q")
            equal(got["value"], v)
            items.append(got["item"])
        q = listed(c, "q")
        equal((q["type"], q["size"], q["held"], q["unfinished"]),
              ("queue", 0, len(values), len(values)))
        for i in items:
            equal(c.call("queue.done", name="q", item=i), {})
            equal(c.error("queue.done", name="q", item=i).code, -32004)
        equal(c.call("queue.join", name="q"), {})
        q = listed(c, "q")
        equal((q["size"], q["held"], q["unfinished"]), (0, 0, 0))
        equal(c.call("queue.remove", name="q"), {})
        equal(c.call("queue.list"), {"queues": [], "others": [], "more": 0})


def test_errors():
    with Daemon() as d, d.client() as c:
        e = c.error("queue.get", name="q", nowait=True)
        equal((e.code, e.message), (-32004, "queue \"q\" is empty"))
        equal(c.error("queue.get", name="q", timeout=0.01).code, -32008)
        equal(c.run([{"queue": {"name": "two", "maxsize": 1}}])["state"], "succeeded")
        c.call("queue.put", name="two", value=1)
        e = c.error("queue.put", name="two", value=2, nowait=True)
        equal((e.code, e.message), (-32004, "queue \"two\" is full"))
        equal(c.error("queue.put", name="two", value=2, timeout=0.01).code, -32008)
        equal(c.error("queue.join", name="two", timeout=0).code, -32008)
        equal(c.error("queue.join", name="none").code, -32003)
        equal(c.error("queue.remove", name="none").code, -32003)
        equal(c.error("queue.shutdown", name="none").code, -32003)
        equal(c.error("queue.put", name="two").code, -32602)
        equal(c.error("queue.put", name="", value=1).code, -32602)
        equal(c.error("queue.put", name="x" * 256, value=1).code, -32602)
        with d.client() as other:
            item = other.call("queue.get", name="two")["item"]
            equal(c.error("queue.done", name="two", item=item).code, -32004)
            equal(c.error("queue.done", name="nothing", item=1).code, -32004)
        c.call("queue.shutdown", name="two")
        equal(c.error("queue.put", name="two", value=1).message, "queue \"two\" is shut down")
        equal(c.call("queue.get", name="two")["value"], 1)
        equal(c.error("queue.get", name="two").message, "queue \"two\" is shut down")
        c.run([{"priority_queue": {"name": "p"}}])
        c.call("queue.put", name="p", value="a")
        equal(c.error("queue.put", name="p", value=1).code, -32602)


def test_clients_and_jobs_wait_in_one_line():
    with Daemon() as d, d.client() as a, d.client() as b, d.client() as c:
        first = a.start("queue.get", {"name": "q"})
        wait_until(lambda: listed(c, "q")["getters"] == 1, "the first")
        job = c.submit(consumer("q", 1))
        wait_until(lambda: listed(c, "q")["getters"] == 2, "the job")
        third = b.start("queue.get", {"name": "q"})
        wait_until(lambda: listed(c, "q")["getters"] == 3, "the third")
        for i in range(3):
            c.call("queue.put", name="q", value=i)
        equal(a.wait(first)["value"], 0)
        equal(c.finish(job)["output"], ["1"])
        equal(b.wait(third)["value"], 2)


def test_who_goes_away_gives_back():
    """In the old order, in front of what was put meanwhile."""
    with Daemon() as d, d.client() as c:
        for i in range(10):
            c.call("queue.put", name="q", value=i)
        a, b = d.client(), d.client()
        for i in range(0, 8, 2):
            equal(a.call("queue.get", name="q")["value"], i)
            equal(b.call("queue.get", name="q")["value"], i + 1)
        c.call("queue.put", name="q", value=10)
        b.close()
        wait_until(lambda: listed(c, "q")["held"] == 4, "what b had")
        a.close()
        wait_until(lambda: listed(c, "q")["held"] == 0, "what a had")
        equal([c.call("queue.get", name="q")["value"] for _ in range(11)], list(range(11)))
        # A waiting request that goes away leaves its place to others, and one that was woken too.
        waits = d.client()
        waits.start("queue.get", {"name": "empty"})
        wait_until(lambda: listed(c, "empty")["getters"] == 1, "the getter")
        waits.close()
        wait_until(lambda: listed(c, "empty")["getters"] == 0, "it to go")
        # Somebody waits while another goes away.
        holder = d.client()
        c.call("queue.put", name="one", value="x")
        holder.call("queue.get", name="one")
        request = c.start("queue.get", {"name": "one"})
        with d.client() as e:
            wait_until(lambda: listed(e, "one")["getters"] == 1, "the getter")
        holder.close()
        equal(c.wait(request)["value"], "x")


def test_given_back_to_other_queues():
    with Daemon() as d, d.client() as c:
        c.run([{"lifo_queue": {"name": "l"}}, {"priority_queue": {"name": "p"}}])
        for i in (3, 1, 2):
            c.call("queue.put", name="l", value=i)
            c.call("queue.put", name="p", value=i)
        with d.client() as a:
            equal([a.call("queue.get", name="l")["value"] for _ in range(2)], [2, 1])
            equal([a.call("queue.get", name="p")["value"] for _ in range(2)], [1, 2])
            c.call("queue.put", name="l", value=4)
        wait_until(lambda: listed(c, "l")["held"] + listed(c, "p")["held"] == 0, "all to be back")
        equal([c.call("queue.get", name="l")["value"] for _ in range(4)], [4, 2, 1, 3])
        equal([c.call("queue.get", name="p")["value"] for _ in range(3)], [1, 2, 3])


def test_held_items_survive_the_daemon():
    with Daemon() as d:
        with d.client() as c:
            for i in range(4):
                c.call("queue.put", name="q", value=i)
            done = [c.call("queue.get", name="q")["item"] for _ in range(3)][1]
            c.call("queue.done", name="q", item=done)
            d.kill()
        d.start()
        with d.client() as c:
            equal([c.call("queue.get", name="q")["value"] for _ in range(3)], [0, 2, 3])
            equal(listed(c, "q")["unfinished"], 3)


def test_what_a_client_held_wakes_a_job():
    """The item that a client had when the daemon died is there for who waited behind it."""
    with Daemon() as d:
        with d.client() as c:
            c.call("queue.put", name="q", value="x")
            c.call("queue.get", name="q")
            jobs = []
            for n in (1, 2):
                jobs.append(c.submit(consumer("q", 1)))
                wait_until(lambda n=n: listed(c, "q")["getters"] == n, "the getter")
            d.kill()
        d.start()
        with d.client() as c:
            equal(c.finish(jobs[0])["output"], ["x"])
            equal(listed(c, "q")["getters"], 1)


def test_damaged_rows_are_left():
    """The daemon starts without them, and says so; the name is free."""
    with Daemon() as d:
        with d.client() as c:
            for i in range(3):
                c.call("queue.put", name="bad", value=i)
                c.call("queue.put", name="good", value=i)
        d.stop()
        with sqlite3.connect(os.path.join(d.state, "corod.db")) as db:
            db.execute("UPDATE object SET state = x'0100' WHERE job = 0 AND id = 1")
            db.execute("UPDATE item SET value = x'ff' WHERE job = 0 AND object = 2 AND seq = 2")
        for _ in range(2):
            d.start()
            with d.client() as c:
                equal([q["name"] for q in c.call("queue.list")["queues"]], ["good"])
                equal(listed(c, "good")["size"], 2)
                equal(c.call("queue.put", name="bad", value="new")["size"], 1)
                equal(c.call("queue.get", name="bad")["value"], "new")
                c.call("queue.remove", name="bad", force=True)
            d.stop()
        check("named object 1 is damaged" in d.log())
        d.start()


def test_remove_ends_joins():
    with Daemon() as d, d.client() as c:
        job = c.submit([{"queue": {"name": "q"}, "as": "q"}, {"put": 1, "into": "${q}"},
                        {"get": "${q}"}, {"create_task": {"join": "${q}"}, "as": "t"},
                        {"sleep": 0}, {"print": "in"}, {"await": "${t}"}, {"task_done": "${q}"}])
        prints(c, job, 1)
        c.call("queue.remove", name="q", force=True)
        equal(c.finish(job)["state"], "succeeded")


def test_full_queue_and_join():
    with Daemon() as d, d.client() as c, d.client() as other:
        c.run([{"queue": {"name": "q", "maxsize": 1}}])
        c.call("queue.put", name="q", value=0)
        puts = [c.start("queue.put", {"name": "q", "value": i}) for i in (1, 2)]
        wait_until(lambda: listed(other, "q")["putters"] == 2, "the putters")
        join = c.start("queue.join", {"name": "q"})
        for i in range(3):
            got = other.call("queue.get", name="q")
            equal(got["value"], i)
            other.call("queue.done", name="q", item=got["item"])
        for p in puts:
            c.wait(p)
        equal(c.wait(join), {})


def test_remove():
    with Daemon() as d, d.client() as c, d.client() as other:
        c.call("queue.put", name="q", value=1)
        check("items in it" in c.error("queue.remove", name="q").message)
        with d.client() as a:
            a.call("queue.get", name="q")
            check("hold items" in c.error("queue.remove", name="q").message)
            equal(c.call("queue.remove", name="q", force=True), {})
            equal(a.error("queue.done", name="q", item=1).code, -32004)
        equal(c.call("queue.list")["queues"], [])
        # Jobs that use it, and that wait.
        getter = c.submit([{"queue": {"name": "q"}, "as": "q"}, {"get": "${q}"}])
        looper = c.submit([{"queue": {"name": "q"}, "as": "q"},
                           {"for": "x", "in": "${q}", "do": []}, {"return": "over"}])
        user = c.submit([{"lock": {"name": "l"}, "as": "l"}, {"print": "has it"}, {"sleep": 1000}])
        request = other.start("queue.get", {"name": "q"})
        wait_until(lambda: listed(c, "q")["getters"] == 3, "the getters")
        prints(c, user, 1)
        check("waits for it" in c.error("queue.remove", name="q").message)
        check("a job uses it" in c.error("queue.remove", name="l").message)
        c.call("queue.remove", name="q", force=True)
        equal(c.finish(getter)["error"]["type"], "QueueShutDown")
        equal(c.finish(looper)["value"], "over")
        try:
            raise AssertionError("it got %r" % other.wait(request))
        except RpcError as e:
            equal(e.code, -32004)
        holder = c.submit([{"lock": {"name": "l"}, "as": "l"}, {"queue": {"name": "go"}, "as": "go"},
                           {"with": "${l}", "do": [{"print": "in"}, {"get": "${go}"}]},
                           {"acquire": "${l}"}])
        prints(c, holder, 1)
        waiter = c.submit([{"lock": {"name": "l"}, "as": "l"}, {"acquire": "${l}"}])
        wait_until(lambda: "lock" in str(awaits(c, waiter)), "who waits")
        c.call("queue.remove", name="l", force=True)
        c.call("queue.put", name="go", value=1)
        for job in (waiter, holder):
            error = c.finish(job)["error"]
            equal((error["type"], error["message"]), ("RuntimeError", "the lock \"l\" was removed"))
        equal(c.call("queue.list")["others"], [])


def test_removed_ones_are_not_missed():
    """Jobs that still know one go on behind a restart; its number is not given again."""
    with Daemon() as d:
        with d.client() as c:
            job = c.submit([{"queue": {"name": "q"}, "as": "q"}, {"lock": {"name": "l"}, "as": "l"},
                            {"queue": {"name": "go"}, "as": "go"}, {"print": "ready"},
                            {"get": "${go}"},
                            {"try": {"get": "${q}"}, "except": [
                                {"as": "e", "do": {"print": "${e.type}"}}]},
                            {"try": {"acquire": "${l}"}, "except": [
                                {"as": "e", "do": {"print": "${e.type}: ${e.message}"}}]}])
            prints(c, job, 1)
            c.call("queue.remove", name="q", force=True)
            c.call("queue.remove", name="l", force=True)
        d.kill()
        d.start()
        with d.client() as c:
            c.call("queue.put", name="q", value="of a new one")
            c.call("queue.put", name="go", value=1)
            equal(c.finish(job)["output"],
                  ["ready", "QueueShutDown", "RuntimeError: the lock was removed"])
            equal(listed(c, "q")["size"], 1)


def test_exactly_once_between_jobs():
    """Producers and consumers in several jobs and clients; the daemon is killed in between."""
    n, producers, consumers = 120, 3, 3
    with Daemon() as d:
        with d.client() as c:
            gets = [c.submit([{"queue": {"name": "work", "maxsize": 5}, "as": "q"},
                              {"for": "x", "in": "${q}", "do": [
                                  {"print": "${x}"}, {"sleep": 0.005}, {"task_done": "${q}"}]}])
                    for _ in range(consumers)]
            puts = [c.submit([{"queue": {"name": "work", "maxsize": 5}, "as": "q"},
                              {"for": "i", "in": {"range": n}, "do": [
                                  {"put": "%d-${i}" % p, "into": "${q}"}]}])
                    for p in range(producers)]
        for k in range(5):
            with d.client() as c:
                wait_until(lambda k=k: sum(len(output(c, g)) for g in gets) > 50 * (k + 1), "some")
            d.kill()
            d.start()
        with d.client() as c:
            for p in puts:
                equal(c.finish(p, 60)["state"], "succeeded")
            c.call("queue.join", name="work")
            c.call("queue.shutdown", name="work")
            got = [line for g in gets for line in c.finish(g)["output"]]
        equal(sorted(got), sorted("%d-%d" % (p, i) for p in range(producers) for i in range(n)))
        for p in range(producers):  # each consumer sees each producer's in order
            for g in gets:
                with d.client() as c:
                    mine = [int(x.split("-")[1]) for x in output(c, g) if x.startswith("%d-" % p)]
                equal(mine, sorted(mine))


def test_at_least_once_for_clients():
    with Daemon() as d:
        with d.client() as c:
            for i in range(100):
                c.start("queue.put", {"name": "q", "value": i})
            for i in range(100):
                c.wait(i + 1)
        done = []
        while len(done) < 100:
            with d.client() as c:
                for _ in range(min(10, 100 - len(done))):
                    got = c.call("queue.get", name="q")
                    c.call("queue.done", name="q", item=got["item"])
                    done.append(got["value"])
                if len(done) < 100:
                    c.call("queue.get", name="q")
                    d.kill()
            if len(done) < 100:
                d.start()
        equal(done, list(range(100)))


def test_thousands_wait():
    """Getters without end, then as many items: each one is answered, in order."""
    with Daemon() as d, d.client() as c:
        many = [d.client() for _ in range(30)]
        requests = []
        for k in range(60):
            for m in many:
                requests.append((m, m.start("queue.get", {"name": "q"})))
            if k % 20 == 19:
                wait_until(lambda k=k: listed(c, "q")["getters"] == 30 * (k + 1), "the getters")
        for i in range(len(requests)):
            c.start("queue.put", {"name": "q", "value": i})
        got = sorted(m.wait(r)["value"] for m, r in requests)
        equal(got, list(range(len(requests))))
        for m in many[1:]:
            m.close()
        wait_until(lambda: listed(c, "q")["held"] == 60, "all but one to be back")


def test_a_client_that_never_reads():
    """It holds a bounded part of a queue's bytes, and others go on."""
    big = "x" * 1000000
    with Daemon() as d, d.client() as c:
        for _ in range(80):
            c.call("queue.put", name="big", value=big)
        lazy = d.client()
        # In one piece: it is not read to its end, and few small ones fill a socket.
        lazy.write(b"".join(b'{"jsonrpc":"2.0","id":%d,"method":"queue.get","params":{"name":"big"}}\n' % i
                            for i in range(1, 91)))
        wait_until(lambda: listed(c, "big")["held"] > 3, "some to be taken")
        c.call("system.ping")
        check(listed(c, "big")["held"] <= 70)
        lazy.close()
        wait_until(lambda: listed(c, "big")["held"] == 0, "all to be back")


def test_who_goes_away_with_all_that_it_may_ask():
    """A connection with as many requests as it may have is not read; its end is seen all the same."""
    with Daemon() as d, d.client() as c:
        c.call("queue.put", name="other", value=1)
        full = d.client()
        full.call("queue.get", name="other")
        for _ in range(64):
            full.start("queue.get", {"name": "empty"})
        wait_until(lambda: listed(c, "empty")["getters"] == 64, "the getters")
        full.close()
        wait_until(lambda: listed(c, "empty")["getters"] == 0, "the end of the getters")
        equal((listed(c, "other")["held"], listed(c, "other")["size"]), (0, 1))


# ---- coro queue ----

def coro(d, *words, data=None, status=0):
    done = subprocess.run([program("coro"), "--socket", d.socket, "queue", *words], input=data,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
    equal(done.returncode, status, done.stdout + done.stderr)
    return done.stdout


def test_commands():
    with Daemon() as d:
        coro(d, "put", "q", "a", "b c", "1")
        coro(d, "put", "q", "--json", "1", '{"x": [null]}', '"s"')
        coro(d, "put", "q", "-", data="line 1\nline 2")
        coro(d, "put", "q", "--json", "-", data="[1]\n2.5\n")
        equal(coro(d, "get", "q"), "a\n")
        equal(coro(d, "get", "q", "-n", "3"), "b c\n1\n1\n")
        equal(coro(d, "get", "q", "--json"), '{"x":[null]}\n')
        equal(coro(d, "get", "q", "--json"), '"s"\n')
        equal(coro(d, "get", "q", "-n", "4"), "line 1\nline 2\n[1]\n2.5\n")
        coro(d, "join", "q")
        coro(d, "get", "q", "--timeout", "0.01", status=124)
        coro(d, "get", "q", "--no-wait", status=125)
        coro(d, "put", "q", status=2)
        coro(d, "get", status=2)
        coro(d, "put", "q", "--json", "{", status=125)
        with d.client() as c:
            equal(c.call("queue.list")["queues"][0]["unfinished"], 0)
            c.run([{"lock": {"name": "l"}, "as": "l"}, {"queue": {"name": "two", "maxsize": 2}}])
        coro(d, "put", "two", "1", "2")
        coro(d, "put", "two", "3", "--no-wait", status=125)
        table = [line.split() for line in coro(d, "ls").splitlines()]
        equal([r[:2] for r in table[1:]], [["q", "queue"], ["two", "queue"], ["l", "lock"]])
        equal(table[2][3], "2/2")
        equal(json.loads(coro(d, "ls", "--json"))["others"][0]["name"], "l")
        coro(d, "rm", "two", status=125)
        coro(d, "shutdown", "two")
        equal(coro(d, "get", "-n", "0", "two"), "1\n2\n")
        coro(d, "rm", "two", "q", "l")
        equal(coro(d, "ls"), "")
        coro(d, "rm", "two", status=125)


def test_get_runs_a_command():
    with Daemon() as d:
        out = os.path.join(d.directory, "out")
        coro(d, "put", "q", "a b", "bad", "c")
        equal(coro(d, "get", "q", "--", "echo", "<{}>", "{}{}"), "<a b> a ba b\n")
        coro(d, "get", "-n", "0", "q", "--", "sh", "-c", '[ "$1" != bad ] || exit 7; echo "$1" >>' + out,
             "sh", status=7)
        coro(d, "get", "q", "--", "/nowhere/at/all", status=127)
        coro(d, "get", "q", "--", "sh", "-c", "kill -9 $$", status=137)
        equal(coro(d, "get", "q", "--", "echo"), "bad\n")
        coro(d, "shutdown", "q")
        coro(d, "get", "-n", "0", "q", "--", "sh", "-c", 'echo "$1" >' + out, "sh")
        with open(out, encoding="utf-8") as f:
            equal(f.read(), "c\n")


def test_get_whose_output_fails():
    """What could not be written is not taken."""
    with Daemon() as d:
        coro(d, "put", "q", "x")
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = subprocess.run([program("coro"), "--socket", d.socket, "queue", "get", "q"],
                                  stdout=full, stderr=subprocess.DEVNULL, timeout=60)
        equal(done.returncode, 125)
        equal(coro(d, "get", "q"), "x\n")


def test_get_waits_for_the_daemon():
    with Daemon() as d:
        get = subprocess.Popen([program("coro"), "--socket", d.socket, "queue", "get", "q"],
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        with d.client() as c:
            wait_until(lambda: listed(c, "q")["getters"] == 1, "the getter")
        d.kill()
        d.start()
        coro(d, "put", "q", "late")
        equal((get.communicate(timeout=60)[0], get.returncode), ("late\n", 0))


if __name__ == "__main__":
    run_tests(globals())
