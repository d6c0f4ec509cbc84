"""The store: what is damaged is set aside and never given out, what is sound is known by its stat."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dvc_like import digest as digests
from dvc_like.cache import store, trash
from dvc_like.cache.store import Cache, Object, read_files, without_sound
from dvc_like.cache.writer import Writer
from dvc_like.digest import Digest, file_key, tree_key
from dvc_like.errors import UnsafePath
from dvc_like.fsutil import TEMP_PREFIX, signature

CONTENT = b"some content of an object\n" * 10


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Cache]:
    with Cache(str(tmp_path / "cache"), str(tmp_path / "trust.sqlite")) as opened:
        yield opened


def reopen(cache: Cache) -> Cache:
    """Another process's view of the same cache."""
    return Cache(cache.root, cache.trust._file._path)


def put(cache: Cache, data: bytes, algorithm: str = "blake3") -> Digest:
    source = Path(cache.root).parent / "source"
    source.write_bytes(data)
    fd = os.open(source, os.O_RDONLY)
    try:
        with Writer(cache, algorithm) as writer:
            return writer.put_file(fd, len(data)).digest
    finally:
        os.close(fd)


def put_tree(cache: Cache, data: bytes) -> Digest:
    with Writer(cache, "blake3") as writer:
        return writer.put_tree(data)


def read(cache: Cache, digest: Digest) -> bytes | None:
    opened = cache.open(digest)
    if opened is None:
        return None
    fd, status, fingerprint = opened
    try:
        data = os.read(fd, status.st_size + 1)
    finally:
        os.close(fd)
    assert fingerprint == digests.fingerprint(data)
    return data


def aside(cache: Cache) -> list[bytes]:
    folder = Path(cache.root, "bad")
    return [path.read_bytes() for path in folder.iterdir()] if folder.exists() else []


def test_many_files_are_read_as_one_is(cache: Cache) -> None:
    contents = [b"%d" % number * number for number in range(5)]
    kept, changed, touched, linked, unknown = [put(cache, data) for data in contents]
    lost = Digest("blake3:" + "0" * 64)
    Path(cache.path(changed)).chmod(0o644)
    Path(cache.path(changed)).write_bytes(b"2")  # of the same size: only its time tells
    os.utime(cache.path(touched), ns=(1, 1))
    Path(cache.path(linked)).unlink()
    Path(cache.path(linked)).symlink_to(Path(cache.root).parent / "source")
    cache.trust.drop(unknown)
    found = list(read_files(cache, [kept, lost, changed, kept, touched, linked, unknown]))
    assert found == [contents[0], None, None, contents[0], contents[2], None, contents[4]]
    assert b"2" in aside(cache)


def test_what_lacks_or_is_damaged_is_told_from_the_rest(cache: Cache) -> None:
    kept, damaged, thrown_away = put(cache, b"kept"), put(cache, b"damaged"), put(cache, b"thrown away")
    nowhere = Digest("blake3:" + "0" * 64)  # nor is its shard
    Path(cache.path(damaged)).chmod(0o644)
    Path(cache.path(damaged)).write_bytes(b"other")
    asked = [nowhere, kept, damaged, thrown_away]
    assert list(without_sound(cache, asked)) == [nowhere, damaged]
    shard = Path(cache.path(thrown_away)).parent
    assert cache.move(file_key(thrown_away), f"trash/{file_key(thrown_away)}")
    shard.rmdir()
    assert list(without_sound(reopen(cache), asked)) == [nowhere, damaged]
    assert Path(cache.path(thrown_away)).read_bytes() == b"thrown away"


def test_a_file_that_grows_while_it_is_read_is_looked_at_again(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    digest, read = put(cache, CONTENT), os.read
    path = Path(cache.path(digest))
    path.chmod(0o644)
    list(read_files(cache, [digest]))

    def grow(fd: int, size: int) -> bytes:
        monkeypatch.setattr(os, "read", read)
        with path.open("ab") as file:
            file.write(b"more")
        return read(fd, size)

    monkeypatch.setattr(os, "read", grow)
    assert list(read_files(cache, [digest])) == [None]
    assert aside(cache) == [CONTENT + b"more"]


@pytest.mark.parametrize("algorithm", digests.HEX_LENGTH)
def test_an_object_lies_where_the_format_says_and_is_the_users_bytes(cache: Cache, algorithm: str) -> None:
    digest = put(cache, CONTENT, algorithm)
    path = Path(cache.root, "files", algorithm, digest.hex[:2], digest.hex[2:])
    assert path.read_bytes() == CONTENT
    assert str(path) == cache.path(digest)
    assert path.stat().st_mode & 0o777 == 0o444
    assert read(cache, digest) == CONTENT
    assert cache.has(digest)
    assert cache.is_sound(digest)
    assert cache.ensure(digest)


def test_what_is_not_there_is_none(cache: Cache) -> None:
    digest = digests.of_bytes("blake3", b"never stored")
    assert not cache.has(digest)
    assert not cache.has_tree(digest)
    assert not cache.is_sound(digest)
    assert not cache.ensure(digest)
    assert cache.open(digest) is None
    assert cache.read_tree(digest) is None
    assert cache.set_aside == []


def test_a_file_and_a_tree_of_the_same_bytes_are_two_objects(cache: Cache) -> None:
    digest = put(cache, b"dvc-like tree 1\n")
    assert cache.has(digest)
    assert not cache.has_tree(digest)
    assert put_tree(cache, b"dvc-like tree 1\n") == digest
    assert cache.read_tree(digest) == b"dvc-like tree 1\n"


# ------------------------------------------------------------------------------ damage


def rewrite(path: Path, data: bytes) -> None:
    """Damage an object as a program would that writes through a link into the cache, or a failing disk."""
    status = path.stat()
    path.chmod(0o644)
    path.write_bytes(data)
    path.chmod(0o444)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


DAMAGE: dict[str, Callable[[Path], object]] = {
    "one flipped bit": lambda path: rewrite(path, bytes([CONTENT[0] ^ 1]) + CONTENT[1:]),
    "truncated": lambda path: rewrite(path, CONTENT[:-1]),
    "empty": lambda path: rewrite(path, b""),
    "grown": lambda path: rewrite(path, CONTENT + b"\0"),
    "zeros": lambda path: rewrite(path, bytes(len(CONTENT))),
    "replaced": lambda path: (path.unlink(), path.write_bytes(b"x" * len(CONTENT))),
}


@pytest.mark.parametrize("fresh", [False, True], ids=["same process", "another process"])
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_object_is_set_aside_and_never_given_out(
    cache: Cache, damage: Callable[[Path], object], fresh: bool
) -> None:
    digest = put(cache, CONTENT)
    damage(Path(cache.path(digest)))
    damaged = Path(cache.path(digest)).read_bytes()
    view = reopen(cache) if fresh else cache
    assert view.open(digest) is None
    assert view.set_aside == [digest]
    assert aside(view) == [damaged]
    assert not view.has(digest)
    assert not view.is_sound(digest)
    assert view.open(digest) is None
    assert view.trust.get(digest) is None
    if fresh:
        view.close()


def test_an_object_that_another_process_brings_again_meanwhile_is_sound(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = put(cache, CONTENT)
    place = Path(cache.path(digest))
    cache.trust.drop(digest)
    real, seen = store._verify, []

    def verify(fd: int, of: Digest, seed: int) -> bytes | None:
        found = real(fd, of, seed)
        if not seen:
            (place.parent / "again").write_bytes(CONTENT)
            os.replace(place.parent / "again", place)
        seen.append(of)
        return found

    monkeypatch.setattr(store, "_verify", verify)
    assert read(cache, digest) == CONTENT
    assert len(seen) == 2
    assert not cache.set_aside


@pytest.mark.parametrize("ask", [Cache.is_sound, Cache.ensure], ids=["is_sound", "ensure"])
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_every_question_for_soundness_notices(
    cache: Cache, damage: Callable[[Path], object], ask: Callable[[Cache, Digest], bool]
) -> None:
    digest = put(cache, CONTENT)
    damage(Path(cache.path(digest)))
    assert not ask(cache, digest)
    assert cache.set_aside == [digest]


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_object_without_a_record_is_noticed(cache: Cache, damage: Callable[[Path], object]) -> None:
    digest = put(cache, CONTENT)
    cache.trust.drop(digest)
    damage(Path(cache.path(digest)))
    assert cache.open(digest) is None


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_tree_is_set_aside(cache: Cache, damage: Callable[[Path], object]) -> None:
    digest = put_tree(cache, CONTENT)
    damage(Path(cache.root, tree_key(digest)))
    assert cache.read_tree(digest) is None
    assert cache.set_aside == [digest]
    assert not cache.has_tree(digest)


def test_damage_to_a_file_leaves_the_tree_of_the_same_bytes_alone(cache: Cache) -> None:
    digest = put(cache, CONTENT)
    put_tree(cache, CONTENT)
    rewrite(Path(cache.path(digest)), b"x")
    assert cache.open(digest) is None
    assert cache.read_tree(digest) == CONTENT


def test_several_damaged_versions_lie_side_by_side(cache: Cache) -> None:
    digest = b""
    for damaged in (b"one", b"two", b"three"):
        digest = put(cache, CONTENT)
        rewrite(Path(cache.path(digest)), damaged)
        assert cache.open(digest) is None
    assert sorted(aside(cache)) == [b"one", b"three", b"two"]


def test_swapped_objects_are_both_noticed(cache: Cache) -> None:
    one, other = put(cache, b"one!"), put(cache, b"two!")
    paths = [Path(cache.path(one)), Path(cache.path(other))]
    paths[0].rename(paths[0].parent / "aside")
    paths[1].rename(paths[0])
    (paths[0].parent / "aside").rename(paths[1])
    assert cache.open(one) is None
    assert cache.open(other) is None


@pytest.mark.parametrize("target", ["sound", "secret", "nowhere"])
def test_an_object_that_became_a_link_is_not_followed(cache: Cache, tmp_path: Path, target: str) -> None:
    digest = put(cache, CONTENT)
    path = Path(cache.path(digest))
    (tmp_path / "sound").write_bytes(CONTENT)
    (tmp_path / "secret").write_bytes(b"secret")
    path.unlink()
    path.symlink_to(tmp_path / target)
    assert not cache.has(digest)
    assert cache.open(digest) is None
    assert not cache.is_sound(digest)
    assert (tmp_path / "sound").read_bytes() == CONTENT
    assert (tmp_path / "secret").exists()
    assert put(cache, CONTENT) == digest  # storing it again puts a real file in its place
    assert not path.is_symlink()
    assert read(cache, digest) == CONTENT
    assert (tmp_path / "secret").read_bytes() == b"secret"


def test_an_object_that_is_a_folder_is_missing(cache: Cache) -> None:
    digest = put(cache, CONTENT)
    os.unlink(cache.path(digest))
    os.mkdir(cache.path(digest))
    assert not cache.has(digest)
    assert not cache.ensure(digest)
    assert cache.open(digest) is None


def test_an_object_that_is_a_pipe_is_missing_and_nobody_waits(cache: Cache) -> None:
    digest = put(cache, CONTENT)
    path = cache.path(digest)
    os.unlink(path)
    os.mkfifo(path)
    answers: list[bool] = []
    asking = threading.Thread(target=lambda: answers.append(cache.ensure(digest)), daemon=True)
    asking.start()
    asking.join(2)
    waits = asking.is_alive()
    if waits:  # a writer frees it
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
        asking.join()
    assert not waits
    assert answers == [False]
    assert not cache.has(digest)


# ------------------------------------------------------------------------------ trust


def test_a_record_that_fits_is_believed_without_reading(cache: Cache) -> None:
    """A false record for other bytes is the proof: were they read, they would be refused."""
    digest = put(cache, CONTENT)
    path = Path(cache.path(digest))
    rewrite(path, b"not the content")
    cache.trust.set(digest, signature(path.lstat()), digests.fingerprint(b"not the content"))
    assert cache.is_sound(digest)
    assert read(cache, digest) == b"not the content"
    cache.trust.drop(digest)
    assert read(cache, digest) is None


def test_a_record_survives_the_process(cache: Cache) -> None:
    digest = put(cache, CONTENT)
    path = Path(cache.path(digest))
    cache.trust.save()
    with reopen(cache) as other:
        record = other.trust.get(digest)
    assert record == (signature(path.lstat()), digests.fingerprint(CONTENT))


@pytest.mark.parametrize("touch", [lambda path: os.utime(path, ns=(5, 5)), lambda path: path.chmod(0o644)])
def test_a_touched_object_is_hashed_again_and_trusted_again(cache: Cache, touch: Callable[[Path], object]) -> None:
    digest = put(cache, CONTENT)
    path = Path(cache.path(digest))
    before = signature(path.lstat())
    touch(path)
    assert signature(path.lstat()) != before
    assert read(cache, digest) == CONTENT
    record = cache.trust.get(digest)
    assert record is not None
    assert record[0] == signature(path.lstat())
    assert cache.set_aside == []


@pytest.mark.parametrize("mode", [0o444, 0o644, 0o777])
def test_mode_bits_say_nothing(cache: Cache, mode: int) -> None:
    digest = put(cache, CONTENT)
    path = Path(cache.path(digest))
    path.chmod(0o644)
    path.write_bytes(b"damaged")
    path.chmod(mode)
    assert read(cache, digest) is None


def test_a_cache_copied_from_elsewhere_is_hashed_and_used(cache: Cache, tmp_path: Path) -> None:
    digest = put(cache, CONTENT)
    with Cache(cache.root, str(tmp_path / "no records.sqlite")) as other:
        assert other.is_sound(digest)
        assert other.trust.get(digest) is not None


# ------------------------------------------------------------------------------ trash


def objects(cache: Cache) -> set[str]:
    return {found.key for found in cache.objects()}


def item(cache: Cache, digest: Digest) -> Object:
    return next(found for found in cache.objects() if found.digest == digest)


def test_what_is_in_the_trash_comes_back_when_it_is_asked_for(cache: Cache) -> None:
    questions: list[Callable[[Digest], object]] = [cache.has, cache.is_sound, cache.ensure, lambda d: read(cache, d)]
    for ask in questions:
        digest = put(cache, CONTENT)
        trash.discard(cache, item(cache, digest))
        assert objects(cache) == set()
        assert [key for key, _ in trash.trashed(cache)] == [file_key(digest)]
        assert ask(digest)
        assert objects(cache) == {file_key(digest)}
        assert list(trash.trashed(cache)) == []
        assert read(cache, digest) == CONTENT


def test_a_tree_comes_back_too(cache: Cache) -> None:
    digest = put_tree(cache, CONTENT)
    trash.discard(cache, item(cache, digest))
    assert cache.has_tree(digest)
    trash.discard(cache, item(cache, digest))
    assert cache.read_tree(digest) == CONTENT


def test_what_comes_back_damaged_is_set_aside(cache: Cache) -> None:
    digest = put(cache, CONTENT)
    trash.discard(cache, item(cache, digest))
    rewrite(Path(cache.root, "trash", file_key(digest)), b"rotten")
    assert not cache.is_sound(digest)
    assert read(cache, digest) is None
    assert aside(cache) == [b"rotten"]


def test_the_age_in_the_trash_begins_when_it_gets_there(cache: Cache) -> None:
    digest = put(cache, CONTENT)
    os.utime(cache.path(digest), ns=(5, 5))
    trash.discard(cache, item(cache, digest))
    ((_, status),) = trash.trashed(cache)
    assert status.st_mtime_ns > 10**18


def test_what_is_deleted_from_the_trash_is_gone(cache: Cache) -> None:
    digest = put(cache, CONTENT)
    trash.discard(cache, item(cache, digest))
    trash.delete(cache, file_key(digest))
    assert list(trash.trashed(cache)) == []
    assert not cache.has(digest)


def test_storing_again_what_lies_in_the_trash_leaves_one_sound_object(cache: Cache) -> None:
    digest = put(cache, CONTENT)
    trash.discard(cache, item(cache, digest))
    assert put(cache, CONTENT) == digest
    assert read(cache, digest) == CONTENT


@pytest.mark.parametrize("called", ["lexists", "replace"])
def test_of_two_who_take_the_same_object_back_both_have_it(
    cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, called: str
) -> None:
    """The other one comes right before this one looks into the trash, or before it moves what it saw there."""
    owner = os.path if called == "lexists" else os
    real = getattr(owner, called)
    with Cache(cache.root, str(tmp_path / "other.sqlite")) as other:
        questions: list[Callable[[Digest], object]] = [
            cache.has,
            cache.is_sound,
            cache.ensure,
            lambda d: read(cache, d),
        ]
        for ask in questions:
            digest = put(cache, CONTENT)
            trash.discard(cache, item(cache, digest))
            quicker = [digest]

            def meet(path: str, *more: str, quicker: list[Digest] = quicker) -> object:
                if quicker and "/trash/" in path:
                    assert other.has(quicker.pop())
                return real(path, *more)

            with monkeypatch.context() as patched:
                patched.setattr(owner, called, meet)
                assert ask(digest)
            assert quicker == []


def test_gc_finds_a_tree_that_a_reader_takes_back_meanwhile(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = put_tree(cache, CONTENT)
    trash.discard(cache, item(cache, digest))
    real = cache._open_below

    def meet(key: str) -> int:
        if key.startswith("trash/"):
            cache.revive(key.removeprefix("trash/"))
        return real(key)

    monkeypatch.setattr(cache, "_open_below", meet)
    assert cache.peek_tree(digest, strict=True) == CONTENT


def test_what_a_reader_takes_back_while_the_trash_is_emptied_is_not_deleted(cache: Cache) -> None:
    digest = put(cache, CONTENT)
    trash.discard(cache, item(cache, digest))
    ((key, _),) = trash.trashed(cache)
    assert cache.has(digest)
    assert not trash.delete(cache, key)
    assert read(cache, digest) == CONTENT


# ------------------------------------------------------------------------------ listing and borders


def test_listing_shows_objects_and_nothing_else(cache: Cache) -> None:
    digest, tree = put(cache, CONTENT), put_tree(cache, b"tree")
    old = put(cache, b"x", "md5")
    shard = Path(cache.path(digest)).parent
    for name in (TEMP_PREFIX + "1", "short", "g" * 62, "A" * 62, "a" * 62 + ".part", "a" * 61):
        (shard / name).write_bytes(b"")
    (shard / ("a" * 62)).symlink_to(cache.path(digest))
    (shard / ("b" * 62)).mkdir()
    (Path(cache.root) / "files/blake3/stray").write_bytes(b"")
    (Path(cache.root) / "files/other").mkdir()
    assert objects(cache) == {file_key(digest), tree_key(tree), file_key(old)}
    assert item(cache, digest).size == len(CONTENT)
    assert not item(cache, digest).is_tree
    assert item(cache, tree).is_tree


def test_renewing_makes_an_object_young_and_forgives_one_that_is_not_there(cache: Cache) -> None:
    digest = put(cache, CONTENT)
    os.utime(cache.path(digest), ns=(5, 5))
    cache.renew(file_key(digest))
    assert item(cache, digest).mtime_ns > 10**18
    cache.renew("files/blake3/00/none")


def test_a_link_is_ours_only_when_it_names_an_object(cache: Cache) -> None:
    digest = put(cache, CONTENT)
    assert cache.digest_of_link(cache.path(digest)) == digest
    for target in (
        "",
        "a",
        cache.root,
        f"{cache.root}/files/blake3/ab",
        cache.path(digest) + ".tree",
        cache.path(digest) + "/x",
        cache.path(digest).replace(cache.root, cache.root + "2"),
        f"{cache.root}/files/blake3/../../../etc/passwd",
        f"{cache.root}/files/blake3/ab/../../../../x",
        cache.path(digest).upper(),
    ):
        assert cache.digest_of_link(target) is None


@pytest.mark.parametrize("name", ["files", "tmp", "bad", "trash", "trash/files", "files/blake3", "files/md5"])
def test_a_cache_with_a_link_in_it_is_not_opened(tmp_path: Path, name: str) -> None:
    (tmp_path / "outside").mkdir()
    root = tmp_path / "cache"
    (root / name).parent.mkdir(parents=True)
    (root / name).symlink_to(tmp_path / "outside")
    with pytest.raises(UnsafePath):
        Cache(str(root), str(tmp_path / "trust.sqlite"))


def test_a_shard_that_is_a_link_leads_nowhere(cache: Cache, tmp_path: Path) -> None:
    digest = digests.of_bytes("blake3", CONTENT)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / digest.hex[2:]).write_bytes(b"somebody's file")
    shard = Path(cache.path(digest)).parent
    shard.parent.mkdir(parents=True)
    shard.symlink_to(outside)
    for ask in (cache.open, cache.ensure, cache.is_sound, cache.has):
        try:
            assert not ask(digest), ask
        except UnsafePath:
            continue
    with pytest.raises(UnsafePath):
        put(cache, CONTENT)
    with pytest.raises(UnsafePath):
        list(cache.objects())
    assert [path.read_bytes() for path in outside.iterdir()] == [b"somebody's file"]
