"""Where imported data comes from: the ``source:`` block of a meta file, and what of it may be reached.

Owns the two kinds of source, how they are read with distrust (a meta file comes from strangers), and the rule which
places `update` may contact: encrypted ones; any other only when the user of this machine allowed it by `import.allow`.
Contacts nothing itself. The block is specified in ``docs/format.md``.
"""

from __future__ import annotations

import os
import re
from typing import Any, NamedTuple

from .. import paths
from ..config import edit
from ..digest import Digest
from ..errors import BadMeta, DvcLikeError, UnsafePath, UsageError
from ..meta.file import Meta
from ..paths import CONTROL, RelPath, show
from ..project import Project

KEY = "source"
ALLOW = "import.allow"
#: What is encrypted, and shows who answers. Anything else needs the word of this machine's user.
SAFE_SCHEMES = frozenset({"https", "ssh", "git+ssh", "ssh+git", "s3", "gs", "gcs", "abfs", "abfss", "az", "sftp"})
#: Those that name a user or a container before the host.
_NAMED = frozenset({"ssh", "git+ssh", "ssh+git", "sftp", "abfs", "abfss"})
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_SCP = re.compile(r"(?:[^/:@\s]+@)?(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]{2,}):(?!:)(?!//).+")  # host:path, for Git
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_MAX_TEXT = 4096


class RepoSource(NamedTuple):
    """A path of another Git repository. `rev` is what was asked for (None: its default branch), `commit` what that was.

    `changed` tells that other data was recorded here since.
    """

    repo: str
    path: RelPath
    commit: str
    rev: str | None = None
    changed: bool = False


class UrlSource(NamedTuple):
    """A file or folder at a URL, and what its store said of that version of it (as far as it says anything)."""

    url: str
    etag: str | None = None
    version: str | None = None
    mtime: str | None = None
    size: int | None = None
    changed: bool = False


Source = RepoSource | UrlSource


def source_of(meta: Meta, name: str) -> Source | None:
    """Return where a target was imported from, None where it was not; `name` is the meta file's, for messages.

    A ``source`` that names neither a ``repo`` nor a ``url`` is the user's own word. Raises `BadMeta`.
    """
    block = dict(meta.extra).get(KEY)
    if not isinstance(block, dict) or not ({"repo", "url"} & block.keys()):
        return None
    try:
        if "repo" in block and "url" in block:
            raise ValueError("names both a `repo` and a `url`")
        if not isinstance(changed := block.get("changed", False), bool):
            raise ValueError("has a `changed` that is neither true nor false")
        if "repo" in block:
            commit = _text(block, "commit")
            if commit is None or not _COMMIT.fullmatch(commit):
                raise ValueError("has no sound `commit`: 40 or 64 hex digits are meant")
            path = paths.parse(_text(block, "path") or "")
            return RepoSource(_url(block, "repo"), path, commit, _text(block, "rev"), changed)
        size = block.get("size")
        if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 0):
            raise ValueError("has no sound `size`")
        etag, version, mtime = (_text(block, key) for key in ("etag", "version", "mtime"))
        return UrlSource(_url(block, "url"), etag, version, mtime, size, changed)
    except ValueError as error:
        raise BadMeta(f"{show(name)}: its `source` {error}", hint="Import it again, or remove the block.") from None
    except DvcLikeError as error:
        raise BadMeta(f"{show(name)}: its `source` is refused: {error.message}", hint=error.hint) from None


def with_source(meta: Meta, source: Source) -> Meta:
    """Return a meta file's content with this source; what else stands in its block, or beside it, is kept."""
    extra = dict(meta.extra)
    old = extra.get(KEY)
    fields = [*RepoSource._fields, *UrlSource._fields]
    kept = {key: value for key, value in old.items() if key not in fields} if isinstance(old, dict) else {}
    order = ("repo", "rev", "commit", "path") if isinstance(source, RepoSource) else UrlSource._fields
    values = {key: getattr(source, key) for key in order if getattr(source, key) is not None}
    values.pop("changed", None)
    block: dict[str, Any] = {key: str(value) if isinstance(value, str) else value for key, value in values.items()}
    if source.changed:
        block["changed"] = True
    return meta._replace(extra=tuple({**extra, KEY: {**block, **kept}}.items()))


def recorded_as(old: Meta | None, digest: Digest) -> tuple[tuple[str, Any], ...]:
    """Return the other keys of a meta file whose data is recorded as `digest` now: an import is noted as changed."""
    if old is None:
        return ()
    block = dict(old.extra).get(KEY)
    if digest == old.digest or not isinstance(block, dict) or not ({"repo", "url"} & block.keys()):
        return old.extra
    return tuple({**dict(old.extra), KEY: {**block, "changed": True}}.items())


def _text(block: dict[str, Any], key: str) -> str | None:
    value = block.get(key)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)  # a tag like 2024 that somebody wrote by hand
    if value is not None and (not isinstance(value, str) or not value or len(value) > _MAX_TEXT):
        raise ValueError(f"has no sound `{key}`: a text is meant")
    if value is not None and re.search(f"[{CONTROL}]", value):
        raise ValueError(f"holds a control character in `{key}`")
    return value


def _url(block: dict[str, Any], key: str) -> str:
    value = _text(block, key)
    if value is None:
        raise ValueError(f"has no `{key}`")
    check_place(value)
    return value


# ------------------------------------------------------------------------------ places


def scheme_of(place: str) -> str:
    """Return the scheme in lower case, ``ssh`` for Git's ``host:path``; empty for a path on this machine."""
    match = _SCHEME.match(place)
    if match:
        return match[1].lower()
    drive = os.name == "nt" and re.match(r"[A-Za-z]:[\\/]", place)
    return "ssh" if not drive and _SCP.fullmatch(place) else ""


def check_place(place: str) -> None:
    """Raise `UnsafePath` for what names a command or an option rather than a place.

    `UsageError` for nothing, and for a file of another machine.
    """
    if not place.strip():
        raise UsageError("the place to import from is empty", hint="Give a URL, or the folder of a repository.")
    if re.match(r"[A-Za-z0-9+.-]*::", place) or re.search(f"[{CONTROL}]", place):
        raise UnsafePath(f"{show(bare(place))} is no address of data, but may be a command")
    host = re.sub(r"^[^@/]*@", "", place.partition("://")[2] or place)
    if place.startswith("-") or (scheme_of(place) and host.startswith("-")):
        raise UnsafePath(f"{show(bare(place))} would be taken for an option")
    if scheme_of(place) == "file" and host.partition("/")[0] not in ("", "localhost"):
        raise UsageError(f"{show(bare(place))} names another machine", hint="Write file:///PATH.")


def is_local(place: str) -> bool:
    """Tell whether a place is a folder of this machine, named by its path or as ``file://``."""
    return scheme_of(place) in ("", "file")


def bare(place: str) -> str:
    """Return a place without credentials: what may be shown, and may stand in a file that Git tracks.

    The user of an ssh address stays, and the container of an Azure one: they are the same for everybody.
    """
    match = _SCHEME.match(place)
    if match is None:
        return place
    rest = place[match.end() :]
    first = re.split("[/?#]", rest, maxsplit=1)[0]
    if "@" not in first and re.fullmatch(r"[^:]*|(\[.*\]|[^:]*):\d*", first):
        return place
    # A secret may hold a slash, though it should be written %2F there: all up to the last @ is taken for it.
    user, at, host = (first if "@" in first else rest).rpartition("@")
    if not at:
        return place
    host += rest[len(first) :] if "@" in first else ""
    name = user.partition(":")[0]
    return match[0] + (f"{name}@" if match[1].lower() in _NAMED and name else "") + host


def needs_leave(place: str) -> bool:
    """Tell whether a place may be contacted only because the user of this machine said so.

    That holds for a server on this machine as well: what it does for a request is its own affair.
    """
    return scheme_of(place) not in SAFE_SCHEMES or bare(place) != place


def reach(project: Project, place: str) -> str:
    """Return how to reach a place that a meta file names: with the credentials that `import.allow` has for it.

    Raises `UnsafePath` when it may not be contacted.
    """
    check_place(place)
    prefix = _leave(project, place)
    if prefix:
        secret, plain = prefix.rstrip("/"), bare(prefix).rstrip("/")
        return secret + place[len(plain) :] if secret != plain else place
    if needs_leave(place):
        what = "holds a credential" if bare(place) != place else "is on this machine, or not encrypted"
        raise UnsafePath(
            f"{show(bare(place))} is not contacted: a meta file names it, and it {what}",
            hint=f"If you trust it: dvc-like config --local --add {ALLOW} {show(bare(place))}",
        )
    return place


def has_leave(project: Project, place: str) -> bool:
    """Tell whether the user of this machine said that a place may be contacted, wherever it is."""
    return bool(_leave(project, place))


def _leave(project: Project, place: str) -> str:
    """Return what of `import.allow` is meant for a place, empty for nothing."""
    allowed = [value.text for value in project.config.values if value.name == ALLOW and value.level != "project"]
    wanted = _normal(project, place)
    found = (one for one in allowed if wanted is not None and _covers(_normal(project, bare(one)), wanted))
    return next(found, "")


def allow(project: Project, place: str, *, is_inside: bool = False) -> None:
    """Remember, for this clone alone, that its user named a place by hand; where that needs no leave, do nothing.

    One `is_inside` this machine or a private network needs it.
    """
    if not (is_inside or needs_leave(place)):
        return
    known = {value.text for value in project.config.values if value.name == ALLOW and value.level != "project"}
    if place not in known:
        edit(project.config.files["local"], {ALLOW: place}, add=True)


def kept(project: Project, place: str) -> str:
    """Return a place that was typed as a meta file may hold it: a folder relative to the project's root."""
    if scheme_of(place) or os.path.isabs(place) or place.startswith("~"):
        return bare(place)
    return os.path.relpath(os.path.abspath(place), project.root).replace(os.sep, "/")


def _unquote(text: str) -> str:
    from urllib.parse import unquote  # `add` needs none of it, and would wait for it

    return unquote(text)


def folder_of(project: Project | None, place: str) -> str:
    """Return the absolute path of a place on this machine; a relative one is seen from the project's root."""
    path = _unquote(place.partition("://")[2].removeprefix("localhost")) if scheme_of(place) == "file" else place
    start = project.root if project is not None else os.getcwd()
    return os.path.normpath(os.path.join(start, os.path.expanduser(path)))


def _normal(project: Project, place: str) -> str | None:
    """Return a place in the one form in which prefixes are compared; None where it climbs, and so could be any."""
    if is_local(place):
        return folder_of(project, place).rstrip("/") + "/"
    if ".." in _unquote(_unquote(place)).replace("\\", "/").split("/"):
        return None
    scheme, mark, rest = place.partition("://")
    host, slash, path = rest.partition("/")
    return (f"{scheme.lower()}{mark}{host.lower()}{slash}{path}" if mark else place).rstrip("/") + "/"


def _covers(prefix: str | None, place: str) -> bool:
    return prefix is not None and place.startswith(prefix)
