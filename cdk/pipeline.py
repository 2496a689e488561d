"""The pipeline stack: every stage of the topology, tick beside them, and the migration of the ledger before them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aws_cdk import CfnOutput, Duration, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from constructs import Construct

from cdk.bundle import Bundle
from cdk.common import Common
from cdk.configuration import Configuration
from cdk.connections import connections_by_user
from cdk.delivery_task import NAME as DELIVERY
from cdk.delivery_task import DeliveryTask
from cdk.environment import PRODUCT, Environment
from cdk.function import Function
from cdk.function_alarms import BesideAlarms, StageAlarms
from cdk.grants import may_log_in, may_open, may_put, may_read, may_send, may_use_key
from cdk.ledger import Ledger, user_of
from cdk.migration import Migration
from cdk.place import Place, Zone
from cdk.stage import ChainStage
from functions.topology import BESIDE, TOPOLOGY, Beside, Stage, stage_named

DELIVER = "deliver"

EVENT_S_MAX = 21_600
"""Lambda keeps an event no longer."""


class PipelineStack(Stack):
    """`places` empty: functions run outside any network of ours."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Environment,
        configuration: Configuration,
        bundle: Bundle,
        ledger: Ledger,
        key: kms.IKey,
        alarms: sns.ITopic,
        places: Mapping[Zone, Place] | None = None,
        overrides: Mapping[str, Mapping[str, Any]] | None = None,
        variables: Mapping[str, str] | None = None,
        **stack: Any,
    ) -> None:
        super().__init__(scope, construct_id, **stack)
        self._environment, self._configuration = environment, configuration
        self._ledger, self._key = ledger, key
        common = Common.made_in(
            self,
            environment=environment,
            configuration=configuration,
            bundle=bundle,
            ledger=ledger,
            key=key,
            places=places,
            overrides=overrides,
            variables=variables,
        )
        rows = {row.name: row for row in BESIDE}
        migrate = Function(self, "Migrate", row=rows["migrate"], common=common, as_owner=True)
        tick = Function(self, "Tick", row=rows["tick"], common=common)
        anchor = Function(self, "Anchor", row=rows["anchor"], common=common)
        migration = Migration(
            self,
            "Migration",
            function=migrate.function,
            connections=connections_by_user(environment, configuration),
            code=bundle.code_hash(),
        )
        self.stages = self._chain(common, migration, alarms)
        self._grant_beside(migrate, tick)
        self._grant_anchor(rows["anchor"], anchor)
        self._call_again_and_again(rows["tick"], tick, migration, "Wakes what is due and sweeps")
        self._call_again_and_again(rows["anchor"], anchor, migration, "Anchors the audit log")
        for name in ("migrate", "tick", "anchor"):
            BesideAlarms(self, f"{name.capitalize()}Alarms", beside=rows[name], environment=environment, topic=alarms)
        CfnOutput(self, "QueuePrefix", value=f"{PRODUCT}-{environment.name}-")

    def _chain(self, common: Common, migration: Migration, alarms: sns.ITopic) -> dict[str, ChainStage]:
        """Every stage with its rights and its alarms, and the task for what deliver has no time for."""
        task, made = self._delivery_task(common), {}
        for stage in TOPOLOGY:
            construct_id = stage.name.capitalize()
            own = task.overrides() if task and stage.name == DELIVER else None
            made[stage.name] = ChainStage(self, construct_id, stage=stage, common=common, overrides=own)
            self._grant(stage, made[stage.name].function.role, stage.name)
            StageAlarms(self, f"{construct_id}Alarms", stage=stage, environment=self._environment, topic=alarms)
            self._grant_apart(stage, made[stage.name], common)
            # No message is handled, by new code or at all, before the ledger is what it needs.
            made[stage.name].function.function.node.add_dependency(migration)
        if task:
            self._grant(stage_named(DELIVER), task.role, DELIVERY)
            task.let_start(made[DELIVER].function.role)
        return made

    def _delivery_task(self, common: Common) -> DeliveryTask | None:
        """None where there is no network for a task: then the function delivers whatever is due."""
        place = common.places.get("partners")
        if place is None:
            return None
        given = {"environment": self._environment, "settings": common.settings, "key": self._key}
        return DeliveryTask(self, "DeliveryTask", place=place, **given)

    def _grant(self, stage: Stage, role: iam.Role, user: str) -> None:
        """What the topology says of a stage, and nothing else. What it writes it may read: stored objects are hashed."""
        touched = tuple(dict.fromkeys((*stage.reads, *stage.writes)))
        secrets = sorted({arn for table in stage.secrets for arn in self._configuration.secrets(table)})
        may_read(role, environment=self._environment, stores=touched)
        may_put(role, environment=self._environment, stores=stage.writes)
        may_open(role, secrets=secrets)
        may_log_in(role, ledger=self._ledger, user=user_of(user))
        services = [name for name, used in (("s3", touched), ("secretsmanager", secrets)) if used]
        if services:
            may_use_key(role, key=self._key, services=services, encrypts=bool(stage.writes))

    def _grant_apart(self, stage: Stage, made: ChainStage, common: Common) -> None:
        """What only single stages do."""
        if stage.takes_reference_table:
            common.settings.may_read_reference_table(made.function.role)
        if stage.sends_to_itself:
            may_send(made.function.role, queues=[made.queue.queue.queue_arn])

    def _grant_beside(self, migrate: Function, tick: Function) -> None:
        may_log_in(tick.role, ledger=self._ledger, user=user_of("tick"))
        may_send(tick.role, queues=[each.queue.queue.queue_arn for each in self.stages.values()])
        if self._ledger.owner_secret:
            may_open(migrate.role, secrets=[self._ledger.owner_secret])

    def _grant_anchor(self, row: Beside, anchor: Function) -> None:
        """The only one that puts audit heads. It reads the ledger, as a user that writes nothing there."""
        secrets = [arn for table in row.secrets for arn in self._configuration.secrets(table)]
        may_read(anchor.role, environment=self._environment, stores=row.reads)
        may_put(anchor.role, environment=self._environment, stores=row.writes)
        may_open(anchor.role, secrets=secrets)
        may_log_in(anchor.role, ledger=self._ledger, user=user_of(row.name))
        may_use_key(anchor.role, key=self._key, services=("s3", "secretsmanager") if secrets else ("s3",))

    def _call_again_and_again(self, row: Beside, called: Function, migration: Migration, why: str) -> None:
        """One that failed is not tried again: the next one comes anyhow and does the same."""
        age = Duration.seconds(row.schedule_s)
        target = targets.LambdaFunction(called.function, retry_attempts=0, max_event_age=age)
        rule = events.Rule(
            self,
            f"{row.name.capitalize()}Rule",
            rule_name=self._environment.named(row.name),
            description=why,
            schedule=events.Schedule.rate(Duration.seconds(row.schedule_s)),
            targets=[target],
        )
        rule.node.add_dependency(migration)
        called.function.node.add_dependency(migration)
        called.function.configure_async_invoke(
            retry_attempts=0, max_event_age=Duration.seconds(min(row.schedule_s, EVENT_S_MAX))
        )
