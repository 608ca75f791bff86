"""Detectors of personal identifiers, one module each; each says where it may occur and finds what is there.

Three steps: a candidate in a layout that people write, a check digit and an issued prefix, the words around it.
"""

from collections.abc import Mapping
from typing import Protocol

from policies.identifiers.bsn import BSN
from policies.identifiers.card import CARD
from policies.identifiers.iban import IBAN
from policies.identifiers.nhs import NHS
from policies.identifiers.nino import NINO
from policies.identifiers.shape import Page, Sighting
from policies.prefilter import Expression


class Identifier(Protocol):
    """A detector of one kind of identifier."""

    @property
    def name(self) -> str:
        """Name used in relay.toml."""

    @property
    def expression(self) -> Expression:
        """What Hyperscan is asked: it occurs in every text with such an identifier."""

    def make_ready(self) -> None:
        """Compile what `find` needs for few texts only, so that none of them has to wait for it."""

    def find(self, page: Page) -> tuple[Sighting, ...]:
        """Find every occurrence, in the order of the text."""


IDENTIFIERS: Mapping[str, Identifier] = {each.name: each for each in (NHS, NINO, BSN, IBAN, CARD)}

# What a person calls it, in receipts and explanations.
TITLES: Mapping[str, str] = {
    "nhs": "NHS number",
    "nino": "National Insurance number",
    "bsn": "Dutch citizen service number (BSN)",
    "iban": "bank account number (IBAN)",
    "card": "payment card number",
}
