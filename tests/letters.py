"""Letters that stories send: made-up people, numbers from ranges that are never given out."""

import io
import random
from collections.abc import Sequence
from email.message import EmailMessage
from email.policy import SMTP

import openpyxl

ANNA = "anna.baker@example.org"  # staff
COLLEAGUE = "ben.carter@example.org"
JANE = "jane@example.net"  # outside
PARTNER = "intake@clinic.example.com"
HIDDEN = "audit@example.edu"  # outside, in Bcc

NHS_NUMBER = "999 864 1969"  # check digit right; the range is reserved for tests
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def letter(
    *,
    to: Sequence[str],
    subject: str = "Thursday",
    text: str = "Shall we meet on Thursday at ten?\n",
    sender: str = ANNA,
    cc: Sequence[str] = (),
    html: str = "",
    attachments: Sequence[tuple[str, str, bytes]] = (),
    message_id: str = "",
) -> bytes:
    """Return a mail as a mail client writes it, with CRLF line ends; attachments are name, type, content."""
    message = EmailMessage(policy=SMTP)
    message["From"] = f"Anna Baker <{sender}>"
    message["To"] = ", ".join(to)
    if cc:
        message["Cc"] = ", ".join(cc)
    message["Subject"] = subject
    message["Date"] = "Sun, 22 Nov 2026 12:00:00 +0000"
    message["Message-ID"] = message_id or f"<{random.getrandbits(64):016x}@desk.example.org>"
    message.set_content(text)
    if html:
        message.add_alternative(html, subtype="html")
    for name, kind, content in attachments:
        main, _, sub = kind.partition("/")
        message.add_attachment(content, maintype=main, subtype=sub, filename=name)
    return message.as_bytes()


def spreadsheet(rows: Sequence[Sequence[str]], *, hidden: bool = False) -> bytes:
    """Return an .xlsx file; ``hidden`` puts the rows on a sheet that nobody sees at first."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    if hidden:
        sheet.append(["Nothing to see here"])
        sheet = book.create_sheet("Source")
        sheet.sheet_state = "hidden"
    for row in rows:
        sheet.append(list(row))
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def photograph(size: int) -> bytes:
    """Return so many octets that no compression shortens, the same in every run."""
    return b"\x89PNG\r\n\x1a\n" + random.Random(11).randbytes(size - 8)
