"""Terms of word lists in every script, as whole words."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.engine import judge
from policies.keywords import read_term
from policies.model import Action, Attachment, Message
from policies.prefilter import Prefilter
from policies.ruleset import Ruleset
from policies.text import encode, fold

LISTS = Path(__file__).parents[3] / "relay" / "config" / "lists"


def occurs(term: str, text: str) -> bool:
    """Ask both: the exact work, and the prefilter, which must not hide what is there."""
    read, data = read_term(term), encode(fold(text))
    found = bool(read.find(data))
    assert not found or Prefilter([read.expression]).occurring(data) == [0]
    return found


@pytest.mark.parametrize(
    ("term", "text"),
    [
        ("cancer", "He has CANCER."),
        ("cancer", "cancer"),
        ("mental health", "her mental\n> health"),
        ("mental health", "mental-health"),
        ("covid-19", "Covid 19 test"),
        ("covid-19", "covid\u201119"),
        ("HIV", "status: hiv-positive"),
        ("patiënt", "De PATIËNT kwam"),
        ("röntgenfoto", "RÖNTGENFOTO's"),
        ("kanker*", "kankeronderzoek"),
        ("*kanker", "borstkanker."),
        ("*kanker*", "borstkankeronderzoek"),
        ("straße", "Hauptstr. STRASSE 5"),
        ("STRAẞE", "Strasse"),
        ("ß-Carotin", "ß carotin"),
        ("диагноз", "Диагноз: …"),
        ("C++", "written in c++."),
        ("Alzheimer's", "alzheimer's disease"),
        ("Alzheimer's", "Alzheimer\u2019s disease"),
        ("insulin", "in\u00adsu\u200blin"),
        ("病歴", "病歴 は"),
    ],
)
def test_terms_are_found(term: str, text: str) -> None:
    """Case, hyphens, line breaks, quotation marks, invisible characters and typographic quotes make no difference."""
    assert occurs(term, text)


@pytest.mark.parametrize(
    ("term", "text"),
    [
        ("cancer", "cancerous"),
        ("ill", "will"),
        ("art", "éart"),
        ("art", "arté"),
        ("flu", "flu2"),
        ("flu", "flu_shot"),
        ("café", "cafe"),
        ("mental health", "mental and physical health"),
        ("kanker*", "borstkanker"),
    ],
)
def test_parts_of_words_are_not(term: str, text: str) -> None:
    """A term is a whole word in every script, unless "*" says otherwise; accents count."""
    assert not occurs(term, text)


@pytest.mark.parametrize(
    ("written", "sentence"), [("*", "too short"), ("x", "too short"), ("a*bc", "inside"), ("--", "short")]
)
def test_terms_without_sense_are_refused(written: str, sentence: str) -> None:
    """A term that would match everything or nothing is an error with a sentence."""
    with pytest.raises(ValueError, match=sentence):
        read_term(written)


def test_names_of_attachments_are_words(a_message: Callable[..., Message], rules: Callable[..., Ruleset]) -> None:
    """Underscores in the name of an attachment stand for spaces."""
    attachment = Attachment("hiv_results_Jane.pdf", "application/pdf", 1)
    ruleset = rules({"when": {"keywords": ["HIV"]}})
    assert judge(ruleset, a_message(attachments=(attachment,)))[0].action is Action.SEAL


def test_terms_are_counted_once(a_message: Callable[..., Message], rules: Callable[..., Ruleset]) -> None:
    """at_least counts different terms over the whole message, not how often one is repeated."""
    ruleset = rules({"when": {"keywords": ["asthma", "insulin", "dialysis"], "at_least": 2}})
    assert judge(ruleset, a_message("asthma asthma asthma"))[0].action is Action.PASS
    (verdict,) = judge(ruleset, a_message("asthma, then Insulin", subject="asthma"))
    assert verdict.action is Action.SEAL
    assert [(finding.where, finding.evidence, finding.count) for finding in verdict.hits[0].findings] == [
        ("subject", "asthma", 1),
        ("body", "asthma, insulin", 2),
    ]


@settings(deadline=None)
@given(st.text(alphabet=st.characters(categories=["L", "N"]), min_size=2, max_size=12))
def test_every_word_finds_itself(word: str) -> None:
    """Any word of letters and digits, of any script, is found where it stands, by both engines."""
    folded = fold(word)
    if len(folded) >= 2 and folded.isalnum():
        assert occurs(word, f"({word})")
        occurs(word, word.upper())  # whatever the exact work says, the prefilter has let it through
        occurs(word, word.lower())


@pytest.mark.parametrize("name", ["health-en.txt", "health-nl.txt"])
def test_the_lists_that_come_along_are_usable(name: str, rules: Callable[..., Ruleset]) -> None:
    """Each list that comes along has about 150 different terms, and every one is found."""
    lines = (line.partition("#")[0].strip() for line in (LISTS / name).read_text("utf-8").splitlines())
    terms = tuple(filter(None, lines))
    assert 140 <= len(set(terms)) <= 200
    assert len({term.casefold() for term in terms}) == len(terms)
    assert rules({"when": {"keywords": "health", "at_least": 3}}, lists={"health": terms})
    assert all(occurs(term, term.strip("*")) for term in terms)
