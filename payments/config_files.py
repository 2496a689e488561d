"""The tables of an acquirer that declare what its files look like: fixed width, columns, splitting, compression, PGP; and what lies beside them."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from payments.config_base import NotNegative, Section

Format = Literal[
    "delimited",
    "delimited_columns",
    "fixed_width",
    "pain.001.001.03",
    "pain.001.001.09",
    "pain.001.001.11",
    "pain.008.001.08",
]
"""What we send. See docs/formats.md."""

Width = Annotated[int, Meta(ge=1, le=1000)]
DateFormat = Literal["%Y%m%d", "%Y-%m-%d", "%d.%m.%Y", "%d%m%Y", "%y%m%d"]


class FixedField(Section, frozen=True, kw_only=True):
    """One field of a fixed-width record: a value of ours by `name`, or `constant`, which every payment must then agree with."""

    record: Literal["header", "detail", "trailer"] = "detail"
    name: str
    width: Width
    align: Literal["left", "right"] = "left"
    pad: Literal[" ", "0"] = " "
    constant: str | None = None
    values: dict[str, str] = field(default_factory=dict)


class FixedWidth(Section, frozen=True, kw_only=True):
    """Records of fixed width: a header and a trailer where they have fields, and one detail record per payment."""

    field: Annotated[list[FixedField], Meta(min_length=1, max_length=200)]
    encoding: Literal["ascii", "iso-8859-1"] = "ascii"
    line_end: Literal["lf", "crlf"] = "lf"
    date_format: DateFormat = "%Y%m%d"


class DelimitedColumns(Section, frozen=True, kw_only=True):
    """One line per payment with these columns of ours; with `head` a first line of `titles` (without them, our names)."""

    columns: Annotated[list[str], Meta(min_length=1, max_length=100)]
    titles: list[str] = field(default_factory=list)
    separator: Literal[",", ";", "|", "\t"] = ";"
    head: bool = True
    line_end: Literal["lf", "crlf"] = "lf"
    date_format: DateFormat = "%Y-%m-%d"


Layout = FixedWidth | DelimitedColumns
"""A declared layout: the writer, the check before sealing and the proof read the same one."""


PACKED = {"none": "", "gzip": ".gz", "zstd": ".zst"}
ENCRYPTED = ".pgp"


class Split(Section, frozen=True, kw_only=True):
    """When a file is full, besides its rows. 0 and empty: no limit. Amounts in minor units by `EUR` or `EUR/CRDT`."""

    bytes_per_file_max: NotNegative = 0
    amount_per_file_max: dict[str, Annotated[int, Meta(ge=1)]] = field(default_factory=dict)
    group_payments: bool = False


class Pgp(Section, frozen=True, kw_only=True):
    """Encryption to OpenPGP keys. `recipients` are public keys, `sign_key` is a private one with its `passphrase`; all by reference."""

    recipients: Annotated[list[str], Meta(min_length=1, max_length=20)]
    sign_key: str = ""
    passphrase: str = ""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every reference that is used."""
        return tuple(filter(None, (*self.recipients, self.sign_key, self.passphrase)))


class Encode(Section, frozen=True, kw_only=True):
    """What is done to the bytes of a written file before it is sealed."""

    compression: Literal["none", "gzip", "zstd"] = "none"
    pgp: Pgp | None = None

    @property
    def suffix(self) -> str:
        """What it adds to the name of a file."""
        packed = PACKED[self.compression]
        return packed if self.pgp is None else f"{packed}{ENCRYPTED}"


def unwrapped_names(name: str) -> tuple[str, str, str]:
    """What a file may be called on the other side: as it was sent, decrypted, and then unpacked."""
    decrypted = name.removesuffix(ENCRYPTED)
    unpacked = decrypted
    for ending in PACKED.values():
        unpacked = unpacked.removesuffix(ending)
    return name, decrypted, unpacked


class AfterRename(Section, frozen=True, kw_only=True):
    """What is put beside every file once it has its name. Without `name` it is `{name}.done` or `{name}.sha256`."""

    write: Literal["marker", "checksum"]
    name: str = ""

    def name_for(self, file_name: str) -> str:
        """What the companion of a file of this name is called."""
        template = self.name or {"marker": "{name}.done", "checksum": "{name}.sha256"}[self.write]
        return template.replace("{name}", file_name)
