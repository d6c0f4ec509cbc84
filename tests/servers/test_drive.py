"""The Drive server asked by Google's own client: files, folders, what is answered of them, and how they are found."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.servers.drive import BERT, FOLDER, DriveServer
from tests.servers.drive.client import Client

pytest.importorskip("googleapiclient", reason="google-api-python-client is not installed (extra gdrive)")

import requests
from googleapiclient.errors import HttpError
from googleapiclient.http import MediaInMemoryUpload


@pytest.fixture
def anna(drive_server: DriveServer) -> Iterator[Client]:
    with Client(drive_server, drive_server.authorized_user()) as client:
        yield client


def reason(error: pytest.ExceptionInfo[HttpError]) -> tuple[int, str]:
    found: str = error.value.error_details[0]["reason"]
    return error.value.resp.status, found


def names(answer: dict[str, Any]) -> list[str]:
    return sorted(one["name"] for one in answer["files"])


# ------------------------------------------------------------------------------ one file


def test_a_file_goes_up_and_comes_down(drive_server: DriveServer, anna: Client) -> None:
    folder = drive_server.folder("data")
    body = {"name": "demo.txt", "parents": [folder]}
    made = anna.files.create(body=body, media_body=MediaInMemoryUpload(b"hello\r"), fields="id,size").execute()
    assert made["size"] == "6"
    assert anna.files.get_media(fileId=made["id"]).execute() == b"hello\r"
    assert drive_server.tree() == ["My Drive/data/", "My Drive/data/demo.txt"]
    assert drive_server.content(made["id"]) == b"hello\r"
    assert drive_server.calls == {"token": 1, "upload.multipart": 1, "files.get_media": 1}


def test_fields_are_answered_when_asked_for(drive_server: DriveServer, anna: Client) -> None:
    content = b"12345"
    made = drive_server.file("a.tar.gz", content, mime="application/gzip")
    assert set(anna.files.get(fileId=made).execute()) == {"kind", "id", "name", "mimeType"}
    sums = anna.files.get(fileId=made, fields="size,md5Checksum,sha1Checksum,sha256Checksum").execute()
    assert sums == {
        "size": "5",
        **{f"{name}Checksum": hashlib.new(name, content).hexdigest() for name in ("md5", "sha1", "sha256")},
    }
    one = anna.files.get(fileId=made, fields="owners(emailAddress),capabilities/canEdit").execute()
    assert one == {"owners": [{"emailAddress": "anna@example.com"}], "capabilities": {"canEdit": True}}
    everything = anna.files.get(fileId=made, fields="*").execute()
    assert everything["ownedByMe"] is True
    assert everything["fileExtension"] == "gz"
    assert "size" not in anna.files.get(fileId=drive_server.folder("f"), fields="*").execute()


def test_about_says_who_asks_and_must_be_told_what_to_say(drive_server: DriveServer, anna: Client) -> None:
    drive_server.account("anna@example.com", limit=1000)
    drive_server.file("a", b"12345")
    drive_server.trash(drive_server.file("b", b"123"))
    about = anna.service.about().get(fields="user/emailAddress,storageQuota").execute()
    assert about["user"] == {"emailAddress": "anna@example.com"}
    assert about["storageQuota"] == {"limit": "1000", "usage": "8", "usageInDrive": "8", "usageInDriveTrash": "3"}
    with pytest.raises(HttpError) as error:
        anna.service.about().get().execute()
    assert reason(error) == (400, "required")
    assert len(drive_server.violations) == 1
    drive_server.violations.clear()


def test_a_range_is_answered_and_none_beyond_the_end(drive_server: DriveServer, anna: Client) -> None:
    made, empty = drive_server.file("a", b"0123456789"), drive_server.file("b")

    def get(file_id: str, wanted: str) -> tuple[int, bytes, str]:
        where = f"{drive_server.url}drive/v3/files/{file_id}?alt=media"
        answer = anna.session.get(where, headers={"Range": wanted})
        content = answer.content if answer.ok else b""
        return answer.status_code, content, answer.headers.get("Content-Range", "")

    assert get(made, "bytes=2-4") == (206, b"234", "bytes 2-4/10")
    assert get(made, "bytes=8-") == (206, b"89", "bytes 8-9/10")
    assert get(made, "bytes=-3") == (206, b"789", "bytes 7-9/10")
    assert get(made, "bytes=5-99") == (206, b"56789", "bytes 5-9/10")
    assert get(made, "bytes=10-") == (416, b"", "bytes */10")
    assert get(empty, "bytes=0-") == (416, b"", "bytes */0")
    assert anna.files.get_media(fileId=empty).execute() == b""


def test_text_and_documents_are_compressed_for_those_who_take_it(drive_server: DriveServer, anna: Client) -> None:
    text, other = drive_server.file("a", b"0" * 1000, mime="text/plain"), drive_server.file("b", b"0" * 1000)

    def encoding(path: str, **headers: str) -> str:
        answer = anna.session.get(f"{drive_server.url}drive/v3/{path}", headers=headers)
        assert path == "files" or answer.content == b"0" * 1000
        return answer.headers.get("Content-Encoding", "")

    assert encoding(f"files/{text}?alt=media") == "gzip"
    assert encoding(f"files/{text}?alt=media", **{"Accept-Encoding": "identity"}) == ""
    assert encoding(f"files/{text}?alt=media", Range="bytes=0-") == ""
    assert encoding(f"files/{other}?alt=media") == ""
    assert encoding("files", **{"User-Agent": "test (gzip)"}) == "gzip"
    assert encoding("files", **{"User-Agent": "test"}) == ""


def test_only_files_have_bytes(drive_server: DriveServer, anna: Client) -> None:
    with pytest.raises(HttpError) as error:
        anna.files.get_media(fileId=drive_server.folder("f")).execute()
    assert reason(error) == (403, "fileNotDownloadable")


def test_an_abusive_file_is_for_its_owner_only(drive_server: DriveServer, anna: Client) -> None:
    made = drive_server.file("a", b"x")
    drive_server.share(made, BERT)
    drive_server.call_abusive(made)
    with pytest.raises(HttpError) as error:
        anna.files.get_media(fileId=made).execute()
    assert reason(error) == (403, "cannotDownloadAbusiveFile")
    assert anna.files.get_media(fileId=made, acknowledgeAbuse=True).execute() == b"x"
    with Client(drive_server, drive_server.authorized_user(BERT)) as bert, pytest.raises(HttpError) as error:
        bert.files.get_media(fileId=made, acknowledgeAbuse=True).execute()
    assert reason(error) == (403, "cannotDownloadAbusiveFile")


# ------------------------------------------------------------------------------ ids, names, folders


def test_an_id_that_was_given_out_is_used_once(drive_server: DriveServer, anna: Client) -> None:
    first, second = anna.files.generateIds(count=2).execute()["ids"]
    made = anna.files.create(body={"id": first, "name": "a"}, media_body=MediaInMemoryUpload(b"1")).execute()
    assert made["id"] == first
    for content in (b"1", b"2"):
        with pytest.raises(HttpError) as error:
            anna.files.create(body={"id": first, "name": "a"}, media_body=MediaInMemoryUpload(content)).execute()
        assert reason(error) == (409, "fileIdInUse")
        assert error.value.reason == "A file already exists with the provided ID."
    anna.files.delete(fileId=first).execute()
    with pytest.raises(HttpError) as error:
        anna.files.create(body={"id": first, "name": "a"}).execute()
    assert reason(error) == (409, "fileIdInUse")
    assert anna.files.create(body={"id": second, "name": "f", "mimeType": FOLDER}).execute()["id"] == second
    assert drive_server.violations == []
    with pytest.raises(HttpError):
        anna.files.create(body={"id": "made-up", "name": "a"}).execute()
    assert "not usable" in drive_server.violations.pop()


def test_names_are_not_unique(drive_server: DriveServer, anna: Client) -> None:
    for _ in range(2):
        anna.files.create(body={"name": "data", "mimeType": FOLDER}).execute()
    assert drive_server.tree() == ["My Drive/data/", "My Drive/data/"]
    assert len(anna.files.list(q=f"name = 'DATA' and mimeType = '{FOLDER}'").execute()["files"]) == 2


def test_a_file_is_moved_renamed_and_trashed_with_its_folder(drive_server: DriveServer, anna: Client) -> None:
    one, two = drive_server.folder("one"), drive_server.folder("two")
    made = drive_server.file("a", b"x", one)
    anna.files.update(fileId=made, addParents=two, removeParents=one, body={"name": "b"}).execute()
    assert drive_server.tree() == ["My Drive/one/", "My Drive/two/", "My Drive/two/b"]
    anna.files.update(fileId=two, body={"trashed": True}).execute()
    assert drive_server.tree() == ["My Drive/one/"]
    seen = anna.files.get(fileId=made, fields="trashed,explicitlyTrashed").execute()
    assert seen == {"trashed": True, "explicitlyTrashed": False}
    with pytest.raises(HttpError) as error:
        anna.files.update(fileId=made, addParents=one).execute()
    assert reason(error) == (403, "cannotAddParent")


def test_a_copy_has_an_id_of_its_own(drive_server: DriveServer, anna: Client) -> None:
    body = {"name": "a", "properties": {"k": "v"}}
    made = anna.files.create(body=body, media_body=MediaInMemoryUpload(b"x")).execute()
    copy = anna.files.copy(fileId=made["id"], body={"name": "b"}, fields="id,properties,size").execute()
    assert copy["id"] != made["id"]
    assert (copy["properties"], copy["size"]) == ({"k": "v"}, "1")
    drive_server.api.copies_properties = False
    assert "properties" not in anna.files.copy(fileId=made["id"], fields="properties").execute()


def test_a_full_folder_and_a_deep_one_take_no_more(drive_server: DriveServer, anna: Client) -> None:
    drive_server.api.max_children = 2
    folder = drive_server.folder("f")
    for name in "ab":
        anna.files.create(body={"name": name, "parents": [folder]}).execute()
    with pytest.raises(HttpError) as error:
        anna.files.create(body={"name": "c", "parents": [folder]}).execute()
    assert reason(error) == (403, "numChildrenInNonRootLimitExceeded")
    for _ in range(99):
        folder = drive_server.folder("deep", folder)
    with pytest.raises(HttpError) as error:
        anna.files.create(body={"name": "c", "parents": [folder]}).execute()
    assert reason(error) == (403, "myDriveHierarchyDepthLimitExceeded")


def test_space_ends(drive_server: DriveServer, anna: Client) -> None:
    drive_server.account("anna@example.com", limit=10)
    anna.files.create(body={"name": "a"}, media_body=MediaInMemoryUpload(b"1234567")).execute()
    with pytest.raises(HttpError) as error:
        anna.files.create(body={"name": "b"}, media_body=MediaInMemoryUpload(b"1234567")).execute()
    assert reason(error) == (403, "storageQuotaExceeded")
    assert [one["name"] for one in drive_server.files()] == ["a"]


# ------------------------------------------------------------------------------ properties


def test_properties_are_merged_and_taken_away(anna: Client) -> None:
    made = anna.files.create(body={"name": "a", "properties": {"k": "v", "l": "w"}}, fields="id").execute()["id"]
    anna.files.update(fileId=made, body={"properties": {"k": None, "m": "x"}}).execute()
    assert anna.files.get(fileId=made, fields="properties").execute() == {"properties": {"l": "w", "m": "x"}}


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        ({"k" * 60: "v" * 65}, "propertyTooLong"),
        ({"k" * 60: "é" * 33}, "propertyTooLong"),
        ({str(number): "v" for number in range(31)}, "propertyLimitExceeded"),
    ],
)
def test_properties_have_limits(drive_server: DriveServer, anna: Client, properties: dict[str, str], said: str) -> None:
    with pytest.raises(HttpError) as error:
        anna.files.create(body={"name": "a", "properties": properties}).execute()
    assert reason(error) == (403, said)
    assert len(drive_server.violations) == 1
    drive_server.violations.clear()
    anna.files.create(body={"name": "a", "properties": {"k" * 60: "v" * 64}}).execute()


def test_app_properties_are_those_of_one_client_only(drive_server: DriveServer, anna: Client) -> None:
    body = {"name": "a", "properties": {"all": "1"}, "appProperties": {"own": "1"}}
    made = anna.files.create(body=body, fields="id").execute()["id"]
    wanted = "appProperties has { key='own' and value='1' }"
    assert names(anna.files.list(q=wanted).execute()) == ["a"]
    with Client(drive_server, drive_server.authorized_user(client="two")) as other:
        assert other.files.get(fileId=made, fields="properties,appProperties").execute() == {"properties": {"all": "1"}}
        assert names(other.files.list(q=wanted).execute()) == []
        assert names(other.files.list(q="properties has { key='all' and value='1' }").execute()) == ["a"]


# ------------------------------------------------------------------------------ batches


def test_a_batch_answers_each_call(drive_server: DriveServer, anna: Client) -> None:
    made = [drive_server.file(str(number)) for number in range(100)]
    answers: dict[str, Any] = {}
    batch = anna.service.new_batch_http_request(callback=lambda name, good, bad: answers.update({name: good or bad}))
    for file_id in [*made[:-1], "none"]:
        batch.add(anna.files.update(fileId=file_id, body={"trashed": True}, fields="id,trashed"), request_id=file_id)
    batch.execute()
    assert answers.pop("none").resp.status == 404
    assert answers == {file_id: {"id": file_id, "trashed": True} for file_id in made[:-1]}
    assert len(drive_server.files(trashed=False)) == 1
    assert (drive_server.calls["batch"], drive_server.calls["files.update"]) == (1, 100)


def test_a_batch_has_no_more_than_a_hundred_calls_and_no_media(drive_server: DriveServer, anna: Client) -> None:
    batch = anna.service.new_batch_http_request()
    for number in range(101):
        batch.add(anna.files.get(fileId=str(number)))
    with pytest.raises(HttpError):
        batch.execute()
    assert "101 calls" in drive_server.violations.pop()
    failed: list[Any] = []
    batch = anna.service.new_batch_http_request(callback=lambda name, good, bad: failed.append(bad))
    batch.add(anna.files.get_media(fileId=drive_server.file("a", b"x")))
    batch.execute()
    assert failed[0].resp.status == 400
    assert "Media" in drive_server.violations.pop()


# ------------------------------------------------------------------------------ by hand


def test_it_can_be_tried_by_hand() -> None:
    words = [sys.executable, "-m", "tests.servers.drive"]
    with subprocess.Popen(words, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3)]
        address = lines[2].split()[-1]
        with requests.get(f"{address}drive/v3/about", timeout=30) as answer:
            assert answer.status_code == 401
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read()
    assert "gdrive://" in lines[1]
    assert "{'about.get': 1}" in rest
    assert "My Drive/flight/" in rest
    assert process.returncode == 0
