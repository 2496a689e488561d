"""Settings of a session that cannot be meant are found before anything is connected."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from payments.config import AcquirerSection, Configuration, Sftp
from payments.config_drops import DirectoryDrop
from runtime.contradictions import contradictions
from tests.servers.sftp_account import private_key, public_line
from tests.unit.transfer.assemble_world import acquirer


def of(section: AcquirerSection) -> list[str]:
    return [path for path, _, _ in contradictions(Configuration(acquirer=[section]))]


def sftp(**changes: Any) -> Sftp:
    return Sftp(host="h", user="u", key="env:KEY", host_keys=[public_line(private_key())], **changes)


@pytest.mark.parametrize(
    ("proxy", "right"),
    [
        ("", True),
        ("http://proxy.example:3128", True),
        ("http://[::1]:80/", True),
        ("socks5://h:1", True),
        ("socks5://u:canary@h:1", False),
        ("socks4://h:1", False),
        ("http://u:canary@h:1", False),
        ("http://h", False),
    ],
)
def test_a_proxy_is_checked_and_never_shown(proxy: str, right: bool) -> None:
    """Only http://host:port and socks5://host:port are right, and what is wrong is not quoted, for it may hold a password."""
    found = contradictions(Configuration(acquirer=[acquirer(sftp=sftp(proxy=proxy))]))
    assert (not found) == right
    assert "canary" not in str(found)


def test_a_hash_by_the_server_needs_sftp() -> None:
    """Only an SFTP server can be asked for a hash."""
    assert of(acquirer(sftp=sftp(), verify="hash_extension")) == []
    shared = acquirer(sftp=None, directory=DirectoryDrop(path="/srv/share"), verify="hash_extension")
    assert "acquirer[0].verify" in of(shared)


@pytest.mark.parametrize("files", [0, 65])
def test_files_in_flight_have_a_limit(files: int) -> None:
    """Less than one and more than sixty-four are refused by the type of the setting."""
    described = {**msgspec.to_builtins(sftp()), "files_in_flight": files}
    with pytest.raises(msgspec.ValidationError, match="files_in_flight"):
        msgspec.convert(described, Sftp)
