"""Masking: what hides, and what stays for people to recognise."""

from __future__ import annotations

import pytest

from payments.masking import MASK, masked, masked_word


@pytest.mark.parametrize("text", ["DE89370400440532013000", "GB29NWBK60161331926819", "4111111111111111"])
def test_real_numbers_are_hidden_everywhere(text: str) -> None:
    """A valid account or card number is masked in log lines and in references, also between other characters."""
    assert masked(f"row of {text}, bad") == f"row of {MASK}, bad"
    assert masked_word(text) == MASK
    assert masked_word(f"ref/{text}") == f"ref/{MASK}"


@pytest.mark.parametrize(
    "text", ["DE88370400440532013000", "4111111111111112", "northbank_20260302_000001_1.csv.ack", ""]
)
def test_references_stay_recognisable(text: str) -> None:
    """A reference that only has the shape of a number, or none of it, is kept as it is."""
    assert masked_word(text) == text


@pytest.mark.parametrize("text", ["two words", "Łódź", "line\nbreak", "x" * 256, "tab\t"])
def test_free_text_is_no_reference(text: str) -> None:
    """What is not one word of printable ASCII may name people, and is masked as a whole."""
    assert masked_word(text) == MASK
