"""Every string of the portal is translated into every language, with its placeholders."""

import re
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

import portal
from portal.rendering.pages import catalogue_folders
from relay.config.model import Organisation

ROOT = Path(portal.__file__).parent
LANGUAGES = ["nl", "de", "fr"]


def strings() -> set[str]:
    """The singular of every translatable string in templates and code, and the words that sizes need."""
    found = {"byte"}
    methods = [("rendering/**.py", "python"), ("templates/**.html", "jinja2.ext.babel_extract")]
    options = {"templates/**.html": {"silent": "false", "newstyle_gettext": "true"}}
    keywords = {"_": None, "gettext": None, "ngettext": (1, 2)}
    for _, _, message, _, _ in extract_from_dir(str(ROOT), methods, options, keywords=keywords):
        found.add(message if isinstance(message, str) else message[0])
    return found


def placeholders(text: str) -> set[str]:
    """The names that a string is filled with."""
    return set(re.findall(r"%\((\w+)\)s", text))


@pytest.mark.parametrize("tag", LANGUAGES)
def test_catalogues_are_complete(tag: str) -> None:
    """No string is missing, none is left over or translated twice, none is marked as doubtful."""
    entries = []
    for folder in catalogue_folders():
        with (folder / f"{tag}.po").open("rb") as file:
            entries += [entry for entry in read_po(file, locale=tag) if entry.id]
    assert sorted(entry.id if isinstance(entry.id, str) else entry.id[0] for entry in entries) == sorted(strings())
    for entry in entries:
        ids = [entry.id] if isinstance(entry.id, str) else list(entry.id)
        texts = [entry.string] if isinstance(entry.string, str) else list(entry.string or [])
        assert all(texts), ids
        assert not entry.fuzzy
        for text in texts:
            assert placeholders(text) <= placeholders(ids[-1]), ids
            assert placeholders(text) >= placeholders(ids[0]) - {"num"}, ids


def test_every_configurable_language_has_a_catalogue() -> None:
    """What relay.toml allows, the portal speaks."""
    annotation = str(Organisation.model_fields["languages"].annotation)
    assert set(re.findall(r"'(\w\w)'", annotation)) == {"en", *LANGUAGES}
