"""An event loop on virtual time, and tasks that know their order, for the judge."""
import asyncio
import heapq
import math


class Task(asyncio.tasks._PyTask):
    """A task that knows its place among the others."""

    def __init__(self, coro, *, loop, name=None, context=None):
        loop.tasks_made += 1
        self.number = loop.tasks_made
        self.started = self.on_path = False
        super().__init__(coro, loop=loop, name=name or "Task-%d" % self.number, context=context)
        loop.tasks.append(self)

    def cancel(self, msg=None):
        """As CPython's, but for tasks that await each other in a circle, where CPython ends with a
        RecursionError: there the circle is cut."""
        if self.done():
            return False
        if self.on_path:
            return True
        self.on_path = True
        try:
            waiter = self._fut_waiter
            circle = [f for f in getattr(waiter, "children", [waiter])
                      if isinstance(f, Task) and f.on_path and not f.done()]
            if not circle or waiter.done():
                return super().cancel(msg)
            waiter.remove_done_callback(self._Task__wakeup)
            self._fut_waiter = None
            self._loop.call_soon(self._Task__step, context=self._context)
            self._num_cancels_requested += 1
            self._must_cancel = True
            waiter.cancel()
            return True
        finally:
            self.on_path = False

    def uncancel(self):
        left = super().uncancel()
        if left == 0:
            self._must_cancel = False
        return left

    def _make_cancelled_error(self):
        error = super()._make_cancelled_error()
        self._cancelled_exc = error  # CPython forgets it after the first who asks
        return error

    def result(self):
        if not self.done():
            raise asyncio.InvalidStateError("Result is not set.")  # as the one in C says
        return super().result()

    def __del__(self):
        pass


class Loop(asyncio.BaseEventLoop):
    """Time passes only when nothing is ready. Deadlines are whole microseconds; equal ones come in
    the order in which they were made. Outside events (ends of commands) come before timers."""

    def __init__(self, on_stuck):
        super().__init__()
        self.now_us = 0
        self.timers = []
        self.made = 0
        self.tasks_made = 0
        self.tasks = []
        self.commands = 0
        self.wanted = []  # commands that want to start
        self.running = []  # commands that run
        self.on_stuck = on_stuck
        self.deadline = None  # the job's: nothing waits for it
        self.set_task_factory(lambda loop, coro, **kw: Task(coro, loop=loop, **kw))
        self.set_exception_handler(self.on_exception)

    @staticmethod
    def on_exception(loop, context):
        if "exception was never retrieved" not in context["message"]:
            raise AssertionError(context["message"]) from context.get("exception")

    def live_tasks(self):
        self.tasks = [t for t in self.tasks if not t.done()]
        return list(self.tasks)

    def time(self):
        return self.now_us / 1e6

    def call_later(self, delay, callback, *args, context=None):
        us = math.floor(delay * 1e6 + 0.5) if delay * 1e6 < 2**62 else 2**62
        return self.call_at_us(self.now_us + max(us, 0), callback, args, context)

    def call_at(self, when, callback, *args, context=None):
        return self.call_at_us(round(when * 1e6), callback, args, context)

    def call_at_us(self, when_us, callback, args, context=None):
        handle = asyncio.TimerHandle(when_us, callback, args, self, context)
        handle._scheduled = True
        self.made += 1
        heapq.heappush(self.timers, (when_us, self.made, handle))
        return handle

    def _timer_handle_cancelled(self, handle):
        pass

    def _process_events(self, events):
        pass

    def _write_to_self(self):
        pass

    def next_timer(self):
        while self.timers and self.timers[0][2].cancelled():
            heapq.heappop(self.timers)
        return self.timers[0][0] if self.timers else None

    def take_ended(self):
        """The commands that are over by now, in order of their starts."""
        for command in list(self.running):
            if command.take():
                self.running.remove(command)

    def idle(self):
        """Nothing is ready: commands start, or time passes."""
        wanted, self.wanted = self.wanted, []
        for command in wanted:
            command.launch()
            self.running.append(command)
        self.take_ended()
        if self._ready or wanted:
            return
        due = [c.next_due_us() for c in self.running]
        timer = self.next_timer()
        if timer is not None:
            due.append(timer)
        if due and (self.running or any(not t[2].cancelled() and t[2] is not self.deadline
                                        for t in self.timers)):
            self.now_us = max(self.now_us, min(due))
            self.take_ended()
        else:
            self.on_stuck()

    def _run_once(self):
        if not self._ready:
            due = self.next_timer()
            if due is None or due > self.now_us:
                self.idle()
        while self.next_timer() is not None and self.timers[0][0] <= self.now_us:
            handle = heapq.heappop(self.timers)[2]
            handle._scheduled = False
            self._ready.append(handle)
        for _ in range(len(self._ready)):
            handle = self._ready.popleft()
            if not handle._cancelled:
                handle._run()
