"""tieout file NAME redeliver of chosen payments: reads which, gives them to the act, says what is done or waits for another."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from payments.redeliveries import Redelivery
    from runtime.wiring import World
    from transfer.acts_chosen import ActedOnPayments

BYTES_MAX = 16 << 20


def redeliver_some(world: World, args: argparse.Namespace) -> bool:
    """Whether it happens; False: a second person must agree. Raises what the act raises, NotAllowed for wrong arguments."""
    from runtime.actor import operating_system_user
    from transfer.acts_chosen import ChosenPorts, redeliver_payments

    references = _references(args)
    ports, actor = ChosenPorts(world.ledger, world.store, world.clock), operating_system_user()
    acted = redeliver_payments(ports, args.name, references, actor, args.why)
    _say(args, acted)
    return acted.done


def _references(args: argparse.Namespace) -> list[str] | None:
    """None: everything that was rejected."""
    from payments.errors import NotAllowed

    if args.action != "redeliver":
        raise NotAllowed(
            f"{args.action} is for whole files",
            next_step="Only redeliver takes --rejected, --payment and --payments-from.",
        )
    if args.rejected:
        if args.payment or args.payments_from:
            raise NotAllowed("--rejected takes all of them: name none", next_step="Leave --rejected out, or the names.")
        return None
    names = [*args.payment, *(_read(args.payments_from) if args.payments_from else [])]
    if not names:
        raise NotAllowed(f"{args.payments_from!a} names no payment", next_step="One reference per line, in UTF-8.")
    return names


def _read(name: str) -> list[str]:
    """The lines of a file without blanks around them and without empty ones."""
    from payments.errors import NotAllowed

    path = Path(name)
    try:
        if path.stat().st_size > BYTES_MAX:
            raise NotAllowed(f"{name!a} is larger than {BYTES_MAX >> 20} MiB", next_step="Name the payments in parts.")
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise NotAllowed(
            f"{name!a} cannot be read as text: {type(error).__name__}", next_step="One reference per line, in UTF-8."
        ) from error
    return [line.strip() for line in lines if line.strip()]


def _say(args: argparse.Namespace, acted: ActedOnPayments) -> None:
    from payments.display import amounts
    from tieout.file import as_json
    from tieout.show import print_json

    if args.json:
        chosen = {"payments": acted.total.to_json(), "list_sha256": acted.list_sha256, "left_out": dict(acted.left_out)}
        print_json({"done": acted.done, "action": "redeliver", **chosen, **as_json(acted.file)})
        return
    what = f"{acted.total.count:,} payments ({amounts(acted.total)})"
    how = (
        "go into the next file"
        if acted.done
        else "proposed; it happens when a different person names the same payments"
    )
    print(f"{acted.file.name}: redeliver {what}: {how}")
    print(f"list {acted.list_sha256}")
    for reason, count in acted.left_out.items():
        print(f"left out: {count:,} {reason}")


def sent_again(redeliveries: Sequence[Redelivery]) -> str:
    """A table of the lists of payments that were taken out of one file."""
    from payments.display import amounts
    from tieout.show import table

    rows = [
        (
            f"{each.total.count:,}",
            amounts(each.total),
            each.returned_in or "by the next",
            each.decided_at,
            each.list_sha256,
        )
        for each in redeliveries
    ]
    return table(("SENT AGAIN", "SUMS", "ASSEMBLY", "AGREED", "LIST"), rows)
