"""Dask: all files at once, in processes of this machine or (``--cluster``) on the workers of a cluster."""

import sys

import dask
import dask.dataframe as dd


def total(repo, rev):
    trips = dd.read_parquet("dvc-like://trips/*.parquet", columns=["fare"], storage_options={"repo": repo, "rev": rev})
    return dask.compute(trips.shape[0], trips.fare.sum())


if __name__ == "__main__":
    repo, rev, *how = sys.argv[1:]
    if "--cluster" in how:
        from distributed import Client

        with Client(n_workers=4, threads_per_worker=1, dashboard_address=None):  # or the address of a scheduler
            rows, fares = total(repo, rev)
    else:
        with dask.config.set(scheduler="processes", num_workers=2):
            rows, fares = total(repo, rev)
    print(f"dask: {rows} rows, {fares} in all")
