#!/usr/bin/env python3
"""What was promised against what is: given a directory of records it compares

    *.log      what clients asked and were told, and what must come of each job (kinds.py)
    ran        what the commands wrote down: "s|eSTATUS ATTEMPT TASK TAG LEAF", in the order of time
    kills      what was killed, and how many attempts that may have lost
    strays     processes that were left over at the end
    limits     of which pools so many ended jobs are kept, for so long; when it was over
    corod.db   the store, of the daemon that has ended

and lists every violation. It knows the schema and nothing of the daemon's code.

    tests/crash/checker.py DIRECTORY
"""
import collections
import glob
import json
import os
import sqlite3
import sys

STATES = ("held", "scheduled", "waiting", "queued", "running", "paused", "succeeded", "failed", "cancelled", "lost")
JUST_ENDED_S = 5  # so long nothing is removed for its number
EXITED, SIGNALED, NOT_STARTED, LOST = 1, 2, 3, 4
NEVER_SENT = "the daemon was stopped before it was sent"  # a request that is made again, whatever it is
Attempt = collections.namedtuple("Attempt", "number job task how status ended launched reason")


def json_lines(path):
    with open(path, encoding="utf-8") as f:
        return [json.loads(line) for line in f if line.endswith("\n")]


def is_subsequence(part, whole):
    rest = iter(whole)
    return all(any(x == y for y in rest) for x in part)


def has_lost_error(value):
    """Is a LostError anywhere in it?"""
    if isinstance(value, dict):
        return value.get("type") == "LostError" or any(has_lost_error(v) for v in value.values())
    return isinstance(value, list) and any(has_lost_error(v) for v in value)


class Checker:
    def __init__(self, directory):
        self.directory = directory
        self.violations = []
        self.counts = collections.Counter()
        self.struck = set()
        self.read()

    def bad(self, rule, text, *args):
        self.violations.append((rule, (text % args if args else text)[:1500]))

    # What there is to compare.

    def read(self):
        self.told = []
        for path in sorted(glob.glob(os.path.join(self.directory, "*.log"))):
            self.told += json_lines(path)
        self.kills = json_lines(os.path.join(self.directory, "kills"))
        with open(os.path.join(self.directory, "strays"), encoding="utf-8") as f:
            self.strays = json.load(f)
        self.read_ran()
        self.db = sqlite3.connect("file:%s?mode=ro" % os.path.join(self.directory, "corod.db"), uri=True)
        with open(os.path.join(self.directory, "limits"), encoding="utf-8") as f:
            self.limits = json.load(f)
        columns = "id", "name", "state", "value", "error", "finished", "created", "pool", "retry_of"
        self.jobs = {row[0]: dict(zip(columns, row))
                     for row in self.db.execute("SELECT %s FROM job" % ", ".join(columns))}
        self.attempts = {row[0]: Attempt(*row) for row in self.db.execute(
            "SELECT number, job, task, how, status, ended, launched, reason FROM attempt ORDER BY number")}
        self.removed = {r["tag"] for r in self.told if r["op"] == "remove"}
        self.of_job = collections.defaultdict(list)
        for a in self.attempts.values():
            self.of_job[a.job].append(a)
        self.by_name = collections.defaultdict(list)
        self.made_of = collections.defaultdict(list)
        for job in self.jobs.values():
            if job["retry_of"]:
                self.made_of[job["retry_of"]].append(job)
            else:
                self.by_name[job["name"]].append(job)
        self.find_gone()
        self.output = collections.defaultdict(list)
        for job, text in self.db.execute("SELECT job, text FROM output WHERE kind = 0 ORDER BY job, seq"):
            self.output[job].append(text)

    def find_gone(self):
        """The jobs that retention removed, and when they ended and went, as far as clients know."""
        self.gone, self.pool_of, self.ended_at, self.gone_at = {}, {}, {}, {}
        for r in self.told:
            if r["op"] == "submit" and "limit" in r["expect"]:
                self.pool_of[r["tag"]] = r["expect"]["limit"]
            elif r["op"] == "submitted" and r["tag"] in self.pool_of and r["id"] not in self.jobs:
                self.gone[r["tag"]] = r["id"]
            elif r["op"] == "ended" and r["tag"] in self.pool_of:
                self.ended_at[r["tag"]] = r["at"]
            elif r["op"] == "gone":
                self.gone_at[r["tag"]] = r["at"]
        self.removed |= set(self.gone)

    def read_ran(self):
        self.began, self.ends, self.places = collections.defaultdict(list), collections.defaultdict(list), {}
        try:
            with open(os.path.join(self.directory, "ran"), encoding="utf-8") as f:
                text = f.read()
        except FileNotFoundError:
            text = ""
        for place, line in enumerate(text.split("\n")[:-1]):
            words = line.split(" ")
            if len(words) != 5:
                self.bad("ran", "a torn line: %r", line)
                continue
            mark, attempt, task, tag, leaf = words
            if mark == "s":
                self.began[int(attempt)].append((task, tag, leaf))
            else:
                self.ends[int(attempt)].append(int(mark[1:]))
            self.places.setdefault((tag, leaf, mark[0]), [place, place])[1] = place
        self.leaf_of = {n: b[0][1:] for n, b in self.began.items()}

    # The rules.

    def check(self):
        self.check_database()
        self.check_commands()
        self.check_losses()
        self.check_told()
        for stray in self.strays:
            self.bad("stray", "a process was left over: %s", stray)
        return self.violations

    def check_database(self):
        for what in ("quick_check", "foreign_key_check"):
            got = self.db.execute("PRAGMA " + what).fetchall()
            if got not in ([("ok",)], []):
                self.bad("database", "%s: %r", what, got[:3])
        for job in self.jobs.values():
            if job["finished"] is None:
                self.bad("unfinished", "job %d (%s) has not ended: %s", job["id"], job["name"], STATES[job["state"]])
        for n, in self.db.execute("SELECT count(*) FROM item WHERE job = 0"):
            if n:
                self.bad("items", "%d items are left in queues with names", n)
        for table in ("object", "item"):
            for job, n in self.db.execute("SELECT job, count(*) FROM %s WHERE job IN (SELECT id FROM job WHERE"
                                          " finished IS NOT NULL) GROUP BY job" % table):
                self.bad("rows", "%d rows of table %s are left of job %d", n, table, job)
        for job, n, ends in self.db.execute(
                "SELECT job, count(*), (SELECT count(DISTINCT task) FROM task_end e WHERE e.job = t.job)"
                " FROM task t WHERE job IN (SELECT id FROM job WHERE finished IS NOT NULL) GROUP BY job"):
            if n != ends:
                self.bad("rows", "job %d has %d tasks, %d of which have ended", job, n, ends)

    def check_commands(self):
        """Every command ran as often as the store says."""
        for number, began in self.began.items():
            a = self.attempts.get(number)
            self.counts["commands"] += 1
            if len(began) > 1:
                self.bad("twice", "attempt %d ran %d times: %r", number, len(began), began[0])
            task, tag, _ = began[0]
            if tag in self.removed:
                continue
            if not a:
                self.bad("record", "attempt %d ran and is not in the store: %r", number, began[0])
                continue
            if task != "%d.%d" % (a.job, a.task):
                self.bad("record", "attempt %d is of task %s and recorded for %d.%d", number, task, a.job, a.task)
            if self.jobs.get(a.job, {}).get("name") != tag:
                self.bad("record", "attempt %d of %s is recorded for job %d", number, tag, a.job)
            if a.how == NOT_STARTED:
                self.bad("record", "attempt %d ran and is said not to have started", number)
        for a in self.attempts.values():
            if a.ended is None:
                self.bad("unfinished", "attempt %d of job %d has no end", a.number, a.job)
            elif a.how == EXITED:
                if a.number not in self.began:
                    self.bad("never ran", "attempt %d of job %d exited with %d and never ran", a.number, a.job, a.status)
                elif self.ends[a.number] != [a.status]:
                    self.bad("status", "attempt %d exited with %d and wrote down %r", a.number, a.status,
                             self.ends[a.number])
            if a.job not in self.jobs:
                self.bad("record", "attempt %d is of job %d, which is not there", a.number, a.job)

    def check_losses(self):
        lost = [a.number for a in self.attempts.values()  # requests are the daemon's own: they die with it
                if a.how == LOST and not self.jobs[a.job]["name"].endswith("-http")]
        may = sum(k.get("may_lose", 0) for k in self.kills)
        self.counts["lost"] = len(lost)
        # Killed (by a fault) before it was more than a copy of its monitor.
        self.struck = {a.job for a in self.attempts.values()
                       if (a.how, a.status) == (SIGNALED, 9) and a.number not in self.began}
        if len(self.struck) > sum(k.get("may_strike", 0) for k in self.kills):
            self.bad("lost", "commands of jobs %r were killed before they ran", self.struck)
        if len(lost) > may:
            self.bad("lost", "%d attempts are lost, at most %d could be: %r", len(lost), may, lost[:20])

    def check_told(self):
        ids, expects, kinds = {}, {}, {}
        self.cancels = collections.Counter(r["tag"] for r in self.told if r["op"] == "cancel")
        for r in self.told:
            self.counts[r["op"]] += 1
            if r["op"] == "submit":
                expects[r["tag"]], kinds[r["tag"]] = r["expect"], r["kind"]
            elif r["op"] == "submitted":
                if ids.setdefault(r["tag"], r["id"]) != r["id"]:
                    self.bad("key", "%s was told two ids: %d and %d", r["tag"], ids[r["tag"]], r["id"])
                if r.get("again") and not r["existing"]:
                    self.bad("key", "%s was submitted again and is told to be new", r["tag"])
        for tag, job in ids.items():
            if tag in self.removed:
                self.check_removed(tag, job)
            elif job not in self.jobs or self.jobs[job]["name"] != tag:
                self.bad("acknowledged", "%s was acknowledged as job %d, which is not it", tag, job)
        self.check_gone(expects)
        self.check_retries()
        self.check_stopped()
        self.check_shares(expects)
        self.check_outside(kinds, expects)
        self.check_http(expects)
        for tag in expects:
            self.check_job(tag, kinds[tag], expects[tag])
        for r in self.told:
            getattr(self, "told_" + r["op"], lambda r: None)(r)
        for name, jobs in self.by_name.items():
            if name not in expects:
                self.bad("unasked", "job %d (%s) was never submitted", jobs[0]["id"], name)

    def check_removed(self, tag, job):
        self.counts["removals"] += 1
        for table in ("job", "task", "task_end", "output", "attempt", "object", "item", "removal"):
            n = self.db.execute("SELECT count(*) FROM %s WHERE %s = ?" % (
                table, "id" if table == "job" else "job"), (job,)).fetchone()[0]
            if n:
                self.bad("removed", "%s was removed, %d rows of table %s are left", tag, n, table)

    def check_gone(self, expects):
        """Retention removed only what had ended, so long ago or before so many others; and did not forget any."""
        for tag, job in self.gone.items():
            pool, at = self.pool_of[tag], self.gone_at.get(tag, self.limits["at"])
            if any((tag, leaf, "e") not in self.places for leaf in expects[tag]["leaves"]) and not (
                    any(k.get("may_strike") for k in self.kills)):
                self.bad("limits", "%s: job %d is gone and had not run to its end", tag, job)
            self.counts["gone from " + pool] += 1
            ended = self.ended_at.get(tag)
            if ended is None:
                continue  # before anybody had asked how it ended
            limit, seconds = self.limits["pools"][pool]
            newer = [other for other, of in self.pool_of.items() if of == pool and other != tag
                     and ended <= self.ended_at.get(other, at) <= at]
            if not (seconds and at >= ended + seconds) and not (
                    limit and len(newer) >= limit and at >= ended + JUST_ENDED_S):
                self.bad("limits", "%s: job %d was gone %.3f s after its end, before %d others", tag, job, at - ended,
                         len(newer))
        for pool, (limit, seconds) in self.limits["pools"].items():
            left = [job for job in self.jobs.values() if job["pool"] == pool]
            if seconds and left or len(left) > limit:
                self.bad("limits", "%d jobs of pool %s were kept", len(left), pool)

    def check_retries(self):
        """As many jobs were made again as clients were told, or (what was not answered) asked for."""
        told = [r for r in self.told if r["op"] == "retried"]
        asked = collections.Counter(r["id"] for r in self.told if r["op"] == "retry")
        for r in told:
            self.counts["retries"] += 1
            if self.jobs.get(r["made"], {}).get("retry_of") != r["id"]:
                self.bad("retry", "%s: job %d was made again as %d, which is not it", r["tag"], r["id"], r["made"])
        if len({r["made"] for r in told}) != len(told):
            self.bad("retry", "a job was told to two who asked for a new one")
        for job, made in self.made_of.items():
            if len(made) > asked[job]:
                self.bad("retry", "job %d was asked for %d times and made again %d times", job, asked[job], len(made))

    def check_stopped(self):
        """Nothing was launched between a "stopped" and its "released"."""
        since = {}
        for r in self.told:
            if r["op"] == "stopped":
                since[r["id"]] = r["at"]
            elif r["op"] == "released":
                for a in self.of_job[r["id"]]:
                    if since[r["id"]] < a.launched / 1e6 < r["at"]:
                        self.bad("stopped", "%s: attempt %d was launched while it was not to go on", r["tag"], a.number)

    def check_shares(self, expects):
        """What several jobs took out of one queue is all that was put into it."""
        shares = collections.defaultdict(list)
        for tag, expect in expects.items():
            if "share_of" in expect and self.by_name[tag]:
                shares[expect["share_of"]].append(json.loads(self.by_name[tag][0]["value"] or "[]"))
        for tag, lists in shares.items():
            self.check_items(tag, expects[tag]["value"], lists)

    def check_outside(self, kinds, expects):
        """A client is given each item, in order; once it has heard that it is done, never again."""
        for tag in (t for t, kind in kinds.items() if kind == "outside" and self.by_name[t]):
            told = [r for r in self.told if r.get("tag") == tag and r["op"] in ("item", "done")]
            first = list(dict.fromkeys(r["item"] for r in told if r["op"] == "item"))
            if first != list(range(expects[tag]["value"])):
                self.bad("items", "%s: a client was given %r", tag, first)
            done = set()
            for r in told:
                if r["op"] == "done":
                    done.add(r["item"])
                elif r["item"] in done:
                    self.bad("items", "%s: item %d came again after it was done", tag, r["item"])

    def check_http(self, expects):
        try:
            with open(os.path.join(self.directory, "http"), encoding="utf-8") as f:
                asked = collections.Counter(f.read().splitlines())
        except FileNotFoundError:
            asked = {}
        for tag, expect in expects.items():
            jobs = self.by_name[tag]
            if "http" not in expect or not jobs:
                continue
            n = asked.get("%s %s" % (expect["http"], tag), 0)
            if n > 1 and expect["http"] == "POST":
                self.bad("http", "%s was sent %d times", tag, n)
            if n == 0 and STATES[jobs[0]["state"]] == "succeeded":
                self.bad("http", "%s succeeded and was never sent", tag)

    def told_ended(self, r):
        job = self.jobs.get(r["id"])
        if not job:
            return
        stored = json.loads(job["value"]) if job["value"] else None
        if r["state"] != STATES[job["state"]] or r["value"] != stored:
            self.bad("told", "%s: told %s %r, stored %s %r", r["tag"], r["state"], r["value"], STATES[job["state"]],
                     stored)
        if r["output"] is not None and r["output"] != self.output[r["id"]]:
            self.bad("told", "%s: told the output %r, stored is %r", r["tag"], r["output"], self.output[r["id"]])

    def told_cancelled(self, r):
        job = self.jobs.get(r["id"])
        if job and STATES[job["state"]] != "cancelled" and r["id"] not in self.struck:
            self.bad("cancel", "%s: the cancel was acknowledged and it is %s", r["tag"], STATES[job["state"]])

    def told_followed(self, r):
        """Also what came before the connection was lost is a part of all."""
        whole = self.expect_log(r)
        if whole is not None and not whole.startswith(r["text"]):
            self.bad("log", "%s: was sent %r", r["tag"], r["text"][-200:])

    def told_log(self, r):
        whole = self.expect_log(r)
        if whole is not None and whole != r["text"] and not self.lost_of(r["id"]) and r["id"] not in self.struck:
            self.bad("log", "%s: the log is %r, sent was %r", r["tag"], whole[-200:], r["text"][-200:])

    def expect_log(self, r):
        return next((x["expect"].get("log") for x in self.told if x["op"] == "submit" and x["tag"] == r["tag"]), None)

    def told_ran(self, r):
        """`coro run` shows what its command wrote and ends as it did."""
        jobs = self.by_name[r["tag"]]
        if jobs and (self.lost_of(jobs[0]["id"]) or jobs[0]["id"] in self.struck):
            good = r["status"] != 0 and r["expect_stdout"].startswith(r["stdout"])
        else:
            good = (r["status"], r["stdout"]) == (r["expect_status"], r["expect_stdout"])
        if not good:
            self.bad("coro run", "%s: status %d, stdout %r, stderr %r", r["tag"], r["status"], r["stdout"][-300:],
                     r["stderr"][-300:])

    def lost_of(self, job):
        return [a for a in self.of_job[job] if a.how == LOST and a.reason != NEVER_SENT]

    # One job.

    def check_job(self, tag, kind, expect):
        jobs = self.by_name[tag]
        if len(jobs) != 1:
            if jobs:
                self.bad("key", "%s is %d jobs", tag, len(jobs))
            return
        self.check_one(tag, kind, expect, jobs[0])
        if "again" in expect:
            self.check_again(tag, expect["again"], jobs[0])

    def check_again(self, tag, expect, first):
        """When only what failed is to be done again, all that had succeeded is known."""
        failed = any(r["failed"] for r in self.told if r["op"] == "retry" and r["tag"] == tag)
        done = {self.leaf_of[a.number][1] for a in self.of_job[first["id"]]
                if (a.how, a.status) == (EXITED, 0) and a.number in self.leaf_of}
        for job in self.made_of[first["id"]]:
            leaves = {leaf: wanted for leaf, wanted in expect["leaves"].items() if not failed or leaf not in done}
            self.check_one(tag, "retried", {**expect, "leaves": leaves}, job)

    def check_one(self, tag, kind, expect, job):
        expect = {"state": "succeeded", **expect}
        if job["id"] in self.struck:
            return
        self.counts["jobs"] += 1
        self.counts["jobs: " + kind] += 1
        lost = self.lost_of(job["id"])
        state, output = STATES[job["state"]], self.output[job["id"]]
        value = json.loads(job["value"]) if job["value"] else None
        failed = expect.get("fails") and lost
        if failed:
            if state != "lost" or not has_lost_error(json.loads(job["error"] or "null")):
                self.bad("result", "%s lost its command and is %s: %s", tag, state, job["error"])
        elif job["finished"] is not None:
            if state != expect["state"]:
                self.bad("result", "%s is %s: %s", tag, state, job["error"])
            if "error" in expect and json.loads(job["error"] or "{}").get("type") != expect["error"]:
                self.bad("result", "%s failed with %s", tag, job["error"])
            self.check_value(tag, expect, value, len(lost))
        never = expect.get("cancel") and not output  # cancelled before its first step
        self.check_output(tag, expect, output, failed or never)
        self.check_leaves(tag, expect, job["id"], lost, never)
        self.check_start(tag, expect, job)
        for first, second in expect.get("order", ()):
            a, b = self.places.get((tag, first, "e")), self.places.get((tag, second, "s"))
            if a and b and a[1] > b[0]:
                self.bad("order", "%s: %s began before %s had ended", tag, second, first)

    def check_start(self, tag, expect, job):
        """It began after its delay, behind another job."""
        begins = min((a.launched for a in self.of_job[job["id"]]), default=None)
        if begins is None:
            return
        if begins < job["created"] + expect.get("delay", 0) * 1e6:
            self.bad("start", "%s began %d us after it was made", tag, begins - job["created"])
        for other in self.by_name.get(expect.get("behind"), ()):
            if other["finished"] and begins < other["finished"]:
                self.bad("start", "%s began before %s had ended", tag, other["name"])

    def check_value(self, tag, expect, value, lost):
        if "items" in expect:
            self.check_items(tag, expect["items"], value)
        elif "value" in expect and value != expect["value"]:
            holes = [x != y for x, y in zip(value, expect["value"])] if expect.get("holes") and isinstance(
                value, list) and len(value) == len(expect["value"]) else [True] * (lost + 1)
            if sum(holes) != lost or not all(has_lost_error(v) for v, hole in zip(value, holes) if hole):
                self.bad("result", "%s: the value is %r instead of %r", tag, value, expect["value"])

    def check_items(self, tag, n, value):
        """Lists of what each of the consumers took."""
        taken = sorted(x for got in value or () for x in got)
        if taken != list(range(n)):
            self.bad("items", "%s: of %d items were taken: %r", tag, n, taken)
        for got in value or ():
            if got != sorted(got):
                self.bad("order", "%s: a consumer took %r", tag, got)

    def check_output(self, tag, expect, output, part):
        if "output" in expect:
            good = output == expect["output"][:len(output)] if part else output == expect["output"]
            if not good:
                self.bad("output", "%s printed %r instead of %r", tag, output, expect["output"])
        if "groups" in expect:
            if sorted(output) != sorted(x for g in expect["groups"] for x in g):
                self.bad("output", "%s printed %r", tag, output)
            for g in expect["groups"]:
                if not is_subsequence(g, output):
                    self.bad("order", "%s printed %r, not in the order %r", tag, output, g)

    def check_leaves(self, tag, expect, job, lost, never):
        """How each of its commands ended, the lost ones apart. None: it was to be stopped."""
        ended = collections.defaultdict(list)
        for a in self.of_job[job]:
            if a.how != LOST and a.number in self.leaf_of:
                ended[self.leaf_of[a.number][1]].append(a)
        for leaf, wanted in expect.get("leaves", {}).items():
            attempts = ended.pop(leaf, [])
            if wanted is None:
                if any(a.how == EXITED for a in attempts) or len(attempts) > 1:
                    self.bad("leaf", "%s %s: %r", tag, leaf, attempts)
                continue
            got = [a.status if a.how == EXITED else None for a in attempts]
            if never and not got or got == wanted:
                continue
            if self.cancels[tag] > 1 and got in ([], [None]):  # a second cancel interrupts the clean-up
                continue
            if lost and expect.get("counts_lost") and got == wanted[-len(got):] and got:
                continue
            if lost and (expect.get("fails") or expect.get("holes")) and not got:
                continue
            self.bad("leaf", "%s %s: ended with %r instead of %r", tag, leaf, got, wanted)
        if ended:
            self.bad("leaf", "%s ran what it does not have: %r", tag, list(ended))


def main():
    checker = Checker(sys.argv[1])
    for rule, text in checker.check():
        print("VIOLATION %s: %s" % (rule, text))
    print(", ".join("%s %d" % item for item in sorted(checker.counts.items())))
    print("%d violations" % len(checker.violations))
    return 1 if checker.violations else 0


if __name__ == "__main__":
    sys.exit(main())
