#!/bin/sh
# What a CI job does to restore a dataset, three times: with an empty cache, with that of the same commit, and with that
# of an older one. Runs in a scratch directory that is removed at the end; the remote is a folder.
set -eu

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export GIT_AUTHOR_NAME=example GIT_AUTHOR_EMAIL=example@example.org
export GIT_COMMITTER_NAME=example GIT_COMMITTER_EMAIL=example@example.org
export CI=true DVC_LIKE_TRACE=1

# Somebody's project, pushed.
git init -q "$scratch/project"
cd "$scratch/project"
dvc-like -q init
mkdir data
for number in 1 2 3 4 5; do echo "frame $number" > "data/$number.txt"; done
dvc-like -q add data
dvc-like -q remote add -d storage ../storage
git add -A
git commit -q -m "add data"
dvc-like -q push 2> /dev/null

# The job: the last commit alone, and what the service kept of an earlier run.
job() {
  cd "$scratch"
  rm -rf job
  git clone -q --depth 1 "file://$scratch/project" "$scratch/job"
  cd "$scratch/job"
  if [ -d "$scratch/kept" ]; then cp -R "$scratch/kept" .dvc-like/cache; fi
  dvc-like pull 2> "$scratch/trace"
  dvc-like verify
  echo "calls to the remote: $(wc -l < "$scratch/trace" | tr -d ' ')"
  rm -rf "$scratch/kept"
  cp -R .dvc-like/cache "$scratch/kept"
}

echo "== the first run"
job
echo "== the same commit"
job

cd "$scratch/project"
echo "frame 6" > data/6.txt
dvc-like -q add data
git commit -q -a -m "one more"
dvc-like -q push 2> /dev/null
echo "== a commit with one file more"
job
ls data
