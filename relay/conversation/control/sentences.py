"""One line of a reply taken apart: its words, the addresses in it, a number of days."""

import re
from dataclasses import dataclass
from urllib.parse import unquote

from relay.conversation.control.vocabulary import days_in, fold
from relay.message.addresses import parse_mailbox

MAX_LINE = 4_000  # characters; a line of a hundred addresses with their names fits
MAX_ADDRESSES = 100
_MARKS = "\u201c\u201d\u201e\u00ab\u00bb"  # quotation marks of the four languages
_APOSTROPHES = "'\u2019\u2018"
_OF_ADDRESS = rf"[^\s<>()\[\],;:\"{_MARKS}|@]+"
_ADDRESS = f"{_OF_ADDRESS}@{_OF_ADDRESS}"
# "jane@example.net<mailto:jane@example.net>" is what Outlook makes of a link in plain text.
_FOUND = re.compile(
    rf"<\s*(?:mailto:)?({_ADDRESS})\s*>|\[\s*mailto:({_ADDRESS})\s*\]|(?:mailto:)?({_ADDRESS})", re.IGNORECASE
)
_QUOTED_NAME = re.compile(r'"[^"]*"(?=\s*<[^<>]*@)')
_OF_WORD = rf"[^\s,;:.!?()\[\]{{}}<>*_\"{_MARKS}/\\|#\u2013\u2014\0\1-]+"
_WORD = re.compile(rf"{_OF_WORD}(?:[-{_APOSTROPHES}]{_OF_WORD})*[{_APOSTROPHES}]?|[\0\1]")
_BELOW_ZERO = re.compile(r"(?<!\S)[-\u2212\u2013]\d")
_BRACKETED, _BARE = "\0", "\1"  # where an address stood
_PARTICLES = frozenset({"van", "von", "de", "der", "den", "het", "ter", "ten", "zu", "la", "le", "du", "di", "da"})


@dataclass(frozen=True, slots=True)
class Sentence:
    """What one line says.

    ``readings`` are its folded words, first as they stand, then with more and more of the display name in front of the
    first address left out. ``number`` is the first number in it, in days where a unit stands behind it, None for none;
    ``odd`` says that something in the line cannot be meant so: a broken address, a second number, one below zero.
    """

    readings: tuple[tuple[str, ...], ...]
    addresses: tuple[str, ...] = ()
    number: int | None = None
    odd: bool = False

    @property
    def words(self) -> tuple[str, ...]:
        """All words, a display name among them."""
        return self.readings[0]


def read_sentence(line: str) -> Sentence:
    """Return what a line says; addresses as addr-specs in their order, each once. Never raises."""
    if len(line) > MAX_LINE:
        return Sentence(((),), odd=True)
    found: dict[str, str] = {}
    odd = False

    def keep(match: re.Match[str]) -> str:
        nonlocal odd
        text = match[1] or match[2] or match[3]
        if match[0].lower().lstrip("<[ ").startswith("mailto:"):
            text = unquote(text.partition("?")[0])
        try:
            mailbox = parse_mailbox(text.strip(f"{_APOSTROPHES}*_").rstrip(f".!?{_APOSTROPHES}"), smtputf8=True)
        except ValueError:
            odd = True
            return " "
        found.setdefault(mailbox.folded, str(mailbox))
        return f" {_BARE if match[3] else _BRACKETED} "

    text = _FOUND.sub(keep, _QUOTED_NAME.sub(" ", line.replace("\0", " ").replace("\1", " ")))
    tokens = _WORD.findall(text)
    words, numbers = _numbers(tokens)
    return Sentence(
        readings=_readings(words),
        addresses=tuple(found.values()),
        number=numbers[0] if numbers else None,
        odd=odd or _BELOW_ZERO.search(text) is not None or len(numbers) > 1 or len(found) > MAX_ADDRESSES,
    )


def _numbers(tokens: list[str]) -> tuple[list[str], list[int]]:
    """Take numbers out of the tokens, with the unit right behind each."""
    words: list[str] = []
    numbers: list[int] = []
    after_number = False
    for token in tokens:
        if token.isascii() and token.isdigit() and len(token) <= 5:  # noqa: PLR2004  # 99,999 days are 273 years
            numbers.append(int(token))
            after_number = True
            continue
        if after_number and (days := days_in(fold(token))):
            numbers[-1] *= days
        else:
            words.append(token)
        after_number = False
    return words, numbers


def _readings(tokens: list[str]) -> tuple[tuple[str, ...], ...]:
    """Return the words, and what is left when the name in front of the first address is taken out word by word.

    Names in front of further addresses are left out at once: no command begins there.
    """
    head, named, rest = _up_to_address(tokens)
    later: list[str] = []
    while rest:
        words, before_name, rest = _up_to_address(rest)
        while before_name and words and _of_a_name(words[-1]):
            words.pop()
        later += words
    readings = [(*head, *later)]
    # Whatever could turn the sense around ("not") is in small letters; a name is not.
    while named and head and _of_a_name(head[-1]):
        head = head[:-1]
        readings.append((*head, *later))
    return tuple(tuple(map(fold, words)) for words in readings)


def _up_to_address(tokens: list[str]) -> tuple[list[str], bool, list[str]]:
    """Return the words before the next address, whether it stands in brackets behind its name, and what follows it."""
    for position, token in enumerate(tokens):
        if token in {_BRACKETED, _BARE}:
            return tokens[:position], token == _BRACKETED, tokens[position + 1 :]
    return tokens, False, []


def _of_a_name(token: str) -> bool:
    return not token[:1].islower() or token in _PARTICLES
