"""What became of one recipient in one attempt: values, never exceptions.

``Delivered`` means that the next hop took responsibility (RFC 5321 section 4.2.5). ``Deferred`` may be tried
again, ``Failed`` may not. Every outcome carries the answer it rests on.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_TEXT_LIMIT = 500
_UNPRINTABLE = re.compile(r"[^ -~\u00a1-\u1fff\u2c00-\ud7ff\uf900-\ufffd]+")
_NO_MORE_ROOM, _FOR_RECIPIENTS = 452, ("4.5.3", "4.0.0")  # 452 with another status speaks of a full mailbox or disk
_ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?: |$)")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a next hop said, or what kept us from asking it.

    ``code`` is the SMTP reply code, 0 when no reply came (the text is then our own). ``enhanced`` is the
    status of RFC 3463, always present. ``text`` is one line without control characters, at most 500
    characters. ``next_hop`` is ``host:port``, ``tls`` names version, cipher and whether the certificate was
    verified; it is empty on a plain connection. ``reply`` is what stood behind the reply code, in the same form: we
    may give another status than the next hop did, but never put words into its mouth.
    """

    code: int
    enhanced: str
    text: str
    next_hop: str = ""
    tls: str = ""
    reply: str = ""

    @property
    def said(self) -> str:
        """Return the reply without its code, as the next hop said it; where it said nothing, status and text."""
        return self.reply or f"{self.enhanced} {self.text}"


@dataclass(frozen=True, slots=True)
class Delivered:
    """The next hop answered 2xx after the final dot; ``dsn_passed_on`` when it took over the duty to report."""

    answer: Answer
    dsn_passed_on: bool = False


@dataclass(frozen=True, slots=True)
class Deferred:
    """Not now: 4xx, no connection, no TLS where it is required, or a connection lost before its reply."""

    answer: Answer


@dataclass(frozen=True, slots=True)
class Failed:
    """Never: 5xx, or a message that this next hop cannot carry unchanged."""

    answer: Answer


Outcome = Delivered | Deferred | Failed


def local_answer(enhanced: str, text: str, next_hop: str = "", tls: str = "") -> Answer:
    """Return an answer of our own: no next hop said it."""
    return Answer(0, enhanced, one_line(text), next_hop, tls)


def remote_answer(code: int, lines: str, next_hop: str, tls: str) -> Answer:
    """Return a next hop's reply as an answer; a missing or contradicting enhanced status becomes ``x.0.0``."""
    text = one_line(lines)
    match = _ENHANCED.match(text)
    if match and match[1][0] == str(code)[0]:
        return Answer(code, match[1], text[match.end() :].strip(), next_hop, tls, text)
    return Answer(code, f"{str(code)[0]}.0.0", text, next_hop, tls, text)


def outcome_of(answer: Answer) -> Deferred | Failed:
    """Return what a refusing answer means for the recipient: only 5xx is final."""
    return Failed(answer) if 500 <= answer.code <= 599 else Deferred(answer)  # noqa: PLR2004


def crowded_out(outcomes: Sequence[Outcome]) -> list[int]:
    """Return the places of those who did not fit into a transaction that went well for others.

    They are to go in another one soon, not after a pause (RFC 5321 section 4.5.3.1.10). Where the message was delivered
    to nobody another one would end no better: then the next hop means something else.
    """
    if not any(isinstance(one, Delivered) for one in outcomes):
        return []
    return [place for place, one in enumerate(outcomes) if _crowded(one.answer)]


def one_line(text: str) -> str:
    """Return foreign text as one printable line of at most 500 characters: fit for logs, reports and terminals."""
    return " ".join(_UNPRINTABLE.sub(" ", text[: 4 * _TEXT_LIMIT]).split())[:_TEXT_LIMIT]


def _crowded(answer: Answer) -> bool:
    return answer.code == _NO_MORE_ROOM and answer.enhanced in _FOR_RECIPIENTS
