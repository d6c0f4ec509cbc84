"""Measuring: runs one process and says what it cost, and describes the machine it ran on.

Owns the clock. Knows nothing about tools or data sets.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

MIB = 1 << 20
#: ``ru_maxrss`` counts in KiB, on macOS in bytes.
RSS_UNIT = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True)
class Call:
    """A command to run: its words, its folder and its whole environment."""

    argv: Sequence[str]
    cwd: Path
    env: Mapping[str, str]


@dataclass
class Sample:
    """What one process cost. `cpu` is user + system time; `facts` are numbers that the job adds."""

    wall: float
    cpu: float
    rss: int
    code: int
    output: str = ""
    facts: dict[str, float] = field(default_factory=dict)


class Failed(Exception):
    """A command or a check failed; the side of the job that it belongs to has no result."""


def run(call: Call, timeout: float = 3600.0) -> Sample:
    """Run `call` to its end and return its cost; the children that it waited for are counted in."""
    with tempfile.TemporaryFile() as output:
        start = time.perf_counter()
        process = subprocess.Popen(
            call.argv, cwd=call.cwd, env=call.env, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
        timer = threading.Timer(timeout, process.kill)
        timer.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        timer.cancel()
        output.seek(max(0, output.seek(0, os.SEEK_END) - 4000))
        text = output.read().decode(errors="replace")
    cpu = usage.ru_utime + usage.ru_stime
    return Sample(wall, cpu, usage.ru_maxrss * RSS_UNIT, process.returncode, text)


def checked(call: Call, timeout: float = 3600.0) -> Sample:
    """`run`, or `Failed` when the exit code is not 0."""
    try:
        sample = run(call, timeout)
    except OSError as error:
        raise Failed(f"{call.argv[0]}: {error.strerror}") from error
    if sample.code:
        last = sample.output.strip().splitlines()[-1:] or ["no output"]
        raise Failed(f"`{os.path.basename(call.argv[0])} {' '.join(call.argv[1:])}` exit {sample.code}: {last[0]}")
    return sample


def settle(path: Path) -> None:
    """Write the dirty pages of the file system of `path`, so that a timed process does not pay for its preparation."""
    command = ["sync", "-f", str(path)]
    if not shutil.which("sync") or subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode:
        os.sync()


def usage(folder: Path) -> tuple[int, int]:
    """(files, bytes) below `folder`; nothing when it does not exist."""
    files = size = 0
    for top, _, names in os.walk(folder):
        for name in names:
            files += 1
            size += os.lstat(f"{top}/{name}").st_size
    return files, size


@dataclass
class Summary:
    """The median cost of one side of a job. A failure leaves the numbers at zero and says why in `error`."""

    wall: float = 0.0
    wall_low: float = 0.0
    wall_high: float = 0.0
    cpu: float = 0.0
    rss: int = 0
    rounds: int = 0
    facts: dict[str, float] = field(default_factory=dict)
    error: str = ""


def summarize(samples: Sequence[Sample]) -> Summary:
    """Medians of the times and of the facts, the maximum of the memory."""
    walls = [sample.wall for sample in samples]
    names = {name: None for sample in samples for name in sample.facts}
    return Summary(
        wall=statistics.median(walls),
        wall_low=min(walls),
        wall_high=max(walls),
        cpu=statistics.median(sample.cpu for sample in samples),
        rss=max(sample.rss for sample in samples),
        rounds=len(samples),
        facts={name: statistics.median(s.facts[name] for s in samples if name in s.facts) for name in names},
    )


def file_system(path: Path) -> str:
    """The type of the file system that holds `path`, such as ``ext4``."""
    best, found = "", "unknown"
    where = str(path.resolve()) + "/"
    try:
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return found
    for line in mounts.splitlines():
        point, kind = line.split()[1:3]
        if where.startswith(point.rstrip("/") + "/") and len(point) >= len(best):
            best, found = point, kind
    return found


def device(path: Path) -> str:
    """The name of the block device that holds `path`, such as ``sda1``; empty when there is none."""
    number = path.stat().st_dev
    link = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")
    return link.resolve().name if link.exists() else ""


def keeps_journal(path: Path) -> bool:
    """False for ext4 without a journal, which skips inodes freed in the last minutes: creating files after a large
    deletion then costs ten times as much, and no ratio means anything."""
    journals = Path("/proc/fs/jbd2")
    if file_system(path) != "ext4" or not journals.is_dir():
        return True
    return any(journals.glob(f"{device(path)}-*"))


def can_clone(folder: Path) -> bool:
    """Whether the file system of `folder` makes copies that share their blocks."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        source = Path(place, "source")
        source.write_bytes(bytes(8192))
        command = ["cp", "--reflink=always", str(source), f"{source}.copy"]
        return subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0


def _memory() -> str:
    return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _past_cache(work: Path) -> str:
    """Tell whether a loop device writes to its file as a disk does, or into the page cache once more."""
    with contextlib.suppress(OSError):
        if Path(f"/sys/block/{device(work)}/loop/dio").read_text(encoding="ascii").strip() == "1":
            return " with direct I/O"
    return ""


def machine(work: Path) -> dict[str, str]:
    """What a reader must know about the machine; nothing that identifies it."""
    kind = file_system(work)
    kind += f" on a loop device{_past_cache(work)}" if device(work).startswith("loop") else ""
    kind += ", copies share blocks" if can_clone(work) else ""
    kind += "" if keeps_journal(work) else " without a journal (unfit for benchmarks)"
    return {
        "processor": f"{os.cpu_count()} x {_processor()}",
        "memory": _memory(),
        "kernel": f"{platform.system()} {platform.release().split('-')[0]}",
        "file system": kind,
    }
