"""Prepare: scikit-learn's diabetes data as a table. With a number, only so many rows of it."""

import sys
from pathlib import Path

from sklearn.datasets import load_diabetes

rows = int(sys.argv[1]) if len(sys.argv) > 1 else None
table = load_diabetes(as_frame=True).frame[:rows]
Path("data").mkdir(exist_ok=True)
table.to_csv("data/diabetes.csv", index=False)
print(f"{len(table)} rows in data/diabetes.csv")
