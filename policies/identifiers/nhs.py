"""NHS numbers of England, Wales and the Isle of Man, and their Scottish and Northern Irish relatives.

Ten digits, the last a modulo-11 check digit, written 943 476 5919. Every ISBN-10 and one in eleven of all
ten-digit numbers pass the check, so a bare number is of low confidence. NHS Data Dictionary, "NHS NUMBER".
"""

from stdnum.gb import nhs

from policies.identifiers.checked import DigitIdentifier
from policies.identifiers.checksum import weighted
from policies.identifiers.context import Context, Weight
from policies.identifiers.layouts import Layout
from policies.identifiers.vocabulary import NHS_HINTS, NHS_LABELS
from policies.model import Confidence

_LAYOUTS = {
    (10,): Layout.PLAIN,
    (3, 3, 4): Layout.USUAL,
    (3, 7): Layout.RARE,
    (6, 4): Layout.RARE,
    (3, 4, 3): Layout.RARE,
    (1,) * 10: Layout.RARE,  # one box per digit, as on forms
}


def _issued(digits: str) -> bool:
    """4, 6 and 7 are given out, 9 is for examples and tests; 320-399 (Northern Ireland) and dates (Scotland) are not
    told from telephone and order numbers and need a label.
    """  # noqa: D205 - one thought
    return digits[0] in "4679"


NHS = DigitIdentifier(
    name="nhs",
    layouts=_LAYOUTS,
    checksum=weighted(11, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10),
    valid=lambda digits: nhs.checksum(digits) == 0,
    issued=_issued,
    context=Context(labels=NHS_LABELS, hints=NHS_HINTS),
    weight=Weight(bare=Confidence.LOW),
    head=3,
    tail=1,
    usual_spaced_only=True,  # 404-555-0123 is a North American telephone number
)
