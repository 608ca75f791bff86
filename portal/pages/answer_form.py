"""The form for an answer, as the page of the conversation shows it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from urllib.parse import urlencode

from portal.access.company import Company, Fellow
from portal.rendering.names import file_name, kind_label
from relay.clock import id_text
from relay.vault.drafts import Draft, DraftFile, DraftLimits, Limit, TooLargeError
from relay.vault.pieces import KEPT


class Done(Enum):
    """What the last form did; the word stands in the address of the page that follows."""

    SENT = "sent"
    NOT_SENT = "not sent"
    SAVED = "saved"
    ATTACHED = "attached"
    REMOVED = "removed"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a form was not accepted. ``field`` is the id of the field to mend, ``name`` that of a file."""

    kind: str
    field: str = "text"
    sending: bool = False
    allowed: int = 0
    name: str = ""
    until: datetime | None = None

    @classmethod
    def too_large(cls, error: TooLargeError, name: str = "", *, sending: bool = False) -> "Problem":
        """Return the problem of an answer, or of its file ``name``, that is over a limit."""
        kind = {Limit.TEXT: "text", Limit.OCTETS: "octets", Limit.FILES: "files", Limit.PIECES: "texts"}[error.limit]
        field = "files" if error.limit in (Limit.OCTETS, Limit.FILES) else "text"
        return cls(kind, field, sending, error.allowed, name)


@dataclass(frozen=True, slots=True)
class Before:
    """What the form before this page did, or, where it was not accepted, what stood in it.

    ``answer`` is the id of an answer that was sent, ``also`` are ids of the readers who were chosen, ``text`` is what
    was typed and could not be kept (None: show what is kept), and ``texts`` are the pieces that it was to replace.
    """

    done: Done | None = None
    answer: str = ""
    also: Sequence[str] = ()
    text: str | None = None
    texts: Sequence[str] = ()
    problem: Problem | None = None

    @classmethod
    def told_by(cls, query: Mapping[str, str]) -> "Before":
        """Return what the page's address tells, nothing where it makes no sense."""
        done = next((word for word in Done if word.value == query.get("done")), None)
        return cls(done, query.get("answer", ""), query.get("also", "").split("."))

    def address(self, path: str) -> str:
        """Return the address of the page that is to follow, for ``told_by``; it begins where the reader was."""
        fields = {"done": self.done.value if self.done else "", "answer": self.answer, "also": ".".join(self.also)}
        query = urlencode({name: value for name, value in fields.items() if value})
        return f"{path}?{query}" if self.done is Done.SENT else f"{path}?{query}#answer"


@dataclass(frozen=True, slots=True)
class Attached:
    """A file of the draft; ``id`` as the form's button names it."""

    id: str
    name: str
    size: int
    label: str


@dataclass(frozen=True, slots=True)
class Choice:
    """A reader who may be chosen."""

    value: str
    fellow: Fellow
    chosen: bool


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """Everything the form shows and carries. ``answer`` is the id that the answer will have, drawn for this form.

    ``room`` are the octets that files may still have; ``saved_at`` is None where nothing is kept.
    """

    answer: str
    ticket: str
    company: Company
    choices: tuple[Choice, ...]
    text: str
    texts: tuple[str, ...]
    files: tuple[Attached, ...]
    saved_at: datetime | None
    kept_until: datetime
    room: int
    limits: DraftLimits
    damaged: int
    before: Before

    @property
    def problem(self) -> Problem | None:
        """Why the last form was not accepted."""
        return self.before.problem


def answer_form(
    draft: Draft, company: Company, limits: DraftLimits, before: Before, *, answer: str, ticket: str, until: datetime
) -> AnswerForm:
    """Return the form for what is kept in ``draft``; ``until`` is when the link ends."""
    text = draft.text if before.text is None else before.text
    return AnswerForm(
        answer=answer,
        ticket=ticket,
        company=company,
        choices=tuple(_choice(fellow, before.also) for fellow in company.readers),
        text=text,
        texts=tuple(map(id_text, draft.text_ids)) if before.text is None else tuple(before.texts),
        files=tuple(map(_attached, draft.files)),
        saved_at=draft.saved_at,
        kept_until=min(until, draft.saved_at + KEPT) if draft.saved_at else until,
        room=max(0, limits.octets - draft.octets - len(text.encode())),
        limits=limits,
        damaged=draft.damaged,
        before=before,
    )


def _choice(fellow: Fellow, chosen: Sequence[str]) -> Choice:
    value = id_text(fellow.participant_id)
    return Choice(value, fellow, value in chosen)


def _attached(file: DraftFile) -> Attached:
    name = file_name(file.name)
    return Attached(id_text(file.id), name, file.size, kind_label(name))
