"""Trace fields: what we say about a message's way (Received), and what nobody else may say in our name."""

import re
from datetime import UTC, datetime
from email.utils import format_datetime

from relay.message.block import header_end, unfold
from relay.message.cipher_names import registered_name
from relay.message.original import Original
from relay.message.values import header_value

MAX_HOPS = 50  # more is a loop (RFC 5321 section 6.3); the caller compares `count_received` with it
_RECEIVED = re.compile(rb"^received[ \t]*+:", re.IGNORECASE | re.MULTILINE)
_NO_ATOM = re.compile(r"[^A-Za-z0-9._:\[\]+-]")
_CLAIM_ROOM = 2 << 10  # octets of a field in which its name must stand; nobody honest needs more
_CLAIM_PART = re.compile(rb"\\.|[()]|[^()\\]+", re.DOTALL)


def received_field(
    *,
    helo: str,
    client: str,
    by: str,
    queue_id: str,
    when: datetime,
    esmtp: bool = True,
    smtputf8: bool = False,
    tls_version: str = "",
    cipher: str = "",
    authenticated: bool = False,
    recipients: tuple[str, ...] = (),
) -> tuple[str, str]:
    """Return the name and value of our Received field (RFC 5321 section 4.4).

    The protocol is named as RFC 3848 and RFC 6531 section 4.3 ask, the cipher suite as RFC 8314 section 4.3 does; the
    TLS version has no clause and stands in a comment.

    ``helo`` is what the client claims, ``client`` its IP address, ``when`` an aware moment. ``recipients`` is the whole
    envelope: a ``for`` clause is written only where it names the one and only recipient, so a Bcc never shows.
    Who signed in is not told to the world either, only that somebody did.
    """
    protocol = "ESMTP" if esmtp else "SMTP"
    if esmtp:
        protocol = ("UTF8SMTP" if smtputf8 else "ESMTP") + ("S" if tls_version else "") + ("A" if authenticated else "")
    address = f"[IPv6:{client}]" if ":" in client else f"[{client}]"
    clauses = [f"from {_atom(helo) or 'unknown'} ({address})", f"by {_atom(by)}"]
    if tls_version:
        clauses.append(f"(using {_atom(tls_version)})")
    clauses.append(f"with {protocol}")
    clauses.append(f"id {_atom(queue_id)}")
    if len(recipients) == 1 and recipients[0].isascii():
        clauses.append(f"for <{header_value(recipients[0], 254)}>")
    if suite := registered_name(cipher):
        clauses.append(f"tls {suite}")
    return "Received", f"{' '.join(clauses)}; {format_datetime(when.astimezone(UTC))}"


def count_received(original: bytes) -> int:
    """Return how many Received fields the header holds: the hops so far (RFC 5321 section 6.3)."""
    return len(_RECEIVED.findall(original, 0, header_end(original)[0]))


def remove_authentication_results(original: Original, authserv_id: str) -> Original:
    """Return the message without Authentication-Results that claim to be ours (RFC 8601 section 5).

    ``authserv_id`` is our name. Everything else stays byte for byte.
    """
    ours = authserv_id.lower().rstrip(".").encode("ascii")
    found = original.named(b"authentication-results")
    return original.without([field for field in found if _claims(field.value, ours)])


def _claims(value: bytes, ours: bytes) -> bool:
    """Say whether a field bears our name, or might: one whose name cannot be told is not ours to vouch for either."""
    name = _outside_comments(unfold(value)[:_CLAIM_ROOM]).partition(b";")[0]
    words = name.replace(b"\\", b"").replace(b'"', b" ").split()
    return not words or words[0].lower().rstrip(b".") == ours


def _outside_comments(text: bytes) -> bytes:
    """Return what stands in no comment (RFC 5322 section 3.2.2): comments hold comments, and may never end."""
    depth, kept = 0, []
    for part in _CLAIM_PART.findall(text):
        if part == b"(":
            depth += 1
        elif part == b")":
            depth = max(0, depth - 1)
        kept.append(b" " if depth or part == b")" else part)
    return b"".join(kept)


def _atom(text: str) -> str:
    """Keep only what cannot end a clause or open a comment."""
    return _NO_ATOM.sub("", text)[:255]
