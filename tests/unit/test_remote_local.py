"""A folder as a remote: what the contract does not say, because only a disk does it."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dvc_like import durable, fsutil, locks
from dvc_like.errors import (
    DataMissing,
    DvcLikeError,
    RemoteDenied,
    RemoteError,
    RemoteNotFound,
    RemoteQuota,
    RemoteUnavailable,
    UsageError,
)
from dvc_like.fsutil import TEMP_PREFIX
from dvc_like.remote import local, pending
from dvc_like.remote.local import LocalBackend
from dvc_like.remote.source import SMALL

KEY = "files/blake3/ab/cdef"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def backend(root: Path) -> Iterator[LocalBackend]:
    opened = LocalBackend(str(root))
    yield opened
    opened.close()


def load(backend: LocalBackend, key: str) -> bytes:
    sink = io.BytesIO()
    backend.get(key, sink)
    return sink.getvalue()


def names(root: Path) -> list[str]:
    """Everything below `root` that is no folder."""
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir())


def temps(root: Path) -> list[str]:
    return [name for name in names(root) if TEMP_PREFIX in name and not name.startswith("tmp/")]


def marks(root: Path) -> list[str]:
    return os.listdir(root / "tmp")


# ------------------------------------------------------------------------------ names and the flush


def test_the_name_comes_with_the_flush(root: Path, backend: LocalBackend) -> None:
    backend.put(KEY, b"data")
    assert not (root / KEY).exists()
    assert len(temps(root)) == 1
    assert os.path.dirname(temps(root)[0]) == os.path.dirname(KEY)
    backend.flush()
    assert (root / KEY).read_bytes() == b"data"
    assert temps(root) == []


@pytest.mark.parametrize("count", [1, 8, 9, 30])
def test_bytes_are_on_disk_before_names_and_names_after(
    root: Path, backend: LocalBackend, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    backend.put("first/0", b"x")  # makes the folder
    backend.flush()
    steps: list[str] = []
    fsync, rename = os.fsync, fsutil.Dir.rename

    def recorded_fsync(fd: int) -> None:
        steps.append("folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else "file")
        fsync(fd)

    def recorded_rename(self: fsutil.Dir, old: str, new: str) -> None:
        steps.append("rename")
        rename(self, old, new)

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(fsutil.Dir, "rename", recorded_rename)
    monkeypatch.setattr(durable, "flush_filesystem", lambda fd: steps.append("all"))
    for number in range(count):
        backend.put(f"first/{number + 1}", b"x")
    backend.flush()
    if count <= durable.FSYNC_UP_TO:
        assert steps == ["file"] * count + ["rename"] * count + ["folder"]
    else:
        assert steps == ["all"] + ["rename"] * count + ["folder"]
    steps.clear()
    backend.put("second/1", b"x")
    backend.flush()
    assert steps == ["file", "rename", "all"]  # a new folder needs its own name on disk as well


def test_many_are_flushed_by_themselves(root: Path, backend: LocalBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "BATCH_FILES", 5)
    for number in range(7):
        backend.put(f"a/{number}", b"x")
    assert len(temps(root)) == 2
    assert [name for name in names(root) if name.startswith("a/") and TEMP_PREFIX not in name] == [
        f"a/{number}" for number in range(5)
    ]


def test_once_where_no_rename_refuses_to_replace(
    root: Path, backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fsutil, "_rename_no_replace", lambda *names: False)
    backend.put("a", b"first", once=True)
    backend.flush()
    backend.put("a", b"second", once=True)
    backend.put("b", b"waits", once=True)
    backend.put("b", b"comes later", once=True)
    backend.flush()
    assert (root / "a").read_bytes() == b"first"
    assert (root / "b").read_bytes() == b"waits"
    assert not [name for name in os.listdir(root) if TEMP_PREFIX in name]


def test_close_throws_away_what_was_not_flushed(root: Path, backend: LocalBackend) -> None:
    backend.put("a/kept", b"x")
    backend.flush()
    backend.put("a/lost", b"x")
    assert len(marks(root)) == 1
    backend.close()
    assert names(root) == ["a/kept"]


def test_what_is_deleted_before_its_flush_leaves_nothing(root: Path, backend: LocalBackend) -> None:
    backend.put("a/b", b"x")
    backend.delete(["a/b"])
    assert temps(root) == []


def test_objects_are_read_only(root: Path, backend: LocalBackend) -> None:
    backend.put("a", b"x")
    backend.put("a", b"y")
    backend.flush()
    assert stat.S_IMODE((root / "a").stat().st_mode) & 0o333 == 0
    backend.put("a", b"z")
    backend.flush()
    assert (root / "a").read_bytes() == b"z"
    assert temps(root) == []


@pytest.mark.parametrize("size", [0, 1, SMALL - 1, SMALL, SMALL + 1, 3 * SMALL + 5])
def test_files_of_every_size(root: Path, backend: LocalBackend, tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    (tmp_path / "source").write_bytes(data)
    backend.put("a", str(tmp_path / "source"))
    backend.put("b", data)
    backend.flush()
    assert (root / "a").read_bytes() == (root / "b").read_bytes() == load(backend, "a") == data


@pytest.mark.parametrize("size", [SMALL - 1, 3 * SMALL + 5])
def test_reads_that_stop_short(
    backend: LocalBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    data = os.urandom(size)
    (tmp_path / "source").write_bytes(data)
    read = os.read
    monkeypatch.setattr(os, "read", lambda fd, size: read(fd, min(size, 1000)))
    monkeypatch.setattr(local, "clone", lambda source, target: False)
    backend.put("a", str(tmp_path / "source"))
    backend.flush()
    assert load(backend, "a") == data


def test_big_files_are_cloned_where_that_works(loop_fs: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    cloned: list[bool] = []

    def recorded(source: int, target: int) -> bool:
        cloned.append(fsutil.clone(source, target))
        return cloned[-1]

    monkeypatch.setattr(local, "clone", recorded)
    place = loop_fs("xfs")
    data = os.urandom(8 << 20)
    (place / "source").write_bytes(data)
    os.sync()
    before = os.statvfs(place).f_bfree * os.statvfs(place).f_frsize
    with contextlib.closing(LocalBackend(str(place / "store"))) as backend:
        for number in range(4):
            backend.put(f"a/{number}", str(place / "source"))
        backend.flush()
        backend.put("a/small", b"x" * 1000)
        assert load(backend, "a/3") == data
    assert cloned == [True] * 4
    assert before - os.statvfs(place).f_bfree * os.statvfs(place).f_frsize < 4 << 20


# ------------------------------------------------------------------------------ the root


def test_a_store_that_nobody_made_is_empty(root: Path, backend: LocalBackend) -> None:
    assert backend.stat(["a"]) == {}
    assert [*backend.list("")] == []
    backend.delete(["a"])
    backend.flush()
    with pytest.raises(RemoteNotFound):
        load(backend, "a")
    assert not root.exists()
    backend.put("a", b"x")
    backend.flush()
    assert load(backend, "a") == b"x"


@pytest.mark.parametrize("call", ["put", "get", "stat", "list", "delete"])
def test_a_disk_that_is_not_mounted_is_no_empty_store(tmp_path: Path, call: str) -> None:
    calls: dict[str, Callable[[LocalBackend], object]] = {
        "put": lambda backend: backend.put("a", b"x"),
        "get": lambda backend: load(backend, "a"),
        "stat": lambda backend: backend.stat(["a"]),
        "list": lambda backend: [*backend.list("")],
        "delete": lambda backend: backend.delete(["a"]),
    }
    backend = LocalBackend(str(tmp_path / "mnt" / "disk" / "store"))
    with pytest.raises(RemoteDenied, match=r"/mnt/disk does not exist \(is the disk mounted\?\)"):
        calls[call](backend)
    assert not (tmp_path / "mnt").exists()
    (tmp_path / "link").symlink_to(tmp_path / "mnt")
    with pytest.raises(RemoteDenied, match="mounted"):
        calls[call](LocalBackend(str(tmp_path / "link")))


def test_a_root_that_is_a_file(root: Path, backend: LocalBackend) -> None:
    root.write_text("x")
    with pytest.raises(RemoteDenied):
        backend.stat(["a"])
    with pytest.raises(RemoteDenied):
        backend.put("a", b"x")


def test_the_root_may_be_a_link(root: Path, backend: LocalBackend, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    root.symlink_to(tmp_path / "elsewhere")
    backend.put("a/b", b"x")
    backend.flush()
    assert (tmp_path / "elsewhere" / "a" / "b").read_bytes() == b"x"


# ------------------------------------------------------------------------------ what others put there


def test_what_is_no_file_is_not_there(root: Path, backend: LocalBackend, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (root / "a" / "folder").mkdir(parents=True)
    (root / "a" / "link").symlink_to(tmp_path / "secret")
    (root / "a" / "dangling").symlink_to(tmp_path / "nothing")
    (root / "a" / "to-itself").symlink_to("to-itself")
    os.mkfifo(root / "a" / "fifo")
    for key in ("a/folder", "a/link", "a/dangling", "a/to-itself", "a/fifo"):
        for length in (None, 0, 5):
            with pytest.raises(RemoteNotFound):
                backend.get(key, io.BytesIO(), length=length)
        assert backend.stat([key]) == {}
    assert [*backend.list("")] == []


def test_no_link_to_a_folder_is_followed(root: Path, backend: LocalBackend, tmp_path: Path) -> None:
    (tmp_path / "outside" / "ab").mkdir(parents=True)
    (tmp_path / "outside" / "ab" / "x").write_text("outside")
    root.mkdir()
    (root / "files").symlink_to(tmp_path / "outside")
    refused: list[Callable[[], object]] = [
        lambda: backend.put("files/ab/x", b"x"),
        lambda: backend.put("files/new/x", b"x"),
        lambda: load(backend, "files/ab/x"),
        lambda: backend.stat(["files/ab/x"]),
        lambda: backend.delete(["files/ab/x"]),
        lambda: [*backend.list("files/")],
    ]
    for call in refused:
        with pytest.raises(RemoteDenied, match="link"):
            call()
    assert [*backend.list("")] == []
    backend.flush()
    assert names(tmp_path / "outside") == ["ab/x"]
    assert (tmp_path / "outside" / "ab" / "x").read_text() == "outside"


def test_put_replaces_a_link_and_does_not_write_through_it(root: Path, backend: LocalBackend, tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (root / "a").mkdir(parents=True)
    (root / "a" / "b").symlink_to(tmp_path / "victim")
    backend.put("a/b", b"x")
    backend.flush()
    assert (tmp_path / "victim").read_text() == "precious"
    assert not (root / "a" / "b").is_symlink()
    assert load(backend, "a/b") == b"x"


def test_marks_are_not_made_through_a_link(root: Path, backend: LocalBackend, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    root.mkdir()
    (root / "tmp").symlink_to(tmp_path / "outside")
    with pytest.raises(RemoteDenied, match="link"):
        backend.put("a", b"x")
    assert os.listdir(tmp_path / "outside") == []


def test_foreign_names_are_not_listed(root: Path, backend: LocalBackend) -> None:
    backend.put("a/b", b"x")
    backend.flush()
    backend.put("a/c", b"x")  # not flushed
    for name in ("a/with blank", "a/ünïcödé", "Thumbs.db~", "tmp/x", f"a/{TEMP_PREFIX}old", "new\nline"):
        (root / name).write_text("x")
    (root / "a folder").mkdir()
    (root / "a folder" / "x").write_text("x")
    assert [key for key, _ in backend.list("")] == ["a/b"]
    assert [*backend.list("tmp/")] == []


@pytest.mark.parametrize("key", ["tmp", "tmp/x", f"a/{TEMP_PREFIX}1-2-3", f"{TEMP_PREFIX}x/a"])
def test_names_of_temporary_files_are_no_keys(backend: LocalBackend, key: str) -> None:
    for call in (lambda: backend.put(key, b"x"), lambda: load(backend, key), lambda: backend.delete([key])):
        with pytest.raises(UsageError):
            call()
    backend.put("tmpx/a", b"x")
    backend.put("a/tmp/b", b"x")
    backend.flush()
    assert [found for found, _ in backend.list("")] == ["a/tmp/b", "tmpx/a"]


@pytest.mark.parametrize("prefix", ["a", "/", "../", "a//", "a/../"])
def test_prefixes_that_are_none(backend: LocalBackend, prefix: str) -> None:
    with pytest.raises(UsageError):
        [*backend.list(prefix)]


def test_a_folder_that_was_removed_meanwhile_is_made_again(root: Path, backend: LocalBackend) -> None:
    backend.put("a/b", b"x")
    backend.flush()
    (root / "a" / "b").unlink()
    (root / "a").rmdir()
    assert backend.stat(["a/b"]) == {}
    backend.put("a/b", b"y")
    backend.flush()
    assert load(backend, "a/b") == b"y"


# ------------------------------------------------------------------------------ processes that died

_WRITER = """
import sys
from dvc_like.remote.local import LocalBackend
from dvc_like.remote.source import SMALL
backend = LocalBackend(sys.argv[1])
backend.put("files/ab/done", b"x")
backend.flush()
for number in range(5):
    backend.put(f"files/ab/{number}", b"x" * 100_000)
backend.put("other/cd/x", b"x")
print("ready", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def writer(root: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has put and not flushed."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(each for each in sys.path if each)}
    words = [sys.executable, "-c", _WRITER, str(root)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()


def test_what_a_killed_process_left_is_swept(root: Path, backend: LocalBackend) -> None:
    with writer(root) as process:
        assert len(temps(root)) == 6
        with contextlib.closing(LocalBackend(str(root))) as other:
            other.put("a", b"x")
            assert len(temps(root)) == 7  # it lives: nothing is swept
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert len(temps(root)) == 6
    assert len(marks(root)) == 1
    assert [key for key, _ in backend.list("")] == ["files/ab/done"]
    assert len(temps(root)) == 6  # reading sweeps nothing
    backend.put("mine", b"x")
    assert len(temps(root)) == 1
    backend.flush()
    assert load(backend, "files/ab/done") == load(backend, "mine") == b"x"
    assert len(marks(root)) == 1


def test_marks_of_another_machine_are_believed_for_a_week(
    root: Path, backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = pending._this_machine()
    monkeypatch.setattr(pending, "_this_machine", lambda: "elsewhere")
    with writer(root) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
    # Of a share without locks every mark can be locked: only its age tells.
    backend.put("a", b"x")
    assert len(temps(root)) == 7
    backend.close()
    mark = root / "tmp" / marks(root)[0]
    assert mark.name.endswith(f"@{here}")
    week = pending.FOREIGN_MARK_NS + 10**9
    os.utime(mark, ns=(mark.stat().st_mtime_ns - week, mark.stat().st_mtime_ns - week))
    with contextlib.closing(LocalBackend(str(root))) as later:
        later.put("a", b"x")
        assert len(temps(root)) == 1


def test_a_mark_that_was_swept_before_it_was_locked_is_made_anew(
    root: Path, backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = locks.lock
    taken: list[str] = []

    @contextlib.contextmanager
    def swept_once(path: str, *, timeout: float) -> Iterator[int]:
        with real(path, timeout=timeout) as held:
            if not taken:
                os.unlink(path)
            taken.append(path)
            yield held

    monkeypatch.setattr(pending, "lock", swept_once)
    backend.put("a", b"x")
    assert len(taken) == 2
    assert marks(root) == [os.path.basename(taken[1])]
    assert os.path.basename(taken[1]).partition("@")[0] in temps(root)[0]


def test_a_share_without_locks_keeps_our_own_mark(
    root: Path, backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "_try_lock", lambda fd, *, shared: True)
    backend.put("a", b"x")
    assert len(marks(root)) == len(temps(root)) == 1


# ------------------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        *((errno.ENOSPC, RemoteQuota), (errno.EDQUOT, RemoteQuota), (errno.EFBIG, RemoteQuota)),
        *((errno.EACCES, RemoteDenied), (errno.EPERM, RemoteDenied), (errno.EROFS, RemoteDenied)),
        *((errno.ELOOP, RemoteDenied), (errno.EIO, RemoteUnavailable), (errno.ESTALE, RemoteUnavailable)),
        *((errno.ETIMEDOUT, RemoteUnavailable), (errno.EMFILE, RemoteUnavailable)),
    ],
)
def test_errors_of_the_disk(
    root: Path, backend: LocalBackend, monkeypatch: pytest.MonkeyPatch, code: int, kind: type[RemoteError]
) -> None:
    def fail(*arguments: object) -> None:
        raise OSError(code, os.strerror(code))

    backend.put("a/there", b"x")
    backend.flush()
    with monkeypatch.context() as patched:
        patched.setattr(local, "write_large", fail)
        with pytest.raises(kind, match=os.strerror(code)) as raised:
            backend.put("a/b", b"x")
        assert type(raised.value) is kind
        assert str(root / "a/b") in raised.value.message
    assert temps(root) == []
    with monkeypatch.context() as patched:
        patched.setattr(fsutil.Dir, "lstat", fail)
        if code != errno.ELOOP:  # of a name: it is a link, so the key is not there
            with pytest.raises(kind):
                backend.stat(["a/there"])
    backend.put("a/b", b"x")
    backend.flush()
    assert load(backend, "a/b") == b"x"


@pytest.mark.parametrize(
    ("code", "kind"), [(errno.EIO, RemoteError), (errno.ENOSPC, RemoteQuota), (errno.EROFS, RemoteDenied)]
)
@pytest.mark.parametrize("at", ["bytes", "name"])
def test_a_flush_that_failed_fails_for_good(
    root: Path, backend: LocalBackend, monkeypatch: pytest.MonkeyPatch, code: int, kind: type[RemoteError], at: str
) -> None:
    def fail(*arguments: object) -> None:
        raise OSError(code, os.strerror(code))

    for number in range(20):
        backend.put(f"a/{number}", b"x")
    with monkeypatch.context() as patched:
        if at == "bytes":
            patched.setattr(durable, "flush_filesystem", fail)
        else:
            patched.setattr(fsutil.Dir, "rename", fail)
        with pytest.raises(kind) as raised:
            backend.flush()
    assert type(raised.value) is kind  # never RemoteUnavailable: a second flush would succeed without the bytes
    assert temps(root) == []
    for call in (backend.flush, lambda: backend.put("b", b"x")):
        with pytest.raises(kind):
            call()
    assert [*backend.list("")] == []


def test_a_flush_that_was_broken_off_is_not_taken_for_done(
    root: Path, backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    backend.put("a", b"x")
    with monkeypatch.context() as patched:
        patched.setattr(fsutil.Dir, "rename", interrupt)
        with pytest.raises(KeyboardInterrupt):
            backend.flush()
    assert temps(root) == []
    with pytest.raises(RemoteError):
        backend.flush()


def test_no_space(small_disk: Callable[[int], Path], tmp_path: Path) -> None:
    disk = small_disk(1 << 20)
    (tmp_path / "big").write_bytes(os.urandom(3 << 20))
    with contextlib.closing(LocalBackend(str(disk / "store"))) as backend:
        backend.put("a/small", b"x")
        for source in (os.urandom(3 << 20), str(tmp_path / "big")):
            with pytest.raises(RemoteQuota, match="No space left"):
                backend.put("a/big", source)
            assert len(temps(disk / "store")) == 1  # of the small one
        backend.flush()
        assert [key for key, _ in backend.list("")] == ["a/small"]
        backend.put("a/fits", os.urandom(500_000))
        backend.flush()
        assert backend.stat(["a/fits"])["a/fits"].size == 500_000


@contextlib.contextmanager
def not_as_root() -> Iterator[None]:
    """Permissions bind the user who runs this."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_folders_that_may_not_be_used() -> None:
    is_root = os.geteuid() == 0
    # Not below tmp_path, which only its owner can reach.
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        store = Path(folder, "store")
        (store / "a").mkdir(parents=True)
        (store / "b").mkdir()
        (store / "a" / "x").write_text("x")
        (store / "b" / "y").write_text("y")
        os.chmod(store / "b" / "y", 0)
        os.chmod(store / "a", 0)
        try:
            with contextlib.closing(LocalBackend(str(store))) as backend, not_as_root():
                with pytest.raises(RemoteDenied):
                    load(backend, "a/x")
                with pytest.raises(RemoteDenied):
                    backend.stat(["a/x"])
                with pytest.raises(RemoteDenied):
                    [*backend.list("")]  # never a listing that leaves out what it could not see
                with pytest.raises(RemoteDenied):
                    load(backend, "b/y")
                if is_root:  # the folders are, and not of who runs this
                    with pytest.raises(RemoteDenied):
                        backend.put("b/z", b"z")
            assert sorted(os.listdir(store / "b")) == ["y"]
        finally:
            os.chmod(store / "a", 0o755)


def test_a_source_is_not_the_stores_fault(root: Path, backend: LocalBackend, tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match="missing cannot be read"):
        backend.put("a", str(tmp_path / "missing"))
    with pytest.raises(DvcLikeError, match="cannot be read") as raised:
        backend.put("a", str(tmp_path))
    assert not isinstance(raised.value, RemoteError)
    assert temps(root) == []


class WatchedLock:
    """A lock that says when somebody is about to wait for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.contended = threading.Event()

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            self.contended.set()
            self._lock.acquire()

    def __exit__(self, *exc: object) -> None:
        self._lock.release()


def test_two_puts_of_one_key_are_named_in_their_order(backend: LocalBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flush that still runs in one thread must not name its older version after the newer one."""
    monkeypatch.setattr(local, "BATCH_FILES", 1)
    backend.put("b", b"makes the store")
    assert backend._pending is not None
    lock = WatchedLock()
    monkeypatch.setattr(backend._pending, "_flushing", lock)
    inside, go_on = threading.Event(), threading.Event()
    rename = fsutil.Dir.rename

    def held_up(self: fsutil.Dir, old: str, new: str) -> None:
        if not inside.is_set():
            inside.set()
            assert go_on.wait(30)
        rename(self, old, new)

    monkeypatch.setattr(fsutil.Dir, "rename", held_up)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(backend.put, "a", b"older")
        assert inside.wait(30)
        second = pool.submit(backend.put, "a", b"newer")
        while not lock.contended.wait(0.01) and not second.done():
            pass
        go_on.set()
        first.result()
        second.result()
    assert load(backend, "a") == b"newer"
