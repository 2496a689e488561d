"""Starts moto's server as a process of its own on a free port of 127.0.0.1: S3, SQS and Secrets Manager over real HTTP."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tests.servers.process import free_port, running

PROGRAM = Path(__file__).with_name("moto_atomic.py")
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_SESSION_TOKEN": "testing",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_REGION": "eu-central-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    # A developer's own profile must never be used by a test.
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}
"""Dummy credentials: nothing that tests do can reach a real account."""


@contextlib.contextmanager
def moto() -> Iterator[str]:
    """The endpoint `http://127.0.0.1:port` of an empty moto server. Raises ServerFailed."""
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory(prefix="tieout-moto-") as directory:
        environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        # The child's warnings are moto's own affair: our rule that warnings are errors is for our process.
        environment |= {"PYTHONWARNINGS": "ignore", **CREDENTIALS}
        # -P: this folder stays off the path, or this module would stand in for the real moto.
        command = [sys.executable, "-P", str(PROGRAM), "127.0.0.1", str(port)]
        log = Path(directory) / "log"
        with running(command, ready=lambda: _answers(endpoint), log=log, env=environment):
            yield endpoint


def _answers(endpoint: str) -> bool:
    with contextlib.suppress(urllib.error.URLError, OSError):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{endpoint}/moto-api/", timeout=2) as answer:
            return bool(answer.status == 200)
    return False
