"""What the tests of safety count: so many cases of a promise, and the table of ``docs/safety.md`` made from them.

    DVC_LIKE_SAFETY_REPORT=report.jsonl python -m pytest -m "slow or not slow"
    python -m tests.safety report.jsonl

Without that variable nothing is counted. A case is one thing that was tried and ended as promised: a damaged object, a
hostile file, a killed process. Call `cases` behind what proves it, so that what failed is not counted.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

#: The promises in the order of the table; a test may make one of its own, which comes after them.
PATHS = "Nothing outside of the workspace is written, deleted or read on a stranger's word"
INPUT = "What a stranger wrote is refused in one line, at once: no traceback, no hang, no bomb"
CONFIG = "A tracked setting commands nothing, sends no secret away and weakens no check"
TERMINAL = "No name moves the cursor or passes for another"
DAMAGE = "Damaged bytes are found, set aside, healed where a sound copy is, and never delivered"
CRASH = "A crash, a full disk or a lost connection costs no tracked byte, and running again succeeds"
TOGETHER = "Processes and machines that work at once lose nothing of each other"
RACES = "No edit is overlooked or overwritten, whatever the clock says"
SECRETS = "No secret in output, logs, tracked files or state"
PROMISES = (PATHS, INPUT, CONFIG, TERMINAL, DAMAGE, CRASH, TOGETHER, RACES, SECRETS)

_REPORT = os.environ.get("DVC_LIKE_SAFETY_REPORT", "")  # read now: tests run without variables of ours
_PAGE = Path(__file__).resolve().parents[1] / "docs" / "safety.md"
_BEGIN, _END = "<!-- made by tests/safety.py -->\n", "<!-- end -->\n"


def cases(promise: str, n: int = 1) -> None:
    """Count `n` cases of a promise that the running test has seen kept."""
    if _REPORT and n:
        test = os.environ.get("PYTEST_CURRENT_TEST", "").partition(" (")[0]
        line = json.dumps({"promise": promise, "test": test.partition("[")[0], "cases": n}) + "\n"
        with open(_REPORT, "a", encoding="utf-8") as file:  # one write: workers of xdist share the file
            file.write(line)


def table(lines: Iterable[str]) -> str:
    """Return the table for the lines of a report: promise, test, number of cases."""
    counts: Counter[tuple[str, str]] = Counter()
    for line in lines:
        found = json.loads(line)
        counts[found["promise"], found["test"]] += found["cases"]
    known = {promise: at for at, promise in enumerate(PROMISES)}
    rows = ["| promise | shown by | cases |", "| --- | --- | ---: |"]
    last = None
    for promise, test in sorted(counts, key=lambda row: (known.get(row[0], len(known)), row)):
        rows.append(f"| {promise if promise != last else ''} | `{test}` | {counts[promise, test]:,} |")
        last = promise
    rows.append(f"| | all; what shows two promises counts for both | {sum(counts.values()):,} |")
    return "\n".join(rows) + "\n"


def main(report: str) -> None:
    """Put the table of a report into the page."""
    made = table(Path(report).read_text(encoding="utf-8").splitlines())
    text = _PAGE.read_text(encoding="utf-8")
    pattern = re.escape(_BEGIN) + ".*?" + re.escape(_END)
    text, hits = re.subn(pattern, lambda _: f"{_BEGIN}\n{made}\n{_END}", text, flags=re.S)
    if hits != 1:
        raise SystemExit(f"{_PAGE} has no place for the table")
    _PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
