"""The error tree. One question at its root: try again, set it aside, or ask a person?

    TieoutError
    |-- TryAgain                the same step may succeed later
    |   |-- Unreachable         a database, store or server does not answer
    |   |-- Busy                somebody else holds the lease, or the record changed under us
    |   `-- DeliveryFailed      an attempt ended and it is proved that no file was placed
    |-- SetAside                this input is bad and stays bad; its neighbours go on
    |   `-- Unreadable          bytes that are not what their name says
    |       `-- NotStored       nothing is stored under this key
    |           `-- Gone        ... any more: somebody deleted it, and the store said when
    |               `-- Expired ... any more: a lifecycle rule removed it
    `-- AskPerson               nothing may go on by itself
        |-- WrongConfiguration  a key of the configuration, or a secret, is wrong or missing
        |-- BooksOff            the equations of I1 or I1b do not hold
        |-- Tampered            stored bytes are not the bytes that were recorded
        |-- HostKeyRefused      the server's host key is neither pinned nor staged for this time
        |-- TargetExists        a name we must not replace is taken on the server
        |-- InDoubt             a file may or may not have been placed
        `-- NotAllowed          a state or a rule forbids this act

Every error names the thing and, in `next_step`, what to do. None carries account numbers, names or secrets (I7).
"""

from __future__ import annotations

from datetime import datetime


class TieoutError(Exception):
    """The root: `str()` names the thing that failed, `next_step` says what to do about it."""

    default_next_step = "Look at `tieout status`, then at the service log."

    def __init__(self, message: str, *, next_step: str = "") -> None:
        super().__init__(message)
        self.next_step = next_step or self.default_next_step


class TryAgain(TieoutError):
    """The same step may succeed later; nothing was lost."""

    default_next_step = "Nothing to do: it is tried again."


class Unreachable(TryAgain):
    """A database, store or server does not answer."""

    default_next_step = "Check that it runs and that this machine may reach it; it is tried again."


class LoginRefused(Unreachable):
    """The server is there and refuses our user or credentials: repeated often, it may lock the account."""


class Busy(TryAgain):
    """Somebody else holds the lease, or the record changed under us."""


class DeliveryFailed(TryAgain):
    """An attempt to deliver ended and it is proved that no file was placed."""


class SetAside(TieoutError):
    """This input is bad and stays bad; it is kept, marked, and its neighbours go on."""

    default_next_step = "The bytes are kept; ask the sender for a corrected file."


class Unreadable(SetAside):
    """Bytes that are not what their name says."""


class NotStored(Unreadable):
    """Nothing is stored under this key."""


class Gone(NotStored):
    """Nothing is stored under this key any more: it was deleted `at` this time, not by a lifecycle rule."""

    default_next_step = "Bring the object back (docs/runbook.md, Objects gone); `tieout prove` shows the recorded hash."

    def __init__(self, message: str, *, at: datetime) -> None:
        super().__init__(message)
        self.at = at


class Expired(Gone):
    """A lifecycle rule removed what was stored, `at` this time: it was kept for as long as was declared."""

    default_next_step = (
        "A person can bring it back as long as the bucket keeps its old version (docs/aws.md, What expires); after that"
        " only from a backup."
    )


class AskPerson(TieoutError):
    """Nothing may go on by itself."""


class WrongConfiguration(AskPerson):
    """A key of the configuration, or a secret it names, is wrong or missing."""

    default_next_step = "Correct the configuration file and run `tieout config check`."


class BooksOff(AskPerson):
    """The equations of the books do not hold; nothing of this run or file is sent."""

    default_next_step = "Run `tieout prove` for the run or file named here; nothing of it is sent until it is resolved."


class Tampered(AskPerson):
    """Stored bytes are not the bytes that were recorded."""

    default_next_step = "Restore the object from a backup; `tieout prove` shows the recorded hash."


class HostKeyRefused(AskPerson):
    """The server's host key is neither pinned nor staged and approved for this time; no credential was sent."""

    default_next_step = (
        "Ask the acquirer whether its host key changed; only then correct `host_keys` of this acquirer, or stage the new"
        " key: `tieout acquirer NAME keys`."
    )


class TargetExists(AskPerson):
    """A name that must not be replaced is taken on the server."""

    default_next_step = "Ask the acquirer where that file comes from; it is never replaced."


class InDoubt(AskPerson):
    """A file may or may not have been placed; it is not sent again without evidence."""

    default_next_step = (
        "Ask the acquirer whether the file arrived; an acknowledgement or result that names it ends the doubt."
    )


class NotAllowed(AskPerson):
    """A state or a rule forbids this act."""

    default_next_step = "`tieout trace` shows the state; docs/concepts.md shows which acts it allows."
