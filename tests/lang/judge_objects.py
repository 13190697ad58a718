"""The judge: queues, locks and the like."""
import asyncio

import asyncio313
import values
from judge_base import ERRORS, NORMAL, Object
from values import error_value


class Objects:
    def make(self, kind, cls, scope, options):
        with self.context():
            options = scope.eval(options)
            name = None
            if isinstance(options, dict):
                name = options.get("name")
                options = options.get("maxsize" if "queue" in kind else
                                      "parties" if kind == "barrier" else "value")
            if name in self.named:  # the one there is: of its owner's jobs there is only this
                return NORMAL, self.named[name]
            made = Object(kind, cls() if options is None else cls(options))
            if name is not None:
                self.named[name] = made
            return NORMAL, made

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
                try:
                    await it.__aexit__(None, None, None)
                except ERRORS as e:  # another one, even if it says the same
                    raise values.with_cause(e, error_value(error)) from None
            raise
        with self.context():
            await it.__aexit__(None, None, None)
        return result


def object_verb(kind, cls):
    async def do(self, node, scope):
        return self.make(kind, cls, scope, node[kind])
    setattr(Objects, "do_" + kind, do)


def operation_verb(verb, method):
    async def do(self, node, scope):
        return await self.operation(node[verb], scope, method)
    setattr(Objects, "do_" + verb, do)


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
