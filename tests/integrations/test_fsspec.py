"""The file system for fsspec: what it shows of a version, what it reads, and what it sends to other processes."""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.cli.place import Place, digest_of, key_of, unlock
from tests.cli.sources import make_origin
from tests.cli.stores import spoil, take_out
from tests.servers.githttp import GitHttp

from dvc_like.config import edit
from dvc_like.errors import NoProject, RemoteDenied, RemoteUnavailable, UnsafePath, UsageError
from dvc_like.ops import _objects, _trees
from dvc_like.remote.local import LocalBackend

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed (extra fsspec)")

BIG = bytes(range(256)) * (40 << 10)


@pytest.fixture
def pushed(place: Place) -> Place:
    """Two versions, pushed: a dataset in a folder of the repository, and files."""
    place.write({"sets/data/a.csv": "x\n1\n", "sets/data/sub/b.csv": "x\n2\n", "sets/data/hollow": None})
    place.write({"sets/data/link.csv": ("link", False, "a.csv"), "sets/data/nowhere": ("link", False, "gone")})
    place.write({"sets/data/again": ("link", False, "sub"), "model": "mmm", "src/code.py": "print()\n", "big": BIG})
    place.add("sets/data", "model", "big")
    place.save()
    place.git("tag", "v1")
    place.write({"model": "MMM", "sets/data/a.csv": "x\n10\n"})
    place.add("sets/data", "model")
    place.save()
    place.push(all_commits=True)
    return place


@pytest.fixture
def fs(copy: Place) -> Any:
    """The file system on a clone, whose cache is empty."""
    return fsspec.filesystem("dvc-like", repo=copy.root)


def test_it_loads_no_driver_and_no_command_line() -> None:
    program = "import fsspec, sys; fsspec.get_filesystem_class('dvc-like'); print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "dvc_like.integrations.fsspec" in loaded
    assert loaded.isdisjoint({"boto3", "googleapiclient", "requests", "click", "rich", "dvc_like.cli", "pandas"})


# ------------------------------------------------------------------------------ what it shows


def test_the_tree_of_data(fs: Any) -> None:
    assert sorted(fs.ls("", detail=False)) == ["big", "model", "sets"]
    assert fs.ls("sets", detail=False) == ["sets/data"]
    assert sorted(fs.ls("sets/data", detail=False)) == [
        f"sets/data/{name}" for name in ("a.csv", "again", "hollow", "link.csv", "sub")
    ], "without the link that leads nowhere"
    assert fs.ls("model", detail=False) == ["model"]
    assert fs.find("sets") == ["sets/data/a.csv", "sets/data/link.csv", "sets/data/sub/b.csv"]
    assert fs.find("sets/data/sub", detail=True)["sets/data/sub/b.csv"]["size"] == 4
    assert fs.glob("sets/data/**/*.csv") == [
        "sets/data/a.csv",
        "sets/data/again/b.csv",
        "sets/data/link.csv",
        "sets/data/sub/b.csv",
    ]
    assert fs.find("", maxdepth=1, withdirs=True) == ["big", "model", "sets"]
    assert not fs.exists("src/code.py"), "Git has that, and its bytes"
    assert not fs.exists("model.meta")
    assert [sorted(files) for _, _, files in fs.walk("sets/data/sub")] == [["b.csv"]]


def test_links_that_lead_back_are_not_followed_for_ever(place: Place, tmp_path: Path) -> None:
    place.write({"data/a/x": "x", "data/b/y": "y"})
    place.write({f"data/a/{name}": ("link", False, "../b") for name in ("p", "q")})
    place.write({f"data/b/{name}": ("link", False, "../a") for name in ("r", "s")})
    place.write({"data/all": ("link", False, "."), "data/a/up": ("link", False, "..")})
    place.add("data")
    fs = fsspec.filesystem("dvc-like", repo=place.root)
    assert sorted(fs.ls("data/a", detail=False)) == ["data/a/p", "data/a/q", "data/a/x"]
    assert sorted(fs.find("data", withdirs=True, detail=True)) == [
        *("data", "data/a", "data/a/p", "data/a/p/y", "data/a/q", "data/a/q/y", "data/a/x"),
        *("data/b", "data/b/r", "data/b/r/x", "data/b/s", "data/b/s/x", "data/b/y"),
    ]
    fs.get("data", str(tmp_path / "out"), recursive=True)
    assert (tmp_path / "out/b/s/x").read_text() == "x"
    assert fs.cat_file("data/all/a/up/b/y") == b"y", "who asks for it by name gets it"


def test_what_is_told_of_a_path(fs: Any) -> None:
    assert fs.info("model") == {"name": "model", "type": "file", "size": 3, "hash": digest_of("MMM")}
    assert fs.info("sets/data/link.csv")["hash"] == fs.info("sets/data/a.csv")["hash"] == fs.ukey("sets/data/a.csv")
    assert (fs.isdir("sets"), fs.isdir("sets/data"), fs.isdir("model"), fs.isfile("model")) == (True, True, False, True)
    assert fs.du("sets/data/sub") == 4
    assert fs.sizes(["model", "big"]) == [3, len(BIG)]
    assert fs.checksum("model") != fs.checksum("big")


@pytest.mark.parametrize(
    "path", ["nope", "sets/nope", "sets/data/nope", "model/x", "../outside", "sets/../../x", ".git"]
)
def test_what_is_not_there(fs: Any, path: str) -> None:
    assert not fs.exists(path)
    for call in (fs.info, fs.ls, fs.open, fs.cat_file, fs.find):
        with pytest.raises(FileNotFoundError):
            call(path)
    assert fs.glob(f"{path}/*") == []


def test_an_option_that_is_misspelt_reads_no_other_version(copy: Place) -> None:
    with pytest.raises(TypeError, match="no option 'ref', but repo, rev"):
        fsspec.filesystem("dvc-like", ref="v1")
    assert fsspec.filesystem("dvc-like", rev="v1", use_listings_cache=False, block_size=9).cat_file("model") == b"mmm"


@pytest.mark.parametrize(
    "url",
    [
        "dvc-like://model?rev=v1",
        "dvc-like:///model?rev=v1",
        "dvc-like://model?rev=v1&repo={}",
        "dvc-like://model?repo={}&rev=v1",
    ],
)
def test_urls(copy: Place, url: str) -> None:
    with fsspec.open(url.format(copy.root)) as file:
        assert file.read() == b"mmm"


def test_what_a_url_may_hold(copy: Place, pushed: Place) -> None:
    pushed.track({"odd/what?rev": "1", "odd/a&b=c ö.csv": "2"})
    pushed.push()
    copy.git("pull", "-q")
    for name, content in (("odd/what?rev", b"1"), ("odd/a&b=c ö.csv", b"2")):
        for url in (f"dvc-like://{name}", f"dvc-like://{name}?rev=HEAD&repo={copy.root}/odd"):
            with fsspec.open(url) as file:
                assert file.read() == content
    with pytest.raises(UsageError, match="'a/b&c' is no revision"):
        fsspec.open("dvc-like://model?rev=a%2Fb%26c")
    with pytest.raises(UsageError, match="no revision"):
        fsspec.open("dvc-like://model?rev=")


def test_a_name_that_looks_like_the_end_of_a_url(place: Place) -> None:
    place.track({"odd/what": "another", "odd/what?rev=1": "right", "odd/a%20b": "%", "odd/a#b": "#"})
    fs = fsspec.filesystem("dvc-like", repo=place.root)
    assert {name: fs.cat_file(name) for name in fs.find("odd") if ".git" not in name} == {
        "odd/what": b"another",
        "odd/what?rev=1": b"right",
        "odd/a%20b": b"%",
        "odd/a#b": b"#",
    }
    place.save()
    with fsspec.open(f"dvc-like://odd/what?rev=1?rev=HEAD&repo={place.root}") as file:
        assert file.read() == b"right"


def test_outside_a_project(tmp_path: Path) -> None:
    with pytest.raises(NoProject):
        fsspec.filesystem("dvc-like", repo=tmp_path)


# ------------------------------------------------------------------------------ which version


def test_a_revision_is_found_once(copy: Place, pushed: Place) -> None:
    before = fsspec.filesystem("dvc-like", repo=copy.root, rev="origin/main")
    live = fsspec.filesystem("dvc-like", repo=copy.root)
    pushed.track({"model": "newest"})
    pushed.push()
    copy.git("pull", "-q")
    after = fsspec.filesystem("dvc-like", repo=copy.root, rev="origin/main")
    assert (before.cat("model"), after.cat("model"), live.cat("model")) == (b"MMM", b"newest", b"newest")
    assert before != after
    assert before == fsspec.filesystem("dvc-like", repo=copy.root, rev="HEAD~1")


def test_a_remote_that_was_set_meanwhile_is_used(copy: Place, store: Path) -> None:
    edit(copy.project.config.files["local"], {"remote.storage.url": str(copy.root / "nothing")})
    with pytest.raises(OSError, match="not on remote storage"):
        fsspec.filesystem("dvc-like", repo=copy.root).cat("model")
    edit(copy.project.config.files["local"], {"remote.storage.url": str(store)})
    assert fsspec.filesystem("dvc-like", repo=copy.root).cat("model") == b"MMM"


# ------------------------------------------------------------------------------ bytes


def test_reading(fs: Any) -> None:
    with fs.open("sets/data/a.csv") as file:
        assert (file.readline(), file.tell(), file.size, file.verified) == (b"x\n", 2, 5, True)
        assert file.seek(-3, os.SEEK_END) == 2
        assert file.read() == b"10\n"
    with fs.open("sets/data/a.csv", "r", encoding="utf-8") as text:
        assert list(text) == ["x\n", "10\n"]
    assert fs.cat_file("model", 1, 2) == fs.cat_file("model", -2, -1) == b"M"
    assert (fs.head("big", 3), fs.tail("big", 2), fs.cat_file("big", 5 << 20, (5 << 20) + 2)) == (
        BIG[:3],
        BIG[-2:],
        BIG[:2],
    )
    assert fs.read_block("sets/data/a.csv", 1, 2, delimiter=b"\n") == b"10\n"
    assert fs.read_text("sets/data/sub/b.csv") == "x\n2\n"
    for path in ("sets", "sets/data/sub"):
        with pytest.raises(IsADirectoryError):
            fs.open(path)


def test_many_at_once(fs: Any, copy: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    real = LocalBackend.get

    def get(backend: LocalBackend, key: str, sink: Any, **part: Any) -> None:
        asked.append(key)
        real(backend, key, sink, **part)

    monkeypatch.setattr(LocalBackend, "get", get)
    list(fs.walk("sets/data"))
    asked.clear()
    assert fs.cat(["sets/data/a.csv", "sets/data/sub/b.csv"]) == {
        "sets/data/a.csv": b"x\n10\n",
        "sets/data/sub/b.csv": b"x\n2\n",
    }
    assert len(asked) == 1
    fs.get("sets/data", str(tmp_path / "out"), recursive=True)
    assert (tmp_path / "out/sub/b.csv").read_text() == "x\n2\n"
    assert len(asked) == 1


def test_parts_of_a_big_file(copy: Place) -> None:
    quick = fsspec.filesystem("dvc-like", repo=copy.root, verify=False)
    with quick.open("big") as file:
        file.seek(6 << 20)
        assert file.read(100) == BIG[:100]
        assert not file.verified
    assert not copy.cached(BIG).exists()
    assert quick.open("model").verified, "a small file always is"
    with fsspec.filesystem("dvc-like", repo=copy.root).open("big") as file:
        assert file.read(100) == BIG[:100]
        assert file.verified
    assert copy.cached(BIG).exists()


def test_nothing_is_kept_without_a_cache(copy: Place) -> None:
    fs = fsspec.filesystem("dvc-like", repo=copy.root, cache=False)
    assert fs.cat(["model", "big"]) == {"model": b"MMM", "big": BIG}
    assert not copy.cached("MMM").exists()
    assert not copy.cached(BIG).exists()


def test_it_is_only_read(fs: Any, copy: Place) -> None:
    for call in (
        lambda: fs.open("model", "wb"),
        lambda: fs.pipe("new", b"x"),
        lambda: fs.touch("new"),
        lambda: fs.open("model", "ab"),
    ):
        with pytest.raises(OSError, match="only read"):
            call()
    with pytest.raises(NotImplementedError):
        fs.rm("model")
    assert not (copy / "new").exists()


# ------------------------------------------------------------------------------ when it fails


def test_bytes_that_are_wrong_or_gone_are_no_missing_file(fs: Any, store: Path) -> None:
    """A program that takes a file for missing fills the hole with zeros."""
    spoil(store, key_of("MMM"), b"XXX")
    take_out(store, key_of("x\n2\n"))
    for path, message in (("model", "damaged on remote storage"), ("sets/data/sub/b.csv", "not on remote storage")):
        with pytest.raises(OSError, match=message) as caught:
            fs.cat_file(path)
        assert not isinstance(caught.value, FileNotFoundError)
        assert fs.exists(path)
        with pytest.raises(OSError, match=message):
            fs.cat(["sets/data/a.csv", path])
        with pytest.raises(OSError, match=message):
            fs.get_mapper("")[path]
    assert fs.get_mapper("")["sets/data/a.csv"] == b"x\n10\n"


def test_bytes_that_turn_out_wrong_while_they_are_read(copy: Place, store: Path) -> None:
    spoil(store, key_of(BIG), BIG[:-1] + b"?")
    with fsspec.filesystem("dvc-like", repo=copy.root, verify=False).open("big") as file:
        assert file.read(1 << 20) == BIG[: 1 << 20]
        with pytest.raises(OSError, match="not what their name says"):
            file.read()


def test_bytes_that_somebody_changes_while_they_are_read(fs: Any, copy: Place) -> None:
    fs.cat_file("model")
    with fs.open("model") as whole, fs.open("model") as part:
        unlock(copy.cached("MMM"))
        copy.cached("MMM").write_text("XXX")
        with pytest.raises(OSError, match="was changed while it was read"):
            whole.read()
        with pytest.raises(OSError, match="was changed while it was read"):
            part.read(1)


@pytest.mark.parametrize(("ours", "theirs"), [(RemoteDenied, PermissionError), (RemoteUnavailable, ConnectionError)])
def test_a_remote_that_refuses(fs: Any, monkeypatch: pytest.MonkeyPatch, ours: type, theirs: type[OSError]) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise ours("go away", hint="Ask again.")

    monkeypatch.setattr(LocalBackend, "get", refuse)
    with pytest.raises(theirs, match=r"go away \(Ask again\.\)"):
        fs.cat_file("model")


def test_a_listing_that_must_not_be_used_is_no_missing_file(fs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise UnsafePath("data/x would link outside the dataset")

    monkeypatch.setattr(_trees, "_parsed", refuse)
    with pytest.raises(OSError, match="outside the dataset") as caught:
        fs.info("sets/data/a.csv")
    assert not isinstance(caught.value, FileNotFoundError)


def test_a_listing_that_cannot_be_had_is_no_empty_folder(
    fs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reads all files of a pattern must not be given some of them."""
    lost, real = fs.info("sets/data/sub")["hash"], _objects.Objects.tree
    monkeypatch.setattr(
        _objects.Objects, "tree", lambda self, digest, *more: None if digest == lost else real(self, digest, *more)
    )
    for call in (
        lambda: fs.find("sets"),
        lambda: fs.find("sets", withdirs=True),
        lambda: fs.find("sets", maxdepth=4),
        lambda: fs.glob("sets/**/*.csv"),
        lambda: fs.glob("sets/data/*/*.csv"),
        lambda: list(fs.walk("sets")),
        lambda: fs.du("sets"),
        lambda: fs.get("sets", str(tmp_path / "out"), recursive=True),
        lambda: fs.cat("sets", recursive=True),
        lambda: fs.exists("sets/data/sub/b.csv"),
        lambda: fs.isfile("sets/data/sub/b.csv"),
        lambda: fs.isdir("sets/data/sub/deep"),
    ):
        with pytest.raises(OSError, match="listing of sets/data/") as caught:
            call()
        assert not isinstance(caught.value, FileNotFoundError)
    assert (fs.exists("sets/none"), fs.isdir("sets/none"), fs.isfile("sets/none")) == (False, False, False)
    assert (fs.isdir("sets/data/sub"), fs.isfile("model"), fs.isdir("model")) == (True, True, False)
    assert list(fs.walk("sets/none")) == []


# ------------------------------------------------------------------------------ other processes


def test_it_is_sent_as_the_name_of_a_version(copy: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copy.root)
    fs = fsspec.filesystem("dvc-like", rev="v1", verify=False)
    assert fs.cat("model") == b"mmm"
    sent = pickle.dumps(fs)
    assert len(sent) < 500
    copy.git("tag", "-d", "v1")
    program = "import pickle, sys; fs = pickle.load(sys.stdin.buffer); print(fs.cat('model'), fs.rev, fs.fsid)"
    done = subprocess.run([sys.executable, "-c", program], input=sent, cwd=tmp_path, capture_output=True, check=True)
    assert done.stdout.decode().split() == ["b'mmm'", copy.git("rev-parse", "HEAD~1"), fs.fsid]
    assert pickle.loads(sent) == fs


def test_a_repository_on_another_machine(tmp_path: Path) -> None:
    with contextlib.closing(GitHttp(tmp_path)) as server:
        origin = make_origin(tmp_path / "origin", server, tmp_path / "storage")
        with fsspec.open(f"dvc-like://data/a.txt?rev=v1&repo={origin.url}") as file:
            assert file.read() == b"alpha"
        fs = fsspec.filesystem("dvc-like", repo=origin.url)
        assert fs.find("data") == ["data/a.txt", "data/link", "data/run.sh", "data/sub/b.txt", "data/sub/c.txt"]
        assert fs.rev == origin.git("rev-parse", "HEAD")
        sent = pickle.dumps(fs)
    program = "import pickle, sys; print(pickle.load(sys.stdin.buffer).cat('data/sub/b.txt'))"
    done = subprocess.run([sys.executable, "-c", program], input=sent, cwd=tmp_path, capture_output=True, check=True)
    assert done.stdout.split() == [b"b'beta'"], "the commit is here already: nobody asks Git's server"
