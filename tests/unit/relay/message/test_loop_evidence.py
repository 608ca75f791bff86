"""Our own mail is known again when it comes back, and nothing else is taken for it."""

import hmac
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.clock import id_text
from relay.message.headers import prepend
from relay.message.loop_evidence import FIELD, Evidence, find_evidence, mark
from relay.message.original import Original

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
QUEUE_ID = id_text(b"q" * 16)
MAIL = (
    b"Received: from x\r\nMessage-ID: <1@x>\r\nFrom: a@example.org\r\nTo: b@example.net\r\nSubject: s\r\n\r\nbody\r\n"
)


def tag(data: bytes) -> bytes:
    return hmac.digest(b"key", data, "sha256")[:20]


def left(original: bytes, now: datetime = NOW, queue_id: str = QUEUE_ID) -> bytes:
    field, rest = mark(Original(original), queue_id, now, tag)
    return prepend([field], rest)


def test_a_message_that_never_left_has_no_evidence() -> None:
    """Most mail: no field, no work."""
    assert find_evidence(Original(MAIL), NOW, tag) is None


def test_a_copy_that_comes_back_is_known_and_counted() -> None:
    """Each pass replaces the mark of the one before; what other hops add above does not matter."""
    copy = MAIL
    for passes in (1, 2, 3):
        copy = left(copy)
        assert copy.count(FIELD.encode()) == 1
        assert copy.endswith(MAIL)
        copy = b"Received: from y\r\nX-Scanned: yes\r\n" + copy
        assert find_evidence(Original(copy), NOW + timedelta(minutes=59), tag) == Evidence(passes, QUEUE_ID)


def test_a_copy_changes_in_nothing_but_the_mark() -> None:
    """Without an earlier mark of ours the bytes below the field are those that came."""
    field, rest = mark(Original(MAIL), QUEUE_ID, NOW, tag)
    assert rest is MAIL
    assert field[0] == FIELD


@pytest.mark.parametrize(
    "changed",
    [
        lambda mail: mail.replace(b"body", b"other"),
        lambda mail: mail.replace(b"<1@x>", b"<2@x>"),
        lambda mail: mail.replace(b"From: a@", b"From: c@"),
        lambda mail: mail.replace(b"From: a@example.org\r\n", b"From: a@example.org\r\nFrom: d@example.org\r\n"),
        lambda mail: mail.replace(b"Trace: 1 ", b"Trace: 2 "),
        lambda mail: mail.replace(b"Trace: 1 ", b"Trace: 01 "),
        lambda mail: mail.replace(QUEUE_ID.encode(), id_text(b"r" * 16).encode()),
        lambda mail: mail.replace(b"Trace: 1 ", b"Trace: 1  "),
    ],
)
def test_evidence_belongs_to_one_message(changed: "object") -> None:
    """Moved to another message, or with another count, it is none; our field then stays as a stranger's would."""
    assert callable(changed)
    mail = changed(left(MAIL))
    assert mail != left(MAIL)
    assert find_evidence(Original(mail), NOW, tag) is None
    assert mark(Original(mail), QUEUE_ID, NOW, tag)[1] == mail


@pytest.mark.parametrize(("minutes", "known"), [(-61, False), (-60, True), (0, True), (60, True), (61, False)])
def test_evidence_is_good_for_an_hour(minutes: int, known: bool) -> None:
    """Also where the clock was put back meanwhile."""
    assert (find_evidence(Original(left(MAIL)), NOW + timedelta(minutes=minutes), tag) is not None) is known


def test_another_key_makes_no_evidence() -> None:
    """A gateway of another organisation in the same chain is none of ours, and its field stays."""
    assert find_evidence(Original(left(MAIL)), NOW, lambda data: hmac.digest(b"other", data, "sha256")[:20]) is None
    twice = prepend(
        [mark(Original(left(MAIL)), QUEUE_ID, NOW, lambda data: hmac.digest(b"o", data, "sha256")[:20])[0]], left(MAIL)
    )
    assert twice.count(FIELD.encode()) == 2
    assert find_evidence(Original(twice), NOW, tag) == Evidence(1, QUEUE_ID)


def test_a_folded_field_is_read() -> None:
    """A hop may fold what we wrote on one line."""
    field, rest = mark(Original(MAIL), QUEUE_ID, NOW, tag)
    folded = f"{field[0]}: {field[1].replace(' ', chr(13) + chr(10) + ' ')}\r\n".encode() + rest
    assert find_evidence(Original(folded), NOW, tag) == Evidence(1, QUEUE_ID)


def test_many_fields_cost_little() -> None:
    """Ten are looked at; a header full of them is no work."""
    calls = 0

    def counting(data: bytes) -> bytes:
        nonlocal calls
        calls += 1
        return tag(data)

    forged = b"".join(b"Letterlock-Trace: 1 %s 1795348800 %040x\r\n" % (QUEUE_ID.encode(), n) for n in range(500))
    find_evidence(Original(forged + MAIL), datetime.fromtimestamp(1795348800, UTC), counting)
    assert calls == 10


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_any_bytes_are_read(value: bytes, rest: bytes) -> None:
    """Whatever stands in the field or behind it, nothing is raised and nothing is believed."""
    assert find_evidence(Original(b"Letterlock-Trace:" + value + b"\r\n" + rest), NOW, tag) is None
