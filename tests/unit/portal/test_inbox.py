"""The demo inbox: begins an answer as mail programs do, and puts off what it cannot keep."""

import asyncio
import smtplib
from pathlib import Path

import pytest

from portal.inbox.deliveries import Deliveries
from portal.inbox.reception import listen
from portal.inbox.writing import answer_to, compose
from relay.errors import StoreError
from relay.message.reading import read

RECEIPT = (
    b"From: Example Council <notices@letter.example.org>\r\nReply-To: Example Council <c.x.y@letter.example.org>\r\n"
    b"To: anna@example.org, Ben <ben@example.org>\r\nSubject: Sealed: Your referral\r\n"
    b"Message-ID: <2@letter.example.org>\r\nReferences: <1@example.org>\r\n\r\nYour message was sealed.\r\n"
)


def test_an_answer_goes_to_reply_to_in_the_thread() -> None:
    """Not to From; In-Reply-To and References lead back, the old text stands quoted below."""
    letter = answer_to(read(RECEIPT), RECEIPT, "anna@example.org")
    assert (letter.to, letter.cc) == (("c.x.y@letter.example.org",), ())
    written = read(compose(letter))
    assert written.in_reply_to == ("<2@letter.example.org>",)
    assert written.references == ("<1@example.org>", "<2@letter.example.org>")
    assert written.subject == "Re: Sealed: Your referral"
    assert "> Your message was sealed." in written.parts[0].text


def test_an_answer_to_all_leaves_out_who_writes_it() -> None:
    """Everybody else in To and Cc is in Cc; without Reply-To it goes to From."""
    plain = RECEIPT.replace(b"Reply-To", b"X-Was")
    letter = answer_to(read(plain), plain, "Anna@example.org", everybody=True)
    assert (letter.to, letter.cc) == (("notices@letter.example.org",), ("ben@example.org",))


def test_what_it_cannot_keep_comes_again(tmp_path: Path) -> None:
    """A folder that cannot be written is a 451, never a bounce; one that cannot be read is a sentence at the start."""
    folder = tmp_path / "inbox"
    deliveries = Deliveries(folder)
    folder.rmdir()
    folder.write_text("somebody's file")

    def send(port: int) -> tuple[int, bytes]:
        with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
            client.ehlo()
            client.mail("anna@example.org")
            client.rcpt("jane@example.net")
            return client.data(RECEIPT)

    async def refused() -> tuple[int, bytes]:
        server = await listen(deliveries, "127.0.0.1", 0)
        try:
            return await asyncio.to_thread(send, server.sockets[0].getsockname()[1])
        finally:
            server.close()

    assert asyncio.run(refused()) == (451, b"4.3.0 the demo inbox cannot keep it now")
    with pytest.raises(StoreError, match=r"the demo inbox cannot use .*inbox: File exists"):
        Deliveries(folder)
