"""A relay process without sockets: messages are handed to its intake, and what it queued is read from the store."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import cast

from sqlalchemy import select
from sqlmodel import SQLModel

from relay import clock
from relay.config import load
from relay.gateway import Gateway, open_gateway
from relay.message.secret_address import SecretAddress, read_secret_address
from relay.queue.entries import spooled_content
from relay.queue.items import open_entry, open_message
from relay.smtp.values import ClientFacts, ForwardPath, Reply, SmtpEnvelope
from relay.store.tables import Conversation, Entry, QueuedMessage, Sealed, Spool
from relay.store.tables.queue import Kind
from relay.vault.keyring import Keyring

DOMAIN = "letter.example.org"
DESK = ClientFacts("127.0.0.1", 40000, helo="desk", esmtp=True, trusted=True, listener="submission")
ENTRY, MESSAGE, SPOOL, SEALED, CONVERSATION = (
    SQLModel.metadata.tables[str(kind.__tablename__)] for kind in (Entry, QueuedMessage, Spool, Sealed, Conversation)
)

CONFIGURATION = """\
[organisation]
name = "Example Council"
domains = ["example.org"]
mailing_lists = ["members@lists.example.net"]
contact = "Help desk, +44 20 7946 0000"
time_zone = "Europe/Amsterdam"

[gateway]
domain = "letter.example.org"

[storage]
database = "{database}"
blobs = "blobs"
disk_reserve = "1 MiB"
inline_limit = "4 KiB"

[keys]
folder = "keys"

[listen.submission]
address = "127.0.0.1:2525"

[route.inside]
hosts = ["127.0.0.1:2526"]
tls = "none"

[route.outside]
hosts = ["127.0.0.1:2526"]
tls = "none"

[receipts]
wait = "0s"

[portal]
base_url = "http://127.0.0.1:8080"
listen = "127.0.0.1:8080"
"""
RULES = """
[[rules]]
name = "secret-words"
because = "it speaks of asthma"
to = "outside"
when = { keywords = ["asthma"] }
action = "seal"

[[rules]]
name = "second-look"
because = "it speaks of gout"
to = "outside"
when = { keywords = ["gout"] }
action = "hold"

[[rules]]
name = "soft-look"
because = "it goes to a private mailbox"
when = { recipient_domain = "mail.example" }
action = "hold"
release = "any"

[[rules]]
name = "never"
because = "nothing goes to this firm"
when = { recipient_domain = "never.example" }
action = "refuse"
"""


@dataclass(frozen=True)
class Posted:
    """One entry of the queue, opened."""

    kind: Kind
    state: str
    route: str
    recipient: str
    reverse_path: str
    content: bytes

    @property
    def message(self) -> EmailMessage:
        return message_from_bytes(self.content, policy=SMTP)

    @property
    def text(self) -> str:
        body = self.message.get_body(("plain",))
        assert body is not None
        return cast("str", body.get_content())

    @property
    def answered_at(self) -> SecretAddress:
        """The address of ours in Reply-To."""
        found = re.search(r"<([^<>]+)>", self.message["Reply-To"])
        assert found
        address = read_secret_address(found[1], DOMAIN)
        assert address
        return address

    @property
    def link(self) -> str:
        found = re.search(r"http://127\.0\.0\.1:8080/p/\S+", self.text)
        assert found
        return found[0]


class House:
    """One relay process on a database and in a folder of its own."""

    def __init__(self, folder: Path, database: str, rules: str = RULES, *, number: int = 0) -> None:
        file = folder / "relay.toml"
        if not file.exists():
            file.write_text(CONFIGURATION.format(database=database) + rules)
            Keyring.create(folder / "keys")
            (folder / "blobs").mkdir()
        self.gateway: Gateway = open_gateway(load(file), number)
        self.gateway.extractor.start()

    def close(self) -> None:
        self.gateway.intake.close()
        self.gateway.extractor.close()
        self.gateway.store.close()
        self.gateway.slot.close()

    def take(self, sender: str, to: Sequence[str], content: bytes) -> Reply:
        """Hand one message over, as the front door does after DATA."""
        return self.take_all([(sender, to, content)])[0]

    def take_all(self, mails: Sequence[tuple[str, Sequence[str], bytes]]) -> list[Reply]:
        """Hand several messages over at the same moment."""

        async def all_of_them() -> list[Reply]:
            # Nothing is sent from memory: what is queued waits in the store, where it can be looked at.
            await self.gateway.delivery.stop(0)
            return await asyncio.gather(
                *(
                    self.gateway.intake(SmtpEnvelope(sender, tuple(map(ForwardPath, to))), content, DESK)
                    for sender, to, content in mails
                )
            )

        return asyncio.run(all_of_them())

    def posted(self, *kinds: Kind) -> list[Posted]:
        """What is in the queue, oldest first; bytes that were let go are empty."""
        keyring, blobs = self.gateway.keyring, self.gateway.blobs
        with self.gateway.store.read() as conn:
            spool = {row.message_id: row for row in conn.execute(select(SPOOL))}
            rows = conn.execute(
                select(ENTRY, MESSAGE.c.envelope.label("of_message"))
                .join(MESSAGE, MESSAGE.c.id == ENTRY.c.message_id)
                .order_by(ENTRY.c.created_at, MESSAGE.c.accepted_at)
            ).all()
            return [
                Posted(
                    Kind(row.kind),
                    row.state,
                    row.route,
                    open_entry(keyring, row.id, row.message_id, row.route, row.envelope).recipient,
                    open_message(keyring, row.message_id, row.of_message).reverse_path,
                    b"".join(spooled_content(keyring, blobs, spool[row.message_id]).pieces())
                    if row.message_id in spool
                    else b"",
                )
                for row in rows
                if not kinds or row.kind in kinds
            ]

    def send_receipts(self) -> list[Posted]:
        """Write the receipts that wait, and return all that there are."""
        self.gateway.receipts.send_due(clock.now())
        return self.posted(Kind.RECEIPT)

    def count(self, table: object) -> int:
        with self.gateway.store.read() as conn:
            return len(conn.execute(select(table)).all())  # type: ignore[call-overload]
