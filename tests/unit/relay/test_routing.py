"""From verdicts to ways out."""

import pytest

from policies.model import Action, Receipt, Recipient, RuleHit, Verdict
from relay.routing import WAYS, Routing, Way, route
from relay.smtp.values import ForwardPath

OUTSIDE = "jane@example.net"
INSIDE = "ben@example.org"


def verdict(address: str, action: Action) -> Verdict:
    recipient = Recipient(address, address.partition("@")[2], inside=address == INSIDE)
    hits = () if action is Action.PASS else (RuleHit("a-rule", "it says so", action, ()),)
    return Verdict(recipient, action, hits)


def routed(
    *actions: tuple[str, Action],
    null_sender: bool = False,
    auto_submitted: bool = False,
    sender_inside: bool = True,
) -> Routing:
    return route(
        [ForwardPath(address) for address, _ in actions],
        [verdict(*pair) for pair in actions],
        null_sender=null_sender,
        auto_submitted=auto_submitted,
        sender_inside=sender_inside,
    )


def test_every_action_has_a_way() -> None:
    """No verdict falls through, and none that is stricter than pass-and-notify relays."""
    assert set(WAYS) == set(Action)
    assert {action for action, way in WAYS.items() if way is Way.RELAY} == {Action.PASS, Action.NOTIFY}


def test_three_recipients_leave_three_ways() -> None:
    """Each copy goes its own way, in the envelope's order, and the route names inside or outside."""
    routing = routed((INSIDE, Action.PASS), (OUTSIDE, Action.SEAL), ("x@example.com", Action.REFUSE))
    assert [copy.way for copy in routing.copies] == [Way.RELAY, Way.SEAL, Way.REFUSE]
    assert [copy.route for copy in routing.copies] == ["inside", "outside", "outside"]
    assert routing.refusal is None
    assert routing.receipt


def test_a_partners_copy_takes_the_partners_route() -> None:
    """Whatever else is said of it, mail for a partner's address leaves over the transport that was agreed on."""
    partner = Recipient("records@hospital.example", "hospital.example", inside=False, partner="hospital")
    for action in (Action.PASS, Action.NOTIFY):
        routing = route(
            [ForwardPath(partner.address)],
            [Verdict(partner, action)],
            null_sender=False,
            auto_submitted=False,
            sender_inside=True,
        )
        assert [(copy.way, copy.route) for copy in routing.copies] == [(Way.RELAY, "partner:hospital")]


def test_all_refused_is_refused_with_rule_and_reason() -> None:
    """When nobody may get it, the client is told at once, in the words of the rule."""
    refusal = routed((OUTSIDE, Action.REFUSE), (INSIDE, Action.REFUSE)).refusal
    assert refusal is not None
    assert (refusal.code, refusal.enhanced) == (550, "5.7.1")
    assert "it says so (rule a-rule)" in refusal.text


def test_null_sender_and_flagged_is_refused() -> None:
    """Nobody could be told, so nothing is sealed for a bounce or an automatic answer."""
    refusal = routed((INSIDE, Action.PASS), (OUTSIDE, Action.SEAL), null_sender=True).refusal
    assert refusal is not None
    assert refusal.code == 550
    assert routed((INSIDE, Action.PASS), null_sender=True).refusal is None
    assert routed((OUTSIDE, Action.NOTIFY), null_sender=True).refusal is None


@pytest.mark.parametrize(
    ("action", "auto_submitted", "told"),
    [
        (Action.PASS, False, False),
        (Action.NOTIFY, False, True),
        (Action.SEAL, False, True),
        (Action.SEAL, True, False),
        (Action.REFUSE, False, False),
    ],
)
def test_who_is_told(action: Action, auto_submitted: bool, told: bool) -> None:
    """A person is told of what was sealed or noticed; a machine is not, and clean mail tells nobody."""
    assert routed((OUTSIDE, action), auto_submitted=auto_submitted).receipt is told


@pytest.mark.parametrize("nobody", [{"null_sender": True}, {"sender_inside": False}, {"auto_submitted": True}])
def test_no_receipt_leaves_the_house(nobody: dict[str, bool]) -> None:
    """Not to the null sender, not to a stranger, and not to a machine that would answer it (RFC 3834 section 2)."""
    assert not routed((OUTSIDE, Action.NOTIFY), **nobody).receipt


def test_a_recipient_named_twice_gets_one_copy() -> None:
    """RFC 5321 leaves it to us; a person wants one mail."""
    assert len(routed((OUTSIDE, Action.PASS), (OUTSIDE, Action.PASS)).copies) == 1


def test_a_held_copy_waits_and_nothing_else_does() -> None:
    """The question is no receipt; the other copies leave as if there were no held one."""
    routing = routed((INSIDE, Action.PASS), (OUTSIDE, Action.HOLD), ("x@example.com", Action.SEAL))
    assert [copy.way for copy in routing.copies] == [Way.RELAY, Way.HOLD, Way.SEAL]
    assert routing.refusal is None
    assert routing.receipt
    assert not routed((OUTSIDE, Action.HOLD)).receipt


@pytest.mark.parametrize("nobody", [{"null_sender": True}, {"auto_submitted": True}, {"sender_inside": False}])
def test_where_nobody_can_be_asked_a_held_copy_is_refused(nobody: dict[str, bool]) -> None:
    """A strict verdict never falls back to a weaker way: not to a seal, for a machine neither."""
    routing = routed((OUTSIDE, Action.HOLD), **nobody)
    assert routing.copies[0].way is Way.REFUSE
    assert routing.refusal is not None
    assert "it says so (rule a-rule)" in routing.refusal.text


def test_a_machine_is_marked_and_hears_nothing() -> None:
    """Its flagged mail is sealed, into the conversation of the day."""
    routing = routed((OUTSIDE, Action.SEAL), auto_submitted=True)
    assert routing.machine
    assert not routing.receipt


@pytest.mark.parametrize(("wish", "told"), [(Receipt.ALWAYS, True), (Receipt.PROBLEMS, False), (Receipt.NEVER, False)])
def test_a_rule_may_want_no_receipt(wish: Receipt, told: bool) -> None:
    """Then the copy leaves without a word; a report of failure is no receipt."""
    hit = RuleHit("a-rule", "it says so", Action.SEAL, (), receipt=wish)
    sealed = Verdict(Recipient(OUTSIDE, "example.net", inside=False), Action.SEAL, (hit,))
    routing = route([ForwardPath(OUTSIDE)], [sealed], null_sender=False, auto_submitted=False, sender_inside=True)
    assert routing.receipt is told
