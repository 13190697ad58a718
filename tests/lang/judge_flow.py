"""The judge: nodes, their modifiers, flow."""
import asyncio
import contextlib

import asyncio313
import logic
import values
from judge_base import BREAK, CONTINUE, ERRORS, NORMAL, OWN_KEYS, RETURN, Context, Coro, \
    Handling, Object, is_expr, verb_of
from values import error_value


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
    lines += ["    else:", "      await otherwise()", "  except BaseException as e:",
              "    await final(e)", "    raise", "  await final(None)"]
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


class Lines:
    """Of a command, as it writes them. It is stopped when the loop is left before its end."""

    def __init__(self, command, end):
        self.command = command
        self.end = end  # gives its error
        self.over = False

    async def __anext__(self):
        try:
            line = await self.command.reader.readline()
        except asyncio.CancelledError:
            self.over = True
            await self.command.stop()
            raise
        if not line:
            self.over = True
            self.end()
            raise StopAsyncIteration
        return line.decode().removesuffix("\n")

    async def leave(self):
        if not self.over:
            await self.command.stop()


class Flow:
    # ---- nodes ----

    async def node(self, node, scope):
        """(how it ended, value); errors are raised."""
        if self.over:  # closed from outside while it waited
            raise GeneratorExit
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
        try:
            return await self.each(source, node, scope)
        finally:
            if isinstance(source, Lines):
                with self.context():
                    await source.leave()

    async def each(self, source, node, scope):
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
            return self.output_lines(source["lines"], scope)
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

        async def final(error):
            if "finally" not in node or not (error is None or isinstance(error, ERRORS)):
                return
            with Handling(self, naked(error)) if error else contextlib.nullcontext():
                end = await self.node(node["finally"], scope)
            if end[0] != NORMAL:
                raise AssertionError("the judge knows no return from this finally")

        def naked(error):
            """3.12 and later do not wrap a single one."""
            alone = isinstance(error, BaseExceptionGroup) and error.message == "" and \
                len(raised) == 1 and error.exceptions == tuple(raised)
            return raised[0] if alone else error
        types = [classes(h.get("type", "Exception")) for h in handlers]
        try:
            await star(len(handlers))(types, body, handle, otherwise, final)
        except BaseExceptionGroup as e:
            if naked(e) is not e:
                raise naked(e) from None
            raise
        return tuple(result)
