"""The pre-commit tool with the hooks of `.pre-commit-hooks.yaml`, as a user configures them."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tests.cli.place import Place, make_place
from tests.cli.stores import contents_of

import dvc_like

ROOT = Path(__file__).resolve().parents[2]
STAGES = ("pre-commit", "pre-push", "post-checkout", "post-merge", "post-rewrite")

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="the tool is started through a POSIX shell script here"),
    pytest.mark.skipif(importlib.util.find_spec("pre_commit") is None, reason="the pre-commit tool is not installed"),
]


@pytest.fixture(autouse=True)
def tool_is_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRE_COMMIT_HOME", str(tmp_path / "tool"))


def tool(place: Place, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pre_commit", *words], cwd=place.root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def published(folder: Path, *names: str) -> dict[str, str]:
    """Make a repository of these files of ours; return what a user writes to name it."""
    folder.mkdir()
    for name in names:
        source = ROOT / name
        shutil.copytree(source, folder / name) if source.is_dir() else shutil.copy(source, folder / name)
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    subprocess.run(["git", "-C", str(folder), "add", "-A"], check=True)
    subprocess.run(["git", "-C", str(folder), "commit", "-q", "-m", "x"], check=True)
    rev = subprocess.run(["git", "-C", str(folder), "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    return {"repo": str(folder), "rev": rev.stdout.strip()}


def team_with(tmp_path: Path, ours: dict[str, str], hooks: list[dict[str, object]]) -> Place:
    """Make a project with two branches that differ in data, whose hooks are the tool's."""
    place = make_place(tmp_path / "project")
    place.use_store(tmp_path / "storage")
    (place / ".pre-commit-config.yaml").write_text(yaml.safe_dump({"repos": [{**ours, "hooks": hooks}]}))
    place.track({"data": "first"})
    place.git("switch", "-q", "-c", "feature")
    place.track({"data": "second"})
    place.git("switch", "-q", "main")
    place.checkout()
    tool(place, "install", *(f"--hook-type={stage}" for stage in STAGES))
    return place


def test_every_stage_has_its_hook(tmp_path: Path) -> None:
    listed = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    assert [(one["id"], one["entry"], one["stages"]) for one in listed] == [
        (f"dvc-like-{stage}", f"dvc-like git-hook {stage}", [stage]) for stage in STAGES
    ]
    subprocess.run(
        [sys.executable, "-m", "pre_commit", "validate-manifest", str(ROOT / ".pre-commit-hooks.yaml")], check=True
    )


def test_the_tool_runs_all_stages(tmp_path: Path, on_path: Path) -> None:
    ours = published(tmp_path / "hooks", ".pre-commit-hooks.yaml")
    place = team_with(tmp_path, ours, [{"id": f"dvc-like-{stage}", "language": "system"} for stage in STAGES])

    place.git("switch", "-q", "feature")
    assert (place / "data").read_text() == "second"
    place.write({"data": "third"})
    place.git("commit", "-q", "--allow-empty", "-m", "stale", code=1)
    place.commit()
    place.git("commit", "-q", "-a", "-m", "third")

    subprocess.run(["git", "init", "-q", "--bare", str(tmp_path / "origin.git")], check=True)
    place.git("remote", "add", "origin", str(tmp_path / "origin.git"))
    place.git("push", "-q", "origin", "feature")
    assert {b"second", b"third"} <= set(contents_of(tmp_path / "storage").values())

    place.git("switch", "-q", "main")
    assert (place / "data").read_text() == "first"
    place.git("merge", "-q", "--no-ff", "--no-edit", "feature")
    assert (place / "data").read_text() == "third"
    place.git("switch", "-q", "-c", "other", "main~1")
    place.git("commit", "-q", "--allow-empty", "-m", "here")
    place.git("rebase", "-q", "feature")
    assert (place / "data").read_text() == "third"


def test_ours_and_the_tools_hooks_run_together(tmp_path: Path, on_path: Path) -> None:
    local = {"id": "no-todo", "name": "no-todo", "entry": "TODO", "language": "pygrep", "files": r"\.py$"}
    place = team_with(tmp_path, {"repo": "local"}, [local])
    done = dvc_like.install(place.project)
    assert all(one.path.endswith(".legacy") for one in done.files if one.name in STAGES)
    place.write({"data": "changed"})
    place.git("commit", "-q", "--allow-empty", "-m", "stale", code=1)
    place.commit()
    place.write({"code.py": "# TODO\n"})
    place.git("add", "code.py", "data.meta")
    place.git("commit", "-q", "-m", "the tool's own hook", code=1)
    place.write({"code.py": "pass\n"})
    place.git("add", "code.py")
    tool(place, "install", *(f"--hook-type={stage}" for stage in STAGES))
    place.git("commit", "-q", "-m", "good")
    place.git("switch", "-q", "feature")
    assert (place / "data").read_text() == "second"
    dvc_like.uninstall(place.project)
    assert not [*(place / ".git/hooks").glob("*.legacy")]
    place.git("switch", "-q", "main")
    assert (place / "data").read_text() == "second"


@pytest.mark.slow  # the tool makes an environment and installs this package there, from a package index
def test_an_environment_of_its_own(tmp_path: Path) -> None:
    names = (".pre-commit-hooks.yaml", "pyproject.toml", "README.md", "LICENSE", "src")
    ours = published(tmp_path / "hooks", *names)
    place = team_with(tmp_path, ours, [{"id": "dvc-like-pre-commit", "args": ["--warn"]}])
    place.write({"data": "changed"})
    said = tool(place, "run", "--verbose", "dvc-like-pre-commit")
    assert "warning: data was changed since it was last recorded" in said
