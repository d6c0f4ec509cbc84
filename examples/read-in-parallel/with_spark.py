"""PySpark: Spark knows no file systems of Python, so it gets the paths, and its workers open them."""

import sys

import fsspec
import pandas as pd
from pyspark.sql import SparkSession

if __name__ == "__main__":
    repo, rev = sys.argv[1:]
    fs = fsspec.filesystem("dvc-like", repo=repo, rev=rev)

    def read(batches):
        for batch in batches:
            for path in batch["path"]:
                with fs.open(path) as file:
                    yield pd.read_parquet(file, columns=["fare"])

    spark = SparkSession.builder.master("local[2]").getOrCreate()
    paths = spark.createDataFrame([(path,) for path in fs.glob("trips/*.parquet")], "path string")
    fares = paths.repartition(8).mapInPandas(read, "fare long")
    print(f"spark: {fares.count()} rows, {fares.groupBy().sum('fare').first()[0]} in all")
