"""`fetch`: bring objects from a remote into the cache, every byte verified on the way.

Owns the order trees first, then files, and what becomes of an object that is missing or damaged on the remote.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections import Counter
from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from ..cache.store import without_sound
from ..cache.writer import Writer
from ..digest import Digest, tree_ident
from ..errors import CorruptData, DataMissing, DvcLikeError, RemoteError, RemoteNotFound, gathered
from ..meta.tree import MAX_SIZE
from ..paths import RelPath, show
from ..progress import SILENT, Progress, Task
from ..project import Project
from ..remote.base import Info, Sink
from ..remote.packs import zip_key
from ..remote.seen import Seen
from ._choose import choose, unmatched
from ._closure import Need, TreeNeed, close_over, load_need, refuse_unknown
from ._packed import Take, read_packed
from ._session import Session, open_session
from ._store import Store, open_store, remote_name
from ._tracked import Selection, Wanted
from ._transfer import as_error


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
        wanted = choose(session, selection, wrong, unread=True)
        done = fetch_in(session, wanted, remote=remote, jobs=jobs)
        wrong += unmatched(session, selection, wanted)
    raise_failures("fetch", done, wrong)
    return done


def raise_failures(verb: str, done: Fetched, wrong: list[DvcLikeError]) -> None:
    """Raise what went wrong with targets and transfers, if anything did."""
    wrong += done.unknown
    if done.failures or done.untried:
        # In front: what did not come is the cause of what could not be placed.
        wrong.insert(0, as_error(verb, done.failures, done.objects, done.untried))
    if wrong:
        raise gathered(wrong)


def fetch_in(
    session: Session, wanted: list[Wanted], *, remote: str | None, jobs: int | None, only: Container[str] | None = None
) -> Fetched:
    """Do the work of `fetch` in an open session; failures are in the result. With `only`, just these keys are got."""
    done = Fetched()
    groups: dict[str, list[Wanted]] = {}
    for one in wanted:
        name = remote_name(session.project, remote, one.target.meta.remote)
        groups.setdefault(name, []).append(one)
    for name, group in groups.items():
        Fetcher(session, name, jobs, done, only).run(group)
    return done


class Into(Protocol):
    """Where objects are put that came and are what their names say: a `Writer`, or what keeps nothing."""

    def put_bytes(self, data: bytes, expected: Digest) -> None:
        """Take a whole file; raise `CorruptData` when its bytes are not those of `expected`."""

    def receive(self, expected: Digest, size: int) -> Arriving:
        """Return a sink for one file."""


class Arriving(Sink, Protocol):
    """One file on its way: its bytes from `start` on are written, then it is accepted or rejected."""

    start: int

    def accept(self) -> object:
        """Keep it; raise `CorruptData` when its bytes are not those of its name."""

    def reject(self) -> None:
        """Give it up."""


class Fetcher:
    """Fetches from one remote, which is opened only when something is missing; a `store` that is open is left open.

    An object is looked for in the packs first, in another pack where one is damaged, then under its own key.
    """

    def __init__(
        self,
        session: Session,
        name: str,
        jobs: int | None,
        done: Fetched,
        only: Container[str] | None = None,
        *,
        store: Store | None = None,
    ) -> None:
        self._session = session
        self._name = name
        self._jobs = jobs
        self._done = done
        self._only = only
        self._stack = contextlib.ExitStack()
        self._store = store
        self._verified: list[tuple[str, Info]] = []  # what the store says of keys that were read whole and are sound

    def run(self, wanted: list[Wanted]) -> None:
        """Bring all that is wanted into the cache."""
        with self._stack, self._session.progress.task("fetching") as task, self._session.writer() as writer:
            closure = close_over(wanted, lambda level: self._load(level, writer))
            self._done.unknown += refuse_unknown(closure)
            self.bring(closure.files.values(), writer, task)
            self._remember()

    def _open(self) -> Store:
        if self._store is None:
            session = self._session
            opened = open_store(session.project, self._name, jobs=self._jobs, create=False, progress=session.progress)
            self._store = self._stack.enter_context(opened)
            self._store.look()
        return self._store

    def _remember(self) -> None:
        """Spare the next push to a near store the reading of what was verified just now."""
        if self._store is not None and self._store.is_near and self._verified:
            path = os.path.join(self._session.project.shared_tmp, "remotes.sqlite")
            with Seen(path, self._store.identity) as seen:
                seen.record(self._verified)

    # ---------------------------------------------------------------- trees

    def _load(self, level: list[TreeNeed], writer: Writer) -> None:
        """Read a level of trees from the cache, the missing ones from the remote."""
        absent = {
            tree_ident(need.digest): need for need in level if not self._read(need, writer) and self._may_get(need)
        }
        if not absent:
            return
        store = self._open()

        def take(ident: bytes, data: bytes) -> None:
            writer.put_tree(data, absent[ident].digest)

        left = self._from_packs(store, dict.fromkeys(absent, MAX_SIZE), take)
        rest = [absent[ident] for ident in left]
        outcome = store.transfer(rest, lambda need: self._get_tree(store, need, take), at_once=1)
        errors = {need.digest: error for need, error in outcome.failures}
        for need in level:
            if need.entries is None and self._may_get(need) and not self._read(need, writer):
                why = errors.get(need.digest) or DataMissing("")
                self._fail(need.path, left.get(tree_ident(need.digest)), why, "its listing is")

    def _read(self, need: TreeNeed, writer: Writer) -> bool:
        """Take what a tree lists from the cache, or from what is on its way there; False when it is in neither.

        A bad one is a failure.
        """
        try:
            need.entries = load_need(writer, need)
        except DataMissing:
            return False
        except CorruptData as error:
            self._done.failures.append((show(need.path), error))
        return True

    def _may_get(self, need: Need | TreeNeed) -> bool:
        return self._only is None or need.key in self._only

    @staticmethod
    def _get_tree(store: Store, need: TreeNeed, take: Take) -> None:
        buffer = io.BytesIO()
        store.backend.get(need.key, buffer, length=MAX_SIZE)
        take(tree_ident(need.digest), buffer.getvalue())

    # ---------------------------------------------------------------- files

    def bring(self, needs: Iterable[Need], into: Into, task: Task) -> None:
        """Bring the files that the cache lacks; what could not be had is in the result."""
        asked = [need for need in needs if self._may_get(need)]
        lacking = set(without_sound(self._session.cache, (need.digest for need in asked)))
        missing = {need.ident: need for need in asked if need.digest in lacking}
        self._done.present += len(asked) - len(missing)
        if not missing:
            return
        store = self._open()
        task.expect(files=len(missing), size=sum(need.size for need in missing.values()))

        def take(ident: bytes, data: bytes) -> None:
            into.put_bytes(data, missing[ident].digest)
            task.advance(files=1, size=len(data))

        left = self._from_packs(store, {ident: need.size for ident, need in missing.items()}, take)
        rest = [missing[ident] for ident in left]
        at_once = 32 if store.is_near else 1
        outcome = store.transfer(rest, lambda need: self._get_file(store, need, into, task), at_once=at_once)
        for need, error in outcome.failures:
            self._fail(need.path, left[need.ident], error, "its object is")
        self._done.untried += len(outcome.untried)
        self._done.objects += len(missing) - len(rest) + outcome.done
        lost = sum(need.size for need, _ in outcome.failures) + sum(need.size for need in outcome.untried)
        self._done.size += sum(need.size for need in missing.values()) - lost

    def _get_file(self, store: Store, need: Need, into: Into, task: Task) -> None:
        looked = store.backend.stat([need.key]) if store.is_near else {}
        while not _receive(store, need, into, task):
            pass
        self._verified += looked.items()
        task.advance(files=1)

    # ---------------------------------------------------------------- both

    def _from_packs(self, store: Store, sizes: dict[bytes, int], take: Take) -> dict[bytes, DvcLikeError | None]:
        """Read what packs hold; return what none of them could give, and why (None: none has it).

        `sizes` says how large each object may be: nothing larger is unpacked.
        """
        left: dict[bytes, DvcLikeError | None] = dict.fromkeys(sizes)
        bad: set[str] = set()
        once: set[str] = set()  # packs in which something was wrong, perhaps only on the way
        while places := store.packs.find(left, without=bad):
            swollen = {ident for ident, place in places.items() if place.member.size > sizes[ident]}
            failures = read_packed(store, [places[ident] for ident in places.keys() - swollen], take)
            failures.update((ident, CorruptData("larger than it may be")) for ident in swollen)
            for ident in places:
                if ident in failures:
                    left[ident] = failures[ident]
                else:
                    del left[ident]
            wrong = {places[ident].pack for ident in failures}
            bad |= wrong & once
            once |= wrong
            read = Counter(places[ident].pack for ident in places if ident not in failures)
            self._verified += [
                (zip_key(pack), store.packs.zips[pack])
                for pack, count in read.items()
                if count == len(store.packs.indexes[pack])
            ]
            if not failures:
                break
        return left

    def _nowhere(self) -> DvcLikeError:
        """Return why an object could not be found: it is not there, or where it is cannot be told."""
        damaged = len(self._store.packs.damaged) if self._store is not None else 0
        if not damaged:
            return DataMissing(
                f"not on remote {self._name}",
                hint="On a machine that has it, run `dvc-like push`; "
                f"if that finds nothing to send, `dvc-like fsck --remote {self._name} --repair`.",
            )
        return CorruptData(
            f"not on remote {self._name}, or in a pack whose index is damaged there ({damaged} are)",
            hint=f"`dvc-like fsck --remote {self._name} --repair` makes damaged indexes again.",
        )

    def _fail(self, path: RelPath, in_pack: DvcLikeError | None, error: DvcLikeError, what: str) -> None:
        """Report one object; what was wrong in a pack counts more than that it is not elsewhere."""
        if in_pack is not None and isinstance(error, RemoteNotFound | DataMissing):
            error = in_pack
        if isinstance(error, RemoteNotFound | DataMissing):
            error = self._nowhere()
        elif isinstance(error, CorruptData) and not error.hint:  # else it knows better what to do
            # A push would compare no more than sizes with a bucket.
            error = CorruptData(
                f"{what} damaged on remote {self._name}; it was not used",
                hint=f"On a machine that has a sound copy: `dvc-like fsck --remote {self._name} --read-data --repair`.",
            )
        self._done.failures.append((show(path), error))


class Counting:
    """A sink that says how far it is."""

    def __init__(self, sink: Sink, task: Task) -> None:
        self._sink = sink
        self._task = task

    def write(self, data: bytes | memoryview, /) -> int:
        """Count some bytes and hand them on."""
        self._task.advance(size=len(data))
        return self._sink.write(data)


def _receive(store: Store, need: Need, into: Into, task: Task) -> bool:
    """Bring one object; False when what an earlier run left of it was wrong, and is now gone."""
    incoming = into.receive(need.digest, need.size)
    task.advance(size=incoming.start)
    try:
        if incoming.start < need.size or not need.size:
            store.backend.get(need.key, Counting(incoming, task), start=incoming.start)
        incoming.accept()
    except CorruptData as error:
        incoming.reject()
        if incoming.start:
            return False
        raise _of_another_size(store, need) or error from None
    except BaseException:
        incoming.reject()
        raise
    return True


def _of_another_size(store: Store, need: Need) -> CorruptData | None:
    """Return the error for an object of another size than is recorded, which need not be the remote's fault."""
    with contextlib.suppress(RemoteError):
        info = store.backend.stat([need.key]).get(need.key)
        if info is not None and info.size != need.size:
            return CorruptData(
                f"it has {info.size:,} bytes on remote {store.name}, and {need.size:,} in what records it",
                hint="A meta file that was written by hand, or merged wrongly, is to be restored; if it is right, the "
                f"object is damaged: on a machine that has it, `dvc-like fsck --remote {store.name} --repair`.",
            )
    return None
