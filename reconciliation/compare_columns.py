"""Choose key, compared columns and columns of the sums for a compare of two files, and the kind each column stands for.

Names are compared without regard to case and outer blanks. Everything here is a pure function of the two headers; only the
share of distinct values, which decides between several likely keys, comes from the caller.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from payments.errors import WrongConfiguration
from payments.states import MismatchKind

Rule = Literal["native", "text", "moment", "date", "number", "flag"]
"""How values of two columns are brought to one spelling; `reconciliation.compare_sql` has the SQL of each."""

KEY_NAMES = (
    "end_to_end_id",
    "endtoendid",
    "payment_reference",
    "uetr",
    "reference",
    "payment_id",
    "transaction_id",
    "instruction_id",
    "instr_id",
    "tx_id",
    "ref",
    "key",
    "id",
)
"""Names that are obvious keys, the strongest first: the references of ISO 20022 before serial numbers of one side."""

KEY_ENDINGS = ("_reference", "_ref", "_id", "_key")
INTEGERS = frozenset(
    {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"}
)
FLOATS = frozenset({"FLOAT", "DOUBLE"})
NATIVE = INTEGERS | {
    "BOOLEAN",
    "DATE",
    "UUID",
    "TIMESTAMP",
    "TIMESTAMP WITH TIME ZONE",
    "TIMESTAMP_NS",
    "TIMESTAMP_MS",
    "TIMESTAMP_S",
}
PRIVATE_WORDS = frozenset({"account", "iban", "card", "pan", "name", "address", "email", "phone"})
ACCOUNT_LIKE = re.compile(r"[A-Z]{2}\d{2}[ A-Z0-9]{8,}|\d[\d -]{10,}\d", re.IGNORECASE)
SHOWN_DIGITS_MAX = 4


@dataclass(frozen=True, slots=True)
class Column:
    """One column of one file: its place from 0, its name as in the file, its SQL type."""

    index: int
    name: str
    type: str = "VARCHAR"

    @property
    def folded(self) -> str:
        return self.name.strip().casefold()


@dataclass(frozen=True, slots=True)
class Field:
    """A column that both files have, under the name that ours gives it."""

    name: str
    left: Column
    right: Column
    kind: MismatchKind
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class SumColumns:
    """Where one file holds its money. `in_minor_units`: the column `amount_minor` needs no currency's decimals."""

    amount: Column
    currency: Column
    direction: Column | None
    in_minor_units: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """What is compared with what."""

    key: tuple[Field, ...]
    compared: tuple[Field, ...]
    key_guessed: bool
    left_sums: SumColumns | None
    right_sums: SumColumns | None

    @property
    def sums_must_agree(self) -> bool:
        """True where equal compared values imply equal sums, so that the sums prove the match once more."""
        if self.left_sums is None or self.right_sums is None:
            return False
        left, right = self.left_sums, self.right_sums
        if (left.direction is None) != (right.direction is None) or left.in_minor_units != right.in_minor_units:
            return False
        pairs = [(left.amount, right.amount), (left.currency, right.currency)]
        if left.direction is not None and right.direction is not None:
            pairs.append((left.direction, right.direction))
        checked = {(field.left.index, field.right.index) for field in (*self.compared, *self.key)}
        return checked.issuperset((ours.index, theirs.index) for ours, theirs in pairs)


def kind_of(name: str) -> MismatchKind:
    """The kind that a difference in this column is (design section 7: column names choose the kind)."""
    folded = name.strip().casefold()
    exact = {
        "currency": MismatchKind.CURRENCY_DIFFERS,
        "direction": MismatchKind.DIRECTION_DIFFERS,
        "status": MismatchKind.STATUS_CONFLICT,
    }
    if folded in exact:
        return exact[folded]
    if folded.startswith("amount"):
        return MismatchKind.AMOUNT_DIFFERS
    if folded.endswith("date"):
        return MismatchKind.DATE_DIFFERS
    if folded.endswith(("account", "iban")):
        return MismatchKind.ACCOUNT_DIFFERS
    return MismatchKind.DATA_DIFFERS


def rules_of(kind: MismatchKind, left: str, right: str) -> tuple[Rule, ...]:
    """How values of these SQL types are brought to one spelling; equal exact types compare as they are."""
    if left == right and (left in NATIVE or left.startswith("DECIMAL")):
        return ("native",)
    types = {left, right}
    rules: list[Rule] = ["text"]
    if any(each.startswith("TIMESTAMP") for each in types):
        rules.append("moment")
    if kind is MismatchKind.DATE_DIFFERS or "DATE" in types:
        rules.append("date")
    numeric = any(each in INTEGERS | FLOATS or each.startswith("DECIMAL") for each in types)
    if numeric or kind is MismatchKind.AMOUNT_DIFFERS:
        rules.append("number")
    if "BOOLEAN" in types:
        rules.append("flag")
    return tuple(rules)


def shared_fields(left: Sequence[Column], right: Sequence[Column], renamed: Mapping[str, str]) -> dict[str, Field]:
    """Folded name -> the column that both files have, in our order. `renamed`: our name -> theirs. Raises WrongConfiguration."""
    ours = {column.folded: column for column in left}
    theirs = {column.folded: column for column in right}
    for our_name, their_name in renamed.items():
        our_key, their_key = our_name.strip().casefold(), their_name.strip().casefold()
        if our_key not in ours or their_key not in theirs:
            missing, side = (our_name, "LEFT") if our_key not in ours else (their_name, "RIGHT")
            raise WrongConfiguration(f"--map: {side} has no column {missing}", next_step="Write --map OURS=THEIRS.")
        theirs[our_key] = theirs[their_key]
        if our_key != their_key:
            del theirs[their_key]
    return {
        folded: Field(
            name=column.name.strip(),
            left=column,
            right=theirs[folded],
            kind=kind_of(column.name),
            rules=rules_of(kind_of(column.name), column.type, theirs[folded].type),
        )
        for folded, column in ours.items()
        if folded in theirs
    }


def named_fields(option: str, names: Sequence[str], shared: Mapping[str, Field]) -> tuple[Field, ...]:
    """The fields that an option names, each once. Raises WrongConfiguration."""
    chosen = {}
    for name in names:
        field = shared.get(name.strip().casefold())
        if field is None:
            raise WrongConfiguration(
                f"{option}: the files do not both have a column {name.strip()!r}; {listed(shared)}",
                next_step=f"Name columns of both files with {option}, or pair different names with --map OURS=THEIRS.",
            )
        chosen[field.name] = field
    return tuple(chosen.values())


def guess_key(shared: Mapping[str, Field], distinct_share: Callable[[Field], float]) -> Field:
    """The one obvious key. Raises WrongConfiguration when there is none, or several that nothing sets apart.

    A known name decides alone; of several the first whose values are mostly distinct on our side, because a column full of
    NOTPROVIDED is no key. Without a known name one mostly distinct column that ends like a reference will do.
    """
    known = [shared[name] for name in KEY_NAMES if name in shared]
    if len(known) == 1:
        return known[0]
    for field in known:
        if distinct_share(field) > 0.5:
            return field
    if known:
        return known[0]
    likely = [field for name, field in shared.items() if name.endswith(KEY_ENDINGS) and distinct_share(field) > 0.5]
    if len(likely) == 1:
        return likely[0]
    raise WrongConfiguration(
        f"no column is obviously the key; {listed(shared)}",
        next_step="Name the key columns: --key COLUMN[,COLUMN]; --map OURS=THEIRS pairs different names.",
    )


def listed(shared: Mapping[str, Field]) -> str:
    """The columns both have, as a phrase. A name with many digits is no name: then the header line is missing (I7)."""
    if not shared:
        return "they have no column name in common"
    names = [field.name if sum(map(str.isdigit, field.name)) <= SHOWN_DIGITS_MAX else "…" for field in shared.values()]
    return f"both have {', '.join(names[:30])}{', …' if len(names) > 30 else ''}"


def sum_columns(columns: Sequence[Column], renamed: Mapping[str, str] | None = None) -> SumColumns | None:
    """`amount`, else `amount_minor`, else the first `amount*`, with `currency`; None where either is absent.

    `renamed`: our name -> the name in this file, for columns that `--map` pairs.
    """
    ours = {
        their_name.strip().casefold(): our_name.strip().casefold() for our_name, their_name in (renamed or {}).items()
    }
    by_name = {ours.get(column.folded, column.folded): column for column in columns}
    amounts = [column for name, column in by_name.items() if name.startswith("amount")]
    if not amounts or "currency" not in by_name:
        return None
    amount = by_name.get("amount") or by_name.get("amount_minor") or amounts[0]
    in_minor_units = amount is by_name.get("amount_minor")
    return SumColumns(
        amount=amount, currency=by_name["currency"], direction=by_name.get("direction"), in_minor_units=in_minor_units
    )


def masked(name: str, value: str | None, *, is_key: bool) -> str | None:
    """A value as a screen may show it (I7): of accounts, cards and names only the end; a key's value stays readable."""
    if value is None:
        return None
    words = set(re.split(r"[\W_]+", name.casefold()))
    private = kind_of(name) is MismatchKind.ACCOUNT_DIFFERS or words & PRIVATE_WORDS
    looks_private = kind_of(name) is MismatchKind.DATA_DIFFERS and not is_key and ACCOUNT_LIKE.search(value)
    if not private and not looks_private:
        return value
    return f"…{value[-4:]}" if len(value) >= 8 else "…"
