"""Where numbers stand in a text: runs of digits, some in one piece and some in groups with separators between them.

Most digits in letters (years, hours, amounts) belong to no run of eight, so the text is read once by what is written
in C and stays cheap where nothing is found: each byte is replaced by its kind, and a search that begins with a
literal passes over everything but digits. Hyperscan could tell places too, but calls back for each, and each call
waits for the interpreter where another thread has it.
"""

import re
from array import array
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import NamedTuple

# Between two groups: one mark, at most two spaces, or the line break of a wrapped (and quoted) line.
_SEPARATOR = r"(?:[ ]?[.\-][ ]?|[ ]{1,2}|[ ]?\r?\n(?:> ?){0,3})"
_SHORTEST = 8  # digits
# Eight digits or more; for Hyperscan, which only says whether.
RUN_SOURCE = rf"[0-9](?:{_SEPARATOR}?[0-9]){{{_SHORTEST - 1}}}"
PUNCTUATION = b" .-\r\n>"  # what separators are made of

_DIGIT, _BETWEEN, _OTHER = b"0 x"
_KINDS = bytes(_DIGIT if byte in b"0123456789" else _BETWEEN if byte in PUNCTUATION else _OTHER for byte in range(256))
# From a digit to the last digit before something else: every run lies in one of these.
_STRIP = re.compile(rb"0[^x]{%d,}0" % (_SHORTEST - 2))
_GROUP = re.compile(rb"[0-9]+")


def _separators() -> Iterator[bytes]:
    """Yield every separator that there is: the language of _SEPARATOR is finite."""
    yield from (b" ", b"  ")
    for before, mark, after in product((b"", b" "), (b".", b"-"), (b"", b" ")):
        yield before + mark + after
    for before, line_break, count in product((b"", b" "), (b"\n", b"\r\n"), range(4)):
        for quotation in product((b">", b"> "), repeat=count):
            yield before + line_break + b"".join(quotation)


_SEPARATORS = frozenset(_separators())


class Numbers(NamedTuple):
    """Where numbers stand: those in one piece by length, and the starts and ends of the groups of the others."""

    single: Mapping[int, Sequence[int]]
    runs: Sequence[tuple[Sequence[int], Sequence[int]]]


def numbers_in(data: bytes) -> Numbers:
    """Find every run of eight digits or more in a folded text (UTF-8), in the order of the text."""
    single: dict[int, list[int]] = {}
    runs: list[tuple[Sequence[int], Sequence[int]]] = []
    kinds = data.translate(_KINDS)
    for strip in _STRIP.finditer(kinds):
        start, end = strip.span()
        if kinds.find(_BETWEEN, start, end) < 0:
            single.setdefault(end - start, []).append(start)
            continue
        for starts, ends in _runs(data, start, end):
            if len(starts) > 1:
                runs.append((starts, ends))
            else:
                single.setdefault(ends[0] - starts[0], []).append(starts[0])
    return Numbers(single, runs)


def _runs(data: bytes, start: int, end: int) -> Iterator[tuple[Sequence[int], Sequence[int]]]:
    """Yield the groups of each run in a strip: their starts, their ends."""
    starts, ends, digits = array("q"), array("q"), 0  # not lists: a hostile run has millions of groups
    for group in _GROUP.finditer(data, start, end):
        begin, stop = group.span()
        if starts and data[ends[-1] : begin] not in _SEPARATORS:
            if digits >= _SHORTEST:
                yield starts, ends
            starts, ends, digits = array("q"), array("q"), 0
        starts.append(begin)
        ends.append(stop)
        digits += stop - begin
    if digits >= _SHORTEST:
        yield starts, ends
