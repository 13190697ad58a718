#!/usr/bin/env python3
"""What a command gets from corod-exec and what it cannot get: descriptors, environment, rights, output, stops,
leftovers, full disks, control groups. Speaks the executor's own protocol over its real socket."""
import json
import os
import pwd
import resource
import signal
import socket
import struct
import subprocess
import time

from exec_client import (DROPPED, EXITED, FLUSH, HELLO, NOT_STARTED, NOTICE, REMOVE_LOG, RUNNING, SIGNALED,
                         START, STDERR, STDOUT, Failure, Skip, alive, chunks, frame, main, processes,
                         start_payload, test, text_of, wait_until)

ENOENT, EACCES, EPERM, ENOEXEC = 2, 13, 1, 8


def expect(what, got, want):
    if got != want:
        raise Failure(f"{what}: {got!r} instead of {want!r}")


def log_file(x, number, suffix=""):
    return f"{x.state}/log/{number}{suffix}"


def read_log(path):
    """(position of its first chunk, framed bytes) of a log file."""
    with open(path, "rb") as f:
        data = f.read()
    expect("magic", data[:8], b"corolog1")
    return struct.unpack_from("<Q", data, 8)[0], data[16:]


def framed(x, end):
    """All framed output of an ended attempt whose log was not cut."""
    return read_log(log_file(x, end["number"]))[1] if end["in_file"] else end["output"]


def run(c, number, argv, **options):
    c.start(number, argv, **options)
    return c.end(number)


@test
def ends(x):
    c = x.start().connect()
    for number, script, outcome, status in ((1, "exit 0", EXITED, 0), (2, "exit 200", EXITED, 200),
                                            (3, "kill -9 $$", SIGNALED, 9), (4, "kill -15 $$", SIGNALED, 15)):
        end = run(c, number, ["sh", "-c", script])
        expect(script, (end["outcome"], end["status"], end["never_ran"], end["stopped"]),
               (outcome, status, False, False))
    before_us = time.time_ns() // 1000
    end = run(c, 5, ["python3", "-c", "x = bytearray(50 << 20)\nfor i in range(3000000): pass"])
    if not (end["user_us"] > 20000 and end["maxrss_kib"] > 50 << 10 and end["duration_us"] > 20000):
        raise Failure(f"what it used: {end}")
    # Wall times lie between the test's own; the duration is that by another clock, from just before the start.
    times = [before_us, end["started_us"], end["ended_us"], time.time_ns() // 1000]
    if times != sorted(times) or not end["ended_us"] - end["started_us"] - 1000 < end["duration_us"] < times[3] - times[0]:
        raise Failure(f"times: {times} {end}")


@test
def not_started(x):
    c = x.start().connect()
    os.mkdir(f"{x.root}/bin")
    script = f"{x.root}/bin/noscript"
    with open(script, "w") as f:
        f.write("echo no interpreter\n")
    os.chmod(script, 0o755)
    with open(f"{x.root}/bin/private", "w") as f:
        f.write("#!/bin/sh\n")
    os.chmod(f"{x.root}/bin/private", 0o644)
    env = {"PATH": f"/nonexistent:{x.root}/bin:/bin"}
    for number, argv, status, error, text in (
            (1, ["no-such-program"], 127, ENOENT, 'cannot run "no-such-program": No such file or directory'),
            (2, ["/nonexistent/x"], 127, ENOENT, 'cannot run "/nonexistent/x": No such file or directory'),
            (3, ["noscript"], 126, ENOEXEC, 'cannot run "noscript": Exec format error'),
            (4, ["private"], 126, EACCES, 'cannot run "private": Permission denied'),
            (5, [""], 127, ENOENT, 'cannot run "": No such file or directory')):
        end = run(c, number, argv, env=env)
        expect(argv, (end["outcome"], end["status"], end["error"], end["text"], end["pid"]),
               (NOT_STARTED, status, error, text, 0))
    end = run(c, 6, ["true"], cwd="/nonexistent")
    expect("cwd", (end["status"], end["text"]),
           (126, 'cannot enter directory "/nonexistent": No such file or directory'))
    end = run(c, 7, ["true"], limits=[(resource.RLIMIT_NOFILE, 20, 10)])
    expect("limits", (end["status"], end["text"]), (126, "cannot set the resource limits: Invalid argument"))
    end = run(c, 8, ["true"], env={"PATH": "/bin", "X": "y" * (3 << 20)})
    expect("too long", (end["status"], end["text"]), (126, 'cannot run "true": Argument list too long'))


@test
def what_a_command_gets(x):
    x.start(env={"SECRET": "of the daemon"})
    c = x.connect()
    script = ("import os, signal, resource, json\n"
              "fds = {int(n): os.readlink('/proc/self/fd/' + n) for n in os.listdir('/proc/self/fd')"
              " if os.path.exists('/proc/self/fd/' + n)}\n"
              "status = dict(l.split(':\\t', 1) for l in open('/proc/self/status') if ':\\t' in l)\n"
              "print(json.dumps(dict(env=dict(os.environ), fds=fds, cwd=os.getcwd(), umask=os.umask(0),"
              " sid=os.getsid(0), pid=os.getpid(), blocked=status['SigBlk'], ignored=status['SigIgn'],"
              " oom=open('/proc/self/oom_score_adj').read(), nofile=resource.getrlimit(resource.RLIMIT_NOFILE),"
              " core=resource.getrlimit(resource.RLIMIT_CORE), stdin=os.read(0, 100).decode())))\n")
    end = run(c, 1, ["python3", "-S", "-E", "-c", script], cwd=x.root, umask=0o27,
              env={"PATH": "/usr/local/bin:/usr/bin:/bin", "A": "=b c", "CORO_ATTEMPT": "999"},
              limits=[(resource.RLIMIT_CORE, 0, 0)])
    got = json.loads(text_of(end["output"]))
    for key in ("LC_CTYPE", "CORO_EXECUTOR"):
        got["env"].pop(key, None)
    expect("environment", got["env"], {"PATH": "/usr/local/bin:/usr/bin:/bin", "A": "=b c", "CORO_ATTEMPT": "1"})
    expect("descriptors", sorted(got["fds"]), ["0", "1", "2"])
    expect("stdin", (got["fds"]["0"], got["stdin"]), ("/dev/null", ""))
    expect("directory", got["cwd"], x.root)
    expect("umask", got["umask"], 0o27)
    expect("session", got["sid"], got["pid"])
    expect("signals", int(got["blocked"], 16), 0)
    if int(got["ignored"], 16) & ~(1 << signal.SIGPIPE - 1 | 1 << signal.SIGXFSZ - 1):  # Python's own
        raise Failure(f"ignored signals: {got['ignored']}")
    expect("limit of files", tuple(got["nofile"]), resource.getrlimit(resource.RLIMIT_NOFILE))
    expect("limit of cores", got["core"], [0, 0])
    expect("oom score", got["oom"].strip(), "0")


@test
def what_was_changed_for_the_executor_is_put_back(x):
    if os.getuid() != 0:
        raise Skip("needs root to lower an oom score")
    x.prefix = ["sh", "-c", 'echo 300 > /proc/self/oom_score_adj; ulimit -Sn 500; exec "$@"', "sh"]
    c = x.start().connect()
    end = run(c, 1, ["sh", "-c", "cat /proc/self/oom_score_adj /proc/$PPID/oom_score_adj; ulimit -Sn"])
    expect("the command's, its monitor's", text_of(end["output"]).split(), [b"0", b"300", b"500"])
    os.kill(x.process.pid, signal.SIGHUP)
    expect("it goes on", run(c, 2, ["true"])["status"], 0)


@test
def no_descriptors_left(x):
    x.prefix = ["sh", "-c", 'ulimit -n 40; exec "$@"', "sh"]
    c = x.start().connect()
    for n in range(1, 41):
        c.start(n, ["sh", "-c", f"until [ -e {x.root}/go ]; do sleep 0.02; done"])
    wait_until("descriptors to be used up", lambda: "cannot be started now" in open(x.log).read())
    other = x.connect(0, range(1, 41))
    open(f"{x.root}/go", "w").close()
    running = []
    for n in range(1, 41):
        other.resolve(n)
        if other.state(n) == RUNNING:
            running.append(n)
        else:
            other.start(n, ["true"])
    if not 5 <= len(running) <= 30:
        raise Failure(f"{len(running)} of them ran")
    for n in range(1, 41):
        end = other.end(n)
        expect(f"end {end}", end["status"], 0)


@test
def input_and_output(x):
    c = x.start().connect()
    big = os.urandom(16 << 20)
    for number, data in ((1, b""), (2, b"hello\0there\n"), (3, big)):
        end = run(c, number, ["cat"], stdin=data)
        expect("stdin", text_of(framed(x, end)) == data, True)
    end = run(c, 4, ["sh", "-c", "for i in 1 2 3 4 5; do echo o$i; echo e$i >&2; done"], merge=True)
    expect("merged", text_of(end["output"]), b"o1\ne1\no2\ne2\no3\ne3\no4\ne4\no5\ne5\n")
    end = run(c, 5, ["sh", "-c", "echo out; echo err >&2"])
    expect("streams", (text_of(end["output"]), text_of(end["output"], STDERR), end["in_file"]),
           (b"out\n", b"err\n", False))
    end = run(c, 6, ["sh", "-c", "echo again > /dev/stdout; echo again > /dev/stderr"])
    expect("opened again", (text_of(end["output"]), text_of(end["output"], STDERR)), (b"again\n", b"again\n"))
    end = run(c, 7, ["sh", "-c", "exec >&- 2>&-; sleep 0.1; exit 4"])
    expect("closed its output", (end["status"], end["output"]), (4, b""))
    end = run(c, 8, ["env"], env={"PATH": "/bin:/usr/bin", **{f"V{i}": "x" * 1000 for i in range(500)}})
    expect("a large environment", text_of(framed(x, end)).count(b"x" * 1000), 500)
    end = run(c, 9, ["sh", "-c", "seq 200000; seq 200000 >&2"])
    expect("in a file", end["in_file"], True)
    seq = b"".join(b"%d\n" % i for i in range(1, 200001))
    for stream in (STDOUT, STDERR):
        expect("all of it", text_of(framed(x, end), stream) == seq, True)
    expect("its length", end["log_bytes"], len(framed(x, end)))


@test
def output_is_in_the_file_soon(x):
    c = x.start().connect()
    c.start(1, ["sh", "-c", "echo early; sleep 1000"])
    path = log_file(x, 1)
    wait_until("the log", lambda: os.path.exists(path) and os.path.getsize(path) > 16 and b"early" in read_log(path)[1])
    c.stop(1, 0)
    end = c.end(1)
    expect("end", (end["in_file"], end["output"], text_of(framed(x, end))), (True, b"", b"early\n"))
    c.simple(REMOVE_LOG, 1)
    wait_until("the log to go", lambda: not os.path.exists(path))


@test
def a_capped_log_keeps_head_and_tail(x):
    c = x.start().connect()
    cap, lines = 400_000, 300_000
    end = run(c, 1, ["seq", "-f", "%09.0f", str(lines)], cap=cap)
    head_at, head = read_log(log_file(x, 1))
    tails = sorted(read_log(log_file(x, 1, s)) for s in (".t0", ".t1"))
    total = sum(os.path.getsize(log_file(x, 1, s)) for s in ("", ".t0", ".t1"))
    expect(f"{total} bytes in files", total < cap + 200_000, True)
    expect("head", head_at, 0)
    expect("head's text", text_of(head).startswith(b"000000001\n000000002\n"), True)
    expect("tails follow each other", tails[0][0] + len(tails[0][1]), tails[1][0])
    expect("the last byte", tails[1][0] + len(tails[1][1]), end["log_bytes"])
    expect("tail's text", text_of(tails[1][1]).endswith(b"%09d\n" % lines), True)
    if text_of(tails[0][1] + tails[1][1]) not in b"".join(b"%09d\n" % i for i in range(1, lines + 1)):
        raise Failure("the tail is not the end of the output")


@test
def a_capped_log_of_a_fast_command(x):
    c = x.start().connect()
    cap, block, count = 8 << 20, 1 << 20, 300
    numbers, gate = f"{x.root}/numbers", f"{x.root}/gate"
    with open(numbers, "wb") as f:
        f.write(b"".join(b"%07d\n" % i for i in range(block // 8)))
    os.mkfifo(gate)
    c.start(1, ["sh", "-c", 'g=$0; cat "$@"; read go <$g; cat "$1"; echo end', gate, *[numbers] * count], cap=cap)
    pid = c.started(1)
    monitor = processes()[pid][0]
    pieces = lambda: sorted(read_log(log_file(x, 1, suffix)) for suffix in ("", ".t0", ".t1"))
    # The last of it is there soon, while it runs.
    def complete():
        try:
            at, data = pieces()[-1]
        except OSError:
            return False  # they take turns
        return at + len(data) >= count * block
    wait_until("the tail", complete, 60)
    with open(gate, "w") as f:
        f.write("go\n")
    end = c.end(1)
    expect("end", (end["status"], end["log_lost"]), (0, 0))
    total = 0
    for at, data in pieces():
        total += len(data)
        text = text_of(data)
        first = text.index(b"\n") + 1
        lines = text[first:].removesuffix(b"end\n").split()
        begin = int(lines[0])
        if [int(line) for line in lines] != [(begin + i) % (block // 8) for i in range(len(lines))]:
            raise Failure(f"the piece at {at} is not what was written")
    expect(f"{total} bytes in files", cap * 0.6 < total < cap + (1 << 20), True)
    at, data = pieces()[-1]
    expect("the last", (at + len(data), text_of(data)[-8:]), (end["log_bytes"], b"%03d\nend\n" % (block // 8 % 1000 - 1)))
    # What a monitor took for one it gives back, each time.
    expect("another", run(c, 2, ["cat", *[numbers] * count], cap=cap)["status"], 0)
    c.start(3, ["sleep", "1000"])
    pid = c.started(3)
    expect("the same monitor", processes()[pid][0], monitor)
    with open(f"/proc/{monitor}/statm", encoding="ascii") as f:
        pages, shared = map(int, f.read().split()[1:3])
    if "ASAN_OPTIONS" not in os.environ:  # which has a heap of its own
        expect(f"{pages - shared} pages of its own", (pages - shared) * os.sysconf("SC_PAGESIZE") < 1 << 20, True)
    c.stop(3, 0)
    c.end(3)


@test
def a_spool_waits_for_credit(x):
    c = x.start().connect()
    window, size = 256 << 10, 3 << 20
    c.start(1, ["sh", "-c", f"head -c {size} /dev/zero; echo end >&2"], cap=0, window=window)
    path, position, have = log_file(x, 1), 0, 0
    pid = c.started(1)
    while have < size:
        def more():
            return os.path.exists(path) and len(read_log(path)[1]) > position
        wait_until("more of the spool", more)
        time.sleep(0.05)  # it may now run ahead, but only so far
        data = read_log(path)[1]
        if len(data) > position + window + (80 << 10):
            raise Failure(f"{len(data) - position} bytes ahead")
        whole = chunks(data)
        position, have = len(data), sum(len(b) for s, b in whole if s == STDOUT)
        c.credit(1, position)
    end = c.end(1)
    expect("end", (end["status"], have, text_of(framed(x, end), STDERR)), (0, size, b"end\n"))
    # One that has ended with output unread, that is held back by the window, ends when it is all taken.
    c.start(2, ["head", "-c", "60000", "/dev/zero"], cap=0, window=1)
    wait_until("the spool", lambda: os.path.exists(log_file(x, 2)))
    c.credit(2, 1 << 20)
    expect("all of it", len(text_of(framed(x, c.end(2)))), 60000)


@test
def credit_reaches_an_adopted_monitor(x):
    c = x.start().connect()
    c.start(1, ["sh", "-c", "head -c 300000 /dev/zero"], cap=0, window=50000)
    c.started(1)
    x.restart()
    c = x.connect(1, [1])
    c.credit(1, 1 << 20)
    expect("all of it", len(text_of(framed(x, c.end(1)))), 300000)


@test
def flush_writes_at_once(x):
    c = x.start().connect()
    c.start(1, ["sh", "-c", "sleep 0.1; echo x; exec sleep 1000"])
    c.started(1)
    path = log_file(x, 1)
    def flushed():
        c.simple(FLUSH, 1)
        return os.path.exists(path)
    wait_until("the log", flushed)
    c.stop(1, 0)
    c.end(1)


@test
def stops(x):
    c = x.start().connect()
    stubborn = "trap '' TERM; while :; do sleep 0.05; done"
    c.start(1, ["sh", "-c", f"trap '' TERM; touch {x.root}/1; {stubborn}"])
    c.start(2, ["sh", "-c", f"trap 'echo bye; exit 7' TERM; touch {x.root}/2; while :; do sleep 0.02; done"])
    c.start(3, ["sh", "-c", f"sh -c \"{stubborn}\" & setsid sh -c \"{stubborn}\" & wait"])
    for n in (1, 2, 3):
        c.started(n)
    ready = lambda n: lambda: os.path.exists(f"{x.root}/{n}")
    wait_until("the traps of 1", ready(1))
    wait_until("the traps of 2", ready(2))
    began = time.monotonic()
    c.stop(1, 300)
    end = c.end(1)
    expect("stubborn", (end["outcome"], end["status"], end["stopped"]), (SIGNALED, 9, True))
    if time.monotonic() - began < 0.28:
        raise Failure(f"killed after {time.monotonic() - began} s")
    c.stop(2, 5000)
    end = c.end(2)
    expect("tidy", (end["outcome"], end["status"], text_of(framed(x, end)), end["stopped"]),
           (EXITED, 7, b"bye\n", True))
    mine = lambda: [p for p, v in processes().items() if v[2] == "sh" and stubborn.encode() in cmdline(p)]
    wait_until("the tree", lambda: len(mine()) >= 3)
    c.stop(3, 200)
    expect("a tree", c.end(3)["status"], 15)
    expect("left of it", mine(), [])
    c.start(4, ["sh", "-c", f"trap '' TERM; touch {x.root}/4; {stubborn}"])
    wait_until("the traps of 4", ready(4))
    c.stop(4, 60000)
    c.stop(4, 0)
    expect("then at once", c.end(4)["status"], 9)
    # A stop that is sent right behind the start, again and again: it hits its own command and no other.
    for n in range(5, 60):
        c.start(n, ["sleep", "1000"])
        c.stop(n, 1000)
        end = c.end(n)
        expect("at once", end["stopped"], True)
        if (end["outcome"], end["status"]) not in ((SIGNALED, 15), (NOT_STARTED, 126)):
            raise Failure(f"{end}")


def cmdline(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read()
    except OSError:
        return b""


@test
def a_stopped_process_takes_its_stop(x):
    c = x.start().connect()
    c.start(1, ["sh", "-c", f"trap 'exit 5' TERM; touch {x.root}/ready; while :; do :; done"])
    pid = c.started(1)
    wait_until("its trap", lambda: os.path.exists(f"{x.root}/ready"))
    state = lambda: open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0]
    c.pause(1, True)
    wait_until("it to be paused", lambda: state() == "T")
    c.pause(1, False)
    wait_until("it to go on", lambda: state() != "T")
    c.pause(1, True)
    wait_until("it to be paused", lambda: state() == "T")
    c.stop(1, 5000)
    expect("end", c.end(1)["status"], 5)


@test
def leftovers(x):
    c = x.start().connect()
    here = lambda tag: [p for p in processes() if tag.encode() in cmdline(p).split(b"\0")]
    # In its session; in one of its own; a daemon with nothing open; one that will not go.
    for n, script in ((1, "sleep 3101 & exit 3"), (2, "setsid sleep 3101 & exit 3"),
                      (3, "setsid sh -c '(exec sleep 3101 <&- >&- 2>&-) & exit' <&- >&- 2>&- & exit 3"),
                      (4, "(trap '' TERM; sleep 3101; sleep 3101) & exit 3")):
        began = time.monotonic()
        end = run(c, n, ["sh", "-c", script], grace_ms=200)
        expect(script, (end["outcome"], end["status"], here("3101"), end["stopped"]), (EXITED, 3, [], False))
        # The duration is the command's; what it left has had the time of its grace then.
        if n == 4 and end["duration_us"] > (time.monotonic() - began - 0.2) * 1e6:
            raise Failure(f"{script}: {end['duration_us']} us of {time.monotonic() - began} s")
    # What it left may still write, for a moment.
    end = run(c, 5, ["sh", "-c", "(sleep 0.05; echo late) & exit 0"])
    expect("late output", text_of(framed(x, end)), b"late\n")
    # Kept: it lives on, and the next command is another monitor's.
    end = run(c, 6, ["sh", "-c", "sleep 3102 >&- 2>&- & echo $PPID"], keep=True)
    (kept,) = wait_until("what is kept", lambda: here("3102"))
    monitor = int(text_of(framed(x, end)))
    wait_until("its monitor to retire", lambda: not alive(monitor))
    end = run(c, 7, ["sh", "-c", "echo $PPID"])
    expect("another monitor", int(text_of(end["output"])) != monitor, True)
    expect("kept", alive(kept), True)
    os.kill(kept, signal.SIGKILL)
    c.start(9, ["sh", "-c", "sleep 3104 & sleep 3104"], keep=True)
    c.started(9)
    c.stop(9, 200)
    c.end(9)
    expect("a stop keeps nothing", here("3104"), [])


@test
def monitors_are_used_again(x):
    c = x.start().connect()
    seen = {text_of(run(c, n, ["sh", "-c", "echo $PPID"])["output"]) for n in range(1, 30)}
    expect("monitors", len(seen), 1)
    monitor = int(seen.pop())
    if os.getuid() != 0:
        return  # a monitor's descriptors are not even its own user's to see
    fds = lambda: sorted(os.listdir(f"/proc/{monitor}/fd"))
    before = fds()
    for n in range(30, 60):
        run(c, n, ["sh", "-c", "echo x; seq 10000"])
    expect("descriptors", fds(), before)


@test
def many_at_once(x):
    c = x.start().connect()
    n = 200
    for k in range(1, n + 1):
        c.start(k, ["sh", "-c", f"sleep 0.1; echo {k}; exit {k % 100}"])
    for k in range(1, n + 1):
        end = c.end(k)
        expect("status", (end["outcome"], end["status"], text_of(end["output"])), (EXITED, k % 100, b"%d\n" % k))
    wait_until("all but a few idle monitors to end",
               lambda: len([p for p, v in processes().items() if v[0] == x.process.pid]) <= 32)


@test
def bad_peers(x):
    x.start().connect().close()  # it listens
    hello = frame(HELLO, struct.pack("<IQ", 1, 0) + b"\0")
    start = start_payload(1, ["true"])
    for data in (b"\0\0\0\0", b"\xff\xff\xff\xff\1", frame(START, start),
                 frame(HELLO, struct.pack("<IQ", 99, 0) + b"\0"),
                 frame(HELLO, struct.pack("<IQ", 1, 0) + b"\xff\xff\xff\xff\x0f"), hello + frame(77, b""),
                 hello + frame(3, b"\1"), hello + frame(START, start[:20]), hello + frame(START, start + b"x"),
                 hello + frame(START, start.replace(b"true\0", b"tr\0e\0")), hello + frame(3, bytes(12)),
                 hello + frame(START, start_payload(1, ["true"], limits=[(99, 0, 0)])),
                 hello + frame(START, start_payload(1, []))):
        s = socket.socket(socket.AF_UNIX)
        s.connect(x.socket)
        s.sendall(data)
        s.settimeout(10)
        try:
            while s.recv(4096):
                pass
        except ConnectionResetError:
            pass
        s.close()
    s = socket.socket(socket.AF_UNIX)
    s.connect(x.socket)
    s.sendall(frame(HELLO, struct.pack("<IQ", 99, 0) + b"\0"))
    expect("its own version", struct.unpack("<IBI", s.recv(9)), (4 + 8 + 38 + 1, HELLO, 1))
    s.close()
    c = x.connect()
    expect("nothing was started", c.highest, 0)
    expect("it goes on", run(c, 1, ["true"])["status"], 0)


@test
def only_its_own_user(x):
    c = x.start().connect()
    end = run(c, 1, ["true"], uid=os.getuid() + 1)
    expect("another user", (end["outcome"], end["status"], end["error"]), (NOT_STARTED, 126, EPERM))
    expect("its number is taken", run(c, 1, ["true"])["error"], EPERM)
    expect("its own", run(c, 2, ["true"])["status"], 0)
    expect("socket", os.stat(x.socket).st_mode & 0o777, 0o600)
    for name in ("", "/journal", "/log"):
        expect("directory " + name, os.stat(x.state + name).st_mode & 0o777, 0o750)


def a_user():
    """A user with groups of its own: (uid, gid, groups)."""
    if os.getuid() != 0:
        raise Skip("needs root")
    for u in pwd.getpwall():
        groups = os.getgrouplist(u.pw_name, u.pw_gid)
        if u.pw_uid != 0 and len(groups) > 1:
            return u, sorted(groups)
    u = pwd.getpwnam("nobody")
    return u, sorted(os.getgrouplist(u.pw_name, u.pw_gid))


def system_mode(x, policy, daemon_user="nobody"):
    path = f"{x.root}/policy"
    with open(path, "w") as f:
        f.write(policy)
    x.options = ["--policy", path, "--daemon-user", daemon_user]
    return path


@test
def as_another_user(x):
    user, groups = a_user()
    daemon = pwd.getpwnam("nobody") if user.pw_name != "nobody" else pwd.getpwnam("daemon")
    system_mode(x, f"allow-user {user.pw_name}\nallow-user 0 # root\n", daemon.pw_name)
    x.start()
    c = x.connect()
    os.mkdir(f"{x.root}/private")
    os.chmod(f"{x.root}/private", 0o700)
    end = run(c, 1, ["sh", "-c", "id -u; id -g; id -G; grep -E '^(Uid|Gid|Cap(Inh|Prm|Eff|Amb))' /proc/self/status;"
                     " echo again > /dev/stdout; kill -9 $PPID 2>/dev/null && echo killed; cat /proc/$PPID/environ"
                     " 2>/dev/null && echo read; exit 0"], uid=user.pw_uid)
    lines = text_of(end["output"]).decode().split("\n")
    expect("uid, gid", lines[:2], [str(user.pw_uid), str(user.pw_gid)])
    expect("groups", sorted(map(int, lines[2].split())), groups)
    expect("all uids", lines[3].split()[1:], [str(user.pw_uid)] * 4)
    expect("all gids", lines[4].split()[1:], [str(user.pw_gid)] * 4)
    for line in lines[5:9]:
        expect(line, int(line.split()[1], 16), 0)
    expect("the rest", lines[9:], ["again", ""])
    end = run(c, 2, ["true"], uid=user.pw_uid, cwd=f"{x.root}/private")
    expect("its directory", (end["status"], end["error"]), (126, EACCES))
    end = run(c, 3, ["sh", "-c", "ulimit -Hn"], uid=user.pw_uid, limits=[(resource.RLIMIT_NOFILE, 10**7, 10**7)])
    expect("a higher limit", (end["status"], end["error"]), (126, EPERM))
    expect("root, who is listed", run(c, 4, ["id", "-u"], uid=0)["status"], 0)
    for uid in (user.pw_uid + 54321, daemon.pw_uid):
        if uid not in (user.pw_uid, 0):
            end = run(c, 5 + uid, ["true"], uid=uid)
            expect("status", (end["outcome"], end["status"]), (NOT_STARTED, 126))
    for name in ("state", "state/journal", "state/log", "state/lock", "sock"):
        expect("group of " + name, os.stat(f"{x.root}/{name}").st_gid, daemon.pw_gid)
    expect("socket", os.stat(x.socket).st_mode & 0o777, 0o660)


@test
def who_may_speak(x):
    user, _ = a_user()
    daemon = pwd.getpwnam("nobody") if user.pw_name != "nobody" else pwd.getpwnam("daemon")
    system_mode(x, "allow-uid-from 1000\n", daemon.pw_name)
    x.start()
    x.connect()
    os.chmod(x.socket, 0o666)
    probe = ("import socket,struct,sys,os\nos.setgroups([])\nos.setgid(%d)\nos.setuid(%d)\n"
             "s=socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\n"
             "try:\n s.sendall(struct.pack('<IBIQB',14,1,1,0,0))\n print(len(s.recv(100)))\n"
             "except OSError: print(0)\n")
    for u, answered in ((daemon, True), (user, False)):
        out = subprocess.run(["python3", "-c", probe % (u.pw_gid, u.pw_uid), x.socket], capture_output=True,
                             timeout=20, check=True)
        expect(u.pw_name, int(out.stdout) > 0, answered)


@test
def policies(x):
    if os.getuid() != 0:
        raise Skip("needs root")
    path = system_mode(x, "allow-uid-from 1000\n")
    c = x.start().connect()
    for uid in (0, 1, 999):
        end = run(c, 1 + uid, ["true"], uid=uid)
        expect(f"uid {uid}", (end["status"], end["error"], "policy" in end["text"]), (126, EPERM, True))
    with open(path, "w") as f:
        f.write("allow-user root\nallow-user 1\n")
    x.process.send_signal(signal.SIGHUP)
    wait_until("the new policy", lambda: "read again" in open(x.log).read())
    expect("root", run(c, 2000, ["true"], uid=0)["status"], 0)
    expect("uid 1", run(c, 2001, ["true"], uid=1)["status"], 0)
    for text, mode, why in (("allow-user root\n", 0o666, "written by others"),
                            ("allow-everybody 1\n", 0o644, "neither"),
                            ("allow-user no-such-user-here\n", 0o644, "no user"),
                            ("allow-uid-from x\n", 0o644, "not a uid")):
        x.kill()
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, mode)
        x.start()
        expect("status", x.process.wait(20), 1)
        if why not in open(x.log).read():
            raise Failure(f"no word of {why!r}")
    os.chmod(path, 0o644)
    os.chown(path, 1, 1)
    x.start()
    expect("not root's", x.process.wait(20), 1)
    os.unlink(path)
    os.symlink("/etc/hostname", path)
    x.start()
    expect("a symbolic link", x.process.wait(20), 1)


def small_disk(x, size):
    """Puts the state on a file system of this size in a private namespace; returns its path from outside."""
    if os.getuid() != 0:
        raise Skip("needs root for a mount")
    os.mkdir(f"{x.root}/disk")
    x.state = f"{x.root}/disk/state"
    x.prefix = ["unshare", "-m", "sh", "-c",
                f'mount -t tmpfs -o size={size},mode=755 tmpfs {x.root}/disk || exit 77; exec "$@"', "sh"]
    x.start()
    try:
        c = x.connect()
    except Failure as e:
        raise Skip("no private mounts here") from e
    return c, f"/proc/{x.process.pid}/root{x.root}/disk"


def fill(disk):
    """Fills the disk to its last byte; returns the file."""
    name = f"{disk}/filler"
    with open(name, "wb", buffering=0) as f:
        for size in (65536, 4096, 100, 1):
            try:
                while f.write(b"x" * size) == size:
                    pass
            except OSError:
                pass
    return name


@test
def a_full_disk_loses_no_end(x):
    c, disk = small_disk(x, "1m")
    for n in (1, 2):
        c.start(n, ["sh", "-c", f"until [ -e {x.root}/go ]; do sleep 0.02; done; head -c 9000 /dev/zero; exit {n}"])
        c.started(n)
    filler = fill(disk)
    open(f"{x.root}/go", "w").close()
    pids = [p for p, v in processes().items() if v[0] == x.process.pid]
    wait_until("the commands to end", lambda: not [p for p, v in processes().items() if v[0] in pids])
    wait_until("a word of it", lambda: "trying again" in open(x.log).read())
    try:
        raise AssertionError(c.wait("nothing", lambda k, p: k not in (17, 19, NOTICE), 0.5))
    except Failure:
        pass
    for n in (1, 2):
        c.resolve(n)
        expect("still running, as far as is known", c.state(n), RUNNING)
    # What is left of the last page is soon used up.
    for n in range(3, 500):
        c.start(n, ["true"])
    c.stop(499)
    wait_until("starts to be put off", lambda: "cannot be started now" in open(x.log).read())
    os.unlink(filler)
    for n in (1, 2):
        end = c.end(n)
        expect("end", (end["outcome"], end["status"], len(text_of(framed_at(disk, end)))), (EXITED, n, 9000))
    for n in range(3, 499):
        expect("those that had to wait", c.end(n)["status"], 0)
    expect("the one that was stopped meanwhile", c.end(499)["outcome"], NOT_STARTED)


def framed_at(disk, end):
    return read_log(f"{disk}/state/log/{end['number']}")[1] if end["in_file"] else end["output"]


@test
def a_full_disk_does_not_block_a_command(x):
    c, disk = small_disk(x, "1m")
    end = run(c, 1, ["sh", "-c", "head -c 3000000 /dev/zero; echo end >&2"])
    expect("end", (end["outcome"], end["status"], end["in_file"]), (EXITED, 0, True))
    if not 1_900_000 < end["log_lost"] <= 3_000_010:
        raise Failure(f"lost {end['log_lost']}")
    kept = chunks(framed_at(disk, end))
    lost = sum(struct.unpack("<Q", data)[0] for s, data in kept if s == DROPPED)
    have = sum(len(data) for s, data in kept if s in (STDOUT, STDERR))
    if have + end["log_lost"] != 3_000_004 or lost > end["log_lost"]:
        raise Failure(f"have {have}, lost {end['log_lost']}, told {lost}")


def cgroup(x):
    for line in open("/proc/mounts"):
        _, where, kind = line.split()[:3]
        if kind == "cgroup2" and os.getuid() == 0:
            path = f"{where}/corod-test-{os.getpid()}"
            try:
                os.mkdir(path)
            except OSError:
                continue
            x.options = ["--cgroup", path]
            return path
    raise Skip("no cgroup2 to write to")


def remove_cgroup(path):
    def gone():
        for name in os.listdir(path):
            if os.path.isdir(f"{path}/{name}"):
                try:
                    with open(f"{path}/{name}/cgroup.kill", "w") as f:
                        f.write("1")
                    os.rmdir(f"{path}/{name}")
                except OSError:
                    return False
        os.rmdir(path)
        return True
    wait_until("the cgroup to be empty", gone)


@test
def in_a_cgroup(x):
    path = cgroup(x)
    try:
        c = x.start().connect()
        end = run(c, 1, ["sh", "-c", "cat /proc/self/cgroup; echo $PPID"])
        text = text_of(end["output"]).decode()
        monitor = int(text.split()[-1])
        if f"0::/{os.path.basename(path)}/m{monitor}\n" not in text:
            raise Failure(text)
        expect("monitors", open(f"{path}/monitors/cgroup.procs").read().split(), [str(monitor)])
        # Even what hides from every other way of finding it.
        hider = "setsid env -i sh -c 'trap \"\" TERM; (setsid sleep 3105 &) ; sleep 3105' >&- 2>&- & "
        here = lambda: [p for p in processes() if b"3105" in cmdline(p).split(b"\0")]
        end = run(c, 2, ["sh", "-c", hider + "until ps -e -o args | grep -q '^sleep 3105'; do :; done; exit 6"],
                  grace_ms=100)
        expect("leftovers", (end["status"], here()), (6, []))
        c.start(3, ["sh", "-c", hider + "sleep 3105"])
        pid = c.started(3)
        monitor = processes()[pid][0]
        wait_until("the hiders", lambda: len(here()) >= 3)
        os.kill(monitor, signal.SIGKILL)
        end = c.end(3)
        expect("lost", (end["text"], here()), ("its monitor died", []))
        c.start(4, ["sh", "-c", hider + "sleep 3105"])
        c.started(4)
        wait_until("the hiders", lambda: len(here()) >= 3)
        c.stop(4, 100)
        c.end(4)
        expect("stopped", here(), [])
        # One that somebody took away is done without.
        end = run(c, 5, ["sh", "-c", "echo $PPID"])
        os.rmdir(f"{path}/m{int(text_of(end['output']))}")
        expect("without its cgroup", run(c, 6, ["true"])["status"], 0)
        wait_until("dead monitors' cgroups to go", lambda: not os.path.exists(f"{path}/m{monitor}"))
    finally:
        x.clean_up()
        remove_cgroup(path)


@test
def ending_for_want_of_work(x):
    x.options += ["--idle-exit", "1"]
    x.start()
    c = x.connect()
    expect("with a daemon it stays", run(c, 1, ["sleep", "1.5"])["status"], 0)
    c.start(2, ["sh", "-c", f"while [ ! -e {x.root}/go ]; do sleep 0.05; done; echo went"])
    c.close()
    began = time.monotonic()
    while time.monotonic() < began + 1.5:  # with a command it stays
        expect("alive", x.process.poll(), None)
        time.sleep(0.1)
    open(f"{x.root}/go", "w").close()
    expect("status", x.process.wait(20), 0)
    c = x.start().connect(2, [2])
    c.resolve(2)
    expect("its end", text_of(c.end(2)["output"]), b"went\n")


@test
def holding_a_cgroup(x):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.bind(f"{x.root}/notify")
    sock.settimeout(20)
    env = {"NOTIFY_SOCKET": f"{x.root}/notify", "PATH": os.environ["PATH"]}
    p = subprocess.Popen([x.program, "--hold"], env=env)
    expect("ready", sock.recv(100), b"READY=1")
    p.send_signal(signal.SIGTERM)
    expect("status", p.wait(20), 0)
    x.start(env=env)
    expect("ready", sock.recv(100), b"READY=1")
    expect("listens by then", run(x.connect(), 1, ["true"])["status"], 0)
    x.process.send_signal(signal.SIGTERM)
    expect("stopping", sock.recv(100), b"STOPPING=1")


if __name__ == "__main__":
    main()
