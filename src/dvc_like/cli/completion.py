"""`dvc-like completion`."""

from __future__ import annotations

import click
from click.shell_completion import ShellComplete, get_completion_class

from .command import command as make_command
from .command import pass_console
from .console import Console

PROGRAM = "dvc-like"
VARIABLE = "_DVC_LIKE_COMPLETE"


@make_command(
    "completion",
    examples="""
    eval "$(dvc-like completion bash)"
    dvc-like completion fish
    """,
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@pass_console
def command(console: Console, shell: str) -> None:
    """Print the script that makes SHELL complete commands, options, tracked paths, remotes and settings.

    For bash (4.4 or later) put `eval "$(dvc-like completion bash)"` into ~/.bashrc, for zsh the same with zsh into
    ~/.zshrc after compinit; for fish run `dvc-like completion fish > ~/.config/fish/completions/dvc-like.fish` once.
    Tracked paths are completed also where they are not checked out.
    """
    found = get_completion_class(shell)
    assert found is not None
    script = ShellComplete.source(found(click.Command(PROGRAM), {}, PROGRAM, VARIABLE)).strip()
    console.document("completion", {"shell": shell, "script": script})
    console.answer(script)
