"""Every error this package raises on purpose, with its exit code.

Owns the one tree below and the shape of an error: a line that names the thing, a hint that names
the way out, and the details (one line each) a report needs. Knows nothing else of the package.

    DvcLikeError                    1   it failed; the message says what
    |-- UsageError                  2   the command was called wrongly
    |-- ProjectError                3   no repository here, or its configuration is bad
    |   |-- NoProject
    |   `-- ConfigError
    |-- DataMissing                 4   bytes that are needed are not there
    |-- WouldOverwrite              5   unsaved data of the user stands in the way
    |-- RemoteError                 6   a remote refused or did not answer
    |   |-- RemoteNotFound              this key is not there (4 when it reaches the user)
    |   |-- RemoteDenied
    |   |-- RemoteUnavailable           the only one that is tried again
    |   |-- RemoteQuota
    |   `-- SourceChanged               what data is imported from is no longer what it was a moment ago
    |-- CorruptData                 7   bytes that are not what their name says
    |   |-- UnsafePath                  a name that could lead out of the workspace
    |   |-- BadMeta
    |   `-- BadTree
    |-- LockHeld                    8   another process works here and did not finish in time
    |-- PartialFailure              9   part of the transfers failed, the rest is done
    `-- Differences                10   asked to fail on differences, and there are some
"""

from __future__ import annotations

import re
from collections.abc import Callable

#: What stands around a path in a hint that is to be typed; made by `paths.typed`.
TYPED = ("\x01", "\x02")
_TYPED = re.compile("\x01(.*?)\x02")


class DvcLikeError(Exception):
    """Base of all: ``message`` names the thing, ``hint`` the way out, ``details`` hold one line each.

    Paths in them are seen from the project's root.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "", details: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.template = hint  # the hint as it was made: for an error that wraps this one
        self.details = details

    @property
    def hint(self) -> str:
        """The way out, one line; empty where there is none to name."""
        return self.hint_with(str)

    def hint_with(self, say: Callable[[str], str]) -> str:
        """Return the hint with each path that is to be typed as `say` writes it."""
        return _TYPED.sub(lambda path: say(path[1]), self.template)

    @property
    def kind(self) -> str:
        """The class name: what ``--json`` reports, stable across releases."""
        return type(self).__name__


class UsageError(DvcLikeError):
    """The arguments make no sense together or name something that is not there."""

    exit_code = 2


class ProjectError(DvcLikeError):
    """There is no usable project."""

    exit_code = 3


class NoProject(ProjectError):
    """No folder from here upwards holds ``.dvc-like``."""


class ConfigError(ProjectError):
    """A configuration file is malformed, or holds what it may not hold."""


class DataMissing(DvcLikeError):
    """Objects that a target needs are in neither place they were looked for."""

    exit_code = 4


class WouldOverwrite(DvcLikeError):
    """Going on would destroy bytes of the user that are not in the cache."""

    exit_code = 5


class RemoteError(DvcLikeError):
    """A remote could not do what it was asked."""

    exit_code = 6


class RemoteNotFound(RemoteError):
    """The key is not on the remote."""

    exit_code = 4


class RemoteDenied(RemoteError):
    """Credentials are missing, wrong or not allowed to do this."""


class RemoteUnavailable(RemoteError):
    """The remote did not answer or asked us to wait; trying again can help."""


class RemoteQuota(RemoteError):
    """The remote has no space or no allowance left."""


class SourceChanged(RemoteError):
    """What data is imported from became another version while it was read; nothing of it was used."""


class CorruptData(DvcLikeError):
    """Bytes or text that are not what they claim to be; nothing of them was used."""

    exit_code = 7


class UnsafePath(CorruptData):
    """A name that could lead outside the workspace or into Git's or our own folder."""


class BadMeta(CorruptData):
    """A meta file that cannot be read with certainty."""


class BadTree(CorruptData):
    """A tree object that breaks the format."""


class LockHeld(DvcLikeError):
    """Another process holds the lock and the waiting time is over."""

    exit_code = 8


class PartialFailure(DvcLikeError):
    """Some of many transfers failed; the others are done and stay done."""

    exit_code = 9


class Differences(DvcLikeError):
    """There are differences and the caller asked to be told by the exit code."""

    exit_code = 10


def gathered(failures: list[DvcLikeError]) -> DvcLikeError:
    """Return one error for several: the one with the highest exit code speaks, the others become details."""
    first = max(failures, key=lambda failure: failure.exit_code)
    others = tuple(line for other in failures if other is not first for line in (other.message, *other.details))
    return type(first)(first.message, hint=first.template, details=first.details + others)


def named(error: OSError, path: str) -> OSError:
    """Return an error of the system that says what it is about: a call that knows only a descriptor cannot tell."""
    if error.filename is None:
        error.filename = path
    return error
