"""Which mail is signed, and the signed mail as bytes: signatures in front, nothing below them touched."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from relay.dkim.body import hash_body
from relay.dkim.signature import SigningKey, signature_fields
from relay.message.address_list import parse_addresses
from relay.message.block import header_end, named_values, unfold, values_by_name

# Every line a field with its colon right behind the name, or the continuation of one; no control characters but tabs.
# Anything else is read differently by different verifiers (RFC 6376 section 3.8 asks for RFC 5322).
_SOUND = re.compile(rb"(?:[!-9;-~]++:[^\x00-\x08\x0a-\x1f\x7f]*+\r\n(?:[\t ][^\x00-\x08\x0a-\x1f\x7f]*+\r\n)*+)*+")
_Header = Mapping[bytes, Sequence[bytes]]  # raw values by lower-case name
_DOMAIN_TAG = re.compile(rb"(?:^|;)\s*d\s*=\s*([^;\s]*)")


class Signer:
    """Signs mail whose From is in a domain with keys, once with each key of that domain. Safe in several threads."""

    def __init__(self, keys: Iterable[SigningKey] = ()) -> None:
        self._keys: dict[str, tuple[SigningKey, ...]] = {}
        for key in keys:
            self._keys[key.domain] = (*self._keys.get(key.domain, ()), key)

    def sign(self, message: bytes, at: datetime, body: bytes | None = None) -> bytes:
        """Return ``message`` with a DKIM-Signature field in front for each key, or as it is.

        It stays as it is where there is no key for the domain of its author; where it has not exactly one From field
        with exactly one address; where its header is malformed, because verifiers would not agree on what was signed;
        and where it carries a signature of that domain already: the system that made it answers for it. Lines of
        ``message`` end with CRLF. ``body`` is the SHA-256 of its body, where that is known. Blocking: a third of a
        millisecond for an RSA key, and at most 3 ms for each mebibyte.
        """
        if not self._keys:
            return message
        end, start = header_end(message)
        return self._fields(message, end, lambda: hash_body(message, start, body), at) + message

    def sign_apart(self, head: bytes, body_hash: Callable[[], bytes], at: datetime) -> bytes:
        """Return what `sign` would put in front of a message whose header section ``head`` and body lie apart.

        ``body_hash`` is called where there is something to sign, and returns what `relay.dkim.body.BodyHash` does.
        """
        return self._fields(head, header_end(head)[0], body_hash, at) if self._keys else b""

    def _fields(self, message: bytes, end: int, body_hash: Callable[[], bytes], at: datetime) -> bytes:
        """Return the signatures of a message whose header ends at ``end``, empty where it is not to be signed."""
        if not _SOUND.fullmatch(message, 0, end):
            return b""
        header = values_by_name(named_values(message[:end]))
        keys = self._keys.get(_author_domain(header), ())
        if not keys or _signed_by(header, keys[0].domain):
            return b""
        return signature_fields(keys, header, body_hash(), at)


def _author_domain(header: _Header) -> str:
    """Return the domain of the one author, as lower-case A-labels; empty where there is not exactly one."""
    authors = header.get(b"from", ())
    found = parse_addresses(authors[0]) if len(authors) == 1 else ()
    return found[0].mailbox.domain if len(found) == 1 else ""


def _signed_by(header: _Header, domain: str) -> bool:
    tags = [_DOMAIN_TAG.search(unfold(value)) for value in header.get(b"dkim-signature", ())]
    return any(tag is not None and tag[1].lower() == domain.encode("ascii") for tag in tags)
