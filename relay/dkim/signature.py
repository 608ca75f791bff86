"""One DKIM-Signature field: what it covers, how it is written, how it is computed (RFC 6376 sections 3.5, 3.7, 5.4)."""

import binascii
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from relay.dkim.body import squeezed

# Each name stands in h= once more than there are such fields, so that none can be added on the way: a second Subject,
# a Reply-To or a Content-Type would change what the recipient sees (RFC 6376 sections 5.4 and 8.15).
ALWAYS = (
    b"from",
    b"to",
    b"cc",
    b"subject",
    b"date",
    b"message-id",
    b"reply-to",
    b"mime-version",
    b"content-type",
)
# The same for these, but only where they are there. RFC 8058 asks for List-Unsubscribe. Content-Transfer-Encoding says
# how to read the body; where it is missing, servers on the way are known to add it.
WHERE_PRESENT = (
    b"in-reply-to",
    b"references",
    b"auto-submitted",
    b"sender",
    b"content-transfer-encoding",
    b"list-unsubscribe",
    b"list-unsubscribe-post",
)

_LOOKED_FOR = (*((name, True) for name in ALWAYS), *((name, False) for name in WHERE_PRESENT))

_FOLD = b"\r\n "
_PADDING, _HASH = PKCS1v15(), SHA256()
_FEW = 40  # names in h= that are remembered as they are joined
_LINE = 72  # octets of base64 and of names on one line


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key for one domain, under the selector that leads to its public half in the DNS.

    ``domain`` is in lower-case A-labels (RFC 8616 section 6).
    """

    domain: str
    selector: str
    private: RSAPrivateKey | Ed25519PrivateKey
    opening: bytes = field(init=False, repr=False)  # the tags that are the same in each signature, from v= to s=

    def __post_init__(self) -> None:
        # Lines end between tags, so that no server on the way has a reason to fold the field anew.
        tags = f" v=1; a={self.algorithm}; c=relaxed/relaxed; d={self.domain};\r\n s={self.selector};"
        object.__setattr__(self, "opening", tags.encode("ascii"))

    @property
    def algorithm(self) -> str:
        """The ``a=`` tag."""
        return "rsa-sha256" if isinstance(self.private, RSAPrivateKey) else "ed25519-sha256"

    def sign(self, data: bytes) -> bytes:
        """Return the signature over ``data``."""
        if isinstance(self.private, RSAPrivateKey):
            return self.private.sign(data, _PADDING, _HASH)
        # RFC 8463 section 3: PureEdDSA over the hash, not over the data.
        return self.private.sign(hashlib.sha256(data).digest())


def signature_fields(
    keys: Sequence[SigningKey], header: Mapping[bytes, Sequence[bytes]], body_hash: bytes, at: datetime
) -> bytes:
    """Return one complete DKIM-Signature field for each key, to be put in front of the header.

    ``header`` is every field of the message: raw values by lower-case name, each name's in order. ``body_hash`` is what
    `relay.dkim.body.hash_body` returned, ``at`` an aware moment (``t=``, whole seconds). The same input gives the same
    octets.
    """
    names, covered = _covered(header)
    tags = b" t=%d;\r\n h=%s;\r\n bh=%s;\r\n b=" % (
        int(at.timestamp()),
        _few_names(names) if len(names) <= _FEW else _names(names),
        binascii.b2a_base64(body_hash, newline=False),
    )
    return b"".join([_field(key, tags, covered) for key in keys])


def relaxed(name: bytes, value: bytes) -> bytes:
    """Return a field in relaxed form with its line end (RFC 6376 section 3.4.2); ``value`` is raw, with its folds."""
    return name.lower() + b":" + squeezed(value.replace(b"\r\n", b"")).strip(b" ") + b"\r\n"


def _covered(header: Mapping[bytes, Sequence[bytes]]) -> tuple[tuple[bytes, ...], bytes]:
    """Return the names for ``h=`` and the fields that they stand for, the lowest of a name first, in relaxed form."""
    names: list[bytes] = []
    covered: list[bytes] = []
    for name, always in _LOOKED_FOR:
        found = header.get(name, ())
        if found or always:
            names += [name] * (len(found) + 1)
            covered += [relaxed(name, value) for value in reversed(found)]
    return tuple(names), b"".join(covered)


def _field(key: SigningKey, tags: bytes, covered: bytes) -> bytes:
    """Return the field of one key; ``tags`` are those behind its own, up to an empty ``b=``."""
    unsigned = key.opening + tags
    # Section 3.7: the field itself comes last, with an empty b= and without its line end.
    signed = covered + relaxed(b"DKIM-Signature", unsigned).removesuffix(b"\r\n")
    text = binascii.b2a_base64(key.sign(signed), newline=False)
    value = _FOLD.join([text[start : start + _LINE] for start in range(0, len(text), _LINE)])
    return b"DKIM-Signature:" + unsigned + value + b"\r\n"


def _names(names: Sequence[bytes]) -> bytes:
    """Join names with colons, a fold before each that would make its line too long."""
    text, width = names[0], len(names[0])
    for name in names[1:]:
        fits = width + 1 + len(name) <= _LINE
        text += (b":" if fits else b":" + _FOLD) + name
        width = width + 1 + len(name) if fits else len(name)
    return text


_few_names = lru_cache(maxsize=64)(_names)  # nearly all mail has one of a few sets of fields
