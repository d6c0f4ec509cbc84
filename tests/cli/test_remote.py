"""`remote`: add, list, modify, remove, rename, default; at every level; nothing is contacted."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.inprocess import InProcess as Cli
from tests.cli.inprocess import in_process  # noqa: F401 - the fixture `cli` of this file
from tests.cli.place import Place, make_place


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A project without a remote."""
    made = make_place(tmp_path / "project")
    monkeypatch.chdir(made.root)
    return made


def config_of(place: Place, name: str = "config") -> str:
    return (place / ".dvc-like" / name).read_text()


def test_the_tutorials_remote_is_written_exactly_so(bare: Place, cli: Cli) -> None:
    cli("remote", "add", "-d", "storage", "gdrive://0AIac4JZqHhKmUk9PDA")
    assert config_of(bare) == '[core]\n\tremote = storage\n[remote "storage"]\n\turl = gdrive://0AIac4JZqHhKmUk9PDA\n'


def test_git_reads_the_file_as_we_do(bare: Place, cli: Cli) -> None:
    cli("remote", "add", "-d", "my.store-1", "s3://bucket/a path/with #hash;semi")
    path = str(bare / ".dvc-like/config")
    assert bare.git("config", "-f", path, "remote.my.store-1.url") == "s3://bucket/a path/with #hash;semi"
    assert bare.git("config", "-f", path, "core.remote") == "my.store-1"


def test_a_relative_folder_means_the_same_from_everywhere(bare: Place, cli: Cli) -> None:
    bare.write({"sub/deep/x": "1"})
    done = cli("remote", "add", "-d", "storage", "../../../storage", "--json", cwd=bare / "sub/deep").json
    assert done == {"schema": "dvc-like/remote-add/1", "name": "storage", "url": "../storage", "default": True}
    assert "url = ../storage" in config_of(bare)
    cli("add", "sub/deep/x")
    cli("push", cwd=bare / "sub")
    assert (bare.root.parent / "storage/dvc-like.json").exists()


def test_an_absolute_folder_and_a_file_url_are_kept(bare: Place, cli: Cli, tmp_path: Path) -> None:
    cli("remote", "add", "a", tmp_path / "a")
    cli("remote", "add", "b", f"file://{tmp_path}/b")
    assert f"url = {tmp_path}/a\n" in config_of(bare)
    assert f"url = file://{tmp_path}/b\n" in config_of(bare)
    bare.write({"x": "1"})
    bare.add("x")
    cli("push", "-r", "b")
    assert (tmp_path / "b/dvc-like.json").exists()


def test_levels(bare: Place, cli: Cli, home: Path) -> None:
    cli("remote", "add", "--local", "here", "/mnt/here")
    cli("remote", "add", "--global", "mine", "/mnt/mine")
    cli("remote", "add", "--project", "ours", "/mnt/ours")
    assert "here" in config_of(bare, "config.local")
    assert "mine" in (home / "no-global-config").read_text()
    assert "ours" in config_of(bare)
    found = cli("remote", "list", "--json").json
    assert found["remotes"] == {
        "here": {"url": "/mnt/here"},
        "mine": {"url": "/mnt/mine"},
        "ours": {"url": "/mnt/ours"},
    }
    assert "config.local" not in bare.git("status", "--porcelain", "--untracked-files=all")


def test_list_marks_the_default(bare: Place, cli: Cli) -> None:
    assert "remote add" in cli("remote", "list").out
    cli("remote", "add", "one", "/mnt/one")
    cli("remote", "add", "two", "/mnt/two", "-d")
    assert cli("remote", "list").out == "one\t/mnt/one\ntwo\t/mnt/two  (default)\n"
    assert cli("remote", "list", "-q").out == "one\t/mnt/one\ntwo\t/mnt/two  (default)\n"
    assert cli("remote", "list", "--json").json["default"] == "two"


def test_a_name_that_is_taken_needs_force(bare: Place, cli: Cli) -> None:
    cli("remote", "add", "storage", "/mnt/one")
    assert "/mnt/one" in cli("remote", "add", "storage", "/mnt/two", code=3).err
    assert "/mnt/one" in config_of(bare)
    cli("remote", "add", "--force", "storage", "/mnt/two")
    assert config_of(bare) == '[remote "storage"]\n\turl = /mnt/two\n'


@pytest.mark.parametrize("name", ["", "-x", "a b", "../x", 'a"b', "a/b", "a\nb", "ä"])
def test_a_bad_name_is_a_usage_error(bare: Place, cli: Cli, name: str) -> None:
    cli("remote", "add", "--", name, "/mnt/x", code=2)
    assert config_of(bare) == ""


@pytest.mark.parametrize("url", ["", "  ", "s3://x\ny", "s3://\x1b[31m"])
def test_a_bad_url_is_a_usage_error(bare: Place, cli: Cli, url: str) -> None:
    done = cli("remote", "add", "storage", url, code=2)
    assert "\x1b[31m" not in done.err
    assert config_of(bare) == ""


def test_modify_sets_and_unsets(bare: Place, cli: Cli) -> None:
    cli("remote", "add", "-d", "storage", "/mnt/one")
    cli("remote", "modify", "storage", "url", "../other")
    cli("remote", "modify", "storage", "jobs", "8")
    assert config_of(bare) == '[core]\n\tremote = storage\n[remote "storage"]\n\turl = ../other\n\tjobs = 8\n'
    cli("remote", "modify", "--unset", "storage", "jobs")
    assert "jobs" not in config_of(bare)
    cli("remote", "modify", "storage", "jobs", code=2)
    cli("remote", "modify", "-u", "storage", "jobs", "8", code=2)
    cli("remote", "modify", "storage", "colour", "red", code=2)
    cli("remote", "modify", "nowhere", "jobs", "8", code=3)
    assert cli("remote", "modify", "storage", "jobs", "4", "--json").json["schema"] == "dvc-like/remote-modify/1"


@pytest.mark.parametrize("option", ["access_key_id", "secret_access_key", "sessiontoken", "credentials", "proxy"])
def test_secrets_go_into_untracked_files_only(bare: Place, cli: Cli, option: str) -> None:
    cli("remote", "add", "-d", "storage", "s3://bucket")
    done = cli("remote", "modify", "storage", option, "s3cr3t", code=2)
    assert "--local" in done.err
    assert "s3cr3t" not in done.err
    assert "s3cr3t" not in config_of(bare)
    cli("remote", "modify", "--local", "storage", option, "s3cr3t")
    assert "s3cr3t" in config_of(bare, "config.local")
    assert (bare / ".dvc-like/config.local").stat().st_mode & 0o077 == 0
    if "proxy" not in option and "path" not in option:
        assert "s3cr3t" not in cli("remote", "list", "--json").out


def test_underscores_are_not_written_since_git_could_not_read_them(bare: Place, cli: Cli) -> None:
    cli("remote", "add", "-d", "s", "s3://bucket")
    cli("remote", "modify", "--local", "s", "Access_Key_ID", "k")
    cli("config", "--local", "remote.s.secret_access_key", "x")
    cli("remote", "modify", "s", "storage_class", "STANDARD_IA")
    assert config_of(bare, "config.local") == '[remote "s"]\n\taccesskeyid = k\n\tsecretaccesskey = x\n'
    assert bare.git("config", "-f", str(bare / ".dvc-like/config.local"), "remote.s.accesskeyid") == "k"
    assert bare.git("config", "-f", str(bare / ".dvc-like/config"), "remote.s.storageclass") == "STANDARD_IA"
    assert cli("config", "remote.s.access_key_id").out == cli("config", "remote.s.accesskeyid").out == "k\n"


def test_a_file_with_underscores_is_read_and_mended_when_it_is_changed(bare: Place, cli: Cli) -> None:
    path = bare / ".dvc-like/config.local"
    path.write_text('[remote "s"]\n\turl = s3://b\n\taccess_key_id = old\n\tsession_token = t\n')
    assert cli("config", "remote.s.accesskeyid").out == "old\n"
    assert cli("remote", "list", "--json").json["remotes"]["s"] == {
        "url": "s3://b",
        "accesskeyid": "***",
        "sessiontoken": "***",
    }
    cli("remote", "modify", "--local", "s", "accesskeyid", "new")
    cli("remote", "modify", "--local", "--unset", "s", "session_token")
    assert path.read_text() == '[remote "s"]\n\turl = s3://b\n\taccesskeyid = new\n'


def test_a_password_of_a_proxy_is_not_listed(bare: Place, cli: Cli) -> None:
    cli("remote", "add", "-d", "s", "s3://bucket")
    cli("remote", "modify", "--local", "s", "proxy", "http://me:s3cr3t@proxy:3128")
    assert "s3cr3t" not in cli("remote", "list", "--json").out


def test_the_tracked_file_makes_nothing_public(bare: Place, cli: Cli) -> None:
    cli("remote", "add", "-d", "s", "s3://bucket")
    assert "read what you push" in cli("remote", "modify", "s", "acl", "public-read", code=2).err
    cli("remote", "modify", "s", "acl", "bucket-owner-full-control")
    cli("remote", "modify", "--local", "s", "acl", "public-read")


def test_a_password_in_a_url_is_never_tracked_nor_shown(bare: Place, cli: Cli) -> None:
    done = cli("remote", "add", "-d", "storage", "https://user:s3cr3t@example.com/x")
    assert "s3cr3t" not in done.out + done.err
    assert "s3cr3t" not in config_of(bare)
    assert "s3cr3t" in config_of(bare, "config.local")
    listed = cli("remote", "list")
    assert "s3cr3t" not in listed.out
    assert "user" in listed.out
    again = cli("remote", "add", "storage", "/mnt/x", code=3)
    assert "s3cr3t" not in again.err
    assert "s3cr3t" not in cli("push", code=(0, 6)).err


def test_default_is_shown_set_and_unset(bare: Place, cli: Cli) -> None:
    cli("remote", "add", "one", "/mnt/one")
    assert "No default" in cli("remote", "default").out
    cli("remote", "default", "one")
    assert cli("remote", "default").out == "one\n"
    assert cli("remote", "default", "--json").json == {"schema": "dvc-like/remote-default/1", "default": "one"}
    cli("remote", "default", "nowhere", code=3)
    cli("remote", "default", "--unset")
    assert cli("remote", "default", "--json").json["default"] is None
    assert config_of(bare) == '[remote "one"]\n\turl = /mnt/one\n'


def test_a_local_default_wins(bare: Place, cli: Cli) -> None:
    cli("remote", "add", "-d", "ours", "/mnt/ours")
    cli("remote", "add", "--local", "-d", "mine", "/mnt/mine")
    assert cli("remote", "default").out == "mine\n"


def test_rename_moves_options_and_default_at_both_levels(bare: Place, cli: Cli) -> None:
    cli("remote", "add", "-d", "old", "/mnt/x")
    cli("remote", "modify", "old", "jobs", "3")
    cli("remote", "modify", "--local", "old", "access_key_id", "k")
    cli("remote", "rename", "old", "new")
    assert config_of(bare) == '[core]\n\tremote = new\n[remote "new"]\n\turl = /mnt/x\n\tjobs = 3\n'
    assert config_of(bare, "config.local") == '[remote "new"]\n\taccesskeyid = k\n'
    cli("remote", "rename", "old", "other", code=3)
    cli("remote", "add", "third", "/mnt/y")
    cli("remote", "rename", "third", "new", code=3)
    cli("remote", "rename", "third", "../x", code=2)


def test_remove_forgets_everything_but_what_is_stored(bare: Place, cli: Cli, tmp_path: Path) -> None:
    cli("remote", "add", "-d", "storage", tmp_path / "storage")
    cli("remote", "modify", "--local", "storage", "access_key_id", "k")
    bare.write({"x": "1"})
    bare.add("x")
    cli("push")
    cli("remote", "remove", "storage")
    assert config_of(bare) == ""
    assert "k" not in config_of(bare, "config.local")
    assert (tmp_path / "storage/dvc-like.json").exists()
    cli("remote", "remove", "storage", code=3)


def test_comments_and_order_of_the_file_survive(bare: Place, cli: Cli) -> None:
    text = '# ours\n[core]\n\tautostage = true ; yes\n\n[remote "a"]\n\t# the first\n\turl = /mnt/a\n'
    (bare / ".dvc-like/config").write_text(text)
    cli("remote", "add", "b", "/mnt/b")
    cli("remote", "modify", "a", "jobs", "2")
    assert config_of(bare) == text + '\tjobs = 2\n[remote "b"]\n\turl = /mnt/b\n'


def test_s3_and_unknown_kinds_are_recorded(bare: Place, cli: Cli) -> None:
    for name, url in (("s", "s3://bucket/prefix"), ("f", "fsspec+gs://bucket"), ("g", "gdrive://root/folder")):
        cli("remote", "add", name, url)
        assert f"url = {url}\n" in config_of(bare)


def test_the_address_of_a_folder_on_drive_becomes_a_url(bare: Place, cli: Cli) -> None:
    web = "https://drive.google.com/drive/u/1/folders/0AIac4JZqHhKmUk9PDA?usp=sharing"
    assert "gdrive://0AIac4JZqHhKmUk9PDA" in cli("remote", "add", "drive", web).out
    assert "url = gdrive://0AIac4JZqHhKmUk9PDA\n" in config_of(bare)
    cli("remote", "modify", "drive", "url", web.replace("0AI", "1BJ"))
    assert "url = gdrive://1BJac4JZqHhKmUk9PDA\n" in config_of(bare)
    assert "folder" in cli("remote", "add", "file", "https://drive.google.com/file/d/1x/view", code=2).err


def test_an_unknown_subcommand_is_a_usage_error(bare: Place, cli: Cli) -> None:
    assert "frobnicate" in cli("remote", "frobnicate", code=2).err
