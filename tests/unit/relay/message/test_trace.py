from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.message.headers import count_received, received_field, remove_authentication_results
from relay.message.original import Original

WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def _received(**facts: object) -> str:
    known: dict[str, object] = {
        "helo": "pc.example.org",
        "client": "192.0.2.7",
        "by": "gw.example.org",
        "queue_id": "q1",
        "when": WHEN,
    }
    return received_field(**{**known, **facts})[1]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("facts", "protocol"),
    [
        ({"esmtp": False}, "with SMTP id"),
        ({}, "with ESMTP id"),
        ({"tls_version": "TLSv1.3", "cipher": "TLS_AES_256_GCM_SHA384"}, "with ESMTPS id"),
        ({"authenticated": True}, "with ESMTPA id"),
        ({"tls_version": "TLSv1.3", "authenticated": True}, "with ESMTPSA id"),
        ({"smtputf8": True, "tls_version": "TLSv1.3", "authenticated": True}, "with UTF8SMTPSA id"),
    ],
)
def test_the_protocol_is_named_as_registered(facts: dict[str, object], protocol: str) -> None:
    """The words are those of RFC 3848 and RFC 6531."""
    assert protocol in _received(**facts)


def test_tls_is_written_with_version_and_registered_suite() -> None:
    """The version is a comment, the suite an additional clause behind all others (RFC 8314 section 4.3)."""
    value = _received(
        tls_version="TLSv1.2", cipher="ECDHE-RSA-AES256-GCM-SHA384", authenticated=True, recipients=("bob@example.net",)
    )
    assert "by gw.example.org (using TLSv1.2) with ESMTPSA id q1 for <bob@example.net>" in value
    assert "<bob@example.net> tls TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384; Fri, 02" in value
    assert " tls " not in _received(tls_version="TLSv1.3", cipher="TLS_AES_128_GCM_SHA256)\r\nBcc: x")


def test_for_is_written_for_a_single_recipient_only() -> None:
    """With two recipients in the envelope nobody is named, so that no Bcc shows."""
    assert "for <bob@example.net>;" in _received(recipients=("bob@example.net",))
    assert " for " not in _received(recipients=("bob@example.net", "eve@example.net"))
    assert " for " not in _received(recipients=("b\u00f6b@example.net",))


def test_ipv6_clients_and_odd_greetings_are_written_safely() -> None:
    """The address literal has its tag; a greeting cannot break out of its clause."""
    assert "from xyid1 ([IPv6:2001:db8::1])" in _received(helo="x (y); id 1", client="2001:db8::1")
    assert "from unknown (" in _received(helo="\r\n")


def test_hops_are_counted_in_the_header_only() -> None:
    """Case does not matter, folds count once, a quoted header in the body not at all."""
    mail = b"Received: a\r\n b\r\nRECEIVED: c\r\nX-Received: d\r\n\r\nReceived: e\r\n"
    assert count_received(mail) == 2


def test_results_in_our_name_are_removed_and_others_stay() -> None:
    """Only fields that claim our own name go (RFC 8601 section 5)."""
    mail = (
        b"Authentication-Results: gw.example.org; spf=pass\r\n"
        b"authentication-results: (comment) GW.Example.ORG. 1;\r\n dkim=pass\r\n"
        b"Authentication-Results: other.example; spf=fail\r\n"
        b"Authentication-Results: gw.example.org.evil.example; spf=fail\r\n"
        b"\r\nAuthentication-Results: gw.example.org; spf=pass\r\n"
    )
    kept = remove_authentication_results(Original(mail), "gw.example.org").octets
    assert kept == mail[mail.index(b"Authentication-Results: other") :]
    assert remove_authentication_results(Original(kept), "gw.example.org").octets == kept


@pytest.mark.parametrize(
    "value",
    [
        "gw.example.org",
        '"gw.example.org"; spf=pass',
        '"gw.exam\\ple.org" 1; spf=pass',
        "(a (nested (comment)) here) gw.example.org; spf=pass",
        "(with \\) a bracket) gw.example.org; spf=pass",
        "\r\n\tGW.EXAMPLE.ORG\r\n\t; spf=pass",
        "(" + "x" * 3000 + ") gw.example.org; spf=pass",
        "(never closed gw.example.org; spf=pass",
        "(" * 5000 + "x" + ")" * 5000 + " gw.example.org; spf=pass",
        "; spf=pass",
    ],
)
def test_no_spelling_of_our_name_gets_through(value: str) -> None:
    """Comments, quotes, folds and length hide nothing; a field whose name cannot be told is not kept either."""
    mail = f"Authentication-Results: {value}\r\nSubject: x\r\n\r\n".encode()
    assert remove_authentication_results(Original(mail), "gw.example.org").octets == b"Subject: x\r\n\r\n"


def test_the_whole_field_reads_as_rfc_5321_says() -> None:
    """From, by, with, id and an English date with its offset, in this order."""
    expected = "from pc.example.org ([192.0.2.7]) by gw.example.org with ESMTP id q1; Fri, 02 Jan 2026 03:04:05 +0000"
    assert _received() == expected


@given(st.integers(min_value=0, max_value=1 << 36))
def test_the_moment_reads_as_the_library_writes_it(seconds: int) -> None:
    """Day, month and time as RFC 5322 section 3.3 wants them; always in UTC."""
    when = datetime.fromtimestamp(seconds, UTC)
    received = received_field(helo="x", client="192.0.2.1", by="y", queue_id="q", when=when)[1]
    assert received.rpartition("; ")[2] == format_datetime(when)
    elsewhere = when.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert received_field(helo="x", client="192.0.2.1", by="y", queue_id="q", when=elsewhere)[1] == received
