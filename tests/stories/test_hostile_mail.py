"""Hostile and broken mail gets a clear answer; nothing of it is lost and nothing breaks."""

import smtplib

import pytest

from tests.gateway import Gateway
from tests.letters import ANNA, JANE, letter
from tests.postoffice import PostOffice
from tests.stories.links import link_in

pytestmark = pytest.mark.story


def test_a_letter_that_goes_round_in_circles_is_stopped(gateway: Gateway, world: PostOffice) -> None:
    """More than fifty hops are a loop (RFC 5321 §6.3)."""
    hop = b"Received: from a.example by b.example; Sun, 22 Nov 2026 12:00:00 +0000\r\n"
    gateway.send(ANNA, [JANE], hop * 50 + letter(to=[JANE]))
    world.wait_for(JANE)
    with pytest.raises(smtplib.SMTPDataError) as refusal:
        gateway.send(ANNA, [JANE], hop * 51 + letter(to=[JANE]))
    assert refusal.value.smtp_code == 554
    assert isinstance(refusal.value.smtp_error, bytes)
    assert refusal.value.smtp_error.startswith(b"5.4.6")


@pytest.mark.parametrize(
    "hostile",
    [
        pytest.param(b"To: <@\r\nMessage-ID: <\r\n\r\nHello\r\n", id="broken addresses"),
        pytest.param(b"To: " + b'"' * 20_000 + b"\r\n\r\nHello\r\n", id="twenty thousand quotes"),
        pytest.param(
            b"".join(b'Content-Type: multipart/mixed; boundary="%d"\r\n\r\n--%d\r\n' % (n, n) for n in range(3000)),
            id="three thousand nested parts",
        ),
        pytest.param(
            b"Content-Type: text/plain; charset=x-no-such\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!!\r\n",
            id="unknown charset, broken base64",
        ),
        pytest.param(b"\r\n" * 1000, id="nothing but empty lines"),
    ],
)
def test_what_no_parser_likes_arrives_or_is_sealed(gateway: Gateway, world: PostOffice, hostile: bytes) -> None:
    """Broken mail is relayed untouched, or sealed with the reason: one of the two, and the gateway goes on."""
    gateway.send(ANNA, [JANE], hostile)
    [mail] = world.wait_for(JANE)
    if not mail.content.endswith(hostile):
        assert link_in(mail)
        [receipt] = world.wait_for(ANNA)
        assert "not-inspectable" in receipt.text
    gateway.send(ANNA, [JANE], letter(to=[JANE]))
    world.wait_for(JANE, 2)
