"""The reference and the architecture page against the code: whatever they list is there, and nothing is left out.

Where a page can be made from the code it is made again and compared; where people wrote it, its tables are read. The
document of every command is compared with the one the real command prints.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import inspect
import io
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import click
import pytest
from tests.servers.drive import DriveServer

import dvc_like
from dvc_like import config, config_keys, errors
from dvc_like.cache.place import DEFAULT_TYPES
from dvc_like.cli import shell
from dvc_like.cli.table import COMMANDS
from dvc_like.ops import _commit_check, _store
from dvc_like.ops.settings import split
from dvc_like.progress import SILENT
from dvc_like.remote import base, registry

group = shell.group
ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"
SOURCE = ROOT / "src/dvc_like"
REPOSITORY = "https://github.com/dvc-like/dvc-like/"


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def page(name: str) -> str:
    return read(DOCS / name)


def load(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[name]
    return module


def table(text: str, head: str) -> list[list[str]]:
    """Return the rows of the table whose head line begins with `head`."""
    lines = text[text.index(f"\n| {head}") + 1 :].split("\n")
    rows = []
    for line in lines[2:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def written(text: str) -> str:
    """Return the part of a page that people wrote."""
    return re.sub(r"<!-- begin: generated.*?<!-- end: generated -->", "", text, flags=re.S)


def blocks(text: str, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", text, re.M | re.S)


# ------------------------------------------------------------------------------ generated pages


@pytest.mark.parametrize("name", ["cli.md", "python.md", "backends.md"])
def test_page_is_what_the_code_says(name: str) -> None:
    made = load(REFERENCE / "generate.py", "generate").pages()
    assert made[name] == page(f"reference/{name}"), "run: python docs/reference/generate.py"


def commands() -> Iterator[tuple[str, click.Command]]:
    """Yield every command with all its words."""

    def visit(words: str, command: click.Command, context: click.Context) -> Iterator[tuple[str, click.Command]]:
        yield words, command
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                below = command.get_command(context, name)
                assert below is not None
                yield from visit(f"{words} {name}", below, context)

    yield from visit("dvc-like", group, click.Context(group))


ALL_COMMANDS = dict(commands())


def test_every_command_and_option_is_on_the_page() -> None:
    text = page("reference/cli.md")
    for words, command in ALL_COMMANDS.items():
        section = text.partition(f"# {words}\n")[2].partition("\n##")[0] if words != "dvc-like" else text
        assert section, words
        for option in command.params:
            if isinstance(option, click.Option):
                for name in option.opts:
                    assert f"`{name}" in section or f"`{name}" in text.partition("\n## dvc-like")[0], (words, name)


@pytest.mark.parametrize("words", [words for words in ALL_COMMANDS if words != "dvc-like"])
def test_command_has_help(words: str) -> None:
    command = ALL_COMMANDS[words]
    assert command.help
    assert command.help.strip().endswith((".", "...")), words
    assert all(option.help for option in command.params if isinstance(option, click.Option)), words


def examples() -> Iterator[str]:
    for command in ALL_COMMANDS.values():
        for line in re.findall(r"^  (.+)$", (command.epilog or "").partition("Examples:\n")[2], re.M):
            if match := re.search(r"(?:^|&& )(dvc-like [^)]*)$", line):
                yield match[1]


@pytest.mark.parametrize("example", [*examples()])
def test_example_of_the_help_can_be_parsed(example: str) -> None:
    command: click.Command = group
    context, rest = click.Context(group), shlex.split(example)[1:]
    while isinstance(command, click.Group):
        below = command.get_command(context, rest[0])
        assert below is not None, example
        command, rest = below, rest[1:]
    command.make_context(example, rest)


def test_the_table_of_commands_is_whole() -> None:
    assert {path.stem.rstrip("_").replace("_", "-") for path in (SOURCE / "cli").glob("*.py")} >= set(COMMANDS)
    for name, (place, about) in COMMANDS.items():
        assert place.startswith("dvc_like.cli.")
        assert re.fullmatch(r"[A-Z].{10,60}\.", about), name


# ------------------------------------------------------------------------------ errors


def kinds() -> dict[str, type[errors.DvcLikeError]]:
    return {
        name: found
        for name, found in vars(errors).items()
        if inspect.isclass(found) and issubclass(found, errors.DvcLikeError)
    }


def test_every_kind_of_error_is_listed() -> None:
    listed = {}
    for first, code, when in table(page("reference/errors.md"), "kind"):
        marks, name = re.fullmatch(r"((?:- )*)`(\w+)`", first).groups()  # type: ignore[union-attr]
        assert when
        listed[name] = (marks.count("-"), int(code))
    actual = {name: (found.__mro__.index(errors.DvcLikeError), found.exit_code) for name, found in kinds().items()}
    assert listed == actual


def test_kinds_are_below_their_bases() -> None:
    above: list[str] = []
    for first, *_ in table(page("reference/errors.md"), "kind"):
        depth, name = first.count("- "), first.rpartition("`")[0].rpartition("`")[2]
        above = [*above[:depth], name]
        assert [base.__name__ for base in reversed(kinds()[name].__mro__)][-len(above) :] == above


def test_every_exit_code_is_listed() -> None:
    listed = {int(code) for code, _ in table(page("reference/errors.md"), "exit code")}
    assert listed == {found.exit_code for found in kinds().values()} | {0, 130, 141, 143}
    assert {int(code) for code in re.findall(r"(\d+)\s[a-z]", (group.epilog or "").partition("codes:")[2])} == listed


def test_the_tree_in_the_source_is_whole() -> None:
    drawn = re.findall(r"^ {4}[| `-]*(\w+)", errors.__doc__ or "", re.M)
    assert sorted(drawn) == sorted(kinds())


# ------------------------------------------------------------------------------ configuration


def settings() -> dict[str, str]:
    """Return every setting as the page writes it, and whether the tracked file may hold it."""
    return {
        f"{section}.NAME.{key}" if section in config.NAMED else f"{section}.{key}": _may_be_tracked(found)
        for section, keys in config_keys.KEYS.items()
        for key, found in keys.items()
    }


def _may_be_tracked(key: config.Key) -> str:
    return ("yes" if not key.least else f"from {int(key.least)} up") if key.tracked else "no"


def settings_listed() -> dict[str, list[str]]:
    return {name.strip("`"): rest for name, *rest in table(page("reference/config.md"), "setting")}


def test_every_setting_is_listed() -> None:
    assert {name: rest[2] for name, rest in settings_listed().items()} == settings()
    for name in settings_listed():
        assert split(name.replace("NAME", "storage"))


def test_defaults_are_those_of_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = {name: rest[1].strip("`") for name, rest in settings_listed().items()}
    project = dvc_like.init(tmp_path / "p", git=False)
    assert listed["core.hash"] == project.algorithm
    assert float(listed["core.locktimeout"]) == project.lock_timeout
    assert listed["cache.dir"] == os.path.relpath(project.cache_dir, project.root).replace(os.sep, "/")
    assert tuple(listed["cache.type"].split(",")) == DEFAULT_TYPES
    assert float(listed["gc.grace"]) == config.GRACE
    assert float(listed["hooks.largefile"]) == _commit_check.LARGE
    assert (listed["core.autostage"] == "true") == project.config.flag("core.autostage")

    seen: dict[str, Any] = {}

    def wrap(backend: base.Backend, **options: Any) -> base.Backend:
        seen.update(options)
        return backend

    monkeypatch.setattr(_store, "wrap", wrap)
    Path(project.folder, "config.local").write_text('[remote "storage"]\n\turl = memory://docs\n')
    project = dvc_like.Project.find(project.root)
    with _store.open_store(project, "storage", jobs=None, create=False, progress=SILENT) as store:
        assert seen["attempts"] - 1 == int(listed["remote.NAME.retries"])
        assert store.jobs == store.backend.capabilities.concurrency


def test_the_syntax_example_is_read(tmp_path: Path) -> None:
    (text,) = blocks(page("reference/config.md"), "ini")
    (tmp_path / "config").write_text(text)
    found = config.Config({"local": str(tmp_path / "config")})
    assert found.get("core.remote") == "storage"
    assert found.flag("core.autostage")
    assert found.remotes() == {"storage": {"url": "/mnt/disk 2/store", "jobs": "8"}}


def test_every_level_is_listed() -> None:
    assert tuple(row[0] for row in table(page("reference/config.md"), "level")) == config.LEVELS


def test_every_variable_of_the_environment_is_listed() -> None:
    listed = set(re.findall(r"`([A-Z_]+)`", " ".join(row[0] for row in table(page("reference/config.md"), "variable"))))
    used = set()
    for path in SOURCE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        used |= set(re.findall(r"environ(?:\.get\(|\[)\"([A-Z_]+)\"", text))
        used |= set(re.findall(r"\"([A-Z_]+)\" (?:not )?in os\.environ", text))
    assert listed == used - {"COMPUTERNAME"}  # only the name of this machine, where Windows keeps it


# ------------------------------------------------------------------------------ JSON


class Document(NamedTuple):
    """One table and one example of the page."""

    schema: str
    variant: str
    fields: dict[str, str]
    example: Any


def documents() -> dict[tuple[str, str], Document]:
    found = {}
    for section in page("reference/json.md").split("\n## ")[1:]:
        schema = section.partition("\n")[0]
        parts = section.split("\n### ")
        for part in parts[1:] or parts:
            variant = part.partition("\n")[0] if parts[1:] else ""
            fields = {row[0].strip("`"): row[1] for row in table(part, "field")}
            (example,) = blocks(part, "json")
            found[schema, variant] = Document(schema, variant, fields, json.loads(example))
    return found


DOCUMENTS = documents()
FITS: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "string or null": lambda value: value is None or isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "integer or null": lambda value: value is None or FITS["integer"](value),
    "boolean": lambda value: isinstance(value, bool),
    "boolean or null": lambda value: value is None or isinstance(value, bool),
    "list of strings": lambda value: isinstance(value, list) and all(isinstance(one, str) for one in value),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "map": lambda value: isinstance(value, dict),
    "map or null": lambda value: value is None or isinstance(value, dict),
}


def leaves(value: Any, fields: dict[str, str], path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (path, value) of everything in a document down to what the table has a row for."""
    if path in fields:
        yield path, value
    elif isinstance(value, dict):
        for key, below in value.items():
            yield from leaves(below, fields, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and all(isinstance(one, dict) for one in value):
        for one in value:
            yield from leaves(one, fields, f"{path}[]")
    else:
        yield path, value


def check(document: Document, printed: Any) -> set[str]:
    """Check what was printed against the table; return the fields that were in it."""
    seen = set()
    for path, value in leaves(printed, {**document.fields, "schema": "string"}):
        if path == "schema":
            assert value == document.schema
            continue
        assert path in document.fields, f"{document.schema}: {path} is not in the table"
        assert FITS[document.fields[path]](value), f"{document.schema}: {path} = {value!r}"
        seen.add(path)
    return seen


@pytest.mark.parametrize("key", DOCUMENTS, ids=" ".join)
def test_example_has_the_fields_of_its_table(key: tuple[str, str]) -> None:
    document = DOCUMENTS[key]
    assert check(document, document.example) == set(document.fields)


Printed = dict[tuple[str, str], list[Any]]


@pytest.fixture
def keep_gc() -> Iterator[None]:
    """Let the command tune the garbage collector for itself only."""
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


@pytest.fixture
def printed(repo: Path, keep_gc: None, drive_server: DriveServer) -> Printed:
    """What every command prints, one after the other."""
    found: Printed = {}

    def run(*words: str, code: int = 0, variant: str = "") -> None:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            assert shell.run([*words, "--json"]) == code, words
        for line in out.getvalue().splitlines():
            document = json.loads(line)
            kind = variant if document["schema"] != "dvc-like/error/1" else ""
            found.setdefault((document["schema"], kind), []).append(document)

    def write(name: str, text: str) -> None:
        path = repo / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def commit(message: str) -> str:
        for words in (["add", "-A"], ["commit", "-q", "--no-verify", "-m", message]):
            subprocess.run(["git", *words], check=True)
        return subprocess.run(["git", "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()

    run("init")
    write("data/frames/day1/a.txt", "one\n")
    write("data/frames/day2/b.txt", "two\n")
    write("model.bin", "m\n")
    run("add", "data/frames", "model.bin")
    write("data/frames/day1/a.txt", "changed\n")
    run("status", "--exit-code", code=10)
    run("diff", "--content")
    run("ls", "data/frames")
    run("du")
    run("checkout", code=5)
    base = (repo / "data/frames.meta").read_text()
    run("commit")
    write("base", base)
    write("ours", (repo / "data/frames.meta").read_text())
    write("data/frames/day1/a.txt", "changed otherwise\n")
    run("commit")
    write("theirs", (repo / "data/frames.meta").read_text())
    run("git-merge", "base", "ours", "theirs", "data/frames.meta", code=1)
    run("git-textconv", "ours")
    run("remote", "add", "-d", "storage", "../storage")
    run("remote", "list")
    run("remote", "modify", "storage", "jobs", "2")
    run("remote", "add", "other", "../other")
    run("remote", "rename", "other", "another")
    run("remote", "remove", "another")
    run("remote", "default")
    run("remote", "test")
    run("remote", "add", "drive", "gdrive://root")
    run("remote", "modify", "--local", "drive", "endpointurl", drive_server.url)
    write("../login.json", json.dumps(drive_server.authorized_user()))
    run("remote", "login", "drive", "--token-from", "../login.json")
    run("remote", "whoami", "drive")
    run("remote", "logout", "drive")
    run("remote", "remove", "drive")
    run("status", "--cloud")
    for words in (("add", "-A"), ("commit", "-q", "-m", "state")):
        subprocess.run(["git", *words], check=True)
    run("verify", "--pushed", code=10)
    run("push")
    run("status", "--cloud")
    write("model.bin", "another\n")
    run("commit", "model.bin")
    run("push")
    run("drop", "model.bin")
    run("undo", variant="Undoing")
    run("undo", "--list", variant="Listing")
    run("gc", "--workspace", "--cloud", "--grace", "0", "--force", variant="Collecting")
    (repo / "data/frames/day1/a.txt").unlink()
    run("checkout")
    for path in (repo / ".dvc-like/cache/files").rglob("*"):
        os.utime(path, (0, 0))
    run("gc", "--workspace", variant="Collecting")
    run("gc", "--undo", variant="Taking back")
    run("fsck", variant="The cache")
    run("fsck", "--remote", "storage", variant="A remote")
    run("fetch")
    run("pull")
    run("config", "core.remote", variant="Reading one setting")
    run("config", "core.hash", code=1, variant="Reading one setting")
    run("config", "core.autostage", "true", variant="Setting one")
    run("config", "--list", variant="Listing them")
    run("root")
    run("install")
    main = commit("all")
    write("model.bin", "newer\n")
    run("git-hook", "pre-commit", "--warn")
    run("git-hook", "pre-commit", code=10)
    run("commit")
    run("git-hook", "post-checkout", main, commit("newer"), "1")
    run("uninstall")
    write(".dvc-likeignore", "*.tmp\n")
    run("check-ignore", "x.tmp", "y")
    for words in (("add", "-A"), ("commit", "-q", "-m", "all")):
        subprocess.run(["git", *words], check=True)
    run("log", "data/frames")
    run("completion", "bash")
    run("doctor")
    (repo / ".dvc-like/config.local").write_text("[core]\n\tunknown = 1\n")
    run("doctor", code=1)
    (repo / ".dvc-like/config.local").unlink()
    run("cache", "dir")
    run("cache", "dir", "../cache")
    run("cache", "dir", "--unset")
    run("get", ".", "model.bin", "-o", "../got.bin")
    run("import", ".", "model.bin", "-o", "best.bin")
    run("import", ".", "data/frames", "-o", "frames")
    write("model.bin", "newest\n")
    run("commit", "model.bin")
    commit("newest")
    run("update", "--dry-run")
    run("update")
    run("ls")
    run("doctor")
    run("import-url", "model.bin", "imported.bin")
    run("unprotect", "data")
    run("move", "data/frames", "data/2024")
    run("remove", "--outs", "data/2024")
    write(".dvc/config", "[core]\n    autostage = true\n")
    out = f"outs:\n- md5: {'a' * 32}\n  hash: md5\n  size: 1\n"
    write("moved.dvc", f"{out}  path: moved\n")
    write("left.dvc", f"{out}  path: left\n  cache: false\n")
    run("migrate", "--dry-run")
    return found


def test_every_document_is_as_described(printed: Printed) -> None:
    assert set(printed) == set(DOCUMENTS)
    for key, found in printed.items():
        seen = [check(DOCUMENTS[key], one) for one in found]
        assert set().union(*seen) == set(DOCUMENTS[key].fields), key


def test_every_command_has_a_document() -> None:
    verbs = {words[len("dvc-like ") :].replace(" ", "-") for words in ALL_COMMANDS} - {"", "remote", "cache"}
    assert {f"dvc-like/{verb}/1" for verb in verbs} | {"dvc-like/error/1"} == {schema for schema, _ in DOCUMENTS}


# ------------------------------------------------------------------------------ Python and backends


def test_python_example_prints_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = written(page("reference/python.md"))
    (code,), (output,) = blocks(text, "python"), blocks(text, "text")
    monkeypatch.chdir(tmp_path)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, "python.md", "exec"), {"__name__": "example"})
    assert out.getvalue() == output


def test_every_public_name_is_described() -> None:
    headings = set(re.findall(r"^### (\w+)$", page("reference/python.md"), re.M))
    assert set(dvc_like.__all__) - {"__version__"} <= headings


def test_what_the_page_shows_of_the_example_is_its_text() -> None:
    example = ROOT / "examples/custom-backend"
    files = [example / "pyproject.toml", *example.rglob("*.py")]
    lines = {line for path in files for line in read(path).split("\n")}
    text = written(page("reference/backends.md"))
    shown = "".join(blocks(text, "python") + blocks(text, "toml")).split("\n")
    assert len(shown) > 10
    assert not [line for line in shown if line not in lines]


def test_every_method_of_a_backend_is_described() -> None:
    methods = [name for name, found in vars(base.Backend).items() if inspect.isfunction(found)]
    text = page("reference/backends.md")
    assert re.findall(r"^### ([a-z]+)", text, re.M) == methods
    assert {6: "six", 7: "seven", 8: "eight"}[len(methods)] in text
    for error in ("RemoteNotFound", "RemoteDenied", "RemoteUnavailable", "RemoteQuota"):
        assert f"| `{error}` |" in text
        assert f"`{error}`" in (base.__doc__ or "")


def test_the_entry_point_is_the_one_that_is_read() -> None:
    (toml,) = blocks(page("reference/backends.md"), "toml")
    group_name, scheme = re.match(r'\[project\.entry-points\."([^"]+)"\]\n(\w+) = ', toml).groups()  # type: ignore[union-attr]
    assert group_name == registry.ENTRY_POINTS
    assert scheme not in registry.BUILT_IN


# ------------------------------------------------------------------------------ architecture, links


def test_the_table_of_imports_is_the_tested_one() -> None:
    tested = load(ROOT / "tests/test_architecture.py", "architecture")
    rules, leaves, nouns = tested.MAY_IMPORT, tested.LEAVES, set(tested.NOUNS)
    listed = {}
    for unit, _, may in table(page("architecture.md"), "unit"):
        units = set(re.findall(r"`(\w+)`", may))
        units |= leaves if "leaves" in may else set()
        units |= nouns if "nouns" in may else set()
        listed[unit.strip("`")] = units
    dunder = {"__init__", "__main__", "_version"}
    assert listed == {unit: set(may) - dunder for unit, may in rules.items() if unit not in dunder}


def pages() -> list[Path]:
    return sorted(path for path in DOCS.rglob("*.md") if "changes" not in path.parts)


@pytest.mark.parametrize("path", pages(), ids=lambda path: str(path.relative_to(DOCS)))
def test_links_and_paths_lead_somewhere(path: Path) -> None:
    text = re.sub(r"```.*?```", "", read(path), flags=re.S)
    for target in re.findall(r"\]\(([^)#:]*)(?:#[^)]*)?\)", text):
        inside = DOCS in (path.parent / target).resolve().parents
        assert not target or inside, f"{target} is not on the docs site: link to {REPOSITORY}blob/main/..."
        assert (path.parent / target).exists(), target
    for target in re.findall(rf"{re.escape(REPOSITORY)}(?:blob|tree)/main/([^)#\s]+)", text):
        assert (ROOT / target).exists(), target
    for target, anchor in re.findall(r"\]\(([^)#:]*)#([^)]*)\)", text):
        other = read(path.parent / target if target else path)
        known = {anchor_of(heading) for heading in re.findall(r"^#+ (.+)$", other, re.M)}
        assert anchor in known, f"{target}#{anchor}"
    for name in re.findall(r"`((?:[a-z_]+/)*[a-z_]+\.py)`", text):
        place = ROOT if name.startswith(("tests/", "docs/")) else SOURCE
        assert (place / name).exists(), name


def anchor_of(heading: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def test_every_page_is_reached_from_the_index() -> None:
    linked = set(re.findall(r"\]\(([^)]+)\)", page("index.md")))
    assert {str(path.relative_to(DOCS)).replace(os.sep, "/") for path in pages()} - {"index.md"} <= linked


def test_no_line_is_longer_than_120() -> None:
    """A row of a table cannot be broken; that of safety is made of the names of tests."""
    for path in pages():
        if path.name in ("format.md", "benchmarks.md", "coming-from-dvc.md"):
            continue
        for number, line in enumerate(read(path).split("\n"), 1):
            is_free = path.name == "safety.md" and line.startswith("|")
            assert is_free or len(line) <= 120, f"{path.name}:{number}"
