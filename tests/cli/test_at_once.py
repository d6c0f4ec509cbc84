"""Several processes at once: any mix in one project, gc beside writers, two machines on one remote, locks and no locks.

Where two must meet at a certain moment, the one calls the other itself: at every call it makes of the remote, in turn.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from tests.cli.inprocess import InProcess
from tests.cli.killing import start
from tests.cli.place import Place, clone_of, make_place, objects_in, temps_in
from tests.cli.stores import contents_of, dangling, unsound
from tests.cli.world import BIG, copy, missing
from tests.conftest import Cli
from tests.safety import TOGETHER, cases

from dvc_like import locks
from dvc_like.cache.marks import Mark
from dvc_like.cache.store import Cache
from dvc_like.cache.writer import Writer
from dvc_like.errors import DvcLikeError, LockHeld, PartialFailure, RemoteError
from dvc_like.fsutil import Dir
from dvc_like.ops import _store
from dvc_like.remote import deleting
from dvc_like.remote.base import Backend
from dvc_like.remote.local import LocalBackend
from dvc_like.remote.wrap import Wrapper

pytestmark = pytest.mark.skipif(os.name != "posix", reason="locks of this kind do not exist on this system")

# ------------------------------------------------------------------------------ any mix

MIX = (
    ("add", "one"),
    ("add", "two"),
    ("add", "two/sub"),
    ("commit",),
    ("status",),
    ("push",),
    ("fetch",),
    ("pull",),
    ("checkout",),
    ("gc", "-A"),
    ("gc", "-w", "--cloud"),
    ("fsck",),
    ("fsck", "--repair"),
    ("undo", "--list"),
    ("verify", "one"),
)


def run_mix(place: Place, store: Path, chosen: list[tuple[str, ...]]) -> None:
    """Run eight commands at once, none of which is in the way of another; all must do what they would alone."""
    place.write({f"one/{n}": f"one {n}" for n in range(40)} | {f"two/sub/{n}": f"two {n}" for n in range(40)})
    place.write({"big": BIG[1]})
    place.add("one", "two", "big")
    place.save()
    place.push()
    place.write({"one/new": "new", "two/sub/new": "new", "two/0": "new"})
    before = place.data()
    running = [start([*words], place.root) for words in chosen]
    for words, process in zip(chosen, running, strict=True):
        _, err = process.communicate(timeout=300)
        assert process.returncode == 0, (words, err)
    assert place.data() == before
    place.add("one", "two")
    place.push()
    assert place.states() == {"one": "unchanged", "two": "unchanged", "big": "unchanged"}
    for where in (place.cache, store):
        assert unsound(where) == []
        assert dangling(where) == []
    assert temps_in(place.cache) == []
    assert set(contents_of(store)) >= {key for key in objects_in(place.cache) if not key.endswith(".tree")}


def test_eight_commands_at_once(place: Place, store: Path) -> None:
    run_mix(place, store, Random(0).choices(MIX, k=8))
    cases(TOGETHER, 8)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 21))
def test_any_eight_commands_at_once(place: Place, store: Path, seed: int) -> None:
    run_mix(place, store, Random(seed).choices(MIX, k=8))
    cases(TOGETHER, 8)


# ------------------------------------------------------------------------------ gc beside writers


@pytest.mark.parametrize(
    "gc", [("gc", "-w", "--grace", "0", "--force"), ("drop", "old"), ("fsck", "--repair"), ("gc", "--undo")]
)
def test_what_takes_objects_away_waits_while_an_add_is_between_objects_and_pointer(
    place: Place, cli: Cli, monkeypatch: pytest.MonkeyPatch, gc: tuple[str, ...]
) -> None:
    place.track({"old": "old"})
    place.push()
    place.config("local", core_locktimeout="0")
    place.write({"data/x": "1"})
    real, met = Dir.write, []

    def write(self: Dir, name: str, data: bytes, **options: object) -> None:
        if name == "data.meta":
            met.append(cli(*gc, cwd=place.root, code=8))
        real(self, name, data, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Dir, "write", write)
    place.add("data")
    assert len(met) == 1
    assert "another dvc-like works here" in met[0].err
    assert place.states("data") == {"data": "unchanged"}
    cases(TOGETHER, 1)


class Meeting(Wrapper):
    """A backend at whose call number `at` somebody else does something first."""

    def __init__(self, inner: Backend, at: int, what: Callable[[], None]) -> None:
        super().__init__(inner)
        self.calls = 0
        self._at = at
        self._what = what

    def _count(self) -> Backend:
        self.calls += 1
        if self.calls == self._at:
            self._what()
        return self.inner

    def put(self, key: str, source: str | bytes, **options: object) -> None:
        self._count().put(key, source, **options)  # type: ignore[arg-type]

    def get(self, key: str, sink: object, **options: object) -> None:
        self._count().get(key, sink, **options)  # type: ignore[arg-type]

    def stat(self, keys: object) -> object:  # type: ignore[override]
        return self._count().stat(keys)  # type: ignore[arg-type]

    def list(self, prefix: str) -> object:  # type: ignore[override]
        return self._count().list(prefix)

    def delete(self, keys: object) -> None:
        self._count().delete(keys)  # type: ignore[arg-type]

    def flush(self) -> None:
        self._count().flush()


class Machines:
    """Two machines, `one` and `two`, and their remote; restored for each meeting."""

    def __init__(self, root: Path, saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.one, self.two, self.store = Place(root / "one"), Place(root / "two"), root / "storage"
        self._saved = saved
        self._monkeypatch = monkeypatch

    def meet(self, first: Callable[[], object], then: Callable[[], object], at: int) -> tuple[int, list[BaseException]]:
        """Do `first`, and at its call number `at` of the remote do `then`; return its calls, and what was raised."""
        copy(self._saved, self.root)
        made: list[Meeting] = []
        raised: list[BaseException] = []
        real = _store.open_backend

        def meanwhile() -> None:
            with self._monkeypatch.context() as patched:
                patched.setattr(_store, "open_backend", real)
                then()

        def open_backend(url: str, options: dict[str, str], root: str) -> Backend:
            made.append(Meeting(real(url, options, root), at - sum(one.calls for one in made), meanwhile))
            return made[-1]

        with self._monkeypatch.context() as patched:
            patched.setattr(_store, "open_backend", open_backend)
            try:
                first()
            except DvcLikeError as error:
                raised.append(error)
        return sum(one.calls for one in made), raised


@pytest.fixture
def machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machines:
    """Both pushed version 1; what only version 0 had is condemned, and due to be deleted now.

    Machine one is about to push version 0 again, and machine two a version of its own.
    """
    root = tmp_path / "machines"
    one = make_place(root / "one")
    one.use_store("../storage")
    zero = {"data/a": "0", "data/sub/x": "x0", "big": BIG[1]}
    one.track({**zero, "data/same": "same"})
    one.push()
    one.track({"data/a": "1", "data/sub/x": "x1", "big": BIG[2]})
    two = clone_of(one, root / "two")
    one.push()
    shutil.rmtree(root / "storage/refs")  # or all of its history would count as needed
    two.pull()
    two.gc(workspace=True, cloud=True)
    (listed,) = (root / "storage/packs").glob("*.condemned")
    long_ago = listed.name.replace(listed.name[:10], "1000000000")
    text = listed.read_text().split("\n")
    text[1] = "written\t1000000000"
    listed.with_name(long_ago).write_text("\n".join(text))
    listed.unlink()
    for place in (one, two):  # what they need is what they have now, and no history
        shutil.rmtree(place / ".git")
        subprocess.run(["git", "init", "-q", "-b", "main", str(place.root)], check=True)
    one.write(zero)
    one.add("data", "big")
    one.save()
    two.write({"data/two": "two", "mine": "mine"})
    two.add("data", "mine")
    two.save()
    shutil.rmtree(root / "storage/refs")
    saved = tmp_path / "saved"
    copy(root, saved)
    return Machines(root, saved, monkeypatch)


def check_store(machines: Machines, pushed: list[Place]) -> None:
    """The remote is in order, and has all that those who were told so have pushed; a later gc leaves them that."""
    for _ in range(2):
        there = contents_of(machines.store)
        assert unsound(there) == []
        assert dangling(there) == []
        for place in pushed:
            assert [lost for path in place.root.glob("*.meta") for lost in missing(path.read_bytes(), there)] == []
        machines.two.gc(workspace=True, cloud=True, grace=60)


def test_two_machines_push_at_once(machines: Machines) -> None:
    calls, at = 1, 0
    while at < calls:
        at += 1
        calls, raised = machines.meet(machines.one.push, machines.two.push, at)
        assert raised == []
        check_store(machines, [machines.one, machines.two])
    assert at > 10
    cases(TOGETHER, at)


@pytest.mark.parametrize("begins", ["push", "gc"])
def test_a_gc_on_the_remote_beside_a_push_of_what_it_is_about_to_delete(machines: Machines, begins: str) -> None:
    def push() -> None:
        for _ in range(2):  # who is refused may try again at once, while the gc is still at it
            try:
                machines.one.push()
                done.append(machines.one)
            except (RemoteError, PartialFailure):
                pass  # it was told that not all of it is there

    def gc() -> None:
        machines.two.gc(workspace=True, cloud=True)

    calls, at = 1, 0
    while at < calls:
        at += 1
        done: list[Place] = []
        calls, raised = machines.meet(*((push, gc) if begins == "push" else (gc, push)), at)
        assert raised == []
        check_store(machines, done)
        machines.one.push()
        check_store(machines, [machines.one])
    assert at > 10
    cases(TOGETHER, at)


class Killed(BaseException):
    pass


def test_a_gc_on_the_remote_that_is_killed_is_in_the_way_of_a_push_for_an_hour_at_most(
    machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At any call: nothing that it still wanted to do, or to tidy up, is done."""

    def gc() -> None:
        with contextlib.suppress(Killed):
            machines.two.gc(workspace=True, cloud=True)

    def killed(self: Meeting) -> Backend:
        raise Killed

    refused = 0
    calls, _ = machines.meet(gc, lambda: None, 0)
    for at in range(1, calls + 1):
        with monkeypatch.context() as patched:

            def kill(patched: pytest.MonkeyPatch = patched) -> None:
                patched.setattr(Meeting, "_count", killed)
                raise Killed

            machines.meet(gc, kill, at)
        try:
            machines.one.push()
        except RemoteError:
            refused += 1
            for note in (machines.one.root / ".dvc-like/tmp/packs").glob("*/*.deleting"):
                note.write_text(f"{float(note.read_text()) - deleting.OVER - 1}")
            machines.one.push()
        check_store(machines, [machines.one])
    assert refused > 1
    cases(TOGETHER, calls)


# ------------------------------------------------------------------------------ locks

HOLDER = """
import sys
from dvc_like.locks import lock
with lock(sys.argv[1], timeout=0):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("name", ["tmp/lock", "cache/lock"])
def test_a_holder_that_stands_still_is_named_and_one_that_dies_is_in_nobodys_way(
    place: Place, cli: Cli, start: Callable[..., subprocess.Popen[bytes]], name: str
) -> None:
    place.track({"x": "1"})
    place.config("local", core_locktimeout="1")
    process = start(HOLDER, str(place / ".dvc-like" / name), ready=b"held")
    process.send_signal(signal.SIGSTOP)
    done = cli("add", "x", code=8)
    assert f"waiting for another dvc-like (process {process.pid}) to finish" in done.err
    assert "core.locktimeout" in done.err
    process.kill()
    process.wait()
    assert "waiting" not in cli("add", "x").err
    cases(TOGETHER, 2)


FORKING = """
import os, sys, threading
from dvc_like.locks import lock
held, done = threading.Event(), threading.Event()
there, tell = os.pipe()  # a child says when it runs: only then has it let go

def work():
    with lock(sys.argv[1], timeout=0, shared=True):
        held.set()
        done.wait()

def fork_inside():
    with lock(sys.argv[1], timeout=0, shared=True) as fd:
        if os.fork() == 0:
            other = os.open(os.devnull, os.O_RDONLY)
            assert other != fd, "its number is given away, and closed twice"
            os.write(tell, b".")
            sys.stdin.read()
            os._exit(0)

thread = threading.Thread(target=work)
thread.start()
held.wait()
if os.fork() == 0:
    os.write(tell, b".")
    sys.stdin.read()
    os._exit(0)
fork_inside()
for _ in range(2):
    os.read(there, 1)
done.set()
thread.join()
print("free", flush=True)
sys.stdin.read()
"""


FORKING_WITHOUT_A_DESCRIPTOR_TO_SPARE = """
import os, resource, sys
from dvc_like.locks import lock
there, tell = os.pipe()
with lock(sys.argv[1], timeout=0, shared=True):
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    try:
        while True:
            os.open(os.devnull, os.O_RDONLY)
    except OSError:
        pass
    if os.fork() == 0:
        os.write(tell, b".")
        sys.stdin.read()
        os._exit(0)
    os.read(there, 1)
print("free", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("code", [FORKING, FORKING_WITHOUT_A_DESCRIPTOR_TO_SPARE], ids=["forks", "has none to spare"])
def test_a_process_that_is_forked_meanwhile_holds_no_lock(
    place: Place, start: Callable[..., subprocess.Popen[bytes]], code: str
) -> None:
    place.track({"x": "1"})
    start(code, str(place.cache / "lock"), ready=b"free")
    place.config("local", core_locktimeout="0")
    place.gc(workspace=True)  # raises `LockHeld` while anybody lives who holds it
    cases(TOGETHER, 1)


@pytest.fixture(params=["ENOLCK", "EOPNOTSUPP", "ENOSYS"])
def lockless(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose file systems know no locks."""
    fcntl = pytest.importorskip("fcntl")

    def flock(fd: int, operation: int) -> None:
        code = getattr(errno, request.param)
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", flock)


@pytest.mark.usefixtures("lockless")
def test_a_file_system_without_locks_is_said_to_be_one_and_everything_works(place: Place, store: Path) -> None:
    place.write({"data/x": "1", "data/y": "2"})
    run = InProcess()
    for words in (["add", "data"], ["push"], ["gc", "-w"], ["checkout"], ["pull"]):
        told = run(*words, cwd=place.root).err
        assert "knows no locks; run one dvc-like at a time here" in told
    assert "knows no locks" not in run("status", cwd=place.root).err
    assert set(contents_of(store)) == set(objects_in(place.cache))
    cases(TOGETHER, 5)


@pytest.mark.usefixtures("lockless")
def test_without_locks_nobody_sweeps_what_a_living_writer_has_begun(place: Place, store: Path) -> None:
    place.track({"data/x": "1"})
    place.push()
    state = os.path.join(place.project.shared_tmp, "cache.sqlite")
    with Cache(place.project.cache_dir, state) as cache, Writer(cache, "blake3") as living:
        living.put_tree(b"dvc-like tree 1\n")
        backend = LocalBackend(str(store))
        backend.put("files/x", b"x")
        place.write({"data/z": "z"})
        place.add("data")
        place.push()
        backend.flush()
        backend.close()
    assert unsound(place.cache) == []
    assert (store / "files/x").read_bytes() == b"x"


@pytest.mark.usefixtures("lockless")
def test_without_locks_a_mark_belongs_to_the_living(tmp_path: Path) -> None:
    mark = Mark(str(tmp_path))
    (path,) = (tmp_path / "tmp").iterdir()
    with pytest.raises(LockHeld, match="may be alive"), locks.lock_of_the_dead(str(path)):
        pass
    mark.close()
    assert not path.exists()
