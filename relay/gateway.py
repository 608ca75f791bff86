"""The composition root: opens every service of one relay process from the configuration.

Nobody below the edges takes a `Gateway`: functions take the two or three services that they use.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from policies.ruleset import Ruleset, compile_rules
from relay.config.model import Configuration, Listener
from relay.config.users import User, read_users
from relay.config.wordlists import read_lists
from relay.conversation.bounces import Bounces
from relay.conversation.control.answers import Answers
from relay.conversation.control.desk import Controls
from relay.conversation.control.orders import Bounds
from relay.conversation.control.permission import Permission
from relay.conversation.furnishing import Workroom
from relay.conversation.holding import Holding
from relay.conversation.pickups import Pickups
from relay.conversation.postmaster import Postmaster
from relay.conversation.real_addresses import RealAddresses
from relay.conversation.reception import Reception
from relay.conversation.release import Release
from relay.conversation.replies import ReturnedReplies
from relay.conversation.senders import Delegates
from relay.dkim.keys import open_signer
from relay.errors import ConfigurationError
from relay.grouping import Grouping
from relay.intake import Intake
from relay.judging import Judge, history_of
from relay.mailings import Mailings
from relay.message.extraction import Extractor
from relay.message.secret_address import AddressKind
from relay.notices.compose import Notices
from relay.notices.controls import ControlNotices
from relay.notices.holds import HoldNotices
from relay.notices.letterhead import Letterhead
from relay.notices.receipts import ReceiptNotices
from relay.planning import Planner
from relay.queue.backoff import Ladder, ladder
from relay.queue.delivery import Delivery
from relay.queue.dsn import Reporter
from relay.queue.errands import Clerk
from relay.queue.reports import Reports
from relay.queue.requests import RequestKind
from relay.queue.return_path import ReturnPaths
from relay.queue.routes import PARTNER, REPLIES, Route, Routes, TlsMode
from relay.queue.spooling import Spooler
from relay.queue.transport import Transport
from relay.receipts import Receipts
from relay.recognition import Recognition
from relay.smtp import access
from relay.smtp.certificates import Authority, TlsFiles
from relay.smtp.door import Door
from relay.smtp.listener import Listener as SmtpListener
from relay.smtp.own_addresses import OwnAddresses
from relay.smtp.signing_in import FAILURES, SignIns
from relay.smtp.tenants import Tenant
from relay.store.audit import Audit
from relay.store.schema import migrate
from relay.store.slot import Slot, holder_is_gone
from relay.store.writer import Store, open_store
from relay.vault.blobs import BlobStore, FileBlobs
from relay.vault.correspondence import Correspondence
from relay.vault.keyring import Keyring
from relay.vault.vault import Vault

EXTRACTORS = 1  # confined helpers of one relay process; there are as many processes as workers


@dataclass(frozen=True, slots=True)
class Lasting:
    """What a relay process opens once and keeps, whatever its configuration says later."""

    keyring: Keyring
    slot: Slot
    store: Store
    blobs: FileBlobs
    audit: Audit
    vault: Vault
    extractor: Extractor
    owner: bytes


@dataclass(frozen=True, slots=True)
class Gateway(Lasting):
    """One relay process with its services opened. `relay.worker` runs and closes them.

    ``delivery`` and ``listeners`` last too: they work as ``routes``, ``reports`` and ``doors`` (by name) say from
    `take_over` on.
    """

    configuration: Configuration
    routes: Routes
    reports: Reports
    notices: Notices
    receipts: Receipts
    holding: Holding
    clerks: Mapping[RequestKind, Clerk]
    spooler: Spooler
    delivery: Delivery
    intake: Intake
    doors: Mapping[str, Door]
    listeners: tuple[SmtpListener, ...]

    def take_over(self) -> None:
        """Let what runs already work under this configuration. Never fails; on the event loop of the process."""
        self.delivery.renew(
            routes=self.routes,
            ladder=_ladder(self.configuration),
            reports=self.reports,
            ehlo_name=self.configuration.gateway.host_name,
            couriers=self.configuration.delivery.connections_per_host,
        )
        for listener in self.listeners:
            listener.door.renew(self.doors[listener.door.name])


def prepare(configuration: Configuration) -> None:
    """Bring the database to this version's schema and see that the keys can be read.

    StoreError when the database is newer than this version or does not answer, KeyringError for the keys,
    ConfigurationError for a DKIM key.
    """
    Keyring.open(configuration.keys.folder, role="relay")
    open_signer(configuration.dkim)
    migrate(configuration.storage.database, create=False)


def compile_policy(configuration: Configuration) -> Ruleset:
    """Return the compiled rules of a configuration that was loaded without errors."""
    return compile_rules(
        configuration.rules,
        lists=read_lists(configuration),
        groups=configuration.groups,
        mailing_lists=configuration.organisation.mailing_lists,
    )


def open_gateway(configuration: Configuration, number: int) -> Gateway:
    """Open the services of relay process ``number`` (from 0).

    Raises KeyringError, StoreError, ConfigurationError for a DKIM key, or OSError for a certificate that cannot be
    read; nothing listens yet.
    """
    keyring = Keyring.open(configuration.keys.folder, role="relay")
    name = configuration.gateway.process_name("relay", number)
    owner = keyring.text_hash("lease owner", name)
    slot = Slot(configuration.storage.database, name, mark=owner)
    store = open_store(configuration.storage.database)
    blobs = FileBlobs(configuration.storage.blobs)
    lasting = Lasting(
        keyring,
        slot,
        store,
        blobs,
        Audit(keyring, writer=name),
        Vault(keyring, blobs, store, inline_limit=configuration.storage.inline_limit),
        Extractor(EXTRACTORS),
        owner,
    )
    return _furnish(configuration, lasting, None)


def refurnish(running: Gateway, configuration: Configuration) -> Gateway:
    """Build what another configuration asks for around what lasts; nothing changes until its `Gateway.take_over`.

    Raises what `open_gateway` raises, and may take seconds: call it in a thread. Connections stay open, and what is
    being judged or sent is finished under the old rules. What cannot change in a running process must be the same in
    both configurations (relay/config/renewal.py).
    """
    return _furnish(configuration, running, running)


def _furnish(configuration: Configuration, lasting: Lasting, running: Gateway | None) -> Gateway:
    """Build all that depends on the configuration; what has no place in ``lasting`` must keep no state."""
    keyring, store, blobs, audit, vault = lasting.keyring, lasting.store, lasting.blobs, lasting.audit, lasting.vault
    extractor = lasting.extractor
    spooler = spooler_of(configuration, store, keyring, blobs)
    routes = routes_of(configuration)
    returns = ReturnPaths(keyring, configuration.gateway.domain)
    letterhead = letterhead_of(configuration)
    notices = notices_of(configuration, letterhead)
    reporter = reporter_of(configuration, letterhead)
    workroom = Workroom(configuration, store, keyring, blobs, letterhead, notices, spooler, routes)
    lost_replies = workroom.lost_replies()
    reports = Reports(store, reporter, spooler, routes, configuration.delivery.give_up_after, lost_replies)
    receipts = Receipts(
        store,
        keyring,
        ReceiptNotices(letterhead),
        spooler,
        routes,
        domain=configuration.gateway.domain,
        wait=configuration.receipts.wait,
    )
    delivery = running.delivery if running else _delivery(configuration, lasting, routes, reports)
    judge = Judge(
        compile_policy(configuration),
        extractor,
        configuration.organisation.domains,
        partners=configuration.partner_names,
        seconds=configuration.limits.judge_time.total_seconds(),
        history=history_of(store, keyring),
    )
    release = release_of(configuration, store, keyring, blobs, audit)
    holding = Holding(release, judge, routes)
    intake = Intake(
        judge=judge,
        reception=Reception(
            configuration.gateway.domain,
            {
                AddressKind.BOUNCE: Bounces(store, keyring, returns, reports, ReturnedReplies(lost_replies)),
                AddressKind.CONTROL: _controls(configuration, lasting, letterhead, spooler, routes, judge, holding),
            },
            Postmaster(spooler, routes, configuration.fallback_mailbox, configuration.gateway.host_name),
            answers=workroom.answers(judge, receipts),
            real=RealAddresses(store, keyring, configuration.gateway.domain),
        ),
        recognition=Recognition(keyring, store),
        planner=Planner(configuration, keyring, release.grouping, spooler, release.mailings, receipts),
        store=store,
        vault=vault,
        audit=audit,
        delivery=delivery,
        blobs=configuration.storage.blobs,
        reserve=configuration.storage.disk_reserve,
    )
    doors = _doors(configuration, intake, returns)
    return Gateway(
        keyring,
        lasting.slot,
        store,
        blobs,
        audit,
        vault,
        extractor,
        lasting.owner,
        configuration=configuration,
        routes=routes,
        reports=reports,
        notices=notices,
        receipts=receipts,
        holding=holding,
        clerks=workroom.clerks(vault, audit),
        spooler=spooler,
        delivery=delivery,
        intake=intake,
        doors=doors,
        listeners=running.listeners if running else _listeners(configuration, doors),
    )


def _delivery(configuration: Configuration, lasting: Lasting, routes: Routes, reports: Reports) -> Delivery:
    couriers = configuration.delivery.connections_per_host
    return Delivery(
        store=lasting.store,
        keyring=lasting.keyring,
        blobs=lasting.blobs,
        audit=lasting.audit,
        routes=routes,
        transport=Transport(ehlo_name=configuration.gateway.host_name, connections=couriers),
        ladder=_ladder(configuration),
        reports=reports,
        owner=lasting.owner,
        couriers=couriers,
        gone=holder_is_gone,
    )


def _ladder(configuration: Configuration) -> Ladder:
    patience = configuration.delivery
    return ladder(patience.retry, patience.give_up_after, patience.warn_after)


def release_of(configuration: Configuration, store: Store, keyring: Keyring, blobs: BlobStore, audit: Audit) -> Release:
    """Return what lets copies go that wait for a person, with all that it takes: sealing, notices, the queue."""
    inline_limit = configuration.storage.inline_limit
    letterhead = letterhead_of(configuration)
    holds = HoldNotices(letterhead)
    spooler = spooler_of(configuration, store, keyring, blobs)
    vault = Vault(keyring, blobs, store, inline_limit=inline_limit)
    correspondence = Correspondence(keyring, blobs, store, inline_limit=inline_limit)
    mailings = Mailings(
        keyring,
        notices_of(configuration, letterhead),
        holds,
        reporter_of(configuration, letterhead),
        spooler,
        domains=configuration.organisation.domains,
        own=configuration.gateway.domain,
    )
    return Release(
        store=store,
        keyring=keyring,
        blobs=blobs,
        vault=vault,
        audit=audit,
        grouping=Grouping(keyring, store, vault, correspondence, configuration.portal.expiry),
        mailings=mailings,
        notices=holds,
        spooler=spooler,
        return_after=configuration.holding.return_after,
    )


def _controls(  # noqa: PLR0917  # what it is made of
    configuration: Configuration,
    lasting: Lasting,
    letterhead: Letterhead,
    spooler: Spooler,
    routes: Routes,
    judge: Judge,
    holding: Holding,
) -> Controls:
    keyring, domain = lasting.keyring, configuration.gateway.domain
    pickups = Pickups(keyring, notices_of(configuration, letterhead), spooler, routes, domain)
    return Controls(
        store=lasting.store,
        keyring=keyring,
        delegates=Delegates.of(configuration.organisation.delegates),
        permission=Permission(lasting.blobs, judge),
        answers=Answers(keyring, ControlNotices(letterhead), pickups, spooler, routes, domain),
        holding=holding,
        bounds=Bounds(frozenset(configuration.organisation.domains), configuration.portal.longest_expiry),
    )


def notices_of(configuration: Configuration, letterhead: Letterhead) -> Notices:
    """Return the writer of pickup notices and codes."""
    return Notices(letterhead, original_subject=configuration.portal.notice_subject == "original")


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


def reporter_of(configuration: Configuration, letterhead: Letterhead) -> Reporter:
    """Return the writer of delivery reports, in the organisation's first language."""
    return Reporter(
        configuration.organisation.name,
        configuration.gateway.domain,
        configuration.gateway.host_name,
        letterhead.languages[letterhead.tag()],
        ZoneInfo(configuration.organisation.time_zone),
    )


def routes_of(configuration: Configuration) -> Routes:
    """Return the ways out: for staff, for everybody else, for what readers answer, and for each partner."""
    route = configuration.route
    named = {"inside": route.inside, "outside": route.outside, REPLIES: route.for_replies}
    routes = [Route(name, route.hosts, TlsMode(route.tls)) for name, route in named.items()]
    routes += [
        Route(PARTNER + one.name, one.hosts, TlsMode.REQUIRED, one.certificate, one.authorities)
        for one in configuration.partner
    ]
    return Routes(
        routes,
        inside_domains=configuration.organisation.domains,
        partners={domain: PARTNER + name for domain, name in configuration.partner_names.items()},
    )


def _doors(configuration: Configuration, intake: Intake, returns: ReturnPaths) -> dict[str, Door]:
    """Return the doors by name, all with one occupancy; OSError for a certificate that cannot be read."""
    limits = configuration.limits
    # The kernel deals connections out evenly over the processes: each allows its share, rounded up.
    workers = configuration.gateway.workers
    occupancy = access.Occupancy(
        connections=-(-limits.connections // workers), per_client=-(-limits.connections_per_client // workers)
    )

    own = OwnAddresses(configuration.gateway.domain, returns.genuine)
    sign_ins = SignIns(failures=max(2, -(-FAILURES // workers)))

    def door(name: str, listener: Listener) -> Door:
        files = None
        if listener.tls != "none" and listener.certificate and listener.key:
            authorities = tuple(Authority(one.authorities) for one in listener.trust)
            files = TlsFiles(listener.certificate, listener.key, authorities)
        return Door(
            name=name,
            hostname=configuration.gateway.host_name,
            accept=intake,
            access=_access(listener, own),
            occupancy=occupancy,
            limits=access.Limits(message_size=limits.message_size, recipients=limits.recipients),
            tls=files.context() if files else None,
            tls_files=files,
            tls_at_once=listener.tls == "implicit",
            users=_users(listener),
            sign_ins=sign_ins,
            postmaster=f"postmaster@{configuration.gateway.domain}",
        )

    return {name: door(name, listener) for name, listener in configuration.listen.items()}


def _access(listener: Listener, own: OwnAddresses) -> access.Access:
    tenants = tuple(Tenant(one.tenant, frozenset(one.domains)) for one in listener.trust)
    return access.Access(listener.trusted_networks, tenants, listener.proxy_protocol_from, own)


def _users(listener: Listener) -> Mapping[str, User] | None:
    """Return who may sign in; ConfigurationError when the file was changed since it was checked."""
    try:
        return read_users(listener.users) if listener.users else None
    except ValueError as error:
        raise ConfigurationError((f"{listener.users} {error}",)) from None


def _listeners(configuration: Configuration, doors: Mapping[str, Door]) -> tuple[SmtpListener, ...]:
    return tuple(
        SmtpListener(doors[name], listener.address.host, listener.address.port, reuse_port=True)
        for name, listener in configuration.listen.items()
    )
