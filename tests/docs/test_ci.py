"""What CI services are given: the action's steps and the templates are run as they stand, in clones with a remote.

The service's own part (expressions, and the action that keeps a folder between runs) is imitated here.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cli.place import Place, key_of, make_place
from tests.cli.stores import take_out

ROOT = Path(__file__).resolve().parents[2]
ACTION = ROOT / ".github/actions/restore/action.yml"
EXAMPLES = ROOT / "examples/ci-restore"

needs_sh = pytest.mark.skipif(os.name == "nt" or shutil.which("sh") is None, reason="needs a POSIX shell")


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


# ------------------------------------------------------------------------------ the action


class Service:
    """Runs the action as the service would: each step in a shell of its own, one folder kept under a key."""

    def __init__(self, folder: Path) -> None:
        self.kept: dict[str, Path] = {}
        self._folder = folder

    def run(self, clone: Place, code: int = 0, **inputs: str) -> dict[str, Any]:
        """Run all steps; return the outputs, and in `calls` how often the remote was asked."""
        action = load(ACTION)
        values = {name.replace("_", "-"): value for name, value in inputs.items()}
        known = {f"inputs.{name}": str(one["default"]) for name, one in action["inputs"].items()}
        known |= {f"inputs.{name}": value for name, value in values.items()}
        assert set(values) <= set(action["inputs"])
        calls, ended = 0, 0
        for step in action["runs"]["steps"]:
            if "if" in step and not _holds(step["if"], known):
                continue
            given = {name: _fill(text, known) for name, text in {**step.get("env", {}), **step.get("with", {})}.items()}
            if "uses" in step:
                hit = self._cache(step["uses"], clone.root, given)
                known[f"steps.{step.get('id')}.outputs.cache-hit"] = hit
                continue
            outputs = self._folder / "outputs"
            outputs.write_text("")
            variables = {"RUNNER_OS": "Linux", "GITHUB_OUTPUT": str(outputs), "CI": "true", "DVC_LIKE_TRACE": "1"}
            done = subprocess.run(
                ["sh", "-e", "-c", step["run"]],
                cwd=clone.root / _fill(step.get("working-directory", "."), known),
                env={**os.environ, **variables, **given},
                capture_output=True,
                text=True,
                check=False,
            )
            calls += len(re.findall(r"^(?:remote )?(?:get|stat|list|put|delete)\b", done.stderr, re.M))
            for line in outputs.read_text().splitlines():
                name, _, value = line.partition("=")
                known[f"steps.{step['id']}.outputs.{name}"] = value
            if done.returncode:
                ended = done.returncode
                break
        assert ended == code, done.stderr
        hit = _fill(action["outputs"]["cache-hit"]["value"], known)
        return {"calls": calls, "hit": hit, "key": known.get("steps.key.outputs.key", ""), "err": done.stderr}

    def _cache(self, uses: str, root: Path, given: dict[str, str]) -> str:
        place, key = root / given["path"], given["key"]
        if uses.startswith("actions/cache/save@"):
            self.kept[key] = self._folder / f"kept-{len(self.kept)}"
            shutil.copytree(place, self.kept[key])
            return ""
        assert uses.startswith("actions/cache/restore@")
        like = [name for name in self.kept if name.startswith(given["restore-keys"])]
        found = key if key in self.kept else like[-1] if like else ""
        if found:
            shutil.copytree(self.kept[found], place, dirs_exist_ok=True)
        return str(found == key).lower()


def _fill(text: object, known: dict[str, str]) -> str:
    return re.sub(r"\$\{\{ (\S+) \}\}", lambda match: known[match[1]], str(text))


def _holds(condition: str, known: dict[str, str]) -> bool:
    name, value = re.fullmatch(r"(\S+) != '([^']*)'", condition).groups()  # type: ignore[union-attr]
    return known[name] != value


@pytest.fixture
def service(tmp_path: Path, on_path: Path) -> Service:
    return Service(tmp_path)


@pytest.fixture
def origin(tmp_path: Path) -> Place:
    """A project whose data is on a remote."""
    made = make_place(tmp_path / "origin")
    made.use_store(tmp_path / "storage")
    made.track({**{f"data/{number}.txt": f"frame {number}" for number in range(20)}, "model.bin": "m", "a b.txt": "s"})
    made.push()
    return made


def shallow(origin: Place, name: str) -> Place:
    """What a service checks out: one commit, no branch."""
    made = Place(origin.root.with_name(name))
    origin.git("clone", "-q", "--depth", "1", f"file://{origin.root}", made.root)
    made.git("checkout", "-q", "--detach")
    return made


@needs_sh
def test_a_warm_run_asks_the_remote_nothing(origin: Place, service: Service, tmp_path: Path) -> None:
    cold = service.run(shallow(origin, "one"), requirement="")
    assert cold["hit"] == "false"
    assert cold["calls"] > 0
    (tmp_path / "storage").rename(tmp_path / "away")  # so that it could not be asked anything
    clone = shallow(origin, "two")
    warm = service.run(clone, requirement="")
    assert (warm["calls"], warm["hit"], warm["key"]) == (0, "true", cold["key"])
    assert clone.data() == origin.data()
    assert len(service.kept) == 1


@needs_sh
def test_only_what_changed_is_moved(origin: Place, service: Service, tmp_path: Path) -> None:
    first = service.run(shallow(origin, "one"), requirement="")
    origin.track({"data/3.txt": "another frame"})
    origin.push()
    for content in ("frame 1", "m"):
        take_out(tmp_path / "storage", key_of(content))  # nobody may need it
    clone = shallow(origin, "two")
    second = service.run(clone, requirement="")
    assert second["hit"] == "false"
    assert second["key"] != first["key"]
    assert clone.data() == origin.data()


@needs_sh
def test_targets_and_another_folder(origin: Place, service: Service) -> None:
    clone = shallow(origin, "one")
    done = service.run(clone, requirement="", targets="data/1.txt\na b.txt\n")
    assert set(clone.data()) == {"data", "data/1.txt", "a b.txt"}
    assert service.run(shallow(origin, "two"), requirement="", targets="model.bin")["key"] != done["key"]
    above = Place(origin.root.parent)
    assert service.run(above, requirement="", working_directory="two")["hit"] == "false"


@needs_sh
def test_a_job_fails_for_data_that_is_not_there(origin: Place, service: Service, tmp_path: Path) -> None:
    service.run(shallow(origin, "one"), requirement="", verify_pushed="true")
    take_out(tmp_path / "storage", key_of("frame 1"))
    # The cache has it; who has no cache would not get it.
    ran = service.run(shallow(origin, "two"), requirement="", verify_pushed="true", code=10)
    assert "not on remote storage" in ran["err"]
    service.kept.clear()
    ran = service.run(shallow(origin, "three"), requirement="", code=9)
    assert "data/1.txt" in ran["err"]
    assert not service.kept  # half of it is not kept


@needs_sh
def test_another_remote_is_used(origin: Place, service: Service, tmp_path: Path) -> None:
    service.run(shallow(origin, "one"), requirement="", remote="nowhere", code=3)
    (tmp_path / "storage").rename(tmp_path / "other")
    clone = shallow(origin, "two")
    clone.git("config", "-f", ".dvc-like/config.local", "remote.other.url", str(tmp_path / "other"))
    service.run(clone, requirement="", remote="other", verify_pushed="true")
    assert clone.data() == origin.data()


def test_every_input_is_described() -> None:
    page = (ROOT / "docs/how-to/ci.md").read_text(encoding="utf-8")
    inputs = load(ACTION)["inputs"]
    assert set(re.findall(r"^\| `([a-z-]+)` \|", page, re.M)) == set(inputs)
    assert all(one["description"].endswith(".") for one in inputs.values())


def test_nothing_of_the_caller_is_pasted_into_a_script() -> None:
    for step in load(ACTION)["runs"]["steps"]:
        assert "${{" not in step.get("run", "")


# ------------------------------------------------------------------------------ templates


def jobs() -> dict[str, list[str]]:
    """Return the scripts of all templates, one a job."""
    found = {}
    for name, job in load(EXAMPLES / "gitlab-ci.yml").items():
        found[f"gitlab {name}"] = [*job["before_script"], *job["script"]]
    for name, job in load(EXAMPLES / "workflow.yml")["jobs"].items():
        found[f"github {name}"] = [step["run"] for step in job["steps"] if "run" in step]
    return found


@needs_sh
@pytest.mark.parametrize("name", jobs())
def test_template_runs(name: str, origin: Place, on_path: Path) -> None:
    for program in ("pip", "python"):
        (on_path / program).write_text("#!/bin/sh\nexit 0\n")
        (on_path / program).chmod(0o755)
    origin.track({"data/new.txt": "new"})
    clone = Place(origin.root.with_name("job"))
    origin.git("clone", "-q", origin.root, clone.root)
    script = "".join(f"{line}\n" for line in jobs()[name])
    done = subprocess.run(["sh", "-ec", script], cwd=clone.root, capture_output=True, text=True, check=False)
    wanted = {"gitlab train": 9, "github train": 0}.get(name, 10)  # what GitHub restores is up to the action
    assert done.returncode == wanted, done.stderr
    origin.push()
    again = subprocess.run(["sh", "-ec", script], cwd=clone.root, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr


def test_the_page_shows_the_template() -> None:
    page = (ROOT / "docs/how-to/ci.md").read_text(encoding="utf-8")
    shown = [yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```", page, re.M | re.S)]
    assert {"train": load(EXAMPLES / "gitlab-ci.yml")["train"]} in shown
    (github,) = [one for one in shown if "steps" in one]
    uses = [step["uses"] for step in load(EXAMPLES / "workflow.yml")["jobs"]["train"]["steps"] if "uses" in step]
    assert {step["uses"] for step in github["steps"] if "uses" in step} <= set(uses)


@needs_sh
def test_example_runs(on_path: Path) -> None:
    done = subprocess.run(
        ["sh", str(EXAMPLES / "run.sh")], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stderr
    calls = [int(count) for count in re.findall(r"^calls to the remote: (\d+)$", done.stdout, re.M)]
    assert len(calls) == 3
    assert calls[0] > 0
    assert calls[1] == 0
    assert "1 file fetched" in done.stdout.partition("one file more")[2]


# ------------------------------------------------------------------------------ lint


def scripts() -> dict[str, str]:
    """Return every shell script of the project by a name for it."""
    found = {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
        for path in [ROOT / ".ci/run", *sorted((ROOT / "examples").rglob("*.sh"))]
    }
    for step in load(ACTION)["runs"]["steps"]:
        if "run" in step:
            found[f"action: {step['name']}"] = f"#!/bin/sh\n{step['run']}"
    for name, lines in jobs().items():
        found[name] = "#!/bin/sh\n" + "\n".join(lines)
    return found


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed (extra `lint`)")
@pytest.mark.parametrize("name", scripts())
def test_shell_is_sound(name: str) -> None:
    done = subprocess.run(
        ["shellcheck", "-"], input=scripts()[name], capture_output=True, text=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
