"""Signing in at the Drive server with google-auth: browser and PKCE, refresh tokens, keys, other providers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from tests.servers.drive import ANNA, BERT, ROBOT, SCOPE, SCOPE_FILE, DriveServer
from tests.servers.drive.client import Client

pytest.importorskip("google.auth", reason="google-auth is not installed (extra gdrive)")

import requests
from google.auth.exceptions import RefreshError
from googleapiclient.errors import HttpError

DAY = 24 * 3600
REDIRECT = "http://127.0.0.1:65530/"


def who(client: Client) -> str:
    found: str = client.service.about().get(fields="user(emailAddress)").execute()["user"]["emailAddress"]
    return found


# ------------------------------------------------------------------------------ the browser


def flow_of(server: DriveServer, monkeypatch: pytest.MonkeyPatch, *scopes: str) -> Any:
    from google_auth_oauthlib.flow import InstalledAppFlow

    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    flow = InstalledAppFlow.from_client_config(server.client_secrets(), scopes or [SCOPE])
    flow.redirect_uri = REDIRECT
    return flow


def browse(address: str) -> str:
    """Follow a link as a browser does, as far as the server sends it."""
    with requests.get(address, allow_redirects=False, timeout=30) as answer:
        assert answer.status_code == 302
        return answer.headers["Location"]


def exchange(flow: Any, back: str) -> Any:
    with flow.oauth2session:
        flow.fetch_token(authorization_response=back.replace("http://", "https://"))
        return flow.credentials


def test_a_browser_comes_back_with_a_code_that_is_good_once(
    drive_server: DriveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = flow_of(drive_server, monkeypatch)
    address, state = flow.authorization_url()
    assert address.startswith(drive_server.auth_uri)
    back = browse(address)
    assert back.startswith(REDIRECT)
    assert parse_qs(urlsplit(back).query)["state"] == [state]
    made = exchange(flow, back)
    info = drive_server.authorized_user() | {"refresh_token": made.refresh_token}
    with Client(drive_server, info) as client:
        assert who(client) == ANNA
    code, verifier = parse_qs(urlsplit(back).query)["code"][0], flow.code_verifier
    again = token(drive_server, grant_type="authorization_code", code=code, code_verifier=verifier)
    assert again == (400, "invalid_grant")


def token(server: DriveServer, **form: str) -> tuple[int, str]:
    secrets = server.client_secrets()["installed"]
    known = {name: secrets[name] for name in ("client_id", "client_secret")} | {"redirect_uri": REDIRECT}
    with requests.post(server.token_uri, data=known | form, timeout=30) as answer:
        return answer.status_code, answer.json().get("error", "")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"code_verifier": "x" * 43}, "invalid_grant"),
        ({"code_verifier": ""}, "invalid_grant"),
        ({"redirect_uri": "http://127.0.0.1:1/"}, "redirect_uri_mismatch"),
        ({"code": "4/other"}, "invalid_grant"),
        ({"client_id": "nobody"}, "invalid_client"),
        ({"client_secret": "wrong"}, "invalid_client"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
    ],
)
def test_a_code_is_exchanged_by_whoever_asked_for_it(
    drive_server: DriveServer, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, str], said: str
) -> None:
    flow = flow_of(drive_server, monkeypatch)
    back = parse_qs(urlsplit(browse(flow.authorization_url()[0])).query)
    form = {"grant_type": "authorization_code", "code": back["code"][0], "code_verifier": flow.code_verifier}
    assert token(drive_server, **form | wrong)[1] == said


def test_a_person_says_no_or_yes_to_less(drive_server: DriveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    flow = flow_of(drive_server, monkeypatch, SCOPE, SCOPE_FILE)
    drive_server.oauth.refuses = True
    assert "error=access_denied" in browse(flow.authorization_url()[0])
    drive_server.oauth.refuses = False
    drive_server.oauth.account = BERT
    drive_server.oauth.granted = frozenset({SCOPE_FILE})
    back = browse(flow.authorization_url()[0])
    assert parse_qs(urlsplit(back).query)["scope"] == [SCOPE_FILE]


@pytest.mark.parametrize(
    "without", ["state", "code_challenge", "code_challenge_method", "response_type", "access_type", "scope"]
)
def test_an_authorization_request_must_be_whole(drive_server: DriveServer, without: str) -> None:
    asked = {
        "client_id": drive_server.client_secrets()["installed"]["client_id"],
        "redirect_uri": REDIRECT,
        "response_type": "code",
        "scope": SCOPE,
        "state": "s",
        "access_type": "offline",
        "code_challenge": "c",
        "code_challenge_method": "S256",
    }
    assert browse(f"{drive_server.auth_uri}?{urlencode(asked)}").startswith(REDIRECT)
    del asked[without]
    with requests.get(f"{drive_server.auth_uri}?{urlencode(asked)}", timeout=30) as answer:
        assert answer.status_code == 400
    assert f"no good {without}" in drive_server.violations.pop()


def test_the_way_back_leads_to_this_machine(drive_server: DriveServer) -> None:
    known = {"client_id": drive_server.client_secrets()["installed"]["client_id"]}
    for redirect in ("urn:ietf:wg:oauth:2.0:oob", "https://example.com/"):
        address = f"{drive_server.auth_uri}?{urlencode(known | {'redirect_uri': redirect})}"
        with requests.get(address, timeout=30) as answer:
            assert (answer.status_code, "out-of-band" in answer.text) == (400, True)
    with requests.get(f"{drive_server.auth_uri}?client_id=x", timeout=30) as answer:
        assert (answer.status_code, "invalid_client" in answer.text) == (401, True)


# ------------------------------------------------------------------------------ tokens that end


def test_an_access_token_ends_and_the_client_gets_another(drive_server: DriveServer) -> None:
    with Client(drive_server, drive_server.authorized_user()) as client:
        assert who(client) == ANNA
        drive_server.oauth.expire()
        assert who(client) == ANNA
        assert drive_server.calls["token"] == 2
        drive_server.advance(3601)
        assert client.session.get(drive_server.url + "drive/v3/about?fields=user").status_code == 200
        assert drive_server.calls["token"] == 3
    assert [call.status for call in drive_server.requests if call.name == "about.get"] == [200, 401, 200, 401, 200]


def test_no_token_is_refused_as_drive_does(drive_server: DriveServer) -> None:
    with requests.get(drive_server.url + "drive/v3/about?fields=user", timeout=30) as answer:
        assert answer.status_code == 401
        assert answer.json()["error"]["errors"][0]["reason"] == "authError"
        assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


def revoked_by_hand(server: DriveServer, info: dict[str, Any]) -> None:
    server.oauth.revoke_all()


def revoked_by_the_client(server: DriveServer, info: dict[str, Any]) -> None:
    for status in (200, 400):
        with requests.post(server.url + "revoke", data={"token": info["refresh_token"]}, timeout=30) as answer:
            assert answer.status_code == status


@pytest.mark.parametrize("how", [revoked_by_hand, revoked_by_the_client])
def test_a_grant_is_taken_back(drive_server: DriveServer, how: Callable[[DriveServer, dict[str, Any]], None]) -> None:
    info = drive_server.authorized_user()
    with Client(drive_server, info) as client:
        how(drive_server, info)
        with pytest.raises(RefreshError, match=r"invalid_grant.*expired or revoked"):
            client.files.list().execute()


@pytest.mark.parametrize(("testing", "lives"), [(False, True), (True, False)])
def test_a_client_in_testing_is_let_in_for_a_week(drive_server: DriveServer, testing: bool, lives: bool) -> None:
    info = drive_server.authorized_user(client="in-testing", testing=testing)
    drive_server.advance(8 * DAY)
    if lives:
        Client(drive_server, info).__exit__()
        return
    with pytest.raises(RefreshError, match="invalid_grant"):
        Client(drive_server, info)


def test_a_token_is_no_good_for_more_than_was_granted(drive_server: DriveServer) -> None:
    info = drive_server.authorized_user(scopes=(SCOPE_FILE,))
    form = {name: info[name] for name in ("client_id", "client_secret", "refresh_token")}
    assert token(drive_server, grant_type="refresh_token", scope=SCOPE, **form) == (400, "invalid_scope")
    assert token(drive_server, grant_type="refresh_token", scope=SCOPE_FILE, **form) == (200, "")


# ------------------------------------------------------------------------------ machines


def test_a_service_account_signs_with_its_key(drive_server: DriveServer) -> None:
    info = drive_server.service_account()
    with Client(drive_server, info) as client:
        assert who(client) == ROBOT
    with pytest.raises(RefreshError, match="account not found"):
        Client(drive_server, info | {"client_email": "other@project.iam.gserviceaccount.com"})
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    other = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(RefreshError, match="Invalid JWT Signature"):
        Client(drive_server, info | {"private_key": other.decode()})
    drive_server.advance(2 * 3600)
    with pytest.raises(RefreshError, match="short-lived"):
        Client(drive_server, info)


def test_a_service_account_stands_for_those_it_was_given(drive_server: DriveServer) -> None:
    from google.auth.transport.requests import Request
    from google.oauth2 import service_account

    info = drive_server.service_account(delegates=(ANNA,))
    robot = service_account.Credentials.from_service_account_info(info, scopes=[SCOPE])
    with requests.Session() as session:
        anna = robot.with_subject(ANNA)
        anna.refresh(Request(session))
        assert anna.token
        with pytest.raises(RefreshError, match="unauthorized_client"):
            robot.with_subject(BERT).refresh(Request(session))


def test_a_job_elsewhere_becomes_a_service_account(drive_server: DriveServer, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(drive_server.oauth.subject_token)
    with Client(drive_server, drive_server.workload_identity(str(file))) as client:
        assert who(client) == ROBOT
    assert drive_server.calls == {"token": 1, "impersonate": 1, "about.get": 1}
    file.write_text("something else")
    with pytest.raises(Exception, match="invalid_grant"):
        Client(drive_server, drive_server.workload_identity(str(file)))


def test_tokens_of_two_clients_are_two_apps(drive_server: DriveServer) -> None:
    with Client(drive_server, drive_server.authorized_user(scopes=(SCOPE_FILE,)), [SCOPE_FILE]) as one:
        made = one.files.create(body={"name": "a"}).execute()["id"]
    with Client(drive_server, drive_server.authorized_user(client="two", scopes=(SCOPE_FILE,)), [SCOPE_FILE]) as two:
        with pytest.raises(HttpError) as error:
            two.files.get(fileId=made).execute()
        assert error.value.resp.status == 404
