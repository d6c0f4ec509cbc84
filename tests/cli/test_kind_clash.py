"""A file belongs where a folder stands, or a folder where a file stands: seen before anything is touched."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from tests.cli.place import Place, key_of, temps_in
from tests.cli.stores import take_out
from tests.conftest import Cli, make_files, tree_of

from dvc_like.errors import DvcLikeError, PartialFailure, WouldOverwrite


@pytest.fixture
def turned(place: Place) -> Place:
    """At tag `one` the thing is a file, at `two` a folder; in a dataset and as a target. The workspace is at two."""
    place.write({"data/a": "1", "data/thing": "file", "target": "file", "z": "1"})
    place.add("data", "target", "z")
    place.save("one")
    place.git("tag", "one")
    for path in (place / "data/thing", place / "target"):
        path.unlink()
        make_files(path, {"x": "x", "deep/y": "y"})
    place.write({"data/a": "2", "z": "2"})
    place.add("data", "target", "z")
    place.save("two")
    place.git("tag", "two")
    return place


THINGS = pytest.mark.parametrize("thing", ["data/thing", "target"])


def untouched(place: Place, act: Callable[[], object]) -> WouldOverwrite:
    """Check that it is refused and that nothing at all changed; return the error."""
    before = tree_of(place.root, skip=(".git", ".dvc-like"))
    with pytest.raises(WouldOverwrite, match="nothing was changed") as caught:
        act()
    assert tree_of(place.root, skip=(".git", ".dvc-like")) == before
    assert caught.value.exit_code == 5
    return caught.value


def test_there_and_back_again(turned: Place) -> None:
    two = turned.data()
    turned.git("checkout", "-q", "one")
    turned.checkout()
    assert (turned / "data/thing").read_text() == (turned / "target").read_text() == "file"
    assert set(turned.states().values()) == {"unchanged"}
    turned.git("checkout", "-q", "two")
    turned.checkout()
    assert turned.data() == two
    assert set(turned.states().values()) == {"unchanged"}


@THINGS
@pytest.mark.parametrize("name", ["mine", "deep/mine", "empty"])
@pytest.mark.parametrize("force", [False, True])
def test_a_folder_with_something_never_added_refuses_even_with_force(
    turned: Place, thing: str, name: str, force: bool
) -> None:
    if name == "empty":
        (turned / thing / name).mkdir()
    else:
        turned.write({f"{thing}/{name}": "mine"})
    turned.git("checkout", "-q", "one")
    error = untouched(turned, lambda: turned.checkout(force=force))
    assert error.details == (f"{thing}/{name}",)
    assert "Move the folder away" in error.hint
    os.rename(turned / thing, turned / "elsewhere")
    turned.checkout()
    assert (turned / thing).read_text() == "file"


@THINGS
def test_an_unsaved_edit_in_a_folder_that_gives_way_goes_only_with_force(turned: Place, thing: str) -> None:
    turned.write({f"{thing}/deep/y": "edited"})
    turned.git("checkout", "-q", "one")
    error = untouched(turned, turned.checkout)
    assert error.details == (f"{thing}/deep/y",)
    turned.checkout(force=True)
    assert (turned / thing).read_text() == "file"


@THINGS
def test_an_unsaved_file_where_a_folder_belongs_goes_only_with_force(turned: Place, thing: str) -> None:
    turned.git("checkout", "-q", "one")
    turned.checkout()
    turned.write({thing: "edited"})
    turned.git("checkout", "-q", "two")
    error = untouched(turned, turned.checkout)
    assert error.details == (thing,)
    turned.checkout(force=True)
    assert (turned / thing / "deep/y").read_text() == "y"


def test_a_file_never_added_where_a_new_folder_belongs(turned: Place, clone: Callable[..., Place]) -> None:
    turned.push()
    copy = clone()
    copy.write({"data/thing": "mine"})
    error = untouched(copy, copy.pull)
    assert error.details == ("data/thing",)


def test_only_what_was_asked_for_makes_room(turned: Place) -> None:
    turned.git("checkout", "-q", "one")
    turned.checkout()
    turned.write({"data/thing": "edited"})
    turned.git("checkout", "-q", "two")
    turned.checkout("data/a")
    assert (turned / "data/a").read_text() == "2"
    assert (turned / "data/thing").read_text() == "edited"


def test_a_link_where_a_folder_belongs_is_not_followed(turned: Place) -> None:
    turned.git("checkout", "-q", "one")
    turned.checkout()
    turned.write({"outside/x": "theirs"})
    (turned / "data/thing").unlink()
    os.symlink("../outside", turned / "data/thing")
    turned.git("checkout", "-q", "two")
    untouched(turned, turned.checkout)
    turned.checkout(force=True)
    assert tree_of(turned / "outside") == {"x": ("file", False, b"theirs")}
    assert (turned / "data/thing/x").read_text() == "x"


# ------------------------------------------------------------------------------ pull


def test_pull_tells_of_files_in_the_way_and_of_what_could_not_be_fetched(
    turned: Place, clone: Callable[..., Place], store: object
) -> None:
    turned.push()
    take_out(turned.root.parent / "storage", key_of("y"))
    copy = clone()
    copy.write({"z": "mine"})
    with pytest.raises(PartialFailure) as caught:
        copy.pull()
    told = "\n".join(caught.value.details)
    assert "deep/y" in told
    assert "in the way" in told
    assert "\nz" in told
    assert (copy / "z").read_text() == "mine"


def test_pull_with_a_file_in_the_way_alone_is_5(turned: Place, clone: Callable[..., Place], cli: Cli) -> None:
    turned.push()
    copy = clone()
    copy.write({"z": "mine"})
    done = cli("pull", code=5, cwd=copy.root)
    assert "z" in done.err
    assert not (copy / "data").exists()


# ------------------------------------------------------------------------------ folders that cannot be written


@pytest.mark.parametrize("locked", ["data", "data/thing", "data/thing/deep", "."])
def test_a_folder_that_cannot_be_written_leaves_its_whole_target_alone(
    turned: Place, unprivileged: Cli, locked: str
) -> None:
    turned.write({"data/thing/deep/y": "three", "data/thing/x": "three", "data/new/n": "n"})
    turned.add("data")
    turned.save("three")
    turned.git("checkout", "-q", "two")
    before = tree_of(turned / "data")
    (turned / locked).chmod(0o555)
    try:
        done = unprivileged("checkout", "data", code=1 if locked != "." else 0)
    finally:
        (turned / locked).chmod(0o755)
    if locked != ".":
        assert f"{locked} cannot be written to" in done.err
        assert "Traceback" not in done.err
        unlocked = tree_of(turned / "data")
        assert unlocked == before
        unprivileged("checkout", "data")
    assert (turned / "data/thing/deep/y").read_text() == "y"
    assert temps_in(turned.root) == []
    assert turned.states("data") == {"data": "unchanged"}


def test_a_new_target_in_a_folder_that_cannot_be_written(
    place: Place, clone: Callable[..., Place], unprivileged: Cli
) -> None:
    place.write({"sub/data/x": "1", "sub/single": "s", "other": "o"})
    place.add("sub/data", "sub/single", "other")
    place.save()
    place.push()
    copy = clone()
    (copy / "sub").chmod(0o555)
    try:
        done = unprivileged("pull", code=1, cwd=copy.root)
    finally:
        (copy / "sub").chmod(0o755)
    assert "sub cannot be written to" in done.err
    assert sorted(copy.data()) == ["other", "sub"]
    unprivileged("pull", cwd=copy.root)
    assert (copy / "sub/data/x").read_text() == "1"


def test_an_error_of_one_target_does_not_end_the_others(turned: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be seen beforehand: the system refuses while it is done."""
    from dvc_like.fsutil import Dir

    turned.git("checkout", "-q", "one")
    real = Dir.symlink, Dir.rename

    def refuse(self: Dir, old: str, new: str, **options: Dir) -> None:
        if new == "a":
            raise PermissionError(13, "Permission denied", f"{self.path}/{new}")
        real[1](self, old, new, **options)

    monkeypatch.setattr(Dir, "rename", refuse)
    with pytest.raises(DvcLikeError, match="data/a: Permission denied"):
        turned.checkout()
    assert (turned / "z").read_text() == "1"
    assert temps_in(turned.root) == []
    monkeypatch.undo()
    turned.checkout()
    assert set(turned.states().values()) == {"unchanged"}
