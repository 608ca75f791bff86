"""A second reader of the sealed format, from docs/sealed-format.md alone, without a line of relay/.

HPKE is built here from X25519, ML-KEM, HMAC and AES-GCM. Run it beside the vectors: it opens every message
and both bundles, recomputes every derived value, and refuses what must be refused, by the same name. It
prints one line and ends with 0, or names each vector that it does not agree with and ends with 1.
"""

import base64
import hashlib
import hmac
import json
import re
import sys
from datetime import datetime
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

unhex, sha256 = bytes.fromhex, hashlib.sha256


class Refused(Exception):
    pass


def need(true, name):
    if not true:
        raise Refused(name)


def hm(key, data):
    return hmac.digest(key, data, "sha256")


def expand(prk, info, length):
    out = block = b""
    for counter in range(1, -(-length // 32) + 1):
        block = hm(prk, block + info + bytes([counter]))
        out += block
    return out[:length]


def kdf(ikm, salt, info):
    return expand(hm(salt, ikm), info, 32)


def lab(name):
    return b"letterlock/1 " + name.encode() + b"\0"


def u(number, length):
    return number.to_bytes(length, "big")


def gcm(key, nonce, sealed, aad, name):
    need(len(sealed) >= 16, name)
    try:
        return AESGCM(key).decrypt(nonce, sealed, aad)
    except InvalidTag:
        raise Refused(name) from None


# HPKE, RFC 9180, mode base, HKDF-SHA256, AES-256-GCM


def labelled_extract(suite, salt, label, ikm):
    return hm(salt or bytes(32), b"HPKE-v1" + suite + label + ikm)


def labelled_expand(suite, prk, label, info, length):
    return expand(prk, u(length, 2) + b"HPKE-v1" + suite + label + info, length)


def exchange(private, public, name):
    try:
        return private.exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:
        raise Refused(name) from None


def x25519_secret(private, enc, name):
    suite, public = b"KEM" + u(0x0020, 2), private.public_key().public_bytes_raw()
    prk = labelled_extract(suite, b"", b"eae_prk", exchange(private, enc, name))
    return labelled_expand(suite, prk, b"shared_secret", enc + public, 32)


def recovery_key(seed):
    need(len(seed) == 32, "key")
    expanded = hashlib.shake_256(seed).digest(96)
    lattice, curve = (
        MLKEM768PrivateKey.from_seed_bytes(expanded[:64]),
        X25519PrivateKey.from_private_bytes(expanded[64:]),
    )
    return lattice, curve, lattice.public_key().public_bytes_raw() + curve.public_key().public_bytes_raw()


def recovery_secret(key, enc, name):
    lattice, curve, public = key
    first, second = lattice.decapsulate(enc[:1088]), exchange(curve, enc[1088:], name)
    return hashlib.sha3_256(first + second + enc[1088:] + public[1184:] + b"\\.//^\\").digest()


def key_schedule(kem, aead, shared, info):
    suite = b"HPKE" + u(kem, 2) + u(1, 2) + u(aead, 2)
    hashed = labelled_extract(suite, b"", b"psk_id_hash", b"") + labelled_extract(
        suite, b"", b"info_hash", info
    )
    secret = labelled_extract(suite, shared, b"secret", b"")
    key = labelled_expand(suite, secret, b"key", b"\0" + hashed, 32)
    return key, labelled_expand(suite, secret, b"base_nonce", b"\0" + hashed, 12)


def hpke_open(kem, shared, ct, info, name):
    key, nonce = key_schedule(kem, 2, shared, info)
    return gcm(key, nonce, ct, b"", name)


def link_open(private, sealed, info, name):
    need(len(sealed) >= 48, name)
    return hpke_open(0x0020, x25519_secret(private, sealed[:32], name), sealed[32:], info, name)


# the format


def check_header(h):
    need(len(h) == 96 and h[:8] == b"LETRLOCK", "header")
    need(h[8:10] == u(1, 2), "version")
    need(h[10:12] == u(1, 2), "suite")
    need(h[12:16] == bytes(4), "critical")
    need(h[57:64] == bytes(7), "reserved")
    need(h[56] in (1, 2, 3, 4), "author kind")
    return {
        "conversation": h[16:32],
        "message": h[32:48],
        "created": int.from_bytes(h[48:56], "big"),
        "author": h[56],
        "commitment": h[64:],
        "digest": sha256(h).digest(),
    }


def unwrap(h, kek_id, wrapped, keks):
    need(kek_id in keks, "kek")
    need(len(wrapped) == 112, "outer key")
    secret = gcm(
        kdf(keks[kek_id], wrapped[:32], lab("wrap") + kek_id), bytes(12), wrapped[32:], b"", "outer key"
    )
    need(secret[32:] == h["digest"], "outer key")
    return secret[:32]


def private_key(opener, conversation):
    kind, secret = opener["type"], unhex(opener["secret"])
    if kind == 3:
        return recovery_key(secret)
    need(len(secret) == (32 if kind == 1 else 20), "key")
    salt = unhex(opener["key_id"]) if kind == 1 else conversation
    return X25519PrivateKey.from_private_bytes(kdf(secret, salt, lab("link" if kind == 1 else "sender")))


def open_stanza(h, outer, s, private):
    kind, key_id, ct = s["type"], unhex(s["key_id"]), unhex(s["ct"])
    recovery = isinstance(private, tuple)
    need(kind in (1, 2, 3) and len(ct) == (1168 if kind == 3 else 108) and (kind == 3) == recovery, "stanza")
    need(unhex(s["message_id"]) == h["message"], "stanza")
    info = lab("stanza") + bytes([kind]) + h["digest"] + key_id
    if recovery:
        dek = hpke_open(0x647A, recovery_secret(private, ct[:1120], "stanza"), ct[1120:], info, "stanza")
    else:
        dek = link_open(private, gcm(outer, ct[:12], ct[12:], info, "stanza"), info, "stanza")
    need(len(dek) == 32 and kdf(dek, h["message"], lab("commit")) == h["commitment"], "commitment")
    return dek


def padded(size):
    return (size // 1024 + 1) * 1024


def stream(sealed_length, name):
    """Return (plain length, number of chunks) of a stream."""
    n = -(-sealed_length // 65552)
    plain = sealed_length - 16 * n
    need(n >= 1 and plain >= 0 and max(1, -(-plain // 65536)) == n, name)
    return plain, n


def part_layout(stored, size):
    plain, n = stream(stored - 16, "part")
    need(plain > 0 and plain % 1024 == 0 and (size is None or padded(size) == plain), "part")
    return n


def open_chunks(key, data, n, first, name):
    out = []
    for i in range(-(-len(data) // 65552)):
        nonce = u(first + i, 11) + bytes([first + i == n - 1])
        out.append(gcm(key, nonce, data[i * 65552 : (i + 1) * 65552], b"", name))
    return b"".join(out)


def part_key(dek, h, kind, part_id):
    return kdf(dek, h["digest"], lab("part") + bytes([kind]) + part_id)


def open_part(dek, h, kind, part_id, blob, size):
    n = part_layout(len(blob), size)
    need(blob[:16] == part_id, "part")
    plain = open_chunks(part_key(dek, h, kind, part_id), blob[16:], n, 0, "part")
    data = plain.rstrip(b"\0")
    need(
        data[-1:] == b"\x80" and padded(len(data) - 1) == len(plain) and size in (None, len(data) - 1), "part"
    )
    return data[:-1]


def parse_manifest(data):
    need(len(data) <= 1 << 20, "manifest")

    def pairs(items):
        need(len(dict(items)) == len(items), "manifest")
        return dict(items)

    def no_float(_):
        raise Refused("manifest")

    try:
        m = json.loads(data.decode(), object_pairs_hook=pairs, parse_float=no_float, parse_constant=no_float)
        again = json.dumps(m, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    except (ValueError, RecursionError):
        raise Refused("manifest") from None
    texts = lambda value: type(value) is list and all(type(one) is str for one in value)  # noqa: E731
    need(
        again == data and type(m) is dict and set(m) == {"v", "from", "to", "cc", "date", "subject", "parts"},
        "manifest",
    )
    need(type(m["v"]) is int and m["v"] == 1 and texts(m["to"]) and texts(m["cc"]), "manifest")
    need(
        texts([m["from"], m["subject"], m["date"]]) and type(m["parts"]) is list and len(m["parts"]) <= 1000,
        "manifest",
    )
    if m["date"]:
        need(
            re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]([01]\d|2[0-3]):[0-5]\d", m["date"], re.A),
            "manifest",
        )
        try:
            datetime.fromisoformat(m["date"])
        except ValueError:
            raise Refused("manifest") from None
    token = r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}"
    for p in m["parts"]:
        need(type(p) is dict and set(p) - {"cid"} == {"id", "kind", "name", "type", "size"}, "manifest")
        need(
            texts([p["id"], p["kind"], p["name"], p["type"], p.get("cid", "x")]) and p.get("cid") != "",
            "manifest",
        )
        need(
            re.fullmatch("[0-9a-f]{32}", p["id"]) and re.fullmatch(f"{token}/{token}", p["type"]), "manifest"
        )
        need(p["kind"] in {"text", "html", "inline", "attachment", "original"}, "manifest")
        need(type(p["size"]) is int and 0 <= p["size"] < 1 << 53, "manifest")
    need(len({p["id"] for p in m["parts"]}) == len(m["parts"]), "manifest")
    return m


def open_content(h, dek, manifest_id, blobs, ordered):
    """Return the manifest and the parts; ``blobs`` are (id, blob) pairs, the manifest's among them."""
    (manifest_blob,) = [blob for part_id, blob in blobs if part_id == manifest_id][:1] or [b""]
    need(len(manifest_blob) <= 16 + padded(1 << 20) + 16 * 17, "manifest")
    data = open_part(dek, h, 0, manifest_id, manifest_blob, None)
    m = parse_manifest(data)
    listed = [unhex(p["id"]) for p in m["parts"]]
    need(manifest_id not in listed, "manifest")
    present = [part_id for part_id, _ in blobs if part_id != manifest_id]
    need(present == listed if ordered else sorted(present) == sorted(listed), "part")
    found = dict(blobs)
    return (
        data,
        m,
        [open_part(dek, h, 1, unhex(p["id"]), found[unhex(p["id"])], p["size"]) for p in m["parts"]],
    )


def open_message(v, position, opener):
    h = check_header(unhex(v["header"]))
    keks = {unhex(name): unhex(key) for name, key in v["keks"].items()}
    private = private_key(opener, h["conversation"])
    outer = None if opener["type"] == 3 else unwrap(h, unhex(v["kek_id"]), unhex(v["wrapped"]), keks)
    dek = open_stanza(h, outer, v["stanzas"][position], private)
    blobs = [(unhex(part_id), unhex(blob)) for part_id, blob in v["blobs"].items()]
    return h, outer, dek, *open_content(h, dek, unhex(v["manifest_part"]), blobs, ordered=False)


def decode_bundle(data):
    at = 0

    def take(length):
        nonlocal at
        need(at + length <= len(data), "bundle")
        at += length
        return data[at - length : at]

    number = lambda length: int.from_bytes(take(length), "big")  # noqa: E731
    need(take(8) == b"LETRBNDL", "bundle")
    header = take(96)
    h = check_header(header)
    kek_id, wrapped = take(16), take(number(2))
    stanzas = [
        {
            "type": number(1),
            "key_id": take(16).hex(),
            "message_id": h["message"].hex(),
            "ct": take(number(2)).hex(),
        }
        for _ in range(number(2))
    ]
    blobs = [take(number(8)) for _ in range(number(2))]
    need(at == len(data), "bundle")
    need(len(wrapped) <= 1024 and (kek_id == bytes(16)) == (wrapped == b""), "outer key")
    for s in stanzas:
        need(s["type"] in (1, 2, 3) and len(s["ct"]) == 2 * (1168 if s["type"] == 3 else 108), "stanza")
    need(len({s["key_id"] for s in stanzas}) == len(stanzas), "stanza")
    need(1 <= len(blobs) <= 1001 and all(len(blob) >= 1056 for blob in blobs), "bundle")
    return header, h, kek_id, wrapped, stanzas, blobs


def open_bundle(data, keks, opener):
    _, h, kek_id, wrapped, stanzas, blobs = decode_bundle(data)
    private = private_key(opener, h["conversation"])
    outer = None if opener["type"] == 3 else unwrap(h, kek_id, wrapped, keks)
    public = sha256(private[2]).hexdigest()[:32] if opener["type"] == 3 else opener["key_id"]
    (chosen,) = [s for s in stanzas if s["key_id"] == public]
    dek = open_stanza(h, outer, chosen, private)
    return open_content(h, dek, blobs[0][:16], [(blob[:16], blob) for blob in blobs], ordered=True)


def record(name, r):
    b = {
        key: unhex(value)
        for key, value in r.items()
        if isinstance(value, str) and re.fullmatch("([0-9a-f]{2})*", value)
    }
    if name == "participant":
        text = r["address"].encode()
        data = (
            lab("row participant")
            + b["conversation_id"]
            + b["participant_id"]
            + bytes([r["role"], r["flags"]])
        )
        need(hm(b["row_key"], data + u(len(text), 2) + text) == b["mac"], "row")
    elif name == "key":
        need(r["type"] in (1, 2), "row")
        data = (
            lab("row key")
            + bytes([r["type"]])
            + b["conversation_id"]
            + b["participant_id"]
            + b["key_id"]
            + b["public"]
        )
        need(hm(b["row_key"], data) == b["mac"], "row")
    elif name == "queue item":
        item, bound = b["item"], bytes([r["kind"]]) + b["entry_id"]
        need(len(item) >= 80, "queue item")
        need(hm(b["enqueue_key"], lab("queue item") + bound + item[:-32]) == item[-32:], "queue item")
        private = X25519PrivateKey.from_private_bytes(b["private"])
        need(link_open(private, item[:-32], lab("queue") + bound, "queue item") == b["payload"], "wrong")
    elif name == "spooled":
        item = b["item"]
        _, n = stream(len(item) - 48, "spool")
        key = kdf(b["key"], item[16:48], lab("spool") + item[:16] + b["item_id"] + r["label"].encode())
        data = open_chunks(key, item[48:], n, 0, "spool")
        need(data == hashlib.shake_256(r["data_shake256"].encode()).digest(r["size"]), "wrong")
    elif name == "ticket":
        ticket = b["ticket"]
        need(len(ticket) == 104 and hm(b["ticket_key"], lab("ticket") + ticket[:72]) == ticket[72:], "ticket")
        need(r["now"] < int.from_bytes(ticket[64:72], "big"), "ticket")
        need(ticket[:72] == b["visit_id"] + b["link_id"] + b["public"] + u(r["until"], 8), "wrong")
    elif name == "visit":
        need(len(b["secret"]) == 32 and len(b["sealed"]) == 48, "visit")
        key = kdf(b["secret"], b["visit_id"], lab("visit"))
        need(gcm(key, bytes(12), b["sealed"], b["link_id"], "visit") == b["private"], "wrong")


def check_public(case):
    if "public" in case:
        public = unhex(case["public"])
    else:
        both = unhex(case["recovery_public"])
        need(len(both) == 1216, "key")
        public = both[1184:]
        try:
            MLKEM768PublicKey.from_public_bytes(both[:1184])
        except ValueError:
            raise Refused("key") from None
    need(len(public) == 32 and int.from_bytes(public, "little") < 2**255 - 19, "key")
    exchange(X25519PrivateKey.from_private_bytes(b"\x01" * 32), public, "key")


# the vectors


def joined(pieces, source):
    out = b""
    for piece in pieces:
        if isinstance(piece, str):
            out += unhex(piece)
        elif isinstance(piece, dict):
            out += unhex(piece["repeat"]) * piece["times"]
        else:
            out += source[piece[0]][piece[1] : piece[2]]
    return out


def changed_message(v, case):
    change = dict(case["change"])
    v = {**v, "blobs": dict(v["blobs"]), "stanzas": list(v["stanzas"])}
    blobs = {part_id: unhex(blob) for part_id, blob in v["blobs"].items()}
    for part_id, pieces in change.pop("blobs", {}).items():
        if pieces is None:
            del v["blobs"][part_id]
        else:
            v["blobs"][part_id] = joined(pieces, blobs).hex()
    if columns := change.pop("stanza", None):
        v["stanzas"][case["stanza"]] = {**v["stanzas"][case["stanza"]], **columns}
    return {**v, **change}


def shake(case_text, size):
    return hashlib.shake_256(case_text.encode()).digest(size)


def positive(load):
    k = load("keys")
    labels = k["labels"]
    for name, value in labels["kdf"].items():
        yield (
            f"label {name}",
            lambda name=name, value=value: need(
                kdf(unhex(labels["ikm"]), unhex(labels["salt"]), lab(name)).hex() == value, "wrong"
            ),
        )
    for name in ("link", "sender"):

        def derived(v=k[name]):
            private = private_key(v, unhex(v.get("conversation_id", "")))
            need(private.private_bytes_raw().hex() == v["private"], "wrong")
            need(private.public_key().public_bytes_raw().hex() == v["public"], "wrong")
            need(base64.b32decode(v.get("address_text", "").upper()) in (b"", unhex(v["secret"])), "wrong")

        yield f"{name} key", derived

    def recovery(v=k["recovery"]):
        digest = sha256(recovery_key(unhex(v["seed"]))[2]).hexdigest()
        need(digest == v["public_sha256"] and digest[:32] == v["key_id"], "wrong")

    yield "recovery key", recovery

    def part_keys(v=k["part_key"]):
        for kind, name in enumerate(("manifest", "content")):
            key = part_key(unhex(v["dek"]), {"digest": unhex(v["digest"])}, kind, unhex(v["part_id"]))
            need(key.hex() == v[name], "wrong")

    yield "part keys", part_keys

    messages = load("messages")
    for name, v in messages.items():
        openers = [
            *v["keys"],
            *([{"type": 3, "secret": v["recovery_seed"]}] * (v["stanzas"][-1]["type"] == 3)),
        ]
        for position, opener in enumerate(openers):

            def opened(v=v, position=position, opener=opener):
                h, outer, dek, data, _, parts = open_message(v, position, opener)
                e = v["expect"]
                need(
                    dek.hex() == e["dek"]
                    and h["digest"].hex() == e["digest"]
                    and data.hex() == e["manifest"],
                    "wrong",
                )
                need(outer is None or outer.hex() == e["outer"], "wrong")
                need(h["created"] == e["created"] and h["author"] == e["author"], "wrong")
                need(
                    sha256(unhex(v["blobs"][v["manifest_part"]])).hexdigest() == e["manifest_sha256"], "wrong"
                )
                need([sha256(part).hexdigest() for part in parts] == e["parts_sha256"], "wrong")

            yield f"{name}, stanza {position}", opened

    b = load("bundles")
    base = messages[b["message"]]
    keks = {unhex(name): unhex(key) for name, key in base["keks"].items()}
    seed = {"type": 3, "secret": base["recovery_seed"]}
    for name, opener in (
        ("full", base["keys"][0]),
        ("full", base["keys"][2]),
        ("full", seed),
        ("recovery only", seed),
    ):

        def bundle(name=name, opener=opener):
            data, _, parts = open_bundle(unhex(b[name]), keks, opener)
            need(data.hex() == base["expect"]["manifest"], "wrong")
            need([sha256(part).hexdigest() for part in parts] == base["expect"]["parts_sha256"], "wrong")

        yield f"bundle {name}, type {opener['type']}", bundle

    p = load("parts")
    h, dek = check_header(unhex(p["header"])), unhex(p["dek"])
    for case in p["cases"]:

        def sized(case=case):  # sealing is deterministic once the part id is drawn
            data, part_id = shake(case["content_shake256"], case["size"]), unhex(case["part_id"])
            plain = (data + b"\x80").ljust(padded(len(data)), b"\0")
            cipher, blob, n = AESGCM(part_key(dek, h, 1, part_id)), part_id, -(-len(plain) // 65536)
            for i in range(n):
                blob += cipher.encrypt(
                    u(i, 11) + bytes([i == n - 1]), plain[i * 65536 : (i + 1) * 65536], None
                )
            need(
                len(blob) == case["stored_length"] and sha256(blob).hexdigest() == case["blob_sha256"],
                "wrong",
            )
            need(open_part(dek, h, 1, part_id, blob, case["size"]) == data, "wrong")

        yield f"part of {case['size']} bytes", sized
    large = messages[p["ranges"]["message"]]
    for case in p["ranges"]["cases"]:
        yield (
            f"range {case['start']} to {case['stop']}",
            lambda case=case: need(
                sha256(
                    read_range(
                        large, case, unhex(large["blobs"][case["part"]])[case["offset"] :][: case["length"]]
                    )
                ).hexdigest()
                == case["sha256"],
                "wrong",
            ),
        )

    r = load("records")
    for name, value in r.items():
        for case in value if isinstance(value, list) else [value]:
            if case.get("item", "") is not None:
                yield name, lambda name=name, case=case: record(name, case)


def read_range(v, case, fetched):
    h, dek, part_id = check_header(unhex(v["header"])), unhex(v["expect"]["dek"]), unhex(case["part"])
    (entry,) = [p for p in json.loads(unhex(v["expect"]["manifest"]))["parts"] if p["id"] == case["part"]]
    n = part_layout(case["stored_length"], entry["size"])
    start, stop = case["start"], case["stop"]
    first, after = start // 65536, -(-stop // 65536) if stop > start else start // 65536
    end = min(after * 65552, case["stored_length"] - 16)
    need(len(fetched) == max(0, end - first * 65552), "part")
    plain = open_chunks(part_key(dek, h, 1, part_id), fetched, n, first, "part")
    return plain[start - first * 65536 : stop - first * 65536]


def negative(load):
    n, messages, records, b = load("negative"), load("messages"), load("records"), load("bundles")
    for case in n["messages"]:
        v = messages[case["message"]]
        yield (
            case,
            lambda v=v, case=case: open_message(changed_message(v, case), case["stanza"], case["opener"]),
        )
    for case in n["keys"]:
        yield case, lambda case=case: check_public(case)
    for case in n["ranges"]:
        blobs = {case["part"]: unhex(messages[case["message"]]["blobs"][case["part"]])}
        yield (
            case,
            lambda case=case, blobs=blobs: read_range(
                messages[case["message"]], case, joined(case["pieces"], blobs)
            ),
        )
    for case in n["manifests"]:
        yield case, lambda case=case: parse_manifest(joined(case["manifest"], {}))
    base = messages[b["message"]]
    keks = {unhex(name): unhex(key) for name, key in base["keks"].items()}
    for case in n["bundles"]:
        source = {"bundle": unhex(b[case["bundle"]])}
        yield (
            case,
            lambda case=case, source=source: open_bundle(
                joined(case["change"], source), keks, case["opener"]
            ),
        )
    for case in n["records"]:
        good = records[case["record"]]
        good = good[1] if isinstance(good, list) else good
        yield case, lambda case=case, good=good: record(case["record"], {**good, **case["change"]})


def main():
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    load = lambda name: json.loads((folder / f"{name}.json").read_text())  # noqa: E731
    count, wrong = 0, []
    for name, check in positive(load):
        count += 1
        try:
            check()
        except Refused as refused:
            wrong.append(f"{name}: refused as {refused}")
    for case, check in negative(load):
        count += 1
        try:
            check()
            wrong.append(f"{case['name']}: not refused")
        except Refused as refused:
            if str(refused) != case["error"]:
                wrong.append(f"{case['name']}: {refused} instead of {case['error']}")
    print("\n".join(wrong) or f"agrees on {count} vectors")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
