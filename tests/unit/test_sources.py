"""Where imports come from: the block in a meta file is read with distrust, and tells `update` where it may go."""

from __future__ import annotations

from pathlib import Path

import pytest

from dvc_like.config import Config
from dvc_like.errors import BadMeta, DvcLikeError, UnsafePath
from dvc_like.meta.file import encode, parse
from dvc_like.meta.rewrite import rewrite
from dvc_like.ops import _sources
from dvc_like.ops._sources import RepoSource, UrlSource, bare, check_place, needs_leave, reach, source_of, with_source
from dvc_like.paths import RelPath
from dvc_like.project import Project

COMMIT = "8f2c1d0e9b7a6f5e4d3c2b1a0f9e8d7c6b5a4f3e"
HEAD = f"hash: blake3:{'a' * 64}\nsize: 3\n"
REPO = RepoSource("https://example.com/data.git", RelPath("data/x.csv"), COMMIT, "v1")
URL = UrlSource("s3://bucket/x.csv", etag='"abc"', size=3)


def read(text: str) -> object:
    return source_of(parse((HEAD + text).encode(), "x.meta"), "x.meta")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / ".dvc-like").mkdir()
    files = {"project": str(tmp_path / ".dvc-like/config"), "local": str(tmp_path / ".dvc-like/config.local")}
    return Project(str(tmp_path), Config(files), None)


def again(project: Project) -> Project:
    return Project(project.root, Config(project.config.files), None)


@pytest.mark.parametrize("source", [REPO, REPO._replace(rev=None), URL, REPO._replace(changed=True)])
def test_a_source_is_written_and_read_the_same(source: RepoSource | UrlSource) -> None:
    meta = with_source(parse(HEAD.encode(), "x.meta"), source)
    assert source_of(parse(encode(meta), "x.meta"), "x.meta") == source


def test_a_new_source_keeps_what_else_the_file_and_the_block_say() -> None:
    old = f"{HEAD}# mine\nsource:\n  repo: ../old\n  commit: {COMMIT}\n  path: x\n  note: weekly\n# why\ndesc: text\n"
    meta = with_source(parse(old.encode(), "x.meta"), REPO)
    new = rewrite(meta, old.encode(), keys=("source",))
    assert source_of(parse(new, "x.meta"), "x.meta") == REPO
    assert b"  note: weekly\n# why\ndesc: text\n" in new
    assert b"# mine\nsource:\n  repo: https://example.com/data.git\n  rev: v1\n" in new
    assert rewrite(meta, old.encode()) == old.encode(), "without being asked to, no key of the user's is changed"


@pytest.mark.parametrize("text", ["", "source: my camera\n", "source: [a]\n", "source:\n  camera: 5\n"])
def test_other_words_of_the_user_are_no_source(text: str) -> None:
    assert read(text) is None


@pytest.mark.parametrize(
    "block",
    [
        "repo: https://h/r\n  path: x",  # no commit
        "repo: https://h/r\n  path: x\n  commit: abc",
        "repo: https://h/r\n  path: ../x\n  commit: " + COMMIT,
        "repo: https://h/r\n  path: .git/config\n  commit: " + COMMIT,
        "repo: https://h/r\n  path: /etc/passwd\n  commit: " + COMMIT,
        "repo: https://h/r\n  commit: " + COMMIT,
        "repo: https://h/r\n  path: x\n  rev: [v1]\n  commit: " + COMMIT,
        "repo: https://h/r\n  path: x\n  rev: 1.10\n  commit: " + COMMIT,
        "repo: https://h/r\n  url: https://h/x\n  path: x\n  commit: " + COMMIT,
        "repo: ext::sh -c touch% /tmp/x\n  path: x\n  commit: " + COMMIT,
        "repo: --upload-pack=touch /tmp/x\n  path: x\n  commit: " + COMMIT,
        "repo: ssh://-oProxyCommand=touch/x\n  path: x\n  commit: " + COMMIT,
        "repo: {a: b}\n  path: x\n  commit: " + COMMIT,
        'repo: "https://h/\\r\\nr"\n  path: x\n  commit: ' + COMMIT,
        "url: simplecache::file:///etc/passwd",
        "url: https://h/x\n  size: -1",
        "url: 5.5",
        "url: https://h/x\n  changed: maybe",
    ],
)
def test_a_source_that_could_harm_is_refused_by_the_name_of_its_file(block: str) -> None:
    with pytest.raises(BadMeta, match=r"x\.meta"):
        read(f"source:\n  {block}\n")


def test_a_number_as_revision_is_taken_as_it_reads() -> None:
    found = read(f"source:\n  repo: https://h/r\n  rev: 2024\n  path: x\n  commit: {COMMIT}\n")
    assert isinstance(found, RepoSource)
    assert found.rev == "2024"


@pytest.mark.parametrize(
    ("place", "shown"),
    [
        ("https://user:pw@example.com/r.git", "https://example.com/r.git"),
        ("https://token@example.com/r.git", "https://example.com/r.git"),
        ("https://user:p/w@example.com/r", "https://example.com/r"),
        ("https://example.com/pkg@1.2/x", "https://example.com/pkg@1.2/x"),
        ("https://example.com:8443/pkg@1.2/x", "https://example.com:8443/pkg@1.2/x"),
        ("http://[::1]:80/a@b", "http://[::1]:80/a@b"),
        ("ssh://git@example.com/r.git", "ssh://git@example.com/r.git"),
        ("ssh://git:pw@example.com/r.git", "ssh://git@example.com/r.git"),
        ("git@example.com:org/r.git", "git@example.com:org/r.git"),
        ("../data", "../data"),
    ],
)
def test_credentials_are_taken_out(place: str, shown: str) -> None:
    assert bare(place) == shown


@pytest.mark.parametrize(
    ("place", "needed"),
    [
        ("https://example.com/r.git", False),
        ("ssh://git@example.com/r.git", False),
        ("git@example.com:org/r.git", False),
        ("s3://bucket/x", False),
        ("sftp://ann@example.com/x", False),
        ("sftp://ann:pw@example.com/x", True),
        ("abfs://container@account.example.com/x", False),
        ("http://127.0.0.1:8000/r", True),
        ("http://localhost/r", True),
        ("http://example.com/r", True),
        ("http://localhost.evil.com/r", True),
        ("git://example.com/r", True),
        ("file:///etc", True),
        ("/etc", True),
        ("../r", True),
        ("https://user:pw@example.com/r", True),
        ("local:///etc/passwd", True),
        ("HTTP://example.com/r", True),
    ],
)
def test_what_needs_the_word_of_this_machines_user(project: Project, place: str, needed: bool) -> None:
    assert needs_leave(place) is needed
    if not needed:
        assert reach(project, place) == place
        return
    with pytest.raises(UnsafePath) as caught:
        reach(project, place)
    assert "pw" not in str(caught.value) + caught.value.hint
    assert "import.allow" in caught.value.hint


@pytest.mark.parametrize(
    ("allowed", "place", "may"),
    [
        ("/srv/data", "/srv/data", True),
        ("/srv/data", "/srv/data/repo", True),
        ("/srv/data", "/srv/data-evil", False),
        ("/srv/data", "/srv/data/../../etc", False),
        ("/srv/data", "file:///srv/data/repo", True),
        ("file:///srv/data", "/srv/data/repo", True),
        ("file:///srv/data", "file:///srv/data/%2e%2e/%2e%2e/etc", False),
        ("http://intern", "http://intern/r.git", True),
        ("http://intern", "http://intern.evil.com/r.git", False),
        ("http://intern", "http://intern@evil.com/r.git", False),
        ("http://intern/a", "http://intern/a/../b", False),
        ("http://intern/a", "http://INTERN/a/b", True),
    ],
)
def test_what_is_allowed_covers_just_what_lies_below(project: Project, allowed: str, place: str, may: bool) -> None:
    _sources.allow(project, allowed)
    assert Path(project.config.files["local"]).stat().st_mode & 0o077 == 0
    if may:
        assert reach(again(project), place) == place
    else:
        with pytest.raises(DvcLikeError):
            reach(again(project), place)


def test_a_relative_folder_is_seen_from_the_root(project: Project) -> None:
    _sources.allow(project, "../data")
    assert reach(again(project), "../data/r") == "../data/r"
    with pytest.raises(UnsafePath):
        reach(again(project), "../other")


def test_the_credential_of_an_allowed_place_is_used_and_not_another_places(project: Project) -> None:
    _sources.allow(project, "https://user:pw@example.com/r.git")
    assert reach(again(project), "https://example.com/r.git") == "https://user:pw@example.com/r.git"
    assert reach(again(project), "https://example.com/other.git") == "https://example.com/other.git"
    assert reach(again(project), "https://example.com.evil.com/r.git") == "https://example.com.evil.com/r.git"


def test_a_tracked_file_allows_nothing(project: Project) -> None:
    Path(project.config.files["project"]).write_text("[import]\n\tallow = /\n")
    with pytest.raises(DvcLikeError, match="config"):
        again(project)


def test_an_address_without_harm_is_no_command() -> None:
    for place in ("https://h/r", "host:path", "user@host:path", "[::1]:path", "../r", "C"):
        check_place(place)
