"""One-time codes: eight digits, ten minutes, bound to the link and not to the browser (R33, R34; NIST SP 800-63B-4).

Phone browsers forget pages when one looks up the code in the mail program, so a code belongs to its link: who opens
the link again while a code lives meets the code page, and nothing is sent. *Send again* sends the same code, once a
minute; who has used a code, or used up its tries, need not wait for the next one.
Only a keyed hash and a sealed copy (for *send again*) are kept.
"""

import hmac
import secrets
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, Row, func, select, update

from relay.clock import new_id
from relay.errors import RefusedError
from relay.store.tables import Code, Participant
from relay.store.tables.visits import CodeState
from relay.store.throttle import Limit, Throttles

DIGITS = 8
LIFETIME = timedelta(minutes=10)
TRIES = 5  # of one code
CODES_A_DAY = 10  # of one link: 50 guesses at 10^8

_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)
LINK_MINUTE = Limit("code mails of a link in a minute", 1, timedelta(minutes=1))
LINK_HOUR = Limit("code mails of a link in an hour", 5, _HOUR)
ADDRESS_HOUR = Limit("code mails to an address in an hour", 20, _HOUR)
CLIENT_HOUR = Limit("code mails asked for by a client in an hour", 60, _HOUR)
ALL_HOUR = Limit("code mails of the portal in an hour", 5000, _HOUR)

_TABLE = Code.__table__  # type: ignore[attr-defined]
_PARTICIPANT = Participant.__table__  # type: ignore[attr-defined]
_NONCE = 12


@dataclass(frozen=True, slots=True)
class LiveCode:
    """A code that can still be entered. Times are UTC; ``sent_at`` is when its mail was last asked for."""

    id: bytes
    created_at: datetime
    sent_at: datetime
    expires_at: datetime
    tries_left: int


@dataclass(frozen=True, slots=True)
class CodeMail:
    """What the relay is asked to mail to the reader's stored address."""

    link_id: bytes
    participant_id: bytes
    code: str
    expires_at: datetime
    language: str


class Entered(Enum):
    """What became of the digits a person typed."""

    RIGHT = "right"
    WRONG = "wrong"
    EXHAUSTED = "exhausted"  # wrong, and it was the last try
    NONE = "none"  # no code lives: it lapsed, was used or had too many tries
    MALFORMED = "malformed"  # not eight digits: no try is spent


class CodesExhaustedError(RefusedError):
    """Too many codes were made for one link within a day. ``until`` is when the next one may be."""

    def __init__(self, until: datetime) -> None:
        super().__init__("Too many codes were asked for with this link today.")
        self.until = until


Send = Callable[[Connection, CodeMail, datetime], object]


@dataclass(frozen=True, slots=True)
class Codes:
    """Makes, sends and checks codes. Keys are 32 bytes each; ``send`` hands a code to the relay's queue.

    Every method runs inside one transaction of the store.
    """

    mac_key: bytes
    seal_key: bytes
    throttles: Throttles
    send: Send

    def live(self, conn: Connection, link_id: bytes, now: datetime) -> LiveCode | None:
        """Return the code of this link that can still be entered, or None."""
        row = self._fresh(conn, link_id, now)
        return _live(row) if row else None

    def make(
        self, conn: Connection, link_id: bytes, participant_id: bytes, *, client: str, language: str, now: datetime
    ) -> LiveCode:
        """Make a code and have it mailed; return the live one and send nothing when there is one.

        ``client`` is the network that asks. Raises ThrottledError and CodesExhaustedError; then nothing has changed.
        """
        if live := self.live(conn, link_id, now):
            return live
        made = conn.execute(
            select(func.count(), func.min(_TABLE.c.created_at)).where(
                _TABLE.c.link_id == link_id, _TABLE.c.created_at > now - _DAY
            )
        ).one()
        if made[0] >= CODES_A_DAY:
            raise CodesExhaustedError(made[1] + _DAY)
        self._count(conn, link_id, participant_id, client, now)
        conn.execute(
            update(_TABLE)
            .where(_TABLE.c.link_id == link_id, _TABLE.c.state == CodeState.FRESH.value)
            .values(state=CodeState.LAPSED.value)
        )
        code_id, code = new_id(), f"{secrets.randbelow(10**DIGITS):0{DIGITS}d}"
        row = {
            "id": code_id,
            "link_id": link_id,
            "mac": self._mac(link_id, code_id, code),
            "sealed": self._seal(code_id, code),
            "state": CodeState.FRESH.value,
            "tries": 0,
            "sends": 1,
            "created_at": now,
            "sent_at": now,
            "expires_at": now + LIFETIME,
        }
        conn.execute(_TABLE.insert().values(row))
        self.send(conn, CodeMail(link_id, participant_id, code, now + LIFETIME, language), now)
        return LiveCode(code_id, now, now, now + LIFETIME, TRIES)

    def again(
        self, conn: Connection, link_id: bytes, participant_id: bytes, *, client: str, language: str, now: datetime
    ) -> LiveCode:
        """Send the living code once more, or make one when none lives. Raises as ``make`` does."""
        row = self._fresh(conn, link_id, now)
        if row is None:
            return self.make(conn, link_id, participant_id, client=client, language=language, now=now)
        self._count(conn, link_id, participant_id, client, now)
        conn.execute(update(_TABLE).where(_TABLE.c.id == row.id).values(sends=_TABLE.c.sends + 1, sent_at=now))
        self.send(conn, CodeMail(link_id, participant_id, self._unseal(row), row.expires_at, language), now)
        return LiveCode(row.id, row.created_at, now, row.expires_at, TRIES - row.tries)

    def enter(self, conn: Connection, link_id: bytes, typed: str, now: datetime) -> Entered:
        """Check what a person typed, spend a try, and use the code up when it is right."""
        code = digits_of(typed)
        row = self._fresh(conn, link_id, now)
        if row is None:
            return Entered.NONE
        if code is None:
            return Entered.MALFORMED
        # Counted before it is compared, by the database: two tries at one moment are two tries.
        counted = conn.execute(
            update(_TABLE)
            .where(_TABLE.c.id == row.id, _TABLE.c.state == CodeState.FRESH.value, _TABLE.c.tries < TRIES)
            .values(tries=_TABLE.c.tries + 1)
            .returning(_TABLE.c.tries)
        ).one_or_none()
        if counted is None:
            return Entered.NONE
        right = hmac.compare_digest(self._mac(link_id, row.id, code), row.mac)
        if not right and counted.tries < TRIES:
            return Entered.WRONG
        state = CodeState.USED if right else CodeState.EXHAUSTED
        conn.execute(update(_TABLE).where(_TABLE.c.id == row.id).values(state=state.value))
        # The minute keeps one code from being mailed over and over. This one is over: the next may come at once.
        self.throttles.forget(conn, LINK_MINUTE, link_id.hex())
        return Entered.RIGHT if right else Entered.EXHAUSTED

    def _count(self, conn: Connection, link_id: bytes, participant_id: bytes, client: str, now: datetime) -> None:
        address = conn.execute(
            select(_PARTICIPANT.c.address_hash).where(_PARTICIPANT.c.id == participant_id)
        ).scalar_one()
        link = link_id.hex()
        uses = [
            (LINK_MINUTE, link),
            (LINK_HOUR, link),
            (ADDRESS_HOUR, address.hex()),
            (CLIENT_HOUR, client),
            (ALL_HOUR, ""),
        ]
        self.throttles.take(conn, uses, now)

    def _fresh(self, conn: Connection, link_id: bytes, now: datetime) -> Row[Any] | None:
        return conn.execute(
            select(_TABLE)
            .where(_TABLE.c.link_id == link_id, _TABLE.c.state == CodeState.FRESH.value, _TABLE.c.expires_at > now)
            .order_by(_TABLE.c.created_at.desc())
            .limit(1)
        ).one_or_none()

    def _mac(self, link_id: bytes, code_id: bytes, code: str) -> bytes:
        return hmac.digest(self.mac_key, b"code\0" + link_id + code_id + code.encode("ascii"), "sha256")

    def _seal(self, code_id: bytes, code: str) -> bytes:
        nonce = secrets.token_bytes(_NONCE)
        return nonce + AESGCM(self.seal_key).encrypt(nonce, code.encode("ascii"), code_id)

    def _unseal(self, row: Row[Any]) -> str:
        nonce, sealed = row.sealed[:_NONCE], row.sealed[_NONCE:]
        return AESGCM(self.seal_key).decrypt(nonce, sealed, row.id).decode("ascii")


def digits_of(typed: str) -> str | None:
    """Return the eight digits in what a person typed or pasted, or None.

    Blanks and dashes between them are taken, and digits of other widths (a phone keyboard may write ``\uff11``).
    """
    text = unicodedata.normalize("NFKC", typed[:100])
    text = "".join(
        character for character in text if not character.isspace() and character not in "-\u2010\u2011\u2013."
    )
    return text if len(text) == DIGITS and text.isascii() and text.isdigit() else None


def _live(row: Row[Any]) -> LiveCode:
    return LiveCode(row.id, row.created_at, row.sent_at, row.expires_at, TRIES - row.tries)
