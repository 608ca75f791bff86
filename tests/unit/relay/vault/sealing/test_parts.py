"""Parts are written and read as streams, and any range of them exactly."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.vault.sealing import message, parts, spool
from relay.vault.sealing.chunks import CHUNK, MAX_CHUNKS, ChunkSealer, Layout
from relay.vault.sealing.errors import Layer, SealingError
from relay.vault.sealing.header import Author

KEY = message.begin_message(b"c" * 16, b"m" * 16, 1, Author.STAFF)
DATA = bytes(range(256)) * 800  # 204,800 bytes: three chunks and a bit
BLOB = parts.seal_part(KEY, DATA)
POSITIONS = st.one_of(
    st.integers(0, len(DATA)),
    st.sampled_from([0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK, len(DATA) - 1, len(DATA)]),
)


def sliced(data: bytes, lengths: list[int]) -> list[bytes]:
    """Cut ``data`` into slices of these lengths, over and over."""
    slices: list[bytes] = []
    position = 0
    while position < len(data):
        length = lengths[len(slices) % len(lengths)]
        slices.append(data[position : position + length])
        position += length
    return slices


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.integers(0, 150_000), min_size=1, max_size=6).filter(any),
    st.lists(st.integers(1, 99_999), min_size=1, max_size=4),
)
def test_slices_do_not_matter(written: list[int], read: list[int]) -> None:
    """A part may be written and read in slices of any length; the blob has the length that was foretold."""
    writer = parts.PartWriter(KEY)
    blob = b"".join([*(writer.write(piece) for piece in sliced(DATA, written)), writer.finish()])
    assert len(blob) == writer.stored_length == parts.stored_length(len(DATA))
    assert writer.size == len(DATA)
    reader = parts.PartReader(KEY, writer.id, len(blob), len(DATA))
    assert b"".join(reader.read(sliced(blob, read))) == DATA


@settings(deadline=None, max_examples=150)
@given(POSITIONS, POSITIONS, st.lists(st.integers(1, 99_999), min_size=1, max_size=3))
def test_any_range(one: int, other: int, lengths: list[int]) -> None:
    """A range fetches only the chunks that hold it and yields exactly its bytes."""
    start, stop = min(one, other), max(one, other)
    reader = parts.PartReader(KEY, BLOB.id, len(BLOB.blob), len(DATA))
    span = reader.span(start, stop)
    assert span.length <= (stop - start) + 2 * (CHUNK + 16) + 1024
    stored = BLOB.blob[span.offset : span.offset + span.length]
    assert len(stored) == span.length
    assert b"".join(reader.read_range(start, stop, sliced(stored, lengths))) == DATA[start:stop]


def test_an_empty_range_fetches_nothing() -> None:
    """An empty range asks for no byte of the blob."""
    reader = parts.PartReader(KEY, BLOB.id, len(BLOB.blob), len(DATA))
    assert reader.span(5, 5).length == 0
    assert list(reader.read_range(5, 5, [])) == []


def test_only_verified_chunks_come_out() -> None:
    """When a later chunk is damaged, the earlier ones come out whole, then the error, and no byte of the damaged one."""
    damaged = bytearray(BLOB.blob)
    damaged[16 + 65552 + 70] ^= 1
    reader = parts.PartReader(KEY, BLOB.id, len(damaged), len(DATA))
    pieces = reader.read([bytes(damaged)])
    assert next(pieces) == DATA[:CHUNK]
    with pytest.raises(SealingError) as caught:
        next(pieces)
    assert caught.value.layer is Layer.PART


def test_the_stored_length_is_checked_before_anything_is_read() -> None:
    """A blob of another length than its size demands is refused without a byte of it, for a range too."""
    for length in (len(BLOB.blob) - 1024, len(BLOB.blob) + 1024, len(BLOB.blob) - 1, 16, 15, 0, -1):
        with pytest.raises(SealingError):
            parts.PartReader(KEY, BLOB.id, length, len(DATA))


@pytest.mark.parametrize(("start", "stop"), [(-1, 1), (2, 1), (0, len(DATA) + 1)])
def test_a_range_outside_the_part_is_a_mistake_of_ours(start: int, stop: int) -> None:
    """Ranges come from a request that was judged before; outside the part they are a programming error."""
    reader = parts.PartReader(KEY, BLOB.id, len(BLOB.blob), len(DATA))
    with pytest.raises(ValueError, match="outside"):
        reader.span(start, stop)


def test_a_finished_writer_takes_no_more() -> None:
    """After finish nothing can be added: the last chunk has been marked as the last."""
    sealer = ChunkSealer(b"k" * 32)
    sealer.finish()
    with pytest.raises(ValueError, match="finished"):
        sealer.write(b"x")
    with pytest.raises(ValueError, match="finished"):
        sealer.finish()


def test_part_ids_are_never_used_twice() -> None:
    """Two attempts at writing the same part have different ids and so different keys."""
    one, other = parts.seal_part(KEY, b"the same"), parts.seal_part(KEY, b"the same")
    assert one.id != other.id
    assert one.blob[16:] != other.blob[16:]


@given(st.integers(0, 1 << 54))
def test_lengths_are_found_again(plain: int) -> None:
    """Every plain length up to 2^32 - 1 chunks has one sealed length, and that gives it back."""
    if plain > CHUNK * MAX_CHUNKS:
        with pytest.raises(ValueError, match="chunks"):
            Layout.of_plain(plain)
    else:
        layout = Layout.of_plain(plain)
        assert Layout.of_sealed(layout.sealed, Layer.PART) == layout


@given(st.integers(-70_000, 300_000))
def test_no_other_length_is_one(sealed: int) -> None:
    """A length is accepted exactly when a stream has it."""
    count = max(1, -(-sealed // 65552))
    plain = sealed - 16 * count
    if plain >= 0 and Layout.of_plain(plain).sealed == sealed:
        assert Layout.of_sealed(sealed, Layer.SPOOL).plain == plain
    else:
        with pytest.raises(SealingError):
            Layout.of_sealed(sealed, Layer.SPOOL)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 140_000), st.lists(st.integers(1, 70_000), min_size=1, max_size=4))
def test_a_spooled_item_is_read_in_slices(size: int, lengths: list[int]) -> None:
    """Queued content streams in and out, and its length is known beforehand."""
    writer = spool.SpoolWriter(b"k" * 32, b"i" * 16, "content", b"m" * 16)
    data = DATA[:size]
    item = b"".join([*(writer.write(piece) for piece in sliced(data, lengths)), writer.finish()])
    assert len(item) == spool.spooled_length(size)
    reader = spool.SpoolReader(b"k" * 32, "content", b"m" * 16, len(item))
    assert reader.size == size
    assert b"".join(reader.read(sliced(item, lengths))) == data
