"""tieout requeue NAME of a result file that was set aside: it is read again, with the keys and the format of now."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from payments.records import ResultFile
    from runtime.wiring import World


def read_again(world: World, name: str) -> list[ResultFile]:
    """Those of this name or SHA-256 that are unreadable now; empty when nothing is called so. The service reads them.

    Raises NotAllowed for one that is not set aside, or that an older version set aside for good.
    """
    from local.router import route
    from payments.errors import NotAllowed
    from payments.keys import day_chain, reported_key
    from runtime.actor import operating_system_user

    with world.ledger.begin() as tx:
        found = tx.results.find(sha256=name) or tx.results.find(name=name)
        aside = [each for each in found if each.state == "unreadable"]
        if found and not aside:
            raise NotAllowed(f"result file {name!a} is not set aside: it is {found[-1].state}")
        for each in aside:
            if world.store.exists(reported_key(each.acquirer, each.business_date, each.sha256)):
                raise NotAllowed(
                    f"result file {name!a} was set aside by an older version of Tieout, and stays so",
                    next_step="Ask the acquirer to put it into the outbox once more, under another name.",
                )
            tx.results.change(
                each, state="collected", lines=0, unreadable=0, reported_sha256="", note="", reconciled=False
            )
            body = {"name": each.name, "sha256": each.sha256}
            chain = day_chain(each.acquirer, each.business_date)
            tx.audit.append(chain, "requeued", body, actor=operating_system_user().name)
    for each in aside:
        route(world, each.key)
    return aside
