"""A proxy before an S3 server, that counts requests and breaks those that a test names.

Requests pass byte for byte, Host included, so signatures (path style) stay valid; TLS may end here. One thread per
connection. As a command, for benchmarks, it prints what it counted as JSON when it is stopped (Ctrl-C, SIGTERM):

    python -m tests.servers.proxy --upstream http://127.0.0.1:9000 --port 0
"""

from __future__ import annotations

import argparse
import contextlib
import json
import select
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from .certificate import Certificate
from .faults import Rule, Script, Target, classify
from .wire import PIECE, Broken, Head, Stream

_LOST = (OSError, Broken, ValueError)  # what a connection can end with; ValueError: a number that is none


@dataclass
class Exchange:
    """One request as the proxy saw it. Bytes are of heads and bodies, between client and proxy."""

    kind: str
    bucket: str
    key: str
    status: int = 0  # 0: the client got none
    up: int = 0
    down: int = 0
    fault: str = ""
    running: tuple[Stream, int, int] | None = None  # where it is counted, and what was counted there before it

    def settle(self) -> Exchange:
        """Bring the bytes of one that is still going on up to date."""
        if (running := self.running) is not None:
            client, taken, written = running
            self.up, self.down = client.taken - taken, client.written - written
        return self


class _Stalled(Exception):
    """This connection is to hang until the client gives up."""


class _Cut(Exception):
    """This connection is to be closed now."""


class Proxy:
    """Forwards to `upstream` (http); a context manager. Safe to ask from any thread."""

    def __init__(
        self,
        upstream: str,
        *,
        certificate: Certificate | None = None,
        rules: Iterable[Rule] = (),
        seed: int = 0,
        port: int = 0,
        latency: float = 0.0,
    ) -> None:
        parts = urlsplit(upstream)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(f"{upstream}: only plain http is forwarded to")
        self.upstream = (parts.hostname, parts.port or 80)
        self.latency = latency
        self.script = Script(rules, seed)
        self.exchanges: list[Exchange] = []
        self.most_in_flight = 0
        self.closing = threading.Event()
        self._in_flight = 0
        self._mutex = threading.Lock()
        self._streams: set[Stream] = set()
        self._threads: list[threading.Thread] = []
        self._tls = certificate.server_context() if certificate else None
        self._listener = socket.create_server(("127.0.0.1", port), backlog=512)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{self.port}"

    # ---------------------------------------------------------------- what a test asks and tells

    @property
    def counts(self) -> Counter[str]:
        """Requests by kind."""
        return Counter(one.kind for one in list(self.exchanges))

    @property
    def up(self) -> int:
        """Bytes that clients sent so far."""
        return sum(one.settle().up for one in list(self.exchanges))

    @property
    def down(self) -> int:
        """Bytes that clients got so far."""
        return sum(one.settle().down for one in list(self.exchanges))

    @property
    def faults(self) -> Counter[str]:
        """How often each fault struck."""
        return Counter(one.fault for one in list(self.exchanges) if one.fault)

    def reset(self, *rules: Rule) -> None:
        """Forget what was counted; from now on these rules are in force."""
        self.script.replace(rules)
        self.exchanges = []
        self.most_in_flight = 0

    def report(self) -> dict[str, object]:
        """Return all counts, ready for JSON."""
        return {
            "requests": len(self.exchanges),
            "kinds": dict(sorted(self.counts.items())),
            "statuses": dict(sorted(Counter(str(one.status) for one in self.exchanges).items())),
            "faults": dict(sorted(self.faults.items())),
            "bytes_up": self.up,
            "bytes_down": self.down,
            "most_in_flight": self.most_in_flight,
        }

    # ---------------------------------------------------------------- life

    def __enter__(self) -> Proxy:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._mutex:
            streams = list(self._streams)
        for stream in streams:
            with contextlib.suppress(OSError):
                stream.sock.shutdown(socket.SHUT_RDWR)  # wakes its thread, which closes it
        for thread in list(self._threads):
            thread.join(10)

    def _start(self, call: object, *arguments: object) -> None:
        thread = threading.Thread(target=call, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads = [each for each in self._threads if each.is_alive()] + [thread]
        thread.start()

    def _accept(self) -> None:
        while not self.closing.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self._start(self._talk, sock)

    def _talk(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(*_LOST), contextlib.ExitStack() as stack:
            stack.callback(sock.close)
            if self._tls is not None:
                sock.settimeout(30)
                sock = self._tls.wrap_socket(sock, server_side=True)
                stack.callback(sock.close)
                sock.settimeout(None)
            with _Connection(self, self.tracked(sock, stack)) as connection:
                connection.run()

    def tracked(self, sock: socket.socket, stack: contextlib.ExitStack) -> Stream:
        """Return a stream that is closed with `stack`, and shut down when the proxy ends."""
        stream = Stream(sock)
        stack.callback(self._streams.discard, stream)
        stack.callback(stream.close)
        with self._mutex:
            self._streams.add(stream)
        if self.closing.is_set():
            raise Broken("the proxy ends")
        return stream

    @contextlib.contextmanager
    def counted(self, target: Target, client: Stream, head_size: int) -> Iterator[Exchange]:
        """Record a request, whatever becomes of it."""
        exchange = Exchange(*target, running=(client, client.taken - head_size, client.written))
        with self._mutex:
            self.exchanges.append(exchange)
            self._in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self._in_flight)
        try:
            yield exchange
        finally:
            exchange.settle().running = None
            with self._mutex:
                self._in_flight -= 1


class _Connection:
    """One client, and the connection to the server made for it."""

    def __init__(self, proxy: Proxy, client: Stream) -> None:
        self._proxy = proxy
        self._client = client
        self._stack = contextlib.ExitStack()
        self._server: Stream | None = None
        self._whole = True  # whether the server took all of the request

    def __enter__(self) -> _Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self._drop_server()

    def run(self) -> None:
        """Serve until either side has had enough."""
        while (head := self._client.head()) is not None:
            target = classify(head.first[0], head.first[1], "x-amz-copy-source" in head.headers)
            with self._proxy.counted(target, self._client, len(head.raw)) as exchange:
                rule, seconds = self._proxy.script.pick(target)
                exchange.fault = rule.fault if rule else "delay" if seconds else ""
                if seconds or self._proxy.latency:
                    self._proxy.closing.wait(seconds + self._proxy.latency)
                try:
                    goes_on = self._exchange(head, exchange, rule)
                except _Stalled:
                    self._hang()
                    return
                except _Cut:
                    return
            if not goes_on:
                return

    def _exchange(self, head: Head, exchange: Exchange, rule: Rule | None) -> bool:
        """Do one request; tell whether the connection goes on."""
        fault = rule.fault if rule else ""
        if fault == "drop":
            return False
        if fault == "stall":
            raise _Stalled
        if fault in ("error", "slow_down", "deny"):
            waits = "100-continue" in head.get("expect")  # then the client has not sent the body, and will not
            for _ in () if waits else self._client.body(head):
                pass
            self._answer(exchange, fault, rule.seconds if rule else 0.0)
            return not waits
        server = self._connect()
        if server is None:
            self._answer(exchange, "unreachable", 0.0)
            return False
        self._whole = True
        reply = self._send(server, head, rule)
        goes_on = self._receive(server, head, reply, exchange, rule)
        if reply.closes or not goes_on or not self._whole:
            self._drop_server()
        return goes_on and not head.closes and not reply.closes and (self._whole or "expect" not in head.headers)

    # ---------------------------------------------------------------- to the server

    def _connect(self) -> Stream | None:
        """Return the connection to the server, a new one where the old one is no good any more."""
        if self._server is not None and select.select([self._server.sock], [], [], 0)[0]:
            self._drop_server()  # it has nothing to say now but that it closed
        if self._server is None:
            try:
                sock = socket.create_connection(self._proxy.upstream, timeout=30)
            except OSError:
                return None
            sock.settimeout(None)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._server = self._proxy.tracked(sock, self._stack)
        return self._server

    def _drop_server(self) -> None:
        self._server = None
        self._stack.close()

    def _send(self, server: Stream, head: Head, rule: Rule | None) -> Head:
        """Send the request; return the head of the reply, which may come before all is sent."""
        fault, at = (rule.fault, rule.at) if rule else ("", 0)
        server.write(head.raw)
        if "100-continue" in head.get("expect"):
            reply = self._reply(server)
            if reply.status != 100:
                self._whole = False
                return reply
            self._client.write(reply.raw)
        done = 0
        for piece, is_content in self._client.body(head):
            if is_content and fault == "flip_request":
                piece = _flipped(piece, at - done)
            if is_content and fault == "cut_request" and done + len(piece) > at:
                server.write(piece[: at - done])
                raise _Cut
            done += len(piece) if is_content else 0
            # A server that answers before it has read all, or closes, wants no more; the client sends it still.
            if self._whole and not select.select([server.sock], [], [], 0)[0]:
                try:
                    server.write(piece)
                except OSError:
                    self._whole = False
            else:
                self._whole = False
        if fault == "cut_request":
            raise _Cut  # shorter than that
        reply = self._reply(server)
        while reply.status == 100:
            reply = self._reply(server)
        return reply

    @staticmethod
    def _reply(server: Stream) -> Head:
        reply = server.head()
        if reply is None:
            raise Broken("no reply")
        return reply

    # ---------------------------------------------------------------- to the client

    def _receive(self, server: Stream, head: Head, reply: Head, exchange: Exchange, rule: Rule | None) -> bool:
        fault, at = (rule.fault, rule.at) if rule else ("", 0)
        no_body = head.first[0] == "HEAD" or reply.status in (204, 304)
        body = iter(()) if no_body else server.body(reply, until_close=True)
        if fault in ("swallow", "lost"):
            for _ in body:
                pass
            if fault == "swallow":
                return False
            self._answer(exchange, "error", 0.0)
            return True
        exchange.status = reply.status
        if fault == "shorten_reply" and not no_body:
            content = b"".join(piece for piece, is_content in body if is_content)
            self._client.write(reply.with_length(len(content[:at])) + content[:at])
            return True
        self._client.write(reply.raw)
        done = 0
        for piece, is_content in body:
            if is_content and fault == "flip_reply":
                piece = _flipped(piece, at - done)
            if is_content and fault in ("cut_reply", "stall_reply") and done + len(piece) > at:
                self._client.write(piece[: at - done])
                raise _Cut if fault == "cut_reply" else _Stalled
            done += len(piece) if is_content else 0
            self._client.write(piece)
        framed = no_body or "content-length" in reply.headers or "chunked" in reply.get("transfer-encoding")
        return framed

    def _answer(self, exchange: Exchange, what: str, seconds: float) -> None:
        """Answer in the server's place."""
        status, code, text = {
            "error": (500, "InternalError", "Internal Server Error"),
            "slow_down": (503, "SlowDown", "Slow Down"),
            "deny": (403, "AccessDenied", "Access Denied"),
            "unreachable": (502, "BadGateway", "Bad Gateway"),
        }[what]
        body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{text}</Message></Error>".encode()
        body = b"" if exchange.kind == "head" else body
        lines = [f"HTTP/1.1 {status} {text}", "Content-Type: application/xml", f"Content-Length: {len(body)}"]
        lines += [f"Retry-After: {seconds:g}"] if seconds else []
        self._client.write("\r\n".join([*lines, "", ""]).encode() + body)
        exchange.status = status

    def _hang(self) -> None:
        """Keep the connection open until the client closes it, or the proxy ends."""
        while not self._proxy.closing.is_set():
            if select.select([self._client.sock], [], [], 0.2)[0] and not self._client.sock.recv(PIECE):
                return


def _flipped(piece: bytes, at: int) -> bytes:
    return piece[:at] + bytes([piece[at] ^ 1]) + piece[at + 1 :] if 0 <= at < len(piece) else piece


def main() -> int:
    """Forward to an S3 server until stopped, then say what was counted."""
    parser = argparse.ArgumentParser(prog="python -m tests.servers.proxy", description=main.__doc__)
    parser.add_argument("--upstream", required=True, help="http://HOST:PORT")
    parser.add_argument("--port", type=int, default=0, help="0: a free one, printed on stderr")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds added to every request")
    given = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    begin = time.monotonic()
    with Proxy(given.upstream, port=given.port, latency=given.latency) as proxy:
        print(proxy.url, file=sys.stderr, flush=True)
        stop.wait()
    print(json.dumps({**proxy.report(), "seconds": round(time.monotonic() - begin, 3)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
