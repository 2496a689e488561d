"""Where secrets come from, and that errors never hold them."""

from __future__ import annotations

import json
import traceback
from pathlib import Path

import pytest

from payments.errors import Unreachable, WrongConfiguration
from runtime import aws
from runtime.secrets import ReferencedSecrets
from tests.servers.process import free_port

CANARY = "canary-7f3a"
ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:tieout/acme-AbCdEf"


def test_environment_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`env:NAME` gives the variable's bytes exactly."""
    monkeypatch.setenv("TIEOUT_TEST_SECRET", "ünï \n")
    assert ReferencedSecrets(tmp_path).get("env:TIEOUT_TEST_SECRET") == "ünï \n".encode()


@pytest.mark.parametrize(
    ("stored", "got"),
    [
        (b"secret\n", b"secret"),
        (b"secret\r\n", b"secret"),
        (b" secret \n\n", b" secret \n"),
        (b"\xff\x00x", b"\xff\x00x"),
    ],
)
def test_file_secret_is_read_without_one_line_end(tmp_path: Path, stored: bytes, got: bytes) -> None:
    """`file:PATH` gives the file's bytes without the line end an editor adds, from the folder or from an absolute path."""
    (tmp_path / "key").write_bytes(stored)
    assert ReferencedSecrets(tmp_path).get("file:key") == got
    assert ReferencedSecrets(Path("/nowhere")).get(f"file:{tmp_path / 'key'}") == got


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("env:TIEOUT_TEST_MISSING", "TIEOUT_TEST_MISSING: this variable is not set"),
        ("env:TIEOUT_TEST_EMPTY", "TIEOUT_TEST_EMPTY: it is empty"),
        ("file:missing", "file:missing: No such file"),
        ("file:empty", "file:empty: it is empty"),
        ("file:.", "Is a directory"),
        ("file:large", "more than 65536 bytes"),
        ("file:a\0b", "not a path"),
    ],
)
def test_missing_secret_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reference: str, says: str) -> None:
    """A secret that is not there is an error that names its reference and the next step."""
    monkeypatch.delenv("TIEOUT_TEST_MISSING", raising=False)
    monkeypatch.setenv("TIEOUT_TEST_EMPTY", "")
    (tmp_path / "empty").write_bytes(b"\n")
    (tmp_path / "large").write_bytes(b"x" * 65_537)
    with pytest.raises(WrongConfiguration, match=says) as raised:
        ReferencedSecrets(tmp_path).get(reference)
    assert raised.value.next_step


@pytest.mark.parametrize(
    "written", [CANARY, f"env:{CANARY}", f"aws-secret:{CANARY}", f"password:{CANARY}", f":{CANARY}"]
)
def test_secret_written_where_its_reference_belongs_is_not_repeated(tmp_path: Path, written: str) -> None:
    """A value put into the configuration by mistake never comes back in an error, nor in its chain."""
    with pytest.raises(WrongConfiguration, match="env:NAME, file:PATH or aws-secret:ARN") as raised:
        ReferencedSecrets(tmp_path).get(written)
    assert CANARY not in "".join(traceback.format_exception_only(raised.value))
    assert raised.value.__cause__ is None


def test_aws_secret(moto_endpoint: str, tmp_path: Path) -> None:
    """`aws-secret:ARN` gives text and binary secrets of Secrets Manager."""
    client = aws.client("secretsmanager", endpoint=moto_endpoint)
    text = client.create_secret(Name="tieout/text", SecretString="tëxt")["ARN"]
    binary = client.create_secret(Name="tieout/binary", SecretBinary=b"\xff\x00")["ARN"]
    client.close()
    secrets = ReferencedSecrets(tmp_path, moto_endpoint)
    assert secrets.get(f"aws-secret:{text}") == "tëxt".encode()
    assert secrets.get(f"aws-secret:{binary}") == b"\xff\x00"


@pytest.mark.parametrize("field", ["username", "port", "nothing"])
def test_one_text_of_an_aws_secret(moto_endpoint: str, tmp_path: Path, field: str) -> None:
    """`aws-secret:ARN#FIELD` gives one text of a JSON object; what is no text of it is refused without showing any."""
    client = aws.client("secretsmanager", endpoint=moto_endpoint)
    given = {"username": "tieout", "password": "hunter2", "port": 5432}
    arn = client.create_secret(Name=f"tieout/{field}", SecretString=json.dumps(given))["ARN"]
    client.close()
    secrets = ReferencedSecrets(tmp_path, moto_endpoint)
    assert secrets.get(f"aws-secret:{arn}#password") == b"hunter2"
    if field != "username":
        with pytest.raises(WrongConfiguration, match="not a JSON object with a text") as caught:
            secrets.get(f"aws-secret:{arn}#{field}")
        assert "hunter2" not in str(caught.value)


def test_secret_that_rds_keeps(moto_endpoint: str, tmp_path: Path) -> None:
    """The owner of the ledger logs in with the secret that RDS made, whose name has a `!`."""
    client = aws.client("secretsmanager", endpoint=moto_endpoint)
    arn = client.create_secret(Name="rds!cluster-0c7e", SecretString='{"password": "hunter2"}')["ARN"]
    client.close()
    assert ReferencedSecrets(tmp_path, moto_endpoint).get(f"aws-secret:{arn}#password") == b"hunter2"


def test_aws_secret_that_does_not_exist_is_a_wrong_configuration(moto_endpoint: str, tmp_path: Path) -> None:
    """A missing secret asks for a person; a service that does not answer is tried again."""
    with pytest.raises(WrongConfiguration, match=r"acme-AbCdEf: AWS answered ResourceNotFoundException"):
        ReferencedSecrets(tmp_path, moto_endpoint).get(f"aws-secret:{ARN}")
    with pytest.raises(Unreachable, match=r"acme-AbCdEf"):
        ReferencedSecrets(tmp_path, f"http://127.0.0.1:{free_port()}").get(f"aws-secret:{ARN}")


KEYS = (
    b"-----BEGIN OPENSSH PRIVATE KEY-----\n" + CANARY.encode(),
    b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n" + CANARY.encode(),
    b"\x95\x01" + CANARY.encode(),
)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(("mode", "is_taken"), [(0o600, True), (0o400, True), (0o640, False), (0o604, False)])
def test_a_private_key_that_others_may_open_is_refused(tmp_path: Path, key: bytes, mode: int, is_taken: bool) -> None:
    """As OpenSSH does: whoever could have read it could be us. The message says how to mend it and never holds the key."""
    path = tmp_path / "key"
    path.write_bytes(key)
    path.chmod(mode)
    if is_taken:
        assert ReferencedSecrets(tmp_path).get("file:key") == key
        return
    with pytest.raises(WrongConfiguration, match=f"file:key: a private key that others may open.*{mode:04o}") as raised:
        ReferencedSecrets(tmp_path).get("file:key")
    assert "chmod 600" in raised.value.next_step
    assert CANARY not in "".join(traceback.format_exception(raised.value))


def test_a_public_key_may_be_read_by_anybody(tmp_path: Path) -> None:
    """Keys to which files are encrypted are given by reference too, and are no secret."""
    (tmp_path / "key").write_bytes(b"-----BEGIN PGP PUBLIC KEY BLOCK-----")
    (tmp_path / "key").chmod(0o644)
    assert ReferencedSecrets(tmp_path).get("file:key").startswith(b"-----BEGIN PGP PUBLIC")
