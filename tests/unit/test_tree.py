"""The tree object: one folder has one spelling, and nothing unsafe can be spelled."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dvc_like import paths
from dvc_like.digest import HEX_LENGTH, Digest
from dvc_like.errors import BadTree, UnsafePath
from dvc_like.meta.tree import EXECUTABLE, FILE, FOLDER, HEADER, LINK, Entry, encode, link_stays_inside, parse

QUICK = settings(derandomize=True, deadline=None, max_examples=150)
HASH = "blake3:" + "ab" * 32
MD5 = "md5:" + "cd" * 16


def _safe(name: str) -> bool:
    try:
        paths.check_name(name)
    except UnsafePath:
        return False
    return True


names = st.one_of(
    st.text("ab.-_~ ", min_size=1, max_size=4), st.text(st.characters(codec="utf-8"), min_size=1, max_size=10)
).filter(_safe)
hashes = st.sampled_from(sorted(HEX_LENGTH)).flatmap(
    lambda algorithm: st.text("0123456789abcdef", min_size=HEX_LENGTH[algorithm], max_size=HEX_LENGTH[algorithm]).map(
        lambda hexes: Digest(f"{algorithm}:{hexes}")
    )
)
counts = st.one_of(st.integers(0, 100), st.integers(0, (1 << 63) - 1))
targets = st.lists(names | st.just(".."), min_size=1, max_size=4).map("/".join)
values = st.one_of(
    st.tuples(st.sampled_from([FILE, EXECUTABLE]), counts, hashes, st.just(1)),
    st.tuples(st.just(FOLDER), counts, hashes, counts),
    targets.map(lambda target: (LINK, len(target.encode()), target, 1)),
)
folders = st.dictionaries(names, values, max_size=8).map(
    lambda found: [Entry(name, *value) for name, value in found.items()]
)


@QUICK
@given(folders, st.randoms(use_true_random=False))
def test_a_folder_has_one_spelling_whatever_the_order(entries: list[Entry], random: object) -> None:
    data = encode(entries)
    random.shuffle(entries)  # type: ignore[attr-defined]
    assert encode(entries) == data
    got = parse(data, "tree")
    assert sorted(got) == sorted(entries)
    assert [entry.name.encode() for entry in got] == sorted(entry.name.encode() for entry in got)
    assert encode(got) == data


@settings(QUICK, max_examples=400)
@given(folders, st.data())
def test_other_bytes_are_refused_or_have_one_spelling_too(entries: list[Entry], data: st.DataObject) -> None:
    mutated = bytearray(encode(entries))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(mutated)))
        how = data.draw(st.sampled_from(["set", "insert", "delete", "repeat line", "swap lines"]))
        if how == "set" and at < len(mutated):
            mutated[at] = data.draw(st.sampled_from(b"\t\n\r 0123456789abcdefxl:./\\\x00\x1b\x7f\x85\xff\xc3"))
        elif how == "insert":
            mutated[at:at] = data.draw(
                st.sampled_from([b"\t", b"\n", b"0", b"/", b"..", b"\xc2\x85", b"\r", b" ", b"x"])
            )
        elif how == "delete":
            del mutated[at : at + data.draw(st.integers(1, 30))]
        else:
            lines = bytes(mutated).split(b"\n")
            one, other = data.draw(st.integers(0, len(lines) - 1)), data.draw(st.integers(0, len(lines) - 1))
            if how == "swap lines":
                lines[one], lines[other] = lines[other], lines[one]
            else:
                lines.insert(one, lines[other])
            mutated = bytearray(b"\n".join(lines))
    found = bytes(mutated)
    try:
        got = parse(found, "tree")
    except (BadTree, UnsafePath):
        return
    assert encode(got) == found
    assert all(paths.check_name(entry.name) for entry in got)


@QUICK
@given(st.binary(max_size=100))
def test_any_bytes_after_the_header_are_refused_or_have_one_spelling(tail: bytes) -> None:
    try:
        got = parse(HEADER + tail, "tree")
    except (BadTree, UnsafePath):
        return
    assert encode(got) == HEADER + tail


def test_an_empty_folder_is_the_header_alone() -> None:
    assert encode([]) == HEADER
    assert parse(HEADER, "tree") == []


def test_the_fields_stand_where_the_format_says() -> None:
    entries = [
        Entry("z", FILE, 5, HASH),
        Entry("run", EXECUTABLE, 6, MD5),
        Entry("l", LINK, 4, "../z"),
        Entry("d", FOLDER, 7, HASH, 3),
    ]
    assert encode(entries).decode() == (
        f"dvc-like tree 1\nd\t7\t{HASH}\t3\td\nl\t4\t../z\tl\nx\t6\t{MD5}\trun\nf\t5\t{HASH}\tz\n"
    )
    assert parse(encode(entries), "tree") == sorted(entries)
    assert [entry.data_size for entry in sorted(entries)] == [7, 0, 6, 5]
    assert Entry("z", FILE, 5, HASH).digest.algorithm == "blake3"


def test_names_are_sorted_by_their_bytes() -> None:
    order = ["A", "Z", "a", "a b", "a-b", "a.b", "a0", "ab", "é", "日", "\uffee", "😀"]
    data = encode([Entry(name, FILE, 1, HASH) for name in reversed(order)])
    assert [entry.name for entry in parse(data, "tree")] == order


def line(name: str = "a", kind: str = "f", size: object = 1, value: str = HASH, *more: object) -> str:
    return "\t".join([kind, str(size), value, *map(str, more), name]) + "\n"


BAD_LINES = {
    "no last newline": line()[:-1],
    "carriage return": line()[:-1] + "\r\n",
    "blank line": line() + "\n",
    "blank line first": "\n" + line(),
    "leading zero": line(size="01"),
    "plus": line(size="+1"),
    "minus": line(size="-1"),
    "blank in number": line(size=" 1"),
    "underscore": line(size="1_0"),
    "arabic digit": line(size="\u0661"),
    "twenty digits": line(size="1" * 20),
    "size over the limit": line(size=1 << 63),
    "size of a folder over the limit": line("a", "d", 1 << 63, HASH, 1),
    "files over the limit": line("a", "d", 1, HASH, 1 << 63),
    "no number": line(size=""),
    "unknown kind": line(kind="s"),
    "capital kind": line(kind="F"),
    "short digest": line(value=HASH[:-1]),
    "capital digest": line(value="blake3:" + "AB" * 32),
    "unknown algorithm": line(value="blake2:" + "ab" * 32),
    "digest that is a path": line(value="../../../etc/passwd"),
    "file with a count": line("a", "f", 1, HASH, 1),
    "folder without a count": line("a", "d", 1),
    "folder with a leading zero": line("a", "d", 1, HASH, "01"),
    "missing name": f"f\t1\t{HASH}\n",
    "empty name": line(""),
    "two tabs": line().replace("\t", "\t\t"),
    "blanks for tabs": line().replace("\t", " "),
    "tab in the name": line("a\tb"),
    "slash in the name": line("a/b"),
    "twice": line() + line(),
    "twice as file and folder": line("a", "d", 1, HASH, 1) + line("a"),
    "not sorted": line("b") + line("a"),
    "sorted by case": line("a") + line("B"),
    "link to nothing": line("a", "l", 0, ""),
    "link over lines": line("a", "l", 3, "b\nc"),
    "text after": line() + "x",
}


@pytest.mark.parametrize("text", BAD_LINES.values(), ids=BAD_LINES)
def test_what_breaks_the_format_is_refused(text: str) -> None:
    with pytest.raises(BadTree) as caught:
        parse(HEADER + text.encode(), "the tree of data")
    assert "the tree of data" in caught.value.message
    assert caught.value.message.isprintable()


@pytest.mark.parametrize("name", [".", "..", ".git", ".GIT", ".g\u200cit", "git~1", ".dvc-like", "a\\b", ".git::x"])
@pytest.mark.parametrize("kind", [FILE, EXECUTABLE, LINK, FOLDER])
def test_an_unsafe_name_is_refused_whatever_it_names(name: str, kind: str) -> None:
    value = ("l", 1, "x", 1) if kind == LINK else (kind, 1, HASH, 1)
    with pytest.raises(UnsafePath):
        parse(encode([Entry(name, *value)]), "tree")


@pytest.mark.parametrize("name", ["a\0b", "a\x1b[2J", "a\x7f", "a\u0085", "a\u2028", "a\u009b"])
def test_a_control_character_in_a_name_is_refused(name: str) -> None:
    with pytest.raises((BadTree, UnsafePath)) as caught:
        parse(HEADER + line(name).encode(), "tree")
    assert caught.value.message.isprintable()


def test_a_name_that_is_too_long_is_refused() -> None:
    assert parse(HEADER + line("a" * 255).encode(), "tree")
    for long in ("a" * 256, "é" * 128):
        with pytest.raises(UnsafePath):
            parse(HEADER + line(long).encode(), "tree")


@pytest.mark.parametrize("data", [b"a\xff", b"a\xc0\x80", b"a\xed\xa0\x80", b"a\xf5\x80\x80\x80"])
def test_a_name_that_is_not_utf8_is_refused(data: bytes) -> None:
    with pytest.raises(BadTree):
        parse(HEADER + b"f\t1\t" + HASH.encode() + b"\t" + data + b"\n", "tree")


@pytest.mark.parametrize("target", ["/etc/passwd", "/", "a\\b", "..\\a", "C:\\x", "x" * 4096])
def test_a_link_that_is_not_relative_is_refused(target: str) -> None:
    with pytest.raises(UnsafePath):
        parse(HEADER + line("a", "l", len(target), target).encode(), "tree")


@pytest.mark.parametrize("size", [0, 2, 4, 1 << 40])
def test_a_link_whose_size_is_not_that_of_its_text_is_refused(size: int) -> None:
    with pytest.raises((BadTree, UnsafePath)):
        parse(HEADER + line("a", "l", size, "abc").encode(), "tree")


@pytest.mark.parametrize("target", ["a\x1b[2J", "a\0", "a\u2028b", "a\x7f"])
def test_a_link_with_a_control_character_is_refused(target: str) -> None:
    with pytest.raises((BadTree, UnsafePath)):
        parse(HEADER + line("a", "l", len(target.encode()), target).encode(), "tree")


@pytest.mark.parametrize(
    "header", [b"", b"dvc-like tree 1", b"dvc-like tree 1\r\n", b"\xef\xbb\xbfdvc-like tree 1\n", b"tree 1\n", b"{}\n"]
)
def test_what_does_not_begin_with_the_header_is_no_tree(header: bytes) -> None:
    with pytest.raises(BadTree, match="not a tree"):
        parse(header + line().encode(), "tree")


@pytest.mark.parametrize("number", [b"2", b"10", b"99"])
def test_a_newer_tree_says_so(number: bytes) -> None:
    with pytest.raises(BadTree) as caught:
        parse(b"dvc-like tree " + number + b"\nnew grammar\n", "tree")
    assert "newer" in caught.value.message
    assert "Upgrade" in caught.value.hint


def test_a_long_bad_line_is_shown_short() -> None:
    with pytest.raises(BadTree) as caught:
        parse(HEADER + b"x" * 1_000_000, "tree")
    assert len(caught.value.message) < 300


# ------------------------------------------------------------------------------ links


@pytest.mark.parametrize(
    ("depth", "target", "inside"),
    [
        (0, "a", True),
        (0, "a/b", True),
        (0, "./a", True),
        (0, ".", True),
        (0, "..", False),
        (0, "../a", False),
        (0, "a/../..", False),
        (0, "a/../../data/b", False),
        (1, "..", True),
        (1, "../a", True),
        (1, "../../a", False),
        (1, "..//..//a", False),
        (1, "./../.", True),
        (3, "../../../a", True),
        (3, "../../../../a", False),
        (3, "../../../../data/x", False),  # coming back in by name is leaving all the same
        (0, "/", False),
        (0, "/a", False),
        (5, "", False),
        (0, "...", True),
        (0, "..a", True),
    ],
)
def test_a_link_stays_inside_by_its_text(depth: int, target: str, inside: bool) -> None:
    assert link_stays_inside(depth, target) is inside


def test_links_that_all_stay_inside_do_not_lead_out_together(tmp_path: Path) -> None:
    """``s`` goes up to the root, ``x`` goes through ``s`` and up again: by its text alone ``x`` looks harmless."""
    root = tmp_path / "project/data"
    links = {"d/e/s": "../..", "d/e/x": "s/../../secret"}
    (root / "d/e").mkdir(parents=True)
    (tmp_path / "secret").write_text("secret")
    accepted = {name: target for name, target in links.items() if link_stays_inside(name.count("/"), target)}
    for name, target in accepted.items():
        os.symlink(target, root / name)
    for name in accepted:
        assert os.path.realpath(root / name).startswith(os.path.realpath(root)), name


@QUICK
@given(
    st.dictionaries(
        st.sampled_from(["a", "b", "d/a", "d/b", "d/e/a", "d/e/b"]),
        st.lists(st.sampled_from(["..", ".", "a", "b", "d", "e"]), min_size=1, max_size=5).map("/".join),
        min_size=1,
    )
)
def test_a_single_link_that_stays_inside_does_so_on_disk(links: dict[str, str]) -> None:
    for name, target in links.items():
        depth = name.count("/")
        folder = "/root/" + name.rpartition("/")[0]
        if link_stays_inside(depth, target):
            assert (os.path.normpath(f"{folder}/{target}") + "/").startswith("/root/")
