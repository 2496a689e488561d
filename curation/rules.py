"""The rules that every payment must satisfy, each a small pure function from the mapped rows to findings.

Rows stopped at the source need only be readable: reference, amount, currency, direction. The other rules are not applied to
them, for nothing of them is ever sent. A rule that only follows from another (no route without a currency) stays silent.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation.catalogue import LENGTHS_MAX, missing_rule, rule_named
from curation.characters import outside_sepa, slashes_misplaced, with_controls
from curation.findings import Finding
from curation.iban import IbanFault, mod97_holds
from curation.mapping import ACCOUNTS, Rows
from curation.our_columns import TEXT_COLUMNS
from payments.amounts import AmountProblem
from payments.config import Curation
from payments.errors import WrongConfiguration

# The pattern of BICFIDec2014Identifier in the schemas of pain.001.001.09 (ISO 9362).
BIC = r"^[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?$"
COUNTRY = r"^[A-Z]{2}$"
PURPOSE = r"^[A-Z0-9]{1,4}$"  # ExternalPurpose1Code and ExternalCategoryPurpose1Code
CHARGE_BEARER = r"^(DEBT|CRED|SHAR|SLEV)$"  # ChargeBearerType1Code
CREDITOR_REFERENCE = r"^RF[0-9]{2}[A-Z0-9]{1,21}$"  # ISO 11649

FORMS = (
    ("bic_form", "debtor_agent", BIC),
    ("bic_form", "creditor_agent", BIC),
    ("country_form", "creditor_country", COUNTRY),
    ("purpose_form", "purpose", PURPOSE),
    ("purpose_form", "category_purpose", PURPOSE),
    ("charge_bearer_form", "charge_bearer", CHARGE_BEARER),
)
AMOUNT_RULES = (
    ("amount_missing", AmountProblem.MISSING),
    ("amount_not_a_number", AmountProblem.NOT_A_NUMBER),
    ("amount_too_large", AmountProblem.OVERFLOW),
    ("amount_negative", AmountProblem.NEGATIVE),
    ("amount_decimals", AmountProblem.TOO_MANY_DECIMALS),
)
IBAN_RULES = (
    ("iban_country", IbanFault.COUNTRY),
    ("iban_length", IbanFault.LENGTH),
    ("iban_structure", IbanFault.STRUCTURE),
    ("iban_check_digits", IbanFault.CHECK_DIGITS),
)

Bools = npt.NDArray[np.bool_]


def findings_of(rows: Rows, curation: Curation, business_date: date) -> list[Finding]:
    """Everything that is wrong with each row by itself. Raises WrongConfiguration for a required field we do not know."""
    readable = [*_amount_unreadable(rows), *_currency_unreadable(rows), *_direction_unreadable(rows)]
    readable += _reference_missing(rows)
    judged = [
        *_amount_limits(rows, curation),
        *_currency_allowed(rows, curation),
        *_reference_form(rows, curation),
        *_dates(rows, curation, business_date),
        *_version(rows),
        *_required(rows, curation),
        *_accounts(rows),
        *_forms(rows),
        *_creditor_reference(rows),
        *_lengths(rows),
        *_characters(rows, curation),
    ]
    found = readable + [Finding(each.rule, each.rows & ~rows.stopped, each.values) for each in judged]
    return [each for each in found if each.rows.any()]


def _amount_unreadable(rows: Rows) -> Iterator[Finding]:
    # An amount of unknown unit is the currency's fault, which has its own rule.
    for name, problem in AMOUNT_RULES:
        yield Finding(rule_named(name, "amount"), rows.money.amount_problem == problem, rows.money.amount_text)


def _currency_unreadable(rows: Rows) -> Iterator[Finding]:
    yield Finding(rule_named("currency_unknown", "currency"), _null(rows.money.currency))


def _direction_unreadable(rows: Rows) -> Iterator[Finding]:
    if not rows.direction_mapped:
        return  # it comes from the sign: only an unreadable amount leaves it open
    unknown, given = _null(rows.money.direction), rows.money.direction_given
    yield Finding(rule_named("direction_missing", "direction"), unknown & ~given)
    yield Finding(rule_named("direction_unknown", "direction"), unknown & given)


def _reference_missing(rows: Rows) -> Iterator[Finding]:
    yield Finding(rule_named("reference_missing", "end_to_end_id"), _null(rows.text["end_to_end_id"]))


def _amount_limits(rows: Rows, curation: Curation) -> Iterator[Finding]:
    minor = rows.money.amount_minor
    yield Finding(rule_named("amount_zero", "amount"), _mask(pc.equal(minor, 0)), rows.money.amount_text)
    if curation.amount_minor_max:
        above = _mask(pc.greater(minor, curation.amount_minor_max))
        yield Finding(rule_named("amount_above_maximum", "amount"), above, rows.money.amount_text)


def _currency_allowed(rows: Rows, curation: Curation) -> Iterator[Finding]:
    if curation.currencies:
        allowed = _mask(pc.is_in(rows.money.currency, value_set=pa.array(curation.currencies, pa.string())))
        refused = ~allowed & ~_null(rows.money.currency)
        yield Finding(rule_named("currency_not_allowed", "currency"), refused, rows.money.currency)


def _reference_form(rows: Rows, curation: Curation) -> Iterator[Finding]:
    if curation.characters == "sepa":
        reference = rows.text["end_to_end_id"]
        yield Finding(rule_named("reference_slashes", "end_to_end_id"), slashes_misplaced(reference), reference)


def _dates(rows: Rows, curation: Curation, business_date: date) -> Iterator[Finding]:
    requested = rows.requested_date
    first = pa.scalar(business_date - timedelta(days=curation.date_past_days_max), pa.date32())
    last = pa.scalar(business_date + timedelta(days=curation.date_ahead_days_max), pa.date32())
    yield Finding(rule_named("date_invalid", "requested_date"), _null(requested))
    yield Finding(rule_named("date_past", "requested_date"), _mask(pc.less(requested, first)))
    yield Finding(rule_named("date_ahead", "requested_date"), _mask(pc.greater(requested, last)))


def _version(rows: Rows) -> Iterator[Finding]:
    yield Finding(rule_named("version_invalid", "source_version"), rows.version_unreadable)


def _required(rows: Rows, curation: Curation) -> Iterator[Finding]:
    for field in dict.fromkeys(curation.required):
        if field not in TEXT_COLUMNS:
            raise WrongConfiguration(
                f"curation.required names {field!a}, which is no text column of ours",
                next_step=f"It may name: {', '.join(TEXT_COLUMNS)}. The other columns are always required.",
            )
        yield Finding(missing_rule(field), _null(rows.text[field]))


def _accounts(rows: Rows) -> Iterator[Finding]:
    for field in ACCOUNTS:
        given = ~_null(rows.text[field])
        for name, fault in IBAN_RULES:
            yield Finding(rule_named(name, field), given & (rows.account_faults[field] == fault), rows.text[field])


def _forms(rows: Rows) -> Iterator[Finding]:
    for name, field, pattern in FORMS:
        text = rows.text[field]
        if text.null_count < len(text):
            yield Finding(rule_named(name, field), _unlike(text, pattern), text)


def _creditor_reference(rows: Rows) -> Iterator[Finding]:
    """Only what claims to be an ISO 11649 reference is judged: other structured references have rules of their own."""
    text = rows.text["remittance_reference"]
    claims = _mask(pc.starts_with(text, "RF"))
    if claims.any():
        wrong = claims & (_unlike(text, CREDITOR_REFERENCE) | ~mod97_holds(text))
        yield Finding(rule_named("creditor_reference", "remittance_reference"), wrong)


def _lengths(rows: Rows) -> Iterator[Finding]:
    for field, most in LENGTHS_MAX.items():
        text = rows.text[field]
        # A text has at least as many bytes as characters, and bytes are counted already.
        if (pc.max(pc.binary_length(text)).as_py() or 0) > most:
            yield Finding(rule_named("too_long", field), _mask(pc.greater(pc.utf8_length(text), most)), text)


def _characters(rows: Rows, curation: Curation) -> Iterator[Finding]:
    refused = outside_sepa if curation.characters == "sepa" else with_controls
    for field in LENGTHS_MAX:
        text = rows.text[field]
        if text.null_count < len(text):
            yield Finding(rule_named("characters", field), refused(text))


def _null(array: pa.Array) -> Bools:
    mask: Bools = pc.is_null(array).to_numpy(zero_copy_only=False)
    return mask


def _mask(condition: pa.Array) -> Bools:
    """A condition as numpy mask; what is null does not hold."""
    filled = pc.fill_null(condition, False) if condition.null_count else condition
    mask: Bools = filled.to_numpy(zero_copy_only=False)
    return mask


def _unlike(text: pa.Array, pattern: str) -> Bools:
    """Where a text is there and does not have this form. Few distinct codes stand in many rows: each is looked at once."""
    coded = text.dictionary_encode()
    unlike = pc.invert(pc.match_substring_regex(coded.dictionary, pattern))
    return _mask(unlike.take(coded.indices))
