"""Unread octets: lines end in CRLF only, and no client makes the server keep more than it can use."""

import asyncio

import pytest

from relay.smtp.inbox import HIGH_WATER, LINE_LIMIT, LOW_WATER, BareLineEnd, ConnectionEnded, Inbox, LineTooLong
from tests.unit.relay.smtp.in_memory import Wire


def inbox() -> Inbox:
    return Inbox(asyncio.get_running_loop())


def test_lines() -> None:
    """Complete lines come out one by one, incomplete ones stay."""

    async def body() -> None:
        box = inbox()
        box.feed(b"one\r\n\r\ntwo")
        assert [box.line(), box.line(), box.line()] == [b"one", b"", None]
        box.feed(b"\r")
        assert box.line() is None
        box.feed(b"\n")
        assert box.line() == b"two"

    asyncio.run(body())


def test_refused_lines_are_skipped_once() -> None:
    """A line with a bare LF, or without end, is reported once and skipped up to its CRLF."""

    async def body() -> None:
        box = inbox()
        box.feed(b"one\ntwo\nthree\r")
        with pytest.raises(BareLineEnd):
            box.line()
        assert box.line() is None
        box.feed(b"\n" + b"x" * (LINE_LIMIT + 1))
        with pytest.raises(LineTooLong):
            box.line()
        box.feed(b"x" * 10_000 + b"\n")
        assert box.line() is None
        box.feed(b"\r\nfour\r\n")
        assert box.line() == b"four"

    asyncio.run(body())


def test_longest_line() -> None:
    """A line of exactly the limit, CRLF included, is taken; one more octet is too many."""

    async def body() -> None:
        box = inbox()
        box.feed(b"x" * (LINE_LIMIT - 2) + b"\r\n" + b"x" * (LINE_LIMIT - 1) + b"\r\n")
        assert len(box.line() or b"") == LINE_LIMIT - 2
        with pytest.raises(LineTooLong):
            box.line()
        assert box.line() is None

    asyncio.run(body())


def test_reading_pauses_while_nobody_uses_what_came() -> None:
    """Above the high-water mark the socket is not read; below the low one it is again."""

    async def body() -> None:
        box, wire = inbox(), Wire()
        box.attach(wire)
        box.feed(b"x" * HIGH_WATER)
        assert not wire.paused
        box.feed(b"x")
        assert wire.paused
        await box.some(HIGH_WATER - LOW_WATER)
        assert wire.paused
        await box.some(10)
        assert not wire.paused

    asyncio.run(body())


def test_the_end_is_noticed_after_what_came_before() -> None:
    """End of file is reported when everything before it has been used."""

    async def body() -> None:
        box = inbox()
        box.feed(b"abc")
        box.feed_end()
        assert await box.some(2) == b"ab"
        box.put_back(b"b")
        assert await box.block() == b"bc"
        with pytest.raises(ConnectionEnded):
            await box.block()

    asyncio.run(body())


def test_drop_forgets_everything() -> None:
    """After drop() nothing is left, not even the wish to skip a line."""

    async def body() -> None:
        box = inbox()
        box.feed(b"a\nb")
        with pytest.raises(BareLineEnd):
            box.line()
        assert box.drop() == 1
        box.feed(b"NOOP\r\n")
        assert box.line() == b"NOOP"

    asyncio.run(body())
