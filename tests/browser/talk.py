"""A conversation as it stands after a week: a letter, Jane's answer, and an answer to that."""

from playwright.sync_api import FilePayload

from relay.vault.vault import SealedDraft
from tests.letters import ANNA, JANE, XLSX, letter, spreadsheet
from tests.portal_stage import Stage

BROTHER = "john.smith@example.net"
SUBJECT = "Your appointment at the memory clinic"
NOTES: FilePayload = {"name": "Notes on the medicine.txt", "mimeType": "text/plain", "buffer": b"twice a day\n"}
_FIRST = (
    "Dear Jane,\n\nyour appointment is on Thursday 3 December at 10:15, in room 4 on the first floor.\n\nAnna Baker\n"
)
_SECOND = "Dear Anna,\n\nThursday is fine. May my brother come with me?\nHe has the papers from 2019.\n\nJane\n"
_THIRD = (
    "Dear Jane,\n\nof course. Please bring the papers.\n\nAnna\n\n"
    "On Friday, 20 November 2026 at 09:12, Jane wrote:\n> Thursday is fine. May my brother come with me?\n"
)


def talk(stage: Stage) -> SealedDraft:
    """Seal the conversation for Jane and her brother; return its first message."""
    visits = spreadsheet([["Visit", "Room"], ["Thursday", "4"]])
    sent = letter(
        to=[JANE, BROTHER], subject=f"[secure] {SUBJECT}", text=_FIRST, attachments=[("visits.xlsx", XLSX, visits)]
    )
    first = stage.seal_draft(_dated(sent, b"Thu, 19 Nov 2026 10:04"), [JANE, BROTHER])
    own = letter(to=[ANNA], sender=JANE, subject=f"Re: {SUBJECT}", text=_SECOND)
    stage.join(first, _dated(own, b"Fri, 20 Nov 2026 09:12").replace(b"Anna Baker <", b"<"), JANE, [JANE])
    answer = letter(to=[JANE], cc=[BROTHER], subject=f"RE: {SUBJECT}", text=_THIRD)
    stage.join(first, _dated(answer, b"Fri, 20 Nov 2026 14:31"), ANNA, [JANE, BROTHER])
    return first


def _dated(written: bytes, date: bytes) -> bytes:
    return written.replace(b"Sun, 22 Nov 2026 12:00", date)
