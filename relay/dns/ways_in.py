"""How mail for the gateway's own addresses finds it: MX, or the bare address (RFC 5321 section 5.1), and host names."""

from relay.dns.finding import Finding, State, unknown
from relay.dns.lookup import Lookup


def inspect_exchangers(lookup: Lookup, domain: str, host_name: str) -> Finding:
    """Judge the MX records of the gateway's domain.

    They may lead to ``host_name``, which is this gateway, or to a server of the organisation that passes mail for
    ``domain`` on; the second cannot be seen from here and is said.
    """
    found = lookup.exchangers(domain)
    publish = (f"{domain}. IN MX 10 {host_name}.",)
    if found.problem:
        return unknown("MX", domain, found.problem)
    if not found.records:
        return _without(lookup, domain, publish)
    if any(not one.host for one in found.records):
        sentence = "says that no mail is taken (null MX): answers and bounces would never reach the gateway"
        return Finding("MX", domain, State.WRONG, sentence, publish)
    for one in found.records:
        state, clause = _exchanger(lookup, one.host)
        if state is not State.RIGHT:
            return Finding("MX", domain, state, f"leads to {one.host}, which {clause}", publish)
    hosts = [one.host for one in found.records]
    if host_name in hosts:
        return Finding("MX", domain, State.RIGHT, f"leads to {', '.join(hosts)}")
    sentence = f"leads to {', '.join(hosts)}: there, mail for {domain} must be passed on to {host_name}"
    return Finding("MX", domain, State.RIGHT, sentence)


def inspect_host(lookup: Lookup, host: str, purpose: str) -> Finding:
    """Judge whether a host name of ours has an address. ``purpose`` completes "is the name …"."""
    found = lookup.addresses(host)
    if found.problem:
        return unknown("A/AAAA", host, found.problem)
    if found.records:
        return Finding("A/AAAA", host, State.RIGHT, f"is {', '.join(found.records)}")
    publish = (f"{host}. IN A <IPv4 address>", f"{host}. IN AAAA <IPv6 address>")
    return Finding("A/AAAA", host, State.MISSING, f"has no address, and is the name {purpose}", publish)


def _without(lookup: Lookup, domain: str, publish: tuple[str, ...]) -> Finding:
    """Judge a domain without MX: its own address is where mail goes, if it has one."""
    addresses = lookup.addresses(domain)
    if addresses.problem:
        return unknown("MX", domain, addresses.problem)
    if addresses.records:
        sentence = f"is missing; mail goes to {', '.join(addresses.records)}, the address of the domain itself"
        return Finding("MX", domain, State.DOUBTFUL, sentence, publish)
    sentence = "is missing: answers, commands and bounces cannot reach the gateway"
    return Finding("MX", domain, State.MISSING, sentence, publish)


def _exchanger(lookup: Lookup, host: str) -> tuple[State, str]:
    """Return whether mail can be sent to an exchanger, and a clause where not."""
    if lookup.alias(host).records:
        return State.WRONG, "is an alias (CNAME): RFC 2181 section 10.3 forbids that, and some servers do not follow it"
    found = lookup.addresses(host)
    if found.problem:
        return State.UNKNOWN, f"could not be looked up: {found.problem}"
    return (State.RIGHT, "") if found.records else (State.WRONG, "has no address")
