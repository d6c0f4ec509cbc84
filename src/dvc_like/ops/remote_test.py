"""`remote test`: try on a scratch object everything that push, pull and gc will ask of a remote.

Owns which steps there are. Each is tried even if another failed, unless nothing answers at all; nothing stays behind.
"""

from __future__ import annotations

import contextlib
import io
import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import CorruptData, DvcLikeError, RemoteDenied, RemoteNotFound, RemoteQuota
from ..progress import SILENT, Progress
from ..project import Project
from ..remote.base import Backend
from ..remote.registry import open_backend, redact
from ..remote.sinks import Bounded
from ..remote.wrap import wrap
from ._state import claim
from ._store import DESCRIPTION, MAX_DESCRIPTION, read_description, remote_name, with_name

_SIZE = 1000
_ATTEMPTS = 2  # somebody waits for the answer


@dataclass(frozen=True)
class Step:
    """One thing that was tried. `problem` is empty when it works, and `hint` then too."""

    name: str
    problem: str = ""
    hint: str = ""

    @property
    def ok(self) -> bool:
        """Whether it works."""
        return not self.problem


@dataclass(frozen=True)
class Tested:
    """A remote, its url as it may be shown, the id of the store there (empty: none yet), and what was tried."""

    name: str
    url: str
    store: str
    steps: tuple[Step, ...]

    @property
    def ok(self) -> bool:
        """Whether all of it works."""
        return all(step.ok for step in self.steps)


class _Silent(Exception):
    """Nothing answers: the other steps would only wait for the same."""


def try_remote(project: Project, name: str | None = None, *, write: bool = True, progress: Progress = SILENT) -> Tested:
    """Try a remote, the default one unless another is named. What does not work is in the answer, not raised.

    Without `write` nothing is written, and nothing is tried a second time.
    """
    claim(project)
    name = remote_name(project, name)
    options = project.config.remotes()[name]
    trial = _Trial(name)
    try:
        plain = open_backend(options["url"], options, project.root)
    except DvcLikeError as error:
        trial.steps.append(Step("open", error.message, with_name(error.hint, name)))
        return Tested(name, redact(options["url"]), "", tuple(trial.steps))
    log = progress.note if os.environ.get("DVC_LIKE_TRACE") else None
    backend = wrap(plain, attempts=_ATTEMPTS if write else 1, concurrency=1, log=log)
    try:
        trial.run(backend, write=write)
    finally:
        backend.close()
    return Tested(name, redact(options["url"]), trial.store, tuple(trial.steps))


class _Trial:
    """The steps on one backend."""

    def __init__(self, remote: str) -> None:
        self._remote = remote
        self.steps: list[Step] = []
        self.store = ""
        self._data = os.urandom(_SIZE)

    def run(self, backend: Backend, *, write: bool) -> None:
        """Try what there is to try; without `write` only to look."""
        key = f"tests/{uuid.uuid4().hex}"
        try:
            described = self._try("open", lambda: self._open(backend))
            if write and self._try("write", lambda: self._write(backend, key)):
                self._try("read", lambda: self._read(backend, key, 0, None))
                self._try("read a range", lambda: self._read(backend, key, 300, 400))
                self._try("list", lambda: self._list(backend, key))
                self._try("delete", lambda: self._delete(backend, key))
            else:  # read-only, perhaps: what is there already shows whether reading works
                if described and self.store:
                    self._try("read", lambda: backend.get(DESCRIPTION, io.BytesIO(), length=MAX_DESCRIPTION))
                self._try("list", lambda: self._list(backend, ""))
        except _Silent:
            if write and len(self.steps) > 1:  # a write was tried, and may have come through
                with contextlib.suppress(DvcLikeError):
                    backend.delete([key])

    def _try(self, name: str, call: Callable[[], object]) -> bool:
        try:
            call()
        except DvcLikeError as error:
            self.steps.append(Step(name, error.message, with_name(error.hint, self._remote)))
            if not isinstance(error, RemoteDenied | RemoteQuota | RemoteNotFound | CorruptData):
                raise _Silent from None
            return False
        self.steps.append(Step(name))
        return True

    def _open(self, backend: Backend) -> None:
        buffer = io.BytesIO()
        try:
            backend.get(DESCRIPTION, buffer, length=MAX_DESCRIPTION)
        except RemoteNotFound:
            return  # the first push makes it
        self.store = read_description(buffer.getvalue())

    def _write(self, backend: Backend, key: str) -> None:
        backend.put(key, self._data)
        backend.flush()

    def _read(self, backend: Backend, key: str, start: int, length: int | None) -> None:
        buffer = Bounded(len(self._data))
        backend.get(key, buffer, start=start, length=length)
        if buffer.getvalue() != self._data[start : None if length is None else start + length]:
            raise CorruptData("other bytes came back than were written", hint="Something between changes what is sent.")

    def _list(self, backend: Backend, key: str) -> None:
        found = [name for name, _ in backend.list("tests/")]
        if key and key not in found:
            raise CorruptData("what was written is not listed", hint="gc and fsck need a store that lists what it has.")

    def _delete(self, backend: Backend, key: str) -> None:
        backend.delete([key])
        if backend.stat([key]):
            raise CorruptData("what was deleted is still there")
