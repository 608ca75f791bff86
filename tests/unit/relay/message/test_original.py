"""What is asked of a message's octets several times."""

import hashlib
import tracemalloc

from relay.message.original import Original

MAIL = b"To: a@example.org\r\nX-Note: one\r\nTO : b@example.org\r\nX-Note: two\r\n three\r\n\r\nTo: no field\r\n"


def test_fields_are_named_in_order_whatever_their_spelling() -> None:
    """Each with its raw value and its place; what stands in the body is no field."""
    found = Original(MAIL).named(b"to")
    assert [field.value for field in found] == [b" a@example.org\r\n", b" b@example.org\r\n"]
    assert [MAIL[field.start : field.end] for field in found] == [b"To: a@example.org\r\n", b"TO : b@example.org\r\n"]
    assert Original(MAIL).values(b"to") == [field.value for field in found]
    assert not Original(MAIL).named(b"cc")
    assert not Original(MAIL).values(b"cc")


def test_the_header_is_there_in_its_order() -> None:
    """Names in lower case, values raw, folds included."""
    assert [name for name, _ in Original(MAIL).header] == [b"to", b"x-note", b"to", b"x-note"]
    assert [*Original(MAIL).header][-1][1] == b" two\r\n three\r\n"
    assert not [*Original(b"\r\nTo: no field\r\n").header]


def test_a_huge_header_is_read_alike_and_never_held_as_fields() -> None:
    """A header of nothing but short fields would take twenty times its octets."""
    original = Original(b"x:\r\n" * 70_000 + MAIL)
    tracemalloc.start()
    try:
        assert original.values(b"to") == Original(MAIL).values(b"to")
        assert [field.value for field in original.named(b"x-note")] == Original(MAIL).values(b"x-note")
        assert tracemalloc.get_traced_memory()[1] < 3 * len(original.octets)
    finally:
        tracemalloc.stop()
    assert len(original.values(b"x")) == 70_000


def test_fields_go_and_nothing_else_changes() -> None:
    """Folded lines go with their field; without any to take out it is the same object."""
    original = Original(MAIL)
    rest = original.without(original.named(b"x-note"))
    assert rest.octets == b"To: a@example.org\r\nTO : b@example.org\r\n\r\nTo: no field\r\n"
    assert not rest.named(b"x-note")
    assert original.without(()) is original


def test_the_digest_is_that_of_the_body() -> None:
    """Before and after fields were taken out."""
    original = Original(MAIL)
    expected = hashlib.sha256(b"To: no field\r\n").digest()
    assert original.without(original.named(b"to")).digest() == expected
    assert original.digest() == expected
    assert original.without(original.named(b"to")).digest() == expected
