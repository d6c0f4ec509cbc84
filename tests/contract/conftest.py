"""Fixtures of these tests."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def models_read_once() -> Iterator[None]:
    """Let all clients of boto3 share what it knows of services: reading it takes longer than most of these tests."""
    session = pytest.importorskip("botocore.session", reason="boto3 is not installed (extra s3)")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "create_loader", functools.cache(session.create_loader))
        yield
