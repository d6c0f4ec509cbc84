"""The configuration: Git reads what we write, we read what Git writes, and strangers can only point."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dvc_like import config
from dvc_like.config import Config
from dvc_like.errors import ConfigError, UsageError

CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
SLOW = settings(
    derandomize=True, deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
QUICK = settings(SLOW, max_examples=200)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = tmp_path / "config"
    folder.mkdir()
    return folder / "config"


def read(path: Path, level: str = "local") -> Config:
    return Config({level: str(path)})


def git_says(path: Path, name: str, *options: str) -> str:
    words = ["git", "config", "--file", str(path), "-z", *options, "--get", name]
    done = subprocess.run(words, capture_output=True, check=False)
    assert done.returncode == 0, (done.stderr, path.read_bytes())
    return done.stdout.decode().removesuffix("\0")


# ------------------------------------------------------------------------------ reading


def test_sections_subsections_and_keys_become_names(file: Path) -> None:
    file.write_text(
        '; a comment\n[core]\n\tremote = storage\n\n[Remote "My-Store"]\nURL=gdrive://x\n   jobs   =   8   # eight\n'
        '[remote "a\\"b"]\n\turl = x\n[core] hash = sha256\n'
    )
    got = read(file)
    assert got.get("core.remote") == "storage"
    assert got.get("remote.My-Store.url") == "gdrive://x"
    assert got.get("remote.My-Store.jobs") == "8"
    assert got.get('remote.a"b.url') == "x"
    assert got.get("core.hash") == "sha256"
    assert got.get("core.nothing", "else") == "else"


def test_a_later_line_and_a_later_level_win_and_say_where_they_stand(tmp_path: Path) -> None:
    files = {}
    for level in ("local", "project", "global", "system"):
        (tmp_path / level).write_text(f"[core]\n\thash = first\n\thash = {level}\n")
        files[level] = str(tmp_path / level)
    found = Config(files).find("core.hash")
    assert found is not None
    assert (found.text, found.level, found.path) == ("local", "local", files["local"])
    assert [value.level for value in Config(files).values] == [level for level in config.LEVELS for _ in range(2)]
    del files["local"]
    assert Config(files).get("core.hash") == "project"


def test_files_that_are_not_there_are_empty(tmp_path: Path) -> None:
    assert Config({"local": str(tmp_path / "a/b/config")}).values == []


VALUES = [
    *("", "a", "a b", " a", "a ", "  ", "a;b", "a#b", "#", ";", '"', 'a"b', "\\", "a\\", "\\\\", "a\\\\", "a\\\\\\"),
    *("a\tb", "\t", "a\nb", "\n", "a\bb", "a = b", "[core]", "=", "ümlaut", "日本", "true", "s3://b/p?x=1#frag"),
    *("C:\\data\\store", "\\\\server\\share", "it's", "$HOME", "a  b", "trailing\\ ", '"quoted"', "\u00a0a\u00a0"),
]


@pytest.mark.parametrize("text", VALUES)
def test_what_is_set_is_read_back_by_us_and_by_git(file: Path, text: str) -> None:
    config.edit(str(file), {"remote.storage.url": text})
    assert read(file).get("remote.storage.url") == text
    assert git_says(file, "remote.storage.url") == text


@pytest.mark.parametrize("text", VALUES)
def test_what_git_sets_is_read_by_us(file: Path, text: str) -> None:
    subprocess.run(["git", "config", "--file", str(file), "remote.storage.url", text], check=True)
    assert read(file).get("remote.storage.url") == text


@QUICK
@given(st.text(st.one_of(st.sampled_from("a \r\x0b\x0c\x1c\x85\u2028"), st.characters(codec="utf-8")), max_size=12))
def test_any_text_survives_setting_and_reading_or_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "any"
    path.unlink(missing_ok=True)
    config.edit(str(path), {"core.remote": "before", "remote.storage.url": "old", "core.hash": "after"})
    before = path.read_bytes()
    try:
        config.edit(str(path), {"remote.storage.url": text})
    except UsageError:
        assert CONTROL.search(text)
        assert path.read_bytes() == before
        return
    got = {value.name: value.text for value in read(path).values}
    assert got == {"core.remote": "before", "remote.storage.url": text, "core.hash": "after"}
    config.edit(str(path), {"remote.storage.url": None})
    assert read(path).get("remote.storage.url", "gone") == "gone"


@pytest.mark.parametrize("end", ["\n", "\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"], ids=ascii)
def test_a_value_cannot_bring_a_setting_of_its_own(file: Path, end: str) -> None:
    try:
        config.edit(str(file), {"core.remote": f"a{end}[cache]{end}dir = /stranger"})
    except UsageError:
        return
    assert read(file).find("cache.dir") is None


@SLOW
@given(st.text(st.sampled_from("ab \t\\\"#;=[]'\n-é日"), max_size=10))
def test_git_agrees_on_any_text(tmp_path: Path, text: str) -> None:
    path = tmp_path / "any"
    path.unlink(missing_ok=True)
    config.edit(str(path), {"remote.storage.url": text})
    assert git_says(path, "remote.storage.url") == text
    subprocess.run(["git", "config", "--file", str(path), "remote.storage.url", text + "x"], check=True)
    assert read(path).get("remote.storage.url") == text + "x"


BY_HAND = [
    "[core]\nremote = a\\\nb\n",
    "[core]\nremote = a\\\\\n",
    "[core]\nremote = a\\\\\\\nb\n",
    "[core]\n# a path C:\\\nremote = a\n",
    "[core]\n; a path C:\\\nremote = a\n",
    "[core]\nremote = a ; c\\\n",
    '[core]\nremote = "a ; b" # c\n',
    '[core]\nremote = a" b "c\n',
    "[core]\nremote = 'a'\n",
    "[core] remote = a\n",
    "[core]remote=a\n",
    "[CORE]\nREMOTE = a\n",
    "\ufeff[core]\nremote = a\n",
    "[core]\r\nremote = a\r\n",
    "[core]\nremote = a",
    "[core]\nremote = \n",
    "[core]\n\n\n   remote   =   a   \n",
    "[core]\nremote = a\x0cb\n",
    "[core]\nremote = a\u2028b\n",
    "[core]\nremote = a\u0085b\n",
]


@pytest.mark.parametrize("text", BY_HAND)
def test_a_file_written_by_hand_means_what_git_thinks(file: Path, text: str) -> None:
    file.write_bytes(text.encode())
    assert read(file).get("core.remote", "nothing") == git_says(file, "core.remote")


@pytest.mark.parametrize("word", ["true", "TRUE", "yes", "Yes", "on", "1", "false", "no", "off", "OFF", "0", ""])
def test_true_and_false_are_gits(file: Path, word: str) -> None:
    file.write_text(f"[core]\n\tautostage = {word}\n")
    assert read(file).flag("core.autostage") is (git_says(file, "core.autostage", "--type=bool") == "true")


def test_a_key_alone_is_true(file: Path) -> None:
    file.write_text("[core]\n\tautostage\n")
    assert read(file).flag("core.autostage") is True
    assert read(file).flag("core.other", default=True) is True


@pytest.mark.parametrize(
    "text",
    [
        "remote = a\n",  # no section yet
        "[core\nremote = a\n",
        "[]\nremote = a\n",
        '[remote "a]\nurl = x\n',
        "[core]\n= a\n",
        "[core]\n1a = b\n",
        "[core]\nremote a\n",
        '[core]\nremote = "a\n',
        "[core]\nremote = \\x\n",
        "[core]\nremote = a\\",
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read(file)
    assert f"{file}, line " in caught.value.message
    assert caught.value.exit_code == 3


def test_a_merge_conflict_is_called_by_its_name(file: Path) -> None:
    file.write_text("[core]\n<<<<<<< HEAD\n\tremote = a\n=======\n\tremote = b\n>>>>>>> side\n")
    with pytest.raises(ConfigError) as caught:
        read(file)
    assert "line 2" in caught.value.message
    assert "merge conflict" in caught.value.hint


def test_bytes_that_are_no_text_are_refused(file: Path) -> None:
    file.write_bytes(b"[core]\nremote = \xff\xfe\n")
    with pytest.raises(ConfigError):
        read(file)


def test_a_message_cannot_move_the_cursor(file: Path) -> None:
    file.write_bytes(b"[core]\n\x1b[2Jremote\n")
    with pytest.raises(ConfigError) as caught:
        read(file)
    assert "\x1b" not in caught.value.message


@pytest.mark.parametrize("level", ["project", "local"])
@pytest.mark.parametrize("make", ["link", "fifo", "folder", "giant"])
def test_the_files_of_the_repository_must_be_plain_files(file: Path, tmp_path: Path, level: str, make: str) -> None:
    if make == "link":
        (tmp_path / "secret").write_text("[core]\nremote = a\n")
        file.symlink_to(tmp_path / "secret")
    elif make == "fifo":
        os.mkfifo(file)
    elif make == "folder":
        file.mkdir()
    else:
        file.write_bytes(b"#" * (config.MAX_SIZE + 1))
    with pytest.raises(ConfigError):
        read(file, level)


def test_the_users_own_file_may_be_a_link(file: Path, tmp_path: Path) -> None:
    (tmp_path / "dotfiles").write_text("[core]\nremote = a\n")
    file.symlink_to(tmp_path / "dotfiles")
    assert read(file, "global").get("core.remote") == "a"


@SLOW
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "bytes"
    path.write_bytes(b"[core]\n" + data)
    try:
        read(path)
    except ConfigError:
        return


@pytest.mark.parametrize(("text", "number"), [("0", 0.0), ("8", 8.0), ("2.5", 2.5), ("1e3", 1000.0)])
def test_numbers_are_read(file: Path, text: str, number: float) -> None:
    file.write_text(f"[core]\n\tlocktimeout = {text}\n")
    assert read(file).number("core.locktimeout", 60) == number


@pytest.mark.parametrize("text", ["", "-1", "nan", "inf", "-inf", "a", "1 2", "0x10"])
def test_what_is_no_number_is_refused(file: Path, text: str) -> None:
    file.write_text(f"[core]\n\tlocktimeout = {text}\n")
    with pytest.raises(ConfigError):
        read(file).number("core.locktimeout", 60)


@pytest.mark.parametrize("text", ["-3", "1.5", "many", ""])
def test_what_is_no_count_is_refused(file: Path, text: str) -> None:
    file.write_text(f'[remote "a"]\n\tjobs = {text}\n')
    with pytest.raises(ConfigError) as caught:
        read(file).number("remote.a.jobs", 0)
    assert str(file) in caught.value.message


@pytest.mark.parametrize(
    ("text", "types"),
    [
        ("", ()),
        (",", ()),
        ("copy", ("copy",)),
        (" reflink , hardlink,symlink ,", ("reflink", "hardlink", "symlink")),
        ("copy,hardlink", ("copy", "hardlink")),
    ],
)
def test_words_are_read_in_their_order(file: Path, text: str, types: tuple[str, ...]) -> None:
    config.edit(str(file), {"cache.type": text})
    assert read(file).words("cache.type", ("default",)) == types


@pytest.mark.parametrize("text", ["link", "Copy", "hardlink;copy", "reflink hardlink"])
def test_a_word_that_does_not_exist_is_refused_with_those_that_do(file: Path, text: str) -> None:
    config.edit(str(file), {"cache.type": text})
    with pytest.raises(ConfigError) as caught:
        read(file).words("cache.type", ())
    assert "cache.type" in caught.value.message
    assert "reflink, hardlink, symlink, copy" in caught.value.message


def test_a_setting_of_a_later_version_is_text(file: Path) -> None:
    file.write_text("[core]\n\tlater = anything\n")
    assert read(file).text("core.later", "") == "anything"


def test_remotes_are_those_with_a_url(file: Path) -> None:
    file.write_text('[remote "b.c"]\n\turl = u\n\tjobs = 2\n[remote "a"]\n\turl = v\n[remote "x"]\n\tjobs = 1\n')
    assert read(file).remotes() == {"a": {"url": "v"}, "b.c": {"url": "u", "jobs": "2"}}
    assert list(read(file).remotes()) == ["a", "b.c"]


# ------------------------------------------------------------------------------ names


def test_a_name_is_split_and_its_case_does_not_count_but_a_remotes_does() -> None:
    assert config.split_name("Core.Remote") == ("core", "", "remote")
    assert config.split_name("REMOTE.My.Store.URL") == ("remote", "My.Store", "url")


@pytest.mark.parametrize(
    "name",
    ["", "core", "core.", ".remote", "core.nothing", "core.x.remote", "remote.url", "nothing.a", "remote..url"],
)
def test_a_setting_that_does_not_exist_is_named(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        config.split_name(name)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("name", ["", "-a", ".a", "a b", "a/b", "../a", "a\nb", 'a"b', "a]b", "é", "a" * 101])
def test_a_remote_cannot_be_called_so(name: str) -> None:
    with pytest.raises(UsageError):
        config.check_remote_name(name)


# ------------------------------------------------------------------------------ what strangers may write

FORBIDDEN = {
    "cache dir": "[cache]\n\tdir = /\n",
    "cache dir, other case": "[CACHE]\n\tDir = /\n",
    "cache dir on the header's line": "[cache] dir = /\n",
    "key id": '[remote "s"]\n\taccess_key_id = x\n',
    "secret": '[remote "s"]\n\tsecret_access_key = x\n',
    "token": '[remote "s"]\n\tsession_token = x\n',
    "credential file": '[remote "s"]\n\tcredentials = /x\n',
    "dotted section": "[remote.s]\n\tcredentials = /x\n",
    "escaped subsection": '[remote "\\s"]\n\tproxy = http://x\n',
    "verify": '[remote "s"]\n\tverify = false\n',
    "proxy": '[remote "s"]\n\tproxy = https://x\n',
    "plain http": '[remote "s"]\n\tendpointurl = http://example.com\n',
    "plain http in capitals": '[remote "s"]\n\tendpointurl = HTTP://example.com\n',
    "host in the user's part": '[remote "s"]\n\tendpointurl = http://localhost@example.com\n',
    "host and port in the user's part": '[remote "s"]\n\tendpointurl = http://localhost:80@example.com/\n',
    "localhost as a prefix": '[remote "s"]\n\tendpointurl = http://localhost.example.com\n',
    "an address as a prefix": '[remote "s"]\n\tendpointurl = http://127.0.0.1.example.com\n',
    "query": '[remote "s"]\n\tendpointurl = http://localhost?.example.com\n',
    "blank before the scheme": '[remote "s"]\n\tendpointurl = " http://example.com"\n',
    "line end before the scheme": '[remote "s"]\n\tendpointurl = \\nhttp://example.com\n',
    "tab in the scheme": '[remote "s"]\n\tendpointurl = ht\\ttp://example.com\n',
    "password": '[remote "s"]\n\turl = s3://user:secret@host/bucket\n',
    "password after a blank": '[remote "s"]\n\turl = " s3://user:secret@host/bucket"\n',
    "password at the endpoint": '[remote "s"]\n\tendpointurl = https://user:secret@host\n',
    "no grace": "[gc]\n\tgrace = 0\n",
    "less grace than the default": "[gc]\n\tgrace = 7199.9\n",
    "less grace, other spelling": '[GC]\n\tGrace = " +1e3"\n',
    "a key only a plug-in knows": '[remote "s"]\n\tunknown = x\n',
    "a line before a harmless one": '[remote "s"]\n\tproxy = x\n[core]\n\tremote = s\n',
}


@pytest.mark.parametrize("text", FORBIDDEN.values(), ids=FORBIDDEN)
def test_the_tracked_file_may_not_hold_it_and_the_local_one_may(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read(file, "project")
    assert f"{file}, line " in caught.value.message
    assert "secret@" not in caught.value.message
    assert read(file, "local").values
    assert read(file, "global").values


def test_a_forbidden_line_is_refused_even_when_a_later_level_overrides_it(file: Path, tmp_path: Path) -> None:
    file.write_text("[cache]\n\tdir = /stranger\n")
    (tmp_path / "local").write_text("[cache]\n\tdir = /mine\n")
    with pytest.raises(ConfigError):
        Config({"project": str(file), "local": str(tmp_path / "local")})


@pytest.mark.parametrize(
    "line",
    [
        "url = s3://bucket/prefix",
        "url = gdrive://id@x",
        "url = ssh://user@host/path",
        "endpointurl = https://minio.example.com:9000",
        "endpointurl = http://localhost:9000",
        "endpointurl = http://127.0.0.1",
        "endpointurl = http://[::1]:9000/x",
        "region = eu-central-1",
        "profile = work",
        "jobs = 4",
    ],
)
def test_the_tracked_file_may_point(file: Path, line: str) -> None:
    file.write_text(f'[remote "s"]\n\t{line}\n')
    assert len(read(file, "project").values) == 1


@pytest.mark.parametrize("text", ["7200", "1209600", "1e9"])
def test_the_tracked_file_may_ask_for_more_grace(file: Path, text: str) -> None:
    file.write_text(f"[gc]\n\tgrace = {text}\n")
    assert read(file, "project").number("gc.grace", 0) == float(text)


def test_a_section_of_a_later_version_is_left_alone(file: Path) -> None:
    file.write_text("[future]\n\tkey = x\n[core]\n\tlater = y\n")
    assert len(read(file, "project").values) == 2


# ------------------------------------------------------------------------------ editing


def test_editing_keeps_comments_order_and_everything_else(file: Path) -> None:
    file.write_text(
        "# top\n[core]\n\t# about remote\n\tremote = a ; why\n\tunknown = kept\n\n"
        '[remote "a"]\n\turl = x\n\n; end\n[future "x"]\n\tkey = 1\n'
    )
    config.edit(str(file), {"core.remote": "b", "core.hash": "sha256", "remote.a.jobs": "2", "remote.b.url": "y"})
    assert file.read_text() == (
        "# top\n[core]\n\t# about remote\n\tremote = b\n\tunknown = kept\n\thash = sha256\n\n"
        '[remote "a"]\n\turl = x\n\tjobs = 2\n\n; end\n[future "x"]\n\tkey = 1\n[remote "b"]\n\turl = y\n'
    )


def test_setting_twice_gives_the_same_bytes(file: Path) -> None:
    changes: dict[str, str | None] = {"core.remote": "a", "remote.a.url": "x"}
    config.edit(str(file), changes)
    once = file.read_bytes()
    config.edit(str(file), changes)
    assert file.read_bytes() == once == b'[core]\n\tremote = a\n[remote "a"]\n\turl = x\n'


def test_unsetting_the_last_key_takes_the_section_away(file: Path) -> None:
    config.edit(str(file), {"core.remote": "a", "remote.a.url": "x", "remote.a.jobs": "1"})
    config.edit(str(file), {"remote.a.url": None, "remote.a.jobs": None})
    assert file.read_text() == "[core]\n\tremote = a\n"
    config.edit(str(file), {"core.remote": None, "core.hash": None})
    assert file.read_text() == ""


def test_a_setting_that_stands_twice_stands_once_afterwards(file: Path) -> None:
    file.write_text("[core]\n\thash = a\n\tremote = r\n[gc]\n\tgrace = 1\n[core]\n\thash = b\n")
    config.edit(str(file), {"core.hash": "c"})
    got = read(file)
    assert [value.text for value in got.values if value.name == "core.hash"] == ["c"]
    assert (got.get("core.remote"), got.get("gc.grace")) == ("r", "1")


def test_a_continued_line_is_replaced_whole(file: Path) -> None:
    file.write_text("[core]\n\tremote = a\\\nb\n\thash = sha256\n")
    config.edit(str(file), {"core.remote": "c"})
    assert file.read_text() == "[core]\n\tremote = c\n\thash = sha256\n"


def test_a_setting_on_the_line_of_its_header_can_be_changed(file: Path) -> None:
    file.write_text('[remote "a"]\n\turl = x\n[core] remote = a\n\thash = sha256\n')
    config.edit(str(file), {"core.remote": "b"})
    got = {value.name: value.text for value in read(file).values}
    assert got == {"remote.a.url": "x", "core.remote": "b", "core.hash": "sha256"}


def test_a_setting_on_the_line_of_its_header_can_be_removed(file: Path) -> None:
    file.write_text('[remote "a"]\n\turl = x\n[core] remote = a\n\thash = sha256\n')
    config.edit(str(file), {"core.remote": None})
    got = {value.name: value.text for value in read(file).values}
    assert got == {"remote.a.url": "x", "core.hash": "sha256"}


SETTINGS = ["core.remote", "core.hash", "gc.grace", "remote.a.url", "remote.a.jobs", "remote.A.url", "remote.a.b.url"]
STARTS = [
    "",
    "# only a comment\n",
    "[core]\n\n[core]\n",
    "[Core]\n\tRemote = x\n; c\n[GC]\n\tgrace=1 # one\n",
    '[remote "a"] # mine\n\turl = x\\\n y\n[core]\n\thash = "q" ; r\n[remote "a"]\n\tjobs = 1\n\n\n',
]


@QUICK
@given(
    st.sampled_from(STARTS),
    st.lists(st.tuples(st.sampled_from(SETTINGS), st.one_of(st.none(), st.text('ab "\\#;', max_size=4))), max_size=8),
)
def test_any_series_of_edits_ends_in_what_was_asked(
    tmp_path: Path, start: str, changes: list[tuple[str, str | None]]
) -> None:
    path = tmp_path / "series"
    path.write_text(start)
    wanted = {value.name: value.text for value in read(path).values}
    for name, text in changes:
        config.edit(str(path), {name: text})
        wanted.pop(name, None)
        if text is not None:
            wanted[name] = text
    assert {value.name: value.text for value in read(path).values} == wanted


def test_a_new_local_file_is_for_its_owner_only(tmp_path: Path) -> None:
    config.edit(str(tmp_path / "new/config.local"), {"remote.a.secret_access_key": "x"})
    assert (tmp_path / "new/config.local").stat().st_mode & 0o777 == 0o600


def test_editing_keeps_the_mode(file: Path) -> None:
    file.write_text("")
    file.chmod(0o640)
    config.edit(str(file), {"core.hash": "sha256"})
    assert file.stat().st_mode & 0o777 == 0o640


def test_editing_a_file_that_cannot_be_read_changes_nothing(file: Path) -> None:
    for data in (b"[core\n", b"[core]\nremote = \xff\n"):
        file.write_bytes(data)
        with pytest.raises(ConfigError):
            config.edit(str(file), {"core.hash": "sha256"})
        assert file.read_bytes() == data


def test_the_levels_lie_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("DVC_LIKE_CONFIG_GLOBAL")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    files = config.default_files(str(tmp_path / ".dvc-like"))
    assert list(files) == list(config.LEVELS)
    if os.name == "posix":
        assert files["global"] == str(tmp_path / "dvc-like/config")
    assert files["project"] == str(tmp_path / ".dvc-like/config")
    assert set(config.default_files(None)) == {"system", "global"}
