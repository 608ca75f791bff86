"""A recipient without JavaScript: follows the link, asks for the code, reads. Plain HTTP, as a text browser would."""

import re
from html import unescape

import httpx2

_TOKEN = re.compile(r'name="token" value="([^"]+)"')
_CODE = re.compile(r"\b(\d{4}) ?(\d{4})\b")


class Reader:
    """One person with one link. Each call is one step that the pages offer."""

    def __init__(self, link: str) -> None:
        self.link = link
        self.client = httpx2.Client(base_url=link.split("/p/", maxsplit=1)[0], follow_redirects=True, timeout=20)
        self._page = ""

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

    def download(self, label: str) -> bytes:
        """Download the attachment, or the original, that the page shows under this label."""
        answer = self.client.get(self.path_of(label))
        assert answer.status_code == 200
        return answer.content

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
        self._page = answer.text
        return unescape(self._page)
