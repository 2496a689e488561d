"""The Fargate task of one source, whose role is to open this source's secrets only."""

from __future__ import annotations

from typing import Any

from constructs import Construct

from cdk.configuration import Source
from cdk.task import Task

TRY_FOR_MINUTES = 30


class SourceTask(Task):
    """`tieout extract SOURCE`, which tries again itself for a while: who started it does not learn how it ended."""

    def __init__(self, scope: Construct, construct_id: str, *, source: Source, **given: Any) -> None:
        super().__init__(
            scope,
            construct_id,
            name=f"task-{source.name}",
            about=f"Extracts {source.name}",
            container="extract",
            command=["extract", source.name, "--try-for", str(_minutes(source))],
            **given,
        )
        self.source = source


def _minutes(source: Source) -> int:
    """Not beyond the next time of a source that is read often: that is a try as well."""
    return min(TRY_FOR_MINUTES, source.every_s // 60) if source.every_s else TRY_FOR_MINUTES
