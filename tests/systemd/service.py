#!/usr/bin/env python3
# test-timeout: 150
"""The system's daemon at work, under a real systemd: requests out of its sandbox, a restart under load of all
kinds, trees of processes that are frozen, backup and restore as the manual says, a drained stop."""
import json
import os
import re
import socket
import struct
import subprocess
import sys
import threading

from machine import ADDRESS
from scenario import Scenario, check, equal, main

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests", "lib"))
from http_server import Server  # noqa: E402

NAMES = {"web.corod.test": ADDRESS, "inside.corod.test": "127.0.0.1"}


class NameServer:
    """Answers for the addresses of NAMES (RFC 1035), counts the questions."""

    def __init__(self):
        self.asked = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((ADDRESS, 53))
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            query, peer = self.socket.recvfrom(512)
            self.socket.sendto(self.answer(query), peer)

    def answer(self, query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        name, kind = ".".join(labels), struct.unpack(">H", query[at + 1:at + 3])[0]
        self.asked.append(name)
        address = NAMES.get(name) if kind == 1 else None
        flags = 0x8580 if name in NAMES else 0x8583  # the latter: no such name
        record = struct.pack(">HHHIH", 0xc00c, 1, 1, 0, 4) + socket.inet_aton(address) if address else b""
        return struct.pack(">2sHHHHH", query[:2], flags, 1, bool(address), 0, 0) + query[12:at + 5] + record


class Service(Scenario):
    def prepare(self):
        self.m.write("/etc/resolv.conf", "nameserver %s\n" % ADDRESS)
        self.m.write("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n")
        self.m.write("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n")
        self.m.write("/etc/corod/corod.conf", "kill_grace = 1s\nadmin_group =\n")

    def network(self):
        self.m.give_address()
        self.names = self.m.in_network(NameServer)
        self.web = self.m.in_network(lambda: Server(ADDRESS))
        self.inside = self.m.in_network(Server)

    def ask(self, request, **more):
        """The job of one request, ended."""
        job = self.submit([dict(more, http=request, **{"as": "r"}), {"return": "${r}"}])
        self.coro("wait", job, check=False)
        return self.show(job)

    def requests(self):
        job = self.ask(self.web.url("/echo/a"))
        equal((job["state"], (job["value"] or {}).get("status")), ("succeeded", 200), "a request to another address")
        with open("/proc/%s/maps" % self.host_pid("corod"), encoding="ascii") as f:
            check("libcurl" in f.read(), "libcurl is loaded in the sandbox")
        job = self.ask({"url": self.web.url("/echo", "web.corod.test"), "json": [1]})
        equal((job["state"], (job["value"] or {}).get("json", {}).get("body")), ("succeeded", "[1]"),
              "a name is resolved in the sandbox")
        check("web.corod.test" in self.names.asked, "by the name server")
        denied = {"127.0.0.1": "127.0.0.1", "[::1]": "::1", "localhost": "", "inside.corod.test": "127.0.0.1",
                  "0.0.0.0": "0.0.0.0"}
        for host, address in denied.items():
            job = self.ask(self.inside.url("/echo", host))
            error = job["error"] or {}
            check(error.get("type") == "HTTPError" and "http_deny" in error["message"] and address in
                  error["message"], "%s is denied: %s" % (host, error.get("message")))
        job = self.ask(self.web.url("/to/302?url=" + self.inside.url("/echo")))
        check(job["state"] == "failed" and "http_deny" in job["error"]["message"],
              "a redirect to loopback is denied: %s" % job["error"])
        equal(self.inside.requests, [], "nothing came to loopback")
        job = self.ask(self.web.url("/", "none.corod.test"))
        check(job["state"] == "failed" and "none.corod.test" in job["error"]["message"],
              "a name that is none: %s" % job["error"])

    def host_pid(self, unit):
        """Its process in this pid namespace."""
        inner = str(self.pid(unit))
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/%s/status" % pid, encoding="utf-8") as f:
                    numbers = re.search(r"^NSpid:\s*(.*)$", f.read(), re.M).group(1).split()
                if numbers[-1] == inner and len(numbers) > 1 and \
                        os.readlink("/proc/%s/ns/pid" % pid) == os.readlink("/proc/%d/ns/pid" % self.m.init):
                    return pid
            except OSError:
                continue
        raise RuntimeError("no process %s" % inner)

    # ---- a restart under load of all kinds ----
    def gate(self, name):
        """A script that beats until there is a file, and says what it was."""
        return ("echo $$ >>/tmp/load/%s.start; while [ ! -e /tmp/load/gate ]; do date +%%s%%N >/tmp/load/%s.beat; "
                "sleep 0.05; done; echo $$" % (name, name))

    def read(self, name):
        return self.m.run("cat", "/tmp/load/" + name, check=False).stdout

    def fresh(self):
        self.m.run("rm", "-rf", "/tmp/load")
        self.m.run("mkdir", "-m", "777", "/tmp/load")

    def restart(self):
        m = self.m
        self.fresh()
        self.coro("pool", "set", "default", "50", user=None)
        server = self.web
        before = len(server.requests)
        self.jobs = jobs = {}
        for i in range(5):
            jobs["command %d" % i] = self.submit([{"sh": self.gate("c%d" % i), "as": "r"}, {"return": "${r.stdout}"}])
        jobs["frozen"] = self.submit([{"sh": self.gate("frozen"), "as": "r"}, {"return": "${r.stdout}"}])
        jobs["paused"] = self.submit([{"sh": self.gate("paused")}, {"sh": "echo on", "as": "r"},
                                      {"return": "${r.stdout}"}])
        jobs["request"] = self.submit([{"http": server.url("/gate"), "as": "r"}, {"return": "${r.body}"}])
        jobs["hanging"] = self.submit([{"http": server.url("/hang")}])
        jobs["posted"] = self.submit([{"http": {"url": server.url("/hang/post"), "method": "POST"}}])
        jobs["getter"] = self.submit([{"queue": {"name": "orders"}, "as": "q"}, {"get": "${q}", "as": "x"},
                                      {"task_done": "${q}"}, {"return": "${x}"}])
        jobs["held"] = self.coro("add", "--hold", "--", "echo", "released").stdout.strip()
        jobs["after"] = self.coro("add", "--after", jobs["command 0"], "--", "echo", "after").stdout.strip()
        jobs["delayed"] = self.coro("add", "--delay", "1h", "--", "true").stdout.strip()
        m.until(lambda: all(self.read("%s.beat" % n) for n in ["frozen", "paused"] + ["c%d" % i for i in range(5)])
                and len(server.requests) == before + 3, "all of it runs")
        self.coro("pause", "--freeze", jobs["frozen"])
        self.coro("pause", jobs["paused"])
        group = m.out("sh", "-c", "sed -n 's/^0:://p' /proc/%s/cgroup" % self.read("frozen.start").strip())
        m.until(lambda: self.is_frozen(group), "it is frozen")
        waiter = self.background("coro", "queue", "get", "parcels")
        follower = self.background("coro", "wait", jobs["command 1"])
        states = {name: self.state(job) for name, job in jobs.items()}
        beat = self.read("frozen.beat")

        old = self.pid("corod")
        m.run("systemctl", "--no-block", "restart", "corod")
        m.until(lambda: m.prop("corod", "ActiveState") == "deactivating", "it stops")
        server.open_gate()
        self.new_pid("corod.service", old)
        equal(m.prop("corod", "NRestarts"), "0", "it ended by itself")

        check(self.is_frozen(group) and self.read("frozen.beat") == beat, "what is frozen stays so")
        changed = {name: (state, self.state(jobs[name])) for name, state in states.items()
                   if self.state(jobs[name]) != state and name not in ("request", "posted")}
        equal(changed, {}, "no job is in another state")
        self.coro("wait", jobs["request"], check=False)
        equal(self.show(jobs["request"])["value"], "through", "a request in flight was waited for")
        equal(len(server.seen("/gate")), 1, "it was made once")
        m.until(lambda: len(server.seen("/hang")) == 2, "a GET that hung is sent again")
        equal(len({r["headers"]["idempotency-key"] for r in server.seen("/hang")}), 1, "with the same key")
        self.coro("wait", jobs["posted"], check=False)
        equal((self.show(jobs["posted"])["error"] or {}).get("type"), "LostError", "a POST that hung is lost")
        self.coro("queue", "put", "orders", "17")
        self.coro("queue", "put", "parcels", "18")
        equal(waiter.communicate(timeout=20)[0], "18\n", "a client that waits for an item gets it")
        self.coro("wait", jobs["getter"])
        equal(self.show(jobs["getter"])["value"], "17", "a job that waits for an item gets it")
        self.coro("release", jobs["held"])
        self.coro("resume", jobs["frozen"])
        m.run("touch", "/tmp/load/gate")
        for name in [n for n in jobs if n.startswith("command")] + ["frozen", "held", "after"]:
            self.coro("wait", jobs[name], check=False)
            equal(self.state(jobs[name]), "succeeded", "it succeeds: " + name)
        for name, file in [("command %d" % i, "c%d" % i) for i in range(5)] + [("frozen", "frozen")]:
            equal(self.show(jobs[name])["value"] + "\n", self.read(file + ".start"), "started once: " + name)
        follower.communicate(timeout=20)
        equal(follower.returncode, 0, "a client that waits for a job is told")
        m.until(lambda: "resume" in self.coro("explain", jobs["paused"]).stdout, "its next command is kept")
        equal(self.state(jobs["paused"]), "paused", "what is paused goes no further")
        self.coro("resume", jobs["paused"])
        self.coro("wait", jobs["paused"])
        equal(self.show(jobs["paused"])["value"], "on", "it goes on")
        self.coro("cancel", jobs["hanging"], jobs["delayed"])
        for name in ("hanging", "delayed"):
            self.coro("wait", jobs[name], check=False)
            equal(self.state(jobs[name]), "cancelled", "it is cancelled: " + name)

    def background(self, *argv):
        return subprocess.Popen(self.m.argv(*argv, user="tester"), stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, text=True)

    # ---- trees of processes ----
    def is_frozen(self, group):
        return "frozen 1" in self.m.out("cat", "/sys/fs/cgroup%s/cgroup.events" % group)

    TREE = ("beat() { while :; do date +%s%N >/tmp/load/$1; sleep 0.02; done; }; beat own & "
            "export -f beat; setsid bash -c 'beat session' & "
            "setsid bash -c 'trap \"\" TERM; env -i bash -c \"setsid bash -c \\\"trap : TERM; while :; do "
            "date +%s%N >/tmp/load/orphan; sleep 0.02; done\\\" &\"; beat stubborn' & wait")
    BEATS = ("own", "session", "orphan", "stubborn")

    def tree(self):
        """A command that has started sessions of its own, one of them an orphan without its environment."""
        self.fresh()
        job = self.coro("add", "--", "bash", "-c", self.TREE).stdout.strip()
        self.m.until(lambda: all(self.read(b) for b in self.BEATS), "all of the tree beats")
        pid = self.m.out("pgrep", "-o", "-f", "beat own")
        return job, self.m.out("sed", "-n", "s/^0:://p", "/proc/%s/cgroup" % pid)

    def gone(self, group):
        self.m.until(lambda: self.m.run("test", "-d", "/sys/fs/cgroup" + group, check=False).returncode, "its group is gone")
        return self.m.run("pgrep", "-f", "tmp/load", check=False).stdout == ""

    def freeze(self):
        for verb in ("cancel", "kill"):
            job, group = self.tree()
            self.coro("pause", "--freeze", job)
            self.m.until(lambda: self.is_frozen(group), "the tree is frozen")
            last = [self.read(b) for b in self.BEATS]
            self.coro("run", "--", "sleep", "0.2")
            equal([self.read(b) for b in self.BEATS], last, "nothing of the tree beats")
            self.coro(verb, job)
            self.coro("wait", job, check=False)
            equal(self.state(job), "cancelled", "a frozen tree takes its " + verb)
            check(self.gone(group), "nothing is left of the tree after its " + verb)

    # ---- backup ----
    def manual(self):
        """The lines of corod(8) that put a backup back."""
        with open(os.path.join(TOP, "man", "corod.8"), encoding="utf-8") as f:
            text = f.read()
        text = text[text.index(".Ss Backup and damage"):]
        make = re.search(r"^\.Dl ([#$]) (.*)$", text, re.M)
        steps = re.search(r"^\.Bd.*\n((?:# .*\n)+)\.Ed", text, re.M).group(1)
        return make.group(2), [line[2:] for line in steps.splitlines()]

    def backup(self):
        m = self.m
        make, steps = self.manual()
        equal(len(steps), 3, "the manual has three steps")
        refused = m.run("sh", "-c", "cd && " + make, user="tester", check=False)
        check(refused.returncode == 125 and "admin" in refused.stderr, "a plain user is refused: " + refused.stderr)
        left = m.out("sh", "-c", "ls /home/tester /tmp | grep corod.db", check=False)
        equal(left, "", "nothing is left of it")
        self.fresh()
        m.run("mkdir", "-m", "700", "/srv/backups")
        sh = lambda line, **more: m.run("sh", "-c", "cd /srv/backups && umask 022 && " + line, **more)
        before = self.submit([{"print": "kept"}])
        self.coro("wait", before)
        running = self.submit([{"sh": self.gate("running"), "as": "r"}, {"return": "${r.stdout}"}])
        m.until(lambda: self.read("running.beat"), "a command at the time of the backup")
        sh(make)
        equal(sh("stat -c '%U %G %a' corod.db").stdout, "root root 600\n", "the backup is its owner's alone")
        check(sh(make, check=False).returncode == 2, "it is not replaced")
        after = self.coro("add", "--", "sleep", "1000").stdout.strip()
        m.until(lambda: m.run("pgrep", "-f", "sleep 1000", check=False).stdout, "a command after it")
        early = sh(steps[1], check=False)
        check(early.returncode == 125 and "systemctl stop" in early.stderr, "not while it runs: " + early.stderr)
        for step in steps:
            done = sh(step, check=False)
            equal((done.returncode, done.stderr), (0, ""), step)
        self.active("corod.service")
        equal(self.state(before), "succeeded", "what was before the backup is there")
        check(self.coro("show", after, check=False).returncode != 0, "what came after it is not")
        m.until(lambda: not m.run("pgrep", "-f", "sleep 1000", check=False).stdout, "its command is ended")
        m.run("touch", "/tmp/load/gate")
        self.coro("wait", running)
        equal(self.show(running)["value"] + "\n", self.read("running.start"), "what ran then is taken up")
        odd = [line for line in m.out("find", "/var/lib/corod", "-printf", "%P %u:%g %m %y\\n").splitlines()
               if not re.search("(^| )corod:corod (600 f|700 d)$", line)]
        equal(odd, [], "all of the state is corod's alone")
        check("before-" in m.out("ls", "/var/lib/corod"), "the database that was there is kept")
        equal(m.out("stat", "-c", "%U %G %a", "/run/corod/corod.sock"), "root root 666", "the socket is systemd's")

    # ---- the end ----
    def drain(self):
        m = self.m
        self.fresh()
        check(self.coro("daemon", "drain", check=False).returncode == 125, "a plain user can't drain it")
        running = self.submit([{"sh": self.gate("drained")}, {"print": "on"}])
        m.until(lambda: self.read("drained.beat"), "a command")
        self.coro("daemon", "drain", user=None)
        refused = self.coro("add", "--", "true", check=False)
        check(refused.returncode == 125 and "drain" in refused.stderr, "no new job: " + refused.stderr)
        m.run("touch", "/tmp/load/gate")
        self.coro("wait", running)
        equal(self.show(running)["output"], ["on"], "what runs goes on and ends")
        m.run("systemctl", "stop", "corod.socket", "corod.service")
        equal((m.prop("corod", "Result"), m.prop("corod", "ExecMainStatus")), ("success", "0"), "it stops well")
        m.run("journalctl", "--sync")
        bad = [line for line in m.out("journalctl", "-b", "-u", "corod", "-p", "warning", "-o", "cat").splitlines()
               if "belongs to no job" not in line and "one of an earlier time" not in line]
        equal(bad, [], "no warning in the journal but of the backup")
        m.run("systemctl", "start", "corod.socket", "corod.service")
        equal(self.coro("run", "--", "echo", "again").stdout, "again\n", "it works again after a start")


if __name__ == "__main__":
    main(Service, "install", "network", "requests", "restart", "freeze", "backup", "drain")
