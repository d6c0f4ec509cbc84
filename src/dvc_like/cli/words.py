"""Numbers as people write them."""

from __future__ import annotations


def human_size(size: float) -> str:
    """Return a size in decimal units: ``1.4 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.95:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def plural(number: int, noun: str) -> str:
    """Return ``1 file``, ``2 files``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


#: The letters for what an entry is.
KINDS = {"f": "file", "x": "executable", "l": "link", "d": "folder"}
