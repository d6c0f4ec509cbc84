"""The architecture as a test: who may import whom, who may touch the terminal, how big a piece may get.

Reads the source with `ast` and runs none of it. Every check is a function from modules to complaints, so the
second half of this file can plant violations in small made-up packages and see each of them found.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = "dvc_like"
SOURCE = Path(__file__).resolve().parents[1] / "src" / PACKAGE

NOUNS = ("workspace", "meta", "cache", "remote")
LEAVES = frozenset({"errors", "digest", "paths", "progress", "fsutil", "durable", "homes", "locks", "statefile"})

#: The table of docs/architecture.md. A unit is a file or a folder of the package; within itself it may import
#: freely (but never in a circle). A unit that is not listed here is refused.
MAY_IMPORT: dict[str, frozenset[str]] = {
    "__init__": frozenset({"_version"}),
    "__main__": frozenset({"cli"}),
    "_version": frozenset(),
    "errors": frozenset(),
    "digest": frozenset({"errors"}),
    "paths": frozenset({"errors"}),
    "progress": frozenset({"errors"}),
    "fsutil": frozenset({"errors"}),
    "durable": frozenset({"errors", "fsutil"}),  # what to flush, and in which order
    "homes": frozenset(),  # where the user's and the machine's own files lie
    "locks": frozenset({"errors"}),
    "statefile": frozenset(),  # the SQLite files that may be lost
    "gitconfig": frozenset({"errors", "paths"}),  # the syntax of the configuration
    "config_keys": LEAVES,  # which settings there are
    "config": LEAVES | {"gitconfig", "config_keys"},
    "git": LEAVES,
    "git_log": LEAVES | {"git"},  # what Git recorded
    "workspace": LEAVES,
    "meta": LEAVES,
    "cache": LEAVES,
    "remote": LEAVES,
    "project": LEAVES | {"config", "git", *NOUNS},
    "ops": LEAVES | {"project", "config", "git", "git_log", *NOUNS},
    "integrations": LEAVES | {"ops", "project", "config", "git", "git_log", *NOUNS},  # loaded by entry points alone
    "cli": frozenset({"ops", "project", "config", "progress", "errors", "paths", "_version"}),
    "testing": frozenset({"remote", "errors"}),
}

#: Modules that may import others of the package while they run, and why.
LAZY = {
    "": "the public names are resolved when they are first used",
    "cli.console": "needs the project only where a hint names a path to be typed",
    "cli.main": "answers --version without loading the shell",
    "cli.table": "names the commands, imports none",
    "ops.status": "asks remotes only with --cloud, and runs all day without",
    "cli.shell": "loads the one command that is run",
    "remote.registry": "loads the one backend whose scheme is used",
}
#: Modules that hold "module:name" strings. They must hold some: a table in another form would not be checked.
TABLES = ("cli.table", "remote.registry")

#: Imports that belong to one place.
ONLY_IN = {"click": {"cli"}, "rich": {"cli"}, "getpass": {"cli"}, "subprocess": {"git"}}
#: The shell and what starts it: all others take a `Progress`, raise errors and return values.
TERMINAL = {"cli", "__main__"}

MAX_LINES = 400
HARD_MAX_LINES = 500
#: Files between the two limits, each with the reason why it is still one thing.
LONG_FILES: dict[str, str] = {}
MAX_FUNCTION_LINES = 60
MAX_METHODS = 20  # without __dunders__, which are Python's and not ours
MAX_BACKEND_METHODS = 8
VAGUE_NAMES = {"util", "utils", "helper", "helpers", "common", "misc", "tools", "mixin", "mixins"}

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class Import(NamedTuple):
    """One import of a module of the package: where it stands, and whether it is carried out later."""

    target: str
    line: int
    lazy: bool


@dataclass(frozen=True)
class Module:
    """One file. `name` is dotted and relative to the package; the package itself is the empty name."""

    name: str
    source: str
    is_package: bool = False

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.source, self.label)

    @property
    def label(self) -> str:
        path = self.name.replace(".", "/")
        return f"{path}/__init__.py".lstrip("/") if self.is_package else f"{path}.py"

    @property
    def unit(self) -> str:
        return self.name.partition(".")[0] or "__init__"

    @property
    def package(self) -> list[str]:
        parts = self.name.split(".") if self.name else []
        return parts if self.is_package else parts[:-1]


class Modules(dict[str, Module]):
    """All modules by name."""


Check = Callable[[Modules], Iterator[str]]
CHECKS: list[Check] = []


def check(function: Check) -> Check:
    CHECKS.append(function)
    return function


def load() -> Modules:
    found = Modules()
    for path in sorted(SOURCE.rglob("*.py")):
        parts = list(path.relative_to(SOURCE).with_suffix("").parts)
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        found[name] = Module(name, path.read_text(encoding="utf-8"), is_package)
    return found


# ------------------------------------------------------------------------------ reading


def walk(node: ast.AST, inside: bool = False) -> Iterator[tuple[ast.AST, bool]]:
    """Yield every node below, and whether it lies in a function."""
    for child in ast.iter_child_nodes(node):
        yield child, inside
        yield from walk(child, inside or isinstance(child, (*FUNCTIONS, ast.Lambda)))


def imports(module: Module, modules: Modules) -> Iterator[Import]:
    """Yield the imports of the package's own modules, those of its strings included."""
    for node, lazy in walk(module.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                head, _, rest = alias.name.partition(".")
                if head == PACKAGE:
                    yield Import(rest, node.lineno, lazy)
        elif isinstance(node, ast.ImportFrom) and (base := import_base(node, module)) is not None:
            for alias in node.names:
                below = ".".join([*base, alias.name])
                yield Import(below if below in modules else ".".join(base), node.lineno, lazy)
    for target, _, line in references(module):
        yield Import(target, line, True)


def import_base(node: ast.ImportFrom, module: Module) -> list[str] | None:
    """Return the module a ``from`` import starts at, None when it is not of the package."""
    parts = node.module.split(".") if node.module else []
    if not node.level:
        return parts[1:] if parts[0] == PACKAGE else None
    up = node.level - 1
    if up > len(module.package):
        return ["(outside)"]
    return module.package[: len(module.package) - up] + parts


_REFERENCE = re.compile(r"(\w+(?:\.\w+)*):([A-Za-z_]\w*)")


def references(module: Module) -> Iterator[tuple[str, str, int]]:
    """Yield (module, name, line) for each string of the form ``dvc_like.module:name``.

    In a module-level table the package's own name may be left out by mistake, and is then missed at run time
    too: such a string is taken as a reference as well, and found to lead nowhere.
    """
    in_tables = {
        id(inner)
        for node in module.tree.body
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, ast.Dict)
        for inner in ast.walk(node.value)
    }
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            continue
        match = _REFERENCE.fullmatch(node.value)
        if match is None:
            continue
        head, _, rest = match[1].partition(".")
        if head == PACKAGE:
            yield rest, match[2], node.lineno
        elif module.name in TABLES and id(node) in in_tables:
            yield match[1], match[2], node.lineno


def defined(module: Module) -> set[str]:
    """Return the names that a module binds at its top level."""
    names: set[str] = set()
    for node, inside in walk(module.tree):
        if inside:
            continue
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names |= {alias.asname or alias.name for alias in node.names}
    return names


# ------------------------------------------------------------------------------ imports


@check
def units(modules: Modules) -> Iterator[str]:
    for unit in sorted({module.unit for module in modules.values()} - set(MAY_IMPORT)):
        yield f"{unit}: an unknown unit; give it a row in the table of imports, or a place in a unit that exists"


@check
def layers(modules: Modules) -> Iterator[str]:
    for module in modules.values():
        allowed = MAY_IMPORT.get(module.unit, frozenset())
        for found in imports(module, modules):
            if found.target not in modules:
                yield f"{module.label}:{found.line}: {PACKAGE}.{found.target} does not exist"
                continue
            unit = modules[found.target].unit
            if unit not in allowed and (unit != module.unit or unit == "__init__"):
                yield f"{module.label}:{found.line}: {module.unit} may not import {unit}"


@check
def cycles(modules: Modules) -> Iterator[str]:
    edges = {name: {found.target for found in imports(module, modules)} for name, module in modules.items()}
    done: set[str] = set()
    told: set[frozenset[str]] = set()

    def follow(name: str, trail: list[str]) -> Iterator[str]:
        if name in trail:
            circle = trail[trail.index(name) :]
            if frozenset(circle) not in told:
                told.add(frozenset(circle))
                yield "a circle of imports: " + " -> ".join([*circle, name])
            return
        if name not in done:
            for target in sorted(edges.get(name, ())):
                yield from follow(target, [*trail, name])
            done.add(name)

    for name in sorted(edges):
        yield from follow(name, [])


@check
def late_imports(modules: Modules) -> Iterator[str]:
    for module in modules.values():
        if module.name in LAZY:
            continue
        for found in imports(module, modules):
            if found.lazy:
                yield f"{module.label}:{found.line}: imports {PACKAGE}.{found.target} late; only {sorted(LAZY)} may"
        for node, _ in walk(module.tree):
            named = {alias.name for alias in node.names} if isinstance(node, (ast.Import, ast.ImportFrom)) else set()
            if {"importlib", "import_module", "__import__"} & (named | {getattr(node, "id", "")}):
                yield f"{module.label}:{node.lineno}: imports by name; only {sorted(LAZY)} may"  # type: ignore[attr-defined]


@check
def tables(modules: Modules) -> Iterator[str]:
    for module in modules.values():
        found = list(references(module))
        if module.name in TABLES and not found:
            yield f'{module.label}: holds no "{PACKAGE}.module:name" string, so nothing of it is checked'
        for target, name, line in found:
            if target in modules and name not in defined(modules[target]):
                yield f"{module.label}:{line}: {PACKAGE}.{target} defines no {name}"


@check
def public_names(modules: Modules) -> Iterator[str]:
    for node in modules[""].tree.body if "" in modules else ():
        if not isinstance(node, ast.Assign) or getattr(node.targets[0], "id", "") != "_PUBLIC":
            continue
        for name, target in ast.literal_eval(node.value).items():
            if target not in modules:
                yield f"__init__.py: {name} comes from {PACKAGE}.{target}, which does not exist"
            elif name not in defined(modules[target]):
                yield f"__init__.py: {PACKAGE}.{target} defines no {name}"
            elif modules[target].unit in TERMINAL:
                yield f"__init__.py: {name} belongs to the shell, not to the library"


@check
def package_map(modules: Modules) -> Iterator[str]:
    first = (ast.get_docstring(modules[""].tree) or "").partition("\n")[0] if "" in modules else ""
    drawn = tuple(re.findall(r"\w+", match[0])) if (match := re.search(r"\w+(?: -> \w+)+", first)) else ()
    folders = {module.name for module in modules.values() if module.is_package and module.name == module.unit}
    if drawn != NOUNS or set(drawn) != folders - {"ops", "integrations", "cli", "testing"}:
        yield f"__init__.py: its first line draws {drawn}, the folders are {sorted(folders)}"


# ------------------------------------------------------------------------------ the terminal

_TERMINAL_CALLS = {"print", "input", "exit", "quit", "breakpoint"}
_TERMINAL_ATTRIBUTES = {
    "sys": {"exit", "stdin", "stdout", "stderr", "__stdin__", "__stdout__", "__stderr__"},
    "os": {"_exit", "abort", "get_terminal_size", "isatty"},
    "shutil": {"get_terminal_size"},
}


@check
def terminal(modules: Modules) -> Iterator[str]:
    for module in modules.values():
        for node, _ in walk(module.tree):
            for what in _outside_imports(node):
                if what in ONLY_IN and module.unit not in ONLY_IN[what]:
                    yield f"{module.label}:{node.lineno}: {what} belongs into {sorted(ONLY_IN[what])}"  # type: ignore[attr-defined]
            if module.unit not in TERMINAL and (what := _terminal_use(node)):
                yield f"{module.label}:{node.lineno}: {what} is for the shell only"  # type: ignore[attr-defined]


def _outside_imports(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name.partition(".")[0] for alias in node.names]
    if isinstance(node, ast.ImportFrom) and not node.level and node.module:
        return [node.module.partition(".")[0]]
    return []


def _terminal_use(node: ast.AST) -> str:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _TERMINAL_CALLS:
        return f"{node.func.id}()"
    if isinstance(node, ast.Name) and node.id == "SystemExit":
        return node.id
    if isinstance(node, ast.Attribute):
        owner = node.value.id if isinstance(node.value, ast.Name) else ""
        if node.attr == "isatty" or node.attr in _TERMINAL_ATTRIBUTES.get(owner, ()):
            return f"{owner}.{node.attr}"
    if isinstance(node, ast.ImportFrom) and not node.level:
        taken = {alias.name for alias in node.names} & _TERMINAL_ATTRIBUTES.get(node.module or "", set())
        return f"{node.module}.{min(taken)}" if taken else ""
    return ""


# ------------------------------------------------------------------------------ sizes and names


@check
def sizes(modules: Modules) -> Iterator[str]:
    for module in modules.values():
        lines = module.source.count("\n")
        if lines > HARD_MAX_LINES:
            yield f"{module.label}: {lines} lines; more than {HARD_MAX_LINES} is never right"
        elif lines > MAX_LINES and module.name not in LONG_FILES:
            yield f"{module.label}: {lines} lines; split it, or give the reason in LONG_FILES"
        elif lines <= MAX_LINES and module.name in LONG_FILES:
            yield f"{module.label}: no longer long; take it out of LONG_FILES"
        for node, _ in walk(module.tree):
            if isinstance(node, FUNCTIONS):
                long = (node.end_lineno or 0) - node.lineno + 1
                if long > MAX_FUNCTION_LINES:
                    yield f"{module.label}:{node.lineno}: {node.name} has {long} lines, more than {MAX_FUNCTION_LINES}"
            elif isinstance(node, ast.ClassDef) and len(own := methods(node)) > MAX_METHODS:
                yield f"{module.label}:{node.lineno}: {node.name} has {len(own)} methods, more than {MAX_METHODS}"
    for name in sorted(set(LONG_FILES) - set(modules)):
        yield f"LONG_FILES: there is no {name}"


def methods(node: ast.ClassDef) -> list[str]:
    return [item.name for item in node.body if isinstance(item, FUNCTIONS) and not item.name.startswith("__")]


@check
def backend(modules: Modules) -> Iterator[str]:
    for node in modules["remote.base"].tree.body if "remote.base" in modules else ():
        if isinstance(node, ast.ClassDef) and node.name == "Backend":
            public = [name for name in methods(node) if not name.startswith("_")]
            if len(public) > MAX_BACKEND_METHODS:
                yield f"remote/base.py: Backend has {len(public)} public methods, more than {MAX_BACKEND_METHODS}"
            return
    if "remote.base" in modules:
        yield "remote/base.py: defines no Backend"


@check
def names(modules: Modules) -> Iterator[str]:
    for module in modules.values():
        if VAGUE_NAMES & {part.strip("_") for part in module.name.split(".")}:
            yield f"{module.label}: its name tells nothing; name it by what it owns"
        if not (ast.get_docstring(module.tree) or "").strip():
            yield f"{module.label}: has no docstring"


# ------------------------------------------------------------------------------ the tests


@pytest.mark.parametrize("rule", CHECKS, ids=lambda rule: rule.__name__)
def test_source_obeys(rule: Check) -> None:
    complaints = list(rule(load()))
    assert not complaints, "\n".join(complaints)


def test_source_is_read() -> None:
    found = load()
    assert {"", "errors", "ops.add", "cli.main", "remote.base"} <= set(found)
    edges = {(name, each.target) for name, module in found.items() for each in imports(module, found)}
    seen_in_code = {("fsutil", "errors"), ("project", "paths"), ("cli.main", "cli.shell")}
    seen_in_strings = {("cli.table", "cli.add"), ("remote.registry", "remote.local")}
    assert seen_in_code | seen_in_strings <= edges


def made_up(**sources: str) -> Modules:
    """Return a small package that obeys every rule, with some files put in or replaced (``ops__x`` is ops/x.py)."""
    files = {
        "": "'''made-up: workspace -> meta -> cache -> remote.'''\n_PUBLIC = {'Fault': 'errors'}",
        "errors": "class Fault(Exception):\n    pass",
        "fsutil": "from .errors import Fault",
        "remote.base": "from ..errors import Fault\nclass Backend:\n    def put(self): ...",
        "remote.local": "from . import base\nclass Local(base.Backend): ...",
        "remote.registry": "from .base import Backend\n_OURS = {'file': 'dvc_like.remote.local:Local'}",
        "ops.add": "from ..remote.registry import Backend\nimport sys\nprint_ = sys.platform",
        "cli.table": "COMMANDS = {'add': ('dvc_like.cli.add:command', 'Add.')}",
        "cli.add": "import click\nfrom ..ops import add\ndef command(): print(add)",
        **{name.replace("__", "."): text for name, text in sources.items()},
    }
    packages = {name.rpartition(".")[0] for name in files if "." in name} | {*NOUNS, ""}
    modules = Modules()
    for name in sorted(packages | set(files)):
        text = files.get(name, "")
        text = text if text.lstrip().startswith("'''") or "no docstring" in text else f"'''Documented.'''\n{text}"
        modules[name] = Module(name, text, name in packages)
    return modules


def test_obedient_package_passes() -> None:
    assert [complaint for rule in CHECKS for complaint in rule(made_up())] == []


LINES = "x = 1\n"
PLANTED: list[tuple[Check, dict[str, str], str]] = [
    (units, {"stuff": ""}, "stuff: an unknown unit"),
    (units, {"stuff__inner": ""}, "stuff: an unknown unit"),
    (layers, {"errors": "from .paths import show", "paths": ""}, "errors may not import paths"),
    (layers, {"paths": "from . import fsutil"}, "paths may not import fsutil"),
    (layers, {"cache__store": "from ..meta import tree", "meta__tree": ""}, "cache may not import meta"),
    (layers, {"cache__store": "import dvc_like.meta.tree", "meta__tree": ""}, "cache may not import meta"),
    (layers, {"cache__store": "from dvc_like.remote.base import Backend"}, "cache may not import remote"),
    (layers, {"remote__x": "def f():\n    from ..project import P", "project": ""}, "remote may not import project"),
    (layers, {"cli__x": "from ..remote.registry import Backend"}, "cli may not import remote"),
    (layers, {"cli__table": "C = {'x': 'dvc_like.fsutil:Fault'}"}, "cli may not import fsutil"),
    (layers, {"remote__registry": "_OURS = {'x': 'dvc_like.ops.add:add'}"}, "remote may not import ops"),
    (layers, {"remote__registry": "_OURS = {'x': 'local:Local'}"}, "dvc_like.local does not exist"),
    (layers, {"ops__x": "from .. import __version__"}, "ops may not import __init__"),
    (layers, {"ops__x": "from ..nowhere import y"}, "dvc_like.nowhere does not exist"),
    (layers, {"ops__x": "from ....far import y"}, "dvc_like.(outside) does not exist"),
    (layers, {"testing__contract": "from ..ops import add"}, "testing may not import ops"),
    (cycles, {"ops__a": "from .b import x", "ops__b": "from .a import y"}, "ops.a -> ops.b -> ops.a"),
    (cycles, {"ops__a": "from . import b", "ops__b": "def f():\n    from .a import y"}, "ops.a -> ops.b -> ops.a"),
    (cycles, {"remote__local": "from .registry import x"}, "remote.registry -> remote.local -> remote.registry"),
    (late_imports, {"ops__x": "def f():\n    from ..errors import Fault"}, "imports dvc_like.errors late"),
    (late_imports, {"ops__x": "T = {'a': 'dvc_like.errors:Fault'}"}, "imports dvc_like.errors late"),
    (late_imports, {"ops__x": "from importlib import import_module"}, "imports by name"),
    (late_imports, {"ops__x": "x = __import__('os')"}, "imports by name"),
    (tables, {"remote__registry": "_OURS = {'x': 'dvc_like.remote.local:Missing'}"}, "defines no Missing"),
    (tables, {"remote__registry": "_OURS = {'x': 'local.Local'}"}, "holds no"),
    (public_names, {"": "_PUBLIC = {'Fault': 'nowhere'}"}, "which does not exist"),
    (public_names, {"": "_PUBLIC = {'Other': 'errors'}"}, "defines no Other"),
    (public_names, {"": "_PUBLIC = {'command': 'cli.add'}"}, "belongs to the shell"),
    (package_map, {"": "'''made-up: meta -> workspace -> cache -> remote.'''"}, "its first line draws"),
    (package_map, {"": "'''made-up.'''"}, "its first line draws ()"),
    (package_map, {"vault__x": ""}, "'vault'"),
    (terminal, {"ops__x": "import click"}, "click belongs into ['cli']"),
    (terminal, {"ops__x": "def f():\n    from rich.progress import Bar"}, "rich belongs into ['cli']"),
    (terminal, {"ops__x": "import subprocess"}, "subprocess belongs into ['git']"),
    (terminal, {"ops__x": "print('done')"}, "print() is for the shell only"),
    (terminal, {"ops__x": "def f(): return input('sure?')"}, "input() is for the shell only"),
    (terminal, {"ops__x": "import sys\nsys.exit(1)"}, "sys.exit is for the shell only"),
    (terminal, {"ops__x": "import sys\nsys.stderr.write('x')"}, "sys.stderr is for the shell only"),
    (terminal, {"ops__x": "from sys import stdout"}, "sys.stdout is for the shell only"),
    (terminal, {"ops__x": "raise SystemExit(1)"}, "SystemExit is for the shell only"),
    (terminal, {"ops__x": "def f(stream): return stream.isatty()"}, "isatty is for the shell only"),
    (sizes, {"ops__x": LINES * 400}, "401 lines; split it"),
    (sizes, {"ops__x": LINES * 500}, "501 lines; more than 500"),
    (sizes, {"ops__x": "def f():\n" + "    x = 1\n" * 60}, "f has 61 lines"),
    (sizes, {"ops__x": "class C:\n" + "".join(f"    def m{i}(self): ...\n" for i in range(21))}, "C has 21 methods"),
    (backend, {"remote__base": "class Backend:\n" + "".join(f"    def m{i}(self): ...\n" for i in range(9))}, "has 9"),
    (backend, {"remote__base": "class Store: ..."}, "defines no Backend"),
    (names, {"ops__utils": ""}, "its name tells nothing"),
    (names, {"ops___common": ""}, "its name tells nothing"),
    (names, {"ops__x": "# no docstring"}, "has no docstring"),
]


@pytest.mark.parametrize(("rule", "sources", "complaint"), PLANTED, ids=lambda value: getattr(value, "__name__", None))
def test_planted_violation_is_found(rule: Check, sources: dict[str, str], complaint: str) -> None:
    assert any(complaint in found for found in rule(made_up(**sources))), list(rule(made_up(**sources)))


def test_every_rule_has_a_planted_violation() -> None:
    assert {rule for rule, _, _ in PLANTED} == set(CHECKS)


def test_exceptions_for_long_files_are_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LONG_FILES, "ops.x", "a made-up reason")
    assert list(sizes(made_up(ops__x=LINES * 400))) == []
    assert "no longer long" in next(sizes(made_up(ops__x=LINES)))
    assert "there is no ops.x" in next(sizes(made_up()))
