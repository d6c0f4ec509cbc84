"""The Python API: what is public, that importing it costs nothing, and what the verbs return."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.cli.place import Place, clone_of, digest_of

import dvc_like
from dvc_like import DvcLikeError, Project, Selection

PUBLIC = {
    *("__version__", "Project", "Selection", "DvcLikeError", "Progress"),
    *("init", "add", "commit", "status", "checkout", "fetch", "push", "pull", "drop", "undo", "undoable", "gc", "fsck"),
    *("remove", "move", "unprotect", "doctor", "diff", "log", "ls", "du", "check_ignore", "open", "read"),
    *("HookOptions", "install", "uninstall", "verify", "get", "import_", "update"),
}


def modules_after(code: str) -> set[str]:
    program = f"import sys\n{code}\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_public_names() -> None:
    assert set(dvc_like.__all__) == PUBLIC
    assert set(dir(dvc_like)) == PUBLIC
    for name in PUBLIC:
        assert getattr(dvc_like, name) is getattr(dvc_like, name)
    with pytest.raises(AttributeError, match="frobnicate"):
        _ = dvc_like.frobnicate


def test_importing_loads_nothing_else() -> None:
    ours = {name for name in modules_after("import dvc_like") if name.startswith("dvc_like")}
    assert ours == {"dvc_like", "dvc_like._version"}
    loaded = modules_after("import dvc_like")
    assert loaded.isdisjoint({"click", "rich", "yaml", "sqlite3", "subprocess", "blake3", "xxhash"})


def test_a_verb_loads_no_command_line_and_no_other_driver() -> None:
    loaded = modules_after("import dvc_like; dvc_like.push; dvc_like.Project")
    assert loaded.isdisjoint({"click", "rich", "dvc_like.cli", "boto3", "googleapiclient", "requests"})


def test_from_import_works() -> None:
    modules_after("from dvc_like import add, Project, Selection\nassert callable(add)")


def test_the_verbs_return_values_and_print_nothing(
    place: Place, store: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    place.write({"data/x": "1", "single": "22"})
    project = Project.find()
    added = dvc_like.add(project, ["data", place / "single"])
    assert [(one.target.path, one.state, one.stored) for one in added] == [("data", "added", 1), ("single", "added", 1)]
    assert (added[1].target.meta.digest, added[1].target.meta.size) == (digest_of("22"), 2)
    assert added[0].target.meta.files == 1
    assert added[0].target.meta_path == "data.meta"

    assert [one.state for one in dvc_like.commit(project)] == ["unchanged", "unchanged"]
    (first, second) = dvc_like.status(project)
    assert (first.target.path, first.state, first.changes, first.cached, first.problem) == (
        "data",
        "unchanged",
        (),
        True,
        None,
    )
    assert second.target.path == "single"

    pushed = dvc_like.push(project)
    assert (pushed.objects, pushed.present, pushed.healed, pushed.failures) == (3, 0, 0, [])
    (place / "single").unlink()
    assert dvc_like.checkout(project) == (("single",), (), (), ())
    fetched = dvc_like.fetch(project, Selection(("data",)))
    assert (fetched.objects, fetched.present) == (0, 1)
    pulled = dvc_like.pull(project)
    assert pulled.checkout == ((), (), (), ())
    assert dvc_like.fsck(project).objects == 3
    assert dvc_like.gc(project, Selection(), workspace=True).kept == 3
    assert capfd.readouterr() == ("", "")


def test_a_clone_pulled_through_the_api(place: Place, tmp_path: Path) -> None:
    place.track({"data/x": "1"})
    place.push()
    copy = clone_of(place, tmp_path / "copy")
    done = dvc_like.pull(Project.find(copy.root))
    assert done.fetched.objects == 1
    assert done.checkout.created == ("data/x",)


def test_init_returns_the_project(repo: Path) -> None:
    project = dvc_like.init()
    assert project.root == str(repo)
    assert project.git is not None
    with pytest.raises(DvcLikeError):
        dvc_like.init()


def test_projects_are_values(place: Place) -> None:
    project = Project.find(place.root)
    with pytest.raises(AttributeError):
        project.root = "elsewhere"  # type: ignore[misc]
    (place / "deep").mkdir()
    assert Project.find(place / "deep").root == project.root


def test_errors_carry_message_hint_details_and_code(place: Place) -> None:
    with pytest.raises(DvcLikeError) as caught:
        dvc_like.add(Project.find(), ["nope"])
    error = caught.value
    assert (error.exit_code, error.kind) == (2, "UsageError")
    assert "nope" in error.message
    assert error.hint
    assert error.details == ()


def test_progress_is_told_of_files_and_bytes(place: Place) -> None:
    seen: list[tuple[str, str, int, int]] = []

    class Task:
        def __init__(self, verb: str) -> None:
            self.verb = verb

        def advance(self, *, files: int = 0, size: int = 0) -> None:
            seen.append((self.verb, "advance", files, size))

        def expect(self, *, files: int = 0, size: int = 0) -> None:
            seen.append((self.verb, "expect", files, size))

        def __enter__(self) -> Task:
            return self

        def __exit__(self, *exc: object) -> None:
            seen.append((self.verb, "end", 0, 0))

    class Recorder:
        def task(self, verb: str) -> Any:
            return Task(verb)

        def note(self, message: str) -> None:
            raise AssertionError(message)

    place.write({"data/x": "1", "data/y": "22"})
    dvc_like.add(Project.find(), ["data"], progress=Recorder())
    dvc_like.push(Project.find(), progress=Recorder())
    for verb in ("adding", "pushing"):
        assert sum(files for each, what, files, _ in seen if each == verb and what == "advance") == 2
        assert sum(size for each, what, _, size in seen if each == verb and what == "advance") == 3
        assert (verb, "end", 0, 0) in seen


def test_a_string_in_place_of_a_list_is_not_taken_letter_by_letter(place: Place) -> None:
    place.write({"ab": "1", "a": "2", "b": "3"})
    with contextlib.suppress(TypeError, DvcLikeError):
        dvc_like.add(Project.find(), "ab")
    assert not (place / "a.meta").exists()


def test_the_working_directory_is_left_alone(place: Place) -> None:
    before = Path.cwd()
    place.write({"x": "1"})
    dvc_like.add(Project.find(), ["x"])
    assert Path.cwd() == before
