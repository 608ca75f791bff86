from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.message.delivery_status import MAX_RECIPIENTS, ReportedDelivery, reported_deliveries, returned_message

REPORTS = Path(__file__).parents[3] / "mail" / "reports"


def report(name: str) -> bytes:
    return (REPORTS / f"{name}.eml").read_bytes().replace(b"\n", b"\r\n")


def machine(fields: str) -> bytes:
    """A report whose machine part is nothing but these fields."""
    head = 'Content-Type: multipart/report; report-type=delivery-status; boundary="x"\n\n'
    return f"{head}--x\nContent-Type: message/delivery-status\n\n{fields}\n--x--\n".encode().replace(b"\n", b"\r\n")


@pytest.mark.parametrize(
    ("name", "recipient", "original", "status", "diagnostic"),
    [
        (
            "postfix",
            "jane@example.net",
            "jane@example.net",
            "5.1.1",
            "550 5.1.1 <jane@example.net> User doesn't exist: jane@example.net",
        ),
        (
            "exchange",
            "intake@clinic.example.com",
            "intake@clinic.example.com",
            "5.1.10",
            "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient intake@clinic.example.com not found by SMTP address lookup",
        ),
        (
            "gmail",
            "jane@example.net",
            "",
            "5.1.1",
            "550-5.1.1 The email account that you tried to reach does not exist. Please try 550-5.1.1 double-checking the recipient's email address for typos or 550 5.1.1 unnecessary spaces.",
        ),
        ("exim", "audit@example.edu", "", "5.0.0", "552 5.2.2 mailbox full"),
        ("utf8", "jürgen@example.net", "jürgen@example.net", "5.1.1", "550 5.1.1 unbekannt"),
    ],
)
def test_reports_of_the_servers_that_people_have_are_understood(
    name: str, recipient: str, original: str, status: str, diagnostic: str
) -> None:
    """Recipient, status and the last server's words come out of each server's own way of writing them."""
    assert reported_deliveries(report(name)) == (ReportedDelivery(recipient, original, "failed", status, diagnostic),)


def test_an_old_exim_names_its_failures_in_a_header_only() -> None:
    """Before 4.83 Exim wrote no machine part, but the failed addresses stand in a field of their own."""
    found = reported_deliveries(report("exim-old"))
    assert [(one.recipient, one.failed) for one in found] == [("audit@example.edu", True), ("second@example.edu", True)]


def test_a_delay_is_no_failure() -> None:
    """A report that the mail is still being tried says so and nothing more."""
    (one,) = reported_deliveries(report("postfix-delay"))
    assert (one.action, one.status, one.failed) == ("delayed", "4.4.1", False)


@pytest.mark.parametrize("name", ["out-of-office", "read-receipt"])
def test_what_is_no_report_of_delivery_reports_nothing(name: str) -> None:
    """Neither the words of a person nor a read receipt count, however much they look like fields."""
    assert reported_deliveries(report(name)) == ()


def test_a_report_that_somebody_forwards_reports_nothing() -> None:
    """A report inside of another message is a thing to read, not to act on."""
    outer = b'Content-Type: multipart/mixed; boundary="f"\r\n\r\n--f\r\nContent-Type: message/rfc822\r\n\r\n'
    assert reported_deliveries(outer + report("postfix") + b"\r\n--f--\r\n") == ()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            "Final-Recipient: jane@example.net\nAction: FAILED (bounced)\nStatus: 5.1.1 (no such user)\n",
            ("failed", "5.1.1"),
        ),
        ("Final-Recipient: rfc822;<jane@example.net>\nAction: failed\nStatus: 4.4.1\n", ("failed", "4.4.1")),
        ("Final-Recipient: rfc822; jane@example.net\nStatus: 5.2.2\n", ("failed", "5.2.2")),
        ("Final-Recipient: rfc822; jane@example.net\nAction: bounced\nStatus: 5.2.2\n", ("failed", "5.2.2")),
        ("Original-Recipient: rfc822; jane@example.net\nAction: relayed\nStatus: 2.1.9\n", ("relayed", "2.1.9")),
        (
            "Reporting-MTA: dns; mx.example.net\nFinal-Recipient: rfc822; jane@example.net\nAction: failed\n",
            ("failed", ""),
        ),
    ],
)
def test_small_mistakes_of_writing_change_nothing(fields: str, expected: tuple[str, str]) -> None:
    """Missing types, brackets, comments, a missing action and fields in the wrong block are forgiven."""
    (one,) = reported_deliveries(machine(fields))
    assert (one.action, one.status) == expected
    assert "jane@example.net" in {one.recipient, one.original}


def test_a_temporary_status_without_an_action_is_no_failure() -> None:
    """In doubt nobody is told that something failed."""
    assert reported_deliveries(machine("Final-Recipient: rfc822; jane@example.net\nStatus: 4.2.2\n")) == ()


def test_two_recipients_without_an_empty_line_between_them_are_two() -> None:
    """Some servers leave the empty line out."""
    fields = "".join(f"Final-Recipient: rfc822; {name}@example.net\nAction: failed\nStatus: 5.1.1\n" for name in "ab")
    assert [one.recipient for one in reported_deliveries(machine(fields))] == ["a@example.net", "b@example.net"]


def test_a_million_recipients_are_cut() -> None:
    """A report can be as long as it likes; what is kept of it cannot."""
    block = "Final-Recipient: rfc822; a@example.net\nAction: failed\nStatus: 5.1.1\n\n"
    assert len(reported_deliveries(machine(block * 20_000))) == MAX_RECIPIENTS


def test_strange_characters_become_one_harmless_line() -> None:
    """Control characters, marks that turn the text, halves of characters and endless words do not come through."""
    fields = (
        "Final-Recipient: utf-8; a\\x{202E}\\x{D800}\\x{FFFFFF}\\x{0A}b@example.net\n"
        f"Action: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 \x1b[31m{'x' * 100_000}\n"
    )
    (one,) = reported_deliveries(machine(fields))
    assert one.recipient == "a\\x{FFFFFF} b@example.net"
    assert len(one.diagnostic) <= 500
    assert one.diagnostic.isprintable()


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_a_damaged_report_never_raises(data: st.DataObject) -> None:
    """Cut, doubled and overwritten reports give values or nothing."""
    whole = report(data.draw(st.sampled_from(["postfix", "exchange", "gmail", "exim", "exim-old", "utf8"])))
    start, stop = sorted((data.draw(st.integers(0, len(whole))), data.draw(st.integers(0, len(whole)))))
    for one in reported_deliveries(whole[:start] + data.draw(st.binary(max_size=40)) + whole[stop:]):
        assert one.action
        assert "\n" not in f"{one}"


def test_the_mail_that_a_report_brings_back() -> None:
    """A whole mail, decoded; of a report with a header only, or of no report, nothing."""
    start = b"Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\nContent-Type: "
    whole = start + b"message/rfc822\r\n\r\nSubject: x\r\n\r\nwords\r\n--b--\r\n"
    assert returned_message(whole) == b"Subject: x\r\n\r\nwords"
    assert returned_message(start + b"text/rfc822-headers\r\n\r\nSubject: x\r\n--b--\r\n") is None
    assert returned_message(b"Subject: x\r\n\r\nwords\r\n") is None
