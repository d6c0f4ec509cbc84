"""The user works while a command does: at every single moment of it, by interleaving and not by luck.

A command is run again and again; the N-th time it touches the file system something is done to a file it works on, for
every N until it ends without having been interrupted. Nothing may be recorded that never was, and no edit overlooked.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import shutil
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import xxhash
from tests.cli.place import Place, digest_of, let_settle, make_place, past_the_tick, tree_lines
from tests.cli.stores import unsound
from tests.safety import RACES, cases

from dvc_like import locks
from dvc_like.errors import DvcLikeError
from dvc_like.fsutil import Dir
from dvc_like.locks import MAPPED_FROM
from dvc_like.ops._session import open_session
from dvc_like.workspace import scan

OLD, NEW, AFTER = "one", "two", "six"  # of one size
HOOKED = ("lstat", "open", "entries", "sub", "rename", "write")


class Interrupter:
    """Does something the N-th time that a `Dir` is used; tells whether it came to that."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._left = -1
        self._act: Callable[[], object] = lambda: None
        for name in HOOKED:
            monkeypatch.setattr(Dir, name, self._hooked(getattr(Dir, name)))

    def _hooked(self, method: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **options: object) -> object:
            if self._left >= 0:
                self._left -= 1
                if self._left < 0:
                    self._act()
            return method(*arguments, **options)

        return call

    def run(self, number: int, act: Callable[[], object], command: Callable[[], object]) -> bool:
        self._left, self._act = number, act
        with contextlib.suppress(DvcLikeError, OSError):
            command()
        came, self._left = self._left < 0, -1
        return came


def edit(path: Path) -> None:
    """Write in place, as many bytes, and put the mtime back. The clock goes on first, as it does while one types."""
    before = path.stat()
    past_the_tick(path)
    path.write_text(AFTER)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    past_the_tick(path)


def save(path: Path) -> None:
    """Save as most editors do."""
    path.with_name(".new").write_text(AFTER)
    past_the_tick(path.with_name(".new"))
    path.with_name(".new").replace(path)


def grow(path: Path) -> None:
    with open(path, "a") as file:
        file.write(AFTER)


def remove(path: Path) -> None:
    path.unlink()


def to_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def to_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def arrive(path: Path) -> None:
    path.with_name("arrived").write_text(AFTER)


ACTS = (edit, remove, *(pytest.param(act, marks=pytest.mark.slow) for act in (save, grow, to_folder, to_pipe, arrive)))
COMMANDS = {
    "all of it": lambda place: place.add("data"),
    "one file of it": lambda place: place.add("data/x"),
    "a single file": lambda place: place.add("single"),
    "commit": lambda place: place.commit(),
    "status": lambda place: place.states(),
    "checkout": lambda place: place.checkout(),
}


def recorded(place: Place) -> dict[str, str]:
    """Return the digest of every file, "d" for a folder, as meta files and trees say. Not by the code under test."""
    found = {}
    for target in ("data", "single"):
        text = (place / f"{target}.meta").read_text()
        hexes = text.partition("blake3:")[2][:64]
        if "files:" not in text:
            found[target] = f"blake3:{hexes}"
            continue
        found[target] = "d"
        tree = (place.cache / f"files/blake3/{hexes[:2]}/{hexes[2:]}.tree").read_bytes()
        found.update({f"{target}/{line.name}": "d" if line.kind == "d" else line.value for line in tree_lines(tree)})
    return found


def there(place: Place) -> dict[str, str]:
    """Return the same of what is there."""
    nodes = place.data().items()
    return {name: "d" if node[0] == "folder" else digest_of(bytes(node[2])) for name, node in nodes}  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("races") / "project"
    with pytest.MonkeyPatch.context() as patch:
        for who in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{who}_NAME", "A")
            patch.setenv(f"GIT_{who}_EMAIL", "a@example.com")
        place = make_place(folder)
        place.track({"data/x": OLD, "data/y": "other", "single": OLD})
    return folder


@pytest.mark.skipif(os.name != "posix", reason="there are no pipes")
@pytest.mark.parametrize("what", COMMANDS)
@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.__name__)
def test_what_is_done_meanwhile_is_seen(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, act: Callable[[Path], None]
) -> None:
    interrupter = Interrupter(monkeypatch)
    name = "single" if what == "a single file" else "data/x"
    for number in range(200):
        place = Place(tmp_path / str(number))
        shutil.copytree(template, place.root, symlinks=True)
        path = place / name
        path.write_text(NEW)
        came = interrupter.run(number, partial(act, path), partial(COMMANDS[what], place))
        now, said = there(place), recorded(place)
        whole = {digest_of(text) for text in (OLD, NEW, AFTER, NEW + AFTER)}
        assert said.get(name, "gone") in {*whole, "gone", "d"}, number
        assert unsound(place.cache) == [], number
        with contextlib.suppress(DvcLikeError):  # a pipe is refused, which is seen as well
            states = place.states()
            for target in ("data", "single"):
                same = all(now.get(one) == said.get(one) for one in {*now, *said} if one.split("/")[0] == target)
                assert (states[target] == "unchanged") == same, (number, states, now, said)
        shutil.rmtree(place.root)
        if not came:
            break
    assert not came, "it never ended uninterrupted"
    assert number
    cases(RACES, number)


@pytest.mark.parametrize("skew", [3600, 86400 * 400])
def test_a_clock_that_is_ahead_of_the_file_system_vouches_for_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch, skew: int
) -> None:
    """As on a share whose server is behind: what it stamped just now is no older than this very tick."""
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + skew * 10**9)
    with open_session(place.project) as session:
        place.write({"x": OLD})
        stamp = (place / "x").stat().st_ctime_ns
        assert session.now_ns() < stamp + 1800 * 10**9
    cases(RACES)


@pytest.mark.parametrize("first", [3600, -3600])
def test_a_clock_that_jumps_between_commands_hides_no_edit(
    place: Place, monkeypatch: pytest.MonkeyPatch, first: int
) -> None:
    real = time.time_ns
    skew = first
    monkeypatch.setattr(time, "time_ns", lambda: real() + skew * 10**9)
    place.write({"data/x": OLD, "single": OLD})
    for number in range(6):
        place.add("data", "single")
        for name in ("data/x", "single"):
            stamp = (place / name).stat()
            (place / name).write_text(f"{number:03}")
            os.utime(place / name, ns=(stamp.st_atime_ns, stamp.st_mtime_ns + skew * 10**9))
        skew = -skew
        assert place.states() == {"data": "changed", "single": "changed"}, number
        cases(RACES, 2)


@pytest.mark.skipif(not hasattr(os, "readv"), reason="needs the call by which big files are read")
@pytest.mark.parametrize("back", [False, True])
def test_a_big_file_that_is_rewritten_while_it_is_read_is_never_stored_half_and_half(
    place: Place, monkeypatch: pytest.MonkeyPatch, back: bool
) -> None:
    """`back`: the mtime is put back as well."""
    path = place / "single"
    old, new = b"o" * (4 << 20), b"n" * (4 << 20)
    path.write_bytes(old)
    let_settle(place.root)
    stamp, readv, calls = path.stat(), os.readv, []

    def read(fd: int, buffers: list[bytearray]) -> int:
        calls.append(fd)
        if len(calls) == 3:
            with path.open("r+b") as file:
                file.write(new)
            if back:
                os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
        return readv(fd, buffers)

    monkeypatch.setattr(os, "readv", read)
    place.add("single")
    assert len(calls) > 3
    assert digest_of(new) in (place / "single.meta").read_text()
    assert place.cached(new).read_bytes() == new
    assert place.states() == {"single": "unchanged"}
    cases(RACES)


def _twins() -> tuple[bytes, bytes]:
    """Return two files with one XXH3-128, as long as nobody gives it a seed.

    Where the lower half of eight bytes equals its secret, XXH3 multiplies by zero and only adds them up: the upper
    halves of two such words of one block can be exchanged.
    """
    secret = bytes.fromhex("b8fe6c3923a44bbe7c01812cf721ad1c")

    def twin(first: bytes, second: bytes) -> bytes:
        data = bytearray(4096)
        data[0:8], data[64:72] = secret[:4] + first, secret[8:12] + second
        return bytes(data)

    return twin(b"good", b"evil"), twin(b"evil", b"good")


@pytest.mark.parametrize("with_git", [True, False])
@pytest.mark.parametrize("copied", [False, True])
def test_two_files_that_a_stranger_made_alike_are_told_apart(
    place: Place, tmp_path: Path, with_git: bool, copied: bool
) -> None:
    good, evil = _twins()
    assert good != evil
    assert xxhash.xxh3_128(good).digest() == xxhash.xxh3_128(evil).digest(), "the test shows nothing"
    if not with_git:
        shutil.rmtree(place / ".git")
    place.write({"single": good, "data/x": good})
    place.add("single", "data")
    if copied:
        shutil.copytree(place.root, tmp_path / "copied", symlinks=True)
        place = Place(tmp_path / "copied")
        assert set(place.states().values()) == {"unchanged"}
    place.write({"single": evil, "data/x": evil})
    assert place.states() == {"single": "changed", "data": "changed"}
    place.add("single", "data")
    assert digest_of(evil) in (place / "single.meta").read_text()
    assert place.cached(evil).read_bytes() == evil
    cases(RACES, 2)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs a kernel that tells who can write to a file")
@pytest.mark.parametrize("size", [MAPPED_FROM, 3 << 20])
def test_what_is_written_through_a_memory_map_is_seen(place: Place, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """The kernel stamps a file when a page of it is first written to, and again only once that page was on disk."""
    path = place / "data"
    path.write_bytes(bytes(size))
    with path.open("r+b") as file, mmap.mmap(file.fileno(), size) as mapped:
        file.close()
        for look in (lambda: place.add("data"), place.states, lambda: place.checkout("data")):
            mapped[0] += 1  # as does a script that goes on with its array
            assert place.states() == ({"data": "changed"} if mapped[0] > 1 else {})
            place.add("data")
            assert digest_of(path.read_bytes()) in (place / "data.meta").read_text()
            let_settle(place.root)
            look()
        mapped[0] += 1
    assert place.states() == {"data": "changed"}
    place.add("data")
    let_settle(place.root)
    assert place.states() == {"data": "unchanged"}
    # Nobody can write to it any more, so from now on its stat says it all.
    monkeypatch.setattr(scan, "read_content", lambda *_, **__: pytest.fail("it was read"))
    assert place.states() == {"data": "unchanged"}
    cases(RACES, 4)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs a kernel that tells who can write to a file")
def test_a_share_that_grants_no_lease_is_not_read_again_and_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NFS and SMB answer as if somebody wrote to the file."""
    monkeypatch.setattr(locks, "_LOCAL", set())
    path = place / "data"
    path.write_bytes(bytes(MAPPED_FROM))
    with path.open("r+b"):
        let_settle(place.root)
        place.add("data")
        assert place.states() == {"data": "unchanged"}
        monkeypatch.setattr(scan, "read_content", lambda *_, **__: pytest.fail("it was read"))
        assert place.states() == {"data": "unchanged"}
