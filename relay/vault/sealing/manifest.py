"""The manifest: what a message says of itself and which parts it has, as canonical JSON.

Canonical means: there is exactly one byte string for one manifest. Keys are sorted, there is no white space,
no float, no escape that is not needed; whatever does not re-encode to the very bytes that came in is refused,
so that no two readers can see two manifests in one.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NoReturn

from relay.vault.sealing.errors import Layer, SealingError
from relay.vault.sealing.primitives import require_id

MAX_LENGTH = 1 << 20  # 1 MiB: it is held in memory and parsed before anything is shown
MAX_PARTS = 1000
MAX_SIZE = (1 << 53) - 1  # the largest number that every JSON reader keeps exactly (RFC 8259 section 6)
VERSION = 1

_JSON = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
_KEYS = {"v", "from", "to", "cc", "date", "subject", "parts"}
_PART_KEYS = {"id", "kind", "name", "type", "size"}
_ID = re.compile(r"[0-9a-f]{32}")
_TOKEN = r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}"  # noqa: S105 - a restricted-name of RFC 6838 section 4.2, not a secret
_TYPE = re.compile(rf"{_TOKEN}/{_TOKEN}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[+-](?:[01][0-9]|2[0-3]):[0-5][0-9]")


class PartRole(StrEnum):
    """What a part is to the reader."""

    TEXT = "text"  # UTF-8
    HTML = "html"  # UTF-8, as it came: it is made safe when it is shown
    INLINE = "inline"  # an image that the HTML names by ``cid``
    ATTACHMENT = "attachment"
    ORIGINAL = "original"  # the whole message as it was sent (.eml)


_ROLES = frozenset(role.value for role in PartRole)


def _refuse(sentence: str) -> NoReturn:
    raise SealingError(Layer.MANIFEST, sentence)


@dataclass(frozen=True, slots=True)
class PartEntry:
    """One part: id, role, file name (may be empty), media type (lower case, no parameters), plain size."""

    id: bytes
    kind: PartRole
    name: str
    type: str
    size: int
    cid: str = ""

    def __post_init__(self) -> None:
        require_id(self.id, Layer.MANIFEST)


@dataclass(frozen=True, slots=True)
class Manifest:
    """The manifest of one message.

    ``sender``, ``to`` and ``cc`` are addresses as they are to be shown; ``date`` is RFC 3339 with whole
    seconds and a numeric offset (``2026-11-22T16:32:19+00:00``), or empty when the message carried none that
    can be read.
    """

    sender: str
    to: tuple[str, ...]
    cc: tuple[str, ...]
    date: str
    subject: str
    parts: tuple[PartEntry, ...]

    def encode(self) -> bytes:
        """Return the canonical JSON; SealingError (manifest) when it could not be decoded again.

        That is: over 1 MiB, over 1,000 parts, a part id twice, a date, type or size that is none, or text
        with half a surrogate pair.
        """
        self._require_sound()
        data = _canonical(
            {
                "v": VERSION,
                "from": self.sender,
                "to": list(self.to),
                "cc": list(self.cc),
                "date": self.date,
                "subject": self.subject,
                "parts": [_encode_part(part) for part in self.parts],
            }
        )
        if len(data) > MAX_LENGTH:
            _refuse("it is longer than 1 MiB")
        return data

    @classmethod
    def decode(cls, data: bytes) -> "Manifest":
        """Return the manifest in ``data``; SealingError (manifest) unless canonical and within limits."""
        if len(data) > MAX_LENGTH:
            _refuse("it is longer than 1 MiB")
        value = _parse(data)
        if type(value) is not dict or value.keys() != _KEYS or type(value["v"]) is not int or value["v"] != VERSION:
            _refuse("it has not the fields of version 1")
        parts = value["parts"]
        if type(parts) is not list or len(parts) > MAX_PARTS:
            _refuse("it lists more than 1,000 parts, or no list of parts")
        found = cls(
            _text(value, "from"),
            _texts(value, "to"),
            _texts(value, "cc"),
            _text(value, "date"),
            _text(value, "subject"),
            tuple(_decode_part(part) for part in parts),
        )
        found._require_sound()
        if _canonical(value) != data:
            _refuse("it is not canonical")
        return found

    def _require_sound(self) -> None:
        """Refuse what no encoding could make right: it is asked before one is made, and of what one says."""
        if self.date and not _is_date(self.date):
            _refuse("its date is none")
        if len(self.parts) > MAX_PARTS:
            _refuse("it lists more than 1,000 parts")
        for part in self.parts:
            if not _TYPE.fullmatch(part.type):
                _refuse("a part has a media type that is none")
            if type(part.size) is not int or not 0 <= part.size <= MAX_SIZE:
                _refuse("a part has a size that is none")
        if len({part.id for part in self.parts}) != len(self.parts):
            _refuse("it lists a part twice")

    def part(self, part_id: bytes) -> PartEntry:
        """Return the entry of a part; SealingError (part) when the message has no such part."""
        for entry in self.parts:
            if entry.id == part_id:
                return entry
        raise SealingError(Layer.PART, "the manifest does not list this part")

    def check_parts(self, present: Iterable[bytes]) -> None:
        """Refuse (SealingError, part) unless exactly the listed parts are present, each once."""
        listed, seen = {entry.id for entry in self.parts}, set[bytes]()
        for part_id in present:
            if part_id not in listed:
                raise SealingError(Layer.PART, "a part is present that the manifest does not list")
            if part_id in seen:
                raise SealingError(Layer.PART, "a part is present twice")
            seen.add(part_id)
        if seen != listed:
            raise SealingError(Layer.PART, "a part is missing that the manifest lists")


def _canonical(value: Any) -> bytes:
    try:
        return _JSON.encode(value).encode("utf-8")
    except ValueError:  # half a surrogate pair has no UTF-8
        _refuse("it holds text that is not Unicode")


def _parse(data: bytes) -> Any:
    try:
        return json.loads(
            data.decode("utf-8"), object_pairs_hook=_unique, parse_float=_no_float, parse_constant=_no_float
        )
    except (ValueError, RecursionError):
        _refuse("it is not JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        _refuse("it has a key twice")
    return found


def _no_float(_: str) -> NoReturn:
    _refuse("it has a number that is not whole")


def _text(value: dict[str, Any], key: str) -> str:
    text = value[key]
    if type(text) is not str:
        _refuse(f"its field {key} is no text")
    return text


def _texts(value: dict[str, Any], key: str) -> tuple[str, ...]:
    texts = value[key]
    if type(texts) is not list or any(type(text) is not str for text in texts):
        _refuse(f"its field {key} is no list of texts")
    return tuple(texts)


def _is_date(text: str) -> bool:
    if not _DATE.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _encode_part(part: PartEntry) -> dict[str, Any]:
    fields = {"id": part.id.hex(), "kind": part.kind, "name": part.name, "type": part.type, "size": part.size}
    return {**fields, "cid": part.cid} if part.cid else fields


def _decode_part(value: Any) -> PartEntry:
    if type(value) is not dict or value.keys() - {"cid"} != _PART_KEYS:
        _refuse("a part has not the fields of version 1")
    part_id, kind, cid = _text(value, "id"), _text(value, "kind"), value.get("cid", "")
    if not _ID.fullmatch(part_id):
        _refuse("a part has an id that is none")
    if kind not in _ROLES:
        _refuse("a part is of a kind that does not exist")
    if "cid" in value and (type(cid) is not str or not cid):
        _refuse("a part has a content id that is none")
    return PartEntry(
        bytes.fromhex(part_id), PartRole(kind), _text(value, "name"), _text(value, "type"), value["size"], cid
    )
