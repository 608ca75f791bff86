"""Text as a reader sees it: one spelling for what looks the same, so that detectors need to know only one.

Invisible characters go, every dash becomes "-", every space " ", typographic quotation marks the straight ones, every
decimal digit an ASCII digit, and compatibility forms (full width, circled, mathematical) their plain form: Unicode
NFKC, UAX #15. Letters keep their case and script: a Cyrillic letter stays Cyrillic. Evidence is cut out of the folded
text.
"""

import html
import re
import unicodedata
from functools import cache

from policies.prefilter import Expression, Prefilter

# Zero-width, joining, direction and variation marks, soft hyphen, tags: nothing that a reader sees.
_INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180e\u200b\u200c\u200d\u200e\u200f"
    "\u202a\u202b\u202c\u202d\u202e\u2060\u2061\u2062\u2063\u2064\u2066\u2067\u2068\u2069\u206a\u206b"
    "\u206c\u206d\u206e\u206f\ufeff" + "".join(map(chr, range(0xFE00, 0xFE10)))
)
_DASHES = "\u058a\u2010\u2011\u2012\u2013\u2014\u2015\u2043\u2212\u2e3a\u2e3b\u301c\u3030\ufe31\ufe58\ufe63\uff0d"
_SPACES = "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
_APOSTROPHES = "\u2018\u2019\u201b\u02bc\u2032"
_QUOTES = "\u201c\u201d\u201e\u201f\u2033"
_BREAKS = "\u0085\u2028\u2029"
_PLAIN = {
    **dict.fromkeys(_INVISIBLE, ""),
    **dict.fromkeys(_DASHES, "-"),
    **dict.fromkeys(_SPACES, " "),
    **dict.fromkeys(_BREAKS, "\n"),
    **dict.fromkeys(_APOSTROPHES, "'"),
    **dict.fromkeys(_QUOTES, '"'),
    "\u2026": "...",  # NFKC would do it too, at ten times the price
}
# A control that a wrong character set leaves between letters (UTF-16 read as Latin-1), and the two rare breaks.
_CONTROLS = (("\0", ""), ("\v", " "), ("\f", "\n"))
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z]{2,8}[0-9]{0,2});")
_OTHER_DIGIT = re.compile(r"[^\D0-9]")
_TAGS = re.compile("[\U000e0000-\U000e0fff]+")


@cache
def odd_characters() -> Prefilter:
    """Find which odd characters occur; the last two expressions are tags and decimal digits of other scripts.

    Compiled when it is first asked for, some 10 ms.
    """
    # The digits of a script stand side by side from 0 to 9, so each tenth character is one of them or none is.
    some = [chr(code) for code in range(0x80, 0x20000, 10) if chr(code).isdecimal()]
    zeros = [ord(digit) - unicodedata.decimal(digit) for digit in some]
    digits = "".join(f"\\x{{{zero:x}}}-\\x{{{zero + 9:x}}}" for zero in zeros)
    return Prefilter(
        [
            *(Expression(character) for character in _PLAIN),
            Expression("[\\x{e0000}-\\x{e0fff}]", unicode=True),
            Expression(f"[{digits}]", unicode=True),
        ]
    )


def fold(text: str) -> str:
    """Return the text in the spelling above; of any input, in time linear to its length.

    HTML entities that an extractor left over (``&nbsp;``, ``&#8203;``) are read once.
    """
    if "&" in text and _ENTITY.search(text):
        text = _ENTITY.sub(lambda entity: html.unescape(entity[0]), text)
    for control, plain in _CONTROLS:
        if control in text:
            text = text.replace(control, plain)
    if text.isascii():
        return text
    text = _plain(text)
    if not unicodedata.is_normalized("NFKC", text):
        text = _plain(unicodedata.normalize("NFKC", text))
    return text


def encode(folded: str) -> bytes:
    """Return the folded text as valid UTF-8, the form that detectors scan; lone surrogates become "?"."""
    return folded.encode("utf-8", "replace")


def _plain(text: str) -> str:
    for number in odd_characters().occurring(encode(text)):
        if number < len(_PLAIN):
            character = _CHARACTERS[number]
            text = text.replace(character, _PLAIN[character])
        elif number == len(_PLAIN):
            text = _TAGS.sub("", text)
        else:
            text = _OTHER_DIGIT.sub(lambda digit: str(unicodedata.decimal(digit[0])), text)
    return text


_CHARACTERS = tuple(_PLAIN)
