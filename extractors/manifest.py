"""The manifest of a run: what extract claims to have stored, with counts, sums and hashes. The last object of a run in raw."""

from __future__ import annotations

from collections.abc import Sequence

from payments.keys import ChunkKey
from payments.records import Chunk, Run
from payments.run_closing import canonical_json


def manifest_document(run: Run, chunks: Sequence[Chunk]) -> bytes:
    """The bytes of manifest.json for a closed run and its chunks in order.

    A pure function of what the ledger fixed when run and chunks were opened and stored: no time in it but `opened_at`.
    """
    return canonical_json(
        {
            "source": run.source,
            "business_date": run.business_date.isoformat(),
            "run": run.ordinal,
            "opened_at": run.opened_at.isoformat(),
            "config_hash": run.config_hash,
            "lower": run.lower,
            "upper": run.upper,
            "extracted": run.extracted.to_json(digest=True),
            "chunks": [
                {
                    "key": ChunkKey(run.source, run.business_date, run.ordinal, chunk.ordinal).raw,
                    "rows": chunk.rows,
                    "sha256": chunk.raw_sha256,
                    "extracted": chunk.extracted.to_json(digest=True),
                }
                for chunk in chunks
            ],
        }
    )
