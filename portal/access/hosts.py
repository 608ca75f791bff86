"""The front gate: which Host names we answer to, how long an address may be, the access log (R43, R44, R45)."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LONGEST_TARGET = 1000  # octets of path and query
_HEADERS = 64  # fields
_DEFAULT_PORTS = {"http": "80", "https": "443"}

_log = structlog.get_logger()


def allowed_hosts(scheme: str, netloc: str) -> frozenset[str]:
    """Return the Host values that name the portal: as configured, and with or without the scheme's default port."""
    netloc = netloc.lower()
    port = _DEFAULT_PORTS[scheme]
    if netloc.endswith(f":{port}"):
        return frozenset({netloc, netloc.removesuffix(f":{port}")})
    if ":" in netloc.rpartition("]")[2]:
        return frozenset({netloc})
    return frozenset({netloc, f"{netloc}:{port}"})


@dataclass(frozen=True, slots=True)
class FrontGate:
    """Lets requests for our own name in; everybody may ask /healthz. ``refuse`` makes the page for others."""

    app: ASGIApp
    hosts: frozenset[str]
    refuse: Callable[[Request, int], Awaitable[Response]]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.monotonic()
        status = 0

        async def send_and_remember(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            if problem := self._problem(scope):
                response = await self.refuse(Request(scope), problem)
                await response(scope, receive, send_and_remember)
            else:
                await self.app(scope, receive, send_and_remember)
        finally:
            milliseconds = round((time.monotonic() - started) * 1000)
            _log.info(
                "request", method=scope["method"], path=logged_path(scope["path"]), status=status, ms=milliseconds
            )

    def _problem(self, scope: Scope) -> int:
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > _LONGEST_TARGET:
            return 414
        headers = Headers(scope=scope)
        if len(headers.raw) > _HEADERS:
            return 431
        hosts = headers.getlist("host")
        ours = len(hosts) == 1 and hosts[0].lower() in self.hosts
        return 0 if ours or scope["path"] == "/healthz" else 421


def logged_path(path: str) -> str:
    """Return what the log may hold of a path: ids and fixed words, never the secret of a link."""
    segments = path.split("/")[1:4]
    match segments:
        case ["p", link, *_]:
            return f"/p/{_plain(link)}"
        case ["c", visit, *_]:
            return f"/c/{_plain(visit)}"
        case [first, *_] if first in ("", "static", "healthz", "left"):
            return f"/{first}"
    return "other"


def _plain(segment: str) -> str:
    return segment if len(segment) <= 26 and segment.isascii() and segment.isalnum() else "other"  # noqa: PLR2004  # an id
