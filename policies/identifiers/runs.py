"""Where numbers stand in a text: runs of digits, some in one piece and some in groups with separators between them.

Most digits in letters (years, hours, amounts) belong to no run of eight, so the text is read once by what is written
in C and stays cheap where nothing is found: each byte is replaced by its kind, and a search that begins with a
literal passes over everything but digits. Hyperscan could tell places too, but calls back for each, and each call
waits for the interpreter where another thread has it.
"""

import re
from array import array
from collections.abc import Mapping, Sequence
from itertools import repeat
from operator import sub
from typing import NamedTuple

import re2

# Between two groups: one mark, at most two spaces, or the line break of a wrapped (and quoted) line.
_SEPARATOR = r"(?:[ ]?[.\-][ ]?|[ ]{1,2}|[ ]?\r?\n(?:> ?){0,3})"
GAP = f"{_SEPARATOR}?"  # where a separator may stand
LONGEST_GAP = 9  # octets
_SHORTEST = 8  # digits
# For Hyperscan, which only says whether.
RUN_SOURCE = rf"[0-9](?:{GAP}[0-9]){{{_SHORTEST - 1}}}"
PUNCTUATION = b" .-\r\n>"  # what separators are made of
LONGEST_GROUP = 255  # a group that is longer counts as just as long: no identifier has such groups

_DIGIT, _BETWEEN, _OTHER = b"0 x"
_KINDS = bytes(_DIGIT if byte in b"0123456789" else _BETWEEN if byte in PUNCTUATION else _OTHER for byte in range(256))
# From a digit to the last one before something else: every run lies in one of these.
_STRIP = re.compile(rb"0[^x]{%d,}0" % (_SHORTEST - 2))
_RUN = rf"[0-9](?:{GAP}[0-9]){{{_SHORTEST - 1},}}"
# Python's own expressions start several times as fast, and keep something for each digit: for short strips only.
_RUN_IN_SHORT, _RUN_IN_LONG = re.compile(_RUN.encode()), re2.compile(_RUN)
_SHORT = 200
_GROUP = re.compile(rb"[0-9]+")


class Run(NamedTuple):
    """Groups of digits that belong together: where each starts and ends, and how long each is."""

    starts: Sequence[int]
    ends: Sequence[int]
    lengths: bytes


class Numbers(NamedTuple):
    """Where numbers stand: the starts of those in one piece by length, and those in groups."""

    single: Mapping[int, Sequence[int]]
    runs: Sequence[Run]


def numbers_in(data: bytes) -> Numbers:
    """Find every run of eight digits or more in a folded text (UTF-8), in the order of the text."""
    single: dict[int, list[int]] = {}
    runs: list[Run] = []
    kinds = data.translate(_KINDS)
    for strip in _STRIP.finditer(kinds):
        start, end = strip.span()
        if kinds.find(_BETWEEN, start, end) < 0:
            single.setdefault(end - start, []).append(start)
            continue
        pattern = _RUN_IN_SHORT if end - start <= _SHORT else _RUN_IN_LONG
        for found in pattern.finditer(data, start, end):
            run = _grouped(data, *found.span())
            if len(run.starts) > 1:
                runs.append(run)
            else:
                single.setdefault(run.ends[0] - run.starts[0], []).append(run.starts[0])
    return Numbers(single, runs)


def _grouped(data: bytes, start: int, end: int) -> Run:
    starts, ends = array("q"), array("q")  # not lists: a hostile run has millions of groups
    for group in _GROUP.finditer(data, start, end):
        begin, stop = group.span()
        starts.append(begin)
        ends.append(stop)
    return Run(starts, ends, bytes(map(min, map(sub, ends, starts), repeat(LONGEST_GROUP))))
