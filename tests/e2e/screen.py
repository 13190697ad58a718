"""A real terminal, by tmux: keys go in, the screen is looked at."""
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from corod import PATIENCE, Skip, wait_until
from home import CORO


class Screen:
    """A terminal of its own in which a shell runs commands."""

    def __init__(self, home, columns=80, rows=24, shell=None, **env):
        if not shutil.which("tmux"):
            raise Skip("there is no tmux")
        self.directory = tempfile.mkdtemp(prefix="coro-tmux-")
        self.socket = self.directory + "/socket"
        self.env = dict(home.env, TERM="screen-256color")
        self.env.update(env)
        with open(self.directory + "/rc", "w", encoding="ascii") as f:
            f.write("PS1='$ '; unset HISTFILE\n")
        self.env.pop("TMUX", None)
        self.env["PATH"] = os.path.dirname(CORO) + ":" + self.env["PATH"]
        utf8 = ["-u"] if "UTF-8" in self.env["LC_ALL"] else []
        self.tmux(*utf8, "-f", "/dev/null", "new-session", "-d", "-x", str(columns), "-y", str(rows),
                  shell or "bash --noprofile --rcfile %s/rc" % self.directory)
        try:
            self.until(lambda s: s.rstrip().endswith("$"))
        except BaseException:
            self.__exit__()
            raise

    def tmux(self, *args):
        return subprocess.run(["tmux", "-S", self.socket, *args], env=self.env, check=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE).stdout.decode()

    def text(self):
        return "\n".join(line.rstrip() for line in self.tmux("capture-pane", "-p").split("\n")).rstrip("\n")

    def keys(self, *keys):
        self.tmux("send-keys", *keys)

    def type(self, line):
        self.tmux("send-keys", "-l", line)
        self.keys("Enter")

    def until(self, condition, patience=PATIENCE):
        """The screen as soon as the condition (a function, or a text that is to be seen) holds."""
        holds = condition if callable(condition) else lambda s: condition in s
        seen = [""]

        def look():
            seen[0] = self.text()
            return holds(seen[0])
        try:
            wait_until(look, "the screen", patience)
        except AssertionError:
            raise AssertionError("%s is not on the screen:\n%s" % (condition, seen[0])) from None
        return seen[0]

    def pid(self):
        """Of the program that the shell runs."""
        shell = self.tmux("display-message", "-p", "#{pane_pid}").strip()
        with open("/proc/%s/task/%s/children" % (shell, shell), encoding="ascii") as f:
            return int(f.read().split()[0])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.tmux("kill-server")
        shutil.rmtree(self.directory, ignore_errors=True)
