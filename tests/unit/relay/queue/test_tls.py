"""Protection of connections to next hops: what each mode insists on, and that nothing falls back to clear text."""

import asyncio
import ssl
from pathlib import Path as File
from typing import Any

import pytest
import trustme

from relay.config.values import Endpoint
from relay.queue.content import MemoryContent
from relay.queue.outcomes import Deferred, Delivered, Outcome
from relay.queue.patience import Patience
from relay.queue.routes import Route, TlsMode
from relay.queue.transaction import Path, Transaction
from relay.queue.transport import Transport
from tests.unit.relay.queue.nexthop import ALL, DROP, NextHop

WITH_TLS = (*ALL, "STARTTLS")
MAIL = Transaction("bob@example.org", (Path("ann@example.net"),), MemoryContent(b"Subject: x\r\n\r\ny\r\n"))
PATIENCE = Patience(connect=2, greeting=2, command=2, final=2, goodbye=2)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def serving(authority: trustme.CA, name: str = "127.0.0.1") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def send(hop: NextHop, mode: TlsMode, verifying: ssl.SSLContext | None = None, **more: Any) -> Outcome:
    async def work() -> Outcome:
        async with hop:
            client = Transport(ehlo_name="gw.example.org", patience=PATIENCE, verifying=verifying)
            route = Route("outside", (Endpoint(host="127.0.0.1", port=hop.port),), mode, **more)
            (outcome,) = await client.send(route, MAIL)
            await client.close()
            return outcome

    return asyncio.run(work())


def test_opportunistic_takes_any_certificate(authority: trustme.CA) -> None:
    """STARTTLS is used wherever it is offered, whoever signed the certificate, and EHLO is said again inside."""
    hop = NextHop(offers=WITH_TLS, tls=serving(trustme.CA(), "somebody.else.test"))
    outcome = send(hop, TlsMode.OPPORTUNISTIC, trusting(authority))
    assert isinstance(outcome, Delivered)
    assert outcome.answer.tls.startswith("TLSv1.")
    assert outcome.answer.tls.endswith("(not verified)")
    assert [line.split(" ")[0] for line in hop.seen[:3]] == ["EHLO", "STARTTLS", "EHLO"]


def test_opportunistic_without_an_offer_is_plain() -> None:
    """Only where STARTTLS is not offered does mail leave in clear."""
    outcome = send(NextHop(), TlsMode.OPPORTUNISTIC)
    assert isinstance(outcome, Delivered)
    assert outcome.answer.tls == ""


@pytest.mark.parametrize("answer", ["454 4.7.0 not now", "501 5.5.1 what?", DROP, "220 go\r\n250 injected"])
@pytest.mark.parametrize("mode", [TlsMode.OPPORTUNISTIC, TlsMode.REQUIRED])
def test_a_failed_starttls_never_falls_back(answer: str, mode: TlsMode, authority: trustme.CA) -> None:
    """STARTTLS offered and then declined, broken or with injected replies: deferred, and no MAIL was said."""
    hop = NextHop({"STARTTLS": answer}, WITH_TLS, serving(authority))
    assert isinstance(send(hop, mode, trusting(authority)), Deferred)
    assert not [line for line in hop.seen if line.startswith("MAIL")]


def test_required_verifies(authority: trustme.CA) -> None:
    """With a certificate of a known authority for the right name the mail leaves, and the outcome says so."""
    outcome = send(NextHop(offers=WITH_TLS, tls=serving(authority)), TlsMode.REQUIRED, trusting(authority))
    assert isinstance(outcome, Delivered)
    assert outcome.answer.tls.endswith("(verified)")


def test_required_and_stripped(authority: trustme.CA) -> None:
    """A next hop (or somebody in between) that does not offer STARTTLS gets nothing."""
    hop = NextHop()
    outcome = send(hop, TlsMode.REQUIRED, trusting(authority))
    assert isinstance(outcome, Deferred)
    assert outcome.answer.enhanced == "4.7.4"
    assert not [line for line in hop.seen if line.startswith("MAIL")]


@pytest.mark.parametrize("wrong", ["authority", "name"])
def test_required_refuses_a_wrong_certificate(authority: trustme.CA, wrong: str) -> None:
    """An unknown authority or another name defers the message with the reason; nothing is sent."""
    certificate = serving(trustme.CA()) if wrong == "authority" else serving(authority, "other.test")
    hop = NextHop(offers=WITH_TLS, tls=certificate)
    outcome = send(hop, TlsMode.REQUIRED, trusting(authority))
    assert isinstance(outcome, Deferred)
    assert outcome.answer.enhanced == "4.7.5"
    assert "TLS handshake failed" in outcome.answer.text
    assert not [line for line in hop.seen if line.startswith("MAIL")]


def test_none_never_asks() -> None:
    """On a route without TLS (loopback) STARTTLS is not used even where it is offered."""
    hop = NextHop(offers=WITH_TLS)
    assert isinstance(send(hop, TlsMode.NONE), Delivered)
    assert "STARTTLS" not in hop.seen


def test_a_partner_is_known_by_the_name_and_the_authority_that_were_agreed(
    authority: trustme.CA, tmp_path: File
) -> None:
    """The agreed name counts, not the host's; the partner's own authority counts, not the system's."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    agreed: dict[str, Any] = {"certificate": "mx.hospital.test", "authorities": tmp_path / "ca.pem"}
    partner = NextHop(offers=WITH_TLS, tls=serving(authority, "mx.hospital.test"))
    outcome = send(partner, TlsMode.REQUIRED, **agreed)
    assert isinstance(outcome, Delivered)
    assert outcome.answer.tls.endswith("(verified)")
    for tls in (serving(authority), serving(trustme.CA(), "mx.hospital.test")):
        other = NextHop(offers=WITH_TLS, tls=tls)
        assert isinstance(send(other, TlsMode.REQUIRED, **agreed), Deferred)
        assert not [line for line in other.seen if line.startswith("MAIL")]


def test_authorities_that_cannot_be_read_defer(authority: trustme.CA, tmp_path: File) -> None:
    """A file that is gone or holds no certificate is our own fault: the mail waits, and nothing leaves unverified."""
    (tmp_path / "empty.pem").write_text("")
    for file in (tmp_path / "gone.pem", tmp_path / "empty.pem"):
        hop = NextHop(offers=WITH_TLS, tls=serving(authority))
        outcome = send(hop, TlsMode.REQUIRED, authorities=file)
        assert isinstance(outcome, Deferred)
        assert "authorities cannot be read" in outcome.answer.text
