"""The jobs: what is timed, in which state of the workspace, against which floor and with which budget.

A job is a generator function. It prepares one round outside of the timed part, yields the command to time, gets
the sample back, checks that the work was really done, adds facts to the sample and prepares the next round.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from .budgets import DVC, FLOOR, OURS, START_UP, Budget
from .data import shape
from .lab import Lab, expect
from .measure import MIB, Call, Sample, usage

Work = Generator[Call, Sample, None]

FLUSHED, HASH_XXH3, HASH_BLAKE3, HASH_BOTH = "floor, flushed", "hash xxh3", "hash blake3", "hash both"
HASHES = (HASH_XXH3, HASH_BLAKE3, HASH_BOTH)
CLICK = "`python -c 'import click'`"
SMALL = "small100k"
NO_BUDGET = Budget()


@dataclass(frozen=True)
class Job:
    """One row of the table. `title` may name the number of `files` and the `size` of its data set."""

    name: str
    title: str
    floor: str
    work: Callable[[Lab, str, int], Work]
    budget: Budget = NO_BUDGET
    dataset: str = ""
    references: tuple[str, ...] = ()
    repeat: int = 1
    against_dvc: bool = True

    def heading(self, scale: float) -> str:
        """The title with the numbers of this run."""
        what = shape(self.dataset or "tiny10", scale)
        return self.title.format(files=f"{what.files:,}", size=f"{what.high / MIB:,.0f} MiB")

    def sides(self, lab: Lab) -> list[str]:
        """Who runs in a round, in turn."""
        last = [DVC] if self.against_dvc and DVC in lab.tools else []
        return [FLOOR, *self.references, OURS, *last]


def import_click(lab: Lab, place: Path) -> Call:
    """The start of an interpreter with the command-line library: nothing built on click is faster."""
    return lab.call(place, lab.python, "-c", "import click")


def start(lab: Lab, side: str, rounds: int, option: str) -> Work:
    """The tool starts, prints its version or its help, and ends."""
    with lab.scratch() as place:
        for _ in range(rounds):
            if side == FLOOR:
                yield import_click(lab, place)
            else:
                yield lab.call(place, *lab.tools[side].argv, option)


def status_of_ten(lab: Lab, side: str, rounds: int) -> Work:
    """Status of ten files that are tracked one by one."""
    with lab.scratch() as place:
        if side == FLOOR:
            command = import_click(lab, place)
        else:
            tool = lab.tools[side]
            lab.repository(place, tool)
            lab.copy(lab.dataset("tiny10"), place / "data")
            names = sorted(str(file.relative_to(place)) for file in (place / "data").rglob("*.bin"))
            lab.do(place, *tool.argv, "add", "-q", *names)
            lab.commit(place)
            command = lab.call(place, *tool.argv, "status")
            lab.do(place, *command.argv)
        for _ in range(rounds):
            yield command


def copying(lab: Lab, side: str, place: Path, source: Path) -> Call:
    """The references that need no tool: a plain copy, a copy on disk, a copy twice, or hashing alone."""
    script = {
        FLOOR: 'cp -r "$0" "$1/copy"',
        FLUSHED: 'cp -r "$0" "$1/copy" && sync -f "$1"',
        "floor twice": 'cp -r "$0" "$1/copy" && cp -r "$0" "$1/again"',
    }
    if side in HASHES:
        reader = Path(__file__).with_name("hashing.py")
        return lab.call(place, lab.python, reader, side.removeprefix("hash "), source)
    return lab.call(place, "sh", "-c", script[side], source, place)


def add(lab: Lab, side: str, rounds: int, name: str, floor: str = FLOOR) -> Work:
    """Add a data set to a new repository: everything is hashed and stored."""
    single = lab.shape(name).files == 1
    source = lab.dataset(name) / "big.bin" if single else lab.dataset(name)
    for _ in range(rounds):
        with lab.scratch() as place:
            if side not in lab.tools:
                yield copying(lab, floor if side == FLOOR else side, place, source)
                continue
            tool = lab.tools[side]
            lab.repository(place, tool)
            lab.copy(source, place / "data")
            sample = yield lab.call(place, *tool.argv, "add", "-q", "data")
            expect((place / f"data{tool.suffix}").exists(), "add wrote no meta file")
            files, size = usage(place / tool.folder / "cache")
            expect(files >= lab.shape(name).files, f"add stored {files} objects")
            sample.facts |= {"cache files": files, "cache MiB": size / MIB}


def status(lab: Lab, side: str, rounds: int, name: str) -> Work:
    """Status of a folder where nothing changed, with a warm index."""
    facts: dict[str, float] = {}
    if side == FLOOR:
        place = lab.in_git(name)
        command = lab.call(place, "git", "status")
    elif side == START_UP:
        place = lab.area
        command = import_click(lab, place)
    else:
        place, added = lab.tracked(side, name)
        facts = {"peak MiB of add": added.rss / MIB}
        command = lab.call(place, *lab.tools[side].argv, "status")
    for _ in range(rounds):
        sample = yield command
        sample.facts |= facts


def push(lab: Lab, side: str, rounds: int) -> Work:
    """Push a folder of small files to an empty folder."""
    for _ in range(rounds):
        with lab.scratch() as room:
            if side not in lab.tools:
                yield copying(lab, side, room, lab.dataset(SMALL))
                continue
            place, _ = lab.tracked(side, SMALL)
            lab.remote(side, place, room / "remote")
            sample = yield lab.call(place, *lab.tools[side].argv, "push", "-q")
            files, size = usage(room / "remote")
            expect(size >= usage(lab.dataset(SMALL))[1] * 0.9, f"push moved only {size} bytes")
            sample.facts |= {"remote files": files, "remote MiB": size / MIB}


def push_nothing(lab: Lab, side: str, rounds: int) -> Work:
    """Push when the remote has everything."""
    with lab.scratch() as room:
        if side == FLOOR:
            for _ in range(rounds):
                yield import_click(lab, room)
            return
        place, _ = lab.tracked(side, SMALL)
        lab.remote(side, place, room / "remote")
        command = lab.call(place, *lab.tools[side].argv, "push", "-q")
        lab.do(place, *command.argv)
        facts = touched(lab, command, room / "remote") if shutil.which("strace") else {}
        for _ in range(rounds):
            sample = yield command
            sample.facts |= facts


def touched(lab: Lab, command: Call, remote: Path) -> dict[str, float]:
    """How often a command names something in the remote, and how often it lists a folder there."""
    log = remote.with_name("strace.log")
    lab.do(command.cwd, "strace", "-f", "-y", "-qq", "-e", "trace=%file,getdents64", "-o", log, *command.argv)
    with log.open(encoding="utf-8", errors="replace") as lines:
        return calls_in(remote, lines)


def calls_in(remote: Path, lines: Iterable[str]) -> dict[str, float]:
    """What a log of strace says of a remote: the folder ``packs`` is meant to be listed, and nothing else there."""
    seen = [line for line in lines if str(remote) in line]
    listings = [line for line in seen if "getdents64(" in line]
    packs = sum(f"<{remote}/packs>" in line for line in listings)
    return {
        "remote listings": len(listings) - packs,
        "calls listing packs": packs,
        "remote calls by name": len(seen) - len(listings),
    }


def pull(lab: Lab, side: str, rounds: int) -> Work:
    """Pull a folder of small files into a fresh clone: fetch to the cache and check out."""
    if side not in lab.tools:
        for _ in range(rounds):
            with lab.scratch() as room:
                yield copying(lab, "floor twice", room, lab.dataset(SMALL))
        return
    tool = lab.tools[side]
    place, _ = lab.tracked(side, SMALL)
    with lab.scratch() as base:
        lab.remote(side, place, base / "remote")
        lab.do(place, *tool.argv, "push", "-q")
        lab.commit(place)
        for _ in range(rounds):
            with lab.scratch() as room:
                lab.do(room, "git", "clone", "-q", place, room / "clone")
                yield lab.call(room / "clone", *tool.argv, "pull", "-q")
                files, _ = usage(room / "clone" / "data")
                expect(files == lab.shape(SMALL).files, f"pull brought {files} files")


def own_status(lab: Lab) -> Call:
    """Our status of the unchanged folder: the floor of what changes one file in it."""
    place, _ = lab.tracked(OURS, SMALL)
    return lab.call(place, *lab.tools[OURS].argv, "status")


def edit(lab: Lab, place: Path) -> Path:
    """Give one file of a tracked folder new content, another one at each call."""
    return replace_one(place, random.Random(f"{lab.seed}-{lab.number()}"))


def replace_one(place: Path, rng: random.Random) -> Path:
    """Give one file below ``data`` new content of the same size, as an editor would: aside, then renamed."""
    folder = rng.choice(sorted(os.listdir(place / "data")))
    name = rng.choice(sorted(os.listdir(place / "data" / folder)))
    file = place / "data" / folder / name
    aside = place / "edited.tmp"
    aside.write_bytes(rng.randbytes(file.stat().st_size))
    aside.replace(file)
    return file


def add_one(lab: Lab, side: str, rounds: int) -> Work:
    """One file of many was edited; the folder is added again."""
    if side == FLOOR:
        for _ in range(rounds):
            yield own_status(lab)
        return
    tool = lab.tools[side]
    place, _ = lab.tracked(side, SMALL)
    meta, cache = place / f"data{tool.suffix}", place / tool.folder / "cache"
    for _ in range(rounds):
        file, before = edit(lab, place), meta.read_bytes()
        files, size = usage(cache)
        sample = yield lab.call(place, *tool.argv, "add", "-q", "data")
        expect(meta.read_bytes() != before, "add did not see the edited file")
        files_now, size_now = usage(cache)
        new = size_now - size - file.stat().st_size
        sample.facts |= {"new objects": files_now - files, "new metadata KB": new / 1000}
    lab.commit(place)


def checkout_one(lab: Lab, side: str, rounds: int) -> Work:
    """Git went to the other of two versions that differ in one file; the workspace follows."""
    if side == FLOOR:
        for _ in range(rounds):
            yield own_status(lab)
        return
    tool = lab.tools[side]
    place, _ = lab.tracked(side, SMALL)
    lab.commit(place, "v1")
    file = edit(lab, place)
    newer = file.read_bytes()
    lab.do(place, *tool.argv, "add", "-q", "data")
    lab.commit(place, "v2")
    for number in range(rounds):
        lab.do(place, "git", "checkout", "-q", "v2" if number % 2 else "v1")
        yield lab.call(place, *tool.argv, "checkout", "-q")
        expect((file.read_bytes() == newer) == bool(number % 2), "checkout left the wrong version")
    lab.do(place, "git", "checkout", "-q", "main")
    lab.do(place, *tool.argv, "checkout", "-q")


def looking(lab: Lab, side: str, rounds: int, words: tuple[str, ...]) -> Work:
    """A command that only looks, at a folder of two versions in which one file differs and nothing is unsaved."""
    if side == FLOOR:
        for _ in range(rounds):
            yield own_status(lab)
        return
    tool = lab.tools[side]
    place, _ = lab.tracked(side, SMALL)
    lab.commit(place)
    file = edit(lab, place)
    lab.do(place, *tool.argv, "add", "-q", "data")
    lab.commit(place)
    lab.do(place, *tool.argv, "status")
    named = [str(file.relative_to(place)) if word == "FILE" else word for word in words]
    for _ in range(rounds):
        yield lab.call(place, *tool.argv, *named)


def all_jobs(*, clones: bool, scale: float) -> list[Job]:
    """The rows in the order of the table. `clones`: whether copies share blocks on this file system."""
    small = "{files} files of 1-16 KiB"
    objects = shape(SMALL, scale).files
    if clones:
        big = partial(add, name="big", floor=HASH_BOTH)
        big_floor, big_budget = "hashing alone (XXH3 and BLAKE3)", Budget(floor=1.2)
    else:
        big, big_floor, big_budget = partial(add, name="big"), "`cp`", Budget(floor=1.3)
    add_floor = "`cp -r`"
    return [
        Job("version", "`--version`", CLICK, partial(start, option="--version"), Budget(1.3), repeat=7),
        Job("help", "`--help`", CLICK, partial(start, option="--help"), Budget(1.3), repeat=7),
        Job("status-10", "`status`, 10 tracked files", CLICK, status_of_ten, Budget(2, dvc=5), repeat=5),
        Job("add-big", "`add` one file of {size}", big_floor, big, big_budget, "big", (FLUSHED, *HASHES)),
        Job("add-mid", "`add` {files} files of 0.5-1 MiB", add_floor, partial(add, name="mid"), dataset="mid"),
        Job("add-20k", f"`add` {small}", add_floor, partial(add, name="small20k"), dataset="small20k"),
        Job(
            "add-100k",
            f"`add` {small}",
            add_floor,
            partial(add, name=SMALL),
            Budget(2, dvc=3),
            SMALL,
            (FLUSHED, HASH_XXH3, HASH_BLAKE3),
        ),
        Job(
            "status-20k",
            "`status`, {files} files unchanged",
            "`git status`",
            partial(status, name="small20k"),
            dataset="small20k",
            references=(START_UP,),
        ),
        Job(
            "status-100k",
            "`status`, {files} files unchanged",
            "`git status`",
            partial(status, name=SMALL),
            Budget(1.3, start_up=True, dvc=8),
            SMALL,
            (START_UP,),
            repeat=3,
        ),
        Job(
            "add-1-of-100k",
            "1 of {files} files edited, `add`",
            "our `status`",
            add_one,
            Budget(1.3, dvc=8, facts={"new metadata KB": 100}),
            SMALL,
        ),
        Job(
            "push-100k",
            "`push` {files} small files to a folder",
            "`cp -r`",
            push,
            Budget(1, dvc=10, facts={"remote files": objects / 100}),
            SMALL,
            (FLUSHED,),
        ),
        Job(
            "push-nothing",
            "`push`, nothing to do ({files} files)",
            CLICK,
            push_nothing,
            Budget(dvc=8, facts={"remote listings": 0}),
            SMALL,
        ),
        Job("pull-100k", "`pull` {files} small files, fresh clone", "`cp -r` twice", pull, Budget(1.3, dvc=4), SMALL),
        Job(
            "checkout-1-of-100k",
            "`checkout`, 1 of {files} files differs",
            "our `status`",
            checkout_one,
            Budget(1.5, dvc=8),
            SMALL,
        ),
        *(
            Job(
                f"{name}-100k",
                f"`{title}`, {{files}} files",
                "our `status`",
                partial(looking, words=words),
                Budget(2),
                SMALL,
                against_dvc=False,
            )
            for name, title, words in (
                ("diff", "diff", ("diff",)),
                ("diff-rev", "diff HEAD~1 HEAD", ("diff", "HEAD~1", "HEAD")),
                ("log", "log FILE", ("log", "FILE")),
                ("ls", "ls -R", ("ls", "-R")),
                ("du", "du", ("du",)),
            )
        ),
        Job(
            "status-1m",
            "`status`, {files} files unchanged",
            "`git status`",
            partial(status, name="million"),
            Budget(memory=1024, facts={"peak MiB of add": 1024}),
            "million",
            (START_UP,),
            against_dvc=False,
        ),
    ]
