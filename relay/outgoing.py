"""What leaves, built from the configuration: letterhead and notices, signatures, routes, the queue's way in and out."""

from dataclasses import replace
from zoneinfo import ZoneInfo

from relay.config.model import Configuration
from relay.dkim.keys import open_signer
from relay.dns.destination import Directory
from relay.notices.compose import Notices
from relay.notices.letterhead import Letterhead
from relay.notices.replies import ReplyNotices
from relay.queue.backoff import Ladder, ladder
from relay.queue.dsn import Reporter
from relay.queue.exchangers import Exchangers
from relay.queue.lost_replies import LostReplies
from relay.queue.patience import Patience
from relay.queue.return_path import ReturnPaths
from relay.queue.routes import PARTNER, REPLIES, Route, Routes, TlsMode
from relay.queue.spooling import Spooler
from relay.queue.transport import Transport
from relay.store.writer import Store
from relay.vault.blobs import BlobStore
from relay.vault.keyring import Keyring


def letterhead_of(configuration: Configuration) -> Letterhead:
    """Return what every mail of this organisation has in common."""
    return Letterhead(
        organisation=configuration.organisation.name,
        contact=configuration.organisation.contact,
        domain=configuration.gateway.domain,
        base_url=configuration.portal.base_url,
        tags=configuration.organisation.languages,
        zone=ZoneInfo(configuration.organisation.time_zone),
    )


def notices_of(configuration: Configuration, letterhead: Letterhead) -> Notices:
    """Return the writer of pickup notices and codes."""
    return Notices(letterhead, original_subject=configuration.portal.notice_subject == "original")


def reporter_of(configuration: Configuration, letterhead: Letterhead) -> Reporter:
    """Return the writer of delivery reports, in the sender's language if the organisation has it, else in its first."""
    return Reporter(
        configuration.organisation.name,
        configuration.gateway.domain,
        configuration.gateway.host_name,
        letterhead.languages[letterhead.tag()],
        ZoneInfo(configuration.organisation.time_zone),
        letterhead.languages,
    )


def spooler_of(configuration: Configuration, store: Store, keyring: Keyring, blobs: BlobStore) -> Spooler:
    """Return the way into the queue, with the keys that sign what leaves; ConfigurationError for such a key."""
    return Spooler(
        store,
        keyring,
        blobs,
        inline_limit=configuration.storage.inline_limit,
        signer=open_signer(configuration.dkim),
        returns=ReturnPaths(keyring, configuration.gateway.domain),
    )


def lost_replies_of(  # noqa: PLR0917  # the services that it uses
    configuration: Configuration,
    letterhead: Letterhead,
    store: Store,
    keyring: Keyring,
    spooler: Spooler,
    routes: Routes,
) -> LostReplies:
    """Return what gives undeliverable answers to the organisation's own mailbox."""
    mailbox, domain = configuration.fallback_mailbox, configuration.gateway.domain
    return LostReplies(store, keyring, ReplyNotices(letterhead), spooler, routes, mailbox, domain)


def routes_of(configuration: Configuration) -> Routes:
    """Return the ways out: for staff, for everybody else, for what readers answer, and for each partner."""
    route = configuration.route
    named = {"inside": route.inside, "outside": route.outside, REPLIES: route.for_replies}
    routes = [Route(name, route.hosts, TlsMode(route.tls), mx=route.mx) for name, route in named.items()]
    routes += [
        Route(PARTNER + one.name, one.hosts, TlsMode.REQUIRED, one.certificate, one.authorities)
        for one in configuration.partner
    ]
    return Routes(
        routes,
        inside_domains=configuration.organisation.domains,
        partners={domain: PARTNER + name for domain, name in configuration.partner_names.items()},
    )


def transport_of(configuration: Configuration) -> Transport:
    """Return what talks to next hops."""
    return Transport(
        ehlo_name=configuration.gateway.host_name,
        connections=configuration.delivery.connections_per_host,
        patience=patience_of(configuration),
        exchangers=exchangers_of(configuration),
    )


def exchangers_of(configuration: Configuration) -> Exchangers:
    """Return the finder of mail exchangers, for routes by MX."""
    return Exchangers(Directory(configuration.gateway.host_name, server=configuration.delivery.resolver))


def ladder_of(configuration: Configuration) -> Ladder:
    """Return the pauses between attempts."""
    patience = configuration.delivery
    return ladder(patience.retry, patience.give_up_after, patience.warn_after)


def patience_of(configuration: Configuration) -> Patience:
    """Return the limits of time with next hops.

    One that could not be talked to is left alone for a while, but not past the shortest pause between attempts: an
    attempt whose time has come is a real one.
    """
    usual = Patience()
    shortest = min(configuration.delivery.retry).total_seconds()
    return replace(usual, avoid=min(usual.avoid, shortest))
