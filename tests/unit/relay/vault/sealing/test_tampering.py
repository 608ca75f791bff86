"""Every single byte of what is stored is guarded: flip one, cut one off or add one, and nothing opens."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from relay.vault.sealing import bundle, message, parts, spool
from relay.vault.sealing.errors import Layer, SealingError
from relay.vault.sealing.queue_item import open_queue_item, queue_public, seal_queue_item
from relay.vault.sealing.stanza import Stanza
from relay.vault.sealing.ticket import Ticket, check_ticket, issue_ticket
from relay.vault.sealing.visit import open_visit, seal_visit
from tests.unit.relay.vault.sealing.letter import LINK_ID, Letter

_MASKS = (0x01, 0x80)
_HEADER_FAULTS = {Layer.HEADER, Layer.VERSION, Layer.SUITE, Layer.CRITICAL, Layer.RESERVED, Layer.AUTHOR_KIND}


def layers(data: bytes, operation: Callable[[bytes], object]) -> set[Layer]:
    """Flip the lowest and highest bit of every byte, cut and extend; return the layers that refused."""
    changed = [data[:-1], data + b"\x00", b""]
    for at in range(len(data)):
        for mask in _MASKS:
            copy = bytearray(data)
            copy[at] ^= mask
            changed.append(bytes(copy))
    found = set()
    for value in changed:
        with pytest.raises(SealingError) as caught:
            operation(value)
        found.add(caught.value.layer)
    return found


def test_every_byte_of_the_header(letter: Letter) -> None:
    """A changed header names its own fault or the outer key; for recovery, the stanza."""
    keks = {letter.kek.kek_id: letter.kek}

    def by_link(header: bytes) -> None:
        message.open_outer_key(header, letter.outer.kek_id, letter.outer.wrapped, keks)

    def by_recovery(header: bytes) -> None:
        message.open_recovery(header, letter.stanzas[2], letter.recovery)

    assert layers(letter.header, by_link) == _HEADER_FAULTS | {Layer.OUTER_KEY}
    assert layers(letter.header, by_recovery) == _HEADER_FAULTS | {Layer.STANZA}


def test_every_byte_of_the_wrapped_key(letter: Letter) -> None:
    """A changed wrapped key does not unwrap."""
    keks = {letter.kek.kek_id: letter.kek}

    def unwrap(wrapped: bytes) -> None:
        message.open_outer_key(letter.header, letter.outer.kek_id, wrapped, keks)

    assert layers(letter.outer.wrapped, unwrap) == {Layer.OUTER_KEY}


@pytest.mark.parametrize("position", [0, 1, 2])
def test_every_byte_of_a_stanza(letter: Letter, position: int) -> None:
    """A changed link, sender or recovery stanza does not open, whichever column was changed."""
    stanza, pair = letter.stanzas[position], (letter.link, letter.sender)[position % 2]

    def opened(changed: Stanza) -> None:
        if position == 2:
            message.open_recovery(letter.header, changed, letter.recovery)
        else:
            message.open_stanza(letter.header, letter.outer, changed, pair)

    opened(stanza)
    assert layers(stanza.ct, lambda ct: opened(replace(stanza, ct=ct))) == {Layer.STANZA}
    assert layers(stanza.key_id, lambda key_id: opened(replace(stanza, key_id=key_id))) == {Layer.STANZA}
    assert layers(stanza.message_id, lambda name: opened(replace(stanza, message_id=name))) == {Layer.STANZA}
    for kind in {0, 1, 2, 3, 4, -1, 256} - {stanza.type}:
        with pytest.raises(SealingError):
            opened(replace(stanza, type=kind))


def test_every_byte_of_a_part_and_of_the_manifest(letter: Letter) -> None:
    """A changed blob yields nothing."""
    part, manifest = letter.part, letter.sealed_manifest
    assert layers(part.blob, lambda blob: parts.open_part(letter.key, part.id, blob, part.size)) == {Layer.PART}
    assert layers(manifest.blob, lambda blob: message.open_manifest(letter.key, manifest.id, blob)) == {Layer.PART}
    assert layers(part.id, lambda name: parts.open_part(letter.key, name, part.blob, part.size)) == {Layer.PART}


def test_every_byte_of_a_bundle(letter: Letter) -> None:
    """No byte of a bundle can be changed unnoticed by those who hold both a link and the recovery key."""
    blobs = (letter.sealed_manifest.blob, letter.part.blob)
    whole = bundle.Bundle(letter.header, letter.outer.kek_id, letter.outer.wrapped, letter.stanzas, blobs)

    def opened(data: bytes) -> None:
        decoded = bundle.decode_bundle(data)
        keks = {letter.kek.kek_id: letter.kek}
        outer = message.open_outer_key(decoded.header, decoded.kek_id, decoded.wrapped, keks)
        message.open_stanza(decoded.header, outer, decoded.stanzas[0], letter.link)
        message.open_stanza(decoded.header, outer, decoded.stanzas[1], letter.sender)
        bundle.open_bundle(decoded, message.open_recovery(decoded.header, decoded.stanzas[2], letter.recovery))

    data = bundle.encode_bundle(whole)
    opened(data)
    expected = {Layer.BUNDLE, Layer.KEK, Layer.OUTER_KEY, Layer.STANZA, Layer.PART}
    assert layers(data, opened) == _HEADER_FAULTS | expected


def test_every_byte_of_a_queue_item() -> None:
    """A changed queue item is refused before anything is opened."""
    private, enqueue, entry = bytes(range(32)), b"e" * 32, b"i" * 16
    item = seal_queue_item(queue_public(private), enqueue, 1, entry, b"payload")
    assert layers(item, lambda data: open_queue_item(private, enqueue, 1, entry, data)) == {Layer.QUEUE_ITEM}
    assert layers(entry, lambda name: open_queue_item(private, enqueue, 1, name, item)) == {Layer.QUEUE_ITEM}


def test_every_byte_of_a_spooled_item() -> None:
    """A changed spooled item is refused, its key id included."""
    item = spool.seal_spooled(b"k" * 32, b"i" * 16, "envelope", b"m" * 16, b"reverse-path and recipients")

    def opened(data: bytes) -> None:
        spool.open_spooled(b"k" * 32, "envelope", b"m" * 16, data)

    assert layers(item, opened) == {Layer.SPOOL}


def test_every_byte_of_a_ticket(letter: Letter) -> None:
    """A changed ticket is refused."""
    data = issue_ticket(b"t" * 32, Ticket(b"v" * 16, LINK_ID, letter.link.public, 100))
    assert layers(data, lambda changed: check_ticket(b"t" * 32, changed, 99)) == {Layer.TICKET}


def test_every_byte_of_a_visit(letter: Letter) -> None:
    """A changed row, cookie or id does not give the link's key."""
    secret, row = seal_visit(b"v" * 16, LINK_ID, letter.link)
    assert open_visit(secret, b"v" * 16, LINK_ID, row) == letter.link
    assert layers(row, lambda data: open_visit(secret, b"v" * 16, LINK_ID, data)) == {Layer.VISIT}
    assert layers(secret, lambda data: open_visit(data, b"v" * 16, LINK_ID, row)) == {Layer.VISIT}
    assert layers(LINK_ID, lambda data: open_visit(secret, b"v" * 16, data, row)) == {Layer.VISIT}


def test_a_part_does_not_open_in_another_message(letter: Letter) -> None:
    """A blob carried into another message is refused, even under its own id."""
    other = message.begin_message(b"c" * 16, b"m" * 16, 1, letter.key.header.author)
    with pytest.raises(SealingError) as caught:
        parts.open_part(other, letter.part.id, letter.part.blob, letter.part.size)
    assert caught.value.layer is Layer.PART
