"""From one leaf of the structure to the parts that a recipient gets: decoded, named, unpacked where programs do so."""

import re

from relay.message.bodies import body
from relay.message.inline_files import find_inline_files
from relay.message.names import clean_name, content_id, declared_name, name_of
from relay.message.parts import Part
from relay.message.pgp import BEGIN
from relay.message.structure import Leaf, Structure
from relay.message.tnef import SIGNATURE
from relay.message.transfer import PIECE
from relay.message.wrapped import attachment, perhaps_encrypted, signed_or_encrypted, unpacked

_BODIES = frozenset(
    {
        "text/plain",
        "text/enriched",
        "text/richtext",
        "text/markdown",
        "text/rfc822-headers",
        "message/delivery-status",
        "message/global-delivery-status",
        "message/disposition-notification",
        "message/feedback-report",
    }
)
_ELSEWHERE = {
    "message/partial": "is only a fragment of a message",
    "message/external-body": "stands for content that is kept elsewhere",
}
_PKCS7 = frozenset(f"application/{prefix}pkcs7-{kind}" for prefix in ("", "x-") for kind in ("mime", "signature"))
_PKCS7_NAMES = (".p7m", ".p7s")
_TNEF = frozenset({"application/ms-tnef", "application/vnd.ms-tnef"})
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/=\s]|[^\s] +[^\s]")
_ARMOURED_NAMES = (".asc", ".gpg", ".pgp")


def parts_of(leaf: Leaf, found: Structure, number: int) -> list[Part]:
    """Return the parts that one leaf gives; doubts and further leaves go into ``found``.

    ``number`` is what a file without a name is called by.
    """
    kind = leaf.type.word
    decoded = leaf.decoded()
    data = leaf.raw if decoded is None else decoded
    if leaf.encoding == "base64" and kind.startswith("text/") and _NOT_BASE64.search(leaf.raw, 0, PIECE):
        found.outside.append(leaf.raw)  # plain text under a wrong label: some programs show it as it stands
    problem = "is encoded in an unknown way" if decoded is None else _ELSEWHERE.get(kind, "")
    if leaf.disposition.word != "attachment" and not declared_name(leaf):
        if kind == "text/html":
            return [body("html", data, leaf, problem, found)]
        if kind in _BODIES:
            files = [
                attachment(clean_name(file.name) or "file", file.data, problem=file.problem)
                for file in find_inline_files(data)
            ]
            return [body("text", data, leaf, problem, found), *files]
    return _attached(leaf, found, name_of(leaf, data, number), data, problem)


def _attached(leaf: Leaf, found: Structure, name: str, data: bytes, problem: str) -> list[Part]:
    kind, lower = leaf.type.word, name.lower()
    if kind in _TNEF or data.startswith(SIGNATURE):
        return unpacked(name, data, kind)
    if kind in _PKCS7 or lower.endswith(_PKCS7_NAMES):
        return signed_or_encrypted(name, data, leaf, found)
    if leaf.parent == "encrypted" or data.startswith(BEGIN) or lower.endswith(_ARMOURED_NAMES):
        return [perhaps_encrypted(name, data, leaf, problem)]
    cid = content_id(leaf)
    shown = cid and kind.startswith("image/") and (leaf.disposition.word != "attachment" or leaf.parent == "related")
    return [Part("inline" if shown else "attachment", name, name, kind, data, cid=cid, problem=problem)]
