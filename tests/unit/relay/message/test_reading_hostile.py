import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.message.headers import prepend, remove_field
from relay.message.original import Original
from relay.message.reading import read
from tests.proportion import TIMES, grows_linearly

MAILS = (
    b"From: a@example.org\r\nTo: b@example.org\r\nSubject: =?utf-8?q?x?=\r\nDate: Mon, 2 Nov 2026 10:11:12 +0100\r\n\r\nbody\r\n",
    (
        b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: text/html; charset=utf-7\r\n\r\n<p>+ADk-</p>\r\n"
        b"--a\r\nContent-Type: multipart/related; boundary*0=b\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: y\r\n\r\nz\r\n--b--\r\n"
        b"--a\r\nContent-Type: application/ms-tnef\r\nContent-Transfer-Encoding: base64\r\n\r\neJ8+IgEA\r\n"
        b"--a\r\nContent-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: base64\r\n\r\nMIAGCSqGSIb3DQEHAqCA\r\n"
        b"--a\r\n\r\nbegin 644 x\r\n#86)C\r\n`\r\nend\r\n=ybegin name=y\r\n=yend\r\n-----BEGIN PGP MESSAGE-----\r\n\r\nwcBM\r\n--a--\r\nend\r\n"
    ),
)


@given(st.binary(max_size=500))
def test_reading_random_octets_never_raises(original: bytes) -> None:
    """Any octets give a Reading, and not because a fault was caught."""
    assert "could not be read" not in read(original).problems


@given(
    st.sampled_from(MAILS),
    st.lists(st.tuples(st.integers(0, 900), st.binary(max_size=6), st.integers(0, 6)), max_size=8),
)
def test_reading_mutated_messages_never_raises(mail: bytes, changes: list[tuple[int, bytes, int]]) -> None:
    """Octets put in, taken out or changed anywhere never reach the net under the reader."""
    for position, octets, removed in changes:
        mail = mail[:position] + octets + mail[position + removed :]
    assert "could not be read" not in read(mail).problems


@given(st.sampled_from(MAILS), st.integers(0, 900))
def test_reading_a_truncated_message_never_raises(mail: bytes, length: int) -> None:
    """A connection that broke leaves any prefix."""
    assert "could not be read" not in read(mail[:length]).problems


@pytest.mark.parametrize("mail", MAILS)
def test_clean_mail_is_not_touched(mail: bytes) -> None:
    """Reading, prepending and removing what is not there leave every octet below our fields as it was."""
    read(mail)
    assert remove_field(Original(mail), b"Bcc").octets is mail
    assert prepend([("Received", "from a by b")], mail)[-len(mail) :] == mail


def _nested_multiparts(depth: int) -> bytes:
    mail = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (level, level) for level in range(depth)
    )
    return mail + b"\r\ndeep\r\n"


HOSTILE = {
    "address that is only a beginning": b"To: <@\r\nMessage-ID: <\r\nFrom: <\r\n\r\n",
    "20,000 quotes in To": b"To: " + b'"' * 20_000 + b"\r\n\r\n",
    "3,000 nested parts": _nested_multiparts(3_000),
    "3,000 nested messages": b"Content-Type: message/rfc822\r\n\r\n" * 3_000,
    "100,000 parts": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 100_000,
    "100,000 borders that are none": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n"
    + b"--bx\r\n" * 100_000,
    "100,000 header fields": b"X: y\r\n" * 100_000 + b"\r\n",
    "a header of 5 MB in one line": b"Subject: " + b"x " * 2_500_000 + b"\r\n\r\n",
    "5 MB without a line end": b"x" * 5_000_000,
    "50,000 folds": b"Subject: x\r\n" + b" y\r\n" * 50_000 + b"\r\n",
    "100,000 begins": b"\r\n" + b"begin 644 x\r\n" * 100_000,
    "5 MB of yEnc escapes": b"\r\n=ybegin name=x\r\n" + b"=" * 5_000_000,
    "20 MB of dashes": b"\r\n" + b"--\n" * 6_600_000,  # quick, but for new pages that the system has to clear
    "parts in the text": b"\r\n" + b"--x\nA: b\n" * 200_000,
    "a meta element that never ends": b"Content-Type: text/html\r\n\r\n" + b"<meta " * 300_000,
    "long parameters": b"Content-Type: text/plain; " + b"a*0*=b;" * 30_000 + b"\r\n\r\n",
    "only equals signs": b"Content-Transfer-Encoding: base64\r\n\r\n" + b"=" * 3_000_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_messages_cost_little_time(name: str) -> None:
    """What made other readers crash or hang is read in proportion to its length."""
    assert "could not be read" not in read(HOSTILE[name]).problems
    assert grows_linearly(lambda length: read(HOSTILE[name][:length]), len(HOSTILE[name]) // TIMES)


@pytest.mark.parametrize(
    "name", ["3,000 nested parts", "100,000 parts", "100,000 header fields", "a header of 5 MB in one line"]
)
def test_beyond_the_limits_is_a_problem(name: str) -> None:
    """What was not looked at to the end seals."""
    assert read(HOSTILE[name]).problems
