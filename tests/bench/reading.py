"""The command that measures reading single files from a bucket: ``python -m tests.bench.reading``.

A real S3 server, and before it a proxy that answers each request so many milliseconds later. Each figure is what one
process, or some at once, see of a clone whose cache is empty; starting them is not counted.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

from tests.cli.place import Place, make_place
from tests.servers import rclone
from tests.servers.proxy import Proxy
from tests.servers.s3 import Bucket

from dvc_like.config import edit

KB, MB = 1 << 10, 1 << 20
SMALL, BIG = 64 * KB, 256 * MB


def make(place: Place, files: int) -> None:
    """Fill a project: many small files, and one big table of which a reader wants one column in ten."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    chance = random.Random(1)
    place.write({f"data/{number:04}.bin": chance.randbytes(SMALL) for number in range(files)})
    numbers = np.random.default_rng(1)
    columns = {f"c{number}": numbers.random(BIG // 80) for number in range(10)}
    pq.write_table(pa.table(columns), place / "table.parquet", use_dictionary=False, compression="none")
    place.add("data", "table.parquet")
    place.save()
    place.push()


def read(work: tuple[Any, list[str]]) -> int:
    """Read some files one after the other; return their bytes."""
    fs, names = work
    return sum(len(fs.cat_file(name)) for name in names)


def warm(fs: Any) -> None:
    """Load what a reader loads, and open the store."""
    fs.info("data/0000.bin")
    fs.cat_file("data/0000.bin")


def by_workers(fs: Any, names: list[str], workers: int) -> float:
    """Return the seconds in which so many processes read the files, each its share."""
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        list(pool.map(warm, [fs] * workers * 4))
        begin = time.perf_counter()
        total = sum(pool.map(read, [(fs, names[number::workers]) for number in range(workers)]))
        seconds = time.perf_counter() - begin
    assert total == len(names) * SMALL
    return seconds


def column(new: Callable[..., Any], verify: bool) -> None:
    """Read one column of the big table."""
    import pyarrow.parquet as pq

    table = pq.read_table("table.parquet", filesystem=new(verify=verify), columns=["c3"])
    assert table.num_rows == BIG // 80


def measure(place: Place, proxy: Proxy, rounds: int, files: int) -> None:
    """Print what was measured."""
    import fsspec

    def new(**options: Any) -> Any:
        return fsspec.filesystem("dvc-like", repo=place.root, rev="HEAD", cache=False, **options)

    names = [f"data/{number:04}.bin" for number in range(1, files)]
    times: dict[int, list[float]] = {1: [], 4: []}
    for _ in range(rounds):
        for workers, found in times.items():
            found.append(by_workers(new(), names, workers))
    one, four = median(times[1]), median(times[4])
    print(f"{len(names)} files of 64 KiB: 1 process {one:.2f} s, 4 processes {four:.2f} s, {one / four:.2f}x")

    fs = new()
    fs.find("data")
    proxy.reset()
    begin = time.perf_counter()
    fs.cat(names)
    print(f"the same in one `cat`: {time.perf_counter() - begin:.2f} s, {sum(proxy.counts.values())} requests")
    proxy.reset()
    fs.cat_file(names[0])
    print(f"one of them: {proxy.down} bytes, {sum(proxy.counts.values())} request")
    for verify in (False, True):  # what came whole would be read from there
        proxy.reset()
        begin = time.perf_counter()
        column(new, verify)
        seconds = time.perf_counter() - begin
        print(f"1 of 10 columns, verify={verify}: {seconds:.2f} s, {proxy.down / MB:.1f} MiB, {dict(proxy.counts)}")


def main(argv: Sequence[str] | None = None) -> int:
    """Measure."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.reading", description=__doc__)
    parser.add_argument("--latency", type=float, default=0.02, help="seconds each request waits")
    parser.add_argument("--files", type=int, default=400, help="small files")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="dvc-like-reading-") as work:
        place = make_place(Path(work) / "project")
        with rclone.running(Path(work) / "server") as server, Proxy(server.endpoint) as proxy:
            os.environ.update(server.environment)
            bucket = Bucket(server)
            settings = {"url": f"{bucket.url}/data", "endpointurl": proxy.url, "region": server.region}
            named = {f"remote.storage.{name}": value for name, value in settings.items()}
            edit(place.project.config.files["local"], {"core.remote": "storage", **named})
            make(place, options.files)
            for name in ("files", "tmp"):
                shutil.rmtree(place.cache / name, ignore_errors=True)
            for path in (*place.root.glob("data/*"), place / "table.parquet"):
                path.unlink()
            proxy.latency = options.latency
            measure(place, proxy, options.rounds, options.files)
            bucket.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
