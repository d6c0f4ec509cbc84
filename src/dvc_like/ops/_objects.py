"""Objects by their digest, wherever they are: in the cache, else on a remote, verified on the way.

Owns the stores that stay open between two readings, and what becomes of bytes that came: kept in the cache where that
can be, else only as long as somebody reads. Knows digests; whose they are is told by `_reader`.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeVar

from ..cache.writer import Writer
from ..digest import Digest
from ..errors import ConfigError, DataMissing, LockHeld
from ..locks import lock
from ..paths import show
from ..progress import Progress
from ..project import Project
from ._closure import Need
from ._opened import WHOLE_UP_TO, Held, HeldFile, LocalFile, RangedFile, Shared
from ._remote_trees import read_trees
from ._session import open_session
from ._store import Store, open_store, remote_name
from ._transfer import as_error
from .fetch import Fetched, Fetcher, Into

_MEMORY = 64 << 20  # bytes of listings that are remembered
_CANNOT_KEEP = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)

Result = TypeVar("Result")


class Objects:
    """The objects of one project as open files. Safe to share between threads, not between processes.

    Without `keep` nothing that comes from a remote is put into the cache.
    """

    def __init__(self, project: Project, *, keep: bool, progress: Progress) -> None:
        self._stack = contextlib.ExitStack()
        self.session = self._stack.enter_context(open_session(project, progress))
        self.root, self.cache, self.index = self.session.root, self.session.cache, self.session.index
        self.mutex = threading.Lock()
        self._project = project
        self._keep = keep
        self._stores: dict[str, Store] = {}
        self._last: tuple[str, Shared | None] = "", None
        self._trees: dict[Digest, bytes] = {}
        self._size = 0  # of them
        weakref.finalize(self, self._stack.close)  # a reader that is shared is closed by nobody

    def close(self) -> None:
        """Give back what is open; files that are being read stay readable where they lie on this machine."""
        self._stack.close()
        for store in self._stores.values():
            store.backend.close()

    # ---------------------------------------------------------------- remotes

    def _open_store(self, name: str, old: Store | None = None) -> Store:
        """Return a remote that is open and was looked at: later than `old`, which others may still read from."""
        with self.mutex, contextlib.ExitStack() as opened:
            store = self._stores.get(name)
            if store is None or (store is old and not store.identity):
                progress = self.session.progress
                store = opened.enter_context(
                    open_store(self._project, name, jobs=None, create=False, progress=progress)
                )
            elif store is old:
                store = replace(store, packs=store.packs.again())
            else:
                return store
            store.look()
            self._stack.enter_context(opened.pop_all())
            self._stores[name] = store
            return store

    def ask(self, remote: str, work: Callable[[Store], Result], lacks: Callable[[Result], bool]) -> Result:
        """Do some work with a remote (empty: the default one); again if it lacks something and may have it by now."""
        name = remote_name(self._project, None, remote)
        known = self._stores.get(name)
        store = self._open_store(name)
        result = work(store)
        return work(self._open_store(name, known)) if store is known and lacks(result) else result

    # ---------------------------------------------------------------- trees

    def tree(self, digest: Digest, remote: str) -> bytes | None:
        """Return the bytes of a tree, verified; None when it is nowhere. Raises what the remote raises."""
        return self.load_trees([digest], remote).get(digest)

    def load_trees(self, wanted: Iterable[Digest], remote: str) -> dict[Digest, bytes]:
        """Return trees, and remember them: few requests bring those of a level. What cannot be had is left out."""
        known = self._trees
        here = {digest: known.get(digest) or self.cache.read_tree(digest) for digest in wanted}
        found = {digest: data for digest, data in here.items() if data is not None}
        missing = [digest for digest in here if digest not in found]
        if missing:
            found.update(self._bring_trees(missing, remote))
        self._remember(found)
        return found

    def _bring_trees(self, missing: list[Digest], remote: str) -> dict[Digest, bytes]:
        try:
            found = self.ask(
                remote, lambda store: read_trees(self.cache, store, missing), lambda found: len(found) < len(missing)
            )
        except ConfigError:
            return {}  # no remote: whoever needs them says so
        with contextlib.ExitStack() as stack:
            into = self._into(stack, ())
            for digest, data in found.items():
                if isinstance(into, Writer) and isinstance(data, bytes):
                    into.put_tree(data, digest)
        for error in found.values():
            if not isinstance(error, bytes):
                raise error
        return {digest: data for digest, data in found.items() if isinstance(data, bytes)}

    def _remember(self, trees: dict[Digest, bytes]) -> None:
        with self.mutex:
            if self._size > _MEMORY:
                self._trees, self._size = {}, 0
            self._size += sum(len(data) for digest, data in trees.items() if digest not in self._trees)
            self._trees.update(trees)

    # ---------------------------------------------------------------- files

    def cached(self, digest: Digest, path: str) -> LocalFile | None:
        """Open a file that is in the cache and sound."""
        opened = self.cache.open(digest)
        return None if opened is None else LocalFile(opened[0], opened[1], digest, path)

    def open(self, need: Need, remote: str, *, verify: bool) -> io.RawIOBase:
        """Open a file of the cache, or of a remote once it came.

        Without `verify` a big one is read from the remote in parts instead, see `RangedFile`. Raises `DataMissing`,
        `CorruptData`, or what the remote raises.
        """
        cached = self._lately(need) or self.cached(need.digest, need.path)
        if cached is not None:
            return cached
        if not verify and need.size > WHOLE_UP_TO:
            store = self._open_store(remote_name(self._project, None, remote))
            if not store.packs.find([need.ident]):
                return RangedFile(need.digest, need.size, lambda *part: self._part(store, need.key, *part), need.path)
        held, done = self.bring([need], remote)
        if done.failures or done.untried:
            raise as_error("reading", done.failures, done.objects, done.untried)
        if need.digest in held and need.size > WHOLE_UP_TO:
            self._last = need.digest, held[need.digest]
        found = HeldFile(held[need.digest], need.size) if held else self.cached(need.digest, need.path)
        if found is None:
            raise DataMissing(f"{show(need.path)} went from the cache while it was read", hint="Try again.")
        return found

    def _part(self, store: Store, key: str, start: int, length: int) -> bytes:
        buffer = io.BytesIO()
        store.backend.get(key, buffer, start=start, length=length)
        return buffer.getvalue()

    def _lately(self, need: Need) -> HeldFile | None:
        """Open the big file that came last and was not kept: PyArrow opens each twice."""
        digest, held = self._last
        return HeldFile(held, need.size) if held is not None and digest == need.digest else None

    def bring(self, needs: list[Need], remote: str) -> tuple[dict[str, Shared], Fetched]:
        """Bring files that the cache lacks, few requests for many; return those that it does not keep.

        All that can be had is brought; the second result says what could not.
        """
        return self.ask(
            remote,
            lambda store: self._bring(needs, store),
            lambda result: any(isinstance(error, DataMissing) for _, error in result[1].failures),
        )

    def _bring(self, needs: list[Need], store: Store) -> tuple[dict[str, Shared], Fetched]:
        for keep in (self._keep, False):
            done = Fetched()
            fetcher = Fetcher(self.session, store.name, None, done, store=store)
            try:
                with contextlib.ExitStack() as stack, self.session.progress.task("reading") as task:
                    into = self._into(stack, needs) if keep else Held()
                    fetcher.bring(needs, into, task)
                return (into.files if isinstance(into, Held) else {}), done
            except OSError as error:
                if not keep or error.errno not in _CANNOT_KEEP:
                    raise
        raise AssertionError

    def _into(self, stack: contextlib.ExitStack, needs: Sequence[Need]) -> Into:
        """Return where to put objects: the cache, if it can be written and no gc holds it for long."""
        if not self._keep:
            return Held()
        project = self._project
        try:
            os.makedirs(project.cache_dir, exist_ok=True)
            gc = lock(os.path.join(project.cache_dir, "lock"), shared=True, timeout=project.lock_timeout)
            stack.enter_context(gc)
            if len(needs) == 1 and needs[0].size > WHOLE_UP_TO:
                # Many that read parts of one big file at once, in threads or processes, want it to come once.
                path = os.path.join(project.shared_tmp, f"reading-{needs[0].digest.hex[:2]}.lock")
                with contextlib.suppress(LockHeld):
                    stack.enter_context(lock(path, timeout=project.lock_timeout))
            return stack.enter_context(self.session.writer())
        except (OSError, LockHeld):
            return Held()


class Listings(NamedTuple):
    """The trees of a target, from the cache or its remote."""

    objects: Objects
    remote: str

    def read_tree(self, digest: Digest, /) -> bytes | None:
        """See `Objects.tree`."""
        return self.objects.tree(digest, self.remote)
