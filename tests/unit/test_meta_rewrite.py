"""A meta file written again: our keys are new, and all that the user wrote is still there, letter by letter."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dvc_like.digest import Digest
from dvc_like.errors import BadMeta
from dvc_like.meta.file import Meta, encode, parse
from dvc_like.meta.rewrite import rewrite

QUICK = settings(derandomize=True, deadline=None, max_examples=200)
HASH = Digest("blake3:" + "ab" * 32)
OTHER = Digest("blake3:" + "cd" * 32)

#: Values as people write them; none survives being parsed and dumped unchanged.
VALUES = [
    " 1.10",
    " 'it''s'",
    ' "a\\tb"  # why',
    " [a,   b, {c: 1.0}]",
    " {x: 1,\n  y: 2}",
    " |\n  text\n\n  # no comment\n  more",
    " >-\n  folded\n  text",
    "\n- a\n-   b  # the second",
    "\n  deep:\n    er: 0x10   # hex",
    " ~",
    ' "two\n\n  lines"',
    " 2024-01-31",
    " plain over\n  two lines",
]
KEYS = ["version", "labels", "desc", "meta", "'quoted key'", "ünicode"]
COMMENTS = ["# a comment", "#", "# hash: not this", "#   ünicode: [", "# size: 5"]
KNOWN = ["hash", "size", "files", "exec", "remote"]

metas = st.builds(
    Meta,
    st.sampled_from([HASH, OTHER]),
    st.integers(0, 10**9),
    st.none() | st.integers(0, 10**6),
    st.booleans(),
    st.sampled_from([None, "storage", "yes", "1.5", "a b"]),
    st.just(()),
)


@st.composite
def files(draw: st.DrawFn) -> tuple[Meta, str, list[str]]:
    """A meta file, its text in any order with the user's own in it, and the lines that are the user's."""
    meta = draw(metas)
    ours = {line.partition(":")[0]: line for line in encode(meta).decode().splitlines()}
    blocks = [(True, ours[key] + draw(st.sampled_from(["", "", "  # about it"]))) for key in ours]
    for key in draw(st.lists(st.sampled_from(KEYS), unique=True, max_size=4)):
        blocks.append((False, f"{key}:{draw(st.sampled_from(VALUES))}"))
    if draw(st.booleans()):
        blocks = draw(st.permutations(blocks))
    text, own = "", []
    for is_ours, block in blocks:
        for comment in draw(st.lists(st.sampled_from(COMMENTS), max_size=2)):
            text += comment + "\n"
            own.append(comment)
        text += block + "\n"
        if not is_ours:
            own += block.split("\n")
    if draw(st.booleans()):
        text += "# the end"
        own.append("# the end")
    return meta, text, own


@QUICK
@given(files(), metas)
def test_what_is_the_users_survives_letter_by_letter(made: tuple[Meta, str, list[str]], wanted: Meta) -> None:
    meta, text, own = made
    before = parse(text.encode(), "x.meta")
    assert before[:5] == meta[:5]
    new = wanted._replace(extra=before.extra)
    out = rewrite(new, text.encode())
    assert parse(out, "x.meta") == new
    assert rewrite(new, out) == out
    lines = out.decode().split("\n")
    for line in own:
        assert line in lines, "lost"
        lines.remove(line)
    values = [line for line in own if line and not line.startswith("#")]
    assert [line for line in out.decode().split("\n") if line in values] == values


@QUICK
@given(files())
def test_nothing_changes_where_nothing_is_new_and_the_order_is_ours(made: tuple[Meta, str, list[str]]) -> None:
    _, text, _ = made
    once = rewrite(parse(text.encode(), "x.meta"), text.encode())
    assert rewrite(parse(once, "x.meta"), once) == once


@QUICK
@given(metas)
def test_without_anything_of_the_users_it_is_our_plain_writing(meta: Meta) -> None:
    shuffled = "\n".join(reversed(encode(meta).decode().splitlines()))
    assert rewrite(meta, shuffled.encode()) == encode(meta)
    assert rewrite(meta, b"") == encode(meta)


@QUICK
@given(st.binary(max_size=80) | st.text("#:- \n\r'\"[]{}|>ab\t\x85\u2028", max_size=60).map(str.encode), metas)
def test_whatever_stands_there_the_keys_keep_their_values(tail: bytes, wanted: Meta) -> None:
    old = f"hash: {HASH}\nsize: 1\n".encode() + tail
    try:
        before = parse(old, "x.meta")
    except BadMeta:
        assert rewrite(wanted, old) == encode(wanted)
        return
    new = wanted._replace(extra=before.extra)
    out = rewrite(new, old)
    assert parse(out, "x.meta") == new
    assert rewrite(new, out) == out


def test_comments_stay_with_the_key_they_stand_above() -> None:
    text = (
        "# frames of the first flight\n"
        "---\n"
        "# what it is\n"
        f"hash: {HASH}  # do not edit\n"
        "# how much\n"
        "size: 7\n"
        "# runs\n"
        "exec: true\n"
        "\n"
        "version: 1.10\n"
        "# the end\n"
    )
    assert rewrite(Meta(OTHER, 8, 3), text.encode()).decode() == (
        "# frames of the first flight\n"
        "---\n"
        "# what it is\n"
        f"hash: {OTHER}  # do not edit\n"
        "# how much\n"
        "size: 8\n"
        "files: 3\n"
        "# runs\n"
        "\n"
        "version: 1.10\n"
        "# the end\n"
    )


def test_line_ends_of_windows_stay() -> None:
    text = f"hash: {HASH}\r\nsize: 7\r\nversion: 1.10\r\n"
    assert rewrite(Meta(OTHER, 7), text.encode()).decode() == text.replace(HASH, OTHER)


@pytest.mark.parametrize("text", ["{\nhash: H, size: 1, v: 1.10}\n", "  hash: H\n  size: 1\n  v: 1.10\n"])
def test_what_cannot_be_cut_by_lines_keeps_its_values(text: str) -> None:
    out = rewrite(Meta(OTHER, 2), text.replace("H", HASH).encode())
    assert out.decode() == f"hash: {OTHER}\nsize: 2\nv: 1.1\n"
