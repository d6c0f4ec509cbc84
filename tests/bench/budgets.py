"""The budgets: how close to the floor, and how far from DVC, a job has to be.

Owns the judgement of a measured row and how a budget is written. The numbers themselves stand with the jobs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .measure import MIB, Summary

FLOOR, OURS, DVC, START_UP = "floor", "ours", "dvc", "start-up"
METRICS = {"wall": "wall", "cpu": "CPU"}


@dataclass(frozen=True)
class Budget:
    """Limits of one job: a ratio counts when its wall time and its CPU time both keep it."""

    floor: float | None = None
    """Most that ours may cost, in times the floor."""
    start_up: bool = False
    """The start of an interpreter with click is taken off ours before it is compared with the floor."""
    dvc: float | None = None
    """Least that DVC must cost, in times ours."""
    memory: float | None = None
    """Highest peak memory of ours, in MiB."""
    facts: Mapping[str, float] = field(default_factory=dict)
    """Highest values of numbers that the job reports about ours."""

    def __str__(self) -> str:
        parts = []
        if self.floor is not None:
            parts.append(f"<= {self.floor:g}x" + (" plus start-up" if self.start_up else ""))
        if self.dvc is not None:
            parts.append(f"DVC/ours >= {self.dvc:g}")
        if self.memory is not None:
            parts.append(f"peak <= {self.memory:g} MiB")
        parts += [f"{name} <= {limit:g}" for name, limit in self.facts.items()]
        return "; ".join(parts) or "-"


def ratio(sides: Mapping[str, Summary], above: str, below: str, metric: str, less: str = "") -> float | None:
    """`above` / `below`, `less` taken off `above` first; None when a side is missing or failed."""
    for name in filter(None, (above, below, less)):
        if name not in sides or sides[name].error:
            return None
    value: float = getattr(sides[above], metric) - (getattr(sides[less], metric) if less else 0.0)
    base: float = getattr(sides[below], metric)
    return max(value, 0.0) / base if base else None


def problems(budget: Budget, sides: Mapping[str, Summary]) -> list[str]:
    """The limits that the row does not keep, in words; empty when all is well."""
    less = START_UP if budget.start_up else ""
    found = []
    for metric, word in METRICS.items():
        over = ratio(sides, OURS, FLOOR, metric, less)
        if budget.floor is not None and over is not None and over > budget.floor:
            found.append(f"ours/floor {word}")
    for metric, word in METRICS.items():
        lead = ratio(sides, DVC, OURS, metric)
        if budget.dvc is not None and lead is not None and lead < budget.dvc:
            found.append(f"DVC/ours {word}")
    ours = sides.get(OURS, Summary())
    if budget.memory is not None and ours.rss > budget.memory * MIB:
        found.append("peak")
    found += [f"{name} {ours.facts[name]:g}" for name, limit in budget.facts.items() if ours.facts.get(name, 0) > limit]
    return found


def verdict(budget: Budget, sides: Mapping[str, Summary]) -> str:
    """``ok``, ``MISSED: ...`` or ``FAILED: ...``."""
    failed = [name for name, side in sides.items() if side.error]
    if failed:
        return f"FAILED: {', '.join(failed)}"
    missed = problems(budget, sides)
    return f"MISSED: {', '.join(missed)}" if missed else "ok"
