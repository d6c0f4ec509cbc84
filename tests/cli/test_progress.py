"""Progress on stderr: sane words, and a sign of life while the work says nothing."""

from __future__ import annotations

import io
import re
import sys
import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from dvc_like.cli import bars
from dvc_like.cli.bars import Bars

Printed = Callable[[], str]


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Printed:
    """Wait for the next line on stderr, which is due at once, and return it."""
    monkeypatch.setattr(bars, "_EVERY_LINE", 0.0)
    clock = SimpleNamespace(monotonic=lambda: 100.0, sleep=lambda _: time.sleep(0.001))
    monkeypatch.setattr(bars, "time", clock)

    def wait() -> str:
        capsys.readouterr()
        text = ""
        while text.count("\n") < 2:  # the first may have been half printed
            text += capsys.readouterr().err
            clock.monotonic = lambda: 110.0
        return text.splitlines()[-1]

    return wait


def test_work_that_says_nothing_is_seen_to_be_alive(printed: Printed) -> None:
    with Bars().task("pushing") as task:
        task.expect(files=1, size=2 << 30)
        assert printed() == "pushing:  0%  0 B of 2.1 GB"


def test_files_bytes_rate_and_time_left(printed: Printed) -> None:
    with Bars().task("adding") as task:
        task.expect(files=2000, size=40_000_000)
        task.advance(files=500, size=10_000_000)
        assert printed() == "adding:  25%  500/2,000 files  10.0 MB of 40.0 MB  1.0 MB/s  0:00:30 left"


def test_many_small_files_beside_a_large_one_count_as_work(printed: Printed) -> None:
    with Bars().task("fetching") as task:
        task.expect(files=20_001, size=2_000_000_000)
        task.advance(files=10_000, size=20_000_000)
        assert printed().startswith("fetching:  36%  ")  # of the bytes it is 1 %


def test_what_is_to_come_need_not_be_known(printed: Printed) -> None:
    with Bars().task("comparing") as task:
        task.advance(files=1500)
        assert printed() == "comparing:  1,500 files"


@pytest.mark.parametrize(("columns", "shown"), [(60, "500/2,000 files  10.0 MB  0:00:30 left"), (120, " of 40.0 MB")])
def test_a_bar_fits_into_its_terminal(monkeypatch: pytest.MonkeyPatch, columns: int, shown: str) -> None:
    screen = io.StringIO()
    screen.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(bars, "_PATIENCE", 0.0)
    clock = SimpleNamespace(monotonic=lambda: 100.0, sleep=lambda _: time.sleep(0.001))
    monkeypatch.setattr(bars, "time", clock)
    with Bars().task("adding") as task:
        task.expect(files=2000, size=40_000_000)
        task.advance(files=500, size=10_000_000)
        clock.monotonic = lambda: 110.0
        while shown not in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue()):
            time.sleep(0.001)
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue()).replace("\r", "\n").split("\n")
    assert max(map(len, lines)) < columns


@pytest.mark.parametrize(("value", "bars_are_drawn"), [("true", False), ("1", False), ("false", True), ("", True)])
def test_ci_gets_lines_even_at_a_terminal(monkeypatch: pytest.MonkeyPatch, value: str, bars_are_drawn: bool) -> None:
    screen = io.StringIO()
    screen.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("CI", value)
    assert Bars().terminal is bars_are_drawn


def test_more_than_was_expected_is_no_share(printed: Printed) -> None:
    with Bars().task("adding") as task:
        task.expect(files=2, size=10)
        task.advance(files=1, size=2_000)
        assert printed() == "adding:  50%  1/2 files  2.0 kB  200 B/s  0:00:10 left"


def test_a_task_that_ended_prints_nothing_more(printed: Printed, capsys: pytest.CaptureFixture[str]) -> None:
    shown = Bars()
    with shown.task("first") as task:
        task.advance(files=1)
    capsys.readouterr()
    with shown.task("second"):
        assert printed().startswith("second:")
        assert "first" not in capsys.readouterr().err
