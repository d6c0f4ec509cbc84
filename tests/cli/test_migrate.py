"""`migrate`: data of DVC and Git LFS becomes ours where it lies, at every revision; one `git checkout` leads back."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.cli.dvc_repository import DvcRepository, Files, fingerprints, md5
from tests.cli.inprocess import InProcess as Cli
from tests.cli.inprocess import in_process  # noqa: F401 - the fixture `cli` of this file
from tests.cli.killing import count_changes, moments, run_child
from tests.cli.place import Place, clone_of, objects_in
from tests.cli.stores import contents_of
from tests.conftest import Node, tree_of

import dvc_like
import dvc_like.ops.migrate
from dvc_like.errors import DvcLikeError, NoProject, UsageError
from dvc_like.remote.local import LocalBackend

FIRST: Files = {"a.txt": b"one\n", "sub/deep/b.txt": b"two\n", "sub/\u00e9.txt": b"", "large": b"L" * (2 << 20)}
SECOND: Files = {**FIRST, "a.txt": b"changed\n", "new/c": b"three\n"}
OTHER: Files = {"sub/deep/b.txt": b"two\n", "only here": b"other\n"}


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DvcRepository:
    """One version of a folder, a file in a folder, and an executable one."""
    made = DvcRepository(tmp_path / "project")
    made.add("data", FIRST)
    made.add("models/m.bin", b"model 1")
    made.save("version 1")
    monkeypatch.chdir(made.root)
    return made


@pytest.fixture
def history(repository: DvcRepository) -> dict[str, dict[str, bytes]]:
    """Two versions, tagged, and a branch that has another one; what each revision holds, by path."""
    repository.git("tag", "v1")
    repository.git("checkout", "-q", "-b", "other")
    shutil.rmtree(repository.root / "data")
    repository.add("data", OTHER)
    repository.save("other")
    repository.git("checkout", "-q", "main")
    shutil.rmtree(repository.root / "data")
    repository.add("data", SECOND)
    repository.add("models/m.bin", b"model 2")
    repository.save("version 2")
    repository.git("tag", "v2")
    return {
        revision: {f"data/{name}": data for name, data in files.items()} | {"models/m.bin": model}
        for revision, files, model in (
            *(("v1", FIRST, b"model 1"), ("v2", SECOND, b"model 2"), ("other", OTHER, b"model 1")),
        )
    }


def place_of(repository: DvcRepository) -> Place:
    return Place(repository.root)


def bytes_of(place: Place, *tops: str) -> dict[str, bytes]:
    """The user's data by path, read from the workspace."""
    found = {}
    for top in tops:
        for name, (kind, _, data) in tree_of(place.root / top).items():
            if kind == "file" and not name.endswith((".meta", ".gitignore")):
                assert isinstance(data, bytes)
                found[f"{top}/{name}"] = data
    return found


def left_of(done: dvc_like.ops.migrate.Migration) -> dict[str, str]:
    return {one.path: one.reason for one in done.left}


# ------------------------------------------------------------------------------ DVC


def test_every_revision_is_equal_and_no_object_travels_again(
    repository: DvcRepository, history: dict[str, dict[str, bytes]], tmp_path: Path
) -> None:
    cache, store = fingerprints(repository.cache), fingerprints(repository.store)
    place = place_of(repository)
    for revision in history:
        repository.git("checkout", "-q", "-b", f"moved-{revision}", revision)
        assert dvc_like.migrate().left == ()
        assert not list(repository.root.rglob("*.dvc/")) or not (repository.root / "data.dvc").exists()
        repository.git("commit", "-q", "-m", "moved")
        assert place.push().size == 0
    after = fingerprints(repository.store)
    assert fingerprints(repository.cache) == cache
    assert {name: one for name, one in after.items() if name in store} == store
    new = after.keys() - store.keys()
    assert {name.partition("/")[0] for name in new} == {"dvc-like.json", "packs", "refs"}
    assert {
        key.rpartition(".")[2] for key in contents_of(repository.store).keys() - objects_in(repository.store).keys()
    } == {"tree"}
    copy = clone_of(place, tmp_path / "copy")
    for revision, wanted in history.items():
        copy.git("checkout", "-q", f"moved-{revision}")
        copy.pull()
        assert bytes_of(copy, "data", "models") == wanted
        assert copy.changes() == {}


def test_objects_are_linked_and_stay_whole_when_dvc_goes(repository: DvcRepository) -> None:
    done = dvc_like.migrate()
    place = place_of(repository)
    assert done.copied == 0
    for key, path in objects_in(repository.cache).items():
        if not key.endswith(".dir"):
            assert path.samefile(place.cache / key)
    shutil.rmtree(repository.root / ".dvc")
    shutil.rmtree(repository.root / "data")
    place.checkout()
    assert bytes_of(place, "data") == {f"data/{name}": data for name, data in FIRST.items()}


def test_objects_are_copied_where_they_cannot_be_linked(
    repository: DvcRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_link(*_: object, **__: object) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "link", no_link)
    done = dvc_like.migrate()
    assert done.copied == sum(map(len, FIRST.values())) + len(b"model 1")
    shutil.rmtree(repository.root / "data")
    place_of(repository).checkout()
    assert bytes_of(place_of(repository), "data") == {f"data/{name}": data for name, data in FIRST.items()}


def test_a_cache_on_another_disk_keeps_ours_beside_it(repository: DvcRepository, tmp_path: Path) -> None:
    other = next((p for p in map(Path, ("/dev/shm", "/var/tmp", "/tmp")) if is_elsewhere(p, tmp_path)), None)
    if other is None:
        pytest.skip("there is no second file system to write to")
    cache = Path(shutil.copytree(repository.cache, other / f"dvc-like-test-{os.getpid()}", copy_function=shutil.copy2))
    try:
        shutil.rmtree(repository.cache)
        (repository.root / ".dvc/config.local").write_text(f"[cache]\n    dir = {cache}\n")
        assert dvc_like.migrate().copied == 0
        assert place_of(repository).project.cache_dir == str(cache / "dvc-like")
        assert place_of(repository).changes() == {}
    finally:
        shutil.rmtree(cache)


def is_elsewhere(folder: Path, than: Path) -> bool:
    return folder.is_dir() and os.access(folder, os.W_OK) and folder.stat().st_dev != than.stat().st_dev


def test_a_dry_run_changes_nothing_and_says_it_all(repository: DvcRepository, cli: Cli) -> None:
    before = tree_of(repository.root)
    document = cli("migrate", "--dry-run", "--json").json
    assert tree_of(repository.root) == before
    assert [one["path"] for one in document["targets"]] == ["data", "models/m.bin"]
    assert document["dry_run"] is True
    real = cli("migrate", "--json").json
    assert {**real, "dry_run": True} == document


@pytest.mark.parametrize("committed", [False, True])
def test_one_git_checkout_leads_back(repository: DvcRepository, committed: bool) -> None:
    before, state = repository.git("rev-parse", "HEAD"), tree_of(repository.root, skip=(".git", ".dvc-like"))
    dvc_like.migrate()
    assert tree_of(repository.root, skip=(".git", ".dvc-like")) != state
    if committed:
        repository.git("commit", "-q", "-m", "moved")
        repository.git("checkout", "-q", before)
    else:
        repository.git("checkout", "--no-overlay", "HEAD", "--", ".")
    assert repository.git("status", "--porcelain") == ""
    assert tree_of(repository.root, skip=(".git", ".dvc-like")) == state


def test_running_it_again_finds_nothing_to_do(repository: DvcRepository, cli: Cli) -> None:
    cli("migrate")
    staged = repository.git("write-tree")
    assert cli("migrate", "--json").json["targets"] == []
    repository.git("commit", "-q", "-m", "moved")
    done = cli("migrate", "--json").json
    assert (done["targets"], done["settings"]) == ([], [])
    assert repository.git("write-tree") == staged


def test_the_way_back_can_be_typed_in_a_subfolder(repository: DvcRepository, cli: Cli) -> None:
    (repository.root / "a/b").mkdir(parents=True)
    done = cli("migrate", cwd=repository.root / "a/b")
    assert "Back: git -C ../.. checkout --no-overlay HEAD -- . before" in done.out


def test_another_migration_that_came_first_is_noticed(
    repository: DvcRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both look at the same state; the one that waits for the lock must not repeat what is done."""
    real = dvc_like.ops.migrate.init

    def after_another(*words: str, **options: bool) -> dvc_like.Project:
        monkeypatch.setattr(dvc_like.ops.migrate, "init", real)
        assert len(dvc_like.migrate().targets) == 2
        (repository.root / "data/a.txt").write_bytes(b"changed\n")
        place_of(repository).add("data")
        return real(*words, **options)

    monkeypatch.setattr(dvc_like.ops.migrate, "init", after_another)
    with pytest.raises(DvcLikeError, match="another program"):
        dvc_like.migrate()
    assert place_of(repository).changes() == {}


@pytest.mark.skipif(os.name != "posix", reason="signals of this kind do not exist on this system")
def test_killed_at_any_moment_it_is_completed_by_the_next_run(repository: DvcRepository, tmp_path: Path) -> None:
    cache, store = fingerprints(repository.cache), fingerprints(repository.store)
    whole = shutil.copytree(repository.root, tmp_path / "whole/project", symlinks=True)
    total = count_changes(["migrate"], whole)
    wanted = Place(whole).git("write-tree")
    for number, at in enumerate(moments(total, 8)):
        root = tmp_path / f"killed-{number}/project"
        shutil.copytree(repository.root, root, symlinks=True)
        assert run_child(at, ["migrate"], root).returncode == -signal.SIGKILL
        assert fingerprints(root / ".dvc/cache") == cache
        dvc_like.migrate(root)
        place = Place(root)
        assert (place.git("write-tree"), place.git("status", "--porcelain", "-uall").count("??")) == (wanted, 0), (
            at,
            place.git("status", "--porcelain", "-uall"),
        )
        assert place.changes() == {}
    assert fingerprints(repository.store) == store


def test_the_index_may_be_cold_and_names_stay(repository: DvcRepository) -> None:
    """One file of a migrated folder changes: the others keep DVC's names, and do not travel."""
    dvc_like.migrate()
    place = place_of(repository)
    place.push()
    (repository.root / "data/a.txt").write_bytes(b"changed\n")
    (repository.root / "models/m.bin").touch()
    place.add("data", "models/m.bin")
    assert {key for key in objects_in(place.cache) if not key.endswith(".tree") and "/md5/" not in key} == {
        key_of_blake3(b"changed\n")
    }
    assert place.push().size == len(b"changed\n")
    place.add("data", force=True)
    assert key_of_blake3(b"two\n") in objects_in(place.cache)


def key_of_blake3(data: bytes) -> str:
    from tests.cli.place import key_of

    return key_of(data)


def test_versions_change_places_when_the_index_is_lost(
    repository: DvcRepository, history: dict[str, dict[str, bytes]]
) -> None:
    """What is in the way is safe, under the name that DVC gave it."""
    place = place_of(repository)
    for revision in ("v1", "v2"):
        repository.git("checkout", "-q", "-f", "-b", f"moved-{revision}", revision)
        dvc_like.migrate()
        repository.git("commit", "-q", "-m", "moved")
    for revision in ("v1", "v2", "v1"):
        for path in (repository.root / ".dvc-like/tmp").glob("index.sqlite*"):
            path.unlink()
        repository.git("checkout", "-q", f"moved-{revision}")
        place.checkout()
        found = bytes_of(place, "data", "models")  # whether the rest was tracked before, nobody knows any more
        assert {name: found[name] for name in history[revision]} == history[revision]


def test_small_files_are_found_on_a_store_that_is_far(
    repository: DvcRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LocalBackend, "capabilities", LocalBackend.capabilities._replace(cheap_stat=False))
    dvc_like.migrate()
    assert place_of(repository).push().size == 0


def test_gc_of_the_remote_leaves_what_dvc_may_need(
    repository: DvcRepository, history: dict[str, dict[str, bytes]]
) -> None:
    store = fingerprints(repository.store)
    dvc_like.migrate()
    repository.git("commit", "-q", "-m", "moved")
    place = place_of(repository)
    place.push()
    for _ in range(2):
        place.gc(workspace=True, cloud=True, force=True, grace=0)
    after = fingerprints(repository.store)
    assert {name: one for name, one in after.items() if name in store} == store


def test_links_into_the_cache_of_dvc_become_files_of_the_workspace(repository: DvcRepository) -> None:
    (repository.root / ".dvc/config.local").write_text("[cache]\n    type = symlink\n")
    for name, data in FIRST.items():
        path = repository.root / "data" / name
        path.unlink()
        path.symlink_to(repository.cache / "files/md5" / md5(data)[:2] / md5(data)[2:])
    dvc_like.migrate()
    shutil.rmtree(repository.root / ".dvc")
    place = place_of(repository)
    assert place.changes() == {}
    assert {name: (repository.root / "data" / name).read_bytes() for name in FIRST} == FIRST


def test_what_cannot_be_looked_at_is_told_and_the_next_run_completes_it(
    repository: DvcRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, data = repository.root / "data/a.txt", FIRST["a.txt"]
    path.unlink()
    path.symlink_to(repository.cache / "files/md5" / md5(data)[:2] / md5(data)[2:])
    real = os.lstat

    def failing(name: str | Path, **options: Any) -> os.stat_result:
        if str(name).endswith("data/a.txt"):
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(name))
        return real(name, **options)

    with monkeypatch.context() as patched:
        patched.setattr(os, "lstat", failing)
        with pytest.raises(OSError, match=r"data/a\.txt"):
            dvc_like.migrate()
    dvc_like.migrate()
    assert not path.is_symlink()
    assert path.read_bytes() == data


# ------------------------------------------------------------------------------ what .dvc files can say


def test_what_a_dvc_file_says_is_kept(repository: DvcRepository) -> None:
    out = repository.out(b"imported")
    repository.write("got.csv", b"imported")
    repository.write(".gitignore", b"/data\n/got.csv\n")
    (repository.root / "got.csv.dvc").write_text(
        "md5: 86370cb31b06fc08fbf8762d42b511b6\nfrozen: true\ndesc: from the lab\ndeps:\n- path: raw/x.csv\n  repo:\n"
        "    url: https://ann:secret@example.com/lab.git\n    rev: v1\n"
        f"    rev_lock: 492dcf3577ca7c547e2e59dc4d3dea76ce49240a\nouts:\n{out}  path: got.csv\n  isexec: true\n"
        "  labels: [raw]\n  remote: storage\n"
    )
    (repository.root / "url.csv.dvc").write_text(
        "deps:\n- path: https://ann:secret@example.com/x.csv\n  etag: '\"abc\"'\n  size: 8\n"
        f"outs:\n{out}  path: sub/url.csv\n{out}  path: both.csv\n"
    )
    repository.save("more")
    assert dvc_like.migrate().left == ()
    text = (repository.root / "got.csv.meta").read_text()
    assert text.startswith(f"hash: md5:{md5(b'imported')}\nsize: 8\nexec: true\nremote: storage\n")
    assert "desc: from the lab" in text
    assert "labels:\n- raw" in text
    assert "repo: https://example.com/lab.git\n" in text
    assert "rev: v1\n" in text
    assert "commit: 492dcf3577ca7c547e2e59dc4d3dea76ce49240a\n" in text
    assert "path: raw/x.csv\n" in text
    for name in ("sub/url.csv", "both.csv"):
        text = (repository.root / f"{name}.meta").read_text()
        assert "url: https://example.com/x.csv\n" in text
        assert "etag: '\"abc\"'\n" in text
    assert "secret" not in repository.git("grep", "-h", "--cached", "-e", "", "--", "*.meta")


BAD_OUTS = {
    "above": ("path: ../../evil", "not a name of a file"),
    "absolute": ("path: /etc/evil", "outside the repository"),
    "bucket": ("path: s3://bucket/evil", "outside the repository"),
    "git": ("path: .git/hooks/post-checkout", "Git's or dvc-like's own"),
    "ours": ("path: .dvc-like/config", "Git's or dvc-like's own"),
    "meta": ("path: evil.meta", "ends with .meta"),
    "linked": ("path: hop/evil", "is a link"),
    "hash": ("path: evil\n  md5: ../../../etc/passwd", "not a digest"),
    "tag": ("path: !!python/object/apply:os.system [id]", "anchors and tags"),
    "alias": ("path: &a evil\n  desc: *a", "anchors and tags"),
    "size": ("path: evil\n  size: -1", "no sound size"),
    "uncached": ("path: evil\n  cache: false", "cache: false"),
    "unpushed": ("path: evil\n  push: false", "push: false"),
    "versioned": ("path: evil\n  version_id: x", "bucket with versions"),
    "dvc 2": ("path: evil\n  hash: md5-dos2unix", "DVC 2"),
    "truth": ("path: evil\n  size: true", "no sound size"),
    "tracked": ("path: kept.txt", "Git tracks it"),
    "ignored": ("path: kept/evil", "Git ignores kept/evil.meta"),
    "twice": ("path: data", "lies in data, or is that again"),
    "below a file": ("path: kept.txt/evil", "kept.txt is a file, so nothing can lie in it"),
    "inside": ("path: data/sub", "lies in data"),
}


@pytest.mark.parametrize(("text", "reason"), BAD_OUTS.values(), ids=BAD_OUTS)
def test_what_cannot_be_taken_over_is_named_and_stays(
    repository: DvcRepository, cli: Cli, text: str, reason: str
) -> None:
    outside = repository.root.parent / "outside"
    outside.mkdir()
    (repository.root / "hop").symlink_to(outside)
    repository.write("kept.txt", b"Git's")
    repository.write("kept/.gitignore", b"evil*\n")
    repository.add("data-x", b"sorts between data and what lies in it")
    lines = {"md5": repository.store_object(b"evil"), "size": "4", "hash": "md5"}
    lines |= dict(line.strip().split(": ", 1) for line in text.split("\n"))
    out = "".join(f"  {key}: {value}\n" for key, value in lines.items())
    (repository.root / "evil.dvc").write_text(f"outs:\n- {out.strip()}\n")
    repository.save("evil")
    done = cli("migrate", "--json", code=9)
    document = json.loads(done.out.splitlines()[0])
    assert [one["reason"] for one in document["left"] if reason in one["reason"]], document["left"]
    assert [one["path"] for one in document["targets"]] == ["data", "data-x", "models/m.bin"]
    assert (repository.root / "evil.dvc").exists()
    assert list(outside.iterdir()) == []
    assert repository.git("status", "--porcelain", "evil.dvc", "kept.txt") == ""


def test_one_file_of_dvc_is_migrated_wholly_or_not_at_all(repository: DvcRepository) -> None:
    out = repository.out(b"x")
    (repository.root / "two.dvc").write_text(f"outs:\n{out}  path: good\n{out}  path: models/m.bin/below\n")
    (repository.root / "models/m.bin.meta").write_text("of another program\n")
    repository.save("two")
    left = left_of(dvc_like.migrate())
    assert left["models/m.bin"] == "models/m.bin.meta is there already"
    assert (repository.root / "models/m.bin.dvc").exists()


LISTS = {
    "above": ([{"md5": "0" * 32, "relpath": "../evil"}], "not a name of a file"),
    "git": ([{"md5": "0" * 32, "relpath": ".git/config"}], "Git's or dvc-like's own"),
    "hash": ([{"md5": "../../x", "relpath": "x"}], "not a digest"),
    "no list": ({"a": 1}, "none of DVC's"),
    "missing": ([{"md5": "0" * 32, "relpath": "x"}], "x in it is neither in DVC's cache nor on the remote"),
    "clash": ([{"md5": md5(b"model 1"), "relpath": name} for name in ("x", "x/y")], "below a file"),
    "total": ([{"md5": md5(b"model 1"), "relpath": "x"}], "number and size"),
}


def test_a_copy_that_is_damaged_is_not_made(repository: DvcRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_link(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    path = repository.cache / "files/md5" / md5(b"model 1")[:2] / md5(b"model 1")[2:]
    path.chmod(0o644)
    path.write_bytes(b"model X")
    monkeypatch.setattr(os, "link", no_link)
    dvc_like.migrate()
    assert path.relative_to(repository.cache).as_posix() not in objects_in(place_of(repository).cache)
    (repository.root / "models/m.bin").unlink()
    place_of(repository).pull()
    assert (repository.root / "models/m.bin").read_bytes() == b"model 1"


@pytest.mark.parametrize(("document", "reason"), LISTS.values(), ids=LISTS)
def test_a_list_that_cannot_be_trusted_is_refused(repository: DvcRepository, document: object, reason: str) -> None:
    name = repository.store_object(json.dumps(document).encode(), suffix=".dir")
    size = "" if reason != "number and size" else "  size: 3\n"
    (repository.root / "bad.dvc").write_text(f"outs:\n- md5: {name}.dir\n{size}  hash: md5\n  path: bad\n")
    repository.save("bad")
    assert reason in left_of(dvc_like.migrate())["bad"]
    assert not (repository.root / "bad.meta").exists()


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("['remote \"odd\"']\n url = ssh://a\x03b\n", "remote.odd.url was left out"),
        ("[cache]\n dir = a\x00b\n", "was not used: its name holds a control character"),
    ],
)
def test_a_setting_with_a_control_character_is_left_out(repository: DvcRepository, config: str, said: str) -> None:
    with open(repository.root / ".dvc/config", "a", encoding="utf-8") as file:
        file.write(config)
    repository.save("odd")
    done = dvc_like.migrate()
    assert [note for note in done.notes if said in note]
    assert "remote.storage.url" in done.settings


def test_a_configuration_that_is_a_link_is_not_read(repository: DvcRepository, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("['remote \"storage\"']\n url = /theirs\n")
    (repository.root / ".dvc/config").unlink()
    (repository.root / ".dvc/config").symlink_to(tmp_path / "outside")
    repository.save("link")
    done = dvc_like.migrate()
    assert done.settings == ()
    assert ".dvc/config was not read: it is a link, or no ordinary file" in done.notes


def test_a_damaged_list_is_refused(repository: DvcRepository) -> None:
    listed = next(repository.cache.rglob("*.dir"))
    listed.chmod(0o644)
    listed.write_bytes(listed.read_bytes().replace(b"a.txt", b"b.txt"))
    assert "damaged" in left_of(dvc_like.migrate())["data"]


def test_a_damaged_object_is_never_delivered(repository: DvcRepository) -> None:
    name = md5(b"model 1")
    path = repository.cache / "files/md5" / name[:2] / name[2:]
    path.chmod(0o644)
    path.write_bytes(b"model X")
    (repository.root / "models/m.bin").unlink()
    dvc_like.migrate()
    assert path.read_bytes() == b"model X"
    place_of(repository).pull()
    assert (repository.root / "models/m.bin").read_bytes() == b"model 1"


# ------------------------------------------------------------------------------ stages, settings, rules


def test_outputs_of_stages_become_targets_and_stages_stay(repository: DvcRepository) -> None:
    repository.write("metrics.json", b"{}")
    outs = [
        f"{repository.out(data)}  path: {path}\n" for data, path in ((b"out", "out.bin"), (b"{}", "../metrics.json"))
    ]
    lines = "".join(f"    {line}\n" for line in "".join(outs).splitlines())
    repository.write("dvc.yaml", b"stages:\n  train:\n    wdir: run\n    cmd: make\n")
    (repository.root / "dvc.lock").write_text(f"schema: '2.0'\nstages:\n  train:\n    cmd: make\n    outs:\n{lines}")
    repository.write("run/out.bin", b"out")
    repository.write("run/.gitignore", b"/out.bin\n")
    repository.save("stages")
    done = dvc_like.migrate(dry_run=True)
    assert [one.path for one in done.targets] == ["data", "models/m.bin", "run/out.bin"]
    dvc_like.migrate()
    place = place_of(repository)
    (repository.root / "run/out.bin").write_bytes(b"new")
    place.add("run/out.bin")
    assert dvc_like.migrate().targets == ()
    assert place.changes() == {}
    assert (repository.root / "dvc.lock").exists()


def test_settings_and_remotes(repository: DvcRepository) -> None:
    (repository.root / ".dvc/config").write_text(
        '[core]\n    remote = s3\n    autostage = true\n[cache]\ntype = "hardlink,copy"\n'
        "['remote \"s3\"']\n    url = s3://bucket/path\n  region = eu-west-1\n    access_key_id = tracked\n"
        "    endpointurl = http://elsewhere.example\n    listobjects = true\n"
        "['remote \"nested\"']\n    url = remote://base/below\n['remote \"base\"']\n    url = /mnt/base\n"
        "['remote \"drive\"']\n    url = gdrive://abc/x\n['remote \"host\"']\n"
        "    url = ssh://host/x\n    user = ann\n    port = 2222\n    keyfile = k\n"
        "['remote \"web\"']\n    url = https://example.com/x\n"
        "['remote \"versions\"']\n    url = s3://v\n    version_aware = true\n"
    )
    (repository.root / ".dvc/config.local").write_text(
        "['remote \"s3\"']\n    secret_access_key = sesame\n    session_token = t\n"
    )
    repository.save("settings")
    done = dvc_like.migrate()
    ours = (repository.root / ".dvc-like/config").read_text()
    local = (repository.root / ".dvc-like/config.local").read_text()
    config = place_of(repository).project.config
    assert config.get("core.remote") == "s3"
    assert config.flag("core.autostage")
    assert config.get("cache.type") == "hardlink,copy"
    assert config.remotes() == {
        "base": {"url": "/mnt/base"},
        "host": {"url": "fsspec+sftp://ann@host:2222/x"},
        "nested": {"url": "/mnt/base/below"},
        "s3": {"url": "s3://bucket/path", "region": "eu-west-1", "secretaccesskey": "sesame", "sessiontoken": "t"},
    }
    assert "sesame" in local
    assert "sesame" not in ours
    assert local.count("tracked") == 0
    notes = "\n".join(done.notes)
    for part in (
        "drive (gdrive://abc/x)",
        "host is reached",
        "keyfile",
        "web (https",
        "versions",
        "accesskeyid",
        "plain http",
        "listobjects",
    ):
        assert part in notes


def test_a_cache_that_a_tracked_file_names_elsewhere_is_not_read(repository: DvcRepository) -> None:
    elsewhere = repository.cache.rename(repository.root.parent / "elsewhere")
    with open(repository.root / ".dvc/config", "a") as file:
        file.write(f"[cache]\n    dir = {elsewhere}\n")
    repository.save("cache")
    done = dvc_like.migrate(dry_run=True)
    assert any("not in DVC's cache" in note for note in done.notes)
    assert any("what Git tracks leads there" in note for note in done.notes)
    (repository.root / ".dvc/config.local").write_text(f"[cache]\n    dir = {elsewhere}\n")
    assert not any("not in DVC's cache" in note for note in dvc_like.migrate().notes)


@pytest.mark.parametrize("name", [".dvc/config.local", ".DVC/Config.local"])  # the latter where case is folded
def test_a_local_configuration_that_git_tracks_is_taken_for_a_tracked_one(repository: DvcRepository, name: str) -> None:
    elsewhere = repository.cache.rename(repository.root.parent / "elsewhere")
    (repository.root / ".dvc/config.local").write_text(
        f"[cache]\n    dir = {elsewhere}\n"
        "['remote \"evil\"']\n    url = s3://b/x\n    endpointurl = http://example.invalid\n    ssl_verify = false\n"
    )
    blob = repository.git("hash-object", "-w", ".dvc/config.local").strip()
    repository.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{name}")
    done = dvc_like.migrate(dry_run=True)
    assert any("what Git tracks leads there" in note for note in done.notes)
    assert not {"remote.evil.endpointurl", "remote.evil.verify"} & set(done.settings)


def test_a_cache_that_is_a_link_of_gits_is_not_read(repository: DvcRepository) -> None:
    elsewhere = repository.cache.rename(repository.root.parent / "elsewhere")
    repository.cache.symlink_to(elsewhere)
    assert not any("not in DVC's cache" in note for note in dvc_like.migrate(dry_run=True).notes)
    repository.git("add", "-f", ".dvc/cache")
    repository.git("commit", "-q", "-m", "a link")
    done = dvc_like.migrate(dry_run=True)
    assert any("what Git tracks leads there" in note for note in done.notes)
    assert any("not in DVC's cache" in note for note in done.notes)


def test_a_clone_without_a_cache_asks_the_remote_for_its_lists(repository: DvcRepository, tmp_path: Path) -> None:
    copy = clone_of(place_of(repository), tmp_path / "copy")
    done = dvc_like.migrate(copy.root)
    assert (done.left, done.copied) == ((), 0)
    assert any("not in DVC's cache" in note for note in done.notes)
    copy.pull()
    assert bytes_of(copy, "data") == {f"data/{name}": data for name, data in FIRST.items()}
    shutil.rmtree(repository.store)
    again = clone_of(place_of(repository), tmp_path / "again")
    assert "neither in DVC's cache nor on the remote" in left_of(dvc_like.migrate(again.root))["data"]


def test_a_bucket_of_dvc_is_used_where_it_is(repository: DvcRepository, tmp_path: Path) -> None:
    moto = pytest.importorskip("moto", reason="moto is not installed (extra test)")
    import boto3

    with moto.mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="bucket")
        for path in repository.store.rglob("*"):
            if path.is_file():
                name = path.relative_to(repository.store).as_posix()
                client.put_object(Bucket="bucket", Key=f"some/folder/{name}", Body=path.read_bytes())

        def listed() -> dict[str, str]:
            found = client.list_objects_v2(Bucket="bucket")["Contents"]
            return {one["Key"]: f"{one['ETag']} {one['LastModified']}" for one in found}

        before = listed()
        (repository.root / ".dvc/config").write_text(
            "[core]\n    remote = s3\n['remote \"s3\"']\n    url = s3://bucket/some/folder\n"
            "    region = us-east-1\n    jobs = 1\n"
        )
        repository.save("bucket")
        copy = clone_of(place_of(repository), tmp_path / "copy")
        assert dvc_like.migrate(copy.root).left == ()
        copy.pull()
        assert bytes_of(copy, "data") == {f"data/{name}": data for name, data in FIRST.items()}
        assert copy.push().size == 0
        after = listed()
        assert {key: one for key, one in after.items() if key in before} == before
        assert not [key for key in after.keys() - before.keys() if key.startswith("some/folder/files/")]


def test_rules_are_copied(repository: DvcRepository) -> None:
    (repository.root / ".dvcignore").write_text("# mine\n*.tmp\n")
    repository.save("rules")
    dvc_like.migrate()
    (repository.root / "data/x.tmp").write_bytes(b"x")
    assert place_of(repository).changes() == {}


def test_a_repository_without_git_keeps_its_dvc_files(repository: DvcRepository) -> None:
    shutil.rmtree(repository.root / ".git")
    inner = repository.root / "inner"
    shutil.copytree(repository.root / ".dvc", inner / ".dvc")
    shutil.copy(repository.root / "data.dvc", inner)
    done = dvc_like.migrate()
    assert (done.commit, [one.path for one in done.targets]) == (None, ["data", "models/m.bin"])
    assert (repository.root / "data.dvc").exists()
    assert place_of(repository).changes() == {}
    assert [one.path for one in dvc_like.migrate().targets] == ["data", "models/m.bin"]


# ------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize("what", ["modified", "new", "other"])
def test_nothing_is_begun_that_git_could_not_take_back(repository: DvcRepository, what: str) -> None:
    if what == "modified":
        (repository.root / "data.dvc").write_text((repository.root / "data.dvc").read_text() + "desc: x\n")
    elif what == "new":
        repository.add("more", b"more")
    else:
        (repository.root / ".dvcignore").write_text("*.tmp\n")
    before = tree_of(repository.root, skip=(".git",))
    with pytest.raises(UsageError, match="not committed"):
        dvc_like.migrate()
    assert tree_of(repository.root, skip=(".git",)) == before
    done = dvc_like.migrate(dry_run=True)
    assert done.targets
    assert any("It would be refused" in note for note in done.notes)


def test_where_nothing_is_to_be_migrated(repo: Path) -> None:
    with pytest.raises(NoProject, match="neither DVC nor Git LFS"):
        dvc_like.migrate(repo)


def test_other_commands_say_what_to_do_with_a_repository_of_dvc(repository: DvcRepository, cli: Cli) -> None:
    assert "dvc-like migrate --dry-run" in cli("status", cwd=repository.root / "data", code=3).err


def test_no_commit_is_no_way_back(repository: DvcRepository) -> None:
    repository.git("update-ref", "-d", "HEAD")
    with pytest.raises(UsageError, match="nothing was ever committed"):
        dvc_like.migrate()


def test_a_repository_of_dvc_further_down_is_left_to_itself(repository: DvcRepository, tmp_path: Path) -> None:
    shutil.move(repository.root, tmp_path / "inner")
    (tmp_path / "inner").rename(tmp_path / "moved")
    outer = tmp_path / "outer"
    subprocess.run(["git", "init", "-q", "-b", "main", str(outer)], check=True)
    shutil.rmtree(tmp_path / "moved/.git")
    shutil.move(tmp_path / "moved", outer / "inner")
    place = Place(outer)
    place.save()
    with pytest.raises(NoProject):
        dvc_like.migrate(outer)
    done = dvc_like.migrate(outer / "inner")
    assert [one.path for one in done.targets] == ["data", "models/m.bin"]
    assert Place(outer / "inner").changes() == {}
    assert place.git("status", "--porcelain", "-uall").count("??") == 0


# ------------------------------------------------------------------------------ Git LFS


LARGE: dict[str, Node] = {
    "a.bin": ("file", False, b"large 1"),
    "big/b": ("file", False, b"large 2"),
    "big/run": ("file", True, b"#!/bin/sh\n"),
}


def pointer(data: bytes) -> str:
    from hashlib import sha256

    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256(data).hexdigest()}\nsize {len(data)}\n"


@pytest.fixture
def pointers(repo: Path, make_files: Callable[..., Path]) -> Place:
    """A clone of a repository with LFS, made where LFS was not installed: pointers only, and the objects fetched."""
    from hashlib import sha256

    for name, (_, executable, data) in LARGE.items():
        assert isinstance(data, bytes)
        make_files(repo, {name: ("file", executable, pointer(data).encode())})
        oid = sha256(data).hexdigest()
        make_files(repo / ".git/lfs/objects", {f"{oid[:2]}/{oid[2:4]}/{oid}": data})
    make_files(repo, {".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n*.txt text\n", "plain.txt": "p"})
    make_files(repo, {"big/.gitattributes": "* filter=lfs diff=lfs merge=lfs -text\n.gitattributes !filter\n"})
    place = Place(repo)
    place.save("lfs")
    return place


def test_pointers_of_lfs_become_targets(pointers: Place) -> None:
    objects = fingerprints(pointers.root / ".git/lfs")
    done = dvc_like.migrate()
    assert [one.path for one in done.targets] == ["a.bin", "big/b", "big/run"]
    assert pointers.git("status", "--porcelain", "-uall").count("??") == 0
    pointers.git("commit", "-q", "-m", "moved")
    assert {name: pointers.data()[name] for name in LARGE} == LARGE
    assert pointers.changes() == {}
    assert fingerprints(pointers.root / ".git/lfs") == objects
    assert pointers.git("ls-files").splitlines() == sorted(
        [*(".dvc-like/.gitignore", ".dvc-like/config", ".gitattributes", ".gitignore", "a.bin.meta"),
         *("big/.gitattributes", "big/.gitignore", "big/b.meta", "big/run.meta", "plain.txt")]
    )  # fmt: skip
    assert (pointers.root / ".gitattributes").read_text() == "*.txt text\n"
    assert "version https" not in pointers.git("show", "HEAD:big/b.meta")
    assert dvc_like.migrate().targets == ()
    pointers.git("checkout", "-q", "HEAD~1")
    assert (pointers.root / "a.bin").read_text() == pointer(b"large 1")
    assert pointers.git("status", "--porcelain") == ""


@pytest.mark.parametrize("spoil", ["missing", "extension", "rule"])
def test_lfs_is_migrated_as_a_whole_or_not_at_all(pointers: Place, spoil: str) -> None:
    if spoil == "missing":
        next(path for path in (pointers.root / ".git/lfs").rglob("*") if path.is_file()).unlink()
    elif spoil == "extension":
        text = pointer(b"x").replace("oid", "ext-0-foo sha256:" + "0" * 64 + "\noid", 1)
        (pointers.root / "odd.bin").write_text(text)
        pointers.save("odd")
    else:
        (pointers.root / ".git/info/attributes").write_text("*.meta filter=lfs\n")
    before = pointers.git("write-tree")
    with pytest.raises(DvcLikeError, match=r"cannot be migrated|would go to Git LFS"):
        dvc_like.migrate()
    if spoil != "rule":
        assert (pointers.git("write-tree"), pointers.git("status", "--porcelain")) == (before, "")


@pytest.mark.skipif(os.name != "posix", reason="signals of this kind do not exist on this system")
def test_lfs_killed_at_any_moment_is_completed_by_the_next_run(pointers: Place, tmp_path: Path) -> None:
    whole = shutil.copytree(pointers.root, tmp_path / "whole", symlinks=True)
    total = count_changes(["migrate"], whole)
    wanted = Place(whole).git("write-tree")
    for number, at in enumerate(moments(total, 6)):
        root = shutil.copytree(pointers.root, tmp_path / f"killed-{number}", symlinks=True)
        run_child(at, ["migrate", "--from", "lfs"], root)
        dvc_like.migrate(root)
        assert (Place(root).git("write-tree"), Place(root).changes()) == (wanted, {}), at


@pytest.mark.skipif(shutil.which("git-lfs") is None, reason="git-lfs is not installed")
def test_a_repository_that_git_lfs_made(repo: Path, make_files: Callable[..., Path]) -> None:
    place = Place(repo)
    place.git("lfs", "install", "--local")
    place.git("lfs", "track", "*.bin", "big/**")
    make_files(repo, LARGE)
    place.save("lfs")
    dvc_like.migrate()
    place.git("commit", "-q", "-m", "moved")
    assert place.git("lfs", "ls-files") == ""
    assert {name: place.data()[name] for name in LARGE} == LARGE
    assert place.changes() == {}
    place.git("checkout", "-q", "HEAD~1")
    assert {name: tree_of(repo, skip=(".git",))[name] for name in LARGE} == LARGE
    assert place.git("status", "--porcelain") == ""
    place.git("checkout", "-q", "main")
    place.checkout()
    assert {name: place.data()[name] for name in LARGE} == LARGE
