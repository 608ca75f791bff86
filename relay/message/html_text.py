"""What HTML says to a person: shown text, hidden text that can be copied, and texts in attributes.

Hidden text (``display:none``, white on white, size 0) counts, because a recipient can select, quote or print it.
So does what stands in conditional comments, which Outlook shows. Ordinary comments, scripts and styles are not text.
"""

import html
import re
from urllib.parse import unquote

from selectolax.lexbor import LexborHTMLParser

MAX_LIGHT_SIZE = 1 << 18  # characters
MAX_LIGHT_TAGS = 4_000  # deep nesting costs the square of the number of tags: 4,000 take 20 ms, 100,000 13 s
_CONDITION = "<!--[if"
_CONDITION_END = "<![endif]-->"
_COMMENT = re.compile(r"<!--.*?-->|<!doctype[^>]*>", re.DOTALL | re.IGNORECASE)
_BLOCKS = (
    "address|article|aside|blockquote|body|br|caption|center|dd|details|dialog|div|dl|dt|fieldset|figcaption|figure|footer|form|"
    "frame|h[1-6]|head|header|hr|html|iframe|legend|li|main|menu|nav|noscript|ol|optgroup|option|p|pre|section|select|"
    "summary|table|tbody|td|template|textarea|tfoot|th|thead|title|tr|ul|img|input|button|object|video|audio"
)
_TAG = r"""(?:[^>"]|"[^"]*")*>"""  # as the serializer writes tags: attributes always in double quotes
_BLOCK = re.compile(rf"</?(?:{_BLOCKS})(?![a-z0-9-]){_TAG}")
_ANY_TAG = re.compile(rf"<{_TAG}")
# Elements whose content the serializer writes as it is, so that a "<!--" in it is text that a browser draws.
_RAW = "xmp,plaintext,noembed,noframes,iframe"
_SPACE = re.compile(r"[ \t\r\f\u00a0]{2,}|[\t\r\f\u00a0]")
_LINES = re.compile(r" ?\n\s*")
_CELL = re.compile(rf"</t[dh]{_TAG}")
# Never drawn, or drawn as nothing, inside a number or a word.
_INVISIBLE = re.compile("[\u00ad\u200b-\u200d\u2060\ufeff]")
_TEXT_ATTRIBUTES = ("alt", "title", "placeholder", "aria-label", "summary", "label")
_LINKS = ("href", "action", "value")
_SPOKEN = ("mailto:", "tel:", "sms:")  # what stands in them is offered as text
_SELECTOR = ",".join(f"[{name}]" for name in (*_TEXT_ATTRIBUTES, *_LINKS))


def is_light(source: str) -> bool:
    """Whether the source is small enough to be parsed here; what is not goes to the confined process."""
    return len(source) <= MAX_LIGHT_SIZE and source.count("<") <= MAX_LIGHT_TAGS


def html_text(source: str) -> str:
    """Return the text of HTML. Inline tags join words, blocks and cells end them, as a browser draws it.

    The parser is the browser's (HTML5); its cleaned output is then taken apart, so that odd source cannot hide text.
    """
    texts = [_text_of(source)]
    if _CONDITION in source:
        texts += [_text_of(fragment) for fragment in _conditional(source)]
    return "\n".join(text for text in texts if text)


def _text_of(source: str) -> str:
    tree = LexborHTMLParser(source)
    folded = source.lower()
    if "<script" in folded or "<style" in folded:
        tree.strip_tags(["script", "style"])
    body = _COMMENT.sub("", tree.html or "")
    body = _CELL.sub("\t", body)
    text = html.unescape(_ANY_TAG.sub("", _BLOCK.sub("\n", body)))
    if not text.isascii():
        text = _INVISIBLE.sub("", text)
    text = _LINES.sub("\n", _SPACE.sub(" ", text)).strip()
    raw = [node.text() for node in tree.css(_RAW)] if "<!--" in source else []
    return "\n".join(part for part in (text, *raw, _attributes(tree)) if part)


def _conditional(source: str) -> list[str]:
    """Return what stands in conditional comments; the kind that every program shows is no comment at all."""
    fragments, position = [], 0
    while (start := source.find(_CONDITION, position)) >= 0:
        opened = source.find("]>", start)
        end = source.find(_CONDITION_END, opened)
        if opened < 0 or end < 0:
            break
        if not source.startswith(("<!-->", "-->"), opened + 2):
            fragments.append(source[opened + 2 : end])
        position = end
    return fragments


def _attributes(tree: LexborHTMLParser) -> str:
    found: dict[str, None] = {}
    for node in tree.css(_SELECTOR):
        values = node.attributes
        for name in _TEXT_ATTRIBUTES:
            if value := values.get(name):
                found[value] = None
        for name in _LINKS:
            value = values.get(name)
            # An address or a number can be copied out of a link; a data: picture cannot.
            if value and not value.startswith("data:"):
                found[unquote(value) if value.startswith(_SPOKEN) else value] = None
    return "\n".join(found)
