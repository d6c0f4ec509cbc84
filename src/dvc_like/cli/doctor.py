"""`dvc-like doctor`."""

from __future__ import annotations

import click

from .._version import VERSION
from ..errors import DvcLikeError
from ..ops.doctor import Diagnosis, doctor
from ..paths import show
from .command import command as make_command
from .command import pass_console
from .console import Console
from .words import human_size, plural

_SHOWN = 10  # imports, without -v


@make_command(
    "doctor",
    examples="""
    dvc-like doctor
    dvc-like doctor --offline --json
    """,
)
@click.option("--offline", is_flag=True, help="Contact no remote.")
@pass_console
def command(console: Console, offline: bool) -> None:
    """Show versions, file systems, settings and remotes, what is wrong with them, and what mends it.

    Changes nothing, and only reads from remotes, for ten seconds at most; `dvc-like remote test` tries writing too.
    Exit code 0 when nothing is wrong, else 1. Works outside of a project as well.
    """
    found = doctor(remotes=not offline, progress=console.progress)
    console.document("doctor", _as_json(found))
    for name, text in _lines(found, verbose=console.verbose):
        console.say(f"{name:<10} {show(text)}")
    if found.problems:
        raise DvcLikeError(
            f"{plural(len(found.problems), 'thing')} to mend",
            details=tuple(f"{one.what} -> {one.mend}" for one in found.problems),
        )
    console.say("Nothing is wrong.")


def _lines(found: Diagnosis, *, verbose: bool) -> list[tuple[str, str]]:
    missing = {name: lacks for name, lacks in found.packages.missing.items() if lacks}
    extras = [name for name in found.packages.missing if name not in missing]
    extras += [f"{name}: not installed ({', '.join(lacks)})" for name, lacks in missing.items()]
    lines = [
        ("dvc-like", VERSION),
        ("Python", f"{found.python} on {found.platform}"),
        ("git", found.git or "not found"),
        ("packages", ", ".join(f"{name} {version}" for name, version in found.packages.versions.items())),
        ("extras", "; ".join(extras)),
        *(("config", f"{level.name}: {level.path}{'' if level.exists else ' (none)'}") for level in found.levels),
        ("project", found.root or "none here"),
    ]
    if found.targets is not None:
        lines.append(("targets", f"{found.targets:,}"))
    shown = found.imports if verbose else found.imports[:_SHOWN]
    lines += [("import", f"{one.path} <- {one.source}") for one in shown]
    if len(found.imports) > len(shown):
        lines.append(("imports", f"{len(found.imports) - len(shown):,} more (-v shows them)"))
    for name, place in (("workspace", found.workspace), ("cache", found.cache)):
        if place is not None:
            kind = place.file_system or "file system unknown"
            lines.append((name, f"{place.path} ({kind}, {human_size(place.free)} free)"))
    if found.links:
        works = ", ".join(kind for kind, does in found.links.items() if does)
        lines.append(("links", f"{works} work here; cache.type is {','.join(found.link_types)}"))
    for remote in found.remotes:
        state = "empty, until the first push" if not remote.store else "can be read"
        lines.append(("remote", f"{remote.name}: {remote.url} ({state if remote.ok else 'does not work'})"))
    return lines


def _as_json(found: Diagnosis) -> dict[str, object]:
    places = (("workspace", found.workspace), ("cache", found.cache))
    return {
        "version": VERSION,
        "python": found.python,
        "platform": found.platform,
        "git": found.git,
        "packages": found.packages.versions,
        "extras": [
            {"name": name, "installed": not lacks, "missing": list(lacks)}
            for name, lacks in found.packages.missing.items()
        ],
        "config": [level._asdict() for level in found.levels],
        "root": found.root,
        "targets": found.targets,
        "imports": [one._asdict() for one in found.imports],
        "disks": [
            {"of": name, "path": place.path, "file_system": place.file_system or None, "free": place.free}
            for name, place in places
            if place is not None
        ],
        "links": found.links,
        "cache_type": list(found.link_types),
        "remotes": [
            {"name": one.name, "url": one.url, "ok": one.ok, "store": one.store or None} for one in found.remotes
        ],
        "problems": [problem._asdict() for problem in found.problems],
    }
