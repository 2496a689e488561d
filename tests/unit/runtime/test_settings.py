"""What `tieout.toml` may hold, and what is said when it holds anything else."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curation import mapping
from curation.our_columns import OUR_COLUMNS
from payments.config import Configuration
from payments.errors import WrongConfiguration
from runtime.settings import SIZE_MAX, decode, load
from runtime.store_s3 import S3Store

CANARY = "hunter2"
SOURCE = """
[[source]]
name = "legacy"
url = "sqlite:legacy.db"
table = "zahlung"
primary_key = ["id"]
watermark = "changed"
[source.columns]
amount = "betrag"
currency = "waehrung"
direction = "richtung"
requested_date = "datum"
"""
ACQUIRER = """
[[acquirer]]
name = "northbank"
results_list = "all"
final_status = "ACSC"
complete_when = "trailer"
sequence = "strict"
[acquirer.sftp]
host = "sftp.example.com"
user = "tieout"
key = "file:keys/client"
host_keys = ["ssh-ed25519 AAAA"]
"""
WHOLE = SOURCE + ACQUIRER + '[[curation.route]]\nacquirer = "northbank"\n'


def after_rename(name: str) -> str:
    table = f'after_rename = {{ write = "marker", name = "{name}" }}'
    return WHOLE.replace("sequence =", f"{table}\nsequence =")


def wrong(text: str) -> WrongConfiguration:
    with pytest.raises(WrongConfiguration) as caught:
        decode(text.encode(), "tieout.toml")
    assert str(caught.value).startswith("tieout.toml: ")
    assert caught.value.next_step
    return caught.value


def test_an_empty_file_is_the_one_machine_product() -> None:
    """Without any key: SQLite, files beside the configuration, the queue in the ledger, the page on this machine only."""
    found = decode(b"", "tieout.toml")
    assert found == Configuration()
    assert (found.stores.root, found.ledger.url, found.queue.url) == ("file:store", "sqlite:ledger.db", "ledger:")
    assert (found.dashboard.host, found.service.workers, found.clock.start) == ("127.0.0.1", 2, None)


def test_a_whole_configuration_is_read() -> None:
    """A source, an acquirer and a route are enough; everything else has a default."""
    found = decode(WHOLE.encode(), "tieout.toml")
    assert found.source_named("legacy") is not None
    assert found.acquirer_named("northbank") is not None
    assert found.source_named("other") is None
    assert found.acquirer[0].retry.attempts == 12


@pytest.mark.parametrize("key", ["results_list", "final_status", "complete_when", "sequence"])
def test_four_keys_of_an_acquirer_have_no_default(key: str) -> None:
    """What decides whether a payment counts as settled must be said."""
    lines = [line for line in WHOLE.splitlines() if not line.startswith(f"{key} =")]
    assert f"missing required field `{key}`" in str(wrong("\n".join(lines)))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[service]\nworkers = 0\n", ("service.workers: found 0; expected `int` >= 1",)),
        ("[service]\nworkers = true\n", ("service.workers: found True; expected `int`, got `bool`",)),
        ("[service]\nworkers = 2.5\n", ("service.workers: found 2.5",)),
        ("[service]\nworkers = '2'\n", ("service.workers: found '2'; expected `int`, got `str`",)),
        ("[service]\nworker = 2\n", ("service: found a table; object contains unknown field `worker`",)),
        (
            "servce = 1\n",
            ("the file: found a table", "unknown field `servce`", "allowed: stores, ledger, queue, service,"),
        ),
        (
            WHOLE.replace("[acquirer.sftp]", '[acquirer.sftp]\ninobx = "in"'),
            ("acquirer[0].sftp: ", "unknown field `inobx`", "inbox, outbox, archive"),
        ),
        (WHOLE.replace("[source.columns]", "tabel = 1\n[source.columns]"), ("source[0]: ", "`tabel`", "table, ")),
        ("service = 1\n", ("service: found 1; expected `object`",)),
        ("source = {}\n", ("source: found a table; expected `array`",)),
        ("[clock]\nstart = 2026-03-02\n", ("clock.start: found datetime.date(2026, 3, 2)",)),
        ("[curation]\ncharacters = 'latin'\n", ("curation.characters: found 'latin'", "allowed: sepa, any")),
        ("[curation]\ncurrencies = ['EUR', 'euro']\n", ("curation.currencies[1]: found 'euro'", "[A-Z]{3}")),
        (WHOLE.replace('"strict"', '"loose"'), ("acquirer[0].sequence: found 'loose'", "allowed: strict, free")),
        (WHOLE.replace('"all"', '"most"'), ("acquirer[0].results_list", "all, exceptions_only, successes_only")),
        (WHOLE.replace('"legacy"', '"Le Gacy"'), ("source[0].name: found 'Le Gacy'",)),
        (WHOLE.replace('["id"]', "[]"), ("source[0].primary_key: found a list; expected `array` of length >= 1",)),
        (f"{SOURCE}[source.schedule]\nat = ['24:00']\n", ("source[0].schedule.at[0]: found '24:00'",)),
        ("\u0000", ("not TOML",)),
        ("[service\n", ("not TOML", "line 1")),
        (f"a = {'[' * 5000}", ("not TOML",)),
        (f"[service]\nworkers = {'9' * 5000}\n", ("not TOML",)),
        ("[service]\nworkers = 99999999999999999999999\n", ("service.workers",)),
    ],
)
def test_a_wrong_value_is_named_with_what_was_found_and_what_is_allowed(text: str, says: tuple[str, ...]) -> None:
    """One message: the key's path, what was found there, what may stand there."""
    message = str(wrong(text))
    for part in says:
        assert part in message


@pytest.mark.parametrize(
    ("text", "key", "found", "allowed"),
    [
        (WHOLE + SOURCE, "source[1].name", "legacy", "no other has"),
        (WHOLE + ACQUIRER, "acquirer[1].name", "northbank", "no other has"),
        (WHOLE.replace("table =", 'zone = "Mars/Olympus"\ntable ='), "source[0].zone", "Mars", "IANA"),
        (WHOLE.replace("table =", 'zone = "../../etc/passwd"\ntable ='), "source[0].zone", "passwd", "IANA"),
        (WHOLE.replace("results_list", 'zone = ""\nresults_list'), "acquirer[0].zone", "''", "IANA"),
        (WHOLE.replace('amount = "betrag"', ""), "source[0].columns", "currency", "constants for amount"),
        (WHOLE.replace("amount =", "amuont ="), "source[0].columns.amuont", "no column of ours", "amount, "),
        (SOURCE + "[source.constants]\npurpos = 'x'\n", "source[0].constants.purpos", "no column", "purpose"),
        (SOURCE + "[source.values.iban]\na = 'b'\n", "source[0].values.iban", "no column", "creditor_account"),
        (WHOLE.replace("sqlite:legacy.db", "oracle:x"), "source[0].url", "oracle", "sqlite:FILE"),
        (SOURCE + "[source.schedule]\nat = ['06:00']\nevery_s = 5\n", "source[0].schedule", "every_s", "one of them"),
        (WHOLE.replace('key = "file:keys/client"', ""), "acquirer[0].sftp", "neither", "by reference"),
        (WHOLE.replace('acquirer = "northbank"', 'acquirer = "n"'), "curation.route[0].acquirer", "'n'", "northbank"),
        (WHOLE + "source = ['lgcy']\n", "curation.route[0].source", "lgcy", "legacy"),
        ("[curation]\nrequired = ['iban']\n", "curation.required", "iban", "debtor_account"),
        (
            "[curation.reference_table]\npath='a'\nkey='a'\nmatch='amount'\ntake='b'\n",
            "curation.reference_table.match",
            "amount",
            "creditor_agent",
        ),
        (
            WHOLE.replace("sequence =", 'file_name = "{x}"\nsequence ='),
            "acquirer[0].file_name",
            "{x}",
            "{sequence:06d}",
        ),
        (
            WHOLE.replace("[acquirer.sftp]", '[acquirer.sftp]\noutbox = "./inbox/"'),
            "acquirer[0].sftp.outbox",
            "./inbox",
            "another",
        ),
        (
            ACQUIRER + '[acquirer.results]\nafter = "move"\narchive = "outbox"\n',
            "acquirer[0].results.archive",
            "outbox",
            "another",
        ),
        (WHOLE.replace("sequence =", 'file_name = "a/b"\nsequence ='), "acquirer[0].file_name", "a/b", "letters"),
        (after_rename("done"), "acquirer[0].after_rename.name", "done", "{name} once"),
        (after_rename("{name}"), "acquirer[0].after_rename.name", "'{name}'", "{name} once"),
        (after_rename("../{name}"), "acquirer[0].after_rename.name", "../", "letters"),
        (after_rename("{name}." + "x" * 60), "acquirer[0].after_rename.name", "xxx", "at most 60"),
        (
            WHOLE.replace("sequence =", 'file_name = "{acquirer.x}"\nsequence ='),
            "acquirer[0].file_name",
            ".x",
            "{format}",
        ),
        (ACQUIRER + "[acquirer.limits.amount_minor]\neur = 5\n", "acquirer[0].limits.amount_minor", "eur", "EUR/CRDT"),
        ("[clock]\nstart = 2026-03-02T06:00:00\n", "clock.start", "2026-03-02T06:00:00", "with zone"),
        ("[clock]\nstart = 2026-03-02T06:00:00Z\nend = 2026-03-03T06:00:00\n", "clock.end", "03-03", "with zone"),
        ("[clock]\nstart = 2026-03-02T06:00:00Z\nend = 2026-03-02T06:00:00Z\n", "clock.end", "03-02", "behind"),
        ("[clock]\npeer = 'acquirer/clock'\n", "clock", "peer without start", "virtual"),
        ("[ledger]\nurl = 'postgres://h/b'\n", "ledger.url", "postgres", "postgresql://"),
        ("[ledger]\nurl = 'sqlite:'\n", "ledger.url", "sqlite", "sqlite:FILE"),
        ("[queue]\nurl = 'kafka:x'\n", "queue.url", "kafka:x", "sqs:REGION"),
    ],
)
def test_a_contradiction_is_named(text: str, key: str, found: str, allowed: str) -> None:
    """Well-formed values that cannot work are refused before anything starts, with the same three facts."""
    message = str(wrong(text))
    assert message.startswith(f"tieout.toml: {key}: found ")
    before, _, after = message.partition("; allowed: ")
    assert found in before
    assert allowed in after


@pytest.mark.parametrize(
    "text",
    [
        f"[ledger]\npassword = '{CANARY}'\n",
        f"[ledger]\nurl = 'postgres://ada:{CANARY}@host/books'\n",
        f"[ledger]\nurl = ['postgresql://ada:{CANARY}@host/books']\n",
        f"[ledger]\npassword = ['{CANARY}']\n",
        f"{SOURCE.replace('table =', f'password = {CANARY!r}' + chr(10) + 'table =')}",
        WHOLE.replace("file:keys/client", CANARY),
        WHOLE.replace("user =", f'password = "{CANARY}"\nuser ='),
        WHOLE.replace("user =", f'password = {{ is = "{CANARY}" }}\nuser ='),
        WHOLE.replace("[acquirer.sftp]", f'[[acquirer.sftp]]\npassword = "{CANARY}"'),
        WHOLE.replace("sqlite:legacy.db", f"oracle://ada:{CANARY}@host/books"),
    ],
)
def test_a_secret_in_the_wrong_place_is_refused_and_not_shown(text: str) -> None:
    """A password written where its reference belongs never appears in the message."""
    error = wrong(text)
    assert CANARY not in f"{error} {error.next_step}"


TOML_VALUES = st.recursive(
    st.booleans()
    | st.integers(-(2**70), 2**70).map(str)
    | st.floats().map(repr)
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=12).map(repr)
    | st.sampled_from(["2026-03-02", "06:00:00", "2026-03-02T06:00:00Z", "'EUR'", "'sqlite:x'", "'file:x'", "''"]),
    lambda inner: st.lists(inner.map(str), max_size=3).map(lambda parts: f"[{', '.join(parts)}]"),
    max_leaves=4,
)
LINES = [line for line in WHOLE.splitlines() if line]


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    place=st.integers(0, len(LINES) - 1),
    value=TOML_VALUES,
    drop=st.sets(st.integers(0, len(LINES) - 1), max_size=2),
    table=st.sampled_from(["", "[clock]", "[stores]", "[acquirer.results]", "[acquirer.limits]", "[curation]"]),
    key=st.sampled_from(["start", "end", "root", "names", "count", "required", "amount_minor", "by_store", "x"]),
)
def test_any_configuration_is_read_or_refused(place: int, value: Any, drop: set[int], table: str, key: str) -> None:
    """Whatever stands in the file, it is read or refused with one message: no other error ever comes out."""
    lines = [line for number, line in enumerate(LINES) if number not in drop]
    if place < len(lines) and "=" in lines[place]:
        lines[place] = f"{lines[place].partition('=')[0]}= {value}"
    text = "\n".join([*lines, table, f"{key} = {value}"])
    try:
        decode(text.encode(), "tieout.toml")
    except WrongConfiguration as error:
        assert str(error).startswith("tieout.toml: ")  # noqa: PT017  (either outcome is right)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """Bytes of any kind give one message at the most."""
    try:
        decode(data, "tieout.toml")
    except WrongConfiguration as error:
        assert str(error).startswith("tieout.toml: ")  # noqa: PT017


def test_the_names_of_our_columns_are_those_of_curation() -> None:
    """The light list of names and what curation works with are one and the same."""
    assert mapping.OUR_COLUMNS is OUR_COLUMNS


def test_the_path_is_given_or_in_the_environment_or_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--config` goes before TIEOUT_CONFIG, which goes before ./tieout.toml; paths begin at the file's own folder."""
    for name in ("given", "variable", "here"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tieout.toml").write_text(f"# {name}\n")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.delenv("TIEOUT_CONFIG", raising=False)
    assert load().base == tmp_path / "here"
    monkeypatch.setenv("TIEOUT_CONFIG", str(tmp_path / "variable" / "tieout.toml"))
    assert load().base == tmp_path / "variable"
    found = load("../given/tieout.toml")
    assert found.base == tmp_path / "given"
    assert found.config_hash == hashlib.sha256(b"# given\n").hexdigest()


@pytest.mark.parametrize("name", ["missing.toml", ".", "a\0b"])
def test_a_file_that_cannot_be_read_is_said(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A configuration that is not there, or is no file, is a wrong configuration with a way out."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WrongConfiguration, match="cannot be read") as caught:
        load(name)
    assert "tieout demo" in caught.value.next_step


def test_an_endless_file_is_refused(tmp_path: Path) -> None:
    """No more is read than a configuration may hold, whatever the file's size says."""
    path = tmp_path / "tieout.toml"
    path.write_bytes(b"#" * (SIZE_MAX + 1))
    with pytest.raises(WrongConfiguration, match=f"larger than {SIZE_MAX} bytes"):
        load(str(path))
    if Path("/dev/zero").exists():
        with pytest.raises(WrongConfiguration, match="larger than"):
            load("/dev/zero")


def test_a_configuration_may_live_in_s3(moto_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`s3://bucket/key` is read from the store; a missing object and a wrong address are wrong configurations."""
    import boto3

    boto3.client("s3", endpoint_url=moto_endpoint).create_bucket(
        Bucket="conf", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    S3Store("conf", "settings", moto_endpoint).put("tieout.toml", WHOLE.encode())
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_endpoint)
    found = load("s3://conf/settings/tieout.toml")
    assert found.configuration.acquirer[0].name == "northbank"
    assert found.config_hash == hashlib.sha256(WHOLE.encode()).hexdigest()
    for path in ("s3://conf/settings/other.toml", "s3://conf/", "s3://conf", "s3://"):
        with pytest.raises(WrongConfiguration, match=r"cannot be read|allowed are"):
            load(path)


def test_a_deployment_says_what_the_file_cannot_know(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TIEOUT_OVERRIDES is merged over the file, tables into tables, and the hash that files name covers both."""
    path = tmp_path / "tieout.toml"
    path.write_text(WHOLE + '[stores]\nroot = "file:here"\n[stores.by_store]\nraw = "file:raw"\nopen = "file:open"\n')
    alone = load(str(path))
    monkeypatch.setenv(
        "TIEOUT_OVERRIDES", '{"stores": {"by_store": {"raw": "s3://raw-bucket"}}, "queue": {"url": "sqs:"}}'
    )
    found = load(str(path))
    assert found.configuration.stores.root == "file:here"
    assert found.configuration.stores.by_store == {"raw": "s3://raw-bucket", "open": "file:open"}
    assert (found.configuration.queue.url, found.configuration.queue.prefix) == ("sqs:", "tieout-")
    assert found.config_hash != alone.config_hash


def test_functions_of_one_deployment_name_one_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each logs in as a user of its own, and says the same configuration of what it did; another bucket is another one."""
    path = tmp_path / "tieout.toml"
    path.write_text(WHOLE)
    hashes = []
    for user, bucket in (("curate", "raw"), ("assemble", "raw"), ("assemble", "other")):
        told = {
            "stores": {"by_store": {"raw": f"s3://{bucket}"}},
            "ledger": {"url": f"postgresql://{user}@ledger.example.net/tieout"},
        }
        monkeypatch.setenv("TIEOUT_OVERRIDES", json.dumps(told))
        hashes.append(load(str(path)).config_hash)
    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.parametrize("text", ["{", "[]", "[" * 100_000, "1"])
def test_overrides_that_are_no_object_stop_the_start(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not a JSON object is refused by the variable's name, and nothing of it is repeated."""
    path = tmp_path / "tieout.toml"
    path.write_text(WHOLE)
    monkeypatch.setenv("TIEOUT_OVERRIDES", text)
    with pytest.raises(WrongConfiguration, match="TIEOUT_OVERRIDES: not a JSON object"):
        load(str(path))


def test_a_wrong_override_is_named_like_a_wrong_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message gives the key's path and says that the variable took part."""
    path = tmp_path / "tieout.toml"
    path.write_text(WHOLE)
    monkeypatch.setenv("TIEOUT_OVERRIDES", '{"ledger": {"iam": true}}')
    with pytest.raises(WrongConfiguration, match=r"with TIEOUT_OVERRIDES: ledger\.iam"):
        load(str(path))
