"""Every text that a stranger can write, with everything in it that a terminal would obey."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
from tests.cli.inprocess import InProcess, in_process
from tests.cli.place import Place
from tests.cli.test_failures import HOSTILE, SIZE, store_object
from tests.safety import TERMINAL, cases

from dvc_like.remote import refs

cli = in_process

ESCAPES = "\x1b[31m\x1b]0;title\x07"
TURNED = "\u202egpj.exe\u202c\u2066x\u2069\u200f"
C1 = "\x9b31m\u2028\x7f"
FORBIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)

CALLS = (
    *(["status"], ["status", "-v"], ["status", "--cloud"], ["add", "data"], ["add", TURNED], ["checkout"], ["pull"]),
    *(["push"], ["fetch"], ["diff"], ["diff", "HEAD~1", "HEAD"], ["diff", "--md", "HEAD~1"], ["log", "data"]),
    *(["log", "data", "-v"], ["ls"], ["ls", "-R"], ["ls", "--rev", "HEAD"], ["du"], ["gc", "-w", "--dry-run"]),
    *(["gc", "-w", "--cloud", "--dry-run"], ["fsck"], ["fsck", "--remote", "storage"], ["verify"], ["doctor"]),
    *(["verify", "--pushed"], ["config", "-l"], ["config", "-l", "--show-origin"], ["remote", "list"], ["undo", "-l"]),
    *(["remote", "test"], ["remote", "test", f"evil{ESCAPES}"], ["remote", "default", f"no{ESCAPES}{TURNED}"]),
    *(
        ["checkout", f"x{ESCAPES}"],
        ["ls", f"{TURNED}"],
        ["log", f"{C1}"],
        ["config", f"core.{C1}"],
        ["move", TURNED, "y"],
    ),
    *(
        ["remove", TURNED],
        ["drop", TURNED],
        ["unprotect", TURNED],
        ["check-ignore", f"{TURNED}"],
        [ESCAPES],
        [f"--{C1}"],
    ),
    *(["pull", "--profile", f"p{ESCAPES}"], ["push", "-r", f"r{ESCAPES}"], ["git-textconv", "data.meta"]),
)


def unclean(text: str) -> str:
    """Return the first forbidden character with what stands around it."""
    found = FORBIDDEN.search(text)
    return "" if found is None else repr(text[max(0, found.start() - 60) : found.end() + 20])


@pytest.fixture(params=["legal", "broken"])
def hostile(place: Place, store: Path, request: pytest.FixtureRequest) -> Place:
    """A project in which all that a stranger can name holds what a terminal would obey."""
    place.track({"data/plain": "1", f"data/{TURNED}": "2", TURNED: "3"})
    place.git("config", "user.name", f"Mallory {TURNED}")
    place.write({"data/plain": "3", f"data/{TURNED}.csv": "a,b\n1,2\n"})
    place.add("data")
    place.save(f"subject {ESCAPES}{TURNED}{C1}")
    place.push()
    ref = refs.Ref("other", int(time.time()), frozenset())
    (store / "refs/other").write_bytes(refs.encode(ref).replace(b"other", f"{ESCAPES}{TURNED}{C1}".encode()))
    (place / ".dvc-likeignore").write_text(f"{TURNED}{ESCAPES}\n")
    with open(place / ".dvc-like/config", "a", encoding="utf-8") as file:
        file.write(f'[remote "evil{ESCAPES}{TURNED}"]\n\turl = s3://{TURNED}{C1}/x\n\tregion = {ESCAPES}\n')
        file.write(f'[profile "{TURNED}{ESCAPES}"]\n\tinclude = {TURNED}{C1}\n[x]\n\tkey = {ESCAPES}{TURNED}\n')
    if request.param == "broken":
        (store / f"refs/{TURNED}").write_bytes(b"x")
        (store / f"packs/{ESCAPES}.zip").write_bytes(b"x")
        (place / f"{TURNED}.meta").write_text(f"hash: {ESCAPES}\nsize: 1\ndesc: {TURNED}\n")
        digest = store_object(place.cache, HOSTILE["escape"], ".tree")
        (place / "escape.meta").write_text(f'hash: {digest}\nsize: {SIZE}\nfiles: 1\nremote: "{TURNED}"\n')
    return place


def test_nothing_that_is_printed_can_steer_a_terminal(hostile: Place, cli: InProcess) -> None:
    done_by: set[int] = set()
    for words in CALLS:
        for more in ([], ["-v"], ["--json"]):
            done = cli(*more, *words, cwd=hostile.root, code=tuple(range(11)))
            assert not unclean(done.out), words
            assert not unclean(done.err), words
            assert "Traceback" not in done.err, words
            if more == ["--json"] and done.out:
                assert json.loads(done.out)["schema"]
            done_by.add(done.code)
    assert {0, 3, 7} <= done_by
    cases(TERMINAL, 3 * len(CALLS))


def test_what_is_escaped_in_json_is_the_same_document(place: Place, cli: InProcess) -> None:
    place.track({f"data/{TURNED}": "1"})
    done = cli("ls", "-R", "--json", cwd=place.root)
    assert f"data/{TURNED}" in json.dumps(done.json, ensure_ascii=False)
    assert not unclean(done.out)
    cases(TERMINAL)


def test_a_broken_configuration_is_told_without_obeying_it(place: Place, cli: InProcess) -> None:
    for line in (
        ESCAPES,
        f"[{TURNED}]",
        f'[remote "a"]\n\turl = s3://a:b{ESCAPES}@c',
        f"[core]\n\t{C1} = 1",
        f"[core]\n\thash = {TURNED}",
    ):
        (place / ".dvc-like/config").write_text(line + "\n", encoding="utf-8")
        for words in (["status"], ["add", "."], ["config", "-l"]):
            done = cli(*words, cwd=place.root, code=tuple(range(11)))
            assert not unclean(done.out + done.err)
            assert "Traceback" not in done.err
            cases(TERMINAL)
