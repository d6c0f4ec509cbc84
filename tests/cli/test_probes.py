"""What was seen to go wrong, or right, in the field with DVC 3.67: each probe P1 to P18 that concerns this release."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.place import Place, clone_of, digest_of, key_of, objects_in, past_the_tick, temps_in
from tests.cli.stores import contents_of, spoil, take_out, unsound
from tests.conftest import Cli

import dvc_like
from dvc_like import digest as digests
from dvc_like.errors import WouldOverwrite


@pytest.fixture
def ten(place: Place) -> Place:
    """A dataset of ten files, pushed."""
    place.write({f"dir/{name}": f"content of {name}" for name in "0123456789"})
    place.add("dir")
    place.save()
    place.push()
    return place


def test_p1_adding_a_folder_of_which_one_file_was_pulled_keeps_the_other_nine(
    ten: Place, clone: Callable[..., Place], cli: Cli
) -> None:
    """P1: fresh clone, `pull dir/one`, `add dir`: nothing may be dropped."""
    copy = clone()
    cli("pull", "dir/3", cwd=copy.root)
    before = (copy / "dir.meta").read_bytes()
    cli("add", "dir", cwd=copy.root)
    assert (copy / "dir.meta").read_bytes() == before
    copy.write({"dir/3": "edited"})
    cli("add", "dir", cwd=copy.root)
    assert "files: 10\n" in (copy / "dir.meta").read_text()
    copy.pull()
    wanted = ten.data() | {"dir/3": ("file", False, b"edited")}
    assert copy.data() == wanted


@pytest.mark.parametrize("garbage", [b"X" * len("content of 3"), b"short", b"", b"much longer than it should be"])
def test_p2_garbage_on_the_remote_is_never_delivered(
    ten: Place, clone: Callable[..., Place], store: Path, cli: Cli, garbage: bytes
) -> None:
    """P2: one remote object overwritten with garbage, `pull`: not exit 0, the path is named, nothing of it is used."""
    spoil(store, key_of("content of 3"), garbage)
    copy = clone()
    done = cli("pull", cwd=copy.root, code=9)
    assert "dir/3" in done.err
    assert not (copy / "dir/3").exists()
    assert len(copy.data("dir")) == 9
    assert unsound(copy.cache) == []
    assert "dir/3" in copy.changes()


@pytest.mark.parametrize("garbage", [b"X" * len("content of 3"), b"other size"])
@pytest.mark.parametrize("age", ["sent by us", "unseen by us"])
def test_p3_push_mends_an_object_that_went_bad_on_the_remote(
    ten: Place, store: Path, cli: Cli, garbage: bytes, age: str
) -> None:
    """P3: good cache, bad object at the remote, `push`: it is sent again."""
    spoil(store, key_of("content of 3"), garbage)
    if age == "unseen by us":
        (ten / ".dvc-like/tmp/remotes.sqlite").unlink()
    done = cli("push", "--json").json
    assert (done["sent"], done["healed"]) == (1, 1)
    assert contents_of(store)[key_of("content of 3")] == b"content of 3"
    assert cli("push", "--json").json["sent"] == 0


def test_p4_one_missing_object_does_not_keep_nine_others_from_coming(
    ten: Place, clone: Callable[..., Place], store: Path, cli: Cli
) -> None:
    """P4: one object missing at the remote, `pull` of a ten-file folder: nine come, the tenth is named by path."""
    take_out(store, key_of("content of 7"))
    copy = clone()
    done = cli("pull", cwd=copy.root, code=9)
    assert "dir/7" in done.err
    assert len(copy.data("dir")) == 9
    assert digest_of("content of 7")[7:] not in done.err


def test_p5_gc_refuses_in_a_shallow_clone(ten: Place, tmp_path: Path, cli: Cli) -> None:
    """P5: `gc` in a `--depth 1` clone cannot know what older commits need."""
    ten.track({"dir/0": "second version"})
    ten.push()
    subprocess.run(["git", "clone", "-q", "--depth", "1", f"file://{ten.root}", str(tmp_path / "shallow")], check=True)
    shallow = Place(tmp_path / "shallow")
    shallow.pull()
    shallow.age()
    before = objects_in(shallow.cache)
    for words in (["-A"], ["-w"], ["-w", "--force"], ["-w", "--dry-run"]):
        assert "unshallow" in cli("gc", *words, cwd=shallow.root, code=1).err
    assert objects_in(shallow.cache) == before


def test_p6_what_gc_took_out_comes_back_when_another_branch_needs_it(ten: Place, cli: Cli) -> None:
    """P6: `gc -w` on main, then `checkout` of the other branch: the trash gives it back."""
    ten.git("checkout", "-q", "-b", "other")
    ten.track({"dir/0": "of the other branch"})
    other = ten.data()
    ten.git("checkout", "-q", "main")
    ten.checkout()
    ten.age()
    cli("gc", "--workspace")
    assert not ten.cached("of the other branch").exists()
    ten.config(**{"remote_storage.url": "/nowhere/at/all"})
    ten.git("checkout", "-q", "other", "--", "dir.meta")
    cli("checkout")
    assert ten.data() == other


def test_p7_a_dry_run_names_paths_and_sizes_and_removes_nothing(ten: Place, cli: Cli) -> None:
    """P7: `gc -w --dry-run` explains itself in the user's words."""
    ten.track({"dir/0": "x" * 12_345})
    ten.age()
    before = objects_in(ten.cache)
    done = cli("gc", "-w", "--dry-run")
    assert "12 B  dir/0\n" in done.out
    assert "would go to the trash" in done.out
    assert str(ten.cache) not in done.out
    assert "emoved" not in done.out
    assert objects_in(ten.cache) == before
    found = cli("gc", "-w", "--dry-run", "--json").json
    assert found["dry_run"] is True
    assert ("dir/0", 12) in {(one["path"], one["size"]) for one in found["removed"]}


def test_p8_bits_links_and_empty_folders_survive_the_way_over_a_remote(
    place: Place, clone: Callable[..., Place]
) -> None:
    """P8: folder with an executable file, links (one dangling), an empty folder; push; pull in a clone."""
    place.write(
        {
            "dir/run.sh": ("file", True, b"#!/bin/sh\n"),
            "dir/plain": "plain",
            "dir/link": ("link", False, "sub/target"),
            "dir/dangling": ("link", False, "not-there"),
            "dir/sub/target": "t",
            "dir/sub/up": ("link", False, "../plain"),
            "dir/to-folder": ("link", False, "sub"),
            "dir/empty/er": None,
        }
    )
    place.add("dir")
    place.save()
    place.push()
    copy = clone()
    copy.pull()
    assert copy.data() == place.data()
    assert copy.states() == {"dir": "unchanged"}


KILLED_PULL = """
import os, signal, sys
from dvc_like.cache import writer
from dvc_like.cli import main, shell, pull
real, seen = writer.Incoming.write, 0
def write(self, data):
    global seen
    seen += len(data)
    if seen > 12 << 20:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(self, data)
writer.Incoming.write = write
sys.exit(main.main(["pull"]))
"""


def test_p9_a_pull_killed_in_a_big_file_leaves_nothing_behind_after_the_next(
    place: Place, clone: Callable[..., Place], cli: Cli
) -> None:
    """P9: kill -9 in the middle of a big file; the next pull sweeps the temporary file and the result is right."""
    content = os.urandom(1 << 20) * 32
    place.track({"big": content})
    place.push()
    copy = clone()
    done = subprocess.run(
        [sys.executable, "-c", KILLED_PULL], cwd=copy.root, capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert temps_in(copy.cache) != []
    assert not (copy / "big").exists()
    cli("pull", cwd=copy.root)
    assert (copy / "big").read_bytes() == content
    assert temps_in(copy.root) == []
    assert len(objects_in(copy.cache)) == 1


def test_p12_a_worktree_uses_the_cache_of_the_first(ten: Place, tmp_path: Path, cli: Cli, store: Path) -> None:
    """P12: `git worktree add`: checkout there needs no remote, and no second cache appears."""
    shutil.rmtree(store)
    before = objects_in(ten.cache)
    ten.git("worktree", "add", "-q", str(tmp_path / "tree"), "-b", "side")
    tree = Place(tmp_path / "tree")
    cli("checkout", cwd=tree.root)
    assert tree.data() == ten.data()
    assert not (tree / ".dvc-like/cache").exists()
    assert objects_in(ten.cache) == before
    tree.write({"dir/0": "from the worktree"})
    cli("add", "dir", cwd=tree.root)
    assert not (tree / ".dvc-like/cache").exists()
    assert ten.cached("from the worktree").exists()
    assert ten.states() == {"dir": "unchanged"}


def test_p15_a_locally_edited_file_is_never_overwritten_without_a_word(
    ten: Place, clone: Callable[..., Place], cli: Cli
) -> None:
    """P15: checkout and pull over an edited file, without a terminal: refused with 5, the edit is kept."""
    copy = clone()
    copy.pull()
    copy.write({"dir/0": "my edit"})
    for words in (["checkout"], ["pull"], ["checkout", "dir/0"], ["pull", "dir"]):
        done = cli(*words, cwd=copy.root, code=5)
        assert "dir/0" in done.err
        assert (copy / "dir/0").read_text() == "my edit"
    with pytest.raises(WouldOverwrite):
        copy.checkout()
    cli("checkout", "--force", cwd=copy.root)
    assert (copy / "dir/0").read_text() == "content of 0"


@pytest.mark.parametrize("url", ["s3://bucket/folder", "gdrive://0AIac4JZqHhKmUk9PDA", "sftp://host/x"])
def test_p16_a_remote_without_a_driver_is_recorded_and_its_use_explained(ten: Place, cli: Cli, url: str) -> None:
    """P16: the driver is missing: no "unexpected error", exit 6, and what to do."""
    cli("remote", "add", "-d", "-f", "cloud", url)
    ten.write({"new": "n"})
    ten.add("new")
    done = cli("push", code=6)
    assert "remote cloud" in done.err
    assert "hint: " in done.err
    assert "Traceback" not in done.err
    assert cli("push", "--json", code=6).json["error"]["hint"]
    shutil.rmtree(ten.cache)
    cli("pull", code=6)


def loaded_by(words: list[str], cwd: Path) -> set[str]:
    program = (
        "import sys\nfrom dvc_like.cli.main import main\ncode = main(sys.argv[1:])\n"
        "print('\\n'.join(sys.modules), file=sys.stderr)\nsys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", program, *words], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


def test_p17_version_loads_nothing(ten: Place) -> None:
    """P17: start-up: `--version` answers without the command line's packages."""
    found = loaded_by(["--version"], ten.root)
    assert found.isdisjoint(
        {"click", "rich", "yaml", "subprocess", "sqlite3", "blake3", "xxhash", "dvc_like.cli.shell"}
    )


def test_p17_help_loads_no_command_and_nothing_that_works(ten: Place) -> None:
    """P17: start-up: `--help` needs the table of commands, and click."""
    found = loaded_by(["--help"], ten.root)
    assert found.isdisjoint({"rich", "yaml", "subprocess", "sqlite3", "blake3", "dvc_like.project", "dvc_like.cli.add"})


@pytest.mark.parametrize("words", [["status"], ["status", "--json"], ["checkout"], ["root"], ["config", "core.remote"]])
def test_p17_everyday_commands_load_neither_yaml_nor_rich_nor_subprocess(ten: Place, words: list[str]) -> None:
    """P17: start-up of what runs all day."""
    found = loaded_by(words, ten.root)
    assert found.isdisjoint({"rich", "yaml", "subprocess", "asyncio", "importlib.metadata", "email", "http"})


def test_p17_status_loads_nothing_that_asks_remotes(ten: Place) -> None:
    """P17: start-up: only `status --cloud` needs drivers, packs and threads of transfers."""
    assert [name for name in loaded_by(["status"], ten.root) if name.startswith("dvc_like.remote")] == []


class Reading:
    """Counts how often content is read, and by which hash."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fast = self.slow = 0
        fast, slow = digests.new_fingerprint, digests.hasher

        def count_fast(seed: int) -> object:
            self.fast += 1
            return fast(seed)

        def count_slow(algorithm: str) -> object:
            self.slow += 1
            return slow(algorithm)

        monkeypatch.setattr(digests, "new_fingerprint", count_fast)
        monkeypatch.setattr(digests, "hasher", count_slow)


def test_p18_a_touched_file_is_fingerprinted_once_and_not_hashed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """P18: touch of a big file: one fast reading, no slow hash; and the next status reads nothing at all."""
    place.write({"big": os.urandom(1 << 20) * 8, "dir/also": os.urandom(1 << 20) * 3})
    place.add("big", "dir")
    for name in ("big", "dir/also"):
        past_the_tick(place / name)
    past_the_tick(place / "dir")
    place.states()
    for name in ("big", "dir/also"):
        (place / name).touch()
        past_the_tick(place / name)
    reading = Reading(monkeypatch)
    assert place.states() == {"big": "unchanged", "dir": "unchanged"}
    assert (reading.fast, reading.slow) == (2, 0)
    assert place.states() == {"big": "unchanged", "dir": "unchanged"}
    assert (reading.fast, reading.slow) == (2, 0)


def test_p18_what_was_just_pulled_is_not_read_again(
    ten: Place, clone: Callable[..., Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    """P18: a fresh checkout is known; status after it reads nothing once the clock has moved on."""
    copy = clone()
    copy.pull()
    for name in copy.data():
        past_the_tick(copy / name)
    copy.states()
    reading = Reading(monkeypatch)
    assert copy.states() == {"dir": "unchanged"}
    assert [one.state for one in dvc_like.add(copy.project, [copy / "dir"])] == ["unchanged"]
    assert (reading.fast, reading.slow) == (0, 0)


def test_p18_a_copied_workspace_is_fingerprinted_not_hashed(
    ten: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P18: every inode and ctime is another after a copy; content is compared at memory speed."""
    shutil.copytree(ten.root, tmp_path / "moved", symlinks=True)
    moved = Place(tmp_path / "moved")
    reading = Reading(monkeypatch)
    assert moved.states() == {"dir": "unchanged"}
    assert reading.slow == 0
    assert reading.fast == 10
    assert clone_of(ten, tmp_path / "unused").states() == {"dir": "absent"}
