"""Logs in to an SSH server: by key, by password, or by both where the server asks for both.

authentication       what is sent                    what is a yes
not declared         the key, else the password      the server's
                     both given: the key first, and the password when the server asks for more
key, password        that one                        the server's
key_and_password     one, then the other             only when the server asked for the second: one alone is refused
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from payments.config import Sftp
from payments.config_drops import Login
from payments.errors import WrongConfiguration
from payments.ports import Secrets
from transfer.sftp_pins import SFTP_SECTION

INTERACTIVE = frozenset({"password", "keyboard-interactive"})


@dataclass(frozen=True, slots=True)
class Credentials:
    """What proves to one server who we are, as far as it is given: a private key, its passphrase, a password."""

    key: bytes | None = field(default=None, repr=False)
    passphrase: bytes | None = field(default=None, repr=False)
    password: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class MoreSecrets:
    """What some ways to an acquirer need besides key and password: the key's passphrase, the jump host's login, the proxy's."""

    passphrase: bytes | None = field(default=None, repr=False)
    jump: Credentials = Credentials()
    proxy_password: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Proof:
    """Credentials that were read: our signing key and the password, None where that one is not used."""

    authentication: str
    signer: Any = field(repr=False)
    password: str | None = field(repr=False)


def fetched(sftp: Sftp, secrets: Secrets) -> tuple[bytes | None, bytes | None, MoreSecrets]:
    """(private key, password, the others), as far as they are configured. Raises what the port raises."""

    def get(reference: str) -> bytes | None:
        return secrets.get(reference) if reference else None

    jump = sftp.jump
    before = Credentials() if jump is None else Credentials(get(jump.key), get(jump.key_passphrase), get(jump.password))
    return get(sftp.key), get(sftp.password), MoreSecrets(get(sftp.key_passphrase), before, get(sftp.proxy_password))


def proof(login: Login, given: Credentials, section: str = SFTP_SECTION) -> Proof:
    """What will be shown to the server. Raises WrongConfiguration when it is missing or cannot be read, never quoting it."""
    how = login.authentication
    signer = spoken = None
    if how != "password" and given.key is not None:
        signer = private_key(given.key, given.passphrase, section)
    if how != "key" and given.password is not None:
        spoken = password_text(given.password, f"{section}.password")
    if signer is None and spoken is None:
        raise WrongConfiguration(f"{section} of {login.host}:{login.port} names neither `key` nor `password`")
    if how == "key_and_password" and (signer is None or spoken is None):
        raise WrongConfiguration(
            f"{section} of {login.host}:{login.port}: `authentication` is {how}, and only one of the two is given"
        )
    return Proof(how, signer, spoken)


def log_in(transport: Any, server: str, user: str, shown: Proof) -> None:
    """Raises the vendor's exceptions, and WrongConfiguration when one proof was enough where both are declared."""
    from paramiko import AuthenticationException

    if shown.authentication == "key_and_password":
        _both(transport, server, user, shown)
    else:
        if shown.signer is not None:
            transport.auth_publickey(user, shown.signer)
        # With both given, the password is the second factor that some servers ask for, never a second try.
        if shown.password is not None and not transport.is_authenticated():
            transport.auth_password(user, shown.password)
    if not transport.is_authenticated():
        raise AuthenticationException


def _both(transport: Any, server: str, user: str, shown: Proof) -> None:
    from paramiko import BadAuthenticationType

    try:
        transport.auth_publickey(user, shown.signer)
        second = transport.auth_password, shown.password
    except BadAuthenticationType as refused:
        # A server may want the password first; then it did not look at the key yet.
        if not INTERACTIVE & set(refused.allowed_types):
            raise
        transport.auth_password(user, shown.password)
        second = transport.auth_publickey, shown.signer
    if transport.is_authenticated():
        raise WrongConfiguration(
            f"{server} let us in by one proof alone, although `authentication` declares key_and_password; we left again",
            next_step="Ask who runs it why it asks for one only; declare `key` or `password` if that is right.",
        )
    act, what = second
    act(user, what)


def private_key(data: bytes, passphrase: bytes | None = None, section: str = SFTP_SECTION) -> Any:
    """Our key for signing, from OpenSSH or PEM bytes. Raises WrongConfiguration, never quoting it."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key
    from paramiko import ECDSAKey, RSAKey

    load = load_ssh_private_key if b"OPENSSH PRIVATE KEY" in data else load_pem_private_key
    try:
        key = load(data.strip() + b"\n", None if passphrase is None else passphrase.rstrip(b"\r\n"))
    except Exception:  # noqa: BLE001 every kind of damage has an exception of its own, and some quote the key
        key = None
    match key:
        case ed25519.Ed25519PrivateKey():
            return _ed25519(key)
        case ec.EllipticCurvePrivateKey():
            return ECDSAKey(vals=(key, key.public_key()))
        case rsa.RSAPrivateKey():
            return RSAKey(key=key)
        case _:
            raise WrongConfiguration(
                f"{section}.key is no private key that we can read",
                next_step="Use an Ed25519, ECDSA or RSA key in OpenSSH or PEM form, and set `key_passphrase` exactly when"
                " the key has a passphrase.",
            )


def password_text(data: bytes, name: str) -> str:
    """A password as text. Raises WrongConfiguration, naming the setting."""
    try:
        # An editor puts a line end behind the last line of a file; no server would take it for a part of the password.
        return data.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        pass
    raise WrongConfiguration(f"{name} is no text in UTF-8")


def _ed25519(key: Any) -> Any:
    # The vendor reads Ed25519 keys in OpenSSH's own form only, so a PKCS#8 one is rewritten in memory.
    import io

    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
    from paramiko import Ed25519Key

    written = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    return Ed25519Key(file_obj=io.StringIO(written.decode()))
