"""The words of an HTML mail as plain text: for readers who prefer it, for print, and where HTML is not shown."""

import re

from portal.rendering.markup import tokens

_BREAK_NAMES = (
    "address article aside blockquote center dd div dl dt figcaption figure footer form h1 h2 h3 h4 h5 h6 "
    "header hr li main nav ol p pre section table tr ul"
)
_BREAKS = frozenset(_BREAK_NAMES.split())
_SPACED_NAMES = "p h1 h2 h3 h4 h5 h6 blockquote pre table ul ol"
_SPACED = frozenset(_SPACED_NAMES.split())
_BLANK = re.compile(r"[ \t\r\n\f]+")


def html_to_text(source: str) -> str:
    """Return the text of HTML with line breaks where blocks begin and end. Linear in its input; never raises."""
    pieces: list[str] = []
    for token in tokens(source, []):
        if isinstance(token, str):
            pieces.append(_BLANK.sub(" ", token))
            continue
        name = token.name.removeprefix("/")
        if name == "br":
            pieces.append("\n")
        elif name in ("td", "th") and token.name == name:
            pieces.append("\t")
        elif name == "li" and token.name == name:
            pieces.append("\n\u2022 ")
        elif name in _SPACED:
            pieces.append("\n\n")
        elif name in _BREAKS:
            pieces.append("\n")
    lines = (line.strip() for line in "".join(pieces).replace("\xa0", " ").split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
