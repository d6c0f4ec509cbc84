"""How objects get in: all of a batch or nothing under a name, whatever happens on the way."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dvc_like import digest as digests
from dvc_like import durable, fsutil
from dvc_like.cache import writer as writing
from dvc_like.cache.store import Cache
from dvc_like.cache.writer import BATCH_FILES, CLONE_FROM, SMALL, Stored, Writer
from dvc_like.digest import Digest, file_key
from dvc_like.errors import CorruptData, UnsafePath
from dvc_like.fsutil import is_temp


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Cache]:
    with Cache(str(tmp_path / "cache"), str(tmp_path / "trust.sqlite")) as opened:
        yield opened


def put(writer: Writer, data: bytes) -> Stored:
    """Store bytes by way of a file beside the cache."""
    source = Path(writer.cache.root).parent / f"source-{threading.get_ident()}"
    source.write_bytes(data)
    fd = os.open(source, os.O_RDONLY)
    try:
        return writer.put_file(fd, len(data))
    finally:
        os.close(fd)


def names(cache: Cache) -> set[str]:
    return {found.key for found in cache.objects()}


def temps(cache: Cache) -> list[str]:
    """Return every temporary file and mark in the cache, and what lies in shards that are not in place yet."""
    found = [(folder, name) for folder, _, files in os.walk(cache.root) for name in files]
    return [name for folder, name in found if is_temp(name) or folder.startswith(f"{cache.root}/new/")]


def litter(cache: Cache) -> list[str]:
    """Return what temporary files outlast the next writer, which sweeps as it begins."""
    with Writer(cache, "blake3"):
        pass
    return temps(cache)


def content(cache: Cache, digest: Digest) -> bytes:
    return Path(cache.path(digest)).read_bytes()


@pytest.mark.parametrize("count", [1, 8, 9, 30])
@pytest.mark.parametrize("fresh", [False, True])
def test_bytes_are_on_disk_before_names_and_names_after(
    cache: Cache, monkeypatch: pytest.MonkeyPatch, count: int, fresh: bool
) -> None:
    """A kill shows nothing of this, a power cut would."""
    data = [bytes([number]) for number in range(count)]
    if not fresh:
        for number in range(256):  # all shards are there, so each object is renamed
            os.makedirs(f"{cache.root}/files/blake3/{number:02x}")
    steps: list[tuple[str, str]] = []
    fsync, rename = os.fsync, fsutil.Dir.rename

    def recorded_fsync(fd: int) -> None:
        steps.append(("fsync", os.readlink(f"/proc/self/fd/{fd}").removeprefix(cache.root).lstrip("/")))
        fsync(fd)

    def recorded_rename(self: fsutil.Dir, old: str, new: str) -> None:
        steps.append((old, new))
        rename(self, old, new)

    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("needs /proc, to see what is flushed")
    with Writer(cache, "blake3") as writer:
        for one in data:
            put(writer, one)
        monkeypatch.setattr(os, "fsync", recorded_fsync)
        monkeypatch.setattr(fsutil.Dir, "rename", recorded_rename)
        monkeypatch.setattr(durable, "flush_filesystem", lambda fd: steps.append(("fsync", "")))
        writer.flush()
    keys = {file_key(digests.of_bytes("blake3", one)) for one in data}
    renames = [at for at, (what, _) in enumerate(steps) if what != "fsync"]
    before = {path for what, path in steps[: renames[0]] if what == "fsync"}
    after = {path for what, path in steps[renames[-1] + 1 :] if what == "fsync"}
    assert all(steps[at][0] != "fsync" for at in range(renames[0], renames[-1])), "flushed while names were given"
    named = {new for what, new in steps if what != "fsync"}
    assert {key for key in keys if key in named or key.rpartition("/")[0] in named} == keys
    if "" not in before:
        old = {what for what, _ in steps if what != "fsync"}
        flushed = before | {path.rpartition("/")[0] for path in before}  # of a shard all that is in it
        assert old <= flushed
        assert len(before) == count
    if "" not in after:
        assert {new.rpartition("/")[0] for new in named} <= after
        assert {key.rpartition("/")[0] for key in keys} <= after


@pytest.mark.parametrize("size", [5, SMALL + 1])
@pytest.mark.parametrize("way", ["file", "bytes", "receive", "verified"])
def test_every_fingerprint_is_under_the_seed_of_the_cache(tmp_path: Path, size: int, way: str) -> None:
    data = random.Random(size).randbytes(size)
    name = digests.of_bytes("blake3", data)
    with Cache(str(tmp_path / "cache"), str(tmp_path / "trust.sqlite"), 12345) as cache:
        with Writer(cache, "blake3") as writer:
            if way == "bytes":
                writer.put_bytes(data, name)
            elif way == "receive":
                sink = writer.receive(name, size)
                sink.write(data)
                sink.accept()
            else:
                assert put(writer, data).fingerprint == digests.fingerprint(data, 12345)
        if way == "verified":
            cache.trust.drop(name)
            assert cache.ensure(name)
        record = cache.trust.get(name)
    assert record is not None
    assert record[1] == digests.fingerprint(data, 12345) != digests.fingerprint(data)


SIZES = [0, 1, CLONE_FROM - 1, CLONE_FROM, SMALL, SMALL + 1, 4 << 20, (4 << 20) + 1, (13 << 20) + 7]


@pytest.mark.parametrize("algorithm", ["blake3", "sha256", "xxh128"])
@pytest.mark.parametrize("size", SIZES)
def test_what_is_stored_is_what_was_read_and_is_named_by_it(cache: Cache, size: int, algorithm: str) -> None:
    data = random.Random(size).randbytes(size)
    with Writer(cache, algorithm) as writer:
        stored = put(writer, data)
    assert stored == (digests.of_bytes(algorithm, data), digests.fingerprint(data), size)
    assert content(cache, stored.digest) == data
    assert cache.is_sound(stored.digest)
    assert Path(cache.path(stored.digest)).stat().st_mode & 0o777 == 0o444
    assert temps(cache) == []


@pytest.mark.parametrize("kind", ["xfs", "btrfs"])
@pytest.mark.parametrize("size", SIZES)
def test_a_file_system_that_clones_gives_the_same(loop_fs: Callable[[str], Path], kind: str, size: int) -> None:
    folder = loop_fs(kind)
    data = random.Random(size).randbytes(size)
    with Cache(str(folder / "cache"), str(folder / "trust.sqlite")) as cache:
        with Writer(cache, "blake3") as writer:
            stored = put(writer, data)
        assert content(cache, stored.digest) == data
        for source in folder.glob("source-*"):
            source.write_bytes(b"changed afterwards")
        assert content(cache, stored.digest) == data
        assert temps(cache) == []


@pytest.mark.parametrize("size", [CLONE_FROM, SMALL, SMALL + 1, 5 << 20])
def test_a_clone_of_a_file_that_changed_meanwhile_never_gets_the_wrong_name(
    loop_fs: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """The file changes between the reading and the cloning; its reader notices and stores it once more."""
    folder = loop_fs("xfs")
    source = folder / "data"
    source.write_bytes(b"a" * size)
    real = writing.clone

    def clone(source_fd: int, target_fd: int) -> bool:
        if size > SMALL:  # cloned first, hashed afterwards
            done = real(source_fd, target_fd)
            source.write_bytes(b"b" * size)
            return done
        source.write_bytes(b"b" * size)
        return real(source_fd, target_fd)

    with Cache(str(folder / "cache"), str(folder / "trust.sqlite")) as cache:
        with Writer(cache, "blake3") as writer:
            for meddled in (clone, real):
                monkeypatch.setattr(writing, "clone", meddled)
                fd = os.open(source, os.O_RDONLY)
                stored = writer.put_file(fd, size)
                os.close(fd)
        assert stored.digest == digests.of_bytes("blake3", source.read_bytes())
        for found in list(cache.objects()):
            opened = cache.open(found.digest)
            if opened is not None:
                os.close(opened[0])
                assert digests.of_bytes("blake3", content(cache, found.digest)) == found.digest
        assert cache.is_sound(stored.digest)


def test_a_size_that_was_wrong_does_not_matter(cache: Cache, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x" * 5000)
    with Writer(cache, "blake3") as writer:
        for size in (0, 1, 4999, 5001, SMALL, SMALL + 1):
            fd = os.open(tmp_path / "f", os.O_RDONLY)
            stored = writer.put_file(fd, size)
            os.close(fd)
            assert stored.size == 5000
            assert stored.digest == digests.of_bytes("blake3", b"x" * 5000)


def test_equal_bytes_are_stored_once(cache: Cache) -> None:
    with Writer(cache, "blake3") as writer:
        for data in (b"same", b"same", b"other", b"L" * (SMALL + 1), b"L" * (SMALL + 1)):
            put(writer, data)
        writer.flush()
        first = put(writer, b"same").digest
        put(writer, b"L" * (SMALL + 1))
        inode = os.stat(cache.path(first)).st_ino
    assert len(names(cache)) == 3
    assert os.stat(cache.path(first)).st_ino == inode
    assert temps(cache) == []


def test_storing_again_makes_an_object_young(cache: Cache) -> None:
    with Writer(cache, "blake3") as writer:
        digest = put(writer, b"same").digest
        tree = writer.put_tree(b"tree")
    for found in list(cache.objects()):
        os.utime(f"{cache.root}/{found.key}", ns=(5, 5))
    with Writer(cache, "blake3") as writer:
        assert put(writer, b"same").digest == digest
        assert writer.put_tree(b"tree") == tree
    assert all(found.mtime_ns > 10**18 for found in cache.objects())
    assert cache.is_sound(digest)


@pytest.mark.parametrize("recorded", [True, False])
@pytest.mark.parametrize("size", [10, SMALL + 1])
def test_a_damaged_object_is_healed_by_storing_it(cache: Cache, recorded: bool, size: int) -> None:
    with Writer(cache, "blake3") as writer:
        digest = put(writer, b"g" * size).digest
    path = Path(cache.path(digest))
    path.chmod(0o644)
    path.write_bytes(b"b" * size)
    if not recorded:
        cache.trust.drop(digest)
    with Writer(cache, "blake3") as writer:
        assert put(writer, b"g" * size).digest == digest
    assert content(cache, digest) == b"g" * size
    assert cache.is_sound(digest)
    assert temps(cache) == []


def test_a_damaged_tree_is_healed_by_storing_it(cache: Cache) -> None:
    with Writer(cache, "blake3") as writer:
        digest = writer.put_tree(b"tree")
    path = Path(cache.root, digests.tree_key(digest))
    path.chmod(0o644)
    path.write_bytes(b"damage")
    with Writer(cache, "blake3") as writer:
        writer.put_tree(b"tree")
    assert cache.read_tree(digest) == b"tree"


def test_a_tree_must_have_the_bytes_of_its_name(cache: Cache) -> None:
    expected = digests.of_bytes("sha256", b"tree")
    with Writer(cache, "blake3") as writer:
        assert writer.put_tree(b"tree", expected) == expected
        with pytest.raises(CorruptData):
            writer.put_tree(b"tree!", expected)
    assert names(cache) == {digests.tree_key(expected)}


# ------------------------------------------------------------------------------ names come last


def test_nothing_has_a_name_before_the_flush_and_everything_after(cache: Cache) -> None:
    with Writer(cache, "blake3") as writer:
        for number in range(20):
            put(writer, b"%d" % number)
        put(writer, b"L" * (SMALL + 1))
        writer.put_tree(b"tree")
        assert names(cache) == set()
        writer.flush()
        assert len(names(cache)) == 22
        put(writer, b"more")
        assert len(names(cache)) == 22
    assert len(names(cache)) == 23
    assert temps(cache) == []


def test_an_error_leaves_nothing_of_what_was_not_flushed(cache: Cache) -> None:
    def work() -> None:
        with Writer(cache, "blake3") as writer:
            put(writer, b"kept")
            writer.flush()
            put(writer, b"dropped")
            put(writer, b"L" * (SMALL + 1))
            writer.put_tree(b"tree")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        work()
    assert names(cache) == {file_key(digests.of_bytes("blake3", b"kept"))}
    assert litter(cache) == []


def test_control_c_keeps_what_was_read(cache: Cache) -> None:
    def work() -> None:
        with Writer(cache, "blake3") as writer:
            put(writer, b"whole")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert names(cache) == {file_key(digests.of_bytes("blake3", b"whole"))}
    assert litter(cache) == []


def test_a_batch_is_flushed_in_the_background_while_the_next_is_read(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "BATCH_FILES", 400)
    with Writer(cache, "blake3") as writer:
        for number in range(850):
            put(writer, b"%d" % number)
        put(writer, b"0")
        writer.flush()
        assert len(names(cache)) == 850
    assert all(cache.is_sound(found.digest) for found in cache.objects())
    assert cache.set_aside == []
    assert temps(cache) == []


@pytest.mark.parametrize("after", [0, 100, 300], ids=["at the end", "in the next batch", "two batches on"])
def test_a_full_disk_in_the_background_is_reported_and_leaves_no_litter(
    cache: Cache, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    calls = []

    def flush(fd: int) -> None:
        calls.append(fd)
        if len(calls) == 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(durable, "flush_filesystem", flush)  # a disk fills up when it pleases, a test does not
    monkeypatch.setattr(writing, "BATCH_FILES", 200)

    def work() -> None:
        with Writer(cache, "blake3") as writer:
            for number in range(200 + after):
                put(writer, b"%d" % number)
                if number >= 200:
                    writer._background.join()

    with pytest.raises(OSError, match="space") as caught:
        work()
    assert caught.value.errno == errno.ENOSPC
    assert not names(cache) & {file_key(digests.of_bytes("blake3", b"%d" % number)) for number in range(200)}
    assert litter(cache) == []


def test_a_name_that_is_taken_by_a_folder_fails_in_the_background_and_is_reported(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "BATCH_FILES", 50)
    taken = Path(cache.path(digests.of_bytes("blake3", b"7")))
    (taken / "inner").mkdir(parents=True)

    def work() -> None:
        with Writer(cache, "blake3") as writer:
            for number in range(60):
                put(writer, b"%d" % number)

    with pytest.raises(OSError, match="irectory"):
        work()
    assert litter(cache) == []
    assert all(cache.is_sound(found.digest) for found in cache.objects())


@pytest.mark.parametrize("size", [SMALL, 4 << 20])
def test_a_full_disk_while_writing_leaves_nothing(small_disk: Callable[[int], Path], tmp_path: Path, size: int) -> None:
    folder = small_disk(3 << 20)
    with Cache(str(folder / "cache"), str(tmp_path / "trust.sqlite")) as cache:

        def work() -> None:
            with Writer(cache, "blake3") as writer:
                for _ in range(5):
                    (tmp_path / "big").write_bytes(os.urandom(size))
                    with open(tmp_path / "big", "rb") as file:
                        writer.put_file(file.fileno(), size)

        with pytest.raises(OSError, match="space"):
            work()
        assert names(cache) == set()
        assert litter(cache) == []


# ------------------------------------------------------------------------------ death

_DYING = """
import os, sys
from dvc_like.cache.store import Cache
from dvc_like.cache.writer import Writer
cache = Cache(sys.argv[1], sys.argv[2])
with Writer(cache, "blake3") as writer:
    for number in range(int(sys.argv[3])):
        with open(sys.argv[4], "wb") as file:
            file.write(b"%d" % number if number != 5 else b"L" * (3 << 20))
        with open(sys.argv[4], "rb") as file:
            writer.put_file(file.fileno(), os.fstat(file.fileno()).st_size)
    writer.put_tree(b"tree")
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def dying(
    cache: Cache, tmp_path: Path, start: Callable[..., subprocess.Popen[bytes]]
) -> Callable[[int], subprocess.Popen[bytes]]:
    """Start a process that stores so many files and waits before the flush."""
    trust, source = str(tmp_path / "trust.sqlite"), str(tmp_path / "child")
    return lambda count: start(_DYING, cache.root, trust, str(count), source, ready=b"ready")


def test_a_killed_writer_leaves_no_names_and_the_next_one_sweeps(
    cache: Cache, dying: Callable[[int], subprocess.Popen[bytes]]
) -> None:
    process = dying(30)
    assert len(temps(cache)) == 32  # thirty files, a tree and the mark
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert names(cache) == set()
    with Writer(cache, "blake3") as writer:
        assert len(temps(cache)) == 1  # this writer's own mark
        put(writer, b"1")
    assert temps(cache) == []
    assert names(cache) == {file_key(digests.of_bytes("blake3", b"1"))}


def test_a_living_writer_is_not_swept(cache: Cache, dying: Callable[[int], subprocess.Popen[bytes]]) -> None:
    process = dying(30)
    with Writer(cache, "blake3") as writer:
        put(writer, b"mine")
        assert len(temps(cache)) == 34
    assert process.stdin is not None
    process.communicate(b"")
    assert process.returncode == 0
    assert len(names(cache)) == 32
    assert temps(cache) == []


def test_a_writer_killed_after_some_batches_leaves_those_whole(
    cache: Cache, dying: Callable[[int], subprocess.Popen[bytes]]
) -> None:
    process = dying(BATCH_FILES + 10)
    process.send_signal(signal.SIGKILL)
    process.wait()
    found = list(cache.objects())
    assert all(digests.of_bytes("blake3", content(cache, each.digest)) == each.digest for each in found)
    with Writer(cache, "blake3"):
        pass
    assert temps(cache) == []


def test_sweeping_leaves_files_of_others_alone(cache: Cache) -> None:
    with Writer(cache, "blake3") as writer:
        digest = put(writer, b"1").digest
    shard = Path(cache.path(digest)).parent
    (shard / ".dvc-like-tmp-unknown-1").write_bytes(b"somebody's who holds no mark here")
    (shard / "mine").write_bytes(b"")
    with Writer(cache, "blake3"):
        pass
    assert {path.name for path in shard.iterdir()} == {digest.hex[2:], ".dvc-like-tmp-unknown-1", "mine"}


def test_a_mark_of_one_writer_does_not_sweep_another_whose_name_begins_alike(cache: Cache) -> None:
    shard = Path(cache.root, "files/blake3/ab")
    shard.mkdir(parents=True)
    marks = Path(cache.root, "tmp")
    marks.mkdir()
    (marks / ".dvc-like-tmp-1-2-1").write_bytes(b"")
    (shard / ".dvc-like-tmp-1-2-1-0").write_bytes(b"dead")
    (shard / ".dvc-like-tmp-1-2-10-0").write_bytes(b"another")
    with Writer(cache, "blake3"):
        pass
    assert [path.name for path in shard.iterdir()] == [".dvc-like-tmp-1-2-10-0"]
    assert list(marks.iterdir()) == []


def test_writers_that_begin_and_end_at_once_do_not_trip_each_other(cache: Cache, tmp_path: Path) -> None:
    """Each one sweeps as it begins: it must not take a mark that is just being made for a dead one's."""
    program = (
        "import sys; from dvc_like.cache.store import Cache; from dvc_like.cache.writer import Writer\n"
        "cache = Cache(sys.argv[1], sys.argv[2])\n"
        "for _ in range(400):\n"
        "    with Writer(cache, 'blake3') as writer: writer.put_tree(b'tree')\n"
    )
    words = [sys.executable, "-c", program, cache.root, str(tmp_path / "trust.sqlite")]
    running = [subprocess.Popen(words, stderr=subprocess.PIPE) for _ in range(4)]
    errors = [process.communicate()[1].decode() for process in running]
    assert errors == [""] * 4
    assert temps(cache) == []


def test_threads_share_a_writer(cache: Cache) -> None:
    with Writer(cache, "blake3") as writer:

        def work(start: int) -> None:
            for number in range(start, start + 150):
                put(writer, b"%d" % number)

        threads = [threading.Thread(target=work, args=(start,)) for start in (0, 50, 100, 150)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert names(cache) == {file_key(digests.of_bytes("blake3", b"%d" % number)) for number in range(300)}
    assert temps(cache) == []


# ------------------------------------------------------------------------------ shards that nobody has yet


def shards(cache: Cache) -> int:
    return len(list(Path(cache.root, "files/blake3").iterdir()))


def test_new_shards_are_put_in_place_whole(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    renamed = []
    rename = fsutil.Dir.rename
    monkeypatch.setattr(fsutil.Dir, "rename", lambda self, old, new: (renamed.append(new), rename(self, old, new)))
    with Writer(cache, "blake3") as writer:
        digests_of = [put(writer, b"%d" % number).digest for number in range(600)]
        assert names(cache) == set()
    assert len(renamed) == shards(cache) < 257
    assert names(cache) == {file_key(digest) for digest in digests_of}
    for digest in digests_of:  # what was seen before the shard moved is still true of it
        record = cache.trust.get(digest)
        assert record is not None
        assert record[0] == fsutil.signature(os.lstat(cache.path(digest)))
    assert list(Path(cache.root, "new").iterdir()) == []


def test_two_writers_who_both_make_a_shard_both_keep_what_they_wrote(cache: Cache, tmp_path: Path) -> None:
    with Writer(cache, "blake3") as first:
        mine = [put(first, b"%d" % number).digest for number in range(0, 400)]
        with Cache(cache.root, str(tmp_path / "other.sqlite")) as other, Writer(other, "blake3") as second:
            theirs = [put(second, b"%d" % number).digest for number in range(200, 600)]
        assert names(cache) == {file_key(digest) for digest in theirs}
    assert names(cache) == {file_key(digest) for digest in (*mine, *theirs)}
    assert all(cache.is_sound(digest) for digest in mine)
    assert temps(cache) == []
    assert list(Path(cache.root, "new").iterdir()) == []


def test_a_shard_in_which_something_is_half_written_is_not_put_in_place_whole(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = b"half written"
    seen: list[set[str]] = []
    write = writing.write_all

    def slow(fd: int, written: bytes) -> None:
        write(fd, written[:5])
        if written == data:  # another thread's batch is full just now
            other.start()
            other.join()
            seen.append(names(cache))
        write(fd, written[5:])

    with Writer(cache, "blake3") as writer:
        key = file_key(digests.of_bytes("blake3", data))
        sibling = next(
            b"%d" % number
            for number in range(10_000)
            if file_key(digests.of_bytes("blake3", b"%d" % number)).startswith(key.rpartition("/")[0] + "/")
        )
        other = threading.Thread(target=lambda: (put(writer, sibling), writer.flush()))
        monkeypatch.setattr(writing, "write_all", slow)
        put(writer, data)
        monkeypatch.undo()
    sibling_key = file_key(digests.of_bytes("blake3", sibling))
    assert seen == [{sibling_key}]
    assert names(cache) == {key, sibling_key}
    assert all(cache.is_sound(found.digest) for found in cache.objects())
    assert temps(cache) == []


@pytest.mark.parametrize("limit", ["FRESH_FILES", "FRESH_SIZE"])
def test_so_much_waits_for_its_names_and_no_more(cache: Cache, monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    monkeypatch.setattr(writing, "BATCH_FILES", 50)
    monkeypatch.setattr(writing, limit, 200)
    with Writer(cache, "blake3") as writer:
        for number in range(1000):
            put(writer, b"%d" % number)
            writer._background.join()  # a disk that is never behind
        assert len(names(cache)) >= 900
    assert len(names(cache)) == 1000
    assert all(cache.is_sound(found.digest) for found in cache.objects())
    assert cache.set_aside == []
    assert temps(cache) == []


def test_what_gc_took_out_of_a_shard_is_not_written_again(cache: Cache) -> None:
    with Writer(cache, "blake3") as writer:
        digest = put(writer, b"1").digest
    inode = os.lstat(cache.path(digest)).st_ino
    cache.move(file_key(digest), f"trash/{file_key(digest)}")
    os.rmdir(os.path.dirname(cache.path(digest)))
    with Writer(cache, "blake3") as writer:
        put(writer, b"1")
    assert os.lstat(cache.path(digest)).st_ino == inode


def test_a_tree_is_read_while_it_is_on_its_way(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "BATCH_FILES", 5)
    monkeypatch.setattr(writing, "FRESH_FILES", 5)
    trees = [b"tree %d" % number for number in range(17)]
    with Writer(cache, "blake3") as writer:
        for tree in trees:
            digest = writer.put_tree(tree)
            assert writer.read_tree(digest) == tree
        assert [writer.read_tree(digests.of_bytes("blake3", tree)) for tree in trees] == trees
        assert writer.read_tree(digests.of_bytes("blake3", b"another")) is None
    with Writer(cache, "blake3") as writer:
        assert writer.read_tree(digests.of_bytes("blake3", trees[0])) == trees[0]


def test_a_tree_that_gets_its_name_while_it_is_read_is_read_all_the_same(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = fsutil.Dir.open

    def open_late(self: fsutil.Dir, name: str, flags: int, mode: int = 0o666) -> int:
        if flags == fsutil.READ and writer._pending:
            writer.flush()  # as another thread may
        return opened(self, name, flags, mode)

    with Writer(cache, "blake3") as writer:
        digest = writer.put_tree(b"tree")
        monkeypatch.setattr(fsutil.Dir, "open", open_late)
        assert writer.read_tree(digest) == b"tree"


# ------------------------------------------------------------------------------ from outside

DATA = b"from a remote " * 100
NAME = digests.of_bytes("blake3", DATA)


def test_what_arrives_whole_is_kept(cache: Cache) -> None:
    with Writer(cache, "blake3") as writer:
        sink = writer.receive(NAME, len(DATA))
        for start in range(0, len(DATA), 99):
            assert sink.write(memoryview(DATA)[start : start + 99]) == len(DATA[start : start + 99])
        sink.accept()
        sink.reject()  # nothing happens any more
        assert names(cache) == set()
    assert content(cache, NAME) == DATA
    assert cache.trust.get(NAME) is not None


def test_an_empty_object_arrives(cache: Cache) -> None:
    with Writer(cache, "blake3") as writer:
        writer.receive(digests.of_bytes("md5", b""), 0).accept()
    assert names(cache) == {"files/md5/d4/1d8cd98f00b204e9800998ecf8427e"}


@pytest.mark.parametrize(
    "wrong",
    [b"", DATA[:-1], b"X" + DATA[1:], bytes(len(DATA)), DATA[::-1]],
    ids=["nothing", "too few", "one byte", "zeros", "reversed"],
)
def test_what_is_not_its_name_is_refused_and_nothing_is_kept(cache: Cache, wrong: bytes) -> None:
    with Writer(cache, "blake3") as writer:
        sink = writer.receive(NAME, len(DATA))
        sink.write(wrong)
        with pytest.raises(CorruptData):
            sink.accept()
        sink.reject()
        assert len(temps(cache)) == 1
    assert names(cache) == set()
    assert temps(cache) == []


@pytest.mark.parametrize("size", [0, 5, len(DATA) - 1])
def test_more_than_was_said_is_refused_as_it_comes(cache: Cache, size: int) -> None:
    with Writer(cache, "blake3") as writer:
        sink = writer.receive(NAME, size)
        with pytest.raises(CorruptData, match="longer"):
            sink.write(DATA)
        sink.reject()
    assert names(cache) == set()
    assert temps(cache) == []


def test_the_right_bytes_with_the_wrong_size_are_refused(cache: Cache) -> None:
    with Writer(cache, "blake3") as writer:
        sink = writer.receive(NAME, len(DATA) + 1)
        sink.write(DATA)
        with pytest.raises(CorruptData):
            sink.accept()
        sink.reject()
    assert names(cache) == set()


def test_a_good_object_is_not_lost_to_a_bad_arrival(cache: Cache) -> None:
    with Writer(cache, "blake3") as writer:
        put(writer, DATA)
    with Writer(cache, "blake3") as writer:
        sink = writer.receive(NAME, len(DATA))
        sink.write(bytes(len(DATA)))
        with pytest.raises(CorruptData):
            sink.accept()
        sink.reject()
    assert content(cache, NAME) == DATA


def test_an_arrival_that_was_neither_accepted_nor_rejected_leaves_no_litter(cache: Cache) -> None:
    def work() -> None:
        with Writer(cache, "blake3") as writer:
            writer.receive(NAME, len(DATA)).write(DATA[:10])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        work()
    assert litter(cache) == []


def test_two_arrivals_of_one_object_leave_one(cache: Cache) -> None:
    with Writer(cache, "blake3") as writer:
        sinks = [writer.receive(NAME, len(DATA)) for _ in range(2)]
        for sink in sinks:
            sink.write(DATA)
        for sink in sinks:
            sink.accept()
    assert content(cache, NAME) == DATA
    assert temps(cache) == []


@pytest.mark.parametrize("size", [0, 1, 5000, SMALL + 1])
@pytest.mark.parametrize("algorithm", ["blake3", "sha256", "xxh128", "md5"])
def test_bytes_that_are_their_name_are_kept_with_the_batch(cache: Cache, algorithm: str, size: int) -> None:
    data = random.Random(size).randbytes(size)
    digest = digests.of_bytes(algorithm, data)
    with Writer(cache, "blake3") as writer:
        for _ in range(2):
            writer.put_bytes(data, digest)
        assert names(cache) == set()
        writer.flush()
        assert names(cache) == {file_key(digest)}
    assert content(cache, digest) == data
    assert cache.is_sound(digest)
    record = cache.trust.get(digest)
    assert record is not None
    assert record[1] == digests.fingerprint(data)
    assert temps(cache) == []


@pytest.mark.parametrize("wrong", [b"", DATA[:-1], b"X" + DATA[1:], DATA + b"X"])
def test_bytes_that_are_not_their_name_are_refused_and_the_rest_is_kept(cache: Cache, wrong: bytes) -> None:
    with Writer(cache, "blake3") as writer:
        with pytest.raises(CorruptData):
            writer.put_bytes(wrong, NAME)
        writer.put_bytes(b"other", digests.of_bytes("blake3", b"other"))
    assert names(cache) == {file_key(digests.of_bytes("blake3", b"other"))}
    assert temps(cache) == []


def test_bytes_from_several_threads_at_once_are_each_stored_once(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "BATCH_FILES", 100)
    with Writer(cache, "blake3") as writer:

        def work() -> None:
            for number in range(350):
                writer.put_bytes(b"%d" % number, digests.of_bytes("blake3", b"%d" % number))

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(names(cache)) == 350
    assert all(cache.is_sound(found.digest) for found in cache.objects())
    assert cache.set_aside == []
    assert temps(cache) == []


# ------------------------------------------------------------------------------ the folder


def test_git_sees_nothing_of_the_cache(repo: Path, git: Callable[..., str]) -> None:
    with Cache(str(repo / "cache"), str(repo / "cache/trust.sqlite")) as cache, Writer(cache, "blake3") as writer:
        put(writer, b"1")
    (repo / "cache/trust.sqlite").unlink()
    for source in repo.glob("source-*"):
        source.unlink()
    assert git("status", "--porcelain", cwd=repo) == ""


def test_nothing_is_written_through_a_shard_that_is_a_link(cache: Cache, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    Path(cache.root, "files/blake3").mkdir(parents=True)
    for shard in {NAME.hex[:2], digests.of_bytes("blake3", b"L" * (SMALL + 1)).hex[:2]}:
        Path(cache.root, "files/blake3", shard).symlink_to(outside)
    with pytest.raises(UnsafePath), Writer(cache, "blake3") as writer:
        put(writer, DATA)
    with pytest.raises(UnsafePath), Writer(cache, "blake3") as writer:
        writer.receive(NAME, len(DATA))
    with pytest.raises((UnsafePath, OSError)), Writer(cache, "blake3") as writer:
        put(writer, b"L" * (SMALL + 1))
    assert list(outside.iterdir()) == []


def test_a_writer_says_how_far_it_is(cache: Cache) -> None:
    class Task:
        size = 0

        def advance(self, *, files: int = 0, size: int = 0) -> None:
            self.size += size

        def expect(self, *, files: int = 0, size: int = 0) -> None:
            pass

        def __enter__(self) -> Task:
            return self

        def __exit__(self, *exc: object) -> None:
            pass

    task = Task()
    source = Path(cache.root).parent / "big"
    with Writer(cache, "blake3") as writer:
        for size in (10, SMALL + 5):
            source.write_bytes(b"x" * size)
            with open(source, "rb") as file:
                writer.put_file(file.fileno(), size, task)
    assert task.size == SMALL + 15
