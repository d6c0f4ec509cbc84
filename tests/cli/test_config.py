"""`config`: four levels, where a value comes from, and what the tracked file may never hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.inprocess import InProcess as Cli
from tests.cli.inprocess import in_process  # noqa: F401 - the fixture `cli` of this file
from tests.cli.place import Place


def text_of(place: Place, name: str = "config") -> str:
    return (place / ".dvc-like" / name).read_text()


def test_set_get_and_unset(place: Place, cli: Cli) -> None:
    cli("config", "core.autostage", "true")
    assert cli("config", "core.autostage").out == "true\n"
    found = cli("config", "core.autostage", "--json").json
    assert (found["schema"], found["name"], found["value"]) == ("dvc-like/config/1", "core.autostage", "true")
    assert found["path"] == str(place / ".dvc-like/config")
    cli("config", "--unset", "core.autostage")
    done = cli("config", "core.autostage", code=1)
    assert "not set" in done.out
    assert cli("config", "core.autostage", "--json", code=1).json["value"] is None


def test_a_default_remote_that_is_not_there_yet_is_told(place: Place, cli: Cli) -> None:
    done = cli("config", "core.remote", "elsewhere")
    assert "there is no remote named 'elsewhere' yet" in done.err
    assert cli("config", "core.remote").out == "elsewhere\n"
    assert cli("config", "core.remote", "storage").err == ""
    assert cli("config", "--global", "core.remote", "of-other-projects").err == ""


def test_names_are_found_in_any_case(place: Place, cli: Cli) -> None:
    cli("config", "Core.AutoStage", "yes")
    assert cli("config", "core.autostage").out == "yes\n"
    assert cli("config", "remote.storage.URL").out.strip()


def test_later_levels_win_and_say_where_they_are(place: Place, cli: Cli, home: Path) -> None:
    for level, value in (("--system", "1"), ("--global", "2"), ("--project", "3"), ("--local", "4")):
        cli("config", level, "core.locktimeout", value)
        assert cli("config", "core.locktimeout").out == f"{value}\n"
    for path in (home / "no-system-config", home / "no-global-config", place / ".dvc-like/config.local"):
        assert "locktimeout" in path.read_text()
    assert cli("config", "core.locktimeout", "--show-origin").out == f"{place / '.dvc-like/config.local'}\t4\n"
    listed = cli("config", "--list", "--show-origin").out.splitlines()
    assert f"{home / 'no-system-config'}\tcore.locktimeout=1" in listed
    found = cli("config", "--list", "--json").json
    assert found["schema"] == "dvc-like/config/1"
    assert [(one["value"], one["level"]) for one in found["values"] if one["name"] == "core.locktimeout"] == [
        ("1", "system"),
        ("2", "global"),
        ("3", "project"),
        ("4", "local"),
    ]


@pytest.mark.parametrize("level", ["system", "global", "project", "local"])
def test_list_of_one_level_shows_that_level_alone(place: Place, cli: Cli, level: str) -> None:
    for each in ("system", "global", "project", "local"):
        cli("config", f"--{each}", "core.locktimeout", str(len(each)))
    found = cli("config", "--list", f"--{level}", "--json").json["values"]
    assert {one["level"] for one in found} == {level}


def test_reading_one_level_reads_that_level_alone(place: Place, cli: Cli) -> None:
    cli("config", "--global", "core.locktimeout", "2")
    cli("config", "--local", "core.locktimeout", "4")
    assert cli("config", "--global", "core.locktimeout").out == "2\n"
    cli("config", "--system", "core.locktimeout", code=1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cache.dir", "/tmp/elsewhere"),
        ("remote.storage.secret_access_key", "s3cr3t"),
        ("remote.storage.credentials", "/home/me/key"),
        ("remote.storage.proxy", "http://proxy"),
        ("remote.storage.verify", "false"),
        ("gc.grace", "0"),
        ("gc.grace", "3600"),
        ("remote.storage.url", "https://me:s3cr3t@host/x"),
        ("remote.storage.endpointurl", "http://far.example"),
        ("remote.storage.endpointurl", "https://me:s3cr3t@host"),
    ],
)
def test_what_the_tracked_file_may_not_hold_is_neither_written_nor_read(
    place: Place, cli: Cli, name: str, value: str
) -> None:
    before = text_of(place)
    done = cli("config", name, value, code=2)
    assert "--local" in done.err
    assert "s3cr3t" not in done.err
    assert text_of(place) == before
    section, _, key = name.rpartition(".")
    header = '[remote "storage"]' if section.startswith("remote") else f"[{section}]"
    (place / ".dvc-like/config").write_text(f"{before}{header}\n\t{key} = {value}\n")
    refused = cli("status", code=3)
    assert f"line {len(before.splitlines()) + 2}" in refused.err
    assert "s3cr3t" not in refused.err
    (place / ".dvc-like/config").write_text(before)
    cli("config", "--local", name, value)
    cli("status")


@pytest.mark.parametrize(
    "url", ["http://localhost:9000", "http://127.0.0.1:9000", "http://[::1]:1", "https://any.where"]
)
def test_endpoints_that_the_tracked_file_may_hold(place: Place, cli: Cli, url: str) -> None:
    cli("config", "remote.storage.endpointurl", url)
    cli("status")


@pytest.mark.parametrize(
    "name", ["core", "core.colour", "remote.url", "core.x.remote", "remote.a b.url", ".", "", "x.y"]
)
def test_settings_that_do_not_exist_are_usage_errors(place: Place, cli: Cli, name: str) -> None:
    cli("config", name, "x", code=2)


@pytest.mark.parametrize(
    "words", [[], ["--list", "core.remote"], ["--unset"], ["--unset", "core.remote", "x"], ["a", "b", "c"]]
)
def test_words_that_make_no_sense_together(place: Place, cli: Cli, words: list[str]) -> None:
    cli("config", *words, code=2)


def test_outside_of_a_project_the_users_file_can_be_read_and_written(
    tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cli("config", "--global", "core.remote", "mine")
    assert cli("config", "core.remote").out == "mine\n"
    assert "dvc-like init" in cli("config", "core.remote", "x", code=3).err


@pytest.mark.parametrize("value", ["with space ", "#hash", 'quo"te', "back\\slash", "semi;colon", "a=b", "tab\there"])
def test_any_text_comes_back_as_it_was(place: Place, cli: Cli, value: str) -> None:
    cli("config", "--local", "remote.storage.profile", value)
    assert cli("config", "remote.storage.profile", "--json").json["value"] == value
    assert place.git("config", "-f", str(place / ".dvc-like/config.local"), "remote.storage.profile") == value.strip()


@pytest.mark.parametrize(
    "text", ["[core\n", "remote = x\n", "[core]\n= x\n", '[core]\nremote = "x\n', "<<<<<<< HEAD\n"]
)
def test_a_malformed_file_is_named_with_its_line(place: Place, cli: Cli, text: str) -> None:
    (place / ".dvc-like/config").write_text(text)
    done = cli("status", code=3)
    assert "config, line " in done.err
    assert "Traceback" not in done.err


def test_a_file_that_is_no_text_is_refused(place: Place, cli: Cli) -> None:
    (place / ".dvc-like/config").write_bytes(b"[core]\n\tremote = \xff\xfe\n")
    cli("status", code=3)


@pytest.mark.parametrize(
    ("name", "value"),
    [("core.hash", "crc32"), ("cache.type", "teleport"), ("gc.grace", "soon"), ("core.locktimeout", "-1")],
)
def test_a_bad_value_is_a_configuration_error_where_it_is_used(place: Place, cli: Cli, name: str, value: str) -> None:
    place.write({"x": "1"})
    place.add("x")
    (place / ".dvc-like/config.local").write_text(
        f"[{name.split('.', maxsplit=1)[0]}]\n\t{name.split('.')[1]} = {value}\n"
    )
    done = cli(*(["gc", "-w"] if name == "gc.grace" else ["add", "x"]), code=3)
    assert value in done.err


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("core.hash", "foo"),
        ("core.hash", "md5"),  # can be read, not written
        ("core.autostage", "maybe"),
        ("core.locktimeout", "abc"),
        ("core.locktimeout", "nan"),
        ("core.remote", "a b"),
        ("cache.type", "nonsense"),
        ("cache.dir", ""),
        ("gc.grace", "1 day"),
        ("remote.storage.url", ""),
        ("remote.storage.url", "a\x7fb"),
        ("remote.storage.jobs", "-3"),
        ("remote.storage.retries", "1.5"),
        ("remote.storage.timeout", "inf"),
    ],
)
def test_a_value_that_could_not_be_read_is_not_written(place: Place, cli: Cli, name: str, value: str) -> None:
    done = cli("config", "--local", name, "--", value, code=2)
    assert name in done.err or "URL" in done.err
    assert not (place / ".dvc-like/config.local").exists()
    if name.startswith("remote."):
        cli("remote", "modify", "--local", "storage", name.rpartition(".")[2], "--", value, code=2)
        assert not (place / ".dvc-like/config.local").exists()


@pytest.mark.parametrize("algorithm", ["sha256", "xxh128", "blake3"])
def test_every_algorithm_works_from_add_to_pull(place: Place, cli: Cli, clone: object, algorithm: str) -> None:
    cli("config", "core.hash", algorithm)
    place.track({"data/x": "1", "data/sub/y": "2", "z": "3"})
    place.push()
    assert (place / "z.meta").read_text().startswith(f"hash: {algorithm}:")
    copy = clone()  # type: ignore[operator]
    copy.pull()
    assert copy.data() == place.data()
    assert set(copy.states().values()) == {"unchanged"}


def test_a_link_in_place_of_the_file_is_refused_and_not_written_through(place: Place, cli: Cli, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("[core]\n")
    (place / ".dvc-like/config.local").symlink_to(victim)
    cli("config", "--local", "core.autostage", "true", code=3)
    assert victim.read_text() == "[core]\n"


def test_a_local_file_that_git_tracks_is_not_trusted(place: Place, cli: Cli) -> None:
    cli("config", "--local", "core.autostage", "true")
    place.git("add", "--force", ".dvc-like/config.local")
    cli("status")
    cli("config", "--local", "cache.dir", "/somewhere/else")
    done = cli("status", code=3)
    assert "cache.dir" in done.err
    assert "git rm --cached .dvc-like/config.local" in done.err
    place.git("rm", "--cached", "-q", "-f", ".dvc-like/config.local")
    cli("status")


@pytest.mark.parametrize(
    "name",
    [
        ".dvc-like/Config.local",
        ".DVC-Like/config.local",
        ".dvc-li\u212ae/CON\ufb01G.Local.",
        ".dvc-like/config.\u200clocal",
    ],
)
@pytest.mark.parametrize("below", ["", "sub"])
def test_a_local_file_that_git_tracks_in_another_spelling_is_not_trusted(
    place: Place, cli: Cli, name: str, below: str
) -> None:
    """As a clone brings it where the file system folds case, as on macOS and Windows."""
    root = place.root / below
    if below:
        root.mkdir()
        cli("init", "--subdir", cwd=root)
    cli("config", "--local", "cache.dir", "/somewhere/else", cwd=root)
    blob = place.git("hash-object", "-w", str(root / ".dvc-like/config.local"))
    tracked = f"Sub/{name}" if below else name
    place.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{tracked}")
    done = cli("status", code=3, cwd=root)
    assert f"Git tracks {name}, which sets cache.dir" in done.err
    assert f"`git rm --cached {name}`" in done.err
    place.git("update-index", "--force-remove", tracked)
    cli("status", cwd=root)


def test_a_clone_on_a_file_system_that_folds_case_brings_no_local_file(
    place: Place, cli: Cli, loop_fs: Callable[[str], Path]
) -> None:
    cli("config", "--local", "cache.dir", "/somewhere/else")
    blob = place.git("hash-object", "-w", str(place / ".dvc-like/config.local"))
    place.git("update-index", "--add", "--cacheinfo", f"100644,{blob},.dvc-like/Config.local")
    place.git("commit", "-q", "-m", "hostile")
    copy = loop_fs("ntfs") / "copy"
    place.git("clone", "-q", str(place.root), str(copy))
    assert (copy / ".dvc-like/config.local").read_text() == (place / ".dvc-like/config.local").read_text()
    for words in (["cache", "dir"], ["status"], ["pull"]):
        assert "Git tracks .dvc-like/Config.local, which sets cache.dir" in cli(*words, code=3, cwd=copy).err


def test_state_and_cache_of_a_clone_on_a_file_system_that_folds_case_are_not_trusted(
    place: Place, cli: Cli, loop_fs: Callable[[str], Path], tmp_path: Path
) -> None:
    place.track({"x": "1"})
    victim = tmp_path / "victim"
    victim.mkdir()
    (tmp_path / "blob").write_text(str(victim))
    blob = place.git("hash-object", "-w", str(tmp_path / "blob"))
    for kind, name in (("120000", "Cache"), ("120000", "Tmp/remotes.sqlite"), ("100644", "TMP/lock")):
        place.git("update-index", "--add", "--cacheinfo", f"{kind},{blob},.dvc-like/{name}")
    place.git("add", "x.meta", ".dvc-like/config")
    place.git("commit", "-q", "-m", "hostile")
    copy = loop_fs("ntfs") / "copy"
    place.git("clone", "-q", str(place.root), str(copy))
    assert (copy / ".dvc-like/cache").is_symlink()
    cli("status", cwd=copy, code=7)
    (copy / ".dvc-like/cache").unlink()
    (copy / "x").write_text("1")
    cli("add", "x", cwd=copy)
    assert list(victim.iterdir()) == []


def test_a_local_file_of_a_submodule_is_not_trusted(place: Place, cli: Cli) -> None:
    cli("config", "--local", "cache.dir", "/somewhere/else")
    place.git("rm", "-r", "-q", "--cached", ".dvc-like")
    place.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},.dvc-like")
    assert "Git tracks .dvc-like, which sets cache.dir" in cli("status", code=3).err
