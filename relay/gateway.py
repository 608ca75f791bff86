"""The composition root: opens every service of one relay process from the configuration.

Nobody below the edges takes a `Gateway`: functions take the two or three services that they use.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from policies.ruleset import Ruleset, compile_rules
from relay.config.model import Configuration
from relay.config.wordlists import read_lists
from relay.conversation.bounces import Bounces
from relay.conversation.furnishing import Workroom, release_of
from relay.conversation.holding import Holding
from relay.conversation.postmaster import Postmaster
from relay.conversation.real_addresses import RealAddresses
from relay.conversation.reception import Reception
from relay.conversation.replies import ReturnedReplies
from relay.dkim.keys import open_signer
from relay.front_door import doors_of, listeners_of
from relay.intake import Intake
from relay.judging import Judge, history_of
from relay.memory import WaitingRoom
from relay.message.extraction import Extractor
from relay.message.secret_address import AddressKind
from relay.mishaps import Mishaps, nobody_died
from relay.notices.compose import Notices
from relay.notices.receipts import ReceiptNotices
from relay.outgoing import (
    exchangers_of,
    ladder_of,
    letterhead_of,
    notices_of,
    patience_of,
    reporter_of,
    routes_of,
    spooler_of,
    transport_of,
)
from relay.planning import Planner
from relay.queue.delivery import Delivery
from relay.queue.errands import Clerk
from relay.queue.incoming import Incoming
from relay.queue.reports import Reports
from relay.queue.requests import RequestKind
from relay.queue.return_path import ReturnPaths
from relay.queue.routes import Routes
from relay.queue.spooling import Spooler
from relay.receipts import Receipts
from relay.recognition import Recognition
from relay.smtp.door import Door
from relay.smtp.failed_sign_ins import FailedSignIns
from relay.smtp.listener import Listener as SmtpListener
from relay.smtp.overflow import Disk
from relay.smtp.signing_in import SignIns
from relay.store.audit import Audit
from relay.store.room import Reserve, disks_of
from relay.store.schema import migrate
from relay.store.slot import Slot, holder_is_gone
from relay.store.throttle import Throttles
from relay.store.writer import Store, open_store
from relay.vault.blobs import FileBlobs
from relay.vault.keyring import Keyring
from relay.vault.progress import require_newest
from relay.vault.vault import Vault

DISK_THREADS = 2  # write large messages as they arrive
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
    mishaps: Mishaps
    owner: bytes
    judging: WaitingRoom
    disk_threads: ThreadPoolExecutor


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
            ladder=ladder_of(self.configuration),
            reports=self.reports,
            ehlo_name=self.configuration.gateway.host_name,
            couriers=self.configuration.delivery.connections_per_host,
            patience=patience_of(self.configuration),
            exchangers=exchangers_of(self.configuration),
        )
        for listener in self.listeners:
            listener.door.renew(self.doors[listener.door.name])


def prepare(configuration: Configuration) -> None:
    """Bring the database to this version's schema and see that the keys can be read.

    StoreError when the database is newer than this version or does not answer, KeyringError for the keys,
    ConfigurationError for a DKIM key, RefusedError when the database was put back from a backup.
    """
    Keyring.open(configuration.keys.folder, role="relay")
    open_signer(configuration.dkim)
    migrate(configuration.storage.database, create=False)
    require_newest(configuration.storage.database, configuration.keys.folder)
    nobody_died(_notes_of(configuration))


def _notes_of(configuration: Configuration) -> Path:
    """Return where the processes of this machine note what they are reading."""
    return configuration.storage.blobs / "reading"


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
        Mishaps(_notes_of(configuration), name, partial(keyring.text_hash, "mishap")),
        owner,
        WaitingRoom(),
        ThreadPoolExecutor(DISK_THREADS, thread_name_prefix="disk"),
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
    storage = configuration.storage
    reserve = Reserve(disks_of(storage.database, storage.blobs), storage.disk_reserve)
    intake = Intake(
        judge=judge,
        reception=Reception(
            configuration.gateway.domain,
            {
                AddressKind.BOUNCE: Bounces(store, keyring, returns, reports, ReturnedReplies(lost_replies)),
                AddressKind.CONTROL: workroom.controls(judge, holding),
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
        mishaps=lasting.mishaps,
        judging=lasting.judging,
        reserve=reserve,
        inline_limit=storage.inline_limit,
    )
    sign_ins = SignIns(FailedSignIns(store, Throttles(keyring.text_hash)))
    receive = partial(Incoming, keyring, blobs, store, reserve.ensure)
    doors = doors_of(configuration, intake, returns, sign_ins, Disk(receive, lasting.disk_threads))
    return Gateway(
        keyring,
        lasting.slot,
        store,
        blobs,
        audit,
        vault,
        extractor,
        lasting.mishaps,
        lasting.owner,
        lasting.judging,
        lasting.disk_threads,
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
        listeners=running.listeners if running else listeners_of(configuration, doors),
    )


def _delivery(configuration: Configuration, lasting: Lasting, routes: Routes, reports: Reports) -> Delivery:
    return Delivery(
        store=lasting.store,
        keyring=lasting.keyring,
        blobs=lasting.blobs,
        audit=lasting.audit,
        routes=routes,
        transport=transport_of(configuration),
        ladder=ladder_of(configuration),
        reports=reports,
        owner=lasting.owner,
        couriers=configuration.delivery.connections_per_host,
        gone=holder_is_gone,
        tenure=lasting.slot.tenure,
    )
