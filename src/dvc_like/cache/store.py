"""The content-addressed store: look up, read, verify, set aside, move to the trash.

Owns the layout ``files/<algorithm>/<2>/<rest>`` below the cache folder (specified in ``docs/format.md``), with ``tmp/``
(marks of running writers), ``partial/`` (objects half received), ``bad/`` (damaged objects) and ``trash/`` (what gc
took out) beside it. Objects come in through `cache.writer`. It knows neither workspace nor remotes, and takes no
object's word: what has no valid record in `Trust` is hashed before it is used.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .. import digest as digests
from ..digest import HEX_LENGTH, Digest, file_key, tree_key
from ..errors import CorruptData, DvcLikeError, UnsafePath, named
from ..fsutil import CHUNK, READ_USER, Dir, is_temp, read_all, signature
from ..locks import has_writer
from .trust import Trust

_TRIES = 5  # an object that others touch while it is verified is looked at so often


class Object(NamedTuple):
    """One object as it lies in the store."""

    digest: Digest
    is_tree: bool
    size: int
    mtime_ns: int

    @property
    def key(self) -> str:
        """Where it lies."""
        return tree_key(self.digest) if self.is_tree else file_key(self.digest)


class Cache:
    """One cache folder. Reading needs no lock; see `cache.writer` for how objects get in."""

    def __init__(self, root: str, trust_path: str, seed: int = 0) -> None:
        """Open the cache at `root`; `trust_path` is that of its records, `seed` that of the fingerprints in them."""
        _refuse_links(root)
        self.root = root
        try:
            os.makedirs(root, exist_ok=True)
            self.top = Dir.open_root(root)
        except OSError:
            self.top = Dir(root, None)  # cannot be made here: an empty cache, until something is to be stored
        self.trust = Trust(trust_path, seed)
        self.seed = seed
        self.set_aside: list[Digest] = []  # found damaged by this process
        self._linked: dict[str, bool] = {}
        self.has_trash: bool | None = None  # not looked at yet, or since long by one who holds no lock against gc

    def path(self, digest: Digest) -> str:
        """Return where the file object lies, whether it is there or not."""
        return f"{self.root}/{file_key(digest)}"

    def digest_of_link(self, target: str) -> Digest | None:
        """Return the digest when a link's target is a file object of this cache, else None."""
        if not target.startswith(f"{self.root}/files/"):
            return None
        try:
            algorithm, shard, rest = target[len(self.root) + 7 :].split("/")
            return digests.parse(f"{algorithm}:{shard}{rest}")
        except (ValueError, CorruptData):
            return None

    # ---------------------------------------------------------------- looking

    def has(self, digest: Digest) -> bool:
        """Tell whether a file object is there. It may be damaged: `ensure` looks closer."""
        return self.has_key(file_key(digest))

    def has_tree(self, digest: Digest) -> bool:
        """Tell whether a tree object is there."""
        return self.has_key(tree_key(digest))

    def has_key(self, key: str) -> bool:
        """Tell whether an object lies under a key; one in the trash is taken back."""
        try:
            return not self.is_linked(key.rpartition("/")[0]) and stat.S_ISREG(self.top.lstat(key).st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return self.revive(key)

    def is_sound(self, digest: Digest) -> bool:
        """Tell whether a file object is there and sound, by a stat alone where its record still fits."""
        try:
            status = self.top.lstat(file_key(digest))
        except (FileNotFoundError, NotADirectoryError):
            return self.revive(file_key(digest)) and self.ensure(digest)
        record = self.trust.get(digest)
        return (record is not None and record[0] == signature(status)) or self.ensure(digest)

    def ensure(self, digest: Digest) -> bool:
        """Tell whether a file object is there and sound; one that is damaged is set aside."""
        opened = self.open(digest)
        if opened is None:
            return False
        os.close(opened[0])
        return True

    def open(self, digest: Digest) -> tuple[int, os.stat_result, bytes] | None:
        """Open a sound file object: (descriptor at its start, stat, fingerprint), or None.

        Trusted by its record, else hashed now. A damaged object is set aside, and counts as missing.
        """
        key = file_key(digest)
        for _ in range(_TRIES):
            opened = self._open_file(key, digest)
            if opened is None:
                return None
            fd, status = opened
            try:
                record = self.trust.get(digest)
                if record is not None and record[0] == signature(status):
                    return fd, status, record[1]
                open_elsewhere = has_writer(fd, status.st_size)
                fingerprint = _verify(fd, digest, self.seed)
                if fingerprint is not None and signature(os.fstat(fd)) == signature(status):
                    if not open_elsewhere:
                        self.trust.set(digest, signature(status), fingerprint)
                    return fd, status, fingerprint
            except BaseException as error:
                os.close(fd)
                raise named(error, self.path(digest)) if isinstance(error, OSError) else error from None
            os.close(fd)
            if fingerprint is None:
                self._put_aside(key, digest)
                return None
            # Its bytes are right, and somebody linked it, renewed it or put the same bytes in its place meanwhile.
        return None

    def read_file(self, digest: Digest) -> bytes | None:
        """Return the bytes of a sound file object, None when it is missing or damaged. For small ones."""
        opened = self.open(digest)
        if opened is None:
            return None
        fd, status, _ = opened
        try:
            return read_all(fd, status.st_size)
        except OSError as error:
            raise named(error, self.path(digest)) from None
        finally:
            os.close(fd)

    def _open_below(self, key: str) -> int:
        """Open an object without following a link in any part of its key; a pipe there must not make us wait."""
        if not self.is_linked(key.rpartition("/")[0]):
            return self.top.open(key, READ_USER)
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), key)

    def is_linked(self, shard: str) -> bool:
        """Tell whether a shard (a key without its last part) is a link: nothing in it is ours. Looked at once."""
        linked = self._linked.get(shard)
        if linked is None:
            linked = self._linked[shard] = os.path.islink(f"{self.root}/{shard}")
        return linked

    def _open_file(self, key: str, digest: Digest) -> tuple[int, os.stat_result] | None:
        """Open what lies under a key. A folder or a link there is no object: it is set aside as damaged."""
        for _ in range(2):
            try:
                fd = self._open_below(key)
            except (FileNotFoundError, NotADirectoryError):
                if not self.revive(key):
                    return None
                continue
            except OSError as error:
                if error.errno == errno.ELOOP:
                    self._put_aside(key, digest)
                if error.errno == errno.EIO:
                    raise
                return None  # ... or it may not be read
            try:
                status = os.fstat(fd)
            except OSError as error:
                os.close(fd)
                raise named(error, f"{self.root}/{key}") from None
            if stat.S_ISREG(status.st_mode):
                return fd, status
            os.close(fd)
            self._put_aside(key, digest)
            return None
        return None

    def read_tree(self, digest: Digest) -> bytes | None:
        """Return the bytes of a tree object, always verified; None when missing or damaged."""
        key = tree_key(digest)
        opened = self._open_file(key, digest)
        if opened is None:
            return None
        fd, status = opened
        try:
            data = read_all(fd, status.st_size)
        except OSError as error:
            raise named(error, f"{self.root}/{key}") from None
        finally:
            os.close(fd)
        if digests.of_bytes(digest.algorithm, data) == digest:
            return data
        self._put_aside(key, digest)
        return None

    def peek_tree(self, digest: Digest, *, strict: bool = False) -> bytes | None:
        """Return the bytes of a tree object, be it in the trash, and leave all where it is; None as `read_tree`.

        With `strict` one that is damaged or cannot be read raises `CorruptData` or `OSError`: that is for who deletes
        what no tree lists.
        """
        damaged = ""
        place = tree_key(digest)
        for key in (place, f"trash/{place}", place):  # it may be taken back between the first two looks
            try:
                fd = self._open_below(key)
            except OSError as error:
                if not strict or error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                    continue
                raise
            try:
                status = os.fstat(fd)
                data = read_all(fd, status.st_size) if stat.S_ISREG(status.st_mode) else b""
            except OSError as error:
                raise named(error, f"{self.root}/{key}") from None
            finally:
                os.close(fd)
            if digests.of_bytes(digest.algorithm, data) == digest:
                return data
            damaged = f"{self.root}/{key}"
        if damaged and strict:
            raise CorruptData(
                f"{damaged} is damaged, so what it lists is not known",
                hint="`dvc-like fsck --repair` makes it again, or sets it aside; then repeat.",
            )
        return None

    def objects(self) -> Iterator[Object]:
        """Yield every object in the store, in no order."""
        for algorithm in HEX_LENGTH:
            for shard in _folder_names(self.top, f"files/{algorithm}"):
                try:
                    with self.top.descend(f"files/{algorithm}/{shard}") as folder:
                        for entry in folder.entries():
                            found = _recognise(algorithm, shard, entry)
                            if found is not None:
                                yield found
                except (FileNotFoundError, NotADirectoryError):
                    continue

    # ---------------------------------------------------------------- moving aside and away

    def renew(self, key: str) -> None:
        """Make an object young again: its mtime is its age, and gc spares the young."""
        with contextlib.suppress(OSError):
            os.utime(f"{self.root}/{key}")

    def _put_aside(self, key: str, digest: Digest) -> None:
        """Move a damaged object to ``bad/``: never delivered again, never deleted either."""
        try:
            self.move(key, f"bad/{key.replace('/', '-')}.{os.getpid()}-{time.time_ns():x}")
        except DvcLikeError as error:
            raise CorruptData(f"{self.root}/{key} is damaged, and cannot be set aside: {error.message}") from None
        self.trust.drop(digest)
        self.set_aside.append(digest)

    def revive(self, key: str) -> bool:
        """Take an object out of the trash again; tell whether it was there. Somebody else may have been quicker."""
        has_trash = self.has_trash
        if has_trash is None:  # once: only gc fills it, and it works alone
            has_trash = self.has_trash = os.path.lexists(f"{self.root}/trash")
        if not has_trash:
            return False
        if os.path.lexists(f"{self.root}/trash/{key}") and self.move(f"trash/{key}", key):
            return True
        with contextlib.suppress(OSError):
            return not self.is_linked(key.rpartition("/")[0]) and stat.S_ISREG(self.top.lstat(key).st_mode)
        return False

    def move(self, old: str, new: str) -> bool:
        """Rename within the cache's folder; tell whether it was there. What lies behind a link is not."""
        self.has_trash = self.has_trash or new.startswith("trash/")
        if self.is_linked(old.rpartition("/")[0]):
            return False
        if self.is_linked(new.rpartition("/")[0]):
            raise UnsafePath(f"{self.root}/{new.rpartition('/')[0]} is a link; nothing is written through it")
        try:
            os.makedirs(os.path.dirname(f"{self.root}/{new}"), exist_ok=True)
            os.replace(f"{self.root}/{old}", f"{self.root}/{new}")
        except FileNotFoundError:
            return False
        except OSError as error:
            raise DvcLikeError(f"cannot move {self.root}/{old}: {error.strerror}") from None
        return True

    def close(self) -> None:
        """Save the records and give the folder back."""
        self.trust.close()
        self.top.close()

    def __enter__(self) -> Cache:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def without_sound(cache: Cache, digests: Iterable[Digest]) -> Iterator[Digest]:
    """Yield those files that are not there, or not sound. A shard that nobody made yet is looked at once for all."""
    has_trash = os.path.lexists(f"{cache.root}/trash")
    known: dict[str, bool] = {}
    for digest in digests:
        key = file_key(digest)
        shard = key[: key.rindex("/")]
        is_there = known.get(shard)
        if is_there is None:
            is_there = known[shard] = has_trash or os.path.lexists(f"{cache.root}/{shard}")
        if not is_there or not cache.is_sound(digest):
            yield digest


def read_files(cache: Cache, digests: Iterable[Digest]) -> Iterator[bytes | None]:
    """Yield of each file what `Cache.read_file` returns. For a push of very many: few steps for what is as recorded."""
    recorded, is_linked, open_ = cache.trust.get, cache.is_linked, cache.top.open
    for digest in digests:
        key, record, data = file_key(digest), recorded(digest), None
        if record is not None and not is_linked(key[: key.rindex("/")]):
            try:
                fd = open_(key, READ_USER)
                try:
                    status = os.fstat(fd)
                    if signature(status) == record[0]:
                        data = os.read(fd, status.st_size + 1)
                finally:
                    os.close(fd)
            except OSError:
                data = None
        yield data if data is not None and len(data) == status.st_size else cache.read_file(digest)


def _verify(fd: int, digest: Digest, seed: int) -> bytes | None:
    """Return the fingerprint of the content when it is that of the digest; rewinds."""
    slow, fast = digests.hasher(digest.algorithm), digests.new_fingerprint(seed)
    while data := os.read(fd, CHUNK):
        slow.update(data)
        fast.update(data)
    os.lseek(fd, 0, os.SEEK_SET)
    return fast.digest() if digests.finish(digest.algorithm, slow) == digest else None


def _refuse_links(root: str) -> None:
    """Refuse a cache in which somebody (a repository that tracks it, say) put links where we write."""
    inner = [f"files/{algorithm}" for algorithm in HEX_LENGTH]
    for name in (
        "files",
        "tmp",
        "new",
        "partial",
        "bad",
        "trash",
        "trash/files",
        *inner,
        *(f"trash/{one}" for one in inner),
    ):
        if os.path.islink(os.path.join(root, name)):
            raise UnsafePath(f"{root}/{name} is a link; nothing is written through it", hint="Remove the link.")


def _recognise(algorithm: str, shard: str, entry: os.DirEntry[str]) -> Object | None:
    name, is_tree = entry.name, entry.name.endswith(".tree")
    hexes = shard + (name[:-5] if is_tree else name)
    if is_temp(name) or len(hexes) != HEX_LENGTH[algorithm]:
        return None
    try:
        digest = digests.parse(f"{algorithm}:{hexes}")
        status = entry.stat(follow_symlinks=False)
    except (CorruptData, FileNotFoundError):
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return Object(digest, is_tree, status.st_size, status.st_mtime_ns)


def _folder_names(top: Dir, path: str) -> list[str]:
    try:
        with top.descend(path) as folder:
            return sorted(entry.name for entry in folder.entries())
    except (FileNotFoundError, NotADirectoryError):
        return []
