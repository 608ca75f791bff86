"""The catalogues translate everything that notices and reports say, each thing once."""

import re
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

import relay
from portal.rendering.pages import catalogue_folders as page_folders
from relay.config.model import Organisation
from relay.notices.letterhead import catalogue_folders

ROOT = Path(relay.__file__).parent
METHODS = [("**.j2", "jinja2"), ("**.py", "python")]
TAGS = ("de", "fr", "nl")
# One word for one thing, in mail and on pages.
TERMS = {
    "notice": {"de": "benachrichtigung", "fr": "avis", "nl": "melding"},
    "receipt": {"de": "quittung", "fr": "reçu", "nl": "ontvangstbevestiging"},
    "conversation": {"de": "unterhaltung", "fr": "conversation", "nl": "gesprek"},
    "taken back": {"de": "zurückgezogen", "fr": "rappelé", "nl": "ingetrokken"},
}


def wanted() -> set[str]:
    """Return every message of the templates and of the code that writes mail."""
    catalog = Catalog()
    for _, _, message, _, _ in extract_from_dir(ROOT, METHODS):
        catalog.add(message)
    return {message.id if isinstance(message.id, str) else message.id[0] for message in catalog if message.id}


@pytest.mark.parametrize("tag", TAGS)
def test_the_catalogues_are_complete_and_keep_placeholders(tag: str) -> None:
    """Nothing is missing, left over or translated twice; each placeholder of the original stands in the translation."""
    translated: list[str] = []
    for folder in catalogue_folders():
        with (folder / f"{tag}.po").open("rb") as source:
            catalog = read_po(source, locale=tag)
        messages = [message for message in catalog if message.id and message.string]
        translated += [message.id if isinstance(message.id, str) else message.id[0] for message in messages]
        assert [str(error) for message in messages for error in message.check(catalog)] == []
    assert sorted(translated) == sorted(wanted())


@pytest.mark.parametrize("tag", TAGS)
def test_one_thing_has_one_word(tag: str) -> None:
    """Who reads of a notice in one mail and in the next reads the same word, and so on the pages."""
    for folder in (*catalogue_folders(), *page_folders()):
        with (folder / f"{tag}.po").open("rb") as source:
            entries = [entry for entry in read_po(source, locale=tag) if entry.id]
        for entry in entries:
            for term, words in TERMS.items():
                if re.search(rf"\b{term}\b", str(entry.id)):
                    assert words[tag] in str(entry.string).lower(), entry.id


def test_there_is_a_catalogue_for_each_language() -> None:
    """What relay.toml allows, notices speak; English is the language of the source."""
    allowed = str(Organisation.model_fields["languages"].annotation)
    assert set(re.findall(r"'(\w\w)'", allowed)) == {"en", *TAGS}
    for folder in catalogue_folders():
        assert sorted(file.stem for file in folder.glob("*.po")) == list(TAGS), folder
