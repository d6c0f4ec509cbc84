"""Many at a time: what Ctrl-C does to what is in flight."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from dvc_like.ops import _transfer
from dvc_like.ops._transfer import transfer

pytestmark = pytest.mark.skipif(os.name != "posix", reason="a process cannot send itself Ctrl-C here")


@pytest.fixture(autouse=True)
def _ctrl_c_is_heard() -> Iterator[None]:
    """A job in the background is started deaf to it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def press_ctrl_c(started: threading.Semaphore, count: int) -> None:
    for _ in range(count):
        started.acquire()
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("hears", [True, False], ids=["hears it", "is deaf"])
def test_ctrl_c_asks_what_is_in_flight_to_end_and_waits_no_longer_than_a_moment(
    hears: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_transfer, "_GRACE", 30.0 if hears else 0.05)
    started, interrupted, late = threading.Semaphore(0), threading.Event(), threading.Event()
    others = threading.Event()
    ended: list[int] = []

    def work(item: int) -> None:
        started.release()
        (interrupted if hears else late).wait()
        if item == 0:
            others.wait(20)  # the one that is waited for first comes last
        ended.append(item)
        if len(ended) == 2:
            others.set()

    finger = threading.Thread(target=press_ctrl_c, args=(started, 3))
    finger.start()
    with pytest.raises(KeyboardInterrupt):
        transfer(range(100), work, 3, at_once=1, interrupt=interrupted.set)
    finger.join()
    assert interrupted.is_set()
    assert len(ended) == (3 if hears else 0)  # and nothing more was begun
    late.set()
