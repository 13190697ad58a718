#!/usr/bin/env python3
# test-sanitized: yes
"""One user and another's jobs: a daemon for all, asked by root and by two ordinary users."""
import json
import os
import sys
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))
from corod import Client, Daemon, Skip, check, equal, program, run_tests, test  # noqa: E402

ALICE, BOB, GROUP = 64001, 64002, 64003  # nobody in /etc/passwd


class SystemDaemon(Daemon):
    """As the machine's daemon, in a directory that everybody may enter."""

    def __init__(self):
        super().__init__(config="")
        os.chmod(self.directory, 0o755)
        self.socket = os.path.join(self.directory, "corod.sock")

    def argv(self):
        return [program("corod"), "--system", "--state-dir", self.state, "--socket", self.socket,
                "--exec-socket", self.exec_socket, "--exec-state",
                os.path.join(self.state, "exec"), "--config", self.config_path]


daemon = SystemDaemon()


def as_user(uid, function, groups=()):
    """Calls function(client) in a process of that user; what it returns."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.setgroups(list(groups))
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            with Client(daemon.socket) as c:
                os.write(write, json.dumps(function(c)).encode())
            status = 0
        except BaseException:
            traceback.print_exc()
        os._exit(status)
    os.close(write)
    with os.fdopen(read) as f:
        text = f.read()
    equal(os.waitpid(pid, 0)[1], 0, "the user's process")
    return json.loads(text)


def job_of(uid, key=None):
    def submit(c):
        params = {"job": {"name": "of %d" % uid, "main": [{"print": "secret"}, {"sleep": 1000}]}}
        if key:
            params["key"] = key
        return c.call("job.submit", params)
    return as_user(uid, submit)


def test_the_kernel_says_who_it_is():
    job = job_of(ALICE)["id"]
    with daemon.client() as root:
        got = root.call("job.get", id=job)
        equal((got["uid"], got["owner"]), (ALICE, str(ALICE)))


def test_named_queues_are_the_owners():
    """Equal names of two users are two queues; only admins reach another's."""
    def mine(what):
        def use(c):
            size = c.call("queue.put", name="q", value=what)["size"]
            others = [c.error("queue." + m, dict(p, name="q", owner=str(other))).code
                      for other in (ALICE + BOB - os.getuid(), 0, "root", "nobody at all")
                      for m, p in (("put", {"value": 1}), ("get", {}), ("done", {"item": 1}),
                                   ("join", {}), ("shutdown", {}), ("remove", {"force": True}))]
            listed = [(q["name"], q["owner"]) for q in c.call("queue.list")["queues"]]
            return size, sorted(set(others)), listed, c.error("queue.list", owner="0").code
        return use
    equal(as_user(ALICE, mine("alice's")), [1, [-32002], [["q", str(ALICE)]], -32002])
    equal(as_user(BOB, mine("bob's")), [1, [-32002], [["q", str(BOB)]], -32002])
    with daemon.client() as root:
        equal(root.call("queue.get", name="q", owner=str(BOB))["value"], "bob's")
        equal(root.error("queue.get", name="q", owner="nobody at all").code, -32003)
        equal(sorted(q["owner"] for q in root.call("queue.list")["queues"]),
              sorted([str(ALICE), str(BOB)]))
        equal([q["owner"] for q in root.call("queue.list", owner=str(BOB))["queues"]], [str(BOB)])
        root.call("queue.remove", name="q", owner=str(BOB), force=True)
        equal([q["owner"] for q in root.call("queue.list")["queues"]], [str(ALICE)])


def test_another_users_job_is_not_there():
    job = job_of(ALICE)["id"]

    def attack(c):
        errors = {}
        for method, params in (("job.get", {"id": job}), ("job.tree", {"id": job}),
                               ("job.wait", {"ids": [job]}), ("job.cancel", {"id": job}),
                               ("job.hold", {"id": job}), ("job.release", {"ids": [job]}),
                               ("job.set", {"id": job, "priority": 1}), ("job.explain", {"id": job}),
                               ("log.read", {"id": job}), ("log.follow", {"id": job}),
                               ("log.read", {"id": job, "stream": "both"})):
            e, none = c.error(method, params), c.error(method, dict(
                {k: v for k, v in params.items() if k not in ("id", "ids")},
                **({"ids": [10 ** 9]} if "ids" in params else {"id": 10 ** 9})))
            # As if it did not exist, to the letter.
            check(e.message.replace(str(job), "N") == none.message.replace(str(10 ** 9), "N"))
            errors[method] = e.code
        return errors
    equal(set(as_user(BOB, attack).values()), {-32003})
    with daemon.client() as root:
        equal(root.call("job.get", id=job)["state"], "running")


def test_nobody_waits_for_another_users_job():
    """Whether it lives or has ended; root may."""
    live = job_of(ALICE)["id"]
    ended = as_user(ALICE, lambda c: c.run([])["id"])

    def attack(c):
        return [(c.error("job.submit", job={"after": {kind: [job]}, "main": []}).message)
                for job in (live, ended, 10 ** 9) for kind in ("ok", "any", "fail")]
    equal(as_user(BOB, attack), ["/after: there is no job %d" % job for job in (live, ended, 10 ** 9) for _ in range(3)])
    with daemon.client() as root:
        equal(root.run({"after": {"any": ended}, "main": []})["state"], "succeeded")
        root.call("job.cancel", id=root.submit({"after": live, "main": []}))


def test_lists_show_ones_own():
    mine = job_of(BOB)["id"]
    other = job_of(ALICE)["id"]

    def look(c):
        return [[j["id"] for j in c.call("job.list", **f)["jobs"]]
                for f in ({}, {"owner": str(BOB)}, {"owner": str(ALICE)}, {"owner": "root"})]
    everything, own, hers, roots = as_user(BOB, look)
    check(mine in everything and mine in own and other not in everything)
    equal((hers, roots), ([], []))
    with daemon.client() as root:
        seen = [j["id"] for j in root.call("job.list")["jobs"]]
        check(mine in seen and other in seen)
        equal({j["uid"] for j in root.call("job.list", owner=str(ALICE))["jobs"]}, {ALICE})


def test_events_are_ones_own():
    def watch(c):
        start = c.call("event.subscribe", after=before)
        own = c.submit({"name": "mine", "main": [{"print": "mine"}]})
        seen = []
        while not seen or (seen[-1]["type"], seen[-1].get("state")) != ("job.state", "succeeded"):
            seen.append(c.notification()[1])
        return own, [e["job"] for e in seen], start["seq"]
    with daemon.client() as root:
        before = root.call("event.subscribe")["seq"]
        other = job_of(ALICE)["id"]
        own, jobs, _ = as_user(BOB, watch)
        check(own in jobs and other not in jobs, jobs)


def test_keys_are_ones_own():
    a, b, again = job_of(ALICE, "nightly"), job_of(BOB, "nightly"), job_of(ALICE, "nightly")
    check(a["id"] != b["id"])
    equal((again["id"], again["existing"]), (a["id"], True))


def test_admins_only():
    def attack(c):
        return [c.error(m, p).code for m, p in (
            ("system.shutdown", {}), ("system.drain", {}), ("system.reload", {}),
            ("pool.set", {"name": "default", "slots": 1}))]
    equal(as_user(ALICE, attack), [-32002] * 4)
    with daemon.client() as root:
        equal(root.call("system.stats")["draining"], False)


def test_everybody_may_ask():
    equal(as_user(ALICE, lambda c: c.call("system.version"))["api"], "1.0")
    check(as_user(ALICE, lambda c: c.call("pool.list"))["pools"])


def test_root_steers_all():
    job = job_of(ALICE)["id"]
    with daemon.client() as root:
        root.call("job.cancel", id=job)
        equal(root.finish(job)["state"], "cancelled")


def test_the_admin_group_steers_all():
    import grp
    name, gid = [(g.gr_name, g.gr_gid) for g in grp.getgrall() if g.gr_gid != 0][-1]
    daemon.configure("admin_group = %s\n" % name)
    daemon.restart()
    job = job_of(ALICE)["id"]
    equal(as_user(BOB, lambda c: c.call("job.get", id=job)["uid"], [gid]), ALICE)
    equal(as_user(BOB, lambda c: c.error("job.get", id=job).code, [GROUP]), -32003)
    equal(as_user(BOB, lambda c: c.call("pool.set", name="x", slots=2)["slots"], [gid]), 2)


def test_a_missing_admin_group_is_told():
    daemon.stop()
    daemon.configure("admin_group = no-such-group\n")
    try:
        daemon.start()
        check(False, "it started")
    except AssertionError as e:
        check("no-such-group" in str(e), e)
    daemon.process = None
    daemon.configure("")
    daemon.start()


def not_root():
    raise Skip("only root can become other users")


if __name__ == "__main__":
    if os.getuid() != 0:
        test(not_root)
        print("0 passed, 0 failed, 1 skipped")
        sys.exit(0)
    with daemon:
        run_tests(globals(), sys.argv[1:])
