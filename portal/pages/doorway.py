"""The one edge where requests become handler calls and errors become pages.

Handlers are synchronous (the store and the vault are) and take the request, or the request and the form.
"""

import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from portal.access.forms import FormError, read_form
from portal.access.uploads import Submission, Uploads
from portal.rendering.pages import Pages
from relay.clock import id_text, new_id
from relay.errors import StoreError

Handler = Callable[[Request], Response]
FormHandler = Callable[[Request, Mapping[str, str]], Response]
UploadHandler = Callable[[Request, Submission], Response]
Endpoint = Callable[[Request], Awaitable[Response]]

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Doorway:
    """Turns handlers into endpoints; no exception passes, no exception text reaches a reader (R19)."""

    pages: Pages

    def showing(self, handler: Handler) -> Endpoint:
        """Return the endpoint of a handler that only shows."""

        async def endpoint(request: Request) -> Response:
            try:
                return await run_in_threadpool(handler, request)
            except Exception as error:  # noqa: BLE001  # the last edge: whatever it is becomes a page with an id
                return self.failed(request, error)

        return endpoint

    def changing(self, handler: FormHandler) -> Endpoint:
        """Return the endpoint of a handler that acts on a submitted form."""

        async def endpoint(request: Request) -> Response:
            try:
                form = await read_form(request)
                return await run_in_threadpool(handler, request, form)
            except FormError as error:
                return self.refused(request, error.status)
            except Exception as error:  # noqa: BLE001  # as above
                return self.failed(request, error)

        return endpoint

    def uploading(self, handler: UploadHandler, uploads: Uploads) -> Endpoint:
        """Return the endpoint of a handler that works on a form with files while it arrives."""

        async def endpoint(request: Request) -> Response:
            try:
                return await uploads.receive(request, partial(handler, request))
            except FormError as error:
                return self.refused(request, error.status)
            except Exception as error:  # noqa: BLE001  # as above
                return self.failed(request, error)

        return endpoint

    def refused(self, request: Request, status: int, headers: Mapping[str, str] | None = None) -> Response:
        """Return the page for a request that cannot be answered (4xx)."""
        response = self.pages.respond(request, "error.html", status, number=status, incident="")
        response.headers.update(headers or {})
        if status in (408, 413):
            response.headers["Connection"] = "close"  # the rest of the body is not read
        return response

    def failed(self, request: Request, error: Exception) -> Response:
        """Log our own failure under an id and return a page that names the id."""
        incident = id_text(new_id())[:10]
        status = 503 if isinstance(error, StoreError) else 500
        _log.error("page failed", incident=incident, error=type(error).__name__, where=where(error))
        response = self.pages.respond(request, "error.html", status, number=status, incident=incident)
        if status == 503:  # noqa: PLR2004
            response.headers["Retry-After"] = "30"
        return response

    async def http_error(self, request: Request, error: Exception) -> Response:
        """Answer what the router refuses: 404 for no such page, 405 for no such method."""
        if not isinstance(error, HTTPException):
            return self.failed(request, error)
        return self.refused(request, error.status_code, error.headers)


def where(error: BaseException) -> list[str]:
    """Return the places an error passed, without its text or any value: fit for the log (R45)."""
    frames = traceback.extract_tb(error.__traceback__)
    return [f"{Path(frame.filename).name}:{frame.name}:{frame.lineno}" for frame in frames[-8:]]
