"""ISO 4217: which codes are currencies and how many decimals they have."""

from __future__ import annotations

import pytest

from payments.currencies import MINOR_UNITS, minor_unit


@pytest.mark.parametrize(
    ("code", "decimals"),
    [
        ("EUR", 2),
        ("USD", 2),
        ("JPY", 0),
        ("KRW", 0),
        ("ISK", 0),
        ("KWD", 3),
        ("BHD", 3),
        ("TND", 3),
        ("CLF", 4),
        ("UYW", 4),
    ],
)
def test_decimals_are_those_of_the_list(code: str, decimals: int) -> None:
    """Currencies with other than two decimals have theirs."""
    assert minor_unit(code) == decimals


@pytest.mark.parametrize("code", ["XAU", "XDR", "XXX", "XTS", "eur", "EU", "EURO", "", "ZZZ", "DEM"])
def test_what_has_no_minor_unit_is_no_currency(code: str) -> None:
    """Metals, test codes, withdrawn codes and other spellings have no minor unit."""
    assert minor_unit(code) is None


def test_every_code_has_three_capital_letters() -> None:
    """The table holds 165 codes of three capital letters and decimals from 0 to 4."""
    assert len(MINOR_UNITS) == 165
    assert all(len(code) == 3 and code.isascii() and code.isalpha() and code.isupper() for code in MINOR_UNITS)
    assert set(MINOR_UNITS.values()) == {0, 2, 3, 4}
