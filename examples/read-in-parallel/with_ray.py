"""Ray Data: the files are divided among the workers of a cluster."""

import sys

import fsspec
import ray

if __name__ == "__main__":
    repo, rev = sys.argv[1:]
    fs = fsspec.filesystem("dvc-like", repo=repo, rev=rev)
    ray.init(num_cpus=2, include_dashboard=False)  # or address="auto" for the cluster this machine belongs to
    trips = ray.data.read_parquet(fs.glob("trips/*.parquet"), filesystem=fs, columns=["fare"])
    print(f"ray: {trips.count()} rows, {trips.sum('fare')} in all")
