"""Fetches the file of `curation.reference_table`: beside the configuration, or from S3 as the stores are."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from curation.reference import BYTES_MAX
from runtime.named_file import read_named

if TYPE_CHECKING:
    from payments.config import ReferenceTable
    from runtime.settings import Settings


def fetcher(settings: Settings) -> Callable[[ReferenceTable], bytes]:
    """What fetches it. Raises WrongConfiguration, naming the file, and Unreachable."""

    def fetch(table: ReferenceTable) -> bytes:
        return read_named(
            table.path,
            settings.base,
            shown=f"curation.reference_table.path {table.path!a}",
            bytes_max=BYTES_MAX,
            endpoint=settings.configuration.stores.s3_endpoint,
            setting="curation.reference_table.path",
        )

    return fetch
