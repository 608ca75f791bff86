"""A small sealed message, as the tests of this folder and the fuzzer use it."""

from dataclasses import dataclass

from relay.vault.sealing import message, parts
from relay.vault.sealing.header import Author
from relay.vault.sealing.kek import FileKek
from relay.vault.sealing.key import MessageKey
from relay.vault.sealing.links import KeyPair, link_pair, sender_pair
from relay.vault.sealing.manifest import Manifest, PartEntry, PartRole
from relay.vault.sealing.outer import OuterKey
from relay.vault.sealing.recovery import RecoveryPrivateKey
from relay.vault.sealing.stanza import Stanza, StanzaKey, StanzaType

CONVERSATION, MESSAGE, LINK_ID, SENDER_ID = (bytes([number]) * 16 for number in range(1, 5))


@dataclass(frozen=True)
class Letter:
    """One message sealed to a link, a sender and the recovery key."""

    key: MessageKey
    header: bytes
    kek: FileKek
    outer: OuterKey
    link: KeyPair
    sender: KeyPair
    recovery: RecoveryPrivateKey
    stanzas: tuple[Stanza, Stanza, Stanza]
    manifest: Manifest
    sealed_manifest: parts.SealedPart
    part: parts.SealedPart

    def reopen(self) -> MessageKey:
        """Open it as a reader does: server key, then link."""
        keks = {self.kek.kek_id: self.kek}
        outer = message.open_outer_key(self.header, self.outer.kek_id, self.outer.wrapped, keks)
        return message.open_stanza(self.header, outer, self.stanzas[0], self.link)


def seal_letter() -> Letter:
    """Seal a letter of one text part."""
    kek = FileKek(b"k" * 16, b"K" * 32)
    link, sender = link_pair(b"L" * 32, LINK_ID), sender_pair(b"S" * 20, CONVERSATION)
    recovery = RecoveryPrivateKey.from_seed(b"R" * 32)
    key = message.begin_message(CONVERSATION, MESSAGE, 1_795_365_139, Author.STAFF)
    part = parts.seal_part(key, b"The plain text of a letter.")
    entry = PartEntry(part.id, PartRole.TEXT, "", "text/plain", part.size)
    manifest = Manifest("anna@example.org", ("jane@example.net",), (), "", "A subject", (entry,))
    outer = message.new_outer_key(key.header, kek)
    to = [
        StanzaKey(StanzaType.LINK, LINK_ID, link.public),
        StanzaKey(StanzaType.SENDER, SENDER_ID, sender.public),
    ]
    first, second = message.seal_stanzas(key, outer, to)
    third = message.seal_recovery(key, recovery.public)
    return Letter(
        key,
        key.header.encode(),
        kek,
        outer,
        link,
        sender,
        recovery,
        (first, second, third),
        manifest,
        message.seal_manifest(key, manifest),
        part,
    )
