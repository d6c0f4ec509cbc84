"""Verbs that bring data from elsewhere, beside `world.VERBS`: out of another repository, from a URL, from DVC and LFS.

Owns what lies there before. All of it is in the world's own folder, so that it is copied and compared with the world.
"""

from __future__ import annotations

import hashlib
import shutil

from tests.cli.dvc_repository import DvcRepository, md5
from tests.cli.place import Place, make_place
from tests.cli.world import BIG, Verb, World
from tests.conftest import make_files

import dvc_like


def _other(world: World) -> Place:
    """Make another project, whose objects lie on its remote alone."""
    origin = make_place(world.root / "origin")
    origin.use_store("../origin-store")
    origin.track({"data/a": "theirs", "data/sub/b": "b", "data/run": ("file", True, b"r"), "data/big": BIG[1]})
    origin.push()
    _empty(origin)
    return origin


def _empty(place: Place) -> None:
    for name in ("cache", "tmp", "undo"):
        shutil.rmtree(place / ".dvc-like" / name)


def _origin(world: World) -> None:
    _other(world)


def _imported(world: World) -> None:
    """Import from another project, which has moved on since."""
    origin = _other(world)
    dvc_like.import_(world.place.project, origin.root, "data", world.place / "data")
    world.place.save("import")
    origin.fetch()
    (origin / "data/sub/b").unlink()
    origin.write({"data/a": "theirs, changed", "data/new": BIG[2]})
    origin.add("data")
    origin.push()
    origin.save("changed")
    _empty(origin)


def _folder(world: World) -> None:
    make_files(world.root / "outside", {"data/a": "theirs", "data/sub/b": "b", "data/big": BIG[1]})


def _imported_url(world: World) -> None:
    _folder(world)
    dvc_like.import_url(world.place.project, str(world.root / "outside/data"), world.place / "data")
    world.place.save("import")
    make_files(world.root / "outside", {"data/a": "theirs, changed", "data/new": BIG[2]})


def _dvc(world: World) -> None:
    """What DVC tracks: in its cache or on its remote only, in the workspace or not, as a link; and its rules."""
    shutil.rmtree(world.place.root)
    repository = DvcRepository(world.place.root)
    world.store = repository.store
    repository.add("data", {"a": b"a", "sub/b": b"b", "big": BIG[1]})
    repository.add("models/m", BIG[2])
    repository.add("linked", b"linked")
    repository.add("away", {"x": b"far", "sub/y": b"away"})
    linked, cached = repository.root / "linked", repository.cache / "files/md5" / _spread(md5(b"linked"))
    linked.unlink()
    linked.symlink_to(cached)
    listing = next(path for path in repository.cache.rglob("*.dir") if b"sub/y" in path.read_bytes())
    for path in (listing, repository.cache / "files/md5" / _spread(md5(b"far"))):
        path.unlink()
    shutil.rmtree(repository.root / "away")
    make_files(repository.root, {".dvcignore": "*.tmp\n"})
    repository.save("DVC's")


def _lfs(world: World) -> None:
    """Pointers in the workspace, and their objects where Git LFS fetched them to."""
    place = world.place
    shutil.rmtree(place / ".dvc-like")
    for name, data in {"a.bin": b"large", "big/b": BIG[1]}.items():
        oid = hashlib.sha256(data).hexdigest()
        text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(data)}\n"
        make_files(place.root, {name: text, f".git/lfs/objects/{oid[:2]}/{oid[2:4]}/{oid}": data})
    make_files(place.root, {".gitattributes": "*.bin filter=lfs -text\n*.txt text\n"})
    make_files(place.root, {"big/.gitattributes": "b filter=lfs -text\n"})
    place.save("LFS's")


def _spread(name: str) -> str:
    return f"{name[:2]}/{name[2:]}"


ELSEWHERE = {
    "import": Verb(_origin, ("import", "../origin", "data", "-j", "1")),
    "update of import": Verb(_imported, ("update", "-j", "1")),
    "import-url": Verb(_folder, ("import-url", "../outside/data", "-j", "1")),
    "import-url of a file": Verb(_folder, ("import-url", "../outside/data/big", "-j", "1")),
    "update of import-url": Verb(_imported_url, ("update", "-j", "1")),
    "get": Verb(_origin, ("get", "../origin", "data", "-j", "1"), once=True, alone=True),
    "migrate of DVC": Verb(_dvc, ("migrate",)),
    "migrate of LFS": Verb(_lfs, ("migrate",)),
}
