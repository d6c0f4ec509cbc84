"""The packs of a store: what is said there of a deletion, and when that is taken back."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from pathlib import Path

import pytest

from dvc_like.errors import RemoteDenied, RemoteUnavailable
from dvc_like.remote.memory import MemoryBackend
from dvc_like.remote.packs import PREFIX, Packs

GOING = f"{PREFIX}{'0' * 64}"


class Failing(MemoryBackend):
    """A store on which deleting what was announced ends with an error."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(uuid.uuid4().hex)
        self.error = error

    def delete(self, keys: Iterable[str]) -> None:
        keys = list(keys)
        if any(key.startswith(GOING) for key in keys):
            raise self.error
        super().delete(keys)


class FarFailing(Failing):
    """One that answers requests, and may be at one of which it says nothing more."""

    capabilities = MemoryBackend.capabilities._replace(cheap_stat=False)


@pytest.mark.parametrize(
    ("kind", "error", "stays"),
    [
        (FarFailing, KeyboardInterrupt(), True),
        (FarFailing, RemoteUnavailable("no answer in time"), True),
        (FarFailing, RemoteDenied("not allowed"), False),
        (Failing, KeyboardInterrupt(), False),
        (Failing, RemoteUnavailable("an error of the disk"), False),
    ],
    ids=lambda value: getattr(value, "__name__", None) or type(value).__name__,
)
def test_what_is_being_deleted_is_said_as_long_as_it_may_be_so(
    kind: type[Failing], error: BaseException, stays: bool, tmp_path: Path
) -> None:
    backend = kind(error)
    packs = Packs(backend, str(tmp_path))
    with pytest.raises(type(error)), packs.announced([GOING]) as delete:
        delete()
    assert len(list(backend.list(PREFIX))) == int(stays)


def test_what_was_not_begun_is_taken_back(tmp_path: Path) -> None:
    backend = FarFailing(KeyboardInterrupt())

    def give_up() -> None:
        with Packs(backend, str(tmp_path)).announced([GOING]):
            assert len(list(backend.list(PREFIX))) == 1
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        give_up()
    assert list(backend.list(PREFIX)) == []
