"""Fetches secrets by reference: `env:NAME`, `file:PATH`, `aws-secret:ARN`. No error or log ever holds their value."""

from __future__ import annotations

import os
import re
from pathlib import Path

from payments.errors import WrongConfiguration
from runtime import aws

SECRET_BYTES_MAX = 64 << 10
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")
ARN = re.compile(r"arn:aws[a-z-]*:secretsmanager:(?P<region>[a-z0-9-]+):\d{12}:secret:[A-Za-z0-9/_+=.@-]{1,520}")
FORMS = "a secret is given by reference: env:NAME, file:PATH or aws-secret:ARN"


class ReferencedSecrets:
    """The Secrets port. Relative paths begin at `folder`; `endpoint` is empty for AWS. Nothing is cached."""

    def __init__(self, folder: Path, endpoint: str = "") -> None:
        self._folder = folder
        self._endpoint = endpoint

    def get(self, reference: str) -> bytes:
        """The secret's bytes, without the line end that editors add to a file; never empty.

        Raises WrongConfiguration when there is none, Unreachable when AWS does not answer.
        """
        scheme, _, rest = reference.partition(":")
        match scheme:
            case "env":
                found = _from_environment(rest)
            case "file":
                found = _from_file(self._folder / rest, rest)
            case "aws-secret":
                found = self._from_aws(rest)
            case _:
                # Not repeated: it may be the secret itself, written where its reference belongs.
                raise WrongConfiguration(f"a secret reference begins with none of our schemes; {FORMS}")
        if not found:
            raise WrongConfiguration(f"secret {reference}: it is empty")
        return found

    def _from_aws(self, arn: str) -> bytes:
        from botocore.exceptions import ClientError

        form = ARN.fullmatch(arn)
        if not form:
            raise WrongConfiguration(f"secret aws-secret: what follows is not the ARN of a secret; {FORMS}")
        client = aws.client("secretsmanager", endpoint=self._endpoint, in_region=form["region"])
        with aws.translated(f"secret {arn}"):
            try:
                found = client.get_secret_value(SecretId=arn)
            except ClientError as error:
                code = aws.code_of(error)
                if code in {"ResourceNotFoundException", "AccessDeniedException", "InvalidRequestException"}:
                    raise WrongConfiguration(f"secret {arn}: AWS answered {code}") from error
                raise
            finally:
                client.close()
        text = found.get("SecretString")
        return text.encode() if text is not None else bytes(found["SecretBinary"])


def _from_environment(name: str) -> bytes:
    if not VARIABLE.fullmatch(name):
        raise WrongConfiguration(f"secret env: what follows is not the name of a variable; {FORMS}")
    value = os.environ.get(name)
    if value is None:
        raise WrongConfiguration(
            f"secret env:{name}: this variable is not set", next_step=f"Set {name} for the service."
        )
    return os.fsencode(value)


def _from_file(path: Path, shown: str) -> bytes:
    try:
        with path.open("rb") as file:
            found = file.read(SECRET_BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        why = os.strerror(error.errno or 0) if isinstance(error, OSError) else "not a path"
        raise WrongConfiguration(
            f"secret file:{shown}: {why}", next_step="Put the file there, readable by the service only."
        ) from error
    if len(found) > SECRET_BYTES_MAX:
        raise WrongConfiguration(f"secret file:{shown}: more than {SECRET_BYTES_MAX} bytes are not a secret")
    return found.removesuffix(b"\n").removesuffix(b"\r")
