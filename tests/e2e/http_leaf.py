#!/usr/bin/env python3
# test-timeout: 300
# test-sanitized: yes
"""HTTP requests of jobs: what is sent, what comes back, what is refused, what survives."""
import contextlib
import os
import resource
import signal
import subprocess
import sys
import threading
import time

sys.path[0] = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib")
from corod import BUILDDIR, Daemon, Skip, check, equal, run_tests, wait_until  # noqa: E402
from http_server import Server  # noqa: E402

daemon = Daemon()
server = Server()
MIB = 1 << 20


def ask(request, **more):
    """The job of one request, ended."""
    with daemon.client() as c:
        return c.run([dict(more, http=request, **{"as": "r"}), {"return": "${r}"}])


def value(request, **more):
    job = ask(request, **more)
    equal(job["state"], "succeeded", str(job["error"]))
    return job["value"]


def error(request, **more):
    job = ask(request, **more)
    equal(job["state"], "failed", str(job["value"]))
    return job["error"]


def reason(request, **more):
    e = error(request, **more)
    equal(e["type"], "HTTPError")
    equal(list(e["data"]), ["reason"])
    return e["data"]["reason"]


def test_what_is_sent():
    sent = value(server.url("/echo/a?b=c"))
    equal(sorted(sent), ["duration", "headers", "json", "status"])
    equal(sent["status"], 200)
    equal(sent["headers"]["content-type"], "application/json; charset=utf-8")
    sent = sent["json"]
    equal((sent["method"], sent["path"], sent["body"]), ("GET", "/echo/a?b=c", ""))
    check(sent["headers"]["user-agent"].startswith("corod/"))
    check("content-type" not in sent["headers"] and "expect" not in sent["headers"])
    sent = value({"url": server.url("/echo"), "json": {"n": [1, "ä"]}})["json"]
    equal((sent["method"], sent["body"].encode("latin-1").decode()), ("POST", '{"n":[1,"ä"]}'))
    equal(sent["headers"]["content-type"], "application/json")
    sent = value({"url": server.url("/echo"), "method": "put", "body": "text",
                  "headers": {"Content-Type": "text/csv", "X-Empty": "", "X-Number": 7,
                              "User-Agent": None, "Idempotency-Key": "mine"}})["json"]
    equal((sent["method"], sent["body"]), ("PUT", "text"))
    equal({k: sent["headers"].get(k) for k in
           ("content-type", "x-empty", "x-number", "user-agent", "idempotency-key")},
          {"content-type": "text/csv", "x-empty": "", "x-number": "7", "user-agent": None,
           "idempotency-key": "mine"})
    sent = value({"url": server.url("/echo"), "body": {"base64": "AP/+"}})["json"]
    equal((sent["base64"], sent["headers"]["content-type"]), ("AP/+", "application/octet-stream"))
    for method in ("POST", "PUT", "PATCH"):
        sent = value({"url": server.url("/echo"), "method": method})["json"]
        equal((sent["method"], sent["headers"]["content-length"]), (method, "0"))
    for method in ("DELETE", "OPTIONS", "PROPFIND"):
        equal(value({"url": server.url("/echo"), "method": method})["json"]["method"], method)
    sent = value({"url": server.url("/echo"), "method": "DELETE", "body": "x"})["json"]
    equal((sent["method"], sent["body"]), ("DELETE", "x"))
    sent = value({"url": server.url("/echo"), "method": "HEAD"})
    equal(sent["body"], "")
    big = value({"url": server.url("/echo"), "body": "b" * 3 * MIB})
    check(big["truncated"] and len(big["body"]) == MIB, "three megabytes")
    with daemon.client() as c:
        job = c.run([{"set": {"u": server.url(""), "h": {"X-A": "1"}}},
                     {"http": {"url": "${u}/echo/${h[\"X-A\"]}", "headers": "${h}", "json": "${h}"},
                      "as": "r"}, {"return": "${r.json}"}])
    equal((job["value"]["path"], job["value"]["headers"]["x-a"], job["value"]["body"]),
          ("/echo/1", "1", '{"X-A":"1"}'))


def test_what_comes_back():
    r = value(server.url("/text"))
    equal((r["body"], r["headers"]["set-cookie"], r["headers"]["x-name"]),
          ("grüße\n", "a=1, b=2", "Jürgen"))
    equal(value(server.url("/bytes"))["body"], {"base64": "//4AAQ=="})
    equal(value(server.url("/bad_json"))["body"], "{no json")
    check(value(server.url("/deep_json"))["body"].startswith("[[["))
    r = value(server.url("/trailers"))
    equal((r["body"], "x-late" in r["headers"]), ("hi", False))
    equal(value(server.url("/status/204"))["status"], 204)


def test_a_status_of_400_or_more():
    e = error(server.url("/none?secret=1").replace("://", "://user:pw@"))
    equal(e["type"], "HTTPError")
    equal(e["message"], "HTTP 404 from GET " + server.url("/none"))
    equal((e["data"]["status"], e["data"]["body"]), (404, "there is none"))
    equal(value(server.url("/none"), check=False)["status"], 404)
    equal(error({"url": server.url("/status/503"), "json": 1})["data"]["headers"]["x-reason"], "none")


def test_secrets_are_not_shown():
    url = server.url("/gate?token=hidden").replace("://", "://user:hidden@")
    server.release.clear()
    with daemon.client() as c:
        job = c.submit([{"http": url}])
        wait_until(lambda: server.seen("/gate?token=hidden"), "the request")
        shown = [c.call("job.tree", id=job), c.call("job.list")]
        server.open_gate()
        c.finish(job)
        log = c.call("log.read", id=job, task="%d.1" % job, stream="both", offset=0, limit=9999)
        shown += [c.call("job.tree", id=job), c.call("job.list"), log]
    check("hidden" not in str(shown), shown)
    check("GET " + server.url("/gate") in log["data"] and "→ 200, 7 bytes" in log["data"], log)


def test_bodies_have_a_limit():
    r = value(server.url("/big/%d" % (2 * MIB)))
    check(r["truncated"] and r["body"] == "ä" * (MIB // 2), len(r["body"]))
    daemon.configure("http_max_body = 8M\n")
    with daemon.client() as c:
        c.call("system.reload")
    check("http_max_body" in reason(server.url("/endless")))
    check("http_max_body" in reason(server.url("/endless_chunks")))


def test_hostile_servers():
    before = memory_bytes()
    for path in ("/endless_headers", "/long_header", "/endless_100", "/huge_chunk", "/garbage",
                 "/short", "/nothing"):
        check(reason(server.url(path)), path)
    wait_until(lambda: server.open == 0 or server.connections > 0 and server.open < 3, "closed connections")
    check(memory_bytes() < before + 32 * MIB, memory_bytes() - before)


def memory_bytes():
    with open("/proc/%d/statm" % daemon.process.pid, encoding="ascii") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_time():
    """A server that does not answer, or never ends."""
    for path in ("/hang", "/drip"):
        e = error(server.url(path), timeout=0.3)
        equal(e["type"], "TimeoutError", path)
    wait_until(lambda: server.open <= 2, "closed connections")


def test_cancel_closes_the_connection():
    before = server.open
    with daemon.client() as c:
        job = c.submit([{"http": server.url("/hang/cancel")}])
        wait_until(lambda: server.seen("/hang/cancel"), "the request")
        check(server.open > 0)
        c.call("job.cancel", id=job)
        equal(c.finish(job)["state"], "cancelled")
    wait_until(lambda: server.open <= before, "the end of the connection")


def test_connections_that_are_used_again():
    """Who waits for an answer on one holds up nobody, however many they are."""
    n = 70
    gather = {"for": "i", "in": {"range": n}}
    with daemon.client() as c:
        server.release.clear()
        server.at_gate, server.gate_size = 0, n
        equal(c.run([{"gather": dict(gather, do={"http": server.url("/gate")})}])["state"], "succeeded")
        server.gate_size, before = 0, server.connections
        job = c.submit([{"gather": dict(gather, do={"http": server.url("/hang/again")})}])
        wait_until(lambda: len(server.seen("/hang/again")) == n, "the requests")
        check(server.connections < before + n, "no connection was used again")
        equal(value(server.url("/echo"), timeout=20)["status"], 200)
        c.call("job.cancel", id=job)
        equal(c.finish(job)["state"], "cancelled")


def test_no_connection():
    check("Failed to connect" in reason("http://127.0.0.1:1/"))
    check("resolve" in reason("http://name.invalid/"))
    check(reason("http://[::1"))
    e = error("http://127.0.0.1:1/x?y", timeout=5)
    check(e["message"].startswith("GET http://127.0.0.1:1/x: "), e["message"])


def to(status, url):
    return server.url("/to/%d?url=%s" % (status, url))


def test_redirects():
    target = server.url("/echo")
    equal(value(to(302, "/echo/near"))["json"]["path"], "/echo/near")
    for status, sent, becomes in ((301, "POST", "GET"), (302, "POST", "GET"), (303, "POST", "GET"),
                                  (307, "POST", "POST"), (308, "POST", "POST"), (302, "PUT", "PUT"),
                                  (303, "PUT", "GET"), (303, "DELETE", "GET"), (303, "HEAD", "HEAD")):
        request = {"url": to(status, target), "method": sent}
        if sent != "HEAD":
            request["body"] = "b"
        value(request)
        last = server.requests[-1]
        equal((last["method"], last["body"], last["path"]),
              (becomes, b"b" if becomes == sent != "HEAD" else b"", "/echo"), (status, sent))
        equal("content-type" in last["headers"], becomes == sent != "HEAD")
    check("more than 10 redirects" in reason(server.url("/again")))
    equal(len(server.seen("/again")), 11)
    check("more than 2 redirects" in reason({"url": server.url("/again"), "redirects": 2}))
    r = value({"url": server.url("/again"), "redirects": 0})
    equal((r["status"], r["headers"]["location"]), (302, "/again"))
    for url in ("file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/"):
        check("only http and https" in reason(to(302, url)), url)


def test_secrets_do_not_follow_a_redirect():
    other = Server()
    headers = {"Authorization": "Bearer hidden", "Cookie": "hidden", "X-Open": "yes"}
    value({"url": to(307, server.url("/echo")), "headers": headers})
    equal(server.requests[-1]["headers"]["authorization"], "Bearer hidden")
    value({"url": to(307, other.url("/echo")), "headers": headers})
    check("hidden" not in str(other.requests), other.requests)
    equal(other.requests[-1]["headers"]["x-open"], "yes")
    equal(other.requests[-1]["headers"]["host"], "127.0.0.1:%d" % other.port)
    value(to(307, other.url("/echo")).replace("://", "://user:hidden@", 1))
    check("authorization" not in other.requests[-1]["headers"])


def built_with_sanitizers():
    with open(os.path.join(BUILDDIR, "config.h"), encoding="ascii") as f:
        return "#define COROD_SANITIZERS" in f.read()


def with_settings(text, function):
    """In a daemon of its own."""
    global daemon
    old, daemon = daemon, Daemon(config=text)
    try:
        with daemon:
            function()
    finally:
        daemon = old


def test_addresses_that_are_denied():
    def denied():
        for host in ("127.0.0.1", "127.1.2.3", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0",
                     "[::ffff:7f00:1]", "2130706433", "0x7f.1"):
            why = reason("http://%s:%d/echo" % (host, server.port))
            check("not allowed" in why and "http_deny" in why, (host, why))
        equal(server.connections, before)
    before = server.connections
    with_settings("http_deny = loopback, link-local, unspecified\n", denied)

    def excepted():
        equal(value(server.url("/echo"))["status"], 200)
        check("not allowed" in reason(to(302, second.url("/echo"))))
        equal(second.connections, 0)
    second = Server("127.0.0.2")
    with_settings("http_deny = all\nhttp_allow = 127.0.0.1\n", excepted)


def test_settings():
    for text, wrong in (("http_deny = everything", "everything"), ("http_allow = 10.0.0.0/33", "/33"),
                        ("http_deny = ::1/x", "x")):
        path = os.path.join(daemon.directory, "wrong")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text + "\n")
        p = subprocess.run([daemon.argv()[0], "--check-config", "--config", path], text=True,
                           capture_output=True, check=False)
        check(p.returncode != 0 and wrong in p.stderr and text.split()[0] in p.stderr, p.stderr)


def test_mistakes():
    for request, pointer, words in (
            ({"method": "GET"}, "/main/0/http", "url"),
            ({"url": "ftp://x/"}, "/main/0/http/url", "http:// or https://"),
            ({"url": "http://x/", "method": "G T"}, "/main/0/http/method", "word"),
            ({"url": "http://x/", "method": "CONNECT"}, "/main/0/http/method", "word"),
            ({"url": "http://x/", "headers": {"A": "b\r\nC: d"}}, "/main/0/http/headers", "line breaks"),
            ({"url": "http://x/", "headers": {"Content-Length": "1"}}, "/main/0/http/headers", ""),
            ({"url": "http://x/", "body": 1}, "/main/0/http/body", "string"),
            ({"url": "http://x/", "body": "", "json": 1}, "/main/0/http", "exclude"),
            ({"url": "http://x/", "redirects": -1}, "/main/0/http/redirects", "0 to 100"),
            ({"url": "http://x/", "check": False}, "/main/0/http/check", "beside"),
            ({"url": "http://x/", "header": {}}, "/main/0/http/header", "unknown key"),
            (7, "/main/0/http", "object")):
        with daemon.client() as c:
            e = c.error("job.submit", job={"main": [{"http": request}]})
        equal(e.code, -32015)
        equal(e.data[0]["pointer"], pointer, request)
        check(words in e.data[0]["message"], e.data)
    with daemon.client() as c:
        for request in ({"url": "${x}"}, {"url": "http://h/", "headers": {"A": "${x}"}},
                        {"url": "http://h/", "method": "${x}"}, {"url": "http://h/", "method": "${h}",
                                                                "body": "b"}):
            job = c.run({"input": {"x": "a\nb", "h": "HEAD"}, "main": [{"http": request}]})
            equal(job["error"]["type"], "ValueError", request)


def key_of(r):
    return r["headers"]["idempotency-key"]


def test_a_killed_daemon():
    """A GET is sent again with its key; a POST is lost, unless the job says otherwise."""
    server.release.clear()
    with daemon.client() as c:
        jobs = [c.submit([{"http": {"url": server.url("/gate/%s" % n), "method": method}, **more},
                          {"http": server.url("/echo/after")}])
                for n, method, more in (("get", "GET", {}), ("post", "POST", {}),
                                        ("again", "POST", {"on_lost": "retry"}),
                                        ("fail", "GET", {"on_lost": "fail"}))]
        for n in ("get", "post", "again", "fail"):
            wait_until(lambda n=n: server.seen("/gate/" + n), "the requests")
    daemon.kill()
    daemon.start()
    for n in ("get", "again"):
        wait_until(lambda n=n: len(server.seen("/gate/" + n)) == 2, "the second request")
    server.open_gate()
    with daemon.client() as c:
        ends = [c.finish(job) for job in jobs]
    equal([e["state"] for e in ends], ["succeeded", "lost", "succeeded", "lost"])
    equal([e["error"] and e["error"]["type"] for e in ends], [None, "LostError", None, "LostError"])
    for n, times in (("get", 2), ("post", 1), ("again", 2), ("fail", 1)):
        sent = server.seen("/gate/" + n)
        equal(len(sent), times, n)
        equal(len({key_of(r) for r in sent}), 1, n)
    equal(len({key_of(r) for r in server.requests if r["path"].startswith("/gate/")}), 4)
    check(len({key_of(r) for r in server.seen("/echo/after")}) == 2)
    with daemon.client() as c:
        equal(c.call("job.get", id=jobs[0])["attempts"]["lost"], 1)


def test_each_attempt_has_its_key():
    error(server.url("/status/500?retry"), retry=3)
    equal(len({key_of(r) for r in server.seen("/status/500?retry")}), 3)


def test_a_daemon_that_is_stopped():
    """It waits for what is in flight, and starts nothing."""
    server.release.clear()
    with daemon.client() as c:
        job = c.submit([{"http": {"url": server.url("/gate/stop"), "method": "POST"}},
                        {"http": {"url": server.url("/echo/next"), "method": "POST"}},
                        {"run": ["true"]}])
        wait_until(lambda: server.seen("/gate/stop"), "the request")
    daemon.process.send_signal(signal.SIGTERM)
    threading.Timer(0.3, server.open_gate).start()
    equal(daemon.process.wait(10), 0)
    equal(server.seen("/echo/next"), [])
    daemon.start()
    with daemon.client() as c:
        end = c.finish(job)
    equal((end["state"], len(server.seen("/gate/stop")), len(server.seen("/echo/next"))),
          ("succeeded", 1, 1), str(end["error"]))


def test_a_daemon_that_is_stopped_in_a_hurry():
    """A second signal: what is in flight is lost."""
    told = daemon.log().count("stopping")
    with daemon.client() as c:
        job = c.submit([{"http": {"url": server.url("/hang/stop"), "method": "POST"}}])
        wait_until(lambda: server.seen("/hang/stop"), "the request")
    daemon.process.send_signal(signal.SIGTERM)
    wait_until(lambda: daemon.log().count("stopping") > told, "the first signal")
    began = time.monotonic()
    daemon.process.send_signal(signal.SIGTERM)
    equal(daemon.process.wait(4), 0)
    check(time.monotonic() - began < 4)
    daemon.start()
    with daemon.client() as c:
        equal(c.finish(job)["error"]["type"], "LostError")


def test_the_pool():
    """Requests have slots of their own: commands do not wait for them."""
    server.release.clear()
    with daemon.client() as c:
        pools = {p["name"]: p for p in c.call("pool.list")["pools"]}
        equal(pools["http"]["slots"], 10000)
        c.call("pool.set", name="http", slots=2)
        jobs = [c.submit([{"http": server.url("/gate/pool")}]) for _ in range(4)]
        wait_until(lambda: len(server.seen("/gate/pool")) == 2, "two requests")
        pools = {p["name"]: p for p in c.call("pool.list")["pools"]}
        equal((pools["http"]["taken"], pools["http"]["waiting"]), (2, 2))
        equal(pools["default"]["taken"], 0)
        equal(c.run([{"run": ["true"]}])["state"], "succeeded")
        server.open_gate()
        for job in jobs:
            equal(c.finish(job)["state"], "succeeded")
        c.call("pool.set", name="narrow", slots=1)
        equal(c.run([{"http": server.url("/echo"), "pool": "narrow"}])["state"], "succeeded")
        check("no pool" in c.run([{"http": server.url("/echo"), "pool": "none"}])["error"]["message"])
        c.call("pool.set", name="http", slots=10000)


def make_certificates(folder):
    """A CA's file, and a server's for localhost."""
    def openssl(*args):
        subprocess.run(["openssl", *args], check=True, cwd=folder, capture_output=True)
    try:
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem",
                "-subj", "/CN=test", "-addext", "basicConstraints=critical,CA:TRUE")
    except FileNotFoundError:
        raise Skip("there is no openssl") from None
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "s.key", "-out", "s.csr", "-subj", "/CN=localhost")
    with open(os.path.join(folder, "ext"), "w", encoding="ascii") as f:
        f.write("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    openssl("x509", "-req", "-in", "s.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-out", "s.pem", "-extfile", "ext")
    with open(os.path.join(folder, "both.pem"), "w", encoding="ascii") as out:
        for name in ("s.pem", "s.key"):
            with open(os.path.join(folder, name), encoding="ascii") as f:
                out.write(f.read())


def test_tls():
    folder = daemon.directory
    make_certificates(folder)
    secure = Server("localhost", os.path.join(folder, "both.pem"))
    check("certificate" in reason(secure.url("/echo")), "an unknown CA")

    def trusted():
        equal(value(secure.url("/echo"))["status"], 200)
        check("127.0.0.2" in reason(secure.url("/echo", "127.0.0.2")), "another name")
        check(reason(secure.url("/echo").replace("https", "http")))
        value({"url": secure.url("/to/307?url=" + server.url("/echo")),
               "headers": {"Authorization": "hidden"}})
        check("authorization" not in server.requests[-1]["headers"])
    with_settings("http_ca_file = %s\n" % os.path.join(folder, "ca.pem"), trusted)


HTTP2 = """
const http2 = require('http2'), fs = require('fs');
const pem = fs.readFileSync(process.argv[1]);
const s = http2.createSecureServer({cert: pem, key: pem, allowHTTP1: false});
s.on('stream', (stream, headers) => {
  stream.resume();
  stream.on('end', () => {
    stream.respond({':status': 200, 'content-type': 'text/plain'});
    stream.end('two ' + headers[':method']);
  });
});
s.listen(0, '127.0.0.1', () => console.log(s.address().port));
"""


def test_http2():
    folder = daemon.directory
    make_certificates(folder)
    try:
        p = subprocess.Popen(["node", "-e", HTTP2, os.path.join(folder, "both.pem")],
                             stdout=subprocess.PIPE, text=True)
    except FileNotFoundError:
        raise Skip("there is no node") from None
    try:
        url = "https://127.0.0.1:%d/" % int(p.stdout.readline())

        def two():
            equal(value(url)["body"], "two GET")
            equal(value({"url": url, "json": [1]})["body"], "two POST")
        with_settings("http_ca_file = %s\n" % os.path.join(folder, "ca.pem"), two)
    finally:
        p.kill()
        p.wait()


SLOW_RESOLVER = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>
#include <unistd.h>
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **ret)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) =
        dlsym(RTLD_NEXT, "getaddrinfo");
    if (name && strcasecmp(name, "slow.test") == 0) {
        sleep(60);
        return EAI_AGAIN;
    }
    return real(name, service, hints, ret);
}
"""


@contextlib.contextmanager
def slow_resolver(connect_timeout):
    global daemon
    if built_with_sanitizers():
        raise Skip("a sanitizer must be loaded first")
    library = os.path.join(daemon.directory, "slow.so")
    try:
        subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", library], check=True,
                       input=SLOW_RESOLVER.encode())
    except FileNotFoundError:
        raise Skip("there is no cc") from None
    old, daemon = daemon, Daemon(config="http_connect_timeout = %s\n" % connect_timeout,
                                 env={"LD_PRELOAD": library})
    try:
        with daemon:
            yield
    finally:
        daemon = old


def test_a_name_server_that_does_not_answer():
    """It holds up nothing: neither others nor the end of who asked."""
    with slow_resolver("2s"):
        began = time.monotonic()
        equal(error("http://slow.test/", timeout=0.2)["type"], "TimeoutError")
        with daemon.client() as c:
            job = c.submit([{"http": "http://slow.test/"}])
            wait_until(lambda: "http GET" in str(c.call("job.tree", id=job)), "the request")
            c.call("job.cancel", id=job)
            equal(c.finish(job)["state"], "cancelled")
        check(time.monotonic() - began < 20, "it was waited for")
        check("imed out" in reason("http://slow.test/"))
        equal(value(server.url("/echo", "localhost"))["status"], 200)


def test_names_of_who_does_not_wait():
    """The threads that resolve them are few, also when nobody wants to know any more."""
    ask_one = {"try": {"http": "http://slow.test/", "timeout": 0.01}, "except": [{"do": []}]}
    with slow_resolver("60s"), daemon.client() as c:
        end = c.run([{"gather": {"for": "i", "in": {"range": 10}, "do": {
            "for": "k", "in": {"range": 20}, "do": ask_one}}}])
        equal(end["state"], "succeeded", str(end["error"]))
        threads = len(os.listdir("/proc/%d/task" % daemon.process.pid))
        check(threads <= 64 + 8, threads)


def test_names_that_wait_for_a_slow_server_of_names():
    """Requests to other hosts pass by."""
    with slow_resolver("60s"), daemon.client() as c:
        slow = [c.submit([{"http": "http://%s/%d" % (name, i)}]) for i in range(100)
                for name in ("slow.test", "user@SLOW.test:8080")]
        wait_until(lambda: "http GET" in str(c.call("job.tree", id=slow[-1])), "the requests")
        began = time.monotonic()
        equal(value(server.url("/echo", "localhost"))["status"], 200)
        equal(value(server.url("/echo"))["status"], 200)
        check(time.monotonic() - began < 20, "they waited")
        threads = len(os.listdir("/proc/%d/task" % daemon.process.pid))
        check(threads <= 16 + 8, threads)
        c.call("job.kill", ids=slow)
        for job in slow:
            c.finish(job)


def test_commands_do_not_have_its_descriptors():
    """The daemon takes as many as it may; what it starts has what was given."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1000, hard))

    def limits():
        with daemon.client() as c:
            job = c.run([{"sh": "ulimit -Sn; ulimit -Hn", "as": "r"}, {"return": "${r.stdout}"}])
        equal(job["value"], "1000\n%d" % hard)
        with open("/proc/%d/limits" % daemon.process.pid, encoding="ascii") as f:
            check("%d %d" % (hard, hard) in " ".join(f.read().split()))
    try:
        with_settings("", limits)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_environment_says_nothing():
    """No proxy, no netrc."""
    global daemon
    home = daemon.directory
    with open(os.path.join(home, ".netrc"), "w", encoding="ascii") as f:
        f.write("machine 127.0.0.1 login hidden password hidden\n")
    old, daemon = daemon, Daemon(env={"http_proxy": "http://127.0.0.1:1/", "ALL_PROXY": "http://127.0.0.1:1/",
                                      "HTTP_PROXY": "http://127.0.0.1:1/", "HOME": home})
    try:
        with daemon:
            check("authorization" not in value(server.url("/echo"))["json"]["headers"])
    finally:
        daemon = old


if __name__ == "__main__":
    with daemon:
        run_tests(globals(), sys.argv[1:])
