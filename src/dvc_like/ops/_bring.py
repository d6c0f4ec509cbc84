"""What lies at one path of another repository, brought into a cache of ours.

Owns the meaning of such a path (a target, a part of one, what Git tracks there, or a folder with all of these), where
its bytes are looked for (that project's cache where it is on this machine, then its remote), and the words for what is
not there. Everything becomes an entry of a tree, whose objects are verified and in the cache.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace

from .. import digest as digests
from .. import git as gits
from .. import paths
from ..cache.writer import Writer
from ..errors import DataMissing, DvcLikeError, UnsafePath, UsageError, gathered
from ..fsutil import Dir
from ..meta.file import SUFFIX
from ..meta.tree import FILE, FOLDER, LINK, Entry, encode, link_stays_inside
from ..paths import RelPath, is_below, join, parent, show
from ..project import FOLDER as PROJECT_FOLDER
from ..project import Project
from ..remote.registry import scheme_of
from ..workspace.gitignore import NAME as IGNORE
from ._clone import Clone
from ._session import Session
from ._sides import inside, item_then
from ._tracked import Target, Wanted, targets_at, walk
from ._transfer import as_error
from ._trees import root_entry
from .fetch import Fetched, fetch_in

_LFS = b"version https://git-lfs.github.com/spec/"
_NEAR = "its-cache"  # what that project's own cache is called as a remote


@dataclass(frozen=True)
class There:
    """A path of another repository: its `project`, the commit (None: what is recorded there now), the path from the
    project's root, and how the repository is called in messages.
    """

    project: Project
    commit: str | None
    path: RelPath
    name: str

    @property
    def at(self) -> str:
        """The repository and the commit, for a message."""
        return f"{self.name}{f' at {self.commit[:10]}' if self.commit else ''}"


class _Listings:
    """The keys of all trees, and of no file."""

    def __contains__(self, key: object) -> bool:
        return str(key).endswith(".tree")


def bring(
    session: Session, there: There, *, remote: str | None = None, jobs: int | None = None, data: bool = True
) -> Entry:
    """Bring what lies at a path into the session's cache; return it as an entry of the folder it lies in.

    Without `data` the bytes of targets stay where they are.

    Raises `UsageError` when nothing is there, `DataMissing` when its bytes are nowhere, `UnsafePath` for what must not
    be written.
    """
    targets, unreadable, failures = _targets(there)
    path = RelPath(there.path.removesuffix(SUFFIX)) if there.path.removesuffix(SUFFIX) in targets else there.path
    holder = next((one for one in targets.values() if is_below(path, one.path)), None)
    if holder is not None and (holder.path == path or holder.meta.is_folder):
        if not data and path == holder.path:
            return root_entry(path, holder.meta)
        _fetch(session, there, [Wanted(holder, path)], remote, jobs, None if data else _Listings())
        found = inside(item_then(session, holder), path)
        assert found is not None
        if found.entry.kind == LINK:
            raise UnsafePath(f"{show(path)} of {there.name} is a link", hint="Take the folder that it lies in.")
        return found.entry
    below = [one for one in targets.values() if is_below(one.path, path)]
    files = [one for one in _git_files(there) if is_below(one.path, path)]
    if any(is_below(one, path) or is_below(path, one) for one in unreadable):
        raise gathered(failures)
    if not (below or files):
        raise _nothing(there, targets)
    if data:
        _fetch(session, there, [Wanted(one, one.path) for one in below], remote, jobs)
    return _gather(session, there, path, below, files)


def _targets(there: There) -> tuple[dict[RelPath, Target], list[RelPath], list[DvcLikeError]]:
    """Return the targets, and where meta files cannot be read (the root: who knows), and why."""
    failures: list[DvcLikeError] = []
    if there.commit is not None:
        known = targets_at(there.project, there.commit, failures)
        found = [one for one in known.values() if one is not None]
        unreadable = [path for path, one in known.items() if one is None]
    else:
        with Dir.open_root(there.project.root) as root:
            found = list(walk(root, failures=failures))
        unreadable = [RelPath("")] if failures else []
    return {one.path: one for one in found}, unreadable, failures


# ------------------------------------------------------------------------------ bytes


def _fetch(
    session: Session,
    there: There,
    wanted: list[Wanted],
    remote: str | None,
    jobs: int | None,
    only: _Listings | None = None,
) -> None:
    """Bring objects from that project's cache where it can be seen, the others from its remote; raise what lacks."""
    if not wanted:
        return
    project = there.project
    with contextlib.suppress(OSError):  # what is known of its remotes; without it they are asked again
        os.makedirs(project.shared_tmp, exist_ok=True)
    done = Fetched(failures=[("", DataMissing(""))])
    if remote is None:  # where nothing lacks, nobody is asked
        lender = replace(project, config=project.config.with_value(f"remote.{_NEAR}.url", project.cache_dir))
        done = fetch_in(session.lent(lender), wanted, remote=_NEAR, jobs=None, only=only)
    if done.failures or done.untried:
        _check_remotes(there, wanted, remote)
        done = fetch_in(session.lent(project), wanted, remote=remote, jobs=jobs, only=only)
    if done.unknown:
        raise _not_in_dataset(session, there, wanted[0])
    if not done.failures:
        return
    missing = [path for path, error in done.failures if isinstance(error, DataMissing)]
    if len(missing) < len(done.failures):
        raise as_error(f"fetching from {there.name}", done.failures, done.objects, done.untried)
    raise DataMissing(
        f"{len(missing)} file{'s' if len(missing) > 1 else ''} of {there.at}: the bytes are not on its remote",
        hint="Whoever has them runs `dvc-like push` there; or choose another revision with --rev.",
        details=tuple(missing),
    )


def _check_remotes(there: There, wanted: Iterable[Wanted], asked: str | None) -> None:
    """Raise when that project names no remote, or one that only it can find."""
    project = there.project
    for one in wanted:
        shown, name = show(one.inside), asked or one.target.meta.remote or project.config.get("core.remote")
        if not name:
            raise DataMissing(
                f"{shown} of {there.at} cannot be had: its bytes are not here, and no default remote is recorded there",
                hint="Its owner runs `dvc-like remote add -d NAME URL` and `dvc-like push`, and commits the settings.",
            )
        if name not in project.config.remotes():
            raise UsageError(
                f"{there.at} has no remote named {show(name)!r}",
                hint=f"It has: {', '.join(map(show, project.config.remotes())) or 'none'}.",
            )
        url = project.config.remotes()[name]["url"]
        if isinstance(project.git, Clone) and not scheme_of(url) and not os.path.isabs(os.path.expanduser(url)):
            raise DataMissing(
                f"{shown} of {there.at} cannot be had: its remote {name} is the folder {show(url)} beside a clone",
                hint="Import from a clone on this machine, or let its owner choose a remote that others can reach.",
            )


# ------------------------------------------------------------------------------ what Git tracks


def _git_files(there: There) -> list[gits.File]:
    git = there.project.git
    return list(gits.listing(git, there.commit, "")) if git is not None else []


def _gather(session: Session, there: There, path: RelPath, targets: list[Target], files: list[gits.File]) -> Entry:
    """Make one entry of what Git tracks at or below a path, and of the targets below it."""
    marks = {one.meta_path for one in targets} | {join(parent(one.path), IGNORE) for one in targets}
    wanted = [one for one in files if one.path not in marks and PROJECT_FOLDER not in one.path.split("/")]
    folders: dict[RelPath, list[Entry]] = {}
    for target in targets:
        folders.setdefault(parent(target.path), []).append(root_entry(target.path, target.meta))
    assert there.project.git is not None or not wanted
    kinds = {one.path: one for one in wanted}
    submodule = next((one for one in wanted if one.kind == FOLDER), None)
    if submodule is not None:
        raise UsageError(
            f"{show(submodule.path)} of {there.name} is a submodule", hint="Take it from its own repository."
        )
    with session.writer() as writer:
        blobs = [(one.object, one.path) for one in wanted]
        for name, data in there.project.git.contents(blobs) if there.project.git is not None else ():
            file, entry = paths.parse(name), kinds[name]
            folders.setdefault(parent(file), []).append(_entry(writer, there, path, file, entry.kind, data))
        if path in kinds:
            return folders[parent(path)][0]
        while True:  # the deepest folder first: it becomes an entry of the one above
            here = max(folders, key=lambda one: (one.count("/") + bool(one), one))
            entries = folders.pop(here)
            digest = writer.put_tree(encode(entries))
            size, count = sum(one.data_size for one in entries), sum(one.files for one in entries)
            made = Entry(here.rpartition("/")[2], FOLDER, size, digest, count)
            if here == path:
                return made
            folders.setdefault(parent(here), []).append(made)


def _entry(writer: Writer, there: There, top: RelPath, file: RelPath, kind: str, data: bytes) -> Entry:
    name = file.rpartition("/")[2]
    if kind != LINK:
        if data.startswith(_LFS) and len(data) < 1024:
            raise UsageError(
                f"{show(file)} of {there.name} lies in Git LFS: Git has a pointer to it, and no bytes",
                hint="Clone that repository with `git lfs`; `dvc-like` takes over what it tracks itself.",
            )
        digest = digests.of_bytes(writer.algorithm, data)
        writer.put_bytes(data, digest)
        return Entry(name, kind or FILE, len(data), digest)
    target = data.decode("utf-8", "surrogateescape")
    depth = file.count("/") - top.count("/") - 1 if top else file.count("/")
    if file == top or not link_stays_inside(depth, target) or "\\" in target or not target.isprintable():
        raise UnsafePath(f"{show(file)} of {there.name} would link to {show(target)}, outside of what is taken")
    return Entry(name, LINK, len(data), target)


# ------------------------------------------------------------------------------ what is not there


def _nothing(there: There, targets: dict[RelPath, Target]) -> UsageError:
    known = dict.fromkeys([*targets, *(one.path for one in _git_files(there) if PROJECT_FOLDER not in one.path)])
    folders = dict.fromkeys(above for one in known for above in _above(RelPath(one)))
    return _unknown(there, [*known, *folders])


def _above(path: RelPath) -> list[RelPath]:
    parts = path.split("/")
    return [RelPath("/".join(parts[:end])) for end in range(1, len(parts))]


def _not_in_dataset(session: Session, there: There, wanted: Wanted) -> UsageError:
    """Name what lies in the deepest folder on the way to a path that a dataset does not have."""
    here, item = wanted.target.path, item_then(session, wanted.target)
    names: list[str] = []
    for name in wanted.inside[len(here) + 1 :].split("/"):
        listing = item.side.listing() if item is not None and item.side is not None else {}
        names = [join(item.path, one) for one in listing]
        if name not in listing or item.side is None:
            break
        item = item.side.item(listing[name])
    return _unknown(there, names)


def _unknown(there: There, known: list[str]) -> UsageError:
    import difflib  # only where something is misspelt

    near = difflib.get_close_matches(there.path, known, 5, 0.6) or sorted(known)[:5]
    hint = f"It has, for instance: {', '.join(map(show, near))}." if near else "Nothing is tracked there."
    return UsageError(f"{there.at} has no {show(there.path)}", hint=hint)
