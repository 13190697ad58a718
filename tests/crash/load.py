"""The jobs of the torture, each made with what must come of it (see checker.py), and the clients that
submit them. Clients write down all that they ask and are told."""
import json
import os
import subprocess
import threading
import time

from corod import Client, Closed, RpcError, program

# What a command writes down: that it began, and how it is about to end.
NOTE = 'note() { echo "$1 $CORO_ATTEMPT $CORO_TASK $TAG $LEAF" >>"$RAN"; }; note s; '


def sh(leaf, body=":", exit=0, **keys):
    """A command that leaves a mark when it begins and when it ends."""
    return {"sh": "%s%s; note e%d; exit %d" % (NOTE, body, exit, exit), "env": {"LEAF": leaf}, **keys}


def stdout_of(node):
    return [{**node, "as": "r"}, {"return": "${r.stdout}"}]


def pause(r, most=0.2):
    return "sleep %.3f" % (r.random() * most)


def gather(r):
    n = r.randint(2, 10)
    lost = r.choice(("fail", "retry"))
    return ([{"gather": {"for": "i", "in": {"range": n},
                         "do": stdout_of(sh("w${i}", pause(r) + "; echo out$LEAF", on_lost=lost))},
              "return_exceptions": True, **r.choice(({}, {"limit": 3})), "as": "all"},
             {"return": "${all}"}],
            {"value": ["outw%d" % i for i in range(n)], "holes": lost == "fail",
             "leaves": {"w%d" % i: [0] for i in range(n)}})


def group(r):
    """One fails, the others are cancelled."""
    others = ["long%d" % i for i in range(r.randint(1, 4))]
    nodes = [sh(name, "sleep 300", on_lost="retry") for name in others]
    nodes.insert(r.randint(0, len(nodes)), sh("bad", pause(r), exit=3, on_lost="retry"))
    return ([{"try": {"task_group": nodes},
              "except": [{"type": "ExceptionGroup", "do": {"print": "failed"}}]},
             sh("after", on_lost="retry"), {"return": 1}],
            {"value": 1, "output": ["failed"],
             "leaves": {"bad": [3], "after": [0], **{name: None for name in others}}})


def dag(r):
    """Children that wait for others by name."""
    def child(name, *others):
        return [*({"await": "${%s}" % o} for o in others),
                *stdout_of(sh(name, pause(r) + "; echo $LEAF", on_lost="retry"))]
    return ([{"task_group": {"a": child("a"), "b": child("b", "a"), "c": child("c", "a"), "d": child("d", "b", "c")},
              "as": "v"}, {"return": "${v}"}],
            {"value": {n: n for n in "abcd"}, "leaves": {n: [0] for n in "abcd"},
             "order": [["a", "b"], ["a", "c"], ["b", "d"], ["c", "d"]]})


def race(r):
    quick = stdout_of(sh("quick", pause(r) + "; echo first", on_lost="retry"))
    slow = [{"try": sh("slow", "sleep 300", on_lost="retry"), "finally": sh("cleanup", on_lost="retry")}]
    return ([{"race": [slow, quick], "as": "v"}, {"return": "${v}"}],
            {"value": "first", "leaves": {"quick": [0], "slow": None, "cleanup": [0]}})


def queue(r):
    """Items go from a producer to consumers, some of which run a command for theirs."""
    n, workers = r.randint(10, 60), r.randint(1, 3)
    worker = {"params": ["q", "me"], "do": [
        {"set": {"got": []}},
        {"for": "x", "in": "${q}", "do": [
            {"set": {"got": ["...${got}", "${x}"]}},
            {"if": {"==": [{"%": [{"var": "x"}, 5]}, 0]}, "then": sh("item${x}", on_lost="retry"),
             "else": {"sleep": r.choice((0, 0.004))}},
            {"print": "${me} ${x}"}, {"task_done": "${q}"}]},
        {"return": "${got}"}]}
    return ({"define": {"worker": worker},
             "main": [{r.choice(("queue", "priority_queue")): r.choice(({}, {"maxsize": 3})), "as": "q"},
                      {"gather": [[{"for": "i", "in": {"range": n}, "do": {"put": "${i}", "into": "${q}"}},
                                   {"join": "${q}"}, {"shutdown": "${q}"}, {"return": []}],
                                  *({"call": "worker", "args": {"q": "${q}", "me": "c%d" % k}}
                                    for k in range(workers))], "as": "v"},
                      {"return": "${v}"}]},
            {"items": n, "leaves": {"item%d" % i: [0] for i in range(0, n, 5)}})


def lines(r):
    """A command's output as it comes; half of it is more than memory holds before it is a file."""
    n = r.randint(20, 200)
    pad = r.choice(("x", "x" * 400))
    slow = r.choice(("", "sleep 0.01; "))
    body = "i=0; while [ $i -lt %d ]; do echo $i %s; i=$((i+1)); %sdone" % (n, pad, slow)
    return ([{"for": "line", "in": {"lines": sh("lines", body)}, "do": [
                {"print": "${line}"}, *r.choice(([], [{"sleep": 0.003}]))]}, {"return": "all"}],
            {"value": "all", "output": [("%d %s" % (i, pad)) for i in range(n)], "fails": True,
             "leaves": {"lines": [0]}})


def retry(r):
    """Fails twice; what it counts by is a file, so that lost attempts may count or not."""
    body = 'echo x >>"$RAN.$TAG"; if [ $(wc -l <"$RAN.$TAG") -lt 3 ]; then note e1; exit 1; fi; echo ok'
    return ([{**sh("again", body, on_lost="retry"), "retry": {"attempts": 4, "delay": 0.05}, "as": "v"},
             {"return": "${v.stdout}"}],
            {"value": "ok", "leaves": {"again": [1, 1, 0]}, "counts_lost": True})


def timeout(r):
    return ([{"try": {**sh("slow", "sleep 300", on_lost="retry"), "timeout": 0.1 + r.random() / 2},
              "except": [{"type": "TimeoutError", "do": {"print": "timeout"}}]},
             sh("after", on_lost="retry"), {"return": 2}],
            {"value": 2, "output": ["timeout"], "leaves": {"slow": None, "after": [0]}})


def cancel(r):
    """Never ends by itself: its client cancels it."""
    del r
    return ([{"print": "begun"},
             {"try": sh("long", "sleep 300", on_lost="retry"), "finally": [{"print": "cleans"}, sh("cleanup", on_lost="retry")]}],
            {"state": "cancelled", "leaves": {"long": None, "cleanup": [0]}, "cancel": True,
             "output": ["begun", "cleans"]})


def timers(r):
    n = r.randint(5, 25)

    def count(who, seconds):
        return [{"for": "i", "in": {"range": n}, "do": [{"print": who + " ${i}"},
                                                       {"sleep": seconds}]}, {"return": who}]
    return ([{"gather": [count("a", 0.02), count("b", 0.03), count("c", 0)], "as": "v"}, {"return": "${v}"}],
            {"value": ["a", "b", "c"], "groups": [["%s %d" % (who, i) for i in range(n)] for who in "abc"]})


def locks(r):
    n = r.randint(4, 15)
    return ([{"lock": {}, "as": "l"}, {"semaphore": 1, "as": "s"}, {"event": {}, "as": "go"},
             {"create_task": [{"sleep": 0.1}, {"set_event": "${go}"}]},
             {"gather": {"for": "i", "in": {"range": n}, "do": [
                 {"with": "${l}", "do": [{"print": "l${i}"}, {"sleep": 0.005}]},
                 {"with": "${s}", "do": [{"print": "s${i}"}, sh("s${i}", on_lost="retry")]},
                 {"wait": "${go}"}, {"return": "${i}"}]}, "as": "v"},
             {"return": "${v}"}],
            {"value": list(range(n)), "groups": [["%s%d" % (x, i) for i in range(n)] for x in "ls"],
             "leaves": {"s%d" % i: [0] for i in range(n)}})


def long(r):
    """Runs while many are killed; its output is followed."""
    n = r.randint(10, 40)
    body = "i=0; while [ $i -lt %d ]; do echo line $i; i=$((i+1)); sleep 0.05; done" % n
    return (stdout_of(sh("long", body)),
            {"value": "\n".join("line %d" % i for i in range(n)), "fails": True, "leaves": {"long": [0]},
             "log": "".join("line %d\n" % i for i in range(n))})


KINDS = [gather, group, dag, race, queue, lines, retry, timeout, cancel, timers, locks, long]


# What `coro run` says when it does not know that the job was taken.
NOT_TAKEN = (b"no daemon answers", b"no answer (", b"no new jobs while the disk refuses")
STORAGE = -32011  # of proto/errors.def: try again


class Worker(threading.Thread):
    """One client: asks until it is answered, whatever dies meanwhile."""

    PATIENCE = 60

    def __init__(self, world, number, rng):
        super().__init__(daemon=True)
        self.world = world
        self.name = "c%d" % number
        self.rng = rng
        self.once = None  # of all kinds of jobs only this, and waits for it
        self.jobs = 0
        self.trouble = None
        self.client = None
        self.log = open(os.path.join(world.records, self.name + ".log"), "a", encoding="utf-8")

    def note(self, op, **what):
        self.log.write(json.dumps({"t": time.monotonic_ns(), "client": self.name, "op": op, **what}) + "\n")
        self.log.flush()

    def drop(self):
        if self.client:
            self.client.close()
        self.client = None

    def insist(self, what):
        """what(client), again with a new connection until it works."""
        end = time.monotonic() + self.PATIENCE
        while True:
            try:
                if not self.client:
                    self.client = Client(self.world.daemon.socket, patience=self.PATIENCE)
                return what(self.client)
            except (Closed, OSError, RpcError) as e:
                if isinstance(e, RpcError):
                    if e.code != STORAGE:
                        raise
                else:
                    self.drop()
                if time.monotonic() > end:
                    raise AssertionError("%s: no answer in %d s: %r" % (self.name, self.PATIENCE, e)) from e
                time.sleep(0.005)

    def call(self, method, **params):
        return self.insist(lambda c: c.call(method, params))

    def run(self):
        try:
            while not self.world.ending:
                self.one()
        except Exception as e:  # pylint: disable=broad-except
            self.trouble = e
        self.drop()
        self.log.close()

    def one(self):
        make = self.once or self.rng.choice(self.world.kinds)
        self.jobs += 1
        tag = "%s-%d-%s" % (self.name, self.jobs, make.__name__)
        main, expect = make(self.rng)
        document = main if isinstance(main, dict) and "main" in main else {"main": main}
        document["name"] = tag
        expect = {"state": "succeeded", **expect}
        ask = {"job": document, "key": tag, "env": self.world.environment(tag)}
        self.note("submit", tag=tag, kind=make.__name__, expect=expect)
        answer = self.call("job.submit", **ask)
        self.note("submitted", tag=tag, id=answer["id"], existing=answer["existing"])
        if self.rng.random() < 0.1:
            again = self.call("job.submit", **ask)
            self.note("submitted", tag=tag, id=again["id"], existing=again["existing"], again=True)
        if expect.get("cancel"):
            time.sleep(self.rng.random() * 0.3)
            def ask_to_cancel(client):
                self.note("cancel", tag=tag, id=answer["id"])
                client.call("job.cancel", id=answer["id"])
            self.insist(ask_to_cancel)
            self.note("cancelled", tag=tag, id=answer["id"])
        if "log" in expect:
            self.follow(tag, answer["id"])
        elif not self.once and self.rng.random() < 0.15:
            return  # nobody waits for it
        self.call("job.wait", ids=[answer["id"]])
        self.ended(tag, answer["id"])

    def ended(self, tag, job):
        got = self.call("job.get", id=job)
        self.note("ended", tag=tag, id=job, state=got["state"], value=got.get("value"), error=got.get("error"),
                  output=got["output"] if not got["output_truncated"] else None)

    def follow(self, tag, job):
        """From the start until its end, again when the connection is lost."""
        def once(client):
            subscription = client.call("log.follow", id=job, stream="stdout")["subscription"]
            text = ""
            try:
                while True:
                    method, params = client.notification()
                    if method != "log" or params["subscription"] != subscription:
                        continue
                    if params.get("eof"):
                        return text
                    text += params["data"]
            finally:
                self.note("followed", tag=tag, id=job, text=text)
        self.note("log", tag=tag, id=job, text=self.insist(once))


class CoroRun(Worker):
    """Runs `coro run` again and again."""

    def one(self):
        self.jobs += 1
        tag = "%s-%d-run" % (self.name, self.jobs)
        n, status = self.rng.randint(1, 20), self.rng.choice((0, 0, 3))
        script = "%si=0; while [ $i -lt %d ]; do echo $i; i=$((i+1)); sleep 0.02; done; note e%d; exit %d" % (
            NOTE, n, status, status)
        env = {**os.environ, **self.world.environment(tag), "LEAF": "run", "CORO_SOCKET": self.world.daemon.socket}
        expect = {"state": "failed" if status else "succeeded", "leaves": {"run": [status]}, "fails": True}
        self.note("submit", tag=tag, kind="coro_run", expect=expect)
        while True:
            done = subprocess.run([program("coro"), "--no-start", "run", "-n", tag, "--key", tag, "--", "sh", "-c", script],
                                  env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False)
            if done.returncode != 125 or not any(x in done.stderr for x in NOT_TAKEN):
                break
        self.note("ran", tag=tag, status=done.returncode, stdout=done.stdout.decode(), stderr=done.stderr.decode(),
                  expect_status=status, expect_stdout="".join("%d\n" % i for i in range(n)))
