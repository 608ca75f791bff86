"""SMTP sessions of any kind, good, odd and hostile: how the network cuts them changes nothing, and nothing bad comes in.

LETTERLOCK_FUZZ_EXAMPLES sets how many sessions are tried (default 50 of each kind; `make drill` asks for more).
"""

import asyncio
import os
import re
import ssl
from collections.abc import Iterable
from ipaddress import ip_network
from itertools import pairwise
from typing import Any

import pytest
import trustme
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from relay.smtp.access import Access, Limits, Occupancy
from relay.smtp.signing_in import SignIns
from tests.dialogues.stage import USERS, FewFailures
from tests.unit.relay.smtp.in_memory import Accepted, converse
from tests.unit.relay.smtp.tls_in_memory import SecuredWire, converse_over_tls

EXAMPLES = int(os.environ.get("LETTERLOCK_FUZZ_EXAMPLES", "50"))
fuzz = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)

_LINE = re.compile(rb"[2-5][0-5][0-9][ -][ -~]*\r\n")
_RIGHT, _WRONG = b"AGFubmEAY29ycmVjdCBob3JzZSBiYXR0ZXJ5", b"AGFubmEAd3Jvbmc="

# -- what a client may say ------------------------------------------------------------------------

GREETINGS = st.sampled_from(
    [b"EHLO c.example\r\n"] * 6 + [b"HELO c.example\r\n", b"EHLO\r\n", b"EHLO two words\r\n", b""]
)
SMALL = st.sampled_from(
    [
        b"NOOP\r\n", b"RSET\r\n", b"HELP\r\n", b"VRFY x\r\n", b"EXPN x\r\n", b"XYZZY\r\n", b"\r\n", b" \r\n",
        b"NO\nOP\r\n", b"NOOP\rQUIT\r\n", b"NOOP\r\r\n", b"NOOP\n", b"NO\0OP\r\n", b"\xff\xfe\r\n", b"NOOP \xc3\xbc\r\n",
        b"NOOP " + b"x" * 2050 + b"\r\n", b"x" * 2047 + b"\r\n", b"x" * 5000 + b"\n" + b"QUIT\r\n",
        b"MAIL FROM:<a@c.example> SIZE=9999\r\n", b"MAIL FROM:<>\r\n", b"RCPT TO:<b@there.example>\r\n", b"DATA\r\n",
        b"MAIL FROM:<a@c.example> BODY=BINARYMIME\r\n", b"RCPT TO:<>\r\n", b"STARTTLS\r\n", b"QUIT now\r\n",
        b"BDAT 0\r\n", b"BDAT 0 LAST\r\n", b"BDAT x\r\n", b"AUTH PLAIN " + _RIGHT + b"\r\n",
    ]
)  # fmt: skip
CLEAN = [b"text\r\n", b"..\r\n", b".x\r\n", b"\r\n", b"\xff\r\n", b"x" * 200 + b"\r\n", b"QUIT\r\n", b"\xc3\xbc\r\n"]
DIRTY = [
    b"\r", b"\n", b".", b"x", b"\r\n", b"\r\n.", b"..", b"\n.\n", b"\r.\r", b"\0", b"\r\n.\r", b"\n.\r\n", b"x" * 700,
    b"MAIL FROM:<e@evil.example>\r\n",
]  # fmt: skip
TEXTS = st.one_of(
    st.lists(st.sampled_from(CLEAN), max_size=8).map(b"".join),
    st.lists(st.sampled_from(CLEAN + DIRTY), max_size=12).map(b"".join),
)


@st.composite
def by_data(draw: st.DrawFn) -> bytes:
    """A message by DATA, whatever it holds; mostly with an end."""
    text = draw(TEXTS)
    end = draw(st.sampled_from([b"\r\n.\r\n"] * 8 + [b".\r\n", b"\n.\n", b""]))
    return _envelope(draw) + b"DATA\r\n" + text + end


@st.composite
def by_chunks(draw: st.DrawFn) -> bytes:
    """A message in chunks, whose sizes are mostly true, with other commands in between at times."""
    said = _envelope(draw)
    texts = draw(st.lists(TEXTS, min_size=1, max_size=4))
    for number, text in enumerate(texts, 1):
        size = max(0, len(text) + draw(st.sampled_from([0] * 12 + [1, -1, 700])))
        last = b" LAST" if number == len(texts) else b""
        said += b"BDAT %d%s\r\n" % (size, last) + text
        said += draw(st.sampled_from([b""] * 8 + [b"NOOP\r\n", b"RSET\r\n", b"DATA\r\n", b"\r\n"]))
    return said


def _envelope(draw: st.DrawFn) -> bytes:
    return draw(
        st.sampled_from(
            [b"MAIL FROM:<a@c.example>\r\nRCPT TO:<b@there.example>\r\n"] * 5
            + [
                b"MAIL FROM:<anna.baker@staff.example> AUTH=<>\r\nRCPT TO:<b@there.example> NOTIFY=NEVER\r\n",
                b"mail from: <j\xc3\xb6rg@c.example> smtputf8\r\nrcpt to:<b@there.example>\r\nRCPT TO:<c@x>\r\n",
                b"MAIL FROM:<a@c.example>\r\nRCPT TO:<>\r\n",
            ]
        )
    )


@st.composite
def signing_in(draw: st.DrawFn) -> bytes:
    """AUTH with right, wrong and senseless answers, at once or after a challenge."""
    answers = st.sampled_from(
        [_RIGHT, _WRONG, b"=", b"*", b"not base64", b"YW5uYQ==", b"Y29ycmVjdCBob3JzZSBiYXR0ZXJ5", b""]
    )
    verb = draw(st.sampled_from([b"AUTH PLAIN", b"auth login", b"AUTH CRAM-MD5", b"AUTH"]))
    more = draw(st.lists(answers, max_size=3))
    return b" ".join([verb, *draw(st.lists(answers, max_size=1))]) + b"\r\n" + b"".join(one + b"\r\n" for one in more)


SESSIONS = st.tuples(
    GREETINGS,
    st.lists(st.one_of(by_data(), by_chunks(), SMALL), min_size=1, max_size=7),
    st.sampled_from([b"QUIT\r\n", b""]),
).map(lambda parts: parts[0] + b"".join(parts[1]) + parts[2])
SIGNED = st.tuples(
    GREETINGS, st.lists(st.one_of(signing_in(), by_data(), by_chunks(), SMALL), min_size=1, max_size=7)
).map(lambda parts: parts[0] + b"".join(parts[1]))
HEADERS = st.sampled_from(
    [
        b"PROXY TCP4 127.0.0.1 198.51.100.1 4711 25\r\n", b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\r\n",
        b"PROXY UNKNOWN\r\n", b"PROXY TCP6 ::1 ::1 1 2\r\n", b"PROXY TCP4 x y 1 2\r\n", b"PROXY " + b"x" * 200 + b"\r\n",
        b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\x7f\x00\x00\x01\xc6\x33\x64\x01\x12\x67\x00\x19",
        b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00", b"\r\n\r\n\x00\r\nQUIT\n\x31\x11\x00\x0c", b"\r\n\r\n", b"",
    ]
)  # fmt: skip
PLACES = st.lists(st.floats(0, 1, exclude_max=True), max_size=14)


def cut(session: bytes, places: Iterable[float]) -> list[bytes]:
    """Cut a session at parts of its length."""
    at = sorted({int(place * len(session)) for place in places} - {0})
    return [session[start:end] for start, end in pairwise([0, *at, len(session)])]


# -- what must be true ----------------------------------------------------------------------------


def sound(said: bytes, accepted: list[Accepted], occupancy: Occupancy) -> None:
    """Replies are lines as RFC 5321 has them; messages are whole; nothing is held on to."""
    lines = said.splitlines(keepends=True)
    assert all(len(line) <= 512 and _LINE.fullmatch(line) for line in lines)
    for envelope, content in accepted:
        bare = content.replace(b"\r\n", b"")
        assert not any(one in bare for one in (b"\r", b"\n", b"\0"))
        assert content == b"" or content.endswith(b"\r\n")
        assert len(content) <= 1000
        assert envelope.recipients
    assert (occupancy.connections, occupancy.memory.left) == (0, 1 << 20)


FAILURES = FewFailures(lambda: 0.0)
SIGN_INS = SignIns(FAILURES)
LOOPBACK = (ip_network("127.0.0.0/8"),)


async def _talk(pieces: list[bytes], **options: Any) -> object:
    FAILURES.forget()
    occupancy = Occupancy(memory=1 << 20)
    said, accepted = await converse(pieces, occupancy=occupancy, **options)
    sound(said, accepted, occupancy)
    return said, accepted


def alike(session: bytes, places: list[float], **options: object) -> None:
    """One piece, the given pieces and single octets at the places have one outcome."""

    async def body() -> None:
        whole = await _talk([session], **options)
        assert await _talk(cut(session, places), **options) == whole

    asyncio.run(body())


@fuzz
@given(SESSIONS, PLACES)
def test_in_the_clear(session: bytes, places: list[float]) -> None:
    """Messages by DATA and in chunks, and everything that a client gets wrong."""
    alike(session, places)


@fuzz
@given(SIGNED, PLACES)
def test_signing_in(session: bytes, places: list[float]) -> None:
    """AUTH, with challenges whose answers come early, late, or never."""
    alike(session, places, wire=SecuredWire, users=USERS, sign_ins=SIGN_INS, access=Access())


@fuzz
@given(HEADERS, SESSIONS, PLACES)
def test_behind_a_proxy(header: bytes, session: bytes, places: list[float]) -> None:
    """A PROXY header, good or bad, and a session behind it in the same octets."""
    alike(header + session, places, access=Access(LOOPBACK, proxies=LOOPBACK))


@pytest.fixture(scope="module")
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("mx.example").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client


@settings(fuzz, max_examples=max(10, EXAMPLES // 4))
@example(b"EHLO c.example\r\n", b"", b"XYZZY\r\n" * 4000, [0.1, 0.9])  # goes on talking after the server's goodbye
@given(st.one_of(GREETINGS, st.just(b"")), st.one_of(SMALL, by_data(), st.just(b"")), SESSIONS, PLACES)
def test_across_a_handshake(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], greeting: bytes, before: bytes, session: bytes, places: list[float]
) -> None:
    """What is said before STARTTLS, and how TLS records are cut, changes nothing of what is said over TLS."""
    server, client = contexts
    clear = greeting + (before if before.endswith((b"\r\n.\r\n", b"NOOP\r\n")) else b"") + b"STARTTLS\r\n"

    async def talk(places: list[float]) -> tuple[bytes, list[Accepted]]:
        occupancy = Occupancy(memory=1 << 20)
        in_clear, said, accepted = await converse_over_tls(
            clear, session, lambda octets: cut(octets, places), server=server, client=client, occupancy=occupancy
        )
        sound(in_clear + said, accepted, occupancy)
        assume(b"220 2.0.0 ready" in in_clear)  # what came before may have ended the session
        return said, [(envelope, content) for envelope, content in accepted if content]

    async def body() -> None:
        whole = await talk([])
        assert await talk(places) == whole

    asyncio.run(body())


def test_the_sessions_are_worth_it() -> None:
    """Generated sessions reach every kind of outcome, so that equality means something."""
    codes: set[bytes] = set()
    contents: set[int] = set()

    @settings(max_examples=80, deadline=None, derandomize=True)
    @given(SESSIONS)
    def look(session: bytes) -> None:
        said, accepted = asyncio.run(converse([session], limits=Limits(message_size=1000)))
        codes.update(line[:3] for line in said.splitlines())
        contents.update(len(content) for _, content in accepted)

    look()
    assert codes >= {b"220", b"221", b"250", b"252", b"354", b"500", b"501", b"502", b"503", b"550"}
    assert len(contents) > 5
