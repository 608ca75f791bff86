"""One conversation in a test: its first message, what is written into it later, and who can open what."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select, update

from relay.clock import new_id
from relay.store.tables import Part, Sealed, Stanza
from relay.store.writer import Store
from relay.vault.capability import Capability, by_sender_secret, by_visit
from relay.vault.correspondence import Author, Correspondence
from relay.vault.keyring import Keyring
from relay.vault.links import KEY, PARTICIPANT
from relay.vault.opener import Opener
from relay.vault.participants import PickupLink
from relay.vault.people import Person, Role, people
from relay.vault.vault import SealedDraft, Vault

from .letters import EXPIRES, NOW, reading

SEALED = Sealed.__table__  # type: ignore[attr-defined]
PART = Part.__table__  # type: ignore[attr-defined]
STANZA = Stanza.__table__  # type: ignore[attr-defined]


@dataclass(slots=True)
class Talk:
    """A conversation between Anna, inside, and whoever reads. ``names`` are the messages by id, oldest first."""

    store: Store
    keyring: Keyring
    vault: Vault
    correspondence: Correspondence
    opener: Opener
    conversation_id: bytes = b""
    names: dict[bytes, str] = field(default_factory=dict)
    secrets: list[bytes] = field(default_factory=list)  # each S that Anna was ever mailed
    _clock: int = 0

    def begin(self, *readers: str, **changes: object) -> SealedDraft:
        """Seal the first message, "1"."""
        values: dict[str, object] = {
            "message_id": new_id(),
            "reading": reading(message_id="<1@example.org>"),
            "original": b"Subject: 1\r\n\r\n1\r\n",
            "sender": "anna@example.org",
            "readers": readers or ("jane@example.net",),
            "now": NOW,
            "expires_at": EXPIRES,
        }
        draft = self.vault.seal(**(values | changes))  # type: ignore[arg-type]
        self.insert(draft)
        self.conversation_id = draft.conversation_id
        return draft

    def seal(self, *to: str, brings: Capability | None = None, **changes: object) -> SealedDraft:
        """Seal the next message, not yet written, from Anna to these readers."""
        self._clock += 1
        name = self._next()
        author_id = self.person("anna@example.org").participant_id
        values: dict[str, object] = {
            "capability": brings,
            "conversation_id": self.conversation_id,
            "message_id": new_id(),
            "reading": reading(message_id=f"<{name}@example.org>"),
            "original": f"Subject: {name}\r\n\r\n{name}\r\n".encode(),
            "author": Author.STAFF,
            "author_id": author_id,
            "to": [self.person(one) for one in to],
            "now": NOW + timedelta(seconds=self._clock),
            "expires_at": EXPIRES,
        }
        return self.correspondence.seal_into(**(values | changes))  # type: ignore[arg-type]

    def answer(self, *to: str, brings: Capability | None = None, **changes: object) -> SealedDraft:
        """Seal the next message and write it."""
        draft = self.seal(*to, brings=brings, **changes)
        self.insert(draft)
        return draft

    def insert(self, draft: SealedDraft) -> None:
        """Write a draft, and give its message the next name."""
        self.store.run(lambda connection: self.vault.insert(connection, draft))
        self.names[draft.message_id] = self._next()
        if draft.sender_secret:
            self.secrets.append(draft.sender_secret)

    def people(self) -> dict[str, Person]:
        """Return everybody who is still in, by address."""
        with self.store.read() as connection:
            everybody = people(connection, self.keyring, self.conversation_id)
        return {one.address: one for one in everybody if not one.removed}

    def person(self, address: str) -> Person:
        """Return one participant."""
        return self.people()[address]

    def brings(self, secret: bytes | None = None) -> Capability:
        """Return what Anna's newest S opens, or another."""
        with self.store.read() as connection:
            found = by_sender_secret(
                connection, self.keyring, self.conversation_id, secret or self.secrets[-1], self.now
            )
        assert found is not None
        assert found.holder.role is Role.SENDER
        return found

    def visits(self, link: PickupLink) -> Capability:
        """Return what a visit with this link hands to the relay."""
        with self.store.read() as connection:
            found = self.opener.find_link(connection, link.link_id, link.secret, self.now)
            assert found is not None
            opened = self.opener.open_messages(connection, found, self.now)
            deks = {one.header.message_id: one.message_key.dek for one in opened.messages}
            return by_visit(connection, self.keyring, link.participant_id, deks, self.now)

    def opens(self, link: PickupLink, now: datetime | None = None) -> str:
        """Return the names of what a link opens, in one word: "12"; "-" when the link is not live."""
        at = now or self.now
        with self.store.read() as connection:
            found = self.opener.find_link(connection, link.link_id, link.secret, at)
            assert found is not None
            opened = self.opener.open_messages(connection, found, at)
        assert opened.refused == ()
        shown = "".join(self.names[one.header.message_id] for one in opened.messages)
        return shown if found.state == "live" else "-"

    def named(self, *names: str) -> tuple[bytes, ...]:
        """Return the ids of messages by name."""
        return tuple(one for one, name in self.names.items() if name in names)

    @property
    def now(self) -> datetime:
        """Return a moment after everything that was sealed so far."""
        return NOW + timedelta(minutes=1 + self._clock)

    def run(self, work: Callable[[Connection], object]) -> None:
        """Do something in a transaction of its own."""
        self.store.run(lambda connection: work(connection) and None)

    def _next(self) -> str:
        return "123456789abcdefghijklmnopq"[len(self.names)]

    def count(self, table: object) -> int:
        """Count the rows of a table."""
        with self.store.read() as connection:
            return connection.execute(select(func.count()).select_from(table)).scalar_one()  # type: ignore[arg-type]

    def mark(self, who: str, /, **values: object) -> None:
        """Change a participant's row by hand."""
        row = update(PARTICIPANT).where(PARTICIPANT.c.id == self.person(who).participant_id)
        self.run(lambda connection: connection.execute(row.values(values)))

    def revoke(self, *links: PickupLink) -> None:
        """Revoke links by hand."""
        ids = [one.link_id for one in links]
        row = update(KEY).where(KEY.c.id.in_(ids)).values(revoked_at=NOW)
        self.run(lambda connection: connection.execute(row))
