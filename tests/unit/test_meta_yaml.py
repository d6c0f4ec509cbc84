"""YAML with the doors closed: nothing but one small document of plain data gets in."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dvc_like.meta.yaml import dump, load

QUICK = settings(derandomize=True, deadline=None, max_examples=100)


def read(text: str, depth: int = 32) -> Any:
    return load(text.encode(), depth)


def test_plain_data_comes_in() -> None:
    text = "a: 1\nb: [x, 2.5, true, null]\nc: {d: 'e'}\n"
    assert read(text) == {"a": 1, "b": ["x", 2.5, True, None], "c": {"d": "e"}}


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(12)
)


@pytest.mark.parametrize(
    "text",
    [
        BOMB,
        "a: &a 1\nb: *a\n",
        "a: &a 1\n",  # an anchor alone has no use
        "&a {a: 1}\n",
        "a: &a [*a]\n",
        "base: &b {x: 1}\nc: {<<: *b}\n",
    ],
    ids=["bomb", "alias", "anchor", "anchored root", "loop", "merge"],
)
def test_aliases_and_anchors_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"alias|anchor"):
        read(text)


@pytest.mark.parametrize(
    "text",
    [
        "a: !!python/object/apply:os.system [id]\n",
        "!!python/object:object {}\n",
        "a: !!str 1\n",
        "a: !mine x\n",
        "a: ! x\n",
        "a: !<tag:yaml.org,2002:int> 1\n",
        "%TAG ! tag:x,2000:\n---\na: !b c\n",
        "!!set {a, b}\n",
        "a: !!binary aGk=\n",
        "!!omap [a: 1]\n",
        "!!str a: 1\n",
    ],
)
def test_tags_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="tags"):
        read(text)


@pytest.mark.parametrize("text", ["a: 1\na: 2\n", "{a: 1, 'a': 1}\n", "x: {b: 1, c: 2, b: 3}\n", '[{a: 1, "a": 2}]\n'])
def test_a_key_that_stands_twice_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="twice"):
        read(text)


@pytest.mark.parametrize(
    "text", ["1: a\n", "true: a\n", "null: a\n", "? [a]\n: b\n", "? {a: b}\n: c\n", "x: {2.5: a}\n"]
)
def test_a_key_that_is_no_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="key"):
        read(text)


@pytest.mark.parametrize("text", ["a: 1\n---\nb: 2\n", "---\na: 1\n...\n---\n", "a: 1\n...\n--- x\n"])
def test_a_second_document_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="document"):
        read(text)


def test_one_document_with_its_marks_is_fine() -> None:
    assert read("%YAML 1.1\n---\na: 1\n...\n") == {"a": 1}


@pytest.mark.parametrize("flow", [True, False])
def test_nesting_ends_at_the_limit(flow: bool) -> None:
    def nested(depth: int) -> str:
        if flow:
            return "[" * depth + "]" * depth
        return "".join(f"{' ' * n}a:\n" for n in range(depth)) + " " * depth + "x\n"

    read(nested(32))
    with pytest.raises(ValueError, match="deep"):
        read(nested(33))


def test_nesting_without_end_is_refused_at_once() -> None:
    for text in ("[" * 500_000, "{a: " * 200_000, "- " * 200_000):
        with pytest.raises(ValueError, match=r"deep|depth"):
            read(text)


@pytest.mark.parametrize(
    "text", ["2024-01-31", "2024-01-31 10:00:00", "2001-12-14t21:59:43.10-05:00", "=", "<<", "0xg", "1.2.3", "~x"]
)
def test_a_date_and_its_like_stay_text(text: str) -> None:
    assert read(f"a: {text}\n") == {"a": text}


@pytest.mark.parametrize("text", ["a: [\n", "a: 'x\n", "a: b: c\n", "\tx: 1\n", "a: \x00\n", "@a\n", "a: \x1b\n", "%x"])
def test_what_is_no_yaml_is_a_value_error_on_one_line(text: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        read(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("number", ["1" * 5000, "0x" + "f" * 5000, "1:" * 3000 + "1", "0b_", "0x_", "-.inf"])
def test_a_strange_number_is_read_or_refused(number: str) -> None:
    try:
        read(f"a: {number}\n")
    except ValueError:
        return


@QUICK
@given(st.binary(max_size=200))
def test_any_bytes_are_data_or_a_value_error(data: bytes) -> None:
    try:
        load(data, 32)
    except ValueError:
        return


@QUICK
@given(st.text(st.sampled_from("ab:-[]{}&*!<>|'\"#%@ \n,?~0.1"), max_size=40))
def test_any_text_is_data_or_a_value_error(text: str) -> None:
    try:
        read(text)
    except ValueError:
        return


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False),
    st.text(st.characters(codec="utf-8"), max_size=20),
    st.sampled_from(
        ["2024-01-31", "yes", "null", "1.10", "0x1F", "1:30", "<<", "=", "- a", "a: b", " x ", "\u2028", "~"]
    ),
)
documents = st.dictionaries(
    st.one_of(
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=10),
        st.sampled_from(["<<", "yes", "1", "~", "=", "a b"]),
    ),
    st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=3), inner, max_size=3),
        max_leaves=8,
    ),
    max_size=5,
)


@settings(QUICK, max_examples=150)
@given(documents)
def test_what_is_written_is_read_back_in_the_same_order(document: dict[str, Any]) -> None:
    text = dump(document)
    got = load(text.encode(), 32)
    assert got == document
    assert list(got) == list(document)
    assert dump(got) == text
