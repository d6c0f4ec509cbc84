"""The tutorial, the how-to pages and those of the remotes are run as they stand, with real git and the real command.

A page is one script: its ``sh`` blocks run in their order in one shell, in an empty folder, and the first command that
fails ends it. An ``output`` block is what the block before it prints; ``...`` stands for anything. Blocks in an HTML
comment that begins with ``sh`` run too, unseen by readers. Blocks of other kinds are not run: ``text`` for what needs a
cloud.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.servers.drive import DriveServer

from dvc_like.testing import BackendContract

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("how-to", "remotes")
PAGES = [ROOT / "docs/tutorial.md", *(page for name in FOLDERS for page in sorted((ROOT / "docs" / name).glob("*.md")))]
BLOCK = re.compile(r"^(?:```(\w+)\n(.*?)^```|<!-- (sh)\n(.*?)^-->)$", re.M | re.S)
MARK = "@@ block"

pytestmark = pytest.mark.skipif(
    os.name == "nt" or shutil.which("sh") is None, reason="the examples are written for a POSIX shell"
)


class Step(NamedTuple):
    """One block that is run, and what it has to print if the page says so."""

    line: int
    script: str
    output: str | None


def steps_of(text: str) -> list[Step]:
    steps: list[Step] = []
    fresh = False  # whether an output block may follow
    for match in BLOCK.finditer(text):
        kind, content = match[1] or match[3], match[2] or match[4] or ""
        line = text.count("\n", 0, match.start()) + 1
        if kind == "sh":
            steps.append(Step(line, content, None))
        elif kind == "output":
            assert fresh, f"line {line}: no sh block prints this output"
            steps[-1] = steps[-1]._replace(output=content)
        fresh = kind == "sh"
    return steps


def run(steps: list[Step], folder: Path, tools: Path) -> list[str]:
    """Run the steps in one shell; return what each printed. `tools` gets the `dvc-like` of this source, and Python."""
    tools.mkdir()
    for name, words in (("dvc-like", "-m dvc_like"), ("python", "")):
        (tools / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
        (tools / name).chmod(0o755)
    script = "exec 2>&1\nset -eu\n" + "".join(f"echo '{MARK}'\n{step.script}" for step in steps) + f"echo '{MARK}'\n"
    environment = {
        **os.environ,
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "PYTHONSAFEPATH": "1",  # the current folder is full of the page's files
        "LC_ALL": "C",
    }
    done = subprocess.run(
        ["sh", "-c", script],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    parts = done.stdout.split(f"{MARK}\n")[1:]
    if done.returncode:
        failed = steps[len(parts) - 1]
        pytest.fail(
            f"line {failed.line}: exit {done.returncode}\n--- script\n{failed.script}--- printed\n{parts[-1]}",
            pytrace=False,
        )
    return parts


def fits(printed: str, wanted: str) -> bool:
    pattern = ".*".join(map(re.escape, wanted.strip().split("...")))
    return re.fullmatch(pattern, printed.strip(), re.S) is not None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_runs_as_written(page: Path, tmp_path: Path) -> None:
    steps = steps_of(page.read_text(encoding="utf-8"))
    assert steps
    (tmp_path / "scratch").mkdir()
    for step, printed in zip(steps, run(steps, tmp_path / "scratch", tmp_path / "bin"), strict=False):
        if step.output is not None and not fits(printed, step.output):
            pytest.fail(
                f"line {step.line} of {page.name}\n--- the page says\n{step.output}--- printed\n{printed}",
                pytrace=False,
            )


def test_readme_tutorial_runs(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    tutorial = text.partition("\n## Tutorial\n")[2].partition("\n## ")[0]
    steps = steps_of(tutorial)
    assert len(steps) > 1
    (tmp_path / "project").mkdir()
    # A reader is in the project when the page begins, and one folder above it where it says "elsewhere".
    script = [Step(0, "cd project\n", None)]
    for step in steps:
        script += [Step(0, "cd ..\n", None)] if step.script.startswith("git clone") else []
        script.append(step)
    script.append(Step(0, "cat data/demo.txt\n", None))
    assert run(script, tmp_path, tmp_path / "bin")[-2] == "first version\n"


@pytest.mark.parametrize(
    ("name", "last"), [("tutorial", "The first version is back."), ("git-hooks", "Everything is as it was.")]
)
def test_example_script_runs(tmp_path: Path, name: str, last: str) -> None:
    script = ROOT / f"examples/{name}/run.sh"
    (printed, _) = run([Step(1, f'sh "{script}"\n', None)], tmp_path, tmp_path / "bin")
    assert printed.endswith(f"{last}\n")


def test_example_script_runs_on_drive(tmp_path: Path, drive_server: DriveServer, home: Path) -> None:
    folder = drive_server.folder("tutorial")
    (home / "no-global-config").write_text(f'[remote "storage"]\n\tendpointurl = {drive_server.url}\n')
    (home / "login.json").write_text(json.dumps(drive_server.authorized_user()))
    script = ROOT / "examples/gdrive-tutorial/run.sh"
    address = f"https://drive.google.com/drive/folders/{folder}?usp=sharing"
    environment = f'export DVC_LIKE_GDRIVE_CREDENTIALS="{home}/login.json"\n'
    (printed, _) = run([Step(1, f'{environment}sh "{script}" "{address}"\n', None)], tmp_path, tmp_path / "bin")
    assert printed.endswith("The first version is back. On Drive lie data/demo.*.txt, both versions.\n")
    versions = {one["name"]: drive_server.content(one["id"]) for one in drive_server.files() if "demo." in one["name"]}
    assert all(re.fullmatch(r"demo\.[0-9a-f]{8}\.txt", name) for name in versions)
    assert sorted(versions.values()) == [b"first version\n", b"second version\n"]


# ------------------------------------------------------------------------------ the plug-in


@pytest.fixture
def plug_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install the example beside this dvc-like, as pip installs any package; return a copy of its source."""
    for needed in ("pip", "hatchling"):
        if find_spec(needed) is None:
            pytest.skip(f"{needed} is not installed (extra `test`): the plug-in cannot be built")
    source = tmp_path / "custom-backend"
    shutil.copytree(ROOT / "examples/custom-backend", source, ignore=shutil.ignore_patterns("__pycache__"))
    how = ("--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "--quiet")
    command = [sys.executable, "-m", "pip", "install", *how, "--target", str(tmp_path / "site"), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"), prepend=os.pathsep)
    return source


def test_plug_in_is_found_and_used(plug_in: Path, tmp_path: Path) -> None:
    (printed, _) = run([Step(1, f'sh "{plug_in}/run.sh"\n', None)], tmp_path, tmp_path / "bin")
    assert "5 files fetched" in printed
    assert printed.endswith("The data came back from store.sqlite.\n")


def test_plug_in_passes_the_contract(plug_in: Path) -> None:
    (plug_in / "dvc_like_sqlite.py").unlink()  # what is tested is what was installed
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=plug_in, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"^(\d+) passed in", done.stdout, re.M)
    assert passed, done.stdout
    assert int(passed[1]) > len([name for name in dir(BackendContract) if name.startswith("test_")])


# ------------------------------------------------------------------------------ this file's own rules


def test_blocks_are_found() -> None:
    page = "```sh\ntrue\n```\n\n<!-- sh\nx=1\n-->\n\n```sh\necho $x\n```\n\n```output\n1\n```\n\n```text\nno\n```\n"
    assert [(step.script, step.output) for step in steps_of(page)] == [
        ("true\n", None),
        ("x=1\n", None),
        ("echo $x\n", "1\n"),
    ]


def test_a_block_that_fails_is_told(tmp_path: Path) -> None:
    with pytest.raises(pytest.fail.Exception, match="line 7: exit 3"):
        run([Step(1, "true\n", None), Step(7, "(exit 3)\n", None), Step(9, "true\n", None)], tmp_path, tmp_path / "bin")


def test_output_is_compared() -> None:
    assert fits("hash: blake3:ab12\nsize: 3\n", "hash: blake3:...\nsize: 3\n")
    assert not fits("hash: blake3:ab12\nsize: 4\n", "hash: blake3:...\nsize: 3\n")
    assert not fits("one\ntwo\n", "one\n")
