"""How files are found on the Drive server: queries, pages, drives, listings that lag, and the feed of changes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
from tests.servers.drive import ANNA, BERT, FOLDER, DriveServer
from tests.servers.drive.client import Client
from tests.servers.drive.errors import Violation
from tests.servers.drive.query import parse

pytest.importorskip("googleapiclient", reason="google-api-python-client is not installed (extra gdrive)")

from googleapiclient.errors import HttpError


@pytest.fixture
def anna(drive_server: DriveServer) -> Iterator[Client]:
    with Client(drive_server, drive_server.authorized_user()) as client:
        yield client


def names(answer: dict[str, Any]) -> list[str]:
    return sorted(one["name"] for one in answer["files"])


# ------------------------------------------------------------------------------ the language

TERMS = {
    "name": "It's Demo_1.txt",
    "mimeType": "text/plain",
    "modifiedTime": "2026-11-20T10:00:00.000Z",
    "trashed": False,
    "starred": True,
    "parents": ["p1"],
    "owners": ["anna@example.com"],
    "properties": {"dl-oid": "xxh3-128:00", "quote": "a'b\\c"},
    "appProperties": {},
}


@pytest.mark.parametrize(
    "query",
    [
        r"name = 'it\'s demo_1.TXT'",
        "name contains 'demo'",
        "mimeType contains 'text/'",
        "mimeType!='text/html'",
        "trashed=false and starred = true",
        "'p1' in parents and not 'p2' in parents",
        "'anna@example.com' in owners",
        "properties has { key='dl-oid' and value='xxh3-128:00' }",
        "properties has {key='quote' and value='a\\'b\\\\c'}",
        "not properties has { key='dl-oid' and value='other' }",
        "(name = 'x' or name contains 'It') and (trashed = false)",
        "modifiedTime > '2026-11-19T00:00:00' and modifiedTime <= '2026-11-21T00:00:00'",
    ],
)
def test_a_query_means_a_file(query: str) -> None:
    assert parse(query)(TERMS)
    assert not parse(f"not ({query})")(TERMS)


@pytest.mark.parametrize(
    "query",
    [
        "name contains 'emo'",  # only beginnings of words
        "trashed = true",
        "properties has { key='dl-oid' and value='xxh3-128' }",
        "appProperties has { key='dl-oid' and value='xxh3-128:00' }",
    ],
)
def test_a_query_does_not_mean_a_file(query: str) -> None:
    assert not parse(query)(TERMS)


@pytest.mark.parametrize(
    "query",
    [
        "name = it's",
        "name = 'a",
        "name == 'a'",
        "title = 'a'",
        "md5Checksum = 'd41d8cd98f00b204e9800998ecf8427e'",
        "name has 'a'",
        "parents in 'p1'",
        "trashed = 'false'",
        "properties has { key='a' }",
        "properties has { value='b' and key='a' }",
        "name = 'a' or name = 'b' and trashed = false",
        "(name = 'a'",
        "name = 'a' trashed = false",
        "",
    ],
)
def test_a_query_that_cannot_be_read(query: str) -> None:
    with pytest.raises(Violation):
        parse(query)


# ------------------------------------------------------------------------------ pages


def test_pages_go_on_where_the_last_one_ended(drive_server: DriveServer, anna: Client) -> None:
    made = {drive_server.file(str(number)) for number in range(25)}
    found: list[str] = []
    request = anna.files.list(pageSize=10, fields="nextPageToken,files(id)")
    sizes = []
    while request is not None:
        answer = request.execute()
        sizes.append(len(answer["files"]))
        found += [one["id"] for one in answer["files"]]
        request = anna.files.list_next(request, answer)
    assert sizes == [10, 10, 5]
    assert (len(found), set(found)) == (25, made)


def test_without_its_field_there_is_no_next_page(drive_server: DriveServer, anna: Client) -> None:
    for number in range(5):
        drive_server.file(str(number))
    assert "nextPageToken" not in anna.files.list(pageSize=2, fields="files(id)").execute()
    assert "nextPageToken" in anna.files.list(pageSize=2).execute()
    drive_server.api.most_per_page = 3  # fewer than asked for
    assert len(anna.files.list(pageSize=1000).execute()["files"]) == 3


def test_a_token_belongs_to_its_question(drive_server: DriveServer, anna: Client) -> None:
    for number in range(5):
        drive_server.file(str(number))
    token = anna.files.list(pageSize=2, q="trashed=false").execute()["nextPageToken"]
    with pytest.raises(HttpError):
        anna.files.list(pageSize=2, q="trashed=true", pageToken=token).execute()
    assert "Invalid Value" in drive_server.violations.pop()


def test_a_long_question_comes_as_a_form(drive_server: DriveServer, anna: Client) -> None:
    for number in range(100):
        made = drive_server.file(f"{number}.bin")
        drive_server.store.files[made].properties["oid"] = f"xxh3-128:{number:032x}"
    terms = [f"properties has {{ key='oid' and value='xxh3-128:{number:032x}' }}" for number in range(50, 90)]
    query = f"({' or '.join(terms)}) and trashed = false"
    assert len(query) > 2048
    assert len(anna.files.list(q=query).execute()["files"]) == 40
    call = drive_server.requests[-1]
    assert (call.verb, call.name, call.query["q"]) == ("POST", "files.list", query)


def test_order_is_as_asked_for(drive_server: DriveServer, anna: Client) -> None:
    for name in ("b", "A", "c"):
        drive_server.file(name)
    drive_server.folder("z")
    answer = anna.files.list(orderBy="folder,name desc").execute()
    assert [one["name"] for one in answer["files"]] == ["z", "c", "b", "A"]


# ------------------------------------------------------------------------------ listings that lag


def test_a_new_file_is_found_late_but_known_by_its_id(drive_server: DriveServer, anna: Client) -> None:
    drive_server.file("old")
    anna.files.list().execute()
    drive_server.api.lag = 2
    new = anna.files.create(body={"name": "new"}).execute()["id"]
    seen = [names(anna.files.list().execute()) for _ in range(3)]
    assert seen == [["old"], ["old"], ["new", "old"]]
    assert anna.files.get(fileId=new).execute()["name"] == "new"


def test_the_lag_ends_when_it_is_told_to(drive_server: DriveServer, anna: Client) -> None:
    drive_server.api.lag = math.inf
    drive_server.file("new")
    for _ in range(5):
        assert names(anna.files.list().execute()) == []
    drive_server.api.lag = 0
    assert names(anna.files.list().execute()) == ["new"]


# ------------------------------------------------------------------------------ changes


def test_changes_are_told_once(drive_server: DriveServer, anna: Client) -> None:
    def changed(token: str, **options: Any) -> tuple[list[tuple[str, bool]], str]:
        fields = "nextPageToken,newStartPageToken,changes(fileId,removed,file(name,trashed))"
        found, answer = [], {"nextPageToken": token}
        while "nextPageToken" in answer:
            request = anna.service.changes().list(
                pageToken=answer["nextPageToken"], fields=fields, pageSize=2, **options
            )
            answer = request.execute()
            found += [(one["fileId"], one["removed"]) for one in answer["changes"]]
        return found, answer["newStartPageToken"]

    old = drive_server.file("old")
    token = anna.service.changes().getStartPageToken().execute()["startPageToken"]
    assert changed(token) == ([], token)
    made = [drive_server.file(str(number)) for number in range(3)]
    drive_server.rename(made[0], "again")
    drive_server.delete(old)
    drive_server.file("foreign", owner=BERT)
    found, later = changed(token)
    assert found == [(made[1], False), (made[2], False), (made[0], False), (old, True)]
    assert changed(token, includeRemoved=False)[0] == found[:3]
    assert changed(later) == ([], later)


@pytest.mark.parametrize("quiet", [False, True])
def test_what_is_taken_away_is_told_as_removed(drive_server: DriveServer, quiet: bool) -> None:
    drive_server.store.quiet_folders = quiet
    folder, other = drive_server.folder("shared"), drive_server.folder("other")
    inside = drive_server.file("in", b"x", folder)
    drive_server.share(folder, BERT)
    with Client(drive_server, drive_server.authorized_user(BERT)) as bert:
        changes = bert.service.changes()

        def changed(token: str) -> set[tuple[str, bool]]:
            found = changes.list(pageToken=token, fields="changes(fileId,removed)").execute()["changes"]
            return {(one["fileId"], one["removed"]) for one in found}

        token = changes.getStartPageToken().execute()["startPageToken"]
        drive_server.move(inside, other)
        assert changed(token) == {(inside, True)}
        drive_server.move(inside, folder)
        token = changes.getStartPageToken().execute()["startPageToken"]
        drive_server.share(folder, BERT, "")
        assert changed(token) == {(folder, True), *(() if quiet else [(inside, True)])}


def test_a_change_that_lags_is_not_skipped(drive_server: DriveServer, anna: Client) -> None:
    changes = anna.service.changes()
    token = changes.getStartPageToken().execute()["startPageToken"]
    drive_server.api.lag = math.inf
    made = drive_server.file("new")
    answer = changes.list(pageToken=token).execute()
    assert (answer["changes"], answer["newStartPageToken"]) == ([], token)
    drive_server.api.lag = 0
    assert [one["fileId"] for one in changes.list(pageToken=token).execute()["changes"]] == [made]


# ------------------------------------------------------------------------------ shared drives


@pytest.fixture
def team(drive_server: DriveServer) -> str:
    return drive_server.shared_drive("Team", {ANNA: "organizer", BERT: "writer"})


def test_a_shared_drive_must_be_asked_for(drive_server: DriveServer, anna: Client, team: str) -> None:
    made = drive_server.file("shared", drive=team, owner=BERT)
    drive_server.file("mine")
    everywhere = {"supportsAllDrives": True, "includeItemsFromAllDrives": True}
    assert names(anna.files.list().execute()) == ["mine"]
    assert names(anna.files.list(**everywhere).execute()) == ["mine"]
    assert names(anna.files.list(corpora="drive", driveId=team, **everywhere).execute()) == ["shared"]
    assert names(anna.files.list(corpora="allDrives", **everywhere).execute()) == ["mine", "shared"]
    with pytest.raises(HttpError) as error:
        anna.files.get(fileId=made).execute()
    assert error.value.resp.status == 404
    shown = anna.files.get(fileId=made, supportsAllDrives=True, fields="driveId,ownedByMe,parents").execute()
    assert shown == {"driveId": team, "parents": [team]}


@pytest.mark.parametrize(
    "options",
    [
        {"corpora": "drive"},
        {"driveId": "x"},
        {"corpora": "drive", "driveId": "x"},
        {"includeItemsFromAllDrives": True},
        {"corpora": "allDrives"},
        {"corpora": "everything"},
    ],
)
def test_half_a_question_about_drives_is_refused(
    drive_server: DriveServer, anna: Client, options: dict[str, Any]
) -> None:
    with pytest.raises(HttpError) as error:
        anna.files.list(**options).execute()
    assert error.value.resp.status == 400
    assert len(drive_server.violations) == 1
    drive_server.violations.clear()


def test_a_drive_of_others_does_not_exist(drive_server: DriveServer, anna: Client) -> None:
    other = drive_server.shared_drive("Other", {BERT: "organizer"})
    for call in (
        anna.service.drives().get(driveId=other),
        anna.files.list(corpora="drive", driveId=other, supportsAllDrives=True, includeItemsFromAllDrives=True),
        anna.files.get(fileId=other, supportsAllDrives=True),
    ):
        with pytest.raises(HttpError) as error:
            call.execute()
        assert error.value.resp.status == 404
    assert anna.service.drives().list().execute()["drives"] == []


def test_a_folder_shared_out_of_a_drive_is_found_as_the_users_own(drive_server: DriveServer, team: str) -> None:
    folder = drive_server.folder("out", drive=team)
    drive_server.file("in", b"x", folder)
    drive_server.share(folder, "carla@example.com")
    everywhere = {"supportsAllDrives": True, "includeItemsFromAllDrives": True}
    with Client(drive_server, drive_server.authorized_user("carla@example.com")) as carla:
        assert names(carla.files.list(**everywhere).execute()) == ["in", "out"]
        with pytest.raises(HttpError) as error:
            carla.files.list(corpora="drive", driveId=team, **everywhere).execute()
        assert error.value.resp.status == 404


def test_a_narrow_search_does_not_look_into_what_others_share(drive_server: DriveServer, anna: Client) -> None:
    folder, own = drive_server.folder("shared", owner=BERT), drive_server.folder("own")
    drive_server.file("in", b"x", folder, owner=BERT)
    drive_server.file("in mine", b"x", own, owner=BERT)
    drive_server.share(folder, ANNA)
    drive_server.share(own, BERT)
    anna.files.create(body={"name": "by me", "parents": [folder]}).execute()
    everything = ["by me", "in", "in mine", "own", "shared"]
    assert names(anna.files.list().execute()) == everything
    drive_server.api.narrow = True
    assert names(anna.files.list().execute()) == [name for name in everything if name != "in"]
    assert names(anna.files.list(q=f"'{folder}' in parents").execute()) == ["by me", "in"]


def test_a_search_of_all_drives_may_end_early_and_says_so(drive_server: DriveServer, anna: Client) -> None:
    drive_server.api.incomplete = True
    everywhere = {"supportsAllDrives": True, "includeItemsFromAllDrives": True}
    assert anna.files.list(corpora="allDrives", **everywhere).execute()["incompleteSearch"] is True
    assert anna.files.list(**everywhere).execute()["incompleteSearch"] is False


def test_drives_have_names_and_changes_of_their_own(drive_server: DriveServer, anna: Client, team: str) -> None:
    assert anna.service.drives().get(driveId=team).execute()["name"] == "Team"
    assert [one["id"] for one in anna.service.drives().list().execute()["drives"]] == [team]
    everywhere = {"supportsAllDrives": True, "includeItemsFromAllDrives": True, "driveId": team}
    changes = anna.service.changes()
    token = changes.getStartPageToken(driveId=team, supportsAllDrives=True).execute()["startPageToken"]
    drive_server.file("mine")
    made = drive_server.folder("theirs", drive=team)
    assert [one["fileId"] for one in changes.list(pageToken=token, **everywhere).execute()["changes"]] == [made]
    assert drive_server.files()[-1]["mimeType"] == FOLDER
