"""Every vector in tests/vectors is opened, recomputed or refused by the name it gives."""

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from relay.vault.sealing import bundle, message, parts, primitives, rows, spool, ticket, visit
from relay.vault.sealing.errors import SealingError
from relay.vault.sealing.header import CoreHeader
from relay.vault.sealing.hpke import seal
from relay.vault.sealing.kek import FileKek
from relay.vault.sealing.key import MessageKey
from relay.vault.sealing.links import KeyPair, link_pair, same_key, sender_pair
from relay.vault.sealing.manifest import Manifest
from relay.vault.sealing.queue_item import open_queue_item
from relay.vault.sealing.recovery import RecoveryPrivateKey, RecoveryPublicKey
from relay.vault.sealing.stanza import Stanza

VECTORS = Path(__file__).parents[4] / "vectors"
JSON = dict[str, Any]


def load(name: str) -> Any:
    return json.loads((VECTORS / f"{name}.json").read_text())


KEYS, PARTS, MESSAGES, BUNDLES, RECORDS, NEGATIVE = (
    load(name) for name in ("keys", "parts", "messages", "bundles", "records", "negative")
)


def unhex(values: JSON, *names: str) -> list[bytes]:
    return [bytes.fromhex(values[name]) for name in names]


def joined(pieces: list[Any], source: dict[str, bytes]) -> bytes:
    """Join the pieces of a changed byte string, as tests/vectors/negative.py writes them."""
    out = []
    for piece in pieces:
        if isinstance(piece, str):
            out.append(bytes.fromhex(piece))
        elif isinstance(piece, dict):
            out.append(bytes.fromhex(piece["repeat"]) * piece["times"])
        else:
            name, start, stop = piece
            out.append(source[name][start:stop])
    return b"".join(out)


def keks_of(vector: JSON) -> dict[bytes, FileKek]:
    return {bytes.fromhex(i): FileKek(bytes.fromhex(i), bytes.fromhex(key)) for i, key in vector["keks"].items()}


def stanza_of(values: JSON) -> Stanza:
    key_id, message_id, ct = unhex(values, "key_id", "message_id", "ct")
    return Stanza(values["type"], key_id, message_id, ct)


def pair_of(opener: JSON, conversation_id: bytes) -> KeyPair:
    key_id, secret = unhex(opener, "key_id", "secret")
    return link_pair(secret, key_id) if opener["type"] == 1 else sender_pair(secret, conversation_id)


def open_key(vector: JSON, stanza: Stanza, opener: JSON) -> MessageKey:
    """Open one stanza with exactly what its holder and the server have."""
    header, kek_id, wrapped = unhex(vector, "header", "kek_id", "wrapped")
    if opener["type"] == 3:
        seed = RecoveryPrivateKey.from_seed(bytes.fromhex(opener["secret"]))
        return message.open_recovery(header, stanza, seed)
    outer = message.open_outer_key(header, kek_id, wrapped, keks_of(vector))
    pair = pair_of(opener, CoreHeader.decode(header).conversation_id)
    return message.open_stanza(header, outer, stanza, pair)


def open_content(vector: JSON, key: MessageKey) -> tuple[Manifest, list[bytes]]:
    manifest_part = bytes.fromhex(vector["manifest_part"])
    blobs = {bytes.fromhex(part_id): bytes.fromhex(blob) for part_id, blob in vector["blobs"].items()}
    manifest = message.open_manifest(key, manifest_part, blobs.pop(manifest_part))
    manifest.check_parts(blobs)
    return manifest, [parts.open_part(key, entry.id, blobs[entry.id], entry.size) for entry in manifest.parts]


def openers(vector: JSON) -> Iterator[tuple[int, JSON]]:
    yield from enumerate(vector["keys"])
    if vector["stanzas"][-1]["type"] == 3:
        yield len(vector["keys"]), {"type": 3, "secret": vector["recovery_seed"]}


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_opens(name: str) -> None:
    """Each key opens its stanza, and manifest and parts come out as they went in."""
    vector, expect = MESSAGES[name], MESSAGES[name]["expect"]
    for position, opener in openers(vector):
        key = open_key(vector, stanza_of(vector["stanzas"][position]), opener)
        assert key.dek.hex() == expect["dek"]
        assert key.header.digest.hex() == expect["digest"]
        assert (key.header.created, key.header.author) == (expect["created"], expect["author"])
        assert key.header.encode().hex() == vector["header"]
        manifest, contents = open_content(vector, key)
        assert manifest.encode().hex() == expect["manifest"]
        assert [hashlib.sha256(content).hexdigest() for content in contents] == expect["parts_sha256"]
        sealed_manifest = bytes.fromhex(vector["blobs"][vector["manifest_part"]])
        assert message.manifest_digest(sealed_manifest).hex() == expect["manifest_sha256"]


def test_the_outer_key_comes_out() -> None:
    """One unwrap yields O, under the present server key, an older one, and after rewrap and extend."""
    for vector in MESSAGES.values():
        header, kek_id, wrapped = unhex(vector, "header", "kek_id", "wrapped")
        outer = message.open_outer_key(header, kek_id, wrapped, keks_of(vector))
        assert outer.key.hex() == vector["expect"]["outer"]


def test_rewrap_keeps_the_outer_key_and_extend_changes_it() -> None:
    """The same message, moved in two ways: rewrap leaves stanzas as they are, extend redoes their outer layers."""
    rewrapped, extended = MESSAGES["rewrapped"], MESSAGES["extended"]
    assert rewrapped["header"] == extended["header"]
    assert rewrapped["expect"]["outer"] != extended["expect"]["outer"]
    for one, other in zip(rewrapped["stanzas"], extended["stanzas"], strict=True):
        assert (one["ct"] == other["ct"]) is (one["type"] == 3)


@pytest.mark.parametrize("case", PARTS["cases"], ids=lambda case: str(case["size"]))
def test_a_part_of_each_size(case: JSON, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sealing with the same part id gives the very blob, and the blob opens."""
    header, dek = unhex(PARTS, "header", "dek")
    key = message.message_key(header, dek)
    data = hashlib.shake_256(case["content_shake256"].encode()).digest(case["size"])
    monkeypatch.setattr("secrets.token_bytes", lambda _: bytes.fromhex(case["part_id"]))
    sealed = parts.seal_part(key, data)
    assert len(sealed.blob) == case["stored_length"] == parts.stored_length(case["size"])
    assert hashlib.sha256(sealed.blob).hexdigest() == case["blob_sha256"]
    assert case.get("blob", sealed.blob.hex()) == sealed.blob.hex()
    assert parts.open_part(key, sealed.id, sealed.blob, case["size"]) == data


def range_reader(case: JSON, vector: JSON) -> parts.PartReader:
    key = message.message_key(bytes.fromhex(vector["header"]), bytes.fromhex(vector["expect"]["dek"]))
    manifest = Manifest.decode(bytes.fromhex(vector["expect"]["manifest"]))
    entry = manifest.part(bytes.fromhex(case["part"]))
    return parts.PartReader(key, entry.id, case["stored_length"], entry.size)


@pytest.mark.parametrize("case", PARTS["ranges"]["cases"], ids=lambda case: f"{case['start']}-{case['stop']}")
def test_a_range_of_a_part(case: JSON) -> None:
    """A range names the stored bytes to fetch, and yields exactly its plain bytes."""
    vector = MESSAGES[PARTS["ranges"]["message"]]
    reader = range_reader(case, vector)
    span = reader.span(case["start"], case["stop"])
    assert (span.offset, span.length) == (case["offset"], case["length"])
    stored = bytes.fromhex(vector["blobs"][case["part"]])[span.offset : span.offset + span.length]
    plain = b"".join(reader.read_range(case["start"], case["stop"], [stored]))
    assert hashlib.sha256(plain).hexdigest() == case["sha256"]


def test_the_output_of_every_label() -> None:
    """Each label derives the recorded key, and no label is missing from the vectors."""
    ikm, salt = unhex(KEYS["labels"], "ikm", "salt")
    derived = {label: primitives.kdf(ikm, salt, label).hex() for label in primitives.LABELS}
    assert derived == {primitives.lab(name): value for name, value in KEYS["labels"]["kdf"].items()}


@pytest.mark.parametrize("name", ["link", "sender"])
def test_a_derived_key_pair(name: str) -> None:
    """L, and S as it is cut from an address, derive the recorded key pairs."""
    vector = KEYS[name]
    if "address_text" in vector:
        vector = {**vector, "secret": base64.b32decode(vector["address_text"].upper()).hex()}
    pair = pair_of(vector, bytes.fromhex(vector.get("conversation_id", "")))
    assert pair.private_bytes().hex() == vector["private"]
    assert same_key(pair, bytes.fromhex(vector["public"]))


def test_the_recovery_key_of_a_seed() -> None:
    """A seed expands to the recorded public key and key id."""
    vector = KEYS["recovery"]
    public = RecoveryPrivateKey.from_seed(bytes.fromhex(vector["seed"])).public
    assert hashlib.sha256(public.encode()).hexdigest() == vector["public_sha256"]
    assert public.key_id.hex() == vector["key_id"]
    assert RecoveryPublicKey.decode(public.encode()) == public


def open_bundle(data: bytes, opener: JSON) -> tuple[Manifest, tuple[bytes, ...]]:
    decoded = bundle.decode_bundle(data)
    base = MESSAGES[BUNDLES["message"]]
    vector = {"header": decoded.header.hex(), "kek_id": decoded.kek_id.hex(), "wrapped": decoded.wrapped.hex()}
    if opener["type"] == 3:
        key_id = RecoveryPrivateKey.from_seed(bytes.fromhex(opener["secret"])).public.key_id
    else:
        key_id = bytes.fromhex(opener["key_id"])
    (stanza,) = [stanza for stanza in decoded.stanzas if stanza.key_id == key_id]
    return bundle.open_bundle(decoded, open_key({**vector, "keks": base["keks"]}, stanza, opener))


@pytest.mark.parametrize("name", ["full", "recovery only"])
def test_a_bundle_opens_and_encodes_again(name: str) -> None:
    """A bundle opens with each key that it has a stanza for, and encodes to the very bytes."""
    data, base = bytes.fromhex(BUNDLES[name]), MESSAGES[BUNDLES["message"]]
    assert bundle.encode_bundle(bundle.decode_bundle(data)) == data
    for _, opener in openers(base):
        if name == "full" or opener["type"] == 3:
            manifest, contents = open_bundle(data, opener)
            assert manifest.encode().hex() == base["expect"]["manifest"]
            assert [hashlib.sha256(part).hexdigest() for part in contents] == base["expect"]["parts_sha256"]


def read_participant(record: JSON) -> None:
    row_key, tag, conversation, participant = unhex(record, "row_key", "mac", "conversation_id", "participant_id")
    rows.check_participant(
        row_key,
        tag,
        conversation_id=conversation,
        participant_id=participant,
        role=record["role"],
        flags=record["flags"],
        address=record["address"],
    )


def read_key(record: JSON) -> None:
    row_key, tag, conversation, participant = unhex(record, "row_key", "mac", "conversation_id", "participant_id")
    key_id, public = unhex(record, "key_id", "public")
    rows.check_key(
        row_key,
        tag,
        kind=record["type"],
        conversation_id=conversation,
        participant_id=participant,
        key_id=key_id,
        public=public,
    )


def read_queue_item(record: JSON) -> None:
    private, enqueue, entry, item, payload = unhex(record, "private", "enqueue_key", "entry_id", "item", "payload")
    assert open_queue_item(private, enqueue, record["kind"], entry, item) == payload


def read_spooled(record: JSON) -> None:
    key, item_id, item = unhex(record, "key", "item_id", "item")
    data = hashlib.shake_256(record["data_shake256"].encode()).digest(record["size"])
    assert spool.open_spooled(key, record["label"], item_id, item) == data


def read_ticket(record: JSON) -> None:
    ticket_key, visit_id, link_id, public, data = unhex(record, "ticket_key", "visit_id", "link_id", "public", "ticket")
    expected = ticket.Ticket(visit_id, link_id, public, record["until"])
    assert ticket.check_ticket(ticket_key, data, record["now"]) == expected
    assert ticket.issue_ticket(ticket_key, expected) == data


def read_visit(record: JSON) -> None:
    secret, visit_id, link_id, sealed = unhex(record, "secret", "visit_id", "link_id", "sealed")
    assert visit.open_visit(secret, visit_id, link_id, sealed).private_bytes().hex() == record["private"]


READ: dict[str, Callable[[JSON], None]] = {
    "participant": read_participant,
    "key": read_key,
    "queue item": read_queue_item,
    "spooled": read_spooled,
    "ticket": read_ticket,
    "visit": read_visit,
}


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_is_read(name: str) -> None:
    """Row MACs hold, and queue item, spooled items, ticket and visit open."""
    record = RECORDS[name]
    for case in record if isinstance(record, list) else [record]:
        if case.get("item", "") is not None:
            READ[name](case)


@pytest.mark.parametrize("case", RECORDS["spooled"], ids=lambda case: str(case["size"]))
def test_a_spooled_item_of_each_size(case: JSON, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sealing with the same salt gives the very item."""
    key, key_id, item_id, salt = unhex(case, "key", "key_id", "item_id", "salt")
    data = hashlib.shake_256(case["data_shake256"].encode()).digest(case["size"])
    monkeypatch.setattr("secrets.token_bytes", lambda _: salt)
    item = spool.seal_spooled(key, key_id, case["label"], item_id, data)
    assert hashlib.sha256(item).hexdigest() == case["item_sha256"]
    assert len(item) == spool.spooled_length(case["size"])
    assert spool.spooled_key_id(item) == key_id
    assert spool.open_spooled(key, case["label"], item_id, item) == data


def refused(case: JSON, operation: Callable[[], object]) -> None:
    with pytest.raises(SealingError) as caught:
        operation()
    assert caught.value.name == case["error"]


def changed(case: JSON) -> tuple[JSON, Stanza]:
    vector = MESSAGES[case["message"]]
    change = dict(case["change"])
    original = {part_id: bytes.fromhex(blob) for part_id, blob in vector["blobs"].items()}
    blobs = dict(vector["blobs"])
    for part_id, pieces in change.pop("blobs", {}).items():
        blobs[part_id] = None if pieces is None else joined(pieces, original).hex()
    columns = change.pop("stanza", {})
    present = {part_id: blob for part_id, blob in blobs.items() if blob is not None}
    return {**vector, "blobs": present, **change}, stanza_of({**vector["stanzas"][case["stanza"]], **columns})


def name_of(case: JSON) -> str:
    return str(case["name"])


@pytest.mark.parametrize("case", NEGATIVE["messages"], ids=name_of)
def test_a_changed_message_is_refused(case: JSON) -> None:
    """A message with one thing changed is refused by the layer that the vector names."""
    vector, stanza = changed(case)
    refused(case, lambda: open_content(vector, open_key(vector, stanza, case["opener"])))


@pytest.mark.parametrize("case", NEGATIVE["keys"], ids=name_of)
def test_nothing_is_sealed_to_what_is_no_key(case: JSON) -> None:
    """A public key of low order, not canonical or of another length is refused before sealing."""
    if "public" in case:
        refused(case, lambda: seal(bytes.fromhex(case["public"]), bytes(32), b""))
    else:
        refused(case, lambda: RecoveryPublicKey.decode(bytes.fromhex(case["recovery_public"])))


@pytest.mark.parametrize("case", NEGATIVE["ranges"], ids=name_of)
def test_a_wrong_range_is_refused(case: JSON) -> None:
    """Fetched bytes that are not the span of the range yield nothing."""
    vector = MESSAGES[case["message"]]
    stored = {case["part"]: bytes.fromhex(vector["blobs"][case["part"]])}
    refused(
        case,
        lambda: list(
            range_reader(case, vector).read_range(case["start"], case["stop"], [joined(case["pieces"], stored)])
        ),
    )


@pytest.mark.parametrize("case", NEGATIVE["manifests"], ids=name_of)
def test_what_is_no_manifest_is_refused(case: JSON) -> None:
    """Bytes that are not the one encoding of a manifest are refused."""
    refused(case, lambda: Manifest.decode(joined(case["manifest"], {})))


@pytest.mark.parametrize("case", NEGATIVE["bundles"], ids=name_of)
def test_a_changed_bundle_is_refused(case: JSON) -> None:
    """A bundle with one thing changed, cut or added is refused."""
    data = joined(case["change"], {"bundle": bytes.fromhex(BUNDLES[case["bundle"]])})
    refused(case, lambda: open_bundle(data, case["opener"]))


@pytest.mark.parametrize("case", NEGATIVE["records"], ids=name_of)
def test_a_changed_record_is_refused(case: JSON) -> None:
    """A row, queue item, spooled item, ticket or visit with one thing changed is refused."""
    good = RECORDS[case["record"]]
    good = good[1] if isinstance(good, list) else good
    refused(case, lambda: READ[case["record"]]({**good, **case["change"]}))
