"""Every kind of object, damaged in every way, before every verb that may read it.

Never delivered, never sent, told by name, set aside; and mended from the side that is sound.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.cli.inprocess import InProcess, in_process
from tests.cli.place import Place, clone_of, digest_of, key_of, make_place
from tests.cli.stores import contents_of, dangling, packed_in, unsound
from tests.conftest import Node, tree_of
from tests.safety import DAMAGE, cases

from dvc_like.cli.table import COMMANDS
from dvc_like.errors import DvcLikeError

cli = in_process

LARGE = bytes(range(256)) * 5000  # too large for a pack
CONTENT: dict[str, bytes | str | Node | None] = {
    "data/a.txt": "first version of a\n" * 9,
    "data/run.sh": ("file", True, b"#!/bin/sh\necho run\n"),
    "data/sub/b.txt": "b, and as long as c\n",
    "data/sub/c.txt": "c, and as long as b\n",
    "data/large": LARGE,
    "single": "a file of its own\n",
}
ALL = tuple(range(1, 12))


# ------------------------------------------------------------------------------ ways to damage a file


def flip(path: Path, other: bytes) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def truncate(path: Path, other: bytes) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def empty(path: Path, other: bytes) -> None:
    path.write_bytes(b"")


def grow(path: Path, other: bytes) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def swap(path: Path, other: bytes) -> None:
    path.write_bytes(other)


def delete(path: Path, other: bytes) -> None:
    path.unlink()


def link(path: Path, other: bytes) -> None:
    """A link to the very bytes, elsewhere: who changes those changes the dataset."""
    outside = path.parents[len(path.parents) - 4] / f"outside-{os.getpid()}"
    outside.write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(outside)


def folder(path: Path, other: bytes) -> None:
    path.unlink()
    path.mkdir()
    (path / "x").write_text("x")


#: In each run those that differ most in what finds them; the others in the slow one.
DAMAGES = (
    *(flip, empty, delete, folder),
    *(pytest.param(how, marks=pytest.mark.slow) for how in (truncate, grow, swap, link)),
)


class Spoiler:
    """Damages one file again and again: each verb meets it afresh."""

    def __init__(self, path: Path, how: Callable[[Path, bytes], None], other: bytes) -> None:
        self.path, self._how, self._other = path, how, other
        self._sound = path.read_bytes()

    def __call__(self) -> None:
        self.mend()
        self.path.chmod(0o644)
        self._how(self.path, self._other)

    def mend(self) -> None:
        if self.path.is_dir() and not self.path.is_symlink():
            shutil.rmtree(self.path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()
        self.path.write_bytes(self._sound)


# ------------------------------------------------------------------------------ the project


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a project of two versions, its remote, and an empty one."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        for name, text in (("NAME", "A"), ("EMAIL", "a@example.com")):
            patch.setenv(f"GIT_AUTHOR_{name}", text)
            patch.setenv(f"GIT_COMMITTER_{name}", text)
        place = make_place(folder / "project")
        place.use_store(Path("../storage"))
        for content in ({"data/a.txt": "older\n", "single": "older\n"}, CONTENT):
            place.track(content)
            place.push()
        assert sorted(path.suffix for path in (folder / "storage/packs").iterdir()) == [".idx", ".idx", ".zip", ".zip"]
        yield folder


@pytest.fixture
def fresh(made: Path, tmp_path: Path) -> Place:
    """A copy of all that, for one test."""
    shutil.copytree(made / "project", tmp_path / "project", symlinks=True)
    shutil.copytree(made / "storage", tmp_path / "storage", symlinks=True)
    place = Place(tmp_path / "project")
    place.states()
    return place


EXPECTED = {
    name: node if isinstance(node, tuple) else ("file", False, node.encode() if isinstance(node, str) else node)
    for name, node in CONTENT.items()
}


def check_workspace(place: Place, what: object, *, whole: bool) -> None:
    """Fail unless all that is there is right; with `whole`, unless all is there."""
    found = {name: node for name, node in place.data().items() if node[0] != "folder"}
    for name, node in found.items():
        assert node == EXPECTED[name], (what, name)
    if whole:
        assert found.keys() == EXPECTED.keys(), what


def empty_workspace(place: Place) -> None:
    shutil.rmtree(place / "data", ignore_errors=True)
    (place / "single").unlink(missing_ok=True)


def root_tree(place: Place) -> str:
    text = (place / "data.meta").read_text()
    hexes = text.partition("blake3:")[2][:64]
    return f"files/blake3/{hexes[:2]}/{hexes[2:]}.tree"


def sub_tree(place: Place) -> str:
    root = (place.cache / root_tree(place)).read_text()
    hexes = next(line for line in root.splitlines() if line.endswith("\tsub")).partition("blake3:")[2][:64]
    return f"files/blake3/{hexes[:2]}/{hexes[2:]}.tree"


CACHED: dict[str, Callable[[Place], tuple[str, str]]] = {
    "file": lambda place: (key_of(str(CONTENT["data/sub/b.txt"])), key_of(str(CONTENT["data/sub/c.txt"]))),
    "exec": lambda place: (key_of(EXPECTED["data/run.sh"][2]), key_of(str(CONTENT["data/a.txt"]))),
    "large": lambda place: (key_of(LARGE), key_of(str(CONTENT["single"]))),
    "single": lambda place: (key_of(str(CONTENT["single"])), key_of(str(CONTENT["data/a.txt"]))),
    "root": lambda place: (root_tree(place), sub_tree(place)),
    "tree": lambda place: (sub_tree(place), root_tree(place)),
}

#: What reads the cache, and may say what it likes as long as nothing wrong comes of it.
LOOKING = (
    *(["status"], ["status", "--cloud"], ["diff"], ["diff", "HEAD~1"], ["diff", "--content", "HEAD~1"], ["ls", "-R"]),
    *(
        ["du"],
        ["log", "data/sub/b.txt"],
        ["git-textconv", "data.meta"],
        ["verify"],
        ["gc", "-w"],
        ["doctor"],
        ["undo", "-l"],
    ),
    *(["add", "data", "single"], ["commit"], ["push"], ["push", "-r", "other"], ["unprotect", "data"]),
    ["get", ".", "data", "-o", "../got"],
)
BRINGING = (
    ["checkout"],
    ["checkout", "--force"],
    ["fetch"],
    ["pull"],
    ["checkout", "data/sub"],
    ["pull", "data/sub", "single"],
)


@pytest.mark.parametrize("how", DAMAGES, ids=lambda how: how.__name__)
@pytest.mark.parametrize("kind", CACHED)
def test_damage_in_the_cache(fresh: Place, cli: InProcess, kind: str, how: Callable[[Path, bytes], None]) -> None:
    key, other = CACHED[kind](fresh)
    spoil = Spoiler(fresh.cache / key, how, (fresh.cache / other).read_bytes())
    fresh.config(**{"remote_other.url": "../other"})
    store, second = fresh.root.parent / "storage", fresh.root.parent / "other"
    before = contents_of(store)
    for words in LOOKING:
        spoil()
        done = cli(*words, cwd=fresh.root, code=(0, *ALL))
        assert "Traceback" not in done.err, words
        check_workspace(fresh, words, whole=True)
        assert contents_of(store) == before, words
        if words[0] == "get" and done.code == 0:
            assert tree_of(fresh.root.parent / "got") == tree_of(fresh / "data")
        shutil.rmtree(fresh.root.parent / "got", ignore_errors=True)
        if words[0] == "push" and second.exists():
            assert unsound(second) == [], words
            assert dangling(second) == [], words
            if done.code == 0:
                assert contents_of(second).keys() >= before.keys()
            shutil.rmtree(second)
    for words in BRINGING:
        empty_workspace(fresh)
        spoil()
        done = cli(*words, cwd=fresh.root, code=(0, *ALL))
        assert "Traceback" not in done.err, words
        check_workspace(
            fresh, words, whole=done.code == 0 and words in (["checkout"], ["checkout", "--force"], ["pull"])
        )
        assert done.code in (0, 4, 7, 9), words
        if words[0] in ("pull", "fetch"):
            assert done.code == 0, (words, done.err)
    spoil.mend()
    cli("pull", cwd=fresh.root)
    spoil()
    assert cli("fsck", "--read-data", cwd=fresh.root, code=(0, 7)).code == 7
    spoil()
    cli("fsck", "--repair", cwd=fresh.root)
    empty_workspace(fresh)
    cli("pull", cwd=fresh.root)
    check_workspace(fresh, "at last", whole=True)
    cli("fsck", cwd=fresh.root)
    cases(DAMAGE, len(LOOKING) + len(BRINGING) + 3)


# ------------------------------------------------------------------------------ the remote


def pack_of(place: Place) -> Path:
    """Return the pack that holds the current version."""
    return next(one.path for one in packed_in(place.root.parent / "storage") if one.key == root_tree(place))


REMOTE: dict[str, Callable[[Place], Path]] = {
    "whole file": lambda place: place.root.parent / "storage" / key_of(LARGE),
    "single file": lambda place: place.root.parent / "storage" / key_of(str(CONTENT["single"])),
    "pack": pack_of,
    "index": lambda place: pack_of(place).with_suffix(".idx"),
    "ref": lambda place: next((place.root.parent / "storage/refs").iterdir()),
    "dvc-like.json": lambda place: place.root.parent / "storage/dvc-like.json",
}
AWAY = (
    *(
        ["status", "--cloud"],
        ["fetch"],
        ["pull"],
        ["pull", "data/sub"],
        ["diff", "HEAD~1"],
        ["fsck", "--remote", "storage"],
    ),
    *(["fsck", "--remote", "storage", "--read-data"], ["verify", "--pushed"], ["drop", "single"]),
    *(["gc", "-w", "--cloud"], ["gc", "-A", "--cloud"], ["remote", "test"], ["push"]),
)


@pytest.mark.parametrize("how", DAMAGES, ids=lambda how: how.__name__)
@pytest.mark.parametrize("kind", REMOTE)
def test_damage_on_the_remote(
    fresh: Place, cli: InProcess, tmp_path: Path, kind: str, how: Callable[[Path, bytes], None]
) -> None:
    path = REMOTE[kind](fresh)
    store = tmp_path / "storage"
    others = [one for one in sorted(path.parent.iterdir()) if one != path and one.is_file()]
    others = [one for one in others if one.suffix == path.suffix] or [store / "dvc-like.json"]
    spoil = Spoiler(path, how, others[0].read_bytes() + (b" " if path.suffix == ".json" else b""))
    clone_of(fresh, tmp_path / "plain")
    for number, words in enumerate(AWAY):
        copy = Place(tmp_path / f"clone{number}")
        shutil.copytree(tmp_path / "plain", copy.root, symlinks=True)
        spoil()
        done = cli(*words, cwd=copy.root, code=(0, *ALL))
        assert "Traceback" not in done.err, words
        check_workspace(copy, words, whole=done.code == 0 and words == ["pull"])
        assert unsound(copy.cache) == [], words
        shutil.rmtree(copy.root)
    spoil()
    needed = kind not in ("ref", "dvc-like.json")
    with_data = cli("fsck", "--remote", "storage", "--read-data", cwd=fresh.root, code=(0, 4, 6, 7))
    if needed:
        assert with_data.code != 0
    # The way back: from the cache of a clone that has it all; what no command may touch by itself is said.
    mended = cli("fsck", "--remote", "storage", "--repair", "--read-data", cwd=fresh.root, code=(0, *ALL))
    if mended.code:
        assert mended.err.count("hint:") or "storage" in mended.err
        spoil.mend()
    copy = clone_of(fresh, tmp_path / "last")
    cli("pull", cwd=copy.root)
    check_workspace(copy, "at last", whole=True)
    cases(DAMAGE, len(AWAY) + 2)


def test_the_table_names_every_verb_that_reads_objects() -> None:
    """A verb that is added must be added to the matrix, or here with the reason."""
    reads_none = {
        *("init", "config", "cache", "completion", "root", "check-ignore", "install", "uninstall"),
        *("git-hook", "git-merge", "remove", "move"),  # pointers only, or by way of a verb that is in the matrix
        *("import", "update", "import-url"),  # as `get`, or what is not in a cache yet
        "migrate",  # a cache of others, each object of which is hashed before it is first used
    }
    named = {words[0] for words in (*LOOKING, *BRINGING, *AWAY)} | {"fsck"}
    assert set(COMMANDS) - reads_none == named | (named - set(COMMANDS))


def test_what_is_set_aside_stays_there_to_be_looked_at(fresh: Place) -> None:
    path = fresh.cached(str(CONTENT["single"]))
    Spoiler(path, flip, b"")()
    damaged = path.read_bytes()
    (fresh / "single").unlink()
    with pytest.raises(DvcLikeError):
        fresh.checkout()
    (kept,) = (fresh.cache / "bad").iterdir()
    assert kept.read_bytes() == damaged
    assert digest_of(str(CONTENT["single"]))[9:] in kept.name
    fresh.pull()
    assert kept.exists()
    assert tree_of(fresh.cache / "bad")
    cases(DAMAGE)
