"""Evidence that a receipt may show: enough to recognise the number that one wrote, too little to use it.

At most four characters of a finding stay readable and never more than half of it; every other letter or digit
becomes "*". What the policy itself says (a term, a tag) is shown as it is.
"""

import re

_LONGEST = 40
_NUMBER = re.compile(r"(?:\b[A-Za-z]{1,2}[ -]?)?[0-9](?:[ .\-/]?[0-9]){5,}(?:[ -]?[A-Za-z]\b)?")
_SPACE = re.compile(r"\s*\n[> ]*|\s+")  # a line break with the marks of a quoted line, or white space


def mask(found: str, *, head: int = 0, tail: int = 0) -> str:
    """Keep the first ``head`` and last ``tail`` letters or digits of what was found, and its separators.

    ``head + tail`` beyond four, or beyond half of what is there, is cut down. White space becomes single spaces;
    the result has at most 40 characters.
    """
    text = _SPACE.sub(" ", found).strip()
    places = [place for place, character in enumerate(text) if character.isalnum()]
    most = min(4, len(places) // 2)
    head = min(head, most)
    tail = min(tail, most - head)
    characters = list(text)
    for place in places[head : len(places) - tail]:
        characters[place] = "*"
    masked = "".join(characters)
    return masked if len(masked) <= _LONGEST else f"{masked[: _LONGEST - 1]}…"


def place(where: str) -> str:
    """Return the name of a place (``report.xlsx, sheet 2``) with any long number in it masked.

    People name files after patients; the name of a place would otherwise repeat what the evidence hides.
    Characters that cannot be printed become spaces; the result has at most 120 characters.
    """
    clean = where
    if not where.isprintable():
        clean = "".join(character if character.isprintable() else " " for character in where)
    masked = _NUMBER.sub(lambda number: mask(number[0], head=2), clean)
    return masked if len(masked) <= 120 else f"{masked[:119]}…"  # noqa: PLR2004 - said in the docstring
