"""The Fargate task of one source, whose role is to open this source's secrets only."""

from __future__ import annotations

from typing import Any

from constructs import Construct

from cdk.configuration import Source
from cdk.task import Task


class SourceTask(Task):
    """`tieout extract SOURCE`."""

    def __init__(self, scope: Construct, construct_id: str, *, source: Source, **given: Any) -> None:
        super().__init__(
            scope,
            construct_id,
            name=f"task-{source.name}",
            about=f"Extracts {source.name}",
            container="extract",
            command=["extract", source.name],
            **given,
        )
        self.source = source
