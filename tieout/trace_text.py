"""Writes what `tieout trace` found as lines for people: indented by what belongs to what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from payments.books import Total
from payments.deletions import LIFECYCLE
from payments.display import amounts, clean, money, told, words

Found = Mapping[str, Any]
HIDDEN = "(not shown: it may name a person)"


def lines(found: Found) -> list[str]:
    """Control characters never reach the terminal."""
    match found["kind"]:
        case "run":
            text = [line for each in found["runs"] for line in _run(each)]
        case "file":
            text = [line for each in found["files"] for line in _file(each)]
        case _:
            text = list(_payment(found))
    return [clean(line) for line in text]


def _run(run: Found) -> Iterator[str]:
    yield f"run {run['source']}/{run['ordinal']:06d}, {run['business_date']}: {run['state']} {run['note']}".rstrip()
    yield f"  opened {_at(run['opened_at'])}, closed {_at(run['closed_at'])}, configuration {run['config_hash'][:16]}"
    for term in ("extracted", "curated", "quarantined"):
        yield f"  {term} {_total(run[term])}"
    for chunk in run["chunk_list"]:
        yield f"  chunk {chunk['ordinal']}: {chunk['state']}, {chunk['rows']:,} rows, {chunk['raw']} {chunk['raw_sha256'][:16]} {chunk['note']}".rstrip()
    if run["assembly"]:
        yield f"  taken by assembly {run['assembly']}"
    for file in run["files"]:
        yield f"    file {file['file']}: {file['state']}"
    yield from _gone(run["gone"])
    yield from _audit(run["audit"])


def _file(file: Found) -> Iterator[str]:
    yield f"file {file['name']} ({file['file_id']}), {file['acquirer']} {file['business_date']}: {file['state']}"
    yield f"  number {file['sequence']}, generation {file['generation']}, {file['format']}, assembly {file['assembly']}"
    if file["held"] or file["note"]:
        yield f"  {'held: ' if file['held'] else ''}{file['held'] or file['note']}"
    if file["sha256"]:
        yield f"  {file['object']} {file['size']:,} bytes, SHA-256 {file['sha256']}"
    for term in ("total", "matched", "mismatched", "awaiting"):
        yield f"  {term} {_total(file[term])}"
    for kind, count in file["mismatches_by_kind"].items():
        yield f"  mismatches ever opened: {words(kind)} {count}"
    yield from _delivery(file["attempt_list"], file["receipt"], file["companion"])
    for result in file["results"]:
        uses = result["uses"]
        used = ", ".join(f"{name} {uses[name]}" for name in ("applied", "duplicate", "unknown") if uses[name])
        yield f"  result {result['name']}, collected {_at(result['collected_at'])}: {result['state']}; {used or 'no event'}{_signed(result)}"
    yield from _gone(file["gone"])
    yield from _audit(file["audit"])


def _signed(result: Found) -> str:
    """Whose signature it bears, and why its word on the file counts for nothing."""
    signer = f"; signed by {result['signed_by']} {_at(result['signed_at'])}" if result["signed_by"] else ""
    return f"{signer}; NO EVIDENCE: {result['disputed']}" if result["disputed"] else signer


def _payment(found: Found) -> Iterator[str]:
    for payment in found["payments"]:
        yield f"payment {payment['payment_id']}, reference {', '.join(payment['references']) or 'none'}"
        for row in payment["rows"]:
            yield from _row(row)
        for file in payment["files"]:
            yield from _assignment(file)
    for event in found["strays"]:
        yield f"event that belongs to none of our files: {_event(event)}"
    for each in found["mismatches"]:
        yield f"mismatch {each['id']}: {words(each['kind'])}, {words(each['state'])}, opened {_at(each['opened_at'])}"
    if not found["found"]:
        yield f"{found['asked']}: nothing is known of it, as a payment, a file or a run"
    looked = ", ".join(f"{kind} {count}" for kind, count in found["looked_in"].items())
    yield f"looked in the ledger and in {looked or 'no object'}"
    for problem in found["problems"]:
        yield f"NOT READABLE {problem}"
    for key, day in found["expired"].items():
        yield f"expired on {day}: {key}"


def _row(row: Found) -> Iterator[str]:
    place = f" row {row['row']}" if row["row"] is not None else ""
    held = "" if row["in_raw"] == "yes" else f"; RAW HOLDS {row['in_raw'].upper()}"
    held = f"; raw {row['in_raw']}" if row["in_raw"].startswith("expired") else held
    yield f"  run {row['run']}, {row['raw']}{place}: {row['state']}{held}"
    if row.get("currency"):
        amount = money(row["amount_minor"], row["currency"]) or "no exact amount"
        route = f", to {row['acquirer']} for {row['requested_date']}" if "acquirer" in row else ""
        yield f"    {amount} {row['currency']} {row['direction'] or 'no direction'}{route}{', stopped' if row.get('stopped') else ''}"
    if "source_key" in row:
        key = ", ".join(f"{name} {HIDDEN if value is None else value}" for name, value in row["source_key"].items())
        yield f"    in the source: {key or 'a key whose columns are not configured any more'}"
    for reason in row.get("reasons", ()):
        yield f"    refused: {reason['rule']} {reason['code']} in {reason['field']}: {reason['message']}"
    for fate in row["outcomes"]:
        why = "".join(f", {name} {fate[name]}" for name in ("reason", "twin", "file_id") if name in fate)
        yield f"    assembly {fate['assembly']}: {fate['outcome']}{why}"


def _assignment(file: Found) -> Iterator[str]:
    held = f", held: {file['held']}" if file["held"] else ""
    yield f"  file {file['file']} line {file['line']}, {file['acquirer']} {file['business_date']}: {file['state']}{held}"
    for line in _delivery(file["attempts"], file["receipt"], file["companion"]):
        yield f"  {line}"
    for event in file["events"]:
        yield f"    reported: {_event(event)}"
    match = file["match"]
    if match is not None:
        how = f" ({words(match['how'])})" if match["how"] and match["how"] != match["outcome"] else ""
        yield f"    {match['outcome']}{how} from {match['events']} events"


def _delivery(attempts: list[Found], receipt: Found | None, beside: Found | None) -> Iterator[str]:
    for each in attempts:
        yield f"  attempt {each['attempt']}: {words(each['state'])}, {_at(each['started_at'])} {each['error']}".rstrip()
    if receipt is not None:
        yield (
            f"  receipt: {receipt['remote_path']}, {receipt['size']:,} bytes, {receipt['verified_by']}, "
            f"{_at(receipt['delivered_at'])}, host key {receipt['host_key']}"
        )
    if beside is not None:
        told = f"{beside['kind']} {beside['name']}: {words(beside['state'])} {_at(beside['placed_at'])}"
        yield f"  {' '.join((told, beside['note'])).rstrip()}"


def _event(event: Found) -> str:
    amount = money(event.get("amount_minor"), event.get("currency", ""))
    parts = (event.get("status") or event.get("status_text"), event.get("reason_code"), amount, event.get("currency"))
    return f"{event['result']} line {event['line']}: {' '.join(part for part in parts if part)}"


def _gone(parts: list[Found]) -> Iterator[str]:
    for each in parts:
        how = "expired" if each["cause"] == LIFECYCLE else "DELETED, not by a lifecycle rule,"
        yield f"  {each['objects']:,} objects of {each['store']} {how} on {each['day']}"


def _audit(records: list[Found]) -> Iterator[str]:
    for each in records:
        yield f"  {each['seq']:>4} {_at(each['recorded_at'])} {words(each['act'])}: {told(each['body'])}".rstrip(": ")


def _total(total: Found) -> str:
    return f"{total['count']:,} {amounts(Total.from_json(total))}".rstrip()


def _at(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%d %H:%M:%S}"
