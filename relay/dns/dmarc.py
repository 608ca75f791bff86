"""DMARC of the gateway's domain (RFC 7489): what others do with mail that only pretends to be ours."""

from relay.dns.dkim import tags
from relay.dns.finding import Finding, State, unknown
from relay.dns.lookup import Lookup

_POLICIES = ("none", "quarantine", "reject")
_VERSION = "v=dmarc1"


def inspect_dmarc(lookup: Lookup, domain: str) -> Finding:
    """Judge the policy that holds for ``domain``: its own, or what a domain above it says of sub-domains (sp=)."""
    publish = (f'_dmarc.{domain}. IN TXT "v=DMARC1; p=reject"',)
    for above in _upwards(domain):
        name = f"_dmarc.{above}"
        found = lookup.texts(name)
        if found.problem:
            return unknown("DMARC", name, found.problem)
        records = [text for text in found.records if text.lower().replace(" ", "").split(";", 1)[0] == _VERSION]
        if len(records) > 1:
            return Finding("DMARC", name, State.WRONG, "stands twice, which makes both invalid", publish)
        if records:
            return _judged(name, records[0], publish, inherited=above != domain)
    sentence = "is missing: anybody may send mail that looks like a notice of the organisation"
    return Finding("DMARC", f"_dmarc.{domain}", State.MISSING, sentence, publish)


def _judged(name: str, record: str, publish: tuple[str, ...], *, inherited: bool) -> Finding:
    found = {tag.lower(): value.lower() for tag, value in tags(record).items()}
    policy = found.get("sp", found.get("p", "")) if inherited else found.get("p", "")
    where = ", which holds for sub-domains too" if inherited else ""
    if policy not in _POLICIES:
        return Finding("DMARC", name, State.WRONG, f"has no policy that others understand ({record[:100]})", publish)
    if policy == "none":
        sentence = f"asks others to let forged mail pass (p=none){where}"
        return Finding("DMARC", name, State.DOUBTFUL, sentence, publish)
    return Finding("DMARC", name, State.RIGHT, f"asks others to {_ASKED[policy]} forged mail{where}")


_ASKED = {"quarantine": "put aside", "reject": "refuse"}


def _upwards(domain: str) -> list[str]:
    """Return the domain and those above it, without the top-level domain."""
    labels = domain.split(".")
    return [".".join(labels[start:]) for start in range(max(1, len(labels) - 1))]
