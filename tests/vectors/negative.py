"""The negative vectors: what must be refused, and by which name.

A changed byte string is written as a list of pieces that are joined: hex text, [name, start, stop] for a
stretch of the original, or {"repeat": hex, "times": n}. ``null`` takes a blob away; "stanza" gives columns of
the tried stanza row other values.
"""

import json
from typing import Any

from material import Recorder, named, repeatable
from positive import JANE, JOHN, KEKS, SEED, STAFF, Reader, Sealed, other_dek, reseal

from relay.vault.sealing.parts import PartKind
from relay.vault.sealing.primitives import QUEUE_ITEM, mac
from relay.vault.sealing.recovery import RecoveryPrivateKey
from relay.vault.sealing.stanza import StanzaType, add_outer, remove_outer

ONE, TWO, LARGE = "one reader", "two readers, sender, recovery, two parts", "large part"
CHUNK = 65552
LOW_ORDER = {
    "zero": bytes(32),
    "one": b"\x01" + bytes(31),
    "order 8": bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    "order 8, twist": bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    "p - 1": ((1 << 255) - 20).to_bytes(32, "little"),
}
NOT_CANONICAL = {
    "p": ((1 << 255) - 19).to_bytes(32, "little"),
    "p + 9": ((1 << 255) - 10).to_bytes(32, "little"),
    "high bit": JANE.pair.public[:31] + bytes([JANE.pair.public[31] | 0x80]),
}


def flipped(data: bytes, at: int, mask: int = 1) -> bytes:
    changed = bytearray(data)
    changed[at] ^= mask
    return bytes(changed)


def opener(reader: Reader) -> dict[str, object]:
    return {name: reader.vector()[name] for name in ("type", "key_id", "secret")}


RECOVERY = {"type": 3, "secret": SEED.hex()}


class Cases:
    """Collects the negative cases of one message."""

    def __init__(self, name: str, sealed: Sealed) -> None:
        self.name, self.sealed = name, sealed
        self.found: list[dict[str, Any]] = []

    def add(self, what, error, change=None, *, stanza=0, by=None) -> None:
        by = by or opener(JANE)
        case = {"name": what, "message": self.name, "change": change or {}, "stanza": stanza, "opener": by}
        self.found.append(case | {"error": error})

    def stanza(self, what, error, position, *, by=None, **fields) -> None:
        """One stanza with other columns."""
        columns = {name: value.hex() if isinstance(value, bytes) else value for name, value in fields.items()}
        self.add(what, error, {"stanza": columns}, stanza=position, by=by)


def _header_error(at: int, recovery: bool) -> str:
    """A flip of the lowest bit at this place: the author kind 1 becomes 0, which does not exist."""
    named_places = ((0, 8, "header"), (8, 10, "version"), (10, 12, "suite"), (12, 16, "critical"))
    for start, stop, error in (*named_places, (56, 57, "author kind"), (57, 64, "reserved")):
        if start <= at < stop:
            return error
    return "stanza" if recovery else "outer key"


def headers(made: dict[str, Sealed]) -> list[dict[str, Any]]:
    cases = Cases(TWO, made[TWO])
    header = made[TWO].header
    for at in range(96):
        change = {"header": flipped(header, at).hex()}
        cases.add(f"header byte {at}", _header_error(at, False), change)
        cases.add(f"header byte {at}, recovery", _header_error(at, True), change, stanza=3, by=RECOVERY)
    cases.add("another author that exists", "outer key", {"header": flipped(header, 56, 3).hex()})
    cases.add(
        "another author that exists, recovery",
        "stanza",
        {"header": flipped(header, 56, 3).hex()},
        stanza=3,
        by=RECOVERY,
    )
    for length, data in ((0, b""), (95, header[:-1]), (97, header + b"\x00")):
        cases.add(f"header of {length} bytes", "header", {"header": data.hex()})
    cases.add("version 2", "version", {"header": (header[:8] + b"\x00\x02" + header[10:]).hex()})
    cases.add("suite 2", "suite", {"header": (header[:10] + b"\x00\x02" + header[12:]).hex()})
    cases.add("highest critical bit", "critical", {"header": flipped(header, 12, 0x80).hex()})
    cases.add("header of another message", "outer key", {"header": made[ONE].header.hex()})
    return cases.found


def outer_keys(made: dict[str, Sealed]) -> list[dict[str, Any]]:
    cases = Cases(TWO, made[TWO])
    wrapped, kek_id = made[TWO].outer.wrapped, made[TWO].outer.kek_id
    for at in (0, 31, 32, 63, 64, 95, 96, 111):
        cases.add(f"wrapped key byte {at}", "outer key", {"wrapped": flipped(wrapped, at).hex()})
    for length in (0, 1, 111, 113, 1024, 1025):
        cases.add(
            f"wrapped key of {length} bytes",
            "outer key",
            {"wrapped": wrapped.ljust(length, b"\x00")[:length].hex()},
        )
    cases.add("wrapped key of another message", "outer key", {"wrapped": made[LARGE].outer.wrapped.hex()})
    cases.add("wrong server key", "outer key", {"keks": {kek_id.hex(): named("wrong kek", 32).hex()}})
    cases.add(
        "server key under another id",
        "outer key",
        {"kek_id": KEKS["old"].kek_id.hex(), "keks": {KEKS["old"].kek_id.hex(): named("kek new", 32).hex()}},
    )
    cases.add("server key gone", "kek", {"keks": {}})
    cases.add("server key unknown", "kek", {"kek_id": named("unknown kek", 16).hex()})
    return cases.found


def stanzas(made: dict[str, Sealed], recorder: Recorder) -> list[dict[str, Any]]:
    sealed = made[TWO]
    cases = Cases(TWO, sealed)
    link, sender, recovery = sealed.stanzas[0], sealed.stanzas[2], sealed.stanzas[3]
    wrong = Reader("jane", StanzaType.LINK)
    wrong.secret = named("wrong L", 32)
    cases.add("wrong L", "stanza", by=opener(wrong))
    wrong_sender = Reader("staff", StanzaType.SENDER)
    wrong_sender.secret = named("wrong S", 20)
    cases.add("wrong S", "stanza", stanza=2, by=opener(wrong_sender))
    cases.add(
        "wrong recovery seed", "stanza", stanza=3, by={"type": 3, "secret": named("wrong seed", 32).hex()}
    )
    cases.add("L of 31 bytes", "key", by=opener(JANE) | {"secret": JANE.secret[:31].hex()})
    cases.add("S of 21 bytes", "key", stanza=2, by=opener(STAFF) | {"secret": STAFF.secret.hex() + "00"})
    cases.add("recovery seed of 31 bytes", "key", stanza=3, by={"type": 3, "secret": SEED[:31].hex()})
    cases.add("the stanza of another reader", "stanza", stanza=1)
    cases.add("the stanza of a sender with a link", "stanza", stanza=2)
    cases.add("the recovery stanza with a link", "stanza", stanza=3)
    cases.add("a link stanza with the recovery key", "stanza", stanza=0, by=RECOVERY)
    for at in (0, 11, 12, 43, 44, 91, 92, 107):
        cases.stanza(f"link stanza byte {at}", "stanza", 0, ct=flipped(link.ct, at))
        cases.stanza(f"sender stanza byte {at}", "stanza", 2, ct=flipped(sender.ct, at), by=opener(STAFF))
    for at in (0, 1087, 1088, 1119, 1120, 1151, 1152, 1167):
        cases.stanza(f"recovery stanza byte {at}", "stanza", 3, ct=flipped(recovery.ct, at), by=RECOVERY)
    for length in (0, 80, 107, 109):
        cases.stanza(
            f"link stanza of {length} bytes", "stanza", 0, ct=link.ct.ljust(length, b"\x00")[:length]
        )
    for length in (0, 1136, 1167, 1169):
        ct = recovery.ct.ljust(length, b"\x00")[:length]
        cases.stanza(f"recovery stanza of {length} bytes", "stanza", 3, ct=ct, by=RECOVERY)
    cases.stanza("junk", "stanza", 0, ct=named("junk", 108))
    cases.stanza("junk, recovery", "stanza", 3, ct=named("junk", 1168), by=RECOVERY)
    for kind in (0, 2, 3, 4, 255):
        cases.stanza(f"a link stanza as type {kind}", "stanza", 0, type=kind)
    cases.stanza("a stanza under another key id", "stanza", 0, key_id=JOHN.key_id)
    cases.stanza("another reader's stanza under this key id", "stanza", 0, ct=sealed.stanzas[1].ct)
    foreign = made[LARGE].stanzas[0]
    cases.stanza("a stanza of another message", "stanza", 0, ct=foreign.ct, message_id=foreign.message_id)
    cases.stanza("a stanza of another message, renamed", "stanza", 0, ct=foreign.ct)
    cases.stanza(
        "a recovery stanza of another message", "stanza", 3, ct=made[LARGE].stanzas[1].ct, by=RECOVERY
    )
    inner, info = remove_outer(sealed.key.header, sealed.outer.key, link)
    with repeatable(recorder, "outer layers"):
        for what, point in {**LOW_ORDER, "high bit": flipped(inner, 31, 0x80)[:32]}.items():
            ct = add_outer(sealed.outer.key, point + inner[32:], info)
            cases.stanza(f"encapsulated key: {what}", "stanza", 0, ct=ct)
        ct = add_outer(named("another O", 32), inner, info)
        cases.stanza("outer layer under another key", "stanza", 0, ct=ct)
        cases.stanza(
            "inner layer damaged", "stanza", 0, ct=add_outer(sealed.outer.key, flipped(inner, 79), info)
        )
    for what, point in LOW_ORDER.items():
        ct = recovery.ct[:1088] + point + recovery.ct[1120:]
        cases.stanza(f"encapsulated key, recovery: {what}", "stanza", 3, ct=ct, by=RECOVERY)
    for_link, for_recovery = other_dek(sealed, recorder)
    cases.stanza("a right stanza with another DEK", "commitment", 0, ct=for_link.ct)
    cases.stanza("a right recovery stanza with another DEK", "commitment", 3, ct=for_recovery.ct, by=RECOVERY)
    moved = Cases("extended", made["extended"])
    moved.stanza("a stanza from before the extension", "stanza", 0, ct=made["rewrapped"].stanzas[0].ct)
    moved.add(
        "the wrapped key from before the extension",
        "stanza",
        {"wrapped": made["rewrapped"].outer.wrapped.hex()},
    )
    return cases.found + moved.found


def blobs(made: dict[str, Sealed]) -> list[dict[str, Any]]:
    sealed = made[LARGE]
    cases = Cases(LARGE, sealed)
    part_id = sealed.manifest.parts[0].id
    name, end, manifest = part_id.hex(), len(sealed.blobs[part_id]), sealed.manifest_part.hex()

    def add(what: str, *pieces, error: str = "part") -> None:
        cases.add(what, error, {"blobs": {name: list(pieces)}})

    for boundary in (16 + CHUNK, 16 + 2 * CHUNK):
        for cut in (-1024, -1, 0, 1):
            add(f"cut at {boundary}{cut:+d}", [name, 0, boundary + cut])
    for length in (0, 1, 15, 16, 17, 32, 33, end - 1, end - 16, end - 1024):
        add(f"cut at {length}", [name, 0, length])
    add("a byte more", [name, 0, end], "00")
    add("1,024 bytes more", [name, 0, end], "00" * 1024)
    add("the last chunk twice", [name, 0, end], [name, 16 + 2 * CHUNK, end])
    first, second = [name, 16, 16 + CHUNK], [name, 16 + CHUNK, 16 + 2 * CHUNK]
    last = [name, 16 + 2 * CHUNK, end]
    add("chunks swapped", [name, 0, 16], second, first, last)
    add("a chunk twice", [name, 0, 16], first, first, last)
    add("the first chunk dropped", [name, 0, 16], second, last)
    add("a middle chunk dropped", [name, 0, 16], first, last)
    for at in (0, 15, 16, 17, 16 + CHUNK - 1, 16 + CHUNK, end - 17, end - 1):
        byte = flipped(sealed.blobs[part_id], at)[at : at + 1].hex()
        add(f"byte {at}", [name, 0, at], byte, [name, at + 1, end])
    add("the manifest in the place of a part", [manifest, 0, len(sealed.blobs[sealed.manifest_part])])
    add(
        "the manifest in the place of a part, renamed",
        name,
        [manifest, 16, len(sealed.blobs[sealed.manifest_part])],
    )
    cases.add("a part in the place of the manifest", "part", {"manifest_part": name})
    cases.add("a part missing", "part", {"blobs": {name: None}})
    stray = named("stray", 16).hex()
    cases.add("a part that the manifest does not list", "part", {"blobs": {stray: [stray, [name, 16, end]]}})
    cases.add(
        "another part as the manifest",
        "part",
        {"manifest_part": stray, "blobs": {stray: [stray, [manifest, 16, 1056]]}},
    )
    return cases.found


def small_blobs(made: dict[str, Sealed]) -> list[dict[str, Any]]:
    sealed = made[TWO]
    cases = Cases(TWO, sealed)
    text, logo = sealed.manifest.parts
    plain = sealed.plain[0]
    other = made[ONE].blobs[made[ONE].manifest.parts[0].id]
    cases.add(
        "the part of another message, renamed",
        "part",
        {"blobs": {text.id.hex(): [text.id.hex() + other[16:].hex()]}},
    )
    cases.add(
        "another part of this message, renamed",
        "part",
        {"blobs": {text.id.hex(): [text.id.hex() + sealed.blobs[logo.id][16:].hex()]}},
    )
    cases.add("a part in the place of the manifest", "part", {"manifest_part": text.id.hex()})
    for what, padded in {
        "no mark": plain.ljust(1024, b"\x00"),
        "another mark": (plain + b"\x81").ljust(1024, b"\x00"),
        "nothing but zeros": bytes(1024),
        "a mark one byte late": (plain + b"\x00\x80").ljust(1024, b"\x00"),
        "a block of padding too many": (plain + b"\x80").ljust(2048, b"\x00"),
        "not a multiple of 1,024": (plain + b"\x80").ljust(1023, b"\x00"),
        "no padding at all": plain,
    }.items():
        blob = reseal(sealed, padded, PartKind.CONTENT, text.id)
        cases.add(f"padding: {what}", "part", {"blobs": {text.id.hex(): [blob.hex()]}})
    blob = reseal(sealed, (plain + b"\x80").ljust(1024, b"\x00"), PartKind.CONTENT, text.id, last=False)
    cases.add("the last chunk not marked as the last", "part", {"blobs": {text.id.hex(): [blob.hex()]}})

    def manifest(what: str, error: str, data: bytes, extra: bytes = b"") -> None:
        padded = (data + b"\x80").ljust((len(data) // 1024 + 1) * 1024, b"\x00") + extra
        blob = reseal(sealed, padded, PartKind.MANIFEST, sealed.manifest_part)
        cases.add(what, error, {"blobs": {sealed.manifest_part.hex(): [blob.hex()]}})

    data = sealed.manifest.encode()
    size = f'"size":{len(plain)}'.encode()
    manifest("a size one too large", "part", data.replace(size, f'"size":{len(plain) + 1}'.encode()))
    manifest("a size of another length", "part", data.replace(size, b'"size":5000'))
    manifest("a size of 2^53 - 1", "part", data.replace(size, b'"size":9007199254740991'))
    manifest("a manifest that is no JSON", "manifest", b"no JSON")
    manifest("an empty manifest", "manifest", b"")
    manifest("a manifest with a block of padding too many", "part", data, bytes(1024))
    manifest(
        "a manifest that lists itself",
        "manifest",
        data.replace(text.id.hex().encode(), sealed.manifest_part.hex().encode()),
    )
    return cases.found


def keys() -> list[dict[str, Any]]:
    """Public keys that nothing is sealed to."""
    found = [
        {"name": f"X25519: {what}", "public": point.hex(), "error": "key"}
        for what, point in {
            **LOW_ORDER,
            **NOT_CANONICAL,
            "31 bytes": bytes(31),
            "33 bytes": bytes(33),
        }.items()
    ]
    good = RecoveryPrivateKey.from_seed(SEED).public.encoded
    for what, data in {
        "1,215 bytes": good[:-1],
        "1,217 bytes": good + b"\x00",
        "coefficient out of range": b"\xff\xff\xff" + good[3:],
        "low order": good[:1184] + bytes(32),
        "high bit": flipped(good, 1215, 0x80),
    }.items():
        if what == "high bit" and good[1215] & 0x80:
            raise AssertionError("the high bit of a canonical key is clear")
        found.append({"name": f"recovery: {what}", "recovery_public": data.hex(), "error": "key"})
    return found


def ranges(made: dict[str, Sealed]) -> list[dict[str, Any]]:
    """Range reads of the large part: what was fetched is not what the span asked for."""
    sealed = made[LARGE]
    part_id = sealed.manifest.parts[0].id
    name, end = part_id.hex(), len(sealed.blobs[part_id])
    base = {"message": LARGE, "part": name, "start": 70000, "stop": 70010, "stored_length": end}
    second = [name, 16 + CHUNK, 16 + 2 * CHUNK]
    cases = {
        "stored length one less": ({"stored_length": end - 1}, [second]),
        "stored length 1,024 less": ({"stored_length": end - 1024}, [second]),
        "stored length of two chunks": ({"stored_length": 16 + 2 * CHUNK}, [second]),
        "the first chunk instead of the second": ({}, [[name, 16, 16 + CHUNK]]),
        "a byte missing": ({}, [[name, 16 + CHUNK, 15 + 2 * CHUNK]]),
        "a byte more": ({}, [[name, 16 + CHUNK, 17 + 2 * CHUNK]]),
        "nothing": ({}, []),
    }
    return [
        {"name": what, **base, **change, "pieces": pieces, "error": "part"}
        for what, (change, pieces) in cases.items()
    ]


def manifests(made: dict[str, Sealed]) -> list[dict[str, Any]]:
    """Bytes that are no manifest."""
    good = made[TWO].manifest.encode()
    value = json.loads(good)
    size = b'"size":%d' % value["parts"][0]["size"]

    def encoded(change) -> bytes:
        copy = json.loads(good)
        change(copy)
        return json.dumps(copy, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()

    def part(**fields):
        return lambda copy: copy["parts"][0].update(fields)

    def top(**fields):
        return lambda copy: copy.update(fields)

    many = [{**value["parts"][0], "id": f"{number:032x}"} for number in range(1001)]
    raw = {
        "empty": b"",
        "not UTF-8": good.replace(b"Your", b"\xff\xfe\xfd\xfc"),
        "a byte order mark": b"\xef\xbb\xbf" + good,
        "not an object": b"[]",
        "a space": good.replace(b'"v":1', b'"v": 1'),
        "a line feed at the end": good + b"\n",
        "keys not sorted": json.dumps(
            dict(reversed(value.items())), ensure_ascii=False, separators=(",", ":")
        ).encode(),
        "an escape that is not needed": good.replace(b"Your", b"\\u0059our"),
        "an escaped slash": good.replace(b"text/plain", b"text\\/plain"),
        "an escape in upper case": good.replace(b"Your", b"\\u001Four"),
        "half a surrogate pair": good.replace(b"Your", b"\\ud800"),
        "a key twice": good.replace(b'"v":1', b'"v":1,"v":1'),
        "a key twice in a part": good.replace(b'"kind":"text"', b'"kind":"text","kind":"text"'),
        "a float": good.replace(b'"v":1', b'"v":1.0'),
        "an exponent": good.replace(b'"v":1', b'"v":1e0'),
        "minus zero": good.replace(size, b'"size":-0'),
        "NaN": good.replace(b'"v":1', b'"v":NaN'),
        "a number of 5,000 digits": good.replace(size, b'"size":' + b"1" * 5000),
        "two values": good + good,
    }
    made_up = {
        "version 2": top(v=2),
        "version true": top(v=True),
        "a field more": top(bcc=[]),
        "a field missing": lambda copy: copy.pop("cc"),
        "to is text": top(to="jane@example.net"),
        "cc holds a number": top(cc=[1]),
        "subject is null": top(subject=None),
        "a date without an offset": top(date="2026-11-22T16:32:19"),
        "a date with a Z": top(date="2026-11-22T16:32:19Z"),
        "an offset of 60 minutes": top(date="2026-11-22T16:32:19+00:60"),
        "an offset of a day": top(date="2026-11-22T16:32:19+24:00"),
        "a leap second": top(date="2016-12-31T23:59:60+00:00"),
        "the year 0": top(date="0000-01-01T00:00:00+00:00"),
        "the 30th of February": top(date="2026-02-30T16:32:19+00:00"),
        "parts is an object": top(parts={}),
        "a part is text": top(parts=["x"]),
        "1,001 parts": top(parts=many),
        "a part twice": lambda copy: copy["parts"].append(copy["parts"][0]),
        "an id in upper case": part(id="A" * 32),
        "an id of 31 digits": part(id="a" * 31),
        "a kind that does not exist": part(kind="note"),
        "a type with a parameter": part(type="text/plain; charset=utf-8"),
        "a type in upper case": part(type="Text/plain"),
        "a type without a slash": part(type="text"),
        "a type with a line feed": part(type="text/plain\n"),
        "a size of 2^53": part(size=1 << 53),
        "a negative size": part(size=-1),
        "a size that is true": part(size=True),
        "a size that is text": part(size="44"),
        "a name that is null": part(name=None),
        "an empty cid": part(cid=""),
        "a cid that is a number": part(cid=1),
        "a field more in a part": part(digest=""),
        "a field missing in a part": lambda copy: copy["parts"][0].pop("name"),
    }
    all_of_them = {**raw, **{what: encoded(change) for what, change in made_up.items()}}
    assert good not in all_of_them.values()
    found = [
        {"name": what, "manifest": [data.hex()], "error": "manifest"} for what, data in all_of_them.items()
    ]
    front, back = good.split(b"Your")
    deep, long = {"repeat": "5b", "times": 100_000}, {"repeat": "78", "times": 1 << 20}
    found.append({"name": "deep nesting", "manifest": [deep], "error": "manifest"})
    found.append({"name": "over 1 MiB", "manifest": [front.hex(), long, back.hex()], "error": "manifest"})
    return found


def bundles(full: bytes, made: dict[str, Sealed]) -> list[dict[str, Any]]:
    """Changes to the full bundle of the message with two readers."""
    sealed = made[TWO]
    found = []
    wrapped_at = 8 + 96 + 16
    count_at = wrapped_at + 2 + 112
    stanza_at = count_at + 2
    first_stanza = 1 + 16 + 2 + 108
    parts_at = stanza_at + 3 * first_stanza + 1 + 16 + 2 + 1168
    blob_at = parts_at + 2
    lengths = [
        8 + len(sealed.blobs[i]) for i in (sealed.manifest_part, *(p.id for p in sealed.manifest.parts))
    ]
    starts = [blob_at, blob_at + lengths[0], blob_at + lengths[0] + lengths[1]]
    end = len(full)
    assert starts[2] + lengths[2] == end

    def add(what: str, error: str, *pieces) -> None:
        change = [piece if isinstance(piece, str) else ["bundle", *piece] for piece in pieces]
        found.append(
            {"name": what, "bundle": "full", "change": change, "opener": opener(JANE), "error": error}
        )

    def cut(position: int) -> list[int]:
        return [0, position]

    for position in (
        0,
        7,
        8,
        103,
        104,
        119,
        120,
        121,
        122,
        233,
        234,
        235,
        236,
        237,
        stanza_at + 18,
        stanza_at + 19,
        parts_at,
        parts_at + 1,
        blob_at,
        blob_at + 7,
        blob_at + 8,
        starts[1],
        starts[2],
        end - 1,
    ):
        add(f"cut at {position}", "bundle", cut(position))
    add("a byte after the end", "bundle", [0, end], "00")
    add("another magic", "bundle", "4c455452424e444d", [8, end])
    add("header version 2", "version", [0, 16], "0002", [18, end])
    add("header changed", "outer key", [0, 24], flipped(full, 24)[24:25].hex(), [25, end])
    add("wrapped key of 65,535 bytes announced", "bundle", cut(wrapped_at), "ffff", [wrapped_at + 2, end])
    add("wrapped key of 1,025 bytes", "outer key", cut(wrapped_at), "0401" + "00" * 1025, [count_at, end])
    add("a server key without a wrapped key", "outer key", cut(wrapped_at), "0000", [count_at, end])
    add("a wrapped key without a server key", "outer key", [0, 104], "00" * 16, [120, end])
    add("neither server key nor wrapped key, opened by link", "kek", [0, 104], "00" * 18, [count_at, end])
    add("65,535 stanzas announced", "bundle", cut(count_at), "ffff", [stanza_at, end])
    add("a stanza fewer announced", "bundle", cut(count_at), "0003", [stanza_at, end])
    add(
        "a stanza of 107 bytes",
        "stanza",
        cut(stanza_at + 17),
        "006b",
        [stanza_at + 19, stanza_at + 19 + 107],
        [stanza_at + first_stanza, end],
    )
    add("stanza type 0", "stanza", cut(stanza_at), "00", [stanza_at + 1, end])
    add("stanza type 4", "stanza", cut(stanza_at), "04", [stanza_at + 1, end])
    add(
        "a stanza twice",
        "stanza",
        cut(count_at),
        "0005",
        [stanza_at, stanza_at + first_stanza],
        [stanza_at, end],
    )
    add(
        "two stanzas for one key",
        "stanza",
        cut(stanza_at + first_stanza + 1),
        [stanza_at + 1, stanza_at + 17],
        [stanza_at + first_stanza + 17, end],
    )
    add("no part announced", "bundle", cut(parts_at), "0000", [blob_at, end])
    add("no part", "bundle", cut(parts_at), "0000")
    add("65,535 parts announced", "bundle", cut(parts_at), "ffff", [blob_at, end])
    add("a part of 2^64 - 1 bytes announced", "bundle", cut(blob_at), "ff" * 8, [blob_at + 8, end])
    add("a part of 15 bytes", "bundle", cut(blob_at), f"{15:016x}" + "00" * 15, [starts[1], end])
    add("the manifest alone", "part", cut(parts_at), "0001", [blob_at, starts[1]])
    add("a part missing", "part", cut(parts_at), "0002", [blob_at, starts[2]])
    add("a part twice", "part", cut(parts_at), "0004", [blob_at, end], [starts[2], end])
    add("parts in another order", "part", cut(starts[1]), [starts[2], end], [starts[1], starts[2]])
    add(
        "a part before the manifest",
        "part",
        cut(blob_at),
        [starts[1], starts[2]],
        [blob_at, starts[1]],
        [starts[2], end],
    )
    foreign = made[ONE].blobs[made[ONE].manifest.parts[0].id]
    add(
        "a part of another message",
        "part",
        cut(parts_at),
        "0004",
        [blob_at, end],
        f"{len(foreign):016x}" + foreign.hex(),
    )
    return found


def records(good: dict[str, Any]) -> list[dict[str, Any]]:
    """Changes to rows, queue item, spooled item, ticket and visit."""
    found = []

    def add(record: str, what: str, error: str, **change) -> None:
        found.append({"name": f"{record}: {what}", "record": record, "change": change, "error": error})

    other_id, other_key = named("other id", 16).hex(), named("other key", 32).hex()
    add("participant", "address changed", "row", address="mallory@example.net")
    add("participant", "address in another normal form", "row", address="jane.doe\u0308@example.net")
    add("participant", "role changed", "row", role=1)
    add("participant", "flags changed", "row", flags=0)
    add("participant", "another participant", "row", participant_id=other_id)
    add("participant", "another conversation", "row", conversation_id=other_id)
    add("participant", "another row key", "row", row_key=other_key)
    add("participant", "no MAC", "row", mac="")
    add("participant", "a key row's MAC", "row", mac=good["key"]["mac"])
    add("key", "public key changed", "row", public=JOHN.pair.public.hex())
    add("key", "type changed", "row", type=2)
    add("key", "a type that does not exist", "row", type=3)
    add("key", "another participant", "row", participant_id=other_id)
    add("key", "another conversation", "row", conversation_id=other_id)
    add("key", "another key id", "row", key_id=other_id)
    add("key", "MAC cut", "row", mac=good["key"]["mac"][:-2])
    item = good["queue item"]["item"]
    raw = bytes.fromhex(item)
    add("queue item", "without its MAC", "queue item", item=item[:-64])
    add("queue item", "of 79 bytes", "queue item", item=item[:158])
    add("queue item", "nothing", "queue item", item="")
    for at in (0, 31, 32, len(raw) - 33, len(raw) - 32, len(raw) - 1):
        add("queue item", f"byte {at}", "queue item", item=flipped(raw, at).hex())
    add("queue item", "another kind", "queue item", kind=2)
    add("queue item", "another entry", "queue item", entry_id=other_id)
    add("queue item", "another enqueue key", "queue item", enqueue_key=other_key)
    add("queue item", "another queue key", "queue item", private=other_key)
    bound = bytes([1]) + bytes.fromhex(good["queue item"]["entry_id"])
    enqueue = bytes.fromhex(good["queue item"]["enqueue_key"])
    forged = flipped(raw[:-32], 40)
    add(
        "queue item",
        "sealed bytes changed under a right MAC",
        "queue item",
        item=(forged + mac(enqueue, QUEUE_ITEM + bound + forged)).hex(),
    )
    forged = bytes(32) + raw[32:-32]
    add(
        "queue item",
        "low order under a right MAC",
        "queue item",
        item=(forged + mac(enqueue, QUEUE_ITEM + bound + forged)).hex(),
    )
    spooled = bytes.fromhex(good["spooled"][1]["item"])
    for at in (0, 15, 16, 47, 48, len(spooled) - 1):
        add("spooled", f"envelope changed at byte {at}", "spool", item=flipped(spooled, at).hex())
    for length in (0, 16, 47, 48, 63, len(spooled) - 1):
        add("spooled", f"cut at {length}", "spool", item=spooled[:length].hex())
    add("spooled", "a byte more", "spool", item=(spooled + b"\x00").hex())
    add("spooled", "another label", "spool", label="content")
    add("spooled", "another item", "spool", item_id=other_id)
    add("spooled", "another key", "spool", key=other_key)
    issued = bytes.fromhex(good["ticket"]["ticket"])
    for at in (0, 16, 32, 63, 64, 71, 72, 103):
        add("ticket", f"byte {at}", "ticket", ticket=flipped(issued, at).hex())
    for length in (0, 72, 103, 105):
        add("ticket", f"of {length} bytes", "ticket", ticket=issued.ljust(length, b"\x00")[:length].hex())
    add("ticket", "another key", "ticket", ticket_key=other_key)
    add("ticket", "void", "ticket", now=good["ticket"]["until"])
    row = bytes.fromhex(good["visit"]["sealed"])
    for at in (0, 31, 32, 47):
        add("visit", f"row byte {at}", "visit", sealed=flipped(row, at).hex())
    for length in (0, 47, 49):
        add("visit", f"row of {length} bytes", "visit", sealed=row.ljust(length, b"\x00")[:length].hex())
    add("visit", "another V", "visit", secret=other_key)
    add("visit", "V of 31 bytes", "visit", secret=other_key[:62])
    add("visit", "another visit", "visit", visit_id=other_id)
    add("visit", "another link", "visit", link_id=other_id)
    return found
