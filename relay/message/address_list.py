"""Addresses that a reader of To, Cc and From sees. For facts about visibility only: recipients are the envelope's.

The scanner never invents an address (CVE-2023-27043): an element of the list that is not exactly one mailbox, or one
name with one ``<mailbox>``, yields nothing. It is linear in the length and knows quoted strings, nested comments,
groups and encoded words (RFC 5322 section 3.4).
"""

import re
from functools import lru_cache
from typing import NamedTuple

from relay.message.addresses import Mailbox, parse_mailbox
from relay.message.block import unfold
from relay.message.charsets import decode_short
from relay.message.words import decode_words

MAX_LENGTH = 262_144  # octets of one field that are looked at: more than 1,000 recipients need
_SHORT = 200  # octets of a field whose addresses are remembered
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"|[(),:;<>"]|[^(),:;<>"\\]++|\\.?', re.DOTALL)


class Named(NamedTuple):
    """One address with the display name in front of it (decoded; empty where there is none)."""

    name: str
    mailbox: Mailbox


def parse_addresses(raw: bytes) -> tuple[Named, ...]:
    """Return the addresses of one raw field value, in order. Never raises."""
    return _remembered(raw) if len(raw) <= _SHORT else _parsed(raw)


def _parsed(raw: bytes) -> tuple[Named, ...]:
    text = decode_short(unfold(raw[:MAX_LENGTH]))
    found = [_named(element) for element in _elements(text)]
    return tuple([named for named in found if named is not None])


# A message's From is asked for twice, and people write to the same people.
_remembered = lru_cache(maxsize=1024)(_parsed)


def sole_address(raw: bytes) -> Mailbox | None:
    """Return the mailbox of a field that names one and nothing else that could be taken for one, or None.

    Stricter than `parse_addresses`: what that steps over, another program may read as the address.
    """
    text = decode_short(unfold(raw[:MAX_LENGTH]))
    if any(token in {":", ";"} for token in _TOKEN.findall(text)):
        return None  # a group: its name may look like an address
    elements = [element for element in _elements(text) if any(token.strip() for token in element)]
    named = _named(elements[0]) if len(elements) == 1 else None
    return named.mailbox if named else None


def display_names(raw: bytes) -> str:
    """Return all that a field says beside its addresses: names, comments and what could not be read."""
    text = decode_short(unfold(raw[:MAX_LENGTH]))
    return decode_words(re.sub(r"<[^<>\s]*@[^<>\s]*>", " ", text).encode("utf-8", "replace")).strip()


def _elements(text: str) -> list[list[str]]:
    """Split at commas that stand outside quotes and comments; comments and group names go."""
    elements: list[list[str]] = []
    current: list[str] = []
    depth = 0
    for token in _TOKEN.findall(text):
        if depth:
            depth += {"(": 1, ")": -1}.get(token, 0)
        elif token == "(":  # noqa: S105  # a token of the syntax
            depth = 1
        elif token in {",", ";"}:
            elements.append(current)
            current = []
        elif token == ":":  # noqa: S105
            current = []  # "Team: a@example.org, b@example.org;"
        else:
            current.append(token)
    if not depth:
        elements.append(current)
    return elements


def _named(element: list[str]) -> Named | None:
    tokens = [token for token in element if token.strip()]
    try:
        if ">" not in tokens:
            return Named("", parse_mailbox("".join(tokens).strip(), smtputf8=True))
        start = tokens.index("<")
        if tokens[-1] != ">" or tokens.count("<") != 1 or tokens.count(">") != 1:
            return None
        mailbox = parse_mailbox("".join(tokens[start + 1 : -1]).strip(), smtputf8=True)
    except ValueError:
        return None
    return Named(_name(tokens[:start]), mailbox)


def _name(tokens: list[str]) -> str:
    words = []
    for token in tokens:
        quoted = len(token) > 1 and token.startswith('"')
        words.append(re.sub(r"\\(.)", r"\1", token[1:-1]) if quoted else token.strip())
    return decode_words(" ".join(words).encode("utf-8", "replace"))
