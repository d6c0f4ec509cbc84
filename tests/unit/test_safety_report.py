"""`tests/safety.py`: what is counted, and the table it becomes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests import safety


def test_cases_are_summed_by_promise_and_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = tmp_path / "report"
    monkeypatch.setattr(safety, "_REPORT", str(report))
    safety.cases("a promise of its own", 3)
    safety.cases(safety.DAMAGE)
    safety.cases(safety.DAMAGE, 1500)
    safety.cases(safety.DAMAGE, 0)
    lines = report.read_text().splitlines()
    assert [json.loads(line)["cases"] for line in lines] == [3, 1, 1500]
    me = "tests/unit/test_safety_report.py::test_cases_are_summed_by_promise_and_test"
    assert safety.table(lines).splitlines()[2:] == [
        f"| {safety.DAMAGE} | `{me}` | 1,501 |",
        f"| a promise of its own | `{me}` | 3 |",
        "| | all; what shows two promises counts for both | 1,504 |",
    ]


def test_nothing_is_counted_unless_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safety, "_REPORT", "")
    monkeypatch.chdir(tmp_path)
    safety.cases(safety.DAMAGE)
    assert not [*tmp_path.iterdir()]


def test_the_page_gets_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report, page = tmp_path / "report", tmp_path / "safety.md"
    monkeypatch.setattr(safety, "_REPORT", str(report))
    monkeypatch.setattr(safety, "_PAGE", page)
    safety.cases(safety.SECRETS, 7)
    page.write_text(f"before\n\n{safety._BEGIN}old\n{safety._END}\nafter\n")
    for _ in range(2):
        safety.main(str(report))
        text = page.read_text()
        assert text.startswith("before\n\n")
        assert text.endswith("\nafter\n")
        assert text.count("| 7 |") == 2
        assert "old" not in text
    page.write_text("nothing here\n")
    with pytest.raises(SystemExit):
        safety.main(str(report))
