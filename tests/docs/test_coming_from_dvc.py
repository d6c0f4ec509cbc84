"""The page for DVC's users: it speaks of every data command and flag of DVC, and each of our commands on it works.

Every row is run in a copy of one prepared project. "ends with N" in its last column is the exit code of its commands.
"""

from __future__ import annotations

import io
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.cli.inprocess import InProcess
from tests.cli.place import Place, make_place

from dvc_like.cli.table import COMMANDS, HIDDEN

PAGE = Path(__file__).resolve().parents[2] / "docs" / "coming-from-dvc.md"
WITHOUT = ("not yet", "not needed", "not ours")

#: Every data command of DVC 3.67 with its flags, as its own parser lists them.
DVC = """
add | --no-commit --glob -o/--out --to-remote -r/--remote --remote-jobs -f/--force --no-relink
cache dir | --global --system --project --local -u/--unset
cache migrate | --dvc-files --dry
check-ignore | -d/--details -a/--all -n/--non-matching --stdin
checkout | --summary -d/--with-deps -R/--recursive -f/--force --relink --allow-missing
commit | -f/--force -d/--with-deps -R/--recursive --no-relink
completion | -s/--shell
config | --global --system --project --local -u/--unset -l/--list --show-origin
data status | --json --granular --unchanged --untracked-files -r/--remote --not-in-remote --no-remote-refresh
destroy | -f/--force
diff | --targets --json --show-hash --md --hide-missing
doctor |
du | --rev -s/--summarize --config --remote --remote-config
fetch | -j/--jobs -r/--remote -a/--all-branches -T/--all-tags -A/--all-commits -d/--with-deps -R/--recursive
fetch | --run-cache --no-run-cache --max-size --type
freeze |
gc | -w/--workspace --rev -n/--num -a/--all-branches -T/--all-tags -A/--all-commits --date --all-experiments
gc | --not-in-remote -c/--cloud -r/--remote --skip-failed -f/--force -j/--jobs -p/--projects --dry
get | -o/--out --rev --show-url -j/--jobs -f/--force --config --remote --remote-config
get-url | -j/--jobs -f/--force --fs-config
git-hook merge-driver | --ancestor --our --their
git-hook post-checkout |
git-hook pre-commit |
git-hook pre-push |
import | -o/--out -f/--force --rev --no-exec --no-download -j/--jobs --config --remote --remote-config
import-db | --sql --table --output-format -o/--out -f/--force --conn
import-url | --to-remote -r/--remote --no-exec --no-download -j/--jobs -f/--force --version-aware --fs-config
init | --no-scm -f/--force --subdir
install | --use-pre-commit-tool
list | -R/--recursive -T/--tree -L/--level --dvc-only --json --rev --config --remote --remote-config --size --show-hash
list-url | -R/--recursive -T/--tree -L/--level --size --fs-config
move |
pull | -j/--jobs -r/--remote -a/--all-branches -T/--all-tags -A/--all-commits -f/--force -d/--with-deps
pull | -R/--recursive --run-cache --no-run-cache --glob --allow-missing
push | -j/--jobs -r/--remote -a/--all-branches -T/--all-tags -A/--all-commits -d/--with-deps -R/--recursive
push | --run-cache --no-run-cache --glob
remote add | --global --system --project --local -d/--default -f/--force
remote default | --global --system --project --local -u/--unset
remote list | --global --system --project --local
remote modify | --global --system --project --local -u/--unset
remote remove | --global --system --project --local
remote rename | --global --system --project --local
remove | --outs
root |
status | -j/--jobs -c/--cloud -r/--remote -a/--all-branches -T/--all-tags -A/--all-commits -d/--with-deps
status | -R/--recursive --json --no-updates
test-db | --conn --url --password --username
unfreeze |
unprotect |
update | --rev -R/--recursive --no-download --to-remote -r/--remote -j/--jobs
version |
"""


class Row(NamedTuple):
    """One row: where it stands, DVC's words, ours, and what differs."""

    line: int
    theirs: str
    ours: str
    differs: str

    @property
    def commands(self) -> list[str]:
        return re.findall(r"`(dvc-like [^`]+)`", self.ours)

    @property
    def codes(self) -> int:
        found = re.search(r"ends with (\d+)", self.differs)
        return int(found[1]) if found else 0


def rows() -> list[Row]:
    found = []
    for number, line in enumerate(PAGE.read_text(encoding="utf-8").splitlines(), 1):
        cells = [cell.strip() for cell in line.split("|")]
        if line.startswith("|") and cells[1:3] not in (["DVC", "dvc-like"], ["---", "---"]):
            assert len(cells) == 5, f"line {number} has another number of cells"
            found.append(Row(number, *cells[1:4]))
    return found


ROWS = rows()


def words_of(text: str) -> set[str]:
    """Return the words of everything in backticks."""
    return {word for code in re.findall(r"`([^`]+)`", text) for word in code.split()}


def test_every_command_and_flag_of_dvc_is_spoken_of() -> None:
    lacks = []
    for line in DVC.strip().splitlines():
        command, _, flags = line.partition(" |")
        about = [row for row in ROWS if re.search(rf"`dvc {command}(?![\w-])", row.theirs)]
        named = set().union(*(words_of(row.theirs) for row in about))
        lacks += [f"dvc {command}"] if not about else []
        lacks += [f"dvc {command} {flag}" for flag in flags.split() if not named.intersection(flag.split("/"))]
    assert lacks == []


def test_every_command_of_ours_is_on_the_page() -> None:
    named = {command.split()[1] for row in ROWS for command in row.commands}
    assert set(COMMANDS) - HIDDEN - named == set()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"line {row.line}")
def test_a_row_says_what_to_type_or_why_nothing_is(row: Row) -> None:
    assert bool(row.commands) != (row.ours in WITHOUT), row
    assert row.theirs or row.commands


PREPARED: dict[str, Path] = {}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A copy of the project that the page speaks of; what it is copied from is made once."""
    if not PREPARED:
        PREPARED["base"] = tmp_path_factory.mktemp("page")
        prepare(make_place(PREPARED["base"] / "project"))
    shutil.copytree(PREPARED["base"], tmp_path / "copy", symlinks=True)
    monkeypatch.setattr("sys.stdin", io.StringIO("data/x.csv\n"))
    return Place(tmp_path / "copy/project")


def prepare(place: Place) -> None:
    place.use_store("../backup", "backup")
    place.use_store("../storage", "storage")
    for version in ("1", "2"):
        place.write({"data/x.csv": f"a,b\n1,{version}\n", "data/sub/y.csv": "c\n", "model.bin": version})
        place.add("data", "model.bin")
        place.save(f"version {version}")
        place.git("tag", f"v{version}")
    place.push(remote="backup", all_commits=True)
    place.push(all_commits=True)
    place.write({"new.bin": "new", "raw/one.csv": "1\n", "raw/two.csv": "2\n"})


@pytest.mark.parametrize("row", [row for row in ROWS if row.commands], ids=lambda row: f"line {row.line}")
def test_what_a_row_says_can_be_typed(row: Row, project: Place, tmp_path: Path) -> None:
    for number, command in enumerate(row.commands):
        words = shlex.split(command)[1:]
        folder = project.root
        if words[0] == "init" and "--force" not in words:
            folder = tmp_path / f"fresh-{number}"
            subprocess.run(["git", "init", "-q", str(folder)], check=True)
        InProcess()(*words, cwd=folder, code=row.codes)
