"""The Drive backend on a long walk: several machines do this and that while calls fail, and no answer is wrong."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.contract.gdrive_lab import BIG, CALLS, PIECE, SMALL, Lab
from tests.servers.drive import ANNA, BERT, Rate

from dvc_like.errors import RemoteDenied, RemoteError, RemoteNotFound
from dvc_like.remote.base import Backend
from dvc_like.remote.gdrive import listing, pace
from dvc_like.testing.samples import load

KEYS = [*(f"files/{n}" for n in range(6)), "refs/main", "packs/a.idx"]
VERBS = ("put", "put", "put", "get", "get", "stat", "list", "delete", "trash")
FAULTS = ("503", "html-502", "drop", "lose", "lose-500", "hang-up", "userRateLimitExceeded")


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("harsh", [False, True])
def test_every_answer_is_the_one_that_is_right(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, harsh: bool
) -> None:
    monkeypatch.setattr(listing, "FRESH", 0.0)  # what another machine did counts at once
    monkeypatch.delenv("DVC_LIKE_GDRIVE_CREDENTIALS")
    lab.drive.store.quiet_folders = lab.drive.api.narrow = harsh
    lab.drive.share(lab.folder, BERT)

    def open_again(name: str) -> Backend:
        email = BERT if name == "three" else ANNA
        (tmp_path / email).write_text(json.dumps(lab.drive.authorized_user(email)))
        return lab.patient(name, attempts=30, credentials=str(tmp_path / email))

    chance = random.Random(seed)
    sizes = (0, 1, 3000, 2 * PIECE + 3)
    data = {key: chance.randbytes(chance.choice(sizes)) for key in KEYS}  # as in a store: a key has one content
    there: set[str] = set()
    backends = {name: open_again(name) for name in ("one", "two", "three")}
    for what in FAULTS:
        lab.drive.faults.add(what, CALLS, times=None, probability=0.02)
    for step in range(60):
        name, key = chance.choice([*backends]), chance.choice(KEYS)
        act(lab, backends[name], chance.choice(VERBS), key, data, there)
        if step % 15 == 14:  # a new process
            backends[name].close()
            backends[name] = open_again(name)
    for key in KEYS:
        assert set(lab.stored(key)) == ({data[key]} if key in there else set())


def act(lab: Lab, backend: Backend, verb: str, key: str, data: dict[str, bytes], there: set[str]) -> None:
    """Do something; what comes of it must be what is `there`."""
    if verb == "put":
        backend.put(key, data[key], label=f"data/{key}.bin")
        there.add(key)
    elif verb == "get" and key in there:
        assert load(backend, key) == data[key]
    elif verb == "get":
        with pytest.raises(RemoteNotFound):
            load(backend, key)
    elif verb == "stat":
        assert {one: info.size for one, info in backend.stat(KEYS).items()} == {one: len(data[one]) for one in there}
    elif verb == "list":
        assert [one for one, _ in backend.list("files/")] == sorted(one for one in there if one.startswith("files/"))
    elif verb == "delete":
        backend.delete([key])
        there.discard(key)
    else:  # a person does
        for one in lab.drive.files(trashed=False):
            if one["properties"].get("dl-key") == key:
                lab.drive.trash(one["id"])
        there.discard(key)


def test_a_listing_shows_nothing_that_another_machine_deleted(lab: Lab) -> None:
    backend = lab.patient("one")
    for key in KEYS:
        backend.put(key, SMALL)
    backend.close()
    lab.patient("two").delete(KEYS[:2])
    assert [key for key, _ in lab.patient("one").list("")] == sorted(KEYS[2:])


def test_a_limit_of_three_files_a_second_is_found_and_kept(lab: Lab, no_waiting: list[float]) -> None:
    creates = ("files.create", "upload.multipart", "upload.start")
    limit = Rate(2.5, burst=10, clock=pace.now)
    lab.drive.faults.add("userRateLimitExceeded", creates, times=None, when=limit)
    backend = lab.patient()
    todo = [f"k{number}" for number in range(60)]

    def work() -> None:
        while todo:
            try:
                key = todo.pop()
            except IndexError:
                return
            backend.put(key, SMALL[:100])

    together(work, 6)
    assert all(lab.stored(f"k{number}") == [SMALL[:100]] for number in range(60))
    assert sum(no_waiting) < 400  # by all six together; one alone needs twenty
    assert lab.drive.faults.struck["userRateLimitExceeded"] < 60


def together(call: Callable[[], object], threads: int) -> None:
    """Call in several threads at once; raise what the first that failed raised."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except BaseException as error:
            failed.append(error)

    running = [threading.Thread(target=run) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    if failed:
        raise failed[0]


def test_a_token_is_renewed_once_for_all(lab: Lab) -> None:
    backend = lab.patient()
    backend.put("k", BIG)
    before = lab.drive.calls["token"]
    lab.drive.oauth.expire()
    together(lambda: load(backend, "k"), 8)
    assert lab.drive.calls["token"] <= before + 1


@pytest.mark.parametrize("action", ["put", "put big", "get", "stat", "list", "delete"])
def test_a_page_of_some_other_machine_is_an_error_of_ours(lab: Lab, action: str) -> None:
    from tests.contract.test_gdrive_faults import ACTIONS

    lab.patient().put("old", SMALL)
    for calls in (CALLS, ("files.get_media", "upload.multipart", "upload.chunk", "files.update", "batch")):
        lab.drive.faults.clear()
        lab.drive.faults.add("html-200", calls, times=None)
        try:
            got = ACTIONS[action](lab.patient("two", attempts=2))
        except RemoteError:
            continue
        assert action != "get" or got == SMALL
        assert action not in ("put", "put big") or lab.stored("k")
        assert action != "delete" or not lab.stored("old")
    lab.drive.faults.clear()
    assert action == "delete" or load(lab.patient("two"), "old") == SMALL


@pytest.mark.parametrize("name", ["it's", "a\\b", "ümlaut 文", "a'b\\'c", "and or ) ("])
def test_folders_have_any_name(lab: Lab, name: str) -> None:
    url = f"gdrive://{lab.folder}/{name}/below"
    try:
        lab.patient(url=url).put("k", SMALL)
    except RemoteDenied:
        pytest.fail("a name that Drive takes")
    assert load(lab.patient("two", url=url), "k") == SMALL
    assert [path for path in lab.drive.tree(lab.folder) if path.endswith("/")][:2] == [f"{name}/", f"{name}/below/"]
