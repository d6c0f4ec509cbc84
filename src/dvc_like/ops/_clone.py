"""A part of another Git repository, kept in the user's cache folder: single commits, their trees, and few files.

Owns what is asked of a Git server (one commit without history, no file before it is needed), what to do where a server
cannot do that, and the words for what it answers. Nothing is ever checked out, no hook of the other side is run, and
Git is told which protocols it may speak. Who works with the folder holds its kernel lock, also the git that we start.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from .. import digest as digests
from .. import homes
from ..errors import DvcLikeError, LockHeld, RemoteDenied, RemoteError, RemoteUnavailable, UnsafePath, UsageError
from ..git import Git
from ..locks import lock, lock_of_the_dead
from ..paths import CONTROL, show
from ..progress import Progress
from ._sources import bare, scheme_of

KEPT_DAYS = 90  # after the last use
TIMEOUT = 3600.0  # seconds that another process may take to bring what we need as well
_FULL = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_NAME = re.compile(r"(?!-)[^\x00-\x20~^:?*\[\\]+")  # what may be the name of a ref
_HELPER = (
    """!f() { test "$1" = get && printf 'username=%s\\npassword=%s\\n' "$DVC_LIKE_USER" "$DVC_LIKE_PASSWORD"; }; f"""
)
_COUNT = "GIT_CONFIG_COUNT"  # settings that Git takes from the environment
_SCHEMES = ("https", "http", "ssh", "git+ssh", "ssh+git", "git")
_ALL = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
_PART = ("--depth=1", "--filter=blob:none")
_QUIET = ("fetch", "-q", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--recurse-submodules=no")
_DENIED = re.compile(
    r"could not read (Username|Password)|Authentication failed|ermission denied|\b40[13]\b|ublickey", re.I
)
_UNSUPPORTED = re.compile(r"does not support (shallow|--depth|filter)|dumb http|upload-pack: filter", re.I)
_DAMAGED = re.compile(
    r"not a git repository|bad (object|config|signature|line)|corrupt|unable to read|loose object|not a GIT packfile|"
    r"index file .* is too small|error opening index",
    re.I,
)
#: What git says beside the reason, whatever that is.
_NOISE = re.compile(r"Please make sure you have|and the repository exists")
_NOT_THERE = re.compile(r"not our ref|unadvertised object|no such remote ref|find remote ref", re.I)


class Clone(Git):
    """A bare repository of ours with commits of another one. What is read of it is brought first, many at once."""

    def __init__(self, folder: str, url: str, progress: Progress, prefix: str = "") -> None:
        git_dir = os.path.join(folder, ".git")
        super().__init__(folder, git_dir, git_dir, prefix)
        self.url = url
        self._progress = progress
        self._asked = "HEAD"  # what was asked for last

    def run(self, *arguments: str, more: Mapping[str, str] | None = None, **options: Any) -> bytes:
        """Run git in this repository and no other: were it damaged, Git would look for one in the folders above."""
        return super().run(*arguments, more={**(more or {}), "GIT_DIR": self.git_dir}, **options)

    def seen_from(self, prefix: str) -> Clone:
        """Return the same clone, seen from a project in a subfolder."""
        found = Clone(self.top, self.url, self._progress, prefix)
        found._asked = self._asked
        return found

    def contents(self, blobs: list[tuple[str, str]]) -> Iterator[tuple[str, bytes]]:
        """Yield (path, bytes) of objects, given as (object, path); what is not here is fetched in one request."""
        if missing := self._missing({name for name, _ in blobs}):
            with self.locked() as held:
                self._bring_files(missing, held)
        yield from super().contents(blobs)

    def commit_at(self, rev: str | None) -> str:
        """Return the commit of a branch, a tag or an id (None: of the default branch); its trees are here then."""
        self._asked = rev or "HEAD"
        if rev is not None and _FULL.fullmatch(rev) and self._has(rev):
            with contextlib.suppress(OSError):
                os.utime(self._lock)  # it is in use: see `prune`
            return rev  # needs no network
        with self.locked() as held:
            return self._prepared(held, lambda: self._bring(rev, held))

    @contextlib.contextmanager
    def locked(self) -> Iterator[int]:
        """Hold the lock of the folder; give its descriptor."""
        os.makedirs(self.top, mode=0o700, exist_ok=True)

        def tell(holder: str) -> None:
            self._progress.note(f"waiting for another dvc-like that reads {show(bare(self.url))} ...")

        with lock(self._lock, timeout=TIMEOUT, waiting=tell) as fd:
            yield fd

    @property
    def _lock(self) -> str:
        """The file under whose lock others bring something; it is as old as the last use."""
        return os.path.join(self.top, "lock")

    # ---------------------------------------------------------------- under the lock

    def _prepared(self, held: int, work: Callable[[], str]) -> str:
        """Do some work in the repository; it is made anew where it is damaged, or names its objects otherwise."""
        sha256 = False
        for last in (False, False, True):
            self._prepare(held, sha256=sha256)
            try:
                return work()
            except (_Damaged, _Mismatch) as error:
                if last:
                    raise
                sha256 = sha256 or isinstance(error, _Mismatch)
                shutil.rmtree(self.git_dir, ignore_errors=True)  # it can all be had again
        raise AssertionError("the last attempt returns or raises")

    def _prepare(self, held: int, *, sha256: bool) -> None:
        """Make the repository, or sweep what a process that died left in it: nobody else writes to it now."""
        if not os.path.exists(os.path.join(self.git_dir, "HEAD")):
            shutil.rmtree(self.git_dir, ignore_errors=True)
            form = ("--object-format=sha256",) if sha256 else ()
            self.run("init", "-q", "--bare", "--template=", *form, held=(held,))
        for folder, _, names in os.walk(self.git_dir):
            for name in names:
                if name.endswith(".lock") or name.startswith("tmp_"):
                    with contextlib.suppress(OSError):
                        os.unlink(os.path.join(folder, name))

    def _bring(self, rev: str | None, held: int) -> str:
        name = rev or "HEAD"
        if _FULL.fullmatch(name):
            try:
                self._fetch(_PART, (name,), held)
            except UsageError:
                self._bring_history(name, held)
            return name
        if _NAME.fullmatch(name):
            ref = f"refs/at/{digests.of_bytes('sha256', name.encode()).partition(':')[2]}"
            return self._bring_ref(name, ref, held)
        return self._bring_history(name, held)

    def _bring_ref(self, name: str, ref: str, held: int) -> str:
        try:
            self._fetch(_PART, (f"+{name}:{ref}",), held)
        except UsageError:
            if not re.fullmatch(r"[0-9a-f]{4,63}", name):
                raise self._unknown(name, held) from None
            return self._bring_history(name, held)
        return self.resolve(ref)

    def _bring_history(self, rev: str, held: int) -> str:
        """Find a commit among all that branches and tags lead to: there is no other way to know an abbreviation.

        Commits alone come first, into a repository of their own; then what lies in the one that is meant.
        """
        history = Clone(os.path.join(self.top, "history"), self.url, self._progress)
        os.makedirs(history.top, exist_ok=True)

        def find() -> str:
            history._fetch(("--filter=tree:0", "--prune"), _ALL, held)
            return history.resolve(rev)

        try:
            commit = history._prepared(held, find)
        except UsageError:
            raise self._unknown(rev, held) from None
        if not self._has(commit):
            try:
                self._fetch(_PART, (commit,), held)
            except UsageError:  # a server that gives away what refs point to, and nothing else
                self._fetch(("--filter=blob:none", *self._deeper()), _ALL, held)
        return commit

    def _bring_files(self, names: list[str], held: int) -> None:
        try:
            self._fetch(("--filter=blob:none", "--stdin"), (), held, names="".join(f"{one}\n" for one in names))
        except UsageError:  # a server that gives away what refs point to: with all files, then
            try:
                self._fetch(("--depth=1", "--no-filter"), (self._asked,), held, names="-")
            except UsageError:
                self._fetch(("--no-filter", "--refetch", *self._deeper()), _ALL, held, names="-")

    def _deeper(self) -> tuple[str, ...]:
        return ("--unshallow",) if self.is_shallow() else ()

    def _unknown(self, rev: str, held: int) -> DvcLikeError:
        import difflib  # only where something is misspelt

        shown = show(bare(self.url))
        names: list[str] = []
        with contextlib.suppress(DvcLikeError):
            listed = self._talk(("ls-remote", "-q", "--heads", "--tags", "--refs", "origin"), held).decode(
                errors="replace"
            )
            names = [re.sub(r"^refs/(heads|tags)/", "", line.partition("\t")[2]) for line in listed.splitlines()]
        if not names:
            return UsageError(f"{shown} has no commit yet", hint="Its owner has to push one.")
        near = difflib.get_close_matches(rev, names, 5, 0.5) or names[:5]
        return UsageError(
            f"{shown} has no revision {show(rev)!r}", hint=f"It has, for instance: {', '.join(map(show, near))}."
        )

    def _fetch(self, options: tuple[str, ...], refs: tuple[str, ...], held: int, names: str = "") -> None:
        """Fetch; where the server knows no parts of a repository, fetch it whole. Raises `UsageError`: not there.

        With `names`, of objects for the stdin of git, what is here already counts for nothing.
        """
        given = names.encode() if "--stdin" in options else None
        try:
            self._talk((*_QUIET, *options, "origin", *refs), held, given, named=bool(names))
        except _Unsupported:
            plain = tuple(one for one in options if one not in _PART and not one.startswith("--filter"))
            self._talk((*_QUIET, *plain, "origin", *refs), held, given, named=bool(names))

    def _talk(self, words: tuple[str, ...], held: int, stdin: bytes | None = None, *, named: bool = False) -> bytes:
        """Run a git that talks to the other side; raise what its words mean."""
        settings, more = _login(self.url)
        settings |= {
            "remote.origin.url": bare(self.url),  # Git hands it to its helpers on a command line, which others see
            # Without these, Git would write them into the repository, and fetch one by one what it reads there.
            "remote.origin.promisor": "true",
            "remote.origin.partialclonefilter": "blob:none",
            "gc.auto": "0",
            "http.lowSpeedLimit": "100",
            "http.lowSpeedTime": "60",
        }
        if named:  # objects by name: what we have says nothing about them
            settings["fetch.negotiationAlgorithm"] = "noop"
        given = os.environ.get(_COUNT, "")
        count = int(given) if given.isdigit() else 0
        more[_COUNT] = str(count + len(settings))
        for at, (key, value) in enumerate(settings.items(), count):
            more |= {f"GIT_CONFIG_KEY_{at}": key, f"GIT_CONFIG_VALUE_{at}": value}
        more["GIT_TERMINAL_PROMPT"] = os.environ.get("GIT_TERMINAL_PROMPT", "0")
        # The user's own `insteadOf` may lead from one to another of the first two. Never: ext, and helpers of others.
        own = {"git+ssh": "ssh", "ssh+git": "ssh"}.get(scheme_of(self.url), scheme_of(self.url) or "file")
        more["GIT_ALLOW_PROTOCOL"] = ":".join(dict.fromkeys(("https", "ssh", own)))
        try:
            return self.run(*words, stdin=stdin, more=more, held=(held,))
        except DvcLikeError as error:
            raise self._meaning(error) from None

    def _meaning(self, error: DvcLikeError) -> DvcLikeError:
        """Return what a failure of git means; only what it says tells."""
        text = error.message.partition("failed: ")[2] or error.message
        text = re.sub(r"(\\r)?\\n", "\n", text).strip()  # it is escaped for a terminal
        shown = show(bare(self.url))
        said = tuple(line for line in text.splitlines() if line.strip() and not _NOISE.match(line))[-3:]
        if _UNSUPPORTED.search(text):
            return _Unsupported(text)
        if "mismatched algorithms" in text:
            return _Mismatch(text)
        if _NOT_THERE.search(text):
            return UsageError(f"{shown} has no such revision")
        if "not allowed" in text and "transport" in text:
            return RemoteDenied(f"{shown} is not contacted: {text.splitlines()[-1][:300]}")
        if _DENIED.search(text):
            return RemoteDenied(
                f"{shown} cannot be read: access is denied, or there is no such repository",
                hint="If it is private, see that `git ls-remote` of it works: a credential helper, or an ssh key.",
                details=said,
            )
        kind = _Damaged if _DAMAGED.search(text) else RemoteUnavailable
        return kind(
            f"{shown} cannot be reached",
            hint="Check the address and the network: `git ls-remote` of it says the same.",
            details=said,
        )

    # ---------------------------------------------------------------- what is here

    def _has(self, commit: str) -> bool:
        if not os.path.exists(os.path.join(self.git_dir, "HEAD")):
            return False
        return bool(self.run("rev-parse", "-q", "--verify", commit + "^{tree}", check=False).strip())

    def _missing(self, names: set[str]) -> list[str]:
        if not names:
            return []
        out = self.run("cat-file", "--batch-check", stdin="".join(f"{name}\n" for name in sorted(names)).encode())
        return [line.split()[0] for line in out.decode().splitlines() if line.endswith(" missing")]


class _Unsupported(RemoteError):
    """The server knows no parts of a repository."""


class _Damaged(RemoteUnavailable):
    """What is kept here cannot be read."""


class _Mismatch(RemoteError):
    """The other repository names its objects by another algorithm."""


def _login(url: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the settings, and the environment they need, by which Git logs in with what stands in a URL.

    It is for that server alone, and no other helper gets to keep it.
    """
    plain = bare(url)
    mark = url.find("://") + 3
    user, colon, password = map(unquote, url[mark : mark + len(url) - len(plain)].removesuffix("@").partition(":"))
    if scheme_of(url) not in ("http", "https") or not (user or colon):
        return {}, {}
    if re.search(f"[{CONTROL}]", user + password):
        raise UsageError(f"the login in {show(plain)} holds a control character")
    server = f"credential.{plain[:mark]}{re.split('[/?#]', plain[mark:], maxsplit=1)[0]}"
    if not colon:
        return {f"{server}.username": user}, {}
    # The same key twice, which Git takes in any case: an empty helper makes it forget those before it.
    return {f"{server}.helper": "", f"{server}.Helper": _HELPER}, {"DVC_LIKE_USER": user, "DVC_LIKE_PASSWORD": password}


def clone_of(url: str, progress: Progress) -> Clone:
    """Return the clone of a URL in the user's cache folder. Contacts nothing, makes nothing.

    Raises `UnsafePath` for a scheme that Git would hand to a program of somebody else's.
    """
    if scheme_of(url) not in _SCHEMES:
        raise UnsafePath(
            f"{show(bare(url))} is no repository: Git itself does not speak {scheme_of(url)}://",
            hint="Give an https or ssh address, or the folder of a clone.",
        )
    name = digests.of_bytes("sha256", bare(url).encode()).partition(":")[2][:32]
    return Clone(os.path.join(_shelf(), name), url, progress)


def _shelf() -> str:
    return os.path.join(homes.cache(), "repos")


def prune() -> int:
    """Delete the clones that nobody read for `KEPT_DAYS`, of whatever project; return how many."""
    try:
        folders = sorted(os.scandir(_shelf()), key=lambda one: one.name)
    except OSError:
        return 0
    pruned = 0
    for folder in folders:
        path = os.path.join(folder.path, "lock")
        with contextlib.suppress(LockHeld, OSError), lock_of_the_dead(path) as held:
            inside = [os.path.join(folder.path, name) for name in os.listdir(folder.path) if name != "lock"]
            if inside and os.fstat(held).st_mtime < time.time() - KEPT_DAYS * 86_400:
                for one in inside:  # but the lock, for which somebody may be waiting
                    shutil.rmtree(one)
                pruned += 1
    return pruned
