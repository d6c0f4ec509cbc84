"""Git: where the repository is, and every version of a meta file that anything in it still holds."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dvc_like import git_log
from dvc_like.errors import DvcLikeError, UsageError
from dvc_like.git import Git, commit_index

Run = Callable[..., str]
SUFFIX = ".meta"


def find(folder: Path) -> Git:
    found = Git.find(str(folder))
    assert found is not None
    return found


def commit(git: Run, folder: Path, files: dict[str, str | None], message: str = "x") -> str:
    for name, text in files.items():
        path = folder / name
        if text is None:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    git("add", "-A", cwd=folder)
    git("commit", "-q", "--allow-empty", "-m", message, cwd=folder)
    return git("rev-parse", "HEAD", cwd=folder)


def history(folder: Path) -> set[tuple[str, str]]:
    return {(path, data.decode()) for path, data in find(folder).metas_in_history(SUFFIX)}


def versions(folder: Path) -> set[str]:
    return {text for _, text in history(folder)}


# ------------------------------------------------------------------------------ finding


def test_a_repository_is_found_from_below_without_running_git(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    (repo / "a/b").mkdir(parents=True)
    found = find(repo / "a/b")
    assert (found.top, found.prefix) == (str(repo), "a/b")
    assert found.git_dir == found.common_dir == str(repo / ".git")
    assert found.main_top == str(repo)
    assert find(repo).prefix == ""
    assert found.worktrees() == [str(repo)]
    assert not found.is_shallow()


def test_where_there_is_no_repository_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "plain/.git").mkdir(parents=True)  # an empty folder of that name is no repository
    assert Git.find(str(tmp_path / "plain")) is None


@pytest.mark.parametrize("text", ["", "gitdir: ", "gitdir: nowhere", "nonsense", "\0", "gitdir: \udcff"])
def test_a_git_file_that_leads_nowhere_is_no_repository(tmp_path: Path, text: str) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain/.git").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert Git.find(str(tmp_path / "plain")) is None


def test_a_repository_is_found_through_a_link_to_its_folder(repo: Path, tmp_path: Path) -> None:
    (repo / "sub").mkdir()
    (tmp_path / "link").symlink_to(repo / "sub")
    found = find(tmp_path / "link")
    assert (found.top, found.prefix) == (os.path.realpath(repo), "sub")


def test_a_worktree_knows_the_main_one(repo: Path, git: Run, tmp_path: Path) -> None:
    commit(git, repo, {"a": "1"})
    git("worktree", "add", "-q", "-b", "side", tmp_path / "side", cwd=repo)
    found = find(tmp_path / "side")
    assert (found.top, found.main_top, found.common_dir) == (str(tmp_path / "side"), str(repo), str(repo / ".git"))
    assert found.git_dir == str(repo / ".git/worktrees/side")
    assert found.worktrees() == find(repo).worktrees() == sorted([str(repo), str(tmp_path / "side")])
    shutil.rmtree(tmp_path / "side")  # or its disk is not mounted now
    assert find(repo).worktrees() == sorted([str(repo), str(tmp_path / "side")])
    git("worktree", "prune", cwd=repo)
    assert find(repo).worktrees() == [str(repo)]


def test_a_submodule_is_a_repository_of_its_own(repo: Path, git: Run, tmp_path: Path) -> None:
    other = tmp_path / "other"
    git("init", "-q", other)
    commit(git, other, {"x.meta": "of the submodule"})
    commit(git, repo, {"y.meta": "of the repository"})
    git("submodule", "add", "-q", other, "lib", cwd=repo)
    assert (repo / "lib/.git").is_file()
    found = find(repo / "lib")
    assert found.top == found.main_top == str(repo / "lib")
    assert found.git_dir == found.common_dir == str(repo / ".git/modules/lib")
    assert found.prefix == ""
    assert history(repo / "lib") == {("x.meta", "of the submodule")}
    commit(git, repo, {})
    assert history(repo) == {("y.meta", "of the repository")}


def test_a_worktree_of_a_bare_repository_is_its_own_main_one(repo: Path, git: Run, tmp_path: Path) -> None:
    commit(git, repo, {"a": "1"})
    git("clone", "-q", "--bare", repo, tmp_path / "bare.git")
    git("worktree", "add", "-q", tmp_path / "work", "main", cwd=tmp_path / "bare.git")
    found = find(tmp_path / "work")
    assert found.top == found.main_top == str(tmp_path / "work")


def test_a_shallow_clone_says_so(repo: Path, git: Run, tmp_path: Path) -> None:
    for text in "123":
        commit(git, repo, {"a.meta": text})
    git("clone", "-q", "--depth", "1", f"file://{repo}", tmp_path / "copy")
    assert find(tmp_path / "copy").is_shallow()
    assert versions(tmp_path / "copy") == {"3"}
    git("fetch", "-q", "--unshallow", cwd=tmp_path / "copy")
    assert not find(tmp_path / "copy").is_shallow()


def test_the_worktree_of_a_shallow_clone_is_shallow(repo: Path, git: Run, tmp_path: Path) -> None:
    for text in "12":
        commit(git, repo, {"a.meta": text})
    git("clone", "-q", "--depth", "1", f"file://{repo}", tmp_path / "copy")
    git("worktree", "add", "-q", "-b", "side", tmp_path / "side", cwd=tmp_path / "copy")
    assert find(tmp_path / "side").is_shallow()


# ------------------------------------------------------------------------------ running


def test_no_hook_and_no_monitor_of_the_repository_runs(repo: Path, git: Run, tmp_path: Path) -> None:
    commit(git, repo, {"a": "1"})
    mark = tmp_path / "ran"
    script = tmp_path / "script"
    script.write_text(f"#!/bin/sh\ntouch {mark}\n")
    script.chmod(0o755)
    for hook in ("post-index-change", "pre-commit", "post-checkout"):
        shutil.copy(script, repo / ".git/hooks" / hook)
    git("config", "core.fsmonitor", script, cwd=repo)
    (repo / "b").write_text("2")
    find(repo).stage(["b"])
    find(repo).run("status")
    assert not mark.exists()


def test_a_failure_says_what_git_said(repo: Path) -> None:
    with pytest.raises(DvcLikeError) as caught:
        find(repo).run("cat-file", "-p", "nothing")
    assert "git cat-file failed" in caught.value.message
    assert find(repo).run("cat-file", "-p", "nothing", check=False) == b""


AWKWARD = ["*", "[a]", "a b", "-x", ":(top)y", "ü", 'q"q', "a?", "#", "!n", ":z"]


@pytest.mark.parametrize("prefix", ["", "sub", "s*b"])
def test_staging_and_asking_take_names_as_they_are(repo: Path, git: Run, prefix: str) -> None:
    folder = repo / prefix
    folder.mkdir(exist_ok=True)
    for name in [*AWKWARD, "xx", "b"]:
        (folder / name).write_text(name)
    here = find(folder)
    for number, name in enumerate(AWKWARD, 1):
        here.stage([name])
        assert len(git("ls-files", "-z", cwd=repo).split("\0")) == number + 1
    assert here.tracked([*AWKWARD, "xx", "b"]) == AWKWARD
    assert here.tracked([]) == []


def test_a_folder_is_tracked_when_something_below_it_is(repo: Path, git: Run) -> None:
    commit(git, repo, {"data/x/y": "1", "data-x/y": "2", "one": "3"})
    assert find(repo).tracked(["data", "data/x", "dat", "data-", "one", "on", "none"]) == ["data", "data/x", "one"]


def test_a_revision_is_resolved_or_named(repo: Path, git: Run) -> None:
    first = commit(git, repo, {"a": "1"})
    git("tag", "-a", "-m", "x", "v1", cwd=repo)
    second = commit(git, repo, {"a": "2"})
    here = find(repo)
    assert (here.resolve("HEAD"), here.resolve("main"), here.resolve(second[:8])) == (second, second, second)
    assert (here.resolve("v1"), here.resolve("HEAD~1"), here.resolve("HEAD^")) == (first, first, first)
    for wrong in ("", "nothing", "--all", "-h", "HEAD:a", "main..v1", "a\nb", "--output=x"):
        with pytest.raises(UsageError) as caught:
            here.resolve(wrong)
        assert caught.value.message.isprintable()


def test_tips_are_commits_once_each(repo: Path, git: Run) -> None:
    first = commit(git, repo, {"a": "1"})
    git("tag", "light", cwd=repo)
    git("tag", "-a", "-m", "x", "heavy", cwd=repo)
    git("tag", "tree", "HEAD^{tree}", cwd=repo)  # a tag may point to anything
    git("branch", "side", cwd=repo)
    second = commit(git, repo, {"a": "2"})
    here = find(repo)
    assert here.tips("branches") == sorted([first, second])
    assert here.tips("tags") == [first]


# ------------------------------------------------------------------------------ one revision


def test_the_meta_files_of_a_commit_are_read_in_bulk(repo: Path, git: Run) -> None:
    first = commit(
        git, repo, {"a.meta": "1", "sub/b.meta": "2", "c.txt": "x", "ü ö.meta": "3", "big.meta": "B" * 100_000}
    )
    commit(git, repo, {"a.meta": "later"})
    (repo / "link.meta").symlink_to("a.meta")
    second = commit(git, repo, {})
    here = find(repo)
    assert {path: data.decode() for path, data in here.metas_at(first, SUFFIX)} == {
        "a.meta": "1",
        "sub/b.meta": "2",
        "ü ö.meta": "3",
        "big.meta": "B" * 100_000,
    }
    assert dict(here.metas_at(second, SUFFIX))["a.meta"] == b"later"
    assert "link.meta" not in dict(here.metas_at(second, SUFFIX))


def test_binary_and_empty_meta_files_come_as_they_are(repo: Path, git: Run) -> None:
    (repo / "a.meta").write_bytes(b"\n\0\xff\n\n")
    (repo / "b.meta").write_bytes(b"")
    head = commit(git, repo, {})
    assert dict(find(repo).metas_at(head, SUFFIX)) == {"a.meta": b"\n\0\xff\n\n", "b.meta": b""}


@pytest.mark.parametrize("prefix", ["proj", "p[r]oj", "deep/er", ":(top)x"])
def test_a_project_in_a_subfolder_sees_only_its_own(repo: Path, git: Run, prefix: str) -> None:
    files: dict[str, str | None] = {f"{prefix}/a.meta": "1", f"{prefix}/s/b.meta": "2"}
    files |= {"top.meta": "t", f"{prefix}x/c.meta": "3", "proj2/d.meta": "4"}
    head = commit(git, repo, files)
    here = find(repo / prefix)
    assert dict(here.metas_at(head, SUFFIX)) == {"a.meta": b"1", "s/b.meta": b"2"}
    assert set(here.metas_in_history(SUFFIX)) == {("a.meta", b"1"), ("s/b.meta", b"2")}


# ------------------------------------------------------------------------------ all of history


def test_every_version_on_every_branch_and_tag_is_found(repo: Path, git: Run) -> None:
    commit(git, repo, {"d.meta": "one"})
    commit(git, repo, {"d.meta": "two"})
    git("checkout", "-q", "-b", "side", cwd=repo)
    commit(git, repo, {"d.meta": "side", "s/e.meta": "new"})
    git("checkout", "-q", "main", cwd=repo)
    git("checkout", "-q", "--detach", cwd=repo)
    commit(git, repo, {"d.meta": "tagged"})
    git("tag", "-a", "-m", "x", "v1", cwd=repo)
    git("checkout", "-q", "main", cwd=repo)
    commit(git, repo, {"d.meta": None})
    assert history(repo) == {
        ("d.meta", "one"),
        ("d.meta", "two"),
        ("d.meta", "side"),
        ("s/e.meta", "new"),
        ("d.meta", "tagged"),
    }


def test_old_versions_deep_in_folders_are_found(repo: Path, git: Run) -> None:
    for text in ("old", "older still", "now"):
        commit(git, repo, {"data/deep/er/x.meta": text, "proj/s/y.meta": text})
    commit(git, repo, {"data/deep/er/x.meta": None})
    texts = {"old", "older still", "now"}
    assert history(repo) == {(path, text) for path in ("data/deep/er/x.meta", "proj/s/y.meta") for text in texts}
    assert history(repo / "proj") == {("s/y.meta", text) for text in texts}
    git("rm", "-q", "-r", "proj", cwd=repo)
    commit(git, repo, {})
    (repo / "proj").mkdir()
    assert history(repo / "proj") == {("s/y.meta", text) for text in texts}


def test_a_deep_version_that_nothing_but_a_merged_branch_knew_is_found(repo: Path, git: Run) -> None:
    commit(git, repo, {"a": "1"})
    git("checkout", "-q", "-b", "side", cwd=repo)
    commit(git, repo, {"s/d.meta": "side", "s/copy.txt": "side"})
    git("checkout", "-q", "main", cwd=repo)
    commit(git, repo, {"b": "2"})
    git("merge", "-q", "-s", "ours", "-m", "keep ours", "side", cwd=repo)
    git("branch", "-q", "-D", "side", cwd=repo)
    assert history(repo) == {("s/d.meta", "side")}


def test_a_side_branch_that_a_merge_dropped_is_found(repo: Path, git: Run) -> None:
    commit(git, repo, {"d.meta": "base"})
    git("checkout", "-q", "-b", "side", cwd=repo)
    commit(git, repo, {"d.meta": "side one"})
    commit(git, repo, {"d.meta": "side two"})
    git("checkout", "-q", "main", cwd=repo)
    commit(git, repo, {"other": "x"})
    git("merge", "-q", "-s", "ours", "-m", "keep ours", "side", cwd=repo)
    git("branch", "-q", "-D", "side", cwd=repo)
    assert versions(repo) == {"base", "side one", "side two"}


def test_a_version_that_came_and_went_between_two_equal_ones_is_found(repo: Path, git: Run) -> None:
    for text in ("a", "b", "a"):
        commit(git, repo, {"d.meta": text})
    assert versions(repo) == {"a", "b"}


def conflict(repo: Path, git: Run) -> None:
    """Merge two versions of ``d.meta`` that do not go together."""
    commit(git, repo, {"d.meta": "base"})
    git("checkout", "-q", "-b", "side", cwd=repo)
    commit(git, repo, {"d.meta": "theirs"})
    git("checkout", "-q", "main", cwd=repo)
    commit(git, repo, {"d.meta": "ours"})
    git("merge", "-q", "side", cwd=repo, code=1)


def test_a_merge_that_wrote_something_of_its_own_is_found(repo: Path, git: Run) -> None:
    conflict(repo, git)
    commit(git, repo, {"d.meta": "resolved"})
    assert versions(repo) == {"base", "theirs", "ours", "resolved"}


def test_what_is_stashed_is_found(repo: Path, git: Run) -> None:
    commit(git, repo, {"d.meta": "one"})
    (repo / "d.meta").write_text("stashed")
    (repo / "fresh.meta").write_text("untracked")
    git("stash", "-q", "--include-untracked", cwd=repo)
    assert versions(repo) == {"one", "stashed", "untracked"}


def test_older_stashes_are_found_too(repo: Path, git: Run) -> None:
    commit(git, repo, {"d.meta": "one"})
    for text in ("first stash", "second stash", "third stash"):
        (repo / "d.meta").write_text(text)
        git("stash", "-q", cwd=repo)
    assert versions(repo) == {"one", "first stash", "second stash", "third stash"}


@pytest.mark.parametrize("how", ["rebase", "merge"])
@pytest.mark.parametrize("elsewhere", [False, True])
def test_what_a_rebase_or_merge_under_way_has_stashed_is_found(
    repo: Path, git: Run, tmp_path: Path, how: str, elsewhere: bool
) -> None:
    commit(git, repo, {"d.meta": "one", "other": "1"})
    git("checkout", "-q", "-b", "side", cwd=repo)
    commit(git, repo, {"other": "side"})
    git("checkout", "-q", "main", cwd=repo)
    commit(git, repo, {"other": "main"})
    here = repo
    if elsewhere:
        here = tmp_path / "tree"
        git("worktree", "add", "-q", "--detach", str(here), cwd=repo)
    (here / "d.meta").write_text("stashed")
    git(how, "--autostash", "side", cwd=here, code=1)  # it stops at the conflict
    assert (here / "d.meta").read_text() == "one"
    assert "stashed" in versions(repo)
    git(how, "--abort", cwd=here)
    assert (here / "d.meta").read_text() == "stashed"


def test_what_is_only_staged_is_found(repo: Path, git: Run) -> None:
    commit(git, repo, {"d.meta": "one"})
    (repo / "d.meta").write_text("staged")
    (repo / "sub").mkdir()
    (repo / "sub/new.meta").write_text("staged too")
    git("add", "-A", cwd=repo)
    (repo / "d.meta").write_text("in the workspace only")
    assert history(repo) == {("d.meta", "one"), ("d.meta", "staged"), ("sub/new.meta", "staged too")}


def test_both_sides_of_a_conflict_are_found(repo: Path, git: Run) -> None:
    conflict(repo, git)
    git("branch", "-q", "-D", "side", cwd=repo)
    assert versions(repo) == {"base", "theirs", "ours"}


def test_a_detached_head_is_found(repo: Path, git: Run) -> None:
    commit(git, repo, {"d.meta": "one"})
    git("checkout", "-q", "--detach", cwd=repo)
    commit(git, repo, {"d.meta": "detached"})
    assert versions(repo) == {"one", "detached"}


def test_another_worktree_is_found_with_its_detached_head(repo: Path, git: Run, tmp_path: Path) -> None:
    commit(git, repo, {"d.meta": "one"})
    git("worktree", "add", "-q", "--detach", tmp_path / "side", cwd=repo)
    commit(git, tmp_path / "side", {"d.meta": "detached there"})
    assert versions(repo) == versions(tmp_path / "side") == {"one", "detached there"}


def test_what_is_only_staged_in_another_worktree_is_found(repo: Path, git: Run, tmp_path: Path) -> None:
    commit(git, repo, {"d.meta": "one"})
    git("worktree", "add", "-q", "-b", "side", tmp_path / "side", cwd=repo)
    (tmp_path / "side/d.meta").write_text("staged there")
    git("add", "-A", cwd=tmp_path / "side")
    (tmp_path / "side/d.meta").write_text("not this")
    assert versions(repo) == {"one", "staged there"}


def test_remote_branches_and_notes_of_any_kind_count(repo: Path, git: Run, tmp_path: Path) -> None:
    commit(git, repo, {"d.meta": "one"})
    git("clone", "-q", repo, tmp_path / "copy")
    commit(git, repo, {"d.meta": "two"})
    git("fetch", "-q", cwd=tmp_path / "copy")
    head = commit(git, tmp_path / "copy", {"d.meta": "odd ref"})
    git("update-ref", "refs/odd/place", head, cwd=tmp_path / "copy")
    git("reset", "-q", "--hard", "HEAD~1", cwd=tmp_path / "copy")
    assert versions(tmp_path / "copy") == {"one", "two", "odd ref"}


def test_equal_bytes_under_another_name_hide_nothing(repo: Path, git: Run) -> None:
    commit(
        git,
        repo,
        {"a.txt": "same", "aa/x": "same", "z.meta": "same", "zz/x.meta": "same tree", "b/x.meta": "same tree"},
    )
    commit(git, repo, {"only.txt": "not a meta", "meta": "no", "x.meta.txt": "no", ".metadata": "no", "y.METAS": "no"})
    found = history(repo)
    assert {text for _, text in found} == {"same", "same tree"}
    assert all(path.endswith(SUFFIX) for path, _ in found)
    git("rm", "-q", "-r", ".", cwd=repo)
    commit(git, repo, {})
    assert versions(repo) == {"same", "same tree"}


def test_a_file_that_was_renamed_into_a_meta_file_counts(repo: Path, git: Run) -> None:
    commit(git, repo, {"a.txt": "text"})
    git("mv", "a.txt", "a.meta", cwd=repo)
    commit(git, repo, {})
    assert history(repo) == {("a.meta", "text")}


def test_an_equal_folder_outside_the_project_hides_nothing(repo: Path, git: Run) -> None:
    commit(git, repo, {"aaa/s/x.meta": "equal", "proj/s/x.meta": "equal", "proj/y.meta": "y"})
    assert history(repo / "proj") == {("s/x.meta", "equal"), ("y.meta", "y")}
    git("rm", "-q", "-r", "proj/s", "proj/y.meta", cwd=repo)
    commit(git, repo, {"proj/keep": ""})
    assert history(repo / "proj") == {("s/x.meta", "equal"), ("y.meta", "y")}


def test_awkward_names_are_found(repo: Path, git: Run) -> None:
    names = ["a b.meta", "ü.meta", '"q".meta', "*.meta", "-x.meta", ".meta", "sub/.meta", "a\tb.meta", " .meta"]
    commit(git, repo, {name: f"content of {name}" for name in names})
    assert versions(repo) == {f"content of {name}" for name in names}


def test_a_repository_without_a_commit_has_what_is_staged(repo: Path, git: Run) -> None:
    assert history(repo) == set()
    (repo / "a.meta").write_text("staged")
    git("add", "-A", cwd=repo)
    assert history(repo) == {("a.meta", "staged")}


_SETTINGS = {
    "core.quotePath": ("true",),
    "log.showSignature": ("true",),
    "color.ui": ("always",),
    "log.follow": ("true",),
    "log.diffMerges": ("off", "first-parent", "combined", "dense-combined", "remerge"),
    "log.showRoot": ("false",),
    "diff.relative": ("true",),
    "diff.renames": ("copies",),
    "diff.orderFile": (os.devnull,),
    "i18n.logOutputEncoding": ("UTF-16",),
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in _SETTINGS.items() for value in values])
def test_a_configuration_of_the_user_changes_nothing(repo: Path, git: Run, key: str, value: str) -> None:
    commit(git, repo, {"sub/d.meta": "one", "sub/ü.meta": "two"})
    git("checkout", "-q", "-b", "side", cwd=repo)
    commit(git, repo, {"sub/d.meta": "side"})
    git("checkout", "-q", "main", cwd=repo)
    commit(git, repo, {"sub/d.meta": "three"})
    git("merge", "-q", "--no-commit", "-s", "ours", "side", cwd=repo)
    commit(git, repo, {"sub/d.meta": "merged"})
    git("mv", "sub/d.meta", "sub/e.meta", cwd=repo)
    commit(git, repo, {})
    wanted = {("d.meta", text) for text in ("one", "side", "three", "merged")} | {
        ("ü.meta", "two"),
        ("e.meta", "merged"),
    }
    before = list(git_log.history(find(repo / "sub"), "HEAD", ["e.meta"]))
    assert len(before) == 1
    git("config", key, value, cwd=repo)
    assert history(repo / "sub") == wanted
    assert list(git_log.history(find(repo / "sub"), "HEAD", ["e.meta"])) == before


def test_pathspec_settings_of_the_environment_change_nothing(
    repo: Path, git: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = commit(git, repo, {"d.meta": "one", "s/D.META": "no"})
    for name in ("GIT_LITERAL_PATHSPECS", "GIT_GLOB_PATHSPECS", "GIT_NOGLOB_PATHSPECS", "GIT_ICASE_PATHSPECS"):
        monkeypatch.setenv(name, "1")
        assert history(repo) == {("d.meta", "one")}, name
        assert find(repo).tracked(["d.meta", "D.meta"]) == ["d.meta"], name
        assert dict(find(repo).metas_at(head, SUFFIX)) == {"d.meta": b"one"}, name
        monkeypatch.delenv(name)


def test_what_points_to_another_repository_changes_nothing(
    repo: Path, git: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = commit(git, repo, {"d.meta": "one"})
    other = tmp_path / "other"
    git("init", "-q", str(other))
    for name, value in {
        "GIT_DIR": f"{other}/.git",
        "GIT_WORK_TREE": str(other),
        "GIT_COMMON_DIR": f"{other}/.git",
        "GIT_OBJECT_DIRECTORY": f"{other}/.git/objects",
        "GIT_INDEX_FILE": f"{other}/.git/index",
        "GIT_PREFIX": "sub/",
    }.items():
        monkeypatch.setenv(name, value)
    found = find(repo)
    assert found.tracked(["d.meta"]) == ["d.meta"]
    assert dict(found.metas_at(head, SUFFIX)) == {"d.meta": b"one"}
    assert history(repo) == {("d.meta", "one")}
    found.stage(["d.meta"])
    assert not (other / ".git/index").exists()


def test_the_index_of_the_commit_that_is_made_is_used(
    repo: Path, git: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(git, repo, {"d.meta": "one"})
    shutil.copy(repo / ".git/index", repo / ".git/next-index-1.lock")
    git("rm", "-q", "--cached", "d.meta", cwd=repo)
    assert find(repo).tracked(["d.meta"]) == []
    monkeypatch.setenv("GIT_INDEX_FILE", ".git/next-index-1.lock")  # as Git sets it for its hooks
    assert commit_index(find(repo)) == str(repo / ".git/next-index-1.lock")
    assert find(repo).tracked(["d.meta"]) == ["d.meta"]
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "elsewhere"))
    assert commit_index(find(repo)) == ""


def test_the_versions_of_a_range(repo: Path, git: Run) -> None:
    first = commit(git, repo, {"d.meta": "one", "e.meta": "old"})
    commit(git, repo, {"d.meta": "two"})
    commit(git, repo, {"d.meta": "three", "code.py": "x"})
    found = list(find(repo).metas_in_range(["HEAD", "--not", first], SUFFIX))
    assert sorted(found) == [("d.meta", b"three"), ("d.meta", b"two")]
    assert list(find(repo).metas_in_range([first, "--not", "HEAD"], SUFFIX)) == []
