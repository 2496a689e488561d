"""Looks at the OpenPGP keys of the configuration once a day, and keeps in the ledger when each of them ends."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from payments.config import AcquirerSection
from payments.errors import TieoutError
from payments.firings import last_fired, mark_fired
from payments.key_ends import keep_end

if TYPE_CHECKING:
    from formats.gpg import Key
    from runtime.wiring import World

log = logging.getLogger(__name__)
EVERY = timedelta(days=1)
FIRING = "key-watch"


def watch_keys(world: World) -> None:
    """Nothing where no acquirer has such keys, or they were looked at within a day. What cannot be looked at is in the log."""
    watched = [each for each in world.configuration.acquirer if each.encode.pgp or each.results.pgp]
    if not watched:
        return
    now = world.clock.now()
    with world.ledger.begin() as tx:
        last = last_fired(tx, FIRING)
        if last is not None and now - last < EVERY:
            return
        mark_fired(tx, FIRING, now)
    for acquirer in watched:
        try:
            look_at_keys(world, acquirer)
        except TieoutError as error:
            log.warning("the OpenPGP keys of %s cannot be looked at: %s", acquirer.name, error)


def look_at_keys(world: World, acquirer: AcquirerSection) -> dict[str, Key]:
    """Reference -> key, of every key in use; their ends are in the ledger then. Raises WrongConfiguration."""
    from formats.openpgp_in import keys_of as keys_of_results
    from transfer.pgp import keys_of as keys_of_files

    found: dict[str, Key] = {}
    out, back = acquirer.encode.pgp, acquirer.results.pgp
    if out is not None:
        references = [*out.recipients, *([out.sign_key] if out.sign_key else [])]
        found |= zip(references, keys_of_files(out, world.secrets), strict=True)
    if back is not None:
        keys = keys_of_results(back, world.secrets)
        found |= zip([*back.keys, *(each.key for each in back.signer)], [*keys["ours"], *keys["signers"]], strict=True)
    now = world.clock.now()
    with world.ledger.begin() as tx:
        for reference, key in found.items():
            # Revoked, it has ended whatever it says.
            keep_end(tx, acquirer.name, reference, now if key.revoked else key.expires_at)
    return found
