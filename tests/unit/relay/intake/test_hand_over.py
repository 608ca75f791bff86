"""What happens to a message once it is durable: the client is told first, then its delivery begins."""

import asyncio

import pytest
from structlog.testing import capture_logs

from relay.smtp.values import ForwardPath, SmtpEnvelope
from tests.unit.relay.intake.house import DESK, House

LETTER = (
    b"From: bob@example.org\r\nTo: ann@example.net\r\nSubject: hello\r\nMessage-ID: <1@example.org>\r\n\r\nDear Ann\r\n"
)


def test_the_reply_does_not_wait_for_the_delivery_to_begin(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The intake answers as soon as the commit is known; the next turn of the loop hands over, and logs."""
    offered: list[object] = []
    monkeypatch.setattr(house.gateway.delivery, "offer", lambda _room, drafts: offered.append(drafts))

    async def body() -> None:
        envelope = SmtpEnvelope("bob@example.org", (ForwardPath("ann@example.net"),))
        reply = await house.gateway.intake(envelope, LETTER, DESK)
        assert (reply.code, offered) == (250, [])
        await asyncio.sleep(0)
        assert len(offered) == 1

    asyncio.run(body())


def test_a_defect_in_handing_over_is_no_refusal(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is durable is ours: the client, told to come again, would only bring it twice."""

    def broken(_room: object, _drafts: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(house.gateway.delivery, "offer", broken)

    async def body() -> None:
        envelope = SmtpEnvelope("bob@example.org", (ForwardPath("ann@example.net"),))
        assert (await house.gateway.intake(envelope, LETTER, DESK)).code == 250
        await asyncio.sleep(0)

    with capture_logs() as lines:
        asyncio.run(body())
    assert [line["event"] for line in lines] == ["not handed over", "accepted"]
