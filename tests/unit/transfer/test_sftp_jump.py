"""A jump host between us and the acquirer: real servers, pinned each, and errors that say which of the two."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paramiko
import pytest

import transfer.sftp_jump
from payments.config import Sftp
from payments.config_drops import Jump
from payments.errors import HostKeyRefused, LoginRefused, Unreachable, WrongConfiguration
from tests.servers import openssh
from tests.servers.asyncssh_server import AsyncsshAccount, asyncssh_server
from tests.servers.line import Line
from tests.servers.openssh import openssh_server
from tests.servers.paramiko_server import paramiko_server
from tests.servers.process import free_port
from tests.servers.sftp_account import SftpAccount, private_key, public_line, settings
from tests.unit.tieout.test_acquirer_command import configured
from tests.unit.transfer.deliver_world import DeliverWorld
from tieout.__main__ import main
from transfer.deliver import deliver
from transfer.sftp import connect
from transfer.sftp_login import Credentials, MoreSecrets

pytestmark = pytest.mark.skipif(openssh.sshd() is None, reason=openssh.MISSING)


@pytest.fixture(scope="module")
def jump_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SftpAccount]:
    """A real sshd that passes connections on, and another account's files of its own."""
    with openssh_server(tmp_path_factory.mktemp("jump")) as running:
        yield running


@pytest.fixture
def target(tmp_path: Path) -> Iterator[AsyncsshAccount]:
    with asyncssh_server(tmp_path / "target") as running:
        yield running


def through(jump: SftpAccount, target: SftpAccount, port: int = 0, **changes: Any) -> Sftp:
    """The target's settings with the jump host before it; `changes` are of the jump host."""
    known = {"host": jump.host, "port": port or jump.port, "user": jump.user, "host_keys": [jump.host_key]}
    return settings(target, jump=Jump(**{**known, **changes}))


def keys(jump: SftpAccount) -> MoreSecrets:
    return MoreSecrets(jump=Credentials(key=jump.client_key))


def test_files_move_through_two_real_servers(jump_host: SftpAccount, tmp_path: Path) -> None:
    """Through one OpenSSH to another, a file arrives under its name and every byte of another comes back; nothing is left over."""
    data = bytes(range(256)) * 20_000
    (tmp_path / "out").write_bytes(data)
    with openssh_server(tmp_path / "target") as target:
        before = set(threading.enumerate())
        (target.root / "outbox/b").write_bytes(data[::-1])
        with connect(through(jump_host, target), key=target.client_key, password=None, more=keys(jump_host)) as drop:
            drop.upload(tmp_path / "out", "inbox/.a")
            drop.rename("inbox/.a", "inbox/a")
            assert [each.name for each in drop.listing("outbox")] == ["b"]
            drop.download("outbox/b", tmp_path / "back")
        assert (target.root / "inbox/a").read_bytes() == data
        assert (tmp_path / "back").read_bytes() == data[::-1]
        assert set(threading.enumerate()) <= before
    assert not list((jump_host.root / "inbox").iterdir())


def test_a_delivery_goes_through_the_jump_host(jump_host: SftpAccount, target: AsyncsshAccount, tmp_path: Path) -> None:
    """A due file is delivered, and its receipt names the host key of the acquirer, not that of the jump host."""
    world = DeliverWorld(tmp_path / "world", sftp=through(jump_host, target), verify="strongest")
    server = world.acquirer.server

    def connected() -> Any:
        return connect(server, key=target.client_key, password=None, more=keys(jump_host))

    assert deliver(world.ports(connect=connected))
    file = world.file()
    assert (file.state, (target.root / "inbox" / file.name).read_bytes()) == ("delivered", world.bodies[file.file_id])
    receipt = world.receipt(file)
    assert receipt is not None
    with connected() as drop:
        assert receipt.host_key == drop.host_key
    assert receipt.verified_by.endswith(", bytes read back before it (strongest, never probed), and again behind it")


def test_the_commands_go_through_the_jump_host(
    jump_host: SftpAccount, target: AsyncsshAccount, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`tieout acquirer NAME test` and `probe` take the way that the configuration declares, with the secrets it names."""
    config = configured(tmp_path, target)
    (tmp_path / "jump_key").touch(mode=0o600)
    (tmp_path / "jump_key").write_bytes(jump_host.client_key)
    lines = ["[acquirer.sftp.jump]", f'host = "{jump_host.host}"', f"port = {jump_host.port}"]
    lines += [f'user = "{jump_host.user}"', 'key = "file:jump_key"', f'host_keys = ["{jump_host.host_key}"]']
    config.write_text(config.read_text() + "\n".join(lines) + "\n")
    for action in ("test", "probe", "show"):
        assert main(["acquirer", "north", action, "--config", str(config)]) == 0
    assert main(["config", "check", "--config", str(config)]) == 0
    shown = capsys.readouterr().out
    assert f"tieout@127.0.0.1:{target.port} through {jump_host.user}@127.0.0.1:{jump_host.port}" in shown
    (tmp_path / "jump_key").write_bytes(private_key())
    assert main(["acquirer", "north", "test", "--config", str(config)]) == 1
    assert "the jump host 127.0.0.1" in capsys.readouterr().out


def test_an_unpinned_jump_host_gets_no_credential(tmp_path: Path, target: AsyncsshAccount) -> None:
    """A jump host with another key is refused before we log in; the error names it, and whom to ask."""
    with asyncssh_server(tmp_path / "jump", password="correct") as jump:
        other = through(jump, target, host_keys=[public_line(private_key())])
        more = MoreSecrets(jump=Credentials(key=jump.client_key, password=b"correct"))
        with pytest.raises(HostKeyRefused, match=r"the jump host .* not pinned") as caught:
            connect(other, key=target.client_key, password=None, more=more).__enter__()
        assert jump.seen.logins == []
    assert "acquirer.sftp.jump" in caught.value.next_step
    assert target.seen.connections == 0


def test_a_jump_host_that_loses_its_key_ends_the_session(
    jump_host: SftpAccount, target: AsyncsshAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its key is asked before every act, as that of the acquirer: one that is not pinned any more stops the next act."""
    pins = list(transfer.sftp_jump.pinned_keys(through(jump_host, target).jump))
    monkeypatch.setattr(transfer.sftp_jump, "pinned_keys", lambda *_: pins)
    with connect(through(jump_host, target), key=target.client_key, password=None, more=keys(jump_host)) as drop:
        assert drop.listing("inbox") == []
        pins.clear()
        with pytest.raises(HostKeyRefused, match=r"^the jump host") as caught:
            drop.listing("inbox")
    assert "acquirer.sftp.jump" in caught.value.next_step


def test_an_unpinned_target_gets_no_credential(jump_host: SftpAccount, target: AsyncsshAccount) -> None:
    """Behind a good jump host the acquirer's server is judged as ever, by its own keys."""
    wrong = settings(target, host_keys=[public_line(private_key())], jump=through(jump_host, target).jump)
    with pytest.raises(HostKeyRefused, match=rf"^127\.0\.0\.1:{target.port} holds"):
        connect(wrong, key=target.client_key, password=None, more=keys(jump_host)).__enter__()
    assert target.seen.logins == []


def test_a_refused_login_says_at_which_server(jump_host: SftpAccount, target: AsyncsshAccount) -> None:
    """A wrong key for the jump host names the jump host and its settings; one for the acquirer names the acquirer."""
    sftp = through(jump_host, target)
    wrong = MoreSecrets(jump=Credentials(key=private_key()))
    with pytest.raises(LoginRefused, match=r"^the jump host") as first:
        connect(sftp, key=target.client_key, password=None, more=wrong).__enter__()
    assert "[acquirer.sftp.jump]" in first.value.next_step
    with pytest.raises(LoginRefused, match=rf"^127\.0\.0\.1:{target.port} refused") as second:
        connect(sftp, key=private_key(), password=None, more=keys(jump_host)).__enter__()
    assert "jump" not in second.value.next_step


@pytest.mark.parametrize(
    ("more", "port", "says"),
    [
        ({"AllowTcpForwarding": "no"}, 0, "it is not allowed"),
        ({"PermitOpen": "127.0.0.1:1"}, 0, "it is not allowed"),
        ({}, free_port(), "it could not connect there"),
    ],
    ids=["no forwarding", "not there", "nobody listens"],
)
def test_a_jump_host_that_does_not_go_on_says_why(
    tmp_path: Path, target: AsyncsshAccount, more: dict[str, str], port: int, says: str
) -> None:
    """What the jump host refuses or cannot reach is Unreachable, with its name and the address it was asked for."""
    with openssh_server(tmp_path / "jump", more=more) as jump:
        sftp = through(jump, target) if not port else settings(target, port=port, jump=through(jump, target).jump)
        with pytest.raises(
            Unreachable, match=f"the jump host .* did not connect us to {sftp.host}:{sftp.port}: {says}"
        ):
            connect(sftp, key=target.client_key, password=None, more=keys(jump)).__enter__()
    assert target.seen.connections == 0


@pytest.mark.parametrize("cut", [True, False])
def test_a_broken_way_to_the_jump_host_ends_the_session(
    jump_host: SftpAccount, target: AsyncsshAccount, tmp_path: Path, cut: bool
) -> None:
    """A link to the jump host that breaks or goes silent in the middle of a file ends in Unreachable, and no thread is left."""
    (tmp_path / "out").write_bytes(bytes(3_000_000))
    before = set(threading.enumerate())
    with Line(jump_host.port, 500_000, cut=cut) as line:
        sftp = settings(target, channel_timeout_s=1, jump=through(jump_host, target, line.port).jump)
        with (
            pytest.raises(Unreachable, match="upload"),
            connect(sftp, key=target.client_key, password=None, more=keys(jump_host)) as drop,
        ):
            drop.upload(tmp_path / "out", "inbox/.a")
    assert not (target.root / "inbox/a").exists()
    assert {each for each in threading.enumerate() if each.name != "asyncssh server"} <= before


class Undecided(paramiko.ServerInterface):
    """Lets everybody in and never says whether it goes on."""

    def __init__(self) -> None:
        self.over = threading.Event()

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return int(paramiko.AUTH_SUCCESSFUL)

    def check_channel_direct_tcpip_request(self, chanid: int, origin: object, destination: object) -> int:
        self.over.wait(10)
        return int(paramiko.OPEN_FAILED_CONNECT_FAILED)


def test_a_jump_host_that_never_connects_us_is_given_up(target: AsyncsshAccount, tmp_path: Path) -> None:
    """When the jump host does not answer whether it goes on, the limit ends it, and both ends are named."""
    door = Undecided()
    with paramiko_server(tmp_path, door) as jump:
        sftp = settings(target, connect_timeout_s=1, require_strict_kex=False, jump=through(jump, target).jump)
        says = f"^the jump host .* connect us to 127.0.0.1:{target.port}: it did not answer in time"
        with pytest.raises(Unreachable, match=says):
            connect(sftp, key=target.client_key, password=None, more=keys(jump)).__enter__()
        door.over.set()


def test_a_silent_server_behind_the_jump_host_is_given_up(jump_host: SftpAccount) -> None:
    """A port behind the jump host that accepts and says nothing is Unreachable within the limit, and nothing is left open."""
    before = set(threading.enumerate())
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sftp = Sftp(
            host="127.0.0.1",
            port=listener.getsockname()[1],
            user="u",
            host_keys=[public_line(private_key())],
            connect_timeout_s=1,
            jump=through(jump_host, jump_host).jump,
        )
        with pytest.raises(Unreachable, match="did not answer in time"):
            connect(sftp, key=None, password=b"p", more=keys(jump_host)).__enter__()
    assert set(threading.enumerate()) <= before


def test_a_jump_host_without_credentials_is_a_wrong_configuration(
    jump_host: SftpAccount, target: AsyncsshAccount
) -> None:
    """Its key is its own: the acquirer's is never tried there."""
    with pytest.raises(WrongConfiguration, match=r"acquirer\.sftp\.jump .* neither `key` nor `password`"):
        connect(through(jump_host, target), key=target.client_key, password=None).__enter__()
