"""The portal as a web application and as a process: the composition of pages, access rules and services.

browser -> FrontGate (host, size, access log) -> SecurityHeaders -> routes -> Doorway -> handler -> store, vault
"""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network
from typing import Any, cast
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import structlog
import uvicorn
import uvloop
from sqlalchemy import Connection
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from policies.conditions import subject_tags
from portal.access.answers import Answers
from portal.access.codes import CodeMail, Codes
from portal.access.csrf import Csrf
from portal.access.headers import SecurityHeaders
from portal.access.hosts import FrontGate, allowed_hosts
from portal.access.trail import Trail
from portal.access.uploads import UploadLimits, Uploads
from portal.access.visits import Visits
from portal.pages.conversation import ConversationPage
from portal.pages.doorway import Doorway
from portal.pages.link import LinkPages
from portal.pages.lost_link import LostLinkPages
from portal.pages.messages import MessageViews
from portal.pages.parts import Letterbox
from portal.pages.reading import ReadingPages
from portal.pages.replying import ReplyPages
from portal.rendering.pages import Pages, Site
from portal.rendering.subjects import Subjects
from relay import clock
from relay.answering import FrontDoors
from relay.commit_probe import CommitProbe
from relay.config.model import LOOPBACK, Configuration, Portal
from relay.config.source import Source
from relay.health import facts
from relay.notices.written_by import WrittenBy
from relay.queue.requests import request_code
from relay.renewing import renew_on_hangup
from relay.services import Service
from relay.store.audit import Audit
from relay.store.room import Reserve, disks_of
from relay.store.slot import Slot
from relay.store.throttle import Throttles
from relay.store.writer import Store, open_store
from relay.vault.blobs import FileBlobs
from relay.vault.drafts import DraftLimits, Drafts
from relay.vault.keyring import Keyring
from relay.vault.opener import Opener

_log = structlog.get_logger()

_HEADER_LIMIT = 16 << 10  # octets of request line and header fields
_IDLE_CONNECTION = 15  # seconds
_CONNECTIONS = 400
_FINISH_WITHIN = 20  # seconds for downloads that run when the process is told to stop


@dataclass(frozen=True, slots=True)
class Services:
    """What the portal needs of the relay. ``health`` says whether all is well, with the facts for /healthz."""

    store: Store
    keyring: Keyring
    opener: Opener
    drafts: Drafts
    audit: Audit
    send_code: Callable[[Connection, CodeMail, datetime], object]
    health: Callable[[], tuple[bool, Mapping[str, object]]]


def create_app(site: Site, base_url: str, services: Services, now: Callable[[], datetime] = clock.now) -> ASGIApp:
    """Return the application. ``base_url`` is where readers reach it (https, or http for the demo on loopback)."""
    address = urlsplit(base_url)
    https = address.scheme == "https"
    pages = Pages(site)
    doorway = Doorway(pages)
    store, keyring, opener = services.store, services.keyring, services.opener
    csrf = Csrf(keyring.page_key("csrf"), f"{address.scheme}://{address.netloc}")
    trail = Trail(services.audit, keyring)
    throttles = Throttles(keyring.text_hash)
    visits = Visits(opener, keyring.page_key("name"), https, now)
    codes = Codes(keyring.code_key, keyring.page_key("code"), throttles, services.send_code)
    lost = LostLinkPages(store, keyring, opener, throttles, trail, csrf, pages, now)
    link = LinkPages(store, keyring, opener, codes, visits, trail, csrf, lost, pages, now)
    letterbox = Letterbox(store, opener, visits, trail, pages, now)
    views = MessageViews(opener, Subjects.of(site.tags), WrittenBy.of(site.languages))
    page = ConversationPage(letterbox, views, visits, trail, services.drafts, keyring, csrf, pages, now)
    reading = ReadingPages(letterbox, page, visits, trail, csrf, pages, now)
    answers = Answers(keyring, services.drafts, throttles)
    replying = ReplyPages(letterbox, page, answers, keyring, csrf, pages, now)
    limits = services.drafts.limits
    uploads = Uploads(UploadLimits(files=limits.octets, characters=limits.characters))
    show, change = doorway.showing, doorway.changing
    routes = [
        Route("/", show(lambda request: pages.respond(request, "home.html"))),
        Route("/left", show(lambda request: pages.respond(request, "left.html"))),
        Route("/healthz", show(lambda _request: _health(services))),
        Route("/static/{name}", show(lambda request: _static(pages, request))),
        Route("/p/{link}/{secret}", show(link.arrive)),
        Route("/p/{link}/{secret}", change(link.ask), methods=["POST"]),
        Route("/p/{link}/{secret}/code", show(link.show_code)),
        Route("/p/{link}/{secret}/code", change(link.enter), methods=["POST"]),
        Route("/p/{link}/{secret}/send", change(link.ask_again), methods=["POST"]),
        Route("/p/{link}/{secret}/new", show(lost.asked)),
        Route("/p/{link}/{secret}/new", change(lost.ask), methods=["POST"]),
        Route("/c/{visit}", show(reading.conversation)),
        Route("/c/{visit}/answer", show(replying.again)),
        Route("/c/{visit}/answer", doorway.uploading(replying.submit, uploads), methods=["POST"]),
        Route("/c/{visit}/leave", change(reading.leave), methods=["POST"]),
        Route("/c/{visit}/{message}/formatted", show(reading.formatted)),
        Route("/c/{visit}/{message}/part/{part}", show(letterbox.download)),
    ]
    inner = Starlette(routes=routes, exception_handlers={HTTPException: doorway.http_error})
    inner.router.redirect_slashes = False  # the redirect would be built from the Host field

    async def refuse(request: Request, status: int) -> Response:
        return doorway.refused(request, status)

    gate = FrontGate(inner, allowed_hosts(address.scheme, address.netloc), refuse)
    return SecurityHeaders(gate, https)


def _static(pages: Pages, request: Request) -> Response:
    for file in pages.static.values():
        if file.path == request.url.path:
            headers = {"Cache-Control": "public, max-age=31536000, immutable"}
            return Response(file.content, media_type=file.media_type, headers=headers)
    return pages.respond(request, "error.html", 404, number=404, incident="")


def _health(services: Services) -> Response:
    well, found = services.health()
    return Response(json.dumps(found), 200 if well else 503, media_type="application/json")


def open_portal(configuration: Configuration, number: int = 0, store: Store | None = None) -> tuple[ASGIApp, Store]:
    """Open the portal's services and return the application with its store, which the caller closes.

    ``store`` is one that is open already. KeyringError and StoreError say what is missing; nothing listens yet.
    """
    keyring = Keyring.open(configuration.keys.folder, role="portal")
    store = store or open_store(configuration.storage.database)
    organisation = configuration.organisation

    def send_code(conn: Connection, mail: CodeMail, at: datetime) -> object:
        return request_code(
            conn,
            keyring,
            link_id=mail.link_id,
            participant_id=mail.participant_id,
            code=mail.code,
            expires_at=mail.expires_at,
            language=mail.language,
            now=at,
        )

    doors, probe = FrontDoors(configuration.listen), CommitProbe(store)

    def health() -> tuple[bool, Mapping[str, object]]:
        found = facts(configuration, store, commit_time=probe.seconds, silent=doors.silent)
        return found.ok, found.as_json()

    blobs = FileBlobs(configuration.storage.blobs)
    disks = disks_of(configuration.storage.database, configuration.storage.blobs)
    opener = Opener(keyring, blobs)
    services = Services(
        store=store,
        keyring=keyring,
        opener=opener,
        drafts=Drafts(
            keyring,
            opener,
            blobs,
            store,
            inline_limit=configuration.storage.inline_limit,
            limits=DraftLimits(octets=configuration.reply_size),
            ensure_room=Reserve(disks, configuration.storage.disk_reserve).ensure,
        ),
        audit=Audit(keyring, writer=configuration.gateway.process_name("portal", number)),
        send_code=send_code,
        health=health,
    )
    site = Site(
        organisation.name,
        organisation.contact,
        organisation.languages,
        ZoneInfo(organisation.time_zone),
        tuple(tag for rule in configuration.rules for tag in subject_tags(rule.when)),
    )
    return create_app(site, configuration.portal.base_url, services), store


def server_of(
    app: ASGIApp, host: str, port: int, forwarded_from: Sequence[IPv4Network | IPv6Network] = LOOPBACK
) -> uvicorn.Server:
    """Return the web server for the application, not yet listening.

    h11, because it parses strictly and bounds the header; forwarded addresses are believed from ``forwarded_from``
    only, where the web server with TLS stands.
    """
    return uvicorn.Server(
        uvicorn.Config(
            cast("Any", app),
            host=host,
            port=port,
            http="h11",
            h11_max_incomplete_event_size=_HEADER_LIMIT,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=True,
            forwarded_allow_ips=[str(network) for network in forwarded_from],
            timeout_keep_alive=_IDLE_CONNECTION,
            limit_concurrency=_CONNECTIONS,
            timeout_graceful_shutdown=_FINISH_WITHIN,
        )
    )


def _without_traceback(record: logging.LogRecord) -> bool:
    """Keep the text of an error out of the log: a broken-off download is logged with its place by the portal."""
    record.exc_info = None
    return True


class Exchangeable:
    """The application that answers now. Another takes its place between two requests; those that run are finished."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the present application answer."""
        await self.app(scope, receive, send)


def serve(configuration: Configuration, source: Source, number: int = 0) -> None:
    """Serve the portal until SIGTERM or SIGINT, then finish the downloads that run; SIGHUP renews its configuration."""
    slot = Slot(configuration.storage.database, configuration.gateway.process_name("portal", number))
    app, store = open_portal(configuration, number)
    logging.getLogger("uvicorn.error").addFilter(_without_traceback)
    try:
        uvloop.run(_serve(Exchangeable(app), configuration.portal, source, store, number, slot=slot))
    finally:
        store.close()
        slot.close()


async def _serve(app: Exchangeable, portal: Portal, source: Source, store: Store, number: int, *, slot: Slot) -> None:
    server = server_of(app, portal.listen.host, portal.listen.port, portal.forwarded_from)

    async def renew(configuration: Configuration) -> None:
        app.app, _ = await asyncio.to_thread(open_portal, configuration, number, store)

    async def watch_name() -> None:
        await slot.lost()
        _log.error("another process has taken this process's name: stopping")
        server.should_exit = True

    watching = [asyncio.create_task(renew_on_hangup(source, renew)), asyncio.create_task(watch_name())]
    try:
        await server.serve()
    finally:
        for task in watching:
            task.cancel()


service = Service("portal", instances=lambda _configuration: 1, serve=serve)
