"""Fresh links and sender secrets, and what each of them opens of what was written before.

A fresh key opens exactly what its holder is entitled to *and* what the capability at hand opens. What is left over is
named, so that somebody can be told. With a fresh link, older ones may become needless:

    a reader has at most eight live links     the oldest are retired, but never one that alone opens something
    a revoked link keeps a stanza             only where it alone proves that its reader is entitled to the message
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from relay.vault.capability import Capability
from relay.vault.growth import STANZA, Growth, TableRows, stanza_rows
from relay.vault.holdings import Holdings
from relay.vault.keyring import Keyring
from relay.vault.links import KEY, LIVE_KEYS, PARTICIPANT
from relay.vault.participants import Participants
from relay.vault.people import Person
from relay.vault.sealing.message import MessageKey, seal_stanzas
from relay.vault.sealing.stanza import Stanza, StanzaKey

_NOTHING: frozenset[bytes] = frozenset()


@dataclass(slots=True)
class Handout:
    """What is handed out in one change of a conversation. ``until`` is how long fresh keys live."""

    keyring: Keyring
    holdings: Holdings
    capability: Capability | None
    until: datetime
    entered: Participants = field(init=False)
    stanzas: list[Stanza] = field(default_factory=list)
    revoked: list[bytes] = field(default_factory=list)
    superseded: list[tuple[bytes, bytes]] = field(default_factory=list)
    missing: dict[str, tuple[bytes, ...]] = field(default_factory=dict)
    absent: set[bytes] = field(default_factory=set)

    def __post_init__(self) -> None:
        if self.capability is not None and self.capability.conversation_id != self.holdings.conversation_id:
            raise ValueError("this capability is of another conversation")
        self.entered = Participants(self.keyring, self.holdings.conversation_id, self.holdings.now, self.until)

    def link(self, reader: Person, *, also: frozenset[bytes] = _NOTHING) -> StanzaKey:
        """Draw a link for a reader of the conversation; it also opens ``also``, as far as the capability does."""
        key = self.entered.draw_link(reader.address, reader.participant_id)
        opened = self._give(key, reader.address, self.holdings.entitled(reader) | also)
        self._retire(reader, opened)
        self._clean(reader, opened)
        return key

    def new_reader(self, address: str, *, blind: bool = False, also: frozenset[bytes] = _NOTHING) -> StanzaKey:
        """Enter a reader and draw their link; it opens ``also``, as far as the capability does."""
        self.absent.add(self.keyring.address_hash(address))
        self.entered.add_reader(address, blind=blind)
        key = self.entered.keys[-1]
        self._give(key, address, also)
        return key

    def secret(self, sender: Person) -> StanzaKey:
        """Draw S for a sender of the conversation (``entered.secrets``)."""
        key = self.entered.draw_secret(sender.participant_id)
        self._give(key, sender.address, self.holdings.entitled(sender))
        return key

    def again(self, reader: Person) -> tuple[bytes, ...]:
        """Give a reader's live links what they lack; return the messages that one of them lacked, oldest first."""
        wanted = self.holdings.entitled(reader) & self._opened().keys()
        lacked: set[bytes] = set()
        for key in self.holdings.live_keys(reader)[:LIVE_KEYS]:
            lacking = wanted - self.holdings.opens(key.key_id)
            # What stands there and does not open is in the way of what does: one stanza for a message and key.
            standing = self.holdings.stanzas_of(key.key_id).keys() & lacking
            self.superseded.extend((message_id, key.key_id) for message_id in standing)
            self._seal(key, lacking)
            lacked |= lacking
        return self.holdings.oldest_first(lacked)

    def revoke_links(self, reader: Person, fresh: StanzaKey) -> None:
        """Revoke all of a reader's older links; ``fresh`` is the one drawn for them here."""
        for key in self.holdings.live_keys(reader):
            if key.key_id not in self.revoked:
                self.revoked.append(key.key_id)
        self._clean(reader, frozenset(one.message_id for one in self.stanzas if one.key_id == fresh.key_id))

    def needless(self, reader: Person, fresh: StanzaKey) -> bool:
        """Say whether everything that a reader's older links open, unfinished answers too, ``fresh`` opens as well."""
        opened = {one.message_id for one in self.stanzas if one.key_id == fresh.key_id}
        return all(self._needs(key.key_id) <= opened for key in self.holdings.live_keys(reader))

    def growth(
        self, concerned: tuple[Person, ...], *, prolonged: tuple[bytes, ...] = (), thread: bytes | None = None
    ) -> Growth:
        """Return everything that was handed out, to be written if nothing changed for those ``concerned``."""
        rows: TableRows = (
            (PARTICIPANT, self.entered.rows),
            (KEY, self.entered.key_rows),
            (STANZA, stanza_rows(self.stanzas)),
        )
        return Growth(
            self.holdings.basis(concerned, self.absent),
            self.holdings.now,
            rows,
            tuple(self.revoked),
            tuple(dict.fromkeys(self.superseded)),
            prolonged,
            self.until,
            thread,
        )

    def _opened(self) -> Mapping[bytes, MessageKey]:
        return {} if self.capability is None else self.capability.messages

    def _give(self, key: StanzaKey, address: str, wanted: frozenset[bytes]) -> frozenset[bytes]:
        """Seal to a fresh key what is wanted and can be opened; note what cannot. Returns what it opens then."""
        live = wanted & self.holdings.messages.keys()
        given = live & self._opened().keys()
        self._seal(key, given)
        if left := self.holdings.oldest_first(live - given):
            self.missing[address] = left
        return given

    def _seal(self, key: StanzaKey, ids: frozenset[bytes]) -> None:
        for message_id in self.holdings.oldest_first(ids):
            outer = self.holdings.messages[message_id].outer
            self.stanzas.extend(seal_stanzas(self._opened()[message_id], outer, [key]))

    def _needs(self, key_id: bytes) -> frozenset[bytes]:
        return self.holdings.opens(key_id) | self.holdings.drafts_of(key_id)

    def _retire(self, reader: Person, opened: frozenset[bytes]) -> None:
        """Revoke the oldest of more than eight live links, but none that alone opens something."""
        standing = [key.key_id for key in self.holdings.live_keys(reader)]
        for key_id in reversed(list(standing)):
            if len(standing) < LIVE_KEYS:
                break
            others = opened.union(*(self.holdings.opens(other) for other in standing if other != key_id))
            if self._needs(key_id) <= others:
                standing.remove(key_id)
                self.revoked.append(key_id)

    def _clean(self, reader: Person, opened: frozenset[bytes]) -> None:
        """Take from revoked links what their reader opens otherwise now."""
        live = [key.key_id for key in self.holdings.live_keys(reader)]
        standing = (key_id for key_id in live if key_id not in self.revoked)
        elsewhere = opened.union(*(self.holdings.opens(key_id) for key_id in standing))
        for key_id in (*self.holdings.revoked(reader), *(key_id for key_id in live if key_id in self.revoked)):
            self.superseded.extend(
                (message_id, key_id) for message_id in self.holdings.stanzas_of(key_id) if message_id in elsewhere
            )
