"""The formats page: every example on it is what the code reads, and what the code would write."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from dvc_like import config
from dvc_like import digest as digests
from dvc_like.config import Config
from dvc_like.meta import file, tree
from dvc_like.ops import _record
from dvc_like.ops._store import read_description
from dvc_like.paths import RelPath
from dvc_like.remote import pack, packs, refs
from dvc_like.remote.gdrive import naming, stored
from dvc_like.workspace import ignore

PAGE = Path(__file__).parents[2] / "docs" / "format.md"
_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)


def examples() -> list[tuple[int, str, str]]:
    """Return line number, language and text of every fenced example."""
    text = PAGE.read_text(encoding="utf-8")
    return [(text.count("\n", 0, match.start()) + 1, match[1], match[2]) for match in _FENCED.finditer(text)]


def of(language: str) -> list[object]:
    """Return the examples of one language as parameters, named by their line."""
    return [pytest.param(text, id=f"line {line}") for line, kind, text in examples() if kind == language]


def test_every_example_is_of_a_kind_that_is_tested_here() -> None:
    known = {"yaml", "tree", "json", "ini", "idx", "refs", "condemned", "rules", "undo", "login", "drive"}
    assert {language for _, language, _ in examples()} == known


def test_no_fence_is_left_open() -> None:
    assert PAGE.read_text(encoding="utf-8").count("```") == 2 * len(examples())


@pytest.mark.parametrize("text", of("yaml"))
def test_a_meta_file_is_read_and_means_the_same_written_again(text: str) -> None:
    meta = file.parse(text.encode(), "example.meta")
    again = file.encode(meta)
    assert file.parse(again, "example.meta") == meta
    assert file.encode(file.parse(again, "example.meta")) == again


@pytest.mark.parametrize("text", of("yaml"))
def test_the_keys_of_a_meta_file_stand_in_the_order_they_are_written(text: str) -> None:
    keys = [line.partition(":")[0] for line in text.splitlines() if line[0].isalpha()]
    written = file.encode(file.parse(text.encode(), "example.meta")).decode()
    assert [line.partition(":")[0] for line in written.splitlines() if line[0].isalpha()] == keys


@pytest.mark.parametrize("text", of("rules"))
def test_rules_mean_what_the_page_says(text: str) -> None:
    rules = ignore.parse(text.encode(), RelPath(ignore.NAME))
    assert [rule.text for rule in rules] == text.splitlines()[1:]

    def left_out(path: str, *, is_folder: bool = False) -> bool:
        fitting = [rule for rule in rules if rule.fits(path.split("/"), is_folder)]
        return bool(fitting) and not fitting[-1].negated

    for path in ("x.tmp", "deep/x.tmp", "frames/x.partial", "frames/a/b/x.partial", "a/.cache1"):
        assert left_out(path), path
    for path in ("keep.tmp", "deep/keep.tmp", "a/frames/x.partial", "cache1", "scratch"):
        assert not left_out(path), path
    assert left_out("scratch", is_folder=True)
    assert not left_out("a/scratch", is_folder=True)


@pytest.mark.parametrize("text", of("tree"))
def test_a_tree_is_canonical(text: str) -> None:
    entries = tree.parse(text.encode(), "example")
    assert tree.encode(entries) == text.encode()
    assert {entry.kind for entry in entries} == {"d", "f", "l", "x"}


@pytest.mark.parametrize("text", of("json"))
def test_a_description_of_a_store_is_read(text: str) -> None:
    assert re.fullmatch(r"[0-9a-f]{32}", read_description(text.encode()))


@pytest.mark.parametrize("text", of("idx"))
def test_the_index_of_a_pack_is_read(text: str) -> None:
    data = bytes.fromhex(text)
    (member,) = pack.Index(data)
    digest, is_tree = digests.of_ident(member.ident)
    assert (digest, is_tree) == (digests.of_bytes("blake3", b""), False)
    assert member[1:] == (pack.RAW, 0x4D, 0, 0)
    builder = pack.Builder()
    builder.add(member.ident, "a", b"")
    made = builder.finish()
    assert len(made.index_data) == len(data)
    assert made.data[:4] == b"PK\3\4"


@pytest.mark.parametrize("text", of("refs"))
def test_a_ref_is_read_and_written_the_same(text: str) -> None:
    ref = refs.decode(text.encode(), "refs/example")
    assert {root.is_folder for root in ref.roots} == {True, False}
    assert refs.encode(ref) == text.encode()


@pytest.mark.parametrize("text", of("condemned"))
def test_a_list_of_what_is_condemned_is_read_and_written_the_same(text: str) -> None:
    condemned = packs.parse_condemned("packs/example", text.encode())
    assert packs.encode_condemned(condemned.written, condemned.names) == text.encode()


@pytest.mark.parametrize("text", of("undo"))
def test_a_record_of_undo_is_read_and_written_the_same(text: str) -> None:
    record = _record.decode(text.encode(), 7)
    assert {place is not None and place.is_folder for place in record.places.values()} == {True, False}
    assert _record.encode(record) == text.encode()
    assert record.name == "00000007.undo"


@pytest.mark.parametrize("text", of("login"))
def test_a_login_is_read_and_written_the_same(text: str) -> None:
    login = stored.decode(text, "example")
    assert stored.encode(login) == text.encode()
    assert login.path.endswith("credentials/gdrive/123456789012-k3v9-default.json")


@pytest.mark.parametrize("text", of("ini"))
def test_a_configuration_may_be_tracked_and_is_what_editing_makes(text: str, tmp_path: Path) -> None:
    (tmp_path / "config").write_text(text)
    values = Config({"project": str(tmp_path / "config")}).values
    assert values
    for value in values:
        config.edit(str(tmp_path / "made"), {value.name: value.text}, add=value.name.startswith("profile."))
    assert (tmp_path / "made").read_text() == text


@pytest.mark.parametrize("text", of("drive"))
def test_a_file_on_drive_is_found_and_looks_as_described(text: str) -> None:
    file = json.loads(text)
    key = naming.key_of(file["properties"])
    assert file["properties"] == naming.properties_of(file["properties"]["dl-store"], key)
    look = naming.look_of(key, file["description"].partition(" ")[0])
    assert (look.name, look.mime, look.description) == (file["name"], file["mimeType"], file["description"])
    assert look.folder == "data"
