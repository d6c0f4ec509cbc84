"""Reading single files from a bucket: what it costs, and that readers do not wait for each other."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.cli.place import Place, clone_of, make_place
from tests.servers.proxy import Proxy
from tests.servers.s3 import Bucket, S3Server

from dvc_like.config import edit
from dvc_like.ops._reader import open_reader
from dvc_like.paths import RelPath

KB = 1 << 10
FILES = 64


@pytest.fixture
def away(
    tmp_path: Path,
    rclone_server: S3Server,
    new_bucket: Callable[[S3Server], Bucket],
    proxy_to: Callable[..., Proxy],
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[Place, Place, Proxy]:
    """A project whose data is in a bucket, a clone that has none of it, and the proxy between."""
    for name, value in rclone_server.environment.items():
        monkeypatch.setenv(name, value)
    bucket, proxy = new_bucket(rclone_server), proxy_to(rclone_server)
    settings = {"url": f"{bucket.url}/data", "endpointurl": proxy.url, "region": rclone_server.region}
    place = make_place(tmp_path / "project")
    chance = random.Random(1)
    place.write({f"data/{number:02}.bin": chance.randbytes(64 * KB) for number in range(FILES)})
    place.write({"big.bin": chance.randbytes(24 << 20)})
    place.add("data", "big.bin")
    named = {f"remote.storage.{name}": value for name, value in settings.items()}
    edit(place.project.config.files["project"], {"core.remote": "storage", "remote.storage.region": settings["region"]})
    edit(place.project.config.files["local"], named)
    place.save()
    place.push()
    copy = clone_of(place, tmp_path / "copy")
    edit(copy.project.config.files["local"], named)
    proxy.reset()
    return place, copy, proxy


def test_one_small_file_of_a_pack(away: tuple[Place, Place, Proxy]) -> None:
    """Less than twice its size, besides the index of the pack: the pack itself is 64 times as large."""
    place, copy, proxy = away
    with open_reader(copy.root) as reader:
        found = reader.find(RelPath("data/07.bin"))
        assert found is not None
        index = proxy.down
        assert index < 32 * KB, "the listing of the store, the index of its pack, and the listing of the folder"
        assert reader.read(found) == (place / "data/07.bin").read_bytes()
        assert proxy.down - index < 2 * 64 * KB


def test_some_bytes_of_a_big_file(away: tuple[Place, Place, Proxy]) -> None:
    place, copy, proxy = away
    with open_reader(copy.root) as reader:
        found = reader.find(RelPath("big.bin"))
        assert found is not None
        with reader.open(found, verify=False) as file:
            file.seek(20 << 20)
            assert file.read(1000) == (place / "big.bin").read_bytes()[20 << 20 :][:1000]
        assert proxy.down < 400 * KB


def test_readers_do_not_wait_for_each_other(away: tuple[Place, Place, Proxy]) -> None:
    place, copy, proxy = away
    with open_reader(copy.root) as reader:
        listed = reader.listing(RelPath("data"))
        reader.read(listed[0])
        proxy.reset()
        proxy.latency = 0.1
        with ThreadPoolExecutor(4) as workers:
            assert list(workers.map(reader.read, listed[1:])) == [(place / one.path).read_bytes() for one in listed[1:]]
        assert proxy.most_in_flight == 4
        assert sum(proxy.counts.values()) == FILES - 1
