"""The count of requests: what a step cost a bucket, what it may cost, and how that is written.

Owns the limits and the form of the table. Talks to no server.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from . import report
from .budgets import DVC, OURS

#: The column of each kind of request that the proxy tells apart; what is not named here is "other".
METHODS = {
    "get": "GET",
    "head": "HEAD",
    "put": "PUT",
    "copy": "PUT",
    "part": "PUT",
    "list": "LIST",
    "list_parts": "LIST",
    "list_uploads": "LIST",
    "create": "POST",
    "complete": "POST",
    "delete_many": "POST",
    "delete": "DELETE",
    "abort": "DELETE",
}
OTHER = "other"
COLUMNS = ("GET", "HEAD", "PUT", "LIST", "POST", "DELETE", OTHER)
KB, MB = 1000, 1000 * 1000


@dataclass(frozen=True)
class Count:
    """What one command cost: requests by kind, and the bytes of requests and replies, heads and bodies."""

    kinds: Mapping[str, int]
    sent: int
    received: int

    @property
    def total(self) -> int:
        """All requests."""
        return sum(self.kinds.values())

    @property
    def columns(self) -> list[int]:
        """The requests by `COLUMNS`."""
        found = dict.fromkeys(COLUMNS, 0)
        for kind, number in self.kinds.items():
            found[METHODS.get(kind, OTHER)] += number
        return list(found.values())


@dataclass(frozen=True)
class Limit:
    """Most that ours may cost; None: not limited."""

    requests: int | None = None
    moved: int | None = None
    """Bytes sent and received."""

    def __str__(self) -> str:
        parts = [f"<= {self.requests}"] if self.requests is not None else []
        parts += [f"<= {amount(self.moved)}"] if self.moved is not None else []
        return ", ".join(parts) or "-"

    def verdict(self, count: Count) -> str:
        """``ok`` or ``MISSED: ...``; ``-`` where nothing is limited."""
        missed = ["requests"] if self.requests is not None and count.total > self.requests else []
        missed += ["bytes"] if self.moved is not None and count.sent + count.received > self.moved else []
        return "-" if str(self) == "-" else f"MISSED: {', '.join(missed)}" if missed else "ok"


@dataclass(frozen=True)
class Step:
    """One command, with what each side (ours, DVC) paid for it."""

    title: str
    limit: Limit
    sides: Mapping[str, Count]


def amount(size: int) -> str:
    """A number of bytes."""
    return f"{size / MB:,.3g} MB" if size >= MB else f"{size / KB:.3g} KB"


def table(steps: Iterable[Step]) -> str:
    """One line per step and side; the ratio and the verdict stand with ours. "Other" is left out where it is 0."""
    steps = list(steps)
    known = COLUMNS.index(OTHER)
    shown = len(COLUMNS) if any(one.columns[known] for step in steps for one in step.sides.values()) else known
    head = ["command", "tool", *COLUMNS[:shown], "total", "sent", "received", "DVC/ours", "budget", "verdict"]
    lines = []
    for step in steps:
        for side in (OURS, DVC):
            if side not in step.sides:
                continue
            count = step.sides[side]
            judged = ["-", "-", "-"]
            if side == OURS:
                others = step.sides.get(DVC)
                times = others.total / count.total if others and count.total else None
                judged = [report.times(times), str(step.limit), step.limit.verdict(count)]
            numbers = [f"{number:,}" for number in [*count.columns[:shown], count.total]]
            moved = [amount(count.sent), amount(count.received)]
            lines.append([step.title, report.NAMES[side], *numbers, *moved, *judged])
    return report.table(head, lines, left=2)


def section(steps: Iterable[Step], versions: Iterable[str]) -> str:
    """What the page says of requests."""
    return f"\n{INTRODUCTION.format(versions=', '.join(versions))}\n\n{table(steps)}\n\n"


INTRODUCTION = """\
    python -m tests.bench.requests --write

Files of 1-16 KiB, 100 to a folder, made from a seed; a bucket of a server on this machine, behind a proxy that counts.
Repeated requests count too. LIST counts pages, POST is what begins and completes an upload in parts, bytes are those of
heads and bodies. Both tools run with their defaults; the larger set is left to dvc-like unless `--big-dvc` is given.
Times are not reported: a server on the same machine says nothing of them.

Versions: {versions}."""
