"""Each catalogue translates everything that notices and reports say."""

from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from relay.notices.compose import FOLDER, LOCALE

METHODS = [("**.j2", "jinja2"), ("**.py", "python")]
QUEUE = FOLDER.parent / "queue"


def wanted() -> set[str]:
    """Return every message of the templates and of the code that writes mail."""
    catalog = Catalog()
    for folder in (FOLDER, QUEUE):
        for _, _, message, _, _ in extract_from_dir(folder, METHODS):
            catalog.add(message)
    return {message.id if isinstance(message.id, str) else message.id[0] for message in catalog if message.id}


@pytest.mark.parametrize("file", sorted(LOCALE.glob("*.po")), ids=lambda file: file.stem)
def test_a_catalogue_is_complete_and_keeps_its_placeholders(file: Path) -> None:
    """Nothing is missing, nothing is left over, and each placeholder of the original stands in the translation."""
    with file.open("rb") as source:
        catalog = read_po(source, locale=file.stem)
    translated = {
        (message.id if isinstance(message.id, str) else message.id[0]): message
        for message in catalog
        if message.id and message.string
    }
    assert set(translated) == wanted()
    for message in translated.values():
        assert list(message.check(catalog)) == []


def test_there_is_a_catalogue_for_each_language() -> None:
    """Dutch, German and French; English is the language of the source."""
    assert sorted(file.stem for file in LOCALE.glob("*.po")) == ["de", "fr", "nl"]
