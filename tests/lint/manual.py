#!/usr/bin/env python3
"""The manual pages: mandoc has nothing to say about them."""
import os
import shutil
import tempfile

from report import TOP, Report, files

report = Report()
pages = [f for f in files() if f.startswith("man/") and f[-1].isdigit()]
if not shutil.which("mandoc"):
    report.skip("no mandoc")
    report.end()
report.check(pages, "there are manual pages")
# As they are installed, so that references between them are found.
with tempfile.TemporaryDirectory() as manpath:
    for page in pages:
        section = os.path.join(manpath, "man" + page[-1])
        os.makedirs(section, exist_ok=True)
        shutil.copy(os.path.join(TOP, page), section)
    for page in pages:
        report.command(["mandoc", "-T", "lint", page], page, cwd=TOP,
                       env=dict(os.environ, MANPATH=manpath + ":"))
report.end()
