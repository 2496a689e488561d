"""Finds what contradicts itself in how an acquirer's results come back: markers, archives, wrapping, keys and evidence."""

from __future__ import annotations

import re
from collections.abc import Iterator

from payments.config_results import Results
from runtime.contradictions_secrets import NOT_SHOWN, secret_contradictions

FOLDER = re.compile(r"(?!\.{1,2}(/|$))[^/\\\0]+(/(?!\.{1,2}(/|$))[^/\\\0]+)*")
WRAPPINGS: tuple[list[str], ...] = ([], ["pgp"], ["gzip"], ["zstd"], ["pgp", "gzip"], ["pgp", "zstd"])


def result_contradictions(results: Results) -> Iterator[tuple[str, object, str]]:
    """(the key's path, what was found, what is allowed)."""
    if results.marker.count("{name}") != 1 or results.marker == "{name}" or "/" in results.marker:
        yield "results.marker", results.marker[:200], "a name with {name} in it once, and something around it"
    if (results.after == "move") != bool(results.archive):
        yield "results.archive", results.archive[:200], 'a folder when after = "move", else nothing'
    if results.after == "move" and not FOLDER.fullmatch(results.archive):
        yield "results.archive", results.archive[:200], "a folder of the acquirer, like outbox/taken"
    yield from _wrapping(results)


def _wrapping(results: Results) -> Iterator[tuple[str, object, str]]:
    pgp = results.pgp
    if results.unwrap not in WRAPPINGS:
        yield "results.unwrap", results.unwrap, "one layer, or pgp and then gzip or zstd: from the outside in"
    if results.unwrap_names != ["*"] and not results.unwrap:
        yield "results.unwrap_names", results.unwrap_names, "names only where unwrap says what is around them"
    if ("pgp" in results.unwrap) != (pgp is not None):
        yield "results.pgp", "keys" if pgp else "no keys", "keys when unwrap names pgp, and only then"
    verified = "pgp" in results.unwrap and pgp is not None and pgp.signature == "required"
    if results.evidence == "signed" and not verified:
        yield "results.evidence", results.evidence, 'signed only with pgp.signature = "required"'
    if pgp is None:
        return
    for reference in pgp.secrets:
        yield from secret_contradictions("results.pgp", reference)
    if pgp.passphrase and not pgp.keys:
        yield "results.pgp.passphrase", NOT_SHOWN, "only the passphrase of keys"
    if (pgp.signature == "required") != bool(pgp.signer):
        yield "results.pgp.signer", len(pgp.signer), 'signers when signature = "required", and only then'
    if pgp.signature == "none" and not pgp.keys:
        yield "results.pgp", "neither keys nor signature", "what is neither decrypted nor verified needs no pgp"
