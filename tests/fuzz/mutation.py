"""Inputs made from good ones: flipped, cut, doubled, spliced, and with what has led parsers astray before.

Not guided by anything but a number, so that a test sees the same inputs each time.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from dvc_like import digest as digests
from dvc_like.remote import pack

CORPUS = Path(__file__).parent / "corpus"
HASH = "blake3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"

#: What is put into the middle of things, in all formats alike.
POISON = (
    *(
        b"../",
        b"..",
        b".",
        b"/",
        b"\\",
        b"/etc/passwd",
        b".git",
        b".GIT",
        b"git~1",
        b".git::$INDEX_ALLOCATION",
        b".g\xe2\x80\x8cit",
    ),
    *(
        b".dvc-like",
        b"\0",
        b"\n",
        b"\r\n",
        b"\t",
        b"\x1b[31m",
        b"\xc2\x9b",
        b"\xe2\x80\xae",
        b"\xff",
        b"\xed\xa0\x80",
        b"\xef\xbb\xbf",
    ),
    *(
        b"-1",
        b"0",
        b"00",
        b"1e9",
        b"9223372036854775807",
        b"9223372036854775808",
        b"9" * 5000,
        b"0x10",
        b"nan",
        b"true",
        b"null",
        b"~",
    ),
    *(
        b"&a",
        b"*a",
        b"<<: *a",
        b"!!python/object:os.system",
        b"!x",
        b"---\n",
        b"...\n",
        b"? ",
        b"- ",
        b"{",
        b"[" * 200,
        b"[" * 20_000,
    ),
    *(
        b"{a: " * 100,
        b"<<<<<<< a\n",
        b"blake3:",
        b"md5:" + b"0" * 32,
        HASH.encode(),
        HASH.upper().encode(),
        b"hash: ",
        b"size: ",
    ),
    *(b"PK\5\6", b"PK\1\2", b"PK\3\4", b"PK\6\6", b"\xff\xff\xff\xff", b"\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff"),
    *(
        b"dvc-like tree 2\n",
        b"dvc-like refs 2\n",
        b'[remote "x"]\n',
        b"[core]\n",
        b"url = ",
        b'"',
        b"#",
        b";",
        b"=",
        b"%00",
        b"*" * 300,
    ),
    *(b"[" + b"!" * 50 + b"]", b"**/" * 100, b"a" * 5000, "é".encode(), "e\u0301".encode(), b"@", b":", b"?", b"&x=1"),
)


def _pack(deflater: pack.Deflater | None = None) -> pack.Pack:
    builder = pack.Builder(deflater)
    for name, data in (("a.txt", b"a" * 100), ("b/c.csv", b"x,y\n" * 50), ("empty", b"")):
        builder.add(digests.file_ident(digests.of_bytes("blake3", data)), name, data)
    return builder.finish()


def _made(name: str) -> Iterator[bytes]:
    if name in ("pack", "idx"):
        for made in (_pack(), _pack(pack.Deflater())):
            yield made.data if name == "pack" else made.index_data


def seeds(name: str) -> list[bytes]:
    """Return the good and the once bad inputs of a target."""
    folder = CORPUS / name
    kept = [path.read_bytes() for path in sorted(folder.iterdir())] if folder.is_dir() else []
    return [*kept, *_made(name)]


def mutations(name: str, count: int) -> Iterator[bytes]:
    """Yield the seeds of a target, then so many mutations of them."""
    known = seeds(name)
    yield from known
    chance = random.Random(name)
    for _ in range(count):
        data = bytearray(chance.choice(known))
        for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
            _mutate(data, chance, known)
        yield bytes(data)


def _mutate(data: bytearray, chance: random.Random, known: list[bytes]) -> None:
    at = chance.randrange(len(data) + 1)
    end = min(len(data), at + chance.choice((1, 2, 4, 8, 64)))
    what = chance.randrange(8)
    if what == 0 and data:
        data[at % len(data)] ^= 1 << chance.randrange(8)
    elif what == 1:
        del data[at:end]
    elif what == 2:
        data[at:at] = data[at:end] * chance.choice((1, 2, 50))
    elif what == 3:
        data[at:end] = chance.choice(POISON)
    elif what == 4:
        data[at:at] = chance.choice(POISON)
    elif what == 5:
        del data[at:]
    elif what == 6:
        other = chance.choice(known)
        cut = chance.randrange(len(other) + 1)
        data[at:] = other[cut:]
    else:  # a whole line, for the formats made of them
        lines = bytes(data).split(b"\n")
        line = chance.randrange(len(lines))
        lines[line : line + 1] = chance.choice(
            ([], [lines[line]] * 2, [chance.choice(POISON)], [*lines[line : line + 1], chance.choice(POISON)])
        )
        data[:] = b"\n".join(lines)
