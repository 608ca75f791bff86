"""A reader's browser without JavaScript, over the application itself: follows pages, fills in forms."""

import re
from collections.abc import Mapping, Sequence
from html import unescape
from typing import Any

import httpx2
from starlette.testclient import TestClient

from relay.vault.vault import PickupLink
from tests.portal_stage import Stage

_HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)">')
_TOKEN = re.compile(r'name="token" value="([^"]+)"')


class Guest:
    """One browser. ``page`` is the last answer; redirects are followed."""

    def __init__(self, stage: Stage, address: str = "198.51.100.7", language: str = "en") -> None:
        self.stage = stage
        self.client = TestClient(
            stage.app,
            base_url=stage.base_url,
            headers={"Accept-Language": language},
            client=(address, 50000),
            raise_server_exceptions=False,
        )
        self.page: httpx2.Response = httpx2.Response(204)

    @property
    def text(self) -> str:
        """The page as a person reads it: no markup, entities decoded, blanks collapsed."""
        words = re.sub(r"<[^>]*>", " ", self.page.text.partition("<body>")[2] or self.page.text)
        return " ".join(unescape(words).split())

    def get(self, path: str, **fields: str) -> httpx2.Response:
        """Open a page; ``fields`` are header fields with _ for -."""
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        self.page = self.client.get(path, headers=headers)
        return self.page

    def post(self, path: str, headers: dict[str, str] | None = None, **fields: str) -> httpx2.Response:
        """Send a form with the token of the present page."""
        token = _TOKEN.search(self.page.text)
        data = {"token": unescape(token[1]) if token else "", **fields}
        self.page = self.client.post(path, data=data, headers=headers)
        return self.page

    def ask(self, link: PickupLink) -> str:
        """Follow a link and ask for the code; return the code that was mailed last."""
        self.get(link.path)
        self.post(link.path)
        return self.stage.codes[-1].code if self.stage.codes else ""

    def enter(self, link: PickupLink, code: str, name: str = "") -> httpx2.Response:
        """Type a code."""
        return self.post(f"{link.path}/code", code=code, name=name)

    def read(self, link: PickupLink, name: str = "") -> str:
        """Go all the way; return the path of the conversation."""
        self.enter(link, self.ask(link), name)
        assert self.page.status_code == 200, self.text
        return self.page.url.path

    def form(self) -> dict[str, list[str]]:
        """Return the hidden fields of the form for an answer on the present page."""
        form = self.page.text.partition('enctype="multipart/form-data"')[2].partition("</form>")[0]
        fields: dict[str, list[str]] = {}
        for name, value in _HIDDEN.findall(form):
            fields.setdefault(name, []).append(unescape(value))
        return fields

    def answer(
        self,
        path: str,
        do: str = "send",
        *,
        files: Sequence[tuple[str, str, bytes]] = (),
        fields: Mapping[str, Sequence[str]] | None = None,
        **typed: str | Sequence[str],
    ) -> httpx2.Response:
        """Fill in the form for an answer on the present page (or the hidden ``fields`` of another) and press a button.

        Fields stand in the order of the page, files (name, type, content) after the text and before the button.
        """
        parts: list[tuple[str, Any]] = []
        button = {"remove": typed.pop("remove")} if "remove" in typed else {"do": do}
        for name, values in {**(self.form() if fields is None else fields), **typed}.items():
            parts += [(name, (None, value.encode())) for value in ([values] if isinstance(values, str) else values)]
        parts += [("files", (name, content, kind)) for name, kind, content in files] or [
            ("files", ("", b"", "application/octet-stream"))
        ]
        parts += [(name, (None, str(value).encode())) for name, value in button.items()]
        self.page = self.client.post(f"{path}/answer", files=parts)
        return self.page

    def path_of(self, label: str) -> str:
        """The path of the download with this name on the present page."""
        anchors = re.findall(r'<a href="([^"]+)" download>(.*?)</a>', self.page.text, re.DOTALL)
        [path] = [path for path, shown in anchors if label in unescape(re.sub(r"<[^>]+>", "", shown))]
        return str(path)
