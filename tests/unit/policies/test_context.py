"""The words around a number: what is passed over for speed changes nothing."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.identifiers import vocabulary
from policies.identifiers.bsn import BSN
from policies.identifiers.card import CARD
from policies.identifiers.context import Context, Reading
from policies.identifiers.iban import IBAN
from policies.identifiers.nhs import NHS
from policies.identifiers.nino import NINO

NUMBER = "123456782"
CONTEXTS = {
    "nhs": NHS.context,
    "bsn": BSN.context,
    "card": CARD.context,
    "iban": IBAN.context,
    "nino": NINO.context,
}
LABELS = {
    "nhs": vocabulary.NHS_LABELS,
    "bsn": vocabulary.BSN_LABELS,
    "card": vocabulary.CARD_LABELS,
    "iban": vocabulary.IBAN_LABELS,
    "nino": vocabulary.NINO_LABELS,
}
ENTRIES = sorted(
    {entry for words in vars(vocabulary).values() if isinstance(words, tuple | frozenset) for entry in words}
)
WORDS = st.one_of(
    st.sampled_from(ENTRIES).map(lambda entry: entry.replace("*", "")),
    st.sampled_from(ENTRIES).map(lambda entry: entry.replace("*", "nummer").title()),
    st.sampled_from(["telnet", "ordering", "verlof", "nhs.uk", "card@bank.example", "\u00e9tat", "\u6570", "x1", "12"]),
)
TEXTS = st.lists(st.tuples(WORDS, st.sampled_from([" ", " ", ": ", "\n", "-", ". ", "", "_"])), max_size=9).map(
    lambda pairs: "".join(word + gap for word, gap in pairs)
)


class Thorough(Context):
    """Looks at every word, whether it can say something or not."""

    def _telling(self, text: str) -> set[str]:
        return set(re.findall(r"[^\W\d_][^\W_]*", text))


@pytest.mark.parametrize("name", CONTEXTS)
@settings(max_examples=80, deadline=None)
@given(before=TEXTS, after=TEXTS)
def test_words_that_say_nothing_are_passed_over(name: str, before: str, after: str) -> None:
    """Whatever stands on both sides of a number reads as it does when every word is looked at."""
    thorough = Thorough(labels=())
    thorough.__dict__.update(vars(CONTEXTS[name]))
    data = f"{before}{NUMBER}{after}".encode()
    start = len(before.encode())
    assert CONTEXTS[name].read(data, start, start + 9) is thorough.read(data, start, start + 9)


@pytest.mark.parametrize(
    ("after", "reading"),
    [
        (" order", Reading.DOUBTFUL),
        (" abcdefghij telnet", Reading.DOUBTFUL),
        (" abcdefghijk telnet", Reading.SILENT),
        ("\norder", Reading.SILENT),
    ],
)
def test_a_word_behind_a_number_is_read_on_its_line_and_near(after: str, reading: Reading) -> None:
    """What names something else counts within fifteen characters, the last word as far as it is read."""
    data = f"{NUMBER}{after}".encode()
    assert BSN.context.read(data, 0, 9) is reading


@pytest.mark.parametrize(
    ("before", "after", "reading"),
    [
        ("", " bsn", Reading.LABELLED),
        ("", " patient", Reading.HINTED),
        ("", " reference", Reading.SILENT),
        ("reference quux ", "", Reading.DOUBTFUL),
        ("order quux zork gorp xyzzy ", " bsn", Reading.LABELLED),
        ("order quux zork ", " bsn", Reading.DOUBTFUL),
        ("order quux bsn ", " bsn", Reading.LABELLED),
        ("patient quux ", " order", Reading.HINTED),
        ("patient quux zork gorp xyzzy ", " order", Reading.DOUBTFUL),
    ],
)
def test_the_nearest_word_decides(before: str, after: str, reading: Reading) -> None:
    """A word behind counts as if it stood twenty characters farther away: names mostly stand in front."""
    data = f"{before}{NUMBER}{after}".encode()
    assert BSN.context.read(data, len(before), len(before) + 9) is reading


@pytest.mark.parametrize("name", CONTEXTS)
@pytest.mark.parametrize("around", ["{}", " {} ", "\n{}\n", "_{}_", "({}):", "x {}.\u00a0", "\u2026{}; y"])
def test_each_label_is_found_wherever_it_stands(name: str, around: str) -> None:
    """Each label, in any case, with what may stand between its words, from the first octet to the last."""
    for label in LABELS[name]:
        for written in (label, label.upper(), label.title(), label.replace(" ", "-"), label.replace(" ", " & ")):
            text = around.format(written.replace("*", "s"))
            assert CONTEXTS[name].labelled_anywhere(text.encode()), text


@pytest.mark.parametrize(
    "text", ["", "x", "a bsnx b", "xnhs", "discard", "sib an", "ninos1", "the card.x", "nhs@a.example"]
)
def test_what_only_looks_like_a_label_is_none(text: str) -> None:
    """A label is a word of its own, and no host name or address goes on behind it."""
    assert not any(context.labelled_anywhere(text.encode()) for context in CONTEXTS.values())
