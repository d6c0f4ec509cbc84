"""The walk over the workspace: every way a file can change is seen, and what may not be there is refused by name."""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.place import past_the_tick

from dvc_like import digest as digests
from dvc_like.errors import UnsafePath
from dvc_like.fsutil import NO_SIGNATURE, TEMP_PREFIX, Dir, signature, untrusted
from dvc_like.paths import MAX_DEPTH
from dvc_like.workspace import scan
from dvc_like.workspace.index import NO_FINGERPRINT, Index, Present, make_row
from dvc_like.workspace.scan import Folder, Scanner

pytestmark = pytest.mark.skipif(os.name != "posix", reason="tests what POSIX file systems say")

CACHE = "/somewhere/cache/"
TREE = "blake3:" + "ab" * 32


def later() -> int:
    """A moment from which everything written so far is old enough to be trusted by its stat."""
    return time.time_ns() + 10_000_000_000


class Workspace:
    """A folder ``data`` and its index."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.data = root / "data"
        self.data.mkdir()
        self.index = Index(str(root / "index.sqlite"))

    def write(self, name: str, content: bytes | str) -> Path:
        path = self.data / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def record(self, folder: Path | None = None, *, now: int | None = None, fingerprints: bool = True) -> None:
        """Put rows for everything there is, as `add` would."""
        folder = folder or self.data
        now = now or later()
        present = {}
        subfolders = []
        for path in sorted(folder.iterdir()):
            status = path.lstat()
            state = scan.trusted_signature(status, now)
            if path.is_symlink():
                present[path.name] = Present("l", os.readlink(path), state)
            elif path.is_dir():
                subfolders.append(path.name)
                self.record(path, now=now, fingerprints=fingerprints)
            else:
                kind = scan.file_kind(status)
                content = path.read_bytes()
                fast = digests.fingerprint(content) if fingerprints else NO_FINGERPRINT
                present[path.name] = Present(kind, digests.of_bytes("blake3", content), state, fast)
        stamp = scan.trusted_signature(folder.lstat(), now)
        stamp = stamp if stamp == signature(folder.lstat()) else NO_SIGNATURE
        row = make_row((TREE, 1, len(present)), present, subfolders, stamp=stamp)
        self.index.put(str(folder.relative_to(self.root)), row)

    def scan(self, name: str = "data", *, now: int | None = None) -> Folder:
        with Dir.open_root(str(self.root)) as top, top.descend(name) as folder:
            return Scanner(self.index, CACHE, now or later()).folder(folder, name)

    def scan_file(self, name: str = "one", *, now: int | None = None) -> Folder:
        with Dir.open_root(str(self.root)) as top:
            return Scanner(self.index, CACHE, now or later()).file(top, name)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Workspace]:
    made = Workspace(tmp_path)
    with made.index:
        yield made


@pytest.fixture
def filled(place: Workspace) -> Workspace:
    """Two files, a link, a subfolder and an empty folder, all recorded."""
    place.write("a.txt", "aaaa")
    place.write("b.txt", "bbbb")
    place.write("sub/c.txt", "cccc")
    (place.data / "link").symlink_to("a.txt")
    (place.data / "empty").mkdir()
    place.record()
    past_the_tick(place.data)  # as the clock that `record` was told: what is done next moves the stamps
    return place


def spare_ctime() -> None:
    """Let the file system's clock move on, so that the next change bears another stamp."""
    before = time.clock_gettime_ns(getattr(time, "CLOCK_REALTIME_COARSE", time.CLOCK_REALTIME))
    while time.clock_gettime_ns(getattr(time, "CLOCK_REALTIME_COARSE", time.CLOCK_REALTIME)) <= before:
        pass


def test_what_was_not_touched_is_the_same_and_read_by_nobody(filled: Workspace) -> None:
    for path in (filled.data / "a.txt", filled.data / "sub/c.txt"):
        path.chmod(path.stat().st_mode)
    filled.record()
    before = {path: path.lstat().st_atime_ns for path in filled.data.rglob("*")}
    found = filled.scan()
    assert found.clean
    assert set(found.same) == {"a.txt", "b.txt", "link"}
    assert (found.changed, found.new, found.gone, found.lost) == ((), (), (), ())
    assert list(found.folders) == ["empty", "sub"]
    assert found.folders["empty"].clean
    assert found.exists
    assert {path: path.lstat().st_atime_ns for path in filled.data.rglob("*")} == before


def test_a_folder_nobody_recorded_is_all_new(place: Workspace) -> None:
    place.write("a", "1")
    place.write("sub/b", "2")
    found = place.scan()
    assert not found.clean
    assert (found.row, found.new) == (None, ("a",))
    assert found.folders["sub"].new == ("b",)


def test_new_changed_and_gone_are_told_apart(filled: Workspace) -> None:
    filled.write("a.txt", "other text")
    filled.write("z.txt", "z")
    (filled.data / "b.txt").unlink()
    found = filled.scan()
    assert not found.clean
    assert (found.changed, found.new, found.gone) == (("a.txt",), ("z.txt",), ("b.txt",))
    assert set(found.same) == {"link"}
    assert found.folders["sub"].clean


def test_a_change_deep_down_makes_all_above_unclean(filled: Workspace) -> None:
    filled.write("sub/c.txt", "CCCC")
    found = filled.scan()
    assert not found.clean
    assert (found.changed, found.new, found.gone) == ((), (), ())
    assert found.folders["sub"].changed == ("c.txt",)


def test_a_folder_that_went_is_lost_and_one_that_came_is_new(filled: Workspace) -> None:
    shutil.rmtree(filled.data / "sub")
    (filled.data / "empty").rmdir()
    filled.write("fresh/x", "1")
    found = filled.scan()
    assert found.lost == ("empty", "sub")
    assert list(found.folders) == ["fresh"]
    assert not found.clean


def test_a_touched_file_is_the_same_and_its_new_stat_is_remembered(filled: Workspace) -> None:
    path = filled.data / "a.txt"
    os.utime(path, ns=(5, 5))
    found = filled.scan()
    assert found.clean
    assert "a.txt" in found.same
    row = filled.index.get("data")
    assert row is not None
    assert row.signature(row.names.index("a.txt")) == signature(path.lstat())
    atime = path.stat().st_atime_ns
    assert filled.scan().clean
    assert path.stat().st_atime_ns == atime


def test_a_copy_with_the_same_content_in_its_place_is_the_same(filled: Workspace) -> None:
    filled.write("copy", "aaaa").replace(filled.data / "a.txt")
    found = filled.scan()
    assert found.clean
    assert filled.scan().clean


def test_without_a_fingerprint_the_digest_decides(place: Workspace) -> None:
    place.write("a", "aaaa")
    place.write("b", "bbbb")
    place.record(fingerprints=False)
    os.utime(place.data / "a", ns=(5, 5))
    place.write("b", "BBBB")
    found = place.scan()
    assert found.changed == ("b",)
    assert "a" in found.same


def test_an_edit_of_the_same_size_with_its_mtime_put_back_is_seen(filled: Workspace) -> None:
    path = filled.data / "a.txt"
    stamp = path.stat()
    spare_ctime()
    path.write_bytes(b"AAAA")
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    now = path.stat()
    assert (now.st_mtime_ns, now.st_size, now.st_ino) == (stamp.st_mtime_ns, stamp.st_size, stamp.st_ino)
    assert filled.scan().changed == ("a.txt",)


def test_an_edit_through_a_mapping_or_an_open_descriptor_is_seen(filled: Workspace) -> None:
    fd = os.open(filled.data / "a.txt", os.O_WRONLY)
    spare_ctime()
    os.pwrite(fd, b"X", 1)
    os.close(fd)
    assert filled.scan().changed == ("a.txt",)


def test_an_edit_in_the_tick_of_the_recording_is_seen(place: Workspace) -> None:
    """The stat is made the same on purpose: only the recording, which knows it was too early, can save us."""
    path = place.write("a.txt", "aaaa")
    place.record(now=path.lstat().st_ctime_ns)
    row = place.index.get("data")
    assert row is not None
    assert row.signature(0) == untrusted(signature(path.lstat()))
    path.write_bytes(b"bbbb")
    assert place.scan().changed == ("a.txt",)


def test_a_racy_entry_that_did_not_change_is_trusted_once_it_is_old(place: Workspace) -> None:
    path = place.write("a.txt", "aaaa")
    place.record(now=path.lstat().st_ctime_ns)
    assert place.scan(now=path.lstat().st_ctime_ns).clean
    row = place.index.get("data")
    assert row is not None
    assert row.signature(0) == untrusted(signature(path.lstat()))
    assert place.scan(now=later()).clean
    row = place.index.get("data")
    assert row is not None
    assert row.signature(0) == signature(path.lstat())


def test_many_edits_right_after_recording_are_all_seen(place: Workspace) -> None:
    path = place.write("a.txt", "0000")
    for number in range(1, 100):
        place.record(now=time.time_ns())
        stamp = path.stat()
        path.write_bytes(f"{number:04}".encode())
        os.utime(path, ns=(stamp.st_mtime_ns, stamp.st_mtime_ns))
        assert place.scan(now=time.time_ns()).changed == ("a.txt",)


def test_a_name_that_came_right_after_recording_is_seen(place: Workspace) -> None:
    for number in range(100):
        place.record(now=time.time_ns())
        place.write(f"n{number}", "")
        assert place.scan(now=time.time_ns()).new == (f"n{number}",)


def test_the_executable_bit_counts_and_other_bits_do_not(filled: Workspace) -> None:
    (filled.data / "a.txt").chmod(0o755)
    (filled.data / "b.txt").chmod(0o600)
    found = filled.scan()
    assert found.changed == ("a.txt",)
    filled.record()
    (filled.data / "a.txt").chmod(0o644)
    assert filled.scan().changed == ("a.txt",)


def test_a_file_that_became_a_folder_is_gone_and_the_folder_is_there(filled: Workspace) -> None:
    (filled.data / "a.txt").unlink()
    filled.write("a.txt/inner", "1")
    found = filled.scan()
    assert found.gone == ("a.txt",)
    assert found.folders["a.txt"].new == ("inner",)
    assert not found.clean


def test_a_folder_that_became_a_file_is_lost_and_the_file_is_new(filled: Workspace) -> None:
    shutil.rmtree(filled.data / "sub")
    filled.write("sub", "1")
    found = filled.scan()
    assert (found.lost, found.new) == (("sub",), ("sub",))


def test_a_file_that_became_a_link_to_its_own_content_is_changed(filled: Workspace) -> None:
    (filled.data / "a.txt").rename(filled.root / "moved")
    (filled.data / "a.txt").symlink_to(filled.root / "moved")
    found = filled.scan()
    assert found.changed == ("a.txt",)


def test_a_folder_that_became_a_link_is_not_entered(filled: Workspace) -> None:
    (filled.data / "sub").rename(filled.root / "outside")
    (filled.data / "sub").symlink_to(filled.root / "outside")
    found = filled.scan()
    assert (found.lost, found.new) == (("sub",), ("sub",))
    assert "sub" not in found.folders


def test_a_link_changes_with_its_target(filled: Workspace) -> None:
    (filled.data / "link").unlink()
    (filled.data / "link").symlink_to("a.txt")
    assert filled.scan().clean
    (filled.data / "link").unlink()
    (filled.data / "link").symlink_to("b.txt")
    assert filled.scan().changed == ("link",)
    (filled.data / "link").unlink()
    filled.write("link", "aaaa")
    assert filled.scan().changed == ("link",)


def test_a_link_into_the_cache_stands_for_its_file(filled: Workspace) -> None:
    path = filled.data / "a.txt"
    path.unlink()
    path.symlink_to(CACHE + digests.file_key(digests.of_bytes("blake3", b"aaaa")))
    assert filled.scan().clean
    path.unlink()
    path.symlink_to(CACHE + digests.file_key(digests.of_bytes("blake3", b"bbbb")))
    assert filled.scan().changed == ("a.txt",)


def test_a_dangling_link_is_an_entry(place: Workspace) -> None:
    (place.data / "link").symlink_to("nowhere")
    assert place.scan().new == ("link",)


@pytest.mark.parametrize("recorded", [False, True])
def test_a_named_pipe_is_refused_at_once(place: Workspace, recorded: bool) -> None:
    place.write("pipe", "x")
    if recorded:
        place.record()
    (place.data / "pipe").unlink()
    os.mkfifo(place.data / "pipe")
    with pytest.raises(UnsafePath, match="data/pipe is a named pipe"):
        place.scan()
    with pytest.raises(UnsafePath, match="named pipe"), Dir.open_root(str(place.data)) as folder:
        scan.read_content(folder, "pipe", "data")


def test_a_single_file_that_became_a_pipe_is_refused_at_once(place: Workspace) -> None:
    os.mkfifo(place.root / "one")
    with pytest.raises(UnsafePath, match="one is a named pipe"):
        place.scan_file()


def test_a_socket_is_refused(place: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place.data)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s")
        with pytest.raises(UnsafePath, match="data/s is a socket"):
            place.scan()


@pytest.mark.parametrize("name", [".git", ".GIT", ".dvc-like", "git~1", "a\nb", "a\x1b[2J", "a\\b", "a\u2028"])
@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_an_unsafe_name_is_refused_and_named(place: Workspace, name: str, kind: str) -> None:
    (place.data / "sub").mkdir()
    path = place.data / "sub" / name
    if kind == "file":
        path.write_bytes(b"")
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("x")
    with pytest.raises(UnsafePath) as caught:
        place.scan()
    assert "data/sub/" in caught.value.message
    assert caught.value.message.isprintable()


def test_a_name_that_is_not_utf8_is_refused(place: Workspace) -> None:
    with open(os.fsencode(place.data) + b"/a\xff", "wb"):
        pass
    with pytest.raises(UnsafePath) as caught:
        place.scan()
    caught.value.message.encode()


def test_our_own_temporary_names_are_not_data(place: Workspace) -> None:
    place.write("a", "1")
    place.record()
    place.write(TEMP_PREFIX + "1", "x")
    (place.data / (TEMP_PREFIX + "2")).mkdir()
    found = place.scan()
    assert found.new == ()
    assert dict(found.folders) == {}


def test_nesting_ends_at_the_limit(place: Workspace) -> None:
    def make(levels: int) -> None:
        here = Dir.open_root(str(place.data))
        for _ in range(levels):
            below = here.sub("d", create=True)
            here.close()
            here = below
        here.close()

    make(MAX_DEPTH - 2)  # with `data` and a file below: as deep as a path may be
    place.scan()
    make(MAX_DEPTH + 2)
    with pytest.raises(UnsafePath) as caught:
        place.scan()
    assert len(caught.value.message) < 200


def test_files_never_checked_out_are_neither_gone_nor_lost_but_counted(place: Workspace) -> None:
    place.write("a", "aaaa")
    place.write("sub/b", "bbbb")
    place.record()
    for name, absent in (("data", 3), ("data/sub", 2)):
        row = place.index.get(name)
        assert row is not None
        place.index.put(name, make_row((TREE, 1, 9), row.present(), row.folders, absent=absent, stamp=row.folder_stamp))
    found = place.scan()
    assert found.clean
    assert found.absent == 5


def test_a_folder_that_is_missing_altogether(filled: Workspace) -> None:
    found = scan.missing("data", filled.index.get("data"))
    assert not found.exists
    assert found.gone == ("a.txt", "b.txt", "link")
    assert found.lost == ("empty", "sub")
    assert not found.clean
    assert scan.missing("x", None).gone == ()


# ------------------------------------------------------------------------------ single files


def record_file(place: Workspace, content: bytes, *, now: int | None = None) -> Path:
    path = place.root / "one"
    path.write_bytes(content)
    digest = digests.of_bytes("blake3", content)
    state = scan.trusted_signature(path.lstat(), now or later())
    row = make_row((digest, len(content), 1), {"one": Present("f", digest, state, digests.fingerprint(content))})
    place.index.put("one", row)
    return path


def test_a_single_file_is_the_same_changed_touched_or_gone(place: Workspace) -> None:
    assert place.scan_file().gone == ()
    path = record_file(place, b"1111")
    assert place.scan_file().clean
    os.utime(path, ns=(5, 5))
    assert place.scan_file().clean
    path.write_bytes(b"2222")
    found = place.scan_file()
    assert (found.clean, found.changed) == (False, ("one",))
    path.unlink()
    found = place.scan_file()
    assert (found.clean, found.gone, found.exists) == (False, ("one",), False)


def test_a_single_file_without_a_row_is_new(place: Workspace) -> None:
    (place.root / "one").write_bytes(b"1")
    found = place.scan_file()
    assert (found.clean, found.new) == (False, ("one",))


def test_a_folder_where_a_single_file_was_is_a_change(place: Workspace) -> None:
    path = record_file(place, b"1")
    path.unlink()
    path.mkdir()
    found = place.scan_file()
    assert (found.clean, found.changed) == (False, ("one",))


# ------------------------------------------------------------------------------ reading


def test_content_is_read_once_for_both_hashes(place: Workspace) -> None:
    data = os.urandom(5 << 20)
    place.write("big", data)
    with Dir.open_root(str(place.data)) as folder:
        both = scan.read_content(folder, "big", "data", "sha256")
        fast = scan.read_content(folder, "big", "data")
    assert both.digest == digests.of_bytes("sha256", data)
    assert both.fingerprint == fast.fingerprint == digests.fingerprint(data)
    assert fast.digest is None
    assert both.status.st_size == len(data)


def test_reading_does_not_follow_a_link(place: Workspace) -> None:
    (place.root / "secret").write_text("secret")
    (place.data / "l").symlink_to(place.root / "secret")
    with pytest.raises(OSError, match="l"), Dir.open_root(str(place.data)) as folder:
        scan.read_content(folder, "l", "data")
