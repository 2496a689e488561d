"""Column types that keep the ledger's records exact: aware UTC times, totals and canonical JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Dialect, Text
from sqlalchemy.types import TypeDecorator, TypeEngine

from payments.books import Total


def canonical_json(value: Any) -> str:
    """One text for one value: sorted keys, no blanks. What is hashed and what is stored."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def plain_text() -> TypeEngine[str]:
    """Text that is ordered by its code points on every database: what is planned in an order must not depend on a locale."""
    return Text(collation="C").with_variant(Text(), "sqlite")


class UtcTime(TypeDecorator[datetime]):
    """An aware UTC time. A naive one is a mistake of ours and is refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without zone reached the ledger")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


class JsonText(TypeDecorator[Any]):
    """Canonical JSON as text; None stays null."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else canonical_json(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ARG002
        return None if value is None else json.loads(value)


class TotalText(TypeDecorator[Total]):
    """A total with its digest, as canonical JSON."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Total | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else canonical_json(value.to_json(digest=True))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Total | None:  # noqa: ARG002
        return None if value is None else Total.from_json(json.loads(value))
