"""The rules of curation as a table: what each is called, the field it judges, its ISO 20022 reason code and its message.

Codes are of the external status reason code set. A test proves that every rule used is listed here and that every
code is in the documentation.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. The message says what is wrong and never holds the value."""

    name: str
    field: str
    code: str
    message: str


MISSING_CODES = {
    "debtor_account": "AC02",
    "creditor_account": "AC03",
    "debtor_agent": "RC03",
    "creditor_agent": "RC04",
    "debtor_name": "BE08",
    "creditor_name": "BE22",
    "creditor_country": "BE11",
    "purpose": "FF07",
    "category_purpose": "FF06",
}
"""The code where a required field is missing; CH21 for the others."""

UNKNOWN_CODES = {"debtor_agent": "RC03", "creditor_agent": "RC04", "creditor_country": "BE11", "currency": "AM03"}
"""The code where a reference table does not know a value; CH16 for the others."""

LENGTHS_MAX = {
    "end_to_end_id": 35,
    "debtor_name": 140,
    "creditor_name": 140,
    "remittance_unstructured": 140,
    "remittance_reference": 35,
}
"""Characters, as pain.001 limits them (Max35Text, Max140Text)."""

ACCOUNT_CODES = {"debtor_account": "AC02", "creditor_account": "AC03"}

RULES: tuple[Rule, ...] = (
    Rule("amount_missing", "amount", "AM12", "the amount is missing"),
    Rule("amount_not_a_number", "amount", "AM12", "the amount is not a plain decimal number"),
    Rule("amount_too_large", "amount", "AM12", "the amount does not fit 64 bits in minor units"),
    Rule("amount_negative", "amount", "AM12", "the amount is negative, and this source's amounts carry no sign"),
    Rule("amount_decimals", "amount", "CH20", "the amount has more decimals than its currency"),
    Rule("amount_zero", "amount", "AM01", "the amount is zero"),
    Rule("amount_above_maximum", "amount", "AM02", "the amount is above curation.amount_minor_max"),
    Rule("currency_unknown", "currency", "AM11", "the currency is missing or not of ISO 4217"),
    Rule("currency_not_allowed", "currency", "AM03", "the currency is not one of curation.currencies"),
    Rule("direction_missing", "direction", "CH21", "the direction is missing"),
    Rule(
        "direction_unknown", "direction", "CH16", "the direction is neither credit nor debit, or contradicts the sign"
    ),
    Rule("reference_missing", "end_to_end_id", "FF08", "the payment reference is missing"),
    Rule(
        "reference_slashes", "end_to_end_id", "RR10", "the payment reference starts with a slash or holds two in a row"
    ),
    Rule("reference_repeated", "end_to_end_id", "DU04", "another payment of this chunk holds the same reference"),
    Rule("date_invalid", "requested_date", "DT01", "the requested date is missing or not a date"),
    Rule("date_past", "requested_date", "CH04", "the requested date is too far in the past"),
    Rule("date_ahead", "requested_date", "CH03", "the requested date is too far ahead"),
    Rule("version_invalid", "source_version", "CH16", "the version is not a whole number"),
    *(
        Rule(name, field, code, message)
        for field, code in ACCOUNT_CODES.items()
        for name, message in (
            ("iban_country", "the account is not an IBAN of a known country"),
            ("iban_length", "the IBAN has not the length of its country"),
            ("iban_structure", "the IBAN has not the structure of its country"),
            ("iban_check_digits", "the check digits of the IBAN are wrong"),
        )
    ),
    *(Rule("bic_form", field, "RC01", "the BIC is malformed") for field in ("debtor_agent", "creditor_agent")),
    Rule("country_form", "creditor_country", "BE11", "the country is not a code of two letters"),
    Rule("purpose_form", "purpose", "FF07", "the purpose is not a code of one to four letters or digits"),
    Rule(
        "purpose_form",
        "category_purpose",
        "FF06",
        "the category purpose is not a code of one to four letters or digits",
    ),
    Rule("charge_bearer_form", "charge_bearer", "CH16", "the charge bearer is none of DEBT, CRED, SHAR, SLEV"),
    Rule(
        "creditor_reference", "remittance_reference", "RR09", "the structured creditor reference (ISO 11649) is wrong"
    ),
    *(Rule("too_long", field, "FF08", f"has more than {most} characters") for field, most in LENGTHS_MAX.items()),
    *(Rule("characters", field, "RR10", "holds a character that must not be sent") for field in LENGTHS_MAX),
    Rule("no_route", "acquirer", "AG03", "no route of curation.route takes this payment"),
)

_BY_NAME = {(rule.name, rule.field): rule for rule in RULES}


def rule_named(name: str, field: str) -> Rule:
    """One rule of the table. KeyError for one that is not there: a fault of ours."""
    return _BY_NAME[name, field]


def missing_rule(field: str) -> Rule:
    """The rule that a field of curation.required is missing."""
    return Rule("required", field, MISSING_CODES.get(field, "CH21"), "is required and missing")


def unknown_rule(field: str) -> Rule:
    """The rule that curation.reference_table does not know a value."""
    return Rule("not_in_reference_table", field, UNKNOWN_CODES.get(field, "CH16"), "is not in the reference table")


def reason_codes() -> frozenset[str]:
    """Every code that curation can give."""
    return frozenset({rule.code for rule in RULES} | {*MISSING_CODES.values(), *UNKNOWN_CODES.values(), "CH21", "CH16"})
