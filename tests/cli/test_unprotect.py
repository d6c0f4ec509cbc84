"""`unprotect`: links into the cache become private files; `checkout --relink` makes links of them again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.inprocess import InProcess as Cli
from tests.cli.inprocess import in_process  # noqa: F401 - the fixture `cli` of this file
from tests.cli.killing import count_changes, moments, run_child, start
from tests.cli.place import Place, digest_of, past_the_tick, temps_in, unlock
from tests.conftest import IS_ROOT, Node

import dvc_like
from dvc_like.digest import Digest
from dvc_like.fsutil import copy_bytes
from dvc_like.locks import lock
from dvc_like.ops._session import open_session

CONTENT = {"data/x": "one", "data/sub/y": "two", "single": "three"}


@pytest.fixture(params=["hardlink", "symlink"])
def linked(place: Place, request: pytest.FixtureRequest) -> Place:
    place.config("local", cache_type=request.param)
    place.track({**CONTENT, "data/run": ("file", True, b"r"), "data/inner": ("link", False, "x")})
    place.checkout(relink=True)
    past_the_tick(place / "single")
    assert shared(place) == set(CONTENT)
    return place


def shared(place: Place) -> set[str]:
    """Return the files that share their bytes with the cache."""
    return {name for name, text in CONTENT.items() if (place / name).samefile(place.cached(text))}


def plain(place: Place) -> dict[str, Node]:
    return {name: node for name, node in place.data().items() if name not in CONTENT}


def test_links_become_private_files(linked: Place, cli: Cli) -> None:
    others = plain(linked)
    done = cli("unprotect", "data", "single.meta", "--json").json
    assert done == {"schema": "dvc-like/unprotect/1", "copied": ["data/sub/y", "data/x", "single"]}
    assert shared(linked) == set()
    assert {name: (linked / name).read_text() for name in CONTENT} == CONTENT
    assert not any((linked / name).is_symlink() for name in CONTENT)
    assert all((linked / name).stat().st_mode & 0o200 for name in CONTENT)
    assert plain(linked) == others, "links of the dataset itself, and executable files, are no links into the cache"
    assert set(linked.states().values()) == {"unchanged"}
    assert "Nothing is a link" in cli("unprotect", "data", "single").out


def test_the_copy_can_be_edited_and_the_cache_stays_sound(linked: Place, cli: Cli) -> None:
    cli("unprotect", ".")
    linked.write(dict.fromkeys(CONTENT, "edited"))
    cli("fsck", "--read-data")
    assert set(linked.changes().values()) == {"modified"}
    linked.add("data", "single")
    assert set(linked.states().values()) == {"unchanged"}


def test_only_what_is_named(linked: Place, cli: Cli) -> None:
    cli("unprotect", "data/sub")
    assert shared(linked) == {"data/x", "single"}
    cli("unprotect", "data/x")
    assert shared(linked) == {"single"}


def test_objects_stay_trusted(linked: Place, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    cli("unprotect", "data", "single")
    monkeypatch.setattr("dvc_like.cache.store._verify", lambda *_: pytest.fail("hashed again"))
    with open_session(linked.project) as session:
        assert all(session.cache.ensure(Digest(digest_of(text))) for text in CONTENT.values())


def test_links_again_with_relink(linked: Place, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    cli("unprotect", "data", "single")
    cli("checkout", "--relink")
    assert shared(linked) == set(CONTENT)
    cli("config", "--local", "cache.type", "copy")
    cli("checkout", "--relink", "data")
    assert shared(linked) == {"single"}
    monkeypatch.setattr("dvc_like.cache.store._verify", lambda *_: pytest.fail("hashed again"))
    cli("checkout", "--relink")
    assert shared(linked) == set()
    assert set(linked.states().values()) == {"unchanged"}


def test_relink_leaves_edited_files_alone(linked: Place, cli: Cli) -> None:
    cli("unprotect", "data/x")
    linked.write({"data/x": "edited"})
    before = linked.data()
    cli("checkout", "--relink", code=5)
    assert linked.data() == before
    cli("checkout", "--relink", "data/sub", "single")
    assert (linked / "data/x").read_text() == "edited"


def test_without_an_index(linked: Place, cli: Cli) -> None:
    (linked / ".dvc-like/tmp/index.sqlite").unlink()
    cli("unprotect", "data", "single")
    assert shared(linked) == set()
    assert set(linked.states().values()) == {"unchanged"}


def test_in_another_worktree(linked: Place, cli: Cli, tmp_path: Path) -> None:
    linked.git("worktree", "add", "-q", str(tmp_path / "tree"), "-b", "side")
    shutil.copy(linked / ".dvc-like/config.local", tmp_path / "tree/.dvc-like/config.local")
    tree = Place(tmp_path / "tree")
    tree.checkout()
    assert all((tree / name).samefile(linked.cached(text)) for name, text in CONTENT.items())
    cli("unprotect", "data", "single", cwd=tree.root)
    assert not any((tree / name).samefile(linked.cached(text)) for name, text in CONTENT.items())
    assert {name: (tree / name).read_text() for name in CONTENT} == CONTENT
    assert shared(linked) == set(CONTENT)


def test_a_link_to_an_object_that_is_missing_or_damaged(linked: Place, cli: Cli) -> None:
    symbolic = (linked / "single").is_symlink()
    unlock(linked.cached("three")).write_text("rotten")
    linked.cached("one").unlink()
    done = cli("unprotect", "data", "single", code=4 if symbolic else 0)
    assert (linked / "data/sub/y").read_text() == "two"
    if symbolic:
        assert "data/x" in done.err
        assert "single" in done.err
        assert (linked / "data/x").is_symlink()
        assert temps_in(linked.root / "data") == []
        return
    assert (linked / "single").read_text() == "rotten", "what an edit through the link made is the user's"
    assert (linked / "data/x").read_text() == "one"
    assert linked.changes() == {"single": "modified"}


def test_hard_links_of_the_users_own_stay(place: Place, cli: Cli) -> None:
    place.track({"data/a": "same"})
    os.link(place / "data/a", place / "data/b")
    place.add("data")
    cli("unprotect", "data")
    assert (place / "data/a").samefile(place / "data/b")


def test_what_cannot_be_unprotected(place: Place, cli: Cli, tmp_path: Path) -> None:
    place.track({"data/x": "1", "bad": "2"})
    assert "not tracked" in cli("unprotect", "nope", code=2).err
    cli("unprotect", "data/nope", code=2)
    cli("unprotect", code=2)
    cli("unprotect", "../x", code=2)
    cli("unprotect", "x", cwd=tmp_path, code=3)
    (place / "bad.meta").write_text("hash: nonsense\n")
    cli("unprotect", "bad", "data", code=7)
    with pytest.raises(dvc_like.DvcLikeError):
        dvc_like.unprotect(place.project, [])


def test_what_is_not_here_does_not_come(place: Place, cli: Cli, clone: Callable[..., Place]) -> None:
    place.track({"data/x": "1", "single": "2"})
    place.push()
    copy = clone()
    copy.fetch()
    cli("unprotect", "data", "single", cwd=copy.root)
    assert copy.data() == {}


@pytest.mark.skipif(not IS_ROOT, reason="needs root, to mount a file system that can clone")
@pytest.mark.parametrize("kind", ["xfs", "btrfs"])
def test_a_file_system_that_clones(place: Place, cli: Cli, loop_fs: Callable[[str], Path], kind: str) -> None:
    folder = loop_fs(kind)
    shutil.copytree(place.root, folder / "project")
    there = Place(folder / "project")
    content = os.urandom(1 << 20)
    there.config("local", cache_type="hardlink")
    there.write({"big": content})
    cli("add", "big", cwd=there.root)
    cli("checkout", "--relink", cwd=there.root)
    assert (there / "big").samefile(there.cached(content))
    cli("unprotect", "big", cwd=there.root)
    assert not (there / "big").samefile(there.cached(content))
    assert _shares_blocks(there / "big", there.cached(content))
    cli("checkout", "--relink", cwd=there.root)
    there.config("local", cache_type="reflink,copy")
    cli("checkout", "--relink", cwd=there.root)
    assert not (there / "big").samefile(there.cached(content))
    assert _shares_blocks(there / "big", there.cached(content))
    assert (there / "big").read_bytes() == content
    assert there.states() == {"big": "unchanged"}


def _shares_blocks(one: Path, other: Path) -> bool:
    """Tell whether two files lie on the same blocks of their disk."""
    os.sync()
    found = []
    for path in (one, other):
        done = subprocess.run(["filefrag", "-v", str(path)], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"filefrag (e2fsprogs) does not work here: {done.stderr.strip()}")
        found.append([line.split()[3] for line in done.stdout.splitlines() if line.strip()[:1].isdigit()])
    return found[0] == found[1] != []


def test_another_process_is_waited_for(linked: Place, cli: Cli) -> None:
    linked.config("local", core_locktimeout="0")
    with lock(str(linked / ".dvc-like/tmp/lock"), timeout=1):
        cli("unprotect", "data", code=8)
    assert shared(linked) == set(CONTENT)


def test_two_at_once(linked: Place) -> None:
    running = [start(["unprotect", "data", "single"], linked.root) for _ in range(2)]
    assert [(process.communicate()[1], process.returncode)[1] for process in running] == [0, 0]
    assert shared(linked) == set()


@pytest.mark.skipif(os.name != "posix", reason="signals of this kind do not exist on this system")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
def test_stopped_at_many_moments(linked: Place, cli: Cli, number: int, tmp_path: Path) -> None:
    words = ["unprotect", "data", "single"]
    total = count_changes(words, linked.root) - 4  # how much state is written at the end is not always the same
    for at in moments(total, 4):
        linked.checkout(relink=True)
        ended = run_child(at, words, linked.root, number).returncode
        assert ended == (130 if number == signal.SIGINT else -number)
        assert {name: (linked / name).read_text() for name in CONTENT} == CONTENT
        assert set(linked.states().values()) == {"unchanged"}
        cli("unprotect", "data", "single")
        assert shared(linked) == set()
        cli("fsck", "--read-data")


def test_an_object_that_is_written_to_while_it_is_copied(
    place: Place, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.config("local", cache_type="symlink")
    place.track(dict(CONTENT))
    place.checkout(relink=True)

    def copy_late(source: int, target: int) -> None:
        if os.path.samestat(os.fstat(source), place.cached("one").stat()):
            unlock(place.cached("one")).write_text("edited")
        copy_bytes(source, target)

    monkeypatch.setattr("dvc_like.ops.unprotect.clone", lambda *_: False)
    monkeypatch.setattr("dvc_like.ops.unprotect.copy_bytes", copy_late)
    assert "data/x" in cli("unprotect", "data", "single", code=5).err
    assert [name for name in CONTENT if (place / name).is_symlink()] == ["data/x"]
    assert temps_in(place / "data") == []
