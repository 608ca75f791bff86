"""Mail HTML made safe: what stays, what goes, and how long the worst takes. Scripts are tried in tests/browser."""

import base64
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from portal.rendering.html import HTML_LIMIT, SafeMail, mail_document
from portal.rendering.images import ALL_IMAGES, ONE_IMAGE, InlineImages, raster_type
from portal.rendering.styles import safe_declarations, safe_sheet
from tests.proportion import TIMES, grows_linearly

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + struct.pack(">II", 10, 10) + bytes(20)


def safe(source: str, images: dict[str, bytes] | None = None) -> SafeMail:
    """Return the document for a piece of mail HTML."""
    found = mail_document(source, language="en", title="t", gettext=str, load_image=(images or {}).get)
    assert found
    return found


def body(source: str, images: dict[str, bytes] | None = None) -> str:
    """Return what stands in the document's body."""
    return safe(source, images).document.partition("<body>")[2].removesuffix("</body></html>")


@pytest.mark.parametrize(
    ("source", "kept"),
    [
        ("<p>Dear <b>Jane</b>,</p>", "<p>Dear <b>Jane</b>,</p>"),
        ("a < b & c &lt;d&gt; &amp;amp;", "a &lt; b &amp; c &lt;d&gt; &amp;amp;"),
        ("<p>one<p>two", "<p>one</p><p>two</p>"),
        ("<b>x<i>y</b>z</i>", "<b>x<i>y</i></b>z"),
        ("<ul><li>a<li>b<ul><li>c</ul></ul>", "<ul><li>a</li><li>b<ul><li>c</li></ul></li></ul>"),
        (
            "<table><tr><td>1<td>2<tr><td>3</table>",
            "<table><tbody><tr><td>1</td><td>2</td></tr><tr><td>3</td></tr></tbody></table>",
        ),
        ("<custom-tag>text</custom-tag><o:p>&nbsp;</o:p>", "text&nbsp;"),
        ("<!-- gone --><![if !mso]>kept<![endif]>", "kept"),
        ('<form action="/x"><input name="password"><button>Pay</button></form>', "Pay"),
        (
            '<font color="#ff0000" face="Arial" size="2">x</font>',
            '<font color="#ff0000" face="Arial" size="2">x</font>',
        ),
        ('<body bgcolor="#000" text="white">x', '<div style="color:white;background-color:#000">x</div>'),
        ("<td>stray</td>", "stray"),
    ],
)
def test_what_is_kept(source: str, kept: str) -> None:
    """Ordinary mail keeps its looks; unknown elements keep their text."""
    assert body(source) == kept


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        (
            '<a href="https://evil.example/x">your bank</a>',
            'your bank <span class="ll-to">[evil.example]</span></span></a>',
        ),
        ('<a href="https://evil.example/">https://bank.example/</a>', "[evil.example]"),
        ('<a href="https://evil.example/">bank.example</a>', "[evil.example]"),
        ('<a href="https://bank.example@evil.example/">x</a>', "[evil.example]"),
        ('<a href="https://bank.example@evil.example/">https://bank.example@evil.example/</a>', "[evil.example]"),
        ('<a href="https://b\u0430nk.example/">https://b\u0430nk.example/</a>', "[xn--bnk-6cd.example]"),
        (
            '<a href="https://bank.example/"><div>x<a href="https://evil.example/">y</a></div></a>',
            '<div>x<a href="https://evil',
        ),
        ('<table><a href="https://evil.example/"><tr><td>y</table>', "[evil.example]</span></span></a><table>"),
        ('<a href="mailto:eve@evil.example?body=x">write</a>', "[eve@evil.example]"),
        ('<a href="https://evil.example/">bank.example<i style="display:none"> evil.example</i></a>', "[evil.example]"),
        ('<a href="https://evil.example/">bank.example or evil.example</a>', "[evil.example]"),
        ('<a href="https://evil.example/"><img src="http://x/y.png" alt="evil.example"></a>', "[evil.example]"),
    ],
)
def test_links_say_where_they_lead(source: str, shown: str) -> None:
    """A link whose text is not its destination gets the destination beside it."""
    page = body(source)
    assert shown in page
    assert 'target="_blank" rel="noopener noreferrer nofollow"' in page


@pytest.mark.parametrize("text", ["example.org", " Example.ORG ", "https://example.org/a/b", "HTTPS://example.org"])
def test_honest_links_need_no_note(text: str) -> None:
    """No clutter where the text already names the place."""
    assert "ll-to" not in body(f'<a href="https://example.org/a/b">{text}</a>')


def test_the_sender_cannot_hide_or_forge_our_notes() -> None:
    """Classes of ours are taken from the mail, and its style sheet cannot outrank the document's."""
    page = safe(
        "<style>.ll-to{display:none!important} span{display:none!important} p{color:red!important}</style>"
        '<span class="ll-note x">forged</span><a href="https://evil.example">x</a>'
    ).document
    assert '<span class="x">forged</span>' in page
    assert "p{color:red}" in page
    assert "display:none!important" not in page
    assert page.index("p{color:red}") < page.index(".ll-link .ll-to,.ll-note{all:initial!important")


def test_remote_images_are_named_and_counted() -> None:
    """A blocked image leaves its alternative text; a tracking pixel leaves nothing."""
    page = safe(
        '<img src="https://x.example/a.png" alt="Our &lt;logo&gt;"><img src="http://t.example/p.gif" width=1 height=1><img src=cid:none>'
    )
    assert page.blocked == 2
    assert "Image not shown: Our &lt;logo&gt;" in page.document
    assert "x.example" not in page.document
    assert "t.example" not in page.document


def test_cid_images_get_a_type_of_ours() -> None:
    """The bytes decide; SVG, HTML and unknown bytes are not images."""
    parts = {"a": PNG, "b": b"<svg onload=alert(1)>", "c": b"GIF89a" + struct.pack("<HH", 5, 5)}
    page = body('<img src="cid:a" alt=A><img src="cid:b"><img src=" CID:c " width="5">', parts)
    assert f'src="data:image/png;base64,{base64.b64encode(PNG).decode()}"' in page
    assert 'src="data:image/gif;base64,' in page
    assert "svg" not in page


def test_data_images_are_checked_like_any_other() -> None:
    """A data address in the mail is decoded, typed by its bytes and written anew."""
    good = base64.b64encode(PNG).decode()
    assert 'src="data:image/png;' in body(f'<img src="data:text/html;base64,{good}">')
    for bad in ("data:image/svg+xml,<svg/>", "data:image/png;base64,PHN2Zz4=", "data:image/png;base64,%%%", "data:,x"):
        assert "<img" not in body(f'<img src="{bad}">')


def test_images_are_bounded() -> None:
    """One image, all images and the pixels an image unpacks to have limits; what was counted once counts once."""
    sizes = {str(number): PNG + bytes(ONE_IMAGE - len(PNG)) for number in range(5)} | {"big": PNG + bytes(ONE_IMAGE)}
    images = InlineImages(sizes.get)
    assert images.take("cid:big") is None
    taken = [images.take(f"cid:{number}") for number in range(5)]
    assert taken == [0, 1, 2, None, None]
    assert 3 * ONE_IMAGE <= ALL_IMAGES
    assert images.take("cid:0") == 0
    bomb = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + struct.pack(">II", 60000, 60000) + bytes(20)
    assert raster_type(bomb) == ""
    assert raster_type(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + struct.pack(">II", 0, 5) + bytes(20)) == ""


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (b"GIF87a" + struct.pack("<HH", 3, 4), "image/gif"),
        (b"\xff\xd8\xff\xe0\x00\x04ab\xff\xff\xc0\x00\x11\x08\x00\x10\x00\x10", "image/jpeg"),
        (b"\xff\xd8\xff" + b"\xff" * 100_000, ""),
        (b"RIFF\x00\x00\x00\x00WEBPVP8X" + bytes(8) + b"\x0f\x00\x00\x0f\x00\x00", "image/webp"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8L" + bytes(4) + b"\x2f\x0f\xc0\x03\x00" + bytes(9), "image/webp"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 " + bytes(10) + b"\x10\x00\x10\x00", "image/webp"),
        (b"RIFF\x00\x00\x00\x00WEBPxxxx" + bytes(20), ""),
        (b"BM" + bytes(100), ""),
        (b"%PDF-1.4", ""),
        (b"", ""),
    ],
)
def test_types_by_bytes(data: bytes, media_type: str) -> None:
    """PNG, GIF, JPEG and WebP with their sizes; nothing else."""
    assert raster_type(data) == media_type


@pytest.mark.parametrize(
    ("css", "kept"),
    [
        ("color: red; font-weight: bold", "color:red;font-weight:bold"),
        ("margin:0 auto;padding:1px 2em", "margin:0 auto;padding:1px 2em"),
        ("color:rgb(1,2,3)", "color:rgb(1,2,3)"),
        ("background:url(http://x/y)", ""),
        ("background:u\\72l(http://x/y)", ""),
        ("background:URL( 'http://x' )", ""),
        ("background-color:red;background-image:url(x)", "background-color:red"),
        ("background:image-set('x' 1x)", ""),
        ("background:-webkit-image-set(url(x) 1x)", ""),
        ("width:expression(alert(1))", ""),
        ("color:var(--x)", ""),
        ("width:attr(title px)", ""),
        ("position:fixed;top:0", ""),
        ("margin:0 -5px", ""),
        ("letter-spacing:-1px", ""),
        ("width:calc(1px - 5px)", ""),
        ("padding-left:90%", ""),
        ("width:50%", "width:50%;min-width:min-content"),
        ("display:grid", ""),
        ("display:none", "display:none"),
        ("visibility:hidden", "visibility:hidden"),
        ("visibility:C\\6fllapse", ""),
        ("-moz-binding:url(x)", ""),
        ("behavior:url(x)", ""),
        ("content:'x'", ""),
        ("transform:scale(100)", ""),
        ("animation:x 1s", ""),
        ("--x:url(y)", ""),
        ("color:red!important", "color:red"),
        ("font-family:'a</style><script>'", 'font-family:"a\\3c /style>\\3c script>"'),
        ("color:{}", ""),
        ("color:red;}body{color:blue", "color:red"),
        ("color:/**/red", "color:red"),
        ("width:calc(" + "(" * 3000, ""),
        ("color:" + "a" * 9000, ""),
    ],
)
def test_style_attributes(css: str, kept: str) -> None:
    """Looks stay; loading, covering, computing and escaping go."""
    assert safe_declarations(css) == kept


def test_style_sheets() -> None:
    """Plain rules stay; at-rules, attribute selectors and pseudo-elements go."""
    css = (
        "<!-- @import 'x'; @font-face{src:url(y)} @media print{p{color:red}}"
        " .a > b, p{color:red;position:fixed} a[href^=x]{color:red} p::before{color:red}"
        " div{background:url(x)} i{font-family:'</style>'} -->"
    )
    assert safe_sheet(css) == '.a > b, p{color:red}\ni{font-family:"\\3c /style>"}'


HOSTILE = {
    "deep": "<div>" * 210_000,
    "formatting left open": "<p>" + "".join(f"<b a={n}>" for n in range(3000)) + "</p>" + "<p>x" * 250_000,
    "quotes left open": "<a b='" * 175_000,
    "tags left open": "<a " * 350_000,
    "links in links": "<a href=http://x.example>" * 41_000,
    "scripts left open": "<script>" * 130_000,
    "comments left open": "<!--" * 260_000,
    "cells in cells": "<table><tr><td>" * 70_000,
    "stray ends": "<div>" * 200 + "</p>" * 260_000,
    "ampersands": "&" * HTML_LIMIT,
    "references": "&a" * (HTML_LIMIT // 2),
    "attributes": "<p " + "a=b " * 260_000 + ">",
    "style": f'<p style="{"(" * 900_000}">',
    "sheet": "<style>" + "a{b:c}" * 170_000 + "</style>",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_the_worst_mail_takes_seconds_not_minutes(name: str) -> None:
    """What is made to hurt a parser costs in proportion, up to a megabyte, in bounded memory, shown or not."""

    def show(length: int) -> None:
        source = HOSTILE[name][: length - 2] + '">'  # an element that is long is one, however much of it there is
        found = mail_document(source, language="en", title="t", gettext=str, load_image=lambda _cid: None)
        assert found is None or len(found.document) < 12 * HTML_LIMIT

    assert grows_linearly(show, HTML_LIMIT // TIMES)


def test_too_large_is_not_shown_formatted() -> None:
    """Beyond the limit there is no document; the page offers text and original."""
    assert (
        mail_document("x" * (HTML_LIMIT + 1), language="en", title="", gettext=str, load_image=lambda _: None) is None
    )


_PIECES = st.sampled_from(
    ["<p>", "</p>", "<b>", "</b>", "<table>", "<tr>", "<td>", "</table>", "<svg>", "</svg>", "<math>", "<mtext>", "<style>",
     "</style>", "<!--", "-->", "<script>", "</script>", "<a href='javascript:x'>", "<img src=x onerror=y>", "<title>", "</title>",
     "<noscript>", "<template>", "<select>", "<textarea>", "&lt;script&gt;", '"', "'", ">", "<", "=", "/", "x", "<![CDATA[", "]]>",
     "<p style='color:red;x:url(y)'>", "<a href=https://a.example/ onclick=z>", "<mglyph>", "<annotation-xml encoding=text/html>"]
)  # fmt: skip


@given(st.lists(_PIECES, max_size=40))
def test_whatever_is_mixed_only_harmless_elements_leave(pieces: list[str]) -> None:
    """Parsed by another HTML parser, the body holds nothing that loads, runs or submits."""
    tree = LexborHTMLParser("<!doctype html>" + body("".join(pieces)))
    for node in tree.css("body *"):
        assert node.tag in {"p", "b", "table", "tbody", "tr", "td", "a", "span", "div"}
        for name, value in node.attributes.items():
            assert name in {"style", "href", "title", "rel", "target", "class"}
            assert "url" not in (value or "")
            assert name != "href" or str(value).startswith("https://")
