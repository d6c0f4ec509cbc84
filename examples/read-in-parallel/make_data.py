"""Write a dataset of eight Parquet files: ``python make_data.py FOLDER``."""

import os
import sys

import pyarrow as pa
import pyarrow.parquet as pq

(folder,) = sys.argv[1:]
os.makedirs(folder)
for part in range(8):
    rows = range(1000 * part, 1000 * part + 1000)
    columns = {"trip": list(rows), "fare": [row % 100 for row in rows], "note": [f"trip {row}" for row in rows]}
    pq.write_table(pa.table(columns), os.path.join(folder, f"part-{part:02}.parquet"))
