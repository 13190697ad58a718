"""Values, templates and errors of the job language, for the judge. JsonLogic is in logic.py."""
import asyncio
import json
import re

import asyncio313
import logic


class JobError(Exception):
    """An error of a type that is not CPython's own. Its subclasses are the types."""

    def __init__(self, message=""):
        super().__init__(message)


class Parted:
    """A group whose parts, as `except*` makes them, keep its cause."""

    def derive(self, errors):
        part = group(self.message, errors)
        part.data, part.cause = getattr(self, "data", None), getattr(self, "cause", None)
        return part


class Group(Parted, ExceptionGroup):
    pass


class BaseGroup(Parted, BaseExceptionGroup):
    """With a CancelledError in it: no Exception."""


def group(message, errors):
    return (Group if all(isinstance(e, Exception) for e in errors) else BaseGroup)(message, errors)


CLASSES = {c.__name__: c for c in (
    TimeoutError, ValueError, TypeError, NameError, KeyError, IndexError, RuntimeError,
    asyncio.CancelledError, asyncio.QueueEmpty, asyncio.QueueFull, asyncio.InvalidStateError,
    asyncio.BrokenBarrierError, asyncio313.QueueShutDown)}


def class_of(name):
    """The class of a type of errors."""
    if name not in CLASSES:
        CLASSES[name] = type(name, (JobError,), {})
    return CLASSES[name]


class Handle:
    """What the language calls a handle, when asyncio's object is not one by itself."""

    kind = None

    def attribute(self, name):
        raise TypeError("a %s has no attribute '%s'" % (self.kind, name))

    def __str__(self):
        return "<%s>" % self.kind


def is_handle(value):
    return isinstance(value, (Handle, asyncio313.Task))


def task_state(task):
    if task.cancelled():
        return "cancelled"
    if task.done():
        error = task._exception
        return "succeeded" if error is None else \
            "lost" if type_of(error) == "LostError" else "failed"
    if not task.started:
        return "pending"
    waiter = task._fut_waiter
    if waiter is None or waiter.done():
        return "ready"
    return "running" if getattr(waiter, "runs", False) else "suspended"


TASK_ATTRIBUTES = {
    "done": lambda t: t.done(), "cancelled": lambda t: t.cancelled(),
    "result": lambda t: t.result(), "name": lambda t: t.get_name(), "state": task_state,
    "exception": lambda t: None if t.exception() is None else error_value(t.exception()),
}


def attribute(handle, name):
    if isinstance(handle, Handle):
        return handle.attribute(name)
    if name not in TASK_ATTRIBUTES:
        raise TypeError("a task has no attribute '%s'" % name)
    return TASK_ATTRIBUTES[name](handle)


def python_type(value):
    if isinstance(value, Handle):
        return value.kind
    return "task" if is_handle(value) else type(value).__name__


# ---- errors ----

def type_of(error):
    if isinstance(error, BaseExceptionGroup):
        return "ExceptionGroup"
    return "RuntimeError" if isinstance(error, RecursionError) else type(error).__name__


def message_of(error):
    if isinstance(error, BaseExceptionGroup):
        return error.message
    if isinstance(error, RecursionError):
        return "maximum recursion depth exceeded"
    if isinstance(error, KeyError) and not getattr(error, "plain", False):
        return str(error)
    return str(error.args[0]) if error.args else ""


def error_value(error):
    value = {"type": type_of(error), "message": message_of(error)}
    for key in ("data", "cause"):
        if getattr(error, key, None) is not None:
            value[key] = getattr(error, key)
    if isinstance(error, BaseExceptionGroup):
        value["exceptions"] = [error_value(e) for e in error.exceptions]
    return value


def error_of(value):
    """The exception that a value describes."""
    kind = value.get("type") if isinstance(value, dict) else None
    if not isinstance(kind, str) or not kind:
        raise TypeError("exceptions must have a type, not be %s" % type_name(value))
    message = value.get("message", "")
    message = message if isinstance(message, str) else text(message)
    inner = value.get("exceptions")
    if kind == "ExceptionGroup" and isinstance(inner, list) and inner:
        error = group(message, [error_of(e) for e in inner])
    else:
        error = class_of(kind)(message)
        error.plain = True
    error.data, error.cause = value.get("data"), value.get("cause")
    return error


def with_cause(error, cause):
    """The same error with another cause: errors are values, so it is a copy."""
    if isinstance(error, BaseExceptionGroup):
        copy = error.derive(error.exceptions)
    else:
        copy = type(error)(*error.args)
    copy.plain, copy.data = getattr(error, "plain", False), getattr(error, "data", None)
    copy.cause = cause
    return copy


def matches(error, name):
    kind = type_of(error)
    if name == "BaseException":
        return True
    return isinstance(error, Exception) if name == "Exception" else kind == name


# ---- text ----

def plain(value):
    """The value with handles as their texts and errors of gather as objects."""
    if isinstance(value, BaseException):
        return {"error": plain(error_value(value))}
    if is_handle(value):
        return text(value)
    if isinstance(value, list):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return value


def text(value):
    if isinstance(value, str):
        return value
    if isinstance(value, asyncio313.Task):
        return "<task %s>" % value.get_name()
    if isinstance(value, Handle):
        return str(value)
    return json.dumps(plain(value), ensure_ascii=False)


def type_name(value):
    """As the messages that are not CPython's name it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    names = {int: "a number", float: "a number", str: "a string", list: "a list", dict: "an object"}
    return names.get(type(value)) or python_type(value)


# ---- templates ----

NAME = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")
STEP = re.compile(r'\.(?P<name>[A-Za-z_][A-Za-z_0-9]*)|\[(?P<index>-?\d+)\]'
                  r'|\["(?P<key>(?:[^"\\]|\\.)*)"\]', re.S)


def cut(template):
    """The parts of a template: strings, and tuples (name, step…)."""
    parts, at, plain_text = [], 0, ""
    while at < len(template):
        if template.startswith("$${", at):
            plain_text += "${"
            at += 3
        elif template.startswith("${", at):
            match = NAME.match(template, at + 2)
            path, at = [match.group()], match.end()
            while template[at] != "}":
                match = STEP.match(template, at)
                if match["index"] is not None:
                    path.append(int(match["index"]))
                elif match["name"] is not None:
                    path.append(match["name"])
                else:
                    path.append(re.sub(r"\\(.)", r"\1", match["key"], flags=re.S))
                at = match.end()
            at += 1
            if plain_text:
                parts.append(plain_text)
                plain_text = ""
            parts.append(tuple(path))
        else:
            plain_text += template[at]
            at += 1
    if plain_text or not parts:
        parts.append(plain_text)
    return parts


CUTS = {}


def parts_of(template):
    if template not in CUTS:
        CUTS[template] = cut(template)
    return CUTS[template]


def follow(path, lookup):
    value = lookup(path[0])
    for step in path[1:]:
        value = step_into(value, step)
    return value


def step_into(value, step):
    if isinstance(step, int):
        if isinstance(value, dict):
            error = KeyError(str(step))
            error.plain = True
            raise error
        if not isinstance(value, list):
            raise TypeError("'%s' object is not subscriptable" % python_type(value))
        return value[step]
    if is_handle(value):
        return as_value(attribute(value, step))
    if isinstance(value, list):
        raise TypeError("list indices must be integers or slices, not str")
    if not isinstance(value, dict):
        raise TypeError("'%s' object is not subscriptable" % python_type(value))
    return value[step]


def as_value(value):
    """A result of asyncio as a value: errors in lists become objects."""
    if isinstance(value, BaseException):
        return {"error": error_value(value)}
    if isinstance(value, (list, tuple)):
        return [as_value(v) for v in value]
    return value


def is_splice(template):
    return isinstance(template, str) and template.startswith("...${") and \
        len(parts_of(template[3:])) == 1 and isinstance(parts_of(template[3:])[0], tuple)


def evaluate(x, lookup):
    """The value of any JSON with ${…} in its strings."""
    if isinstance(x, str):
        if "${" not in x:
            return x
        parts = parts_of(x)
        if len(parts) == 1:
            return follow(parts[0], lookup) if isinstance(parts[0], tuple) else parts[0]
        return "".join(p if isinstance(p, str) else text(follow(p, lookup)) for p in parts)
    if isinstance(x, list):
        return evaluate_list(x, lookup, evaluate)
    if isinstance(x, dict):
        if len(x) == 1 and "expr" in x:
            return logic.apply(x["expr"], lookup)
        return {k: evaluate(v, lookup) for k, v in x.items()}
    return x


def evaluate_list(x, lookup, each):
    items = []
    for item in x:
        if is_splice(item):
            value = follow(parts_of(item[3:])[0], lookup)
            if not isinstance(value, list):
                raise TypeError("Value after ... must be a list, not %s" % python_type(value))
            items += value
        else:
            items.append(each(item, lookup))
    return items
