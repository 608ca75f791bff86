"""Each identifier: where it is found, with which confidence, and the numbers that only look like it."""

import pytest

from policies.identifiers import IDENTIFIERS, TITLES
from policies.identifiers.shape import Page
from policies.model import Confidence
from policies.prefilter import Prefilter
from policies.text import encode, fold
from tests.proportion import grows_linearly

NOTHING = None
LOW, MEDIUM, HIGH = Confidence.LOW, Confidence.MEDIUM, Confidence.HIGH


def confidence(name: str, text: str) -> Confidence | None:
    """Return the highest confidence of a sighting; the prefilter must have let the text through."""
    data = encode(fold(text))
    sightings = IDENTIFIERS[name].find(Page(data))
    if sightings:
        assert Prefilter([IDENTIFIERS[name].expression]).occurring(data) == [0]
    return max((sighting.confidence for sighting in sightings), default=None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("NHS number: 943 476 5919", HIGH),
        ("nhs no.:9434765919", HIGH),
        ("NHS9434765919", HIGH),
        ("Patient 943\u00a0476\u20095919", HIGH),
        ("Patient 9434765919", MEDIUM),
        ("nhs number 943 476\r\n> 5919", HIGH),
        ("NHS: 943 476 5919. 2 tablets", HIGH),
        ("9 4 3 4 7 6 5 9 1 9 (NHS number)", HIGH),
        ("943 476 5919", MEDIUM),
        ("943 476 5919 12/03/1980", MEDIUM),
        ("Phone: 07700 900123, 943 476 5919", MEDIUM),
        (
            "name,nhs\nA Example,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,9434765919",
            MEDIUM,
        ),
        ("9434765919", LOW),
        ("943-476-5919", LOW),
        ("your reference 943 476 5919", LOW),
        ("NHS number 943 476 5918", NOTHING),
        ("NHS order number 943 476 5919", NOTHING),
        ("ISBN 943 476 5919", NOTHING),
        ("ISBN-10: 0306406152", NOTHING),
        ("Tel: 943 476 5919", NOTHING),
        ("+1 943 476 5919", NOTHING),
        ("https://example.org/943/9434765919", NOTHING),
        ("19434765919", NOTHING),
        ("9434765919.50", NOTHING),
        ("1111111111 NHS", NOTHING),
        ("0101010028 in all", NOTHING),
        ("320 000 0007", NOTHING),
        ("943 476 5919 555", LOW),
        ("555 943 476 5919", LOW),
        ("H&C number 320 000 0007", HIGH),
        ("\u00a39434765919", NOTHING),
        ("Ring meg p\u00e5 943 476 5919", MEDIUM),
        ("\u20ac 943 476 5919", NOTHING),
    ],
)
def test_nhs_numbers(text: str, expected: Confidence | None) -> None:
    """A label makes it certain, the usual groups likely; books, orders and telephones are none."""
    assert confidence("nhs", text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("BSN 111222333", HIGH),
        ("BSN111222333", HIGH),
        ("burgerservicenummer: 1112.22.333", HIGH),
        ("bsn 10000008", HIGH),
        ("cli\u00ebnt, geboren 1-2-1970, 111222333", MEDIUM),
        ("1112.22.333", MEDIUM),
        ("111222333", LOW),
        ("111 222 333", LOW),
        ("10000008", NOTHING),
        ("BSN 111222334", NOTHING),
        ("KvK 111222333", NOTHING),
        ("Factuurnummer 111222333", NOTHING),
        ("tel 111222333", NOTHING),
        ("EUR 111.222.333,00", NOTHING),
    ],
)
def test_dutch_citizen_service_numbers(text: str, expected: Confidence | None) -> None:
    """Nine digits (eight with a label) that pass the eleven test; firms, invoices and amounts are none."""
    assert confidence("bsn", text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Card 4111 1111 1111 1111", HIGH),
        ("2221 0000 0000 0009 exp 12/27", HIGH),
        ("2720 9999 9999 9996 valid thru 12/27", HIGH),
        ("kreditkarte 5555-5555-5555-4444", HIGH),
        ("Amex 3782 822463 10005", HIGH),
        ("4111 1111 1111 1111", MEDIUM),
        ("4111111111111111", MEDIUM),
        ("we paid with 4111111111111111", MEDIUM),
        ("Card 4111 1111 1111 1112", NOTHING),
        ("Gift card 4111 1111 1111 1111", NOTHING),
        ("Tracking number 4111 1111 1111 1111", NOTHING),
        ("IMEI 490154203237518", NOTHING),
        ("device 356938035643809", NOTHING),
        ("2721000000000004", NOTHING),
        ("1234567812345670", NOTHING),
        ("98765 4111 1111 1111 1111-22", NOTHING),
    ],
)
def test_payment_cards(text: str, expected: Confidence | None) -> None:
    """Luhn and the issuer's prefix; Mastercard's 2-series is one, an IMEI and a gift card are none."""
    assert confidence("card", text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("National Insurance number: AB 12 34 56 C", HIGH),
        ("NI no ab123456c", HIGH),
        ("NI number AB123456 and more", HIGH),
        ("HMRC wrote about AB 12 34 56 C", HIGH),
        ("AB 12 34 56 C", MEDIUM),
        ("AB123456C", MEDIUM),
        ("AB\u201112\u201134\u201156\u2011C", LOW),
        ("ab123456c", LOW),
        ("AB123456 and more", NOTHING),
        ("AB123456E", NOTHING),
        ("BG123456A", NOTHING),
        ("QQ123456C", NOTHING),
        ("Part number AB123456C", NOTHING),
        ("XAB123456C", NOTHING),
        ("NI number AB123456CD", NOTHING),
        ("https://example.org/AB123456C", NOTHING),
        ("AB 12 34 56 7", NOTHING),
    ],
)
def test_national_insurance_numbers(text: str, expected: Confidence | None) -> None:
    """Prefix and suffix rules stand for the missing check digit; without the suffix a label is needed."""
    assert confidence("nino", text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("IBAN DE89370400440532013000.", HIGH),
        ("transfer to NL91 ABNA 0417 1643 00 please", HIGH),
        ("nl91abna0417164300", HIGH),
        ("GB29\u00a0NWBK\u00a06016\u00a01331\u00a09268\u00a019", HIGH),
        ("FR14 2004 1010 0505 0001 3M02 606", HIGH),
        ("MT84 MALT 0110 0001 2345 MTLC\n> AST0 01S", HIGH),
        ("order no. DE89370400440532013000", MEDIUM),
        ("DE89370400440532013001", NOTHING),
        ("XX46370400440532013000", NOTHING),
        ("NL91ABNA04171643001", NOTHING),
        ("on 2026 we will be at 10 12 14 in the hall", NOTHING),
    ],
)
def test_bank_accounts(text: str, expected: Confidence | None) -> None:
    """Country, length and check digits decide; text that follows is not swallowed."""
    assert confidence("iban", text) == expected


@pytest.mark.parametrize("name", sorted(IDENTIFIERS))
def test_each_identifier_has_a_name_for_people(name: str) -> None:
    """Receipts call each identifier by its full name."""
    assert name in TITLES


@pytest.mark.parametrize(
    "piece",
    [
        "1 ", "943 476 5919 ", "4111111111111111,", "9", "AB12", "12-", "1.", "NL91 ", "a\n1 ", "-", "\n> ", "1        ",
        "1 1 1 1   ", "0000000x", "00000000x", "123456789 ", "1 - ", "AB 12 34 56 ",
    ],
)  # fmt: skip
def test_hostile_text_takes_linear_time(piece: str) -> None:
    """Eight times the text takes about eight times as long, whatever it repeats."""

    def search(length: int) -> None:
        page = Page((piece * (length // len(piece))).encode())
        for identifier in IDENTIFIERS.values():
            identifier.find(page)

    assert grows_linearly(search, 8_000)
