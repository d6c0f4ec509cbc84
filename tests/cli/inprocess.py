"""The command line run inside this process: for tests of many small calls, where start-up would be most of the time."""

from __future__ import annotations

import contextlib
import gc
import io
import os

import pytest
from tests.conftest import Ran

from dvc_like.cli.main import main


class InProcess:
    """Called like the `cli` fixture; takes `cwd` and `code`."""

    def __call__(
        self,
        *arguments: str | os.PathLike[str],
        cwd: str | os.PathLike[str] | None = None,
        code: int | tuple[int, ...] = 0,
    ) -> Ran:
        words = [*map(os.fspath, arguments)]
        before, threshold = os.getcwd(), gc.get_threshold()
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="backslashreplace") for _ in range(2))
        os.chdir(cwd or before)
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                ended = main(words)
        finally:
            os.chdir(before)
            gc.unfreeze()
            gc.set_threshold(*threshold)
        done = Ran(["dvc-like", *words], ended, *(_text(stream) for stream in (out, err)))
        done.expect(code)
        return done


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    return stream.buffer.getvalue().decode()  # type: ignore[attr-defined]


@pytest.fixture(name="cli")
def in_process() -> InProcess:
    """Take the place of the fixture that starts a process."""
    return InProcess()
