"""The report: the table of ratios, the table of all measurements, and the page that is generated from them.

Owns the form of the results, as text, as JSON and as ``docs/benchmarks.md``. Measures nothing.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .budgets import DVC, FLOOR, OURS, Budget, ratio, verdict
from .measure import MIB, Summary

BEGIN = "<!-- written by hand: begin -->"
END = "<!-- written by hand: end -->"
REQUESTS_BEGIN = "<!-- requests: begin -->"
REQUESTS_END = "<!-- requests: end -->"
PLACEHOLDER = "\nTo be written.\n"
NAMES = {OURS: "dvc-like", DVC: "DVC"}


@dataclass(frozen=True)
class Row:
    """One job with its results; the keys of `sides` are the floor, ours, DVC and the references."""

    name: str
    title: str
    floor: str
    budget: Budget
    sides: Mapping[str, Summary]


@dataclass(frozen=True)
class Run:
    """Everything that the report says."""

    machine: Mapping[str, str]
    versions: Mapping[str, str]
    settings: Mapping[str, float]
    rows: Sequence[Row]

    @property
    def failed(self) -> bool:
        """Whether a command or a check failed."""
        return any(side.error for row in self.rows for side in row.sides.values())


def table(head: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """A Markdown table in aligned columns: the first `left` and the last one to the left, the others to the right."""
    lines = [list(head), *(list(row) for row in rows)]
    widths = [max(3, *(len(line[at]) for line in lines)) for at in range(len(head))]
    to_left = [at < left or at == len(head) - 1 for at in range(len(head))]
    padded = [
        [
            cell.ljust(width) if ahead else cell.rjust(width)
            for cell, width, ahead in zip(line, widths, to_left, strict=True)
        ]
        for line in lines
    ]
    rule = ["-" * width if ahead else "-" * (width - 1) + ":" for width, ahead in zip(widths, to_left, strict=True)]
    return "\n".join(f"| {' | '.join(line)} |" for line in [padded[0], rule, *padded[1:]])


def seconds(value: float) -> str:
    """A time with three significant digits."""
    return f"{value * 1000:.1f} ms" if value < 0.1 else f"{value:.2f} s" if value < 10 else f"{value:.1f} s"


def times(value: float | None) -> str:
    """A ratio."""
    return "-" if value is None else f"{value:.2f}x" if value < 10 else f"{value:.0f}x"


def _time_of(sides: Mapping[str, Summary], side: str) -> str:
    if side not in sides:
        return "-"
    return "FAILED" if sides[side].error else seconds(sides[side].wall)


def _peak_of(sides: Mapping[str, Summary], side: str) -> str:
    return f"{sides[side].rss / MIB:.0f} MiB" if side in sides and not sides[side].error else "-"


def ratios(rows: Iterable[Row]) -> str:
    """The main table: one line per job."""
    head = [
        "job", "floor", "floor time", "ours", "DVC", "ours/floor wall", "CPU", "DVC/ours wall", "CPU",
        "ours peak", "DVC peak", "budget", "verdict",
    ]  # fmt: skip
    lines = []
    for row in rows:
        sides = row.sides
        lines.append(
            [row.title, row.floor]
            + [_time_of(sides, side) for side in (FLOOR, OURS, DVC)]
            + [times(ratio(sides, OURS, FLOOR, metric)) for metric in ("wall", "cpu")]
            + [times(ratio(sides, DVC, OURS, metric)) for metric in ("wall", "cpu")]
            + [_peak_of(sides, OURS), _peak_of(sides, DVC), str(row.budget), verdict(row.budget, sides)]
        )
    return table(head, lines, left=2)


def details(rows: Iterable[Row]) -> str:
    """The second table: one line per job and side."""
    lines = []
    for row in rows:
        for name, side in row.sides.items():
            label = row.floor if name == FLOOR else NAMES.get(name, name)
            if side.error:
                lines.append([row.name, label, "FAILED", "-", "-", "-", "-"])
                continue
            facts = ", ".join(f"{fact} {value:,.10g}" for fact, value in _rounded(side.facts).items())
            spread = f"{seconds(side.wall_low)} - {seconds(side.wall_high)}"
            peak = f"{side.rss / MIB:.0f} MiB"
            lines.append([row.name, label, seconds(side.wall), spread, seconds(side.cpu), peak, facts or "-"])
    return table(["job", "what", "wall", "lowest - highest", "CPU", "peak", "facts"], lines, left=2)


def _rounded(facts: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 1) for name, value in facts.items()}


def failures(rows: Iterable[Row]) -> str:
    """A list of what failed and why; empty when nothing did."""
    lines = [
        f"- {row.name}, {NAMES.get(name, name)}: {side.error}"
        for row in rows
        for name, side in row.sides.items()
        if side.error
    ]
    return "\n".join(lines)


def text(run: Run) -> str:
    """What is printed at the end of a run."""
    parts = [ratios(run.rows), details(run.rows)]
    if run.failed:
        parts.append("Failures:\n" + failures(run.rows))
    return "\n\n".join(parts)


def page(run: Run, before: str = "") -> str:
    """The page ``docs/benchmarks.md``; what stands between markers is taken over from the page `before`."""
    facts = [f"- {name}: {value}" for name, value in {**run.machine, **run.versions}.items()]
    parts = [
        "# Benchmarks",
        "This page is generated; only the part between the last markers is written by hand.",
        "## How to run it",
        "    python -m tests.bench --write",
        INTRODUCTION.format(**run.settings),
        "## Machine",
        "\n".join(facts),
        "## Ratios",
        ratios(run.rows),
        "`ours/floor` and `DVC/ours` are quotients of medians. A budget is kept when its wall time and its CPU time"
        " are both within it.",
        *(["### Failures", failures(run.rows)] if run.failed else []),
        "## All measurements",
        details(run.rows),
        "## Requests to a bucket",
        REQUESTS_BEGIN + _between(before, REQUESTS_BEGIN, REQUESTS_END) + REQUESTS_END,
        "## What the remaining cost is made of",
        BEGIN + _between(before, BEGIN, END) + END,
    ]
    return "\n\n".join(parts) + "\n"


def _between(before: str, begin: str, end: str) -> str:
    if begin in before and end in before:
        return before.split(begin, 1)[1].split(end, 1)[0]
    return PLACEHOLDER


def with_requests(before: str, section: str) -> str:
    """The page `before`, with `section` between the markers of the requests, which must be there."""
    head, begin, rest = before.partition(REQUESTS_BEGIN)
    _, end, tail = rest.partition(REQUESTS_END)
    if not begin or not end:
        raise ValueError(f"the page has no place for requests: {REQUESTS_BEGIN} ... {REQUESTS_END}")
    return head + begin + section + end + tail


INTRODUCTION = """\
Run it from the root of the repository, with `dvc-like` installed. It generates its data from a seed, installs DVC
3.67 into an environment of its own, and needs git, about 30 GB of disk and an hour; `--scale 0.05` is a smoke run,
`--no-dvc` leaves DVC out, `--jobs add-100k,status-100k` picks jobs, `--work DIR` keeps the data for the next run and
chooses the file system. On ext4 without a journal no ratio means anything: it creates files ten times slower for
minutes after a large deletion.

`python -m tests.bench.requests --write` counts the requests to a bucket and writes that section alone.

Every round runs the floor, the references, dvc-like and DVC in turn, each from a freshly prepared state that is not
timed, with dirty pages written and data in the page cache. This page: seed {seed:g}, scale {scale:g}, {rounds:g} rounds
(short jobs more). Times are medians; CPU is user + system of the process and its children; the peak is the highest
resident memory of any round (one below that of the benchmark itself, {own_peak:.0f} MiB, cannot be told from it). A
plain copy does not wait for the disk, a tool that promises durable objects does: the reference "floor, flushed" is
the same copy, on disk."""


def to_json(run: Run) -> str:
    """The results for a program."""
    jobs = {row.name: {name: dataclasses.asdict(side) for name, side in row.sides.items()} for row in run.rows}
    document = {
        "schema": 1,
        "machine": dict(run.machine),
        "versions": dict(run.versions),
        "settings": dict(run.settings),
        "jobs": jobs,
    }
    return json.dumps(document, indent=2) + "\n"


def earlier(path: Path, machine: Mapping[str, str], settings: Mapping[str, float]) -> dict[str, dict[str, Summary]]:
    """The results in a JSON file of an earlier run on the same machine, data and scale: {job: {side: summary}}."""
    if not path.exists():
        return {}
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    same = all(document["settings"][name] == settings[name] for name in ("seed", "scale"))
    if document["machine"] != dict(machine) or not same:
        return {}
    return {job: {name: Summary(**side) for name, side in sides.items()} for job, sides in document["jobs"].items()}
