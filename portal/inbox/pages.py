"""The pages of the demo inbox: mailboxes, one mailbox, one message, a letter by staff."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from portal.inbox.deliveries import Deliveries, Delivery
from portal.inbox.writing import Letter, answer_to, send
from portal.rendering.text import text_to_html
from relay.config.values import Endpoint
from relay.message.parts import Part, Reading
from relay.message.reading import read

_HERE = Path(__file__).parent
_LARGEST_FORM = 64 << 20  # octets of one upload
_CSP = (
    "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src data:; form-action 'self'; frame-src 'self';"
    " frame-ancestors 'none'; base-uri 'none'"
)


@dataclass(frozen=True, slots=True)
class Line:
    """One message in a list."""

    id: str
    arrived_at: datetime
    from_: str
    subject: str


class Pages:
    """The handlers, over the deliveries and the way to the gateway."""

    def __init__(self, deliveries: Deliveries, gateway: Endpoint, domains: tuple[str, ...], staff: str) -> None:
        self._deliveries = deliveries
        self._gateway = gateway
        self._domains = domains
        self._staff = staff
        self._templates = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
        )

    def routes(self) -> list[BaseRoute]:
        """Return the routes, with the style sheet."""
        return [
            Route("/", self.mailboxes),
            Route("/style.css", _style),
            Route("/mailbox/{address}", self.mailbox),
            Route("/message/{id}", self.message),
            Route("/message/{id}/original", self.original),
            Route("/message/{id}/part/{number:int}", self.part),
            Route("/write", self.write),
            Route("/write", self.post, methods=["POST"]),
        ]

    async def mailboxes(self, request: Request) -> Response:
        """List the mailboxes, staff's and others apart."""
        boxes = self._deliveries.mailboxes()
        inside = [box for box in boxes if self._inside(box[0])]
        outside = [box for box in boxes if not self._inside(box[0])]
        said = request.query_params.get("said", "")[:1000]
        return self._page("mailboxes.html", inside=inside, outside=outside, said=said)

    async def mailbox(self, request: Request) -> Response:
        """List one mailbox, newest first."""
        address = request.path_params["address"]
        lines = []
        for delivery in self._deliveries.of(address):
            reading = read(delivery.content())
            lines.append(Line(delivery.id, delivery.arrived_at, reading.from_name or reading.from_, reading.subject))
        return self._page("mailbox.html", address=address, inside=self._inside(address), lines=lines)

    async def message(self, request: Request) -> Response:
        """Show one message: its text with links that open apart, its attachments, the way to answer."""
        delivery, reading = self._find(request)
        texts = [text_to_html(part.text) for part in reading.parts if part.kind == "text"]
        attachments = [
            (number, part.name or part.type, len(part.data))
            for number, part in enumerate(reading.parts)
            if part.kind in {"attachment", "inline"}
        ]
        return self._page(
            "message.html",
            delivery=delivery,
            reading=reading,
            texts=texts,
            attachments=attachments,
            inside=self._inside(delivery.recipient),
        )

    async def original(self, request: Request) -> Response:
        """Return the message as it arrived, as text to read."""
        delivery, _ = self._find(request)
        return Response(delivery.content(), media_type="text/plain; charset=utf-8", headers=_headers())

    async def part(self, request: Request) -> Response:
        """Return one attachment."""
        _, reading = self._find(request)
        number = request.path_params["number"]
        if number >= len(reading.parts):
            raise LookupError
        part: Part = reading.parts[number]
        headers = {**_headers(), "Content-Disposition": "attachment"}
        return Response(part.data, media_type="application/octet-stream", headers=headers)

    async def write(self, request: Request) -> Response:
        """Show an empty letter, or one that answers a message of a staff mailbox."""
        answered = request.query_params.get("answer")
        if not answered:
            return self._page("write.html", letter=Letter(self._staff, ()))
        delivery = self._deliveries.get(answered)
        if delivery is None:
            raise LookupError
        original = delivery.content()
        everybody = "all" in request.query_params
        letter = answer_to(read(original), original, delivery.recipient, everybody=everybody)
        return self._page("write.html", letter=letter)

    async def post(self, request: Request) -> Response:
        """Send a letter through the gateway and say what the gateway answered."""
        if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
            return Response("Only this page may send.", status_code=403)
        async with request.form(max_files=20, max_part_size=_LARGEST_FORM) as form:
            letter = await _letter(form)
        said = await send(letter, self._gateway) if letter.recipients else "Name at least one recipient."
        return RedirectResponse(request.url_for("mailboxes").include_query_params(said=said), status_code=303)

    def _inside(self, address: str) -> bool:
        return address.rpartition("@")[2].lower() in self._domains

    def _find(self, request: Request) -> tuple[Delivery, Reading]:
        delivery = self._deliveries.get(request.path_params["id"])
        if delivery is None:
            raise LookupError
        return delivery, read(delivery.content())

    def _page(self, template: str, **values: object) -> Response:
        return HTMLResponse(self._templates.get_template(template).render(values), headers=_headers())


async def gone(request: Request, error: Exception) -> Response:  # noqa: ARG001
    """Answer for what is not in the inbox (any more)."""
    return Response("This message is not in the demo inbox (any more).", status_code=404)


async def _style(request: Request) -> Response:  # noqa: ARG001
    return Response((_HERE / "static" / "inbox.css").read_text(), media_type="text/css")


async def _letter(form: FormData) -> Letter:
    def field(name: str) -> str:
        value = form.get(name, "")
        return value if isinstance(value, str) else ""

    def addresses(name: str) -> tuple[str, ...]:
        return tuple(one.strip() for one in field(name).replace(";", ",").split(",") if one.strip())

    files = [one for one in form.getlist("attachments") if isinstance(one, UploadFile) and one.filename]
    attachments = [
        (one.filename or "", one.content_type or "application/octet-stream", await one.read()) for one in files
    ]
    return Letter(
        field("sender"),
        addresses("to"),
        addresses("cc"),
        addresses("bcc"),
        field("subject"),
        field("text"),
        attachments,
        field("answers"),
        field("thread"),
    )


def _headers() -> dict[str, str]:
    return {
        "Content-Security-Policy": _CSP,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
