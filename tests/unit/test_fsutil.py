"""The file system primitives: no link is followed, no name shows half a file, a dead process holds no lock."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.conftest import tree_of

from dvc_like import fsutil, locks
from dvc_like.errors import LockHeld, UnsafePath
from dvc_like.fsutil import CREATE, NO_SIGNATURE, READ, READ_USER, Dir, signature, untrusted

pytestmark = pytest.mark.skipif(os.name != "posix", reason="tests the POSIX side")


@pytest.fixture
def top(tmp_path: Path) -> Iterator[Dir]:
    (tmp_path / "top").mkdir()
    with Dir.open_root(str(tmp_path / "top")) as opened:
        yield opened


# ------------------------------------------------------------------------------ temporary names


def test_temporary_names_differ_and_are_recognised() -> None:
    names = [fsutil.temp_name() for _ in range(1000)]
    assert len(set(names)) == 1000
    assert all(map(fsutil.is_temp, names))
    assert not any(map(fsutil.is_temp, ["a", ".dvc-like", "x.dvc-like-tmp-1", ".tmp"]))


# ------------------------------------------------------------------------------ signatures


def test_the_signature_moves_with_every_kind_of_change(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"aaaa")
    os.utime(path, ns=(1_000, 1_000))
    seen = [signature(os.lstat(path))]
    path.write_bytes(b"bbbb")
    os.utime(path, ns=(1_000, 1_000))  # a program can put the mtime back, not the ctime
    seen.append(signature(os.lstat(path)))
    path.chmod(0o755)
    seen.append(signature(os.lstat(path)))
    other = tmp_path / "g"
    other.write_bytes(b"bbbb")
    os.utime(other, ns=(1_000, 1_000))
    other.replace(path)
    seen.append(signature(os.lstat(path)))
    with open(path, "ab") as file:
        file.write(b"c")
    seen.append(signature(os.lstat(path)))
    assert len(set(seen)) == len(seen)


def test_a_time_before_1970_has_a_signature(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"x")
    os.utime(path, ns=(-5_000_000_000, -5_000_000_000))
    assert len(signature(os.lstat(path))) == fsutil.SIGNATURE.size


def test_an_untrusted_signature_keeps_the_size_and_equals_no_real_one(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"12345")
    real = signature(os.lstat(path))
    spoilt = untrusted(real)
    assert spoilt != real
    assert spoilt[:8] == real[:8] == (5).to_bytes(8, "little")
    assert spoilt[8:] == NO_SIGNATURE[8:]


def _stamped(tmp_path: Path, ctime: int) -> os.stat_result:
    (tmp_path / "stamped").write_bytes(b"")
    real = os.lstat(tmp_path / "stamped")
    fields: dict[str, object] = {"st_ctime_ns": ctime, "st_mtime_ns": ctime}
    return os.stat_result(tuple(real), fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ctime", "now", "racy"),
    [
        (10_000_000_001, 10_000_000_001, True),
        (10_000_000_001, 10_010_000_000, True),  # within a kernel's tick
        (10_000_000_001, 10_500_000_000, False),
        (20_000_000_001, 10_000_000_000, True),  # from the future: a clock that was put back
        (10_000_000_000, 11_500_000_000, True),  # whole seconds: a file system with a coarse clock
        (10_000_000_000, 13_000_000_000, False),
    ],
)
def test_an_entry_is_racy_while_its_stamp_could_repeat(tmp_path: Path, ctime: int, now: int, racy: bool) -> None:
    status = _stamped(tmp_path, ctime)
    assert status.st_ctime_ns == ctime
    assert fsutil.is_racy(status, now) is racy


# ------------------------------------------------------------------------------ folders


def test_a_link_to_a_folder_is_not_entered(top: Dir, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    os.symlink(tmp_path / "outside", tmp_path / "top/hop")
    for create in (False, True):
        with pytest.raises(UnsafePath) as caught:
            top.sub("hop", create=create)
        assert "hop" in caught.value.message
        with pytest.raises(UnsafePath):
            top.descend("hop/deeper", create=create)
    assert os.listdir(tmp_path / "outside") == []


def test_a_dangling_link_is_not_made_a_folder(top: Dir, tmp_path: Path) -> None:
    os.symlink(tmp_path / "nowhere", tmp_path / "top/hop")
    with pytest.raises(UnsafePath):
        top.sub("hop", create=True)
    assert not (tmp_path / "nowhere").exists()


def test_a_file_where_a_folder_should_be_is_told_apart_from_a_link(top: Dir) -> None:
    top.write("f", b"")
    with pytest.raises(NotADirectoryError):
        top.sub("f")


def test_descend_makes_what_is_missing_only_when_asked(top: Dir) -> None:
    with pytest.raises(FileNotFoundError):
        top.descend("a/b/c")
    with top.descend("a/b/c", create=True) as deep:
        deep.write("f", b"1")
    assert Path(top.path, "a/b/c/f").read_bytes() == b"1"


@pytest.mark.parametrize("aside", [False, True])
def test_what_is_written_is_on_disk_before_it_bears_its_name(
    top: Dir, monkeypatch: pytest.MonkeyPatch, aside: bool
) -> None:
    steps: list[str] = []
    fsync, rename = os.fsync, Dir.rename

    def recorded_fsync(fd: int) -> None:
        assert os.fstat(fd).st_size == 3
        steps.append("fsync")
        fsync(fd)

    def recorded_rename(self: Dir, old: str, new: str, *, into: Dir | None = None) -> None:
        steps.append(f"rename to {new}")
        rename(self, old, new, into=into)

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(Dir, "rename", recorded_rename)
    with top.sub("tmp", create=True) as beside:
        top.write("f", b"abc", aside=beside if aside else None)
    assert steps == ["fsync", "rename to f"]


def test_an_open_folder_stays_the_same_when_a_link_takes_its_name(top: Dir, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    with top.sub("data", create=True) as data:
        os.rename(tmp_path / "top/data", tmp_path / "top/moved")
        os.symlink(tmp_path / "outside", tmp_path / "top/data")
        data.write("f", b"mine")
    assert os.listdir(tmp_path / "outside") == []
    assert (tmp_path / "top/moved/f").read_bytes() == b"mine"


def test_no_descriptor_is_left_open(top: Dir, tmp_path: Path) -> None:
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("needs /proc")
    os.symlink(tmp_path, tmp_path / "top/link")
    top.write("file", b"")
    before = len(os.listdir("/proc/self/fd"))
    for wrong in ("link/x", "file/x", "none/x"):
        with pytest.raises((UnsafePath, OSError)):
            top.descend(wrong)
    with pytest.raises(OSError, match="not a regular file"):
        top.read(".", 100)
    with (
        pytest.raises(LockHeld),
        locks.lock(str(tmp_path / "l"), timeout=0),
        locks.lock(str(tmp_path / "l"), timeout=0),
    ):
        pass
    assert len(os.listdir("/proc/self/fd")) == before


def test_writing_replaces_a_link_and_never_follows_it(top: Dir, tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(b"theirs")
    os.symlink(tmp_path / "outside", tmp_path / "top/f")
    top.write("f", b"mine")
    assert (tmp_path / "outside").read_bytes() == b"theirs"
    assert not (tmp_path / "top/f").is_symlink()
    assert (tmp_path / "top/f").read_bytes() == b"mine"


def test_writing_breaks_a_hard_link(top: Dir, tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(b"theirs")
    os.link(tmp_path / "outside", tmp_path / "top/f")
    top.write("f", b"mine")
    assert (tmp_path / "outside").read_bytes() == b"theirs"


def test_a_write_that_cannot_be_leaves_neither_a_temporary_file_nor_a_change(top: Dir, tmp_path: Path) -> None:
    (tmp_path / "top/taken").mkdir()
    with pytest.raises(OSError, match=r"taken|directory"):
        top.write("taken", b"x")
    assert os.listdir(tmp_path / "top") == ["taken"]


def test_a_full_disk_leaves_the_old_file(small_disk: Callable[[int], Path]) -> None:
    folder = small_disk(256 << 10)
    with Dir.open_root(str(folder)) as top:
        top.write("f", b"old")
        with pytest.raises(OSError, match="space") as caught:
            top.write("f", bytes(1 << 20))
        assert caught.value.errno == errno.ENOSPC
        assert top.read("f", 10) == b"old"
    assert os.listdir(folder) == ["f"]


def test_the_mode_obeys_the_umask(top: Dir) -> None:
    old = os.umask(0o077)
    try:
        top.write("f", b"", mode=0o666)
    finally:
        os.umask(old)
    assert top.lstat("f").st_mode & 0o777 == 0o600


def test_reading_refuses_links_pipes_sockets_folders_and_giants_at_once(top: Dir, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "top/fifo")
    os.symlink("file", tmp_path / "top/link")
    os.mkdir(tmp_path / "top/folder")
    top.write("file", b"12345")
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.getcwd()
        os.chdir(tmp_path / "top")
        listener.bind("socket")
        os.chdir(here)
        for name in ("fifo", "link", "folder", "socket"):
            with pytest.raises(OSError, match=name):
                top.read(name, 100)
    assert top.read("file", 5) == b"12345"
    with pytest.raises(OSError, match="file") as caught:
        top.read("file", 4)
    assert caught.value.errno == errno.EFBIG


def test_an_error_names_the_whole_path(top: Dir) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        top.open("none", READ)
    assert caught.value.filename == f"{top.path}/none"


def test_signatures_are_those_of_each_name_or_none_at_all(top: Dir) -> None:
    top.write("a", b"1")
    top.write("b", b"22")
    os.symlink("a", f"{top.path}/l")
    assert top.signatures(["a", "b", "l"]) == b"".join(signature(top.lstat(name)) for name in ("a", "b", "l"))
    assert top.signatures([]) == b""
    assert top.signatures(["a", "gone", "b"]) is None
    assert top.signatures(["a/x"]) is None


def test_a_dangling_link_exists(top: Dir) -> None:
    top.symlink("nowhere", "l")
    assert top.exists("l")
    assert top.readlink("l") == "nowhere"
    assert not top.exists("m")


def test_closing_twice_is_harmless(tmp_path: Path) -> None:
    folder = Dir.open_root(str(tmp_path))
    folder.close()
    folder.close()


# ------------------------------------------------------------------------------ bytes


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, (1 << 20) + 1])
@pytest.mark.parametrize("hint", [0, 1, 4096, 1 << 21])
def test_a_file_is_read_whole_whatever_its_size_was_thought_to_be(tmp_path: Path, size: int, hint: int) -> None:
    data = os.urandom(size)
    (tmp_path / "f").write_bytes(data)
    fd = os.open(tmp_path / "f", READ_USER)
    try:
        assert fsutil.read_all(fd, hint) == data
    finally:
        os.close(fd)


def test_everything_is_written_even_when_a_pipe_takes_little_at_a_time() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, True)
    data = os.urandom(1 << 20)
    got: list[bytes] = []

    def read() -> None:
        while part := os.read(reader, 5000):
            got.append(part)

    thread = threading.Thread(target=read)
    thread.start()
    fsutil.write_all(writer, data)
    os.close(writer)
    thread.join()
    os.close(reader)
    assert b"".join(got) == data


@pytest.mark.parametrize("size", [0, 1, 5 << 20])
def test_bytes_are_copied_to_the_end(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    (tmp_path / "a").write_bytes(data)
    source = os.open(tmp_path / "a", READ)
    target = os.open(tmp_path / "b", CREATE)
    fsutil.copy_bytes(source, target)
    os.close(source)
    os.close(target)
    assert (tmp_path / "b").read_bytes() == data


def test_bytes_are_copied_from_another_file_system(tmp_path: Path, small_disk: Callable[[int], Path]) -> None:
    data = os.urandom(300_000)
    (small_disk(1 << 20) / "a").write_bytes(data)
    source = os.open(next(tmp_path.glob("small-disk-*/a")), READ)
    target = os.open(tmp_path / "b", CREATE)
    fsutil.copy_bytes(source, target)
    os.close(source)
    os.close(target)
    assert (tmp_path / "b").read_bytes() == data


@pytest.mark.parametrize("kind", ["xfs", "btrfs"])
def test_a_clone_has_the_bytes_and_lives_on_its_own(loop_fs: Callable[[str], Path], kind: str) -> None:
    folder = loop_fs(kind)
    data = os.urandom(256 << 10)
    (folder / "a").write_bytes(data)
    source = os.open(folder / "a", READ)
    target = os.open(folder / "b", CREATE)
    assert fsutil.clone(source, target)
    os.close(source)
    os.close(target)
    (folder / "a").write_bytes(b"other")
    assert (folder / "b").read_bytes() == data


def test_where_cloning_cannot_be_nothing_is_written(tmp_path: Path, small_disk: Callable[[int], Path]) -> None:
    folder = small_disk(1 << 20)  # tmpfs does not clone
    (folder / "a").write_bytes(b"x" * 100_000)
    source = os.open(folder / "a", READ)
    target = os.open(folder / "b", CREATE)
    assert not fsutil.clone(source, target)
    os.close(source)
    os.close(target)
    assert (folder / "b").stat().st_size == 0


def test_flushing_a_file_system_works_and_reports_a_bad_descriptor(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    fsutil.flush_filesystem(fd)
    os.close(fd)
    if sys.platform.startswith("linux"):
        with pytest.raises(OSError, match="descriptor"):
            fsutil.flush_filesystem(fd)


# ------------------------------------------------------------------------------ locks

_HOLDER = """
import sys
from dvc_like.locks import lock
with lock(sys.argv[1], shared=sys.argv[2] == "shared", timeout=0):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path, start: Callable[..., subprocess.Popen[bytes]]) -> Callable[[str], subprocess.Popen[bytes]]:
    """Start a process that holds the lock ``lock`` until its stdin is closed: ``holder("exclusive")``."""
    return lambda kind: start(_HOLDER, str(tmp_path / "lock"), kind, ready=b"held")


def test_an_exclusive_lock_keeps_everybody_out(
    tmp_path: Path, holder: Callable[[str], subprocess.Popen[bytes]]
) -> None:
    process = holder("exclusive")
    for shared in (False, True):
        with pytest.raises(LockHeld) as caught, locks.lock(str(tmp_path / "lock"), shared=shared, timeout=0):
            pass
        assert caught.value.exit_code == 8
        assert f"process {process.pid}" in caught.value.message


def test_shared_locks_bear_each_other_and_no_exclusive_one(
    tmp_path: Path, holder: Callable[[str], subprocess.Popen[bytes]]
) -> None:
    holder("shared")
    holder("shared")
    with locks.lock(str(tmp_path / "lock"), shared=True, timeout=0):
        pass
    with pytest.raises(LockHeld), locks.lock(str(tmp_path / "lock"), timeout=0):
        pass


@pytest.mark.parametrize("kind", ["exclusive", "shared"])
def test_a_killed_holder_holds_nothing(
    tmp_path: Path, holder: Callable[[str], subprocess.Popen[bytes]], kind: str
) -> None:
    process = holder(kind)
    process.send_signal(signal.SIGKILL)
    process.wait()
    with locks.lock(str(tmp_path / "lock"), timeout=0):
        pass


def test_a_waiting_process_is_told_once_and_gets_the_lock(
    tmp_path: Path, holder: Callable[[str], subprocess.Popen[bytes]]
) -> None:
    process = holder("exclusive")
    told: list[str] = []

    def waiting(note: str) -> None:
        told.append(note)
        assert process.stdin is not None
        process.stdin.close()

    with locks.lock(str(tmp_path / "lock"), timeout=60, waiting=waiting):
        assert told == [f"process {process.pid}"]


def test_a_lock_that_is_free_tells_nobody(tmp_path: Path) -> None:
    told: list[str] = []
    with locks.lock(str(tmp_path / "lock"), timeout=0, waiting=told.append):
        assert told == []
    with locks.lock(str(tmp_path / "lock"), timeout=0):
        pass


def test_an_error_under_the_lock_frees_it(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), locks.lock(str(tmp_path / "lock"), timeout=0):
        raise RuntimeError
    with locks.lock(str(tmp_path / "lock"), timeout=0):
        pass


def test_a_lock_file_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(b"theirs")
    os.symlink(tmp_path / "outside", tmp_path / "lock")
    with pytest.raises(OSError, match="lock"), locks.lock(str(tmp_path / "lock"), timeout=0):
        pass
    assert (tmp_path / "outside").read_bytes() == b"theirs"


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("taken", ["free", "file", "empty folder", "dangling link"])
def test_a_new_name_replaces_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: str, known: bool) -> None:
    """Also where the kernel or the file system does not know how to rename without replacing."""
    if not known:
        monkeypatch.setattr(fsutil, "_rename_no_replace", lambda *_: False)
    (tmp_path / "temp").write_text("ours")
    if taken == "file":
        (tmp_path / "name").write_text("theirs")
    elif taken == "empty folder":
        (tmp_path / "name").mkdir()
    elif taken == "dangling link":
        os.symlink("nowhere", tmp_path / "name")
    before = tree_of(tmp_path)
    with Dir.open_root(str(tmp_path)) as folder:
        if taken == "free":
            folder.rename_new("temp", "name")
            assert (tmp_path / "name").read_text() == "ours"
            assert not (tmp_path / "temp").exists()
            return
        with pytest.raises(FileExistsError):
            folder.rename_new("temp", "name")
    assert tree_of(tmp_path) == before
