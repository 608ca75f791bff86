"""Replies as mail programs write them: own reconstructions of headers, quoting, HTML and encodings, in four languages.

``tests/mail/replies`` has one file a program; the words that a program translates stand in the tables here.
"""

import base64
import quopri
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from html import escape
from pathlib import Path
from string import Template
from typing import cast

from tests.letters import ANNA
from tests.postoffice import Delivered

FOLDER = Path(__file__).parent / "mail" / "replies"
PROGRAMS = tuple(sorted(file.stem for file in FOLDER.glob("*.txt")))
LANGUAGES = ("en", "nl", "de", "fr")
_SECTION = re.compile(r"^=== (.+)\n", re.MULTILINE)
_ADDRESS = re.compile(r"[\w.+-]+@[\w.-]+\w")

_WORDS = {
    "en": {
        "re": "RE",
        "from": "From",
        "sent": "Sent",
        "to": "To",
        "subject_word": "Subject",
        "day": "22 November 2026",
        "gmail": "On Sun, 22 Nov 2026 at 12:05, {who}\nwrote:",
        "apple": "On 22 Nov 2026, at 12:05, {who} wrote:",
        "thunderbird": "On 22/11/2026 12:05, Example Council wrote:",
        "outlook_signature": "Get Outlook for iOS",
        "apple_signature": "Sent from my iPhone",
    },
    "nl": {
        "re": "RE",
        "from": "Van",
        "sent": "Verzonden",
        "to": "Aan",
        "subject_word": "Onderwerp",
        "day": "zondag 22 november 2026",
        "gmail": "Op zo 22 nov 2026 om 12:05 schreef {who}:",
        "apple": "Op 22 nov 2026, om 12:05 heeft {who} het volgende geschreven:",
        "thunderbird": "Op 22-11-2026 om 12:05 schreef Example Council:",
        "outlook_signature": "Outlook voor iOS downloaden",
        "apple_signature": "Verstuurd vanaf mijn iPhone",
    },
    "de": {
        "re": "AW",
        "from": "Von",
        "sent": "Gesendet",
        "to": "An",
        "subject_word": "Betreff",
        "day": "Sonntag, 22. November 2026",
        "gmail": "Am So., 22. Nov. 2026 um 12:05\u202fUhr schrieb {who}:",
        "apple": "Am 22.11.2026 um 12:05 schrieb {who}:",
        "thunderbird": "Am 22.11.26 um 12:05 schrieb Example Council:",
        "outlook_signature": "Outlook für iOS herunterladen",
        "apple_signature": "Von meinem iPhone gesendet",
    },
    "fr": {
        "re": "RE",
        "from": "De",
        "sent": "Envoyé",
        "to": "À",
        "subject_word": "Objet",
        "day": "dimanche 22 novembre 2026",
        "gmail": "Le dim. 22 nov. 2026 à 12:05, {who} a\nécrit\u00a0:",
        "apple": "Le 22 nov. 2026 à 12:05, {who} a écrit\u00a0:",
        "thunderbird": "Le 22/11/2026 à 12:05, Example Council a écrit\u00a0:",
        "outlook_signature": "Télécharger Outlook pour iOS",
        "apple_signature": "Envoyé de mon iPhone",
    },
}


@dataclass(frozen=True)
class Answered:
    """The mail of ours that somebody answers: its address for answers, Message-ID, Subject, text and HTML."""

    control: str
    author: str
    message_id: str
    subject: str
    text: str
    html: str

    @classmethod
    def of(cls, mail: Delivered) -> "Answered":
        """Return what a mail program takes from a mail when somebody presses Reply."""
        message = mail.message
        html = message.get_body(("html",))
        assert html is not None, "our mail has no HTML"
        return cls(
            control=message["Reply-To"].addresses[0].addr_spec,
            author=message["From"].addresses[0].addr_spec,
            message_id=message["Message-ID"],
            subject=re.sub(r"^(?:re|aw|antw): ?", "", str(message["Subject"]), flags=re.IGNORECASE),
            text=mail.text.replace("\r\n", "\n"),
            html=cast("EmailMessage", html).get_content(),
        )


def reply(
    program: str, typed: str, answered: Answered, *, language: str = "en", sender: str = ANNA, unique: str = ""
) -> bytes:
    """Return what ``program``, set to ``language``, sends when somebody types ``typed`` as an answer; CRLF line ends."""
    values = _values(typed, answered, language, sender, unique or f"{random.getrandbits(80):020x}")
    pieces = _SECTION.split((FOLDER / f"{program}.txt").read_text(encoding="utf-8"))[1:]
    sections = [
        (name.split(), Template(body).substitute(values)) for name, body in zip(pieces[::2], pieces[1::2], strict=True)
    ]
    header = sections[0][1].encode()
    boundary = re.search(r'boundary="?([^"\n]+)"?', sections[0][1])
    if boundary is None:
        [(kind, text)] = sections[1:]
        return _crlf(header) + b"\r\n" + _encoded(kind, text)[1]
    mark = boundary[1].encode()
    parts = [b"--%s\r\n%s\r\n%s\r\n" % (mark, *_encoded(kind, text)) for kind, text in sections[1:]]
    return b"".join([_crlf(header), b"\r\n", *parts, b"--%s--\r\n" % mark])


def _encoded(kind: list[str], text: str) -> tuple[bytes, bytes]:
    """Return header fields and octets of a part; ``kind`` is its type, charset and transfer encoding as in the file."""
    charset = kind[1] if len(kind) > 1 else "utf-8"
    encoding = kind[2] if len(kind) > 2 else "quoted-printable"
    if charset == "us-ascii-or-utf-8":
        charset = "us-ascii" if text.isascii() else "utf-8"
    octets = _crlf(text.encode(charset, "xmlcharrefreplace" if kind[0] == "html" else "replace"))
    if encoding == "quoted-printable":
        octets = _crlf(quopri.encodestring(octets.replace(b"\r\n", b"\n")))
    elif encoding == "base64":
        octets = _crlf(base64.encodebytes(octets))
    fields = f'Content-Type: text/{kind[0]}; charset="{charset}"\r\nContent-Transfer-Encoding: {encoding}\r\n'
    return fields.encode(), octets


def _values(typed: str, answered: Answered, language: str, sender: str, unique: str) -> Mapping[str, str]:
    words = _WORDS[language]
    who = f"Example Council <{answered.author}>"
    link = f'<a href="mailto:{answered.author}">{answered.author}</a>'
    lines = typed.split("\n")
    linked = [_ADDRESS.sub(r'<a href="mailto:\g<0>">\g<0></a>', escape(line)) or "<br>" for line in lines]
    quoted = answered.text.strip()
    return {
        **words,
        "language": language,
        "sender": sender,
        "control": answered.control,
        "author": answered.author,
        "receipt_id": answered.message_id,
        "receipt_id_bare": answered.message_id.strip("<>"),
        "subject": answered.subject,
        "unique": unique,
        "typed": typed,
        "typed_outlook": _ADDRESS.sub(r"\g<0><mailto:\g<0>>", typed),
        "typed_paragraphs": "".join(f"<p class=MsoNormal>{line}<o:p></o:p></p>" for line in linked),
        "typed_proofed": "".join(f'<div class="elementToProof">{line}</div>\n' for line in linked),
        "typed_divs": "".join(f'<div style="font-family: Aptos;" dir="ltr">{line}</div>\n' for line in linked),
        "typed_bare_divs": "".join(f"<div>{line}</div>" for line in linked),
        "typed_auto_divs": "".join(f'<div dir="auto">{line}</div>' for line in linked),
        "typed_breaks": "<br>".join(linked),
        "quoted": quoted,
        "quoted_marked": "\n".join(f"> {line}".rstrip() for line in quoted.split("\n")),
        "quoted_html": _inner(answered.html),
        "gmail_wrapped": words["gmail"].format(who=f"Example Council <\n{answered.author}>"),
        "gmail_html": words["gmail"].replace("\n", " ").format(who=f"Example Council &lt;{link}&gt;"),
        "apple_attribution": words["apple"].format(who=who),
        "apple_quoted_attribution": f"> {words['apple'].format(who=who)}",
        "thunderbird_attribution": words["thunderbird"],
        "outlook_signature_html": f'<a href="https://aka.ms/o0ukef">{words["outlook_signature"]}</a>',
    }


def _inner(html: str) -> str:
    body = re.search(r"<body[^>]*>(.*)</body>", html, re.DOTALL | re.IGNORECASE)
    return body[1] if body else html


def _crlf(octets: bytes) -> bytes:
    return octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
