"""The OpenPGP keys of an acquirer for `tieout acquirer NAME keys`: what each is for, and when it ends."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from tieout.show import clean, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payments.config import AcquirerSection
    from runtime.wiring import World


@dataclass(frozen=True, slots=True)
class OpenPgpKey:
    """One key by its reference. States: good, ends soon, ended, revoked."""

    reference: str
    use: str
    fingerprint: str
    expires_at: datetime | None
    state: str


def openpgp_keys(world: World, acquirer: AcquirerSection) -> list[OpenPgpKey]:
    """Each key once per use, looked at now. Raises WrongConfiguration when a secret holds none."""
    from payments.key_ends import uses
    from runtime.key_watch import look_at_keys

    found = look_at_keys(world, acquirer)
    now = world.clock.now()
    soon = now + timedelta(days=acquirer.keys_warn_days)

    def state(ends_at: datetime | None, *, revoked: bool) -> str:
        if revoked:
            return "revoked"
        if ends_at is None or ends_at > soon:
            return "good"
        return "ended" if ends_at <= now else "ends soon"

    return [
        OpenPgpKey(each, use, key.fingerprint, key.expires_at, state(key.expires_at, revoked=key.revoked))
        for use, references in uses(acquirer).items()
        for each in references
        for key in (found[each],)
    ]


def openpgp_text(keys: Sequence[OpenPgpKey]) -> str:
    """The table; empty where there are no such keys."""
    if not keys:
        return ""
    rows = [
        (
            each.fingerprint,
            each.use,
            each.state,
            f"{each.expires_at:%Y-%m-%d}" if each.expires_at else "never",
            clean(each.reference),
        )
        for each in keys
    ]
    return table(("OPENPGP KEY", "USE", "STATE", "ENDS", "SECRET"), rows)
