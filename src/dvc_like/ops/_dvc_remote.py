"""DVC's remotes, asked for what its cache lacks: lists of folders, and the sizes of the files in them.

Owns opening a remote by settings that stand in no configuration of ours yet. The files themselves are not fetched.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Iterator

from ..digest import Digest, file_key
from ..errors import DvcLikeError, RemoteNotFound
from ..remote.base import Info
from ..remote.registry import open_backend
from ..remote.wrap import Retrying, wrap
from ._store import of_remote
from ._transfer import transfer

_ATTEMPTS = 5


class Away:
    """The remotes among some settings of a project at `root`. One that is named nowhere has nothing."""

    def __init__(self, root: str, settings: dict[str, str]) -> None:
        self._root = root
        self._settings = settings
        self._lost: dict[str, DvcLikeError] = {}  # remotes that cannot be asked: one try is enough for all folders

    def read_list(self, remote: str | None, digest: Digest, limit: int) -> bytes | None:
        """Return the bytes of a list, unverified and `limit` of them at most; None when it is not there."""
        with self._open(remote) as backend, contextlib.suppress(RemoteNotFound):
            if backend is not None:
                sink = io.BytesIO()
                backend.get(f"{file_key(digest)}.dir", sink, length=limit)
                return sink.getvalue()
        return None

    def sizes(self, remote: str | None, digests: Iterable[Digest]) -> dict[Digest, int]:
        """Return the bytes of those files that are there."""
        keys = {file_key(digest): digest for digest in digests}
        found: dict[str, Info] = {}
        with self._open(remote) as backend:
            if backend is not None and keys:
                names, at_once = list(keys), backend.capabilities.stat_at_once
                some = [names[first : first + at_once] for first in range(0, len(names), at_once)]
                jobs = backend.capabilities.concurrency
                outcome = transfer(some, lambda part: found.update(backend.stat(part)), jobs, at_once=1)
                if outcome.failures:
                    raise outcome.failures[0][1]
        return {keys[key]: info.size for key, info in found.items()}

    @contextlib.contextmanager
    def _open(self, remote: str | None) -> Iterator[Retrying | None]:
        name = remote or self._settings.get("core.remote", "")
        prefix = f"remote.{name}."
        options = {key[len(prefix) :]: text for key, text in self._settings.items() if key.startswith(prefix)}
        if "url" not in options:
            yield None
            return
        if name in self._lost:
            raise self._lost[name]
        try:
            with of_remote(name):
                plain = open_backend(options["url"], options, self._root)
                backend = wrap(plain, attempts=_ATTEMPTS, concurrency=plain.capabilities.concurrency)
                with contextlib.closing(backend):
                    yield backend
        except DvcLikeError as error:
            self._lost[name] = error
            raise
