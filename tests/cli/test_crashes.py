"""Killed, interrupted and crowded: at whatever moment, nothing dangles, no byte is lost, and running again succeeds."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from tests.cli.killing import count_changes, moments, run_child, start
from tests.cli.place import Place, clone_of, key_of, make_place, objects_in, temps_in
from tests.cli.stores import contents_of, dangling, unsound
from tests.conftest import Cli, Node, tree_of

import dvc_like

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of this kind do not exist on this system")

POINTS = 10


def fill(place: Place) -> None:
    place.write({f"data/{sub}/{n}.bin": f"{sub}{n}" * 50 for sub in ("a", "b/c") for n in range(6)})
    place.write({"data/run": ("file", True, b"r"), "data/link": ("link", False, "run")})
    place.write({"big": Random(3).randbytes(3 << 20)})


def check_local(place: Place) -> None:
    """What must hold after a crash: objects are what they say, trees complete, meta files point at what is there."""
    assert unsound(place.cache) == []
    assert dangling(place.cache) == []
    there = objects_in(place.cache)
    for path in place.root.glob("*.meta"):
        text = path.read_text()
        hexes = text.split("\n")[0].partition("blake3:")[2]
        assert f"files/blake3/{hexes[:2]}/{hexes[2:]}" + (".tree" if "files:" in text else "") in there


def user_files(place: Place) -> dict[str, Node]:
    """The user's files; what a killed process left is looked at by tests of its own."""
    return {name: node for name, node in place.data().items() if ".dvc-like-tmp-" not in name}


def delays(run: Callable[[], object]) -> list[float]:
    """Return moments to kill at, spread over the length of one run."""
    begin = time.monotonic()
    run()
    length = time.monotonic() - begin
    return [length * (at + 0.5) / 8 for at in range(8)]


def kill_after(delay: float, words: list[str], cwd: Path) -> None:
    process = start(words, cwd, start_new_session=True)
    try:
        process.wait(delay)
    except subprocess.TimeoutExpired:
        process.kill()
    process.communicate()


# ------------------------------------------------------------------------------ add


@pytest.fixture
def fresh(tmp_path: Path) -> Callable[[str], Place]:
    """Make a project with the same files in it each time."""
    original = make_place(tmp_path / "original")
    fill(original)

    def make(name: str) -> Place:
        shutil.copytree(original.root, tmp_path / name, symlinks=True)
        return Place(tmp_path / name)

    return make


def check_add(place: Place, before: object) -> None:
    assert user_files(place) == before
    check_local(place)
    place.add("data", "big")
    assert user_files(place) == before
    check_local(place)
    assert temps_in(place.cache) == []
    assert set(place.states().values()) == {"unchanged"}
    shutil.rmtree(place / "data")
    (place / "big").unlink()
    place.checkout()
    assert user_files(place) == before


def test_add_killed_at_many_changes(fresh: Callable[[str], Place]) -> None:
    words = ["add", "data", "big"]
    first = fresh("first")
    before = first.data()
    for at in moments(count_changes(words, first.root), POINTS):
        place = fresh(f"at-{at}")
        assert run_child(at, words, place.root).returncode == -signal.SIGKILL
        check_add(place, before)


def test_add_killed_at_many_times(fresh: Callable[[str], Place], cli: Cli) -> None:
    words = ["add", "data", "big"]
    first = fresh("first")
    before = first.data()
    for number, delay in enumerate(delays(lambda: cli(*words, cwd=first.root))):
        place = fresh(f"time-{number}")
        kill_after(delay, words, place.root)
        check_add(place, before)


def test_a_second_add_killed_at_many_changes_keeps_the_first_version(fresh: Callable[[str], Place]) -> None:
    base = fresh("base")
    base.add("data", "big")
    base.save("one")
    first = base.data()
    base.write({"data/a/0.bin": "changed", "data/new/x": "new", "big": Random(2).randbytes(2 << 20)})
    (base / "data/a/1.bin").unlink()
    second = base.data()
    shutil.copytree(base.root, base.root.parent / "counted", symlinks=True)
    words = ["add", "data", "big"]
    for at in moments(count_changes(words, base.root.parent / "counted"), POINTS):
        place = Place(base.root.parent / f"again-{at}")
        shutil.copytree(base.root, place.root, symlinks=True)
        assert run_child(at, words, place.root).returncode == -signal.SIGKILL
        assert user_files(place) == second
        check_local(place)
        place.add("data", "big")
        place.save("two")
        place.git("checkout", "-q", "HEAD~1")
        place.checkout()
        assert user_files(place) == first
        place.git("checkout", "-q", "main")
        place.checkout()
        assert user_files(place) == second


# ------------------------------------------------------------------------------ push


@pytest.fixture
def ready(place: Place) -> Place:
    fill(place)
    place.add("data", "big")
    place.save()
    return place


def check_push(place: Place, store: Path) -> None:
    assert dangling(store) == []
    assert unsound(store) == []
    place.push()
    assert set(contents_of(store)) == set(objects_in(place.cache))
    assert unsound(store) == []
    assert [name for name in temps_in(store) if not name.startswith("tmp/")] == []  # marks go with the next writer


def test_push_killed_at_many_changes(ready: Place, store: Path) -> None:
    total = count_changes(["push"], ready.root)
    for at in moments(total, POINTS):
        shutil.rmtree(store, ignore_errors=True)
        for state in (ready / ".dvc-like/tmp").glob("remotes.sqlite*"):
            state.unlink()
        run_child(at, ["push", "-j", "1"], ready.root)
        if store.exists():
            check_push(ready, store)


def test_push_killed_at_many_times_is_finished_by_the_next(ready: Place, store: Path, cli: Cli) -> None:
    for delay in delays(lambda: cli("push")):
        shutil.rmtree(store)
        kill_after(delay, ["push"], ready.root)
        if store.exists():
            check_push(ready, store)
        ready.push()


def test_a_killed_push_leaves_what_other_clones_need(ready: Place, store: Path, tmp_path: Path) -> None:
    ready.push()
    ready.write({"data/a/0.bin": "changed", "big": Random(1).randbytes(1 << 20)})
    ready.add("data", "big")
    old = tmp_path / "old-store"
    shutil.copytree(store, old)
    copy = clone_of(ready, tmp_path / "copy")
    for at in moments(count_changes(["push"], ready.root), 6):
        shutil.rmtree(store)
        shutil.copytree(old, store)
        run_child(at, ["push"], ready.root)
        assert dangling(store) == []
        shutil.rmtree(copy.cache, ignore_errors=True)
        copy.pull(force=True)
        assert copy.data()["data/a/0.bin"][2] == b"a0" * 50


# ------------------------------------------------------------------------------ pull


def check_pull(copy: Place, wanted: dict[str, object]) -> None:
    found = user_files(copy)
    assert all(wanted[name] == node for name, node in found.items()), "a real name holds exactly its bytes"
    assert unsound(copy.cache) == []
    copy.pull()
    assert copy.data() == wanted
    assert temps_in(copy.cache) == []
    assert set(copy.states().values()) == {"unchanged"}


def test_pull_killed_at_many_changes(ready: Place, tmp_path: Path) -> None:
    ready.push()
    total = count_changes(["pull"], clone_of(ready, tmp_path / "counted").root)
    for at in moments(total, POINTS):
        copy = clone_of(ready, tmp_path / f"copy-{at}")
        run_child(at, ["pull"], copy.root)
        check_pull(copy, ready.data())


def test_pull_killed_at_many_times(ready: Place, tmp_path: Path, cli: Cli) -> None:
    ready.push()
    first = clone_of(ready, tmp_path / "first")
    for number, delay in enumerate(delays(lambda: cli("pull", cwd=first.root))):
        copy = clone_of(ready, tmp_path / f"copy-{number}")
        kill_after(delay, ["pull"], copy.root)
        check_pull(copy, ready.data())


def test_a_pull_of_another_version_killed_at_many_changes_loses_nothing(ready: Place, tmp_path: Path) -> None:
    ready.push()
    one = ready.data()
    base = clone_of(ready, tmp_path / "base")
    base.pull()
    ready.write({"data/a/0.bin": "changed", "data/new/x": "new", "big": Random(1).randbytes(1 << 20)})
    shutil.rmtree(ready / "data/b")
    ready.add("data", "big")
    ready.save()
    ready.push()
    two = ready.data()
    base.git("pull", "-q")
    shutil.copytree(base.root, tmp_path / "counted", symlinks=True)
    for at in moments(count_changes(["pull"], tmp_path / "counted"), POINTS):
        copy = Place(tmp_path / f"copy-{at}")
        shutil.copytree(base.root, copy.root, symlinks=True)
        run_child(at, ["pull"], copy.root)
        for name, node in copy.data().items():
            assert ".dvc-like-tmp-" in name or node in (one.get(name), two.get(name))
        copy.pull()
        assert user_files(copy) == two
        copy.git("checkout", "-q", "HEAD~1")
        copy.checkout()
        assert user_files(copy) == one


def test_gc_killed_at_many_changes_loses_nothing(ready: Place, tmp_path: Path) -> None:
    ready.track({"data/a/0.bin": "changed", "big": "small now"})
    ready.age()
    shutil.copytree(ready.root, tmp_path / "counted", symlinks=True)
    for at in moments(count_changes(["gc", "-w"], tmp_path / "counted"), POINTS):
        place = Place(tmp_path / f"place-{at}")
        shutil.copytree(ready.root, place.root, symlinks=True)
        run_child(at, ["gc", "-w"], place.root)
        place.git("checkout", "-q", "HEAD~1")
        place.checkout()
        place.git("checkout", "-q", "main")
        place.checkout()
        assert place.data() == ready.data()
        assert unsound(place.cache) == []


# ------------------------------------------------------------------------------ interrupted


@pytest.mark.parametrize("verb", ["add", "push", "pull"])
def test_an_interrupt_exits_with_130_and_leaves_everything_consistent(
    ready: Place, store: Path, tmp_path: Path, verb: str, cli: Cli
) -> None:
    def prepare(name: str) -> tuple[Place, list[str]]:
        if verb == "pull":
            ready.push()
            return clone_of(ready, tmp_path / name), ["pull"]
        copy = Place(tmp_path / name)
        shutil.copytree(ready.root, copy.root, symlinks=True)
        if verb == "push":
            shutil.rmtree(store, ignore_errors=True)
            return copy, ["push"]
        copy.write({"data/more": "more", "big": Random(1).randbytes(1 << 20)})
        return copy, ["add", "data", "big"]

    counted, words = prepare("counted")
    total = count_changes(words, counted.root)
    for at in moments(total, 8):
        copy, words = prepare(f"at-{at}")
        before = copy.data()
        done = run_child(at, words, copy.root, signal.SIGINT)
        assert done.returncode == 130, done.stderr
        assert "interrupted" in done.stderr
        assert "Traceback" not in done.stderr
        assert unsound(copy.cache) == []
        if verb == "push":
            assert not store.exists() or dangling(store) == []
        elif verb == "add":
            check_local(copy)
        cli(*words, cwd=copy.root)
        assert user_files(copy) == (ready.data() if verb == "pull" else before)


@pytest.mark.parametrize("verb", ["drop", "undo"])
def test_drop_and_undo_killed_at_many_changes_lose_nothing(ready: Place, tmp_path: Path, verb: str) -> None:
    dvc_like.push(ready.project)
    before = user_files(ready)
    words = ["drop", *sorted(ready.states())]
    for name in ("base", "counted"):
        shutil.copytree(ready.root, tmp_path / name, symlinks=True)
        if verb == "undo":
            done = subprocess.run([sys.executable, "-m", "dvc_like", *words], cwd=tmp_path / name, check=False)
            assert done.returncode == 0
    if verb == "undo":
        words = ["undo"]
    for at in moments(count_changes(words, tmp_path / "counted"), POINTS):
        copy = Place(tmp_path / f"at-{at}")
        shutil.copytree(tmp_path / "base", copy.root, symlinks=True)
        run_child(at, words, copy.root)
        copy.pull()
        assert user_files(copy) == before
        check_local(copy)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_what_a_stopped_add_left_is_gone_after_the_next(place: Place, tmp_path: Path, number: int) -> None:
    """The last changes of a small add: neither cache nor workspace keeps a temporary file, and Git never sees one."""
    place.write({"single": "3"})
    words = ["add", "single"]
    shutil.copytree(place.root, tmp_path / "counted")
    left = {}
    total = count_changes(words, tmp_path / "counted")
    for at in range(max(1, total - 9), total + 1):
        copy = Place(tmp_path / f"at-{at}")
        shutil.copytree(place.root, copy.root)
        run_child(at, words, copy.root, number)
        seen = [line for line in copy.git("status", "--porcelain", "-uall").split("\n") if ".dvc-like-tmp-" in line]
        copy.add("single")
        if found := seen + temps_in(copy.root):
            left[at] = found
    assert left == {}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_what_a_stopped_checkout_left_is_gone_after_the_next(place: Place, tmp_path: Path, number: int) -> None:
    place.track({"data/x": "1", "data/y": "2", "single": "3"})
    one = place.data()
    place.track({"data/x": "1 changed", "data/new/z": "z", "single": "3 changed"})
    place.git("checkout", "-q", "HEAD~1")
    shutil.copytree(place.root, tmp_path / "counted")
    left = {}
    for at in moments(count_changes(["checkout"], tmp_path / "counted"), 100):
        copy = Place(tmp_path / f"at-{at}")
        shutil.copytree(place.root, copy.root)
        run_child(at, ["checkout"], copy.root, number)
        copy.checkout()
        if found := temps_in(copy.root):
            left[at] = found
        assert user_files(copy) == one
    assert left == {}


# ------------------------------------------------------------------------------ many at once


def finish(processes: list[subprocess.Popen[str]]) -> list[tuple[int, str]]:
    return [(process.returncode, err) for process in processes for _, err in [process.communicate(timeout=120)]]


def test_two_adds_at_once(place: Place) -> None:
    place.write({f"one/{n}": f"1 {n}" for n in range(300)})
    place.write({f"two/{n}": f"2 {n}" for n in range(300)})
    done = finish([start(["add", "one"], place.root), start(["add", "two"], place.root)])
    assert [code for code, _ in done] == [0, 0], done
    assert place.states() == {"one": "unchanged", "two": "unchanged"}
    assert (place / ".gitignore").read_text().split() in (["/one", "/two"], ["/two", "/one"])
    check_local(place)


def test_two_adds_of_different_paths_inside_one_dataset_at_once(place: Place) -> None:
    place.write({"data/one/x": "1", "data/two/x": "2"})
    place.add("data")
    place.write({"data/one/x": "1 changed", "data/two/x": "2 changed"})
    done = finish([start(["add", "data/one"], place.root), start(["add", "data/two"], place.root)])
    assert [code for code, _ in done] == [0, 0], done
    assert place.states() == {"data": "unchanged"}
    place.add("data", force=True)
    assert place.states() == {"data": "unchanged"}


def test_adds_of_the_same_bytes_in_two_worktrees_at_once(place: Place, tmp_path: Path) -> None:
    place.git("worktree", "add", "-q", str(tmp_path / "tree"), "-b", "side")
    tree = Place(tmp_path / "tree")
    for each in (place, tree):
        each.write({f"data/{n}": str(n) for n in range(200)})
    done = finish([start(["add", "data"], each.root) for each in (place, tree) for _ in range(2)])
    assert [code for code, _ in done] == [0] * 4, done
    assert (place / "data.meta").read_bytes() == (tree / "data.meta").read_bytes()
    check_local(place)
    assert temps_in(place.cache) == []


def test_four_mixed_processes_at_once(place: Place, store: Path, tmp_path: Path) -> None:
    fill(place)
    place.add("data", "big")
    place.save()
    place.push()
    copy = clone_of(place, tmp_path / "copy")
    place.write({f"more/{n}": str(n) for n in range(200)})
    done = finish(
        [
            start(["add", "more"], place.root),
            start(["status"], place.root),
            start(["push"], place.root),
            start(["gc", "-w"], place.root),
            start(["pull"], copy.root),
            start(["pull"], copy.root),
        ]
    )
    assert [code for code, _ in done] == [0] * 6, done
    assert copy.data() == {k: v for k, v in place.data().items() if not k.startswith("more")}
    assert place.states() == {"big": "unchanged", "data": "unchanged", "more": "unchanged"}
    place.push()
    assert dangling(store) == []
    check_local(place)


def test_two_first_pushes_to_one_new_store_at_once(place: Place, store: Path, tmp_path: Path) -> None:
    fill(place)
    place.add("data", "big")
    place.save()
    other = Place(tmp_path / "other")
    shutil.copytree(place.root, other.root, symlinks=True)
    other.write({"mine": "mine"})
    other.add("mine")
    done = finish([start(["push"], each.root) for each in (place, other)])
    assert [code for code, _ in done] == [0, 0], done
    assert set(contents_of(store)) == set(objects_in(other.cache))
    assert dangling(store) == []
    place.push()
    other.push()


def test_a_sweeping_writer_does_not_take_a_starting_one_for_dead(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between making its mark and locking it, a writer looks dead to another that starts at that very moment."""
    from dvc_like import locks
    from dvc_like.cache.store import Cache
    from dvc_like.cache.writer import Writer

    place.write({"x": "1"})
    project = place.project
    real, state = locks._try_lock, {"busy": False}

    def try_lock(fd: int, *, shared: bool) -> bool:
        path = os.readlink(f"/proc/self/fd/{fd}")
        if "/cache/tmp/" in path and not state["busy"]:
            state["busy"] = True
            with (
                Cache(project.cache_dir, os.path.join(project.shared_tmp, "cache.sqlite")) as cache,
                Writer(cache, "blake3"),
            ):
                pass
            # Once: a writer that is swept makes its mark anew, and would be swept again for ever.
        return real(fd, shared=shared)

    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("needs /proc, to see which lock is taken")
    monkeypatch.setattr(locks, "_try_lock", try_lock)
    place.add("x")
    assert place.cached("1").exists()


# ------------------------------------------------------------------------------ locks


def test_a_held_lock_is_waited_for_with_a_message(place: Place) -> None:
    fcntl = pytest.importorskip("fcntl")
    place.write({"x": "1"})
    place.states()  # the folder of state is made here
    with open(place / ".dvc-like/tmp/lock", "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        held.write("process 4711")
        held.flush()
        process = start(["add", "x"], place.root)
        assert process.stderr is not None
        assert process.stderr.readline() == "waiting for another dvc-like (process 4711) to finish ...\n"
        assert process.poll() is None
    ((code, _),) = finish([process])
    assert code == 0
    assert place.states() == {"x": "unchanged"}


@pytest.mark.parametrize(
    "words", [["add", "x"], ["checkout"], ["pull"], ["commit"], ["fsck", "--repair"], ["gc", "-w"]]
)
def test_a_held_lock_is_exit_8_when_no_time_is_given(place: Place, cli: Cli, words: list[str]) -> None:
    fcntl = pytest.importorskip("fcntl")
    place.write({"x": "1"})
    place.add("x")
    place.config("local", core_locktimeout="0")
    with open(place / ".dvc-like/tmp/lock", "r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert "core.locktimeout" in cli(*words, code=8).err
        cli("status")
        cli("root")
    cli(*words)


def test_the_lock_of_a_killed_process_is_free(place: Place, cli: Cli) -> None:
    place.write({"x": "1"})
    place.config("local", core_locktimeout="0")
    run_child(3, ["add", "x"], place.root)
    cli("add", "x")


# ------------------------------------------------------------------------------ a closed pipe


@pytest.mark.parametrize(
    "words", [["status"], ["status", "--json"], ["--help"], ["--version"], ["root"], ["config", "-l"]]
)
def test_a_closed_pipe_ends_quietly_with_141(place: Place, words: list[str]) -> None:
    place.write({f"data/{n}": str(n) for n in range(50)})
    place.add("data")
    place.write({f"data/{n}": f"changed {n}" for n in range(50)})
    reader, writer = os.pipe()
    os.close(reader)
    call = [sys.executable, "-m", "dvc_like", *words]
    done = subprocess.run(call, stdout=writer, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL, check=False)
    os.close(writer)
    assert done.stderr == ""
    assert done.returncode == 141


def test_a_pipe_that_closes_does_not_stop_the_work(place: Place) -> None:
    place.write({"x": "1"})
    reader, writer = os.pipe()
    os.close(reader)
    call = [sys.executable, "-m", "dvc_like", "add", "x"]
    done = subprocess.run(call, stdout=writer, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, check=False)
    os.close(writer)
    assert done.returncode == 141
    assert place.states() == {"x": "unchanged"}
    assert dvc_like.fsck(place.project).missing == []
    assert place.cached("1").exists()
    assert key_of("1") in objects_in(place.cache)
    assert "x" in tree_of(place.root)
