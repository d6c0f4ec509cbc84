"""Paths that strangers write: every spelling that could lead astray, and everything harmless."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dvc_like import paths
from dvc_like.errors import UnsafePath
from dvc_like.paths import MAX_DEPTH, MAX_NAME, MAX_PATH, RelPath

QUICK = settings(derandomize=True, deadline=None, max_examples=200)

HFS_IGNORES = [*range(0x200C, 0x2010), *range(0x202A, 0x202F), *range(0x206A, 0x2070), 0xFEFF]
#: What folders with `casefold` on ext4 and f2fs leave out when they compare names (Default_Ignorable_Code_Point).
CASEFOLD_IGNORES = [0xAD, 0x34F, 0x61C, 0x115F, 0x17B4, 0x180B, 0x180E, 0x200B, 0x2060, 0x2064, 0xFE00, 0xFE0F, 0xE0100]

SPELLINGS_OF_GIT = [
    *(".git", ".GIT", ".Git", ".gIt", ".giT"),
    *(".git.", ".git...", ".git ", ".git  ", ".git. .", ".git .", ".GIT. "),  # NTFS drops dots and blanks
    *("git~1", "GIT~1", "Git~2", "gi7eb8~1", "GI7EB8~1", "git~1.", "git~1 ", "git~1::$INDEX_ALLOCATION"),
    *(".git::$INDEX_ALLOCATION", ".git:stream", ".GIT::$index_allocation:$I30", ".git :x", ".git.:x"),
    *("\uff0egit", ".\uff47it", ".g\u0131t".replace("\u0131", "i")),
]
SPELLINGS_OF_OURS = [
    *(".dvc-like", ".DVC-LIKE", ".Dvc-Like", ".dvc-like.", ".dvc-like ", ".dvc-like::$DATA", ".dvc-like:x"),
    *("dvc-li~1", "DVC-LI~1", "dv1234~1", "DVC-LI~3. ", ".dvc\u200c-like", ".dvc-like\ufeff"),
]


@pytest.mark.parametrize("name", SPELLINGS_OF_GIT + SPELLINGS_OF_OURS)
def test_every_spelling_of_a_private_folder_is_refused(name: str) -> None:
    assert paths.is_private(name)
    with pytest.raises(UnsafePath):
        paths.check_name(name)
    for path in (name, f"a/{name}", f"{name}/hooks/post-checkout", f"a/{name}/config"):
        with pytest.raises(UnsafePath):
            paths.parse(path)


@pytest.mark.parametrize("code", HFS_IGNORES, ids=hex)
@pytest.mark.parametrize("name", [".git", ".dvc-like"])
def test_a_code_point_that_hfs_ignores_hides_nothing(name: str, code: int) -> None:
    for at in range(len(name) + 1):
        for spelling in (name, name.upper()):
            hidden = spelling[:at] + chr(code) + spelling[at:]
            with pytest.raises(UnsafePath):
                paths.check_name(hidden)


def test_a_code_point_that_case_folding_folders_ignore_hides_nothing() -> None:
    hidden = [".GIT"[:at] + chr(code) + ".GIT"[at:] for code in CASEFOLD_IGNORES for at in range(5)]
    assert [name for name in hidden if not paths.is_private(name)] == []


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_name_that_names_no_entry_is_refused(name: str) -> None:
    with pytest.raises(UnsafePath):
        paths.check_name(name)


CONTROLS = [*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029]


@pytest.mark.parametrize("code", CONTROLS, ids=hex)
def test_a_control_character_is_refused_wherever_it_stands(code: int) -> None:
    for name in (chr(code), f"{chr(code)}a", f"a{chr(code)}", f"a{chr(code)}b"):
        with pytest.raises(UnsafePath) as caught:
            paths.check_name(name)
        assert chr(code) not in caught.value.message


@pytest.mark.parametrize("name", ["a/b", "/", "a\\b", "\\", "C:\\x", "..\\x", "\\\\server\\share", "a\udcff", "\ud800"])
def test_separators_and_bytes_that_are_not_utf8_are_refused(name: str) -> None:
    with pytest.raises(UnsafePath) as caught:
        paths.check_name(name)
    caught.value.message.encode()  # it can be printed


@pytest.mark.parametrize(
    "path",
    [
        *("", "/", "/etc/passwd", "//a", "a//b", "a/", "/a", "./a", "a/./b", "a/."),
        *("..", "../a", "a/..", "a/../b", "a/../../b", "..\\a", "a/b\\..\\c"),
        *("C:\\a", "\\\\host\\share\\a", "a\0b", "a\nb", "a/\x1b[2Jb", "a/\x85b"),
    ],
)
def test_a_path_that_is_not_plainly_relative_is_refused(path: str) -> None:
    with pytest.raises(UnsafePath) as caught:
        paths.parse(path)
    assert caught.value.exit_code == 7
    assert not any(ord(char) < 32 for char in caught.value.message)


@pytest.mark.parametrize(
    "name",
    [
        *("a", "A.b", ".hidden", "...", "..a", "a..", ".gitignore", ".gitattributes", ".github", ".gitmodules"),
        *("git", "git~", "git~a", "xgit~1", "gi~1", ".dvc", ".dvc-like2", ".dvc-likeignore", "dvc-like"),
        *("a b", " a", "a ", "-rf", "--help", "~", "~root", "$HOME", "%PATH%", "#a", "!a", "*", "?", "[a]", "a:b"),
        *("ümlaut", "日本語", "e\u0301", "\u00e9", "😀", "\u200c", "ﬁle", "данные", "a'b\"c", "a;b|c&d", "{a,b}"),
    ],
)
def test_a_harmless_name_is_taken_as_it_is(name: str) -> None:
    assert paths.check_name(name) == name
    assert paths.parse(f"x/{name}") == f"x/{name}"
    assert isinstance(paths.parse(f"x/{name}"), RelPath)


@pytest.mark.parametrize("letter", ["a", "é", "日", "😀"])
def test_the_length_of_a_name_is_counted_in_bytes(letter: str) -> None:
    width = len(letter.encode())
    fitting = letter * (MAX_NAME // width)
    assert paths.check_name(fitting) == fitting
    with pytest.raises(UnsafePath):
        paths.check_name(fitting + letter * (1 + (MAX_NAME % width)))


def test_the_length_of_a_path_is_bounded() -> None:
    part = "x" * 255
    longest = "/".join([part] * 16)
    assert len(longest) == MAX_PATH - 1
    assert paths.parse(longest) == longest
    with pytest.raises(UnsafePath) as caught:
        paths.parse(longest + "/y")
    assert len(caught.value.message) < 200


def test_the_depth_of_a_path_is_bounded() -> None:
    deepest = "/".join(["d"] * MAX_DEPTH)
    assert paths.parse(deepest) == deepest
    with pytest.raises(UnsafePath):
        paths.parse(deepest + "/d")


def test_a_long_path_of_lone_surrogates_is_refused_in_the_same_way() -> None:
    with pytest.raises(UnsafePath):
        paths.parse("\udcff" * 5000)


def test_join_and_parent_undo_each_other() -> None:
    assert paths.join("", "a") == "a"
    assert paths.join("a/b", "c") == "a/b/c"
    assert paths.parent("a/b/c") == "a/b"
    assert paths.parent("a") == ""


@pytest.mark.parametrize(
    ("path", "folder", "below"),
    [
        ("a", "", True),
        ("", "", True),
        ("a", "a", True),
        ("a/b", "a", True),
        ("a/b/c", "a/b", True),
        ("ab", "a", False),
        ("a.b", "a", False),
        ("a-b/c", "a", False),
        ("a", "a/b", False),
        ("", "a", False),
    ],
)
def test_below_means_whole_parts(path: str, folder: str, below: bool) -> None:
    assert paths.is_below(path, folder) is below


def test_what_is_shown_cannot_move_the_cursor() -> None:
    shown = paths.show("a\x1b[31m\n\r\x9b\u2028\udcffé日")
    assert shown.isprintable()
    assert shown.endswith("é日")
    assert "\\x1b" in shown


def test_what_is_shown_cannot_be_read_as_another_name() -> None:
    turned = "invoice\u202efdp.exe\u2066\u200f"
    assert paths.show(turned) == "invoice\\u202efdp.exe\\u2066\\u200f"
    assert paths.show_lines(f"a\t{turned}\nb\r") == f"a\t{paths.show(turned)}\nb\\r"
    document = json.dumps({"a": f"{turned}\x9b\udcff\n"}, ensure_ascii=False)
    assert paths.show_json(document).isascii()
    assert json.loads(paths.show_json(document)) == json.loads(document)


@QUICK
@given(st.text(max_size=40))
def test_what_is_accepted_is_safe_by_its_parts(text: str) -> None:
    try:
        path = paths.parse(text)
    except UnsafePath:
        return
    assert path == text
    assert not path.startswith("/")
    for part in path.split("/"):
        assert part not in ("", ".", "..")
        assert "\\" not in part
        assert not any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in part)
        assert 1 <= len(part.encode()) <= MAX_NAME


_SPICE = st.sampled_from(["", " ", ".", "\u200c", "\u200d", "\ufeff", "\u202a", ". .", ":", "::$DATA"])


@QUICK
@given(st.data())
def test_spice_around_the_letters_of_git_never_gets_through(data: st.DataObject) -> None:
    letters = [data.draw(st.sampled_from([char, char.upper()])) for char in ".git"]
    inside = [data.draw(st.sampled_from(["", "\u200c", "\u200f", "\u206a", "\ufeff"])) for _ in letters]
    name = "".join(mark + char for mark, char in zip(inside, letters, strict=True)) + data.draw(_SPICE)
    with pytest.raises(UnsafePath):
        paths.check_name(name)


@QUICK
@given(st.text(st.characters(codec="utf-8"), max_size=30))
def test_a_name_without_a_doubt_is_a_safe_name(name: str) -> None:
    if not paths.is_doubtful(name):
        assert paths.check_name(name) == name
        assert not paths.is_private(name)


@QUICK
@given(st.lists(st.sampled_from(["a", "b.txt", ".git", "git~1", "a\nb", "\n", "", "ü", "a b", "x" * 255, "x" * 256])))
def test_of_many_names_the_same_are_doubtful_as_of_each(names: list[str]) -> None:
    assert paths.doubtful(names) == [name for name in names if paths.is_doubtful(name)]
