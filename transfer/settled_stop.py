"""Stops a file before it leaves when the acquirer settled one of its payments under an earlier assignment."""

from __future__ import annotations

from payments.keys import expected_key, file_chain
from payments.ports import ObjectStore, Transaction
from payments.records import OutboundFile
from payments.states import SETTLED_HOLD
from transfer.gone_back import settled_payments


def settled_in(tx: Transaction, store: ObjectStore, file: OutboundFile) -> int:
    """How many payments of the file were settled elsewhere. The list is read only where such an alarm stands: hardly ever."""
    settled = settled_payments(tx, but=file.file_id)
    if not settled:
        return 0
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    with store.local(expected_key(file.acquirer, file.business_date, file.file_id)) as path:
        payments = pq.read_table(path, columns=["payment_id"])["payment_id"]
    return int(pc.sum(pc.is_in(payments, pa.array(sorted(settled), pa.string()))).as_py() or 0)


def hold_if_settled(tx: Transaction, store: ObjectStore, file: OutboundFile) -> bool:
    """Hold a sealed file that would pay a second time. True: it is held, and nobody can release it."""
    count = settled_in(tx, store, file)
    if not count:
        return False
    why = f"{SETTLED_HOLD}{count} of its payments were settled under an earlier assignment"
    tx.files.change(file, held=why)
    tx.audit.append(file_chain(file.file_id), "held", {"why": "payments settled earlier", "payments": count})
    return True
