"""Export bundles: one sealed message with all that belongs to it, as one file, still sealed.

"LETRBNDL" | header 96 | kek id 16 | u16 length, wrapped O | u16 count, stanzas | u16 count, blobs | end.
"""

import struct
from dataclasses import dataclass, field

from relay.vault.sealing.errors import Layer, SealingError
from relay.vault.sealing.header import HEADER_LENGTH, CoreHeader
from relay.vault.sealing.kek import MAX_WRAPPED, NO_KEK
from relay.vault.sealing.key import MessageKey
from relay.vault.sealing.manifest import MAX_PARTS, Manifest
from relay.vault.sealing.message import open_manifest
from relay.vault.sealing.parts import open_part, stored_length
from relay.vault.sealing.primitives import ID_LENGTH
from relay.vault.sealing.stanza import Stanza, require_shape

MAGIC = b"LETRBNDL"
_MIN_BLOB = stored_length(0)
_U16 = struct.Struct(">H")
_U64 = struct.Struct(">Q")
_MAX_U16 = 65535


@dataclass(frozen=True, slots=True)
class Bundle:
    """A sealed message outside the database. ``blobs`` are the manifest and then the parts in its order.

    Without a wrapped outer key (its KEK is gone) ``kek_id`` is 16 zero bytes and ``wrapped`` empty: only the
    recovery stanza opens it.
    """

    header: bytes
    kek_id: bytes
    wrapped: bytes = field(repr=False)
    stanzas: tuple[Stanza, ...] = field(repr=False)
    blobs: tuple[bytes, ...] = field(repr=False)

    def check(self) -> None:
        """Refuse what no bundle holds: SealingError of the header's fault, outer key, stanza or bundle."""
        message_id = CoreHeader.decode(self.header).message_id
        if len(self.kek_id) != ID_LENGTH or len(self.wrapped) > MAX_WRAPPED:
            raise SealingError(Layer.OUTER_KEY, "a key id has 16 bytes and a wrapped key at most 1,024")
        if (self.kek_id == NO_KEK) is not (self.wrapped == b""):
            raise SealingError(Layer.OUTER_KEY, "a server key is named without a wrapped key, or the reverse")
        if len(self.stanzas) > _MAX_U16:
            raise SealingError(Layer.BUNDLE, "it has too many stanzas")
        for stanza in self.stanzas:
            require_shape(stanza)
            if stanza.message_id != message_id:
                raise SealingError(Layer.STANZA, "it belongs to another message")
        if len({stanza.key_id for stanza in self.stanzas}) != len(self.stanzas):
            raise SealingError(Layer.STANZA, "there are two for one key")
        if not 1 <= len(self.blobs) <= MAX_PARTS + 1 or any(len(blob) < _MIN_BLOB for blob in self.blobs):
            raise SealingError(Layer.BUNDLE, "it has no manifest, too many parts, or a part that is too short")


def encode_bundle(bundle: Bundle) -> bytes:
    """Return the bundle as one byte string; SealingError as ``Bundle.check``."""
    bundle.check()
    pieces = [MAGIC, bundle.header, bundle.kek_id, _U16.pack(len(bundle.wrapped)), bundle.wrapped]
    pieces.append(_U16.pack(len(bundle.stanzas)))
    for stanza in bundle.stanzas:
        pieces += [bytes([stanza.type]), stanza.key_id, _U16.pack(len(stanza.ct)), stanza.ct]
    pieces.append(_U16.pack(len(bundle.blobs)))
    for blob in bundle.blobs:
        pieces += [_U64.pack(len(blob)), blob]
    return b"".join(pieces)


def decode_bundle(data: bytes) -> Bundle:
    """Return the bundle in ``data``, all of it: anything missing and anything after the end is refused.

    SealingError: *bundle* for its own structure, otherwise as ``Bundle.check``. Lengths are compared with
    what is there before anything is taken, so a forged length costs nothing.
    """
    source = _Source(data)
    if source.take(len(MAGIC)) != MAGIC:
        raise SealingError(Layer.BUNDLE, "this is not an export bundle")
    header = source.take(HEADER_LENGTH)
    message_id = CoreHeader.decode(header).message_id
    kek_id = source.take(ID_LENGTH)
    wrapped = source.take(source.u16())
    stanzas = tuple(_take_stanza(source, message_id) for _ in range(source.u16()))
    blobs = tuple(source.take(source.u64()) for _ in range(source.u16()))
    source.end()
    bundle = Bundle(header, kek_id, wrapped, stanzas, blobs)
    bundle.check()
    return bundle


def open_bundle(bundle: Bundle, message: MessageKey) -> tuple[Manifest, tuple[bytes, ...]]:
    """Return the manifest and the plain parts in its order.

    SealingError: *header* when the key is of another message, *manifest*, or *part* when the blobs are not
    exactly the listed parts, in order, each of its size.
    """
    if message.header.encode() != bundle.header:
        raise SealingError(Layer.HEADER, "the bundle is of another message than the key")
    first, *rest = bundle.blobs
    manifest = open_manifest(message, first[:ID_LENGTH], first)
    ids = [blob[:ID_LENGTH] for blob in rest]
    manifest.check_parts(ids)
    if ids != [entry.id for entry in manifest.parts]:
        raise SealingError(Layer.PART, "the parts are not in the order of the manifest")
    parts = (open_part(message, entry.id, blob, entry.size) for entry, blob in zip(manifest.parts, rest, strict=True))
    return manifest, tuple(parts)


def _take_stanza(source: "_Source", message_id: bytes) -> Stanza:
    kind, key_id = source.take(1)[0], source.take(ID_LENGTH)
    return Stanza(kind, key_id, message_id, source.take(source.u16()))


class _Source:
    """Bytes that are taken from the front; nothing is taken that is not there."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def take(self, length: int) -> bytes:
        if length > len(self._data) - self._position:
            raise SealingError(Layer.BUNDLE, "it ends too early")
        self._position += length
        return self._data[self._position - length : self._position]

    def u16(self) -> int:
        return int(_U16.unpack(self.take(2))[0])

    def u64(self) -> int:
        return int(_U64.unpack(self.take(8))[0])

    def end(self) -> None:
        if self._position != len(self._data):
            raise SealingError(Layer.BUNDLE, "there are bytes after its end")
