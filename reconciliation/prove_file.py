"""Proves one outbound file from its stored bytes: sealed bytes read again, expected, index, outcomes, results, receipt."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from formats.recount import Fingerprint, control_sum_holds
from formats.recount import recount as recount_file
from payments.books import Total, total_of
from payments.keys import expected_key, file_manifest_key, index_key, outbound_key
from payments.ports import ObjectStore
from payments.records import Assembly, OutboundFile, ResultBooks, ResultFile
from payments.states import Outcome
from reconciliation import recount
from reconciliation.certificate import Certificate
from reconciliation.facts import FileFacts
from reconciliation.outbound_bytes import SAID, content_of, is_encrypted, layout_of, said_of
from reconciliation.prove_wrapped import OwnKeys

OUTCOMES = ("matched", "mismatched", "awaiting")
FINGERPRINTED = ("line", "file_id", "end_to_end_id", "direction", "amount_minor", "currency", "requested_date")


def prove_file(certificate: Certificate, store: ObjectStore, facts: FileFacts, keys: OwnKeys | None = None) -> None:
    """All but its rows in the index. A file that was never sealed has no bytes: then only that nothing was sent.

    With `keys`, one that was encrypted to them too is opened, and its payments are counted again.
    """
    file = facts.file
    certificate.configs[f"file {file.name}"] = file.config_hash
    if file.sha256:
        fingerprint = _prove_expected(certificate, store, file)
        # First what says how the bytes are read.
        _prove_manifest(certificate, store, file)
        _prove_outbound(certificate, store, file, fingerprint, keys)
        _prove_outcomes(certificate, store, file)
    _prove_receipt(certificate, facts)


def _prove_expected(certificate: Certificate, store: ObjectStore, file: OutboundFile) -> str:
    """The expected payments are the file's total, numbered without a hole; returns their fingerprint in this order."""
    fingerprint, count = Fingerprint(), 0
    strays = 0
    key = expected_key(file.acquirer, file.business_date, file.file_id)
    with certificate.stored(store, key, file.expected_sha256) as path:
        if path is None:
            return ""
        certificate.same(key, "payments", file.total, recount.total(path))
        for table in recount.batches(path, FINGERPRINTED):
            columns = [table[name].to_pylist() for name in FINGERPRINTED]
            for line, file_id, reference, direction, minor, currency, requested in zip(*columns, strict=True):
                count += 1
                strays += line != count or file_id != file.file_id
                fingerprint.add(reference, direction, minor, currency, requested.isoformat())
        certificate.same(key, "rows out of order or of another file", 0, strays)
    return fingerprint.value


def _prove_outbound(
    certificate: Certificate, store: ObjectStore, file: OutboundFile, fingerprint: str, keys: OwnKeys | None
) -> None:
    key = outbound_key(file.acquirer, file.business_date, file.file_id, file.name)
    manifest = file_manifest_key(file.acquirer, file.business_date, file.file_id)
    with certificate.stored(store, key, file.sha256) as path:
        if path is None:
            return
        certificate.same(key, "size in bytes", file.size, path.stat().st_size)
        if manifest in certificate.expired:
            certificate.same(key, "payments counted again", file.total.count, None, needs=[manifest])
            return
        said = said_of(store, file)
        with content_of(certificate, key, path, said, keys, file.created_at) as content:
            if content is None:
                return
            found = recount_file(file.format, content, layout_of(file, said))
        certificate.same(key, "payments counted again", file.total.count, found.count)
        sums = {name: minor for name, minor in sorted(found.sums.items()) if minor}
        certificate.same(key, "sums added again", _sums(file.total), sums)
        needs = [expected_key(file.acquirer, file.business_date, file.file_id)]
        certificate.same(key, "payments one by one as expected", fingerprint, found.fingerprint.value, needs=needs)
        claims = _claims(file)
        for name, stated in found.stated.items():
            claim = name if name in claims else name.removeprefix("trailer ")
            if claim in claims:
                certificate.same(key, f"its own {name}", claims[claim], stated)
        certificate.same(key, "control sum", "holds", "holds" if control_sum_holds(found) else "is off")
        certificate.same(key, "groups whose own count or sum is off", 0, found.groups_off)


def _claims(file: OutboundFile) -> dict[str, Any]:
    """What the file must say of itself, by the names that `formats.recount` gives."""
    day, number = file.business_date.isoformat(), str(file.sequence)
    return {
        "file name": file.name,
        "message id": file.file_id,
        "sequence": number,
        "business date": day,
        "count": str(file.total.count),
        "trailer date": day,
        "trailer sequence": number,
        "sums": _sums(file.total),
        "sum of minor units": str(sum(file.total.amount_minor.values())),
    }


def _sums(total: Total) -> dict[str, int]:
    return {name: minor for name, minor in sorted(total.amount_minor.items()) if minor}


def _prove_manifest(certificate: Certificate, store: ObjectStore, file: OutboundFile) -> None:
    key = file_manifest_key(file.acquirer, file.business_date, file.file_id)
    with certificate.stored(store, key, None) as path:
        if path is not None:
            certificate.same(key, "what it says differently than the ledger", [], _differences(path, file))


def _differences(path: Path, file: OutboundFile) -> list[str]:
    try:
        said = json.loads(path.read_bytes())
    except ValueError:
        return ["it is not JSON"]
    names = ("file_id", "name", "acquirer", "window", "split", "generation", "sequence", "replaces", "format")
    kept: dict[str, Any] = {name: getattr(file, name) for name in (*names, "size", "sha256", "expected_sha256")}
    kept |= {"config_hash": file.config_hash, "total": file.total.to_json(digest=True)}
    kept |= {"business_date": file.business_date.isoformat(), "created_at": file.created_at.isoformat()}
    if not isinstance(said, Mapping):
        return ["it is not an object"]
    if is_encrypted(said):
        kept |= {"sha256": None, "size": None}
    return sorted(name for name in {*kept, *said} - SAID if said.get(name) != kept.get(name))


def _prove_outcomes(certificate: Certificate, store: ObjectStore, file: OutboundFile) -> None:
    """The outcomes from the objects of the last fold; before the first one everything is awaited."""
    recorded = {name: getattr(file, name) for name in OUTCOMES}
    found = {**dict.fromkeys(OUTCOMES, Total()), "awaiting": Total() if file.matched_key else file.total}
    if file.matched_key:
        for key in (file.matched_key, _open_key(file)):
            with certificate.stored(store, key, None) as path:
                if path is not None:
                    parts = recount.totals_by(path, "outcome", OUTCOMES)
                    found = {name: found[name] + parts[name] for name in OUTCOMES}
    needs = [file.matched_key, _open_key(file)]
    for name in OUTCOMES:
        certificate.same(f"file {file.name}", name, recorded[name], found[name], needs=needs)
    whole, equation = total_of(found.values()), "payments = matched + mismatched + awaiting"
    certificate.same(f"file {file.name}", equation, file.total, whole, needs=needs)


def _open_key(file: OutboundFile) -> str:
    """Where the last fold put what is awaited, beside the rest."""
    return file.matched_key.replace("matched/", "open/", 1)


def _prove_receipt(certificate: Certificate, facts: FileFacts) -> None:
    file, receipt = facts.file, facts.receipt
    if receipt is not None:
        certificate.same(f"file {file.name}", "SHA-256 of its receipt", file.sha256, receipt.sha256)
        certificate.same(f"file {file.name}", "size of its receipt", file.size, receipt.size)
    elif not file.sha256:
        certificate.same(f"file {file.name}", "attempts to send what was never sealed", 0, len(facts.attempts))


def prove_index(
    certificate: Certificate, store: ObjectStore, assembly: Assembly, files: Sequence[OutboundFile]
) -> None:
    """The rows that an index segment assigns to each of `files` are its payments, by count, sum and multiset hash."""
    key, names = index_key(assembly.ordinal), [file.file_id for file in files]
    # Of an assembly that is under way no hash is recorded yet, and its index may not be written.
    if not assembly.index_sha256:
        return
    with certificate.stored(store, key, assembly.index_sha256) as path:
        if path is not None:
            assigned = recount.totals_by(path, "file_id", names, outcome=str(Outcome.ASSIGNED))
            for file in files:
                certificate.same(f"file {file.name}", "rows assigned in the index", file.total, assigned[file.file_id])


def prove_result(
    certificate: Certificate, store: ObjectStore, result: ResultFile, books: Sequence[ResultBooks], reported: str
) -> None:
    """One result file: its raw bytes, its reported events counted again, and where each of them went (I1b).

    `books` are all of this result file; `reported` is the key of its reported object.
    """
    name = f"result {result.name}"
    with certificate.stored(store, result.key, result.sha256) as path:
        if path is not None:
            certificate.same(result.key, "size in bytes", result.size, path.stat().st_size)
    if result.state != "read":
        return
    with certificate.stored(store, reported, result.reported_sha256) as path:
        if path is not None:
            counts = recount.reported(path)
            for term in ("lines", "control", "events", "unreadable"):
                certificate.same(name, term, getattr(result, term), counts[term])
    if result.reconciled:
        uses = sum(each.applied + each.unknown + each.duplicate + each.ambiguous + each.withdrawn for each in books)
        certificate.same(name, "events applied, unknown, duplicate, ambiguous or withdrawn", result.events, uses)
