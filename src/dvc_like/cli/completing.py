"""Answering a shell that completes a command line.

Owns what the arguments and options stand for. Loads the one command that is typed, and never fails aloud: where
something is wrong there is nothing to offer.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable

import click
from click.shell_completion import BashComplete, CompletionItem, add_completion_class, shell_complete

from ..ops.complete import options_of_remotes, remotes, settings, targets
from .completion import PROGRAM, VARIABLE
from .shell import CommandGroup, group
from .table import COMMANDS

Find = Callable[[str], Iterable[CompletionItem]]


def complete(instruction: str) -> int:
    """Print what the shell asked for in its variables, for example ``bash_complete``; return the exit code."""
    try:
        completing = _Completing(PROGRAM, params=group.params, context_settings=group.context_settings)
        shell_complete(completing, {}, PROGRAM, VARIABLE, instruction)
        sys.stdout.flush()
    except (Exception, KeyboardInterrupt):
        return 1  # an error message would land in the middle of what is being typed
    return 0


class _Completing(CommandGroup):
    """The commands, each argument with what it stands for."""

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Name the commands without loading any, and the options."""
        names = [name for name in COMMANDS if name.startswith(incomplete)]
        named = [CompletionItem(name, help=COMMANDS[name][1]) for name in names]
        return named + click.Command.shell_complete(self, ctx, incomplete)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Load one command, and say what its arguments stand for."""
        found = super().get_command(ctx, name)
        if isinstance(found, click.Group):
            for below in found.commands.values():
                _attach(below, f"{name} {below.name}")
        elif found is not None:
            _attach(found, name)
        return found


class _Word(click.ParamType):  # type: ignore[type-arg]  # generic only in later versions of click
    """Any text, some of which can be guessed."""

    name = "text"

    def __init__(self, find: Find) -> None:
        self._find = find

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the guesses; none where they cannot be had."""
        try:
            return list(self._find(incomplete))
        except Exception:
            return []


def _one_of(names: Callable[[], list[str]]) -> Find:
    return lambda typed: [CompletionItem(name) for name in names() if name.startswith(typed)]


def _targets(typed: str) -> Iterable[CompletionItem]:
    return map(CompletionItem, targets(typed))


def _file(typed: str) -> Iterable[CompletionItem]:
    return [CompletionItem(typed, type="file")]  # the shell knows better


def _folder(typed: str) -> Iterable[CompletionItem]:
    return [CompletionItem(typed, type="dir")]


#: What a parameter of this name stands for, in the command of this name or else in any.
_MEANT: dict[tuple[str, str], Find] = {
    ("", "targets"): _targets,
    ("", "places"): _targets,
    ("", "target"): _targets,
    ("", "path"): _targets,
    ("", "paths"): _targets,
    ("", "remote"): _one_of(remotes),
    ("add", "targets"): _file,
    ("move", "source"): _targets,
    ("move", "destination"): _file,
    ("cache dir", "path"): _folder,
    ("config", "name"): _one_of(settings),
    ("remote add", "url"): _folder,
    ("remote modify", "option"): _one_of(options_of_remotes),
    **{(f"remote {verb}", "name"): _one_of(remotes) for verb in ("modify", "remove", "rename", "default", "test")},
}


def _attach(command: click.Command, words: str) -> None:
    for param in command.params:
        find = _MEANT.get((words, param.name or "")) or _MEANT.get(("", param.name or ""))
        if param.name and find is not None and not isinstance(param.type, click.Choice):
            param.type = _Word(find)


class _Bash(BashComplete):
    """Bash puts what it is given into the line as it stands: blanks and the like have to be escaped."""

    def format_completion(self, item: CompletionItem) -> str:
        """Escape a word twice: the script reads it with `read`, which takes one level away."""
        if item.type == "plain":
            value = re.sub(r"([^\w@%+=:,./-])", r"\\\\\1", str(item.value))
            return f"{item.type},{value}"
        return super().format_completion(item)


add_completion_class(_Bash)
