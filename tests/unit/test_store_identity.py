"""`dvc-like.json`: two first pushes at one moment agree on the id of the store."""

from __future__ import annotations

import uuid

from dvc_like.ops._store import _identify, read_description
from dvc_like.remote.memory import MemoryBackend
from dvc_like.remote.wrap import Wrapper
from dvc_like.testing.samples import load


def test_two_first_pushes_agree_on_one_id() -> None:
    name = uuid.uuid4().hex
    seen = []

    class Late(Wrapper):
        """Somebody else makes the first push when this one has seen that nobody did."""

        def put(self, key: str, source: str | bytes, *, label: str = "", once: bool = False) -> None:
            seen.append(_identify(MemoryBackend(name), create=True))
            self.inner.put(key, source, label=label, once=once)

    mine = _identify(Late(MemoryBackend(name)), create=True)
    assert [mine] == seen == [read_description(load(MemoryBackend(name), "dvc-like.json"))]
