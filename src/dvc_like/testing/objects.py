"""The part of the contract that is about bytes: put, get, flush, close.

Owns the tests of those obligations; which backend they are tried on is the subclass's to say.
"""

# ruff: noqa: D102 - the name of a test is its text

from __future__ import annotations

import contextlib
import io
import os
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ..errors import DvcLikeError, RemoteNotFound, RemoteUnavailable
from ..remote.source import Source
from .samples import MIB, Interrupted, Suite, assert_absent, difference, load, local_file, opened, pattern, store

LABELS = (
    *("data/a file.bin", "ünïcödé/文件 🎈", "../../etc/passwd", "/absolute", "x" * 1000),
    "q\"uo'te\n\x00\x1b[31m",
)
RANGES = (
    *((0, 1), (0, 999), (1, None), (37, 100), (999, 1), (0, None), (0, 0), (500, 0)),
    *((900, 101), (900, 5000), (0, 5000), (1000, None), (1000, 5), (1001, None), (5000, 10)),  # past the end
)


class Broken(Exception):
    """What a sink raises that wants no more."""


class ObjectTests(Suite):
    """What is put comes back, whole or not at all."""

    def test_bytes_come_back(self) -> None:
        with opened(self.make_backend) as backend:
            store(backend, {"files/a": b"content", "b": bytes(range(256))})
            assert load(backend, "files/a") == b"content"
            assert load(backend, "b") == bytes(range(256))

    def test_a_file_comes_back_and_is_left_alone(self) -> None:
        data = pattern(300_001)
        with opened(self.make_backend) as backend, local_file(data) as path:
            before = os.stat(path)
            backend.put("a/file", path)
            backend.flush()
            after = os.stat(path)
            assert not difference(load(backend, "a/file"), data)
            assert (after.st_mode, after.st_mtime_ns, after.st_nlink) == (before.st_mode, before.st_mtime_ns, 1)
            with open(path, "r+b") as file:  # the object must not share its bytes with the source
                file.write(b"changed later")
            assert not difference(load(backend, "a/file"), data)

    def test_an_empty_object(self) -> None:
        with opened(self.make_backend) as backend, local_file(b"") as path:
            backend.put("empty/bytes", b"")
            backend.put("empty/file", path)
            backend.flush()
            assert load(backend, "empty/bytes") == load(backend, "empty/file") == b""
            assert {key: info.size for key, info in backend.list("empty/")} == {"empty/bytes": 0, "empty/file": 0}

    def test_five_mebibytes(self) -> None:
        data = pattern(5 * MIB)
        with opened(self.make_backend) as backend, local_file(data) as path:
            backend.put("big/bytes", data)
            backend.put("big/file", path)
            backend.flush()
            assert not difference(load(backend, "big/bytes"), data)
            assert not difference(load(backend, "big/file"), data)
            assert backend.stat(["big/file"])["big/file"].size == 5 * MIB

    def test_put_replaces(self) -> None:
        with opened(self.make_backend) as backend:
            store(backend, {"a": b"a long older object"})
            store(backend, {"a": b"newer"})
            assert load(backend, "a") == b"newer"
            assert [(key, info.size) for key, info in backend.list("")] == [("a", 5)]

    def test_the_last_put_before_a_flush_wins(self) -> None:
        with opened(self.make_backend) as backend:
            backend.put("a", b"first")
            backend.put("a", b"second")
            backend.flush()
            assert load(backend, "a") == b"second"

    def test_a_get_that_runs_is_not_mixed_with_a_new_object(self) -> None:
        old, new = b"o" * (6 * MIB), b"n" * (6 * MIB)
        with opened(self.make_backend) as backend, opened(self.reopen) as other:
            store(backend, {"a": old})
            # Replaced by another process when the first bytes have arrived.
            sink = Interrupted(lambda: store(other, {"a": new}))
            try:
                backend.get("a", sink)
            except RemoteUnavailable:
                return  # a store that notices may say so
            assert sink.data() in (old, new)

    def test_readers_see_the_old_object_or_the_new(self) -> None:
        versions = [bytes([letter]) * 200_000 for letter in b"abcdefgh"]
        done = threading.Event()
        with opened(self.make_backend) as backend, opened(self.reopen) as reader:
            store(backend, {"a": versions[0]})

            def read() -> list[bytes]:
                seen = [load(reader, "a")]
                while not done.is_set():
                    seen.append(load(reader, "a"))
                return seen

            with ThreadPoolExecutor(2) as pool:
                readers = [pool.submit(read) for _ in range(2)]
                try:
                    for version in versions[1:]:
                        store(backend, {"a": version})
                finally:
                    done.set()
                assert all(data in versions for future in readers for data in future.result())

    def test_a_source_that_cannot_be_read_leaves_nothing(self) -> None:
        with opened(self.make_backend) as backend, tempfile.TemporaryDirectory() as folder:
            store(backend, {"older": b"untouched"})
            for source in (os.path.join(folder, "missing"), folder):
                for key in ("new/key", "older"):
                    with pytest.raises((OSError, DvcLikeError)) as raised:
                        backend.put(key, source)
                    # It is not the store that fails, so it must not be asked again.
                    assert not isinstance(raised.value, RemoteUnavailable | RemoteNotFound)
            backend.flush()
            assert load(backend, "older") == b"untouched"
            assert [key for key, _ in backend.list("")] == ["older"]

    def test_a_source_that_is_no_file(self) -> None:
        with opened(self.make_backend) as backend:
            wanted = {f"streamed/{size}": os.urandom(size) for size in (0, 1, 3_000_017)}
            for key, data in wanted.items():
                backend.put(key, Source(data) if backend.capabilities.streams else data)
            backend.flush()
            for key, data in wanted.items():
                assert load(backend, key) == data

    def test_a_label_changes_nothing(self) -> None:
        with opened(self.make_backend) as backend:
            for number, label in enumerate(LABELS):
                backend.put(f"labelled/{number}", label.encode(), label=label)
            backend.flush()
            assert sorted(backend.stat(f"labelled/{number}" for number in range(9))) == [
                f"labelled/{number}" for number in range(len(LABELS))
            ]
            for number, label in enumerate(LABELS):
                assert load(backend, f"labelled/{number}") == label.encode()

    # ---------------------------------------------------------------- get

    @pytest.mark.parametrize(("start", "length"), RANGES)
    def test_a_range(self, start: int, length: int | None) -> None:
        data = pattern(1000)
        with opened(self.make_backend) as backend:
            store(backend, {"a": data})
            sink = io.BytesIO()
            backend.get("a", sink, start=start, length=length)
            assert not difference(sink.getvalue(), data[start : None if length is None else start + length])

    def test_a_range_of_a_big_object(self) -> None:
        data = pattern(5 * MIB)
        with opened(self.make_backend) as backend:
            store(backend, {"a": data})
            for start, length in ((MIB - 1, 2), (4 * MIB - 7, MIB), (3, 5 * MIB), (5 * MIB - 1, None)):
                sink = io.BytesIO()
                backend.get("a", sink, start=start, length=length)
                assert not difference(sink.getvalue(), data[start : None if length is None else start + length]), (
                    start,
                    length,
                )

    def test_what_is_not_there_is_not_found_before_a_byte_is_written(self) -> None:
        with opened(self.make_backend) as backend:
            assert_absent(backend, "on/an/empty/store")
            store(backend, {"folder/there": b"x"})
            for key in ("folder/not", "other/not", "not", "folder", "folder/there/below"):
                assert_absent(backend, key)
            sink = io.BytesIO()
            with pytest.raises(RemoteNotFound):
                backend.get("folder/not", sink, start=10, length=0)
            assert sink.getvalue() == b""

    def test_an_error_of_the_sink_comes_through(self) -> None:
        class Full:
            def write(self, data: bytes | memoryview, /) -> int:
                raise error

        with opened(self.make_backend) as backend:
            store(backend, {"a": b"x" * 100_000})
            for error in (Broken(), OSError(28, "No space left on device")):
                with pytest.raises(type(error)) as raised:
                    backend.get("a", Full())
                assert raised.value is error  # told as the store's own, it would be blamed and asked again
            assert not difference(load(backend, "a"), b"x" * 100_000)

    # ---------------------------------------------------------------- flush and close

    def test_after_a_flush_everybody_sees_it(self) -> None:
        with opened(self.make_backend) as backend, local_file(pattern(100_000)) as path:
            backend.flush()  # nothing to do
            backend.put("a", b"x")
            backend.put("b/c", path)
            backend.flush()
            with opened(self.reopen) as other:
                assert load(other, "a") == b"x"
                assert not difference(load(other, "b/c"), pattern(100_000))
                assert sorted(other.stat(["a", "b/c"])) == [key for key, _ in other.list("")] == ["a", "b/c"]
            backend.flush()
        with opened(self.reopen) as later:
            assert load(later, "a") == b"x"

    def test_before_a_flush_nobody_sees_a_part(self) -> None:
        data = pattern(2 * MIB)
        with opened(self.make_backend) as backend, local_file(data) as path:
            backend.put("a", data)
            backend.put("b", path)
            with opened(self.reopen) as other:
                listed = {key: info.size for key, info in other.list("")}
                assert set(listed) <= {"a", "b"}, "a temporary name is listed"
                assert set(listed.values()) <= {len(data)}
                for key in ("a", "b"):
                    sink = io.BytesIO()
                    with contextlib.suppress(RemoteNotFound):
                        other.get(key, sink)
                    assert sink.getvalue() in (b"", data)

    def test_close_twice(self) -> None:
        backend = self.make_backend()
        store(backend, {"a": b"x"})
        backend.close()
        backend.close()
        with opened(self.reopen) as other:
            assert load(other, "a") == b"x"

    def test_eight_threads(self) -> None:
        contents = {f"thread/{number:03}": pattern(number % 50 * 701) for number in range(max(16, self.MANY))}
        with opened(self.make_backend) as backend, ThreadPoolExecutor(8) as pool:
            work = [pool.submit(backend.put, key, data) for key, data in contents.items()]
            work += [pool.submit(backend.put, "same", b"the same bytes") for _ in range(8)]
            for future in work:
                future.result()
            backend.flush()
            for key, data in zip(contents, pool.map(lambda key: load(backend, key), contents), strict=True):
                assert not difference(data, contents[key]), key
            assert load(backend, "same") == b"the same bytes"
            sizes = list(pool.map(lambda key: backend.stat([key])[key].size, contents))
            assert sizes == [len(data) for data in contents.values()]
