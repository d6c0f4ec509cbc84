"""`dvc-like git-hook`."""

from __future__ import annotations

import sys

import click

from ..errors import DvcLikeError, gathered
from ..ops.git_hook import HookCall, Hooked, git_hook
from .checkout import as_json
from .command import command as make_command
from .command import pass_console
from .console import Console
from .words import human_size, plural


@make_command(
    "git-hook",
    examples="""
    dvc-like git-hook pre-commit --warn
    dvc-like git-hook pre-push --verify-only origin https://example.com/repository.git
    dvc-like git-hook post-checkout HEAD~1 HEAD 1
    """,
)
@click.argument("hook")
@click.argument("arguments", nargs=-1)
@click.option("--warn", is_flag=True, help="pre-commit: tell, but let the commit pass.")
@click.option("--verify-only", is_flag=True, help="pre-push: only see that the data is on the remote.")
@pass_console
def command(console: Console, hook: str, arguments: tuple[str, ...], warn: bool, verify_only: bool) -> None:
    """Do what a Git hook is for: the hooks that `install` makes run this, with the ARGUMENTS that Git gives.

    HOOK is pre-commit, pre-push, post-checkout, post-merge or post-rewrite. pre-push reads what is pushed from its
    input. Nothing happens where DVC_LIKE_SKIP_HOOKS is 1, or HUSKY or LEFTHOOK is 0.
    """
    has_input = hook == "pre-push" and sys.stdin is not None and not sys.stdin.isatty()
    stdin = sys.stdin.buffer.read() if has_input else b""
    failures: list[DvcLikeError] = []
    call = HookCall(hook, arguments, stdin, warn, verify_only)
    done = git_hook(call, failures, progress=console.progress)
    if not failures:
        console.document("git-hook", {"hook": hook, "projects": [_as_json(one) for one in done]})
    for one in done:
        _report(console, one)
    if failures:
        raise gathered(failures)


def _as_json(one: Hooked) -> dict[str, object]:
    return {
        "root": one.root,
        "targets": list(one.targets),
        **as_json(one.checkout),
        "sent": one.sent,
        "size": one.size,
        "notes": [{"message": note.message, "hint": note.hint, "details": list(note.details)} for note in one.notes],
    }


def _report(console: Console, one: Hooked) -> None:
    """Say what happened, in one line; nothing when nothing did."""
    done = one.checkout
    if done.created or done.replaced or done.removed:
        created = plural(len(done.created), "file")
        console.say(f"dvc-like: {created} created, {len(done.replaced):,} replaced, {len(done.removed):,} removed")
    if one.sent:
        console.say(f"dvc-like: {plural(one.sent, 'object')} sent, {human_size(one.size)}")
    for note in one.notes:
        console.warn(note)
