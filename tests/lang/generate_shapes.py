"""Random programs: shapes that chance alone makes too seldom. Each is small and crowded, so that what
happens at one moment meets what happens at the next."""
from generate_more import as_list


class Shapes:
    def shape(self, scope, depth):
        return self.pick((5, lambda: self.crowd(scope)), (1.5, lambda: self.late(scope)),
                         (2, lambda: self.group_in_timeout(scope, depth)),
                         (1.5, lambda: self.group_from_inside(scope)),
                         (1, lambda: self.cancels_itself(scope, depth)),
                         (1.5, lambda: self.waits_for_shuffled(scope)),
                         (1, lambda: self.star(scope, depth)))

    def told(self, node):
        """A node that says how it ended."""
        name = self.fresh("e")
        return {"try": as_list(node) + [self.say()], "except": [
            {"type": "BaseException", "as": name, "do": self.say("${%s}" % name)}]}

    def pause(self):
        return {"sleep": self.random.choice([0, 0, 0, 0, 0.1])}

    # ---- many at one object ----

    def crowd(self, scope):
        kind = self.random.choice(["lock", "semaphore", "bounded_semaphore", "event", "condition",
                                   "barrier", "barrier", "queue", "queue", "lifo_queue"])
        it = self.fresh("k")
        made = {"barrier": lambda: self.random.randint(2, 4),
                "semaphore": lambda: self.random.choice([0, 0, 1, 2]),
                "bounded_semaphore": lambda: self.random.choice([1, 2])}.get(
                    kind, lambda: {"maxsize": self.random.choice([0, 1, 1, 2])}
                    if "queue" in kind else {})()
        nodes, members = [{kind: made, "as": it}], []
        for _ in range(self.random.randint(2, 4)):
            nodes.append(self.member(kind, it, members))
        nodes.append({"sleep": 0})
        for _ in range(self.random.randint(3, 9)):
            nodes.append(self.pick(
                (3, lambda: self.told(self.push(kind, "${%s}" % it))),
                (2, lambda: {"cancel": "${%s}" % self.random.choice(members)}),
                (1.5, lambda: self.member(kind, it, members)), (2, self.pause)))
        nodes += [{"sleep": self.random.choice([0, 0.2])},
                  {"cancel": ["${%s}" % m for m in members]},
                  {"gather": ["${%s}" % m for m in members], "return_exceptions": True}]
        return {"do": nodes}

    def member(self, kind, it, members):
        name = self.fresh("t")
        members.append(name)
        do = [self.told(self.stand("${%s}" % it, kind)) for _ in range(self.random.randint(1, 2))]
        return {"create_task": do, "as": name}

    def stand(self, it, kind):
        """What may have to wait."""
        inside = [self.say(), self.pause()]
        if kind == "event":
            node = {"wait": it}
        elif kind == "condition":
            return {"with": it, "do": [dict({"wait": it}, **self.limited()), self.say()]}
        elif kind == "barrier":
            node = self.random.choice([{"wait": it}, {"wait": it}, {"with": it, "do": inside}])
        elif "queue" in kind:
            node = self.random.choice([{"get": it}, {"put": self.random.randint(0, 9), "into": it},
                                       {"join": it}])
        else:
            node = self.random.choice([{"acquire": it}, {"with": it, "do": inside}])
        return dict(node, **self.limited())

    def limited(self):
        return {"timeout": self.random.choice([0, 0.1])} if self.chance(0.2) else {}

    def push(self, kind, it):
        """What does not."""
        if kind == "event":
            verbs = [{"set_event": it}, {"set_event": it}, {"clear_event": it}]
        elif kind == "condition":
            verbs = [{"with": it, "do": [{"notify": it, "n": n}]} for n in (1, 1, 2)] + [
                {"with": it, "do": {"notify_all": it}}]
        elif kind == "barrier":
            verbs = [{"wait": it, "timeout": 0}, {"wait": it, "timeout": 0.1}, {"reset": it},
                     {"abort": it}]
        elif "queue" in kind:
            verbs = [{"put_nowait": 5, "into": it}, {"get_nowait": it}, {"task_done": it},
                     {"shutdown": it}, {"shutdown": it, "immediate": True},
                     {"print": [it[:-1] + ".qsize}", it[:-1] + ".unfinished}"]}] * 2
            verbs += [{"put_nowait": 6, "into": it}, {"get_nowait": it}] * 3
        else:
            verbs = [{"release": it}] * 3 + [{"print": it[:-1] + ".locked}"}]
        return dict(self.random.choice(verbs))

    # ---- ends and beginnings at the wrong moment ----

    def late(self, scope):
        """A task that makes others when it is cancelled; nobody awaits it."""
        return {"create_task": self.cleans_up(self.random.randint(1, 3)), "as": self.fresh("t")}

    def cleans_up(self, rounds):
        clean = [self.say(), self.pause()]
        if rounds > 1:
            clean += [{"create_task": self.cleans_up(rounds - 1), "as": self.fresh("t")},
                      self.pause()]
        if self.chance(0.3):
            clean.append({"raise": {"type": "A", "message": self.fresh("m")}})
        how = {"finally": clean} if self.chance(0.5) else \
            {"except": [{"type": "BaseException", "do": clean}]}
        return [dict({"try": [self.say(), {"sleep": 9}]}, **how), self.say()]

    def stubborn(self):
        """A child whose end is not what was asked for."""
        end = [self.say(), self.pause()]
        if self.chance(0.6):
            end.append({"raise": self.random.choice([
                {"type": "A", "message": self.fresh("m")}, {"type": "CancelledError"}, None])})
        return {"try": {"sleep": self.random.choice([0.1, 0.2, 1])},
                "except": [{"type": "BaseException", "do": end}]}

    def group_in_timeout(self, scope, depth):
        node = {"task_group": [self.stubborn() for _ in range(self.random.randint(1, 2))]}
        if self.chance(0.3):
            node["task_group"].append({"do": [self.pause(), {"raise": {"type": "B"}}]})
        if self.chance(0.5):
            node["do"] = self.body(scope.inside(loop=False), depth)
        if self.chance(0.3):
            node = {"do": node, "timeout": self.random.choice([0.1, 0.2])}
        after = [self.told({"sleep": 0}), self.told({"sleep": 0.1})]
        node = dict(node, timeout=self.random.choice([0, 0.1, 0.1, 0.2]))
        if self.chance(0.5):
            return {"do": [self.told(node)] + after}
        name = self.fresh("t")
        return {"do": [{"create_task": [self.told(node)] + after, "as": name}, {"sleep": 0.1},
                       {"cancel": "${%s}" % name}, self.told({"await": "${%s}" % name})]}

    def group_from_inside(self, scope):
        """Children that go into a group that is ending, or has ended."""
        group = self.fresh("g")
        child = {"create_task": [self.pause(), self.say()], "in": "${%s}" % group,
                 "as": self.fresh("t")}
        items = [{"try": {"sleep": self.random.choice([0, 0.1, 9])}, "finally": [
            self.pause(), self.told(dict(child))]} for _ in range(self.random.randint(1, 2))]
        if self.chance(0.7):
            items.append({"do": [{"sleep": self.random.choice([0, 0.1])},
                                 {"raise": {"type": "A", "message": self.fresh("m")}}]})
        node = {"task_group": items, "group": group, "do": [self.pause(), self.say()]}
        return {"do": [self.told(node), self.told(dict(child))]}

    def cancels_itself(self, scope, depth):
        name = self.fresh("t")
        inner = scope.branch()
        inner.me = name
        awaited = self.fresh("t")
        swallows = {"create_task": {"try": {"sleep": 0.1}, "except": [
            {"type": "BaseException", "do": [self.say(), self.pause()]}]}, "as": awaited}
        node = {"do": [swallows, self.pause()] +
                [{"cancel": "${%s}" % name}] * self.random.randint(1, 2) + [self.say()]}
        node["do"].append(self.pick(
            (2, lambda: self.body(inner, depth)), (1, lambda: {"await": "${%s}" % awaited}),
            (1, lambda: {"gather": ["${%s}" % awaited, {"sleep": 0}]})))
        if self.chance(0.6):
            node["timeout"] = self.random.choice([0, 0.1])
        if self.chance(0.4):
            node = {"task_group": [{"sleep": 0}], "do": node}
        task = {"create_task": [self.told(node), self.told({"sleep": 0})], "as": name}
        return {"do": [task, {"sleep": 0}, self.told({"await": "${%s}" % name})]}

    def waits_for_shuffled(self, scope):
        tasks = [self.fresh("t") for _ in range(self.random.randint(2, 5))]
        made = [{"create_task": [{"sleep": self.random.choice([0, 0.1, 0.1, 0.2])}, self.say()] + (
            [{"raise": {"type": "A"}}] if self.chance(0.2) else []), "as": t} for t in tasks]
        if self.chance(0.3):
            made.append({"cancel": "${%s}" % self.random.choice(tasks)})
        if self.chance(0.3):
            made.append({"sleep": 0.1})
        given = ["${%s}" % t for t in self.random.sample(tasks, len(tasks))]
        given += given[:self.random.choice([0, 0, 1])]
        if self.chance(0.3):
            name = self.fresh("i")
            return {"do": made + [{"for": name, "in": {"as_completed": given},
                                   "do": {"print": "${%s.name}" % name}}]}
        wait = {"wait": given, "as": self.fresh("v"), "return_when": self.random.choice(
            ["FIRST_COMPLETED", "FIRST_EXCEPTION", "ALL_COMPLETED"])}
        if self.chance(0.3):
            wait["timeout"] = self.random.choice([0, 0.1])
        return {"do": made + [wait, {"print": "${%s}" % wait["as"]}]}

    def star(self, scope, depth):
        """`except*` of an error that is no group, or of a group of several."""
        name = self.fresh("e")

        def raised():
            return {"raise": {"type": self.random.choice(["A", "B", "ValueError"]),
                              "message": self.fresh("m")}}
        body = raised()
        if self.chance(0.7):
            body = {"task_group": [raised() for _ in range(self.random.randint(1, 3))]}
            if self.chance(0.4):
                body["task_group"].append({"task_group": [raised(), raised()]})
        lasts = [[], [{"raise": None}], [{"raise": None}], [raised()], [self.pause()]]
        handlers = [{"type": kind, "as": name,
                     "do": [self.say("${%s}" % name)] + self.random.choice(lasts)}
                    for kind in self.random.sample(["A", "B", "ValueError", ["A", "B"]],
                                                   self.random.randint(1, 3))]
        return self.told({"try": [self.pause(), body], "except*": handlers})
