"""Says what a person can do about one outbound file, as commands that work when they are copied."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from payments.states import SETTLED_HOLD, FileState

if TYPE_CHECKING:
    from payments.records import Decision, OutboundFile, Receipt, ResultFile
    from runtime.wiring import World

_F = FileState
CLOSED = frozenset({_F.REFUSED, _F.NOT_RECEIVED})


def evidence(receipt: Receipt) -> str:
    """What proves that the file was placed, in one line."""
    return (
        f"placed at {receipt.remote_path} on {receipt.delivered_at:%Y-%m-%d %H:%M:%S} UTC by attempt {receipt.attempt}: "
        f"{receipt.size:,} bytes, SHA-256 {receipt.sha256}; {receipt.verified_by}; host key {receipt.host_key}"
    )


def spoken(results: Sequence[ResultFile]) -> list[str]:
    """Who signed what was said of it, and what was said and is no evidence: one line per result file that was read."""
    lines = []
    for each in results:
        if each.disputed:
            lines.append(
                f"{each.name}, collected {each.collected_at:%Y-%m-%d %H:%M:%S} UTC, is no evidence: {each.disputed}"
            )
        elif each.signed_by and each.signed_at is not None:
            lines.append(f"{each.name}: signed by {each.signed_by} on {each.signed_at:%Y-%m-%d %H:%M:%S} UTC")
    return lines


def next_lines(
    world: World, file: OutboundFile, name: str, decisions: Sequence[Decision], *, unanswered: bool = False
) -> list[str]:
    """A sentence and the command behind it, for each thing that can be done; empty when nothing waits for a person.

    `name` is how the file was asked for: what found it once finds it again. `unanswered`: the acquirer speaks of it, and
    nobody has answered that.
    """
    from payments.display import clean
    from tieout.next_step import command

    lines = []
    for sentence, *words in (*_proposals(file, name, decisions), *_ways(file, name, unanswered=unanswered)):
        lines += [clean(sentence), f"next: {clean(command(world, *words))}"]
    return lines


def _proposals(file: OutboundFile, name: str, decisions: Sequence[Decision]) -> Iterator[tuple[str, ...]]:
    """Acts that a second person may agree to. Those that name payments are said by the list itself, not by the verb."""
    for each in decisions:
        stands = each.detail.get("step") == "proposed" and each.detail.get("revision") == file.revision
        if stands and each.act in {"redeliver", "not_received", "nothing_there"}:
            verb = each.act.replace("_", "-")
            yield f"{each.actor} proposed {verb}; it happens when a different person says the same:", "file", name, verb


def _ways(file: OutboundFile, name: str, *, unanswered: bool) -> Iterator[tuple[str, ...]]:
    state = FileState(file.state)
    if unanswered and (state == _F.SEALED or (state == _F.NOT_RECEIVED and file.returned_in is None)):
        # As long as that stands, everything else is refused.
        ask = f"{file.acquirer} speaks of it, though nothing of it was placed: ask what they have."
        yield f"{ask} If it is nothing, two people say so:", "file", name, "nothing-there"
    elif state == _F.IN_DOUBT:
        ask = (
            f"Nobody knows whether it arrived: ask {file.acquirer}. An acknowledgement or result that names it ends the"
        )
        yield f"{ask} doubt. If it never came, two people say so:", "file", name, "not-received"
    elif state in {_F.PLANNED, _F.SEALED}:
        yield from _not_left(file, name)
    elif state == _F.CANCELLED and file.returned_in is None:
        yield "It never left. To put its payments into a new file:", "file", name, "redeliver"
    elif state in CLOSED and file.returned_in is None:
        yield "To put its payments into a new file, two people say:", "file", name, "redeliver"
    elif state == _F.DELIVERED and file.overdue:
        yield (
            f"Its results are late: ask {file.acquirer}. If it never came, two people say so:",
            "file",
            name,
            "not-received",
        )


def _not_left(file: OutboundFile, name: str) -> Iterator[tuple[str, ...]]:
    from transfer.acts import HELD_BY, UNWRITABLE

    if file.held.startswith(UNWRITABLE):
        yield "Correct the payment at its source, and take this file back:", "file", name, "cancel"
    elif file.held.startswith(SETTLED_HOLD):
        yield (
            "Nobody can release it. Take it back; redelivered, it goes without what was settled:",
            "file",
            name,
            "cancel",
        )
    elif file.held:
        who = " (a different person)" if file.held.startswith(HELD_BY) else ""
        yield f"To let it leave{who}:", "file", name, "release"
        yield "To take it back instead:", "file", name, "cancel"
    elif file.note:
        yield "It is tried again by itself. To try the acquirer's server now:", "acquirer", file.acquirer, "test"
