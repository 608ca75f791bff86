"""Hostile mail HTML in a real Chromium with JavaScript on: nothing runs, loads, steers or leaves its frame.

Each layer is tried alone, so that none hides a hole in another: the filter without any policy, and the policy without
the filter; then both as the portal serves them. The first test shows that the trap works: served raw, payloads fire.
"""

import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import Browser, FloatRect, Frame, Page, Route
from starlette.applications import Starlette
from starlette.requests import Request as WebRequest
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route as WebRoute

from portal.access.headers import MAIL_POLICY, PAGE_POLICY
from portal.rendering.html import mail_document
from portal.rendering.pages import static_files
from portal.rendering.text import text_to_html
from tests.gateway import free_port

pytestmark = pytest.mark.browser

CLASSES = sorted(file.stem for file in (Path(__file__).parent / "payloads").glob("*.txt"))
SPELLED = {"\u23ce": "\n", "\u2400": "\0", "\u240b": "\v", "\u240c": "\f"}
SANDBOX = 'sandbox="allow-popups allow-popups-to-escape-sandbox" referrerpolicy="no-referrer"'
BATCH = 15


def payloads(name: str) -> list[str]:
    """Return the payloads of a class, one a line."""
    lines = (Path(__file__).parent / "payloads" / f"{name}.txt").read_text("utf-8").split("\n")
    found = [line for line in lines if line and not line.startswith("# ")]
    return ["".join(SPELLED.get(character, character) for character in line) for line in found]


def test_the_corpus_is_large() -> None:
    """At least 150 payloads, written out by class."""
    assert sum(len(set(payloads(name))) for name in CLASSES) >= 150
    assert len(CLASSES) >= 8


@dataclass(slots=True)
class Stand:
    """A web page for each payload: served raw, filtered, framed by policy, or as the portal does it."""

    origin: str
    server: uvicorn.Server = field(repr=False)

    def url(self, kind: str, name: str, number: int) -> str:
        """The document of one payload."""
        return f"{self.origin}/document/{kind}/{name}/{number}"

    def host(self, kind: str, name: str, start: int) -> str:
        """A page with a batch of documents in frames, sandboxed and under the portal's policy for the two last kinds."""
        return f"{self.origin}/host/{kind}/{name}/{start}"


def _safe(source: str) -> str:
    found = mail_document(source, language="en", title="t", gettext=str, load_image=lambda _cid: None)
    assert found
    return found.document


async def _document(request: WebRequest) -> Response:
    kind, name = request.path_params["kind"], request.path_params["name"]
    source = payloads(name)[int(request.path_params["number"])] if name != "blank" else "<p>x</p>"
    body = _safe(source) if kind in ("filtered", "portal") else source
    headers = {"Content-Security-Policy": MAIL_POLICY} if kind in ("policy", "portal") else {}
    return HTMLResponse(body, headers=headers)


async def _host(request: WebRequest) -> Response:
    kind, name, start = (request.path_params[key] for key in ("kind", "name", "start"))
    count = len(payloads(name)) if name != "blank" else 1
    boxed = kind in ("policy", "portal")
    frames = "".join(
        f'<iframe {SANDBOX if boxed else ""} width=300 height=120 src="/document/{kind}/{name}/{number}"></iframe>'
        for number in range(int(start), min(int(start) + BATCH, count))
    )
    page = f"<!doctype html><h1>The page around</h1><p>Nothing may cover this.</p>{frames}<p>end</p>"
    return HTMLResponse(page, headers={"Content-Security-Policy": PAGE_POLICY} if boxed else {})


@pytest.fixture(scope="module")
def stand() -> Iterator[Stand]:
    """The stand on a free port."""
    app = Starlette(
        routes=[
            WebRoute("/document/{kind}/{name}/{number}", _document),
            WebRoute("/host/{kind}/{name}/{start}", _host),
        ]
    )
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started:
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)
    yield Stand(f"http://127.0.0.1:{port}", server)
    server.should_exit = True
    thread.join(10)


@dataclass
class Trap:
    """What a page did: scripts that ran, requests that left the stand, documents that moved."""

    origin: str
    ran: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)

    def set_on(self, page: Page) -> None:
        """Watch a page, all its frames and what they open."""
        page.context.expose_binding("fired", lambda source: self.ran.append(source["frame"].url))
        page.context.add_init_script("window.alert = window.confirm = window.prompt = () => fired();")
        # What a policy blocks never comes here: only what would really go out.
        page.context.route(lambda url: not url.startswith(self.origin), self._stop)
        page.on("framenavigated", lambda frame: self.moved.append(frame.url))

    def _stop(self, route: Route) -> None:
        self.left.append(route.request.url)
        route.abort()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A fresh page with JavaScript on."""
    context = chromium.new_context(viewport={"width": 1000, "height": 700})
    yield context.new_page()
    context.close()


def settle(page: Page) -> None:
    """Give timers, animations and refreshes their turn."""
    page.wait_for_timeout(150)


@pytest.mark.parametrize("name", CLASSES)
def test_the_trap_works(page: Page, stand: Stand, name: str) -> None:
    """Served raw, every class of payload runs, loads or steers: what is quiet below is quiet for a reason."""
    trap = Trap(stand.origin)
    trap.set_on(page)
    for start in range(0, len(payloads(name)), BATCH):
        page.goto(stand.host("raw", name, start))
        settle(page)
    assert trap.ran or trap.left


@pytest.mark.parametrize("name", CLASSES)
def test_the_filter_alone(page: Page, stand: Stand, name: str) -> None:
    """Without sandbox and policy: no script, no request, no navigation; links lead to web, mail or telephone only."""
    trap = Trap(stand.origin)
    trap.set_on(page)
    for start in range(0, len(payloads(name)), BATCH):
        url = stand.host("filtered", name, start)
        page.goto(url)
        settle(page)
        assert page.url == url
        for frame in page.frames[1:]:
            assert frame.url.startswith(f"{stand.origin}/document/filtered/{name}/")
            check(frame)
    assert (trap.ran, trap.left) == ([], [])


def check(frame: Frame) -> None:
    """Look at the filtered document as the browser has it: nothing in it could run, load or submit."""
    facts: Mapping[str, list[str]] = frame.evaluate(
        """() => {
          const all = [...document.querySelectorAll('*')];
          return {
            elements: all.map(e => e.localName),
            handlers: all.flatMap(e => [...e.attributes].map(a => a.name).filter(n => n.startsWith('on'))),
            schemes: all.filter(e => e.hasAttribute('href')).map(e => e.protocol),
            spaces: [...new Set(all.map(e => e.namespaceURI))],
          };
        }"""
    )
    dangerous = {
        "script",
        "iframe",
        "object",
        "embed",
        "form",
        "input",
        "button",
        "link",
        "base",
        "svg",
        "math",
        "area",
    }
    assert not dangerous & set(facts["elements"]), frame.url
    assert not facts["handlers"], frame.url
    assert set(facts["schemes"]) <= {"http:", "https:", "mailto:", "tel:"}, frame.url
    assert facts["spaces"] == ["http://www.w3.org/1999/xhtml"], frame.url


@pytest.mark.parametrize("kind", ["policy", "portal"])
@pytest.mark.parametrize("name", CLASSES)
def test_in_the_frame(page: Page, stand: Stand, name: str, kind: str) -> None:
    """In the portal's frame, unfiltered (policy) and filtered (portal): no script, nothing off-origin, the page stays."""
    trap = Trap(stand.origin)
    trap.set_on(page)
    for start in range(0, len(payloads(name)), BATCH):
        trap.moved.clear()
        url = stand.host(kind, name, start)
        page.goto(url, wait_until="load")
        settle(page)
        assert page.url == url
        assert page.locator("h1").inner_text() == "The page around"
        if kind == "portal":
            assert all(moved.startswith((f"{stand.origin}/document/portal/", url)) for moved in trap.moved)
    assert (trap.ran, trap.left) == ([], [])


def test_nothing_is_drawn_outside_the_frame(page: Page, stand: Stand) -> None:
    """Whatever style a mail brings, the pixels of the page around its frame are those of an empty mail."""
    around: FloatRect = {"x": 0.0, "y": 0.0, "width": 900.0, "height": 110.0}
    page.goto(stand.host("portal", "blank", 0))
    settle(page)
    expected = page.screenshot(clip=around)
    for name in ("styles", "svg", "documents"):
        for start in range(0, len(payloads(name)), BATCH):
            page.goto(stand.host("portal", name, start))
            settle(page)
            assert page.screenshot(clip=around) == expected, (name, start)


# %s is a link to evil.test that says https://bank.test; OTHER is an honest link, whose note could lie on that of the first.
OTHER = '<a href="https://bank.test/" style="font-size:0">x</a>'
_COVERED = (
    "<style>a+span{margin-left:-9999px}</style>%s",
    "<style>span{padding:0 0 0 9999px;letter-spacing:-9px;word-spacing:-99px;vertical-align:9999px}</style>%s",
    "<style>.ll-to{direction:rtl;unicode-bidi:bidi-override;width:0;float:right;clear:both;font:0/0 a}</style>%s",
    "<style>.ll-link,.ll-link span{display:none;visibility:hidden;width:0;max-width:1px;float:right}</style>%s",
    '<div style="opacity:.001">%s</div>',
    '<p style="margin:0">%s</p><div style="opacity:.9;background:#fff;margin-top:-30px;height:40px">[bank.test]</div>',
    '<p>%s<span style="display:inline-block;background:#fff;margin-left:-90px;width:90px">&nbsp;</span></p>',
    "<style>div{white-space:nowrap}a{padding-right:9999px}</style><div>%s</div>",
    "<style>div{width:20000px;text-align:right}a{float:left}</style><div>%s</div>",
    "<style>div{direction:rtl;white-space:nowrap}a{padding-left:9999px}</style><div>%s</div>",
    "<style>div{margin-left:-500px;width:90px;white-space:nowrap}a{padding-left:510px;margin-right:-700px}</style><div>%s</div>",
    "<style>a{display:block;margin-bottom:calc(1px - 500px)}</style>%s",
    # Far from the words
    '<div style="margin-left:5000px;text-indent:-5000px;width:300px">%s</div>',
    "<style>div{padding-left:3000px;text-indent:-3000px;white-space:nowrap}a{padding-right:5000px}</style><div>%s</div>",
    "<style>a{display:block;padding-bottom:5000px}</style>%s",
    "<style>a{display:block;margin-bottom:5000px}</style>%s",
    "<style>a{display:block;height:5000px;border-bottom:5000px solid #fff}</style>%s",
    "<style>a{vertical-align:5000px}</style>%s",
    "<style>p{height:5000px}a{display:table-header-group}</style><div style='display:table'><p>x</p>%s</div>",
    "<style>b{display:block;width:100%%;text-indent:400%%;margin-left:300%%}</style>%s",
    "<style>b{display:table;border-spacing:0 3000px}</style>%s",
    "<style>b{display:block;direction:rtl;width:9000px;padding-left:8000px}</style><div dir=rtl>%s</div>",
    # Under another note
    '<div style="height:0">%s</div><div style="padding-left:138px">OTHER</div>',
    '<div style="height:0;max-height:0">%s</div><img src="https://x.test/a.png" alt="[bank.test] and many words more">',
    '<table cellspacing=0 style="table-layout:fixed;width:400px"><td style="width:138px;white-space:nowrap">%s<td>OTHER</table>',
    '<div style="float:left;width:138px;max-width:138px;white-space:nowrap">%s</div>OTHER',
    '<table><td><div style="margin-left:100%%;white-space:nowrap">%s</div><td>OTHER<td>OTHER<td>OTHER</table>',
    '<style>a{padding-right:9999px}</style><div style="white-space:nowrap">%s OTHER</div>',
    '<div style="line-height:0">%s<br>OTHER</div>',
)
# What a link holds that says https://bank.test at one place.
_LONG = (
    "<b>https://bank.test</b>",
    "https://bank.test" + "<br>" * 300,
    "<br>" * 300 + "https://bank.test" + "<br>" * 300,
    "https://bank.test" + "&nbsp; " * 9000,
    f"<span style='white-space:nowrap'>https://bank.test{'&nbsp;' * 3000}</span>",
    "<sup style='font-size:16px'>" * 150 + "https://bank.test",
    "<table height=9000><tr><td valign=top>https://bank.test</table>",
    "https://bank.test<hr size=9000>",
    "https://bank.test<span style='font-size:3000px'>&nbsp;</span>",
    "<table style='margin-left:5000px'><tr><td>https://bank.test</table>",
)
# Brings the words of the link into view, and says whether nothing lies on any part of the note then.
_NOTE_IN_VIEW = """link => {
  const words = document.createTreeWalker(link, NodeFilter.SHOW_TEXT), range = document.createRange();
  while (!words.nextNode().data.includes('bank.test'));
  range.selectNodeContents(words.currentNode);
  let box = range.getBoundingClientRect();
  scrollBy(box.x - 200, box.y - 300);
  box = range.getBoundingClientRect();
  if (box.right < 0 || box.bottom < 0) return true;  // over the edge: a link that nobody sees
  const note = link.querySelector('.ll-to'), area = note.getBoundingClientRect();
  let shown = area.width > 50;
  for (let e = note; e; e = e.parentElement) shown &&= getComputedStyle(e).opacity === '1';
  for (let i = 1; i < 10; i++)
    shown &&= document.elementFromPoint(area.x + area.width * i / 10, area.y + area.height / 2) === note;
  return shown;
}"""


def test_where_a_link_leads_is_seen(page: Page) -> None:
    """Nothing of the sender moves, hides or covers our note behind a link that says something else."""
    link = '<a href="https://evil.test/">%s</a>'
    mails = [around.replace("OTHER", OTHER) % (link % _LONG[0]) for around in _COVERED]
    for mail in (*mails, *(link % content for content in _LONG[1:])):
        page.set_content(_safe(mail))
        found = page.locator("a[href*='evil']")
        assert found.evaluate(_NOTE_IN_VIEW), mail[:400]
        assert found.locator(".ll-to").inner_text() == "[evil.test]", mail[:400]


@pytest.mark.parametrize(
    "around",
    [
        '<bdo dir="rtl">%s</bdo>',
        '<p style="direction:rtl;unicode-bidi:bidi-override">%s</p>',
        "<p>\u202e%s</p>",
        "<style>a,span{direction:rtl;unicode-bidi:bidi-override}</style>%s",
    ],
)
def test_a_link_that_says_where_it_leads_is_not_read_backwards(page: Page, around: str) -> None:
    """What stands without a note is shown in its own order: moc.elgoog.com is not moc.google.com."""
    page.set_content(_safe(around % '<a href="https://moc.elgoog.com/">moc.elgoog.com</a>'))
    assert places(page, 0, 6, 13) == sorted(places(page, 0, 6, 13))


def test_a_link_in_plain_text_is_not_read_backwards(page: Page) -> None:
    """There the address is the link: a mark that turns the order of letters ends in front of it."""
    sheet = static_files()["portal.css"].content.decode()
    page.set_content(
        f"<style>{sheet}</style><div class='text'>{text_to_html(chr(0x202E) + 'https://moc.elgoog.com')}</div>"
    )
    assert places(page, 8, 14, 21) == sorted(places(page, 8, 14, 21))


def places(page: Page, *at: int) -> list[float]:
    """Where letters of the only link are drawn, from the left."""
    found: list[float] = page.locator("a").evaluate(
        """(link, at) => {
          const words = document.createTreeWalker(link, NodeFilter.SHOW_TEXT).nextNode(), range = document.createRange();
          return at.map(place => {
            range.setStart(words, place); range.setEnd(words, place + 1);
            return range.getBoundingClientRect().x;
          });
        }""",
        at,
    )
    return found


def test_clicking_every_link_runs_nothing(page: Page, stand: Stand) -> None:
    """A reader who clicks on anything in a filtered mail opens a web page in a new tab, without a way back to ours."""
    trap = Trap(stand.origin)
    trap.set_on(page)
    for start in range(0, len(payloads("addresses")), BATCH):
        page.goto(stand.host("filtered", "addresses", start))
        for frame in page.frames[1:]:
            for link in frame.locator("a[href]").all():
                assert link.get_attribute("target") == "_blank"
                assert "noopener" in (link.get_attribute("rel") or "")
                link.dispatch_event("click")
            assert "/document/filtered/" in frame.url
    settle(page)
    assert trap.ran == []
    assert trap.left, "no link was followed"
    assert all(url.startswith(("https://evil.test/", "https://good.test/")) for url in trap.left)
