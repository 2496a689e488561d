"""What a reference to a secret looks like; anything else may be the secret itself, and is not shown."""

from __future__ import annotations

import re
from collections.abc import Iterator

NOT_SHOWN = "a value that is not shown"
SECRET_FORMS = "a reference: env:NAME, file:PATH or aws-secret:ARN"  # noqa: S105  (how a secret is referred to)
REFERENCE = re.compile(r"(env|file|aws-secret):.+", re.DOTALL)


def secret_contradictions(key: str, reference: str) -> Iterator[tuple[str, object, str]]:
    """As `contradictions`, for one key that takes a reference or nothing."""
    if reference and not REFERENCE.fullmatch(reference):
        yield key, NOT_SHOWN, SECRET_FORMS
