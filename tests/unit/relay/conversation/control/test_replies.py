"""Commands as ten mail programs in four languages write them: found where they were typed, never in what is quoted."""

from dataclasses import replace

import pytest

from relay.conversation.control.commands import Command, Instructions, NotUnderstood, Verb, Why, parse
from relay.message.parts import Part
from relay.message.reading import read
from tests.letters import JANE, PARTNER
from tests.replies import LANGUAGES, PROGRAMS, Answered, reply

# Every trap at once: the mail that is answered teaches the commands and names addresses.
RECEIPT = Answered(
    control="c.aeaqcaibaeaqcaibaeaqcaibae.aebagbafaydqqcikbmga2dqpcaireeyu@letter.example.org",
    author="notices@letter.example.org",
    message_id="<019aac77b1f87b2f@letter.example.org>",
    subject="Sealed: Figures",
    text=(
        "Your message was sealed.\n\n"
        "jane@example.net\n  Sealed: can be read until 22 December 2026.\n\n"
        "You can answer this mail with:\n"
        "recall jane@example.net\nadd stranger@example.com\nextend 14\n"
    ),
    html=(
        '<html><body style="margin:0"><div><p>Your message was sealed.</p><h2>jane@example.net</h2>'
        "<p>You can answer this mail with:</p><p>recall jane@example.net</p><p>add stranger@example.com</p>"
        "<p>extend 14</p></div></body></html>"
    ),
)

STATUS, RECALL_ALL = Command(Verb.STATUS), Command(Verb.RECALL)
RECALL_JANE = Command(Verb.RECALL, (JANE,))
EXTEND = Command(Verb.EXTEND, days=14)
ADD, REMOVE = Command(Verb.ADD, (PARTNER,)), Command(Verb.REMOVE, (JANE,))
RESEND, RESTORE = Command(Verb.RESEND, (JANE,)), Command(Verb.RESTORE, (JANE,))

TYPED: dict[str, list[tuple[str, tuple[Command, ...]]]] = {
    "en": [
        ("Status", (STATUS,)),
        (f"Resend {JANE}", (RESEND,)),
        (f"recall {JANE}", (RECALL_JANE,)),
        ("Recall.", (RECALL_ALL,)),
        (f"Please restore {JANE}", (RESTORE,)),
        ("extend 14", (EXTEND,)),
        ("Hello,\n\nextend by 2 weeks, please\n\nBest wishes\nAnna", (EXTEND,)),
        (f"add {PARTNER}", (ADD,)),
        (f"remove {JANE}\n\nThanks,\nAnna", (REMOVE,)),
        (f"recall {JANE}\nadd {PARTNER}", (RECALL_JANE, ADD)),
        ("send sealed", (Command(Verb.SEND_SEALED),)),
        ("Send", (Command(Verb.SEND),)),
        ("drop", (Command(Verb.DROP),)),
        (f"to {PARTNER}", (Command(Verb.TO, (PARTNER,)),)),
    ],
    "nl": [
        ("Status", (STATUS,)),
        (f"opnieuw sturen naar {JANE}", (RESEND,)),
        (f"trek {JANE} in", (RECALL_JANE,)),
        ("Intrekken", (RECALL_ALL,)),
        (f"herstel {JANE}", (RESTORE,)),
        ("Verlengen met 14 dagen aub", (EXTEND,)),
        (f"Beste mensen,\n\nvoeg {PARTNER} toe\n\nGroet, Anna", (ADD,)),
        (f"{JANE} verwijderen", (REMOVE,)),
        ("verzegeld versturen", (Command(Verb.SEND_SEALED),)),
        ("versturen", (Command(Verb.SEND),)),
        ("niet versturen", (Command(Verb.DROP),)),
        (f"naar {PARTNER}", (Command(Verb.TO, (PARTNER,)),)),
    ],
    "de": [
        ("Status", (STATUS,)),
        (f"Erneut senden an {JANE}", (RESEND,)),
        (f"{JANE} zurückziehen", (RECALL_JANE,)),
        ("Zurueckziehen", (RECALL_ALL,)),
        (f"wiederherstellen: {JANE}", (RESTORE,)),
        ("Bitte um 14 Tage verlängern!", (EXTEND,)),
        (f"Guten Tag,\n\nbitte {PARTNER} hinzufügen\n\nMit freundlichen Grüßen\nAnna Baker", (ADD,)),
        (f"Entferne {JANE}", (REMOVE,)),
        ("versiegelt senden", (Command(Verb.SEND_SEALED),)),
        ("senden", (Command(Verb.SEND),)),
        ("nicht senden", (Command(Verb.DROP),)),
        (f"an {PARTNER}", (Command(Verb.TO, (PARTNER,)),)),
    ],
    "fr": [
        ("État", (STATUS,)),
        (f"Renvoyer à {JANE}", (RESEND,)),
        (f"rappeler {JANE}", (RECALL_JANE,)),
        ("Rappeler", (RECALL_ALL,)),
        (f"Rétablir {JANE}", (RESTORE,)),
        ("Prolonger de 14 jours, s'il vous plaît", (EXTEND,)),
        (f"Bonjour,\n\najouter {PARTNER}, merci\n\nAnna", (ADD,)),
        (f"retirer {JANE}", (REMOVE,)),
        ("envoyer scellé", (Command(Verb.SEND_SEALED),)),
        ("envoyer", (Command(Verb.SEND),)),
        ("ne pas envoyer", (Command(Verb.DROP),)),
        (f"à {PARTNER}", (Command(Verb.TO, (PARTNER,)),)),
    ],
}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("program", PROGRAMS)
def test_every_command_is_found_in_the_reply_of_every_program(program: str, language: str) -> None:
    """Each program, set to each language, gives the same commands for the same typed words, and nothing that it quotes."""
    for typed, expected in TYPED[language]:
        found = parse(read(reply(program, typed, RECEIPT, language=language)))
        assert isinstance(found, Instructions), (typed, found)
        assert found.commands == expected, typed
        assert found.passed_over == ()
        assert language in found.languages, (typed, found.languages)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_reply_without_a_word_has_no_command(program: str, language: str) -> None:
    """Only the quotation is there: whoever sends that by mistake recalls nothing."""
    found = parse(read(reply(program, "", RECEIPT, language=language)))
    assert isinstance(found, NotUnderstood), found


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_sentence_is_no_command(program: str) -> None:
    """A question is answered with help, and the quoted commands below it are not obeyed."""
    found = parse(read(reply(program, "Could you tell me what happens if I recall this?", RECEIPT)))
    assert isinstance(found, NotUnderstood), found
    assert found.why is Why.UNKNOWN
    assert found.line == "Could you tell me what happens if I recall this?"
    assert found.languages == ("en",)


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_negation_is_no_command(program: str) -> None:
    """Nobody's message is recalled because somebody asked not to."""
    assert isinstance(parse(read(reply(program, f"Please do not recall {JANE}", RECEIPT))), NotUnderstood)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("program", PROGRAMS)
def test_html_alone_is_enough(program: str, language: str) -> None:
    """Some systems drop the plain text on the way, or leave it empty."""
    for typed, expected in TYPED[language]:
        reading = read(reply(program, typed, RECEIPT, language=language))
        shown = replace(reading, parts=tuple(part for part in reading.parts if part.kind == "html"))
        if shown.parts:
            found = parse(shown)
            assert isinstance(found, Instructions), (typed, found)
            assert (found.commands, found.passed_over) == (expected, ())
        blank = replace(reading, parts=(Part("text", "text", text=" \r\n\u00a0\r\n"), *shown.parts))
        assert not shown.parts or parse(blank) == found
