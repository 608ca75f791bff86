import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.message.address_list import display_names, parse_addresses
from tests.proportion import grows_linearly


def _addresses(raw: bytes) -> list[str]:
    return [str(named.mailbox) for named in parse_addresses(raw)]


@pytest.mark.parametrize(
    ("raw", "addresses"),
    [
        (b"ann@example.org", ["ann@example.org"]),
        (b"Ann Lee <ann@example.org>,\r\n bob@example.net", ["ann@example.org", "bob@example.net"]),
        (b'"Lee, Ann" <ann@example.org>', ["ann@example.org"]),
        (b"Ann (a (nested) comment, with comma) <ann@example.org>", ["ann@example.org"]),
        (b"ann@example.org (Ann)", ["ann@example.org"]),
        (
            b"Team: ann@example.org, bob@example.net;, eve@example.com",
            ["ann@example.org", "bob@example.net", "eve@example.com"],
        ),
        (b"undisclosed-recipients:;", []),
        (b'"ann lee"@example.org', ['"ann lee"@example.org']),
        (b"=?utf-8?q?Ann=2C_eve=40example.net?= <ann@example.org>", ["ann@example.org"]),
        ("Zo\u00eb <zo\u00eb@example.org>".encode(), ["zo\u00eb@example.org"]),
        (b"ann@example.org <bob@example.net>", ["bob@example.net"]),
        (b"ann@example.org, bob@example.net(", ["ann@example.org"]),
    ],
)
def test_addresses_that_are_there_are_found(raw: bytes, addresses: list[str]) -> None:
    """Names, quotes, comments, groups and encoded words are understood."""
    assert _addresses(raw) == addresses


@pytest.mark.parametrize(
    "raw",
    [
        b"<@",
        b"alice@example.org)bob@example.net",
        b'"alice@example.org',
        b"<alice@example.org",
        b"<alice@example.org> <bob@example.net>",
        b"<alice@example.org>x",
        b"alice@example.org bob@example.net",
        b"a@b@c",
        b'"alice@example.org"',
        b"(alice@example.org)",
        b"",
    ],
)
def test_no_address_is_invented(raw: bytes) -> None:
    """Where an element is not exactly one address, it yields none (CVE-2023-27043)."""
    assert _addresses(raw) == []


def test_names_are_decoded_for_people() -> None:
    """Encoded words also in quotes, where many programs put them."""
    assert [
        named.name for named in parse_addresses(b'"=?utf-8?q?Zo=C3=AB?=" <z@example.org>, Ann "A" Lee <a@example.org>')
    ] == [
        "Zo\u00eb",
        "Ann A Lee",
    ]


def test_what_stands_beside_addresses_is_kept_for_judging() -> None:
    """Names and comments are text, the addresses themselves are not."""
    assert "943 476 5919" in display_names(b'"943 476 5919" <ann@example.org>')
    assert "ann@" not in display_names(b'"943" <ann@example.org>')


@pytest.mark.parametrize("filling", [b'"', b"(", b"<", b"a@b.c,", b"\\", b'a"b\\"'])
def test_hostile_lists_take_no_time(filling: bytes) -> None:
    """The time grows with the length, not with its square: 20,000 quotes in To cost a moment."""
    assert grows_linearly(lambda count: parse_addresses(filling * count), 2_500)


@given(st.binary(max_size=300))
def test_any_list_can_be_read(raw: bytes) -> None:
    """Whatever stands in To gives addresses or none."""
    parse_addresses(raw)
    display_names(raw)
