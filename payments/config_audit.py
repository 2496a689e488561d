"""The section of tieout.toml about the anchors of the audit log."""

from __future__ import annotations

from msgspec import field

from payments.config_base import Section


class Audit(Section, frozen=True, kw_only=True):
    """`sign_with`: an Ed25519 private key (PEM) that signs anchors. `public_keys` are believed instead of its own public half."""

    sign_with: str = ""
    public_keys: list[str] = field(default_factory=list)
