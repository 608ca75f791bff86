"""What each party can do with exactly the material it has, and what it cannot."""

from dataclasses import replace

import pytest

from relay.vault.sealing import bundle, message, parts
from relay.vault.sealing.errors import Layer, SealingError
from relay.vault.sealing.header import Author, CoreHeader
from relay.vault.sealing.kek import FileKek
from relay.vault.sealing.links import link_pair, new_link_secret, new_sender_secret, same_key
from relay.vault.sealing.manifest import PartEntry, PartRole
from relay.vault.sealing.queue_item import MAX_PAYLOAD, new_queue_private, queue_public, seal_queue_item
from relay.vault.sealing.recovery import RecoveryPrivateKey, new_recovery_seed
from relay.vault.sealing.rows import participant_mac
from relay.vault.sealing.stanza import StanzaKey, StanzaType
from tests.unit.relay.vault.sealing.letter import CONVERSATION, LINK_ID, MESSAGE, Letter


def refusal(error: pytest.ExceptionInfo[SealingError]) -> Layer:
    return error.value.layer


def test_a_reader_opens_with_link_and_server(letter: Letter) -> None:
    """Link and server key together give the message."""
    key = letter.reopen()
    manifest = message.open_manifest(key, letter.sealed_manifest.id, letter.sealed_manifest.blob)
    assert manifest == letter.manifest
    entry = manifest.part(letter.part.id)
    assert parts.open_part(key, entry.id, letter.part.blob, entry.size) == b"The plain text of a letter."


def test_a_link_is_recognised_by_deriving_again(letter: Letter) -> None:
    """The same L and link id give the same public key; another L or link id another one."""
    assert same_key(link_pair(b"L" * 32, LINK_ID), letter.link.public)
    assert not same_key(link_pair(b"M" * 32, LINK_ID), letter.link.public)
    assert not same_key(link_pair(b"L" * 32, MESSAGE), letter.link.public)


def test_a_later_reader_is_added_without_any_secret_of_the_others(letter: Letter) -> None:
    """Whoever has the capability and the outer key seals to a new link, which then opens the message."""
    secret, link_id = new_link_secret(), b"n" * 16
    pair = link_pair(secret, link_id)
    to = [StanzaKey(StanzaType.LINK, link_id, pair.public)]
    (added,) = message.seal_stanzas(letter.reopen(), letter.outer, to)
    assert message.open_stanza(letter.header, letter.outer, added, pair) == letter.key


def test_a_message_can_be_sealed_to_a_key_without_its_private_half(letter: Letter) -> None:
    """Sealing takes public keys only: the row of a link is enough to send it every later message."""
    key = message.begin_message(CONVERSATION, b"2" * 16, 2, Author.STAFF)
    outer = message.new_outer_key(key.header, letter.kek)
    to = [StanzaKey(StanzaType.LINK, LINK_ID, letter.link.public)]
    (stanza,) = message.seal_stanzas(key, outer, to)
    assert message.open_stanza(key.header.encode(), outer, stanza, letter.link) == key


def test_one_key_gets_one_stanza(letter: Letter) -> None:
    """A key that stands twice in the list is refused: there is one row per message and key."""
    to = [StanzaKey(StanzaType.LINK, LINK_ID, letter.link.public)] * 2
    with pytest.raises(SealingError) as caught:
        message.seal_stanzas(letter.key, letter.outer, to)
    assert refusal(caught) is Layer.STANZA


def test_the_outer_key_of_another_message_seals_nothing(letter: Letter) -> None:
    """A stanza is never made under the outer key of another message."""
    other = message.begin_message(CONVERSATION, b"2" * 16, 2, Author.STAFF)
    with pytest.raises(SealingError) as caught:
        message.seal_stanzas(other, letter.outer, [])
    assert refusal(caught) is Layer.OUTER_KEY
    with pytest.raises(SealingError) as caught:
        message.open_stanza(other.header.encode(), letter.outer, letter.stanzas[0], letter.link)
    assert refusal(caught) is Layer.OUTER_KEY


def test_whether_a_reader_is_entitled_needs_no_link(letter: Letter) -> None:
    """The outer layer alone tells that a stanza was made here, for this message and key."""
    assert message.outer_layer_opens(letter.header, letter.outer, letter.stanzas[0])
    forged = replace(letter.stanzas[0], ct=bytes(108))
    assert not message.outer_layer_opens(letter.header, letter.outer, forged)
    assert not message.outer_layer_opens(letter.header, letter.outer, letter.stanzas[2])


def test_rewrap_moves_one_row(letter: Letter) -> None:
    """After rewrap the new server key opens the old stanzas, and the old wrapping can go."""
    later = FileKek(b"l" * 16, b"l" * 32)
    moved = message.rewrap(letter.outer, later)
    assert moved.kek_id == later.kek_id
    outer = message.open_outer_key(letter.header, moved.kek_id, moved.wrapped, {later.kek_id: later})
    assert message.open_stanza(letter.header, outer, letter.stanzas[0], letter.link) == letter.key


def test_extend_leaves_behind_whom_it_is_not_given(letter: Letter) -> None:
    """After extend the kept stanza opens; one from an old backup does not, though its link is known."""
    later = FileKek(b"l" * 16, b"l" * 32)
    moved, (kept,) = message.extend(letter.header, letter.outer, letter.stanzas[:1], later)
    outer = message.open_outer_key(letter.header, moved.kek_id, moved.wrapped, {later.kek_id: later})
    assert message.open_stanza(letter.header, outer, kept, letter.link) == letter.key
    with pytest.raises(SealingError) as caught:
        message.open_stanza(letter.header, outer, letter.stanzas[1], letter.sender)
    assert refusal(caught) is Layer.STANZA


def test_extend_is_all_or_nothing(letter: Letter) -> None:
    """A stanza that is not of this message stops the whole move."""
    with pytest.raises(SealingError) as caught:
        message.extend(letter.header, letter.outer, letter.stanzas, letter.kek)
    assert refusal(caught) is Layer.STANZA


def test_recovery_needs_neither_server_nor_link(letter: Letter) -> None:
    """The recovery key opens its stanza alone."""
    assert message.open_recovery(letter.header, letter.stanzas[2], letter.recovery) == letter.key


def test_recovery_proves_no_origin(letter: Letter) -> None:
    """Anybody can make a message that the recovery key opens; only H in the audit record tells it apart."""
    forged = message.begin_message(CONVERSATION, MESSAGE, letter.key.header.created, Author.STAFF)
    stanza = message.seal_recovery(forged, letter.recovery.public)
    assert message.open_recovery(forged.header.encode(), stanza, letter.recovery) == forged
    assert forged.header.digest != letter.key.header.digest


def test_a_capability_is_checked_against_the_commitment(letter: Letter) -> None:
    """The DEK that the portal hands over is compared with the header before it is used."""
    assert message.message_key(letter.header, letter.key.dek) == letter.key
    for dek in (b"", bytes(32), letter.key.dek[:-1], letter.key.dek + b"\x00"):
        with pytest.raises(SealingError) as caught:
            message.message_key(letter.header, dek)
        assert refusal(caught) is Layer.COMMITMENT


def test_rows_must_agree_with_their_header(letter: Letter) -> None:
    """A row whose columns name another message or conversation than its header is refused."""
    header = CoreHeader.decode(letter.header)
    header.require_row(conversation_id=CONVERSATION, message_id=MESSAGE)
    for ids in ((MESSAGE, MESSAGE), (CONVERSATION, CONVERSATION)):
        with pytest.raises(SealingError) as caught:
            header.require_row(conversation_id=ids[0], message_id=ids[1])
        assert refusal(caught) is Layer.HEADER


class _Cloud:
    """A KEK that is not a file: its blobs have a length of their own."""

    def __init__(self, length: int) -> None:
        self.kek_id, self.length, self.kept = b"c" * 16, length, b""

    def wrap(self, secret: bytes) -> bytes:
        self.kept = secret
        return b"w" * self.length

    def unwrap(self, wrapped: bytes) -> bytes:
        assert wrapped == b"w" * self.length
        return self.kept


def test_another_kind_of_server_key_serves(letter: Letter) -> None:
    """Any provider that wraps 64 bytes into 1 to 1,024 will do; H is compared for it too."""
    cloud = _Cloud(1024)
    outer = message.new_outer_key(letter.key.header, cloud)
    opened = message.open_outer_key(letter.header, cloud.kek_id, outer.wrapped, {cloud.kek_id: cloud})
    assert opened.key == outer.key
    cloud.kept = cloud.kept[:32] + bytes(32)
    with pytest.raises(SealingError) as caught:
        message.open_outer_key(letter.header, cloud.kek_id, outer.wrapped, {cloud.kek_id: cloud})
    assert refusal(caught) is Layer.OUTER_KEY


@pytest.mark.parametrize("length", [0, 1025])
def test_a_wrapping_that_does_not_fit_is_refused(letter: Letter, length: int) -> None:
    """A provider that returns nothing, or more than the format has room for, seals nothing."""
    with pytest.raises(SealingError) as caught:
        message.new_outer_key(letter.key.header, _Cloud(length))
    assert refusal(caught) is Layer.OUTER_KEY


def test_secrets_do_not_show_in_a_traceback(letter: Letter) -> None:
    """No key, secret or wrapped key appears in what `repr` prints."""
    shown = " ".join(
        repr(value) for value in (letter.key, letter.outer, letter.link, letter.recovery, letter.kek, letter.part)
    )
    for secret in (letter.key.dek, letter.outer.key, letter.link.private_bytes(), b"K" * 32, b"R" * 32):
        assert repr(secret)[2:-1] not in shown
        assert secret.hex() not in shown


def test_the_error_names_its_layer(letter: Letter) -> None:
    """The one error carries the layer, its name, and a sentence without secrets."""
    with pytest.raises(SealingError, match=r"^kek: the server key of this message is gone") as caught:
        message.open_outer_key(letter.header, letter.outer.kek_id, letter.outer.wrapped, {})
    assert (caught.value.layer, caught.value.name) == (Layer.KEK, "kek")


def test_drawn_secrets_have_their_lengths() -> None:
    """L has 32 bytes, S 20, a recovery seed and a queue key 32."""
    assert [len(draw()) for draw in (new_link_secret, new_sender_secret, new_recovery_seed, new_queue_private)] == [
        32,
        20,
        32,
        32,
    ]


def test_a_payload_over_1_mib_is_not_queued() -> None:
    """What is larger than a queue item belongs into a sealed part."""
    public = queue_public(bytes(range(32)))
    with pytest.raises(SealingError) as caught:
        seal_queue_item(public, b"e" * 32, 1, b"i" * 16, bytes(MAX_PAYLOAD + 1))
    assert refusal(caught) is Layer.QUEUE_ITEM


@pytest.mark.parametrize(
    ("role", "flags", "address"), [(256, 0, "a"), (1, -1, "a"), (1, 0, "\ud800"), (1, 0, "a" * 65536)]
)
def test_a_row_that_does_not_fit_gets_no_mac(role: int, flags: int, address: str) -> None:
    """Role and flags are one byte, an address is at most 65,535 bytes of UTF-8."""
    ids = {"conversation_id": CONVERSATION, "participant_id": MESSAGE}
    with pytest.raises(SealingError) as caught:
        participant_mac(b"r" * 32, **ids, role=role, flags=flags, address=address)
    assert refusal(caught) is Layer.ROW


def test_what_cannot_be_read_again_is_not_sealed(letter: Letter) -> None:
    """A manifest that no reader would accept is refused when it is written, not when it is needed."""
    entry = PartEntry(b"p" * 16, PartRole.TEXT, "", "text/plain", 1)
    wrong = (
        replace(letter.manifest, subject="\ud800"),
        replace(letter.manifest, date="yesterday"),
        replace(letter.manifest, subject="x" * (1 << 20)),
        replace(letter.manifest, parts=(entry, entry)),
        replace(letter.manifest, parts=(replace(entry, type="Text/Plain"),)),
        replace(letter.manifest, parts=tuple(replace(entry, id=n.to_bytes(16, "big")) for n in range(1001))),
    )
    for manifest in wrong:
        with pytest.raises(SealingError) as caught:
            message.seal_manifest(letter.key, manifest)
        assert refusal(caught) is Layer.MANIFEST


def test_a_bundle_that_could_not_be_decoded_is_not_encoded(letter: Letter) -> None:
    """Encoding checks what decoding would refuse."""
    blobs = (letter.sealed_manifest.blob, letter.part.blob)
    whole = bundle.Bundle(letter.header, letter.outer.kek_id, letter.outer.wrapped, letter.stanzas, blobs)
    assert bundle.decode_bundle(bundle.encode_bundle(whole)) == whole
    foreign = replace(letter.stanzas[0], message_id=bytes(16))
    for wrong, layer in (
        (replace(whole, kek_id=bytes(16)), Layer.OUTER_KEY),
        (replace(whole, wrapped=b""), Layer.OUTER_KEY),
        (replace(whole, stanzas=letter.stanzas * 2), Layer.STANZA),
        (replace(whole, stanzas=(foreign,)), Layer.STANZA),
        (replace(whole, blobs=()), Layer.BUNDLE),
        (replace(whole, header=bytes(96)), Layer.HEADER),
    ):
        with pytest.raises(SealingError) as caught:
            bundle.encode_bundle(wrong)
        assert refusal(caught) is layer


def test_a_bundle_of_another_message_is_refused(letter: Letter) -> None:
    """A capability opens the bundle of its own message only."""
    blobs = (letter.sealed_manifest.blob, letter.part.blob)
    whole = bundle.Bundle(letter.header, bytes(16), b"", letter.stanzas[2:], blobs)
    other = message.begin_message(CONVERSATION, MESSAGE, 1, Author.STAFF)
    with pytest.raises(SealingError) as caught:
        bundle.open_bundle(whole, other)
    assert refusal(caught) is Layer.HEADER


def test_recovery_keys_differ() -> None:
    """Two seeds have different public keys and key ids."""
    one, other = (RecoveryPrivateKey.from_seed(new_recovery_seed()).public for _ in range(2))
    assert one.key_id != other.key_id
