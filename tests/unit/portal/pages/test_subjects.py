"""Subjects as headings, and quotations as what they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from policies.conditions import ConditionSpec, subject_tags
from portal.rendering.subjects import Subjects
from portal.rendering.text import text_to_html, without_quotation

SUBJECTS = Subjects.of(["[secure]", "#vertraulich"])


@pytest.mark.parametrize(
    ("subject", "shown"),
    [
        ("[secure] Your biopsy", "Your biopsy"),
        ("[ SECURE ]Your biopsy", "Your biopsy"),
        ("\uff3bSecure\uff3d Your biopsy", "Your biopsy"),
        ("Your biopsy [secure]", "Your biopsy"),
        ("Re: [secure] Your biopsy #Vertraulich", "Re: Your biopsy"),
        ("[secure] [secure] x", "x"),
        ("[secure]", ""),
        ("Re: [secure]", ""),
        ("A [secure] channel", "A [secure] channel"),
        ("secure", "secure"),
        ("", ""),
    ],
)
def test_tags_are_not_part_of_a_heading(subject: str, shown: str) -> None:
    """At either end, in any width or case; inside a sentence it is a word of the sentence."""
    assert SUBJECTS.shown(subject) == shown


@pytest.mark.parametrize(
    "other", ["RE: Thursday", "AW: Re: thursday", "Antw: [secure] Thursday", "R\u00e9p : Thursday", "Fwd: Thursday"]
)
def test_an_answer_is_of_the_same_topic(other: str) -> None:
    """Whatever program and language wrote it."""
    assert SUBJECTS.same_topic("Thursday", other)
    assert not SUBJECTS.same_topic("Friday", other)


@given(st.text(max_size=300))
def test_any_subject_has_a_heading(subject: str) -> None:
    """Never an error, never longer than it was."""
    assert len(SUBJECTS.shown(subject)) <= len(subject)


def test_tags_are_found_wherever_a_rule_names_them() -> None:
    """In a leaf and in every branch of a tree."""
    written = {"any": [{"subject_tag": "[a]"}, {"all": [{"not": {"subject_tag": "[b]"}}, {"keywords": "x"}]}]}
    condition = TypeAdapter(ConditionSpec).validate_python(written)
    assert list(subject_tags(condition)) == ["[a]", "[b]"]


@pytest.mark.parametrize(
    ("text", "own"),
    [
        ("Yes\n\nOn Monday Jane wrote:\n> No\n", "Yes\n"),
        ("Yes\n> No\n\n", "Yes"),
        ("Yes\n> No\nindeed\n", None),
        ("> No\n", None),
        ("On Monday Jane wrote:\n> No\n", None),
        ("Yes", None),
        ("", None),
        ("See:\nOn 3 May at 10:15, jane@example.net\nwrote:\n> x", "See:"),
        ("See you.\nAll the best:\n> x", "See you."),
    ],
)
def test_only_a_quotation_at_the_end_is_taken_apart(text: str, own: str | None) -> None:
    """Answers between quoted lines stay where they are; a message of nothing else is shown."""
    assert without_quotation(text) == ((own, text.removeprefix(f"{own}\n")) if own is not None else (text, ""))


@given(st.lists(st.sampled_from(["a", "> b", ">> c", "", "wrote:", "x@y 10:15"]), max_size=12))
def test_taking_a_quotation_apart_loses_nothing(lines: list[str]) -> None:
    """Own words and quotation together are the text."""
    own, quoted = without_quotation("\n".join(lines))
    assert "\n".join([own, quoted] if quoted else [own]) == "\n".join(lines)
    text_to_html(own)
