"""Repositories that pretend DVC or Git LFS kept data in them, made to do harm: strategies of Hypothesis.

A repository is a list of `Spoil`s, each a function of the repository with what it was drawn with; some of it is sound,
so that `migrate` gets to what is not.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from hypothesis import strategies as st
from tests.cli.dvc_repository import DvcRepository, md5
from tests.cli.hostile import NAMES, SIZES, TARGETS

Spoil = Callable[[DvcRepository], object]

CANARY = b"the victim's letter"
WHOLE = md5(b"sound")
FOLDERS = ("", "deep", "deep/er", "ignored", ".dvc", ".dvc/tmp", ".dvc-like", "inner", "data", "mine")
PATHS = (
    *NAMES,
    *("../outside/note", "../../outside/note", "a/../../outside/new", "/dev/null", ".git/hooks/post-checkout", "data"),
    *("data/a", "data/../x", "./x", "x/", "x//y", "~", "s3://b/k", "a" * 5000, "mine/work.txt", ".dvc/config", "x.dvc"),
    *("x\ny", "x\n- md5: y", '"', "'", "{}", "#", "&a", "*a", "$HOME", "${x}", "-rf", "--", ".dvcignore"),
)
HASHES = (
    *(
        WHOLE,
        f"{WHOLE}.dir",
        md5(CANARY),
        f"{md5(CANARY)}.dir",
        "../../..",
        "../../../outside/note",
        "",
        ".dir",
        "0" * 32,
    ),
    *("A" * 32, "0" * 31, "0" * 33, "/etc/passwd", "md5", "null", "[]", "1e5", "d4" + "/../" * 9, f"{WHOLE}\\n"),
)
CONFIGS = (
    *("[cache]\n dir = ../../outside\n", "[cache]\n dir = /\n", "[cache]\n dir = a\x00b\n", "[cache]\n dir = ../x\n"),
    *("[core]\n remote = gone\n", "['remote \"storage\"']\n url = ../../outside\n", "[core\n", "\x00", "[x]\n" * 9999),
    *(
        "['remote \"storage\"']\n url = ext::sh -c touch% x\n",
        "['remote \"../x\"']\n url = /\n",
        "[cache]\n type = x\n",
    ),
    *("['remote \"storage\"']\n url = remote://storage\n", "['remote \"storage\"']\n ssl_verify = false\n"),
    *("['remote \"storage\"']\n url = a\x01b\n", "['remote \"storage\"']\n credentialpath = /etc/passwd\n"),
)
LINKED = (
    *(".dvc", ".dvc/cache", ".dvc/cache/files", ".dvc/cache/files/md5", ".dvc/config", ".dvc/config.local", "data"),
    *("data.dvc", "data.meta", "file.dvc", "file.meta", ".gitignore", ".dvc-like", ".dvc-like/config", "deep", "file"),
    *(".dvcignore", ".dvc-likeignore", ".gitattributes", "dvc.lock", "dvc.yaml", "ignored", ".dvc-like/cache", "large"),
    *(f".dvc/cache/files/md5/{WHOLE[:2]}", f".dvc/cache/files/md5/{WHOLE[:2]}/{WHOLE[2:]}", ".dvc-like/tmp"),
)


def write(repository: DvcRepository, name: str, data: bytes) -> None:
    """Write a file where that is possible, never through a link."""
    path = repository.root / name
    with contextlib.suppress(OSError, ValueError):
        if not any(one.is_symlink() for one in (path, *path.parents)):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)  # a pipe would wait for its reader
            path.write_bytes(data)


def _link(repository: DvcRepository, name: str, target: str) -> None:
    path = repository.root / name
    with contextlib.suppress(OSError):
        if any(one.is_symlink() for one in path.parents):
            return
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target.replace("OUTSIDE", str(repository.root.parent / "outside")))


def _pipe(repository: DvcRepository, name: str) -> None:
    path = repository.root / name
    with contextlib.suppress(OSError):
        path.unlink()
        os.mkfifo(path)


def _list(repository: DvcRepository, name: str, entries: list[tuple[str, object]], raw: str) -> None:
    """A list of a folder, under a name that is right for it, and a pointer to it."""
    data = raw.encode() or json.dumps([{"relpath": path, "md5": digest} for path, digest in entries]).encode()
    digest = md5(data)
    write(repository, f".dvc/cache/files/md5/{digest[:2]}/{digest[2:]}.dir", data)
    write(repository, f"{name}.dvc", f"outs:\n- md5: {digest}.dir\n  hash: md5\n  path: {name}\n".encode())


def _text(value: str) -> str:
    return json.dumps(value)


@st.composite
def outs(draw: st.DrawFn) -> str:
    """Return the entries of `outs`, as YAML."""
    lines = []
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(PATHS) | st.text(max_size=20))
        lines.append(f"- path: {_text(path) if draw(st.booleans()) else path}")
        digest = draw(st.sampled_from((WHOLE, WHOLE, WHOLE, *HASHES)))
        lines.append(f"  md5: {digest}")
        if draw(st.integers(0, 9)):
            lines.append("  hash: md5")
        for key in draw(st.lists(st.sampled_from(("size", "nfiles", "isexec", "remote", "desc", "path")), max_size=3)):
            lines.append(f"  {key}: {draw(st.sampled_from((*SIZES, 'true', 'storage', '../x')))}")
    return "\n".join(lines) + "\n"


HEADS = ("", "", "", "wdir: ../outside\n", "wdir: /\n", "wdir: ..\n", "wdir: data\n", "cmd: x\n")


@st.composite
def pointers(draw: st.DrawFn) -> Spoil:
    """Return what writes a ``.dvc`` file."""
    head = draw(
        st.sampled_from(("", "", "", "wdir: ../outside\n", "wdir: /\n", "wdir: ..\n", "wdir: data\n", "cmd: x\n"))
    )
    folder, name = draw(st.sampled_from(FOLDERS)), draw(st.sampled_from(("x", "file", "data", "a b", "-n", "x\ny")))
    deps = draw(st.sampled_from(("", "", "deps:\n- path: https://n:pw@h/x\n", "deps:\n- repo: {url: x}\n  path: a\n")))
    return partial(write, name=f"{folder}/{name}.dvc".lstrip("/"), data=f"{head}{deps}outs:\n{draw(outs())}".encode())


@st.composite
def locks(draw: st.DrawFn) -> Spoil:
    """Return what writes ``dvc.lock`` and ``dvc.yaml``."""
    entries = "".join(f"    {line}\n" for line in draw(outs()).splitlines())
    wdir = draw(st.sampled_from(("", "..", "../outside", "/", "${x}", "[1]", "data")))
    folder = draw(st.sampled_from(("", "deep/", "ignored/")))

    def spoil(repository: DvcRepository) -> None:
        write(repository, f"{folder}dvc.lock", f"schema: '2.0'\nstages:\n  s:\n    outs:\n{entries}".encode())
        write(repository, f"{folder}dvc.yaml", f"stages:\n  s:\n    wdir: {wdir}\n".encode())

    return spoil


def large(repository: DvcRepository, name: str, digest: str, size: str) -> None:
    """Write a pointer of Git LFS, and a rule for it."""
    write(repository, ".gitattributes", b"large* filter=lfs -text\n")
    text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {size}\n"
    write(repository, name, text.encode())


PIPES = ("file.dvc", ".dvcignore", ".dvc/config", "data/a")
POINTER_HASHES = ("0" * 64, "../../outside/note", "f" * 64, "")
ENTRIES = st.tuples(
    st.sampled_from(PATHS) | st.text(max_size=9), st.sampled_from((WHOLE, WHOLE, *HASHES)) | st.none() | st.integers()
)
RAW = (
    "",
    "",
    "",
    "",
    "[" * 5000,
    "{}",
    "null",
    "[1]",
    '[{"relpath": 1, "md5": 2}]',
    "\x00",
    '[{"relpath": "a"}]',
    "1e999",
)

SPOILS: st.SearchStrategy[Spoil] = st.one_of(
    pointers(),
    pointers(),
    locks(),
    st.builds(
        lambda name, entries, raw: partial(_list, name=name, entries=entries, raw=raw),
        st.sampled_from(("listed", "deep", "data")),
        st.lists(ENTRIES, max_size=4),
        st.sampled_from(RAW),
    ),
    st.builds(
        lambda name, target: partial(_link, name=name, target=target),
        st.sampled_from(LINKED),
        st.sampled_from(("OUTSIDE", "OUTSIDE/note", "OUTSIDE/cache", "OUTSIDE/dvcconfig", "..", "loop", *TARGETS[:4])),
    ),
    st.builds(
        lambda text, name: partial(write, name=f".dvc/{name}", data=text.encode()),
        st.lists(st.sampled_from(CONFIGS), min_size=1, max_size=2).map("".join),
        st.sampled_from(("config", "config", "config.local")),
    ),
    st.builds(
        lambda name: partial(_pipe, name=name), st.sampled_from(("file.dvc", ".dvcignore", ".dvc/config", "data/a"))
    ),
    st.builds(
        lambda name, digest, size: partial(large, name=name, digest=digest, size=size),
        st.sampled_from(("large", "large.meta", "data/large", "deep/large")),
        st.sampled_from(POINTER_HASHES),
        st.sampled_from(("0", "5", "9" * 30, "-1")),
    ),
)


def make(root: Path) -> DvcRepository:
    """Make the sound part: a folder and a file; beside it, what nobody may touch, laid out as a cache as well."""
    repository = DvcRepository(root / "project")
    repository.add("data", {"a": b"sound", "sub/b": b"other"})
    repository.add("file", b"sound")
    write(repository, "mine/work.txt", b"work of the user's that nothing may touch")
    write(repository, "ignored/x", b"x")
    outside = root / "outside"
    spread = f"{md5(CANARY)[:2]}/{md5(CANARY)[2:]}"
    for name in ("note", "sub/letter", f"files/md5/{spread}", f"cache/files/md5/{spread}", f"{spread}", "config"):
        (outside / name).parent.mkdir(parents=True, exist_ok=True)
        (outside / name).write_bytes(CANARY)
    (outside / "dvcconfig").write_bytes(b"['remote \"storage\"']\nurl = " + CANARY + b"\n")
    with open(repository.root / ".gitignore", "a", encoding="utf-8") as file:
        file.write("/ignored\n")
    return repository
