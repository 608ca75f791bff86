"""Mail of ours that comes back, and mail that nobody reads: each is told once, to the right person, in plain words."""

import json
import re
import smtplib
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.gateway import Gateway, free_port, running, wait_for_port
from tests.letters import ANNA, COLLEAGUE, JANE, letter
from tests.postoffice import Delivered, PostOffice
from tests.reader import Reader
from tests.stories.links import link_in

pytestmark = pytest.mark.story

REPORTS = Path(__file__).parents[1] / "mail" / "reports"
POSTMASTER = "postmaster@example.org"
PUBLIC = """
[listen.public]
address = "127.0.0.1:{port}"
trusted_networks = []
"""


def report(name: str) -> bytes:
    """A report as one of the big mail servers writes it."""
    return (REPORTS / f"{name}.eml").read_bytes().replace(b"\n", b"\r\n")


class World:
    """Somebody on the internet who talks to the door that is open to everybody."""

    def __init__(self, port: int) -> None:
        self.port = port

    def send(self, recipient: str, content: bytes, sender: str = "") -> int:
        """Try to send a mail; return the reply code that decided."""
        with smtplib.SMTP("127.0.0.1", self.port, local_hostname="mx.example.net", timeout=20) as client:
            client.ehlo()
            client.mail(sender)
            code, _ = client.rcpt(recipient)
            return code if code != 250 else client.data(content)[0]


@pytest.fixture
def stranger(installed: Gateway) -> World:
    """A second door without trusted networks, and who stands in front of it."""
    port = free_port()
    file = installed.folder / "relay.toml"
    file.write_text(file.read_text().replace("[route.inside]", f"{PUBLIC.format(port=port)}\n[route.inside]", 1))
    return World(port)


@pytest.fixture
def gateway(installed: Gateway, stranger: World) -> Iterator[Gateway]:
    """A running gateway with both doors."""
    with running(installed) as started:
        wait_for_port(stranger.port)
        yield started


def sealed_for_jane(gateway: Gateway, world: PostOffice) -> tuple[str, Delivered, Delivered]:
    """Anna's sealed letter: its queue id, Jane's notice and Anna's receipt."""
    queue_id = gateway.send(ANNA, [JANE], letter(to=[JANE], subject="[secure] Thursday")).split()[-1]
    return queue_id, world.wait_for(JANE)[0], world.wait_for(ANNA)[0]


def test_a_notice_that_comes_back_is_told_once(gateway: Gateway, world: PostOffice, stranger: World) -> None:
    """Jane's server takes the notice and finds out later: Anna has one clear report, whatever else still arrives."""
    queue_id, notice, receipt = sealed_for_jane(gateway, world)
    bounce = notice.reverse_path
    assert bounce.startswith("b.")
    assert bounce.endswith("@letter.example.org")

    assert stranger.send(bounce, report("postfix")) == 250
    told = world.wait_for(ANNA, 2)[1]
    assert told.reverse_path == ""
    assert told.message["Subject"] == "Not reached: jane@example.net"
    assert told.message["In-Reply-To"] == receipt.message["Message-ID"]
    words = " ".join(told.text.split())
    assert "jane@example.net Your message was sealed, but the notice to this address could not be delivered" in words
    assert "User doesn't exist: jane@example.net" in words

    # The same failure again, another server's words for it, and a delay that was under way: Anna knows already.
    for name in ("postfix", "gmail", "postfix-delay"):
        assert stranger.send(bounce, report(name)) == 250
    gateway.send(ANNA, [COLLEAGUE], letter(to=[COLLEAGUE]))
    world.wait_for(COLLEAGUE)
    gateway.until(lambda: "known before" in gateway.letterlock("trace", queue_id))
    assert "notice came back after it was handed over" in gateway.letterlock("trace", queue_id)
    assert len(world.of(ANNA)) == 2


def test_the_page_tells_what_became_of_code_and_answer(
    gateway: Gateway, world: PostOffice, stranger: World, reader: Callable[[str], Reader]
) -> None:
    """Put off, taken, sent back: Jane reads it on her page; an answer that Anna's server refuses reaches a person."""
    _, notice, _ = sealed_for_jane(gateway, world)
    jane = reader(link_in(notice))

    def page_says(words: str) -> None:
        gateway.until(lambda: words in jane.look_again())

    world.refusals[JANE] = "451 4.7.1 greylisted"
    jane.ask_for_code()
    page_says("Your mail server asked us to wait. We try again at")
    del world.refusals[JANE]
    code = world.wait_for(JANE, 2)[1]
    page_says("Your mail server accepted the mail with the code at")
    assert stranger.send(code.reverse_path, report("postfix")) == 250
    page_says("Your mail server refused the mail with the code. Please ask Example Council")

    jane.enter(Reader.code_in(code.text))  # it arrived all the same
    world.refusals[ANNA] = "550 5.1.1 nobody of that name here"
    jane.answer("preciousword")
    [given] = world.wait_for(POSTMASTER)
    assert "nobody of that name here" in given.text
    assert b"preciousword" in given.content
    assert not re.search(rb"\b[rc]\.[a-z2-7]{26}\.", given.content)  # no address that opens anything
    page_says("we gave it to a mailbox of Example Council that somebody looks after")


def test_forged_bounces_are_refused(gateway: Gateway, world: PostOffice, stranger: World) -> None:
    """Only the address that we wrote opens; staff's addresses, other names and other domains stay shut."""
    _, notice, _ = sealed_for_jane(gateway, world)
    local, domain = notice.reverse_path.split("@")
    kind, identifier, tag = local.split(".")
    flipped = ("b" if tag[0] == "a" else "a") + tag[1:]
    for address in (
        f"{kind}.{identifier}.{flipped}@{domain}",
        f"{kind}.{flipped[:26]}.{tag}@{domain}",
        f"r.{identifier}.{tag}@{domain}",
        f"c.{identifier}.{tag}@{domain}",
        f"notices@{domain}",
        "postmaster@example.org",
        JANE,
    ):
        assert stranger.send(address, report("postfix")) == 550
    gateway.send(ANNA, [COLLEAGUE], letter(to=[COLLEAGUE]))
    world.wait_for(COLLEAGUE)
    assert len(world.of(ANNA)) == 1


def test_an_out_of_office_to_a_notice_is_dropped(gateway: Gateway, world: PostOffice, stranger: World) -> None:
    """A machine's answer to our return address is taken and gone: nobody hears of it, the audit knows."""
    queue_id, notice, _ = sealed_for_jane(gateway, world)
    assert stranger.send(notice.reverse_path, report("out-of-office"), sender=JANE) == 250
    assert stranger.send(notice.reverse_path, report("read-receipt")) == 250
    gateway.until(lambda: "was dropped: a machine wrote it" in gateway.letterlock("trace", queue_id))
    gateway.send(ANNA, [COLLEAGUE], letter(to=[COLLEAGUE]))
    world.wait_for(COLLEAGUE)
    assert [len(world.of(address)) for address in (ANNA, JANE)] == [1, 1]


def test_mail_to_postmaster_reaches_a_person(gateway: Gateway, world: PostOffice, stranger: World) -> None:
    """Somebody who has a question about our mail can ask it, and gets no mail back for asking."""
    assert gateway.process is not None
    asked = letter(to=["postmaster@letter.example.org"], sender=JANE, subject="[secure] Is this you?")
    assert stranger.send("postmaster@letter.example.org", asked, sender=JANE) == 250
    [passed_on] = world.wait_for(POSTMASTER)
    assert passed_on.content.endswith(asked)
    assert passed_on.reverse_path.startswith("b.")
    assert world.of(JANE) == []


def test_silence_brings_a_reminder_without_a_link_and_a_note(gateway: Gateway, world: PostOffice) -> None:
    """Four days later Jane has not read: she is reminded without a link, Anna is told, and neither again."""
    _, notice, receipt = sealed_for_jane(gateway, world)
    gateway.until(lambda: _place(gateway) is not None)
    gateway.stop()
    _let_days_pass(gateway, 4)
    gateway.start()
    reminder = world.wait_for(JANE, 2)[1]
    assert reminder.message["In-Reply-To"] == notice.message["Message-ID"]
    assert "It has not been read yet." in reminder.text
    assert b"http" not in reminder.content
    note = world.wait_for(ANNA, 2)[1]
    assert note.message["In-Reply-To"] == receipt.message["Message-ID"]
    assert JANE in note.text
    assert "The link was not opened." in note.text
    gateway.stop()
    _let_days_pass(gateway, 4)
    gateway.start()
    gateway.send(ANNA, [COLLEAGUE], letter(to=[COLLEAGUE]))
    world.wait_for(COLLEAGUE)
    assert [len(world.of(address)) for address in (ANNA, JANE)] == [2, 2]


def _place(gateway: Gateway) -> str | None:
    """How far the duty has looked, as it stands in the database."""
    with sqlite3.connect(gateway.folder / "var" / "letterlock.db", timeout=20) as database:
        row = database.execute("SELECT value FROM meta WHERE name = 'silence looked at'").fetchone()
    return row[0] if row else None


def _let_days_pass(gateway: Gateway, days: int) -> None:
    """Make everything in the database of a stopped gateway older: what a test can do instead of waiting."""
    microseconds = timedelta(days=days) // timedelta(microseconds=1)
    place = _place(gateway)
    assert place is not None
    at, identifier = json.loads(place)
    earlier = (datetime.fromisoformat(at) - timedelta(days=days)).astimezone(UTC).isoformat()
    with sqlite3.connect(gateway.folder / "var" / "letterlock.db", timeout=20) as database:
        for table, column in (
            ("message", "accepted_at"),
            ("participant", "notified_at"),
            ("participant", "reminded_at"),
        ):
            database.execute(f"UPDATE {table} SET {column} = {column} - ?", (microseconds,))  # noqa: S608  # our own names
        database.execute(
            "UPDATE meta SET value = ? WHERE name = 'silence looked at'", (json.dumps([earlier, identifier]),)
        )
    database.close()
