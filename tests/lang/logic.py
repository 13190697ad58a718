"""JsonLogic with JavaScript's conversions, for the judge. A literal may hold ${…}."""
import math
import re

import values

NUMBER = re.compile(r"[ \t\n\r\f\v]*(0[xX][0-9a-fA-F]+|[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)")
MISSING = object()  # JavaScript's undefined


def truthy(v):
    return bool(v) if isinstance(v, (type(None), bool, int, float, str, list)) else True


def js_text(v):
    if v is MISSING:
        return "undefined"
    if isinstance(v, float) and not isinstance(v, bool):
        if v == int(v) and abs(v) < 1e21:
            return str(int(v))
        return repr(v).replace("e-0", "e-").replace("e+0", "e+")
    if isinstance(v, list):
        return ",".join("" if i is None else js_text(i) for i in v)
    return values.text(v)


def js_number(v):
    if v is MISSING:
        return math.nan
    if v is None:
        return 0
    if isinstance(v, (bool, int, float)):
        return v if not isinstance(v, bool) else int(v)
    if isinstance(v, (str, list)):
        s = js_text(v).strip(" \t\n\r\f\v")
        if not s:
            return 0
        match = NUMBER.fullmatch(s)
        return number_of(match[1]) if match else math.nan
    return math.nan


def number_of(s):
    if s[:2] in ("0x", "0X"):
        return float(int(s, 16))
    return float(s)


def parse_float(v):
    if v is MISSING:
        return math.nan
    if isinstance(v, (int, float)) and not isinstance(v, bool):
        return v
    match = NUMBER.match(js_text(v))
    if not match:
        return math.nan
    return 0.0 if match[1][:2] in ("0x", "0X") else float(match[1])


def is_number(v):
    return isinstance(v, (int, float)) and not isinstance(v, bool)


def kind(v):
    if is_number(v):
        return "number"
    return "handle" if values.is_handle(v) else type(v).__name__


def same(a, b):
    if a is MISSING or b is MISSING:
        return a is b
    if kind(a) != kind(b):
        return False
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    return a is b if kind(a) == "handle" else a == b


def equal(a, b):
    a, b = (None if x is MISSING else x for x in (a, b))
    if a is None or b is None:
        return a is b
    if kind(a) == kind(b):
        return same(a, b)
    solid = [x for x in (a, b) if kind(x) in ("list", "dict", "handle")]
    if len(solid) == 2:
        return False
    other = b if solid and solid[0] is a else a
    if solid and isinstance(other, str):
        return js_text(solid[0]) == other
    return js_number(a) == js_number(b)


def less(a, b, or_equal):
    if all(x is not MISSING and not isinstance(x, (type(None), bool, int, float)) for x in (a, b)):
        x, y = js_text(a).encode(), js_text(b).encode()
    else:
        x, y = js_number(a), js_number(b)
    return x <= y if or_equal else x < y


def get(args, i):
    return args[i] if i < len(args) else MISSING


def divide(a, b):
    if is_number(a) and is_number(b) and isinstance(a, int) and isinstance(b, int) and b and \
            a % b == 0:
        return a // b
    if b == 0:
        return math.nan if a == 0 or a != a else math.copysign(math.inf, a) * math.copysign(1, b)
    return a / b


def modulo(a, b):
    if b == 0 or a != a or b != b or abs(a) == math.inf:
        return math.nan
    result = math.fmod(a, b)
    return int(result) if isinstance(a, int) and isinstance(b, int) else result


def substr(args):
    s, n = js_text(get(args, 0)), len(js_text(get(args, 0)))

    def clamp(v):
        d = js_number(v)
        return 0 if d != d else int(max(-n, min(n, d)))
    start = clamp(args[1]) if len(args) > 1 else 0
    length = clamp(args[2]) if len(args) > 2 else n
    if start < 0:
        start += n
    if length < 0:
        length += n - start
    return s[start:start + max(0, length)]


def extreme(args, pick):
    numbers = [js_number(a) for a in args]
    if not numbers or any(x != x for x in numbers):
        return None
    return pick(numbers)


def contains(args):
    what, where = get(args, 0), get(args, 1)
    if isinstance(where, str):
        return where != "" and js_text(what) in where
    return isinstance(where, list) and any(same(what, x) for x in where)


def plus(args):
    numbers = [parse_float(a) for a in args]
    return sum(numbers) if numbers else 0


def merge(args):
    return [x for a in args for x in (a if isinstance(a, list) else [a])]


EAGER = {
    "==": lambda a: equal(get(a, 0), get(a, 1)), "!=": lambda a: not equal(get(a, 0), get(a, 1)),
    "===": lambda a: same(get(a, 0), get(a, 1)), "!==": lambda a: not same(get(a, 0), get(a, 1)),
    "!": lambda a: not a or not truthy(a[0]), "!!": lambda a: bool(a) and truthy(a[0]),
    "<": lambda a: less(get(a, 0), get(a, 1), False) and
    (len(a) < 3 or less(a[1], a[2], False)),
    "<=": lambda a: less(get(a, 0), get(a, 1), True) and (len(a) < 3 or less(a[1], a[2], True)),
    ">": lambda a: less(get(a, 1), get(a, 0), False),
    ">=": lambda a: less(get(a, 1), get(a, 0), True),
    "+": plus,
    "*": lambda a: a[0] if len(a) == 1 else math.prod(parse_float(x) for x in a) if a else None,
    "-": lambda a: js_number(get(a, 0)) - js_number(a[1]) if len(a) > 1 else
    0 - js_number(get(a, 0)),
    "/": lambda a: divide(js_number(get(a, 0)), js_number(get(a, 1))),
    "%": lambda a: modulo(js_number(get(a, 0)), js_number(get(a, 1))),
    "max": lambda a: extreme(a, max), "min": lambda a: extreme(a, min),
    "cat": lambda a: "".join("" if x is None else js_text(x) for x in a),
    "substr": substr, "in": contains, "merge": merge,
    "log": lambda a: a[0] if a else None,
}


class Logic:
    """One evaluation; data is the item within map and the like, else MISSING."""

    def __init__(self, lookup):
        self.lookup = lookup
        self.data = MISSING

    def run(self, x):
        if isinstance(x, list):
            return values.evaluate_list(x, self.lookup, lambda item, _: self.run(item))
        if not isinstance(x, dict) or len(x) != 1:
            return values.evaluate(x, self.lookup)
        (name, args), = x.items()
        method = getattr(self, "op_" + LAZY[name], None) if name in LAZY else None
        if method:
            return whole(method(args if isinstance(args, list) else [args]))
        args = self.run(args) if isinstance(args, list) else [self.run(args)]
        return whole(EAGER[name](args))

    def arg(self, args, i):
        return self.run(args[i]) if i < len(args) else None

    def op_if(self, args):
        i = 0
        while i + 1 < len(args):
            if truthy(self.run(args[i])):
                return self.run(args[i + 1])
            i += 2
        return self.arg(args, i)

    def op_and(self, args):
        return self.first(args, False)

    def op_or(self, args):
        return self.first(args, True)

    def first(self, args, stop):
        value = None
        for a in args:
            value = self.run(a)
            if truthy(value) == stop:
                break
        return value

    def with_item(self, args, item):
        outer, self.data = self.data, item
        try:
            return self.arg(args, 1)
        finally:
            self.data = outer

    def items(self, args):
        value = self.arg(args, 0)
        return value if isinstance(value, list) else []

    def op_map(self, args):
        return [self.with_item(args, i) for i in self.items(args)]

    def op_filter(self, args):
        return [i for i in self.items(args) if truthy(self.with_item(args, i))]

    def op_all(self, args):
        items = self.items(args)
        return bool(items) and all(truthy(self.with_item(args, i)) for i in items)

    def op_none(self, args):
        return not self.op_some(args)

    def op_some(self, args):
        return any(truthy(self.with_item(args, i)) for i in self.items(args))

    def op_reduce(self, args):
        items, value = self.items(args), self.arg(args, 2)
        for i in items:
            value = self.with_item(args, {"current": i, "accumulator": value})
        return value

    def look_for(self, path):
        if path is None or path == "":
            return self.data
        at = self.data
        for i, key in enumerate(js_text(path).split(".")):
            if i == 0 and at is MISSING:
                try:
                    at = self.lookup(key)
                except NameError:
                    return MISSING
            else:
                at = look_into(at, key)
            if at is MISSING:
                return MISSING
        return at

    def op_var(self, args):
        value = self.look_for(self.arg(args, 0))
        return self.arg(args, 1) if value is MISSING else value

    def missing(self, paths):
        return [p for p in paths if self.look_for(p) in (MISSING, None, "")]

    def op_missing(self, args):
        args = self.run(args)
        return self.missing(args[0] if args and isinstance(args[0], list) else args)

    def op_missing_some(self, args):
        need, paths = self.arg(args, 0), self.arg(args, 1)
        gone = self.missing(paths if isinstance(paths, list) else [])
        return [] if len(paths) - len(gone) >= js_number(need) else gone


LAZY = {name: name for name in ("if", "and", "or", "map", "filter", "all", "none", "some",
                                "reduce", "var", "missing", "missing_some")}
LAZY["?:"] = "if"


def look_into(at, key):
    if values.is_handle(at):
        return values.as_value(values.attribute(at, key))
    if isinstance(at, dict):
        return at.get(key, MISSING)
    if isinstance(at, (list, str)) and key == "length":
        return len(at)
    if isinstance(at, list) and re.fullmatch(r"0|[1-9]\d{0,8}", key) and int(key) < len(at):
        return at[int(key)]
    return MISSING


def whole(v):
    if isinstance(v, float):
        if v != v or abs(v) == math.inf:
            return None
        if v == int(v) and -2**63 <= v < 2**63:
            return int(v)
    return v


def apply(rule, lookup):
    return whole(Logic(lookup).run(rule))
