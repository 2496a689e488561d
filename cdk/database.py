"""The ledger's cluster: Aurora PostgreSQL, Serverless v2, which only users with IAM tokens log in to."""

from __future__ import annotations

from aws_cdk import Aws, Duration, RemovalPolicy
from aws_cdk import aws_kms as kms
from aws_cdk import aws_rds as rds
from constructs import Construct

from cdk.acknowledge import acknowledge
from cdk.bundle import CERTIFICATES
from cdk.connections import connections_max
from cdk.environment import PRODUCT, Environment
from cdk.ledger import USER, Ledger
from cdk.log_group import LogGroup
from cdk.place import Place

CA_PATH = f"/opt/{CERTIFICATES}.pem"
"""Where functions find the certificates of the layer that `ledger_ca` becomes, and where tasks must have them too."""
ENGINE = rds.AuroraPostgresEngineVersion.VER_17_9
OWNER = "tieout_owner"
PORT = 5432


class Database(Construct):
    """`ledger` tells functions where it is."""

    def __init__(
        self, scope: Construct, construct_id: str, *, environment: Environment, place: Place, key: kms.IKey
    ) -> None:
        super().__init__(scope, construct_id)
        # RDS would make this group itself, and keep it for ever.
        logs = LogGroup(
            self,
            "Logs",
            environment=environment,
            name="ledger",
            key=key,
            path=f"/aws/rds/cluster/{environment.named('ledger')}/postgresql",
        )
        cluster = rds.DatabaseCluster(
            self,
            "Cluster",
            cluster_identifier=environment.named("ledger"),
            engine=rds.DatabaseClusterEngine.aurora_postgres(version=ENGINE),
            parameter_group=self._parameters(environment),
            default_database_name=PRODUCT,
            credentials=rds.Credentials.from_username(OWNER),
            # RDS keeps and rotates the owner's password by itself.
            manage_master_user_password=True,
            iam_authentication=True,
            writer=_instance("writer"),
            readers=[
                _instance(f"reader-{number + 1}", scale_with_writer=True)
                for number in range(environment.ledger_readers)
            ],
            serverless_v2_min_capacity=environment.capacity_min,
            serverless_v2_max_capacity=environment.capacity_max,
            storage_encrypted=True,
            storage_encryption_key=key,
            backup=rds.BackupProps(retention=Duration.days(environment.backup_days)),
            copy_tags_to_snapshot=True,
            cloudwatch_logs_exports=["postgresql"],
            deletion_protection=environment.protected,
            removal_policy=RemovalPolicy.RETAIN if environment.protected else RemovalPolicy.SNAPSHOT,
            port=PORT,
            vpc=place.vpc,
            vpc_subnets=place.subnets,
            security_groups=[place.group],
        )
        cluster.node.add_dependency(logs)
        if not environment.protected:
            acknowledge(self, "AwsSolutions-RDS10", "This environment may be taken down again: a snapshot stays.")
        self.ledger = Ledger(
            owner=OWNER,
            url=f"postgresql://{USER}@{cluster.cluster_endpoint.hostname}:{PORT}/{PRODUCT}?{tls(environment)}",
            users_arn=f"arn:{Aws.PARTITION}:rds-db:{Aws.REGION}:{Aws.ACCOUNT_ID}:dbuser:{cluster.cluster_resource_identifier}",
            owner_secret=cluster.node.default_child.attr_master_user_secret_secret_arn,
        )

    def _parameters(self, environment: Environment) -> rds.ParameterGroup:
        return rds.ParameterGroup(
            self,
            "Parameters",
            engine=rds.DatabaseClusterEngine.aurora_postgres(version=ENGINE),
            description=f"The ledger of {environment.name}",
            parameters={
                "rds.force_ssl": "1",
                # What the smallest capacity can hold: then the limit holds at every capacity.
                "max_connections": str(connections_max(environment)),
                # In milliseconds: as long as a function lives. What a killed one left open holds nobody up for longer.
                "idle_in_transaction_session_timeout": "900000",
            },
        )


def tls(environment: Environment) -> str:
    """Always encrypted. Whom we speak with can be proved only with AWS's certificates, which no system brings along."""
    return f"sslmode=verify-full&sslrootcert={CA_PATH}" if environment.ledger_ca else "sslmode=require"


def _instance(name: str, *, scale_with_writer: bool | None = None) -> rds.IClusterInstance:
    return rds.ClusterInstance.serverless_v2(
        name,
        publicly_accessible=False,
        auto_minor_version_upgrade=True,
        **({} if scale_with_writer is None else {"scale_with_writer": scale_with_writer}),
    )
