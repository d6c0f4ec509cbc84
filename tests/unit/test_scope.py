"""Patterns over paths: what matches, what can still match below, and what a profile adds."""

from __future__ import annotations

import pytest

from dvc_like.ops._scope import Scope


@pytest.mark.parametrize(
    ("pattern", "asked", "not_asked"),
    [
        ("data", ["data", "data/x", "data/a/b"], ["dat", "data2", "x/data"]),
        ("data/*", ["data/x", "data/x/y"], ["data", "other/x"]),
        ("data/**", ["data", "data/x", "data/x/y"], ["datax", "x/data"]),
        ("**/*.raw", ["a.raw", "d/a.raw", "d/e/a.raw", "x.raw/inner"], ["a.jpg", "raw", "d/a.raw2"]),
        ("data/**/*.jpg", ["data/a.jpg", "data/b/c/a.jpg"], ["a.jpg", "data/a.png", "other/data/a.jpg"]),
        ("**/b/**/c", ["b/c", "a/b/c", "b/x/y/c", "a/b/x/c/d"], ["b", "c", "bc", "a/b"]),
        ("da?a/[ab]x", ["data/ax", "daka/bx"], ["data/cx", "daa/ax", "d/a/ax"]),
        ("*", ["anything", "any/thing"], [""]),
        ("**", ["x", "x/y", ""], []),
        ("a.b/c+d", ["a.b/c+d"], ["aXb/c+d", "a.b/ccd"]),
    ],
)
def test_what_a_pattern_asks_for(pattern: str, asked: list[str], not_asked: list[str]) -> None:
    scope = Scope([pattern])
    for path in asked:
        assert scope.asks(path), path
        parts = path.split("/")
        assert all(scope.enters("/".join(parts[:end])) for end in range(1, len(parts)))
    assert not any(scope.asks(path) for path in not_asked)


def test_a_folder_in_which_nothing_can_match_is_not_entered() -> None:
    scope = Scope(["data/*/x", "model"])
    assert scope.enters("data")
    assert scope.enters("data/any")
    assert not scope.enters("data/any/other")
    assert not scope.enters("other")
    assert not Scope(exclude=["**"]).enters("data")


def test_what_is_excluded_is_excluded_whatever_asks_for_it() -> None:
    scope = Scope(["data", "data/a/keep.raw"], ["**/*.raw", "data/b"])
    assert scope.asks("data/a/x")
    assert not scope.asks("data/a/keep.raw")
    assert not scope.enters("data/b")
    assert not scope.asks_all("data/a")  # a raw file may lie there
    assert Scope(["data"], ["other"]).asks_all("data/a")


def test_within_narrows_to_paths_as_they_are_spelt() -> None:
    scope = Scope(["**/*.jpg"]).within(["data/[1]*", "data/b"])
    assert scope.asks("data/[1]*/x.jpg")
    assert not scope.asks("data/1x/x.jpg")
    assert not scope.asks("data/b/x.png")
    assert not scope.enters("data/c")


def test_a_profile_asks_for_what_is_here_as_well() -> None:
    here = {"data": frozenset(["a", "x.raw"]), "data/a": frozenset(["y.raw"]), "single.raw": frozenset(["single.raw"])}
    scope = Scope(["data"], ["**/*.raw"], here.get)
    assert scope.is_profile
    assert scope.asks("data/x.raw")
    assert scope.asks("data/a/y.raw")
    assert scope.asks("single.raw")
    assert not scope.asks("data/z.raw")
    assert not scope.asks("data/a/x.raw")


def test_a_hostile_pattern_ends() -> None:
    scope = Scope(["**/" * 30 + "x", "*a*a*a*a*a*a*a*a*a*b"])
    assert not scope.asks("/".join("a" * 200 for _ in range(200)))
