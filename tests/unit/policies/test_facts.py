"""The smaller facts: subject tags, attachments, places, explanations."""

from collections.abc import Callable

import pytest

from policies.attachments import AttachmentShape
from policies.engine import judge
from policies.explanation import Outcome, explain
from policies.labels import has_tag, tag_key
from policies.model import Attachment, Message
from policies.recipients.destinations import read_places
from policies.ruleset import Ruleset


@pytest.mark.parametrize(
    "subject",
    [
        "[secure] letter",
        "Re: [SECURE]",
        "[ secure ] x",
        "x[Secure]y",
        "\uff3bsecure\uff3d",
        "[se\u00adcure\u200b]",
        "[\u00a0secure]",
    ],
)
def test_a_tag_is_read_as_a_person_reads_it(subject: str) -> None:
    """Case, spaces, full-width brackets and invisible characters make no difference."""
    assert has_tag(subject, tag_key("[secure]"))


@pytest.mark.parametrize("subject", ["secure letter", "[insecure]", "(secure)", "[secure", ""])
def test_what_is_no_tag(subject: str) -> None:
    """The brackets belong to the tag."""
    assert not has_tag(subject, tag_key("[secure]"))


@pytest.mark.parametrize(
    ("shape", "name", "kind", "fits"),
    [
        (AttachmentShape(), "a.pdf", "application/pdf", True),
        (AttachmentShape(names=("*.xls*",)), "Budget.XLSX", "application/x", True),
        (AttachmentShape(names=("*.exe",)), "tool.exe. ", "text/plain", True),
        (AttachmentShape(names=("*.exe",)), "tool\uff0eexe", "text/plain", True),
        (AttachmentShape(names=("*.exe",)), "too\u202el.exe", "text/plain", True),
        (AttachmentShape(names=("*.exe",)), "tool.exe.pdf", "text/plain", False),
        (AttachmentShape(names=("a[1].pdf",)), "a1.pdf", "application/pdf", True),
        (AttachmentShape(types=("image/*",)), "x", "IMAGE/png", True),
        (AttachmentShape(names=("*.png",), types=("image/*",)), "x.png", "text/html", False),
        (AttachmentShape(encrypted=True), "x.zip", "application/zip", False),
    ],
)
def test_shapes_of_attachments(shape: AttachmentShape, name: str, kind: str, fits: bool) -> None:
    """Every key that is given must hold for the same attachment; names are compared as the recipient's system does."""
    assert shape.fits(Attachment(name, kind, 1)) is fits


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        ("a.example", "a.example", True),
        ("a.example", "b.example", False),
        ("x.a.example", "*.a.example", True),
        ("a.example", "*.a.example", False),
        ("*.a.example", "*.x.a.example", True),
        ("jo@a.example", "a.example", True),
    ],
)
def test_places_overlap(one: str, other: str, overlap: bool) -> None:
    """Two sets of places overlap where one recipient could belong to both."""
    first, second = read_places([one], addresses=True), read_places([other], addresses=True)
    assert first.overlap(second) is second.overlap(first) is overlap


def test_an_explanation_tells_every_rule(a_message: Callable[..., Message], rules: Callable[..., Ruleset]) -> None:
    """For each recipient each rule says what became of it; actions are those of judge; evidence stays masked."""
    ruleset = rules(
        {"when": {"identifier": "nhs"}, "to": "outside", "because": "it holds an NHS number"},
        {"when": {"keywords": ["asthma"]}, "action": "refuse", "mode": "shadow"},
        {"when": {"keywords": ["asthma"]}, "action": "refuse", "mode": "off"},
        {"when": {"subject_tag": "[secure]"}},
    )
    locked = Attachment("plan.zip", "application/zip", 9, problem="is protected with a password")
    message = a_message("NHS 943 476 5919 asthma", to=("a@b.example", "c@example.org"), attachments=(locked,))
    outside, inside = explain(ruleset, message)
    assert [each.outcome for each in outside.considered] == [
        Outcome.HIT, Outcome.SHADOW, Outcome.OFF, Outcome.NO, Outcome.HIT,
    ]  # fmt: skip
    assert inside.considered[0].outcome is Outcome.NOT_ADDRESSED
    assert [each.decided for each in outside.considered] == [True, False, False, False, True]
    assert [each.action for each in explain(ruleset, message)] == [each.action for each in judge(ruleset, message)]
    text = "\n".join(outside.lines())
    assert text.startswith("a@b.example (outside): seal\n  rule-0 (seal): hit <- decides\n    because it holds an NHS")
    assert "NHS number 943 *** ***9 in body (high confidence)" in text
    assert "keywords in body: asthma" in text
    assert "the attachment “plan.zip” is protected with a password" in text
