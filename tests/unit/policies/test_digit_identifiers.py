"""Identifiers made of digits: the fast search finds what a slow one finds that asks python-stdnum about every number."""

import random
from collections.abc import Callable
from dataclasses import replace
from itertools import compress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum import luhn
from stdnum.gb import nhs
from stdnum.nl import bsn

from policies.identifiers.bsn import BSN
from policies.identifiers.card import CARD
from policies.identifiers.checked import DigitIdentifier
from policies.identifiers.checksum import Checksum, weighted
from policies.identifiers.context import Reading
from policies.identifiers.layouts import Layout, Stretch
from policies.identifiers.nhs import NHS
from policies.identifiers.shape import ENOUGH, Page, Sighting
from policies.model import Confidence
from policies.text import encode, fold

ALL = [NHS, BSN, CARD]
LENGTHS = {"nhs": [10], "bsn": [8, 9], "card": list(range(12, 20))}
JUDGES: dict[str, Callable[[str], int]] = {
    "nhs": nhs.checksum,
    "bsn": lambda digits: bsn.checksum(digits.zfill(9)),
    "card": luhn.checksum,
}


@pytest.mark.parametrize("identifier", ALL, ids=lambda one: one.name)
@given(data=st.data())
def test_a_check_of_many_numbers_says_what_stdnum_says(identifier: DigitIdentifier, data: st.DataObject) -> None:
    """Numbers of every length that the identifier has, together, each judged as if it were alone."""
    lengths = st.sampled_from(LENGTHS[identifier.name])
    number = lengths.flatmap(lambda length: st.text("0123456789", min_size=length, max_size=length))
    numbers = data.draw(st.lists(number, min_size=1, max_size=40))
    passing = identifier.checksum.passing([one.encode() for one in numbers])
    assert list(passing) == [JUDGES[identifier.name](one) == 0 for one in numbers]


def test_sums_that_would_not_fit_are_refused() -> None:
    """A sum that could carry into its neighbour's byte is a mistake of whoever wrote the weights."""
    assert list(weighted(11, 1, 2).passing([b"50", b"51", b"6", b"0"])) == [0, 1, 0, 1]
    with pytest.raises(ValueError, match="byte"):
        Checksum(10, (bytes([0] * 9 + [200]),) * 2)


def plainly_found(identifier: DigitIdentifier, data: bytes) -> list[Sighting]:
    """Look at every stretch of groups that has a layout, one after the other, and keep everything in lists."""
    page = Page(data)
    stretches = []
    for length, starts in page.numbers.single.items():
        layout = identifier.layouts.get((length,))
        if layout is not None:
            stretches += [Stretch(start, start + length, data[start : start + length], layout) for start in starts]
    for starts, ends, _ in page.numbers.runs:
        lengths = [end - start for start, end in zip(starts, ends, strict=True)]
        for first in range(len(lengths)):
            if first and lengths[first] == lengths[first - 1] == 1:
                continue
            for last in range(first, len(lengths)):
                layout = identifier.layouts.get(tuple(lengths[first : last + 1]))
                if layout is not None:
                    digits = b"".join(data[starts[at] : ends[at]] for at in range(first, last + 1))
                    before = data[ends[first - 1] : starts[first]] if first else b""
                    after = data[ends[last] : starts[last + 1]] if last + 1 < len(lengths) else b""
                    crowded = (before == b" " and lengths[first - 1] >= 3) or (after == b" " and lengths[last + 1] >= 3)
                    stretches.append(Stretch(starts[first], ends[last], digits, layout, (before, after), crowded))
    return _read(identifier, page, stretches)


def _read(identifier: DigitIdentifier, page: Page, stretches: list[Stretch]) -> list[Sighting]:
    found: dict[str, Sighting] = {}
    column: dict[str, bool] = {}
    named_otherwise, certain = False, 0
    for one in stretches:
        value = one.digits.decode()
        valid = JUDGES[identifier.name](value) == 0 and identifier.valid(value)
        if one.layout is not Layout.RARE:
            column.setdefault(value, valid and identifier.issued(value))
        alone = one.stands_alone(page.data, identifier.context.is_label) and len(set(value)) > 1
        known = found.get(value)
        if not valid or not alone or (known is not None and known.confidence is Confidence.HIGH):
            continue
        reading = identifier.context.read(page.data, one.start, one.end)
        named_otherwise = named_otherwise or reading is Reading.CONTRARY
        confidence = identifier._confidence(value, one, page, reading)
        if confidence is not None and (known is None or known.confidence < confidence):
            written = page.data[one.start : one.end].decode()
            found[value] = Sighting(value, written, confidence, identifier.head, identifier.tail)
            certain += confidence is Confidence.HIGH
        if certain >= ENOUGH:
            break
    passed = sum(column.values())
    if named_otherwise or passed < 4 or passed < 0.8 * len(column):
        return list(found.values())
    return [replace(one, confidence=max(one.confidence, Confidence.MEDIUM)) for one in found.values()]


def a_number(identifier: DigitIdentifier, rng: random.Random, lengths: list[int], *, valid: bool = True) -> str:
    while True:
        number = "".join(rng.choice("0123456789") for _ in range(rng.choice(lengths)))
        if identifier.valid(number) is valid and identifier.issued(number):
            return number


def letter(identifier: DigitIdentifier, rng: random.Random) -> str:
    """Make up a text of numbers that are right or nearly so, in and out of layouts, with words between them."""
    between = [" ", " ", "\n", "-", ".", ", ", " x ", "\r\n> ", "  ", "+", "00", "\u20ac", " /", "\u00e9 ", ""]
    words = [
        "",
        "",
        "NHS number ",
        "BSN",
        "card ",
        "order ",
        "patient ",
        "your ref ",
        "tel ",
        "https://a.example/",
        "born ",
    ]
    lengths = LENGTHS[identifier.name]
    repeated = a_number(identifier, rng, lengths)
    text = ""
    for _ in range(rng.randint(1, 30)):
        number = rng.choice(
            [a_number(identifier, rng, lengths), repeated, str(rng.randint(0, 10 ** rng.randint(1, 19)))]
        )
        if rng.random() < 0.6:
            layout = rng.choice(list(identifier.layouts))
            mark, at, pieces = rng.choice([" ", "-", ".", "\n"]), 0, []
            for length in layout:
                pieces.append(number[at : at + length])
                at += length
            near = ["", "", "", "12 ", "123 ", "1234 "]
            number = rng.choice(near) + mark.join(piece for piece in pieces if piece) + rng.choice(near)[::-1]
        text += rng.choice(words) + number + rng.choice(between)
    return text


@pytest.mark.parametrize("identifier", ALL, ids=lambda one: one.name)
@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_nothing_is_lost_for_speed(identifier: DigitIdentifier, seed: int) -> None:
    """Values, evidence, confidence and order are those of the slow search."""
    data = encode(fold(letter(identifier, random.Random(seed))))
    assert list(identifier.find(Page(data))) == plainly_found(identifier, data)


@pytest.mark.parametrize("identifier", ALL, ids=lambda one: one.name)
@pytest.mark.parametrize(("doubtful", "raised"), [(100, True), (99, False)])
def test_what_stands_behind_the_last_that_is_needed_counts_for_nothing(
    identifier: DigitIdentifier, doubtful: int, raised: bool
) -> None:
    """Reading stops at the thousandth certain number; those up to it decide whether the text is a column."""
    rng = random.Random(11)
    lengths = [max(LENGTHS[identifier.name]) if identifier is not CARD else 16]
    passing = {a_number(identifier, rng, lengths): None for _ in range(doubtful + 1000)}
    failing = {a_number(identifier, rng, lengths, valid=False): None for _ in range(575)}
    assert (len(passing), len(failing)) == (doubtful + 1000, 575)
    doubts = [f"my ref {number}" for number in (*list(passing)[:doubtful], *list(failing)[:275])]
    named = [f"nhs bsn card {number}" for number in list(passing)[doubtful:]]
    data = " and so on and so on and so on and so on and so on and so on and so on and so on\n".join(
        [*doubts, *named, *list(failing)[275:]]
    ).encode()
    found = identifier.find(Page(data))
    assert list(found) == plainly_found(identifier, data)
    assert {one.confidence for one in found[:doubtful]} == {Confidence.MEDIUM if raised else Confidence.LOW}


@pytest.mark.parametrize(
    ("column", "confidence"),
    [
        ("9434765919, 4010232137, 9998641969, 6541003238", Confidence.MEDIUM),
        ("9434765919, 4010232137, 9998641969", Confidence.LOW),
        ("9434765919, 3200000007, 3200000015, 3200000023", Confidence.LOW),
    ],
    ids=["four", "three", "three that nobody issues"],
)
def test_four_numbers_make_a_column(column: str, confidence: Confidence) -> None:
    """Three may pass by chance; those of a prefix that is not given out say nothing for the one that is."""
    assert {one.confidence for one in NHS.find(Page(column.encode()))} == {confidence}


def test_the_first_ten_thousand_tell_whether_a_text_is_a_column() -> None:
    """Nobody pays for remembering more, and what follows a long column does not hide it."""
    numbers = [b"%d" % number for number in range(400_000_000, 400_100_000)]
    passing = BSN.checksum.passing(numbers)
    right = list(compress(numbers, passing))[:8000]
    wrong = [number for number, fits in zip(numbers, passing, strict=True) if not fits]
    most, too_many = wrong[:2000], wrong[:2001]
    raised, left = (BSN.find(Page(b",\n".join([*column, *right, *wrong[3000:12_000]]))) for column in (most, too_many))
    assert {one.confidence for one in raised} == {Confidence.MEDIUM}
    assert {one.confidence for one in left} == {Confidence.LOW}
