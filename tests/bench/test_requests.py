"""The count of requests: how it is judged, written, and kept in the page. Needs no server."""

from __future__ import annotations

import pytest
from tests.bench import report, requests
from tests.bench.budgets import DVC, OURS
from tests.bench.counts import COLUMNS, KB, MB, Count, Limit, Step, amount, section, table
from tests.bench.test_bench import the_run
from tests.servers.faults import KINDS

FEW = Count({"get": 2, "list": 1, "part": 3, "create": 1, "complete": 1}, 1_500, 2 * MB)
MANY = Count({"put": 79, "head": 1, "bucket": 1}, 3 * MB, 0)


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_every_kind_has_its_column() -> None:
    assert sum(Count(dict.fromkeys(KINDS, 1), 0, 0).columns) == len(KINDS)
    assert dict(zip(COLUMNS, FEW.columns, strict=True)) == {
        "GET": 2, "HEAD": 0, "PUT": 3, "LIST": 1, "POST": 2, "DELETE": 0, "other": 0,
    }  # fmt: skip
    assert MANY.columns[-1] == 1
    assert Count({"delete_many": 1, "abort": 1, "delete": 1}, 0, 0).columns == [0, 0, 0, 0, 1, 2, 0]


def test_a_limit_is_kept_to_the_last_request_and_byte() -> None:
    moved = FEW.sent + FEW.received
    assert Limit(8, moved).verdict(FEW) == "ok"
    assert Limit(7, moved).verdict(FEW) == "MISSED: requests"
    assert Limit(8, moved - 1).verdict(FEW) == "MISSED: bytes"
    assert Limit(7, moved - 1).verdict(FEW) == "MISSED: requests, bytes"
    assert Limit().verdict(FEW) == "-"
    assert [str(limit) for limit in (Limit(200), Limit(20, MB), Limit())] == ["<= 200", "<= 20, <= 1 MB", "-"]


def test_bytes_have_a_unit() -> None:
    assert [amount(size) for size in (0, 999, 1_500 * KB, 85 * MB)] == ["0 KB", "0.999 KB", "1.5 MB", "85 MB"]


def test_the_table_has_a_line_for_each_tool_and_the_ratio_with_ours() -> None:
    lines = table(
        [Step("`push`", Limit(7), {OURS: FEW, DVC: MANY}), Step("`pull`", Limit(), {OURS: MANY})]
    ).splitlines()
    assert len({len(line) for line in lines}) == 1
    ours, theirs, alone = map(cells, lines[2:])
    assert ours == [
        *("`push`", "dvc-like", "2", "0", "3", "1", "2", "0", "0", "8"),
        *("1.5 KB", "2 MB", "10x", "<= 7", "MISSED: requests"),
    ]
    assert theirs[:2] == ["`push`", "DVC"]
    assert theirs[9:] == ["81", "3 MB", "0 KB", "-", "-", "-"]
    assert alone[1] == "dvc-like"
    assert alone[12:] == ["-", "-", "-"]
    assert "other" in lines[0]
    assert "other" not in table([Step("`push`", Limit(), {OURS: FEW})])


def test_the_page_keeps_the_requests_when_it_is_written_anew() -> None:
    fresh = report.page(the_run())
    found = section([Step("`push`", Limit(8), {OURS: FEW, DVC: MANY})], ["dvc-like 1", "DVC 3.67.1"])
    counted = report.with_requests(fresh, found)
    assert "10x" in counted
    assert "Versions: dvc-like 1, DVC 3.67.1." in counted
    assert report.page(the_run(), counted) == counted
    assert report.with_requests(counted, report.PLACEHOLDER) == fresh
    with pytest.raises(ValueError, match="requests: begin"):
        report.with_requests("# Benchmarks\n", found)


def test_moving_many_more_files_at_once_has_no_limit() -> None:
    assert requests.limits(10_000)[requests.PUSH] == Limit(200)
    assert requests.limits(100_000)[requests.PUSH] == requests.limits(100_000)[requests.PULL] == Limit()
    assert requests.limits(100_000)[requests.PUSH_ONE] == Limit(20, MB)
    assert requests.limits(100_000)[requests.PUSH_NOTHING] == Limit(3)
