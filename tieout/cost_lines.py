"""What is asked about, and one line of a bill: how much of what, at which price. Everything else of `tieout cost` makes or reads these."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from functions.topology import BESIDE
from tieout.cost_assumptions import Assumptions
from tieout.cost_tables import Prices
from tieout.cost_work import ZERO, Chain, Work

HOURS = Decimal(730)
"""Of a month, as AWS counts; so a month has 730 / 24 days."""
DAYS = Decimal("30.416666666666666667")
GB = Decimal(1 << 30)
CENT_PART = Decimal("0.000001")
"""Amounts are rounded to this before anything is added up, so that parts make up the total to the last digit."""
PER_ACQUIRER = ("deliver", "collect", "read", "reconcile")
"""Stages that a run starts for every acquirer; it starts the others once."""


@dataclass(frozen=True)
class Line:
    """`floor` is what is used without any payment; `marginal` is what payments add."""

    service: str
    what: str
    price: str
    usd: Decimal
    floor: Decimal = ZERO
    marginal: Decimal = ZERO

    @property
    def floor_usd(self) -> Decimal:
        return (self.floor * self.usd).quantize(CENT_PART)

    @property
    def marginal_usd(self) -> Decimal:
        return (self.marginal * self.usd).quantize(CENT_PART)

    @property
    def total_usd(self) -> Decimal:
        return self.floor_usd + self.marginal_usd


@dataclass(frozen=True)
class Job:
    """What the bill is for: payments a day, and everything it depends on."""

    payments_per_day: Decimal
    sources: Decimal
    acquirers: Decimal
    assumed: Assumptions
    prices: Prices
    chain: Chain

    @property
    def payments(self) -> Decimal:
        """A month."""
        return self.payments_per_day * DAYS

    @property
    def runs(self) -> Decimal:
        """A month, of all sources."""
        return self.assumed.runs_per_day * self.sources * DAYS

    @property
    def polls(self) -> Decimal:
        """A month, of all outboxes."""
        return self.assumed.polls_per_hour * self.acquirers * HOURS

    @property
    def ticks(self) -> Decimal:
        """A month."""
        [tick] = [each for each in BESIDE if each.name == "tick"]
        return HOURS * 3600 / tick.schedule_s

    def floor(self, stage: str) -> Work:
        """Of a stage in a month: what runs and looks into outboxes need, however few payments there are."""
        per_run = self.acquirers if stage in PER_ACQUIRER else Decimal(1)
        work = self.chain.per_run[stage] * (self.runs * per_run)
        return work + self.chain.idle["collect"] * self.polls if stage == "collect" else work

    def marginal(self, stage: str) -> Work:
        """Of a stage in a month: what payments need beyond that."""
        return self.chain.per_payment[stage] * self.payments

    def kept(self, name: str) -> tuple[Decimal, Decimal]:
        """Of what is kept or moved in a month: (floor, marginal)."""
        return self.chain.kept_per_run[name] * self.runs, self.chain.kept_per_payment[name] * self.payments

    def line(
        self, service: str, what: str, price: str, floor: Decimal | int = ZERO, marginal: Decimal | int = ZERO
    ) -> Line:
        return Line(service, what, price, self.prices.of(price), Decimal(floor), Decimal(marginal))
