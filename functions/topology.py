"""The topology: which event starts which handler. Plain data, standard library only: the local router and cdk both read it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """One queue and its handler.

    A stage is started by objects created under `prefix` (ending in one of `suffixes`), by a wake-up that names a
    subject (a source or an acquirer), or by both. `schedule_s` is how often a wake-up comes by itself; 0: never, or as
    the configuration says.
    """

    name: str
    handler: str
    prefix: str = ""
    suffixes: tuple[str, ...] = ()
    schedule_s: int = 0
    batch_size: int = 1
    timeout_s: int = 300
    memory_mb: int = 1024

    @property
    def queue(self) -> str:
        return self.name


TOPOLOGY: tuple[Stage, ...] = (
    Stage("extract", "functions.extract.handler", timeout_s=900, memory_mb=2048),
    Stage("curate", "functions.curate.handler", prefix="raw/", suffixes=(".parquet", "manifest.json"), timeout_s=120),
    Stage(
        "assemble",
        "functions.assemble.handler",
        prefix="curated/",
        suffixes=("complete.json",),
        schedule_s=300,
        timeout_s=900,
        memory_mb=2048,
    ),
    Stage("deliver", "functions.deliver.handler", prefix="outbound/", schedule_s=60, timeout_s=900, batch_size=10),
    Stage("collect", "functions.collect.handler", timeout_s=900),
    Stage("read", "functions.read.handler", prefix="results/", timeout_s=300),
    Stage(
        "reconcile",
        "functions.reconcile.handler",
        prefix="reported/",
        suffixes=(".parquet",),
        schedule_s=300,
        timeout_s=900,
        memory_mb=2048,
        batch_size=10,
    ),
)


def stages_for(key: str) -> tuple[Stage, ...]:
    """The stages that an object created under `key` starts."""
    return tuple(
        stage
        for stage in TOPOLOGY
        if stage.prefix and key.startswith(stage.prefix) and (not stage.suffixes or key.endswith(stage.suffixes))
    )


def stage_named(name: str) -> Stage:
    """Raises KeyError."""
    return {stage.name: stage for stage in TOPOLOGY}[name]
