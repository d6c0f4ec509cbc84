"""May this file of the user's go? Asked while planning, and once more right before it is replaced or removed.

Owns the rule: a file may go when its bytes are in the cache, or proven to be elsewhere. Between the plan of a long
checkout and the moment a file's turn comes, an editor may have saved it; then it is left alone, and named at the end.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Set

from ..digest import Digest
from ..errors import DvcLikeError, WouldOverwrite
from ..fsutil import NO_SIGNATURE, Dir, signature
from ..meta.tree import LINK
from ..paths import RelPath, join, show
from ..workspace.index import Present
from ..workspace.scan import Content, read_content
from ._session import Session


def judge_recorded(session: Session, recorded: Present) -> bytes | None:
    """Return what the index says a file looks like, when its bytes are in the cache and its stat can be trusted."""
    if recorded.signature[8:] == NO_SIGNATURE[8:]:
        return None  # written in the very moment it was recorded: a stat would not tell it from what came after
    safe = recorded.kind == LINK or session.cache.ensure(Digest(recorded.value))
    return recorded.signature if safe else None


def judge(
    session: Session,
    here: Dir,
    name: str,
    path: str,
    recorded: Present | None = None,
    proven: Set[Digest] = frozenset(),
) -> bytes | None:
    """Look at a file itself: return what it looks like when its bytes are in the cache or `proven`, else None.

    `path` is the folder's. A link is safe that is `recorded`, or leads to an object.
    """
    now = session.now_ns()
    status = here.lstat(name)
    if stat.S_ISLNK(status.st_mode):
        target = here.readlink(name)
        known = recorded is not None and (recorded.kind, recorded.value) == (LINK, target)
        # The stat of a link is as good as its text: it is never written to, only replaced.
        return signature(status) if known or session.cache.digest_of_link(target) is not None else None
    algorithm = Digest(recorded.value).algorithm if recorded and recorded.kind != LINK else ""
    content = read_known(session, here, name, path, algorithm, proven)
    return content.signature(now) if content is not None else None


def read_known(
    session: Session, here: Dir, name: str, path: str, algorithm: str = "", proven: Set[Digest] = frozenset()
) -> Content | None:
    """Return the content of a file if it is `proven`, or the cache has it soundly, under any name.

    `algorithm` is tried first.
    """
    for one in dict.fromkeys((algorithm or session.project.algorithm, *session.algorithms)):
        content = read_content(here, name, path, one)
        if content.digest is not None and (content.digest in proven or session.cache.ensure(content.digest)):
            return content
    return None


class Guard:
    """Looks at each file again before it goes. With `force` it lets everything go, as the user asked for.

    `proven` are digests that a remote was seen to have: safe without the cache.
    """

    def __init__(self, session: Session, *, force: bool = False, proven: Set[Digest] = frozenset()) -> None:
        self._session = session
        self._force = force
        self._proven = proven
        self.left: dict[RelPath, None] = {}  # paths that were left alone, in order

    def may_go(self, here: Dir, path: str, name: str, judged: bytes, recorded: Present | None = None) -> bool:
        """Tell whether a file is still what it was when it was `judged`, or else is safe as it is now.

        `path` is the folder's; a link that is `recorded` is safe. One that is gone by now may go.
        """
        if self._force:
            return True
        try:
            status = here.lstat(name)
            if signature(status) == judged:
                return True
            if stat.S_ISDIR(status.st_mode):
                pass
            elif judge(self._session, here, name, path, recorded, self._proven) is not None:
                return True  # only touched, or linked to once more
        except FileNotFoundError:
            return True
        except (OSError, DvcLikeError):
            pass  # it cannot be read, or somebody is writing to it: not ours to replace
        self.leave(join(path, name))
        return False

    def leave(self, path: RelPath) -> None:
        """Note a path that stays as it is."""
        self.left[path] = None

    def put(self, here: Dir, path: str, judged: bytes | None, *, expected: bool = False) -> Callable[[str, str], None]:
        """Return how a finished file gets its name: ``put(temp, name)``.

        It raises `FileExistsError` where the user has something now that was not judged (None: nothing was there);
        where a file is `expected`, `FileNotFoundError` when it is gone.
        """

        def over(temp: str, name: str) -> None:
            if judged is None and not self._force:
                try:
                    here.rename_new(temp, name)
                except FileExistsError:
                    self.leave(join(path, name))
                    raise
                return
            if expected:
                here.lstat(name)
            if judged is not None and not self.may_go(here, path, name, judged):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), f"{here.path}/{name}")
            here.rename(temp, name)

        return over

    def error(self) -> WouldOverwrite:
        """Say what was left alone."""
        return WouldOverwrite(
            f"{len(self.left)} file(s) changed while this ran, and were left as they are; the rest is done",
            hint="Save them with `dvc-like add`, move them away, or give them up with `--force`.",
            details=tuple(show(path) for path in self.left),
        )
