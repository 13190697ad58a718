#!/usr/bin/env python3
"""systemd's own checks of the units: verify says nothing, the daemon's exposure is at most 2.0."""
import os
import re
import shutil
import subprocess
import tempfile

from report import BUILDDIR, Report

EXPOSURE = 2.0
report = Report()
if not shutil.which("systemd-analyze"):
    report.skip("no systemd-analyze")
    report.end()
if not os.path.exists(os.path.join(BUILDDIR, "Makefile")):
    report.skip("no build")
    report.end()

with tempfile.TemporaryDirectory() as installed:
    os.chmod(installed, 0o755)
    report.command(["make", "-s", "-C", BUILDDIR, "install", "DESTDIR=" + installed],
                   "make install", quiet=False)
    for scope in ("system", "user"):
        units = []
        for folder, _, names in os.walk(installed):
            if folder.endswith("/systemd/" + scope):
                units += [os.path.join(folder, name) for name in names]
        report.check(units, "%s units are installed" % scope)
        # The programs are not where the units say, but below DESTDIR.
        for unit in units:
            with open(unit) as f:
                text = f.read()
            with open(unit, "w") as f:
                f.write(re.sub(r"^(ExecStart=)(/)", r"\1%s\2" % installed, text, flags=re.M))
        env = dict(os.environ, XDG_RUNTIME_DIR=installed, HOME=installed)
        report.command(["systemd-analyze", "--" + scope, "--man=no", "verify", *sorted(units)],
                       "systemd-analyze verify, %s units" % scope, env=env)
        for unit in units:
            if scope == "system" and unit.endswith("/corod.service"):
                text = subprocess.run(["systemd-analyze", "security", "--offline=true", unit],
                                      stdout=subprocess.PIPE).stdout.decode()
                score = re.search(r"Overall exposure level.*?: ([0-9.]+)", text)
                report.check(score and float(score.group(1)) <= EXPOSURE,
                             "the exposure of corod.service is %s, more than %s" %
                             (score and score.group(1), EXPOSURE))
report.end()
