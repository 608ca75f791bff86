"""Conditions on attachments: present, by name, by type, encrypted by the sender; and what nobody could inspect."""

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from policies.model import Attachment, Content, Finding
from policies.redaction import place
from policies.text import fold

NOT_INSPECTABLE = "not-inspectable"
_NAMED = 3


@dataclass(frozen=True, slots=True)
class AttachmentShape:
    """What one attachment must be. Empty tuples and None ask for nothing; globs are in lower case."""

    names: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    encrypted: bool | None = None

    def fits(self, attachment: Attachment) -> bool:
        """Tell whether this attachment is one; a name without visible characters fits only "*"."""
        name = fold(attachment.name).casefold().strip()
        # Windows drops trailing dots and spaces: "tool.exe." opens as tool.exe.
        bare = name.rstrip(". ")
        kind = attachment.type.casefold()
        return (
            (not self.names or any(fnmatchcase(name, glob) or fnmatchcase(bare, glob) for glob in self.names))
            and (not self.types or any(fnmatchcase(kind, glob) for glob in self.types))
            and (self.encrypted is None or attachment.encrypted == self.encrypted)
        )

    def found_in(self, content: Content) -> tuple[Finding, ...]:
        """Return a finding for each attachment that fits."""
        return tuple(
            Finding("attachment", attachment_place(number, attachment), attachment.type)
            for number, attachment in enumerate(content.attachments, 1)
            if self.fits(attachment)
        )


# A file in an archive ("outer.zip, entry.ics") has no type; no calendar program takes it up by itself.
_CALENDARS = (
    AttachmentShape(types=("text/calendar", "text/x-vcalendar", "application/ics")),
    AttachmentShape(names=("*.ics", "*.ifb", "*.vcs"), types=("?*",)),
)


def attachment_place(number: int, attachment: Attachment) -> str:
    """Name an attachment for people, long numbers in its name masked."""
    return place(attachment.name.strip()) or f"attachment {number}"


def calendar_entries(content: Content) -> tuple[Finding, ...]:
    """Return a finding for each invitation or other calendar entry (RFC 5545, RFC 6047), by its type or its name."""
    return tuple(
        Finding("calendar", attachment_place(number, attachment), attachment.type)
        for number, attachment in enumerate(content.attachments, 1)
        if any(shape.fits(attachment) for shape in _CALENDARS)
    )


def not_inspected(content: Content) -> tuple[Finding, ...]:
    """Return a finding for everything in the message that could not be read."""
    return tuple(_not_inspected(content))


def _not_inspected(content: Content) -> Iterator[Finding]:
    for problem in content.problems:
        yield Finding(NOT_INSPECTABLE, "message", place(problem))
    for number, attachment in enumerate(content.attachments, 1):
        if attachment.problem:
            yield Finding(NOT_INSPECTABLE, attachment_place(number, attachment), place(attachment.problem))


def because_not_inspected(findings: tuple[Finding, ...]) -> str:
    """Say in one sentence why a message counts as flagged, naming at most three things."""
    clauses = [
        f"it could not be inspected completely: {finding.evidence}"
        if finding.where == "message"
        else f"the attachment “{finding.where}” {finding.evidence}"
        for finding in findings[:_NAMED]
    ]
    more = len(findings) - _NAMED
    if more > 0:
        clauses.append(f"{more} more {'part' if more == 1 else 'parts'} could not be inspected")
    return "; ".join(clauses)
