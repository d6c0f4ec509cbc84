"""What an editor saves while a checkout or an add runs: between the look at a file and its turn."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.place import Place, past_the_tick, temps_in
from tests.conftest import Cli

from dvc_like.cache.place import Placer
from dvc_like.errors import WouldOverwrite
from dvc_like.ops import checkout as checkout_module
from dvc_like.ops._apply import Applier

Meanwhile = Callable[[Callable[[], object]], None]


@pytest.fixture
def versions(place: Place) -> Place:
    """Version one, tagged, and version two; the workspace is at two, Git at one."""
    place.write({"data/a": "1", "data/b": "1", "data/old": "o", "single": "1"})
    os.symlink("a", place / "data/link")
    place.add("data", "single")
    place.save("one")
    place.git("tag", "one")
    place.write({"data/a": "2", "data/b": "2", "data/extra": "e", "data/deep/x": "x", "single": "2", "later": "l"})
    (place / "data/old").unlink()
    (place / "data/link").unlink()
    os.symlink("b", place / "data/link")
    place.add("data", "single", "later")
    place.save("two")
    past_the_tick(place / "later")
    place.checkout()
    place.git("checkout", "-q", "one")
    return place


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Meanwhile:
    """Have something happen after everything was planned, and before anything is touched."""

    def arrange(happens: Callable[[], object]) -> None:
        done: list[bool] = []

        def placer(*arguments: object) -> Placer:
            if not done:
                done.append(True)
                happens()
            return Placer(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(checkout_module, "Placer", placer)

    return arrange


def save(path: Path, text: str) -> None:
    """Save as most editors do: another file takes the place."""
    path.parent.mkdir(exist_ok=True)
    path.with_name("~new").write_text(text)
    path.with_name("~new").replace(path)


@pytest.mark.parametrize("name", ["data/a", "data/extra", "data/deep/x", "single"])
@pytest.mark.parametrize("how", ["renamed over", "in place"])
def test_a_file_saved_after_the_plan_is_left_alone_and_the_rest_is_done(
    versions: Place, meanwhile: Meanwhile, name: str, how: str
) -> None:
    path = versions / name

    meanwhile(lambda: save(path, "mine") if how == "renamed over" else path.write_text("mine"))
    with pytest.raises(WouldOverwrite) as caught:
        versions.checkout()
    assert caught.value.details == (name,)
    assert "--force" in caught.value.hint
    assert path.read_text() == "mine"
    assert (versions / "data/b").read_text() == "1"
    assert (versions / "data/old").read_text() == "o"
    assert os.readlink(versions / "data/link") == "a"
    assert temps_in(versions.root) == []


def test_an_edit_that_keeps_size_and_mtime_is_seen(versions: Place, meanwhile: Meanwhile) -> None:
    path = versions / "data/a"

    def edit() -> None:
        before = path.stat()
        path.write_text("m")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    meanwhile(edit)
    with pytest.raises(WouldOverwrite):
        versions.checkout()
    assert path.read_text() == "m"


def test_it_is_left_alone_as_well_where_it_was_written_a_moment_before(place: Place, meanwhile: Meanwhile) -> None:
    """So fresh that the stat cannot tell the two apart: the content can."""
    place.write({"data/a": "1"})
    place.add("data")
    place.save("one")
    place.write({"data/a": "2"})
    place.add("data")
    place.git("checkout", "-q", "--", "data.meta")
    meanwhile(lambda: (place / "data/a").write_text("m"))
    with pytest.raises(WouldOverwrite):
        place.checkout()
    assert (place / "data/a").read_text() == "m"


@pytest.mark.parametrize(("name", "state"), [("data/old", "modified"), ("data/a", "modified"), ("data/extra", "added")])
def test_what_is_left_alone_stays_in_sight(versions: Place, meanwhile: Meanwhile, name: str, state: str) -> None:
    meanwhile(lambda: save(versions / name, "mine"))
    with pytest.raises(WouldOverwrite):
        versions.checkout()
    assert versions.changes() == {name: state}
    if state == "modified":
        with pytest.raises(WouldOverwrite, match="in the way"):
            versions.checkout()
    versions.add("data")
    assert versions.changes() == {}
    assert (versions / name).read_text() == "mine"


@pytest.mark.parametrize("kind", ["file", "link", "folder"])
def test_a_file_that_appears_after_the_plan_is_not_replaced(versions: Place, meanwhile: Meanwhile, kind: str) -> None:
    """`data/old` is not there while it is planned."""

    def appear() -> None:
        if kind == "file":
            (versions / "data/old").write_text("mine")
        elif kind == "link":
            os.symlink("nowhere", versions / "data/old")
        else:
            (versions / "data/old").mkdir()
            (versions / "data/old/mine").write_text("mine")

    meanwhile(appear)
    with pytest.raises(WouldOverwrite) as caught:
        versions.checkout()
    assert caught.value.details == ("data/old",)
    if kind == "link":
        assert os.readlink(versions / "data/old") == "nowhere"
    else:
        assert (versions / "data/old" / ("mine" if kind == "folder" else "")).read_text() == "mine"
    assert (versions / "data/a").read_text() == "1"
    assert temps_in(versions.root) == []


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_appears_where_a_whole_folder_belongs_stays(versions: Place, meanwhile: Meanwhile, kind: str) -> None:
    versions.git("checkout", "-q", "-")
    shutil.rmtree(versions / "data/deep")

    def appear() -> None:
        if kind == "file":
            (versions / "data/deep").write_text("mine")
        else:
            (versions / "data/deep").mkdir()
            (versions / "data/deep/mine").write_text("mine")

    meanwhile(appear)
    with pytest.raises(WouldOverwrite) as caught:
        versions.checkout()
    assert caught.value.details == ("data/deep",)
    assert (versions / "data/deep" / ("mine" if kind == "folder" else "")).read_text() == "mine"
    assert temps_in(versions.root) == []
    assert versions.changes() != {}


def test_a_link_that_was_put_in_the_place_of_another_stays(versions: Place, meanwhile: Meanwhile) -> None:
    def relink() -> None:
        (versions / "data/link").unlink()
        os.symlink("mine", versions / "data/link")

    meanwhile(relink)
    with pytest.raises(WouldOverwrite):
        versions.checkout()
    assert os.readlink(versions / "data/link") == "mine"


@pytest.mark.parametrize("happens", ["touched", "deleted", "linked"])
def test_what_is_only_touched_or_gone_holds_nothing_up(versions: Place, meanwhile: Meanwhile, happens: str) -> None:
    path = versions / "data/a"
    meanwhile(
        {
            "touched": lambda: os.utime(path),
            "deleted": path.unlink,
            "linked": lambda: os.link(path, versions / "a second name"),
        }[happens]
    )
    versions.checkout()
    assert path.read_text() == "1"
    assert versions.changes() == {}


def test_with_force_it_goes_on(versions: Place, meanwhile: Meanwhile) -> None:
    def edit() -> None:
        save(versions / "data/a", "mine")
        save(versions / "data/old", "mine")
        save(versions / "data/extra", "mine")

    meanwhile(edit)
    versions.checkout(force=True)
    assert (versions / "data/a").read_text() == "1"
    assert (versions / "data/old").read_text() == "o"
    assert not (versions / "data/extra").exists()


@pytest.mark.parametrize(("name", "method"), [("data/deep/x", "remove"), ("later", "remove_file")])
def test_data_of_a_vanished_meta_file_that_is_saved_meanwhile_stays(
    versions: Place, monkeypatch: pytest.MonkeyPatch, name: str, method: str
) -> None:
    versions.git("checkout", "-q", "one~1")
    real = getattr(Applier, method)

    def first_saved(self: Applier, *arguments: object) -> None:
        if arguments[1] == name.partition("/")[0]:
            (versions / name).write_text("mine")
        real(self, *arguments)

    monkeypatch.setattr(Applier, method, first_saved)
    with pytest.raises(WouldOverwrite) as caught:
        versions.checkout()
    assert caught.value.details == (name,)
    assert (versions / name).read_text() == "mine"
    assert not (versions / "data/a").exists()


def test_the_command_ends_with_5_and_names_the_file(versions: Place, cli: Cli, tmp_path: Path) -> None:
    """A real process, and a real program that saves while it works: the hook is what a slow disk would be."""
    hook = tmp_path / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(
        "import dvc_like.ops.checkout as module\n"
        "real = module.Placer\n"
        "def placer(*arguments):\n"
        "    open('data/a', 'w').write('mine')\n"
        "    return real(*arguments)\n"
        "module.Placer = placer\n"
    )
    done = cli("checkout", code=5, env={"PYTHONPATH": f"{hook}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"})
    assert "data/a" in done.err
    assert (versions / "data/a").read_text() == "mine"
    assert (versions / "data/b").read_text() == "1"


@pytest.mark.parametrize("link", ["hardlink", "symlink"])
@pytest.mark.parametrize("happens", ["saved", "deleted"])
def test_add_links_only_what_is_still_what_it_read(
    place: Place, monkeypatch: pytest.MonkeyPatch, link: str, happens: str
) -> None:
    """With `cache.type` set so, `add` replaces the user's file by a link: not by one to what it was before."""
    place.config(cache_type=link)
    place.write({"data/a": "1", "data/b": "1b"})
    real, done = Placer.place, []

    def slow(self: Placer, *arguments: object, **options: object) -> object:
        if not done:
            done.append(True)
            if happens == "saved":
                (place / "data/a").write_text("mine")
            else:
                (place / "data/a").unlink()
        return real(self, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Placer, "place", slow)
    place.add("data")
    monkeypatch.undo()
    if happens == "saved":
        assert (place / "data/a").read_text() == "mine"
        assert not (place / "data/a").is_symlink()
        assert (place / "data/a").stat().st_nlink == 1
        assert place.changes() == {"data/a": "modified"}
    else:
        assert not (place / "data/a").exists()
        assert place.changes() == {"data/a": "deleted"}
    assert (place / "data/b").read_text() == "1b"
