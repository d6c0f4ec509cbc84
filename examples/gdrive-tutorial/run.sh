#!/bin/sh
# The tutorial of the README with a folder on Google Drive, in a scratch directory that is removed at the end.
#
#     run.sh FOLDER [CLIENT-SECRETS]
#
# FOLDER is the id or the address of a folder, best an empty one made for this: what is pushed stays in it.
# CLIENT-SECRETS is the file of an OAuth client (docs/remotes/gdrive.md); needed unless somebody is logged in already or
# DVC_LIKE_GDRIVE_CREDENTIALS is set.
set -eu

if [ $# -eq 0 ]; then
    sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
case $1 in
    *://*) folder=$1 ;;
    *) folder=gdrive://$1 ;;
esac
secrets=${2:+$(realpath "$2")}

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

dvc-like remote add -d storage "$folder"
git add .dvc-like/config
git commit -q -m "remote storage"
if [ -n "$secrets" ]; then
    dvc-like remote login --client-secrets "$secrets"
fi
dvc-like remote whoami
dvc-like remote test
dvc-like push

git clone -q "$scratch/project" "$scratch/copy"
cd "$scratch/copy"
dvc-like pull # the login is the user's, not the project's: nothing is asked here
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
echo "The first version is back. On Drive lie data/demo.*.txt, both versions."
