"""Push and pull with Drive, killed while Drive does not answer: the next run goes on, and nothing is there twice."""

from __future__ import annotations

import json
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.killing import start
from tests.cli.place import Place, clone_of, key_of, make_place, objects_in, temps_in
from tests.conftest import Cli
from tests.servers.drive import DriveServer

from dvc_like.remote.gdrive.upload import CHUNK

SIZE = 2 * CHUNK + 12345
TIMEOUT = 60.0


@pytest.fixture
def place(drive_server: DriveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A project whose remote is a folder of Anna's."""
    monkeypatch.setenv("DVC_LIKE_GDRIVE_CREDENTIALS", json.dumps(drive_server.authorized_user()))
    monkeypatch.setenv("DVC_LIKE_CONFIG_GLOBAL", str(tmp_path / "user-config"))
    (tmp_path / "user-config").write_text(f'[remote "storage"]\n\tendpointurl = {drive_server.url}\n')
    made = make_place(tmp_path / "project")
    made.config(core_remote="storage", **{"remote_storage.url": f"gdrive://{drive_server.folder('flight')}"})
    made.save("remote")
    return made


def big(place: Place) -> bytes:
    content = random.Random(9).randbytes(SIZE)
    place.track({"data.bin": content})
    return content


def stopped(
    place: Place, drive: DriveServer, verb: str, number: int, when: Callable[[], bool] = lambda: True
) -> tuple[int, str]:
    """Start a command and send it a signal once Drive does not answer it, and `when` holds.

    Return its exit code and what it said.
    """
    process = start([verb], place.root)
    end = time.monotonic() + TIMEOUT
    try:
        while not (drive.faults.struck and when()):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < end
            time.sleep(0.01)
        process.send_signal(number)
        _, err = process.communicate(timeout=TIMEOUT)
    finally:
        process.kill()
        process.wait()
    return process.returncode, err


def stored(drive: DriveServer, content: bytes | str) -> list[bytes]:
    """Return the bytes of all files that claim to be the object of this content."""
    key = key_of(content)
    return [drive.content(one["id"]) for one in drive.files() if one["properties"].get("dl-key") == key]


def sent(drive: DriveServer) -> int:
    return sum(call.up for call in drive.requests if call.name == "upload.chunk")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_big_push_goes_on_where_it_was_stopped(
    place: Place, drive_server: DriveServer, cli: Cli, number: int
) -> None:
    content = big(place)
    drive_server.faults.add("stall", "upload.chunk", nth=(3,))
    code, err = stopped(place, drive_server, "push", number)
    assert code == (130 if number == signal.SIGINT else -number), err
    assert "Traceback" not in err
    assert stored(drive_server, content) == []
    drive_server.reset()
    cli("push", cwd=place.root)
    assert sent(drive_server) == SIZE - 2 * CHUNK
    assert stored(drive_server, content) == [content]
    assert drive_server.calls["upload.start"] == 0


def test_a_push_that_was_killed_after_drive_had_it_all_sends_nothing_again(
    place: Place, drive_server: DriveServer, cli: Cli
) -> None:
    content = big(place)
    drive_server.faults.add("stall-answer", "upload.chunk", nth=(3,))
    stopped(place, drive_server, "push", signal.SIGKILL)
    assert stored(drive_server, content) == [content]
    drive_server.reset()
    cli("push", cwd=place.root)
    assert sent(drive_server) == 0
    assert stored(drive_server, content) == [content]


@pytest.mark.parametrize("what", ["stall", "stall-answer"])
def test_small_objects_are_there_once_whenever_a_push_is_killed(
    place: Place, drive_server: DriveServer, tmp_path: Path, cli: Cli, what: str
) -> None:
    place.track({f"{name}.txt": f"content of {name}" for name in "abcd"})
    for call, nth in (("upload.multipart", 2), ("files.create", 1)):
        drive_server.reset()
        drive_server.faults.struck.clear()
        drive_server.faults.add(what, call, nth=(nth,))
        stopped(place, drive_server, "push", signal.SIGKILL)
    drive_server.reset()
    cli("push", cwd=place.root)
    assert all(stored(drive_server, f"content of {name}") == [f"content of {name}".encode()] for name in "abcd")
    copy = clone_of(place, tmp_path / "copy")
    cli("pull", cwd=copy.root)
    assert copy.data() == place.data()


def test_a_killed_pull_goes_on_and_leaves_nothing_half_done(
    place: Place, drive_server: DriveServer, tmp_path: Path, cli: Cli
) -> None:
    content = big(place)
    cli("push", cwd=place.root)
    copy = clone_of(place, tmp_path / "copy")
    drive_server.reset()
    drive_server.faults.struck.clear()
    (made,) = [one["id"] for one in drive_server.files() if one["size"] == SIZE]
    drive_server.faults.add("stall-download", "files.get_media", at=CHUNK, when=lambda call: call.file_id == made)

    def arrived() -> bool:
        return sum(path.stat().st_size for path in (copy.cache / "partial").glob("*")) > CHUNK // 2

    stopped(copy, drive_server, "pull", signal.SIGKILL, arrived)
    assert not (copy / "data.bin").exists()
    assert objects_in(copy.cache) == {}
    drive_server.reset()
    cli("pull", cwd=copy.root)
    assert (copy / "data.bin").read_bytes() == content
    assert temps_in(copy.cache) == []
    down = sum(call.down for call in drive_server.requests if call.name == "files.get_media")
    assert down < SIZE - CHUNK // 2  # what had come was not asked for again
