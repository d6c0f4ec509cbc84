"""Fixtures that every test may use: a Git repository, the real command, file systems that are small or can clone.

No test sees the machine it runs on: home, Git's configuration, ours and all credentials are replaced for each.
What a machine cannot offer (mounting, another user) is skipped with a reason that names it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest_plugins = ["tests.servers.fixtures"]

#: (kind, executable, bytes of a file or target of a link); kind is "file", "link", "folder" or "other".
Node = tuple[str, bool, "bytes | str"]

NOBODY = 65534
_STARTED_IN = os.getcwd()
IS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0

_IDENTITY = """\
[user]
    name = Test Person
    email = person@example.com
[init]
    defaultBranch = main
[commit]
    gpgSign = false
[core]
    autocrlf = false
[protocol "file"]
    allow = always
"""


# ------------------------------------------------------------------------------ trees of files


def tree_of(root: str | os.PathLike[str], *, skip: tuple[str, ...] = ()) -> dict[str, Node]:
    """Return everything below `root` by relative path, to compare two trees byte for byte.

    Empty folders and links are entries of their own; no link is followed. Names in `skip` are left out
    wherever they stand, with all below them.
    """
    found: dict[str, Node] = {}

    def visit(folder: str, prefix: str) -> None:
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if entry.name in skip:
                    continue
                name = prefix + entry.name
                found[name] = _node(entry)
                if found[name][0] == "folder":
                    visit(entry.path, name + "/")

    visit(os.fspath(root), "")
    return found


def _node(entry: os.DirEntry[str]) -> Node:
    mode = entry.stat(follow_symlinks=False).st_mode
    if stat.S_ISLNK(mode):
        return "link", False, os.readlink(entry.path)
    if stat.S_ISDIR(mode):
        return "folder", False, b""
    if stat.S_ISREG(mode):
        return "file", os.name == "posix" and bool(mode & stat.S_IXUSR), Path(entry.path).read_bytes()
    return "other", False, b""


def make_files(root: str | os.PathLike[str], spec: Mapping[str, bytes | str | Node | None]) -> Path:
    """Make what `spec` describes below `root`, which need not exist; return `root`.

    A path stands for a file with these bytes or this text, None for an empty folder, and an entry of `tree_of` for
    what it was made from: ``("file", True, b"...")`` is executable, ``("link", False, "a.txt")`` a link.
    """
    base = Path(root)
    base.mkdir(parents=True, exist_ok=True)
    for name, content in spec.items():
        path = base / name
        kind, executable, payload = content if isinstance(content, tuple) else _plain(content)
        if kind == "folder":
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if kind == "link":
            path.symlink_to(payload if isinstance(payload, str) else os.fsdecode(payload))
        elif kind == "file":
            path.write_bytes(payload if isinstance(payload, bytes) else payload.encode())
            if executable:
                path.chmod(path.stat().st_mode | 0o111)
        else:
            raise ValueError(f"{name}: {kind!r} cannot be made")
    return base


def _plain(content: bytes | str | None) -> Node:
    return ("folder", False, b"") if content is None else ("file", False, content)


@pytest.fixture(scope="session", name="tree_of")
def _tree_of() -> Callable[..., dict[str, Node]]:
    return tree_of


@pytest.fixture(scope="session", name="make_files")
def _make_files() -> Callable[..., Path]:
    return make_files


# ------------------------------------------------------------------------------ an isolated machine

_FOREIGN = ("GIT_", "DVC_LIKE_", "AWS_", "GOOGLE_", "BOTO_", "XDG_", "GH_", "GITHUB_TOKEN")
_HOOKS = ("HUSKY", "LEFTHOOK", "PRE_COMMIT", "SKIP")  # what turns hooks off, or tells one what happened
_OUTPUT = ("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "CI")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home folder of this test: nothing of the machine's configuration or credentials is seen."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "gitconfig").write_text(_IDENTITY)
    for name in [*os.environ]:
        if name.startswith((*_FOREIGN, *_HOOKS)) or name in _OUTPUT:
            monkeypatch.delenv(name)
    for name in ("HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(folder))
    for name in ("CONFIG", "CACHE", "DATA", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(folder / name.lower()))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(folder / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_TERMINAL_PROMPT", "0")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setenv("DVC_LIKE_CONFIG_SYSTEM", str(folder / "no-system-config"))
    monkeypatch.setenv("DVC_LIKE_CONFIG_GLOBAL", str(folder / "no-global-config"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    if "PYTHONPATH" in os.environ:  # tests change the folder
        parts = os.environ["PYTHONPATH"].split(os.pathsep)
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(os.path.join(_STARTED_IN, part) for part in parts if part))
    return folder


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty Git repository on branch main, which is also the current folder. Not yet a dvc-like project."""
    folder = tmp_path / "repo"
    folder.mkdir()
    subprocess.run(["git", "init", "-q", "-b", "main", str(folder)], check=True)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def git() -> Callable[..., str]:
    """Run git, ``git("commit", "-m", "x", cwd=...)``; return what it printed without the last line's end."""

    def run(*arguments: str | os.PathLike[str], cwd: str | os.PathLike[str] | None = None, code: int = 0) -> str:
        done = _run(["git", *map(os.fspath, arguments)], cwd=cwd)
        done.expect(code)
        return done.out.rstrip("\n")

    return run


# ------------------------------------------------------------------------------ the command


@dataclass(frozen=True)
class Ran:
    """A program that ended: its exit code and what it printed."""

    words: list[str]
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout."""
        return json.loads(self.out)

    def expect(self, code: int | tuple[int, ...]) -> None:
        """Fail, showing what was printed, unless it ended with this exit code."""
        if self.code not in (code if isinstance(code, tuple) else (code,)):
            pytest.fail(
                f"exit {self.code} instead of {code}: {' '.join(self.words)}\n"
                f"--- stdout\n{self.out}\n--- stderr\n{self.err}",
                pytrace=False,
            )


def _run(words: list[str], **options: Any) -> Ran:
    """Run a program without a terminal; bytes that are not UTF-8 are shown escaped."""
    given: str | bytes | None = options.pop("input", None)
    options.update({"input": given.encode() if isinstance(given, str) else given} if given is not None else {})
    options.setdefault("timeout", 300)
    if given is None:
        options["stdin"] = subprocess.DEVNULL
    done = subprocess.run(words, capture_output=True, check=False, **options)
    out, err = (text.decode("utf-8", "backslashreplace").replace("\r\n", "\n") for text in (done.stdout, done.stderr))
    return Ran(words, done.returncode, out, err)


class Cli:
    """Runs the real command in a process of its own."""

    def __init__(self, before: tuple[str, ...] = ()) -> None:
        self._before = before

    def __call__(
        self,
        *arguments: str | os.PathLike[str],
        cwd: str | os.PathLike[str] | None = None,
        env: Mapping[str, str | None] | None = None,
        code: int | tuple[int, ...] = 0,
        **options: Any,
    ) -> Ran:
        """Run ``dvc-like *arguments`` and check its exit code. A variable that `env` maps to None is unset.

        Further options (`input`, `timeout`) are those of `subprocess.run`.
        """
        variables = {**os.environ, "PYTHONIOENCODING": "utf-8", "PYTHONSAFEPATH": "1", **(env or {})}
        kept = {name: value for name, value in variables.items() if value is not None}
        words = [*self._before, sys.executable, "-m", "dvc_like", *map(os.fspath, arguments)]
        done = _run(words, cwd=cwd, env=kept, **options)
        done.expect(code)
        return done


@pytest.fixture(scope="session")
def cli() -> Cli:
    """Run the real command: ``cli("add", "data", cwd=..., env=..., code=0)`` gives .code .out .err .json."""
    return Cli()


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the command ``dvc-like`` of this very source on the PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "dvc-like"
    script.write_text(f'#!/bin/sh\nPYTHONSAFEPATH=1 exec "{sys.executable}" -m dvc_like "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start a Python program and wait for its first line: ``start(program, *arguments, ready=b"held")``.

    It waits on its stdin then, which the test closes or writes to; what still runs at the end is killed.
    """
    started: list[subprocess.Popen[bytes]] = []

    def run(program: str, *arguments: str, ready: bytes) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-c", program, *arguments]
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == ready + b"\n"
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


# ------------------------------------------------------------------------------ other users

_SETPRIV = ("setpriv", "--no-new-privs")
#: The same user without root's power: a read-only folder stops it like anyone else.
_WITHOUT_POWER = (*_SETPRIV, "--bounding-set=-all", "--inh-caps=-all", "--")
#: Another user, who may read and reach everything (the interpreter often lies where others cannot look), but
#: writes only what is its own.
_READER = "+dac_read_search"
_AS_NOBODY = (
    *(*_SETPRIV, f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
    *(f"--inh-caps={_READER}", f"--ambient-caps={_READER}", "--"),
)


def _check_powerless(before: tuple[str, ...]) -> None:
    """Skip the test unless `before` runs a program that cannot write into a read-only folder."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o555)
        try:
            done = _run([*before, "true"])
        except FileNotFoundError:
            pytest.skip("running as root, and setpriv (util-linux) is not installed")
        if done.code or not _run([*before, "touch", os.path.join(folder, "x")]).code:
            pytest.skip(f"running as root, and its power cannot be given up here: {done.err.strip()}")


@pytest.fixture(scope="session")
def unprivileged() -> Cli:
    """Like `cli`, but permissions bind it even when the tests run as root. Files stay its own."""
    if not hasattr(os, "geteuid"):
        pytest.skip("permissions of this kind do not exist on this system")
    if not IS_ROOT:
        return Cli()
    _check_powerless(_WITHOUT_POWER)
    return Cli(_WITHOUT_POWER)


class AsNobody(Cli):
    """Runs the command as another user, `uid`."""

    uid = NOBODY

    def own(self, path: str | os.PathLike[str]) -> Path:
        """Give `path`, and everything below it, to that user."""
        for folder, _, files in os.walk(path):
            for each in (folder, *(os.path.join(folder, name) for name in files)):
                os.chown(each, NOBODY, NOBODY, follow_symlinks=False)
        return Path(path)


@pytest.fixture
def as_nobody(tmp_path: Path, home: Path) -> AsNobody:
    """Like `cli`, but as another user: for files that belong to someone else, and a repository that does.

    Needs root on Linux. It may read everything, and write what was handed over with ``as_nobody.own(path)``
    and the home folder. Where only permissions matter, `unprivileged` needs less.
    """
    if not IS_ROOT or not sys.platform.startswith("linux"):
        pytest.skip("needs root on Linux, to run as another user")
    _check_powerless(_AS_NOBODY)
    for folder in (tmp_path, *tmp_path.parents):  # access(2), which git asks, ignores the right to reach everything
        mode = folder.stat().st_mode
        if str(folder).startswith(tempfile.gettempdir() + os.sep) and not mode & stat.S_IXOTH:
            folder.chmod(stat.S_IMODE(mode) | 0o011)
    found = AsNobody(_AS_NOBODY)
    found.own(home)
    return found


# ------------------------------------------------------------------------------ file systems


def _mount(*arguments: str, program: Sequence[str] = ("mount",)) -> None:
    """Mount something, or skip the test with the reason."""
    if not sys.platform.startswith("linux") or not IS_ROOT:
        pytest.skip("needs root on Linux, to mount a file system")
    if shutil.which(program[0]) is None:
        pytest.skip(f"{program[0]} is not installed")
    done = _run([*program, *arguments])
    if done.code:
        pytest.skip(f"this machine does not mount: {done.err.strip()}")


def _unmount(path: Path) -> None:
    if _run(["umount", str(path)]).code:
        _run(["umount", "--lazy", str(path)])  # something still has a file open there


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Make a file system of so many bytes: ``small_disk(1 << 20)`` is the folder it is mounted on."""
    with contextlib.ExitStack() as mounted:

        def make(size: int) -> Path:
            folder = Path(tempfile.mkdtemp(prefix="small-disk-", dir=tmp_path))
            _mount("-t", "tmpfs", "-o", f"size={size},mode=755", "dvc-like-test", str(folder))
            mounted.callback(_unmount, folder)
            return folder

        yield make


_MAKE = {  # the smallest images that the tools agree to; they are sparse
    "xfs": (["mkfs.xfs", "-q", "-m", "reflink=1"], 512 << 20),
    "btrfs": (["mkfs.btrfs", "-q"], 256 << 20),
    "ntfs": (["mkntfs", "-q", "-Q", "-F"], 16 << 20),
}


@pytest.fixture(scope="session")
def loop_fs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Path]]:
    """Give a new, empty folder on a file system that can clone, ``loop_fs("xfs")`` or ``loop_fs("btrfs")``.

    ``loop_fs("ntfs")`` folds case.
    """
    mounts: dict[str, Path] = {}
    reasons: dict[str, str] = {}
    with contextlib.ExitStack() as mounted:

        def make(kind: str) -> Path:
            if kind in reasons:
                pytest.skip(reasons[kind])
            if kind not in mounts:
                try:
                    mounts[kind] = _loop_mount(kind, tmp_path_factory.mktemp(kind))
                except pytest.skip.Exception as reason:
                    reasons[kind] = str(reason)
                    raise
                mounted.callback(_unmount, mounts[kind])
            return Path(tempfile.mkdtemp(dir=mounts[kind]))

        yield make


def _loop_mount(kind: str, base: Path) -> Path:
    words, size = _MAKE[kind]
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is not installed")
    image, folder = base / "image", base / "mounted"
    folder.mkdir()
    with open(image, "wb") as file:
        file.truncate(size)
    made = _run([*words, str(image)])
    if made.code:
        pytest.skip(f"{words[0]} failed: {made.err.strip()}")
    if kind == "ntfs":  # by a program: no kernel's driver folds case on request
        _mount(str(image), str(folder), program=["lowntfs-3g", "-o", "ignore_case"])
    else:
        _mount("-o", "loop", str(image), str(folder))
    folder.chmod(0o755)
    return folder
