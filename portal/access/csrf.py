"""Requests that change something come from our own pages: a token first, then what the browser says of their origin.

The token is an HMAC over the page's scope (one link or one visit) and the hour, so nothing is stored and a page
stays usable for a day. With ``Referrer-Policy: no-referrer`` Chromium sends ``Origin: null`` from our own forms, so
``null`` counts as silent, not as foreign (Fetch Standard, "append a request Origin header").
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

_LIFETIME = 24  # hours
FIELD = "token"


class Verdict(Enum):
    """What is to be done with a request that wants to change something."""

    GENUINE = "genuine"
    STALE = "stale"  # ours, but from a page that was open for over a day: show the page again
    FOREIGN = "foreign"  # not from our page: refuse


@dataclass(frozen=True, slots=True)
class Csrf:
    """Issues and checks tokens. ``key`` is 32 bytes; ``origin`` is the portal's own (``https://portal.example``)."""

    key: bytes
    origin: str

    def token(self, scope: str, now: datetime) -> str:
        """Return the token for a form of this scope (for example ``link <id>``)."""
        hour = int(now.timestamp()) // 3600
        return f"{hour:x}.{self._mac(scope, hour)}"

    def judge(self, headers: Mapping[str, str], scope: str, token: str, now: datetime) -> Verdict:
        """Judge a request by its token and its ``Sec-Fetch-Site`` and ``Origin`` fields (absent on old browsers)."""
        hour_text, _, mac = token.partition(".")
        try:
            hour = int(hour_text, 16)
        except ValueError:
            return Verdict.FOREIGN
        # Compared as bytes: compare_digest refuses text that is not ASCII.
        if not 0 <= hour < 1 << 32 or not hmac.compare_digest(self._mac(scope, hour).encode(), mac.encode()):
            return Verdict.FOREIGN
        if headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return Verdict.FOREIGN
        if headers.get("origin", "null") not in (self.origin, "null"):
            return Verdict.FOREIGN
        return Verdict.GENUINE if 0 <= int(now.timestamp()) // 3600 - hour <= _LIFETIME else Verdict.STALE

    def _mac(self, scope: str, hour: int) -> str:
        return hmac.digest(self.key, f"csrf\0{scope}\0{hour}".encode(), "sha256").hex()[:32]
