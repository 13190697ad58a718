#!/usr/bin/env python3
# test-sanitized: yes
"""Kills corod-exec and its monitors in every window that attempts can be in, and looks whether each command ran
at most once and its end is told right. Speaks the executor's own protocol over its real socket."""
import os
import random
import signal
import struct
import subprocess

from exec_client import (END, EXITED, LOST, NOT_STARTED, RUNNING, SIGNALED, START, STATE, UNKNOWN, Failure, Skip, alive,
                         has_errinj, main, parse_end, processes, program, start_payload, test, text_of, wait_until)

ECANCELED = 125


def counting(x, extra=""):
    """A command that leaves a mark each time it runs."""
    return ["sh", "-c", f"echo ran >> {x.root}/ran; echo done; {extra}"]


def runs(x):
    try:
        with open(f"{x.root}/ran") as f:
            return len(f.readlines())
    except FileNotFoundError:
        return 0


def expect(what, got, want):
    if got != want:
        raise Failure(f"{what}: {got!r} instead of {want!r}")


def finish(x, number):
    """What a daemon does after it lost the executor: connects, resolves, sends again what is unknown."""
    c = x.connect(number, [number])
    c.resolve(number)
    got = c.state(number)
    if got == UNKNOWN:
        c.start(number, counting(x))
        got = RUNNING
    return c, c.end(number) if got == RUNNING else got


# What must come of attempt 1 when the fault strikes it: who dies, its outcome, how often it ran.
WINDOWS = {
    # The executor dies.
    "EXEC_BEFORE_S": ("executor", EXITED, 1),
    "EXEC_TORN_S:fail": ("executor", EXITED, 1),
    "EXEC_AFTER_S": ("executor", LOST, 0),
    "EXEC_AFTER_HANDOVER": ("executor", EXITED, 1),
    "EXEC_BEFORE_FORWARD": ("executor", EXITED, 1),
    # The monitor dies, or what it just started.
    "EXEC_MONITOR_GOT_START": ("monitor", LOST, 0),
    "EXEC_TORN_P:fail": ("nobody", SIGNALED, 0),
    "EXEC_BEFORE_EXEC:fail": ("monitor", LOST, None),  # it may come to run before the monitor is quite dead
    "EXEC_AFTER_START": ("monitor", LOST, None),
    "EXEC_BEFORE_E": ("monitor", LOST, 1),
    "EXEC_TORN_E:fail": ("monitor", LOST, 1),
    "EXEC_AFTER_E": ("monitor", EXITED, 1),
    "EXEC_BEFORE_REPORT": ("monitor", EXITED, 1),
    "EXEC_AFTER_REPORT": ("monitor", EXITED, 1),
    # Nobody dies: it cannot be done at first.
    "EXEC_FULL_S:fail": ("nobody", EXITED, 1),
    "EXEC_FULL_P:fail": ("nobody", EXITED, 1),
    "EXEC_FULL_E:fail": ("nobody", EXITED, 1),
    "EXEC_FORK:fail": ("nobody", EXITED, 1),
}


def window(errinj, who, outcome, how_often):
    def run(x):
        if not has_errinj():
            raise Skip("built without fault points")
        x.start(errinj=errinj)
        c = x.connect()
        c.start(1, counting(x))
        if who == "executor":
            x.process.wait(20)
            x.start()
            c, end = finish(x, 1)
        else:
            end = c.end(1)
        expect("outcome", end["outcome"], outcome)
        expect(f"{runs(x)} runs", runs(x) in (how_often,) if how_often is not None else runs(x) <= 1, True)
        if outcome == EXITED:
            expect("status", end["status"], 0)
            expect("output", text_of(end["output"]), b"done\n")
        if outcome == LOST:
            expect("never ran", end["never_ran"], errinj in ("EXEC_AFTER_S", "EXEC_MONITOR_GOT_START"))
        # The same again after a reconnect, until it is settled; then its number is still taken.
        c = x.connect(1, [1])
        c.resolve(1)
        again = c.state(1)
        expect("outcome when asked again", again["outcome"], outcome)
        c.start(1, counting(x))
        expect("outcome of a second start", c.end(1)["outcome"], outcome)
        c.settle(1)
        c.start(1, counting(x))
        expect("outcome of a start after it is settled", c.end(1)["outcome"], LOST)
        c.start(2, ["echo", "two"])
        expect("the next command", c.end(2)["status"], 0)
        if how_often is not None:
            expect("runs at last", runs(x), how_often)
    run.__name__ = "window_" + errinj.replace(":fail", "").replace(",", "_")
    test(run)


for name, row in WINDOWS.items():
    window(name, *row)


@test
def killed_while_a_segment_is_begun(x):
    if not has_errinj():
        raise Skip("built without fault points")
    x.start(errinj="EXEC_ROTATE")
    x.process.wait(20)
    x.start()
    c = x.connect()
    c.start(1, ["true"])
    expect("status", c.end(1)["status"], 0)


@test
def killed_while_the_next_segment_is_begun(x):
    if not has_errinj():
        raise Skip("built without fault points")
    x.start(errinj="EXEC_ROTATE=2")
    c = x.connect()
    n = 0
    try:
        while n < 2000:
            n += 1
            c.start(n, ["sh", "-c", "head -c 15000 /dev/zero"])
            c.end(n)
    except (Failure, ConnectionError):
        x.process.wait(20)
    x.start()
    c, end = finish(x, n)
    expect("the one that was being started", (n > 250, end["outcome"], runs(x)), (True, EXITED, 1))
    expect("segments", len(os.listdir(f"{x.state}/journal")) <= 2, True)


@test
def killed_executor_finds_its_commands(x):
    x.start()
    c = x.connect()
    for n in range(1, 6):
        c.start(n, ["sh", "-c", f"while [ ! -e {x.root}/go ]; do sleep 0.02; done; echo {n}; exit {n}"])
    pids = {n: c.started(n) for n in range(1, 6)}
    x.restart()
    c = x.connect(5, range(1, 6))
    for n in range(1, 6):
        c.resolve(n)
        expect("state", c.state(n), RUNNING)
        expect("pid", c.started(n), pids[n])
    c.stop(5)
    end = c.end(5)
    expect("stopped by its adopter", (end["outcome"], end["status"], end["stopped"]), (SIGNALED, 15, True))
    open(f"{x.root}/go", "w").close()
    for n in range(1, 5):
        end = c.end(n)
        expect("end", (end["outcome"], end["status"], text_of(end["output"])), (EXITED, n, b"%d\n" % n))
        c.settle(n)


@test
def ends_while_nobody_listens(x):
    x.start()
    c = x.connect()
    c.start(1, ["sh", "-c", f"until [ -e {x.root}/go ]; do sleep 0.02; done; seq 20000"])
    pid = c.started(1)
    x.kill()
    open(f"{x.root}/go", "w").close()
    wait_until("the command to end", lambda: not alive(pid))
    x.start()
    c = x.connect(1, [1])
    c.resolve(1)
    got = c.state(1)
    end = got if got != RUNNING else c.end(1)
    expect("end", (end["outcome"], end["status"], end["in_file"]), (EXITED, 0, True))


@test
def asked_to_end_it_leaves_its_commands(x):
    x.start()
    c = x.connect()
    c.start(1, ["sleep", "1000"])
    pid = c.started(1)
    expect("status", x.kill(signal.SIGTERM), 0)
    expect("socket is gone", os.path.exists(x.socket), False)
    if not alive(pid):
        raise Failure("the command is gone")
    x.start()
    c = x.connect(1, [1])
    c.stop(1, 0)
    expect("end", c.end(1)["status"], 9)


@test
def a_killed_monitor_loses_its_one_command(x):
    x.start()
    c = x.connect()
    for n in (1, 2, 3):
        c.start(n, ["sh", "-c", "setsid sleep 1000 & sleep 1000 & wait"])
    pids = {n: c.started(n) for n in (1, 2, 3)}
    tree = lambda pid: [p for p, (parent, _, _) in processes().items() if parent == pid]
    left = wait_until("its children", lambda: len(tree(pids[2])) == 2 and tree(pids[2]))
    monitor = processes()[pids[2]][0]
    os.kill(monitor, signal.SIGKILL)
    end = c.end(2)
    expect("outcome", (end["outcome"], end["never_ran"], end["pid"]), (LOST, False, pids[2]))
    for pid in [pids[2], *left]:
        if alive(pid):
            raise Failure("a process of the lost command lives")
    for n in (1, 3):
        if not alive(pids[n]):
            raise Failure("another command is gone")
        c.stop(n, 2000)
        expect("the others", c.end(n)["status"], 15)


@test
def an_executor_started_by_a_command_is_not_taken_for_it(x):
    x.start().connect()
    with open(f"{x.state}/id") as f:
        mark = {"CORO_EXECUTOR": f.read(), "CORO_ATTEMPT": "1"}
    x.restart(env=mark)
    c = x.connect()
    c.start(1, ["sleep", "1000"])
    pid = c.started(1)
    os.kill(processes()[pid][0], signal.SIGKILL)
    expect("outcome", c.end(1)["outcome"], LOST)
    c.start(2, ["true"])
    expect("it goes on", c.end(2)["status"], 0)


@test
def a_monitor_killed_while_no_executor_was_there(x):
    x.start()
    c = x.connect()
    c.start(1, ["sh", "-c", "setsid sleep 1000 & wait"])
    c.start(2, ["sleep", "1000"])
    pid, other = c.started(1), c.started(2)
    child = wait_until("its child", lambda: [p for p, v in processes().items() if v[0] == pid])[0]
    monitor = processes()[pid][0]
    x.kill()
    os.kill(monitor, signal.SIGKILL)
    wait_until("the command to die with its monitor", lambda: not alive(pid))
    if not alive(child):
        raise Failure("nothing is left to be found")
    x.start()
    c = x.connect(2, [1, 2])
    c.resolve(1)
    c.resolve(2)
    expect("the other one", c.state(2), RUNNING)
    got = c.state(1)
    expect("outcome", (got if got != RUNNING else c.end(1))["outcome"], LOST)
    wait_until("what was left to be killed", lambda: not alive(child))
    if not alive(other):
        raise Failure("the other command is gone")


@test
def a_stopped_before_its_start_is_never_started(x):
    x.start()
    c = x.connect()
    c.start(1, ["true"])
    c.end(1)
    c.stop(7)
    end = c.end(7)
    expect("end", (end["outcome"], end["error"], end["never_ran"]), (NOT_STARTED, ECANCELED, True))
    x.restart()
    c = x.connect(6, [7])
    expect("highest", c.highest, 1)
    c.start(7, counting(x))
    expect("late start", c.end(7)["error"], ECANCELED)
    c.start(2, ["true"])
    expect("a lower number", c.end(2)["status"], 0)
    expect("runs", runs(x), 0)


@test
def numbers_are_used_once(x):
    x.start()
    c = x.connect()
    c.start(5, counting(x))
    expect("first", c.end(5)["outcome"], EXITED)
    c.start(5, counting(x))
    expect("second", c.end(5)["outcome"], EXITED)
    c.start(3, counting(x))
    expect("lower, never seen", c.end(3)["outcome"], LOST)
    x.restart()
    c = x.connect(5, [])
    expect("highest", c.highest, 5)
    for n in (3, 4, 5):
        c.start(n, counting(x))
        expect("settled", c.end(n)["outcome"], LOST)
    c.resolve(6)
    expect("never seen", c.state(6), UNKNOWN)
    c.resolve(6, same_boot=False)
    expect("never seen, of another boot", c.state(6)["outcome"], LOST)
    expect("runs", runs(x), 1)


@test
def a_new_connection_discards_the_old_ones_input(x):
    x.start()
    old = x.connect()
    old.start(1, ["true"])
    old.end(1)
    x.process.send_signal(signal.SIGSTOP)
    # Half a message, so that it cannot have been taken, and more in the socket.
    message = start_payload(2, counting(x))
    old.sock.sendall(struct.pack("<IB", len(message) + 1, START) + message[:20])
    new = None
    try:
        import threading
        box = []
        t = threading.Thread(target=lambda: box.append(x.connect(1, [])))
        t.start()
        x.process.send_signal(signal.SIGCONT)
        t.join(20)
        new = box[0]
    finally:
        x.process.send_signal(signal.SIGCONT)
    try:
        old.sock.sendall(message[20:] + b"")
    except OSError:
        pass
    new.resolve(2)
    expect("of the old connection", new.state(2), UNKNOWN)
    new.start(3, ["true"])
    expect("of the new one", new.end(3)["status"], 0)
    expect("runs", runs(x), 0)
    try:
        while old.read(20):
            pass
        raise Failure("the old connection is still open")
    except (Failure, ConnectionError) as e:
        if "closed" not in str(e) and not isinstance(e, ConnectionError):
            raise


@test
def what_the_daemon_does_not_know_is_left_alone(x):
    x.start()
    c = x.connect()
    c.start(1, ["sleep", "1000"])
    c.start(2, ["sleep", "1000"])
    pids = [c.started(1), c.started(2)]
    c.settle(2)
    x.restart()
    c = x.connect(2, [2])  # a store that was put back from yesterday knows nothing of 1
    c.resolve(2)
    expect("known", c.state(2), RUNNING)
    c.resolve(1)
    expect("not known, but asked for", c.state(1), RUNNING)
    for pid in pids:
        expect("alive", alive(pid), True)
        os.kill(pid, signal.SIGKILL)
    expect("end", c.end(2)["status"], 9)
    c.start(3, ["true"])
    expect("it goes on", c.end(3)["status"], 0)


@test
def torture(x):
    """Kills the executor and monitors at random while many commands run. Each runs at most once; what is said to
    have ended well ran once; what is lost is lost because its monitor was killed."""
    seed = int(os.environ.get("SEED", random.randrange(1 << 30)))
    r = random.Random(seed)
    total, ends, killed, sent, resolving = 150, {}, 0, 0, set()
    x.start()
    c = x.connect()
    try:
        while len(ends) < total:
            for _ in range(r.randrange(12)):
                if sent < total and not resolving:  # numbers ascend, so what was unknown is sent first
                    sent += 1
                    c.start(sent, ["sh", "-c", f"echo x >> {x.root}/ran.{sent}; sleep 0.0{r.randrange(6)};"
                                               f" exit {sent % 50}"])
            try:
                c.read(r.random() * 0.02)
                for kind, payload in c.got:
                    resolving.discard(struct.unpack_from("<Q", payload)[0])
                    if kind == END:
                        e = parse_end(payload)
                        expect("number", 1 <= e["number"] <= sent, True)
                        if ends.setdefault(e["number"], e)["outcome"] != e["outcome"]:
                            raise Failure(f"{ends[e['number']]} and {e}")
                        c.settle(e["number"])
                    elif kind == STATE and payload[8] == UNKNOWN:
                        n = struct.unpack_from("<Q", payload)[0]
                        c.start(n, ["sh", "-c", f"echo x >> {x.root}/ran.{n}; exit {n % 50}"])
                c.got = []
            except (OSError, Failure) as e:
                if isinstance(e, Failure) and "closed" not in str(e):
                    raise
            # Not what a monitor has forked and is not executed yet, which looks the same.
            all_of_it = {p: v[0] for p, v in processes().items() if v[2] == "corod-monitor" and x.state in command_of(p)}
            monitors = [p for p, parent in all_of_it.items() if parent not in all_of_it]
            if monitors and r.random() < 0.1:
                os.kill(r.choice(monitors), signal.SIGKILL)
                killed += 1
            if r.random() < 0.2:
                x.restart()
                c = x.connect(sent, [n for n in range(1, sent + 1) if n not in ends])
                resolving = {n for n in range(1, sent + 1) if n not in ends}
                for n in sorted(resolving):
                    c.resolve(n)
        lost = 0
        for n, e in ends.items():
            try:
                with open(f"{x.root}/ran.{n}") as f:
                    ran = len(f.readlines())
            except FileNotFoundError:
                ran = 0
            expect(f"runs of {n}, {e}", ran <= (0 if e["never_ran"] else 1), True)
            if e["outcome"] == LOST:
                lost += 1
            else:
                expect(f"runs, status of {n}", (ran, e["status"]), (1, n % 50))
        # One that was handed to nobody (the executor was killed behind its S) is lost without a monitor's death.
        never = sum(e["never_ran"] for e in ends.values())
        expect(f"lost at most as killed ({lost}, {never}, {killed})", lost - never <= killed, True)
    except Exception:
        print(f"SEED={seed}")
        raise


def command_of(pid):
    try:
        with open(f"/proc/{pid}/cmdline") as f:
            return f.read()
    except OSError:
        return ""


@test
def one_executor_for_a_directory(x):
    x.start()
    x.connect()
    second = subprocess.run([program(), "--socket", f"{x.root}/other", "--state", x.state], capture_output=True,
                            timeout=20, check=False)
    expect("status", second.returncode, 1)
    if b"another corod-exec" not in second.stderr:
        raise Failure(second.stderr.decode())
    third = subprocess.run([program(), "--socket", x.socket, "--state", f"{x.root}/state2"], capture_output=True,
                           timeout=20, check=False)
    expect("status", third.returncode, 1)
    if b"another program listens" not in third.stderr:
        raise Failure(third.stderr.decode())
    x.connect().start(1, ["true"])


@test
def a_damaged_journal_starts_nothing_twice(x):
    x.start()
    c = x.connect()
    c.start(1, counting(x))
    c.end(1)
    c.start(2, ["sleep", "1000"])
    pid = c.started(2)
    x.kill()
    journal = f"{x.state}/journal"
    (name,) = os.listdir(journal)
    with open(f"{journal}/{name}", "r+b") as f:
        f.write(b"\0" * 36)
    x.start()
    c = x.connect(2, [1, 2])
    c.resolve(1)
    expect("an end that nobody can read", c.state(1)["outcome"], LOST)
    c.resolve(2)
    expect("a lock that is held", c.state(2), RUNNING)
    if not alive(pid):
        raise Failure("the command is gone")
    c.start(1, counting(x))
    expect("once more", c.end(1)["outcome"], LOST)
    os.kill(pid, signal.SIGKILL)
    expect("its end is in the damaged journal", c.end(2)["outcome"], LOST)
    expect("kept aside", sorted(os.listdir(journal))[0], name + ".bad")
    expect("runs", runs(x), 1)


@test
def settled_segments_go(x):
    x.start()
    c = x.connect()
    blob = ["sh", "-c", "head -c 15000 /dev/zero"]
    journal = lambda: sorted(os.listdir(f"{x.state}/journal"))
    c.start(1, ["sleep", "1000"])
    c.started(1)
    first = journal()[0]
    for n in range(2, 702):
        c.start(n, blob)
        if n % 50 == 1:
            for k in range(max(2, n - 49), n + 1):
                c.end(k)
                c.settle(k)
    names = wait_until("segments to go", lambda: len(journal()) == 2 and journal())
    if names[0] != first or names[1] < "00000003":
        raise Failure(f"segments {names}")
    x.restart()
    c = x.connect(n, [1])
    c.resolve(1)
    expect("the first one", c.state(1), RUNNING)
    c.stop(1, 0)
    c.end(1)
    c.settle(1)
    wait_until("the first segment to go", lambda: first not in journal())
    x.restart()
    expect("highest", x.connect(n, []).highest, n)


@test
def torn_tails_do_not_hide_what_follows(x):
    x.start()
    c = x.connect()
    c.start(1, counting(x))
    c.end(1)
    journal = f"{x.state}/journal"
    with open(f"{journal}/{os.listdir(journal)[0]}", "r+b") as f:
        data = f.read()
        f.write(data[36:36 + 40])  # the beginning of a record, and no more
    c.start(2, counting(x))
    c.end(2)
    x.restart()
    c = x.connect(2, [1, 2])
    for n in (1, 2):
        c.resolve(n)
        expect("end", c.state(n)["outcome"], EXITED)
    expect("highest", c.highest, 2)


@test
def a_command_cannot_forge_a_record(x):
    """An end's output holds what would be another attempt's end, and the end is torn in the middle of it."""
    if not has_errinj():
        raise Skip("built without fault points")
    x.start(errinj="EXEC_TORN_E=2:fail")
    c = x.connect()
    c.start(1, ["true"])
    c.end(1)
    journal = f"{x.state}/journal"
    with open(f"{journal}/{os.listdir(journal)[0]}", "rb") as f:
        record = f.read()
    # The attacker knows the format but not the segment's sync: records of another segment.
    forged = os.urandom(8) + record[44:]
    with open(f"{x.root}/forged", "wb") as f:
        f.write(forged * 20)
    c.start(2, ["cat", f"{x.root}/forged"])
    expect("outcome", c.end(2)["outcome"], LOST)


@test
def another_boot(x):
    if os.getuid() != 0:
        raise Skip("needs root for a mount")
    x.start()
    c = x.connect()
    c.start(1, counting(x))
    c.end(1)
    c.start(2, ["sleep", "1000"])
    pid = c.started(2)
    monitor = processes()[pid][0]
    x.kill()
    os.kill(monitor, signal.SIGKILL)
    with open(f"{x.root}/boot_id", "w") as f:
        f.write("01234567-89ab-cdef-0123-456789abcdef\n")
    x.prefix = ["unshare", "-m", "sh", "-c",
                f'mount --bind {x.root}/boot_id /proc/sys/kernel/random/boot_id || exit 77; exec "$@"', "sh"]
    x.start()
    try:
        c = x.connect(2, [1, 2])
    except Failure as e:
        raise Skip("no private mounts here") from e
    expect("boot", c.boot_id, "01234567-89ab-cdef-0123-456789abcdef")
    c.resolve(1, same_boot=False)
    expect("what has ended", c.state(1)["outcome"], EXITED)
    c.resolve(2, same_boot=False)
    end = c.state(2)
    expect("what has not", (end["outcome"], "restarted" in end["text"]), (LOST, True))
    c.resolve(3, same_boot=False)
    expect("what was never seen", c.state(3)["outcome"], LOST)
    c.start(3, ["true"])
    expect("goes on", c.end(3)["status"], 0)


if __name__ == "__main__":
    main()
