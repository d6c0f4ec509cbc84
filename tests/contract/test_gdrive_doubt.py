"""What the Drive backend may not believe: what it remembers when others acted since, and answers that never change."""

from __future__ import annotations

import json
import threading
import time
import traceback

import pytest
import requests
from tests.contract.gdrive_lab import BIG, SMALL, Lab
from tests.servers.drive import ANNA, BERT

from dvc_like.errors import ConfigError, RemoteDenied, RemoteError, RemoteQuota, RemoteUnavailable
from dvc_like.remote.gdrive import listing, login, pace, state
from dvc_like.remote.gdrive.place import parse
from dvc_like.remote.gdrive.stored import Login
from dvc_like.testing.samples import load

# ------------------------------------------------------------------------------ what people do there


def made(lab: Lab, key: str) -> str:
    """Return the id of the file of a key."""
    (found,) = [one["id"] for one in lab.drive.files(trashed=False) if one["properties"].get("dl-key") == key]
    return str(found)


@pytest.mark.parametrize("quiet", [False, True])
def test_what_lay_in_a_folder_that_went_to_the_trash_with_the_one_above_is_not_believed(lab: Lab, quiet: bool) -> None:
    lab.drive.store.quiet_folders = quiet
    above = lab.drive.folder("above")
    url = f"gdrive://{lab.drive.folder('store', above)}"
    backend = lab.patient(url=url)
    backend.put("k", SMALL)
    backend.close()
    lab.drive.trash(above)
    again = lab.patient(url=url)
    for _ in range(2):
        with pytest.raises(RemoteDenied, match="in the trash"):
            again.stat(["k"])
    lab.drive.trash(above, back=True)
    assert sorted(again.stat(["k"])) == ["k"]
    assert sorted(lab.patient(url=url).stat(["k"])) == ["k"]


def test_what_a_colleague_dragged_out_is_stored_again(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.drive.share(lab.folder, BERT)
    monkeypatch.setenv("DVC_LIKE_GDRIVE_CREDENTIALS", json.dumps(lab.drive.authorized_user(BERT)))
    lab.patient("bert").put("refs/k", SMALL)
    monkeypatch.setenv("DVC_LIKE_GDRIVE_CREDENTIALS", json.dumps(lab.drive.authorized_user()))
    backend = lab.patient()
    assert load(backend, "refs/k") == SMALL
    lab.drive.move(made(lab, "refs/k"), lab.drive.folder("elsewhere"))
    backend.put("refs/k", SMALL[:10])
    assert load(lab.patient("two"), "refs/k") == SMALL[:10]


def test_what_its_owner_dragged_out_of_a_shared_folder_is_missing_for_him_too(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.drive.share(lab.folder, BERT)
    lab.patient().put("k", SMALL)
    lab.drive.move(made(lab, "k"), lab.drive.folder("elsewhere"))
    backend = lab.patient()
    assert backend.stat(["k"]) == {}
    backend.put("k", SMALL)
    monkeypatch.setenv("DVC_LIKE_GDRIVE_CREDENTIALS", json.dumps(lab.drive.authorized_user(BERT)))
    assert load(lab.patient("bert"), "k") == SMALL


def test_an_upload_that_came_through_into_a_folder_that_is_not_the_store_any_more_is_made_again(lab: Lab) -> None:
    url = f"gdrive://{lab.folder}/sub"
    lab.drive.faults.add("lose", "upload.multipart")
    with pytest.raises(Exception, match="broke"):
        lab.backend(url=url).put("k", SMALL)
    (sub,) = [one["id"] for one in lab.drive.files() if one["name"] == "sub"]
    lab.drive.rename(sub, "old")
    lab.patient(url=url).put("k", SMALL)
    assert load(lab.patient("two", url=url), "k") == SMALL


def test_a_folder_of_the_path_that_vanishes_under_way_is_made_again(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "FRESH", 0.0)
    url = f"gdrive://{lab.folder}/sub"
    backend = lab.patient(url=url)
    backend.put("k", SMALL, label="data/k.bin")
    lab.drive.trash(next(one["id"] for one in lab.drive.files() if one["name"] == "sub"))
    assert backend.stat(["k"]) == {}
    backend.put("k", SMALL, label="data/k.bin")
    assert load(lab.patient("two", url=url), "k") == SMALL


# ------------------------------------------------------------------------------ what others did meanwhile


def test_who_saves_last_does_not_bring_back_what_another_process_saw_vanish(lab: Lab) -> None:
    first = lab.patient()
    first.put("files/k", SMALL)
    assert len([*first.list("")]) == 1
    lab.patient("elsewhere").delete(["files/k"])
    second = lab.patient()  # beside the first one, which has not saved yet
    second.put("refs/a", b"a")
    first.close()
    second.close()
    third = lab.patient()
    assert sorted(third.stat(["files/k", "refs/a"])) == ["refs/a"]


def test_what_one_process_listed_is_not_missing_because_another_began_anew(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [f"files/{number}" for number in range(120)]
    backend = lab.patient()
    backend.put(keys[0], b"x")
    properties = lab.drive.store.files[made(lab, keys[0])].properties
    for key in keys[1:]:
        number = lab.drive.file(key, b"x", lab.folder)
        lab.drive.store.files[number].properties = {**properties, "dl-key": key}
    assert len([*backend.list("")]) == 120
    backend.close()
    first, second = lab.patient(), lab.patient()
    first.stat(keys[:1])  # goes on with what was saved
    with monkeypatch.context() as patch:
        patch.setattr(state, "_BELIEVED", -1)
        second.stat(keys[:1])  # takes it for too old, and begins anew
    first.close()
    assert len(lab.backend().stat(keys)) == 120


def test_one_file_that_a_search_finds_does_not_mean_that_it_finds_all(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.drive.api.narrow = True
    lab.drive.share(lab.folder, BERT)
    lab.patient().put("k", SMALL, label="data/k.bin")
    lab.patient().put("l", SMALL, label="data/l.bin")
    lab.drive.share(made(lab, "k"), BERT, "reader")  # as if he had opened it once
    monkeypatch.setenv("DVC_LIKE_GDRIVE_CREDENTIALS", json.dumps(lab.drive.authorized_user(BERT)))
    bert = lab.patient("bert")
    assert sorted(bert.stat(["k", "l"])) == ["k", "l"]
    assert [key for key, _ in lab.patient("again").list("")] == ["k", "l"]


# ------------------------------------------------------------------------------ what never ends


@pytest.mark.parametrize("what", ["userRateLimitExceeded", "429"])
def test_pieces_that_are_refused_for_ever_are_a_limit_though_questions_are_answered(
    lab: Lab, no_waiting: list[float], what: str
) -> None:
    lab.drive.faults.add(what, "upload.chunk", times=2000)
    with pytest.raises(RemoteQuota):
        lab.patient().put("k", BIG)
    assert sum(no_waiting) < 2000


def test_changes_in_a_batch_that_are_refused_for_ever_are_a_limit(lab: Lab, no_waiting: list[float]) -> None:
    backend = lab.patient()
    backend.put("a", SMALL)
    backend.put("b", SMALL)
    lab.drive.faults.add("userRateLimitExceeded", "files.update", times=2000)
    with pytest.raises(RemoteQuota):
        backend.delete(["a", "b"])
    assert sum(no_waiting) < 2000


def test_closing_does_not_wait_for_who_was_told_to_slow_down(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """After Ctrl-C a thread may be left that waits for minutes, with the listing in its hands."""
    backend = lab.backend()
    asleep, end = threading.Event(), threading.Event()

    def sleep_until(moment: float) -> None:
        asleep.set()
        end.wait()

    monkeypatch.setattr(pace, "sleep_until", sleep_until)
    lab.drive.faults.add("429", "files.list", seconds=200)
    left = threading.Thread(target=lambda: backend.stat(["k"]))
    left.start()
    assert asleep.wait(20)
    closing = threading.Thread(target=backend.close, daemon=True)
    closing.start()
    closing.join(20)
    closed = not closing.is_alive()
    lab.drive.reset()
    monkeypatch.setattr(pace, "now", lambda: time.monotonic() + 1000)
    end.set()
    left.join()
    assert closed


# ------------------------------------------------------------------------------ what is said


def test_a_guest_may_use_a_path_of_folders(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = lab.drive.folder("flight", drive=lab.drive.shared_drive("Team", {ANNA: "organizer"}))
    lab.drive.share(folder, BERT, "fileOrganizer")
    monkeypatch.setenv("DVC_LIKE_GDRIVE_CREDENTIALS", json.dumps(lab.drive.authorized_user(BERT)))
    url = f"gdrive://{folder}/sub/deep"
    lab.patient(url=url).put("k", SMALL)
    assert load(lab.patient("two", url=url), "k") == SMALL


def test_a_page_instead_of_a_token_is_no_defect(lab: Lab) -> None:
    lab.drive.faults.add("html-200", "token", times=None)
    with pytest.raises(RemoteUnavailable, match="sign-in") as raised:
        lab.patient(attempts=2).stat(["k"])
    assert raised.value.hint


@pytest.mark.parametrize(
    ("broken", "said"), [("SSLError", "certificate"), ("ProxyError", "proxy"), ("Timeout", "in time")]
)
def test_why_the_sign_in_does_not_answer_is_said(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, broken: str, said: str
) -> None:
    waited = []

    def send(self: object, request: object, **options: object) -> None:
        waited.append(options["timeout"])
        raise getattr(requests.exceptions, broken)

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)
    with pytest.raises(RemoteError, match=f"sign-in service.*{said}") as raised:
        lab.patient(attempts=2, timeout="7").stat(["k"])
    assert raised.value.hint
    assert set(waited) == {7.0}


def test_a_file_of_authorities_that_is_missing_is_named(lab: Lab) -> None:
    with pytest.raises(ConfigError, match=r"/nowhere/ca\.pem"):
        lab.backend(verify="/nowhere/ca.pem").stat(["k"])


def test_no_trace_of_an_error_shows_where_an_upload_goes_on(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def send(self: object, request: requests.PreparedRequest, **options: object) -> None:
        seen.append(str(request.url))
        raise requests.ConnectionError(f"Max retries exceeded with url: {request.url}")

    lab.drive.faults.add("503", "upload.chunk", nth=(2,), times=None)
    backend = lab.backend()
    with pytest.raises(RemoteUnavailable):
        backend.put("k", BIG)
    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)
    with pytest.raises(RemoteUnavailable) as raised:
        backend.put("k", BIG)
    assert "upload_id" in seen[-1]
    assert "upload_id" not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize("what", ["insufficientPermissions", "domainPolicy", "accessNotConfigured"])
@pytest.mark.parametrize("keys", [["k"], ["k", "l"]])
def test_who_may_delete_nothing_is_not_told_of_others(lab: Lab, what: str, keys: list[str]) -> None:
    backend = lab.patient()
    for key in keys:
        backend.put(key, SMALL)
    lab.drive.faults.add(what, "files.update", times=None)
    with pytest.raises(RemoteDenied, match=what) as raised:
        backend.delete(keys)
    assert "others" not in raised.value.message
    assert lab.stored("k") == [SMALL]


def test_a_login_is_ended_through_the_proxy_of_the_remote(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def send(self: object, request: object, **options: object) -> None:
        asked.append(options["proxies"])
        raise requests.ConnectionError

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    place = parse("gdrive://folder", {"proxy": "http://127.0.0.1:2"}, "")
    assert "does not answer" in login._revoke(Login("123.apps.googleusercontent.com", "secret", "token"), place)
    assert [dict(one)["https"] for one in asked] == ["http://127.0.0.1:2"]  # type: ignore[call-overload]
