"""Choose the acquirer of each payment: the first route whose every condition holds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation.mapping import Rows
from payments.config import Route, SourceSection
from payments.errors import WrongConfiguration

NO_ROUTE = -1


def routed(rows: Rows, routes: Sequence[Route], source: SourceSection) -> npt.NDArray[np.int16]:
    """For n rows the number of their route, or NO_ROUTE. Raises WrongConfiguration when there are no routes at all.

    An unknown country satisfies no condition, except for a stop row: it must reach the acquirer of the payment that it stops,
    and need not be readable beyond its money.
    """
    if not routes:
        raise WrongConfiguration(
            "curation.route is empty: no payment has an acquirer",
            next_step='Add a [[curation.route]] with acquirer = "NAME"; without conditions it takes every payment.',
        )
    found = np.full(len(rows), NO_ROUTE, dtype=np.int16)
    for number, route in enumerate(routes):
        if route.source and source.name not in route.source:
            continue
        holds = found == NO_ROUTE
        if route.currency:
            holds &= _one_of(rows.money.currency, route.currency)
        if route.direction:
            holds &= _one_of(rows.money.direction, list(route.direction))
        if route.creditor_country:
            country = rows.text["creditor_country"]
            unknown = pc.is_null(country).to_numpy(zero_copy_only=False)
            holds &= _one_of(country, route.creditor_country) | (unknown & rows.stopped)
        found[holds] = number
    return found


def acquirers_of(numbers: npt.NDArray[np.int16], routes: Sequence[Route]) -> pa.Array:
    """The acquirer (string) of each route number; null for NO_ROUTE."""
    names = pa.array([route.acquirer for route in routes], pa.string())
    return names.take(pa.array(numbers, mask=numbers == NO_ROUTE))


def _one_of(values: pa.Array, allowed: list[str]) -> npt.NDArray[np.bool_]:
    mask: npt.NDArray[np.bool_] = pc.is_in(values, value_set=pa.array(allowed, pa.string())).to_numpy(
        zero_copy_only=False
    )
    return mask
