"""Names of bytes: the digest type, the hash functions behind it, and the fingerprint.

Owns how a digest is written (``blake3:<hex>``), which algorithms exist and where an object of that
digest lies in a store (its *key*, the same in the cache and on a remote). Knows no file system.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import blake3
import xxhash

from .errors import CorruptData

#: Hex digits of each algorithm. ``md5`` is read only: DVC's data is named by it.
HEX_LENGTH = {"blake3": 64, "sha256": 64, "xxh128": 32, "md5": 32}
WRITABLE = ("blake3", "sha256", "xxh128")
DEFAULT = "blake3"


def _sha256() -> Any:
    from hashlib import sha256  # loads a library that every command would pay for

    return sha256()


def _md5() -> Any:
    from hashlib import md5

    return md5(usedforsecurity=False)


_NEW: dict[str, Callable[[], Any]] = {
    "blake3": blake3.blake3,
    "sha256": _sha256,
    "xxh128": xxhash.xxh3_128,
    "md5": _md5,
}

#: One alternative per algorithm, so that a bulk parser can use it inside a larger expression.
PATTERN = "|".join(f"{name}:[0-9a-f]{{{length}}}" for name, length in HEX_LENGTH.items())
_FULL = re.compile(PATTERN)


class Digest(str):
    """A well-formed digest, ``algorithm:hex``. Made by `parse` or by hashing, by nothing else.

    It is a string so that a million of them cost no more than their text.
    """

    __slots__ = ()

    @property
    def algorithm(self) -> str:
        """``blake3``, ``sha256``, ``xxh128`` or ``md5``."""
        return self.partition(":")[0]

    @property
    def hex(self) -> str:
        """The lower-case hex digits alone."""
        return self.partition(":")[2]

    @property
    def short(self) -> str:
        """Eight hex digits, for people."""
        return self.hex[:8]


def parse(text: object) -> Digest:
    """Return `text` as a digest; raise `CorruptData` when it is anything else."""
    if isinstance(text, str) and _FULL.fullmatch(text):
        return Digest(text)
    raise CorruptData(f"not a digest: {str(text)[:80]!r}")


def file_key(digest: Digest) -> str:
    """Key of the object that holds a file: ``files/<algorithm>/<2 hex>/<rest>``."""
    if digest[:7] == "blake3:":  # hot: several times for each file of a push or a pull
        return f"files/blake3/{digest[7:9]}/{digest[9:]}"
    algorithm, _, hexes = digest.partition(":")
    return f"files/{algorithm}/{hexes[:2]}/{hexes[2:]}"


def tree_key(digest: Digest) -> str:
    """Key of the object that lists a folder.

    The suffix keeps the two kinds apart: a user's file may have the very bytes of a tree, and its
    presence must never be taken as the promise that a tree's presence is.
    """
    return file_key(digest) + ".tree"


#: Bytes of an *ident*: a key as packs write it, one byte for algorithm and kind, then the digest filled up with zeros.
IDENT_SIZE = 33
_NUMBERS = {"blake3": 1, "sha256": 2, "xxh128": 3, "md5": 4}
_NAMES = {number: name for name, number in _NUMBERS.items()}
_TREE = 0x80


def file_ident(digest: Digest) -> bytes:
    """Return the ident of a file object."""
    if digest[:7] == "blake3:":
        return b"\x01" + bytes.fromhex(digest[7:])
    algorithm, _, hexes = digest.partition(":")
    return bytes((_NUMBERS[algorithm],)) + bytes.fromhex(hexes).ljust(32, b"\0")


def tree_ident(digest: Digest) -> bytes:
    """Return the ident of a tree object."""
    algorithm, _, hexes = digest.partition(":")
    return bytes((_NUMBERS[algorithm] | _TREE,)) + bytes.fromhex(hexes).ljust(32, b"\0")


def is_tree_ident(ident: bytes) -> bool:
    """Tell whether an ident names a tree."""
    return bool(ident[0] & _TREE)


def of_ident(ident: bytes) -> tuple[Digest, bool]:
    """Return the digest of an ident, and whether it is a tree's; raise `CorruptData` when it is no ident."""
    name = _NAMES.get(ident[0] & ~_TREE) if len(ident) == IDENT_SIZE else None
    if name is not None:
        used = HEX_LENGTH[name] // 2
        if not any(ident[1 + used :]):
            return Digest(f"{name}:{ident[1 : 1 + used].hex()}"), bool(ident[0] & _TREE)
    raise CorruptData(f"not an ident of an object: {ident.hex()[:80]}")


def hasher(algorithm: str) -> Any:
    """Return a fresh hash object with ``update`` and ``hexdigest``."""
    return _NEW[algorithm]()


def of_bytes(algorithm: str, data: bytes | memoryview) -> Digest:
    """Return the digest of `data`."""
    if algorithm == "blake3":  # the hot path: one call instead of three
        return Digest("blake3:" + blake3.blake3(data).hexdigest())
    state = _NEW[algorithm]()
    state.update(data)
    return Digest(f"{algorithm}:{state.hexdigest()}")


def finish(algorithm: str, state: Any) -> Digest:
    """Return the digest of what was fed to `state`, a hash object of `hasher`."""
    return Digest(f"{algorithm}:{state.hexdigest()}")


#: XXH3-128 of some bytes under a seed, 16 bytes long: tells "did this file change?" at memory speed. Never an
#: identity: whoever controls the bytes, and knows the seed, can make two files with one fingerprint in no time.
fingerprint = xxhash.xxh3_128_digest
FINGERPRINT_SIZE = 16


def new_fingerprint(seed: int = 0) -> Any:
    """Return a fresh state of `fingerprint`, with ``update`` and ``digest``."""
    return xxhash.xxh3_128(b"", seed)
