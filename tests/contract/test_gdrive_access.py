"""The Drive backend as whoever may use a folder: a colleague, a member of a shared drive, a guest in it, a robot."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.contract.gdrive_lab import BIG, SMALL, Lab
from tests.servers.drive import ANNA, BERT, ROBOT, SCOPE_READONLY

from dvc_like.errors import RemoteDenied
from dvc_like.testing.samples import load

#: name -> the role in the shared drive (none: the folder lies in My Drive), the role on the folder, who it is.
ACCESS: dict[str, tuple[str, str, str]] = {
    "colleague": ("", "writer", BERT),
    "content manager": ("fileOrganizer", "", BERT),
    "manager": ("organizer", "", BERT),
    "guest": ("", "fileOrganizer", BERT),
    "robot": ("fileOrganizer", "", ROBOT),
}


def enter(lab: Lab, monkeypatch: pytest.MonkeyPatch, access: str) -> str:
    """Become somebody with this access; return the address of the folder."""
    member, role, email = ACCESS[access]
    folder = lab.folder
    if access != "colleague":
        members = {ANNA: "organizer"} | ({email: member} if member else {})
        folder = lab.drive.folder("flight", drive=lab.drive.shared_drive("Team", members))
    if role:
        lab.drive.share(folder, email, role)
    become(lab, monkeypatch, email)
    return f"gdrive://{folder}"


def become(lab: Lab, monkeypatch: pytest.MonkeyPatch, email: str, **options: Any) -> None:
    info = lab.drive.service_account() if email == ROBOT else lab.drive.authorized_user(email, **options)
    monkeypatch.setenv("DVC_LIKE_GDRIVE_CREDENTIALS", json.dumps(info))


@pytest.mark.parametrize("access", ACCESS)
def test_all_can_be_done_with_one_s_own(lab: Lab, monkeypatch: pytest.MonkeyPatch, access: str) -> None:
    url = enter(lab, monkeypatch, access)
    backend = lab.patient(url=url)
    backend.put("small", SMALL, label="data/small.bin")
    backend.put("big", BIG, label="data/big.bin")
    other = lab.patient("two", url=url)
    assert [key for key, _ in other.list("")] == ["big", "small"]
    assert (load(other, "small"), load(other, "big")) == (SMALL, BIG)
    other.delete(["small"])
    assert sorted(other.stat(["small", "big"])) == ["big"]
    assert lab.stored("small") == []


@pytest.mark.parametrize("access", ACCESS)
def test_what_others_stored_is_read_and_not_stored_again(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, access: str
) -> None:
    url = enter(lab, monkeypatch, access)
    become(lab, monkeypatch, ANNA)
    lab.patient("anna", url=url).put("k", SMALL, label="data/k.bin")
    become(lab, monkeypatch, ACCESS[access][2])
    backend = lab.patient(url=url)
    assert load(backend, "k") == SMALL
    backend.put("k", SMALL, label="data/k.bin")
    assert lab.stored("k") == [SMALL]


@pytest.mark.parametrize("member", ["reader", "commenter"])
def test_who_may_only_read_is_told_so_before_a_byte_is_sent(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, member: str
) -> None:
    lab.patient().put("k", SMALL)
    lab.drive.share(lab.folder, BERT, member)
    become(lab, monkeypatch, BERT)
    backend = lab.patient("bert")
    assert load(backend, "k") == SMALL
    with pytest.raises(RemoteDenied, match="may not add files"):
        backend.put("l", BIG)
    assert lab.drive.calls["upload.start"] == 0


def test_a_token_that_only_reads_reads(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.patient().put("k", SMALL)
    become(lab, monkeypatch, ANNA, scopes=(SCOPE_READONLY,))
    backend = lab.patient("two")
    assert load(backend, "k") == SMALL
    with pytest.raises(RemoteDenied) as raised:
        backend.put("l", SMALL)
    assert "scope" in str(raised.value.hint)
    assert lab.stored("l") == []


def test_what_a_colleague_took_out_of_the_store_is_stored_anew(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.drive.share(lab.folder, BERT)
    backend = lab.patient()
    backend.put("k", SMALL)
    become(lab, monkeypatch, BERT)
    lab.patient("bert").delete(["k"])  # which may not be trashed by him, and is released
    backend.put("k", SMALL)
    assert lab.stored("k") == [SMALL]


def test_what_a_contributor_may_not_trash_is_no_object_any_more(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = lab.drive.folder("f", drive=lab.drive.shared_drive("Team", {ANNA: "organizer", BERT: "writer"}))
    become(lab, monkeypatch, BERT)
    backend = lab.patient(url=f"gdrive://{folder}")
    backend.put("k", SMALL)
    assert load(backend, "k") == SMALL
    backend.delete(["k"])
    assert backend.stat(["k"]) == {}
    assert lab.stored("k") == []
    assert [one["size"] for one in lab.drive.files(trashed=False) if one["size"] == len(SMALL)] == [len(SMALL)]
