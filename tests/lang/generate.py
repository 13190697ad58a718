#!/usr/bin/env python3
"""Random programs of the job language, for the comparison with asyncio.

  generate.py [--features slice|all|NAME,…] [--seed N] [COUNT]     prints them, one a line

Each ends by itself: loops and recursion are bounded, and time is virtual. Each says a lot, so that
another order is another output. Times are few, so that many of them tie.
"""
import json
import random
import sys

from generate_more import More, as_list
from generate_shapes import Shapes

TIMES = [0, 0, 0, 0.1, 0.1, 0.2, 0.2, 0.3, 0.5]
TYPES = ["A", "B", "ValueError", "CancelledError", "TimeoutError"]
CATCHES = ["A", "B", "ValueError", "Exception", "BaseException", "CancelledError", "TimeoutError",
           "CommandError", "RuntimeError", ["A", "B"], ["CancelledError", "TimeoutError"]]
FUNCTIONS = 3
# What may come besides the slice that was there first.
MORE = ("objects", "groups", "race", "wait", "shield", "ticker", "as_completed", "shapes",
        "lines")


class Generator(More, Shapes):
    def __init__(self, seed, features="slice"):
        self.random = random.Random(seed)
        self.more = {"slice": (), "all": MORE}.get(features, features.split(","))
        self.n = 0  # names and lines
        self.size = 0  # how many nodes may still come

    # ---- small things ----

    def pick(self, *choices):
        """choices: (weight, function)…"""
        weights = [w for w, _ in choices]
        return self.random.choices([f for _, f in choices], weights)[0]()

    def chance(self, p):
        return self.random.random() < p

    def time(self):
        return self.random.choice(TIMES)

    def fresh(self, prefix):
        self.n += 1
        return "%s%d" % (prefix, self.n)

    def say(self, extra=None):
        return {"print": self.fresh("p") + (" " + extra if extra else "")}

    def document(self):
        define = {}
        for i in range(FUNCTIONS):
            scope = Scope(function=i)
            scope.names = ["x"]
            self.size = self.random.choice([3, 6, 10])
            define["f%d" % i] = {"params": ["x", "y"], "defaults": {"y": 7},
                                 "do": self.block(scope, self.random.choice([0, 1, 2]))}
        scope = Scope(function=FUNCTIONS)
        main = self.objects(scope) if "objects" in self.more else []
        self.size = self.random.choice([8, 15, 25, 40, 60])
        for _ in range(self.random.choice([2, 3, 4, 6])):
            # An error of main is the end of the job: most are caught.
            nodes = self.block(scope, 4)
            if self.chance(0.75):
                nodes = [{"try": nodes, "except": [{"type": "BaseException", "as": "e",
                                                    "do": self.say("${e.type}")}]}]
            main += nodes
        if self.chance(0.6):
            main.append({"sleep": 3})
        if self.chance(0.5):
            main.append(self.say())
        return {"define": define, "main": main}

    # ---- blocks ----

    def block(self, scope, depth, least=1):
        n = self.random.choice([1, 1, 2, 2, 3, 4]) if depth > 0 else self.random.choice([1, 2])
        nodes = []
        for _ in range(max(n, least)):
            if self.size <= 0:
                break
            node = self.node(scope, depth)
            nodes.append(node)
            if self.chance(0.35):
                nodes.append(self.say())
        return nodes or [self.say()]

    def body(self, scope, depth):
        """A node that stands inside another."""
        if self.chance(0.25) or self.size <= 0:
            return self.node(scope, depth - 1)
        return self.block(scope, depth - 1)

    def branch(self, scope, depth):
        inner = scope.branch()
        return self.body(inner, depth)

    def node(self, scope, depth):
        self.size -= 1
        if depth <= 0 or self.size <= 0:
            return self.simple(scope)
        choices = [
            (3, lambda: self.simple(scope)),
            (5, lambda: self.create_task(scope, depth)),
            (2.5, lambda: self.gather(scope, depth)),
            (3.5, lambda: self.attempt(scope, depth)),
            (1.5, lambda: self.loop(scope, depth)),
            (0.7, lambda: self.condition(scope, depth)),
            (2, lambda: self.timed(scope, depth)),
            (0.8, lambda: self.retried(scope, depth)),
            (0.7, lambda: {"await": self.body(scope, depth)}),
            (0.4, lambda: {"do": self.body(scope, depth), "as": self.value(scope)}),
            (1, lambda: self.list_of_tasks(scope, depth)),
        ]
        for weight, name, make in ((2, "groups", self.task_group), (1, "race", self.race),
                                   (1, "shield", self.shield), (1, "objects", self.held),
                                   (0.4, "ticker", self.ticker), (0.4, "objects", self.drain),
                                   (0.4, "as_completed", self.as_completed),
                                   (2, "shapes", self.shape), (0.6, "lines", self.lines)):
            if name in self.more:
                choices.append((weight, lambda make=make: make(scope, depth)))
        return self.pick(*choices)

    def value(self, scope):
        name = self.fresh("v")
        scope.names.append(name)
        return name

    # ---- leaves ----

    def simple(self, scope):
        choices = [
            (5, lambda: {"sleep": self.time()}),
            (4, lambda: self.say(self.read(scope))),
            (0.8, lambda: self.error(scope)),
            (0.25, lambda: {"return": self.fresh("r") if self.chance(0.7) else None}),
            (0.5, lambda: {"set": {self.value(scope): self.random.randint(0, 9)}}),
            (2, lambda: self.command(scope)),
            (1.5, lambda: self.call(scope)),
            (0.15, lambda: self.unawaited(scope)),
        ]
        if scope.tasks:
            choices += [(3, lambda: self.await_task(scope)),
                        (2.5, lambda: {"cancel": "${%s}" % self.random.choice(scope.tasks)}),
                        (0.5, lambda: self.whether_cancelled(scope)),
                        (0.5, lambda: {"gather": self.handles(scope),
                                       "return_exceptions": self.chance(0.5)})]
            choices.append((0.3, lambda: {"cancel": self.handles(scope)}))
        if scope.above:
            choices.append((0.7, lambda: {"cancel": "${%s}" % self.random.choice(scope.above)}))
        if scope.me:
            choices.append((0.1, lambda: {"await": "${%s}" % scope.me}))
        if scope.loop:
            choices.append((1, lambda: {self.random.choice(["break", "continue"]): None}))
        if scope.handling:
            choices.append((1, lambda: {"raise": None}))
        if scope.objects:
            choices += [(4, lambda: self.operation(scope))]
        if "wait" in self.more and scope.tasks:
            choices.append((1, lambda: self.wait(scope)))
        node = self.pick(*choices)
        if "sleep" in node and self.chance(0.05):
            node["timeout"] = self.time()
        return node

    def read(self, scope):
        choices = [None, None]
        if scope.names:
            choices.append("${%s}" % self.random.choice(scope.names))
        if scope.tasks:
            task = self.random.choice(scope.tasks)
            choices += ["${%s.%s}" % (task, a) for a in ("done", "cancelled", "name", "state")]
            if self.chance(0.15):
                choices += ["${%s.%s}" % (task, a) for a in ("result", "exception")]
        if scope.errors:
            error = self.random.choice(scope.errors)
            choices += ["${%s.type}" % error, "${%s.type}" % error, "${%s}" % error]
        return self.random.choice(choices)

    def error(self, scope):
        kind = self.random.choice(TYPES)
        if scope.errors and self.chance(0.2):
            return {"raise": "${%s}" % self.random.choice(scope.errors)}
        message = "" if kind in ("CancelledError", "TimeoutError") else self.fresh("m")
        return {"raise": {"type": kind, "message": message}}

    def command(self, scope):
        script = "sleep %s; echo %s" % (self.random.choice([0, 0.1, 0.2, 0.3]), self.fresh("o"))
        if self.chance(0.3):
            script += "; exit %d" % self.random.randint(1, 3)
        node = {"sh": script}
        if self.chance(0.15):
            node["check"] = False
        if self.chance(0.2):
            node["timeout"] = self.random.choice([0, 0.1, 0.2])
        if self.chance(0.1):
            node["retry"] = self.retry()
        if self.chance(0.4):
            node["as"] = self.value(scope)
        return node

    def coroutine(self, scope):
        """A call of a function that comes before: no circles."""
        f = self.random.randrange(scope.function) if scope.function else None
        if f is None:
            return [{"sleep": self.time()}, self.say()]
        node = {"call": "f%d" % f, "args": {"x": self.random.randint(0, 9)}}
        if self.chance(0.1):
            node["args"]["y"] = "${x}" if "x" in scope.names else 3
        if self.chance(0.12):
            node["timeout"] = self.time()
        if self.chance(0.08):
            node["retry"] = self.retry()
        if self.chance(0.1):
            node["name"] = self.fresh("n")
        return node

    def call(self, scope):
        if self.chance(0.3) and scope.function:
            name = self.fresh("c")
            made = dict(self.coroutine(scope), **{"as": name})
            use = self.pick((3, lambda: {"await": "${%s}" % name}),
                            (1, lambda: {"create_task": "${%s}" % name}),
                            (1, lambda: {"gather": ["${%s}" % name, "${%s}" % name]}),
                            (0.3, lambda: {"await": ["${%s}" % name, "${%s}" % name]}))
            return {"do": [made, self.say(), use]}
        node = {"await": self.coroutine(scope)}
        if self.chance(0.3):
            node["as"] = self.value(scope)
        return node

    def unawaited(self, scope):
        if not scope.function:
            return self.say()
        return {"do": [dict(self.coroutine(scope)), self.say()]}

    def await_task(self, scope):
        node = {"await": "${%s}" % self.random.choice(scope.tasks)}
        if self.chance(0.2):
            node["timeout"] = self.time()
        if self.chance(0.15):
            node["await"] = [node["await"], {"sleep": self.time()}]
        if self.chance(0.3):
            node["as"] = self.value(scope)
        return node

    def whether_cancelled(self, scope):
        name = self.value(scope)
        return {"do": [{"cancel": "${%s}" % self.random.choice(scope.tasks), "as": name},
                       self.say("${%s}" % name)]}

    def handles(self, scope):
        return ["${%s}" % self.random.choice(scope.tasks) for _ in range(self.random.randint(1, 3))]

    # ---- what has others inside ----

    def list_of_tasks(self, scope, depth):
        """Tasks made in a loop, then all of them at once."""
        tasks, task = self.fresh("l"), self.fresh("t")
        loop = self.comprehension(scope, depth)
        loop["do"] = [{"create_task": loop["do"], "as": task},
                      {"set": {tasks: ["...${%s}" % tasks, "${%s}" % task]}}]
        use = self.pick((2, lambda: {"await": "${%s}" % tasks}),
                        (1, lambda: {"await": ["...${%s}" % tasks, {"sleep": self.time()}]}),
                        (2, lambda: {"cancel": "${%s}" % tasks}),
                        (2, lambda: {"gather": "${%s}" % tasks, "return_exceptions": True}),
                        (2, lambda: {"gather": ["...${%s}" % tasks, {"sleep": self.time()}]}))
        return {"do": [{"set": {tasks: []}}, loop, self.node(scope, depth - 1), use]}

    def create_task(self, scope, depth):
        name = self.fresh("t")
        if self.chance(0.4):
            what = self.coroutine(scope)
        else:
            inner = scope.branch()
            inner.me, inner.above = name, scope.above + [name]
            what = self.body(inner, depth)
        node = {"create_task": what, "as": name}
        if self.chance(0.15):
            node["name"] = self.fresh("n")
        scope.tasks.append(name)
        return node

    def items(self, scope, depth):
        items = []
        for _ in range(self.random.choice([0, 1, 2, 2, 3, 3, 4])):
            if scope.tasks and self.chance(0.15):
                items.append("${%s}" % self.random.choice(scope.tasks))
            elif self.chance(0.35):
                items.append(self.coroutine(scope))
            else:
                items.append(self.branch(scope, depth))
        return items

    def comprehension(self, scope, depth):
        name = self.fresh("i")
        inner = scope.branch()
        inner.names = inner.names + [name]
        if self.chance(0.4):
            do = self.coroutine(scope)
        else:
            do = [{"print": "%s ${%s}" % (self.fresh("p"), name)}, self.body(inner, depth)]
        return {"for": name, "in": {"range": self.random.randint(0, 4)}, "do": do}

    def gather(self, scope, depth):
        what = self.comprehension(scope, depth) if self.chance(0.3) else self.items(scope, depth)
        node = {"gather": what}
        if self.chance(0.4):
            node["return_exceptions"] = self.chance(0.7)
        if self.chance(0.3):
            node["limit"] = self.random.randint(1, 3)
        if self.chance(0.15):
            node["timeout"] = self.time()
        if self.chance(0.6):
            node["as"] = self.value(scope)
        return node

    def attempt(self, scope, depth):
        node = {"try": self.body(scope, depth)}
        handlers = []
        for _ in range(self.random.choice([0, 1, 1, 2])):
            inner = scope.inside(handling=True)
            handler = {"type": self.random.choice(CATCHES)}
            if self.chance(0.1):
                del handler["type"]
            if self.chance(0.6):
                handler["as"] = self.fresh("e")
                inner.errors = inner.errors + [handler["as"]]
            handler["do"] = self.body(inner, depth)
            if self.chance(0.5):
                handler["do"] = [self.say("${%s.type}" % handler["as"] if "as" in handler else None)
                                 ] + as_list(handler["do"])
            handlers.append(handler)
        if handlers:
            node["except"] = handlers
            if self.chance(0.2):
                node["else"] = self.body(scope, depth)
        if not handlers or self.chance(0.5):
            node["finally"] = as_list(self.body(scope, depth)) + [self.say()]
        return node

    def loop(self, scope, depth):
        inner = scope.inside(loop=True)
        name = self.fresh("i")
        if self.chance(0.3):
            scope.names.append(name)
            body = [{"set": {name: {"expr": {"+": [{"var": name}, 1]}}}}] + \
                as_list(self.body(inner, depth))
            return {"do": [{"set": {name: 0}},
                           {"while": {"<": [{"var": name}, self.random.randint(1, 3)]},
                            "do": body}]}
        inner.names = inner.names + [name]
        source = {"range": self.random.randint(0, 3)} if self.chance(0.6) else \
            [1, "a", None][:self.random.randint(1, 3)]
        return {"for": name, "in": source, "do": self.body(inner, depth)}

    def condition(self, scope, depth):
        if scope.tasks:
            test = {"var": "%s.%s" % (self.random.choice(scope.tasks),
                                      self.random.choice(["done", "cancelled"]))}
        else:
            test = self.chance(0.5)
        node = {"if": test, "then": self.body(scope, depth)}
        if self.chance(0.5):
            node["else"] = self.body(scope, depth)
        return node

    def timed(self, scope, depth):
        return {"do": self.body(scope, depth), "timeout": self.time()}

    def retry(self):
        retry = {"attempts": self.random.randint(1, 3)}
        if self.chance(0.5):
            retry["delay"] = self.time()
        if self.chance(0.3):
            retry["backoff"] = 2
        if self.chance(0.3):
            retry["on"] = self.random.choice(["A", "TimeoutError", ["A", "ValueError"],
                                              "BaseException", ["CancelledError", "B"]])
        return retry if self.chance(0.7) else retry["attempts"]

    def retried(self, scope, depth):
        node = {"do": self.body(scope, depth), "retry": self.retry()}
        if self.chance(0.3):
            node["timeout"] = self.time()
        return node


class Scope:
    """What can be named where the generator stands."""

    def __init__(self, function):
        self.function = function  # how many functions it may call
        self.names, self.tasks, self.errors, self.objects = [], [], [], []
        self.loop = self.handling = False
        self.me = None  # the task it is, as far as it has a name
        self.above = []  # that, and those that wait for it: awaiting these would be a circle

    def inside(self, loop=None, handling=None):
        """A part of the same coroutine."""
        inner = Scope(self.function)
        inner.names, inner.tasks, inner.objects = self.names, self.tasks, self.objects
        inner.errors, inner.me, inner.above = self.errors, self.me, self.above
        inner.loop = self.loop if loop is None else loop
        inner.handling = self.handling if handling is None else handling
        return inner

    def branch(self):
        inner = self.inside(loop=False, handling=False)
        inner.names, inner.tasks = list(self.names), list(self.tasks)
        inner.me = None
        return inner


def generate(seed, features="slice"):
    return Generator(seed, features).document()


def main():
    args = sys.argv[1:]
    features, seed, count = "slice", "1", 1
    while args:
        arg = args.pop(0)
        if arg == "--features":
            features = args.pop(0)
        elif arg == "--seed":
            seed = args.pop(0)
        else:
            count = int(arg)
    for i in range(count):
        print(json.dumps(generate("%s/%d" % (seed, i), features)))


if __name__ == "__main__":
    main()
