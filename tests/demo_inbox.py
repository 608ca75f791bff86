"""Somebody in front of the demo inbox: looks into mailboxes and answers mail, on its own pages and without scripts."""

import re
import time
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from html import unescape
from urllib.parse import quote

import httpx2

_LINE = re.compile(r'<a href="/message/([^"]+)">(.*?)</a>')
_FIELD = re.compile(r'<input (?:type="hidden" )?name="(\w+)"[^>]*? value="([^"]*)"')
_TEXT = re.compile(r"<textarea[^>]*>(.*?)</textarea>", re.DOTALL)
_SAID = re.compile(r'role="status">(.*?)</p>')


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail in a mailbox."""

    id: str
    subject: str
    message: EmailMessage

    @property
    def text(self) -> str:
        """The plain text that a mail program shows."""
        part = self.message.get_body(preferencelist=("plain",))
        assert part is not None, "the mail has no plain text"
        return str(part.get_content())


class DemoInbox:
    """The pages at ``base_url``."""

    def __init__(self, base_url: str) -> None:
        self._client = httpx2.Client(base_url=base_url, follow_redirects=True, timeout=20)

    def close(self) -> None:
        """Close the window."""
        self._client.close()

    def wait_for(self, mailbox: str, subject: str, *, after: frozenset[str] = frozenset()) -> Mail:
        """Return the newest mail whose subject holds these words and that is none of ``after``; at most 20 seconds."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            for id_, shown in _LINE.findall(self._client.get(f"/mailbox/{quote(mailbox)}").text):
                if id_ not in after and subject in unescape(shown):
                    return self._mail(id_, unescape(shown))
            time.sleep(0.1)  # between looks at another process
        raise AssertionError(f"no mail with {subject!r} for {mailbox}")

    def known(self, mailbox: str) -> frozenset[str]:
        """Return the ids of all that is in a mailbox."""
        return frozenset(id_ for id_, _ in _LINE.findall(self._client.get(f"/mailbox/{quote(mailbox)}").text))

    def answer(self, mail: Mail, words: str) -> str:
        """Press "Answer", write above the old text, send; return what the page says the gateway answered."""
        page = self._client.get("/write", params={"answer": mail.id}).text
        form = {name: unescape(value) for name, value in _FIELD.findall(page)}
        old = _TEXT.search(page)
        assert old, "the page has no form"
        form["text"] = words + unescape(old[1])
        said = _SAID.search(self._client.post("/write", data=form, files={"attachments": ("", b"")}).text)
        assert said, "the page does not say what the gateway answered"
        return unescape(said[1])

    def _mail(self, id_: str, subject: str) -> Mail:
        message = message_from_bytes(self._client.get(f"/message/{id_}/original").content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        return Mail(id_, subject, message)
