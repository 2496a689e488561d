"""Find repeated payment references inside a chunk: the early check only, assemble makes the one that counts (design section 4)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc


def repeated_references(
    reference: pa.Array, acquirer: pa.Array, payment_id: pa.Array, candidates: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.bool_], pa.Array]:
    """Which candidates repeat a reference of an earlier candidate with the same acquirer and another payment_id.

    Returns the mask of n rows, and for those rows the payment_id of the first holder (string, null elsewhere). Rows of the
    first holder itself are its versions, never duplicates.
    """
    no_twin = pa.nulls(len(reference), pa.string())
    rows = np.flatnonzero(candidates)
    coded = reference.take(pa.array(rows)).dictionary_encode()
    if len(coded.dictionary) == len(rows):
        return np.zeros(len(reference), dtype=bool), no_twin
    acquirers = acquirer.take(pa.array(rows)).dictionary_encode()
    key = coded.indices.to_numpy().astype(np.int64) * len(acquirers.dictionary) + acquirers.indices.to_numpy()
    # np.unique gives the first place of each key: rows are in the order of the chunk.
    _, first, which = np.unique(key, return_index=True, return_inverse=True)
    holder = pa.array(rows[first[which]])
    holder_id = payment_id.take(holder)
    differs = pc.not_equal(payment_id.take(pa.array(rows)), holder_id).to_numpy(zero_copy_only=False)
    repeated = np.zeros(len(reference), dtype=bool)
    repeated[rows] = differs
    return repeated, pc.replace_with_mask(no_twin, pa.array(repeated), holder_id.filter(pa.array(differs)))
