"""`import-url --to-remote`: what is too big for this machine goes from its URL to a remote, and S3 at both ends."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.cli.inprocess import InProcess
from tests.cli.place import Place, digest_of, key_of, let_settle, objects_in
from tests.cli.stores import contents_of, packed_in
from tests.servers.s3 import Bucket, S3Server
from tests.servers.web import Page, Web

from dvc_like.ops import _to_remote
from dvc_like.remote import blocks, s3, wrap
from dvc_like.remote.local import LocalBackend
from dvc_like.remote.origin_http import HttpOrigin

MB = 1 << 20
IN_PARTS = random.Random(6).randbytes(2 * blocks.BLOCK + MB + 3)
BIG, SMALL = IN_PARTS[: 3 * MB + 17], IN_PARTS[: MB + 5]

run = InProcess()


@pytest.fixture(autouse=True)
def scaled_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let trying again cost no time in this process, and little be a lot."""
    monkeypatch.setattr(wrap, "FIRST_DELAY", 0.001)
    monkeypatch.setattr(blocks, "BLOCK", MB)
    monkeypatch.setattr(_to_remote, "IN_MEMORY", 2 * MB)


# ------------------------------------------------------------------------------ to a remote


@pytest.mark.parametrize("data", [b"", b"small", SMALL, BIG], ids=lambda data: str(len(data)))
def test_a_file_goes_to_the_remote_and_is_pulled(place: Place, store: Path, web: Web, data: bytes) -> None:
    web.pages["/x"] = Page(data, etag='"1"')
    done = run("import-url", f"{web.url}/x", "--to-remote", "--json").json
    assert contents_of(store) == {key_of(data): data}
    assert (done["hash"], done["size"], done["to_remote"]) == (digest_of(data), len(data), True)
    assert objects_in(place.cache) == {}
    assert place.data() == {}
    assert place.states() == {"x": "absent"}
    expected = len(data) if len(data) <= 2 * MB else 2 * len(data)
    assert done["moved"] == expected
    assert web.sent <= expected + 1
    run("pull")
    assert (place / "x").read_bytes() == data
    assert place.push().objects == 0


def test_a_named_remote_is_where_it_lives(place: Place, tmp_path: Path, web: Web) -> None:
    web.pages["/x"] = Page(SMALL, etag='"1"')
    place.config("project", **{"remote_other.url": str(tmp_path / "other")})
    done = run("import-url", f"{web.url}/x", "--to-remote", "-r", "other")
    assert "dvc-like pull x brings it here" in done.out
    (place / "sub").mkdir()
    assert "dvc-like pull x " in run("import-url", f"{web.url}/x", "--to-remote", "-r", "other", cwd=place / "sub").out
    run("remove", "sub/x")
    assert list(contents_of(tmp_path / "other").values()) == [SMALL]
    assert "remote: other" in (place / "x.meta").read_text()
    run("pull")
    assert (place / "x").read_bytes() == SMALL


def test_small_files_of_a_folder_travel_in_packs(place: Place, store: Path, tmp_path: Path) -> None:
    files = {f"d{n % 3}/f{n}": bytes([n]) * (n + 1) for n in range(40)} | {"big": SMALL, "again": bytes([7]) * 8}
    for name, data in files.items():
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).write_bytes(data)
    done = run("import-url", "../data", "--to-remote", "--json").json
    assert (done["files"], done["size"]) == (42, sum(map(len, files.values())))
    assert list(objects_in(store)) == [key_of(SMALL)]
    assert len({packed.path for packed in packed_in(store)}) == 2  # of files, and of trees
    assert {key for key in objects_in(place.cache) if not key.endswith(".tree")} == set()
    assert place.push().objects == 0
    run("pull")
    assert {name: node[2] for name, node in place.data("data").items() if node[0] == "file"} == files


def test_what_changes_between_being_hashed_and_being_sent_is_not_sent(place: Place, store: Path, web: Web) -> None:
    web.pages["/x"] = Page(BIG, etag='"1"', faults=[("", None)] * 3 + [("swap", BIG[::-1])])
    done = run("import-url", f"{web.url}/x", "--to-remote", code=6)
    assert "changed" in done.err
    assert contents_of(store) == {}
    assert not (place / "x.meta").exists()


def test_other_bytes_under_the_same_version_are_not_sent(place: Place, store: Path, web: Web) -> None:
    lying = Page(BIG[:-1] + b"?", etag='"1"')
    web.pages["/x"] = Page(BIG, etag='"1"')
    real, calls = web.answer, iter(range(99))
    web.answer = lambda request: (next(calls) == 4 and web.pages.update({"/x": lying}), real(request))[1]  # type: ignore[method-assign]
    done = run("import-url", f"{web.url}/x", "--to-remote", code=6)
    assert "between being hashed and being sent" in done.err
    assert contents_of(store) == {}


@pytest.mark.parametrize("page", [Page(BIG), Page(BIG, etag='W/"1"'), Page(BIG, length="chunked", etag='"1"')])
def test_a_server_that_tells_little_is_enough(place: Place, store: Path, web: Web, page: Page) -> None:
    web.pages["/x"] = page
    run("import-url", f"{web.url}/x", "--to-remote")
    assert contents_of(store) == {key_of(BIG): BIG}


def test_a_server_without_ranges_is_refused_before_it_is_read(place: Place, web: Web) -> None:
    web.pages["/x"] = Page(BIG, etag='"1"', ranges=False)
    done = run("import-url", f"{web.url}/x", "--to-remote", code=6)
    assert "cannot send parts" in done.err
    assert "without --to-remote" in done.err
    assert [one.headers.get("range") for one in web.asked] == [None, "bytes=1-1"]  # the head, and a byte to try it
    run("import-url", f"{web.url}/x")
    assert (place / "x").read_bytes() == BIG


def test_a_server_that_sends_more_than_it_said_fills_no_memory(
    place: Place, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    web.pages["/x"] = Page(SMALL, etag='"1"')
    sent = []

    def get(self: HttpOrigin, key: str, sink: Any, **options: Any) -> None:
        for _ in range(1000):
            sink.write(SMALL)
            sent.append(len(SMALL))

    monkeypatch.setattr(HttpOrigin, "get", get)
    assert "another size than it was said" in run("import-url", f"{web.url}/x", "--to-remote", code=6).err
    assert len(sent) == 1


def test_a_store_that_takes_only_files(place: Place, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LocalBackend, "capabilities", LocalBackend.capabilities._replace(streams=False))
    web.pages["/x"], web.pages["/y"] = Page(BIG, etag='"1"'), Page(SMALL, etag='"1"')
    assert "only from a disk" in run("import-url", f"{web.url}/x", "--to-remote", code=6).err
    run("import-url", f"{web.url}/y", "--to-remote")


def test_broken_off_and_run_again(place: Place, store: Path, tmp_path: Path, web: Web) -> None:
    """What is there by the second time is not sent again, on the word of the remote."""
    (tmp_path / "data").mkdir()
    for n in range(3):
        (tmp_path / f"data/big{n}").write_bytes(SMALL + bytes([n]))
    let_settle(tmp_path / "data")
    run("import-url", "../data", "--to-remote")
    run("undo")
    assert not (place / "data.meta").exists()
    assert run("import-url", "../data", "--to-remote", "--json").json["moved"] == 0
    run("undo")
    (store / key_of(SMALL + b"\1")).unlink()
    assert run("import-url", "../data", "--to-remote", "--json").json["moved"] == len(SMALL) + 1
    run("pull")
    assert (place / "data/big1").read_bytes() == SMALL + b"\1"


def test_what_a_gc_means_to_delete_is_spared(place: Place, store: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/big").write_bytes(SMALL)
    (tmp_path / "data/small").write_bytes(b"small")
    let_settle(tmp_path / "data")
    run("import-url", "../data", "--to-remote")
    place.save()
    place.push()
    run("remove", "data")
    place.track({"other": "needed"})
    place.push()
    shutil.rmtree(place / ".dvc-like/undo")
    place.gc(cloud=True, workspace=True)
    (listed,) = (store / "packs").glob("*.condemned")
    assert key_of(SMALL) in listed.read_text()
    assert run("import-url", "../data", "--to-remote", "--json").json["moved"] == 0
    named = "".join(one.read_text() for one in (store / "packs").glob("*.condemned"))
    assert key_of(SMALL) not in named
    assert not [pack.stem for pack in (store / "packs").glob("*.idx") if pack.stem in named]


# ------------------------------------------------------------------------------ S3


@pytest.fixture
def bucket(
    place: Place, swift_server: S3Server, new_bucket: Callable[[S3Server], Bucket], monkeypatch: pytest.MonkeyPatch
) -> Bucket:
    """A bucket of which one prefix is the remote `s3`; its other objects are reached by the same settings."""
    made = new_bucket(swift_server)
    for name, value in swift_server.environment.items():
        monkeypatch.setenv(name, value)
    place.config(
        "local",
        **{"remote_s3.url": f"{made.url}/store", "remote_s3.endpointurl": made.server.endpoint, "core_remote": "s3"},
    )
    return made


def test_an_object_and_a_prefix_of_a_bucket(place: Place, bucket: Bucket) -> None:
    files = {"a.txt": b"one", "deep/ü b.bin": SMALL, "deep/c": b""}
    for name, data in files.items():
        bucket.write(f"data/{name}", data)
    bucket.write("data/folder/", b"")  # how consoles make a folder
    bucket.write("data-not/x", b"no")
    run("import-url", f"{bucket.url}/data/deep/ü b.bin")
    assert (place / "ü b.bin").read_bytes() == SMALL
    assert "etag: " in (place / "ü b.bin.meta").read_text()
    done = run("import-url", f"{bucket.url}/data/", "--json").json
    assert (done["files"], done["path"], done["url"]) == (3, "data", f"{bucket.url}/data/")
    assert {name: node[2] for name, node in place.data("data").items() if node[0] == "file"} == files
    bucket.write("data/a.txt", b"new")
    again = run("import-url", f"{bucket.url}/data/", "--json").json
    assert (again["state"], again["moved"]) == ("updated", 3)
    assert (place / "data/a.txt").read_bytes() == b"new"


@pytest.mark.parametrize(("key", "code"), [("nothing", 4), ("data/../x", 7), ("data/.git/config", 7)])
def test_keys_that_are_not_there_or_must_not_be(place: Place, bucket: Bucket, key: str, code: int) -> None:
    if code == 7:
        bucket.write(key, b"x")
    run("import-url", f"{bucket.url}/{'data/' if code == 7 else key}", "x", code=code)
    assert place.data() == {}


def test_a_bucket_that_is_not_there(place: Place, bucket: Bucket) -> None:
    place.config("local", **{"remote_s3.url": f"{bucket.url}-gone"})
    assert "no such bucket" in run("import-url", f"{bucket.url}-gone/x", code=6).err


def test_from_the_web_to_a_bucket_in_parts(
    place: Place, bucket: Bucket, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "BIG", 20 * MB)
    monkeypatch.setattr(blocks, "BLOCK", s3.PART)
    web.pages["/x"] = Page(IN_PARTS, etag='"1"')
    run("import-url", f"{web.url}/x", "--to-remote")
    assert bucket.read(f"store/{key_of(IN_PARTS)}") == IN_PARTS
    assert len(IN_PARTS) * 2 <= web.sent <= len(IN_PARTS) * 2 + 1  # once to hash it, once to send it
    assert bucket.uploads() == []
    run("pull")
    assert (place / "x").read_bytes() == IN_PARTS


def test_killed_while_it_is_sent_in_parts(
    place: Place, bucket: Bucket, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parts that are there are proved to be the same, and not sent again."""
    monkeypatch.setattr(s3, "BIG", 20 * MB)
    monkeypatch.setattr(s3, "AT_ONCE", 1)
    monkeypatch.setattr(blocks, "BLOCK", s3.PART)
    web.pages["/x"] = Page(IN_PARTS, etag='"1"')
    sent: list[int] = []
    real = s3.S3Backend.ask

    def ask(self: s3.S3Backend, operation: str, /, **arguments: Any) -> dict[str, Any]:
        if operation == "upload_part":
            if len(sent) == 2:
                sent.append(0)
                raise KeyboardInterrupt
            sent.append(arguments["PartNumber"])
        return real(self, operation, **arguments)

    monkeypatch.setattr(s3.S3Backend, "ask", ask)
    run("import-url", f"{web.url}/x", "--to-remote", code=130)
    assert bucket.uploads() == [f"store/{key_of(IN_PARTS)}"]
    assert not (place / "x.meta").exists()
    run("import-url", f"{web.url}/x", "--to-remote")
    assert sent == [1, 2, 0, 3]
    assert bucket.read(f"store/{key_of(IN_PARTS)}") == IN_PARTS


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of this kind on this system")
def test_nothing_big_is_ever_written_here(place: Place, bucket: Bucket, web: Web) -> None:
    """The kernel allows the command no file beyond a mebibyte."""
    data = IN_PARTS[: 9 * MB]
    web.pages["/x"] = Page(data, etag='"1"')
    limit = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))\n"
    program = f"{limit}from dvc_like.cli import shell; sys.exit(shell.run(sys.argv[1:]))"
    words = [sys.executable, "-c", program, "import-url", f"{web.url}/x", "--to-remote"]
    done = subprocess.run(words, cwd=place.root, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert bucket.read(f"store/{key_of(data)}") == data


def test_from_a_bucket_to_a_folder(place: Place, store: Path, bucket: Bucket) -> None:
    bucket.write("data/x", BIG)
    place.config("local", core_remote="storage")
    run("import-url", f"{bucket.url}/data/x", "--to-remote")
    assert contents_of(store) == {key_of(BIG): BIG}
