"""`dvc-like ls`."""

from __future__ import annotations

import os

import click

from ..errors import DvcLikeError, UsageError, gathered
from ..ops._elsewhere import name_of
from ..ops._sources import folder_of, is_local
from ..ops._version import Listed
from ..ops.ls import ls
from ..paths import show
from ..project import Project
from .command import command as make_command
from .command import pass_console
from .console import Console
from .words import KINDS, human_size


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

    URL is another repository, by an address that Git understands or by its folder; PATH is seen from its root. A single
    word that is no address, and no folder of another project, is a PATH in this one; without any, the current folder is
    listed. What Git tracks is listed beside what dvc-like tracks; paths in a dataset come from its listings, so that
    nothing need be checked out. With -v imports are listed with what they came from.
    """
    repo, top = _place(places)
    wrong: list[DvcLikeError] = []
    found = ls(
        top,
        rev=rev,
        repo=repo,
        recursive=recursive,
        dvc_only=dvc_only,
        fetch=isinstance(repo, str),
        failures=wrong,
        progress=console.progress,
    )
    if console.json and (found or not wrong):
        console.document(
            "ls",
            {"root": name_of(repo) if isinstance(repo, str) else repo.root, "paths": [_as_json(one) for one in found]},
        )
    elif found and not console.quiet:
        _print(console, found, top, size=size, show_hash=show_hash)
    if wrong:
        raise gathered(wrong)


def _place(places: tuple[str, ...]) -> tuple[Project | str, str]:
    """Return the repository that is meant, a project or the URL of one, and the path seen from its root."""
    if len(places) > 2:
        raise UsageError("more than a URL and a path are given")
    if places and not is_local(places[0]) and not os.path.exists(places[0]):
        return places[0], "".join(places[1:])
    folder = folder_of(None, places[0]) if places else ""
    if len(places) == 2 or os.path.exists(os.path.join(folder, ".dvc-like", "config")):
        project, path = Project.find(folder or None), os.path.join(folder, *places[1:])
    else:
        project = Project.find()
        path = places[0] if places else os.curdir
    return project, project.relative(path)


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
