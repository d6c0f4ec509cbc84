"""What Drive forgets, spoils or shows late, and what people do there: the backend ends with one good object."""

from __future__ import annotations

import json
import math
import threading
from typing import Any

import pytest
from tests.contract.gdrive_lab import BIG, PIECE, SMALL, Lab
from tests.servers.drive import ANNA, BERT

from dvc_like.errors import RemoteError, RemoteNotFound, RemoteUnavailable
from dvc_like.remote.base import Backend
from dvc_like.remote.gdrive import listing, upload
from dvc_like.testing.samples import load, local_file


def up(found: Lab) -> int:
    """Return how many bytes of pieces came."""
    return sum(call.up for call in found.drive.requests if call.name == "upload.chunk")


# ------------------------------------------------------------------------------ sessions


@pytest.mark.parametrize("at", [0, 1, PIECE - 1, PIECE, PIECE + 100])
@pytest.mark.parametrize("nth", [1, 3, 5])
def test_a_piece_that_arrives_in_part_is_gone_on_with(lab: Lab, nth: int, at: int) -> None:
    lab.drive.faults.add("cut-upload", "upload.chunk", nth=(nth,), at=at)
    lab.patient().put("k", BIG)
    assert lab.stored("k") == [BIG]
    assert up(lab) <= len(BIG) + PIECE


def test_a_server_that_keeps_less_than_was_sent_is_believed(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "CHUNK", 2 * PIECE)
    lab.drive.faults.add("short-chunk", "upload.chunk", times=3, at=PIECE)
    lab.patient().put("k", BIG)
    assert lab.stored("k") == [BIG]


def test_a_server_that_keeps_nothing_is_given_up(lab: Lab) -> None:
    lab.drive.faults.add("short-chunk", "upload.chunk", times=None, at=0)
    with pytest.raises(RemoteUnavailable):
        lab.patient(attempts=4).put("k", BIG)
    assert lab.drive.round_trips < 20
    assert lab.stored("k") == []


@pytest.mark.parametrize("nth", [1, 4])
def test_a_session_that_is_forgotten_is_begun_again_with_the_same_id(lab: Lab, nth: int) -> None:
    lab.drive.faults.add("expire-session", "upload.chunk", nth=(nth,))
    lab.patient().put("k", BIG)
    assert lab.stored("k") == [BIG]
    started = [call.body["id"] for call in lab.drive.requests if call.name == "upload.start"]
    assert len(started) == 2
    assert len(set(started)) == 1


def test_an_upload_goes_on_in_the_next_process(lab: Lab) -> None:
    with local_file(BIG) as path:
        lab.drive.faults.add("503", "upload.chunk", nth=(4,), times=None)
        with pytest.raises(RemoteUnavailable):
            lab.backend().put("k", path)
        lab.drive.faults.clear()
        assert up(lab) >= 3 * PIECE
        lab.drive.reset_counts()
        lab.backend().put("k", path)
        assert up(lab) == len(BIG) - 3 * PIECE
        assert lab.drive.calls["upload.start"] == 0
    assert lab.stored("k") == [BIG]


def test_an_upload_of_another_source_does_not_go_on_with_the_first_ones(lab: Lab) -> None:
    lab.drive.faults.add("drop", "upload.chunk", nth=(4,))
    with pytest.raises(RemoteUnavailable):
        lab.backend().put("k", BIG)
    other = BIG[::-1]
    lab.backend().put("k", other)
    assert lab.stored("k") == [other]


def test_a_week_later_the_upload_begins_again(lab: Lab) -> None:
    lab.drive.faults.add("drop", "upload.chunk", nth=(4,))
    with pytest.raises(RemoteUnavailable):
        lab.backend().put("k", BIG)
    lab.drive.advance(8 * 24 * 3600)
    lab.patient().put("k", BIG)
    assert lab.stored("k") == [BIG]


@pytest.mark.parametrize("data", [SMALL, BIG], ids=["small", "big"])
@pytest.mark.parametrize("what", ["lose", "lose-500"])
def test_an_upload_whose_answer_is_lost_is_found_and_not_sent_again(lab: Lab, what: str, data: bytes) -> None:
    lab.drive.faults.add(what, ("upload.multipart", "upload.chunk"), nth=(1,) if data is SMALL else (5,))
    with pytest.raises(RemoteUnavailable):
        lab.backend().put("k", data)
    assert lab.stored("k") == [data]
    for machine in ("one", "two"):  # also one that knows nothing of the first attempt
        lab.backend(machine).put("k", data)
        assert lab.stored("k") == [data]


# ------------------------------------------------------------------------------ bytes that are others


@pytest.mark.parametrize("data", [SMALL, BIG], ids=["small", "big"])
def test_bytes_that_were_spoilt_on_their_way_are_sent_again(lab: Lab, data: bytes) -> None:
    lab.drive.faults.add("flip-upload", ("upload.multipart", "upload.chunk"), at=10_000)
    lab.patient().put("k", data)
    assert lab.stored("k") == [data]


@pytest.mark.parametrize("data", [SMALL, BIG], ids=["small", "big"])
def test_bytes_that_are_spoilt_every_time_are_an_error_and_no_object(lab: Lab, data: bytes) -> None:
    lab.drive.faults.add("flip-upload", ("upload.multipart", "upload.chunk"), times=None, at=10_000)
    with pytest.raises(RemoteError) as raised:
        lab.patient().put("k", data)
    assert raised.value.hint
    assert lab.stored("k") == []
    with pytest.raises(RemoteNotFound):
        load(lab.patient("two"), "k")


@pytest.mark.parametrize("what", ["cut-download", "shorten-download"])
def test_a_download_that_ends_early_is_gone_on_with(lab: Lab, what: str) -> None:
    lab.patient().put("k", BIG)
    lab.drive.reset()
    lab.drive.faults.add(what, "files.get_media", times=2, at=300_000)
    assert load(lab.patient("two"), "k") == BIG
    assert lab.drive.calls["files.get_media"] == 3
    assert sum(call.down for call in lab.drive.requests if call.name == "files.get_media") < 2 * len(BIG)


def test_a_line_that_breaks_every_time_brings_all_in_the_end(lab: Lab) -> None:
    lab.patient().put("k", BIG)
    lab.drive.faults.add("cut-download", "files.get_media", times=None, at=100_000)
    assert load(lab.patient("two", attempts=3), "k") == BIG


# ------------------------------------------------------------------------------ answers that do not come


@pytest.mark.parametrize("what", ["stall", "stall-answer"])
def test_who_waits_in_vain_asks_again(lab: Lab, what: str) -> None:
    backend = lab.patient(attempts=9, timeout="0.3")
    for call in ("files.get", "upload.multipart", "upload.chunk", "files.get_media"):
        lab.drive.faults.add(what, call)
    backend.put("small", SMALL)
    backend.put("big", BIG)
    assert load(backend, "small") == SMALL
    assert (lab.stored("small"), lab.stored("big")) == ([SMALL], [BIG])
    assert lab.drive.faults.struck == {what: 4}


def test_a_download_that_stands_still_is_gone_on_with(lab: Lab) -> None:
    lab.patient().put("k", BIG)
    lab.drive.faults.add("stall-download", "files.get_media", at=300_000)
    assert load(lab.patient(attempts=9, timeout="0.3"), "k") == BIG
    assert sum(call.down for call in lab.drive.requests if call.name == "files.get_media") < len(BIG) + (1 << 20)


# ------------------------------------------------------------------------------ what is shown late


def test_what_a_listing_does_not_show_yet_is_there_for_who_made_it(lab: Lab) -> None:
    lab.patient().stat(["k"])
    lab.drive.api.lag = math.inf
    backend = lab.patient()
    backend.put("k", SMALL, label="data/k.bin")
    assert load(backend, "k") == SMALL
    backend.put("k", SMALL, label="data/k.bin")
    backend.put("l", SMALL, label="data/l.bin")
    backend.close()
    again = lab.patient()  # the next process on this machine
    assert load(again, "k") == SMALL
    again.put("k", SMALL, label="data/k.bin")
    assert lab.stored("k") == [SMALL]


def test_what_two_machines_put_while_neither_saw_the_other_is_one_object_later(lab: Lab) -> None:
    lab.drive.share(lab.folder, BERT)
    lab.drive.api.lag = math.inf
    lab.patient("one").put("k", SMALL)
    lab.patient("two").put("k", SMALL)
    assert len(lab.stored("k")) == 2
    lab.drive.api.lag = 0
    for machine in ("one", "two", "three"):
        backend = lab.patient(machine)
        assert [key for key, _ in backend.list("")] == ["k"]
        assert load(backend, "k") == SMALL
    lab.patient("three").delete(["k"])
    assert lab.stored("k") == []
    with pytest.raises(RemoteNotFound):
        load(lab.patient("one"), "k")


@pytest.mark.parametrize("once", [False, True])
def test_machines_that_put_at_the_same_moment_end_with_one_object(lab: Lab, once: bool) -> None:
    backends = [lab.patient(f"m{number}") for number in range(4)]
    for backend in backends:
        backend.stat(["k"])
    gate, failed = threading.Barrier(4), []

    def work(backend: Backend) -> None:
        gate.wait()
        try:
            backend.put("k", SMALL, label="data/k.bin", once=once)
        except RemoteError as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(one,)) for one in backends]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    tokens = {lab.patient(f"m{number}").stat(["k"])["k"].token for number in range(5)}
    assert len(tokens) == 1
    assert load(lab.patient("new"), "k") == SMALL


@pytest.mark.parametrize("per_page", [1, 3])
def test_pages_may_be_shorter_than_asked_for(lab: Lab, per_page: int) -> None:
    keys = [f"k{number}" for number in range(7)]
    for key in keys:
        lab.patient().put(key, key.encode())
    lab.drive.api.most_per_page = per_page
    other = lab.patient("two")
    assert [key for key, _ in other.list("")] == keys
    for key in keys[:3]:
        lab.patient().delete([key])
    assert [key for key, _ in other.list("")] == keys[3:]
    assert sorted(lab.patient("three").stat(keys)) == keys[3:]


# ------------------------------------------------------------------------------ what people do there


@pytest.mark.parametrize("quiet", [False, True])
def test_what_a_person_throws_away_is_missing_and_put_again(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, quiet: bool
) -> None:
    monkeypatch.setattr(listing, "FRESH", 0.0)
    lab.drive.store.quiet_folders = quiet
    backend = lab.patient()
    backend.put("k", SMALL, label="data/k.bin")
    backend.put("l", SMALL, label="data/l.bin")
    (folder,) = [one["id"] for one in lab.drive.files() if one["name"] == "data"]
    lab.drive.trash(next(one["id"] for one in lab.drive.files() if one["properties"].get("dl-key") == "k"))
    other = lab.patient("two")
    assert sorted(other.stat(["k", "l"])) == ["l"]
    lab.drive.trash(folder)
    assert other.stat(["k", "l"]) == {}
    lab.patient().put("k", SMALL, label="data/k.bin")
    assert lab.stored("k") == [SMALL]
    lab.drive.trash(folder, back=True)
    assert load(lab.patient("three"), "l") == SMALL


def test_what_is_renamed_and_moved_within_is_found(lab: Lab) -> None:
    lab.patient().put("k", SMALL, label="data/k.bin")
    (made,) = [one["id"] for one in lab.drive.files() if one["properties"].get("dl-key") == "k"]
    lab.drive.rename(made, "something else")
    lab.drive.move(made, lab.drive.folder("deeper", lab.drive.folder("down", lab.folder)))
    for machine in ("one", "two"):
        assert load(lab.patient(machine), "k") == SMALL
        lab.patient(machine).put("k", SMALL)
    assert lab.stored("k") == [SMALL]


def test_what_a_colleague_stored_is_found_even_if_only_its_folder_is_shared(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.drive.api.narrow = True
    lab.drive.share(lab.folder, BERT)
    lab.patient().put("k", SMALL, label="data/k.bin")
    lab.patient().put("l", SMALL)
    monkeypatch.setenv("DVC_LIKE_GDRIVE_CREDENTIALS", json.dumps(lab.drive.authorized_user(BERT)))
    bert = lab.patient("bert")
    assert (load(bert, "k"), load(bert, "l")) == (SMALL, SMALL)
    assert [key for key, _ in bert.list("")] == ["k", "l"]
    bert.put("k", SMALL)
    assert lab.stored("k") == [SMALL]


def test_a_stranger_who_shares_a_look_alike_is_not_believed(lab: Lab) -> None:
    lab.patient().put("other", SMALL)
    (properties,) = [one["properties"] for one in lab.drive.files() if one["properties"].get("dl-key") == "other"]
    fake = lab.drive.file("k", b"poison", owner=BERT)
    lab.drive.store.files[fake].properties = {**properties, "dl-key": "k"}
    lab.drive.share(fake, ANNA)
    for machine in ("one", "two"):
        backend = lab.patient(machine)
        assert backend.stat(["k"]) == {}
        assert [key for key, _ in backend.list("")] == ["other"]
        with pytest.raises(RemoteNotFound):
            load(backend, "k")


def test_a_folder_that_is_gone_is_said_to_be(lab: Lab) -> None:
    lab.patient().put("k", SMALL)
    lab.drive.trash(lab.folder)
    calls: list[Any] = [lambda one: one.put("l", SMALL), lambda one: load(one, "k")]
    for machine in ("one", "two"):
        for call in calls:
            with pytest.raises(RemoteError) as raised:
                call(lab.patient(machine))
            assert raised.value.hint
    lab.drive.trash(lab.folder, back=True)
    assert load(lab.patient(), "k") == SMALL
