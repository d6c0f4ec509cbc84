"""The adapter for fsspec without a server: urls, settings, errors, names that lead elsewhere, packages that lack."""

from __future__ import annotations

import errno
import io
import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dvc_like.config import check_tracked
from dvc_like.errors import (
    ConfigError,
    DvcLikeError,
    RemoteDenied,
    RemoteError,
    RemoteNotFound,
    RemoteQuota,
    RemoteUnavailable,
    UsageError,
)
from dvc_like.remote.fsspec import FsspecBackend, Kind, open_url, settings
from dvc_like.remote.fsspec_errors import told
from dvc_like.remote.registry import check_url, open_backend

pytest.importorskip("fsspec", reason="fsspec is not installed (extra fsspec)")

# ------------------------------------------------------------------------------ urls and settings

TRACKED = (
    *("fsspec+sftp://host/folder", "fsspec+ssh://me@host:2222/~/store", "FSSPEC+SFTP://h/x", "fsspec+gs://bucket/a b"),
    *("fsspec+gcs://bucket", "fsspec+az://box@account.dfs.core.windows.net/x", "fsspec+abfs://box/x"),
)
NOT_TRACKED = (
    *("fsspec+file:///x", "fsspec+local:///x", "fsspec+memory://x", "fsspec+http://127.0.0.1/x", "fsspec+https://h/x"),
    *("fsspec+github://o:r@x/y", "fsspec+simplecache::s3://b", "fsspec+zip://a::sftp://h/x", "fsspec+sftp::http://h"),
    *("fsspec+gs://b/x::file:///etc", "fsspec+gs://b?endpoint=x", "fsspec+az://a@evil\\.blob.core.windows.net/x"),
    *("fsspec+sftp://me:secret@host/x", "fsspec+ gs://b::x", "fsspec+sftp://", "fsspec+reference://x", "fsspec+gs:/x"),
)


@pytest.mark.parametrize("url", TRACKED)
def test_places_that_a_tracked_file_may_name(url: str) -> None:
    assert check_tracked("remote", "url", url) is None


@pytest.mark.parametrize("url", NOT_TRACKED)
def test_places_that_it_may_not(url: str) -> None:
    assert check_tracked("remote", "url", url)


def test_settings_are_never_tracked() -> None:
    assert check_tracked("remote", "fsspec", "{}")


@pytest.mark.parametrize("url", ["fsspec+simplecache::s3://b", "fsspec+zip:a", "fsspec+"])
def test_a_chain_is_not_taken_for_a_folder(url: str) -> None:
    with pytest.raises(UsageError):
        check_url(url)


BAD_URLS = (
    *("fsspec+zip://a.zip::file:///etc", "fsspec+gs://b/x?y=1", "fsspec+gs://b/x#1", "fsspec+gs://b/*", "fsspec+gs://"),
    *(
        "fsspec+file://relative",
        "fsspec+local://",
        "fsspec+sftp://host",
        "fsspec+sftp:///x",
        "fsspec+sftp://-oProxyCommand=x/y",
        "fsspec+sftp://$(id)/x",
    ),
    *("fsspec+sftp://h:port/x", "fsspec+sftp://-o@h/x", "fsspec+sftp://a%20b@h/x", "fsspec+ssh://h/"),
)


@pytest.mark.parametrize("url", BAD_URLS)
def test_urls_that_are_refused(url: str) -> None:
    with pytest.raises(UsageError):
        open_backend(url, {}, "/")


def test_the_parts_of_a_url_of_ssh() -> None:
    target = pytest.importorskip("dvc_like.remote.fsspec_sftp").target_of
    assert target("host/a/b/") == ("host", None, None, None, "/a/b")
    assert target("me:p%40ss@[::1]:2222/~/store") == ("::1", 2222, "me", "p@ss", "store")
    assert target("DOMAIN%5Cme@h/with%20blank") == ("h", None, "DOMAIN\\me", None, "/with blank")


@pytest.mark.parametrize("text", ["[]", "1", "{", "{'a': 1}", "[" * 100_000])
def test_settings_are_a_json_object(text: str) -> None:
    with pytest.raises(ConfigError):
        settings({"fsspec": text})


def test_a_token_goes_with_the_account_it_is_of() -> None:
    with pytest.raises(ConfigError, match="sas_token"):
        open_url("fsspec+az://box/x", {"fsspec": '{"sas_token": "x"}'}, "/")
    open_url("fsspec+az://box/x", {"fsspec": '{"sas_token": "x", "account_name": "mine"}'}, "/")


def test_no_password_is_named() -> None:
    with pytest.raises(DvcLikeError) as raised:
        open_url("fsspec+nothing://me:secret@host/x", {}, "/").stat(["a"])
    assert "secret" not in f"{raised.value.message}{raised.value.hint}"


# ------------------------------------------------------------------------------ packages


def test_a_protocol_whose_package_lacks() -> None:
    for url, package in (("fsspec+gs://b/x", "gcsfs"), ("fsspec+az://b/x", "adlfs")):
        if package in sys.modules:
            continue
        with pytest.raises(RemoteError, match="is not installed") as raised:
            open_url(url, {}, "/").stat(["a"])
        assert f"pip install {package}" in raised.value.hint
    with pytest.raises(RemoteDenied, match="nothing"):
        open_url("fsspec+nothing://x", {}, "/").stat(["a"])


@pytest.mark.parametrize(("package", "url"), [("fsspec", "fsspec+memory://x"), ("paramiko", "fsspec+sftp://h/x")])
def test_a_package_that_lacks_is_named(package: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, "dvc_like.remote.fsspec_sftp", raising=False)
    with pytest.raises(RemoteError, match=f"{package} is needed") as raised:
        open_backend(url, {}, "/").stat(["a"])
    assert "pip install 'dvc-like[fsspec]'" in raised.value.hint


def test_nothing_is_loaded_before_it_is_used() -> None:
    program = (
        "import sys; from dvc_like.remote.registry import open_backend; "
        "open_backend('fsspec+memory://x', {}, '/'); print(*{'fsspec', 'paramiko'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


# ------------------------------------------------------------------------------ errors


def _of(name: str, base: type[Exception] = Exception, **attributes: Any) -> Exception:
    return type(name, (base,), attributes)("words")


ERRORS = [
    (FileNotFoundError(2, "No such file"), RemoteNotFound),
    (NotADirectoryError(20, "x"), RemoteNotFound),
    (PermissionError(13, "Permission denied"), RemoteDenied),
    (OSError(errno.EROFS, "Read-only file system"), RemoteDenied),
    (OSError(errno.ENOSPC, "No space left on device"), RemoteQuota),
    (ConnectionRefusedError(111, "x"), RemoteUnavailable),
    (ConnectionResetError(104, "x"), RemoteUnavailable),
    (TimeoutError("timed out"), RemoteUnavailable),
    (socket.gaierror(-2, "Name or service not known"), RemoteUnavailable),
    (EOFError(), RemoteUnavailable),
    (OSError("Failure"), RemoteDenied),
    (NotImplementedError("read-only"), RemoteDenied),
    (_of("AuthenticationException"), RemoteDenied),
    (_of("BadHostKeyException"), RemoteDenied),
    (_of("SSHException"), RemoteUnavailable),
    (_of("DefaultCredentialsError"), RemoteDenied),
    (_of("HttpError", code=401), RemoteDenied),
    (_of("HttpError", code="403"), RemoteDenied),
    (_of("HttpResponseError", status_code=404), RemoteNotFound),
    (_of("HttpResponseError", status_code=429), RemoteUnavailable),
    (_of("ClientResponseError", status=503), RemoteUnavailable),
    (_of("HttpResponseError", status_code=507), RemoteQuota),
    (ValueError("odd"), RemoteError),
]


@pytest.mark.parametrize(("error", "kind"), ERRORS, ids=lambda value: type(value).__name__)
def test_every_error_becomes_one_of_ours(error: Exception, kind: type[RemoteError]) -> None:
    with pytest.raises(RemoteError) as raised, told("gs://bucket/key"):
        raise error
    assert type(raised.value) is kind
    assert raised.value.message.startswith("gs://bucket/key")


def test_no_secret_of_an_answer_is_shown() -> None:
    secret = "sig=abcdefghijklmnopqrstuvwxyz0123456789%2FABCDEF%3D"
    with pytest.raises(RemoteError) as raised, told("az://box/key"):
        raise OSError(f"refused: https://h/x?{secret}\x1b[2J")
    assert secret not in raised.value.message
    assert raised.value.message.isprintable()


# ------------------------------------------------------------------------------ what a store may answer


class Hostile:
    """A file system whose listings hold what they should not."""

    root_marker = "/"

    def __init__(self, names: list[tuple[str, str]]) -> None:
        self._names = names

    def _strip_protocol(self, url: str) -> str:
        return "/root"

    def invalidate_cache(self) -> None:
        pass

    def ls(self, path: str, detail: bool) -> list[dict[str, Any]]:
        return [{"name": name, "type": kind, "size": None} for name, kind in self._names]

    def find(self, path: str, detail: bool) -> dict[str, dict[str, Any]]:
        return {name: {"name": name, "type": "file", "size": 1} for name, _ in self._names}

    def info(self, path: str) -> dict[str, Any]:
        return {"type": "directory"}


NAMES = [
    *(("/etc/passwd", "file"), ("/root/../x", "file"), ("/root/..", "directory"), ("/root/.", "directory")),
    *(("/root/a/b/../../../x", "file"), ("/root/a\x1b[2J", "file"), ("/root/", "directory"), ("/root/ü", "file")),
    *(("/root2/x", "file"), ("/root/tmp", "directory"), ("../x", "file"), ("/root/good", "file")),
]


@pytest.mark.parametrize("flat", [True, False])
def test_names_that_lead_elsewhere_are_not_listed(flat: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = FsspecBackend("odd", "root", {}, Kind("odd", flat=flat))
    monkeypatch.setattr(backend, "_open", lambda: Hostile(NAMES))
    assert [key for key, _ in backend.list("")] == ["good"]


def test_a_folder_that_holds_itself_comes_to_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(Hostile):
        def ls(self, path: str, detail: bool) -> list[dict[str, Any]]:
            return [{"name": f"{path}/{'d' * 100}", "type": "directory"}, {"name": f"{path}/f", "type": "file"}]

    backend = FsspecBackend("odd", "root", {}, Kind("odd"))
    monkeypatch.setattr(backend, "_open", lambda: Endless([]))
    assert max(len(key) for key, _ in backend.list("")) <= 512


def test_a_broken_transfer_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = open_url(f"fsspec+file://{tmp_path}/store", {}, "/")
    backend.put("a", b"old")
    monkeypatch.setattr(backend, "_write", lambda files, temp, data: files.pipe_file(temp, b"ne"))
    with pytest.raises(RemoteUnavailable, match="2 bytes of 3"):
        backend.put("a", b"new")
    sink = io.BytesIO()
    backend.get("a", sink)
    assert sink.getvalue() == b"old"
    assert list((tmp_path / "store/tmp").iterdir()) == []


def test_settings_reach_the_file_system(tmp_path: Path) -> None:
    given = json.dumps({"auto_mkdir": "yes"})
    backend = open_url(f"fsspec+file://{tmp_path}/store", {"fsspec": given}, "/")
    with backend._lent() as files:
        assert files.auto_mkdir == "yes"
