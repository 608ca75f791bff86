"""Tokens: bound to scope and hour; what browsers say of a request's origin."""

from datetime import timedelta

import pytest

from portal.access.csrf import Csrf, Verdict
from tests.portal_stage import MONDAY

CSRF = Csrf(bytes(32), "https://portal.example.org")
TOKEN = CSRF.token("link a", MONDAY)


@pytest.mark.parametrize(
    ("headers", "verdict"),
    [
        ({}, Verdict.GENUINE),
        ({"origin": "null"}, Verdict.GENUINE),
        ({"origin": "https://portal.example.org", "sec-fetch-site": "same-origin"}, Verdict.GENUINE),
        ({"origin": "https://portal.example.org:8443"}, Verdict.FOREIGN),
        ({"origin": "http://portal.example.org"}, Verdict.FOREIGN),
        ({"origin": "https://evil.example"}, Verdict.FOREIGN),
        ({"origin": ""}, Verdict.FOREIGN),
        ({"sec-fetch-site": "same-site"}, Verdict.FOREIGN),
        ({"sec-fetch-site": "cross-site"}, Verdict.FOREIGN),
        ({"sec-fetch-site": "none"}, Verdict.FOREIGN),
    ],
)
def test_origin(headers: dict[str, str], verdict: Verdict) -> None:
    """A present Sec-Fetch-Site must be same-origin; a present Origin ours or null."""
    assert CSRF.judge(headers, "link a", TOKEN, MONDAY) is verdict


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "x",
        "0",
        "-1.x",
        TOKEN[:-1],
        TOKEN + "0",
        TOKEN.upper(),
        "\u00e9." + "0" * 32,
        "ffffffffffff.0",
        "f" * 5000 + ".0",
        "\u0661.0",
    ],
)
def test_wrong_tokens(token: str) -> None:
    """Nonsense, cut and changed tokens are foreign."""
    assert CSRF.judge({}, "link a", token, MONDAY) is Verdict.FOREIGN


def test_scope_key_and_age() -> None:
    """Another link's token and another installation's are foreign; an old one of ours is stale; the future is stale too."""
    assert CSRF.judge({}, "link b", TOKEN, MONDAY) is Verdict.FOREIGN
    assert Csrf(b"1" * 32, CSRF.origin).judge({}, "link a", TOKEN, MONDAY) is Verdict.FOREIGN
    assert CSRF.judge({}, "link a", TOKEN, MONDAY + timedelta(hours=24)) is Verdict.GENUINE
    assert CSRF.judge({}, "link a", TOKEN, MONDAY + timedelta(hours=25)) is Verdict.STALE
    assert CSRF.judge({}, "link a", TOKEN, MONDAY - timedelta(hours=2)) is Verdict.STALE
