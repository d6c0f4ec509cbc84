"""`dvc-like diff`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import groupby

import click

from ..errors import Differences, DvcLikeError, UsageError, gathered
from ..ops._compare import Difference
from ..ops.diff import Diff, diff
from ..paths import show
from ..project import Project
from .command import command as make_command
from .command import pass_console
from .console import Console
from .words import KINDS, human_size, plural

_MAX_SHOWN = 20
_MAX_ROWS = 200  # of a table: a comment on a pull request holds 64 KiB
_MAX_LINES = 10
_COLOURS = {"modified": "yellow", "added": "green", "deleted": "red", "renamed": "cyan"}
_SIGNS = {"+": "green", "-": "red"}


class _Command(click.Command):
    """Takes the paths after ``--``, or after ``--targets`` as DVC does."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Make an option of each path, so that the other words are revisions."""
        end = args.index("--") if "--" in args else len(args)
        words: list[str] = []
        taking = False
        for word in args[:end]:
            if word == "--targets":
                taking = True
            elif taking and not word.startswith("-"):
                words.append(f"--targets={word}")
            else:
                taking = False
                words.append(word)
        return super().parse_args(ctx, words + [f"--targets={word}" for word in args[end + 1 :]])


@make_command(
    "diff",
    examples="""
    dvc-like diff
    dvc-like diff HEAD~1
    dvc-like diff v1 v2 -- data/frames
    dvc-like diff --content data-v1 -- tables/prices.csv
    dvc-like diff --md main HEAD
    """,
    cls=_Command,
)
@click.argument("revisions", nargs=-1, metavar="[A [B]] [-- PATH...]")
@click.option("--targets", multiple=True, metavar="PATH", help="Only this path; the same as paths after `--`.")
@click.option("--content", is_flag=True, help="Also show rows or lines that differ, and the dimensions of images.")
@click.option("--md", is_flag=True, help="Print a Markdown table, for a pull request.")
@click.option("--show-hash", is_flag=True, help="Show how the hashes begin.")
@click.option("--hide-missing", is_flag=True, help="Pass over what is not in the cache, instead of failing with 4.")
@click.option("--exit-code", is_flag=True, help="Exit with 10 when anything differs.")
@pass_console
def command(
    console: Console,
    revisions: tuple[str, ...],
    targets: tuple[str, ...],
    content: bool,
    md: bool,
    show_hash: bool,
    hide_missing: bool,
    exit_code: bool,
) -> None:
    """Show what differs between revision A and revision B.

    B is the workspace when it is left out, and A is HEAD. The workspace counts as `add` would record it: what was
    never checked out here is as it is recorded. Files and folders are added, deleted, modified, or renamed, which
    means that the same content is at another path now.
    """
    if len(revisions) > 2:
        raise UsageError("more than two revisions are named", hint="Paths go after `--`: dvc-like diff A B -- PATH")
    a, b = (*revisions, None, None)[:2]
    wrong: list[DvcLikeError] = []
    project = Project.find()
    try:
        found = diff(
            project,
            a,
            b,
            targets,
            content=content,
            allow_missing=hide_missing,
            failures=wrong,
            progress=console.progress,
        )
    except UsageError as error:
        raise UsageError(error.message, hint=f"{error.hint} Paths go after `--`.") from None
    if console.json and (found.differences or not wrong):
        console.document("diff", _as_json(found))
    sides = f"{show(a) if a is not None else 'HEAD' if found.a else 'nothing'} -> {show(b) if b else 'workspace'}"
    if md:
        _markdown(console, found, show_hash=show_hash)
    else:
        _print(console, found, show_hash=show_hash)
        _summary(console, found, sides, sound=not wrong)
    if wrong:
        raise gathered(wrong)
    if exit_code and found.differences:
        number = len(found.differences)
        raise Differences(f"{plural(number, 'path')} {'differs' if number == 1 else 'differ'}")


def _as_json(found: Diff) -> dict[str, object]:
    return {
        "a": found.a,
        "b": found.b,
        "differences": [
            {
                "path": one.path,
                "state": one.state,
                "kind": KINDS[one.entry.kind],
                "target": one.target,
                "old_path": one.old_path,
                "old_hash": (one.old.value or None) if one.old is not None and one.old.kind != "l" else None,
                "new_hash": (one.new.value or None) if one.new is not None and one.new.kind != "l" else None,
                "old_size": one.old.size if one.old is not None else None,
                "new_size": one.new.size if one.new is not None else None,
                "files": one.entry.files,
                "content": one.content._asdict() if one.content is not None else None,
            }
            for one in found.differences
        ],
        "missing": list(found.missing),
    }


# ------------------------------------------------------------------------------ what is shown


def _folded(differences: list[Difference]) -> Iterator[tuple[Difference, int, int]]:
    """Yield what to show, with its files and bytes; what came or went with a folder is counted there."""
    ends = [one.old_path for one in differences if one.old_path is not None]
    ends += [one.path for one in differences if one.old_path is not None]
    emptied = {"/".join(path.split("/")[:end]) for path in ends for end in range(1, path.count("/") + 1)}
    tops: dict[tuple[str, str], int] = {}
    shown: list[list[Difference]] = []
    for one in differences:
        parts = one.path.split("/")
        above = ((one.state, "/".join(parts[:end])) for end in range(len(parts) - 1, 0, -1))
        at = next((tops[place] for place in above if place in tops), None)
        if at is not None and one.state in ("added", "deleted"):
            shown[at].append(one)
            continue
        if one.entry.kind == "d":
            tops[one.state, one.path] = len(shown)
        shown.append([one])
    for top, *below in shown:
        inner = [one for one in below if one.entry.kind != "d"] if top.state in ("added", "deleted") else []
        if top.entry.kind == "d" and top.state in ("added", "deleted"):
            if not inner and top.path in emptied:
                continue  # what moved in or out of it says it
            yield top, len(inner) or (top.entry.files if not below else 0), _bytes(inner) or top.entry.size
        else:
            yield top, top.entry.files, top.entry.data_size


def _bytes(differences: list[Difference]) -> int:
    return sum(one.entry.data_size for one in differences)


def _sizes(one: Difference, files: int, size: int) -> str:
    if one.entry.kind == "d":
        if one.state == "modified":
            return "(its listing is not in the cache)"
        return f"({plural(files, 'file')}, {human_size(size)})"
    if one.old is not None and one.new is not None and one.state == "modified":
        if one.old.kind != one.new.kind:
            kinds = f"{KINDS[one.old.kind]} -> {KINDS[one.new.kind]}"
            return kinds if one.old.value == one.new.value else f"{kinds}, {_change(one)}"
        return f"{show(one.old.value)} -> {show(one.new.value)}" if one.new.kind == "l" else _change(one)
    return human_size(size)


def _change(one: Difference) -> str:
    assert one.old is not None
    assert one.new is not None
    before, after = human_size(one.old.size), human_size(one.new.size)
    return f"{before} -> {after}" if before != after else before


def _hashes(one: Difference) -> str:
    """Return how the hashes begin, as far as they are known."""
    sides = (
        (one.old,)
        if one.state in ("deleted", "renamed")
        else (one.new,)
        if one.state == "added"
        else (one.old, one.new)
    )
    known = [entry.value.partition(":")[2][:8] for entry in sides if entry is not None and entry.kind != "l"]
    return " -> ".join(text or "(not hashed)" for text in known)


def _named(one: Difference) -> str:
    slash = "/" if one.entry.kind == "d" else ""
    old = f"{show(one.old_path)}{slash} -> " if one.old_path is not None else ""
    return f"{old}{show(one.path)}{slash}"


def _print(console: Console, found: Diff, *, show_hash: bool) -> None:
    for target, group in groupby(sorted(found.differences, key=lambda one: one.target), lambda one: one.target):
        differences = list(group)
        inner = any(one.path != target for one in differences)
        if inner:
            console.say(f"{show(target)}/  {_totals(differences)}")
        rows = [(one, one.entry.files, _bytes([one])) for one in differences] if console.verbose else None
        rows = rows or list(_folded(differences))
        shown = rows if console.verbose else rows[:_MAX_SHOWN]
        for one, files, size in shown:
            text = f"{'  ' if inner else ''}{one.state:<8}  {_named(one)}  {_sizes(one, files, size)}"
            console.say(f"{text}  {_hashes(one)}" if show_hash else text, style=_COLOURS[one.state])
            for line in _content(one, _MAX_LINES if not console.verbose else None):
                console.say(f"      {show(line)}", style=_SIGNS.get(line[0], ""))
        if len(shown) < len(rows):
            console.say(f"  ... and {len(rows) - len(shown):,} more (-v shows all)")


def _totals(differences: list[Difference]) -> str:
    files = Counter(one.state for one in differences if one.entry.kind != "d" or one.state == "renamed")
    words = [f"{files[state]:,} {state}" for state in ("added", "deleted", "modified", "renamed") if files[state]]
    grown = sum(
        (one.new.data_size if one.new is not None else 0) - (one.old.data_size if one.old is not None else 0)
        for one in differences
        if one.entry.kind != "d"
    )
    size = f" ({'+' if grown > 0 else '-'}{human_size(abs(grown))})" if grown else ""
    return ", ".join(words) + size


def _content(one: Difference, most: int | None) -> Iterator[str]:
    """Yield what is to be said of the inside of a file."""
    content = one.content
    if content is None or content.kind == "bytes":
        return
    if content.kind == "image":
        same = content.before == content.after
        yield content.before if same else f"{content.before or 'no image'} -> {content.after or 'no image'}"
        return
    fields = [f"+{name}" for name in content.new_fields] + [f"-{name}" for name in content.gone_fields]
    about = f"{content.kind}: +{content.added:,} -{content.removed:,}"
    yield f"{about}; fields: {' '.join(fields)}" if fields else about
    yield from content.lines[:most]
    left = content.added + content.removed - len(content.lines[:most])
    if left > 0:
        yield f"... and {left:,} more"


def _summary(console: Console, found: Diff, sides: str, *, sound: bool) -> None:
    if found.differences:
        console.say(f"{sides}: {_totals(list(found.differences)) or 'folders differ'}")
    elif sound:
        console.say(f"{sides}: nothing differs.")


# ------------------------------------------------------------------------------ Markdown


def _markdown(console: Console, found: Diff, *, show_hash: bool) -> None:
    """Print a table. Names are code in it, so that none is taken for a link, a mention or markup."""
    if not found.differences:
        console.say("No differences in tracked data.")
        return
    rows = list(_folded(list(found.differences)))
    shown = rows if console.verbose else rows[:_MAX_ROWS]
    console.say("| state | path | size |" + (" hash |" if show_hash else ""))
    console.say("| --- | --- | ---: |" + (" --- |" if show_hash else ""))
    for one, files, size in shown:
        slash = "/" if one.entry.kind == "d" else ""
        path = _code(show(one.path) + slash)
        path = f"{_code(show(one.old_path) + slash)} → {path}" if one.old_path is not None else path
        sizes = _sizes(one, files, size).strip("()").replace("->", "→")
        sizes = _code(sizes) if one.entry.kind == "l" else sizes
        console.say(f"| {one.state} | {path} | {sizes} |" + (f" {_hashes(one)} |" if show_hash else ""))
    if len(shown) < len(rows):
        console.say(f"\n... and {len(rows) - len(shown):,} more.")
    console.say(f"\n{_totals(list(found.differences))}")
    for one, _, _ in shown:
        lines = [show(line) for line in _content(one, None)]
        if lines:
            fence = "`" * max(3, 1 + max(_longest_run(line) for line in lines))
            console.say(f"\n{_code(show(one.path))}\n\n{fence}diff")
            for line in lines:
                console.say(line)
            console.say(fence)


def _code(text: str) -> str:
    """Return text as code in a cell of a table, whatever it holds."""
    fence = "`" * (1 + _longest_run(text))
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{space}{text}{space}{fence}".replace("|", "\\|")


def _longest_run(text: str) -> int:
    return max(len(list(run)) if char == "`" else 0 for char, run in groupby(text)) if text else 0
