"""Targets for what DVC and Git LFS write, as `migrate` reads it: see `parsers`.

Each runs the reader on a file of its own, and asks of all that came out what is asked of our own files. What was found
must be what our meta files and settings can say.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.fuzz.promises import safe_digest, safe_path

from dvc_like import gitconfig, paths
from dvc_like.config import check_tracked
from dvc_like.digest import Digest, parse
from dvc_like.errors import BadMeta, DvcLikeError
from dvc_like.fsutil import Dir
from dvc_like.meta import file as metas
from dvc_like.meta import tree
from dvc_like.ops import _dvc, _dvc_config, _lfs
from dvc_like.ops._foreign import Found, Left, Shelf, Survey, trees_of
from dvc_like.paths import RelPath

_BREAK = b"\n===\n"  # between dvc.lock and dvc.yaml, in one input


def _read(files: dict[str, bytes]) -> Survey:
    """Read such files of a repository; what is left, when nothing else was found, is refused."""
    survey = Survey()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as root:
        for name, data in files.items():
            Path(root, name).parent.mkdir(exist_ok=True)
            Path(root, name).write_bytes(data)
        with Dir.open_root(root) as top:
            _dvc.read(top, list(files), survey)
    for left in survey.left:
        _told(left)
    for found in survey.found:
        _sound(found)
    if survey.left and not survey.found:
        raise BadMeta(survey.left[0].reason)
    return survey


def _told(left: Left) -> None:
    """Fail unless what is left is named in one line."""
    assert left.reason
    assert "\n" not in left.reason + left.hint
    assert len(left.reason) < 2000, left.reason


def _sound(found: Found) -> None:
    """Fail unless a meta file can say what was found, and that again is read as the same."""
    safe_path(found.path)
    safe_digest(found.digest)
    meta = metas.Meta(
        *(found.digest, found.size or 0, found.files if found.is_folder else None, found.executable),
        *(found.remote, found.extra),
    )
    written = metas.encode(meta)
    again = metas.parse(written, "x.meta")
    assert again[:5] == meta[:5], written
    assert dict(again.extra) == dict(meta.extra), written


def pointer(data: bytes) -> None:
    """Read a ``.dvc`` file. No password in the address of its source goes on."""
    assert "secret7" not in _dvc._bare(f"s3://name:secret7@{data.decode('utf-8', 'replace')}")
    _read({"d/x.dvc": data})


def lock(data: bytes) -> None:
    """Read ``dvc.lock``, and the ``dvc.yaml`` that tells where its stages run."""
    locked, _, pipeline = data.partition(_BREAK)
    _read({"d/dvc.lock": locked, "d/dvc.yaml": pipeline})


class _Nothing:
    """A remote that has the list, and of each file one byte."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read_list(self, remote: str | None, digest: Digest, limit: int) -> bytes:
        return self._data

    def sizes(self, remote: str | None, digests: Iterable[Digest]) -> dict[Digest, int]:
        return dict.fromkeys(digests, 1)


def listing(data: bytes) -> None:
    """Read the list of a folder, and make trees of it."""
    digest = parse(f"md5:{hashlib.md5(data, usedforsecurity=False).hexdigest()}")
    found = Found(RelPath("d"), "d.dvc", "dvc", digest, is_folder=True)
    files = _dvc.listing(Shelf("nowhere", lambda _: "nowhere/x"), _Nothing(data), found)  # type: ignore[arg-type]
    for name, (one, size) in files.items():
        safe_path(name)
        safe_digest(one)
        assert size == 1
    entry, trees = trees_of(files, found.path, "blake3")
    assert entry.files == entry.size == len(files)
    for made in trees:
        assert tree.encode(tree.parse(made, "a tree")) == made


def config(data: bytes) -> None:
    """Read ``.dvc/config``: Git tracks it, so nothing of it commands, leaves the folder or becomes local."""
    survey = Survey()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as root:
        Path(root, ".dvc").mkdir()
        Path(root, ".dvc/config").write_bytes(data)
        cache = _dvc_config.translate(root, {".dvc/config"}, survey)
    assert cache == "/dev/null" or f"{cache}/".startswith(f"{root}/"), cache
    assert survey.settings["local"] == {}
    assert _dvc.shelf(cache).size(parse("md5:" + "0" * 32)) is None
    text = ""
    for name, value in survey.settings["project"].items():
        section, _, rest = name.partition(".")
        assert check_tracked(section, rest.rpartition(".")[2], value) is None, name
        try:
            text = gitconfig.changed(text, "config", name, value)
        except DvcLikeError as error:
            raise AssertionError(f"{name} cannot be written: {error.message[:200]}") from None
    read = {one.name: one.text for one in gitconfig.parse(text, "config")[0]}
    assert read == survey.settings["project"]
    for note in survey.notes:
        assert "\n" not in note
    if any("cannot be read" in note for note in survey.notes):
        raise BadMeta(survey.notes[0][:1000])


def large(data: bytes) -> None:
    """Read a pointer of Git LFS, and take the rules of LFS out of the same bytes."""
    left = _lfs.without_rules(data)
    assert _lfs.without_rules(left) == left
    assert set(left.splitlines()) <= set(data.splitlines())
    found = _lfs._found("a/b", data, executable=False)
    safe_digest(found.digest)
    assert _lfs.pointer(found) == data
    assert paths.parse(found.path) == "a/b"


TARGETS: dict[str, Callable[[bytes], None]] = {
    "dvc": pointer,
    "dvclock": lock,
    "dvclist": listing,
    "dvcconfig": config,
    "lfs": large,
}
