"""Hugging Face datasets: read once by several processes into its own cache, or as a stream that keeps nothing."""

import sys

from datasets import load_dataset

if __name__ == "__main__":
    repo, rev = sys.argv[1:]
    files, version = "dvc-like://trips/*.parquet", {"repo": repo, "rev": rev}

    trips = load_dataset("parquet", data_files=files, storage_options=version, split="train", num_proc=2)
    print(f"datasets: {len(trips)} rows, {sum(trips['fare'])} in all")

    stream = load_dataset("parquet", data_files=files, storage_options=version, split="train", streaming=True)
    print(f"datasets: {next(iter(stream))['note']} comes first")
