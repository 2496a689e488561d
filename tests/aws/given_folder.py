"""What a deployment is given in these tests: sources, acquirers and a configuration that reaches its keys by Secrets Manager.

The demo's source, as large as the promise that is measured, with its planted truth; and two of many small chunks, whose
payments go to an acquirer of their own that disagrees about nothing.
"""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

from local.demo_files import READ_AT, START, runs_at
from local.legacy import TABLE, build
from local.prepare import prepare
from tests.servers.ministack import ACCOUNT, REGION

PAYMENTS, SEED = 10_000, 7
SMALL_ROWS = 10
SMALL: dict[str, int] = {"hundred": 1_000, "later": 200}
"""Source -> payments; in chunks of SMALL_ROWS."""
SECRET = "tieout/emulated-acquirer"
ARN = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{SECRET}-AbCdEf"
"""Stands in configuration and templates for the secret's own, whose last six characters nobody knows beforehand."""
PLACE = "http://127.0.0.1:1"
"""Stands in the configuration for the emulator's address, which is not known when the stacks are synthesised."""


def given_folder(folder: Path) -> Path:
    """Make everything below `folder`; the path of its tieout.toml."""
    config = prepare(folder, payments=PAYMENTS, seed=SEED, delays="none", formats=("delimited", "pain"))
    for seed, (name, payments) in enumerate(SMALL.items(), SEED + 1):
        build(
            folder / f"{name}.db",
            payments=payments,
            seed=seed,
            start=START,
            runs_at=runs_at(READ_AT[:1]),
            truth=folder / "truth" / f"{name}.jsonl",
        )
        _refer_otherwise(folder, name)
    settings = folder / "acquirer" / "acquirer.json"
    told = json.loads(settings.read_text())
    told["partners"].append({**told["partners"][0], "name": "quiet", "shares": {}})
    settings.write_text(json.dumps(told))
    config.write_text(_configuration(config.read_text()))
    return config


def _refer_otherwise(folder: Path, name: str) -> None:
    """References of its own: every sample counts from one, and for one acquirer the same reference is the same payment."""
    with closing(sqlite3.connect(folder / f"{name}.db")) as database, database:
        database.execute(f"UPDATE {TABLE} SET ORDER_REF = replace(ORDER_REF, 'ORD-', ?)", (_prefix(name),))
    truth = folder / "truth" / f"{name}.jsonl"
    truth.write_text(truth.read_text("utf-8").replace('"ORD-', f'"{_prefix(name)}'), "utf-8")


def _prefix(name: str) -> str:
    return f"{name[:3].upper()}-"


def settled(text: str) -> str:
    """The configuration without what differs from one folder to the next: it makes no difference to a template."""
    text = re.sub(r"(?m)^port = \d{2,}$", "port = 22", text)
    return re.sub(r"(?m)^host_keys = .*$", "host_keys = []", text)


def _configuration(demo: str) -> str:
    """The demo's, with keys from a secret and more sources."""
    parts = re.split(r"(?m)^(?=\[\[|\[stores\]|\[ledger\]|\[curation\]|\[curation\.reference)", demo)
    head = next(part for part in parts if "[clock]" in part)
    source = next(part for part in parts if 'name = "legacy"' in part)
    routes = [part for part in parts if part.startswith("[[curation.route]]")]
    curation = next(part for part in parts if part.startswith("[curation]"))
    reference = next(part for part in parts if part.startswith("[curation.reference_table]"))
    acquirers = [part for part in parts if part.startswith("[[acquirer]]")]
    quiet = next(part for part in acquirers if 'name = "northbank"' in part).replace("northbank", "quiet")
    names = json.dumps(list(SMALL))
    text = "".join(
        [
            head,
            f'[stores]\ns3_endpoint = "{PLACE}"\n\n',
            source,
            *(_small(source, name) for name in SMALL),
            curation,
            f'[[curation.route]]\nacquirer = "quiet"\nsource = {names}\n\n',
            *routes,
            reference,
            *acquirers,
            quiet,
        ]
    )
    return text.replace("file:keys/client_ed25519", f"aws-secret:{ARN}")


def _small(source: str, name: str) -> str:
    changed = source.replace('name = "legacy"', f'name = "{name}"').replace("legacy.db", f"{name}.db")
    return changed.replace("history = true", f"rows_per_chunk_max = {SMALL_ROWS}\nhistory = true")
