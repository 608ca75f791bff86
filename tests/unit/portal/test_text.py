"""Plain text as a page: breaks, quotations, links."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.rendering.links import destination, followable
from portal.rendering.plain import html_to_text
from portal.rendering.text import linked, text_to_html
from tests.proportion import grows_linearly


def test_paragraphs_and_quotations() -> None:
    """Line breaks stay, each level of quotation is a blockquote."""
    page = text_to_html("Hello\nyou\n\n> one\n> two\n>> three\n> four\nend\r\n")
    assert page == (
        '<p class="lines" dir="auto">Hello\nyou</p>'
        '<blockquote><p class="lines" dir="auto">one\ntwo</p>'
        '<blockquote><p class="lines" dir="auto">three</p></blockquote>'
        '<p class="lines" dir="auto">four</p></blockquote>'
        '<p class="lines" dir="auto">end</p>'
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see https://example.org/a?b=1&c=2.", "https://example.org/a?b=1&amp;c=2"),
        ("(https://example.org/x_(y))", "https://example.org/x_(y)"),
        ("<https://example.org/>", "https://example.org/"),
        ("mail anna@example.org!", "anna@example.org"),
        ("HTTPS://EXAMPLE.ORG", "HTTPS://EXAMPLE.ORG"),
    ],
)
def test_links(text: str, shown: str) -> None:
    """Addresses become links whose text is the address itself, without the sentence's punctuation."""
    page = linked(text)
    assert f'rel="noopener noreferrer nofollow" target="_blank">{shown}</a>' in page


@pytest.mark.parametrize(
    "text", ["javascript:alert(1)", "https://", "data:text/html,x", "x@y", "https:// a", "ftp://x.example"]
)
def test_no_links(text: str) -> None:
    """What is no web or mail address stays text."""
    assert linked(text) == text


@given(st.text(max_size=300))
def test_text_stays_text(text: str) -> None:
    """Whatever stands in a mail, the page has no elements but our own."""
    page = str(text_to_html(text))
    assert not re.sub(r"</?(p|a|blockquote)\b[^<>]*>", "", page).count("<")


@pytest.mark.parametrize("piece", [">", "\n", "a@", "http://", "> ", "((((", "x."])
def test_hostile_text_is_quick(piece: str) -> None:
    """Eight times the characters made to hurt take about eight times as long, up to a quarter of a million.

    Of more, the system has to clear the pages anew each time: that is a jump, and no part of the work.
    """
    assert grows_linearly(lambda length: text_to_html(piece * (length // len(piece))), 31_250)


@pytest.mark.parametrize(
    ("address", "normal"),
    [
        ("https://example.org/a b", "https://example.org/a%20b"),
        (" \thttps://exa\nmple.org/ ", "https://example.org/"),
        ("https:\\\\example.org\\x", "https://example.org/x"),
        ("https://good.example\\@evil.example/", "https://good.example/@evil.example/"),
        ("https:example.org", "https://example.org"),
        ("mailto:a@example.org?subject=x&body=y", "mailto:a@example.org"),
        ("tel:+44 20 7946 0000", "tel:+442079460000"),
        ("javascript:alert(1)", ""),
        ("java\tscript:alert(1)", ""),
        ("\x01javascript:alert(1)", ""),
        ("data:text/html;base64,PHNjcmlwdD4=", ""),
        ("vbscript:x", ""),
        ("file:///etc/passwd", ""),
        ("//evil.example/x", ""),
        ("/leave", ""),
        ("#top", ""),
        ("https://[::1", ""),
        ("https://a:99999/", ""),
        ("https://" + "a" * 5000, ""),
    ],
)
def test_what_may_be_followed(address: str, normal: str) -> None:
    """Absolute web, mail and telephone addresses in one normal form; nothing else."""
    assert followable(address) == normal


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://bank.example@evil.example/", "evil.example"),
        ("https://b\u00fccher.example/", "xn--bcher-kva.example"),
        ("https://example.org:8443/x", "example.org:8443"),
        ("mailto:a@example.org", "a@example.org"),
    ],
)
def test_where_a_link_leads(address: str, shown: str) -> None:
    """The host as the network knows it, so that look-alikes show."""
    assert destination(followable(address)) == shown


def test_html_as_text() -> None:
    """Blocks become lines, items get a bullet, scripts and styles go, entities are read."""
    source = "<style>p{}</style><h1>A&amp;B</h1><p>one<br>two</p><ul><li>x<li>y</ul><script>no()</script><table><tr><td>1<td>2"
    assert html_to_text(source) == "A&B\n\none\ntwo\n\n\u2022 x\n\u2022 y\n\n1\t2"
