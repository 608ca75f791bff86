import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from relay.message.addresses import Mailbox, parse_mailbox


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ann@example.org", "ann@example.org"),
        ("Ann.O'Neil+tag@EXAMPLE.Org", "Ann.O'Neil+tag@example.org"),
        ('"ann"@example.org', "ann@example.org"),
        (r'"a\nn"@example.org', "ann@example.org"),
        ('"ann lee"@example.org', '"ann lee"@example.org'),
        (r'"a\"b\\c"@example.org', r'"a\"b\\c"@example.org'),
        ('"a@b"@example.org', '"a@b"@example.org'),
        ("ann@[192.0.2.1]", "ann@[192.0.2.1]"),
        ("ann@[ipv6:2001:DB8:0::1]", "ann@[IPv6:2001:db8::1]"),
        ("ann@localhost", "ann@localhost"),
        ("ann@xn--mnchen-3ya.example", "ann@xn--mnchen-3ya.example"),
        ("a" * 64 + "@example.org", "a" * 64 + "@example.org"),
    ],
)
def test_accepts_what_rfc_5321_calls_a_mailbox(text: str, expected: str) -> None:
    """A mailbox comes out in its shortest form, the domain in lower case."""
    assert str(parse_mailbox(text)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ann",
        "@example.org",
        "ann@",
        "ann@@example.org",
        "ann lee@example.org",
        " ann@example.org",
        "ann@example.org ",
        "<ann@example.org>",
        "@relay.example:ann@example.org",
        ".ann@example.org",
        "ann.@example.org",
        "a..n@example.org",
        '""@example.org',
        '"ann@example.org',
        '"a"n"@example.org',
        '"a\tb"@example.org',
        "an\x00n@example.org",
        "ann@exam\x00ple.org",
        "ann\r\n@example.org",
        "ann@example.org\r\nRCPT TO:<eve@example.net>",
        "ann@example.org\n",
        "ann@-example.org",
        "ann@example-.org",
        "ann@exa_mple.org",
        "ann@example..org",
        "ann@example.org.",
        "ann@192.0.2.1",
        "ann@[192.0.2.256]",
        "ann@[192.0.2.01]",
        "ann@[IPv6:fe80::1%eth0]",
        "ann@[IPv6:::1",
        "ann@[x:y]",
        "ann@[\u0661.0.0.1]",
        "bj\u00f6rn@example.org",
        "ann@m\u00fcnchen.example",
        "a" * 65 + "@example.org",
        "ann@" + "a" * 64 + ".org",
        "ann@" + ".".join(["a" * 60] * 5),
        "a" * 64 + "@" + ".".join(["b" * 60] * 3) + "." + "c" * 10,
    ],
)
def test_refuses_everything_else(text: str) -> None:
    """Whatever is not exactly one mailbox is refused, not repaired."""
    with pytest.raises(ValueError):
        parse_mailbox(text)


def test_reads_other_alphabets_only_with_smtputf8() -> None:
    """A local part keeps its characters, a domain becomes A-labels."""
    assert parse_mailbox("bj\u00f6rn@m\u00fcnchen.example", smtputf8=True) == Mailbox(
        "bj\u00f6rn", "xn--mnchen-3ya.example"
    )


@pytest.mark.parametrize(
    "text",
    [
        "a\u202enn@example.org",  # turns the text
        "a\u200bnn@example.org",  # cannot be seen
        "ann\u0661@example.org",  # a digit that is not 1
        "ann\uff11@example.org",
        "ann@ex\u0661ample.org",
        "ann\u00a0@example.org",
        "ann\u2028@example.org",
        "ann\u0085@example.org",
        "bjo\u0308rn@example.org",  # not NFC
        "ann@\u2603\ufe0f.example",
        "a\ud800nn@example.org",
        "\u00e9" * 33 + "@example.org",  # 66 octets
    ],
)
def test_refuses_characters_that_deceive(text: str) -> None:
    """Invisible and direction-turning characters, foreign digits and unnormalised text are refused even with SMTPUTF8."""
    with pytest.raises(ValueError):
        parse_mailbox(text, smtputf8=True)


def test_folds_case() -> None:
    """Two spellings that differ in case only have the same folded form."""
    assert parse_mailbox("Ann@Example.org").folded == parse_mailbox("aNN@example.ORG").folded


LOCAL = st.lists(st.sampled_from([*"ab1.+-=/", '"', "\\", " ", "\u00e9", "\u00df", "\u0661"]), min_size=1, max_size=6)
DOMAIN = st.lists(
    st.sampled_from(
        ["example", "org", ".", "-", "\u00fcber", "xn--ber-goa", "B\u00dcCHER", "[192.0.2.1]", "[IPv6:2001:DB8::1]"]
    ),
    min_size=1,
    max_size=4,
)
LIKE_AN_ADDRESS = st.builds(
    lambda quote, local, domain: f"{quote}{''.join(local)}{quote}@{''.join(domain)}",
    st.sampled_from(["", '"']),
    LOCAL,
    DOMAIN,
)


@given(st.one_of(LIKE_AN_ADDRESS, st.text(max_size=300)), st.booleans())
@example(text='"a b\\"c"@example.org', smtputf8=False)
@example(text="bj\u00f6rn@B\u00dcCHER.example", smtputf8=True)
def test_never_raises_anything_but_value_error(text: str, smtputf8: bool) -> None:
    """Any text either parses, and then parses again to itself, or raises ValueError."""
    try:
        mailbox = parse_mailbox(text, smtputf8=smtputf8)
    except ValueError:
        return
    assert parse_mailbox(str(mailbox), smtputf8=smtputf8) == mailbox
