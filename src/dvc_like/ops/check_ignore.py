"""`check-ignore`: which rule of which `.dvc-likeignore` keeps a path out of datasets."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from typing import NamedTuple

from ..fsutil import Dir
from ..paths import RelPath
from ..project import Project
from ..workspace.ignore import Ignore, Rule
from ._tracked import enclosing, status_at


class PathChecked(NamedTuple):
    """One path as it was typed, and the rule that decides about it or a folder it lies in; None: no rule does."""

    typed: str
    path: RelPath
    rule: Rule | None

    @property
    def ignored(self) -> bool:
        """Tell whether it is left out."""
        return self.rule is not None and not self.rule.negated


def check_ignore(project: Project, named: Iterable[str | os.PathLike[str]]) -> list[PathChecked]:
    """Say of each path, be it there or not, which rule concerns it; one that ends with ``/`` is a folder.

    Only the rules are asked: what a dataset has already stays in it whatever they say, and a target is a target.
    """
    found = []
    with Dir.open_root(project.root) as root:
        ignore = Ignore(root)
        for one in named:
            text = os.fspath(one)
            path = project.relative(text)
            holder = enclosing(root, path) if path else None
            top = holder.path if holder is not None else ""
            status = status_at(root, path)
            is_folder = text.endswith(("/", os.sep)) or (status is not None and stat.S_ISDIR(status.st_mode))
            found.append(PathChecked(text, path, ignore.cause(path, is_folder, top) if path != top else None))
    return found
