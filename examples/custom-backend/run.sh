#!/bin/sh
# A dataset pushed to a SQLite file and pulled in another clone, in a scratch directory that is removed at the end.
# The plug-in has to be installed beside dvc-like: pip install examples/custom-backend
set -eu

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export GIT_AUTHOR_NAME=example GIT_AUTHOR_EMAIL=example@example.org
export GIT_COMMITTER_NAME=example GIT_COMMITTER_EMAIL=example@example.org

git init -q "$scratch/project"
cd "$scratch/project"
dvc-like -q init
mkdir data
for number in 1 2 3 4 5; do echo "frame $number" > "data/$number.txt"; done
dvc-like -q add data

dvc-like remote add -d store sqlite://../store.sqlite
dvc-like remote test store
git add -A
git commit -q -m "add data"
dvc-like push

git clone -q "$scratch/project" "$scratch/copy"
cd "$scratch/copy"
dvc-like pull
diff -r "$scratch/project/data" data
dvc-like fsck --remote store

echo "The data came back from store.sqlite."
