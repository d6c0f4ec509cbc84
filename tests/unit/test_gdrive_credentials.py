"""Credentials for Drive: which are taken, and what is said of each dead end. Asked of a server that gives tokens."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.servers.drive import ANNA, BERT, ROBOT, SCOPE, DriveServer

from dvc_like.errors import RemoteDenied, RemoteError, RemoteUnavailable, UsageError
from dvc_like.remote.gdrive import stored
from dvc_like.remote.gdrive.connection import Connection
from dvc_like.remote.gdrive.credentials import VARIABLE, account_of, explain, find
from dvc_like.remote.gdrive.place import parse
from dvc_like.remote.gdrive.stored import Login

posix = pytest.mark.skipif(os.name != "posix", reason="modes of this kind do not exist on this system")


@pytest.fixture(autouse=True)
def nothing_of_the_machine(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    for name in ("K_SERVICE", "CLOUDSDK_CONFIG", "NO_GCE_CHECK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("dvc_like.remote.gdrive.credentials._in_google_cloud", lambda: False)


def keep(server: DriveServer, account: str = ANNA, client: str = "one", **changes: Any) -> Login:
    """Have somebody logged in."""
    content = server.authorized_user(account, client, testing=changes.pop("testing", False))
    login = stored.decode(json.dumps({**content, "account": account}), "a test")
    made = replace(login, **changes)
    stored.save(made)
    return made


def credentials(options: dict[str, str], root: str = "") -> Any:
    """Return credentials that Google took."""
    connection = Connection(parse("gdrive://root", {}, ""), lambda: find(options, root))
    try:
        connection._sign({})
    finally:
        connection.close()
    return connection.credentials


def refused(options: dict[str, str] | None = None) -> RemoteError:
    """Return the error, after a look that no secret stands in it."""
    with pytest.raises(RemoteError) as caught:
        credentials(options or {})
    error = caught.value
    shown = " ".join([error.message, error.hint, *error.details])
    for secret in ("1//", "GOCSPX", "PRIVATE KEY", "ya29", "s3cr3t"):
        assert secret not in shown
    assert error.exit_code == 6
    assert error.hint
    return error


def write(path: Path, content: object) -> str:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


# ------------------------------------------------------------------------------ what is taken


def test_the_order_of_the_places(
    drive_server: DriveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    accounts = [f"{name}@example.com" for name in ("variable", "option", "login", "default")]
    by_variable, by_option, by_default = (
        write(tmp_path / f"{i}.json", {**drive_server.authorized_user(accounts[i]), "account": accounts[i]})
        for i in (0, 1, 3)
    )
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", by_default)
    assert account_of(credentials({})) == accounts[3]
    keep(drive_server, accounts[2])
    assert account_of(credentials({})) == accounts[2]
    options = {"credentials": by_option}
    assert account_of(credentials(options)) == accounts[1]
    monkeypatch.setenv(VARIABLE, by_variable)
    assert account_of(credentials(options)) == accounts[0]
    monkeypatch.setenv(VARIABLE, Path(by_default).read_text())
    assert account_of(credentials(options)) == accounts[3]
    assert [one.account for one in map(find, [options])] == accounts[3:]


def test_credentials_are_renewed_once_and_good_for_drive(drive_server: DriveServer) -> None:
    keep(drive_server)
    made = credentials({})
    assert made.valid
    assert drive_server.calls == {"token": 1}
    assert drive_server.requests[0].path == "/token"  # the login's own address, not Google's


def test_a_path_is_relative_to_the_project_and_may_begin_with_a_tilde(
    drive_server: DriveServer, tmp_path: Path, home: Path
) -> None:
    write(tmp_path / "key.json", drive_server.service_account())
    write(home / "key.json", drive_server.service_account())
    assert account_of(credentials({"credentials": "key.json"}, root=str(tmp_path))) == ROBOT
    assert account_of(credentials({"credentials": "~/key.json"}, root=str(tmp_path))) == ROBOT


def test_a_service_account_asks_for_what_is_needed(drive_server: DriveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, json.dumps(drive_server.service_account(delegates=(BERT,))))
    assert credentials({}).scopes == [SCOPE]
    assert credentials({"subject": BERT}).valid
    found = find({})
    assert (found.kind, found.account, found.place) == ("service account", ROBOT, VARIABLE)


def test_workload_identity_needs_no_key(
    drive_server: DriveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "token", drive_server.oauth.subject_token)
    monkeypatch.setenv(VARIABLE, json.dumps(drive_server.workload_identity(str(tmp_path / "token"))))
    assert find({}).kind == "workload identity"
    made = credentials({})
    assert made.valid
    assert account_of(made) == ROBOT


def test_what_other_programs_keep_is_understood(drive_server: DriveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    content = {key: text for key, text in drive_server.authorized_user().items() if key != "type"}
    monkeypatch.setenv(VARIABLE, json.dumps({**content, "_class": "OAuth2Credentials", "access_token": "ya29.old"}))
    assert credentials({}).valid


def test_profiles_and_clients_are_kept_apart(drive_server: DriveServer) -> None:
    anna, bert = keep(drive_server), keep(drive_server, BERT, profile="work")
    other = keep(drive_server, "eve@example.com", "two", profile="work")
    assert account_of(credentials({})) == ANNA
    assert account_of(credentials({"profile": "work", "clientid": bert.client_id})) == BERT
    assert account_of(credentials({"profile": "work", "clientid": other.client_id})) == "eve@example.com"
    error = refused({"profile": "work"})
    assert "2 logins" in error.message
    assert "clientid" in error.hint
    assert stored.everything() == sorted([anna, bert, other], key=lambda one: one.path)


# ------------------------------------------------------------------------------ nobody


def test_nobody_is_logged_in() -> None:
    error = refused()
    assert error.message == "nobody is logged in to Google Drive here"
    assert "dvc-like remote login NAME" in error.hint
    assert VARIABLE in error.hint


def test_another_profile_is_logged_in(drive_server: DriveServer) -> None:
    keep(drive_server, BERT, profile="work")
    error = refused()
    assert "with the profile default" in error.message
    (line,) = error.details
    assert "profile work" in line
    assert BERT in line


def test_outside_of_googles_cloud_no_metadata_server_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    import google.auth

    monkeypatch.setattr(google.auth, "default", lambda **_: pytest.fail("asked"))
    refused()


def test_in_googles_cloud_the_machine_is_somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    import google.auth

    monkeypatch.setattr("dvc_like.remote.gdrive.credentials._in_google_cloud", lambda: True)
    monkeypatch.setattr(google.auth, "default", lambda scopes: (scopes, "a project"))
    found = find({})
    assert (found.credentials, found.place) == ([SCOPE], "the metadata server")


def test_without_googles_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*sys.modules]:
        if name == "google.auth" or name.startswith("google.auth."):
            monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(RemoteError) as caught:
        find({})
    assert caught.value.hint == "Install them with: pip install 'dvc-like[gdrive]'"


# ------------------------------------------------------------------------------ what is given is not good


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("{", "the variable DVC_LIKE_GDRIVE_CREDENTIALS holds no JSON"),
        ('{"type": "s3cr3t"}', "holds no credentials of Google"),
        ('{"refresh_token": "s3cr3t"}', "holds no credentials of Google"),
        ('{"type": "service_account", "private_key": "s3cr3t"}', "holds no credentials of Google"),
        ('{"installed": {"client_secret": "s3cr3t"}}', "is an OAuth client"),
        ("/no/such/file", "/no/such/file (named by DVC_LIKE_GDRIVE_CREDENTIALS) cannot be read: No such file"),
        ("/", "cannot be read: Is a directory"),
        ("eyJzM2NyM3QiOiAxfQ==", "cannot be read: No such file"),  # base64 is no path
        ("/x\x1b[2J", "\\x1b[2J"),
    ],
)
def test_the_variable_is_no_good(monkeypatch: pytest.MonkeyPatch, given: str, said: str) -> None:
    monkeypatch.setenv(VARIABLE, given)
    assert said in refused().message


def test_a_file_that_is_no_json_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "key.json", "s3cr3t")
    assert refused({"credentials": path}).message == f"{path} (the option credentials) holds no JSON"
    (tmp_path / "key.json").write_bytes(b"\xff\xfe\x00")
    assert "holds no JSON" in refused({"credentials": path}).message


def test_what_gcloud_made_is_refused_with_the_reason(drive_server: DriveServer, home: Path) -> None:
    folder = home / ".config/gcloud"
    folder.mkdir(parents=True)
    gcloud = "764086051850-6qr4p6gpi6hn506pt8ejuq83di341hur.apps.googleusercontent.com"
    content = {**drive_server.authorized_user(), "client_id": gcloud}
    write(folder / "application_default_credentials.json", content)
    error = refused()
    assert "since June 2025" in error.message
    assert "(of gcloud)" in error.message
    assert "--client-id-file" in error.hint
    assert not drive_server.calls


def test_what_gcloud_made_with_a_client_of_ours_is_taken(drive_server: DriveServer, home: Path) -> None:
    folder = home / ".config/gcloud"
    folder.mkdir(parents=True)
    write(folder / "application_default_credentials.json", drive_server.authorized_user())
    assert credentials({}).valid


@posix
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_login_that_others_may_read_is_not_used(drive_server: DriveServer, mode: int) -> None:
    path = Path(keep(drive_server).path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == path.parent.parent.stat().st_mode & 0o777 == 0o700
    path.chmod(mode)
    error = refused()
    assert str(path) in error.message
    assert f"chmod 600 {path}" in error.hint
    path.chmod(0o600)
    path.parent.chmod(0o755)
    assert f"chmod 700 {path.parent}" in refused().hint
    assert not drive_server.calls


@posix
def test_a_link_is_no_login(drive_server: DriveServer, tmp_path: Path) -> None:
    path = Path(keep(drive_server).path)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert "cannot be read" in refused().message


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"client_id": "x"}', "\x00", '{"client_id": 1}'])
def test_a_damaged_login_is_named(drive_server: DriveServer, content: str) -> None:
    path = Path(keep(drive_server).path)
    path.write_text(content)
    error = refused()
    assert str(path) in error.message
    assert "dvc-like remote login NAME" in error.hint


@pytest.mark.parametrize("name", ["../x", "a/b", "a b", "-x", "é", "a\n", "." * 200])
def test_no_name_leads_out_of_the_folder(name: str) -> None:
    with pytest.raises(UsageError):
        credentials({"profile": name})
    with pytest.raises(UsageError):
        credentials({"clientid": name})


# ------------------------------------------------------------------------------ Google says no


def test_a_consent_screen_in_testing(drive_server: DriveServer) -> None:
    import time

    keep(drive_server, testing=True, made=int(time.time()) - 8 * 86_400)
    drive_server.advance(8 * 86_400)
    error = refused()
    assert "after 7 days while the consent screen is in 'Testing'" in error.message
    assert ANNA in error.message
    assert "'In production'" in error.hint


def test_a_login_that_was_withdrawn(drive_server: DriveServer) -> None:
    import time

    keep(drive_server, made=int(time.time()))
    drive_server.oauth.revoke_all()
    error = refused()
    assert f"the login of {ANNA} is over" in error.message
    assert "dvc-like remote login NAME" in error.hint


def test_a_client_that_is_gone(drive_server: DriveServer) -> None:
    keep(drive_server)
    drive_server.oauth.clients.clear()
    assert "does not know the OAuth client" in refused().message


def test_keys_of_service_accounts(drive_server: DriveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    key = drive_server.service_account()
    monkeypatch.setenv(VARIABLE, json.dumps(key))
    assert "may not act for the user" in refused({"subject": BERT}).message
    drive_server.advance(86_400)
    assert "clock is wrong" in refused().message
    drive_server.advance(-86_400)
    drive_server.oauth.robots.clear()
    error = refused()
    assert f"does not take the key of the service account of {ROBOT}" in error.message


def test_a_job_without_an_identity(drive_server: DriveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = drive_server.workload_identity(str(tmp_path / "token"))
    monkeypatch.setenv(VARIABLE, json.dumps(content))
    assert "was not taken by the workload identity pool" in refused().message  # no token at all
    write(tmp_path / "token", "s3cr3t")
    assert "was not taken by the workload identity pool" in refused().message
    write(tmp_path / "token", drive_server.oauth.subject_token)
    drive_server.oauth.robots.clear()
    assert "may not act for the service account" in refused().message


def test_no_network(drive_server: DriveServer) -> None:
    keep(drive_server, token_uri="http://127.0.0.1:9/token")
    assert isinstance(refused(), RemoteUnavailable)


def test_a_sign_in_service_that_is_busy(drive_server: DriveServer) -> None:
    keep(drive_server)
    made = find({}).credentials
    from google.auth.exceptions import RefreshError

    assert isinstance(explain(RefreshError("x", retryable=True), made), RemoteUnavailable)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("invalid_grant: reauth related error (invalid_rapt)", "wants the login of anna@example.com to be renewed"),
        ("invalid_scope: Bad Request", "a permission (scope) is missing"),
        ("deleted_client: The OAuth client was deleted.", "does not know the OAuth client"),
        ("never_seen: 1//s3cr3t", "(never_seen)"),
        ("1//s3cr3t", "(without a known code)"),
    ],
)
def test_other_answers(answer: str, said: str) -> None:
    from google.auth.exceptions import RefreshError
    from google.oauth2.credentials import Credentials

    found = explain(RefreshError(answer, {"error": "x"}), Credentials(None, refresh_token="1//", account=ANNA))
    assert isinstance(found, RemoteDenied)
    assert said in found.message
    assert "1//" not in found.message


def test_a_login_is_shown_without_its_secrets(drive_server: DriveServer) -> None:
    login = keep(drive_server)
    for text in (repr(login), str(login), repr(find({}))):
        assert "1//" not in text
        assert "GOCSPX" not in text
