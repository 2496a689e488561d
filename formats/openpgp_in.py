"""Opens an OpenPGP message that an acquirer made: decrypted with our keys, and believed only by the signature of a pinned one.

gpg's exit status says too little: it is 0 for a key that has expired or was revoked since. Every verdict it gives is looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from formats.gpg import FILE_TIMEOUT_S, Gpg, Key, gpg_home
from payments.config_results import ResultsPgp
from payments.errors import SetAside, Unreadable, WrongConfiguration
from payments.ports import Secrets

SECTION = "acquirer.results.pgp"
AHEAD_MAX = timedelta(days=1)
"""A signature from farther ahead than clocks differ is none that could have been made."""
WEAK_HASHES = {"1": "MD5", "2": "SHA-1", "3": "RIPEMD-160"}
"""RFC 4880, 9.4: a second content with the same signature can be made for money."""
MARGIN_BYTES = 64 << 10
"""gpg stops up to one buffer before its limit."""
VERDICTS = {
    "BADSIG": "its signature does not fit its content",
    "EXPSIG": "its signature has expired",
    "EXPKEYSIG": "the key that signed it had expired",
    "REVKEYSIG": "the key that signed it was revoked",
    "ERRSIG": "it is signed by a key that is not pinned, or its signature cannot be checked",
}
Said = Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Signature:
    """Who signed, by the fingerprint of the primary key, and when by the signer's clock."""

    fingerprint: str
    made_at: datetime


def open_message(
    source: Path, target: Path, pgp: ResultsPgp, secrets: Secrets, *, at: datetime, bytes_max: int
) -> Signature | None:
    """Write the content to `target`: at most `bytes_max` bytes. None: no signature is asked for.

    Keys are judged as of `at`, so that the same file gives the same verdict later. Raises Unreadable when the message cannot be
    opened or believed, WrongConfiguration when a key of ours or of theirs is missing or is another than its fingerprint says.
    """
    with gpg_home(SECTION) as gpg:
        own = {gpg.add(each, secrets.get(each), use="e", private=True).fingerprint for each in pgp.keys}
        pinned = {each.fingerprint for each in signers(gpg, pgp, secrets)}
        passphrase = secrets.get(pgp.passphrase) if pgp.passphrase else b""
        arguments = ["--status-fd", "1", "--faked-system-time", f"{at.astimezone(UTC):%Y%m%dT%H%M%S}!"]
        arguments += ["--max-output", str(bytes_max + MARGIN_BYTES), "--output", str(target), "--passphrase-fd", "0"]
        try:
            status, lines = gpg.run(*arguments, "--decrypt", str(source), given=passphrase, timeout_s=FILE_TIMEOUT_S)
        except SetAside as error:
            raise Unreadable(f"OpenPGP: {error}") from None
    said = [line.split()[1:] for line in lines if line.startswith("[GNUPG:] ")]
    written = target.stat().st_size if target.exists() else 0
    if max(written, *_numbers(said, "PLAINTEXT_LENGTH")) > bytes_max:
        raise Unreadable(f"OpenPGP: its content is larger than {bytes_max} bytes")
    _check_encryption(said, own)
    signature = _signature(said, pinned, at) if pgp.signature == "required" else None
    if _all(said, "BADSIG"):  # also where no signature is asked for: a wrong one is no accident
        raise Unreadable(f"OpenPGP: {VERDICTS['BADSIG']}")
    if status != 0 or not target.exists() or len(_all(said, "PLAINTEXT")) != 1:
        raise Unreadable("OpenPGP: it is not one whole message with one content")
    return signature


def signers(gpg: Gpg, pgp: ResultsPgp, secrets: Secrets) -> list[Key]:
    """The keys that the acquirer signs with, each with the fingerprint that people compared. Raises WrongConfiguration."""
    found = []
    for each in pgp.signer:
        key = gpg.add(each.key, secrets.get(each.key), use="s")
        if key.fingerprint != each.fingerprint.upper():
            raise WrongConfiguration(
                f"{SECTION}.signer: secret {each.key} holds the key {key.fingerprint}, pinned is {each.fingerprint}",
                next_step="Compare the fingerprint with the acquirer over another way, then correct one of the two.",
            )
        found.append(key)
    return found


def keys_of(pgp: ResultsPgp, secrets: Secrets) -> Mapping[str, list[Key]]:
    """`ours` and `signers`, in the order of the configuration. Raises WrongConfiguration."""
    with gpg_home(SECTION) as gpg:
        ours = [gpg.add(each, secrets.get(each), use="e", private=True) for each in pgp.keys]
        return {"ours": ours, "signers": signers(gpg, pgp, secrets)}


def _check_encryption(said: Said, own: set[str]) -> None:
    """Encrypted to one of our keys, unchanged and whole; or not encrypted at all, where we have no key for it."""
    if _all(said, "NODATA") and not _all(said, "ENC_TO"):
        raise Unreadable("OpenPGP: it is no OpenPGP message")
    if not _all(said, "BEGIN_DECRYPTION") and any(fields[:2] == ["74", "0"] for fields in _all(said, "PLAINTEXT")):
        raise Unreadable("OpenPGP: it is clear-signed text, whose bytes are not fixed")
    if not own:
        if _all(said, "BEGIN_DECRYPTION") or _all(said, "ENC_TO"):
            raise Unreadable("OpenPGP: it is encrypted, and no key of ours is configured to open it")
        return
    if not _all(said, "BEGIN_DECRYPTION") and not _all(said, "ENC_TO"):
        raise Unreadable("OpenPGP: it is not encrypted")
    opened = {fields[1] for fields in _all(said, "DECRYPTION_KEY") if len(fields) > 1}
    if not opened or not opened <= own:
        raise Unreadable("OpenPGP: it is encrypted to keys that are not ours, or our passphrase is another")
    if _all(said, "DECRYPTION_FAILED") or not len(_all(said, "DECRYPTION_OKAY")) == len(_all(said, "GOODMDC")) == 1:
        raise Unreadable(
            "OpenPGP: its encryption is not whole: it was changed or cut off, or carries no integrity code"
        )


def _signature(said: Said, pinned: set[str], at: datetime) -> Signature:
    """The one verdict that counts: every signature good, by a pinned key, over the whole content."""
    for word, why in VERDICTS.items():
        if _all(said, word):
            raise Unreadable(f"OpenPGP: {why}")
    good, valid = _all(said, "GOODSIG"), _all(said, "VALIDSIG")
    if not good:
        raise Unreadable("OpenPGP: it is not signed")
    if not len(good) == len(valid) == len(_all(said, "NEWSIG")) or any(len(each) < 10 for each in valid):
        raise Unreadable("OpenPGP: its signatures cannot be told apart")
    found = [Signature(each[9], datetime.fromtimestamp(int(each[2]), UTC)) for each in valid]
    strangers = sorted({each.fingerprint for each in found} - pinned)
    if strangers:
        raise Unreadable(f"OpenPGP: it is signed by {', '.join(strangers)}, which is not pinned")
    weak = sorted({WEAK_HASHES[each[7]] for each in valid if each[7] in WEAK_HASHES})
    if weak:
        raise Unreadable(f"OpenPGP: its signature rests on {', '.join(weak)}")
    if any(each.made_at > at + AHEAD_MAX for each in found):
        raise Unreadable("OpenPGP: its signature was made later than it was collected")
    return found[0]


def _all(said: Said, word: str) -> list[Sequence[str]]:
    return [fields[1:] for fields in said if fields and fields[0] == word]


def _numbers(said: Said, word: str) -> list[int]:
    return [int(fields[0]) for fields in _all(said, word) if fields and fields[0].isdecimal()] or [0]
