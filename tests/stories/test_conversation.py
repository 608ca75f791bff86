"""A conversation between an ordinary mail client and three people with a browser; one of them nobody knows of."""

import re
import smtplib
from collections.abc import Callable
from html import escape
from pathlib import Path

import pytest

from tests.gateway import Gateway
from tests.letters import ANNA, HIDDEN, JANE, NHS_NUMBER, letter
from tests.postoffice import Delivered, PostOffice
from tests.reader import Reader
from tests.replies import Answered, reply
from tests.stories.links import link_in

pytestmark = pytest.mark.story

BOB = "bob@example.com"  # outside
FOUR = ("outlook-desktop", "gmail-web", "apple-mail-macos", "thunderbird-html")
READER_ADDRESS = re.compile(r"r\.[a-z2-7]{26}\.([a-z2-7]{32})@letter\.example\.org")
OUTSIDE = (JANE, BOB, HIDDEN)

Enter = Callable[[str, int], Reader]


@pytest.fixture(params=["sqlite"])
def installed(request: pytest.FixtureRequest, tmp_path: Path, world: PostOffice) -> Gateway:
    """An installed gateway on the kind of database that the test asks for."""
    database = request.getfixturevalue("server").new_database() if request.param == "postgresql" else ""
    return Gateway.install(tmp_path, world.port, database=database)


@pytest.fixture
def enter(world: PostOffice, reader: Callable[[str], Reader]) -> Enter:
    """Open the newest of so many mails to somebody, and enter with the code that comes as the next."""

    def do(address: str, mails: int) -> Reader:
        person = reader(link_in(world.wait_for(address, mails)[-1]))
        person.ask_for_code()
        code = world.wait_for(address, mails + 1)[-1]
        person.enter(Reader.code_in(code.text))
        return person

    return do


def answers_of(world: PostOffice, count: int) -> list[Delivered]:
    """Anna's mail from readers' addresses, once there are so many."""
    for total in range(1, 20):
        found = [mail for mail in world.wait_for(ANNA, total) if READER_ADDRESS.search(mail.message["From"])]
        if len(found) >= count:
            return found
    raise AssertionError("no answer came")


def author_of(answer: Delivered) -> str:
    """As whom a reader's answer comes."""
    return str(answer.message["From"].addresses[0].display_name)


@pytest.mark.parametrize(
    "installed", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)], indirect=True
)
def test_two_readers_and_a_third_in_secret(gateway: Gateway, world: PostOffice, enter: Enter) -> None:
    """Reply, answer, answer: everybody reads what was meant for them, and nobody learns of the Bcc reader.

    S, the secret of Anna's reply address, is in nothing that leaves for anybody else.
    """
    sent = letter(
        to=[JANE, BOB],
        subject="Your results",
        text=f"firstword for all. NHS number {NHS_NUMBER}\n",
        message_id="<results@desk.example.org>",
    )
    gateway.send(ANNA, [JANE, BOB, HIDDEN], sent)

    jane = enter(JANE, 1)
    assert "firstword" in jane.page
    assert BOB in jane.company
    assert HIDDEN not in jane.page
    hidden = enter(HIDDEN, 1)
    assert "firstword" in hidden.page
    assert not re.search('name="to"', hidden.page)

    page = jane.answer("secondword: may I\nask something?", also=[BOB], files=[("question ✓.txt", b"canaryfile" * 10)])
    assert "secondword" in page
    [at_anna] = answers_of(world, 1)
    message = at_anna.message
    assert author_of(at_anna) == "jane (example.net) via Example Council"
    assert message["Subject"] == "Re: Your results"
    assert message["In-Reply-To"] == "<results@desk.example.org>"
    assert at_anna.text.replace("\r\n", "\n").startswith("secondword: may I\nask something?")
    assert [part.get_filename() for part in message.iter_attachments()] == ["question ✓.txt"]
    assert [one.display_name for one in message["Cc"].addresses] == ["bob (example.com) via Example Council"]
    assert HIDDEN.encode() not in at_anna.content

    bob = enter(BOB, 2)  # a further notice, with a link that opens both
    assert "firstword" in bob.page
    assert "secondword" in bob.page
    assert world.of(HIDDEN)[-1].message["Subject"].startswith("Your code")

    # Anna answers Jane alone from four mail programs, each quoting in its own way; then both.
    to_jane = message["From"].addresses[0].addr_spec
    quoted = f"From: {message['From']}\n{at_anna.text.strip()}"
    answered = Answered(
        control=to_jane,
        author=to_jane,
        message_id=message["Message-ID"],
        subject="Your results",
        text=quoted,
        html=f"<html><body><a href='mailto:{to_jane}'>{JANE}</a><pre>{escape(quoted)}</pre></body></html>",
    )
    for number, program in enumerate(FOUR):
        private = reply(program, f"thirdword{number} for Jane only", answered)
        gateway.send(ANNA, [to_jane], private)
        world.wait_for(JANE, 3 + number)
    to_bob = message["Cc"].addresses[0].addr_spec
    both = letter(
        to=[to_jane, to_bob],
        subject="Re: Your results",
        text="fourthword for both\n",
        message_id="<both@desk.example.org>",
    )
    gateway.send(ANNA, [to_jane, to_bob], both)

    jane = enter(JANE, 7)
    for word in ("firstword", "secondword", *(f"thirdword{number}" for number in range(4)), "fourthword"):
        assert word in jane.page
    bob = enter(BOB, 4)
    assert "fourthword" in bob.page
    assert "thirdword" not in bob.page

    bob.answer("fifthword of Bob, to Anna alone")
    assert author_of(answers_of(world, 2)[1]) == "bob (example.com) via Example Council"
    hidden.answer("sixthword of somebody nobody knows")
    last = answers_of(world, 3)[2]
    assert author_of(last) == "audit (example.edu) via Example Council"
    assert "Cc" not in last.message

    assert len(world.of(HIDDEN)) == 2  # one notice, one code
    for word in ("fifthword", "sixthword"):
        assert word not in jane.look_again()
    for mail in world.delivered:
        if mail.recipients[0] in OUTSIDE:
            assert not READER_ADDRESS.search(mail.content.decode("latin-1"))
            assert b"canaryfile" not in mail.content
    secrets = [READER_ADDRESS.search(mail.message["From"]) for mail in answers_of(world, 3)]
    assert len({found[1] for found in secrets if found}) == 3  # a fresh one in each mail
    for person in (jane, bob, hidden):
        shown = [person.look_again().encode(), *person.download_all()]
        assert len(shown) > 1
        assert not any(found[1].encode() in one for found in secrets if found for one in shown)
    log = gateway.log()
    assert not any(found[1] in log for found in secrets if found)


def test_a_forward_leaks_nothing(gateway: Gateway, world: PostOffice, enter: Enter) -> None:
    """Anna forwards Jane's answer outside, with the address in it: it is sealed for the stranger, in a new conversation.

    A stranger who writes to a reader's address, and a colleague who takes no part, are refused.
    """
    gateway.send(
        ANNA, [JANE], letter(to=[JANE], text=f"NHS number {NHS_NUMBER}\n", message_id="<one@desk.example.org>")
    )
    jane = enter(JANE, 1)
    jane.answer("answerword")
    [at_anna] = answers_of(world, 1)
    secret = at_anna.message["From"].addresses[0].addr_spec
    forward = letter(to=[BOB], subject="Fwd: Re: Thursday", text=f"From: {secret}\n\nanswerword\n")
    headers = f"References: {at_anna.message['Message-ID']}\r\n".encode()
    gateway.send(ANNA, [BOB], headers + forward)
    bob = enter(BOB, 1)
    assert "answerword" in bob.page
    assert NHS_NUMBER not in bob.page
    local = secret.partition("@")[0].encode()
    assert not any(local in one for one in [bob.page.encode(), *bob.download_all()])
    assert "answerword" in jane.look_again()
    assert "Fwd:" not in jane.page
    with pytest.raises(smtplib.SMTPException) as refusal:
        gateway.send("mallory@example.org", [secret], letter(to=[secret], sender="mallory@example.org"))
    assert "5.7.1" in str(refusal.value)
