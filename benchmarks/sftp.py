"""Speed, CPU and memory of delivery over SFTP, beside OpenSSH's sftp and, where they are installed, rclone and lftp.

A real OpenSSH server on 127.0.0.1, and a proxy of our own that adds the distance. Every measured program is a fresh process;
what arrived is compared with what was sent. Prints one JSON line per figure.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # a benchmark is started as a file, and borrows the test servers

from benchmarks.support.sftp_world import (  # noqa: E402
    Server,
    further,
    peak_mb,
    ports_for,
    put,
    running_server,
    seal,
    states,
    write,
)
from transfer.many_acts import Act  # noqa: E402
from transfer.sftp import connect  # noqa: E402

if TYPE_CHECKING:
    from transfer.deliver import DeliverPorts

CIPHER = "aes128-gcm@openssh.com"
SMALL_BYTES = 20 * 1024
FAR_MS, NEAR_MS = 40.0, 20.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--large-mib", type=int, default=1024)
    parser.add_argument("--far-mib", type=int, default=64)
    parser.add_argument("--singles", type=int, default=30)
    parser.add_argument("--only", choices=["small", "strict", "single", "far", "large"], help="one of the measurements")
    parser.add_argument("--in-flight", type=int, default=32)
    parser.add_argument("--child", choices=list(CHILDREN), help=argparse.SUPPRESS)
    parser.add_argument("--server", help=argparse.SUPPRESS)
    parser.add_argument("--dir", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        known = json.loads(args.server)
        server = Server(**{**known, "key": Path(known["key"]), "root": Path(known["root"])})
        print(json.dumps({**CHILDREN[args.child](server, args.dir, args.in_flight), "peak_mb": peak_mb()}))
        return 0
    with tempfile.TemporaryDirectory(prefix="tieout-bench-") as name:
        folder = Path(name)
        with running_server(folder / "server") as near:
            if args.only in {None, "small"}:
                many_small(folder, near, args.files, args.in_flight)
            if args.only in {None, "strict"}:
                in_order(folder, near, args.files, args.in_flight)
            if args.only in {None, "single"}:
                one_small(folder, near, args.singles)
            if args.only in {None, "far"}:
                one_large(folder, near, args.far_mib, FAR_MS)
            if args.only in {None, "large"}:
                one_large(folder, near, args.large_mib, 0)
    return 0


def many_small(folder: Path, near: Server, files: int, in_flight: int) -> None:
    local = folder / "small"
    local.mkdir()
    for at in range(files):
        write(local / f"f{at:04d}", SMALL_BYTES, at)
    with further(near, FAR_MS) as far:
        say = {"files": files, "file_bytes": SMALL_BYTES, "rtt_ms": FAR_MS}
        for name, command in small_files_peers(folder, far, local):
            figure("small files raw", far, local, {"with": name, **say}, command)
        ours = {**say, "with": "tieout", "files_in_flight": in_flight}
        figure("small files raw", far, local, ours, child("raw", far, local, in_flight))
        sealed = folder / "sealed"
        seal(sealed, sorted(local.iterdir()))
        figure("small files delivered", far, local, ours, child("delivered", far, sealed, in_flight))


def in_order(folder: Path, near: Server, files: int, in_flight: int) -> None:
    """Renamed one after the other, each only once the one before it is delivered in the ledger."""
    local = folder / "strict"
    local.mkdir()
    for at in range(files):
        write(local / f"o{at:04d}", SMALL_BYTES, 2000 + at)
    sealed = folder / "sealed-strict"
    seal(sealed, sorted(local.iterdir()))
    with further(near, FAR_MS) as far:
        say = {"with": "tieout", "files": files, "file_bytes": SMALL_BYTES, "rtt_ms": FAR_MS}
        floor = {"round_trips_s": files * FAR_MS / 1000, "files_in_flight": in_flight}
        figure("small files in strict order", far, local, say | floor, child("strict", far, sealed, in_flight))
        sealed = folder / "sealed-marked"
        seal(sealed, sorted(local.iterdir()))
        for at in range(files):
            (local / f"marker{at:04d}").touch()
        floor = {"round_trips_s": 2 * files * FAR_MS / 1000, "files_in_flight": in_flight}
        name = "small files in strict order, each with a marker"
        figure(name, far, local, say | floor, child("marked", far, sealed, in_flight))


def one_small(folder: Path, near: Server, singles: int) -> None:
    local = folder / "single"
    local.mkdir()
    for at in range(singles):
        write(local / f"s{at:04d}", SMALL_BYTES, 1000 + at)
    sealed = folder / "sealed-single"
    seal(sealed, [])
    with further(near, NEAR_MS) as far:
        say = {"with": "tieout", "tries": singles, "file_bytes": SMALL_BYTES, "rtt_ms": NEAR_MS}
        figure("one small file delivered", far, local, say, child("singles", far, sealed, 16, extra=local))


def one_large(folder: Path, near: Server, mib: int, rtt_ms: float) -> None:
    local = folder / f"large-{mib}"
    local.mkdir()
    write(local / "large", mib << 20, mib)
    with further(near, rtt_ms) as far:
        say = {"mib": mib, "rtt_ms": rtt_ms, "cipher": CIPHER}
        theirs = figure("one file", far, local, {"with": "openssh", **say}, openssh(folder, far, local))
        ours = figure("one file", far, local, {"with": "tieout", **say}, child("raw", far, local, 1))
    ratios = {name: round(ours[name] / theirs[name], 2) for name in ("wall_s", "cpu_s")}
    # OpenSSH starts in milliseconds; ours starts once and stays.
    ratios["inside_to_wall"] = round(ours["inside_s"] / theirs["wall_s"], 2)
    print(json.dumps({"figure": "one file, tieout to openssh", "mib": mib, "rtt_ms": rtt_ms, **ratios}), flush=True)


def small_files_peers(folder: Path, far: Server, local: Path) -> Iterator[tuple[str, list[str]]]:
    yield "openssh", openssh(folder, far, local)
    hosts = folder / "known_hosts"
    if rclone := shutil.which("rclone"):
        remote = (
            f":sftp,host=127.0.0.1,port={far.port},user={far.user},key_file={far.key},known_hosts_file={hosts},"
            "shell_type=none:inbox"
        )
        yield "rclone, 16 transfers", [rclone, "copy", "--transfers", "16", "--checkers", "16", str(local), remote]
    if lftp := shutil.which("lftp"):
        ssh = f"ssh -a -x -i {far.key} -o UserKnownHostsFile={hosts} -o BatchMode=yes"
        script = (
            f"set sftp:connect-program '{ssh}'; open sftp://{far.user}:@127.0.0.1:{far.port}; "
            f"mirror -R --parallel=8 {local} inbox"
        )
        yield "lftp, 8 parallel", [lftp, "-c", script]
    for name in ("rclone", "lftp"):
        if shutil.which(name) is None:
            print(json.dumps({"figure": "small files raw", "with": name, "skipped": "not installed"}), flush=True)


def openssh(folder: Path, server: Server, local: Path) -> list[str]:
    """sftp in batch mode; it also writes the list of known hosts that the other peers use."""
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{server.port} {server.host_key}\n")
    batch = folder / "batch"
    batch.write_text("".join(f"put {path} inbox/{path.name}\n" for path in sorted(local.iterdir())))
    options = {
        "UserKnownHostsFile": folder / "known_hosts",
        "GlobalKnownHostsFile": "/dev/null",
        "IdentitiesOnly": "yes",
        "BatchMode": "yes",
        "Ciphers": CIPHER,
    }
    given = [part for key, value in options.items() for part in ("-o", f"{key}={value}")]
    account = f"{server.user}@127.0.0.1"
    return [
        "sftp",
        "-F",
        "none",
        "-q",
        "-b",
        str(batch),
        "-i",
        str(server.key),
        "-P",
        str(server.port),
        *given,
        account,
    ]


def child(kind: str, server: Server, folder: Path, in_flight: int, *, extra: Path | None = None) -> list[str]:
    """This script in a process of its own."""
    described = json.dumps({**server.__dict__, "key": str(server.key), "root": str(server.root)})
    if extra is not None:
        (folder / "local").write_text(str(extra))
    start = [sys.executable, str(Path(__file__).resolve()), "--child", kind, "--server", described]
    return [*start, "--dir", str(folder), "--in-flight", str(in_flight)]


def figure(name: str, server: Server, local: Path, say: dict[str, Any], command: list[str]) -> dict[str, Any]:
    """Run it, check that every file arrived byte by byte, print what it took, and clear the inbox again."""
    inbox = server.root / "inbox"
    begun, process = time.monotonic(), subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT)
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    wall_s = time.monotonic() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command[0]} ended with {process.returncode}")
    if hashes(inbox) != hashes(local):
        raise SystemExit(f"{say['with']}: what lies in the inbox is not what was sent")
    for path in inbox.iterdir():
        path.unlink()
    took: dict[str, Any] = {"wall_s": round(wall_s, 3), "cpu_s": round(used.ru_utime + used.ru_stime, 3)}
    inside = json.loads(said.splitlines()[-1]) if say["with"] == "tieout" else {}
    print(json.dumps({"figure": name, **say, **took, **inside}), flush=True)
    return took | inside


def hashes(folder: Path) -> list[str]:
    """Of all files, whatever they are called."""
    found = []
    for path in folder.iterdir():
        with path.open("rb") as source:
            found.append(hashlib.file_digest(source, "sha256").hexdigest())
    return sorted(found)


def raw(server: Server, local: Path, in_flight: int) -> dict[str, Any]:
    """Uploads side by side, without ledger and rename."""
    begun = time.monotonic()
    waiting = sorted(local.iterdir())
    with connect(server.sftp(in_flight), key=server.key.read_bytes(), password=None) as drop:
        connected = time.monotonic()
        under_way = 0
        while waiting or under_way:
            while waiting and under_way < in_flight:
                path = waiting.pop()
                drop.begin(Act("upload", (path, f"inbox/{path.name}")))  # type: ignore[attr-defined]
                under_way += 1
            ended = drop.ended(wait=True)  # type: ignore[attr-defined]
            under_way -= 1
            if ended.error is not None:
                raise ended.error
    return {"connect_s": round(connected - begun, 3), "inside_s": round(time.monotonic() - begun, 3)}


def delivered(server: Server, folder: Path, in_flight: int) -> dict[str, Any]:
    """Deliver with a ledger: verified by size and renamed."""
    return in_time(ports_for(server, folder, in_flight))


def strict(server: Server, folder: Path, in_flight: int) -> dict[str, Any]:
    """The same in strict order."""
    return in_time(ports_for(server, folder, in_flight, strict=True))


def marked(server: Server, folder: Path, in_flight: int) -> dict[str, Any]:
    """The same, and a marker beside each file before the next one goes."""
    return in_time(ports_for(server, folder, in_flight, strict=True, marked=True))


def in_time(ports: DeliverPorts) -> dict[str, Any]:
    from transfer.deliver import deliver

    begun = time.monotonic()
    deliver(ports)
    return {"inside_s": round(time.monotonic() - begun, 3), **states(ports)}


def singles(server: Server, folder: Path, in_flight: int) -> dict[str, Any]:
    """One file after another, each over a session of its own; the clock of each starts before its object is put."""
    from transfer.deliver import deliver

    ports = ports_for(server, folder, in_flight)
    took = []
    for at, path in enumerate(sorted(Path((folder / "local").read_text()).iterdir())):
        begun = time.monotonic()
        put(ports.store, ports.ledger, path, at + 1)
        deliver(ports)
        took.append(time.monotonic() - begun)
    took.sort()
    p95 = took[max(0, round(0.95 * len(took)) - 1)]
    return {"median_s": round(statistics.median(took), 3), "p95_s": round(p95, 3), **states(ports)}


CHILDREN = {"raw": raw, "delivered": delivered, "strict": strict, "marked": marked, "singles": singles}


if __name__ == "__main__":
    sys.exit(main())
