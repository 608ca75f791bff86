"""The page behind a pickup link, and the page for its code. Both show nothing of the message (R32).

GET, HEAD and OPTIONS look and change nothing, because link scanners fetch every link; a POST with a token has a
code mailed, at most one while it lives, because scanners press buttons too.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from portal.access.code_mail import code_mail_state
from portal.access.codes import LINK_MINUTE, Codes, CodesExhaustedError, Entered, LiveCode
from portal.access.csrf import FIELD, Csrf, Verdict
from portal.access.trail import Trail
from portal.access.visits import NAME_LIMIT, Guest, Visits, visit_path
from portal.pages.lost_link import LostLinkPages, own_path, scope_of
from portal.rendering.moments import full_minute
from portal.rendering.names import visible
from portal.rendering.pages import Pages
from relay.queue.requests import request_reseal
from relay.store.events import Event
from relay.store.throttle import ThrottledError, network_of
from relay.store.writer import Store
from relay.vault.keyring import Keyring
from relay.vault.opener import Link, LinkState, Opener


@dataclass(frozen=True, slots=True)
class _Begun:
    visit_id: bytes
    secret: bytes
    replaced: Guest | None  # this browser's earlier visit with the same link


@dataclass(frozen=True, slots=True)
class LinkPages:
    """Arriving with a link, asking for the code, entering it."""

    store: Store
    keyring: Keyring
    opener: Opener
    codes: Codes
    visits: Visits
    trail: Trail
    csrf: Csrf
    lost: LostLinkPages
    pages: Pages
    now: Callable[[], datetime]

    def arrive(self, request: Request) -> Response:
        """Show what the link is for, with a button; nothing of the message, nothing changed."""
        return self._arrival(request, stale=False)

    def ask(self, request: Request, form: Mapping[str, str]) -> Response:
        """Have a code mailed, unless one lives; then go to the page for it."""
        if refusal := self._unfit(request, form):
            return refusal
        return self._send(request, self.codes.make)

    def ask_again(self, request: Request, form: Mapping[str, str]) -> Response:
        """Have the same code mailed once more, or a new one when none lives."""
        if refusal := self._unfit(request, form):
            return refusal
        return self._send(request, self.codes.again)

    def show_code(self, request: Request) -> Response:
        """Show the field for the code and what happened to its mail; nothing changed."""
        return self._code_page(request)

    def enter(self, request: Request, form: Mapping[str, str]) -> Response:
        """Check the code; when it is right, begin a visit and go to the conversation."""
        name = visible(form.get("name", ""), NAME_LIMIT)
        match self.csrf.judge(request.headers, scope_of(request), form.get(FIELD, ""), self.now()):
            case Verdict.FOREIGN:
                return self.pages.respond(request, "foreign.html", 403)
            case Verdict.STALE:
                return self._code_page(request, 422, error="stale", name=name)
        outcome = self.store.run(lambda conn: self._try(conn, request, form.get("code", ""), name))
        if isinstance(outcome, Response):
            return outcome
        if isinstance(outcome, Entered):
            return self._code_page(request, 422, error=outcome.value, name=name)
        response = RedirectResponse(visit_path(outcome.visit_id), 303)
        self.visits.set_cookie(response, outcome.visit_id, outcome.secret)
        if outcome.replaced:
            self.visits.clear_cookie(response, outcome.replaced.visit_id)
        return response

    def _try(self, conn: Connection, request: Request, typed: str, name: str) -> Response | Entered | _Begun:
        """Spend a try; begin the visit in the same transaction when the code is right."""
        now = self.now()
        link = self._usable(conn, request)
        if isinstance(link, Response):
            return link
        entered = self.codes.enter(conn, link.link_id, typed, now)
        if entered is not Entered.RIGHT:
            if entered in (Entered.WRONG, Entered.EXHAUSTED):
                self.trail.note(conn, Event.CODE_WRONG, link, now, {"last_try": entered is Entered.EXHAUSTED})
            return entered
        if replaced := self.visits.running(conn, request, link.link_id):
            self.visits.close(conn, replaced)
        self.trail.proved(conn, link, now, named=bool(name))
        self._share(conn, link, now)
        return _Begun(*self.visits.begin(conn, link, name), replaced)

    def _share(self, conn: Connection, link: Link, now: datetime) -> None:
        """Have what only this link opens sealed to the reader's other links too."""
        if keys := self.opener.open_messages(conn, link, now).to_share:
            person = {"link_id": link.link_id, "participant_id": link.participant_id}
            request_reseal(conn, self.keyring, **person, opened=keys, now=now)

    def _arrival(self, request: Request, *, stale: bool) -> Response:
        now = self.now()
        with self.store.read() as conn:
            link = self._usable(conn, request)
            if isinstance(link, Response):
                return link
            code = self.codes.live(conn, link.link_id, now)
            guest = self.visits.running(conn, request, link.link_id)
        return self.pages.respond(
            request,
            "arrive.html",
            422 if stale else 200,
            stale=stale,
            until=link.expires_at,
            code=code,
            here=own_path(request),
            visit_path=guest.path if guest else "",
            token=self.csrf.token(scope_of(request), now),
        )

    def _send(self, request: Request, send: Callable[..., LiveCode]) -> Response:
        client = network_of(request.client.host if request.client else "")
        language = self.pages.language(request).tag

        def record(conn: Connection) -> Link | Response:
            link = self._usable(conn, request)
            if isinstance(link, Link):
                self.trail.link_opened(conn, link, self.now())
            return link

        # A transaction of its own: that the link was opened stays on record when no code may be sent.
        link = self.store.run(record)
        if isinstance(link, Response):
            return link

        def work(conn: Connection) -> None:
            now = self.now()
            code = send(conn, link.link_id, link.participant_id, client=client, language=language, now=now)
            if code.sent_at == now:
                self.trail.note(conn, Event.CODE_SENT, link, now, {"again": code.created_at != now})

        try:
            self.store.run(work)
        except ThrottledError as error:
            with self.store.read() as conn:
                lives = self.codes.live(conn, link.link_id, self.now())
            of_minute = error.limit is LINK_MINUTE
            if lives or of_minute:
                return self._code_page(request, 429, wait="minute" if of_minute else "limit", wait_until=error.until)
            return self._too_many(request, error.until, of_link=False)
        except CodesExhaustedError as error:
            self.store.run(lambda conn: self.trail.note(conn, Event.CODES_EXHAUSTED, link, self.now()))
            return self._too_many(request, error.until, of_link=True)
        return RedirectResponse(f"{own_path(request)}/code", 303)

    def _code_page(
        self,
        request: Request,
        status: int = 200,
        *,
        error: str = "",
        name: str = "",
        wait: str = "",
        wait_until: datetime | None = None,
    ) -> Response:
        now = self.now()
        with self.store.read() as conn:
            link = self._usable(conn, request)
            if isinstance(link, Response):
                return link
            code = self.codes.live(conn, link.link_id, now)
            mail = code_mail_state(conn, link.participant_id, code.sent_at) if code else None
        response = self.pages.respond(
            request,
            "code.html",
            status,
            error=error,
            code=code,
            mail=mail,
            name=name,
            name_limit=NAME_LIMIT,
            wait=wait,
            wait_until=full_minute(wait_until) if wait_until else None,
            here=own_path(request),
            token=self.csrf.token(scope_of(request), now),
        )
        if wait_until:
            response.headers["Retry-After"] = _seconds(wait_until - now)
        return response

    def _too_many(self, request: Request, until: datetime, *, of_link: bool) -> Response:
        response = self.pages.respond(request, "too_many.html", 429, until=full_minute(until), of_link=of_link)
        response.headers["Retry-After"] = _seconds(until - self.now())
        return response

    def _unfit(self, request: Request, form: Mapping[str, str]) -> Response | None:
        match self.csrf.judge(request.headers, scope_of(request), form.get(FIELD, ""), self.now()):
            case Verdict.FOREIGN:
                return self.pages.respond(request, "foreign.html", 403)
            case Verdict.STALE:
                return self._arrival(request, stale=True)
        return None

    def _usable(self, conn: Connection, request: Request) -> Link | Response:
        """Return the link when it opens something, else the page that says why not."""
        link = self.lost.find(conn, request)
        return link if link is not None and link.state is LinkState.LIVE else self.lost.page(conn, request, link)


def _seconds(pause: timedelta) -> str:
    return str(max(1, int(min(pause, 1440 * LINK_MINUTE.window).total_seconds())))
