"""Random commands in two clones, most of them killed at a random moment: a model says what must hold after each.

The kernel kills a process forked for each command: it holds locks, writes and dies as any other does, and is spared
only the loading of the interpreter, during which nothing could be harmed.
"""

from __future__ import annotations

import contextlib
import gc
import os
import re
import signal
import subprocess
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest
from tests.cli.place import Place, key_of, temps_in
from tests.cli.stores import contents_of, dangling, unsound
from tests.cli.world import World, missing, new_world
from tests.safety import CRASH, cases

from dvc_like.cli.main import main

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes of this kind do not exist on this system")

NAMES = ("data/a", "data/b", "data/sub/c", "data/sub/d", "one", "two")
TARGETS = ("data", "one", "two")
CODES = {0, 1, 2, 4, 5, 6, 8, 9, -signal.SIGKILL}  # not 7: nothing is damaged here
PART = ("add", "data/sub")
#: Commands and how often one is chosen. `gc` keeps what any commit needs, so all that was committed must stay.
WORDS = {
    ("add", *TARGETS): 5,
    PART: 2,
    ("commit",): 2,
    ("push", "-j", "2"): 4,
    ("fetch", "-A", "-j", "2"): 2,
    ("checkout",): 4,
    ("checkout", "--relink"): 1,
    ("pull", "-j", "2"): 4,
    ("gc", "-A"): 2,
    ("gc", "-A", "--cloud"): 2,
    ("undo",): 3,
    ("drop", "data"): 2,
    ("drop", "one", "two"): 1,
    ("fsck", "--repair"): 1,
    ("unprotect",): 1,
}


class Killer:
    """Runs commands in processes of their own, and kills most of them. `kills` counts those that died of it."""

    def __init__(self, chance: Random, log: Path) -> None:
        self.kills = 0
        self._chance = chance
        self._log = log
        self._lengths: dict[tuple[str, ...], float] = {}

    def run(self, place: Place, words: tuple[str, ...], *, kill: bool = True) -> int:
        """Run a command; return its exit code, negative when it was killed."""
        begin = time.monotonic()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # threads of pytest-xdist: the child needs none of them
            child = os.fork()
        if not child:
            self._be(place, words)
        if kill:
            time.sleep(self._chance.uniform(0, 1.1 * self._lengths.get(words, 0.1)))
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code != -signal.SIGKILL:
            self._lengths[words] = time.monotonic() - begin
        self.kills += code == -signal.SIGKILL
        told = self._log.read_text(errors="replace")
        assert code in CODES, (words, code, told)
        assert "Traceback" not in told, told
        assert not code or code < 0 or re.search(r"^error: .", told, re.MULTILINE), (words, code, told)
        return code

    def _be(self, place: Place, words: tuple[str, ...]) -> None:
        code = 70
        try:
            os.chdir(place.root)
            log = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            for stream in (1, 2):
                os.dup2(log, stream)
            with open(1, "w", closefd=False) as out, contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
                code = main([*words])
        finally:
            os._exit(code)


class Model:
    """What is known of a clone: what the user wrote where, and which of it no command has answered for yet."""

    def __init__(self, world: World, place: Place) -> None:
        self.world = world
        self.place = place
        self.written: dict[str, set[bytes]] = {}
        self.unsaved: dict[str, bytes] = {}

    def edit(self, chance: Random) -> None:
        """Write, replace and delete some files, as an editor does: aside and renamed."""
        for name in chance.sample(NAMES, chance.randrange(1, 4)):
            path = self.place / name
            if chance.random() < 0.2:
                path.unlink(missing_ok=True)
                self.unsaved.pop(name, None)
                continue
            data = f"{name} {chance.random()}".encode() * chance.choice((1, 1, 1, 60_000))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.with_name("editor").write_bytes(data)
            path.with_name("editor").rename(path)
            self.written.setdefault(name, set()).add(data)
            self.unsaved[name] = data

    def saved(self, words: tuple[str, ...]) -> None:
        """Hear that a command went well: what `add` answered for is tracked from now on."""
        if words[0] == "add":
            self.unsaved = {
                name: data
                for name, data in self.unsaved.items()
                if not any(name == word or name.startswith(f"{word}/") for word in words[1:])
            }

    def wrong(self, elsewhere: dict[str, bytes], commits: list[list[bytes]], known: set[bytes]) -> Iterator[str]:
        """Yield what does not hold. `commits` are the meta files of each, `known` all that anybody wrote."""
        cache, trash = contents_of(self.place.cache), contents_of(self.place.cache / "trash")
        yield from (f"unsound in the cache: {key}" for key in unsound(cache | trash))
        yield from (f"set aside: {path.name}" for path in (self.place.cache / "bad").glob("*"))
        safe = {**elsewhere, **trash, **cache}
        for name, node in self.place.data().items():
            if node[0] == "file" and ".dvc-like-tmp-" not in name and node[2] not in known:
                yield f"{name} holds what nobody wrote: {str(node[2])[:40]}"
        for name, data in self.unsaved.items():
            path = self.place / name
            if key_of(data) not in safe and not (path.is_file() and path.read_bytes() == data):
                yield f"the user's edit of {name} is lost"
        for metas in commits:
            yield from (f"lost, though committed: {key}" for meta in metas for key in missing(meta, safe))


def check(models: list[Model], commits: list[list[bytes]]) -> None:
    """Fail unless everything holds. What one clone committed may lie in its cache alone until it is pushed."""
    store = contents_of(models[0].world.store)
    assert unsound(store) == []
    assert dangling(store) == []
    anywhere = dict(store)
    for model in models:
        anywhere.update(contents_of(model.place.cache / "trash") | contents_of(model.place.cache))
    known = {data for model in models for every in model.written.values() for data in every}
    for model in models:
        assert [*model.wrong(anywhere, commits, known)] == []


def metas(place: Place) -> list[bytes]:
    return [(place / f"{name}.meta").read_bytes() for name in TARGETS if (place / f"{name}.meta").exists()]


def share(models: list[Model], chance: Random, commits: list[list[bytes]]) -> None:
    """Commit in one clone, and let the other have it: Git is not what is tested here."""
    model = models[0]
    model.place.save()
    commits.append(metas(model.place))
    other = models[1].place
    other.git("fetch", "-q", "origin")
    if chance.random() < 0.5:
        other.git("reset", "-q", "--hard", "origin/main")


def end(killer: Killer, models: list[Model], commits: list[str]) -> None:
    """Let everything come to its end: each version can be had, exactly, and nothing is left behind."""
    first = models[0].place
    assert killer.run(first, ("push", "-A"), kill=False) == 0
    for model in models:
        for words in (("add", *TARGETS), ("gc", "-A", "--cloud")):
            killer.run(model.place, words, kill=False)
        model.place.git("checkout", "-q", "-f", "main")
    for commit in commits:
        first.git("checkout", "-q", "-f", commit)
        assert killer.run(first, ("pull", "--force"), kill=False) == 0
        assert first.changes() == {}
        assert killer.run(first, ("status", "--exit-code"), kill=False) == 0
    assert temps_in(models[0].world.root) == []


def kills_in_one_life(root: Path, seed: int, kills: int) -> int:
    """Run random commands until so many of them were killed; return how many were."""
    chance = Random(seed)
    world = new_world(root / "world")
    world.place.write({name: name for name in NAMES})
    world.place.add(*TARGETS)
    world.place.save()
    world.place.push()
    other = Place(world.root / "clone")
    subprocess.run(["git", "clone", "-q", str(world.place.root), str(other.root)], check=True)
    models = [Model(world, world.place), Model(world, other)]
    for model in models:
        model.written = {name: {name.encode()} for name in NAMES}
    commits = [metas(world.place)]
    killer = Killer(chance, root / "log")
    gc.collect()
    while killer.kills < kills:
        model = chance.choice(models)
        if chance.random() < 0.5:
            model.edit(chance)
        words = chance.choices([*WORDS], [*WORDS.values()])[0]
        if words == PART and not (model.place / "data.meta").exists():
            continue  # an undo took the target away: this would make another one inside of it
        if not killer.run(model.place, words, kill=chance.random() < 0.8):
            model.saved(words)
        check(models, commits)
        if model is models[0] and chance.random() < 0.3 and not killer.run(model.place, ("add", *TARGETS), kill=False):
            model.saved(("add", *TARGETS))
            share(models, chance, commits)
    end(killer, models, world.place.git("rev-list", "main").split()[:-1])
    return killer.kills


@pytest.fixture
def life(tmp_path: Path) -> Callable[[int, int], int]:
    return lambda seed, kills: kills_in_one_life(tmp_path, seed, kills)


def test_some_random_kills(life: Callable[[int, int], int]) -> None:
    cases(CRASH, life(0, 15))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 26))
def test_a_thousand_random_kills(life: Callable[[int, int], int], seed: int) -> None:
    cases(CRASH, life(seed, 40))
