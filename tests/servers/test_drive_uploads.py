"""Uploads to the Drive server: in one request, in pieces, resumed, and what may not be sent."""

from __future__ import annotations

import io
import random
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.servers.drive import DriveServer
from tests.servers.drive.client import Client
from tests.servers.drive.upload import parts_of

pytest.importorskip("googleapiclient", reason="google-api-python-client is not installed (extra gdrive)")

from googleapiclient.errors import HttpError
from googleapiclient.http import MediaInMemoryUpload, MediaIoBaseDownload, MediaIoBaseUpload

KIB = 1 << 10
PIECE = 256 * KIB
CONTENT = random.Random(1).randbytes(1024 * KIB + 5)
TOTAL = len(CONTENT)
LONELY = b"--b\nX: y\n\n{}\n--b--"


@pytest.fixture
def anna(drive_server: DriveServer) -> Iterator[Client]:
    with Client(drive_server, drive_server.authorized_user()) as client:
        yield client


class Session:
    """A resumable upload, request by request."""

    def __init__(self, client: Client, headers: dict[str, str] | None = None, **metadata: Any) -> None:
        where = f"{client.url}upload/drive/v3/files?uploadType=resumable&fields=id,size,md5Checksum"
        answer = client.session.post(where, json={"name": "a", **metadata}, headers=headers or {})
        assert answer.status_code == 200
        self.client, self.address = client, answer.headers["Location"]

    def put(self, first: int, data: bytes, total: int | str = TOTAL) -> tuple[int, str]:
        """Send a piece; return status and how far the server says it is."""
        return self._put(f"bytes {first}-{first + len(data) - 1}/{total}", data)

    def ask(self, total: int | str = TOTAL) -> tuple[int, str]:
        return self._put(f"bytes */{total}", b"")

    def _put(self, content_range: str, data: bytes) -> tuple[int, str]:
        answer = self.client.session.put(self.address, data=data, headers={"Content-Range": content_range})
        self.text = answer.text
        return answer.status_code, answer.headers.get("Range", "")


# ------------------------------------------------------------------------------ ways to send a file


def test_the_client_sends_pieces(drive_server: DriveServer, anna: Client) -> None:
    media = MediaIoBaseUpload(io.BytesIO(CONTENT), "application/x-test", chunksize=PIECE, resumable=True)
    request = anna.files.create(body={"name": "a"}, media_body=media, fields="id,size,mimeType")
    seen = []
    answer = None
    while answer is None:
        status, answer = request.next_chunk()
        seen.append(status.resumable_progress if status else TOTAL)
    assert seen == [PIECE, 2 * PIECE, 3 * PIECE, 4 * PIECE, TOTAL]
    assert drive_server.content(answer["id"]) == CONTENT
    assert (answer["size"], answer["mimeType"]) == (str(TOTAL), "application/x-test")
    assert drive_server.calls == {"token": 1, "upload.start": 1, "upload.chunk": 5}


@pytest.mark.parametrize("content", [b"", b"x", b"\r\n--=", b"a\r", b"\n", bytes(range(256))])
@pytest.mark.parametrize("resumable", [False, True])
def test_all_bytes_arrive(drive_server: DriveServer, anna: Client, content: bytes, resumable: bool) -> None:
    media = MediaIoBaseUpload(io.BytesIO(content), "text/plain", resumable=resumable)
    made = anna.files.create(body={"name": "a"}, media_body=media).execute()
    assert drive_server.content(made["id"]) == content
    only = anna.files.create(media_body=media, fields="id,name,mimeType").execute()
    assert (only["name"], only["mimeType"]) == ("Untitled", "text/plain")
    assert drive_server.content(only["id"]) == content


def test_the_client_reads_in_pieces(drive_server: DriveServer, anna: Client) -> None:
    made, target = drive_server.file("a", CONTENT), io.BytesIO()
    download = MediaIoBaseDownload(target, anna.files.get_media(fileId=made), chunksize=PIECE)
    done = False
    while not done:
        _, done = download.next_chunk()
    assert target.getvalue() == CONTENT
    assert drive_server.calls["files.get_media"] == 5


def test_content_is_replaced_under_the_same_id(drive_server: DriveServer, anna: Client) -> None:
    made = drive_server.file("a", b"old")
    for resumable, content in ((False, b"new"), (True, b"newer")):
        media = MediaIoBaseUpload(io.BytesIO(content), "text/plain", resumable=resumable)
        answer = anna.files.update(fileId=made, media_body=media, fields="id,size").execute()
        assert answer == {"id": made, "size": str(len(content))}
        assert drive_server.content(made) == content
    assert len(drive_server.files()) == 1


def test_a_multipart_body_may_end_its_lines_either_way() -> None:
    for end in (b"\n", b"\r\n"):
        lines = [b"--b", b"Content-Type: application/json", b"", b"{}", b"--b", b"X: y", b"", b"data\r", b"--b--", b""]
        assert parts_of(end.join(lines), 'multipart/related; boundary="b"') == [
            ({"content-type": "application/json"}, b"{}"),
            ({"x": "y"}, b"data\r"),
        ]


# ------------------------------------------------------------------------------ sessions


def test_a_session_says_how_far_it_is_and_goes_on(drive_server: DriveServer, anna: Client) -> None:
    session = Session(anna)
    assert session.ask() == (308, "")
    assert session.put(0, CONTENT[:PIECE]) == (308, f"bytes=0-{PIECE - 1}")
    assert session.ask() == (308, f"bytes=0-{PIECE - 1}")
    assert drive_server.files() == []
    assert session.put(PIECE, CONTENT[PIECE:]) == (200, "")
    assert drive_server.content(drive_server.files()[0]["id"]) == CONTENT
    done = session.text
    assert (session.ask(), session.text) == ((200, ""), done)  # who asks again is told again
    assert len(drive_server.files()) == 1


def test_the_size_may_be_said_at_the_end(drive_server: DriveServer, anna: Client) -> None:
    session = Session(anna)
    assert session.put(0, CONTENT[: 4 * PIECE], "*")[0] == 308
    assert session.ask("*")[0] == 308
    assert session.put(4 * PIECE, CONTENT[4 * PIECE :])[0] == 200
    assert drive_server.files()[0]["size"] == TOTAL


def test_what_was_sent_twice_counts_once(drive_server: DriveServer, anna: Client) -> None:
    session = Session(anna)
    session.put(0, CONTENT[: 2 * PIECE])
    assert session.put(PIECE, CONTENT[PIECE : 3 * PIECE]) == (308, f"bytes=0-{3 * PIECE - 1}")
    session.put(3 * PIECE, CONTENT[3 * PIECE :])
    assert drive_server.content(drive_server.files()[0]["id"]) == CONTENT


def test_a_session_outlives_a_broken_connection(drive_server: DriveServer, anna: Client) -> None:
    session = Session(anna)
    parts = urlsplit(session.address)
    with socket.create_connection((parts.hostname, parts.port)) as sock:
        head = f"PUT {parts.path}?{parts.query} HTTP/1.1\r\nHost: x\r\nContent-Length: {TOTAL}\r\n"
        head += f"Content-Range: bytes 0-{TOTAL - 1}/{TOTAL}\r\n\r\n"
        sock.sendall(head.encode() + CONTENT[: PIECE + 7])
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(1) == b""
    assert session.ask() == (308, f"bytes=0-{PIECE - 1}")  # whole steps are kept
    assert session.put(PIECE, CONTENT[PIECE:])[0] == 200
    assert drive_server.content(drive_server.files()[0]["id"]) == CONTENT


def test_a_session_needs_no_token_and_lives_a_week(drive_server: DriveServer, anna: Client) -> None:
    session = Session(anna)
    drive_server.oauth.expire()
    drive_server.advance(6 * 24 * 3600)
    assert session.put(0, CONTENT[:PIECE])[0] == 308
    drive_server.advance(2 * 24 * 3600)
    assert session.ask()[0] == 404
    assert session.put(PIECE, CONTENT[PIECE:])[0] == 404
    assert drive_server.files() == []


def test_an_id_that_is_taken_stops_an_upload_before_it_begins_and_at_its_end(
    drive_server: DriveServer, anna: Client
) -> None:
    file_id = anna.files.generateIds(count=1).execute()["ids"][0]
    one, two = Session(anna, id=file_id), Session(anna, id=file_id)
    assert one.put(0, CONTENT)[0] == 200
    assert two.put(0, CONTENT)[0] == 409
    where = f"{drive_server.url}upload/drive/v3/files?uploadType=resumable"
    assert anna.session.post(where, json={"id": file_id}).status_code == 409
    assert len(drive_server.files()) == 1


def test_space_is_asked_for_before_the_bytes_come(drive_server: DriveServer, anna: Client) -> None:
    drive_server.account("anna@example.com", limit=100)
    where = f"{drive_server.url}upload/drive/v3/files?uploadType=resumable"
    answer = anna.session.post(where, json={}, headers={"X-Upload-Content-Length": "101"})
    assert answer.json()["error"]["errors"][0]["reason"] == "storageQuotaExceeded"
    session = Session(anna)
    assert session.put(0, CONTENT)[0] == 403
    assert drive_server.files() == []


def test_a_cancelled_upload_is_gone(drive_server: DriveServer, anna: Client) -> None:
    session = Session(anna)
    assert anna.session.delete(session.address).status_code == 499
    assert session.ask()[0] == 404


# ------------------------------------------------------------------------------ what is refused


def test_pieces_are_of_whole_steps_and_follow_each_other(drive_server: DriveServer, anna: Client) -> None:
    session = Session(anna)
    assert session.put(0, CONTENT[:1000])[0] == 400
    assert "multiple of 262144" in drive_server.violations.pop()
    assert session.put(0, CONTENT[: PIECE + 1], "*")[0] == 400
    assert "multiple of 262144" in drive_server.violations.pop()
    assert session.put(PIECE, CONTENT[PIECE : 2 * PIECE])[0] == 503
    assert "exceeds already uploaded size of 0 byte(s)" in session.text
    assert "upload offset" in drive_server.violations.pop()
    assert session.ask() == (308, "")
    session.put(0, CONTENT[:PIECE])
    assert session.ask(TOTAL + 1)[0] == 400
    assert f"said to be {TOTAL}" in drive_server.violations.pop()


@pytest.mark.parametrize(
    ("headers", "data", "said"),
    [
        ({"Content-Range": "bytes 0-9/10"}, b"123", "but the body has 3 bytes"),
        ({"Content-Range": "0-2/3"}, b"123", "Failed to parse"),
        ({"Content-Range": "bytes */3"}, b"123", "has no body"),
    ],
)
def test_a_range_that_is_not_the_bodys(
    drive_server: DriveServer, anna: Client, headers: dict[str, str], data: bytes, said: str
) -> None:
    session = Session(anna)
    assert anna.session.put(session.address, data=data, headers=headers).status_code == 400
    assert said in drive_server.violations.pop()


@pytest.mark.parametrize(
    ("query", "headers", "data", "said"),
    [
        ("uploadType=sideways", {}, b"", "uploadType 'sideways'"),
        ("", {}, b"x", "uploadType"),
        ("uploadType=multipart", {"Content-Type": "application/json"}, b"{}", "where multipart belongs"),
        ("uploadType=multipart", {"Content-Type": "multipart/related; boundary=b"}, LONELY, "one part of JSON"),
        ("uploadType=resumable", {"Content-Type": "text/plain"}, b"{}", "not said to be JSON"),
        ("uploadType=resumable", {"Content-Type": "application/json"}, b'{"nam": 1}', "unknown field 'nam'"),
        ("uploadType=resumable&colour=red", {}, b"", "unknown parameter"),
        ("uploadType=resumable&fields=colour", {}, b"", "Invalid field selection"),
    ],
)
def test_an_upload_that_the_api_does_not_take(
    drive_server: DriveServer, anna: Client, query: str, headers: dict[str, str], data: bytes, said: str
) -> None:
    answer = anna.session.post(f"{drive_server.url}upload/drive/v3/files?{query}", data=data, headers=headers)
    assert answer.status_code == 400
    assert said in drive_server.violations.pop()
    assert drive_server.files() == []


def test_a_create_that_fails_leaves_nothing(drive_server: DriveServer, anna: Client) -> None:
    with pytest.raises(HttpError):
        anna.files.create(body={"parents": ["nowhere"]}, media_body=MediaInMemoryUpload(b"x")).execute()
    assert drive_server.files() == []
