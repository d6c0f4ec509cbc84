"""The contract on the store in memory, and with all wrappers around it."""

from __future__ import annotations

import uuid

from dvc_like.remote.base import Backend
from dvc_like.remote.memory import MemoryBackend
from dvc_like.remote.wrap import wrap
from dvc_like.testing import BackendContract, FaultyBackend


class TestMemory(BackendContract):
    MANY = 300

    def make_backend(self) -> Backend:
        self.name = uuid.uuid4().hex
        return self.reopen()

    def reopen(self) -> Backend:
        return MemoryBackend(self.name)


class TestWrapped(TestMemory):
    def reopen(self) -> Backend:
        return wrap(super().reopen(), attempts=3, concurrency=2, log=lambda line: None)


class TestFaultyWithoutFaults(TestMemory):
    def reopen(self) -> Backend:
        return FaultyBackend(super().reopen())
