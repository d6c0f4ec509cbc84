"""`dvc-like ls`."""

from __future__ import annotations

import os
import re

import click

from ..errors import DvcLikeError, UsageError, gathered
from ..ops.ls import Listed, ls
from ..paths import show
from ..project import Project
from .command import command as make_command
from .command import pass_console
from .console import Console
from .words import KINDS, human_size

_REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://|[^/:]+@[^/:]+:|[A-Za-z0-9.-]{2,}:(?!\\)")


@make_command(
    "ls",
    examples="""
    dvc-like ls
    dvc-like ls data/frames --size
    dvc-like ls ../other-repository models --rev v2
    dvc-like ls -R --dvc-only
    """,
)
@click.argument("places", nargs=-1, metavar="[URL] [PATH]")
@click.option("--rev", metavar="REV", help="What this revision tracks, instead of the workspace.")
@click.option("-R", "--recursive", is_flag=True, help="All files below, not only what is in the folder itself.")
@click.option("--size", is_flag=True, help="Show sizes and numbers of files.")
@click.option("--show-hash", is_flag=True, help="Show how the hashes begin.")
@click.option("--dvc-only", is_flag=True, help="Leave out what Git tracks.")
@pass_console
def command(
    console: Console,
    places: tuple[str, ...],
    rev: str | None,
    recursive: bool,
    size: bool,
    show_hash: bool,
    dvc_only: bool,
) -> None:
    """List what a repository tracks, whether it is here or not.

    URL is the folder of another repository on this machine; PATH is seen from there. A single word that is no folder of
    another project is a PATH in this one. What Git tracks is listed beside what dvc-like tracks; paths in a dataset
    come from its listings, so that nothing need be checked out. With -v imports are listed with what they came from.
    """
    project, path = _place(places)
    wrong: list[DvcLikeError] = []
    found = ls(
        project, path, rev=rev, recursive=recursive, dvc_only=dvc_only, failures=wrong, progress=console.progress
    )
    if console.json and (found or not wrong):
        console.document("ls", {"root": project.root, "paths": [_as_json(one) for one in found]})
    elif found and not console.quiet:
        _print(console, found, project.relative(path), size=size, show_hash=show_hash)
    if wrong:
        raise gathered(wrong)


def _place(places: tuple[str, ...]) -> tuple[Project, str]:
    """Return the repository that is meant, and the path in it as it is seen from here."""
    if len(places) > 2:
        raise UsageError("more than a URL and a path are given")
    for text in places[:1]:
        if _REMOTE.match(text) and not os.path.exists(text):
            raise UsageError(
                f"{show(text)} is on another machine; only repositories on this one can be listed",
                hint="Clone it with Git, without its data, and list the clone: git clone URL copy && dvc-like ls copy",
            )
    if len(places) == 2:
        return Project.find(places[0]), os.path.join(*places)
    if places and os.path.exists(os.path.join(places[0], ".dvc-like", "config")):
        return Project.find(places[0]), places[0]
    project = Project.find()
    return project, places[0] if places else project.root


def _print(console: Console, found: list[Listed], top: str, *, size: bool, show_hash: bool) -> None:
    start = len(top) + 1 if top else 0
    lines = [show(one.path[start:] or one.path.rpartition("/")[2]) + "/" * (one.kind == "d") for one in found]
    if console.verbose:
        lines = [line + _origin(one) for one, line in zip(found, lines, strict=True)]
    if show_hash:
        lines = [
            f"{one.digest.partition(':')[2][:8] or '-':<8}  {line}" for one, line in zip(found, lines, strict=True)
        ]
    if size:
        sizes = [human_size(one.size) if one.size is not None else "-" for one in found]
        files = [f"{one.files:,} file{' ' if one.files == 1 else 's'}" if one.kind == "d" else "" for one in found]
        widths = max(map(len, sizes)), max(map(len, files))
        lines = [
            f"{first:>{widths[0]}}  {second:>{widths[1]}}  {line}"
            for first, second, line in zip(sizes, files, lines, strict=True)
        ]
    console.say("\n".join(lines))  # at once: there may be a million


def _origin(one: Listed) -> str:
    source = one.source or {}
    place = source.get("repo") or source.get("url")
    return f"  <- {show(str(place))} {show(str(source.get('path', '')))}".rstrip() if place else ""


def _as_json(one: Listed) -> dict[str, object]:
    return {
        "path": one.path.encode("utf-8", "backslashreplace").decode(),  # Git tracks names that are no text
        "kind": KINDS[one.kind],
        "size": one.size,
        "files": one.files,
        "tracked": one.tracked or None,
        "hash": one.digest or None,
        "source": one.source,
    }
