#!/bin/sh
# A day with the hooks of `dvc-like install`, beside a hook of your own, in a scratch directory that is removed at the
# end: data follows branches, a stale pointer is not committed, and a push takes the data along.
set -eu

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export GIT_AUTHOR_NAME=example GIT_AUTHOR_EMAIL=example@example.org
export GIT_COMMITTER_NAME=example GIT_COMMITTER_EMAIL=example@example.org

git init -q --bare "$scratch/origin.git"
mkdir "$scratch/project"
cd "$scratch/project"
git init -q
git remote add origin "$scratch/origin.git"
dvc-like init -q
dvc-like remote add -q -d storage ../storage

# A hook that is there goes on working.
printf '#!/bin/sh\necho "my own check"\n' > .git/hooks/pre-commit
chmod +x .git/hooks/pre-commit
dvc-like install

mkdir data
echo "first version" > data/demo.txt
dvc-like add -q data/demo.txt
git add -A
git commit -q -m "first version"

git checkout -q -b experiment
echo "second version" > data/demo.txt
if git commit -q -a -m "forgot to record the data"; then
  echo "a stale pointer was committed"
  exit 1
fi
dvc-like commit -q
git commit -q -a -m "second version"

git checkout -q -
cat data/demo.txt
git checkout -q -
cat data/demo.txt

git push -q origin HEAD
test -e "$scratch/storage/dvc-like.json"

dvc-like uninstall -q
test "$(.git/hooks/pre-commit)" = "my own check"
echo "Everything is as it was."
