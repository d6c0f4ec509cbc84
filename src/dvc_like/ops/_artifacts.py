"""Artifacts: files that another program keeps in the cache, each with a pointer that no workspace shows.

Owns `.dvc-like/mlflow/`: one meta file per artifact, ignored by Git, shared by all worktrees. What they point to is
needed like what targets point to: `gc`, `push`, `fsck` and `status --cloud` see them, `checkout` and `pull` do not.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator

from .. import paths
from ..cache.writer import Writer
from ..errors import BadMeta, DvcLikeError, UnsafePath, UsageError, gathered
from ..fsutil import READ_USER, Dir, is_temp, signature
from ..meta.file import MAX_SIZE, SUFFIX, Meta, encode, parse
from ..paths import RelPath, join, show
from ..project import FOLDER, Project
from ..workspace.scan import changing, refuse_special
from ._session import open_session
from ._tracked import Target, Wanted, enclosing, status_at

#: The folder of the pointers below `.dvc-like`, and what paths of artifacts begin with in messages and on remotes.
PLACE = RelPath("mlflow")


def artifacts(project: Project, failures: list[DvcLikeError] | None = None) -> list[Wanted]:
    """Return all artifacts. Pointers that cannot be read are gathered in `failures`, or raised when it is None."""
    wrong: list[DvcLikeError] = []
    found = [Target(RelPath(f"{PLACE}/{path}"), meta) for path, meta in _below(project, RelPath(""), wrong)]
    if wrong and failures is None:
        raise gathered(wrong)
    if failures is not None:
        failures += wrong
    return [Wanted(target, target.path) for target in sorted(found, key=lambda target: target.path)]


def stored(project: Project, path: RelPath) -> dict[RelPath, Target | None]:
    """Return the artifacts at and below a path as a version in which they are what is tracked."""
    wrong: list[DvcLikeError] = []
    found: dict[RelPath, Target | None] = {place: Target(place, meta) for place, meta in _below(project, path, wrong)}
    if wrong:
        raise gathered(wrong)
    return found


def store(project: Project, files: Iterable[tuple[str, RelPath]]) -> None:
    """Store local files as artifacts, given as (file, path). All objects are on disk before the first pointer is.

    Raises `UsageError` for a path that is tracked, or where a folder is or would have to be.
    """
    with open_session(project, cache="shared") as session:
        taken = []
        with session.writer() as writer:
            for local, path in files:
                _refuse_taken(project, session.root, path)
                taken.append((path, _take(writer, local)))
        _make_place(project)
        for path, meta in taken:
            with _open(project, paths.parent(path), create=True) as folder:
                folder.write(path.rpartition("/")[2] + SUFFIX, encode(meta))


def remove(project: Project, path: RelPath) -> None:
    """Remove the pointers at and below a path; what they pointed to stays in the cache until `gc`."""
    above, name = paths.parent(path), path.rpartition("/")[2]
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), _open(project, above) as folder:
        if not name:
            _remove_all(folder)
            return
        with contextlib.suppress(FileNotFoundError):
            folder.unlink(name + SUFFIX)
        _remove_folder(folder, name)


def _folders(folder: Dir) -> list[str]:
    return [entry.name for entry in folder.entries() if entry.is_dir(follow_symlinks=False)]


def _remove_folder(above: Dir, name: str) -> None:
    with above.sub(name) as folder:
        _remove_all(folder)
    with contextlib.suppress(OSError):  # somebody writes there
        above.rmdir(name)


def _remove_all(folder: Dir) -> None:
    for below in _folders(folder):
        _remove_folder(folder, below)
    for entry in [*folder.entries()]:
        if not entry.is_dir(follow_symlinks=False) and (entry.name.endswith(SUFFIX) or is_temp(entry.name)):
            with contextlib.suppress(FileNotFoundError):  # the rest of a process that died, or removed by another
                folder.unlink(entry.name)


def _open(project: Project, path: RelPath, *, create: bool = False) -> Dir:
    with Dir.open_root(project.shared_folder) as top:
        return top.descend(f"{PLACE}/{path}" if path else PLACE, create=create)


def _make_place(project: Project) -> None:
    """Make the folder, and see that Git ignores it: a folder for each run is nothing to commit."""
    with Dir.open_root(project.shared_folder) as top:
        if not top.exists(f"{PLACE}/.gitignore"):
            with top.sub(PLACE, create=True) as folder:
                folder.write(".gitignore", b"*\n")


def _below(project: Project, top: RelPath, failures: list[DvcLikeError]) -> Iterator[tuple[RelPath, Meta]]:
    """Yield path and meaning of every pointer at and below a path."""
    above, name = paths.parent(top), top.rpartition("/")[2]
    waiting = [above if name else top]
    while waiting:
        here = waiting.pop()
        try:
            with _open(project, here) as folder:
                for entry in list(folder.entries()):
                    if here == above and name and entry.name not in (name, name + SUFFIX):
                        continue
                    try:
                        found = _meaning(folder, here, entry)
                    except DvcLikeError as error:
                        failures.append(error)
                        continue
                    if found is None:
                        continue
                    if found[1] is None:
                        waiting.append(found[0])
                    else:
                        yield found[0], found[1]
        except (FileNotFoundError, NotADirectoryError):
            continue
        except UnsafePath as error:
            failures.append(error)


def _meaning(folder: Dir, above: RelPath, entry: os.DirEntry[str]) -> tuple[RelPath, Meta | None] | None:
    """Return what an entry stands for, a path and what its pointer says (None: a folder), or None for neither."""
    if entry.is_dir(follow_symlinks=False):
        return join(above, paths.check_name(entry.name)), None
    if not entry.name.endswith(SUFFIX) or is_temp(entry.name):
        return None
    path = join(above, paths.check_name(entry.name[: -len(SUFFIX)]))
    shown = f"{FOLDER}/{PLACE}/{path}{SUFFIX}"
    try:
        return path, parse(folder.read(entry.name, MAX_SIZE), shown)
    except FileNotFoundError:
        return None  # removed meanwhile
    except OSError as error:
        raise BadMeta(f"{show(shown)} cannot be read: {error.strerror}") from None


def _refuse_taken(project: Project, root: Dir, path: RelPath) -> None:
    tracked = enclosing(root, path)
    if tracked is not None:
        raise UsageError(
            f"{show(path)} belongs to {show(tracked.path)}, which is tracked: no artifact is written there",
            hint="Give the artifacts a folder of their own, `dvc-like:///mlartifacts` for instance.",
        )
    with Dir.open_root(project.shared_folder) as top:
        parts = path.split("/")
        for end in range(1, len(parts)):
            folder = "/".join(parts[:end])
            if status_at(top, RelPath(f"{PLACE}/{folder}{SUFFIX}")) is not None:
                raise UsageError(f"the artifact {show(folder)} is a file: nothing can be stored below it")
            _refuse_pointer(top, RelPath(f"{PLACE}/{folder}"), is_folder=False)
        if status_at(top, RelPath(f"{PLACE}/{path}")) is not None:
            raise UsageError(f"{show(path)} is a folder of artifacts: no file can have its name")
        _refuse_pointer(top, RelPath(f"{PLACE}/{path}{SUFFIX}"), is_folder=True)


def _refuse_pointer(top: Dir, path: RelPath, *, is_folder: bool) -> None:
    """Raise when what lies at a path is the pointer where a folder is meant, or the other way round."""
    found = status_at(top, path)
    if found is not None and stat.S_ISDIR(found.st_mode) == is_folder:
        name = path[len(PLACE) + 1 :]
        raise UsageError(f"of {show(name.removesuffix(SUFFIX))} and the folder {show(name)} only one can be stored")


def _take(writer: Writer, local: str) -> Meta:
    """Store the bytes of a file; one that a link leads to, as other stores of artifacts do."""
    for _ in range(3):
        fd = os.open(os.path.realpath(local), READ_USER)
        try:
            before = os.fstat(fd)
            refuse_special(before, local)
            stored = writer.put_file(fd, before.st_size)
            if signature(os.fstat(fd)) == signature(before):
                return Meta(stored.digest, stored.size)
        finally:
            os.close(fd)
    raise changing(local)
