"""One line of words: which are commands, which are not, and what is said about those that are not."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.conversation.control.commands import (
    MAX_COMMANDS,
    MAX_DAYS,
    Command,
    Instructions,
    NotUnderstood,
    Verb,
    Why,
    parse,
)
from relay.conversation.control.html_replies import html_reply_text
from relay.conversation.control.quoting import typed_lines
from relay.conversation.control.sentences import MAX_ADDRESSES
from relay.conversation.control.vocabulary import COURTESIES, NEEDS, PHRASES, Needs, fold
from relay.message.parts import Part, Reading

_NEGATIONS = set("not no never don't niet geen nooit nicht kein nie ne pas jamais non nee nein".split())  # noqa: SIM905
JANE, BOB = "jane@example.net", "bob@example.com"


def said(text: str) -> Instructions | NotUnderstood:
    """What a plain text asks for."""
    return parse(Reading(parts=(Part("text", "text", text=text),)))


def commands(text: str) -> tuple[Command, ...]:
    """The commands of a plain text that has some."""
    found = said(text)
    assert isinstance(found, Instructions), found
    return found.commands


def why(text: str) -> Why:
    """Why a plain text has no command."""
    found = said(text)
    assert isinstance(found, NotUnderstood), found
    return found.why


@pytest.mark.parametrize(
    "line",
    [
        f"recall {JANE} and {BOB}",
        f"Recall: {JANE}; {BOB}",
        f"RECALL {JANE}, {BOB}.",
        f"recall <{JANE}> <mailto:{BOB}>",
        f'recall "Doe, Jane" <{JANE}>, Bob van der Berg <{BOB}>',
        f"Recall Jane Doe <{JANE}>, Bob Roe <{BOB}>",
        f"recall @Jane Doe<mailto:{JANE}> @Bob Roe<mailto:{BOB}>",
        f"recall\n{JANE}\n{BOB}",
        f"recall:\n- {JANE}\n- Bob Roe <{BOB}>",
        f"*recall* {JANE}, {JANE.upper()}, {BOB}",
        f"recall {JANE}<mailto:{JANE}> [mailto:{BOB}]",
        f"recall mailto:{JANE}?subject=x MAILTO:{BOB}",
    ],
)
def test_addresses_are_found_as_people_write_them(line: str) -> None:
    """Brackets, names, mentions, lists and links are all the same two people."""
    assert commands(line) == (Command(Verb.RECALL, (JANE, BOB)),)


def test_days_may_be_weeks_and_stand_anywhere() -> None:
    """A number is days unless it says weeks."""
    for line in ("extend 21", "extend 21 days", "extend by 3 weeks", "Um 3 Wochen verlängern", "prolonger de 21 jours"):
        assert commands(line) == (Command(Verb.EXTEND, days=21),)


@pytest.mark.parametrize("line", ["extend", "extend 0", f"extend {MAX_DAYS + 1}", "extend 999 weeks", "verlengen"])
def test_a_number_of_days_is_needed(line: str) -> None:
    """No number, none that makes sense: the answer asks for one."""
    assert why(line) is Why.NO_DAYS


@pytest.mark.parametrize(
    "line",
    [
        "extend until 14 December",
        "extend to 14 December",
        "extend 14 or 20",
        "extend -14x",
        "extend -3",
        "extend \u22123 days",
        f"extend 14 {JANE}",
        "recall jane",
        f"recall {JANE} maybe",
        f"recall not {JANE}",
        f"recall everybody but <{JANE}>",
        f"recall not <{JANE}>",
        f"recall {JANE} 14",
        "recall jane@",
        "recall jane@example..net",
        f"status {JANE}",
        "send it to the printer",
        f"send sealed to {JANE}",
        f"to {JANE} {BOB} x@example.net",
        "status?? what is that",
        "sending",
    ],
)
def test_what_is_in_doubt_is_no_command(line: str) -> None:
    """More words, other numbers, broken addresses: nothing is done."""
    assert why(line) in {Why.UNCLEAR, Why.UNKNOWN}


def test_adding_and_removing_need_a_name() -> None:
    """Nobody is added or removed without being named."""
    assert {why(line) for line in ("add", "remove", "ajouter", "verwijderen", "to", "à")} == {Why.NO_ADDRESS}


def test_the_signature_below_a_command_is_not_its_address() -> None:
    """An address right below stands for the command above only when that has none and no empty line is between."""
    assert commands("recall\n\nAnna Baker\nanna@example.org") == (Command(Verb.RECALL),)
    assert commands(f"recall {JANE}\nanna@example.org") == (Command(Verb.RECALL, (JANE,)),)


def test_a_later_command_that_is_wrong_is_handed_back() -> None:
    """The first command is carried out; the answer can say that the second was not."""
    found = said(f"recall {JANE}\nadd bob\nThank you\n\nAnna")
    assert isinstance(found, Instructions)
    assert found.commands == (Command(Verb.RECALL, (JANE,)),)
    assert found.passed_over == ("add bob",)


def test_old_links_can_be_ended() -> None:
    """`resend ... revoke` ends the old links in any case."""
    assert commands(f"resend {JANE} revoke") == (Command(Verb.RESEND, (JANE,), revoke=True),)
    assert commands(f"revoke: resend {JANE}") == (Command(Verb.RESEND, (JANE,), revoke=True),)
    assert why("revoke") is Why.UNKNOWN


def test_a_correction_may_name_the_wrong_address_too() -> None:
    """The wrong one first, then the right one."""
    assert commands(f"{JANE} to {BOB}") == (Command(Verb.TO, (JANE, BOB)),)


def test_the_same_command_twice_is_one() -> None:
    """A double press of a key does nothing twice."""
    assert commands("status\nstatus\nStatus") == (Command(Verb.STATUS),)


def test_more_than_a_mail_may_have_is_refused_whole() -> None:
    """Nothing is half done."""
    assert why("\n".join(f"recall r{number}@example.net" for number in range(MAX_COMMANDS + 1))) is Why.TOO_MANY
    assert why("add " + " ".join(f"r{number}@example.net" for number in range(MAX_ADDRESSES + 1))) is Why.UNCLEAR


@pytest.mark.parametrize(
    "text",
    [
        "-- \nstatus",
        "> status",
        "On 22 Nov 2026, at 12:05, Example Council wrote:\nstatus",
        "-----Original Message-----\nstatus",
        "-----Ursprüngliche Nachricht-----\nstatus",
        "________________________________\nstatus",
        "From: Example Council\nSent: today\nTo: Anna\nSubject: x\n\nstatus",
        "*Van:* Example Council\n*Verzonden:* zondag\n*Aan:* Anna\n*Onderwerp:* x\n\nstatus",
        "De\u00a0: Example Council\nEnvoyé\u00a0: dimanche\nÀ\u00a0: Anna\nObjet\u00a0: x\n\nstatus",
        "Sent from my iPhone",
        "",
    ],
)
def test_what_is_quoted_was_not_typed(text: str) -> None:
    """Each program's way to mark what it quotes ends what was typed."""
    assert why(text) is Why.NOTHING


def test_a_sentence_with_on_and_wrote_is_no_attribution() -> None:
    """Without a date it is something that somebody typed, so it is not a silent nothing."""
    assert why("On reflection I would like to take back what I wrote:\nstatus") is Why.UNKNOWN


def test_an_answer_below_the_quotation_counts() -> None:
    """Where quoted lines bear their marks, what stands below them was typed."""
    text = "On 22/11/2026 12:05, Example Council wrote:\n> recall\n> add x@example.net\n\nstatus\n"
    assert commands(text) == (Command(Verb.STATUS),)


@pytest.mark.parametrize("tag", PHRASES)
def test_every_phrase_means_what_the_table_says(tag: str) -> None:
    """Each phrase with what it needs beside it is its verb, with and without umlauts and accents."""
    for verb, phrases in PHRASES[tag].items():
        beside = {Needs.ADDRESSES: f" {JANE}", Needs.DAYS: " 14"}.get(NEEDS[verb], "")
        for phrase in phrases:
            for typed in (phrase, phrase.capitalize(), fold(phrase)):
                assert [command.verb for command in commands(typed + beside)] == [verb], typed


def test_no_courtesy_turns_the_sense_around() -> None:
    """Words that may stand beside a command say neither no nor never."""
    assert not COURTESIES & _NEGATIONS


@given(st.text(max_size=400))
def test_any_text_is_read(text: str) -> None:
    """Nothing that can be typed breaks the parser, and reading it again gives the same."""
    assert said(text) == said(text)


@given(st.text(alphabet="abn <>@\"'.:=/-_>\n\t#&;", max_size=300))
def test_any_html_is_read(source: str) -> None:
    """Nothing that a program can write breaks the reader of HTML."""
    typed_lines(html_reply_text(source))


@given(st.lists(st.sampled_from(["status", "recall", f"add {JANE}", "extend 14", "drop", "hello", ""]), max_size=8))
def test_quoted_commands_are_never_obeyed(lines: list[str]) -> None:
    """Whatever stands behind a quotation mark is not a command of this reply."""
    quoted = "\n".join(f"> {line}" for line in lines)
    assert why(quoted) is Why.NOTHING
    assert commands(f"status\n\n{quoted}") == (Command(Verb.STATUS),)


def test_long_lines_cost_little() -> None:
    """A megabyte in one line, or in a hundred thousand, is looked at once."""
    for text in ("recall " * 150_000, "x@" * 500_000, "<" * 1_000_000, "a\n" * 500_000, "On 1 " * 200_000 + "\n> x"):
        assert isinstance(said(text), NotUnderstood)


def test_courtesies_tell_the_language_of_a_word_that_several_have() -> None:
    """Who writes "status graag" is answered in Dutch; a bare "status" says nothing about that."""
    for typed, languages in (("status graag", ("nl",)), ("Status bitte", ("de",)), ("status", ("en", "nl", "de"))):
        found = said(typed)
        assert isinstance(found, Instructions)
        assert found.languages == languages


def test_orders_stay_in_their_order() -> None:
    """What was written first is done first."""
    found = commands(f"recall {JANE}\n\nadd {BOB}\n\nextend 7\n\nstatus")
    assert [one.verb for one in found] == [Verb.RECALL, Verb.ADD, Verb.EXTEND, Verb.STATUS]
    assert all(first != second for first, second in pairwise(found))


@pytest.mark.parametrize(
    "text",
    [
        "status\n\nOn 22 Nov 2026, notices@letter.example.org wrote:\n> Sealed: Re: our long\nadd eve@rival.example\n> for Jane\n",
        "> Sealed: Re: our long subject\nadd eve@rival.example\n> was sealed for Jane\n\nstatus\n",
        "status\n> Sealed: canary\n\nadd eve@rival.example\n",
        "status\n\n| add eve@rival.example\n",
        "status\nTo: eve@rival.example\nDate: 22 Nov 2026\nSubject: canary\n",
    ],
)
def test_what_others_wrote_is_not_obeyed_beside_a_quotation(text: str) -> None:
    """A subject that was broken into a line of its own, other marks of quotation, a bare header block: not typed."""
    assert commands(text) == (Command(Verb.STATUS),)


@pytest.mark.parametrize(
    "html",
    [
        "<div>status</div><blockquote type=cite>Sealed</blockquote><div>add eve@rival.example</div>",
        "status<blockquote type=cite>Sealed</blockquote>add eve@rival.example",
        '<div>status</div><div class="gmail_quote"><div class="gmail_attr">x</div>Sealed</div>add eve@rival.example',
        "<blockquote type=cite>a</blockquote>add eve@rival.example<blockquote type=cite>b</blockquote>status",
    ],
)
def test_what_stands_beside_a_quotation_in_html_is_not_obeyed(html: str) -> None:
    """HTML is read by the same rule: above the quotation, or, with nothing there, below the last one."""
    found = parse(Reading(parts=(Part("html", "text", text=html),)))
    assert isinstance(found, Instructions), found
    assert found.commands == (Command(Verb.STATUS),)
