"""Who wrote a message, said without a doubt or not at all."""

import pytest

from relay.smtp.senders import authors_of, header_of
from relay.smtp.tenants import Tenant
from relay.smtp.values import ClientFacts

TENANT = Tenant("01234567-89ab-cdef-0123-456789abcdef", frozenset({"example.org"}))


def authors(content: bytes) -> list[str] | None:
    header = header_of(content)
    found = authors_of(header) if header is not None else None
    return None if found is None else [str(one) for one in found]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (b"From: anna@example.org\r\n", ["anna@example.org"]),
        (b'FROM:\r\n "Baker, Anna" (desk)\r\n <Anna@Example.ORG>\r\n', ["Anna@example.org"]),
        (b"From: a@b.example\r\nSender: c@d.example\r\n", ["a@b.example", "c@d.example"]),
        (b"From: anna@b\xc3\xbccher.example\r\n", ["anna@xn--bcher-kva.example"]),
        (b"", None),
        (b"From:\r\n", None),
        (b"From: undisclosed:;\r\n", None),
        (b"From: a@b.example, c@d.example\r\n", None),
        (b"From: a@b.example\r\nFrom: a@b.example\r\n", None),
        (b"From: a@b.example\r\nfrom : c@d.example\r\n", None),
        (b"From: a@b.example\r\nSender: c@d.example, e@f.example\r\n", None),
        (b"From: c@d.example <a@b.example>, \r\n", ["a@b.example"]),
        (b"From: <c@d.example> <a@b.example>\r\n", None),
        (b"From: (c@d.example, a@b.example\r\n", None),
    ],
)
def test_authors(fields: bytes, expected: list[str] | None) -> None:
    """One From with one address, and the same for a Sender; anything that can be read in two ways is nobody's."""
    assert authors(fields + b"\r\ntext\r\n") == expected


def test_a_header_without_end_proves_nothing() -> None:
    """What stands behind a mebibyte is not looked at, so nothing is believed either."""
    assert header_of(b"From: a@b.example\r\nX: " + b"y" * (1 << 20) + b"\r\n\r\ntext\r\n") is None
    assert header_of(b"From: a@b.example\r\n") is not None


@pytest.mark.parametrize(
    ("names", "reverse_path", "may"),
    [
        (("mail.protection.outlook.com",), "anna@example.org", True),
        (("outlook.com", "*.mail.protection.outlook.com"), "anna@example.org", True),
        (("mail.protection.outlook.com",), "", True),
        (("mail.protection.outlook.com",), "anna@sub.example.org", False),
        (("evilmail.protection.outlook.com",), "anna@example.org", False),
        (("mail.protection.outlook.com.example",), "anna@example.org", False),
        ((), "anna@example.org", False),
    ],
)
def test_certificates(names: tuple[str, ...], reverse_path: str, may: bool) -> None:
    """Only a name of Exchange Online, whole labels from the right, opens the way."""
    client = ClientFacts("192.0.2.7", 4711, certificate=names)
    assert TENANT.may_be(client, reverse_path) is may
