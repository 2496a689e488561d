"""Writes the command that goes on from here so that it works when it is copied: quoted, and with the configuration in use."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from payments.concerns import Concern
    from runtime.wiring import World


def command(world: World, *words: str) -> str:
    """`tieout WORDS`, with `--config` where the command would otherwise find another configuration, or none."""
    from runtime.settings import find_path

    path = world.settings.path
    found = find_path(None)
    is_found = found == path or (not path.startswith("s3://") and os.path.realpath(found) == os.path.realpath(path))
    return shlex.join(["tieout", *words, *([] if is_found else ["--config", path])])


def told(world: World, word: str, concerns: Iterable[Concern]) -> str:
    """`WORD: text` for each, and below it the next command; one that is the same for several stands behind the last of them."""
    from tieout.show import clean

    each = list(concerns)
    lines = []
    for at, concern in enumerate(each):
        lines.append(f"{word}: {clean(concern.text)}")
        if at + 1 == len(each) or each[at + 1].words != concern.words:
            lines.append(f"next: {clean(command(world, *concern.words))}")
    return "\n".join(lines)
