"""The pages of a running visit: the conversation, the frame with a formatted mail, leaving."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from portal.access.csrf import FIELD, Csrf, Verdict
from portal.access.headers import MAIL_POLICY
from portal.access.trail import Trail
from portal.access.visits import Visits
from portal.pages.answer_form import Before
from portal.pages.conversation import ConversationPage
from portal.pages.parts import Letterbox
from portal.rendering.html import HTML_LIMIT, mail_document
from portal.rendering.names import visible
from portal.rendering.pages import Pages
from relay.store.events import Event
from relay.vault.opener import PartRole


@dataclass(frozen=True, slots=True)
class ReadingPages:
    """What a visit looks at, and its end."""

    letterbox: Letterbox
    page: ConversationPage
    visits: Visits
    trail: Trail
    csrf: Csrf
    pages: Pages
    now: Callable[[], datetime]

    def conversation(self, request: Request) -> Response:
        """Show the conversation, or what became of the visit: a form that came after its end was kept."""
        guest = self.letterbox.guest(request)
        if guest is None:
            kept = request.query_params.get("kept") == "1"
            return self.letterbox.ended(request, 200 if kept else 403, kept=kept)
        return self.page.show(request, guest, Before.told_by(request.query_params))

    def formatted(self, request: Request) -> Response:
        """Return the formatted mail as the sandboxed document of its own."""
        found = self.letterbox.message(request)
        if isinstance(found, Response):
            return found
        _, message = found
        language = self.pages.language(request)
        safe = mail_document(
            self.page.views.text(message, PartRole.HTML, HTML_LIMIT + 1),
            language=language.tag,
            title=visible(message.manifest.subject),
            gettext=language.gettext,
            load_image=self.page.views.images(message),
        )
        document = safe.document if safe else self.pages.render(language, "unformatted.html")
        return HTMLResponse(document, headers={"Content-Security-Policy": MAIL_POLICY})

    def leave(self, request: Request, form: Mapping[str, str]) -> Response:
        """End the visit and make the browser forget it."""
        guest = self.letterbox.guest(request)
        if guest is None:
            return self.letterbox.ended(request)
        verdict = self.csrf.judge(request.headers, guest.scope, form.get(FIELD, ""), self.now())
        if verdict is Verdict.FOREIGN:
            return self.pages.respond(request, "foreign.html", 403)

        def work(conn: Connection) -> None:
            self.visits.close(conn, guest)
            self.trail.note(conn, Event.LEFT, guest.link, self.now())

        self.letterbox.store.run(work)
        response = RedirectResponse("/left", 303)
        self.visits.clear_cookie(response, guest.visit_id)
        return response
