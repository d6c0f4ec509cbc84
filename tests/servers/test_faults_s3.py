"""Push and pull with the real command against Swift, through a proxy that breaks what it is told to.

Whatever breaks, the command ends with success after trying again, or with a clear error and the documented exit code;
nothing is half-recorded, no wrong byte gets anywhere, and the next run without faults makes all right.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.cli.killing import start
from tests.cli.place import Place, clone_of, key_of, make_place, objects_in
from tests.cli.stores import contents_of, dangling, unsound
from tests.conftest import Cli, Ran
from tests.servers.certificate import Certificate
from tests.servers.faults import Rule
from tests.servers.proxy import Proxy
from tests.servers.s3 import Bucket, S3Server

from dvc_like.config import edit
from dvc_like.ops._store import describe

MB = 1 << 20
BIG = 40 * MB
OBJECTS = r"^(files|packs)/"
TIMEOUT = 2  # seconds; what stalls is given up after them
DONE, UNREACHABLE, CORRUPT = 0, 6, 7
SLOW = pytest.mark.slow


# ------------------------------------------------------------------------------ projects and buckets


def big_file(place: Place) -> None:
    block = random.Random(40).randbytes(MB)
    place.write({"data": b"".join(number.to_bytes(4, "big") + block[4:] for number in range(BIG // MB))})


def small_files(place: Place) -> None:
    chance = random.Random(200)
    place.write({f"data/{n % 7}/{n}.bin": chance.randbytes(chance.randrange(1, 16 << 10)) for n in range(200)})


def few_files(place: Place) -> None:
    place.write({f"data/{number}": f"content {number}" for number in range(3)})


KINDS = {"big": big_file, "small": small_files, "few": few_files}


def use_bucket(place: Place, bucket: Bucket, endpoint: str, *, retries: int = 4, prefix: str = "data") -> None:
    settings = {"url": f"{bucket.url}/{prefix}", "endpointurl": endpoint, "region": bucket.server.region}
    settings |= {"timeout": str(TIMEOUT), "retries": str(retries)}
    named = {f"remote.storage.{name}": value for name, value in settings.items()}
    edit(place.project.config.files["local"], {"core.remote": "storage", **named})


def make_project(kind: str, root: Path) -> Place:
    place = make_place(root)
    KINDS[kind](place)
    place.add("data")
    place.save()
    return place


class Lab:
    """A project and a bucket, with the proxy between them."""

    def __init__(self, place: Place, bucket: Bucket, proxy: Proxy, cli: Cli) -> None:
        self.place, self.bucket, self.proxy, self._cli = place, bucket, proxy, cli

    def run(self, verb: str, *rules: Rule, place: Place | None = None, code: int | tuple[int, ...] = DONE) -> Ran:
        """Run a command while these rules are in force, and none afterwards."""
        self.proxy.reset(*rules)
        try:
            return self._cli(*verb.split(), cwd=(place or self.place).root, code=code)
        finally:
            self.proxy.script.replace(())

    def check_store(self, *, complete: bool) -> None:
        """No object is what its name does not say, no tree lists what is not there; `complete`: nothing is missing."""
        assert unsound(self.place.cache) == []
        with tempfile.TemporaryDirectory() as folder:
            store = Path(folder)
            for key in self.bucket.keys("data/"):
                path = store / key.removeprefix("data/")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(self.bucket.read(key))
            assert unsound(store) == []
            assert dangling(store) == []
            if complete:
                assert set(contents_of(store)) == set(objects_in(self.place.cache))
                assert self.bucket.uploads() == []

    def check_clone(self, copy: Place, *, complete: bool) -> None:
        """Nothing wrong is in the cache or the workspace; `complete`: everything is there."""
        assert unsound(copy.cache) == []
        there, wanted = copy.data(), self.place.data()
        assert {name: node for name, node in there.items() if wanted.get(name) != node} == {}
        if complete:
            assert there == wanted
            assert set(copy.states().values()) == {"unchanged"}


@pytest.fixture(autouse=True)
def credentials(swift_server: S3Server, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in swift_server.environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def make_lab(
    tmp_path: Path,
    swift_server: S3Server,
    new_bucket: Callable[[S3Server], Bucket],
    proxy_to: Callable[..., Proxy],
    cli: Cli,
) -> Callable[..., Lab]:
    """Make a project of a kind, with an empty bucket: ``make_lab("big")``."""

    def make(kind: str, **options: Any) -> Lab:
        lab = Lab(make_project(kind, tmp_path / "project"), new_bucket(swift_server), proxy_to(swift_server), cli)
        use_bucket(lab.place, lab.bucket, lab.proxy.url, **options)
        return lab

    return make


@pytest.fixture(scope="module")
def filled(swift_server: S3Server) -> Iterator[dict[str, Bucket]]:
    """Buckets that were pushed to once, by kind of project: pulling does not change them."""
    found: dict[str, Bucket] = {}
    yield found
    for bucket in found.values():
        bucket.close()


@pytest.fixture
def make_clone(
    tmp_path: Path, swift_server: S3Server, filled: dict[str, Bucket], proxy_to: Callable[..., Proxy], cli: Cli
) -> Callable[..., tuple[Lab, Place]]:
    """Make a project of a kind that is pushed, and a clone of it without data."""

    def make(kind: str, **options: Any) -> tuple[Lab, Place]:
        place = make_project(kind, tmp_path / "project")
        if kind not in filled:
            filled[kind] = Bucket(swift_server)
            use_bucket(place, filled[kind], swift_server.endpoint)
            place.push()
        lab = Lab(place, filled[kind], proxy_to(swift_server), cli)
        copy = clone_of(place, tmp_path / "copy")
        use_bucket(copy, lab.bucket, lab.proxy.url, **options)
        return lab, copy

    return make


# ------------------------------------------------------------------------------ one fault


class Case(NamedTuple):
    """A fault that strikes once, how the command may end, and which kinds of project the default run tries it on."""

    rule: dict[str, Any]
    codes: tuple[int, ...]
    default: tuple[str, ...]


def case(fault: str, kinds: str, *codes: int, default: tuple[str, ...] = (), **options: Any) -> Case:
    return Case({"fault": fault, "kinds": kinds, "key": OBJECTS, "times": 1, **options}, codes or (DONE,), default)


def spread(cases: list[Case]) -> Iterator[Any]:
    """Yield every case for a big file and for 200 small ones; most of them are slow."""
    for number, (rule, codes, default) in enumerate(cases):
        for kind in ("big", "small"):
            marks = [] if kind in default else [SLOW]
            yield pytest.param(kind, rule, codes, id=f"{kind}-{number}-{rule['fault']}", marks=marks)


PUSH = [
    case("drop", "put"),
    case("swallow", "put"),
    case("error", "put"),
    case("lost", "put", default=("big", "small")),
    case("slow_down", "put", seconds=1),
    case("cut_request", "put", at=100, default=("big",)),
    case("flip_request", "put", at=100, default=("big",)),
    case("stall", "put", default=("big",)),
    case("delay", "put", seconds=1),
    case("drop", "head", key="data/"),
    case("error", "head", key="data/"),
    case("stall", "head", key="data/"),
    case("cut_reply", "get", key="json", at=5, nth=(2,)),
    case("shorten_reply", "get", UNREACHABLE, CORRUPT, DONE, key="json", at=5, nth=(2,)),
    case("flip_reply", "get", UNREACHABLE, CORRUPT, DONE, key="json", at=1, nth=(2,)),
    case("drop", "get", key="json"),
    case("lost", "put", key="json"),
]
PULL = [
    case("drop", "get"),
    case("swallow", "get"),
    case("error", "get"),
    case("lost", "get"),
    case("slow_down", "get", seconds=1),
    case("cut_reply", "get", at=100, default=("big",)),
    case("shorten_reply", "get", CORRUPT, 9, DONE, at=100, default=("big",)),
    case("flip_reply", "get", CORRUPT, 9, DONE, at=100, default=("big", "small")),
    case("stall", "get"),
    case("stall_reply", "get", at=100, default=("big",)),
    case("delay", "get", seconds=1),
    case("cut_reply", "get", key="json", at=5),
    case("flip_reply", "get", CORRUPT, DONE, key="json", at=1),
]


def rule_of(options: dict[str, Any]) -> Rule:
    key = options["key"]
    return Rule(**{**options, "key": key if key == "json" else key.replace("^", "^data/")})


@pytest.mark.parametrize(("kind", "options", "codes"), list(spread(PUSH)))
def test_push(make_lab: Callable[..., Lab], kind: str, options: dict[str, Any], codes: tuple[int, ...]) -> None:
    lab = make_lab(kind)
    done = lab.run("push", rule_of(options), code=codes)
    assert lab.proxy.faults[options["fault"]] == 1
    lab.check_store(complete=done.code == DONE)
    again = lab.run("push")
    lab.check_store(complete=True)
    if done.code == DONE:
        assert lab.proxy.counts["put"] == 0, again.out


@pytest.mark.parametrize(("kind", "options", "codes"), list(spread(PULL)))
def test_pull(
    make_clone: Callable[..., tuple[Lab, Place]], kind: str, options: dict[str, Any], codes: tuple[int, ...]
) -> None:
    lab, copy = make_clone(kind)
    done = lab.run("pull", rule_of(options), place=copy, code=codes)
    assert lab.proxy.faults[options["fault"]] == 1
    lab.check_clone(copy, complete=done.code == DONE)
    if done.code != DONE:
        assert "storage" in done.err
        lab.run("pull", place=copy)
        lab.check_clone(copy, complete=True)


@pytest.mark.parametrize(
    ("verb", "rule"),
    [
        ("push", {"fault": "flip_request", "kinds": "put", "at": MB}),
        pytest.param("push", {"fault": "cut_request", "kinds": "put", "at": MB}, marks=SLOW),
        ("pull", {"fault": "cut_reply", "kinds": "get", "at": MB}),
        pytest.param("pull", {"fault": "stall_reply", "kinds": "get", "at": MB}, marks=SLOW),
    ],
    ids=lambda value: value if isinstance(value, str) else value["fault"],
)
def test_over_https(
    make_lab: Callable[..., Lab],
    tmp_path: Path,
    certificate: Certificate,
    proxy_to: Callable[..., Proxy],
    monkeypatch: pytest.MonkeyPatch,
    verb: str,
    rule: dict[str, Any],
) -> None:
    """There the signature does not cover the body, and boto3 sends a checksum behind it."""
    monkeypatch.setenv("AWS_CA_BUNDLE", certificate.bundle)
    lab = make_lab("big")
    lab.proxy = proxy_to(lab.bucket.server, certificate=certificate)
    place = lab.place if verb == "push" else clone_of(lab.place, tmp_path / "copy")
    use_bucket(lab.place, lab.bucket, lab.proxy.url)
    use_bucket(place, lab.bucket, lab.proxy.url)
    if verb == "pull":
        lab.run("push")
    lab.run(verb, Rule(**rule, key="files/", times=1), place=place)
    assert lab.proxy.faults[rule["fault"]] == 1
    lab.check_store(complete=True)
    if verb == "pull":
        lab.check_clone(place, complete=True)
        assert lab.proxy.down < BIG + MB // 2, "it went on where it was cut"


# ------------------------------------------------------------------------------ many faults


CHAOS = [
    *("drop", "swallow", "error", "lost", "cut_request", "cut_reply", "slow_down"),
    *("flip_request", "flip_reply", "shorten_reply"),
]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 7))
def test_everything_breaks_now_and_then(
    make_lab: Callable[..., Lab], tmp_path: Path, cli: Cli, swift_server: S3Server, seed: int
) -> None:
    """Each run may fail; no run does harm; and it comes to an end."""
    lab = make_lab("small", retries=6)
    lab.proxy.script._chance.seed(seed)
    rules = [Rule(fault, probability=0.04, at=20, seconds=0.1) for fault in CHAOS]
    codes = (DONE, 1, UNREACHABLE, CORRUPT, 9, 4)
    done = [lab.run("push", *rules, code=codes).code for _ in range(2)]
    assert sum(lab.proxy.faults.values()) > 0 or done[-1] == DONE
    lab.check_store(complete=DONE in done)
    lab.run("push")
    lab.check_store(complete=True)
    copy = clone_of(lab.place, tmp_path / "copy")
    use_bucket(copy, lab.bucket, lab.proxy.url, retries=6)
    for _ in range(2):
        ran = lab.run("pull", *rules, place=copy, code=codes)
        lab.check_clone(copy, complete=ran.code == DONE)
    lab.run("pull", place=copy)
    lab.check_clone(copy, complete=True)


@pytest.mark.parametrize(("verb", "kinds"), [("push", "put"), ("pull", "get")])
@pytest.mark.parametrize("fault", ["error", *(pytest.param(each, marks=SLOW) for each in ("drop", "slow_down"))])
def test_a_store_that_never_gets_well_is_told(
    make_clone: Callable[..., tuple[Lab, Place]], make_lab: Callable[..., Lab], verb: str, kinds: str, fault: str
) -> None:
    lab, place = (make_lab("big", retries=1), None) if verb == "push" else make_clone("big", retries=1)
    done = lab.run(verb, Rule(fault, kinds, key=OBJECTS.replace("^", "^data/")), place=place, code=UNREACHABLE)
    assert "data" in done.err
    assert "Traceback" not in done.err
    assert lab.proxy.faults[fault] == 2
    if verb == "push":
        lab.check_store(complete=False)
        assert lab.bucket.keys("data/files") == []
    else:
        assert place is not None
        lab.check_clone(place, complete=False)
        assert not (place / "data").exists()


LOOKING = ["status --cloud", "gc --workspace --cloud", "fsck --remote storage --read-data --repair"]


@pytest.mark.parametrize("kinds", ["get", "list"])
@pytest.mark.parametrize("fault", ["drop", "error", "slow_down", "cut_reply"])
def test_what_looks_at_a_store_gets_over_a_fault_and_changes_nothing(
    make_lab: Callable[..., Lab], fault: str, kinds: str
) -> None:
    lab = make_lab("few", retries=1)
    lab.run("push")
    for verb in LOOKING:
        lab.run(verb, Rule(fault, kinds, times=1))
        assert lab.proxy.faults[fault] == 1, verb
        done = lab.run(verb, Rule(fault, kinds), code=UNREACHABLE)
        assert "Traceback" not in done.err
        lab.check_store(complete=True)


# ------------------------------------------------------------------------------ before there were packs


def test_a_store_without_packs_is_read_and_added_to(make_lab: Callable[..., Lab], tmp_path: Path) -> None:
    """One object a file, and one a listing. A bucket is not asked for each: a push sends them again, in packs."""
    lab = make_lab("small")
    for key, path in objects_in(lab.place.cache).items():
        lab.bucket.write(f"data/{key}", path.read_bytes())
    lab.bucket.write("data/dvc-like.json", describe("0123456789abcdef0123456789abcdef"))
    copy = clone_of(lab.place, tmp_path / "copy")
    use_bucket(copy, lab.bucket, lab.proxy.url)
    lab.run("pull", place=copy)
    lab.check_clone(copy, complete=True)
    assert "is sound" in lab.run("fsck --remote storage --read-data", place=copy).out
    copy.write({"data/new": "new"})
    copy.add("data")
    copy.save()
    lab.run("push", place=copy)
    lab.check_store(complete=False)
    other = clone_of(copy, tmp_path / "other")
    use_bucket(other, lab.bucket, lab.proxy.url)
    lab.run("pull", place=other)
    assert other.data() == copy.data()


# ------------------------------------------------------------------------------ not allowed

WRITES, DELETES = ("put", "create"), ("delete", "delete_many")
COLLECT = "gc --workspace --cloud --force --grace 0"


@pytest.mark.parametrize(
    ("verb", "kinds", "permission"),
    [
        ("push", ("list",), "s3:ListBucket"),
        ("push", ("get",), "s3:GetObject"),
        ("push", WRITES, "s3:PutObject"),
        ("pull", ("list",), "s3:ListBucket"),
        ("pull", ("get",), "s3:GetObject"),
        ("status --cloud", ("list",), "s3:ListBucket"),
        ("fsck --remote storage --read-data", ("get",), "s3:GetObject"),
        (COLLECT, ("list",), "s3:ListBucket"),
        (COLLECT, WRITES, "s3:PutObject"),
        (COLLECT, DELETES, "s3:DeleteObject"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_may_not_be_done_is_named_and_nothing_is_half_done(
    make_lab: Callable[..., Lab], tmp_path: Path, verb: str, kinds: tuple[str, ...], permission: str
) -> None:
    lab = make_lab("few")
    lab.run("push")
    for number in range(3):
        lab.place.write({f"data/{number}": f"another {number}"})
    lab.place.add("data")
    lab.place.save()
    where = lab.place
    if verb != "push":
        lab.run("push")
    if verb == "pull":
        where = clone_of(lab.place, tmp_path / "copy")
        use_bucket(where, lab.bucket, lab.proxy.url)
    done = lab.run(verb, Rule("deny", kinds), place=where, code=UNREACHABLE)
    assert f"{permission} is not allowed" in done.err
    assert f"Whoever manages the bucket has to allow {permission}" in done.err
    assert "Traceback" not in done.err
    assert 1 <= lab.proxy.faults["deny"] <= 2, "it was asked again"  # of two keys, perhaps
    if verb == "pull":
        lab.check_clone(where, complete=False)
    else:
        lab.check_store(complete=False)
    lab.run(verb, place=where)
    assert lab.run("pull", place=where).code == 0
    lab.check_store(complete=verb in ("push", COLLECT))


def test_a_push_that_may_delete_nothing_sends_all_the_same(make_lab: Callable[..., Lab]) -> None:
    """In a bucket that keeps everything for good; only what is on a list of the condemned cannot be taken off it."""
    lab = make_lab("few")
    done = lab.run("push", Rule("deny", DELETES))
    assert "sent" in done.out
    assert lab.proxy.faults["deny"] == 0
    lab.check_store(complete=True)


def test_a_push_of_what_is_condemned_needs_the_leave_to_delete(make_lab: Callable[..., Lab]) -> None:
    """Else it would stay on the list, and go at the end of the grace period."""
    lab = make_lab("few")
    lab.run("push")
    before = lab.place.data()
    lab.place.write({f"data/{number}": f"another {number}" for number in range(3)})
    lab.place.add("data")
    lab.place.save()
    lab.run("push")
    lab.run("gc --workspace --cloud --force")
    assert [key for key in lab.bucket.keys("data/packs/") if key.endswith(".condemned")]
    lab.place.git("checkout", "-q", "HEAD~1", "--", "data.meta")
    done = lab.run("push", Rule("deny", DELETES), code=UNREACHABLE)
    assert "s3:DeleteObject is not allowed" in done.err
    lab.run("push")
    assert [key for key in lab.bucket.keys("data/packs/") if key.endswith(".condemned")] == []
    lab.place.checkout()
    assert lab.place.data() == before
    lab.check_store(complete=False)


# ------------------------------------------------------------------------------ killed


def kill_when(process: subprocess.Popen[str], condition: Callable[[], bool]) -> None:
    """Kill the command as soon as something is so; fail when it ends before."""
    end = time.monotonic() + 300
    while not condition():
        if process.poll() is not None or time.monotonic() > end:
            process.kill()
            pytest.fail(f"it was not caught in the middle: {process.communicate()}")
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()


SIZES = [pytest.param(256 * MB, id="256M"), pytest.param(1024 * MB, id="1G", marks=SLOW)]


@pytest.fixture
def huge(
    make_lab: Callable[..., Lab], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[int], Lab]]:
    def make(size: int) -> Lab:
        monkeypatch.setitem(KINDS, "huge", lambda place: _write_huge(place / "data", size))
        lab = make_lab("huge")
        edit(lab.place.project.config.files["local"], {"remote.storage.timeout": "60"})
        return lab

    yield make
    for folder in ("project", "copy"):  # pytest would keep them, gigabytes, for the next runs
        shutil.rmtree(tmp_path / folder, ignore_errors=True)


def _write_huge(path: Path, size: int) -> None:
    block = os.urandom(MB - 8)
    with open(path, "wb") as file:
        for number in range(size // MB):
            file.write(number.to_bytes(8, "big") + block)


@pytest.mark.parametrize("size", SIZES)
def test_a_killed_push_goes_on(huge: Callable[[int], Lab], size: int) -> None:
    lab = huge(size)
    lab.proxy.reset()
    kill_when(start(["push"], lab.place.root), lambda: lab.proxy.up > size // 2)
    assert lab.bucket.uploads() != []
    lab.run("push")
    assert lab.proxy.up < size - size // 8
    assert lab.bucket.uploads() == []
    (path,) = objects_in(lab.place.cache).values()
    stored = lab.bucket.client.get_object(Bucket=lab.bucket.name, Key=f"data/{key_of(path.read_bytes())}")["Body"]
    with stored, open(path, "rb") as file:
        while piece := file.read(MB):
            assert stored.read(MB) == piece
        assert stored.read(1) == b""


@pytest.mark.parametrize("size", SIZES)
def test_a_killed_pull_goes_on(huge: Callable[[int], Lab], tmp_path: Path, size: int) -> None:
    lab = huge(size)
    lab.run("push")
    copy = clone_of(lab.place, tmp_path / "copy")
    use_bucket(copy, lab.bucket, lab.proxy.url)
    lab.proxy.reset()
    kill_when(start(["pull"], copy.root), lambda: lab.proxy.down > size // 2)
    assert not (copy / "data").exists()
    assert objects_in(copy.cache) == {}
    lab.run("pull", place=copy)
    assert lab.proxy.down < size - size // 3
    done = subprocess.run(["cmp", copy / "data", lab.place / "data"], check=False)
    assert done.returncode == 0
    assert list((copy.cache / "partial").iterdir()) == []


# ------------------------------------------------------------------------------ refused


def _unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


#: name -> settings of the remote, variables, and what the message must tell: the cause, and the way out.
REFUSED: dict[str, tuple[dict[str, str], dict[str, str | None], list[str]]] = {
    "wrong secret": ({}, {"AWS_SECRET_ACCESS_KEY": "nonsense"}, ["credential|secret|key"]),
    "unknown key": ({}, {"AWS_ACCESS_KEY_ID": "nobody"}, ["credential|key|not allowed|denied"]),
    "no credentials": ({}, {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, ["credentials"]),
    "missing bucket": ({"url": "s3://no-such-bucket-here/data"}, {}, ["no-such-bucket-here", "bucket"]),
    "nobody there": ({"endpointurl": "PORT", "retries": "0"}, {}, ["does not answer", "endpointurl"]),
}


@pytest.mark.parametrize("verb", ["push", "pull"])
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_says_what_to_do(
    make_lab: Callable[..., Lab], tmp_path: Path, cli: Cli, name: str, verb: str
) -> None:
    lab = make_lab("few")
    settings, variables, told = REFUSED[name]
    settings = {key: value.replace("PORT", f"http://127.0.0.1:{_unused_port()}") for key, value in settings.items()}
    place = lab.place if verb == "push" else clone_of(lab.place, tmp_path / "copy")
    use_bucket(place, lab.bucket, lab.proxy.url)
    edit(place.project.config.files["local"], {f"remote.storage.{key}": text for key, text in settings.items()})
    done = cli(verb, cwd=place.root, env=variables, code=UNREACHABLE)
    check_told(done, told)
    assert lab.bucket.keys() == []


def check_told(done: Ran, told: list[str]) -> None:
    lines = done.err.strip().splitlines()
    for pattern in told:
        assert any(word.lower() in done.err.lower() for word in pattern.split("|")), done.err
    assert "storage" in lines[0]
    assert len(lines) > 1, f"no hint: {done.err}"
    assert "Traceback" not in done.err
    for secret in ("testing", "nonsense"):
        assert secret not in done.err


@pytest.mark.parametrize("verb", ["push", "pull"])
def test_a_user_without_rights_is_told(make_lab: Callable[..., Lab], tmp_path: Path, cli: Cli, verb: str) -> None:
    lab = make_lab("few")
    key, secret = lab.bucket.server.limited or ("", "")
    place = lab.place if verb == "push" else clone_of(lab.place, tmp_path / "copy")
    use_bucket(place, lab.bucket, lab.proxy.url)
    env = {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}
    check_told(cli(verb, cwd=place.root, env=env, code=UNREACHABLE), ["not allowed|denied|permission", lab.bucket.name])


def test_a_wrong_region_is_told_or_mended(make_lab: Callable[..., Lab], cli: Cli) -> None:
    """The store says which one is right, and boto3 asks again with that."""
    lab = make_lab("few")
    edit(lab.place.project.config.files["local"], {"remote.storage.region": "eu-west-1"})
    done = lab.run("push", code=(DONE, UNREACHABLE))
    if done.code == DONE:
        lab.check_store(complete=True)
    else:
        check_told(done, ["region"])


_SKEWED = """
import datetime, sys
from botocore import auth
real = auth.get_current_datetime
auth.get_current_datetime = lambda *a, **k: real(*a, **k) + datetime.timedelta(hours=HOURS)
from dvc_like.cli import main
sys.exit(main.main(sys.argv[1:]))
"""


@pytest.mark.parametrize("hours", [-2, 2])
def test_a_clock_that_is_wrong_is_told(make_lab: Callable[..., Lab], hours: int) -> None:
    lab = make_lab("few")
    words = [sys.executable, "-c", _SKEWED.replace("HOURS", str(hours)), "push"]
    done = subprocess.run(words, cwd=lab.place.root, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == UNREACHABLE, done.stderr
    check_told(Ran(words, done.returncode, done.stdout, done.stderr), ["clock"])
