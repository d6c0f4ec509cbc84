"""Git over HTTP on loopback: Git's own `http-backend` behind a small server that counts what it sends, and can fail."""

from __future__ import annotations

import base64
import contextlib
import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class GitHttp:
    """The repositories below a folder, each at `url(name)`.

    `sent` counts the bytes of all answers. `deny` answers 401 to everybody, `login` (``user:password``) to all others,
    `cut` breaks an answer off after so many bytes, `hold` keeps a request waiting until it is set.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.sent = 0
        self.requests = 0
        self.deny = False
        self.login = ""
        self.cut: int | None = None
        self.arrived = threading.Event()
        self.hold = threading.Event()
        self.hold.set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def url(self, name: str, user: str = "") -> str:
        """Return the address of a repository."""
        return f"http://{user}{'@' if user else ''}127.0.0.1:{self._server.server_port}/{name}"

    def close(self) -> None:
        """Answer nobody any more."""
        self.hold.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(server: GitHttp) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def _answer(self) -> None:
            server.requests += 1
            path, _, query = self.path.partition("?")
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if query == "":
                server.arrived.set()
                server.hold.wait()
            known = f"Basic {base64.b64encode(server.login.encode()).decode()}"
            if server.deny or (server.login and self.headers.get("Authorization") != known):
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="git"')
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            settings = {
                **{name: text for name, text in os.environ.items() if not name.startswith("GIT_CONFIG")},
                "GIT_PROJECT_ROOT": str(server.root),
                "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                "REMOTE_ADDR": "127.0.0.1",
            }
            done = subprocess.run(["git", "http-backend"], input=body, env=settings, capture_output=True, check=False)
            head, _, content = done.stdout.partition(b"\r\n\r\n")
            fields = dict(line.split(": ", 1) for line in head.decode().splitlines() if ": " in line)
            self.send_response(int(fields.pop("Status", "200").split()[0]))
            for name, text in fields.items():
                self.send_header(name, text)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if server.cut is not None and query == "":
                content = content[: server.cut]
                self.close_connection = True
            server.sent += len(content)
            with contextlib.suppress(OSError):
                self.wfile.write(content)

        def log_message(self, *words: object) -> None:
            pass

    return Handler


@contextlib.contextmanager
def serving(root: Path) -> Iterator[GitHttp]:
    """Serve the repositories below a folder."""
    server = GitHttp(root)
    try:
        yield server
    finally:
        server.close()
