"""A team's days with the hooks of `install`: real git, real hooks, each story from the command to the bytes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.place import Place, clone_of, make_place
from tests.cli.stores import contents_of
from tests.conftest import Cli, Ran

import dvc_like
from dvc_like.ops._hook_events import HOOKS

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the other hooks of these stories are POSIX shell scripts")

HOLD = """
import sys
from dvc_like.locks import lock
with lock(sys.argv[1], timeout=0):
    print("held", flush=True)
    sys.stdin.read()
"""


def git(place: Place, *words: str, code: int | tuple[int, ...] = 0, **env: str) -> Ran:
    """Run git, hooks and all; what they say is on stderr."""
    done = subprocess.run(
        ["git", *words],
        cwd=place.root,
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    ran = Ran(["git", *words], done.returncode, done.stdout, done.stderr)
    ran.expect(code)
    return ran


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "storage"


@pytest.fixture
def team(tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A project with hooks, a store and an origin. Branch `feature` has other data than `main`; `main` is here."""
    place = make_place(tmp_path / "project")
    monkeypatch.chdir(place.root)
    place.use_store(store)
    place.track({"data/a": "a1", "data/b": "b1", "model": "m1"})
    subprocess.run(["git", "init", "-q", "--bare", str(tmp_path / "origin.git")], check=True)
    place.git("remote", "add", "origin", str(tmp_path / "origin.git"))
    place.git("switch", "-q", "-c", "feature")
    place.track({"data/a": "a2", "data/c": "c2"})
    place.write({"code.py": "print()"})
    place.save("code")
    place.git("switch", "-q", "main")
    place.checkout()
    dvc_like.install(place.project)
    return place


def read(place: Place, name: str = "data/a") -> str:
    return (place / name).read_text()


# ------------------------------------------------------------------------------ going from one revision to another


def test_data_follows_a_switch(team: Place) -> None:
    said = git(team, "switch", "feature")
    assert (read(team), read(team, "data/c"), read(team, "data/b")) == ("a2", "c2", "b1")
    assert "dvc-like: 1 file created, 1 replaced, 0 removed" in said.out + said.err
    git(team, "switch", "main")
    assert read(team) == "a1"
    assert not (team / "data/c").exists()


def test_only_what_changed_between_the_revisions_is_touched(team: Place) -> None:
    (team / "model").unlink()
    git(team, "switch", "feature")
    assert not (team / "model").exists()
    assert team.states() == {"data": "unchanged", "model": "deleted"}


def test_a_target_that_the_revision_does_not_have_goes_and_comes_back(team: Place) -> None:
    git(team, "rm", "-q", "model.meta")
    git(team, "commit", "-q", "-m", "no model")
    assert read(team, "model") == "m1"
    git(team, "switch", "feature")
    git(team, "switch", "main")
    assert not (team / "model").exists()
    git(team, "switch", "feature")
    assert read(team, "model") == "m1"


def test_unsaved_data_stays_and_the_rest_comes(team: Place) -> None:
    git(team, "switch", "feature")
    team.write({"model": "m2"})
    team.commit()
    team.save("model")
    git(team, "switch", "main")
    team.write({"data/a": "not saved"})
    said = git(team, "switch", "feature")
    assert (read(team), read(team, "model")) == ("not saved", "m2")
    assert "unsaved data was left" in said.err
    assert "  data/a\n" in said.err
    assert "checkout --force" in said.err


def test_data_that_is_not_in_the_cache_is_told(team: Place, tmp_path: Path) -> None:
    team.push(all_branches=True)
    copy = clone_of(team, tmp_path / "copy")
    copy.pull()
    dvc_like.install(copy.project)
    said = git(copy, "switch", "feature")
    assert "warning: the data of data is not all in the cache" in said.err
    assert "dvc-like pull" in said.err
    copy.pull()
    assert read(copy) == "a2"


def test_a_branch_without_a_project_is_left_alone(team: Place) -> None:
    git(team, "switch", "-q", "--orphan", "pages")
    assert not (team / ".dvc-like/config").exists()
    said = git(team, "commit", "-q", "--allow-empty", "-m", "pages")
    assert said.err == ""
    git(team, "push", "-q", "origin", "pages")
    git(team, "switch", "-q", "feature")
    assert read(team) == "a2"


def test_meta_files_of_other_programs_do_not_matter(team: Place) -> None:
    git(team, "switch", "-q", "feature")
    team.write({".meta": "x", "Assets.meta": "guid: 1\n", "od\nd.meta": "hash: x\n", "graph.ckpt.meta": b"\0\1"})
    git(team, "add", "-f", ".")
    git(team, "commit", "-q", "--no-verify", "-m", "theirs")
    git(team, "switch", "-q", "main")
    said = git(team, "switch", "feature")
    assert read(team) == "a2"
    assert "warning" not in said.err


def test_what_was_never_checked_out_here_stays_away(team: Place, tmp_path: Path) -> None:
    team.push(all_branches=True)
    copy = clone_of(team, tmp_path / "copy")
    copy.pull("model")
    dvc_like.install(copy.project)
    said = git(copy, "switch", "-q", "feature")
    assert said.err == ""
    assert copy.states() == {"data": "absent", "model": "unchanged"}


def test_unsaved_data_keeps_nothing_else_back(team: Place) -> None:
    git(team, "switch", "-q", "feature")
    git(team, "rm", "-q", "model.meta")
    git(team, "commit", "-q", "-m", "no model")
    git(team, "switch", "-q", "main")
    team.write({"data/b": "not saved"})
    said = git(team, "switch", "feature")
    assert "  data/b\n" in said.err or team.changes()["data/b"] == "modified"
    assert read(team, "data/b") == "not saved"
    assert not (team / "model").exists()


def test_a_merge_brings_its_data(team: Place) -> None:
    git(team, "commit", "-q", "--allow-empty", "-m", "here")
    git(team, "merge", "-q", "--no-edit", "feature")
    assert read(team) == "a2"


def test_a_merge_by_moving_ahead_and_a_squash_bring_theirs(team: Place) -> None:
    git(team, "merge", "-q", "--ff-only", "feature")
    assert read(team) == "a2"
    git(team, "switch", "-q", "-c", "other", "main~2")
    assert read(team) == "a1"
    git(team, "merge", "-q", "--squash", "feature")
    assert read(team) == "a2"


def test_a_pull_brings_its_data(team: Place, tmp_path: Path) -> None:
    git(team, "push", "-q", "origin", "main", "feature")
    git(team, "push", "-q", "origin", "feature:main")
    git(team, "pull", "-q", "--ff-only", "origin", "main")
    assert read(team) == "a2"


def test_a_rebase_brings_its_data_once_at_the_end(team: Place) -> None:
    git(team, "commit", "-q", "--allow-empty", "-m", "here")
    git(team, "switch", "-q", "feature")
    said = git(team, "rebase", "main")
    assert read(team) == "a2"
    assert "dvc-like" not in said.out + said.err
    git(team, "switch", "-q", "-c", "other", "main~1")
    git(team, "commit", "-q", "--allow-empty", "-m", "there")
    said = git(team, "rebase", "feature")
    assert (said.out + said.err).count("dvc-like:") == 1
    assert read(team) == "a2"


def test_an_interactive_rebase_is_left_in_peace(team: Place) -> None:
    git(team, "switch", "-q", "feature")
    team.write({"data/a": "a3"})
    team.commit()
    git(team, "commit", "-q", "-a", "-m", "third")
    editor = "sed -i.bak -e '1s/^pick/edit/' -e '/ third$/d'"
    git(team, "rebase", "-i", "main", GIT_SEQUENCE_EDITOR=editor)
    assert read(team) == "a3", "stopped at the first commit, with the data of the last"
    team.write({"note.txt": "x"})
    git(team, "add", "note.txt")
    said = git(team, "commit", "-q", "-m", "between")
    assert said.err == ""
    git(team, "rebase", "--continue")
    assert read(team) == "a2"
    assert team.states() == {"data": "unchanged", "model": "unchanged"}


def test_a_rebase_that_moves_ahead_brings_its_data(team: Place) -> None:
    git(team, "rebase", "feature")
    assert read(team) == "a2"
    git(team, "switch", "-q", "-c", "other", "main~2")
    git(team, "rebase", "--no-ff", "feature")
    assert read(team) == "a2"


def test_bisect_sees_the_data_of_each_commit(team: Place) -> None:
    for number in range(2, 5):
        team.write({"model": f"m{number}"})
        team.commit()
        git(team, "commit", "-q", "-a", "-m", f"model {number}")
    git(team, "bisect", "start", "HEAD", "HEAD~3")
    said = git(team, "bisect", "run", "sh", "-c", 'test "$(cat model)" \\< m3')
    assert "model 3" in said.out.partition("is the first bad commit")[2]
    git(team, "bisect", "reset")
    assert read(team, "model") == "m4"


def test_single_files_are_not_followed_but_told(team: Place) -> None:
    said = git(team, "checkout", "feature", "--", "data.meta")
    assert read(team) == "a1"
    assert "data: the data is not what the meta file says now" in said.err
    assert "dvc-like checkout" in said.err
    team.checkout()
    assert read(team) == "a2"
    assert git(team, "checkout", "feature", "--", "code.py").err == ""


def test_restoring_a_file_says_nothing_of_data_that_was_just_added(team: Place) -> None:
    team.write({"data/a": "a9"})
    team.commit()
    team.write({"README": "x"})
    git(team, "add", "README")
    assert git(team, "checkout", "--", "README").err == ""


def test_a_new_worktree_comes_with_its_data(team: Place, tmp_path: Path) -> None:
    git(team, "worktree", "add", "-q", str(tmp_path / "beside"), "feature")
    beside = Place(tmp_path / "beside")
    assert (read(beside), read(team)) == ("a2", "a1")
    beside.write({"data/a": "not recorded"})
    assert "data was changed" in git(beside, "commit", "--allow-empty", "-m", "x", code=1).err
    beside.commit()
    git(beside, "commit", "-q", "-a", "-m", "recorded")
    git(beside, "switch", "-q", "--detach", "HEAD~1")
    assert read(beside) == "a2"


def test_a_submodule_has_hooks_of_its_own(team: Place, tmp_path: Path) -> None:
    outer = tmp_path / "outer"
    subprocess.run(["git", "init", "-q", str(outer)], check=True)
    git(Place(outer), "submodule", "--quiet", "add", str(team.root), "inner")
    inner = Place(outer / "inner")
    inner.config("local", cache_dir=str(team.cache))
    inner.checkout()
    done = dvc_like.install(inner.project)
    assert {Path(one.path).parent for one in done.files if one.name in HOOKS} == {outer / ".git/modules/inner/hooks"}
    git(inner, "switch", "-q", "feature")
    assert read(inner) == "a2"
    inner.write({"data/a": "changed"})
    git(inner, "commit", "--allow-empty", "-m", "x", code=1)
    git(Place(outer), "commit", "-q", "-m", "the outer one has no hooks")


def test_projects_below_the_top_are_all_served(tmp_path: Path) -> None:
    top = Place(tmp_path / "many")
    subprocess.run(["git", "init", "-q", "-b", "main", str(top.root)], check=True)
    parts = []
    for name in ("one", "the other's"):
        dvc_like.init(top / name, subdir=True)
        part = Place(top / name)
        part.write({"data": "first"})
        part.add("data")
        dvc_like.install(part.project)
        parts.append(part)
    top.save()
    for part in parts:
        part.write({"data": "second"})
        said = git(top, "commit", "-a", "-m", "x", code=1)
        assert "data was changed since" in said.err
        assert f"hint: In {part.root.name}: Record it: `dvc-like commit data && git add data.meta`" in said.err
        part.commit()
    git(top, "commit", "-q", "-a", "-m", "second")
    git(top, "switch", "-q", "--detach", "HEAD~1")
    assert [read(part, "data") for part in parts] == ["first", "first"]
    dvc_like.uninstall(parts[0].project)
    git(top, "switch", "-q", "main")
    assert [read(part, "data") for part in parts] == ["first", "first"]


# ------------------------------------------------------------------------------ committing


def test_a_stale_pointer_holds_the_commit_up(team: Place) -> None:
    team.write({"data/a": "changed", "code.py": "x"})
    git(team, "add", "code.py")
    said = git(team, "commit", "-m", "x", code=1)
    assert "data was changed since it was last recorded" in said.err
    assert "`dvc-like commit data && git add data.meta`" in said.err
    assert "--no-verify" in said.err
    team.commit("data")
    git(team, "add", "data.meta")
    assert git(team, "commit", "-q", "-m", "x").err == ""


def test_no_verify_warn_and_part_of_the_index(team: Place) -> None:
    team.write({"data/a": "changed", "code.py": "x"})
    git(team, "add", "code.py")
    git(team, "commit", "-q", "--no-verify", "-m", "not looked at")
    team.write({"code.py": "y"})
    assert "warning: data was changed" in git(team, "commit", "-q", "code.py", "-m", "only this").err
    team.write({"code.py": "z"})
    git(team, "commit", "-a", "-m", "all", code=1)
    dvc_like.install(team.project, dvc_like.HookOptions(warn=True))
    assert "warning: data was changed" in git(team, "commit", "-q", "-a", "-m", "all").err


def test_part_of_the_index_with_a_stale_target_is_held_up(team: Place) -> None:
    team.write({"data/a": "changed"})
    team.commit()
    team.write({"data/a": "changed again"})
    assert "data was changed" in git(team, "commit", "data.meta", "-m", "x", code=1).err
    team.commit()
    git(team, "commit", "-q", "data.meta", "-m", "x")


def test_amending_is_like_committing(team: Place) -> None:
    before = team.data()
    assert git(team, "commit", "-q", "--amend", "-m", "better").err == ""
    assert team.data() == before
    team.write({"data/a": "changed"})
    git(team, "commit", "--amend", "--no-edit", code=1)


def test_a_pointer_to_nowhere_holds_the_commit_up(team: Place) -> None:
    meta = (team / "model.meta").read_text()
    (team / "model.meta").write_text(meta.replace("blake3:", "blake3:0")[: len("hash: blake3:") + 64] + "\nsize: 2\n")
    git(team, "add", "model.meta")
    said = git(team, "commit", "-m", "x", code=1)
    assert "model.meta points to data that is not in the cache" in said.err
    assert "`dvc-like fetch model`" in said.err


def test_a_merge_conflict_in_a_pointer_is_not_committed(team: Place) -> None:
    (team / ".gitattributes").unlink(missing_ok=True)  # merged by lines, as in a clone without our merge driver
    team.write({"data/a": "mine"})
    team.commit()
    git(team, "commit", "-q", "-a", "-m", "mine")
    git(team, "merge", "feature", code=1)
    said = git(team, "commit", "-a", "-m", "x", code=1)
    assert "data.meta holds a merge conflict" in said.err
    git(team, "checkout", "--theirs", "--", "data.meta")
    said = git(team, "commit", "-q", "-a", "-m", "merged")
    assert "still the data of another version" in said.err
    team.checkout()
    assert read(team) == "a2"


def test_what_is_picked_or_stashed_does_not_hold_the_next_commit_up(team: Place) -> None:
    git(team, "cherry-pick", "feature~1")
    assert read(team) == "a1"
    team.write({"code.py": "x"})
    git(team, "add", "code.py")
    said = git(team, "commit", "-q", "-m", "x")
    assert "warning: data is still the data of another version" in said.err
    assert "`dvc-like checkout data`" in said.err
    team.checkout()
    team.write({"model": "m2"})
    team.commit()
    git(team, "stash")
    assert "model is still the data of another version" in git(team, "commit", "--allow-empty", "-q", "-m", "y").err
    git(team, "stash", "pop")
    said = git(team, "commit", "-q", "-a", "-m", "z")
    assert said.err == ""
    assert read(team, "model") == "m2"


def test_what_cannot_be_read_fails_no_checkout(team: Place) -> None:
    config = (team / ".dvc-like/config").read_text()
    (team / ".dvc-like/config").write_text("<<<<<<< ours\n")
    said = git(team, "switch", "feature")
    assert "warning: " in said.err
    assert "merge conflict" in said.err
    (team / ".dvc-like/config").write_text(config)
    team.checkout()
    team.write({"odd.meta": "hash: none\n"})
    assert "warning: odd.meta has a bad `hash`" in git(team, "commit", "-q", "--allow-empty", "-m", "x").err
    git(team, "add", "odd.meta")
    git(team, "commit", "-q", "-m", "x", code=1)


def test_labels_of_a_target_are_no_hindrance(team: Place) -> None:
    dvc_like.install(team.project, dvc_like.HookOptions(verify_only=True))
    meta = (team / "model.meta").read_text()
    (team / "model.meta").write_text(meta + "labels: [one, two]\n")
    git(team, "commit", "-q", "-a", "-m", "labels")
    git(team, "push", "origin", "main", code=1)
    team.push(revisions=("main",))
    git(team, "push", "-q", "origin", "main")


def test_what_is_left_out_is_pointed_out(team: Place) -> None:
    team.write({"data/a": "a5", "new": "n"})
    team.commit()
    team.add("new")
    said = git(team, "commit", "--allow-empty", "-q", "-m", "x")
    assert "data.meta changed, and is not part of this commit" in said.err
    assert "new.meta is not known to Git yet" in said.err


def test_large_files_are_pointed_out(team: Place) -> None:
    team.write({"big.bin": b"x" * 2000, "small.txt": "x"})
    git(team, "add", ".")
    assert git(team, "commit", "-q", "-m", "below the default").err == ""
    team.config(hooks_largefile="1000")
    team.write({"big.bin": b"y" * 2000})
    said = git(team, "commit", "-q", "-a", "-m", "x")
    assert "big.bin (0.0 MB) is about to become part" in said.err
    assert "`git rm --cached big.bin && dvc-like add big.bin`" in said.err
    assert "small.txt" not in said.err
    team.config(hooks_largefile="0")
    team.write({"big.bin": b"z" * 2000})
    assert git(team, "commit", "-q", "-a", "-m", "x").err == ""


def test_the_very_first_commit_is_looked_at(tmp_path: Path) -> None:
    place = Place(tmp_path / "young")
    subprocess.run(["git", "init", "-q", "-b", "main", str(place.root)], check=True)
    dvc_like.init(place.root)
    place.write({"data": "x"})
    place.add("data")
    dvc_like.install(place.project)
    place.write({"data": "y"})
    git(place, "add", ".")
    git(place, "commit", "-m", "x", code=1)
    place.commit()
    git(place, "add", ".")
    git(place, "commit", "-q", "-m", "x")


# ------------------------------------------------------------------------------ pushing


def at_origin(place: Place) -> set[str]:
    return {line.split("\t")[1] for line in place.git("ls-remote", "origin").splitlines()} - {"HEAD"}


def test_a_push_takes_the_data_along(team: Place, store: Path) -> None:
    said = git(team, "push", "--porcelain", "origin", "main")
    assert "sent" in said.err
    assert "sent" not in said.out, "what programs read"
    assert {b"a1", b"b1", b"m1"} <= set(contents_of(store).values())
    assert b"a2" not in contents_of(store).values()
    git(team, "tag", "-a", "v1", "-m", "v1", "feature~1")
    git(team, "tag", "-a", "file", "-m", "of a file", "HEAD:model.meta")
    git(team, "push", "origin", "feature", "v1", "file")
    assert {b"a2", b"c2"} <= set(contents_of(store).values())


def test_every_version_that_is_pushed_is_taken_along(team: Place, store: Path) -> None:
    for text in ("v2", "v3"):
        team.write({"model": text})
        team.commit()
        git(team, "commit", "-q", "-a", "-m", text)
    git(team, "push", "-q", "origin", "main")
    assert {b"m1", b"v2", b"v3"} <= set(contents_of(store).values())


def test_a_push_without_data_does_not_ask_the_remote(team: Place, store: Path, tmp_path: Path) -> None:
    git(team, "push", "-q", "origin", "main")
    store.rename(tmp_path / "unreachable")
    store.write_text("not a folder")
    git(team, "commit", "-q", "--allow-empty", "-m", "code only")
    git(team, "push", "origin", "main", "main:refs/heads/same")
    git(team, "push", "origin", "--delete", "same")
    git(team, "push", "origin", "feature", code=1)
    assert at_origin(team) == {"refs/heads/main"}


def test_a_push_that_cannot_take_the_data_along_is_held_up(team: Place) -> None:
    team.git("config", "--file", ".dvc-like/config", "--unset", "core.remote")
    team.git("config", "--file", ".dvc-like/config", "--remove-section", "remote.storage")
    said = git(team, "push", "origin", "main", code=1)
    assert "no remote is configured" in said.err
    assert "`git push --no-verify`" in said.err
    assert at_origin(team) == set()
    git(team, "push", "-q", "--no-verify", "origin", "main")


def test_a_dry_run_sends_only_data(team: Place, store: Path) -> None:
    git(team, "push", "--dry-run", "origin", "main")
    assert at_origin(team) == set()
    assert b"a1" in contents_of(store).values(), "Git does not tell hooks that it is a rehearsal"


def test_verifying_sends_nothing(team: Place, store: Path) -> None:
    dvc_like.install(team.project, dvc_like.HookOptions(verify_only=True))
    said = git(team, "push", "origin", "main", code=1)
    assert "the data of 2 targets is not on the remote" in said.err
    assert "dvc-like push --all-commits" in said.err
    assert not store.exists()
    team.push(revisions=("main",))
    git(team, "push", "-q", "origin", "main")
    git(team, "push", "origin", "feature", code=1)
    team.push(all_commits=True)
    git(team, "push", "-q", "origin", "feature")


def test_a_push_by_address_and_by_force(team: Place, tmp_path: Path, store: Path) -> None:
    git(team, "push", "-q", "origin", "main")
    other = clone_of(Place(tmp_path / "origin.git"), tmp_path / "other", "-b", "main")
    git(other, "commit", "-q", "--allow-empty", "-m", "unknown to us")
    git(other, "push", "-q", "origin", "main")
    team.write({"model": "m7"})
    team.commit()
    git(team, "commit", "-q", "-a", "-m", "m7")
    git(team, "push", "-q", "--force", str(tmp_path / "origin.git"), "main")
    assert b"m7" in contents_of(store).values()


# ------------------------------------------------------------------------------ the surroundings


def test_another_dvc_like_at_work_is_told_and_nothing_fails(
    team: Place, start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    team.config("local", core_locktimeout="0")
    start(HOLD, str(team / ".dvc-like/tmp/lock"), ready=b"held")
    said = git(team, "switch", "feature")
    assert "another dvc-like works here" in said.err
    assert read(team) == "a1"
    git(team, "commit", "-q", "--allow-empty", "-m", "x")


def test_hooks_can_be_turned_off_for_a_command(team: Place) -> None:
    git(team, "switch", "-q", "feature", HUSKY="0")
    assert read(team) == "a1"
    team.write({"data/a": "changed"})
    git(team, "commit", "-q", "--allow-empty", "-m", "x", DVC_LIKE_SKIP_HOOKS="1")
    git(team, "commit", "-q", "--allow-empty", "-m", "x", LEFTHOOK="0")
    git(team, "commit", "-q", "--allow-empty", "-m", "x", code=1, DVC_LIKE_SKIP_HOOKS="0")


def test_without_dvc_like_nothing_is_held_up(team: Place, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("git", "sh", "dirname", "cat"):
        found = subprocess.run(["sh", "-c", f"command -v {name}"], capture_output=True, text=True, check=True)
        (programs / name).symlink_to(found.stdout.strip())
    team.git("config", "dvc-like.python", str(tmp_path / "gone/python"))
    team.write({"data/a": "changed"})
    said = git(team, "commit", "-q", "--allow-empty", "-m", "x", PATH=str(programs))
    assert said.err == "dvc-like was not found: its pre-commit hook did nothing\n"
    git(team, "push", "-q", "origin", "main", PATH=str(programs))
    dvc_like.install(team.project, dvc_like.HookOptions(required=True))
    team.git("config", "--unset", "dvc-like.python")
    git(team, "push", "origin", "feature", code=1, PATH=str(programs))
    assert "refs/heads/feature" not in at_origin(team)


def test_an_interpreter_without_dvc_like_gives_way_to_the_path(team: Place, tmp_path: Path, on_path: Path) -> None:
    bare = tmp_path / "python"
    bare.write_text("#!/bin/sh\nexit 97\n")
    bare.chmod(0o755)
    team.git("config", "dvc-like.python", str(bare))
    git(team, "switch", "-q", "feature")
    assert read(team) == "a2"


def test_nothing_of_the_repository_is_imported(team: Place) -> None:
    for name in ("click.py", "dvc_like/__init__.py", "subprocess.py"):
        team.write({name: f"open({str(team / 'pwned')!r}, 'w')"})
    git(team, "switch", "-q", "feature")
    git(team, "commit", "-q", "--allow-empty", "-m", "x")
    assert read(team) == "a2"
    assert not (team / "pwned").exists()


def test_the_environment_of_another_repository_does_not_confuse(team: Place, tmp_path: Path, cli: Cli) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path / "elsewhere")], check=True)
    env = {
        "GIT_DIR": str(tmp_path / "elsewhere/.git"),
        "GIT_WORK_TREE": str(tmp_path / "elsewhere"),
        "GIT_INDEX_FILE": str(tmp_path / "elsewhere/.git/index"),
        "GIT_PREFIX": "sub/",
    }
    team.write({"data/a": "changed"})
    cli("git-hook", "pre-commit", cwd=team.root, env=env, code=10)
    cli("add", "data", cwd=team.root, env=env)
    cli("gc", "--workspace", "--dry-run", cwd=team.root, env=env)


def test_an_idle_hook_loads_next_to_nothing_and_hardly_asks_git(team: Place, tmp_path: Path) -> None:
    program = """
import sys
from dvc_like.cli.main import main
code = main(["git-hook", *sys.argv[1:]])
print(code, sorted({"click", "rich", "sqlite3", "yaml", "blake3"} & set(sys.modules)))
"""
    team.git("update-ref", "ORIG_HEAD", "HEAD")
    new, old = team.git("rev-parse", "feature", "feature~1").split()
    for number, (words, calls) in enumerate(
        [
            (["post-checkout", "--", "feature~1", "feature", "1"], 1),
            (["post-checkout", "HEAD", "HEAD", "1"], 0),
            (["post-rewrite", "amend"], 0),
            (["post-merge", "0"], 1),
            (["pre-push", "--", "origin", "address"], 3),
        ]
    ):
        trace = tmp_path / f"trace{number}"
        done = subprocess.run(
            [sys.executable, "-c", program, *words],
            cwd=team.root,
            env={**os.environ, "GIT_TRACE2_EVENT": str(trace)},
            input=f"refs/heads/x {new} refs/heads/x {old}\n",
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == "0 []\n", words
        assert done.stderr == ""
        asked = trace.read_text().count('"event":"start"') if trace.exists() else 0
        assert asked == calls, words


def test_the_document_of_a_hook(team: Place, cli: Cli) -> None:
    main, feature = team.git("rev-parse", "main"), team.git("rev-parse", "feature")
    team.git("-c", "core.hooksPath=/dev/null", "switch", "-q", "feature")
    done = cli("git-hook", "--json", "post-checkout", main, feature, "1", cwd=team.root)
    (one,) = done.json["projects"]
    assert (one["targets"], one["created"], one["replaced"]) == (["data"], ["data/c"], ["data/a"])
    assert cli("git-hook", "-q", "post-checkout", feature, main, "1", cwd=team.root).out == ""
    cli("git-hook", "post-commit", cwd=team.root, code=2)
    cli("git-hook", "post-checkout", "HEAD", cwd=team.root, code=0)
    cli("git-hook", "post-checkout", "--", "--output=x", "HEAD", "1", cwd=team.root)
    assert not (team / "x").exists()
