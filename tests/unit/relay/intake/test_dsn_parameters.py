"""What the client asked of reports of delivery (RFC 3461) reaches the queue as it was said, and our own reports obey it."""

import asyncio
from email import message_from_bytes

from relay.queue.items import open_entry, open_message
from relay.smtp.values import ForwardPath, SmtpEnvelope
from relay.store.tables.queue import Direction, Kind
from tests.unit.relay.intake.house import DESK, ENTRY, MESSAGE, House

PLAIN = b"From: anna@example.org\r\nSubject: hello\r\nMessage-ID: <1@example.org>\r\n\r\nHello\r\n"


def test_the_parameters_are_queued_as_they_came(house: House) -> None:
    """RET and ENVID belong to the message, NOTIFY and ORCPT to each recipient: the next hop will get the same.

    Of those whom a rule refuses, only the one whose failure the client wants to hear of is in our report.
    """
    paths = (
        ForwardPath("jane@there.example", orcpt="rfc822;J+2Bx@old.example", notify=("SUCCESS", "DELAY")),
        ForwardPath("ron@there.example", notify=("NEVER",)),
        ForwardPath("kim@there.example"),
        ForwardPath("x@never.example", orcpt="rfc822;X@never.example", notify=("FAILURE",)),
        ForwardPath("y@never.example", notify=("NEVER",)),
    )

    async def take() -> None:
        await house.gateway.delivery.stop(0)
        envelope = SmtpEnvelope("anna@example.org", paths, ret="HDRS", envid="QQ+3D314")
        reply = await house.gateway.intake(envelope, PLAIN, DESK)
        assert reply.code == 250, reply

    asyncio.run(take())
    keyring = house.gateway.keyring
    with house.gateway.store.read() as conn:
        (message,) = conn.execute(MESSAGE.select().where(MESSAGE.c.direction == Direction.OUT.value)).all()
        opened = open_message(keyring, message.id, message.envelope)
        rows = conn.execute(ENTRY.select().where(ENTRY.c.message_id == message.id)).all()
        envelopes = [open_entry(keyring, row.id, row.message_id, row.route, row.envelope) for row in rows]
    assert (opened.ret, opened.envid) == ("HDRS", "QQ+3D314")
    assert {one.recipient.split("@")[0]: (one.orcpt, one.notify) for one in envelopes} == {
        "jane": ("rfc822;J+2Bx@old.example", ("SUCCESS", "DELAY")),
        "ron": ("", ("NEVER",)),
        "kim": ("", ()),
    }
    (report,) = house.posted(Kind.DSN)
    status = message_from_bytes(report.content).get_payload()[1].as_string()  # type: ignore[union-attr,index]
    assert "Original-Envelope-Id: QQ=314" in status
    assert "Original-Recipient: rfc822; X@never.example" in status
    assert "y@never.example" not in status
