"""Random programs: queues, locks, groups and what else there is besides the first slice."""
import json


def as_list(node):
    return node if isinstance(node, list) else [node]


class More:
    def objects(self, scope):
        nodes = []
        kinds = [("queue", lambda: {"maxsize": self.random.choice([0, 1, 2])}),
                 ("lifo_queue", lambda: {"maxsize": self.random.choice([0, 1])}),
                 ("priority_queue", lambda: {}), ("lock", lambda: {}),
                 ("semaphore", lambda: self.random.choice([0, 1, 2])),
                 ("bounded_semaphore", lambda: self.random.choice([1, 2])), ("event", lambda: {}),
                 ("condition", lambda: {}), ("barrier", lambda: self.random.choice([1, 2, 3]))]
        for kind, options in self.random.sample(kinds, self.random.randint(0, 4)):
            name = self.fresh("q" if "queue" in kind else "k")
            nodes.append({kind: options(), "as": name})
            scope.objects.append((kind, name))
        return nodes

    def operation(self, scope):
        kind, name = self.random.choice(scope.objects)
        it = "${%s}" % name
        if "queue" in kind:
            verbs = [{"put": self.random.randint(0, 9), "into": it}] * 3 + [{"get": it}] * 3 + [
                {"put_nowait": self.random.randint(0, 9), "into": it}, {"get_nowait": it},
                {"task_done": it}, {"join": it}, {"shutdown": it},
                {"shutdown": it, "immediate": True}, {"print": "${%s.qsize}" % name}]
        elif kind == "event":
            verbs = [{"wait": it}] * 3 + [{"set_event": it}, {"set_event": it}, {"clear_event": it},
                                          {"print": "${%s.is_set}" % name}]
        elif kind == "barrier":
            verbs = [{"wait": it}] * 5 + [{"reset": it}, {"abort": it}]
        elif kind == "condition":
            verbs = [{"with": it, "do": {"wait": it}}] * 3 + [
                {"with": it, "do": {"notify": it}}, {"with": it, "do": {"notify": it, "n": 2}},
                {"with": it, "do": {"notify_all": it}}, {"wait": it}, {"notify": it}]
        else:
            verbs = [{"acquire": it}] * 2 + [{"release": it}] * 2 + [
                {"print": "${%s.locked}" % name}]
        node = json.loads(json.dumps(self.random.choice(verbs)))
        if ("get" in node or "acquire" in node or "wait" in node) and self.chance(0.3):
            node["as"] = self.value(scope)
        if "print" not in node and self.chance(0.3):
            node["timeout"] = self.time()
        return node

    def held(self, scope, depth):
        locks = [n for k, n in scope.objects
                 if k in ("lock", "semaphore", "bounded_semaphore", "condition")]
        if not locks:
            return self.simple(scope)
        return {"with": "${%s}" % self.random.choice(locks), "do": self.body(scope, depth)}

    def group_items(self, scope, depth):
        return [self.coroutine(scope) if self.chance(0.3) else self.branch(scope, depth)
                for _ in range(self.random.choice([0, 1, 2, 2, 3]))]

    def task_group(self, scope, depth):
        inner = scope.inside()
        if self.chance(0.3):
            names = [self.fresh("t") for _ in range(self.random.randint(1, 3))]
            items = {n: None for n in names}
            self.random.shuffle(names)
            for name in names:  # each awaits those that were shuffled before it: no circles
                items[name] = self.branch(inner, depth)
                inner.tasks = inner.tasks + [name]
        elif self.chance(0.2):
            items = self.comprehension(scope, depth)
        else:
            items = self.group_items(scope, depth)
        node = {"task_group": items}
        if self.chance(0.4):
            node["group"] = self.fresh("g")
            task = {"create_task": self.branch(scope, depth), "in": "${%s}" % node["group"],
                    "as": self.fresh("t")}
            inner.tasks = inner.tasks + [task["as"]]
            node["do"] = [task] + as_list(self.body(inner, depth))
        elif self.chance(0.4):
            node["do"] = self.body(inner, depth)
        if self.chance(0.5):
            node["as"] = self.value(scope)
        if self.chance(0.3):
            return self.caught_group(node, scope, depth)
        return node

    def caught_group(self, node, scope, depth):
        inner = scope.inside(handling=True, loop=False)
        name = self.fresh("e")
        inner.errors = inner.errors + [name]
        if self.chance(0.5):
            handlers = []
            for kind in self.random.sample(["A", "ValueError", ["B", "TimeoutError"], "Exception"],
                                           self.random.randint(1, 3)):
                last = self.pick((3, lambda: {"sleep": self.time()}),
                                 (1, lambda: {"raise": None}),
                                 (1.5, lambda: {"raise": {"type": "A", "message": self.fresh("m")}}))
                handlers.append({"type": kind, "as": name, "do": [self.say("${%s}" % name), last]})
            node = {"try": node, "except*": handlers}
            if self.chance(0.3):
                node["else"] = self.say()
            if self.chance(0.3):
                node["finally"] = [self.say(), {"sleep": self.time()}]
            return {"try": node, "except": [{"as": name, "do": self.say("${%s}" % name)}]} \
                if self.chance(0.7) else node
        return {"try": node, "except": [{"type": "ExceptionGroup", "as": name,
                                         "do": [self.say("${%s}" % name)] +
                                         as_list(self.body(inner, depth))}]}

    def race(self, scope, depth):
        items = self.group_items(scope, depth) or [{"sleep": 0}]
        node = {"race": items}
        if self.chance(0.5):
            node["as"] = self.value(scope)
        return node

    def shield(self, scope, depth):
        if scope.tasks and self.chance(0.5):
            what = "${%s}" % self.random.choice(scope.tasks)
        elif self.chance(0.5):
            what = self.coroutine(scope)
            what = what if isinstance(what, dict) else {"do": what}
        else:
            what = {"do": self.branch(scope, depth)}
        return {"shield": what}

    def wait(self, scope):
        node = {"wait": self.handles(scope)}
        if self.chance(0.7):
            node["return_when"] = self.random.choice(["FIRST_COMPLETED", "FIRST_EXCEPTION",
                                                      "ALL_COMPLETED"])
        if self.chance(0.4):
            node["timeout"] = self.time()
        if self.chance(0.7):
            node["as"] = self.value(scope)
        return node

    def each(self, scope, depth, source, count=()):
        inner = scope.inside(loop=True)
        name = self.fresh("i")
        inner.names = inner.names + [name]
        body = list(count) + [{"print": "%s ${%s}" % (self.fresh("p"), name)}]
        return {"for": name, "in": source, "do": body + as_list(self.body(inner, depth))}

    def counted(self, scope, depth, source):
        """A loop that might go on for ever: its turns are counted."""
        turns = self.fresh("n")
        count = [{"set": {turns: {"expr": {"+": [{"var": turns}, 1]}}}},
                 {"if": {">": [{"var": turns}, 3]}, "then": {"break": None}}]
        return {"do": [{"set": {turns: 0}}, self.each(scope, depth, source, count)]}

    def as_completed(self, scope, depth):
        if not scope.tasks:
            return self.simple(scope)
        return self.each(scope, depth, {"as_completed": self.handles(scope)})

    def lines(self, scope, depth):
        """The lines of a command: they come at once or slowly, and who reads may be slow, too."""
        script = []
        for _ in range(self.random.choice([0, 1, 2, 3, 3, 5])):
            script.append(self.random.choice(["echo ", "echo ", "echo ", "printf "]) + self.fresh("o"))
            if self.chance(0.5):
                script.append("sleep %s" % self.random.choice([0, 0.1, 0.1, 0.2, 0.3]))
        if self.chance(0.2):
            script.append("exit 3")
        command = {"sh": "; ".join(script) or "exit 0"}
        if self.chance(0.15):
            command["check"] = False
        loop = self.each(scope, depth, {"lines": command})
        if self.chance(0.3):
            loop["do"].insert(1, self.random.choice([{"sleep": 0}, {"sleep": 0.1}, {"sleep": 0.2}]))
        if self.chance(0.25):
            loop["timeout"] = self.random.choice([0, 0.1, 0.2, 0.3])
        if self.chance(0.3):  # left early, and that is interrupted
            task = self.fresh("t")
            scope.tasks.append(task)
            loop["do"].append(self.random.choice([{"break": None}, {"sleep": 0.1}]))
            return {"do": [{"create_task": [loop, self.say()], "as": task}, {"sleep": 0},
                           {"sleep": self.random.choice([0, 0, 0.1, 0.2])},
                           {"cancel": "${%s}" % task}]}
        return loop

    def ticker(self, scope, depth):
        return self.counted(scope, depth, {"ticker": self.random.choice([0.1, 0.2])})

    def drain(self, scope, depth):
        """What a turn takes out of the queue it may put back."""
        queues = [n for k, n in scope.objects if "queue" in k]
        if not queues:
            return self.simple(scope)
        return self.counted(scope, depth, "${%s}" % self.random.choice(queues))
