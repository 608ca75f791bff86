"""One mailbox as the SMTP envelope writes it: parsed strictly, once, and never with `email.utils`.

RFC 5321 section 4.1.2 (syntax) and 4.5.3.1 (lengths); RFC 6531 section 3.3 (internationalised addresses, only
where the client asked for SMTPUTF8); IDNA 2008 for domains.
"""

import ipaddress
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

import idna

MAX_LOCAL = 64  # octets, RFC 5321 section 4.5.3.1.1
MAX_DOMAIN = 255  # octets, section 4.5.3.1.2
MAX_MAILBOX = 254  # octets: a path is 256 with its angle brackets (section 4.5.3.1.3, erratum 1690)
MAX_LABEL = 63  # octets, RFC 1035 section 2.3.4

_ATEXT = r"A-Za-z0-9!#$%&'*+/=?^_`{|}~\-"
_BEYOND_ASCII = r"\u00a0-\U0010ffff"  # what else of it is refused, `_refuse_odd_characters` says
_DOT_STRING = re.compile(rf"[{_ATEXT}]+(?:\.[{_ATEXT}]+)*")
_DOT_STRING_UTF8 = re.compile(rf"[{_ATEXT}{_BEYOND_ASCII}]+(?:\.[{_ATEXT}{_BEYOND_ASCII}]+)*")
_QUOTED = re.compile(rf'"((?:[ !#-\[\]-~{_BEYOND_ASCII}]|\\[ -~])*)"')
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_LITERAL = re.compile(r"\[(?:(IPv6):)?([0-9A-Fa-f:.]+)\]", re.IGNORECASE)
# Invisible or text-turning characters could make one address look like another.
_REFUSED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zs", "Zl", "Zp", "Nd"})


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A parsed mailbox. ``str()`` is the addr-spec, ready for RCPT TO.

    ``local`` is in its shortest form (quoted only where RFC 5321 demands quotes; ``"ann"@`` and ``ann@`` are
    equal). ``domain`` is in lower case and in A-labels, or an address literal such as ``[192.0.2.1]``.
    """

    local: str
    domain: str

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"

    @property
    def folded(self) -> str:
        """The addr-spec without regard to case: by what people and history tell addresses apart."""
        return f"{self.local.casefold()}@{self.domain}"


@lru_cache(maxsize=4096)  # one message says the same addresses several times, and most have been said before
def parse_mailbox(text: str, *, smtputf8: bool = False) -> Mailbox:
    """Parse ``local@domain`` without angle brackets, source route or surrounding space.

    ``smtputf8`` allows characters beyond ASCII (RFC 6531); a domain in them is turned into A-labels. Raises
    ValueError with a sentence for everything that is not exactly one mailbox.
    """
    if len(text) > MAX_MAILBOX or len(text.encode("utf-8", "surrogatepass")) > MAX_MAILBOX:
        raise ValueError(f"the address is longer than {MAX_MAILBOX} octets")
    if not text.isascii():
        if not smtputf8:
            raise ValueError("the address holds characters beyond ASCII, and SMTPUTF8 was not asked for")
        _refuse_odd_characters(text)
    local, at, domain = text.rpartition("@")
    if not at or not local or not domain:
        raise ValueError("the address is not of the form local@domain")
    mailbox = Mailbox(_local(local, smtputf8=smtputf8), _domain(domain))
    if len(str(mailbox).encode()) > MAX_MAILBOX:
        raise ValueError(f"the address is longer than {MAX_MAILBOX} octets")
    return mailbox


def canonical_address(address: str) -> str:
    """Return the spelling under which an address is hashed: letter case and IDN forms of the domain do not count.

    RFC 5321 lets a server tell ``Jane`` from ``jane``; none that people use does, and a familiar person must not
    look like a stranger for a capital letter.
    """
    local, _, domain = address.strip().rpartition("@")
    return f"{local.casefold()}@{_canonical_domain(domain)}"


@lru_cache(maxsize=4096)  # IDNA takes longer than all the rest of a hash, and domains repeat
def _canonical_domain(domain: str) -> str:
    try:
        domain = idna.encode(domain, uts46=True).decode("ascii")
    except idna.IDNAError:
        domain = domain.lower()
    return domain.lower().rstrip(".")


def _refuse_odd_characters(text: str) -> None:
    for character in text:
        if not character.isascii() and unicodedata.category(character) in _REFUSED_CATEGORIES:
            raise ValueError(f"the address holds the character U+{ord(character):04X}")
    if not unicodedata.is_normalized("NFC", text):
        raise ValueError("the address is not in Unicode normalisation form C")


def _local(text: str, *, smtputf8: bool) -> str:
    if len(text.encode()) > MAX_LOCAL:
        raise ValueError(f"the part before the @ is longer than {MAX_LOCAL} octets")
    dot_string = _DOT_STRING_UTF8 if smtputf8 else _DOT_STRING
    if dot_string.fullmatch(text):
        return text
    quoted = _QUOTED.fullmatch(text)
    if quoted is None or not quoted[1]:
        raise ValueError("the part before the @ is neither a dot-string nor a quoted string")
    content = re.sub(r"\\(.)", r"\1", quoted[1])
    if dot_string.fullmatch(content):
        return content
    return '"' + re.sub(r'(["\\])', r"\\\1", content) + '"'


def _domain(text: str) -> str:
    if text.startswith("["):
        return _literal(text)
    name = text
    if not name.isascii():
        try:
            name = idna.encode(name, uts46=True, std3_rules=True).decode("ascii")
        except idna.IDNAError as error:
            raise ValueError("the domain is not a valid internationalised name") from error
    name = name.lower()
    if len(name) > MAX_DOMAIN:
        raise ValueError(f"the domain is longer than {MAX_DOMAIN} octets")
    labels = name.split(".")
    if not all(len(label) <= MAX_LABEL and _LABEL.fullmatch(label) for label in labels):
        raise ValueError("the domain is not a valid host name")
    if labels[-1].isdigit():
        raise ValueError("the domain is a number; an address literal stands in square brackets")
    return name


def _literal(text: str) -> str:
    match = _LITERAL.fullmatch(text)
    if match is None:
        raise ValueError("the address literal is of no known kind")
    try:
        if match[1]:
            return f"[IPv6:{ipaddress.IPv6Address(match[2])}]"
        return f"[{ipaddress.IPv4Address(match[2])}]"
    except ValueError as error:
        raise ValueError("the address literal holds no valid address") from error
