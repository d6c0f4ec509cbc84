"""`update` of what was imported from a URL: by a look alone where nothing changed, and only where the user agreed."""

from __future__ import annotations

import base64
import contextlib
import os
import socket
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.cli.inprocess import InProcess
from tests.cli.place import Place, digest_of, objects_in, past_the_tick
from tests.cli.stores import contents_of
from tests.servers.certificate import Certificate
from tests.servers.s3 import Bucket, S3Server
from tests.servers.web import LONG_AGO, Page, Web

from dvc_like.remote import origin_http, wrap

run = InProcess()


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let trying again cost no time in this process."""
    monkeypatch.setattr(wrap, "FIRST_DELAY", 0.001)


@pytest.fixture
def imported(place: Place, web: Web) -> Place:
    """A project with one import, whose page is still as it was."""
    web.pages["/x"] = Page(b"one", etag='"1"')
    run("import-url", f"{web.url}/x")
    place.save()
    web.asked.clear()
    return place


def states(done: list[dict[str, str]]) -> dict[str, str]:
    return {one["path"]: one["state"] for one in done}


@pytest.mark.parametrize("told", [{"etag": '"1"'}, {"etag": 'W/"1"'}, {"modified": LONG_AGO}])
def test_nothing_changed_and_nothing_is_read(place: Place, web: Web, told: dict[str, str]) -> None:
    web.pages["/x"] = Page(b"one", **told)  # type: ignore[arg-type]
    run("import-url", f"{web.url}/x")
    web.asked.clear()
    assert states(run("update", "--json").json["targets"]) == {"x": "unchanged"}
    assert [one.method for one in web.asked] == ["HEAD"]


def test_what_changed_is_brought_and_can_be_undone(imported: Place, web: Web) -> None:
    web.pages["/x"] = Page(b"two, longer", etag='"2"')
    (done,) = run("update", "x", "--json").json["targets"]
    assert (done["state"], done["new"]["hash"]) == ("updated", digest_of(b"two, longer"))
    assert done["new"]["source"] == {"url": f"{web.url}/x", "etag": '"2"', "size": 11}
    assert (imported / "x").read_bytes() == b"two, longer"
    assert imported.states() == {"x": "unchanged"}
    run("undo")
    assert (imported / "x").read_bytes() == b"one"
    assert imported.git("status", "--porcelain") == ""


def test_a_dry_run_reads_and_changes_nothing(imported: Place, web: Web) -> None:
    web.pages["/x"] = Page(b"two", etag='"2"')
    assert states(run("update", "--dry-run", "--json").json["targets"]) == {"x": "updated"}
    assert web.sent == 0
    assert (imported / "x").read_bytes() == b"one"
    assert imported.git("status", "--porcelain") == ""


def test_the_same_bytes_by_another_version_are_only_recorded(imported: Place, web: Web) -> None:
    web.pages["/x"] = Page(b"one", etag='"2"')
    assert states(run("update", "--json").json["targets"]) == {"x": "recorded"}
    assert states(run("update", "--json").json["targets"]) == {"x": "unchanged"}


def test_a_place_that_tells_no_version_is_read_each_time(place: Place, web: Web) -> None:
    web.pages["/x"] = Page(b"one")
    run("import-url", f"{web.url}/x")
    assert states(run("update", "--json").json["targets"]) == {"x": "unchanged"}
    web.pages["/x"] = Page(b"two")
    assert states(run("update", "--json").json["targets"]) == {"x": "updated"}
    assert (place / "x").read_bytes() == b"two"


def test_unsaved_edits_end_it_before_anything_is_read(imported: Place, web: Web) -> None:
    web.pages["/x"] = Page(b"two", etag='"2"')
    (imported / "x").write_bytes(b"mine")
    assert "unsaved" in run("update", code=5).err
    assert web.sent == 0
    assert (imported / "x").read_bytes() == b"mine"
    run("update", "--force")
    assert (imported / "x").read_bytes() == b"two"


def test_what_was_recorded_here_since_stays_unless_forced(imported: Place, web: Web) -> None:
    web.pages["/x"] = Page(b"two", etag='"2"')
    (imported / "x").write_bytes(b"mine")
    imported.add("x")
    assert "recorded here" in run("update", code=5).err
    run("update", "--force")
    assert (imported / "x").read_bytes() == b"two"
    assert "changed" not in (imported / "x.meta").read_text()


@pytest.mark.parametrize(("status", "code"), [(404, 4), (403, 6), (500, 6)])
def test_what_is_gone_or_refused_changes_nothing(imported: Place, web: Web, status: int, code: int) -> None:
    web.pages["/x"] = Page(b"", head=status, faults=[("status", status)] * 9)
    assert "x: http://" in run("update", code=code).err
    assert imported.git("status", "--porcelain") == ""


def test_a_url_has_no_revisions(imported: Place) -> None:
    assert "no revisions" in run("update", "x", "--rev", "v1", code=2).err


def test_a_folder_reads_only_what_it_does_not_know(place: Place, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a").write_bytes(b"a")
    run("import-url", "../data")
    assert states(run("update", "--json").json["targets"]) == {"data": "unchanged"}
    (tmp_path / "data/b").write_bytes(b"b")
    (tmp_path / "data/a").unlink()
    assert states(run("update", "--json").json["targets"]) == {"data": "updated"}
    assert sorted(place.data("data")) == ["b"]


def test_what_is_too_big_goes_from_version_to_version_without_being_here(place: Place, store: Path, web: Web) -> None:
    web.pages["/x"] = Page(b"one", etag='"1"')
    run("import-url", f"{web.url}/x", "--to-remote")
    web.pages["/x"] = Page(b"two", etag='"2"')
    assert states(run("update", "--to-remote", "--json").json["targets"]) == {"x": "updated"}
    assert objects_in(place.cache) == {}
    assert place.data() == {}
    assert sorted(contents_of(store).values()) == [b"one", b"two"]
    run("pull")
    assert (place / "x").read_bytes() == b"two"


def test_what_goes_to_a_remote_leaves_no_old_version_here(place: Place, web: Web) -> None:
    """An old file beside the new meta file would look like a change, and the next add would record it."""
    web.pages["/x"] = Page(b"one", etag='"1"')
    run("import-url", f"{web.url}/x")
    place.save()
    web.pages["/x"] = Page(b"two", etag='"2"')
    run("update", "--to-remote")
    assert place.data() == {}
    assert place.states() == {"x": "absent"}
    run("undo")
    assert (place / "x").read_bytes() == b"one"
    assert place.git("status", "--porcelain") == ""
    run("import-url", f"{web.url}/x", "--to-remote")
    assert place.states() == {"x": "absent"}
    run("pull")
    assert (place / "x").read_bytes() == b"two"


def test_of_a_folder_stays_what_was_never_added(place: Place, tmp_path: Path) -> None:
    (tmp_path / "data/sub").mkdir(parents=True)
    (tmp_path / "data/sub/a").write_bytes(b"a")
    (tmp_path / "data/b").write_bytes(b"b")
    run("import-url", "../data")
    (place / "data/mine").write_bytes(b"mine")
    (tmp_path / "data/b").write_bytes(b"other")
    run("update", "--to-remote")
    assert {name for name, node in place.data("data").items() if node[0] == "file"} == {"mine"}
    run("pull")
    assert (place / "data/b").read_bytes() == b"other"
    assert (place / "data/mine").read_bytes() == b"mine"


@pytest.mark.parametrize("folder", [False, True])
def test_what_is_safe_nowhere_else_is_not_given_up_for_a_remote(
    place: Place, store: Path, tmp_path: Path, folder: bool
) -> None:
    source = tmp_path / "data"
    source.mkdir()
    (source / "x").write_bytes(b"one")
    run("import-url", "../data" if folder else "../data/x")
    ours = place / ("data/x" if folder else "x")
    place.save()
    (source / "x").write_bytes(b"two!")
    for saved, way_out in ((b"mine", "dvc-like add"), (b"one", "dvc-like drop")):
        ours.write_bytes(saved)
        if saved == b"one":
            place.cached(b"one").unlink()
        assert way_out in run("update", "--to-remote", code=5).err
        assert way_out in run("import-url", f"../data{'' if folder else '/x'}", "--to-remote", code=5).err
        assert ours.read_bytes() == saved
        assert contents_of(store) == {}
        assert place.git("status", "--porcelain") == ""
    run("update", "--to-remote", "--force")
    assert place.data() == {}


def test_a_remote_is_for_what_goes_to_one(imported: Place, web: Web) -> None:
    web.pages["/x"] = Page(b"two", etag='"2"')
    assert "--to-remote" in run("update", "-r", "storage", code=2).err
    assert (imported / "x").read_bytes() == b"one"


def test_an_object_of_a_bucket(
    place: Place,
    swift_server: S3Server,
    new_bucket: Callable[[S3Server], Bucket],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bucket = new_bucket(swift_server)
    for name, value in {**swift_server.environment, "AWS_ENDPOINT_URL": swift_server.endpoint}.items():
        monkeypatch.setenv(name, value)
    bucket.write("x", b"one")
    run("import-url", f"{bucket.url}/x")
    assert states(run("update", "--json").json["targets"]) == {"x": "unchanged"}
    bucket.write("x", b"two")
    assert states(run("update", "--json").json["targets"]) == {"x": "updated"}
    assert (place / "x").read_bytes() == b"two"


# ------------------------------------------------------------------------------ what strangers write


@pytest.mark.parametrize(
    "url",
    [
        "http://192.0.2.1/x",
        "http://127.0.0.1:1/x",
        "http://localhost:1/x",
        "http://[::1]:1/x",
        "file:///etc/passwd",
        "/etc/passwd",
        "https://ann:secret@192.0.2.1/x",
        "memory://x",
    ],
)
def test_a_place_nobody_here_agreed_to_is_not_contacted(imported: Place, url: str) -> None:
    meta = imported / "x.meta"
    lines = [f"  url: {url}" if line.startswith("  url:") else line for line in meta.read_text().split("\n")]
    meta.write_text("\n".join(lines))
    assert "import.allow" in run("update", code=7).err or "credential" in run("update", code=7).err
    assert (imported / "x").read_bytes() == b"one"


def test_an_address_of_git_is_no_way_to_files_of_this_machine(imported: Place, tmp_path: Path) -> None:
    (imported / "ab:").mkdir()
    (tmp_path / "victim").write_text("secret")
    meta = imported / "x.meta"
    way = os.path.relpath(tmp_path / "victim", imported / "ab:")
    lines = [f"  url: 'ab:/{way}'" if line.startswith("  url:") else line for line in meta.read_text().split("\n")]
    meta.write_text("\n".join(lines))
    assert "is no URL" in run("update", code=2).err
    assert (imported / "x").read_bytes() == b"one"


def test_a_folder_is_followed_in_the_clone_that_imported_it_and_no_other(
    place: Place, tmp_path: Path, clone: Callable[..., Place]
) -> None:
    (tmp_path / "x").write_bytes(b"one")
    run("import-url", "../x")
    place.save()
    place.push()
    (tmp_path / "x").write_bytes(b"two, longer")
    other = clone()
    other.pull()
    assert "not contacted" in run("update", cwd=other.root, code=7).err
    run("config", "--local", "--add", "import.allow", "../x", cwd=other.root)
    run("update", cwd=other.root)
    assert (other / "x").read_bytes() == b"two, longer"


def test_a_login_is_kept_for_this_clone_alone(place: Place, web: Web, clone: Callable[..., Place]) -> None:
    login = "Basic " + base64.b64encode(b"ann:secret").decode()
    web.pages["/x"] = Page(b"one", etag='"1"', login=login)
    run("import-url", f"{web.url.replace('http://', 'http://ann:secret@')}/x")
    web.pages["/x"] = Page(b"two", etag='"2"', login=login)
    run("update")
    assert (place / "x").read_bytes() == b"two"
    place.save()
    place.push()
    other = clone()
    run("config", "--local", "--add", "import.allow", web.url, cwd=other.root)
    assert "refused access" in run("update", cwd=other.root, code=6).err
    for path in (*place.root.rglob("*.meta"), place / ".dvc-like/config"):
        assert b"secret" not in path.read_bytes()


def test_a_redirect_of_a_tracked_source_to_plain_http(
    place: Place, web: Web, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", certificate.bundle)
    web.pages["/y"] = Page(b"evil", etag='"2"')
    with Web(certificate) as safe:
        safe.pages["/x"] = Page(b"one", etag='"1"')
        run("import-url", f"{safe.url}/x")
        safe.pages["/x"] = Page(b"", redirect=f"{web.url}/y")
        assert "from https to" in run("update", code=6).err
    assert (place / "x").read_bytes() == b"one"
    assert web.asked == []


@pytest.fixture
def inside(place: Place, certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    """A server of a private network, by https, that one clone has imported from."""
    monkeypatch.setenv("SSL_CERT_FILE", certificate.bundle)
    with Web(certificate) as web:
        web.pages["/x"] = Page(b"one", etag='"1"')
        run("import-url", f"{web.url}/x")
        place.save()
        place.push()
        web.asked.clear()
        web.pages["/x"] = Page(b"two", etag='"2"')
        yield web


@pytest.mark.parametrize("name", ["127.0.0.1", "innocent.example.com"])
def test_a_private_network_is_asked_nothing_that_a_stranger_wrote(
    place: Place, inside: Web, clone: Callable[..., Place], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Not even by a name that leads there: it may lead elsewhere when it is looked up once more."""
    other = clone()
    meta = other / "x.meta"
    meta.write_text(meta.read_text().replace("127.0.0.1", name))
    port = int(inside.url.rpartition(":")[2])
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda *_, **__: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]
    )
    done = run("update", cwd=other.root, code=7)
    url = f"https://{name}:{port}/x"
    assert f"{url}: it is on this machine or in a private network" in done.err
    assert f"dvc-like config --local --add import.allow {url}" in done.err
    assert inside.asked == []  # nor was its certificate looked at, which is not for the other name


def test_a_private_network_is_asked_where_its_user_imported_from_it_or_said_so(
    place: Place, inside: Web, clone: Callable[..., Place]
) -> None:
    run("update", cwd=place.root)
    assert (place / "x").read_bytes() == b"two"
    other = clone()
    run("config", "--local", "--add", "import.allow", inside.url, cwd=other.root)
    run("update", cwd=other.root)
    assert (other / "x").read_bytes() == b"two"


def test_a_source_of_the_internet_needs_no_leave(
    place: Place, inside: Web, clone: Callable[..., Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(origin_http, "is_public", lambda address: True)
    other = clone()
    run("update", cwd=other.root)
    assert (other / "x").read_bytes() == b"two"


def test_what_is_remembered_of_versions_does_not_grow(place: Place, tmp_path: Path) -> None:
    folder = tmp_path / "origin"
    folder.mkdir()
    (folder / "same").write_bytes(b"same")
    run("import-url", "../origin")
    for number in range(4):
        (folder / "changes").write_bytes(b"x" * (number + 1))
        past_the_tick(folder / "changes")
        run("update")
    with contextlib.closing(sqlite3.connect(place / ".dvc-like/tmp/imports.sqlite")) as database:
        names = [version.split("\t")[1] for (version,) in database.execute("SELECT version FROM came")]
    assert sorted(names) == ["changes", "same"]


def test_what_a_signed_url_led_to_may_be_looked_at_again(place: Place, web: Web) -> None:
    web.pages["/x"] = Page(b"one", etag='"1"')
    run("import-url", f"{web.url.replace('http://', 'http://ann:pw@')}/x?v=1&token=secret#part", "x")
    assert "secret" not in (place / ".dvc-like/config.local").read_text()
    web.pages["/x"] = Page(b"two", etag='"2"')
    run("update")
    assert (place / "x").read_bytes() == b"two"
