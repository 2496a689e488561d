"""Where the ledger is, and who may log in to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

USER = "{user}"


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """`url` holds `{user}` where each function's own user stands.

    `users_arn` is the ARN of the database's users without their names, for a ledger with IAM log-in; empty for another.
    `owner` makes and changes tables and users; `owner_secret` is the ARN of its secret, empty where it needs none.
    """

    url: str
    owner: str
    users_arn: str = ""
    owner_secret: str = ""

    def settings_of(self, user: str) -> dict[str, Any]:
        """`[ledger]` for a function: one connection, as its own user."""
        return {"url": self.url.replace(USER, user), "iam": bool(self.users_arn), "connections_max": 1}

    def settings_of_owner(self) -> dict[str, Any]:
        """`[ledger]` for `migrate`: as the owner, by the password that RDS keeps in a secret."""
        secret = {"password": f"aws-secret:{self.owner_secret}#password"} if self.owner_secret else {}
        return {"url": self.url.replace(USER, self.owner), "connections_max": 1, **secret}


def user_of(function: str) -> str:
    """The database user of a function or task: one each, so that the ledger too can tell them apart."""
    return f"tieout_{function.replace('-', '_')}"
