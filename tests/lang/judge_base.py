"""What the parts of the judge share: variables, handles, what is being handled."""
import asyncio
import json

import logic
import values
from values import Handle, error_value

NORMAL, RETURN, BREAK, CONTINUE = range(4)
ERRORS = (Exception, asyncio.CancelledError, BaseExceptionGroup)  # what a program can see
OWN_KEYS = {"wait": ("timeout",)}
VERBS = set()


def verb_of(node):
    """The key that is a verb; `do` is one only where no other is."""
    found = [key for key in node if key in VERBS and key != "do"] or \
        [key for key in node if key == "do"]
    if not found:
        raise ValueError("a node without a verb: %s" % json.dumps(node))
    return found[0]


def is_expr(x):
    return isinstance(x, dict) and len(x) == 1 and "expr" in x


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
