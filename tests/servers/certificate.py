"""A throw-away certificate for this machine's loopback."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path
from typing import NamedTuple

from .tools import Missing


class Certificate(NamedTuple):
    """Files: the certificate, which is also what a client is to trust, and its key."""

    bundle: str
    key: str

    def server_context(self) -> ssl.SSLContext:
        """Return what a server needs to speak TLS."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.bundle, self.key)
        return context


def make_certificate(folder: Path) -> Certificate:
    """Make one in `folder`; raise `Missing` where there is no openssl."""
    made = Certificate(str(folder / "certificate.pem"), str(folder / "key.pem"))
    if shutil.which("openssl") is None:
        raise Missing("the command openssl is not installed")
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    words += ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-days", "2"]
    done = subprocess.run(
        [*words, "-keyout", made.key, "-out", made.bundle], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Missing(f"openssl makes no certificate: {done.stderr.strip()}")
    return made
