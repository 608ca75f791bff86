"""Payment card numbers: 12 to 19 digits with a Luhn check digit behind an issuer prefix (ISO/IEC 7812-1).

Prefixes and lengths are those of the networks' public tables; Mastercard's 2221-2720 belong to them. An IMEI
passes Luhn too but has no issuer prefix of its length. PCI DSS 4.0 (3.4.1) allows the last four digits to be shown.
"""

from stdnum import luhn

from policies.identifiers.checked import DigitIdentifier
from policies.identifiers.checksum import LUHN
from policies.identifiers.context import Context, Weight
from policies.identifiers.layouts import Layout, Lengths
from policies.identifiers.vocabulary import CARD_AGAINST, CARD_HINTS, CARD_LABELS
from policies.model import Confidence

_LAYOUTS: dict[Lengths, Layout] = {
    **{(length,): Layout.PLAIN for length in range(12, 20)},
    (4, 4, 4, 4): Layout.USUAL,
    (4, 6, 5): Layout.USUAL,  # American Express
    (4, 6, 4): Layout.USUAL,  # Diners Club
    (4, 4, 4, 4, 3): Layout.USUAL,
    (4, 4, 4, 1): Layout.RARE,
    (8, 8): Layout.RARE,
    (4, 4, 8): Layout.RARE,
    (4, 12): Layout.RARE,
    (6, 10): Layout.RARE,
}
# First and last prefix (six digits), shortest and longest number.
_ISSUERS = (
    (222100, 272099, 16, 16),  # Mastercard since 2017
    (300000, 305999, 14, 19),  # Diners Club
    (309500, 309599, 14, 19),
    (340000, 349999, 15, 15),  # American Express
    (352800, 358999, 16, 19),  # JCB
    (360000, 369999, 14, 19),  # Diners Club
    (370000, 379999, 15, 15),
    (380000, 399999, 16, 19),
    (400000, 499999, 13, 19),  # Visa: 13, 16 or 19
    (500000, 509999, 12, 19),  # Maestro
    (510000, 559999, 16, 16),  # Mastercard
    (560000, 589999, 12, 19),  # Maestro
    (601100, 601199, 16, 19),  # Discover
    (620000, 629999, 16, 19),  # UnionPay
    (639000, 639099, 12, 19),  # Maestro
    (644000, 659999, 16, 19),  # Discover
    (670000, 679999, 12, 19),  # Maestro
)
_LONG = 16


def _issued(digits: str) -> bool:
    prefix, length = int(digits[:6]), len(digits)
    if digits[0] == "4" and length not in {13, 16, 19}:
        return False
    return any(first <= prefix <= last and shortest <= length <= longest for first, last, shortest, longest in _ISSUERS)


CARD = DigitIdentifier(
    name="card",
    layouts=_LAYOUTS,
    checksum=LUHN,
    valid=lambda digits: luhn.checksum(digits) == 0 and _issued(digits),
    issued=lambda digits: len(digits) >= _LONG or digits[:2] in {"34", "36", "37", "38", "30"},
    context=Context(labels=CARD_LABELS, hints=CARD_HINTS, against=CARD_AGAINST),
    weight=Weight(bare=Confidence.MEDIUM),
    tail=4,
)
