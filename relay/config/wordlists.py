"""Keyword lists: UTF-8 text files, one term a line, ``#`` starts a comment."""

from pathlib import Path

from relay.config.contents import contents
from relay.config.model import Configuration

LARGEST = 16 << 20  # octets; a list of 50,000 terms has about one mebibyte


def read_lists(configuration: Configuration) -> dict[str, tuple[str, ...]]:
    """Return the terms of every list by name; ``ValueError`` or ``OSError`` where a file changed since loading."""
    return {name: read_terms(words.file) for name, words in configuration.lists.items()}


def read_terms(path: Path) -> tuple[str, ...]:
    """Return the terms of one file, each once, in order.

    ``ValueError`` says in a clause what is wrong with the content (no UTF-8, no term, too large); ``OSError``
    leaves as it is.
    """
    raw = contents(path, LARGEST + 1)
    if len(raw) > LARGEST:
        raise ValueError(f"is larger than {LARGEST >> 20} MiB")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ValueError(f"is not UTF-8 text (line {line})") from None
    terms = tuple(dict.fromkeys(filter(None, (line.partition("#")[0].strip() for line in text.splitlines()))))
    if not terms:
        raise ValueError("holds no term")
    return terms
