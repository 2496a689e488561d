"""What a configuration may say of wrapped and signed results: anything that contradicts itself is refused before a file is read."""

from __future__ import annotations

from typing import Any

import pytest

from payments.config_results import Results, ResultsPgp, Signer
from runtime.contradictions_results import result_contradictions

SIGNER = Signer(fingerprint="AB" * 20, key="env:BANK")
PGP = {"keys": ["env:OURS"], "passphrase": "env:PHRASE", "signer": [SIGNER]}


def found(pgp: dict[str, Any] | None = None, **other: Any) -> list[str]:
    results = Results(pgp=None if pgp is None else ResultsPgp(**pgp), **other)
    return [key for key, _, _ in result_contradictions(results)]


@pytest.mark.parametrize("unwrap", [[], ["gzip"], ["zstd"]])
def test_compression_needs_no_keys(unwrap: Any) -> None:
    """Plain and compressed results are configured without any key."""
    assert found(unwrap=unwrap) == []


@pytest.mark.parametrize("unwrap", [["pgp"], ["pgp", "gzip"], ["pgp", "zstd"]])
@pytest.mark.parametrize("evidence", ["any", "signed"])
def test_signed_and_encrypted_is_sound(unwrap: Any, evidence: Any) -> None:
    """Encrypted and signed, also compressed before that, and also where only signed files are evidence."""
    assert found(PGP, unwrap=unwrap, evidence=evidence) == []
    assert found({"signer": [SIGNER]}, unwrap=unwrap, evidence=evidence) == []


@pytest.mark.parametrize(
    ("pgp", "other", "key"),
    [
        (None, {"unwrap": ["pgp"]}, "results.pgp"),
        (PGP, {}, "results.pgp"),
        (PGP, {"unwrap": ["gzip", "pgp"]}, "results.unwrap"),
        (None, {"unwrap": ["gzip", "zstd"]}, "results.unwrap"),
        (PGP, {"unwrap": ["pgp", "pgp"]}, "results.unwrap"),
        (None, {"unwrap_names": ["*.pgp"]}, "results.unwrap_names"),
        (None, {"evidence": "signed"}, "results.evidence"),
        ({**PGP, "signature": "none", "signer": []}, {"unwrap": ["pgp"], "evidence": "signed"}, "results.evidence"),
        ({**PGP, "signer": []}, {"unwrap": ["pgp"]}, "results.pgp.signer"),
        ({**PGP, "signature": "none"}, {"unwrap": ["pgp"]}, "results.pgp.signer"),
        ({"signature": "none"}, {"unwrap": ["pgp"]}, "results.pgp"),
        ({"signer": [SIGNER], "passphrase": "env:PHRASE"}, {"unwrap": ["pgp"]}, "results.pgp.passphrase"),
        ({**PGP, "keys": ["the key itself"]}, {"unwrap": ["pgp"]}, "results.pgp"),
    ],
)
def test_what_contradicts_itself_is_refused(pgp: Any, other: dict[str, Any], key: str) -> None:
    """Each names the key of the configuration that must be corrected."""
    assert found(pgp, **other) == [key]
