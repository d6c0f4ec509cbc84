"""A few small listings that unfold to more folders than any disk holds: refused, and fast, by every command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from blake3 import blake3
from tests.cli.place import Place, objects_in
from tests.cli.stores import contents_of

import dvc_like
from dvc_like import Selection
from dvc_like.errors import BadTree, UsageError
from dvc_like.ops import _trees

DEPTH = 60


def put(place: Place, data: bytes, *, suffix: str = ".tree") -> str:
    """Put an object into the cache as a stranger would; return its digest."""
    hexes = blake3(data).hexdigest()
    path = place.cache / "files" / "blake3" / hexes[:2] / (hexes[2:] + suffix)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return f"blake3:{hexes}"


def bomb(place: Place, *, depth: int = DEPTH, width: int = 2, file: str = "") -> None:
    """Make a dataset of `depth` listings, each of which names the one below `width` times; `file` lies in the last."""
    size, files = len(file), int(bool(file))
    text = "dvc-like tree 1\n"
    if file:
        text += f"f\t{size}\t{put(place, file.encode(), suffix='')}\tf\n"
    digest = put(place, text.encode())
    for _ in range(depth):
        lines = "".join(f"d\t{size}\t{digest}\t{files}\td{n:0{len(str(width - 1))}}\n" for n in range(width))
        digest = put(place, f"dvc-like tree 1\n{lines}".encode())
        size, files = size * width, files * width
    (place / "data.meta").write_text(f"hash: {digest}\nsize: {size}\nfiles: {files}\n")
    (place / ".gitignore").write_text("/data\n")


@pytest.fixture(params=["empty folders", "a file"])
def bombed(request: pytest.FixtureRequest, place: Place) -> Place:
    """A project with such a dataset, and an honest one beside it, pushed."""
    place.write({"good/x": "x"})
    place.add("good")
    bomb(place, file="x" if request.param == "a file" else "")
    place.save()
    return place


def test_checkout_refuses_names_the_meta_file_and_does_the_rest(bombed: Place) -> None:
    (bombed / "good/x").unlink()
    with pytest.raises(BadTree) as caught:
        bombed.checkout()
    assert "data.meta" in caught.value.message
    assert caught.value.exit_code == 7
    assert not (bombed / "data").exists()
    assert (bombed / "good/x").read_text() == "x"


def test_pull_into_a_clone_refuses_and_fetch_is_done_soon(
    bombed: Place, clone: Callable[..., Place], store: Path
) -> None:
    bombed.push()
    copy = clone()
    copy.fetch()
    assert set(objects_in(copy.cache)) == set(contents_of(store))
    with pytest.raises(BadTree, match=r"data\.meta"):
        copy.pull()
    assert not (copy / "data").exists()
    assert (copy / "good/x").read_text() == "x"


def test_the_commands_that_only_look_end(bombed: Place) -> None:
    assert bombed.states()["data"] == "absent"
    bombed.age()
    assert bombed.gc(workspace=True, dry_run=True).garbage == []
    dvc_like.fsck(bombed.project)


def test_patterns_and_profiles_end(bombed: Place, clone: Callable[..., Place]) -> None:
    bombed.push()
    bombed.config("project", **{"profile_few.exclude": "**/nothing/like/it"})
    bombed.save()
    copy = clone()
    here = str(copy / "data/**/d1/**/none")
    for verb in (dvc_like.fetch, dvc_like.push):
        with pytest.raises(UsageError, match="nothing that is tracked matches"):
            verb(copy.project, Selection((here,), glob=True))
    with pytest.raises(BadTree, match=r"data\.meta"):
        dvc_like.pull(copy.project, Selection((here,), glob=True))
    with pytest.raises(UsageError, match="nothing that is tracked matches"):
        dvc_like.drop(copy.project, [here], glob=True)
    with pytest.raises(UsageError, match="nothing that is tracked matches"):
        dvc_like.status(copy.project, (here,), glob=True)
    dvc_like.fetch(copy.project, Selection(profile="few"))
    dvc_like.status(copy.project, profile="few")
    with pytest.raises(BadTree):
        dvc_like.checkout(copy.project, profile="few")
    assert dvc_like.drop(copy.project, [str(copy / "data")]).files == []


def test_status_ends_where_a_part_of_it_is_here(place: Place) -> None:
    bomb(place, file="x")
    (place / ("data" + "/d1" * DEPTH)).mkdir(parents=True)
    assert place.states() == {"data": "partial"}
    with pytest.raises(BadTree):
        place.checkout()


def test_a_part_that_is_small_can_be_had(bombed: Place) -> None:
    inside = "data" + "/d0" * (DEPTH - 3)
    bombed.checkout(inside)
    assert len(list((bombed / inside).rglob("d0"))) == 1 + 2 + 4


def test_a_dataset_that_repeats_itself_within_measure_is_fine(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand equal folders are no attack. The limits are made small, so that they are reached."""
    bomb(place, depth=10, file="x")
    monkeypatch.setattr(_trees, "UNFOLD_FREELY", 3 * 1024)
    place.checkout()
    assert len(list((place / "data").rglob("f"))) == 1024
    assert place.states() == {"data": "unchanged"}


def test_a_large_dataset_may_unfold_more(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts past the free measure is how much of it there really is."""
    bomb(place, depth=2, width=20, file="x")
    monkeypatch.setattr(_trees, "UNFOLD_FREELY", 50)
    monkeypatch.setattr(_trees, "UNFOLD_TIMES", 19)
    with pytest.raises(BadTree, match="820 files and folders"):
        place.checkout()
    monkeypatch.setattr(_trees, "UNFOLD_TIMES", 20)
    place.checkout()
    assert (place / "data/d19/d19/f").read_text() == "x"
