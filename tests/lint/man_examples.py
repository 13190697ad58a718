#!/usr/bin/env python3
# test-timeout: 180
"""Every example of corod-job(5) is a right document, and runs to its end, also simulated; each verb, and each key of
each verb that `coro check` knows, is in one of them. What corod-protocol(7) shows is answered so.
Verbs, methods, settings and options that the program has are in the manual."""
import json
import os
import re
import socket
import subprocess
import tempfile

from report import Report, files, read


def literals(page):
    for text in re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed", read(page), re.M | re.S):
        yield text.replace("\\e", "\\").replace("\\(dq", '"').replace("\\&", "")


def rows(path, macro):
    """First word of each row of a table."""
    return re.findall(r"^%s\(\"?([\w.]+)" % macro, read(path), re.M)


report = Report()
page = read("man/corod-job.5")
for verb in rows("daemon/task/node.def", "NODE"):
    if verb != "block":
        report.check(re.search(r"^\.(It|Ic|Cm) .*\b%s\b" % verb, page, re.M),
                     "corod-job(5) does not tell of %s" % verb)
page = read("man/corod-protocol.7")
for name, rest in re.findall(r'^METHOD\(\w+, "([\w.]+)"(.*?)^(?=METHOD|#undef)', read("proto/method.def"),
                             re.M | re.S):
    entry = re.search(r"^\.It Cm .*?%s\b(.*)" % re.escape(name), page, re.M)
    if report.check(entry, "corod-protocol(7) does not tell of %s" % name):
        for parameter in re.findall(r"PARAM\(\w+, (\w+)", rest):
            report.check(re.search(r"\b%s\b" % parameter, entry.group(1)),
                         "corod-protocol(7) does not tell of %s's %s" % (name, parameter))
for code in re.findall(r"^ERROR\(\w+, (-\d+)", read("proto/errors.def"), re.M):
    report.check("\n.It %s\n" % code in page, "corod-protocol(7) does not tell of %s" % code)

page = read("man/corod.conf.5")
for name, rest in re.findall(r'^CONFIG_\w+\("(\w+)", (.*)$', read("daemon/config.def"), re.M):
    default = re.search(r' "([^"]+)", "', rest)
    entry = re.search(r"^\.It Cm %s (.*?)^\.(It|El)" % name, page, re.M | re.S)
    told = " ".join(entry.group(1).split()) if entry else ""
    report.check(re.search(r'"([^"]*)"\)$', rest).group(1) in told,
                 "corod.conf(5) tells something else of %s" % name)
    report.check(entry and (not default or "Default: %s." % default.group(1) in
                            entry.group(1).replace("\n", " ")),
                 "corod.conf(5) does not tell of %s and its default" % name)
for page, tables in (("man/coro.1", [f for f in files(".c") if f.startswith("client/")]),
                     ("man/corod.8", ["daemon/config.c"]),
                     ("man/corod-exec.8", ["daemon/executor/main.c"])):
    text = "".join(read(table) for table in tables)
    for name in re.findall(r'OPTION_[A-Z]+\("([\w-]+)"|X\([A-Z_]+, "([\w-]+)"', text):
        name = name[0] or name[1]
        report.check(re.search(r"\bFl (\w , )?-%s\b" % name, read(page)),
                     "%s does not tell of --%s" % (page, name))

VERBS = [v for v in rows("daemon/task/node.def", "NODE") if v != "block"]
# The keys of any table are candidates; `coro check` tells which of them a verb has.
KEYS = sorted({k for f in files(".c") + files(".h") if f.startswith(("daemon/task/", "daemon/lang/"))
               for k in re.findall(r'\{"([a-z_*]+)", &|(?<=BESIDE\(")([a-z_]+)', read(f)) for k in k if k})
# Where objects with keys of their own stand: a document around one such key.
INNER = {
    "document": lambda k: {"main": [], k: 0},
    "retry": lambda k: {"print": 1, "retry": {k: 0}},
    "http": lambda k: {"http": {k: 0}},
    "simulate": lambda k: {"sh": "", "simulate": {k: 0}},
    "simulate of http": lambda k: {"http": "http://a/", "simulate": {k: 0}},
    "semaphore": lambda k: {"semaphore": {k: 0}},
    "barrier": lambda k: {"barrier": {k: 0}},
    "queue": lambda k: {"queue": {k: 0}},
    "lock": lambda k: {"lock": {k: 0}},
}


def known(coro, home, env, cases):
    """Those of the named documents in which `coro check` finds no key unknown."""
    for i, document in enumerate(cases.values()):
        with open(os.path.join(home, "key%d.json" % i), "w") as f:
            json.dump(document, f)
    said = subprocess.run([coro, "check"] + ["key%d.json" % i for i in range(len(cases))], cwd=home, env=env,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout.decode()
    bad = {int(i) for i in re.findall(r"^key(\d+)\.json:\d*:? .*(?:unknown (?:key|verb)|are two verbs)", said, re.M)}
    report.check(said.count("key") > len(cases) // 2 and len(bad) < len(cases), "coro check says\n" + said[-500:])
    return [case for i, case in enumerate(cases) if i not in bad]


def shown(node, found, document=True):
    """Adds (verb or object, key) of everything in an example."""
    if isinstance(node, list):
        for n in node:
            shown(n, found, False)
        return
    if not isinstance(node, dict):
        return
    if document and ("main" in node or "define" in node):
        found.update(("document", k) for k in node)
    for verb in VERBS:
        if verb in node:
            found.update((verb, k) for k in node)
    for name in INNER:
        if isinstance(node.get(name), dict):
            found.update((name, k) for k in node[name])
            if name == "simulate" and "http" in node:
                found.update(("simulate of http", k) for k in node[name])
    for n in node.values():
        shown(n, found, False)


def run_example(what, document, path):
    """Runs it to its end; one that is held is released."""
    with open(path, "w") as f:
        f.write(document)
    report.command([coro, "check", path], what + ", check", cwd=home, env=env, quiet=False)
    report.command([coro, "simulate", path], what + ", simulate", cwd=home, env=env, quiet=False)
    if '"hold": true' in document:
        job = subprocess.run([coro, "submit", path], cwd=home, env=env, stdout=subprocess.PIPE).stdout.decode().strip()
        report.command([coro, "release", job], what + ", release", cwd=home, env=env, quiet=False)
        report.command([coro, "wait", job], what + ", wait", cwd=home, env=env, quiet=False)
    else:
        report.command([coro, "submit", "-w", path], what + ", run", cwd=home, env=env, quiet=False)


def conversation(text):
    """Requests of corod-protocol(7), each answered with the members that are shown."""
    messages, decoder = [], json.JSONDecoder()
    while text.strip():
        message, end = decoder.raw_decode(text.lstrip())
        messages.append(message)
        text = text.lstrip()[end:]
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(30)
        s.connect(os.path.join(home, "state/corod/corod.sock"))
        replies = s.makefile("rb")
        for m in messages:
            if "method" in m and "id" in m:
                s.sendall((json.dumps(m) + "\n").encode())
            elif "method" in m:
                reply = json.loads(replies.readline())
                report.check(reply.get("method") == m["method"] and set(reply["params"]) == set(m["params"]),
                             "corod-protocol(7) shows %s, sent is %s" % (m, reply))
            else:
                reply = json.loads(replies.readline())
                report.check(reply["id"] == m["id"] and set(reply.get("result", ())) == set(m["result"]),
                             "corod-protocol(7) shows %s, the answer is %s" % (m, reply))


coro = os.environ.get("CORO", "")
if not os.path.exists(coro):
    report.skip("coro is not built")
    report.end()
with tempfile.TemporaryDirectory() as home:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("CORO_", "XDG_"))}
    env.update(HOME=home, XDG_STATE_HOME=os.path.join(home, "state"))
    try:
        found = set()
        for number, text in enumerate(literals("man/corod-job.5")):
            what = "corod-job(5), example %d" % number
            try:
                shown(json.loads(text), found)
            except ValueError as e:
                report.check(False, "%s is no JSON: %s\n%s" % (what, e, text))
                continue
            run_example(what, text, os.path.join(home, "job.json"))
        keys = [k for k in KEYS if k not in VERBS or k == "do"]
        cases = {(v, k): {v: 0, k: 0} for v in VERBS for k in keys if v not in ("do", k)}
        cases.update({(name, k): make(k) for name, make in INNER.items() for k in KEYS})
        for verb, key in known(coro, home, env, cases):
            report.check((verb, key) in found or key in ("as", "name", "timeout", "retry"),
                         "corod-job(5) has no example of %s with %s" % (verb, key))
        for verb in VERBS:
            report.check((verb, verb) in found, "corod-job(5) has no example of %s" % verb)
        for text in literals("man/corod-protocol.7"):
            if text.startswith('{"jsonrpc"'):
                conversation(text)
    finally:
        subprocess.run([coro, "daemon", "stop"], env=env, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        # The executor outlives the daemon; it is known by its directory's name.
        subprocess.run(["pkill", "-TERM", "-f", home])
report.end()
