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

    @property
    def runs(self):
        """The task that awaits it counts as running."""
        return self.launched

    def next_due_us(self):
        return self.due_us

    def take(self):
        """What it does by now goes to the loop. True: it is over."""
        if self.due_us > self.loop.now_us:
            return False
        self.loop.call_soon(self.on_end)
        return True

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


class Reading(asyncio.Future):
    """Who waits for a line. Cancelling that takes until the command has ended."""

    def __init__(self, command):
        super().__init__(loop=command.loop)
        self.command = command
        self.cancelling = False

    def cancel(self, msg=None):
        if self.done():
            return False
        if self.command.launched and not self.command.done():
            self.cancelling = True
            self.command.cancel()
            return True
        self.command.cancel()
        return super().cancel()


class Reader(asyncio.StreamReader):
    def __init__(self, command):
        super().__init__(limit=2 ** 30, loop=command.loop)
        self.command = command

    async def _wait_for_data(self, func_name):
        self._waiter = Reading(self.command)
        try:
            await self._waiter
        finally:
            self._waiter = None

    def feed_eof(self):
        if self._waiter is not None and self._waiter.cancelling:
            super(Reading, self._waiter).cancel()
        super().feed_eof()


class Leaving(asyncio.Future):
    """Who leaves the loop. Cancelling that changes nothing before the command has ended."""

    cancelling = False

    def cancel(self, msg=None):
        self.cancelling = not self.done()
        return self.cancelling

    def over(self):
        if self.cancelling:
            super().cancel()
        else:
            self.set_result(None)


class Writer(Command):
    """One whose output is read as it comes: pieces are (when, bytes)."""

    def __init__(self, loop, pieces, duration):
        super().__init__(loop, duration, None)
        self.pieces = pieces
        self.reader = Reader(self)
        self.leaving = None

    runs = False  # who reads only waits

    def launch(self):
        super().launch()
        self.pieces = [(self.loop.now_us + round(at * 1e6), text) for at, text in self.pieces]

    def next_due_us(self):
        return min([self.due_us] + [at for at, _ in self.pieces[:1]])

    def take(self):
        while self.pieces and self.pieces[0][0] <= self.loop.now_us:
            self.loop.call_soon(self.reader.feed_data, self.pieces.pop(0)[1])
        return super().take()

    def on_end(self):
        super().on_end()
        self.reader.feed_eof()
        if self.leaving is not None:
            self.leaving.over()

    def cancel(self, msg=None):
        self.pieces = []
        return super().cancel(msg)

    async def stop(self):
        """Its end is awaited, whoever cancels meanwhile."""
        runs = self.launched and not self.done()
        self.cancel()
        if runs:
            self.leaving = Leaving(loop=self.loop)
            await self.leaving


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


def written(script):
    """(pieces, seconds, status) of a script whose output is read as it comes."""
    pieces, at = [], 0.0
    for part in script.split(";"):
        word, _, rest = part.strip().partition(" ")
        if word == "sleep":
            at += float(rest)
        elif word == "exit":
            return pieces, at, int(rest)
        elif word in ("echo", "printf"):
            pieces.append((at, (rest + ("\n" if word == "echo" else "")).encode()))
    return pieces, at, 0
