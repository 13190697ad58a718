#!/usr/bin/env python3
"""Folders are layers: an include goes downward only. Foreign libraries stay behind one layer."""
import os
import re

from report import Report, files, read

BELOW_CORE = ["proto", "daemon/config", "daemon/base", "daemon/lang", "daemon/task",
              "daemon/sched", "daemon/store", "daemon/run"]
# Layer: what it may include besides itself. `daemon` is the files that stand in daemon/ itself,
# except the settings, which are plain data that core reads too.
MAY = {
    "proto": [],
    "daemon/config": ["proto", "daemon/base"],
    "daemon/base": ["proto"],
    "daemon/lang": ["proto", "daemon/base"],
    "daemon/task": ["proto", "daemon/base", "daemon/lang"],
    "daemon/sched": ["proto", "daemon/base", "daemon/lang", "daemon/task"],
    "daemon/store": ["proto", "daemon/base"],
    "daemon/run": ["proto", "daemon/base"],
    "daemon/core": BELOW_CORE,
    "daemon/rpc": BELOW_CORE + ["daemon/core"],
    "daemon": BELOW_CORE + ["daemon/core", "daemon/rpc"],
    "daemon/executor": ["proto"],
    "client": ["proto"],
}
# Foreign header: the only layers that may include it.
FOREIGN = [
    (r"event2?[/.].*", ["daemon/base"]),
    (r"sqlite3\.h", ["daemon/store"]),
    (r"jansson\.h", [layer for layer in MAY if layer != "daemon/executor"]),
    (r"sha2\.h", [layer for layer in MAY if layer not in ("daemon/executor", "daemon/task")]),
]
# The runtime is pure: no descriptor, no clock.
PURE = r"(unistd|fcntl|time|poll|pthread|sys/socket|sys/time|sys/epoll|sys/stat)\.h"
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)


def layer_of(path):
    folder = os.path.dirname(path)
    if folder == "daemon" and os.path.basename(path).startswith("config."):
        return "daemon/config"
    while folder and folder not in MAY:
        folder = os.path.dirname(folder)
    return folder


def mistakes(path):
    layer = layer_of(path)
    for quote, name in INCLUDE.findall(read(path)):
        if quote == '"':
            if name == "config.h":
                continue
            target = layer_of(name)
            if not target:
                yield '"%s" is no path from the top' % name
            elif target != layer and target not in MAY[layer]:
                yield "%s includes %s: not downward" % (layer, name)
        for pattern, layers in FOREIGN:
            if re.fullmatch(pattern, name) and quote == "<" and layer not in layers:
                yield "<%s> belongs to %s" % (name, ", ".join(layers))
        if layer == "daemon/task" and quote == "<" and re.fullmatch(PURE, name):
            yield "<%s>: the runtime has no descriptor and no clock" % name


report = Report()
for source in files(".c", ".h", ".def"):
    if layer_of(source):
        found = list(mistakes(source))
        report.check(not found, "%s: %s" % (source, "; ".join(found)))
report.end()
