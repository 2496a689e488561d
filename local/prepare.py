"""Prepares a demo directory: configuration, legacy database, reference table, keys and the acquirer's settings.

    DIR/.tieout-demo                    the marker: what was asked, and whether preparing came to its end
    DIR/tieout.toml  legacy.db  reference/agents.csv  keys/client_ed25519
    DIR/acquirer/acquirer.json  acquirer/keys/host_ed25519  acquirer/keys/authorized_keys
    DIR/truth/source.jsonl

The marker is written first and changed last: a preparation that was cut off is told from a finished one and done again.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
from pathlib import Path
from typing import Any

from local.demo_files import (
    START,
    Delays,
    Demo,
    acquirer_settings,
    agents_text,
    configuration_text,
    runs_at,
)
from local.legacy import build, check_size
from payments.errors import NotAllowed

MARKER, UNFINISHED = ".tieout-demo", ".tieout-demo.part"
FORMATS = (("delimited",), ("delimited", "pain"))
PORTS = range(20_000, 32_000)
"""Below the range from which systems take ports for outgoing connections."""
PORT_TRIES_MAX = 100


def prepare(
    directory: Path, *, payments: int, seed: int, delays: Delays = "demo", formats: tuple[str, ...] = ("delimited",)
) -> Path:
    """Make the demo directory, or find it as it was made for the same arguments; returns the path of its tieout.toml.

    With `delays` "none" the acquirer answers at once and the source is read once. The same arguments give the same bytes,
    except for keys and port. Raises NotAllowed for a directory that is not a demo's, or a demo's of other arguments.
    """
    if formats not in FORMATS:
        raise NotAllowed(
            f"a demo cannot be made with the formats {', '.join(formats) or 'none'}",
            next_step="Ask for delimited, or for delimited and pain.",
        )
    asked = {"payments": payments, "seed": seed, "delays": delays, "formats": list(formats)}
    check_size(payments, seed)
    configuration = directory / "tieout.toml"
    if _is_ready(directory, asked):
        return configuration
    directory.mkdir(parents=True, exist_ok=True)
    _write_marker(directory, {**asked, "ready": False})
    _write_everything(directory, payments=payments, seed=seed, delays=delays, formats=formats)
    _write_marker(directory, {**asked, "ready": True})
    return configuration


def _is_ready(directory: Path, asked: dict[str, Any]) -> bool:
    """Whether a finished demo of these arguments is there. Raises NotAllowed when something else is."""
    if directory.exists() and not directory.is_dir():
        raise NotAllowed(f"{directory} is not a directory", next_step="Name another one with --dir.")
    unfinished = directory / UNFINISHED
    if not directory.is_dir() or not [path for path in directory.iterdir() if path != unfinished]:
        return False
    marker = directory / MARKER
    if not marker.is_file():
        raise NotAllowed(
            f"directory {directory} is not empty and was not made by the demo",
            next_step="Name an empty directory with --dir; the demo never writes into a foreign one.",
        )
    try:
        found = json.loads(marker.read_text("utf-8"))
        ready = bool(found.pop("ready"))
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise NotAllowed(
            f"the marker {marker} cannot be read", next_step="Remove the directory, or name another one with --dir."
        ) from error
    if found != asked:
        raise NotAllowed(
            f"directory {directory} holds another demo: {_described(found)}; asked for is {_described(asked)}",
            next_step="Ask for the same, remove the directory, or name another one with --dir.",
        )
    return ready


def _described(demo: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in demo.items())


def _write_marker(directory: Path, value: dict[str, Any]) -> None:
    unfinished = directory / UNFINISHED
    unfinished.write_text(json.dumps(value) + "\n", "utf-8")
    unfinished.replace(directory / MARKER)


def _write_everything(directory: Path, *, payments: int, seed: int, delays: Delays, formats: tuple[str, ...]) -> None:
    for name in ("reference", "truth"):
        (directory / name).mkdir(exist_ok=True)
    client = _new_key(directory / "keys" / "client_ed25519")
    host = _new_key(directory / "acquirer" / "keys" / "host_ed25519")
    (directory / "acquirer" / "keys" / "authorized_keys").write_text(client + "\n", "ascii")
    demo = Demo(payments, seed, delays, formats, _free_port(), host)
    (directory / "reference" / "agents.csv").write_text(agents_text(), "utf-8")
    settings = json.dumps(acquirer_settings(demo), indent=2) + "\n"
    (directory / "acquirer" / "acquirer.json").write_text(settings, "utf-8")
    (directory / "tieout.toml").write_text(configuration_text(demo), "utf-8")
    build(
        directory / "legacy.db",
        payments=payments,
        seed=seed,
        start=START,
        runs_at=runs_at(demo.read_at),
        truth=directory / "truth" / "source.jsonl",
    )


def _new_key(path: Path) -> str:
    """Make an ed25519 key pair (OpenSSH format, the private part for its owner only); returns the public key."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    path.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(private)
    path.with_suffix(".pub").write_bytes(public + b"\n")
    return public.decode("ascii")


def _free_port() -> int:
    """A port of this machine that nobody listens on now. Raises NotAllowed when none was found."""
    for _ in range(PORT_TRIES_MAX):
        port = secrets.choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise NotAllowed(
        f"no free port was found between {PORTS.start} and {PORTS.stop}",
        next_step="Stop programs that listen on many ports of this machine.",
    )
