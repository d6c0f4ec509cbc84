"""What every command has: help with examples, --json, -q, -v, --cd, before or after its name; and the words around."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.place import Place
from tests.conftest import Cli

import dvc_like
from dvc_like.cli.table import COMMANDS, HIDDEN

#: A call of every command that succeeds in the project below, and the name of its document.
CALLS = {
    "init": ["init", "--force"],
    "migrate": ["migrate"],
    "add": ["add", "data"],
    "commit": ["commit"],
    "status": ["status"],
    "diff": ["diff"],
    "log": ["log", "single"],
    "ls": ["ls"],
    "du": ["du"],
    "checkout": ["checkout"],
    "fetch": ["fetch"],
    "pull": ["pull"],
    "push": ["push"],
    "import-url": ["import-url", "single", "copied"],
    "remove": ["remove", "single"],
    "move": ["move", "data", "moved"],
    "unprotect": ["unprotect", "data"],
    "remote-list": ["remote", "list"],
    "remote-add": ["remote", "add", "other", "/mnt/other", "--force"],
    "remote-modify": ["remote", "modify", "storage", "jobs", "4"],
    "remote-default": ["remote", "default"],
    "config": ["config", "core.remote"],
    "cache-dir": ["cache", "dir"],
    "get": ["get", ".", "single", "-o", "../got", "--force"],
    "import": ["import", ".", "single", "-o", "imported"],
    "update": ["update"],
    "drop": ["drop", "data"],
    "undo": ["undo"],
    "gc": ["gc", "--workspace"],
    "fsck": ["fsck"],
    "doctor": ["doctor"],
    "completion": ["completion", "fish"],
    "check-ignore": ["check-ignore", "x.tmp"],
    "verify": ["verify"],
    "install": ["install"],
    "uninstall": ["uninstall"],
    "root": ["root"],
    "git-hook": ["git-hook", "post-checkout", "HEAD", "HEAD", "1"],
    "git-merge": ["git-merge", *["data.meta"] * 4],
    "git-textconv": ["git-textconv", "data.meta"],
}
#: What brings back the state in which the call succeeds.
AGAIN = {"remove": ["add", "single"], "move": ["move", "moved", "data"]}
#: What was asked for is printed with -q as well.
ANSWERS = {"remote-list", "remote-default", "config", "cache-dir", "completion", "root", "git-textconv"}


@pytest.fixture
def ready(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    place.track({"data/x": "1", "single": "2"})
    place.write({".dvc-likeignore": "*.tmp\n"})
    place.push()
    monkeypatch.chdir(tmp_path)
    return place


@pytest.mark.parametrize("name", CALLS)
def test_common_options_stand_before_and_after_the_name(ready: Place, cli: Cli, name: str) -> None:
    first, *rest = CALLS[name]

    def again() -> None:
        if name in AGAIN:
            cli(*AGAIN[name], "--cd", ready.root)

    before = cli("--json", "--cd", ready.root, first, *rest)
    again()
    after = cli(first, *rest, "--cd", ready.root, "--json")
    again()
    for done in (before, after):
        assert len(done.out.splitlines()) == 1, "one document on stdout, and nothing else"
        assert done.json["schema"] == f"dvc-like/{name}/1"
        assert done.err == ""
    quiet = cli("-q", first, *rest, "--cd", ready.root)
    assert quiet.err == ""
    assert bool(quiet.out) == (name in ANSWERS)
    again()
    assert cli(first, *rest, "-v", "--cd", ready.root).err == ""


def test_every_command_is_covered_here() -> None:
    assert {call[0] for call in CALLS.values()} == set(COMMANDS)


HELP = [
    *([name] for name in COMMANDS),
    *(["remote", sub] for sub in ("add", "list", "modify", "remove", "rename", "default")),
    ["cache", "dir"],
]


@pytest.mark.parametrize("words", HELP, ids="-".join)
def test_help_explains_and_has_examples(cli: Cli, words: list[str]) -> None:
    done = cli(*words, "--help")
    assert done.out.startswith(f"Usage: dvc-like {' '.join(words)}")
    assert "Examples:" in done.out
    examples = done.out.partition("Examples:")[2].strip().splitlines()
    assert any(f"dvc-like {words[0]}" in line for line in examples)
    assert "--json" in done.out
    assert max(map(len, done.out.splitlines())) <= 120


def test_help_of_everything_lists_every_command_and_the_exit_codes(cli: Cli) -> None:
    out = cli("--help").out
    for name, (_, about) in COMMANDS.items():
        if name in HIDDEN:
            assert name not in out
            continue
        assert name in out
        assert about.split(",")[0].split(" of ")[0][:30] in out
    assert "141 closed pipe" in " ".join(out.split())
    assert cli("-h").out == out


def test_no_arguments_show_the_help(cli: Cli) -> None:
    done = cli(code=(0, 2))
    assert "Usage: dvc-like" in done.out + done.err
    assert "error:" not in done.out + done.err


def test_version(cli: Cli) -> None:
    import dvc_like

    for words in (["--version"], ["-V"]):
        assert cli(*words).out == f"dvc-like {dvc_like.__version__}\n"


def test_an_unknown_command_option_or_too_much_is_a_usage_error(place: Place, cli: Cli) -> None:
    for words in (["frobnicate"], ["status", "--frobnicate"], ["root", "extra"], ["--frobnicate"]):
        done = cli(*words, code=2)
        assert words[-1] in done.err
        assert "--help" in done.err
        assert "Traceback" not in done.err


@pytest.mark.parametrize(
    "line",
    [
        "--json status --frobnicate",
        "status --json --frobnicate",
        "status --frobnicate --json",
        "--frobnicate --json",
        "--json frobnicate",
        "--json",
        "--json remote",
        "remote --json frobnicate",
        "add --json",
        "fetch -j 0 --json",
        "fsck --json --cd",
        "gc --json --grace soon",
    ],
)
def test_usage_errors_are_documents_too(place: Place, cli: Cli, line: str) -> None:
    done = cli(*line.split(), code=2)
    assert done.json["schema"] == "dvc-like/error/1"
    assert (done.json["error"]["kind"], done.json["error"]["exit_code"]) == ("UsageError", 2)
    assert done.err.startswith(f"error: {done.json['error']['message']}\n")


def test_a_path_called_like_the_option_asks_for_no_document(place: Place, cli: Cli) -> None:
    assert cli("status", "--frobnicate", "--", "--json", code=2).out == ""


def test_errors_are_documents_on_stdout_and_lines_on_stderr(place: Place, cli: Cli) -> None:
    done = cli("add", "nope", "--json", code=2)
    assert set(done.json["error"]) == {"kind", "message", "hint", "details", "exit_code"}
    assert done.err.startswith("error: nope does not exist\nhint: ")


def test_quiet_still_says_errors(place: Place, cli: Cli) -> None:
    done = cli("-q", "add", "nope", code=2)
    assert done.out == ""
    assert "nope" in done.err


def test_a_folder_to_change_to_that_is_not_there(place: Place, cli: Cli) -> None:
    assert "gone" in cli("--cd", "gone", "status", code=2).err
    cli("status", "--cd", "gone", code=2)


def test_debug_shows_where_an_error_comes_from(place: Place, cli: Cli) -> None:
    assert "Traceback" not in cli("add", "nope", code=2).err
    assert "Traceback" in cli("add", "nope", "--debug", code=1).err


def test_long_reports_are_cut_unless_verbose(place: Place, cli: Cli) -> None:
    place.write({f"data/{n:03}": str(n) for n in range(60)})
    place.add("data")
    place.write({f"data/{n:03}": f"changed {n}" for n in range(60)})
    assert "more (-v shows all)" in cli("status").out
    assert "data/059" not in cli("status").out
    assert "data/059" in cli("status", "-v").out
    place.save()
    done = cli("checkout", code=5)
    assert "more (-v shows all)" in done.err
    assert "data/059" in cli("checkout", "-v", code=5).err


def test_output_without_a_terminal_has_no_colour_and_no_bars(place: Place, cli: Cli) -> None:
    place.write({"x": "1"})
    done = cli("add", "x")
    assert "\x1b" not in done.out + done.err


def test_names_are_printed_whatever_the_locale(place: Place, cli: Cli) -> None:
    place.write({"données/héllo wörld ✓.txt": "1"})
    place.add("données")
    place.write({"données/héllo wörld ✓.txt": "2"})
    done = cli("status", env={"LC_ALL": "C", "PYTHONIOENCODING": None, "PYTHONUTF8": None, "LANG": None})
    assert "h" in done.out
    found = cli("status", "--json").json
    assert found["targets"][0]["changes"][0]["path"] == "données/héllo wörld ✓.txt"


def test_an_ascii_only_stdout_does_not_break_a_report(place: Place, cli: Cli) -> None:
    place.write({"ünï": "1"})
    done = cli("add", "ünï", env={"PYTHONIOENCODING": "ascii"})
    assert "added" in done.out
    place.write({"ünï": "2"})
    cli("status", "--json", env={"PYTHONIOENCODING": "ascii"})


def test_a_broken_stdout_is_no_traceback(place: Place) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full here")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "dvc_like", "root"], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr


def test_documents_of_all_commands_parse_one_by_one(ready: Place, cli: Cli) -> None:
    lines = [cli("--cd", ready.root, *words, "--json").out for words in (["status"], ["root"], ["fsck"])]
    assert all(isinstance(json.loads(line), dict) for line in lines)


def test_the_command_of_a_hint_can_be_typed_where_one_stands(place: Place, cli: Cli) -> None:
    place.write({"two words/raw data/-x": "tracked by Git"})
    place.git("add", "-A")
    folder = place / "two words/raw data"
    said = cli("add", "--", "-x", cwd=folder, code=2).err
    documented = json.loads(cli("--json", "add", "./-x", cwd=folder, code=2).out)["error"]["hint"]
    for hint in (said, documented):
        command = hint.split("`")[1]
        subprocess.run(f"{command} --dry-run", shell=True, cwd=folder, check=True)
    assert "`git rm -r --cached ./-x`" in said


def test_a_hint_in_python_names_paths_from_the_root(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.write({"raw/x": "tracked by Git"})
    place.git("add", "-A")
    monkeypatch.chdir(place / "raw")
    with pytest.raises(dvc_like.DvcLikeError) as caught:
        dvc_like.add(place.project, [place / "raw/x"])
    assert "`git rm -r --cached raw/x`" in caught.value.hint


# ------------------------------------------------------------------------------ what a newcomer types


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        ("statsu", "no such command 'statsu'", "Did you mean `dvc-like status`?"),
        ("list", "no such command 'list'", "Did you mean `dvc-like ls`?"),
        ("remote lst", "no such command 'lst'", "Did you mean `dvc-like remote list`?"),
        ("frobnicate", "no such command 'frobnicate'", "See `dvc-like --help`."),
        (
            "completion",
            "missing argument '{bash|zsh|fish}'. Choose from: bash, zsh, fish",
            "See `dvc-like completion --help`.",
        ),
        (
            "config remote.s.nope 1",
            "there is no setting 'remote.s.nope'",
            "remote.NAME. goes on with one of: url, jobs, ",
        ),
        ("config nope", "there is no setting 'nope'", "They begin with core., profile.NAME., "),
        ("import-url ftp://no.such.host.invalid/x", "name of the server is not known", "address and the network"),
    ],
)
def test_what_is_misspelt_is_told_in_one_line_with_a_way_out(
    place: Place, cli: Cli, words: str, message: str, hint: str
) -> None:
    lines = cli(*words.split(), code=(2, 6)).err.splitlines()
    assert len(lines) == 2
    assert message in lines[0]
    assert hint in lines[1]


def test_before_the_first_commit(tmp_path: Path, cli: Cli) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path / "new")], check=True)
    cli("init", "-q", cwd=tmp_path / "new")
    for words in (("diff", "HEAD"), ("verify",)):
        assert "no commit yet" in cli(*words, cwd=tmp_path / "new", code=2).err
    cli("remote", "add", "-d", "s", "../store", cwd=tmp_path / "new")
    assert cli("push", cwd=tmp_path / "new").out == "There is nothing to send.\n"
    assert cli("pull", cwd=tmp_path / "new").out.startswith("There is nothing to fetch.\n")


@pytest.mark.parametrize("group", [(), ("remote",), ("cache",)])
def test_no_line_of_a_list_of_commands_is_cut_off(cli: Cli, group: tuple[str, ...]) -> None:
    lines = cli(*group, "--help").out.splitlines()
    cut = [line for line in lines if line.startswith("  ") and line.endswith("...")]
    assert [line for line in cut if not line.endswith("scheme://...")] == []
