"""Which objects were hashed: processes add to each other's records, and damage means hashing again."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from dvc_like import digest as digests
from dvc_like.cache.trust import Trust
from dvc_like.digest import Digest


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "cache.sqlite")


def digest(number: int, shard: str = "ab", algorithm: str = "blake3") -> Digest:
    length = digests.HEX_LENGTH[algorithm]
    return digests.parse(f"{algorithm}:{shard}{number:0{length - 2}x}")


def record(number: int) -> tuple[bytes, bytes]:
    return number.to_bytes(32, "little"), number.to_bytes(16, "little")


def test_a_record_comes_back_at_once_and_later(path: str) -> None:
    with contextlib.closing(Trust(path)) as trust:
        trust.set(digest(1), *record(1))
        assert trust.get(digest(1)) == record(1)
        assert trust.get(digest(2)) is None
    with contextlib.closing(Trust(path)) as trust:
        assert trust.get(digest(1)) == record(1)
        assert trust.get(digest(2)) is None


def test_digests_of_different_lengths_and_algorithms_do_not_mix(path: str) -> None:
    all_of_them = [digest(5, "ab", algorithm) for algorithm in digests.HEX_LENGTH]
    with contextlib.closing(Trust(path)) as trust:
        for number, each in enumerate(all_of_them):
            trust.set(each, *record(number))
            trust.set(Digest(each[:-1] + "f"), *record(100 + number))
    with contextlib.closing(Trust(path)) as trust:
        assert [trust.get(each) for each in all_of_them] == [record(number) for number in range(4)]


def test_a_dropped_record_is_gone_at_once_and_later_and_can_come_again(path: str) -> None:
    with contextlib.closing(Trust(path)) as trust:
        trust.set(digest(1), *record(1))
        trust.set(digest(2), *record(2))
    with contextlib.closing(Trust(path)) as trust:
        trust.drop(digest(1))
        assert trust.get(digest(1)) is None
    with contextlib.closing(Trust(path)) as trust:
        assert trust.get(digest(1)) is None
        assert trust.get(digest(2)) == record(2)
        trust.drop(digest(2))
        trust.set(digest(2), *record(3))
    with contextlib.closing(Trust(path)) as trust:
        assert trust.get(digest(2)) == record(3)


def test_two_open_files_merge_what_they_write(path: str) -> None:
    with contextlib.closing(Trust(path)) as one, contextlib.closing(Trust(path)) as other:
        one.set(digest(1), *record(1))
        one.set(digest(9), *record(9))
        assert one.get(digest(3)) is None  # it has read the shard before the other one writes
        assert other.get(digest(3)) is None
        one.save()
        other.set(digest(2), *record(2))
        other.drop(digest(9))
        other.save()
        one.set(digest(3), *record(3))
        one.save()
    with contextlib.closing(Trust(path)) as trust:
        assert [trust.get(digest(number)) for number in (1, 2, 3, 9)] == [record(1), record(2), record(3), None]


_WRITE = """
import sys
from dvc_like.cache.trust import Trust
from dvc_like.digest import parse
trust = Trust(sys.argv[1])
for number in range(int(sys.argv[2]), int(sys.argv[3])):
    digest = parse("blake3:" + format(number % 3, "02x") + format(number, "062x"))
    trust.set(digest, number.to_bytes(32, "little"), bytes(16))
    if number % 10 == 0:
        trust.save()
trust.close()
"""


def test_processes_that_write_at_once_lose_nothing(path: str) -> None:
    Trust(path).close()
    ranges = [(start, start + 60) for start in range(0, 240, 60)]
    running = [subprocess.Popen([sys.executable, "-c", _WRITE, path, str(start), str(end)]) for start, end in ranges]
    assert [process.wait() for process in running] == [0] * len(running)
    with contextlib.closing(Trust(path)) as trust:
        found = [trust.get(digest(number, f"{number % 3:02x}")) for number in range(240)]
    assert [
        number for number, each in enumerate(found) if each is None or each[0] != number.to_bytes(32, "little")
    ] == []


def test_threads_share_one(path: str) -> None:
    with contextlib.closing(Trust(path)) as trust:

        def work(start: int) -> None:
            for number in range(start, start + 200):
                trust.set(digest(number, f"{number % 5:02x}"), *record(number))
                trust.get(digest(number, f"{number % 5:02x}"))
                if number % 50 == 0:
                    trust.save()

        threads = [threading.Thread(target=work, args=(start,)) for start in range(0, 800, 200)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    with contextlib.closing(Trust(path)) as trust:
        assert all(trust.get(digest(number, f"{number % 5:02x}")) == record(number) for number in range(800))


@pytest.mark.parametrize("length", [-1, -48, 1, 80])
def test_a_shard_whose_sum_is_wrong_is_forgotten_and_no_other(path: str, length: int) -> None:
    with contextlib.closing(Trust(path)) as trust:
        for number in range(5):
            trust.set(digest(number), *record(number))
        trust.set(digest(1, "cd"), *record(1))
    with contextlib.closing(sqlite3.connect(path)) as database:
        ((blob,),) = database.execute("SELECT records FROM shard WHERE name = 'blake3/ab'")
        blob = blob[:length] if length < 0 else blob + bytes(length)
        database.execute("UPDATE shard SET records = ? WHERE name = 'blake3/ab'", (blob,))
        database.commit()
    with contextlib.closing(Trust(path)) as trust:
        assert [trust.get(digest(number)) for number in range(5)] == [None] * 5
        assert trust.get(digest(1, "cd")) == record(1)
        trust.set(digest(7), *record(7))
    with contextlib.closing(Trust(path)) as trust:
        assert (trust.get(digest(7)), trust.get(digest(1))) == (record(7), None)


@pytest.mark.parametrize("byte", [0, 40, 70, 79])
def test_one_flipped_bit_in_a_shard_is_noticed(path: str, byte: int) -> None:
    with contextlib.closing(Trust(path)) as trust:
        trust.set(digest(1), *record(1))
    with contextlib.closing(sqlite3.connect(path)) as database:
        ((blob,),) = database.execute("SELECT records FROM shard")
        assert len(blob) == 80
        flipped = bytearray(blob)
        flipped[byte] ^= 1
        database.execute("UPDATE shard SET records = ?", (bytes(flipped),))
        database.commit()
    with contextlib.closing(Trust(path)) as trust:
        assert trust.get(digest(1)) is None


@pytest.mark.parametrize("value", [None, 5, "text"])
def test_a_mistyped_shard_is_forgotten(path: str, value: object) -> None:
    with contextlib.closing(Trust(path)) as trust:
        trust.set(digest(1), *record(1))
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE shard SET records = ?", (value,))
        database.commit()
    with contextlib.closing(Trust(path)) as trust:
        assert trust.get(digest(1)) is None


def _overwrite(path: str, at: int) -> None:
    size = os.path.getsize(path)
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(b"\xa5" * (size - at))


DAMAGE: dict[str, Callable[[str], object]] = {
    "no database": lambda path: Path(path).write_bytes(b"not a database " * 1000),
    "zeros": lambda path: Path(path).write_bytes(bytes(os.path.getsize(path))),
    "empty": lambda path: Path(path).write_bytes(b""),
    "lost": os.unlink,
    "cut in the middle": lambda path: os.truncate(path, os.path.getsize(path) // 2),
    "cut to one page": lambda path: os.truncate(path, 4096),
    "all pages but the first overwritten": lambda path: _overwrite(path, 4096),
    "all overwritten": lambda path: _overwrite(path, 0),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_rebuilt_in_silence(path: str, damage: Callable[[str], object]) -> None:
    with contextlib.closing(Trust(path)) as trust:
        for number in range(500):
            trust.set(digest(number, f"{number % 50:02x}"), *record(number))
    damage(path)
    with contextlib.closing(Trust(path)) as trust:
        for number in range(500):
            assert trust.get(digest(number, f"{number % 50:02x}")) in (None, record(number))
    with contextlib.closing(Trust(path)) as trust:
        trust.set(digest(1, "ee"), *record(1))
    with contextlib.closing(Trust(path)) as trust:
        assert trust.get(digest(1, "ee")) == record(1)


def test_where_no_file_can_be_records_last_as_long_as_the_process(tmp_path: Path) -> None:
    with contextlib.closing(Trust(str(tmp_path / "none/cache.sqlite"))) as trust:
        trust.set(digest(1), *record(1))
        trust.save()
        assert trust.get(digest(1)) == record(1)


_FORKING = """
import os, sys, threading, time
from dvc_like.statefile import StateFile

state = StateFile(sys.argv[1], 1, "CREATE TABLE t (x)")
begun, asked = threading.Event(), threading.Event()

def work(database):
    begun.set()
    asked.wait()
    time.sleep(0.2)  # only so that a fork that does not wait is sure to come too early
    database.execute("INSERT INTO t VALUES (1)")

thread = threading.Thread(target=state.write, args=(work,))
thread.start()
begun.wait()
os.register_at_fork(before=asked.set)
child = os.fork()
if not child:
    os._exit(0 if StateFile(sys.argv[1], 1, "").read("SELECT x FROM t") == [(1,)] else 1)
thread.join()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing is forked there")
def test_no_process_is_forked_while_a_thread_is_inside(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _FORKING, str(tmp_path / "state")], check=False, timeout=60
    )
    assert done.returncode == 0
