"""How many requests it takes: what a store charges for, and what users of many small files wait for."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.place import Place, clone_of, make_place
from tests.conftest import Cli
from tests.servers.proxy import Proxy
from tests.servers.s3 import Bucket, S3Server

from dvc_like.config import edit

MB = 1 << 20


def requests_of(proxy: Proxy) -> int:
    return sum(proxy.counts.values())


@pytest.fixture
def lab(
    tmp_path: Path,
    rclone_server: S3Server,
    new_bucket: Callable[[S3Server], Bucket],
    proxy_to: Callable[..., Proxy],
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[Place, Proxy, Callable[[Place], None]]:
    """A project, the proxy before its bucket, and what makes the bucket a project's remote."""
    for name, value in rclone_server.environment.items():
        monkeypatch.setenv(name, value)
    bucket, proxy = new_bucket(rclone_server), proxy_to(rclone_server)

    def use(place: Place) -> None:
        settings = {"url": f"{bucket.url}/data", "endpointurl": proxy.url, "region": rclone_server.region}
        named = {f"remote.storage.{name}": value for name, value in settings.items()}
        edit(place.project.config.files["local"], {"core.remote": "storage", **named})

    place = make_place(tmp_path / "project")
    use(place)
    return place, proxy, use


def fill(place: Place, files: int, folder: int = 100) -> None:
    chance = random.Random(files)
    for first in range(0, files, folder):
        where = place.root / f"data/{first // folder:04}"
        where.mkdir(parents=True)
        for number in range(first, min(first + folder, files)):
            (where / f"{number}.bin").write_bytes(chance.randbytes(chance.randrange(100, 4000)))


def test_ten_thousand_small_files(lab: tuple[Place, Proxy, Callable[[Place], None]], tmp_path: Path, cli: Cli) -> None:
    """At most 200 requests for push and for pull, at most 3 for a push with nothing to do."""
    place, proxy, use = lab
    fill(place, 10_000)
    place.add("data")
    place.save()
    proxy.reset()
    cli("push", cwd=place.root)
    assert requests_of(proxy) <= 12, proxy.counts
    proxy.reset()
    cli("push", cwd=place.root)
    assert proxy.counts == Counter(get=1, list=1, head=1)
    copy = clone_of(place, tmp_path / "copy")
    use(copy)
    proxy.reset()
    cli("pull", cwd=copy.root)
    assert requests_of(proxy) <= 12, proxy.counts
    assert copy.data() == place.data()


@pytest.mark.slow
def test_one_changed_among_a_hundred_thousand(
    lab: tuple[Place, Proxy, Callable[[Place], None]], tmp_path: Path, cli: Cli
) -> None:
    """At most 20 requests and 1 MB, for push and for pull."""
    place, proxy, use = lab
    fill(place, 100_000)
    place.add("data")
    place.save()
    cli("push", cwd=place.root)
    copy = clone_of(place, tmp_path / "copy")
    use(copy)
    cli("pull", cwd=copy.root)
    place.write({"data/0500/50000.bin": "changed"})
    place.add("data")
    place.save()
    proxy.reset()
    cli("push", cwd=place.root)
    assert requests_of(proxy) <= 20, proxy.counts
    assert proxy.up + proxy.down < MB
    copy.git("pull", "-q")
    proxy.reset()
    cli("pull", cwd=copy.root)
    assert requests_of(proxy) <= 20, proxy.counts
    assert proxy.up + proxy.down < MB
    assert (copy / "data/0500/50000.bin").read_text() == "changed"
