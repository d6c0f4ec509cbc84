"""The proxy against a tiny HTTP server: what passes, what is counted, and that each fault does what it says."""

from __future__ import annotations

import http.client
import http.server
import json
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.servers.certificate import Certificate
from tests.servers.faults import FAULTS, KINDS, Rule, Script, Target, classify
from tests.servers.proxy import Proxy

CONTENT = bytes(range(256)) * 4096  # 1 MiB
AT = 300_000


class Upstream(http.server.ThreadingHTTPServer):
    """Keeps what was put; answers GET with it, or with `CONTENT`."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.stored: dict[str, bytes] = {}
        self.seen: list[str] = []
        self.hosts: list[str] = []
        self.refuses = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A connection that the proxy cut is what is tested."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Upstream

    def log_message(self, *_: object) -> None: ...

    def handle_expect_100(self) -> bool:
        return True if self.server.refuses else super().handle_expect_100()

    def _note(self) -> None:
        self.server.seen.append(f"{self.command} {self.path}")
        self.server.hosts.append(self.headers["Host"])

    def _reply(self, status: int, body: bytes, chunked: bool = False) -> None:
        self.send_response(status)
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if chunked:
            for at in range(0, len(body), 100_000):
                piece = body[at : at + 100_000]
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")
        else:
            self.wfile.write(body)

    def do_GET(self) -> None:
        self._note()
        self._reply(200, self.server.stored.get(self.path, CONTENT), chunked="chunked" in self.path)

    do_HEAD = do_GET

    def do_PUT(self) -> None:
        self._note()
        if self.server.refuses:
            self._reply(403, b"no")
            self.close_connection = True
            return
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            while self.rfile.readline() != b"\r\n":
                pass
            body = b"".join(parts)
        else:
            size = int(self.headers["Content-Length"])
            body = self.rfile.read(size)
            if len(body) < size:
                return
        self.server.stored[self.path] = body
        self._reply(200, b"")

    do_POST = do_PUT


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def proxy(upstream: Upstream) -> Iterator[Proxy]:
    with Proxy(upstream.url) as started:
        yield started


class Client:
    """One kept connection."""

    def __init__(self, proxy: Proxy, context: ssl.SSLContext | None = None) -> None:
        if context:
            self.connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                "127.0.0.1", proxy.port, timeout=60, context=context
            )
        else:
            self.connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=60)

    def __call__(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, bytes]:
        self.connection.request(method, path, body, headers)  # type: ignore[arg-type]
        reply = self.connection.getresponse()
        return reply.status, reply.read()


@pytest.fixture
def call(proxy: Proxy) -> Iterator[Client]:
    client = Client(proxy)
    yield client
    client.connection.close()


BROKEN = (http.client.HTTPException, OSError)


# ------------------------------------------------------------------------------ what passes


def test_everything_passes_on_one_connection_and_is_counted(proxy: Proxy, upstream: Upstream, call: Client) -> None:
    assert call("PUT", "/b/k", CONTENT) == (200, b"")
    assert upstream.stored["/b/k"] == CONTENT
    assert call("GET", "/b/k") == (200, CONTENT)
    assert call("HEAD", "/b/k") == (200, b"")
    assert call("GET", "/b?list-type=2") == (200, CONTENT)
    call.connection.close()
    assert upstream.seen == ["PUT /b/k", "GET /b/k", "HEAD /b/k", "GET /b?list-type=2"]
    assert set(upstream.hosts) == {f"127.0.0.1:{proxy.port}"}  # what the client signed
    assert proxy.counts == {"put": 1, "get": 1, "head": 1, "list": 1}
    put, get, head, _ = proxy.exchanges
    assert (put.kind, put.bucket, put.key, put.status, put.fault) == ("put", "b", "k", 200, "")
    assert len(CONTENT) < put.up < len(CONTENT) + 1000
    assert put.down < 1000
    assert len(CONTENT) < get.down < len(CONTENT) + 1000
    assert get.up < 1000
    assert head.down < 1000
    assert proxy.up == sum(each.up for each in proxy.exchanges)
    assert proxy.report()["requests"] == 4


def test_chunked_bodies_pass_both_ways(upstream: Upstream, call: Client) -> None:
    pieces = [CONTENT[at : at + 77_777] for at in range(0, len(CONTENT), 77_777)]
    assert call("PUT", "/b/k", iter(pieces))[0] == 200
    assert upstream.stored["/b/k"] == CONTENT
    assert call("GET", "/b/chunked") == (200, CONTENT)
    assert call("GET", "/b/k") == (200, CONTENT)


def _expecting(proxy: Proxy, body: bytes) -> tuple[bytes, bytes]:
    """Put as botocore does: first the head, the body only when told to go on."""
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=60) as sock:
        sock.sendall(b"PUT /b/k HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body))
        first = sock.recv(1000)
        if b" 100 " in first:
            sock.sendall(body)
            return first, sock.recv(1000)
        return first, b""


def test_a_client_that_waits_is_told_to_go_on(proxy: Proxy, upstream: Upstream) -> None:
    first, then = _expecting(proxy, CONTENT)
    assert first.startswith(b"HTTP/1.1 100")
    assert then.startswith(b"HTTP/1.1 200")
    assert upstream.stored["/b/k"] == CONTENT


def test_a_client_that_waits_is_refused_without_its_body(proxy: Proxy, upstream: Upstream) -> None:
    upstream.refuses = True
    assert _expecting(proxy, CONTENT)[0].startswith(b"HTTP/1.1 403")


def test_an_early_refusal_reaches_a_client_that_is_still_sending(upstream: Upstream, call: Client) -> None:
    upstream.refuses = True
    assert call("PUT", "/b/k", CONTENT * 8) == (403, b"no")
    upstream.refuses = False
    assert call("PUT", "/b/k", b"again") == (200, b"")


def test_tls_ends_here(upstream: Upstream, certificate: Certificate) -> None:
    with Proxy(upstream.url, certificate=certificate) as proxy:
        assert proxy.url.startswith("https://")
        client = Client(proxy, ssl.create_default_context(cafile=certificate.bundle))
        assert client("PUT", "/b/k", CONTENT)[0] == 200
        assert client("GET", "/b/k") == (200, CONTENT)
        client.connection.close()
        with pytest.raises(ssl.SSLCertVerificationError):
            Client(proxy, ssl.create_default_context())("GET", "/b/k")


def test_many_connections_at_once(proxy: Proxy, upstream: Upstream) -> None:
    proxy.reset(Rule("delay", seconds=0.2))
    wrong: list[object] = []

    def work(number: int) -> None:
        client = Client(proxy)
        for turn in range(3):
            path, body = f"/b/{number}-{turn}", CONTENT[number : number + 70_000]
            client("PUT", path, body)
            if client("GET", path)[1] != body:
                wrong.append(path)
        client.connection.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert proxy.counts == {"put": 48, "get": 48}
    assert proxy.most_in_flight > 4


def test_no_server_is_a_bad_gateway() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with Proxy(f"http://127.0.0.1:{port}") as proxy:
        client = Client(proxy)
        assert client("GET", "/b/k")[0] == 502
        client.connection.close()


# ------------------------------------------------------------------------------ faults


def test_drop_never_reaches_the_server(proxy: Proxy, upstream: Upstream, call: Client) -> None:
    proxy.reset(Rule("drop", "put", times=1))
    with pytest.raises(BROKEN):
        call("PUT", "/b/k", CONTENT)
    assert upstream.seen == []
    call.connection.close()
    assert call("PUT", "/b/k", b"again")[0] == 200
    assert proxy.faults == {"drop": 1}
    assert [each.status for each in proxy.exchanges] == [0, 200]


def test_swallow_closes_after_the_server_did_it(proxy: Proxy, upstream: Upstream, call: Client) -> None:
    proxy.reset(Rule("swallow", "put"))
    with pytest.raises(BROKEN):
        call("PUT", "/b/k", CONTENT)
    assert upstream.stored["/b/k"] == CONTENT


def test_lost_tells_500_after_the_server_did_it(proxy: Proxy, upstream: Upstream, call: Client) -> None:
    proxy.reset(Rule("lost", "put", nth=(2,)))
    assert call("PUT", "/b/1", b"one")[0] == 200
    status, body = call("PUT", "/b/2", CONTENT)
    assert status == 500
    assert b"<Code>InternalError</Code>" in body
    assert upstream.stored["/b/2"] == CONTENT
    assert call("PUT", "/b/3", b"three")[0] == 200


def test_error_and_slow_down_never_reach_the_server(proxy: Proxy, upstream: Upstream, call: Client) -> None:
    proxy.reset(Rule("error", nth=(1,)), Rule("slow_down", nth=(1,), seconds=2))
    assert call("PUT", "/b/k", CONTENT)[0] == 500
    call.connection.request("PUT", "/b/k", CONTENT)
    reply = call.connection.getresponse()
    assert (reply.status, reply.headers["Retry-After"]) == (503, "2")
    assert b"SlowDown" in reply.read()
    assert upstream.seen == []
    assert call("PUT", "/b/k", CONTENT)[0] == 200
    proxy.reset(Rule("slow_down"))
    assert _expecting(proxy, CONTENT)[0].startswith(b"HTTP/1.1 503")


def test_deny_never_reaches_the_server(proxy: Proxy, upstream: Upstream, call: Client) -> None:
    proxy.reset(Rule("deny", "put", times=1))
    status, body = call("PUT", "/b/k", CONTENT)
    assert status == 403
    assert b"<Code>AccessDenied</Code>" in body
    assert upstream.seen == []
    assert call("PUT", "/b/k", CONTENT)[0] == 200


def test_cut_request_leaves_the_server_with_a_part(proxy: Proxy, upstream: Upstream, call: Client) -> None:
    proxy.reset(Rule("cut_request", at=AT))
    with pytest.raises(BROKEN):
        call("PUT", "/b/k", CONTENT)
    assert upstream.stored == {}


@pytest.mark.parametrize("chunked", [False, True])
def test_flip_request_changes_one_byte(proxy: Proxy, upstream: Upstream, call: Client, chunked: bool) -> None:
    proxy.reset(Rule("flip_request", at=AT))
    assert call("PUT", "/b/k", iter([CONTENT[:AT], CONTENT[AT:]]) if chunked else CONTENT)[0] == 200
    assert _differ(upstream.stored["/b/k"], CONTENT) == [AT]


def _differ(one: bytes, other: bytes) -> list[int]:
    assert len(one) == len(other)
    return [at for at, (a, b) in enumerate(zip(one, other, strict=True)) if a != b]


@pytest.mark.parametrize("path", ["/b/k", "/b/chunked"])
def test_flip_reply_changes_one_byte(proxy: Proxy, call: Client, path: str) -> None:
    proxy.reset(Rule("flip_reply", at=AT, times=1))
    assert _differ(call("GET", path)[1], CONTENT) == [AT]
    assert call("GET", path) == (200, CONTENT)


@pytest.mark.parametrize("path", ["/b/k", "/b/chunked"])
def test_cut_reply_breaks_the_connection(proxy: Proxy, call: Client, path: str) -> None:
    proxy.reset(Rule("cut_reply", at=AT))
    with pytest.raises(http.client.IncompleteRead) as caught:
        call("GET", path)
    assert caught.value.partial == CONTENT[:AT] or "chunked" in path
    assert AT < proxy.exchanges[0].down < AT + 1000


@pytest.mark.parametrize("path", ["/b/k", "/b/chunked"])
def test_shorten_reply_leaves_no_trace(proxy: Proxy, call: Client, path: str) -> None:
    proxy.reset(Rule("shorten_reply", at=AT, times=1))
    assert call("GET", path) == (200, CONTENT[:AT])
    assert call("GET", path) == (200, CONTENT)


@pytest.mark.parametrize("fault", ["stall", "stall_reply"])
def test_a_stalled_request_hangs_until_the_client_gives_up(proxy: Proxy, upstream: Upstream, fault: str) -> None:
    proxy.reset(Rule(fault, at=AT, times=1))
    client = Client(proxy)
    client.connection.timeout = 1
    with pytest.raises(TimeoutError):
        client("GET", "/b/k")
    assert upstream.seen == ([] if fault == "stall" else ["GET /b/k"])
    assert (AT < proxy.down < AT + 1000) == (fault == "stall_reply")  # also while it goes on
    client.connection.close()
    assert client("GET", "/b/k") == (200, CONTENT)
    client.connection.close()


def test_a_stalled_request_does_not_outlive_the_proxy(upstream: Upstream) -> None:
    with Proxy(upstream.url, rules=[Rule("stall")]) as proxy:
        client = Client(proxy)
        client.connection.request("GET", "/b/k")
    with pytest.raises(BROKEN):
        client.connection.getresponse()
    client.connection.close()


def test_delay_goes_with_another_fault(proxy: Proxy, call: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr(proxy.closing, "wait", waited.append)
    proxy.latency = 0.25
    proxy.reset(Rule("delay", "get", seconds=3), Rule("error", "get"))
    assert call("GET", "/b/k")[0] == 500
    assert call("PUT", "/b/k", b"x")[0] == 200
    proxy.reset(Rule("delay", "get", seconds=3))
    assert call("GET", "/b/k")[0] == 200
    assert waited == [3.25, 0.25, 3.25]
    assert proxy.faults == {"delay": 1}


def test_every_fault_is_tested() -> None:
    text = Path(__file__).read_text()
    assert [fault for fault in FAULTS if f'Rule("{fault}"' not in text and f'"{fault}"' not in text] == []


# ------------------------------------------------------------------------------ rules and kinds


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("GET /b/a/k", Target("get", "b", "a/k")),
        ("HEAD /b/k", Target("head", "b", "k")),
        ("PUT /b/k%20x", Target("put", "b", "k x")),
        ("DELETE /b/k", Target("delete", "b", "k")),
        ("GET /b?list-type=2&prefix=x", Target("list", "b", "")),
        ("GET /b/", Target("list", "b", "")),
        ("GET /b?location", Target("other", "b", "")),
        ("HEAD /b", Target("bucket", "b", "")),
        ("PUT /b", Target("bucket", "b", "")),
        ("POST /b?delete", Target("delete_many", "b", "")),
        ("POST /b/k?uploads", Target("create", "b", "k")),
        ("PUT /b/k?partNumber=1&uploadId=u", Target("part", "b", "k")),
        ("POST /b/k?uploadId=u", Target("complete", "b", "k")),
        ("DELETE /b/k?uploadId=u", Target("abort", "b", "k")),
        ("GET /b/k?uploadId=u", Target("list_parts", "b", "k")),
        ("GET /b?uploads", Target("list_uploads", "b", "")),
        ("GET http://host/b/k", Target("get", "b", "k")),
        ("PATCH /b/k", Target("other", "b", "k")),
    ],
)
def test_kinds_of_requests(line: str, expected: Target) -> None:
    found = classify(*line.split())
    assert found == expected
    assert found.kind in KINDS


def test_a_copy_is_no_put() -> None:
    assert classify("PUT", "/b/k", copies=True).kind == "copy"


def _struck(script: Script, targets: list[Target]) -> list[str]:
    return [rule.fault if (rule := script.pick(target)[0]) else "" for target in targets]


def test_conditions_of_a_rule_hold_together() -> None:
    get, put, other = Target("get", "b", "packs/1.zip"), Target("put", "b", "packs/1.zip"), Target("get", "b", "x")
    script = Script([Rule("drop", ("get",), key=r"^packs/.*\.zip$", nth=(2, 3), times=1)])
    assert _struck(script, [get, put, other, get, get, get]) == ["", "", "", "drop", "", ""]


def test_the_first_rule_that_strikes_wins() -> None:
    script = Script([Rule("drop", nth=(2,)), Rule("error")])
    assert _struck(script, [Target("get", "b", "k")] * 3) == ["error", "drop", "error"]


def test_chance_is_repeatable() -> None:
    targets = [Target("get", "b", "k")] * 200
    one, two, three = (_struck(Script([Rule("drop", probability=0.3)], seed), targets) for seed in (1, 1, 2))
    assert one == two != three
    assert 30 < one.count("drop") < 90


@pytest.mark.parametrize("make", [lambda: Rule("explode"), lambda: Rule("drop", "gte")])
def test_a_slip_in_a_rule_is_told(make: Callable[[], Rule]) -> None:
    with pytest.raises(ValueError, match="no such"):
        make()


# ------------------------------------------------------------------------------ the command


def test_the_command_prints_what_it_counted(upstream: Upstream) -> None:
    words = [sys.executable, "-m", "tests.servers.proxy", "--upstream", upstream.url, "--port", "0"]
    with subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as process:
        try:
            assert process.stderr
            port = int(process.stderr.readline().rpartition(":")[2])
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            for _ in range(3):
                connection.request("GET", "/b/k")
                assert connection.getresponse().read() == CONTENT
            connection.close()
        finally:
            process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=60)
    found = json.loads(out)
    assert (process.returncode, found["requests"], found["kinds"]) == (0, 3, {"get": 3})
    assert found["bytes_down"] > 3 * len(CONTENT) > found["bytes_up"]
