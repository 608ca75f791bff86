"""Nothing changes until something is wrong."""

import smtplib
from pathlib import Path

import pytest

from tests.gateway import Gateway, running
from tests.letters import ANNA, COLLEAGUE, JANE, letter, photograph
from tests.postoffice import PostOffice

pytestmark = pytest.mark.story


def test_a_clean_letter_arrives_byte_for_byte(gateway: Gateway, world: PostOffice) -> None:
    """Anna sends a photograph of 3 MB: it arrives exactly as she sent it, below the gateway's own trace."""
    sent = letter(to=[JANE], attachments=[("view.png", "image/png", photograph(3 << 20))])
    gateway.send(ANNA, [JANE], sent)
    [mail] = world.wait_for(JANE)
    assert mail.content.endswith(sent)
    added = mail.content.removesuffix(sent)
    assert added.startswith(b"Received: from desk.example.org")
    assert added.count(b"\r\nReceived:") == 0
    assert mail.reverse_path == ANNA


def test_colleagues_and_strangers_get_the_same_clean_letter(gateway: Gateway, world: PostOffice) -> None:
    """One letter to a colleague and to Jane reaches both, and nobody is told of anything."""
    sent = letter(to=[COLLEAGUE, JANE])
    gateway.send(ANNA, [COLLEAGUE, JANE], sent)
    for address in (COLLEAGUE, JANE):
        [mail] = world.wait_for(address)
        assert mail.content.endswith(sent)
    assert world.of(ANNA) == []


def test_a_letter_that_no_parser_likes_still_arrives_untouched(gateway: Gateway, world: PostOffice) -> None:
    """Odd header spacing, a long line and raw octets stay as they are."""
    odd = (
        b"from:  odd <anna.baker@example.org>\r\nTO:jane@example.net\r\nX-Odd :  \r\n\ty\r\n\r\n"
        + b"x" * 5000
        + b"\r\n"
    )
    gateway.send(ANNA, [JANE], odd)
    [mail] = world.wait_for(JANE)
    assert mail.content.endswith(odd)


def test_bcc_field_of_a_careless_client_is_removed(gateway: Gateway, world: PostOffice) -> None:
    """A client that leaves its Bcc field in the letter does not give the hidden reader away."""
    sent = letter(to=[JANE])
    careless = sent.replace(
        b"\r\nSubject:", b"\r\nBcc: Secret <hidden@example.edu>,\r\n other@example.edu\r\nSubject:", 1
    )
    gateway.send(ANNA, [JANE, "hidden@example.edu"], careless)
    for address in (JANE, "hidden@example.edu"):
        [mail] = world.wait_for(address)
        assert mail.content.endswith(sent)


def test_a_next_hop_that_asks_to_wait_gets_the_letter_later(gateway: Gateway, world: PostOffice) -> None:
    """Greylisting delays a letter and loses nothing; the operator sees why it waits."""
    world.refusals[JANE] = "451 4.7.1 come back later"
    queue_id = gateway.send(ANNA, [JANE], letter(to=[JANE])).split()[-1]
    gateway.until(lambda: "come back later" in gateway.letterlock("queue", "show", queue_id))
    del world.refusals[JANE]
    world.wait_for(JANE)


def test_a_refused_letter_comes_back_with_the_reason(gateway: Gateway, world: PostOffice) -> None:
    """A next hop that refuses for good leads to one report to Anna, in the words of that next hop."""
    world.refusals[JANE] = "550 5.1.1 nobody of that name here"
    gateway.send(ANNA, [JANE], letter(to=[JANE], text="For your eyes only."))
    [report] = world.wait_for(ANNA)
    assert report.reverse_path == ""
    assert report.message.get_content_type() == "multipart/report"
    assert b"nobody of that name here" in report.content
    assert b"For your eyes only" not in report.content


def test_nobody_else_may_send_through_it(tmp_path: Path, world: PostOffice) -> None:
    """A client outside the trusted networks is refused: there is no open relay, not even to the inside."""
    installed = Gateway.install(tmp_path, world.port, trusted="192.0.2.0/24")
    with running(installed), smtplib.SMTP("127.0.0.1", installed.smtp, timeout=20) as client:
        client.ehlo("stranger.example")
        client.mail(ANNA)
        assert client.rcpt(JANE)[0] // 100 == 5
        assert client.rcpt(COLLEAGUE)[0] // 100 == 5
    assert world.delivered == []
