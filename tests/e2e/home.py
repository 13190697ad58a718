"""A person who uses coro(1): a state directory of their own, with a personal daemon."""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from corod import PATIENCE, check, equal, program

CORO = program("coro")


class Result:
    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    def __repr__(self):
        return "status %d\n-- stdout\n%s\n-- stderr\n%s" % (self.status, self.out, self.err)


class Home:
    """A person with a state directory of their own."""

    def __init__(self, **env):
        self.directory = tempfile.mkdtemp(prefix="coro-")
        self.env = dict(os.environ, XDG_STATE_HOME=self.directory, COROD=program("corod"),
                        LC_ALL="C.UTF-8", TERM="xterm", **env)
        for name in ("CORO_SOCKET", "NO_COLOR", "CLICOLOR_FORCE", "COLUMNS"):
            self.env.pop(name, None)
        if os.path.exists("/run/corod"):  # else the system's daemon would be meant
            self.env["CORO_SOCKET"] = self.directory + "/corod/corod.sock"

    def start(self, *args, **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        return subprocess.Popen([CORO, *args], env=dict(self.env, **options.pop("env", {})), **options)

    def coro(self, *args, stdin=b"", binary=False, **options):
        if isinstance(stdin, str):
            stdin = stdin.encode()
        p = self.start(*args, stdin=subprocess.PIPE, **options)
        out, err = p.communicate(stdin, timeout=PATIENCE * 2)
        if not binary:
            out = out.decode()
        return Result(p.returncode, out, err.decode())

    def ok(self, *args, **options):
        r = self.coro(*args, **options)
        equal(r.status, 0, "coro %s: %r: status" % (" ".join(map(str, args)), r))
        return r.out

    def json(self, *args, **options):
        return json.loads(self.ok(*args, "--json", **options))

    def submit(self, job, *args):
        return self.coro("submit", *args, "-", stdin=json.dumps(job))

    def pid(self):
        return self.json("daemon", "status")["pid"]

    def file(self, name, content):
        path = os.path.join(self.directory, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(content)
        return path

    def processes(self):
        mark, found = self.directory.encode(), []
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/%s/cmdline" % name, "rb") as f:
                    line = f.read()
                with open("/proc/%s/environ" % name, "rb") as f:
                    environ = f.read()
            except OSError:
                continue
            if mark in line or b"XDG_STATE_HOME=" + mark in environ:
                found.append(int(name))
        return found

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        shutil.rmtree(self.directory, ignore_errors=True)


def has(r, *texts):
    for text in texts:
        check(text in (r if isinstance(r, str) else r.out + r.err), "no %r in %r" % (text, r))
