"""Reads a message and asks the policies: what the intake decides by, and what `letterlock policy test` shows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from policies.engine import judge
from policies.model import Acquaintance, Message, Recipient, RuleHit, Verdict
from policies.ruleset import Ruleset
from relay.message.content import content_of
from relay.message.extraction import Extractor
from relay.message.identity import visible_addresses
from relay.message.parts import Reading
from relay.store.history import acquaintances
from relay.store.writer import Store
from relay.vault.keyring import Keyring

# (sender, recipients) -> what history knows of each; None where no history can be read.
History = Callable[[str, Sequence[str]], Mapping[str, Acquaintance]]


def history_of(store: Store, keyring: Keyring) -> History:
    """Return the history of an installation: addresses are looked up as keyed hashes, in one query a message."""

    def look_up(sender: str, recipients: Sequence[str]) -> Mapping[str, Acquaintance]:
        hashes = {address.lower(): keyring.address_hash(address) for address in recipients}
        with store.read() as conn:
            known = acquaintances(conn, keyring.address_hash(sender), list(hashes.values()), exact=False)
        return {address: known[found] for address, found in hashes.items() if found in known}

    return look_up


@dataclass(frozen=True, slots=True)
class Judgement:
    """One message with its verdicts, in the order of the recipients. ``sender`` is who is told and remembered."""

    reading: Reading
    sender: str
    verdicts: tuple[Verdict, ...]


class Judge:
    """The rules of one organisation, ready to judge. Safe to call from several threads.

    ``domains`` are its own; ``partners`` maps the domains of partners to their names.
    """

    def __init__(
        self,
        ruleset: Ruleset,
        extractor: Extractor,
        domains: Sequence[str],
        *,
        partners: Mapping[str, str] | None = None,
        seconds: float,
        history: History | None,
    ) -> None:
        self._ruleset = ruleset
        ruleset.scanner.make_ready()  # here, and not while the event loop judges the first message that needs it
        self._extractor = extractor
        self._domains = frozenset(domains)
        self._partners = partners or {}
        self._seconds = seconds
        self._history = history

    def judge(
        self, reverse_path: str, recipients: Sequence[str], reading: Reading, *, floor: RuleHit | None = None
    ) -> Judgement:
        """Return the verdict for each recipient of the envelope; ``floor`` holds for all who are outside.

        Blocking: attachments are read by the confined helper, within the time given at the start. What cannot
        be read in that time is a finding, not an error.
        """
        message = self.message(reverse_path, recipients, reading)
        return Judgement(reading, message.sender, judge(self._ruleset, message, floor=floor))

    def message(self, reverse_path: str, recipients: Sequence[str], reading: Reading) -> Message:
        """Return what the policies are asked about: `judge` answers with verdicts, `policies.explanation` with why."""
        sender = self.sender_of(reverse_path, reading)
        visible = visible_addresses(reading)
        judged = tuple(self._recipient(address, visible) for address in recipients)
        outside = {address for address in visible if not self.inside(address)}
        return Message(
            sender=sender,
            recipients=judged,
            content=content_of(reading, self._extractor, self._seconds),
            visible_outside=len(outside | {one.address for one in judged if one.visible and not one.inside}),
            acquaintances=self._history(sender, recipients) if self._history else {},
            history_known=self._history is not None,
        )

    def sender_of(self, reverse_path: str, reading: Reading) -> str:
        """Return whose message it is: the author where the author is staff, else the reverse-path.

        A forwarder or a mailing system may put its own address into the envelope; a person reads the receipt.
        """
        author = reading.from_
        return author if author and (self.inside(author) or not reverse_path) else reverse_path

    def inside(self, address: str) -> bool:
        """Say whether an address belongs to the organisation's own domains."""
        return address.rpartition("@")[2].lower() in self._domains

    def _recipient(self, address: str, visible: frozenset[str]) -> Recipient:
        lowered = address.lower()
        domain = lowered.rpartition("@")[2]
        return Recipient(
            address=lowered,
            domain=domain,
            inside=domain in self._domains,
            visible=lowered in visible,
            partner=self._partners.get(domain, ""),
        )
