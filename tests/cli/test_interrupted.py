"""Ctrl-C or SIGTERM while a store stands still: the command ends at once, and what it leaves is in order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.cli.place import Place, clone_of
from tests.cli.stores import dangling, unsound
from tests.conftest import Cli

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of this kind do not exist on this system")

STANDING_STILL = """
import signal, sys, threading
from dvc_like.cli.main import main
from dvc_like.remote.local import LocalBackend
signal.signal(signal.SIGINT, signal.default_int_handler)
plain = {"get": LocalBackend.get, "put": LocalBackend.put}
def stall(method):
    def call(self, key, *arguments, **options):
        if key.startswith("files/") or key.endswith(".zip"):
            sys.stderr.write("stalled\\n")
            sys.stderr.flush()
            threading.Event().wait()
        return plain[method](self, key, *arguments, **options)
    return call
LocalBackend.get, LocalBackend.put = stall("get"), stall("put")
def delete(self, keys, plain=LocalBackend.delete):
    keys = list(keys)
    if any(key.endswith(".zip") for key in keys):
        sys.stderr.write("stalled\\n")
        sys.stderr.flush()
        threading.Event().wait()
    plain(self, keys)
LocalBackend.delete = delete
sys.exit(main())
"""
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
both_signals = pytest.mark.parametrize("number", CODES, ids=lambda number: number.name)


@contextmanager
def stalled(place: Place, *words: str, code: str = STANDING_STILL) -> Iterator[subprocess.Popen[str]]:
    """A command that waits for a store for ever."""
    call = [sys.executable, "-c", code, *words]
    with subprocess.Popen(call, cwd=place.root, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            assert process.stderr.readline() == "stalled\n"
            yield process
        finally:
            process.kill()


@both_signals
@pytest.mark.parametrize("words", [["push"], ["push", "-j", "3"], ["pull"], ["pull", "-j", "3"]], ids=" ".join)
def test_ctrl_c_ends_a_transfer_that_stands_still(
    place: Place, cli: Cli, tmp_path: Path, words: list[str], number: signal.Signals
) -> None:
    """The threads that move bytes cannot be asked: it ends without them, and the next one finds all in order."""
    store = tmp_path / "store"
    place.use_store(store)
    place.save()
    place.track({f"data/{number}": os.urandom(3 << 20) for number in range(6)} | {"data/small": "small"})
    where = place
    if words[0] == "pull":
        place.push()
        where = clone_of(place, tmp_path / "clone")
    with stalled(where, *words) as process:
        process.send_signal(number)
        told = process.communicate(timeout=60)[1]
    assert process.returncode == CODES[number]
    assert "interrupted" in told
    assert "Traceback" not in told
    assert unsound(where.cache) == []
    assert cli(*words, cwd=where.root).code == 0
    assert dangling(store) == []
    assert where.data() == place.data()


@both_signals
def test_a_gc_that_is_stopped_takes_back_what_it_announced(
    place: Place, tmp_path: Path, number: signal.Signals
) -> None:
    """Else every push of what it was deleting would wait an hour for one that is no more."""
    store = tmp_path / "store"
    place.use_store(store)
    place.track({f"data/{n}": os.urandom(2000) for n in range(20)})
    place.save()
    place.push()
    for n in range(20):
        (place / f"data/{n}").write_bytes(os.urandom(2000))
    place.add("data")
    place.save()
    place.push()
    with stalled(place, "gc", "--workspace", "--cloud", "--force", "--grace", "0") as process:
        assert list((store / "packs").glob("*.deleting"))
        process.send_signal(number)
        process.communicate(timeout=60)
    assert process.returncode == CODES[number]
    assert list((store / "packs").glob("*.deleting")) == []


def test_a_second_sigterm_waits_for_nothing(place: Place, tmp_path: Path) -> None:
    code = STANDING_STILL.replace(
        "sys.exit(main())",
        """
def never(*_):
    sys.stderr.write("tidying\\n")
    sys.stderr.flush()
    threading.Event().wait()
import dvc_like.cli.console
dvc_like.cli.console.Console.interrupted = never
sys.exit(main())
""",
    )
    place.use_store(tmp_path / "store")
    place.track({"data/small": "small"})
    with stalled(place, "push", code=code) as process:
        process.terminate()
        assert process.stderr is not None
        assert process.stderr.readline() == "tidying\n"
        process.terminate()
        assert process.wait(timeout=60) == -signal.SIGTERM


def test_sigterm_that_is_ignored_stays_so(place: Place, tmp_path: Path) -> None:
    """As Ctrl-C of a background job does: whoever started it said so."""
    code = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN){STANDING_STILL}"
    place.use_store(tmp_path / "store")
    place.track({"data/small": "small"})
    with stalled(place, "push", code=code) as process:
        process.terminate()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130
