"""How the network cuts a session changes nothing."""

import asyncio
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.relay.smtp.in_memory import converse

SESSION = (
    b"EHLO client.example\r\n"
    b"MAIL FROM:<a@client.example> SIZE=90 BODY=8BITMIME\r\nRCPT TO:<b@there.example> NOTIFY=NEVER\r\nDATA\r\n"
    b"..one\r\n.two\r\n..\r\n\r\n.\r\n"
    b"MAIL FROM:<>\r\nRCPT TO:<>\r\nRCPT TO:<c@there.example>\r\nBDAT 5\r\none\r\nBDAT 6 LAST\r\n.\r\nx\r\n"
    b"bad\ncommand\r\nNO\rOP\r\nXYZZY\r\n"
    b"MAIL FROM:<a@client.example>\r\nRCPT TO:<b@there.example>\r\nDATA\r\nsmuggled\n.\nMAIL FROM:<e@x>\r\n.\r\n"
    b"MAIL FROM:<a@client.example>\r\nRCPT TO:<b@there.example>\r\nDATA\r\n"
    b"cr\r.\rnul\0\r\n.\r\r\n\r\n.\r\n"
    b"MAIL FROM:<a@client.example>\r\nRCPT TO:<b@there.example>\r\nDATA\r\n" + b"0123456\r\n" * 120 + b".\r\n"
    b"NOOP " + b"x" * 3000 + b"\r\nMAIL FROM:<z@client.example>\r\nRCPT TO:<b@there.example>\r\nDATA\r\n.\r\nQUIT\r\n"
)
# Fewer cuts where one place is like the next.
_DULL = range(SESSION.index(b"0123456\r\n" * 3), SESSION.index(b"NOOP x"))
PLACES = [at for at in range(1, len(SESSION)) if at not in _DULL and SESSION[at - 2 : at + 1] != b"xxx"]


def outcome(pieces: list[bytes]) -> object:
    return asyncio.run(converse(pieces))


WHOLE = outcome([SESSION])


def test_whole_session() -> None:
    """The session that is cut below does what it should, so that equality means something."""
    said, accepted = asyncio.run(converse([SESSION]))
    assert [content for _, content in accepted] == [b".one\r\ntwo\r\n.\r\n\r\n", b"one\r\n.\r\nx\r\n", b""]
    assert [envelope.reverse_path for envelope, _ in accepted] == ["a@client.example", "", "z@client.example"]
    codes = " ".join(line[:3] for line in said.decode().splitlines() if line[3] == " ")
    assert codes == (
        "220 250 250 250 354 250 250 501 250 250 250 500 500 500 250 250 354 550 250 250 354 550 "
        "250 250 354 552 500 250 250 354 250 221"
    )


def test_cut_in_two_at_every_place() -> None:
    """Two pieces, cut anywhere, have the outcome of one."""

    async def all_places() -> list[int]:
        return [at for at in PLACES if await converse([SESSION[:at], SESSION[at:]]) != WHOLE]

    assert asyncio.run(all_places()) == []


def test_octet_by_octet() -> None:
    """The session in single octets has the outcome of one piece."""
    assert outcome([SESSION[at : at + 1] for at in range(len(SESSION))]) == WHOLE


@settings(max_examples=60, deadline=None)
@given(st.sets(st.integers(1, len(SESSION) - 1), max_size=12))
def test_cut_anyhow(places: set[int]) -> None:
    """Many pieces have the outcome of one."""
    cuts = [0, *sorted(places), len(SESSION)]
    assert outcome([SESSION[start:end] for start, end in pairwise(cuts)]) == WHOLE
