"""Three versions of a folder become one: nothing is lost, and what only one side did is done."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dvc_like import digest as digests
from dvc_like.errors import UnsafePath
from dvc_like.meta.tree import EXECUTABLE, FILE, FOLDER, LINK, Entry, encode, parse
from dvc_like.ops._merge_trees import Merger, Three, Undecided, choose
from dvc_like.paths import RelPath

QUICK = settings(derandomize=True, deadline=None, max_examples=200)

#: A folder is a dict, a file its text; "+" in front makes it executable, "->" makes it a link.
Spec = dict[str, Any]
Flat = dict[str, tuple[str, str]]


class Trees:
    """Listings in memory, and how often each was read."""

    def __init__(self) -> None:
        self.listed: dict[str, bytes] = {}
        self.reads: list[str] = []

    def put(self, name: str, spec: Any) -> Entry:
        if isinstance(spec, dict):
            return self.put_folder(name, [self.put(below, content) for below, content in spec.items()])
        if spec.startswith("->"):
            return Entry(name, LINK, len(spec) - 2, spec[2:])
        kind = EXECUTABLE if spec.startswith("+") else FILE
        text = spec.removeprefix("+")
        return Entry(name, kind, len(text), digests.of_bytes("xxh128", text.encode()))

    def put_folder(self, name: str, entries: list[Entry]) -> Entry:
        data = encode(entries)
        digest = digests.of_bytes("xxh128", data)
        self.listed[digest] = data
        return Entry(name, FOLDER, sum(one.data_size for one in entries), digest, sum(one.files for one in entries))

    def read(self, entry: Entry, path: RelPath, depth: int) -> list[Entry] | None:
        self.reads.append(path)
        return parse(self.listed[entry.value], path) if entry.value in self.listed else None

    def merge(self, base: Spec | None, ours: Spec, theirs: Spec) -> tuple[Entry, Merger]:
        merger = Merger(self.read, "xxh128")
        three = Three(*(None if spec is None else self.put("data", spec) for spec in (base, ours, theirs)))
        try:
            merged = choose(*three)
        except Undecided:
            merged = merger.merge(three, RelPath("data"))
        assert merged is not None
        self.listed.update((digests.of_bytes("xxh128", data), data) for data in merger.made)
        return merged, merger

    def flat(self, entry: Entry, path: str = "") -> Flat:
        """Return kind and value of everything below, checking the totals on the way."""
        found: Flat = {}
        entries = parse(self.listed[entry.value], path)
        assert (entry.size, entry.files) == (sum(e.data_size for e in entries), sum(e.files for e in entries))
        for one in entries:
            if one.kind == FOLDER:
                found[f"{path}{one.name}/"] = (FOLDER, "")
                found.update(self.flat(one, f"{path}{one.name}/"))
            else:
                found[path + one.name] = (one.kind, one.value)
        return found

    def shown(self, entry: Entry) -> Spec:
        """Return a folder as it was specified."""
        texts = {digests.of_bytes("xxh128", text.encode()): text for text in TEXTS}
        found: Spec = {}
        for one in parse(self.listed[entry.value], "x"):
            if one.kind == FOLDER:
                found[one.name] = self.shown(one)
            elif one.kind == LINK:
                found[one.name] = "->" + one.value
            else:
                found[one.name] = ("+" if one.kind == EXECUTABLE else "") + texts[one.digest]
        return found


TEXTS = ["", "1", "22", "333", "4444"]
files = st.sampled_from([*TEXTS, "+1", "+22", "->a", "->b"])


def folders(names: list[str]) -> st.SearchStrategy[Spec]:
    return st.recursive(
        st.dictionaries(st.sampled_from(names), files, max_size=4),
        lambda below: st.dictionaries(st.sampled_from(names), files | below, max_size=4),
        max_leaves=8,
    )


plain = folders(["a", "b", "c.txt", "d"])
tricky = folders(["a", "a.ours", "a.theirs", "A.OURS", "c.txt", "c.ours.txt", "c.theirs-2.txt"])


@QUICK
@given(plain, plain)
def test_what_one_side_did_is_the_result(base: Spec, changed: Spec) -> None:
    trees = Trees()
    for ours, theirs in ((changed, base), (base, changed), (changed, changed)):
        merged, merger = trees.merge(base, ours, theirs)
        assert merged == trees.put("data", changed)
        assert not merger.conflicts
        assert not merger.made


def is_rename(path: str, was: Flat, side: Flat, other: Flat) -> bool:
    """Tell whether a file, or a folder above it, only has a new name here, and the other side changed it."""
    parts = path.split("/")
    for at in range(len(parts)):
        for name in {old.split("/")[at] for old in was if old.count("/") >= at}:
            old, top = "/".join([*parts[:at], name, *parts[at + 1 :]]), "/".join([*parts[:at], name])
            is_moved = was.get(old, ("", ""))[1] == side[path][1] and not {top, f"{top}/"} & side.keys()
            if is_moved and {top, f"{top}/"} & other.keys() and other.get(old) != was[old]:
                return True
    return False


@QUICK
@given(tricky, tricky, tricky)
def test_nothing_is_lost(base: Spec, ours: Spec, theirs: Spec) -> None:
    trees = Trees()
    merged, merger = trees.merge(base, ours, theirs)
    was = trees.flat(trees.put("data", base))
    mine, yours = (trees.flat(trees.put("data", side)) for side in (ours, theirs))
    result = trees.flat(merged)
    values = {value for _, value in result.values()}
    for side, other in ((mine, yours), (yours, mine)):
        for path, (kind, value) in side.items():
            if was.get(path) == (kind, value) == other.get(path):
                assert result[path] == (kind, value)
            elif was.get(path, ("", ""))[1] != value:  # new on this side, or changed by it
                assert value in values, path
    for conflict in merger.conflicts:
        for kept in conflict.kept:
            inner = kept.removeprefix("data/")
            assert inner in result or f"{inner}/" in result
    for path in result.keys() - mine.keys() - yours.keys():
        assert ".ours" in path or ".theirs" in path


@QUICK
@given(plain, plain, plain)
def test_the_sides_are_equal_but_for_their_names(base: Spec, ours: Spec, theirs: Spec) -> None:
    trees = Trees()
    one, other = trees.merge(base, ours, theirs), trees.merge(base, theirs, ours)
    swapped = {
        path.replace(".ours", ".0").replace(".theirs", ".ours").replace(".0", ".theirs"): value
        for path, value in trees.flat(other[0]).items()
    }
    assert swapped == trees.flat(one[0])
    assert len(one[1].conflicts) == len(other[1].conflicts)


CASES: dict[str, tuple[Spec, Spec, Spec, Spec, int]] = {
    "both delete one, each adds one": (
        {"a": "1", "b": "22"},
        {"b": "22", "c": "333"},
        {"b": "22", "d": "4444"},
        {"b": "22", "c": "333", "d": "4444"},
        0,
    ),
    "both add the same": ({}, {"a": "1"}, {"a": "1", "b": "22"}, {"a": "1", "b": "22"}, 0),
    "one renames, the other adds": ({"a": "1"}, {"b": "1"}, {"a": "1", "c": "22"}, {"b": "1", "c": "22"}, 0),
    "each renames another": (
        {"a": "1", "b": "22"}, {"c": "1", "b": "22"}, {"a": "1", "d": "22"}, {"c": "1", "d": "22"}, 0
    ),
    "renamed here, changed there": ({"a": "1", "c": ""}, {"b": "1"}, {"a": "22", "c": ""}, {"b": "22"}, 0),
    "renamed there with a bit, changed here": ({"a": "1"}, {"a": "22"}, {"b": "+1"}, {"b": "+22"}, 0),
    "a renamed folder": (
        {"d": {"a": "1"}}, {"e": {"a": "1"}}, {"d": {"a": "1", "b": "22"}}, {"e": {"a": "1", "b": "22"}}, 0
    ),
    "which of two new names is not known": (
        {"a": "1"}, {"b": "1", "c": "1"}, {"a": "22"}, {"a.theirs": "22", "b": "1", "c": "1"}, 1
    ),
    "the new name is taken there": (
        {"a": "1"}, {"b": "1"}, {"a": "22", "b": "333"}, {"a.theirs": "22", "b.ours": "1", "b.theirs": "333"}, 2
    ),
    "an empty file is like any other": ({"a": ""}, {"b": ""}, {"a": "1"}, {"a.theirs": "1", "b": ""}, 1),
    "bytes here, bit there": ({"a": "1"}, {"a": "+1"}, {"a": "22"}, {"a": "+22"}, 0),
    "one file, two changes": (
        {"a.txt": "1"}, {"a.txt": "22"}, {"a.txt": "333"}, {"a.ours.txt": "22", "a.theirs.txt": "333"}, 1
    ),
    "changed and deleted": ({"a": "1", "b": ""}, {"a": "22", "b": ""}, {"b": ""}, {"a.ours": "22", "b": ""}, 1),
    "deleted with its folder": (
        {"d": {"a": "1", "b": "22"}},
        {},
        {"d": {"a": "1", "b": "333", "c": "4444"}},
        {"d": {"b.theirs": "333", "c": "4444"}},
        1,
    ),
    "a folder in the place of a file": (
        {"a": "1"}, {"a": "22"}, {"a": {"b": "1"}}, {"a.ours": "22", "a.theirs": {"b": "1"}}, 1
    ),
    "a folder for an old file": ({"a": "1"}, {"a": "1", "b": ""}, {"a": {"b": "1"}}, {"a": {"b": "1"}, "b": ""}, 0),
    "the names are taken": (
        {"a.txt": "1", "a.ours.txt": "4444"},
        {"a.txt": "22", "a.ours.txt": "4444"},
        {"a.txt": "333", "a.ours.txt": "4444", "A.THEIRS.txt": ""},
        {"a.ours-2.txt": "22", "a.theirs-2.txt": "333", "a.ours.txt": "4444", "A.THEIRS.txt": ""},
        1,
    ),
    "links": ({"l": "->a"}, {"l": "->b"}, {"l": "->c"}, {"l.ours": "->b", "l.theirs": "->c"}, 1),
    "both empty a folder": ({"d": {"a": "1", "b": "1"}}, {"d": {"a": "1"}}, {"d": {"b": "1"}}, {"d": {}}, 0),
    "a hidden name": ({}, {".rc": "1"}, {".rc": "22"}, {".rc.ours": "1", ".rc.theirs": "22"}, 1),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_cases(name: str) -> None:
    base, ours, theirs, wanted, conflicts = CASES[name]
    trees = Trees()
    merged, merger = trees.merge(base, ours, theirs)
    assert trees.shown(merged) == wanted
    assert len(merger.conflicts) == conflicts


def test_without_a_base_both_are_taken_together() -> None:
    trees = Trees()
    merged, _ = trees.merge(None, {"a": "1", "b": "22"}, {"a": "1", "c": "333"})
    assert trees.shown(merged) == {"a": "1", "b": "22", "c": "333"}


def test_equal_subtrees_are_not_read() -> None:
    trees = Trees()
    same = {f"d{number}": {"a": "1", "below": {"b": "22"}} for number in range(3)}
    trees.merge(
        {**same, "x": {"a": "1"}, "y": {"a": "1"}},
        {**same, "x": {"a": "22"}, "y": {"a": "1"}},
        {**same, "x": {"a": "1", "b": ""}, "y": {"a": "333"}},
    )
    assert set(trees.reads) == {"data", "data/x"}


def test_what_cannot_be_read_is_named() -> None:
    trees = Trees()
    three = Three(*(trees.put("data", {"x": {"a": text}, "y": {"a": text}}) for text in ("1", "22", "333")))
    lost = {trees.put("x", {"a": text}).value for text in ("22", "333")}
    for value in lost:
        del trees.listed[value]
    merger = Merger(trees.read, "xxh128")
    merger.merge(three, RelPath("data"))
    assert {entry.value for entry in merger.missing} == lost


def test_a_few_listings_that_name_each_other_end() -> None:
    trees = Trees()
    sides = []
    for text in ("1", "22", "333"):
        entry = trees.put("a", {"f": text})
        for _ in range(40):
            entry = trees.put_folder("a", [entry, entry._replace(name="b")])
        sides.append(entry)
    merged = Merger(trees.read, "xxh128").merge(Three(*sides), RelPath("a"))
    assert merged is not None
    assert merged.files == 2**41
    assert len(trees.reads) < 200


def test_depth_of_a_legal_dataset() -> None:
    trees = Trees()
    sides = []
    for text in ("1", "22", "333"):
        entry = trees.put("d", {"f": text})
        for _ in range(500):
            entry = trees.put_folder("d", [entry])
        sides.append(entry)
    merger = Merger(trees.read, "xxh128")
    assert merger.merge(Three(*sides), RelPath("d")) is not None
    (conflict,) = merger.conflicts
    assert conflict.path.endswith("/d/f")


def test_a_long_name_is_cut() -> None:
    trees = Trees()
    long = "n" * 251 + ".txt"
    merged, _ = trees.merge({}, {long: "1"}, {long: "22"})
    assert {len(name) for name in trees.shown(merged)} == {255}


def test_a_name_that_cannot_be_is_refused() -> None:
    trees = Trees()
    bad = Trees().put("x", "1")._replace(name="a\nb.txt")
    merger = Merger(trees.read, "xxh128")
    with pytest.raises(UnsafePath):
        merger._settle(Three(None, bad, bad._replace(value="other")), RelPath("data/x"), set())
