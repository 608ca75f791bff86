"""The positive vectors: what must open, and what must come out."""

import base64
import hashlib

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from material import Recorder, named, repeatable

from relay.vault.sealing import bundle, message, parts, primitives, rows, spool, ticket, visit
from relay.vault.sealing.header import Author
from relay.vault.sealing.kek import FileKek
from relay.vault.sealing.key import begin_message
from relay.vault.sealing.links import link_pair, sender_pair
from relay.vault.sealing.manifest import Manifest, PartEntry, PartRole
from relay.vault.sealing.queue_item import queue_public, seal_queue_item
from relay.vault.sealing.recovery import RecoveryPrivateKey
from relay.vault.sealing.stanza import Stanza, StanzaKey, StanzaType, seal_recovery_stanza, seal_stanza

CREATED = 1_795_365_139  # 2026-11-22T16:32:19Z
CONVERSATION = named("conversation", 16)
KEKS = {
    name: FileKek(named(f"kek {name} id", 16), named(f"kek {name}", 32)) for name in ("new", "old", "later")
}
KEK_BYTES = {name: named(f"kek {name}", 32) for name in KEKS}
SEED = named("recovery seed", 32)
SIZES = (0, 1, 1023, 1024, 1025, 65535, 65536, 65537, 131072)


class Reader:
    """A link (type 1) or sender (type 2) with its secret."""

    def __init__(self, name: str, kind: StanzaType) -> None:
        self.key_id = named(f"{name} id", 16)
        if kind is StanzaType.LINK:
            self.secret = named(name, 32)
            self.pair = link_pair(self.secret, self.key_id)
        else:
            self.secret = named(name, 20)
            self.pair = sender_pair(self.secret, CONVERSATION)
        self.key = StanzaKey(kind, self.key_id, self.pair.public)

    def vector(self) -> dict[str, object]:
        return {
            "type": int(self.key.type),
            "key_id": self.key_id.hex(),
            "secret": self.secret.hex(),
            "private": self.pair.private_bytes().hex(),
            "public": self.pair.public.hex(),
        }


JANE, JOHN, STAFF = (
    Reader("jane", StanzaType.LINK),
    Reader("john", StanzaType.LINK),
    Reader("staff", StanzaType.SENDER),
)


def _stanza(stanza: Stanza) -> dict[str, object]:
    ids = {"type": int(stanza.type), "key_id": stanza.key_id.hex(), "message_id": stanza.message_id.hex()}
    return {**ids, "ct": stanza.ct.hex()}


class Sealed:
    """One sealed message with all that a vector says of it."""

    def __init__(
        self, name, recorder, contents, readers, *, kek="new", recovery=True, author=Author.STAFF
    ) -> None:
        self.readers, self.kek_names = readers, ["new", "old"]
        with repeatable(recorder, f"message {name}"):
            self.key = begin_message(CONVERSATION, named(f"message {name} id", 16), CREATED, author)
            self.header = self.key.header.encode()
            self.blobs, self.plain, entries = {}, [], []
            for kind, file_name, media, data in contents:
                part = parts.seal_part(self.key, data)
                self.blobs[part.id] = part.blob
                self.plain.append(data)
                cid = "logo@example.org" if kind is PartRole.INLINE else ""
                entries.append(PartEntry(part.id, kind, file_name, media, part.size, cid))
            self.manifest = Manifest(
                "anna@example.org",
                ("jane@example.net",),
                (),
                "2026-11-22T16:32:19+00:00",
                "Your appointment \u2013 \u0130stanbul",
                tuple(entries),
            )
            sealed = message.seal_manifest(self.key, self.manifest)
            self.manifest_part = sealed.id
            self.blobs[sealed.id] = sealed.blob
            self.outer = message.new_outer_key(self.key.header, KEKS[kek])
            self.stanzas = message.seal_stanzas(self.key, self.outer, [reader.key for reader in readers])
            if recovery:
                self.stanzas += (message.seal_recovery(self.key, RecoveryPrivateKey.from_seed(SEED).public),)

    def vector(self) -> dict[str, object]:
        header = self.key.header
        return {
            "header": self.header.hex(),
            "kek_id": self.outer.kek_id.hex(),
            "wrapped": self.outer.wrapped.hex(),
            "manifest_part": self.manifest_part.hex(),
            "stanzas": [_stanza(stanza) for stanza in self.stanzas],
            "blobs": {part_id.hex(): blob.hex() for part_id, blob in self.blobs.items()},
            "keks": {KEKS[name].kek_id.hex(): KEK_BYTES[name].hex() for name in self.kek_names},
            "keys": [reader.vector() for reader in self.readers],
            "recovery_seed": SEED.hex(),
            "expect": {
                "conversation_id": header.conversation_id.hex(),
                "message_id": header.message_id.hex(),
                "created": header.created,
                "author": int(header.author),
                "commitment": header.commitment.hex(),
                "digest": header.digest.hex(),
                "dek": self.key.dek.hex(),
                "outer": self.outer.key.hex(),
                "manifest": self.manifest.encode().hex(),
                "manifest_sha256": hashlib.sha256(self.blobs[self.manifest_part]).hexdigest(),
                "parts_sha256": [hashlib.sha256(data).hexdigest() for data in self.plain],
            },
        }

    def bundle(self, *, kek: bool = True) -> bytes:
        ids = [self.manifest_part, *(entry.id for entry in self.manifest.parts)]
        stanzas = self.stanzas if kek else tuple(s for s in self.stanzas if s.type == StanzaType.RECOVERY)
        kek_id, wrapped = (self.outer.kek_id, self.outer.wrapped) if kek else (bytes(16), b"")
        blobs = tuple(self.blobs[part_id] for part_id in ids)
        return bundle.encode_bundle(bundle.Bundle(self.header, kek_id, wrapped, stanzas, blobs))


def messages(recorder: Recorder) -> dict[str, Sealed]:
    text = (PartRole.TEXT, "", "text/plain", b"Dear Jane, your appointment is on Monday.\r\n")
    logo = (PartRole.INLINE, "logo.png", "image/png", named("logo", 1500))
    large = (PartRole.ATTACHMENT, "report.pdf", "application/pdf", named("large", 131072))
    made = {
        "one reader": Sealed("one reader", recorder, [text], [JANE], recovery=False),
        "two readers, sender, recovery, two parts": Sealed(
            "two readers", recorder, [text, logo], [JANE, JOHN, STAFF]
        ),
        "large part": Sealed("large part", recorder, [large], [JANE]),
        "old server key": Sealed("old server key", recorder, [text], [JANE], kek="old"),
        "draft": Sealed("draft", recorder, [text], [JANE], recovery=False, author=Author.DRAFT),
        "no part": Sealed("no part", recorder, [], [STAFF]),
    }
    for name in ("rewrapped", "extended"):
        made[name] = Sealed("moved", recorder, [text], [JANE, STAFF])
    with repeatable(recorder, "rewrapped"):
        made["rewrapped"].outer = message.rewrap(made["rewrapped"].outer, KEKS["later"])
        made["rewrapped"].kek_names = ["later"]
    with repeatable(recorder, "extended"):
        moved = made["extended"]
        outer, stanzas = message.extend(moved.header, moved.outer, moved.stanzas[:2], KEKS["later"])
        moved.outer, moved.stanzas, moved.kek_names = outer, stanzas + moved.stanzas[2:], ["later"]
    return made


def part_sizes(recorder: Recorder) -> dict[str, object]:
    """Parts of each size: whole blob up to 2 KiB, its hash above."""
    cases = []
    with repeatable(recorder, "sizes"):
        key = begin_message(CONVERSATION, named("message sizes id", 16), CREATED, Author.GATEWAY)
        for size in SIZES:
            data = named(f"content {size}", size)
            part = parts.seal_part(key, data)
            case = {"size": size, "part_id": part.id.hex(), "stored_length": len(part.blob)}
            case |= {"content_shake256": f"letterlock vectors 1 content {size}"}
            case |= {"blob": part.blob.hex()} if len(part.blob) <= 2200 else {}
            cases.append(case | {"blob_sha256": hashlib.sha256(part.blob).hexdigest()})
    return {"header": key.header.encode().hex(), "dek": key.dek.hex(), "cases": cases}


def ranges(sealed: Sealed) -> list[dict[str, object]]:
    """Ranges of the large part: which stored bytes hold them, and what comes out."""
    entry, data = sealed.manifest.parts[0], sealed.plain[0]
    stored = len(sealed.blobs[entry.id])
    found = []
    edges = (
        (0, 0),
        (0, 1),
        (65535, 65536),
        (65535, 65537),
        (65536, 65537),
        (131071, 131072),
        (131072, 131072),
    )
    for start, stop in (*edges, (0, 131072), (10, 100000)):
        span = parts.PartReader(sealed.key, entry.id, stored, entry.size).span(start, stop)
        case = {"part": entry.id.hex(), "stored_length": stored, "start": start, "stop": stop}
        case |= {"offset": span.offset, "length": span.length}
        found.append(case | {"sha256": hashlib.sha256(data[start:stop]).hexdigest()})
    return found


def keys(sealed: Sealed) -> dict[str, object]:
    """Output of every label, and of every derivation."""
    ikm, salt, part_id, digest = (
        sealed.key.dek,
        named("salt", 32),
        named("part", 16),
        sealed.key.header.digest,
    )
    kdf = {
        label[len(b"letterlock/1 ") : -1].decode(): primitives.kdf(ikm, salt, label).hex()
        for label in primitives.LABELS
    }
    recovery = RecoveryPrivateKey.from_seed(SEED).public
    address = base64.b32encode(STAFF.secret).decode().lower()
    return {
        "labels": {"ikm": ikm.hex(), "salt": salt.hex(), "kdf": kdf},
        "part_key": {
            "dek": ikm.hex(),
            "digest": digest.hex(),
            "part_id": part_id.hex(),
            "manifest": primitives.kdf(ikm, digest, primitives.PART + b"\x00" + part_id).hex(),
            "content": primitives.kdf(ikm, digest, primitives.PART + b"\x01" + part_id).hex(),
        },
        "link": {**JANE.vector()},
        "sender": {**STAFF.vector(), "conversation_id": CONVERSATION.hex(), "address_text": address},
        "recovery": {
            "seed": SEED.hex(),
            "public_sha256": hashlib.sha256(recovery.encoded).hexdigest(),
            "key_id": recovery.key_id.hex(),
        },
    }


def records(recorder: Recorder) -> dict[str, object]:
    """Row MACs, queue item, spooled items, ticket and visit row."""
    row_key, enqueue, ticket_key, epoch = (
        named(n, 32) for n in ("row key", "enqueue key", "ticket key", "epoch key")
    )
    participant, queue, entry = named("participant", 16), named("queue private", 32), named("entry", 16)
    visit_id, epoch_id, item_id = named("visit", 16), named("epoch id", 16), named("item", 16)
    address = "jane.do\u00eb@example.net"
    payload = b'{"message":"payload of a queue item"}'
    with repeatable(recorder, "records"):
        item = seal_queue_item(queue_public(queue), enqueue, 1, entry, payload)
        secret, visit_row = visit.seal_visit(visit_id, JANE.key_id, JANE.pair)
        spooled = [
            (label, named(f"spooled {size}", size))
            for label, size in (("envelope", 0), ("envelope", 200), ("content", 65536), ("content", 65537))
        ]
        items = [
            (label, data, spool.seal_spooled(epoch, epoch_id, label, item_id, data))
            for label, data in spooled
        ]
    until = CREATED + ticket.LIFETIME
    issued = ticket.issue_ticket(ticket_key, ticket.Ticket(visit_id, JANE.key_id, JANE.pair.public, until))
    ids = {"conversation_id": CONVERSATION, "participant_id": participant}
    of_participant = rows.participant_mac(row_key, **ids, role=2, flags=1, address=address)
    of_key = rows.key_mac(row_key, **ids, kind=1, key_id=JANE.key_id, public=JANE.pair.public)
    hexed = {name: value.hex() for name, value in ids.items()}
    return {
        "participant": {
            "row_key": row_key.hex(),
            **hexed,
            "role": 2,
            "flags": 1,
            "address": address,
            "mac": of_participant.hex(),
        },
        "key": {
            "row_key": row_key.hex(),
            **hexed,
            "type": 1,
            "key_id": JANE.key_id.hex(),
            "public": JANE.pair.public.hex(),
            "mac": of_key.hex(),
        },
        "queue item": {
            "private": queue.hex(),
            "enqueue_key": enqueue.hex(),
            "kind": 1,
            "entry_id": entry.hex(),
            "item": item.hex(),
            "payload": payload.hex(),
        },
        "spooled": [
            {
                "key": epoch.hex(),
                "key_id": epoch_id.hex(),
                "label": label,
                "item_id": item_id.hex(),
                "item": sealed.hex() if len(sealed) < 2200 else None,
                "salt": sealed[16:48].hex(),
                "item_sha256": hashlib.sha256(sealed).hexdigest(),
                "size": len(data),
                "data_shake256": f"letterlock vectors 1 spooled {len(data)}",
            }
            for label, data, sealed in items
        ],
        "ticket": {
            "ticket_key": ticket_key.hex(),
            "visit_id": visit_id.hex(),
            "link_id": JANE.key_id.hex(),
            "public": JANE.pair.public.hex(),
            "until": until,
            "now": CREATED,
            "ticket": issued.hex(),
        },
        "visit": {
            "secret": secret.hex(),
            "visit_id": visit_id.hex(),
            "link_id": JANE.key_id.hex(),
            "sealed": visit_row.hex(),
            "private": JANE.pair.private_bytes().hex(),
        },
    }


def other_dek(sealed: Sealed, recorder: Recorder) -> tuple[Stanza, Stanza]:
    """A link and a recovery stanza that are right in every way but hold another DEK."""
    other = named("another dek", 32)
    with repeatable(recorder, "another dek"):
        return (
            seal_stanza(sealed.key.header, sealed.outer.key, other, JANE.key),
            seal_recovery_stanza(sealed.key.header, other, RecoveryPrivateKey.from_seed(SEED).public),
        )


def reseal(
    sealed: Sealed, padded: bytes, kind: parts.PartKind, part_id: bytes, *, last: bool = True
) -> bytes:
    """Return a blob of one chunk with any bytes inside: for wrong padding, and for what is no manifest."""
    key = primitives.kdf(sealed.key.dek, sealed.key.header.digest, primitives.PART + bytes([kind]) + part_id)
    return part_id + AESGCM(key).encrypt(bytes(11) + bytes([last]), padded, None)
