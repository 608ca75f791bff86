from typing import Any

import pytest

from policies.ruleset import RuleSpec
from relay.cli.wording import rule_words


@pytest.mark.parametrize(
    ("when", "words"),
    [
        ({"identifier": "iban", "at_least": 2}, "contains an IBAN, at least 2 different ones"),
        ({"identifier": "bsn", "confidence": "high"}, "contains a citizen service number (BSN) (high confidence)"),
        ({"keywords": ["a", "b"]}, "contains a term of a or b"),
        ({"pattern": "x+", "at_least": 2}, "matches /x+/ in 2 places"),
        ({"unfamiliar": "first-contact-organisation"}, "goes to somebody nobody here ever wrote to"),
        ({"recipient_domain": ["a.example", "b.example"]}, "goes to a.example or b.example"),
        ({"attachment": {"present": True}}, "has an attachment"),
        (
            {"attachment": {"encrypted": False, "type": "application/pdf"}},
            "has an attachment of type application/pdf that is not encrypted",
        ),
        ({"calendar": True}, "has an entry for a calendar"),
        ({"mailing_list": True}, "goes to a mailing list of the organisation"),
        ({"encrypted": True}, "was encrypted by its sender"),
        ({"not_inspectable": True}, "has something in it that cannot be read"),
        (
            {"all": [{"any": [{"identifier": "nhs"}, {"identifier": "nino"}]}, {"not": {"subject_tag": "[ok]"}}]},
            "(contains an NHS number or contains a National Insurance number) and not (has [ok] in its subject)",
        ),
    ],
)
def test_a_condition_reads_as_a_sentence(when: dict[str, Any], words: str) -> None:
    """Every condition of a rule can be said in words."""
    rule = RuleSpec.model_validate({"name": "r", "because": "b", "to": "outside", "when": when, "action": "seal"})
    assert rule_words(rule) == f"seal it when mail to people outside {words}"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"to": "a.example, b.example"}, "seal it when mail to a.example or b.example has [s] in its subject"),
        ({"to": "group:partners"}, "seal it when mail to the group partners has [s] in its subject"),
        ({"mode": "off"}, "(off) seal it when mail to anybody has [s] in its subject"),
    ],
)
def test_target_and_mode_are_said(given: dict[str, str], words: str) -> None:
    """A rule says whom it is about, and when it does not act."""
    rule = RuleSpec.model_validate(
        {"name": "r", "because": "b", "when": {"subject_tag": "[s]"}, "action": "seal", **given}
    )
    assert rule_words(rule) == words
