"""asyncio as of CPython 3.13.0 on an older Python, on virtual time, and with an order for everything.

Python 3.11's own classes do the work wherever they behave alike. What differs is here; each
difference is a line of differences.md. Where CPython goes through a set, here it is creation order.
"""
import asyncio
import collections

import virtual_loop

Loop, Task = virtual_loop.Loop, virtual_loop.Task

CancelledError = asyncio.CancelledError


class QueueShutDown(Exception):
    pass


class Gathering(asyncio.Future):
    """What gather() gives."""

    def __init__(self, children, loop):
        super().__init__(loop=loop)
        self.children = children
        self.cancel_requested = False

    def cancel(self, msg=None):
        if self.done():
            return False
        taken = False
        for child in self.children:
            taken = child.cancel() or taken
        self.cancel_requested = self.cancel_requested or taken
        return taken


def gather(things, return_exceptions=False):
    """asyncio.gather() with 3.12's rule: children that are done are taken in at once."""
    loop = asyncio.get_running_loop()
    if not things:
        outer = loop.create_future()
        outer.set_result([])
        return outer
    futures, children = {}, []
    finished = 0
    outer = None

    def on_done(future):
        nonlocal finished
        finished += 1
        error = None if future.cancelled() else future.exception()
        if outer is None or outer.done():
            return
        if not return_exceptions:
            if future.cancelled():
                error = future._make_cancelled_error()
            if error is not None:
                outer.set_exception(error)
                return
        if finished < len(futures):
            return
        if outer.cancel_requested:
            outer.set_exception(future._make_cancelled_error())
            return
        outer.set_result([CancelledError("") if child.cancelled() else outcome(child)
                          for child in children])

    done = []
    for thing in things:
        if thing not in futures:
            future = asyncio.ensure_future(thing, loop=loop)
            futures[thing] = future
            if future.done():
                done.append(future)
            else:
                future.add_done_callback(on_done)
        children.append(futures[thing])
    outer = Gathering(children, loop)
    for future in done:
        on_done(future)
    return outer


def outcome(future):
    if future.cancelled():
        return future._make_cancelled_error()
    error = future.exception()
    return future.result() if error is None else error


async def wait(tasks, timeout, return_when):
    """asyncio.wait(), in order of creation."""
    if not tasks:
        raise ValueError("Set of Tasks/Futures is empty.")
    if return_when not in ("FIRST_COMPLETED", "FIRST_EXCEPTION", "ALL_COMPLETED"):
        raise ValueError("Invalid return_when value: %s" % return_when)
    if any(not isinstance(t, Task) for t in tasks):
        raise TypeError("Passing coroutines is forbidden, use tasks explicitly.")
    tasks = sorted(dict.fromkeys(tasks), key=lambda t: t.number)
    done, pending = await asyncio.tasks._wait(tasks, timeout, return_when,
                                              asyncio.get_running_loop())
    return [t for t in tasks if t in done], [t for t in tasks if t in pending]


class AsCompleted:
    """asyncio.as_completed() as an asynchronous iterator (3.13): gives the tasks themselves."""

    def __init__(self, things):
        self.done = Queue()
        loop = asyncio.get_running_loop()
        todo = [asyncio.ensure_future(thing, loop=loop) for thing in dict.fromkeys(things)]
        self.left = len(todo)
        for task in sorted(todo, key=lambda t: t.number):
            task.add_done_callback(self.done.put_nowait)

    def __aiter__(self):
        return self

    async def __anext__(self):
        if self.left == 0:
            raise StopAsyncIteration
        self.left -= 1
        return await self.done.get()


class Timeout:
    """asyncio.timeout(). With delay None it does nothing until start()."""

    def __init__(self, delay):
        self.delay = delay
        self.handle = None
        self.expiring = False

    async def __aenter__(self):
        self.task = asyncio.current_task()
        self.cancelling = self.task.cancelling()
        if self.delay is not None:
            self.start(self.delay)
        return self

    def start(self, delay):
        loop = asyncio.get_event_loop()
        if delay > 0:
            self.handle = loop.call_later(delay, self.on_timeout)
        else:
            self.handle = loop.call_soon(self.on_timeout)

    def on_timeout(self):
        self.task.cancel()
        self.expiring = True
        self.handle = None

    async def __aexit__(self, kind, error, traceback):
        if self.handle is not None:
            self.handle.cancel()
        if self.expiring and self.task.uncancel() <= self.cancelling and error is not None and \
                isinstance(error, CancelledError):
            raise TimeoutError from error


class TaskGroup:
    """asyncio.TaskGroup of 3.13.0: a cancellation from outside is not lost."""

    def __init__(self):
        self.tasks = {}
        self.errors = []
        self.exiting = self.aborting = self.parent_cancelled = False
        self.all_done = None

    async def __aenter__(self):
        self.parent = asyncio.current_task()
        return self

    def create_task(self, coro, name=None):
        if self.exiting and not self.tasks:
            coro.close()
            raise RuntimeError("TaskGroup %s is finished" % self)
        if self.aborting:
            coro.close()
            raise RuntimeError("TaskGroup %s is shutting down" % self)
        task = asyncio.get_running_loop().create_task(coro, name=name)
        self.tasks[task] = True
        task.add_done_callback(self.on_done)
        return task

    def __str__(self):
        return "<task_group>"

    def abort(self):
        self.aborting = True
        for task in list(self.tasks):
            task.cancel()

    def on_done(self, task):
        self.tasks.pop(task, None)
        if self.all_done is not None and not self.tasks and not self.all_done.done():
            self.all_done.set_result(True)
        if task.cancelled() or task.exception() is None:
            return
        self.errors.append(task.exception())
        if self.parent.done():
            return
        if not self.aborting and not self.parent_cancelled:
            self.abort()
            self.parent_cancelled = True
            self.parent.cancel()

    async def __aexit__(self, kind, error, traceback):
        self.exiting = True
        cancelled = error if isinstance(error, CancelledError) else None
        if error is not None and not self.aborting:
            self.abort()
        while self.tasks:
            if self.all_done is None:
                self.all_done = asyncio.get_running_loop().create_future()
            try:
                await self.all_done
            except CancelledError as e:
                if not self.aborting:
                    cancelled = e
                    self.abort()
            self.all_done = None
        if self.parent_cancelled and self.parent.uncancel() == 0:
            cancelled = None
        if cancelled is not None and not self.errors:
            raise cancelled
        if error is not None and not isinstance(error, CancelledError):
            self.errors.append(error)
        if self.errors:
            if self.parent.cancelling():
                self.parent.uncancel()
                self.parent.cancel()
            raise BaseExceptionGroup("unhandled errors in a TaskGroup", self.errors) from None
        return True



class Semaphore(asyncio.Semaphore):
    """First come, first served, also when somebody who waits is cancelled."""

    async def acquire(self):
        if not self.locked():
            self._value -= 1
            return True
        if self._waiters is None:
            self._waiters = collections.deque()
        future = asyncio.get_running_loop().create_future()
        self._waiters.append(future)
        try:
            try:
                await future
            finally:
                self._waiters.remove(future)
        except CancelledError:
            if future.done() and not future.cancelled():
                self._value += 1
            raise
        finally:
            while self._value > 0 and self._wake_up_next():
                pass
        return True

    def release(self):
        self._value += 1
        self._wake_up_next()

    def _wake_up_next(self):
        for future in self._waiters or ():
            if not future.done():
                self._value -= 1
                future.set_result(True)
                return True
        return False


class BoundedSemaphore(Semaphore):
    def __init__(self, value=1):
        self.bound = value
        super().__init__(value)

    def release(self):
        if self._value >= self.bound:
            raise ValueError("BoundedSemaphore released too many times")
        super().release()


class Condition(asyncio.Condition):
    """Whoever was notified and then fails passes the notification on."""

    async def wait(self):
        if not self.locked():
            raise RuntimeError("cannot wait on un-acquired lock")
        future = asyncio.get_running_loop().create_future()
        self.release()
        try:
            try:
                self._waiters.append(future)
                try:
                    await future
                    return True
                finally:
                    self._waiters.remove(future)
            finally:
                error = None
                while True:
                    try:
                        await self.acquire()
                        break
                    except CancelledError as e:
                        error = e
                if error is not None:
                    raise error
        except BaseException:
            self.wake(1)
            raise

    def wake(self, n):
        for future in [f for f in self._waiters if not f.done()][:n]:
            future.set_result(False)

    def notify(self, n=1):
        if not self.locked():
            raise RuntimeError("cannot notify on un-acquired lock")
        self.wake(n)


class Barrier(asyncio.Barrier):
    def __init__(self, parties):
        super().__init__(parties)
        self._cond = Condition()


class Shutdown:
    """Queue.shutdown(), for all three queues."""

    is_shutdown = False

    async def put(self, item):
        while self.full():
            if self.is_shutdown:
                raise QueueShutDown
            await self.turn(self._putters, self.full)
        return self.put_nowait(item)

    async def get(self):
        while self.empty():
            if self.is_shutdown:
                raise QueueShutDown
            await self.turn(self._getters, self.empty)
        return self.get_nowait()

    async def turn(self, waiters, blocked):
        waiter = asyncio.get_running_loop().create_future()
        waiters.append(waiter)
        try:
            await waiter
        except BaseException:
            waiter.cancel()
            if waiter in waiters:
                waiters.remove(waiter)
            if not blocked() and not waiter.cancelled():
                self._wakeup_next(waiters)
            raise

    def put_nowait(self, item):
        if self.is_shutdown:
            raise QueueShutDown
        super().put_nowait(item)

    def get_nowait(self):
        if self.empty() and self.is_shutdown:
            raise QueueShutDown
        return super().get_nowait()

    def shutdown(self, immediate=False):
        self.is_shutdown = True
        if immediate:
            while not self.empty():
                self._get()
                if self._unfinished_tasks > 0:
                    self._unfinished_tasks -= 1
            if self._unfinished_tasks == 0:
                self._finished.set()
        for waiters in (self._getters, self._putters):
            while waiters:
                waiter = waiters.popleft()
                if not waiter.done():
                    waiter.set_result(None)


class Queue(Shutdown, asyncio.Queue):
    pass


class LifoQueue(Shutdown, asyncio.LifoQueue):
    pass


class PriorityQueue(Shutdown, asyncio.PriorityQueue):
    pass
