"""The clients of the torture: they submit jobs (kinds.py), steer them and wait for them, and write down all that they
ask and are told."""
import datetime
import json
import os
import subprocess
import threading
import time

from corod import Client, Closed, RpcError, program
from kinds import NOTE, few, brief, work

# What `coro run` says when it does not know that the job was taken.
NOT_TAKEN = (b"no daemon answers", b"no answer (", b"no new jobs while the disk refuses", b"draining")
STORAGE, STATE, NOT_FOUND, TIMEOUT, DRAINING = -32011, -32004, -32003, -32008, -32009  # of proto/errors.def


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
        self.expiring = {}  # tag → id of jobs that retention will remove
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
                    if e.code not in (STORAGE, DRAINING):
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
                for tag, job in list(self.expiring.items()):
                    self.look(tag, job)
        except Exception as e:  # pylint: disable=broad-except
            self.trouble = e
        self.drop()
        self.log.close()

    def one(self):
        make = self.once or self.rng.choice(self.world.kinds)
        self.jobs += 1
        tag = "%s-%d-%s" % (self.name, self.jobs, make.__name__)
        main, expect = make(self.rng)
        main = main(tag, self.world) if callable(main) else main
        document = main if isinstance(main, dict) and "main" in main else {"main": main}
        job = self.submit(tag, make.__name__, document, expect)
        if "steer" in expect:
            getattr(self, "steer_" + expect["steer"])(tag, job, expect)
        if "log" in expect:
            self.follow(tag, job)
        elif not self.once and self.rng.random() < 0.15:
            return  # nobody waits for it
        if expect.get("steer") not in ("retry", "expire"):
            self.end(tag, job)
        if expect.get("steer") == "remove":
            self.remove(tag, job)

    def submit(self, tag, kind, document, expect):
        ask = {"job": {**document, "name": tag}, "key": tag, "env": self.world.environment(tag)}
        self.note("submit", tag=tag, kind=kind, expect={"state": "succeeded", **expect})
        answer = self.call("job.submit", **ask)
        self.note("submitted", tag=tag, id=answer["id"], existing=answer["existing"])
        if self.rng.random() < 0.1 and "limit" not in expect:  # a key goes with its job
            again = self.call("job.submit", **ask)
            self.note("submitted", tag=tag, id=again["id"], existing=again["existing"], again=True)
        return answer["id"]

    # What is done to jobs. Between "stopped" and "released" no command of the job may be launched.

    def steer_cancel(self, tag, job, _):
        time.sleep(self.rng.random() * 0.3)

        def ask_to_cancel(client):
            self.note("cancel", tag=tag, id=job)
            client.call("job.cancel", id=job)
        try:
            self.insist(ask_to_cancel)
        except RpcError as e:  # asked again, when it had ended of that
            if e.code != STATE:
                raise
        self.note("cancelled", tag=tag, id=job)

    def steer_pause(self, tag, job, _):
        for _ in range(self.rng.randint(1, 2)):
            time.sleep(self.rng.random() * 0.2)
            if not self.steer("job.pause", id=job, freeze=self.rng.random() < 0.3):
                return
            self.note("stopped", tag=tag, id=job, at=self.world.now())
            time.sleep(self.rng.random() * 0.3)
            self.note("released", tag=tag, id=job, at=self.world.now())
            if not self.steer("job.resume", id=job):
                return

    def steer_hold(self, tag, job, _):
        self.note("stopped", tag=tag, id=job, at=0)
        time.sleep(self.rng.random() * 0.4)
        self.note("released", tag=tag, id=job, at=self.world.now())
        self.steer("job.release", id=job)

    def steer(self, method, **params):
        """False: it has ended, or (asked again) is not in the state any more."""
        try:
            self.call(method, **params)
        except RpcError as e:
            if e.code != STATE:
                raise
            return False
        return True

    def steer_remove(self, tag, job, _):
        """At its end: remove()."""

    def remove(self, tag, job):
        self.note("remove", tag=tag, id=job)
        try:
            self.call("job.remove", id=job)
        except RpcError as e:  # asked again
            if e.code != NOT_FOUND:
                raise
        self.note("removed", tag=tag, id=job)

    def steer_then(self, tag, job, before):
        main, expect = work(self.rng, "then")
        mode = "any" if self.once else self.rng.choice(("ok", "any", "fail"))
        if mode == ("ok" if before.get("state") == "failed" else "fail"):
            expect = {"state": "failed", "error": "DependencyError", "leaves": {}, "output": []}
        then = tag.rsplit("-", 1)[0] + "-then"
        self.end(then, self.submit(then, "then", {"main": main, "after": {mode: [job]}},
                                   {**expect, "behind": tag}))

    def steer_retry(self, tag, job, _):
        """Each asking that is not answered may have made a job too."""
        self.end(tag, job)
        with open("%s.%s" % (self.world.ran, tag), "w", encoding="utf-8"):
            pass  # from here on none of its items fails
        failed = bool(self.once) or self.rng.random() < 0.6

        def ask(client):
            self.note("retry", tag=tag, id=job, failed=failed)
            return client.call("job.retry", id=job, failed=failed)["jobs"][0]["id"]
        for _ in range(self.rng.randint(1, 2)):
            made = self.insist(ask)
            self.note("retried", tag=tag, id=job, made=made)
            self.end(tag, made)

    def steer_expire(self, tag, job, expect):
        """Several, one after the other; the first of them are removed when there are enough, or after some time."""
        make = {"few": few, "brief": brief}[expect["limit"]]
        for n in range(5):
            if n:
                document, expect = make(self.rng)
                tag = "%s-%s%d" % (tag.rsplit("-", 1)[0], make.__name__, n)
                job = self.submit(tag, make.__name__, document, expect)
            self.expiring[tag] = job
            try:
                self.end(tag, job)
            except RpcError as e:
                if e.code != NOT_FOUND:
                    raise
                self.look(tag, job)

    def look(self, tag, job):
        """Is it still there?"""
        try:
            self.call("job.get", id=job)
        except RpcError as e:
            if e.code != NOT_FOUND:
                raise
            self.note("gone", tag=tag, id=job, at=self.world.now())
            del self.expiring[tag]

    def steer_kill(self, tag, job, _):
        time.sleep(self.rng.random() * 0.3)
        self.steer("job.kill", id=job)
        self.note("cancelled", tag=tag, id=job)

    def steer_outside(self, tag, job, _):
        def one(client):
            got = client.call("queue.get", name=tag, timeout=0.2)
            self.note("item", tag=tag, item=got["value"])
            client.call("queue.done", name=tag, item=got["item"])
            self.note("done", tag=tag, item=got["value"])
        while True:
            try:
                self.insist(one)
            except RpcError as e:
                if e.code != TIMEOUT:
                    raise
                if self.call("job.get", id=job)["finished"]:
                    return

    def steer_take(self, tag, _, __):
        takers = []
        for name in ("take1", "take2"):
            taker = tag.rsplit("-", 1)[0] + "-" + name
            main = [{"queue": {"name": tag, "maxsize": 3}, "as": "q"}, {"set": {"got": []}},
                    {"for": "x", "in": "${q}", "do": [
                        {"set": {"got": ["...${got}", "${x}"]}}, {"sleep": 0.002}, {"task_done": "${q}"}]},
                    {"return": "${got}"}]
            takers.append((taker, self.submit(taker, "take", {"main": main}, {"share_of": tag})))
        for taker in takers:
            self.end(*taker)

    def end(self, tag, job):
        self.call("job.wait", ids=[job])
        self.ended(tag, job)

    def ended(self, tag, job):
        got = self.call("job.get", id=job)
        at = datetime.datetime.fromisoformat(got["finished"].replace("Z", "+00:00")).timestamp()
        self.note("ended", tag=tag, id=job, at=at, state=got["state"], value=got.get("value"), error=got.get("error"),
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
