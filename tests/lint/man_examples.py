#!/usr/bin/env python3
# test-timeout: 180
"""Every example of corod-job(5) is a right document, and runs to its end; verbs and methods that the
program has are in the manual, and none that it has not."""
import json
import os
import re
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

coro = os.environ.get("CORO", "")
if not os.path.exists(coro):
    report.skip("coro is not built")
    report.end()
with tempfile.TemporaryDirectory() as home:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("CORO_", "XDG_"))}
    env.update(HOME=home, XDG_STATE_HOME=os.path.join(home, "state"))
    try:
        for number, text in enumerate(literals("man/corod-job.5")):
            what = "corod-job(5), example %d" % number
            try:
                json.loads(text)
            except ValueError as e:
                report.check(False, "%s is no JSON: %s\n%s" % (what, e, text))
                continue
            path = os.path.join(home, "job.json")
            with open(path, "w") as f:
                f.write(text)
            report.command([coro, "check", path], what + ", check", cwd=home, env=env, quiet=False)
            report.command([coro, "submit", "-w", path], what + ", run", cwd=home, env=env,
                           quiet=False)
    finally:
        subprocess.run([coro, "daemon", "stop"], env=env, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        # The executor outlives the daemon; it is known by its directory's name.
        subprocess.run(["pkill", "-TERM", "-f", home])
report.end()
