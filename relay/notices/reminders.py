"""Mail about silence: a reminder to the reader of a message that is still unread, and a word to its sender.

The reminder holds no link. Whoever finds it has nothing in hand, link scanners have nothing to press, and a reader
learns to look for the notice that came with the message, from which the link comes, instead of trusting any mail.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from relay.message.headers import header_value, named_address
from relay.notices.letterhead import Composed, Letterhead


@dataclass(frozen=True, slots=True)
class Silent:
    """One reader who has not read: since when the notice is there, and whether the link was opened; None: not known."""

    reader: str
    notified_at: datetime | None
    opened: bool | None


class ReminderNotices:
    """Writes both kinds."""

    def __init__(self, letterhead: Letterhead) -> None:
        self._letterhead = letterhead

    def reminder(
        self,
        *,
        reader: str,
        sender: str,
        sent_at: datetime,
        until: datetime,
        now: datetime,
        message_id: str = "",
        thread: Sequence[tuple[str, str]] = (),
    ) -> Composed:
        """Return the reminder for ``reader``: who wrote and when, how to find the notice, how to get another link.

        An answer to it goes to the sender (``sender``, possibly empty), who can have a new link sent.
        """
        tag = self._letterhead.tag()
        words = self._letterhead.languages[tag]
        _ = words.gettext
        answers = sender.isascii() and bool(sender)
        return self._letterhead.write(
            "reminder",
            tag,
            to=reader,
            subject=_("Still unread: a message for you from %(organisation)s")
            % {"organisation": self._letterhead.organisation},
            now=now,
            message_id=message_id,
            more=[*([("Reply-To", named_address("", sender))] if answers else []), *thread],
            reader=header_value(reader, 254),
            sender=header_value(sender, 254),
            to_sender=answers,
            sent=words.date(sent_at, self._letterhead.zone),
            until=words.moment(until, self._letterhead.zone),
        )

    def unread(
        self,
        *,
        to: str,
        silent: Sequence[Silent],
        sent_at: datetime,
        until: datetime,
        now: datetime,
        message_id: str = "",
        thread: Sequence[tuple[str, str]] = (),
    ) -> Composed:
        """Return the note to the sender who has not read and how far each has come.

        It stands in the thread of the receipt, because commands are answered there: the receipt has the secret that
        opens the message for a new link, this mail has none.
        """
        tag = self._letterhead.tag()
        words = self._letterhead.languages[tag]
        _ = words.gettext
        zone = self._letterhead.zone
        return self._letterhead.write(
            "unread",
            tag,
            to=to,
            subject=_("Not read yet by %(readers)s")
            % {"readers": header_value(", ".join(one.reader for one in silent), 200)},
            now=now,
            message_id=message_id,
            more=thread,
            lines=[
                {
                    "reader": header_value(one.reader, 254),
                    "notified": words.moment(one.notified_at, zone) if one.notified_at else "",
                    "opened": one.opened,
                }
                for one in silent
            ],
            sent=words.moment(sent_at, zone),
            until=words.moment(until, zone),
        )
