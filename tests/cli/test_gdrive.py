"""Google Drive as people use it: the tutorial, what they see there, and what goes wrong on the way."""

from __future__ import annotations

import json
import random
import re
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.place import Place, clone_of, key_of, make_place
from tests.conftest import Cli
from tests.servers.drive import ANNA, BERT, DriveServer

from dvc_like.errors import CorruptData, DvcLikeError, RemoteDenied, RemoteQuota
from dvc_like.remote.gdrive import upload

MIB = 1 << 20


@pytest.fixture
def drive(drive_server: DriveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DriveServer:
    """A Drive; Anna's credentials are in the environment, its address in the user's own configuration."""
    monkeypatch.setenv("DVC_LIKE_GDRIVE_CREDENTIALS", json.dumps(drive_server.authorized_user()))
    monkeypatch.setenv("DVC_LIKE_CONFIG_GLOBAL", str(tmp_path / "user-config"))
    (tmp_path / "user-config").write_text(f'[remote "storage"]\n\tendpointurl = {drive_server.url}\n')
    return drive_server


@pytest.fixture
def folder(drive: DriveServer) -> str:
    return drive.folder("flight")


@pytest.fixture
def place(tmp_path: Path, folder: str, monkeypatch: pytest.MonkeyPatch, no_waiting: list[float]) -> Place:
    """A project whose remote is that folder; no test waits for Drive's pace."""
    return make(tmp_path / "project", f"gdrive://{folder}", monkeypatch)


def make(root: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> Place:
    made = make_place(root)
    made.config(core_remote="storage", **{"remote_storage.url": url})
    made.save("remote")
    monkeypatch.chdir(made.root)
    return made


def calls(drive: DriveServer) -> int:
    """Return how many requests were made, without those for tokens."""
    return drive.calls.total() - drive.calls["token"]


def objects(drive: DriveServer, key: str = "") -> list[dict[str, object]]:
    """Return the files that are objects (of one key) and not in the trash."""
    found = [one for one in drive.files(trashed=False) if "dl-key" in one["properties"]]
    return [one for one in found if not key or one["properties"]["dl-key"] == key]


# ------------------------------------------------------------------------------ the tutorial


def test_the_tutorial(drive: DriveServer, folder: str, tmp_path: Path, cli: Cli, git: Callable[..., str]) -> None:
    project, copy = tmp_path / "project", tmp_path / "copy"
    project.mkdir()
    git("init", cwd=project)
    cli("init", cwd=project)
    git("commit", "-m", "start dvc-like", cwd=project)
    (project / "data").mkdir()
    (project / "data/demo.txt").write_text("first version\n")
    cli("add", "data/demo.txt", cwd=project)
    git("add", "data/demo.txt.meta", "data/.gitignore", cwd=project)
    git("commit", "-m", "add demo", cwd=project)
    web = f"https://drive.google.com/drive/u/0/folders/{folder}?usp=sharing"
    cli("remote", "add", "-d", "storage", web, cwd=project)
    assert calls(drive) == 0
    assert f"url = gdrive://{folder}\n" in (project / ".dvc-like/config").read_text()
    git("commit", "-am", "remote storage", cwd=project)
    cli("push", cwd=project)

    seen = drive.tree(folder)
    hexes = key_of("first version\n").replace("/", "").removeprefix("filesblake3")[:8]
    assert {f"data/demo.{hexes}.txt", "data/", "refs/", "dvc-like.json"} <= set(seen)
    (found,) = objects(drive, key_of("first version\n"))
    assert drive.content(str(found["id"])) == b"first version\n"
    assert found["mimeType"] == "text/plain"
    assert "data/demo.txt" in str(found["description"])

    git("clone", "-q", project, copy)
    cli("pull", cwd=copy)
    assert (copy / "data/demo.txt").read_text() == "first version\n"
    (copy / "data/demo.txt").write_text("second version\n")
    cli("add", "data/demo.txt", cwd=copy)
    git("commit", "-am", "update demo", cwd=copy)
    cli("push", cwd=copy)
    assert len([name for name in drive.tree(folder) if name.startswith("data/demo.")]) == 2
    git("checkout", "HEAD~1", "data/demo.txt.meta", cwd=copy)
    cli("checkout", cwd=copy)
    assert (copy / "data/demo.txt").read_text() == "first version\n"


def test_packs_are_named_like_the_folder_they_hold(place: Place, drive: DriveServer, folder: str) -> None:
    place.track({f"data/images/{sub}/{n}.png": f"{sub}{n}" for sub in ("cats", "dogs") for n in range(3)})
    place.push()
    (zipped,) = [name for name in drive.tree(folder) if name.endswith(".zip")]
    assert re.fullmatch(r"data/images/images\.[0-9a-f]{8}\.zip", zipped) or re.fullmatch(
        r"data/data\.[0-9a-f]{8}\.zip", zipped
    )


# ------------------------------------------------------------------------------ how much is asked


def test_ten_thousand_small_files(place: Place, drive: DriveServer, tmp_path: Path, cli: Cli) -> None:
    place.write({f"data/{n % 20}/{n}.txt": f"{n} " * (n % 50) for n in range(10_000)})
    place.add("data")
    place.save()
    place.push()
    assert calls(drive) <= 500
    drive.reset()
    assert place.push().objects == 0
    assert calls(drive) <= 3, drive.calls
    drive.reset()
    cli("status", "--cloud", "--exit-code")
    assert calls(drive) <= 3, drive.calls
    drive.reset()
    copy = clone_of(place, tmp_path / "copy")
    copy.pull()
    assert calls(drive) <= 60, drive.calls
    assert copy.data("data") == place.data("data")


def test_a_push_with_nothing_to_do_of_whole_files(place: Place, drive: DriveServer) -> None:
    place.track({f"{n}.bin": f"{n}" for n in range(30)})
    assert place.push().objects == 30
    drive.reset()
    assert place.push().objects == 0
    assert calls(drive) <= 3, drive.calls


# ------------------------------------------------------------------------------ what goes wrong


@pytest.mark.parametrize("fault", ["cut-upload", "lose", "lose-500", "drop", "500"])
def test_a_big_upload_goes_on_and_leaves_one_file(
    place: Place, drive: DriveServer, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr(upload, "CHUNK", 8 * MIB)
    data = random.Random(1).randbytes(20 * MIB)
    place.track({"big.bin": data})
    place.config("local", **{"remote_storage.retries": "0"})
    drive.faults.add(fault, "upload.chunk", nth=(2,), at=5 * MIB)
    with pytest.raises(DvcLikeError):
        place.push()  # as if it was killed then: nothing is tried again
    drive.reset()
    place.push()
    sent = sum(call.up for call in drive.requests if call.name == "upload.chunk")
    assert 0 < sent <= 13 * MIB
    (found,) = objects(drive, key_of(data))
    assert drive.content(str(found["id"])) == data


def test_a_session_that_is_gone_is_begun_anew(place: Place, drive: DriveServer) -> None:
    data = random.Random(2).randbytes(6 * MIB)
    place.track({"big.bin": data})
    place.config("local", **{"remote_storage.retries": "0"})
    drive.faults.add("cut-upload", "upload.chunk", at=MIB)
    with pytest.raises(DvcLikeError):
        place.push()
    drive.faults.add("expire-session", "upload.query")
    place.push()
    (found,) = objects(drive, key_of(data))
    assert drive.content(str(found["id"])) == data


@pytest.mark.parametrize("fault", ["lose", "lose-500"])
def test_a_lost_answer_leaves_one_file(place: Place, drive: DriveServer, fault: str) -> None:
    place.track({"demo.txt": "demo"})
    place.config("local", **{"remote_storage.retries": "0"})
    drive.faults.add(fault, "upload.multipart", when=lambda call: "demo" in str(call.body))
    with pytest.raises(DvcLikeError):
        place.push()
    place.push()
    assert len(objects(drive, key_of("demo"))) == 1
    assert len({one["properties"]["dl-key"] for one in objects(drive)}) == len(objects(drive))  # type: ignore[index]


def test_bytes_that_were_damaged_on_the_way_up_are_sent_again(place: Place, drive: DriveServer) -> None:
    data = b"x" * (6 * MIB)
    place.track({"big.bin": data})
    drive.faults.add("flip-upload", "upload.chunk", times=2)
    with pytest.raises(DvcLikeError, match="other bytes"):
        place.push()
    assert objects(drive, key_of(data)) == []
    drive.faults.add("flip-upload", "upload.chunk")
    place.push()
    (found,) = objects(drive, key_of(data))
    assert drive.content(str(found["id"])) == data


def test_a_storm_of_refusals_ends_in_success(place: Place, drive: DriveServer, no_waiting: list[float]) -> None:
    place.track({f"{n}.bin": f"{n}" for n in range(12)})
    for reason in ("userRateLimitExceeded", "rateLimitExceeded", "429", "503"):
        drive.faults.add(reason, probability=0.15, times=25)
    place.push()
    assert {one["properties"]["dl-key"] for one in objects(drive)} >= {key_of(f"{n}") for n in range(12)}  # type: ignore[index]
    assert sum(no_waiting) > 1


def test_uploads_refused_for_minutes_are_the_days_limit(place: Place, drive: DriveServer, cli: Cli) -> None:
    place.track({"demo.txt": "demo"})
    place.push()
    place.track({"more.txt": "more"})
    drive.faults.add("userRateLimitExceeded", "upload.multipart", times=None)
    with pytest.raises(RemoteQuota) as raised:
        place.push()
    assert "750 GB" in raised.value.hint
    drive.faults.clear()
    place.push()
    assert len(objects(drive, key_of("more"))) == 1


def test_a_damaged_download_never_gets_into_the_cache(place: Place, drive: DriveServer, tmp_path: Path) -> None:
    place.track({"demo.bin": "x" * 100_000})
    place.push()
    (found,) = objects(drive, key_of("x" * 100_000))
    copy = clone_of(place, tmp_path / "copy")
    drive.faults.add("flip-download", "files.get_media", times=None, at=1000)
    with pytest.raises(CorruptData):
        copy.pull()
    assert not copy.cached("x" * 100_000).exists()
    drive.faults.clear()
    for fault in ("shorten-download", "cut-download"):  # each is noticed, and gone on with
        drive.faults.add(fault, "files.get_media", at=30_000, when=lambda call: str(found["id"]) in call.path)
    copy.pull()
    assert drive.faults.struck["cut-download"] == drive.faults.struck["shorten-download"] == 1
    assert (copy / "demo.bin").read_text() == "x" * 100_000


# ------------------------------------------------------------------------------ others


def test_two_push_at_once_into_an_empty_folder(
    place: Place, drive: DriveServer, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = clone_of(place, tmp_path / "other")
    place.track({"data/a.bin": "a", "data/both.bin": "both"})
    other.track({"data/b.bin": "b", "data/both.bin": "both"})
    failed: list[BaseException] = []

    def push(one: Place) -> None:
        try:
            one.push()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=push, args=(one,)) for one in (place, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    for number, one in enumerate((place, other)):
        copy = clone_of(one, tmp_path / f"copy{number}")
        copy.pull()
        assert copy.data() == one.data()
        assert one.push().objects == 0


def test_another_client_pulls_and_sends_nothing_again(
    place: Place, drive: DriveServer, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.track({"demo.txt": "demo", "data/a.txt": "a"})
    place.push()
    drive.share(folder, BERT)
    monkeypatch.setenv("DVC_LIKE_GDRIVE_CREDENTIALS", json.dumps(drive.authorized_user(BERT, "two")))
    copy = clone_of(place, tmp_path / "copy")
    copy.pull()
    assert copy.data() == place.data()
    assert copy.push().objects == 0


def test_what_belongs_to_others_is_released_where_it_cannot_be_trashed(
    place: Place, drive: DriveServer, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.track({"demo.txt": "demo"})
    place.push()
    drive.share(folder, BERT)
    monkeypatch.setenv("DVC_LIKE_GDRIVE_CREDENTIALS", json.dumps(drive.authorized_user(BERT, "two")))
    from dvc_like.remote.registry import open_backend

    backend = open_backend(f"gdrive://{folder}", {"endpointurl": drive.url}, "")
    backend.delete([key_of("demo")])
    assert backend.stat([key_of("demo")]) == {}
    backend.close()
    assert objects(drive, key_of("demo")) == []
    assert [one["name"] for one in drive.files(trashed=True)] == []


def test_what_a_stranger_shares_is_not_believed(
    place: Place, drive: DriveServer, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.track({"demo.txt": "demo"})
    place.push()
    (real,) = objects(drive, key_of("demo"))
    for owner in (BERT, ANNA):
        forged = drive.file("forged", b"evil", owner=owner)
        drive.store.files[forged].properties = dict(real["properties"])  # type: ignore[call-overload]
        drive.store.files[forged].created = "2001-01-01T00:00:00.000Z"
        drive.share(forged, ANNA if owner == BERT else BERT)
    copy = clone_of(place, tmp_path / "copy")
    copy.pull()
    assert (copy / "demo.txt").read_text() == "demo"


def test_names_and_places_may_change(place: Place, drive: DriveServer, folder: str, tmp_path: Path) -> None:
    place.write({"data/demo.txt": "demo", "models/m.bin": "model"})
    place.add("data/demo.txt", "models/m.bin")
    place.save()
    place.push()
    (demo,), (model,) = objects(drive, key_of("demo")), objects(drive, key_of("model"))
    by_path = {str(one["path"]).rpartition("flight/")[2]: str(one["id"]) for one in drive.files()}
    drive.rename(str(demo["id"]), "my favourite.txt")
    drive.rename(by_path["data"], "old data")
    drive.move(by_path["models"], by_path["data"])
    drive.move(str(model["id"]), drive.folder("elsewhere"))  # still Anna's, and nobody else's
    drive.rename(folder, "renamed")
    drive.move(folder, drive.folder("archive"))
    copy = clone_of(place, tmp_path / "copy")
    copy.pull()
    assert copy.data() == place.data()
    assert place.push().objects == 0
    place.write({"data/new.txt": "new"})
    place.add("data/new.txt")
    place.push()
    (new,) = objects(drive, key_of("new"))
    assert "/old data/new." in str(new["path"])


# ------------------------------------------------------------------------------ where it cannot work


def test_a_service_account_in_my_drive_is_refused_before_anything_is_sent(
    place: Place, drive: DriveServer, folder: str, monkeypatch: pytest.MonkeyPatch, cli: Cli
) -> None:
    robot = drive.service_account()
    drive.share(folder, robot["client_email"])
    monkeypatch.setenv("DVC_LIKE_GDRIVE_CREDENTIALS", json.dumps(robot))
    place.track({"demo.txt": "demo"})
    told = cli("push", code=6).err
    for way in ("shared drive", "domain-wide delegation", "remote login"):
        assert way in told
    assert not [name for name in drive.calls if name.startswith("upload")]
    team = drive.shared_drive("team", {robot["client_email"]: "fileOrganizer"})
    place.config(**{"remote_storage.url": f"gdrive://{team}"})
    place.push()
    assert len(objects(drive, key_of("demo"))) == 1


def test_a_folder_that_cannot_be_seen_is_told_with_the_account(place: Place, drive: DriveServer, cli: Cli) -> None:
    hidden = drive.folder("hidden", owner=BERT)
    place.config(**{"remote_storage.url": f"gdrive://{hidden}"})
    place.track({"demo.txt": "demo"})
    for words in (["push"], ["status", "--cloud"]):
        assert ANNA in cli(*words, code=6).err
    drive.share(hidden, ANNA, "reader")
    with pytest.raises(RemoteDenied, match="may not add files"):
        place.push()
    assert not [name for name in drive.calls if name.startswith("upload")]


def test_a_path_of_folders_is_made_and_found(place: Place, drive: DriveServer, tmp_path: Path) -> None:
    place.config(**{"remote_storage.url": "gdrive://root/team/it's data"})
    place.track({"demo.txt": "demo"})
    place.push()
    assert [name for name in drive.tree() if name.endswith("dvc-like.json")] == [
        "My Drive/team/it's data/dvc-like.json"
    ]
    drive.folder("team")  # another one of that name changes nothing
    copy = clone_of(place, tmp_path / "copy")
    copy.config("local", **{"remote_storage.url": "gdrive://root/team/it's data"})
    copy.pull()
    assert copy.data() == place.data()
    assert place.push().objects == 0
    (named,) = [one for one in drive.files() if one["name"] == "it's data"]
    drive.rename(str(named["id"]), "another name")  # a path is names: this one means nothing any more
    assert place.push().objects == 1
    assert len(objects(drive, key_of("demo"))) == 2


def test_a_path_that_is_not_found_at_once_is_made_once(place: Place, drive: DriveServer) -> None:
    drive.api.lag = float("inf")
    place.config(**{"remote_storage.url": "gdrive://root/team"})
    place.track({"demo.txt": "demo"})
    place.push()
    drive.api.lag = 0
    assert len([one for one in drive.files() if one["name"] == "team"]) == 1
    assert place.push().objects == 0


def test_remote_test_leaves_nothing(place: Place, drive: DriveServer, folder: str, cli: Cli) -> None:
    done = cli("remote", "test", "--json").json
    assert all(step["ok"] for step in done["steps"])
    assert objects(drive) == []


def test_what_gc_deletes_is_in_the_trash(place: Place, drive: DriveServer) -> None:
    place.track({"demo.txt": "first"})
    place.push()
    place.track({"demo.txt": "second"})
    place.push()
    for _ in range(2):  # condemned, then deleted
        place.gc(cloud=True, workspace=True, grace=0, force=True)
    assert objects(drive, key_of("first")) == []
    assert key_of("first") in [one["properties"].get("dl-key") for one in drive.files(trashed=True)]
    assert drive.calls["files.delete"] == 0
    assert place.push().objects == 0


def test_an_access_token_that_is_not_taken_any_more_is_renewed(place: Place, drive: DriveServer) -> None:
    place.track({f"{n}.bin": f"{n}" for n in range(5)})
    drive.faults.add("authError", "upload.multipart", times=3, nth=(1, 4))
    place.push()
    assert drive.calls["token"] >= 2
    assert len(objects(drive, key_of("3"))) == 1


def test_a_folder_that_was_thrown_away_takes_its_objects_with_it(place: Place, drive: DriveServer) -> None:
    place.write({"data/demo.txt": "demo", "x.txt": "x"})
    place.add("data/demo.txt", "x.txt")
    place.save()
    place.push()
    (data,) = [one for one in drive.files() if one["name"] == "data"]
    drive.trash(str(data["id"]))
    assert place.push().objects == 1
    assert len([one for one in drive.files(trashed=False) if one["name"] == "data"]) == 1
    drive.trash(str(data["id"]), back=True)
    assert place.push().objects == 0


def test_listings_that_lag(place: Place, drive: DriveServer, tmp_path: Path) -> None:
    drive.api.lag = float("inf")
    place.track({"demo.txt": "demo", "data/a.txt": "a"})
    place.push()
    assert place.push().objects == 0
    assert len({str(one["properties"]) for one in objects(drive)}) == len(objects(drive))


def test_what_drive_takes_for_malware_is_asked_for_once_more_on_demand(place: Place, drive: DriveServer) -> None:
    place.track({"demo.txt": "demo"})
    place.push()
    (found,) = objects(drive, key_of("demo"))
    drive.call_abusive(str(found["id"]))
    place.cached("demo").unlink()
    with pytest.raises(RemoteDenied, match="demo"):
        place.fetch()
    place.config("local", **{"remote_storage.acknowledgeabuse": "true"})
    place.fetch()
    assert place.cached("demo").exists()


def test_a_guest_in_a_folder_of_a_shared_drive(
    place: Place, drive: DriveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    team = drive.shared_drive("team", {BERT: "organizer"})
    inside = drive.folder("for guests", owner=BERT, drive=team)
    robot = drive.service_account()
    for guest in (ANNA, robot["client_email"]):
        drive.share(inside, guest)
    place.config(**{"remote_storage.url": f"gdrive://{inside}"})
    place.track({"demo.txt": "demo"})
    place.push()
    assert place.push().objects == 0
    monkeypatch.setenv("DVC_LIKE_GDRIVE_CREDENTIALS", json.dumps(robot))
    copy = clone_of(place, tmp_path / "copy")
    copy.config("local", **{"remote_storage.url": f"gdrive://{inside}"})
    copy.pull()
    assert copy.data() == place.data()
    copy.track({"demo.txt": "of a robot"})
    assert copy.push().objects == 1


@pytest.mark.parametrize("narrow", [False, True])
def test_a_colleague_in_a_folder_of_mine(
    place: Place, drive: DriveServer, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, narrow: bool
) -> None:
    drive.api.narrow = narrow  # a search without a folder finds nothing of what others put there
    place.track({"demo.txt": "demo", "data/a.txt": "a"})
    place.push()
    drive.share(folder, BERT)
    monkeypatch.setenv("DVC_LIKE_GDRIVE_CREDENTIALS", json.dumps(drive.authorized_user(BERT)))
    copy = clone_of(place, tmp_path / "copy")
    copy.pull()
    assert copy.data() == place.data()
    assert copy.push().objects == 0  # what this clone needs is published
    drive.reset()
    assert copy.push().objects == 0
    assert calls(drive) <= (14 if narrow else 3), drive.calls
    copy.track({"demo.txt": "of Bert"})
    copy.push()
    assert len([name for name in drive.tree(folder) if name == "data/"]) == 1
    monkeypatch.setenv("DVC_LIKE_GDRIVE_CREDENTIALS", json.dumps(drive.authorized_user(ANNA)))
    copy = clone_of(copy, tmp_path / "another")
    copy.pull()
    assert (copy / "demo.txt").read_text() == "of Bert"
