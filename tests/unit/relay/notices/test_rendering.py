"""Templates that are compiled for one organisation and one language."""

import pytest
from jinja2 import UndefinedError

from relay.languages import load_languages
from relay.notices.letterhead import catalogue_folders
from relay.notices.rendering import Rendering

NAME = 'R&D <b>100%</b> "%(sender)s" {{ x }}'
VALUES = {"sender": "<i>ann</i>", "sender_name": "", "reader": "b&b", "until": "Monday", "link": "https://x.example/p"}
REST = {"further": False, "to_sender": True, "original_subject": "", "subject": "<s>"}


def rendering(tag: str = "en") -> Rendering:
    language = load_languages(catalogue_folders(), (tag,))[tag]
    fixed = {"organisation": NAME, "contact": "<call>", "base_url": "https://x.example", "lang": tag}
    return Rendering(language, fixed)


def test_what_is_fixed_stands_in_text_as_it_is_and_is_escaped_in_html() -> None:
    """The organisation's name is no markup, no template and no placeholder, wherever a phrase or the frame names it."""
    text = rendering().render("pickup/text.j2", VALUES | REST)
    html = rendering().render("pickup/html.j2", VALUES | REST)
    escaped = "R&amp;D &lt;b&gt;100%&lt;/b&gt; &#34;%(sender)s&#34; {{ x }}"
    assert f"{NAME} keeps a message for you." in text
    assert f"{escaped} keeps a message for you." in html
    assert f"<bdi>{escaped}</bdi>" in html
    assert "contact: <call>." in text
    assert "contact: &lt;call&gt;." in html
    assert "<b>" not in html
    assert "&lt;i&gt;ann" in html
    assert "<i>ann" in text


def test_each_language_has_its_own_phrases() -> None:
    """One template in two languages says different things of the same organisation."""
    english, german = rendering(), rendering("de")
    assert "Read and answer it here:" in english.render("pickup/text.j2", VALUES | REST)
    rendered = german.render("pickup/html.j2", VALUES | REST)
    assert "Read and answer it here:" not in rendered
    assert '<html lang="de"' in rendered


def test_a_missing_value_is_an_error() -> None:
    """A notice without what it must say is not written."""
    values = {name: value for name, value in (VALUES | REST).items() if name != "until"}
    with pytest.raises(UndefinedError, match="until"):
        rendering().render("pickup/text.j2", values)
