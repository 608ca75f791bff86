"""The organisation's letterhead: what every mail that we write has in common, whatever it says.

Every value that came from outside goes through the one function that makes text harmless (R20) before a
template sees it: no control characters, no bidi marks, a bounded length. HTML is escaped by the template
engine, and each foreign value stands in ``<bdi>`` so that right-to-left text cannot reorder what is around
it.

A family of notices is a small class over this one, in a module of its own. Its templates are the folder
``templates/<notice>/`` with ``text.j2`` and ``html.j2``; its translations are ``locale/<tag>.po``, or
``locale/<topic>/<tag>.po`` beside them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import cache
from pathlib import Path

from relay.languages import Language, load_languages
from relay.message.headers import header_value, named_address
from relay.notices.mime import enclosed, message, multipart, new_message_id, text_part
from relay.notices.rendering import Rendering

LOCALE = Path(__file__).parent / "locale"
LOCAL_PART = "notices"  # of the address in From, where the notice names no other


@dataclass(frozen=True, slots=True)
class Composed:
    """A finished mail and the Message-ID that it carries."""

    message_id: str
    content: bytes


class Letterhead:
    """Renders and composes the mail of one organisation.

    ``contact`` is how a stranger checks that a mail is genuine; ``domain`` is ``[gateway] domain``; ``base_url``
    is where pickup links begin, without a slash at the end. ``tags`` are the languages: what nobody asked for is
    written in the first, in the others only what answers a page or a mail in them. Dates are written in ``zone``.
    """

    def __init__(
        self,
        *,
        organisation: str,
        contact: str,
        domain: str,
        base_url: str,
        tags: Sequence[str] = ("en",),
        zone: tzinfo = UTC,
    ) -> None:
        self.organisation = header_value(organisation, 100)
        self.contact = header_value(contact, 200)
        self.domain = domain
        self.base_url = base_url.rstrip("/")
        self.zone = zone
        self.languages: Mapping[str, Language] = load_languages(catalogue_folders(), tuple(tags))
        self._default = tags[0]
        self._rendering = cache(self._rendering_in)

    def tag(self, wanted: str = "") -> str:
        """Return the language to write in: the one that is wanted if it is offered, else the default."""
        return wanted if wanted in self.languages else self._default

    def sender(self, local_part: str = LOCAL_PART) -> str:
        """Return the organisation's name with an address of ours, for From."""
        return self.sender_at(f"{local_part}@{self.domain}")

    def sender_at(self, address: str) -> str:
        """Return the organisation's name with this address, for From or Reply-To."""
        return named_address(self.organisation, address)

    def write(
        self,
        notice: str,
        tag: str,
        *,
        to: str,
        subject: str,
        now: datetime,
        more: Sequence[tuple[str, str]] = (),
        from_: str = "",
        attached: bytes | None = None,
        message_id: str = "",
        answers: bool = False,
        **values: object,
    ) -> Composed:
        """Return a finished mail from the templates of ``notice``.

        ``more`` are further header fields, ``from_`` is the whole value of From (the default is the organisation at
        its address for notices), ``message_id`` is drawn where none is given (`relay.queue.own_mail`);
        ``attached`` is a mail in 7-bit octets to come along with it; ``answers`` says that it answers somebody's
        mail. ``values`` are what the templates need besides ``organisation``, ``contact``, ``base_url``, ``lang``
        and ``subject``; a missing one raises jinja2.UndefinedError.
        """
        values["subject"] = subject
        rendering = self._rendering(tag)
        text, html = (rendering.render(f"{notice}/{name}.j2", values) for name in ("text", "html"))
        body = multipart("alternative", [text_part("plain", text), text_part("html", html)])
        if attached is not None:
            body = multipart("mixed", [body, enclosed(attached)])
        message_id = message_id or new_message_id(self.domain)
        content = message(
            from_=from_ or self.sender(),
            to=to,
            subject=subject,
            now=now,
            message_id=message_id,
            answers=answers,
            more=[*more, ("Content-Language", tag)],
            body=body,
        )
        return Composed(message_id, content)

    def _rendering_in(self, tag: str) -> Rendering:
        fixed = {
            "organisation": self.organisation,
            "contact": self.contact,
            "base_url": self.base_url,
            "lang": tag,
        }
        return Rendering(self.languages[tag], fixed)


def thread_fields(message_ids: Sequence[str]) -> list[tuple[str, str]]:
    """Return In-Reply-To and References for a mail that answers the last of ``message_ids`` (RFC 5322 section 3.6.4).

    Identifiers have their angle brackets; those that no header field can carry are left out.
    """
    known = [one for one in (header_value(one, 990) for one in message_ids) if _is_message_id(one)]
    return [("In-Reply-To", known[-1]), ("References", " ".join(known))] if known else []


def catalogue_folders() -> Iterator[Path]:
    """Yield the folders that hold a catalogue for each language."""
    yield LOCALE
    yield from sorted(folder for folder in LOCALE.iterdir() if folder.is_dir())


def _is_message_id(text: str) -> bool:
    return text.isascii() and text.startswith("<") and text.endswith(">") and " " not in text
