"""Log without a line about logging: parameters, metrics and the model of a pipeline, by `autolog`."""

from pprint import pprint

import mlflow
import mlflow.sklearn
import numpy as np
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler


def main() -> None:
    # enable autologging
    mlflow.sklearn.autolog()

    # prepare training data
    X = np.array([[1, 1], [1, 2], [2, 2], [2, 3]])
    y = np.dot(X, np.array([1, 2])) + 3

    # train a model
    pipe = Pipeline([("scaler", StandardScaler()), ("lr", LinearRegression())])
    pipe.fit(X, y)
    run = mlflow.get_run(mlflow.last_active_run().info.run_id)
    print(f"Logged data and model in run: {run.info.run_id}")

    # show logged data
    tags = {name: text for name, text in run.data.tags.items() if not name.startswith("mlflow.")}
    for key, data in {"params": run.data.params, "metrics": run.data.metrics, "tags": tags}.items():
        print(f"\n---------- logged {key} ----------")
        pprint(data)


if __name__ == "__main__":
    main()
