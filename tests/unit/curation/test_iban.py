"""IBANs against the arithmetic and the patterns that the standard describes."""

from __future__ import annotations

import re

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.iban import BLOCK_ROWS, IbanFault, canonical_account, iban_faults, mod97_holds
from curation.iban_countries import BBAN_STRUCTURES, bban_kinds

DIGITS, LETTERS = "0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
CHARACTERS = {"n": DIGITS, "a": LETTERS, "c": DIGITS + LETTERS}


def remainder(text: str) -> int:
    return int("".join(str(int(each, 36)) for each in text[4:] + text[:4])) % 97


def with_check_digits(country: str, bban: str) -> str:
    return f"{country}{98 - remainder(f'{country}00{bban}'):02d}{bban}"


@st.composite
def ibans(draw: st.DrawFn) -> str:
    country = draw(st.sampled_from(sorted(BBAN_STRUCTURES)))
    kinds = bban_kinds(BBAN_STRUCTURES[country])
    return with_check_digits(country, "".join(draw(st.sampled_from(CHARACTERS[kind])) for kind in kinds))


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """A good IBAN with one piece replaced: sometimes still good."""
    iban = draw(ibans())
    place = draw(st.integers(0, len(iban)))
    length = draw(st.integers(0, 3))
    return iban[:place] + draw(st.text("0123456789ABZaé \x00-", max_size=3)) + iban[place + length :]


def oracle(text: str | None) -> bool:
    """One at a time: country, length, a pattern, int() % 97, and check digits that the formula can give."""
    if text is None or text[:2] not in BBAN_STRUCTURES:
        return False
    kinds = "aann" + bban_kinds(BBAN_STRUCTURES[text[:2]])
    pattern = "".join({"n": "[0-9]", "a": "[A-Z]", "c": "[0-9A-Z]"}[kind] for kind in kinds)
    return bool(re.fullmatch(pattern, text)) and remainder(text) == 1 and 2 <= int(text[2:4]) <= 98


@given(st.lists(st.one_of(ibans(), damaged(), st.text(max_size=40), st.none()), max_size=30))
def test_faults_equal_the_plain_arithmetic(texts: list[str | None]) -> None:
    """The table-driven check calls valid exactly what the pattern and int() % 97 call valid."""
    faults = iban_faults(pa.array(texts, pa.string()))
    assert [fault == IbanFault.NONE for fault in faults.tolist()] == [oracle(text) for text in texts]


@given(st.lists(st.text(DIGITS + LETTERS, min_size=5, max_size=34), max_size=30))
def test_remainders_equal_python(texts: list[str]) -> None:
    """For any letters and digits the automaton finds the remainder that Python's integers give."""
    expected = [remainder(text) == 1 and text[2:4].isdigit() and 2 <= int(text[2:4]) <= 98 for text in texts]
    assert mod97_holds(pa.array(texts, pa.string())).tolist() == expected


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("GB29NWBK60161331926819", IbanFault.NONE),
        ("NO9386011117947", IbanFault.NONE),
        ("MT84MALT011000012345MTLCAST001S", IbanFault.NONE),
        ("GP1420041010050500013M02606", IbanFault.COUNTRY),
        ("US64SVBKUS6S3300958879", IbanFault.COUNTRY),
        ("DE8937040044053201300", IbanFault.LENGTH),
        ("DE893704004405320130000", IbanFault.LENGTH),
        ("DE8937040044053201300\x00", IbanFault.STRUCTURE),
        ("DE8937040044O532013000", IbanFault.STRUCTURE),
        ("DEX937040044053201300O", IbanFault.STRUCTURE),
        ("DE88370400440532013000", IbanFault.CHECK_DIGITS),
        ("de89370400440532013000", IbanFault.COUNTRY),
        ("", IbanFault.COUNTRY),
        ("DE" + "9" * 40, IbanFault.COUNTRY),
    ],
)
def test_the_first_fault_is_named(text: str, fault: IbanFault) -> None:
    """Country before length, length before structure, structure before check digits."""
    assert iban_faults(pa.array([text])).tolist() == [fault]


def test_check_digits_that_no_formula_gives_are_wrong() -> None:
    """00, 01 and 99 may leave the remainder 1, but 98 minus a remainder is never one of them."""
    for number in range(2000):
        bban = f"{number:018d}"
        good = with_check_digits("DE", bban)
        twin = {"97": "00", "98": "01", "02": "99"}.get(good[2:4])
        if twin:
            assert remainder(f"DE{twin}{bban}") == 1
            assert iban_faults(pa.array([good, f"DE{twin}{bban}"])).tolist() == [IbanFault.NONE, IbanFault.CHECK_DIGITS]


def test_blocks_and_slices() -> None:
    """Rows beyond one block and slices of a column are judged like any other."""
    good, bad = "DE89370400440532013000", "DE88370400440532013000"
    texts = pa.array([good if row % 3 else bad for row in range(BLOCK_ROWS + 5)])
    expected = [0 if row % 3 else IbanFault.CHECK_DIGITS for row in range(BLOCK_ROWS + 5)]
    assert iban_faults(texts).tolist() == expected
    assert iban_faults(texts[BLOCK_ROWS - 2 :]).tolist() == expected[BLOCK_ROWS - 2 :]
    assert iban_faults(texts[:0]).tolist() == []


def test_paper_form_becomes_electronic_form() -> None:
    """Blanks between groups and small letters are the same account."""
    assert canonical_account(pa.array(["de89 3704 0044 0532 0130 00", None])).to_pylist() == [
        "DE89370400440532013000",
        None,
    ]


def test_every_structure_fits_an_iban() -> None:
    """87 countries, each BBAN of 11 to 29 characters."""
    lengths = {country: len(bban_kinds(structure)) for country, structure in BBAN_STRUCTURES.items()}
    assert len(lengths) == 87
    assert (min(lengths.values()), max(lengths.values())) == (11, 29)
