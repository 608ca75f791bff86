"""Visits: a reader's authenticated time with one conversation (R36).

The cookie carries a secret that opens the link's key in the visit's row; the row alone opens nothing. There is no
visit before the code, so nothing can be fixed in advance: the id and the secret are drawn when the code was right.

``SameSite=Lax``, not Strict: a reader who opens the link in the notice again, from a web mailer, shall be offered the
visit that still runs; every change needs a POST with a token, which Lax never accompanies from elsewhere.
"""

import base64
import binascii
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, select, update
from starlette.requests import Request
from starlette.responses import Response

from relay.clock import id_from_text, id_text, new_id
from relay.store.tables import Visit
from relay.vault.opener import Link, LinkState, Opener, SealingError
from relay.vault.visits import open_visit_key, seal_visit_key

IDLE = timedelta(minutes=20)
LONGEST = timedelta(hours=4)
NAME_LIMIT = 80  # characters of a reader's name
_SEEN_EVERY = timedelta(seconds=30)  # a page with many requests writes once
_NONCE = 12
_SECRET = 32

_TABLE = Visit.__table__  # type: ignore[attr-defined]


def visit_path(visit_id: bytes) -> str:
    """Return the path of a visit's conversation."""
    return f"/c/{id_text(visit_id)}"


def scope_of(visit_text: str) -> str:
    """Return what the tokens of a visit's forms are bound to, from the visit's id as paths write it."""
    return f"visit {visit_text}"


@dataclass(frozen=True, slots=True)
class Guest:
    """A running visit: what a page needs to open the conversation. ``seen_at`` is as stored before this request."""

    visit_id: bytes
    link: Link
    name: str
    created_at: datetime
    seen_at: datetime

    @property
    def path(self) -> str:
        """The page of the conversation; no secret stands in it."""
        return visit_path(self.visit_id)

    @property
    def scope(self) -> str:
        """What the tokens of this visit's forms are bound to."""
        return scope_of(id_text(self.visit_id))


@dataclass(frozen=True, slots=True)
class EarlierVisit:
    """Who opened the conversation with this link before; ``name`` is empty when none was given."""

    name: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Visits:
    """Begins, resumes and ends visits. ``name_key`` is 32 bytes; ``secure`` is False only for the demo on http."""

    opener: Opener
    name_key: bytes
    secure: bool
    now: Callable[[], datetime]

    def begin(self, conn: Connection, link: Link, name: str) -> tuple[bytes, bytes]:
        """Store a new visit; return its id and the secret for the cookie."""
        now = self.now()
        visit_id = new_id()
        secret, link_key = seal_visit_key(visit_id, link)
        conn.execute(
            _TABLE.insert().values(
                id=visit_id,
                link_id=link.link_id,
                conversation_id=link.conversation_id,
                participant_id=link.participant_id,
                link_key=link_key,
                name=self._seal_name(visit_id, name) if name else None,
                created_at=now,
                seen_at=now,
            )
        )
        return visit_id, secret

    def resume(self, conn: Connection, request: Request, visit_text: str) -> Guest | None:
        """Return the running visit whose cookie the request carries, or None: never, ended, or not this browser's."""
        try:
            visit_id = id_from_text(visit_text)
            secret = base64.urlsafe_b64decode(request.cookies.get(self._cookie(visit_text), "") + "=")
        except (ValueError, binascii.Error):
            return None
        now = self.now()
        row = conn.execute(select(_TABLE).where(_TABLE.c.id == visit_id)).one_or_none()
        if (
            len(secret) != _SECRET
            or row is None
            or row.closed_at
            or row.seen_at + IDLE <= now
            or row.created_at + LONGEST <= now
        ):
            return None
        try:
            key = open_visit_key(secret, visit_id, row.link_id, row.link_key)
        except SealingError:
            return None
        link = self.opener.link_by_id(conn, row.link_id, now, key=key)
        if link is None or link.state is not LinkState.LIVE:
            return None
        return Guest(visit_id, link, self._open_name(visit_id, row.name), row.created_at, row.seen_at)

    def running(self, conn: Connection, request: Request, link_id: bytes) -> Guest | None:
        """Return a running visit of this browser with this link, or None."""
        prefix = self._cookie("")
        for name in request.cookies:
            if name.startswith(prefix):
                guest = self.resume(conn, request, name.removeprefix(prefix))
                if guest and guest.link.link_id == link_id:
                    return guest
        return None

    def needs_touch(self, guest: Guest) -> bool:
        """Say whether the visit's last sign of life is old enough to be written anew."""
        return self.now() - guest.seen_at >= _SEEN_EVERY

    def touch(self, conn: Connection, guest: Guest) -> None:
        """Note that the reader is still there."""
        conn.execute(
            update(_TABLE).where(_TABLE.c.id == guest.visit_id, _TABLE.c.closed_at.is_(None)).values(seen_at=self.now())
        )

    def close(self, conn: Connection, guest: Guest) -> None:
        """End the visit: its key is removed from the row."""
        conn.execute(update(_TABLE).where(_TABLE.c.id == guest.visit_id).values(closed_at=self.now(), link_key=b""))

    def earlier(self, conn: Connection, guest: Guest, limit: int = 10) -> tuple[EarlierVisit, ...]:
        """Return the latest visits with the same link before this one, newest first."""
        rows = conn.execute(
            select(_TABLE.c.id, _TABLE.c.name, _TABLE.c.created_at)
            .where(_TABLE.c.link_id == guest.link.link_id, _TABLE.c.created_at < guest.created_at)
            .order_by(_TABLE.c.created_at.desc())
            .limit(limit)
        )
        return tuple(EarlierVisit(self._open_name(row.id, row.name), row.created_at) for row in rows)

    def set_cookie(self, response: Response, visit_id: bytes, secret: bytes) -> None:
        """Give the browser the visit's secret; it forgets it when it closes or after four hours."""
        response.set_cookie(
            self._cookie(id_text(visit_id)),
            base64.urlsafe_b64encode(secret).decode("ascii").rstrip("="),
            max_age=int(LONGEST.total_seconds()),
            path="/",
            secure=self.secure,
            httponly=True,
            samesite="lax",
        )

    def clear_cookie(self, response: Response, visit_id: bytes) -> None:
        """Make the browser forget the visit."""
        response.delete_cookie(
            self._cookie(id_text(visit_id)), path="/", secure=self.secure, httponly=True, samesite="lax"
        )

    def _cookie(self, visit_text: str) -> str:
        # The prefix makes browsers insist on Secure, Path=/ and no Domain. Safari refuses it on http: demo only.
        return f"{'__Host-' if self.secure else ''}visit-{visit_text}"

    def _seal_name(self, visit_id: bytes, name: str) -> bytes:
        nonce = secrets.token_bytes(_NONCE)
        return nonce + AESGCM(self.name_key).encrypt(nonce, name.encode(), visit_id)

    def _open_name(self, visit_id: bytes, sealed: bytes | None) -> str:
        if not sealed:
            return ""
        try:
            return AESGCM(self.name_key).decrypt(sealed[:_NONCE], sealed[_NONCE:], visit_id).decode()
        except InvalidTag:
            return ""  # a changed row shows no name; it opens nothing either
