"""`parse`: a reply to the commands in it. Pure; the words stand in `vocabulary`, what is quoted text in `quoting`.

Commands stand at the top of what the sender typed, one a line. The first line that is none ends them: a "Thank you" or
a name below is nobody's business, but a line that looks like a further command is handed back, so that the answer can
say that it was not carried out. Whatever is in doubt is not a command.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from relay.conversation.control.html_replies import html_reply_text
from relay.conversation.control.quoting import typed_lines
from relay.conversation.control.sentences import Sentence, read_sentence
from relay.conversation.control.vocabulary import (
    NEEDS,
    Meaning,
    Needs,
    Verb,
    beginning,
    is_greeting,
    languages_of,
    meaning,
)
from relay.message.parts import Reading

__all__ = ["Command", "Instructions", "NotUnderstood", "Verb", "Why", "parse"]

MAX_COMMANDS = 20  # of one mail
MAX_DAYS = 3_650
_SHOWN = 200  # characters of a line that an answer repeats


@dataclass(frozen=True, slots=True)
class Command:
    """One thing to do.

    ``addresses`` are addr-specs as they were written, each once. With none, `resend`, `recall` and `restore` mean every
    reader; `to` has the right address, or the wrong one and then the right one. ``days`` is set for `extend` only: so
    many more than now. ``revoke`` (for `resend`): the old links end even when the new ones cannot open everything.
    """

    verb: Verb
    addresses: tuple[str, ...] = ()
    days: int = 0
    revoke: bool = False


@dataclass(frozen=True, slots=True)
class Instructions:
    """What a reply asks for, at least one command, in order.

    ``languages`` are those whose words it uses. ``passed_over`` are lines below that look like commands and are none.
    """

    commands: tuple[Command, ...]
    languages: tuple[str, ...]
    passed_over: tuple[str, ...] = ()


class Why(StrEnum):
    """Why a reply holds no command."""

    NOTHING = "nothing was written above the quoted text"
    UNKNOWN = "the first line is no command"
    UNCLEAR = "a command, and more that makes it doubtful"
    NO_ADDRESS = "the command needs an address"
    NO_DAYS = "the command needs a number of days"
    TOO_MANY = "more commands or addresses than one mail may have"


@dataclass(frozen=True, slots=True)
class NotUnderstood:
    """A reply without a command. ``line`` is the first that was typed; ``verb`` what was perhaps meant."""

    why: Why
    line: str = ""
    languages: tuple[str, ...] = ()
    verb: Verb | None = None


def parse(reading: Reading) -> Instructions | NotUnderstood:
    """Return the commands of a reply, or why there are none. Never raises.

    The plain text is looked at first, the HTML when the plain text has no command: some clients leave it empty.
    """
    failure = NotUnderstood(Why.NOTHING)
    for lines in _versions(reading):
        outcome = _commands(lines)
        if isinstance(outcome, Instructions):
            return outcome
        if failure.why is Why.NOTHING:
            failure = outcome
    return failure


def _versions(reading: Reading) -> Iterator[list[str]]:
    for part in reading.parts:
        if part.kind == "text" and part.text.strip():
            yield typed_lines(part.text)
            break
    for part in reading.parts:
        if part.kind == "html":
            yield typed_lines(html_reply_text(part.text))
            break


def _commands(lines: list[str]) -> Instructions | NotUnderstood:
    lines = _from_first(lines)
    if not lines:
        return NotUnderstood(Why.NOTHING)
    commands: dict[Command, None] = {}
    languages: list[tuple[str, ...]] = []
    position = 0
    while position < len(lines):
        line, taken = _joined(lines, position)
        outcome = _command(line)
        if isinstance(outcome, NotUnderstood):
            if not commands:
                return outcome
            break
        command, of = outcome
        commands[command] = None
        languages.append(of)
        position = _next(lines, position + taken)
    if len(commands) > MAX_COMMANDS:
        return NotUnderstood(Why.TOO_MANY, _short(lines[0]))
    return Instructions(tuple(commands), _common(languages), _passed_over(lines[position:]))


def _command(line: str) -> tuple[Command, tuple[str, ...]] | NotUnderstood:
    sentence = read_sentence(line)
    found = _meaning(sentence)
    if found is None or sentence.odd:
        meant = found or beginning(sentence.words)
        languages = meant.languages if meant else languages_of(sentence.words)
        return NotUnderstood(
            Why.UNCLEAR if meant else Why.UNKNOWN, _short(line), languages, meant.verb if meant else None
        )
    verb, needs = found.verb, NEEDS[found.verb]
    why = None
    if needs is Needs.ADDRESSES and not sentence.addresses:
        why = Why.NO_ADDRESS
    elif needs is Needs.DAYS and not (sentence.number and sentence.number <= MAX_DAYS):
        why = Why.NO_DAYS
    elif (
        (sentence.addresses and needs in {Needs.NOTHING, Needs.DAYS})
        or (sentence.number is not None and needs is not Needs.DAYS)
        or (verb is Verb.TO and len(sentence.addresses) > 2)  # noqa: PLR2004  # the wrong one and the right one
    ):
        why = Why.UNCLEAR
    if why is not None:
        return NotUnderstood(why, _short(line), found.languages, verb)
    command = Command(verb, sentence.addresses, (sentence.number or 0) if needs is Needs.DAYS else 0, found.revoke)
    return command, _narrowed(found.languages, sentence)


def _narrowed(languages: tuple[str, ...], sentence: Sentence) -> tuple[str, ...]:
    """Return the language of the courtesies where the command itself is a word of several ("status, graag")."""
    spoken = languages_of(sentence.words)
    return spoken if set(spoken) & set(languages) else languages


def _meaning(sentence: Sentence) -> Meaning | None:
    for words in sentence.readings:
        found = meaning(words, addresses=bool(sentence.addresses), number=sentence.number is not None)
        if found is not None:
            return found
    return None


def _joined(lines: list[str], position: int) -> tuple[str, int]:
    """Return a line together with the lines of addresses right below it, and how many lines that are.

    Only a command without an address of its own is continued: what stands below others is a signature.
    """
    line, taken = lines[position], 1
    if read_sentence(line).addresses:
        return line, taken
    while position + taken < len(lines):
        below = read_sentence(lines[position + taken])
        if not below.addresses or below.readings[-1] or below.number is not None:
            break
        line = f"{line} {lines[position + taken]}"
        taken += 1
    return line, taken


def _from_first(lines: list[str]) -> list[str]:
    """Leave out empty lines at the top, and one that only says hello."""
    start = _next(lines, 0)
    if start < len(lines) and is_greeting(read_sentence(lines[start]).words):
        start = _next(lines, start + 1)
    return lines[start:]


def _next(lines: list[str], position: int) -> int:
    while position < len(lines) and not lines[position].strip():
        position += 1
    return position


def _passed_over(lines: list[str]) -> tuple[str, ...]:
    """Return the lines that follow the commands and begin like one."""
    return tuple(_short(line) for line in lines[:MAX_COMMANDS] if beginning(read_sentence(line).words))


def _common(languages: list[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the languages that fit all commands; when there is none, those of the first."""
    common = [tag for tag in languages[0] if all(tag in others for others in languages)]
    return tuple(common) or languages[0]


def _short(line: str) -> str:
    return line.strip()[:_SHOWN]
