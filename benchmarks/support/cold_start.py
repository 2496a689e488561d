"""Imports and builds what one function needs until it can work on its first message: `cold_start.py FUNCTION`.

Nothing is connected to and nothing is sent. Prints one JSON line: CPU milliseconds of this process since its start, and the
third-party packages that were loaded. Runs as well from an unpacked bundle, where only layers and code are on the path.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path

WORK: dict[str, tuple[str, ...]] = {
    "extract": ("extractors.waiting", "extractors.extract", "extractors.open", "extractors.postgres_source"),
    "curate": ("curation.curate",),
    "assemble": ("transfer.assemble", "holidays"),
    "deliver": ("transfer.deliver", "transfer.flight", "transfer.sftp", "paramiko", "holidays"),
    "collect": ("transfer.collect", "transfer.sftp", "paramiko"),
    "read": ("reconciliation.read", "lxml.etree"),
    "reconcile": ("reconciliation.reconcile", "duckdb"),
    "export": ("dashboard.exports",),
    "expire": ("runtime.expiry",),
    "tick": ("runtime.beat", "runtime.attention", "runtime.measures", "functions.observe", "holidays"),
    "anchor": ("runtime.anchors", "cryptography.hazmat.primitives.asymmetric.ed25519"),
    "migrate": ("runtime.ledger.users", "alembic.command", "alembic.config"),
    "dashboard": ("dashboard.app", "dashboard.door", "functions.observe"),
}
"""What each function loads besides its handler when it works; holidays where an acquirer has a calendar."""
DRIVERS = {"extract": ("adbc_driver_manager.dbapi", "adbc_driver_postgresql.dbapi")}
SECRETS = frozenset({"extract", "deliver", "collect", "anchor", "dashboard"})
"""Functions that fetch a secret for their first message: by a signed request of our own over TLS."""
STORELESS = frozenset({"expire", "migrate"})
"""Functions that reach no store."""
CLIENTS = {"tick": "sqs"}
"""Functions that make a client of boto3: of the queues."""
OVERRIDES = {
    "stores": {"root": "s3://tieout-curated", "by_store": {"raw": "s3://tieout-raw"}},
    "ledger": {"url": "postgresql://tieout@ledger.example.net:5432/tieout?sslmode=verify-full", "iam": True},
    "queue": {"url": "sqs:eu-central-1", "prefix": "tieout-dev-"},
}
ENVIRONMENT = {
    "AWS_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "not-a-key",
    "LAMBDA_TASK_ROOT": "/var/task",
    "TIEOUT_OVERRIDES": json.dumps(OVERRIDES),
}


def start(function: str) -> None:
    """As the function's environment does: handler, Powertools, configuration, store, ledger, and then the stage."""
    from functions.topology import BESIDE, TOPOLOGY

    handler = next(each.handler for each in (*TOPOLOGY, *BESIDE) if each.name == function)
    import_module(handler.rpartition(".")[0])
    from functions import batch

    if any(stage.name == function for stage in TOPOLOGY):
        batch.watch()
        import_module("aws_lambda_powertools.utilities.batch")
    world = batch.world()
    from runtime.aws import client
    from runtime.ledger.engine import open_engine

    open_engine(world.ledger_url, token=lambda _url: "")
    if function not in STORELESS:
        _ = world.store
        import_module("obstore.store")
    for module in (*WORK[function], *DRIVERS.get(function, ())):
        import_module(module)
    if function in SECRETS:
        import ssl

        import_module("runtime.secrets_aws")
        ssl.create_default_context()
    if function in CLIENTS:
        client(CLIENTS[function])
    if function == "dashboard":
        from dashboard.app import create_app
        from dashboard.sign_in import SignIn

        create_app(world, SignIn(address="https://a.example.net", client="c", issuer="https://b.example.net"))


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="tieout-cold-") as folder:
        config = Path(folder) / "tieout.toml"
        config.write_text("")
        os.environ |= {**ENVIRONMENT, "TIEOUT_CONFIG": str(config)}
        start(sys.argv[1])
        spent_ms = time.process_time() * 1_000
    print(json.dumps({"cpu_ms": round(spent_ms, 1), "packages": packages()}))
    return 0


def packages() -> list[str]:
    """Top-level names of what is neither ours nor of the standard library."""
    from functions.topology import __file__ as ours

    rooms = {each.name for each in Path(ours).parents[1].iterdir()}
    names = {name.partition(".")[0] for name in sys.modules} - rooms - sys.stdlib_module_names
    return sorted(name for name in names if not name.startswith("_"))


if __name__ == "__main__":
    sys.exit(main())
