"""Anna stays in control from her mail program: she answers the receipt, and the conversation does what she says."""

import contextlib
import re
import smtplib
import sqlite3
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests.gateway import RULES, Gateway, running
from tests.letters import ANNA, COLLEAGUE, HIDDEN, JANE, NHS_NUMBER, PARTNER, letter
from tests.postoffice import Delivered, PostOffice
from tests.reader import Reader
from tests.replies import Answered, reply
from tests.stories.links import link_in

pytestmark = pytest.mark.story

CAROL = "carol@example.com"
LANGUAGES = 'contact = "Help desk, +44 20 7946 0000"\nlanguages = ["en", "nl", "de", "fr"]'


@pytest.fixture
def gateway(tmp_path: Path, world: PostOffice) -> Iterator[Gateway]:
    """A running gateway that speaks four languages."""
    installed = Gateway.install(tmp_path, world.port)
    configuration = installed.folder / "relay.toml"
    text = configuration.read_text()
    configuration.write_text(text.replace('contact = "Help desk, +44 20 7946 0000"', LANGUAGES))
    with running(installed):
        yield installed


class Anna:
    """Anna at her desk: each mail of ours that she gets is answered with what she types, in whatever program."""

    def __init__(self, gateway: Gateway, world: PostOffice) -> None:
        self._gateway = gateway
        self._world = world
        self.newest: Delivered | None = None

    def writes(self, *to: str, text: str = f"NHS number {NHS_NUMBER}\n", envelope: tuple[str, ...] = ()) -> Delivered:
        """Send a letter that is sealed; return the receipt."""
        self._gateway.send(ANNA, envelope or to, letter(to=to, text=text, subject="Figures"))
        return self._next()

    def answers(self, typed: str, program: str = "gmail-web", language: str = "en") -> str:
        """Answer the newest mail of ours and return the text of what comes back."""
        self._gateway.send(ANNA, [self.address], self.composes(typed, program, language))
        return " ".join(self._next().text.split())

    def composes(self, typed: str, program: str = "gmail-web", language: str = "en") -> bytes:
        """Return the answer as it would be sent."""
        assert self.newest is not None
        return reply(program, typed, Answered.of(self.newest), language=language)

    @property
    def address(self) -> str:
        """Where an answer goes."""
        assert self.newest is not None
        return Answered.of(self.newest).control

    def hears_of(self, notices: int) -> None:
        """Wait until so many pickup notices are known to have been handed over."""
        database = self._gateway.folder / "var/letterlock.db"
        counted = "SELECT count(*) FROM participant WHERE notified_at IS NOT NULL"
        with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as look:
            self._gateway.until(lambda: look.execute(counted).fetchone()[0] == notices)

    def _next(self) -> Delivered:
        count = len(self._world.of(ANNA))
        known = self._world.of(ANNA).index(self.newest) + 1 if self.newest in self._world.of(ANNA) else 0
        self.newest = self._world.wait_for(ANNA, max(known + 1, count))[known]
        return self.newest


@pytest.fixture
def anna(gateway: Gateway, world: PostOffice) -> Anna:
    """Anna."""
    return Anna(gateway, world)


def read_it(person: Reader, world: PostOffice, address: str, name: str = "") -> str:
    """Follow the newest link to the end: ask for the code, type it, read; return the page."""
    before = len(world.of(address))
    person.ask_for_code()
    return person.enter(person.code_in(world.wait_for(address, before + 1)[-1].text), name)


def test_every_command_is_obeyed_and_answered_with_the_new_state(
    gateway: Gateway, anna: Anna, world: PostOffice, reader: Callable[[str], Reader]
) -> None:
    """Status, recall, restore, resend, extend, add, remove: each from another program, in one of four languages."""
    receipt = anna.writes(JANE, PARTNER, COLLEAGUE)
    assert "answer this mail" in receipt.text
    assert receipt.message["Auto-Submitted"] == "auto-generated"
    [first_link] = [link_in(mail) for mail in world.wait_for(JANE)]

    anna.hears_of(2)
    said = anna.answers("Status", "outlook-desktop")
    assert re.search(rf"{JANE} The notice was handed over on .* Not opened yet", said)
    assert re.search(rf"{COLLEAGUE} Delivered directly on .* cannot be seen", said)
    assert anna.newest is not None
    message = anna.newest.message
    assert message["Auto-Submitted"] == "auto-replied"
    assert receipt.message["Message-ID"] in message["References"]
    assert message["Subject"].casefold().startswith("re: ")

    jane = reader(first_link)
    assert NHS_NUMBER in read_it(jane, world, JANE)
    assert re.search(rf"{JANE} .*Gelezen op ", anna.answers("status graag, dit bericht", "outlook-ios", "nl"))

    said = anna.answers("Bitte zurückziehen", "apple-mail-ios", "de")
    assert f"{JANE}: zurückgezogen" in said
    assert f"{PARTNER}: zurückgezogen" in said
    assert f"{COLLEAGUE} bekam eine gewöhnliche Kopie" in said
    assert NHS_NUMBER not in reader(first_link).arrive()
    assert NHS_NUMBER not in jane.client.get(jane.client.base_url).text

    said = anna.answers(f"Rétablir {JANE}", "apple-mail-macos", "fr")
    assert f"{JANE} peut de nouveau le lire" in said
    assert re.search(rf"{re.escape(PARTNER)} .* Rappelé le ", said)
    assert NHS_NUMBER in read_it(reader(first_link), world, JANE)

    notices = len(world.of(JANE))
    assert f"{JANE}: a notice with a new link" in anna.answers(f"resend {JANE}", "gmail-app")
    second_link = link_in(world.wait_for(JANE, notices + 1)[-1])
    assert second_link != first_link
    assert NHS_NUMBER in read_it(reader(second_link), world, JANE)

    until = re.compile(r"It can be read until (\d+ \w+ \d+)")
    before = until.search(anna.answers("status", "thunderbird-html"))
    said = anna.answers("extend 14", "outlook-web")
    assert "It can now be read until" in said
    after = until.search(said)
    assert before
    assert after
    assert before[1] != after[1]

    said = anna.answers(f"voeg {CAROL} toe", "thunderbird-plain", "nl")
    assert f"{CAROL} kan het ook lezen" in said
    assert NHS_NUMBER in read_it(reader(link_in(world.wait_for(CAROL)[0])), world, CAROL)

    said = anna.answers(f"remove {CAROL}", "outlook-html-only")
    assert f"{CAROL} was taken out of the conversation" in said
    assert NHS_NUMBER not in reader(link_in(world.of(CAROL)[0])).arrive()

    # Jane's first link was replaced; the page has a button that asks Anna, and the very first receipt still serves.
    heard, notices = len(world.of(ANNA)), len(world.of(JANE))
    assert "We ask the sender" in reader(first_link).ask_for_new_link()
    asks = world.wait_for(ANNA, heard + 1)[-1]
    assert f"resend {JANE}" in asks.text
    assert asks.message["In-Reply-To"] == receipt.message["Message-ID"]
    answered = Answered.of(receipt)
    gateway.send(ANNA, [answered.control], reply("outlook-ios", f"resend {JANE}", answered))
    assert f"{JANE}: a notice with a new link" in " ".join(world.wait_for(ANNA, heard + 2)[-1].text.split())
    assert NHS_NUMBER in read_it(reader(link_in(world.wait_for(JANE, notices + 1)[-1])), world, JANE)


def test_what_is_not_understood_is_answered_with_help(anna: Anna) -> None:
    """A question changes nothing; the answer shows the line, and the commands in the language of the question."""
    anna.writes(JANE)
    said = anna.answers("Kunt u dit bericht niet gewoon terugsturen?", "outlook-desktop", "nl")
    assert "Kunt u dit bericht niet gewoon terugsturen?" in said
    assert f"intrekken {JANE}" in said
    assert "Taken back" not in anna.answers("status")
    said = anna.answers("", "gmail-web")
    assert "Nothing was found above the quoted text" in said
    said = anna.answers(f"recall {JANE}\nremove bob", "gmail-web")
    assert f"{JANE}: taken back" in said
    assert "Nothing was done about these lines: remove bob" in said
    assert "nothing was done" in anna.answers("send sealed")
    assert f"{COLLEAGUE} belongs to your own organisation" in anna.answers(f"add {COLLEAGUE}")


def test_only_the_sender_with_the_secret_is_obeyed(anna: Anna, gateway: Gateway, world: PostOffice) -> None:
    """A colleague, a wrong secret, somebody else's secret: refused, and nothing is changed or mailed."""
    anna.writes(JANE)
    colleague = reply("gmail-web", "recall", Answered.of(world.of(ANNA)[0]), sender=COLLEAGUE)
    right = anna.address
    mine = anna.composes("recall")
    last = "a" if right.split("@")[0][-1] != "a" else "q"
    wrong = f"{right.split('@')[0][:-1]}{last}@letter.example.org"
    anna.writes(PARTNER)
    other = anna.address
    mixed = f"{right.rsplit('.', 3)[0].rpartition('.')[0]}.{other.split('@')[0].rpartition('.')[2]}@letter.example.org"
    for sender, to, content in (
        (COLLEAGUE, right, colleague),
        (ANNA, wrong, mine),
        (ANNA, mixed, mine),
    ):
        with pytest.raises((smtplib.SMTPDataError, smtplib.SMTPRecipientsRefused)) as refusal:
            gateway.send(sender, [to], content)
        assert b"550" in str(refusal.value).encode()
    assert "Taken back" not in anna.answers("status")
    assert world.of(COLLEAGUE) == []


def test_what_a_machine_or_a_copy_sends_is_dropped(anna: Anna, gateway: Gateway, world: PostOffice) -> None:
    """An out-of-office text and a command that comes a second time are taken and change nothing."""
    anna.writes(JANE)
    away = EmailMessage()
    away["From"], away["To"], away["Subject"] = ANNA, anna.address, "Automatic reply: Sealed: Figures"
    away["Message-ID"], away["Auto-Submitted"] = "<away@example.org>", "auto-replied"
    away.set_content("recall\n")
    gateway.send(ANNA, [anna.address], away.as_bytes(policy=away.policy.clone(linesep="\r\n")))
    once = anna.composes(f"recall {JANE}")
    address = anna.address
    gateway.send(ANNA, [address], once)
    anna._next()
    assert f"{JANE} can read it again" in anna.answers(f"restore {JANE}")
    gateway.send(ANNA, [address], once)
    said = anna.answers("status")
    assert "Taken back" not in said
    assert len(world.of(ANNA)) == 4  # the receipt and three answers
    trace = gateway.letterlock("audit", "verify")
    assert trace


def test_a_colleague_who_may_act_for_anna_can_command(tmp_path: Path, world: PostOffice) -> None:
    """[organisation] delegates: who acts for Anna answers with the secret of her receipt."""
    installed = Gateway.install(tmp_path, world.port)
    configuration = installed.folder / "relay.toml"
    text = configuration.read_text()
    acting = f'[organisation]\ndelegates = {{ "{ANNA}" = ["{COLLEAGUE}"] }}'
    configuration.write_text(text.replace("[organisation]", acting))
    with running(installed):
        anna = Anna(installed, world)
        receipt = anna.writes(JANE)
        content = reply("outlook-desktop", "recall", Answered.of(receipt), sender=COLLEAGUE)
        installed.send(COLLEAGUE, [anna.address], content)
        [answer] = world.wait_for(COLLEAGUE)
        assert f"{JANE}: taken back" in answer.text


def test_a_blind_reader_is_shown_to_the_sender_alone(
    anna: Anna, world: PostOffice, reader: Callable[[str], Reader]
) -> None:
    """Anna sees the reader in Bcc in her status; whoever is added later gets the letter and no other name."""
    anna.writes(JANE, envelope=(JANE, HIDDEN))
    assert HIDDEN in anna.answers("status")
    assert f"{CAROL} can read it, too" in anna.answers(f"add {CAROL}")
    [notice] = world.wait_for(CAROL)
    assert HIDDEN.encode() not in notice.content
    page = read_it(reader(link_in(notice)), world, CAROL)
    assert NHS_NUMBER in page
    assert HIDDEN not in page


NOTIFY = """
[[rules]]
name = "numbers-of-the-house"
because = "it names the house"
to = "outside"
when = { keywords = ["hollow lane"] }
action = "notify"
"""


def test_a_message_that_left_can_only_be_asked_about(tmp_path: Path, world: PostOffice) -> None:
    """A receipt for a message that went out as it was: status is answered, recall says that it is out of reach."""
    installed = Gateway.install(tmp_path, world.port, rules=RULES + NOTIFY)
    with running(installed):
        anna = Anna(installed, world)
        anna.writes(JANE, text="Meet me at Hollow Lane\n")
        world.wait_for(JANE)
        said = anna.answers("recall")
        assert "This message left as an ordinary message" in said
        assert JANE in said
        assert re.search(rf"{JANE} (Delivered directly on|Sent as an ordinary message)", anna.answers("status"))
