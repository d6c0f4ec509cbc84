"""What the user sees: lines, JSON documents, errors and progress.

Owns the streams. Results go to stdout, everything else to stderr; colour and bars only where a terminal is. Whatever
a stranger named, nothing leaves here that moves a cursor or turns a line around.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from ..errors import DvcLikeError
from ..paths import show, show_json, show_lines
from ..progress import SILENT, Progress
from .bars import Bars

_MAX_DETAILS = 20


class Console:
    """Output of one run, as the common options want it."""

    def __init__(self) -> None:
        self.json = False
        self.quiet = False
        self.verbose = False
        self.debug = False
        self._colour = None if "NO_COLOR" not in os.environ else False
        self._bars: Bars | None = None
        self._documented = False

    @property
    def progress(self) -> Progress:
        """Where the verbs report to."""
        if self.quiet:
            return SILENT
        if self._bars is None:
            self._bars = Bars()
        return self._bars

    def say(self, text: str = "", *, style: str = "") -> None:
        """Print a line of the result for a person."""
        if not self.quiet and not self.json:
            text = show_lines(text)
            click.echo(click.style(text, fg=style) if style else text, color=self._colour)

    def detail(self, text: str) -> None:
        """Print a line only with -v."""
        if self.verbose:
            self.say(text)

    def answer(self, text: str) -> None:
        """Print what was asked for: also with -q."""
        if not self.json:
            click.echo(show_lines(text), color=self._colour)

    def document(self, name: str, content: dict[str, Any]) -> None:
        """Print the command's JSON document, if it is wanted; there is one, the first."""
        if self.json and not self._documented:
            import json

            self._documented = True

            click.echo(show_json(json.dumps({"schema": f"dvc-like/{name}/1", **content}, ensure_ascii=False)))

    def flush(self) -> None:
        """Hand over what is buffered, so that a closed pipe is seen here."""
        sys.stdout.flush()

    def fail(self, error: DvcLikeError, *, kind: str = "") -> int:
        """Report an error; return its exit code."""
        if self.json:
            self.document(
                "error",
                {
                    "error": {
                        "kind": kind or error.kind,
                        "message": error.message,
                        "hint": error.hint,
                        "details": list(error.details),
                        "exit_code": error.exit_code,
                    }
                },
            )
        self._show(click.style("error: ", fg="red", bold=True), error)
        return error.exit_code

    def warn(self, error: DvcLikeError) -> None:
        """Tell on stderr what went another way than it should, though nothing failed."""
        if not self.quiet:
            self._show(click.style("warning: ", fg="yellow", bold=True), error)

    def _show(self, label: str, error: DvcLikeError) -> None:
        click.echo(label + show(error.message), err=True, color=self._colour)
        shown = error.details if self.verbose else error.details[:_MAX_DETAILS]
        for line in shown:
            click.echo(f"  {show(line)}", err=True)
        if len(shown) < len(error.details):
            click.echo(f"  ... and {len(error.details) - len(shown)} more (-v shows all)", err=True)
        if error.hint:
            click.echo(click.style("hint: ", fg="yellow") + show(error.hint), err=True, color=self._colour)

    def interrupted(self) -> None:
        """Say that the user stopped it."""
        click.echo("\ninterrupted; what was done stays, nothing half-written does", err=True)
