"""All that `letterlock check --dns` looks up, in the order in which a mail meets it."""

from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from relay.config.model import Configuration
from relay.config.values import Endpoint, is_loopback
from relay.dkim.signature import SigningKey
from relay.dns.dkim import inspect_dkim, no_key
from relay.dns.dmarc import inspect_dmarc
from relay.dns.finding import Finding
from relay.dns.lookup import Lookup
from relay.dns.spf import inspect_spf, inspect_staff_spf
from relay.dns.ways_in import inspect_exchangers, inspect_host


def inspect_dns(configuration: Configuration, keys: Sequence[SigningKey], lookup: Lookup) -> Iterator[Finding]:
    """Yield one finding after another; blocking, each may take a few seconds where servers do not answer.

    ``keys`` are those of the ``[[dkim]]`` tables.
    """
    gateway = configuration.gateway
    yield inspect_exchangers(lookup, gateway.domain, gateway.host_name)
    yield inspect_host(
        lookup, gateway.host_name, "by which the gateway greets other servers (RFC 5321 section 4.1.1.1)"
    )
    portal = urlsplit(configuration.portal.base_url).hostname or ""
    if portal != gateway.host_name and not is_loopback(portal):
        yield inspect_host(lookup, portal, "in every pickup link")
    outside = configuration.route.outside
    senders = (Endpoint(host=gateway.host_name, port=25),) if outside.mx else outside.hosts
    yield inspect_spf(lookup, gateway.domain, senders)
    if outside.mx:
        for domain in configuration.organisation.domains:
            yield inspect_staff_spf(lookup, domain, gateway.host_name)
    if all(key.domain != gateway.domain for key in keys):
        yield no_key(gateway.domain)
    for key in keys:
        yield inspect_dkim(lookup, key)
    yield inspect_dmarc(lookup, gateway.domain)
