"""`fetch`: bring objects from a remote into the cache, every byte verified on the way.

Owns the order trees first, then files, and what becomes of an object that is missing or damaged on the remote.
"""

from __future__ import annotations

import errno
import io
from dataclasses import dataclass, field

from ..cache.writer import Writer
from ..errors import CorruptData, DataMissing, DvcLikeError, RemoteNotFound, gathered
from ..meta.tree import MAX_SIZE
from ..paths import show
from ..progress import SILENT, Progress, Task
from ..project import Project
from ._closure import Closure, Need, TreeNeed, close_over, load_need, refuse_unknown
from ._session import Session, open_session
from ._store import Store, open_store, remote_name
from ._tracked import Selection, Wanted, read_all_targets
from ._transfer import as_error, transfer

_HEAL = "On a machine that has a sound copy, run `dvc-like push`."


@dataclass
class Fetched:
    """What came: objects and bytes, and how many objects were in the cache already."""

    objects: int = 0
    size: int = 0
    present: int = 0
    failures: list[tuple[str, DvcLikeError]] = field(default_factory=list)
    untried: int = 0
    unknown: list[DvcLikeError] = field(default_factory=list)  # paths asked for that are nowhere


def fetch(
    project: Project,
    selection: Selection = Selection(),
    *,
    remote: str | None = None,
    jobs: int | None = None,
    progress: Progress = SILENT,
) -> Fetched:
    """Bring what targets need into the cache. All that can be had is brought; then failures are raised as one."""
    wrong: list[DvcLikeError] = []
    with open_session(project, progress, cache="shared") as session:
        wanted = read_all_targets(project, session.root, selection, wrong)
        done = fetch_in(session, wanted, remote=remote, jobs=jobs)
    raise_failures("fetch", done, wrong)
    return done


def raise_failures(verb: str, done: Fetched, wrong: list[DvcLikeError]) -> None:
    """Raise what went wrong with targets and transfers, if anything did."""
    wrong += done.unknown
    if done.failures or done.untried:
        wrong.append(as_error(verb, done.failures, done.objects, done.untried))
    if wrong:
        raise gathered(wrong)


def fetch_in(session: Session, wanted: list[Wanted], *, remote: str | None, jobs: int | None) -> Fetched:
    """Do the work of `fetch` in an open session; failures are in the result."""
    done = Fetched()
    groups: dict[str, list[Wanted]] = {}
    for one in wanted:
        name = remote_name(session.project, remote, one.target.meta.remote)
        groups.setdefault(name, []).append(one)
    for name, group in groups.items():
        _Fetcher(session, name, jobs, done).run(group)
    return done


class _Fetcher:
    """Fetches from one remote, which is opened only when something is missing."""

    def __init__(self, session: Session, name: str, jobs: int | None, done: Fetched) -> None:
        self._session = session
        self._name = name
        self._jobs = jobs
        self._done = done
        self._store: Store | None = None

    def run(self, wanted: list[Wanted]) -> None:
        try:
            with self._session.progress.task("fetching") as task, self._session.writer() as writer:
                closure = close_over(wanted, lambda level: self._load(level, writer))
                self._done.unknown += refuse_unknown(closure)
                self._bring(closure, writer, task)
        finally:
            if self._store is not None:
                self._store.backend.close()

    def _open(self) -> Store:
        if self._store is None:
            session = self._session
            self._store = open_store(
                session.project, self._name, jobs=self._jobs, create=False, progress=session.progress
            )
        return self._store

    def _load(self, level: list[TreeNeed], writer: Writer) -> None:
        """Read a level of trees from the cache, the missing ones from the remote."""
        absent = []
        for need in level:
            try:
                need.entries = load_need(self._session.cache, need)
            except DataMissing:
                absent.append(need)
            except CorruptData as error:
                self._done.failures.append((show(need.path), error))
        if not absent:
            return
        store = self._open()
        outcome = transfer(absent, lambda need: self._get_tree(store, need, writer), store.jobs)
        writer.flush()
        for need in absent:
            if all(need is not failed for failed, _ in outcome.failures):
                try:
                    need.entries = load_need(self._session.cache, need)
                except DvcLikeError as error:
                    self._done.failures.append((show(need.path), error))
        self._note(outcome.failures, len(outcome.untried))

    def _get_tree(self, store: Store, need: TreeNeed, writer: Writer) -> None:
        buffer = _Bounded(MAX_SIZE)
        try:
            store.backend.get(need.key, buffer)
            writer.put_tree(buffer.getvalue(), need.digest)
        except CorruptData:
            raise CorruptData(f"its listing is damaged on remote {store.name}", hint=_HEAL) from None

    def _bring(self, closure: Closure, writer: Writer, task: Task) -> None:
        missing = [need for need in closure.files.values() if not self._session.cache.is_sound(need.digest)]
        self._done.present += len(closure.files) - len(missing)
        if not missing:
            return
        store = self._open()
        task.expect(files=len(missing), size=sum(need.size for need in missing))
        outcome = transfer(missing, lambda need: self._get_file(store, need, writer, task), store.jobs)
        self._done.objects += outcome.done
        self._done.size += sum(need.size for need in missing)
        self._done.size -= sum(need.size for need, _ in outcome.failures) + sum(need.size for need in outcome.untried)
        self._note(outcome.failures, len(outcome.untried))

    def _get_file(self, store: Store, need: Need, writer: Writer, task: Task) -> None:
        try:
            incoming = writer.receive(need.digest, need.size)
            try:
                store.backend.get(need.key, incoming)
                incoming.accept()
            except BaseException:
                incoming.reject()
                raise
        except CorruptData:
            raise CorruptData(f"its object is damaged on remote {store.name}; it was not used", hint=_HEAL) from None
        task.advance(files=1, size=need.size)

    def _note(
        self, failures: list[tuple[Need, DvcLikeError]] | list[tuple[TreeNeed, DvcLikeError]], untried: int
    ) -> None:
        for need, error in failures:
            if isinstance(error, RemoteNotFound):
                error = DataMissing(f"not on remote {self._name}", hint=_HEAL)
            self._done.failures.append((show(need.path), error))
        self._done.untried += untried


class _Bounded(io.BytesIO):
    """A buffer that a lying remote cannot fill without end."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._left = limit

    def write(self, data: bytes | memoryview, /) -> int:  # type: ignore[override]
        self._left -= len(data)
        if self._left < 0:
            raise CorruptData(f"larger than a tree may be ({errno.errorcode[errno.EFBIG]})")
        return super().write(data)
