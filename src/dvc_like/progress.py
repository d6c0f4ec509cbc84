"""How long work is reported, without knowing to whom.

Owns the `Progress` protocol and the silent one. The library calls it; `cli` draws it.
"""

from __future__ import annotations

from typing import Protocol


class Task(Protocol):
    """One running piece of work. Safe to call from several threads."""

    def advance(self, *, files: int = 0, size: int = 0) -> None:
        """Say that so many more files and bytes are done; fewer, where something has to be done again."""

    def expect(self, *, files: int = 0, size: int = 0) -> None:
        """Say that so many more files and bytes are known to come."""

    def __enter__(self) -> Task: ...

    def __exit__(self, *exc: object) -> None: ...


class Progress(Protocol):
    """Where verbs report to."""

    def task(self, verb: str) -> Task:
        """Open a task, named by a verb in the -ing form ("hashing")."""

    def note(self, message: str) -> None:
        """Tell the user something while the work goes on ("waiting for the lock ...")."""


class _SilentTask:
    def advance(self, *, files: int = 0, size: int = 0) -> None:
        pass

    def expect(self, *, files: int = 0, size: int = 0) -> None:
        pass

    def __enter__(self) -> _SilentTask:
        return self

    def __exit__(self, *exc: object) -> None:
        pass


class Silent:
    """Reports nothing: the default of the library."""

    def task(self, verb: str) -> Task:
        """Return a task that swallows everything."""
        return _SilentTask()

    def note(self, message: str) -> None:
        """Swallow it."""


SILENT = Silent()
