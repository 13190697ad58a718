#!/usr/bin/env python3
"""The judge with the classes of the CPython that runs it, which must be 3.13.

What asyncio313.py has of its own is replaced, but for the loop (virtual time). Sets of tasks are made
ordered as far as they can be reached; as_completed() goes through a set that can't.
"""
import asyncio
import sys

import asyncio313
import judge
import judge_objects
import values
import virtual_loop


class Task(asyncio.Task):
    _coro = property(lambda self: None, lambda self, coro: None)

    def __init__(self, coro, *, loop, name=None, context=None):
        loop.tasks_made += 1
        self.number = loop.tasks_made
        self.started = self.on_path = False
        super().__init__(coro, loop=loop, name=name or "Task-%d" % self.number, context=context)
        loop.tasks.append(self)

    def __hash__(self):
        return self.number

    def __eq__(self, other):
        return self is other

    def set_name(self, name):
        if name is not None:  # 3.13.0 sets what create_task() was not given
            super().set_name(name)


class OrderedSet(dict):
    def add(self, item):
        self[item] = True

    def discard(self, item):
        self.pop(item, None)


class TaskGroup(asyncio.TaskGroup):
    def __init__(self):
        super().__init__()
        self._tasks = OrderedSet()

    def _abort(self):
        self._aborting = True
        for task in list(self._tasks):
            task.cancel()


class Timeout(asyncio.Timeout):
    def __init__(self, delay):
        now = asyncio.get_running_loop().time()
        super().__init__(None if delay is None else now + delay)

    def start(self, delay):
        self.reschedule(asyncio.get_running_loop().time() + delay)


class AsCompleted:
    def __init__(self, things):
        self.tasks = asyncio.as_completed(list(things)).__aiter__()

    async def __anext__(self):
        return await self.tasks.__anext__()


def gather(things, return_exceptions=False):
    return asyncio.gather(*things, return_exceptions=return_exceptions)


def main():
    if sys.version_info[:2] != (3, 13):
        sys.exit("this is not CPython 3.13")
    for own in (Task, TaskGroup, Timeout, AsCompleted, gather):
        setattr(asyncio313, own.__name__, own)
    for name in ("Semaphore", "BoundedSemaphore", "Condition", "Barrier", "Queue", "LifoQueue",
                 "PriorityQueue", "QueueShutDown"):
        setattr(asyncio313, name, getattr(asyncio, name))
    values.CLASSES["QueueShutDown"] = asyncio.QueueShutDown
    for kind in ("queue", "lifo_queue", "priority_queue", "semaphore", "bounded_semaphore",
                 "condition", "barrier"):
        name = "".join(word.capitalize() for word in kind.split("_"))
        judge_objects.object_verb(kind, getattr(asyncio, name))
    virtual_loop.Task = Task
    sys.argv[1:] = ["--many"]
    judge.run_main()


if __name__ == "__main__":
    main()
