"""Runs commands for people of a deployed chain: as their task does, in its role and as its user of the ledger."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any

import boto3
from botocore.exceptions import ClientError

from tests.aws.assembly import PREFIX
from tests.aws.chain import Chain
from tests.aws.task import Task, task_named
from tests.servers.ministack import ACCOUNT, REGION


class Person:
    """Somebody with a duty: `auditor` or `operator`."""

    def __init__(self, chain: Chain, duty: str) -> None:
        self._chain = chain
        self.task: Task = task_named(chain.deployment, duty)

    def runs(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self._chain.command(*words, variables=self.task.variables)

    def client(self, service: str) -> Any:
        """Of the emulator, in the task's role."""
        return _client(
            self._chain,
            service,
            aws_access_key_id=self.task.variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.task.variables["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=self.task.variables["AWS_SESSION_TOKEN"],
        )


def role_is_refused(chain: Chain, duty: str, user: str) -> bool:
    """Whether a user of this name, with a password only, cannot take the role of the duty."""
    iam = chain.deployment.client("iam")
    iam.create_user(UserName=user)
    key = iam.create_access_key(UserName=user)["AccessKey"]
    sts = _client(chain, "sts", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"])
    role = f"arn:aws:iam::{ACCOUNT}:role/{PREFIX}{duty}"
    return is_denied(lambda: sts.assume_role(RoleArn=role, RoleSessionName=user))


def is_denied(call: Callable[[], object]) -> bool:
    """Whether AWS says that the caller may not."""
    try:
        call()
    except ClientError as error:
        return error.response["Error"]["Code"] in {"AccessDenied", "AccessDeniedException"}
    return False


def _client(chain: Chain, service: str, **credentials: str) -> Any:
    return boto3.client(service, endpoint_url=chain.deployment.emulator.endpoint, region_name=REGION, **credentials)
