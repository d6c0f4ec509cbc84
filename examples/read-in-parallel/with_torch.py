"""PyTorch: a Dataset whose items are files, read by the workers of a DataLoader."""

import sys

import fsspec
import pyarrow.parquet as pq
import torch
from torch.utils.data import DataLoader, Dataset


class Parts(Dataset):
    """One item for each file; a worker opens its own connections."""

    def __init__(self, fs, pattern):
        self.fs = fs
        self.paths = fs.glob(pattern)

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, number):
        with self.fs.open(self.paths[number]) as file:
            return torch.tensor(pq.read_table(file, columns=["fare"])["fare"].to_numpy())


if __name__ == "__main__":
    repo, rev = sys.argv[1:]
    parts = Parts(fsspec.filesystem("dvc-like", repo=repo, rev=rev), "trips/*.parquet")
    found = torch.cat(list(DataLoader(parts, batch_size=None, num_workers=2)))
    print(f"torch: {len(found)} rows, {found.sum()} in all")
