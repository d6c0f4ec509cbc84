"""Patterns and profiles: a part of what is tracked, chosen by name, on every verb that takes targets."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.cli.inprocess import InProcess, in_process  # noqa: F401 - the fixture `cli` of this file
from tests.cli.place import Place

import dvc_like
from dvc_like.errors import ConfigError, DataMissing, UsageError

DATA = {
    "data/a/1.jpg": "a1",
    "data/a/1.raw": "a1 raw",
    "data/b/deep/2.jpg": "b2",
    "data/b/deep/2.raw": "b2 raw",
    "data/c/3.raw": "c3 raw",
    "data/hollow": None,
    "model.bin": "m",
    "other.raw": "o",
}


@pytest.fixture
def pushed(place: Place) -> Place:
    place.track(DATA)
    place.push()
    return place


def files(place: Place) -> set[str]:
    return {name for name, node in place.data().items() if node[0] == "file"}


JPGS = {"data/a/1.jpg", "data/b/deep/2.jpg"}


def test_pull_brings_what_matches_and_nothing_else(copy: Place, cli: InProcess) -> None:
    done = cli("pull", "--glob", "data/**/*.jpg", "--json").json
    assert set(done["created"]) == JPGS == files(copy)
    assert done["fetched"] == 2
    assert set(copy.data()) == {*JPGS, "data", "data/a", "data/b", "data/b/deep"}  # no folder for nothing
    assert not copy.cached("a1 raw").exists()
    assert cli("status").out.count("absent") == 2  # the single files
    assert copy.states()["data"] == "partial"


def test_patterns_are_seen_from_the_current_folder_and_match_targets_too(copy: Place, cli: InProcess) -> None:
    assert "nothing that is tracked matches" in cli("status", "--glob", "*.jpg", code=2).err
    (copy / "data").mkdir()
    cli("pull", "--glob", "*/1.*", "../m*", cwd=copy / "data")
    assert files(copy) == {"data/a/1.jpg", "data/a/1.raw", "model.bin"}


def test_a_pattern_that_matches_a_folder_means_all_of_it(copy: Place, cli: InProcess) -> None:
    cli("pull", "--glob", "data/[bc]")
    assert files(copy) == {name for name in DATA if name.startswith(("data/b/", "data/c/"))}


def test_a_pattern_that_matches_nothing_is_named_and_the_others_are_done(copy: Place, cli: InProcess) -> None:
    copy.fetch()
    done = cli("checkout", "--glob", "data/**/*.jpg", "data/**/*.png", code=2)
    assert "nothing that is tracked matches 'data/**/*.png'" in done.err
    assert files(copy) == JPGS
    assert "'data/**/*.png'" in cli("pull", "--glob", "data/**/*.png", code=2).err
    cli("checkout", "--glob", code=2)
    cli("checkout", "--glob", "x", "--profile", "y", code=2)
    cli("checkout", "--glob", "../outside/*", code=2)


def test_what_only_the_listings_could_tell_is_told_once_they_are_here(copy: Place, cli: InProcess) -> None:
    assert "'data/**/*.png'" in cli("fetch", "--glob", "data/**/*.png", code=2).err


def test_adding_a_part_that_was_pulled_by_pattern_keeps_the_rest(copy: Place, cli: InProcess) -> None:
    cli("pull", "--glob", "data/**/*.jpg")
    copy.write({"data/a/1.jpg": "edited"})
    (copy / "data/b/deep/2.jpg").unlink()
    cli("add", "data")
    copy.pull("data")
    assert {name for name in files(copy) if name.startswith("data/")} == {
        name for name in DATA if name.startswith("data/") and DATA[name]
    } - {"data/b/deep/2.jpg"}
    assert (copy / "data/a/1.jpg").read_text() == "edited"


def test_add_by_pattern_records_what_is_new_changed_and_gone_and_nothing_absent(copy: Place, cli: InProcess) -> None:
    copy.fetch()
    copy.checkout("data/a", "data/b")
    copy.write({"data/a/1.jpg": "edited", "data/a/1.raw": "edited too", "data/a/new.jpg": "n"})
    (copy / "data/b/deep/2.jpg").unlink()
    cli("add", "--glob", "data/**/*.jpg")
    assert copy.changes("data") == {"data/a/1.raw": "modified", "data/c": "absent", "data/hollow": "absent"}
    assert "nothing matches" in cli("add", "--glob", "data/**/*.png", code=2).err
    (copy / "data/a/new.jpg").unlink()
    cli("add", "--glob", "data/a/*.jpg")
    assert copy.changes("data") == {"data/a/1.raw": "modified", "data/c": "absent", "data/hollow": "absent"}


def test_checkout_by_pattern_leaves_the_rest_at_its_version(pushed: Place, cli: InProcess) -> None:
    pushed.git("tag", "one")
    pushed.track({"data/a/1.jpg": "A1!", "data/a/1.raw": "A1 raw!", "data/new/9.jpg": "new", "data/new/9.raw": "raw"})
    pushed.git("checkout", "-q", "one")
    done = cli("checkout", "--glob", "data/**/*.jpg", "--json").json
    assert (done["replaced"], done["removed"]) == (["data/a/1.jpg"], ["data/new/9.jpg"])
    assert pushed.changes() == {"data/a/1.raw": "modified", "data/new/9.raw": "added"}
    cli("checkout")
    assert pushed.changes() == {}


def test_unsaved_files_that_match_are_in_the_way_and_others_are_not(pushed: Place, cli: InProcess) -> None:
    pushed.write({"data/a/1.raw": "unsaved"})
    (pushed / "data/a/1.jpg").unlink()
    assert cli("checkout", "--glob", "data/**/*.jpg", "--json").json["created"] == ["data/a/1.jpg"]
    assert "data/a/1.raw" in cli("checkout", "--glob", "data/a/*", code=5).err
    assert (pushed / "data/a/1.raw").read_text() == "unsaved"


def test_status_by_pattern_counts_what_matches(copy: Place, cli: InProcess) -> None:
    copy.fetch()
    copy.checkout("data/a")
    copy.write({"data/a/1.jpg": "edited", "data/a/1.raw": "edited too", "data/a/new.jpg": "n"})
    (target,) = cli("status", "--glob", "data/**/*.jpg", "--json").json["targets"]
    assert {change["path"]: (change["state"], change["files"]) for change in target["changes"]} == {
        "data/a/1.jpg": ("modified", 1),
        "data/a/new.jpg": ("added", 1),
        "data/b": ("absent", 1),
    }


def test_push_by_pattern_sends_what_matches(place: Place, cli: InProcess) -> None:
    place.track(DATA)
    done = cli("push", "--glob", "data/a/*.jpg", "model.bin", "--json").json
    assert done["partial"] == ["data"]
    assert "data/a/1.raw" in cli("status", "--cloud", "--json").json["targets"][0]["not_on_remote"]
    cli("status", "--cloud", "--glob", "data/a/*.jpg", "model.bin", "--exit-code")
    cli("push", "--glob", "**")
    cli("status", "--cloud", "--exit-code")


def test_fetch_by_pattern_of_other_revisions(pushed: Place, clone: Callable[..., Place], cli: InProcess) -> None:
    pushed.track({"data/a/1.jpg": "newer", "data/a/1.raw": "newer raw"})
    pushed.push()
    copy = clone()
    cli("fetch", "--glob", "data/**/*.jpg", "--all-commits", cwd=copy.root)
    assert copy.cached("a1").exists()
    assert copy.cached("newer").exists()
    assert not copy.cached("newer raw").exists()
    assert not copy.cached("a1 raw").exists()


# ------------------------------------------------------------------------------ profiles


@pytest.fixture
def profiled(pushed: Place, copy: Place, cli: InProcess) -> Place:
    """A clone with a profile that wants data without raw files."""
    cli("config", "profile.ci.include", "data", cwd=copy.root)
    cli("config", "--add", "profile.ci.include", "model.*", cwd=copy.root)
    cli("config", "--add", "profile.ci.exclude", "**/*.raw", cwd=copy.root)
    copy.save("profile")
    return copy


WANTED = JPGS | {"model.bin"}


def test_a_profile_is_a_list_in_the_tracked_file(profiled: Place) -> None:
    text = (profiled / ".dvc-like/config").read_text()
    assert '[profile "ci"]\n\tinclude = data\n\tinclude = model.*\n\texclude = **/*.raw\n' in text
    assert profiled.git("config", "-f", ".dvc-like/config", "--get-all", "profile.ci.include") == "data\nmodel.*"


def test_pull_with_a_profile(profiled: Place, cli: InProcess) -> None:
    assert set(cli("pull", "--profile", "ci", "--json").json["created"]) == WANTED
    assert files(profiled) == WANTED
    assert (profiled / "data/hollow").is_dir()
    assert profiled.states() == {"data": "partial", "model.bin": "unchanged", "other.raw": "absent"}
    cli("status", "--exit-code", "--profile", "ci")


def test_the_default_profile_is_kept_to(profiled: Place, cli: InProcess) -> None:
    cli("config", "core.profile", "ci", code=2)  # not for everybody who clones
    cli("config", "--local", "core.profile", "ci")
    cli("pull")
    assert files(profiled) == WANTED
    assert "Everything is as recorded" in cli("status", "--exit-code").out
    (profiled / "data/a/1.jpg").unlink()
    cli("checkout")
    assert files(profiled) == WANTED
    assert cli("fetch", "--json").json["fetched"] == 0


def test_a_target_that_is_named_comes_all_the_same_and_stays_in_step(
    profiled: Place, pushed: Place, cli: InProcess
) -> None:
    cli("config", "--local", "core.profile", "ci")
    cli("pull")
    cli("pull", "data/a/1.raw", "other.raw")
    profiled.write({"data/a/1.raw": "edited", "data/a/extra.raw": "new"})
    assert profiled.changes() == {"data/a/1.raw": "modified", "data/a/extra.raw": "added"}
    cli("add", "data")
    profiled.save("edited")
    cli("push")
    profiled.git("checkout", "-q", "HEAD~1")
    cli("pull")
    assert (profiled / "data/a/1.raw").read_text() == "a1 raw"
    assert not (profiled / "data/a/extra.raw").exists()
    assert not (profiled / "data/c").exists()
    assert files(profiled) == WANTED | {"data/a/1.raw", "other.raw"}


def test_add_with_a_profile_keeps_what_it_leaves_out(profiled: Place, pushed: Place, cli: InProcess) -> None:
    cli("config", "--local", "core.profile", "ci")
    cli("pull")
    profiled.write({"data/a/1.jpg": "edited"})
    cli("add", "data")
    cli("push")
    cli("pull", "data")
    assert (profiled / "data/c/3.raw").read_text() == "c3 raw"


def test_a_profile_that_is_not_there_is_told(profiled: Place, cli: InProcess) -> None:
    done = cli("pull", "--profile", "cd", code=3)
    assert "there is no profile named 'cd'" in done.err
    assert "Known: ci." in done.err
    profiled.config("local", core_profile="gone")
    for verb in ("pull", "fetch", "checkout", "status"):
        cli(verb, code=3)
    cli("pull", "data/a/1.jpg")  # a target needs no profile


@pytest.mark.parametrize("pattern", ["../x", "/x", "", "a//b", "a/./b"])
def test_a_pattern_that_leads_out_is_refused(profiled: Place, cli: InProcess, pattern: str) -> None:
    cli("config", "--add", "profile.ci.include", pattern, code=2)
    with (profiled / ".dvc-like/config").open("a") as file:
        file.write(f'[profile "bad"]\n\tinclude = "{pattern}"\n')
    cli("pull", "--profile", "bad", code=3)


def test_only_profiles_have_several_values(profiled: Place, cli: InProcess) -> None:
    cli("config", "--add", "core.remote", "x", code=2)
    cli("config", "--add", "profile.ci.include", code=2)
    cli("config", "--unset", "profile.ci.include")
    assert "include" not in (profiled / ".dvc-like/config").read_text()


def test_the_python_api_takes_both(copy: Place) -> None:

    selection = dvc_like.Selection((str(copy / "data/**/*.jpg"),), glob=True)
    assert set(dvc_like.pull(copy.project, selection).checkout.created) == JPGS
    with pytest.raises(ConfigError):
        dvc_like.checkout(copy.project, profile="none")
    with pytest.raises(UsageError):
        dvc_like.status(copy.project, (str(copy / "*.png"),), glob=True)
    with pytest.raises(DataMissing):
        dvc_like.checkout(copy.project, (str(copy / "data/c/*"),), glob=True)
