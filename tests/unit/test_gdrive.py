"""The parts of Drive's driver that ask nobody: addresses, names and properties, the pace, what is remembered."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvc_like.errors import (
    ConfigError,
    DvcLikeError,
    RemoteDenied,
    RemoteError,
    RemoteQuota,
    RemoteUnavailable,
    UsageError,
)
from dvc_like.remote.base import is_key
from dvc_like.remote.gdrive import naming, pace, state
from dvc_like.remote.gdrive.pace import Pace
from dvc_like.remote.gdrive.place import from_web, parse
from dvc_like.remote.gdrive.refusals import is_too_fast, refusal
from dvc_like.remote.gdrive.state import Begun, State
from dvc_like.remote.registry import open_backend

ID = "1AbC-dEf_0123456789"


# ------------------------------------------------------------------------------ addresses


@pytest.mark.parametrize(
    "url",
    [
        f"https://drive.google.com/drive/folders/{ID}",
        f"https://drive.google.com/drive/folders/{ID}?usp=sharing&hl=de",
        f"https://drive.google.com/drive/u/0/folders/{ID}",
        f"https://drive.google.com/drive/u/12/folders/{ID}/#top",
        f"HTTPS://Drive.Google.com/folders/{ID}",
        f"https://drive.google.com/open?id={ID}",
        f"https://drive.google.com/folderview?usp=x&id={ID}&x=y",
    ],
)
def test_the_address_of_a_web_page_names_the_folder(url: str) -> None:
    assert from_web(url) == f"gdrive://{ID}"


def test_other_addresses_stay_or_are_refused() -> None:
    assert from_web("https://drive.google.com/drive/my-drive") == "gdrive://root"
    for url in (f"gdrive://{ID}", "s3://bucket", "/mnt/drive.google.com", "https://drive.google.com.evil.example/x"):
        assert from_web(url) == url
    for url in (f"https://drive.google.com/file/d/{ID}/view", "https://drive.google.com/drive/trash"):
        with pytest.raises(UsageError):
            from_web(url)


def test_urls_and_options() -> None:
    place = parse(f"gdrive://{ID}/a b//c/", {"timeout": "7", "endpointurl": "http://127.0.0.1:1"}, "/p")
    assert (place.folder, place.path, place.timeout) == (ID, ("a b", "c"), 7.0)
    assert place.endpoint == "http://127.0.0.1:1/"
    assert place.url == f"gdrive://{ID}/a b/c"
    assert parse("GDRIVE://root", {}, "").endpoint == "https://www.googleapis.com/"


@pytest.mark.parametrize("url", ["gdrive://", "gdrive:///x", "gdrive://a b", "gdrive://id@x", "gdrive://x/../y"])
def test_urls_that_cannot_be_meant(url: str) -> None:
    with pytest.raises(UsageError):
        parse(url, {}, "")


@pytest.mark.parametrize("options", [{"endpointurl": "host"}, {"timeout": "soon"}, {"acknowledgeabuse": "perhaps"}])
def test_options_that_cannot_be_meant(options: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        parse(f"gdrive://{ID}", options, "")


def test_opening_contacts_nobody_and_loads_nothing() -> None:
    before = set(sys.modules)
    open_backend(f"gdrive://{ID}", {}, "/nowhere").close()
    assert not {name for name in set(sys.modules) - before if name.startswith(("google", "requests", "httplib2"))}


def test_without_googles_packages_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "googleapiclient.discovery", None)
    with pytest.raises(RemoteError, match="cannot be loaded") as raised:
        open_backend(f"gdrive://{ID}", {}, "/nowhere").stat(["a"])
    assert "dvc-like[gdrive]" in raised.value.hint


# ------------------------------------------------------------------------------ names and properties

KEY = "files/blake3/3f/2a9c1b" + "0" * 56


@pytest.mark.parametrize(
    ("key", "label", "path", "mime"),
    [
        (KEY, "data/demo.txt", "data/demo.3f2a9c1b.txt", "text/plain"),
        (KEY, "a/b/x.tar.gz", "a/b/x.3f2a9c1b.tar.gz", "application/gzip"),
        (KEY, ".hidden", ".hidden.3f2a9c1b", "application/octet-stream"),
        (KEY, "v1.2 report.pdf", "v1.2 report.3f2a9c1b.pdf", "application/pdf"),
        (KEY, "../../etc/pass\x00wd", "etc/pass_wd.3f2a9c1b", "application/octet-stream"),
        (f"packs/{'ab' * 32}.zip", "data/images/images.zip", "data/images/images.abababab.zip", "application/zip"),
        (f"packs/{'ab' * 32}.idx", "", f"packs/{'ab' * 32}.idx", "application/octet-stream"),
        ("dvc-like.json", "", "dvc-like.json", "application/json"),
        ("a/b/c", "", "a/b-c", "application/octet-stream"),
    ],
)
def test_how_an_object_looks(key: str, label: str, path: str, mime: str) -> None:
    look = naming.look_of(key, label)
    assert "/".join(filter(None, (look.folder, look.name))) == path
    assert look.mime == mime
    assert key in look.description


@given(st.text(max_size=400))
def test_whatever_the_label_a_name_is_short_and_plain(label: str) -> None:
    look = naming.look_of(KEY, label)
    for part in (*look.folder.split("/"), look.name):
        assert len(part) <= 140
        assert part not in (".", "..")
        assert "\\" not in part
        assert part.isprintable() or not any(ord(letter) < 32 for letter in part)
    assert look.name


@given(st.from_regex(r"[A-Za-z0-9._-]{1,200}(/[A-Za-z0-9._-]{1,100}){0,3}", fullmatch=True).filter(is_key))
def test_properties_fit_and_name_the_key(key: str) -> None:
    properties = naming.properties_of("s" * 44, key)
    assert all(len(name.encode()) + len(value.encode()) <= 124 for name, value in properties.items())
    assert len(properties) <= 10
    assert naming.key_of(properties) == key


def test_what_stands_in_a_query_is_quoted() -> None:
    assert naming.quoted("it's a \\") == "'it\\'s a \\\\'"


# ------------------------------------------------------------------------------ the pace


class Clock:
    """A clock that runs by sleeping alone."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.time = 0.0
        monkeypatch.setattr(pace, "now", lambda: self.time)
        monkeypatch.setattr(pace, "sleep_until", lambda moment: setattr(self, "time", max(self.time, moment)))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_new_files_are_bounded_after_a_burst(clock: Clock) -> None:
    measure = Pace()
    for _ in range(int(pace.CREATES_BURST)):
        measure.wait(creates=True)
    assert clock.time == 0
    for _ in range(30):
        measure.wait(creates=True)
    assert 30 / pace.CREATES - 1 <= clock.time <= 30 / pace.CREATES + 1


def test_a_refusal_halves_the_pace_and_successes_bring_it_back(clock: Clock) -> None:
    def seconds(count: int) -> float:
        begin = clock.time
        for _ in range(count):
            measure.wait(creates=True)
        return clock.time - begin

    measure = Pace()
    seconds(100)
    assert measure.refused(None, uploads=True)
    assert measure.refused(None, uploads=True)  # was under way at the same moment: counts once
    slow = seconds(20)
    assert slow > 1.6 * 20 / pace.CREATES
    for _ in range(60):
        measure.passed(uploads=True)
    assert seconds(20) < slow / 1.5


def test_everybody_waits_as_long_as_drive_asks(clock: Clock) -> None:
    measure = Pace()
    measure.refused(20, uploads=True)
    measure.wait(creates=False)
    assert 20 <= clock.time <= 22


def test_patience_ends_only_without_any_success(clock: Clock) -> None:
    measure = Pace()
    measure.refused(None, uploads=True)
    clock.time += pace.PATIENCE - 1
    assert measure.refused(None, uploads=True)
    measure.passed(uploads=False)  # reading says nothing of uploads
    clock.time += 2
    assert not measure.refused(None, uploads=True)
    measure.passed(uploads=True)
    assert measure.refused(None, uploads=True)


# ------------------------------------------------------------------------------ refusals


def answer(reason: str, message: str = "") -> bytes:
    return f'{{"error": {{"errors": [{{"reason": "{reason}"}}], "code": 403, "message": "{message}"}}}}'.encode()


@pytest.mark.parametrize(
    ("status", "reason", "kind"),
    [
        (403, "storageQuotaExceeded", RemoteQuota),
        (403, "dailyLimitExceeded", RemoteQuota),
        (403, "userRateLimitExceeded", RemoteUnavailable),
        (429, "", RemoteUnavailable),
        (423, "", RemoteUnavailable),
        (500, "backendError", RemoteUnavailable),
        (403, "insufficientFilePermissions", RemoteDenied),
        (403, "appNotAuthorizedToFile", RemoteDenied),
        (403, "neverHeardOf", RemoteDenied),
        (401, "authError", RemoteDenied),
    ],
)
def test_refusals_are_told_apart(status: int, reason: str, kind: type[DvcLikeError]) -> None:
    error = refusal(status, {}, answer(reason), "gdrive://x/y")
    assert type(error) is kind
    assert "gdrive://x/y" in error.message
    assert error.hint or kind is RemoteUnavailable
    assert is_too_fast(error) == (status in (429, 423) or "Rate" in reason)


def test_a_refusal_quotes_no_token_and_survives_any_body() -> None:
    token = "ya29." + "x" * 60
    assert token not in refusal(403, {}, answer("forbidden", f"bad {token}"), "p").message
    for body in (b"", b"<html>", b"[]", b'{"error": 1}', b'{"error": {"errors": 3}}', b"\xff" * 9):
        assert isinstance(refusal(503, {"retry-after": "7"}, body, "p"), RemoteUnavailable)
    assert getattr(refusal(503, {"retry-after": "7"}, b"", "p"), "retry_after", None) == 7


# ------------------------------------------------------------------------------ what is remembered


@pytest.fixture
def remembered(tmp_path: Path) -> Callable[[], State]:
    (tmp_path / ".dvc-like/tmp").mkdir(parents=True)
    return lambda: State(str(tmp_path), "gdrive-x")


def test_an_upload_is_found_again_for_the_same_source_alone(
    remembered: Callable[[], State], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = Begun("id", "https://x/upload?id=secret", "stamp")
    first = remembered()
    first.begin("k", upload)
    first.close()
    again = remembered()
    assert again.begun("k", "stamp") == upload
    assert again.begun("k", "another") is None
    assert again.begun("l", "stamp") is None
    (file,) = (tmp_path / ".dvc-like/tmp").glob("*.sqlite")
    if os.name == "posix":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    monkeypatch.setattr(state, "_LIFE", -1)
    assert again.begun("k", "stamp") is None
    again.end("k")
    again.close()


def test_files_are_forgotten_after_a_day_and_uploads_are_not(
    remembered: Callable[[], State], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = remembered()
    first.begin("k", Begun("id", "", "stamp"))
    first.save({"since": 10.0, "roots": ["r"]}, {"f": [1], "gone": None}, {"d": "r"})
    monkeypatch.setattr(state.time, "time", lambda: 20.0)
    head, files, folders = first.load()
    assert head.items() >= {"since": 10.0, "roots": ["r"]}.items()
    assert (files, folders) == ({"f": [1]}, {"d": "r"})
    monkeypatch.setattr(state.time, "time", lambda: 20.0 + 86_400)
    assert first.load() == ({}, {}, {})
    monkeypatch.undo()
    assert first.begun("k", "stamp") is not None
    first.close()


def test_without_a_project_it_is_kept_in_memory(tmp_path: Path) -> None:
    held = State(str(tmp_path), "gdrive-x")
    held.begin("k", Begun("id", "", "stamp"))
    assert held.begun("k", "stamp") is not None
    held.close()
    assert list(tmp_path.iterdir()) == []
