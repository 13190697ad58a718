#!/usr/bin/env python3
# test-timeout: 150
"""corod as the system's daemon, under a real systemd: restarts and kills under load disturb no command and
every one ends once; the watchdog, the sandbox, the journal, the policy."""
import json

from scenario import Scenario, check, equal, main

COMMANDS = 12


class Boot(Scenario):
    def shells(self):
        """The shells find the completions where they were installed."""
        m = self.m
        if m.run("sh", "-c", "command -v zsh", check=False).stdout:
            equal(m.out("zsh", "-fc", "autoload -U compinit; compinit -D -u; print -r -- $_comps[coro]"), "_coro",
                  "zsh knows coro")
        if m.run("sh", "-c", "command -v fish", check=False).stdout:
            words = [line.split("\t")[0] for line in m.out("fish", "-c", "complete -C 'coro daemon sta'").splitlines()]
            equal(words, ["start", "status"], "fish knows coro")
        loaded = m.out("bash", "-c", ". /usr/local/share/bash-completion/completions/coro; complete -p coro")
        check(loaded.endswith(" coro"), "bash knows coro: " + loaded)

    def first_commands(self):
        out = self.coro("run", "--", "id", "-un", check=False)
        equal((out.returncode, out.stdout), (0, "tester\n"), "a command runs as its submitter")
        groups = self.coro("run", "--", "id", "-G", check=False).stdout
        equal(groups, "4321\n", "a command has its submitter's groups")
        equal(self.coro("run", "--", "sh", "-c", "exit 3", check=False).returncode, 3,
              "coro run ends with the command's status")
        refused = self.coro("run", "--", "id", user=None, check=False)
        check(refused.returncode != 0 and "uid=0" not in refused.stdout,
              "the policy refuses root: status %d" % refused.returncode)
        other = self.coro("show", "1", user="other", check=False)
        check(other.returncode != 0, "another user's job is not to be seen")

    def sandbox(self):
        status = self.m.out("cat", "/proc/%d/status" % self.pid("corod"))
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        uid = self.m.out("id", "-u", "corod")
        equal(fields["Uid"].split(), [uid] * 4, "the daemon is corod")
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            equal(int(fields[name], 16), 0, "the daemon has no capability: " + name)
        equal(fields["NoNewPrivs"], "1", "the daemon gains no rights")
        equal(fields["Seccomp"], "2", "the daemon's system calls are filtered")

    def load(self):
        """Starts the load: commands that say when they start and end, each in its own file, and run until end_load()."""
        script = 'echo "start $$" >>/tmp/load/$1; while [ ! -e /tmp/load/go ]; do sleep 0.05; done; echo "end $$" >>/tmp/load/$1'
        job = {"gather": {"for": "i", "in": {"range": COMMANDS}, "do": {"sh": script,
                                                                      "args": ["${i}"]}}}
        self.m.run("sh", "-c", "cat >/tmp/load.json", stdin=json.dumps(job))
        self.m.run("rm", "-rf", "/tmp/load")
        self.m.run("mkdir", "-m", "777", "/tmp/load")
        self.coro("pool", "set", "default", str(COMMANDS), user=None)
        self.job = self.coro("submit", "/tmp/load.json").stdout.strip()
        self.m.until(lambda: len(self.lines("start")) == COMMANDS, "all commands have started")

    def end_load(self):
        self.m.run("touch", "/tmp/load/go")

    def lines(self, word):
        return self.m.run("sh", "-c", "grep -h '^%s' /tmp/load/*" % word,
                          check=False).stdout.splitlines()

    def undisturbed(self, what):
        """All commands of the load are there, or have ended well, each having started once."""
        job = json.loads(self.coro("wait", "--json", self.job, check=False).stdout or "null")
        got = self.show(self.job)
        equal(got["state"], "succeeded", "the job succeeds after " + what)
        equal((len(self.lines("start")), len(self.lines("end"))), (COMMANDS, COMMANDS),
              "each command ran once after " + what)
        starts = sorted(line.split()[1] for line in self.lines("start"))
        ends = sorted(line.split()[1] for line in self.lines("end"))
        equal(ends, starts, "the processes that ended are those that started, after " + what)
        return job

    def in_commands_group(self):
        pid = self.lines("start")[0].split()[1]
        group = self.m.out("sh", "-c", "grep '^0::' /proc/%s/cgroup" % pid)
        check("/corod-commands.service" in group, "commands are in their own group: " + group)

    def disturb(self):
        m = self.m
        self.load()
        self.in_commands_group()
        old = self.pid("corod")
        m.run("systemctl", "restart", "corod")
        self.active("corod.service")
        check(self.pid("corod") != old, "the daemon was restarted")
        old = self.pid("corod")
        m.run("kill", "-9", str(old))
        self.new_pid("corod.service", old)
        old = self.pid("corod-exec")
        m.run("systemctl", "restart", "corod-exec")
        self.active("corod-exec.service")
        check(self.pid("corod-exec") != old, "the executor was restarted")
        old = self.pid("corod-exec")
        m.run("kill", "-9", str(old))
        self.new_pid("corod-exec.service", old)
        check(not self.lines("end"), "all of that happened under load")
        self.end_load()
        self.undisturbed("restart and kill -9 of daemon and executor")

    def stopped_meanwhile(self):
        """Commands end while neither daemon nor executor is there."""
        m = self.m
        self.load()
        m.run("systemctl", "stop", "corod.socket", "corod.service", "corod-exec.service")
        self.end_load()
        m.until(lambda: len(self.lines("end")) == COMMANDS, "the commands end")
        check(True, "commands end without daemon and executor")
        m.run("systemctl", "start", "corod.socket", "corod.service")
        self.active("corod.service")
        self.undisturbed("a stop")

    def commands_stopped(self):
        """Stopping the commands' unit ends them all; none of them counts as a success."""
        m = self.m
        self.load()
        m.run("systemctl", "stop", "corod-commands.service")
        equal(m.run("pgrep", "-fa", "tmp/load", check=False).stdout, "", "no command is left")
        m.run("systemctl", "start", "corod-exec.service")
        self.active("corod-exec.service")
        m.until(lambda: self.show(self.job)["state"] != "running", "the job ends")
        equal(self.show(self.job)["state"], "failed", "the job fails when its commands are stopped")
        check(not self.lines("end"), "no command came to its end")

    def frozen(self, group):
        return "frozen 1" in self.m.out("cat", "/sys/fs/cgroup%s/cgroup.events" % group)

    def freeze(self):
        """A frozen command is stopped by its cgroup, with all that it has started."""
        m = self.m
        script = "setsid sh -c 'while :; do date +%s%N >/tmp/load/beat; sleep 0.02; done' & wait"
        beat = lambda: m.run("cat", "/tmp/load/beat", check=False).stdout
        m.run("rm", "-rf", "/tmp/load")
        m.run("mkdir", "-m", "777", "/tmp/load")
        job = self.coro("add", "--", "sh", "-c", script).stdout.strip()
        m.until(beat, "it beats")
        pid = m.out("pgrep", "-f", "-o", "setsid sh")
        group = m.out("sh", "-c", "grep '^0::' /proc/%s/cgroup" % pid)[3:]
        self.coro("pause", "--freeze", job)
        m.until(lambda: self.frozen(group), "its cgroup is frozen")
        for unit in ("corod", "corod-exec"):
            old = self.pid(unit)
            m.run("kill", "-9", str(old))
            self.new_pid(unit + ".service", old)
        equal(self.show(job)["state"], "paused", "it is paused after kills of daemon and executor")
        last = beat()
        self.coro("run", "--", "sleep", "0.3")
        check(self.frozen(group) and beat() == last, "it is frozen after them")
        self.coro("resume", job)
        m.until(lambda: not self.frozen(group) and beat() != last, "it goes on")
        check(True, "it goes on when it is resumed")
        self.coro("pause", "--freeze", job)
        m.until(lambda: self.frozen(group), "its cgroup is frozen again")
        self.coro("cancel", job)
        m.until(lambda: self.show(job)["state"] == "cancelled", "it takes its SIGTERM", 9)
        check(True, "a frozen command takes its SIGTERM")
        job = self.coro("add", "--", "sh", "-c", script).stdout.strip()
        m.until(lambda: m.run("pgrep", "-f", "setsid sh", check=False).stdout, "another one")
        self.coro("pause", "--freeze", job)
        self.coro("kill", job)
        equal(self.show(job)["state"], "cancelled", "a frozen job is killed")
        m.until(lambda: not m.run("pgrep", "-f", "load/beat", check=False).stdout, "nothing is left of it")
        check(True, "nothing is left of it")
        equal(self.coro("run", "--", "echo", "next").stdout, "next\n", "the next command runs")

    def client_waits(self):
        """While the daemon restarts, clients wait instead of starting one of their own."""
        old = self.pid("corod")
        self.m.run("kill", "-9", str(old))
        out = self.coro("run", "--", "echo", "still here", check=False)
        equal((out.returncode, out.stdout), (0, "still here\n"), "a client waits for the restart")
        self.new_pid("corod.service", old)

    def watchdog(self):
        m = self.m
        m.run("mkdir", "-p", "/run/systemd/system/corod.service.d")
        m.run("sh", "-c", "cat >/run/systemd/system/corod.service.d/fast.conf",
              stdin="[Service]\nWatchdogSec=2\n")
        m.run("systemctl", "daemon-reload")
        m.run("systemctl", "restart", "corod")
        self.active("corod.service")
        pid = self.pid("corod")
        fed = int(m.prop("corod", "WatchdogTimestampMonotonic"))
        m.until(lambda: int(m.prop("corod", "WatchdogTimestampMonotonic")) > fed + 4000000, "the watchdog is fed")
        equal(self.pid("corod"), pid, "the watchdog is fed")
        m.run("kill", "-STOP", str(pid))
        self.new_pid("corod.service", pid)
        check(True, "a daemon that hangs is started again")
        m.run("rm", "/run/systemd/system/corod.service.d/fast.conf")
        m.run("systemctl", "daemon-reload")

    def journal(self):
        m = self.m
        m.run("journalctl", "--sync")
        text = m.out("journalctl", "-b", "-o", "json", "_SYSTEMD_UNIT=corod.service",
                     "_SYSTEMD_UNIT=corod-exec.service")
        lines = [json.loads(line) for line in text.splitlines()]
        own = [line for line in lines if line.get("SYSLOG_IDENTIFIER") in ("corod", "corod-exec")]
        check(own, "corod's lines are in the journal")
        check(all("<" != str(line["MESSAGE"])[0] for line in own),
              "their priority is no part of their text")
        check(any(line["PRIORITY"] != "6" for line in own), "lines have priorities of their own")

    def security(self):
        text = self.m.out("systemd-analyze", "security", "--no-pager", "corod.service", check=False)
        score = float(text.split("Overall exposure level")[1].split(":")[1].split()[0])
        check(score <= 2.0, "the daemon's exposure is %s" % score)

    def end(self):
        m = self.m
        m.run("systemctl", "stop", "corod.socket", "corod.service", "corod-exec.service",
              "corod-commands.service")
        for unit in ("corod.service", "corod-exec.service", "corod-commands.service"):
            equal(m.prop(unit, "Result"), "success", unit + " stops well")
        left = m.run("pgrep", "-a", "corod", check=False).stdout.strip()
        equal(left, "", "nothing is left")

    def personal(self):
        """A personal daemon that systemd starts for one user."""
        m = self.m
        m.run("rm", "-rf", "/run/corod")
        m.run("loginctl", "enable-linger", "tester")
        m.until(lambda: m.prop("user@4321.service", "ActiveState") == "active", "the user's systemd")
        session = ("env", "HOME=/home/tester", "XDG_RUNTIME_DIR=/run/user/4321")
        m.run(*session, "coro", "daemon", "enable", user="tester")
        for unit in ("corod.service", "corod-exec.service"):
            m.until(lambda: m.out(*session, "systemctl", "--user", "is-active", unit, user="tester",
                                  check=False) == "active", "the user's " + unit)
        out = m.run(*session, "coro", "run", "--", "id", "-un", user="tester", check=False)
        equal((out.returncode, out.stdout), (0, "tester\n"), "a personal daemon runs commands")
        main_pid = m.out(*session, "systemctl", "--user", "show", "-P", "MainPID", "corod.service",
                         user="tester")
        status = m.out(*session, "coro", "daemon", "status", "--json", user="tester")
        equal(str(json.loads(status)["pid"]), main_pid, "it is the one that systemd started")


if __name__ == "__main__":
    main(Boot, "install", "shells", "first_commands", "sandbox", "disturb", "stopped_meanwhile",
         "commands_stopped", "freeze", "client_waits", "watchdog", "journal", "security", "end", "personal")
