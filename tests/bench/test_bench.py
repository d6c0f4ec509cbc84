"""The benchmark's own tests: its data is the same everywhere, it measures, judges and reports what happened.

Nothing here asserts a time.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import pytest
from tests.bench import data, hashing, report, run
from tests.bench.budgets import DVC, FLOOR, OURS, START_UP, Budget, problems, ratio, verdict
from tests.bench.jobs import Job, Work, all_jobs, calls_in
from tests.bench.lab import Lab, Tool
from tests.bench.measure import (
    Call,
    Failed,
    Sample,
    Summary,
    checked,
    file_system,
    keeps_journal,
    machine,
    summarize,
    usage,
)
from tests.bench.measure import run as measure

QUICK = Summary(wall=1.0, wall_low=0.9, wall_high=1.5, cpu=0.5, rss=20 << 20, rounds=3)
SLOW = Summary(wall=10.0, wall_low=9.0, wall_high=12.0, cpu=4.0, rss=90 << 20, rounds=3, facts={"remote files": 7.0})
BROKEN = Summary(error="`cp` exit 1: no space")


def python(tmp_path: Path, code: str) -> Call:
    return Call([sys.executable, "-c", code], tmp_path, dict(os.environ))


def contents(folder: Path) -> dict[str, str]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    tool = Tool.of(OURS, "dvc-like")
    return Lab(tmp_path, {OURS: tool}, python=sys.executable, seed=1, scale=0.001, rounds=2, timeout=60.0)


@pytest.mark.parametrize("name", data.SHAPES)
def test_data_depends_on_the_seed_alone(tmp_path: Path, name: str) -> None:
    scale = 0.0005
    one = contents(data.ensure(tmp_path / "one", name, seed=1, scale=scale))
    assert one == contents(data.ensure(tmp_path / "two", name, seed=1, scale=scale))
    assert one != contents(data.ensure(tmp_path / "one", name, seed=2, scale=scale))
    assert len(one) == data.shape(name, scale).files


def test_full_shapes_are_the_announced_ones() -> None:
    names = list(data.file_names(data.shape("small100k")))
    assert len(names) == len(set(names)) == 100_000
    assert len({folder for folder, _ in names}) == 1_000
    assert data.shape("million").files == 1_000_000
    assert data.shape("big").high == 2 << 30


def test_data_is_made_once_and_again_when_it_was_cut_short(tmp_path: Path) -> None:
    made = data.ensure(tmp_path, "tiny10", seed=1, scale=1)
    (made / "mine").write_text("kept")
    assert (data.ensure(tmp_path, "tiny10", seed=1, scale=1) / "mine").exists()
    made.with_name(made.name + ".done").unlink()
    assert not (data.ensure(tmp_path, "tiny10", seed=1, scale=1) / "mine").exists()


def test_measure_counts_the_process_and_its_children(tmp_path: Path) -> None:
    busy = "sum(range(3_000_000)); bytearray(64 << 20)"
    sample = measure(python(tmp_path, f"import subprocess, sys; subprocess.run([sys.executable, '-c', {busy!r}])"))
    assert sample.code == 0
    assert sample.wall > 0
    assert sample.cpu > 0
    assert sample.rss > 64 << 20


def test_measure_keeps_the_exit_code_and_what_was_said(tmp_path: Path) -> None:
    call = python(tmp_path, "import sys; print('first'); sys.exit('it broke')")
    sample = measure(call)
    assert sample.code == 1
    assert "it broke" in sample.output
    with pytest.raises(Failed, match="exit 1: it broke"):
        checked(call)
    with pytest.raises(Failed, match="No such file"):
        checked(Call(["/no/such/program"], tmp_path, {}))


def test_measure_ends_what_takes_too_long(tmp_path: Path) -> None:
    assert measure(python(tmp_path, "import time; time.sleep(60)"), timeout=0.2).code < 0


def test_summary_is_median_and_highest_peak() -> None:
    walls = (3.0, 1.0, 2.0)
    found = summarize([Sample(wall, wall / 2, int(wall), 0, facts={"files": wall}) for wall in walls])
    assert (found.wall, found.wall_low, found.wall_high, found.cpu, found.rss) == (2.0, 1.0, 3.0, 1.0, 3)
    assert found.facts == {"files": 2.0}


def test_machine_is_described(tmp_path: Path) -> None:
    assert set(machine(tmp_path)) == {"processor", "memory", "kernel", "file system"}
    assert file_system(tmp_path)
    assert keeps_journal(tmp_path) in (True, False)


@pytest.mark.parametrize("kind", ["xxh3", "blake3", "both"])
def test_hashing_reads_files_and_folders(tmp_path: Path, kind: str) -> None:
    made = data.ensure(tmp_path, "mid", seed=1, scale=0.001)
    hashing.main(kind, str(made))
    big = tmp_path / "big.bin"
    big.write_bytes(bytes(3 * hashing.BLOCK + 1))
    hashing.main(kind, str(big))


def test_verdicts() -> None:
    sides = {FLOOR: QUICK, OURS: SLOW, DVC: SLOW}
    assert verdict(Budget(), sides) == "ok"
    assert verdict(Budget(10, dvc=1, memory=90, facts={"remote files": 7}), sides) == "ok"
    assert problems(Budget(9), sides) == ["ours/floor wall"]
    assert problems(Budget(7), sides) == ["ours/floor wall", "ours/floor CPU"]
    assert problems(Budget(dvc=2), sides) == ["DVC/ours wall", "DVC/ours CPU"]
    assert problems(Budget(memory=89, facts={"remote files": 6}), sides) == ["peak", "remote files 7"]
    assert verdict(Budget(1), {FLOOR: QUICK, OURS: SLOW, DVC: BROKEN}) == "FAILED: dvc"
    assert ratio(sides | {OURS: BROKEN}, OURS, FLOOR, "wall") is None


def test_start_up_is_taken_off() -> None:
    sides = {FLOOR: QUICK, OURS: SLOW, START_UP: QUICK}
    assert ratio(sides, OURS, FLOOR, "wall", START_UP) == 9.0
    assert problems(Budget(9, start_up=True), sides) == []


def rows() -> list[report.Row]:
    return [
        report.Row("good", "`add`", "`cp`", Budget(20), {FLOOR: QUICK, OURS: SLOW, DVC: SLOW}),
        report.Row("bad", "`push`", "`cp`", Budget(), {FLOOR: BROKEN, OURS: QUICK}),
    ]


def the_run() -> report.Run:
    settings = {"seed": 1, "scale": 1.0, "rounds": 3, "own_peak": 20.0}
    return report.Run({"memory": "8 GiB"}, {"git": "2.39"}, settings, rows())


def test_tables_are_aligned_and_name_failures() -> None:
    for table in (report.ratios(rows()), report.details(rows())):
        lines = table.splitlines()
        assert len({len(line) for line in lines}) == 1
        assert len({line.count("|") for line in lines}) == 1
    good, bad = report.ratios(rows()).splitlines()[2:]
    assert [cell.strip() for cell in good.split("|")][3:10] == [
        "1.00 s", "10.0 s", "10.0 s", "10x", "8.00x", "1.00x", "1.00x",
    ]  # fmt: skip
    assert good.rstrip("| ").endswith("| ok")
    assert "FAILED: floor" in bad
    assert "remote files 7" in report.details(rows())
    assert "- bad, floor: `cp` exit 1: no space" in report.text(the_run())


def test_page_keeps_what_was_written_by_hand() -> None:
    fresh = report.page(the_run())
    assert report.PLACEHOLDER.strip() in fresh
    edited = fresh.replace(report.PLACEHOLDER, "\nMostly the kernel.\n")
    assert report.page(the_run(), edited) == edited


def test_results_of_other_jobs_are_kept_on_the_same_machine(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    found = the_run()
    assert report.earlier(file, found.machine, found.settings) == {}
    file.write_text(report.to_json(found))
    assert report.earlier(file, found.machine, found.settings)["good"] == dict(rows()[0].sides)
    assert report.earlier(file, {"memory": "1 GiB"}, found.settings) == {}
    assert report.earlier(file, found.machine, {**found.settings, "scale": 0.1}) == {}


def test_jobs_have_names_and_titles() -> None:
    jobs = all_jobs(clones=False, scale=1)
    assert len({job.name for job in jobs}) == len(jobs)
    assert all("{" not in job.heading(1) for job in jobs)
    assert [job.name for job in run.chosen(jobs, "help,version")] == ["version", "help"]
    with pytest.raises(SystemExit, match="no such job: typo"):
        run.chosen(jobs, "typo")


def test_the_packs_of_a_remote_may_be_listed_and_nothing_else_of_it() -> None:
    log = [
        'openat(AT_FDCWD</w>, "/r/remote/packs", O_RDONLY|O_DIRECTORY) = 4</r/remote/packs>\n',
        "getdents64(4</r/remote/packs>, 0x1 /* 3 entries */, 32768) = 80\n",
        "getdents64(4</r/remote/packs>, 0x1 /* 0 entries */, 32768) = 0\n",
        "getdents64(4</r/remote/packs-not>, 0x1 /* 0 entries */, 32768) = 0\n",
        "getdents64(5</r/remote>, 0x1 /* 3 entries */, 32768) = 80\n",
        "getdents64(5</w/data>, 0x1 /* 3 entries */, 32768) = 80\n",
    ]
    assert calls_in(Path("/r/remote"), log) == {
        "remote listings": 2, "calls listing packs": 2, "remote calls by name": 1,
    }  # fmt: skip


def test_sides_run_in_turn_and_a_failure_is_shown(lab: Lab) -> None:
    seen = []

    def work(lab: Lab, side: str, rounds: int) -> Work:
        with lab.scratch() as place:
            for number in range(rounds):
                seen.append((number, side))
                sample = yield lab.call(place, sys.executable, "-c", "pass" if side == FLOOR else "raise SystemExit(3)")
                sample.facts["round"] = number

    found = run.run_job(lab, Job("job", "title", "floor", work))
    assert seen == [(0, FLOOR), (0, OURS), (1, FLOOR)]
    assert found[FLOOR].rounds == 2
    assert found[FLOOR].facts == {"round": 0.5}
    assert "exit 3" in found[OURS].error
    assert not list(lab.area.glob("scratch-*"))


def test_a_preparation_that_failed_is_not_tried_again(lab: Lab) -> None:
    lab.tools[OURS] = Tool.of(OURS, "false")
    for _ in range(2):
        with pytest.raises(Failed, match="false init"):
            lab.tracked(OURS, "tiny10")
    lab.forget("tiny10")
    assert not list(lab.area.glob(f"{OURS}-*"))


def test_git_holds_the_data_of_a_floor(lab: Lab) -> None:
    place = lab.in_git("tiny10")
    assert usage(place / "data")[0] == 10
    assert lab.do(place, "git", "status", "--short").output == ""


@pytest.mark.slow
def test_the_whole_benchmark_runs_on_little_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if not Path(sys.executable).with_name("dvc-like").exists():
        pytest.skip("dvc-like is not installed")
    options = ["--no-dvc", "--scale", "0.001", "--rounds", "1", "--work", str(tmp_path)]
    code = run.main(options)
    assert code == 0, capsys.readouterr().out
