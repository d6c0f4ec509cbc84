"""Every parser of what strangers write, with mutations of good and once bad inputs: see `tests/fuzz`."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import pytest
from tests.fuzz.mutation import mutations
from tests.fuzz.parsers import TARGETS, refused
from tests.safety import INPUT, cases

FEW, MANY = 100, 10_000


class Hang(BaseException):
    """Nothing that anybody takes for an error of the system."""


@pytest.fixture
def guard() -> Iterator[None]:
    """Turn a hang into a failure that says where."""
    if not hasattr(signal, "setitimer"):
        yield
        return

    def stop(*_: Any) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 300)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def run(name: str, count: int) -> None:
    verdicts = [refused(TARGETS[name], data) for data in mutations(name, count)]
    assert set(verdicts) <= {True, False}
    assert False in verdicts, "nothing was ever taken: the mutations do not reach what is behind the parser"
    cases(INPUT, len(verdicts))


@pytest.mark.parametrize("name", TARGETS)
def test_mutated_input_is_taken_or_refused_as_promised(name: str, guard: None) -> None:
    run(name, FEW)


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_a_great_many_mutations(name: str, guard: None) -> None:
    run(name, MANY)
