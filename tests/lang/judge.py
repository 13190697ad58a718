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
import re
import sys
import threading
import warnings

import asyncio313
import logic
import values
from values import Handle, error_value

NORMAL, RETURN, BREAK, CONTINUE = range(4)
ERRORS = (Exception, asyncio.CancelledError, BaseExceptionGroup)  # what a program can see
KILL_US = 230000  # a command ends so long after its signal
STUCK_MAX = 3
MODIFIERS = ("as", "name", "timeout", "retry")
sys.setrecursionlimit(20000)
warnings.simplefilter("ignore")  # coroutines that were never awaited: the judge says so itself


class Stop(BaseException):
    """The job can't go on: it still waits after it was cancelled again and again."""


class Scope:
    """Variables of a coroutine; around a branch's are those of the one it stands in."""

    def __init__(self, job, outer=None):
        self.job = job
        self.outer = outer
        self.variables = {}
        self.made = []  # coroutines that it made

    def lookup(self, name):
        scope = self
        while scope is not None:
            if name in scope.variables:
                return scope.variables[name]
            scope = scope.outer
        if name in self.job.input:
            return self.job.input[name]
        raise NameError("name '%s' is not defined" % name)

    def eval(self, x):
        return values.evaluate(x, self.lookup)

    def logic(self, x):
        return logic.apply(x, self.lookup)


class Coro(Handle):
    """What `call` makes: a coroutine object."""

    kind = "coroutine"

    def __init__(self, job, node, scope):
        self.job = job
        self.node = node
        self.used = self.warned = False
        function = job.define[node["call"]]
        given = {k: scope.eval(v) for k, v in node.get("args", {}).items()}
        self.args = {}
        for name in function.get("params", []):
            if name in given:
                self.args[name] = given[name]
            elif name in function.get("defaults", {}):
                self.args[name] = function["defaults"][name]
            else:
                raise TypeError("%s() missing 1 required positional argument: '%s'"
                                % (node["call"], name))
        for name in given:
            if name not in self.args:
                raise TypeError("%s() got an unexpected keyword argument '%s'"
                                % (node["call"], name))
        self.name = scope.eval(node["name"]) if "name" in node else None
        self.object = self.run()
        job.coroutines.append(self)

    def __str__(self):
        return "<coroutine %s>" % self.node["call"]

    def warn(self):
        if not self.used and not self.warned:
            self.warned = True
            self.job.print("warning: coroutine '%s' was never awaited" % self.node["call"])

    async def run(self):
        async def body():
            scope = Scope(self.job)
            scope.variables.update(self.args)
            return NORMAL, await self.job.frame(self.job.define[self.node["call"]]["do"], scope)
        outer = Scope(self.job)
        outer.variables.update(self.args)
        return (await self.job.modified(self.node, outer, body))[1]


class Command(asyncio.Future):
    """A pretended command. Cancelling it takes until its process has ended."""

    def __init__(self, loop, duration, on_launch):
        super().__init__(loop=loop)
        self.loop = loop
        self.duration_us = round(duration * 1e6)
        self.on_launch = on_launch
        self.launched = self.killed = False
        loop.wanted.append(self)

    def launch(self):
        self.launched = True
        self.loop.commands += 1
        self.number = self.loop.commands
        self.due_us = self.loop.now_us + self.duration_us
        if self.on_launch:
            self.on_launch()

    def on_end(self):
        if self.done():
            return
        if self.killed:
            super().cancel()
        else:
            self.set_result(None)

    def cancel(self, msg=None):
        if self.done():
            return False
        if self in self.loop.running:
            self.killed = True
            self.due_us = min(self.due_us, self.loop.now_us + KILL_US)
            return True
        if self in self.loop.wanted:
            self.loop.wanted.remove(self)
        return super().cancel()


class Object(Handle):
    """A queue, a lock, …: the asyncio object and what the language calls its attributes."""

    ATTRIBUTES = {
        "qsize": lambda o: o.qsize(), "empty": lambda o: o.empty(), "full": lambda o: o.full(),
        "maxsize": lambda o: o.maxsize, "unfinished": lambda o: o._unfinished_tasks,
        "locked": lambda o: o.locked(), "is_set": lambda o: o.is_set(),
    }
    OF_KIND = {"queue": ("qsize", "empty", "full", "maxsize", "unfinished"), "lock": ("locked",),
               "semaphore": ("locked",), "bounded_semaphore": ("locked",), "event": ("is_set",),
               "condition": ("locked",), "barrier": (), "task_group": ()}
    OF_KIND["lifo_queue"] = OF_KIND["priority_queue"] = OF_KIND["queue"]

    def __init__(self, kind, it):
        self.kind = kind
        self.it = it

    def attribute(self, name):
        if name not in self.OF_KIND[self.kind]:
            return super().attribute(name)
        return self.ATTRIBUTES[name](self.it)


def coroutines_in(value):
    if isinstance(value, Coro):
        yield value
    elif isinstance(value, (list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from coroutines_in(item)


class Job:
    def __init__(self, document):
        if isinstance(document, list) or "main" not in document:
            document = {"main": document}
        self.document = document
        self.input = document.get("input", {})
        self.define = document.get("define", {})
        self.lines = []
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
            for coro in self.coroutines:
                try:
                    coro.object.close()
                except BaseException:
                    pass
            for task in loop.tasks:
                task._coro = None
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

    # ---- coroutines ----

    async def started(self, coro):
        asyncio.current_task().started = True
        return await coro

    async def frame(self, node, scope):
        """A coroutine's body: its value, or its error."""
        left = None
        try:
            how, left = await self.node(node, scope)
            if how in (BREAK, CONTINUE):
                left = None
                raise RuntimeError("'break' outside loop" if how == BREAK else
                                   "'continue' not properly in loop")
            return left
        finally:
            kept = list(coroutines_in(left))
            for coro in scope.made:
                if coro not in kept:
                    coro.warn()
                self.left.append(coro)

    def coroutine(self, node, scope, outer):
        """The handle that a `call` node makes."""
        coro = Coro(self, node, scope)
        outer.made.append(coro)
        return coro

    def task(self, coro, name=None, group=None):
        """create_task() of a Coro or of a branch's coroutine object."""
        if isinstance(coro, Coro):
            name = coro.name if name is None else name
            used, coro.used = coro.used, True
            coro = reused() if used else coro.object
        name = None if name is None else values.text(name)
        return (group or self.loop).create_task(self.started(coro), name=name)

    def branch_name(self, node, scope):
        return scope.eval(node["name"]) if isinstance(node, dict) and "name" in node else None

    def part(self, item, scope, outer):
        """An item of gather & co. (in its own scope): a function that makes its task."""
        if isinstance(item, dict) and "call" in item:
            coro = self.coroutine(item, scope, outer)
            return Part(self, coro=coro, node=item)
        return Part(self, scope=scope, node=item, name=self.branch_name(item, scope))

    def parts(self, items, scope):
        if isinstance(items, str) or is_expr(items):
            given = scope.eval(items)
            return [Part(self, given=g) for g in (given if isinstance(given, list) else [given])]
        if isinstance(items, dict):
            parts = []
            for value in self.listed(items["in"], scope):
                own = Scope(self, scope)
                own.variables[items["for"]] = value
                parts.append(self.part(items["do"], own, scope))
            return parts
        parts = []
        for item in items:
            if values.is_splice(item):
                given = scope.eval(item[3:])
                parts += [Part(self, given=g)
                          for g in (given if isinstance(given, list) else [given])]
            elif isinstance(item, str) or is_expr(item):
                parts.append(Part(self, given=scope.eval(item)))
            else:
                parts.append(self.part(item, Scope(self, scope), scope))
        return parts

    def listed(self, source, scope):
        if isinstance(source, dict) and "range" in source:
            bounds = source["range"]
            bounds = bounds if isinstance(bounds, list) else [bounds]
            bounds = [scope.eval(b) for b in bounds]
            for b in bounds:
                if isinstance(b, bool) or not isinstance(b, int):
                    raise TypeError("range takes whole numbers, not %s" % values.type_name(b))
            return range(*bounds)
        value = scope.eval(source)
        if not isinstance(value, list):
            raise TypeError("in takes a list, not %s" % values.type_name(value))
        return value

    # ---- nodes ----

    async def node(self, node, scope):
        """(how it ended, value); errors are raised."""
        if isinstance(node, list):
            how, value = NORMAL, None
            for child in node:
                how, value = await self.node(child, scope)
                if how != NORMAL:
                    break
            return how, value
        verb = verb_of(node)
        method = getattr(self, "do_" + verb.replace("*", ""))
        if verb in ("call", "wait", "create_task"):
            async def body():
                return await method(node, scope)
            if verb == "call":
                how, value = await body()
            else:
                how, value = await self.modified(node, scope, body, verb)
        else:
            on_launch = [None]

            async def body():
                if verb in ("run", "sh"):
                    return await method(node, scope, on_launch)
                return await method(node, scope)
            how, value = await self.modified(node, scope, body, verb, on_launch)
        if how == NORMAL and "as" in node:
            scope.variables[node["as"]] = value
        return how, value

    async def modified(self, node, scope, body, verb=None, on_launch=None):
        """retry(timeout(body))."""
        timeout = node.get("timeout") if "timeout" not in OWN_KEYS.get(verb, ()) or \
            not self.own_timeout(node, scope) else None
        if timeout is not None:
            inner = body

            async def body():
                with self.context():
                    seconds = scope.eval(timeout)
                    if seconds is not None and not logic.is_number(seconds):
                        raise TypeError("timeout must be a number, not %s"
                                        % values.type_name(seconds))
                if seconds is None:
                    return await inner()
                if verb in ("run", "sh"):
                    async with asyncio313.Timeout(None) as t:
                        on_launch[0] = lambda: t.start(seconds)
                        return await inner()
                async with asyncio313.Timeout(seconds):
                    return await inner()
            body = self.with_causes(body)
        if "retry" not in node:
            return await body()
        return await self.retried(node["retry"], scope, body)

    @staticmethod
    def own_timeout(node, scope):
        """`timeout` of `wait` on a list is the verb's own."""
        what = node["wait"]
        return isinstance(what, list) or isinstance(scope.eval(what), (list, asyncio313.Task))

    def with_causes(self, body):
        async def wrapped():
            try:
                return await body()
            except TimeoutError as e:
                if isinstance(e.__cause__, asyncio.CancelledError) and \
                        not hasattr(e, "cause"):
                    e.cause = error_value(e.__cause__)
                raise
        return wrapped

    async def retried(self, retry, scope, body):
        retry = retry if isinstance(retry, dict) and not is_expr(retry) else {"attempts": retry}
        with self.context():
            numbers = {k: self.number(scope, retry.get(k), "the %s of retry" % k, default)
                       for k, default in (("attempts", 3), ("delay", 0), ("backoff", 1),
                                          ("max_delay", None))}
            if numbers["attempts"] < 1:
                raise ValueError("retry needs at least 1 attempt")
        on = retry.get("on", "Exception")
        on = on if isinstance(on, list) else [on]
        attempt = 0
        while True:
            try:
                return await body()
            except ERRORS as e:
                attempt += 1
                if isinstance(e, asyncio.CancelledError) or attempt >= int(numbers["attempts"]) \
                        or not any(values.matches(e, name) for name in on):
                    raise
            delay = numbers["delay"] * numbers["backoff"] ** (attempt - 1)
            if numbers["max_delay"] is not None:
                delay = min(delay, numbers["max_delay"])
            with self.context():
                await asyncio.sleep(delay)

    @staticmethod
    def number(scope, x, what, default):
        value = scope.eval(x)
        if value is None:
            return default
        if not logic.is_number(value):
            raise TypeError("%s must be a number, not %s" % (what, values.type_name(value)))
        return value

    # ---- what is being handled ----

    def handled(self):
        task = asyncio.current_task()
        if not hasattr(task, "handled"):
            task.handled = []
        return task.handled

    def context(self):
        """What is raised inside gets the error that is being handled as its cause."""
        return Context(self)

    async def awaited(self, awaitable):
        with self.context():
            return await awaitable

    # ---- flow ----

    async def do_do(self, node, scope):
        return await self.node(node["do"], scope)

    async def do_set(self, node, scope):
        with self.context():
            for name, x in node["set"].items():
                scope.variables[name] = scope.eval(x)
        return NORMAL, None

    async def do_return(self, node, scope):
        with self.context():
            return RETURN, scope.eval(node["return"])

    async def do_raise(self, node, scope):
        with self.context():
            value = scope.eval(node["raise"])
            handled = self.handled()
            if value is None and not handled:
                raise RuntimeError("No active exception to reraise")
            if value is not None:
                raise values.error_of(value)
        raise handled[-1]

    async def do_print(self, node, scope):
        with self.context():
            self.print(values.text(scope.eval(node["print"])))
        return NORMAL, None

    async def do_sleep(self, node, scope):
        with self.context():
            await asyncio.sleep(self.number(scope, node["sleep"], "the time to sleep", 0))
        return NORMAL, None

    async def do_if(self, node, scope):
        with self.context():
            truth = logic.truthy(scope.logic(node["if"]))
        branch = node.get("then" if truth else "else")
        return (NORMAL, None) if branch is None else await self.node(branch, scope)

    async def do_while(self, node, scope):
        while True:
            with self.context():
                if not logic.truthy(scope.logic(node["while"])):
                    return NORMAL, None
            how, value = await self.node(node["do"], scope)
            if how == BREAK:
                return NORMAL, None
            if how == RETURN:
                return how, value

    async def do_break(self, node, scope):
        return BREAK, None

    async def do_continue(self, node, scope):
        return CONTINUE, None

    async def do_for(self, node, scope):
        with self.context():
            source = await self.source(node["in"], scope)
        while True:
            try:
                with self.context():
                    value = await source.__anext__()
            except StopAsyncIteration:
                return NORMAL, None
            scope.variables[node["for"]] = value
            how, value = await self.node(node["do"], scope)
            if how == BREAK:
                return NORMAL, None
            if how == RETURN:
                return how, value

    async def source(self, source, scope):
        """An asynchronous iterator."""
        if isinstance(source, dict) and "lines" in source:
            how, result = await self.node(source["lines"], scope)
            text = result["stdout"]
            return Each(text.split("\n") if text else [])
        if isinstance(source, dict) and "ticker" in source:
            return Ticker(self.number(scope, source["ticker"], "the ticker", 0))
        if isinstance(source, dict) and "as_completed" in source:
            things = scope.eval(source["as_completed"])
            return asyncio313.AsCompleted([self.task_of(t) for t in dict.fromkeys(things)])
        if isinstance(source, dict) and "range" in source:
            return Each(self.listed(source, scope))
        value = scope.eval(source)
        if isinstance(value, Object) and value.kind.endswith("queue"):
            return Drained(value.it)
        return Each(self.listed(value, scope))

    def task_of(self, thing):
        return self.task(thing) if isinstance(thing, Coro) else thing

    async def do_try(self, node, scope):
        if "except*" in node:
            return await self.try_star(node, scope)
        final = node.get("finally")
        try:
            how, value = await self.try_except(node, scope)
        except BaseException as error:
            if final is not None and isinstance(error, ERRORS):
                with Handling(self, error):
                    how, value = await self.node(final, scope)
                if how != NORMAL:
                    return how, value
            raise
        if final is not None:
            end = await self.node(final, scope)
            if end[0] != NORMAL:
                return end
        return how, value

    async def try_except(self, node, scope):
        try:
            how, value = await self.node(node["try"], scope)
        except ERRORS as error:
            handler = find_handler(node.get("except", []), error)
            if handler is None:
                raise
            if "as" in handler:
                scope.variables[handler["as"]] = error_value(error)
            with Handling(self, error):
                return await self.node(handler["do"], scope)
        if how == NORMAL and "else" in node:
            return await self.node(node["else"], scope)
        return how, value

    async def try_star(self, node, scope):
        """`except*`: Python's own statement, made with as many handlers."""
        handlers = node["except*"]
        result, raised = [NORMAL, None], []

        async def body():
            result[:] = await self.node(node["try"], scope)

        async def otherwise():
            if "else" in node and result[0] == NORMAL:
                result[:] = await self.node(node["else"], scope)

        async def handle(i, error):
            if "as" in handlers[i]:
                scope.variables[handlers[i]["as"]] = error_value(error)
            traceback, context = error.__traceback__, error.__context__
            try:
                with Handling(self, error):
                    result[:] = await self.node(handlers[i]["do"], scope)
            except ERRORS as e:
                if e is not error:
                    raised.append(e)
                    raise
                # Raised again: that is to happen in the handler itself, as if it had not yet.
                error.__traceback__, error.__context__ = traceback, context
                return True
            return False

        async def final():
            if "finally" in node:
                end = await self.node(node["finally"], scope)
                if end[0] != NORMAL:
                    raise AssertionError("the judge knows no return from this finally")
        types = [classes(h.get("type", "Exception")) for h in handlers]
        try:
            await star(len(handlers))(types, body, handle, otherwise, final)
        except BaseExceptionGroup as e:
            if e.message == "" and len(raised) == 1 and e.exceptions == tuple(raised):
                raise raised[0] from None  # 3.12 and later do not wrap one
            raise
        return tuple(result)

    # ---- tasks ----

    async def do_call(self, node, scope):
        with self.context():
            return NORMAL, self.coroutine(node, scope, scope)

    async def do_await(self, node, scope):
        what = node["await"]
        if not isinstance(what, list):
            return await self.await_one(what, scope)
        results = []
        for item in what:
            if values.is_splice(item):
                with self.context():
                    given = scope.eval(item[3:])
                given = given if isinstance(given, list) else [given]
                results += [await self.await_value(g) for g in given]
                continue
            how, value = await self.await_one(item, scope)
            if how != NORMAL:
                return how, value
            results.append(value)
        return NORMAL, results

    async def await_one(self, what, scope):
        if isinstance(what, str) or is_expr(what):
            with self.context():
                value = scope.eval(what)
            if isinstance(value, list):
                return NORMAL, [await self.await_value(v) for v in value]
            return NORMAL, await self.await_value(value)
        how, value = await self.node(what, scope)
        if how == NORMAL and isinstance(what, dict) and verb_of(what) in ("call", "create_task"):
            value = await self.await_value(value)
        return how, value

    async def await_value(self, value):
        if isinstance(value, asyncio313.Task):
            with self.context():
                try:
                    return values.as_value(await value)
                except RuntimeError as e:
                    if str(e).startswith("Task cannot await on itself"):
                        raise RuntimeError("Task cannot await on itself: "
                                           + values.text(value)) from None
                    raise
        if not isinstance(value, Coro):
            with self.context():
                raise TypeError("object %s can't be used in 'await' expression"
                                % values.python_type(value))
        if value.used:
            with self.context():
                raise RuntimeError("cannot reuse already awaited coroutine")
        value.used = True
        return await value.object

    async def do_create_task(self, node, scope):
        with self.context():
            name = scope.eval(node["name"]) if "name" in node else None
            group = scope.eval(node["in"]) if "in" in node else None
            if group is not None:
                if not isinstance(group, Object) or group.kind != "task_group":
                    raise TypeError("in takes a task_group, not %s" % values.type_name(group))
                group = group.it
            what = node["create_task"]
            if isinstance(what, str):
                coro = scope.eval(what)
                if not isinstance(coro, Coro):
                    raise TypeError("a coroutine was expected, got %s" % values.text(coro))
                return NORMAL, self.task(coro, name, group)
            return NORMAL, self.part(what, Scope(self, scope), scope).task(name, group)

    async def do_gather(self, node, scope):
        with self.context():
            parts = self.parts(node["gather"], scope)
            return_exceptions = self.truth(scope, node, "return_exceptions")
            limit = self.number(scope, node.get("limit"), "the limit of gather", 0)
            if "limit" in node and (limit < 0 or 0 < limit < 1):
                raise ValueError("the limit of gather must be at least 1")
            limiter = asyncio313.Semaphore(int(limit)) if limit >= 1 else None
            tasks, seen = [], {}
            for part in parts:
                if isinstance(part.given, Coro) and part.given in seen:
                    tasks.append(seen[part.given])
                    continue
                tasks.append(part.task(limiter=limiter))
                seen[part.given] = tasks[-1]
            future = asyncio313.gather(tasks, return_exceptions)
            return NORMAL, values.as_value(await future)

    @staticmethod
    def truth(scope, node, key):
        value = scope.eval(node.get(key, False))
        if not isinstance(value, bool):
            raise TypeError("%s must be true or false, not %s" % (key, values.type_name(value)))
        return value

    async def do_task_group(self, node, scope):
        items = node["task_group"]
        named = isinstance(items, dict) and not is_expr(items) and "for" not in items
        handled = self.context()
        how, value, tasks, of_body = NORMAL, None, [], None
        try:
            async with asyncio313.TaskGroup() as group:
                if "group" in node:
                    scope.variables[node["group"]] = Object("task_group", group)
                with handled:
                    if named:
                        for name, item in items.items():
                            part = self.parts([item], scope)[0]
                            task = part.task(group=group)
                            scope.variables[name] = task
                            tasks.append(task)
                    else:
                        for part in self.parts(items, scope):
                            tasks.append(part.task(group=group))
                if "do" in node:
                    try:
                        how, value = await self.node(node["do"], scope)
                    except ERRORS as error:
                        of_body = error
                        raise
        except BaseExceptionGroup as error:
            with handled:
                raise values.Group(error.message, error.exceptions) from None
        except asyncio.CancelledError as error:
            if error is of_body:
                raise
            with handled:
                raise
        if how != NORMAL:
            return how, value
        results = [values.as_value(asyncio313.outcome(t)) for t in tasks]
        return NORMAL, dict(zip(items, results)) if named else results

    async def do_race(self, node, scope):
        with self.context():
            parts = self.parts(node["race"], scope)
            if not parts:
                raise ValueError("Set of Tasks/Futures is empty.")
            tasks = [part.task() for part in parts]
            ended = []
            for task in tasks:
                task.add_done_callback(ended.append)
            try:
                await asyncio313.wait(tasks, None, asyncio.FIRST_COMPLETED)
            finally:
                losers = [t for t in tasks if t not in ended[:1]]
                for task in losers:
                    task.cancel()
                if losers:
                    await asyncio313.wait(losers, None, asyncio.ALL_COMPLETED)
                for task in losers:
                    task.cancelled() or task.exception()
            return NORMAL, values.as_value(await ended[0])

    async def do_wait(self, node, scope):
        what = node["wait"]
        with self.context():
            given = scope.eval(what)
            if isinstance(given, Object):
                return NORMAL, await given.it.wait()
            if isinstance(given, asyncio313.Task):
                raise TypeError("expect a list of futures, not Task")
            timeout = scope.eval(node.get("timeout"))
            when = scope.eval(node.get("return_when", "ALL_COMPLETED"))
            done, pending = await asyncio313.wait(given, timeout, when)
        return NORMAL, {"done": done, "pending": pending}

    async def do_shield(self, node, scope):
        what = node["shield"]
        with self.context():
            if isinstance(what, str) or is_expr(what):
                task = self.task_of(scope.eval(what))
            else:
                task = self.part(what, Scope(self, scope), scope).task()
            return NORMAL, values.as_value(await asyncio.shield(task))

    async def do_cancel(self, node, scope):
        with self.context():
            what = scope.eval(node["cancel"])
            taken = [self.cancel_one(t) for t in (what if isinstance(what, list) else [what])]
            return NORMAL, None if isinstance(what, list) else taken[0]

    @staticmethod
    def cancel_one(task):
        if not isinstance(task, asyncio313.Task):
            raise TypeError("cancel takes a task, not %s" % values.type_name(task))
        return task.cancel()

    # ---- commands ----

    async def do_run(self, node, scope, on_launch):
        with self.context():
            argv = [values.text(w) for w in scope.eval(node["run"])]
            return NORMAL, await self.command(node, scope, argv[0], " ".join(argv), on_launch[0])

    async def do_sh(self, node, scope, on_launch):
        with self.context():
            return NORMAL, await self.command(node, scope, "/bin/sh", node["sh"], on_launch[0])

    async def command(self, node, scope, program, script, on_launch):
        plan = node.get("simulate") or simulation(script)
        duration = plan.get("duration", 0)
        command = Command(self.loop, duration, on_launch)
        await command
        if plan.get("lost"):
            raise values.class_of("LostError")("the machine was restarted")
        status, signal = plan.get("exit", 0), plan.get("signal")
        if "passes" in plan:  # flaky: goes well from the third command on
            status = 1 if command.number < plan["passes"] else 0
        if (status != 0 and scope.eval(node.get("check", True))) or plan.get("nope"):
            what = "could not start: No such file or directory" if plan.get("nope") else \
                "was killed by signal %d (SIGKILL)" % signal if signal else \
                "exited with status %d" % status
            error = values.class_of("CommandError")('command "%s" %s' % (program, what))
            error.data = {"exit": status, "signal": signal}
            raise error
        return {"exit": status, "signal": signal, "stdout": plan.get("stdout", "").rstrip("\n"),
                "stderr": "", "duration": float(duration)}

    # ---- objects ----

    def make(self, kind, cls, scope, options):
        with self.context():
            options = scope.eval(options)
            if isinstance(options, dict):
                options = options.get("maxsize" if "queue" in kind else "value")
            it = cls() if options is None else cls(options)
            return NORMAL, Object(kind, it)

    async def operation(self, x, scope, method, *args):
        with self.context():
            result = getattr(scope.eval(x).it, method)(*args)
            if asyncio.iscoroutine(result):
                result = await result
            return NORMAL, result

    async def do_put(self, node, scope):
        with self.context():
            value = scope.eval(node["put"])
        return await self.operation(node["into"], scope, "put", value)

    async def do_put_nowait(self, node, scope):
        with self.context():
            value = scope.eval(node["put_nowait"])
        return await self.operation(node["into"], scope, "put_nowait", value)

    async def do_shutdown(self, node, scope):
        return await self.operation(node["shutdown"], scope, "shutdown",
                                    scope.eval(node.get("immediate", False)))

    async def do_notify(self, node, scope):
        return await self.operation(node["notify"], scope, "notify", scope.eval(node.get("n", 1)))

    async def do_with(self, node, scope):
        with self.context():
            it = scope.eval(node["with"]).it
        with self.context():
            await it.__aenter__()
        try:
            result = await self.node(node["do"], scope)
        except BaseException as error:
            if isinstance(error, ERRORS):
                with Handling(self, error), self.context():
                    await it.__aexit__(None, None, None)
            raise
        with self.context():
            await it.__aexit__(None, None, None)
        return result


def object_verb(kind, cls):
    async def do(self, node, scope):
        return self.make(kind, cls, scope, node[kind])
    setattr(Job, "do_" + kind, do)


def operation_verb(verb, method):
    async def do(self, node, scope):
        return await self.operation(node[verb], scope, method)
    setattr(Job, "do_" + verb, do)


for KIND, CLASS in (("queue", asyncio313.Queue), ("lifo_queue", asyncio313.LifoQueue),
                    ("priority_queue", asyncio313.PriorityQueue), ("lock", asyncio.Lock),
                    ("semaphore", asyncio313.Semaphore), ("event", asyncio.Event),
                    ("bounded_semaphore", asyncio313.BoundedSemaphore),
                    ("condition", asyncio313.Condition), ("barrier", asyncio313.Barrier)):
    object_verb(KIND, CLASS)
for VERB, METHOD in (("get", "get"), ("get_nowait", "get_nowait"), ("task_done", "task_done"),
                     ("join", "join"), ("acquire", "acquire"), ("release", "release"),
                     ("set_event", "set"), ("clear_event", "clear"),
                     ("notify_all", "notify_all"), ("reset", "reset"), ("abort", "abort")):
    operation_verb(VERB, METHOD)

OWN_KEYS = {"wait": ("timeout",)}
VERBS = [name[3:] for name in dir(Job) if name.startswith("do_")]


def verb_of(node):
    """The key that is a verb; `do` is one only where no other is."""
    found = [key for key in node if key in VERBS and key != "do"] or \
        [key for key in node if key == "do"]
    if not found:
        raise ValueError("a node without a verb: %s" % json.dumps(node))
    return found[0]


def is_expr(x):
    return isinstance(x, dict) and len(x) == 1 and "expr" in x


def simple(error):
    """An error as `coro simulate` shows it."""
    shown = {"type": error["type"], "message": values.plain(error["message"])}
    if "exceptions" in error:
        shown["exceptions"] = [simple(e) for e in error["exceptions"]]
    return shown


# What commands of the cases pretend, by the script's beginning (as run_case.c does).
PRETENDED = {"false": {"exit": 1}, "kill": {"exit": None, "signal": 9}, "lost": {"lost": True},
             "nope": {"exit": 127, "nope": True}, "flaky": {"passes": 3}}


def simulation(script):
    for word, plan in PRETENDED.items():
        if script.startswith(word):
            return plan
    if script.startswith("sha256sum ") and "no such" in script:
        return {"exit": 1}
    sleep = re.search(r"sleep ([\d.]+)", script)
    echo = re.search(r"echo ([^;]*)", script)
    status = re.search(r"exit (\d+)", script)
    return {"duration": float(sleep[1]) if sleep else 0, "exit": int(status[1]) if status else 0,
            "stdout": echo[1] if echo else ""}


def find_handler(handlers, error):
    for handler in handlers:
        names = handler.get("type", "Exception")
        for name in names if isinstance(names, list) else [names]:
            if values.matches(error, name):
                return handler
    return None


def classes(names):
    every = []
    for name in names if isinstance(names, list) else [names]:
        every.append({"Exception": Exception, "BaseException": BaseException}.get(name)
                     or values.class_of(name))
    return tuple(every)


def star(n):
    """An async function with n handlers of except*."""
    lines = ["async def run(types, body, handle, otherwise, final):", "  try:",
             "    try:", "      await body()"]
    for i in range(n):
        lines += ["    except* types[%d] as e:" % i, "      if await handle(%d, e):" % i,
                  "        raise"]
    lines += ["    else:", "      await otherwise()", "  finally:", "    await final()"]
    names = {}
    exec("\n".join(lines), names)
    return names["run"]


class Each:
    def __init__(self, items):
        self.items = iter(items)

    async def __anext__(self):
        for item in self.items:
            return item
        raise StopAsyncIteration


class Drained:
    def __init__(self, queue):
        self.queue = queue

    async def __anext__(self):
        try:
            return await self.queue.get()
        except asyncio313.QueueShutDown:
            raise StopAsyncIteration from None


class Ticker:
    def __init__(self, seconds):
        self.loop = asyncio.get_running_loop()
        self.start_us = self.loop.now_us
        self.seconds = seconds
        self.n = 0

    async def __anext__(self):
        self.n += 1
        due_us = self.start_us + round(self.n * self.seconds * 1e6)
        await asyncio.sleep(max(due_us - self.loop.now_us, 0) / 1e6)
        return self.n - 1


async def reused():
    raise RuntimeError("cannot reuse already awaited coroutine")


class Part:
    """An item of gather & co. that is about to become a task."""

    def __init__(self, job, coro=None, given=None, scope=None, node=None, name=None):
        self.job, self.coro, self.given = job, coro, given
        self.scope, self.node, self.name = scope, node, name

    def task(self, name=None, group=None, limiter=None):
        if self.coro is None and self.node is None:
            if isinstance(self.given, Coro):
                return self.job.task(self.given, name, group)
            if group is not None:
                raise TypeError("a coroutine was expected, got %s" % values.text(self.given))
            if not isinstance(self.given, asyncio313.Task):
                raise TypeError("An asyncio.Future, a coroutine or an awaitable is required")
            return self.given
        name = self.name if name is None else name
        coro = self.coro
        if coro is None:
            coro = self.job.frame(self.node, self.scope)
        if limiter is not None:
            if isinstance(coro, Coro):
                name = coro.name if name is None else name
                coro.used = True
                coro = coro.object
            coro = limited(limiter, coro)
        return self.job.task(coro, name, group)


async def limited(semaphore, coro):
    async with semaphore:
        return await coro


class Handling:
    """An error is being handled."""

    def __init__(self, job, error):
        self.stack = job.handled()
        self.error = error

    def __enter__(self):
        self.stack.append(self.error)

    def __exit__(self, *args):
        self.stack.pop()


class Context:
    def __init__(self, job):
        self.job = job

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        if not isinstance(error, ERRORS) or \
                isinstance(error, StopAsyncIteration):
            return
        stack = self.job.handled()
        if not stack:
            return
        cause = error_value(stack[-1])
        if cause != error_value(error):
            raise values.with_cause(error, cause) from None


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
