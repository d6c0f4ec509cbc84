"""Reading what DVC tracks: its ``.dvc`` files, the outputs in ``dvc.lock``, and the lists of its folders.

Owns DVC 3's formats, read with the same distrust as our own: all of it comes from Git. Changes nothing. What cannot be
taken over is named with the reason.
"""

from __future__ import annotations

import json
import os
import posixpath
import re
from collections.abc import Iterator
from typing import Any

from .. import digest as digests
from .. import paths
from ..digest import Digest
from ..errors import BadMeta, CorruptData, DataMissing, DvcLikeError
from ..fsutil import Dir
from ..meta.file import MAX_DEPTH, MAX_SIZE
from ..meta.yaml import load
from ..paths import RelPath, show
from ..remote.registry import scheme_of
from ._dvc_remote import Away
from ._foreign import Found, Left, Listing, Shelf, Survey, read_if_any

SUFFIX, LOCK, PIPELINE, IGNORE = ".dvc", "dvc.lock", "dvc.yaml", ".dvcignore"
SOURCE = "dvc"
_MAX_LISTING = 1 << 30
_KEPT = ("desc", "type", "labels", "meta")  # the user's own words


def read(root: Dir, names: list[str], survey: Survey) -> None:
    """Add to `survey` what the files of DVC among `names` (relative to the root) track."""
    for name in names:
        base = posixpath.basename(name)
        if base == LOCK:
            _read_lock(root, name, survey)
        elif base.endswith(SUFFIX) and base != SUFFIX:
            try:
                survey.found += _tracked_by(_load(root, name), name)
            except DvcLikeError as error:
                survey.left.append(Left(name, error.message, error.hint))
        elif base == IGNORE and _says_something(root, name):
            survey.ignores.append(RelPath(posixpath.dirname(name)))


def shelf(cache: str) -> Shelf:
    """Return where the objects of a cache of DVC 3 lie."""
    return Shelf(cache, lambda digest: os.path.join(cache, "files", "md5", digest.hex[:2], digest.hex[2:]))


def listing(here: Shelf, away: Away, found: Found) -> Listing:
    """Return what a folder holds, as told by DVC's cache or else its remote.

    Raises `DataMissing` when neither tells, `CorruptData` for damage.
    """
    way = f"`dvc fetch {show(found.origin)}` brings it, if any remote has it; then run this again."
    data = _read_list(here, found) or away.read_list(found.remote, found.digest, _MAX_LISTING)
    if data is None:
        raise DataMissing("its list of files is neither in DVC's cache nor on the remote", hint=way)
    if digests.of_bytes("md5", data) != found.digest:
        raise CorruptData("its list of files is damaged", hint=f"Delete {show(here.place(found.digest))}.dir; {way}")
    entries: dict[RelPath, tuple[Digest, int]] = {}
    sizes: dict[Digest, int | None] = {}
    names = list(_entries(data))
    for _, digest in names:
        sizes.setdefault(digest, here.size(digest))
    lost = [digest for digest, size in sizes.items() if size is None]
    sizes.update(away.sizes(found.remote, lost) if lost else {})
    for name, digest in names:
        size = sizes[digest]
        if size is None:
            raise DataMissing(f"{show(name)} in it is neither in DVC's cache nor on the remote", hint=way)
        if name in entries:
            raise CorruptData(f"its list of files holds {show(name)} twice")
        entries[name] = digest, size
    total = sum(size for _, size in entries.values())
    if found.files not in (None, len(entries)) or found.size not in (None, total):
        raise CorruptData(
            "its files do not have the number and size that are recorded",
            hint="Some are damaged: delete them in DVC's cache, and `dvc fetch` brings them again.",
        )
    return entries


def _read_list(here: Shelf, found: Found) -> bytes | None:
    folder, name = os.path.split(f"{here.place(found.digest)}.dir")
    try:
        with Dir.open_root(folder) as opened:
            return opened.read(name, _MAX_LISTING)
    except OSError:
        return None


def _entries(data: bytes) -> Iterator[tuple[RelPath, Digest]]:
    try:
        document = json.loads(data)
        for entry in document:
            yield paths.parse(entry["relpath"]), digests.parse(f"md5:{entry['md5']}")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise CorruptData("its list of files is none of DVC's") from None


# ------------------------------------------------------------------------------ .dvc and dvc.lock


def _load(root: Dir, name: str) -> dict[str, Any]:
    try:
        with root.descend(posixpath.dirname(name)) as folder:
            data = folder.read(posixpath.basename(name), MAX_SIZE)
        document = load(data, MAX_DEPTH)
    except OSError as error:
        raise BadMeta(f"it cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise BadMeta(f"it is no file of DVC: {show(str(error))[:200]}") from None
    if not isinstance(document, dict):
        raise BadMeta("it is no file of DVC")
    return document


def _tracked_by(document: dict[str, Any], name: str) -> list[Found]:
    """Return what one ``.dvc`` file tracks: all of it, or an error."""
    outs, wdir = document.get("outs"), document.get("wdir", ".")
    if not isinstance(outs, list) or not outs or not isinstance(wdir, str):
        raise BadMeta("it is no file of DVC: it lists nothing")
    if document.get("cmd"):
        raise BadMeta("it is a stage of DVC 0, with a command", hint="`dvc-like add` what it makes.")
    folder = posixpath.join(posixpath.dirname(name), wdir)
    shared = {key: document[key] for key in _KEPT if key in document}
    origin = _origin(document.get("deps"), posixpath.dirname(name))
    if origin:
        shared["source"] = origin
    return [_out(out, folder, name, shared) for out in outs]


def _out(out: object, folder: str, origin: str, shared: dict[str, Any], *, optional: bool = False) -> Found:
    """Return one entry of `outs`; raise why it cannot be taken over."""
    name = out.get("path") if isinstance(out, dict) else None
    if not isinstance(out, dict) or not isinstance(name, str):
        raise BadMeta("an entry of `outs` has no path")
    md5, size, files, remote = (out.get(key) for key in ("md5", "size", "nfiles", "remote"))
    if scheme_of(name) or posixpath.isabs(name):
        raise BadMeta(
            f"{show(name)} lies outside the repository", hint="`dvc-like import-url` takes a copy into the repository."
        )
    path = paths.parse(posixpath.normpath(posixpath.join(folder, name)))
    if out.get("cache") is False:
        raise BadMeta(f"{show(path)} is not in DVC's cache (`cache: false`)", hint="Let Git or `dvc-like add` have it.")
    if out.get("push") is False:
        raise BadMeta(
            f"{show(path)} is not to be pushed (`push: false`), and dvc-like pushes all that it tracks",
            hint="`dvc-like add` it if it may be pushed.",
        )
    if any(key in out for key in ("files", "version_id", "cloud")):
        raise BadMeta(
            f"{show(path)} lies in a bucket with versions, not under its hash",
            hint="`dvc-like import-url` its address.",
        )
    if out.get("hash") != "md5" or not isinstance(md5, str):
        raise BadMeta(
            f"{show(path)} is recorded in the way of DVC 2, whose MD5 of a text is not that of its bytes",
            hint="`dvc cache migrate --dvc-files` makes it DVC 3's: commit that, `dvc push`, then run this again.",
        )
    if any(one is not None and (type(one) is not int or not 0 <= one < 1 << 63) for one in (size, files)):
        raise BadMeta(f"{show(path)} has no sound size")
    if remote is not None and not isinstance(remote, str):
        raise BadMeta(f"{show(path)} has a `remote` that is no name")
    extra = {**shared, **{key: out[key] for key in _KEPT if key in out}}
    return Found(
        *(path, origin, SOURCE, digests.parse(f"md5:{md5.removesuffix('.dir')}"), md5.endswith(".dir"), size, files),
        executable=out.get("isexec") is True,
        remote=remote,
        extra=tuple(extra.items()),
        optional=optional,
    )


def _origin(deps: object, folder: str) -> dict[str, Any]:
    """Return where imported data came from, as our meta files say it; without any credentials."""
    if not isinstance(deps, list) or len(deps) != 1 or not isinstance(deps[0], dict):
        return {}
    dep = deps[0]
    path, repo = dep.get("path"), dep.get("repo")
    if isinstance(repo, dict) and isinstance(repo.get("url"), str):
        said = {"repo": _bare(repo["url"]), "rev": repo.get("rev"), "commit": repo.get("rev_lock"), "path": path}
    elif isinstance(path, str):
        here = path if scheme_of(path) or posixpath.isabs(path) else posixpath.normpath(posixpath.join(folder, path))
        said = {"url": _bare(here), "etag": dep.get("etag"), "version": dep.get("version_id"), "size": dep.get("size")}
    else:
        return {}
    return {key: value for key, value in said.items() if isinstance(value, str | int)}


def _bare(url: str) -> str:
    """Return a URL without the user of a web address, and without any password."""
    return re.sub(r"^((?:https?|ftps?)://)[^/?#]*@|(://[^/?#:@]*):[^/?#]*(@)", r"\1\2\3", url, flags=re.I)


def _read_lock(root: Dir, name: str, survey: Survey) -> None:
    """Take the outputs of the stages as targets; what else a stage is stays DVC's."""
    folder = posixpath.dirname(name)
    try:
        stages = _load(root, name).get("stages")
        if not isinstance(stages, dict):
            raise BadMeta("it lists no stages")
        folders = _stage_folders(root, folder)
    except DvcLikeError as error:
        survey.left.append(Left(name, error.message, error.hint))
        return
    for stage, body in stages.items():
        outs = body.get("outs", []) if isinstance(body, dict) else []
        for out in outs if isinstance(outs, list) else []:
            try:
                wdir = folders.get(stage.partition("@")[0], ".")
                if not isinstance(wdir, str) or "${" in wdir:
                    raise BadMeta(f"the `wdir` of stage {show(stage)} is not known before it runs")
                survey.found.append(_out(out, posixpath.join(folder, wdir), name, {}, optional=True))
            except DvcLikeError as error:
                survey.left.append(Left(f"{name}:{stage}", error.message, error.hint))
    survey.notes.append(
        f"{show(name)} and {PIPELINE} stay as they are: dvc-like keeps the data of stages and runs none of them."
    )


def _stage_folders(root: Dir, folder: str) -> dict[str, object]:
    """Return the `wdir` of the stages that have one: the lock says what lies there, and not where that is."""
    data = read_if_any(root, posixpath.join(folder, PIPELINE), MAX_SIZE) or b""
    if not re.search(rb"\bwdir\b", data):
        return {}
    stages = _load(root, posixpath.join(folder, PIPELINE)).get("stages")
    found: dict[str, object] = {}
    for name, body in stages.items() if isinstance(stages, dict) else ():
        inner = body.get("do", body) if isinstance(body, dict) else {}
        if isinstance(inner, dict) and "wdir" in inner:
            found[name] = inner["wdir"]
    return found


def _says_something(root: Dir, name: str) -> bool:
    data = read_if_any(root, name, MAX_SIZE) or b""
    return any(line.strip() and not line.startswith(b"#") for line in data.splitlines())
