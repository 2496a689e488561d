"""How the stored bytes of an outbound file are read: what its manifest says of its layout and compression, and its content."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from formats.encode import COMPRESSIONS, decompress
from payments.config_files import DelimitedColumns, FixedWidth, Layout
from payments.errors import Unreadable
from payments.hashing import sha256_of
from payments.keys import file_manifest_key
from payments.ports import ObjectStore
from payments.records import OutboundFile
from reconciliation.certificate import Certificate
from reconciliation.prove_wrapped import OwnKeys

CONTENT_BYTES_MAX = 64 << 30
PACKED_MORE_BYTES = 1 << 20
"""What compression may add to a content that does not pack."""
SAID = frozenset({"layout", "encoding"})
"""What a manifest may say beyond the ledger: without it nobody could read the bytes after the configuration changed."""


def said_of(store: ObjectStore, file: OutboundFile) -> Mapping[str, Any]:
    """What the manifest says of how the bytes are read; nothing where the manifest is missing or damaged."""
    try:
        said = json.loads(store.get(file_manifest_key(file.acquirer, file.business_date, file.file_id)))
    except (Unreadable, ValueError):
        return {}
    return {name: said[name] for name in SAID if name in said} if isinstance(said, dict) else {}


def is_encrypted(said: Mapping[str, Any]) -> bool:
    """Whether the manifest names keys that the file was encrypted to: its bytes cannot be made again, so it states no hash of them."""
    encoding = said.get("encoding")
    return isinstance(encoding, dict) and bool(encoding.get("pgp"))


def layout_of(file: OutboundFile, said: Mapping[str, Any]) -> Layout | None:
    """The layout that the file was written by; None for a format without one. Raises Unreadable when it is none."""
    kind = {"fixed_width": FixedWidth, "delimited_columns": DelimitedColumns}.get(file.format)
    if kind is None or "layout" not in said:
        return None
    try:
        layout: Layout = msgspec.convert(said["layout"], kind)
    except msgspec.ValidationError:
        raise Unreadable("the layout in its manifest cannot be read") from None
    return layout


@contextmanager
def content_of(
    certificate: Certificate, key: str, path: Path, said: Mapping[str, Any], keys: OwnKeys | None, at: datetime
) -> Iterator[Path | None]:
    """The bytes as they were before compression, after a check that they are those of the plan.

    None when they are encrypted, and not to one of our own `keys`. Raises Unreadable.
    """
    encoding = said.get("encoding")
    if encoding is None:
        yield path
        return
    try:
        compression, sha256, size = (encoding[name] for name in ("compression", "content_sha256", "content_size"))
        known = compression in COMPRESSIONS and isinstance(size, int) and 0 <= size <= CONTENT_BYTES_MAX
    except (TypeError, KeyError):
        known = False
    if not known:
        raise Unreadable("the compression in its manifest is none that Tieout writes")
    with tempfile.TemporaryDirectory(prefix="tieout-prove-") as folder:
        packed, content = path, Path(folder) / "content"
        if is_encrypted(said):
            packed = Path(folder) / "packed"
            if keys is None or not keys.opened(path, packed, at, size + PACKED_MORE_BYTES):
                # Only the acquirer can read it. What is proved is that the stored and delivered bytes are the sealed ones.
                certificate.same(key, "payments in its encrypted content", "not counted", "not counted")
                yield None
                return
            certificate.same(key, "opened with a key of ours", "yes", "yes")
        if compression == "none":
            content = packed
        else:
            decompress(compression, packed, content, bytes_max=size)
        certificate.same(key, "size before compression", size, content.stat().st_size)
        certificate.same(key, "SHA-256 before compression", sha256, sha256_of(content))
        yield content
