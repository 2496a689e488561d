"""Acts of people on staged host keys. Each is one transaction and is audited.

stage     one person: key and window       proposed
approve   a different person               approved, and accepted from `valid_from` up to `valid_until`
withdraw  one person, at any time          withdrawn: closing a door needs no second one
"""

from __future__ import annotations

from datetime import datetime, timedelta

from payments.acting import PROPOSED, Act, Actor, proposal, record
from payments.errors import NotAllowed
from payments.keys import day_chain
from payments.ports import Transaction
from payments.records import StagedKey
from transfer.host_keys import KeyPorts
from transfer.sftp_pins import ALGORITHMS, fingerprint, pinned_keys, public_key

STAGED_MAX = 8
WINDOW_MAX = timedelta(days=400)
ACT = "accept_host_key"


def stage(
    ports: KeyPorts, line: str, valid_from: datetime | None, valid_until: datetime, actor: Actor, why: str = ""
) -> StagedKey:
    """Propose a key for a window, from now on when `valid_from` is None. Raises NotAllowed, saying what is wrong."""
    now = ports.clock.now()
    key = public_key(line)
    if key is None:
        raise NotAllowed(
            f"that is no public key of a kind we know; allowed: {', '.join(ALGORITHMS)}",
            next_step="Give the whole line of the acquirer's new public host key in quotes: 'ssh-ed25519 AAAA...'.",
        )
    begins = valid_from or now
    _check_window(begins, valid_until, now)
    name = fingerprint(key.blob)
    if any(pinned.blob == key.blob for pinned in pinned_keys(ports.acquirer.server)):
        raise NotAllowed(f"host key {name} is pinned in the configuration already")
    staged = StagedKey(
        acquirer=ports.acquirer.name,
        fingerprint=name,
        line=" ".join(line.split()[:2]),
        valid_from=begins,
        valid_until=valid_until,
        state="proposed",
        staged_by=actor.name,
        staged_at=now,
    )
    with ports.ledger.begin() as tx:
        kept = _keep(tx, staged, now)
        act = _act(ports, kept, actor, why)
        proposal(tx, act)  # refuses an actor whom nobody vouches for
        record(tx, act, PROPOSED)
        _audit(tx, ports, "host_key_staged", kept, act)
    return kept


def approve(ports: KeyPorts, name: str, actor: Actor, why: str = "") -> StagedKey:
    """A different person agrees to a proposed key, by its fingerprint. Raises NotAllowed."""
    with ports.ledger.begin() as tx:
        key = _find(tx, ports, name)
        if key.state != "proposed":
            raise NotAllowed(f"host key {name} is {key.state}, not proposed")
        if key.valid_until <= ports.clock.now():
            raise NotAllowed(
                f"host key {name}: its window is over", next_step="Withdraw it, and stage it with a new one."
            )
        act = _act(ports, key, actor, why)
        first = proposal(tx, act)
        if first is None:
            raise NotAllowed(
                f"host key {name}: nobody proposed it as it is now", next_step="Withdraw it, stage it anew."
            )
        record(tx, act, agrees_with=first.id, proposed_by=first.actor)
        changed = tx.staged_keys.change(key, state="approved", approved_by=actor.name)
        _audit(tx, ports, "host_key_approved", changed, act)
    return changed


def withdraw(ports: KeyPorts, name: str, actor: Actor, why: str = "") -> StagedKey:
    """Accept a staged key no longer; sessions opened from now on refuse it. Raises NotAllowed."""
    with ports.ledger.begin() as tx:
        key = _find(tx, ports, name)
        if key.state == "withdrawn":
            raise NotAllowed(f"host key {name} is withdrawn already")
        act = Act(_subject(key), "withdraw_host_key", key.revision, actor, why, ports.clock.now())
        record(tx, act)
        changed = tx.staged_keys.change(key, state="withdrawn")
        _audit(tx, ports, "host_key_withdrawn", changed, act)
    return changed


def _check_window(begins: datetime, ends: datetime, now: datetime) -> None:
    if not begins < ends:
        raise NotAllowed("the window of a host key must end after it begins", next_step="Check --from and --until.")
    if ends <= now:
        raise NotAllowed(f"a window that ended on {ends:%Y-%m-%d} accepts nothing", next_step="Give a later --until.")
    if ends - begins > WINDOW_MAX:
        raise NotAllowed(
            f"a staged host key is accepted for at most {WINDOW_MAX.days} days",
            next_step="Put a key that is to stay into `host_keys` of this acquirer.",
        )


def _keep(tx: Transaction, staged: StagedKey, now: datetime) -> StagedKey:
    """A key that was withdrawn, or whose window is over, may be staged again."""
    known = tx.staged_keys.get(staged.acquirer, staged.fingerprint)
    live = [each for each in tx.staged_keys.find(acquirer=staged.acquirer) if _is_live(each, now)]
    if known is not None and known in live:
        raise NotAllowed(
            f"host key {known.fingerprint} is {known.state} already",
            next_step="A different person approves it with --approve; for another window withdraw it first.",
        )
    if len(live) >= STAGED_MAX:
        raise NotAllowed(f"{STAGED_MAX} host keys are staged already", next_step="Withdraw what is not needed.")
    if known is None:
        tx.staged_keys.add(staged)
        return staged
    names = ("line", "valid_from", "valid_until", "state", "staged_by", "staged_at", "approved_by")
    return tx.staged_keys.change(known, **{each: getattr(staged, each) for each in names})


def _is_live(key: StagedKey, now: datetime) -> bool:
    return key.state != "withdrawn" and now < key.valid_until


def _find(tx: Transaction, ports: KeyPorts, name: str) -> StagedKey:
    found = tx.staged_keys.get(ports.acquirer.name, name)
    if found is not None:
        return found
    if any(fingerprint(key.blob) == name for key in pinned_keys(ports.acquirer.server)):
        raise NotAllowed(
            f"host key {name} is pinned in the configuration", next_step="Change `host_keys` there, and restart."
        )
    raise NotAllowed(
        f"no host key {name!a} is staged for {ports.acquirer.name}",
        next_step=f"`tieout acquirer {ports.acquirer.name} keys` lists the fingerprints.",
    )


def _act(ports: KeyPorts, key: StagedKey, actor: Actor, why: str) -> Act:
    return Act(_subject(key), ACT, key.revision, actor, why, ports.clock.now())


def _subject(key: StagedKey) -> str:
    return f"host_key:{key.acquirer}:{key.fingerprint}"


def _audit(tx: Transaction, ports: KeyPorts, fact: str, key: StagedKey, act: Act) -> None:
    from transfer.business_day import business_date

    body = {
        "fingerprint": key.fingerprint,
        "valid_from": key.valid_from.isoformat(),
        "valid_until": key.valid_until.isoformat(),
        "revision": act.revision,
        "verified": act.actor.verified,
    }
    tx.audit.append(day_chain(key.acquirer, business_date(ports.acquirer, act.at)), fact, body, actor=act.actor.name)
