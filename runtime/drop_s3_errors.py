"""Turns what a bucket of the acquirer answers into our errors: a definite no, or no answer that can be trusted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from payments.errors import DeliveryFailed, Unreachable

TAKEN = frozenset({"PreconditionFailed", "412"})
"""The condition failed: something has the key."""
GONE = frozenset({"404", "NoSuchKey", "NotFound"})
AGAIN = frozenset(
    {"ConditionalRequestConflict", "409", "SlowDown", "RequestTimeout", "OperationAborted", "NoSuchUpload"}
)
"""Answers with a status below 500 that are no definite no: an earlier try may have gone through."""
NEXT_STEP = "Check the bucket, `inbox` and `outbox` of this acquirer, and which rights its bucket gives to our account."


@contextmanager
def acting(act: str, path: str, *, let: frozenset[str] = frozenset()) -> Iterator[None]:
    """Raises DeliveryFailed where the answer is a definite no, Unreachable where it is none; codes in `let` go through."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        code = code_of(error)
        if code in let:
            raise
        said = f"the bucket answered {code or 'an error without a code'}: cannot {act} {shown(path)}"
        if _is_definite(error):
            raise DeliveryFailed(said, next_step=NEXT_STEP) from error
        raise Unreachable(said) from error
    except BotoCoreError as error:
        raise Unreachable(f"the bucket does not answer ({type(error).__name__}): cannot {act} {shown(path)}") from error


def code_of(error: Any) -> str:
    """The service's own code, such as `NoSuchKey`; a HEAD has only the number of its status."""
    return str(error.response.get("Error", {}).get("Code", ""))


def shown(path: str) -> str:
    """A path for a message: whatever it holds, one harmless line."""
    return ascii(path[:200])


def _is_definite(error: Any) -> bool:
    """Whether it is certain that nothing was done. A request that was tried more than once may have gone through before."""
    facts = error.response.get("ResponseMetadata", {})
    status = int(facts.get("HTTPStatusCode", 0))
    once = int(facts.get("RetryAttempts", 0)) == 0
    return once and 400 <= status < 500 and status not in {408, 409, 429} and code_of(error) not in AGAIN
