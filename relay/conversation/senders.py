"""Whose message it is that a client hands over, and for whom of a conversation they may speak.

Who signed in is bound to their own addresses in From, Sender and the reverse-path before anything gets here
(relay/smtp/senders.py); a trusted network answers for its mail itself. Nobody speaks for a reader: readers write in the
portal.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from relay.message.address_list import parse_addresses
from relay.message.addresses import canonical_address
from relay.plan import Arrival
from relay.vault.people import Person, Role


@dataclass(frozen=True, slots=True)
class Delegates:
    """Who acts for whom; ``acting`` are the addresses of those who act, by the address that they act for."""

    acting: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, configured: Mapping[str, Sequence[str]]) -> "Delegates":
        """Return the delegates of [organisation] delegates."""
        return cls(
            {
                canonical_address(principal): frozenset(map(canonical_address, deputies))
                for principal, deputies in configured.items()
            }
        )

    def speaking_for(self, arrival: Arrival, people: Iterable[Person]) -> Person | None:
        """Return the sender, or colleague inside, whom this message speaks for; None when its author is none of them.

        Its author is who stands in From, Sender or the reverse-path. Who takes part comes before who acts for another.
        """
        written = authors(arrival)
        inside = [one for one in people if one.role is Role.SENDER and not one.removed]
        by_address = {canonical_address(one.address): one for one in inside}
        for address in written:
            if address in by_address:
                return by_address[address]
        acted_for = (
            person for address, person in by_address.items() if not self._deputies(address).isdisjoint(written)
        )
        return next(acted_for, None)

    def may_speak_for(self, arrival: Arrival, address: str) -> bool:
        """Say whether this message is from an address, or from somebody who acts for it."""
        canonical = canonical_address(address)
        written = authors(arrival)
        return canonical in written or not self._deputies(canonical).isdisjoint(written)

    def spokesman(self, arrival: Arrival, address: str) -> str:
        """Return which author of a message is this address, or acts for it, as it is spelled there; else the address.

        Who speaks is who is answered: with From and Sender of two people, one of them may be nobody's.
        """
        deputies = self._deputies(canonical := canonical_address(address))
        for one in (arrival.reading.from_, arrival.envelope.reverse_path, *authors(arrival)):
            if one and (canonical_address(one) == canonical or canonical_address(one) in deputies):
                return one
        return address

    def _deputies(self, address: str) -> frozenset[str]:
        return self.acting.get(address, frozenset())


def authors(arrival: Arrival) -> tuple[str, ...]:
    """Return the addresses that a message gives for its author, each once, in canonical spelling: From first."""
    named = [found for value in arrival.original.values(b"sender") for found in parse_addresses(value)]
    addresses = [arrival.reading.from_, *(str(one.mailbox) for one in named), arrival.envelope.reverse_path]
    return tuple(dict.fromkeys(canonical_address(one) for one in addresses if one))
