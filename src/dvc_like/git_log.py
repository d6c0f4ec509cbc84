"""What Git recorded: its commits, and the files that one of them or the index has.

Owns how those lists are asked for and read. Running Git is `git`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .git import Git

_HEAD = b"\x01commit "  # begins the line of a commit; no line of its changes can begin so


class Commit(NamedTuple):
    """One commit that touched some paths, seen against one of its `parents`: path -> (object before, object after).

    The paths are relative to the project; an object is empty where there was no file. `date` is ISO 8601.
    """

    id: str
    parents: tuple[str, ...]
    author: str
    email: str
    date: str
    subject: str
    changes: dict[str, tuple[str, str]]


class File(NamedTuple):
    """A path that Git tracks: its kind (``f``, ``x``, ``l``, or ``d`` for a submodule), its size where known, and the
    object that Git keeps it in.
    """

    path: str
    kind: str
    size: int | None
    object: str


def listing(git: Git, commit: str | None, below: str) -> Iterator[File]:
    """Yield what Git tracks at or below a path, in a commit or (None) in its index; sizes of a commit's only."""
    place = "/".join(part for part in (git.prefix, below) if part)
    only = ["--", f":(top,literal){place}"] if place else []
    if commit is not None:
        out = git.run("ls-tree", "-r", "-l", "-z", "--full-tree", commit, *only)
    else:
        out = git.run("ls-files", "-s", "-z", "--full-name", *only)
    kinds = {b"100755": "x", b"120000": "l", b"160000": "d"}
    for line in out.split(b"\0")[:-1]:
        head, _, raw = line.partition(b"\t")
        words = head.split()
        size = int(words[3]) if commit is not None and words[3].isdigit() else None
        name = words[1 if commit is None else 2].decode()
        yield File(git.relative(raw), kinds.get(words[0], "f"), size, name)


def history(git: Git, commit: str, paths: Iterable[str], *, one: bool = False) -> Iterator[Commit]:
    """Yield the commits that lead to one and touched any of the paths, the newest first; a merge once per parent.

    With `one` only the first of them. The empty path is the whole project.
    """
    fields = "%x00".join(("%H", "%P", "%an", "%ae", "%aI", "%s"))
    out = git.run(
        "log", "-m", "--root", "--raw", "--no-abbrev", "--no-renames", "--no-ext-diff", "--no-textconv",
        "--no-show-signature", "--encoding=UTF-8", "-z", f"--format={_HEAD.decode()}{fields}", *(["-1"] if one else []),
        commit, "--", *[git.literal(path) for path in paths],
    )  # fmt: skip
    words = iter(out.split(b"\0"))
    found: Commit | None = None
    for word in words:
        if word.startswith(_HEAD):
            if found is not None:
                yield found
            texts = [word[len(_HEAD) :], *(next(words, b"") for _ in range(5))]
            name, parents, author, email, date, subject = (text.decode(errors="replace") for text in texts)
            found = Commit(name, tuple(parents.split()), author, email, date, subject, {})
        elif found is not None and word.lstrip(b"\n").startswith(b":"):
            modes = word.strip(b"\n").split()
            objects = [
                name.decode() if mode.strip(b":").startswith(b"100") else ""
                for mode, name in zip(modes[:2], modes[2:4], strict=False)
            ]
            found.changes[git.relative(next(words, b""))] = objects[0], objects[1]
    if found is not None:
        yield found


def commits_of(git: Git, revisions: str) -> dict[str, str]:
    """Return the ids of the commits that are meant, each with a name for people; raise `UsageError`.

    A range (``main..HEAD``) means all of its commits, the latest first, anything else the one.
    """
    if ".." not in revisions:
        return {git.resolve(revisions): revisions}
    for end in filter(None, revisions.replace("...", "..").split("..")):
        git.resolve(end)
    out = git.run("rev-list", "--end-of-options", revisions).decode().split()
    return {commit: commit[:10] for commit in out}
