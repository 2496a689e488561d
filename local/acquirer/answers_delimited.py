"""Writes acknowledgements and results as delimited files (TIEOUT1)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import BinaryIO

from local.acquirer.answers import Filed, Said
from local.acquirer.money import decimals, sums_text, text_of
from local.acquirer.reading import Checked, Row

LINES_PER_WRITE = 4096
NEEDS_QUOTES = re.compile(r'[,"\r\n]')


def quoted(field: str) -> str:
    """RFC 4180, only where it is needed."""
    return '"' + field.replace('"', '""') + '"' if NEEDS_QUOTES.search(field) else field


def acknowledgement(name: str, checked: Checked, created_at: str, sequence_next: int) -> bytes:
    """The whole acknowledgement of a file."""
    head = checked.head
    sequence = head.sequence or 0  # 0: the file did not get so far as to tell
    lines = (
        f"AH,TIEOUT1,{quoted(name)},{quoted(head.message_id)},{sequence},{head.business_date},{created_at}",
        f"AK,{checked.verdict},{checked.count},{checked.code},{quoted(checked.text)},{sequence_next}",
        "AT,1",
    )
    return "".join(f"{line}\n" for line in lines).encode()


class DelimitedSheet:
    """One result file. Lines are numbered from 1 within it; every statement carries the time at which the file was due."""

    def __init__(self, sink: BinaryIO, filed: Filed, number: int, stated_at: str) -> None:
        self._sink = sink
        self._about = filed.about_prefix
        self._stated_at = stated_at
        self._count = 0
        self._sums: dict[str, int] = {}
        head = filed.checked.head
        name, message_id = quoted(filed.name), quoted(head.message_id)
        self._lines = [f"RH,TIEOUT1,{name},{message_id},{head.sequence},{stated_at},{number}\n"]

    def say(self, said: Said) -> None:
        key = f"{said.currency}/{said.direction}"
        self._sums[key] = self._sums.get(key, 0) + said.minor
        self._count += 1
        self._lines.append(
            f"RD,{self._count},{quoted(said.reference)},{said.status},{said.code},"
            f"{text_of(said.minor, decimals(said.currency))},{said.currency},{said.direction},{said.requested},"
            f"{quoted(said.account)},{said.about},{self._stated_at}\n"
        )

    def confirm(self, rows: Iterable[Row], line: int) -> None:
        # Nearly every line of every result comes from this loop, hence its plainness.
        count, about, stated_at, append = self._count, self._about, self._stated_at, self._lines.append
        for row in rows:
            count += 1
            _, _, reference, direction, amount, currency, requested, _, _, _, _, account, _, _, _ = row
            if not (reference.isalnum() and account.isalnum()):
                reference, account = quoted(reference), quoted(account)
            append(
                f"RD,{count},{reference},ACSC,,{amount},{currency},{direction},{requested},"
                f"{account},{about}{line:07d},{stated_at}\n"
            )
            line += 1
        self._count = count
        if len(self._lines) >= LINES_PER_WRITE:
            self._flush()

    def add_confirmed(self, sums: Mapping[str, int]) -> None:
        for key, minor in sums.items():
            self._sums[key] = self._sums.get(key, 0) + minor

    def close(self) -> None:
        sums = {key: minor for key, minor in self._sums.items() if minor}
        self._lines.append(f"RT,{self._count},{sums_text(sums)}\n")
        self._flush()

    def _flush(self) -> None:
        self._sink.write("".join(self._lines).encode())
        self._lines.clear()
