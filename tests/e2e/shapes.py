#!/usr/bin/env python3
"""coro --json: the members that coro(1) tells of are there, and no others."""
import json
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from corod import TOP, check, finish, test
from home import Home

JOB = {"name": "shapes", "labels": {"a": "b"}, "main": [
    {"print": "hi"}, {"gather": [{"sh": "echo o; exit 3"}, {"sleep": 0}], "return_exceptions": True}]}


def section():
    """{what: shape as text}"""
    with open(os.path.join(TOP, "man", "coro.1"), encoding="utf-8") as f:
        block = re.search(r"^\.Ss JSON\n.*?^\.Bd -literal\n(.*?)^\.Ed", f.read(), re.M | re.S).group(1)
    found = {}
    for line in re.sub(r"\n +", " ", block).splitlines():
        name, shape = re.fullmatch(r"([\w, -]+?)(?: =|:) (.*)", line).groups()
        for one in name.split(", "):
            found[one] = shape
    return found


SHAPES = section()


class Parser:
    """NAME, [shape], {member?: shape, …}, and JOB + {…}; what stands behind it is for people."""

    def __init__(self, text):
        self.tokens = re.findall(r"[\w]+|[][{}?:,+]", text)

    def take(self, token):
        if self.tokens and self.tokens[0] == token:
            return self.tokens.pop(0)
        return None

    def shape(self):
        if self.take("["):
            inner = self.shape()
            self.take("]")
            return [inner]
        if not self.take("{"):
            name = self.tokens.pop(0)
            parsed = Parser(SHAPES[name]).shape() if name != "TASK" else None
            if self.take("+"):
                return dict(parsed, **self.shape())
            return parsed
        members = {}
        while not self.take("}"):
            name, optional = self.tokens.pop(0), bool(self.take("?"))
            members[name] = (optional, self.shape() if self.take(":") else None)
            self.take(",")
        return members


def fits(shape, value, where):
    if isinstance(shape, list):
        check(isinstance(value, list), "%s is no list" % where)
        for member in value:
            fits(shape[0], member, where + "[]")
    elif isinstance(shape, dict):
        check(isinstance(value, dict), "%s is no object" % where)
        for name, (optional, inner) in shape.items():
            check(optional or name in value, "%s has no %s: %r" % (where, name, value))
            if name in value:
                fits(inner, value[name], "%s.%s" % (where, name))
        more = sorted(set(value) - set(shape))
        check(not more, "coro(1), JSON, does not tell of %s of %s" % (", ".join(more), where))


def printed(home, what, *args):
    """Each line of the output has the shape of `what`."""
    lines = [json.loads(line) for line in home.coro("--json", *args).out.splitlines()]
    check(lines, "nothing is printed")
    for line in lines:
        fits(Parser(SHAPES[what]).shape(), line, what)
    return lines


with Home() as person:
    path = person.file("shapes.json", json.dumps(JOB))
    person.ok("queue", "put", "shapes", "1")
    CALLS = [("coro",), ("add", "add", "true"), ("submit", "submit", path), ("submit -w", "submit", "-w", path),
             ("map", "map", "echo", ":::", "a", "b"), ("gather", "gather", "echo"), ("group", "group", "true"),
             ("check", "check", path), ("simulate", "simulate", path), ("ls", "ls"), ("show", "show", "shapes"),
             ("tree", "tree", "shapes"), ("wait", "wait", "shapes"), ("explain", "explain", "shapes"),
             ("timeline", "timeline", "shapes"), ("log", "log", "shapes"), ("log -f", "log", "-f", "shapes"),
             ("events", "events"), ("cancel", "cancel", "sleeper"), ("pool ls", "pool", "ls"),
             ("queue ls", "queue", "ls"), ("daemon status", "daemon", "status")]
    person.ok("add", "-n", "sleeper", "sleep", "600")
    for what, *args in CALLS:
        test(printed, person, what, *args, name="--json of " + what)

    def run():
        *pieces, end = [json.loads(l) for l in person.ok("run", "--json", "--", "echo", "hi").splitlines()]
        fits(Parser(SHAPES["JOB"]).shape(), end, "run")
        for piece in pieces:
            fits(Parser(SHAPES["LOG"]).shape(), piece, "run")
        check(pieces, "no output")
    test(run, name="--json of run")
    tested = {c[0] for c in CALLS} | {"run", "show", "JOB", "TASK", "LOG", "pause", "resume"}
    test(lambda: check(set(SHAPES) <= tested, sorted(set(SHAPES) - tested)), name="all of them are looked at")
finish()
