"""Running a command: the click group, and errors turned into output.

Owns the exit code: this is the only place where an error becomes one.
"""

from __future__ import annotations

import errno
import gc
import itertools
import os
import sys
from importlib import import_module
from typing import Any

import click

from .._version import VERSION
from ..errors import DvcLikeError, UnsafePath
from .command import COMMON, CONTEXT
from .console import Console
from .table import COMMANDS, HIDDEN

#: What DVC, Git and shells call our commands.
_OTHER_WORDS = {"list": "ls", "rm": "remove", "mv": "move", "version": "doctor"}

_EPILOG = """\b
Examples:
  dvc-like init
  dvc-like add data/
  dvc-like remote add -d storage /mnt/store
  dvc-like push
  git checkout v1 && dvc-like checkout

Every command takes --json, -q, -v and --cd, before or after its name. Exit codes: 0 done, 1 failed, 2 usage, 3 no
project or bad configuration, 4 data missing, 5 would overwrite unsaved data, 6 remote denied or unreachable,
7 corrupt or unsafe data, 8 locked, 9 part of the transfers failed, 10 differences, 130 interrupted, 141 closed pipe,
143 terminated."""


_TOO_DEEP = UnsafePath("folders are nested too deeply here", hint="Remove what is more than 512 levels deep.")
_NO_MEMORY = DvcLikeError("there is not enough memory", hint="Name fewer targets, or give it more memory.")


class CommandGroup(click.Group):
    """Commands that are imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Load one command."""
        if name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[name][0].partition(":")
        found: click.Command = getattr(import_module(module), attribute)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table, without loading any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in COMMANDS.items() if name not in HIDDEN])


@click.group(cls=CommandGroup, name="dvc-like", epilog=_EPILOG, context_settings=CONTEXT, params=[*COMMON])
@click.version_option(VERSION, "-V", "--version", message="dvc-like %(version)s")
def group() -> None:
    """Version data with Git: small .meta files in Git, the bytes in a cache and on a remote."""


def run(arguments: list[str]) -> int:
    """Run the command line and return its exit code; nothing escapes but what --debug lets through."""
    gc.freeze()
    gc.set_threshold(1_000_000, 50, 50)  # millions of small tuples, hardly a cycle among them
    console = Console()
    try:
        # Not `group.main`: it turns a closed pipe into exit 1 before it can be told from a failure.
        with group.make_context("dvc-like", list(arguments), obj=console) as context:
            group.invoke(context)
        console.flush()
        return 0
    except click.exceptions.Exit as exit_:
        console.flush()
        return exit_.exit_code
    except click.ClickException as error:
        console.json = console.json or "--json" in itertools.takewhile("--".__ne__, arguments)
        if isinstance(error, click.exceptions.NoArgsIsHelpError) and not console.json:
            click.echo(error.format_message(), err=True)
            return 2
        return _usage(console, error)
    except DvcLikeError as error:
        if console.debug:
            raise
        return console.fail(error)
    except (KeyboardInterrupt, click.Abort):
        console.interrupted()
        return 130
    except BrokenPipeError:
        _silence(sys.stdout)
        return 141
    except (OSError, MemoryError, RecursionError) as error:
        if console.debug:
            raise
        if isinstance(error, OSError):
            return console.fail(_from_system(error))
        return console.fail(_NO_MEMORY if isinstance(error, MemoryError) else _TOO_DEEP)


def _usage(console: Console, error: click.ClickException) -> int:
    context = getattr(error, "ctx", None)
    hint = f"See `{context.command_path} --help`." if context is not None else ""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        message = "a command is missing"
    else:
        lines = error.format_message().rstrip(".").split("\n")  # in the form of our own messages: one line
        message = " ".join(line.strip() for line in lines)
        if message.startswith("No such command") and context is not None:
            hint = _meant(context, message.partition("'")[2].partition("'")[0]) or hint
    wrapped = DvcLikeError(message[:1].lower() + message[1:], hint=hint)
    wrapped.exit_code = 2
    return console.fail(wrapped, kind="UsageError")


def _meant(context: click.Context, word: str) -> str:
    """Return which command may have been meant by a word that is none; empty where none is like it."""
    import difflib

    group = context.command
    names = group.list_commands(context) if isinstance(group, click.Group) else []
    near = [name] if (name := _OTHER_WORDS.get(word)) in names else difflib.get_close_matches(word, names, 2)
    return f"Did you mean {' or '.join(f'`{context.command_path} {one}`' for one in near)}?" if near else ""


def _from_system(error: OSError) -> DvcLikeError:
    """Say in words what the operating system refused."""
    what = os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes)) else ""
    hints = {
        errno.ENOSPC: "Free some space; nothing half-written was left behind. Then run the command again.",
        errno.EDQUOT: "Your quota is used up: free some space, then run the command again.",
        errno.EACCES: "Check who owns it and its permissions.",
        errno.EPERM: "Check who owns it and its permissions.",
        errno.EROFS: "The file system is mounted read-only.",
        errno.EMFILE: "Raise the limit of open files (`ulimit -n`).",
    }
    message = f"{what}: {error.strerror}" if what else (error.strerror or str(error))
    return DvcLikeError(message, hint=hints.get(error.errno or 0, ""))


def _silence(stream: Any) -> None:
    """Let the interpreter's last flush go nowhere: the reader is gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
