"""The life of a model as users type it, with a real server, a store on S3 and programs that know nothing of ours.

One story in twelve steps, since a server takes half a minute to start; `examples/mlflow` is what is run.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cli.place import Place, objects_in
from tests.conftest import Cli
from tests.servers.s3 import Bucket, S3Server

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/mlflow"
TRACKED = "data/diabetes.csv"
PATIENCE = 300  # seconds until something that is starting counts as broken

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # those of MLflow and of what it brings
    pytest.mark.skipif(os.name == "nt", reason="process groups of POSIX, and a shell"),
]


@pytest.fixture
def python_too(on_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Programs find this Python as ``python``, this dvc-like, and MLflow without what phones home."""
    pytest.importorskip("mlflow", reason="mlflow is not installed (extra `test`)")
    script = on_path / "python"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    script.chmod(0o755)
    for name, text in {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "NO_PROXY": "127.0.0.1",
        "OMP_NUM_THREADS": "1",
    }.items():
        monkeypatch.setenv(name, text)
    return on_path


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Start a server, ``serve("mlflow", "server", "--port", "{port}", ready="/health")``; return its address."""
    running: list[subprocess.Popen[bytes]] = []

    def start(*words: str, ready: str = "") -> str:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        log = tmp_path / f"server-{port}.log"
        with open(log, "wb") as file:
            command = [word.format(port=port) for word in words]
            process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, start_new_session=True)
        running.append(process)
        end = time.monotonic() + PATIENCE
        while not answers(port, ready):
            if process.poll() is not None or time.monotonic() > end:
                pytest.fail(f"{words[1]} does not answer\n{log.read_text()[-3000:]}", pytrace=False)
            time.sleep(0.2)
        return f"127.0.0.1:{port}"

    yield start
    for process in running:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def answers(port: int, path: str) -> bool:
    """Tell whether something listens at a port, and with a path that it says 200 there."""
    try:
        if not path:
            socket.create_connection(("127.0.0.1", port), 5).close()
            return True
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


def python(*words: str, module: bool = False) -> str:
    """Run a Python program in the current folder; return what it printed."""
    command = [sys.executable, *(["-m"] if module else []), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def train() -> tuple[str, str]:
    """Train with what is here; return the run, and its error to the last digit."""
    found = re.search(r"^run (\w+): rmse (\S+)$", python("train_diabetes.py", "0.05"), re.M)
    assert found
    return found[1], found[2]


def digest(place: Place) -> str:
    """Return the hash that the meta file of the table names."""
    first = (place / f"{TRACKED}.meta").read_text().partition("\n")[0]
    return first.removeprefix("hash: ")


def expect_tags(tags: dict[str, str], place: Place, commit: str, dirty: str) -> None:
    """Check what a run or a model says of the data."""
    assert tags[f"dvc-like.data.{TRACKED}"] == digest(place)
    assert (tags["dvc-like.commit"], tags["dvc-like.dirty"]) == (commit, dirty)


def save_and_push(place: Place, cli: Cli, tag: str) -> str:
    """Commit all, tag it and push; return the commit."""
    commit = place.save(tag)
    place.git("tag", "-a", "-m", tag, tag)
    cli("push")
    return commit


def forget(place: Place) -> None:
    """Leave nothing of the data here but what the meta files say."""
    shutil.rmtree(place.cache)
    shutil.rmtree(place / "models", ignore_errors=True)
    (place / TRACKED).unlink()


def ask(address: str, frame: Any) -> list[float]:
    """Return the predictions of a server for some rows."""
    split = {"columns": list(frame.columns), "data": frame.to_numpy().tolist()}  # `to_json` would round
    body = json.dumps({"dataframe_split": split}).encode()
    request = urllib.request.Request(f"http://{address}/invocations", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as reply:
        return list(json.load(reply)["predictions"])


@pytest.fixture
def project(
    place: Place, python_too: Path, rclone_server: S3Server, new_bucket: Callable[[S3Server], Bucket],
    monkeypatch: pytest.MonkeyPatch, cli: Cli,
) -> Place:  # fmt: skip
    """The example in a project whose remote is a bucket."""
    bucket = new_bucket(rclone_server)
    for name, text in rclone_server.environment.items():
        monkeypatch.setenv(name, text)
    cli("remote", "modify", "storage", "url", f"{bucket.url}/dvc")
    cli("remote", "modify", "storage", "endpointurl", rclone_server.endpoint)
    for path in EXAMPLE.iterdir():
        if path.is_file():
            shutil.copy(path, place.root)
    (place / ".gitignore").write_text("/mlflow.db*\n__pycache__\n")
    return place


def test_from_raw_data_to_a_served_model(
    project: Place, cli: Cli, serve: Callable[..., str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place = project
    # 1 raw data
    python("prepare.py", "300")
    cli("add", TRACKED)
    first = save_and_push(place, cli, "data-v1")
    # 2 tracking
    address = serve(
        *(sys.executable, "-m", "mlflow", "server", "--backend-store-uri", "sqlite:///mlflow.db"),
        *("--artifacts-destination", "dvc-like:///mlartifacts", "--host", "127.0.0.1", "--port", "{port}"),
        *("--workers", "1"),
        ready="/health",
    )
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://{address}")
    import mlflow

    mlflow.set_tracking_uri(f"http://{address}")
    try:
        run_id, first_rmse = train()
        logged = mlflow.get_run(run_id)
        expect_tags(logged.data.tags, place, first, "false")
        dataset = logged.inputs.dataset_inputs[0].dataset
        assert (dataset.source_type, json.loads(dataset.source)["hash"]) == ("dvc-like", digest(place))
        assert place.git("status", "--porcelain") == ""
        assert list((place / ".dvc-like/mlflow/mlartifacts").rglob("MLmodel.meta"))
        walk_on(place, cli, serve, first, run_id, first_rmse)
    finally:
        mlflow.set_tracking_uri(None)


def walk_on(place: Place, cli: Cli, serve: Callable[..., str], first: str, run_id: str, first_rmse: str) -> None:
    import mlflow

    # 3 autolog
    auto = re.search(r"^Logged data and model in run: (\w+)$", python("autolog.py"), re.M)
    assert auto
    expect_tags(mlflow.get_run(auto[1]).data.tags, place, first, "false")
    (model,) = mlflow.search_logged_models(filter_string=f"source_run_id = '{auto[1]}'", output_format="list")
    expect_tags(model.tags, place, first, "false")
    # 4 prepare another version; a run before it is committed says so
    table = (place / TRACKED).read_bytes()
    old = digest(place)
    python("prepare.py")
    cli("add", TRACKED)
    early, second_rmse = train()
    expect_tags(mlflow.get_run(early).data.tags, place, first, "true")
    second = save_and_push(place, cli, "data-v2")
    late, again_rmse = train()
    expect_tags(mlflow.get_run(late).data.tags, place, second, "false")
    assert again_rmse == second_rmse != first_rmse
    # 5 which runs used which data
    found = mlflow.search_runs(filter_string=f"tags.`dvc-like.data.{TRACKED}` = '{old}'", output_format="list")
    assert {run.info.run_id for run in found} == {run_id, auto[1]}
    # 6 the data of the first run comes back, from the remote
    cli("push")
    forget(place)
    source = mlflow.data.get_source(mlflow.get_run(run_id).inputs.dataset_inputs[0].dataset)
    assert Path(source.load()).read_bytes() == table
    # 7 what is equal is stored once
    cli("pull")
    before = set(objects_in(place.cache))
    train()
    came = {key for key in objects_in(place.cache) if key not in before}
    pointers = [*(place / ".dvc-like/mlflow").rglob("*.meta")]
    assert len({path.read_text() for path in pointers}) < len(pointers)
    assert 0 < len(came) < 8
    serve_and_repeat(place, cli, serve, (first_rmse, second_rmse))
    clean_up(place, cli, auto[1], late)


def serve_and_repeat(place: Place, cli: Cli, serve: Callable[..., str], errors: tuple[str, str]) -> None:
    import mlflow.sklearn
    import pandas as pd
    from sklearn.linear_model import ElasticNet

    # 8 models are data: two versions, under tags of Git
    table = pd.read_csv(place / TRACKED)
    for tag, alpha in (("diabetes@v1", 0.05), ("diabetes@v2", 2.0)):
        shutil.rmtree(place / "models", ignore_errors=True)
        made = ElasticNet(alpha=alpha).fit(table.drop(columns="target"), table["target"])
        mlflow.sklearn.save_model(made, str(place / "models/diabetes"), pip_requirements=["scikit-learn"])
        cli("add", "models/diabetes")
        save_and_push(place, cli, tag)
    forget(place)
    rows = table.drop(columns="target").head(3)
    answers = {
        tag: list(mlflow.sklearn.load_model(f"dvc-like:///models/diabetes?rev={tag}").predict(rows))
        for tag in ("diabetes@v1", "diabetes@v2")
    }
    assert answers["diabetes@v1"] != answers["diabetes@v2"]
    # 9 the registry names one of them
    client = mlflow.MlflowClient()
    version = mlflow.register_model("dvc-like:///models/diabetes?rev=diabetes@v1", "diabetes").version
    client.set_registered_model_alias("diabetes", "champion", version)
    # 10 serving
    shutil.rmtree(place.cache)
    address = serve(
        *(sys.executable, "-m", "mlflow", "models", "serve", "-m", "models:/diabetes@champion"),
        *("--env-manager", "local", "--host", "127.0.0.1", "--port", "{port}"),
        ready="/ping",
    )
    assert ask(address, rows) == answers["diabetes@v1"]
    # 11 projects: other people's clones give the same results, to the last digit
    git = serve(
        *("git", "daemon", "--listen=127.0.0.1", "--port={port}", "--export-all", "--reuseaddr"),
        *(f"--base-path={place.root}", str(place.root)),
    )
    for tag, rmse in zip(("data-v1", "data-v2"), errors, strict=True):
        words = ("mlflow", "run", f"git://{git}/", "--version", tag, "--env-manager", "local", "-P", "alpha=0.05")
        assert f": rmse {rmse}\n" in python(*words, module=True)


def clean_up(place: Place, cli: Cli, gone: str, kept: str) -> None:
    import mlflow

    # 12 what was deleted goes, what is needed stays
    def needed() -> set[str]:
        firsts = [path.read_text().partition("\n")[0] for path in (place / ".dvc-like/mlflow").rglob("*.meta")]
        return {first.rpartition(":")[2] for first in firsts}

    def there() -> set[str]:
        return {"".join(key.split("/")[2:]) for key in objects_in(place.cache)}

    cli("fsck", "--repair")  # brings back what an emptied cache lacks
    before = needed()
    assert before <= there()
    mlflow.delete_run(gone)
    store = ("--backend-store-uri", f"sqlite:///{place.root}/mlflow.db")
    python("mlflow", "gc", *store, "--tracking-uri", os.environ["MLFLOW_TRACKING_URI"], module=True)
    place.age()
    cli("gc", "--all-commits")
    after = needed()
    assert after < before
    assert there() & before == after
    path = mlflow.get_run(kept).outputs.model_outputs[0].model_id
    assert mlflow.pyfunc.load_model(f"models:/{path}") is not None


def test_example_script_runs(python_too: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = subprocess.run(["sh", str(EXAMPLE / "run.sh")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "442 rows came back from dvc-like" in done.stdout
    assert done.stdout.endswith("300 rows came back from dvc-like\n")
