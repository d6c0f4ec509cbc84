"""The command that counts requests: both tools against a real S3 server, behind a proxy.

Owns the scenario: what is run, in which order. What a request costs and what is written of it stands in ``counts``.
Run it with ``python -m tests.bench.requests``; ``--help`` lists the options.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.servers import rclone
from tests.servers.proxy import Proxy
from tests.servers.s3 import Bucket, S3Server
from tests.servers.tools import TOOLS, Missing

from . import data, report
from .budgets import DVC, OURS
from .counts import MB, Count, Limit, Step, section, table
from .jobs import replace_one
from .lab import Lab, Tool, expect, make_dvc
from .measure import Failed, usage
from .run import PAGE, versions

FOLDER = 100  # files in one
#: What is counted, in this order.
PUSH, PUSH_NOTHING, STATUS, PULL, PUSH_ONE, PULL_ONE = TITLES = (
    "`push` {files} files",
    "`push`, nothing to do ({files} files)",
    "`status --cloud`, nothing new ({files} files)",
    "`pull` {files} files, fresh clone",
    "1 of {files} files changed: `push`",
    "1 of {files} files changed: `pull`",
)
MANY, NOTHING, ONE = Limit(200), Limit(3), Limit(20, MB)
LIMITS = {PUSH: MANY, PUSH_NOTHING: NOTHING, STATUS: NOTHING, PULL: MANY, PUSH_ONE: ONE, PULL_ONE: ONE}
#: More files than these may be moved with as many requests as their sizes ask for.
LIMITED = 10_000


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.requests", description="Count requests to a bucket.")
    beside = Path(sys.executable).with_name("dvc-like")
    parser.add_argument("--dvc-like", metavar="CMD", default=str(beside), help="default: the one of this interpreter")
    parser.add_argument("--dvc", metavar="CMD", help="DVC 3.67 with S3; default: installed into the work folder")
    parser.add_argument("--no-dvc", action="store_true", help="leave DVC out")
    parser.add_argument("--files", type=int, default=10_000, help="small files for both tools")
    parser.add_argument("--big", type=int, default=100_000, help="small files for dvc-like alone; 0: none")
    parser.add_argument("--big-dvc", action="store_true", help="DVC moves those too, which takes it an hour")
    parser.add_argument("--work", metavar="DIR", type=Path, help="keeps DVC between runs; default: temporary")
    parser.add_argument("--seed", type=int, default=1, help="seed of the data")
    parser.add_argument("--timeout", type=float, default=7200.0, help="seconds that one command may take")
    parser.add_argument("--write", action="store_true", help="write the section of docs/benchmarks.md")
    return parser.parse_args(argv)


class Scenario:
    """One tool, one bucket, two clones."""

    def __init__(self, lab: Lab, proxy: Proxy, server: S3Server, side: str, files: int) -> None:
        self._lab = lab
        self._proxy = proxy
        self._server = server
        self._tool = lab.tools[side]
        self._files = files

    def run(self, room: Path) -> Iterator[tuple[str, Count]]:
        """Do everything in the folder `room`, yield what was counted."""
        first, second = room / "first", room / "second"
        with contextlib.closing(Bucket(self._server)) as bucket:
            self._prepare(first, bucket)
            yield PUSH, self._counted(first, "push")
            stored = sum(size for size, _ in bucket.listing().values())
            expect(stored >= usage(first / "data")[1], f"push stored only {stored} bytes")
            yield PUSH_NOTHING, self._counted(first, "push")
            yield STATUS, self._counted(first, "status", "-c")
            self._lab.do(room, "git", "clone", "-q", first, second)
            yield PULL, self._counted(second, "pull")
            expect(usage(second / "data") == usage(first / "data"), "pull brought not all files")
            file = replace_one(first, random.Random(f"{self._lab.seed}-one"))
            self._add(first)
            yield PUSH_ONE, self._counted(first, "push")
            self._lab.do(second, "git", "pull", "-q")
            yield PULL_ONE, self._counted(second, "pull")
            expect((second / file.relative_to(first)).read_bytes() == file.read_bytes(), "pull brought no change")

    def _prepare(self, place: Path, bucket: Bucket) -> None:
        place.mkdir()
        self._lab.repository(place, self._tool)
        remote = [*self._tool.argv, "remote"]
        self._lab.do(place, *remote, "add", "-d", "storage", f"{bucket.url}/data")
        self._lab.do(place, *remote, "modify", "storage", "endpointurl", self._proxy.url)
        self._lab.do(place, *remote, "modify", "storage", "region", self._server.region)
        shape = data.Shape(self._files, max(1, self._files // FOLDER), data.KIB, 16 * data.KIB)
        data.generate(place / "data", shape, self._lab.seed)
        self._add(place)

    def _add(self, place: Path) -> None:
        self._lab.do(place, *self._tool.argv, "add", "-q", "data")
        self._lab.commit(place)

    def _counted(self, place: Path, *words: str) -> Count:
        self._proxy.reset()
        self._lab.do(place, *self._tool.argv, *words, "-q")
        return Count(dict(self._proxy.counts), self._proxy.up, self._proxy.down)


def limits(files: int) -> dict[str, Limit]:
    """What each step may cost with this many files."""
    return {title: Limit() if limit is MANY and files > LIMITED else limit for title, limit in LIMITS.items()}


def count(lab: Lab, proxy: Proxy, server: S3Server, files: int, sides: Sequence[str]) -> list[Step]:
    """The steps with this many files, one tool after the other."""
    found: dict[str, dict[str, Count]] = {title: {} for title in TITLES}
    for side in sides:
        with lab.scratch() as room:
            for title, cost in Scenario(lab, proxy, server, side, files).run(room):
                found[title][side] = cost
                name = f"{report.NAMES[side]}: {title.format(files=f'{files:,}')}"
                print(f"{name}: {cost.total:,} requests", file=sys.stderr, flush=True)
    most = limits(files)
    return [Step(title.format(files=f"{files:,}"), most[title], costs) for title, costs in found.items()]


def benchmark(options: argparse.Namespace, work: Path) -> int:
    """One run in the folder `work`."""
    tools = {OURS: Tool.of(OURS, options.dvc_like)}
    if not options.no_dvc:
        tools[DVC] = Tool.of(DVC, options.dvc or make_dvc(work, "s3"))
    settings = {"python": sys.executable, "seed": options.seed, "scale": 1, "rounds": 1, "timeout": options.timeout}
    with contextlib.ExitStack() as stack:
        lab = stack.enter_context(contextlib.closing(Lab(work, tools, **settings)))
        server = stack.enter_context(rclone.running(lab.area / "server"))
        proxy = stack.enter_context(Proxy(server.endpoint))
        lab.environment |= server.environment
        steps = count(lab, proxy, server, options.files, list(tools))
        if options.big:
            steps += count(lab, proxy, server, options.big, list(tools) if options.big_dvc else [OURS])
        found = versions(lab)
        names = [f"{report.NAMES[side]} {found[report.NAMES[side]].split()[-1]}" for side in tools]
        names.append(f"rclone {TOOLS['rclone'].partition('==')[2]}")
    print(table(steps))
    if options.write:
        PAGE.write_text(report.with_requests(PAGE.read_text("utf-8"), section(steps, names)), encoding="utf-8")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Count; 0 when every command did its work, whatever it cost, else 1."""
    options = arguments(argv)
    with contextlib.ExitStack() as stack:
        if options.work:
            options.work.mkdir(parents=True, exist_ok=True)
        work = options.work or stack.enter_context(tempfile.TemporaryDirectory(prefix="dvc-like-requests-"))
        try:
            return benchmark(options, Path(work).resolve())
        except (Failed, Missing) as error:
            print(error, file=sys.stderr)
            return 1


if __name__ == "__main__":
    sys.exit(main())
