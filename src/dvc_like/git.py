"""Git: the only module that runs it, and what can be known from its files without running it.

Owns finding the repository, the refs and revisions, and reading meta files of other revisions in bulk. Git is
run without a shell, without hooks, file system monitors and optional locks: the repository may be a stranger's.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator, Mapping

from .errors import DvcLikeError, ProjectError, UsageError
from .paths import fold, is_below, show

# What Git sets for the hooks it runs, or a user to reach another repository: none of it may lead our calls astray.
_REDIRECTING = frozenset(
    [
        *("GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_PREFIX", "GIT_NAMESPACE", "GIT_OBJECT_DIRECTORY"),
        *("GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_IMPLICIT_WORK_TREE", "GIT_GRAFT_FILE", "GIT_SHALLOW_FILE"),
        *("GIT_REPLACE_REF_BASE", "GIT_INDEX_FILE"),
    ]
)

_SAFE = [
    "--no-optional-locks", "-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}",
    # What a user may like to read must not change what `git log` lists for us.
    "-c", "log.follow=false", "-c", "log.diffMerges=separate", "-c", "log.showSignature=false",
]  # fmt: skip
#: Where a rebase or a merge keeps what it stashed by itself, which no ref and no reflog leads to.
_AUTOSTASHES = ("rebase-merge/autostash", "rebase-apply/autostash", "MERGE_AUTOSTASH")


class Git:
    """One repository, seen from one of its worktrees. `prefix` leads from the worktree's top to the project."""

    def __init__(self, top: str, git_dir: str, common_dir: str, prefix: str) -> None:
        self.top = top
        self.git_dir = git_dir
        self.common_dir = common_dir
        self.prefix = prefix

    @classmethod
    def find(cls, folder: str) -> Git | None:
        """Return the repository that `folder` lies in, read from its files: no process is started."""
        here = os.path.realpath(folder)
        while True:
            mark = os.path.join(here, ".git")
            git_dir = mark if stat.S_ISDIR(_mode(mark)) else _follow(mark)
            if git_dir is not None and _mode(os.path.join(git_dir, "HEAD")):
                common = _first_line(os.path.join(git_dir, "commondir"))
                common_dir = os.path.normpath(os.path.join(git_dir, common)) if common else git_dir
                prefix = os.path.relpath(os.path.realpath(folder), here).replace(os.sep, "/")
                return cls(here, git_dir, common_dir, "" if prefix == "." else prefix)
            parent = os.path.dirname(here)
            if parent == here:
                return None
            here = parent

    @property
    def main_top(self) -> str:
        """The top of the main worktree; of a bare repository or a submodule, this one's own."""
        if self.common_dir != self.git_dir and os.path.basename(self.common_dir) == ".git":
            return os.path.dirname(self.common_dir)
        return self.top

    def worktrees(self) -> list[str]:
        """Return the tops of all worktrees this repository knows of, also of those that are not there."""
        found = {self.top, self.main_top}
        base = os.path.join(self.common_dir, "worktrees")
        for name in sorted(os.listdir(base)) if os.path.isdir(base) else []:
            mark = _first_line(os.path.join(base, name, "gitdir"))
            if mark:
                found.add(os.path.dirname(os.path.join(base, name, mark)))
        return sorted(found)

    def is_shallow(self) -> bool:
        """Tell whether history is cut off here."""
        return bool(self.boundary())

    def boundary(self) -> set[str]:
        """Return the commits behind which history is cut off."""
        try:
            with open(os.path.join(self.common_dir, "shallow"), encoding="ascii") as file:
                return set(file.read().split())
        except FileNotFoundError:
            return set()

    @staticmethod
    def is_installed() -> bool:
        """Tell whether git can be run at all."""
        import shutil

        return shutil.which("git") is not None

    def run(
        self,
        *arguments: str,
        stdin: bytes | None = None,
        check: bool = True,
        index: str = "",
        more: Mapping[str, str] | None = None,
        held: tuple[int, ...] = (),
    ) -> bytes:
        """Run git at the top of the worktree; return its output. Raises `DvcLikeError` when it fails.

        `index` is another index file than that of this worktree. The environment gets `more`; the process keeps the
        descriptors `held` open, and with them the locks, should it outlive this one.
        """
        import subprocess  # costs as much as a whole `status` where Git need not be asked

        try:
            done = subprocess.run(
                ["git", *_SAFE, *arguments],
                check=False,
                cwd=self.top,
                input=stdin,
                stdin=None if stdin is not None else subprocess.DEVNULL,
                capture_output=True,
                env={**_environment(index or commit_index(self)), **(more or {})},
                pass_fds=held if os.name == "posix" else (),
            )
        except FileNotFoundError:
            raise ProjectError("git is not installed, or not on the PATH") from None
        if check and done.returncode:
            words = done.stderr.decode(errors="replace").strip() or f"exit code {done.returncode}"
            raise DvcLikeError(f"git {arguments[0]} failed: {show(words)}")
        return done.stdout

    def stage(self, paths: Iterable[str]) -> None:
        """Add files (relative to the project) to Git's index."""
        _for_each(self, ["add"], paths)

    def forget(self, paths: Iterable[str]) -> None:
        """Take files (relative to the project) out of Git's index; they stay in the workspace."""
        _for_each(self, ["rm", "-q", "--cached", "--ignore-unmatch"], paths)

    def tracked(self, paths: Iterable[str]) -> list[str]:
        """Return which of the paths Git itself tracks, or tracks something below."""
        found = []
        wanted = list(paths)
        listed = self.run("ls-files", "-z", "--", *[self.literal(path) for path in wanted])
        names = [name.decode(errors="surrogateescape") for name in listed.split(b"\0") if name]
        for path in wanted:
            full = f"{self.prefix}/{path}" if self.prefix else path
            if any(name == full or name.startswith(full + "/") for name in names):
                found.append(path)
        return found

    def knows(self, path: str) -> bool:
        """Tell whether any commit ever had a path."""
        return bool(self.run("log", "--all", "-1", "--format=%H", "--", self.literal(path)).strip())

    def literal(self, path: str) -> str:
        """Return the pathspec that means this path of the project and no other."""
        return f":(top,literal){self.prefix}/{path}" if self.prefix else f":(top,literal){path}"

    # ---------------------------------------------------------------- revisions

    def resolve(self, revision: str) -> str:
        """Return the commit id of a revision, or raise `UsageError`."""
        out = self.run("rev-parse", "--verify", "--quiet", "--end-of-options", revision + "^{commit}", check=False)
        if len(out.split()) != 1 or out.startswith(b"^"):
            if revision == "HEAD":
                raise UsageError(f"{show(self.top)} has no commit yet", hint="Commit first, with `git commit`.")
            where = "here" if is_below(os.path.realpath(os.curdir), self.top) else f"of {show(self.top)}"
            raise UsageError(f"{show(revision)!r} is no revision {where}", hint="See `git log` and `git branch -a`.")
        return out.decode().strip()

    def tips(self, kind: str) -> list[str]:
        """Return the commits that ``branches`` or ``tags`` point to."""
        where = "refs/heads" if kind == "branches" else "refs/tags"
        out = self.run("for-each-ref", "--format=%(objectname)", where).decode().split()
        return sorted({commit for commit in (_peel(self, name) for name in out) if commit})

    def metas_at(self, commit: str, suffix: str) -> Iterator[tuple[str, bytes]]:
        """Yield (path relative to the project, bytes) of every meta file in a commit."""
        yield from self.contents([(name, path) for name, path in self.files_at(commit) if path.endswith(suffix)])

    def files_at(self, commit: str) -> list[tuple[str, str]]:
        """Return (object, path relative to the project) of every file in a commit: no links, no submodules."""
        listed = self.run("ls-tree", "-r", "-z", "--full-tree", commit, *_place(self))
        lines = [line.partition(b"\t") for line in listed.split(b"\0") if line.startswith(b"100")]
        return [(head.split()[2].decode(), self.relative(raw)) for head, _, raw in lines]

    def metas_in_history(self, suffix: str) -> Iterator[tuple[str, bytes]]:
        """Yield (path, bytes) of every version of every meta file.

        That is what any ref, reflog (so every stash) or HEAD reaches, what a rebase or merge under way has stashed, and
        what is staged in any worktree.
        """
        found = _logged(self, ["--all", "--reflog", *_autostashes(self)], suffix)
        yield from self.contents(sorted(found | _staged(self, suffix)))

    def metas_in_range(self, revisions: list[str], suffix: str) -> Iterator[tuple[str, bytes]]:
        """Yield (path, bytes) of every version of a meta file that commits brought; `revisions` as for `git log`."""
        yield from self.contents(sorted(_logged(self, revisions, suffix)))

    def relative(self, raw: bytes) -> str:
        """Return a path that Git gave, seen from the top, as one seen from the project."""
        path = raw.decode(errors="surrogateescape")
        return path[len(self.prefix) + 1 :] if self.prefix else path

    def contents(self, blobs: list[tuple[str, str]]) -> Iterator[tuple[str, bytes]]:
        """Yield (path, bytes) of objects, given as (object, path), in their order: one process reads them all."""
        if not blobs:
            return
        request = "".join(f"{name}\n" for name, _ in blobs).encode()
        out = self.run("cat-file", "--batch", stdin=request)
        at = 0
        for name, path in blobs:
            end = out.index(b"\n", at)
            head = out[at:end].split()
            if len(head) != 3:
                raise DvcLikeError(f"Git cannot read object {name} ({show(path)})")
            size = int(head[2])
            if head[1] == b"blob":
                yield path, out[end + 1 : end + 1 + size]
            at = end + 1 + size + 1


def version() -> str:
    """Return the version of git that is run. Raises `ProjectError` when there is none."""
    here = Git(os.curdir, "", "", "")
    return here.run("--version").decode(errors="replace").strip().rpartition("version ")[2]


def delivered(git: Git, path: str) -> str:
    """Return by which name Git tracks `path` (both relative to the project), empty when it does not.

    Any spelling counts that some file system takes for the same: where case is folded, a clone's ``Config.local`` is
    read as ``config.local``. So does a submodule or a link that Git tracks in place of a folder the path lies in.
    """
    wanted = fold(f"{git.prefix}/{path}" if git.prefix else path)
    first = git.prefix.count("/") + 2 if git.prefix else 1
    depths = range(first, wanted.count("/") + 2)
    listed = git.run("ls-files", "-z", "--", *[f":(top,glob){'/'.join('*' * depth)}" for depth in depths])
    folder = fold(path.partition("/")[0]).encode()
    for raw in listed.split(b"\0")[:-1]:
        if raw.isascii() and folder not in raw.lower():
            continue  # nearly all: a close look at each takes ten times as long
        if (wanted + "/").startswith(fold(raw.decode(errors="surrogateescape")) + "/"):
            return git.relative(raw)
    return ""


def ignores(git: Git, paths: Iterable[str]) -> list[str]:
    """Return which of the paths (relative to the project, without odd characters) Git ignores."""
    full = {f"{git.prefix}/{path}" if git.prefix else path: path for path in paths}
    listed = git.run("check-ignore", "--no-index", "-z", "--stdin", stdin="\0".join(full).encode(), check=False)
    return [full[name] for name in listed.decode(errors="surrogateescape").split("\0") if name in full]


def hidden_metas(git: Git, suffix: str) -> Iterator[tuple[str, bytes]]:
    """Yield (path, bytes) of every meta file that a sparse checkout leaves out, in any worktree."""
    yield from git.contents(sorted(_staged(git, suffix, tag=b"S")))


def _for_each(git: Git, command: list[str], paths: Iterable[str]) -> None:
    """Run a command for any number of files: more than fit into one command line."""
    names = list(paths)
    for first in range(0, len(names), 500):
        git.run(*command, "--", *[git.literal(path) for path in names[first : first + 500]])


def _peel(git: Git, name: str) -> str:
    return git.run("rev-parse", "--verify", "--quiet", name + "^{commit}", check=False).decode().strip()


def _in_worktrees(git: Git, name: str) -> list[str]:
    """Return the paths of a file that each worktree has of its own, where it is there."""
    base = os.path.join(git.common_dir, "worktrees")
    folders = [os.path.join(base, name) for name in sorted(os.listdir(base))] if os.path.isdir(base) else []
    found = [os.path.join(folder, name) for folder in (git.common_dir, git.git_dir, *folders)]
    return [path for path in dict.fromkeys(found) if os.path.exists(path)]


def _autostashes(git: Git) -> list[str]:
    """Return the commits that a rebase or a merge has stashed, in any worktree, and will bring back at its end."""
    names = [_first_line(path) for place in _AUTOSTASHES for path in _in_worktrees(git, place)]
    return [name for name in names if name and _peel(git, name)]


def merge_texts(git: Git, base: bytes, ours: bytes, theirs: bytes, *, union: bool = False) -> tuple[bytes, bool]:
    """Merge three texts by lines; return the text, and whether it is without conflict markers.

    With `union` the lines of both sides are kept where they exclude each other.
    """
    import tempfile

    with tempfile.TemporaryDirectory(prefix="dvc-like-") as folder:
        names = [os.path.join(folder, name) for name in ("ours", "base", "theirs")]
        for name, data in zip(names, (ours, base, theirs), strict=True):
            with open(name, "wb") as file:
                file.write(data)
        labels = ["-L", "ours", "-L", "base", "-L", "theirs"]
        out = git.run("merge-file", "-p", *(["--union"] if union else labels), *names, check=False)
    if not out and (ours or theirs):
        return ours, False  # not text
    mark = b"<<<<<<< ours\n"
    return out, mark not in out or mark in ours + theirs


def _logged(git: Git, revisions: list[str], suffix: str) -> set[tuple[str, str]]:
    """Return (blob, path) of every version of a meta file that commits brought."""
    # What each commit changed against each parent: a merge hides no side branch, and no path is left out.
    listed = git.run(
        "log", *revisions, "--full-history", "-m", "--root", "--raw", "--no-abbrev", "--no-renames",
        "--no-ext-diff", "--no-textconv", "-z", "--format=", *_place(git),
    )  # fmt: skip
    found = set()
    fields = listed.split(b"\0")
    for change, raw in zip(fields[::2], fields[1::2], strict=False):
        _, mode, _, name, _ = change.strip(b"\n").split()
        if mode.startswith(b"100") and raw.endswith(suffix.encode()):
            found.add((name.decode(), git.relative(raw)))
    return found


def _staged(git: Git, suffix: str, *, tag: bytes = b"") -> set[tuple[str, str]]:
    """Return (blob, path) of every meta file in the index of any worktree; with `tag` only of those so marked."""
    found = set()
    for index in _in_worktrees(git, "index"):
        for line in git.run("ls-files", "-s", "-t", "-z", "--full-name", *_place(git), index=index).split(b"\0"):
            head, _, raw = line.partition(b"\t")
            if raw.endswith(suffix.encode()):
                marked, mode, name, _ = head.split()
                if mode.startswith(b"100") and marked.startswith(tag):
                    found.add((name.decode(), git.relative(raw)))
    return found


def _place(git: Git) -> list[str]:
    return ["--", f":(top,literal){git.prefix}"] if git.prefix else []


def commit_index(git: Git) -> str:
    """Return the index of the commit that is being made, where a hook of it runs; empty when that is not so.

    Another index file than the usual one holds what `git commit -a` or `git commit FILE` takes.
    """
    named = os.environ.get("GIT_INDEX_FILE", "")
    path = os.path.realpath(named) if named else ""
    return path if os.path.dirname(path) == os.path.realpath(git.git_dir) else ""


def _environment(index: str) -> dict[str, str]:
    """Return the environment without what would change the meaning of our calls."""
    found = {
        name: text for name, text in os.environ.items() if name not in _REDIRECTING and not name.endswith("_PATHSPECS")
    }
    return {**found, "LC_ALL": "C", **({"GIT_INDEX_FILE": index} if index else {})}


def _mode(path: str) -> int:
    """Return the mode of what is at a path, 0 for nothing. A failing disk is an error, or data would go into Git."""
    try:
        return os.stat(path).st_mode
    except OSError as error:
        if error.errno == errno.EIO:
            raise
        return 0


def _follow(mark: str) -> str | None:
    line = _first_line(mark)
    if not line.startswith("gitdir: "):
        return None
    return os.path.normpath(os.path.join(os.path.dirname(mark), line[8:]))


def _first_line(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.readline().strip()
    except OSError:
        return ""
