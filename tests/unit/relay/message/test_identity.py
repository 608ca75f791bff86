import pytest

from relay.message.identity import message_key, visible_addresses
from relay.message.original import Original
from relay.message.reading import read

MAIL = b"Message-ID: <1@x>\r\nFrom: a@example.org\r\nTo: B@example.net\r\nCc: c@example.com\r\nDate: today\r\nSubject: s\r\n\r\nbody\r\n"


def test_trace_and_other_fields_do_not_change_the_key() -> None:
    """The same mail in two transactions differs only in them."""
    traced = b"Received: from x by y\r\nX-Scanned: yes\r\n" + MAIL.replace(b"To: B", b"To:\r\n B")
    assert message_key("a@example.org", Original(traced)) == message_key("a@example.org", Original(MAIL))


@pytest.mark.parametrize(
    "changed",
    [
        MAIL.replace(b"<1@x>", b"<2@x>"),
        MAIL.replace(b"a@example.org", b"b@example.org"),
        MAIL.replace(b"To: B@example.net\r\nCc: c@example.com", b"To: B@example.net, c@example.com\r\nCc: "),
        MAIL.replace(b"Cc: c@example.com", b"Cc: c@example.com\r\nCc: d@example.com"),
        MAIL.replace(b"Cc: c@example.com\r\n", b""),
        MAIL.replace(b"today", b"tomorrow"),
        MAIL.replace(b"Subject: s", b"Subject: t"),
        MAIL.replace(b"body", b"other"),
        b"Resent-Date: now\r\n" + MAIL,
        b"Resent-Message-ID: <3@x>\r\n" + MAIL,
    ],
)
def test_what_people_see_changes_the_key(changed: bytes) -> None:
    """Every field of the key and the body count, and nothing can move from one to the other."""
    assert message_key("a@example.org", Original(changed)) != message_key("a@example.org", Original(MAIL))
    assert message_key("b@example.org", Original(MAIL)) != message_key("a@example.org", Original(MAIL))


def test_visible_addresses_are_those_of_to_and_cc() -> None:
    """Without regard to case; names are not addresses."""
    assert visible_addresses(read(MAIL)) == {"b@example.net", "c@example.com"}
    assert visible_addresses(read(b'To: "x@example.org" <>\r\n\r\n')) == frozenset()
