"""Masks account and card numbers in text that others chose, before it is kept or said where people and programs look (I7)."""

from __future__ import annotations

import re

MASK = "<masked>"
ACCOUNT_LIKE = re.compile(r"\b[A-Z]{2}\d{2}[A-Z0-9]{11,30}\b|\b\d{13,19}\b")
"""The shape of an IBAN (ISO 13616) or of a card number (ISO/IEC 7812)."""
SHOWN_LAST = 4
WORD = re.compile(r"[!-~]{0,255}")
LUHN_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def masked(text: str) -> str:
    """Without what has the shape of an account or card number: for logs, where too much is better hidden."""
    return ACCOUNT_LIKE.sub(MASK, text)


def masked_word(text: str) -> str:
    """A reference, a code or a file name that others chose, which people must be able to recognise.

    It stays as it is when it is one word; an account or card number in it, told by its check digits, is masked. Anything
    else is free text, which may name people: masked as a whole.
    """
    if not WORD.fullmatch(text):
        return MASK
    return ACCOUNT_LIKE.sub(lambda found: MASK if _is_number(found[0]) else found[0], text)


def masked_account(text: str) -> str:
    """An account number for the one person who must compare it: its last four characters and its length.

    One of fewer than eight characters is told by its length alone: four of it would be most of it.
    """
    shown = text[-SHOWN_LAST:] if len(text) >= 2 * SHOWN_LAST else ""
    return f"…{shown} ({len(text)} characters)"


def _is_number(text: str) -> bool:
    return _passes_luhn(text) if text.isdigit() else _passes_97(text)


def _passes_97(iban: str) -> bool:
    """ISO 7064, modulo 97-10."""
    return int("".join(str(int(each, 36)) for each in iban[4:] + iban[:4])) % 97 == 1


def _passes_luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    turned = [int(each) for each in reversed(digits)]
    return (sum(turned[::2]) + sum(LUHN_DOUBLED[each] for each in turned[1::2])) % 10 == 0
