"""One target for each format that Git or a remote can deliver: bytes in, and what must hold of every answer.

A target returns when the bytes were taken or refused as they should be: refused by an error of ours and nothing else,
taken only where what came out is bounded, safe and says again what was read. Used by ``python -m tests.fuzz`` (guided
by coverage, without end) and by `tests/unit/test_fuzz.py` (a fixed number of mutations, the same each time).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from tests.fuzz import manifests
from tests.fuzz.promises import BAD_NAME, safe_digest, safe_path

from dvc_like import digest as digests
from dvc_like import gitconfig, paths
from dvc_like.config import check_tracked
from dvc_like.errors import DvcLikeError
from dvc_like.meta import file as metas
from dvc_like.meta import rewrite, tree
from dvc_like.ops import _record, _store
from dvc_like.ops._trees import link_stays_inside
from dvc_like.paths import RelPath
from dvc_like.remote import pack, packs, refs
from dvc_like.remote.registry import redact
from dvc_like.workspace import gitignore, ignore

Target = Callable[[bytes], None]


def meta(data: bytes) -> None:
    """Read a meta file, and write it again."""
    read = metas.parse(data, "x.meta")
    safe_digest(read.digest)
    assert 0 <= read.size < 1 << 63
    written = metas.encode(read)
    assert metas.parse(written, "x.meta")[:5] == read[:5]
    changed = read._replace(size=7, executable=False)
    assert metas.parse(rewrite.rewrite(changed, data), "x.meta")[:5] == changed[:5]


def listing(data: bytes) -> None:
    """Read a tree: there is one way to write each."""
    entries = tree.parse(data, "a tree")
    for entry in entries:
        safe_path(entry.name)
        assert 0 <= entry.size < 1 << 63
        if entry.kind == "l":
            if link_stays_inside(0, entry.value):
                assert ".." not in entry.value.split("/")
        else:
            safe_digest(entry.value)
    assert tree.encode(entries) == data
    assert len({entry.name for entry in entries}) == len(entries)


def index(data: bytes) -> None:
    """Read the index of a pack: nothing it says leads out of its pack, or unpacks to more than its bytes can."""
    found = pack.Index(data).check()
    used = 0
    for member in sorted(found, key=lambda one: (one.offset, one.length)):
        with contextlib.suppress(DvcLikeError):
            safe_digest(digests.of_ident(member.ident)[0])
        assert member.offset + member.length <= found.zip_size
        assert member.offset >= used
        used = member.offset + member.length
        assert member.size <= 1100 * (member.length + 1) or member.kind > 1
        assert [member] == [*found.find([member.ident])]


def zipped(data: bytes) -> None:
    """Make the index of a pack again, and unpack what it names."""
    made = pack.Index(pack.index_of(data)).check()
    for member in made:
        with contextlib.suppress(DvcLikeError):
            assert len(pack.unpack(member, data[member.offset : member.offset + member.length])) == member.size


def config(data: bytes) -> None:
    """Read a configuration, and change it: what was there stays, what was set is read."""
    text = data.decode("utf-8", "replace")
    found, _ = gitconfig.parse(text, "config")
    for one in found:
        section, _, rest = one.name.partition(".")
        reason = check_tracked(section, rest.rpartition(".")[2], one.text)
        secret = one.name.rpartition(".")[2] in ("secretaccesskey", "sessiontoken", "credentials", "proxy", "verify")
        assert reason or section != "remote" or not secret
    changed = gitconfig.changed(text, "config", "remote.new.url", "s3://b/p # x")
    again, _ = gitconfig.parse(changed, "config")
    assert [one.text for one in again if one.name == "remote.new.url"] == ["s3://b/p # x"]
    others = [one[:2] for one in found if one.name != "remote.new.url"]
    assert [one[:2] for one in again if one.name != "remote.new.url"] == others
    assert not [one for one in gitconfig.parse(gitconfig.changed(changed, "c", "remote.new.url", None), "c")[0]
                if one.name == "remote.new.url"]  # fmt: skip


def ref(data: bytes) -> None:
    """Read what a clone needs."""
    read = refs.decode(data, "refs/x")
    for root in read.roots:
        safe_path(root.path)
        safe_digest(root.digest)
    assert refs.decode(refs.encode(read), "refs/x").roots == read.roots


def condemned(data: bytes) -> None:
    """Read a list of what is to be deleted."""
    for name in packs.parse_condemned("packs/1-2.condemned", data).names:
        assert ".." not in name.split("/")
        assert not name.startswith("/")
        assert not BAD_NAME.search(name.replace("/", ""))


def description(data: bytes) -> None:
    """Read what a store is: its id becomes the name of a folder."""
    safe_path(_store.read_description(data))


def record(data: bytes) -> None:
    """Read a record of undo."""
    read = _record.decode(data, 1)
    for path in (*read.pointers, *read.places, *read.after, *read.parts):
        safe_path(path)
    assert all(path.endswith((".meta", ".gitignore")) for path in read.pointers)
    for place in read.places.values():
        if place is not None:
            safe_digest(place.digest)
    again = _record.decode(_record.encode(read), 1)
    assert (again.pointers, again.places, again.after) == (read.pointers, read.places, read.after)


def rules(data: bytes) -> None:
    """Read rules of what is left out, and ask them."""
    parts = ["a", "frames" * 20, "x" * 200 + "y.tmp"]
    for rule in ignore.parse(data[: 64 << 10], RelPath(".dvc-likeignore")):
        rule.fits(parts, False)


def path(data: bytes) -> None:
    """Read a path."""
    text = data.decode("utf-8", "surrogateescape")
    safe_path(paths.parse(text))
    assert "\n" not in gitignore.pattern(text)


def url(data: bytes) -> None:
    """Show a url: what stands for a password in it is not shown."""
    text = data.decode("utf-8", "replace")
    assert "hunter2" not in redact(f"s3://name:hunter2@{text}")
    assert "hunter2" not in redact(f"s3://host/{text.replace('#', '')}?key=hunter2")


TARGETS: dict[str, Target] = {
    "meta": meta,
    "tree": listing,
    "idx": index,
    "pack": zipped,
    "config": config,
    "ref": ref,
    "condemned": condemned,
    "description": description,
    "undo": record,
    "rules": rules,
    "path": path,
    "url": url,
    **manifests.TARGETS,
}


def refused(target: Target, data: bytes) -> bool:
    """Run a target; tell whether the bytes were refused. Anything but an error of ours escapes."""
    try:
        target(data)
        return False
    except DvcLikeError as error:
        length = len(error.message)
    assert 0 < length < 2000
    return True
