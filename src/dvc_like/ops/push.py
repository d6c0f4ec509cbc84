"""`push`: bring what targets need from the cache to a remote.

Owns what is looked at on the remote (a tree that is there vouches for all below it; where looking costs nothing every
object is looked at), and the order: files, then trees, children before parents. A tree whose files did not all
arrive is not put.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass, field

from .. import digest as digests
from ..digest import Digest
from ..errors import CorruptData, DataMissing, DvcLikeError, RemoteError, gathered
from ..meta.tree import FOLDER, LINK
from ..paths import show
from ..progress import SILENT, Progress, Task
from ..project import Project
from ..remote.base import Info
from ..remote.seen import Seen
from ._closure import Closure, Need, TreeNeed, close_over, load_need, refuse_unknown
from ._session import Session, open_session
from ._store import Store, open_store, remote_name
from ._tracked import Selection, Wanted, read_all_targets
from ._transfer import as_error, transfer


@dataclass
class Pushed:
    """What was sent (objects, trees among them, and bytes), and how many were mended on the remote."""

    objects: int = 0
    size: int = 0
    present: int = 0
    healed: int = 0
    failures: list[tuple[str, DvcLikeError]] = field(default_factory=list)
    untried: int = 0
    unknown: list[DvcLikeError] = field(default_factory=list)  # paths asked for that are nowhere


def push(
    project: Project,
    selection: Selection = Selection(),
    *,
    remote: str | None = None,
    jobs: int | None = None,
    progress: Progress = SILENT,
) -> Pushed:
    """Send what targets need and the remote lacks. All that can be sent is sent; then failures are raised as one."""
    wrong: list[DvcLikeError] = []
    done = Pushed()
    with open_session(project, progress, cache="shared") as session:
        wanted = read_all_targets(project, session.root, selection, wrong)
        groups: dict[str, list[Wanted]] = {}
        for one in wanted:
            groups.setdefault(remote_name(project, remote, one.target.meta.remote), []).append(one)
        if not groups and not wrong:
            remote_name(project, remote)  # so that a missing remote is told even where nothing is tracked
        for name, group in groups.items():
            store = open_store(project, name, jobs=jobs, create=True, progress=progress)
            seen = Seen(os.path.join(project.shared_tmp, "remotes.sqlite"), store.identity)
            try:
                _Pusher(session, store, seen, done).run(group)
            finally:
                seen.close()
                store.backend.close()
    wrong += done.unknown
    if done.failures or done.untried:
        wrong.append(as_error("push", done.failures, done.objects, done.untried))
    if wrong:
        raise gathered(wrong)
    return done


class _Pusher:
    """Pushes to one store."""

    def __init__(self, session: Session, store: Store, seen: Seen, done: Pushed) -> None:
        self._session = session
        self._store = store
        self._seen = seen
        self._done = done
        self._tokens = seen.tokens() if store.backend.capabilities.cheap_stat else {}
        self._lost: set[str] = set()  # keys that are not, and will not be, on the remote

    def run(self, wanted: list[Wanted]) -> None:
        with self._session.progress.task("pushing") as task:
            there: set[str] = set()
            closure = close_over(wanted, lambda level: self._load(level, there))
            self._done.unknown += refuse_unknown(closure)
            missing = self._missing_files(closure, there)
            self._send_files(missing, task)
            self._send_trees(closure, there)

    # ---------------------------------------------------------------- what is missing

    def _load(self, level: list[TreeNeed], there: set[str]) -> None:
        """Read a level of trees from the cache, except those that the remote has and so vouches for."""
        backend = self._store.backend
        found = backend.stat([need.key for need in level])
        for need in level:
            info = found.get(need.key)
            data = self._session.cache.read_tree(need.digest)
            if data is None:
                if info is None:
                    self._fail(
                        need.key, need.path, DataMissing("its listing is neither in the cache nor on the remote")
                    )
                else:
                    there.add(need.key)
                continue
            if info is not None and self._is_good(need.key, need.digest, len(data), info):
                there.add(need.key)
                if need.whole and not backend.capabilities.cheap_stat:
                    continue
            try:
                need.entries = load_need(self._session.cache, need)
            except DvcLikeError as error:
                self._fail(need.key, need.path, error)

    def _missing_files(self, closure: Closure, there: set[str]) -> list[Need]:
        needs = list(closure.files.values())
        found = self._store.backend.stat([need.key for need in needs])
        missing = []
        for need in needs:
            info = found.get(need.key)
            if info is not None and self._is_good(need.key, need.digest, need.size, info):
                there.add(need.key)
                self._done.present += 1
            else:
                missing.append(need)
                self._done.healed += info is not None
        return missing

    def _is_good(self, key: str, digest: Digest, size: int, info: Info) -> bool:
        """Tell whether an object of the remote may be taken for sound.

        Its size must fit. Where the store tells whether an object was written again since we sent it, one that was
        is read.
        """
        if info.size != size:
            return False
        known = self._tokens.get(key)
        if known is None or not info.token or known == info.token:
            return True
        sound = self._is_sound_there(key, digest)
        if sound:
            self._seen.record([(key, info)])
        return sound

    def _is_sound_there(self, key: str, digest: Digest) -> bool:
        hashing = _Hashing(digest.algorithm)
        try:
            self._store.backend.get(key, hashing)
        except RemoteError:
            return False
        return digests.finish(digest.algorithm, hashing.state) == digest

    # ---------------------------------------------------------------- sending

    def _send_files(self, missing: list[Need], task: Task) -> None:
        task.expect(files=len(missing), size=sum(need.size for need in missing))
        outcome = transfer(missing, lambda need: self._send_file(need, task), self._store.jobs)
        self._store.backend.flush()
        failed = {need.key for need, _ in outcome.failures}
        for need, error in outcome.failures:
            self._fail(need.key, need.path, error)
        self._done.untried += len(outcome.untried)
        failed.update(need.key for need in outcome.untried)
        self._lost.update(failed)
        sent = [need for need in missing if need.key not in failed]
        self._done.objects += outcome.done
        self._done.size += sum(need.size for need in sent)
        self._acknowledge([need.key for need in sent])

    def _send_file(self, need: Need, task: Task) -> None:
        if not self._session.cache.ensure(need.digest):
            raise DataMissing(
                "not in the cache, or damaged there, and not on the remote",
                hint="`dvc-like fsck --repair` brings back what the workspace or another remote has.",
            )
        self._store.backend.put(need.key, self._session.cache.path(need.digest), label=need.path)
        task.advance(files=1, size=need.size)

    def _send_trees(self, closure: Closure, there: set[str]) -> None:
        """Put the trees, the deepest first, each only when all below it is there."""
        for level in reversed(closure.levels):
            ready = []
            for need in level:
                if need.key in there or need.entries is None or not need.whole:
                    continue
                if any(self._entry_key(entry.kind, entry.value) in self._lost for entry in need.entries):
                    self._lost.add(need.key)
                else:
                    ready.append(need)
            unique = list({need.key: need for need in ready}.values())
            outcome = transfer(unique, self._send_tree, self._store.jobs)
            self._store.backend.flush()
            for need, error in outcome.failures:
                self._fail(need.key, need.path, error)
            self._done.untried += len(outcome.untried)
            self._lost.update(need.key for need in outcome.untried)
            self._done.objects += outcome.done
            self._acknowledge([need.key for need in unique if need.key not in self._lost])

    @staticmethod
    def _entry_key(kind: str, value: str) -> str:
        if kind == LINK:
            return ""
        return digests.tree_key(Digest(value)) if kind == FOLDER else digests.file_key(Digest(value))

    def _send_tree(self, need: TreeNeed) -> None:
        data = self._session.cache.read_tree(need.digest)
        if data is None:
            raise CorruptData("its listing is damaged in the cache")
        self._store.backend.put(need.key, data, label=need.path)

    def _acknowledge(self, keys: list[str]) -> None:
        """Record what the store says of objects that it has just taken."""
        if keys and self._store.backend.capabilities.cheap_stat:
            self._seen.record(self._store.backend.stat(keys).items())

    def _fail(self, key: str, path: str, error: DvcLikeError) -> None:
        self._lost.add(key)
        self._done.failures.append((show(path), error))


class _Hashing(io.RawIOBase):
    """A sink that only hashes."""

    def __init__(self, algorithm: str) -> None:
        super().__init__()
        self.state = digests.hasher(algorithm)

    def write(self, data: bytes | memoryview, /) -> int:  # type: ignore[override]
        self.state.update(data)
        return len(data)
