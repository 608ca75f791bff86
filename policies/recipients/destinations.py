"""Where a recipient belongs: inside, outside, a named group, or one of some domains."""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import idna

from policies.model import Recipient

MAILING_LIST = "mailing-list"  # the detector, and the built-in rule
_KEYWORDS = ("inside", "outside", "any")
_DOMAIN = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")


@dataclass(frozen=True, slots=True)
class Places:
    """Domains, parents of sub-domains (``*.example``) and single addresses, all in lower case, A-labels."""

    domains: frozenset[str] = frozenset()
    parents: tuple[str, ...] = ()
    addresses: frozenset[str] = frozenset()

    def include(self, recipient: Recipient) -> bool:
        """Tell whether the recipient belongs to one of them; ``*.example`` does not include example itself."""
        domain = recipient.domain.lower()
        return domain in self.domains or domain.endswith(self.parents) or recipient.address.lower() in self.addresses

    def overlap(self, other: "Places") -> bool:
        """Tell whether some recipient could belong to both."""
        mine, theirs = (
            {*places.domains, *(address.rpartition("@")[2] for address in places.addresses)} for places in (self, other)
        )
        return (
            bool(mine & theirs)
            or any(domain.endswith(other.parents) for domain in mine)
            or any(domain.endswith(self.parents) for domain in theirs)
            or any(one.endswith(two) or two.endswith(one) for one in self.parents for two in other.parents)
        )


NOWHERE = Places()


@dataclass(frozen=True, slots=True)
class Destination:
    """Whom a rule is about. ``inside`` None means both sides; ``places`` None means every domain."""

    inside: bool | None = None
    places: Places | None = None

    def includes(self, recipient: Recipient) -> bool:
        """Tell whether the rule is about this recipient."""
        return (self.inside is None or recipient.inside == self.inside) and (
            self.places is None or self.places.include(recipient)
        )


def read_places(written: Iterable[str], *, addresses: bool = False) -> Places:
    """Read domains (and addresses, where allowed); ValueError with a sentence for what is neither."""
    domains: set[str] = set()
    parents: list[str] = []
    people: set[str] = set()
    for entry in written:
        name = entry.strip().casefold()
        if "@" in name:
            if not addresses:
                raise ValueError(f'"{entry}" is an address: write the domain alone, without "@"')
            local, _, domain = name.rpartition("@")
            if not local:
                raise ValueError(f'"{entry}" has nothing before "@": write the domain alone')
            people.add(f"{local}@{_domain(domain)}")
        elif name.startswith("*."):
            parents.append("." + _domain(name[2:]))
        else:
            domains.add(_domain(name))
    if not (domains or parents or people):
        raise ValueError("the list is empty, so the rule could never do anything")
    return Places(frozenset(domains), tuple(parents), frozenset(people))


def read_destination(to: str, groups: Mapping[str, tuple[str, ...]]) -> Destination:
    """Read the ``to`` of a rule; ValueError with a sentence for an unknown group or a misspelt word."""
    word = to.strip()
    if word in _KEYWORDS:
        return Destination(inside=None if word == "any" else word == "inside")
    if word.startswith("group:"):
        name = word.removeprefix("group:").strip()
        if name not in groups:
            close = difflib.get_close_matches(name, groups, 1)
            raise ValueError(f'there is no group "{name}"' + (f'; did you mean "{close[0]}"?' if close else ""))
        if not groups[name]:
            raise ValueError(f'the group "{name}" is empty, so the rule could never do anything')
        return Destination(places=read_places(groups[name], addresses=True))
    names = [part.strip() for part in word.split(",")]
    for name in names:
        if "." not in name:
            close = difflib.get_close_matches(name, (*_KEYWORDS, *(f"group:{group}" for group in groups)), 1)
            hint = f'; did you mean "{close[0]}"?' if close else ""
            raise ValueError(f'"{name}" is neither inside, outside, any, group:NAME nor a domain{hint}')
    return Destination(places=read_places(names))


def _domain(name: str) -> str:
    domain = name.rstrip(".")
    if not domain.isascii():
        try:
            domain = idna.encode(domain, uts46=True).decode("ascii")
        except idna.IDNAError as problem:
            raise ValueError(f'"{name}" is not a domain: {problem}') from problem
    if _DOMAIN.fullmatch(domain) is None:
        raise ValueError(f'"{name}" is not a domain')
    return domain
