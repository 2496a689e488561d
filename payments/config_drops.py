"""The ways to an acquirer that are no SFTP server: a directory that it shares, and a bucket of its own."""

from __future__ import annotations

from payments.config_base import Section


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
