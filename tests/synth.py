"""Synthesises the CDK app once for all tests and reads the templates: cached by what they are made of."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PYTHON = ROOT / ".venv-cdk" / "bin" / "python"
CACHE = ROOT / "build" / "synth"
CONFIG = ROOT / "tests" / "data" / "cdk" / "tieout.toml"
EXAMPLE = ROOT / "cdk" / "examples" / "tieout.toml"
REFERENCE_IN_S3 = """
[curation.reference_table]
path = "s3://reference-data/agents/agents.csv"
key = "bic"
match = "creditor_agent"
take = "name"
"""
LAYERS = ("base", "arrow", "match", "sftp", "sources", "web")
FULL: dict[str, Any] = {
    "account": "111122223333",
    "region": "eu-central-1",
    "zones": 3,
    "nat_addresses": 3,
    "on_premises": ["10.8.0.0/16"],
    "vpn_address": "198.51.100.7",
    "direct_connect_gateway": "00000000-0000-4000-8000-000000000000",
    "s3_prefix_list": "pl-6ea54007",
    "acquirer_addresses": ["203.0.113.0/28"],
    "capacity_min": 2,
    "expire_days": {"raw": 60, "outbound": 3650, "matched": 400},
    "ledger_ca": "ledger-ca.pem",
    "image_tag": "7",
    "eks_cluster": "legacy",
    "eks_namespaces": ["payments"],
    "alarm_email": "operations@example.net",
    "domain": "payments.example.net",
    "auditors": ["arn:aws:iam::111122223333:user/auditor"],
    "operators": [
        "arn:aws:iam::111122223333:user/operator",
        "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/eu-central-1/AWSReservedSSO_Payments_0123456789abcdef",
    ],
    "certificate": "arn:aws:acm:us-east-1:111122223333:certificate/00000000-0000-4000-8000-000000000000",
}
"""An environment that uses every key that the others leave out."""
MISSING = "the CDK's own environment is not there: make .venv-cdk/stamp"


def assemblies() -> Path:
    """The folder with one assembly per environment: dev, prod and full. Raises CalledProcessError with what was said."""
    with tempfile.TemporaryDirectory(prefix="tieout-synth-") as scratch:
        contexts = _contexts(Path(scratch))
        found = CACHE / _hash(contexts, scratch)
        CACHE.mkdir(parents=True, exist_ok=True)
        with (CACHE / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not found.is_dir():
                _forget_old()
                made = Path(scratch) / "out"
                _synthesise(contexts, made)
                shutil.move(made, found)
    return found


def _forget_old() -> None:
    """Assemblies of a day ago; newer ones may be another session's."""
    for each in CACHE.iterdir():
        if each.is_dir() and each.stat().st_mtime < time.time() - 86_400:
            shutil.rmtree(each, ignore_errors=True)


def _synthesise(contexts: dict[str, dict[str, Any]], made: Path) -> None:
    arguments = [part for name, each in contexts.items() for part in (str(made / name), json.dumps(each))]
    environment = {**os.environ, "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [str(PYTHON), "-m", "tests.synth_program", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    if done.returncode:
        raise AssertionError(f"the app cannot be synthesised:\n{done.stdout}\n{done.stderr}"[-8000:])


def _contexts(scratch: Path) -> dict[str, dict[str, Any]]:
    """Stand-ins for the bundle: what is in it does not matter to a template."""
    (scratch / "layers").mkdir()
    for name in ("code.zip", *(f"layers/{layer}.zip" for layer in LAYERS)):
        with zipfile.ZipFile(scratch / name, "w") as archive:
            archive.writestr(zipfile.ZipInfo("stand-in.txt"), name)
    (scratch / "ledger-ca.pem").write_text("a stand-in for certificates\n")
    (scratch / "tieout.toml").write_text(EXAMPLE.read_text() + REFERENCE_IN_S3)
    full = {**FULL, "ledger_ca": str(scratch / FULL["ledger_ca"])}
    shared = {"bundle": str(scratch)}
    return {
        "dev": {**shared, "environment": "dev", "config": str(scratch / "tieout.toml")},
        "prod": {**shared, "environment": "prod"},
        "full": {
            **shared,
            "environment": "full",
            "config": str(CONFIG),
            "environments": {"full": full},
            "architecture": "arm64",
            "python": "3.12",
        },
    }


def _hash(contexts: dict[str, Any], scratch: str) -> str:
    digest = hashlib.sha256((json.dumps(contexts).replace(scratch, "") + REFERENCE_IN_S3).encode())
    files = [*sorted((ROOT / "cdk").rglob("*.py")), *sorted((ROOT / "cdk").rglob("*.toml")), ROOT / "cdk.json"]
    for path in (
        *files,
        *sorted(CONFIG.parent.iterdir()),
        ROOT / "functions" / "topology.py",
        ROOT / "requirements" / "cdk.txt",
    ):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:24]
