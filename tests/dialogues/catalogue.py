"""The list of all dialogues by standard and section, as docs/smtp.md has it.

`python -m tests.dialogues.catalogue` writes the page anew after a dialogue was added or its first line changed.
"""

import re
from itertools import groupby
from pathlib import Path

FOLDER = Path(__file__).parent
PAGE = FOLDER.parents[1] / "docs" / "smtp.md"
_HEAD = re.compile(r"# (?:RFC (\d+) §([\d.]+)|R(\d+)): (.+)")
_MARK = "<!-- from here on written by tests/dialogues/catalogue.py -->\n"

_TITLES = {
    "1870": "RFC 1870, SIZE",
    "2034": "RFC 2034, ENHANCEDSTATUSCODES",
    "2920": "RFC 2920, PIPELINING",
    "3030": "RFC 3030, CHUNKING",
    "3207": "RFC 3207, STARTTLS",
    "3461": "RFC 3461, DSN",
    "4954": "RFC 4954, AUTH",
    "5321": "RFC 5321, SMTP",
    "6152": "RFC 6152, 8BITMIME",
    "6409": "RFC 6409, submission",
    "6531": "RFC 6531, SMTPUTF8",
    "8314": "RFC 8314, TLS from the first octet",
    "9422": "RFC 9422, LIMITS",
    "": "Our own requirements (threats.md)",
}


def entry(script: Path) -> tuple[str, tuple[int, ...], str]:
    """Return the standard of a dialogue (empty for a requirement of ours), its section as numbers, and its line."""
    head = script.read_text(encoding="utf-8").partition("\n")[0]
    match = _HEAD.fullmatch(head)
    assert match, f"{script.name} does not begin with its source"
    standard, section, requirement, sentence = match.groups()
    place = f"§{section}" if section else f"R{requirement}"
    numbers = tuple(int(one) for one in (section or requirement).split("."))
    return standard or "", numbers, f"| {place} | [{script.stem}](../tests/dialogues/{script.name}) | {sentence} |"


def written() -> str:
    """Return the part of the page that is made from the dialogues."""
    entries = sorted(map(entry, FOLDER.glob("*.smtp")), key=lambda one: (not one[0], one))
    parts = []
    for standard, group in groupby(entries, key=lambda one: one[0]):
        lines = "\n".join(line for _, _, line in group)
        parts.append(f"### {_TITLES[standard]}\n\n| where | dialogue | what it shows |\n|---|---|---|\n{lines}\n")
    return _MARK + "\n" + "\n".join(parts)


def kept() -> str:
    """Return the part of the page that people write."""
    return PAGE.read_text(encoding="utf-8").partition(_MARK)[0]


if __name__ == "__main__":
    PAGE.write_text(kept() + written(), encoding="utf-8")
