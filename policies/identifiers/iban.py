"""International bank account numbers (ISO 13616): country, two check digits modulo 97-10, an account of fixed length.

Country, length and check digits together are wrong about once in 8,700 tries, so no label is needed. Lengths are
those of the public SWIFT registry; an unknown country is not an IBAN.
"""

import re
from dataclasses import dataclass
from functools import cache

import re2
from stdnum.iso7064 import mod_97_10

from policies.identifiers.context import Context, Reading
from policies.identifiers.runs import GAP, LONGEST_GAP, PUNCTUATION
from policies.identifiers.shape import Page, Sighting, Sightings, embedded
from policies.identifiers.vocabulary import IBAN_LABELS
from policies.model import Confidence
from policies.prefilter import Expression

_SHORTEST = 15
_SOURCE = rf"(?i)\b[A-Z]{{2}}[0-9]{{2}}(?:{GAP}[A-Z0-9]){{{_SHORTEST - 4}}}"
_CANDIDATE = re2.compile(_SOURCE)

_REGISTRY = """
AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29
ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20
LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29
PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20
YE30
"""
LENGTHS = {entry[:2]: int(entry[2:]) for entry in _REGISTRY.split()}


@dataclass(frozen=True, slots=True)
class BankAccount:
    """The detector; ``expression`` is for Hyperscan."""

    name: str
    expression: Expression
    context: Context

    def make_ready(self) -> None:
        """Nothing is left to compile."""

    def find(self, page: Page) -> tuple[Sighting, ...]:
        """Find every account once; 1,000 are enough for any rule."""
        data, sightings = page.data, Sightings()
        match = _CANDIDATE.search(data)
        while match is not None and not sightings.enough:
            start = match.start()
            value, end = _account(data, start)
            if not value or embedded(data, start, end):
                match = _CANDIDATE.search(data, start + 1)
                continue
            if not sightings.certain(value):
                named_otherwise = self.context.read(data, start, end) is Reading.CONTRARY
                confidence = Confidence.MEDIUM if named_otherwise else Confidence.HIGH
                sightings.add(Sighting(value, data[start:end].decode("ascii"), confidence, head=2, tail=2))
            match = _CANDIDATE.search(data, end)
        return sightings.all()


def _account(data: bytes, start: int) -> tuple[str, int]:
    """Read as many characters as the country has; return them and where they end, or "" where it is no IBAN."""
    length = LENGTHS.get(data[start : start + 2].decode("ascii").upper(), 0)
    # Cheap first: most candidates fail here.
    rough = data[start : start + (1 + LONGEST_GAP) * length].translate(None, PUNCTUATION)[:length]
    if not length or len(rough) < length or not rough.isalnum() or not _checks(rough.decode("ascii").upper()):
        return "", start
    written = _of_length(length).match(data, start)
    if written is None:
        return "", start
    return written[0].translate(None, PUNCTUATION).decode("ascii").upper(), written.end()


@cache
def _of_length(length: int) -> re.Pattern[bytes]:
    """Return the expression of an account with so many characters: one of some twenty lengths."""
    return re.compile(rf"(?:{GAP}[A-Za-z0-9]){{{length}}}".encode())


def _checks(value: str) -> bool:
    return mod_97_10.checksum(value[4:] + value[:4]) == 1


IBAN = BankAccount(name="iban", expression=Expression(_SOURCE, apart=True), context=Context(labels=IBAN_LABELS))
