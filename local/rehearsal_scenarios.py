"""The scenarios of `tieout rehearse`: what the server does wrong in each, and how our own delivery must end there."""

from __future__ import annotations

from dataclasses import dataclass

from local.hostile_switches import Planted, Switches

FILE_BYTES = 1_000_000
"""More than three blocks of any size that a client may write at once."""
DELIVERED, IN_DOUBT, WAITING = "delivered", "in_doubt", "waiting"
COLLECTED, LEFT_ALONE = "collected", "left_alone"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One rehearsal. `must_end` is the only honest verdict; `collects`: a result is fetched instead of a file delivered.

    `limit_s` is how long our side waits for an answer: long, where a busy machine must not look like a fault.
    """

    name: str
    says: str
    switches: Switches
    must_end: str
    collects: bool = False
    limit_s: int = 15


def _lost(request: str, must_end: str = DELIVERED) -> Scenario:
    switches = Switches(lose_reply=(Planted(request),), times=1)
    return Scenario(f"{request}-reply-lost", f"the {request} is done, its answer is lost", switches, must_end)


def _refused(request: str, must_end: str) -> Scenario:
    return Scenario(
        f"{request}-refused", f"the server refuses every {request}", Switches(refuse=(Planted(request),)), must_end
    )


def _cut(share: int) -> Scenario:
    switches = Switches(cut_at_byte=FILE_BYTES * share // 100, times=1)
    return Scenario(f"cut-at-{share}", f"the link is cut once at {share} % of the bytes", switches, DELIVERED)


SCENARIOS = (
    Scenario("plain", "nothing goes wrong", Switches(), DELIVERED),
    Scenario("slow", "every answer takes a twentieth of a second", Switches(slow_s=0.05), DELIVERED),
    *(_cut(share) for share in (0, 1, 50, 99, 100)),
    *(_lost(request) for request in ("open", "write", "close", "stat")),
    _lost("rename"),
    Scenario(
        "rename-reply-lost-archived",
        "the answer to the rename is lost, and the file is in the archive at once",
        Switches(lose_reply=(Planted("rename"),), take_away_ms=0, take_to="archive", times=1),
        DELIVERED,
    ),
    Scenario(
        "rename-reply-lost-taken",
        "the answer to the rename is lost, and the file is nowhere to be seen",
        Switches(lose_reply=(Planted("rename"),), take_away_ms=0, times=1),
        IN_DOUBT,
    ),
    Scenario("taken-at-once", "the acquirer takes the file before we look again", Switches(take_away_ms=0), DELIVERED),
    _refused("login", WAITING),
    _refused("open", WAITING),
    Scenario(
        "third-write-refused", "the disk is full at the third block", Switches(refuse=(Planted("write", 3),)), DELIVERED
    ),
    _refused("fsync", DELIVERED),
    _refused("stat", WAITING),
    # A server may have linked the new name before it says no: only a person can ask.
    _refused("rename", IN_DOUBT),
    _refused("posix-rename", DELIVERED),
    Scenario("full-at-close", "the disk is full when the file is closed", Switches(full_at_close=True), WAITING),
    Scenario("vanish-at-close", "closing succeeds, and the file is not there", Switches(vanish_at_close=True), WAITING),
    Scenario("lie-about-size", "every size is told one byte too large", Switches(lie_about_size=True), WAITING),
    Scenario("flip-host-key", "another host key on every connection", Switches(flip_host_key=0), WAITING),
    Scenario("silent", "connections are accepted, and nothing is said", Switches(silent=True), WAITING, limit_s=1),
    Scenario("grow-results", "a result grows while it is read", Switches(grow_results=True), LEFT_ALONE, collects=True),
    Scenario("serve-once", "a result is gone once it was read", Switches(serve_once=True), COLLECTED, collects=True),
)
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
