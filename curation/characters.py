"""Which rows hold a character that must not be sent.

The SEPA set is the Latin one of the European Payments Council's guideline EPC217-08: letters, digits, `/ - ? : ( ) . , ' +`
and the blank. Under `characters = "any"` only control characters and line separators are refused: no file format of
ours could carry them.
"""

from __future__ import annotations

import string

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

SEPA_LATIN = frozenset(string.ascii_letters + string.digits + "/-?:().,'+ ")
# C0, DEL, C1, line and paragraph separator, and the two code points that XML 1.0 excludes.
CONTROLS = r"[\x00-\x1f\x7f\x{80}-\x{9f}\x{2028}\x{2029}\x{fffe}\x{ffff}]"

_REFUSED_BYTES = np.array([chr(byte) not in SEPA_LATIN for byte in range(256)])


def outside_sepa(text: pa.Array) -> npt.NDArray[np.bool_]:
    """Where a text (string, n rows) holds anything but the SEPA set; never where it is null."""
    found = np.zeros(len(text), dtype=bool)
    offsets, data = text.buffers()[1:3]
    if data is None or len(text) == 0:
        return found
    ends = np.frombuffer(offsets, dtype=np.int32)[text.offset : text.offset + len(text) + 1]
    # One look at all bytes of the column; only where something is found is its row looked for.
    places = np.flatnonzero(_REFUSED_BYTES[np.frombuffer(data, dtype=np.uint8)[ends[0] : ends[-1]]])
    found[np.searchsorted(ends, places + ends[0], side="right") - 1] = True
    if text.null_count:
        found &= text.is_valid().to_numpy(zero_copy_only=False)
    return found


def with_controls(text: pa.Array) -> npt.NDArray[np.bool_]:
    """Where a text holds a control character or a line separator."""
    found: npt.NDArray[np.bool_] = pc.fill_null(pc.match_substring_regex(text, CONTROLS), False).to_numpy(
        zero_copy_only=False
    )
    return found


def slashes_misplaced(reference: pa.Array) -> npt.NDArray[np.bool_]:
    """Where a reference starts with a slash or holds two in a row (EPC217-08)."""
    misplaced = pc.or_(pc.starts_with(reference, "/"), pc.match_substring(reference, "//"))
    found: npt.NDArray[np.bool_] = pc.fill_null(misplaced, False).to_numpy(zero_copy_only=False)
    return found
