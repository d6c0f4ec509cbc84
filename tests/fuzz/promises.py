"""What must hold of every path and digest that a parser lets through, by rules written a second time."""

from __future__ import annotations

import re

from dvc_like import digest as digests

_SAFE_DIGEST = re.compile("blake3:[0-9a-f]{64}|sha256:[0-9a-f]{64}|xxh128:[0-9a-f]{32}|md5:[0-9a-f]{32}")
_KEY = re.compile("files/[0-9a-z]+/[0-9a-f]{2}/[0-9a-f]{30,62}(?:\\.tree)?")
BAD_NAME = re.compile("[\x00-\x1f\x7f/\\\\]")


def safe_path(path: str) -> None:
    """Fail unless a path stays where it is, by rules written a second time."""
    for part in path.split("/"):
        assert part not in ("", ".", ".."), path
        assert not BAD_NAME.search(part), path
        assert len(part.encode()) <= 255, path
        assert part.casefold() not in (".git", ".dvc-like"), path
        assert not re.fullmatch(r"(?i)git~[0-9][. ]*(?::.*)?", part), path


def safe_digest(digest: str) -> None:
    """Fail unless a digest makes a key that lies in the store."""
    assert _SAFE_DIGEST.fullmatch(digest), digest
    assert _KEY.fullmatch(digests.tree_key(digests.Digest(digest)))
