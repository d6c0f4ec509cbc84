"""The language of `q` in files.list: read it, and tell whether a file is meant. Knows no requests, no accounts."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from .errors import Violation, invalid

#: What a file is asked for, by name of the term: lists for parents, owners and so on, dicts for properties.
Terms = dict[str, Any]
Test = Callable[[Terms], bool]

_TOKEN = re.compile(r"\s*(?:('(?:[^'\\]|\\.)*')|([A-Za-z]+)|(!=|<=|>=|[=<>(){}]))")
_TEXT = frozenset({"=", "!="})
_ORDER = frozenset({"=", "!=", "<", ">", "<=", ">="})
_OPERATORS: dict[str, frozenset[str]] = {
    "name": _TEXT | {"contains"},
    "fullText": frozenset({"contains"}),
    "mimeType": _TEXT | {"contains"},
    "modifiedTime": _ORDER,
    "createdTime": _ORDER,
    "viewedByMeTime": _ORDER,
    "sharedWithMeTime": _ORDER,
    "trashed": _TEXT,
    "starred": _TEXT,
    "sharedWithMe": _TEXT,
    "visibility": _TEXT,
}
_IN = frozenset({"parents", "owners", "writers", "readers"})
_HAS = frozenset({"properties", "appProperties"})
_BOOLEAN = frozenset({"trashed", "starred", "sharedWithMe"})


def parse(text: str) -> Test:
    """Return the test that the query describes. Raises Violation when Drive would not read it."""
    tokens: list[str] = []
    at = 0
    stripped = text.rstrip()
    while at < len(stripped):
        match = _TOKEN.match(stripped, at)
        if match is None:
            raise _wrong(text, f"cannot be read at {stripped[at : at + 20]!r}")
        tokens.append(match[match.lastindex or 0])
        at = match.end()
    reader = _Reader(tokens, text)
    test = reader.expression()
    if reader.tokens:
        raise _wrong(text, f"more than expected: {reader.tokens[0]}")
    return test


def _wrong(text: str, why: str) -> Violation:
    made = invalid("Invalid Value", "q")
    made.message = f"Invalid Value (q = {text[:300]!r}: {why})"
    return made


class _Reader:
    def __init__(self, tokens: list[str], text: str) -> None:
        self.tokens, self._text = tokens, text

    def _next(self, *wanted: str) -> str:
        if not self.tokens:
            raise _wrong(self._text, "ends too early")
        token = self.tokens.pop(0)
        if wanted and token not in wanted:
            raise _wrong(self._text, f"{token} where {' or '.join(wanted)} belongs")
        return token

    def _string(self) -> str:
        token = self._next()
        if not token.startswith("'"):
            raise _wrong(self._text, f"{token} is no quoted text")
        return re.sub(r"\\(.)", r"\1", token[1:-1])

    def expression(self) -> Test:
        test, joined = self._factor(), ""
        while self.tokens and self.tokens[0] in ("and", "or"):
            word = self._next()
            if joined not in ("", word):  # read from left to right by Drive, by nobody else
                raise _wrong(self._text, "`and` and `or` are mixed without parentheses")
            joined, test = word, _both(word, test, self._factor())
        return test

    def _factor(self) -> Test:
        if self.tokens[:1] == ["not"]:
            self._next()
            inner = self._factor()
            return lambda terms: not inner(terms)
        if self.tokens[:1] == ["("]:
            self._next()
            test = self.expression()
            self._next(")")
            return test
        return self._comparison()

    def _comparison(self) -> Test:
        if self.tokens and self.tokens[0].startswith("'"):
            wanted = self._string()
            self._next("in")
            term = self._next(*_IN)
            return lambda terms: wanted in terms[term]
        term = self._next()
        if term in _HAS:
            return self._has(term)
        operator = self._next(*sorted(_OPERATORS.get(term, ())))
        if term not in _OPERATORS:
            raise _wrong(self._text, f"there is no term {term}")
        if term in _BOOLEAN:
            truth = self._next("true", "false") == "true"
            return lambda terms: (terms[term] == truth) is (operator == "=")
        return _compared(term, operator, self._string())

    def _has(self, term: str) -> Test:
        for word in ("has", "{", "key", "="):
            self._next(word)
        key = self._string()
        for word in ("and", "value", "="):
            self._next(word)
        value = self._string()
        self._next("}")
        return lambda terms: terms[term].get(key) == value


def _both(word: str, left: Test, right: Test) -> Test:
    if word == "and":
        return lambda terms: left(terms) and right(terms)
    return lambda terms: left(terms) or right(terms)


def _compared(term: str, operator: str, wanted: str) -> Test:
    folded = wanted.casefold()
    if operator == "contains":
        if term == "name":  # beginnings of words only
            return lambda terms: any(
                " ".join(words[at:]).startswith(folded)
                for words in [re.split(r"[\s_.-]+", terms["name"].casefold()), [terms["name"].casefold()]]
                for at in range(len(words))
            )
        return lambda terms: str(terms.get(term, "")).casefold().startswith(folded)
    compare: dict[str, Callable[[str, str], bool]] = {
        "=": lambda a, b: a == b,
        "!=": lambda a, b: a != b,
        "<": lambda a, b: a < b,
        ">": lambda a, b: a > b,
        "<=": lambda a, b: a <= b,
        ">=": lambda a, b: a >= b,
    }
    return lambda terms: compare[operator](str(terms.get(term, "")).casefold(), folded)
