"""What our mails and documents teach is what we understand."""

import re
from pathlib import Path

import pytest

from relay.conversation.control.commands import Instructions, Verb, parse
from relay.languages import load_languages
from relay.message.parts import Part, Reading
from relay.notices.letterhead import catalogue_folders

TAGS = ("en", "nl", "de", "fr")
DOCUMENT = Path(__file__).parents[5] / "docs" / "commands.md"
TAUGHT = {
    "status": Verb.STATUS,
    "recall": Verb.RECALL,
    "recall %(reader)s": Verb.RECALL,
    "restore %(reader)s": Verb.RESTORE,
    "resend %(reader)s": Verb.RESEND,
    "extend 14": Verb.EXTEND,
    "add carol@example.com": Verb.ADD,
    "remove %(reader)s": Verb.REMOVE,
    "send sealed": Verb.SEND_SEALED,
    "send": Verb.SEND,
    "drop": Verb.DROP,
    "to name@example.com": Verb.TO,
    "to wrong@example.com right@example.com": Verb.TO,
}


def verbs(text: str) -> list[Verb]:
    """The commands in a line, none for what is not understood."""
    found = parse(Reading(parts=(Part("text", "text", text=text),)))
    return [one.verb for one in found.commands] if isinstance(found, Instructions) else []


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("words", TAUGHT)
def test_the_words_of_our_mails_are_commands(words: str, tag: str) -> None:
    """Each example of a receipt, an answer or a question can be sent back as it stands."""
    said = load_languages(catalogue_folders(), TAGS)[tag].gettext(words)
    assert verbs(said.replace("%(reader)s", "jane@example.net")) == [TAUGHT[words]]


def test_the_words_of_the_documentation_are_commands() -> None:
    """Each cell of the table of commands is understood, and each row is one command in four languages."""
    rows = [
        line.split("|")[2:-1] for line in DOCUMENT.read_text().splitlines() if line.startswith("| ") and "`" in line
    ]
    assert len(rows) == len(Verb)
    for row in rows:
        meant = [
            verbs(example.replace("@…", "@example.net")) for cell in row for example in re.findall(r"`([^`]+)`", cell)
        ]
        assert len({tuple(one) for one in meant}) == 1, row
        assert len(meant[0]) == 1
