"""The capability profile of an acquirer's SFTP server: what a probe found, how it reads, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from payments.config import Sftp

SKEW_S_MAX = 60
FREE_BYTES_MIN = 1 << 30
WORKS, HONOURED, EQUAL, REPLACES, REFUSES, RIGHT = "works", "honoured", "equal", "replaces", "refuses", "right"
RIGHT_SHA256 = f"{RIGHT} (sha256)"
NOT_OFFERED = "not offered"
NOT_TRIED = "not tried"  # by a program older than this question
HIDDEN = "names with a dot are not listed"


@dataclass(frozen=True, slots=True)
class CapabilityProfile:
    """What one probe saw. Verdicts are short words; None: the server does not tell.

    `limits` as the server announces them (packet, read, write: bytes; handles; 0: not told). `hashes`: extension ->
    verdict. `clock_skew_s`: its clock minus ours, to a second. `bytes_per_s`: requests in flight -> speed of writing.
    `rename_atomic` is what the configuration declares: no probe can see it from outside.
    """

    software: str
    host_key: str
    cipher: str
    extensions: tuple[str, ...]
    exclusive_create: str
    stat_after_put: str
    rename: str
    rename_existing: str
    posix_rename: str
    rename_atomic: str
    fsync: str
    limits: Mapping[str, int] | None
    hashes: Mapping[str, str]
    clock_skew_s: int | None
    listing_order: str
    free_bytes: int | None
    round_trip_us: int
    bytes_per_s: Mapping[str, int]
    left_behind: tuple[str, ...] = ()
    read_back: str = NOT_TRIED

    def to_json(self) -> dict[str, Any]:
        """JSON values only."""
        return {**asdict(self), "extensions": list(self.extensions), "left_behind": list(self.left_behind)}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> CapabilityProfile:
        """The reverse; what an older or newer program kept beside these fields is left out."""
        known = {each.name: found[each.name] for each in fields(cls) if each.name in found}
        lists = {name: tuple(known.get(name, ())) for name in ("extensions", "left_behind")}
        return cls(**{**known, **lists})


def rows(profile: CapabilityProfile) -> list[tuple[str, str]]:
    """(what, found) for people, in the order in which a delivery meets it."""
    speeds = [f"{int(speed) / 1e6:.1f} MB/s with {count}" for count, speed in profile.bytes_per_s.items()]
    limits = [f"{name} {value:,}" for name, value in (profile.limits or {}).items() if value]
    hashes = [f"{name}: {verdict}" for name, verdict in profile.hashes.items()]
    return [
        ("software", profile.software),
        ("host key", profile.host_key),
        ("cipher", profile.cipher),
        ("exclusive create", profile.exclusive_create),
        ("size after upload", profile.stat_after_put),
        ("reading back", profile.read_back),
        ("rename", profile.rename),
        ("rename to a taken name", profile.rename_existing),
        ("posix-rename", profile.posix_rename),
        ("rename atomic", profile.rename_atomic),
        ("fsync", profile.fsync),
        ("limits", ", ".join(limits) or NOT_OFFERED),
        ("hashes", ", ".join(hashes) or NOT_OFFERED),
        ("clock skew", "not told" if profile.clock_skew_s is None else f"{profile.clock_skew_s:+d} s"),
        ("order of listings", profile.listing_order),
        ("free space", "not told" if profile.free_bytes is None else f"{profile.free_bytes:,} bytes"),
        ("round trip", f"{profile.round_trip_us / 1000:.1f} ms"),
        ("speed, requests in flight", ", ".join(speeds) or "not measured"),
        ("extensions", ", ".join(profile.extensions) or "none"),
    ]


def advice(profile: CapabilityProfile, sftp: Sftp) -> list[str]:
    """What a person should know or do, the gravest first; empty when nothing stands out."""
    said = []
    if profile.rename != WORKS:
        said.append("No file can be delivered: ask the acquirer for permission to rename in the inbox.")
    if profile.stat_after_put != EQUAL:
        said.append("No delivery can be proved: the server does not tell the size of what was uploaded.")
    if profile.read_back not in {EQUAL, NOT_TRIED}:
        said.append(
            "What was uploaded cannot be read back: after a lost answer only the acquirer can say what arrived."
        )
    if profile.rename_existing == REPLACES:
        said.append("Its rename replaces files: Tieout looks first, but no other program may use the same names.")
    if profile.rename_existing == REPLACES and sftp.rename_atomic is False:
        said.append(
            "Ask the acquirer whether its rename is atomic: only then may `rename_atomic = true` settle a lost answer."
        )
    if profile.exclusive_create != HONOURED:
        said.append("It opens a file that exists although asked not to: nobody else may write into the inbox.")
    if profile.fsync != WORKS:
        said.append("It does not confirm that bytes are on its disk: after a crash of its machine ask for each file.")
    if profile.listing_order == HIDDEN:
        said.append("It does not list names with a dot: left-over temporary files cannot be seen.")
    if profile.clock_skew_s is not None and abs(profile.clock_skew_s) > SKEW_S_MAX:
        said.append(f"Its clock and ours are {abs(profile.clock_skew_s)} s apart: compare times with care.")
    if profile.free_bytes is not None and profile.free_bytes < FREE_BYTES_MIN:
        said.append(f"It has only {profile.free_bytes:,} bytes free.")
    if profile.left_behind:
        said.append(f"The probe could not remove: {', '.join(profile.left_behind)}; ask the acquirer to.")
    return said
