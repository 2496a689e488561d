"""Fills an acquirer's template for the names of outbound files."""

from __future__ import annotations

from datetime import date

from payments.config import AcquirerSection
from payments.errors import WrongConfiguration
from payments.keys import safe_name

ALLOWED = (
    "{acquirer}, {business_date:%Y%m%d}, {sequence:06d}, {generation}, {format},"
    " giving letters, digits, '.', '-' and '_', at most 100"
)


def file_name(acquirer: AcquirerSection, day: date, sequence: int, generation: int) -> str:
    """From the acquirer's template. Raises WrongConfiguration for a template that cannot be filled or is not harmless."""
    try:
        name = acquirer.file_name.format(
            acquirer=acquirer.name, business_date=day, sequence=sequence, generation=generation, format=acquirer.format
        )
    except (KeyError, IndexError, ValueError, AttributeError, TypeError, OverflowError, MemoryError) as error:
        raise WrongConfiguration(
            f"acquirer {acquirer.name}: file_name: {acquirer.file_name!a} cannot be filled; allowed are {ALLOWED}"
        ) from error
    if safe_name(name) != name:
        raise WrongConfiguration(
            f"acquirer {acquirer.name}: file_name gives {name[:200]!a}; allowed are letters, digits, '.', '-' and '_', at most 100"
        )
    return name
