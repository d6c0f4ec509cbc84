"""Fixtures of these tests: the project with a remote, and its clones, of the command line's tests."""

from __future__ import annotations

from tests.cli.conftest import clone, copy, place, store

__all__ = ["clone", "copy", "place", "store"]
