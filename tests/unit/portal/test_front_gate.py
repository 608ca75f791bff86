"""What every answer carries, and requests that never reach a page."""

import json

import pytest

from portal.access.hosts import allowed_hosts, logged_path
from relay.store.throttle import network_of
from tests.letters import JANE, letter
from tests.portal_stage import Stage
from tests.unit.portal.guest import Guest

LINK = f"/p/{'a' * 26}/{'b' * 52}"


@pytest.mark.parametrize("path", ["/", "/left", LINK, "/nothing", "/c/x", "/healthz", "/static/nothing.css"])
def test_every_answer_carries_the_headers(guest: Guest, path: str) -> None:
    """R41: nothing is framed, sniffed, cached or referred; HSTS on https; no server name."""
    headers = guest.get(path).headers
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self'; img-src 'self';")
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "camera=()" in headers["Permissions-Policy"]
    assert headers["Strict-Transport-Security"] == "max-age=63072000"
    assert "server" not in headers
    assert "set-cookie" not in headers


def test_static_files_are_named_by_their_content(guest: Guest) -> None:
    """The style sheet may be kept for ever: another content has another name."""
    page = guest.get("/").text
    path = page.partition('rel="stylesheet" href="')[2].partition('"')[0]
    answer = guest.get(path)
    assert answer.headers["Content-Type"] == "text/css; charset=utf-8"
    assert "immutable" in answer.headers["Cache-Control"]
    assert guest.get("/static/portal.css").status_code == 404
    assert guest.get("/static/..%2fapp.py").status_code == 404


@pytest.mark.parametrize(
    "host", ["evil.example", "portal.example.org.evil.example", "portal.example.org:444", "", "127.0.0.1"]
)
def test_other_hosts_are_refused(guest: Guest, host: str) -> None:
    """R43: no page for a name that is not ours; no address of ours is built from it."""
    answer = guest.get("/", Host=host)
    assert answer.status_code == 421
    assert host not in answer.text or not host


def test_our_host_with_its_default_port(guest: Guest) -> None:
    """A name with the scheme's own port, in any case, is the same name."""
    assert guest.get("/", Host="Portal.Example.ORG:443").status_code == 200
    assert allowed_hosts("http", "127.0.0.1:8080") == {"127.0.0.1:8080"}
    assert allowed_hosts("https", "[::1]") == {"[::1]", "[::1]:443"}
    assert allowed_hosts("http", "x.example:80") == {"x.example", "x.example:80"}


def test_a_monitor_may_ask_under_any_name(stage: Stage, guest: Guest) -> None:
    """/healthz answers under the machine's address, 503 when something needs a person."""
    answer = guest.get("/healthz", Host="10.0.0.5:8080")
    assert (answer.status_code, json.loads(answer.text)) == (200, {"status": "ok"})
    stage.healthy = False
    assert guest.get("/healthz").status_code == 503


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/p/x", 404),
        ("GET", "/p/a/b/c/d", 404),
        ("GET", "/left/", 404),
        ("POST", "/", 405),
        ("DELETE", LINK, 405),
        ("GET", f"{LINK}/send", 405),
        ("GET", "/x" * 600, 414),
        ("GET", "/?" + "x" * 1000, 414),
    ],
)
def test_refusals_look_like_pages(guest: Guest, method: str, path: str, status: int) -> None:
    """Whatever cannot be answered gets a page in our look, with a way on."""
    answer = guest.client.request(method, path)
    assert answer.status_code == status
    assert "Example Council" in answer.text
    assert "Help desk" in answer.text


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"token=" + b"x" * 20_000, "application/x-www-form-urlencoded", 413),
        (b"&".join(b"a%d=1" % number for number in range(50)), "application/x-www-form-urlencoded", 400),
        (b"token=\xff\xfe", "application/x-www-form-urlencoded", 400),
        (b'{"token": ""}', "application/json", 415),
        (b"--x\r\n", "multipart/form-data; boundary=x", 415),
        (b"", "", 415),
        (b"token=%00%ff&code=%ff", "application/x-www-form-urlencoded", 403),
        (b"token=\xc3\xa9.\xc3\xa9"[:6], "application/x-www-form-urlencoded;charset=utf-8", 403),
    ],
)
def test_bodies_are_bounded(stage: Stage, guest: Guest, body: bytes, content_type: str, status: int) -> None:
    """R44: size, fields and form of a body; nonsense is refused before anything is looked up."""
    link = stage.seal(letter(to=[JANE]))[JANE]
    answer = guest.client.post(link.path, content=body, headers={"Content-Type": content_type})
    assert answer.status_code == status
    assert "Example Council" in answer.text
    assert not stage.codes


def test_many_header_fields_are_refused(guest: Guest) -> None:
    """More than 64 fields are nobody's browser."""
    assert guest.client.get("/", headers={f"X-{number}": "1" for number in range(80)}).status_code == 431


def test_a_failure_of_ours_tells_a_number_and_no_more(stage: Stage, guest: Guest) -> None:
    """R19: the store is gone: 503 with a number, no error text; the log has the number and no secret."""
    link = stage.seal(letter(to=[JANE]))[JANE]
    (stage.folder / "letterlock.db").unlink()
    stage.close()
    answer = guest.get(link.path)
    assert answer.status_code in (500, 503)
    assert "Your message is safe" in guest.text
    assert "Error" not in guest.text.replace("Errors", "")
    assert "sqlite" not in answer.text.lower()


@pytest.mark.parametrize(
    ("path", "logged"),
    [
        (LINK, f"/p/{'a' * 26}"),
        (f"{LINK}/code", f"/p/{'a' * 26}"),
        ("/p/secret-in-the-wrong-place-xxxxxxxxxxxxxxxxxx/y", "/p/other"),
        (f"/c/{'a' * 26}/x/part/y", f"/c/{'a' * 26}"),
        ("/", "/"),
        ("/static/portal-1.css", "/static"),
        ("/\x1b[31m\r\nforged", "other"),
        ("/p/\u00e9", "/p/other"),
        ("/p", "other"),
    ],
)
def test_the_access_log_holds_no_secret(path: str, logged: str) -> None:
    """R45: ids and fixed words only."""
    assert logged_path(path) == logged


@pytest.mark.parametrize(
    ("client", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
        ("", ""),
    ],
)
def test_what_counts_as_one_client(client: str, network: str) -> None:
    """An IPv4 address or a /64."""
    assert network_of(client) == network
