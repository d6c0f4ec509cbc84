"""PyArrow: a dataset, its files divided among processes. Each of them asks the remote itself."""

import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor

import fsspec
import pyarrow.dataset as ds
import pyarrow.parquet as pq


def fares_of(task):
    """Runs in a worker, which was sent the file system: where the repository is, and which commit."""
    fs, path = task
    table = pq.read_table(path, filesystem=fs, columns=["fare"])
    return table.num_rows, sum(table["fare"].to_pylist())


if __name__ == "__main__":
    repo, rev = sys.argv[1:]
    fs = fsspec.filesystem("dvc-like", repo=repo, rev=rev)

    trips = ds.dataset("trips", filesystem=fs, format="parquet")
    last = trips.to_table(columns=["trip"], filter=ds.field("trip") >= 7990)
    print(f"pyarrow: {last.num_rows} of {trips.count_rows()} rows")

    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as workers:
        found = list(workers.map(fares_of, [(fs, path) for path in fs.glob("trips/*.parquet")]))
    print(f"pyarrow: {sum(rows for rows, _ in found)} rows, {sum(fares for _, fares in found)} in all")
