"""How often the five identifiers are found and how often something else is taken for one.

The corpus is made up here with a fixed seed: numbers with valid check digits that belong to nobody, in sentences of
four languages. The sentences do not come from the vocabulary; several of its words occur in none of them. The
bounds are floors for quality, not for speed.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from stdnum import luhn
from stdnum.gb import nhs
from stdnum.iso7064 import mod_97_10
from stdnum.nl import bsn

from policies.identifiers import IDENTIFIERS
from policies.identifiers.iban import LENGTHS
from policies.identifiers.shape import Page
from policies.model import Confidence
from policies.text import encode, fold

NBSP, THIN, DASH = "\u00a0", "\u2009", "\u2011"


@dataclass(frozen=True)
class Case:
    """A text, and the one kind of identifier that it holds, if any."""

    text: str
    kind: str


def digits(rng: random.Random, count: int) -> str:
    return "".join(rng.choice("0123456789") for _ in range(count))


def until(make: Callable[[], str], valid: Callable[[str], bool]) -> str:
    while not valid(number := make()):
        pass
    return number


def an_nhs_number(rng: random.Random) -> str:
    return until(lambda: rng.choice("467") + digits(rng, 9), lambda number: nhs.checksum(number) == 0)


def a_bsn(rng: random.Random) -> str:
    return until(lambda: rng.choice("123456789") + digits(rng, 8), lambda number: bsn.checksum(number) == 0)


def a_card(rng: random.Random) -> str:
    prefix, length = rng.choice(
        [
            ("4", 16),
            ("51", 16),
            ("55", 16),
            ("2221", 16),
            ("2720", 16),
            ("34", 15),
            ("37", 15),
            ("6011", 16),
            ("3528", 16),
        ]
    )
    body = prefix + digits(rng, length - len(prefix) - 1)
    return body + luhn.calc_check_digit(body)


def a_nino(rng: random.Random) -> str:
    return (
        rng.choice(["AB", "CE", "HR", "JW", "LX", "MT", "NA", "PY", "SK", "YZ"]) + digits(rng, 6) + rng.choice("ABCD")
    )


def an_iban(rng: random.Random) -> str:
    country = rng.choice(["GB", "NL", "DE", "FR", "BE", "AT", "CH", "IE", "ES"])
    letters = {"GB": 4, "NL": 4, "IE": 4}.get(country, 0)
    account = "".join(rng.choice("ABCDEFGHJKLMNPRST") for _ in range(letters))
    account += digits(rng, LENGTHS[country] - 4 - letters)
    return country + mod_97_10.calc_check_digits(account + country) + account


def an_imei(rng: random.Random) -> str:
    body = rng.choice(["35", "86", "01"]) + digits(rng, 12)
    return body + luhn.calc_check_digit(body)


def an_isbn10(rng: random.Random) -> str:
    return until(lambda: rng.choice("0123456789") + digits(rng, 9), lambda number: nhs.checksum(number) == 0)


def in_groups(number: str, *lengths: int, between: str) -> str:
    parts, position = [], 0
    for length in lengths:
        parts.append(number[position : position + length])
        position += length
    return between.join(parts)


def in_one_piece(number: str, _between: str) -> str:
    return number


def with_dots(number: str, _between: str) -> str:
    return in_groups(number, 4, 2, 3, between=".")


WRITTEN: dict[str, list[Callable[[str, str], str]]] = {
    "nhs": [in_one_piece, lambda n, s: in_groups(n, 3, 3, 4, between=s)],
    "bsn": [
        in_one_piece,
        with_dots,
        lambda n, s: in_groups(n, 3, 3, 3, between=s),
    ],
    "card": [
        in_one_piece,
        lambda n, s: in_groups(n, *((4, 6, 5) if len(n) == 15 else (4, 4, 4, 4)), between=s),
    ],
    "nino": [in_one_piece, lambda n, s: in_groups(n, 2, 2, 2, 2, 1, between=s)],
    "iban": [in_one_piece, lambda n, s: in_groups(n, *[4] * 9, between=s).strip(s)],
}
MADE = {"nhs": an_nhs_number, "bsn": a_bsn, "card": a_card, "nino": a_nino, "iban": an_iban}
SEPARATORS = [" ", " ", " ", "-", NBSP, THIN, DASH]

NAMED = {
    "nhs": [
        "NHS number: {}", "Her NHS no. is {}, please update the record.", "Patient {} was discharged on Monday.",
        "NHS No {} (DOB 12/03/1961)", "Re: Mrs A Example, born 4 May 1958, {}", "Please book {} into the clinic.",
        "NHS-nummer: {}", "De patiënt heeft NHS-nummer {}.", "Die NHS-Nummer lautet {}.", "Numéro NHS : {}",
        "name;nhs_number\nA Example;{}", "{} (NHS number)", "Referral for {}, seen in surgery today",
    ],
    "bsn": [
        "BSN: {}", "Mijn burgerservicenummer is {}.", "Cliënt J. Voorbeeld, geb. 01-02-1970, BSN {}", "bsn {}",
        "Het BSN van de leerling: {}", "Her Dutch BSN is {}.", "Die BSN des Mitarbeiters lautet {}.", "Numéro BSN : {}",
        "Sofinummer {}", "BSN-nummer: {} , verzekerd sinds 2019", "Naam;BSN\nVoorbeeld;{}", "{} is zijn BSN",
    ],
    "card": [
        "Card number {}", "Please charge my Visa {} exp 04/29", "My credit card is {}, CVV on the phone.",
        "Creditcardnummer: {}", "Meine Kreditkarte: {}, gültig bis 11/28", "Carte bancaire n° {}", "Mastercard {}",
        "we paid with {} yesterday", "{} valid thru 09/27", "Amex {} cardholder A Example", "Kartennummer {}",
        "De vervaldatum van kaart {} is 08/27.",
    ],
    "nino": [
        "NI number: {}", "National Insurance number {}", "NINO {}", "Employee A Example, {}, started in May.",
        "His National Insurance No. is {}.", "{} (NI number)", "Payroll: {} tax code 1257L", "Universal Credit claim {}",
    ],
    "iban": [
        "IBAN {}", "Please transfer it to {}.", "Mijn rekeningnummer is {} t.n.v. A. Voorbeeld", "Kontonummer {}",
        "Bankverbindung: {} BIC EXAMDEFF", "Mon compte : {}", "{} is the account for refunds", "iban: {}",
    ],
}  # fmt: skip

UNNAMED = {
    "nhs": "Following up on {} as agreed, thanks.",
    "card": "Use {} for it, thanks.",
    "nino": "Could you look up {} for me?",
    "iban": "It goes to {}, thanks.",
}

OTHER_THINGS: list[tuple[str, Callable[[random.Random], str]]] = [
    ("Order no. {}", an_nhs_number), ("Your order {} has been shipped.", an_nhs_number), ("Bestelnummer {}", an_nhs_number),
    ("Ihre Bestellnummer lautet {}.", an_nhs_number), ("Commande n° {}", an_nhs_number), ("Invoice {} is due", an_nhs_number),
    ("Factuurnummer: {}", a_bsn), ("Rechnung Nr. {}", a_bsn), ("Klantnummer {}", a_bsn), ("Kundennummer: {}", a_bsn),
    ("Tel. {}", a_bsn), ("Call us on {}", a_bsn), ("Telefoon: {}", a_bsn), ("Fax {}", an_nhs_number),
    ("Mobile: {}", an_nhs_number), ("Handynummer {}", an_nhs_number), ("Numéro de téléphone : {}", an_nhs_number),
    ("ISBN {}", an_isbn10), ("ISBN-10: {}", an_isbn10), ("The book (ISBN {}) is in the library.", an_isbn10),
    ("IMEI {}", an_imei), ("The IMEI of the phone is {}.", an_imei), ("Device {} was reported lost", an_imei),
    ("Tracking number {}", a_card), ("Track & trace: {}", a_card), ("Sendungsnummer {}", a_card), ("Numéro de suivi {}", a_card),
    ("Parcel {} is on its way", an_nhs_number), ("Zendingnummer {}", an_nhs_number), ("Serial number {}", a_card),
    ("Gift card {}", a_card), ("Klantenkaart {}", a_card), ("Transaction {} completed", a_card), ("Barcode {}", a_card),
    ("KvK-nummer {}", a_bsn), ("Ticket {} was closed", a_bsn), ("Meeting ID: {}", an_nhs_number), ("Part no. {}", a_nino),
    ("Article number {}", a_nino), ("https://shop.example/item/{}", an_nhs_number), ("£{}", a_bsn),
    ("+44 {}", an_nhs_number), ("sha1 0b{}ffe1", an_nhs_number), ("{}.75 in total", a_bsn), ("build-{}-7", an_nhs_number),
    ("Timestamp {}", an_nhs_number), ("reservation {}", a_bsn), ("Ref {}", a_bsn), ("SKU {}", a_bsn), ("{} units", a_bsn),
    ("page 12, {}", an_isbn10), ("{}", lambda rng: digits(rng, 10)), ("{}", lambda rng: digits(rng, 16)),
    ("Room {}", lambda rng: digits(rng, 9)), ("2026-11-{}", lambda rng: f"{rng.randint(1, 28):02} 14:05:{digits(rng, 2)}"),
]  # fmt: skip


LENGTHS_OF_GROUPS = {9: (3, 3, 3), 10: (3, 3, 4), 15: (4, 6, 5), 16: (4, 4, 4, 4), 13: (3, 10)}
TELEPHONES = [
    "020 7946 0###", "+44 20 7946 0###", "07700 900###", "+44 7700 900###", "0113 496 0###", "(0113) 496 0###",
    "020 ### ####", "06-########", "06 ########", "+31 6 ########", "+31 (0)20 ### ####", "070-#######", "0031612######",
    "030 ########", "0171 #######", "+49 30 ########", "+49 (0)171 #######", "089/######", "0049 89 ######",
    "01 ## ## ## ##", "06 ## ## ## ##", "+33 6 ## ## ## ##", "06.##.##.##.##", "0033 1 ## ## ## ##", "+1 404-555-01##",
    "404-555-01##", "(404) 555-01##", "1-800-555-01##",
]  # fmt: skip


def positives(rng: random.Random) -> Iterator[Case]:
    for kind, sentences in NAMED.items():
        for sentence in sentences:
            for _ in range(8):
                number = rng.choice(WRITTEN[kind])(MADE[kind](rng), rng.choice(SEPARATORS))
                yield Case(sentence.format(number), kind)
    for kind, sentence in UNNAMED.items():
        for _ in range(12):
            number = WRITTEN[kind][-1](MADE[kind](rng), rng.choice([" ", NBSP, THIN]))
            yield Case(sentence.format(number), kind)


def hard_negatives(rng: random.Random) -> Iterator[Case]:
    for sentence, make in OTHER_THINGS:
        for turn in range(13):
            number = make(rng)
            if turn % 3 == 2 and number.isdigit() and "{}." not in sentence and "-" not in sentence:
                number = in_groups(number, *LENGTHS_OF_GROUPS[len(number)], between=rng.choice(SEPARATORS))
            yield Case(sentence.format(number), "")
    for sentence in ("{}", "J. Example, {}", "Kind regards, {}", "Ring {} before five"):
        for shape in TELEPHONES:
            number = "".join(digits(rng, 1) if mark == "#" else mark for mark in shape)
            yield Case(sentence.format(number), "")


def found(text: str, floor: Confidence = Confidence.MEDIUM) -> set[str]:
    page = Page(encode(fold(text)))
    return {
        name
        for name, identifier in IDENTIFIERS.items()
        if any(sighting.confidence >= floor for sighting in identifier.find(page))
    }


@pytest.fixture(scope="module")
def judged() -> list[tuple[Case, set[str]]]:
    rng = random.Random(2026)
    return [(case, found(case.text)) for case in (*positives(rng), *hard_negatives(rng))]


@pytest.mark.parametrize("kind", sorted(MADE))
def test_each_kind_is_found(kind: str, judged: list[tuple[Case, set[str]]]) -> None:
    """At medium confidence at least 95 of 100 identifiers of each kind are found."""
    results = [kind in kinds for case, kinds in judged if case.kind == kind]
    missed = [case.text for case, kinds in judged if case.kind == kind and kind not in kinds]
    assert len(results) >= 70
    assert sum(results) / len(results) >= 0.95, missed


def test_hard_negatives_stay_quiet(judged: list[tuple[Case, set[str]]]) -> None:
    """Of about 700 order, telephone, book, device and parcel numbers at most 2 % are taken for an identifier."""
    negatives = [(case.text, kinds) for case, kinds in judged if not case.kind]
    fired = [(text, kinds) for text, kinds in negatives if kinds]
    assert len(negatives) >= 675
    assert len(fired) <= 14, fired


def test_precision_and_recall_together(judged: list[tuple[Case, set[str]]]) -> None:
    """Over the whole corpus F1 is at least .95."""
    true = sum(case.kind in kinds for case, kinds in judged if case.kind)
    missed = sum(case.kind not in kinds for case, kinds in judged if case.kind)
    wrong = sum(len(kinds - {case.kind}) for case, kinds in judged)
    assert 2 * true / (2 * true + missed + wrong) >= 0.95, (true, missed, wrong)


def test_a_column_of_numbers_speaks_for_itself() -> None:
    """Where all of a column of bare numbers pass the check digit, they are found without any word near them."""
    rng = random.Random(7)
    column = "\n".join(an_nhs_number(rng) for _ in range(8))
    assert found(column) == {"nhs"}


def test_a_column_of_other_numbers_does_not() -> None:
    """A column of arbitrary ten-digit numbers, of which one in eleven passes, is not taken for NHS numbers."""
    rng = random.Random(8)
    column = "\n".join("4" + digits(rng, 9) for _ in range(200))
    assert found(column) == set()


def test_neither_a_book_list_nor_one_number_again_and_again_is_a_column() -> None:
    """A heading that names the first number as something else, or a thread that repeats one number, is no series."""
    rng = random.Random(9)
    books = "\n".join(until(lambda: "90" + digits(rng, 8), lambda number: nhs.checksum(number) == 0) for _ in range(9))
    assert found(f"ISBN\n{books}") == set()
    assert found("4010232137\n" * 9) == set()
