"""What lies at a URL, on its way into the cache: one file, or all files of a folder.

Owns which driver reads a URL, what is recorded of its version, and how a transfer that broke off is gone on with. What
came of which version is remembered in ``imports.sqlite``, which may be lost: then it is read again. Where a URL may
lead, and how it stands in a meta file, is `_sources`' to say.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import threading
from collections.abc import Callable, Iterator
from itertools import takewhile
from urllib.parse import parse_qsl, unquote, urlencode, urlunsplit

from .. import digest as digests
from .. import paths
from ..cache.writer import Writer
from ..digest import Digest
from ..errors import CorruptData, RemoteNotFound, SourceChanged, UnsafePath, UsageError
from ..meta.tree import FILE, FOLDER, Entry, encode
from ..paths import RelPath, show
from ..progress import Progress, Task
from ..project import Project
from ..remote import origin_files, origin_http, origin_s3
from ..remote.base import Info
from ..remote.origin import UNKNOWN, Origin
from ..remote.wrap import Retrying, wrap
from ..statefile import StateFile
from ._session import Session
from ._sources import UrlSource, bare, folder_of, is_local, scheme_of
from ._transfer import as_error, transfer
from .fetch import Counting

ATTEMPTS = 5  # in a row that bring nothing
_AGAIN = 3  # so often a file is begun anew that changes under our hands
_ROUND = 1 << 30  # bytes of a folder between two flushes: what a kill can cost
_ROUND_FILES = 4096
_TO_BUCKET = 3  # parts of a URL up to the name of the bucket or the host
_STATE_VERSION = 1
_STATE = "CREATE TABLE came (version TEXT PRIMARY KEY, digest TEXT) WITHOUT ROWID"
#: Parts of a query that grant access, as signed URLs hold them.
_SECRET = re.compile(r"(?i)(^|[-_.])(sig|signature|token|key|apikey|secret|password|passwd|auth|credential)s?$|keyid$")
#: Parts that are of no use without the signature.
_OF_SIGNATURE = re.compile(r"(?i)(x-amz-|x-goog-|(googleaccessid|expires|s[eprtv]|spr|srt|ss|sip|sk[a-z]{1,3})$)")


# ------------------------------------------------------------------------------ addresses


def plain(url: str) -> str:
    """Return a URL without the ``fsspec+`` that says who reads it: that is decided by its scheme."""
    return url[len("fsspec+") :] if url.lower().startswith("fsspec+") else url


def public(url: str) -> str:
    """Return a URL as it may be shown and tracked: without user, password, and what signs it."""
    url = bare(url)
    if scheme_of(url) not in ("http", "https"):
        return url
    parts = origin_http.split(url)
    given = parse_qsl(parts.query, keep_blank_values=True)
    fit = [(name, value) for name, value in given if not _SECRET.search(name)]
    if len(fit) == len(given):
        return urlunsplit(parts._replace(fragment=""))
    rest = [(name, value) for name, value in fit if not _OF_SIGNATURE.match(name)]
    return urlunsplit(parts._replace(query=urlencode(rest), fragment=""))


def name_of(url: str) -> str:
    """Return what a file or folder is called at its URL, unescaped; raise `UsageError` when that is nothing."""
    scheme, path = scheme_of(url), url
    if scheme in ("http", "https"):
        path = origin_http.split(url).path
    elif scheme:
        path = url.partition("://")[2].partition("/")[2]
    if scheme in ("http", "https", "file", "sftp", "ssh"):
        path = unquote(path)
    name = path.rstrip("/").rpartition("/")[2]
    try:
        return paths.check_name(name)
    except UnsafePath:
        raise UsageError(f"{show(public(url))} ends with no name", hint="Say what it shall be called here.") from None


def _open(project: Project, url: str, *, only_public: bool) -> Origin:
    scheme = scheme_of(url)
    if is_local(url):
        return origin_files.LocalOrigin(folder_of(project, url))
    if "://" not in url:  # Git's HOST:PATH, which fsspec takes for a path of this machine
        raise UsageError(f"{show(url)} is no URL", hint="Write sftp://HOST/PATH, or ./PATH for what lies here.")
    if scheme in ("http", "https"):
        return origin_http.HttpOrigin(url, only_public=only_public)
    if scheme == "s3":
        return origin_s3.open_url(url, _options_of(project, url), project.root)
    return origin_files.open_fsspec(url, _options_of(project, url), project.root)


def _options_of(project: Project, url: str) -> dict[str, str]:
    """Return the options of the nearest remote in the same bucket or on the same host; none for other places."""
    parts = url.split("/")

    def near(options: dict[str, str]) -> int:
        pairs = zip(plain(options["url"]).split("/"), parts, strict=False)
        return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))

    same = sorted((one for one in project.config.remotes().values() if near(one) >= _TO_BUCKET), key=near)
    return {name: text for name, text in same[-1].items() if name != "url"} if same else {}


# ------------------------------------------------------------------------------ reading


class Reading:
    """A URL that is open. `files` holds what is there by name: the empty one alone where it is a single file.

    `url` is as it may be recorded.
    """

    def __init__(self, url: str, origin: Origin, backend: Retrying, jobs: int) -> None:
        self.url = url
        self.origin = origin
        self.backend = backend
        self.jobs = jobs
        self.files: dict[str, Info] = {}

    @property
    def is_folder(self) -> bool:
        """Tell whether it is a folder."""
        return "" not in self.files

    @property
    def size(self) -> int | None:
        """Return how many bytes there are, None when that is not known."""
        sizes = [info.size for info in self.files.values()]
        return None if UNKNOWN in sizes else sum(sizes)

    def look(self) -> None:
        """Find out what is there now; raise `RemoteNotFound` when nothing is, `UnsafePath` for names that cannot be."""
        self.origin.forget()
        self.files = self.backend.stat([""]) or dict(self.backend.list(""))
        if not self.files:
            raise RemoteNotFound(f"{show(self.url)}: nothing is there", hint="Check the spelling of the URL.")
        if self.is_folder:
            for name in self.files:
                if any(above in self.files for above in _above(paths.parse(name))):
                    raise UnsafePath(f"{show(self.url)} holds {show(name)} below a file of that name")

    def source(self) -> UrlSource:
        """Return what a meta file records: the URL, and the version of all there is."""
        if self.is_folder:
            lines = [f"{name}\t{info.size}\t{info.token}\n" for name, info in sorted(self.files.items())]
            is_told = all(info.token for info in self.files.values())
            listing = digests.of_bytes("blake3", "".join(lines).encode()).hex[:32]
            return UrlSource(self.url, version=listing if is_told else None, size=self.size)
        (info,) = self.files.values()
        kind, _, value = info.token.partition(":")
        etag, mtime = (value if kind == wanted and value else None for wanted in ("etag", "mtime"))
        return UrlSource(self.url, etag=etag, mtime=mtime, size=self.size)

    def version(self, name: str) -> str:
        """Return what tells this version of a file from every other one, empty where nothing does."""
        validator = self.origin.validator(name)
        return f"{self.url}\t{name}\t{self.files[name].size}\t{validator}" if validator else ""

    def again(self, name: str) -> None:
        """Take a file as it is now."""
        self.origin.forget(name)
        found = self.backend.stat([name])
        if name not in found:
            raise SourceChanged(f"{show(name or self.url)} went away while it was read")
        self.files.update(found)


def _above(path: RelPath) -> Iterator[RelPath]:
    while path := paths.parent(path):
        yield path


@contextlib.contextmanager
def reading(
    project: Project, url: str, *, jobs: int | None, progress: Progress, only_public: bool = False
) -> Iterator[Reading]:
    """Open a URL, which may hold a login, and look what is there; with `only_public` nothing in a private network."""
    origin = _open(project, url, only_public=only_public)
    jobs = jobs or origin.capabilities.concurrency
    log = progress.note if os.environ.get("DVC_LIKE_TRACE") else None
    backend = wrap(origin, attempts=ATTEMPTS, concurrency=jobs, log=log)
    try:
        found = Reading(public(url), origin, backend, jobs)
        found.look()
        yield found
    finally:
        backend.close()


def is_same(old: UrlSource, new: UrlSource) -> bool:
    """Tell whether the place says that this is still what was imported; where it says nothing, it is not."""
    told = (new.etag, new.version, new.mtime)
    return any(told) and told == (old.etag, old.version, old.mtime) and old.size == new.size


# ------------------------------------------------------------------------------ into the cache


class Came:
    """What came of which version: its digest. Only of versions that prove themselves, and never trusted alone."""

    def __init__(self, project: Project) -> None:
        self._file = StateFile(os.path.join(project.tmp, "imports.sqlite"), _STATE_VERSION, _STATE)
        self._rows: list[tuple[str, str]] = []
        self._mutex = threading.Lock()

    def get(self, version: str) -> Digest | None:
        """Return what a version was the last time, None when nobody knows."""
        with self._mutex:
            rows = self._file.read("SELECT digest FROM came WHERE version = ?", version) if version else []
        try:
            return digests.parse(rows[0][0]) if rows else None
        except CorruptData:
            return None

    def note(self, version: str, digest: Digest) -> None:
        """Remember a version, once `save` is called."""
        if version:
            self._rows.append((version, digest))

    def save(self) -> None:
        """Put on record what was noted; its objects are on disk."""
        rows, self._rows = self._rows, []

        def insert(database: sqlite3.Connection) -> None:
            # What a file was before is of no use, and would be kept for ever.
            files = ["\t".join(version.split("\t", 2)[:2]) for version, _ in rows]
            database.executemany(
                "DELETE FROM came WHERE version > ? AND version < ?", [(f"{f}\t", f"{f}\n") for f in files]
            )
            database.executemany("INSERT OR REPLACE INTO came VALUES (?, ?)", rows)

        if rows:
            self._file.write(insert)

    def close(self) -> None:
        """Give the file back."""
        self._file.close()


def bring(session: Session, source: Reading, task: Task) -> tuple[Entry, int]:
    """Bring all of it into the cache; return its entry, without a name, and how many bytes were moved."""
    bringer = _Bringer(session, source, task)
    with contextlib.closing(bringer.came), session.writer() as bringer.writer:
        entries = bringer.run()
        root = plant(bringer.writer, entries) if source.is_folder else entries[RelPath("")]
        bringer.writer.flush()
        bringer.came.save()
    return root, bringer.moved


class _Bringer:
    writer: Writer

    def __init__(self, session: Session, source: Reading, task: Task) -> None:
        self._session = session
        self._source = source
        self._task = task
        self._entries: dict[RelPath, Entry] = {}
        self.came = Came(session.project)
        self.moved = 0
        self._mutex = threading.Lock()

    def run(self) -> dict[RelPath, Entry]:
        source = self._source
        self._task.expect(files=len(source.files), size=source.size or 0)
        for names in rounds(source.files):
            outcome = transfer(names, self._take, source.jobs, at_once=1, interrupt=source.backend.interrupt)
            self.writer.flush()
            self.came.save()
            if outcome.failures:
                failures = [(show(name or source.url), error) for name, error in outcome.failures]
                error = as_error("import", failures, 0, len(outcome.untried))
                raise outcome.failures[0][1] if len(source.files) == 1 else error
        return self._entries

    def _take(self, name: str) -> None:
        known = self.came.get(self._source.version(name))
        if known is not None and self._session.cache.is_sound(known):
            digest, size = known, self._source.files[name].size
            self._task.advance(size=size)
        else:
            digest, size = self._stream(name)
            self.came.note(self._source.version(name), digest)
        self._task.advance(files=1)
        self._entries[RelPath(name)] = Entry(name.rpartition("/")[2], FILE, size, digest)

    def _stream(self, name: str) -> tuple[Digest, int]:
        """Receive one file; begin anew when it turns out to be another version."""
        for left in range(_AGAIN, 0, -1):
            try:
                return self._receive(name)
            except SourceChanged:
                if left == 1:
                    raise
                self._source.again(name)
        raise AssertionError

    def _receive(self, name: str) -> tuple[Digest, int]:
        source, version = self._source, self._source.version(name)
        size = source.files[name].size if source.files[name].size != UNKNOWN else None
        stands_for = digests.of_bytes(self._session.project.algorithm, version.encode())
        # Without a proof of its version nothing of it is kept for the next run.
        incoming = self.writer.receive(stands_for, size if version else None, is_known=False)
        start = incoming.start
        self._task.advance(size=start)
        try:
            if size is None or start < size or not size:
                source.backend.get(name, Counting(incoming, self._task), start=start)
            if not version and size not in (None, incoming.done):
                raise SourceChanged(f"{show(name or source.url)} has another size than it was said to have")
            stored = incoming.accept()
        except SourceChanged:
            incoming.reject(wrong=True)
            raise
        except CorruptData as error:
            incoming.reject(wrong=True)
            raise SourceChanged(f"{show(name or source.url)}: {error.message}") from None
        except BaseException:
            incoming.reject()
            raise
        with self._mutex:
            self.moved += stored.size - start
        return stored.digest, stored.size


def rounds(files: dict[str, Info]) -> Iterator[list[str]]:
    """Divide files into rounds, each kept once it is whole."""
    some: list[str] = []
    size = 0
    for name, info in files.items():
        some.append(name)
        size += info.size
        if size >= _ROUND or len(some) >= _ROUND_FILES:
            yield some
            some, size = [], 0
    if some:
        yield some


def plant(writer: Writer, files: dict[RelPath, Entry], keep: Callable[[Digest, bytes], None] | None = None) -> Entry:
    """Store the trees over files by path, children before parents; return the root as an entry without a name.

    `keep` is told each tree's digest and bytes as well.
    """
    folders: dict[RelPath, list[Entry]] = {RelPath(""): []}
    for path, entry in files.items():
        folders.setdefault(paths.parent(path), []).append(entry)
        for above in _above(path):
            folders.setdefault(above, [])
    made = Entry("", FOLDER, 0, "", 0)
    for path in sorted(folders, key=lambda path: path.count("/") + bool(path), reverse=True):
        data, entries = encode(folders[path]), folders[path]
        digest = writer.put_tree(data)
        if keep is not None:
            keep(digest, data)
        total = sum(one.size for one in entries), sum(one.files for one in entries)
        made = Entry(path.rpartition("/")[2], FOLDER, total[0], digest, total[1])
        if path:
            folders[paths.parent(path)].append(made)
    return made
