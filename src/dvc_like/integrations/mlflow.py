"""MLflow on versioned data: which data a run saw, datasets pinned by hash, and a store for artifacts.

Owns what MLflow's three entry points ask for; how artifacts are kept is `ops/_artifacts.py`. MLflow imports this module
while it is itself imported (so nothing of ours may do it, and `mlflow.artifacts` is loaded late), and a failure here
must never stop a run. An address is ``dvc-like:///PATH[?rev=REVISION]`` or ``dvc-like:///by-hash/DIGEST/NAME[/REST]``
and never names a repository: that is `DVC_LIKE_REPO`, or the one that the current folder lies in.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from mlflow.data.filesystem_dataset_source import FileSystemDatasetSource
from mlflow.entities import FileInfo
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, RESOURCE_DOES_NOT_EXIST
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.tracking.context.abstract_context import RunContextProvider
from mlflow.utils.file_utils import create_tmp_dir, local_file_uri_to_path

from .. import digest as digests
from .. import paths
from ..errors import ConfigError, DataMissing, DvcLikeError, NoProject, RemoteNotFound, UsageError
from ..fsutil import CHUNK, Dir
from ..meta.tree import FOLDER, LINK
from ..ops import _artifacts as artifacts
from ..ops._by_digest import object_reader
from ..ops._reader import Reader
from ..ops._session import open_session
from ..ops._tracked import Target, Wanted, commit_of, enclosing, targets_at, walk
from ..ops._version import Listed
from ..ops.status import ABSENT, compare
from ..paths import RelPath, show
from ..project import Project

SCHEME = "dvc-like"
BY_HASH = "by-hash"
MAX_NAMED = 50  # targets with a tag of their own; `dvc-like.data` stands for all of them
MAX_LOOKED_AT = 100_000  # files in targets; where there are more, whether they changed is not looked at for each run
_TAG = re.compile(r"[/\w.\- ]{1,250}")  # what MLflow takes on every system

# Said of each local path that we recognise; MLflow takes it for ours, as it should.
_AMBIGUOUS = r"The specified dataset source can be interpreted in multiple ways: .*\bDvcLikeDatasetSource source"
warnings.filterwarnings("ignore", _AMBIGUOUS, UserWarning)

_log = logging.getLogger("mlflow.dvc_like")


class DvcLikeRunContext(RunContextProvider):  # type: ignore[misc]
    """Tags every run and logged model with the versions of the data in the current folder's repository."""

    def __init__(self) -> None:
        self._last: tuple[object, object] = None, None  # a commit of a repository, and what data it has

    def in_context(self) -> bool:
        """Tell whether the current folder lies in a repository."""
        try:
            Project.find()
        except NoProject:
            return False
        return True

    def tags(self) -> dict[str, str]:
        """Return the tags. Each is right or left out: what cannot be told is logged as a warning."""
        project = Project.find()
        wrong: list[DvcLikeError] = []
        with Dir.open_root(project.root) as root:
            targets = sorted(walk(root, failures=wrong))
        lines = "".join(f"{target.path}\t{target.meta.digest}\n" for target in targets)
        tags = {
            f"{SCHEME}.tracked": str(len(targets)),
            f"{SCHEME}.data": digests.of_bytes("blake3", lines.encode()),
            **{f"{SCHEME}.data.{target.path}": target.meta.digest for target in targets[:MAX_NAMED]},
        }
        try:
            commit = commit_of(project, None) if project.git is not None else None
            tags[f"{SCHEME}.dirty"] = "true" if wrong else self._dirty(project, targets, commit)
            if commit is not None:
                tags[f"{SCHEME}.commit"] = commit
        except (DvcLikeError, OSError) as error:
            wrong.append(error if isinstance(error, DvcLikeError) else DvcLikeError(str(error)))
        for one in wrong:
            _log.warning("dvc-like: %s", one.message)
        return {name: text for name, text in tags.items() if _TAG.fullmatch(name)}

    def _dirty(self, project: Project, targets: list[Target], commit: str | None) -> str:
        """Tell whether a checkout of the commit would bring other data than what is here."""
        if project.git is not None:
            if self._last[0] != (project.root, commit):
                at = targets_at(project, commit, []) if commit is not None else {}
                self._last = (project.root, commit), {path: one and one.meta.digest for path, one in at.items()}
            if self._last[1] != {target.path: target.meta.digest for target in targets}:
                return "true"
        if sum(target.meta.file_count for target in targets) > MAX_LOOKED_AT:
            return "unknown"
        return str(_is_changed(project, [Wanted(target, target.path) for target in targets])).lower()


def _is_changed(project: Project, wanted: Iterable[Wanted]) -> bool:
    """Tell whether something differs from its meta file, as `status` does: what was never checked out does not."""
    with open_session(project, reading=True) as session:
        for found in (compare(session, one) for one in wanted):
            if found.problem is not None or any(change.state != ABSENT for change in found.changes):
                return True
    return False


class _Address(NamedTuple):
    """What an address names: a path in parts, with `rev` at that revision."""

    parts: tuple[str, ...]
    rev: str | None

    @classmethod
    def parse(cls, text: str) -> _Address:
        """Return what an address says; raise `UsageError`."""
        match = re.fullmatch(rf"{SCHEME}:(?://(?=[/?]|$))?(?!//)([^?]*)(?:\?rev=([^&]+))?", text)
        if match is None:
            raise UsageError(
                f"{show(text)} is no address of ours",
                hint=f"Write {SCHEME}:///PATH or {SCHEME}:///PATH?rev=REVISION: the repository is the current one.",
            )
        return cls((), match[2]).below(match[1])

    def below(self, path: str | None) -> _Address:
        """Return the address of what lies below; raise `UnsafePath` for what would lead elsewhere."""
        parts = [paths.check_name(part) for part in (path or "").split("/") if part not in ("", ".")]
        return self._replace(parts=(*self.parts, *parts))

    @property
    def path(self) -> RelPath:
        """The path as one; raises `UnsafePath` where it is too long."""
        return paths.parse("/".join(self.parts)) if self.parts else RelPath("")

    @property
    def is_by_hash(self) -> bool:
        """Tell whether it names bytes by their digest."""
        return self.parts[:1] == (BY_HASH,)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Make our errors MLflow's, which a server passes on to its clients."""
    try:
        yield
    except DvcLikeError as error:
        missing = isinstance(error, (DataMissing, RemoteNotFound, UsageError))
        code = RESOURCE_DOES_NOT_EXIST if missing else INVALID_PARAMETER_VALUE
        hint = "Run it in the repository, or name it in DVC_LIKE_REPO." if isinstance(error, NoProject) else error.hint
        lines = [error.message, *error.details, *([hint] if hint else [])]
        raise MlflowException("\n".join(lines), code) from error


def _project() -> Project:
    return Project.find(os.environ.get("DVC_LIKE_REPO") or None)


class DvcLikeArtifactRepository(ArtifactRepository):  # type: ignore[misc]
    """Artifacts in the cache, and anything tracked read from there, or from the remote where the cache lacks it."""

    def __init__(self, artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None) -> None:
        with _told():
            self._root = _Address.parse(artifact_uri)
        super().__init__(artifact_uri, tracking_uri, registry_uri)

    def log_artifact(self, local_file: str, artifact_path: str | None = None) -> None:
        """Store a file in a folder (default: the root)."""
        self._store(artifact_path, [(os.fspath(local_file), os.path.basename(local_file))])

    def log_artifacts(self, local_dir: str, artifact_path: str | None = None) -> None:
        """Store all files below a local folder."""
        self._store(
            artifact_path,
            [
                (os.path.join(folder, name), os.path.relpath(os.path.join(folder, name), local_dir))
                for folder, _, names in os.walk(local_dir)
                for name in names
            ],
        )

    def _store(self, folder: str | None, files: list[tuple[str, str]]) -> None:
        with _told():
            self._refuse_pinned()
            top = self._root.below(folder)
            found = [(local, top.below(name.replace(os.sep, "/")).path) for local, name in files]
            artifacts.store(_project(), found)

    def delete_artifacts(self, artifact_path: str | None = None) -> None:
        """Forget the artifacts at and below a path; `dvc-like gc` frees what nothing else needs."""
        with _told():
            self._refuse_pinned()
            artifacts.remove(_project(), self._root.below(artifact_path).path)

    def _refuse_pinned(self) -> None:
        if self._root.rev is not None or self._root.is_by_hash:
            raise UsageError(
                f"{show(self.artifact_uri)} names what was recorded: nothing can be written or deleted there",
                hint="Leave out the revision or the hash, or track the files with `dvc-like add`.",
            )

    # ---------------------------------------------------------------- reading

    def _address(self, path: str | None) -> _Address:
        with _told():
            return self._root.below(path)

    @contextlib.contextmanager
    def _reading(self, address: _Address) -> Iterator[tuple[Reader, RelPath, Callable[[str], str]]]:
        """Open what an address names: a reader, the path in it, and what makes its paths MLflow's."""
        with _told():
            reader, here = _reader(_project(), address)
            front = address.parts[:2] if address.is_by_hash else ()
            with reader:
                yield reader, here, lambda name: "/".join([*front, *name.split("/")][len(self._root.parts) :])

    def list_artifacts(self, path: str | None = None) -> list[FileInfo]:
        """Return what lies directly in a folder; nothing for a file, and for what is not there."""
        with self._reading(self._address(path)) as (reader, here, named):
            top = reader.find(here)
            if top is None or top.kind != FOLDER:
                return []
            found = [(here + one.path[len(top.path) :], _followed(reader, one)) for one in reader.listing(top.path)]
            return [
                FileInfo(named(path), one.kind == FOLDER, None if one.kind == FOLDER else one.size)
                for path, one in found
            ]

    def download_artifacts(self, artifact_path: str | None, dst_path: str | None = None) -> str:
        """Write what lies at a path (empty: the root) below a local folder, from cache or remote; return where."""
        top = os.path.abspath(dst_path) if dst_path else create_tmp_dir()
        if not os.path.isdir(top):
            raise MlflowException(f"{top} is no folder to download to", INVALID_PARAMETER_VALUE)
        address = self._address(artifact_path)
        with self._reading(address) as (reader, here, named):
            found = list(_contents(reader, _there(reader, here).path, here))
            reader.bring(found)  # few requests for many
            for one in found:
                _write(reader, one, os.path.join(top, *named(one.path).split("/")))
        return os.path.join(top, *address.parts[len(self._root.parts) :])

    def _download_file(self, remote_file_path: str, local_path: str) -> None:
        with self._reading(self._address(remote_file_path)) as (reader, here, _):
            _write(reader, _there(reader, here), local_path)


def _reader(project: Project, address: _Address) -> tuple[Reader, RelPath]:
    """Return a reader of the version that an address is looked up in, and the path there; artifacts come first."""
    if address.is_by_hash:
        if len(address.parts) < 3:
            raise UsageError(
                "an address by hash needs a name behind the hash", hint=f"{SCHEME}:///{BY_HASH}/blake3:af13.../data.csv"
            )
        _, digest, *name = address.parts
        return _reader_of(project, digests.parse(digest), name[0]), paths.parse("/".join(name))
    if address.rev is not None:
        return Reader(project, commit_of(project, address.rev), git=False), address.path
    return Reader(project, targets=artifacts.stored(project, address.path) or None, git=False), address.path


def _reader_of(project: Project, digest: digests.Digest, name: str) -> Reader:
    """Return a reader of one object: the address does not tell on which remote it lives."""
    wrong: list[DvcLikeError] = []
    for remote in ("", *sorted(project.config.remotes())):
        try:
            return object_reader(project, digest, name, remote=remote)
        except (DataMissing, ConfigError) as error:
            wrong.append(error)
    raise wrong[0]


def _there(reader: Reader, path: RelPath) -> Listed:
    """Return what lies at a path; raise `UsageError`."""
    found = reader.find(path)
    if found is None:
        raise UsageError(f"{show(path)} is no artifact and not tracked", hint="`dvc-like ls` lists targets.")
    return found


def _followed(reader: Reader, one: Listed) -> Listed:
    """Return what a link leads to."""
    return (reader.find(one.path) or one) if one.kind == LINK else one


def _contents(reader: Reader, top: RelPath, shown: RelPath, above: tuple[RelPath, ...] = ()) -> Iterator[Listed]:
    """Yield files and empty folders at and below `top`, what links lead to as well, as if it lay at `shown`.

    `above` are the links on the way. Raises `UsageError` where one leads back to where it lies.
    """
    for one in reader.listing(top, recursive=True):
        found, path = _followed(reader, one), RelPath(shown + one.path[len(top) :])
        if one.kind != LINK or found.kind != FOLDER:
            yield found._replace(path=path)
        elif any(paths.is_below(link, found.path) for link in (one.path, *above)):
            raise UsageError(f"the link {show(one.path)} leads back to where it lies", hint="It has no end as files.")
        else:
            yield from _contents(reader, found.path, path, (one.path, *above))


def _write(reader: Reader, one: Listed, local: str) -> None:
    if one.kind == FOLDER:  # an empty one
        os.makedirs(local, exist_ok=True)
        return
    os.makedirs(os.path.dirname(local), exist_ok=True)
    with reader.open(one) as source, open(local, "wb") as target:
        shutil.copyfileobj(source, target, CHUNK)


class DvcLikeDatasetSource(FileSystemDatasetSource):  # type: ignore[misc]
    """A tracked path as the source of a dataset, pinned by hash.

    MLflow keeps one record of a dataset per experiment, the first, so a commit would be wrong for later runs: it is in
    the tags of each run instead. `dirty` says that the file was not what its meta file says.
    """

    def __init__(self, uri: str, path: str, hash: str, dirty: bool = False) -> None:
        self._uri, self.path, self.hash, self.dirty = uri, path, hash, dirty

    @property
    def uri(self) -> str:
        """The address of these very bytes."""
        return self._uri

    @staticmethod
    def _get_source_type() -> str:
        return SCHEME

    def load(self, dst_path: str | None = None) -> str:
        """Write the bytes below a folder (default: a new one), from the cache or the remote; return where."""
        from mlflow.artifacts import download_artifacts  # not yet there when MLflow imports us

        path: str = download_artifacts(artifact_uri=self._uri, dst_path=dst_path)
        return path

    @staticmethod
    def _can_resolve(raw_source: Any) -> bool:
        try:
            return _pinned(raw_source) is not None
        except (DvcLikeError, OSError, ValueError):
            return False  # another kind of source says what is wrong with it

    @classmethod
    def _resolve(cls, raw_source: Any) -> DvcLikeDatasetSource:
        found = _pinned(raw_source)
        if found is None:
            raise UsageError(f"{raw_source} is not tracked")
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return what MLflow keeps."""
        return {"uri": self._uri, "path": self.path, "hash": self.hash, "dirty": self.dirty}

    @classmethod
    def from_dict(cls, source_dict: dict[Any, Any]) -> DvcLikeDatasetSource:
        """Return the source that was kept."""
        uri = source_dict["uri"]
        return cls(uri, source_dict.get("path", ""), source_dict.get("hash", ""), bool(source_dict.get("dirty")))


def _pinned(raw: Any) -> DvcLikeDatasetSource | None:
    """Return the source for a tracked path, or for an address of one object; None for anything else."""
    if not isinstance(raw, (str, os.PathLike)):
        return None
    text = str(raw)
    if text.startswith(f"{SCHEME}:"):
        address, project = _Address.parse(text), _project()
        if address.is_by_hash:
            return DvcLikeDatasetSource(text, "/".join(address.parts[2:]), address.parts[1])
        reader, here = _reader(project, address)
        with reader:
            one = reader.find(here)
            return _source(one.path, one.digest) if one is not None and one.digest else None
    path = os.path.abspath(local_file_uri_to_path(text))
    project = Project.find(os.path.dirname(path))
    place = project.relative(path)
    with Dir.open_root(project.root) as root:
        target = enclosing(root, place)
    if target is None:
        return None
    digest, rest = target.meta.digest, place[len(paths.parent(target.path)) :].lstrip("/")
    if re.search("[#?]", rest.partition("/")[2]):  # no path in an address could be that
        with Reader(project, git=False) as reader:
            one = reader.find(place)
        if one is None or not one.digest:
            return None
        digest, rest = digests.parse(one.digest), ""
    return _source(place, digest, rest, dirty=_is_changed(project, [Wanted(target, place)]))


def _source(path: str, digest: str, rest: str = "", *, dirty: bool = False) -> DvcLikeDatasetSource:
    name, _, below = (rest or path.rpartition("/")[2]).partition("/")
    name = re.sub(r"[^\w.-]", "_", name)  # only for people: `#` or `?` would mean something in an address
    uri = f"{SCHEME}:///{BY_HASH}/{digest}/{name}" + (f"/{below}" if below else "")
    return DvcLikeDatasetSource(uri, path, digest, dirty)
