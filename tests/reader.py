"""A recipient without JavaScript: follows the link, asks for the code, reads. Plain HTTP, as a text browser would."""

import re
from collections.abc import Sequence
from html import unescape

import httpx2

_TOKEN = re.compile(r'name="token" value="([^"]+)"')
_TAG = re.compile(r"<[^>]+>|\u200b|&#8203;|<wbr>")
_CODE = re.compile(r"\b(\d{4}) ?(\d{4})\b")


class Reader:
    """One person with one link. Each call is one step that the pages offer."""

    def __init__(self, link: str) -> None:
        self.link = link
        self.client = httpx2.Client(base_url=link.split("/p/", maxsplit=1)[0], follow_redirects=True, timeout=20)
        self._page = self._url = ""

    def arrive(self) -> str:
        """Open the link and return the page."""
        return self._keep(self.client.get(self.link))

    def ask_for_code(self) -> str:
        """Press the button that sends the code."""
        self.arrive()
        return self._post(self.link)

    @staticmethod
    def code_in(text: str) -> str:
        """The code of a code mail."""
        found = _CODE.search(text)
        assert found, "the mail has no code"
        return found[1] + found[2]

    def enter(self, code: str, name: str = "") -> str:
        """Type the code and return the page that follows."""
        return self._post(f"{self.link}/code", code=code, name=name)

    def ask_for_new_link(self) -> str:
        """Press the button on the page of a link that opens nothing any more; return the page that follows."""
        self.arrive()
        return self._post(f"{self.link}/new")

    def answer(self, text: str, *, also: Sequence[str] = (), files: Sequence[tuple[str, bytes]] = ()) -> str:
        """Send an answer, ``also`` to the readers whose boxes have these labels; return the page that follows."""
        form = re.search(r'<form method="post" action="([^"]+/answer)".*?</form>', self._page, re.DOTALL)
        assert form, "the page has no form for an answer"
        hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', form[0])
        boxes = re.findall(r'name="to" value="([^"]+)"[^>]*> <label[^>]*>(.*?)</label>', form[0], re.DOTALL)
        chosen = [value for value, label in boxes if any(one in unescape(_TAG.sub("", label)) for one in also)]
        assert len(chosen) == len(also), f"the page offers {boxes}"
        data: dict[str, list[str]] = {"text": [text], "do": ["send"], "to": chosen}
        for name, value in hidden:
            data.setdefault(name, []).append(unescape(value))
        sent = [("files", (name, content, "application/octet-stream")) for name, content in files]
        # A text browser sends a form with files in parts, with or without one.
        sent = sent or [("files", ("", b"", "application/octet-stream"))]
        return self._keep(self.client.post(form[1], data=data, files=sent))

    @property
    def page(self) -> str:
        """The page that the person looks at."""
        return unescape(self._page)

    @property
    def company(self) -> str:
        """The part of the page that says to whom an answer can go."""
        found = re.search(r'<section class="card answer.*?</section>', self._page, re.DOTALL)
        return unescape(_TAG.sub("", found[0])) if found else ""

    def download(self, label: str) -> bytes:
        """Download the attachment, or the original, that the page shows under this label."""
        answer = self.client.get(self.path_of(label))
        assert answer.status_code == 200
        return answer.content

    def download_all(self) -> list[bytes]:
        """Download everything that the page offers."""
        paths = re.findall(r'<a href="([^"]+)" download>', self._page)
        return [self.client.get(path).content for path in paths]

    def look_again(self) -> str:
        """Load the page anew."""
        return self._keep(self.client.get(self._url))

    def path_of(self, label: str) -> str:
        """The path behind a download link."""
        anchors = re.findall(r'<a href="([^"]+)" download>(.*?)</a>', self._page, re.DOTALL)
        [path] = [path for path, shown in anchors if label in unescape(re.sub(r"<[^>]+>", "", shown))]
        return str(path)

    def _post(self, path: str, **fields: str) -> str:
        token = _TOKEN.search(self._page)
        assert token, "the page has no form"
        return self._keep(self.client.post(path, data={"token": unescape(token[1]), **fields}))

    def _keep(self, answer: httpx2.Response) -> str:
        self._page, self._url = answer.text, str(answer.url).partition("#")[0]
        return unescape(self._page)
