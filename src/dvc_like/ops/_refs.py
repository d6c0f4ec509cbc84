"""Publishing what this clone needs, so that nobody who shares the store deletes it.

Owns what a clone needs (the targets of its workspaces, and of all its history), when that is published again,
and the clone's own name.
"""

from __future__ import annotations

import os
import time
import uuid

import xxhash

from ..digest import Digest
from ..errors import DvcLikeError, named
from ..fsutil import Dir
from ..project import Project
from ..remote import refs
from ..remote.refs import Ref, Root
from ..remote.seen import Seen
from ._artifacts import artifacts
from ._session import Session
from ._store import Store
from ._tracked import Selection, Target, at_revisions, walk


def publish(session: Session, store: Store, seen: Seen, without: set[Digest]) -> None:
    """Write this clone's ref, if it is another than the one that is there. `without` could not be sent.

    Reading the history costs more than a push with nothing to do, so it is read only when a branch, a tag or a meta
    file is another than the last time.
    """
    project = session.project
    if project.git is not None and not project.git.is_installed():
        session.progress.note("git is not installed: what this clone needs was not published on the remote")
        return
    here = [target for target in _workspaces(session) if target.meta.digest not in without]
    state = _state(project, here)
    key = refs.PREFIX + clone_id(project)
    known = seen.token(key).split("-")
    now = int(time.time())
    is_fresh = len(known) == 2 and known[0] == state and int(known[1]) > now - refs.REFRESH
    if is_fresh and store.backend.stat([key]):  # else the store was emptied, or went back to an older state
        return
    roots = frozenset(root_of(target) for target in _history(project) + here)
    ref = Ref(clone_name(project), now, frozenset(root for root in roots if root.digest not in without))
    store.backend.put(key, refs.encode(ref), label=f"{key.rpartition('/')[0]}/{ref.name}.txt")
    store.backend.flush()
    seen.record_token(key, f"{state}-{now}" if not without else "")


def _workspaces(session: Session) -> list[Target]:
    """Return the targets of all worktrees, which share a ref: none may drop what another needs. So with artifacts."""
    project = session.project
    found = list(walk(session.root, failures=[]))
    tops = [] if project.git is None else [os.path.join(top, project.git.prefix) for top in project.git.worktrees()]
    for folder in tops:
        if os.path.isdir(folder) and not os.path.samefile(folder, project.root):
            with Dir.open_root(folder) as root:
                found += walk(root, failures=[])
    return found + [one.target for one in artifacts(project, [])]


def clone_name(project: Project) -> str:
    """Return what tells people which repository this is."""
    return os.path.basename(project.git.main_top if project.git is not None else project.root)


def root_of(target: Target) -> Root:
    """Return a target as a ref names it."""
    return Root(target.meta.digest, target.meta.is_folder, target.path)


def _history(project: Project) -> list[Target]:
    if project.git is None:
        return []
    unreadable: list[DvcLikeError] = []  # by us now, so nothing that a push could have sent
    return [one.target for one in at_revisions(project, Selection(all_commits=True), unreadable)]


def _state(project: Project, here: list[Target]) -> str:
    """Return a short text that changes when a branch, a tag, HEAD or a meta file does."""
    state = xxhash.xxh3_64()
    for target in here:
        state.update(f"{target.path}\0{target.meta.digest}\0".encode())
    if project.git is not None:
        state.update(project.git.run("for-each-ref", "--format=%(refname) %(objectname)"))
        state.update(project.git.run("rev-parse", "--verify", "--quiet", "HEAD", check=False))
    return state.hexdigest()


def clone_id(project: Project) -> str:
    """Return the name of this clone, made when it is first needed. A lost one is no harm: a ref remains and expires.

    It is good only in the folder it was made for: a copy of a repository is a clone of its own, and two that
    published under one name would each take away what the other needs.
    """
    path = os.path.join(project.shared_tmp, "clone")
    status = os.stat(project.shared_tmp)
    place = f"{status.st_dev}-{status.st_ino}"
    try:
        with open(path, encoding="ascii") as file:
            name, _, made_for = file.read(200).strip().partition(" ")
        if name.isalnum() and len(name) <= 64 and made_for == place:
            return name
    except (OSError, UnicodeDecodeError):
        pass
    name = uuid.uuid4().hex
    try:
        with open(path, "w", encoding="ascii") as file:
            file.write(f"{name} {place}\n")
    except OSError as error:
        raise named(error, path) from None
    return name
