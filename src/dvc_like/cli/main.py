"""The entry point. Answers `--version` itself, since nothing is quicker than loading nothing.

And lets Git's hooks go when they have nothing to do: they run at every switch and rebase, and must not be felt.
"""

from __future__ import annotations

import contextlib
import os
import sys

from .._version import VERSION


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    if words in (["--version"], ["-V"]):
        return _print_version()
    if words[:1] == ["git-hook"]:
        from ..ops._hook_events import is_idle

        if is_idle(words[1:]):
            return 0
    from .shell import run

    code = run(words)
    if code == 130 and arguments is None:
        _leave(code)
    return code


def _leave(code: int) -> None:
    """End the process at once: after Ctrl-C, Python would wait for threads that are still sending."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _print_version() -> int:
    try:
        sys.stdout.write(f"dvc-like {VERSION}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        return 141
    return 0
