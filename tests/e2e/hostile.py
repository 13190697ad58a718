#!/usr/bin/env python3
# test-timeout: 180
# test-sanitized: yes
"""What jobs and clients may try: none of it stops, blocks or bloats the daemon."""
import errno
import os
import resource
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "lib"))
from corod import Client, Daemon, check, equal, program, run_tests, wait_until  # noqa: E402

LONGEST_PAUSE_S = 10  # of the daemon, as others see it: sanitized builds and busy machines too


def served(request, client):
    """Waits for a request's reply while the daemon is asked for a sign of life again and again."""
    with Client(d.socket, patience=LONGEST_PAUSE_S) as other:
        while request not in client.replies:
            other.call("system.ping")
            client.socket.settimeout(0.05)
            try:
                message = client.receive()
            except TimeoutError:
                continue
            client.replies[message["id"]] = message
    client.socket.settimeout(30)
    return client.wait(request)


def test_huge_environments():
    def many(prefix, n):
        return {prefix + str(i): "" for i in range(n)}

    with d.client() as c:
        # All the same names but one: what replaces what has to be found fast.
        job = {"env": many("A", 100000), "main": [
            {"run": ["true"], "env": dict(many("A", 100000), B="1"), "check": False, "as": "r"}]}
        job = served(c.start("job.submit", {"job": job}), c)["id"]
        served(c.start("job.wait", {"ids": [job]}), c)
        check(c.call("job.get", id=job)["state"] in ("succeeded", "failed"))


def test_very_many_variables():
    names = ["v%d" % i for i in range(100000)]
    with d.client() as c:
        job = [{"set": {n: 1 for n in names}},
               {"set": {"sum": {"expr": {"+": [{"var": n} for n in names]}}}},
               {"return": "${sum}"}]
        job = served(c.start("job.submit", {"job": job}), c)["id"]
        served(c.start("job.wait", {"ids": [job]}), c)
        equal(c.call("job.get", id=job)["value"], len(names))


def test_a_command_is_told_its_own_ids():
    with d.client() as c:
        job = [{"run": ["env"], "env": {"CORO_JOB": "999", "CORO_TASK": "999.1"}, "as": "r"},
               {"return": "${r.stdout}"}]
        done = c.finish(c.submit(job, env={"CORO_JOB": "998", "CORO_ATTEMPT": "1"}))
        told = [line for line in done["value"].split("\n") if line.startswith("CORO_JOB=")]
        equal(told, ["CORO_JOB=%d" % done["id"]])
        told = [line for line in done["value"].split("\n") if line.startswith("CORO_ATTEMPT=")]
        equal(len(told), 1)


def limit_files(pids, size):
    """What they write may not be longer."""
    for pid in pids:
        hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))


def test_output_that_could_not_be_kept_is_missed():
    with d.client() as c:
        c.finish(c.submit([{"run": ["true"]}]))  # the executor and a monitor are there
        others = [pid for pid in d.pids() if pid != d.process.pid]
        limit_files(others, 128 * 1024)
        try:
            job = c.run([{"sh": "yes | head -c 1000000", "as": "r"}, {"return": "${r}"}])
        finally:
            limit_files(others, resource.RLIM_INFINITY)
        check(len(job["value"]["stdout"]) < 1000000)
        equal(job["value"].get("truncated"), True)


def start_in(place, **more):
    """A daemon that cannot start; what it says."""
    r = subprocess.run([program("corod"), "--user", "--state-dir", place, "--config", "/dev/null"],
                       check=False, text=True, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
                       timeout=60, **more)
    equal(r.returncode, 1, r.stderr)
    return r.stderr


def test_a_limit_of_file_sizes_is_like_a_full_disk():
    with d.client() as c:
        limit_files([d.process.pid], 4096)
        job = c.start("job.submit", {"job": [{"print": "kept"}]})
        with d.client() as other:
            wait_until(lambda: other.call("system.stats")["storage"] == "failing", "trouble")
            limit_files([d.process.pid], resource.RLIM_INFINITY)
        equal(c.finish(c.wait(job)["id"])["state"], "succeeded")
    with tempfile.TemporaryDirectory() as place:
        said = start_in(place + "/s", preexec_fn=lambda: limit_files([os.getpid()], 4096))
    check("cannot open the database" in said, said)


def test_places_that_cannot_be():
    check("without a name" in start_in(""))
    if os.geteuid() == 0:
        with tempfile.TemporaryDirectory() as top:
            os.chmod(top, 0o755)
            said = start_in(top + "/missing/state", user=65534, group=65534, extra_groups=[])
        check("cannot create %s/missing: %s" % (top, os.strerror(errno.EACCES)) in said, said)


def test_output_that_cannot_be_shown_is_no_success():
    for command in (["run", "--", "echo", "hi"], ["log", "last"], ["ls"]):
        with open("/dev/full", "w", encoding="ascii") as full:
            r = subprocess.run([program("coro"), "--socket", d.socket, *command], check=False,
                               stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE,
                               text=True, timeout=60)
        equal((r.returncode, r.stderr), (125, "coro: stdout cannot be written\n"), command[0])


if __name__ == "__main__":
    with Daemon() as d:
        run_tests(globals(), sys.argv[1:])
