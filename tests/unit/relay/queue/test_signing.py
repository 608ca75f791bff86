"""Mail is signed once, on its way into the queue, and every attempt sends what was signed."""

import asyncio
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from relay.dkim.record import zone_line
from relay.dkim.signature import SigningKey
from relay.dkim.signer import Signer
from relay.queue.spooling import Spooler
from relay.store.tables.queue import Direction
from tests.signatures import Receiver
from tests.unit.relay.queue.nexthop import NextHop
from tests.unit.relay.queue.yard import LETTER, MINUTE, Yard, until

KEY = SigningKey("example.org", "e1", Ed25519PrivateKey.generate())
LARGE = LETTER + b"0123456789\r\n" * 200_000


@pytest.fixture
def signing(yard: Yard) -> Yard:
    """A queue that signs for example.org."""
    spooler = Spooler(yard.store, yard.keyring, yard.blobs, inline_limit=4096, signer=Signer([KEY]))
    return replace(yard, spooler=spooler)


@pytest.mark.parametrize("letter", [LETTER, LARGE], ids=["in the row", "in a blob"])
def test_every_attempt_sends_the_same_signature(signing: Yard, letter: bytes) -> None:
    """A letter that is put off after its last octet is sent again as it was signed, and verifies."""
    signing.queue("ann@example.net", content=letter)

    async def work() -> None:
        async with NextHop(answers={".": ["451 4.3.0 later"]}) as hop:
            worker = signing.delivery(signing.routes([hop]))
            await worker.start()
            await until(lambda: "." in hop.seen and signing.states() == ["due"])
            first = bytes(hop.received)
            signing.clock.pass_(2 * MINUTE)
            await until(lambda: signing.states() == ["done"])
            await worker.stop()
            [mail] = hop.taken
            assert mail.content.endswith(letter)
            assert Receiver.knowing([zone_line(KEY)]).verified(mail.content) == ["e1.example.org ed25519-sha256"]
            assert mail.content in first

    asyncio.run(work())


def test_a_record_without_copies_is_not_signed(signing: Yard) -> None:
    """A message of which nothing is relayed leaves no content behind, hence no signature."""
    draft = signing.draft(content=b"", direction=Direction.OUT)
    assert draft.consignments == ()
    assert draft.rows["size"] == 0
