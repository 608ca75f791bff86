"""The smaller facts: subject tags, attachments, places, explanations."""

from collections.abc import Callable

import pytest

from policies.attachments import AttachmentShape
from policies.engine import judge
from policies.explanation import Outcome, explain, finding_sentence
from policies.labels import has_tag, tag_key
from policies.model import Action, Attachment, Message, Receipt
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
    ("name", "shape", "place"),
    [("", {"type": "application/zip"}, "attachment 2"), ("plan.zip", {"name": "*.ZIP"}, "plan.zip")],
)
def test_only_an_attachment_that_fits_is_found(
    name: str, shape: dict[str, str], place: str, a_message: Callable[..., Message], rules: Callable[..., Ruleset]
) -> None:
    """It is named by its place where it has no name; another beside it is no reason."""
    archive, letter = Attachment(name, "application/zip", 1), Attachment("letter.pdf", "application/pdf", 1)
    ruleset = rules({"when": {"attachment": shape}})
    (verdict,) = judge(ruleset, a_message(attachments=(letter, archive)))
    assert [(hit.where, hit.evidence) for hit in verdict.hits[0].findings] == [(place, "application/zip")]
    assert judge(ruleset, a_message(attachments=(letter,)))[0].action is Action.PASS


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
    assert (outside.recipient.address, outside.action.word) == ("a@b.example", "seal")
    hit, shadow, _off, _no, floor = outside.considered
    assert (hit.rule, hit.action.word, hit.because) == ("rule-0", "seal", "it holds an NHS number")
    assert finding_sentence(hit.findings[0]) == "NHS number 943 *** ***9 in body (high confidence)"
    assert finding_sentence(shadow.findings[0]) == "keywords in body: asthma"
    assert "the attachment “plan.zip” is protected with a password" in floor.because


@pytest.mark.parametrize(
    ("attachment", "held"),
    [
        (Attachment("invite.ics", "text/calendar", 9), True),
        (Attachment("attachment 1", "Text/Calendar", 9), True),
        (Attachment("Termin.ICS", "application/octet-stream", 9), True),
        (Attachment("old.vcs", "text/x-vcalendar", 9), True),
        (Attachment("x", "application/ics", 9), True),
        (Attachment("entries.zip, invite.ics", "", 9), False),
        (Attachment("physics", "text/plain", 9), False),
        (Attachment("plan.ics.pdf", "application/pdf", 9), False),
    ],
)
def test_what_is_a_calendar_entry(
    attachment: Attachment, held: bool, a_message: Callable[..., Message], rules: Callable[..., Ruleset]
) -> None:
    """By declared type or by name, in any case; a file inside an archive is none that a calendar takes up."""
    (verdict,) = judge(rules({"when": {"calendar": True}}), a_message(attachments=(attachment,)))
    assert (verdict.action is Action.SEAL) is held


def test_encrypted_by_the_sender(a_message: Callable[..., Message], rules: Callable[..., Ruleset]) -> None:
    """The condition asks for the whole message, not for one encrypted attachment."""
    ruleset = rules({"when": {"encrypted": True}, "action": "notify"})
    locked = Attachment("encrypted.asc", "application/octet-stream", 9, encrypted=True)
    assert judge(ruleset, a_message(attachments=(locked,), encrypted=True))[0].action is Action.NOTIFY
    assert judge(ruleset, a_message(attachments=(locked,)))[0].action is Action.PASS


def test_a_seal_for_a_mailing_list_is_held(a_message: Callable[..., Message], rules: Callable[..., Ruleset]) -> None:
    """Link and code would reach everybody on it: the sender is asked; other recipients are sealed as ever."""
    ruleset = rules(
        {"when": {"keywords": ["asthma"]}, "receipt": "never"},
        mailing_lists=("all@example.net", "*.lists.example"),
    )
    to = ("ALL@example.net", "team@a.lists.example", "jane@example.net")
    first, second, third = judge(ruleset, a_message("asthma", to=to))
    assert [first.action, second.action, third.action] == [Action.HOLD, Action.HOLD, Action.SEAL]
    assert [hit.rule for hit in first.deciding] == ["mailing-list"]
    assert [hit.rule for hit in first.milder] == ["rule-0"]
    assert "would reach everybody on it" in first.deciding[0].because
    assert not first.may_go_plain
    (explained, *_) = explain(ruleset, a_message("asthma", to=to))
    assert [(each.rule, each.decided) for each in explained.considered] == [("rule-0", False), ("mailing-list", True)]
    assert [each.action for each in judge(ruleset, a_message("hello", to=to))] == [Action.PASS] * 3


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"when": {"mailing_list": True}, "action": "seal"}, Action.SEAL),
        ({"when": {"mailing_list": True}, "action": "notify"}, Action.HOLD),
        ({"when": {"mailing_list": True}, "action": "seal", "mode": "shadow"}, Action.HOLD),
        ({"when": {"mailing_list": True}, "action": "refuse"}, Action.REFUSE),
    ],
)
def test_a_rule_may_mean_the_list(
    rule: dict[str, object], expected: Action, a_message: Callable[..., Message], rules: Callable[..., Ruleset]
) -> None:
    """Only a live rule that names mailing lists and asks for the seal takes the built-in rule's place.

    It is about the list and nobody else.
    """
    ruleset = rules({"when": {"keywords": ["asthma"]}}, rule, mailing_lists=("all@example.net",))
    verdict, other = judge(ruleset, a_message("asthma", to=("all@example.net", "jane@example.net")))
    assert verdict.action is expected
    assert [hit.rule for hit in (*other.hits, *other.shadow)] == ["rule-0"]


def test_what_the_sender_may_let_go(a_message: Callable[..., Message], rules: Callable[..., Ruleset]) -> None:
    """As it is only where each rule that holds it says so, and none asks for a seal: the word lifts the hold alone."""
    asthma, gout = {"keywords": ["asthma"]}, {"keywords": ["gout"]}
    free, strict = {"action": "hold", "release": "any"}, {"action": "hold"}
    for message, written, allowed in (
        ("asthma", ({"when": asthma, **free},), True),
        ("asthma", ({"when": asthma, **strict},), False),
        ("asthma gout", ({"when": asthma, **free}, {"when": gout, **strict}), False),
        ("asthma gout", ({"when": asthma, **free}, {"when": gout, "action": "seal"}), False),
        ("asthma gout", ({"when": asthma, **free}, {"when": gout, "action": "notify"}), True),
        ("asthma", ({"when": asthma, **free}, {"when": gout, "action": "seal"}), True),
    ):
        (verdict,) = judge(rules(*written), a_message(message))
        assert verdict.action is Action.HOLD
        assert verdict.may_go_plain is allowed


def test_the_rule_that_asks_for_more_receipts_wins(
    a_message: Callable[..., Message], rules: Callable[..., Ruleset]
) -> None:
    """Among the rules that decided; a milder rule has no say, and without a rule the sender would hear."""
    ruleset = rules(
        {"when": {"keywords": ["asthma"]}, "receipt": "never"},
        {"when": {"keywords": ["gout"]}, "receipt": "problems"},
        {"when": {"keywords": ["flu"]}, "action": "notify", "receipt": "always"},
    )
    for text, expected in (
        ("asthma", Receipt.NEVER),
        ("asthma gout", Receipt.PROBLEMS),
        ("asthma flu", Receipt.NEVER),
        ("flu", Receipt.ALWAYS),
        ("", Receipt.ALWAYS),
    ):
        assert judge(ruleset, a_message(text))[0].receipt is expected
