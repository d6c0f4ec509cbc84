"""Trying again, bounding, logging: each wrapper alone, on a store that fails as told."""

from __future__ import annotations

import io
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dvc_like.errors import (
    CorruptData,
    DvcLikeError,
    RemoteDenied,
    RemoteError,
    RemoteNotFound,
    RemoteQuota,
    RemoteUnavailable,
)
from dvc_like.remote import deleting
from dvc_like.remote.base import Backend, Capabilities, Info, Sink
from dvc_like.remote.memory import MemoryBackend, forget
from dvc_like.remote.wrap import FIRST_DELAY, PATIENCE, Logged, Retrying, Throttled, Wrapper, wrap
from dvc_like.testing import Drop, Fail, FaultyBackend, Flip, Slow, Truncate

DATA = bytes(range(256)) * 4


@pytest.fixture
def memory() -> Iterator[MemoryBackend]:
    name = uuid.uuid4().hex
    backend = MemoryBackend(name)
    backend.put("a", DATA)
    backend.put("b", b"b")
    backend.flush()
    yield backend
    forget(name)


def retrying(inner: Backend, attempts: int = 3, chance: float = 1.0, **options: Any) -> tuple[Retrying, list[float]]:
    slept: list[float] = []
    return Retrying(inner, attempts, sleep=slept.append, chance=lambda: chance, **options), slept


def load(backend: Backend, key: str, **options: Any) -> bytes:
    sink = io.BytesIO()
    backend.get(key, sink, **options)
    return sink.getvalue()


CALLS: dict[str, Callable[[Backend], object]] = {
    "put": lambda backend: backend.put("c", b"c"),
    "get": lambda backend: load(backend, "a"),
    "stat": lambda backend: backend.stat(key for key in ["a"]),
    "list": lambda backend: [*backend.list("")],
    "delete": lambda backend: backend.delete(key for key in ["a"]),
    "flush": lambda backend: backend.flush(),
    "sweep": lambda backend: backend.sweep(60),
}


# ------------------------------------------------------------------------------ trying again


@pytest.mark.parametrize("method", CALLS)
def test_unavailable_is_tried_again_and_then_works(memory: MemoryBackend, method: str) -> None:
    expected = CALLS[method](memory)
    memory.put("a", DATA)
    memory.flush()
    faulty = FaultyBackend(memory, Fail(method, times=2))
    backend, slept = retrying(faulty)
    found = CALLS[method](backend)
    assert [name for name, _ in faulty.calls] == [method] * 3
    assert len(slept) == 2
    if method == "stat":
        assert isinstance(found, dict)
        assert [*found] == ["a"]  # keys given by an iterator are there for the second attempt too
    elif method == "list":
        assert isinstance(found, list)
        assert [key for key, _ in found] == ["a", "b"]
    else:
        assert found == expected
    if method == "delete":
        assert memory.stat(["a"]) == {}


def test_a_put_that_left_more_behind_than_the_last_begins_the_count_anew(memory: MemoryBackend) -> None:
    kept = [100, 200, 200, 100]

    class InParts(Wrapper):
        def put(self, key: str, source: str | bytes, *, label: str = "", once: bool = False) -> None:
            error = RemoteUnavailable("the connection broke")
            if not kept:
                raise error
            error.kept = kept.pop(0)  # type: ignore[attr-defined]
            raise error

    backend, slept = retrying(InParts(memory), attempts=3)
    with pytest.raises(RemoteUnavailable):
        backend.put("big", b"x")
    assert slept == [FIRST_DELAY, FIRST_DELAY, FIRST_DELAY * 2]  # 100, 200, 200, and 100 is the third in a row
    assert kept == []


@pytest.mark.parametrize("method", CALLS)
def test_the_last_attempt_raises_what_the_store_said(memory: MemoryBackend, method: str) -> None:
    error = RemoteUnavailable("no answer")
    faulty = FaultyBackend(memory, Fail(method, times=0, error=error))
    backend, slept = retrying(faulty, attempts=4)
    with pytest.raises(RemoteUnavailable) as raised:
        CALLS[method](backend)
    assert raised.value is error
    assert len(faulty.calls) == 4
    assert len(slept) == 3


@pytest.mark.parametrize("method", CALLS)
@pytest.mark.parametrize("kind", [RemoteDenied, RemoteQuota, RemoteNotFound, DvcLikeError, OSError])
def test_nothing_else_is_tried_again(memory: MemoryBackend, method: str, kind: type[Exception]) -> None:
    faulty = FaultyBackend(memory, Fail(method, error=kind("no")))
    backend, slept = retrying(faulty)
    with pytest.raises(kind):
        CALLS[method](backend)
    assert len(faulty.calls) == 1
    assert slept == []


def test_one_attempt_is_no_second(memory: MemoryBackend) -> None:
    faulty = FaultyBackend(memory, Fail("stat"))
    backend, slept = retrying(faulty, attempts=1)
    with pytest.raises(RemoteUnavailable):
        backend.stat(["a"])
    assert slept == []


def test_delays_double_up_to_the_greatest(memory: MemoryBackend) -> None:
    backend, slept = retrying(FaultyBackend(memory, Fail("stat", times=7)), attempts=8, max_delay=5.0)
    backend.stat(["a"])
    assert slept == [FIRST_DELAY, 1.0, 2.0, 4.0, 5.0, 5.0, 5.0]


def test_chance_takes_away_half_at_most(memory: MemoryBackend) -> None:
    backend, slept = retrying(FaultyBackend(memory, Fail("stat", times=3)), attempts=4, chance=0.0)
    backend.stat(["a"])
    assert slept == [FIRST_DELAY / 2, 0.5, 1.0]


def unavailable(retry_after: float) -> RemoteUnavailable:
    error = RemoteUnavailable("slow down")
    error.retry_after = retry_after  # type: ignore[attr-defined]
    return error


def test_the_store_says_how_long(memory: MemoryBackend) -> None:
    backend, slept = retrying(FaultyBackend(memory, Fail("stat", error=unavailable(42))), chance=0.0, max_delay=1.0)
    backend.stat(["a"])
    assert slept == [42.0]


def test_a_store_that_asks_for_too_long_is_left(memory: MemoryBackend) -> None:
    backend, slept = retrying(FaultyBackend(memory, Fail("stat", error=unavailable(PATIENCE + 1))))
    with pytest.raises(RemoteUnavailable):
        backend.stat(["a"])
    assert slept == []


def test_get_goes_on_where_it_broke(memory: MemoryBackend) -> None:
    asked: list[tuple[int, int | None]] = []

    class Spy(Wrapper):
        def get(self, key: str, sink: Any, *, start: int = 0, length: int | None = None) -> None:
            asked.append((start, length))
            self.inner.get(key, sink, start=start, length=length)

    backend, slept = retrying(Spy(FaultyBackend(memory, Drop(after=100), Drop(nth=2, after=50))))
    assert load(backend, "a") == DATA
    assert asked == [(0, None), (100, None), (150, None)]
    assert slept == [FIRST_DELAY, FIRST_DELAY]  # what brought something is no failure in a row
    asked.clear()
    backend, _ = retrying(Spy(FaultyBackend(memory, Drop(after=30))))
    assert load(backend, "a", start=10, length=100) == DATA[10:110]
    assert asked == [(10, 100), (40, 70)]


def test_get_that_brings_something_each_time_never_gives_up(memory: MemoryBackend) -> None:
    backend, slept = retrying(FaultyBackend(memory, Drop(times=10, after=100)), attempts=2)
    assert load(backend, "a") == DATA
    assert len(slept) == 10


def test_get_that_brings_nothing_gives_up(memory: MemoryBackend) -> None:
    faulty = FaultyBackend(memory, Drop(after=100), Drop(nth=2, times=0, after=0))
    backend, _ = retrying(faulty, attempts=3)
    sink = io.BytesIO()
    with pytest.raises(RemoteUnavailable):
        backend.get("a", sink)
    assert sink.getvalue() == DATA[:100]
    assert len(faulty.calls) == 3


def test_get_that_broke_after_the_last_byte_is_done(memory: MemoryBackend) -> None:
    faulty = FaultyBackend(memory, Drop(after=100))
    backend, slept = retrying(faulty)
    assert load(backend, "a", length=100) == DATA[:100]
    assert len(faulty.calls) == 1
    assert slept == []


def test_list_goes_on_after_the_last_key(memory: MemoryBackend) -> None:
    breaks = [1, 1, 2]

    class BreaksAfter(Wrapper):
        def list(self, prefix: str) -> Iterator[tuple[str, Info]]:
            keep = breaks.pop(0) if breaks else 99
            for number, pair in enumerate(self.inner.list(prefix)):
                if number == keep:
                    raise RemoteUnavailable("page lost")
                yield pair

    memory.put("c", b"c")
    memory.flush()
    backend, slept = retrying(BreaksAfter(memory), attempts=3)
    assert [key for key, _ in backend.list("")] == ["a", "b", "c"]
    assert len(slept) == 3


def test_put_whose_answer_was_lost_is_sent_again(memory: MemoryBackend) -> None:
    backend, _ = retrying(FaultyBackend(memory, Fail("put", late=True)))
    backend.put("c", b"once")
    backend.flush()
    assert load(memory, "c") == b"once"


# ------------------------------------------------------------------------------ bounding


def test_no_more_calls_than_allowed_run_at_once(memory: MemoryBackend) -> None:
    inside: list[str] = []
    left: list[int] = []

    class Watched(Wrapper):
        def stat(self, keys: Any) -> dict[str, Info]:
            inside.append("x")
            assert len(inside) <= 3
            full.wait(30)
            inside.pop()
            return {}

    backend = Throttled(Watched(memory), 3)
    # Passed only when three calls are inside together, and then there is no place for a fourth.
    full = threading.Barrier(3, lambda: left.append(backend._tickets.qsize()))
    for threads in (3, 9):
        with ThreadPoolExecutor(threads) as pool:
            for future in [pool.submit(backend.stat, ["a"]) for _ in range(9)]:
                future.result()
    assert left == [0] * 6


@pytest.mark.parametrize("method", CALLS)
def test_a_place_is_given_back_after_a_failure(memory: MemoryBackend, method: str) -> None:
    backend = Throttled(FaultyBackend(memory, Fail(method, times=3)), 1)
    for _ in range(3):
        with pytest.raises(RemoteUnavailable):
            CALLS[method](backend)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(CALLS[method], backend).result(timeout=30)


def test_a_listing_holds_no_place_between_two_keys(memory: MemoryBackend) -> None:
    backend = Throttled(memory, 1)

    def use() -> list[int]:
        return [backend.stat([key])[key].size for key, _ in backend.list("")]

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(use).result(timeout=30) == [len(DATA), 1]


def test_waiting_for_the_next_attempt_blocks_nobody(memory: MemoryBackend) -> None:
    backend = wrap(FaultyBackend(memory, Fail("stat")), attempts=2, concurrency=1)
    assert isinstance(backend, Retrying)
    slept = []

    def sleep(delay: float) -> None:
        with ThreadPoolExecutor(1) as pool:  # the only place is free while the first call waits
            slept.append(pool.submit(load, backend, "b").result(timeout=30))

    backend._sleep = sleep
    assert [*backend.stat(["a"])] == ["a"]
    assert slept == [b"b"]


# ------------------------------------------------------------------------------ the log


def test_log_tells_every_call(memory: MemoryBackend, tmp_path: Any) -> None:
    lines: list[str] = []
    ticks = iter(range(1000))
    backend = Logged(memory, lines.append, clock=lambda: next(ticks) * 0.25)
    (tmp_path / "file").write_bytes(b"12345")
    backend.put("k/1", b"123")
    backend.put("k/2", str(tmp_path / "file"))
    backend.flush()
    load(backend, "a")
    load(backend, "a", start=1000, length=5)
    backend.stat(["a", "missing"])
    assert len([*backend.list("k/")]) == 2
    backend.delete(["k/1", "k/2"])
    assert lines == [
        "put k/1 3 bytes 0.250 s",
        "put k/2 5 bytes 0.250 s",
        "flush 0.250 s",
        "get a 1024 bytes 0.250 s",
        "get a from 1000 5 bytes 0.250 s",
        "stat 2 keys 1 found 0.250 s",
        "list k/ 2 keys 0.250 s",
        "delete 2 keys 0.250 s",
    ]


def test_log_names_the_kind_of_an_error_and_not_its_text(memory: MemoryBackend) -> None:
    lines: list[str] = []
    secret = RemoteDenied("signature of key AKIA... is wrong")
    faulty = FaultyBackend(memory, Drop(after=7), *(Fail(method, error=secret) for method in CALLS if method != "get"))
    backend = Logged(faulty, lines.append, clock=lambda: 0.0)
    for call in CALLS.values():
        with pytest.raises(DvcLikeError):
            call(backend)
    assert lines[0] == "put c 0.000 s RemoteDenied"
    assert lines[1] == "get a 7 bytes 0.000 s RemoteUnavailable"
    assert len(lines) == len(CALLS)
    assert "AKIA" not in "".join(lines)


# ------------------------------------------------------------------------------ all of it


def test_wrap_logs_every_attempt(memory: MemoryBackend) -> None:
    lines: list[str] = []
    backend = wrap(FaultyBackend(memory, Fail("stat")), attempts=2, concurrency=4, log=lines.append)
    assert isinstance(backend, Retrying)
    backend._sleep = lambda delay: lines.append("sleep")
    backend.stat(["a"])
    assert [line.split()[0] for line in lines] == ["stat", "sleep", "stat"]
    assert lines[0].endswith("RemoteUnavailable")


def test_wrappers_show_the_capabilities_of_what_they_wrap(memory: MemoryBackend) -> None:
    memory.capabilities = Capabilities("special", 3, True)
    assert wrap(memory, attempts=1, concurrency=1, log=print).capabilities == Capabilities("special", 3, True)


def test_close_reaches_the_store(memory: MemoryBackend) -> None:
    faulty = FaultyBackend(memory)
    wrap(faulty, attempts=1, concurrency=1, log=print).close()
    assert faulty.calls == [("close", ())]


# ------------------------------------------------------------------------------ faults


def test_faults_come_at_the_call_they_are_told(memory: MemoryBackend) -> None:
    faulty = FaultyBackend(memory, Fail("stat", nth=2, times=2, error=RemoteDenied("no")))
    outcomes = []
    for _ in range(5):
        try:
            faulty.stat(["a"])
            outcomes.append(True)
        except RemoteDenied:
            outcomes.append(False)
    assert outcomes == [True, False, False, True, True]


def test_faults_may_be_of_some_keys_only(memory: MemoryBackend) -> None:
    faulty = FaultyBackend(memory, Fail("get", times=0, key="b"))
    assert load(faulty, "a") == DATA
    with pytest.raises(RemoteUnavailable):
        load(faulty, "b")


def test_a_late_failure_has_done_its_work(memory: MemoryBackend) -> None:
    faulty = FaultyBackend(memory, Fail("delete", late=True))
    with pytest.raises(RemoteUnavailable):
        faulty.delete(["a"])
    assert memory.stat(["a"]) == {}


def test_bytes_are_damaged_as_told(memory: MemoryBackend) -> None:
    faulty = FaultyBackend(memory, Truncate(keep=10), Flip(nth=2, at=3))
    assert load(faulty, "a") == DATA[:10]
    damaged = load(faulty, "a")
    assert [at for at in range(len(DATA)) if damaged[at] != DATA[at]] == [3]
    assert load(faulty, "a") == DATA


def test_a_broken_connection_has_brought_what_it_brought(memory: MemoryBackend) -> None:
    sink = io.BytesIO()
    with pytest.raises(RemoteUnavailable):
        FaultyBackend(memory, Drop(after=10)).get("a", sink)
    assert sink.getvalue() == DATA[:10]


def test_slow_waits_as_told(memory: MemoryBackend) -> None:
    waited: list[int] = []
    FaultyBackend(memory, Slow("stat", wait=lambda: waited.append(1))).stat(["a"])
    assert waited == [1]


# ------------------------------------------------------------------------------ Ctrl-C


def test_after_an_interruption_no_more_bytes_arrive(memory: Backend) -> None:
    memory.put("a", bytes(1 << 20))
    memory.flush()
    backend = wrap(memory, attempts=3, concurrency=1)

    class Sink(io.BytesIO):
        def write(self, data: Any, /) -> int:
            backend.interrupt()
            return super().write(data)

    sink = Sink()
    backend.get("a", sink)  # what is being written is written whole
    assert sink.tell() == 1 << 20
    with pytest.raises(KeyboardInterrupt):
        backend.get("a", sink)
    assert sink.tell() == 1 << 20


def test_an_interruption_ends_the_waiting_for_another_attempt(memory: Backend) -> None:
    class Later(RemoteUnavailable):
        retry_after = 200  # seconds

    class Busy(Wrapper):
        def stat(self, keys: Iterable[str]) -> dict[str, Info]:
            asked.set()
            raise Later("busy")

    asked, raised = threading.Event(), []
    backend = wrap(Busy(memory), attempts=3, concurrency=1)

    def ask() -> None:
        try:
            backend.stat(["a"])
        except BaseException as error:
            raised.append(type(error))

    thread = threading.Thread(target=ask)
    thread.start()
    asked.wait()
    backend.interrupt()
    thread.join()
    assert raised == [KeyboardInterrupt]


# ------------------------------------------------------------------------------ too much


class Endless(Wrapper):
    """Sends on and on, whatever it is asked for; breaks off at times."""

    def __init__(self, inner: Backend, breaks: int = 0) -> None:
        super().__init__(inner)
        self.breaks = breaks
        self.sent = 0

    def get(self, key: str, sink: Sink, *, start: int = 0, length: int | None = None) -> None:
        for _ in range(1000):
            sink.write(DATA)
            self.sent += len(DATA)
            if self.breaks:
                self.breaks -= 1
                raise RemoteUnavailable("broken")


@pytest.mark.parametrize("breaks", [0, 1, 2])
def test_a_store_that_sends_more_than_was_asked_for_is_refused_at_once(memory: MemoryBackend, breaks: int) -> None:
    backend = Endless(memory, breaks)
    sink = io.BytesIO()
    wrapped = wrap(backend, attempts=3, concurrency=1)
    wrapped._sleep = lambda seconds: None
    with pytest.raises(CorruptData, match="a: more than the 2,148 bytes"):
        wrapped.get("a", sink, start=5, length=2 * len(DATA) + 100)
    assert len(sink.getvalue()) <= 2 * len(DATA) + 100
    assert backend.sent == 2 * len(DATA)


# ------------------------------------------------------------------------------ too late


def test_no_attempt_to_delete_is_made_once_it_is_too_late(
    memory: MemoryBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, ...]] = []

    class Busy(Wrapper):
        def delete(self, keys: Iterable[str]) -> None:
            asked.append(tuple(keys))
            late = time.monotonic() + deleting.LONGEST
            monkeypatch.setattr(time, "monotonic", lambda: late)
            raise RemoteUnavailable("later")

    backend, _ = retrying(Busy(memory))
    with pytest.raises(RemoteError, match="longer than"):
        deleting.fenced(backend)[0].delete(["a"])
    assert asked == [("a",)]
    backend.get("a", io.BytesIO())  # the store itself is as it was
