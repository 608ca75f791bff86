"""Decoders of the sealed format under hostile bytes: whatever comes in, only SealingError goes out.

LETTERLOCK_FUZZ_EXAMPLES sets how many inputs each decoder gets (default 150; `make drill` asks for more).
"""

import contextlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relay.vault.sealing import bundle, message, parts, rows, spool
from relay.vault.sealing.errors import SealingError
from relay.vault.sealing.header import CoreHeader
from relay.vault.sealing.links import link_pair, pair_from_private, sender_pair
from relay.vault.sealing.manifest import Manifest
from relay.vault.sealing.queue_item import open_queue_item, queue_public, seal_queue_item
from relay.vault.sealing.recovery import RecoveryPrivateKey, RecoveryPublicKey
from relay.vault.sealing.stanza import StanzaKey, StanzaType
from relay.vault.sealing.ticket import Ticket, check_ticket, issue_ticket
from relay.vault.sealing.visit import open_visit, seal_visit
from tests.unit.relay.vault.sealing.letter import LINK_ID, seal_letter

EXAMPLES = int(os.environ.get("LETTERLOCK_FUZZ_EXAMPLES", "150"))
fuzz = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

LETTER = seal_letter()
KEKS = {LETTER.kek.kek_id: LETTER.kek}
WHOLE = bundle.Bundle(
    LETTER.header,
    LETTER.outer.kek_id,
    LETTER.outer.wrapped,
    LETTER.stanzas,
    (LETTER.sealed_manifest.blob, LETTER.part.blob),
)
QUEUE = bytes(range(32))
VISIT_SECRET, VISIT_ROW = seal_visit(b"v" * 16, LINK_ID, LETTER.link)


def _link(ct: bytes) -> object:
    stanza = replace(LETTER.stanzas[0], ct=ct)
    return message.open_stanza(LETTER.header, LETTER.outer, stanza, LETTER.link)


def _recovery(ct: bytes) -> object:
    return message.open_recovery(LETTER.header, replace(LETTER.stanzas[2], ct=ct), LETTER.recovery)


def _bundle(data: bytes) -> object:
    decoded = bundle.decode_bundle(data)
    assert bundle.encode_bundle(decoded) == data
    return bundle.open_bundle(decoded, LETTER.key)


def _manifest(data: bytes) -> object:
    decoded = Manifest.decode(data)
    assert decoded.encode() == data
    return decoded


def _range(blob: bytes) -> object:
    reader = parts.PartReader(LETTER.key, LETTER.part.id, len(blob), LETTER.part.size)
    span = reader.span(1, 5)
    return list(reader.read_range(1, 5, [blob[span.offset : span.offset + span.length]]))


# decoder -> (one input that it accepts, the decoder)
DECODERS: dict[str, tuple[bytes, Callable[[bytes], object]]] = {
    "header": (LETTER.header, CoreHeader.decode),
    "wrapped key": (
        LETTER.outer.wrapped,
        lambda data: message.open_outer_key(LETTER.header, LETTER.kek.kek_id, data, KEKS),
    ),
    "kek id": (
        LETTER.kek.kek_id,
        lambda data: message.open_outer_key(LETTER.header, data, LETTER.outer.wrapped, KEKS),
    ),
    "link stanza": (LETTER.stanzas[0].ct, _link),
    "recovery stanza": (LETTER.stanzas[2].ct, _recovery),
    "part": (
        LETTER.part.blob,
        lambda data: parts.open_part(LETTER.key, LETTER.part.id, data, LETTER.part.size),
    ),
    "part id": (
        LETTER.part.id,
        lambda data: parts.open_part(LETTER.key, data, LETTER.part.blob, LETTER.part.size),
    ),
    "range": (LETTER.part.blob, _range),
    "sealed manifest": (
        LETTER.sealed_manifest.blob,
        lambda data: message.open_manifest(LETTER.key, LETTER.sealed_manifest.id, data),
    ),
    "manifest": (LETTER.manifest.encode(), _manifest),
    "bundle": (bundle.encode_bundle(WHOLE), _bundle),
    "queue item": (
        seal_queue_item(queue_public(QUEUE), b"e" * 32, 1, b"i" * 16, b"payload"),
        lambda data: open_queue_item(QUEUE, b"e" * 32, 1, b"i" * 16, data),
    ),
    "spooled item": (
        spool.seal_spooled(b"k" * 32, b"i" * 16, "content", b"m" * 16, b"content"),
        lambda data: (spool.spooled_key_id(data), spool.open_spooled(b"k" * 32, "content", b"m" * 16, data)),
    ),
    "ticket": (
        issue_ticket(b"t" * 32, Ticket(b"v" * 16, LINK_ID, LETTER.link.public, 9)),
        lambda data: check_ticket(b"t" * 32, data, 1),
    ),
    "visit row": (VISIT_ROW, lambda data: open_visit(VISIT_SECRET, b"v" * 16, LINK_ID, data)),
    "visit cookie": (VISIT_SECRET, lambda data: open_visit(data, b"v" * 16, LINK_ID, VISIT_ROW)),
    "link secret": (b"L" * 32, lambda data: link_pair(data, LINK_ID)),
    "link id": (LINK_ID, lambda data: link_pair(b"L" * 32, data)),
    "sender secret": (b"S" * 20, lambda data: sender_pair(data, LINK_ID)),
    "private key": (bytes(range(32)), pair_from_private),
    "recovery seed": (b"R" * 32, RecoveryPrivateKey.from_seed),
    "recovery public key": (LETTER.recovery.public.encode(), RecoveryPublicKey.decode),
    "public key": (
        LETTER.link.public,
        lambda data: message.seal_stanzas(LETTER.key, LETTER.outer, [StanzaKey(StanzaType.LINK, LINK_ID, data)]),
    ),
    "row MAC": (
        rows.key_mac(
            b"r" * 32,
            kind=1,
            conversation_id=LINK_ID,
            participant_id=LINK_ID,
            key_id=LINK_ID,
            public=LETTER.link.public,
        ),
        lambda data: rows.check_key(
            b"r" * 32,
            data,
            kind=1,
            conversation_id=LINK_ID,
            participant_id=LINK_ID,
            key_id=LINK_ID,
            public=LETTER.link.public,
        ),
    ),
}


@st.composite
def damaged(draw: st.DrawFn, good: bytes) -> bytes:
    """Bytes near an accepted input: cut, spliced, overwritten, repeated; or nothing like it."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=2 * len(good) + 64))
    data = bytearray(good)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        stop = draw(st.integers(start, min(len(data), start + 300)))
        kind = draw(st.integers(0, 4))
        if kind == 0:
            del data[start:stop]
        elif kind == 1:
            data[start:stop] = draw(st.binary(max_size=40))
        elif kind == 2:
            data[start:start] = data[start:stop]
        elif kind == 3:
            data[start:stop] = draw(st.sampled_from([b"\x00", b"\xff", b"\x80"])) * (stop - start)
        else:
            del data[stop:]
    return bytes(data)


@pytest.mark.parametrize("name", DECODERS)
def test_only_the_one_error_leaves_a_decoder(name: str) -> None:
    """A decoder takes what was written, and answers damaged bytes with a value or a SealingError."""
    good, decode = DECODERS[name]
    decode(good)

    @fuzz
    @given(damaged(good))
    def attack(data: bytes) -> None:
        with contextlib.suppress(SealingError):
            decode(data)

    attack()


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("text/plain"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
_FIELDS = ["v", "from", "to", "cc", "date", "subject", "parts", "more"]


@fuzz
@given(st.dictionaries(st.sampled_from(_FIELDS), _JSON), st.dictionaries(st.sampled_from(["id", "size", "cid"]), _JSON))
def test_a_manifest_of_any_shape(fields: dict[str, Any], part: dict[str, Any]) -> None:
    """JSON of the wrong shape in the place of any field is refused, or is a manifest that encodes to itself."""
    value = {**json.loads(LETTER.manifest.encode()), **fields}
    if isinstance(value["parts"], list) and value["parts"] and isinstance(value["parts"][0], dict):
        value["parts"][0] |= part
    data = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode("utf-8", "surrogatepass")
    with contextlib.suppress(SealingError):
        assert Manifest.decode(data).encode() == data


@fuzz
@given(st.integers(), st.integers())
def test_a_part_of_any_lengths(stored: int, size: int) -> None:
    """No stored length and no size, however large or negative, does anything but fit or be refused."""
    with contextlib.suppress(SealingError):
        parts.PartReader(LETTER.key, LETTER.part.id, stored, size)
