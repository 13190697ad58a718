#!/usr/bin/env python3
"""The manual pages: mandoc has nothing to say about them; what they refer to is there."""
import os
import re
import shutil
import subprocess

from report import TOP, Report, files, read

report = Report()
pages = [f for f in files() if re.fullmatch(r"man/.*\.[1-8]", f)]
report.check(pages, "there are manual pages")
if not shutil.which("mandoc"):
    report.skip("no mandoc")
    report.end()
for page in pages:
    # mandoc looks for references among the system's pages only; ours are looked up below.
    out = subprocess.run(["mandoc", "-T", "lint", page], cwd=TOP, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT).stdout.decode()
    left = [line for line in out.splitlines() if "referenced manual not found" not in line]
    report.check(not left, "%s:\n%s" % (page, "\n".join(left)))
    for name, section in re.findall(r"^\.Xr (\S+) (\d)", read(page), re.M):
        report.check(os.path.exists(os.path.join(TOP, "man", "%s.%s" % (name, section))),
                     "%s refers to %s(%s)" % (page, name, section))
report.end()
