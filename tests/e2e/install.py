#!/usr/bin/env python3
"""make install puts each file where it belongs and nothing else; make uninstall leaves nothing but what an
administrator has changed."""
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from corod import BUILDDIR, TOP, check, equal, run_tests  # noqa: E402


def make(target, place):
    subprocess.run(["make", "-s", "-C", BUILDDIR, target, "DESTDIR=" + place], check=True,
                   stdout=subprocess.DEVNULL)


def directories():
    """Those of this build, as its makefile has them."""
    with open(os.path.join(BUILDDIR, "Makefile"), encoding="utf-8") as f:
        found = dict(re.findall(r"^(\w+) = (.*)$", f.read(), re.M))

    def whole(text):
        while "${" in text:
            text = re.sub(r"\$\{(\w+)\}", lambda m: found[m.group(1)], text)
        return text
    return {name: whole(text) for name, text in found.items() if name.endswith("dir")}


def expected():
    d = directories()
    files = [d["bindir"] + "/coro", d["sbindir"] + "/corod", d["sbindir"] + "/corod-exec",
             d["datadir"] + "/bash-completion/completions/coro", d["datadir"] + "/zsh/site-functions/_coro",
             d["fishcompletionsdir"] + "/coro.fish",
             d["sysusersdir"] + "/corod.conf", d["tmpfilesdir"] + "/corod.conf"]
    files += ["%s/corod/%s" % (d["sysconfdir"], name) for name in ("corod.conf", "exec.policy")]
    for name in os.listdir(os.path.join(TOP, "man")):
        if name[-1].isdigit():
            files.append("%s/man%s/%s" % (d["mandir"], name[-1], name))
    for folder, place in (("systemd", d["systemdsystemunitdir"]), ("systemd/user", d["systemduserunitdir"])):
        files += ["%s/%s" % (place, name[:-3]) for name in os.listdir(os.path.join(TOP, folder))
                  if name.endswith(".in")]
    return sorted(files)


def installed(place):
    return sorted("/" + os.path.relpath(os.path.join(folder, name), place)
                  for folder, _, names in os.walk(place) for name in names)


def test_install_and_uninstall():
    want = expected()
    check(len([name for name in want if "/man/" in name]) >= 7, "manual pages")
    with tempfile.TemporaryDirectory(prefix="corod-install-") as place:
        make("install", place)
        equal(installed(place), want)
        for name in want:
            mode = os.stat(place + name).st_mode & 0o777
            equal(mode, 0o755 if "bin/" in name else 0o644, name)
        for name in want:
            with open(place + name, "rb") as f:
                text = f.read()
            check(text, name + " is empty")
            if name.endswith((".service", ".socket", ".1", ".5", ".7", ".8")):
                check(not re.search(rb"@\w+@", text), name + " has a variable left")
        make("uninstall", place)
        equal(installed(place), [])


def test_what_is_changed_stays():
    with tempfile.TemporaryDirectory(prefix="corod-install-") as place:
        make("install", place)
        conf = place + directories()["sysconfdir"] + "/corod/corod.conf"
        with open(conf, "a", encoding="ascii") as f:
            f.write("log_cap = 1M\n")
        make("install", place)
        make("uninstall", place)
        equal(installed(place), [conf[len(place):]])
        with open(conf, encoding="ascii") as f:
            check(f.read().endswith("log_cap = 1M\n"), "it is as it was")


if __name__ == "__main__":
    run_tests(globals())
