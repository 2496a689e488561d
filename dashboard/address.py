"""Where the running page can be reached: one line in `page.address` beside the configuration, replaced atomically."""

from __future__ import annotations

from pathlib import Path

NAME = "page.address"
ADDRESS_MAX = 300


def publish(base: Path, host: str, port: int) -> str:
    """Write the address, and return it. An IPv6 address stands in brackets."""
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}/"
    temporary = base / f"{NAME}.tmp"
    temporary.write_text(f"{address}\n")
    temporary.replace(base / NAME)
    return address


def forget(base: Path) -> None:
    """Before a page starts and after it ended: an address that is there is one that answers."""
    (base / NAME).unlink(missing_ok=True)


def published(base: Path) -> str:
    """The address, empty while there is none."""
    try:
        with (base / NAME).open() as file:
            return file.read(ADDRESS_MAX).strip()
    except OSError:
        return ""
