"""What is particular to the store on files: durability, a full disk, a kill at any moment."""

from __future__ import annotations

import errno
import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from payments.errors import SetAside, TieoutError, Unreachable, Unreadable, WrongConfiguration
from runtime import objects
from runtime.store_file import FileStore
from tests.servers.process import until

WRITER = """
import hashlib, itertools, random, sys
from pathlib import Path
from runtime.store_file import FileStore
store, made = FileStore(Path(sys.argv[1])), random.Random(int(sys.argv[2]))
for n in itertools.count():
    data = made.randbytes(made.randrange(300_000))
    store.put(f"raw/{n % 7}/{hashlib.sha256(data).hexdigest()}", data)
    print(n, flush=True)
"""


def temporary_files(root: Path) -> list[Path]:
    return list((root / ".tmp").iterdir())


def failing(code: int) -> OSError:
    return OSError(code, os.strerror(code))


def test_files_are_private(tmp_path: Path) -> None:
    """Files have mode 0600 and directories 0700, whatever the umask."""
    old = os.umask(0)
    try:
        FileStore(tmp_path / "store").put("raw/legacy/x", b"x")
    finally:
        os.umask(old)
    modes = {str(path.relative_to(tmp_path)): path.stat().st_mode & 0o777 for path in (tmp_path / "store").rglob("*")}
    assert modes == {"store/.tmp": 0o700, "store/raw": 0o700, "store/raw/legacy": 0o700, "store/raw/legacy/x": 0o600}
    assert (tmp_path / "store").stat().st_mode & 0o777 == 0o700


def test_bytes_are_durable_before_the_name_and_the_name_before_the_return(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order is: sync the bytes, link the name, sync the directory; new parents are synced before."""
    store, seen = FileStore(tmp_path / "store"), []
    real_fsync, real_link = os.fsync, os.link

    def fsync(number: int) -> None:
        seen.append(("fsync", str(Path(f"/proc/self/fd/{number}").readlink()).removeprefix(str(tmp_path))))
        real_fsync(number)

    def link(source: Path, target: Path, *, follow_symlinks: bool) -> None:
        seen.append(("link", str(target).removeprefix(str(tmp_path))))
        real_link(source, target, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "link", link)
    store.put("raw/a/x", b"x")
    named = [(act, "temporary" if "/.tmp/" in path else path) for act, path in seen]
    assert named == [
        ("fsync", ""),
        ("fsync", "/store"),
        ("fsync", "/store/raw"),
        ("fsync", "/store"),
        ("fsync", "temporary"),
        ("link", "/store/raw/a/x"),
        ("fsync", "/store/raw/a"),
    ]
    seen.clear()
    store.put("raw/a/x", b"x")
    assert seen == [("fsync", "/store/raw/a")]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk_is_tried_again_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """A full disk is an error that says where to free space; nothing half-written stays, and later puts succeed."""
    store = FileStore(tmp_path / "store")
    store.put("raw/before", b"x")

    def full(number: int) -> None:
        raise failing(code)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(Unreachable, match=r"no space left at .*store.*raw/new") as raised:
            store.put("raw/new", b"y")
        assert "Free space" in raised.value.next_step
        assert "nothing was lost" in raised.value.next_step
    assert list(store.keys("")) == ["raw/before"]
    assert temporary_files(tmp_path / "store") == []
    assert not store.put("raw/new", b"y").adopted


def test_file_too_large_for_the_process_is_reported(tmp_path: Path) -> None:
    """A real write that the kernel refuses for space gives the same clear error, not a traceback."""
    program = """
import resource, signal, sys
from pathlib import Path
from payments.errors import Unreachable
from runtime.store_file import FileStore
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
try:
    FileStore(Path(sys.argv[1])).put("raw/x", bytes(2 << 20))
except Unreachable as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, timeout=60, check=True
    )
    assert "no space left" in done.stdout
    assert temporary_files(tmp_path) == []


@pytest.mark.parametrize(
    ("code", "error"),
    [(errno.EPERM, WrongConfiguration), (errno.EOPNOTSUPP, WrongConfiguration), (errno.EIO, Unreachable)],
)
def test_link_that_fails_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, error: type[TieoutError]
) -> None:
    """A file system without hard links is a wrong configuration; a broken disk is tried again."""

    def link(*_: object, **__: object) -> None:
        raise failing(code)

    monkeypatch.setattr(os, "link", link)
    with pytest.raises(error, match="store"):
        FileStore(tmp_path / "store").put("raw/x", b"x")
    assert temporary_files(tmp_path / "store") == []


def test_key_below_an_object_is_set_aside(tmp_path: Path) -> None:
    """An object cannot have objects below it, nor can a directory be an object: these keys are bad for good."""
    store = FileStore(tmp_path / "store")
    store.put("raw/x", b"x")
    with pytest.raises(SetAside, match="raw/x/y"):
        store.put("raw/x/y", b"y")
    with pytest.raises(SetAside, match="'raw'"):
        store.put("raw", b"y")
    assert not store.exists("raw/x/y")


def test_object_too_large_to_read_whole_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`get` reads at most its limit; larger objects are still there as local files."""
    monkeypatch.setattr("runtime.store_file.GET_BYTES_MAX", 10)
    store = FileStore(tmp_path / "store")
    store.put("raw/x", b"12345678901")
    with pytest.raises(Unreadable, match="11 bytes"):
        store.get("raw/x")
    with store.local("raw/x") as path:
        assert path.stat().st_size == 11
    assert objects.GET_BYTES_MAX == 256 * 1024 * 1024


def test_clean_removes_old_temporary_files_only(tmp_path: Path) -> None:
    """What a killed process left goes after a day; what is being written now stays."""
    store = FileStore(tmp_path / "store")
    assert store.clean() == 0
    store.put("raw/x", b"x")
    old, young = tmp_path / "store/.tmp/old", tmp_path / "store/.tmp/young"
    for path in (old, young):
        path.write_bytes(b"half")
    two_days_ago = time.time() - 2 * 86_400
    os.utime(old, (two_days_ago, two_days_ago))
    os.utime(tmp_path / "store/raw/x", (two_days_ago, two_days_ago))
    assert store.clean() == 1
    assert temporary_files(tmp_path / "store") == [young]
    assert store.clean(timedelta()) == 1
    assert list(store.keys("")) == ["raw/x"]


def test_foreign_files_are_left_out_of_listings(tmp_path: Path) -> None:
    """A name that no key can have does not end the listing of its neighbours."""
    store = FileStore(tmp_path / "store")
    store.put("raw/a", b"")
    (tmp_path / "store/raw/b\nc").write_bytes(b"")
    (tmp_path / "store/raw/ü").write_bytes(b"")
    (tmp_path / "store/raw/link").symlink_to(tmp_path, target_is_directory=True)
    store.put("raw/z", b"")
    assert [key for key in store.keys("") if key != "raw/link"] == ["raw/a", "raw/z"]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_kill_at_any_moment_leaves_whole_objects_only(tmp_path: Path, seed: int) -> None:
    """After SIGKILL every object under a key is the whole object, and everything reported as stored is there."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path / "store"), str(seed)], stdout=subprocess.PIPE
    )
    assert writer.stdout is not None
    try:
        for _ in range(random.Random(seed).randrange(5, 40)):
            assert writer.stdout.readline()
    finally:
        writer.send_signal(signal.SIGKILL)
        reported = len(writer.stdout.read().splitlines())
        writer.stdout.close()
        writer.wait(30)
    store = FileStore(tmp_path / "store")
    keys = list(store.keys("raw/"))
    assert len(keys) >= reported
    for key in keys:
        assert hashlib.sha256(store.get(key)).hexdigest() == key.rpartition("/")[2]


def test_store_that_may_not_be_written_is_unreachable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store without rights is an error that names the place, and says who goes on by itself and who does not."""

    def mkdir(*_: object, **__: object) -> None:
        raise failing(errno.EACCES)

    monkeypatch.setattr(Path, "mkdir", mkdir)
    with pytest.raises(Unreachable, match="EACCES") as raised:
        FileStore(tmp_path / "store").put("raw/x", b"x")
    assert str(tmp_path) in raised.value.next_step
    assert raised.value.next_step.endswith("Then give the command again; what the service does goes on by itself.")


def test_writers_in_two_processes_do_not_disturb_each_other(tmp_path: Path) -> None:
    """Two processes that put the same keys at the same time leave each key once and whole."""
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), "9"], stdout=subprocess.PIPE) for _ in range(2)
    ]
    try:
        until(lambda: len(list(FileStore(tmp_path).keys("raw/"))) > 60, "60 objects", 60)
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate(timeout=30)
    for key in FileStore(tmp_path).keys("raw/"):
        assert hashlib.sha256(FileStore(tmp_path).get(key)).hexdigest() == key.rpartition("/")[2]
