"""The plug-in for MLflow, in the real MLflow: what runs record, datasets that come back, and the store of artifacts.

No server, one database; `test_mlflow_server.py` does the same as users do it in a terminal.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.cli.place import Place, digest_of, objects_in, past_the_tick, unlock
from tests.cli.stores import contents_of

from dvc_like.git import Git

pytestmark = pytest.mark.filterwarnings("ignore")  # those of MLflow and of what it brings; ours are tested by name

CSV = "x,y\n1,2\n2,4\n3,6\n"


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A database of MLflow's without runs: making one takes a second."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        mlflow = pytest.importorskip("mlflow")
        path = tmp_path_factory.mktemp("mlflow") / "empty.db"
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)
        mlflow.MlflowClient(f"sqlite:///{path}").search_experiments()
        yield path


@pytest.fixture
def mlflow(place: Place, empty_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """MLflow with a database of its own, whose artifacts go to the current project."""
    import mlflow

    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    shutil.copy(empty_database, tmp_path / "runs.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/runs.db")
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/runs.db")
    mlflow.set_experiment(experiment_id=mlflow.create_experiment("own", artifact_location="dvc-like:///mlartifacts"))
    yield mlflow
    while mlflow.active_run():
        mlflow.end_run()
    mlflow.set_tracking_uri(None)


@pytest.fixture
def tracked(place: Place) -> Place:
    """A project with one committed version of a table and of a folder."""
    place.write({"data/d.csv": CSV, "images/a/1": "a1", "images/a/2": "a2", "images/b": "b"})
    place.add("data/d.csv", "images")
    place.save("v1")
    past_the_tick(place / "data/d.csv")
    place.push()
    return place


def run_tags(mlflow: Any) -> dict[str, str]:
    """Start a run; return the tags of ours it has, without what they begin with."""
    with mlflow.start_run() as run:
        pass
    found = mlflow.get_run(run.info.run_id).data.tags
    return {name[len("dvc-like.") :]: text for name, text in found.items() if name.startswith("dvc-like.")}


def forget(place: Place) -> None:
    """Empty the cache, as on another machine."""
    shutil.rmtree(place.cache)


# ------------------------------------------------------------------------------ what a run records


def test_a_run_names_commit_and_data(mlflow: Any, tracked: Place) -> None:
    tags = run_tags(mlflow)
    folder = tags.pop("data.images")
    whole = tags.pop("data")
    assert f"hash: {folder}\n" in (tracked / "images.meta").read_text()
    assert tags == {
        "commit": tracked.git("rev-parse", "HEAD"),
        "data.data/d.csv": digest_of(CSV),
        "dirty": "false",
        "tracked": "2",
    }
    tracked.write({"images/b": "changed, and not added"})
    assert run_tags(mlflow) == {**tags, "data": whole, "data.images": folder, "dirty": "true"}
    tracked.add("images")
    added = run_tags(mlflow)
    assert added["data.images"] not in ("", folder)
    assert (added["dirty"], added["data"] != whole) == ("true", True)
    tracked.save("v2")
    assert run_tags(mlflow) == {**added, "dirty": "false", "commit": tracked.git("rev-parse", "HEAD")}
    wanted = f"tags.`dvc-like.data.images` = '{folder}'"
    assert len(mlflow.search_runs(filter_string=wanted)) == 2


def test_what_was_never_checked_out_is_not_dirty(mlflow: Any, tracked: Place, clone: Callable[..., Place]) -> None:
    copy = clone()
    os.chdir(copy.root)  # the fixture `place` puts it back
    assert run_tags(mlflow)["dirty"] == "false"
    copy.pull("data/d.csv")
    assert run_tags(mlflow)["dirty"] == "false"
    (copy / "data/d.csv").unlink()
    assert run_tags(mlflow)["dirty"] == "true"


def test_a_run_in_a_subfolder_and_outside(mlflow: Any, tracked: Place, tmp_path: Path) -> None:
    (tracked / "notebooks").mkdir()
    os.chdir(tracked / "notebooks")
    assert run_tags(mlflow)["data.data/d.csv"] == digest_of(CSV)
    os.chdir(tmp_path)
    assert run_tags(mlflow) == {}


def test_many_targets_cost_neither_tags_nor_reading_nor_processes(
    mlflow: Any, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"many/{number:03}" for number in range(120)]
    place.write({name: name for name in names} | {"odd/50% (of it).txt": "odd"})
    place.add(*names, "odd/50% (of it).txt")
    place.save()
    past_the_tick(place / "odd/50% (of it).txt")
    called: list[tuple[str, ...]] = []
    run = Git.run
    monkeypatch.setattr(Git, "run", lambda self, *words, **more: called.append(words) or run(self, *words, **more))
    monkeypatch.setattr("dvc_like.workspace.scan.read_content", lambda *_: pytest.fail("data was read"))
    tags = run_tags(mlflow)
    assert len(called) <= 6
    assert len([name for name in tags if name.startswith("data.")]) == 50
    assert (tags["tracked"], tags["dirty"]) == ("121", "false")
    (place / "many/119.meta").write_text((place / "many/000.meta").read_text())
    assert run_tags(mlflow)["data"] != tags["data"]  # which stands for those without a tag of their own, too


@pytest.mark.parametrize(
    ("path", "text", "words"),
    [
        ("images.meta", "hash: nonsense\n", "images.meta"),
        (".dvc-like/config", "[core\n", "config"),
        (".git/HEAD", "nonsense", ""),  # no commit is named then
    ],
)
def test_a_broken_repository_stops_no_run(
    mlflow: Any, tracked: Place, caplog: pytest.LogCaptureFixture, path: str, text: str, words: str
) -> None:
    (tracked / path).write_text(text)
    caplog.set_level(logging.WARNING)
    monitored = logging.getLogger("mlflow")
    monitored.addHandler(caplog.handler)  # MLflow's own logger passes nothing on
    try:
        with mlflow.start_run() as run:
            mlflow.log_metric("m", 1)
    finally:
        monitored.removeHandler(caplog.handler)
    assert mlflow.get_run(run.info.run_id).data.metrics == {"m": 1}
    assert words in caplog.text


def test_importing_mlflow_says_nothing_even_in_a_broken_repository(tracked: Place, empty_database: Path) -> None:
    (tracked / ".dvc-like/config").write_text("[core\n")
    program = (
        "import mlflow, mlflow.data.dataset_source_registry as d, mlflow.tracking.context.registry as c\n"
        "from mlflow.store.artifact.artifact_repository_registry import get_registered_artifact_repositories as r\n"
        "print([type(one).__name__ for one in c._run_context_provider_registry][-1], 'dvc-like' in r(),"
        " [one.__name__ for one in d.get_registered_sources()].count('DvcLikeDatasetSource'))"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "DvcLikeRunContext True 1\n"


# ------------------------------------------------------------------------------ datasets


def logged_source(mlflow: Any, source: Any) -> tuple[str, dict[str, Any], Any]:
    """Log a data set with this source; return what MLflow kept: type, description, and the source again."""
    import pandas

    with mlflow.start_run() as run:
        frame = pandas.DataFrame({"run": [run.info.run_id]})  # of equal ones MLflow keeps the first
        mlflow.log_input(mlflow.data.from_pandas(frame, source=source))
    kept = mlflow.get_run(run.info.run_id).inputs.dataset_inputs[0].dataset
    return kept.source_type, json.loads(kept.source), mlflow.data.get_source(kept)


@pytest.mark.filterwarnings("error:.*can be interpreted in multiple ways.*DvcLike")
def test_a_tracked_path_is_pinned_by_hash_and_comes_back(mlflow: Any, tracked: Place) -> None:
    with warnings.catch_warnings():
        from dvc_like.integrations.mlflow import _AMBIGUOUS

        warnings.filterwarnings("ignore", _AMBIGUOUS)  # as it is outside of pytest
        kind, kept, source = logged_source(mlflow, "data/d.csv")
    assert kind == "dvc-like"
    assert kept["hash"] == digest_of(CSV)
    assert (kept["path"], kept["dirty"]) == ("data/d.csv", False)
    tracked.write({"data/d.csv": "other\n"})
    tracked.add("data/d.csv")
    forget(tracked)
    assert Path(source.load()).read_text() == CSV


def test_what_was_edited_or_never_committed(mlflow: Any, tracked: Place) -> None:
    tracked.write({"data/d.csv": "edited\n"})
    _, kept, _ = logged_source(mlflow, tracked / "data/d.csv")
    assert (kept["hash"], kept["dirty"]) == (digest_of(CSV), True)
    tracked.add("data/d.csv")
    _, kept, source = logged_source(mlflow, str(tracked / "data/d.csv"))
    assert (kept["hash"], kept["dirty"]) == (digest_of("edited\n"), False)
    tracked.git("checkout", "-q", "--", "data/d.csv.meta")
    assert Path(source.load()).read_text() == "edited\n"


def test_folders_and_what_lies_in_them(mlflow: Any, tracked: Place, tmp_path: Path, tree_of: Any) -> None:
    _, _, whole = logged_source(mlflow, "images")
    _, inner, part = logged_source(mlflow, "images/a")
    _, _, single = logged_source(mlflow, "dvc-like:///images/a/2?rev=HEAD")
    assert inner["path"] == "images/a"
    forget(tracked)
    (tmp_path / "to").mkdir()
    assert tree_of(whole.load(str(tmp_path / "to"))) == tree_of(tracked / "images")
    assert tree_of(part.load()) == tree_of(tracked / "images/a")
    assert Path(single.load()).read_text() == "a2"


def test_a_name_that_an_address_cannot_hold_is_pinned_by_itself(mlflow: Any, tracked: Place, tmp_path: Path) -> None:
    tracked.write({"images/a/2#b": "the one", "images/a/2?c": "another", "images/d#/2": "in a folder"})
    tracked.add("images")
    tracked.save()
    for path in ("images/a/2#b", "images/a/2?c", "images/d#/2"):
        _, kept, source = logged_source(mlflow, path)
        assert (kept["path"], Path(source.load()).read_bytes()) == (path, (tracked / path).read_bytes())
    tracked.write({"images/a/2#new": "not added"})
    assert logged_source(mlflow, "images/a/2#new")[0] == "local"


def test_folders_that_links_lead_to_come_whole(mlflow: Any, tracked: Place, tmp_path: Path) -> None:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    tracked.write({"images/now": ("link", False, "a"), "images/one": ("link", False, "a/1")})
    tracked.add("images")
    tracked.save()
    for number, path in enumerate(("images", "images/now", "images/now/2", "images/one")):
        for revision in ("", "?rev=HEAD"):
            (top := tmp_path / f"{number}{revision[1:]}").mkdir()
            mlflow.artifacts.download_artifacts(artifact_uri=f"dvc-like:///{path}{revision}", dst_path=str(top))
            found = {str(one.relative_to(top)): one.read_text() for one in top.rglob("*") if one.is_file()}
            whole = {"now/1": "a1", "now/2": "a2", "a/1": "a1", "a/2": "a2", "b": "b", "one": "a1"}
            assert (
                found
                == [
                    {f"images/{name}": text for name, text in whole.items()},
                    {"now/1": "a1", "now/2": "a2"},
                    {"2": "a2"},
                    {"one": "a1"},
                ][number]
            )
    listed = get_artifact_repository("dvc-like:///images?rev=HEAD").list_artifacts("now")
    assert [(one.path, one.is_dir) for one in listed] == [("now/1", False), ("now/2", False)]
    tracked.write({"images/a/back": ("link", False, "../a")})
    tracked.add("images")
    with pytest.raises(mlflow.MlflowException, match="images/a/back leads back"):
        mlflow.artifacts.download_artifacts(artifact_uri="dvc-like:///images", dst_path=str(tmp_path))


def test_data_of_another_remote_comes_back(mlflow: Any, tracked: Place, tmp_path: Path) -> None:
    tracked.use_store(tmp_path / "backup", "backup")
    tracked.config(core_remote="storage")
    tracked.write({"far": "far"})
    tracked.add("far")
    with open(tracked / "far.meta", "a") as file:
        file.write("remote: backup\n")
    tracked.push("far")
    _, _, source = logged_source(mlflow, "far")
    forget(tracked)
    assert Path(source.load()).read_text() == "far"


def test_other_sources_are_left_to_others(mlflow: Any, tracked: Place, tmp_path: Path) -> None:
    tracked.write({"plain.csv": CSV})
    (tmp_path / "far.csv").write_text(CSV)
    for source in ("plain.csv", str(tmp_path / "far.csv"), tmp_path / "none"):
        assert logged_source(mlflow, source)[0] == "local"
    assert logged_source(mlflow, "s3://bucket/data/d.csv")[0] == "s3"


# ------------------------------------------------------------------------------ artifacts


def files_below(mlflow: Any, uri: str) -> set[str]:
    """Return the paths of all files below an address, as MLflow lists them."""
    found, waiting = set(), [uri]
    while waiting:
        here = waiting.pop()
        for one in mlflow.artifacts.list_artifacts(artifact_uri=here):
            path = f"{here}/{one.path.rpartition('/')[2]}"
            waiting += [path] if one.is_dir else []
            found |= set() if one.is_dir else {path[len(uri) + 1 :]}
    return found


def log_some(mlflow: Any, tmp_path: Path, text: str) -> str:
    """Log a text, and a folder with files that are the same each time; return the address of the run's artifacts."""
    folder = tmp_path / "to-log"
    (folder / "sub").mkdir(parents=True, exist_ok=True)
    (folder / "same").write_text("same")
    (folder / "sub/also").write_text("also")
    with mlflow.start_run() as run:
        mlflow.log_text(text, "notes/own.txt")
        mlflow.log_artifacts(str(folder), "folder")
    return str(run.info.artifact_uri)


def test_artifacts_are_objects_once_and_travel_with_push(
    mlflow: Any, tracked: Place, store: Path, tmp_path: Path, tree_of: Any
) -> None:
    before = set(objects_in(tracked.cache))
    first, second = log_some(mlflow, tmp_path, "one"), log_some(mlflow, tmp_path, "two")
    assert len(set(objects_in(tracked.cache)) - before) == 4
    assert tracked.git("status", "--porcelain") == ""
    assert files_below(mlflow, first) == {"notes/own.txt", "folder/same", "folder/sub/also"}
    assert {one.path: one.file_size for one in mlflow.artifacts.list_artifacts(artifact_uri=f"{first}/folder")} == {
        "folder/same": 4,
        "folder/sub": None,
    }
    tracked.push()
    assert {b"one", b"two", b"same", b"also"} <= set(contents_of(store).values())
    forget(tracked)
    assert mlflow.artifacts.load_text(f"{second}/notes/own.txt") == "two"
    got = mlflow.artifacts.download_artifacts(artifact_uri=f"{first}/folder", dst_path=str(tmp_path / "got"))
    assert tree_of(got) == tree_of(tmp_path / "to-log")


def test_a_damaged_object_is_fetched_again(mlflow: Any, tracked: Place, tmp_path: Path) -> None:
    uri = log_some(mlflow, tmp_path, "precious")
    tracked.push()
    unlock(tracked.cached("precious")).write_text("precioux")
    assert mlflow.artifacts.load_text(f"{uri}/notes/own.txt") == "precious"
    assert tracked.cached("precious").read_text() == "precious"


def test_what_is_nowhere_is_an_error_that_names_it(mlflow: Any, tracked: Place, tmp_path: Path) -> None:
    uri = log_some(mlflow, tmp_path, "lost")
    unlock(tracked.cached("lost")).unlink()
    with pytest.raises(mlflow.MlflowException, match=r"notes/own\.txt") as caught:
        mlflow.artifacts.load_text(f"{uri}/notes/own.txt")
    assert caught.value.error_code == "RESOURCE_DOES_NOT_EXIST"
    with pytest.raises(mlflow.MlflowException, match="nothing"):
        mlflow.artifacts.load_text(f"{uri}/nothing")


def test_a_model_is_read_by_revision_by_hash_and_by_alias(mlflow: Any, place: Place, tmp_path: Path) -> None:
    import mlflow.sklearn
    from sklearn.linear_model import LinearRegression

    for version in (1, 2):
        shutil.rmtree(place / "models", ignore_errors=True)
        model = LinearRegression().fit([[0.0], [1.0]], [0.0, float(version)])
        mlflow.sklearn.save_model(model, str(place / "models/line"), pip_requirements=["scikit-learn"])
        place.add("models/line")
        place.save(f"v{version}")
        place.git("tag", "-a", "-m", "a model", f"line@v{version}")
    place.push(all_commits=True)
    forget(place)
    shutil.rmtree(place / "models/line")

    def answer(uri: str) -> float:
        return round(float(mlflow.sklearn.load_model(uri).predict([[1.0]])[0]), 6)

    assert answer("dvc-like:///models/line?rev=line@v1") == 1
    assert answer("dvc-like:///models/line") == 2
    digest = place.git("show", "line@v1:models/line.meta").partition("\n")[0][len("hash: ") :]
    assert answer(f"dvc-like:///by-hash/{digest}/line") == 1
    listed = mlflow.artifacts.list_artifacts(artifact_uri="dvc-like:///models/line?rev=line@v1")
    assert "line/MLmodel" in {one.path for one in listed}
    mlflow.register_model(f"dvc-like:///by-hash/{digest}/line", "line")
    mlflow.MlflowClient().set_registered_model_alias("line", "champion", "1")
    assert answer("models:/line@champion") == 1


@pytest.mark.parametrize(
    "uri",
    ["dvc-like:///images?rev=HEAD", f"dvc-like:///by-hash/{digest_of(CSV)}/d.csv", "dvc-like:///by-hash"],
)
def test_pinned_addresses_are_never_written(mlflow: Any, tracked: Place, tmp_path: Path, uri: str) -> None:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    repository = get_artifact_repository(uri)
    (tmp_path / "x").write_text("x")
    for act in (
        lambda: repository.log_artifact(str(tmp_path / "x")),
        lambda: repository.log_artifacts(str(tmp_path)),
        repository.delete_artifacts,
        lambda: repository.delete_artifacts("a"),
    ):
        with pytest.raises(mlflow.MlflowException, match="nothing can be written or deleted"):
            act()
    assert not (tracked / ".dvc-like/mlflow").exists()


@pytest.mark.parametrize("path", ["../out", "a/../../out", "/../out", "a/.git/hooks", "a\\b", "a\nb", ".dvc-like/x"])
def test_hostile_paths_are_refused(mlflow: Any, tracked: Place, tmp_path: Path, tree_of: Any, path: str) -> None:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    before = tree_of(tmp_path, skip=("runs.db", "x", "cache", "tmp"))
    repository = get_artifact_repository("dvc-like:///mlartifacts")
    (tmp_path / "x").write_text("x")
    for act in (
        lambda: repository.log_artifact(str(tmp_path / "x"), path),
        lambda: repository.list_artifacts(path),
        lambda: repository.download_artifacts(path),
        lambda: repository.delete_artifacts(path),
    ):
        with pytest.raises(mlflow.MlflowException) as caught:
            act()
        assert caught.value.error_code == "INVALID_PARAMETER_VALUE"
    assert tree_of(tmp_path, skip=("runs.db", "x", "cache", "tmp")) == before


@pytest.mark.parametrize(
    "uri",
    [
        "dvc-like://example.com/x",
        "dvc-like:////example.com/x",
        "dvc-like:///x?repo=/elsewhere",
        "dvc-like:///a/../../b",
    ],
)
def test_an_address_names_no_other_place(mlflow: Any, tracked: Place, uri: str) -> None:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    with pytest.raises(mlflow.MlflowException):
        get_artifact_repository(uri)


def test_the_repository_may_be_another_than_the_current(
    mlflow: Any, tracked: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(mlflow.MlflowException, match=r"(?s)no dvc-like project.*DVC_LIKE_REPO"):
        mlflow.artifacts.load_text("dvc-like:///data/d.csv")
    monkeypatch.setenv("DVC_LIKE_REPO", str(tracked.root))
    assert mlflow.artifacts.load_text("dvc-like:///data/d.csv") == CSV


def test_many_write_at_once(mlflow: Any, tracked: Place) -> None:
    with mlflow.start_run() as run:
        client = mlflow.MlflowClient()
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda at: client.log_text(run.info.run_id, f"{at % 4}", f"deep/{at % 3}/{at}"), range(24)))
    uri = run.info.artifact_uri
    assert len(files_below(mlflow, uri)) == 24
    assert mlflow.artifacts.load_text(f"{uri}/deep/2/23") == "3"
    tracked.age()
    assert tracked.gc(workspace=True).garbage == []


def test_after_both_gcs_only_what_is_needed_remains(mlflow: Any, tracked: Place, tmp_path: Path) -> None:
    from click.testing import CliRunner
    from mlflow.cli import gc

    gone, kept = log_some(mlflow, tmp_path, "gone"), log_some(mlflow, tmp_path, "kept")
    tracked.age()
    assert tracked.gc(workspace=True).garbage == []
    run_id = gone.split("/")[-2]
    mlflow.delete_run(run_id)
    database = mlflow.get_tracking_uri()
    done = CliRunner().invoke(gc, ["--backend-store-uri", database, "--tracking-uri", database])
    assert done.exit_code == 0, done.output
    assert files_below(mlflow, gone) == set()
    assert [one.item.digest for one in tracked.gc(workspace=True).garbage] == [digest_of("gone")]
    assert files_below(mlflow, kept) == {"notes/own.txt", "folder/same", "folder/sub/also"}
    assert mlflow.artifacts.load_text(f"{kept}/notes/own.txt") == "kept"
