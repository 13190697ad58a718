"""Pretended commands, for the judge."""
import asyncio
import re

KILL_US = 230000  # a command ends so long after its signal


class Command(asyncio.Future):
    """A pretended command. Cancelling it takes until its process has ended."""

    def __init__(self, loop, duration, on_launch):
        super().__init__(loop=loop)
        self.loop = loop
        self.duration_us = round(duration * 1e6)
        self.on_launch = on_launch
        self.launched = self.killed = False
        loop.wanted.append(self)

    def launch(self):
        self.launched = True
        self.loop.commands += 1
        self.number = self.loop.commands
        self.due_us = self.loop.now_us + self.duration_us
        if self.on_launch:
            self.on_launch()

    def on_end(self):
        if self.done():
            return
        if self.killed:
            super().cancel()
        else:
            self.set_result(None)

    def cancel(self, msg=None):
        if self.done():
            return False
        if self in self.loop.running:
            self.killed = True
            self.due_us = min(self.due_us, self.loop.now_us + KILL_US)
            return True
        if self in self.loop.wanted:
            self.loop.wanted.remove(self)
        return super().cancel()


# What commands of the cases pretend, by the script's beginning (as run_case.c does).
PRETENDED = {"false": {"exit": 1}, "kill": {"exit": None, "signal": 9}, "lost": {"lost": True},
             "nope": {"exit": 127, "nope": True}, "flaky": {"passes": 3}}


def simulation(script):
    for word, plan in PRETENDED.items():
        if script.startswith(word):
            return plan
    if script.startswith("sha256sum ") and "no such" in script:
        return {"exit": 1}
    sleep = re.search(r"sleep ([\d.]+)", script)
    echo = re.search(r"echo ([^;]*)", script)
    status = re.search(r"exit (\d+)", script)
    return {"duration": float(sleep[1]) if sleep else 0, "exit": int(status[1]) if status else 0,
            "stdout": echo[1] if echo else ""}
