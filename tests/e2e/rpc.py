#!/usr/bin/env python3
# test-sanitized: yes
# test-threads: yes
"""The protocol on the wire: framing, batches, limits, back-pressure, every method, good and bad."""
import json
import os
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))
from corod import (Client, Closed, Daemon, PATIENCE, RpcError, check, equal, run_tests,  # noqa: E402
                   wait_until)

SHORT = bool(os.environ.get("TEST_SHORT"))
CONFIG = "half_request_timeout = 1s\nmax_connections_per_user = 60\n"
daemon = Daemon(config=CONFIG)
SLEEPER = {"name": "sleeper", "main": [{"sleep": 1000}]}


def raw(data, framing="line"):
    """All replies to some bytes, the client having closed its side."""
    with daemon.client(framing=framing) as c:
        c.write(data)
        c.socket.shutdown(socket.SHUT_WR)
        return c.receive_all()


def request(method, params=None, **more):
    message = {"jsonrpc": "2.0", "method": method, **more}
    if params is not None:
        message["params"] = params
    return json.dumps(message).encode()


def alive():
    with daemon.client() as c:
        check("time" in c.call("system.ping"))


# The envelope.

def test_ids_come_back_as_they_were():
    for text in (b'1', b'"a"', b'null', b'1.50', b'-0', b'12345678901234567890123', b'"\\u00e4\\n"'):
        line = b'{"jsonrpc":"2.0","method":"system.ping","id":%s}\n' % text
        with daemon.client() as c:
            c.write(line)
            check(b'"id":%s,"result"' % text in c.receive_text(), text)


def test_notifications_get_no_answer():
    replies = raw(request("system.ping") + b"\n" + request("no.such") + b"\n" +
                  request("job.get", {"id": "x"}) + b"\n" + request("system.ping", id=7) + b"\n")
    equal([r["id"] for r in replies], [7])


def test_a_notification_is_executed():
    with daemon.client() as c:
        c.write(request("job.submit", {"job": {"name": "by-notification", "main": []}}) + b"\n")
        wait_until(lambda: c.call("job.list", name="by-notification")["jobs"], "the job")


def test_bad_envelopes():
    cases = [
        (b'{"jsonrpc":"2.0","method":"system.ping","id":1', -32700, None),
        (b'nonsense', -32700, None),
        (b'{"jsonrpc":"2.0","method":"system.ping","id":1}}', -32700, None),
        (b'\xff', -32700, None),
        (b'{"jsonrpc":"2.0","method":"system.ping\xff","id":1}', -32700, None),
        (b'5', -32600, None), (b'"x"', -32600, None), (b'null', -32600, None),
        (b'{}', -32600, None),
        (b'{"method":"system.ping","id":1}', -32600, 1),
        (b'{"jsonrpc":"1.0","method":"system.ping","id":1}', -32600, 1),
        (b'{"jsonrpc":2.0,"method":"system.ping","id":1}', -32600, 1),
        (b'{"jsonrpc":"2.0","id":1}', -32600, 1),
        (b'{"jsonrpc":"2.0","method":5,"id":1}', -32600, 1),
        (b'{"jsonrpc":"2.0","method":"system.ping","id":{}}', -32600, None),
        (b'{"jsonrpc":"2.0","method":"system.ping","id":[1]}', -32600, None),
        (b'{"jsonrpc":"2.0","method":"system.ping","id":true}', -32600, None),
        (b'{"jsonrpc":"2.0","method":"system.ping","id":"%s"}' % (b"x" * 5000), -32600, None),
        (b'{"jsonrpc":"2.0","method":"system.ping","id":1,"params":5}', -32602, 1),
        (b'{"jsonrpc":"2.0","method":"system.ping","id":1,"params":{"a":1,"a":2}}', -32700, 1),
        (b'{"jsonrpc":"2.0","method":"","id":1}', -32601, 1),
        (b'{"jsonrpc":"2.0","method":"system.ping\\u0000x","id":1}', -32600, 1),
    ]
    for text, code, reply_id in cases:
        replies = raw(text + b"\n")
        equal(len(replies), 1, text)
        equal((replies[0]["error"]["code"], replies[0]["id"]), (code, reply_id), text)
        check(replies[0]["error"]["message"], text)
    alive()


def test_unknown_method_with_hint():
    with daemon.client() as c:
        e = c.error("job.sumbit", {})
        equal((e.code, e.data), (-32601, {"method": "job.sumbit",
                                          "hint": 'did you mean "job.submit"?'}))


def test_bad_params_name_the_place():
    cases = [
        ("job.get", {}, "/id"), ("job.get", {"id": "x"}, "/id"), ("job.get", {"id": 0}, "/id"),
        ("job.get", {"id": 1.5}, "/id"), ("job.get", {"id": 1, "di": 2}, "/di"),
        ("job.get", [1, 2], ""), ("job.list", {"limit": 501}, "/limit"),
        ("job.list", {"limit": 0}, "/limit"), ("job.list", {"state": ["gone"]}, "/state"),
        ("job.list", {"since": "x"}, "/since"), ("job.list", {"state": 5}, "/state"),
        ("job.wait", {"ids": []}, "/ids"), ("job.wait", {"ids": [1, {}]}, "/ids/1"),
        ("job.wait", {"ids": [1], "mode": "some"}, "/mode"),
        ("job.wait", {"ids": [1], "timeout": -1}, "/timeout"),
        ("job.wait", {"ids": list(range(1, 1002))}, "/ids"),
        ("job.cancel", {}, "/ids"), ("job.submit", {}, "/job"),
        ("job.submit", {"job": [], "env": {"a": 1}}, "/env/a"),
        ("job.submit", {"job": [], "env": {"a=b": "1"}}, "/env"),
        ("job.submit", {"job": [], "env": []}, "/env"),
        ("job.submit", {"job": [], "cwd": "relative"}, "/cwd"),
        ("job.submit", {"job": [], "umask": 512}, "/umask"),
        ("job.submit", {"job": [], "key": ""}, "/key"),
        ("log.read", {"id": 1, "stream": "stdin"}, "/stream"),
        ("log.read", {"id": 1, "limit": 2000000}, "/limit"),
        ("log.read", {"id": 1, "offset": -1}, "/offset"),
        ("event.subscribe", {"filter": {"typ": 1}}, "/filter/typ"),
        ("event.subscribe", {"filter": {"types": ["job.gone"]}}, "/filter/types/0"),
        ("event.subscribe", {"filter": {"owner": "no such user"}}, "/filter/owner"),
        ("pool.set", {"name": "x"}, "/slots"), ("pool.set", {"name": "x", "slots": 0}, "/slots"),
        ("pool.set", {"name": "x/y", "slots": 1}, "/name"),
        ("system.ping", {"x": 1}, "/x"),
    ]
    with daemon.client() as c:
        for method, params, pointer in cases:
            e = c.error(method, params)
            equal((e.code, e.data[0]["pointer"]), (-32602, pointer), "%s %s" % (method, params))
        e = c.error("job.get", {"idd": 1})
        equal([m.get("hint") for m in e.data], [None, 'did you mean "id"?'])


def test_params_by_position():
    with daemon.client() as c:
        job = c.call("job.submit", [{"name": "by position", "main": []}])["id"]
        equal(c.call("job.get", [job])["name"], "by position")
        check("time" in c.call("system.ping", []))


# Framing.

def test_crlf_and_empty_lines():
    replies = raw(b"\r\n\n" + request("system.ping", id=1) + b"\r\n\r\n" +
                  request("system.ping", id=2))
    equal([r["id"] for r in replies], [1, 2])


def test_headers():
    with daemon.client(framing="headers") as c:
        equal(c.call("system.version")["api"], "1.0")
        c.call("event.subscribe")
        job = c.submit({"main": [{"print": "x"}]})
        method, params = c.notification()
        equal((method, params["job"]), ("event", job))
    text = request("system.ping", id=9)
    head = b"content-type: application/vscode-jsonrpc\ncontent-length:%d\n\n" % len(text)
    equal([r["id"] for r in raw(head + text + head + text, "headers")], [9, 9])


def test_broken_headers_end_the_connection():
    for head in (b"Content-Length: x\r\n\r\n", b"Content\r\n\r\n",
                 b"Content-Length: 99999999999999999999\r\n\r\n", b"C" * 5000):
        with daemon.client(framing="headers") as c:
            c.write(head)
            equal(c.receive()["error"]["code"], -32700)
            equal(c.receive_all(), [])
    alive()


def test_byte_by_byte():
    with daemon.client() as c:
        for byte in request("system.ping", id=1) + b"\n":
            c.write(bytes([byte]))
        equal(c.receive()["id"], 1)


def test_a_half_request_is_dropped():
    with daemon.client() as c:
        c.write(b'{"jsonrpc"')
        equal(c.receive()["error"]["code"], -32008)
        equal(c.receive_all(), [])
    with daemon.client() as c:  # silence between requests is nobody's business
        time.sleep(2.2)
        c.call("system.ping")


def test_half_close_is_answered():
    with daemon.client() as c:
        job = c.submit({"main": [{"sleep": 0.3}, {"return": 5}]})
    replies = raw(request("job.wait", {"ids": [job]}, id=1) + b"\n" +
                  b"".join(request("system.ping", id=i) + b"\n" for i in range(2, 500)))
    equal(sorted(r["id"] for r in replies), list(range(1, 500)))
    equal([r["result"]["jobs"][0]["state"] for r in replies if r["id"] == 1], ["succeeded"])


def test_half_close_and_subscriptions():
    replies = raw(request("event.subscribe", id=1) + b"\n")  # has no end: is not waited for
    equal([r["id"] for r in replies], [1])
    with daemon.client() as c:
        job = c.submit([{"print": "a"}, {"sleep": 0.2}, {"print": "b"}])
    replies = raw(request("log.follow", {"id": job}, id=1) + b"\n")  # ends with the job
    equal("".join(r["params"].get("data", "") for r in replies[1:]), "a\nb\n")
    equal(replies[-1]["params"]["eof"], True)


# Batches.

def test_batches():
    replies = raw(b"[" + b",".join([request("system.ping", id=1), request("system.ping"),
                                    b"5", request("no.such", id="x")]) + b"]\n")
    equal(len(replies), 1)
    equal(sorted(str(r["id"]) for r in replies[0]), ["1", "None", "x"])
    codes = {r["id"]: r["error"]["code"] for r in replies[0] if "error" in r}
    equal(codes, {None: -32600, "x": -32601})
    equal(raw(b"[" + request("system.ping") + b"]\n"), [])
    equal([r["error"]["code"] for r in raw(b"[]\n")], [-32600])
    equal([r["error"]["code"] for r in raw(b"[" + b"1," * 100 + b"1]\n")], [-32010])
    equal(len(raw(b"[" + b",".join([request("system.ping", id=1)] * 100) + b"]\n")[0]), 100)


def test_a_batch_with_slow_requests():
    with daemon.client() as c:
        job = c.submit({"main": [{"sleep": 0.2}]})
        c.send(b"[" + request("job.wait", {"ids": [job]}, id=1) + b"," +
               request("system.ping", id=2) + b"]")
        equal(sorted(r["id"] for r in c.receive()), [1, 2])


def test_a_broken_batch_executes_nothing():
    text = request("job.submit", {"job": {"name": "of a broken batch", "main": []}}, id=1)
    equal([r["error"]["code"] for r in raw(b"[" + text + b",nonsense]\n")], [-32700])
    with daemon.client() as c:
        equal(c.call("job.list", name="of a broken batch")["jobs"], [])


# Limits.

def test_a_million_brackets():
    with daemon.client() as c:
        for opening in (b"[", b'{"a":', b'[{"a":'):
            c.write(opening * (1000000 // len(opening)) + b"\n")
            equal(c.receive()["error"]["code"], -32010)
        text = b'{"jsonrpc":"2.0","method":"job.submit","id":1,"params":{"job":%s%s}}\n'
        c.write(text % (b"[" * 62, b"]" * 62))
        check("result" in c.receive())
        c.write(text % (b"[" * 63, b"]" * 63))
        equal(c.receive()["error"]["code"], -32010)


def test_too_long():
    spaces = b" " * (1 << 20)
    with daemon.client() as c:
        c.write(request("system.ping", id=1)[:-1] + spaces + b"}\n")
        reply = c.receive()
        equal((reply["id"], reply["error"]["code"]), (1, -32010))
        c.write(b"[" + spaces * 17 + b"]\n")
        reply = c.receive()
        equal((reply["id"], reply["error"]["code"]), (None, -32010))
        c.call("system.ping")
        job = {"main": [{"set": {"x": "y" * (8 << 20)}}]}
        equal(c.call("job.get", id=c.submit(job))["error"], None)
    with daemon.client(framing="headers") as c:
        c.write(b"Content-Length: %d\r\n\r\n" % (17 << 20))
        c.write(spaces * 17)
        equal(c.receive()["error"]["code"], -32010)
        c.call("system.ping")


def test_pipelining():
    n = 1000 if SHORT else 5000
    with daemon.client() as c:
        c.write(b"".join(request("system.ping", id=i) + b"\n" for i in range(n)))
        equal([c.receive()["id"] for _ in range(n)], list(range(n)))


def test_no_more_than_64_requests_in_flight():
    with daemon.client() as c, daemon.client() as other:
        job = c.submit(SLEEPER)
        c.write(b"".join(request("job.wait", {"ids": [job]}, id="w%d" % i) + b"\n"
                         for i in range(64)))
        c.write(request("system.ping", id="later") + b"\n")
        wait_until(lambda: other.call("system.stats")["requests"] > 64)
        c.socket.settimeout(0.3)
        try:
            check(False, "answered: %r" % c.receive())
        except socket.timeout:
            pass
        c.socket.settimeout(PATIENCE)
        other.call("job.cancel", id=job)
        replies = [c.receive() for _ in range(65)]
        check(replies[0]["id"] != "later")
        equal({r["result"]["jobs"][0]["state"] for r in replies if r["id"] != "later"},
              {"cancelled"})


def memory_kib():
    with open("/proc/%d/status" % daemon.process.pid, encoding="ascii") as f:
        return int([line for line in f if line.startswith("VmRSS")][0].split()[1])


def test_a_slow_reader_waits_and_nobody_else():
    with daemon.client() as c:
        before = memory_kib()
        c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        c.socket.settimeout(0.5)
        sent = 0
        text = request("rpc.discover", id=1) + b"\n"
        try:
            while sent < 20000:
                c.write(text * 10)
                sent += 10
        except socket.timeout:
            pass
        check(sent < 20000, "it reads on and on")
        check(memory_kib() - before < 64 * 1024, "it took %d KiB" % (memory_kib() - before))
        alive()
        c.socket.settimeout(PATIENCE)
        c.receive()


def test_a_slow_subscriber_loses_its_subscription():
    line = "x" * 60000
    with daemon.client() as slow, daemon.client() as c:
        sub = slow.call("event.subscribe", filter={"types": ["output"]})["subscription"]
        job = {"main": [{"for": "i", "in": {"range": 200}, "do": {"print": line}}]}
        equal(c.run(job)["state"], "succeeded")
        last = None
        while not last or not last.get("lost"):
            _, last = slow.notification()
            equal(last["subscription"], sub)
        slow.call("system.ping")
        equal(slow.error("subscription.cancel", subscription=sub).code, -32003)


def test_a_follower_is_never_too_slow():
    size = 8 << 20
    with daemon.client() as slow, daemon.client() as c:
        job = c.submit({"main": [{"sh": "head -c %d /dev/zero | tr '\\0' x; sleep 0.5" % size}]})
        slow.call("log.follow", id=job, stream="stdout")
        equal(c.finish(job)["state"], "succeeded")
        time.sleep(0.5)
        got = 0
        while True:
            _, params = slow.notification()
            if "eof" in params:
                break
            got += len(params["data"])
        equal(got, size)


def test_connections_of_a_user_are_counted():
    clients = []
    try:
        for _ in range(60):
            clients.append(daemon.client())
        clients[-1].call("system.ping")
        with daemon.client() as one_more:
            equal(one_more.receive()["error"]["code"], -32006)
            equal(one_more.receive_all(), [])
    finally:
        for c in clients:
            c.close()
    wait_until(lambda: connections() == 1, "the connections' end")


def connections():
    with daemon.client() as c:
        try:
            return c.call("system.stats")["connections"]
        except (RpcError, Closed):
            return None


# Clients that go away.

def fds():
    return len(os.listdir("/proc/%d/fd" % daemon.process.pid))


def test_clients_leave_in_the_middle():
    with daemon.client() as c:
        job = c.submit(SLEEPER)
        c.call("system.ping")
        before = fds()
        for i in range(100):  # no more at once than one user may have
            wait_until(lambda: c.call("system.stats")["connections"] < 50, "the end of some")
            with daemon.client() as gone:
                if i % 5 == 0:
                    gone.write(request("job.wait", {"ids": [job]}, id=1) + b"\n")
                elif i % 5 == 1:
                    gone.write(request("job.submit", {"job": {"main": []}}, id=1) + b"\n")
                elif i % 5 == 2:
                    gone.write(request("job.get", {"id": job}, id=1)[:20])
                elif i % 5 == 3:
                    gone.write(request("log.follow", {"id": job}, id=1) + b"\n" +
                               request("event.subscribe", id=2) + b"\n")
                else:
                    gone.write(b"".join(request("job.tree", {"id": job}, id=i) + b"\n"
                                        for i in range(50)))
                    gone.socket.shutdown(socket.SHUT_WR)
        wait_until(lambda: fds() <= before, "closing of their descriptors")
        wait_until(lambda: connections() == 2, "their end")
        stats = c.call("system.stats")
        equal(stats["subscriptions"], 0)
        c.call("job.cancel", id=job)


def test_a_half_closed_waiter_that_goes_is_noticed():
    with daemon.client() as c:
        job = c.submit(SLEEPER)
        with daemon.client() as gone:
            gone.write(request("job.wait", {"ids": [job]}, id=1) + b"\n")
            gone.socket.shutdown(socket.SHUT_WR)
            wait_until(lambda: c.call("system.stats")["connections"] == 2)
        wait_until(lambda: c.call("system.stats")["connections"] == 1, "its end", 10)
        c.call("job.cancel", id=job)


# Methods.

def test_submit_and_get():
    with daemon.client() as c:
        reply = c.call("job.submit", job={"name": "n", "labels": {"k": "v"}, "priority": 3,
                                          "main": [{"print": "hällo"}, {"print": {"a": 1}},
                                                   {"return": {"x": [1, None, 0.5]}}]},
                       cwd="/tmp", umask=0o77, env={"A": "b"})
        equal(sorted(reply), ["existing", "id", "state", "uuid"])
        equal((reply["existing"], reply["uuid"][14]), (False, "7"))
        job = c.finish(reply["id"])
        equal(job["uuid"], reply["uuid"])
        wanted = {"name": "n", "state": "succeeded", "value": {"x": [1, None, 0.5]},
                  "output": ["hällo", '{"a": 1}'], "error": None, "exit": 0, "cwd": "/tmp",
                  "umask": 0o77, "labels": {"k": "v"}, "uid": os.getuid(), "priority": 3,
                  "diagnostics": [], "task_counts": {"succeeded": 1}, "key": None}
        equal({k: job[k] for k in wanted}, wanted)
        check(job["created"] <= job["started"] <= job["finished"])
        check(job["created"].endswith("Z") and len(job["created"]) == 27, job["created"])
        equal([t["id"] for t in job["tasks"]], ["%d.1" % job["id"]])
        equal(c.error("job.get", id=10 ** 9).code, -32003)
        equal(c.error("job.get", id=str(2 ** 63 - 1)).code, -32003)


def test_the_command_gets_what_the_client_sent():
    with daemon.client() as c:
        job = c.run([{"sh": "pwd; umask; echo $A; env | grep -c COROD_", "as": "r",
                      "check": False}, {"return": "${r.stdout}"}],
                    cwd="/usr", umask=0o77, env={"A": "käse", "PATH": "/usr/bin:/bin"})
        equal(job["value"].split("\n"), ["/usr", "0077", "käse", "0"])
        job = c.run({"env": {"A": None, "B": 1}, "main": [
            {"sh": "echo ${A-unset} $B", "as": "r"}, {"return": "${r.stdout}"}]}, env={"A": "käse"})
        equal(job["value"], "unset 1")


def test_invalid_jobs_tell_all_mistakes():
    with daemon.client() as c:
        e = c.error("job.submit", job={"main": [{"gathr": []}, {"slep": 1}]})
        equal(e.code, -32015)
        equal([m["pointer"][:7] for m in e.data], ["/main/0", "/main/1"])
        check("gather" in e.data[0]["hint"])
        equal(c.error("job.check", job={"main": 5}).code, -32015)
        equal(c.error("job.submit", job=None).code, -32015)
        equal(c.error("job.submit", job="x").code, -32015)
        equal(c.call("job.check", job=[{"sleep": 1}]), {"warnings": []})


def test_keys():
    job = {"name": "with a key", "main": []}
    with daemon.client() as c:
        first = c.call("job.submit", job=job, key="k1")
        again = c.call("job.submit", job=job, key="k1")
        equal((again["id"], again["existing"], again["uuid"]), (first["id"], True, first["uuid"]))
        e = c.error("job.submit", job={"main": []}, key="k1")
        equal(e.code, -32005)
        # All at once: one job.
        requests = [c.start("job.submit", {"job": job, "key": "k2"}) for _ in range(50)]
        replies = [c.wait(r) for r in requests]
        equal(len({r["id"] for r in replies}), 1)
        equal(sum(not r["existing"] for r in replies), 1)


def test_list():
    with daemon.client() as c:
        ids = [c.submit({"name": "list-%d" % i, "labels": {"n": str(i), 'a"b': "x"}, "main": []})
               for i in range(25)]
        for i in ids:
            c.finish(i)
        page = c.call("job.list", name="list-*", limit=10)
        got = [j["id"] for j in page["jobs"]]
        while "next" in page:
            page = c.call("job.list", name="list-*", limit=10, cursor=page["next"])
            got += [j["id"] for j in page["jobs"]]
        equal(got, ids[::-1])

        def names(**filters):
            return [j["name"] for j in c.call("job.list", **filters)["jobs"]]
        equal(names(label="n=7"), ["list-7"])
        equal(names(label='a"b=x', limit=1), ["list-24"])
        equal(len(names(label="n", limit=500)), 25)
        equal(names(label="n", state="failed"), [])
        equal(len(names(label="n", state=["failed", "succeeded"], owner=str(os.getuid()))), 25)
        equal(names(owner="4294967294"), [])
        equal(names(label="n", pool="nowhere"), [])
        equal(len(names(label="n", pool="default", limit=500)), 25)
        equal(names(since="2100-01-01T00:00:00Z"), [])
        equal(c.error("job.list", cursor="x").code, -32013)
        check("value" not in c.call("job.list", limit=1)["jobs"][0])


def test_ends_and_attempts_page_by_page():
    with daemon.client() as c:
        job = c.run({"main": [{"gather": [{"sh": "exit 3"}, {"run": ["true"]}, {"sleep": 0}],
                               "return_exceptions": True}]})["id"]
        page = c.call("job.ends", id=job, limit=3)
        last = c.call("job.ends", id=job, after=page["next"])
        ends = page["ends"] + last["ends"]
        check("next" not in last)
        equal([e["seq"] for e in ends], [1, 2, 3, 4])
        equal({e["task"]: e["state"] for e in ends}, {"%d.%d" % (job, i): "failed" if i == 2 else "succeeded"
                                                      for i in range(1, 5)})
        failed, = [e for e in ends if "error" in e]
        equal(failed["error"]["data"]["exit"], 3)
        page = c.call("job.attempts", id=job, limit=1)
        last = c.call("job.attempts", id=job, after=page["next"])
        both = page["attempts"] + last["attempts"]
        equal(sorted((a["task"], a["exit"]) for a in both), [("%d.2" % job, 3), ("%d.3" % job, 0)])
        check(both[0]["number"] < both[1]["number"] and "next" not in last)
        for method in ("job.ends", "job.attempts"):
            equal(c.error(method, id=999999).code, -32003)
            equal(c.error(method, id=job, limit=1001).code, -32602)


def test_wait():
    with daemon.client() as c, daemon.client() as other:
        short = c.submit({"main": [{"sleep": 0.2}]})
        long = c.submit(SLEEPER)
        done = c.call("job.wait", ids=[short, long], mode="any")
        equal([j["state"] for j in done["jobs"]], ["succeeded", "running"])
        equal(done["timed_out"], False)
        began = time.monotonic()
        done = c.call("job.wait", ids=[short, long], timeout=0.2)
        equal(done["timed_out"], True)
        check(time.monotonic() - began > 0.15)
        equal(c.call("job.wait", ids=[short], timeout=0)["timed_out"], False)
        equal(c.call("job.wait", ids=[long], timeout=0)["timed_out"], True)
        waiting = c.start("job.wait", {"ids": long})
        other.call("job.cancel", ids=[long])
        job = c.wait(waiting)["jobs"][0]
        equal((job["state"], job["exit"]), ("cancelled", 130))
        equal(c.error("job.wait", ids=[short, 10 ** 9]).code, -32003)
        equal([j["id"] for j in c.call("job.wait", ids=[long, short, long])["jobs"]],
              [long, short, long])


def test_no_end_is_missed_by_a_waiter():
    n = 100 if SHORT else 400
    with daemon.client() as c:
        for _ in range(n):
            job = c.submit({"main": []})
            equal(c.call("job.wait", ids=[job], timeout=PATIENCE)["jobs"][0]["state"],
                  "succeeded")


def test_exit_statuses():
    cases = [({"sh": "exit 7"}, 7), ({"sh": "kill -9 $$"}, 137), ({"raise": {"type": "X"}}, 1),
             ({"sleep": 10, "timeout": 0.05}, 124), ({"run": ["/no/such/program"]}, 127),
             ({"sh": "true"}, 0)]
    with daemon.client() as c:
        for node, wanted in cases:
            job = c.run([node])
            equal(job["exit"], wanted, "%s: %s" % (node, job["error"]))


def test_tree():
    job = [{"gather": [{"do": [{"sleep": 0}, {"sh": "exit 0"}], "name": "first"},
                       {"sleep": 1000, "name": "second"}]}]
    with daemon.client() as c:
        i = c.submit(job)

        def grown():
            tree = c.call("job.tree", id=i)
            kids = tree["tasks"] and tree["tasks"][0]["children"]
            return kids and kids[0].get("attempt", {}).get("exit") == 0 and tree
        tree = wait_until(grown, "the first child's end")
        root = tree["tasks"][0]
        equal((len(tree["tasks"]), root["id"], tree["more"]), (1, "%d.1" % i, 0))
        first, second = root["children"]
        equal((first["name"], first["state"], first["children"]), ("first", "succeeded", []))
        attempt = first["attempt"]
        check("exit 0" in attempt["command"] and attempt["duration"] >= 0 and attempt["max_rss"] > 0)
        equal(second["name"], "second")
        check("sleep" in second["awaits"], second)
        c.call("job.cancel", id=i)
        c.finish(i)
        root = c.call("job.tree", id=i)["tasks"][0]
        equal([t["state"] for t in [root, *root["children"]]],
              ["cancelled", "succeeded", "cancelled"])
        equal(c.error("job.tree", id=10 ** 9).code, -32003)


def test_a_huge_tree_is_cut():
    n = 3000 if SHORT else 12000
    with daemon.client() as c:
        job = c.submit([{"gather": {"for": "i", "in": {"range": n}, "do": {"sleep": 0}}}])
        c.finish(job)
        tree = c.call("job.tree", id=job)
        shown = len(tree["tasks"][0]["children"]) + 1
        equal(shown + tree["more"], n + 1)
        equal(tree["more"] > 0, n > 10000)
        got = c.call("job.get", id=job)
        equal((len(got["tasks"]), got["tasks_truncated"]), (1000, True))
        equal(got["task_counts"], {"succeeded": n + 1})


def test_a_big_error_is_shortened_where_many_are_shown():
    big = "x" * 2000000
    job = [{"gather": [{"raise": {"type": "Big", "message": big}}]}]
    with daemon.client() as c:
        job = c.run({"name": "big", "main": job})
        equal(len(job["error"]["message"]), len(big))
        equal(len(job["tasks"][0]["error"]["message"]), 1000)
        for short in (c.call("job.list", name="big")["jobs"][0],
                      c.call("job.wait", ids=[job["id"]])["jobs"][0]):
            equal((short["error"]["type"], len(short["error"]["message"])), ("Big", 1000))


def test_a_directory_is_seen_from_the_one_around_it():
    os.makedirs(os.path.join(daemon.directory, "d", "e"), exist_ok=True)
    pwd = {"run": ["pwd"], "as": "r"}
    with daemon.client() as c:
        for job, own, where in (("d", None, "/d"), (None, "d", "/d"), ("d", "e", "/d/e"), ("d", "/", None)):
            document = {"main": [dict(pwd, **({"cwd": own} if own else {})), {"return": "${r.stdout}"}],
                        **({"cwd": job} if job else {})}
            equal(c.run(document, cwd=daemon.directory)["value"],
                  daemon.directory + where if where else "/", document)
        equal(c.run({"cwd": "tmp", "main": [pwd, {"return": "${r.stdout}"}]})["value"], "/tmp")


def test_the_exit_status_is_that_of_the_whole_error():
    big = {"type": "CommandError", "message": "x" * 2000000, "data": {"exit": 7}}
    with daemon.client() as c:
        job = c.run([{"task_group": [{"raise": big}, {"sleep": 1000}]}])["id"]
        for shown in (c.call("job.get", id=job), c.call("job.wait", ids=[job])["jobs"][0],
                      c.call("job.list")["jobs"][0]):
            equal((shown["id"], shown["exit"]), (job, 7))


def test_listing_what_lives():
    with daemon.client() as c:
        job = c.submit(SLEEPER)
        wait_until(lambda: c.call("job.get", id=job)["state"] == "running")
        equal([j["id"] for j in c.call("job.list", state=["running", "queued"])["jobs"]], [job])
        c.call("job.cancel", id=job)
        c.finish(job)
        equal(c.call("job.list", state=["running", "queued"])["jobs"], [])


def test_subscriptions_are_counted():
    with daemon.client() as c:
        for _ in range(100):
            c.call("event.subscribe")
        equal(c.error("event.subscribe").code, -32006)
        equal(c.error("log.follow", id=1).code, -32006)


def test_cancel():
    with daemon.client() as c:
        one, two = c.submit(SLEEPER), c.submit(SLEEPER)
        equal(c.error("job.cancel", ids=[one, 10 ** 9]).code, -32003)
        equal(c.call("job.get", id=one)["state"], "running")  # all or nothing
        equal([j["id"] for j in c.call("job.cancel", ids=[one, two])["jobs"]], [one, two])
        equal([c.finish(i)["state"] for i in (one, two)], ["cancelled"] * 2)
        equal(c.error("job.cancel", id=one).code, -32004)


def test_log_read():
    with daemon.client() as c:
        job = c.run([{"print": "one"}, {"print": "two\nthree"},
                     {"sh": "printf a; printf b >&2; sleep 0.01; printf c"},
                     {"sh": "printf '\\377\\000'"}, {"print": "four"}])
        read = c.call("log.read", id=job["id"])
        equal((read["data"], read["encoding"], read["eof"]),
              ("one\ntwo\nthree\nfour\n", "utf-8", True))
        read = c.call("log.read", id=job["id"], limit=4)
        rest = c.call("log.read", id=job["id"], offset=read["next"])
        equal(read["data"] + rest["data"], "one\ntwo\nthree\nfour\n")
        equal(c.call("log.read", id=job["id"], offset=rest["next"])["data"], "")
        read = c.call("log.read", id=job["id"], stream="both")
        equal((read["encoding"], read["eof"]), ("base64", True))
        equal(c.call("log.read", id=job["id"], stream="stderr")["data"], "b")
        first = c.call("log.read", id=job["id"], stream="stdout", limit=1)
        equal((first["data"], first["eof"]), ("ac", False))
        then = c.call("log.read", id=job["id"], stream="stdout", offset=first["next"])
        equal((then["data"], then["encoding"], then["eof"]), ("/wA=", "base64", True))
        attempt = c.call("job.tree", id=job["id"])["tasks"][0]["attempt"]["number"]
        equal(c.call("log.read", id=job["id"], stream="both", attempt=attempt)["data"], "/wA=")
        equal(c.call("log.read", id=job["id"], stream="both", task="%d.2" % job["id"])["data"], "")
        equal(c.error("log.read", id=job["id"], task="%d.1" % (job["id"] + 1)).data[0]["pointer"],
              "/task")
        equal(c.error("log.read", id=10 ** 9).code, -32003)
        for bad in ("x", "1:", ":1", "1:2:3", "99999999999999999999", "1:99999999999999999999"):
            equal(c.error("log.read", id=job["id"], offset=bad, stream="both").code, -32013, bad)


def read_all(c, **params):
    data, offset, empty = "", 0, 0
    while True:
        piece = c.call("log.read", offset=offset, **params)
        data += piece["data"]
        offset = piece["next"]
        if piece["eof"]:
            return data
        empty = 0 if piece["data"] else empty + 1
        check(empty < 1000, "no end")


def test_log_read_of_much():
    with daemon.client() as c:
        job = c.run([{"sh": "seq 1 200000; seq 1 100 >&2"}, {"sh": "seq 5"}])
        wanted = "".join("%d\n" % i for i in range(1, 200001)) + "1\n2\n3\n4\n5\n"
        equal(read_all(c, id=job["id"], stream="stdout", limit=50000) == wanted, True)
        equal(read_all(c, id=job["id"], stream="stderr"),
              "".join("%d\n" % i for i in range(1, 101)))


def follow(c, **params):
    """{stream: all its data} until the end."""
    sub = c.call("log.follow", **params)["subscription"]
    got = {}
    while True:
        method, p = c.notification()
        equal((method, p["subscription"]), ("log", sub))
        if p.get("eof"):
            return got
        got[p["stream"]] = got.get(p["stream"], "") + p["data"]


def test_log_follow():
    with daemon.client() as c, daemon.client() as d:
        job = c.submit([{"sleep": 0.2}, {"print": "p1"},
                        {"gather": [{"sh": "echo a; sleep 0.4; echo b; echo c >&2"},
                                    {"sh": "echo x; sleep 0.1"}]}, {"print": "p2"}])
        got = follow(d, id=job, stream="both")
        equal((sorted(got["stdout"]), got["stderr"]), (sorted("a\nb\nx\n"), "c\n"))
        equal(follow(c, id=job), {"output": "p1\np2\n"})
        equal(sorted(follow(c, id=job, stream="stdout")["stdout"]), sorted("a\nb\nx\n"))
        task = c.call("job.tree", id=job)["tasks"][0]["children"][1]["id"]
        equal(follow(c, id=job, stream="stdout", task=task), {"stdout": "x\n"})
        equal(c.error("log.follow", id=10 ** 9).code, -32003)


def test_log_follow_tells_of_what_is_not_kept():
    with daemon.client() as c:
        daemon.configure(CONFIG + "log_cap = 64K\n")
        c.call("system.reload")
        job = c.submit([{"sh": "seq 100000 199999"}])
        c.finish(job)
        daemon.configure(CONFIG)
        c.call("system.reload")
        sub = c.call("log.follow", id=job, stream="stdout")["subscription"]
        pieces = []
        while True:
            _, p = c.notification()
            equal(p["subscription"], sub)
            if p.get("eof"):
                break
            pieces.append(p)
        gaps = [i for i, p in enumerate(pieces) if "dropped" in p]
        equal(len(gaps), 1)
        head, tail = ("".join(p["data"] for p in some) for some in (pieces[:gaps[0]], pieces[gaps[0]:]))
        whole = "".join("%d\n" % i for i in range(100000, 200000))
        check(head and whole.startswith(head), "it begins otherwise")
        check(tail and whole.endswith(tail), "it ends otherwise")
        dropped = pieces[gaps[0]]["dropped"]
        check(dropped >= len(whole) - len(head) - len(tail) > 0, dropped)  # framed bytes
        read = c.call("log.read", id=job, stream="stdout", limit=1 << 20)
        equal((read["data"], read["dropped"]), (head + tail, dropped))


def test_log_follow_shows_at_once():
    with daemon.client() as c:
        job = c.submit([{"sh": "echo early; sleep 1000"}])
        sub = c.call("log.follow", id=job, stream="stdout")["subscription"]
        _, params = c.notification()
        equal((params["data"], params["stream"], params["task"]), ("early\n", "stdout", "%d.1" % job))
        read = c.call("log.read", id=job, stream="both")
        equal((read["data"], read["eof"]), ("early\n", False))
        c.call("subscription.cancel", subscription=sub)
        c.call("job.cancel", id=job)
        equal(c.finish(job)["state"], "cancelled")
        equal(c.notifications, [])


def test_events():
    with daemon.client() as c, daemon.client() as other:
        start = c.call("event.subscribe")
        job = other.submit({"name": "seen", "main": [{"print": "hi"}, {"sh": "true"}]})
        other.finish(job)
        seen = []
        while not seen or seen[-1].get("state") != "succeeded" or seen[-1]["type"] != "job.state":
            method, params = c.notification()
            equal((method, params["subscription"]), ("event", start["subscription"]))
            seen.append(params)
        seqs = [e["seq"] for e in seen]
        check(seqs == sorted(set(seqs)) and seqs[0] > start["seq"])
        types = [e["type"] for e in seen if e["job"] == job]
        equal(types[0], "job.created")
        for wanted in ("output", "attempt.started", "attempt.ended", "task.state"):
            check(wanted in types, "%s in %s" % (wanted, types))
        equal([e["text"] for e in seen if e["type"] == "output"], ["hi"])
        # A second one replays the same.
        again = other.call("event.subscribe", after=start["seq"], filter={"job": job})
        replayed = [other.notification()[1] for _ in types]
        equal([e["seq"] for e in replayed], [e["seq"] for e in seen if e["job"] == job])
        equal(other.call("subscription.cancel", subscription=again["subscription"]), {})
        equal(other.error("subscription.cancel", subscription=again["subscription"]).code, -32003)
        equal(other.error("event.subscribe", after=1).code, -32013)
        equal(other.error("event.subscribe", after=again["seq"] + 10 ** 9).code, -32013)


def test_event_filters():
    with daemon.client() as c, daemon.client() as other:
        c.call("event.subscribe", filter={"types": ["job.state"], "owner": str(os.getuid())})
        c.call("event.subscribe", filter={"owner": "4294967294"})
        mine = other.call("event.subscribe", filter={"job": [10 ** 9]})["subscription"]
        job = other.run({"main": [{"print": "x"}]})["id"]
        _, e = c.notification()
        while e["state"] != "succeeded":
            equal((e["type"], e["job"]), ("job.state", job))
            _, e = c.notification()
        other.call("subscription.cancel", subscription=mine)
        equal(other.notifications, [])


def test_the_ring_forgets():
    with daemon.client() as c:
        start = c.call("event.subscribe")
        c.call("subscription.cancel", subscription=start["subscription"])
        c.run([{"for": "i", "in": {"range": 10100}, "do": {"print": "x"}}])
        equal(c.error("event.subscribe", after=start["seq"]).code, -32013)


def test_pools():
    with daemon.client() as c:
        equal(c.call("pool.set", name="p-1.x_y", slots=3), {"name": "p-1.x_y", "slots": 3})
        pools = {p["name"]: p for p in c.call("pool.list")["pools"]}
        equal(pools["p-1.x_y"], {"name": "p-1.x_y", "slots": 3, "taken": 0, "waiting": 0, "paused": False})
        check("default" in pools)


def test_stats_and_version():
    with daemon.client() as c:
        stats = c.call("system.stats")
        equal((stats["pid"], stats["socket"], stats["state_dir"]),
              (daemon.process.pid, daemon.socket, daemon.state))
        equal((stats["executor"], stats["storage"], stats["trouble"]), ("up", "ok", None))
        version = c.call("system.version")
        equal((version["api"], version["version"]), ("1.0", stats["version"]))


def test_discover():
    with daemon.client() as c:
        doc = c.call("rpc.discover")
        check(doc["openrpc"].startswith("1."))
        methods = {m["name"]: m for m in doc["methods"]}
        for m in methods.values():
            check(m["summary"] and m["result"]["schema"]["type"] == "object", m["name"])
            for p in m["params"]:
                check(p["schema"] and p["description"], (m["name"], p))
            # What it describes is what is there.
            e = {"code": 0}
            try:
                c.call(m["name"], {"surely not a parameter": 1})
            except RpcError as error:
                e = {"code": error.code}
            equal(e["code"], -32602, m["name"])
        equal([p["name"] for p in methods["job.get"]["params"]], ["id"])
        check("error32003" in doc["components"]["errors"])


def test_reload():
    with daemon.client() as c:
        daemon.configure(CONFIG + "max_batch = 3\n")
        equal(c.call("system.reload"), {"changed": ["max_batch"]})
        equal([r["error"]["code"] for r in raw(b"[1,2,3,4]\n")], [-32010])
        daemon.configure("max_batch = many\n")
        check("max_batch" in c.error("system.reload").message)
        daemon.configure(CONFIG)
        equal(c.call("system.reload"), {"changed": ["max_batch"]})


def test_drain_and_shutdown():
    """The last one."""
    with daemon.client() as c:
        job = c.submit(SLEEPER)
        equal(c.call("system.drain"), {"draining": True})
        e = c.error("job.submit", job={"main": []})
        equal((e.code, e.data), (-32009, {"retry_after": 1}))
        equal(c.call("system.stats")["draining"], True)
        equal(c.call("job.get", id=job)["state"], "running")
        equal(c.call("system.shutdown"), {})
        equal(c.receive_all(), [])
    equal(daemon.process.wait(PATIENCE), 0)
    check(not os.path.exists(daemon.socket))
    daemon.start()
    with daemon.client() as c:
        equal(c.call("job.get", id=job)["state"], "running")
        c.call("job.cancel", id=job)
        equal(c.finish(job)["state"], "cancelled")


if __name__ == "__main__":
    with daemon:
        run_tests(globals(), sys.argv[1:])
