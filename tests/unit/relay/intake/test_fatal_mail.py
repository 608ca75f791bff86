"""A message that our own code cannot get through (R9): put off, and in the end taken as one that nobody could read."""

import pytest

from policies.engine import judge
from policies.model import Message, RuleHit, Verdict
from policies.ruleset import Ruleset
from relay import judging
from relay.store.tables.queue import Kind
from tests.letters import ANNA, COLLEAGUE, JANE, letter
from tests.unit.relay.intake.house import House


def test_three_errors_and_it_is_sealed_unread(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each failure leaves the message with its sender; the fourth time it is sealed for outside. Other mail flows."""

    def fatal(ruleset: Ruleset, message: Message, *, floor: RuleHit | None) -> tuple[Verdict, ...]:
        if message.content.subject == "fatal":
            raise RecursionError
        return judge(ruleset, message, floor=floor)

    monkeypatch.setattr(judging, "judge", fatal)
    poison = letter(to=[JANE, COLLEAGUE], subject="fatal")
    for number in range(3):
        with pytest.raises(RecursionError):
            house.take(ANNA, [JANE, COLLEAGUE], poison)
        assert house.take(ANNA, [f"good{number}@example.net"], letter(to=["good@example.net"])).code == 250
    assert not house.posted(Kind.NOTICE)
    assert house.take(ANNA, [JANE, COLLEAGUE], poison).code == 250
    assert [one.recipient for one in house.posted(Kind.NOTICE)] == [JANE]
    assert [one.recipient for one in house.posted(Kind.MAIL)] == [
        *(f"good{number}@example.net" for number in range(3)),
        COLLEAGUE,
    ]
    [receipt] = house.send_receipts()
    assert "was not read, because this gateway failed each time that it tried" in receipt.text
