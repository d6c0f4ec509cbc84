"""What changed inside a file: each kind, and that no file is too much."""

from __future__ import annotations

import struct
import time

import pytest

from dvc_like.ops._content import MAX_LENGTH, MAX_LINES, MAX_TEXT, compare, dimensions


def png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height) + b"\x08\x02\0\0\0"


def gif(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\0\0\0"


def jpeg(width: int, height: int, mark: int = 0xC0) -> bytes:
    app = b"\xff\xe1" + struct.pack(">H", 1002) + b"\xff\xc0" * 500  # a marker inside a segment is none
    frame = b"\xff\xff" + bytes((mark,)) + struct.pack(">HBHH", 17, 8, height, width) + b"\3" * 10
    return b"\xff\xd8" + app + b"\xff\xc4" + struct.pack(">H", 4) + b"\0\0" + frame


@pytest.mark.parametrize("make", [png, gif, jpeg, lambda w, h: jpeg(w, h, 0xC2)])
def test_the_dimensions_of_images(make) -> None:  # type: ignore[no-untyped-def]
    assert dimensions(make(640, 480)) == "640x480"
    found = compare("x", make(640, 480), make(800, 600))
    assert (found.kind, found.before, found.after) == ("image", "640x480", "800x600")
    for end in range(len(make(1, 1))):
        dimensions(make(1, 1)[:end])  # cut off anywhere: no failure


def test_lines_of_text() -> None:
    found = compare("notes.txt", b"a\nb\nc\n", b"a\nB\nc\nd\n")
    assert (found.kind, found.added, found.removed) == ("lines", 2, 1)
    assert found.lines == ("-b", "+B", "+d")


def test_rows_and_columns_of_a_table() -> None:
    found = compare("t.csv", b'id,"a,b"\n1,2\n', b"id,new\n1,2\n3,4\n")
    assert (found.kind, found.added, found.removed) == ("rows", 2, 1)
    assert (found.new_fields, found.gone_fields) == (("new",), ("a,b",))
    assert compare("t.tsv", b"a\tb\n", b"a\tc\n").new_fields == ("c",)


def test_keys_of_json_lines() -> None:
    found = compare("t.jsonl", b'{"a": 1}\n{"a": 2}\n', b'{"a": 1}\n{"a": 2, "b": 3}\nnot json\n[1]\n')
    assert (found.added, found.removed) == (3, 1)
    assert (found.new_fields, found.gone_fields) == (("b",), ())


@pytest.mark.parametrize("data", [b"a\0b", b"\xff\xfe\xfa", b"x" * (MAX_TEXT + 1)])
def test_what_is_no_text_or_too_large_is_bytes(data: bytes) -> None:
    assert compare("t.csv", data, b"a\n").kind == "bytes"
    assert compare("t.csv", b"a\n", data).kind == "bytes"


def test_an_empty_file_and_other_line_ends() -> None:
    assert compare("t.txt", b"", b"a\n").lines == ("+a",)
    assert compare("t.txt", b"a\r\nb\r\n", b"\xef\xbb\xbfa\nb\n").lines == ()


def test_many_rows_are_counted_and_a_few_are_kept() -> None:
    old = "".join(f"{n},x\n" for n in range(50_000)).encode()
    new = "".join(f"{n},{'y' if n % 2 else 'x'}\n" for n in range(50_000)).encode()
    found = compare("t.csv", old, new)
    assert (found.added, found.removed, len(found.lines)) == (25_000, 25_000, MAX_LINES)
    assert all(len(line) <= MAX_LENGTH for line in compare("x", b"a" * 9999, b"b" * 9999).lines)


def test_no_text_takes_long() -> None:
    hostile = [
        ("".join(f"{n % 91}\n" for n in range(1000)), "".join(f"{(n * 7) % 91}\n" for n in range(1000))),
        ("a\n" * 500 + "b\n" * 500, "b\n" * 500 + "a\n" * 500),
        ("{" * 1000 + "\n", "[" * 100_000 + "\n"),
    ]
    before = time.process_time()
    for old, new in hostile:
        compare("t.jsonl", old.encode(), new.encode())
    assert time.process_time() - before < 5
