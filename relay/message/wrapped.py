"""Parts in a wrapper that the recipient's program takes off: S/MIME, OpenPGP, winmail.dat."""

from relay.message.cms import read_cms
from relay.message.names import clean_name
from relay.message.parts import Part
from relay.message.pgp import is_encrypted
from relay.message.rtf_compression import decompress_rtf
from relay.message.structure import Leaf, Structure, walk_inside
from relay.message.tnef import SIGNATURE, Tnef, TnefFile, read_tnef

MAX_TNEF_DEPTH = 3
_MAX_CONTROL = 200  # octets of the part that only says "Version: 1" (RFC 3156 section 4)


def attachment(
    name: str, data: bytes, kind: str = "application/octet-stream", *, problem: str = "", encrypted: bool = False
) -> Part:
    """Return an attachment that is found under its name."""
    return Part("attachment", name, name, kind, data, problem=problem, encrypted=encrypted)


def signed_or_encrypted(name: str, data: bytes, leaf: Leaf, found: Structure) -> list[Part]:
    """Return what a p7m gives: nothing but further leaves where it is only signed, an opaque attachment otherwise."""
    cms = read_cms(data)
    if cms.content is not None:
        walk_inside(found, cms.content)
        return []
    problem = "" if cms.encrypted or cms.signature else "is signed or encrypted in a form that could not be read"
    return [attachment(name, data, leaf.type.word, problem=problem, encrypted=cms.encrypted)]


def perhaps_encrypted(name: str, data: bytes, leaf: Leaf, problem: str) -> Part:
    """Return an attachment that says it is encrypted, with the truth about it."""
    kind = leaf.type.word
    if kind == "application/pgp-encrypted" and len(data) < _MAX_CONTROL:
        control = data.strip().lower().startswith(b"version:")
        return attachment(name, data, kind, problem=problem, encrypted=control)
    encrypted = is_encrypted(data) or read_cms(data).encrypted
    if leaf.parent == "encrypted" and not encrypted:
        problem = problem or "says that it is encrypted, and is not"
    return attachment(name, data, kind, problem=problem, encrypted=encrypted)


def unpacked(name: str, data: bytes, kind: str, depth: int = 0) -> list[Part]:
    """Unpack a winmail.dat; what is in it replaces it, because only Outlook could open the wrapper."""
    damaged = [attachment(name, data, kind, problem="is a winmail.dat that could not be read")]
    if depth >= MAX_TNEF_DEPTH:
        return damaged
    try:
        tnef = read_tnef(data)
        found = _bodies(name, tnef)
    except ValueError:
        return damaged
    for file in tnef.files:
        found += _unpacked_file(file, depth)
    return found


def _unpacked_file(file: TnefFile, depth: int) -> list[Part]:
    name = clean_name(file.name) or "attachment"
    if file.data.startswith(SIGNATURE):
        return unpacked(name, file.data, "application/ms-tnef", depth + 1)
    if file.cid and file.type.startswith("image/"):
        return [Part("inline", name, name, file.type, file.data, cid=file.cid)]
    return [attachment(name, file.data, file.type or "application/octet-stream")]


def _bodies(name: str, tnef: Tnef) -> list[Part]:
    """Outlook keeps a formatted copy of the body here: an attachment, so that it does not double what is shown."""
    found = []
    if tnef.body or tnef.subject:
        text = "\n".join(part for part in (tnef.subject, tnef.body) if part)
        found.append(attachment(f"{name} text.txt", text.encode("utf-8", "replace"), "text/plain"))
    if tnef.html:
        found.append(attachment(f"{name} text.html", tnef.html, "text/html"))
    if tnef.rtf:
        found.append(attachment(f"{name} text.rtf", decompress_rtf(tnef.rtf), "application/rtf"))
    return found
