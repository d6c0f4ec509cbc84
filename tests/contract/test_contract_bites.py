"""The contract on backends that break it: for every mistake the test named after it must fail.

A backend here is the one in memory with one mistake made on purpose.
"""

from __future__ import annotations

import contextlib
import io
import os
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from dvc_like.errors import RemoteNotFound, RemoteUnavailable
from dvc_like.remote.base import Backend, Capabilities, Info, Sink
from dvc_like.remote.local import LocalBackend
from dvc_like.remote.memory import MemoryBackend
from dvc_like.remote.source import Source
from dvc_like.remote.wrap import Wrapper
from dvc_like.testing import BackendContract


class Mistake(Exception):
    """What a mistake raises that the contract lets no backend raise."""


class Unsorted(Wrapper):
    def list(self, prefix: str) -> Iterator[tuple[str, Info]]:
        yield from reversed([*self.inner.list(prefix)])


class FolderByFolder(Wrapper):
    """Sorts names within folders, so that ``a/b`` comes before ``a-b``."""

    def list(self, prefix: str) -> Iterator[tuple[str, Info]]:
        yield from sorted(self.inner.list(prefix), key=lambda pair: pair[0].split("/"))


class PrefixOfNames(Wrapper):
    def list(self, prefix: str) -> Iterator[tuple[str, Info]]:
        begin = prefix.rstrip("/")
        return (pair for pair in self.inner.list("") if pair[0].startswith(begin))


class FirstPageOnly(Wrapper):
    def list(self, prefix: str) -> Iterator[tuple[str, Info]]:
        return (pair for _, pair in zip(range(50), self.inner.list(prefix), strict=False))


class UnknownPrefixIsAnError(Wrapper):
    def list(self, prefix: str) -> Iterator[tuple[str, Info]]:
        found = [*self.inner.list(prefix)]
        if not found:
            raise RemoteNotFound(prefix)
        return iter(found)


class WrongSizes(Wrapper):
    def list(self, prefix: str) -> Iterator[tuple[str, Info]]:
        return ((key, Info(0, info.token)) for key, info in self.inner.list(prefix))


class ShowsTemporaryNames(Wrapper):
    def __init__(self, inner: Backend) -> None:
        super().__init__(inner)
        self.unflushed: set[str] = WAITING

    def put(self, key: str, source: str | bytes, *, label: str = "") -> None:
        self.inner.put(key, source, label=label)
        self.unflushed.add(key + ".tmp")

    def flush(self) -> None:
        self.inner.flush()
        self.unflushed.clear()

    def list(self, prefix: str) -> Iterator[tuple[str, Info]]:
        yield from sorted([*self.inner.list(prefix), *((key, Info(1, "")) for key in self.unflushed)])


WAITING: set[str] = set()  # seen by every backend, as what lies on a disk is


class IgnoresRanges(Wrapper):
    def get(self, key: str, sink: Sink, *, start: int = 0, length: int | None = None) -> None:
        self.inner.get(key, sink)


class LengthIsTheEnd(Wrapper):
    def get(self, key: str, sink: Sink, *, start: int = 0, length: int | None = None) -> None:
        self.inner.get(key, sink, start=start, length=None if length is None else max(0, length - start))


class RangePastTheEndIsAnError(Wrapper):
    def get(self, key: str, sink: Sink, *, start: int = 0, length: int | None = None) -> None:
        if start and start >= self.inner.stat([key])[key].size:
            raise RemoteUnavailable("416")
        self.inner.get(key, sink, start=start, length=length)


class WritesBeforeItKnows(Wrapper):
    def get(self, key: str, sink: Sink, *, start: int = 0, length: int | None = None) -> None:
        sink.write(b"<")
        self.inner.get(key, sink, start=start, length=length)


class MissingIsEmpty(Wrapper):
    def get(self, key: str, sink: Sink, *, start: int = 0, length: int | None = None) -> None:
        if self.inner.stat([key]):
            self.inner.get(key, sink, start=start, length=length)


class MissingIsUnavailable(Wrapper):
    def get(self, key: str, sink: Sink, *, start: int = 0, length: int | None = None) -> None:
        try:
            self.inner.get(key, sink, start=start, length=length)
        except RemoteNotFound:
            raise RemoteUnavailable("404") from None


class BlamesTheStoreForTheSink(Wrapper):
    def get(self, key: str, sink: Sink, *, start: int = 0, length: int | None = None) -> None:
        try:
            self.inner.get(key, sink, start=start, length=length)
        except OSError:
            raise RemoteUnavailable("the connection broke") from None


class InTwoRequests(Wrapper):
    """Reads an object in pieces and does not notice that it was replaced meanwhile."""

    def get(self, key: str, sink: Sink, *, start: int = 0, length: int | None = None) -> None:
        if length is not None:
            return self.inner.get(key, sink, start=start, length=length)
        self.inner.get(key, sink, start=start, length=1 << 20)
        return self.inner.get(key, sink, start=start + (1 << 20))


class DamagesBigObjects(Wrapper):
    def put(self, key: str, source: str | bytes, *, label: str = "") -> None:
        if isinstance(source, bytes) and len(source) > 4 << 20:
            source = source[: 4 << 20] + source[: len(source) - (4 << 20)]  # a part sent twice
        self.inner.put(key, source, label=label)


class LosesEmptyObjects(Wrapper):
    def put(self, key: str, source: str | bytes, *, label: str = "") -> None:
        if source != b"":
            self.inner.put(key, source, label=label)


class TakesTheFileAway(Wrapper):
    def put(self, key: str, source: str | bytes, *, label: str = "") -> None:
        self.inner.put(key, source, label=label)
        if isinstance(source, str):
            os.chmod(source, 0o400)


class OnePieceOfASource(Wrapper):
    def put(self, key: str, source: str | bytes | Source, *, label: str = "", once: bool = False) -> None:
        if isinstance(source, Source):
            source = bytes(source.read(0, 1 << 20))
        self.inner.put(key, source, label=label, once=once)


class CreatesBeforeItReads(Wrapper):
    """Makes an empty object, then finds that the source cannot be read."""

    def put(self, key: str, source: str | bytes, *, label: str = "") -> None:
        self.inner.put(key, b"")
        self.inner.put(key, source, label=label)


class BadSourceIsUnavailable(Wrapper):
    def put(self, key: str, source: str | bytes, *, label: str = "") -> None:
        if isinstance(source, str) and not os.path.isfile(source):
            raise RemoteUnavailable("cannot read it")
        self.inner.put(key, source, label=label)


class PartIsVisible(Wrapper):
    """Half of an object can be seen before the flush."""

    def put(self, key: str, source: str | bytes, *, label: str = "") -> None:
        if isinstance(source, bytes):
            self.inner.put(key, source[: len(source) // 2])
            self.inner.flush()
        self.inner.put(key, source, label=label)


class ReplacesInTwoSteps(Wrapper):
    """Half of a newer object can be seen; waits until somebody looked."""

    looked = threading.Event()

    def put(self, key: str, source: str | bytes, *, label: str = "") -> None:
        if isinstance(source, bytes) and self.inner.stat([key]):
            self.inner.put(key, source[: len(source) // 2])
            self.inner.flush()
            for _ in range(3):  # one that began before and two readers
                self.looked.clear()
                assert self.looked.wait(10)
        self.inner.put(key, source, label=label)

    def get(self, key: str, sink: Sink, *, start: int = 0, length: int | None = None) -> None:
        self.inner.get(key, sink, start=start, length=length)
        self.looked.set()


class NeverReplaces(Wrapper):
    def put(self, key: str, source: str | bytes, *, label: str = "") -> None:
        if not self.inner.stat([key]):
            self.inner.put(key, source, label=label)


class FirstOfTwoWins(Wrapper):
    def __init__(self, inner: Backend) -> None:
        super().__init__(inner)
        self.waiting: set[str] = set()

    def put(self, key: str, source: str | bytes, *, label: str = "") -> None:
        if key not in self.waiting:
            self.inner.put(key, source, label=label)
            self.waiting.add(key)

    def flush(self) -> None:
        self.inner.flush()
        self.waiting.clear()


class OnceIsIgnored(Wrapper):
    def put(self, key: str, source: str | bytes, *, label: str = "", once: bool = False) -> None:
        self.inner.put(key, source, label=label)


class OnceIsAskedTooEarly(Wrapper):
    """Looks whether something is there when it is put, and replaces it at the flush all the same."""

    def put(self, key: str, source: str | bytes, *, label: str = "", once: bool = False) -> None:
        if not once or not self.inner.stat([key]):
            self.inner.put(key, source, label=label)


class OnceNeverStores(Wrapper):
    def put(self, key: str, source: str | bytes, *, label: str = "", once: bool = False) -> None:
        if not once:
            self.inner.put(key, source, label=label)


class SweepsObjects(Wrapper):
    def sweep(self, age: float) -> int:
        found = [key for key, _ in self.inner.list("")]
        self.inner.delete(found)
        return len(found)


class SweepsWhatOthersPut(Wrapper):
    """Ends the transfers of everybody, however young."""

    def __init__(self, inner: Backend) -> None:
        super().__init__(inner)
        EVERYBODY.append(self.inner)

    def sweep(self, age: float) -> int:
        for other in EVERYBODY:
            other.close()
        return 0


EVERYBODY: list[Backend] = []


class NamesByLabel(Wrapper):
    def put(self, key: str, source: str | bytes, *, label: str = "") -> None:
        if not label.isascii():
            raise Mistake
        self.inner.put(key, source, label=label)


class RefusesMissingKeys(Wrapper):
    def stat(self, keys: Iterable[str]) -> dict[str, Info]:
        keys = tuple(keys)
        found = self.inner.stat(keys)
        if len(found) < len(set(keys)):
            raise RemoteNotFound("404")
        return found


class StatOfFewOnly(Wrapper):
    def stat(self, keys: Iterable[str]) -> dict[str, Info]:
        return self.inner.stat([*keys][:50])


class StatReadsKeysTwice(Wrapper):
    def stat(self, keys: Iterable[str]) -> dict[str, Info]:
        return self.inner.stat(keys) if any(True for _ in keys) else {}


class SameToken(Wrapper):
    def stat(self, keys: Iterable[str]) -> dict[str, Info]:
        return {key: Info(info.size, f"v{info.size}") for key, info in self.inner.stat(keys).items()}

    def list(self, prefix: str) -> Iterator[tuple[str, Info]]:
        return ((key, Info(info.size, f"v{info.size}")) for key, info in self.inner.list(prefix))


class NewTokenEachTime(Wrapper):
    def stat(self, keys: Iterable[str]) -> dict[str, Info]:
        return {key: Info(info.size, uuid.uuid4().hex) for key, info in self.inner.stat(keys).items()}


class DeleteStopsAtMissing(Wrapper):
    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            if not self.inner.stat([key]):
                raise RemoteNotFound(key)
            self.inner.delete([key])


class DeleteTakesThePrefix(Wrapper):
    def delete(self, keys: Iterable[str]) -> None:
        folders = {key.partition("/")[0] for key in keys}
        self.inner.delete([key for key, _ in self.inner.list("") if key.startswith(tuple(folders))])


class DeleteForgetsWhatWaits(Wrapper):
    def delete(self, keys: Iterable[str]) -> None:
        self.inner.delete([*self.inner.stat(keys)])


class NeverFlushes(Wrapper):
    def flush(self) -> None:
        pass


class SeenByItselfOnly(Wrapper):
    """Flushes to where nobody else looks."""

    def __init__(self, inner: Backend) -> None:
        super().__init__(MemoryBackend(uuid.uuid4().hex))


class OnlyClosesOnce(Wrapper):
    closed = False

    def close(self) -> None:
        if self.closed:
            raise Mistake
        self.closed = True


class TakesAnyKey(Wrapper):
    def put(self, key: str, source: str | bytes, *, label: str = "") -> None:
        if key not in ("", "../a"):
            self.inner.put(key, source, label=label)


class LowerCase(Wrapper):
    def put(self, key: str, source: str | bytes, *, label: str = "") -> None:
        self.inner.put(key.lower(), source, label=label)


class ShortKeys(Wrapper):
    def put(self, key: str, source: str | bytes, *, label: str = "") -> None:
        self.inner.put(key[:255].rstrip("/"), source, label=label)


class OneObjectAtATime(Wrapper):
    """Keeps in itself what belongs to one call."""

    key = ""

    def __init__(self, inner: Backend) -> None:
        super().__init__(inner)
        self.two = threading.Barrier(2)

    def put(self, key: str, source: str | bytes, *, label: str = "") -> None:
        self.key = key
        with contextlib.suppress(threading.BrokenBarrierError):
            self.two.wait(0.5)  # until another call is here; alone, go on
        self.inner.put(self.key, source, label=label)


class NoLabel(Wrapper):
    def __init__(self, inner: Backend) -> None:
        super().__init__(inner)
        self.capabilities = Capabilities("")


class NoConcurrency(Wrapper):
    def __init__(self, inner: Backend) -> None:
        super().__init__(inner)
        self.capabilities = Capabilities("x", concurrency=0)


class TakesBytesForText(Wrapper):
    """Takes bytes for text."""

    def put(self, key: str, source: str | bytes, *, label: str = "") -> None:
        if isinstance(source, bytes):
            source = source.decode("utf-8", "replace").encode()
        self.inner.put(key, source, label=label)


class WritesInto(Wrapper):
    """Writes into what was there instead of replacing it: longer old bytes remain behind the new ones."""

    def put(self, key: str, source: str | bytes, *, label: str = "") -> None:
        if isinstance(source, bytes) and self.inner.stat([key]):
            old = io.BytesIO()
            self.inner.get(key, old)
            source += old.getvalue()[len(source) :]
        self.inner.put(key, source, label=label)


BROKEN: list[tuple[Callable[[Backend], Backend], str, tuple[Any, ...]]] = [
    (Unsorted, "list_is_sorted", ()),
    (FolderByFolder, "list_is_sorted", ()),
    (Unsorted, "list_of_many", ()),
    (FirstPageOnly, "list_of_many", ()),
    (PrefixOfNames, "a_prefix_is_a_folder_and_not_the_beginning_of_a_name", ()),
    (UnknownPrefixIsAnError, "a_prefix_that_is_not_there_yields_nothing", ()),
    (WrongSizes, "list_tells_sizes", ()),
    (ShowsTemporaryNames, "before_a_flush_nobody_sees_a_part", ()),
    (IgnoresRanges, "a_range", (37, 100)),
    (IgnoresRanges, "a_range_of_a_big_object", ()),
    (LengthIsTheEnd, "a_range", (37, 100)),
    (RangePastTheEndIsAnError, "a_range", (1001, None)),
    (WritesBeforeItKnows, "what_is_not_there_is_not_found_before_a_byte_is_written", ()),
    (MissingIsEmpty, "what_is_not_there_is_not_found_before_a_byte_is_written", ()),
    (MissingIsUnavailable, "what_is_not_there_is_not_found_before_a_byte_is_written", ()),
    (BlamesTheStoreForTheSink, "an_error_of_the_sink_comes_through", ()),
    (InTwoRequests, "a_get_that_runs_is_not_mixed_with_a_new_object", ()),
    (DamagesBigObjects, "five_mebibytes", ()),
    (LosesEmptyObjects, "an_empty_object", ()),
    (TakesTheFileAway, "a_file_comes_back_and_is_left_alone", ()),
    (OnePieceOfASource, "a_source_that_is_no_file", ()),
    (CreatesBeforeItReads, "a_source_that_cannot_be_read_leaves_nothing", ()),
    (BadSourceIsUnavailable, "a_source_that_cannot_be_read_leaves_nothing", ()),
    (PartIsVisible, "before_a_flush_nobody_sees_a_part", ()),
    (NeverReplaces, "put_replaces", ()),
    (WritesInto, "put_replaces", ()),
    (FirstOfTwoWins, "the_last_put_before_a_flush_wins", ()),
    (OnceIsIgnored, "once_keeps_what_is_there", ()),
    (OnceIsAskedTooEarly, "once_the_first_flushed_stays", ()),
    (OnceNeverStores, "once_stores_what_is_not_there", ()),
    (SweepsObjects, "a_sweep_touches_no_object", ()),
    (SweepsWhatOthersPut, "a_sweep_spares_what_is_under_way", ()),
    (NamesByLabel, "a_label_changes_nothing", ()),
    (RefusesMissingKeys, "stat_leaves_out_what_is_not_there", ()),
    (StatReadsKeysTwice, "stat_leaves_out_what_is_not_there", ()),
    (StatOfFewOnly, "stat_of_many", ()),
    (SameToken, "a_token_stays_until_the_object_is_written_again", ()),
    (NewTokenEachTime, "a_token_stays_until_the_object_is_written_again", ()),
    (DeleteStopsAtMissing, "delete_many_also_what_is_not_there", ()),
    (DeleteTakesThePrefix, "delete_many_also_what_is_not_there", ()),
    (DeleteForgetsWhatWaits, "what_was_deleted_does_not_come_back_with_the_flush", ()),
    (NeverFlushes, "after_a_flush_everybody_sees_it", ()),
    (SeenByItselfOnly, "after_a_flush_everybody_sees_it", ()),
    (OnlyClosesOnce, "close_twice", ()),
    (TakesAnyKey, "what_is_no_key_is_refused", ("../a",)),
    (LowerCase, "every_key", ("ABCDEFGHIJKLMNOPQRSTUVWXYZ._-",)),
    (ShortKeys, "every_key", ("/".join(["k" * 200, "l" * 200, "m" * 110]),)),
    (NoLabel, "capabilities", ()),
    (NoConcurrency, "capabilities", ()),
    (TakesBytesForText, "bytes_come_back", ()),
    (ReplacesInTwoSteps, "readers_see_the_old_object_or_the_new", ()),
    (OneObjectAtATime, "eight_threads", ()),
]


def suite_of(make: Callable[[Backend], Backend]) -> BackendContract:
    class Suite(BackendContract):
        def make_backend(self) -> Backend:
            self.name = uuid.uuid4().hex
            WAITING.clear()
            EVERYBODY.clear()
            return self.reopen()

        def reopen(self) -> Backend:
            return make(MemoryBackend(self.name))

    return Suite()


def one_test(suite: BackendContract, name: str) -> Callable[..., None]:
    found: Callable[..., None] = getattr(suite, f"test_{name}")
    return found


@pytest.mark.parametrize(("make", "name", "arguments"), BROKEN, ids=lambda value: getattr(value, "__name__", None))
def test_mistake_is_found(make: Callable[[Backend], Backend], name: str, arguments: tuple[Any, ...]) -> None:
    one_test(suite_of(lambda inner: inner), name)(*arguments)  # what is sound passes
    with pytest.raises((AssertionError, pytest.fail.Exception, RemoteNotFound, RemoteUnavailable, Mistake)):
        one_test(suite_of(make), name)(*arguments)


def test_every_test_of_the_contract_was_seen_failing() -> None:
    tests = {name.removeprefix("test_") for name in dir(BackendContract) if name.startswith("test_")}
    assert tests == {name for _, name, _ in BROKEN}


def test_local_backend_that_names_its_files_at_once_is_found(tmp_path: Any) -> None:
    class InPlace(LocalBackend):
        """Writes under the real name: what failed half-way remains."""

        def put(self, key: str, source: str | bytes, *, label: str = "") -> None:
            path = os.path.join(self.path, key)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as out:
                if isinstance(source, str):
                    with open(source, "rb") as file:
                        source = file.read()
                out.write(source)

    class Suite(BackendContract):
        def make_backend(self) -> Backend:
            return InPlace(str(tmp_path / "store"))

        reopen = make_backend

    with pytest.raises(AssertionError):
        Suite().test_a_source_that_cannot_be_read_leaves_nothing()
