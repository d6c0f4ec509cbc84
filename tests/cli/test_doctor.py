"""`doctor`: what there is, what is wrong with it, and that nothing secret is told."""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.inprocess import InProcess as Cli
from tests.cli.inprocess import in_process  # noqa: F401 - the fixture `cli` of this file
from tests.cli.place import Place
from tests.conftest import Cli as Real
from tests.conftest import tree_of

import dvc_like
from dvc_like.ops import _machine
from dvc_like.remote.local import LocalBackend


def problems(cli: Cli, *words: str) -> dict[str, str]:
    """Return what is wrong, with what mends it."""
    found = cli("doctor", "--json", *words, code=(0, 1))
    assert found.code == bool(found.json["problems"])
    return {one["what"]: one["mend"] for one in found.json["problems"]}


def test_all_is_well_and_nothing_changes(place: Place, cli: Cli, store: Path) -> None:
    place.track({"data/x": "1", "single": "2"})
    place.push()
    before = tree_of(place.root), tree_of(store)
    done = cli("doctor")
    assert "Nothing is wrong." in done.out
    assert "storage" in done.out
    found = cli("doctor", "--json").json
    assert (found["root"], found["targets"]) == (str(place.root), 2)
    assert len(found["remotes"][0]["store"]) == 32
    assert found["links"]["copy"]
    assert all(one["free"] > 0 for one in found["disks"])
    assert (tree_of(place.root), tree_of(store)) == before


def test_where_imports_come_from(place: Place, cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("x")
    for number in range(12):
        cli("import-url", "-q", "../there", f"x{number:02}")
    shown = cli("doctor", "--offline").out
    assert "x00 <- ../there\n" in shown
    assert "x09 <- " in shown
    assert "x11 <- " not in shown
    assert "2 more" in shown
    assert "x11 <- " in cli("doctor", "--offline", "-v").out
    assert cli("doctor", "--offline", "--json").json["imports"][11] == {"path": "x11", "source": "../there"}
    meta = place / "x03.meta"
    meta.write_text(meta.read_text().replace("  url: ", "  repo: x\n  url: "))
    assert "x03.meta: its `source`" in " ".join(problems(cli, "--offline"))


def test_outside_of_a_project(tmp_path: Path, cli: Cli) -> None:
    done = cli("doctor", cwd=tmp_path)
    assert "none here" in done.out
    assert not (tmp_path / ".dvc-like").exists()


def test_settings_that_mean_nothing(place: Place, cli: Cli) -> None:
    (place / ".dvc-like/config.local").write_text(
        "[core]\n\tremote = gone\n\thasj = x\n[gc]\n\tgrace = soon\n"
        '[remote "half"]\n\tjobs = 2\n[remote "plug"]\n\turl = foo://x\n\tanything = y\n'
    )
    found = problems(cli, "--offline")
    assert len(found) == 4
    told = " ".join(found)
    assert "core.hasj" in told
    assert "gc.grace" in told
    assert "remote half has no url" in told
    assert "gone is not configured" in told
    assert "`dvc-like config --local gc.grace VALUE`" in found.values()
    assert "anything" not in told, "what a plug-in reads is for it to say"


def test_a_configuration_that_cannot_be_read(place: Place, cli: Cli, tmp_path: Path) -> None:
    (place / ".dvc-like/config").write_text("[core\n")
    (what,) = problems(cli)
    assert "config" in what
    mine = Path(os.environ["DVC_LIKE_CONFIG_GLOBAL"])
    mine.write_text("[core\n")
    assert str(mine) in cli("doctor", cwd=tmp_path, code=1).err


def test_no_secret_is_told(place: Place, cli: Cli) -> None:
    place.config("local", **{"remote_s.url": "s3://bucket", "remote_s.secretaccesskey": "SECRET", "core_remote": "s"})
    place.config("local", **{"remote_s.accesskeyid": "KEYID", "remote_s.proxy": "http://u:SECRET@127.0.0.1:1"})
    place.config("local", **{"remote_s.endpointurl": "http://127.0.0.1:1", "remote_s.jobs": "many"})
    place.config("local", **{"remote_w.url": "s3://u:SECRET@bucket?token=SECRET"})
    for words in (["doctor"], ["doctor", "--json"], ["doctor", "-v"]):
        done = cli(*words, code=1)
        assert "SECRET" not in done.out + done.err
        assert "KEYID" not in done.out + done.err
        assert "remote.s.jobs" in done.out + done.err


def test_a_damaged_meta_file(place: Place, cli: Cli) -> None:
    place.track({"bad": "1", "good": "2"})
    (place / "bad.meta").write_text("")
    (found,) = problems(cli).items()
    assert "bad.meta" in found[0]
    assert "git checkout" in found[1]


def test_what_git_should_not_see(place: Place, cli: Cli) -> None:
    place.config("local", core_autostage="true")
    place.git("add", "-f", ".dvc-like/config.local")
    assert "`git rm -r --cached .dvc-like/config.local`" in problems(cli).values()
    blob = place.git("rev-parse", ":.dvc-like/config.local").strip()
    place.git("rm", "-q", "--cached", ".dvc-like/config.local")
    assert problems(cli) == {}
    place.git("update-index", "--add", "--cacheinfo", f"100644,{blob},.dvc-like/CONFIG.local")
    assert "`git rm -r --cached .dvc-like/CONFIG.local`" in problems(cli).values()
    place.git("update-index", "--force-remove", ".dvc-like/CONFIG.local")
    assert problems(cli) == {}
    (place / ".dvc-like/.gitignore").unlink()
    assert "`dvc-like init --force`" in problems(cli).values()
    cli("init", "--force")
    assert problems(cli) == {}


def test_a_kind_of_link_that_does_not_work(place: Place, cli: Cli, small_disk: Callable[[int], Path]) -> None:
    cache = small_disk(4 << 20)
    place.config("local", cache_type="hardlink", cache_dir=str(cache))
    (found,) = problems(cli).items()
    assert "hardlink" in found[0]
    assert found[1] == "`dvc-like config --local cache.type symlink`"
    cli("config", "--local", "cache.type", "symlink")
    assert problems(cli) == {}
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("kind", ["xfs", "btrfs"])
def test_what_works_on_a_file_system_that_clones(loop_fs: Callable[[str], Path], kind: str) -> None:
    folder = loop_fs(kind)
    (folder / "a").mkdir()
    (folder / "b").mkdir()
    found = _machine.try_links(str(folder / "a"), str(folder / "b"))
    assert found == dict.fromkeys(("reflink", "hardlink", "symlink", "copy"), True)
    assert _machine.disk(str(folder / "b/not/there")).file_system == kind
    assert list((folder / "a").iterdir()) == list((folder / "b").iterdir()) == []


def test_a_disk_that_is_nearly_full(place: Place, small_disk: Callable[[int], Path], cli: Cli) -> None:
    disk = small_disk(4 << 20)
    place.config("local", cache_dir=str(disk))
    (disk / "ballast").write_bytes(bytes((4 << 20) - (16 << 10)))
    found = cli("doctor", "--json", code=1).json["problems"]
    assert any("nearly full" in one["what"] for one in found)


def test_a_folder_that_cannot_be_written_to(place: Place, unprivileged: Real) -> None:
    place.track({"x": "1"})
    place.cache.chmod(0o555)
    try:
        done = unprivileged("doctor", cwd=place.root, code=1)
    finally:
        place.cache.chmod(0o755)
    assert "Permission denied" in done.err
    assert str(place.cache) in done.err


def test_state_that_is_a_link(place: Place, cli: Cli, tmp_path: Path) -> None:
    shutil.rmtree(place / ".dvc-like/tmp", ignore_errors=True)
    (tmp_path / "elsewhere").mkdir()
    (place / ".dvc-like/tmp").symlink_to(tmp_path / "elsewhere")
    assert any("is a link" in what for what in problems(cli))
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_without_git_on_the_path(place: Place, cli: Real, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert any("git is not installed" in what for what in problems(cli))


# ------------------------------------------------------------------------------ remotes


def test_remotes_are_only_read_and_not_contacted_offline(
    place: Place, cli: Cli, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LocalBackend, "put", lambda *_, **__: pytest.fail("written to"))
    assert problems(cli) == {}
    assert not store.exists()
    monkeypatch.setattr(LocalBackend, "get", lambda *_, **__: pytest.fail("asked"))
    assert cli("doctor", "--offline", "--json").json["remotes"] == []


def test_remotes_that_do_not_work(place: Place, cli: Cli, store: Path) -> None:
    place.use_store("/mnt/no-such-disk/store", "unmounted")
    place.use_store("nobody://x", "unserved")
    store.mkdir()
    (store / "dvc-like.json").write_text("{}")
    found = problems(cli)
    assert {what.split()[1].strip(":") for what in found} == {"storage", "unmounted", "unserved"}
    assert any("disk mounted" in mend for mend in [*found.values(), *found])


def test_a_remote_that_does_not_answer_is_not_waited_for(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place.config("local", **{"remote_s.url": "s3://bucket", "remote_s.accesskeyid": "x"})
        port = silent.getsockname()[1]
        place.config("local", **{"remote_s.endpointurl": f"http://127.0.0.1:{port}", "remote_s.secretaccesskey": "x"})
        begin = time.monotonic()
        found = dvc_like.doctor(place.root, time_limit=0.5)
        assert time.monotonic() - begin < 20
    assert [(one.name, one.ok) for one in found.remotes] == [("s", False), ("storage", True)]
    assert any("no answer within 0.5 seconds" in one.what for one in found.problems)


def test_a_plug_in_that_fails_is_told_by_the_kind_of_its_error(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ValueError("SECRET")

    monkeypatch.setattr("dvc_like.ops.remote_test.open_backend", fail)
    (problem,) = dvc_like.doctor(place.root).problems
    assert "ValueError" in problem.what
    assert "SECRET" not in repr(problem)
