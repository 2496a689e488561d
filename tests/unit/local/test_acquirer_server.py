"""The stand-in acquirer as a program, reached over real SFTP by a client of another make."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import paramiko
import pytest

from tests.servers.process import until
from tests.servers.sftp_account import private_key, public_line
from tests.unit.local.acquirer_world import delimited, payments_of, settings, text_of

REPOSITORY = Path(__file__).parents[3]
NAME = "a.csv"
TIMEOUT_S = 20


@dataclass
class Acquirer:
    """A running acquirer and the key that it knows."""

    directory: Path
    process: subprocess.Popen[str]
    port: int
    client_key: bytes

    def say_time(self, time: str, tick: int) -> None:
        part = self.directory / "clock.part"
        part.write_text(f"{time}\n{tick}\n")
        part.replace(self.directory / "clock")

    def answered(self) -> dict[str, object]:
        path = self.directory / "acquirer" / "clock"
        found: dict[str, object] = json.loads(path.read_text()) if path.exists() else {}
        return found

    def file(self, *parts: str) -> Path:
        return self.directory.joinpath("acquirer", "northbank", *parts)


def prepare(directory: Path) -> bytes:
    """Settings and keys; returns the client's private key."""
    host, client = private_key(), private_key()
    keys = directory / "acquirer" / "keys"
    keys.mkdir(parents=True)
    (keys / "host_ed25519").write_bytes(host)
    (keys / "authorized_keys").write_text(f"{public_line(client)} client\n")
    value = settings()
    value["partners"].append({**value["partners"][0], "name": "southbank"})
    (directory / "acquirer" / "acquirer.json").write_text(json.dumps(value))
    (directory / "clock").write_text("2026-03-02T12:00:00Z\n1\n")
    return client


def start(directory: Path, client_key: bytes) -> Acquirer:
    command = [sys.executable, "-m", "local.acquirer", "--dir", str(directory)]
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    ready = process.stdout.readline()
    assert ready.startswith("acquirer ready on 127.0.0.1:"), ready
    return Acquirer(directory, process, int(ready.rpartition(":")[2]), client_key)


def stop(acquirer: Acquirer) -> int:
    acquirer.process.terminate()
    status = acquirer.process.wait(TIMEOUT_S)
    assert acquirer.process.stdout is not None
    acquirer.process.stdout.close()
    return status


@pytest.fixture(scope="module")
def acquirer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Acquirer]:
    directory = tmp_path_factory.mktemp("acquirer")
    running = start(directory, prepare(directory))
    yield running
    assert stop(running) == 0


@contextlib.contextmanager
def connected(acquirer: Acquirer, user: str = "northbank", key: bytes = b"") -> Iterator[paramiko.SFTPClient]:
    transport = paramiko.Transport(("127.0.0.1", acquirer.port))
    try:
        transport.connect(username=user, pkey=_key(key or acquirer.client_key))
        client = paramiko.SFTPClient.from_transport(transport)
        assert client is not None
        client.get_channel().settimeout(TIMEOUT_S)
        with client:
            yield client
    finally:
        transport.close()


def _key(private: bytes) -> paramiko.PKey:
    return paramiko.Ed25519Key.from_private_key(io.StringIO(private.decode()))


@pytest.fixture
def sftp(acquirer: Acquirer) -> Iterator[paramiko.SFTPClient]:
    with connected(acquirer) as client:
        yield client


def put(sftp: paramiko.SFTPClient, path: str, content: bytes) -> None:
    with sftp.open(path, "wbx") as file:
        file.write(content)


def test_a_delivered_file_is_answered_on_the_virtual_clock(tmp_path: Path) -> None:
    """Uploaded, renamed, answered at its due time, collected: the whole exchange over SFTP, then a clean stop."""
    acquirer = start(tmp_path, prepare(tmp_path))
    try:
        with connected(acquirer) as sftp:
            put(sftp, "inbox/.a.part", text_of(delimited(NAME, 1, payments_of(50))).encode())
            sftp.rename("inbox/.a.part", f"inbox/{NAME}")
            acquirer.say_time("2026-03-02T12:00:00Z", 2)
            due = {"tick": 2, "next_due_at": "2026-03-02T12:01:00Z"}
            until(lambda: acquirer.answered() == due, "the answer to tick 2", TIMEOUT_S)
            assert sftp.listdir("outbox") == []
            acquirer.say_time("2026-03-02T13:00:00Z", 3)
            until(lambda: acquirer.answered().get("tick") == 3, "the answer to tick 3", TIMEOUT_S)
            assert sorted(sftp.listdir("outbox")) == [f"{NAME}.ack", f"{NAME}.result.1"]
            with sftp.open(f"outbox/{NAME}.ack") as file:
                assert b"AK,ACTC,50,,,2\n" in file.read()
            assert sftp.listdir("archive") == [NAME]
            sftp.remove(f"outbox/{NAME}.ack")
    finally:
        assert stop(acquirer) == 0


def test_rename_refuses_a_taken_name_and_leaves_both(sftp: paramiko.SFTPClient) -> None:
    """A rename onto an existing name fails; neither file changes. So does a rename that would replace."""
    put(sftp, "inbox/.new.part", b"new")
    put(sftp, "inbox/.old.part", b"old")
    for rename in (sftp.rename, sftp.posix_rename):
        with pytest.raises(OSError, match=r".+"):
            rename("inbox/.new.part", "inbox/.old.part")
    with sftp.open("inbox/.old.part") as old, sftp.open("inbox/.new.part") as new:
        assert (old.read(), new.read()) == (b"old", b"new")
    for name in ("inbox/.new.part", "inbox/.old.part"):
        sftp.remove(name)


def test_exclusive_create_is_honoured(sftp: paramiko.SFTPClient) -> None:
    """The second exclusive create of a name fails and leaves the first one's bytes."""
    put(sftp, "inbox/.x.part", b"first")
    with pytest.raises(OSError, match=r".+"):
        put(sftp, "inbox/.x.part", b"second")
    with sftp.open("inbox/.x.part") as file:
        assert file.read() == b"first"
    sftp.remove("inbox/.x.part")


def test_many_megabytes_arrive_whole(acquirer: Acquirer, sftp: paramiko.SFTPClient) -> None:
    """A pipelined upload of eight megabytes gives the same bytes."""
    content = os.urandom(8_000_000)
    sftp.putfo(io.BytesIO(content), "inbox/.big.part", confirm=True)
    assert acquirer.file("inbox", ".big.part").read_bytes() == content
    sftp.remove("inbox/.big.part")


@pytest.mark.parametrize(
    "path",
    [
        "../southbank/inbox",
        "/../southbank",
        "../../acquirer.json",
        "/etc/passwd",
        "inbox/../../acquirer.json",
        "inbox/../state.jsonl",
        "state.jsonl",
        "inbox/deeper/still",
        "archive/../../../clock",
    ],
)
def test_nothing_outside_the_three_folders_is_there(acquirer: Acquirer, sftp: paramiko.SFTPClient, path: str) -> None:
    """Whatever leaves the partner's own folders does not exist for it: not to see, to read, to write or to move."""
    put(sftp, "inbox/.mine.part", b"mine")
    for attempt in (
        lambda: sftp.stat(path),
        lambda: sftp.listdir(path),
        lambda: sftp.open(path).close(),
        lambda: sftp.open(path, "w").close(),
        lambda: sftp.rename("inbox/.mine.part", path),
        lambda: sftp.rename(path, "inbox/.theirs.part"),
        lambda: sftp.remove(path),
    ):
        with pytest.raises(OSError, match=r".+"):
            attempt()
    sftp.remove("inbox/.mine.part")
    assert sorted(sftp.listdir(".")) == ["archive", "inbox", "outbox"]
    assert (acquirer.directory / "acquirer" / "acquirer.json").exists()


def test_links_lead_nowhere(acquirer: Acquirer, sftp: paramiko.SFTPClient) -> None:
    """A client cannot make links, and one that lies there is not followed."""
    with pytest.raises(OSError, match=r".+"):
        sftp.symlink("/etc/passwd", "inbox/.link")
    link = acquirer.file("inbox", ".link")
    link.symlink_to("/etc/passwd")
    with pytest.raises(OSError, match=r".+"):
        sftp.open("inbox/.link")
    link.unlink()


def test_each_folder_allows_what_it_is_for(acquirer: Acquirer, sftp: paramiko.SFTPClient) -> None:
    """Archive is for reading, outbox for reading and removing; folders and attributes are fixed; names are harmless."""
    acquirer.file("archive", "old.csv").write_text("old")
    acquirer.file("outbox", "answer").write_text("answer")
    put(sftp, "inbox/.mine.part", b"mine")
    for attempt in (
        lambda: sftp.remove("archive/old.csv"),
        lambda: sftp.open("archive/old.csv", "a").close(),
        lambda: sftp.open("outbox/mine", "w").close(),
        lambda: sftp.rename("inbox/.mine.part", "archive/mine"),
        lambda: sftp.rename("outbox/answer", "inbox/answer"),
        lambda: sftp.rename("inbox/.mine.part", "inbox/a\nb"),
        lambda: sftp.rename("inbox/.mine.part", "inbox/" + "n" * 201),
        lambda: sftp.rename("inbox", "inbox/inbox"),
        lambda: sftp.mkdir("inbox/folder"),
        lambda: sftp.rmdir("archive"),
        lambda: sftp.chmod("inbox/.mine.part", 0),
        lambda: sftp.truncate("archive/old.csv", 0),
    ):
        with pytest.raises(OSError, match=r".+"):
            attempt()
    with sftp.open("archive/old.csv") as file:
        assert file.read() == b"old"
    sftp.remove("outbox/answer")
    sftp.remove("inbox/.mine.part")


def test_partners_do_not_see_each_other(acquirer: Acquirer, sftp: paramiko.SFTPClient) -> None:
    """The same path is another file for another partner."""
    put(sftp, "inbox/.north.part", b"north")
    with connected(acquirer, "southbank") as south:
        assert south.listdir("inbox") == []
    sftp.remove("inbox/.north.part")


@pytest.mark.parametrize("user", ["northbank", "stranger", "root", "../northbank"])
def test_a_key_that_is_not_authorized_opens_nothing(acquirer: Acquirer, user: str) -> None:
    """A fresh key is refused for any user."""
    with pytest.raises(paramiko.AuthenticationException), connected(acquirer, user, private_key()):
        pass


@pytest.mark.parametrize("user", ["stranger", "root", "", "../northbank"])
def test_a_user_that_is_no_partner_is_refused(acquirer: Acquirer, user: str) -> None:
    """An authorized key opens only the partners' doors."""
    with pytest.raises(paramiko.AuthenticationException), connected(acquirer, user):
        pass


def test_passwords_and_shells_are_not_offered(acquirer: Acquirer) -> None:
    """Only public keys are offered for the login, and only SFTP behind it."""
    with contextlib.closing(paramiko.Transport(("127.0.0.1", acquirer.port))) as transport:
        transport.start_client(timeout=TIMEOUT_S)
        with pytest.raises(paramiko.BadAuthenticationType) as refused:
            transport.auth_password("northbank", "secret", fallback=False)
        assert refused.value.allowed_types == ["publickey"]
    with contextlib.closing(paramiko.Transport(("127.0.0.1", acquirer.port))) as transport:
        transport.connect(username="northbank", pkey=_key(acquirer.client_key))
        channel = transport.open_session(timeout=TIMEOUT_S)
        with pytest.raises(paramiko.SSHException):
            channel.exec_command("true")


def test_too_many_connections_are_turned_away(acquirer: Acquirer) -> None:
    """The seventeenth connection is closed; the others work on, and there is room again afterwards."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connected(acquirer)) for _ in range(16)]
        with pytest.raises((paramiko.SSHException, EOFError, OSError)), connected(acquirer):
            pass
        assert all(client.listdir("inbox") == [] for client in clients)

    def has_room() -> bool:
        with contextlib.suppress(paramiko.SSHException, EOFError, OSError), connected(acquirer):
            return True
        return False

    until(has_room, "room for a connection", TIMEOUT_S)


def test_a_killed_server_takes_its_desk_along_and_a_new_one_goes_on(tmp_path: Path) -> None:
    """After SIGKILL no process stays behind; a new acquirer has the directory for itself and answers what was owed."""
    first = start(tmp_path, prepare(tmp_path))
    with connected(first) as sftp:
        put(sftp, f"inbox/{NAME}", text_of(delimited(NAME, 1, payments_of(20))).encode())
    until(lambda: first.file("archive", NAME).exists(), "the pick-up", TIMEOUT_S)
    (desk,) = _children(first.process.pid)
    first.process.kill()
    first.process.wait(TIMEOUT_S)
    assert first.process.stdout is not None
    first.process.stdout.close()
    until(lambda: not _is_running(desk), "the desk to end", TIMEOUT_S)
    second = start(tmp_path, first.client_key)
    try:
        second.say_time("2026-03-02T12:01:00Z", 2)
        until(lambda: second.file("outbox", f"{NAME}.ack").exists(), "the acknowledgement", TIMEOUT_S)
    finally:
        assert stop(second) == 0


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(each) for each in text.split()]


def _is_running(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_a_desk_that_dies_ends_the_acquirer(tmp_path: Path) -> None:
    """Without its desk the server does not go on taking files that nobody would answer."""
    acquirer = start(tmp_path, prepare(tmp_path))
    os.kill(_children(acquirer.process.pid)[0], signal.SIGKILL)
    assert acquirer.process.wait(TIMEOUT_S) == 1
    assert acquirer.process.stdout is not None
    acquirer.process.stdout.close()


def _unknown_key(directory: Path) -> None:
    (directory / "acquirer" / "acquirer.json").write_text(json.dumps(settings() | {"colour": 1}))


def _no_host_key(directory: Path) -> None:
    (directory / "acquirer" / "keys" / "host_ed25519").unlink()


def _no_authorized_key(directory: Path) -> None:
    (directory / "acquirer" / "keys" / "authorized_keys").write_text("nonsense\n")


@pytest.mark.parametrize(
    ("spoil", "named"),
    [(_unknown_key, "colour"), (_no_host_key, "host_ed25519"), (_no_authorized_key, "authorized_keys")],
)
def test_wrong_settings_end_with_status_2_and_say_why(
    tmp_path: Path, spoil: Callable[[Path], None], named: str
) -> None:
    """An unknown key or a missing key file is named on standard error, without a trace."""
    prepare(tmp_path)
    spoil(tmp_path)
    command = [sys.executable, "-m", "local.acquirer", "--dir", str(tmp_path)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 2
    assert named in done.stderr
    assert "Traceback" not in done.stderr
