"""Ctrl-C while a store stands still: the command ends at once, and what it leaves is in order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
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
        if key.startswith(("files/", "packs/")) and not key.endswith(".idx"):
            sys.stderr.write("stalled\\n")
            sys.stderr.flush()
            threading.Event().wait()
        return plain[method](self, key, *arguments, **options)
    return call
LocalBackend.get, LocalBackend.put = stall("get"), stall("put")
sys.exit(main())
"""


@pytest.mark.parametrize("words", [["push"], ["push", "-j", "3"], ["pull"], ["pull", "-j", "3"]], ids=" ".join)
def test_ctrl_c_ends_a_transfer_that_stands_still(place: Place, cli: Cli, tmp_path: Path, words: list[str]) -> None:
    """The threads that move bytes cannot be asked: it ends without them, and the next one finds all in order."""
    store = tmp_path / "store"
    place.use_store(store)
    place.save()
    place.track({f"data/{number}": os.urandom(3 << 20) for number in range(6)} | {"data/small": "small"})
    where = place
    if words[0] == "pull":
        place.push()
        where = clone_of(place, tmp_path / "clone")
    call = [sys.executable, "-c", STANDING_STILL, *words]
    with subprocess.Popen(call, cwd=where.root, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "stalled\n"
        process.send_signal(signal.SIGINT)
        told = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert "interrupted" in told
    assert "Traceback" not in told
    assert unsound(where.cache) == []
    assert cli(*words, cwd=where.root).code == 0
    assert dangling(store) == []
    assert where.data() == place.data()
