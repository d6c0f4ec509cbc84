"""What goes wrong around the command: no repository, no Git, no space, no permission, and strangers who mean harm."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from blake3 import blake3
from tests.cli.place import Place, clone_of, digest_of, key_of, objects_in, temps_in, unlock
from tests.cli.stores import contents_of, dangling, unsound
from tests.conftest import Cli, tree_of

import dvc_like
from dvc_like.errors import CorruptData, DvcLikeError, UnsafePath

# ------------------------------------------------------------------------------ surroundings


@pytest.mark.parametrize("words", [["status"], ["add", "x"], ["pull"], ["gc", "-w"], ["remote", "list"], ["root"]])
def test_outside_of_a_project(tmp_path: Path, cli: Cli, words: list[str]) -> None:
    done = cli(*words, cwd=tmp_path, code=3)
    assert "no dvc-like project" in done.err
    assert "dvc-like init" in done.err


def test_without_git_on_the_path_what_needs_it_says_so_and_the_rest_works(
    place: Place, cli: Cli, tmp_path: Path
) -> None:
    place.write({"data/x": "1", "y": "2"})
    place.add("data")
    nothing = {"PATH": str(tmp_path / "empty")}
    cli("status", env=nothing)
    cli("push", env=nothing)
    shutil.rmtree(place / "data")
    cli("checkout", env=nothing)
    for words in (["add", "y"], ["push", "-A"], ["gc", "-w"]):
        done = cli(*words, env=nothing, code=3)
        assert "git is not installed" in done.err
    assert not (place / "y.meta").exists()


def test_a_folder_that_was_removed_under_us(place: Place, cli: Cli, tmp_path: Path) -> None:
    done = cli("status", "--cd", tmp_path / "never", code=2)
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    "damage", ["", "<<<<<<< a\nhash: x\n>>>>>>> b\n", "hash: 12\nsize: x\n", "hash: !!python/x y\n"]
)
@pytest.mark.parametrize("words", [["checkout"], ["pull"], ["fetch"], ["push"], ["commit"], ["add", "bad", "good"]])
def test_a_bad_meta_file_is_7_and_the_other_targets_are_done(
    place: Place, cli: Cli, damage: str, words: list[str], store: Path
) -> None:
    place.write({"bad": "bad", "good": "good"})
    place.add("bad", "good")
    if words[0] != "push":
        place.push()
    (place / "bad.meta").write_text(damage)
    if words[0] in ("checkout", "pull"):
        (place / "good").unlink()
    if words[0] in ("fetch", "pull"):
        shutil.rmtree(place.cache)
    if words[0] in ("commit", "add"):
        place.write({"good": "new"})
    done = cli(*words, code=7)
    assert "bad.meta" in done.err
    assert (place / "good").read_text() == ("new" if words[0] in ("commit", "add") else "good")
    assert place.states("good") == {"good": "unchanged"}
    assert (place / "bad").read_text() == "bad"
    if words[0] == "push":
        assert len(contents_of(store)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "hash: &a blake3:{0}\nsize: *a\n",
        "hash: blake3:{0}\nhash: blake3:{0}\nsize: 1\n",
        "hash: blake3:{0}\nsize: 1\n---\nhash: x\n",
        "hash: blake3:{0}\nsize: 1\na: &a [x,x,x,x]\nb: &b [*a,*a,*a,*a]\nc: [*b,*b,*b]\n",
        "hash: blake3:../../../../etc/passwd\nsize: 1\n",
        "hash: /etc/passwd\nsize: 1\n",
        "hash: blake3:{0}\nsize: -1\n",
        "hash: blake3:{0}\nsize: 99999999999999999999999\n",
        "hash: [blake3:{0}]\nsize: 1\n",
        "hash: blake3:{0}\nsize: 1\nx: " + "[" * 5000 + "\n",
        "hash: md5:{0}\nsize: 1\n",
    ],
)
def test_hostile_meta_files_are_refused_in_an_instant(place: Place, cli: Cli, text: str) -> None:
    (place / "evil.meta").write_text(text.replace("{0}", "0" * 64))
    for words in (["status"], ["checkout"], ["pull"], ["push"], ["gc", "-w"]):
        done = cli(*words, code=7, timeout=30)
        assert "evil.meta" in done.err
        assert "Traceback" not in done.err


# ------------------------------------------------------------------------------ no space


def test_add_without_space_and_again_with_it(small_disk: Callable[[int], Path], cli: Cli, repo: Path) -> None:
    disk = small_disk(6 << 20)
    shutil.copytree(repo, disk / "project")
    place = Place(disk / "project")
    dvc_like.init(place.root)
    content = {f"data/{n}": os.urandom(300_000) for n in range(10)}
    place.write(content)  # type: ignore[arg-type]
    (place / "ballast").write_bytes(bytes(2_000_000))
    done = cli("add", "data", cwd=place.root, code=1)
    assert "No space" in done.err
    assert "Free some space" in done.err
    assert not (place / "data.meta").exists()
    assert unsound(place.cache) == []
    assert temps_in(place.root) == [], "the message says that nothing half-written was left behind"
    (place / "ballast").unlink()
    cli("add", "data", cwd=place.root)
    assert unsound(place.cache) == []
    assert {name: (place / name).read_bytes() for name in content} == content
    assert place.states() == {"data": "unchanged"}


def test_add_of_a_big_file_without_space(small_disk: Callable[[int], Path], cli: Cli, repo: Path) -> None:
    disk = small_disk(6 << 20)
    shutil.copytree(repo, disk / "project")
    place = Place(disk / "project")
    dvc_like.init(place.root)
    content = os.urandom(4 << 20)
    place.write({"big": content})
    assert "No space" in cli("add", "big", cwd=place.root, code=1).err
    assert not (place / "big.meta").exists()
    assert temps_in(place.root) == []
    assert (place / "big").read_bytes() == content


def test_pull_without_space_and_again_with_it(place: Place, small_disk: Callable[[int], Path], cli: Cli) -> None:
    content = {f"data/{n}": os.urandom(300_000) for n in range(10)}
    place.write(content)  # type: ignore[arg-type]
    place.use_store(place.root.parent / "storage")
    place.config(**{"remote_storage.url": str(place.root.parent / "storage")})
    place.add("data")
    place.save()
    place.push()
    copy = clone_of(place, small_disk(8 << 20) / "copy")
    (copy / "ballast").write_bytes(bytes(3_500_000))  # enough for the cache, not for the workspace
    done = cli("pull", cwd=copy.root, code=1)
    assert "No space" in done.err
    assert all(content.get(name) == node[2] for name, node in copy.data().items() if name[:5] == "data/")
    assert unsound(copy.cache) == []
    assert temps_in(copy.root) == []
    (copy / "ballast").write_bytes(bytes(1000))
    cli("pull", cwd=copy.root)
    assert copy.data("data") == place.data("data")


def test_fetch_without_space_keeps_what_came(place: Place, small_disk: Callable[[int], Path], cli: Cli) -> None:
    place.write({f"data/{n}": os.urandom(300_000) for n in range(10)})
    place.add("data")
    place.save()
    place.push()
    copy = clone_of(place, small_disk(2 << 20) / "copy")
    copy.use_store(place.root.parent / "storage")
    assert "No space" in cli("fetch", cwd=copy.root, code=(1, 9)).err
    assert unsound(copy.cache) == []
    assert temps_in(copy.root) == []


def test_push_to_a_full_remote_and_again(place: Place, small_disk: Callable[[int], Path], cli: Cli) -> None:
    place.write({f"data/{n}": os.urandom(300_000) for n in range(10)})
    place.add("data")
    disk = small_disk(4 << 20)
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(2_000_000))
    place.use_store(disk / "store")
    done = cli("push", code=(6, 9))
    assert "storage" in done.err or "data/" in done.err
    assert unsound(disk / "store") == []
    assert dangling(disk / "store") == []
    ballast.unlink()
    cli("push")
    assert set(contents_of(disk / "store")) == set(objects_in(place.cache))
    assert temps_in(disk / "store") == []


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
@pytest.mark.parametrize("size", [10, 100_000, 3 << 20])
def test_a_write_that_breaks_off_leaves_no_temporary_file(
    place: Place, monkeypatch: pytest.MonkeyPatch, error: BaseException, size: int
) -> None:
    from dvc_like.cache import pump, writer

    def broken(fd: int, data: bytes) -> None:
        os.write(fd, data[: len(data) // 2])
        raise error

    place.write({"x": os.urandom(size)})
    with monkeypatch.context() as patched:
        patched.setattr(writer, "write_all", broken)
        patched.setattr(pump, "write_all", broken)
        with pytest.raises((KeyboardInterrupt, OSError, DvcLikeError)):
            place.add("x")
    assert temps_in(place.cache) == []
    place.add("x")
    assert unsound(place.cache) == []


# ------------------------------------------------------------------------------ no permission


def test_a_folder_that_cannot_be_written(place: Place, unprivileged: Cli) -> None:
    place.write({"locked/x": "1", "open/y": "2"})
    (place / "locked").chmod(0o555)
    try:
        done = unprivileged("add", "locked/x", code=1)
        assert "Permission denied" in done.err
        assert "Traceback" not in done.err
    finally:
        (place / "locked").chmod(0o755)
    assert not (place / "locked/x.meta").exists()
    unprivileged("add", "locked/x")


def test_one_target_that_cannot_be_pointed_to_does_not_keep_the_others(place: Place, unprivileged: Cli) -> None:
    place.write({"a/x": "1", "z/y": "2"})
    (place / "a").chmod(0o555)
    try:
        unprivileged("add", "a/x", "z/y", code=1)
    finally:
        (place / "a").chmod(0o755)
    assert place.states() == {"z/y": "unchanged"}


def test_a_dataset_folder_that_cannot_be_written_is_told_and_nothing_half_written(
    place: Place, unprivileged: Cli
) -> None:
    place.track({"data/x": "1", "other": "o"})
    place.write({"data/x": "2"})
    place.add("data")
    place.git("checkout", "-q", "--", "data.meta")
    (place / "other").unlink()
    (place / "data").chmod(0o555)
    try:
        done = unprivileged("checkout", code=1)
    finally:
        (place / "data").chmod(0o755)
    assert "data" in done.err
    assert (place / "data/x").read_text() == "2"
    unprivileged("checkout")
    assert (place / "data/x").read_text() == "1"
    assert (place / "other").read_text() == "o"


def test_a_cache_that_cannot_be_written_is_told(place: Place, unprivileged: Cli) -> None:
    place.write({"x": "1", "y": "2"})
    place.add("x")
    for path in [place.cache, *(p for p in place.cache.rglob("*") if p.is_dir())]:
        path.chmod(0o555)
    try:
        (place / "x").unlink()
        unprivileged("checkout")
        done = unprivileged("add", "y", code=1)
    finally:
        for path in [place.cache, *(p for p in place.cache.rglob("*") if p.is_dir())]:
            path.chmod(0o755)
    assert "Permission denied" in done.err
    assert not (place / "y.meta").exists()


# ------------------------------------------------------------------------------ strangers' trees


def store_object(folder: Path, data: bytes, suffix: str = "") -> str:
    """Put bytes under the name of their hash, as a stranger may; return the digest."""
    hexes = blake3(data).hexdigest()
    path = folder / f"files/blake3/{hexes[:2]}/{hexes[2:]}{suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return f"blake3:{hexes}"


PAYLOAD = b"#!/bin/sh\ntouch /tmp/owned\n"


def tree_of_lines(*lines: str) -> bytes:
    return ("dvc-like tree 1\n" + "".join(f"{line}\n" for line in lines)).replace("@", digest_of(PAYLOAD)).encode()


SIZE = len(PAYLOAD)
HOSTILE = {
    "parent": tree_of_lines(f"f\t{SIZE}\t@\t../x"),
    "dots": tree_of_lines(f"d\t{SIZE}\t@\t1\t.."),
    "dot": tree_of_lines(f"f\t{SIZE}\t@\t."),
    "hook": tree_of_lines(f"x\t{SIZE}\t@\t.git/hooks/post-checkout"),
    "git": tree_of_lines(f"f\t{SIZE}\t@\t.git"),
    "GIT": tree_of_lines(f"f\t{SIZE}\t@\t.GiT"),
    "git ignorable": tree_of_lines(f"f\t{SIZE}\t@\t.g\u200cit"),
    "git short": tree_of_lines(f"f\t{SIZE}\t@\tGIT~1"),
    "git stream": tree_of_lines(f"f\t{SIZE}\t@\t.git::$INDEX_ALLOCATION"),
    "git dots": tree_of_lines(f"f\t{SIZE}\t@\t.git. . "),
    "ours": tree_of_lines(f"f\t{SIZE}\t@\t.dvc-like"),
    "absolute": tree_of_lines(f"f\t{SIZE}\t@\t/tmp/owned"),
    "backslash": tree_of_lines(f"f\t{SIZE}\t@\t..\\x"),
    "escape": tree_of_lines(f"f\t{SIZE}\t@\tred\x1b[31m"),
    "newline": tree_of_lines(f"f\t{SIZE}\t@\ta\rb"),
    "nothing": tree_of_lines(f"f\t{SIZE}\t@\t"),
    "twice": tree_of_lines(f"f\t{SIZE}\t@\ta", f"f\t{SIZE}\t@\ta"),
    "file and link": tree_of_lines("l\t1\tb\ta", f"f\t{SIZE}\t@\ta"),
    "unsorted": tree_of_lines(f"f\t{SIZE}\t@\tb", f"f\t{SIZE}\t@\ta"),
    "link up": tree_of_lines("l\t5\t../..\tup"),
    "link away": tree_of_lines("l\t4\t/etc\taway"),
    "link to .git": tree_of_lines("l\t7\t../.git\tg"),
    "link that lies": tree_of_lines("l\t1\ta/b/../../..\tl"),
    "bad digest": tree_of_lines(f"f\t{SIZE}\tblake3:../../../etc/passwd\ta"),
    "unknown kind": tree_of_lines(f"p\t{SIZE}\t@\ta"),
    "number": tree_of_lines("f\t-1\t@\ta"),
    "long": tree_of_lines(f"f\t{SIZE}\t@\t{'a' * 300}"),
    "newer": b"dvc-like tree 2\n",
    "no header": b"f\t1\tx\ty\n",
    "not UTF-8": b"dvc-like tree 1\nf\t1\t\xff\tx\n",
    "unfinished": tree_of_lines(f"f\t{SIZE}\t@\ta")[:-1],
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("where", ["remote", "cache"])
def test_a_hostile_tree_writes_nothing_outside(place: Place, store: Path, name: str, where: str) -> None:
    place.write({"sound": "sound"})
    place.add("sound")
    place.push()
    (place / "sound").unlink()
    folder = store if where == "remote" else place.cache
    store_object(folder, PAYLOAD)
    digest = store_object(folder, HOSTILE[name], ".tree")
    (place / "sub").mkdir()
    (place / "sub/data.meta").write_text(f"hash: {digest}\nsize: {SIZE}\nfiles: 1\n")
    around = tree_of(place.root.parent, skip=(".dvc-like", "storage", "sound"))
    with pytest.raises(CorruptData) as caught:
        place.pull() if where == "remote" else place.checkout()
    assert caught.value.exit_code == 7
    shown = "".join((caught.value.message, caught.value.hint, *caught.value.details))
    assert "sub/data" in shown
    after = tree_of(place.root.parent, skip=(".dvc-like", "storage", "sound"))
    assert {k: v for k, v in after.items() if k != "project/sub/data"} == around
    assert (place / "sound").read_text() == "sound", "the other target is done"
    assert not os.path.lexists("/tmp/owned")


def test_hostile_trees_are_shown_escaped_and_stop_every_verb(place: Place, cli: Cli) -> None:
    digest = store_object(place.cache, HOSTILE["escape"], ".tree")
    (place / "data.meta").write_text(f"hash: {digest}\nsize: {SIZE}\nfiles: 1\n")
    (place / "data").mkdir()
    for words in (["status"], ["checkout"], ["push"], ["pull"], ["fsck"], ["gc", "-w"], ["add", "data"]):
        done = cli(*words, code=7)
        assert "\x1b" not in done.out + done.err
        assert "\\x1b" in done.err


def test_a_file_object_is_not_taken_for_a_tree_nor_a_tree_for_a_file(place: Place, store: Path) -> None:
    listing = tree_of_lines(f"f\t{SIZE}\t@\tinner")
    place.write({"looks-like-a-tree": listing})
    place.add("looks-like-a-tree")
    (place / "data.meta").write_text(f"hash: {digest_of(listing)}\nsize: {SIZE}\nfiles: 1\n")
    with pytest.raises(DvcLikeError):
        place.checkout("data")
    assert not (place / "data").exists()


def test_a_tree_that_holds_itself_is_not_followed_for_ever(place: Place, cli: Cli) -> None:
    """Impossible by hash, but a damaged store may claim it: what does not hash right is not used at all."""
    digest = digest_of(b"never")
    key = f"files/blake3/{digest[7:9]}/{digest[9:]}.tree"
    (place.cache / key).parent.mkdir(parents=True)
    (place.cache / key).write_bytes(f"dvc-like tree 1\nd\t1\t{digest}\t1\tagain\n".encode())
    (place / "data.meta").write_text(f"hash: {digest}\nsize: 1\nfiles: 1\n")
    cli("checkout", code=(4, 7), timeout=30)


# ------------------------------------------------------------------------------ links in the checkout


@pytest.fixture
def tracked(place: Place) -> Place:
    place.write({"deep/data/x": "1", "deep/data/sub/y": "2", "deep/single": "3"})
    place.add("deep/data", "deep/single")
    place.save()
    place.push()
    return place


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    (folder / "sub").mkdir(parents=True)
    (folder / "x").write_text("victim")
    (folder / "single").write_text("victim")
    (folder / "sub/y").write_text("victim")
    return folder


VERBS = ("add", "status", "checkout", "pull", "commit")


def call(place: Place, verb: str, force: bool) -> None:
    if verb == "add":
        place.add("deep/data", "deep/single", force=force)
    elif verb == "status":
        place.states()
    elif verb == "commit":
        place.commit(force=force)
    else:
        getattr(place, verb)(force=force)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("spot", ["deep", "deep/data", "deep/data/sub", "deep/single", "deep/data/x"])
def test_a_link_where_a_folder_or_file_was_is_not_followed(
    tracked: Place, outside: Path, verb: str, force: bool, spot: str
) -> None:
    before = tree_of(outside)
    victim = {"deep/data/sub": outside / "sub", "deep/single": outside / "single", "deep/data/x": outside / "x"}
    if spot == "deep":
        for name in ("data.meta", "single.meta", ".gitignore"):
            shutil.copy(tracked / "deep" / name, outside / name)
        before = tree_of(outside)
    kept = tracked.root.parent / "kept"
    (tracked / spot).rename(kept)
    (tracked / spot).symlink_to(victim.get(spot, outside))
    with contextlib.suppress(DvcLikeError):
        call(tracked, verb, force)
    assert tree_of(outside) == before
    for path in objects_in(tracked.cache).values():
        assert b"victim" not in path.read_bytes(), "what lies outside was taken in"


def test_a_gitignore_that_is_a_link_is_not_written_through(place: Place, tmp_path: Path, cli: Cli) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched\n")
    place.write({"x": "1", "y": "2"})
    (place / ".gitignore").symlink_to(victim)
    done = cli("add", "x", code=7)
    assert ".gitignore" in done.err
    assert victim.read_text() == "untouched\n"
    assert not (place / "x.meta").exists()


def test_a_meta_file_that_is_a_link_is_not_written_through(place: Place, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched\n")
    place.write({"x": "1"})
    (place / "x.meta").symlink_to(victim)
    with contextlib.suppress(DvcLikeError):
        place.add("x")
    assert victim.read_text() == "untouched\n"


@pytest.mark.parametrize("spot", [".dvc-like/tmp", ".dvc-like/cache", ".dvc-like"])
def test_links_that_git_brings_in_our_own_folder_are_not_written_through(
    place: Place, clone: Callable[..., Place], tmp_path: Path, spot: str, cli: Cli
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "config").write_text("")
    place.write({"x": "1"})
    place.add("x")
    if spot == ".dvc-like":
        shutil.rmtree(place / ".dvc-like")
    elif (place / spot).exists():
        shutil.rmtree(place / spot)
    (place / spot).symlink_to(outside)
    place.git("add", "-f", spot, *(["-u"] if spot == ".dvc-like" else []))
    place.save()
    copy = clone()
    before = tree_of(outside)
    assert (copy / spot).is_symlink()
    copy.write({"y": "2"})
    for words in (["status"], ["add", "y"], ["pull"], ["gc", "-w"], ["init", "--force"]):
        done = cli(*words, cwd=copy.root, code=(0, 1, 3, 4, 7))
        assert "Traceback" not in done.err
    assert tree_of(outside) == before


def test_names_with_escape_bytes_are_shown_escaped(place: Place, cli: Cli) -> None:
    name = b"\x1b]0;owned\x07\x1b[31m"
    with open(os.path.join(os.fsencode(place.root), name), "wb") as file:
        file.write(b"x")
    with open(os.path.join(os.fsencode(place.root), name + b".meta"), "wb") as file:
        file.write(f"hash: {digest_of('x')}\nsize: 1\n".encode())
    for words in (["status"], ["add", os.fsdecode(name)], ["checkout"], ["add", "--glob", "*owned*"]):
        done = cli(*words, code=7)
        assert "\x1b" not in done.out + done.err
        assert "\\x1b" in done.err


def test_a_remote_that_never_ends_does_not_fill_the_disk(place: Place, store: Path) -> None:
    place.track({"x": "small"})
    place.push()
    stored = unlock(store / key_of("small"))
    with open(stored, "ab") as file:
        file.truncate(200 << 20)
    copy = clone_of(place, place.root.parent / "copy")
    with pytest.raises(CorruptData):
        copy.pull()
    assert temps_in(copy.root) == []
    assert sum(path.stat().st_size for path in copy.cache.rglob("*") if path.is_file()) < 1 << 20


def test_a_path_typed_by_the_user_cannot_leave_either(place: Place, cli: Cli) -> None:
    place.write({"x": "1"})
    place.add("x")
    for words in (["checkout", "../x"], ["status", "/etc/passwd"], ["pull", ".."], ["push", "a/../../b"]):
        cli(*words, code=2)
    for words in (["add", ".git/config"], ["status", ".dvc-like/config"], ["checkout", ".git"]):
        cli(*words, code=(2, 7))
    with pytest.raises(UnsafePath):
        place.add(".git/config")
