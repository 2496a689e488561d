"""A concern: something that a person must look at, with the words of the command that goes on from there."""

from __future__ import annotations

import shlex
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Concern:
    """`words` follow `tieout` on the command line. That command is always safe to give: it shows, or tries what fails."""

    text: str
    words: tuple[str, ...]

    @property
    def command(self) -> str:
        """The command for somebody whose configuration is found without being named."""
        return shlex.join(("tieout", *self.words))
