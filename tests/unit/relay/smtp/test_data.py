"""The octets of a message: where it ends, what it may hold, what memory it takes."""

from hypothesis import given
from hypothesis import strategies as st

from relay.memory import Room
from relay.smtp import replies
from relay.smtp.chunking import Chunk, ChunkReader, parse_chunk
from relay.smtp.data import Content, DataReader, flood_size

TOKENS = st.sampled_from(
    [b"\r", b"\n", b".", b"x", b"\r\n", b"\r\n.", b"..", b"\0", b"longer text", b"plain lines\r\n" * 6]
)
BLOCKS = st.lists(st.lists(TOKENS, max_size=5).map(b"".join), min_size=1, max_size=8)


def content(limit: int = 1000, memory: int = 1000, *, mend: bool = False) -> Content:
    return Content(limit=limit, room=Room(memory), mend_lines=mend)


def by_the_book(stream: bytes) -> tuple[bytes, bytes] | None:
    """Read DATA line by line as RFC 5321 section 4.5.2 words it; return content and rest, or None without an end."""
    kept = b""
    while b"\r\n" in stream:
        line, _, stream = stream.partition(b"\r\n")
        if line == b".":
            return kept, stream
        kept += line.removeprefix(b".") + b"\r\n"
    return None


@given(BLOCKS)
def test_content_and_rest(blocks: list[bytes]) -> None:
    """Content, refusal and rest are those of the definition, wherever blocks end."""
    stream = b"".join(blocks) + b"\r\n.\r\n" + b"rest"
    book = by_the_book(stream)
    assert book is not None
    kept, rest = book
    into = content()
    reader = DataReader(into)
    found = None
    queue = [*blocks, b"\r\n.\r\nrest"]
    while found is None:
        found = reader.feed(queue.pop(0))
    assert found + b"".join(queue) == rest
    bare = kept.replace(b"\r\n", b"")
    if b"\r" in bare:
        assert into.problem() == replies.BARE_CR
    elif b"\n" in bare:
        assert into.problem() == replies.BARE_LF
    elif b"\0" in bare:
        assert into.problem() == replies.NUL
    else:
        assert into.problem() is None
        assert into.take() == kept


@given(BLOCKS)
def test_chunks_do_not_matter(blocks: list[bytes]) -> None:
    """BDAT content and its refusals do not depend on where chunks end."""
    one, many = content(mend=True), content(mend=True)
    whole, pieces = ChunkReader(one), ChunkReader(many)
    whole.feed(b"".join(blocks))
    for block in blocks:
        pieces.feed(block)
    whole.finish()
    pieces.finish()
    assert one.problem() == many.problem()
    taken = one.take()
    assert taken == many.take()
    assert taken == b"" or taken.endswith(b"\r\n")


def test_bare_lf_is_mended_for_those_who_signed_in() -> None:
    """A bare LF becomes CRLF; a dot behind it is an ordinary dot."""
    into = content(mend=True)
    assert DataReader(into).feed(b"one\n.\ntwo\r\n\n..\n.\r\nthree\r\n.\r\n") == b""
    assert into.problem() is None
    assert into.take() == b"one\r\n.\r\ntwo\r\n\r\n..\r\n.\r\nthree\r\n"


def test_bare_cr_is_never_mended() -> None:
    """Nobody means a bare CR."""
    into = content(mend=True)
    DataReader(into).feed(b"one\rtwo\r\n.\r\n")
    assert into.problem() == replies.BARE_CR


def test_memory_is_reserved_and_returned() -> None:
    """A message takes its octets from the room until it is released; a refused one holds nothing."""
    room = Room(100)
    first = Content(limit=80, room=room)
    first.add(b"x" * 60)
    assert room.left == 40
    first.take()
    assert room.left == 40
    second = Content(limit=80, room=room)
    second.add(b"x" * 50)
    assert second.problem() == replies.NO_ROOM
    assert room.left == 40
    first.release()
    first.release()
    assert room.left == 100
    third = Content(limit=80, room=room)
    third.add(b"x" * 50)
    third.add(b"x" * 50)
    assert third.problem() == replies.too_large(80)
    assert room.left == 100
    assert third.size == 100


def test_chunk_arguments() -> None:
    """BDAT takes a size and perhaps LAST, nothing else; digits are ASCII digits."""
    assert parse_chunk("10") == Chunk(10, last=False)
    assert parse_chunk("0 last") == Chunk(0, last=True)
    assert parse_chunk("10  LAST ") == Chunk(10, last=True)
    for wrong in ("", "x", "-1", "+1", "1.5", "10 FIRST", "10LAST", "١٢", "10 LAST x", "9" * 21):
        assert parse_chunk(wrong) is None


def test_a_flood_is_more_than_an_oversized_message() -> None:
    """A message twice the limit is still read to its end."""
    assert flood_size(1000) > 2000
