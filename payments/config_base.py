"""What every section of the configuration is made of: a strict record, and the kinds of values that several sections share."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
Positive = Annotated[int, Meta(ge=1)]
NotNegative = Annotated[int, Meta(ge=0)]
TimeOfDay = Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}$")]
Direction = Literal["CRDT", "DBIT"]


class Section(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the configuration: an unknown key in it is an error."""
