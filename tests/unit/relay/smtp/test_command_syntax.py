"""Arguments of MAIL and RCPT: anything at all is either understood or refused with a reply."""

import contextlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from relay.message.addresses import parse_mailbox
from relay.message.xtext import decode_xtext
from relay.smtp import replies
from relay.smtp.parameters import MailParameters, RcptParameters, mail_parameters, rcpt_parameters
from relay.smtp.paths import forward_path, reverse_path, split_path
from relay.smtp.replies import CommandError

ODD = st.lists(
    st.sampled_from([*'<>@"\\ .,:;=+ab1[]{}x', "\u017f", "\u0661", "\u200b", "SIZE", "NOTIFY", "utf-8;", "\\x{"]),
    max_size=30,
).map("".join)


LIKE_A_PATH = st.builds(
    lambda route, local, domain, rest: f"{route}{local}@{domain}>{rest}",
    st.sampled_from(["", "", "@a.example:", "@a.example,@b.example:"]),
    st.one_of(st.sampled_from(["ann", '"a b"', '"a\\"b"', "Ann+1", "\u00e9t\u00e9"]), ODD),
    st.one_of(st.sampled_from(["example.org", "EXAMPLE.org", "\u00fcber.example", "[192.0.2.1]", "[IPv6:::1]"]), ODD),
    st.sampled_from(["", "", " SIZE=1"]),
)


@given(st.one_of(LIKE_A_PATH, ODD))
@example('"a b"@example.org>')
def test_paths_never_crash(text: str) -> None:
    """A path is a mailbox that parses again, or a CommandError."""
    with contextlib.suppress(CommandError):
        path, _ = split_path("TO:<" + text, "TO:", replies.BAD_RCPT)
        mailbox = forward_path(path, postmaster="postmaster@mx.example", smtputf8=True)
        assert str(parse_mailbox(mailbox, smtputf8=True)) == mailbox


@given(ODD)
def test_parameters_never_crash(text: str) -> None:
    """Parameters are understood or refused; nothing that is kept can break out of a header."""
    with contextlib.suppress(CommandError):
        assert decode_xtext(mail_parameters("ENVID=" + text).envid).isprintable()
    with contextlib.suppress(CommandError):
        assert decode_xtext(rcpt_parameters("ORCPT=rfc822;" + text, smtputf8=True).orcpt).isprintable()
    with contextlib.suppress(CommandError):
        rcpt_parameters(text, smtputf8=False)


def test_defaults() -> None:
    """Nothing said is nothing asked."""
    assert mail_parameters("") == MailParameters()
    assert rcpt_parameters("", smtputf8=False) == RcptParameters()
    assert reverse_path("", smtputf8=False) == ""


def test_no_pattern_backtracks() -> None:
    """Long hostile arguments are refused in linear time: a thousand times the length of a command is instant."""
    for hostile in ("<" + '"' * 200_000, '<"' + "\\" * 200_000, "<" + "a@" * 100_000, "<@a" + ",@a" * 100_000):
        with pytest.raises(CommandError):
            split_path("TO:" + hostile, "TO:", replies.BAD_RCPT)
    with pytest.raises(CommandError):
        rcpt_parameters("ORCPT=utf-8;" + "\\x{" * 100_000, smtputf8=True)
