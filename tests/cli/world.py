"""A project and its remote side by side, every verb that changes something at work in them, and what must always hold.

`VERBS` is the table: to have a new verb broken at every call, give it a line, here or, where data comes from elsewhere,
in `world_elsewhere`. Nothing here uses the code under test to
judge what it left: objects are hashed, trees and packs are read by the tests' own means.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import NamedTuple
from unittest import mock

from tests.cli.place import Place, key_of, objects_in, temps_in, tree_lines
from tests.cli.stores import contents_of, dangling, unsound
from tests.conftest import Node

import dvc_like

BIG = {number: Random(number).randbytes((1 << 20) + 4000) for number in (1, 2, 3)}  # just too big for one read
DAY = 86400
TOOLS = (".dvc", ".gitattributes")  # how the files end by which DVC and Git LFS track data


class World:
    """`place` is the project, `store` the folder of its remote; both move with `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.place = Place(root / "project")
        self.store = root / "storage"

    # ---------------------------------------------------------------- what is there

    def files(self) -> dict[str, Node]:
        """The user's files; folders count by what is in them, and a link to an object as what it stands for."""
        found = self.place.data()
        objects = f"{self.place.cache}/files/"
        for name, node in found.items():
            if node[0] == "link" and str(node[2]).startswith(objects) and os.path.exists(str(node[2])):
                found[name] = ("file", False, Path(str(node[2])).read_bytes())
        for folder in ("origin", "outside"):  # where data is imported from
            if (self.root / folder).exists():
                found |= {f"../{folder}/{name}": node for name, node in Place(self.root / folder).data().items()}
        return {
            name: node
            for name, node in found.items()
            if node[0] != "folder" and ".dvc-like-tmp-" not in name and not name.endswith(TOOLS)
        }

    def pointers(self) -> dict[str, bytes]:
        """What Git tracks for us and for other tools, the settings, and what Git has in its index."""
        root = self.place.root
        paths = [path for end in (".meta", *TOOLS) for path in root.rglob(f"*{end}")]
        paths += [path for path in (root / ".dvc-like/config",) if path.exists()]
        found = {path.relative_to(root).as_posix(): path.read_bytes() for path in paths if path.is_file()}
        if self.place.git("diff", "--name-only", "--cached"):
            found["index"] = self.place.git("ls-files", "-s").encode()
        if (root / ".gitignore").exists():
            found[".gitignore"] = b"\n".join(sorted((root / ".gitignore").read_bytes().split(b"\n")))
        return found

    def trash(self) -> set[str]:
        return set(objects_in(self.place.cache / "trash"))

    def temps(self) -> list[str]:
        """What should be swept by now."""
        return temps_in(self.root)


def copy(source: Path, target: Path) -> None:
    """Copy a world, links and times as they are; what was at `target` is gone."""
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)


class Image(NamedTuple):
    """What a world looks like."""

    files: dict[str, Node]
    pointers: dict[str, bytes]
    cache: set[str]
    trash: set[str]
    store: set[str]


def image(world: World) -> Image:
    """Take one."""
    return Image(
        world.files(),
        world.pointers(),
        set(objects_in(world.place.cache)),
        world.trash(),
        set(contents_of(world.store)),
    )


# ------------------------------------------------------------------------------ what must hold


def harm(world: World, before: Image, after: Image) -> list[str]:
    """Return what a command that failed or died has broken: must be nothing.

    `after` is what it makes of `before` when nothing fails: each file is as in one of them, and whatever object is
    still there afterwards must be there now.
    """
    cache, trash, store = (contents_of(path) for path in (world.place.cache, world.place.cache / "trash", world.store))
    found = [f"unsound in the cache: {key}" for there in (cache, trash) for key in unsound(there)]
    found += [f"unsound on the remote: {key}" for key in unsound(store)]
    found += [f"dangling on the remote: {key}" for key in dangling(store)]
    found += [f"set aside as damaged: {path.name}" for path in (world.place.cache / "bad").glob("*")]
    files = world.files()
    for name in before.files.keys() | after.files.keys() | files.keys():
        allowed = [image.files.get(name) for image in (before, after)]
        if files.get(name) not in allowed:
            found.append(f"the user's file {name} is {str(files.get(name))[:40]}")
    safe = {**store, **trash, **cache}
    for name in before.files.keys() - files.keys():
        node = before.files[name]
        if name in after.files:
            found.append(f"gone from the workspace: {name}")
        elif node[0] == "file" and node not in files.values() and key_of(bytes(node[2])) not in safe:
            found.append(f"gone for good: {name}")
    kept = after.cache | after.trash | after.store
    found += [f"lost: {key}" for key in (before.cache | before.trash | before.store) & kept - safe.keys()]
    for name, data in world.pointers().items():
        if name.endswith(".meta") and ".dvc-like-tmp-" not in name:
            found += [f"{name} points to what is nowhere: {key}" for key in missing(data, safe)]
    for name in before.pointers.keys() - world.pointers().keys():
        if name.endswith(".dvc") and not (world.place / name).with_suffix(".meta").exists():
            found.append(f"tracked by nothing any more: {name}")
    return found


def missing(meta: bytes, safe: dict[str, bytes]) -> list[str]:
    """Return the keys that a meta file needs and nobody has."""
    fields = dict(re.findall("^([a-z]+): (.*)$", meta.decode(), re.MULTILINE))
    waiting = [_key(fields["hash"], is_tree="files" in fields)]
    lost = []
    while waiting:
        key = waiting.pop()
        if key not in safe:
            lost.append(key)
        elif key.endswith(".tree"):
            lines = [line for line in tree_lines(safe[key]) if line.kind != "l"]
            waiting += [_key(line.value, is_tree=line.kind == "d") for line in lines]
    return lost


def _key(digest: str, *, is_tree: bool) -> str:
    algorithm, _, hexes = digest.partition(":")
    return f"files/{algorithm}/{hexes[:2]}/{hexes[2:]}" + (".tree" if is_tree else "")


def undone(world: World, after: Image, *, frees: bool = False) -> list[str]:
    """Return what a command that says it succeeded has not done; one that `frees` leaves no more than it should."""
    found = []
    now = image(world)
    if now.files != after.files:
        wrong = [name for name in now.files.keys() | after.files.keys() if now.files.get(name) != after.files.get(name)]
        found.append(f"files differ: {sorted(wrong)}")
    every = now.pointers.keys() | after.pointers.keys()
    differing = [name for name in every if now.pointers.get(name) != after.pointers.get(name)]
    if differing:
        wrong = [f"{name}: {now.pointers.get(name)!r}, not {after.pointers.get(name)!r}" for name in differing]
        found.append(f"pointers differ: {wrong}")
    for what, have, want in (("cache", now.cache, after.cache), ("remote", now.store, after.store)):
        more = {key for key in have - want if not key.endswith(".tree")}
        if want - have or (frees and more):
            found.append(f"{what}: {len(want - have)} objects less, {len(have - want)} more")
    return found


# ------------------------------------------------------------------------------ verbs at work


def new_world(root: Path) -> World:
    """Make a project without data, and a remote that nobody has pushed to."""
    world = World(root)
    world.place.root.mkdir(parents=True)
    subprocess.run(["git", "init", "-q", "-b", "main", "--template=", str(world.place.root)], check=True)
    dvc_like.init(world.place.root)
    world.place.use_store("../storage")
    world.place.save("start")
    return world


def write(world: World, version: int) -> None:
    """Write a version of the user's files."""
    place = world.place
    for name in ("data/a", "data/sub/b", "data/run", "big"):
        (place / name).unlink(missing_ok=True)  # it may be a hard link to an object
    place.write({"data/a": f"a{version}", "data/sub/b": "b", "data/run": ("file", True, b"r"), "big": BIG[version]})
    if version == 1:
        place.write({"data/link": ("link", False, "run"), "note": "note"})
    place.write({f"data/only{version}/c": f"c{version}"})
    for other in {1, 2, 3} - {version}:
        shutil.rmtree(place / f"data/only{other}", ignore_errors=True)


TARGETS = ("data", "big", "note")


def track(world: World, version: int, *, push: bool = False) -> None:
    write(world, version)
    world.place.add(*TARGETS)
    world.place.save(f"version {version}")
    if push:
        world.place.push()


def _untracked(world: World) -> None:
    write(world, 1)


def _edited(world: World) -> None:
    track(world, 1, push=True)
    write(world, 2)


def _linked(kind: str) -> Callable[[World], None]:
    def prepare(world: World) -> None:
        world.place.config(cache_type=kind)
        _edited(world)

    return prepare


def _unpushed(world: World) -> None:
    track(world, 1, push=True)
    track(world, 2)


def _pushed(world: World) -> None:
    track(world, 1, push=True)


def _never_pushed(world: World) -> None:
    track(world, 1)


def _forget(world: World) -> None:
    for name in ("cache", "tmp", "undo"):
        shutil.rmtree(world.place / ".dvc-like" / name, ignore_errors=True)


def _empty_cache(world: World) -> None:
    track(world, 1, push=True)
    _forget(world)


def _empty_clone(world: World) -> None:
    _empty_cache(world)
    for name in TARGETS:
        shutil.rmtree(world.place / name) if (world.place / name).is_dir() else (world.place / name).unlink()


def _other_version(world: World) -> None:
    """The workspace is at version 1, the meta files are those of 2, and the cache has both."""
    track(world, 1, push=True)
    track(world, 2, push=True)
    world.place.git("checkout", "-q", "HEAD~1")
    world.place.checkout()
    world.place.git("checkout", "-q", "main")


def _other_version_linked(world: World) -> None:
    world.place.config(cache_type="hardlink")
    _other_version(world)


def _other_version_elsewhere(world: World) -> None:
    """As before, but what only version 2 needs is on the remote alone."""
    track(world, 1, push=True)
    mine = set(objects_in(world.place.cache))
    track(world, 2, push=True)
    world.place.git("checkout", "-q", "HEAD~1")
    world.place.checkout()
    world.place.git("checkout", "-q", "main")
    for key, path in objects_in(world.place.cache).items():
        if key not in mine:
            path.unlink()


def _three_versions(world: World) -> None:
    """Version 1 lies in the trash and is due, version 2 is garbage, and no remote has anything."""
    track(world, 1)
    track(world, 2)
    world.place.age()
    world.place.gc(workspace=True)
    track(world, 3)
    world.place.age()


def _three_versions_pushed(world: World) -> None:
    """On the remote what only version 1 had is condemned and due, version 2 is garbage, and packs are sparse."""
    track(world, 1, push=True)
    track(world, 2, push=True)
    past = time.time() - 30 * DAY
    with mock.patch.object(time, "time", return_value=past):
        world.place.gc(workspace=True, cloud=True)
    track(world, 3, push=True)
    shutil.rmtree(world.store / "refs")  # so that nobody else needs anything


def _dropped(world: World) -> None:
    track(world, 1, push=True)
    dvc_like.drop(world.place.project, [str(world.place / name) for name in TARGETS])


def _switched(world: World) -> None:
    _other_version(world)
    world.place.checkout()


class Verb(NamedTuple):
    """A command at work: how the world is made ready for it, and what it is called with.

    `once` tells that a second call of it, when the first had done all, is refused or leads back; `frees`, that objects
    go at once; `alone`, that nobody but another call of it sweeps what it left.
    """

    prepare: Callable[[World], None]
    words: tuple[str, ...]
    once: bool = False
    frees: bool = False
    alone: bool = False


VERBS = {
    "add": Verb(_edited, ("add", "data", "big")),
    "add, the first": Verb(_untracked, ("add", "data", "big")),
    "add, hard links": Verb(_linked("hardlink"), ("add", "data", "big")),
    "add, symbolic links": Verb(_linked("symlink"), ("add", "data", "big")),
    "commit": Verb(_edited, ("commit",)),
    "push": Verb(_unpushed, ("push", "-j", "1")),
    "push, the first": Verb(_never_pushed, ("push", "-j", "1")),
    "fetch": Verb(_empty_cache, ("fetch", "-j", "1")),
    "checkout": Verb(_other_version, ("checkout",)),
    "checkout, hard links": Verb(_other_version_linked, ("checkout",)),
    "pull": Verb(_other_version_elsewhere, ("pull", "-j", "1")),
    "pull, the first": Verb(_empty_clone, ("pull", "-j", "1")),
    "gc": Verb(_three_versions, ("gc", "-w")),
    "gc --cloud": Verb(_three_versions_pushed, ("gc", "-w", "--cloud"), frees=True),
    "undo of checkout": Verb(_switched, ("undo",), once=True),
    "undo of drop": Verb(_dropped, ("undo",), once=True),
    "drop": Verb(_pushed, ("drop", "data", "big"), frees=True),
    "move": Verb(_pushed, ("move", "data", "moved"), once=True),
    "remove": Verb(_pushed, ("remove", "--outs", "data", "big"), once=True),
    "fsck --repair": Verb(_pushed, ("fsck", "--repair")),
    "unprotect": Verb(_other_version_linked, ("unprotect", "note")),
}
