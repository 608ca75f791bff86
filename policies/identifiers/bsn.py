"""The Dutch citizen service number (burgerservicenummer): nine digits that pass the "eleven test".

One in eleven of all nine-digit numbers pass, bank accounts of before 2014 among them, so a bare number is of low
confidence. Eight digits (a leading zero dropped by a spreadsheet) count only with a label. Wet algemene bepalingen
burgerservicenummer; logical design BSN of the RvIG.
"""

from stdnum.nl import bsn

from policies.identifiers.checked import DigitIdentifier
from policies.identifiers.checksum import weighted
from policies.identifiers.context import Context, Weight
from policies.identifiers.layouts import Layout
from policies.identifiers.vocabulary import BSN_HINTS, BSN_LABELS
from policies.model import Confidence

_LAYOUTS = {
    (9,): Layout.PLAIN,
    (4, 2, 3): Layout.USUAL,
    (3, 3, 3): Layout.PLAIN,  # amounts are written like this too: the groups say nothing
    (8,): Layout.RARE,
    (3, 2, 4): Layout.RARE,
    (2, 3, 4): Layout.RARE,
    (1,) * 9: Layout.RARE,
}

BSN = DigitIdentifier(
    name="bsn",
    layouts=_LAYOUTS,
    checksum=weighted(11, -1, 2, 3, 4, 5, 6, 7, 8, 9),
    valid=lambda digits: bsn.checksum(digits.zfill(9)) == 0,
    issued=lambda digits: not digits.startswith("00"),
    context=Context(labels=BSN_LABELS, hints=BSN_HINTS),
    weight=Weight(bare=Confidence.LOW),
    head=2,
    tail=1,
)
