"""Engines that exist read a clone without its data: the scripts of examples/read-in-parallel, as they stand."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples/read-in-parallel"

pytestmark = [
    pytest.mark.skipif(
        os.name == "nt" or shutil.which("sh") is None, reason="the example is written for a POSIX shell"
    ),
    pytest.mark.usefixtures("on_path"),
]


def run(*scripts: str, needs: tuple[str, ...]) -> list[str]:
    """Run the example with these scripts; return the lines it printed."""
    for module in ("fsspec", "pyarrow", *needs):
        if find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    variables = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    words = ["sh", str(EXAMPLE / "run.sh"), *scripts]
    done = subprocess.run(words, env=variables, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    *lines, last = done.stdout.splitlines()
    assert last == "Nothing was checked out: trips.meta"
    return lines


def test_pandas_and_processes_of_pyarrow_and_dask() -> None:
    assert run(needs=("pandas", "dask")) == [
        "pandas: 1000 rows, 49500 in all",
        "pyarrow: 10 of 8000 rows",
        "pyarrow: 8000 rows, 396000 in all",
        "dask: 8000 rows, 396000 in all",
    ]


@pytest.mark.slow
def test_a_cluster_of_dask(tmp_path: Path) -> None:
    script = tmp_path / "with_cluster.py"
    script.write_text(
        (EXAMPLE / "with_dask.py").read_text().replace("*how = sys.argv[1:]", "*how = [*sys.argv[1:], '--cluster']")
    )
    lines = run(os.path.relpath(script, EXAMPLE), needs=("dask", "distributed"))
    assert lines == ["dask: 8000 rows, 396000 in all"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("engine", "first"),
    [
        ("datasets", ["datasets: 8000 rows, 396000 in all", "datasets: trip 0 comes first"]),
        ("ray", ["ray: 8000 rows, 396000 in all"]),
        ("pyspark", ["spark: 8000 rows, 396000 in all"]),
        ("torch", ["torch: 8000 rows, 396000 in all"]),
    ],
)
def test_an_engine_of_its_own_job(engine: str, first: list[str]) -> None:
    name = engine.removeprefix("py")
    lines = run(f"with_{name}.py", needs=(engine,))
    assert [line for line in lines if line.startswith(name)] == first
