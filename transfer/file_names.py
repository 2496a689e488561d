"""Fills an acquirer's template for the names of outbound files."""

from __future__ import annotations

from datetime import date

from payments.books import Total
from payments.config import AcquirerSection
from payments.errors import WrongConfiguration
from payments.keys import safe_name

ALLOWED = (
    "{acquirer}, {business_date:%Y%m%d}, {sequence:06d}, {generation}, {format}, {kind}, {window},"
    " giving letters, digits, '.', '-' and '_', at most 100 with the suffix of its compression and encryption"
)


def kind_of(total: Total) -> str:
    """What is in a file: `credits`, `debits`, or `mixed` where its sums name both directions or none."""
    directions = {key.partition("/")[2] for key in total.amount_minor}
    match [*directions]:
        case ["CRDT"]:
            return "credits"
        case ["DBIT"]:
            return "debits"
        case _:
            return "mixed"


def file_name(
    acquirer: AcquirerSection,
    day: date,
    sequence: int,
    generation: int,
    *,
    window: str = "w00000001",
    kind: str = "credits",
) -> str:
    """From the acquirer's template, with the suffix of its compression and encryption.

    Raises WrongConfiguration for a template that cannot be filled or whose name is not harmless.
    """
    try:
        name = acquirer.file_name.format(
            acquirer=acquirer.name,
            business_date=day,
            sequence=sequence,
            generation=generation,
            format=acquirer.format,
            kind=kind,
            window=window,
        )
    except (KeyError, IndexError, ValueError, AttributeError, TypeError, OverflowError, MemoryError) as error:
        raise WrongConfiguration(
            f"acquirer {acquirer.name}: file_name: {acquirer.file_name!a} cannot be filled; allowed are {ALLOWED}"
        ) from error
    name += acquirer.encode.suffix
    if safe_name(name) != name:
        raise WrongConfiguration(
            f"acquirer {acquirer.name}: file_name gives {name[:200]!a}; allowed are letters, digits, '.', '-' and '_', at most 100"
        )
    return name
