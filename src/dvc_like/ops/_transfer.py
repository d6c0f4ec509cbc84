"""Moving many objects: a few threads, every failure gathered, nothing hidden behind the first one.

Owns the pool and how failures become one error. Knows nothing of what an item is.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterable, Sized
from typing import Generic, TypeVar

from ..errors import DvcLikeError, PartialFailure, RemoteDenied, RemoteQuota, RemoteUnavailable

Item = TypeVar("Item")

_SLICE = 32  # items a thread takes at once: small ones cost less than the hand-over
_HOPELESS = 8  # so many refusals, and the rest is not tried
_GRACE = 3.0  # seconds that an interrupted transfer waits for what is in flight


class Outcome(Generic[Item]):
    """What became of a transfer: `failures` pairs items with errors, `untried` was not begun, `done` counts."""

    def __init__(self) -> None:
        self.failures: list[tuple[Item, DvcLikeError]] = []
        self.done = 0
        self.untried: list[Item] = []


def transfer(
    items: Iterable[Item],
    work: Callable[[Item], None],
    jobs: int,
    *,
    at_once: int = _SLICE,
    interrupt: Callable[[], None] = lambda: None,
) -> Outcome[Item]:
    """Call `work` for every item, `jobs` at a time. `DvcLikeError`s are gathered, anything else stops everything.

    A thread takes `at_once` items at a time; 1 suits items that take long. `interrupt` asks what is in flight to end;
    what does not hear it is left to itself after a moment: whoever pressed Ctrl-C did not mean to wait.
    """
    if isinstance(items, Sized):
        jobs = min(jobs, -(-len(items) // at_once))  # one item needs no thread but this
    source = iter(items)
    outcome: Outcome[Item] = Outcome()
    mutex = threading.Lock()
    stop = threading.Event()
    fatal: list[BaseException] = []

    def run() -> None:
        while not stop.is_set():
            with mutex:
                batch = list(itertools.islice(source, at_once if jobs > 1 else 1 << 10))
            if not batch:
                return
            done = 0
            for at, item in enumerate(batch):
                if stop.is_set():
                    with mutex:
                        outcome.untried += batch[at:]
                    break
                try:
                    work(item)
                    done += 1
                except DvcLikeError as error:
                    outcome.failures.append((item, error))
                    if _is_hopeless(outcome):
                        stop.set()
                except BaseException as error:
                    fatal.append(error)
                    stop.set()
            with mutex:
                outcome.done += done

    if jobs <= 1:
        run()
    else:
        _at_once(run, jobs, stop, interrupt)
    if fatal:
        raise fatal[0]
    outcome.untried += source
    return outcome


def _at_once(run: Callable[[], None], jobs: int, stop: threading.Event, interrupt: Callable[[], None]) -> None:
    """Call `run` in so many threads until all are done. After Ctrl-C they are given a moment."""
    # Not `Thread.join`: when Ctrl-C breaks it off, Python 3.11 takes the thread for one that has ended.
    ended = threading.Semaphore(0)
    running = 0

    def work() -> None:
        try:
            run()
        finally:
            ended.release()

    try:
        for _ in range(jobs):
            running += 1  # first: Ctrl-C may come while it begins, and it goes on
            threading.Thread(target=work, daemon=True).start()
        while running:
            running -= ended.acquire(timeout=0.5)  # so that Ctrl-C is heard
    except BaseException:
        stop.set()
        interrupt()
        last = time.monotonic() + _GRACE
        for _ in range(running):
            ended.acquire(timeout=max(0.0, last - time.monotonic()))
        raise


def _is_hopeless(outcome: Outcome[Item]) -> bool:
    refusals = [
        error for _, error in outcome.failures if isinstance(error, RemoteDenied | RemoteQuota | RemoteUnavailable)
    ]
    return len(refusals) >= _HOPELESS


def as_error(verb: str, failures: list[tuple[str, DvcLikeError]], done: int, untried: int = 0) -> DvcLikeError:
    """Make one error of several; each failure comes as (path, reason).

    The kind is `PartialFailure` when something was moved, else that of the gravest failure.
    """
    total = len(failures) + done + untried
    lines = tuple(f"{path}: {error.message}" for path, error in sorted(failures, key=lambda pair: pair[0]))
    gravest = max((error for _, error in failures), key=lambda error: error.exit_code)
    if len(failures) == 1 and total == 1:
        return type(gravest)(f"{verb} failed: {lines[0]}", hint=gravest.template)
    rest = f"; {untried} more were not tried" if untried else ""
    kind = PartialFailure if done else type(gravest)
    return kind(f"{verb} failed for {len(failures)} of {total} objects{rest}", hint=gravest.template, details=lines)
