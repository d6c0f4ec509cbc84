"""A Drive on loopback: sockets, and which part answers what. Everything it is asked is checked and counted."""

from __future__ import annotations

import contextlib
import re
import select
import socket
import threading
from collections import Counter
from typing import Any
from urllib.parse import unquote

from ..wire import PIECE, Broken, Head, Stream
from . import schema, upload
from .errors import Refusal, Violation, invalid, refusal
from .faults import Call, Fault, Faults
from .methods import Api
from .oauth import OAuth
from .request import IMPERSONATE, MEDIA_PATH, Request, as_object, inner_request
from .store import Caller, File, Store
from .upload import Answer, Uploads, as_json

_BYTES = re.compile(r"bytes=(\d*)-(\d*)")
MAX_BATCH = 100
REASON_PHRASES = {200: "OK", 204: "No Content", 206: "Partial Content", 302: "Found", 308: "Resume Incomplete"}
_EARLY = ("upload.chunk", "upload.media")  # what is cut while it is read


class _Stalled(Exception):
    """This connection is to hang until the client gives up."""


class _Cut(Exception):
    """This connection is to be closed now."""


class Server:
    """The machine; `DriveServer` adds what tests say to it."""

    def __init__(self) -> None:
        self.store = Store()
        self.api = Api(self.store)
        self.uploads = Uploads(self.api)
        self.oauth = OAuth(self.store.now)
        self.faults = Faults()
        self.requests: list[Call] = []
        self.violations: list[str] = []
        self.round_trips = 0
        self.most_in_flight = 0
        self._in_flight = 0
        self._closing = threading.Event()
        self._mutex = threading.Lock()
        self._streams: set[Stream] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/"

    # ---------------------------------------------------------------- life

    def start(self) -> None:
        """Answer from now on."""
        self._run(self._accept)

    def stop(self) -> None:
        """Close all connections and wait for the threads."""
        self._closing.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._mutex:
            streams = list(self._streams)
        for stream in streams:
            with contextlib.suppress(OSError):
                stream.sock.shutdown(socket.SHUT_RDWR)
        for thread in list(self._threads):
            thread.join(10)

    def _run(self, call: Any, *arguments: Any) -> None:
        thread = threading.Thread(target=call, args=arguments, daemon=True)
        self._threads = [each for each in self._threads if each.is_alive()] + [thread]
        thread.start()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self._run(self._talk, sock)

    def _talk(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream = Stream(sock)
        with self._mutex:
            self._streams.add(stream)
        try:
            while not self._closing.is_set() and (head := stream.head()) is not None:
                self._exchange(stream, head)
                if head.closes:
                    break
        except _Stalled:
            with contextlib.suppress(OSError):
                while not self._closing.is_set():
                    if select.select([sock], [], [], 0.1)[0] and not sock.recv(PIECE):
                        break
        except (_Cut, OSError, Broken, ValueError):
            pass  # the client went, or is to think that we did
        finally:
            with self._mutex:
                self._streams.discard(stream)
            stream.close()

    # ---------------------------------------------------------------- one request

    def _exchange(self, stream: Stream, head: Head) -> None:
        request = Request(head.first[0], head.first[1], head.headers)
        call = self._call(request)
        call.account = self.oauth.known(head.headers)
        with self._mutex:
            self.requests.append(call)
            self.round_trips += 1
            self._in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self._in_flight)
        try:
            self._serve(stream, head, request, call)
        finally:
            with self._mutex:
                self._in_flight -= 1

    @staticmethod
    def _call(request: Request) -> Call:
        query = {name: values[-1] for name, values in request.query.items()}
        return Call(request.name, request.verb, request.path, query, file_id=request.file_id)

    def _serve(self, stream: Stream, head: Head, request: Request, call: Call) -> None:
        fault, seconds = self.faults.pick(call) if call.name in _EARLY else (None, 0.0)
        stop = fault.at if fault is not None and fault.what == "cut-upload" else -1
        self._read(stream, head, request, call, stop)
        answer: Answer | None = None
        try:
            request.unwrap()
            call.query = {name: values[-1] for name, values in request.query.items()}
            call.name = request.name
            if call.name not in _EARLY:
                call.body = request.metadata(call.name)
                fault, seconds = self.faults.pick(call)
        except Refusal as why:
            answer = self._refused(why, call)
        if seconds:
            self._closing.wait(seconds)
        what = fault.what if fault is not None else ""
        if what == "drop" or (what == "cut-upload" and call.name not in _EARLY):
            raise _Cut
        if what == "stall":
            raise _Stalled
        if answer is None:
            answer = self._answered(request, call, fault)
        if what in ("lose", "cut-upload") or not request.whole:
            raise _Cut
        if what == "stall-answer":
            raise _Stalled
        if what == "lose-500":
            answer = as_json(Refusal(500, "internalError", "Internal Error").document(), 500)
        call.status = answer.status
        self._send(stream, request.encoded(answer), call, fault)
        if what == "hang-up":
            raise _Cut

    @staticmethod
    def _read(stream: Stream, head: Head, request: Request, call: Call, stop: int) -> None:
        """Read the body, or what of it comes: the first `stop` bytes when that is not negative."""
        data = bytearray()
        try:
            for piece, is_content in stream.body(head):
                data += piece if is_content else b""
                if 0 <= stop <= len(data):
                    data, request.whole = data[:stop], False
                    break
        except (Broken, OSError):
            if call.name != "upload.chunk":
                raise
            request.whole = False
        request.body, call.up = bytes(data), len(data)

    @staticmethod
    def _send(stream: Stream, answer: Answer, call: Call, fault: Fault | None) -> None:
        body, what, at = answer.body, fault.what if fault else "", fault.at if fault else 0
        if what == "shorten-download":
            body = body[:at]
        if what == "flip-download" and at < len(body):
            body = body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]
        lines = [f"HTTP/1.1 {answer.status} {REASON_PHRASES.get(answer.status, 'Error')}"]
        lines += [f"{name}: {value}" for name, value in answer.headers.items()]
        if answer.status != 204:
            lines.append(f"Content-Length: {len(body)}")
        head = "\r\n".join([*lines, "", ""]).encode()
        call.down = min(at, len(body)) if what in ("cut-download", "stall-download") else len(body)
        if what in ("cut-download", "stall-download"):
            stream.write(head + body[:at])
            raise _Cut if what == "cut-download" else _Stalled
        stream.write(head + body if len(body) < PIECE else head)
        if len(body) >= PIECE:
            stream.write(body)

    # ---------------------------------------------------------------- who answers

    def _refused(self, why: Refusal, call: Call) -> Answer:
        if isinstance(why, Violation):
            with self._mutex:
                self.violations.append(f"{call.name} {call.verb} {call.path}: {why.message}")
        body = why.body()
        kind = {b"<": "text/html", b"{": "application/json"}.get(body[:1], "text/plain")
        return Answer(why.status, {"Content-Type": f"{kind}; charset=UTF-8", **why.headers}, body)

    def _answered(self, request: Request, call: Call, fault: Fault | None) -> Answer:
        what = fault.what if fault is not None else ""
        try:
            if fault is not None and (given := fault.answer()) is not None:
                raise given
            if what == "invalid_grant":
                return as_json({"error": what, "error_description": "Token has been expired or revoked."}, 400)
            if fault is not None and what == "short-chunk":
                request.kept = fault.at
            if fault is not None and what == "flip-upload":
                request.flipped = fault.at
            if what == "expire-session":
                self.uploads.forget(request.query.get("upload_id", [""])[0])
            return self._route(request, call)
        except Refusal as why:
            return self._refused(why, call)
        except Exception as why:  # a mistake of this server: said where a test sees it
            with self._mutex:
                self.violations.append(f"{call.name} {call.path}: the server failed: {why!r}")
            return self._refused(refusal("internalError"), call)

    def _route(self, request: Request, call: Call) -> Answer:
        if call.name == "token":
            return self.oauth.token(request.form(), request.headers)
        if call.name == "auth":
            return self.oauth.authorize({name: values[0] for name, values in request.query.items()})
        if call.name == "revoke":
            return self.oauth.revoke(request.form().get("token") or request.query.get("token", [""])[0])
        if match := IMPERSONATE.fullmatch(request.path):
            return self.oauth.impersonate(unquote(match[1]), request.headers, request.document())
        if "upload_id" in request.query:
            return self._session(request, call)
        caller = self.oauth.caller(request.headers)
        call.account = caller.email
        if call.name == "batch":
            return self._batch(request, call, caller)
        if match := MEDIA_PATH.fullmatch(request.path):
            return self._upload(request, match[1], call, caller)
        return self._plain(request, call, caller)

    def _plain(self, request: Request, call: Call, caller: Caller) -> Answer:
        if not request.path.startswith("/drive/v3/"):
            raise Violation(404, "notFound", f"{request.path}: no such address")
        method, given = schema.route(request.verb, request.path.removeprefix("/drive/v3/"))
        given |= schema.check_query(method, request.query)
        if given.get("alt") == "media":
            if method.name != "files.get":
                raise invalid(f"{method.name} has no media", "alt", "invalidParameter")
            return self._media(self.api.media(given, caller), request.headers.get("range", ""))
        if request.body and not method.request:
            raise invalid(f"{method.name} takes no body", reason="badContent")
        body = request.document()
        if method.request:
            schema.check_body(method.request, body, writing=True)
        return as_json(self.api.call(method, given, body, caller))

    @staticmethod
    def _media(file: File, wanted: str) -> Answer:
        size, kind = len(file.content), {"Content-Type": file.mime, "Accept-Ranges": "bytes"}
        if not wanted:
            return Answer(200, kind, file.content)
        match = _BYTES.fullmatch(wanted)
        if match is None or match[1] + match[2] == "":
            raise invalid(f"Range {wanted!r} cannot be read", "Range")
        first = int(match[1]) if match[1] else max(0, size - int(match[2]))
        last = min(int(match[2]), size - 1) if match[1] and match[2] else size - 1
        if first > last:
            made = refusal("requestedRangeNotSatisfiable", location="Range", location_type="header")
            made.headers["Content-Range"] = f"bytes */{size}"
            raise made
        where = {"Content-Range": f"bytes {first}-{last}/{size}"}
        return Answer(206, kind | where, file.content[first : last + 1])

    # ---------------------------------------------------------------- uploads and batches

    def _session(self, request: Request, call: Call) -> Answer:
        session_id = request.query["upload_id"][0]
        call.account = self.uploads.find(session_id).caller.email
        if request.verb == "DELETE":
            self.uploads.forget(session_id)
            return Answer(499, {})
        if request.verb not in ("PUT", "POST"):
            raise Violation(405, "httpMethodNotAllowed", f"{request.verb}: an upload is sent with PUT")
        content_range, data = request.headers.get("content-range", ""), request.arrived(request.body)
        return self.uploads.put(session_id, content_range, data, whole=request.whole, kept=request.kept)

    def _upload(self, request: Request, path: str, call: Call, caller: Caller) -> Answer:
        method, given = schema.route(request.verb, path)
        given |= schema.check_query(method, request.query)
        if method.name not in ("files.create", "files.update"):
            raise invalid(f"{method.name} takes no media", reason="badContent")
        kind = given.get("uploadType")
        if kind == "resumable":
            metadata = request.document()
            schema.check_body("File", metadata, writing=True)
            return self.uploads.start(method, given, metadata, caller, request.headers, self.url)
        if kind == "multipart":
            parts = upload.parts_of(request.body, request.headers.get("content-type", ""))
            if len(parts) != 2 or not parts[0][0].get("content-type", "").startswith("application/json"):
                raise invalid("multipart/related is one part of JSON and one of media", reason="badContent")
            metadata, content = as_object(parts[0][1]), parts[1][1]
            schema.check_body("File", metadata, writing=True)
            mime = parts[1][0].get("content-type", "application/octet-stream")
        elif kind == "media":
            metadata, content = {}, request.body
            mime = request.headers.get("content-type", "application/octet-stream")
        else:
            raise invalid(f"uploadType {kind!r}", "uploadType", "invalidParameter")
        return self.uploads.finish(method, given, {"mimeType": mime, **metadata}, request.arrived(content), caller)

    def _batch(self, request: Request, call: Call, caller: Caller) -> Answer:
        parts = upload.parts_of(request.body, request.headers.get("content-type", ""))
        if len(parts) > MAX_BATCH:
            raise invalid(f"The batch has {len(parts)} calls; {MAX_BATCH} are allowed.", reason="badRequest")
        answers = []
        for headers, content in parts:
            inner = inner_request(content)
            one = self._call(inner)
            one.account = caller.email
            with self._mutex:
                self.requests.append(one)
            answer = self._inside(inner, one, caller)
            one.status = answer.status
            lines = [f"HTTP/1.1 {answer.status} {REASON_PHRASES.get(answer.status, 'Error')}"]
            lines += [f"{name}: {value}" for name, value in answer.headers.items()]
            lines += [f"Content-Length: {len(answer.body)}", "", ""]
            outer = f"Content-Type: application/http\r\nContent-ID: <response-{headers.get('content-id', '<>')[1:]}\r\n"
            answers.append(outer.encode() + b"\r\n" + "\r\n".join(lines).encode() + answer.body)
        answers.reverse()  # they come in any order
        body = b"".join(b"--batch_end\r\n" + one + b"\r\n" for one in answers) + b"--batch_end--\r\n"
        return Answer(200, {"Content-Type": "multipart/mixed; boundary=batch_end"}, body)

    def _inside(self, inner: Request, one: Call, caller: Caller) -> Answer:
        """Do one call of a batch; of the faults, only errors that are answered strike it."""
        try:
            if one.name.startswith(("upload.", "files.get_media", "batch")):
                raise invalid("Media and batches are not allowed in a batch.", reason="badRequest")
            one.body = inner.metadata(one.name)
            fault, _ = self.faults.pick(one)
            if fault is not None and (given := fault.answer()) is not None:
                raise given
            if "authorization" in inner.headers:
                caller = self.oauth.caller(inner.headers)
            return self._plain(inner, one, caller)
        except Refusal as why:
            return self._refused(why, one)

    @property
    def calls(self) -> Counter[str]:
        """How often each call was made, those in batches too."""
        return Counter(one.name for one in list(self.requests))
