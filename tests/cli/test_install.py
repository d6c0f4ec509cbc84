"""`install` and `uninstall` beside other hooks: each keeps working, and all of it comes back."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from tests.cli.inprocess import InProcess, in_process
from tests.cli.place import Place
from tests.conftest import tree_of

import dvc_like
from dvc_like.errors import DvcLikeError, ProjectError, UnsafePath, UsageError
from dvc_like.ops._hook_events import HOOKS
from dvc_like.ops._hook_files import Wish

__all__ = ["in_process"]
pytestmark = pytest.mark.skipif(os.name != "posix", reason="the other hooks of these tests are POSIX shell scripts")

LOG = '#!/bin/sh\necho "$0 $*" >> "$LOG"\n[ -t 0 ] || cat >> "$LOG"\n'


@pytest.fixture(autouse=True)
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What other hooks wrote."""
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    return tmp_path / "log"


def hook(path: Path, text: str, mode: int = 0o755) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def folder_of(place: Place) -> dict[str, object]:
    """Everything a repository holds of hooks, with the modes."""
    found: dict[str, object] = {}
    for top in (place / ".git/hooks", place / ".husky", place / "team"):
        for path in sorted(top.rglob("*")) if top.is_dir() else ():
            status = path.lstat()
            text = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else b""
            found[str(path.relative_to(place.root))] = (stat.S_IMODE(status.st_mode), text)
    return found


def stale(place: Place) -> bool:
    """Tell whether a commit is held up by data that was not recorded."""
    place.write({"data": f"another {os.urandom(4).hex()}"})
    done = subprocess.run(
        ["git", "commit", "--allow-empty", "-m", "x"], cwd=place.root, capture_output=True, text=True, check=False
    )
    found = "data was changed since" in done.stderr
    assert found == bool(done.returncode), done.stderr
    place.commit()
    return found


@pytest.fixture
def tracked(place: Place) -> Place:
    place.track({"data": "one"})
    return place


# ------------------------------------------------------------------------------ Git's own folder


def test_install_and_uninstall_leave_no_trace(tracked: Place, cli: InProcess) -> None:
    config, before = (tracked / ".git/config").read_text(), folder_of(tracked)
    done = cli("install")
    assert done.out.splitlines()[:-1] == [f"added      {name}" for name in (*HOOKS, ".gitattributes")]
    assert done.out.endswith("commit .gitattributes.\n")
    assert tracked.git("check-attr", "merge", "--", "data.meta") == "data.meta: merge: dvc-like"
    assert stale(tracked)
    assert cli("install", "--json").json["files"][0] == {
        "name": "pre-commit",
        "path": str(tracked / ".git/hooks/pre-commit"),
        "state": "unchanged",
        "chained": False,
    }
    assert "removed    pre-push" in cli("uninstall").out
    assert folder_of(tracked) == before
    assert (tracked / ".git/config").read_text() == config
    assert "Nothing of dvc-like's" in cli("uninstall").out
    assert not stale(tracked)


def test_a_folder_for_hooks_is_made(tracked: Place) -> None:
    shutil.rmtree(tracked / ".git/hooks")
    dvc_like.install(tracked.project)
    assert stale(tracked)


def test_hooks_may_be_chosen_and_chosen_again(tracked: Place, cli: InProcess) -> None:
    cli("install", "--hooks", "pre-commit, pre-push", "--verify-only", "-q")
    assert "git-hook pre-push --verify-only --" in (tracked / ".git/hooks/pre-push").read_text()
    assert not (tracked / ".git/hooks/post-checkout").exists()
    said = cli("install", "--hooks", "pre-push")
    assert said.out.splitlines() == ["removed    pre-commit", "updated    pre-push", "unchanged  .gitattributes"]
    assert cli("install", "--hooks", "commit-msg", code=2).err.startswith("error: there is no hook named 'commit-msg'")


def test_what_was_there_runs_first_with_the_same_arguments_and_input(tracked: Place, log: Path, tmp_path: Path) -> None:
    for name in HOOKS:
        hook(tracked / ".git/hooks" / name, LOG)
    hook(tracked / ".git/hooks/post-merge", "#!/bin/sh\nnot to be run, and Git does not run it\n", 0o644)
    (tracked / ".git/hooks/post-rewrite").unlink()
    (tracked / ".git/hooks/post-rewrite").symlink_to("pre-push")
    before = folder_of(tracked)
    done = dvc_like.install(tracked.project)
    assert [one.name for one in done.files if not one.chained] == [".gitattributes"]
    assert stale(tracked)
    subprocess.run(["git", "init", "-q", "--bare", str(tmp_path / "origin.git")], check=True)
    tracked.git("add", "-A")
    tracked.git("commit", "-q", "-m", "y")
    tracked.git("push", "-q", str(tmp_path / "origin.git"), "main")
    tracked.git("commit", "-q", "--amend", "-m", "z")
    lines = log.read_text().splitlines()
    head = tracked.git("rev-parse", "HEAD@{1}")
    assert lines[0].endswith("pre-commit.before-dvc-like ")
    assert f"refs/heads/main {head} refs/heads/main {'0' * 40}" in lines
    assert any(line.endswith(f"pre-push.before-dvc-like {tmp_path}/origin.git {tmp_path}/origin.git") for line in lines)
    assert f"{head} {tracked.git('rev-parse', 'HEAD')}" in lines
    assert tracked.git("merge", "-q", "HEAD") == ""
    dvc_like.uninstall(tracked.project)
    assert folder_of(tracked) == before


def test_a_program_as_a_hook_is_set_aside(tracked: Place, log: Path) -> None:
    program = tracked / ".git/hooks/pre-commit"
    hook(program, f"{LOG}exit 0\n").write_bytes(program.read_bytes() + b"\0\xff" * (1 << 20))
    before = folder_of(tracked)
    dvc_like.install(tracked.project)
    assert stale(tracked)
    assert "pre-commit.before-dvc-like" in log.read_text()
    dvc_like.uninstall(tracked.project)
    assert folder_of(tracked) == before


def test_a_hook_that_asks_for_its_name_keeps_it(tracked: Place, log: Path) -> None:
    hook(tracked / ".git/hooks/pre-commit", '#!/usr/bin/env bash\necho "I am $(basename "${0}")" >> "$LOG"\nexit 0\n')
    hook(tracked / ".git/hooks/post-checkout", '#!/bin/sh\necho "I am ${0##*/}" >> "$LOG"\n')
    before = folder_of(tracked)
    dvc_like.install(tracked.project)
    assert stale(tracked)
    assert not log.exists(), "ours is first here"
    tracked.git("commit", "-q", "--allow-empty", "-m", "x")
    tracked.git("switch", "-q", "-c", "other")
    assert log.read_text() == "I am pre-commit\nI am post-checkout\n"
    dvc_like.uninstall(tracked.project)
    assert folder_of(tracked) == before


def test_the_exit_code_of_what_was_there_counts(tracked: Place) -> None:
    hook(tracked / ".git/hooks/pre-commit", "#!/bin/sh\necho first >&2\nexit 3\n")
    hook(tracked / ".git/hooks/post-checkout", "#!/bin/sh\nexit 4\n")
    dvc_like.install(tracked.project)
    assert subprocess.run([tracked / ".git/hooks/pre-commit"], cwd=tracked.root, check=False).returncode == 3
    tracked.git("switch", "-q", "-c", "other", code=1)
    tracked.git("commit", "-q", "--allow-empty", "-m", "x", code=1)
    tracked.git("commit", "-q", "--allow-empty", "--no-verify", "-m", "x")


def test_a_hook_that_came_later_is_kept_with_the_older_one(tracked: Place) -> None:
    hook(tracked / ".git/hooks/pre-commit", "#!/bin/sh\nexit 0 # older\n")
    dvc_like.install(tracked.project)
    hook(tracked / ".git/hooks/pre-commit", "#!/bin/sh\nexit 0 # newer\n")
    with pytest.raises(UnsafePath, match="is a new hook") as raised:
        dvc_like.install(tracked.project)
    assert "Keep one of the two" in raised.value.hint
    done = dvc_like.uninstall(tracked.project)
    assert "newer" in (tracked / ".git/hooks/pre-commit").read_text()
    assert "older" in (tracked / ".git/hooks/pre-commit.before-dvc-like").read_text()
    assert any("is not ours any more" in note for note in done.notes)


@pytest.mark.parametrize("cut", ["after the link", "after the rename"])
def test_an_install_that_was_cut_off_goes_on(tracked: Place, cut: str) -> None:
    aside = hook(tracked / ".git/hooks/pre-commit.before-dvc-like", "#!/bin/sh\nexit 0\n")
    if cut == "after the link":
        (tracked / ".git/hooks/pre-commit").hardlink_to(aside)
    done = dvc_like.install(tracked.project)
    assert done.files[0].chained
    dvc_like.uninstall(tracked.project)
    assert (tracked / ".git/hooks/pre-commit").read_text() == "#!/bin/sh\nexit 0\n"


@pytest.mark.parametrize("shell", ["sh", "dash", "bash", "busybox"])
def test_hooks_are_plain_shell(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    words = ["busybox", "sh"] if shell == "busybox" else [shell]
    for name in HOOKS:
        for text in (Wish(name, name).script, Wish(name, name).block()):
            subprocess.run([*words, "-n"], input=text, text=True, check=True)


def test_no_path_of_this_machine_stands_in_a_hook(tracked: Place) -> None:
    dvc_like.install(tracked.project)
    for name in HOOKS:
        text = (tracked / ".git/hooks" / name).read_text()
        assert str(tracked.root) not in text
        assert os.path.dirname(tracked.git("config", "dvc-like.python")) not in text


# ------------------------------------------------------------------------------ core.hooksPath


def test_hooks_in_the_worktree_get_marked_lines(tracked: Place, log: Path) -> None:
    team = hook(tracked / "team/pre-commit", '#!/bin/bash\necho team >> "$LOG"\n[ ! -e fail ]')
    hook(tracked / "team/post-merge", "#!/bin/sh\ntrue\n", 0o777)
    hook(tracked / "team/post-checkout", '#!/usr/bin/env python3\nopen("py", "w")\n')
    before = folder_of(tracked)
    tracked.git("config", "core.hooksPath", "team")
    done = dvc_like.install(tracked.project)
    assert any("in the worktree" in note for note in done.notes)
    assert team.read_text().startswith('#!/bin/bash\necho team >> "$LOG"\n[ ! -e fail ]\n# >>> dvc-like')
    assert dvc_like.install(tracked.project).files[0].state == "unchanged"
    assert stale(tracked)
    assert log.read_text() == "team\n"
    tracked.git("switch", "-q", "-c", "other")
    assert (tracked / "py").exists()
    (tracked / "fail").touch()
    tracked.git("commit", "-q", "--allow-empty", "-m", "x", code=1)
    dvc_like.uninstall(tracked.project)
    assert folder_of(tracked) == before


def test_hooks_outside_the_repository_are_used_when_this_clone_says_so(tracked: Place, tmp_path: Path) -> None:
    tracked.git("config", "--local", "core.hooksPath", str(tmp_path / "mine"))
    dvc_like.install(tracked.project)
    assert (tmp_path / "mine/pre-commit").exists()
    assert stale(tracked)
    dvc_like.uninstall(tracked.project)
    assert tree_of(tmp_path / "mine") == {}


def test_hooks_of_all_repositories_are_touched_by_force_only(tracked: Place, tmp_path: Path, cli: InProcess) -> None:
    tracked.git("config", "--global", "core.hooksPath", str(tmp_path / "everywhere"))
    said = cli("install", code=1)
    assert "for all repositories of this user" in said.err
    assert not (tmp_path / "everywhere").exists()
    cli("install", "--force")
    assert stale(tracked)
    other = tmp_path / "other"
    subprocess.run(["git", "init", "-q", str(other)], check=True)
    subprocess.run(["git", "commit", "-q", "--allow-empty", "-m", "no project"], cwd=other, check=True)
    cli("uninstall")
    assert tree_of(tmp_path / "everywhere") == {}
    tracked.git("config", "--local", "core.hooksPath", ".git/hooks")
    cli("install")
    assert (tracked / ".git/hooks/pre-commit").exists()


def test_where_there_is_no_git_or_no_worktree(tmp_path: Path, tracked: Place) -> None:
    with pytest.raises(ProjectError, match="no Git here"):
        dvc_like.install(dvc_like.init(tmp_path / "plain", git=False))
    tracked.git("config", "core.bare", "true")
    with pytest.raises(ProjectError, match="bare repository"):
        dvc_like.install(tracked.project)
    tracked.git("config", "core.bare", "false")
    with pytest.raises(UsageError):
        dvc_like.install(tracked.project, dvc_like.HookOptions(hooks=("update",)))


def test_a_bare_repository_is_refused(tracked: Place, tmp_path: Path, cli: InProcess) -> None:
    tracked.git("clone", "-q", "--bare", ".", str(tmp_path / "bare.git"))
    cli("install", cwd=tmp_path / "bare.git", code=3)
    tracked.git("-C", str(tmp_path / "bare.git"), "worktree", "add", "-q", str(tmp_path / "beside"), "main")
    cli("install", cwd=tmp_path / "beside")
    assert (tmp_path / "bare.git/hooks/pre-commit").exists()


# ------------------------------------------------------------------------------ husky

OLD_HUSKY_SH = """\
hookName=$(basename "$0")
echo "husky 4 $hookName $*" >> "$LOG"
[ "$hookName" = pre-push ] && cat >> "$LOG"
exit 0
"""
OLD_HUSKY = '#!/bin/sh\n# husky\n\n# Created by Husky v4.3.8\n\n. "$(dirname "$0")/husky.sh"\n'
HUSKY_8 = """\
#!/usr/bin/env sh
if [ -z "$husky_skip_init" ]; then
  readonly hook_name="$(basename -- "$0")"
  if [ "$HUSKY" = "0" ]; then
    exit 0
  fi
  readonly husky_skip_init=1
  export husky_skip_init
  sh -e "$0" "$@"
  exit "$?"
fi
"""
HUSKY_9 = """\
#!/usr/bin/env sh
n=$(basename "$0")
s=$(dirname "$(dirname "$0")")/$n
[ ! -f "$s" ] && exit 0
[ "${HUSKY-}" = "0" ] && exit 0
sh -e "$s" "$@"
c=$?
exit $c
"""


def make_husky(place: Place, version: int) -> None:
    """Lay out what husky makes, with a pre-commit and a pre-push hook of the user's."""
    own = 'echo "user $*" >> "$LOG"\n'
    if version == 4:
        hook(place / ".git/hooks/husky.sh", OLD_HUSKY_SH, 0o644)
        for name in HOOKS:
            hook(place / ".git/hooks" / name, OLD_HUSKY)
    elif version == 8:
        hook(place / ".husky/_/husky.sh", HUSKY_8, 0o644)
        head = '#!/usr/bin/env sh\n. "$(dirname -- "$0")/_/husky.sh"\n\n'
        hook(place / ".husky/pre-commit", head + own)
        hook(place / ".husky/pre-push", head + own + 'cat >> "$LOG"\n')
        place.git("config", "core.hooksPath", ".husky")
    else:
        hook(place / ".husky/_/h", HUSKY_9, 0o644)
        for name in HOOKS:
            hook(place / ".husky/_" / name, '#!/usr/bin/env sh\n. "$(dirname "$0")/h"')
        hook(place / ".husky/pre-commit", own.rstrip("\n"), 0o644)
        hook(place / ".husky/pre-push", own + 'while read -r line; do echo "$line" >> "$LOG"; done\n', 0o644)
        place.git("config", "core.hooksPath", ".husky/_")


@pytest.mark.parametrize("version", [4, 8, 9])
def test_husky_goes_on(tracked: Place, version: int, log: Path, tmp_path: Path, store: Path) -> None:
    make_husky(tracked, version)
    before = folder_of(tracked)
    done = dvc_like.install(tracked.project)
    assert {one.state for one in done.files} == {"added"}
    assert {one.state for one in dvc_like.install(tracked.project).files} == {"unchanged"}
    tracked.save("husky's files are tracked")
    assert stale(tracked)
    tracked.save()
    subprocess.run(["git", "init", "-q", "--bare", str(tmp_path / "origin.git")], check=True)
    address = str(tmp_path / "origin.git")
    tracked.git("push", "-q", address, "main")
    assert store.exists(), "the data went along"
    said = log.read_text()
    assert f"{address} {address}\nrefs/heads/main " in said, "what follows our lines finds the input again"
    assert ("husky 4 pre-commit" if version == 4 else "user ") in said
    tracked.git("switch", "-q", "-c", "earlier", "HEAD~1")
    assert tracked.states() == {"data": "unchanged"}
    dvc_like.uninstall(tracked.project)
    assert folder_of(tracked) == before


def test_husky_that_is_not_active_yet_is_prepared(tracked: Place) -> None:
    hook(tracked / ".husky/pre-commit", "npm test\n", 0o644)
    done = dvc_like.install(tracked.project, dvc_like.HookOptions(hooks=("pre-commit", "post-merge")))
    assert any("not active" in note for note in done.notes)
    assert (tracked / ".husky/post-merge").read_text().startswith("# >>> dvc-like [new]\n")
    assert not (tracked / ".git/hooks/pre-commit").exists()
    dvc_like.uninstall(tracked.project)
    assert (tracked / ".husky/pre-commit").read_text() == "npm test\n"
    assert not (tracked / ".husky/post-merge").exists()


def test_lines_that_a_user_added_beside_ours_stay(tracked: Place) -> None:
    hook(tracked / ".husky/pre-commit", "npm test", 0o644)
    dvc_like.install(tracked.project)
    path = tracked / ".husky/pre-commit"
    path.write_text(path.read_text() + "npm run lint\n")
    dvc_like.uninstall(tracked.project)
    assert path.read_text() == "npm test\nnpm run lint\n"


# ------------------------------------------------------------------------------ the pre-commit tool

TOOL = """\
#!/bin/sh
# File generated by pre-commit: https://pre-commit.com
echo "tool $*" >> "$LOG"
here=$(dirname "$0")
[ ! -x "$here/pre-commit.legacy" ] || "$here/pre-commit.legacy" "$@"
"""


def test_the_pre_commit_tool_keeps_its_place(tracked: Place, log: Path) -> None:
    hook(tracked / ".git/hooks/pre-commit", TOOL)
    before = folder_of(tracked)
    done = dvc_like.install(tracked.project)
    assert done.files[0].path.endswith("/pre-commit.legacy")
    assert (tracked / ".git/hooks/pre-commit").read_text() == TOOL
    assert stale(tracked)
    assert "tool" in log.read_text()
    dvc_like.uninstall(tracked.project)
    assert folder_of(tracked) == before


def test_the_pre_commit_tool_may_move_ours(tracked: Place, log: Path) -> None:
    hook(tracked / ".git/hooks/pre-commit", LOG)
    dvc_like.install(tracked.project)
    (tracked / ".git/hooks/pre-commit").rename(tracked / ".git/hooks/pre-commit.legacy")
    hook(tracked / ".git/hooks/pre-commit", TOOL)
    assert stale(tracked)
    assert "pre-commit.before-dvc-like" in log.read_text()
    assert dvc_like.install(tracked.project).files[0].state == "unchanged"
    dvc_like.uninstall(tracked.project)
    assert (tracked / ".git/hooks/pre-commit.legacy").read_text() == LOG


def test_the_lines_for_the_pre_commit_tool(tracked: Place, cli: InProcess) -> None:
    before = folder_of(tracked)
    said = cli("install", "--pre-commit-tool", "--hooks", "pre-commit,pre-push")
    assert "      - id: dvc-like-pre-commit\n      - id: dvc-like-pre-push\n" in said.out
    assert "pre-commit install --hook-type pre-commit --hook-type pre-push" in said.out
    assert folder_of(tracked) == before


def test_a_link_in_the_place_of_a_hook_is_only_set_aside(tracked: Place, tmp_path: Path) -> None:
    outside = hook(tmp_path / "outside", '#!/bin/sh\necho linked >> "$LOG"\n')
    (tracked / ".git/hooks/pre-commit").symlink_to(outside)
    dvc_like.install(tracked.project)
    assert outside.read_text() == '#!/bin/sh\necho linked >> "$LOG"\n'
    assert stale(tracked)
    assert Path(os.environ["LOG"]).read_text() == "linked\n"
    dvc_like.uninstall(tracked.project)
    assert (tracked / ".git/hooks/pre-commit").readlink() == outside


def test_a_hook_that_cannot_be_written_is_told(tracked: Place) -> None:
    shutil.rmtree(tracked / ".git/hooks")
    (tracked / ".git/hooks").write_text("in the way")
    with pytest.raises((DvcLikeError, OSError)):
        dvc_like.install(tracked.project)
