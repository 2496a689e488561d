"""Decides what the acquirer does wrong: a pure function of seed, partner, file name and number of payments, and of nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from local.acquirer.settings import Partner

REASONS = ("AC04", "AC06", "AM04", "MS03", "RR04", "NARR")
NARRATIVES = ("limit of the merchant reached", "terminal not active", "merchant agreement ended")
AMOUNT_CHANGE_MAX = 999
INVENTED_MINOR_MAX = 99_999

NEVER_PLANTED = {
    "all": frozenset[str](),
    # Where silence means yes, a line left out or put off would be a silent yes, and nothing positive is there to repeat.
    "exceptions_only": frozenset({"omitted", "repeated", "late"}),
    # Where silence means no, a rejection is silence already: there is nothing that could contradict it.
    "successes_only": frozenset({"conflicting"}),
}


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens to one payment. `change_minor` may be either sign; it is turned where the amount would not stay positive."""

    kind: str
    code: str = ""
    text: str = ""
    change_minor: int = 0


@dataclass(frozen=True, slots=True)
class Invention:
    """A line about a payment that nobody sent."""

    reference: str
    minor: int
    account: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Decisions by line (from 1), and inventions by the line they follow. All other payments are confirmed."""

    decisions: dict[int, Decision]
    inventions: dict[int, Invention]

    def answers(self) -> tuple[int, ...]:
        """The numbers of the result files that have content; the first is always written, because it closes the set."""
        kinds = {decision.kind for decision in self.decisions.values()}
        return (1, *((2,) if "late" in kinds else ()), *((3,) if "returned" in kinds else ()))


def decide(seed: int, partner: Partner, file: str, count: int) -> Plan:
    """The plan for one file of `count` payments. Drawing lines once per file is what keeps a million payments cheap."""
    rng = Random(f"{seed}/{partner.name}/{file}")  # noqa: S311 - repeatable by seed is the point
    never = NEVER_PLANTED[partner.results_list]
    kinds = [
        kind
        for kind in sorted(partner.shares)
        for _ in range(_rounded(partner.shares[kind] * count, rng))
        if kind not in never
    ]
    lines = rng.sample(range(1, count + 1), min(count, len(kinds)))
    chosen = dict(sorted(zip(lines, kinds, strict=False)))
    decisions = {line: _decision(kind, rng) for line, kind in chosen.items() if kind != "invented"}
    inventions = {line: _invention(rng) for line, kind in chosen.items() if kind == "invented"}
    return Plan(decisions, inventions)


def _rounded(wanted: float, rng: Random) -> int:
    """Up or down at random, so that small files have their fair share as well."""
    return int(wanted + rng.random())


def _decision(kind: str, rng: Random) -> Decision:
    if kind == "amount_changed":
        return Decision(kind, change_minor=rng.choice((-1, 1)) * rng.randint(1, AMOUNT_CHANGE_MAX))
    if kind in {"rejected", "returned", "conflicting"}:
        code = rng.choice(REASONS)
        return Decision(kind, code, rng.choice(NARRATIVES) if code == "NARR" else "")
    return Decision(kind)


def _invention(rng: Random) -> Invention:
    account = f"DE{rng.randrange(10**20):020d}"
    return Invention(f"INV{rng.randrange(16**12):012X}", rng.randint(1, INVENTED_MINOR_MAX), account)
