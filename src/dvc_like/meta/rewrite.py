"""Writing a meta file again without losing what the user wrote into it.

Owns the cutting of its text by top-level keys: ours are written anew where they changed, all else (other keys,
comments, blank lines) stays as it stands. A file without anything of the user's gets our own plain writing.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ..errors import BadMeta
from .file import Meta, encode, parse
from .yaml import spans

_KNOWN = ("hash", "size", "files", "exec", "remote")


class _Block(NamedTuple):
    """One top-level key: its lines, the comment lines right above it among them."""

    key: str
    above: str
    text: str
    tail: str  # what stands behind the value on its last line


def rewrite(meta: Meta, old: bytes, *, keys: tuple[str, ...] = ()) -> bytes:
    """Return the bytes of a meta file that says what `meta` says, and keeps what the user wrote into `old`.

    Of `meta.extra` only `keys` count; the others only where `old` cannot be read.
    """
    try:
        before = parse(old, "")
    except BadMeta:
        return encode(meta)
    ours = {key: value for key, value in meta.extra if key in keys}
    new = meta._replace(extra=tuple({**dict(before.extra), **ours}.items()))
    if not before.extra and b"#" not in old:
        return encode(new)
    kept = _rewrite_text(new, before, old.decode(), (*_KNOWN, *keys))
    try:
        if kept is not None and parse(kept.encode(), "") == new:
            return kept.encode()
    except BadMeta:
        pass
    return encode(new)  # written in a way that cannot be cut by lines: the values are kept, the text is not


def _rewrite_text(new: Meta, before: Meta, old: str, keys: tuple[str, ...]) -> str | None:
    cut = _cut(old, keys)
    if cut is None:
        return None
    head, blocks, end = cut
    wanted, had = _values(new, keys), _values(before, keys)
    ours = {block.key: block for block in blocks if block.key in keys}
    text, loose = head, ""  # comments above a key that goes are kept above what follows
    for key in keys:
        block = ours.get(key)
        if key not in wanted:
            # `exec: false` says nothing, and is the user's own way to say it.
            stays = block is not None and key not in had
            text += loose + block.above + block.text if block is not None and stays else ""
            loose = "" if stays else loose + (block.above if block is not None else "")
        elif block is None:
            text, loose = text + loose + wanted[key] + "\n", ""
        else:
            same = wanted[key] == had.get(key)
            text += loose + block.above + (block.text if same else wanted[key] + block.tail)
            loose = ""
    rest = "".join(block.above + block.text for block in blocks if block.key not in keys)
    return text + loose + rest + end


def _values(meta: Meta, keys: tuple[str, ...]) -> dict[str, str]:
    """Return our keys as they are written, without the last line's end."""
    text = encode(meta._replace(extra=tuple(one for one in meta.extra if one[0] in keys))).decode()
    parts = re.split(r"\n(?=\S)", text.removesuffix("\n"))
    return {part.partition(":")[0].strip("'\""): part for part in parts}


def _cut(old: str, keys: tuple[str, ...]) -> tuple[str, list[_Block], str] | None:
    """Return what stands above the first key, the keys, and what stands below the last; None if it cannot be cut."""
    found = spans(old.encode())
    if found is None or any(char in old for char in "\x85\u2028\u2029") or "\r" in old.replace("\r\n", ""):
        return None
    if not old.endswith("\n"):
        old += "\n"
    lines = old.split("\n")[:-1]
    starts = [start for _, start, _, _ in found]
    blocks = []
    head = "".join(f"{line}\n" for line in lines[: starts[0]])
    above = ""
    for at, (key, start, last, column) in enumerate(found):
        stop = starts[at + 1] if at + 1 < len(found) else len(lines)
        if stop <= last:
            last = stop - 1  # a list or a block of text ends where the next key begins
            while key in keys and (not lines[last].strip() or lines[last].startswith("#")):
                last -= 1
            column = len(lines[last])
        following = stop
        if at + 1 < len(found):
            while following > last + 1 and lines[following - 1].startswith("#"):
                following -= 1
        # Behind a key of ours nothing but its value is its own: the rest belongs to what follows, or to the end.
        body = last + 1 if key in keys else following
        text = "".join(f"{line}\n" for line in lines[start:body])
        tail = lines[last][column:] + "\n"
        if not tail.lstrip(" \t").startswith(("#", "\r\n", "\n")):
            tail = "\n"
        blocks.append(_Block(key, above, text, tail))
        above = "".join(f"{line}\n" for line in lines[body:stop])
    return head, blocks, above
