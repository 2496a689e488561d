"""Probes an acquirer's SFTP server in a scratch directory, so that its habits are known before a payment depends on them.

    session -> scratch directory -> try one thing after the other -> remove everything -> profile -> ledger

Nothing is made in the inbox under a name that begins otherwise than with a dot.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from payments.acting import Actor
from payments.config import Sftp
from payments.keys import day_chain
from payments.ports import Clock
from payments.records import AcquirerProfile
from transfer import probe_files, probe_offers, probe_speed
from transfer.host_keys import KeyPorts
from transfer.probe_scratch import Scratch
from transfer.profile import CapabilityProfile
from transfer.sftp_connect import NO_MORE, Link, opened
from transfer.sftp_errors import shown, translated
from transfer.sftp_login import MoreSecrets
from transfer.sftp_pins import Pins
from transfer.sftp_wire import Refused, Wire

R = TypeVar("R")

WORDS_MAX = 100
EXTENSIONS_MAX = 64


def probe(
    settings: Sftp,
    *,
    key: bytes | None,
    password: bytes | None,
    accepted: Pins | None,
    clock: Clock,
    directory: str = "",
    more: MoreSecrets = NO_MORE,
) -> CapabilityProfile:
    """One session, some two hundred requests, about 3 MiB. `directory`: where to probe instead of in the inbox.

    Raises what `transfer.sftp.connect` raises, and NotAllowed when the server lets us make no scratch directory. When the
    link is lost the scratch directory stays behind; the error names it.
    """
    scratch = Scratch(settings.inbox, directory)
    with (
        opened(settings, key=key, password=password, accepted=accepted, more=more) as link,
        translated(link.server, f"be probed in {shown(scratch.place)}"),
        link.watchdog.watching(),
    ):
        wire = Wire(link.channel, link.watchdog.feed)
        scratch.make(wire)
        try:
            found = _profile(settings, link, wire, scratch, clock)
        finally:
            left = scratch.clean(wire)
        return replace(found, left_behind=left)


def keep(ports: KeyPorts, profile: CapabilityProfile, actor: Actor) -> AcquirerProfile:
    """Record the profile in place of the one before; the audit chain of the acquirer's day keeps every one."""
    from transfer.business_day import business_date

    now = ports.clock.now()
    name, found = ports.acquirer.name, profile.to_json()
    with ports.ledger.begin() as tx:
        known = tx.profiles.get(name)
        if known is None:
            record = AcquirerProfile(name, now, profile.host_key, found)
            tx.profiles.add(record)
        else:
            record = tx.profiles.change(known, probed_at=now, host_key=profile.host_key, found=found)
        tx.audit.append(day_chain(name, business_date(ports.acquirer, now)), "probed", found, actor=actor.name)
    return record


def _profile(settings: Sftp, link: Link, wire: Wire, scratch: Scratch, clock: Clock) -> CapabilityProfile:
    limits = _or_none(lambda: probe_offers.limits(wire))
    block = (limits or {}).get("write") or probe_speed.BLOCK_BYTES
    declared = "yes" if settings.rename_atomic else "no"
    return CapabilityProfile(
        software=_words(str(link.transport.remote_version)),
        host_key=link.proven_key(),
        cipher=_words(str(link.transport.remote_cipher)),
        extensions=tuple(sorted(_words(name.decode(errors="replace")) for name in wire.extensions)[:EXTENSIONS_MAX]),
        exclusive_create=_verdict(probe_files.exclusive_create, wire, scratch),
        stat_after_put=_verdict(probe_files.stat_after_put, wire, scratch),
        read_back=_verdict(probe_files.read_back, wire, scratch),
        rename=_verdict(probe_files.rename, wire, scratch),
        rename_existing=_verdict(probe_files.rename_existing, wire, scratch),
        posix_rename=_verdict(probe_files.posix_rename, wire, scratch),
        rename_atomic=f"declared {declared}, not probed",
        fsync=_verdict(probe_offers.fsync, wire, scratch),
        limits=limits,
        hashes=_or_none(lambda: probe_offers.hashes(wire, scratch)) or {},
        clock_skew_s=_or_none(lambda: probe_files.clock_skew_s(wire, scratch, clock)),
        listing_order=_verdict(probe_files.listing_order, wire, scratch),
        free_bytes=_or_none(lambda: probe_offers.free_bytes(wire, scratch)),
        round_trip_us=probe_speed.round_trip_us(wire, scratch),
        bytes_per_s=probe_speed.bytes_per_s(wire, scratch, block),
    )


def _verdict(step: Callable[[Wire, Scratch], str], wire: Wire, scratch: Scratch) -> str:
    # One thing that a server refuses must not hide the others; a lost link ends the probe.
    try:
        return step(wire, scratch)
    except Refused as refused:
        return f"unknown: the server answered {refused.word!r}"


def _or_none(step: Callable[[], R]) -> R | None:
    try:
        return step()
    except Refused:
        return None


def _words(said: str) -> str:
    # What a stranger sends goes to terminals and into the ledger.
    return "".join(sign if sign.isprintable() and sign.isascii() else "?" for sign in said[:WORDS_MAX])
