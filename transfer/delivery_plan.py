"""How one session delivers: what the configuration declares, and what the newest probe proved of this very server.

    declared    wins always; where the profile says that the server lacks it, nothing is uploaded
    probed      only while the server proves the same host key, and for `profile_age_days_max`
    default     everything else

A profile never makes a delivery weaker than what is declared: it chooses among what is as strong, or it stops.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from typing import Any, Protocol, cast

import msgspec

from payments.config import AcquirerSection, Sftp
from payments.errors import WrongConfiguration
from payments.records import AcquirerProfile
from payments.remote_ports import RemoteDrop
from transfer import profile as profiles
from transfer.profile import EQUAL, NOT_TRIED, RIGHT_SHA256, WORKS, CapabilityProfile
from transfer.sftp_copy import REQUESTS_MAX, WRITE_BYTES

LOOK, LOOK_TWICE = "we look for it", "only we look for it, and again at the last moment"
NO_SERVER = "none: there is no server to probe"
UNKNOWN = "unknown"
"""How a verdict begins that is none."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One thing that was chosen, and why: declared, default, or probed and when."""

    value: str | int
    why: str

    def at_most(self, limit: int | None, known: Known) -> Choice:
        """The lower one; None and 0: the server told no limit."""
        return Choice(limit, known.said) if limit and limit < int(self.value) else self


@dataclass(frozen=True, slots=True)
class Known:
    """A profile that may be used, or None; `said` tells when it was probed, or why there is none."""

    profile: CapabilityProfile | None
    said: str

    def limit(self, name: str) -> int | None:
        """What the server announced at the probe."""
        limits = None if self.profile is None else self.profile.limits
        return None if limits is None else limits.get(name)


@dataclass(frozen=True, slots=True)
class DeliveryPlan:
    """Every choice of one session.

    `verify`: by what, beside the size. `requests`: blocks under way at most. `write_bytes`: of the largest block.
    `taken_name`: who keeps a rename from replacing a file. `bandwidth_limit_mb_s`: 0 is no limit. `profile`: whether one was
    used. `lacks`: what is declared or needed and not there; with it nothing is delivered.
    """

    verify: Choice
    fsync: Choice
    files_in_flight: Choice
    requests: Choice
    write_bytes: Choice
    taken_name: Choice
    rename_atomic: Choice
    bandwidth_limit_mb_s: Choice
    profile: str
    lacks: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """JSON values only."""
        return {**asdict(self), "lacks": list(self.lacks)}

    @property
    def looks_again(self) -> bool:
        """Whether the target is looked for once more right before a rename: one round trip, where the server would replace it."""
        return self.taken_name.value == LOOK_TWICE

    @property
    def hash(self) -> str:
        """Hex SHA-256 of all of it: what the audit log names."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()

    def rows(self) -> list[tuple[str, str]]:
        """(what, chosen and why) for people; only what there is to choose where files go another way than SFTP."""
        names = ["verify", "rename_atomic"] if self.profile == NO_SERVER else [each.name for each in fields(self)]
        chosen = [(name.replace("_", " "), getattr(self, name)) for name in names]
        return [(name, f"{one.value} ({one.why})") for name, one in chosen if isinstance(one, Choice)]

    def check(self, acquirer: AcquirerSection) -> None:
        """Raises WrongConfiguration with the first thing that is lacking."""
        if self.lacks:
            raise WrongConfiguration(
                f"acquirer {acquirer.name}: {self.lacks[0]}; nothing is uploaded",
                next_step="Ask the acquirer, or declare what its server can do; after a change there"
                f" `tieout acquirer {acquirer.name} probe` looks again.",
            )


class Paced(Protocol):
    """What a RemoteDrop has besides when it can be told to go gently."""

    def keep_to(self, *, requests: int, write_bytes: int) -> None:
        """Never more blocks under way, never larger ones."""
        ...


def keep_to(plan: DeliveryPlan, drop: RemoteDrop) -> None:
    """Tell a session that can be told. Asked of its class, as in transfer/many_acts.py."""
    if hasattr(type(drop), "keep_to"):
        cast("Paced", drop).keep_to(requests=int(plan.requests.value), write_bytes=int(plan.write_bytes.value))


def delivery_plan(
    acquirer: AcquirerSection, record: AcquirerProfile | None, host_key: str, now: datetime
) -> DeliveryPlan:
    """The plan for a session with the server that proved `host_key` (a fingerprint; empty where files go another way)."""
    sftp = acquirer.sftp
    known = Known(None, NO_SERVER) if sftp is None else _known(sftp, record, host_key, now)
    verify = _verify(acquirer, known)
    return DeliveryPlan(
        verify=verify,
        fsync=_fsync(known),
        files_in_flight=_declared(sftp, "files_in_flight", 1).at_most(known.limit("handles"), known),
        requests=Choice(REQUESTS_MAX, "default").at_most(_requests(known), known),
        write_bytes=Choice(WRITE_BYTES, "default").at_most(known.limit("write"), known),
        taken_name=_taken_name(known),
        rename_atomic=Choice("yes", "declared") if acquirer.drop.rename_atomic else Choice("no", "default"),
        bandwidth_limit_mb_s=_declared(sftp, "bandwidth_limit_mb_s", 0),
        profile=known.said,
        lacks=_lacks(verify, known),
    )


def _known(sftp: Sftp, record: AcquirerProfile | None, host_key: str, now: datetime) -> Known:
    if record is None:
        return Known(None, "never probed")
    when = f"{record.probed_at:%Y-%m-%d}"
    if record.host_key != host_key:
        return Known(None, f"the profile of {when} is not used: the host key was another")
    if now - record.probed_at > timedelta(days=sftp.profile_age_days_max):
        return Known(None, f"the profile of {when} is not used: it is older than {sftp.profile_age_days_max} days")
    return Known(CapabilityProfile.from_json(record.found), f"probed {when}")


def _declared(sftp: Sftp | None, name: str, otherwise: int) -> Choice:
    if sftp is None:
        return Choice(otherwise, "default")
    defaults = {each.name: each.default for each in msgspec.structs.fields(Sftp)}
    value = getattr(sftp, name)
    return Choice(value, "default" if value == defaults[name] else "declared")


def _verify(acquirer: AcquirerSection, known: Known) -> Choice:
    """`strongest` is settled here: in the order hash extension, read back, size. Not known means read back, never less."""
    if acquirer.verify != "strongest":
        return Choice(acquirer.verify, "default" if acquirer.verify == "size" else "declared")
    if acquirer.s3 is not None:
        return Choice("size", "strongest: a bucket compares a checksum itself")
    if acquirer.directory is not None:
        return Choice("read_back", "strongest: a directory is read back")
    profile = known.profile
    if profile is not None and _tells_sha256(profile):
        return Choice("hash_extension", f"strongest, {known.said}")
    if profile is not None and _gives_nothing_back(profile):
        return Choice("size", f"strongest, {known.said}: reading back {profile.read_back}, no SHA-256")
    return Choice("read_back", f"strongest, {known.said}")


def _lacks(verify: Choice, known: Known) -> tuple[str, ...]:
    """Gravest first. A verdict that is none stops nothing: the delivery will see for itself."""
    profile = known.profile
    if profile is None:
        return ()
    found = [
        (profile.rename != WORKS and not profile.rename.startswith(UNKNOWN), f"its rename: {profile.rename}"),
        (
            profile.stat_after_put != EQUAL and not profile.stat_after_put.startswith(UNKNOWN),
            f"it does not tell the size of what was uploaded: {profile.stat_after_put}",
        ),
        (
            verify.value == "hash_extension" and not _tells_sha256(profile),
            'verify = "hash_extension" is declared, and its server does not tell the SHA-256 of a file',
        ),
        (
            verify.value == "read_back" and _gives_nothing_back(profile),
            f'verify = "read_back" is declared, and reading back from its server: {profile.read_back}',
        ),
    ]
    return tuple(f"{what} ({known.said})" for is_lacking, what in found if is_lacking)


def _gives_nothing_back(profile: CapabilityProfile) -> bool:
    return profile.read_back not in {EQUAL, NOT_TRIED} and not profile.read_back.startswith(UNKNOWN)


def _tells_sha256(profile: CapabilityProfile) -> bool:
    return profile.hashes.get("check-file") == RIGHT_SHA256


def _fsync(known: Known) -> Choice:
    if known.profile is None:
        return Choice("where offered", "default")
    return Choice("asked for" if known.profile.fsync == WORKS else known.profile.fsync, known.said)


def _requests(known: Known) -> int | None:
    """How many were under way at most when the probe wrote; None when the server took as many as were tried."""
    speeds = {} if known.profile is None else known.profile.bytes_per_s
    return None if not speeds or "32" in speeds else max(map(int, speeds))


def _taken_name(known: Known) -> Choice:
    # We look in any case, also where the server refuses: a probe of yesterday is no lock for today.
    match None if known.profile is None else known.profile.rename_existing:
        case None:
            return Choice(LOOK, "default")
        case profiles.REFUSES:
            return Choice(f"{LOOK}, and the server refuses it", known.said)
        case _:
            return Choice(LOOK_TWICE, known.said)
