#!/usr/bin/env python3
"""The judge: runs a job document on Python's own asyncio, each verb as the asyncio call of its name.

  judge.py FILE…      prints what the job prints, then `=> {"state": …, "value" or "error": …}`
  judge.py --many     reads one document a line, writes one JSON list of lines a line

It is written from language.md alone and shares no code with corod. Commands are pretended: `run` and
`sh` take `"simulate": {"duration", "exit", "stdout"}`, and a script of `sleep N; echo TEXT; exit N`
does what it says. asyncio313.py has what differs from CPython 3.13.
"""
import asyncio
import json
import sys
import threading
import warnings

import asyncio313
import values
from judge_base import VERBS, Scope
from judge_flow import Flow
from judge_objects import Objects
from judge_tasks import Tasks
from values import error_value

STUCK_MAX = 3  # so often a job that is stuck is cancelled
sys.setrecursionlimit(20000)
warnings.simplefilter("ignore")  # coroutines that were never awaited: the judge says so itself


class Stop(BaseException):
    """The job can't go on: it still waits after it was cancelled again and again."""


def simple(error):
    """An error as `coro simulate` shows it."""
    shown = {"type": error["type"], "message": values.plain(error["message"])}
    if "exceptions" in error:
        shown["exceptions"] = [simple(e) for e in error["exceptions"]]
    return shown


class Job(Flow, Tasks, Objects):
    def __init__(self, document):
        if isinstance(document, list) or "main" not in document:
            document = {"main": document}
        self.document = document
        self.input = document.get("input", {})
        self.define = document.get("define", {})
        self.lines = []
        self.named = {}
        self.coroutines = []
        self.left = []  # coroutines that left the one that made them
        self.failure = None
        self.over = False
        self.stuck = 0
        self.main_done = False

    # ---- the job's life: asyncio.run() ----

    def run(self):
        self.loop = loop = asyncio313.Loop(self.on_stuck)
        asyncio.set_event_loop(loop)
        try:
            state, result = self.run_in(loop)
        finally:
            self.over = True
            for task in loop.tasks:  # one that is left over ends here: its inner coroutine first
                task._coro = None
            for coro in self.coroutines:
                try:
                    coro.object.close()
                except BaseException:
                    pass
            asyncio.set_event_loop(None)
        for coro in self.left:
            coro.warn()
        key = "value" if state == "succeeded" else "error"
        return self.lines + ["=> " + json.dumps({"state": state, key: result},
                                                ensure_ascii=False)]

    def run_in(self, loop):
        scope = Scope(self)
        main = loop.create_task(self.started(self.frame(self.document["main"], scope)))
        limit = self.document.get("timeout")
        if limit is not None:
            loop.deadline = loop.call_later(limit, self.on_overdue, main)
        try:
            try:
                loop.run_until_complete(main)
            except BaseException as e:
                if isinstance(e, (Stop, AssertionError, KeyboardInterrupt)):
                    raise
            self.main_done = True
            self.close(loop)
        except Stop:
            pass
        if self.failure is not None:
            return "failed", simple(self.failure)
        if not main.done() or main.cancelled():
            error = main._make_cancelled_error() if main.done() else asyncio.CancelledError()
            return "cancelled", simple(error_value(error))
        error = main.exception()
        if error is not None:
            kind = values.type_of(error)
            return "lost" if kind == "LostError" else "failed", simple(error_value(error))
        return "succeeded", values.plain(main.result())

    def close(self, loop):
        while True:
            tasks = loop.live_tasks()
            if not tasks:
                return
            for task in tasks:
                task.cancel()

            loop.run_until_complete(self.gather_all(loop, tasks))

    @staticmethod
    def gather_all(loop, tasks):
        asyncio._set_running_loop(loop)
        try:
            return asyncio313.gather(tasks, return_exceptions=True)
        finally:
            asyncio._set_running_loop(None)

    def on_stuck(self):
        if not self.main_done and self.failure is None:
            self.failure = {"type": "DeadlockError", "message": ""}
        self.stuck += 1
        if self.stuck > STUCK_MAX:
            raise Stop
        for task in self.loop.live_tasks():
            task.cancel()

    def on_overdue(self, main):
        if self.main_done or self.failure is not None:
            return
        self.failure = {"type": "TimeoutError", "message":
                        "the job took longer than its timeout of %g s" % self.document["timeout"]}
        main.cancel()

    def print(self, line):
        self.lines.append(line)



VERBS.update(name[3:] for name in dir(Job) if name.startswith("do_"))


def main():
    if sys.argv[1:] == ["--many"]:
        for line in sys.stdin:
            print(json.dumps(Job(json.loads(line)).run(), ensure_ascii=False), flush=True)
        return
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8") as f:
            print("\n".join(Job(json.load(f)).run()))


def run_main():
    """With a stack for programs that call themselves without end."""
    threading.stack_size(512 << 20)
    thread = threading.Thread(target=main)
    thread.start()
    thread.join()


if __name__ == "__main__":
    run_main()
