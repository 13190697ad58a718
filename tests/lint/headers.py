#!/usr/bin/env python3
"""Every header compiles alone. The executor needs nothing but libc."""
import os
import re
import subprocess

from report import BUILDDIR, TOP, Report, files

report = Report()
flags = subprocess.run(["pkg-config", "--cflags", "libevent_core", "jansson", "sqlite3", "check"],
                       stdout=subprocess.PIPE).stdout.decode().split()
for header in files(".h"):
    report.command(["gcc", "-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Wno-unused-function",
                    "-fsyntax-only", "-I" + TOP, "-I" + BUILDDIR, *flags, "-include", header,
                    "-x", "c", "/dev/null"], header, cwd=TOP)

executor = os.path.join(BUILDDIR, "corod-exec")
if os.path.exists(executor):
    dynamic = subprocess.run(["readelf", "-d", executor], stdout=subprocess.PIPE).stdout.decode()
    needed = re.findall(r"NEEDED.*\[(.*)\]", dynamic)
    report.check([n for n in needed if not n.startswith(("ld-linux", "libc."))] == [],
                 "corod-exec needs more than libc: %s" % needed)
else:
    report.skip("corod-exec is not built")
report.end()
