"""Signs with Ed25519 (RFC 8032) and says by whose key something was signed. Public keys are written as their 32 bytes in base64."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from payments.config_audit import Audit
from payments.errors import WrongConfiguration
from payments.ports import Secrets

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ALGORITHM = "ed25519"
MAKE = "openssl genpkey -algorithm ed25519 -out anchor.key"


def sign(data: bytes, secrets: Secrets, section: Audit) -> dict[str, str] | None:
    """None where nothing signs. Raises WrongConfiguration for a secret that is no such key."""
    if not section.sign_with:
        return None
    key = _private(secrets, section.sign_with)
    return {"algorithm": ALGORITHM, "public_key": _public(key), "value": base64.b64encode(key.sign(data)).decode()}


def believed(secrets: Secrets, section: Audit) -> frozenset[str]:
    """The public keys whose signatures count: those that are named, else that of the key that signs here."""
    if section.public_keys or not section.sign_with:
        return frozenset(section.public_keys)
    return frozenset({_public(_private(secrets, section.sign_with))})


def is_signed(data: bytes, signature: Mapping[str, Any]) -> bool:
    """Whether the signature is that of its `public_key` over these bytes. Who that is must be asked of `believed`."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        public = Ed25519PublicKey.from_public_bytes(base64.b64decode(signature["public_key"], validate=True))
        public.verify(base64.b64decode(signature["value"], validate=True), data)
    except (InvalidSignature, KeyError, TypeError, ValueError, binascii.Error):
        return False
    return bool(signature.get("algorithm") == ALGORITHM)


def _private(secrets: Secrets, reference: str) -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(secrets.get(reference), password=None)
    except (ValueError, TypeError) as error:
        raise WrongConfiguration(
            f"secret {reference}: it is no private key in PEM", next_step=f"Make one: {MAKE}"
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise WrongConfiguration(f"secret {reference}: it is no Ed25519 key", next_step=f"Make one: {MAKE}")
    return key


def _public(key: Ed25519PrivateKey) -> str:
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()
