"""pandas: one column of one file, by URL."""

import sys

import pandas as pd

repo, rev = sys.argv[1:]

version = {"repo": repo, "rev": rev}
frame = pd.read_parquet("dvc-like://trips/part-00.parquet", columns=["fare"], storage_options=version)
print(f"pandas: {len(frame)} rows, {frame.fare.sum()} in all")
