"""dvc-like: workspace -> meta -> cache -> remote. Data versioned with Git, byte for byte.

The public names below are resolved when they are first used, so that importing the package costs nothing.
Verbs take a `Project` first and return values; they print nothing and raise `DvcLikeError` (see `errors`).
"""

from __future__ import annotations

from ._version import VERSION as __version__

_PUBLIC = {
    "Project": "project",
    "Selection": "ops._tracked",
    "DvcLikeError": "errors",
    "Progress": "progress",
    "init": "ops.init",
    "add": "ops.add",
    "commit": "ops.add",
    "status": "ops.status",
    "checkout": "ops.checkout",
    "fetch": "ops.fetch",
    "push": "ops.push",
    "pull": "ops.pull",
    "remove": "ops.remove",
    "move": "ops.move",
    "unprotect": "ops.unprotect",
    "doctor": "ops.doctor",
    "drop": "ops.drop",
    "undo": "ops.undo",
    "undoable": "ops.undo",
    "gc": "ops.gc",
    "fsck": "ops.fsck",
    "diff": "ops.diff",
    "log": "ops.log",
    "ls": "ops.ls",
    "open": "ops.open",
    "read": "ops.open",
    "du": "ops.du",
    "check_ignore": "ops.check_ignore",
    "get": "ops.get",
    "import_": "ops.import_",
    "update": "ops.update",
    "verify": "ops.verify",
    "install": "ops.install",
    "uninstall": "ops.install",
    "HookOptions": "ops.install",
}

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> object:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found = getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
