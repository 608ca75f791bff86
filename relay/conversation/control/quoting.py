"""What of a reply its author typed: quoted text, attribution lines, header blocks and signatures are cut away.

Mail programs agree on nothing here (RFC 3676 knows ``>`` and ``-- ``, the rest is habit), so the marks of Outlook,
Gmail, Apple Mail and Thunderbird in English, Dutch, German and French are listed. What is missed costs little: quoted
text that stays begins with a line that is no command.
"""

import re

from relay.conversation.control.vocabulary import fold

MAX_LINES = 2_000  # that are looked at
_ATTRIBUTION_LINES = 4  # an attribution may be wrapped into so many
_MAX_ATTRIBUTION = 600  # characters
_HEADERS_NEAR = 8  # lines below the first field of a header block, mostly "From:", in which the others stand
_HEADERS_NEEDED = 2

# All patterns are matched against folded text: small letters, no accents.
_DIVIDER = re.compile(
    r"\s*(?:-{2,}|_{2,}|={2,})\s*(?:original message|original appointment|forwarded message|reply message|"
    r"oorspronkelijk bericht|oorspronkelijke bericht|doorgestuurd bericht|"
    r"ursprungliche nachricht|originalnachricht|weitergeleitete nachricht|"
    r"message d'origine|message original|message transfere)\s*(?:-{2,}|_{2,}|={2,})\s*"
)
_RULE = re.compile(r"\s*_{20,}\s*")  # Outlook on the web and on phones, before its header block
_FROM = re.compile(r"\s*\*?(?:from|von|van|de|expediteur)\s*:\*?\s*\S.*")
_OTHER_FIELD = re.compile(
    r"\s*\*?(?:sent|date|to|cc|subject|gesendet|datum|an|betreff|verzonden|aan|onderwerp|envoye|a|objet)\s*:\*?.*"
)
_ATTRIBUTION = re.compile(
    r"(?:on\b.{5,400} wrote|op\b.{5,400} schreef\b.{0,200}|op\b.{5,400} het volgende geschreven|"
    r"am\b.{5,400} schrieb\b.{0,200}|am\b.{5,400} geschrieben|le\b.{5,400} a ecrit) ?:"
)
_ATTRIBUTION_STARTS = ("on ", "op ", "am ", "le ")
_MOBILE = re.compile(
    r"\s*(?:(?:sent|gesendet|verzonden|verstuurd|envoye)\s"
    r"(?:from|with|via|von|mit|vanaf|van|met|de|depuis|a partir de|avec)\s.{2,80}|"
    r"von meinem .{2,40} gesendet|(?:get|holen sie sich|obtenez|telechargez|download) outlook .{2,120}|"
    r"outlook (?:voor|fur|pour) .{2,40} (?:downloaden|herunterladen|telecharger).{0,80})"
)
_SIGNATURE = "--"
QUOTED = ">"  # in front of quoted lines


def typed_lines(text: str) -> list[str]:
    """Return the lines that the author of a plain text typed, in order; empty lines stay. Never raises.

    Who wrote above the quotation wrote nothing below it, or nothing that is obeyed. Else what stands below its last
    line counts, because many answer there. Nothing between two quoted lines counts: where a mail program breaks long
    lines, the rest of a quoted one stands there without a mark, and others may have written it (a subject, a name).
    """
    lines = text.replace("\u00a0", " ").replace("\u202f", " ").replace("\u200b", "").splitlines()[:MAX_LINES]
    typed: list[str] = []
    below = False  # a quotation
    position = 0
    while position < len(lines):
        line = lines[position]
        if _ends_here(lines, position):
            break
        length = _attribution(lines, position)
        if length and not _quotation_follows(lines, position + length):
            break  # the quotation bears no marks: nobody can tell what stands below it
        if length or _is_quoted(line):
            if not below and any(one.strip() for one in typed):
                break
            below = True
            typed.clear()
        elif not _MOBILE.fullmatch(fold(line[:300])):
            typed.append(line)
        position += length or 1
    return typed


def _ends_here(lines: list[str], position: int) -> bool:
    line = lines[position]
    if line.rstrip() == _SIGNATURE or _RULE.fullmatch(line):
        return True
    folded = fold(line[:300])
    if _DIVIDER.fullmatch(folded) or folded.strip() == "begin forwarded message:":
        return True
    if _FROM.fullmatch(folded) is None and _OTHER_FIELD.fullmatch(folded) is None:
        return False
    below = [fold(other[:300]) for other in lines[position + 1 : position + 1 + _HEADERS_NEAR]]
    return sum(_OTHER_FIELD.fullmatch(other) is not None for other in below) >= _HEADERS_NEEDED


def _attribution(lines: list[str], position: int) -> int:
    """Return of how many lines the attribution that starts here consists ("On ..., ... wrote:"), 0 for none."""
    if not fold(lines[position][:10]).lstrip().startswith(_ATTRIBUTION_STARTS):
        return 0
    joined = ""
    for length in range(1, _ATTRIBUTION_LINES + 1):
        if position + length > len(lines) or _is_quoted(lines[position + length - 1]):
            return 0
        joined = f"{joined} {lines[position + length - 1].strip()}".strip()
        if len(joined) > _MAX_ATTRIBUTION:
            return 0
        # Without a date it is a sentence that somebody typed.
        if any(character.isdigit() for character in joined) and _ATTRIBUTION.fullmatch(fold(joined)):
            return length
    return 0


def _quotation_follows(lines: list[str], position: int) -> bool:
    for line in lines[position:]:
        if line.strip():
            return _is_quoted(line)
    return True


def _is_quoted(line: str) -> bool:
    return line.lstrip().startswith((QUOTED, "|"))
