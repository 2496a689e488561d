"""The part of the configuration that says what comes back from an acquirer: names, wrapping, signatures, and by when."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from payments.config_base import NotNegative, Positive, Section

Layer = Literal["pgp", "gzip", "zstd"]
"""What lies around a result file. They are named from the outside in: `["pgp", "gzip"]` was compressed, then encrypted."""


class Signer(Section, frozen=True, kw_only=True):
    """A key that the acquirer signs with: the public key by reference, and the fingerprint that it must have."""

    fingerprint: Annotated[str, Meta(pattern=r"^[0-9A-Fa-f]{40}([0-9A-Fa-f]{24})?$")]
    key: str


class ResultsPgp(Section, frozen=True, kw_only=True):
    """Opening what the acquirer encrypted to `keys`, private ones of ours with one `passphrase`; without keys it is only signed."""

    keys: Annotated[list[str], Meta(max_length=10)] = field(default_factory=list)
    passphrase: str = ""
    signer: Annotated[list[Signer], Meta(max_length=20)] = field(default_factory=list)
    signature: Literal["required", "none"] = "required"

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every reference that is used."""
        return tuple(filter(None, (*self.keys, self.passphrase, *(each.key for each in self.signer))))


class Results(Section, frozen=True, kw_only=True):
    """What comes back: which names are results, and by when (seconds after delivery) every payment must be answered."""

    format: Literal["delimited", "pain.002"] = "delimited"
    names: Annotated[list[str], Meta(min_length=1)] = field(default_factory=lambda: ["*"])
    ignore: list[str] = field(default_factory=lambda: ["*.tmp", "*.part", "*.filepart", ".*"])
    unwrap: Annotated[list[Layer], Meta(max_length=2)] = field(default_factory=list)
    unwrap_names: Annotated[list[str], Meta(min_length=1)] = field(default_factory=lambda: ["*"])
    pgp: ResultsPgp | None = None
    evidence: Literal["any", "signed"] = "any"
    plain_bytes_max: Positive = 4_000_000_000
    plain_ratio_max: Positive = 250
    collect_every_s: Positive = 60
    stable: Literal["listings", "marker"] = "listings"
    stable_listings: Annotated[int, Meta(ge=1, le=2)] = 2
    marker: str = "{name}.ok"
    read_once: bool = False
    after: Literal["leave", "delete", "move"] = "leave"
    archive: str = ""
    acknowledged_after_s: NotNegative = 0
    due_after_s: Positive = 86_400
    bytes_max: Positive = 2_000_000_000
