"""A web server that does what a test asks for, by its path; in a thread of its own."""
import asyncio
import base64
import json
import random
import ssl
import threading
import urllib.parse


class Server:
    """Server().url("/echo") …; .requests is what came, .open how many connections there are."""

    def __init__(self, host="127.0.0.1", certificate=None):
        self.host = host
        self.certificate = certificate
        self.requests = []
        self.open = 0
        self.connections = 0
        self.at_gate = 0
        self.gate_size = 0
        self.loop = asyncio.new_event_loop()
        self.release = asyncio.Event()
        ready = threading.Event()
        threading.Thread(target=self.run, args=(ready,), daemon=True).start()
        ready.wait()

    def run(self, ready):
        asyncio.set_event_loop(self.loop)
        context = None
        if self.certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.certificate)
        server = self.loop.run_until_complete(
            asyncio.start_server(self.serve, self.host, 0, ssl=context, backlog=20000))
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        self.loop.run_forever()

    def url(self, path, host=None):
        return "http%s://%s:%d%s" % ("s" if self.certificate else "", host or self.host, self.port, path)

    def seen(self, path):
        return [r for r in self.requests if r["path"] == path]

    def open_gate(self):
        """Whoever hangs at /gate is answered."""
        self.loop.call_soon_threadsafe(self.release.set)

    async def serve(self, reader, writer):
        self.open += 1
        self.connections += 1
        try:
            while await self.one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            self.open -= 1
            writer.close()

    async def one(self, reader, writer):
        line = (await reader.readline()).decode("latin-1").split()
        if len(line) != 3:
            return False
        headers = {}
        while (text := (await reader.readline()).decode("latin-1").rstrip("\r\n")):
            name, _, value = text.partition(":")
            headers[name.strip().lower()] = value.strip()
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        request = {"method": line[0], "path": line[1], "headers": headers, "body": body}
        writer.head_only = line[0] == "HEAD"
        self.requests.append(request)
        name, _, query = line[1].partition("?")
        words = name.strip("/").split("/")
        action = getattr(self, "do_" + words[0].replace("-", "_"), self.do_missing)
        request["query"] = dict(urllib.parse.parse_qsl(query))
        self.writer_of = writer
        return await action(request, writer, reader, *words[1:])

    async def send(self, writer, status, body=b"", headers=()):
        lines = ["HTTP/1.1 %d Whatever" % status, "Content-Length: %d" % len(body), *headers]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        if not writer.head_only:  # it would be taken for the next reply
            writer.write(body)
        await writer.drain()
        return True

    async def until_closed(self, reader):
        while await reader.read(65536):
            pass
        return False

    async def do_missing(self, request, writer, reader, *_):
        return await self.send(writer, 404, b"there is none", ["Content-Type: text/plain"])

    async def do_echo(self, request, writer, reader, *_):
        told = dict(request, body=request["body"].decode("latin-1"),
                    base64=base64.b64encode(request["body"]).decode())
        return await self.send(writer, 200, json.dumps(told).encode(),
                               ["Content-Type: application/json; charset=utf-8"])

    async def do_status(self, request, writer, reader, status):
        body = b"" if status == "204" else b"as you like"
        return await self.send(writer, int(status), body, ["X-Reason: none"])

    async def do_text(self, request, writer, reader, *_):
        return await self.send(writer, 200, "grüße\n".encode(),
                               ["Set-Cookie: a=1", "Set-Cookie: b=2", "X-Name: J\xfcrgen"])

    async def do_bytes(self, request, writer, reader, *_):
        return await self.send(writer, 200, b"\xff\xfe\x00\x01")

    async def do_bad_json(self, request, writer, reader, *_):
        return await self.send(writer, 200, b"{no json", ["Content-Type: application/json"])

    async def do_deep_json(self, request, writer, reader, *_):
        return await self.send(writer, 200, b"[" * 100000 + b"]" * 100000,
                               ["Content-Type: application/problem+json"])

    async def do_big(self, request, writer, reader, size):
        return await self.send(writer, 200, ("ä" * (int(size) // 2)).encode())

    async def do_endless(self, request, writer, reader, *_):
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    async def do_endless_chunks(self, request, writer, reader, *_):
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"1\r\nx\r\n" * 10000)
            await writer.drain()

    async def do_huge_chunk(self, request, writer, reader, *_):
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nx")
        await writer.drain()
        return False

    async def do_endless_headers(self, request, writer, reader, *_):
        writer.write(b"HTTP/1.1 200 OK\r\n")
        n = 0
        while True:
            n += 1
            writer.write(b"X-%d: %s\r\n" % (n, b"y" * 100))
            await writer.drain()

    async def do_long_header(self, request, writer, reader, *_):
        writer.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        while True:
            writer.write(b"y" * 65536)
            await writer.drain()

    async def do_endless_100(self, request, writer, reader, *_):
        while True:
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)
            await writer.drain()

    async def do_trailers(self, request, writer, reader, *_):
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Late\r\n\r\n"
                     b"2\r\nhi\r\n0\r\nX-Late: yes\r\n\r\n")
        await writer.drain()
        return True

    async def do_garbage(self, request, writer, reader, *_):
        writer.write(b"\x00\x01\x02 this is no HTTP\r\n\r\n")
        await writer.drain()
        return False

    async def do_short(self, request, writer, reader, *_):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")
        await writer.drain()
        return False

    async def do_nothing(self, request, writer, reader, *_):
        return False

    async def do_drip(self, request, writer, reader, *_):
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b".")
            await writer.drain()
            await asyncio.sleep(0.01)

    async def do_hang(self, request, writer, reader, *_):
        return await self.until_closed(reader)

    async def do_gate(self, request, writer, reader, *_):
        """Answers when open_gate() was called, or when gate_size are there."""
        self.at_gate += 1
        if self.gate_size and self.at_gate == self.gate_size:
            self.release.set()
        await self.release.wait()
        return await self.send(writer, 200, b"through")

    async def do_soon(self, request, writer, reader, *_):
        await asyncio.sleep(random.uniform(0, 0.1))
        return await self.send(writer, 200, b"done")

    async def do_to(self, request, writer, reader, status):
        return await self.send(writer, int(status), b"moved",
                               ["Location: " + request["query"]["url"]])

    async def do_again(self, request, writer, reader, *_):
        return await self.send(writer, 302, b"x" * 1000, ["Location: /again"])
