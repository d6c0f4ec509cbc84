"""State that came with a clone: `.dvc-like/tmp` and the cache are ours, and Git can deliver anything there.

Links to the user's own files, databases with more in them than rows, records that name other people's paths.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.inprocess import InProcess, in_process
from tests.cli.place import Place, digest_of
from tests.conftest import Cli, tree_of
from tests.safety import INPUT, PATHS, cases

from dvc_like.digest import fingerprint
from dvc_like.fsutil import NO_SIGNATURE
from dvc_like.ops import _state, _store
from dvc_like.ops._session import open_session
from dvc_like.workspace.index import Index, Present, make_row

cli = in_process  # many small calls

CALLS = (
    ["status"],
    ["status", "--cloud"],
    ["add", "new"],
    ["checkout"],
    ["pull"],
    ["push"],
    ["fsck"],
    ["fsck", "--remote", "storage"],
    ["gc", "-w"],
    ["gc", "-w", "--cloud", "--dry-run"],
    ["diff"],
    ["undo"],
    ["doctor"],
    ["drop", "data"],
    ["checkout", "--force"],
)
TMP = ".dvc-like/tmp"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """What belongs to nobody's dataset: a note, a folder with files in it, and a database of another program."""
    folder = tmp_path / "outside"
    (folder / "sub").mkdir(parents=True)
    (folder / "note").write_text("victim")
    (folder / "sub/letter").write_text("victim")
    with sqlite3.connect(folder / "mail.sqlite") as database:
        database.execute("CREATE TABLE mail (text TEXT)")
        database.execute("INSERT INTO mail VALUES ('dear friend')")
    database.close()
    return folder


@pytest.fixture
def pushed(place: Place) -> Place:
    place.track({"data/x": "1", "data/sub/y": "2", "single": "3"})
    place.push()
    return place


def delivered(pushed: Place, clone: Callable[..., Place], make: Callable[[Path], object]) -> Place:
    """Return a clone of the project in which `make` put something below `.dvc-like`, by Git."""
    evil = clone("evil")
    (evil / TMP).mkdir(parents=True)
    make(evil.root)
    evil.git("add", "-A", "-f", ".dvc-like")
    evil.save("evil")
    made = pushed.root.parent / "clone"
    pushed.git("clone", "-q", str(evil.root), str(made))
    made_place = Place(made)
    made_place.write({"new": "new"})
    return made_place


def run_all(copy: Place, cli: InProcess) -> None:
    for words in CALLS:
        done = cli(*words, cwd=copy.root, code=tuple(range(11)))
        assert "Traceback" not in done.err


def identity_of(store: Path) -> str:
    return _store.read_description((store / "dvc-like.json").read_bytes())


LINKS = {
    "index.sqlite": "mail.sqlite",
    "cache.sqlite": "mail.sqlite",
    "remotes.sqlite": "mail.sqlite",
    "index.sqlite-journal": "note",
    "clone": "note",
    "lock": "note",
    ".gitignore": "note",
    "packs": "sub",
    "packs/{store}": "sub",
    "packs/{store}/letter.idx": "sub/letter",
}


@pytest.mark.parametrize("name", LINKS)
def test_state_that_is_a_link_leads_nowhere(
    pushed: Place, store: Path, clone: Callable[..., Place], outside: Path, cli: InProcess, name: str
) -> None:
    def make(root: Path) -> None:
        link = root / TMP / name.format(store=identity_of(store))
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(outside / LINKS[name])

    copy = delivered(pushed, clone, make)
    before = tree_of(outside)
    run_all(copy, cli)
    assert tree_of(outside) == before
    cases(PATHS, len(CALLS))


CACHE_LINKS = (
    *("files/blake3", "files", "tmp", "new", "partial", "bad", "trash", "trash/files", "trash/files/blake3"),
    *(
        "lock",
        ".gitignore",
        "tmp/.dvc-like-tmp-1-1-1",
        "new/.dvc-like-tmp-1-1-1",
        "partial/blake3-x.dvc-like-tmp-1-1-1",
    ),
    *(f"{above}files/blake3/{digest_of(content)[7:9]}" for content in "13" for above in ("", "trash/")),
)


@pytest.mark.parametrize("name", CACHE_LINKS)
def test_a_cache_with_links_in_it_leads_nowhere(
    pushed: Place, clone: Callable[..., Place], outside: Path, cli: InProcess, name: str
) -> None:
    def make(root: Path) -> None:
        link = root / ".dvc-like/cache" / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(outside / ("note" if name in ("lock", ".gitignore") else "sub"))

    copy = delivered(pushed, clone, make)
    before = tree_of(outside)
    run_all(copy, cli)
    copy.age(30 * 86400)
    (copy / "single.meta").unlink(missing_ok=True)
    for words in (["gc", "-w", "--force"], ["gc", "-w", "--force", "--grace", "0"], ["checkout"]):
        assert "Traceback" not in cli(*words, cwd=copy.root, code=tuple(range(11))).err
    assert tree_of(outside) == before
    cases(PATHS, len(CALLS) + 3)


# ------------------------------------------------------------------------------ folders without a bottom

DEEP = [
    "way",
    TMP,
    ".dvc-like/undo",
    *(f".dvc-like/cache/{name}" for name in ("trash", "tmp", "new", "files/blake3/aa")),
]


@pytest.mark.parametrize("where", DEEP)
def test_folders_nested_without_end_are_passed_by_or_refused(
    pushed: Place, clone: Callable[..., Place], cli: InProcess, where: str
) -> None:
    def make(root: Path) -> None:
        (root / where).mkdir(parents=True, exist_ok=True)
        fd = os.open(root / where, os.O_RDONLY)
        for _ in range(1200):  # as deep as Git delivers; Python gives up before
            os.mkdir("d", dir_fd=fd)
            below = os.open("d", os.O_RDONLY, dir_fd=fd)
            os.close(fd)
            fd = below
        os.close(os.open("x.meta", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
        os.close(fd)

    copy = delivered(pushed, clone, make)
    try:
        run_all(copy, cli)
        done = cli("status", cwd=copy.root, code=7 if where in (TMP, ".dvc-like/undo") else 0)
        assert not done.err or "hint: Remove it." in done.err
        done = cli("gc", "-w", "--grace", "0", "--force", cwd=copy.root, code=(0, 7))
        assert "Traceback" not in done.err
        cases(INPUT, len(CALLS) + 2)
    finally:
        for place in (copy.root, copy.root.parent / "evil"):
            subprocess.run(["rm", "-rf", str(place / where)], check=True)  # pytest cannot


# ------------------------------------------------------------------------------ databases


def forged_index(root: Path, path: str, digest: str, name: str, content: str) -> None:
    present = {name: Present("f", digest, NO_SIGNATURE, fingerprint(content.encode()))}
    with Index(str(root / TMP / "index.sqlite")) as index:
        index.put(path, make_row((digest, 6, 1), present))


FORGED = {
    "a path that leaves": ("../outside/note", digest_of("victim"), "note", "victim"),
    "a folder that leaves": ("../outside", digest_of("victim"), "note", "victim"),
    "names that leave": ("data", digest_of("victim"), "../../outside/note", "victim"),
    "a digest that leaves": ("data", "blake3:../../../../../outside/note", "x", "1"),
    "a digest of a file that leaves": ("single", "blake3:../../../../../outside/note", "single", "other"),
    "Git's own": (".git/hooks", digest_of("victim"), "pre-commit", "victim"),
}


@pytest.mark.parametrize("what", FORGED)
def test_a_forged_index_is_not_believed(
    pushed: Place,
    clone: Callable[..., Place],
    outside: Path,
    cli: InProcess,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
) -> None:
    """The bytes of what it wants deleted are in the cache, so that they would count as safe."""
    monkeypatch.setattr(_state, "_seed", lambda _: 0)  # as if the forger had guessed it

    def make(root: Path) -> None:
        forged_index(root, *FORGED[what])
        shard = digest_of("victim")[7:9]
        (root / ".dvc-like/cache/files/blake3" / shard).mkdir(parents=True)
        (root / ".dvc-like/cache/files/blake3" / shard / digest_of("victim")[9:]).write_text("victim")

    copy = delivered(pushed, clone, make)
    copy.write({"single": "other", "data/x": "1"})
    before = tree_of(outside)
    (copy / ".git/hooks").mkdir(exist_ok=True)
    (copy / ".git/hooks/pre-commit").write_text("victim")
    run_all(copy, cli)
    assert tree_of(outside) == before
    assert (copy / ".git/hooks/pre-commit").read_text() == "victim"
    cases(PATHS, len(CALLS))


def test_a_database_that_does_more_than_hold_rows_is_never_opened(
    pushed: Place, clone: Callable[..., Place], cli: InProcess
) -> None:
    """A view that never ends in the place of a table, a trigger beside it."""

    def make(root: Path) -> None:
        for name, version, table in (("index", 1, "folder"), ("cache", 1, "shard"), ("remotes", 2, "seen")):
            with sqlite3.connect(root / TMP / f"{name}.sqlite") as database:
                columns = "1 AS path, 1 AS name, 1 AS store, 1 AS key, 1 AS token, 1 AS records, 1 AS sum"
                database.execute(
                    f"CREATE VIEW {table} AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)"
                    f" SELECT {columns}, x FROM n WHERE x < 0"
                )
                database.execute(f"PRAGMA user_version={version}")
            database.close()

    copy = delivered(pushed, clone, make)
    run_all(copy, cli)  # or it hangs
    cases(INPUT, len(CALLS))


def test_a_journal_that_names_somebody_elses_file_is_never_played_back(
    pushed: Place, clone: Callable[..., Place], outside: Path, cli: InProcess
) -> None:
    """SQLite deletes what a hot journal calls its super-journal, wherever that lies."""
    name = os.fsencode(outside / "note")

    def make(root: Path) -> None:
        path = root / TMP / "index.sqlite"
        with sqlite3.connect(path) as database:
            database.execute("CREATE TABLE folder (path TEXT PRIMARY KEY)")
            database.execute("PRAGMA user_version=1")
        database.close()
        page = path.read_bytes()[:4096]
        magic = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"
        nonce = 7
        head = (magic + struct.pack(">5I", 1, nonce, path.stat().st_size // 4096, 512, 4096)).ljust(512, b"\0")
        total = (nonce + sum(page[at] for at in range(4096 - 200, 0, -200))) & 0xFFFFFFFF
        record = struct.pack(">I", 1) + page + struct.pack(">I", total)
        tail = name + struct.pack(">II", len(name), sum(name)) + magic
        lock_page = struct.pack(">I", 0x40000000 // 4096 + 1)
        (root / TMP / "index.sqlite-journal").write_bytes(head + record + lock_page + tail)

    copy = delivered(pushed, clone, make)
    run_all(copy, cli)
    assert (outside / "note").read_text() == "victim"
    cases(PATHS, len(CALLS))


@pytest.mark.parametrize("serial", [1, 99_999_999])
def test_what_a_stranger_did_is_not_undone(
    pushed: Place, clone: Callable[..., Place], cli: InProcess, serial: int
) -> None:
    """A record of a command that was killed does not say what it left, so it would overwrite whatever is there."""
    old = (pushed / "single.meta").read_text()

    def make(root: Path) -> None:
        (root / ".dvc-like/undo").mkdir(exist_ok=True)
        text = old.replace("\n", "\\n")
        (root / f".dvc-like/undo/{serial:08}.undo").write_text(
            f"dvc-like undo 1\nverb\tadd single\npointer\tsingle.meta\t{text}\n-\tnew\n"
        )

    copy = delivered(pushed, clone, make)
    copy.pull()
    copy.write({"single": "mine"})
    copy.add("single")
    mine = (copy / "single.meta").read_text()
    cli("undo", cwd=copy.root)  # their own
    assert (copy / "single.meta").read_text() == old
    cli("undo", cwd=copy.root)
    assert (copy / "single.meta").read_text() == mine
    shutil.rmtree(copy / ".dvc-like/undo")
    copy.git("checkout", "-q", "--", ".dvc-like/undo")
    assert "nothing to undo" in cli("undo", cwd=copy.root, code=1).err
    assert (copy / "single.meta").read_text() == mine
    assert (copy / "single").read_text() == "mine"
    cases(PATHS, 2)


def test_state_made_here_is_kept_when_the_repository_is_moved_and_made_anew_when_it_is_not_ours(
    pushed: Place, tmp_path: Path, cli: InProcess
) -> None:
    pushed.states()
    with open_session(pushed.project) as session:
        rows = len(session.index._paths())
    assert rows
    moved = Place(tmp_path / "moved")
    shutil.copytree(pushed.root, moved.root, symlinks=True)
    moved.states()
    with open_session(moved.project) as session:
        assert len(session.index._paths()) == rows
    strange = Place(tmp_path / "strange")
    shutil.copytree(pushed.root, strange.root, symlinks=True, ignore=shutil.ignore_patterns(".git"))
    strange.git("init", "-q")
    (strange / TMP / "left").mkdir()
    strange.states()
    assert not (strange / TMP / "left").exists()
    assert strange.states() == {"data": "unchanged", "single": "unchanged"}


def test_where_gits_folder_cannot_be_written_state_begins_and_strange_state_is_refused(
    place: Place, tmp_path: Path, unprivileged: Cli
) -> None:
    place.track({"data/x": "1"})
    copy = Place(tmp_path / "copy")
    place.git("clone", "-q", str(place.root), str(copy.root))
    (copy / ".git").chmod(0o555)
    try:
        unprivileged("status", cwd=copy.root)
        done = unprivileged("status", cwd=copy.root, code=7)
    finally:
        (copy / ".git").chmod(0o755)
    assert "may not have been made here" in done.err
    assert "hint:" in done.err
    unprivileged("status", cwd=copy.root)


# ------------------------------------------------------------------------------ modes


@pytest.mark.skipif(os.name != "posix", reason="there are no such modes")
@pytest.mark.parametrize("kind", ["copy", "reflink,copy", "hardlink,copy", "symlink,copy"])
def test_of_modes_only_the_owners_right_to_execute_comes_back(
    place: Place, store: Path, clone: Callable[..., Place], kind: str
) -> None:
    """Whatever modes the user's files or the objects of a share have: no setuid, nothing that others may write."""
    before = os.umask(0o022)
    try:
        place.write({"data/run": ("file", True, b"#!/bin/sh\n"), "data/plain": "1", "single": "2"})
        for name in ("data/run", "single"):
            (place / name).chmod(0o6777)
        place.add("data", "single")
        place.save()
        place.push()
        for path in store.rglob("*"):
            if path.is_file():
                path.chmod(0o6777)
        copy = clone()
        copy.config("local", cache_type=kind)
        copy.pull()
        for folder in (copy.cache / "files", copy / "data", copy / "single"):
            for path in (folder, *folder.rglob("*")):
                mode = path.stat().st_mode
                assert not mode & 0o7022, (path, oct(mode))
        assert (copy / "data/run").stat().st_mode & 0o111
    finally:
        os.umask(before)
    cases(PATHS, 2)
