"""A fetch that was killed goes on: seen by the bytes that the remote delivers to the real command."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.place import Place, key_of, objects_in, temps_in, unlock
from tests.cli.stores import unsound
from tests.conftest import AsNobody, Cli

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of this kind do not exist on this system")

MB = 1 << 20
SIZE = 24 * MB
AT = 15 * MB

#: Runs the command; sends itself a signal once the remote has delivered so many bytes of objects. Prints how many came.
CHILD = """
import os, signal, sys
from dvc_like.cli import shell
from dvc_like.remote.local import LocalBackend
signal.signal(signal.SIGINT, signal.default_int_handler)
at, number, seen = int(sys.argv[1]), int(sys.argv[2]), 0
class Counting:
    def __init__(self, sink):
        self.sink = sink
    def write(self, data):
        global seen
        done = self.sink.write(data)
        before, seen = seen, seen + len(data)
        if at and before < at <= seen:
            os.kill(os.getpid(), number)
        return done
real = LocalBackend.get
def get(self, key, sink, *, start=0, length=None):
    return real(self, key, Counting(sink) if key.startswith("files/") else sink, start=start, length=length)
LocalBackend.get = get
code = shell.run(sys.argv[3:])
sys.stderr.write(f"delivered: {seen}\\n")
sys.exit(code)
"""


def run(words: list[str], cwd: Path, at: int = 0, number: int = signal.SIGKILL) -> subprocess.CompletedProcess[str]:
    call = [sys.executable, "-c", CHILD, str(at), str(int(number)), *words]
    return subprocess.run(
        call, cwd=cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300, check=False
    )


def delivered(done: subprocess.CompletedProcess[str]) -> int:
    return int(done.stderr.rpartition("delivered: ")[2])


@pytest.fixture
def content(place: Place) -> bytes:
    """A file whose clones have only its meta file."""
    return pushed(place, SIZE)


def pushed(place: Place, size: int) -> bytes:
    data = os.urandom(MB) * (size // MB - 1) + os.urandom(MB)
    place.write({"big": data})
    place.add("big")
    place.save()
    place.push()
    return data


def partials(place: Place) -> list[Path]:
    return list((place.cache / "partial").iterdir())


def check(place: Place, content: bytes) -> None:
    assert (place / "big").read_bytes() == content
    assert list(objects_in(place.cache)) == [key_of(content)]
    assert unsound(place.cache) == []
    assert temps_in(place.root) == []
    assert partials(place) == []


def left_by(place: Place, stopped: subprocess.CompletedProcess[str], code: int = -signal.SIGKILL) -> int:
    """Check what a stopped run left; return how many bytes came."""
    assert stopped.returncode == code, stopped.stderr
    assert not (place / "big").exists()
    assert objects_in(place.cache) == {}
    (left,) = partials(place)
    return left.stat().st_size


def test_a_killed_pull_of_64_mib_goes_on(place: Place, clone: Callable[..., Place]) -> None:
    size = 64 * MB
    content = pushed(place, size)
    copy = clone()
    came = left_by(copy, run(["pull"], copy.root, at=40 * MB))
    assert 40 * MB <= came < 42 * MB
    again = run(["pull"], copy.root)
    assert again.returncode == 0, again.stderr
    assert delivered(again) == size - came
    check(copy, content)


def test_an_interrupted_fetch_goes_on(content: bytes, clone: Callable[..., Place], cli: Cli) -> None:
    copy = clone()
    came = left_by(copy, run(["fetch", "-j", "1"], copy.root, at=AT, number=signal.SIGINT), code=130)
    assert came >= AT - MB
    again = run(["fetch"], copy.root)
    assert again.returncode == 0, again.stderr
    assert delivered(again) == SIZE - came
    cli("checkout", cwd=copy.root)
    check(copy, content)


def test_killed_again_and_again_it_comes_to_an_end(content: bytes, clone: Callable[..., Place]) -> None:
    copy = clone()
    came = [left_by(copy, run(["pull"], copy.root, at=7 * MB)) for _ in range(3)]
    assert came == sorted(set(came))
    done = run(["pull"], copy.root)
    assert done.returncode == 0, done.stderr
    assert delivered(done) == SIZE - came[-1]
    check(copy, content)


def test_damage_in_what_was_left_needs_no_user(content: bytes, clone: Callable[..., Place]) -> None:
    copy = clone()
    came = left_by(copy, run(["pull"], copy.root, at=AT))
    with open(partials(copy)[0], "r+b") as file:
        file.seek(MB)
        file.write(b"damage")
    done = run(["pull"], copy.root)
    assert done.returncode == 0, done.stderr
    assert delivered(done) == SIZE - came + SIZE
    check(copy, content)


def test_damage_on_the_remote_is_still_told(content: bytes, clone: Callable[..., Place], store: Path, cli: Cli) -> None:
    copy = clone()
    left_by(copy, run(["pull"], copy.root, at=AT))
    path = unlock(store / key_of(content))
    with open(path, "r+b") as file:
        file.seek(20 * MB)
        file.write(b"damage")
    done = cli("pull", cwd=copy.root, code=7)
    assert "big" in done.err
    assert partials(copy) == []
    assert objects_in(copy.cache) == {}
    assert not (copy / "big").exists()
    path.write_bytes(content)
    cli("pull", cwd=copy.root)
    check(copy, content)


def test_files_that_came_whole_do_not_come_again(
    place: Place, clone: Callable[..., Place], as_nobody: AsNobody
) -> None:
    """Several big files: those before the one that was cut are not in the cache yet, but they are here."""
    place.write({f"data/{number}": os.urandom(10 * MB) for number in range(4)})
    place.add("data")
    place.save()
    place.push()
    copy = clone()
    as_nobody.own(copy.root)
    env = {"DVC_LIKE_TRACE": "1"}
    words = [*as_nobody._before, sys.executable, "-c", CHILD, str(25 * MB), str(int(signal.SIGKILL)), "pull", "-j", "1"]
    killed = subprocess.run(words, cwd=copy.root, capture_output=True, text=True, check=False, timeout=300)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    came = sum(path.stat().st_size for path in partials(copy))
    assert 25 * MB <= came < 27 * MB
    assert [path.stat().st_size for path in partials(copy)].count(10 * MB) == 2
    done = as_nobody("pull", "-j", "1", cwd=copy.root, env=env)
    asked = [int(size) for size in re.findall(r"get files/\S+(?: from \d+)? (\d+) bytes", done.err)]
    assert sum(size for size in asked if size > MB) == 40 * MB - came, done.err
    assert copy.data("data") == place.data("data")
    assert partials(copy) == []


def test_gc_and_fsck_leave_it_alone(content: bytes, clone: Callable[..., Place], cli: Cli) -> None:
    copy = clone()
    came = left_by(copy, run(["fetch"], copy.root, at=AT))
    cli("gc", "--workspace", "--force", "--grace", "0", cwd=copy.root)
    assert cli("fsck", "--read-data", "--json", cwd=copy.root, code=(0, 4, 7)).json
    assert [path.stat().st_size for path in partials(copy)] == [came]
    again = run(["pull"], copy.root)
    assert delivered(again) == SIZE - came
    check(copy, content)


def test_a_full_disk_keeps_what_came(
    content: bytes, clone: Callable[..., Place], small_disk: Callable[[int], Path]
) -> None:
    copy = clone()
    disk = small_disk(16 * MB)
    cache = copy.cache
    cache.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "--bind", str(disk), str(cache)], check=True)
    try:
        full = run(["fetch"], copy.root)
        assert full.returncode == 1, full.stderr
        assert "space" in full.stderr
        (left,) = partials(copy)
        came = left.stat().st_size
        assert came > 12 * MB
        subprocess.run(["mount", "-o", "remount,size=64M", str(disk)], check=True)
        again = run(["fetch"], copy.root)
        assert again.returncode == 0, again.stderr
        assert delivered(again) == SIZE - came
        assert list(objects_in(copy.cache)) == [key_of(content)]
    finally:
        subprocess.run(["umount", str(cache)], check=True)
