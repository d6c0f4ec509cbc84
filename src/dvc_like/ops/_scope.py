"""Which paths patterns ask for: globs on the command line, and the include and exclude lists of profiles.

Owns the matching. A pattern is matched part by part from the project's root: ``*``, ``?`` and ``[...]`` stay within a
part, ``**`` stands for any number of parts, none among them. What lies below a match is matched as well.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterable, Sequence

_Test = Callable[[str], object]
_States = frozenset[int]  # how many parts of a pattern may have been matched by a path


class _Pattern:
    """One pattern, as an automaton over the parts of a path."""

    def __init__(self, text: str) -> None:
        self._tests = [None if part == "**" else _test(part) for part in text.split("/")]
        self.done = len(self._tests)
        self.start = self._with_skips({0})

    def _with_skips(self, states: set[int]) -> _States:
        for at in sorted(states):
            while at < self.done and self._tests[at] is None:  # `**` may stand for nothing
                at += 1
                states.add(at)
        return frozenset(states)

    def step(self, states: _States, name: str) -> _States:
        """Return the states one part further down; no state is left when nothing below can match."""
        if self.done in states:
            return states  # all that lies below a match matches
        found = set()
        for at in states:
            test = self._tests[at]
            if test is None:
                found.add(at)
            elif test(name):
                found.add(at + 1)
        return self._with_skips(found)


def _test(part: str) -> _Test:
    if not any(char in part for char in "*?["):
        return part.__eq__
    from fnmatch import translate  # not for every `status`

    return re.compile(translate(part)).match


class _Patterns:
    """Several patterns, matched together."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._patterns = [_Pattern(text) for text in texts]
        self._known = {"": [one.start for one in self._patterns]}  # folders only: files are too many to keep

    def _states(self, path: str, *, keep: bool) -> list[_States]:
        found = self._known.get(path)
        if found is None:
            above, _, name = path.rpartition("/")
            before = self._states(above, keep=True)
            found = [one.step(states, name) for one, states in zip(self._patterns, before, strict=True)]
            if keep:
                self._known[path] = found
        return found

    def hit(self, path: str) -> bool:
        """Tell whether a path, or a folder that it lies in, matches."""
        states = self._states(path, keep=False)
        return any(one.done in found for one, found in zip(self._patterns, states, strict=True))

    def mark(self, path: str) -> tuple[_States, ...]:
        """Return what decides which paths below a folder match: equal for two folders, the same is asked of both."""
        return tuple(self._states(path, keep=True))

    def may_hit_below(self, path: str) -> bool:
        """Tell whether a folder, or something below it, may match."""
        return any(self._states(path, keep=True))


class Scope:
    """What is asked for: all that `include` matches (nothing given: everything) and `exclude` does not.

    For a profile, `names_in` returns the names that a folder is known to hold in the workspace (None: not there): what
    is here is always asked for, so that a profile says only what may be absent.
    """

    def __init__(
        self,
        include: Sequence[str] = (),
        exclude: Iterable[str] = (),
        names_in: Callable[[str], frozenset[str] | None] | None = None,
    ) -> None:
        self._inside = _Patterns(["**"])
        self._include = _Patterns(include or ["**"])
        self.patterns = list(include) if names_in is None else []  # none: nothing is left out
        self._exclude = _Patterns(exclude)
        self._names_in = names_in
        self._seen: dict[str, frozenset[str] | None] = {}

    def within(self, paths: Iterable[str]) -> Scope:
        """Return what this asks for at and below some paths."""
        found = copy.copy(self)
        texts = [escape(path) for path in paths]
        found._inside = _Patterns(texts)
        found.patterns = found.patterns or texts
        return found

    @property
    def is_profile(self) -> bool:
        """Tell whether it only says what may be absent."""
        return self._names_in is not None

    def asks(self, path: str) -> bool:
        """Tell whether a file is asked for, or a folder as such."""
        if not self._inside.hit(path):
            return False
        if self._include.hit(path) and not self._exclude.hit(path):
            return True
        if self._names_in is None:
            return False
        above, _, name = path.rpartition("/")
        names = self._names(above)
        return name in names if names is not None else self._names(path) is not None

    def asks_all(self, path: str) -> bool:
        """Tell whether a folder and all that it can hold are asked for."""
        return self._inside.hit(path) and self._include.hit(path) and not self._exclude.may_hit_below(path)

    def enters(self, path: str) -> bool:
        """Tell whether something in a folder may be asked for."""
        if not self._inside.may_hit_below(path):
            return False
        if self._include.may_hit_below(path) and not self._exclude.hit(path):
            return True
        return self._names_in is not None and self._names(path) is not None

    def mark(self, path: str) -> object:
        """Return what decides what is asked for in a folder: of equal listings with equal marks, one is enough."""
        here = path if self._names_in is not None and self._names(path) is not None else ""
        return self._inside.mark(path), self._include.mark(path), self._exclude.mark(path), here

    def _names(self, path: str) -> frozenset[str] | None:
        assert self._names_in is not None
        if path not in self._seen:
            self._seen[path] = self._names_in(path)
        return self._seen[path]


def escape(path: str) -> str:
    """Return the pattern that matches just this path."""
    return re.sub(r"([*?[])", r"[\1]", path)
