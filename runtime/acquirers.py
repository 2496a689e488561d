"""Opens the ways to the acquirers: sessions by SFTP, directory or bucket, their host keys, and the probe of a server."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from payments.config import AcquirerSection
from payments.config_drops import BucketDrop, DirectoryDrop
from payments.ports import Clock, Ledger
from payments.remote_ports import RemoteDrop
from runtime.secrets import ReferencedSecrets

if TYPE_CHECKING:
    from transfer.host_keys import KeyPorts
    from transfer.profile import CapabilityProfile

Connector = Callable[[], AbstractContextManager[RemoteDrop]]


@dataclass(frozen=True)
class Acquirers:
    """What every way to an acquirer needs of the world."""

    ledger: Ledger
    clock: Clock
    secrets: ReferencedSecrets

    def connector(self, acquirer: AcquirerSection, *, at_once: bool = False) -> Connector:
        """Opens a session with the acquirer; secrets are fetched then, not before, and kept no longer.

        `at_once`: also while a refused log-in makes everybody else wait.
        """
        from transfer.login_pause import paused

        def connect() -> AbstractContextManager[RemoteDrop]:
            match acquirer.drop:
                case DirectoryDrop() as directory:
                    from transfer.drop_directory import connect as connect_directory

                    return connect_directory(directory)
                case BucketDrop() as bucket:
                    return self._bucket(bucket)
            return self._server(acquirer)

        return paused(self.ledger, self.clock, acquirer, connect, at_once=at_once)

    def key_ports(self, acquirer: AcquirerSection) -> KeyPorts:
        """What acts on the acquirer's host keys need."""
        from transfer.host_keys import KeyPorts

        return KeyPorts(self.ledger, self.clock, acquirer)

    def probe(self, acquirer: AcquirerSection, directory: str) -> CapabilityProfile:
        """Try the acquirer's server; `directory` empty: in a scratch directory in the inbox."""
        from transfer.host_keys import AcceptedKeys
        from transfer.probe import probe
        from transfer.sftp_login import fetched

        key, password, more = fetched(acquirer.server, self.secrets)
        return probe(
            acquirer.server,
            key=key,
            password=password,
            accepted=AcceptedKeys(self.key_ports(acquirer)),
            clock=self.clock,
            directory=directory,
            more=more,
        )

    def _bucket(self, bucket: BucketDrop) -> AbstractContextManager[RemoteDrop]:
        from runtime.drop_s3 import connect

        keys = {name: self.secrets.text(getattr(bucket, name)) for name in ("access_key", "secret_key")}
        return connect(bucket, **keys)

    def _server(self, acquirer: AcquirerSection) -> AbstractContextManager[RemoteDrop]:
        from transfer.host_keys import AcceptedKeys
        from transfer.sftp import connect
        from transfer.sftp_login import fetched

        key, password, more = fetched(acquirer.server, self.secrets)
        accepted = AcceptedKeys(self.key_ports(acquirer))
        return connect(acquirer.server, key=key, password=password, accepted=accepted, more=more)
