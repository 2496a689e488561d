"""States, kinds and the transition tables of design section 8: the only places where they are written down."""

from __future__ import annotations

from enum import StrEnum

from payments.errors import NotAllowed


class FileState(StrEnum):
    """States of an outbound file."""

    PLANNED = "planned"
    SEALED = "sealed"
    DELIVERING = "delivering"
    IN_DOUBT = "in_doubt"
    DELIVERED = "delivered"
    ACKNOWLEDGED = "acknowledged"
    PARTIALLY_ACCEPTED = "partially_accepted"
    RECONCILED = "reconciled"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    NOT_RECEIVED = "not_received"


_F = FileState
FILE_TRANSITIONS: dict[FileState, frozenset[FileState]] = {
    _F.PLANNED: frozenset({_F.SEALED, _F.CANCELLED}),
    _F.SEALED: frozenset({_F.DELIVERING, _F.CANCELLED, _F.NOT_RECEIVED}),
    _F.DELIVERING: frozenset({_F.SEALED, _F.DELIVERED, _F.IN_DOUBT}),
    _F.IN_DOUBT: frozenset({_F.SEALED, _F.DELIVERED, _F.NOT_RECEIVED}),
    _F.DELIVERED: frozenset({_F.ACKNOWLEDGED, _F.PARTIALLY_ACCEPTED, _F.REFUSED, _F.RECONCILED, _F.NOT_RECEIVED}),
    _F.ACKNOWLEDGED: frozenset({_F.REFUSED, _F.RECONCILED, _F.DELIVERED}),
    _F.PARTIALLY_ACCEPTED: frozenset({_F.REFUSED, _F.RECONCILED, _F.DELIVERED}),
    _F.RECONCILED: frozenset({_F.DELIVERED, _F.ACKNOWLEDGED, _F.PARTIALLY_ACCEPTED}),
    _F.REFUSED: frozenset({_F.DELIVERED, _F.ACKNOWLEDGED, _F.PARTIALLY_ACCEPTED}),
    _F.CANCELLED: frozenset(),
    _F.NOT_RECEIVED: frozenset(),
}
"""Going back from acknowledged, partially accepted or refused to an earlier state happens only when the acknowledgement
that caused it is withdrawn; going back from reconciled, when a return reopens the file."""

TERM_OF_FILE_STATE: dict[FileState, str] = {
    _F.PLANNED: "planned",
    _F.SEALED: "sealed",
    _F.DELIVERING: "sealed",
    _F.IN_DOUBT: "in_doubt",
    _F.DELIVERED: "delivered",
    _F.ACKNOWLEDGED: "delivered",
    _F.PARTIALLY_ACCEPTED: "delivered",
    _F.RECONCILED: "delivered",
    _F.REFUSED: "refused",
    _F.CANCELLED: "cancelled",
    _F.NOT_RECEIVED: "cancelled",
}
"""The term of I1 under which the rows of a file are counted."""

SETTLED_HOLD = "settled: "
"""How `held` begins of a file with a payment that the acquirer settled under an earlier assignment. Nobody releases it."""

SPOKEN_HOLD = "the acquirer speaks of this file"
"""How `held` begins of a file of which nothing was placed, and which the acquirer names all the same."""

CLOSED_FILE_STATES = frozenset({_F.REFUSED, _F.CANCELLED, _F.NOT_RECEIVED})
"""States in which the assignments of a file are closed: no longer live."""

IN_ACQUIRERS_HANDS = frozenset({_F.DELIVERED, _F.ACKNOWLEDGED, _F.PARTIALLY_ACCEPTED, _F.RECONCILED})


def check_file_transition(name: str, old: FileState, new: FileState) -> None:
    """Refuse a transition that the table does not hold. Raises NotAllowed."""
    if new not in FILE_TRANSITIONS[old]:
        raise NotAllowed(f"file {name}: {old} cannot become {new}")


class MismatchKind(StrEnum):
    """How ours and theirs disagree."""

    MISSING_AT_ACQUIRER = "missing_at_acquirer"
    UNKNOWN_TO_US = "unknown_to_us"
    AMOUNT_DIFFERS = "amount_differs"
    CURRENCY_DIFFERS = "currency_differs"
    DIRECTION_DIFFERS = "direction_differs"
    STATUS_REJECTED = "status_rejected"
    RETURNED = "returned"
    STATUS_CONFLICT = "status_conflict"
    DATE_DIFFERS = "date_differs"
    ACCOUNT_DIFFERS = "account_differs"
    DATA_DIFFERS = "data_differs"
    DUPLICATE_RESULT = "duplicate_result"
    DUPLICATE_SENT = "duplicate_sent"
    AMBIGUOUS_MATCH = "ambiguous_match"
    GROUP_SUM_DIFFERS = "group_sum_differs"
    CHANGED_AFTER_SEALED = "changed_after_sealed"
    RECALL_NEEDED = "recall_needed"
    SETTLED_AFTER_REDELIVERY = "settled_after_redelivery"
    SETTLED_AFTER_WRITE_OFF = "settled_after_write_off"
    COUNT_DIFFERS = "count_differs"
    SUM_DIFFERS = "sum_differs"
    SEQUENCE_GAP = "sequence_gap"
    FILE_MISSING = "file_missing"
    FILE_UNREADABLE = "file_unreadable"
    FILE_REFUSED = "file_refused"


_K = MismatchKind
FILE_LEVEL_KINDS = frozenset(
    {_K.COUNT_DIFFERS, _K.SUM_DIFFERS, _K.SEQUENCE_GAP, _K.FILE_MISSING, _K.FILE_UNREADABLE, _K.FILE_REFUSED}
)
BESIDE_THE_ROW_KINDS = FILE_LEVEL_KINDS | {
    _K.CHANGED_AFTER_SEALED,
    _K.RECALL_NEEDED,
    _K.DUPLICATE_RESULT,
    _K.SETTLED_AFTER_REDELIVERY,
    _K.SETTLED_AFTER_WRITE_OFF,
    _K.UNKNOWN_TO_US,
}
"""Kinds that never move a row of ours to mismatched."""

PAIR_PRECEDENCE: tuple[MismatchKind, ...] = (
    _K.DUPLICATE_RESULT,
    _K.DUPLICATE_SENT,
    _K.AMBIGUOUS_MATCH,
    _K.MISSING_AT_ACQUIRER,
    _K.UNKNOWN_TO_US,
    _K.STATUS_CONFLICT,
    _K.RETURNED,
    _K.STATUS_REJECTED,
    _K.CURRENCY_DIFFERS,
    _K.DIRECTION_DIFFERS,
    _K.AMOUNT_DIFFERS,
    _K.ACCOUNT_DIFFERS,
    _K.DATE_DIFFERS,
    _K.DATA_DIFFERS,
)
"""One kind per pair: the first of these that applies."""


class MismatchState(StrEnum):
    """States of a mismatch."""

    OPEN = "open"
    ASSIGNED = "assigned"
    PROPOSED = "proposed"
    APPROVED = "approved"
    RESOLVED = "resolved"
    WRITTEN_OFF = "written_off"
    CLOSED_BY_LATE_RESULT = "closed_by_late_result"
    CLOSED_BY_WITHDRAWAL = "closed_by_withdrawal"
    REOPENED = "reopened"


_M = MismatchState
MISMATCH_TRANSITIONS: dict[MismatchState, frozenset[MismatchState]] = {
    _M.OPEN: frozenset({_M.ASSIGNED, _M.PROPOSED, _M.CLOSED_BY_LATE_RESULT, _M.CLOSED_BY_WITHDRAWAL}),
    _M.ASSIGNED: frozenset({_M.PROPOSED, _M.CLOSED_BY_LATE_RESULT, _M.CLOSED_BY_WITHDRAWAL}),
    _M.PROPOSED: frozenset({_M.APPROVED, _M.ASSIGNED, _M.CLOSED_BY_LATE_RESULT, _M.CLOSED_BY_WITHDRAWAL}),
    _M.APPROVED: frozenset({_M.RESOLVED, _M.WRITTEN_OFF}),
    _M.RESOLVED: frozenset({_M.REOPENED}),
    _M.WRITTEN_OFF: frozenset({_M.REOPENED}),
    _M.CLOSED_BY_LATE_RESULT: frozenset({_M.REOPENED}),
    _M.CLOSED_BY_WITHDRAWAL: frozenset({_M.REOPENED}),
    _M.REOPENED: frozenset({_M.ASSIGNED, _M.PROPOSED, _M.CLOSED_BY_LATE_RESULT, _M.CLOSED_BY_WITHDRAWAL}),
}
OPEN_MISMATCH_STATES = frozenset({_M.OPEN, _M.ASSIGNED, _M.PROPOSED, _M.APPROVED, _M.REOPENED})


class Outcome(StrEnum):
    """Where a curated row stands after assembly."""

    ASSIGNED = "assigned"
    UNASSIGNED = "unassigned"
    DUPLICATE = "duplicate"
    SUPERSEDED = "superseded"
    UNCHANGED = "unchanged"
    WITHDRAWN = "withdrawn"


class PoolReason(StrEnum):
    """Why a row of the pool is unassigned."""

    WAITING = "waiting"
    FUTURE_DATED = "future_dated"
    CHANGED_AFTER_SEALED = "changed_after_sealed"
    SETTLED = "settled"


class MatchResult(StrEnum):
    """How an expected payment came to agree."""

    MATCHED = "matched"
    MATCHED_IMPLICITLY = "matched_implicitly"
    MATCHED_WITHIN_TOLERANCE = "matched_within_tolerance"
    MATCHED_AS_GROUP = "matched_as_group"
    MATCHED_BY_HAND = "matched_by_hand"
    FORCED = "forced"


class EventStatus(StrEnum):
    """What the acquirer says of one payment, in ISO 20022's words; RTRN is ours for a return after settlement."""

    RCVD = "RCVD"
    PDNG = "PDNG"
    ACTC = "ACTC"
    ACCP = "ACCP"
    ACWC = "ACWC"
    ACSP = "ACSP"
    ACSC = "ACSC"
    ACCC = "ACCC"
    RJCT = "RJCT"
    CANC = "CANC"
    RTRN = "RTRN"


_E = EventStatus
STAGE_OF_STATUS: dict[EventStatus, int] = {
    _E.RCVD: 1,
    _E.PDNG: 2,
    _E.ACTC: 3,
    _E.ACCP: 4,
    _E.ACWC: 4,
    _E.ACSP: 5,
    _E.ACSC: 6,
    _E.ACCC: 7,
}
"""How far a positive status has come. A status absent here is never an acceptance (I6)."""
