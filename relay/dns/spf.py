"""SPF of the gateway's domain, and of staff's where their mail leaves from here (RFC 7208): who may send in its name.

The hosts that really send are those behind ``[route.outside]``, and which addresses a smarthost sends from cannot be
known here; so the record is read for what is certainly wrong, and a record for the next hops is proposed.
"""

from collections.abc import Sequence
from ipaddress import ip_address, ip_network

from relay.config.values import Endpoint
from relay.dns.finding import Finding, State, unknown
from relay.dns.lookup import Lookup

_VERSION = "v=spf1"
_MECHANISMS = frozenset({"all", "include", "a", "mx", "ptr", "ip4", "ip6", "exists"})
_QUALIFIERS = "+-~?"


def inspect_spf(lookup: Lookup, domain: str, senders: Sequence[Endpoint]) -> Finding:
    """Judge the SPF record of ``domain``; ``senders`` are the next hops that hand our mail to the world."""
    found = lookup.texts(domain)
    if found.problem:
        return unknown("SPF", domain, found.problem)
    publish = (f'{domain}. IN TXT "{proposed(senders)}"',)
    records = [text for text in found.records if text.lower().split(" ", 1)[0] == _VERSION]
    if not records:
        sentence = "is missing: bounce addresses of the gateway look forged to those who check"
        return Finding("SPF", domain, State.MISSING, sentence, publish)
    if len(records) > 1:
        return Finding("SPF", domain, State.WRONG, "stands twice, which makes both invalid", publish)
    state, sentence = _judged(records[0])
    return Finding("SPF", domain, state, sentence, () if state is State.RIGHT else publish)


def inspect_staff_spf(lookup: Lookup, domain: str, host_name: str) -> Finding:
    """Judge whether the SPF record of a domain of the organisation names this gateway, ``host_name``.

    That matters where the gateway itself hands staff's mail to the world. What a record includes is not followed:
    others publish it, and it seldom holds a gateway of one's own.
    """
    found = lookup.texts(domain)
    if found.problem:
        return unknown("SPF", domain, found.problem)
    records = [text for text in found.records if text.lower().split(" ", 1)[0] == _VERSION]
    if len(records) > 1:
        return Finding("SPF", domain, State.WRONG, "stands twice, which makes both invalid")
    record = records[0] if records else f"{_VERSION} mx ~all"
    addresses = lookup.addresses(host_name).records
    if records and any(_names(term, host_name, addresses) for term in record.lower().split()[1:]):
        return Finding("SPF", domain, State.RIGHT, f"names {host_name}, from which the mail of staff leaves")
    lacks = f"does not name {host_name} itself" if records else f"is missing, and does not name {host_name}"
    sentence = f"{lacks}: with mx = true the mail of staff leaves from there, and others may refuse it or call it spam"
    publish = f'{domain}. IN TXT "{_VERSION} a:{host_name}{record[len(_VERSION) :]}"'
    return Finding("SPF", domain, State.DOUBTFUL, sentence, (publish,))


def _names(term: str, host_name: str, addresses: Sequence[str]) -> bool:
    """Whether a term lets a host send, by its name or by one of its addresses."""
    name, _, value = term.removeprefix("+").partition(":")
    if name == "a":
        return value == host_name.lower()
    try:
        return name in {"ip4", "ip6"} and any(ip_address(one) in ip_network(value, strict=False) for one in addresses)
    except ValueError:
        return False


def proposed(senders: Sequence[Endpoint]) -> str:
    """Return a record that lets this gateway's exchangers and these hosts send, and nobody else."""
    return " ".join(
        [_VERSION, "mx", *dict.fromkeys(_mechanism(one.host) for one in senders if not one.loopback), "-all"]
    )


def _mechanism(host: str) -> str:
    try:
        address = ip_address(host)
    except ValueError:
        return f"a:{host}"
    return f"ip{address.version}:{address}"


def _judged(record: str) -> tuple[State, str]:
    terms = record.lower().split()[1:]
    unheard = [term for term in terms if not _known(term)]
    if unheard:
        return State.WRONG, f"has a term that nobody understands ({unheard[0][:60]}), which makes all of it invalid"
    allowing = [term for term in terms if not term.startswith(("-", "~", "?")) and "=" not in term]
    redirected = any(term.startswith("redirect=") for term in terms)
    if any(term.lstrip("+") == "all" for term in allowing):
        return State.WRONG, "lets everybody send in the gateway's name (+all)"
    if not allowing and not redirected:
        return State.WRONG, "lets nobody send, this gateway neither"
    if not redirected and not any(term.lstrip(_QUALIFIERS) == "all" for term in terms):
        return State.DOUBTFUL, f"says nothing of everybody else: it should end in -all ({record})"
    return State.RIGHT, f"{record} (see that the hosts of route.outside send from an address in it)"


def _known(term: str) -> bool:
    """Whether a term is a mechanism or a modifier (section 4.6.1); unknown modifiers are ignored by everybody."""
    bare = term[1:] if term[0] in _QUALIFIERS else term
    name = bare.partition(":")[0].partition("/")[0]
    return name in _MECHANISMS or ("=" in bare and bare.partition("=")[0].replace("-", "").replace("_", "").isalnum())
