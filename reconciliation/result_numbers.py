"""Which numbers are missing among the result files of one of our files: 1 and 3 without 2 is a hole."""

from __future__ import annotations

from collections.abc import Sequence

from formats.delimited_in import result_number
from payments.errors import Expired
from payments.ports import ObjectStore
from payments.records import ResultFile

HOLES_MAX = 100


def holes(store: ObjectStore, results: Sequence[ResultFile]) -> tuple[int, ...]:
    """Numbers below the highest one that none of these files bears, at most 100; nothing where files bear no number."""
    found = set()
    for result in results:
        number = result.number
        if number is None and not result.content_sha256:
            number = _read(store, result)
        if number is not None:
            found.add(number)
    highest = max(found, default=0)
    missing: list[int] = []
    for number in range(1, highest):
        if number not in found:
            missing.append(number)
        if len(missing) == HOLES_MAX:
            break
    return tuple(missing)


def _read(store: ObjectStore, result: ResultFile) -> int | None:
    """From the stored bytes: of a plain file the ledger keeps the number only since it is written down when it is read."""
    try:
        with store.local(result.key) as path:
            return result_number(path)
    except Expired:
        # Long after it was read; whatever number was found then is in the ledger.
        return None
