"""How a browser's answer comes back from Google's consent page: to a port of this machine, or by hand.

Owns the listener, and what may be in an answer. It is taken only with the `state` of the question.
"""

from __future__ import annotations

import hmac
import socketserver
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

from ...errors import RemoteDenied

PATIENCE = 600  # seconds for somebody to find the password

Answer = dict[str, list[str]]  # the query of the address on which the browser ended


class Callback(socketserver.ThreadingTCPServer):
    """Takes one answer on a free port of this machine.

    In threads, since browsers open connections in advance on which they send nothing.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.address = f"http://127.0.0.1:{self.server_address[1]}/"
        self.state = ""
        self._answer: Answer | None = None
        self._arrived = threading.Event()

    def wait(self) -> Answer:
        """Return the answer. Who came before this was called is in the queue of the port."""
        threading.Thread(target=self.serve_forever, args=(0.1,), daemon=True).start()
        try:
            self._arrived.wait(PATIENCE)
        finally:
            self.shutdown()
        if self._answer is None:
            raise RemoteDenied(
                f"no answer came back from the browser within {PATIENCE // 60} minutes",
                hint="Is the browser on another machine? Use --no-browser.",
            )
        return self._answer

    def is_ours(self, query: Answer) -> bool:
        """Tell whether an answer is to the question that was asked."""
        return hmac.compare_digest(query.get("state", [""])[0].encode(), self.state.encode())

    def handle_error(self, *_: object) -> None:
        """Say nothing of a connection that broke: the browser makes another."""

    def take(self, query: Answer) -> None:
        """Keep an answer."""
        self._answer = query
        self._arrived.set()


class _Handler(BaseHTTPRequestHandler):
    timeout = 30
    server: Callback

    def do_GET(self) -> None:
        """Answer the browser, and hand over what it brings."""
        query = parse_qs(urlsplit(self.path).query)
        ours = self.server.is_ours(query) and ("code" in query or "error" in query)
        text = "dvc-like has its answer. Close this page and go back to the terminal.\n" if ours else "Not found.\n"
        with suppress(OSError):  # the browser may be gone already
            self.send_response(200 if ours else 404)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(text)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(text.encode())
            self.wfile.flush()
        if ours:
            self.server.take(query)

    def log_message(self, *_: object) -> None:
        """Say nothing: the address holds the code."""


def pasted(text: str, state: str) -> Answer:
    """Return the answer in the address that somebody pasted."""
    query = parse_qs(text.strip().partition("?")[2].partition("#")[0])
    if "code_challenge" in query:
        raise RemoteDenied(
            "that is the address to begin with", hint="Open it, allow what it asks, and paste the one it ends on."
        )
    if "code" not in query and "error" not in query:
        raise RemoteDenied(
            "there is no code in what was pasted",
            hint="Paste the whole address on which the browser ended, http://127.0.0.1:..., though no page is there.",
        )
    if not hmac.compare_digest(query.get("state", [""])[0].encode(), state.encode()):
        raise RemoteDenied(
            "what was pasted answers another question (`state` differs)",
            hint="Begin anew, and paste the newest address.",
        )
    return query


def code_of(answer: Answer) -> str:
    """Return the code that is to be exchanged for a token."""
    if "error" in answer:
        word = answer["error"][0]
        raise RemoteDenied(
            "the login was refused in the browser" + (f" ({word})" if word.replace("_", "").isalpha() else ""),
            hint="Is the account among the client's test users, or of its organisation? Then allow what is asked.",
        )
    return answer["code"][0]
