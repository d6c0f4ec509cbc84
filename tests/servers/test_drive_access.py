"""Who may do what on the Drive server: roles, shared drives, service accounts, scopes, and what nobody may ask."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.servers.drive import ANNA, BERT, ROBOT, SCOPE_FILE, SCOPE_METADATA, SCOPE_READONLY, DriveServer
from tests.servers.drive.client import Client

pytest.importorskip("googleapiclient", reason="google-api-python-client is not installed (extra gdrive)")

from googleapiclient.errors import HttpError
from googleapiclient.http import MediaInMemoryUpload

Open = Callable[..., Client]


@pytest.fixture
def as_user(drive_server: DriveServer) -> Iterator[Open]:
    """Sign somebody in: ``as_user(BERT, scopes=(...))``."""
    opened: list[Client] = []

    def sign_in(email: str = ANNA, **options: Any) -> Client:
        scopes = list(options.get("scopes", ())) or None
        opened.append(Client(drive_server, drive_server.authorized_user(email, **options), scopes))
        return opened[-1]

    yield sign_in
    for client in opened:
        client.__exit__()


def refused(call: Any) -> tuple[int, str]:
    with pytest.raises(HttpError) as error:
        call.execute()
    return error.value.resp.status, error.value.error_details[0]["reason"]


def can(client: Client, file_id: str, *names: str) -> dict[str, bool]:
    answer = client.files.get(fileId=file_id, supportsAllDrives=True, fields="capabilities").execute()
    return {name: answer["capabilities"][name] for name in names}


# ------------------------------------------------------------------------------ My Drive


def test_what_is_not_shared_does_not_exist(drive_server: DriveServer, as_user: Open) -> None:
    made = drive_server.file("a", b"x")
    bert = as_user(BERT)
    for call in (bert.files.get(fileId=made), bert.files.get_media(fileId=made), bert.files.delete(fileId=made)):
        with pytest.raises(HttpError) as error:
            call.execute()
        assert error.value.resp.status == 404
        assert error.value.reason == f"File not found: {made}."
    assert bert.files.list().execute()["files"] == []


def test_a_reader_reads_and_a_writer_writes(drive_server: DriveServer, as_user: Open) -> None:
    folder = drive_server.folder("data")
    made = drive_server.file("a", b"x", folder)
    bert, upload = as_user(BERT), MediaInMemoryUpload(b"y")
    drive_server.share(folder, BERT, "reader")
    assert bert.files.get_media(fileId=made).execute() == b"x"
    assert not can(bert, folder, "canAddChildren")["canAddChildren"]
    body = {"name": "b", "parents": [folder]}
    assert refused(bert.files.create(body=body, media_body=upload)) == (403, "insufficientParentPermissions")
    assert refused(bert.files.update(fileId=made, body={"name": "c"})) == (403, "insufficientFilePermissions")
    drive_server.share(folder, BERT, "writer")
    assert can(bert, folder, "canAddChildren", "canTrash") == {"canAddChildren": True, "canTrash": False}
    own = bert.files.create(body=body, media_body=upload, fields="id,owners,ownedByMe").execute()
    assert (own["ownedByMe"], own["owners"][0]["emailAddress"]) == (True, BERT)
    bert.files.update(fileId=made, body={"name": "c"}).execute()
    assert drive_server.tree(folder) == ["b", "c"]


def test_only_the_owner_trashes_and_deletes(drive_server: DriveServer, as_user: Open) -> None:
    folder = drive_server.folder("data")
    drive_server.share(folder, BERT)
    foreign = drive_server.file("a", b"x", folder)
    own = drive_server.file("b", b"x", folder, owner=BERT)
    anna, bert = as_user(), as_user(BERT)
    assert refused(bert.files.update(fileId=foreign, body={"trashed": True})) == (403, "insufficientFilePermissions")
    assert refused(bert.files.delete(fileId=foreign)) == (403, "insufficientFilePermissions")
    assert refused(anna.files.update(fileId=own, body={"trashed": True})) == (403, "insufficientFilePermissions")
    bert.files.update(fileId=own, body={"trashed": True}).execute()
    bert.files.delete(fileId=own).execute()
    anna.files.delete(fileId=foreign).execute()
    assert drive_server.tree() == ["My Drive/data/"]


def test_space_is_the_creators_not_the_folders(drive_server: DriveServer, as_user: Open) -> None:
    drive_server.account(BERT, limit=3)
    folder = drive_server.folder("data")
    drive_server.share(folder, BERT)
    body = {"name": "b", "parents": [folder]}
    call = as_user(BERT).files.create(body=body, media_body=MediaInMemoryUpload(b"12345"))
    assert refused(call) == (403, "storageQuotaExceeded")
    as_user(ANNA).files.create(body=body, media_body=MediaInMemoryUpload(b"12345")).execute()


# ------------------------------------------------------------------------------ shared drives


@pytest.mark.parametrize(
    ("role", "may"),
    [
        ("reader", {"canAddChildren": False, "canTrash": False, "canDelete": False}),
        ("writer", {"canAddChildren": True, "canTrash": False, "canDelete": False}),
        ("fileOrganizer", {"canAddChildren": True, "canTrash": True, "canDelete": False}),
        ("organizer", {"canAddChildren": True, "canTrash": True, "canDelete": True}),
    ],
)
def test_roles_in_a_shared_drive(drive_server: DriveServer, as_user: Open, role: str, may: dict[str, bool]) -> None:
    team = drive_server.shared_drive("Team", {ANNA: "organizer", BERT: role})
    folder, made = drive_server.folder("f", drive=team), drive_server.file("a", b"x", drive=team)
    bert = as_user(BERT)
    assert can(bert, folder, *may) == may
    given = {"fileId": made, "supportsAllDrives": True}
    for name, call in (
        ("canTrash", bert.files.update(body={"trashed": True}, **given)),
        ("canDelete", bert.files.delete(**given)),
    ):
        if may[name]:
            call.execute()
        else:
            assert refused(call) == (403, "insufficientFilePermissions")
    create = bert.files.create(body={"name": "b", "parents": [folder]}, supportsAllDrives=True)
    if may["canAddChildren"]:
        assert drive_server.store.files[create.execute()["id"]].owner == ""
    else:
        assert refused(create) == (403, "insufficientParentPermissions")


def test_a_shared_drive_holds_so_much(drive_server: DriveServer, as_user: Open) -> None:
    team = drive_server.shared_drive("Team")
    drive_server.api.max_items = 1
    create = as_user().files.create(body={"name": "b", "parents": [team]}, supportsAllDrives=True)
    create.execute()
    assert refused(create) == (403, "teamDriveFileLimitExceeded")


# ------------------------------------------------------------------------------ service accounts


def test_a_service_account_owns_no_files_in_my_drive(drive_server: DriveServer) -> None:
    folder = drive_server.folder("data")
    drive_server.share(folder, ROBOT)
    team = drive_server.shared_drive("Team", {ANNA: "organizer", ROBOT: "fileOrganizer"})
    with Client(drive_server, drive_server.service_account()) as robot:
        media = MediaInMemoryUpload(b"x")
        call = robot.files.create(body={"name": "a", "parents": [folder]}, media_body=media)
        assert refused(call) == (403, "storageQuotaExceeded")
        where = f"{drive_server.url}upload/drive/v3/files?uploadType=resumable"
        started = robot.session.post(where, json={"name": "a", "parents": [folder]})
        assert (started.status_code, "Service Accounts do not have" in started.text) == (403, True)
        body = {"name": "a", "parents": [team]}
        made = robot.files.create(body=body, media_body=media, supportsAllDrives=True).execute()
        assert drive_server.content(made["id"]) == b"x"
        about = robot.service.about().get(fields="user(emailAddress),storageQuota(limit)").execute()
        assert about == {"user": {"emailAddress": ROBOT}, "storageQuota": {"limit": "0"}}


# ------------------------------------------------------------------------------ scopes


def test_drive_file_sees_only_what_the_client_made(drive_server: DriveServer, as_user: Open) -> None:
    by_hand = drive_server.folder("by hand")
    narrow = as_user(scopes=(SCOPE_FILE,))
    assert refused(narrow.files.get(fileId=by_hand)) == (404, "notFound")
    assert refused(narrow.files.create(body={"name": "a", "parents": [by_hand]})) == (404, "notFound")
    own = narrow.files.create(body={"name": "own"}).execute()["id"]
    assert [one["id"] for one in narrow.files.list().execute()["files"]] == [own]
    other = as_user(client="two", scopes=(SCOPE_FILE,))
    assert refused(other.files.get(fileId=own)) == (404, "notFound")
    assert as_user(client="two").files.get(fileId=own).execute()["id"] == own


def test_a_token_for_reading_does_not_write(drive_server: DriveServer, as_user: Open) -> None:
    made = drive_server.file("a", b"x")
    reader = as_user(scopes=(SCOPE_READONLY,))
    assert reader.files.get_media(fileId=made).execute() == b"x"
    for call in (
        reader.files.create(body={"name": "b"}),
        reader.files.create(body={"name": "b"}, media_body=MediaInMemoryUpload(b"x")),
        reader.files.update(fileId=made, body={"name": "b"}),
        reader.files.delete(fileId=made),
    ):
        with pytest.raises(HttpError) as error:
            call.execute()
        assert error.value.resp.status == 403
        assert "ACCESS_TOKEN_SCOPE_INSUFFICIENT" in error.value.content.decode()
        assert "insufficient_scope" in error.value.resp["www-authenticate"]
    sees = as_user(scopes=(SCOPE_METADATA,))
    assert sees.files.get(fileId=made, fields="size").execute() == {"size": "1"}
    assert refused(sees.files.get_media(fileId=made)) == (403, "ACCESS_TOKEN_SCOPE_INSUFFICIENT")


# ------------------------------------------------------------------------------ what is no request of the API


@pytest.mark.parametrize(
    ("verb", "path", "body", "said"),
    [
        ("GET", "files?colour=red", None, "unknown parameter 'colour'"),
        ("GET", "files?pageSize=many", None, "pageSize"),
        ("GET", "files?pageSize=0", None, "pageSize"),
        ("GET", "files?supportsAllDrives=yes", None, "supportsAllDrives"),
        ("GET", "files?fields=files(id,colour)", None, "Invalid field selection"),
        ("GET", "files?fields=files(id", None, "Invalid field selection"),
        ("GET", "files?q=trashed=false&q=trashed=true", None, "twice"),
        ("GET", "changes", None, "Required parameter: pageToken"),
        ("GET", "colours", None, "no such call"),
        ("PUT", "files/x", {}, "not allowed"),
        ("POST", "files", {"colour": "red"}, "unknown field 'colour'"),
        ("POST", "files", {"name": 7}, "File.name"),
        ("POST", "files", {"parents": "root"}, "File.parents"),
        ("POST", "files", {"parents": ["root", "root"]}, "more than one parent"),
        ("POST", "files", {"properties": {"a": 1}}, "File.properties.a"),
        ("POST", "files", {"trashed": "true"}, "File.trashed"),
        ("POST", "files", {"createdTime": "yesterday"}, "File.createdTime"),
        ("POST", "files", {"md5Checksum": "00"}, "not directly writable"),
        ("PATCH", "files/{file}", {"parents": ["root"]}, "parents field is not writable"),
        ("GET", "comments", None, "no such call"),
        ("GET", "files/{file}/revisions", None, "this server does not have it"),
        ("DELETE", "files?alt=media", None, "not allowed"),
    ],
)
def test_what_the_api_does_not_take_is_noted(
    drive_server: DriveServer, as_user: Open, verb: str, path: str, body: Any, said: str
) -> None:
    path = path.replace("{file}", drive_server.file("a"))
    answer = as_user().session.request(verb, f"{drive_server.url}drive/v3/{path}", json=body)
    assert 400 <= answer.status_code <= 501
    assert said in drive_server.violations.pop()
    assert drive_server.violations == []


def test_the_fixture_fails_a_test_whose_requests_were_wrong(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(_TWO_TESTS)
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "tests.servers.fixtures"]
    words += ["--rootdir", str(tmp_path), str(tmp_path)]
    top = Path(__file__).parents[2]
    done = subprocess.run(words, cwd=top, capture_output=True, text=True, check=False)
    assert "2 passed, 1 error" in done.stdout
    assert "teardown of test_wrong" in done.stdout
    assert "GET colours: no such call" in done.stdout


_TWO_TESTS = """
import requests

def test_wrong(drive_server):
    requests.get(drive_server.url + "drive/v3/colours", headers=headers(drive_server)).close()

def test_right(drive_server):
    requests.get(drive_server.url + "drive/v3/about?fields=user", headers=headers(drive_server)).close()

def headers(server):
    info = server.authorized_user()
    form = {name: info[name] for name in ("client_id", "client_secret", "refresh_token")}
    answer = requests.post(server.token_uri, data=form | {"grant_type": "refresh_token"})
    return {"Authorization": "Bearer " + answer.json()["access_token"]}
"""
