"""Whether the published DKIM keys are the ones that we sign with (RFC 6376 section 3.6, RFC 8463)."""

from relay.dkim.record import record_name, record_value, zone_line
from relay.dkim.signature import SigningKey
from relay.dns.finding import Finding, State, unknown
from relay.dns.lookup import Lookup


def inspect_dkim(lookup: Lookup, key: SigningKey) -> Finding:
    """Judge the record of one key."""
    name = record_name(key)
    found = lookup.texts(name)
    if found.problem:
        return unknown("DKIM", name, found.problem)
    publish = (zone_line(key),)
    if not found.records:
        return Finding("DKIM", name, State.MISSING, "is missing: every signature made with this key fails", publish)
    if len(found.records) > 1:
        return Finding("DKIM", name, State.WRONG, "stands twice: which one counts is left to chance", publish)
    published, own = tags(found.records[0]), tags(record_value(key.private))
    difference = _difference(published, own)
    if difference:
        return Finding("DKIM", name, State.WRONG, difference, publish)
    if "y" in published.get("t", "").split(":"):
        return Finding("DKIM", name, State.DOUBTFUL, "says that signing is only tested (t=y): take that out", publish)
    return Finding("DKIM", name, State.RIGHT, f"holds the key that signs ({own['k']})")


def _difference(published: dict[str, str], own: dict[str, str]) -> str:
    """Return a clause for a record with which our signatures fail, else nothing."""
    if published.get("v", "DKIM1") != "DKIM1" or published.get("k", "rsa") != own["k"]:
        return f"is no record for an {own['k']} key"
    if not published.get("p"):
        return "says that the key was revoked (p= is empty)"
    return "" if published["p"] == own["p"] else "holds another key than the one that signs"


def no_key(domain: str) -> Finding:
    """Return the finding for a gateway whose mail leaves unsigned."""
    sentence = (
        f'there is no [[dkim]] key for {domain}: "letterlock keys dkim {domain} SELECTOR" makes one and says what to '
        "publish"
    )
    return Finding("DKIM", domain, State.MISSING, sentence)


def tags(record: str) -> dict[str, str]:
    """Return a tag=value list (section 3.2) without any space in its values; of a tag that stands twice, the first."""
    found: dict[str, str] = {}
    for part in record.split(";"):
        name, equals, value = part.partition("=")
        if equals:
            found.setdefault(name.strip(), "".join(value.split()))
    return found
