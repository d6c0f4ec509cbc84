"""Digests: what is one, what is none, and where its object lies."""

from __future__ import annotations

import hashlib

import blake3
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from dvc_like import digest as digests
from dvc_like.digest import HEX_LENGTH, WRITABLE, Digest
from dvc_like.errors import CorruptData

QUICK = settings(derandomize=True, deadline=None, max_examples=60)
OTHERS = {
    "blake3": lambda data: blake3.blake3(data).hexdigest(),
    "sha256": lambda data: hashlib.sha256(data).hexdigest(),
    "xxh128": lambda data: xxhash.xxh3_128(data).hexdigest(),
    "md5": lambda data: hashlib.md5(data).hexdigest(),
}


@pytest.mark.parametrize("algorithm", HEX_LENGTH)
def test_a_digest_says_its_algorithm_and_its_hex(algorithm: str) -> None:
    hexes = "0123456789abcdef" * 4
    text = f"{algorithm}:{hexes[: HEX_LENGTH[algorithm]]}"
    digest = digests.parse(text)
    assert isinstance(digest, Digest)
    assert (digest, digest.algorithm, digest.hex) == (text, algorithm, text.partition(":")[2])
    assert digest.short == "01234567"


@pytest.mark.parametrize("algorithm", HEX_LENGTH)
def test_the_key_is_algorithm_then_two_digits_then_the_rest(algorithm: str) -> None:
    hexes = ("af" + "0" * 62)[: HEX_LENGTH[algorithm]]
    digest = digests.parse(f"{algorithm}:{hexes}")
    assert digests.file_key(digest) == f"files/{algorithm}/af/{hexes[2:]}"
    assert digests.tree_key(digest) == digests.file_key(digest) + ".tree"


HEX = "a" * 64


@pytest.mark.parametrize(
    "text",
    [
        "",
        HEX,
        "blake3:",
        "blake3:" + "a" * 63,
        "blake3:" + "a" * 65,
        "blake3:" + "A" * 64,
        "blake3:" + "g" * 64,
        "BLAKE3:" + HEX,
        "blake2:" + HEX,
        "blake3:" + HEX + "\n",
        "\nblake3:" + HEX,
        " blake3:" + HEX,
        "blake3::" + HEX,
        "blake3:" + "٣" * 64,  # digits to Python, not to us
        "xxh128:" + HEX,
        "md5:" + "a" * 32 + ".dir",
        "sha256:../../../" + "a" * 55,
        "blake3:" + "../" * 21 + "a",
        "blake3:/etc/passwd",
        "blake3:" + "a" * 63 + "\0",
        "sha256:" + HEX + "|md5:" + "a" * 32,
        None,
        0,
        b"blake3:" + HEX.encode(),
        ["blake3:" + HEX],
        {"blake3": HEX},
    ],
)
def test_what_is_no_digest_is_refused(text: object) -> None:
    with pytest.raises(CorruptData) as caught:
        digests.parse(text)
    assert caught.value.exit_code == 7


def test_a_refused_digest_is_not_shown_at_length() -> None:
    with pytest.raises(CorruptData) as caught:
        digests.parse("x" * 100_000)
    assert len(caught.value.message) < 200


@QUICK
@given(st.text(max_size=80))
def test_no_other_text_becomes_a_digest(text: str) -> None:
    with pytest.raises(CorruptData):
        digests.parse(text)


@QUICK
@given(st.sampled_from(sorted(HEX_LENGTH)), st.binary(max_size=3000), st.integers(1, 700))
def test_one_call_many_updates_and_the_other_library_agree(algorithm: str, data: bytes, step: int) -> None:
    state = digests.hasher(algorithm)
    for start in range(0, len(data), step):
        state.update(memoryview(data)[start : start + step])
    whole = digests.of_bytes(algorithm, data)
    assert digests.finish(algorithm, state) == whole == digests.of_bytes(algorithm, memoryview(data))
    assert whole == f"{algorithm}:{OTHERS[algorithm](data)}"
    assert digests.parse(str(whole)) == whole


@QUICK
@given(st.binary(max_size=3000))
def test_the_fingerprint_is_the_same_at_once_and_in_parts(data: bytes) -> None:
    state = digests.new_fingerprint()
    state.update(data[: len(data) // 2])
    state.update(data[len(data) // 2 :])
    assert digests.fingerprint(data) == state.digest()
    assert len(state.digest()) == digests.FINGERPRINT_SIZE


def test_md5_is_for_reading_only() -> None:
    assert set(HEX_LENGTH) - set(WRITABLE) == {"md5"}
    assert digests.DEFAULT in WRITABLE
