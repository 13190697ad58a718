#!/usr/bin/env python3
# test-timeout: 200
"""A daemon that is killed and stopped again and again under HTTP requests: none that is not to be repeated
is sent twice, none that was answered and recorded is lost, those that may be repeated all come to their end."""
import os
import random
import signal
import sys
import time
from collections import Counter

sys.path[0] = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib")
from corod import Daemon, Skip, built_with_faults, check, equal, run_tests, wait_until  # noqa: E402
from http_server import Server  # noqa: E402

daemon = Daemon()
server = Server()
JOBS, REQUESTS, KILLS = 10, 8, 15


def document(method, job):
    url = server.url("/soon/%s/%d/" % (method, job))
    return [{"gather": {"for": "i", "in": {"range": REQUESTS}, "do":
             [{"http": {"url": url + "${i}/a", "method": method}}, {"sleep": 0.05},
              {"http": {"url": url + "${i}/b", "method": method}}]}, "return_exceptions": True, "as": "r"},
            {"return": "${r}"}]


def test_killed_and_stopped():
    seed = int(os.environ.get("SEED", random.randrange(1 << 30)))
    print("SEED=%d" % seed)
    dice = random.Random(seed)
    jobs = []
    for kill in range(KILLS):
        with daemon.client() as c:
            if kill < JOBS:
                jobs += [(m, c.submit(document(m, kill))) for m in ("GET", "POST")]
        time.sleep(dice.uniform(0, 0.3))
        daemon.restart(dice.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM)))
    lost = 0
    with daemon.client() as c:
        for method, job in jobs:
            end = c.finish(job)
            equal(end["state"], "succeeded", str(end["error"]))
            for r in end["value"]:
                if "error" in r:
                    equal((method, r["error"]["type"]), ("POST", "LostError"))
                    lost += 1
                else:
                    equal((r["status"], r["body"]), (200, "done"))
    sent = Counter(r["path"] for r in server.requests)
    keys = {r["path"]: set() for r in server.requests}
    for r in server.requests:
        keys[r["path"]].add(r["headers"]["idempotency-key"])
    for path, n in sent.items():
        check(n == 1 or "/GET/" in path, "%s was sent %d times" % (path, n))
        equal(len(keys[path]), 1, path)
    equal(len(set.union(*keys.values())), len(keys))
    for job in range(JOBS):
        for i in range(REQUESTS):
            for part in "ab":
                check("/soon/GET/%d/%d/%s" % (job, i, part) in sent)
    check(sum(n - 1 for n in sent.values()) > 0 and lost > 0, "nothing was in flight: %d" % lost)


def test_asked_to_end_before_it_is_sent():
    """Such a request has not left: it is made after the restart, also one that is not to be repeated."""
    if not built_with_faults():
        raise Skip("a build without --enable-errinj")
    with Daemon() as d:
        d.stop()
        d.env.update(COROD_ERRINJ="STORE_BEFORE_COMMIT:stop", COROD_ERRINJ_ONCE=os.path.join(d.directory, "once"))
        d.start()
        with d.client() as c:
            wait_until(lambda: c.call("system.stats")["executor"] == "up", "the executor")
            c.start("job.submit", {"job": {"main": {"http": {"url": server.url("/soon/unsent"), "method": "POST"}}}})
            os.waitid(os.P_PID, d.process.pid, os.WSTOPPED)
        d.process.send_signal(signal.SIGTERM)
        d.process.send_signal(signal.SIGCONT)
        d.process.wait(20)
        equal([r["path"] for r in server.requests if "unsent" in r["path"]], [])
        d.start()
        with d.client() as c:
            equal(c.finish(1)["state"], "succeeded")
            equal([a.get("reason") for a in c.call("job.attempts", id=1)["attempts"]],
                  ["the daemon was stopped before it was sent", None])


if __name__ == "__main__":
    with daemon:
        run_tests(globals(), sys.argv[1:])
