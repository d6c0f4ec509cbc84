"""A file behind ``http://`` or ``https://`` as an origin, with what Python brings.

Owns how an answer becomes a version and bytes, where a redirect may lead, and what a broken transfer is. A file is
taken as it is sent, never unpacked. Credentials go to the host they were given for, and to no other.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import ipaddress
import netrc
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any
from urllib.parse import SplitResult, quote, unquote, urlsplit, urlunsplit

from ..errors import (
    DvcLikeError,
    RemoteDenied,
    RemoteError,
    RemoteNotFound,
    RemoteUnavailable,
    SourceChanged,
    UnsafePath,
    UsageError,
)
from ..paths import show
from .base import Capabilities, Info, Sink
from .origin import UNKNOWN, Origin, changed
from .registry import redact
from .wrap import seconds_asked

PIECE = 1 << 20
_AS_THEY_ARE = "/%:@!$&'()*+,;=?~"  # in a path or a query; what a URL may not hold is escaped
TIMEOUT = 60.0  # seconds without a byte
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # addresses of IPv4 as networks write them that know only IPv6
_BUSY = (408, 425, 429, 500, 502, 503, 504)
_NO_HEAD = (400, 403, 404, 405, 501)  # what a server or a signed URL that only knows GET says to HEAD


def split(url: str) -> SplitResult:
    """Return the parts of a URL; raise `UsageError` when it has no sound host."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # tells only now what it is not
        if parts.hostname and parts.hostname.encode("idna"):
            return parts
    except ValueError:
        pass
    raise UsageError(f"{show(redact(url))} names no host", hint="Write https://HOST/PATH.")


class HttpOrigin(Origin):
    """One file; the only key is the empty one. The URL may hold a user and a password.

    With `only_public` none is asked that answers from this machine or a private network. `is_inside` tells that one
    did; what a proxy reached is not known.
    """

    capabilities = Capabilities("web server", concurrency=4)

    def __init__(self, url: str, *, timeout: float = TIMEOUT, only_public: bool = False) -> None:
        super().__init__()
        self.is_inside = False
        self._only_public = only_public
        parts = split(url)
        host = parts.hostname or ""
        place = f"[{host}]" if ":" in host else host
        where = f"{place}:{parts.port}" if parts.port else place
        path, query = quote(parts.path or "/", _AS_THEY_ARE), quote(parts.query, _AS_THEY_ARE)
        self._url = urlunsplit((parts.scheme, where, path, query, ""))
        self._name = show(redact(self._url))
        self._timeout = timeout
        self._login = _login(parts.username, parts.password, host, parts.scheme)
        self._opener = _opener()
        self._may_head = True

    # ---------------------------------------------------------------- asking

    @contextlib.contextmanager
    def _ask(self, method: str, headers: dict[str, str]) -> Iterator[Any]:
        """Send a request and hand out the answer, of which nothing but the head was read."""
        request = _Request(self._url, method=method)
        request.only_public = self._only_public
        request.headers = {"User-agent": "dvc-like", "Accept": "*/*", "Accept-encoding": "identity", **headers}
        if self._login:
            request.add_unredirected_header("Authorization", self._login)
        with _told(self._name), self._opener.open(request, timeout=self._timeout) as answer:
            self.is_inside = self.is_inside or request.began_public is False
            yield answer

    def stat(self, keys: Iterable[str]) -> dict[str, Info]:
        """Ask for the head alone, or where that is refused, for all and read nothing of it."""
        found: dict[str, Info] = {}
        for key in keys:
            try:
                with self._ask("HEAD" if self._may_head else "GET", {}) as answer:
                    found[key] = self._saw(key, *_version(answer))
            except (RemoteNotFound, RemoteDenied, RemoteError) as error:
                if getattr(error, "status", 0) not in _NO_HEAD:
                    raise
                with contextlib.suppress(RemoteNotFound), self._ask("GET", {}) as answer:
                    found[key] = self._saw(key, *_version(answer))
        return found

    def list(self, prefix: str) -> Iterator[tuple[str, Info]]:
        """Yield nothing: what a web page links to is no listing."""
        yield from ()

    def get(self, key: str, sink: Sink, *, start: int = 0, length: int | None = None) -> None:
        """Hand on what arrives; the rest from a place on only where it is proved that it is of the same version.

        Who asks for a part of some `length` compares it with what it was before, and needs no proof.
        """
        validator = self.validator(key)
        headers = {}
        if start or length is not None:
            headers["Range"] = f"bytes={start}-{'' if length is None else start + length - 1}"
            if validator:
                headers["If-range"] = validator
            elif length is None:
                raise SourceChanged(
                    f"{self._name}: the transfer broke off, and nothing proves what the rest would be of"
                )
        with self._ask("GET", headers) as answer:
            if answer.status == 206:
                self._check_part(key, answer, start)
                skip = 0
            else:
                try:
                    self._saw(key, *_version(answer))
                except SourceChanged:
                    self._may_head = False  # it may be that HEAD is told another story
                    raise
                if headers and validator != _version(answer)[1]:
                    raise changed(key)
                if start and length is not None:
                    raise RemoteError(
                        f"{self._name}: the server cannot send parts of a file", hint="Import it without --to-remote."
                    )
                skip = start
            self._receive(answer, sink, skip, length)

    def _check_part(self, key: str, answer: Any, start: int) -> None:
        said = answer.headers.get("Content-Range", "")
        unit, _, rest = said.partition(" ")
        place, _, total = rest.partition("/")
        begin = place.partition("-")[0]
        if unit.lower() != "bytes" or not begin.isdigit() or int(begin) != start:
            raise RemoteError(f"{self._name}: the server sent another part than it was asked for")
        size = int(total) if total.isdigit() else UNKNOWN
        token = _version(answer)[0].token or self._seen[key][0].token  # what was asked for by its version needs none
        self._saw(key, Info(size, token), "")

    def _receive(self, answer: Any, sink: Sink, skip: int, length: int | None) -> None:
        said = answer.headers.get("Content-Length")
        if said is None and not answer.chunked:
            raise RemoteError(
                f"{self._name}: the server does not tell where the data ends, so a broken transfer would look whole",
                hint="Download it in another way, and add it.",
            )
        expected = int(said) if said is not None and said.isdigit() else None
        seen = done = 0
        while length is None or done < length:
            piece = answer.read1(PIECE)
            if not piece:
                break
            seen += len(piece)
            piece = piece[max(0, skip - (seen - len(piece))) :]
            if length is not None:
                piece = piece[: length - done]
            if piece:
                sink.write(piece)
                done += len(piece)
        else:
            return
        if expected is not None and seen < expected:
            raise RemoteUnavailable(f"{self._name}: the connection broke after {seen:,} of {expected:,} bytes")


def _login(user: str | None, password: str | None, host: str, scheme: str) -> str:
    """Return the header that logs in: by what the URL says, else for https by the user's ``.netrc``."""
    if user is None and scheme == "https":
        with contextlib.suppress(OSError, netrc.NetrcParseError):
            found = netrc.netrc().authenticators(host)
            user, password = (found[0], found[2]) if found else (None, None)
            return _basic(user, password or "") if user is not None else ""
    return _basic(unquote(user), unquote(password or "")) if user is not None else ""


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _version(answer: Any) -> tuple[Info, str]:
    """Return what an answer says of the version it is of, and what proves that bytes are of it."""
    headers = answer.headers
    length = headers.get("Content-Length", "")
    size = int(length) if length.isdigit() and len(length) < 19 else UNKNOWN
    etag, modified = headers.get("ETag", "").strip(), headers.get("Last-Modified", "").strip()
    if etag:
        return Info(size, f"etag:{etag}"), "" if etag.startswith("W/") else etag
    with contextlib.suppress(ValueError, TypeError):
        # One that was made within the second it was asked for may be written again in that second.
        age = parsedate_to_datetime(headers.get("Date", "")) - parsedate_to_datetime(modified)
        return Info(size, f"mtime:{modified}"), modified if age.total_seconds() > 1 else ""
    return Info(size, f"mtime:{modified}" if modified else ""), ""


# ------------------------------------------------------------------------------ connecting


class _Request(urllib.request.Request):
    """A request that knows whether the first of its kind, before all redirects, went out to the Internet, or must."""

    began_public: bool | None = None
    only_public = False


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows to http and https, never from https to http, and hands a login on to the very same place only."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        old, new = urlsplit(req.full_url), urlsplit(newurl)
        where = show(redact(f"{new.scheme}://{new.netloc}"))
        fp.close()
        if new.scheme not in ("http", "https") or not new.hostname or "@" in new.netloc:
            raise RemoteDenied(f"it is redirected to {where}, which is not followed")
        if old.scheme == "https" and new.scheme == "http":
            raise RemoteDenied(f"it is redirected from https to {where}, where anybody on the way could change it")
        request = super().redirect_request(req, fp, code, msg, headers, newurl)
        if request is not None:
            request = _Request(request.full_url, headers=request.headers, method=req.get_method())
            request.began_public, request.only_public = req.began_public, req.only_public
            if (old.scheme, old.netloc) == (new.scheme, new.netloc) and "Authorization" in req.unredirected_hdrs:
                request.add_unredirected_header("Authorization", req.unredirected_hdrs["Authorization"])
        return request


def is_public(address: str) -> bool:
    """Tell whether an address is one of the Internet, not of this machine or a private network."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour
        if inner is None and found in _NAT64:
            inner = ipaddress.IPv4Address(int(found) & 0xFFFF_FFFF)
        return found.is_global if inner is None else inner.is_global
    return found.is_global


def _check_peer(request: _Request, sock: socket.socket) -> None:
    """Refuse what leads from the Internet into a private network: what answers there trusts who is inside.

    So does a URL of a stranger. The address that was reached counts: a name can lead anywhere, and elsewhere each time.
    """
    public = is_public(sock.getpeername()[0])
    if request.only_public and not public:
        raise UnsafePath("it is on this machine or in a private network, and a meta file names it: not contacted")
    if request.began_public is None:
        request.began_public = public
    elif request.began_public and not public:
        raise RemoteDenied(f"it is redirected to {show(request.host)}, which is in a private network: not followed")


class _Http(urllib.request.HTTPHandler):
    def http_open(self, req: Any) -> Any:
        return self.do_open(_watched(http.client.HTTPConnection, req), req)


class _Https(urllib.request.HTTPSHandler):
    def https_open(self, req: Any) -> Any:
        made = partial(_watched(http.client.HTTPSConnection, req), context=ssl.create_default_context())
        return self.do_open(made, req)


def _watched(kind: type[http.client.HTTPConnection], request: Any) -> Callable[..., http.client.HTTPConnection]:
    """Return what makes connections of a kind that look whom they reached; a proxy sees to that itself."""
    if request.has_proxy() or getattr(request, "_tunnel_host", None):
        return kind

    class Watched(kind):  # type: ignore[valid-type,misc]
        def connect(self) -> None:
            connect: Callable[..., socket.socket] = self._create_connection  # type: ignore[has-type]

            def checked(*where: Any, **options: Any) -> socket.socket:
                sock = connect(*where, **options)
                try:
                    _check_peer(request, sock)
                except BaseException:
                    sock.close()
                    raise
                return sock  # of which nothing was asked yet, not even for a certificate

            self._create_connection = checked
            super().connect()

    return Watched


def _opener() -> urllib.request.OpenerDirector:
    """Return what opens URLs: by http and https alone, through the proxies of the environment."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        *(urllib.request.ProxyHandler(), _Http(), _Https(), _Redirects(), urllib.request.UnknownHandler()),
        *(urllib.request.HTTPDefaultErrorHandler(), urllib.request.HTTPErrorProcessor()),
    ):
        opener.add_handler(handler)
    return opener


@contextlib.contextmanager
def _told(name: str) -> Iterator[None]:
    """Make every error of the network one that the contract knows."""
    try:
        yield
    except DvcLikeError as error:
        if isinstance(error, UnsafePath):
            hint = f"If you trust it: dvc-like config --local --add import.allow {name}"
        elif error.message.startswith("it is redirected"):
            hint = "Import from where it leads, if you trust it."
        else:
            raise
        raise type(error)(f"{name}: {error.message}", hint=hint) from None
    except urllib.error.HTTPError as error:
        error.close()
        raise _answered(error.code, error.headers, name) from None
    except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError) as error:
        cause = getattr(error, "reason", error)
        if isinstance(cause, ssl.SSLCertVerificationError):
            raise RemoteDenied(
                f"{name}: the certificate of the server is not trusted",
                hint="SSL_CERT_FILE names a file with the authorities to trust.",
            ) from None
        if isinstance(cause, socket.gaierror):
            raise RemoteUnavailable(
                f"{name}: the name of the server is not known", hint="Look at the network."
            ) from None
        what = "no answer in time" if isinstance(cause, TimeoutError) else f"the connection broke ({_kind(cause)})"
        raise RemoteUnavailable(f"{name}: {what}", hint="Look at the address and the network.") from None


def _kind(cause: object) -> str:
    return show(str(getattr(cause, "strerror", None) or type(cause).__name__))[:80]


def _answered(status: int, headers: Any, name: str) -> RemoteError:
    """Return the error for an answer that is none of success."""
    found: RemoteError
    if status in (404, 410):
        found = RemoteNotFound(f"{name} is not there ({status})", hint="Check the spelling of the URL.")
    elif status in (401, 403, 407):
        found = RemoteDenied(
            f"{name}: the server refused access ({status})",
            hint="Write https://USER:PASSWORD@..., which is used once, or put the login into ~/.netrc.",
        )
    elif status in _BUSY:
        found = RemoteUnavailable(f"{name}: the server cannot do it now ({status})")
        wait = seconds_asked(headers.get("Retry-After", ""))
        if wait is not None:
            setattr(found, "retry_after", wait)  # noqa: B010 - read by `Retrying`
    elif 300 <= status < 400:
        found = RemoteDenied(
            f"{name}: it is redirected to what is not followed ({status})",
            hint="Import from where it leads, if you trust it.",
        )
    elif status == 416:
        found = changed("")
    else:
        found = RemoteError(f"{name}: the server answered {status}")
    setattr(found, "status", status)  # noqa: B010 - read by `stat`
    return found
