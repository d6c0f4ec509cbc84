"""That each fault of the Drive server does what it says, once or as often as told, and only to the calls it names."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.servers.drive import ANNA, BERT, FAULTS, DriveServer, Fault, Rate
from tests.servers.drive.client import Client
from tests.servers.drive.errors import REASONS

pytest.importorskip("googleapiclient", reason="google-api-python-client is not installed (extra gdrive)")

import requests
from google.auth.exceptions import RefreshError
from googleapiclient.errors import HttpError
from urllib3.exceptions import ReadTimeoutError

PIECE = 256 << 10
CONTENT = random.Random(2).randbytes(3 * PIECE + 5)
TOTAL = len(CONTENT)
UPLOAD = {"params": {"uploadType": "multipart"}, "headers": {"Content-Type": "multipart/related; boundary=b"}}
RETRIES = {"html-200", "429", "500", "502", "503", "504", *(f"html-{status}" for status in (429, 500, 502, 503, 504))}


@pytest.fixture
def anna(drive_server: DriveServer) -> Iterator[Client]:
    with Client(drive_server, drive_server.authorized_user()) as client:
        yield client


def get(client: Client, path: str, **options: Any) -> requests.Response:
    return client.session.get(f"{client.url}drive/v3/{path}", **options)


def multipart(client: Client, content: bytes) -> requests.Response:
    body = b'--b\nContent-Type: application/json\n\n{"name": "a"}\n--b\nContent-Type: x/y\n\n' + content + b"\n--b--"
    return client.session.post(f"{client.url}upload/drive/v3/files?fields=id,md5Checksum", data=body, **UPLOAD)


class Upload:
    """A resumable one."""

    def __init__(self, client: Client) -> None:
        where = f"{client.url}upload/drive/v3/files?uploadType=resumable&fields=id,md5Checksum"
        self.session = client.session
        self.address = client.session.post(where, json={"name": "a"}).headers["Location"]

    def send(self, first: int, last: int) -> requests.Response:
        where = {"Content-Range": f"bytes {first}-{last - 1}/{TOTAL}"}
        return self.session.put(self.address, data=CONTENT[first:last], headers=where)

    def kept(self) -> tuple[int, str]:
        answer = self.session.put(self.address, headers={"Content-Range": f"bytes */{TOTAL}"})
        return answer.status_code, answer.headers.get("Range", "")


# ------------------------------------------------------------------------------ answers


@pytest.mark.parametrize("what", sorted(REASONS))
def test_a_reason_is_answered_in_drives_words(drive_server: DriveServer, anna: Client, what: str) -> None:
    drive_server.faults.add(what, "files.create", times=None)
    with requests.Session() as plain:  # google-auth would ask for another token after a 401
        plain.headers["Authorization"] = f"Bearer {anna.credentials.token}"
        answer = plain.post(f"{drive_server.url}drive/v3/files", json={"name": "a"})
    status, domain, text = REASONS[what]
    assert answer.status_code == status
    error = answer.json()["error"]
    assert error["code"] == status
    assert error["errors"][0] | {"message": text, "domain": domain} == error["errors"][0]
    assert error["errors"][0]["reason"] in (what, "rateLimitExceeded")
    assert drive_server.files() == []
    assert drive_server.faults.struck == {what: 1}


@pytest.mark.parametrize("what", sorted(RETRIES))
def test_a_status_is_answered_as_json_or_as_a_page(drive_server: DriveServer, anna: Client, what: str) -> None:
    drive_server.faults.add(what, "files.list", seconds=7)
    answer = get(anna, "files")
    assert str(answer.status_code) == what.removeprefix("html-")
    assert answer.headers["Retry-After"] == "7"
    assert answer.headers["Content-Type"].startswith("text/html" if "html" in what else "application/json")
    assert answer.text.startswith("<!DOCTYPE" if "html" in what else "{")
    assert get(anna, "files").status_code == 200


def test_a_page_is_no_trouble_for_the_client(drive_server: DriveServer, anna: Client) -> None:
    drive_server.faults.add("html-502", "files.list")
    with pytest.raises(HttpError) as error:
        anna.files.list().execute()
    assert error.value.resp.status == 502


def test_invalid_grant_meets_the_token_endpoint(drive_server: DriveServer) -> None:
    drive_server.faults.add("invalid_grant", "token")
    with pytest.raises(RefreshError, match="invalid_grant"):
        Client(drive_server, drive_server.authorized_user())


# ------------------------------------------------------------------------------ which calls


def test_a_fault_strikes_those_that_it_names(drive_server: DriveServer, anna: Client) -> None:
    folder = drive_server.folder("f")
    drive_server.share(folder, BERT)
    drive_server.faults.add("503", ("files.get", "files.list"), nth=(2, 4), times=None)
    seen = [get(anna, path).status_code for path in ("files", f"files/{folder}", "about?fields=user", "files", "files")]
    assert seen == [200, 503, 200, 200, 503]
    drive_server.faults.clear()
    drive_server.faults.add("locked", when=lambda call: call.account == BERT and call.file_id == folder, times=2)
    with Client(drive_server, drive_server.authorized_user(BERT)) as bert:
        answers = [get(client, f"files/{folder}").status_code for client in (anna, bert, anna, bert, bert)]
    assert answers == [200, 423, 200, 423, 200]
    drive_server.faults.clear()
    drive_server.faults.add("500", when=lambda call: (call.body or {}).get("name") == "b", times=None)
    created = [create(anna, name) for name in "abc"]
    assert created == [200, 500, 200]


def create(client: Client, name: str) -> int:
    return client.session.post(f"{client.url}drive/v3/files", json={"name": name}).status_code


def test_a_fault_reaches_into_a_batch(drive_server: DriveServer, anna: Client) -> None:
    made = [drive_server.file(str(number)) for number in range(4)]
    drive_server.faults.add("userRateLimitExceeded", "files.update", nth=(2, 3), times=None)
    answers: list[int] = []
    batch = anna.service.new_batch_http_request(
        callback=lambda name, good, bad: answers.append(bad.resp.status if bad else 200)
    )
    for file_id in made:
        batch.add(anna.files.update(fileId=file_id, body={"trashed": True}))
    batch.execute()
    assert answers == [200, 403, 403, 200]
    assert [one["trashed"] for one in drive_server.files()] == [True, False, False, True]


def test_chance_is_the_same_every_time() -> None:
    from tests.servers.drive.faults import Call, Faults

    def strikes() -> list[bool]:
        faults = Faults(seed=5)
        faults.add("500", probability=0.3, times=None)
        return [faults.pick(Call("files.get"))[0] is not None for _ in range(100)]

    assert strikes() == strikes()
    assert 15 < sum(strikes()) < 45


def test_a_rate_is_kept(drive_server: DriveServer, anna: Client) -> None:
    drive_server.faults.add("userRateLimitExceeded", "files.create", times=None, when=Rate(0.001, burst=3))
    assert [create(anna, "a") for _ in range(5)] == [200, 200, 200, 403, 403]


def test_there_are_no_other_faults() -> None:
    with pytest.raises(ValueError, match="earthquake: no such fault"):
        Fault("earthquake")


# ------------------------------------------------------------------------------ connections


def test_a_call_is_dropped_before_or_lost_after_it_was_done(drive_server: DriveServer, anna: Client) -> None:
    for what, made in (("drop", 0), ("lose", 1)):
        drive_server.faults.add(what, "files.create")
        with pytest.raises(requests.ConnectionError):
            create(anna, "a")
        assert len(drive_server.files()) == made
    drive_server.faults.add("lose-500", "files.create")
    assert create(anna, "a") == 500
    assert len(drive_server.files()) == 2
    assert [call.status for call in drive_server.requests if call.name == "files.create"] == [0, 0, 500]


def test_a_connection_ends_between_two_calls(drive_server: DriveServer) -> None:
    address = urlsplit(drive_server.url)
    drive_server.faults.add("hang-up")
    with socket.create_connection((address.hostname, address.port)) as sock:
        sock.sendall(b"GET /drive/v3/files HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b"".join(iter(lambda: sock.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"Connection: close" not in answer


def test_a_call_is_answered_late_or_never(drive_server: DriveServer, anna: Client) -> None:
    drive_server.faults.add("delay", "files.list", seconds=0.2, times=None)
    with pytest.raises(requests.ReadTimeout):
        get(anna, "files", timeout=(30, 0.05))
    assert get(anna, "files", timeout=30).elapsed.total_seconds() >= 0.2
    drive_server.faults.clear()
    drive_server.faults.add("stall", "files.list")
    with pytest.raises(requests.ReadTimeout):
        get(anna, "files", timeout=(30, 0.05))
    assert get(anna, "files").status_code == 200
    drive_server.faults.add("stall-answer", "files.create")
    with pytest.raises(requests.ReadTimeout):
        anna.session.post(f"{drive_server.url}drive/v3/files", json={"name": "a"}, timeout=(30, 1))
    assert len(drive_server.files()) == 1
    drive_server.faults.add("stall-download", "files.get_media", at=1)
    with get(anna, f"files/{drive_server.file('b', b'xyz')}?alt=media", timeout=(30, 1), stream=True) as answer:
        assert answer.raw.read(1) == b"x"
        with pytest.raises(ReadTimeoutError):
            answer.raw.read(1)


def test_the_server_ends_although_a_call_hangs() -> None:
    with DriveServer() as server, Client(server, server.authorized_user()) as client:
        server.faults.add("stall", "files.list")
        seen: list[str] = []

        def ask() -> None:
            try:
                get(client, "files", timeout=30)
            except requests.ConnectionError as error:
                seen.append(type(error).__name__)

        thread = threading.Thread(target=ask)
        thread.start()
        while server.faults.struck["stall"] == 0:
            thread.join(0.01)
        server.stop()
        thread.join(10)
        assert seen == ["ConnectionError"]


# ------------------------------------------------------------------------------ bytes


def test_a_piece_arrives_in_part(drive_server: DriveServer, anna: Client) -> None:
    upload = Upload(anna)
    drive_server.faults.add("cut-upload", "upload.chunk", at=PIECE + 100)
    with pytest.raises(requests.ConnectionError):
        upload.send(0, TOTAL)
    assert upload.kept() == (308, f"bytes=0-{PIECE - 1}")
    drive_server.faults.add("short-chunk", "upload.chunk", at=PIECE)
    answer = upload.send(PIECE, TOTAL)
    assert (answer.status_code, answer.headers["Range"]) == (308, f"bytes=0-{2 * PIECE - 1}")
    assert upload.send(2 * PIECE, TOTAL).status_code == 200
    assert drive_server.content(drive_server.files()[0]["id"]) == CONTENT


def test_the_last_answer_of_an_upload_is_lost(drive_server: DriveServer, anna: Client) -> None:
    upload = Upload(anna)
    drive_server.faults.add("lose", "upload.chunk")
    with pytest.raises(requests.ConnectionError):
        upload.send(0, TOTAL)
    assert upload.kept()[0] == 200
    assert len(drive_server.files()) == 1


def test_an_upload_is_forgotten(drive_server: DriveServer, anna: Client) -> None:
    upload = Upload(anna)
    upload.send(0, PIECE)
    drive_server.faults.add("expire-session", "upload.chunk")
    assert upload.send(PIECE, TOTAL).status_code == 404
    assert upload.kept()[0] == 404
    assert drive_server.files() == []


def test_an_upload_in_one_request_is_cut_or_spoilt(drive_server: DriveServer, anna: Client) -> None:
    drive_server.faults.add("cut-upload", "upload.multipart", at=10)
    with pytest.raises(requests.ConnectionError):
        multipart(anna, CONTENT)
    assert drive_server.files() == []
    good = multipart(anna, CONTENT).json()["md5Checksum"]
    drive_server.faults.add("flip-upload", at=1000)
    bad = multipart(anna, CONTENT).json()
    assert bad["md5Checksum"] != good
    stored = drive_server.content(bad["id"])
    assert [at for at in range(TOTAL) if stored[at] != CONTENT[at]] == [1000]


def test_a_download_is_cut_shortened_or_spoilt(drive_server: DriveServer, anna: Client) -> None:
    path = f"files/{drive_server.file('a', CONTENT)}?alt=media"
    drive_server.faults.add("cut-download", "files.get_media", at=1000)
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        get(anna, path)
    drive_server.faults.add("shorten-download", "files.get_media", at=1000)
    assert get(anna, path).content == CONTENT[:1000]
    drive_server.faults.add("flip-download", "files.get_media", at=1000)
    got = get(anna, path).content
    assert [at for at in range(TOTAL) if got[at] != CONTENT[at]] == [1000]
    assert get(anna, path).content == CONTENT


def test_every_fault_is_shown_here() -> None:
    shown = {
        *REASONS,
        *RETRIES,
        "invalid_grant",
        "drop",
        "lose",
        "lose-500",
        "hang-up",
        "stall",
        "stall-answer",
        "delay",
    }
    shown |= {"cut-upload", "short-chunk", "flip-upload", "expire-session"}
    shown |= {"cut-download", "stall-download", "shorten-download", "flip-download"}
    assert shown == FAULTS


# ------------------------------------------------------------------------------ several at once


def test_many_clients_at_once_get_what_is_theirs(drive_server: DriveServer) -> None:
    folder = drive_server.folder("data")
    drive_server.share(folder, BERT)
    wrong: list[str] = []

    def work(email: str, number: int) -> None:
        with Client(drive_server, drive_server.authorized_user(email)) as client:
            for step in range(10):
                content = f"{email} {number} {step}".encode()
                made = multipart(client, content).json()["id"]
                if get(client, f"files/{made}?alt=media").content != content:
                    wrong.append(made)

    threads = [threading.Thread(target=work, args=(email, n)) for n in range(3) for email in (ANNA, BERT)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(drive_server.files()) == 61
    assert drive_server.calls["upload.multipart"] == drive_server.calls["files.get_media"] == 60
