#!/usr/bin/env python3
# test-timeout: 300
# test-sanitized: yes
"""Random programs, run by corod's runtime and by Python's asyncio: both must do the same.

  differential.py [--seed N] [--count N] [--features F] [--save NAME] [--forever]

First the judge is asked about the cases here: their .out must be what asyncio does (a case about what
asyncio has no word for says `"labels": {"asyncio": "no"}`, or is in NO_WORD). Then corod runs
each program four times (see cases.py): as it is, and loaded again from its rows at every tick, at every
step, and with one step a turn. A program that differs is made smaller as long as it
differs, and printed; --save keeps it as found/NAME.json and found/NAME.out (what the judge says).
With --check FILE only that document is compared. --native PYTHON puts CPython 3.13 with its own
asyncio (native.py) in corod's place: so the judge is judged.
"""
import argparse
import concurrent.futures
import json
import os
import queue
import subprocess
import sys
import threading
import time

import generate

HERE = os.path.dirname(os.path.abspath(__file__))
BUILDDIR = os.environ.get("BUILDDIR", os.path.dirname(os.path.dirname(HERE)))
RUN_CASE = os.path.join(BUILDDIR, "tests", "lang", "run_case")
JUDGE = [sys.executable, os.path.join(HERE, "judge.py"), "--many"]
MODES = [[], ["--reload"], ["--reload", "--keep", "--budget", "1"], ["--budget", "1"]]
# Cases that asyncio can't judge: tasks in a circle that swallow every cancellation; what the language
# says in its own words where Python would say AttributeError.
NO_WORD = ("order/deadlock-swallowed", "objects/queue-maxsize-computed",
           "objects/verbs-of-the-wrong-object", "objects/with-of-a-queue",
           "objects/named-wrong")
SHRINK_S = float(os.environ.get("SHRINK_S", "40"))
FACTOR = int(os.environ.get("TEST_FACTOR", "1"))  # how much slower the build is
ANSWER_S = 20 * FACTOR
MAX_SHOWN = 5


class Side:
    """A program that reads documents and answers each with lines up to a line "."."""

    def __init__(self, argv, is_judge=False):
        self.argv = argv
        self.is_judge = is_judge
        self.process = None

    def start(self):
        self.process = subprocess.Popen(self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE)
        self.answers = queue.Queue()
        self.errors = []
        threading.Thread(target=self.read, args=(self.process, self.answers),
                         daemon=True).start()
        threading.Thread(target=self.read_errors, args=(self.process, self.errors),
                         daemon=True).start()

    def read(self, process, answers):
        lines = []
        for raw in process.stdout:
            line = raw.decode("utf-8", "replace").rstrip("\n")
            if self.is_judge:
                answers.put(json.loads(line))
            elif line == ".":
                answers.put(lines)
                lines = []
            else:
                lines.append(line)
        answers.put(None)

    @staticmethod
    def read_errors(process, errors):
        for raw in process.stderr:
            errors.append(raw.decode("utf-8", "replace").rstrip("\n"))
            del errors[:-30]

    def stop(self):
        if self.process is None:
            return
        self.process.kill()
        self.process.wait()
        self.process = None

    def ask(self, documents):
        """The answers; a list that ends with None where the program broke off."""
        if self.process is None:
            self.start()

        def write(process):
            try:
                for d in documents:
                    process.stdin.write((json.dumps(d) + "\n").encode())
                process.stdin.flush()
            except OSError:
                pass
        threading.Thread(target=write, args=(self.process,), daemon=True).start()
        answers = []
        for _ in documents:
            try:
                answer = self.answers.get(timeout=ANSWER_S)
            except queue.Empty:
                answer = None
            answers.append(answer)
            if answer is None:
                self.stop()
                break
        return answers

    def each(self, documents):
        """An answer for each; for those that break the program, what it said at last."""
        answers = []
        while len(answers) < len(documents):
            got = self.ask(documents[len(answers):])
            if got[-1] is None:
                got[-1] = ["broken off: " + line for line in self.errors[-3:] or ["no answer"]]
            answers += got
        return answers


def simple(error):
    if not isinstance(error, dict):
        return error
    shown = {"type": error.get("type"), "message": error.get("message")}
    if error.get("type") == "DeadlockError":
        shown["message"] = ""  # who waits for what is for people
    if "exceptions" in error:
        shown["exceptions"] = [simple(e) for e in error["exceptions"]]
    return shown


def normal(lines):
    """What is compared: diagnostics are not."""
    lines = [line for line in lines if not line.startswith("! ")]
    if lines and lines[-1].startswith("=> "):
        end = json.loads(lines[-1][3:])
        if "error" in end:
            end["error"] = simple(end["error"])
        lines[-1] = "=> " + json.dumps(end, ensure_ascii=False)
    return lines


class Court:
    def __init__(self, modes, native=None):
        self.judge = Side(JUDGE, is_judge=True)
        self.sides = [(mode, Side([RUN_CASE, *mode, "--many"])) for mode in modes]
        if native:
            self.sides = [([], Side([native, os.path.join(HERE, "native.py")], is_judge=True))]

    def stop(self):
        for side in [self.judge] + [s for _, s in self.sides]:
            side.stop()

    def compare(self, documents, only=None):
        """For each document None, or (mode, what the judge says, what corod says)."""
        with concurrent.futures.ThreadPoolExecutor(1 + len(self.sides)) as pool:
            judged = pool.submit(self.judge.each, documents)
            running = [(mode, pool.submit(side.each, documents)) for mode, side in self.sides
                       if only is None or mode == only]
            expected = judged.result()
        verdicts = [None] * len(documents)
        for mode, answers in running:
            for i, got in enumerate(answers.result()):
                if verdicts[i] is None and normal(got) != normal(expected[i]):
                    verdicts[i] = (mode, normal(expected[i]), normal(got))
        return verdicts


def sound(lines):
    """It ran to an end: neither broken off nor refused."""
    return bool(lines) and lines[-1].startswith("=> ")


# ---- making a program smaller ----

def paths(x, at=()):
    """All places in a JSON value, outer ones first."""
    yield at
    if isinstance(x, list):
        for i, item in enumerate(x):
            yield from paths(item, at + (i,))
    elif isinstance(x, dict):
        for key in x:
            yield from paths(x[key], at + (key,))


def get(x, path):
    for step in path:
        x = x[step]
    return x


def changed(document, path, new, remove=False):
    copy = json.loads(json.dumps(document))
    if not path:
        return new
    parent = get(copy, path[:-1])
    if remove:
        del parent[path[-1]]
    else:
        parent[path[-1]] = new
    return copy


def is_node(x):
    return isinstance(x, (dict, list))


def moves(document):
    """(path, change) that might make it smaller, the ones that take away much first."""
    places = list(paths(document))
    for path in places:
        here = get(document, path)
        if isinstance(here, list) and len(here) > 3:
            half = len(here) // 2
            yield path, lambda x, n=half: x[:n]
            yield path, lambda x, n=half: x[n:]
    for path in sorted(places, key=len):
        if len(path) > 1 or path == ("define",):
            yield path, None
    for path in places:
        here = get(document, path)
        if not path or path[0] not in ("main", "define") or len(path) < len(path[0]) - 3:
            continue
        if isinstance(here, dict):
            for key in here:
                if is_node(here[key]):
                    yield path, lambda x, key=key: x[key]
        if isinstance(here, list) and len(here) == 1 and is_node(here[0]):
            yield path, lambda x: x[0]
        if isinstance(here, (int, float)) and not isinstance(here, bool) and here not in (0, 1):
            yield path, lambda x: 0
            yield path, lambda x: 1


def moved(document, path, change):
    """The changed document, or None when it has no such place any more."""
    try:
        if change is None:
            get(document, path)
            return changed(document, path, None, remove=True)
        return changed(document, path, change(get(document, path)))
    except (KeyError, IndexError, TypeError):
        return None


def shrink(court, document, verdict):
    mode, broken = verdict[0], not sound(verdict[2])
    until = time.monotonic() + SHRINK_S
    progress = True
    while progress:
        progress = False
        for path, change in list(moves(document)):
            if time.monotonic() > until:
                return document, verdict
            candidate = moved(document, path, change)
            if candidate is None or '"except*": []' in json.dumps(candidate) or (len(json.dumps(candidate)), json.dumps(candidate)) >= \
                    (len(json.dumps(document)), json.dumps(document)):
                continue
            new = court.compare([candidate], mode)[0]
            if new is not None and sound(new[1]) and (sound(new[2]) or (
                    broken and not new[2][0].startswith("/"))):
                document, verdict, progress = candidate, new, True
    return document, verdict


def compare_cases(judge):
    """[passed, failed]: what the cases expect, and what asyncio does."""
    bases = []
    for folder in sorted(os.listdir(HERE)):
        if os.path.isdir(os.path.join(HERE, folder)):
            bases += [os.path.join(folder, name[:-5])
                      for name in sorted(os.listdir(os.path.join(HERE, folder)))
                      if name.endswith(".json")]
    # What a command takes and gives is no matter of asyncio.
    bases = [b for b in bases if b not in NO_WORD and not b.startswith("commands/")]
    documents = []
    for base in bases:
        with open(os.path.join(HERE, base + ".json"), encoding="utf-8") as f:
            documents.append(json.load(f))
    judged = [not isinstance(d, dict) or d.get("labels", {}).get("asyncio") != "no"
              for d in documents]
    bases = [b for b, yes in zip(bases, judged) if yes]
    documents = [d for d, yes in zip(documents, judged) if yes]
    counts = [0, 0]
    for base, got in zip(bases, judge.each(documents)):
        with open(os.path.join(HERE, base + ".out"), encoding="utf-8") as f:
            expected = normal(f.read().splitlines())
        got = normal(got)
        if not sound(expected):
            got = [line for line in got if not line.startswith("=> ")]
        counts[got != expected] += 1
        if got != expected:
            print("FAILED %s: asyncio says\n  %s" % (base, "\n  ".join(got)))
    return counts


def show(document, verdict):
    mode, expected, got = verdict
    print(json.dumps(document, indent=1))
    print("corod %s (or CPython 3.13):" % (" ".join(mode) or "as it is"))
    print("  " + "\n  ".join(got))
    print("asyncio:")
    print("  " + "\n  ".join(expected))


def save(name, document, verdict):
    folder = os.path.join(HERE, "found")
    os.makedirs(folder, exist_ok=True)
    base = os.path.join(folder, name)
    with open(base + ".json", "w", encoding="utf-8") as f:
        f.write(json.dumps(document, indent=1) + "\n")
    with open(base + ".out", "w", encoding="utf-8") as f:
        f.write("\n".join(verdict[1]) + "\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", default="1")
    parser.add_argument("--count", type=int, default=2000 // FACTOR ** 2)
    parser.add_argument("--features", default="all",
                        help="slice, all, or names of generate.MORE with commas between")
    parser.add_argument("--save")
    parser.add_argument("--forever", action="store_true")
    parser.add_argument("--check")
    parser.add_argument("--native", metavar="PYTHON", help="a CPython 3.13")
    parser.add_argument("--plain", action="store_true", help="only as it is")
    parser.add_argument("--no-cases", action="store_true", help="only random programs")
    parser.add_argument("--max", type=int, default=MAX_SHOWN, help="stop after so many differences")
    args = parser.parse_args()
    court = Court(MODES[:1] if args.plain else MODES, args.native)
    passed = failed = at = 0
    try:
        # A sanitized build has no part in what the judge says of the cases.
        if not args.check and not args.native and not args.no_cases and FACTOR == 1:
            passed, failed = compare_cases(court.judge)
        while failed < args.max and (args.check or args.forever or at < args.count):
            if args.check:
                with open(args.check, encoding="utf-8") as f:
                    documents = [json.load(f)]
            else:
                n = 100 if args.forever else min(100, args.count - at)
                documents = [generate.generate("%s/%d" % (args.seed, at + i), args.features)
                             for i in range(n)]
            for i, verdict in enumerate(court.compare(documents)):
                if verdict is None:
                    passed += 1
                    continue
                failed += 1
                if failed > args.max:
                    continue
                print("FAILED program %s/%d" % (args.seed, at + i))
                document, verdict = shrink(court, documents[i], verdict)
                show(document, verdict)
                if args.save:
                    save(args.save + ("" if failed == 1 else "-%d" % failed), document, verdict)
            at += len(documents)
            if args.check:
                break
    except KeyboardInterrupt:
        pass
    finally:
        court.stop()
    print("%d passed, %d failed, 0 skipped" % (passed, failed))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
