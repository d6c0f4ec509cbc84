"""The command line of the benchmark and the loop over jobs and rounds.

Owns the order of things: who runs when. What is run stands in ``jobs``, how it is measured in ``measure``.
"""

from __future__ import annotations

import argparse
import platform
import resource
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from . import report
from .budgets import DVC, OURS, verdict
from .jobs import Job, Work, all_jobs
from .lab import Lab, Tool, make_dvc
from .measure import MIB, RSS_UNIT, Failed, Sample, Summary, can_clone, checked, machine, settle, summarize

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "benchmarks.md"


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure dvc-like.")
    beside = Path(sys.executable).with_name("dvc-like")
    parser.add_argument("--dvc-like", metavar="CMD", default=str(beside), help="default: the one of this interpreter")
    parser.add_argument("--dvc", metavar="CMD", help="DVC 3.67; default: installed into the work folder")
    parser.add_argument("--no-dvc", action="store_true", help="leave DVC out")
    parser.add_argument("--python", metavar="CMD", help="interpreter that has click and the hash packages")
    parser.add_argument("--work", metavar="DIR", type=Path, help="keeps data sets between runs; default: temporary")
    parser.add_argument("--jobs", metavar="A,B", help="names of jobs, or `none`; default: all")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each job, 3 unless said")
    parser.add_argument("--scale", type=float, default=1.0, help="factor on the size of the data sets")
    parser.add_argument("--seed", type=int, default=1, help="seed of the data")
    parser.add_argument("--timeout", type=float, default=3600.0, help="seconds that one command may take")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the results; keep those of other jobs in it")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    parser.add_argument("--list", action="store_true", help="list the jobs and end")
    return parser.parse_args(argv)


def run_job(lab: Lab, job: Job) -> dict[str, Summary]:
    """All rounds of one job, the sides in turn; a side that fails once is out."""
    rounds = lab.rounds * job.repeat
    works: dict[str, Work] = {side: job.work(lab, side, rounds) for side in job.sides(lab)}
    samples: dict[str, list[Sample]] = {side: [] for side in works}
    errors: dict[str, str] = {}
    for number in range(rounds + 1):
        for side, work in list(works.items()):
            try:
                call = next(work) if number == 0 else work.send(samples[side][-1])
                settle(lab.area)
                samples[side].append(checked(call, lab.timeout))
            except StopIteration:
                continue  # the checks after the last round passed
            except Failed as error:
                errors[side] = str(error).replace(str(lab.work), "WORK").replace(f"{ROOT}/", "")
                works.pop(side).close()
    return {
        side: Summary(error=errors[side]) if side in errors else summarize(taken) for side, taken in samples.items()
    }


def versions(lab: Lab) -> dict[str, str]:
    """Which versions were compared."""
    found = {"Python": platform.python_version(), "git": _first_line(lab, "git", "--version").split()[-1]}
    for side, tool in lab.tools.items():
        found[report.NAMES[side]] = _first_line(lab, *tool.argv, "--version")
    return found


def _first_line(lab: Lab, *argv: str) -> str:
    try:
        return lab.do(lab.area, *argv).output.strip().partition("\n")[0] or "unknown"
    except Failed:
        return "unknown"


def interpreter(options: argparse.Namespace, ours: Tool) -> str:
    """The interpreter of dvc-like: it has click and the hash packages."""
    beside = Path(shutil.which(ours.argv[0]) or ours.argv[0]).with_name("python")
    return options.python or (str(beside) if beside.exists() else sys.executable)


def chosen(jobs: list[Job], names: str | None) -> list[Job]:
    """The jobs that `--jobs` names."""
    if names is None:
        return jobs
    wanted = [] if names == "none" else names.split(",")
    unknown = sorted(set(wanted) - {job.name for job in jobs})
    if unknown:
        raise SystemExit(f"no such job: {', '.join(unknown)}; there are {', '.join(job.name for job in jobs)}")
    return [job for job in jobs if job.name in wanted]


def measure_all(lab: Lab, jobs: list[Job]) -> dict[str, dict[str, Summary]]:
    """Run the jobs; a workspace is shared by the jobs of one data set that follow each other."""
    results = {}
    for at, job in enumerate(jobs):
        print(f"{job.name}: {job.heading(lab.scale)} ...", file=sys.stderr, flush=True)
        results[job.name] = run_job(lab, job)
        print(f"{job.name}: {verdict(job.budget, results[job.name])}", file=sys.stderr, flush=True)
        if not any(later.dataset == job.dataset for later in jobs[at + 1 :]):
            lab.forget(job.dataset)
    return results


def benchmark(options: argparse.Namespace, work: Path) -> int:
    """One run in the folder `work`."""
    tools = {OURS: Tool.of(OURS, options.dvc_like)}
    if not options.no_dvc:
        tools[DVC] = Tool.of(DVC, options.dvc or make_dvc(work))
    lab = Lab(
        work, tools, python=interpreter(options, tools[OURS]), seed=options.seed, scale=options.scale,
        rounds=options.rounds, timeout=options.timeout,
    )  # fmt: skip
    try:
        jobs = all_jobs(clones=can_clone(work), scale=options.scale)
        facts, names = machine(work), versions(lab)
        print("; ".join(f"{name}: {value}" for name, value in facts.items()), file=sys.stderr, flush=True)
        settings = {"seed": options.seed, "scale": options.scale, "rounds": options.rounds}
        results = report.earlier(options.json, facts, settings) if options.json else {}
        results |= measure_all(lab, chosen(jobs, options.jobs))
    finally:
        lab.close()
    settings["own_peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT / MIB
    rows = [
        report.Row(job.name, job.heading(options.scale), job.floor, job.budget, results[job.name])
        for job in jobs
        if job.name in results
    ]
    found = report.Run(facts, names, settings, rows)
    print(report.text(found))
    if options.scale != 1:
        print("\nThe budgets are meant for the full data sets (--scale 1).")
    if options.json:
        options.json.write_text(report.to_json(found), encoding="utf-8")
    if options.write:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(report.page(found, PAGE.read_text("utf-8") if PAGE.exists() else ""), encoding="utf-8")
    return int(found.failed)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark; 0 when every command did its work, whatever it cost, else 1."""
    options = arguments(argv)
    if options.list:
        for job in all_jobs(clones=False, scale=options.scale):
            print(f"{job.name:20} {job.heading(options.scale)}")
        return 0
    if options.work:
        options.work.mkdir(parents=True, exist_ok=True)
        return benchmark(options, options.work.resolve())
    with tempfile.TemporaryDirectory(prefix="dvc-like-bench-") as work:
        return benchmark(options, Path(work).resolve())
