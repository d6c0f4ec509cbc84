"""`.dvc-likeignore`: rules for what is left out of datasets, in the grammar of `.gitignore`.

Owns the grammar, the files (any folder may hold one; the nearest decides, in it the last line that fits) and what
they say of a path. Whether a path is recorded already, so that no rule concerns it, is for the caller to know.

A dataset from a stranger may bring such a file. Hence it is small, is not read through a link, and a pattern costs no
more than its length times that of the name: what a star takes is the shortest text that fits, and never tried again.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable
from typing import NamedTuple

from ..errors import ConfigError, UnsafePath
from ..fsutil import Dir
from ..paths import MAX_NAME, RelPath, join, parent, show

NAME = ".dvc-likeignore"
MAX_SIZE = 64 << 10
MAX_RULES = 1000


class Rule(NamedTuple):
    """One line. `parts` are the segments of its pattern, None for ``**``; one that is no glob fits nothing.

    What they fit follows `begin`, a text that may end within a name.
    """

    source: RelPath
    line: int
    text: str
    negated: bool
    folders_only: bool
    anywhere: bool  # no slash in it: the name alone is compared
    parts: tuple[re.Pattern[str] | None, ...]
    begin: str = ""

    def fits(self, parts: list[str], is_folder: bool) -> bool:
        """Tell whether it speaks of a path, given in parts below the folder of its file."""
        if self.folders_only and not is_folder:
            return False
        if self.anywhere:
            only = self.parts[0]
            return only is not None and only.fullmatch(parts[-1]) is not None
        if self.begin:
            path = "/".join(parts)
            return path.startswith(self.begin) and _fits(self.parts, path[len(self.begin) :].split("/"))
        return _fits(self.parts, parts)


class Ignore:
    """All rules of one workspace, each file read when a folder at or below it is first looked at."""

    def __init__(self, root: Dir) -> None:
        self._root = root
        #: Set by who records nothing: hears of a file that cannot be read, whose rules do not count then, as Git has
        #: it. Else it is refused, for what a rule was to keep out would get in.
        self.tell: Callable[[str], None] | None = None
        self._chains: dict[str, tuple[tuple[int, tuple[Rule, ...]], ...]] = {}

    def concerns(self, folder: RelPath, here: Dir | None = None) -> bool:
        """Tell whether there are rules for the names in a folder; `here` is that folder, if it is open already."""
        return bool(self._chain(folder, here))

    def rule(self, path: RelPath, is_folder: bool) -> Rule | None:
        """Return the rule that decides about a path itself, not about the folders it lies in."""
        parts = path.split("/")
        for depth, rules in self._chain(parent(path), None):
            for rule in reversed(rules):
                if rule.fits(parts[depth:], is_folder):
                    return rule
        return None

    def ignores(self, path: RelPath, is_folder: bool) -> bool:
        """Tell whether a path is left out by a rule about itself."""
        rule = self.rule(path, is_folder)
        return rule is not None and not rule.negated

    def cause(self, path: RelPath, is_folder: bool, top: str = "") -> Rule | None:
        """Return the rule that decides about a path or about the outermost ignored folder below `top` it lies in."""
        start = top.count("/") + 1 if top else 0
        parts = path.split("/")
        rule = None
        for end in range(start + 1, len(parts) + 1):
            rule = self.rule(RelPath("/".join(parts[:end])), is_folder or end < len(parts))
            if rule is not None and not rule.negated:
                return rule
        return rule

    def _chain(self, folder: RelPath, here: Dir | None) -> tuple[tuple[int, tuple[Rule, ...]], ...]:
        """Return the rules for the names in a folder, the nearest file first, each with the depth it lies at."""
        found = self._chains.get(folder)
        if found is None:
            own = self._read(folder, here)
            above = self._chain(parent(folder), None) if folder else ()
            depth = folder.count("/") + 1 if folder else 0
            found = self._chains[folder] = ((depth, own), *above) if own else above
        return found

    def _read(self, folder: RelPath, here: Dir | None) -> tuple[Rule, ...]:
        try:
            return self._load(folder, here)
        except (ConfigError, UnsafePath) as error:
            if self.tell is None:
                raise
            self.tell(f"{error.message}: its rules do not count")
            return ()

    def _load(self, folder: RelPath, here: Dir | None) -> tuple[Rule, ...]:
        source = join(folder, NAME)
        try:
            if here is not None:
                data = here.read(NAME, MAX_SIZE)
            else:
                with self._root.descend(folder) as opened:
                    data = opened.read(NAME, MAX_SIZE)
        except (FileNotFoundError, NotADirectoryError):
            return ()
        except OSError as error:
            if error.errno == errno.EFBIG:
                raise ConfigError(f"{show(source)} is larger than {MAX_SIZE} bytes", hint="Shorten it.") from None
            if error.errno in (errno.ELOOP, errno.EINVAL):
                raise UnsafePath(
                    f"{show(source)} is a link or no ordinary file",
                    hint="Replace it by a real file: rules are not read through links.",
                ) from None
            raise
        rules = parse(data, source)
        if len(rules) > MAX_RULES:
            raise ConfigError(f"{show(source)} holds more than {MAX_RULES} rules", hint="Shorten it.")
        return rules


def parse(data: bytes, source: RelPath) -> tuple[Rule, ...]:
    """Return the rules of a file in their order."""
    text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        line = line.removesuffix("\r")
        if line.startswith("#"):
            continue
        pattern = _trimmed(line)
        negated = pattern.startswith("!")
        pattern = pattern[negated:]
        folders_only = pattern.endswith("/")
        pattern = pattern[: -1 if folders_only else None]
        if pattern:
            anywhere = "/" not in pattern
            glued = None if anywhere else _GLUED.match(pattern.removeprefix("/"))
            segments = _segments(f"**{glued[2]}" if glued else pattern.removeprefix("/"))
            parts = tuple(None if part == "**" and not anywhere else _compiled(part) for part in segments)
            found.append(Rule(source, number, line, negated, folders_only, anywhere, parts, glued[1] if glued else ""))
    return tuple(found)


#: Stars that follow a text without wildcards: Git takes that text off first, and then sees a ``**`` of its own.
_GLUED = re.compile(r"([^*?\[\\]*[^*?\[\\/])\*\*+((?:/.*)?)\Z", re.S)


def _segments(pattern: str) -> list[str]:
    """Divide a pattern at its slashes; one in brackets is a character like others, which no name has."""
    found, start, at = [], 0, 0
    while at < len(pattern):
        if pattern[at] == "[":
            bracket = _class(pattern, at + 1)
            if bracket is None:
                return ["["]  # it fits nothing; and looking at each of many brackets would take for ever
            at = bracket[1]
            continue
        if pattern[at] == "/":
            found.append(pattern[start:at])
            start = at + 1
        at += 2 if pattern[at] == "\\" and pattern[at + 1 : at + 2] != "/" else 1
    return [*found, pattern[start:]]


def _trimmed(line: str) -> str:
    """Drop blanks at the end, but for one behind a backslash."""
    bare = line.rstrip(" ")
    escaped = (len(bare) - len(bare.rstrip("\\"))) % 2
    return bare + " " if escaped and len(bare) < len(line) else bare


def _fits(pattern: tuple[re.Pattern[str] | None, ...], parts: list[str]) -> bool:
    """Compare part by part; ``**`` takes as few as it can, only the last one is ever asked to take more."""
    at = here = 0
    last, taken = -1, 0
    while here < len(parts):
        if at < len(pattern):
            segment = pattern[at]
            if segment is None:
                if at == len(pattern) - 1:
                    return True  # at the end it stands for everything inside, and something is left
                last, taken = at, here
                at += 1
                continue
            if segment.fullmatch(parts[here]):
                at, here = at + 1, here + 1
                continue
        if last < 0:
            return False
        taken += 1
        at, here = last + 1, taken
    return at == len(pattern)


#: Fits no name at all: what a pattern means that is not well formed, as Git has it.
_NEVER = re.compile(r"(?!)")


def _compiled(glob: str) -> re.Pattern[str]:
    """Return one segment as an expression that runs in bounded time."""
    pieces = [""]  # what stands between the stars
    at = least = 0
    while at < len(glob):
        char = glob[at]
        at += 1
        least += char != "*"
        if least > MAX_NAME:
            return _NEVER  # no name is so long
        if char == "*":
            pieces.append("")
        elif char == "?":
            pieces[-1] += "."
        elif char == "[":
            found = _class(glob, at)
            if found is None:
                return _NEVER
            piece, at = found
            pieces[-1] += piece
        elif char == "\\" and at == len(glob):
            return _NEVER
        else:
            if char == "\\":
                char, at = glob[at], at + 1
            pieces[-1] += re.escape(char)
    first, *others = pieces
    if not others:
        return re.compile(first, re.S)
    middle = [piece for piece in others[:-1] if piece]
    # A lookahead is not entered a second time: so each piece stays where it was first found.
    steps = "".join([f"(?=(?P<p{number}>.*?{piece}))(?P=p{number})" for number, piece in enumerate(middle)])
    return re.compile(f"{first}{steps}.*{others[-1]}", re.S)


_NAMED = {
    "alnum": "a-zA-Z0-9", "alpha": "a-zA-Z", "blank": " \\t", "cntrl": "\\x00-\\x1f\\x7f", "digit": "0-9",
    "graph": "!-~", "lower": "a-z", "print": " -~", "punct": "!-/:-@\\[-`{-~", "space": "\\s", "upper": "A-Z",
    "xdigit": "0-9a-fA-F",
}  # fmt: skip


def _class(glob: str, at: int) -> tuple[str, int] | None:
    """Return a bracket expression and where it ends; None when it does not."""
    negated = glob[at : at + 1] in ("!", "^")
    at += negated
    found: list[str] = []
    first = True
    while at < len(glob):
        char = glob[at]
        if char == "]" and not first:
            inner = "".join(found)
            if not inner:
                return ("." if negated else "(?!)"), at + 1
            return f"[{'^' if negated else ''}{inner}]", at + 1
        first = False
        if glob.startswith("[:", at):
            end = glob.find(":]", at + 2)
            name = glob[at + 2 : end] if end > 0 else ""
            if name not in _NAMED:
                return None
            found.append(_NAMED[name])
            at = end + 2
            continue
        low, at = _one(glob, at)
        found.append(re.escape(low))
        if glob[at : at + 1] == "-" and glob[at + 1 : at + 2] not in ("", "]"):
            high, at = _one(glob, at + 1)
            if low <= high:
                found.append(f"{re.escape(low)}-{re.escape(high)}")
    return None


def _one(glob: str, at: int) -> tuple[str, int]:
    """Return one character of a bracket expression, and where the next begins."""
    if glob[at] == "\\":
        at += 1
    return glob[at : at + 1], at + 1
