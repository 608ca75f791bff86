"""What reading one attachment has brought so far."""

from dataclasses import dataclass, field
from typing import NamedTuple

from relay.message.extraction.budget import MAX_TEXT, UnreadableError


class Inner(NamedTuple):
    """A file inside another; ``type`` is the declared media type, empty where there is none."""

    name: str
    data: bytes
    type: str = ""


@dataclass(slots=True)
class Findings:
    """Texts with their place, names of files inside, the first thing that could not be read."""

    texts: list[tuple[str, str]] = field(default_factory=list)
    members: list[tuple[str, int]] = field(default_factory=list)
    problem: str = ""
    encrypted: bool = False
    characters: int = 0

    def add(self, where: str, text: str) -> None:
        """Keep a text; raise UnreadableError when there is more than can be judged."""
        if not text.strip():
            return
        self.characters += len(text)
        if self.characters > MAX_TEXT:
            raise UnreadableError("holds more text than can be judged")
        self.texts.append((where, text))

    def fail(self, error: UnreadableError, inside: str = "") -> None:
        """Remember why something could not be read; ``inside`` names the file in the attachment that it is about."""
        self.encrypted = self.encrypted or error.encrypted
        if not self.problem:
            self.problem = f'holds "{inside}", which {error}' if inside else str(error)
