"""Train on the prepared table, and log parameters, metrics, the data set and the model.

    python train_diabetes.py [ALPHA [L1_RATIO]]

Nothing here speaks of versions: run in a dvc-like repository, with dvc-like[mlflow] installed, each run carries them.
"""

import sys

import mlflow
import mlflow.sklearn
import pandas as pd
from mlflow.models import infer_signature
from sklearn.linear_model import ElasticNet
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from sklearn.model_selection import train_test_split

PATH = "data/diabetes.csv"

alpha = float(sys.argv[1]) if len(sys.argv) > 1 else 0.05
l1_ratio = float(sys.argv[2]) if len(sys.argv) > 2 else 0.05

data = pd.read_csv(PATH)
train, test = train_test_split(data, random_state=42)
train_x, test_x = train.drop(columns="target"), test.drop(columns="target")

with mlflow.start_run() as run:
    mlflow.log_input(mlflow.data.from_pandas(data, source=PATH, name="diabetes", targets="target"), context="training")
    lr = ElasticNet(alpha=alpha, l1_ratio=l1_ratio, random_state=42).fit(train_x, train["target"])
    predicted = lr.predict(test_x)
    rmse = float(root_mean_squared_error(test["target"], predicted))

    mlflow.log_param("alpha", alpha)
    mlflow.log_param("l1_ratio", l1_ratio)
    mlflow.log_metric("rmse", rmse)
    mlflow.log_metric("r2", float(r2_score(test["target"], predicted)))
    mlflow.log_metric("mae", float(mean_absolute_error(test["target"], predicted)))
    signature = infer_signature(train_x, lr.predict(train_x))
    mlflow.sklearn.log_model(lr, name="model", signature=signature, input_example=test_x.head(2))

print(f"run {run.info.run_id}: rmse {rmse!r}")
