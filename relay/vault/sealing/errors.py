"""The one error of the sealed format: it names the layer that failed, never a byte of what was sealed."""

from enum import StrEnum

from relay.errors import LetterlockError


class Layer(StrEnum):
    """What refused; vectors, audit records and pages name failures by these words."""

    HEADER = "header"  # length or magic, or a row that differs from its header
    VERSION = "version"
    SUITE = "suite"
    CRITICAL = "critical"
    RESERVED = "reserved"
    AUTHOR_KIND = "author kind"
    KEY = "key"  # a public key, seed or secret that is no key: wrong length, low order, not canonical
    KEK = "kek"  # the server key named by the row is gone: expired or destroyed
    OUTER_KEY = "outer key"
    STANZA = "stanza"
    COMMITMENT = "commitment"
    PART = "part"
    MANIFEST = "manifest"
    ROW = "row"
    BUNDLE = "bundle"
    QUEUE_ITEM = "queue item"
    SPOOL = "spool"
    TICKET = "ticket"
    VISIT = "visit"


class SealingError(LetterlockError):
    """Something sealed was refused: damaged, forged, of another message or key, or of a newer version.

    ``layer`` says where. The sentence carries no secret and no content, so it may be logged and shown.
    """

    def __init__(self, layer: Layer, sentence: str) -> None:
        super().__init__(f"{layer}: {sentence}")
        self.layer = layer

    @property
    def name(self) -> str:
        """Return the layer's name as plain text."""
        return self.layer.value
