"""A remote as verbs see it: named in the configuration, opened, checked to be a store of ours.

Owns ``dvc-like.json`` (what a store is, its id and format) and the choice of the remote. Specified in
``docs/format.md``.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from ..config import check_remote_name
from ..errors import BadTree, ConfigError, CorruptData, DvcLikeError, RemoteNotFound
from ..paths import show
from ..progress import Progress
from ..project import Project
from ..remote.base import Info
from ..remote.packs import Packs
from ..remote.registry import open_backend
from ..remote.wrap import Retrying, wrap
from ._transfer import Item, Outcome, transfer

DESCRIPTION = "dvc-like.json"
FORMAT = 1
MAX_DESCRIPTION = 64 << 10


@dataclass(frozen=True)
class Store:
    """An open remote. `identity` is empty as long as nothing was ever pushed there."""

    name: str
    backend: Retrying
    jobs: int
    identity: str
    packs: Packs

    @property
    def is_near(self) -> bool:
        """Tell whether looking at an object costs next to nothing, so that every one is looked at."""
        return self.backend.capabilities.cheap_stat

    def look(self, *, anew: bool = False) -> None:
        """Find out which packs there are and what they hold: one listing, and a request per index not seen before.

        With `anew` every index is read from the store.
        """
        outcome = self.transfer(self.packs.look(anew=anew), self.packs.read_index, at_once=1)
        if outcome.failures:
            raise outcome.failures[0][1]

    def transfer(
        self, items: Iterable[Item], work: Callable[[Item], None], *, jobs: int | None = None, at_once: int
    ) -> Outcome[Item]:
        """Call `work` for every item, as many at a time as suits the store or `jobs`; see `_transfer.transfer`."""
        interrupt = self.backend.interrupt
        return transfer(items, work, jobs or self.jobs, at_once=at_once, interrupt=interrupt)

    def stat(self, keys: Iterable[str]) -> dict[str, Info]:
        """Return what the store says of those keys that are there."""
        if self.is_near:
            return self.backend.stat(keys)
        found: dict[str, Info] = {}
        left, size = iter(keys), self.backend.capabilities.stat_at_once
        some = iter(lambda: tuple(islice(left, size)), ())
        outcome = self.transfer(some, lambda keys: found.update(self.backend.stat(keys)), at_once=1)
        if outcome.failures:
            raise outcome.failures[0][1]
        return found


def remote_name(project: Project, asked: str | None, of_target: str | None = None) -> str:
    """Return which remote to use: the one asked for, the target's own, or the default."""
    name = asked or of_target or project.config.get("core.remote")
    known = project.config.remotes()
    if not name:
        raise ConfigError(
            "no remote is configured" if not known else "no default remote is set",
            hint="Add one with `dvc-like remote add -d NAME URL`."
            if not known
            else f"Choose one with `dvc-like remote default NAME`: {', '.join(known)}.",
        )
    if name not in known:
        raise ConfigError(
            f"there is no remote named {show(name)!r}",
            hint=f"Known: {', '.join(known)}." if known else "Add it with `dvc-like remote add NAME URL`.",
        )
    return check_remote_name(name)


@contextlib.contextmanager
def open_store(project: Project, name: str, *, jobs: int | None, create: bool, progress: Progress) -> Iterator[Store]:
    """Open a remote and read its description; with `create` an empty one becomes a store."""
    store = _open(project, name, jobs=jobs, create=create, progress=progress)
    try:
        yield store
    finally:
        store.backend.close()


def _open(project: Project, name: str, *, jobs: int | None, create: bool, progress: Progress) -> Store:
    options = project.config.remotes()[name]
    with of_remote(name):
        if jobs is not None:
            options = {**options, "jobs": str(jobs)}  # a driver that divides a transfer stays within it as well
        plain = open_backend(options["url"], options, project.root)
        if jobs is None:
            jobs = int(project.config.number(f"remote.{name}.jobs", 0)) or plain.capabilities.concurrency
        attempts = 1 + int(project.config.number(f"remote.{name}.retries", 4))
        log = progress.note if os.environ.get("DVC_LIKE_TRACE") else None
        backend = wrap(plain, attempts=attempts, concurrency=max(1, jobs), log=log)
        try:
            identity = _identify(backend, create=create)
        except BaseException:
            backend.close()
            raise
        packs = Packs(backend, os.path.join(project.shared_tmp, "packs", identity))
        return Store(name, backend, max(1, jobs), identity, packs)


@contextlib.contextmanager
def of_remote(name: str) -> Iterator[None]:
    """Let errors name the remote; where a driver's hint says NAME, it is this one."""
    try:
        yield
    except DvcLikeError as error:
        hint = with_name(error.hint, name)
        raise type(error)(f"remote {name}: {error.message}", hint=hint, details=error.details) from None


def with_name(hint: str, name: str) -> str:
    """Return a driver's hint, which says NAME for lack of a better one, as it is said of a remote."""
    return re.sub(r"\bNAME\b", name, hint)


def _identify(backend: Retrying, *, create: bool) -> str:
    buffer = io.BytesIO()
    try:
        backend.get(DESCRIPTION, buffer, length=MAX_DESCRIPTION)
    except RemoteNotFound:
        if not create:
            return ""
        backend.put(DESCRIPTION, describe(uuid.uuid4().hex), once=True)
        backend.flush()
        # Somebody else may have made the first push at the same moment: one id counts, the one that is there.
        backend.get(DESCRIPTION, buffer, length=MAX_DESCRIPTION)
    return read_description(buffer.getvalue())


def describe(identity: str) -> bytes:
    """Return the bytes of ``dvc-like.json``."""
    return (json.dumps({"format": FORMAT, "store": identity}) + "\n").encode()


def read_description(data: bytes) -> str:
    """Return the store's id; raise when it is not a store of ours or of a later format."""
    try:
        document = json.loads(data)
        number, identity = document["format"], document["store"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise CorruptData(
            f"its {DESCRIPTION} is damaged", hint="If the folder is not a dvc-like store, choose another one."
        ) from None
    if not isinstance(number, int) or number > FORMAT:
        raise BadTree(
            f"its store has format {show(str(number))[:20]}, newer than this version knows", hint="Upgrade dvc-like."
        )
    if not isinstance(identity, str) or not identity.isalnum() or len(identity) > 64:
        raise CorruptData(f"its {DESCRIPTION} is damaged")
    return identity
