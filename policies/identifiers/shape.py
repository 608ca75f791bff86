"""Numbers as they stand in a text: groups of digits, the separators between them, and what they are part of.

Candidates are cut by patterns of our own and validated afterwards: a validator that strips separators would
find numbers anywhere. Digits inside a longer number, a word, a link or an amount are something else.
"""

import re
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

import re2

from policies.model import Confidence

# Between two groups: one mark, at most two spaces, or the line break of a wrapped (and quoted) line.
_SEPARATOR = r"(?:[ ]?[.\-][ ]?|[ ]{1,2}|[ ]?\r?\n(?:> ?){0,3})"
# Eight digits or more. The first is for Hyperscan, which only says whether.
RUN_SOURCE = rf"[0-9](?:{_SEPARATOR}?[0-9]){{7}}"
_RUN = re2.compile(rf"[0-9](?:{_SEPARATOR}?[0-9]){{7,}}")
_GROUP = re.compile(rb"[0-9]+")
_INTERNATIONAL = re.compile(rb"(?:\+|(?<![0-9])00)[0-9]{1,3}[ .\-()0]{0,4}\Z")
_CURRENCY = re.compile("(?:[€£$¥]|EUR|GBP|USD) ?\\Z".encode())
_JOINING = frozenset({b".", b"-"})  # without a space: a decimal, a date, a longer number

Lengths = tuple[int, ...]


class Layout(Enum):
    """How a number is written: in one piece, as its issuer groups it, or in a way that needs a label."""

    PLAIN = "in one piece"
    USUAL = "in the usual groups"
    RARE = "in unusual groups"


@dataclass(frozen=True, slots=True)
class Sighting:
    """One identifier in one text. ``value`` tells different numbers apart and never leaves the judgement."""

    value: str
    evidence: str
    confidence: Confidence


@dataclass(frozen=True, slots=True)
class Candidate:
    """Digits in one of the layouts asked for, at ``data[start:end]``.

    ``spaced`` says that only spaces separate the groups; ``crowded`` that more digits stand a single space away,
    so that the groups may belong to something longer.
    """

    start: int
    end: int
    digits: str
    layout: Layout
    spaced: bool
    crowded: bool


def candidates(data: bytes, layouts: Mapping[Lengths, Layout]) -> Iterator[Candidate]:
    """Yield every stretch of digit groups with the lengths of a layout, in the order of the text.

    Linear in the length of the text: a stretch grows only while its lengths begin some layout.
    """
    beginnings = frozenset(lengths[:count] for lengths in layouts for count in range(1, len(lengths) + 1))
    for run in _RUN.finditer(data):
        starts, ends = array("q"), array("q")  # not tuples: a hostile run has millions of groups
        for group in _GROUP.finditer(data, run.start(), run.end()):
            starts.append(group.start())
            ends.append(group.end())
        for first in range(len(starts)):
            lengths: Lengths = ()
            for last in range(first, len(starts)):
                lengths = (*lengths, ends[last] - starts[last])
                if lengths not in beginnings:
                    break
                if lengths in layouts:
                    before = data[ends[first - 1] : starts[first]] if first else b""
                    after = data[ends[last] : starts[last + 1]] if last + 1 < len(starts) else b""
                    span, around = (starts[first], ends[last]), (before, after)
                    candidate = _candidate(data, span, layouts[lengths], around)
                    if candidate is not None:
                        yield candidate


def _candidate(data: bytes, span: tuple[int, int], layout: Layout, around: tuple[bytes, bytes]) -> Candidate | None:
    start, end = span
    if _JOINING.intersection(around) or embedded(data, start, end):
        return None
    piece = data[start:end]
    digits = b"".join(_GROUP.findall(piece)).decode()
    if len(set(digits)) == 1:
        return None  # 1111111111 passes a modulo-11 check and is nobody's number
    return Candidate(
        start,
        end,
        digits,
        layout,
        spaced=not piece.translate(None, b"0123456789 \r\n>"),
        crowded=b" " in around,
    )


def embedded(data: bytes, start: int, end: int) -> bool:
    """Tell whether ``data[start:end]`` is part of a word, an international number, an amount or a link."""
    if _is_word(data[start - 1 : start]) or _is_word(data[end : end + 1]) or data[end : end + 1] == b"%":
        return True
    lead = data[max(0, start - 12) : start]
    if lead.endswith(b"+") or _INTERNATIONAL.search(lead) or _CURRENCY.search(lead):
        return True
    return in_link(data, start)


def in_link(data: bytes, start: int) -> bool:
    """Tell whether a position stands in a web address: its word, up to 200 bytes back, has "://" or "www."."""
    lead = data[max(0, start - 200) : start]
    if not lead or lead[-1:].isspace():
        return False
    word = lead.rsplit(None, 1)[-1]
    return b"://" in word or b"www." in word


def _is_word(byte: bytes) -> bool:
    return byte.isalnum()  # ASCII letters and digits; a letter of another script ends a number as a space does
