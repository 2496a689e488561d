"""Finds what the words of a command name, and says what could be named instead."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from payments.config import AcquirerSection, Configuration


def named_acquirer(configuration: Configuration, name: str) -> AcquirerSection:
    """The section of that name. A name that nobody has would find nothing, and look like good news. Raises NotAllowed."""
    from payments.errors import NotAllowed

    found = configuration.acquirer_named(name)
    if found is None:
        known = ", ".join(each.name for each in configuration.acquirer) or "none"
        raise NotAllowed(f"there is no acquirer {name!a}", next_step=f"Configured: {known}.")
    return found
