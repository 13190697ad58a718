"""A daemon that says what a test wants: for what a right one would never do, or not on demand."""
import base64
import json
import os
import socket
import threading


class Refused(Exception):
    """A JSON-RPC error as the reply."""

    def __init__(self, code, message, data=None):
        super().__init__(message)
        self.error = {"code": code, "message": message}
        if data is not None:
            self.error["data"] = data


class HangUp(Exception):
    """Closes the connection instead of a reply."""


class Peer:
    def __init__(self, daemon, sock):
        self.daemon = daemon
        self.sock = sock

    def send(self, message):
        self.raw(json.dumps(message).encode() + b"\n")

    def raw(self, data):
        try:
            self.sock.sendall(data)
        except OSError:
            pass

    def notify(self, method, **params):
        self.send({"jsonrpc": "2.0", "method": method, "params": params})

    def log(self, subscription, data, stream="stdout", task="1.1", attempt=1, **more):
        try:
            text, encoding = data.decode(), "utf-8"
        except UnicodeDecodeError:
            text, encoding = base64.b64encode(data).decode(), "base64"
        self.notify("log", subscription=subscription, task=task, attempt=attempt, stream=stream,
                    data=text, encoding=encoding, **more)

    def serve(self):
        try:
            for line in self.sock.makefile("rb"):
                self.answer(json.loads(line))
        except (HangUp, OSError):
            pass
        self.close()

    def close(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()

    def answer(self, request):
        reply = {"jsonrpc": "2.0", "id": request["id"]}
        self.daemon.asked.append((request["method"], request.get("params")))
        after = None
        try:
            handler = self.daemon.handlers.get(request["method"])
            if handler is None:
                raise Refused(-32601, "no such method")
            result = handler(self, request.get("params") or {})
            if isinstance(result, tuple):
                result, after = result
            reply["result"] = result
        except Refused as e:
            reply["error"] = e.error
        self.send(reply)
        if after is not None:
            after()


class FakeDaemon:
    """handlers: method → function(peer, params) → result, or (result, what to do behind it)."""

    def __init__(self, path, handlers):
        self.path = path
        self.handlers = handlers
        self.asked = []
        self.peers = []
        self.open()

    def open(self):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            peer = Peer(self, sock)
            self.peers.append(peer)
            threading.Thread(target=peer.serve, daemon=True).start()

    def params(self, method):
        """What the requests of a method carried."""
        return [params for name, params in self.asked if name == method]

    def close(self):
        """The socket is gone, as after a crash."""
        os.unlink(self.path)
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        for peer in self.peers:
            peer.close()
        self.peers = []
