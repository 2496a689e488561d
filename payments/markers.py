"""Names of markers: empty files by which an acquirer says that another file, or all results of one of ours, are complete."""

from __future__ import annotations

from payments.config import AcquirerSection

SAID = ("complete", "concluded")
"""States of a marker's sighting in which it counts: results of our file are complete; and reconcile has looked since."""


def marker_of(acquirer: AcquirerSection, name: str) -> str:
    """What the marker of a file of this name is called."""
    return acquirer.results.marker.replace("{name}", name)


def named_by(acquirer: AcquirerSection, marker: str) -> str:
    """The name within the name of a marker; empty when the acquirer uses none, or this is none."""
    if acquirer.results.stable != "marker" and acquirer.complete_when != "marker":
        return ""
    before, _, behind = acquirer.results.marker.partition("{name}")
    if not marker.startswith(before) or not marker.endswith(behind):
        return ""
    return marker[len(before) : len(marker) - len(behind)]
