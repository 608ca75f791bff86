"""The pages behind a link that opens nothing (any more), and asking the sender for a new one (R34).

A wrong id and a wrong secret meet one page. Who holds the right secret is told plainly whether the link expired, was
replaced or the message was taken back. While there is something that a new link could open, one button asks the
sender, who answers by mail.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from portal.access.csrf import FIELD, Csrf, Verdict
from portal.access.trail import Trail
from portal.rendering.moments import full_minute
from portal.rendering.pages import Pages
from relay.queue.requests import request_new_link
from relay.store.events import Event
from relay.store.throttle import Limit, ThrottledError, Throttles, network_of
from relay.store.writer import Store
from relay.vault.keyring import Keyring
from relay.vault.opener import Link, LinkState, Opener
from relay.vault.paths import parse_link

LINK_DAY = Limit("new links asked for with a link in a day", 1, timedelta(days=1))
CLIENT_HOUR = Limit("new links asked for by a client in an hour", 20, timedelta(hours=1))
ALL_HOUR = Limit("new links asked for in an hour", 500, timedelta(hours=1))


@dataclass(frozen=True, slots=True)
class LostLinkPages:
    """Says why a link opens nothing, and asks the sender for a new one."""

    store: Store
    keyring: Keyring
    opener: Opener
    throttles: Throttles
    trail: Trail
    csrf: Csrf
    pages: Pages
    now: Callable[[], datetime]

    def find(self, conn: Connection, request: Request) -> Link | None:
        """Return the link that the path names, in whatever state; None for a wrong id or secret."""
        parsed = parse_link(request.path_params["link"], request.path_params["secret"])
        return self.opener.find_link(conn, *parsed, self.now()) if parsed else None

    def page(self, conn: Connection, request: Request, link: Link | None, *, stale: bool = False) -> Response:
        """Return the page for a link that is not live."""
        if link is None:
            return self.pages.respond(request, "link_unknown.html", 404)
        if link.state is LinkState.RECALLED:
            return self.pages.respond(request, "link_recalled.html", 410)
        gone = not self.opener.anything_left(conn, link, self.now())
        return self.pages.respond(
            request,
            "link_over.html",
            422 if stale and not gone else 410,
            stale=stale and not gone,
            gone=gone,
            expired=gone or link.state is LinkState.EXPIRED,
            at=link.expires_at if link.expires_at <= self.now() else None,
            here=own_path(request),
            token=self.csrf.token(scope_of(request), self.now()),
        )

    def ask(self, request: Request, form: Mapping[str, str]) -> Response:
        """Have the sender asked for a new link: once a day for each link."""
        verdict = self.csrf.judge(request.headers, scope_of(request), form.get(FIELD, ""), self.now())
        if verdict is Verdict.FOREIGN:
            return self.pages.respond(request, "foreign.html", 403)
        with self.store.read() as conn:
            link = self.find(conn, request)
            if link is not None and link.state is LinkState.LIVE:
                return RedirectResponse(own_path(request), 303)  # a recall was undone, or the time extended
            if link is None or link.state is LinkState.RECALLED or verdict is Verdict.STALE:
                return self.page(conn, request, link, stale=True)
            if not self.opener.anything_left(conn, link, self.now()):
                return self.page(conn, request, link)
        client = network_of(request.client.host if request.client else "")

        def work(conn: Connection) -> None:
            now = self.now()
            self.throttles.take(conn, [(LINK_DAY, link.link_id.hex()), (CLIENT_HOUR, client), (ALL_HOUR, "")], now)
            request_new_link(conn, self.keyring, link_id=link.link_id, participant_id=link.participant_id, now=now)
            self.trail.note(conn, Event.LINK_ASKED, link, now)

        try:
            self.store.run(work)
        except ThrottledError as error:
            return self.pages.respond(
                request,
                "link_asked.html",
                429,
                again=error.limit is LINK_DAY,
                until=full_minute(error.until),
            )
        return self.pages.respond(request, "link_asked.html", again=False, until=None)

    def asked(self, request: Request) -> Response:
        """Lead whoever loads the answer's page once more back to the link's page."""
        return RedirectResponse(own_path(request), 303)


def scope_of(request: Request) -> str:
    """Return what the tokens of a link's forms are bound to."""
    return f"link {request.path_params['link']}"


def own_path(request: Request) -> str:
    """Return the path of the link's page."""
    return f"/p/{request.path_params['link']}/{request.path_params['secret']}"
