"""Patterns of the organisation: RE2 decides, Hyperscan never hides a match, nothing takes long."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.engine import judge
from policies.model import Action, Message
from policies.patterns import MOST_MATCHES, read_pattern
from policies.prefilter import Prefilter
from policies.ruleset import Ruleset
from policies.text import encode, fold
from tests.proportion import TIMES, grows_linearly

# Ten shapes that bring a backtracking engine to its knees, and for each what to repeat and what to end with.
REDOS = [
    (r"(a+)+$", "a", "!"),
    (r"(a|aa)+$", "a", "!"),
    (r"(a|a?)+b", "a", ""),
    (r"([a-zA-Z]+)*[0-9]", "a", ""),
    (r"(.*a){20}z", "a", ""),
    (r"(x+x+)+y", "x", ""),
    (r"^(([a-z])+.)+[A-Z]([a-z])+$", "a", ""),
    (r"(\w+\s?)*!", "a b ", ""),
    (r"(a|b)*a(a|b){12}c", "ab", ""),
    (r"\b(\d+[ ,.]?)+\b-", "1 2,3.", ""),
]


@pytest.mark.parametrize(("pattern", "repeated", "end"), REDOS)
def test_hostile_text_takes_linear_time(
    pattern: str, repeated: str, end: str, a_message: Callable[..., Message], rules: Callable[..., Ruleset]
) -> None:
    """Patterns that explode elsewhere judge eight times the text in about eight times the time."""
    ruleset = rules({"when": {"pattern": pattern}})
    messages = {count: a_message(repeated * count + end) for count in (20_000, TIMES * 20_000)}
    assert grows_linearly(lambda count: judge(ruleset, messages[count]), 20_000)


def test_many_matches_count_as_enough() -> None:
    """After 1,000 matches a text counts as holding as many as a rule asks for: it fails closed, and soon."""
    pattern = read_pattern("a.*b|a")
    sightings = pattern.find(b"a" * 200_000, 500)
    assert len({sighting.value for sighting in sightings}) == 500


def test_matches_are_counted_by_what_they_say() -> None:
    """The same reference five times is one match."""
    data = encode("EMP-10001 EMP-10001 EMP-10002")
    assert len(read_pattern(r"EMP-\d{5}").find(data, MOST_MATCHES)) == 2


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [
        (r"(?=x)", "look-ahead"),
        (r"(a)\1", "back-references"),
        (r"(unclosed", "missing )"),
        (r"a{1001}", "shorter repetitions"),
        (r"x*", "hold for every message"),
        (r"\b", "hold for every message"),
    ],
)
def test_bad_patterns_are_explained(pattern: str, sentence: str, capfd: pytest.CaptureFixture[str]) -> None:
    """A pattern that RE2 cannot read, or that matches everywhere, is refused in a sentence; nothing goes to stderr."""
    with pytest.raises(ValueError, match=sentence.replace(")", r"\)")):
        read_pattern(pattern)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("pattern", [r"EMP-\d{5}", r"(?i)salary.{0,100}\d", r"\b[A-Z]{2}\d{6}\b", r"[\w.]+@x\.example"])
def test_ordinary_patterns_are_prefiltered(pattern: str) -> None:
    """Patterns as people write them cost nothing in texts where they cannot occur."""
    assert read_pattern(pattern).expression is not None


@pytest.mark.parametrize(
    "pattern", [r"\pL+\d", r"(?m)^x", r"[[:alpha:]]x", r"é", r"a{1000}", r"\Bx", r"x(?i)y", r"\x41"]
)
def test_doubtful_patterns_are_searched_by_re2_alone(pattern: str) -> None:
    """Where two engines might read a pattern differently, only one is asked."""
    assert read_pattern(pattern).expression is None


def test_unicode_classes_match() -> None:
    r"""``\pL`` sees letters of every script, as ``\w`` does not."""
    assert read_pattern(r"\pL{4}").find(encode("Größe"), 1)
    assert not read_pattern(r"\w{5}").find(encode("Größe"), 1)


_ATOM = st.sampled_from(
    [
        "a",
        "b",
        "é",
        "1",
        "-",
        " ",
        r"\d",
        r"\w",
        r"\s",
        r"\W",
        r"\D",
        r"\S",
        ".",
        "[a-c]",
        "[^a]",
        r"[\d-]",
        r"[^\w]",
        r"\b",
    ]
)
_PATTERN = st.recursive(
    _ATOM,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=4).map("".join),
        st.tuples(inner, inner).map("|".join).map("({})".format),
        st.tuples(inner.map("(?:{})".format), st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{2,}", "*?"])).map(
            "".join
        ),
    ),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(
    st.tuples(st.sampled_from(["", "(?i)", "^"]), _PATTERN, st.sampled_from(["", "$"])).map("".join),
    st.lists(st.text(alphabet="abcAB12é- _\n.\u0416", max_size=12), min_size=1, max_size=6),
)
def test_the_prefilter_hides_nothing(source: str, texts: list[str]) -> None:
    """Whenever RE2 finds a pattern in a text, Hyperscan has said that it may occur there."""
    try:
        pattern = read_pattern(source)
    except ValueError:
        return
    if pattern.expression is None:
        return
    prefilter = Prefilter([pattern.expression])
    for text in texts:
        data = encode(fold(text))
        if pattern.exact.search(data) is not None:
            assert prefilter.occurring(data) == [0], (source, text)


@pytest.mark.parametrize("order", [1, -1])
def test_two_rules_may_count_the_same_pattern(
    order: int, a_message: Callable[..., Message], rules: Callable[..., Ruleset]
) -> None:
    """What is enough for one does not end the count for the other, whichever stands first."""
    one, three = {"at_least": 1, "action": "notify"}, {"at_least": 3, "action": "refuse"}
    written = [
        {"when": {"pattern": "EMP-[0-9]+", "at_least": two["at_least"]}, "action": two["action"]}
        for two in (one, three)
    ]
    ruleset = rules(*written[::order])
    for text, action in (
        ("EMP-1 EMP-2 EMP-2", Action.NOTIFY),
        ("EMP-1 EMP-2 EMP-3", Action.REFUSE),
        ("EMP", Action.PASS),
    ):
        assert judge(ruleset, a_message(text))[0].action is action
