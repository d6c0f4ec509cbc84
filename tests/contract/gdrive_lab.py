"""A folder on a Drive that fails as it is told, and backends that use it. No test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.servers.drive import DriveServer

from dvc_like.remote.base import Backend
from dvc_like.remote.registry import open_backend
from dvc_like.remote.wrap import Retrying, Throttled
from dvc_like.testing.samples import pattern

PIECE = 256 << 10
SMALL, BIG = pattern(50_000), pattern(4 * PIECE + 5)
METADATA = ("files.get", "files.list", "files.generateIds", "changes.getStartPageToken", "changes.list", "batch")
UPLOADS = ("upload.multipart", "upload.start", "upload.chunk", "upload.query", "files.create")
CALLS = (*METADATA, *UPLOADS, "files.get_media", "files.update")


class Lab:
    """A folder on a Drive, and backends that use it; those of one `root` remember together."""

    def __init__(self, drive: DriveServer, root: Path) -> None:
        self.drive, self._root = drive, root
        self.folder = drive.folder("store")
        self._opened: list[Backend] = []

    def backend(self, machine: str = "one", **options: str) -> Backend:
        """Open one that tries nothing again."""
        root = self._root / machine
        (root / ".dvc-like/tmp").mkdir(parents=True, exist_ok=True)
        options = {"endpointurl": self.drive.url, **options}
        url = options.pop("url", f"gdrive://{self.folder}")
        self._opened.append(open_backend(url, options, str(root)))
        return self._opened[-1]

    def patient(self, machine: str = "one", attempts: int = 5, **options: str) -> Backend:
        """Open one that tries again, without waiting."""
        return Retrying(Throttled(self.backend(machine, **options), 4), attempts, sleep=lambda seconds: None)

    def stored(self, key: str) -> list[bytes]:
        """Return the bytes of all objects of a key that are not in the trash."""
        files = self.drive.files(trashed=False)
        return [self.drive.content(one["id"]) for one in files if one["properties"].get("dl-key") == key]

    def fail_each_call_once(self, what: str, calls: tuple[str, ...] = CALLS, **options: Any) -> None:
        for call in calls:
            self.drive.faults.add(what, call, **options)

    def close(self) -> None:
        for backend in self._opened:
            backend.close()
