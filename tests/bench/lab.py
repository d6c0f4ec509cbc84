"""The laboratory: the tools under test and the workspaces they are tried in.

Owns the work folder, the environment of every process, and how a workspace is prepared (outside of the timed
part, and always with the tool's own commands: a copied index would be stale).
"""

from __future__ import annotations

import itertools
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from . import data
from .measure import Call, Failed, Sample, checked

#: Variables of the caller that would change what the tools do.
FOREIGN = ("DVC_", "GIT_", "XDG_", "AWS_", "VIRTUAL_ENV")
GIT_SETTINGS = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "bench",
    "GIT_AUTHOR_EMAIL": "bench@example.com",
    "GIT_COMMITTER_NAME": "bench",
    "GIT_COMMITTER_EMAIL": "bench@example.com",
}
USER_SETTINGS = {
    ".config/dvc/config": "[core]\n    analytics = false\n    check_update = false\n",
    ".gitconfig": "[gc]\n    auto = 0\n[init]\n    defaultBranch = main\n",
}


@dataclass(frozen=True)
class Tool:
    """A data-versioning tool: its command and how it names things in a repository."""

    name: str
    argv: tuple[str, ...]
    folder: str = ".dvc"
    suffix: str = ".dvc"

    @classmethod
    def of(cls, name: str, command: str) -> Tool:
        """The tool behind `command`. DVC may stand in for dvc-like, to try the benchmark itself."""
        argv = tuple(shlex.split(command))
        if Path(argv[-1]).name == "dvc":
            return cls(name, argv)
        return cls(name, argv, ".dvc-like", ".meta")


def make_dvc(work: Path, extra: str = "") -> str:
    """The command of DVC 3.67 in an environment of its own, which is made at the first use; `extra` as pip knows it."""
    place = work / (f"dvc-{extra}-venv" if extra else "dvc-venv")
    command = place / "bin" / "dvc"
    if not command.exists():
        print("installing DVC 3.67 into the work folder ...", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(place)], check=True)
        pip = [str(place / "bin" / "python"), "-m", "pip", "install", "-q", f"dvc[{extra}]==3.67.*"]
        subprocess.run(pip, check=True, stdout=sys.stderr)
    return str(command)


class Lab:
    """One run of the benchmark: where it works, with which tools, on how much data."""

    def __init__(
        self, work: Path, tools: dict[str, Tool], *, python: str, seed: int, scale: float, rounds: int, timeout: float
    ) -> None:
        self.work = work
        self.area = work / f"run-{os.getpid()}"
        self.area.mkdir(parents=True)
        self.tools = tools
        self.python = python
        self.seed = seed
        self.scale = scale
        self.rounds = rounds
        self.timeout = timeout
        self.environment: dict[str, str] = {}  # what every command gets besides
        self._numbers = itertools.count(1)
        self._datasets: dict[str, Path] = {}
        self._prepared: dict[tuple[str, str], tuple[Path, Sample] | Failed] = {}

    def close(self) -> None:
        """Delete everything but the data sets."""
        remove(self.area, self.area.with_name(self.area.name + ".home"))

    def forget(self, name: str) -> None:
        """Delete the prepared workspaces of the data set `name`."""
        for key in [key for key in self._prepared if key[1] == name]:
            place = self._place(key)
            remove(place, place.with_name(place.name + ".home"))
            del self._prepared[key]

    def _place(self, key: tuple[str, str]) -> Path:
        return self.area / "-".join(key)

    def number(self) -> int:
        """A number that was not used before, for a name."""
        return next(self._numbers)

    def shape(self, name: str) -> data.Shape:
        """The shape of a data set in this run."""
        return data.shape(name, self.scale)

    def dataset(self, name: str) -> Path:
        """The folder of a data set, generated if need be, and in the page cache."""
        if name not in self._datasets:
            try:
                target = data.ensure(self.work / "data", name, seed=self.seed, scale=self.scale)
            except OSError as error:
                raise Failed(f"data set {name}: {error.strerror}") from error
            self.do(self.area, "sh", "-c", 'find "$0" -type f -exec cat {} + > /dev/null', target)
            self._datasets[name] = target
        return self._datasets[name]

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A new folder that is deleted at the end."""
        place = self.area / f"scratch-{self.number()}"
        place.mkdir()
        try:
            yield place
        finally:
            remove(place, place.with_name(place.name + ".home"))

    def call(self, place: Path, *argv: str | Path) -> Call:
        """A command in the folder `place`, with a home folder and a site cache that belong to that folder alone."""
        home = place.with_name(place.name + ".home")
        for name, text in USER_SETTINGS.items():
            file = home / name
            if not file.exists():
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="ascii")
        env = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        env |= GIT_SETTINGS
        env |= {"HOME": str(home), "DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(home / "site-cache")}
        env |= self.environment
        return Call([str(word) for word in argv], place, env)

    def do(self, place: Path, *argv: str | Path) -> Sample:
        """Run a command of the preparation; `Failed` when it fails."""
        return checked(self.call(place, *argv), self.timeout)

    def copy(self, source: Path, target: Path) -> None:
        """Copy a data set without sharing blocks, so that the copy is in the page cache."""
        self.do(self.area, "cp", "-r", *(["--reflink=never"] if sys.platform == "linux" else []), source, target)

    def repository(self, place: Path, tool: Tool) -> None:
        """Make `place` a Git repository that `tool` was set up in."""
        self.do(place, "git", "init", "-q")
        self.do(place, *tool.argv, "init", "-q")

    def commit(self, place: Path, tag: str = "") -> None:
        """Commit all that Git sees; name the commit `tag`."""
        self.do(place, "git", "add", "-A", ".")
        self.do(place, "git", "commit", "-q", "--allow-empty", "-m", "bench")
        if tag:
            self.do(place, "git", "tag", "-f", tag)

    def tracked(self, side: str, name: str) -> tuple[Path, Sample]:
        """A workspace where the data set `name` is tracked as ``data`` by the tool of `side`, and what `add` cost.

        It is made once and shared by jobs, which leave it in step. Its index is warm.
        """
        return self._once(side, name, self._track)

    def in_git(self, name: str) -> Path:
        """A Git repository where the data set `name` itself is committed, with a warm index."""
        return self._once("git", name, self._commit_data)[0]

    def _once(self, side: str, name: str, make: Callable[[Path, str, str], Sample]) -> tuple[Path, Sample]:
        key = side, name
        if key not in self._prepared:
            place = self._place(key)
            place.mkdir()
            try:
                self._prepared[key] = place, make(place, side, name)
            except Failed as error:
                self._prepared[key] = error
        known = self._prepared[key]
        if isinstance(known, Failed):
            raise known
        return known

    def _track(self, place: Path, side: str, name: str) -> Sample:
        tool = self.tools[side]
        self.repository(place, tool)
        self.copy(self.dataset(name), place / "data")
        sample = self.do(place, *tool.argv, "add", "-q", "data")
        self.commit(place)
        self.do(place, *tool.argv, "status")
        return sample

    def _commit_data(self, place: Path, side: str, name: str) -> Sample:
        self.do(place, side, "init", "-q")
        self.copy(self.dataset(name), place / "data")
        # Streamed into one pack instead of one object file each: the same index, made sooner.
        sample = self.do(place, side, "-c", "core.bigFileThreshold=1", "add", "-A", ".")
        self.commit(place)
        self.do(place, side, "status")
        return sample

    def remote(self, side: str, place: Path, target: Path) -> None:
        """Make the folder `target` the default remote of the workspace `place`."""
        target.mkdir()
        self.do(place, *self.tools[side].argv, "remote", "add", "-d", f"bench{self.number()}", target)


def remove(*places: Path) -> None:
    """Delete folders with all that is in them."""
    present = [str(place) for place in places if place.exists()]
    if present and subprocess.run(["rm", "-rf", *present], check=False).returncode:
        for place in present:
            shutil.rmtree(place, ignore_errors=True)


def expect(condition: bool, problem: str) -> None:
    """A check of a result: what does not do the work is not fast."""
    if not condition:
        raise Failed(problem)
