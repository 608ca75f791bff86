"""How an address with a secret may be spelled in a text, and how the real one is spelled in its place.

As it is; with ``@`` and dots percent-encoded, once or several times, as in ``mailto:`` links and the link rewriters
around them (RFC 3986 section 2.1); or with HTML references for them. Letter case does not count. The part before the
``@`` is found without its domain too: it holds the whole secret.
"""

import html
import re
from collections.abc import Callable
from urllib.parse import quote

from policies.prefilter import Expression, Prefilter
from relay.message.secret_address import SecretAddress, read_secret_address

# Returns the real address in place of one with a secret, None where none is known.
Real = Callable[[SecretAddress], str | None]
Change = tuple[int, int, bytes]  # from, to (exclusive), and what is to stand there

UNKNOWN = "undisclosed"  # the part before the @ in place of somebody whom we do not know (any more)
MOST_ADDRESSES = 1_000  # that are looked up for one message; the rest are nobody's, and whoever wrote them knows that
_DOT = r"(?:\.|%(?:25)*+2e|&#0*+46;|&#x0*+2e;|&period;)"
_AT = r"(?:@|%(?:25)*+40|&#0*+64;|&#x0*+40;|&commat;)"
# What nearly all text does not hold; in Hyperscan's syntax, which takes time linear in the text.
LIKELY = r"[rcb](?:\.|%(?:25)*2e|&#0*46;|&#x0*2e;|&period;)[a-z2-7]{26}"
_PERCENT = re.compile(r"%((?:25)*+)(?:40|2e)", re.IGNORECASE)


_LIKELY = Prefilter([Expression(LIKELY, ignore_case=True)])


class Spellings:
    """The addresses with secrets at ``domain`` as a text may hold them; ``real`` says what stands in their place."""

    def __init__(self, domain: str, real: Real) -> None:
        self._domain = domain
        self._real = real
        self._known: dict[str, str | None] = {}  # by local part: nobody can make us look up one twice
        own = _DOT.join(re.escape(label) for label in domain.split("."))
        # Whatever follows: the secret is complete, and nobody else's identifier is one of ours.
        pattern = rf"([rcb]){_DOT}([a-z2-7]{{26}}){_DOT}([a-z2-7]{{32}})({_AT}{own})?"
        self._text = re.compile(pattern, re.IGNORECASE | re.ASCII)
        self._octets = re.compile(pattern.encode("ascii"), re.IGNORECASE)

    def find(self, data: bytes, *, markup: bool = False) -> list[Change]:
        """Return what to change in octets of any charset that ASCII is a part of; ``markup``: they are HTML."""
        found: list[Change] = []
        if not _LIKELY.occurring(data):
            return found
        for match in self._octets.finditer(data):
            kind, identifier, secret, rest = (group.decode("ascii") if group else "" for group in match.groups())
            instead = self._instead(match[0].decode("ascii"), f"{kind}.{identifier}.{secret}", rest, markup=markup)
            if instead is not None:
                found.append((match.start(), match.end(), instead.encode()))
        return found

    def replace(self, text: str, *, markup: bool = False) -> str:
        """Return decoded text with the real addresses."""

        def real(match: re.Match[str]) -> str:
            local = f"{match[1]}.{match[2]}.{match[3]}"
            return self._instead(match[0], local, match[4] or "", markup=markup) or match[0]

        return self._text.sub(real, text)

    def _instead(self, spelled: str, local: str, rest: str, *, markup: bool) -> str | None:
        """Return what stands for one find; None leaves it as it is."""
        address = self._address(local.lower())
        if address is None:
            return None
        if not address:
            if not rest:
                return None  # without a domain, and not ours: another house has such addresses too
            address = f"{UNKNOWN}@{self._domain}"
        return _alike(address, spelled, markup=markup)

    def _address(self, local: str) -> str | None:
        """Return whose address a local part is: empty for nobody's, None where no identifier of ours has its bits."""
        if local not in self._known:
            if len(self._known) >= MOST_ADDRESSES:
                return ""
            found = read_secret_address(f"{local}@{self._domain}", self._domain)
            self._known[local] = None if found is None else self._real(found) or ""
        return self._known[local]


def splice(data: bytes, changes: list[Change]) -> bytes:
    """Return ``data`` with ``changes`` made, which are in order and do not overlap; the same object without any."""
    if not changes:
        return data
    pieces, position = [], 0
    for start, end, instead in changes:
        pieces += [data[position:start], instead]
        position = end
    return b"".join([*pieces, data[position:]])


def _alike(address: str, spelled: str, *, markup: bool) -> str:
    """Return ``address`` in the spelling of what it replaces: percent-encoded as often, safe in HTML."""
    if percent := _PERCENT.search(spelled):
        for _ in range(1 + len(percent[1]) // 2):
            address = quote(address, safe="")
        return address
    return html.escape(address) if markup or "&" in spelled else address
