"""`git-textconv`: a meta file as Git's diffs show it, with the files of the dataset one a line.

Owns the form of that listing, and that it stays within bounds. It only looks, and what cannot be read is said in it:
a diff must not fail for data that is elsewhere.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from ..cache.store import Cache
from ..errors import DvcLikeError
from ..meta.file import parse
from ..meta.tree import EXECUTABLE, FOLDER, LINK, Entry
from ..meta.tree import parse as parse_tree
from ..paths import RelPath, join, show
from ..project import Project
from ._session import open_session
from ._tracked import is_ours
from ._trees import root_entry

MAX_LINES = 10_000  # folders past that are shown as one line each


def git_textconv(project: Project | None, data: bytes) -> str:
    """Return the text that stands for a meta file with the bytes `data`, and the files of its folder below.

    Without a project, and for a file that is not ours, that is the file's own text.
    """
    text = data.decode(errors="replace")
    if not is_ours(data):
        return text
    try:
        meta = parse(data, "the file")
        if not meta.is_folder:
            return text
        if project is None:
            return f"{text}\n(its files are not listed: there is no dvc-like project here)\n"
        with open_session(project) as session:
            lines = list(_listing(session.cache, root_entry("", meta)))
    except (DvcLikeError, OSError) as error:
        return f"{text}\n(its files cannot be listed: {show(str(error))})\n"
    return "".join(f"{line}\n" for line in [text.rstrip("\n"), "", *lines])


def _listing(cache: Cache, root: Entry) -> Iterator[str]:
    """Yield a line for each file, sorted by path; what is nearer to the root is opened first while there is room."""
    lines: dict[RelPath, str] = {}
    waiting = deque([(root, RelPath(""))])
    lost = more = 0
    while waiting:
        folder, path = waiting.popleft()
        entries = _read(cache, folder)
        if entries is None:
            lost += 1
            lines[path] = f"{_summary(folder, path)}  (its listing is not in the cache)"
            continue
        room = MAX_LINES - len(lines)
        if len(entries) > room and path:
            more += folder.files
            continue
        if entries:
            lines.pop(path, None)  # what is in it tells of it
        more += sum(entry.files for entry in entries[room:])
        for entry in entries[:room]:
            below = join(path, entry.name)
            lines[below] = _summary(entry, below)
            if entry.kind == FOLDER:
                waiting.append((entry, below))
    yield from (lines[path] for path in sorted(lines))
    if more:
        yield f"(and {more:,} files that are not listed one by one)"
    if lost:
        yield "(`dvc-like fetch` brings the listings that are not in the cache)"


def _read(cache: Cache, folder: Entry) -> list[Entry] | None:
    data = cache.peek_tree(folder.digest)
    try:
        return None if data is None else parse_tree(data, "a listing")
    except DvcLikeError:
        return None


def _summary(entry: Entry, path: RelPath) -> str:
    """Return one line; the path comes first, so that a change is found where it is."""
    if entry.kind == LINK:
        return f"{show(path)} -> {show(entry.value)}"
    if entry.kind == FOLDER:
        return f"{show(path) or '.'}/  {entry.files:,} files  {entry.size:,} B  {entry.digest.short}"
    return f"{show(path)}  {entry.size:,} B  {entry.digest.short}{'  exec' if entry.kind == EXECUTABLE else ''}"
