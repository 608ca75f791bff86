"""Verdicts: per recipient, the strictest live rule wins, what could not be inspected seals."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Event
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policies import engine, explanation
from policies.model import Acquaintance, Action, Attachment, Content, Message, Recipient
from policies.ruleset import Ruleset
from policies.scanning import Scanner, Seen

LOCKED = Attachment("plan.zip", "application/zip", 9, problem="is protected with a password", encrypted=True)
OUTSIDE, INSIDE = "reader@outside.example", "colleague@example.org"

Build = Callable[..., Message]
Rules = Callable[..., Ruleset]


def actions(ruleset: Ruleset, message: Message) -> list[str]:
    return [verdict.action.word for verdict in engine.judge(ruleset, message)]


def test_without_rules_everything_passes(a_message: Build, rules: Rules) -> None:
    """No rule, no verdict but pass; no recipient, no verdict at all."""
    assert actions(rules(), a_message("NHS 943 476 5919")) == ["pass"]
    assert engine.judge(rules(), a_message("x", to=())) == ()


def test_each_recipient_has_a_verdict(a_message: Build, rules: Rules) -> None:
    """One message, three recipients, three verdicts in the order of the envelope."""
    ruleset = rules(
        {"when": {"identifier": "nhs"}, "to": "outside"},
        {"when": {"keywords": ["salary"]}, "to": "group:press", "action": "refuse"},
        groups={"press": ("paper.example", "jo@blog.example")},
    )
    message = a_message("NHS 943 476 5919, salary", to=(INSIDE, OUTSIDE, "jo@blog.example", "al@blog.example"))
    assert actions(ruleset, message) == ["pass", "seal", "refuse", "seal"]


@pytest.mark.parametrize(
    ("whom", "expected"),
    [
        ({}, ["seal", "seal"]),
        ({"to": "any"}, ["seal", "seal"]),
        ({"to": "inside"}, ["seal", "pass"]),
        ({"to": "outside"}, ["pass", "seal"]),
    ],
)
def test_a_rule_is_about_everybody_unless_it_says_whom(
    whom: dict[str, str], expected: list[str], a_message: Build, rules: Rules
) -> None:
    """Colleagues too: a rule against salaries in the house would else be silent."""
    assert (
        actions(rules({"when": {"keywords": ["salary"]}, **whom}), a_message("salary", to=(INSIDE, OUTSIDE)))
        == expected
    )


def test_a_partner_may_be_enough(a_message: Build, rules: Rules) -> None:
    """Where each rule that would seal allows it, a partner's copy is relayed with a word to the sender; else sealed."""
    partner = Recipient("records@hospital.example", "hospital.example", inside=False, partner="hospital")
    allowed = {"when": {"identifier": "nhs"}, "partners": "enough"}
    message = replace(a_message("NHS 943 476 5919", to=(OUTSIDE,)), recipients=(partner, *a_message("x").recipients))
    (lenient, other) = engine.judge(rules(allowed), message)
    assert (lenient.action.word, other.action.word) == ("notify", "seal")
    assert [hit.because for hit in lenient.deciding] == ["it says so"]
    strict = rules(allowed, {"when": {"identifier": "nhs"}})
    assert actions(strict, message) == ["seal", "seal"]
    unread = replace(message, content=replace(message.content, problems=("was cut",)))
    assert actions(rules(allowed), unread) == ["seal", "seal"], "what could not be inspected is sealed for partners too"
    [explained, _] = explanation.explain(rules(allowed), message)
    assert (explained.recipient.partner, explained.action.word) == ("hospital", "notify")


def test_findings_are_masked_and_say_where(a_message: Build, rules: Rules) -> None:
    """The subject and the names of attachments are texts as the body is."""
    attachment = Attachment("letter 943 476 5919.pdf", "application/pdf", 5)
    ruleset = rules({"when": {"identifier": "nhs"}})
    message = a_message("NHS 943 476 5919", subject="patient 943 476 5919", attachments=(attachment,))
    (verdict,) = engine.judge(ruleset, message)
    assert [(found.detector, found.where, found.evidence) for found in verdict.hits[0].findings] == [
        ("nhs", "subject", "943 *** ***9"),
        ("nhs", "body", "943 *** ***9"),
        ("nhs", "name of letter 94* *** ****.pdf", "943 *** ***9"),
    ]


def test_names_of_attachments_are_read_together_too(a_message: Build, rules: Rules) -> None:
    """Files that are called by numbers are a column; what one name says by itself is not told again."""
    numbers = ("111222333", "123456782", "100000009", "999990019")
    files = tuple(Attachment(f"{number}.pdf", "application/pdf", 5) for number in numbers)
    ruleset = rules({"when": {"identifier": "bsn"}}, {"when": {"pattern": r"EMP_\d{5}"}})
    (verdict,) = engine.judge(ruleset, a_message("see the files", attachments=files))
    assert [(found.where, found.count) for found in verdict.hits[0].findings] == [("names of attachments", 4)]
    named = Attachment("BSN_111222333_EMP_12345.pdf", "application/pdf", 5)
    (verdict,) = engine.judge(ruleset, a_message("see the file", attachments=(named,)))
    assert [[found.where for found in hit.findings] for hit in verdict.hits] == [
        ["name of BSN_11*******_EMP_12345.pdf"],
        ["names of attachments"],
    ]


def test_numbers_are_counted_once_over_the_message(a_message: Build, rules: Rules) -> None:
    """at_least counts different numbers: the same one in subject and body is one."""
    ruleset = rules({"when": {"identifier": "nhs", "at_least": 2}})
    assert actions(ruleset, a_message("NHS 943 476 5919", subject="943 476 5919")) == ["pass"]
    assert actions(ruleset, a_message("NHS 943 476 5919", subject="401 023 2137")) == ["seal"]


@pytest.mark.parametrize(("confidence", "expected"), [("low", "seal"), ("medium", "pass"), ("high", "pass")])
def test_a_rule_says_how_sure_it_wants_to_be(confidence: str, expected: str, a_message: Build, rules: Rules) -> None:
    """A bare number is enough for low, and only for low."""
    ruleset = rules({"when": {"identifier": "nhs", "confidence": confidence}})
    assert actions(ruleset, a_message("9434765919")) == [expected]


def test_trees_of_conditions(a_message: Build, rules: Rules) -> None:
    """any, all and not nest; not leaves no finding."""
    when = {
        "all": [{"any": [{"keywords": ["asthma"]}, {"pattern": "EMP-[0-9]+"}]}, {"not": {"subject_tag": "[public]"}}]
    }
    ruleset = rules({"when": when})
    assert actions(ruleset, a_message("asthma")) == ["seal"]
    assert actions(ruleset, a_message("EMP-1")) == ["seal"]
    assert actions(ruleset, a_message("nothing")) == ["pass"]
    assert actions(ruleset, a_message("asthma", subject="[Public] leaflet")) == ["pass"]
    (verdict,) = engine.judge(ruleset, a_message("asthma EMP-12345678"))
    assert [found.evidence for found in verdict.hits[0].findings] == ["asthma", "EM*-********"]


def test_shadow_rules_are_recorded_and_change_nothing(a_message: Build, rules: Rules) -> None:
    """A shadow hit stands apart; a rule that is off is not looked at."""
    ruleset = rules(
        {"when": {"keywords": ["asthma"]}, "action": "refuse", "mode": "shadow"},
        {"when": {"keywords": ["asthma"]}, "action": "refuse", "mode": "off"},
        {"when": {"keywords": ["asthma"]}, "action": "notify"},
    )
    (verdict,) = engine.judge(ruleset, a_message("asthma"))
    assert verdict.action is Action.NOTIFY
    assert [hit.rule for hit in verdict.hits] == ["rule-2"]
    assert [hit.rule for hit in verdict.shadow] == ["rule-0"]


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({}, ["notify", "notify"]),
        ({OUTSIDE: Acquaintance(sent=1.0)}, ["pass", "notify"]),
        ({OUTSIDE: Acquaintance(received=0.5)}, ["pass", "notify"]),
        ({OUTSIDE: Acquaintance(organisation=9.0)}, ["notify", "notify"]),
    ],
)
def test_first_contact(known: dict[str, Acquaintance], expected: list[str], a_message: Build, rules: Rules) -> None:
    """A recipient is new until a message went one way or the other; what colleagues wrote does not count."""
    ruleset = rules({"when": {"unfamiliar": "first-contact"}, "action": "notify"})
    message = a_message(to=(OUTSIDE, "other@outside.example"), acquaintances=known)
    assert actions(ruleset, message) == expected


def test_first_contact_of_the_organisation(a_message: Build, rules: Rules) -> None:
    """What colleagues wrote counts where a rule asks about the whole organisation."""
    ruleset = rules({"when": {"unfamiliar": "first-contact-organisation"}})
    assert actions(ruleset, a_message(acquaintances={OUTSIDE: Acquaintance(organisation=1.0)})) == ["pass"]
    assert actions(ruleset, a_message()) == ["seal"]


def test_unknown_history_makes_strangers(a_message: Build, rules: Rules) -> None:
    """Where history could not be read everybody counts as new."""
    ruleset = rules({"when": {"unfamiliar": "first-contact"}})
    message = a_message(acquaintances={OUTSIDE: Acquaintance(sent=50.0)}, history_known=False)
    assert actions(ruleset, message) == ["seal"]


def test_recipient_domains_and_visible_recipients(a_message: Build, rules: Rules) -> None:
    """Facts of the envelope: domains with and without sub-domains, and how many outside people see each other."""
    ruleset = rules(
        {"when": {"recipient_domain": ["press.example", "*.blog.example"]}, "action": "notify"},
        {"when": {"visible_outside": {"at_least": 10}}, "to": "outside"},
    )
    to = ("a@press.example", "a@x.press.example", "a@me.blog.example", "a@blog.example", INSIDE)
    assert actions(ruleset, a_message(to=to)) == ["notify", "pass", "notify", "pass", "pass"]
    assert actions(ruleset, a_message(to=to, visible_outside=10)) == ["seal", "seal", "seal", "seal", "pass"]


@pytest.mark.parametrize(
    ("attachment", "problems"),
    [(LOCKED, ()), (None, ("one part could not be decoded",))],
)
def test_what_could_not_be_inspected_seals(
    attachment: Attachment | None, problems: tuple[str, ...], a_message: Build, rules: Rules
) -> None:
    """Without any rule the floor seals for outside recipients, in words that name what could not be read."""
    message = a_message(
        "hello", to=(OUTSIDE, INSIDE), attachments=(attachment,) if attachment else (), problems=problems
    )
    outside, inside = engine.judge(rules(), message)
    assert (outside.action, inside.action) == (Action.SEAL, Action.PASS)
    assert outside.hits[0].rule == "not-inspectable"
    assert ("plan.zip” is protected with a password" in outside.hits[0].because) == bool(attachment)
    assert ("inspected completely: one part could not be decoded" in outside.hits[0].because) == bool(problems)


def test_the_reason_names_three_things_at_most(a_message: Build, rules: Rules) -> None:
    """Twenty locked attachments do not make a sentence of twenty clauses."""
    (verdict,) = engine.judge(rules(), a_message(attachments=(LOCKED,) * 20))
    assert verdict.hits[0].because.count("plan.zip") == 3
    assert verdict.hits[0].because.endswith("17 more parts could not be inspected")
    (verdict,) = engine.judge(
        rules(), a_message(attachments=(replace(LOCKED, problem=""), *(replace(LOCKED, name=""),) * 3))
    )
    assert verdict.hits[0].because == "; ".join(
        f"the attachment “attachment {number}” is protected with a password" for number in (2, 3, 4)
    )


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"when": {"not_inspectable": True}, "action": "refuse"}, "refuse"),
        ({"when": {"not_inspectable": True}, "action": "notify"}, "notify"),
        ({"when": {"not_inspectable": True}, "action": "pass"}, "pass"),
        ({"when": {"not_inspectable": True}, "action": "pass", "mode": "shadow"}, "seal"),
        ({"when": {"not_inspectable": True}, "action": "pass", "mode": "off"}, "seal"),
        ({"when": {"not_inspectable": True}, "action": "pass", "to": "partner.example"}, "seal"),
        ({"when": {"not": {"not_inspectable": True}}, "action": "pass"}, "seal"),
        ({"when": {"all": [{"not_inspectable": True}, {"keywords": ["budget"]}]}, "action": "pass"}, "seal"),
        ({"when": {"any": [{"not_inspectable": True}, {"keywords": ["plan"]}]}, "action": "notify"}, "notify"),
        ({"when": {"keywords": ["hello"]}, "action": "notify"}, "seal"),
    ],
)
def test_only_a_live_rule_that_held_replaces_the_floor(
    rule: dict[str, Any], expected: str, a_message: Build, rules: Rules
) -> None:
    """A rule that is not live, is about others or did not hold leaves the floor in place: a typo cannot open it."""
    assert actions(rules(rule), a_message("hello", attachments=(LOCKED,))) == [expected]


def test_mail_that_the_sender_encrypted_is_a_fact_of_its_own(a_message: Build, rules: Rules) -> None:
    """Encrypted by the sender is no failure of ours: a rule may ask for it, the floor does not."""
    signed = Attachment("smime.p7m", "application/pkcs7-mime", 9, encrypted=True)
    assert actions(rules(), a_message(attachments=(signed,))) == ["pass"]
    assert actions(rules({"when": {"attachment": {"encrypted": True}}}), a_message(attachments=(signed,))) == ["seal"]


def test_detectors_run_once_for_a_thousand_recipients(a_message: Build, rules: Rules) -> None:
    """The findings of all recipients are the very same objects."""
    ruleset = rules({"when": {"identifier": "nhs"}})
    to = tuple(f"reader{number}@outside.example" for number in range(1000))
    verdicts = engine.judge(ruleset, a_message("NHS 943 476 5919", to=to))
    assert len({id(verdict.hits[0].findings) for verdict in verdicts}) == 1


def test_judging_from_several_threads(a_message: Build, rules: Rules) -> None:
    """One ruleset serves many threads."""
    ruleset = rules({"when": {"identifier": "nhs"}}, {"when": {"keywords": ["asthma"]}, "action": "notify"})
    messages = [
        a_message(f"NHS 943 476 5919 {'x ' * 5000}") if turn % 2 else a_message("asthma") for turn in range(100)
    ]
    with ThreadPoolExecutor(8) as pool:
        judged = list(pool.map(lambda message: actions(ruleset, message), messages))
    assert judged == [["seal"] if turn % 2 else ["notify"] for turn in range(100)]


_LEAVES = st.sampled_from(
    [
        {"keywords": ["asthma"]},
        {"keywords": ["insulin", "dialysis"], "at_least": 2},
        {"pattern": "EMP-[0-9]{5}"},
        {"identifier": "card"},
        {"unfamiliar": "first-contact"},
        {"recipient_domain": "outside.example"},
        {"visible_outside": {"at_least": 3}},
        {"subject_tag": "[secure]"},
        {"attachment": {"name": "*.zip"}},
        {"not_inspectable": True},
    ]
)
_CONDITIONS = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"any": parts}),
        inner.map(lambda part: {"all": [part]}),
        inner.map(lambda part: {"not": part}),
    ),
    max_leaves=4,
)
_RULES = st.lists(
    st.fixed_dictionaries(
        {
            "when": _CONDITIONS,
            "action": st.sampled_from(["pass", "notify", "seal", "refuse"]),
            "mode": st.sampled_from(["live", "live", "shadow", "off"]),
            "to": st.sampled_from(["any", "outside", "outside.example"]),
        }
    ),
    max_size=4,
)
_MESSAGES = st.fixed_dictionaries(
    {
        "text": st.lists(st.sampled_from(["asthma", "insulin, dialysis", "EMP-12345", "card 4111 1111 1111 1111"])).map(
            " ".join
        ),
        "subject": st.sampled_from(["", "[secure] letter"]),
        "to": st.permutations([OUTSIDE, INSIDE, "b@other.example"]).map(tuple),
        "attachments": st.sampled_from([(), (LOCKED,)]),
        "visible_outside": st.integers(0, 5),
    }
)
_PROPERTY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@_PROPERTY
@given(some=_RULES, more=_RULES, facts=_MESSAGES)
def test_more_rules_never_make_a_verdict_milder(
    some: list[dict[str, Any]], more: list[dict[str, Any]], facts: dict[str, Any], a_message: Build, rules: Rules
) -> None:
    """Adding rules can only make a verdict stricter, as long as none of them decides about what nobody could read."""
    message = a_message(**{**facts, "attachments": ()})
    before = engine.judge(rules(*some), message)
    after = engine.judge(rules(*some, *more), message)
    assert all(one.action <= other.action for one, other in zip(before, after, strict=True))


@_PROPERTY
@given(some=_RULES, facts=_MESSAGES)
def test_verdicts_do_not_depend_on_the_order_of_recipients(
    some: list[dict[str, Any]], facts: dict[str, Any], a_message: Build, rules: Rules
) -> None:
    """A recipient gets the same verdict in any company and at any place."""
    ruleset = rules(*some)
    together = {verdict.recipient: verdict for verdict in engine.judge(ruleset, a_message(**facts))}
    for verdict in together.values():
        (alone,) = engine.judge(ruleset, a_message(**{**facts, "to": (verdict.recipient.address,)}))
        assert alone == verdict


@_PROPERTY
@given(some=_RULES, facts=_MESSAGES)
def test_shadow_never_changes_an_action(
    some: list[dict[str, Any]], facts: dict[str, Any], a_message: Build, rules: Rules
) -> None:
    """Without its shadow rules a ruleset gives the same actions and the same live hits."""
    message = a_message(**facts)
    named = [{**rule, "name": f"n{number}"} for number, rule in enumerate(some)]
    with_shadow = engine.judge(rules(*named), message)
    without = engine.judge(rules(*(rule for rule in named if rule["mode"] == "live")), message)
    assert [(one.action, one.hits) for one in with_shadow] == [(one.action, one.hits) for one in without]


def test_messages_are_judged_side_by_side(a_message: Build, rules: Rules) -> None:
    """A message whose text is still being searched keeps no other waiting."""
    ruleset = rules({"when": {"identifier": "nhs"}, "action": "seal"})
    searching, judged = Event(), Event()

    class Slow(Scanner):
        def scan(self, content: Content) -> Mapping[int, Sequence[Seen]]:
            searching.set()
            assert judged.wait(30)
            return ruleset.scanner.scan(content)

    message = a_message("NHS number 943 476 5919")
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(actions, replace(ruleset, scanner=Slow(())), message)
        assert searching.wait(30)
        quick = actions(ruleset, message)
        judged.set()
        assert quick == slow.result(30) == ["seal"]
