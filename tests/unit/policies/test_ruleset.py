"""Rules that cannot be meant are refused: with the place, and with a sentence."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from policies.ruleset import RulesError, Ruleset, RuleSpec

Rules = Callable[..., Ruleset]


@pytest.mark.parametrize(
    ("rule", "path", "sentence"),
    [
        ({"when": {"identifer": "nhs"}}, ("when",), "did you mean identifier?"),
        ({"when": {"identifier": "nsh"}}, ("when", "identifier"), "'nhs'"),
        ({"when": {"identifier": "nhs", "pattern": "x"}}, ("when",), "stand side by side"),
        ({"when": {"identifier": "nhs", "at_least": 0}}, ("when", "at_least"), "greater than or equal to 1"),
        ({"when": {"identifier": "nhs", "at_least": 5000}}, ("when", "at_least"), "less than or equal to 1000"),
        ({"when": {"identifier": "nhs", "at_leas": 2}}, ("when", "at_leas"), "Extra inputs"),
        ({"when": {"any": [{"keywords": ["ab"]}, {"identifier": "nhs", "confidence": "hig"}]}}, ("when", "any", 1, "confidence"), "'high'"),
        ({"when": {"not": {"unfamiliar": "first"}}}, ("when", "not", "unfamiliar"), "first-contact"),
        ({"when": {"not_inspectable": False}}, ("when", "not_inspectable"), "True"),
        ({"when": {"attachment": {"present": False}}}, ("when", "attachment", "present"), "True"),
        ({"when": "nhs"}, ("when",), "as a table"),
        ({"when": {"calendar": False}}, ("when", "calendar"), "True"),
        ({"when": {"mailing_list": "x"}}, ("when", "mailing_list"), "True"),
        ({"when": {"encrypted": False}}, ("when", "encrypted"), "True"),
        ({"release": "plain"}, ("release",), "'sealed'"),
        ({"receipt": "yes"}, ("receipt",), "'always'"),
        ({"action": "encrypt"}, ("action",), "'seal'"),
        ({"mode": "on"}, ("mode",), "'live'"),
        ({"name": ""}, ("name",), "at least 1 character"),
        ({"because": None}, ("because",), "valid string"),
        ({"unless": {}}, ("unless",), "Extra inputs"),
    ],
)  # fmt: skip
def test_badly_written_rules(rule: dict[str, Any], path: tuple[str | int, ...], sentence: str, rules: Rules) -> None:
    """What cannot be read is refused at exactly the key that is wrong."""
    with pytest.raises(ValidationError) as caught:
        rules({"when": {"identifier": "nhs"}, **rule})
    (error,) = caught.value.errors()
    assert error["loc"] == path
    assert sentence in error["msg"]


KEYWORDS = {"keywords": ["asthma"]}


@pytest.mark.parametrize(
    ("rule", "path", "sentence"),
    [
        ({"when": {"keywords": "helth"}}, ("rules", 0, "when", "keywords"), 'did you mean "health"?'),
        ({"when": {"keywords": "x"}}, ("rules", 0, "when", "keywords"), 'write keywords = ["x"]'),
        ({"when": {"keywords": []}}, ("rules", 0, "when", "keywords"), "empty"),
        ({"when": {"keywords": ["*"]}}, ("rules", 0, "when", "keywords"), "too short"),
        ({"when": {"keywords": "empty"}}, ("lists", "empty"), "has no terms"),
        ({"when": {"keywords": "health", "at_least": 3}}, ("rules", 0, "when", "at_least"), "the list has 2"),
        ({"when": {"keywords": ["HIV", "hiv"], "at_least": 2}}, ("rules", 0, "when", "at_least"), "the list has 1"),
        ({"when": {"pattern": "(?=x)"}}, ("rules", 0, "when", "pattern"), "look-ahead"),
        ({"when": {"pattern": "a*"}}, ("rules", 0, "when", "pattern"), "every message"),
        ({"when": {"any": []}}, ("rules", 0, "when", "any"), "empty"),
        ({"when": {"any": [KEYWORDS, {"not": {"all": []}}]}}, ("rules", 0, "when", "any", 1, "not", "all"), "empty"),
        ({"when": {"subject_tag": " \u200b"}}, ("rules", 0, "when", "subject_tag"), "empty"),
        ({"when": {"attachment": {}}}, ("rules", 0, "when", "attachment"), "present = true"),
        ({"when": {"attachment": {"name": []}}}, ("rules", 0, "when", "attachment", "name"), "empty"),
        ({"when": {"attachment": {"type": "pdf"}}}, ("rules", 0, "when", "attachment", "type"), "application/pdf"),
        ({"when": {"recipient_domain": []}}, ("rules", 0, "when", "recipient_domain"), "empty"),
        ({"when": {"recipient_domain": "a@b.example"}}, ("rules", 0, "when", "recipient_domain"), "without"),
        ({"when": {"recipient_domain": "b..example"}}, ("rules", 0, "when", "recipient_domain"), "not a domain"),
        ({"when": {"all": [KEYWORDS, {"not": KEYWORDS}]}}, ("rules", 0, "when", "all", 1), "never hold"),
        ({"to": "outsde"}, ("rules", 0, "to"), 'did you mean "outside"?'),
        ({"to": "partners"}, ("rules", 0, "to"), 'did you mean "group:partners"?'),
        ({"to": "group:partner"}, ("rules", 0, "to"), 'did you mean "partners"?'),
        ({"to": "group:nobody"}, ("rules", 0, "to"), "empty"),
        ({"to": "group:odd"}, ("rules", 0, "to"), "nothing before"),
        ({"to": "jane@b.example"}, ("rules", 0, "to"), "is an address"),
        ({"to": "inside", "when": {"visible_outside": {"at_least": 5}}}, ("rules", 0, "to"), "leaves exactly their copies out"),
        ({"to": "a.example", "when": {"recipient_domain": "b.example"}}, ("rules", 0, "to"), "no recipient"),
        ({"name": "Not-Inspectable"}, ("rules", 0, "name"), "built-in rule"),
        ({"name": "mailing-list"}, ("rules", 0, "name"), "built-in rule"),
        ({"release": "any"}, ("rules", 0, "release"), 'action is "seal"'),
        ({"receipt": "never", "action": "refuse"}, ("rules", 0, "receipt"), "no receipt is written"),
        ({"receipt": "never", "action": "notify"}, ("rules", 0, "receipt"), "nothing is left of the rule"),
        ({"when": {"not": {"mailing_list": True}}}, ("rules", 0, "when", "not", "mailing_list"), "names no address"),
        ({"because": "two\nlines"}, ("rules", 0, "because"), "line breaks"),
    ],
)  # fmt: skip
def test_rules_that_could_never_do_what_they_say(
    rule: dict[str, Any], path: tuple[str | int, ...], sentence: str, rules: Rules
) -> None:
    """A rule that would silently do nothing, or anything at all, is refused where it is wrong, even when it is off."""
    for mode in ("live", "off"):
        with pytest.raises(RulesError) as caught:
            rules(
                {"when": {"identifier": "nhs"}, **rule, "mode": mode},
                lists={"health": ("asthma", "insulin"), "empty": ()},
                groups={"partners": ("b.example",), "nobody": (), "odd": ("@b.example",)},
            )
        (fault,) = caught.value.faults
        assert fault.path == path
        assert sentence in fault.sentence


def test_every_fault_is_reported_at_once(rules: Rules) -> None:
    """Three wrong rules give three faults, in the order of the file, each with its rule."""
    with pytest.raises(RulesError) as caught:
        rules(
            {"to": "group:x", "when": {"identifier": "nhs"}},
            {"name": "rule-0", "when": {"keywords": "none"}},
            {"when": {"any": [{"pattern": "("}, {"keywords": "none"}]}},
        )
    assert [fault.rule for fault in caught.value.faults] == [0, 1, 1, 2, 2]
    assert "rules[2].when.any[0].pattern: RE2 cannot read this pattern" in str(caught.value)


def test_a_live_pass_is_a_warning(rules: Rules) -> None:
    """Passing takes nothing back from stricter rules: the author is told, unless it is about what nobody could read."""
    (warning,) = rules({"when": {"recipient_domain": "partner.example"}, "action": "pass"}).warnings
    assert warning.path == ("rules", 0, "action")
    assert "strictest rule wins" in warning.sentence
    assert rules({"when": {"any": [{"not_inspectable": True}]}, "action": "pass"}).warnings == ()
    assert rules({"when": {"not_inspectable": True}, "action": "pass", "mode": "shadow"}).warnings == ()


def test_domains_may_be_written_in_any_alphabet(rules: Rules) -> None:
    """A Unicode domain and its A-label are the same place."""
    destination = rules({"to": "b\u00fccher.example, *.PARTNER.example", "when": {"identifier": "nhs"}}).rules[0].to
    assert destination.places is not None
    assert destination.places.domains == {"xn--bcher-kva.example"}
    assert destination.places.parents == (".partner.example",)


def test_rules_have_a_schema_for_editors() -> None:
    """The JSON schema of a rule names every condition."""
    schema = json.dumps(RuleSpec.model_json_schema())
    assert all(
        f'"{key}"' in schema
        for key in ("identifier", "keywords", "pattern", "unfamiliar", "subject_tag", "any", "all", "not")
    )
