"""Fetches secrets by reference: `env:NAME`, `file:PATH`, `aws-secret:ARN` or `aws-secret:ARN#FIELD`. No error or log ever holds their value."""

from __future__ import annotations

import json
import os
import re
import stat
from pathlib import Path

from payments.errors import WrongConfiguration

SECRET_BYTES_MAX = 64 << 10
OTHERS = 0o077
"""As OpenSSH does: its owner's key is refused when group or others may do anything with the file."""
PRIVATE = b"PRIVATE KEY"
SECRET_PACKETS = frozenset({b"\x94", b"\x95", b"\x96", b"\x97", b"\xc5"})
"""First bytes of an OpenPGP secret key that is not armoured (RFC 9580, 4.2)."""
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")
ARN = re.compile(r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:[A-Za-z0-9/_+=.@!-]{1,520}")
"""With `!`: the secret that RDS keeps for the owner of the ledger is called `rds!cluster-…`."""
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

    def text(self, reference: str) -> str:
        """The secret as text; empty where none is referred to. Raises WrongConfiguration."""
        if not reference:
            return ""
        try:
            return self.get(reference).decode()
        except UnicodeDecodeError as error:
            raise WrongConfiguration(f"secret {reference}: it is not text in UTF-8") from error

    def _from_aws(self, arn: str) -> bytes:
        from runtime.secrets_aws import fetch  # it speaks HTTP: most commands have no use for that

        arn, _, field = arn.partition("#")
        if not ARN.fullmatch(arn):
            raise WrongConfiguration(f"secret aws-secret: what follows is not the ARN of a secret; {FORMS}")
        whole = fetch(arn, endpoint=self._endpoint)
        return _field(whole, field, arn) if field else whole


def _field(secret: bytes, name: str, arn: str) -> bytes:
    """One text of a secret that is a JSON object, as AWS keeps user and password of a database."""
    try:
        found = json.loads(secret)[name]
    except (ValueError, KeyError, TypeError, RecursionError):
        found = None
    if not isinstance(found, str):
        raise WrongConfiguration(f"secret {arn}: it is not a JSON object with a text {name!a}")
    return found.encode()


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
            status = os.fstat(file.fileno())
    except (OSError, ValueError) as error:
        why = os.strerror(error.errno or 0) if isinstance(error, OSError) else "not a path"
        raise WrongConfiguration(
            f"secret file:{shown}: {why}", next_step="Put the file there, readable by the service only."
        ) from error
    if len(found) > SECRET_BYTES_MAX:
        raise WrongConfiguration(f"secret file:{shown}: more than {SECRET_BYTES_MAX} bytes are not a secret")
    if status.st_uid == os.getuid() and status.st_mode & OTHERS and _is_private_key(found):
        raise WrongConfiguration(
            f"secret file:{shown}: a private key that others may open (mode {stat.S_IMODE(status.st_mode):04o})",
            next_step=f"Let nobody else read it: `chmod 600` on {shown}. A key that others may have read is to be replaced.",
        )
    return found.removesuffix(b"\n").removesuffix(b"\r")


def _is_private_key(found: bytes) -> bool:
    """Of SSH or OpenPGP. Public keys are given by reference as well, and anybody may read them."""
    return PRIVATE in found or found[:1] in SECRET_PACKETS
