"""tieout cost: what a month on AWS costs, by service, from measured work and a dated price table."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tieout.cost_lines import Job

HELP = "what a month on AWS would cost"
REGION = "eu-central-1"
PAYMENTS_MAX = 10**12
PARTNERS_MAX = 10_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--payments-per-day", type=int, required=True, metavar="N", help="payments a day, every day")
    parser.add_argument("--region", default=REGION, help=f"a region of the price table (default {REGION})")
    parser.add_argument("--sources", type=int, default=1, help="how many sources (default 1)")
    parser.add_argument("--acquirers", type=int, default=1, help="how many acquirers (default 1)")
    parser.add_argument("--prices", default="", metavar="FILE", help="another price table")
    parser.add_argument(
        "--assume", action="append", default=[], metavar="NAME=VALUE", help="another value of an assumption; repeatable"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    from tieout.cost_bill import bill
    from tieout.cost_tables import read_measured
    from tieout.cost_text import as_json, as_text
    from tieout.show import print_json

    measured = read_measured()
    asked = job(args, measured)
    found = bill(asked)
    if args.json:
        print_json(as_json(asked, found, measured))
    else:
        print(as_text(asked, found, measured))
    return 0


def job(args: argparse.Namespace, measured: dict[str, Any]) -> Job:
    """What the arguments ask for. Raises NotAllowed."""
    from decimal import Decimal, localcontext

    from payments.errors import NotAllowed
    from tieout.cost_assumptions import Assumptions
    from tieout.cost_bill import PRECISION
    from tieout.cost_lines import Job
    from tieout.cost_tables import read_prices
    from tieout.cost_work import chain

    for option, value, most in (
        ("--payments-per-day", args.payments_per_day, PAYMENTS_MAX),
        ("--sources", args.sources, PARTNERS_MAX),
        ("--acquirers", args.acquirers, PARTNERS_MAX),
    ):
        if not 0 <= value <= most:
            raise NotAllowed(f"{option}: found {value}; allowed: 0 to {most:,}", next_step="Give another number.")
    with localcontext(prec=PRECISION):
        work = chain(measured)
    return Job(
        payments_per_day=Decimal(args.payments_per_day),
        sources=Decimal(args.sources),
        acquirers=Decimal(args.acquirers),
        assumed=Assumptions().changed(args.assume),
        prices=read_prices(args.region, args.prices),
        chain=work,
    )
