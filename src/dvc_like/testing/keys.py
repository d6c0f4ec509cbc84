"""The part of the contract that is about keys: stat, list, delete, and what may be a key.

Owns the tests of those obligations; which backend they are tried on is the subclass's to say.
"""

# ruff: noqa: D102 - the name of a test is its text

from __future__ import annotations

import io

import pytest

from ..errors import RemoteNotFound, UsageError
from ..remote.base import Backend
from .samples import Suite, assert_absent, load, opened, store

#: No two keys of a store differ in the case of letters alone: not every store could tell them apart.
KEYS = (
    *("ABCDEFGHIJKLMNOPQRSTUVWXYZ._-", "bc/defghijklm.nopqrstuvwxyz", "0123456789/_/-/a-._", "...", "-/--", "_"),
    "/".join(["k" * 200, "l" * 200, "m" * 110]),  # 512 characters, no part longer than a file name may be
)
NO_KEYS = (
    *("", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/..", "a/../b", "./a", "a/./b", "a b", "a\n", "ä", "a\\b"),
    "x" * 513,
)


class KeyTests(Suite):
    """What is there is found, listed in order, and gone when it was deleted."""

    def test_stat_leaves_out_what_is_not_there(self) -> None:
        with opened(self.make_backend) as backend:
            assert backend.stat([]) == {}
            assert backend.stat(["a", "b/c"]) == {}
            store(backend, {"a": b"1", "b/c": b"22"})
            found = backend.stat(key for key in ("b/c", "b", "a", "b/d", "x/y", "a"))
            assert {key: info.size for key, info in found.items()} == {"a": 1, "b/c": 2}

    def test_stat_of_many(self) -> None:
        with opened(self.make_backend) as backend:
            store(backend, {f"many/{number:04}": b"x" * number for number in range(self.MANY)})
            found = backend.stat(f"many/{number:04}" for number in range(2 * self.MANY))
            assert {key: info.size for key, info in found.items()} == {
                f"many/{number:04}": number for number in range(self.MANY)
            }

    def test_a_token_stays_until_the_object_is_written_again(self) -> None:
        with opened(self.make_backend) as backend:
            store(backend, {"a": b"same size", "b": b"other"})
            first = backend.stat(["a"])["a"]
            load(backend, "a")
            store(backend, {"b": b"changes"})
            with opened(self.reopen) as other:
                assert other.stat(["a"])["a"] == first
            assert dict(backend.list(""))["a"] == first
            store(backend, {"a": b"SAME SIZE"})
            again = backend.stat(["a"])["a"]
            assert again.size == first.size
            assert not first.token or again.token != first.token

    # ---------------------------------------------------------------- list

    def test_list_is_sorted(self) -> None:
        # "-" and "." sort before "/", digits and letters after it: folder by folder is not key by key.
        keys = ["a/c", "a-b", "a.b", "a/b/c", "a0", "B", "a/b-c", "a/b.c", "a/b0", "_", "c/10", "c/9", "0"]
        with opened(self.make_backend) as backend:
            store(backend, {key: key.encode() for key in keys})
            assert [key for key, _ in backend.list("")] == sorted(keys)
            assert [key for key, _ in backend.list("a/")] == ["a/b-c", "a/b.c", "a/b/c", "a/b0", "a/c"]

    def test_list_tells_sizes(self) -> None:
        with opened(self.make_backend) as backend:
            store(backend, {"a/1": b"x", "a/2": b"xx", "b": b"xxx"})
            assert [(key, info.size) for key, info in backend.list("")] == [("a/1", 1), ("a/2", 2), ("b", 3)]
            assert dict(backend.list("")) == backend.stat(["a/1", "a/2", "b"])

    def test_a_prefix_is_a_folder_and_not_the_beginning_of_a_name(self) -> None:
        with opened(self.make_backend) as backend:
            store(backend, dict.fromkeys(["a/1", "a/b/2", "a.b", "ab/3", "b/a/4", "aa"], b"x"))
            assert [key for key, _ in backend.list("a/")] == ["a/1", "a/b/2"]
            assert [key for key, _ in backend.list("a/b/")] == ["a/b/2"]
            assert [key for key, _ in backend.list("b/")] == ["b/a/4"]

    def test_a_prefix_that_is_not_there_yields_nothing(self) -> None:
        with opened(self.make_backend) as backend:
            assert list(backend.list("")) == list(backend.list("a/b/")) == []
            store(backend, {"b": b"x"})
            assert list(backend.list("a/")) == list(backend.list("b/")) == []

    def test_list_of_many(self) -> None:
        keys = [f"{number % 7}/{number:04}" for number in range(self.MANY)]
        with opened(self.make_backend) as backend:
            store(backend, dict.fromkeys(keys, b"x"))
            assert [key for key, _ in backend.list("")] == sorted(keys)

    # ---------------------------------------------------------------- delete

    def test_delete_many_also_what_is_not_there(self) -> None:
        with opened(self.make_backend) as backend:
            backend.delete([])
            backend.delete(["not", "not/there"])
            store(backend, {f"many/{number:04}": b"x" for number in range(self.MANY)} | {"kept": b"k", "many2/k": b"k"})
            backend.delete(f"many/{number:04}" for number in range(2 * self.MANY))
            backend.flush()
            assert [key for key, _ in backend.list("")] == ["kept", "many2/k"]
            assert_absent(backend, "many/0000")
            assert load(backend, "kept") == b"k"
            store(backend, {"many/0000": b"again"})
            assert load(backend, "many/0000") == b"again"

    def test_what_was_deleted_does_not_come_back_with_the_flush(self) -> None:
        with opened(self.make_backend) as backend:
            backend.put("a", b"x")
            backend.delete(["a"])
            backend.flush()
            assert_absent(backend, "a")

    # ---------------------------------------------------------------- keys

    @pytest.mark.parametrize("key", KEYS)
    def test_every_key(self, key: str) -> None:
        with opened(self.make_backend) as backend:
            store(backend, {key: key.encode()})
            assert load(backend, key) == key.encode()
            assert list(backend.stat([key])) == [found for found, _ in backend.list("")] == [key]
            backend.delete([key])
            assert list(backend.list("")) == []

    @pytest.mark.parametrize("key", NO_KEYS)
    def test_what_is_no_key_is_refused(self, key: str) -> None:
        with opened(self.make_backend) as backend:
            with pytest.raises(UsageError):
                backend.put(key, b"x")
            with pytest.raises((UsageError, RemoteNotFound)):
                backend.get(key, io.BytesIO())
            backend.flush()
            assert list(backend.list("")) == []

    def test_capabilities(self) -> None:
        with opened(self.make_backend) as backend:
            capabilities = backend.capabilities
            assert isinstance(backend, Backend)
            assert capabilities.label.strip()
            assert capabilities.label.isprintable()
            assert 1 <= capabilities.concurrency <= 1000
            assert isinstance(capabilities.cheap_stat, bool)
