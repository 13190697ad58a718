"""What the lint tests share: which files there are, and the counting of results."""
import os
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILDDIR = os.path.abspath(os.environ.get("BUILDDIR", os.path.join(TOP, "build")))


def files(*suffixes):
    """Paths from the top of the project's own files; of a release, of all its files."""
    git = subprocess.run(["git", "-C", TOP, "ls-files", "-z"], stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL)
    if git.returncode == 0 and git.stdout:
        paths = git.stdout.decode().split("\0")
    else:
        paths = [os.path.relpath(os.path.join(folder, name), TOP)
                 for folder, _, names in os.walk(TOP) for name in names]
    return sorted(p for p in paths if p and os.path.isfile(os.path.join(TOP, p))
                  and (not suffixes or p.endswith(suffixes)))


def read(path):
    with open(os.path.join(TOP, path), encoding="utf-8", errors="replace") as f:
        return f.read()


class Report:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def check(self, good, text):
        """Counts one test; says `text` when it failed."""
        if good:
            self.passed += 1
        else:
            self.failed += 1
            print("FAILED " + text)
        return good

    def skip(self, why):
        self.skipped += 1
        print("skipped: " + why)

    def command(self, argv, text, quiet=True, **more):
        """One test: a command that ends with 0 and, if quiet, without a word."""
        p = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, **more)
        output = p.stdout.decode("utf-8", "replace")
        good = p.returncode == 0 and not (quiet and output.strip())
        self.check(good, "%s: %s" % (text, output.strip() or "status %d" % p.returncode))
        return output

    def end(self):
        print("%d passed, %d failed, %d skipped" % (self.passed, self.failed, self.skipped))
        sys.exit(1 if self.failed else 0)
