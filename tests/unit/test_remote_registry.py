"""From URL to backend: what is recognised, refused, loaded late, and never shown."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvc_like.errors import RemoteError, UsageError
from dvc_like.remote.base import Backend
from dvc_like.remote.local import LocalBackend
from dvc_like.remote.memory import MemoryBackend
from dvc_like.remote.registry import check_url, open_backend, redact, scheme_of


@pytest.mark.parametrize(
    ("url", "scheme"),
    [
        *(("s3://bucket/a", "s3"), ("GDRIVE://id", "gdrive"), ("file:///x", "file"), ("memory://m", "memory")),
        *(("fsspec+gs://b", "fsspec+gs"), ("/a/b", ""), ("../store", ""), ("~/store", ""), ("", "")),
        *(("C:\\store", ""), ("c://store", ""), ("D:/store", ""), ("host:path", ""), ("a/b://c", ""), ("://x", "")),
    ],
)
def test_scheme(url: str, scheme: str) -> None:
    assert scheme_of(url) == scheme


@pytest.mark.parametrize("url", ["", "  ", "a\nb", "s3://b/\x1b[2J", "/x\x00", "s3://b\x7f", "caf\udce9", "a\u2028b"])
def test_no_url(url: str) -> None:
    with pytest.raises(UsageError) as raised:
        check_url(url)
    assert raised.value.message.isprintable()
    with pytest.raises(UsageError):
        open_backend(url, {}, "/")


def test_a_refused_url_is_shown_without_its_password() -> None:
    with pytest.raises(UsageError) as raised:
        check_url("s3://user:hunter2@host/\n")
    assert "hunter2" not in raised.value.message


@pytest.mark.parametrize("url", ["s3://bucket/a b", "/tmp/ünïcödé", "x", "gdrive://1A-b_c", "nobody+serves://x"])
def test_urls_that_may_be_written_down(url: str) -> None:
    check_url(url)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("s3://bucket/prefix", "s3://bucket/prefix"),
        ("https://user:secret@host/p", "https://user:***@host/p"),
        ("https://user@host/p", "https://user@host/p"),
        ("https://host:8080/p@q", "https://host:8080/p@q"),
        ("https://:secret@host", "https://:***@host"),
        ("s3://AKIA:ab/cd+ef@bucket/p", "s3://AKIA:***@bucket/p"),  # a slash that ought to be written %2F
        ("s3://AKIA:p@ss:w@bucket", "s3://AKIA:***@bucket"),
        ("https://h/p?token=abc&user=me", "https://h/p?token=***&user=***"),
        ("https://h/p?a=b=c#frag", "https://h/p?a=***#***"),
        ("https://u:123@host/", "https://u:***@host/"),
        ("/a:b@c?d=e", "/a:b@c?d=e"),
    ],
)
def test_redact(url: str, shown: str) -> None:
    assert redact(url) == shown


@given(password=st.text(st.characters(blacklist_characters="?#", min_codepoint=33, max_codepoint=126), min_size=1))
def test_no_password_is_shown(password: str) -> None:
    assert redact(f"s3://user:~{password}@bucket/p") == "s3://user:***@bucket/p"


def test_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = str(tmp_path / "project")

    def opened(url: str) -> str:
        backend = open_backend(url, {}, root)
        assert isinstance(backend, LocalBackend)
        return backend.path

    assert opened("/abs/store/") == "/abs/store"
    assert opened("../store") == str(tmp_path / "store")
    assert opened("store") == f"{root}/store"
    assert opened("~/store") == os.path.join(os.environ["HOME"], "store")
    assert opened("file:///abs/a%20b%2525") == "/abs/a b%25"
    assert opened("file://localhost/abs") == "/abs"
    for url in ("file://other/abs", "file://", "file://relative"):
        with pytest.raises(UsageError):
            opened(url)
    assert os.listdir(tmp_path) == []  # opening touches nothing


def test_memory() -> None:
    assert isinstance(open_backend("memory://x", {}, "/"), MemoryBackend)
    with pytest.raises(UsageError):
        open_backend("memory://", {}, "/")


# ------------------------------------------------------------------------------ plug-ins


def make(url: str, options: dict[str, str], root: str) -> Backend:
    return MemoryBackend(f"{url} {options['colour']} {root}")


def make_nothing(url: str, options: dict[str, str], root: str) -> object:
    return object()


def plug_in(monkeypatch: pytest.MonkeyPatch, *points: tuple[str, str]) -> None:
    found = [EntryPoint(name, value, "dvc_like.backends") for name, value in points]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda *, group: found if group == found[0].group else [])
    monkeypatch.setitem(sys.modules, "plug_in_of_the_test", sys.modules[__name__])


def test_a_plug_in_serves_its_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    plug_in(monkeypatch, ("other", "nowhere:x"), ("xs", "plug_in_of_the_test:make"))
    backend = open_backend("XS://bucket", {"colour": "red"}, "/root")
    assert isinstance(backend, MemoryBackend)
    assert backend._name == "XS://bucket red /root"


def test_a_plug_in_cannot_take_over_a_built_in_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    plug_in(monkeypatch, ("memory", "plug_in_of_the_test:make"), ("file", "plug_in_of_the_test:make"))
    assert open_backend("memory://x", {}, "/").__dict__["_name"] == "x"
    assert isinstance(open_backend("file:///x", {}, "/"), LocalBackend)


@pytest.mark.parametrize(
    ("points", "said"),
    [
        ([("xy", "nowhere_at_all:make")], "nowhere_at_all"),
        ([("xy", "plug_in_of_the_test:missing")], "missing"),
        ([("xy", "plug_in_of_the_test:make_nothing")], "not a backend"),
        ([("xy", "plug_in_of_the_test:make"), ("xy", "plug_in_of_the_test:make_nothing")], "several"),
        ([("zz", "plug_in_of_the_test:make")], "xy://"),
    ],
)
def test_plug_ins_that_cannot_be_used(
    monkeypatch: pytest.MonkeyPatch, points: list[tuple[str, str]], said: str
) -> None:
    plug_in(monkeypatch, *points)
    with pytest.raises(RemoteError) as raised:
        open_backend("xy://a:secret@b", {"colour": "red"}, "/")
    assert said in raised.value.message
    assert raised.value.exit_code == 6
    assert raised.value.hint
    assert "secret" not in raised.value.message + raised.value.hint


def test_the_same_plug_in_found_twice_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    plug_in(monkeypatch, ("xy", "plug_in_of_the_test:make"), ("xy", "plug_in_of_the_test:make"))
    assert open_backend("xy://", {"colour": "red"}, "/")


def test_a_scheme_nobody_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    plug_in(monkeypatch, ("zz", "plug_in_of_the_test:make"))
    with pytest.raises(RemoteError) as raised:
        open_backend("sssh://bucket", {}, "/")
    assert "sssh://" in raised.value.message
    assert "nothing installed" in raised.value.message
    assert "dvc_like.backends" in raised.value.hint
    for known in ("a folder", "file://", "memory://", "zz://"):
        assert known in raised.value.hint


def test_nothing_is_loaded_before_it_is_used() -> None:
    code = (
        "import sys\n"
        "from dvc_like.remote.registry import check_url, open_backend\n"
        "check_url('s3://b')\n"
        "print([name for name in sys.modules if name.startswith('dvc_like.remote.')])\n"
        "open_backend('/x', {}, '/')\n"
        "print('dvc_like.remote.memory' in sys.modules, 'importlib.metadata' in sys.modules)\n"
    )
    # -S: an environment with .pth files may load anything at start.
    words = [sys.executable, "-S", "-c", code]
    path = os.pathsep.join(each for each in sys.path if each)
    out = subprocess.run(
        words, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": path}
    ).stdout.splitlines()
    assert sorted(eval(out[0])) == ["dvc_like.remote.base", "dvc_like.remote.registry"]
    assert out[1] == "False False"


def test_a_driver_whose_package_is_broken_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> object:
        raise ImportError("libssl.so.3: cannot open shared object file", name="cryptography")

    monkeypatch.setattr("importlib.import_module", broken)
    with pytest.raises(RemoteError, match=r"cannot be loaded: libssl\.so\.3"):
        open_backend("s3://bucket", {}, "/")


def test_a_fault_of_our_own_is_no_broken_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(name: str) -> object:
        raise ImportError("cannot import name 'x'", name="dvc_like.remote.s3")

    monkeypatch.setattr("importlib.import_module", faulty)
    with pytest.raises(ImportError, match="'x'"):
        open_backend("s3://bucket", {}, "/")
