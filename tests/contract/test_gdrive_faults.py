"""The Drive backend when Drive fails: all that can be tried again works in the end, all else is a clear error.

Whatever happens nothing is half-recorded: no object with other bytes, none twice, and the next call makes all right.
"""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable

import pytest
from tests.contract.gdrive_lab import BIG, CALLS, METADATA, PIECE, SMALL, UPLOADS, Lab
from tests.servers.drive import BERT

from dvc_like.errors import RemoteDenied, RemoteError, RemoteNotFound, RemoteQuota, RemoteUnavailable
from dvc_like.remote.base import Backend
from dvc_like.testing.samples import load

TOO_FAST = ("userRateLimitExceeded", "rateLimitExceeded", "sharingRateLimitExceeded", "locked", "429")
ILL = ("500", "502", "503", "504", "html-500", "html-502", "html-503", "internalError", "backendError")
BROKEN = ("drop", "lose", "lose-500", "hang-up")
LIMITS = (
    *("dailyLimitExceeded", "quotaExceeded", "storageQuotaExceeded", "numChildrenInNonRootLimitExceeded"),
    *("teamDriveFileLimitExceeded", "activeItemCreationLimitExceeded", "teamDriveHierarchyTooDeep"),
    "myDriveHierarchyDepthLimitExceeded",
)
DENIALS = (
    *("insufficientFilePermissions", "insufficientParentPermissions", "insufficientPermissions", "authError"),
    *("appNotAuthorizedToFile", "domainPolicy", "accessNotConfigured"),
)


def use_everything(lab: Lab, backend: Backend) -> None:
    """Do all that a backend can, and see that it was done."""
    backend.put("small", SMALL, label="data/small.bin")
    backend.put("big", BIG, label="data/big.bin")
    assert (lab.stored("small"), lab.stored("big")) == ([SMALL], [BIG])
    assert {key: info.size for key, info in backend.stat(["small", "big", "none"]).items()} == {
        "small": len(SMALL),
        "big": len(BIG),
    }
    other = lab.patient("two", attempts=9)
    assert sorted(key for key, _ in other.list("")) == ["big", "small"]
    assert (load(other, "small"), load(other, "big")) == (SMALL, BIG)
    other.delete(["small", "big"])
    assert (lab.stored("small"), lab.stored("big")) == ([], [])
    assert set(lab.drive.tree(lab.folder)) == {"data/"}


# ------------------------------------------------------------------------------ what passes


@pytest.mark.parametrize("what", [*TOO_FAST, *ILL, *BROKEN])
def test_everything_works_although_each_call_fails_once(lab: Lab, what: str) -> None:
    lab.fail_each_call_once(what)
    use_everything(lab, lab.patient(attempts=9))
    assert lab.drive.faults.struck.total() >= 8


def test_a_folder_is_made_once_though_the_answer_was_lost(lab: Lab) -> None:
    lab.drive.faults.add("lose", "files.create")
    lab.patient().put("k", SMALL, label="data/k.bin")
    assert lab.drive.tree(lab.folder)[0] == "data/"
    assert len(lab.drive.tree(lab.folder)) == 2


@pytest.mark.parametrize("at", [0, 10])
@pytest.mark.parametrize("what", ["cut-download", "shorten-download"])
def test_everything_works_although_each_answer_is_once_half_of_it(lab: Lab, what: str, at: int) -> None:
    lab.fail_each_call_once(what, at=at)
    use_everything(lab, lab.patient(attempts=9))


@pytest.mark.parametrize("what", ["429", "500", "503", "html-502", "drop", "lose"])
def test_a_token_is_asked_for_again(lab: Lab, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # google-auth waits for seconds
    lab.drive.faults.add(what, "token", times=2)
    lab.patient().put("k", SMALL)
    assert lab.stored("k") == [SMALL]
    lab.drive.faults.add(what, "token", times=None)
    lab.drive.oauth.expire()
    with pytest.raises(RemoteUnavailable):
        load(lab.patient("two"), "k")


def test_a_feed_of_changes_that_forgot_is_no_trouble(lab: Lab) -> None:
    for number in range(5):
        lab.patient().put(f"k{number}", SMALL)
    lab.drive.api.most_per_page = 2
    lab.drive.faults.add("invalid", "changes.list")
    assert len(lab.patient().stat(["k0", "k4"])) == 2


def test_a_listing_whose_page_is_not_known_any_more_begins_again(lab: Lab) -> None:
    for number in range(5):
        lab.patient().put(f"k{number}", SMALL)
    lab.drive.api.most_per_page = 2
    lab.drive.faults.add("invalid", "files.list", when=lambda call: "pageToken" in call.query)
    assert len([*lab.patient("two").list("")]) == 5


def test_a_token_that_ends_is_replaced_under_way(lab: Lab) -> None:
    lab.drive.oauth.lifetime = 2
    lab.fail_each_call_once("authError")
    backend = lab.patient()
    backend.put("big", BIG)
    lab.drive.oauth.expire()
    assert load(backend, "big") == BIG
    assert lab.stored("big") == [BIG]
    assert lab.drive.calls["token"] >= 3


def test_calls_that_fail_at_random_lose_nothing(lab: Lab) -> None:
    chance = random.Random(7)
    sent = {f"k{number}": chance.randbytes(chance.choice((10, 5000, 3 * PIECE + 1))) for number in range(24)}
    for what in (*TOO_FAST[:2], *ILL[:3], *BROKEN):
        lab.drive.faults.add(what, CALLS, times=None, probability=0.04)
    lab.drive.faults.add("cut-upload", "upload.chunk", times=None, probability=0.1, at=PIECE // 2)
    lab.drive.faults.add("cut-download", "files.get_media", times=None, probability=0.2, at=4000)
    backend, got = lab.patient(attempts=30), {}
    together([lambda key=key: backend.put(key, sent[key], label=f"data/{key}.bin") for key in sent], 6)
    lab.drive.faults.clear()
    assert {key: lab.stored(key) for key in sent} == {key: [data] for key, data in sent.items()}
    for what in (*ILL[:3], *BROKEN):
        lab.drive.faults.add(what, CALLS, times=None, probability=0.04)
    lab.drive.faults.add("cut-download", "files.get_media", times=None, probability=0.2, at=4000)
    other = lab.patient("two", attempts=30)
    together([lambda key=key: got.update({key: load(other, key)}) for key in sent], 6)
    assert got == sent


def together(calls: list[Callable[[], object]], threads: int) -> None:
    """Make calls in so many threads; raise what the first that failed raised."""
    failed: list[BaseException] = []

    def work() -> None:
        while calls:
            try:
                calls.pop()()
            except IndexError:
                return
            except BaseException as error:
                failed.append(error)

    running = [threading.Thread(target=work) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    if failed:
        raise failed[0]


# ------------------------------------------------------------------------------ what does not pass

ACTIONS: dict[str, Callable[[Backend], object]] = {
    "put": lambda backend: backend.put("k", SMALL),
    "put big": lambda backend: backend.put("k", BIG),
    "get": lambda backend: load(backend, "old"),
    "stat": lambda backend: backend.stat(["old"]),
    "list": lambda backend: [*backend.list("")],
    "delete": lambda backend: backend.delete(["old"]),
}


@pytest.mark.parametrize("what", ["503", "html-502", "drop", "lose"])
@pytest.mark.parametrize("action", ACTIONS)
def test_what_never_works_is_unavailable_and_asked_for_a_few_times(lab: Lab, action: str, what: str) -> None:
    lab.backend().put("old", b"old")
    lab.drive.reset()
    lab.drive.faults.add(what, CALLS, times=None)
    with pytest.raises(RemoteUnavailable):
        ACTIONS[action](lab.patient("two", attempts=4))
    assert lab.drive.round_trips <= 6
    lab.drive.faults.clear()
    ACTIONS[action](lab.patient("two"))
    assert lab.stored("k") == ([SMALL] if action == "put" else [BIG] if action == "put big" else [])


@pytest.mark.parametrize("action", ["put", "put big"])
@pytest.mark.parametrize("what", TOO_FAST)
def test_who_may_never_upload_has_reached_a_limit(lab: Lab, no_waiting: list[float], action: str, what: str) -> None:
    """As with 750 GB a day: what is answered looks like a call to slow down, and does not end."""
    lab.drive.faults.add(what, UPLOADS, times=None)
    with pytest.raises(RemoteQuota) as raised:
        ACTIONS[action](lab.patient())
    assert "750 GB" in str(raised.value.hint)
    assert 250 < sum(no_waiting) < 1000
    assert lab.drive.round_trips < 60
    assert lab.stored("k") == []
    lab.drive.faults.clear()
    ACTIONS[action](lab.patient())
    assert len(lab.stored("k")) == 1


@pytest.mark.parametrize("calls", [UPLOADS, METADATA])
@pytest.mark.parametrize(
    ("what", "error"), [*((one, RemoteQuota) for one in LIMITS), *((one, RemoteDenied) for one in DENIALS)]
)
def test_what_cannot_be_mended_is_said_at_once(
    lab: Lab, what: str, error: type[RemoteError], calls: tuple[str, ...]
) -> None:
    lab.drive.faults.add(what, calls, times=None)
    for action in ("put", "put big"):
        lab.drive.reset_counts()
        with pytest.raises(error) as raised:
            ACTIONS[action](lab.patient())
        assert raised.value.hint
        assert lab.drive.round_trips <= 9
        assert lab.stored("k") == []
    lab.drive.faults.clear()
    for action in ("put", "put big"):
        ACTIONS[action](lab.patient())
    assert lab.stored("k") == [BIG]


def test_a_grant_that_ended_is_denied_and_says_how_to_log_in(lab: Lab) -> None:
    lab.patient().put("k", SMALL)
    lab.drive.oauth.expire()
    lab.drive.oauth.revoke_all()
    for call in ACTIONS.values():
        with pytest.raises(RemoteDenied) as raised:
            call(lab.patient("two"))
        assert "login" in str(raised.value.hint)


@pytest.mark.parametrize(
    ("what", "error"), [("downloadQuotaExceeded", RemoteQuota), ("cannotDownloadAbusiveFile", RemoteDenied)]
)
def test_what_drive_does_not_give_out(lab: Lab, what: str, error: type[RemoteError]) -> None:
    lab.patient().put("k", SMALL)
    lab.drive.faults.add(what, "files.get_media", times=None)
    with pytest.raises(error) as raised:
        load(lab.patient(), "k")
    assert raised.value.hint
    assert lab.drive.calls["files.get_media"] == 1


def test_an_owner_may_have_what_drive_takes_for_malware(lab: Lab) -> None:
    lab.patient().put("k", SMALL)
    for one in lab.drive.files():
        lab.drive.call_abusive(one["id"])
    with pytest.raises(RemoteDenied):
        load(lab.patient(), "k")
    assert load(lab.patient(acknowledgeabuse="true"), "k") == SMALL


def test_space_that_ends_in_the_middle(lab: Lab) -> None:
    lab.drive.account("anna@example.com", limit=len(BIG) + 10)
    backend = lab.patient()
    backend.put("a", BIG)
    for data in (SMALL, BIG):
        with pytest.raises(RemoteQuota, match="storage of the account is full"):
            backend.put("b", data)
    assert lab.stored("b") == []
    assert not [one for one in lab.drive.files() if one["trashed"]]


def test_what_is_stored_by_others_is_not_lost_from_sight(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.drive.share(lab.folder, BERT)
    lab.patient().put("k", SMALL)
    monkeypatch.setenv("DVC_LIKE_GDRIVE_CREDENTIALS", json.dumps(lab.drive.authorized_user(BERT)))
    bert = lab.patient("bert")
    assert load(bert, "k") == SMALL
    lab.drive.share(lab.folder, BERT, "")
    with pytest.raises((RemoteNotFound, RemoteDenied)):
        load(lab.patient("bert"), "k")
