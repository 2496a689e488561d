"""Lets a source's task read the output of jobs in a Kubernetes cluster on EKS, in the named namespaces only."""

from __future__ import annotations

from aws_cdk import Aws
from aws_cdk import aws_eks as eks
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk.environment import Environment


class ClusterAccess(Construct):
    """An access entry with AWS's own policy for looking, and the right to ask where the cluster is."""

    def __init__(self, scope: Construct, construct_id: str, *, environment: Environment, role: iam.Role) -> None:
        super().__init__(scope, construct_id)
        cluster = f"arn:{Aws.PARTITION}:eks:{Aws.REGION}:{Aws.ACCOUNT_ID}:cluster/{environment.eks_cluster}"
        role.add_to_policy(iam.PolicyStatement(actions=["eks:DescribeCluster"], resources=[cluster]))
        eks.CfnAccessEntry(
            self,
            "Entry",
            cluster_name=environment.eks_cluster,
            principal_arn=role.role_arn,
            access_policies=[
                eks.CfnAccessEntry.AccessPolicyProperty(
                    policy_arn=f"arn:{Aws.PARTITION}:eks::aws:cluster-access-policy/AmazonEKSViewPolicy",
                    access_scope=eks.CfnAccessEntry.AccessScopeProperty(
                        type="namespace", namespaces=environment.eks_namespaces
                    ),
                )
            ],
        )
