"""tieout acquirer NAME: what is known of an acquirer's server; tests and probes it, and acts on its host keys."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from payments.config import AcquirerSection, Sftp
    from payments.records import AcquirerProfile
    from runtime.wiring import World
    from transfer.delivery_plan import DeliveryPlan
    from transfer.host_keys import KnownKey, SeenKey

HELP = "dry run of the next window; show, test or probe an acquirer's server; stage and approve its host keys"
ACTIONS = ("show", "next", "keys", "test", "probe")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="the acquirer, as the configuration calls it")
    parser.add_argument("action", choices=ACTIONS, nargs="?", default="show")
    keys = parser.add_argument_group("keys").add_mutually_exclusive_group()
    keys.add_argument("--stage", metavar="KEY", help="propose a host key: its whole public line, 'ssh-ed25519 AAAA...'")
    keys.add_argument("--approve", metavar="FINGERPRINT", help="agree to a key that a different person proposed")
    keys.add_argument("--withdraw", metavar="FINGERPRINT", help="accept a staged key no longer")
    parser.add_argument("--from", dest="valid_from", type=_time, metavar="TIME", help="when it begins to be accepted")
    parser.add_argument("--until", dest="valid_until", type=_time, metavar="TIME", help="when it ends to be accepted")
    parser.add_argument("--why", default="", metavar="TEXT", help="the reason, kept with the decision")
    parser.add_argument("--dir", default="", metavar="SCRATCH", help="where to probe, instead of in the inbox")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    from runtime.wiring import World
    from tieout.named import named_acquirer

    _check_options(args)
    if args.action == "next":
        from tieout import acquirer_next

        return acquirer_next.run(args)
    world = World.open(args.config)
    acquirer = named_acquirer(world.configuration, args.name)
    match args.action:
        case "keys":
            return _keys(world, acquirer, args)
        case "test":
            return _test(world, acquirer, args)
        case "probe":
            return _probe(world, acquirer, args)
        case _:
            return _show(world, acquirer, args)


def _time(text: str) -> datetime:
    """A time with its zone, so that nobody has to guess whose midnight is meant."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!a} is no time; write for instance 2026-05-01T00:00Z") from None
    if found.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!a} names no zone; write for instance 2026-05-01T00:00Z")
    return found


def _check_options(args: argparse.Namespace) -> None:
    """An option that its action does not know is a mistake, and would change nothing in silence."""
    from payments.errors import NotAllowed

    act = args.stage or args.approve or args.withdraw
    for given, allowed, name in (
        (act, args.action == "keys", "--stage, --approve and --withdraw are for `keys`"),
        (args.valid_from or args.valid_until, args.stage, "--from and --until are for `keys --stage`"),
        (args.why, act, "--why is for an act on a key"),
        (args.dir, args.action == "probe", "--dir is for `probe`"),
    ):
        if given and not allowed:
            raise NotAllowed(name, next_step="`tieout acquirer --help` shows what belongs together.")
    if args.stage and not args.valid_until:
        raise NotAllowed(
            "a staged host key needs an end", next_step="Give --until, for instance --until 2026-05-01T00:00Z."
        )


def _keys(world: World, acquirer: AcquirerSection, args: argparse.Namespace) -> int:
    from tieout.acquirer_openpgp import openpgp_keys, openpgp_text
    from tieout.acquirer_text import keys_text, plain
    from tieout.show import print_json

    if args.stage or args.approve or args.withdraw:
        return _act(world, acquirer, args)
    openpgp = openpgp_keys(world, acquirer)
    has_host_keys = acquirer.sftp is not None or not openpgp  # with neither, it is refused in words
    known, seen, alarm = _known(world, acquirer) if has_host_keys else ([], None, "")
    if args.json:
        print_json(
            {
                "acquirer": acquirer.name,
                "keys": [plain(each) for each in known],
                "seen": None if seen is None else plain(seen),
                "openpgp": [plain(each) for each in openpgp],
            }
        )
    else:
        host_keys = keys_text(known, seen, alarm) if has_host_keys else ""
        print("\n\n".join(filter(None, (host_keys, openpgp_text(openpgp)))))
    return 0


def _act(world: World, acquirer: AcquirerSection, args: argparse.Namespace) -> int:
    """One act on a key, by the operating-system user."""
    from runtime.actor import operating_system_user
    from tieout.acquirer_text import effect, plain
    from tieout.show import print_json
    from transfer import host_key_acts as acts

    ports, actor = world.key_ports(acquirer), operating_system_user()
    if args.stage:
        key = acts.stage(ports, args.stage, args.valid_from, args.valid_until, actor, args.why)
    elif args.approve:
        key = acts.approve(ports, args.approve, actor, args.why)
    else:
        key = acts.withdraw(ports, args.withdraw, actor, args.why)
    if args.json:
        print_json(plain(key))
    else:
        print(f"{key.fingerprint} is {key.state}: {effect(key)}")
    return 0


def _test(world: World, acquirer: AcquirerSection, args: argparse.Namespace) -> int:
    from tieout.show import clean, print_json
    from transfer.delivery_plan import delivery_plan
    from transfer.drop_check import check_drop

    def plan(host_key: str) -> DeliveryPlan:
        with world.ledger.look() as tx:
            return delivery_plan(acquirer, tx.profiles.get(acquirer.name), host_key, world.clock.now())

    done = list(check_drop(world.connector(acquirer, at_once=True), acquirer, plan))
    ok = all(each.ok for each in done)
    if args.json:
        print_json({"acquirer": acquirer.name, "ok": ok, "checked": [asdict(each) for each in done]})
        return 0 if ok else 1
    for each in done:
        print(f"{each.what:8} {'ok' if each.ok else 'FAILED':7} {clean(each.said)}")
        if each.next_step:
            print(f"{'':17}next step: {each.next_step}")
    return 0 if ok else 1


def _probe(world: World, acquirer: AcquirerSection, args: argparse.Namespace) -> int:
    from runtime.actor import operating_system_user
    from transfer.probe import keep

    profile = world.probe(acquirer, args.dir)
    record = keep(world.key_ports(acquirer), profile, operating_system_user())
    _print_profile(acquirer, record, world.clock.now(), args)
    return 0


def _print_profile(acquirer: AcquirerSection, record: AcquirerProfile, now: datetime, args: argparse.Namespace) -> None:
    from tieout.acquirer_text import profile_json, profile_text
    from tieout.show import print_json

    if args.json:
        print_json(profile_json(acquirer, record, now))
    else:
        print(profile_text(acquirer, record, now))


def _show(world: World, acquirer: AcquirerSection, args: argparse.Namespace) -> int:
    """What is known, without asking the acquirer."""
    from tieout.acquirer_text import keys_text, plain, profile_json, profile_text
    from tieout.show import print_json

    now = world.clock.now()
    with world.ledger.look() as tx:
        record = tx.profiles.get(acquirer.name)
    known, seen, alarm = _known(world, acquirer) if acquirer.sftp is not None else ([], None, "")
    if args.json:
        profile = None if record is None else profile_json(acquirer, record, now)
        keys = [plain(each) for each in known]
        print_json(
            {"acquirer": acquirer.name, "keys": keys, "seen": None if seen is None else plain(seen), "profile": profile}
        )
        return 0
    if acquirer.sftp is None:
        print("not reached by SFTP: there are no host keys, and nothing to probe")
        return 0
    print(way(acquirer.sftp) + "\n")
    print(keys_text(known, seen, alarm) + "\n")
    if record is None:
        print(f"never probed: tieout acquirer {acquirer.name} probe")
    else:
        print(profile_text(acquirer, record, now))
    return 0


def way(sftp: Sftp) -> str:
    """Whom we log in as and where, and through what."""
    hops = [sftp] if sftp.jump is None else [sftp, sftp.jump]
    told = " through ".join(f"{hop.user}@{hop.host}:{hop.port}" for hop in hops)
    return f"{told}, by a proxy" if sftp.proxy else told


def _known(world: World, acquirer: AcquirerSection) -> tuple[list[KnownKey], SeenKey | None, str]:
    """Keys, which one was seen last, and the alarm about it or nothing."""
    from transfer.host_keys import ending, known_keys, last_seen

    now = world.clock.now()
    with world.ledger.look() as tx:
        return known_keys(tx, acquirer, now), last_seen(tx, acquirer), ending(tx, acquirer, now)
