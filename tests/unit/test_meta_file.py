"""The meta file: one reading for every way to write it, one way to write it, and words for what is wrong with it."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dvc_like.digest import HEX_LENGTH, Digest
from dvc_like.errors import BadMeta
from dvc_like.meta import file as metas
from dvc_like.meta.file import MAX_SIZE, Meta, encode, parse

QUICK = settings(derandomize=True, deadline=None, max_examples=150)
HASH = "blake3:" + "ab" * 32
LARGEST = (1 << 63) - 1


def refused(text: str | bytes) -> BadMeta:
    """Check that the text is refused, and that the message names the file; return the error."""
    with pytest.raises(BadMeta) as caught:
        parse(text.encode() if isinstance(text, str) else text, "data/x.meta")
    assert "data/x.meta" in caught.value.message
    assert caught.value.exit_code == 7
    assert all(char.isprintable() for char in caught.value.message)
    return caught.value


digests_ = st.sampled_from(sorted(HEX_LENGTH)).flatmap(
    lambda algorithm: st.text("0123456789abcdef", min_size=HEX_LENGTH[algorithm], max_size=HEX_LENGTH[algorithm]).map(
        lambda hexes: Digest(f"{algorithm}:{hexes}")
    )
)
counts = st.one_of(st.integers(0, LARGEST), st.sampled_from([0, 1, LARGEST]))
remotes = st.one_of(
    st.none(),
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,20}", fullmatch=True),
    st.sampled_from(["yes", "No", "ON", "y", "null", "TRUE", "1", "1.5", "1e5", "nan", "off", "2024-01-01", "0x1"]),
)
extras = st.dictionaries(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=8).filter(
        lambda key: key not in ("hash", "size", "files", "exec", "remote")
    ),
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.text(st.characters(codec="utf-8"), max_size=90),
        st.lists(st.text("ab", max_size=3), max_size=3),
    ),
    max_size=4,
)
meta_values = st.builds(
    Meta, digests_, counts, st.none() | counts, st.booleans(), remotes, extras.map(lambda extra: tuple(extra.items()))
)


@QUICK
@given(meta_values)
def test_what_is_written_is_read_back_and_written_the_same_again(meta: Meta) -> None:
    data = encode(meta)
    assert parse(data, "x.meta") == meta
    assert encode(parse(data, "x.meta")) == data
    assert data.endswith(b"\n")


@QUICK
@given(meta_values)
def test_both_roads_lead_to_the_same(meta: Meta) -> None:
    data = encode(meta)
    assert metas._parse_yaml(data, "x.meta") == parse(data, "x.meta")


def assert_both_roads_agree(data: bytes) -> None:
    outcomes = []
    for road in (parse, metas._parse_yaml):
        try:
            outcomes.append(road(data, "x.meta"))
        except BadMeta:
            outcomes.append(None)
    assert outcomes[0] == outcomes[1]


NUMBERS = ["0", "1", "00", "01", "010", "-1", "+1", "1.0", "1e3", "1_0", "0x10", "1:30", str(LARGEST), str(LARGEST + 1)]
NUMBERS += ["9" * 19, "9" * 20, "9" * 5000, "", "~", "true", "'1'", "[1]", "\u0661"]


@pytest.mark.parametrize("key", ["size", "files"])
@pytest.mark.parametrize("number", NUMBERS, ids=lambda text: text[:20])
def test_both_roads_agree_on_every_number(key: str, number: str) -> None:
    lines = {"size": "5", **{key: number}}
    data = f"hash: {HASH}\n".encode() + "".join(f"{name}: {text}\n" for name, text in lines.items()).encode()
    assert_both_roads_agree(data)


REMOTES = ["a", "yes", "YES", "No", "on", "Off", "y", "N", "true", "False", "null", "NULL", "~", "a-b_c", "inf", "nan"]
REMOTES += ["e5", "E", "x" * 100, "x" * 101, "a.b", "a b", "'q'", "a: b", "a #c", "1", "-", "[a]"]


@pytest.mark.parametrize("remote", REMOTES, ids=lambda text: text[:20])
def test_both_roads_agree_on_every_remote(remote: str) -> None:
    data = f"hash: {HASH}\nsize: 1\nremote: {remote}\n".encode()
    assert_both_roads_agree(data)


@QUICK
@given(st.data())
def test_both_roads_agree_on_any_damage(data: st.DataObject) -> None:
    good = bytearray(f"hash: {HASH}\nsize: 12\nfiles: 3\nexec: true\nremote: storage\n".encode())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(good) - 1))
        if data.draw(st.booleans()):
            good[at] = data.draw(st.integers(0, 255))
        else:
            del good[at : at + data.draw(st.integers(1, 20))]
        assume(good)
    outcomes = []
    for road in (parse, metas._parse_yaml):
        try:
            outcomes.append(road(bytes(good), "x.meta"))
        except BadMeta:
            outcomes.append(None)
    assert outcomes[0] == outcomes[1]


@QUICK
@given(st.binary(max_size=120))
def test_any_bytes_are_a_meta_file_or_refused(tail: bytes) -> None:
    for data in (tail, f"hash: {HASH}\nsize: 1\n".encode() + tail):
        try:
            meta = parse(data, "x.meta")
        except BadMeta:
            continue
        assert parse(encode(meta), "x.meta") == meta


# ------------------------------------------------------------------------------ writing


def test_the_keys_have_one_order_and_the_others_keep_theirs() -> None:
    text = "meta: {b: 1, a: 2}\nexec: true\nzeta: 1\nsize: 7\nremote: storage\nalpha: x\nfiles: 2\n# a comment\n"
    text += f"hash: {HASH}\n"
    assert encode(parse(text.encode(), "x.meta")).decode() == (
        f"hash: {HASH}\nsize: 7\nfiles: 2\nexec: true\nremote: storage\nmeta:\n  b: 1\n  a: 2\nzeta: 1\nalpha: x\n"
    )


def test_the_shortest_is_two_lines() -> None:
    assert encode(Meta(Digest(HASH), 0)) == f"hash: {HASH}\nsize: 0\n".encode()
    assert encode(Meta(Digest(HASH), 0, 0)) == f"hash: {HASH}\nsize: 0\nfiles: 0\n".encode()


def test_a_date_stays_text_through_a_rewrite() -> None:
    meta = parse(f"hash: {HASH}\nsize: 1\ntaken: 2024-01-31\n".encode(), "x.meta")
    assert meta.extra == (("taken", "2024-01-31"),)
    assert parse(encode(meta), "x.meta") == meta


def test_long_text_survives() -> None:
    meta = Meta(Digest(HASH), 1, extra=(("desc", "word " * 200 + "\n\n  indented: [x]\n"), ("ü", "日本\u2028")))
    assert parse(encode(meta), "x.meta") == meta


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_other_line_ends_and_no_last_one_are_read(end: str) -> None:
    text = end.join([f"hash: {HASH}", "size: 7", "remote: a"])
    assert parse(text.encode(), "x.meta") == parse((text + end).encode(), "x.meta") == Meta(Digest(HASH), 7, remote="a")


def test_folder_or_file_is_said_by_files() -> None:
    file, folder = Meta(Digest(HASH), 1), Meta(Digest(HASH), 1, 0)
    assert (file.is_folder, file.file_count) == (False, 1)
    assert (folder.is_folder, folder.file_count) == (True, 0)


# ------------------------------------------------------------------------------ what is wrong


@pytest.mark.parametrize("data", [b"", b"\n", b"  \n\t\r\n"])
def test_an_empty_file_is_called_empty(data: bytes) -> None:
    error = refused(data)
    assert "empty" in error.message
    assert "git checkout" in error.hint


WHOLE = f"hash: {HASH}\nsize: 7\nfiles: 2\nremote: storage\n"


@pytest.mark.parametrize("length", range(1, WHOLE.index("size: 7")))
def test_a_truncated_file_is_refused(length: int) -> None:
    refused(WHOLE[:length])


def test_zeros_after_a_power_cut_are_refused() -> None:
    refused(bytes(100))


CONFLICT = f"""<<<<<<< HEAD
hash: {HASH}
size: 1
=======
hash: blake3:{"cd" * 32}
size: 2
>>>>>>> side
"""


@pytest.mark.parametrize(
    "text",
    [
        CONFLICT,
        CONFLICT.replace("=======", "||||||| base\nhash: x\n======="),
        "desc: x\n" + CONFLICT,
        CONFLICT.replace("\n", "\r\n"),
        f"hash: {HASH}\n<<<<<<< Updated upstream\nsize: 1\n=======\nsize: 2\n>>>>>>> Stashed changes\n",
    ],
)
def test_a_merge_conflict_is_called_by_its_name(text: str) -> None:
    error = refused(text)
    assert "merge conflict" in error.message
    assert "--ours" in error.hint


@pytest.mark.parametrize(
    "text",
    [
        "hello\n",
        "- a\n",
        "1\n",
        "null\n",
        "size: 1\n",
        f"hash: {HASH}\n",
        f"hash: {HASH}\nsize: -1\n",
        f"hash: {HASH}\nsize: 1.5\n",
        f"hash: {HASH}\nsize: true\n",
        f"hash: {HASH}\nsize: '1'\n",
        f"hash: {HASH}\nsize: {1 << 63}\n",
        f"hash: {HASH}\nsize: 1\nfiles: {1 << 63}\n",
        f"hash: {HASH}\nsize: 1\nfiles: -1\n",
        f"hash: {HASH}\nsize: 1\nfiles: []\n",
        f"hash: {HASH}\nsize: 1\nexec: 1\n",
        f"hash: {HASH}\nsize: 1\nexec: 'true'\n",
        f"hash: {HASH}\nsize: 1\nremote: 1\n",
        f"hash: {HASH}\nsize: 1\nremote: [a]\n",
        f"hash: {HASH}\nsize: 1\nsize: 1\n",
        f"hash: {HASH}\nsize: 1\n---\nhash: {HASH}\nsize: 1\n",
        f"hash: &a {HASH}\nsize: 1\n",
        f"hash: !!str {HASH}\nsize: 1\n",
        f"hash: {HASH}\nsize: 1\nmeta: {'[' * 32 + ']' * 32}\n",
        "hash: ../../..\nsize: 1\n",
        "hash: [a]\nsize: 1\n",
        f"hash: {HASH.upper()}\nsize: 1\n",
        f"hash: '{HASH}\\n'\nsize: 1\n",
        f'hash: "{HASH}\\n"\nsize: 1\n',
        "hash: md5:d41d8cd98f00b204e9800998ecf8427e.dir\nsize: 1\n",
        "outs:\n- md5: d41d8cd98f00b204e9800998ecf8427e\n  path: x\n",
        f"hash: {HASH}\nsize: 1\ndesc: \x1b[2J\n",
    ],
)
def test_what_is_not_certain_is_refused(text: str) -> None:
    refused(text)


def test_a_message_is_short_and_cannot_move_the_cursor() -> None:
    assert len(refused('hash: "\\e[2J' + "x" * 10_000 + '"\nsize: 1\n').message) < 300


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "latin-1"])
def test_what_is_not_utf8_is_refused(encoding: str) -> None:
    refused(f"hash: {HASH}\nsize: 1\ndesc: ü\n".encode(encoding))


def test_the_size_is_bounded() -> None:
    start = f"hash: {HASH}\nsize: 1\ndesc: "
    fitting = start + "x" * (MAX_SIZE - len(start) - 1) + "\n"
    assert len(fitting) == MAX_SIZE
    assert len(parse(fitting.encode(), "x.meta").extra) == 1
    error = refused(fitting[:-1] + "x\n")
    assert "larger" in error.message


def test_thirty_two_levels_are_fine() -> None:
    text = f"hash: {HASH}\nsize: 1\nmeta: {'[' * 31 + ']' * 31}\n"
    assert parse(text.encode(), "x.meta").extra[0][0] == "meta"
