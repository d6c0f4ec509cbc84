#!/bin/sh
# From raw data to a model that is served by its version, in a scratch directory that is removed at the end. No server:
# runs are kept in a SQLite file, artifacts in the repository's own cache. Needs dvc-like[mlflow], mlflow, scikit-learn.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export GIT_AUTHOR_NAME=example GIT_AUTHOR_EMAIL=example@example.org
export GIT_COMMITTER_NAME=example GIT_COMMITTER_EMAIL=example@example.org
export MLFLOW_TRACKING_URI="sqlite:///$scratch/mlflow.db" MLFLOW_EXPERIMENT_NAME=diabetes
export PYTHONDONTWRITEBYTECODE=1

mkdir "$scratch/project"
cd "$scratch/project"
git init -q
dvc-like -q init
dvc-like -q remote add -d storage ../storage
cp "$here"/*.py "$here"/MLproject "$here"/python_env.yaml .
python -c "import mlflow; mlflow.create_experiment('diabetes', artifact_location='dvc-like:///mlartifacts')"

echo "--- raw -> prepared, version 1"
python prepare.py 300
dvc-like add data/diabetes.csv
git add -A
git commit -q -m "300 rows"

echo "--- train: twice, and once more before the data is committed"
python train_diabetes.py 0.05
python train_diabetes.py 0.1
python prepare.py
dvc-like add data/diabetes.csv
python train_diabetes.py 0.05
git add -A
git commit -q -m "all rows"
python autolog.py

echo "--- everything on the remote, nothing left here"
dvc-like push --all-commits
rm -rf .dvc-like/cache data/diabetes.csv
python which_runs.py

echo "--- back to version 1, where other runs were"
git checkout -q HEAD~1
dvc-like -q pull
python which_runs.py
