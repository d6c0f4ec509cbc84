"""What `migrate` is going to do: all that DVC and Git LFS track, and for each path a plan, or why it is left.

Owns what may become a target. Reads, and changes nothing.
"""

from __future__ import annotations

import os
import posixpath
from contextlib import suppress

from .. import paths
from ..digest import DEFAULT
from ..errors import CorruptData, DataMissing, DvcLikeError, NoProject, UsageError
from ..fsutil import Dir
from ..git import Git, ignores
from ..meta.file import MAX_SIZE, SUFFIX, Meta, encode
from ..paths import RelPath, is_below, show
from ..project import FOLDER, Project
from ..workspace.ignore import NAME as IGNORE
from . import _dvc, _lfs
from ._dvc_config import FOLDER as DVC_FOLDER
from ._dvc_config import translate
from ._dvc_remote import Away
from ._foreign import Found, Left, Plan, Survey, is_there, trees_of
from ._tracked import enclosing, is_ours

_HOOKS = ("pre-commit", "post-checkout", "post-commit", "post-merge", "pre-push")


def look_over(root: str, git: Git | None, source: str | None) -> Survey:
    """Find all there is, and what can become of it."""
    survey = Survey()
    tracked, others = _names(root, git)
    survey.uncommitted.update(others if git is not None else ())
    with Dir.open_root(root) as top:
        if source != _lfs.SOURCE and os.path.isdir(os.path.join(root, DVC_FOLDER)):
            survey.shelves[_dvc.SOURCE] = _dvc.shelf(translate(root, frozenset(tracked), survey))
            _dvc.read(top, [name for name in (*tracked, *others) if is_there(os.path.join(root, name))], survey)
            survey.gone += [name for name in tracked if _is_gone(root, name)]
        if source != _dvc.SOURCE and git is not None:
            survey.shelves[_lfs.SOURCE] = _lfs.shelf(git)
            _lfs.read(git, top, survey)
        is_known = _dvc.SOURCE in survey.shelves or project_at(root) is not None
        if not is_known and not (survey.found or survey.left or survey.attributes):
            raise NoProject(f"neither DVC nor Git LFS keeps data in {show(root)}", hint="Name its folder with `--cd`.")
        _plan_all(top, git, survey, tracked)
    _note(git, survey)
    return survey


def _is_gone(root: str, name: str) -> bool:
    """Tell whether a ``.dvc`` file that Git knows was replaced by a run that died before it told Git."""
    full = os.path.join(root, name)
    return name.endswith(_dvc.SUFFIX) and not is_there(full) and is_there(full[:-4] + SUFFIX)


def _names(root: str, git: Git | None) -> tuple[list[str], list[str]]:
    """Return what Git tracks, and what else is in the workspace that Git does not ignore; without Git all there is.

    What lies in a repository of DVC or a project of ours further down is left to that one.
    """
    if git is not None:
        place = [f":(top,literal){git.prefix}"] if git.prefix else []
        listed = [
            git.run("ls-files", "-z", "--full-name", *which, "--", *place).split(b"\0")[:-1]
            for which in (["-c"], ["-o", "--exclude-standard"])
        ]
        tracked, others = ([git.relative(raw) for raw in names] for names in listed)
    else:
        tracked, others = [], []
        for folder, folders, files in os.walk(root):
            inner_one = folder != root and {DVC_FOLDER, FOLDER}.intersection(folders)
            folders[:] = [name for name in folders if name not in (DVC_FOLDER, FOLDER) and not inner_one]
            if inner_one:
                continue
            below = os.path.relpath(folder, root).replace(os.sep, "/")
            others += [posixpath.normpath(posixpath.join(below, name)) for name in files]
    marks = (f"/{DVC_FOLDER}/config", f"/{FOLDER}/config")
    inner = {name[: -len(mark)] + "/" for name in (*tracked, *others) for mark in marks if name.endswith(mark)}
    if inner:
        tracked, others = ([n for n in names if not n.startswith(tuple(inner))] for names in (tracked, others))
    return tracked, others


def project_at(root: str) -> Project | None:
    """Return the project that is there already; none of a folder above."""
    return Project.find(root) if os.path.isfile(os.path.join(root, FOLDER, "config")) else None


def _plan_all(top: Dir, git: Git | None, survey: Survey, tracked: list[str]) -> None:
    """Decide what becomes of each path. One ``.dvc`` file is migrated wholly or not at all."""
    project = project_at(top.path)
    algorithm = project.algorithm if project is not None else DEFAULT
    files, folders = set(tracked), set()
    away = Away(top.path, {**survey.settings["project"], **survey.settings["local"]})
    for name in tracked:
        while (name := posixpath.dirname(name)) and name not in folders:
            folders.add(name)
    failed: set[str] = set()
    last: RelPath | None = None
    metas = [one.path + SUFFIX for one in survey.found]
    ignored = set(ignores(git, metas)) if git is not None and metas else set()
    # Part by part, so that nothing comes between a folder and what lies in it.
    for one in sorted(survey.found, key=lambda one: (one.path.split("/"), one.optional, one.origin)):
        by_git = one.source == _dvc.SOURCE and (one.path in files or one.path in folders)
        if by_git and one.optional:
            continue  # dvc.lock lists what Git keeps as well
        try:
            if by_git:
                raise UsageError("Git tracks it", hint=f"`git rm -r --cached {show(one.path)}` takes it out of Git.")
            if last is not None and is_below(one.path, last):
                raise UsageError(f"it lies in {show(last)}, or is that again")
            plan = _plan(survey, away, one, algorithm)
            if _is_free(top, plan):
                if one.path + SUFFIX in ignored:
                    way = "Add the rule `!*.meta` behind the one that does it."
                    raise UsageError(f"Git ignores {show(one.path)}{SUFFIX}", hint=way)
                survey.plans.append(plan)
                last = one.path
        except DvcLikeError as error:
            survey.left.append(Left(one.path, error.message, error.hint, one.source))
            failed.add(one.origin if not one.optional else "")
    for plan in [plan for plan in survey.plans if plan.found.origin in failed]:
        survey.plans.remove(plan)
        survey.left.append(Left(plan.found.path, f"{show(plan.found.origin)} tracks more, which is left"))


def _plan(survey: Survey, away: Away, one: Found, algorithm: str) -> Plan:
    shelf = survey.shelves[one.source]
    if one.is_folder:
        files = _dvc.listing(shelf, away, one)
        entry, trees = trees_of(files, one.path, algorithm)
        return Plan(one, Meta(entry.digest, entry.size, entry.files, False, one.remote, one.extra), trees, files)
    way = "git lfs fetch" if one.source == _lfs.SOURCE else f"dvc fetch {show(one.origin)}"
    size = shelf.size(one.digest)
    if size is None and (one.size is None or one.source == _lfs.SOURCE):
        raise DataMissing("its object is not on this machine", hint=f"`{way}` brings it; then run this again.")
    if size is not None and one.size not in (None, size):
        raise CorruptData(
            "its object is damaged: it has another size than is recorded", hint=f"Delete it, and `{way}`."
        )
    size = one.size if size is None else size
    assert size is not None
    meta = Meta(one.digest, size, None, one.executable, one.remote, one.extra)
    return Plan(one, meta, (), {RelPath(one.path.rpartition("/")[2]): (one.digest, size)})


def _is_free(top: Dir, plan: Plan) -> bool:
    """Tell whether a path can become a target; False where it is one, by more than this. Raises what is in the way."""
    path = plan.found.path
    if path.endswith(SUFFIX):
        raise UsageError(f"a name that ends with {SUFFIX} cannot be tracked", hint="`dvc move` it first.")
    holder = enclosing(top, paths.parent(path)) if "/" in path else None
    if holder is not None and holder.meta.is_folder:
        raise UsageError(f"it lies in {show(holder.path)}, which is tracked as a whole")
    try:
        with top.descend(paths.parent(path)) as folder:
            present = folder.read(path.rpartition("/")[2] + SUFFIX, MAX_SIZE)
    except FileNotFoundError:
        return True
    except NotADirectoryError:
        raise UsageError(f"{show(paths.parent(path))} is a file, so nothing can lie in it") from None
    if present == encode(plan.meta):
        return True  # by a run that died
    if plan.found.optional and is_ours(present):
        return False  # dvc.lock stays when its outputs have become targets, and these go on
    raise UsageError(f"{show(path + SUFFIX)} is there already", hint="Remove or rename that file, then run this again.")


def _note(git: Git | None, survey: Survey) -> None:
    """Say what is not data and stays to be done."""
    shelf = survey.shelves.get(_dvc.SOURCE)
    needed = {file[0] for plan in survey.plans if plan.found.source == _dvc.SOURCE for file in plan.files.values()}
    away = sum(shelf.size(digest) is None for digest in needed) if shelf is not None else 0
    if away:
        survey.notes.append(f"{away:,} file(s) are not in DVC's cache: `dvc-like pull` brings them from the remote.")
    if survey.ignores:
        survey.notes.append(
            f"{_dvc.IGNORE} is copied to {IGNORE}: there rules concern only what is not recorded yet; look them over."
        )
    if git is None:
        survey.notes.append("There is no Git to keep them, so the .dvc files stay where they are.")
        return
    for tool, mark in (("DVC", b"dvc git-hook"), ("Git LFS", b"git lfs")):
        hooks = [name for name in _HOOKS if mark in _hook(git, name)]
        if hooks:
            survey.notes.append(f"Git hooks still run {tool}: {', '.join(hooks)}. `dvc-like install` sets up ours.")


def _hook(git: Git, name: str) -> bytes:
    with suppress(OSError), open(os.path.join(git.common_dir, "hooks", name), "rb") as file:
        return file.read(1 << 16)
    return b""
