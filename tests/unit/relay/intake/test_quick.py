"""Which mail is judged on the event loop, and which in a thread of its own."""

import asyncio
import threading
from typing import Any

import pytest

from relay.intake import MOST_DIGITS, SMALL, few_digits
from relay.judging import Judge
from relay.smtp.values import ForwardPath, SmtpEnvelope
from tests.unit.relay.intake.house import DESK, House

HEADER = b"From: bob@example.org\r\nTo: ann@example.net\r\nSubject: x\r\nMessage-ID: <1@example.org>\r\n\r\n"
WORDS = b"the quick brown fox jumps over the lazy dog\r\n"
NUMBERS = b"4111 1111 1111 1111, 943 476 5919, 1234567897\r\n"


def filled(line: bytes, octets: int) -> bytes:
    """Return a message of about so many octets."""
    return HEADER + line * ((octets - len(HEADER)) // len(line))


@pytest.mark.parametrize(
    ("content", "thread"),
    [
        (filled(WORDS, 1000), "MainThread"),
        (filled(WORDS, SMALL), "MainThread"),
        (filled(WORDS, SMALL + 2 * len(WORDS)), "judge"),
        (filled(NUMBERS, MOST_DIGITS), "MainThread"),
        (filled(NUMBERS, 3 * MOST_DIGITS), "judge"),
    ],
    ids=["small", "128 KiB of words", "more", "few numbers", "many numbers"],
)
def test_long_work_leaves_the_event_loop(
    house: House, monkeypatch: pytest.MonkeyPatch, content: bytes, thread: str
) -> None:
    """Words take a hundredth of a microsecond an octet, numbers one: many of either would keep other clients waiting."""
    judge, threads = Judge.judge, []

    def noted(self: Judge, *arguments: Any, **named: Any) -> Any:
        threads.append(threading.current_thread().name.partition("_")[0])
        return judge(self, *arguments, **named)

    monkeypatch.setattr(Judge, "judge", noted)
    monkeypatch.setattr(house.gateway.intake, "_small", SMALL)  # as with the usual inline_limit

    async def body() -> int:
        envelope = SmtpEnvelope("bob@example.org", (ForwardPath("ann@example.net"),))
        return (await house.gateway.intake(envelope, content, DESK)).code

    assert asyncio.run(body()) == 250
    assert threads == [thread]


def test_digits_are_counted() -> None:
    """A short message needs no count; a longer one may hold as many digits."""
    assert few_digits(b"7" * MOST_DIGITS)
    assert few_digits(b"7" * MOST_DIGITS + b"x" * MOST_DIGITS)
    assert not few_digits(b"7" * (MOST_DIGITS + 1))
