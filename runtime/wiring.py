"""The composition root: from settings to adapters to the ports that each stage declares. URLs choose, nothing else does."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from payments.config import AcquirerSection, Configuration, SourceSection
from payments.errors import SetAside, WrongConfiguration
from payments.leasing import MayBegin, always
from payments.ports import Clock, ObjectStore
from payments.remote_ports import Source
from payments.schedules import tried
from runtime.acquirers import Acquirers, Connector
from runtime.database_token import database_token_for
from runtime.ledger.clock import LedgerClock, SystemClock
from runtime.ledger.engine import open_engine
from runtime.ledger.ledger import SqlLedger
from runtime.ledger.migrate import upgrade
from runtime.secrets import ReferencedSecrets
from runtime.settings import Settings, load
from runtime.tell import key_in
from runtime.wakes import acquirer_of, ask_again

if TYPE_CHECKING:
    from curation.curate import CuratePorts
    from payments.deletions import Deletion
    from payments.records import ResultFile, Run
    from runtime.dead_letters import LetterQueue
    from transfer.host_keys import KeyPorts
    from transfer.profile import CapabilityProfile

Emit = Callable[[str, int], None]


class World:
    """Everything that touches the world, built when first used."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.configuration: Configuration = settings.configuration
        self.holder = f"{os.environ.get('TIEOUT_INSTANCE', 'cli')}@{socket.gethostname()}:{os.getpid()}"
        # Set by whoever knows what an object starts: the local router. On AWS the store itself tells EventBridge.
        self.emit: Emit | None = None

    @classmethod
    def open(cls, config: str | None = None) -> World:
        """Load the configuration and, where this process is part of a local service, emit notices."""
        return cls(load(config))

    @cached_property
    def spool(self) -> Path:
        """Where large objects are written before they are stored."""
        if self.settings.path.startswith("s3://"):
            # A folder of our own also there: what is old in it is removed.
            folder = Path(tempfile.gettempdir()) / f"tieout-spool-{os.getuid()}"
        else:
            folder = self.settings.base / "spool"
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    @cached_property
    def ledger(self) -> SqlLedger:
        section = self.configuration.ledger
        engine = open_engine(
            self.ledger_url,
            password=self.secrets.text(section.password),
            token=database_token_for if section.iam else None,
            connections_max=section.connections_max,
        )
        upgrade(engine)
        clock: Clock = SystemClock()
        if self.configuration.clock.start is not None:
            clock = LedgerClock(engine)
            clock.start(self.configuration.clock.start)
        return SqlLedger(engine, clock, holder=self.holder)

    def tidy(self) -> None:
        """Remove, once it is a day old, what killed processes left in the spool and in the file store."""
        from runtime.store_file import LEFTOVER_AGE, FileStore
        from transfer.collect_once import FOLDER as READ_ONCE

        oldest = time.time() - LEFTOVER_AGE.total_seconds()
        for entry in self.spool.iterdir():
            # What a server gives once may lie only there until it is stored.
            if entry.name != READ_ONCE and entry.stat().st_mtime < oldest:
                shutil.rmtree(entry, ignore_errors=True)
        root = self.configuration.stores.root
        if root.startswith("file:"):
            FileStore(self.settings.base / root.removeprefix("file:")).clean()

    @property
    def ledger_url(self) -> str:
        """With a relative SQLite file placed beside the configuration."""
        url = self.configuration.ledger.url
        if url.startswith("sqlite:"):
            return f"sqlite:{self.settings.base / url.removeprefix('sqlite:')}"
        return url

    @cached_property
    def clock(self) -> Clock:
        return SystemClock() if self.configuration.clock.start is None else LedgerClock(self.ledger.engine)

    @cached_property
    def secrets(self) -> ReferencedSecrets:
        return ReferencedSecrets(self.settings.base)

    @cached_property
    def store(self) -> ObjectStore:
        from runtime.notices import NotifyingStore
        from runtime.store import open_store
        from runtime.store_knowing import KnowingStore

        store = KnowingStore(open_store(self.configuration.stores, self.settings.base), self._end_of)
        return store if self.emit is None else NotifyingStore(store, self.emit)

    @cached_property
    def queue(self) -> LetterQueue:
        url = self.configuration.queue.url
        if url == "ledger:":
            from runtime.ledger.queue import LedgerQueue

            receives = self.configuration.service.receives_max
            return LedgerQueue(self.ledger.engine, receives_max=receives, holder=self.holder)
        if url.startswith("sqs:"):
            from runtime.queue_sqs import SqsQueue

            queue = self.configuration.queue
            return SqsQueue(queue.prefix, queue.endpoint, url.removeprefix("sqs:"))
        raise WrongConfiguration(f"queue.url: found {url!r}, allowed are ledger: and sqs:REGION")

    def source(self, name: str) -> SourceSection:
        found = self.configuration.source_named(name)
        if found is None:
            known = ", ".join(each.name for each in self.configuration.source) or "none"
            raise WrongConfiguration(
                f"there is no source {name!a}; configured: {known}", next_step="Name one of those, or configure it."
            )
        return found

    def acquirer(self, name: str) -> AcquirerSection:
        found = self.configuration.acquirer_named(name)
        if found is None:
            known = ", ".join(each.name for each in self.configuration.acquirer) or "none"
            raise SetAside(f"there is no acquirer {name!a}; configured: {known}")
        return found

    def check_secrets(self) -> int:
        """Fetch every secret that is referred to, and forget it; how many there are. Raises WrongConfiguration."""
        found = self.configuration
        references = [found.ledger.password, found.audit.sign_with, *(each.password for each in found.source)]
        references += [text for each in found.acquirer for text in each.secrets]
        pgp = [keys for each in found.acquirer for keys in (each.encode.pgp, each.results.pgp) if keys]
        references += [text for each in pgp for text in each.secrets]
        for reference in filter(None, references):
            self.secrets.get(reference)
        return len(list(filter(None, references)))

    def key_in(self, body: str) -> str:
        """The key that a notice names, as our stores call it. Raises SetAside."""
        return key_in(self.configuration.stores, body)

    def acquirer_in(self, body: str) -> str:
        """The acquirer of a wake-up or of the object that a notice names. Raises SetAside."""
        return acquirer_of(body, self.key_in)

    # The stages, by what their handlers are told.

    def extract_source(self, name: str) -> Run | None:
        from extractors.extract import ExtractPorts, extract

        source = self.source(name)
        ports = ExtractPorts(self.ledger, self.store, self.clock, self.spool)
        by_scheduler = self.configuration.service.extract_by == "scheduler"
        with tried(self.ledger, self.clock, name, by_scheduler=by_scheduler):
            return extract(ports, source, lambda: self._session(source), config_hash=self.settings.config_hash)

    def extract_when_due(self, name: str) -> Run | None:
        """As the schedule asks for it: what fails is kept in the ledger, which says when it is tried again."""
        from extractors.waiting import extract_or_wait

        self.source(name)  # a name that nobody has is refused: it is no source that cannot be read now
        return extract_or_wait(name, lambda: self.extract_source(name), lambda: ask_again(self.queue, "extract", name))

    def curate_object(self, key: str) -> None:
        from curation.curate import curate

        if not key.endswith("manifest.json"):
            curate(self._curate_ports, key)

    def assemble(self) -> None:
        from transfer.assemble import AssemblePorts, assemble

        assemble(
            AssemblePorts(
                self.ledger,
                self.store,
                self.clock,
                self.configuration,
                self.settings.config_hash,
                self.spool,
                self.secrets,
            )
        )

    def deliver_when_due(self, name: str, may_begin: MayBegin = always) -> None:
        """Here, or by a task where more is due than a function has time for; chosen before anybody connects."""
        from runtime.delivery_task import is_left_to_task

        if not is_left_to_task(self, self.acquirer(name)):
            self.deliver_to(name, may_begin)

    def deliver_to(self, name: str, may_begin: MayBegin = always) -> bool:
        from transfer.deliver import DeliverPorts, deliver

        acquirer = self.acquirer(name)
        return deliver(
            DeliverPorts(
                self.ledger,
                self.store,
                self.clock,
                acquirer,
                self.connector(acquirer),
                self.holder,
                self.spool,
                may_begin=may_begin,
            )
        )

    def collect_from(self, name: str, may_begin: MayBegin = always) -> int:
        from transfer.collect import CollectPorts, collect_or_wait

        acquirer = self.acquirer(name)
        return collect_or_wait(
            CollectPorts(self.ledger, self.store, self.clock, acquirer, self.connector(acquirer), self.spool, may_begin)
        )

    def read_result(self, key: str) -> ResultFile | None:
        from reconciliation.read import ReadPorts, read

        return read(ReadPorts(self.ledger, self.store, self.clock, self.configuration, self.spool, self.secrets), key)

    def reconcile_with(self, name: str, may_begin: MayBegin = always) -> None:
        from reconciliation.reconcile import ReconcilePorts, reconcile

        memory_limit_mb = self.configuration.reconciliation.memory_limit_mb
        acquirer = self.acquirer(name)
        reconcile(ReconcilePorts(self.ledger, self.store, self.clock, acquirer, self.spool, memory_limit_mb, may_begin))

    def record_deletion(self, body: str) -> None:
        """Tell the ledger what the store says is gone."""
        from runtime.expiry import record_deletion

        record_deletion(self.ledger, self.configuration.stores, body)

    @cached_property
    def acquirers(self) -> Acquirers:
        """The ways to all of them."""
        return Acquirers(self.ledger, self.clock, self.secrets)

    def connector(self, acquirer: AcquirerSection, *, at_once: bool = False) -> Connector:
        """Opens a session with the acquirer; `at_once`: also while a refused log-in makes everybody else wait."""
        return self.acquirers.connector(acquirer, at_once=at_once)

    def key_ports(self, acquirer: AcquirerSection) -> KeyPorts:
        """What acts on the acquirer's host keys need."""
        return self.acquirers.key_ports(acquirer)

    def probe(self, acquirer: AcquirerSection, directory: str) -> CapabilityProfile:
        """Try the acquirer's server; `directory` empty: in a scratch directory in the inbox."""
        return self.acquirers.probe(acquirer, directory)

    @cached_property
    def _curate_ports(self) -> CuratePorts:
        from curation.curate import CuratePorts
        from runtime.reference_file import fetcher

        return CuratePorts(self.ledger, self.store, self.configuration, fetcher(self.settings), self.spool)

    def _end_of(self, key: str) -> Deletion | None:
        """What the ledger was told of the end of an object that is not in the store."""
        from payments.deletions import fate_of

        with self.ledger.look() as tx:
            return fate_of(tx, key)

    def _session(self, source: SourceSection) -> AbstractContextManager[Source]:
        from extractors.open import open_source

        password = self.secrets.get(source.password) if source.password else None
        return open_source(source, password=password, base=self.settings.base)
