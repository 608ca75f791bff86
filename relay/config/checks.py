"""What cannot be right between sections: each check takes a draft and returns problems."""

from collections.abc import Callable, Iterator
from ipaddress import ip_address
from itertools import combinations
from urllib.parse import urlsplit

from relay.config.amounts import size_text
from relay.config.draft import Draft
from relay.config.model import KIB, MIB, REPLY_SHARE
from relay.config.next_hops import Route
from relay.config.positions import Key
from relay.config.problems import Problem, did_you_mean, dotted
from relay.config.values import Endpoint, is_loopback

DEMO_DOMAIN = "example.org"


def check_domains(draft: Draft) -> list[Problem]:
    """Keep the gateway's domain its own: the organisation's server answers for the others."""
    if not draft.organisation or not draft.gateway:
        return []
    own = draft.gateway.domain
    problems = []
    for index, inside in enumerate(draft.organisation.domains):
        if inside == own:
            sentence = f'gateway.domain "{own}" is one of organisation.domains'
            hint = f'give the gateway a sub-domain of its own, such as "letter.{own}"'
            problems.append(Problem(("gateway", "domain"), sentence, hint))
        elif inside.endswith(f".{own}"):
            sentence = f'organisation.domains has "{inside}", which belongs to gateway.domain "{own}"'
            hint = "addresses below the gateway's domain are its own; no staff can have mailboxes there"
            problems.append(Problem(("organisation", "domains", index), sentence, hint))
    return problems


def check_mailboxes(draft: Draft) -> list[Problem]:
    """Keep what reaches nobody else inside: it may be an answer to a sealed message."""
    if not draft.organisation or not draft.gateway or not draft.gateway.fallback_mailbox:
        return []
    mailbox = draft.gateway.fallback_mailbox
    if mailbox.rpartition("@")[2] in draft.organisation.domains:
        return []
    sentence = f'gateway.fallback_mailbox "{mailbox}" is not in organisation.domains'
    return [Problem(("gateway", "fallback_mailbox"), sentence, "name a mailbox of the staff")]


def check_listeners(draft: Draft) -> list[Problem]:
    """Refuse two front doors at one address."""
    problems = []
    for (first, one), (second, other) in combinations(_doors(draft), 2):
        if one.port == other.port and _same_host(one.host, other.host):
            sentence = f"{dotted(second)} listens on {other}, and so does {dotted(first)} ({one})"
            problems.append(Problem(second, sentence, "give it another port"))
    return problems


def check_tls_of_listeners(draft: Draft) -> list[Problem]:
    """Ask for a certificate with its key where there is TLS."""
    problems = []
    for name, listener in draft.listen.items():
        path = ("listen", name)
        missing = [file for file in ("certificate", "key") if getattr(listener, file) is None]
        if listener.tls != "none" and missing:
            sentence = f'{dotted(path)}.tls is "{listener.tls}" and there is no {" and no ".join(missing)}'
            problems.append(Problem((*path, "tls"), sentence, f'add {missing[0]} = "…" to this section'))
    return problems


def check_signing_in(draft: Draft) -> list[Problem]:
    """Refuse users and tenants that nobody could be: both need TLS; and tenants of other people's domains."""
    problems = []
    for name, listener in draft.listen.items():
        path: Key = ("listen", name)
        if listener.users and listener.tls == "none":
            sentence = f'{dotted(path)}.users can never sign in: {dotted(path)}.tls is "none"'
            problems.append(Problem((*path, "users"), sentence, 'passwords need TLS: write tls = "starttls"'))
        if listener.trust and listener.tls == "none":
            sentence = f'{dotted(path)}.trust needs the certificate of the client: {dotted(path)}.tls is "none"'
            problems.append(Problem((*path, "trust"), sentence, 'write tls = "starttls"'))
        inside = draft.organisation.domains if draft.organisation else None
        for index, trusted in enumerate(listener.trust):
            for place, domain in enumerate(trusted.domains):
                if inside is not None and domain not in inside:
                    where: Key = (*path, "trust", index, "domains", place)
                    sentence = f'{dotted(where)}: "{domain}" is not in organisation.domains'
                    problems.append(Problem(where, sentence, did_you_mean(domain, inside)))
    return problems


def check_routes(draft: Draft) -> list[Problem]:
    """Send mail off the machine under TLS only, and never to our own front door."""
    problems: list[Problem] = []
    doors = [(path, door) for path, door in _doors(draft) if path[0] == "listen"]
    for name, route in draft.route.items():
        problems += _way_out(name, route)
        for index, host in enumerate(route.hosts):
            path: Key = ("route", name, "hosts", index)
            if route.tls == "none" and not host.loopback:
                sentence = f'route.{name}.tls is "none" and {host} is not on this machine'
                hint = 'mail would cross the network in clear; write tls = "required"'
                problems.append(Problem(("route", name, "tls"), sentence, hint))
            for door, endpoint in doors:
                if host.port == endpoint.port and _leads_home(host, endpoint):
                    sentence = f"route.{name} leads to {host}, which is {dotted(door[:-1])} of this gateway"
                    problems.append(Problem(path, sentence, "mail would turn in circles; name the next hop"))
    return problems


def _way_out(name: str, route: Route) -> Iterator[Problem]:
    """Yield what is wrong where a route has no way out, or two, or one without any protection."""
    if route.mx and route.hosts:
        sentence = f"route.{name} has hosts, and mx = true"
        yield Problem(("route", name, "mx"), sentence, "name next hops, or let the DNS name them")
    if not route.mx and not route.hosts:
        hint = 'write hosts = ["mail.example.org:25"], or mx = true to ask the DNS for each domain'
        yield Problem(("route", name), f"route.{name} has no hosts", hint, at="key")
    if route.mx and route.tls == "none":
        sentence = f'route.{name}.tls is "none", and mx = true leads to servers everywhere'
        yield Problem(("route", name, "tls"), sentence, 'mail would cross the network in clear; write "opportunistic"')


def check_partners(draft: Draft) -> list[Problem]:
    """Refuse partners that are ourselves, and two that share a name or a domain: mail could take either way."""
    own = (draft.gateway.domain, *draft.organisation.domains) if draft.gateway and draft.organisation else ()
    doors = [(path, door) for path, door in _doors(draft) if path[0] == "listen"]
    problems = []
    names: dict[str, int] = {}
    domains: dict[str, int] = {}
    for index, partner in draft.partner.items():
        if names.setdefault(partner.name, index) != index:
            sentence = f'partner[{index}] has the name "{partner.name}" of partner[{names[partner.name]}]'
            problems.append(Problem(("partner", index, "name"), sentence, "give each partner a name of its own"))
        for number, domain in enumerate(partner.domains):
            path: Key = ("partner", index, "domains", number)
            if domain in own:
                sentence = f'partner[{index}] has the domain "{domain}", which is our own'
                problems.append(Problem(path, sentence, "name the domains of the partner"))
            elif domains.setdefault(domain, index) != index:
                sentence = f'partner[{index}] has the domain "{domain}" of partner[{domains[domain]}]'
                problems.append(Problem(path, sentence, "a domain belongs to one partner"))
        for number, host in enumerate(partner.hosts):
            for door, endpoint in doors:
                if host.port == endpoint.port and _leads_home(host, endpoint):
                    sentence = f"partner[{index}] leads to {host}, which is {dotted(door[:-1])} of this gateway"
                    path = ("partner", index, "hosts", number)
                    problems.append(Problem(path, sentence, "mail would turn in circles; name the partner's server"))
    return problems


def check_dkim(draft: Draft) -> list[Problem]:
    """Refuse keys that would sign nothing, and two under one name."""
    problems = []
    own = (draft.gateway.domain, *draft.organisation.domains) if draft.gateway and draft.organisation else None
    seen: dict[tuple[str, str], int] = {}
    for index, key in draft.dkim.items():
        if own is not None and key.domain not in own:
            sentence = f'dkim[{index}].domain "{key.domain}" is neither gateway.domain nor in organisation.domains'
            hint = did_you_mean(key.domain, own) or f"known: {', '.join(own)}"
            problems.append(Problem(("dkim", index, "domain"), sentence, hint))
        first = seen.setdefault((key.domain, key.selector), index)
        if first != index:
            sentence = f'dkim[{index}] has the domain and the selector "{key.selector}" of dkim[{first}]'
            problems.append(
                Problem(("dkim", index, "selector"), sentence, "publish each key under a selector of its own")
            )
    return problems


def check_reply_size(draft: Draft) -> list[Problem]:
    """Refuse answers that would be too large as mail. A size that nobody wrote gives way by itself."""
    if not draft.portal or not draft.limits or "reply_size" not in draft.portal.model_fields_set:
        return []
    largest, most = draft.limits.message_size, int(draft.limits.message_size * REPLY_SHARE)
    if draft.portal.reply_size <= most:
        return []
    sentence = (
        f"portal.reply_size is {size_text(draft.portal.reply_size)}, over 0.7 of limits.message_size "
        f"({size_text(largest)})"
    )
    hint = f"an answer grows on its way by mail; write at most {size_text(most // MIB * MIB or most // KIB * KIB)}"
    return [Problem(("portal", "reply_size"), sentence, hint)]


def check_demo(draft: Draft) -> list[Problem]:
    """Keep the demo to itself: its inbox shows mail to anybody on this machine."""
    if draft.demo is None:
        return []
    problems = []
    hint = "remove the section [demo] for a real organisation"
    if draft.organisation and draft.organisation.domains != (DEMO_DOMAIN,):
        sentence = f'[demo] is for the organisation "{DEMO_DOMAIN}" alone'
        problems.append(Problem(("organisation", "domains"), sentence, hint))
    hosts = [
        (("route", name, "hosts", index), host)
        for name, route in draft.route.items()
        for index, host in enumerate(route.hosts)
    ]
    for name, route in draft.route.items():
        if route.mx:
            sentence = f"[demo] stays on this machine, and route.{name} has mx = true"
            problems.append(Problem(("route", name, "mx"), sentence, hint))
    for path, endpoint in [*_doors(draft), *hosts]:
        if not endpoint.loopback:
            problems.append(Problem(path, f"[demo] stays on this machine, and {dotted(path)} is {endpoint}", hint))
    if draft.portal and not is_loopback(urlsplit(draft.portal.base_url).hostname or ""):
        sentence = f"[demo] stays on this machine, and portal.base_url is {draft.portal.base_url}"
        problems.append(Problem(("portal", "base_url"), sentence, hint))
    return problems


CHECKS: tuple[Callable[[Draft], list[Problem]], ...] = (
    check_domains,
    check_mailboxes,
    check_listeners,
    check_tls_of_listeners,
    check_signing_in,
    check_routes,
    check_partners,
    check_dkim,
    check_reply_size,
    check_demo,
)


def _doors(draft: Draft) -> Iterator[tuple[Key, Endpoint]]:
    for name, listener in draft.listen.items():
        yield ("listen", name, "address"), listener.address
    if draft.portal:
        yield ("portal", "listen"), draft.portal.listen
    if draft.demo:
        yield ("demo", "smtp"), draft.demo.smtp
        yield ("demo", "web"), draft.demo.web


def _same_host(one: str, other: str) -> bool:
    """Whether two sockets on these hosts would meet: equal, or one of them is every address."""
    return _host(one) == _host(other) or any(_everywhere(host) for host in (one, other))


def _leads_home(host: Endpoint, door: Endpoint) -> bool:
    return _host(host.host) == _host(door.host) or (_everywhere(door.host) and host.loopback)


def _host(host: str) -> str:
    return "127.0.0.1" if host.lower() == "localhost" else host.lower()


def _everywhere(host: str) -> bool:
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return False
