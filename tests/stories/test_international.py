"""People whose addresses have letters beyond ASCII hold a whole conversation (RFC 6531, RFC 6532)."""

import smtplib
from collections.abc import Callable, Sequence
from email import message_from_string
from email.headerregistry import Address
from email.policy import SMTP

import pytest

from tests.gateway import Gateway
from tests.letters import NHS_NUMBER
from tests.postoffice import Delivered, PostOffice
from tests.reader import Reader
from tests.stories.links import link_in

pytestmark = pytest.mark.story

JUERGEN = "jürgen@example.org"  # staff
UENAL = "ünal@example.net"  # outside


def send(gateway: Gateway, recipients: Sequence[str], content: bytes) -> None:
    """Hand a mail of Jürgen's over, as a mail program that speaks SMTPUTF8 does."""
    with smtplib.SMTP("127.0.0.1", gateway.smtp, local_hostname="desk.example.org", timeout=60) as client:
        client.ehlo()
        client.command_encoding = "utf-8"
        assert client.mail(JUERGEN, ["SMTPUTF8", "BODY=8BITMIME"])[0] == 250
        for recipient in recipients:
            assert client.rcpt(recipient)[0] == 250
        assert client.data(content)[0] == 250


def written(to: str, text: str, number: int) -> bytes:
    """A mail with its header in UTF-8."""
    header = f"From: Jürgen <{JUERGEN}>\r\nTo: {to}\r\nSubject: Grüße\r\nMessage-ID: <{number}@desk.example.org>\r\n"
    kind = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
    return f"{header}{kind}\r\n{text}\r\n".encode()


def address_in(mail: Delivered, field: str) -> Address:
    """The one address in a field; Python's parser reads UTF-8 in a header right only when it comes as text."""
    [address] = message_from_string(mail.content.decode(), policy=SMTP)[field].addresses
    assert isinstance(address, Address)
    return address


def test_names_beyond_ascii_from_end_to_end(
    gateway: Gateway, world: PostOffice, reader: Callable[[str], Reader]
) -> None:
    """A clean mail as it is; then sealed: notice, receipt, code, Ünal's answer, Jürgen's answer, a command."""
    clean = written(UENAL, "Schöne Grüße", 1)
    send(gateway, [UENAL], clean)
    assert world.wait_for(UENAL)[0].content.endswith(clean)

    send(gateway, [UENAL], written(UENAL, f"erstes Wort, NHS number {NHS_NUMBER}", 2))
    notice = world.wait_for(UENAL, 2)[1]
    assert address_in(notice, "To").addr_spec == UENAL
    assert JUERGEN in notice.text
    [receipt] = world.wait_for(JUERGEN)
    assert UENAL in receipt.text
    uenal = reader(link_in(notice))
    uenal.ask_for_code()
    uenal.enter(Reader.code_in(world.wait_for(UENAL, 3)[2].text))
    assert "erstes Wort" in uenal.page

    uenal.answer("zweites Wort")
    answer = world.wait_for(JUERGEN, 2)[1]
    sender = address_in(answer, "From")
    assert sender.display_name == "ünal (example.net) via Example Council"
    assert sender.addr_spec.isascii()
    assert address_in(answer, "To").addr_spec == JUERGEN
    assert "zweites Wort" in answer.text

    send(gateway, [sender.addr_spec], written(sender.addr_spec, "drittes Wort", 3))
    uenal = reader(link_in(world.wait_for(UENAL, 4)[3]))
    uenal.ask_for_code()
    uenal.enter(Reader.code_in(world.wait_for(UENAL, 5)[4].text))
    for word in ("erstes Wort", "zweites Wort", "drittes Wort"):
        assert word in uenal.page

    control = address_in(receipt, "Reply-To").addr_spec
    send(gateway, [control], written(control, f"recall {UENAL}", 4))
    assert f"{UENAL}: taken back" in world.wait_for(JUERGEN, 3)[2].text
