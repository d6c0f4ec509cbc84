"""Every call of every verb fails in turn: no space, I/O error, permission, a remote that refuses, and the kill.

After each failure the exit code and the message are honest, nothing half-written stands under a real name, no byte is
lost, and running the command again does what it was to do. A run in this process has some 300 calls to break in ten
ways; by default a spread of them is tried, and with ``-m slow`` each one.
"""

from __future__ import annotations

import errno
import gc
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest
from tests.cli.inprocess import InProcess
from tests.cli.world import VERBS, copy, harm, image, new_world, undone
from tests.cli.world_elsewhere import ELSEWHERE
from tests.conftest import Ran
from tests.safety import CRASH, cases
from tests.seam import FAULTS, Fault, Killed, Point, Seam, points

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the calls differ on other systems")

SPREAD = 12
KILLED = -9
ANY = tuple(range(256))
EVERY = VERBS | ELSEWHERE
#: What a failing disk or remote may end with: failed; settings or a meta file that cannot be read; what cannot be read
#: counts as missing, a file of the user's as unsaved; remote refused; part of it.
HONEST = (1, 3, 4, 5, 6, 7, 9)
#: ... and what 7 says then: state of which nobody can tell whether Git delivered it counts as delivered.
_SAYS_WHY = re.compile("cannot be (read|made anew): ")


class Bench:
    """One verb, ready to be run again and again from the same state."""

    def __init__(self, name: str, folder: Path) -> None:
        self.verb = EVERY[name]
        self.fault: Fault | None = None
        self.struck = 0  # failures that were met: threads make some calls in one run only
        self.world = new_world(folder / "world")
        self.verb.prepare(self.world)
        self.before = image(self.world)
        self.saved = folder / "saved"
        copy(self.world.root, self.saved)
        copy(self.saved, self.world.root)  # a copy is a clone of its own, as all later ones
        seam = Seam()
        assert self.run(seam).code == 0
        self.after = image(self.world)
        self.trace = seam.trace

    def run(self, seam: Seam | None = None) -> Ran:
        """Run the verb; a dead process ends with `KILLED`."""
        if seam is None:
            return InProcess()(*self.verb.words, cwd=self.world.place.root, code=ANY)
        with seam:
            try:
                return InProcess()(*self.verb.words, cwd=self.world.place.root, code=ANY)
            except Killed:
                return Ran([*self.verb.words], KILLED, "", "")
            except Exception as error:  # the shell lets nothing through but a bug
                return Ran([*self.verb.words], 1, "", f"Traceback: {type(error).__name__}: {error}")

    def undone(self) -> list[str]:
        # What may not be read is missing, so it is not freed either.
        frees = self.verb.frees and self.fault is not None and self.fault.code != errno.EACCES
        return undone(self.world, self.after, frees=frees)

    def try_point(self, point: Point) -> Iterator[str]:
        """Run into one failure; yield what was wrong afterwards."""
        world = self.world
        copy(self.saved, world.root)
        self.fault = point.fault
        seam = Seam(point)
        done = self.run(seam)
        with seam:
            left = seam.end()
        if left and done.code != KILLED:
            yield f"left open: {left}"
        yield from harm(world, self.before, self.after)
        yield from self._told(done, seam)
        # Without its state the product takes what was deleted for never checked out, as documented.
        if done.code == 0 and not (seam.struck is not None and seam.struck.kind == "database"):
            yield from (f"exit 0, but {what}" for what in self.undone())
        yield from self._again(done)
        yield from self._swept()
        self.struck += seam.struck is not None

    def _told(self, done: Ran, seam: Seam) -> Iterator[str]:
        if done.code in (0, KILLED):
            return
        if seam.struck is None:
            yield f"exit {done.code} though nothing failed: {done.err}"
        if done.code not in HONEST or (done.code == 7 and not _SAYS_WHY.search(done.err)):
            yield f"exit {done.code}: {done.err}"
        told = re.search(r"^error: (.*)$", done.err, re.MULTILINE)
        if told is None or "Traceback" in done.err:
            yield f"no message: {done.err!r}"
        elif told[1].removeprefix(": ") in {os.strerror(fault.code) for fault in FAULTS.values() if fault.code}:
            yield f"names nothing: {told[0]}"

    def _again(self, done: Ran) -> Iterator[str]:
        world = self.world
        if done.code and not (self.verb.once and not self.undone()):
            again = self.run()
            if again.code and not (self.verb.once and again.code == 2):  # what is done already is no target any more
                yield f"again: exit {again.code}: {again.err}"
            yield from (f"again: {what}" for what in self.undone())
            yield from (f"again: {what}" for what in harm(world, self.before, self.after))

    def _swept(self) -> Iterator[str]:
        world = self.world
        if world.temps() and self.verb.alone:
            self.run()
        if world.temps():
            world.place.write({"later": "later"})
            for words in (("add", "later"), ("checkout",), ("push", "-A", "-j", "1")):
                InProcess()(*words, cwd=world.place.root, code=ANY)
            if world.temps():
                yield f"left behind: {world.temps()}"


@pytest.fixture
def bench(tmp_path: Path) -> Callable[[str], Bench]:
    return lambda name: Bench(name, tmp_path)


def broken(bench: Bench, chosen: list[Point]) -> list[str]:
    """Try all these; return what was wrong, a line each."""
    found = []
    for number, point in enumerate(chosen):
        if number % 25 == 0:
            gc.collect()  # errors hold frames, and those hold buffers
        at = f"{point.at} {bench.trace[point.at]}: {point.fault.name}"
        found += [f"{at}: {what}" for what in bench.try_point(point)]
    return found


@pytest.mark.parametrize("name", EVERY)
def test_a_failure_somewhere_does_no_harm(bench: Callable[[str], Bench], name: str) -> None:
    made = bench(name)
    chosen = Random(name).sample(points(made.trace), SPREAD)
    assert broken(made, chosen) == []
    cases(CRASH, made.struck)


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", EVERY)
def test_a_failure_anywhere_does_no_harm(bench: Callable[[str], Bench], name: str, fault: str) -> None:
    made = bench(name)
    chosen = points(made.trace, [fault])
    assert broken(made, chosen) == []
    cases(CRASH, made.struck)
