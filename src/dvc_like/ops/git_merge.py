"""`git-merge`: what Git runs to merge two versions of a meta file, and with them the data they describe.

Owns the order: read the three versions, merge what they say and the folders below, put the new listings into the cache,
and only then write the meta file that names them. The workspace's data is not touched: `checkout` brings it after.
"""

from __future__ import annotations

import contextlib
import os
from typing import NamedTuple

from ..digest import Digest
from ..errors import BadMeta, ConfigError, DataMissing, DvcLikeError, ProjectError
from ..git import Git, merge_texts
from ..meta.file import SUFFIX, Meta, parse
from ..meta.rewrite import rewrite
from ..meta.tree import Entry
from ..paths import RelPath, show
from ..progress import SILENT, Progress
from ..project import Project
from ._merge_trees import Conflict, Merger, Three, Undecided, choose
from ._remote_trees import read_trees
from ._session import Session, open_session
from ._store import open_store, remote_name
from ._tracked import is_ours
from ._trees import load_entry, root_entry

_ABSENT = object()


class GitMerged(NamedTuple):
    """One merged meta file.

    `meta` is what it says now, None where it is left with conflict markers, or is not ours. `problem` tells why Git
    must take the file as conflicted, None when it need not.
    """

    path: RelPath
    meta: Meta | None
    conflicts: tuple[Conflict, ...] = ()
    problem: DvcLikeError | None = None


def git_merge(project: Project, versions: tuple[str, str, str], path: str, *, progress: Progress = SILENT) -> GitMerged:
    """Merge three files (the base, ours, theirs) that are versions of the meta file `path`; write the result to ours.

    A folder is merged file by file. Files that both sides changed are kept under two names each, and the result is
    a sound meta file with a `problem`. Where a single file differs, Git's conflict markers are written.
    """
    git = project.git
    if git is None:
        raise ProjectError("there is no Git here, so there is nothing to merge")
    target = RelPath(project.relative(path).removesuffix(SUFFIX))
    texts = []
    for name in versions:
        with open(name, "rb") as file:
            texts.append(file.read())
    text, merged = _merge(project, git, target, texts, progress)
    with open(versions[1], "wb") as file:
        file.write(text)
    return merged


def _merge(
    project: Project, git: Git, path: RelPath, texts: list[bytes], progress: Progress
) -> tuple[bytes, GitMerged]:
    """Return the text of the merged meta file, and what became of it."""
    meta_path = f"{path}{SUFFIX}"
    if not all(is_ours(text) for text in texts[1:]):  # game engines have .meta files too
        text, clean = merge_texts(git, *texts)
        problem = None if clean else DvcLikeError(f"both sides changed {show(meta_path)}")
        return text, GitMerged(path, None, (), problem)
    try:
        base = parse(texts[0], f"the common ancestor of {meta_path}") if texts[0].strip() else None
        ours, theirs = parse(texts[1], f"our {meta_path}"), parse(texts[2], f"their {meta_path}")
    except BadMeta as error:
        return merge_texts(git, *texts)[0], GitMerged(path, None, (), error)
    conflicts: list[Conflict] = []
    try:
        data = choose(_data(base), _data(ours), _data(theirs))
    except Undecided:
        data = None
        if ours.is_folder and theirs.is_folder:
            try:
                data = _merge_folders(project, git, path, (base, ours, theirs), conflicts, progress)
            except DvcLikeError as error:
                return merge_texts(git, *texts)[0], GitMerged(path, None, (), error)
    metas = [_with(side, data, base, ours, theirs) for side in (base, ours, theirs)]
    text, clean = _merge_texts(git, metas, texts)
    if not clean:
        return text, GitMerged(path, None, tuple(conflicts), _undecided(path, data is not None))
    return text, GitMerged(path, parse(text, meta_path), tuple(conflicts), _kept_both(path, conflicts))


# ------------------------------------------------------------------------------ what a meta file says

_Data = tuple[Digest, int, int | None]


def _data(meta: Meta | None) -> _Data | None:
    return None if meta is None else (meta.digest, meta.size, meta.files)


def _with(side: Meta | None, data: _Data | None, base: Meta | None, ours: Meta, theirs: Meta) -> Meta | None:
    """Return one side with all that is decided; what is not stays different, and becomes a conflict of lines."""
    if side is None:
        if data is None:
            return None
        # Both sides then differ from it only where they differ from each other.
        side = ours._replace(executable=False, remote=None, extra=())
    if data is not None:
        side = side._replace(digest=data[0], size=data[1], files=data[2])
    side = side._replace(executable=choose(bool(base and base.executable), ours.executable, theirs.executable))
    with contextlib.suppress(Undecided):
        side = side._replace(remote=choose(base.remote if base else None, ours.remote, theirs.remote))
    return side


def _merge_texts(git: Git, metas: list[Meta | None], texts: list[bytes]) -> tuple[bytes, bool]:
    """Merge what the user wrote into the files: by lines, and where lines are neighbours by keys."""
    written = [b"" if meta is None else rewrite(meta, old) for meta, old in zip(metas, texts, strict=True)]
    text, clean = merge_texts(git, *written)
    _, ours, theirs = metas
    if clean or ours is None or theirs is None or ours._replace(extra=()) != theirs._replace(extra=()):
        return text, clean
    base, mine, yours = ({} if meta is None else dict(meta.extra) for meta in metas)
    try:
        keys = dict.fromkeys([*mine, *yours, *base])
        wanted = {key: choose(base.get(key, _ABSENT), mine.get(key, _ABSENT), yours.get(key, _ABSENT)) for key in keys}
        both, _ = merge_texts(git, *written, union=True)
        found = parse(both, "")
    except (Undecided, BadMeta):
        return text, False
    expected = {key: value for key, value in wanted.items() if value is not _ABSENT}
    same = found._replace(extra=()) == ours._replace(extra=()) and dict(found.extra) == expected
    return (both, True) if same else (text, False)


# ------------------------------------------------------------------------------ folders


def _merge_folders(
    project: Project,
    git: Git,
    path: RelPath,
    metas: tuple[Meta | None, Meta, Meta],
    conflicts: list[Conflict],
    progress: Progress,
) -> _Data:
    """Merge two versions of a folder; the new listings are in the cache then."""
    roots = Three(*(None if meta is None else root_entry(path, meta) for meta in metas))
    with open_session(project, progress, cache="shared") as session, session.progress.task("merging"):

        def read(entry: Entry, at: RelPath, depth: int) -> list[Entry] | None:
            try:
                return load_entry(session.cache, entry, at, depth)
            except DataMissing:
                return None

        asked: set[Digest] = set()
        while True:
            merger = Merger(read, project.algorithm)
            merged = merger.merge(roots, path)
            if not merger.missing:
                break
            missing = {entry.digest for entry in merger.missing}
            reason = "" if missing <= asked else _fetch(session, metas[1:], missing - asked)
            if missing <= asked or reason:
                raise _cannot_read(git, path, reason)
            asked |= missing
        assert merged is not None
        with session.writer() as writer:
            for data in merger.made:
                writer.put_tree(data)
    conflicts += merger.conflicts
    return merged.digest, merged.size, merged.files


def _fetch(session: Session, sides: tuple[Meta, ...], wanted: set[Digest]) -> str:
    """Bring listings from the remotes of both sides; return why that cannot be."""
    left = dict.fromkeys(wanted)
    try:
        for name in dict.fromkeys(remote_name(session.project, None, side.remote) for side in sides):
            with open_store(session.project, name, jobs=None, create=False, progress=session.progress) as store:
                store.look()
                found = read_trees(session.cache, store, left)
            with session.writer() as writer:
                for digest, data in found.items():
                    if isinstance(data, bytes):
                        writer.put_tree(data, digest)
                        left.pop(digest, None)
    except DvcLikeError as error:
        return "no remote is configured" if isinstance(error, ConfigError) else error.message
    return "the remote lacks some" if left else ""


# ------------------------------------------------------------------------------ what is told


def _kept_both(path: RelPath, conflicts: list[Conflict]) -> DvcLikeError | None:
    if not conflicts:
        return None
    name = show(path)
    lines = tuple(f"{show(one.path)} ({one.why}): {', '.join(map(show, one.kept))}" for one in conflicts)
    files = f"{len(conflicts)} file{'s' if len(conflicts) > 1 else ''}"
    return DvcLikeError(
        f"{files} of {name} changed on both sides; each version is kept",
        hint=f"`dvc-like checkout {name}` brings them. Keep what is right under its own name, then "
        f"`dvc-like add {name}` and `git add {name}{SUFFIX}`.",
        details=lines,
    )


def _undecided(path: RelPath, is_data_merged: bool) -> DvcLikeError:
    name = show(path + SUFFIX)
    if is_data_merged:
        return DvcLikeError(
            f"both sides changed what is written in {name}; its data is merged",
            hint=f"Edit the lines between the markers, then `git add {name}`.",
        )
    return DvcLikeError(
        f"{show(path)} changed on both sides",
        hint=f"Take one: `git checkout --ours -- {name}` or `git checkout --theirs -- {name}`, then "
        f"`dvc-like checkout {show(path)}` and `git add {name}`.",
    )


def _cannot_read(git: Git, path: RelPath, reason: str) -> DataMissing:
    """Say which command brings the listings that a merge lacks, and how to merge again."""
    revisions = " ".join(f"--rev {name}" for name in ("HEAD", *_names_of_commits(git)) if name)
    name, meta = show(path), show(path + SUFFIX)
    return DataMissing(
        f"{name} cannot be merged: listings of its folders are not here{f' ({show(reason)})' if reason else ''}",
        hint=f"`git checkout --ours -- {meta} && dvc-like fetch {revisions} {name} && git checkout -m -- {meta}` "
        "merges it again.",
    )


def _names_of_commits(git: Git) -> tuple[str, str]:
    """Return names for the common ancestor and for the commit that is merged, as far as Git tells a merge driver."""
    heads = [name[8:] for name in os.environ if name.startswith("GITHEAD_")]
    if len(heads) == 1 or os.path.exists(os.path.join(git.git_dir, "MERGE_HEAD")):
        theirs = heads[0][:10] if len(heads) == 1 else "MERGE_HEAD"
        base = git.run("merge-base", "HEAD", theirs, check=False).decode().strip()[:10]
        return base, theirs
    rebasing = any(os.path.isdir(os.path.join(git.git_dir, name)) for name in ("rebase-merge", "rebase-apply"))
    theirs = "REBASE_HEAD" if rebasing else "CHERRY_PICK_HEAD"
    return f"{theirs}^", theirs
