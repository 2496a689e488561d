"""The probe: what it finds on real servers and on ones that misbehave, and that it leaves nothing behind."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from payments.errors import HostKeyRefused, NotAllowed, Unreachable
from runtime.ledger.audit import audit_records
from runtime.ledger.clock import SystemClock
from tests.servers import openssh
from tests.servers.asyncssh_server import asyncssh_server
from tests.servers.openssh import openssh_server
from tests.servers.sftp_account import SftpAccount, private_key, public_line, settings
from tests.unit.transfer.key_world import ANNA, KeyWorld
from transfer.probe import keep, probe
from transfer.profile import CapabilityProfile, advice, rows

needs_sshd = pytest.mark.skipif(openssh.sshd() is None, reason=openssh.MISSING)
SERVERS = [pytest.param(openssh_server, marks=needs_sshd, id="openssh"), pytest.param(asyncssh_server, id="asyncssh")]


def probed(account: SftpAccount, directory: str = "", **changes: Any) -> CapabilityProfile:
    sftp = settings(account, **changes)
    return probe(sftp, key=account.client_key, password=None, accepted=None, clock=SystemClock(), directory=directory)


def everything(account: SftpAccount) -> set[str]:
    return {str(path.relative_to(account.root)) for path in account.root.rglob("*")}


@pytest.mark.parametrize("server", SERVERS)
def test_a_good_server_is_known_afterwards(server: Any, tmp_path: Path) -> None:
    """On OpenSSH and asyncssh every thing is tried and found as these servers have it, with nothing to note."""
    with server(tmp_path) as account:
        found = probed(account)
    assert (found.exclusive_create, found.stat_after_put, found.rename) == ("honoured", "equal", "works")
    assert (found.rename_existing, found.posix_rename, found.fsync) == ("refuses", "replaces", "works")
    assert found.rename_atomic == "declared no, not probed"
    assert found.limits is not None
    assert found.limits["write"] >= 32_768
    assert set(found.bytes_per_s) == {"1", "8", "32"}
    assert all(speed > 0 for speed in found.bytes_per_s.values())
    assert found.clock_skew_s is not None
    assert abs(found.clock_skew_s) <= 2
    assert found.free_bytes is not None
    assert found.listing_order in {"no order", "by name", "oldest first", "newest first", "by name, reversed"}
    assert "posix-rename@openssh.com" in found.extensions
    assert found.software.startswith("SSH-2.0-")
    assert found.host_key.startswith("SHA256:")
    assert [note for note in advice(found, settings(account)) if "bytes free" not in note] == []


@pytest.mark.parametrize("server", SERVERS)
def test_nothing_is_left_behind_and_nothing_else_is_touched(server: Any, tmp_path: Path) -> None:
    """What lay in the inbox lies there unchanged, and nothing more."""
    with server(tmp_path) as account:
        (account.root / "inbox/theirs").write_bytes(b"theirs")
        before = everything(account)
        assert probed(account).left_behind == ()
        assert everything(account) == before
        assert (account.root / "inbox/theirs").read_bytes() == b"theirs"


@dataclass
class Notes:
    """Every path that a session created, as seen from the root of the server."""

    paths: list[str] = field(default_factory=list)


def server_of(**methods: Any) -> tuple[type[asyncssh.SFTPServer], Notes]:
    """A server class with other answers, which notes what is created."""
    notes = Notes()

    class Odd(asyncssh.SFTPServer):
        def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:
            notes.paths.append(path.decode())
            return super().open(path, pflags, attrs)

        def mkdir(self, path: bytes, attrs: asyncssh.SFTPAttrs) -> None:
            notes.paths.append(path.decode())
            super().mkdir(path, attrs)

        def rename(self, oldpath: bytes, newpath: bytes) -> None:
            notes.paths.append(newpath.decode())
            super().rename(oldpath, newpath)

    for name, method in methods.items():
        setattr(Odd, name, method)
    return Odd, notes


def test_every_name_of_the_probe_begins_with_a_dot(tmp_path: Path) -> None:
    """No file or directory is ever made in the inbox under a name that a partner's pattern could match."""
    odd, notes = server_of()
    with asyncssh_server(tmp_path, files=odd) as account:
        probed(account)
    assert len(notes.paths) > 20
    for path in notes.paths:
        top = path.removeprefix("inbox/").split("/")[0]
        assert path.startswith("inbox/")
        assert top.startswith(".tieout-probe-"), path


def replaces(self: asyncssh.SFTPServer, oldpath: bytes, newpath: bytes) -> None:
    self.posix_rename(oldpath, newpath)


def opens_anything(self: asyncssh.SFTPServer, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:
    return asyncssh.SFTPServer.open(self, path, pflags & ~asyncssh.FXF_EXCL, attrs)


def tells_another_size(self: asyncssh.SFTPServer, path: bytes) -> asyncssh.SFTPAttrs:
    return asyncssh.SFTPAttrs(size=lying_at(self, path).stat().st_size + 1)


def lives_in_the_past(self: asyncssh.SFTPServer, path: bytes) -> asyncssh.SFTPAttrs:
    found = lying_at(self, path).stat()
    return asyncssh.SFTPAttrs(size=found.st_size, atime=0, mtime=int(found.st_mtime) - 3_600)


async def hides_dots(self: asyncssh.SFTPServer, path: bytes) -> Any:
    for each in lying_at(self, path).iterdir():
        if not each.name.startswith("."):
            yield asyncssh.SFTPName(each.name.encode(), attrs=asyncssh.SFTPAttrs(size=0, permissions=0o100644))


def lying_at(server: asyncssh.SFTPServer, path: bytes) -> Path:
    return Path(os.fsdecode(server.map_path(path)))


def never(self: asyncssh.SFTPServer, *given: object) -> None:
    raise asyncssh.SFTPPermissionDenied("no")


@pytest.mark.parametrize(
    ("methods", "what", "verdict", "note"),
    [
        ({"rename": replaces}, "rename_existing", "replaces", "Its rename replaces files"),
        ({"rename": never}, "rename", "refused: permission denied", "No file can be delivered"),
        ({"open": opens_anything}, "exclusive_create", "ignored", "although asked not to"),
        ({"stat": tells_another_size}, "stat_after_put", "4322 bytes are told for 4321", "No delivery can be proved"),
        ({"stat": never}, "stat_after_put", "refused: permission denied", "No delivery can be proved"),
        ({"fsync": never}, "fsync", "refused: permission denied", "does not confirm that bytes are on its disk"),
        ({"scandir": hides_dots}, "listing_order", "names with a dot are not listed", "left-over temporary"),
        ({"posix_rename": never}, "posix_rename", "refuses", ""),
        ({"statvfs": never}, "free_bytes", None, ""),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_a_server_does_otherwise_is_found_and_noted(
    tmp_path: Path, methods: dict[str, Any], what: str, verdict: object, note: str
) -> None:
    """One odd habit changes its own verdict, is noted where it matters, and hides nothing else."""
    odd, _ = server_of(**methods)
    with asyncssh_server(tmp_path, files=odd) as account:
        found = probed(account)
        assert everything(account) == {"inbox", "outbox", "archive"}
    assert getattr(found, what) == verdict
    assert note in " ".join(advice(found, settings(account)))
    assert found.bytes_per_s


def test_a_clock_that_is_wrong_is_measured(tmp_path: Path) -> None:
    """A server an hour behind is an hour behind in the profile, and noted."""
    odd, _ = server_of(stat=lives_in_the_past)
    with asyncssh_server(tmp_path, files=odd) as account:
        found = probed(account)
    assert found.clock_skew_s is not None
    assert -3_603 <= found.clock_skew_s <= -3_597
    assert "s apart" in " ".join(advice(found, settings(account)))


def test_a_server_without_new_directories_is_probed_only_where_people_say(tmp_path: Path) -> None:
    """Refused a directory of its own, the probe does nothing in the inbox, and uses names with a dot in the given one."""
    odd, notes = server_of(mkdir=never)
    with asyncssh_server(tmp_path, files=odd) as account:
        for directory in ("", "inbox", "inbox/"):
            with pytest.raises(NotAllowed, match=r"permission denied.*inbox/\.tieout-probe") as caught:
                probed(account, directory)
            assert "--dir" in caught.value.next_step
        assert notes.paths == []
        assert probed(account, "archive").rename == "works"
        assert everything(account) == {"inbox", "outbox", "archive"}
    assert notes.paths
    assert all(path.startswith("archive/.tieout-probe-") for path in notes.paths)


def test_a_directory_that_is_not_there_is_said(tmp_path: Path) -> None:
    """A scratch directory in nowhere is refused with its name."""
    with asyncssh_server(tmp_path) as account, pytest.raises(NotAllowed, match=r"no such file.*nowhere/\.tieout"):
        probed(account, "nowhere")


def test_what_cannot_be_removed_is_named(tmp_path: Path) -> None:
    """A server that lets nobody remove files: the profile says what stayed."""
    odd, _ = server_of(remove=never)
    with asyncssh_server(tmp_path, files=odd) as account:
        found = probed(account)
        stayed = everything(account) - {"inbox", "outbox", "archive"}
    assert stayed
    assert stayed <= set(found.left_behind)
    assert "could not remove" in " ".join(advice(found, settings(account)))


def test_a_link_that_breaks_names_what_stays(tmp_path: Path) -> None:
    """When the line is cut in the middle the error says in which directory the probe was."""

    def cut(self: asyncssh.SFTPServer, *given: object) -> None:
        self.connection.abort()

    odd, _ = server_of(fsync=cut)
    with asyncssh_server(tmp_path, files=odd) as account:
        with pytest.raises(Unreachable, match=r"inbox/\.tieout-probe-[0-9a-f]{12}"):
            probed(account)
        assert len(list((account.root / "inbox").iterdir())) == 1


def test_another_host_key_ends_the_probe_before_anything(tmp_path: Path) -> None:
    """The probe goes through the same door: a key that is not accepted gets no credential and no file."""
    with asyncssh_server(tmp_path) as account:
        with pytest.raises(HostKeyRefused):
            probed(account, host_keys=[public_line(private_key())])
        assert account.seen.logins == []


@pytest.fixture
def profile() -> CapabilityProfile:
    return CapabilityProfile(
        software="SSH-2.0-x",
        host_key="SHA256:a",
        cipher="aes128-gcm@openssh.com",
        extensions=("a", "b"),
        exclusive_create="honoured",
        stat_after_put="equal",
        rename="works",
        rename_existing="refuses",
        posix_rename="not offered",
        rename_atomic="declared no, not probed",
        fsync="works",
        limits=None,
        hashes={"check-file": "right (sha256)"},
        clock_skew_s=None,
        listing_order="by name",
        free_bytes=None,
        round_trip_us=1_500,
        bytes_per_s={"1": 1_000_000},
    )


def test_a_profile_comes_back_from_the_ledger_as_it_was(profile: CapabilityProfile, tmp_path: Path) -> None:
    """The newest probe replaces the one before; the audit chain keeps both."""
    world = KeyWorld(tmp_path)
    keep(world.ports, profile, ANNA)
    world.go_to(0.1)
    kept = keep(world.ports, profile, ANNA)
    with world.ledger.look() as tx:
        stored = tx.profiles.get("north")
    assert stored == kept
    assert (kept.probed_at, kept.host_key) == (world.at(0.1), "SHA256:a")
    assert CapabilityProfile.from_json(kept.found) == profile
    with world.engine.connect() as connection:
        found = [each.act for each in audit_records(connection, "day:north:2026-03-02")]
    assert found == ["probed", "probed"]


def test_people_see_what_a_server_does_not_tell(profile: CapabilityProfile) -> None:
    """Unknown values are words, not zeros."""
    shown = dict(rows(profile))
    assert (shown["limits"], shown["clock skew"], shown["free space"]) == ("not offered", "not told", "not told")
    assert (shown["round trip"], shown["speed, requests in flight"]) == ("1.5 ms", "1.0 MB/s with 1")
