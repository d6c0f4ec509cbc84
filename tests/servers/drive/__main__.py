"""A Drive to try things with by hand: ``python -m tests.servers.drive`` says how, and ends with Ctrl-C."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
import threading
from pathlib import Path

from . import DriveServer


def main() -> int:
    """Serve one account and one folder until stopped; then say what was asked, and what is there."""
    with tempfile.TemporaryDirectory() as place, DriveServer() as drive:
        file, client = Path(place, "credentials.json"), Path(place, "client.json")
        file.write_text(json.dumps(drive.authorized_user()))
        client.write_text(json.dumps(drive.client_secrets()))
        folder = drive.folder("flight")
        print(f"export DVC_LIKE_GDRIVE_CREDENTIALS={file}   # or log in with the client {client}")
        print(f"dvc-like remote add -d storage gdrive://{folder}")
        print(f"dvc-like remote modify --local storage endpointurl {drive.url}", flush=True)
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        stop.wait()
        print(f"\n{dict(drive.calls)}", *drive.violations, *drive.tree(), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
