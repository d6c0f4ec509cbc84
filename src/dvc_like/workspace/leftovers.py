"""What a process that died left in the workspace: temporary files and folders of ours, never data."""

from __future__ import annotations

import contextlib

from ..fsutil import Dir, is_temp


def sweep(here: Dir) -> None:
    """Remove what a process that died left in a folder of the workspace. Only for the holder of its lock."""
    for entry in [entry for entry in here.entries() if is_temp(entry.name)]:
        with contextlib.suppress(OSError):
            if entry.is_dir(follow_symlinks=False):
                remove_flat(here, here.sub(entry.name), entry.name)
            else:
                here.unlink(entry.name)


def remove_flat(parent: Dir, here: Dir, name: str) -> None:
    """Remove a folder that holds only files, as far as it goes."""
    with contextlib.suppress(OSError):
        with here:
            for entry in list(here.entries()):
                here.unlink(entry.name)
        parent.rmdir(name)
