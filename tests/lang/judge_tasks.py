"""The judge: coroutines, tasks, commands."""
import asyncio

import asyncio313
import values
from judge_base import BREAK, CONTINUE, ERRORS, NORMAL, Coro, Object, Scope, coroutines_in, \
    is_expr, verb_of
from judge_flow import Lines
from pretended import Command, Writer, simulation, written


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


class Tasks:
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
                    if value is asyncio.current_task():  # names it as the language does
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
                raise values.group(error.message, error.exceptions) from None
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
        self.check_end(node, scope, program, plan, command.number)
        return {"exit": plan.get("exit", 0), "signal": plan.get("signal"),
                "stdout": plan.get("stdout", "").rstrip("\n"), "stderr": "",
                "duration": float(duration)}

    @staticmethod
    def check_end(node, scope, program, plan, number):
        """Raises what a command ends with."""
        if plan.get("lost"):
            raise values.class_of("LostError")("the machine was restarted")
        status, signal = plan.get("exit", 0), plan.get("signal")
        if "passes" in plan:  # flaky: goes well from the third command on
            status = 1 if number < plan["passes"] else 0
        if (status != 0 and scope.eval(node.get("check", True))) or plan.get("nope"):
            what = "could not start: cannot run \"nope\": No such file or directory" \
                if plan.get("nope") else "was killed by signal %d (SIGKILL)" % signal if signal \
                else "exited with status %d" % status
            error = values.class_of("CommandError")('command "%s" %s' % (program, what))
            error.data = {"exit": status, "signal": signal}
            raise error

    def output_lines(self, node, scope):
        """The source of a loop."""
        program = "/bin/sh" if "sh" in node else values.text(scope.eval(node["run"])[0])
        plan = node.get("simulate") or simulation(node.get("sh", program))
        pieces, duration = [(plan.get("duration", 0), plan.get("stdout", "").encode())], \
            plan.get("duration", 0)
        if "sh" in node and "simulate" not in node:
            pieces, duration, status = written(node["sh"])
            plan = {"exit": status}
        command = Writer(self.loop, [p for p in pieces if p[1]], duration)
        return Lines(command, lambda: self.check_end(node, scope, program, plan, command.number))
