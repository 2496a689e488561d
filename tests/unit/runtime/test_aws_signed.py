"""A signed request without boto3: the signature is boto3's own, errors are told apart, attempts have an end."""

from __future__ import annotations

import http.server
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as Theirs

from payments.errors import Unreachable, WrongConfiguration
from runtime import aws_signed
from runtime.aws import ATTEMPTS_MAX
from runtime.database_token import Credentials
from runtime.secrets_aws import fetch

ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:tieout/acme-AbCdEf"
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
URL = "https://secretsmanager.eu-central-1.amazonaws.com"


class Server:
    """Answers each request with the next of `answers`, the last one for ever."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, bytes]] = []
        self.seen: list[dict[str, str]] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                outer.seen.append({name.lower(): value for name, value in self.headers.items()})
                status, body = outer.answers.pop(0) if len(outer.answers) > 1 else outer.answers[0]
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: object) -> None:
                """Says nothing."""

        self.http = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-key")
    monkeypatch.setattr(aws_signed, "PAUSE_S", 0.0)
    made = Server()
    thread = threading.Thread(target=made.http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.http.shutdown()
    thread.join(10)
    made.http.server_close()


@pytest.mark.parametrize("token", ["", "FQoGZXIvYXdzEXAMPLE=="])
def test_the_signature_is_that_of_botocore(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same request signed by botocore carries the same authorization."""
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: NOW.replace(tzinfo=None))
    body = json.dumps({"SecretId": ARN}).encode()
    credentials = Credentials("AKIAIOSFODNN7EXAMPLE", "not-a-key", token)
    ours = aws_signed.signed(
        "secretsmanager", "t.Get", body, url=URL, region="eu-central-1", credentials=credentials, now=NOW
    )
    headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": "t.Get"}
    request = AWSRequest("POST", URL + "/", headers=headers, data=body)
    SigV4Auth(Theirs(credentials.access_key, credentials.secret_key, token or None), "secretsmanager", "eu-central-1").add_auth(request)  # fmt: skip
    assert ours["authorization"] == request.headers["Authorization"]


def test_what_passes_is_tried_again(server: Server) -> None:
    """A throttled request and a server's failure are repeated; then the secret is there."""
    throttled = b'{"__type": "com.amazonaws#ThrottlingException"}'
    server.answers = [(400, throttled), (503, b"<html>"), (200, b'{"SecretString": "hunter2"}')]
    assert fetch(ARN, endpoint=server.url) == b"hunter2"
    assert len(server.seen) == 3
    assert server.seen[0]["x-amz-target"] == "secretsmanager.GetSecretValue"


def test_what_does_not_pass_is_unreachable(server: Server) -> None:
    """After the last attempt the error names the secret and the service's code, and nothing else."""
    server.answers = [(500, b'{"__type": "InternalServiceError", "message": "account 42"}')]
    with pytest.raises(Unreachable, match=r"tieout/acme-AbCdEf: AWS answered InternalServiceError$"):
        fetch(ARN, endpoint=server.url)
    assert len(server.seen) == ATTEMPTS_MAX


@pytest.mark.parametrize(
    ("code", "kind"),
    [("AccessDeniedException", WrongConfiguration), ("DecryptionFailure", Unreachable), ("", Unreachable)],
)
def test_a_refusal_is_not_repeated(server: Server, code: str, kind: type[Exception]) -> None:
    """The service's code decides whether the configuration is wrong; either way one request is enough."""
    server.answers = [(400, json.dumps({"__type": code}).encode())]
    with pytest.raises(kind, match="AWS answered"):
        fetch(ARN, endpoint=server.url)
    assert len(server.seen) == 1


def test_without_keys_in_the_environment_boto3_looks_for_them(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A profile's credentials fetch the same secret."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "credentials").write_text("[default]\naws_access_key_id = AKIA\naws_secret_access_key = not-a-key\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    server.answers = [(200, b'{"SecretString": "hunter2"}')]
    assert fetch(ARN, endpoint=server.url) == b"hunter2"


def test_a_secret_imports_no_client_of_aws(server: Server) -> None:
    """With keys in the environment neither boto3 nor botocore is imported: a cold start does not pay for them."""
    server.answers = [(200, b'{"SecretString": "hunter2"}')]
    program = (
        "import sys; from runtime.secrets_aws import fetch; fetch(sys.argv[1], endpoint=sys.argv[2]);"
        "assert not {'boto3', 'botocore'} & set(sys.modules)"
    )
    root = Path(aws_signed.__file__).parents[1]
    subprocess.run([sys.executable, "-c", program, ARN, server.url], check=True, timeout=60, cwd=root)
