"""The texts that a demo directory starts with: tieout.toml, the acquirer's settings and the reference table. Pure functions."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from local.legacy_accounts import BANKS
from local.legacy_sample import DATE_FORMAT, ZONE

Delays = Literal["demo", "none"]

START = datetime(2026, 3, 2, 5, tzinfo=UTC)
LASTS = timedelta(hours=44)
READ_AT = ("06:30", "11:00", "15:00")
"""When the source is read, by its own wall clock."""

DELAYS_S = {"ack_delay_s": 60, "result_delay_s": 3_600, "late_delay_s": 21_600, "return_delay_s": 72_000}
NORTHBANK_SHARES = {
    "rejected": 0.01,
    "amount_changed": 0.002,
    "currency_changed": 0.001,
    "omitted": 0.002,
    "repeated": 0.002,
    "invented": 0.001,
    "returned": 0.002,
    "late": 0.01,
    "conflicting": 0.0005,
}
# An acquirer that lists exceptions only cannot leave out, repeat or delay what it never lists.
GIRO_SHARES = {"rejected": 0.01, "invented": 0.001}


@dataclass(frozen=True, slots=True)
class Demo:
    """What is asked of a demo, and the two things that differ from one preparation to the next: port and host key."""

    payments: int
    seed: int
    delays: Delays
    formats: tuple[str, ...]
    port: int
    host_key: str

    @property
    def read_at(self) -> tuple[str, ...]:
        return READ_AT if self.delays == "demo" else READ_AT[:1]

    @property
    def has_giro(self) -> bool:
        return "pain" in self.formats


def runs_at(read_at: Sequence[str]) -> list[datetime]:
    """The first day's reading times as UTC instants."""
    day = START.astimezone(ZONE)
    clocks = [datetime.strptime(text, "%H:%M").time() for text in read_at]  # noqa: DTZ007  (a wall clock, placed below)
    return [day.replace(hour=clock.hour, minute=clock.minute, second=0).astimezone(UTC) for clock in clocks]


def configuration_text(demo: Demo) -> str:
    """tieout.toml; `payments.config.Configuration` accepts it as it stands."""
    parts = [_head(), _source(demo), _curation(demo), _northbank(demo)]
    return "".join([*parts, _giro(demo)] if demo.has_giro else parts)


def _head() -> str:
    return f"""\
# A demo of Tieout: a legacy database on one side, a stand-in acquirer on the other, both made by `tieout demo --prepare`.
# Paths are relative to this file. Nothing in here is secret: keys are named, never written down.

[clock]
# The demo lives in virtual time: the clock stands still while there is work and then jumps to the next due time.
start = {START:%Y-%m-%dT%H:%M:%SZ}
end = {START + LASTS:%Y-%m-%dT%H:%M:%SZ}
peer = "acquirer/clock"             # where the acquirer says that it has done everything due by now

[stores]
root = "file:store"

[ledger]
url = "sqlite:ledger.db"

[dashboard]
port = 0                            # any free one
"""


def _source(demo: Demo) -> str:
    return f"""
[[source]]
name = "legacy"
url = "sqlite:legacy.db"
table = "PAYMENT_JOURNAL"           # insert-only: one row per revision of a payment
primary_key = ["PAY_NO"]            # the payment; its revision is `source_version`
history = true                      # a changed payment is a further row
watermark = "CHG_TS"
watermark_type = "epoch_ms"
zone = "{ZONE.key}"
date_format = "{DATE_FORMAT}"
schedule.at = {_list(demo.read_at)}
stopped = {{ column = "STATE", values = ["S"] }}

[source.columns]                    # ours = theirs
source_version = "REV_NO"
end_to_end_id = "ORDER_REF"
direction = "DRCR"
amount = "AMT"
currency = "CCY"
requested_date = "EXEC_DT"
debtor_name = "DEBTOR_NM"
debtor_account = "DEBTOR_ACCT"
debtor_agent = "DEBTOR_BIC"
creditor_name = "PAYEE_NM"
creditor_account = "PAYEE_ACCT"
creditor_agent = "PAYEE_BIC"
purpose = "PURP"
remittance_unstructured = "NOTE"

[source.values.direction]           # their codes, in any case
C = "CRDT"
CR = "CRDT"
D = "DBIT"
DR = "DBIT"
"""


def _curation(demo: Demo) -> str:
    giro = """
[[curation.route]]                  # the first route whose every condition holds
acquirer = "giro"
currency = ["EUR"]
direction = ["CRDT"]
creditor_country = ["AT", "DE"]
"""
    return f"""
[curation]
currencies = ["EUR", "GBP", "JPY", "KWD", "USD"]
characters = "sepa"
{giro if demo.has_giro else ""}
[[curation.route]]                  # no condition: everything{" else" if demo.has_giro else ""}
acquirer = "northbank"

[curation.reference_table]          # adds the name of the creditor's bank
path = "reference/agents.csv"
key = "bic"
match = "creditor_agent"
take = "name"
"""


def _northbank(demo: Demo) -> str:
    return f"""
[[acquirer]]
name = "northbank"
zone = "{ZONE.key}"
format = "delimited"
results_list = "all"                # it reports every payment
final_status = "ACSC"               # below it a payment is still awaiting
complete_when = "trailer"
sequence = "strict"                 # file numbers grow by exactly one
rows_per_file_max = 50_000
{_sftp(demo, "northbank")}
[acquirer.results]
format = "delimited"
names = ["*.ack", "*.result.*"]
collect_every_s = 3_600
stable_listings = 1                 # it renames whole files into its outbox
due_after_s = 28_800
"""


def _giro(demo: Demo) -> str:
    return f"""
[[acquirer]]
name = "giro"
zone = "{ZONE.key}"
format = "pain.001.001.09"
file_name = "{{acquirer}}_{{business_date:%Y%m%d}}_{{sequence:06d}}_{{generation}}.xml"
results_list = "exceptions_only"    # silence means yes, once the deadline has passed
final_status = "ACSC"
complete_when = "deadline"
sequence = "strict"
rows_per_file_max = 50_000
initiating_party = "Tieout Demo"
{_sftp(demo, "giro")}
[acquirer.results]
format = "pain.002"
names = ["*.ack.xml", "*.result.*.xml"]
collect_every_s = 3_600
stable_listings = 1
due_after_s = 28_800
"""


def _sftp(demo: Demo, user: str) -> str:
    return f"""
[acquirer.sftp]
host = "127.0.0.1"
port = {demo.port}
user = "{user}"
key = "file:keys/client_ed25519"
host_keys = ["{demo.host_key}"]
inbox = "inbox"
outbox = "outbox"
archive = "archive"                 # where it moves what it has taken
rename_atomic = true
"""


def _list(values: Sequence[str]) -> str:
    return json.dumps(list(values))


def acquirer_settings(demo: Demo) -> dict[str, Any]:
    """The value of acquirer.json, which the stand-in acquirer reads."""
    delays = DELAYS_S if demo.delays == "demo" else dict.fromkeys(DELAYS_S, 0)
    partners: list[dict[str, Any]] = [
        {"name": "northbank", "format": "delimited", "results_list": "all", **delays, "shares": NORTHBANK_SHARES}
    ]
    if demo.has_giro:
        format_ = {"format": "pain.001.001.09", "results_list": "exceptions_only"}
        partners.append({"name": "giro", **format_, **delays, "shares": GIRO_SHARES})
    return {"seed": demo.seed, "host": "127.0.0.1", "port": demo.port, "partners": partners}


def agents_text() -> str:
    """The reference table: every bank of the sample with its country and name, as CSV with a header."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("bic", "country", "name"))
    writer.writerows((bank.bic, bank.country, bank.name) for bank in BANKS)
    return out.getvalue()
