"""`open` and `read`: any version of any tracked file, from wherever its bytes are, and never anything but its bytes."""

from __future__ import annotations

import contextlib
import errno
import os
import pickle
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.cli.place import Place, clone_of, digest_of, key_of, past_the_tick, unlock
from tests.cli.sources import make_origin
from tests.cli.stores import contents_of, spoil, take_out
from tests.servers.githttp import GitHttp

import dvc_like
from dvc_like.cache.writer import Writer
from dvc_like.digest import parse as parse_digest
from dvc_like.errors import BadMeta, ConfigError, CorruptData, DataMissing, NoProject, UsageError
from dvc_like.ops import _objects
from dvc_like.ops._by_digest import object_reader
from dvc_like.ops._reader import Reader, open_reader
from dvc_like.paths import RelPath
from dvc_like.remote.local import LocalBackend

BIG = bytes(range(256)) * (40 << 10)  # 10 MiB: more than is read whole


@pytest.fixture
def full(place: Place) -> Place:
    """Two versions of a dataset and of a file, and some code."""
    place.write({"sets/data/a": "aaaa", "sets/data/sub/b": "bb", "sets/data/sub/deep/c": "c", "sets/data/empty": ""})
    place.write({"sets/data/run": ("file", True, b"x"), "sets/data/link": ("link", False, "sub/b")})
    place.write({"sets/data/sub/back": ("link", False, "../sub"), "model": "mmm", "src/code.py": "print()\n"})
    place.add("sets/data", "model")
    place.save()
    place.git("tag", "v1")
    place.write({"sets/data/a": "AAAA", "model": "MMM", "src/code.py": "print(2)\n"})
    place.add("sets/data", "model")
    place.save()
    return place


@pytest.fixture
def pushed(full: Place) -> Place:
    full.push(all_commits=True)
    return full


class Traffic:
    """What was asked of a folder remote."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[tuple[str, int, int | None]] = []
        real = LocalBackend.get

        def get(backend: LocalBackend, key: str, sink: Any, *, start: int = 0, length: int | None = None) -> None:
            self.asked.append((key, start, length))
            real(backend, key, sink, start=start, length=length)

        monkeypatch.setattr(LocalBackend, "get", get)

    def of(self, prefix: str) -> list[tuple[str, int, int | None]]:
        return [one for one in self.asked if one[0].startswith(prefix)]


@pytest.fixture
def traffic(monkeypatch: pytest.MonkeyPatch) -> Traffic:
    return Traffic(monkeypatch)


@pytest.fixture
def reader(copy: Place) -> Iterator[Reader]:
    """A reader of the clone, whose cache is empty."""
    with open_reader(copy.root) as made:
        yield made


def text_of(path: str, **options: Any) -> str:
    with dvc_like.open(path, **options) as file:
        return str(file.read())


# ------------------------------------------------------------------------------ what is read


def test_as_the_builtin(full: Place) -> None:
    with dvc_like.open("src/code.py") as text, dvc_like.open("sets/data/a", mode="rb") as data:
        assert (text.read(), data.read()) == ("print(2)\n", b"AAAA")
    with dvc_like.open("sets/data/a") as file:
        assert list(file) == ["AAAA"]
        assert file.seek(1) == 1
        assert file.read(2) == "AA"
    assert dvc_like.read("sets/data/empty") == b""
    full.write({"latin": "é".encode("latin-1")})
    full.add("latin")
    assert text_of("latin", encoding="latin-1") == "é"
    full.write({"lines": "a\r\nb"})
    full.add("lines")
    assert (text_of("lines"), text_of("lines", newline="")) == ("a\nb", "a\r\nb")
    with pytest.raises(UsageError, match="only read"):
        dvc_like.open("model", mode="w")


def test_the_mode_may_be_the_second_argument(full: Place) -> None:
    path = next(name for name, node in full.data().items() if node[0] == "file")
    with dvc_like.open(path, "rb") as file:
        assert file.read() == dvc_like.read(path)


def test_another_version(full: Place) -> None:
    assert (dvc_like.read("model", rev="v1"), dvc_like.read("model", rev="HEAD")) == (b"mmm", b"MMM")
    assert (dvc_like.read("sets/data/a", rev="v1"), dvc_like.read("sets/data/a")) == (b"aaaa", b"AAAA")
    assert dvc_like.read("src/code.py", rev="v1") == b"print()\n"
    assert dvc_like.read("sets/data/sub/b", rev="v1") == b"bb"
    with pytest.raises(UsageError, match="no revision"):
        dvc_like.read("model", rev="nope")


def test_the_version_of_the_meta_file_whatever_became_of_the_file(full: Place) -> None:
    full.write({"model": "edited"})
    (full / "sets/data/a").unlink()
    assert (dvc_like.read("model"), dvc_like.read("sets/data/a")) == (b"MMM", b"AAAA")
    assert (full / "model").read_bytes() == b"edited"


def test_paths_are_seen_from_here_or_from_the_other_repository(full: Place, tmp_path: Path) -> None:
    os.chdir(full / "sets")
    assert dvc_like.read("data/a") == dvc_like.read("../sets/data/a") == dvc_like.read(full / "sets/data/a") == b"AAAA"
    for repo in (full.project, full.root, "../src"):
        assert dvc_like.read("sets/data/a", repo=repo) == b"AAAA"
        assert [one.path for one in dvc_like.ls("sets", repo=repo, dvc_only=True)] == ["sets/data"]
    os.chdir(tmp_path)
    assert dvc_like.read(full / "model", repo=full.root, rev="v1") == b"mmm"
    with pytest.raises(UsageError, match="outside"):
        dvc_like.read("../model", repo=full.root)
    with pytest.raises(NoProject):
        dvc_like.read("model")


@pytest.mark.parametrize("path", ["nope", "sets/data/nope", "model/nope", "sets/data/a/b", "sets/nope", "src/nope"])
@pytest.mark.parametrize("rev", [None, "v1"])
def test_what_is_not_tracked(full: Place, path: str, rev: str | None) -> None:
    with pytest.raises(UsageError, match=f"{path} is not tracked"):
        dvc_like.read(path, rev=rev)


@pytest.mark.parametrize("path", ["sets/data", "sets/data/sub", "sets", "src", ""])
def test_a_folder_is_no_file(full: Place, path: str) -> None:
    for rev in (None, "v1"):
        with pytest.raises(UsageError, match="is a folder"):
            dvc_like.read(path or full.root, rev=rev)


def test_links_lead_within_the_dataset(full: Place) -> None:
    assert dvc_like.read("sets/data/link") == b"bb"
    assert dvc_like.read("sets/data/sub/back/deep/c", rev="v1") == b"c"
    assert dvc_like.read("sets/data/sub/back/back/back/b") == b"bb"


def test_links_in_a_circle_end(place: Place) -> None:
    place.track({"data/x": ("link", False, "y"), "data/y": ("link", False, "x")})
    with pytest.raises(UsageError, match="too many links"):
        dvc_like.read("data/x")


# ------------------------------------------------------------------------------ from where


def test_from_a_remote_and_then_from_the_cache(copy: Place, store: Path) -> None:
    assert dvc_like.read("sets/data/sub/deep/c") == b"c"
    assert text_of("model", rev="v1") == "mmm"
    assert copy.cached("c").exists()
    assert not copy.cached("bb").exists(), "nothing but what was read"
    assert copy.data() == {"sets": ("folder", False, b""), "src": ("folder", False, b"")} | {
        "src/code.py": ("file", False, b"print(2)\n")
    }, "the workspace is left alone"
    shutil.rmtree(store)
    assert dvc_like.read("sets/data/sub/deep/c") == b"c"


def test_listings_come_from_the_remote_too(copy: Place) -> None:
    found = {one.path: one.size for one in dvc_like.ls("sets/data", rev="v1", recursive=True)}
    assert found["sets/data/sub/deep/c"] == 1
    assert set(found) == {
        f"sets/data/{name}" for name in ("a", "empty", "link", "run", "sub/back", "sub/b", "sub/deep/c")
    }


@pytest.mark.parametrize("keep", [True, False])
def test_listings_that_memory_does_not_hold(copy: Place, monkeypatch: pytest.MonkeyPatch, keep: bool) -> None:
    monkeypatch.setattr(_objects, "_MEMORY", 0)
    with open_reader(copy.root, keep=keep) as reader, ThreadPoolExecutor(4) as pool:
        whole = reader.listing(RelPath("sets"), recursive=True)
        assert {"sets/data/sub/deep/c", "sets/data/run"} <= {one.path for one in whole}
        for found in pool.map(lambda _: reader.listing(RelPath("sets"), recursive=True), range(8)):
            assert found == whole


def test_from_the_workspace_while_it_is_unchanged(full: Place) -> None:
    for name in ("sets/data/a", "model"):
        past_the_tick(full / name)
    full.commit()  # the stat of what was just written could not be trusted yet
    shutil.rmtree(full.cache / "files")
    with pytest.raises((DataMissing, ConfigError)):
        dvc_like.read("model", rev="v1")
    assert dvc_like.read("model") == b"MMM"
    os.utime(full / "model", ns=(1, 1))
    with pytest.raises(DataMissing):
        dvc_like.read("model")


def test_bytes_of_a_file_that_is_written_to_meanwhile_are_refused(full: Place) -> None:
    with dvc_like.open("model", mode="rb") as file:
        unlock(full.cached("MMM")).write_bytes(b"XXX")
        with pytest.raises(CorruptData, match="changed while it was read"):
            file.read()


def test_an_object_that_is_renewed_or_linked_meanwhile_is_what_it_was(full: Place) -> None:
    with dvc_like.open("model", mode="rb") as file:
        os.utime(full.cached("MMM"))
        os.link(full.cached("MMM"), full / "other")
        assert file.read() == b"MMM"


def test_a_damaged_object_is_fetched_again(pushed: Place) -> None:
    unlock(pushed.cached("AAAA")).write_bytes(b"????")
    (pushed / "sets/data/a").unlink()
    assert dvc_like.read("sets/data/a") == b"AAAA"


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize(("path", "content"), [("sets/data/sub/b", b"bb"), ("model", b"MMM")])
def test_a_damaged_remote_is_never_believed(copy: Place, store: Path, keep: bool, path: str, content: bytes) -> None:
    spoil(store, key_of(content), b"!" * len(content))
    with open_reader(copy.root, keep=keep) as reader:
        found = reader.find(RelPath(path))
        assert found is not None
        with pytest.raises(CorruptData, match="damaged on remote storage"):
            reader.open(found)


def test_what_is_nowhere(copy: Place, store: Path) -> None:
    take_out(store, key_of("MMM"))
    with pytest.raises(DataMissing, match="model: not on remote storage"):
        dvc_like.read("model")
    copy.config(core_remote="")
    with pytest.raises(ConfigError):
        dvc_like.read("model", rev="v1")


def test_what_a_gc_threw_away_meanwhile_is_taken_back(full: Place) -> None:
    with open_reader(full.root, "v1") as reader:
        one = reader.find(RelPath("model"))
        assert one is not None
        assert not reader._objects.cache.has(parse_digest(digest_of("what nobody has")))
        full.age()
        assert full.gc(workspace=True).garbage
        assert not full.cached("mmm").exists()
        assert reader.read(one) == b"mmm"


def test_what_was_pushed_meanwhile_is_found(copy: Place, pushed: Place, reader: Reader, store: Path) -> None:
    one = reader.find(RelPath("model"))
    assert one is not None
    assert reader.read(one) == b"MMM"
    pushed.track({"later/x": "later x"})
    copy.git("pull", "-q")
    pushed.push()
    later = reader.find(RelPath("later/x"))
    assert later is not None
    assert reader.read(later) == b"later x"


def test_reading_goes_on_after_ctrl_c(big: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a notebook, where the process lives on."""
    with open_reader(big.root) as reader:
        one = reader.find(RelPath("big"))
        assert one is not None
        part = reader.open(one, verify=False)
        assert part.read(1) == BIG[:1]
        real = LocalBackend.get

        def get(backend: LocalBackend, *words: Any, **more: Any) -> None:
            monkeypatch.setattr(LocalBackend, "get", real)
            reader._objects._stores["storage"].backend.interrupt()  # as `transfer` does where several threads work
            real(backend, *words, **more)

        monkeypatch.setattr(LocalBackend, "get", get)
        with pytest.raises(KeyboardInterrupt):
            reader.read(one)
        part.seek(5 << 20)
        assert part.read(9) == BIG[5 << 20 :][:9]
        assert reader.read(one) == BIG


def test_what_is_missing_costs_no_connection_each_time(
    copy: Place, store: Path, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_out(store, key_of("MMM"))
    one = reader.find(RelPath("model"))
    assert one is not None
    opened = []
    real = LocalBackend.__init__

    def init(backend: LocalBackend, *words: Any, **options: Any) -> None:
        opened.append(words)
        real(backend, *words, **options)

    monkeypatch.setattr(LocalBackend, "__init__", init)
    for _ in range(3):
        with pytest.raises(DataMissing):
            reader.read(one)
    assert len(opened) == 1


# ------------------------------------------------------------------------------ how much


def test_one_small_file_of_a_pack_costs_its_own_bytes(copy: Place, reader: Reader, traffic: Traffic) -> None:
    one = reader.find(RelPath("sets/data/a"))
    assert one is not None
    traffic.asked.clear()
    assert reader.read(one) == b"AAAA"
    ((key, _, length),) = traffic.asked
    assert key.startswith("packs/")
    assert length == 4


def test_many_files_cost_few_requests(place: Place, store: Path, tmp_path: Path, traffic: Traffic) -> None:
    place.track({f"data/{number:03}": f"{number:1000}" for number in range(300)})
    place.push()
    copy = clone_of(place, tmp_path / "copy")
    with open_reader(copy.root) as reader:
        found = reader.listing(RelPath("data"))
        traffic.asked.clear()
        reader.bring(found)
        assert len(traffic.asked) == 1
        assert [reader.read(one) for one in found[:3]] == [f"{number:1000}".encode() for number in range(3)]
        assert len(traffic.asked) == 1


@pytest.fixture
def big(place: Place, tmp_path: Path) -> Place:
    """A clone of a project with one big file, without its data."""
    place.track({"big": BIG})
    place.push()
    return clone_of(place, tmp_path / "copy")


def opened(place: Place, *, verify: bool = True, keep: bool = True) -> Any:
    with open_reader(place.root, keep=keep) as reader:
        one = reader.find(RelPath("big"))
        assert one is not None
        return reader.open(one, verify=verify)


def test_a_part_of_a_big_file_is_verified_by_default(big: Place, traffic: Traffic) -> None:
    with opened(big) as file:
        assert file.raw.verified
        file.seek(1 << 20)
        assert file.read(16) == bytes(range(16))
    assert len(traffic.of("files/")) == 1
    assert big.cached(BIG).exists()
    with opened(big) as file:
        assert file.read() == BIG
    assert len(traffic.of("files/")) == 1


def test_a_part_of_a_big_file_without_the_rest(big: Place, traffic: Traffic) -> None:
    with opened(big, verify=False) as file:
        file.seek(-1000, os.SEEK_END)
        assert file.read(3) == BIG[-1000:-997]
        assert file.read() == BIG[-997:]
        assert not file.raw.verified
        assert sum(length or 0 for _, _, length in traffic.of("files/")) < 300_000
        file.seek(0)
        assert file.read() == BIG
        assert file.raw.verified, "it was read whole in the end"
    assert not big.cached(BIG).exists()


def test_a_big_file_that_is_read_in_parts_is_judged_at_its_end(big: Place, store: Path) -> None:
    spoil(store, key_of(BIG), BIG[:-1] + b"!")
    with opened(big, verify=False) as file:
        assert file.read(100) == BIG[:100]
        with pytest.raises(CorruptData, match="not what their name says"):
            file.read()
        with pytest.raises(CorruptData, match="not what their name says"):
            file.read()
        file.seek(5)
        with pytest.raises(CorruptData, match="not what their name says"):
            file.read(1)
    with pytest.raises(CorruptData, match="damaged on remote"):
        opened(big)
    spoil(store, key_of(BIG), BIG[:-1])
    with opened(big, verify=False) as file, pytest.raises(CorruptData, match="shorter"):
        file.read()


def test_a_remote_that_sends_more_than_was_asked_for_fills_no_memory(
    big: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = LocalBackend.get

    def get(self: LocalBackend, key: str, sink: Any, *, start: int = 0, length: int | None = None) -> None:
        real(self, key, sink, start=start)

    monkeypatch.setattr(LocalBackend, "get", get)
    with opened(big, verify=False) as file, pytest.raises(CorruptData, match="that were asked for arrived"):
        file.read(100)


def test_what_is_fetched_a_second_time_is_not_verified_by_the_first(big: Place, store: Path) -> None:
    with opened(big, verify=False) as file:
        file.read()
        assert file.raw.verified
        spoil(store, key_of(BIG), b"?" * len(BIG))
        file.seek(1 << 20)
        assert file.read(1) == b"?"
        assert not file.raw.verified
    spoil(store, key_of(BIG), BIG)
    with opened(big, verify=False) as file:
        at = len(file.peek())
        for place in (0, 5 << 20, at):
            file.seek(place)
            assert file.read(at)
        file.read()
        assert not file.raw.verified, "what was read in between may have been anything"


def test_nothing_is_kept_where_that_is_not_wanted(big: Place) -> None:
    with opened(big, keep=False) as file:
        file.seek(5 << 20)
        assert file.read(8) == BIG[5 << 20 :][:8]
    assert not big.cache.exists() or not contents_of(big.cache)


@pytest.mark.parametrize("when", ["__enter__", "put_bytes"])
def test_a_cache_that_cannot_be_written_is_done_without(
    copy: Place, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    asked = []

    def refuse(*_: Any) -> None:
        asked.append(when)
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(Writer, when, refuse)
    assert dvc_like.read("sets/data/sub/b") == b"bb"
    assert asked


def test_what_a_big_file_that_is_not_kept_costs(big: Place, traffic: Traffic) -> None:
    """Who opens it twice, as PyArrow does, gets it once."""
    with open_reader(big.root, keep=False) as reader:
        one = reader.find(RelPath("big"))
        assert one is not None
        with reader.open(one) as first, reader.open(one) as second:
            first.seek(9 << 20)
            assert second.read(4) == BIG[:4]
            assert first.read(4) == BIG[9 << 20 :][:4]
    assert len(traffic.of("files/")) == 1


def test_a_meta_file_that_cannot_be_read_is_no_missing_file(full: Place) -> None:
    full.git("rm", "-q", "--cached", "-r", "sets")
    (full / "sets/data.meta").write_text("hash: nonsense\n")
    full.git("add", "-A")
    full.save()
    for path in ("sets/data/a", "sets/data"):
        for rev in (None, "HEAD"):
            with pytest.raises(BadMeta):
                dvc_like.read(path, rev=rev)


# ------------------------------------------------------------------------------ many at once


def test_threads_read_at_once(copy: Place, reader: Reader) -> None:
    names = {"a": b"AAAA", "sub/b": b"bb", "sub/deep/c": b"c", "run": b"x", "link": b"bb", "empty": b""}
    wrong: list[object] = []

    def read() -> None:
        try:
            for name, content in names.items():
                found = reader.find(RelPath(f"sets/data/{name}"))
                data = reader.read(found) if found is not None else None
                if data != content:
                    wrong.append((name, data))
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_big_file_comes_once_for_many_threads(big: Place, traffic: Traffic) -> None:
    with open_reader(big.root) as reader:
        one = reader.find(RelPath("big"))
        assert one is not None
        found: list[int] = []

        def read() -> None:
            with reader.open(one) as file:
                found.append(len(file.read()))

        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == [len(BIG)] * 4
    assert len(traffic.of("files/")) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_child_opens_everything_anew(copy: Place, reader: Reader) -> None:
    one = reader.find(RelPath("sets/data/a"))
    assert one is not None
    assert reader.read(one) == b"AAAA"
    of_parent = reader._objects
    with open_reader(copy.root) as _:
        child = os.fork()
        if not child:
            try:
                other = reader.find(RelPath("sets/data/sub/b"))
                ok = other is not None and reader.read(other) == b"bb" and reader._objects is not of_parent
                os._exit(0 if ok else 1)
            except BaseException:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert reader._objects is of_parent


# ------------------------------------------------------------------------------ by digest


def test_an_object_by_its_digest(copy: Place) -> None:
    with object_reader(copy.project, parse_digest(digest_of("mmm")), "m") as reader:
        one = reader.find(RelPath("m"))
        assert one is not None
        assert (reader.read(one), one.size) == (b"mmm", 3)
        assert reader.find(RelPath("model")) is None
    (found,) = [one for one in dvc_like.ls("sets", rev="v1") if one.kind == "d"]
    with object_reader(copy.project, parse_digest(found.digest), "name/of") as reader:
        assert [one.path for one in reader.listing(RelPath("name/of/sub"))] == [
            f"name/of/sub/{n}" for n in ("b", "back", "deep")
        ]
        inner = reader.find(RelPath("name/of/a"))
        assert inner is not None
        assert reader.read(inner) == b"aaaa"
    with pytest.raises(DataMissing, match="neither in the cache nor on the remote"):
        object_reader(copy.project, parse_digest(digest_of("nothing")), "m")


def test_what_is_found_can_be_sent(copy: Place) -> None:
    (one, *_) = dvc_like.ls("sets/data")
    assert pickle.loads(pickle.dumps(one)) == one


# ------------------------------------------------------------------------------ another repository, by its URL


def test_a_repository_by_its_url(pushed: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    url = f"file://{pushed.root}"
    assert dvc_like.read("sets/data/sub/deep/c", repo=url) == b"c"
    assert (dvc_like.read("model", repo=url), dvc_like.read("model", repo=url, rev="v1")) == (b"MMM", b"mmm")
    assert dvc_like.read("src/code.py", repo=url, rev="v1") == b"print()\n"
    assert [one.path for one in dvc_like.ls("sets", repo=url, dvc_only=True)] == ["sets/data"]
    assert {"model.meta", "model", "src"} < {one.path for one in dvc_like.ls(repo=url, rev="v1")}
    with pytest.raises(UsageError, match="not tracked in v1"):
        dvc_like.read("nope", repo=url, rev="v1")
    with pytest.raises(CorruptData):
        dvc_like.read("model", repo="ext::sh -c true")


def test_a_repository_on_another_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its bytes come from its remote, and reading it again asks neither Git nor the remote for them."""
    with contextlib.closing(GitHttp(tmp_path)) as server:
        origin = make_origin(tmp_path / "origin", server, tmp_path / "storage")
        origin.change({"data/a.txt": "alpha 2"})
        monkeypatch.chdir(tmp_path)
        url = origin.url
        assert (dvc_like.read("data/a.txt", repo=url), dvc_like.read("data/a.txt", repo=url, rev="v1")) == (
            b"alpha 2",
            b"alpha",
        )
        assert dvc_like.read("notes.txt", repo=url, rev="v1") == b"by Git alone"
        found = dvc_like.ls(repo=url, recursive=True)
        assert {"data/sub/b.txt", "model.bin", "code/deep/y.py"} < {one.path for one in found}
        commit = origin.git("rev-parse", "v1^{commit}")
    shutil.rmtree(tmp_path / "storage")
    assert dvc_like.read("data/a.txt", repo=url, rev=commit) == b"alpha"
