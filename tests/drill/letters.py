"""What a drill sends: every way that a message can take, again and again."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import count

from tests.gateway import SEALS_NHS_NUMBERS
from tests.letters import ANNA, COLLEAGUE, JANE, NHS_NUMBER, letter, photograph

CAROL, DAVE = "carol@example.net", "dave@example.net"
NOBODY, LATER, GREY = "nobody@example.net", "later@example.net", "grey@example.net"
NOT_NOW = 450  # to LATER, whenever it is tried
REFUSALS = {NOBODY: "550 5.1.1 there is nobody of that name", LATER: f"{NOT_NOW} 4.2.1 come back later"}
GREYLIST = {GREY: "451 4.7.1 greylisted"}  # each second time
RULES = (
    SEALS_NHS_NUMBERS
    + """
[[rules]]
name = "first-ask"
because = "the message names the merger"
to = "outside"
when = { keywords = ["project nightjar"] }
action = "hold"
"""
)
_MOST_WAITING = 3  # letters that are never taken: each is tried once a second
_PHOTOGRAPH = photograph(300 << 10)  # more than is kept in a row, and sent in several pieces


class Kind(StrEnum):
    """What is to become of a letter."""

    CLEAN = "clean"
    SEVERAL = "several"
    SEALED = "sealed"
    LARGE = "large"
    LARGE_SEALED = "large and sealed"
    HELD = "held"
    BOUNCED = "bounced"
    NAMELESS = "nameless"  # without a Message-ID: sent again, it is another letter
    WAITING = "waiting"


_OFTEN = (Kind.CLEAN, Kind.SEVERAL, Kind.SEALED, Kind.HELD, Kind.BOUNCED, Kind.NAMELESS)
_ROUND = (*_OFTEN, Kind.LARGE, *_OFTEN, Kind.LARGE_SEALED)
_RECIPIENTS = {
    Kind.SEVERAL: (JANE, CAROL, DAVE, COLLEAGUE),
    Kind.SEALED: (CAROL,),
    Kind.LARGE: (GREY,),
    Kind.LARGE_SEALED: (DAVE,),
    Kind.HELD: (DAVE,),
    Kind.BOUNCED: (NOBODY,),
    Kind.WAITING: (LATER,),
}


@dataclass(frozen=True)
class Letter:
    """One letter; ``mark`` is its subject, and no other has the same."""

    mark: str
    kind: Kind
    recipients: tuple[str, ...]
    content: bytes
    sender: str = ANNA


def letters(name: str) -> Iterator[Letter]:
    """Yield letters without end; ``name`` makes their marks differ from those of other clients."""
    order = random.Random(name)
    for number in count():
        kinds = list(_ROUND) + [Kind.WAITING] * (number < _MOST_WAITING)
        order.shuffle(kinds)
        for place, kind in enumerate(kinds):
            yield _letter(f"{name} {number} {place}", kind)


def _letter(mark: str, kind: Kind) -> Letter:
    to = _RECIPIENTS.get(kind, (JANE,))
    text = "Shall we meet on Thursday at ten?\n"
    if kind in {Kind.SEALED, Kind.LARGE_SEALED}:
        text = f"NHS number {NHS_NUMBER}\n"
    elif kind is Kind.HELD:
        text = "About project nightjar.\n"
    large = kind in {Kind.LARGE, Kind.LARGE_SEALED}
    attachments = [("park.png", "image/png", _PHOTOGRAPH)] if large else []
    content = letter(to=to, subject=mark, text=text, attachments=attachments)
    if kind is Kind.NAMELESS:
        head, _, rest = content.partition(b"Message-ID: ")
        content = head + rest.partition(b"\r\n")[2]
    return Letter(mark, kind, to, content)
