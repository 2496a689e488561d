"""The bill: that it adds up, grows with what it counts, and says what it rests on; with figures of our own and with the measured ones."""

from __future__ import annotations

import json
import re
from dataclasses import fields, replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tieout.__main__ import main
from tieout.cost_around import METRICS, METRICS_PER_ACQUIRER, METRICS_PER_SOURCE
from tieout.cost_assumptions import Assumptions
from tieout.cost_bill import MILLION, TARGET_USD, Bill, bill
from tieout.cost_compute import CALLED
from tieout.cost_limits import limits
from tieout.cost_lines import CENT_PART, Job
from tieout.cost_tables import read_measured, read_prices
from tieout.cost_work import Work, chain

FEW = settings(deadline=None, max_examples=30, database=None)
PAYMENTS = st.integers(0, 10**10)
SMALL = st.integers(0, 50)
PRICES = read_prices("eu-central-1")
CHAIN = chain(read_measured())


def job(payments: int = 1_000_000, *, sources: int = 1, acquirers: int = 1, assumed: Assumptions | None = None) -> Job:
    return Job(
        Decimal(payments),
        Decimal(sources),
        Decimal(acquirers),
        assumed or Assumptions(),
        PRICES,
        CHAIN,
    )


def cost(*arguments: str) -> int:
    return main(["cost", *arguments])


@FEW
@given(PAYMENTS, SMALL, SMALL)
def test_parts_sum_to_the_total(payments: int, sources: int, acquirers: int) -> None:
    """Lines make up services, services the total, floor and marginal each by themselves, to the last digit."""
    found = bill(job(payments, sources=sources, acquirers=acquirers))
    services = found.services().values()
    assert sum(each.floor for each in services) == found.total.floor
    assert sum(each.marginal for each in services) == found.total.marginal
    assert sum(line.total_usd for line in found.lines) == found.total.total


@FEW
@given(PAYMENTS, PAYMENTS, SMALL, SMALL)
def test_more_payments_never_cost_less(few: int, more: int, sources: int, acquirers: int) -> None:
    """Line by line; and what does not depend on payments stays what it is."""
    less, rest = sorted((few, more))
    small, large = (bill(job(n, sources=sources, acquirers=acquirers)) for n in (less, rest))
    for a, b in zip(small.lines, large.lines, strict=True):
        assert a.marginal_usd <= b.marginal_usd
        assert a.floor_usd == b.floor_usd


@FEW
@given(SMALL, SMALL)
def test_another_source_or_acquirer_never_costs_less(sources: int, acquirers: int) -> None:
    """Each brings runs, polls, secrets and figures of its own."""
    found = [bill(job(sources=s, acquirers=a)).total.total for s, a in ((0, 0), (1, 0), (1, 1))]
    more = bill(job(sources=sources + 1, acquirers=acquirers + 1)).total.total
    assert bill(job(sources=sources, acquirers=acquirers)).total.total < more
    assert found == sorted(found)


@FEW
@given(st.integers(1, 10**7), st.integers(2, 1000))
def test_what_payments_cost_is_linear(payments: int, times: int) -> None:
    """So many times the payments cost so many times as much, but for the rounding of each line."""
    one, many = bill(job(payments)), bill(job(payments * times))
    for a, b in zip(one.lines, many.lines, strict=True):
        assert abs(a.marginal * times - b.marginal) < Decimal("1e-15")
        assert abs(a.marginal_usd * times - b.marginal_usd) <= CENT_PART * times


def test_without_payments_there_is_a_floor_and_nothing_else() -> None:
    """What only payments cost is 0; what stands there all month is not."""
    found = bill(job(0))
    assert found.total.marginal == 0
    assert {"Aurora", "NAT", "Endpoints", "WAF", "KMS", "SQS"} <= {
        n for n, each in found.services().items() if each.floor
    }


def test_a_million_payments_cost_what_their_stages_cost() -> None:
    """Worked by hand for one stage; the sum of all is what payments add to Lambda, SQS and requests to S3."""
    found, asked = bill(job()), job()
    work = asked.chain.per_payment["read"] * MILLION
    wait = (work.s3_get + work.s3_put + work.s3_list) * Decimal("0.03") + work.s3_bytes / 75_000_000
    wait += work.statements * Decimal("0.002")
    seconds = work.cpu_s * 1769 / 1024 + wait
    [part] = [each for each in found.per_million if each.stage == "read"]
    assert part.seconds == pytest.approx(seconds)
    assert part.compute == pytest.approx(seconds * Decimal("0.0000166667") + work.invocations * Decimal("2e-7"))
    assert part.queue == pytest.approx((work.messages + 2 * work.invocations) * Decimal("4e-7"))
    assert part.store == pytest.approx(
        (work.s3_put + work.s3_list) * Decimal("5.4e-6") + work.s3_get * Decimal("4.3e-7")
    )
    month = bill(job(10**9))
    lines = [
        e
        for e in month.lines
        if e.service in {"Lambda", "SQS"} or (e.service == "S3" and e.price in {"s3_put", "s3_get"})
    ]
    together = sum(each.marginal_usd for each in lines if each.price != "lambda_disk_gb_s")
    millions = job(10**9).payments / MILLION
    extracting = asked.chain.per_payment["extract"] * MILLION
    task = extracting.s3_put * Decimal("5.4e-6") + extracting.s3_get * Decimal("4.3e-7")
    assert together / millions == pytest.approx(month.per_million_usd + task, rel=Decimal("1e-6"))


def test_the_target_holds_with_what_was_measured() -> None:
    """At most 0.01 USD of Lambda, SQS and requests to S3 for a million payments, in both regions of the table."""
    for region in ("us-east-1", "eu-central-1"):
        assert bill(replace(job(), prices=read_prices(region))).per_million_usd <= TARGET_USD


@pytest.mark.parametrize(("days", "shares"), [(20, (20, 0, 0)), (90, (60, 30, 0)), (200, (60, 60, 80))])
def test_objects_cost_less_with_age(days: int, shares: tuple[int, int, int]) -> None:
    """Each day's objects lie in the class of their age: 60 days, 60 more, the rest; moved and watched from day 30 on."""
    found = bill(job(assumed=Assumptions().changed([f"kept_days={days}"])))
    lines = {line.price: line.marginal for line in found.lines if line.service == "S3"}
    prices = ("s3_gb_month", "s3_infrequent_gb_month", "s3_archive_gb_month")
    a_day = sum(lines[price] for price in prices) / days
    assert [lines[price] for price in prices] == pytest.approx([a_day * share for share in shares])
    assert (lines["s3_transition"] > 0) == (lines["s3_tiering_object_month"] > 0) == (days > 30)


def test_what_a_deployment_could_not_do_is_said() -> None:
    """A run too large for one invocation, a day too short for what is done one after the other; with the way out."""
    assert not list(limits(job(10_000_000)))
    found = list(limits(job(1_000_000_000)))
    assert any("time-out is 900 s" in text for text in found)
    [runs] = {int(each) for text in found for each in re.findall(r"runs_per_day=(\d+)", text)}
    assert not list(limits(job(1_000_000_000, assumed=Assumptions().changed([f"runs_per_day={runs}"]))))
    assert list(limits(job(1_000_000_000, assumed=Assumptions().changed([f"runs_per_day={runs - 2}"]))))
    assert [text.partition(" ")[0] for text in limits(job(10**11))] == [
        "assemble",
        "assemble",
        "deliver",
        "collect",
        "reconcile",
    ]


def test_small_and_large_are_told_apart() -> None:
    """What a run costs once is not multiplied by its payments, and a figure that fell is no gain."""
    stages = {each.name: {"invocations": 2, "cpu_s": Decimal(3)} for each in (*CALLED, _Named("extract"))}
    more = {name: {"invocations": 1, "cpu_s": Decimal(12)} for name in stages}
    kept = {f"{what}_{unit}": 0 for what in ("sent", "received") for unit in ("files", "bytes")}
    measured = {
        "small": {"payments": 100, "stages": stages, "kept": kept},
        "large": {"payments": 1000, "stages": more, "kept": kept},
        "idle": {"times": 2, "ledger_log_bytes": 10, "tick": {"cpu_s": Decimal(1)}, "collect": {"cpu_s": Decimal(4)}},
    }
    found = chain(measured)
    assert found.per_payment["read"].cpu_s == Decimal("0.01")
    assert found.per_run["read"].cpu_s == 2
    assert (found.per_payment["read"].invocations, found.per_run["read"].invocations) == (0, 2)
    assert (found.idle["tick"].cpu_s, found.idle["collect"].cpu_s) == (Decimal("0.5"), 2)
    assert found.idle["collect"].sessions == 1


class _Named:
    def __init__(self, name: str) -> None:
        self.name = name


def test_less_memory_makes_processor_time_longer_and_more_does_not_make_it_shorter() -> None:
    """One vCPU from 1,769 MB on; waiting is the same everywhere."""
    work, assumed = Work(cpu_s=Decimal(10), statements=Decimal(100)), Assumptions()
    assert work.billed_s(1024, assumed) == pytest.approx(Decimal("17.475"), rel=Decimal("0.001"))
    assert work.billed_s(2048, assumed) == work.billed_s(4096, assumed) == Decimal("10.2")


@pytest.mark.parametrize("name", [each.name for each in fields(Assumptions)])
def test_every_assumption_decides_something(name: str) -> None:
    """Another value gives another bill; there is none that nothing depends on."""
    asked = job(10_000_000)
    assumed = replace(asked.assumed, **{name: getattr(asked.assumed, name) * 3 + 1})
    assert _amounts(bill(replace(asked, assumed=assumed))) != _amounts(bill(asked))


def _amounts(found: Bill) -> list[Decimal]:
    return [line.total_usd for line in found.lines]


def test_every_price_of_the_table_is_used_and_says_where_it_is_from() -> None:
    """In every region; with its unit and page."""
    lines = {line.price for line in bill(job()).lines}
    for region in ("us-east-1", "eu-central-1"):
        assert set(read_prices(region).usd) == lines
    text = Path("tieout/data/prices.toml").read_text()
    assert (
        text.count("[price.")
        == text.count('\npage = "https://aws.amazon.com/')
        == text.count('\nseen = "')
        == len(lines)
    )


def test_measures_are_counted_as_they_are_published() -> None:
    """The names in runtime/measures.py: of the whole, of a source, of an acquirer."""
    names = set(re.findall(r'\(?"([A-Z]\w+)", "(?:Count|Bytes|Seconds)"', Path("runtime/measures.py").read_text()))
    names |= set(re.findall(r'\("(\w+)", found\.', Path("runtime/measures.py").read_text()))
    names -= {"Count", "Bytes"}
    assert len(names) == METRICS + METRICS_PER_SOURCE + METRICS_PER_ACQUIRER


def test_the_screen_names_every_assumption_and_what_was_measured(capsys: pytest.CaptureFixture[str]) -> None:
    """With its value, so that a reader knows what to doubt."""
    assert cost("--payments-per-day", "10000000", "--assume", "zones=2") == 0
    text = capsys.readouterr().out
    for each in fields(Assumptions):
        assert re.search(rf"^{each.name} +\d", text, re.MULTILINE), each.name
    assert re.search(r"^zones +2 ", text, re.MULTILINE)
    measured = read_measured()
    assert str(measured["measured_on"]) in text
    assert str(measured["machine"]) in text
    assert "--assume NAME=VALUE" in text
    assert "--prices FILE" in text


def test_json_is_one_object_whose_parts_sum(capsys: pytest.CaptureFixture[str]) -> None:
    """Amounts are texts, so that they stay exact."""
    assert (
        cost("--payments-per-day", "100000", "--sources", "2", "--acquirers", "3", "--region", "us-east-1", "--json")
        == 0
    )
    found = json.loads(capsys.readouterr().out)
    assert (found["payments_per_day"], found["sources"], found["acquirers"], found["region"]) == (
        100_000,
        2,
        3,
        "us-east-1",
    )
    total = Decimal(found["usd_per_month"]["total"])
    assert total == sum(Decimal(each["usd"]) for each in found["lines"])
    assert total == sum(Decimal(each["total"]) for each in found["services"].values())
    assert Decimal(found["per_million"]["usd"]) == sum(Decimal(each["usd"]) for each in found["per_million"]["stages"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--region", "mars-1"), "eu-central-1, us-east-1"),
        (("--assume", "zons=2"), "no such assumption"),
        (("--assume", "zones=two"), "no number"),
        (("--assume", "zones=-1"), "from 0"),
        (("--assume", "zones=NaN"), "from 0"),
        (("--assume", "line_mb_s=0"), "more than 0"),
        (("--sources", "-1"), "--sources"),
        (("--prices", "missing.toml"), "No such file"),
    ],
)
def test_wrong_use_is_said(arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 2 and what is allowed."""
    assert cost("--payments-per-day", "1", *arguments) == 2
    text = capsys.readouterr().err
    assert said in text
    assert "next step:" in text


def test_another_price_table_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also with a region of its own; a wrong one is refused, whatever is wrong with it."""
    table = Path("tieout/data/prices.toml").read_text().replace("eu-central-1 =", "moon-1 =")
    path = tmp_path / "prices.toml"
    path.write_text(table.replace("date = 2026-11-21", "date = 2031-05-06"))
    assert cost("--payments-per-day", "1", "--region", "moon-1", "--prices", str(path)) == 0
    assert "Prices of 2031-05-06" in capsys.readouterr().out
    wrong = (
        "not toml",
        "date = 2031-05-06\n",
        "[price.nat_hour]\nmoon-1 = 1\n",
        table.replace("moon-1 = 0.14", 'moon-1 = "x"'),
    )
    for text in (*wrong, table.replace("moon-1 = 0.14", "moon-1 = -1"), table.replace("moon-1 = 0.14", "")):
        path.write_text(text)
        assert cost("--payments-per-day", "1", "--region", "moon-1", "--prices", str(path)) == 2
