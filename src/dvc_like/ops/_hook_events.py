"""What a Git hook was called for: which meta files it concerns, if any.

Owns the meaning of a hook's arguments, of what the pre-commit tool gives in their place, and of the state Git is in.
Most switches and merges touch no data: that is found out here with one call of Git and hardly an import, so that
hooks are not felt.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from ..errors import DvcLikeError, UsageError
from ..git import Git
from ..paths import show

HOOKS = ("pre-commit", "pre-push", "post-checkout", "post-merge", "post-rewrite")
PROJECTS = "dvc-like.project"  # in Git's local configuration: projects below the top of the worktree
_CONFIG = os.path.join(".dvc-like", "config")
_METAS = ("--", "*.meta")

#: Files of Git's that tell what it is in the middle of.
_SIGNS = (
    ("rebase-merge", "rebase"),
    ("rebase-apply", "rebase"),
    ("MERGE_HEAD", "merge"),
    ("CHERRY_PICK_HEAD", "cherry-pick"),
    ("REVERT_HEAD", "revert"),
)

Changed = list[tuple[str, str]]  # Git's letter for the change, and the path seen from the top of the worktree


def is_idle(words: list[str], stdin: bytes) -> bool:
    """Tell whether ``git-hook WORDS`` has nothing to do. False when that cannot be told so soon."""
    hook, arguments = words[0] if words else "", [word for word in words[1:] if word != "--"]
    if hook not in HOOKS or not {word for word in arguments if word.startswith("-")} <= {"--warn", "--verify-only"}:
        return False
    arguments = [word for word in arguments if not word.startswith("-")]
    if is_skipped():
        return True
    git = Git.find(os.getcwd())
    try:
        if git is None or not (_is_project(git.top) or project_folders(git)):
            return True
        if hook == "pre-push":
            return not _brings_metas(git, Refs.read(arguments, stdin).revisions(git))
        return hook.startswith("post-") and not changed_metas(git, hook, arguments)
    except DvcLikeError:
        return False  # it is told by those who can


def is_skipped() -> bool:
    """Tell whether the user turned hooks off for this command, in our way or in that of husky or lefthook."""
    wanted_off = os.environ.get("DVC_LIKE_SKIP_HOOKS", "")
    return wanted_off not in ("", "0") or "0" in (os.environ.get("HUSKY"), os.environ.get("LEFTHOOK"))


def project_folders(git: Git) -> list[str]:
    """Return the folders of the projects that hooks of this worktree work for."""
    below = git.run("config", "--local", "--get-all", "-z", PROJECTS, check=False).decode(errors="surrogateescape")
    places = [git.top, *(os.path.join(git.top, prefix) for prefix in below.split("\0") if prefix)]
    return list(filter(_is_project, places))


def _is_project(folder: str) -> bool:
    return os.path.exists(os.path.join(folder, _CONFIG)) and not os.path.islink(os.path.join(folder, ".dvc-like"))


def in_progress(git: Git) -> str:
    """Return what Git is in the middle of (``rebase``, ``merge``, ...), empty when it is not."""
    return next((what for name, what in _SIGNS if os.path.exists(os.path.join(git.git_dir, name))), "")


def is_file_checkout(hook: str, arguments: list[str]) -> bool:
    """Tell whether single files were checked out, and HEAD stayed where it was."""
    return hook == "post-checkout" and _checkout(arguments)[2] == "0"


def changed_metas(git: Git, hook: str, arguments: list[str]) -> Changed:
    """Return the meta files that a ``post-`` hook concerns."""
    if hook == "post-checkout":
        old, new, kind = _checkout(arguments)
        if in_progress(git) == "rebase" and _goes_on(git):
            return []  # the data is brought once, at the end
        return _from_head(git) if kind == "0" else _between(git, old, new)
    if hook == "post-merge":
        is_squash = (arguments or [os.environ.get("PRE_COMMIT_IS_SQUASH_MERGE", "0")])[0] == "1"
        return _from_head(git) if is_squash else _between(git, "ORIG_HEAD", "HEAD")
    if (arguments or [os.environ.get("PRE_COMMIT_REWRITE_COMMAND", "")])[0] != "rebase":
        return []  # an amended commit: the workspace is what it was
    return _between(git, _rebased_from(git), "HEAD")


def _checkout(arguments: list[str]) -> tuple[str, str, str]:
    if not arguments and "PRE_COMMIT_CHECKOUT_TYPE" in os.environ:
        names = ("PRE_COMMIT_FROM_REF", "PRE_COMMIT_TO_REF", "PRE_COMMIT_CHECKOUT_TYPE")
        arguments = [os.environ.get(name, "") for name in names]
    if len(arguments) != 3:
        raise UsageError("post-checkout needs three arguments, as Git gives them: OLD NEW FLAG")
    return arguments[0], arguments[1], arguments[2]


def _goes_on(git: Git) -> bool:
    """Tell whether a rebase has steps to come. When it only moves ahead no other hook will be called."""
    try:
        with open(os.path.join(git.git_dir, "rebase-merge", "git-rebase-todo"), "rb") as file:
            return any(line.strip() not in (b"", b"noop") and not line.startswith(b"#") for line in file)
    except OSError:
        return True


def _rebased_from(git: Git) -> str:
    for folder in ("rebase-merge", "rebase-apply"):
        try:
            with open(os.path.join(git.git_dir, folder, "orig-head"), encoding="ascii") as file:
                return file.read().strip()
        except (OSError, ValueError):
            continue
    return "ORIG_HEAD"


def is_null(name: str) -> bool:
    """Tell whether an object's name stands for none."""
    return not name.strip("0")


def _between(git: Git, old: str, new: str) -> Changed:
    if old == new or is_null(new):
        return []
    if is_null(old):  # a new worktree
        listed = git.run("ls-tree", "-r", "-z", "--name-only", "--full-tree", "--end-of-options", new)
        return [("A", path) for path in _texts(listed) if path.endswith(".meta")]
    return _pairs(git.run("diff-tree", "-r", "-z", "--name-status", "--no-renames", _safe(old), _safe(new), *_METAS))


def _from_head(git: Git) -> Changed:
    return _pairs(git.run("diff-index", "-z", "--name-status", "--no-renames", "HEAD", *_METAS))


def _safe(revision: str) -> str:
    if revision.startswith("-"):
        raise UsageError(f"{show(revision)!r} is no revision")
    return revision


def _texts(listed: bytes) -> list[str]:
    return listed.decode(errors="surrogateescape").split("\0")[:-1]


def _pairs(listed: bytes) -> Changed:
    texts = _texts(listed)
    return list(zip(texts[::2], texts[1::2], strict=True))


class Refs:
    """What a push sends: commits that the other side will have, and what it is known to have already."""

    def __init__(self, lines: Iterable[str], remote: str) -> None:
        self.sent: list[str] = []
        self.known: list[str] = []
        for line in lines:
            words = line.rsplit(" ", 3)  # what is sent may be named with blanks
            if len(words) != 4:
                raise UsageError(f"{show(line)!r} is not what Git tells a pre-push hook: REF ID REF ID")
            self.sent += [words[1]] if not is_null(words[1]) else []  # else it is deleted there
            self.known += [words[3]] if not is_null(words[3]) else []
        self.remote = remote

    @classmethod
    def read(cls, arguments: list[str], stdin: bytes) -> Refs:
        """Read what Git or the pre-commit tool tells."""
        lines = stdin.decode(errors="surrogateescape").splitlines()
        remote = arguments[0] if arguments else os.environ.get("PRE_COMMIT_REMOTE_NAME", "")
        branch = os.environ.get("PRE_COMMIT_LOCAL_BRANCH", "")
        if not arguments and branch:  # of several refs it names the first; without ids the whole branch is new there
            new, old = os.environ.get("PRE_COMMIT_TO_REF", branch), os.environ.get("PRE_COMMIT_FROM_REF", "0")
            lines = [f"{branch} {new} there {old}"]
        return cls(lines, remote)

    def revisions(self, git: Git) -> list[str]:
        """Return the arguments of `git log` for the commits that the other side lacks; empty for none."""
        commits = _commits(git, self.sent)
        if not commits:
            return []
        # What was fetched from there is there. A push to a bare address has no such record.
        is_named = self.remote and not set(self.remote) & set(":/\\*?[") and not self.remote.startswith("-")
        fetched = [f"--remotes={self.remote}"] if is_named else []
        return [*commits, "--not", *_commits(git, self.known), *fetched]


def _commits(git: Git, names: list[str]) -> list[str]:
    """Return the commits that are meant; without what is not here, and without tags of something else."""
    request = "".join(f"{name}^{{commit}}\n" for name in names).encode(errors="surrogateescape")
    listed = git.run("cat-file", "--batch-check=%(objectname)", stdin=request).decode() if names else ""
    return [line for line in listed.splitlines() if " " not in line]


def _brings_metas(git: Git, revisions: list[str]) -> bool:
    return bool(revisions) and bool(git.run("rev-list", "-1", "--full-history", *revisions, *_METAS))
