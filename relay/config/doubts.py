"""What is legal and probably not meant: ``letterlock check`` says it, nothing is refused for it."""

from collections.abc import Callable
from itertools import pairwise

from policies.model import Mode
from relay.config.amounts import DAY
from relay.config.draft import Draft
from relay.config.problems import Problem, dotted

_PASSES = "every message passes, except what cannot be inspected"


def doubt_domains(draft: Draft) -> list[Problem]:
    """Doubt a gateway domain that recipients cannot tie to the organisation, and domains named twice."""
    if not draft.organisation or not draft.gateway:
        return []
    doubts = []
    domains = draft.organisation.domains
    own = draft.gateway.domain
    if not any(own.endswith(f".{inside}") for inside in domains):
        sentence = f'gateway.domain "{own}" is no sub-domain of the organisation'
        doubts.append(Problem(("gateway", "domain"), sentence, "recipients may take the notices for phishing"))
    for index, inside in enumerate(domains):
        if inside in domains[:index]:
            doubts.append(Problem(("organisation", "domains", index), f'"{inside}" stands twice'))
    return doubts


def doubt_listeners(draft: Draft) -> list[Problem]:
    """Doubt front doors that show mail to the network, or that let in too many, or staff through none."""
    doubts = []
    # One door without trusted networks is the gateway's MX; when all are like that, nobody can send.
    if draft.listen and not any(one.trusted_networks or one.users or one.trust for one in draft.listen.values()):
        first = ("listen", next(iter(draft.listen)), "trusted_networks")
        doubts.append(
            Problem(first, "nobody can send through this gateway: no listener trusts a network or knows users")
        )
    for name, listener in draft.listen.items():
        path = ("listen", name)
        if listener.tls == "none" and not listener.address.loopback:
            sentence = f'{dotted(path)}.tls is "none" on {listener.address}'
            doubts.append(Problem((*path, "tls"), sentence, "mail crosses the network in clear"))
        if listener.tls == "none" and listener.certificate:
            sentence = f'{dotted(path)}.certificate is not used while tls is "none"'
            doubts.append(Problem((*path, "certificate"), sentence))
        networks = (*path, "trusted_networks")
        for index, network in enumerate(listener.trusted_networks):
            if network.is_global:
                sentence = f"{dotted(networks)}: {network} is on the public internet"
                hint = "whoever has an address there sends as the organisation"
                doubts.append(Problem((*networks, index), sentence, hint))
    return doubts


def doubt_partners(draft: Draft) -> list[Problem]:
    """Doubt a rule that counts on partners where there are none."""
    return [
        Problem(("rules", index, "partners"), f'rule "{rule.name}" counts on partners, and there is no [[partner]]')
        for index, rule in draft.rules.items()
        if rule.partners == "enough" and not draft.partner
    ]


def doubt_portal(draft: Draft) -> list[Problem]:
    """Doubt a portal that is reached without TLS in front, and subjects in clear."""
    if not draft.portal:
        return []
    doubts = []
    if not draft.portal.listen.loopback:
        sentence = f"portal.listen is {draft.portal.listen}, which speaks HTTP without TLS"
        named = any(not network.is_loopback for network in draft.portal.forwarded_from)
        hint = "let only your TLS proxy reach it" + ("" if named else ", and name it in portal.forwarded_from")
        doubts.append(Problem(("portal", "listen"), sentence, hint))
    if draft.portal.notice_subject == "original":
        sentence = 'portal.notice_subject is "original": subjects of sealed messages are mailed in clear'
        doubts.append(Problem(("portal", "notice_subject"), sentence))
    return doubts


def doubt_delivery(draft: Draft) -> list[Problem]:
    """Doubt impatience (RFC 5321 section 4.5.4.1 asks for four to five days) and pauses that shrink."""
    if not draft.whole:
        return []
    delivery, limits = draft.whole.delivery, draft.whole.limits
    doubts = []
    if delivery.give_up_after < DAY:
        sentence = "delivery.give_up_after is under a day: mail is given up where a server is down overnight"
        doubts.append(Problem(("delivery", "give_up_after"), sentence))
    if delivery.warn_after is not None and delivery.warn_after >= delivery.give_up_after:
        sentence = "delivery.warn_after is not before delivery.give_up_after: nobody is told that mail is late"
        doubts.append(Problem(("delivery", "warn_after"), sentence, 'write "never" where that is meant'))
    if not all(delivery.retry):
        sentence = "delivery.retry: without a pause a next hop that is down is tried again and again, without end"
        doubts.append(Problem(("delivery", "retry"), sentence))
    if any(later < earlier for earlier, later in pairwise(delivery.retry)):
        doubts.append(Problem(("delivery", "retry"), "delivery.retry: a pause is shorter than the one before it"))
    if limits.connections_per_client > limits.connections:
        sentence = "limits.connections_per_client is above limits.connections: one client can take them all"
        doubts.append(Problem(("limits", "connections_per_client"), sentence))
    return doubts


def doubt_rules(draft: Draft) -> list[Problem]:
    """Doubt a policy that does nothing."""
    if not draft.rules:
        return [Problem((), f"there are no rules: {_PASSES}", "docs/rules.md has examples", at="key")]
    if all(rule.mode is not Mode.LIVE for rule in draft.rules.values()):
        return [Problem(("rules", 0), f"no rule is live: {_PASSES}", at="key")]
    return []


def doubt_operation(draft: Draft) -> list[Problem]:
    """Doubt a gateway in earnest whose notices nobody can check."""
    if draft.demo or not draft.gateway or not draft.keys:
        return []
    doubts = []
    own = draft.gateway.domain
    if all(key.domain != own for key in draft.dkim.values()):
        sentence = (
            f'no [[dkim]] key is for gateway.domain "{own}": notices look less genuine, and may be taken for spam'
        )
        hint = f'"letterlock keys dkim {own} SELECTOR" makes one'
        doubts.append(Problem(("gateway", "domain"), sentence, hint))
    return doubts


DOUBTS: tuple[Callable[[Draft], list[Problem]], ...] = (
    doubt_domains,
    doubt_listeners,
    doubt_partners,
    doubt_portal,
    doubt_delivery,
    doubt_rules,
    doubt_operation,
)
