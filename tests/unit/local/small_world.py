"""The smallest configuration with a source and an acquirer, as a world on files; for tests only."""

from __future__ import annotations

from pathlib import Path

from local.router import local_world
from payments.config import Configuration
from runtime.settings import decode
from runtime.wiring import World

SOURCE = """
[[source]]
name = "{name}"
url = "sqlite:{name}.db"
table = "payment"
primary_key = ["id"]
watermark = "changed"
zone = "{zone}"
schedule = {{ {schedule} }}
columns = {{ amount = "a", currency = "c", direction = "d", requested_date = "r" }}
"""
ACQUIRER = """
[[acquirer]]
name = "{name}"
zone = "{zone}"
results_list = "all"
final_status = "ACSC"
complete_when = "trailer"
sequence = "{sequence}"
results = {{ collect_every_s = 600 }}
sftp = {{ host = "127.0.0.1", user = "t", key = "file:key", host_keys = ["ssh-ed25519 AAAA"] }}
"""


def source(name: str = "legacy", *, zone: str = "UTC", schedule: str = "") -> str:
    return SOURCE.format(name=name, zone=zone, schedule=schedule)


def acquirer(name: str = "northbank", *, zone: str = "UTC", sequence: str = "strict") -> str:
    return ACQUIRER.format(name=name, zone=zone, sequence=sequence)


def configuration(*parts: str) -> Configuration:
    return decode("".join(parts).encode(), "tieout.toml")


def world(folder: Path, *parts: str) -> World:
    """A world in a folder of its own, whose puts start what the topology says."""
    path = folder / "tieout.toml"
    path.write_text("".join(parts) or source() + acquirer())
    (folder / "key").write_bytes(b"no server takes this")
    return local_world(str(path))
