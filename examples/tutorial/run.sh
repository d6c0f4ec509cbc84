#!/bin/sh
# The tutorial of the README with a local-folder remote, in a scratch directory that is removed at the end.
set -eu

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export GIT_AUTHOR_NAME=tutorial GIT_AUTHOR_EMAIL=tutorial@example.org
export GIT_COMMITTER_NAME=tutorial GIT_COMMITTER_EMAIL=tutorial@example.org

mkdir "$scratch/project"
cd "$scratch/project"
git init -q
dvc-like init
git commit -q -m "start dvc-like"

mkdir data
echo "first version" > data/demo.txt
dvc-like add data/demo.txt
git add data/demo.txt.meta data/.gitignore
git commit -q -m "add demo"

dvc-like remote add -d storage ../storage
git add .dvc-like/config
git commit -q -m "remote storage"
dvc-like push

git clone -q "$scratch/project" "$scratch/copy"
cd "$scratch/copy"
dvc-like pull
cat data/demo.txt

echo "second version" > data/demo.txt
dvc-like add data/demo.txt
git add data/demo.txt.meta
git commit -q -m "update demo"
dvc-like push

git checkout -q HEAD~1 data/demo.txt.meta
dvc-like checkout
cat data/demo.txt
test "$(cat data/demo.txt)" = "first version"
echo "The first version is back."
