"""Whole repositories and remotes made by somebody who means harm, from a number: the same number, the same attack.

Each mixes a few attacks of those below into a project that is otherwise sound. `Attack.canaries` must be untouched
whatever is run, and everything must end in time and in a line.
"""

from __future__ import annotations

import os
import random
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

from tests.cli.place import Place, digest_of, key_of
from tests.cli.stores import packed_in
from tests.fuzz.mutation import POISON

NAMES = (
    *("..", ".", "", "../evil", "a/../../evil", "/etc/evil", "~/evil", "C:\\evil", "\\\\host\\evil", ".git"),
    *(".GIT", ".git/hooks/x", "git~1", ".git ", ".git.", ".git::$DATA", ".g\u200cit", ".dvc-like"),
    *(".DVC-LIKE/config", "dvc-li~1", "con", "a\x00b", "a\nb", "a\x1b[2Jb", "a\u202eb", "x" * 256, "\udcff"),
    *("a\\b", "évil", "e\u0301vil", "sub", "data", ".gitignore", ".gitattributes", ".gitmodules", "x.meta"),
    *(".dvc-likeignore", ".dvc-like-tmp-1-1-1", "a\tb", "a\rb"),
)  # fmt: skip
TARGETS = (
    *("..", "../..", "../../.git", "/", "/etc/passwd", "sub/../../..", "a/b/../../../..", "", ".", "\\x"),
    *("x" * 5000, "../outside/note", "loop"),
)  # fmt: skip
HASHES = (
    *("blake3:../../../../outside/note", "blake3:" + "0" * 64, "blake3:" + "A" * 64, "../../../outside/note"),
    *("md5:" + "0" * 32, "sha256:" + "f" * 64, "xxh128:" + "0" * 32, "blake3:..", "", "null", "~", "[1]", "{}"),
    *("&a x", "*a", "!!python/object:os.system x"),
)  # fmt: skip
SIZES = (
    *("0", "1", "-1", "9223372036854775807", "9223372036854775808", "1e9", "x", "true", "[]", "9" * 400),
)  # fmt: skip
SETTINGS = (
    *('[core]\n\tremote = ../x\n', '[core]\n\thash = md4\n', '[core]\n\tlocktimeout = 1e300\n'),
    *('[core]\n\tlocktimeout = -1\n', '[cache]\n\tdir = ../outside\n', '[cache]\n\ttype = symlink\n'),
    *('[cache]\n\ttype = hardlink\n', '[cache]\n\ttype = x\n', '[gc]\n\tgrace = 0\n', '[gc]\n\tcloudgrace = 0\n'),
    *('[remote "storage"]\n\tjobs = 1000000\n', '[remote "storage"]\n\tjobs = 1e30\n'),
    *('[remote "storage"]\n\ttimeout = 1e308\n', '[remote "storage"]\n\tretries = -3\n'),
    *('[remote "storage"]\n\tverify = false\n', '[remote "storage"]\n\turl = ext::sh -c touch% evil\n'),
    *('[remote "storage"]\n\turl = file://elsewhere/x\n', "[core\n", "\x00\n"),
    *('[remote "storage"]\n\turl = plug://x\n', '[remote "storage"]\n\tproxy = http://evil\n'),
    *('[remote "a.b.c"]\n\turl = memory://\n', '[remote "storage"]\n\tcredentials = /etc/passwd\n'),
    *('[remote "storage"]\n\tendpointurl = http://evil.example\n', '[x "y"]\n\tz\n'),
    *('[profile "p"]\n\tinclude = ../x\n', '[core]\n\tprofile = p\n', '[hooks]\n\tlargefile = -1\n'),
    *('[core]\n\tautostage = maybe\n',),
)  # fmt: skip
LINKED = (
    *("data", "data/sub", "single", ".gitignore", "data/.gitignore", ".dvc-like", ".dvc-like/config"),
    *(".dvc-like/config.local", ".dvc-like/cache", ".dvc-like/cache/files", ".dvc-like/cache/tmp"),
    *(".dvc-like/cache/bad", ".dvc-like/cache/trash", ".dvc-like/tmp", ".dvc-like/tmp/index.sqlite"),
    *(".dvc-like/tmp/lock", ".dvc-like/tmp/clone", ".dvc-like/undo", ".dvc-like/.gitignore", ".dvc-likeignore"),
    *("single.meta", "data.meta", ".gitattributes", "deep", "data/x", ".dvc-like/cache/lock"),
    *(".dvc-like/cache/new",),
)  # fmt: skip
COMMANDS = (
    *(["status"], ["status", "--cloud"], ["pull"], ["checkout"], ["checkout", "--force"], ["fetch"], ["diff"]),
    *(["ls", "-R"], ["add", "data"], ["add", "mine", "--force"], ["commit"], ["push"], ["gc", "-w"]),
    *(["gc", "-A", "--cloud", "--force"], ["fsck"], ["fsck", "--repair"]),
    *(["fsck", "--remote", "storage", "--read-data"], ["fsck", "--remote", "storage", "--repair"], ["undo"]),
    *(["verify"], ["remove", "data"], ["move", "single", "moved"], ["drop", "data"], ["unprotect", "data"]),
    *(["log", "single"], ["remote", "list"], ["config", "-l"], ["du"], ["doctor"], ["install"], ["status", "-v"]),
    ["checkout", "--relink"],
)  # fmt: skip


class Attack:
    """One repository `copy` with its remote `store`, and what lies `outside` of both."""

    def __init__(self, template: Path, folder: Path, number: int) -> None:
        """Copy the sound project, and put some attacks into it."""
        self.chance = random.Random(number)
        shutil.copytree(template, folder, symlinks=True)
        self.copy, self.store, self.outside = Place(folder / "project"), folder / "storage", folder / "outside"
        self.done: list[str] = []
        for _ in range(self.chance.choice((1, 1, 2, 3))):
            attack = self.chance.choice(ATTACKS)
            self.done.append(attack.__name__)
            try:
                attack(self)
            except (OSError, ValueError, IndexError, AssertionError, struct.error, zipfile.BadZipFile):
                continue  # the attack before it took its place

    def words(self) -> list[str]:
        """Return a command to run."""
        words = [*self.chance.choice(COMMANDS)]
        return [*words, "--json"] if self.chance.random() < 0.2 else words

    def put_object(self, data: bytes, suffix: str = "", where: Path | None = None) -> str:
        """Store bytes under the name of their hash, where one may choose; return the digest."""
        path = (where or self.chance.choice((self.store, self.copy.cache))) / (key_of(data) + suffix)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_bytes(data)
        return digest_of(data)

    def point(self, digest: str, size: object, files: object | None = None, name: str = "data") -> None:
        """Write a meta file."""
        text = f"hash: {digest}\nsize: {size}\n" + (f"files: {files}\n" if files is not None else "")
        (self.copy / f"{name}.meta").write_bytes(text.encode("utf-8", "surrogateescape"))


def a_tree(attack: Attack) -> None:
    """A listing with names, links, digests and numbers of the wrong kind, in whatever order."""
    chance, payload = attack.chance, b"#!/bin/sh\n"
    digest = attack.put_object(payload)
    lines = []
    for _ in range(chance.choice((1, 1, 2, 5))):
        name = chance.choice(NAMES) if chance.random() < 0.7 else f"n{chance.randrange(9)}"
        kind = chance.choice("ffxdl?")
        value = chance.choice(TARGETS) if kind == "l" else digest if chance.random() < 0.8 else chance.choice(HASHES)
        size = len(value.encode()) if kind == "l" else len(payload) if chance.random() < 0.8 else chance.choice(SIZES)
        lines.append(f"{kind}\t{size}\t{value}" + ("\t1" if kind == "d" else "") + f"\t{name}\n")
    if chance.random() < 0.7:
        lines.sort(key=lambda line: line.rpartition("\t")[2])
    data = ("dvc-like tree 1\n" + "".join(lines)).encode("utf-8", "surrogateescape")
    total = len(payload) * sum(line[0] in "fxd" for line in lines)
    attack.point(attack.put_object(data, ".tree"), total, len(lines), chance.choice(("data", "new", "deep/data")))


def a_deep_tree(attack: Attack) -> None:
    """Listings that hold each other many times, or very deep."""
    wide = attack.chance.choice((1, 2, 40))
    digest, size, files = attack.put_object(b"x"), 1, 1
    data = f"dvc-like tree 1\nf\t1\t{digest}\tx\n".encode()
    for _ in range(attack.chance.choice((3, 30, 600)) if wide == 1 else 12):
        digest = attack.put_object(data, ".tree")
        names = sorted(f"d{n}" for n in range(wide))
        if size * wide >= 1 << 63:
            break
        data = ("dvc-like tree 1\n" + "".join(f"d\t{size}\t{digest}\t{files}\t{n}\n" for n in names)).encode()
        size, files = size * wide, files * wide
    attack.point(attack.put_object(data, ".tree"), size, files)


def a_meta_file(attack: Attack) -> None:
    """A meta file with a hash, a size or YAML of the wrong kind, for a target of any name."""
    chance = attack.chance
    name = chance.choice((*NAMES, "single", "single", "data"))
    digest = chance.choice(HASHES) if chance.random() < 0.7 else digest_of("single")
    more = chance.choice(
        (
            "",
            "",
            f"files: {chance.choice(SIZES)}\n",
            "exec: maybe\n",
            "remote: nowhere\n",
            "a: &a [x]\nb: *a\n",
            "- x\n",
        )
    )
    if "/" not in name and "\x00" not in name and len(name) < 200:
        attack.copy.root.joinpath(f"{name}.meta").write_bytes(
            f"hash: {digest}\nsize: {chance.choice(SIZES)}\n{more}".encode("utf-8", "surrogateescape")
        )


def poison(attack: Attack) -> None:
    """Any file that Git or the remote delivers, with something in it that has led parsers astray."""
    ours = (attack.copy / ".dvc-like").glob("*")
    found = [*attack.copy.root.glob("*.meta"), *ours, *attack.store.rglob("*")]
    files = [path for path in found if path.is_file() and not path.is_symlink()]
    path = attack.chance.choice(sorted(files))
    data = path.read_bytes()
    at = attack.chance.randrange(len(data) + 1)
    path.chmod(0o644)
    path.write_bytes(data[:at] + attack.chance.choice(POISON) + data[at + attack.chance.choice((0, 0, 1, 30)) :])


def a_link(attack: Attack) -> None:
    """A link where something of ours, or of the user's, is or could be."""
    path = attack.copy / attack.chance.choice(LINKED)
    target = attack.chance.choice(
        (attack.outside, attack.outside / "note", attack.outside / "sub", Path(".."), Path("loop"), path)
    )
    if path.is_dir() and not path.is_symlink():
        path.rename(path.with_name(f"{path.name}-before"))
    else:
        path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


def a_link_on_the_remote(attack: Attack) -> None:
    """A link, a folder or a pipe in the place of something in the store."""
    path = attack.chance.choice(sorted(attack.store.rglob("*")))
    kind = attack.chance.choice(("link", "link", "folder", "fifo"))
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo" and hasattr(os, "mkfifo"):
        os.mkfifo(path)
    else:
        path.symlink_to(
            attack.chance.choice((attack.outside / "note", attack.outside / "sub", Path("/dev/zero"), Path("loop")))
        )


def a_setting(attack: Attack) -> None:
    """A setting that a tracked file may not hold, or that means nothing."""
    with open(attack.copy / ".dvc-like/config", "a", encoding="utf-8") as file:
        file.write(attack.chance.choice(SETTINGS))


def special_files(attack: Attack) -> None:
    """A pipe where a file is expected; but for `.gitignore`, at which Git itself waits."""
    path = attack.copy / attack.chance.choice(
        ("data/x", "data/pipe", "single", "single.meta", ".dvc-likeignore", "mine/p")
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    if hasattr(os, "mkfifo"):
        os.mkfifo(path)


def a_pack(attack: Attack) -> None:
    """A pack whose index, sizes or members lie, under a name that is right for them."""
    from blake3 import blake3

    path = attack.chance.choice(sorted({one.path for one in packed_in(attack.store)}))
    index = bytearray(path.with_suffix(".idx").read_bytes())
    count = struct.unpack_from("<I", index, 24)[0]
    for _ in range(attack.chance.choice((1, 3))):
        at = 28 + 50 * attack.chance.randrange(count) + attack.chance.choice((0, 1, 33, 34, 35, 38, 39, 42, 43, 49))
        index[at] = attack.chance.choice((0, 1, 2, 0x7F, 0x80, 0xFF))
    name = blake3(bytes(index)).hexdigest()
    if attack.chance.random() < 0.5:
        path.with_suffix(".idx").unlink()
        path.rename(path.with_name(f"{name}.zip"))
    else:
        shutil.copy(path, path.with_name(f"{name}.zip"))
    path.with_name(f"{name}.idx").write_bytes(index)


def a_bomb(attack: Attack) -> None:
    """A ZIP of another program with an empty index: very much in very little, and names that leave."""
    folder = attack.store / "packs"
    folder.mkdir(exist_ok=True)
    name = "ab" * 32
    with zipfile.ZipFile(folder / f"{name}.zip", "w", zipfile.ZIP_DEFLATED) as file:
        for member in ("../../evil", "/etc/evil", "zeros"):
            file.writestr(member, bytes(1 << 20))
    (folder / f"{name}.idx").write_bytes(b"dvc-like idx 1\n\0" + bytes(12))


def swapped_objects(attack: Attack) -> None:
    """Two objects of the store under each other's name."""
    first, second = attack.chance.sample(sorted(path for path in attack.store.rglob("*") if path.is_file()), 2)
    one, other = first.read_bytes(), second.read_bytes()
    for path, data in ((first, other), (second, one)):
        path.chmod(0o644)
        path.write_bytes(data)


ATTACKS: tuple[Callable[[Attack], None], ...] = (
    *(a_tree, a_tree, a_tree, a_deep_tree, a_meta_file, a_meta_file, poison, poison, poison, a_link, a_link, a_link),
    *(a_link_on_the_remote, a_setting, a_setting, special_files, a_pack, a_bomb, swapped_objects),
)
