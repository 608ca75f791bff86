"""The question about held copies speaks four languages, and teaches words that are understood."""

from datetime import UTC, datetime, timedelta

import pytest

from relay.conversation.control.commands import Instructions, Verb, parse
from relay.message.reading import read
from relay.notices.controls import Asked, ControlNotices, Misunderstanding, Progress, Read, RecipientLine
from relay.notices.holds import Choices, Decision, HoldNotices, Waiting
from relay.notices.letterhead import Letterhead
from tests.unit.relay.notices.test_compose import TAGS

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def letterhead(*tags: str) -> Letterhead:
    """The letterhead of a made-up council, whose first language is the first of ``tags``."""
    return Letterhead(
        organisation="Example Council",
        contact="the help desk",
        domain="letter.example.org",
        base_url="https://letter.example.org",
        tags=tags or TAGS,
    )


@pytest.fixture(scope="module")
def notices() -> HoldNotices:
    """Notices of a made-up council, in every language."""
    return HoldNotices(letterhead())


def question(language: str, *addresses: str, plain: bool = True) -> bytes:
    return (
        HoldNotices(letterhead(language))
        .question(
            to="anna@example.org",
            control="c.x@letter.example.org",
            waiting=[Waiting(address, (("a-rule", "it says so"),)) for address in addresses],
            plain=plain,
            until=NOW,
            subject="Thursday",
            original_message_id="<1@example.org>",
            now=NOW,
        )
        .content
    )


@pytest.mark.parametrize("language", TAGS)
@pytest.mark.parametrize("addresses", [("a@example.net",), ("a@example.net", "b@example.net")])
def test_every_word_that_is_taught_is_understood(language: str, addresses: tuple[str, ...]) -> None:
    """As it stands in the question, in the organisation's language, with one copy and with several."""
    [text] = [part.text for part in read(question(language, *addresses)).parts if part.kind == "text"]
    taught = [line.strip() for line in text.splitlines() if line.startswith("  ") and not line.startswith("    ")]
    understood = [parse(read(f"Content-Type: text/plain; charset=utf-8\r\n\r\n{line}\r\n".encode())) for line in taught]
    verbs = [one.commands[0].verb for one in understood if isinstance(one, Instructions)]
    assert verbs == [Verb.SEND_SEALED, Verb.SEND, Verb.TO, Verb.DROP]


@pytest.mark.parametrize(
    ("choices", "taught"),
    [
        (Choices(plain=True, several=False), ["send sealed", "send", "to name@example.com", "drop"]),
        (Choices(plain=False, several=True), ["send sealed", "to wrong@example.com right@example.com", "drop"]),
        (None, []),
    ],
)
def test_what_was_not_understood_is_answered_with_the_words_that_are_allowed(
    choices: Choices | None, taught: list[str]
) -> None:
    """The same as in the question, and none where nothing waits any more."""
    asked = Asked("anna@example.org", "Re: Waits", ("<1@example.org>",), "c.x@letter.example.org")
    why = Misunderstanding.UNKNOWN
    mail = ControlNotices(letterhead()).help(
        asked, "en", why, "Fine", reader="", now=NOW, message_id="<2@example.org>", choices=choices, over=not choices
    )
    [text] = [part.text for part in read(mail.content).parts if part.kind == "text"]
    said = [line.strip() for line in text.splitlines() if line.startswith("  ") and not line.startswith("    ")]
    assert said == ["Fine", *taught]
    assert ("nothing waits any more" in text) is (choices is None)


def test_two_messages_that_were_read_in_one_minute_are_one_line() -> None:
    """Whoever opens a conversation reads all that is new; the sender is not told the same twice."""
    asked = Asked("anna@example.org", "Re: Sealed", ("<1@example.org>",), "c.x@letter.example.org")
    readings = tuple(Read(NOW + timedelta(seconds=second), "Jane") for second in (0, 1, 3600))
    jane = RecipientLine("jane@example.net", Progress.READ, reads=readings)
    mail = ControlNotices(letterhead()).state(
        asked, "en", done=(), recipients=[jane], until=NOW, now=NOW, message_id="<2@example.org>"
    )
    [text] = [part.text for part in read(mail.content).parts if part.kind == "text"]
    assert [text.count(f"Read by Jane, 22 November 2026, {hour}:00 UTC") for hour in (12, 13)] == [1, 1]


@pytest.mark.parametrize("language", TAGS)
@pytest.mark.parametrize("decision", Decision)
def test_each_decision_is_said(decision: Decision, language: str, notices: HoldNotices) -> None:
    """With its addresses, made harmless, and never in another language than asked for."""
    said = notices.say(decision, ["a@b.example\r\nX: y"], right="r@b.example", reasons="it says so", language=language)
    assert "\n" not in said
    assert "%" not in said
    if language != "en":
        assert said != notices.say(decision, ["a@b.exampleX: y"], right="r@b.example", reasons="it says so")
