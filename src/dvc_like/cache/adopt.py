"""Objects that another tool stored under the same digest, taken into the cache where they lie.

Owns the hard link, which copies no byte and leaves the other tool's file as it is. Nothing is verified here: an object
without a record in `cache.trust` is hashed before it is used. Knows nothing of who stored the file.
"""

from __future__ import annotations

import os

from ..digest import Digest, file_key
from ..errors import UnsafePath
from .place import CANNOT_LINK
from .store import Cache

_NO_FOLLOW = {"follow_symlinks": False} if os.link in os.supports_follow_symlinks else {}  # Windows follows none


def adopt(cache: Cache, digest: Digest, source: str) -> bool:
    """Make the regular file at `source` an object of the cache; False where it cannot be linked and must be copied.

    Raises `UnsafePath` where the cache holds a link in the way.
    """
    if cache.has(digest):
        return True
    key = file_key(digest)
    shard = key.rpartition("/")[0]
    if cache.is_linked(shard):
        raise UnsafePath(f"{cache.root}/{shard} is a link; nothing is written through it", hint="Remove the link.")
    os.makedirs(f"{cache.root}/{shard}", exist_ok=True)
    try:
        os.link(source, f"{cache.root}/{key}", **_NO_FOLLOW)
    except FileExistsError:
        return True  # another process brought it meanwhile
    except OSError as error:
        if error.errno in CANNOT_LINK:
            return False
        raise
    return True
