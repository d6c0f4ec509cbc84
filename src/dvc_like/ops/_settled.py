"""A push with nothing to do, told by what the last one stood on.

Owns one record per set of targets on a near store: the packs and whole objects that were found to be all they need,
each with what the store said of it. While every one of them is there and untouched, nothing has to be walked; when one
is not, the record is no answer at all and everything is looked at.
"""

from __future__ import annotations

from collections.abc import Iterable

import xxhash

from ..remote.packs import PREFIX, zip_key
from ..remote.seen import Seen
from ._store import Store
from ._tracked import Wanted


def count_settled(store: Store, seen: Seen, wanted: list[Wanted]) -> int | None:
    """Return how many files the targets have there, None when that is not known to be so still."""
    if not store.is_near or any(one.only is not None for one in wanted):
        return None
    first, *lines = seen.token(_name(wanted)).split("\n")
    files, _, version = first.partition(" ")
    if version != _version(wanted):
        return None
    known = dict(line.split(" ", 1) for line in lines)
    if not known or not known.keys().isdisjoint(store.packs.condemned_names()):
        return None
    return int(files) if _tokens(store, known) == known else None


def settle(store: Store, seen: Seen, wanted: list[Wanted], relied: Iterable[str], files: int) -> None:
    """Remember what all the targets stand on; `files` is how many files that are."""
    if not store.is_near or any(one.only is not None for one in wanted):
        return
    names = list(relied)
    found = _tokens(store, names)
    verified = seen.tokens()  # what was touched since it was read must not be remembered as sound
    if len(found) == len(names) and all(verified.get(_key(name)) == token for name, token in found.items()):
        lines = [f"{files} {_version(wanted)}", *(f"{name} {token}" for name, token in found.items())]
        seen.record_token(_name(wanted), "\n".join(lines))


def _tokens(store: Store, names: Iterable[str]) -> dict[str, str]:
    """Return what the store says now of packs (``packs/<id>``) and whole objects that are there."""
    packs = store.packs
    found = {}
    keys = []
    for name in names:
        pack = name[len(PREFIX) :]
        if not name.startswith(PREFIX):
            keys.append(name)
        elif packs.is_there(pack) and not packs.broken.get(pack):
            found[name] = packs.zips[pack].token
    found.update({key: info.token for key, info in store.stat(keys).items()})
    return found


def _key(name: str) -> str:
    return zip_key(name[len(PREFIX) :]) if name.startswith(PREFIX) else name


def _name(wanted: list[Wanted]) -> str:
    return f"all:{_hash(one.inside for one in wanted)}"  # a later version of the same targets takes its place


def _version(wanted: list[Wanted]) -> str:
    return _hash(f"{one.inside} {one.target.meta.digest}" for one in wanted)


def _hash(lines: Iterable[str]) -> str:
    return str(xxhash.xxh3_128_hexdigest("\n".join(sorted(lines)).encode()))
