#!/bin/sh
# A dataset is pushed, and read from a clone that has none of it: by pandas, and by several processes of PyArrow and
# Dask. Needs `pip install 'dvc-like[fsspec]' pandas pyarrow 'dask[dataframe]'`. Everything happens in a scratch
# directory that is removed at the end. Names of other scripts here may be given instead: sh run.sh with_ray.py
set -eu

here=$(cd "$(dirname "$0")" && pwd)
[ $# -gt 0 ] || set -- with_pandas.py with_pyarrow.py with_dask.py
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export GIT_AUTHOR_NAME=example GIT_AUTHOR_EMAIL=example@example.org
export GIT_COMMITTER_NAME=example GIT_COMMITTER_EMAIL=example@example.org

mkdir "$scratch/project"
cd "$scratch/project"
git init -q
dvc-like init -q
dvc-like remote add -q -d storage ../storage
python "$here/make_data.py" trips
dvc-like add -q trips
git add -A
git commit -q -m "trips"
git tag v1
dvc-like push -q

cd "$scratch"
git clone -q project clone
for script; do
  python "$here/$script" "$scratch/clone" v1
done
echo "Nothing was checked out: $(ls clone)"
