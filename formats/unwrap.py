"""Takes the wrapping of a result file off: decrypted, verified, decompressed, each step bounded before anything is parsed."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from formats.encode import decompress
from formats.openpgp_in import Signature, open_message
from payments.config_results import Layer, Results
from payments.errors import Unreadable, WrongConfiguration
from payments.ports import Secrets

FREE_BYTES = 1 << 20
"""A content up to this size is taken whatever its ratio: a short file packs well, and harms nobody."""


@dataclass(frozen=True, slots=True)
class Unwrapped:
    """The content as the format's reader takes it, and who signed it (None: nobody was asked to)."""

    path: Path
    signature: Signature | None = None


def layers_of(results: Results, name: str) -> list[Layer]:
    """What must lie around a file of this name, from the outside in."""
    wrapped = any(fnmatch.fnmatchcase(name, pattern) for pattern in results.unwrap_names)
    return results.unwrap if wrapped else []


def unwrap(results: Results, name: str, source: Path, folder: Path, secrets: Secrets | None, at: datetime) -> Unwrapped:
    """`folder` is private and ours: at most two plain texts lie in it at a time, and its owner removes it.

    Raises Unreadable when a layer is not there, is damaged, holds more than its limit or is not signed as it must be;
    WrongConfiguration when our keys are missing.
    """
    found, signature = source, None
    for number, layer in enumerate(layers_of(results, name), 1):
        target = folder / f"layer{number}"
        limit = _limit(results, source)
        if layer == "pgp":
            if results.pgp is None or secrets is None:
                raise WrongConfiguration("acquirer.results.pgp: there are no keys to open result files with")
            signature = open_message(found, target, results.pgp, secrets, at=at, bytes_max=limit)
        else:
            try:
                decompress(layer, found, target, bytes_max=limit)
            except Unreadable as error:
                raise Unreadable(f"{layer}: {error}") from error
        if found != source:
            found.unlink()
        found = target
    return Unwrapped(found, signature)


def _limit(results: Results, source: Path) -> int:
    """What the content may have: a small file that unpacks without end is an attack or an accident, never a result."""
    packed = source.stat().st_size
    return min(results.plain_bytes_max, max(FREE_BYTES, results.plain_ratio_max * packed))
