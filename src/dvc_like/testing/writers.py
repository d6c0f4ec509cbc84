"""The part of the contract that is about others who write too: `once`, and what broken transfers left behind.

Owns the tests of those obligations; which backend they are tried on is the subclass's to say.
"""

# ruff: noqa: D102 - the name of a test is its text

from __future__ import annotations

from .samples import Suite, difference, load, local_file, opened, pattern, store


class WriterTests(Suite):
    """The first one stays where that was asked for, and nobody sweeps what another one needs."""

    def test_once_stores_what_is_not_there(self) -> None:
        with opened(self.make_backend) as backend, local_file(b"of a file") as path:
            backend.put("a", b"of bytes", once=True)
            backend.put("b", path, once=True)
            backend.put("gone", b"x")
            backend.flush()
            backend.delete(["gone"])
            backend.put("gone", b"again", once=True)
            backend.flush()
            assert [load(backend, key) for key in ("a", "b", "gone")] == [b"of bytes", b"of a file", b"again"]
            store(backend, {"a": b"replaced as ever"})
            assert load(backend, "a") == b"replaced as ever"

    def test_once_keeps_what_is_there(self) -> None:
        with opened(self.make_backend) as backend, local_file(b"late") as path:
            store(backend, {"a": b"early", "b": b"early"})
            with opened(self.reopen) as other:
                other.put("a", b"late", once=True)
                other.put("b", path, once=True)
                other.flush()
            assert [load(backend, key) for key in ("a", "b")] == [b"early", b"early"]

    def test_once_the_first_flushed_stays(self) -> None:
        with opened(self.make_backend) as backend, opened(self.reopen) as other:
            backend.put("a", b"mine", once=True)
            other.put("a", b"theirs", once=True)
            other.flush()
            theirs = load(other, "a")
            backend.flush()
            assert load(backend, "a") == theirs

    def test_a_sweep_touches_no_object(self) -> None:
        with opened(self.make_backend) as backend:
            assert backend.sweep(0) == 0
            store(backend, {"a": b"x", "b/c": b"y"})
            assert backend.sweep(0) >= 0
            assert [key for key, _ in backend.list("")] == ["a", "b/c"]
            assert load(backend, "b/c") == b"y"

    def test_a_sweep_spares_what_is_under_way(self) -> None:
        data = pattern(300_000)
        with opened(self.make_backend) as backend, opened(self.reopen) as other, local_file(data) as path:
            backend.put("a", b"x")
            backend.put("b", path)
            assert other.sweep(3600) == 0
            backend.flush()
            assert load(other, "a") == b"x"
            assert not difference(load(other, "b"), data)
