"""`import` and `update`: data of another repository tracked here, its origin on record, moved on when that moves."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml
from tests.cli.inprocess import InProcess, in_process  # noqa: F401 - the fixture `cli` of this file
from tests.cli.killing import count_changes, moments, run_child
from tests.cli.place import Place, clone_of, digest_of, make_place, objects_in
from tests.cli.sources import Origin, cached_repositories, make_origin
from tests.conftest import Cli, tree_of
from tests.servers.githttp import GitHttp, serving

import dvc_like
from dvc_like import Project
from dvc_like.errors import BadMeta, DvcLikeError, UnsafePath, UsageError
from dvc_like.locks import lock
from dvc_like.ops._clone import KEPT_DAYS


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitHttp]:
    with serving(tmp_path) as found:
        yield found


@pytest.fixture
def origin(tmp_path: Path, server: GitHttp) -> Origin:
    return make_origin(tmp_path / "origin", server, tmp_path / "origin-store")


def source_in(place: Place, name: str) -> dict[str, str]:
    return yaml.safe_load((place / f"{name}.meta").read_text())["source"]


def bring(place: Place, origin: Origin, *paths: str, **options: str) -> None:
    for path in paths:
        dvc_like.import_(place.project, origin.url, path, **options)


# ------------------------------------------------------------------------------ import


def test_an_import_is_tracked_data_with_its_origin(origin: Origin, place: Place, cli: InProcess) -> None:
    done = cli("import", origin.url, "data", "--rev", "v1")
    assert "git add data.meta .gitignore" in done.out
    assert tree_of("data") == origin.data("data")
    assert source_in(place, "data") == {
        "repo": origin.url,
        "rev": "v1",
        "commit": origin.git("rev-parse", "v1^{commit}"),
        "path": "data",
    }
    assert (place / "data.meta").read_text().startswith((origin / "data.meta").read_text())
    assert place.states() == {"data": "unchanged"}
    assert place.git("status", "--porcelain").split() == ["??", ".gitignore", "??", "data.meta"]
    place.save()
    place.push()
    copy = clone_of(place, place.root.parent / "copy")
    origin.server.deny = True
    dvc_like.pull(copy.project)
    assert copy.data("data") == origin.data("data")


def test_parts_single_files_and_what_git_tracks(origin: Origin, place: Place) -> None:
    bring(place, origin, "data/sub", "data/run.sh", "model.bin", "notes.txt", "code")
    assert place.data() == {
        **{name: node for name, node in origin.data().items() if not name.startswith("data")},
        "sub": ("folder", False, b""),
        **{f"sub/{name}": node for name, node in origin.data("data/sub").items()},
        "run.sh": ("file", True, b"#!/bin/sh\n"),
    }
    assert set(place.states().values()) == {"unchanged"}
    assert source_in(place, "sub")["path"] == "data/sub"
    assert place.git("check-ignore", "notes.txt", "sub") == "notes.txt\nsub"


def test_where_it_goes(origin: Origin, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "models").mkdir()
    monkeypatch.chdir(place / "models")
    bring(place, origin, "model.bin")
    bring(place, origin, "model.bin", out="../new/deep/best.bin")
    bring(place, origin, "model.bin", out="..")
    assert [one.target.path for one in dvc_like.status(place.project)] == [
        "model.bin",
        "models/model.bin",
        "new/deep/best.bin",
    ]


def test_undo_takes_an_import_back(origin: Origin, place: Place) -> None:
    before = tree_of(place.root, skip=(".git", ".dvc-like"))
    bring(place, origin, "data")
    dvc_like.undo(place.project)
    assert tree_of(place.root, skip=(".git", ".dvc-like")) == before


def test_the_same_import_again_changes_nothing_and_is_no_step_of_undo(origin: Origin, place: Place) -> None:
    bring(place, origin, "data")
    meta = place / "data.meta"
    meta.write_text(meta.read_text().replace("source:", "remote: storage\nsource:") + "# ours\ndesc: text\n")
    before = tree_of(place.root, skip=(".git", "tmp"))
    bring(place, origin, "data")
    assert tree_of(place.root, skip=(".git", "tmp")) == before
    assert len(dvc_like.undoable(place.project)) == 1


@pytest.mark.parametrize("kind", ["data", "target", "git", "inside"])
def test_what_is_there_is_never_replaced(origin: Origin, place: Place, cli: InProcess, kind: str) -> None:
    place.write({"model.bin": "mine", "folder/x": "1"})
    if kind == "target":
        place.add("model.bin")
    place.add("folder")
    if kind == "git":
        place.save()
    before = tree_of(place.root, skip=(".git", ".dvc-like"))
    out = "folder/model.bin" if kind == "inside" else "model.bin"
    cli("import", origin.url, "model.bin", "-o", out, code=2 if kind in ("git", "inside") else 5)
    assert tree_of(place.root, skip=(".git", ".dvc-like")) == before


def test_every_hint_can_be_typed_in_the_current_folder(origin: Origin, place: Place, cli: InProcess) -> None:
    (place / "sub").mkdir()
    cli("import", origin.url, "data", "--rev", "v1", cwd=place / "sub")
    assert "`dvc-like update data`" in cli("import", origin.url, "data", cwd=place / "sub", code=5).err
    assert "The imports named are up to date" in cli("update", "data", cwd=place / "sub").out
    place.write({"sub/data/a.txt": "mine"})
    done = cli("import", origin.url, "data", "--rev", "v1", cwd=place / "sub", code=5)
    assert "sub/data/a.txt" in done.err
    assert "--force" not in done.err, "import has no such option"


def test_git_is_told_where_that_is_wanted(origin: Origin, place: Place, cli: InProcess) -> None:
    place.config(core_autostage="true")
    assert "git add" not in cli("import", origin.url, "model.bin").out
    assert {"model.bin.meta", ".gitignore"} <= set(place.git("diff", "--cached", "--name-only").split())
    place.save()
    origin.change({"model.bin": "model 2"})
    cli("update")
    assert place.git("diff", "--cached", "--name-only").split() == ["model.bin.meta"]


def test_an_import_outside_a_project_names_the_way(origin: Origin, cli: InProcess, tmp_path: Path) -> None:
    (tmp_path / "nowhere").mkdir()
    assert "dvc-like init" in cli("import", origin.url, "data", cwd=tmp_path / "nowhere", code=3).err


def test_a_folder_on_this_machine_is_kept_relative_and_allowed(origin: Origin, place: Place) -> None:
    (place / "sub").mkdir()
    os.chdir(place / "sub")
    dvc_like.import_(place.project, "../../origin", "model.bin")
    assert source_in(place, "sub/model.bin")["repo"] == "../origin"
    commit = origin.change({"model.bin": "model 2"})
    (done,) = dvc_like.update(place.project)
    assert (done.state, done.new_source.commit) == ("updated", commit)  # type: ignore[union-attr]
    assert (place / "sub/model.bin").read_text() == "model 2"


def test_a_password_is_kept_in_the_local_configuration_alone(
    origin: Origin, place: Place, cli: InProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_TRACE", str(trace := tmp_path / "trace"))
    origin.server.login = "ann:s3cret"
    url = origin.server.url("origin/.git", "ann:s3cret")
    for user in ("", "ann:wrong"):
        assert "wrong" not in cli("import", origin.server.url("origin/.git", user), "model.bin", code=6).err
    out = cli("import", url, "model.bin", "--json").out
    place.save()
    assert "s3cret" not in out + place.git("grep", "-h", "", "HEAD")
    assert "s3cret" in (place / ".dvc-like/config.local").read_text()
    assert (place / ".dvc-like/config.local").stat().st_mode & 0o077 == 0
    assert "s3cret" not in "".join(record.read_text() for record in (place / ".dvc-like/undo").glob("*.undo"))
    origin.change({"model.bin": "model 2"})
    cli("update")
    assert (place / "model.bin").read_text() == "model 2"
    assert "git remote-http origin" in (commands := trace.read_text())  # others see the command lines of all processes
    assert "s3cret" not in commands


def test_little_is_moved_of_a_long_history(tmp_path: Path, server: GitHttp, place: Place, home: Path) -> None:
    root = tmp_path / "long"
    make_place(root)
    long = Origin(root, server)
    long.use_store(tmp_path / "long-store")
    long.git("config", "uploadpack.allowFilter", "true")
    long.track({"model.bin": "model 1"})
    long.push()
    blobs = [os.urandom(4096).hex() for _ in range(400)]
    stream = "".join(
        f"commit refs/heads/main\ncommitter A <a@b> {1700000000 + at} +0000\ndata 1\nc\n"
        f"{'from refs/heads/main^0' + chr(10) if not at else ''}"
        f"M 100644 inline code/{at % 40}.txt\ndata {len(text)}\n{text}\n\n"
        for at, text in enumerate(blobs)
    )
    subprocess.run(["git", "fast-import", "--quiet", "--force"], input=stream.encode(), cwd=root, check=True)
    long.git("reset", "-q", "--hard")
    server.sent = 0
    subprocess.run(["git", "clone", "-q", "--bare", long.url, str(tmp_path / "whole")], check=True)
    whole, server.sent = server.sent, 0
    bring(place, long, "model.bin")
    assert (place / "model.bin").read_text() == "model 1"
    assert 0 < server.sent < whole / 100, (server.sent, whole)
    packs = [path for one in cached_repositories(home) for path in one.rglob("*.pack")]
    assert sum(path.stat().st_size for path in packs) < whole / 100
    server.requests = server.sent = 0
    bring(place, long, "model.bin", out="again", rev=long.git("rev-parse", "HEAD"))
    assert server.requests == 0, "what is here is not asked for again"


@pytest.mark.slow
def test_an_import_that_was_killed_is_finished_by_the_same_command(
    origin: Origin, place: Place, cli: InProcess
) -> None:
    words = ["import", origin.url, "data"]
    total = count_changes(words, place.root)
    for at in moments(total, 6):
        for name in ("data", ".dvc-like/cache", ".dvc-like/undo"):
            shutil.rmtree(place / name, ignore_errors=True)
        for name in ("data.meta", ".gitignore"):
            (place / name).unlink(missing_ok=True)
        run_child(at, words, place.root, signal.SIGKILL)
        cli(*words)
        assert place.data("data") == origin.data("data")
        assert place.states() == {"data": "unchanged"}


# ------------------------------------------------------------------------------ update


def test_update_moves_with_the_branch_and_says_what_changed(origin: Origin, place: Place, cli: InProcess) -> None:
    bring(place, origin, "data", "data/sub", "notes.txt")
    bring(place, origin, "model.bin", rev="v1")
    old = origin.git("rev-parse", "HEAD")
    place.save()
    assert "up to date" in cli("update").out
    new = origin.change({"data/sub/b.txt": "beta 2", "data/new.txt": "n", "model.bin": "model 2"})
    before = tree_of(place.root, skip=(".git", ".dvc-like"))
    dry = cli("update", "--dry-run", "--json").json
    assert tree_of(place.root, skip=(".git", ".dvc-like")) == before
    assert {one["path"]: one["state"] for one in dry["targets"]} == {
        "data": "updated",
        "sub": "updated",
        "notes.txt": "recorded",
        "model.bin": "unchanged",
    }
    done = cli("update")
    assert f"{old[:10]} -> {new[:10]}" in done.out
    assert "(5 files, 24 B -> 6 files, 27 B)" in done.out
    assert place.data("data") == origin.data("data")
    assert place.data("sub") == origin.data("data/sub")
    assert (place / "model.bin").read_text() == "model 1", "a tag that did not move"
    assert {source_in(place, name)["commit"] for name in ("data", "sub", "notes.txt")} == {new}
    assert set(place.states().values()) == {"unchanged"}
    dvc_like.undo(place.project)
    assert tree_of(place.root, skip=(".git", ".dvc-like")) == before


def test_update_to_another_revision_and_a_single_target(origin: Origin, place: Place, cli: InProcess) -> None:
    bring(place, origin, "model.bin", "data", rev="v1")
    first = origin.git("rev-parse", "HEAD")
    origin.change({"model.bin": "model 2"})
    origin.git("tag", "v2")
    cli("update", "model.bin", "--rev", "v2")
    assert (place / "model.bin").read_text() == "model 2"
    assert (source_in(place, "model.bin")["rev"], source_in(place, "data")["rev"]) == ("v2", "v1")
    cli("update", "model.bin.meta", "--rev", first)
    assert (place / "model.bin").read_text() == "model 1"
    assert "up to date" in cli("update", "model.bin").out, "a commit does not move"


def test_a_branch_that_was_rewritten_or_deleted(origin: Origin, place: Place, cli: InProcess) -> None:
    origin.git("branch", "work")
    bring(place, origin, "model.bin", rev="work")
    origin.git("checkout", "-q", "--orphan", "other")
    forced = origin.change({"model.bin": "rewritten"})
    origin.git("branch", "-f", "work")
    cli("update")
    assert (place / "model.bin").read_text() == "rewritten"
    assert source_in(place, "model.bin")["commit"] == forced
    origin.git("branch", "-D", "work")
    done = cli("update", code=2)
    assert "model.bin" in done.err
    assert "'work'" in done.err
    assert "main" in done.err
    assert place.states() == {"model.bin": "unchanged"}


def test_unsaved_changes_stop_the_one_target_and_no_other(origin: Origin, place: Place, cli: InProcess) -> None:
    bring(place, origin, "data", "model.bin")
    old = source_in(place, "data")
    origin.change({"data/a.txt": "alpha 2", "model.bin": "model 2"})
    place.write({"data/a.txt": "mine"})
    assert "model.bin" in cli("update", "--dry-run", code=0).out
    done = cli("update", code=5)
    assert "data/a.txt" in done.err
    assert "updated    model.bin" in done.out
    assert "git add model.bin.meta" in done.out
    assert (place / "data/a.txt").read_text() == "mine"
    assert source_in(place, "data") == old
    assert (place / "model.bin").read_text() == "model 2"
    cli("update", "--force")
    assert place.data("data") == origin.data("data")


def test_what_was_recorded_here_since_is_not_given_up(origin: Origin, place: Place, cli: InProcess) -> None:
    bring(place, origin, "data")
    place.write({"data/a.txt": "mine"})
    place.add("data")
    assert source_in(place, "data")["changed"] is True
    assert "up to date" in cli("update").out
    origin.change({"data/sub/b.txt": "beta 2"})
    assert "--force" in cli("update", code=5).err
    cli("update", "--dry-run", code=5)
    assert (place / "data/a.txt").read_text() == "mine"
    cli("update", "--force")
    assert place.data("data") == origin.data("data")
    assert "changed" not in source_in(place, "data")


def test_add_of_an_import_keeps_its_origin(origin: Origin, place: Place) -> None:
    bring(place, origin, "model.bin")
    before = (place / "model.bin.meta").read_bytes()
    os.utime(place / "model.bin")
    place.add("model.bin")
    assert (place / "model.bin.meta").read_bytes() == before


def test_what_the_user_wrote_beside_the_source_stays(origin: Origin, place: Place, cli: InProcess) -> None:
    bring(place, origin, "model.bin")
    meta = place / "model.bin.meta"
    meta.write_text(meta.read_text() + "  note: weekly\n# ours\ndesc: the model\n")
    origin.change({"model.bin": "model 2"})
    cli("update")
    assert meta.read_text().endswith("  note: weekly\n# ours\ndesc: the model\n")
    assert digest_of("model 2") in meta.read_text()


def test_what_was_not_imported_cannot_be_updated(origin: Origin, place: Place, cli: InProcess) -> None:
    assert "Nothing is imported" in cli("update").out
    place.track({"own.bin": "1", "data/x": "1"})
    assert "own.bin" in cli("update", "own.bin", code=2).err
    cli("update", "gone", code=2)
    bring(place, origin, "data", out="imported")
    assert "part of imported" in cli("update", "imported/sub", code=2).err


def test_unreachable_updates_name_their_target_and_change_nothing(origin: Origin, place: Place, cli: InProcess) -> None:
    bring(place, origin, "model.bin")
    before = (place / "model.bin.meta").read_bytes()
    origin.change({"model.bin": "model 2"})
    origin.server.deny = True
    assert "model.bin: " in cli("update", code=6).err
    assert (place / "model.bin.meta").read_bytes() == before
    origin.server.deny = False
    (place.root.parent / "origin-store").rename(place.root.parent / "lost")
    shutil.rmtree(origin / ".dvc-like/cache", ignore_errors=True)
    assert "model.bin" in cli("update", code=4).err
    assert (place / "model.bin.meta").read_bytes() == before


def test_two_updates_at_once(origin: Origin, place: Place) -> None:
    bring(place, origin, "data", "model.bin")
    origin.change({"data/a.txt": "alpha 2", "model.bin": "model 2"})
    with ThreadPoolExecutor(2) as pool:
        assert [job.result().code for job in [pool.submit(Cli(), "update") for _ in range(2)]] == [0, 0]
    assert place.data("data") == origin.data("data")
    assert set(place.states().values()) == {"unchanged"}


@pytest.mark.slow
def test_an_update_that_was_killed_is_finished_by_the_next(origin: Origin, place: Place, cli: InProcess) -> None:
    bring(place, origin, "data")
    place.save()
    origin.change({"data/a.txt": "alpha 2", "data/new": "n"})
    total = count_changes(["update"], place.root)
    for at in moments(total, 6):
        place.git("checkout", "-q", "data.meta")
        dvc_like.checkout(place.project)
        run_child(at, ["update"], place.root, signal.SIGKILL)
        cli("update")
        assert place.data("data") == origin.data("data")
        assert place.states() == {"data": "unchanged"}


# ------------------------------------------------------------------------------ what strangers write


@pytest.mark.parametrize(
    "repo",
    [
        "ext::sh -c 'touch {pwned}'",
        "--upload-pack=touch {pwned}",
        "ssh://-oProxyCommand=touch%20{pwned}/x",
        "file://{origin}",
        "{origin}",
        "../origin",
        "~/origin",
        "http://example.invalid/x.git",
        "git://example.invalid/x.git",
        "http://127.0.0.1:1/x.git",
        "http://localhost:1/x.git",
        "git://[::1]:1/x.git",
        "http://127.0.0.1.example.invalid/x.git",
        "https://ann:s3cret@example.invalid/x.git",
    ],
)
def test_a_hostile_source_is_not_contacted(
    origin: Origin, place: Place, cli: InProcess, tmp_path: Path, home: Path, repo: str
) -> None:
    bring(place, origin, "model.bin")
    place.save()
    origin.change({"model.bin": "model 2"})
    meta = place / "model.bin.meta"
    named = repo.format(pwned=tmp_path / "pwned", origin=origin.root)
    meta.write_text(meta.read_text().replace(origin.url, "'" + named.replace("'", "''") + "'"))
    shutil.rmtree(home / "cache", ignore_errors=True)
    for words in (["update"], ["update", "--dry-run"], ["update", "-f", "model.bin"]):
        done = cli(*words, code=7)
        assert "model.bin" in done.err
        assert "s3cret" not in done.err
    for words in (["status"], ["pull", "--allow-missing"], ["checkout"], ["ls"]):
        cli(*words)
    assert not (tmp_path / "pwned").exists()
    assert not (home / "cache").exists()
    assert (place / "model.bin").read_text() == "model 1"


def test_a_local_configuration_that_git_tracks_gives_no_leave(origin: Origin, place: Place, cli: InProcess) -> None:
    bring(place, origin, "model.bin")
    origin.change({"model.bin": "model 2"})
    place.git("add", "--force", ".dvc-like/config.local")
    assert "import.allow" in cli("update", code=3).err
    assert (place / "model.bin").read_text() == "model 1"
    place.git("rm", "--cached", "-q", ".dvc-like/config.local")
    cli("update")
    assert (place / "model.bin").read_text() == "model 2"


def made_tree(origin: Origin, text: str) -> str:
    done = subprocess.run(
        ["git", "mktree", "-z"], input=text.encode(), cwd=origin.root, capture_output=True, check=True
    )
    return done.stdout.decode().strip()


def test_what_a_hostile_repository_tracks_is_refused(origin: Origin, place: Place) -> None:
    os.symlink("../../outside", origin / "code/out")
    origin.save()
    with pytest.raises(UnsafePath, match="outside"):
        bring(place, origin, "code")
    blob = origin.git("rev-parse", "HEAD:notes.txt")
    for name in (".GIT", "git~1", ".dvc-like ", "a\\b", "x\ny"):  # what git itself would not make
        evil = made_tree(origin, f"100644 blob {blob}\t{name}\0")
        root = made_tree(origin, f"040000 tree {evil}\tevil\0")
        origin.git("reset", "-q", "--soft", origin.git("commit-tree", "-m", "evil", root))
        with pytest.raises(UnsafePath):
            bring(place, origin, "evil")
    for path in ("../x", "/etc/passwd", ".git/config", "a/../../b"):
        with pytest.raises(DvcLikeError):
            bring(place, origin, path)
    assert place.data() == {}


def test_a_hostile_configuration_is_held_to_what_a_tracked_one_may(
    origin: Origin, place: Place, cli: InProcess
) -> None:
    for line in ("[cache]\n\tdir = /tmp\n", '[remote "storage"]\n\tsecretaccesskey = x\n', "[import]\n\tallow = /\n"):
        text = (origin / ".dvc-like/config").read_text()
        (origin / ".dvc-like/config").write_text(text + line)
        origin.save()
        assert origin.url in cli("import", origin.url, "model.bin", code=3).err
        (origin / ".dvc-like/config").write_text(text)


def test_a_meta_file_there_that_cannot_be_read_stops_only_its_own(origin: Origin, place: Place) -> None:
    (origin / "model.bin.meta").write_text("hash: ../../etc/passwd\n")
    origin.save()
    bring(place, origin, "data")
    bring(place, origin, "code")
    with pytest.raises(BadMeta, match=r"model\.bin\.meta"):
        bring(place, origin, "model.bin")
    with pytest.raises(UsageError, match=r"modle\.bin"):
        bring(place, origin, "modle.bin")


def test_no_hook_and_no_setting_of_the_other_side_is_run(origin: Origin, place: Place, tmp_path: Path) -> None:
    for name in ("post-checkout", "pre-push", "post-update", "reference-transaction"):
        hook = origin / ".git/hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/pwned\n")
        hook.chmod(0o755)
    origin.git("config", "core.fsmonitor", f"touch {tmp_path}/pwned; false")
    dvc_like.import_(place.project, origin.root, "data", "local")
    bring(place, origin, "data")
    assert not (tmp_path / "pwned").exists()


def test_a_source_of_another_kind_is_named(place: Place) -> None:
    place.track({"x": "1"})
    (place / "x.meta").write_text((place / "x.meta").read_text() + "source: my camera\n")
    assert dvc_like.update(Project.find()) == []


def test_imports_do_not_need_the_origins_objects_in_two_places(origin: Origin, place: Place) -> None:
    bring(place, origin, "data")
    theirs = {key for key in objects_in(origin.cache) if not key.endswith(".tree")}
    assert {key for key in objects_in(place.cache) if not key.endswith(".tree")} <= theirs


def test_the_origin_is_listed(origin: Origin, place: Place, cli: InProcess) -> None:
    bring(place, origin, "data/sub", "model.bin")
    place.track({"own": "1"})
    for words in (["ls"], ["ls", "-R"], ["ls", "--rev", "HEAD"]):
        found = {one["path"]: one["source"] for one in cli(*words, "--dvc-only", "--json").json["paths"]}
        assert found["model.bin"] == source_in(place, "model.bin"), words
        assert found["own"] is None
    assert cli("ls", "sub", "--json").json["paths"][0]["source"] is None
    out = cli("ls", "-v", "--dvc-only").out
    assert f"sub/  <- {origin.url} data/sub\n" in out
    assert "<-" not in cli("ls").out


def test_gc_deletes_copies_of_other_repositories_that_nobody_reads(
    origin: Origin, place: Place, cli: InProcess, home: Path
) -> None:
    bring(place, origin, "model.bin")
    (folder,) = cached_repositories(home)

    def age(days: float) -> None:
        then = time.time() - days * 86_400
        os.utime(folder / "lock", (then, then))

    age(KEPT_DAYS - 1)
    assert cli("gc", "--workspace", "--json").json["clones"] == 0
    age(KEPT_DAYS + 1)
    cli("gc", "--workspace", "--dry-run")
    cli("update", "--rev", origin.git("rev-parse", "HEAD"))  # which needs no network, and is a use all the same
    assert cli("gc", "--workspace", "--json").json["clones"] == 0
    age(KEPT_DAYS + 1)
    with lock(str(folder / "lock"), timeout=0, note=False):
        assert cli("gc", "--workspace", "--json").json["clones"] == 0  # somebody is at it
    assert "1 copy of another repository deleted, which nobody read for 90 days" in cli("gc", "--workspace").out
    assert [path.name for path in folder.iterdir()] == ["lock"]
    cli("update", "--rev", origin.change({"model.bin": "model 2"}))
    assert (place / "model.bin").read_text() == "model 2"
