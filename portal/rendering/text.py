"""Plain text of mail as HTML: line breaks kept, quoted lines as quotations, links that show where they lead."""

import re
from collections.abc import Iterator
from itertools import groupby

from markupsafe import Markup, escape

from portal.rendering.links import followable

TEXT_LIMIT = 1 << 20  # characters shown; the original holds all

_DEEPEST = 6  # levels of quotation
_QUOTED = re.compile(r"(?:> ?)+")
_HIDDEN = "\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff"
_LINK = re.compile(
    rf"(?P<web>\bhttps?://[^\s<>\"'{_HIDDEN}]{{1,2000}})"
    r"|(?P<mail>(?<![\w.+-])[\w.+-]{1,64}@(?:[a-z0-9-]{1,63}\.){1,8}[a-z]{2,24}\b)",
    re.IGNORECASE | re.ASCII,
)
_TRAILING = ".,;:!?'\u2019\u201d*_"
_BRACKETS = {")": "(", "]": "[", "}": "{"}
_OTHER_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def text_to_html(text: str) -> Markup:
    """Return ``text`` as paragraphs and quotations that keep their line breaks (style class ``lines``).

    At most ``TEXT_LIMIT`` characters are shown; a longer text ends there and the caller says so.
    """
    text = text[:TEXT_LIMIT].replace("\r\n", "\n").replace("\r", "\n")
    lines = _OTHER_CONTROLS.sub("", text).rstrip().split("\n")
    pieces: list[Markup] = []
    depth = 0
    for level, block in groupby(map(_level, lines), key=lambda pair: pair[0]):
        pieces.extend(_steps(depth, level))
        depth = level
        pieces.extend(_paragraphs([line for _, line in block]))
    pieces.extend(_steps(depth, 0))
    return Markup("").join(pieces)


def without_quotation(text: str) -> tuple[str, str]:
    """Return what was written, and the quotation (``>``) with which it ends, its introducing line included.

    The second is empty where a message ends in words of its own, or is nothing but a quotation.
    """
    lines = text[:TEXT_LIMIT].replace("\r\n", "\n").split("\n")
    end = len(lines)
    while end and (not lines[end - 1].strip() or lines[end - 1].startswith(">")):
        end -= 1
    if not any(line.startswith(">") for line in lines[end:]):
        return text, ""
    # "On Monday Anna wrote:" stands on one line or was broken into two.
    introduction = end
    if end and lines[end - 1].rstrip().endswith(":"):
        introduction -= 1
        if introduction and lines[introduction - 1].strip() and not lines[introduction - 1].startswith(">"):
            introduction -= _is_broken(lines[introduction - 1])
    own = "\n".join(lines[:introduction])
    return (own, "\n".join(lines[introduction:])) if own.strip() else (text, "")


def _is_broken(line: str) -> bool:
    """Say whether a line above an introduction belongs to it: it holds an address or a time and no full stop."""
    return line.rstrip()[-1] not in ".!?:" and ("@" in line or re.search(r"\d:\d\d", line) is not None)


def linked(text: str) -> Markup:
    """Return one piece of text, escaped, its web and mail addresses made links."""
    pieces: list[Markup] = []
    position = 0
    for match in _LINK.finditer(text):
        found = _without_trailing(match[0])
        address = followable(found if match["web"] else f"mailto:{found}")
        if not address:
            continue
        pieces.append(escape(text[position : match.start()]))
        # noreferrer: the page's address holds no secret, and still it is nobody's business.
        pieces.append(
            Markup('<a href="{}" rel="noopener noreferrer nofollow" target="_blank">{}</a>').format(address, found)
        )
        position = match.start() + len(found)
    pieces.append(escape(text[position:]))
    return Markup("").join(pieces)


def _level(line: str) -> tuple[int, str]:
    match = _QUOTED.match(line)
    if match is None:
        return 0, line
    return min(match[0].count(">"), _DEEPEST), line[match.end() :]


def _steps(depth: int, level: int) -> Iterator[Markup]:
    for _ in range(depth, level):
        yield Markup("<blockquote>")
    for _ in range(level, depth):
        yield Markup("</blockquote>")


def _paragraphs(lines: list[str]) -> Iterator[Markup]:
    for empty, group in groupby(lines, key=lambda line: not line.strip()):
        if not empty:
            yield Markup('<p class="lines" dir="auto">{}</p>').format(linked("\n".join(group)))


def _without_trailing(found: str) -> str:
    """Take away the punctuation of the sentence around an address; a bracket stays when its partner is inside."""
    while found:
        last = found[-1]
        opening = _BRACKETS.get(last)
        unpaired = opening is not None and found.count(last) > found.count(opening)
        if last not in _TRAILING and not unpaired:
            break
        found = found[:-1]
    return found
