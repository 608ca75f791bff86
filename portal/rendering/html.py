"""Mail HTML made safe: one complete document for the sandboxed frame (docs/threats.md, R38 and R39).

Three layers, each sufficient for scripts: this filter, the document's Content-Security-Policy, the sandbox. The order
matters: structure first (portal/rendering/markup.py), then nh3 on the tree with our attribute filter; its output is
never edited again, so that no later step can bring anything back to life.
"""

import html
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import nh3

from portal.rendering.attributes import ATTRIBUTES, AttributeFilter
from portal.rendering.images import InlineImages
from portal.rendering.links import destination, followable
from portal.rendering.markup import Content, Tag, rewrite
from portal.rendering.styles import safe_sheet

HTML_LIMIT = 1 << 20  # octets of UTF-8; larger HTML is offered as text and as the original only

_TAG_NAMES = (
    "a abbr address article aside b bdi bdo big blockquote br caption center cite code col colgroup dd del dfn "
    "div dl dt em figcaption figure font footer h1 h2 h3 h4 h5 h6 header hr i img ins kbd li main mark nav ol "
    "p pre q s samp section small span strike strong sub summary sup table tbody td tfoot th thead time tr tt "
    "u ul var wbr"
)
_TAGS = frozenset(_TAG_NAMES.split())
_REFERENCES = 200_000  # ampersands: nh3 takes quadratic time on more
_OURS = "ll-"  # classes of our own notes; the sender's are taken away
_TINY = frozenset({"0", "1", "2", "0px", "1px", "2px"})

# Also inside the frame: light, whatever the page around it does, because mail is written for white paper. At night the
# paper is grey unless the mail colours it: a white sheet in a dark room dazzles, and dark text still reads well on it.
_STYLE_BEFORE = """
:root{color-scheme:light}
*{box-sizing:border-box}
body{margin:0;padding:16px;background:#fff;color:#1a1c1e;font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,\
"Helvetica Neue",Arial,sans-serif;overflow-wrap:break-word}
img{max-width:100%;height:auto}
table{max-width:100%}
pre{white-space:pre-wrap}
blockquote{margin:0 0 0 4px;padding-left:12px;border-left:3px solid #c4c9cf}
a{color:#0b57a4}
@media screen and (prefers-color-scheme:dark){body{background:#dfe3e6}a{color:#084a8c}}
"""
# Where a link leads must be seen. The words of a link and our note share one box (ll-link), which whatever is around it
# can only move as a whole, and which holds all that is in it: nothing in it has a size, a margin or a float of its own.
# The note sticks to the edge of the view while any of that box is seen, however many empty lines are among the words.
# No box of the mail is smaller than what it holds (nor is any length negative: portal/rendering/styles.py), so that two
# of ours never lie on each other; and everything that a sender could say of the note itself is taken back. Words that
# are the destination (ll-says) need no note, and are read in the order in which they are written.
_STYLE_AFTER = """
:not(img){max-height:none!important}
:not(img):not(table):not(tr):not(td):not(th):not(hr){height:auto!important}
img{min-width:0!important}
table{table-layout:auto!important}
.ll-link{all:unset!important;display:inline-block!important;text-decoration:inherit!important;\
cursor:pointer!important;unicode-bidi:isolate!important}
.ll-link,.ll-link *{text-indent:0!important;white-space:normal!important;overflow-wrap:anywhere!important}
.ll-link *{float:none!important;margin:0!important;max-width:100%!important}
.ll-link :not(img){width:auto!important}
.ll-says{all:unset!important;direction:ltr!important;unicode-bidi:isolate!important;text-transform:none!important;\
overflow-wrap:anywhere!important;cursor:pointer!important}
.ll-link .ll-to,.ll-note{all:initial!important;direction:ltr!important;unicode-bidi:isolate!important;\
font:400 13px/1.4 system-ui,-apple-system,"Segoe UI",Roboto,Arial,sans-serif!important;\
overflow-wrap:anywhere!important;color:#4a5058!important;background:#eef1f4!important}
.ll-link .ll-to{display:inline-block!important;width:max-content!important;max-width:80vw!important;\
position:sticky!important;top:0!important;right:0!important;bottom:0!important;left:0!important;\
z-index:2147483647!important;cursor:pointer!important}
.ll-note{padding:2px 6px!important;border:1px solid #c4c9cf!important}
"""


@dataclass(frozen=True, slots=True)
class SafeMail:
    """A document for the frame. ``blocked`` counts remote images; ``used`` are the Content-IDs it refers to."""

    document: str
    blocked: int
    used: frozenset[str]


def mail_document(
    source: str,
    *,
    language: str,
    title: str,
    gettext: Callable[[str], str],
    load_image: Callable[[str], bytes | None],
) -> SafeMail | None:
    """Return the HTML part ``source`` as a complete, safe document, or None when it is too large or too intricate.

    ``load_image`` returns the octets behind a Content-ID of the same message, or None. Never raises for hostile
    input; what is not understood is left out. Takes at most some seconds for the worst input within the limits.
    """
    if len(source) > HTML_LIMIT:
        return None
    images = InlineImages(load_image)
    rewriting = _Rewriting(images, gettext)
    rewritten = rewrite(source, _TAGS | {"body"}, rewriting.hook)
    if rewritten.fragment.count("&") > _REFERENCES:
        return None
    fragment = nh3.clean(
        rewritten.fragment,
        tags=set(_TAGS),
        attributes=ATTRIBUTES,
        attribute_filter=AttributeFilter(images.sources),
        url_schemes={"http", "https", "mailto", "tel", "image"},
        url_relative="deny",
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )
    document = (
        f'<!doctype html><html lang="{html.escape(language)}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title>"
        f"<style>{_STYLE_BEFORE}</style><style>{safe_sheet(rewritten.style)}</style><style>{_STYLE_AFTER}</style>"
        f"</head><body>{fragment}</body></html>"
    )
    return SafeMail(document, rewriting.blocked, frozenset(images.used))


@dataclass(slots=True)
class _Rewriting:
    images: InlineImages
    gettext: Callable[[str], str]
    blocked: int = 0

    def hook(self, tag: Tag) -> tuple[Tag | None, Content | None]:
        attributes = dict(tag.attributes)
        if "class" in attributes:
            names = [name for name in attributes["class"].split() if not name.lower().startswith(_OURS)]
            attributes["class"] = " ".join(names)
        match tag.name:
            case "img":
                return self._image(attributes)
            case "a":
                return self._link(attributes)
            case "body":
                return Tag("div", {"style": _body_style(attributes)}), None
        return Tag(tag.name, attributes), None

    def _image(self, attributes: dict[str, str]) -> tuple[Tag | None, Content | None]:
        number = self.images.take(attributes.get("src", ""))
        if number is not None:
            return Tag("img", {**attributes, "src": f"image:{number}"}), None
        if attributes.get("width", "").strip() in _TINY or attributes.get("height", "").strip() in _TINY:
            return None, None  # a tracking pixel or spacer: nothing to tell
        self.blocked += 1
        words = self.gettext("Image not shown")
        alternative = " ".join(attributes.get("alt", "").split())[:200]
        text = f"{words}: {alternative}" if alternative else words
        return None, lambda _: f'<span class="ll-note">{html.escape(text)}</span>'

    @staticmethod
    def _link(attributes: dict[str, str]) -> tuple[Tag | None, Content | None]:
        address = followable(attributes.pop("href", ""))
        if not address:
            return Tag("span", attributes), None
        attributes["href"] = address
        attributes["title"] = address
        target = destination(address)

        def marked(content: str) -> str:
            # Only a text that is the destination and nothing else needs no note: part of it could be hidden by style.
            if _says(content, target):
                return f'<span class="ll-says">{content}</span>'
            return f'<span class="ll-link">{content} <span class="ll-to">[{html.escape(target)}]</span></span>'

        return Tag("a", attributes), marked


def _says(content: str, target: str) -> bool:
    """Say whether the content of a link, without any element, is its destination or an address there.

    Neither with a name before the host, which looks like one, nor in letters that look like others.
    """
    text = html.unescape(content).strip().lower()
    if "<" in content or not text.isascii():
        return False
    address = followable(text)
    return text == target.lower() or (destination(address) == target.lower() and "@" not in urlsplit(address).netloc)


def _body_style(attributes: Mapping[str, str]) -> str:
    parts = [attributes.get("style", "")]
    if re.fullmatch(r"#?\w{3,20}", colour := attributes.get("bgcolor", "")):
        parts.insert(0, f"background-color:{colour}")
    if re.fullmatch(r"#?\w{3,20}", colour := attributes.get("text", "")):
        parts.insert(0, f"color:{colour}")
    return ";".join(parts)
