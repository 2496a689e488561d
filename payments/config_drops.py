"""How an acquirer is reached: what every SSH server on the way needs, a directory that it shares, a bucket of its own."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from payments.config_base import Section


class Login(Section, frozen=True, kw_only=True):
    """An SSH server and our account there. `host_keys` are whole public keys (`ssh-ed25519 AAAA...`): any other is refused."""

    host: str
    port: Annotated[int, Meta(ge=1, le=65535)] = 22
    user: str
    authentication: Literal["", "key", "password", "key_and_password"] = ""
    key: str = ""
    key_passphrase: str = ""
    password: str = ""
    host_keys: Annotated[list[str], Meta(min_length=1)]

    @property
    def secrets(self) -> tuple[str, ...]:
        """References of what proves to this server who we are."""
        return tuple(filter(None, (self.key, self.key_passphrase, self.password)))


class Jump(Login, frozen=True, kw_only=True):
    """A server before the acquirer's, which passes the connection on."""


class DirectoryDrop(Section, frozen=True, kw_only=True):
    """A directory that the acquirer shares with us, mounted at `path`. Its folders must exist: we never make one."""

    path: str
    inbox: str = "inbox"
    outbox: str = "outbox"
    archive: str = ""
    rename_atomic: bool = False


class BucketDrop(Section, frozen=True, kw_only=True):
    """A bucket of the acquirer: `url` is `s3://bucket/prefix`. Without keys of its own, AWS's usual places are asked."""

    url: str
    endpoint: str = ""
    region: str = ""
    access_key: str = ""
    secret_key: str = ""
    inbox: str = "inbox"
    outbox: str = "outbox"
    archive: str = ""

    @property
    def rename_atomic(self) -> bool:
        """A conditional put happens as a whole or not at all, and is seen by every later request."""
        return True
