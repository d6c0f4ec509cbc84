"""Big objects that come in parts: what is kept, who may go on with it, and that nothing of it is trusted."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dvc_like import digest as digests
from dvc_like.cache import incoming as receiving
from dvc_like.cache.incoming import KEEP, PARTIAL, RESUME_FROM, Incoming
from dvc_like.cache.store import Cache
from dvc_like.cache.writer import Writer
from dvc_like.errors import CorruptData, RemoteUnavailable, UnsafePath

SIZE = RESUME_FROM + 12_345
DATA = random.Random(1).randbytes(SIZE)
NAME = digests.of_bytes("blake3", DATA)
SOME = 3_000_001


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Cache]:
    with Cache(str(tmp_path / "cache"), str(tmp_path / "trust.sqlite")) as opened:
        yield opened


def partials(cache: Cache) -> list[Path]:
    folder = Path(cache.root, PARTIAL)
    return sorted(folder.iterdir()) if folder.exists() else []


def begin(cache: Cache, data: bytes = DATA[:SOME], name: digests.Digest = NAME, size: int = SIZE) -> Path:
    """Receive the beginning of an object, and give up; return the file it waits in."""
    before = set(partials(cache))
    with Writer(cache, "blake3") as writer:
        sink = writer.receive(name, size)
        sink.write(data)
        sink.reject()
    (path,) = set(partials(cache)) - before
    return path


def finish(cache: Cache, expected_start: int = SOME) -> None:
    """Receive the rest, and check that all is well."""
    with Writer(cache, "blake3") as writer:
        sink = writer.receive(NAME, SIZE)
        assert sink.start == expected_start
        if sink.start < SIZE:
            sink.write(DATA[sink.start :])
        sink.accept()
        sink.reject()  # nothing happens any more
    assert_whole(cache)


def assert_whole(cache: Cache) -> None:
    path = Path(cache.path(NAME))
    assert path.read_bytes() == DATA
    assert path.stat().st_mode & 0o777 == 0o444
    assert partials(cache) == []
    record = cache.trust.get(NAME)
    assert record is not None
    assert record[1] == digests.fingerprint(DATA)
    assert cache.is_sound(NAME)


def test_it_goes_on_where_it_stopped(cache: Cache) -> None:
    begin(cache)
    finish(cache)


@pytest.mark.parametrize("algorithm", ["sha256", "xxh128", "md5"])
def test_every_algorithm_goes_on(cache: Cache, algorithm: str) -> None:
    name = digests.of_bytes(algorithm, DATA)
    begin(cache, name=name)
    with Writer(cache, "blake3") as writer:
        sink = writer.receive(name, SIZE)
        sink.write(DATA[sink.start :])
        sink.accept()
    assert Path(cache.path(name)).read_bytes() == DATA


def test_it_goes_on_several_times(cache: Cache) -> None:
    begin(cache)
    with Writer(cache, "blake3") as writer:
        sink = writer.receive(NAME, SIZE)
        sink.write(DATA[SOME : 2 * SOME])
        sink.reject()
    finish(cache, 2 * SOME)


def test_a_small_object_is_not_kept(cache: Cache) -> None:
    small = DATA[: RESUME_FROM - 1]
    with Writer(cache, "blake3") as writer:
        sink = writer.receive(digests.of_bytes("blake3", small), len(small))
        sink.write(small[:SOME])
        sink.reject()
    assert partials(cache) == []


def test_nothing_is_kept_of_nothing(cache: Cache) -> None:
    with Writer(cache, "blake3") as writer:
        writer.receive(NAME, SIZE).reject()
    assert partials(cache) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, RemoteUnavailable("gone"), OSError(errno.ENOSPC, "full")])
def test_it_waits_whatever_broke_it_off(cache: Cache, error: BaseException | type[BaseException]) -> None:
    def work() -> None:
        with Writer(cache, "blake3") as writer:
            sink = writer.receive(NAME, SIZE)
            try:
                sink.write(DATA[:SOME])
                raise error
            except BaseException:
                sink.reject()
                raise

    with pytest.raises(type(error) if isinstance(error, BaseException) else error):
        work()
    finish(cache)


def test_one_that_came_whole_waits_when_another_fails(cache: Cache) -> None:
    """It is not flushed yet when the disk is full, say; its bytes need not come again."""

    def work() -> None:
        with Writer(cache, "blake3") as writer:
            sink = writer.receive(NAME, SIZE)
            sink.write(DATA)
            sink.accept()
            raise OSError(errno.ENOSPC, "full")

    with pytest.raises(OSError, match="full"):
        work()
    assert not cache.has(NAME)
    finish(cache, SIZE)


def test_one_that_came_whole_is_as_young_as_its_arrival(cache: Cache) -> None:
    path = begin(cache, DATA)
    then = time.time() - KEEP + 3600
    os.utime(path, (then, then))
    finish(cache, SIZE)
    assert Path(cache.path(NAME)).stat().st_mtime > time.time() - 60


# ------------------------------------------------------------------------------ nothing is trusted


@pytest.mark.parametrize(
    "left",
    [b"\0" * SOME, DATA[: SOME - 1] + b"x", DATA[1 : SOME + 1], bytes(SIZE)],
    ids=["zeros", "one byte", "shifted", "whole and wrong"],
)
def test_damage_in_what_is_left_is_seen_and_gone(cache: Cache, left: bytes) -> None:
    begin(cache).write_bytes(left)
    with Writer(cache, "blake3") as writer:
        sink = writer.receive(NAME, SIZE)
        assert sink.start == len(left)
        sink.write(DATA[len(left) :])
        with pytest.raises(CorruptData):
            sink.accept()
        sink.reject()
        assert partials(cache) == []
        again = writer.receive(NAME, SIZE)
        assert again.start == 0
        again.write(DATA)
        again.accept()
    assert_whole(cache)


def test_more_than_there_may_be_is_thrown_away_at_once(cache: Cache) -> None:
    begin(cache).write_bytes(DATA + b"x")
    finish(cache, 0)


def test_wrong_bytes_do_not_wait(cache: Cache) -> None:
    with Writer(cache, "blake3") as writer:
        sink = writer.receive(NAME, SIZE)
        with pytest.raises(CorruptData, match="longer"):
            sink.write(DATA + b"x")
        sink.reject()
    assert partials(cache) == []


def test_what_cannot_be_read_is_replaced(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(cache)
    real, seen = os.read, []

    def read(fd: int, size: int) -> bytes:
        seen.append(fd)
        if len(seen) == 2:
            raise OSError(errno.EIO, "bad sector")
        return real(fd, size)

    with Writer(cache, "blake3") as writer:
        monkeypatch.setattr(receiving.os, "read", read)
        sink = writer.receive(NAME, SIZE)
        monkeypatch.undo()
        assert sink.start == 0
        sink.write(DATA)
        sink.accept()
    assert_whole(cache)


def test_nothing_is_written_through_a_link(cache: Cache, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    path = begin(cache)
    path.unlink()
    path.symlink_to(outside / "file")
    with Writer(cache, "blake3") as writer:
        assert writer.receive(NAME, SIZE).start == 0
    assert list(outside.iterdir()) == []
    path.unlink(missing_ok=True)
    for left in partials(cache):
        left.unlink()
    path.parent.rmdir()
    path.parent.symlink_to(outside)
    with pytest.raises(UnsafePath, match="partial"):
        Cache(cache.root, str(tmp_path / "other.sqlite"))


# ------------------------------------------------------------------------------ whose it is


def test_nobody_touches_what_a_living_writer_receives(cache: Cache, tmp_path: Path) -> None:
    with Writer(cache, "blake3") as first:
        sink = first.receive(NAME, SIZE)
        sink.write(DATA[:SOME])
        with Cache(cache.root, str(tmp_path / "second.sqlite")) as same:
            with Writer(same, "blake3") as second:
                other = second.receive(NAME, SIZE)
                assert other.start == 0
                other.write(DATA)
                other.accept()
            assert Path(cache.path(NAME)).read_bytes() == DATA
            with Writer(same, "blake3"):
                pass  # sweeps what is done, but not what is being written
        assert len(partials(cache)) == 1
        sink.write(DATA[SOME:])
        sink.accept()
    assert_whole(cache)


def test_one_writer_may_receive_an_object_twice(cache: Cache) -> None:
    begin(cache)
    with Writer(cache, "blake3") as writer:
        one, two = writer.receive(NAME, SIZE), writer.receive(NAME, SIZE)
        assert (one.start, two.start) == (SOME, 0)
        two.write(DATA)
        one.write(DATA[SOME:])
        two.accept()
        one.accept()
    assert_whole(cache)


def test_the_longest_is_taken_and_the_others_are_swept(cache: Cache) -> None:
    with Writer(cache, "blake3") as first, Writer(cache, "blake3") as second:
        for writer, size in ((first, 5), (second, SOME)):
            sink = writer.receive(NAME, SIZE)
            sink.write(DATA[:size])
            sink.reject()
    assert len(partials(cache)) == 2
    with Writer(cache, "blake3") as writer:
        sink = writer.receive(NAME, SIZE)
        assert sink.start == SOME
        sink.write(DATA[SOME:])
        sink.accept()
    assert len(partials(cache)) == 1
    with Writer(cache, "blake3"):
        assert partials(cache) == []


_CHILD = f"""
import os, signal, sys
from dvc_like.cache.store import Cache
from dvc_like.cache.writer import Writer
from dvc_like.digest import parse
writer = Writer(Cache(sys.argv[1], sys.argv[2]), "blake3")
writer.__enter__()
sink = writer.receive(parse({str(NAME)!r}), {SIZE})
sink.write(sys.stdin.buffer.read())
if sys.argv[3] == "accept":
    sink.accept()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(os.name != "posix", reason="signals of this kind do not exist on this system")
@pytest.mark.parametrize(("size", "last"), [(SOME, ""), (SIZE, ""), (SIZE, "accept")])
def test_a_killed_writer_leaves_it_to_the_next(cache: Cache, tmp_path: Path, size: int, last: str) -> None:
    words = [sys.executable, "-c", _CHILD, cache.root, str(tmp_path / "child.sqlite"), last]
    done = subprocess.run(words, input=DATA[:size], check=False, timeout=120)
    assert done.returncode == -signal.SIGKILL
    assert len(partials(cache)) == 1
    finish(cache, size)


# ------------------------------------------------------------------------------ sweeping


def sweep(cache: Cache) -> list[Path]:
    with Writer(cache, "blake3"):
        return partials(cache)


def test_the_young_wait_and_the_old_go(cache: Cache) -> None:
    path = begin(cache)
    for age, kept in ((0, [path]), (KEEP - 3600, [path]), (KEEP + 3600, [])):
        then = time.time() - age
        os.utime(path, (then, then))
        assert sweep(cache) == kept


def test_what_came_another_way_goes(cache: Cache, tmp_path: Path) -> None:
    begin(cache)
    source = tmp_path / "source"
    source.write_bytes(DATA)
    with open(source, "rb") as file, Writer(cache, "blake3") as writer:
        writer.put_file(file.fileno(), SIZE)
    assert sweep(cache) == []


def test_sweeping_takes_nothing_out_of_the_trash(cache: Cache) -> None:
    begin(cache)
    key = Path(cache.root, "trash", digests.file_key(NAME))
    key.parent.mkdir(parents=True)
    key.write_bytes(DATA)
    assert len(sweep(cache)) == 1
    assert key.exists()


@pytest.mark.parametrize("name", ["notes.txt", NAME.replace(":", "-"), ".dvc-like-tmp-1"])
def test_foreign_names_are_left_alone(cache: Cache, name: str) -> None:
    foreign = begin(cache).with_name(name)
    foreign.write_text("x")
    os.utime(foreign, (0, 0))
    assert foreign in sweep(cache)
    with Writer(cache, "blake3") as writer:
        assert writer.receive(NAME, SIZE).start == SOME


def test_its_files_are_not_objects(cache: Cache) -> None:
    begin(cache)
    assert list(cache.objects()) == []


def test_an_incoming_object_is_a_sink(cache: Cache) -> None:
    with Writer(cache, "blake3") as writer:
        sink = writer.receive(NAME, SIZE)
        assert isinstance(sink, Incoming)
        assert sink.write(memoryview(DATA)[:10]) == 10


def test_what_nobody_knows_the_digest_of_must_have_the_size_that_was_told(cache: Cache) -> None:
    with Writer(cache, "blake3") as writer:
        sink = writer.receive(NAME, len(DATA) + 1, is_known=False)
        sink.write(DATA)
        with pytest.raises(CorruptData, match="ended too early"):
            sink.accept()
        sink.reject()
    assert not cache.has(NAME)
    assert partials(cache) == []
