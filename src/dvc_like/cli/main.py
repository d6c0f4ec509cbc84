"""The entry point. Answers `--version` itself, since nothing is quicker than loading nothing.

And lets Git's hooks go when they have nothing to do: they run at every switch and rebase, and must not be felt.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable

from .._version import VERSION

INTERRUPTED, TERMINATED = 130, 143  # exit codes: 128 and the number of the signal


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    if "_DVC_LIKE_COMPLETE" in os.environ:  # set by the scripts of `completion`, for one call
        from .completing import complete

        return complete(os.environ["_DVC_LIKE_COMPLETE"])
    if words in (["--version"], ["-V"]):
        return _print_version()
    if words[:1] == ["git-hook"]:
        from ..ops._hook_events import is_idle

        if is_idle(words[1:], _told(words[1:])):
            return 0
    from .shell import run

    if arguments is not None:
        return run(words)
    is_terminated = _hear_terminate()
    code = run(words)
    if code == INTERRUPTED:
        _leave(TERMINATED if is_terminated() else code)
    return code


def _hear_terminate() -> Callable[[], bool]:
    """Let the first SIGTERM be a Ctrl-C, which leaves all in order, and the second end at once; tell if one came."""
    import signal

    came = []

    def hear(number: int, _: object) -> None:
        came.append(number)
        signal.signal(number, signal.SIG_DFL)
        raise KeyboardInterrupt

    with contextlib.suppress(ValueError):  # somebody's thread runs it
        if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
            signal.signal(signal.SIGTERM, hear)
    return lambda: bool(came)


def _told(words: list[str]) -> bytes:
    """Return what Git tells a hook on its input; whoever comes later can read it again."""
    if words[:1] != ["pre-push"] or sys.stdin is None or sys.stdin.isatty():
        return b""
    data = sys.stdin.buffer.read()
    sys.stdin = io.TextIOWrapper(io.BytesIO(data))
    return data


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
