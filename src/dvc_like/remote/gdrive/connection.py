"""Requests to Drive: signed, paced, and told as errors of the contract; by any thread.

Owns the sessions (one per thread), the token, and the client that builds requests for metadata. Bytes of files go
past that client: it reads them whole, and cannot resume. The one loop here is Drive's own flow control: told to slow
down, all threads wait together and ask again. Everything else is raised, for `wrap` to try again.
"""

from __future__ import annotations

import contextlib
import functools
import json
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ...errors import DvcLikeError, RemoteError, RemoteUnavailable
from ...paths import show
from .credentials import Found, explain
from .pace import Pace
from .place import Place
from .refusals import is_too_fast, refusal, too_long, unanswered

BATCH = 100  # requests that Drive takes in one
_PIECE = 1 << 20
Body = bytes | Callable[[], Any]  # bytes, or what makes a file that is read once


class Connection:
    """The way to one Drive, with one account."""

    def __init__(self, place: Place, sign_in: Callable[[], Found]) -> None:
        """Contact nobody yet. `sign_in` is called once, before the first request."""
        self.place = place
        self.pace = Pace()
        self._sign_in = sign_in
        self._mutex = threading.RLock()
        self._found: Found | None = None
        self._service: Any = None
        self._sessions: list[Any] = []
        self._of_thread = threading.local()

    # ---------------------------------------------------------------- signing

    @property
    def credentials(self) -> Any:
        """What requests are signed with; its making may read files and ask for nothing else."""
        if self._found is None:
            with self._mutex:
                if self._found is None:
                    self._found = self._sign_in()
        return self._found.credentials

    @property
    def robot(self) -> str:
        """The address of the service account that acts for itself; empty for everybody else."""
        if getattr(self.credentials, "_subject", None) or getattr(self.credentials, "subject", None):
            return ""  # it acts for a person
        return str(getattr(self.credentials, "service_account_email", None) or "")

    def _sign(self, headers: dict[str, str], *, anew: str = "") -> None:
        """Add the token; `anew` is one that was not accepted."""
        from google.auth.exceptions import GoogleAuthError

        held = self.credentials
        with self._mutex:
            if not held.valid or (anew and held.token == anew):
                try:
                    held.refresh(self._ask_for_token)
                except (GoogleAuthError, ValueError) as error:  # a key that is none is a ValueError
                    login = self._found.login if self._found else None
                    told = unanswered(error.__cause__, "Google's sign-in service")
                    if told is None or not told.hint:
                        told = explain(error, held, made=login.made if login else 0)
                    raise told from None
                except TypeError:  # google-auth looks into what is no JSON
                    raise RemoteUnavailable(
                        "what answers is not Google's sign-in service",
                        hint="Does this network want you to log in first?",
                    ) from None
            held.apply(headers)

    def _ask_for_token(self, *words: Any, **options: Any) -> Any:
        """Be what google-auth sends its requests with. A gateway's error is none of the sign-in's."""
        from google.auth.exceptions import TransportError
        from google.auth.transport.requests import Request

        options.setdefault("timeout", self.place.timeout)
        answer = Request(self._session())(*words, **options)
        if answer.status >= 500:
            raise TransportError(f"answered {answer.status}")
        return answer

    def _session(self) -> Any:
        found = getattr(self._of_thread, "session", None)
        if found is None:
            import requests

            found = requests.Session()
            found.auth = _as_it_is  # else ~/.netrc would replace the token
            found.headers["User-Agent"] = "dvc-like"
            found.request = functools.partial(found.request, **route(self.place))  # of that for a token too
            self._of_thread.session = found
            with self._mutex:
                self._sessions.append(found)
        return found

    # ---------------------------------------------------------------- one request

    def send(
        self,
        method: str,
        url: str,
        what: str,
        *,
        body: Body = b"",
        headers: dict[str, str] | None = None,
        accept: Iterable[int] = (),
        creates: bool = False,
        stream: bool = False,
        patient: bool = True,
        batch: bool = False,
    ) -> Any:
        """Return the answer, a response of requests; statuses of 300 and above are errors unless in `accept`.

        `what` is asked for, in messages. With `stream` the body is not read yet. Unless `patient`, being told to slow
        down is raised as well, after the pace has heard of it: what was sent has to be looked at before it goes on.
        That a `batch` is answered says nothing of what is in it.
        """
        rejected = ""
        uploads = creates or not patient
        while True:
            self.pace.wait(creates=creates)
            signed = dict(headers or {})
            answer = self._once(method, url, what, body, signed, rejected, stream)
            if answer.status_code < 300 or answer.status_code in accept:
                if not batch:
                    self.pace.passed(uploads=uploads)
                return answer
            with answered(what):
                content = answer.content[:_PIECE]
            if answer.status_code == 401 and not rejected:
                rejected = signed.get("authorization", "").rpartition(" ")[2] or "?"
                continue
            error = refusal(answer.status_code, answer.headers, content, what)
            self.heard(error, uploads=uploads)
            if not (patient and is_too_fast(error)):
                raise error

    def heard(self, error: RemoteError, *, uploads: bool = False) -> None:
        """Tell the pace of a refusal, if it is one for being too fast; raise when that went on for too long."""
        if is_too_fast(error) and not self.pace.refused(getattr(error, "retry_after", None), uploads=uploads):
            raise too_long(self.place.url, uploads=uploads)

    def _once(
        self, method: str, url: str, what: str, body: Body, headers: dict[str, str], rejected: str, stream: bool
    ) -> Any:
        with answered(what):
            if url.startswith(self.place.endpoint):  # a token is for Google alone
                self._sign(headers, anew=rejected)
            data = body() if callable(body) else body
            answer = self._session().request(
                method,
                url,
                data=data,
                headers=headers,
                timeout=self.place.timeout,
                allow_redirects=False,  # 308 is how Drive says that it wants more
                stream=True,
            )
            if not stream:
                _ = answer.content
        return answer

    # ---------------------------------------------------------------- metadata

    @property
    def files(self) -> Any:
        """The collection of files, as googleapiclient builds requests for it."""
        return self.service.files

    @property
    def service(self) -> Any:
        """What builds requests for metadata. Made of a description that comes with the client: nothing is asked."""
        if self._service is None:
            with self._mutex:
                if self._service is None:
                    self._service = _Service(self)
        return self._service

    def call(self, request: Any, what: str = "", *, creates: bool = False) -> dict[str, Any]:
        """Carry out a request of the service; return the answer."""
        answer = request.execute(http=_Carrier(self, what or self.place.url, creates=creates))
        if not isinstance(answer, dict):  # what is no document is given back as text
            raise _no_answer(what or self.place.url)
        return answer

    def call_many(self, requests: list[Any], what: str) -> list[dict[str, Any] | RemoteError]:
        """Carry out up to 100 requests as one; return for each its answer, or the error."""
        if len(requests) == 1:
            try:
                return [self.call(requests[0], what)]
            except RemoteError as error:
                return [error]
        from googleapiclient.errors import Error

        found: list[dict[str, Any] | RemoteError] = [_no_answer(what)] * len(requests)

        def hear(number: str, answer: Any, error: Any) -> None:
            if error is not None:
                answer = refusal(error.resp.status, error.resp, error.content, what)
                self.heard(answer)
            else:
                self.pace.passed(uploads=False)
            found[int(number)] = answer if isinstance(answer, dict | RemoteError) else _no_answer(what)

        batch = self.service.batch(hear)
        for number, request in enumerate(requests):
            batch.add(request, request_id=str(number))
        try:
            batch.execute(http=_Carrier(self, what, batch=True))
        except (Error, ValueError, KeyError, IndexError) as error:  # its parser's, for what was cut off
            raise _no_answer(what) from error
        return found

    def media_url(self, file_id: str = "", **parameters: str) -> str:
        """Return where the bytes of files are sent to: of a new one, or of one that is there."""
        from urllib.parse import urlencode

        path = f"upload/drive/v3/files{'/' if file_id else ''}{file_id}"
        return f"{self.place.endpoint}{path}?{urlencode({**parameters, 'supportsAllDrives': 'true'})}"

    def close(self) -> None:
        """Give back the connections of all threads."""
        with self._mutex:
            sessions, self._sessions = self._sessions, []
        self._of_thread = threading.local()
        for session in sessions:
            session.close()


def _no_answer(what: str) -> RemoteUnavailable:
    return RemoteUnavailable(
        f"{what}: the answer is not one of Drive",
        hint="Does this network want you to log in first? Is endpointurl the address of the API?",
    )


def _as_it_is(request: Any) -> Any:
    return request


def route(place: Place) -> dict[str, Any]:
    """Return what a request of requests is given. Were its session given it, the environment would come first."""
    given: dict[str, Any] = {} if place.verify is None else {"verify": place.verify}
    if place.proxy:
        given["proxies"] = {"http": place.proxy, "https": place.proxy}
    return given


@contextlib.contextmanager
def answered(what: str) -> Iterator[None]:
    """Let an error of the network be one of the contract; any other stays as it is."""
    try:
        yield
    except DvcLikeError:
        raise
    except Exception as error:
        told = unanswered(error, what)
        if told is None:
            raise
        raise told from None  # the other one quotes an address, and that of an upload is as good as a key


class _Carrier:
    """What googleapiclient takes for an ``httplib2.Http``: it sends with our sessions."""

    def __init__(self, connection: Connection, what: str, *, creates: bool = False, batch: bool = False) -> None:
        self._connection, self._what, self._creates, self._batch = connection, what, creates, batch

    def request(
        self, uri: str, method: str = "GET", body: Any = None, headers: Any = None, **_: Any
    ) -> tuple[Any, bytes]:
        """Send; an answer that is none of success is raised here already."""
        from httplib2 import Response

        data = body.encode() if isinstance(body, str) else body or b""
        answer = self._connection.send(
            method,
            uri,
            self._what,
            body=data,
            headers=dict(headers or {}),
            creates=self._creates,
            batch=self._batch,
        )
        kind = str(answer.headers.get("content-type", ""))
        if answer.content and "json" not in kind and not kind.startswith("multipart/"):
            raise _no_answer(self._what)
        return Response({"status": str(answer.status_code), **answer.headers}), answer.content


class _Service:
    """The collections of Drive's description, each made once: making one takes longer than using it."""

    def __init__(self, connection: Connection) -> None:
        from googleapiclient.discovery import build_from_document
        from googleapiclient.discovery_cache import get_static_doc

        document = json.loads(get_static_doc("drive", "v3"))
        document["rootUrl"] = connection.place.endpoint
        drive = build_from_document(document, http=_Carrier(connection, show(connection.place.url)))
        self.files, self.changes, self.about = drive.files(), drive.changes(), drive.about()
        self.batch = drive.new_batch_http_request
