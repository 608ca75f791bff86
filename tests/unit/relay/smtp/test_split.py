"""How the network cuts a session changes nothing."""

import asyncio
import ssl
from ipaddress import ip_network
from itertools import pairwise
from typing import Any

import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.smtp.access import Access
from relay.smtp.signing_in import SignIns
from tests.dialogues.stage import USERS, FewFailures
from tests.unit.relay.smtp.in_memory import Accepted, converse
from tests.unit.relay.smtp.tls_in_memory import SecuredWire, converse_over_tls

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


# -- other kinds of sessions, each cut in two at every place --------------------------------------

TEXT = b"MAIL FROM:<anna.baker@staff.example>\r\nRCPT TO:<b@there.example>\r\n"
SIGNING_IN = (
    b"EHLO c.example\r\nAUTH PLAIN AGFubmEAd3Jvbmc=\r\nAUTH LOGIN\r\nYW5uYQ==\r\n*\r\nAUTH PLAIN\r\nnot base64\r\n"
    b"AUTH LOGIN YW5uYQ==\r\nY29ycmVjdCBob3JzZSBiYXR0ZXJ5\r\n"
    + TEXT
    + b"BDAT 34\r\nFrom: anna.baker@staff.example\r\n\r\nBDAT 4 LAST\r\na\r\n.MAIL FROM:<boss@staff.example>\r\nQUIT\r\n"
)
CHUNKS = (
    b"EHLO c.example\r\n" + TEXT + b"BDAT 0\r\nBDAT 3\r\na\r\nBDAT 1\r\n\rBDAT 1\r\n\nBDAT 0 LAST\r\n"
    b"BDAT 6 LAST\r\nQUIT\r\n"
    + TEXT
    + b"BDAT 4\r\nNOOPRSET\r\nBDAT 6 LAST\r\nQUIT\r\n"
    + TEXT
    + b"BDAT 2\r\na\rDATA\r\nBDAT 2 LAST\r\nb\n"
    + TEXT
    + b"BDAT 1001\r\n"
    + b"x" * 1001
    + b"NOOP\r\nBDAT ten\r\n"
)
BEHIND = b"EHLO c.example\r\n" + TEXT + b"DATA\r\n..\r\n.\r\nPROXY UNKNOWN\r\nQUIT\r\n"
VERSION_1 = b"PROXY TCP4 127.0.0.1 198.51.100.1 4711 25\r\n"
VERSION_2 = b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\x7f\x00\x00\x01\xc6\x33\x64\x01\x12\x67\x00\x19"
FAILURES = FewFailures(lambda: 0.0)
LOOPBACK = (ip_network("127.0.0.0/8"),)
SIGNED = {"wire": SecuredWire, "users": USERS, "sign_ins": SignIns(FAILURES), "access": Access()}
PROXIED = {"access": Access(LOOPBACK, proxies=LOOPBACK)}
KINDS: dict[str, tuple[bytes, dict[str, Any], str]] = {
    "signing in": (SIGNING_IN, SIGNED, "220 250 535 334 334 501 334 501 334 235 250 250 250 250 553 221"),
    "chunks": (
        CHUNKS,
        {},
        "220 250 250 250 250 250 250 250 250 503 250 250 250 250 503 250 250 250 503 550 250 250 552 250 501 421",
    ),
    "proxy, version 1": (VERSION_1 + BEHIND, PROXIED, "220 250 250 250 354 250 500 221"),
    "proxy, version 2": (VERSION_2 + BEHIND, PROXIED, "220 250 250 250 354 250 500 221"),
    "no proxy header": (BEHIND, PROXIED, ""),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_cut_at_every_place(kind: str) -> None:
    """Sign-in, chunks and PROXY headers in two pieces, cut anywhere, and in single octets, have the outcome of one."""
    session, options, codes = KINDS[kind]

    async def talk(*pieces: bytes) -> tuple[bytes, list[Accepted]]:
        FAILURES.forget()
        return await converse(pieces, **options)

    async def all_places() -> None:
        said, _ = whole = await talk(session)
        assert " ".join(line[:3] for line in said.decode().splitlines() if line[3] == " ") == codes
        cuts = [at for at in range(1, len(session)) if session[at - 3 : at + 1] != b"xxxx"]
        assert [at for at in cuts if await talk(session[:at], session[at:]) != whole] == []
        assert await talk(*(session[at : at + 1] for at in range(len(session)))) == whole

    asyncio.run(all_places())


def test_a_handshake_cut_at_every_place() -> None:
    """STARTTLS with commands before it, the handshake, and a session over TLS, cut every few octets."""
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("mx.example").configure_cert(server)
    authority.configure_trust(client)
    clear = b"EHLO c.example\r\nMAIL FROM:<a@c.example>\r\nSTARTTLS\r\n"
    secret = b"NOOP\r\nEHLO c.example\r\nSTARTTLS\r\n" + TEXT + b"DATA\r\ntext\r\n.\r\nQUIT\r\n"

    async def talk(octets: int) -> tuple[bytes, list[Accepted]]:
        def cut(said: bytes) -> list[bytes]:
            return [said[at : at + octets] for at in range(0, len(said), octets)]

        _, said, accepted = await converse_over_tls(clear, secret, cut, server=server, client=client)
        return said, accepted

    async def body() -> None:
        said, accepted = whole = await talk(1 << 20)
        codes = " ".join(line[:3] for line in said.decode().splitlines() if line[3] == " ")
        assert codes == "250 250 503 250 250 354 250 221"
        assert [content for _, content in accepted] == [b"text\r\n"]
        for octets in (1, 2, 3, 5, 7, 11, 64, 300):
            assert await talk(octets) == whole

    asyncio.run(body())
