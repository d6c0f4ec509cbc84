"""Objects on their way into a folder: temporary files beside their keys, until one flush names them all.

Owns the crash-safe order and who may sweep what. Every process that writes holds a mark in ``tmp/`` under a kernel
lock; a mark nobody holds tells that its owner died, and the next writer removes its files. Raises plain `OSError`s;
knows nothing of backends.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Iterable
from itertools import count

from ..durable import everything_to_disk, files_to_disk, names_to_disk
from ..errors import LockHeld
from ..fsutil import Dir, is_temp, temp_name
from ..locks import is_same_file, lock, lock_of_the_dead

MARKS = "tmp"
FOREIGN_MARK_NS = 7 * 86_400 * 10**9  # how much older than ours another machine's mark is before it is not believed


class Pending:
    """What one process puts into the folder `top`. Only `flush` and `close` must not run beside other calls."""

    def __init__(self, top: Dir) -> None:
        self._top = top
        self._mutex = threading.Lock()
        self._flushing = threading.Lock()
        self._temps: dict[str, str] = {}  # key -> temporary name
        self._once: set[str] = set()  # temporary names that replace nothing
        self._serial = count()
        self._new_folders = False
        self._mark = contextlib.ExitStack()
        top.sub(MARKS, create=True).close()  # raises when it is a link
        self._prefix = self._hold_mark(os.path.join(top.path, MARKS)) + "-"

    # ---------------------------------------------------------------- marks

    def _hold_mark(self, marks: str) -> str:
        """Hold a mark, so that nobody sweeps our files while we live, then sweep those of the dead."""
        while True:
            name = temp_name()
            path = os.path.join(marks, f"{name}@{_this_machine()}")
            with contextlib.ExitStack() as held:
                descriptor = held.enter_context(lock(path, timeout=5))
                if is_same_file(descriptor, path):  # else a sweeper took it for a dead one's before we had the lock
                    held.callback(_unlink, path)
                    self._mark = held.pop_all()
                    break
        _sweep(self._top.path, marks, path)
        return name

    # ---------------------------------------------------------------- adding

    def temp_beside(self, key: str) -> str:
        """Return a name in the folder of `key` that nobody uses and that a sweeper will recognise."""
        folder, slash, _ = key.rpartition("/")
        return f"{folder}{slash}{self._prefix}{next(self._serial):x}"

    def made_folder(self) -> None:
        """Hear that a folder was made: it has to be put on disk as well."""
        self._new_folders = True

    def add(self, key: str, temp: str, *, once: bool = False) -> int:
        """Have `temp`, written and closed, named `key` by the next `flush`; return how many wait.

        With `once` it is thrown away when something of that key waits already, or is there by then.
        """
        with self._mutex:
            if once and key in self._temps:
                older: str | None = temp
            else:
                older = self._temps.pop(key, None)
                self._temps[key] = temp
                if once:
                    self._once.add(temp)
            waiting = len(self._temps)
        if older is not None:
            self.discard(older)
        return waiting

    def drop(self, key: str) -> None:
        """Forget what waits to be named `key`."""
        with self._mutex:
            temp = self._temps.pop(key, None)
        if temp is not None:
            self.discard(temp)

    def discard(self, temp: str) -> None:
        """Remove a temporary file that nobody waits for."""
        with contextlib.suppress(OSError):
            self._top.unlink(temp)

    # ---------------------------------------------------------------- flushing

    def flush(self) -> None:
        """Put everything on disk, then name it, then put the names on disk. After an error nothing waits any more."""
        with self._flushing:  # or of two versions of one key the older could be named last
            with self._mutex:
                temps, self._temps = self._temps, {}
                once, self._once = self._once, set()
            if not temps:
                return
            named = 0
            try:
                files_to_disk(self._top, temps.values())
                rename = self._top.rename
                for key, temp in temps.items():
                    if temp in once:
                        self._name_if_free(temp, key)
                    else:
                        rename(temp, key)
                    named += 1
                self._names_to_disk(temps)
            except BaseException:
                for temp in [*temps.values()][named:]:
                    self.discard(temp)
                raise

    def _name_if_free(self, temp: str, key: str) -> None:
        """Give a name that nobody has; when somebody has it, throw the file away."""
        try:
            self._top.rename_new(temp, key)
        except FileExistsError:
            self.discard(temp)

    def _names_to_disk(self, keys: Iterable[str]) -> None:
        if self._new_folders:  # their own names, too
            self._new_folders = False
            everything_to_disk(self._top)
        else:
            names_to_disk(self._top, keys)

    def close(self) -> None:
        """Throw away what was not flushed, and the mark. A second call does nothing."""
        with self._mutex:
            temps, self._temps = self._temps, {}
        for temp in temps.values():
            self.discard(temp)
        self._mark.close()


def _sweep(root: str, marks: str, ours: str) -> None:
    """Remove what processes that died left behind."""
    now = os.stat(ours).st_mtime_ns  # by the clock of the machine that holds the folder
    with contextlib.ExitStack() as held:
        dead: dict[str, str] = {}  # beginning of temporary names -> mark
        for mark in os.listdir(marks):
            path = os.path.join(marks, mark)
            name, _, machine = mark.partition("@")
            if not is_temp(mark) or path == ours:
                continue
            # A refusal is no reason not to store: the mark may be another user's.
            with contextlib.suppress(LockHeld, OSError):
                # A share may grant us a lock that another machine holds as well.
                if machine != _this_machine() and os.stat(path).st_mtime_ns > now - FOREIGN_MARK_NS:
                    continue
                held.enter_context(lock_of_the_dead(path))
                dead[name + "-"] = path
        if not dead:
            return
        begins = tuple(dead)
        for folder, _, files in os.walk(root):
            for name in files:
                if name.startswith(begins):
                    _unlink(os.path.join(folder, name))
        for path in dead.values():
            _unlink(path)


def _this_machine() -> str:
    name = os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")
    return re.sub(r"[^A-Za-z0-9.-]", "", name)[:64]


def _unlink(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)
