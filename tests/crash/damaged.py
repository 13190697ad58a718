#!/usr/bin/env python3
"""Rows that are damaged while the daemon is away: that one job is lost and says so, all else goes on."""
import os
import signal
import sqlite3
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from corod import Daemon, check, equal, run_tests  # noqa: E402

GATED = {"sh": "while [ ! -e \"$GATE\" ]; do sleep 0.05; done; echo went"}


def damage(sql):
    """Two jobs of two commands each; the first one's rows are changed by sql."""
    with Daemon() as d:
        gate = os.path.join(d.directory, "gate")
        with d.client() as c:
            env = dict(os.environ, GATE=gate)
            jobs = [c.submit({"main": {"gather": [GATED, GATED]}}, env=env) for _ in range(2)]
        d.stop(signal.SIGTERM)
        db = sqlite3.connect(os.path.join(d.state, "corod.db"))
        check(db.execute(sql, [jobs[0]]).rowcount > 0, "nothing was damaged")
        db.commit()
        db.close()
        d.start()
        with open(gate, "w", encoding="ascii"):
            pass
        with d.client() as c:
            lost = c.finish(jobs[0])
            equal(lost["state"], "lost")
            equal(lost["error"]["type"], "LostError")
            fine = c.finish(jobs[1])
            equal([r["stdout"] for r in fine["value"]], ["went", "went"])
            equal(c.run({"main": {"run": ["echo", "new"]}})["value"]["stdout"], "new")
        check("cannot be taken up" in d.log(), d.log())


def test_a_frame():
    damage("UPDATE task SET frame = x'0102030405' WHERE job = ? AND id = 2")


def test_a_frame_cut_short():
    damage("UPDATE task SET frame = substr(frame, 1, length(frame) - 1) WHERE job = ?")


def test_a_task_is_gone():
    damage("DELETE FROM task WHERE job = ? AND id = 1")


def test_the_jobs_own_part():
    damage("UPDATE job SET runtime = x'ff' WHERE id = ?")


def test_the_jobs_own_part_is_gone():
    damage("UPDATE job SET runtime = NULL WHERE id = ?")


run_tests(globals(), sys.argv[1:])
